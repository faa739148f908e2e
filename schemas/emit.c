/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiler's last pass: checked lists become flat tables in one allocation. Nothing is checked here any more,
 * sizes apart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "formats.h"

#define LINE 64u          /* each table starts on a cache line: a field fills one */
#define ENDS 2u           /* fields of SCH_OP_NONE that follow each message's */
#define DIRECT_ALWAYS 64u /* numbers up to here are worth a direct table, however few fields there are */

/* How many numbers, from 0, the direct table of a message holds. */
static uint32_t direct_size(const struct build *b, const struct b_message *m)
{
	if (m->n_fields == 0)
		return 0;
	uint32_t highest = (uint32_t)B_FIELD(b, m->first + m->n_fields - 1)->d->number;
	uint32_t limit = m->n_fields * 4 > DIRECT_ALWAYS ? m->n_fields * 4 : DIRECT_ALWAYS;

	return highest < limit ? highest + 1 : limit;
}

static uint32_t words_of(const struct b_message *m)
{
	return m->n_slots > 64 ? (m->n_slots + 63) / 64 : 1;
}

struct cut {
	uint8_t *at;
	size_t used;
};

/* Cuts the next part from the one allocation; with at NULL it only measures. */
static void *cut_next(struct cut *c, size_t n, size_t size)
{
	void *p = c->at ? c->at + c->used : NULL;

	c->used += (n * size + LINE - 1) & ~(size_t)(LINE - 1);
	return p;
}

struct parts {
	struct sch_set *set;
	struct sch_message *messages;
	struct sch_field *fields;
	struct sch_enum *enums;
	struct sch_method *methods;
	uint64_t *must;
	struct sch_bound *bounds;
	int32_t *values;
	uint32_t *by_name, *enums_by_name;
	struct sch_enum_names *enum_names;
	struct sch_value_name *value_names;
	struct sch_default *defaults;
	uint16_t *direct;
	struct sch_rule *rules;
	uint8_t *pool;
	struct sch_pattern **patterns;
	struct sch_asked *exprs;
	char *names;
	uint32_t used; /* bytes of names */
};

static void parts_cut(struct parts *p, const struct sch_set *n, struct cut *c)
{
	p->set = cut_next(c, 1, sizeof *p->set);
	p->messages = cut_next(c, n->n_messages, sizeof *p->messages);
	p->fields = cut_next(c, n->n_fields, sizeof *p->fields);
	p->enums = cut_next(c, n->n_enums, sizeof *p->enums);
	p->methods = cut_next(c, n->n_methods, sizeof *p->methods);
	p->must = cut_next(c, n->n_must, sizeof *p->must);
	p->bounds = cut_next(c, n->n_bounds, sizeof *p->bounds);
	p->values = cut_next(c, n->n_values, sizeof *p->values);
	p->by_name = cut_next(c, n->n_messages, sizeof *p->by_name);
	p->enums_by_name = cut_next(c, n->n_enums, sizeof *p->enums_by_name);
	p->enum_names = cut_next(c, n->n_enums, sizeof *p->enum_names);
	p->value_names = cut_next(c, n->n_value_names, sizeof *p->value_names);
	p->defaults = cut_next(c, n->n_defaults, sizeof *p->defaults);
	p->direct = cut_next(c, n->n_direct, sizeof *p->direct);
	p->rules = cut_next(c, n->n_rules, sizeof *p->rules);
	p->pool = cut_next(c, n->n_pool, 1);
	p->patterns = cut_next(c, n->n_patterns, sizeof *p->patterns);
	p->exprs = cut_next(c, n->n_exprs, sizeof *p->exprs);
	p->names = cut_next(c, n->n_names, 1);
}

/* How an element of each type stands on the wire, and how the strict loop reads it. */
static const struct {
	uint8_t wire, op;
} type_table[] = {
	[SCH_T_DOUBLE] = { SCH_W_FIXED64, SCH_OP_DOUBLE },
	[SCH_T_FLOAT] = { SCH_W_FIXED32, SCH_OP_FLOAT },
	[SCH_T_INT64] = { SCH_W_VARINT, SCH_OP_VARINT },
	[SCH_T_UINT64] = { SCH_W_VARINT, SCH_OP_VARINT },
	[SCH_T_INT32] = { SCH_W_VARINT, SCH_OP_VARINT },
	[SCH_T_FIXED64] = { SCH_W_FIXED64, SCH_OP_FIXED64 },
	[SCH_T_FIXED32] = { SCH_W_FIXED32, SCH_OP_FIXED32 },
	[SCH_T_BOOL] = { SCH_W_VARINT, SCH_OP_SMALL },
	[SCH_T_STRING] = { SCH_W_LEN, SCH_OP_STRING },
	[SCH_T_GROUP] = { SCH_W_START, SCH_OP_GROUP },
	[SCH_T_MESSAGE] = { SCH_W_LEN, SCH_OP_MESSAGE },
	[SCH_T_BYTES] = { SCH_W_LEN, SCH_OP_BYTES },
	[SCH_T_UINT32] = { SCH_W_VARINT, SCH_OP_VARINT },
	[SCH_T_ENUM] = { SCH_W_VARINT, SCH_OP_SMALL },
	[SCH_T_SFIXED32] = { SCH_W_FIXED32, SCH_OP_SFIXED32 },
	[SCH_T_SFIXED64] = { SCH_W_FIXED64, SCH_OP_FIXED64 },
	[SCH_T_SINT32] = { SCH_W_VARINT, SCH_OP_ZIGZAG },
	[SCH_T_SINT64] = { SCH_W_VARINT, SCH_OP_ZIGZAG },
};

static uint32_t name_put(struct parts *p, const char *name)
{
	size_t n = strlen(name) + 1;
	uint32_t at = p->used;

	memcpy(p->names + at, name, n);
	p->used += (uint32_t)n;
	return at;
}

/* Sums up what the tables need. */
static int measure(struct build *b, struct sch_set *n)
{
	uint64_t names = 1, values = 0, direct = 0, must = 0, bounds = 0, fields = b->fields.n, value_names = 0;
	uint32_t defaults = 0;

	for (uint32_t i = 0; i < b->messages.n; i++) {
		const struct b_message *m = B_MSG(b, i);

		names += strlen(m->name) + 1 + (m->error ? strlen(m->error) + 1 : 0);
		direct += direct_size(b, m);
		must += words_of(m);
		bounds += m->n_counts;
		fields += ENDS;
	}
	for (uint32_t i = 0; i < b->fields.n; i++) {
		const struct b_field *f = B_FIELD(b, i);

		names += strlen(f->d->name) + 1;
		if (b_default_has(f)) {
			names += strlen(f->d->default_value);
			defaults++;
		}
	}
	for (uint32_t i = 0; i < b->methods.n; i++)
		names += strlen(B_METHOD(b, i)->name) + 1;
	for (uint32_t i = 0; i < b->enums.n; i++) {
		const struct b_enum *e = B_ENUM_AT(b, i);

		values += e->table.n;
		value_names += e->d->n_value;
		names += strlen(e->name) + 1;
		for (size_t k = 0; k < e->d->n_value; k++)
			names += strlen(e->d->value[k]->name) + 1;
	}
	if (names > INT32_MAX || direct > INT32_MAX || b->pool.n > INT32_MAX)
		return b_fail(b, -EFBIG, NULL, NULL, "the schema set's names or numbers need more than 2 GiB");
	*n = (struct sch_set){
		.n_messages = (uint32_t)b->messages.n,
		.n_fields = (uint32_t)fields,
		.n_enums = (uint32_t)b->enums.n,
		.n_values = (uint32_t)values,
		.n_methods = (uint32_t)b->methods.n,
		.n_direct = (uint32_t)direct,
		.n_must = (uint32_t)must,
		.n_bounds = (uint32_t)bounds,
		.n_names = (uint32_t)names,
		.n_rules = (uint32_t)b->rules.n,
		.n_pool = (uint32_t)b->pool.n,
		.n_patterns = (uint32_t)b->patterns.n,
		.n_value_names = (uint32_t)value_names,
		.n_defaults = defaults,
		.n_exprs = (uint32_t)b->exprs.n,
	};
	return 0;
}

static void enums_put(const struct build *b, struct parts *p)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < b->enums.n; i++) {
		const struct b_enum *e = B_ENUM_AT(b, i);

		memcpy(p->values + at, e->numbers, e->table.n * sizeof *e->numbers);
		p->enums[i] = e->table;
		p->enums[i].first = at;
		at += e->table.n;
	}
}

/* What only expressions and people ask for. */
static void enum_names_put(const struct build *b, struct parts *p)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < b->enums.n; i++) {
		const struct b_enum *e = B_ENUM_AT(b, i);

		p->enum_names[i] = (struct sch_enum_names){ name_put(p, e->name), at, (uint32_t)e->d->n_value };
		for (size_t k = 0; k < e->d->n_value; k++)
			p->value_names[at++] =
				(struct sch_value_name){ name_put(p, e->d->value[k]->name), e->d->value[k]->number };
	}
}

static void defaults_put(const struct build *b, struct parts *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->fields.n; i++) { /* in the order of the table */
		if (!b_default_has(B_FIELD(b, i)))
			continue;
		struct sch_default *d = &p->defaults[n++];

		d->field = b_field_index(b, i);
		d->at = p->used;
		b_default_put(b, B_FIELD(b, i), p->names + p->used, d);
		p->used += d->len;
	}
}

/* How the loop takes the field: by its first tag byte, where that is worth it. */
static void ops_put(struct sch_field *o)
{
	uint32_t wire = o->flags & SCH_F_PACKABLE ? SCH_W_LEN : o->wire, tag = o->number << 3 | wire;

	if (o->elem == SCH_OP_NONE)
		o->elem = o->flags & SCH_F_EXTENSION ? SCH_OP_UNKNOWN : type_table[o->type].op;
	o->wide = o->elem;
	if (o->flags & SCH_F_PACKABLE)
		o->wide = SCH_OP_PACKED; /* counts by itself */
	else if (o->flags & SCH_F_COUNTED)
		o->wide = SCH_OP_COUNTED;
	o->op = SCH_OP_NONE;
	if (o->flags & (SCH_F_FAR | SCH_F_EXTENSION) || tag >= 0x4000)
		return;
	o->tag0 = (uint8_t)(tag & 0x7f);
	o->op = o->wide;
	if (tag < 0x80)
		return;
	o->tag0 |= 0x80;
	o->tag1 = (uint8_t)(tag >> 7);
	o->op = SCH_OP_WIDE;
}

static int is_far(uint16_t slot)
{
	return slot != SCH_NO_SLOT && slot >= 64;
}

/* From when on packed varints have to be decoded to be judged. */
static void easy_put(struct sch_field *o)
{
	const uint64_t cap = 1ull << 55;
	uint64_t below = 0 - o->lo, most, raw; /* the guard reaches from -below to most; what stands on the wire, to raw */

	if (o->wire != SCH_W_VARINT || below >= o->size) /* 0 is not even in it */
		return;
	most = o->size - 1 - below;
	raw = most;
	if (o->type == SCH_T_SINT32 || o->type == SCH_T_SINT64) { /* 2n stands for n, 2n - 1 for -n */
		most = most < cap ? most * 2 + 1 : cap * 2;
		below = below < cap ? below * 2 : cap * 2;
		raw = most < below ? most : below;
	}
	if (raw >= cap * 2)
		raw = cap * 2 - 1;
	while (o->easy < 8 && raw + 1 >= 1ull << (7 * (o->easy + 1)))
		o->easy++;
	if (o->easy < 8)
		o->top = (uint8_t)((raw + 1) >> (7 * o->easy));
}

/* Is what has the format always plain ASCII, without NUL? (Zones of IPv6 addresses are anything.) */
static int is_ascii_format(enum sch_format format)
{
	switch (format) {
	case SCH_FMT_EMAIL:
	case SCH_FMT_HOSTNAME:
	case SCH_FMT_IPV4:
	case SCH_FMT_IPV4_WITH_PREFIXLEN:
	case SCH_FMT_IPV4_PREFIX:
	case SCH_FMT_URI:
	case SCH_FMT_URI_REF:
	case SCH_FMT_UUID:
	case SCH_FMT_TUUID:
	case SCH_FMT_ULID:
	case SCH_FMT_HEADER_NAME:
		return 1;
	default:
		return 0;
	}
}

/* A string with a format and no other rule than its length: the loop asks for the format by itself. */
static void format_put(const struct build *b, const struct b_field *f, struct sch_field *o)
{
	const struct sch_rule *format = NULL;
	int empty_ok = !(f->n_list && f->flags & SCH_F_IMPLICIT); /* required */

	for (uint32_t i = f->rules + f->n_list; i < f->rules + f->n_rules; i++) {
		const struct sch_rule *r = B_RULE(b, i);

		if (r->op == SCH_R_NOT_EMPTY)
			empty_ok = 0;
		if (r->op == SCH_R_LEN || r->op == SCH_R_BYTES) {
			if (f->lo < r->a || f->span > r->b - f->lo || f->lo > r->b)
				return; /* lengths that no guard can hold together */
			continue;
		}
		if (r->op == SCH_R_NOT_EMPTY)
			continue;
		if (r->op != SCH_R_FORMAT || format)
			return;
		format = r;
	}
	if (!format || !is_ascii_format((enum sch_format)format->a))
		return;
	o->elem = SCH_OP_FORMAT;
	o->format = (uint8_t)format->a;
	o->lo = f->lo;
	o->size = f->span == UINT64_MAX ? f->span : f->span + 1;
	if (!empty_ok && o->lo == 0) {
		o->lo = 1;
		o->size--;
	}
	if (format->a == SCH_FMT_UUID && f->flags & SCH_F_CONFINED && SCH_UUID_LEN - o->lo < o->size)
		o->elem = SCH_OP_UUID;
}

/* A string with a list of texts and no other rule. */
static void among_put(const struct parts *p, const struct b_field *f, struct sch_field *o)
{
	size_t away = (size_t)(p->pool + f->among - (uint8_t *)o);

	if (!(f->flags & SCH_F_CONFINED) || away > UINT32_MAX)
		return;
	o->elem = SCH_OP_AMONG;
	o->among = (uint32_t)away;
}

static void field_put(const struct build *b, struct parts *p, uint32_t i)
{
	const struct b_field *f = B_FIELD(b, i);
	struct sch_field *o = &p->fields[b_field_index(b, i)];

	*o = (struct sch_field){
		.lo = f->lo,
		.slot = f->slot,
		.oneof = f->oneof,
		.type = f->type,
		.wire = type_table[f->type].wire,
		.step = f->flags & SCH_F_REPEATED ? 0 : sizeof *o,
		.number = (uint32_t)f->d->number,
		.sub = f->sub,
		.name = name_put(p, f->d->name),
		.rules = f->rules,
		.n_rules = (uint16_t)f->n_rules,
		.n_list = f->n_list,
		.count = f->count,
		.flags = f->flags | (f->extension ? SCH_F_EXTENSION : 0),
	};
	o->size = o->flags & SCH_F_RULED ? 0 : f->span == UINT64_MAX ? f->span : f->span + 1;
	easy_put(o);
	if (f->among)
		among_put(p, f, o);
	else if (f->type == SCH_T_STRING && o->flags & SCH_F_RULED && !f->extension)
		format_put(b, f, o);
	if (is_far(f->slot) || is_far(f->oneof))
		o->flags |= SCH_F_FAR;
	else if (f->slot != SCH_NO_SLOT)
		o->mask = 1ull << f->slot | (f->oneof != SCH_NO_SLOT ? 1ull << f->oneof : 0);
	ops_put(o);
}

/* What the list rules of a counted field allow, in one interval. */
static struct sch_bound bound_of(const struct build *b, uint32_t i)
{
	const struct b_field *f = B_FIELD(b, i);
	uint64_t lo = 0, hi = UINT32_MAX;
	int all = 0;

	for (uint32_t r = f->rules; r < f->rules + f->n_list; r++) {
		const struct sch_rule *rule = B_RULE(b, r);

		if (rule->op == SCH_R_REQUIRED && lo < 1)
			lo = 1;
		if (rule->op == SCH_R_COUNT_MIN && rule->a > lo)
			lo = rule->a < UINT32_MAX ? rule->a : UINT32_MAX;
		if (rule->op == SCH_R_COUNT_MAX && rule->a < hi)
			hi = rule->a;
		if (rule->op == SCH_R_UNIQUE && hi > 1)
			hi = 1; /* two have to be compared */
		all |= rule->op == SCH_R_EXPR;
	}
	if (lo > hi || all) /* whatever there is has to be looked at: no list has so many */
		lo = hi = UINT32_MAX;
	return (struct sch_bound){ (uint32_t)lo, (uint32_t)(hi - lo), b_field_index(b, i) };
}

static void message_put(const struct build *b, struct parts *p, uint32_t i, struct sch_set *at)
{
	const struct b_message *m = B_MSG(b, i);
	struct sch_message *o = &p->messages[i];
	uint32_t first = m->n_fields ? b_field_index(b, m->first) : at->n_fields;
	int closes = 0;

	*o = (struct sch_message){
		.must0 = m->must[0],
		.name = name_put(p, m->name),
		.first = first,
		.n_fields = m->n_fields,
		.direct = at->n_direct,
		.n_direct = direct_size(b, m),
		.must = at->n_must,
		.bounds = at->n_bounds,
		.rules = m->rules,
		.n_rules = (uint16_t)m->n_rules,
		.n_words = (uint16_t)words_of(m),
		.n_counts = (uint8_t)m->n_counts,
		.flags = m->flags,
	};
	if (m->error) {
		o->error = name_put(p, m->error);
		o->flags |= SCH_M_BAD;
	}
	for (uint32_t w = 0; w < o->n_words; w++)
		p->must[at->n_must + w] = m->must[w];
	for (uint32_t k = 0; k < m->n_fields; k++) {
		const struct b_field *f = B_FIELD(b, m->first + k);
		uint32_t number = (uint32_t)f->d->number;

		field_put(b, p, m->first + k);
		if (number < o->n_direct)
			p->direct[at->n_direct + number] = (uint16_t)(k + 1);
		if (f->flags & SCH_F_COUNTED)
			p->bounds[at->n_bounds + f->count] = bound_of(b, m->first + k);
	}
	for (uint32_t r = m->rules; r < m->rules + m->n_rules; r++)
		closes |= B_RULE(b, r)->op != SCH_R_ONEOF; /* that one is a must bit */
	for (uint32_t k = 0; k < ENDS; k++)
		p->fields[first + m->n_fields + k] = (struct sch_field){ .sub = SCH_NONE };
	if (closes || m->flags & (SCH_M_MAP_ENTRY | SCH_M_KEYED | SCH_M_BAD) || o->n_words > 1)
		o->flags |= SCH_M_CLOSES;
	o->ends = (uint8_t)((o->flags & SCH_M_CLOSES ? SCH_E_LOOK : 0) |
			    (o->n_words > 1 || o->n_counts || o->flags & (SCH_M_KEYED | SCH_M_MAP_ENTRY) ? SCH_E_SPACE : 0));
	at->n_fields = first + m->n_fields + ENDS;
	at->n_direct += o->n_direct;
	at->n_must += o->n_words;
	at->n_bounds += o->n_counts;
}

/* Is it Timestamp's or Duration's field, as everybody knows it, without rules of its own? */
static int is_time_part(const struct sch_field *f, uint32_t number, uint8_t type)
{
	return f->number == number && f->type == type && f->n_rules == 0 && f->oneof == SCH_NO_SLOT && f->mask &&
	       !(f->flags & ~(uint32_t)SCH_F_IMPLICIT);
}

/* Seconds that decide alone, whatever the nanoseconds are from 0 to 999,999,999: in *lo to *hi, none of them negative. 0 where
 * there are none, or the rules want more than a range. */
static int time_guard(const struct parts *p, const struct sch_field *o, int64_t *lo, int64_t *hi)
{
	const struct sch_rule *r = &p->rules[o->rules + o->n_list];
	struct sch_time ends[2];

	*lo = 0;
	*hi = INT64_MAX;
	if (o->n_rules == o->n_list)
		return 1;
	if (o->n_rules - o->n_list != 1 || r->op != SCH_R_TIME_RANGE)
		return 0;
	memcpy(ends, p->pool + r->arg, sizeof ends);
	if (ends[0].s >= 0)
		*lo = ends[0].ns > 0 ? ends[0].s + (ends[0].s < INT64_MAX) : ends[0].s;
	*hi = ends[1].s - (ends[1].s > INT64_MIN);
	return *lo <= *hi;
}

/* Times are read by the loop itself where nothing but a range is asked of them. */
static void time_put(const struct parts *p, struct sch_field *o)
{
	const struct sch_message *m = &p->messages[o->sub];
	const char *name = p->names + m->name;
	int64_t lo, hi;

	if (o->type != SCH_T_MESSAGE || o->flags & (SCH_F_EXTENSION | SCH_F_FAR | SCH_F_MAP) || m->n_fields != 2 || m->must0 ||
	    m->ends || m->flags || m->n_rules ||
	    (strcmp(name, "google.protobuf.Timestamp") != 0 && strcmp(name, "google.protobuf.Duration") != 0) ||
	    !is_time_part(&p->fields[m->first], 1, SCH_T_INT64) || !is_time_part(&p->fields[m->first + 1], 2, SCH_T_INT32) ||
	    !time_guard(p, o, &lo, &hi))
		return;
	o->lo = (uint64_t)lo;
	o->size = (uint64_t)hi - (uint64_t)lo + 1;
	o->elem = SCH_OP_TIME;
	if (o->wide == SCH_OP_MESSAGE)
		o->wide = SCH_OP_TIME;
	if (o->op == SCH_OP_MESSAGE)
		o->op = SCH_OP_TIME;
}

/* What a field that holds a message says of its beginning and end. All messages and rules are in place. */
static void holder_put(const struct parts *p, struct sch_field *o)
{
	if (o->type != SCH_T_MESSAGE && o->type != SCH_T_GROUP)
		return;
	o->mute = !!(o->flags & SCH_F_IGNORED);
	time_put(p, o);
	o->ends = (uint8_t)(p->messages[o->sub].ends | (o->flags & SCH_F_RULED ? SCH_E_LOOK : 0));
}

int b_emit(struct build *b, struct sch_set **out)
{
	struct sch_set n, at = { 0 };
	struct cut c = { 0 };
	struct parts p = { 0 };
	uint32_t k = 0, n_enums = 0;
	int rc = measure(b, &n);

	if (rc)
		return rc;
	parts_cut(&p, &n, &c);
	c.at = aligned_alloc(LINE, c.used);
	if (!c.at)
		return b_nomem(b);
	memset(c.at, 0, c.used);
	c.used = 0;
	parts_cut(&p, &n, &c);
	p.used = 1; /* offset 0 is no name */
	enums_put(b, &p);
	for (uint32_t i = 0; i < b->messages.n; i++)
		message_put(b, &p, i, &at);
	for (uint32_t i = 0; i < n.n_methods; i++) {
		uint32_t name = name_put(&p, B_METHOD(b, i)->name);

		p.methods[i] = (struct sch_method){ p.names + name, B_METHOD(b, i)->input, B_METHOD(b, i)->output };
	}
	enum_names_put(b, &p);
	defaults_put(b, &p);
	for (uint32_t i = 0; i < b->symbols.n; i++) { /* symbols are sorted by name */
		if (B_SYMBOL(b, i)->kind == B_MESSAGE)
			p.by_name[k++] = B_SYMBOL(b, i)->index;
		if (B_SYMBOL(b, i)->kind == B_ENUM)
			p.enums_by_name[n_enums++] = B_SYMBOL(b, i)->index;
	}
	if (n.n_rules)
		memcpy(p.rules, b->rules.at, n.n_rules * sizeof *p.rules);
	if (n.n_pool)
		memcpy(p.pool, b->pool.at, n.n_pool);
	for (uint32_t i = 0; i < n.n_fields; i++)
		holder_put(&p, &p.fields[i]);
	if (n.n_patterns)
		memcpy(p.patterns, b->patterns.at, n.n_patterns * sizeof *p.patterns);
	b->patterns.n = 0; /* the set owns them now */
	for (uint32_t i = 0; i < n.n_exprs; i++)
		p.exprs[i] = B_EXPR(b, i)->asked;
	*p.set = n;
	/* pext takes AMD's family 17h hundreds of cycles */
	p.set->fast = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
		      __builtin_cpu_supports("popcnt") && !__builtin_cpu_is("amdfam17h");
	p.set->messages = p.messages;
	p.set->fields = p.fields;
	p.set->enums = p.enums;
	p.set->methods = p.methods;
	p.set->must = p.must;
	p.set->bounds = p.bounds;
	p.set->values = p.values;
	p.set->by_name = p.by_name;
	p.set->enums_by_name = p.enums_by_name;
	p.set->enum_names = p.enum_names;
	p.set->value_names = p.value_names;
	p.set->defaults = p.defaults;
	p.set->direct = p.direct;
	p.set->rules = p.rules;
	p.set->pool = p.pool;
	p.set->patterns = p.patterns;
	p.set->exprs = p.exprs;
	p.set->names = p.names;
	*out = p.set;
	return 0;
}
