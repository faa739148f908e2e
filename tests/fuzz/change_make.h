/* SPDX-License-Identifier: BSD-2-Clause */
/* For fuzz_change.c: schemas that a stream of choices makes and changes, as descriptor sets with buf.validate's rules, and messages
 * of them. What they are held against is not said here. To be included once in a program. */
#ifndef TEST_CHANGE_MAKE_H
#define TEST_CHANGE_MAKE_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define N_MSGS 3
#define N_FIELDS 4 /* of a message; numbers 1 and up */
#define N_ENUMS 2
#define N_RULES 2
#define SET_MAX 8192u
#define MSG_MAX 512u

enum { DOUBLE = 1, FLOAT, INT64, UINT64, INT32, FIXED64, FIXED32, BOOL, STRING, GROUP_, MESSAGE, BYTES, UINT32, ENUM, SFIXED32,
       SFIXED64, SINT32, SINT64 };
enum label { IMPLICIT, EXPLICIT, REQUIRED, REPEATED, MAP, LABELS };

struct rule {
	uint8_t on, what, x, y;
};

struct field {
	uint8_t on, type, label, key, sub, oneof, must, ignore, packed, n_list, x, y, unique, has_default;
	struct rule rule[N_RULES], key_rule;
};

struct message {
	struct field f[N_FIELDS];
	uint8_t oneof_must, one_of, one_of_must, another_name;
};

struct schema {
	uint8_t two; /* proto2 */
	uint8_t values[N_ENUMS]; /* bit i: it has number `numbers[i]` */
	struct message m[N_MSGS];
};

/* --- choices -------------------------------------------------------------------------------------------------------- */

struct choice {
	const uint8_t *p, *end;
	uint64_t more; /* goes on where the input ends */
};

static uint8_t byte(struct choice *c)
{
	if (c->p < c->end)
		return *c->p++;
	c->more = c->more * 6364136223846793005u + 1442695040888963407u;
	return (uint8_t)(c->more >> 56);
}

static uint8_t below(struct choice *c, unsigned n)
{
	return (uint8_t)(byte(c) % n);
}

static uint8_t one_in(struct choice *c, unsigned n)
{
	return below(c, n) == 0;
}

static void rule_choose(struct choice *c, struct rule *r)
{
	r->on = one_in(c, 2);
	r->what = byte(c);
	r->x = byte(c);
	r->y = byte(c);
}

static void label_fit(const struct schema *s, struct field *f)
{
	if (f->label == IMPLICIT && s->two)
		f->label = EXPLICIT;
	if (f->label == REQUIRED && !s->two)
		f->label = IMPLICIT;
	if (f->type == MESSAGE && f->label == IMPLICIT)
		f->label = EXPLICIT;
	if (f->label >= REQUIRED)
		f->oneof = 0;
	if (f->oneof)
		f->label = EXPLICIT;
}

static void type_choose(struct choice *c, struct field *f)
{
	static const uint8_t types[] = { INT32, INT64, UINT32, UINT64, BOOL, SINT32, SINT64, STRING, BYTES, ENUM, MESSAGE, DOUBLE,
					FLOAT, FIXED32, SFIXED32, FIXED64, SFIXED64, INT32, STRING, ENUM, MESSAGE };
	static const uint8_t keys[] = { INT32, INT64, UINT32, STRING, BOOL, SINT32 };

	f->type = types[below(c, sizeof types)];
	f->key = keys[below(c, sizeof keys)];
	f->sub = below(c, f->type == ENUM ? N_ENUMS : N_MSGS);
}

static void field_choose(struct choice *c, const struct schema *s, struct field *f)
{
	f->on = one_in(c, 2);
	type_choose(c, f);
	f->label = below(c, LABELS);
	f->oneof = one_in(c, 6);
	f->must = one_in(c, 8);
	f->ignore = one_in(c, 6) ? (uint8_t)(1 + below(c, 2)) : 0;
	f->packed = below(c, 3);
	f->n_list = one_in(c, 3);
	f->x = below(c, 4);
	f->y = below(c, 4);
	f->unique = one_in(c, 6);
	f->has_default = one_in(c, 4);
	for (int i = 0; i < N_RULES; i++)
		rule_choose(c, &f->rule[i]);
	f->rule[1].on &= one_in(c, 3);
	rule_choose(c, &f->key_rule);
	label_fit(s, f);
}

static void schema_choose(struct choice *c, struct schema *s)
{
	memset(s, 0, sizeof *s);
	s->two = one_in(c, 3);
	for (int i = 0; i < N_ENUMS; i++)
		s->values[i] = (uint8_t)(byte(c) | 1);
	for (int i = 0; i < N_MSGS; i++) {
		struct message *m = &s->m[i];

		for (int k = 0; k < N_FIELDS; k++)
			field_choose(c, s, &m->f[k]);
		m->oneof_must = one_in(c, 4);
		m->one_of = one_in(c, 3) ? below(c, 1u << N_FIELDS) : 0;
		m->one_of_must = one_in(c, 3);
	}
}

static void schema_change(struct choice *c, struct schema *s)
{
	struct message *m = &s->m[below(c, N_MSGS)];
	struct field *f = &m->f[below(c, N_FIELDS)];
	static const uint8_t wider[] = { [INT32] = INT64, [INT64] = INT32, [UINT32] = UINT64, [UINT64] = UINT32, [BOOL] = INT32,
					[SINT32] = SINT64, [SINT64] = SINT32, [STRING] = BYTES, [FIXED32] = SFIXED32,
					[SFIXED32] = FIXED32, [FIXED64] = SFIXED64, [SFIXED64] = FIXED64 };
	static const uint8_t group[] = { INT32, INT64, UINT32, UINT64, BOOL };

	switch (below(c, 20)) {
	case 0:
		field_choose(c, s, f);
		break;
	case 1:
	case 2:
		if (f->type < sizeof wider && wider[f->type])
			f->type = wider[f->type];
		break;
	case 3:
	case 4:
		for (unsigned i = 0; i < sizeof group; i++)
			if (f->type == group[i]) {
				f->type = group[below(c, sizeof group)];
				break;
			}
		break;
	case 5:
		f->label = below(c, LABELS);
		break;
	case 6:
		f->oneof = !f->oneof;
		break;
	case 7:
		f->must = !f->must;
		break;
	case 8:
		f->ignore = below(c, 3);
		break;
	case 9:
		f->packed = below(c, 3);
		break;
	case 10:
		s->values[below(c, N_ENUMS)] ^= (uint8_t)(2u << below(c, 7));
		break;
	case 11:
		f->x = below(c, 4);
		f->y = below(c, 4);
		break;
	case 12:
		f->unique = !f->unique;
		break;
	case 13:
		f->on = !f->on;
		break;
	case 14:
		m->oneof_must = !m->oneof_must;
		break;
	case 15:
		m->one_of = below(c, 1u << N_FIELDS);
		m->one_of_must = one_in(c, 2);
		break;
	case 16:
		rule_choose(c, &f->key_rule);
		break;
	case 17:
		s->two = !s->two;
		for (int i = 0; i < N_MSGS; i++)
			for (int k = 0; k < N_FIELDS; k++)
				label_fit(s, &s->m[i].f[k]);
		break;
	default:
		rule_choose(c, &f->rule[below(c, N_RULES)]);
		break;
	}
	label_fit(s, f);
}

/* --- bytes ---------------------------------------------------------------------------------------------------------- */

struct out {
	uint8_t at[SET_MAX];
	size_t n;
};

static void put(struct out *o, const void *bytes, size_t n)
{
	assert(n <= sizeof o->at - o->n);
	if (n)
		memcpy(o->at + o->n, bytes, n);
	o->n += n;
}

static void varint(struct out *o, uint64_t v)
{
	do {
		uint8_t b = (uint8_t)(v & 127) | (v > 127 ? 128 : 0);

		put(o, &b, 1);
		v >>= 7;
	} while (v);
}

static void number(struct out *o, uint32_t field, uint64_t v)
{
	varint(o, field << 3);
	varint(o, v);
}

static void text(struct out *o, uint32_t field, const void *bytes, size_t n)
{
	varint(o, field << 3 | 2);
	varint(o, n);
	put(o, bytes, n);
}

static void string(struct out *o, uint32_t field, const char *s)
{
	text(o, field, s, strlen(s));
}

/* What follows until close() is the content of this field. */
static size_t open(struct out *o, uint32_t field)
{
	varint(o, field << 3 | 2);
	return o->n;
}

static void close(struct out *o, size_t from)
{
	struct out len = { .n = 0 };
	size_t n = o->n - from;

	varint(&len, n);
	put(o, len.at, len.n);
	memmove(o->at + from + len.n, o->at + from, n);
	memcpy(o->at + from, len.at, len.n);
}

/* --- a descriptor set ------------------------------------------------------------------------------------------------ */

static const int32_t numbers[] = { 0, 1, 2, 3, -1, 9, 1000, 5 }; /* of enums */
static const int64_t integers[] = { 0, 1, 2, 3, -1, -2, 5, 100, 127, 128, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN,
				   -100 };
static const double reals[] = { 0, -0.0, 1, -1, 1.5, 1e300, -1e300, __builtin_inf(), -__builtin_inf(), __builtin_nan("") };
static const char *const texts[] = { "", "a", "b", "ab", "abc", "aab", "\xc3\xa9", "1.2.3.4", "::1", "a.b", "10.0.0.0/8", "ba",
				    "a b", "http://a/", "\xe2\x82\xac", "A" };
static const char *const patterns[] = { "^a", "b$", "^[a-z]*$", "." };
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* The bits of the chosen number as the field's type takes them from the wire. */
static uint64_t bits_of(uint8_t type, uint8_t x)
{
	int64_t v = integers[x % COUNT(integers)];
	double d = reals[x % COUNT(reals)];
	float f = (float)d;
	uint64_t bits = 0;
	uint32_t word;

	switch (type) {
	case DOUBLE:
		memcpy(&bits, &d, sizeof bits);
		return bits;
	case FLOAT:
		memcpy(&word, &f, sizeof word);
		return word;
	case BOOL:
		return v != 0;
	case INT32:
		return (uint64_t)(int64_t)(int32_t)v;
	case UINT32:
	case FIXED32:
	case SFIXED32:
		return (uint32_t)v;
	case SINT32:
		return ((uint32_t)v << 1) ^ (uint32_t)((int32_t)v >> 31);
	case SINT64:
		return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
	case ENUM:
		return (uint64_t)(int64_t)numbers[x % COUNT(numbers)];
	default:
		return (uint64_t)v;
	}
}

static int wire_of(uint8_t type)
{
	switch (type) {
	case DOUBLE:
	case FIXED64:
	case SFIXED64:
		return 1;
	case FLOAT:
	case FIXED32:
	case SFIXED32:
		return 5;
	case STRING:
	case BYTES:
	case MESSAGE:
		return 2;
	default:
		return 0;
	}
}

static void scalar_value(struct out *o, uint8_t type, uint64_t bits)
{
	if (wire_of(type) == 0)
		varint(o, bits);
	else
		put(o, &bits, wire_of(type) == 1 ? 8 : 4); /* little-endian, as we are */
}

static void scalar(struct out *o, uint32_t field, uint8_t type, uint64_t bits)
{
	varint(o, field << 3 | (uint32_t)wire_of(type));
	scalar_value(o, type, bits);
}

static void number_rule(struct out *o, uint8_t type, const struct rule *r)
{
	static const uint8_t plain[] = { 1, 2, 3, 4, 5, 6, 7, 6 }, of_enum[] = { 1, 3, 4, 3 };
	uint32_t what = type == ENUM ? of_enum[r->what % 4] : type == BOOL ? 1 : plain[r->what % 8];
	int is_list = type == ENUM ? what >= 3 : what >= 6;

	if (type == ENUM && r->what % 16 == 15) {
		number(o, 2, 1); /* defined_only */
		return;
	}
	if ((type == DOUBLE || type == FLOAT) && r->what % 16 == 15) {
		number(o, 8, 1); /* finite */
		return;
	}
	scalar(o, what, type, bits_of(type, r->x));
	if (is_list && r->x != r->y)
		scalar(o, what, type, bits_of(type, r->y));
}

static void text_rule(struct out *o, uint8_t type, const struct rule *r)
{
	/* const, len, min_len, max_len, prefix, suffix, contains, in, not_in, pattern */
	static const uint8_t of_string[] = { 1, 19, 2, 3, 7, 8, 9, 10, 11, 6 }, of_bytes[] = { 1, 13, 2, 3, 5, 6, 7, 8, 9, 4 };
	static const uint8_t more[] = { 20, 4, 5, 23 }; /* len_bytes, min_bytes, max_bytes, not_contains */
	static const uint8_t formats[] = { 12, 13, 14, 15, 16, 17, 18, 21, 26, 27, 28, 29, 30, 31, 32 };
	static const uint8_t bytes_formats[] = { 10, 11, 12 };
	unsigned what = r->what % 16;
	const uint8_t *number_of = type == STRING ? of_string : of_bytes;

	if (what >= 14 || (what >= 10 && type == BYTES)) {
		if (type == STRING)
			number(o, formats[r->x % sizeof formats], 1);
		else
			number(o, bytes_formats[r->x % sizeof bytes_formats], 1);
	} else if (what >= 10) {
		if (what == 13)
			string(o, more[3], texts[r->x % COUNT(texts)]);
		else
			number(o, more[what - 10], r->x % 5u);
	} else if (what >= 1 && what <= 3) {
		number(o, number_of[what], r->x % 5u);
	} else {
		string(o, number_of[what],
		       what == 9 ? patterns[r->x % COUNT(patterns)] : texts[r->x % COUNT(texts)]);
		if ((what == 7 || what == 8) && r->x % COUNT(texts) != r->y % COUNT(texts))
			string(o, number_of[what], texts[r->y % COUNT(texts)]);
	}
}

/* FieldRules about one value of the type. */
static void value_rules(struct out *o, uint8_t type, const struct rule *r, int n)
{
	static const uint8_t kind[] = {
		[FLOAT] = 1, [DOUBLE] = 2, [INT32] = 3, [INT64] = 4, [UINT32] = 5, [UINT64] = 6, [SINT32] = 7, [SINT64] = 8,
		[FIXED32] = 9, [FIXED64] = 10, [SFIXED32] = 11, [SFIXED64] = 12, [BOOL] = 13, [STRING] = 14, [BYTES] = 15,
		[ENUM] = 16,
	};

	for (int i = 0; i < n; i++) {
		if (!r[i].on || type == MESSAGE)
			continue;
		size_t at = open(o, kind[type]);

		if (type == STRING || type == BYTES)
			text_rule(o, type, &r[i]);
		else
			number_rule(o, type, &r[i]);
		close(o, at);
	}
}

static void field_rules(struct out *o, const struct field *f)
{
	size_t whole, part;

	if (f->must)
		number(o, 25, 1);
	if (f->ignore)
		number(o, 27, f->ignore == 1 ? 1 : 3);
	if (f->label < REPEATED) {
		value_rules(o, f->type, f->rule, N_RULES);
		return;
	}
	whole = open(o, f->label == MAP ? 19 : 18);
	if (f->n_list) {
		number(o, 1, f->x < f->y ? f->x : f->y);
		number(o, 2, f->x < f->y ? f->y : f->x);
	}
	if (f->unique && f->label == REPEATED && f->type != MESSAGE)
		number(o, 3, 1);
	part = open(o, f->label == MAP ? 5 : 4);
	value_rules(o, f->type, f->rule, N_RULES);
	close(o, part);
	if (f->label == MAP) {
		part = open(o, 4);
		value_rules(o, f->key, &f->key_rule, 1);
		close(o, part);
	}
	close(o, whole);
}

static void type_put(struct out *o, uint8_t type, uint8_t sub)
{
	char name[] = ".p.M0";

	number(o, 5, type);
	name[3] = type == ENUM ? 'E' : 'M';
	name[4] = (char)('0' + sub);
	if (type == ENUM || type == MESSAGE)
		string(o, 6, name);
}

static void field_put(struct out *o, const struct schema *s, const struct field *f, int m, int i, unsigned *synthetic)
{
	size_t field = open(o, 2), options, rules;
	char name[] = "f0", entry[] = ".p.M0.F0Entry";
	unsigned oneof = f->oneof ? 0 : *synthetic;

	name[1] = entry[7] = (char)('0' + i);
	entry[4] = (char)('0' + m);
	string(o, 1, name);
	number(o, 3, (uint64_t)i + 1);
	number(o, 4, f->label >= REPEATED ? 3 : f->label == REQUIRED ? 2 : 1);
	if (f->label == MAP) {
		number(o, 5, MESSAGE);
		string(o, 6, entry);
	} else {
		type_put(o, f->type, f->sub);
	}
	if (s->two && f->has_default && f->label < REPEATED && f->type != MESSAGE && f->type != ENUM)
		string(o, 7, f->type == STRING || f->type == BYTES ? "ab" : f->type == BOOL ? "true" : "1");
	if (f->oneof || (f->label == EXPLICIT && !s->two && f->type != MESSAGE)) {
		number(o, 9, oneof);
		if (!f->oneof) {
			number(o, 17, 1);
			++*synthetic;
		}
	}
	options = open(o, 8);
	if (f->label == REPEATED && f->packed && f->type != STRING && f->type != BYTES && f->type != MESSAGE)
		number(o, 2, f->packed == 1);
	rules = open(o, 1159);
	field_rules(o, f);
	close(o, rules);
	close(o, options);
	close(o, field);
}

static void entry_put(struct out *o, const struct field *f, int i)
{
	size_t entry = open(o, 3), at;
	char name[] = "F0Entry";

	name[1] = (char)('0' + i);
	string(o, 1, name);
	at = open(o, 2);
	string(o, 1, "key");
	number(o, 3, 1);
	number(o, 4, 1);
	number(o, 5, f->key);
	close(o, at);
	at = open(o, 2);
	string(o, 1, "value");
	number(o, 3, 2);
	number(o, 4, 1);
	type_put(o, f->type, f->sub);
	close(o, at);
	at = open(o, 7);
	number(o, 7, 1);
	close(o, at);
	close(o, entry);
}

static void message_put(struct out *o, const struct schema *s, int m)
{
	size_t msg = open(o, 4), options, rules, one;
	char name[] = "M0", field[] = "f0";
	unsigned members = 0, synthetic, one_of = s->m[m].one_of;

	name[1] = (char)('0' + m);
	string(o, 1, name);
	for (int i = 0; i < N_FIELDS; i++) {
		members += s->m[m].f[i].on && s->m[m].f[i].oneof;
		if (!s->m[m].f[i].on)
			one_of &= ~(1u << i);
	}
	synthetic = members ? 1 : 0;
	for (int i = 0; i < N_FIELDS; i++)
		if (s->m[m].f[i].on)
			field_put(o, s, &s->m[m].f[i], m, i, &synthetic);
	for (int i = 0; i < N_FIELDS; i++)
		if (s->m[m].f[i].on && s->m[m].f[i].label == MAP)
			entry_put(o, &s->m[m].f[i], i);
	if (members) {
		one = open(o, 8);
		string(o, 1, "pick");
		options = open(o, 2);
		rules = open(o, 1159);
		number(o, 1, s->m[m].oneof_must);
		close(o, rules);
		close(o, options);
		close(o, one);
	}
	for (unsigned i = members ? 1 : 0; i < synthetic; i++) {
		char hidden[] = "_0";

		hidden[1] = (char)('0' + i);
		one = open(o, 8);
		string(o, 1, hidden);
		close(o, one);
	}
	options = open(o, 7);
	rules = open(o, 1159);
	if (one_of) {
		one = open(o, 4);
		for (int i = 0; i < N_FIELDS; i++)
			if (one_of >> i & 1) {
				field[1] = (char)('0' + i);
				string(o, 1, field);
			}
		number(o, 2, s->m[m].one_of_must);
		close(o, one);
	}
	close(o, rules);
	close(o, options);
	close(o, msg);
}

static void enum_put(struct out *o, const struct schema *s, int e)
{
	size_t en = open(o, 5), at;
	char name[] = "E0", value[] = "E0_0";

	name[1] = value[1] = (char)('0' + e);
	string(o, 1, name);
	/* proto2: the first need not be zero */
	for (unsigned k = 0; k < COUNT(numbers); k++) {
		unsigned i = s->two ? (unsigned)(COUNT(numbers) - 1 - k) : k;

		if (!(s->values[e] >> i & 1))
			continue;
		at = open(o, 2);
		value[3] = (char)('0' + i);
		string(o, 1, value);
		number(o, 2, (uint64_t)(int64_t)numbers[i]);
		close(o, at);
	}
	close(o, en);
}

static void schema_put(struct out *o, const struct schema *s)
{
	size_t file;

	o->n = 0;
	file = open(o, 1);
	string(o, 1, "p.proto");
	string(o, 2, "p");
	for (int i = 0; i < N_MSGS; i++)
		message_put(o, s, i);
	for (int i = 0; i < N_ENUMS; i++)
		enum_put(o, s, i);
	string(o, 12, s->two ? "proto2" : "proto3");
	close(o, file);
}

/* --- messages -------------------------------------------------------------------------------------------------------- */

static void message_make(struct choice *c, const struct schema *s, int m, struct out *o, int depth);

/* Often what a rule names. */
static uint8_t pick(struct choice *c, const struct rule *r)
{
	uint8_t x = byte(c);

	return !r || x < 128 ? x : x & 1 ? r->x : r->y;
}

static void value_make(struct choice *c, const struct schema *s, struct out *o, uint32_t field, uint8_t type, uint8_t sub,
		       const struct rule *r, int depth)
{
	size_t at;

	if (type == STRING || type == BYTES) {
		string(o, field, texts[pick(c, r) % COUNT(texts)]);
	} else if (type == MESSAGE) {
		at = open(o, field);
		if (depth < 3)
			message_make(c, s, sub, o, depth + 1);
		close(o, at);
	} else {
		scalar(o, field, type, bits_of(type, pick(c, r)));
	}
}

static void message_make(struct choice *c, const struct schema *s, int m, struct out *o, int depth)
{
	for (int i = 0; i < N_FIELDS; i++) {
		const struct field *f = &s->m[m].f[i];
		uint32_t n = f->label >= REPEATED ? below(c, 4) : !one_in(c, 3), tag = (uint32_t)i + 1;

		if (!f->on || o->n > MSG_MAX)
			continue;
		if (f->label == REPEATED && wire_of(f->type) != 2 && one_in(c, 2)) {
			size_t at = open(o, tag);

			for (uint32_t k = 0; k < n; k++)
				scalar_value(o, f->type, bits_of(f->type, pick(c, f->rule)));
			close(o, at);
			continue;
		}
		for (uint32_t k = 0; k < n; k++) {
			size_t at;

			if (f->label != MAP) {
				value_make(c, s, o, tag, f->type, f->sub, &f->rule[below(c, N_RULES)], depth);
				continue;
			}
			at = open(o, tag);
			if (!one_in(c, 4))
				value_make(c, s, o, 1, f->key, 0, &f->key_rule, depth);
			if (f->type == MESSAGE || !one_in(c, 4))
				value_make(c, s, o, 2, f->type, f->sub, f->rule, depth);
			close(o, at);
		}
	}
}

#endif
