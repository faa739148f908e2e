/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks of ours at hostile bytes: the risks of HTTP and DNS (dpi/risk.c, dpi/inject.c) and first words (dpi/greet.c), over memory
 * that ends where the input ends. The answers have no other bits than those that are announced, and do not depend on
 * when they are asked for. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/greet.h"
#include "dpi/risk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct magic_set *magic;
	struct dpi_err err;

	if (!magic && dpi_kinds_open(&magic, &err))
		abort();
	if (size == 0 || size > DPI_FIELD_MAX)
		return 0;
	uint8_t *p = malloc(size);
	if (!p)
		return 0;
	memcpy(p, data, size);
	uint64_t risks = dpi_risks_http(magic, p, size);
	unsigned first_words = dpi_greeting(p, size);
	assert(!(risks & ~DPI_RISKS_HTTP));
	assert(!(dpi_risks_dns(p, size) & ~DPI_RISK_BIT(NDPI_DNS_SUSPICIOUS_TRAFFIC)));
	assert(first_words < DPI_IDS_MAX);
	assert(memcmp(p, data, size) == 0);
	assert(dpi_risks_http(magic, p, size) == risks && dpi_greeting(p, size) == first_words);
	free(p);
	return 0;
}
