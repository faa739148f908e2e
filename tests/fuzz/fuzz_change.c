/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the comparison of schema sets with schemas made on purpose: the input chooses three messages and two enums with
 * rules, some changes of them, and messages. Where no finding is told, the new set accepts what the old one accepts, and all
 * that stands in it or is absent from it means the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/compat.h"
#include "change_make.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRIES 48 /* messages for each pair of sets */

/* --- meaning --------------------------------------------------------------------------------------------------------- */

/* What a scalar's bits mean. */
static __int128 meaning(uint8_t type, uint64_t bits)
{
	switch (type) {
	case INT32:
	case SFIXED32:
	case ENUM:
		return (int32_t)(uint32_t)bits;
	case INT64:
	case SFIXED64:
		return (int64_t)bits;
	case SINT32:
	case SINT64:
		return (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
	case BOOL:
		return bits != 0;
	case UINT32:
		return (uint32_t)bits;
	default:
		return (__int128)bits;
	}
}

static uint64_t varint_read(const uint8_t **p)
{
	uint64_t v = 0;
	unsigned shift = 0;

	do
		v |= (uint64_t)(**p & 127) << shift;
	while (shift += 7, *(*p)++ & 128);
	return v;
}

static uint64_t scalar_read(const uint8_t **p, uint8_t type)
{
	uint64_t bits = 0;
	size_t n = wire_of(type) == 1 ? 8 : 4;

	if (wire_of(type) == 0)
		return varint_read(p);
	memcpy(&bits, *p, n);
	*p += n;
	return bits;
}

static __int128 absent(const struct schema *s, const struct field *f)
{
	uint64_t bits;
	double one = 1;
	float one_f = 1;

	if (f->type == ENUM) {
		for (unsigned i = COUNT(numbers); s->two && i-- > 0;)
			if (s->values[f->sub] >> i & 1)
				return numbers[i];
		return 0;
	}
	if (!s->two || !f->has_default)
		return 0;
	bits = 1;
	if (f->type == DOUBLE)
		memcpy(&bits, &one, sizeof bits);
	else if (f->type == FLOAT)
		memcpy(&bits, &one_f, sizeof one_f);
	else if (f->type == SINT32 || f->type == SINT64)
		bits = 2;
	return meaning(f->type, bits);
}

static void messages_mean(const struct schema *s, const struct schema *t, int m, const uint8_t *p, const uint8_t *end);

/* Both accepted the value: it is the same under both types. Returns what follows it. */
static const uint8_t *value_means(const struct schema *s, const struct schema *t, uint8_t was, uint8_t is, uint8_t sub,
				  uint8_t now_sub, const uint8_t *p)
{
	uint64_t len;

	assert(wire_of(was) == wire_of(is));
	if (wire_of(was) == 2) {
		len = varint_read(&p);
		assert((was == MESSAGE) == (is == MESSAGE));
		if (was == MESSAGE) {
			assert(sub == now_sub);
			messages_mean(s, t, sub, p, p + len);
		}
		return p + len;
	}
	const uint8_t *q = p;
	__int128 a = meaning(was, scalar_read(&p, was)), b = meaning(is, scalar_read(&q, is));

	assert(a == b && p == q);
	return p;
}

static void messages_mean(const struct schema *s, const struct schema *t, int m, const uint8_t *p, const uint8_t *end)
{
	unsigned seen = 0;

	while (p < end) {
		uint64_t tag = varint_read(&p);
		const struct field *f = &s->m[m].f[(tag >> 3) - 1], *g = &t->m[m].f[(tag >> 3) - 1];

		seen |= 1u << ((tag >> 3) - 1);
		assert(f->on && g->on && (f->label == MAP) == (g->label == MAP));
		assert((f->label >= REPEATED) == (g->label >= REPEATED));
		assert(f->oneof == g->oneof);
		if (f->label == MAP) {
			uint64_t len = varint_read(&p);

			for (const uint8_t *stop = p + len; p < stop;) {
				uint64_t part = varint_read(&p) >> 3;

				p = part == 1 ? value_means(s, t, f->key, g->key, 0, 0, p) :
						value_means(s, t, f->type, g->type, f->sub, g->sub, p);
			}
		} else if ((tag & 7) == 2 && wire_of(f->type) != 2) {
			uint64_t len = varint_read(&p);

			for (const uint8_t *stop = p + len; p < stop;)
				p = value_means(s, t, f->type, g->type, f->sub, g->sub, p);
		} else {
			p = value_means(s, t, f->type, g->type, f->sub, g->sub, p);
		}
	}
	for (int i = 0; i < N_FIELDS; i++) {
		const struct field *f = &s->m[m].f[i], *g = &t->m[m].f[i];

		if (!(seen >> i & 1) && f->on && g->on && f->label < REPEATED && f->type != MESSAGE && f->type != STRING &&
		    f->type != BYTES)
			assert(absent(s, f) == absent(t, g));
	}
}

/* --- all ------------------------------------------------------------------------------------------------------------- */

static void count(void *arg, const struct sch_change *c)
{
	(void)c;
	++*(unsigned *)arg;
}

static void both_accept(struct choice *c, const struct schema *s, const struct schema *t, struct sch_set *old,
			struct sch_set *now)
{
	static struct out msg;
	const struct sch_ask ask = { .has_now = 1, .now_s = 1700000000 };
	struct sch_result r;

	for (int i = 0; i < TRIES; i++) {
		char name[] = "p.M0";
		int m = i % N_MSGS;

		name[3] = (char)('0' + m);
		msg.n = 0;
		message_make(c, s, m, &msg, 0);
		assert(msg.n + SCH_PAD <= sizeof msg.at);
		memset(msg.at + msg.n, 0, SCH_PAD);
		if (sch_validate_ask(old, (uint32_t)sch_type_find(old, name), msg.at, msg.n, &ask, &r) != SCH_OK)
			continue;
		assert(sch_validate_ask(now, (uint32_t)sch_type_find(now, name), msg.at, msg.n, &ask, &r) == SCH_OK);
		messages_mean(s, t, m, msg.at, msg.at + msg.n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct out a, b;
	struct choice c = { data, data + size, size };
	struct sch_set *old = NULL, *now = NULL;
	struct schema s, t;
	struct sch_compat sum;
	struct sch_err err;
	unsigned told = 0;

	schema_choose(&c, &s);
	t = s;
	for (int n = 1 + below(&c, 3); n > 0; n--)
		schema_change(&c, &t);
	schema_put(&a, &s);
	schema_put(&b, &t);
	if (sch_set_compile(&old, a.at, a.n, &err) == 0 && sch_set_compile(&now, b.at, b.n, &err) == 0 &&
	    sch_compat_check(a.at, a.n, b.at, b.n, count, &told, &sum, &err) == 0 && told == 0)
		both_accept(&c, &s, &t, old, now);
	sch_set_free(old);
	sch_set_free(now);
	return 0;
}
