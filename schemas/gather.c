/* SPDX-License-Identifier: BSD-2-Clause */
/* First passes of the compiler: the files of a descriptor set, their imports, and the full names of all that they
 * define, in flat lists and one sorted table. What fields and services mean is left to the passes after it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"

void *b_list_add(struct b_list *l, size_t size)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		void *at = reallocarray(l->at, cap, size);

		if (!at)
			return NULL;
		l->at = at;
		l->cap = cap;
	}
	void *p = (char *)l->at + l->n++ * size;

	memset(p, 0, size);
	return p;
}

static void copy_printable(char *to, size_t cap, const char *from)
{
	size_t i = 0;

	for (; from && from[i] && i + 1 < cap; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = '\0';
}

int b_fail(struct build *b, int code, const char *file, const char *where, const char *fmt, ...)
{
	char text[sizeof b->err->text];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	copy_printable(b->err->file, sizeof b->err->file, file);
	copy_printable(b->err->where, sizeof b->err->where, where);
	copy_printable(b->err->text, sizeof b->err->text, text);
	return code;
}

int b_nomem(struct build *b)
{
	return b_fail(b, -ENOMEM, NULL, NULL, "out of memory while compiling the schema set");
}

const char *b_file_name(const struct build *b, uint32_t file)
{
	return b->set->file[file]->name;
}

int b_edition(const struct build *b, uint32_t file)
{
	return B_FILE(b, file)->edition;
}

int b_name_ok(const char *name)
{
	if (!name || !*name)
		return 0;
	for (size_t i = 0; name[i]; i++) {
		char c = name[i];
		int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && !(i > 0 && c >= '0' && c <= '9'))
			return 0;
	}
	return 1;
}

static int package_ok(const char *name)
{
	int start = 1;

	for (; *name; name++) {
		char c = *name;
		int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (start ? !letter : !letter && c != '.' && !(c >= '0' && c <= '9'))
			return 0;
		start = c == '.';
	}
	return !start;
}

static int string_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int symbol_order(const void *a, const void *b)
{
	return strcmp(((const struct b_symbol *)a)->name, ((const struct b_symbol *)b)->name);
}

const struct b_symbol *b_symbol_find(const struct build *b, const char *dotted, enum b_kind kind)
{
	if (!dotted || dotted[0] != '.' || b->symbols.n == 0) /* a set of services alone has no symbols */
		return NULL;
	struct b_symbol key = { .name = dotted + 1 };
	const struct b_symbol *s =
		bsearch(&key, b->symbols.at, b->symbols.n, sizeof(struct b_symbol), symbol_order);

	return s && s->kind == kind ? s : NULL;
}

/* "prefix.name", or "name" without a prefix, into *out, which the caller then owns. */
static int full_name(struct build *b, uint32_t file, const char *prefix, const char *name, char **out)
{
	if (!b_name_ok(name))
		return b_fail(b, -EINVAL, b_file_name(b, file), prefix, "'%.60s' is not a name", name ? name : "");
	if ((prefix ? strlen(prefix) + 1 : 0) + strlen(name) > SCH_NAME_MAX)
		return b_fail(b, -ENAMETOOLONG, b_file_name(b, file), prefix,
			      "full names may have %u bytes at most", SCH_NAME_MAX);
	if (asprintf(out, "%s%s%s", prefix ? prefix : "", prefix ? "." : "", name) < 0)
		return b_nomem(b);
	return 0;
}

static int add_symbol(struct build *b, const char *name, size_t index, enum b_kind kind)
{
	struct b_symbol *s = b_list_add(&b->symbols, sizeof *s);

	if (!s)
		return b_nomem(b);
	*s = (struct b_symbol){ .name = name, .index = (uint32_t)index, .kind = kind };
	return 0;
}

/* The features of what stands in message parent, or in the file where that is SCH_NONE. */
static struct b_features features_around(const struct build *b, uint32_t file, uint32_t parent)
{
	return parent == SCH_NONE ? B_FILE(b, file)->features : B_MSG(b, parent)->features;
}

static int add_message(struct build *b, uint32_t file, uint32_t parent, const char *prefix, const fd_message_t *d)
{
	struct b_features features = features_around(b, file, parent);
	char *name;
	int rc = full_name(b, file, prefix, d->name, &name);

	if (rc)
		return rc;
	rc = b_features_apply(b, file, name, d->options ? &d->options->base : NULL, B_OF_MESSAGE, &features, NULL);
	if (rc) {
		free(name);
		return rc;
	}
	struct b_message *m = b_list_add(&b->messages, sizeof *m);

	if (!m) {
		free(name);
		return b_nomem(b);
	}
	m->d = d;
	m->features = features;
	m->name = name;
	m->file = file;
	m->parent = parent;
	if (d->options && d->options->map_entry)
		m->flags |= SCH_M_MAP_ENTRY;
	if (d->options && d->options->message_set_wire_format)
		m->flags |= SCH_M_MESSAGE_SET;
	return 0;
}

static int add_enum(struct build *b, uint32_t file, uint32_t parent, const char *prefix, const fd_enum_t *d)
{
	struct b_features features = features_around(b, file, parent);
	char *name;
	int rc = full_name(b, file, prefix, d->name, &name);

	if (rc)
		return rc;
	rc = b_features_apply(b, file, name, d->options ? &d->options->base : NULL, B_OF_ENUM, &features, NULL);
	if (rc) {
		free(name);
		return rc;
	}
	struct b_enum *e = b_list_add(&b->enums, sizeof *e);

	if (!e) {
		free(name);
		return b_nomem(b);
	}
	*e = (struct b_enum){ .d = d, .name = name, .file = file, .closed = features.enums == B_CLOSED };
	return 0;
}

static int add_fields(struct build *b, uint32_t file, uint32_t msg, fd_field_t *const *d, size_t n, int extension)
{
	for (size_t i = 0; i < n; i++) {
		struct b_field *f = b_list_add(&b->fields, sizeof *f);

		if (!f)
			return b_nomem(b);
		f->d = d[i];
		f->file = file;
		f->msg = extension ? SCH_NONE : msg;
		f->scope = extension ? msg : SCH_NONE;
		f->sub = SCH_NONE;
		f->slot = f->oneof = SCH_NO_SLOT;
		f->extension = (uint8_t)extension;
	}
	return 0;
}

static int file_check(struct build *b, uint32_t file, char *const *names, size_t n_names)
{
	const fd_file_t *f = b->set->file[file];

	if (f->package && *f->package && !package_ok(f->package))
		return b_fail(b, -EINVAL, f->name, NULL, "the package '%.60s' is not a name", f->package);
	for (size_t i = 0; i < f->n_dependency; i++)
		if (!bsearch(&f->dependency[i], names, n_names, sizeof *names, string_order))
			return b_fail(b, -ENOENT, f->name, NULL,
				      "imports %.120s, which is not in the set; run protoc with --include_imports",
				      f->dependency[i]);
	return b_features_file(b, file);
}

static int files_check(struct build *b)
{
	size_t n = b->set->n_file;
	char **names = calloc(n ? n : 1, sizeof *names);
	int rc = 0;

	if (!names)
		return b_nomem(b);
	for (size_t i = 0; i < n && !rc; i++) {
		names[i] = b->set->file[i]->name;
		if (!names[i] || !*names[i])
			rc = b_fail(b, -EINVAL, NULL, NULL, "a file in the set has no name");
	}
	if (!rc)
		qsort(names, n, sizeof *names, string_order);
	for (size_t i = 1; i < n && !rc; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			rc = b_fail(b, -EEXIST, names[i], NULL, "the file is in the set twice");
	for (size_t i = 0; i < n && !rc; i++)
		rc = file_check(b, (uint32_t)i, names, n);
	free(names);
	return rc;
}

static int add_services(struct build *b, uint32_t file, const char *package)
{
	const fd_file_t *f = b->set->file[file];

	for (size_t i = 0; i < f->n_service; i++) {
		char *name;
		int rc = full_name(b, file, package, f->service[i]->name, &name);

		if (rc)
			return rc;
		char **slot = b_list_add(&b->services, sizeof *slot);

		if (!slot) {
			free(name);
			return b_nomem(b);
		}
		*slot = name;
	}
	return 0;
}

/* A message's own parts. Nested messages go to the end of the list and get their turn there, so nothing recurses. */
static int message_gather(struct build *b, uint32_t i)
{
	const fd_message_t *d = B_MSG(b, i)->d;
	const char *name = B_MSG(b, i)->name;
	uint32_t file = B_MSG(b, i)->file;
	int rc = add_fields(b, file, i, d->field, d->n_field, 0);

	if (!rc)
		rc = add_fields(b, file, i, d->extension, d->n_extension, 1);
	for (size_t k = 0; k < d->n_nested_type && !rc; k++)
		rc = add_message(b, file, i, name, d->nested_type[k]);
	for (size_t k = 0; k < d->n_enum_type && !rc; k++)
		rc = add_enum(b, file, i, name, d->enum_type[k]);
	return rc;
}

static int symbols_sort(struct build *b)
{
	int rc = 0;

	for (size_t i = 0; i < b->messages.n && !rc; i++)
		rc = add_symbol(b, B_MSG(b, i)->name, i, B_MESSAGE);
	for (size_t i = 0; i < b->enums.n && !rc; i++)
		rc = add_symbol(b, B_ENUM_AT(b, i)->name, i, B_ENUM);
	for (size_t i = 0; i < b->services.n && !rc; i++)
		rc = add_symbol(b, ((char **)b->services.at)[i], i, B_SERVICE);
	if (rc)
		return rc;
	if (b->symbols.n)
		qsort(b->symbols.at, b->symbols.n, sizeof(struct b_symbol), symbol_order);
	for (size_t i = 1; i < b->symbols.n; i++)
		if (strcmp(B_SYMBOL(b, i - 1)->name, B_SYMBOL(b, i)->name) == 0)
			return b_fail(b, -EEXIST, NULL, B_SYMBOL(b, i)->name, "is defined twice");
	return 0;
}

int b_gather(struct build *b)
{
	int rc = files_check(b);

	for (uint32_t i = 0; i < b->set->n_file && !rc; i++) {
		const fd_file_t *f = b->set->file[i];
		const char *package = f->package && *f->package ? f->package : NULL;

		for (size_t k = 0; k < f->n_message_type && !rc; k++)
			rc = add_message(b, i, SCH_NONE, package, f->message_type[k]);
		for (size_t k = 0; k < f->n_enum_type && !rc; k++)
			rc = add_enum(b, i, SCH_NONE, package, f->enum_type[k]);
		if (!rc)
			rc = add_fields(b, i, SCH_NONE, f->extension, f->n_extension, 1);
		if (!rc)
			rc = add_services(b, i, package);
	}
	for (uint32_t i = 0; i < b->messages.n && !rc; i++)
		rc = message_gather(b, i);
	return rc ? rc : symbols_sort(b);
}
