/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes dpi_inspect(): our second looks, forms and openings, and nDPI's dissectors as far as the library was built for
 * it. The input is one field; its answer must be one of the four, and the same when asked again. */
#include "dpi/dpi.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dpi *d;
	static const char *const http[] = { "HTTP", "TLS", "DNS" };
	const char *const *names[2] = { NULL, http };
	const uint32_t n[2] = { 0, 3 };
	struct dpi_finding f, again;
	struct dpi_err err;

	if (!d && dpi_open(&d, names, n, 2, &err))
		abort();
	for (uint32_t set = 0; set < 2; set++) {
		dpi_inspect(d, set, data, size, &f);
		dpi_inspect(d, set, data, size, &again);
		if (f.answer > DPI_FAILED || f.answer != again.answer || strcmp(f.name, again.name) != 0)
			abort();
		if (f.answer != DPI_CLEAN && !f.name[0])
			abort();
	}
	return 0;
}
