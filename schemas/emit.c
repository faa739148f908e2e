/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiler's last pass: checked lists become flat tables in one allocation. Nothing is checked here any more,
 * sizes apart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"

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
	return (m->n_slots + 63) / 64;
}

struct cut {
	uint8_t *at;
	size_t used;
};

/* Cuts the next part from the one allocation; with at NULL it only measures. */
static void *cut_next(struct cut *c, size_t n, size_t size)
{
	void *p = c->at ? c->at + c->used : NULL;

	c->used += (n * size + 15) & ~(size_t)15;
	return p;
}

struct parts {
	struct sch_set *set;
	struct sch_message *messages;
	struct sch_field *fields;
	struct sch_enum *enums;
	struct sch_method *methods;
	uint64_t *required;
	int32_t *values;
	uint32_t *by_name;
	uint16_t *direct;
	char *names;
};

static void parts_cut(struct parts *p, const struct sch_set *n, struct cut *c)
{
	p->set = cut_next(c, 1, sizeof *p->set);
	p->messages = cut_next(c, n->n_messages, sizeof *p->messages);
	p->fields = cut_next(c, n->n_fields, sizeof *p->fields);
	p->enums = cut_next(c, n->n_enums, sizeof *p->enums);
	p->methods = cut_next(c, n->n_methods, sizeof *p->methods);
	p->required = cut_next(c, n->n_required, sizeof *p->required);
	p->values = cut_next(c, n->n_values, sizeof *p->values);
	p->by_name = cut_next(c, n->n_messages, sizeof *p->by_name);
	p->direct = cut_next(c, n->n_direct, sizeof *p->direct);
	p->names = cut_next(c, n->n_names, 1);
}

static uint8_t wire_of(int type)
{
	switch (type) {
	case SCH_T_DOUBLE:
	case SCH_T_FIXED64:
	case SCH_T_SFIXED64:
		return SCH_W_FIXED64;
	case SCH_T_FLOAT:
	case SCH_T_FIXED32:
	case SCH_T_SFIXED32:
		return SCH_W_FIXED32;
	case SCH_T_STRING:
	case SCH_T_BYTES:
	case SCH_T_MESSAGE:
		return SCH_W_LEN;
	case SCH_T_GROUP:
		return SCH_W_START;
	default:
		return SCH_W_VARINT;
	}
}

static uint32_t name_put(struct parts *p, uint32_t *used, const char *name)
{
	size_t n = strlen(name) + 1;
	uint32_t at = *used;

	memcpy(p->names + at, name, n);
	*used += (uint32_t)n;
	return at;
}

static int number_order(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/* Sums up what the tables need. */
static int measure(struct build *b, struct sch_set *n)
{
	uint64_t names = 0, values = 0, direct = 0, required = 0;

	for (uint32_t i = 0; i < b->messages.n; i++) {
		const struct b_message *m = B_MSG(b, i);

		names += strlen(m->name) + 1;
		direct += direct_size(b, m);
		required += words_of(m);
	}
	for (uint32_t i = 0; i < b->fields.n; i++)
		names += strlen(B_FIELD(b, i)->d->name) + 1;
	for (uint32_t i = 0; i < b->methods.n; i++)
		names += strlen(B_METHOD(b, i)->name) + 1;
	for (uint32_t i = 0; i < b->enums.n; i++)
		values += B_ENUM_AT(b, i)->d->n_value;
	if (names > INT32_MAX || direct > INT32_MAX)
		return b_fail(b, -EFBIG, NULL, NULL, "the schema set's names or numbers need more than 2 GiB");
	*n = (struct sch_set){
		.n_messages = (uint32_t)b->messages.n,
		.n_fields = (uint32_t)b->fields.n,
		.n_enums = (uint32_t)b->enums.n,
		.n_values = (uint32_t)values,
		.n_methods = (uint32_t)b->methods.n,
		.n_direct = (uint32_t)direct,
		.n_required = (uint32_t)required,
		.n_names = (uint32_t)names,
	};
	return 0;
}

static void messages_put(const struct build *b, struct parts *p, uint32_t *names)
{
	uint32_t direct = 0, required = 0;

	for (uint32_t i = 0; i < b->messages.n; i++) {
		const struct b_message *m = B_MSG(b, i);
		struct sch_message *o = &p->messages[i];

		*o = (struct sch_message){
			.name = name_put(p, names, m->name),
			.first = m->first,
			.n_fields = m->n_fields,
			.direct = direct,
			.n_direct = direct_size(b, m),
			.required = required,
			.n_words = (uint16_t)words_of(m),
			.flags = m->flags,
		};
		for (uint32_t k = 0; k < m->n_fields; k++) {
			const struct b_field *f = B_FIELD(b, m->first + k);
			uint32_t number = (uint32_t)f->d->number;

			if (number < o->n_direct)
				p->direct[direct + number] = (uint16_t)(k + 1);
			if (f->flags & SCH_F_REQUIRED)
				p->required[required + f->slot / 64] |= 1ull << (f->slot % 64);
		}
		direct += o->n_direct;
		required += o->n_words;
	}
}

static void fields_put(const struct build *b, struct parts *p, uint32_t *names)
{
	for (uint32_t i = 0; i < b->fields.n; i++) {
		const struct b_field *f = B_FIELD(b, i);

		p->fields[i] = (struct sch_field){
			.number = (uint32_t)f->d->number,
			.sub = f->sub,
			.name = name_put(p, names, f->d->name),
			.slot = f->slot,
			.oneof = f->oneof,
			.type = (uint8_t)f->d->type,
			.wire = wire_of((int)f->d->type),
			.flags = (uint8_t)(f->flags | (f->extension ? SCH_F_EXTENSION : 0)),
		};
	}
}

static void enums_put(const struct build *b, struct parts *p)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < b->enums.n; i++) {
		const fd_enum_t *d = B_ENUM_AT(b, i)->d;
		struct sch_enum *e = &p->enums[i];
		int32_t *v = p->values + at;
		uint32_t n = 0;

		for (size_t k = 0; k < d->n_value; k++)
			v[k] = d->value[k]->number;
		qsort(v, d->n_value, sizeof *v, number_order);
		for (size_t k = 0; k < d->n_value; k++)
			if (n == 0 || v[n - 1] != v[k])
				v[n++] = v[k];
		*e = (struct sch_enum){ .first = at, .n = n, .low = v[0], .run = 1 };
		while (e->run < n && v[e->run] == v[e->run - 1] + 1)
			e->run++;
		at += (uint32_t)d->n_value;
	}
}

int b_emit(struct build *b, struct sch_set **out)
{
	struct cut c = { 0 };
	struct parts p;
	struct sch_set n;
	uint32_t names = 0, k = 0;
	int rc = measure(b, &n);

	if (rc)
		return rc;
	parts_cut(&p, &n, &c);
	c.at = calloc(1, c.used);
	if (!c.at)
		return b_nomem(b);
	c.used = 0;
	parts_cut(&p, &n, &c);
	messages_put(b, &p, &names);
	fields_put(b, &p, &names);
	enums_put(b, &p);
	for (uint32_t i = 0; i < n.n_methods; i++) {
		uint32_t at = name_put(&p, &names, B_METHOD(b, i)->name);

		p.methods[i] = (struct sch_method){ p.names + at, B_METHOD(b, i)->input, B_METHOD(b, i)->output };
	}
	for (uint32_t i = 0; i < b->symbols.n; i++) /* symbols are sorted by name */
		if (B_SYMBOL(b, i)->kind == B_MESSAGE)
			p.by_name[k++] = B_SYMBOL(b, i)->index;
	*p.set = n;
	p.set->messages = p.messages;
	p.set->fields = p.fields;
	p.set->enums = p.enums;
	p.set->methods = p.methods;
	p.set->required = p.required;
	p.set->values = p.values;
	p.set->by_name = p.by_name;
	p.set->direct = p.direct;
	p.set->names = p.names;
	*out = p.set;
	return 0;
}
