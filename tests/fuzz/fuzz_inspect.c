/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes dpi_inspect(): our second looks, forms, openings and kinds, and nDPI's dissectors as far as the library was built for
 * it. The input is one field. Under each of several sets its answer must be sane and the same when asked again, and the sets'
 * answers must fit together: what a stricter set lets through, a laxer one does. */
#include "dpi/ndpi.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { UNKNOWN, DOUBTFUL, WEB, ONLY_WEB, ALL_WEB, KINDS, SETS };
static struct dpi *d;
static struct dpi_set sets[SETS];

static void open_all(void)
{
	static const char *const web[] = { "HTTP", "TLS", "DNS", "unknown", "doubtful" };
	static const char *const kinds[] = { "text", "json", "Web" }, *const forbid[] = { "executable", "archive", "script" };
	const struct dpi_profile p[SETS] = {
		[UNKNOWN] = { .allow = web + 3, .n_allow = 1 },
		[DOUBTFUL] = { .allow = web + 3, .n_allow = 2 },
		[WEB] = { .allow = web, .n_allow = 4 },
		[ONLY_WEB] = { .allow = web, .n_allow = 3 },
		[ALL_WEB] = { .allow = web, .n_allow = 3 },
		[KINDS] = { .allow = kinds, .n_allow = 3, .forbid = forbid, .n_forbid = 3 },
	};
	struct dpi_err err;

	for (unsigned i = 0; i < SETS; i++) {
		const struct dpi_profile *one[] = { &p[i] };
		if (dpi_set_make(&sets[i], one, 1, &err))
			abort();
	}
	/* Nobody's number, and not in skip.c's table: all dissectors are run. */
	sets[ALL_WEB].allowed[DPI_IDS_MAX / 64 - 1] |= 1ull << 63;
	if (dpi_open(&d, &err))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dpi_finding f[SETS], again;
	char text[DPI_NAME_MAX];

	if (!d)
		open_all();
	for (unsigned i = 0; i < SETS; i++) {
		if (i == KINDS && size % 16 != 0) /* libmagic takes a hundred times as long as all the rest */
			continue;
		dpi_inspect(d, &sets[i], data, size, &f[i]);
		dpi_inspect(d, &sets[i], data, size, &again);
		if (f[i].answer > DPI_FAILED || memcmp(&f[i], &again, sizeof(again)) != 0 || !dpi_finding_sane(&f[i], 1) ||
		    (f[i].answer == DPI_CLEAN) != (f[i].why == DPI_WHY_NOTHING))
			abort();
		dpi_finding_text(&f[i], text);
		if (f[i].answer != DPI_CLEAN && !text[0])
			abort();
	}
	if (f[UNKNOWN].answer == DPI_CLEAN && (f[DOUBTFUL].answer != DPI_CLEAN || f[WEB].answer != DPI_CLEAN))
		abort();
	if (f[UNKNOWN].answer == DPI_CLEAN && size && (f[ONLY_WEB].why != DPI_WHY_UNKNOWN || f[UNKNOWN].master || f[UNKNOWN].app))
		abort();
	if (f[ONLY_WEB].answer == DPI_CLEAN && f[WEB].answer != DPI_CLEAN && f[ALL_WEB].answer == DPI_CLEAN)
		abort();
	/* Few dissectors or all: what is refused is refused by both for the same reason. */
	if (f[ONLY_WEB].answer != DPI_CLEAN && memcmp(&f[ONLY_WEB], &f[ALL_WEB], sizeof(f[0])) != 0 &&
		f[ALL_WEB].answer == DPI_CLEAN)
		abort();
	/* Put together, thin evidence counts for nothing. */
	dpi_inspect_joined(d, &sets[UNKNOWN], data, size, &again);
	if (memcmp(&again, &f[DOUBTFUL], sizeof(again)) != 0)
		abort();
	return 0;
}
