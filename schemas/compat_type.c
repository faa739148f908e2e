/* SPDX-License-Identifier: BSD-2-Clause */
/* The type and the default of a field, old and new: whether other parsers would read old bytes otherwise (the groups of
 * FIELD_WIRE_COMPATIBLE_TYPE), and whether the strict validator would refuse a value or read it as another. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat_parts.h"

static const char *const type_names[] = {
	[SCH_T_DOUBLE] = "double", [SCH_T_FLOAT] = "float", [SCH_T_INT64] = "int64", [SCH_T_UINT64] = "uint64",
	[SCH_T_INT32] = "int32", [SCH_T_FIXED64] = "fixed64", [SCH_T_FIXED32] = "fixed32", [SCH_T_BOOL] = "bool",
	[SCH_T_STRING] = "string", [SCH_T_GROUP] = "group", [SCH_T_MESSAGE] = "message", [SCH_T_BYTES] = "bytes",
	[SCH_T_UINT32] = "uint32", [SCH_T_ENUM] = "enum", [SCH_T_SFIXED32] = "sfixed32", [SCH_T_SFIXED64] = "sfixed64",
	[SCH_T_SINT32] = "sint32", [SCH_T_SINT64] = "sint64",
};

/* Types that read each other's bytes, though not always as the same value. */
static const uint8_t wire_groups[] = {
	[SCH_T_INT32] = 1, [SCH_T_INT64] = 1, [SCH_T_UINT32] = 1, [SCH_T_UINT64] = 1, [SCH_T_BOOL] = 1,
	[SCH_T_SINT32] = 2, [SCH_T_SINT64] = 2, [SCH_T_STRING] = 3, [SCH_T_BYTES] = 4, [SCH_T_FIXED32] = 5,
	[SCH_T_SFIXED32] = 5, [SCH_T_FIXED64] = 6, [SCH_T_SFIXED64] = 6, [SCH_T_DOUBLE] = 7, [SCH_T_FLOAT] = 8,
	[SCH_T_GROUP] = 9, [SCH_T_MESSAGE] = 10, [SCH_T_ENUM] = 11,
};

/* "int32" */
static const char *type_name(int type)
{
	return type >= SCH_T_DOUBLE && type <= SCH_T_SINT64 ? type_names[type] : "?";
}

int cmp_type_range(int type, __int128 *lo, __int128 *hi)
{
	switch (type) {
	case SCH_T_INT32:
	case SCH_T_SINT32:
	case SCH_T_SFIXED32:
		*lo = INT32_MIN;
		*hi = INT32_MAX;
		return 1;
	case SCH_T_INT64:
	case SCH_T_SINT64:
	case SCH_T_SFIXED64:
		*lo = INT64_MIN;
		*hi = INT64_MAX;
		return 1;
	case SCH_T_UINT32:
	case SCH_T_FIXED32:
		*lo = 0;
		*hi = UINT32_MAX;
		return 1;
	case SCH_T_UINT64:
	case SCH_T_FIXED64:
		*lo = 0;
		*hi = UINT64_MAX;
		return 1;
	case SCH_T_BOOL:
		*lo = 0;
		*hi = 1;
		return 1;
	default:
		return 0;
	}
}

/* --- enums of different names -------------------------------------------------------------------------------------- */

static int value_order(const void *a, const void *b)
{
	const fd_value_t *x = *(const fd_value_t *const *)a, *y = *(const fd_value_t *const *)b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int values_make(struct cmp_check *c, struct cmp_enum *e)
{
	if (e->values)
		return 1;
	e->values = calloc(e->d->n_value + 1, sizeof *e->values);
	if (!e->values) {
		c->rc = -ENOMEM;
		return 0;
	}
	for (size_t i = 0; i < e->d->n_value; i++)
		e->values[i] = e->d->value[i];
	qsort(e->values, e->d->n_value, sizeof *e->values, value_order);
	return 1;
}

/* Does the new enum have all names and numbers of the old one? The last answer is kept, because many fields may ask; where
 * fields ask about ever other enums, the work is bounded and the answer then no. */
static int enum_is_part(struct cmp_check *c, uint32_t old, uint32_t now)
{
	struct cmp_enum *x = CMP_ENUM(&c->old, old), *y = CMP_ENUM(&c->now, now);
	size_t i = 0, k = 0, n = x->d->n_value, m = y->d->n_value;

	if (x->asked == now)
		return x->answer;
	if (n > m || !values_make(c, x) || !values_make(c, y) || !cmp_spend(c, n + m))
		return 0;
	while (i < n && k < m) {
		int order = value_order(&x->values[i], &y->values[k]);

		if (order < 0)
			break;
		i += order == 0;
		k++;
	}
	x->asked = now;
	x->answer = i == n;
	return x->answer;
}

static const char *short_name(const char *full)
{
	const char *dot = strrchr(full, '.');

	return dot ? dot + 1 : full;
}

/* --- types -------------------------------------------------------------------------------------------------------- */

static struct cmp_tell tell_of(struct cmp_check *c, const struct cmp_pair *p, enum sch_compat_rule rule, const char *keep)
{
	return (struct cmp_tell){ .rule = rule, .name = p->name, .old = cmp_spot_field(&c->old, p->old),
				.now = cmp_spot_field(&c->now, p->now), .keep = keep };
}

static int names_check(struct cmp_check *c, const struct cmp_pair *p)
{
	struct cmp_tell t = tell_of(c, p, SCH_C_FIELD_WIRE_COMPATIBLE_TYPE, "keep the type, or add a new field for the other");
	const char *was = p->d->type_name + 1, *is = p->e->type_name + 1; /* the compiler saw to the dot */

	if (strcmp(was, is) == 0 || p->f->flags & p->g->flags & SCH_F_MAP)
		return 1;
	if (p->f->type == SCH_T_ENUM && strcmp(short_name(was), short_name(is)) == 0) {
		uint32_t old = cmp_enum_find(&c->old, was), now = cmp_enum_find(&c->now, is);

		if (old != SCH_NONE && now != SCH_NONE && enum_is_part(c, old, now))
			return 1;
		t.keep = "keep the enum, or move it with all its values";
	}
	cmp_tell(c, &t, "its type was %.200s and is %.200s", was, is);
	return 0;
}

static void number_text(char out[48], __int128 v)
{
	if (v < 0)
		snprintf(out, 48, "%lld", (long long)v);
	else
		snprintf(out, 48, "%llu", (unsigned long long)v);
}

/* The numbers between which the old field's values lie, by its type and, where they always apply, its rules. 0: it is no
 * integer. */
static int old_range(const struct cmp_check *c, const struct cmp_pair *p, __int128 *lo, __int128 *hi)
{
	if (!cmp_is_integer(p->f->type))
		return 0;
	if (c->unruled[CMP_MSG(&c->old, p->old->msg)->type])
		return cmp_type_range(p->f->type, lo, hi);
	struct cmp_known k = cmp_known_make(c->old.set, p->f);

	*lo = k.zero_ok && k.lo > 0 ? 0 : k.lo;
	*hi = k.zero_ok && k.hi < 0 ? 0 : k.hi;
	return 1;
}

/* Every value that the old field accepted must fit the new type, and then it is the same number. */
static int narrow_check(struct cmp_check *c, const struct cmp_pair *p)
{
	struct cmp_tell t = tell_of(c, p, SCH_C_STRICT_TYPE_NARROWED,
				  "keep the type, or bound the field by a rule first, until nobody sends other values");
	__int128 lo, hi, low, high;
	char from[48], to[48];

	if (p->f->type != p->g->type && old_range(c, p, &lo, &hi) && cmp_type_range(p->g->type, &low, &high) &&
	    (lo < low || hi > high)) {
		number_text(from, lo < low ? lo : high + 1);
		number_text(to, hi > high ? hi : low - 1);
		cmp_tell(c, &t, "its type was %s and is %s: from %s to %s there are values that are refused or read as others",
		       type_name(p->f->type), type_name(p->g->type), from, to);
		return 0;
	}
	t.keep = "keep the list";
	if (p->g->flags & ~p->f->flags & SCH_F_MAP)
		cmp_tell(c, &t, "was a list and is a map: two entries with one key are refused");
	t.keep = "let the field's rules say which numbers it may have, as before";
	if (p->f->type == SCH_T_ENUM && p->f->flags & ~p->g->flags & SCH_F_OPEN) {
		struct cmp_known old = cmp_known_make(c->old.set, p->f), now = cmp_known_make(c->now.set, p->g);

		if (!cmp_numbers_defined(c, &old, &now))
			cmp_tell(c, &t, "accepted numbers that its enum does not have: they are refused now");
	}
	return 1;
}

int cmp_type_check(struct cmp_check *c, const struct cmp_pair *p)
{
	int was = p->f->type, is = p->g->type;
	struct cmp_tell t = tell_of(c, p, SCH_C_FIELD_WIRE_COMPATIBLE_TYPE, "keep the type, or add a new field for the other");

	if (wire_groups[was] != wire_groups[is] && !(was == SCH_T_STRING && is == SCH_T_BYTES)) {
		cmp_tell(c, &t, "its type was %s and is %s%s", type_name(was), type_name(is),
		       was == SCH_T_BYTES && is == SCH_T_STRING ? ": bytes that are not UTF-8 are refused" : "");
		return 0;
	}
	if ((was == SCH_T_ENUM || was == SCH_T_MESSAGE || was == SCH_T_GROUP) && !names_check(c, p))
		return 0;
	return p->old->extension || narrow_check(c, p);
}

/* --- defaults ----------------------------------------------------------------------------------------------------- */

/* The bytes that a bytes field's default stands for: C escapes, as protoc writes them. At most as long as the text. */
static size_t unescape(const char *text, uint8_t *out)
{
	size_t n = 0;

	for (const char *p = text; *p;) {
		if (*p != '\\' || !p[1]) {
			out[n++] = (uint8_t)*p++;
			continue;
		}
		static const char escapes[] = "abfnrtv\\'\"?", values[] = "\a\b\f\n\r\t\v\\'\"?";
		const char *e = strchr(escapes, p[1]);
		unsigned v = 0;

		p++;
		if (*p >= '0' && *p <= '7') {
			for (int i = 0; i < 3 && *p >= '0' && *p <= '7'; i++)
				v = v * 8 + (unsigned)(*p++ - '0');
			out[n++] = (uint8_t)v;
		} else if (*p == 'x' || *p == 'X') {
			char hex[3] = { 0 };
			int i = 0;

			p++;
			for (; i < 2 && strchr("0123456789abcdefABCDEF", *p) && *p; i++)
				hex[i] = *p++;
			out[n++] = (uint8_t)strtoul(hex, NULL, 16);
		} else {
			out[n++] = (uint8_t)(e ? values[e - escapes] : *p);
			p++;
		}
	}
	return n;
}

/* 1 where both defaults, of a string or bytes each, are the same bytes. */
static int texts_same(struct cmp_check *c, const char *a, int a_escaped, const char *b, int b_escaped)
{
	size_t n = strlen(a), m = strlen(b);
	uint8_t *x = malloc(n + 1), *y = malloc(m + 1);
	int same = 0;

	if (x && y) {
		if (a_escaped)
			n = unescape(a, x);
		else
			memcpy(x, a, n);
		if (b_escaped)
			m = unescape(b, y);
		else
			memcpy(y, b, m);
		same = n == m && memcmp(x, y, n) == 0;
	} else {
		c->rc = -ENOMEM;
	}
	free(x);
	free(y);
	return same;
}

static const fd_enum_t *enum_of(const struct cmp_side *s, const fd_field_t *d)
{
	return CMP_ENUM(s, cmp_enum_find(s, d->type_name + 1))->d; /* the set compiled: it is there */
}

/* A default as a number; a long double holds every integer and double of the language. An absent enum field means the
 * enum's first value. 0: too much work. */
static int number_of(struct cmp_check *c, const struct cmp_side *s, const fd_field_t *d, int type, long double *out)
{
	const char *text = d->default_value;
	char *end;

	if (type == SCH_T_ENUM) {
		const fd_enum_t *e = enum_of(s, d);

		*out = e->value[0]->number;
		if (text && !cmp_spend(c, e->n_value))
			return 0;
		for (size_t i = 0; text && i < e->n_value; i++)
			if (strcmp(e->value[i]->name, text) == 0)
				*out = e->value[i]->number;
	} else if (!text) {
		*out = 0;
	} else if (type == SCH_T_BOOL) {
		*out = strcmp(text, "true") == 0;
	} else if (type == SCH_T_FLOAT) {
		*out = strtof(text, &end);
	} else if (type == SCH_T_DOUBLE) {
		*out = strtod(text, &end);
	} else {
		*out = text[0] == '-' ? (long double)strtoll(text, &end, 10) : (long double)strtoull(text, &end, 10);
	}
	return 1;
}

static int numbers_same(struct cmp_check *c, const struct cmp_pair *p)
{
	long double a, b;

	if (!number_of(c, &c->old, p->d, p->f->type, &a) || !number_of(c, &c->now, p->e, p->g->type, &b))
		return 0;
	if (p->f->type == SCH_T_FLOAT || p->g->type == SCH_T_FLOAT) { /* as far as the narrower one can tell */
		a = (float)a;
		b = (float)b;
	}
	if (isnan(a) || isnan(b))
		return isnan(a) && isnan(b);
	return !(a < b || a > b);
}

static int is_text(int type)
{
	return type == SCH_T_STRING || type == SCH_T_BYTES;
}

static const char *default_text(const struct cmp_side *s, const fd_field_t *d, int type)
{
	if (d->default_value)
		return d->default_value;
	return type == SCH_T_ENUM ? enum_of(s, d)->value[0]->name : is_text(type) ? "empty" : "zero";
}

void cmp_default_check(struct cmp_check *c, const struct cmp_pair *p)
{
	int was = p->f->type, is = p->g->type, same;
	struct cmp_tell t = tell_of(c, p, SCH_C_FIELD_SAME_DEFAULT, "keep the default: absent fields mean it");

	if ((p->f->flags | p->g->flags) & SCH_F_REPEATED || was == SCH_T_MESSAGE || was == SCH_T_GROUP ||
	    is == SCH_T_MESSAGE || is == SCH_T_GROUP)
		return;
	if (is_text(was) != is_text(is)) /* the type was told already */
		return;
	if (is_text(was))
		same = texts_same(c, p->d->default_value ? p->d->default_value : "", was == SCH_T_BYTES,
				  p->e->default_value ? p->e->default_value : "", is == SCH_T_BYTES);
	else
		same = numbers_same(c, p);
	if (!same)
		cmp_tell(c, &t, "its default was %.150s and is %.150s", default_text(&c->old, p->d, was),
		       default_text(&c->now, p->e, is));
}
