/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests and the fuzzer of regions: expressions over region.Order made of random choices, messages of it, what
 * describes one message exactly, and a message from the JSON of an example. */
#ifndef TEST_REGION_RANDOM_H
#define TEST_REGION_RANDOM_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "schemas/schema.h"

struct random {
	uint64_t state;
	const uint8_t *at; /* choices made by someone else; NULL: by the state */
	size_t left;
};

static inline uint32_t pick(struct random *r, uint32_t n)
{
	uint64_t x;

	if (r->at) {
		if (!r->left)
			return 0;
		r->left--;
		return *r->at++ % n;
	}
	/* splitmix64 */
	x = r->state += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return (uint32_t)((x ^ x >> 31) % n);
}

struct text {
	char at[4096];
	size_t n;
};

static inline void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->n += (size_t)vsnprintf(t->at + t->n, sizeof t->at - t->n, fmt, ap);
	va_end(ap);
	if (t->n >= sizeof t->at)
		t->n = sizeof t->at - 1;
}

/* --- expressions
 * ------------------------------------------------------------------------------------------------------ */

static const char *const random_texts[] = {"", "a", "b", "ab", "ba", "abc", "\xc3\xa9"};
static const char *const random_doubles[] = {"0.0", "1.0", "-1.0", "2.5", "-0.0", "0.1", "1e300"};

#define PICK(r, list) ((list)[pick((r), sizeof(list) / sizeof *(list))])

static inline void random_atom(struct random *r, struct text *t)
{
	static const char *const ops[] = {"==", "!=", "<", "<=", ">", ">="};
	static const char *const ints[] = {"this.amount",  "this.big",		 "this.level",
					   "this.place.x", "this.place.inner.x", "this.cash",
					   "this.shop.x",  "this.boxed",	 "int(size(this.note))"};
	static const char *const strings[] = {"this.note", "this.tag", "this.card", "this.word", "this.place.name"};
	static const char *const presence[] = {
		"level", "tag", "place", "place.inner", "place.name", "parts", "cash", "card", "shop", "shop.inner", "at", "wait",
		"boxed", "maybe", "word", "amount", "note", "urgent", "currency", "marks", "place.x", "price", "rate"
	};
	static const char *const atoms[] = {"startsWith", "endsWith", "contains"};
	static const char *const opaque[] = {
	    "this.amount < this.level", "this.level > this.amount",  "this.amount / this.cash > 0",
	    "this.price == this.price", "this.note == this.tag",     "this.parts.exists(p, p > 1)",
	    "this.note.matches('^a')",	"this.boxed == this.amount", "this.maybe == this.urgent",
	    "this.amount + 1 > 2",	"this.note < this.tag",	     "this.parts == [1]"};
	int32_t c = (int32_t)pick(r, 6) - 2;

	switch (pick(r, 20)) {
	case 0:
	case 1:
	case 2:
		add(t, "%s %s %d", PICK(r, ints), PICK(r, ops), c);
		break;
	case 3:
		add(t, "this.count %s %du", PICK(r, ops), c < 0 ? 0 : c);
		break;
	case 4:
		add(t, "this.huge %s %su", PICK(r, ops), c < 0 ? "18446744073709551615" : c ? "1" : "0");
		break;
	case 5:
		add(t, c & 1 ? "this.urgent" : "this.urgent == %s", c > 0 ? "true" : "false");
		break;
	case 6:
		add(t, "this.currency %s %d", PICK(r, ops), c + 1);
		break;
	case 7:
		add(t, "this.%s %s %s", c & 1 ? "price" : "rate", PICK(r, ops), PICK(r, random_doubles));
		break;
	case 8:
	case 9:
		add(t, "%s %s '%s'", PICK(r, strings), c & 1 ? "==" : "!=", PICK(r, random_texts));
		break;
	case 10:
		add(t, "%s in ['%s', '%s']", PICK(r, strings), PICK(r, random_texts), PICK(r, random_texts));
		break;
	case 11:
	case 12:
		add(t, "%s.%s('%s')", PICK(r, strings), PICK(r, atoms), PICK(r, random_texts));
		break;
	case 13:
		add(t, "size(this.%s) %s %d",
		    c == 0   ? "note"
		    : c == 1 ? "data"
		    : c == 2 ? "word"
			     : "parts",
		    PICK(r, ops), c);
		break;
	case 14:
	case 15:
		add(t, "has(this.%s)", PICK(r, presence));
		break;
	case 16:
		add(t, "this.at %s timestamp('1970-01-01T00:00:0%dZ')", PICK(r, ops), c < 0 ? 0 : c);
		break;
	case 17:
		add(t, "this.wait %s duration('%ds')", PICK(r, ops), c);
		break;
	case 18:
		if (c & 1)
			add(t, "this.%s == null", c < 0 ? "boxed" : c == 1 ? "maybe" : "word");
		else
			add(t, "%s in [%d, %d]", PICK(r, ints), c, c + 2);
		break;
	default:
		add(t, "%s", PICK(r, opaque));
		break;
	}
}

static inline void random_expression(struct random *r, struct text *t, uint32_t depth)
{
	uint32_t kind = depth ? pick(r, 8) : 7;

	add(t, "(");
	if (kind < 3) {
		random_expression(r, t, depth - 1);
		add(t, " && ");
		random_expression(r, t, depth - 1);
	} else if (kind < 5) {
		random_expression(r, t, depth - 1);
		add(t, " || ");
		random_expression(r, t, depth - 1);
	} else if (kind == 5) {
		add(t, "!");
		random_expression(r, t, depth - 1);
	} else if (kind == 6) {
		random_expression(r, t, depth - 1);
		add(t, pick(r, 2) ? " ? " : " == ");
		if (t->at[t->n - 2] == '?') {
			random_expression(r, t, depth - 1);
			add(t, " : ");
		}
		random_expression(r, t, depth - 1);
	} else {
		random_atom(r, t);
	}
	add(t, ")");
}

/* --- messages
 * --------------------------------------------------------------------------------------------------------- */

struct bytes {
	uint8_t at[4096 + SCH_PAD];
	uint32_t n;
};

static inline void put_varint(struct bytes *b, uint64_t v)
{
	while (v >= 0x80 && b->n < 4000) {
		b->at[b->n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	b->at[b->n++] = (uint8_t)v;
}

static inline void put_number(struct bytes *b, uint32_t number, uint64_t v)
{
	put_varint(b, number << 3);
	put_varint(b, v);
}

static inline void put_block(struct bytes *b, uint32_t number, const void *at, uint32_t n)
{
	put_varint(b, number << 3 | 2);
	put_varint(b, n);
	if (n && b->n + n <= 4096) {
		memcpy(b->at + b->n, at, n);
		b->n += n;
	}
}

static inline void put_double(struct bytes *b, uint32_t number, double d)
{
	put_varint(b, number << 3 | 1);
	memcpy(b->at + b->n, &d, 8);
	b->n += 8;
}

static inline void put_float(struct bytes *b, uint32_t number, float f)
{
	put_varint(b, number << 3 | 5);
	memcpy(b->at + b->n, &f, 4);
	b->n += 4;
}

/* What pins a number down; name is its path. */
static inline int32_t random_int(struct random *r, struct bytes *b, uint32_t number, const char *name, struct text *pin)
{
	int32_t v = (int32_t)pick(r, 6) - 2;

	add(pin, " && %s == %d", name, v);
	put_number(b, number, (uint64_t)(int64_t)v);
	return v;
}

static inline void random_string(struct random *r, struct bytes *b, uint32_t number, const char *name, struct text *pin)
{
	const char *v = PICK(r, random_texts);

	add(pin, " && %s == '%s'", name, v);
	put_block(b, number, v, (uint32_t)strlen(v));
}

static inline void random_place(struct random *r, struct bytes *b, uint32_t number, const char *name, struct text *pin,
				int deep)
{
	struct bytes in = {.n = 0};
	char path[80];

	add(pin, " && has(%s)", name);
	snprintf(path, sizeof path, "%s.x", name);
	if (pick(r, 2))
		random_int(r, &in, 1, path, pin);
	else
		add(pin, " && %s == 0", path);
	snprintf(path, sizeof path, "%s.name", name);
	add(pin, pick(r, 2) ? " && has(%s)" : " && !has(%s)", path);
	if (pin->at[pin->n - strlen(path) - 6] != '!')
		random_string(r, &in, 2, path, pin);
	snprintf(path, sizeof path, "%s.inner", name);
	if (deep && pick(r, 2))
		random_place(r, &in, 3, path, pin, 0);
	else
		add(pin, " && !has(%s)", path);
	put_block(b, number, in.at, in.n);
}

/* A message, fields in order; pin: an expression that is true of it, and of no message that differs in what is asked.
 */
static inline void random_message(struct random *r, struct bytes *b, struct text *pin)
{
	static const double doubles[] = {0, 1, -1, 2.5, -0.0, 0.1, 1e300, INFINITY};
	static const uint8_t currencies[] = {0, 1, 2, 5};
	struct bytes in = {.n = 0};
	uint32_t k;
	double d;

	b->n = 0;
	pin->n = 0;
	add(pin, "true");
	if (pick(r, 2))
		random_int(r, b, 1, "this.amount", pin);
	else
		add(pin, " && this.amount == 0");
	k = pick(r, 4);
	put_number(b, 2, k);
	add(pin, " && this.count == %uu", k);
	random_int(r, b, 3, "this.big", pin);
	k = pick(r, 3);
	put_number(b, 4, k == 2 ? UINT64_MAX : k);
	add(pin, " && this.huge == %su", k == 2 ? "18446744073709551615" : k ? "1" : "0");
	k = pick(r, 2);
	put_number(b, 5, k);
	add(pin, " && this.urgent == %s", k ? "true" : "false");
	k = PICK(r, currencies);
	put_number(b, 6, k);
	add(pin, " && this.currency == %u", k);
	k = pick(r, 9);
	d = k < 8 ? doubles[k] : NAN;
	put_double(b, 7, d);
	if (k == 8)
		add(pin, " && !(this.price < 0.0) && !(this.price >= 0.0)");
	else if (k == 7)
		add(pin, " && this.price > 1.7976931348623157e308");
	else
		add(pin, " && this.price == %.17e && %shas(this.price)", d, k ? "" : "!"); /* minus zero is set */
	k = pick(r, 3);
	put_float(b, 8, (float)k / 2);
	add(pin, " && this.rate == %u.%u && %shas(this.rate)", k / 2, k % 2 * 5, k ? "" : "!");
	random_string(r, b, 9, "this.note", pin);
	k = pick(r, 4);
	put_block(b, 10, "\xff\0a", k < 3 ? k : 3);
	add(pin, " && size(this.data) == %u", k);
	add(pin, " && %shas(this.level)", (k = pick(r, 2)) ? "" : "!");
	if (k)
		random_int(r, b, 11, "this.level", pin);
	add(pin, " && %shas(this.tag)", (k = pick(r, 2)) ? "" : "!");
	if (k)
		random_string(r, b, 12, "this.tag", pin);
	if (pick(r, 2))
		random_place(r, b, 13, "this.place", pin, 1);
	else
		add(pin, " && !has(this.place)");
	k = pick(r, 4);
	for (uint32_t i = 0; i < k; i++)
		put_varint(&in, i);
	if (k)
		put_block(b, 14, in.at, in.n);
	add(pin, " && size(this.parts) == %u && size(this.marks) == 0", k);
	k = pick(r, 4);
	add(pin, " && %shas(this.cash) && %shas(this.card) && %shas(this.shop)", k == 1 ? "" : "!", k == 2 ? "" : "!",
	    k == 3 ? "" : "!");
	if (k == 1)
		random_int(r, b, 16, "this.cash", pin);
	else if (k == 2)
		random_string(r, b, 17, "this.card", pin);
	else if (k == 3)
		random_place(r, b, 18, "this.shop", pin, 1);
	for (uint32_t i = 0; i < 2; i++) {
		const char *name = i ? "wait" : "at";

		add(pin, " && %shas(this.%s)", (k = pick(r, 2)) ? "" : "!", name);
		if (!k)
			continue;
		in.n = 0;
		k = pick(r, 4);
		put_number(&in, 1, k);
		put_block(b, 19 + i, in.at, in.n);
		add(pin, i ? " && this.wait == duration('%us')" : " && this.at == timestamp('1970-01-01T00:00:0%uZ')",
		    k);
	}
	in.n = 0;
	if (pick(r, 2)) {
		random_int(r, &in, 1, "this.boxed", pin);
		put_block(b, 21, in.at, in.n);
	} else {
		add(pin, " && this.boxed == null");
	}
	k = pick(r, 3);
	add(pin, " && this.maybe == %s", k == 2 ? "null" : k ? "true" : "false");
	in.n = 0;
	put_number(&in, 1, k);
	if (k < 2)
		put_block(b, 22, in.at, in.n);
	in.n = 0;
	if (pick(r, 2)) {
		random_string(r, &in, 1, "this.word", pin);
		put_block(b, 23, in.at, in.n);
	} else {
		add(pin, " && this.word == null");
	}
}

/* --- from an example's JSON
 * ------------------------------------------------------------------------------------------- */

enum {
	J_INT,
	J_UINT,
	J_BOOL,
	J_ENUM,
	J_DOUBLE,
	J_FLOAT,
	J_STRING,
	J_BYTES,
	J_PLACE,
	J_LIST,
	J_MAP,
	J_TIME,
	J_DURATION,
	J_BOXED_INT,
	J_BOXED_BOOL,
	J_BOXED_STRING
};

static inline double json_double(const json_t *v)
{
	const char *s = json_string_value(v);

	if (!s)
		return json_number_value(v);
	return !strcmp(s, "NaN") ? NAN : !strcmp(s, "Infinity") ? INFINITY : -INFINITY;
}

static inline uint64_t json_int(const json_t *v)
{
	const char *s = json_string_value(v);

	if (!s)
		return (uint64_t)json_integer_value(v);
	return *s == '-' ? (uint64_t)strtoll(s, NULL, 10) : strtoull(s, NULL, 10);
}

static inline int json_currency(const char *s)
{
	return !strcmp(s, "EUR") ? 1 : !strcmp(s, "USD") ? 2 : !strcmp(s, "CHF") ? 5 : 0;
}

/* Seconds and nanoseconds of 1970-01-01T..., which all tests' times are near, or of a duration. 0: not understood. */
static inline int json_time(const char *s, struct bytes *out)
{
	int hour, minute, second, end = 0;
	long long whole = 0, nanos = 0;
	const char *rest;

	if (sscanf(s, "1970-01-01T%d:%d:%d%n", &hour, &minute, &second, &end) == 3 && end)
		whole = hour * 3600 + minute * 60 + second;
	else if (sscanf(s, "%lld%n", &whole, &end) != 1 || strchr(s, 'T'))
		return !strcmp(s, "0001-01-01T00:00:00Z") ? put_number(out, 1, (uint64_t)-62135596800), 1 : 0;
	rest = s + end;
	if (*rest == '.') {
		int digits = 0;

		for (rest++; *rest >= '0' && *rest <= '9'; rest++, digits++)
			nanos = nanos * 10 + (*rest - '0');
		for (; digits < 9; digits++)
			nanos *= 10;
	}
	if (*s == '-')
		nanos = -nanos;
	put_number(out, 1, (uint64_t)whole);
	put_number(out, 2, (uint64_t)nanos);
	return 1;
}

/* Returns 0 where something in it is not understood. */
static inline int json_message(const json_t *object, struct bytes *b, int place)
{
	static const struct {
		const char *name;
		uint8_t number, what;
	} order[] = {{"amount", 1, J_INT},	  {"count", 2, J_UINT},	       {"big", 3, J_INT},
		     {"huge", 4, J_UINT},	  {"urgent", 5, J_BOOL},       {"currency", 6, J_ENUM},
		     {"price", 7, J_DOUBLE},	  {"rate", 8, J_FLOAT},	       {"note", 9, J_STRING},
		     {"data", 10, J_BYTES},	  {"level", 11, J_INT},	       {"tag", 12, J_STRING},
		     {"place", 13, J_PLACE},	  {"parts", 14, J_LIST},       {"marks", 15, J_MAP},
		     {"cash", 16, J_INT},	  {"card", 17, J_STRING},      {"shop", 18, J_PLACE},
		     {"at", 19, J_TIME},	  {"wait", 20, J_DURATION},    {"boxed", 21, J_BOXED_INT},
		     {"maybe", 22, J_BOXED_BOOL}, {"word", 23, J_BOXED_STRING}},
	  places[] = {{"x", 1, J_INT}, {"name", 2, J_STRING}, {"inner", 3, J_PLACE}};
	size_t n = place ? 3 : sizeof order / sizeof order[0], known = 0;

	for (size_t i = 0; i < n; i++) {
		const char *name = place ? places[i].name : order[i].name;
		uint32_t number = place ? places[i].number : order[i].number;
		const json_t *v = json_object_get(object, name);
		struct bytes in = {.n = 0};

		if (!v)
			continue;
		known++;
		switch (place ? places[i].what : order[i].what) {
		case J_INT:
		case J_UINT:
			put_number(b, number, json_int(v));
			break;
		case J_BOOL:
			put_number(b, number, (uint64_t)json_is_true(v));
			break;
		case J_ENUM:
			put_number(b, number, (uint64_t)json_currency(json_string_value(v)));
			break;
		case J_DOUBLE:
			put_double(b, number, json_double(v));
			break;
		case J_FLOAT:
			put_float(b, number, (float)json_double(v));
			break;
		case J_STRING:
			put_block(b, number, json_string_value(v), (uint32_t)json_string_length(v));
			break;
		case J_BYTES: /* only their size is asked: groups of four digits, the last one padded */
			for (const char *s = json_string_value(v); *s; s += 4)
				in.n += s[2] == '=' ? 1 : s[3] == '=' ? 2 : 3;
			put_block(b, number, in.at, in.n);
			break;
		case J_PLACE:
			if (!json_message(v, &in, 1))
				return 0;
			put_block(b, number, in.at, in.n);
			break;
		case J_LIST:
			in.n = (uint32_t)json_array_size(v);
			if (in.n)
				put_block(b, number, in.at, in.n);
			break;
		case J_MAP:
			for (size_t k = 0; k < json_object_size(v); k++) {
				put_varint(b, number << 3 | 2);
				put_varint(b, 3);
				put_block(b, 1, &"abcdefgh"[k % 8], 1);
			}
			break;
		case J_TIME:
		case J_DURATION:
			if (!json_time(json_string_value(v), &in))
				return 0;
			put_block(b, number, in.at, in.n);
			break;
		case J_BOXED_INT:
			put_number(&in, 1, json_int(v));
			put_block(b, number, in.at, in.n);
			break;
		case J_BOXED_BOOL:
			put_number(&in, 1, (uint64_t)json_is_true(v));
			put_block(b, number, in.at, in.n);
			break;
		default:
			put_block(&in, 1, json_string_value(v), (uint32_t)json_string_length(v));
			put_block(b, number, in.at, in.n);
			break;
		}
	}
	return known == json_object_size(object);
}

#endif
