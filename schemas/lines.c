/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the line of a definition. SourceCodeInfo knows definitions by path: field numbers of descriptor.proto, each with an
 * index where the field is repeated. What is told with a line is left to others. */
#include <stdlib.h>
#include <string.h>

#include "lines.h"

typedef Google__Protobuf__SourceCodeInfo__Location fd_location_t;

/* Field numbers of descriptor.proto. */
enum { FILE_MESSAGE = 4, FILE_SERVICE = 6, MESSAGE_FIELD = 2, MESSAGE_NESTED = 3, MESSAGE_ONEOF = 8, SERVICE_METHOD = 2 };

static int path_order(const int32_t *a, size_t n, const int32_t *b, size_t m)
{
	for (size_t i = 0; i < n && i < m; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return (n > m) - (n < m);
}

static int location_order(const void *a, const void *b)
{
	const fd_location_t *x = *(const fd_location_t *const *)a, *y = *(const fd_location_t *const *)b;

	return path_order(x->path, x->n_path, y->path, y->n_path);
}

static void lines_make(struct sch_lines *l, const fd_file_t *file)
{
	const Google__Protobuf__SourceCodeInfo *info = file->source_code_info;

	l->made = 1;
	l->at = info ? calloc(info->n_location + 1, sizeof *l->at) : NULL;
	if (!l->at)
		return; /* without memory as without the information: no lines */
	for (size_t i = 0; i < info->n_location; i++)
		if (info->location[i]->n_path <= SCH_LINES_PATH_MAX && info->location[i]->n_span > 0)
			l->at[l->n++] = info->location[i];
	qsort(l->at, l->n, sizeof *l->at, location_order);
}

uint32_t sch_line_at(struct sch_lines *l, const fd_file_t *file, const int32_t *path, uint32_t n)
{
	if (!l->made)
		lines_make(l, file);
	for (; n > 0; n = n > 2 ? n - 2 : 0) {
		size_t lo = 0, hi = l->n;

		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;

			if (path_order(l->at[mid]->path, l->at[mid]->n_path, path, n) < 0)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo < l->n && path_order(l->at[lo]->path, l->at[lo]->n_path, path, n) == 0 && l->at[lo]->span[0] >= 0 &&
		    l->at[lo]->span[0] < INT32_MAX)
			return (uint32_t)l->at[lo]->span[0] + 1;
	}
	return 0;
}

/* --- by name ------------------------------------------------------------------------------------------------------ */

struct spot {
	int32_t path[SCH_LINES_PATH_MAX];
	uint32_t n;
};

static int spot_add(struct spot *s, int32_t field, size_t at)
{
	if (s->n + 2 > SCH_LINES_PATH_MAX)
		return 0;
	s->path[s->n++] = field;
	s->path[s->n++] = (int32_t)at;
	return 1;
}

/* What follows `part` in the name where the name begins with it: "", or what comes after the mark. NULL where it does not. */
static const char *after(const char *name, const char *part, char mark)
{
	size_t n = strlen(part);

	if (strncmp(name, part, n) != 0 || (name[n] != mark && name[n] != '\0'))
		return NULL;
	return name[n] ? name + n + 1 : name + n;
}

static void member_add(struct spot *s, const fd_message_t *m, const char *name)
{
	for (size_t i = 0; i < m->n_field; i++)
		if (!strcmp(m->field[i]->name, name) && spot_add(s, MESSAGE_FIELD, i))
			return;
	for (size_t i = 0; i < m->n_oneof_decl; i++)
		if (!strcmp(m->oneof_decl[i]->name, name) && spot_add(s, MESSAGE_ONEOF, i))
			return;
}

static void message_spot(struct spot *s, const fd_file_t *file, const char *name)
{
	fd_message_t *const *list = file->message_type;
	const fd_message_t *around = NULL;
	size_t n = file->n_message_type;

	while (*name) { /* each turn goes one message down */
		const fd_message_t *found = NULL;
		const char *rest = NULL;

		for (size_t i = 0; i < n && !found; i++)
			if ((rest = after(name, list[i]->name, '.')) && spot_add(s, around ? MESSAGE_NESTED : FILE_MESSAGE, i))
				found = list[i];
		if (!found) {
			if (around)
				member_add(s, around, name);
			return;
		}
		around = found;
		list = found->nested_type;
		n = found->n_nested_type;
		name = rest;
	}
}

static void method_spot(struct spot *s, const fd_file_t *file, const char *name)
{
	const char *method = NULL;

	for (size_t i = 0; i < file->n_service; i++) {
		const Google__Protobuf__ServiceDescriptorProto *d = file->service[i];

		if (!(method = after(name, d->name, '/')))
			continue;
		spot_add(s, FILE_SERVICE, i);
		for (size_t k = 0; k < d->n_method; k++)
			if (!strcmp(d->method[k]->name, method)) {
				spot_add(s, SERVICE_METHOD, k);
				return;
			}
	}
}

uint32_t sch_line_of(struct sch_lines *l, const fd_file_t *file, const char *name)
{
	struct spot s = { .n = 0 };
	const char *rest = file->package && *file->package ? after(name, file->package, '.') : name;

	if (!rest)
		return 0;
	if (strchr(rest, '/'))
		method_spot(&s, file, rest);
	else
		message_spot(&s, file, rest);
	return sch_line_at(l, file, s.path, s.n);
}

void sch_lines_free(struct sch_lines *l, size_t n)
{
	for (size_t i = 0; l && i < n; i++)
		free(l[i].at);
	free(l);
}
