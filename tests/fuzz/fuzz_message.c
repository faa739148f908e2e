/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes dpi_message_inspect(): messages of several senders in a row, with one to four fields, under sets that differ. Two
 * inspectors are told the same and must answer the same; findings must be sane; what is refused by itself must be refused
 * in a row.
 *
 * Input: messages. One: u8 sender and field (two bits each), sets (two bits each); u8 number of fields - 1 in its low two bits;
 * for each field u8 length; then the fields' bytes. */
#include "dpi/dpi.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES_MAX 256u
#define SETS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make(struct dpi_set *set, const char *const *allow, uint32_t n)
{
	const struct dpi_profile p = { .allow = allow, .n_allow = n }, *one[] = { &p };
	struct dpi_err err;

	if (dpi_set_make(set, one, 1, &err))
		abort();
}

static void check(struct dpi *d, const struct dpi_message *m, const struct dpi_result *r)
{
	char text[DPI_NAME_MAX];

	if (!dpi_finding_sane(&r->found, m->n_spans) || !dpi_finding_sane(&r->observed, m->n_spans))
		abort();
	dpi_finding_text(&r->found, text);
	if (r->found.answer != DPI_CLEAN && !text[0])
		abort();
	if (r->observed.answer != DPI_CLEAN && r->observed.answer != DPI_FORBIDDEN)
		abort();
	if (r->found.answer != DPI_CLEAN)
		return;
	for (uint32_t i = 0; i < m->n_spans; i++) { /* what passes, each field passes by itself */
		const struct dpi_span *s = &m->span[i];
		struct dpi_finding f;

		dpi_inspect(d, s->hard ? s->hard : s->set, m->bytes + s->offset, s->len, &f);
		if (f.answer == DPI_CLEAN)
			continue;
		dpi_inspect(d, s->set, m->bytes + s->offset, s->len, &f); /* or the rule that is more than `hard` lets it */
		if (f.answer != DPI_CLEAN)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const a[] = { "unknown" }, *const b[] = { "unknown", "doubtful" }, *const e[] = { "DNS" };
	static const char *const c[] = { "unknown", "HTTP", "TLS" };
	static struct dpi *one, *two;
	static struct dpi_set sets[SETS];
	static uint32_t epoch;
	struct dpi_err err;
	size_t at = 0;

	if (!one) {
		make(&sets[0], a, 1);
		make(&sets[1], b, 2);
		make(&sets[2], c, 3);
		make(&sets[3], e, 1);
		if (dpi_open(&one, &err) || dpi_open(&two, &err))
			abort();
	}
	epoch++; /* what was sent for earlier inputs says nothing */
	for (unsigned n = 0; n < MESSAGES_MAX && size - at >= 2; n++) {
		unsigned who = data[at], fields = (data[at + 1] & 3u) + 1;
		struct dpi_message m = { .bytes = data, .epoch = epoch, .src = (uint16_t)(who & 3), .dst = 1 };
		struct dpi_result r, again;
		size_t lengths = at + 2, bytes = lengths + fields;

		if (bytes > size)
			break;
		for (unsigned i = 0; i < fields; i++) {
			size_t len = data[lengths + i] < size - bytes ? data[lengths + i] : size - bytes;

			m.span[m.n_spans++] = (struct dpi_span){
				.set = &sets[who >> 4 & 3],
				.hard = who >> 6 == 3 ? NULL : &sets[who >> 6],
				.field = (who >> 2 & 3) + (data[at + 1] & 4 ? i : 0),
				.offset = (uint32_t)bytes,
				.len = (uint32_t)len,
			};
			bytes += len;
		}
		at = bytes;
		dpi_message_inspect(one, &m, &r);
		dpi_message_inspect(two, &m, &again);
		if (memcmp(&r, &again, sizeof(r)) != 0)
			abort();
		check(one, &m, &r);
	}
	return 0;
}
