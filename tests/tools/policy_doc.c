/* SPDX-License-Identifier: BSD-2-Clause */
/* policy_doc reference|schema: prints docs/policy-reference.md or policy/policy.schema.json. Exit status 1 when it cannot be
 * written, 2 when it was asked for something else. */
#include "tests/tools/policy_doc.h"

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "reference") == 0)
		policy_doc_reference(stdout);
	else if (argc == 2 && strcmp(argv[1], "schema") == 0)
		policy_doc_schema(stdout);
	else
		return fputs("usage: policy_doc reference|schema\n", stderr) < 0 ? 1 : 2;
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
