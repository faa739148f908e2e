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
	static const char *const names[] = { "unknown", "HTTP", "TLS", "DNS" };
	static struct dpi_set sets[2];
	char text[DPI_NAME_MAX];
	struct dpi_finding f, again;
	struct dpi_err err;

	for (uint32_t i = 0; !d && i < 2; i++) {
		const struct dpi_profile p = { .allow = names, .n_allow = i ? 4 : 1 }, *one[] = { &p };
		if (dpi_set_make(&sets[i], one, 1, &err))
			abort();
	}
	if (!d && dpi_open(&d, &err))
		abort();
	for (uint32_t set = 0; set < 2; set++) {
		dpi_inspect(d, &sets[set], data, size, &f);
		dpi_inspect(d, &sets[set], data, size, &again);
		if (f.answer > DPI_FAILED || memcmp(&f, &again, sizeof(f)) != 0 || !dpi_finding_sane(&f, 1))
			abort();
		dpi_finding_text(&f, text);
		if (f.answer != DPI_CLEAN && !text[0])
			abort();
	}
	return 0;
}
