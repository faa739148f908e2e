/* SPDX-License-Identifier: BSD-2-Clause */
/* A set as people read it: joins the compiled tables with the descriptors, which alone know enums' values, oneofs' names
 * and methods that stream. Words and columns are left to the command line, findings to lint.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"
#include "lines.h"
#include "show.h"

struct show_type {
	const fd_message_t *d;
	uint32_t file;
	uint32_t fields;  /* its part of by_number */
	uint32_t nesting; /* SCH_SHOW_ENDLESS */
};

struct show_enum {
	char *name; /* owned */
	const fd_enum_t *d;
	uint32_t file;
};

struct sch_show {
	struct sch_set *set;
	fd_set_t *d;
	struct show_type *types;       /* by type number */
	const fd_field_t **by_number;  /* each message's own fields, by number */
	struct b_list enums;           /* struct show_enum, sorted by name */
	struct b_list methods;         /* struct sch_show_method, names owned */
	struct b_list todo;            /* struct nested, while it is built */
};

/* A message whose turn has not come. */
struct nested {
	const fd_message_t *d;
	uint32_t file;
	char *name; /* owned */
};

#define ENUM_AT(s, i) (&((struct show_enum *)(s)->enums.at)[i])
#define METHOD_AT(s, i) (&((struct sch_show_method *)(s)->methods.at)[i])
#define NESTED_AT(s, i) (&((struct nested *)(s)->todo.at)[i])

static char *name_join(const char *prefix, const char *name, char by)
{
	char *out;

	if (!prefix || !*prefix)
		return strdup(name);
	return asprintf(&out, "%s%c%s", prefix, by, name) < 0 ? NULL : out;
}

static int enums_add(struct sch_show *s, const char *prefix, uint32_t file, fd_enum_t *const *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct show_enum *e = b_list_add(&s->enums, sizeof *e);

		if (!e)
			return -ENOMEM;
		*e = (struct show_enum){ name_join(prefix, d[i]->name, '.'), d[i], file };
		if (!e->name)
			return -ENOMEM;
	}
	return 0;
}

static int messages_add(struct sch_show *s, const char *prefix, uint32_t file, fd_message_t *const *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct nested *m = b_list_add(&s->todo, sizeof *m);

		if (!m)
			return -ENOMEM;
		*m = (struct nested){ d[i], file, name_join(prefix, d[i]->name, '.') };
		if (!m->name)
			return -ENOMEM;
	}
	return 0;
}

/* The type's number of ".pkg.Name". The set compiled, so it has it. */
static uint32_t type_of(const struct sch_show *s, const char *dotted)
{
	return (uint32_t)sch_type_find(s->set, dotted + 1);
}

static int methods_add(struct sch_show *s, const char *package, uint32_t file)
{
	const fd_file_t *f = s->d->file[file];
	int rc = 0;

	for (size_t i = 0; i < f->n_service && !rc; i++) {
		char *service = name_join(package, f->service[i]->name, '.');

		for (size_t k = 0; service && k < f->service[i]->n_method && !rc; k++) {
			const Google__Protobuf__MethodDescriptorProto *d = f->service[i]->method[k];
			struct sch_show_method *m = b_list_add(&s->methods, sizeof *m);

			if (m)
				*m = (struct sch_show_method){ .name = name_join(service, d->name, '/'),
							       .file = f->name,
							       .input = type_of(s, d->input_type),
							       .output = type_of(s, d->output_type),
							       .client_streams = d->client_streaming != 0,
							       .server_streams = d->server_streaming != 0 };
			rc = m && m->name ? 0 : -ENOMEM;
		}
		rc = service ? rc : -ENOMEM;
		free(service);
	}
	return rc;
}

static int by_number_order(const void *a, const void *b)
{
	int32_t x = (*(const fd_field_t *const *)a)->number, y = (*(const fd_field_t *const *)b)->number;

	return (x > y) - (x < y);
}

static int enum_order(const void *a, const void *b)
{
	return strcmp(((const struct show_enum *)a)->name, ((const struct show_enum *)b)->name);
}

/* Finds every message's descriptor. What is nested goes to the end of the list, so nothing recurses. */
static int descriptors_join(struct sch_show *s)
{
	int rc = 0;
	uint32_t used = 0;

	for (uint32_t i = 0; i < s->d->n_file && !rc; i++) {
		const fd_file_t *f = s->d->file[i];
		const char *package = f->package ? f->package : "";

		rc = messages_add(s, package, i, f->message_type, f->n_message_type);
		if (!rc)
			rc = enums_add(s, package, i, f->enum_type, f->n_enum_type);
		if (!rc)
			rc = methods_add(s, package, i);
	}
	for (size_t i = 0; i < s->todo.n && !rc; i++) {
		struct nested m = *NESTED_AT(s, i);
		struct show_type *t = &s->types[sch_type_find(s->set, m.name)];

		*t = (struct show_type){ .d = m.d, .file = m.file, .fields = used };
		for (size_t k = 0; k < m.d->n_field; k++)
			s->by_number[used++] = m.d->field[k];
		if (m.d->n_field)
			qsort(s->by_number + t->fields, m.d->n_field, sizeof *s->by_number, by_number_order);
		rc = messages_add(s, m.name, m.file, m.d->nested_type, m.d->n_nested_type);
		if (!rc)
			rc = enums_add(s, m.name, m.file, m.d->enum_type, m.d->n_enum_type);
	}
	if (s->enums.n)
		qsort(s->enums.at, s->enums.n, sizeof(struct show_enum), enum_order);
	return rc;
}

static int holds_message(const struct sch_field *f)
{
	return (f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP) && !(f->flags & SCH_F_EXTENSION);
}

/* How deep each type nests: a depth-first walk with a stack of its own. Whoever meets a message that is still open holds a
 * ring, and so does whoever holds that one. */
static int nesting_find(struct sch_show *s)
{
	enum { UNSEEN, OPEN, CLOSED };
	const struct sch_set *set = s->set;
	uint32_t n = set->n_messages;
	uint8_t *state = calloc(n + 1, 1);
	struct frame {
		uint32_t msg, next; /* next: the field to look at */
	} *stack = calloc(n + 1, sizeof *stack);
	int rc = state && stack ? 0 : -ENOMEM;

	for (uint32_t root = 0; root < n && !rc; root++) {
		uint32_t depth = 0;

		if (state[root] != UNSEEN)
			continue;
		state[root] = OPEN;
		stack[depth++] = (struct frame){ root, 0 };
		while (depth > 0) { /* each message is opened once, each field looked at twice at most */
			struct frame *top = &stack[depth - 1];
			uint32_t *mine = &s->types[top->msg].nesting;

			if (top->next == set->messages[top->msg].n_fields) {
				state[top->msg] = CLOSED;
				depth--;
				continue;
			}
			const struct sch_field *f = &set->fields[set->messages[top->msg].first + top->next];

			if (!holds_message(f)) {
				top->next++;
			} else if (state[f->sub] == UNSEEN) {
				state[f->sub] = OPEN;
				stack[depth++] = (struct frame){ f->sub, 0 };
			} else {
				uint32_t below = s->types[f->sub].nesting;

				if (state[f->sub] == OPEN || below == SCH_SHOW_ENDLESS)
					*mine = SCH_SHOW_ENDLESS;
				else if (*mine != SCH_SHOW_ENDLESS && below + 1 > *mine)
					*mine = below + 1;
				top->next++;
			}
		}
	}
	free(state);
	free(stack);
	return rc;
}

int sch_show_open(struct sch_show **show, const void *fdset, size_t len, struct sch_err *err)
{
	struct sch_show *s = calloc(1, sizeof *s);
	int rc = -ENOMEM;

	*show = NULL;
	memset(err, 0, sizeof *err);
	if (!s)
		goto fail;
	rc = sch_set_compile_lenient(&s->set, fdset, len, err);
	if (rc)
		goto fail;
	rc = -ENOMEM;
	s->d = google__protobuf__file_descriptor_set__unpack(NULL, len, fdset); /* it compiled: it can be parsed */
	s->types = calloc(s->set->n_messages + 1u, sizeof *s->types);
	s->by_number = calloc(s->set->n_fields + 1u, sizeof *s->by_number);
	if (!s->d || !s->types || !s->by_number)
		goto fail;
	rc = descriptors_join(s);
	if (!rc)
		rc = nesting_find(s);
	if (rc)
		goto fail;
	*show = s;
	return 0;
fail:
	if (rc == -ENOMEM && !err->text[0])
		snprintf(err->text, sizeof err->text, "out of memory");
	sch_show_close(s);
	return rc;
}

void sch_show_close(struct sch_show *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->enums.n; i++)
		free(ENUM_AT(s, i)->name);
	for (size_t i = 0; i < s->methods.n; i++)
		free((char *)(uintptr_t)METHOD_AT(s, i)->name);
	for (size_t i = 0; i < s->todo.n; i++)
		free(NESTED_AT(s, i)->name);
	free(s->enums.at);
	free(s->methods.at);
	free(s->todo.at);
	free(s->types);
	free(s->by_number);
	if (s->d)
		google__protobuf__file_descriptor_set__free_unpacked(s->d, NULL);
	sch_set_free(s->set);
	free(s);
}

const struct sch_set *sch_show_set(const struct sch_show *s)
{
	return s->set;
}

const fd_set_t *sch_show_descriptors(const struct sch_show *s)
{
	return s->d;
}

uint32_t sch_show_file_count(const struct sch_show *s)
{
	return (uint32_t)s->d->n_file;
}

const char *sch_show_file_name(const struct sch_show *s, uint32_t file)
{
	return file < s->d->n_file ? s->d->file[file]->name : "";
}

static int is_optional(const fd_field_t *d)
{
	return d->has_proto3_optional && d->proto3_optional;
}

const char *sch_show_oneof(const struct sch_show *s, uint32_t type, uint32_t i)
{
	uint64_t hidden[SCH_WORDS_MAX] = { 0 }; /* each oneof has a singular field, so there are no more than bits */

	if (type >= s->set->n_messages)
		return NULL;
	const fd_message_t *d = s->types[type].d;

	for (size_t k = 0; k < d->n_field; k++)
		if (is_optional(d->field[k]))
			hidden[d->field[k]->oneof_index / 64] |= 1ull << (d->field[k]->oneof_index % 64);
	for (size_t k = 0; k < d->n_oneof_decl; k++)
		if (!(hidden[k / 64] >> (k % 64) & 1) && i-- == 0)
			return d->oneof_decl[k]->name;
	return NULL;
}

/* The field's own rules: a map's are about the list only, what is asked of keys and values stands in its entry. */
static uint32_t own_rules(const struct sch_field *f)
{
	return f->flags & SCH_F_MAP ? f->n_list : f->n_rules;
}

/* Rules of a field, and of its map's keys and values. */
static uint32_t rule_count(const struct sch_set *set, const struct sch_field *f)
{
	uint32_t n = own_rules(f);

	if (f->flags & SCH_F_MAP) {
		uint32_t entry = set->messages[f->sub].first;

		n += set->fields[entry].n_rules + (uint32_t)set->fields[entry + 1].n_rules;
	}
	return n;
}

int sch_show_type(const struct sch_show *s, uint32_t type, struct sch_show_type *out)
{
	if (type >= s->set->n_messages)
		return -ENOENT;
	const struct sch_message *m = &s->set->messages[type];
	const struct show_type *t = &s->types[type];
	const fd_file_t *file = s->d->file[t->file];
	uint32_t oneofs = 0;

	*out = (struct sch_show_type){ .name = s->set->names + m->name,
				       .file = file->name,
				       .syntax = file->syntax && *file->syntax ? file->syntax : "proto2",
				       .error = sch_type_error(s->set, type),
				       .n_fields = m->n_fields,
				       .rules = m->rules,
				       .n_rules = m->n_rules,
				       .n_all_rules = m->n_rules,
				       .nesting = t->nesting,
				       .map_entry = (m->flags & SCH_M_MAP_ENTRY) != 0,
				       .message_set = (m->flags & SCH_M_MESSAGE_SET) != 0 };
	while (sch_show_oneof(s, type, oneofs))
		oneofs++;
	out->n_oneofs = out->n_presence = oneofs;
	for (uint32_t i = 0; i < m->n_fields; i++) {
		const struct sch_field *f = &s->set->fields[m->first + i];

		out->n_presence += !(f->flags & SCH_F_REPEATED);
		out->n_all_rules += rule_count(s->set, f);
	}
	return 0;
}

static const char *scalar_name(uint8_t type)
{
	static const char *const names[] = {
		[SCH_T_DOUBLE] = "double",     [SCH_T_FLOAT] = "float",       [SCH_T_INT64] = "int64",
		[SCH_T_UINT64] = "uint64",     [SCH_T_INT32] = "int32",       [SCH_T_FIXED64] = "fixed64",
		[SCH_T_FIXED32] = "fixed32",   [SCH_T_BOOL] = "bool",         [SCH_T_STRING] = "string",
		[SCH_T_GROUP] = "group",       [SCH_T_MESSAGE] = "message",   [SCH_T_BYTES] = "bytes",
		[SCH_T_UINT32] = "uint32",     [SCH_T_ENUM] = "enum",         [SCH_T_SFIXED32] = "sfixed32",
		[SCH_T_SFIXED64] = "sfixed64", [SCH_T_SINT32] = "sint32",     [SCH_T_SINT64] = "sint64",
	};

	return type < sizeof names / sizeof names[0] && names[type] ? names[type] : "?";
}

/* The descriptor of a message's own field; NULL for an extension, which stands elsewhere. */
static const fd_field_t *field_descriptor(const struct sch_show *s, uint32_t type, const struct sch_field *f)
{
	const struct show_type *t = &s->types[type];
	size_t lo = 0, hi = f->flags & SCH_F_EXTENSION ? 0 : t->d->n_field;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if ((uint32_t)s->by_number[t->fields + mid]->number < f->number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return f->flags & SCH_F_EXTENSION ? NULL : s->by_number[t->fields + lo];
}

static uint32_t enum_find(const struct sch_show *s, const fd_field_t *d)
{
	struct show_enum key = { .name = d->type_name + 1 };
	const struct show_enum *e =
		s->enums.n ? bsearch(&key, s->enums.at, s->enums.n, sizeof key, enum_order) : NULL;

	return e ? (uint32_t)(e - ENUM_AT(s, 0)) : SCH_SHOW_NONE;
}

/* The name of what the field holds, apart from how many. */
static const char *element_name(const struct sch_show *s, uint32_t type, const struct sch_field *f)
{
	const fd_field_t *d = field_descriptor(s, type, f);

	if (f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP)
		return sch_type_name(s->set, f->sub);
	if (f->type == SCH_T_ENUM && d)
		return d->type_name + 1;
	return scalar_name(f->type);
}

static int is_opaque(const struct sch_field *f)
{
	return (f->type == SCH_T_STRING || f->type == SCH_T_BYTES) && !(f->flags & SCH_F_CONFINED);
}

static const char *presence_name(const struct sch_field *f, const fd_field_t *d)
{
	if (f->flags & SCH_F_EXTENSION)
		return "extension";
	if (f->flags & SCH_F_MAP)
		return "map";
	if (f->flags & SCH_F_REPEATED)
		return "repeated";
	if (f->flags & SCH_F_REQUIRED)
		return "required";
	if (d->has_oneof_index && !is_optional(d))
		return "oneof";
	return f->flags & SCH_F_IMPLICIT ? "implicit" : "optional";
}

int sch_show_field(const struct sch_show *s, uint32_t type, uint32_t i, struct sch_show_field *out)
{
	const struct sch_set *set = s->set;

	if (type >= set->n_messages || i >= set->messages[type].n_fields)
		return -ENOENT;
	const struct sch_field *f = &set->fields[set->messages[type].first + i], *holds = f;
	const fd_field_t *d = field_descriptor(s, type, f);
	uint32_t holder = type;

	*out = (struct sch_show_field){ .name = set->names + f->name,
					.presence = presence_name(f, d),
					.number = f->number,
					.n_rules = rule_count(set, f),
					.sub = SCH_SHOW_NONE,
					.enumeration = SCH_SHOW_NONE,
					.opaque = (uint8_t)is_opaque(f),
					.zero_ok = (f->flags & SCH_F_ZERO_OK) != 0,
					.empty_ok = (f->flags & SCH_F_EMPTY_OK) != 0 };
	if (d && d->has_oneof_index && !is_optional(d))
		out->oneof = s->types[type].d->oneof_decl[d->oneof_index]->name;
	if (f->flags & SCH_F_MAP) {
		const struct sch_field *key = &set->fields[set->messages[f->sub].first];

		holder = f->sub;
		holds = key + 1;
		out->opaque = (uint8_t)(is_opaque(key) + is_opaque(holds));
		snprintf(out->type, sizeof out->type, "map<%s, %s>", scalar_name(key->type),
			 element_name(s, holder, holds));
	} else {
		snprintf(out->type, sizeof out->type, "%s%s%s", f->flags & SCH_F_REPEATED ? "repeated " : "",
			 f->type == SCH_T_GROUP ? "group " : "", element_name(s, type, f));
	}
	if (holds->type == SCH_T_MESSAGE || holds->type == SCH_T_GROUP)
		out->sub = holds->sub;
	else if (holds->type == SCH_T_ENUM && field_descriptor(s, holder, holds))
		out->enumeration = enum_find(s, field_descriptor(s, holder, holds));
	return 0;
}

uint32_t sch_show_rule(const struct sch_show *s, uint32_t type, uint32_t i, uint32_t k, enum sch_about *about)
{
	const struct sch_set *set = s->set;

	if (type >= set->n_messages || i >= set->messages[type].n_fields)
		return SCH_SHOW_NONE;
	const struct sch_field *f = &set->fields[set->messages[type].first + i];

	*about = k < f->n_list || !(f->flags & SCH_F_REPEATED) ? SCH_ABOUT_FIELD : SCH_ABOUT_ELEMENT;
	if (k < own_rules(f))
		return f->rules + k;
	if (!(f->flags & SCH_F_MAP))
		return SCH_SHOW_NONE;
	k -= own_rules(f);
	f = &set->fields[set->messages[f->sub].first];
	*about = SCH_ABOUT_KEY;
	if (k < f->n_rules)
		return f->rules + k;
	k -= f->n_rules;
	f++;
	*about = SCH_ABOUT_VALUE;
	return k < f->n_rules ? f->rules + k : SCH_SHOW_NONE;
}

uint32_t sch_show_enum_count(const struct sch_show *s)
{
	return (uint32_t)s->enums.n;
}

int sch_show_enum(const struct sch_show *s, uint32_t enumeration, struct sch_show_enum *out)
{
	if (enumeration >= s->enums.n)
		return -ENOENT;
	const struct show_enum *e = ENUM_AT(s, enumeration);

	*out = (struct sch_show_enum){ e->name, s->d->file[e->file]->name, (uint32_t)e->d->n_value };
	return 0;
}

const char *sch_show_value(const struct sch_show *s, uint32_t enumeration, uint32_t i, int32_t *number)
{
	if (enumeration >= s->enums.n || i >= ENUM_AT(s, enumeration)->d->n_value)
		return NULL;
	const Google__Protobuf__EnumValueDescriptorProto *v = ENUM_AT(s, enumeration)->d->value[i];

	*number = v->number;
	return v->name;
}

uint32_t sch_show_method_count(const struct sch_show *s)
{
	return (uint32_t)s->methods.n;
}

const struct sch_show_method *sch_show_method(const struct sch_show *s, uint32_t i)
{
	return i < s->methods.n ? METHOD_AT(s, i) : NULL;
}
