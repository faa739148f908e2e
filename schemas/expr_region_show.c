/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions for people: in words, and as a message in JSON. Names come from the schema set. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "expr_impl.h"
#include "expr_region_parts.h"

struct out {
	char *at;
	size_t len, cap; /* len: what it would have been; cap 0: nothing can be written */
};

static void put(struct out *o, const char *at, size_t len)
{
	if (o->len < o->cap) {
		size_t room = o->cap - o->len;

		memcpy(o->at + o->len, at, len < room ? len : room);
	}
	o->len += len;
}

static void says(struct out *o, const char *text)
{
	put(o, text, strlen(text));
}

/* "at most 1 byte", "from 0 to 1 bytes". */
static void put_unit(struct out *o, const char *unit)
{
	static const char *const single[] = { " has 1", " least 1", " most 1" };
	int one = 0;

	for (size_t i = 0; i < sizeof single / sizeof single[0] && o->len <= o->cap; i++) {
		size_t n = strlen(single[i]);

		one |= o->len >= n && memcmp(o->at + o->len - n, single[i], n) == 0;
	}
	says(o, unit);
	says(o, one ? "" : "s");
}

/* Terminates; where it did not fit the text ends with "...". */
static void out_close(struct out *o)
{
	if (!o->cap)
		return;
	if (o->len < o->cap) {
		o->at[o->len] = '\0';
		return;
	}
	size_t end = o->cap - 1, from = end > 3 ? end - 3 : 0;

	while (from > 0 && ((uint8_t)o->at[from] & 0xc0) == 0x80)
		from--; /* no half of a character */
	if (end - from >= 3)
		memcpy(o->at + from, "...", 3);
	o->at[from + 3 < end ? from + 3 : end] = '\0';
}

static void put_num(struct out *o, reg_num x)
{
	char text[48];

	if (x > INT64_MAX)
		snprintf(text, sizeof text, "%llu", (unsigned long long)x);
	else
		snprintf(text, sizeof text, "%lld", (long long)x);
	says(o, text);
}

/* Between quotes, as JSON has it: what is no ASCII stays as it is where it is a string. */
static void put_quoted(struct out *o, const struct reg_text *t, int bytes)
{
	char hex[8];

	says(o, "\"");
	for (uint32_t i = 0; i < t->len; i++) {
		uint8_t b = (uint8_t)t->at[i];

		if (b == '"' || b == '\\')
			snprintf(hex, sizeof hex, "\\%c", b);
		else if (b < 0x20 || b == 0x7f || (bytes && b > 0x7f))
			snprintf(hex, sizeof hex, bytes ? "\\x%02x" : "\\u%04x", b);
		else
			snprintf(hex, sizeof hex, "%c", b);
		says(o, hex);
	}
	says(o, "\"");
}

static const struct sch_field *field_of(const struct sch_set *set, const struct reg_axis *a)
{
	return &set->fields[a->step[a->n - 1].field];
}

/* Where JSON is read, "-0" is often an integer, which has no sign. */
static size_t double_text(double d, char out[48])
{
	size_t n = d == 0 && signbit(d) ? (size_t)snprintf(out, 48, "-0.0") : sch_double_print(d, out);

	out[n] = '\0';
	return n;
}

/* --- in words --------------------------------------------------------------------------------------------------------- */

static void put_path(struct out *o, const struct sch_set *set, const struct reg_axis *a)
{
	says(o, a->root);
	for (uint32_t i = 0; i < a->n; i++) {
		says(o, ".");
		says(o, sch_field_name(set, a->step[i].field));
	}
}

static void put_value(struct out *o, const struct sch_set *set, const struct reg_axis *a, reg_num x)
{
	char text[REG_TIME_TEXT];
	const char *name;

	if (a->about == REG_SIZE) {
		put_num(o, x);
		return;
	}
	switch (a->kind) {
	case REG_BOOL:
		says(o, x ? "true" : "false");
		break;
	case REG_ENUM:
		name = sch_enum_value_name(set, field_of(set, a)->sub, (int32_t)x);
		if (name)
			says(o, name);
		else
			put_num(o, x);
		break;
	case REG_DOUBLE:
	case REG_FLOAT:
		double_text(reg_double(a, x), text);
		says(o, text);
		break;
	case REG_TIME:
	case REG_DURATION:
		says(o, x == REG_INVALID ? "no time at all" : reg_time_text(x, a->kind == REG_TIME, text));
		break;
	default:
		put_num(o, x);
		break;
	}
}

/* Of two doubles next to each other, is the one beyond the bound what was written? */
static int bound_outside(const struct reg_axis *a, reg_num in, reg_num beyond)
{
	char x[48], y[48];

	return (a->kind == REG_DOUBLE || a->kind == REG_FLOAT) && a->about == REG_VALUE &&
	       double_text(reg_double(a, beyond), y) < double_text(reg_double(a, in), x);
}

static int is_nan(const struct reg_axis *a, reg_num x)
{
	return a->about == REG_VALUE && (a->kind == REG_DOUBLE || a->kind == REG_FLOAT) && isnan(reg_double(a, x));
}

/* One value, where both zeros are one. */
static int is_single(const struct reg_axis *a, const struct reg_span *s)
{
	int real = (a->kind == REG_DOUBLE || a->kind == REG_FLOAT) && a->about == REG_VALUE;

	return s->lo == s->hi || (real && s->lo == -1 && s->hi == 0);
}

static void put_lower(struct out *o, const struct sch_set *set, const struct reg_axis *a, reg_num x)
{
	int outside = bound_outside(a, x, x - 1);

	says(o, outside ? "above " : "at least ");
	put_value(o, set, a, outside ? x - 1 : x);
}

static void put_upper(struct out *o, const struct sch_set *set, const struct reg_axis *a, reg_num x)
{
	int outside = bound_outside(a, x, x + 1);

	says(o, outside ? "below " : "at most ");
	put_value(o, set, a, outside ? x + 1 : x);
}

static void put_span(struct out *o, const struct sch_set *set, const struct reg_axis *a, reg_num lo, reg_num hi,
		     const struct reg_span *all)
{
	reg_num min = all->lo, max = all->hi;

	if (is_single(a, &(struct reg_span){ lo, hi })) {
		put_value(o, set, a, hi);
	} else if (lo == min) {
		put_upper(o, set, a, hi);
	} else if (hi == max) {
		put_lower(o, set, a, lo);
	} else if (bound_outside(a, lo, lo - 1) || bound_outside(a, hi, hi + 1)) {
		put_lower(o, set, a, lo);
		says(o, " and ");
		put_upper(o, set, a, hi);
	} else {
		says(o, "from ");
		put_value(o, set, a, lo);
		says(o, " to ");
		put_value(o, set, a, hi);
	}
}

/* The numbers of a cut, cut down to what compares: " from 1 to 5 or at least 10". */
static void put_spans(struct out *o, const struct sch_set *set, const struct reg_axis *a, const struct reg_spans *s)
{
	reg_num min = a->all.s[0].lo, max = a->all.s[a->all.n - 1].hi;
	int nan = 0, some = 0;

	if (a->about == REG_VALUE && (a->kind == REG_DOUBLE || a->kind == REG_FLOAT)) {
		/* NaNs stand beyond the infinities */
		min = a->kind == REG_DOUBLE ? (int64_t)sch_key_double(0xfff0000000000000) : (int64_t)sch_key_float(0xff800000);
		max = a->kind == REG_DOUBLE ? (int64_t)sch_key_double(0x7ff0000000000000) : (int64_t)sch_key_float(0x7f800000);
	} else if (max == REG_INVALID) {
		max = a->all.s[0].hi;
	}
	for (uint32_t i = 0; i < s->n; i++) {
		reg_num lo = s->s[i].lo, hi = s->s[i].hi;

		nan |= is_nan(a, lo) || is_nan(a, hi);
		if (nan) {
			lo = lo < min ? min : lo;
			hi = hi > max ? max : hi;
			if (lo > hi)
				continue;
		}
		says(o, some ? " or " : "");
		if (lo == min && hi == max)
			says(o, "any number");
		else
			put_span(o, set, a, lo, hi, &(struct reg_span){ min, max });
		some = 1;
	}
	if (nan)
		says(o, some ? " or not a number" : "not a number");
}

static void put_texts(struct out *o, const struct reg_axis *a, const struct reg_cut *c)
{
	says(o, !c->neg ? " is " : c->n == 1 ? " is not " : " is neither ");
	for (uint32_t i = 0; i < c->n; i++) {
		says(o, !i ? "" : c->neg ? " nor " : " or ");
		put_quoted(o, &c->text[i], a->kind == REG_BYTES);
	}
}

static void put_numbers(struct out *o, const struct sch_set *set, const struct reg_axis *a, const struct reg_cut *c)
{
	struct reg_mem m = { 0 };
	struct reg_spans other = reg_spans_less(&m, &a->all, &c->spans);
	uint32_t single = 0, others = 0;

	for (uint32_t i = 0; i < c->spans.n; i++)
		single += is_single(a, &c->spans.s[i]) || (is_nan(a, c->spans.s[i].lo) && is_nan(a, c->spans.s[i].hi));
	for (uint32_t i = 0; i < other.n; i++)
		others += is_single(a, &other.s[i]) ? 1 : 0;
	/* said by what is left out, where that is shorter */
	if (!m.failed && other.n && others == other.n && single < c->spans.n && c->spans.n >= other.n) {
		says(o, other.n > 1 ? " is neither " : " is not ");
		for (uint32_t i = 0; i < other.n; i++) {
			says(o, i ? " nor " : "");
			put_value(o, set, a, other.s[i].hi);
		}
	} else {
		says(o, single == c->spans.n ? " is " : " ");
		put_spans(o, set, a, &c->spans);
	}
	reg_mem_free(&m);
}

static void put_part(struct out *o, const struct sch_set *set, const struct reg_part *p)
{
	static const char *const atoms[3][2] = { { " does not start with ", " starts with " },
						 { " does not end with ", " ends with " },
						 { " does not contain ", " contains " } };
	const struct reg_axis *a = p->axis;
	int yes = reg_spans_has(&p->cut.spans, 1), no = reg_spans_has(&p->cut.spans, 0);

	if (a->n)
		put_path(o, set, a);
	switch (a->about) {
	case REG_HAS:
		says(o, yes ? " is set" : " is not set");
		break;
	case REG_VALUE:
		put_numbers(o, set, a, &p->cut);
		break;
	case REG_TEXT:
		put_texts(o, a, &p->cut);
		break;
	case REG_PREFIX:
	case REG_SUFFIX:
	case REG_CONTAINS:
		says(o, atoms[a->about - REG_PREFIX][yes]);
		put_quoted(o, &a->arg, a->kind == REG_BYTES);
		break;
	case REG_SIZE:
		says(o, " has ");
		put_spans(o, set, a, &p->cut.spans);
		put_unit(o, a->kind == REG_STRING ? " character" : a->kind == REG_BYTES ? " byte" : " element");
		break;
	default: /* REG_FALSE, REG_TRUE, REG_ERROR: what of them */
		put(o, a->arg.at, a->arg.len);
		says(o, yes && no ? " has a value" : yes ? " is true" : no ? " is false" : "");
		if (reg_spans_has(&p->cut.spans, REG_ERROR))
			says(o, yes || no ? " or has no value" : " has no value");
		break;
	}
}

const char *sch_region_describe(const struct sch_region *r, const struct sch_set *set, char *out, size_t cap)
{
	struct out o = { .at = out, .cap = cap };

	if (r->boxes.vague)
		says(&o, "more than can be told apart");
	else if (!r->boxes.n)
		says(&o, "nothing");
	for (uint32_t i = 0; i < r->boxes.n && o.len < cap; i++) {
		const struct reg_box *b = &r->boxes.box[i];

		says(&o, i ? "; or " : "");
		if (!b->n)
			says(&o, "everything");
		for (uint32_t k = 0; k < b->n; k++) {
			says(&o, k ? " and " : "");
			put_part(&o, set, &b->part[k]);
		}
	}
	out_close(&o);
	return out;
}

/* --- as a message ----------------------------------------------------------------------------------------------------- */

static void put_base64(struct out *o, const struct reg_text *t)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	says(o, "\"");
	for (uint32_t i = 0; i < t->len; i += 3) {
		uint32_t left = t->len - i, v = (uint32_t)(uint8_t)t->at[i] << 16;

		v |= left > 1 ? (uint32_t)(uint8_t)t->at[i + 1] << 8 : 0;
		v |= left > 2 ? (uint8_t)t->at[i + 2] : 0;
		for (uint32_t k = 0; k < 4; k++)
			put(o, k > left ? "=" : &digits[v >> (18 - 6 * k) & 63], 1);
	}
	says(o, "\"");
}

static void put_json(struct out *o, const struct sch_set *set, const struct reg_leaf *leaf)
{
	const struct reg_axis *a = leaf->axis;
	int quoted = 0;

	if (leaf->about == REG_TEXT) {
		if (a->kind == REG_BYTES)
			put_base64(o, &leaf->text);
		else
			put_quoted(o, &leaf->text, 0);
		return;
	}
	if (a->kind == REG_ENUM)
		quoted = sch_enum_value_name(set, field_of(set, a)->sub, (int32_t)leaf->num) != NULL;
	else if (a->kind == REG_DOUBLE || a->kind == REG_FLOAT)
		quoted = !isfinite(reg_double(a, leaf->num));
	else if (a->kind == REG_INT || a->kind == REG_UINT)
		quoted = leaf->num > 1ll << 53 || leaf->num < -(1ll << 53); /* doubles hold no more */
	else
		quoted = a->kind == REG_TIME || a->kind == REG_DURATION;
	says(o, quoted ? "\"" : "");
	put_value(o, set, a, leaf->num);
	says(o, quoted ? "\"" : "");
}

/* Some value of a list's element, of a map's value, or of a field that is only set. 0: there is none to be written. */
static int put_any(struct out *o, const struct sch_set *set, const struct sch_field *f)
{
	const char *name = f->type == SCH_T_MESSAGE ? set->names + set->messages[f->sub].name : "";
	const char *value = NULL;

	if (f->type == SCH_T_MESSAGE && sch_wrapper_field(set, f->sub) != SCH_NONE)
		return put_any(o, set, &set->fields[sch_wrapper_field(set, f->sub)]);
	switch (f->type) {
	case SCH_T_STRING:
	case SCH_T_BYTES:
		says(o, "\"\"");
		return 1;
	case SCH_T_BOOL:
		says(o, "false");
		return 1;
	case SCH_T_ENUM:
		value = sch_enum_value_name(set, f->sub, set->value_names[set->enum_names[f->sub].first].number);
		says(o, "\"");
		says(o, value ? value : "");
		says(o, "\"");
		return value != NULL;
	case SCH_T_MESSAGE:
	case SCH_T_GROUP:
		if (!strcmp(name, "google.protobuf.Value"))
			return 0;
		says(o, !strcmp(name, "google.protobuf.Timestamp")   ? "\"1970-01-01T00:00:00Z\""
			: !strcmp(name, "google.protobuf.Duration")  ? "\"0s\""
			: !strcmp(name, "google.protobuf.FieldMask") ? "\"\""
			: !strcmp(name, "google.protobuf.ListValue") ? "[]"
								     : "{}");
		return 1;
	default:
		says(o, "0");
		return 1;
	}
}

static int put_list(struct out *o, const struct sch_set *set, const struct sch_field *f, reg_num n)
{
	int map = (f->flags & SCH_F_MAP) != 0;
	const struct sch_field *entry = map ? &set->fields[set->messages[f->sub].first] : NULL;
	char key[32];

	says(o, map ? "{" : "[");
	for (reg_num i = 0; i < n; i++) {
		says(o, i ? ", " : "");
		if (map) {
			snprintf(key, sizeof key, entry->type == SCH_T_STRING ? "\"key%d\": " : "\"%d\": ", (int)i);
			says(o, entry->type == SCH_T_BOOL ? (i ? "\"true\": " : "\"false\": ") : key);
		}
		if (!put_any(o, set, map ? entry + 1 : f))
			return 0;
	}
	says(o, map ? "}" : "]");
	return 1;
}

static int put_message(struct out *o, const struct sch_set *set, const struct reg_leaf *leaf, uint32_t n)
{
	uint32_t open = 0; /* messages, below the root */
	int inside = 0;    /* the one before was opened, and nothing is in it yet */

	says(o, "{");
	for (uint32_t i = 0; i < n; i++) {
		const struct reg_axis *a = leaf[i].axis;
		uint32_t common = i ? reg_axis_common(leaf[i - 1].axis, a) : 0;
		int more = i + 1 < n && reg_axis_common(a, leaf[i + 1].axis) == a->n; /* what is in it follows */

		for (; open > common; open--)
			says(o, "}");
		says(o, i && !inside ? ", " : "");
		inside = more;
		for (; open + 1 < a->n; open++) {
			says(o, "\"");
			says(o, sch_field_name(set, a->step[open].field));
			says(o, "\": {");
		}
		says(o, "\"");
		says(o, sch_field_name(set, a->step[a->n - 1].field));
		says(o, "\": ");
		if (more) {
			says(o, "{");
			open++;
		} else if (leaf[i].about == REG_HAS) {
			if (!put_any(o, set, field_of(set, a)))
				return 0;
		} else if (leaf[i].about == REG_SIZE) {
			if (!put_list(o, set, field_of(set, a), leaf[i].num))
				return 0;
		} else {
			put_json(o, set, &leaf[i]);
		}
	}
	for (; open > 0; open--)
		says(o, "}");
	says(o, "}");
	return 1;
}

int sch_region_example(const struct sch_region *r, const struct sch_set *set, char *out, size_t cap)
{
	int found = 0;

	if (!cap)
		return 0;
	for (uint32_t i = 0; i < r->boxes.n && !found && !r->boxes.vague; i++) {
		struct reg_mem m = { 0 };
		struct reg_leaf *leaf;
		int32_t n = reg_box_example(&m, &r->boxes.box[i], &leaf);
		struct out o = { .at = out, .cap = cap };

		/* half a message would be none */
		found = n >= 0 && put_message(&o, set, leaf, (uint32_t)n) && o.len < cap;
		out[found ? o.len : 0] = '\0';
		reg_mem_free(&m);
	}
	if (!found)
		*out = '\0';
	return found;
}
