/* SPDX-License-Identifier: BSD-2-Clause */
/* An index over one descriptor set that is to be compared: messages, enums, fields and methods by name and number, and the
 * lines where they are written (SourceCodeInfo, descriptor.proto). What a difference means is left to others. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat_parts.h"

/* Field numbers in descriptor.proto, of which paths are made. */
enum {
	FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SERVICE = 6, FILE_EXTENSION = 7,
	MESSAGE_FIELD = 2, MESSAGE_NESTED = 3, MESSAGE_ENUM = 4, MESSAGE_EXTENSION = 6,
	SERVICE_METHOD = 2
};

static int nomem(struct sch_err *err)
{
	memset(err, 0, sizeof *err);
	snprintf(err->text, sizeof err->text, "out of memory while comparing schema sets");
	return -ENOMEM;
}

static char *name_join(const char *prefix, const char *name, char between)
{
	size_t n = prefix && *prefix ? strlen(prefix) : 0, m = strlen(name);
	char *s = malloc(n + m + 2);

	if (!s)
		return NULL;
	if (n) {
		memcpy(s, prefix, n);
		s[n++] = between;
	}
	memcpy(s + n, name, m + 1);
	return s;
}

static int message_add(struct cmp_side *s, const fd_message_t *d, uint32_t file, uint32_t parent, size_t at,
		       const char *prefix)
{
	char *name = name_join(prefix, d->name, '.');
	struct cmp_message *m = name ? b_list_add(&s->messages, sizeof *m) : NULL;

	if (!m) {
		free(name);
		return -ENOMEM;
	}
	*m = (struct cmp_message){ .d = d, .name = name, .file = file, .parent = parent, .at = (uint32_t)at };
	return 0;
}

static int enum_add(struct cmp_side *s, const fd_enum_t *d, uint32_t file, uint32_t parent, size_t at, const char *prefix)
{
	char *name = name_join(prefix, d->name, '.');
	struct cmp_enum *e = name ? b_list_add(&s->enums, sizeof *e) : NULL;

	if (!e) {
		free(name);
		return -ENOMEM;
	}
	*e = (struct cmp_enum){ .d = d, .name = name, .file = file, .parent = parent, .at = (uint32_t)at,
			      .asked = SCH_NONE };
	return 0;
}

static int fields_add(struct cmp_side *s, fd_field_t *const *d, size_t n, uint32_t file, uint32_t scope, int extension)
{
	for (size_t i = 0; i < n; i++) {
		struct cmp_field *f = b_list_add(&s->fields, sizeof *f);

		if (!f)
			return -ENOMEM;
		*f = (struct cmp_field){ .d = d[i], .msg = extension ? SCH_NONE : scope, .file = file, .scope = scope,
				       .at = (uint32_t)i, .extension = (uint8_t)extension };
	}
	return 0;
}

static int services_add(struct cmp_side *s, uint32_t file)
{
	const fd_file_t *f = s->fds->file[file];
	int rc = 0;

	for (size_t i = 0; i < f->n_service && !rc; i++) {
		char *service = name_join(f->package, f->service[i]->name, '.');

		for (size_t k = 0; k < f->service[i]->n_method && !rc; k++) {
			const fd_method_t *d = f->service[i]->method[k];
			char *name = service ? name_join(service, d->name, '/') : NULL;
			struct cmp_method *m = name ? b_list_add(&s->methods, sizeof *m) : NULL;

			if (!m) {
				free(name);
				rc = -ENOMEM;
			} else {
				*m = (struct cmp_method){ d, name, file, (uint32_t)i, (uint32_t)k };
			}
		}
		free(service);
	}
	return rc;
}

/* Nested messages go to the end of the list and get their turn there, so nothing recurses. */
static int gather(struct cmp_side *s)
{
	int rc = 0;

	for (uint32_t i = 0; i < s->fds->n_file && !rc; i++) {
		const fd_file_t *f = s->fds->file[i];

		for (size_t k = 0; k < f->n_message_type && !rc; k++)
			rc = message_add(s, f->message_type[k], i, SCH_NONE, k, f->package);
		for (size_t k = 0; k < f->n_enum_type && !rc; k++)
			rc = enum_add(s, f->enum_type[k], i, SCH_NONE, k, f->package);
		if (!rc)
			rc = fields_add(s, f->extension, f->n_extension, i, SCH_NONE, 1);
		if (!rc)
			rc = services_add(s, i);
	}
	for (uint32_t i = 0; i < s->messages.n && !rc; i++) {
		const fd_message_t *d = CMP_MSG(s, i)->d;
		const char *name = CMP_MSG(s, i)->name; /* stays where it is when the list grows */
		uint32_t file = CMP_MSG(s, i)->file;

		rc = fields_add(s, d->field, d->n_field, file, i, 0);
		if (!rc)
			rc = fields_add(s, d->extension, d->n_extension, file, i, 1);
		for (size_t k = 0; k < d->n_nested_type && !rc; k++)
			rc = message_add(s, d->nested_type[k], file, i, k, name);
		for (size_t k = 0; k < d->n_enum_type && !rc; k++)
			rc = enum_add(s, d->enum_type[k], file, i, k, name);
	}
	return rc;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static const char *message_name(const struct cmp_side *s, uint32_t i)
{
	return CMP_MSG(s, i)->name;
}

static const char *enum_name(const struct cmp_side *s, uint32_t i)
{
	return CMP_ENUM(s, i)->name;
}

static const char *method_name(const struct cmp_side *s, uint32_t i)
{
	return CMP_METHOD(s, i)->name;
}

static const char *file_name(const struct cmp_side *s, uint32_t i)
{
	return s->fds->file[i]->name;
}

struct named {
	const char *name;
	uint32_t index;
};

static int named_order(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* Indices 0 to n - 1 sorted by name, or NULL without memory. */
static uint32_t *names_sort(const struct cmp_side *s, size_t n, const char *(*name)(const struct cmp_side *, uint32_t))
{
	struct named *v = calloc(n + 1, sizeof *v);
	uint32_t *out = calloc(n + 1, sizeof *out);

	if (v && out) {
		for (uint32_t i = 0; i < n; i++)
			v[i] = (struct named){ name(s, i), i };
		qsort(v, n, sizeof *v, named_order);
		for (uint32_t i = 0; i < n; i++)
			out[i] = v[i].index;
	} else {
		free(out);
		out = NULL;
	}
	free(v);
	return out;
}

static uint32_t names_find(const struct cmp_side *s, const uint32_t *names, size_t n, const char *want,
			   const char *(*name)(const struct cmp_side *, uint32_t))
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = strcmp(name(s, names[mid]), want);

		if (order == 0)
			return names[mid];
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return SCH_NONE;
}

uint32_t cmp_message_find(const struct cmp_side *s, const char *name)
{
	return names_find(s, s->message_names, s->messages.n, name, message_name);
}

uint32_t cmp_enum_find(const struct cmp_side *s, const char *name)
{
	return names_find(s, s->enum_names, s->enums.n, name, enum_name);
}

uint32_t cmp_method_find(const struct cmp_side *s, const char *name)
{
	return names_find(s, s->method_names, s->methods.n, name, method_name);
}

uint32_t cmp_file_find(const struct cmp_side *s, const char *name)
{
	return names_find(s, s->file_names, s->fds->n_file, name, file_name);
}

static int field_order(const void *a, const void *b)
{
	const struct cmp_field *x = a, *y = b;

	if (x->msg != y->msg)
		return x->msg < y->msg ? -1 : 1;
	return (x->d->number > y->d->number) - (x->d->number < y->d->number);
}

/* Sorts fields by message and number and links messages to their compiled types. The set has compiled, so that every name
 * resolves. */
static int link_up(struct cmp_side *s)
{
	for (uint32_t i = 0; i < s->messages.n; i++) {
		int32_t type = sch_type_find(s->set, CMP_MSG(s, i)->name);

		if (type < 0)
			return -EINVAL;
		CMP_MSG(s, i)->type = (uint32_t)type;
	}
	for (uint32_t i = 0; i < s->fields.n; i++) {
		struct cmp_field *f = CMP_FIELD(s, i);

		if (f->extension)
			f->msg = cmp_message_find(s, f->d->extendee + 1);
		if (f->msg == SCH_NONE)
			return -EINVAL;
	}
	if (s->fields.n)
		qsort(s->fields.at, s->fields.n, sizeof(struct cmp_field), field_order);
	for (uint32_t i = 0; i < s->fields.n; i++) {
		struct cmp_message *m = CMP_MSG(s, CMP_FIELD(s, i)->msg);

		if (m->n++ == 0)
			m->first = i;
	}
	return 0;
}

int cmp_side_make(struct cmp_side *s, const void *fdset, size_t len, struct sch_err *err)
{
	int rc = sch_set_compile(&s->set, fdset, len, err); /* bounds depth and parts before protobuf-c sees it */

	if (rc)
		return rc;
	s->fds = google__protobuf__file_descriptor_set__unpack(NULL, len, fdset);
	if (!s->fds)
		return nomem(err); /* it did unpack a moment ago */
	rc = gather(s);
	if (!rc) {
		s->message_names = names_sort(s, s->messages.n, message_name);
		s->enum_names = names_sort(s, s->enums.n, enum_name);
		s->method_names = names_sort(s, s->methods.n, method_name);
		s->file_names = names_sort(s, s->fds->n_file, file_name);
		s->lines = calloc(s->fds->n_file + 1, sizeof *s->lines);
		if (!s->message_names || !s->enum_names || !s->method_names || !s->file_names || !s->lines)
			rc = -ENOMEM;
	}
	if (rc)
		return nomem(err);
	rc = link_up(s);
	if (rc)
		snprintf(err->text, sizeof err->text, "a type of the set is not in its compiled tables");
	return rc;
}

void cmp_side_free(struct cmp_side *s)
{
	for (uint32_t i = 0; i < s->messages.n; i++)
		free(CMP_MSG(s, i)->name);
	for (uint32_t i = 0; i < s->enums.n; i++) {
		free(CMP_ENUM(s, i)->name);
		free(CMP_ENUM(s, i)->values);
	}
	for (uint32_t i = 0; i < s->methods.n; i++)
		free(CMP_METHOD(s, i)->name);
	free(s->messages.at);
	free(s->enums.at);
	free(s->fields.at);
	free(s->methods.at);
	free(s->message_names);
	free(s->enum_names);
	free(s->method_names);
	free(s->file_names);
	sch_lines_free(s->lines, s->fds ? s->fds->n_file : 0);
	if (s->fds)
		google__protobuf__file_descriptor_set__free_unpacked(s->fds, NULL);
	sch_set_free(s->set);
}

const struct sch_field *cmp_field_compiled(const struct cmp_side *s, const struct cmp_field *f)
{
	const struct sch_message *m = &s->set->messages[CMP_MSG(s, f->msg)->type];

	return &s->set->fields[sch_field_find(s->set, m, (uint32_t)f->d->number)];
}

/* --- where things are written -------------------------------------------------------------------------------------- */

struct cmp_spot cmp_spot_none(void)
{
	return (struct cmp_spot){ .file = SCH_NONE };
}

struct cmp_spot cmp_spot_file(uint32_t file, int32_t part)
{
	struct cmp_spot spot = { .file = file };

	if (part)
		spot.path[spot.n++] = part;
	return spot;
}

struct cmp_spot cmp_spot_part(struct cmp_spot spot, int32_t field, uint32_t at)
{
	if (spot.n + 2 <= CMP_PATH_MAX) {
		spot.path[spot.n++] = field;
		spot.path[spot.n++] = (int32_t)at;
	}
	return spot;
}

struct cmp_spot cmp_spot_message(const struct cmp_side *s, uint32_t msg)
{
	struct cmp_spot spot = { .file = CMP_MSG(s, msg)->file };
	uint32_t n = 0, m = msg;

	for (; CMP_MSG(s, m)->parent != SCH_NONE; m = CMP_MSG(s, m)->parent) /* ends: parents stand before their children */
		n += 2;
	n += 2;
	if (n > CMP_PATH_MAX)
		return spot;
	spot.n = n;
	for (m = msg; n > 0; m = CMP_MSG(s, m)->parent) {
		spot.path[--n] = (int32_t)CMP_MSG(s, m)->at;
		spot.path[--n] = CMP_MSG(s, m)->parent == SCH_NONE ? FILE_MESSAGE : MESSAGE_NESTED;
	}
	return spot;
}

struct cmp_spot cmp_spot_enum(const struct cmp_side *s, uint32_t e)
{
	const struct cmp_enum *x = CMP_ENUM(s, e);

	if (x->parent == SCH_NONE)
		return cmp_spot_part(cmp_spot_file(x->file, 0), FILE_ENUM, x->at);
	return cmp_spot_part(cmp_spot_message(s, x->parent), MESSAGE_ENUM, x->at);
}

struct cmp_spot cmp_spot_field(const struct cmp_side *s, const struct cmp_field *f)
{
	if (f->scope == SCH_NONE)
		return cmp_spot_part(cmp_spot_file(f->file, 0), FILE_EXTENSION, f->at);
	return cmp_spot_part(cmp_spot_message(s, f->scope), f->extension ? MESSAGE_EXTENSION : MESSAGE_FIELD, f->at);
}

struct cmp_spot cmp_spot_method(const struct cmp_side *s, const struct cmp_method *m)
{
	(void)s;
	return cmp_spot_part(cmp_spot_part(cmp_spot_file(m->file, 0), FILE_SERVICE, m->service), SERVICE_METHOD, m->at);
}

/* --- telling ------------------------------------------------------------------------------------------------------ */

/* Copies what can be printed; other bytes become '?'. Always terminated. Returns to. */
static char *printable(char *to, size_t cap, const char *from)
{
	size_t i = 0;

	for (; from && from[i] && i + 1 < cap; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = '\0';
	return to;
}

static struct sch_place place_of(const struct cmp_side *s, const struct cmp_spot *spot, char *name, size_t cap)
{
	if (spot->file == SCH_NONE)
		return (struct sch_place){ NULL, 0 };
	return (struct sch_place){ printable(name, cap, s->fds->file[spot->file]->name),
				    sch_line_at(&s->lines[spot->file], s->fds->file[spot->file], spot->path, spot->n) };
}

void cmp_tell(struct cmp_check *c, const struct cmp_tell *t, const char *fmt, ...)
{
	char raw[640], text[640], name[1152], old_file[512], now_file[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	struct sch_change change = {
		.rule = t->rule,
		.is_strict = t->rule >= SCH_C_STRICT_TYPE_DELETED,
		.in_old = (uint8_t)t->in_old,
		.old = place_of(&c->old, &t->old, old_file, sizeof old_file),
		.now = place_of(&c->now, &t->now, now_file, sizeof now_file),
		.name = printable(name, sizeof name, t->name),
		.text = printable(text, sizeof text, raw),
		.keep = t->keep,
	};
	if (change.is_strict)
		c->sum->strict++;
	else
		c->sum->wire++;
	if ((t->in_old ? change.old.line : change.now.line) == 0)
		c->sum->no_lines++;
	if (c->each)
		c->each(c->arg, &change);
}

int cmp_spend(struct cmp_check *c, uint64_t n)
{
	if (n > c->work)
		return 0;
	c->work -= n;
	return 1;
}
