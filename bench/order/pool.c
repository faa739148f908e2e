/* SPDX-License-Identifier: BSD-2-Clause */
/* Orders for the comparison of parsers. What a made order holds was measured on the file that others publish: which fields,
 * how often, in which ranges. */
#include "bench/order/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/timing.h"
#include "schemas/schema.h"

#define ORDER_MAX 512u /* bytes of a made order: fixed fields 150, 2 lines of 30, 19 samples of 3 */

/* --- from a file ---------------------------------------------------------------------------------------------------- */

static int orders_split(struct orders *o, const uint8_t *p, size_t left)
{
	uint8_t *out = o->bytes;

	for (unsigned i = 0; i < ORDERS; i++) {
		if (left < 4)
			return -EBADMSG;
		size_t n = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;

		if (left - 4 < n)
			return -EBADMSG;
		memcpy(out, p + 4, n);
		o->at[i] = out;
		o->len[i] = n;
		o->total += n;
		out += n;
		p += 4 + n;
		left -= 4 + n;
	}
	return left ? -EBADMSG : 0;
}

int orders_load(struct orders *o, const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *raw = NULL;
	long size;
	int err = -EBADMSG;

	memset(o, 0, sizeof *o);
	if (!f)
		return -errno;
	if (fseek(f, 0, SEEK_END) || (size = ftell(f)) <= 0 || fseek(f, 0, SEEK_SET))
		goto out;
	raw = malloc((size_t)size);
	o->bytes = calloc(1, (size_t)size + SCH_PAD);
	err = -ENOMEM;
	if (!raw || !o->bytes)
		goto out;
	err = -EIO;
	if (fread(raw, 1, (size_t)size, f) != (size_t)size)
		goto out;
	err = orders_split(o, raw, (size_t)size);
out:
	free(raw);
	fclose(f);
	if (err)
		orders_free(o);
	return err;
}

/* --- made here ------------------------------------------------------------------------------------------------------ */

struct out {
	uint8_t *p;
};

static void put_varint(struct out *o, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		*o->p++ = (uint8_t)(v | 0x80);
	*o->p++ = (uint8_t)v;
}

static void put_uint(struct out *o, uint32_t field, uint64_t v)
{
	if (v) {
		put_varint(o, field << 3);
		put_varint(o, v);
	}
}

static void put_sint(struct out *o, uint32_t field, int64_t v)
{
	put_uint(o, field, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static void put_fixed64(struct out *o, uint32_t field, uint64_t v)
{
	put_varint(o, field << 3 | 1);
	memcpy(o->p, &v, 8);
	o->p += 8;
}

static void put_double(struct out *o, uint32_t field, double d)
{
	uint64_t v;

	memcpy(&v, &d, 8);
	put_fixed64(o, field, v);
}

static void put_float(struct out *o, uint32_t field, float f)
{
	put_varint(o, field << 3 | 5);
	memcpy(o->p, &f, 4);
	o->p += 4;
}

static void put_bytes(struct out *o, uint32_t field, const void *data, size_t n)
{
	put_varint(o, field << 3 | 2);
	put_varint(o, n);
	memcpy(o->p, data, n);
	o->p += n;
}

static void put_text(struct out *o, uint32_t field, const char *text)
{
	put_bytes(o, field, text, strlen(text));
}

static uint64_t below(uint64_t *state, uint64_t n)
{
	return bench_random(state) % n;
}

/* Two decimals within -limit to limit. */
static double degrees(uint64_t *state, int limit)
{
	return (double)((int64_t)below(state, (uint64_t)limit * 200) - limit * 100) / 100.0;
}

static void put_id(struct out *o, uint64_t *state)
{
	uint64_t a = bench_random(state), b = bench_random(state);
	char text[40];

	snprintf(text, sizeof text, "%08x-%04x-4%03x-a%03x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
		 (unsigned)(a & 0xfff), (unsigned)(b >> 52), (unsigned long long)(b & 0xffffffffffff));
	put_text(o, 2, text);
}

static void put_geo(struct out *o, uint64_t *state)
{
	uint8_t buf[64];
	struct out geo = { buf };

	put_double(&geo, 1, degrees(state, 90));
	put_double(&geo, 2, degrees(state, 180));
	put_float(&geo, 3, (float)(4 + below(state, 2992)));
	put_uint(&geo, 4, below(state, 20));
	put_bytes(o, 9, buf, (size_t)(geo.p - buf));
}

static void put_line(struct out *o, uint64_t *state)
{
	uint8_t buf[64];
	struct out line = { buf };

	put_uint(&line, 1, 4000 + below(state, 99970000));
	put_uint(&line, 2, 1 + below(state, 300));
	put_sint(&line, 3, (int64_t)(30000 + below(state, 99770000)));
	if (below(state, 2))
		put_text(&line, 4, "leave at door");
	put_bytes(o, 10, buf, (size_t)(line.p - buf));
}

static void put_samples(struct out *o, uint64_t *state)
{
	uint8_t buf[128];
	struct out samples = { buf };

	for (uint64_t n = 8 + below(state, 12); n; n--)
		put_varint(&samples, below(state, 4) ? below(state, 40000) : below(state, 128));
	put_bytes(o, 11, buf, (size_t)(samples.p - buf));
}

static size_t order_make(uint8_t *msg, uint64_t *state)
{
	static const char *const symbols[] = { "AAPL", "VOD.L", "BTC-PERP", "MSFT.O", "EURUSD=X" };
	static const char *const clients[] = { "mobile-ios-4.2.1", "edge-gw-07.fra", "trader\xc3\xa9-12" };
	struct out o = { msg };
	uint64_t sig[2];

	put_fixed64(&o, 1, 1767225600000000000 + below(state, 1000000000));
	put_id(&o, state);
	put_text(&o, 3, symbols[below(state, 5)]);
	put_uint(&o, 4, 1 + below(state, 2));
	put_uint(&o, 5, 30000 + below(state, 49970000));
	put_uint(&o, 6, below(state, 5000));
	put_sint(&o, 7, (int64_t)below(state, 2000) - 1000);
	put_uint(&o, 8, !below(state, 4));
	put_geo(&o, state);
	for (uint64_t n = 1 + below(state, 2); n; n--)
		put_line(&o, state);
	put_samples(&o, state);
	sig[0] = bench_random(state);
	sig[1] = bench_random(state);
	put_bytes(&o, 12, sig, sizeof sig);
	put_text(&o, 13, clients[below(state, 3)]);
	put_uint(&o, 14, 1 + below(state, 1ull << 36));
	if (below(state, 2))
		put_text(&o, 17, "eu-central-1");
	else
		put_uint(&o, 18, 1 + below(state, 4000));
	return (size_t)(o.p - msg);
}

int orders_make(struct orders *o)
{
	uint64_t state = 1;
	uint8_t *p;

	memset(o, 0, sizeof *o);
	p = o->bytes = calloc(1, ORDERS * ORDER_MAX + SCH_PAD);
	if (!p)
		return -ENOMEM;
	for (unsigned i = 0; i < ORDERS; i++) {
		o->at[i] = p;
		o->len[i] = order_make(p, &state);
		o->total += o->len[i];
		p += o->len[i];
	}
	return 0;
}

void orders_free(struct orders *o)
{
	free(o->bytes);
	memset(o, 0, sizeof *o);
}
