/* SPDX-License-Identifier: BSD-2-Clause */
/* verdict_doc: prints docs/verdicts.md. Exit status 1 when it cannot be written. */
#include "tests/tools/verdict_doc.h"

int main(void)
{
	verdict_doc_write(stdout);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
