/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking things up in a compiled set: types, methods, names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr.h"
#include "pattern.h"
#include "set.h"

void sch_set_free(struct sch_set *set)
{
	if (!set)
		return;
	for (uint32_t i = 0; i < set->n_patterns; i++)
		sch_pattern_free(set->patterns[i]);
	for (uint32_t i = 0; i < set->n_exprs; i++)
		sch_expr_free(set->exprs[i].expr);
	free(set); /* one allocation */
}

const char *sch_err_text(const struct sch_err *err, const char *path, char *out, size_t cap)
{
	const char *file = err->file[0] ? err->file : path;

	snprintf(out, cap, "%s%s%s%s%s", file, file[0] ? ": " : "", err->where, err->where[0] ? ": " : "", err->text);
	return out;
}

static const char *type_name(const struct sch_set *s, uint32_t type)
{
	return s->names + s->messages[type].name;
}

int32_t sch_type_find(const struct sch_set *set, const char *full_name)
{
	uint32_t lo = 0, hi = set->n_messages;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = strcmp(type_name(set, set->by_name[mid]), full_name);

		if (c == 0)
			return (int32_t)set->by_name[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

uint32_t sch_type_count(const struct sch_set *set)
{
	return set->n_messages;
}

const char *sch_type_name(const struct sch_set *set, uint32_t type)
{
	return type < set->n_messages ? type_name(set, type) : "?";
}

const char *sch_type_error(const struct sch_set *set, uint32_t type)
{
	return type < set->n_messages && set->messages[type].error ? set->names + set->messages[type].error : NULL;
}

int sch_type_has_rules(const struct sch_set *set, uint32_t type)
{
	uint8_t *seen = calloc(set->n_messages ? set->n_messages : 1, 1);
	uint32_t *todo = calloc(set->n_messages ? set->n_messages : 1, sizeof *todo);
	uint32_t n = 0;
	int found = !seen || !todo;

	if (!found && type < set->n_messages) {
		seen[type] = 1;
		todo[n++] = type;
	}
	while (n > 0 && !found) { /* each message is put there once */
		const struct sch_message *m = &set->messages[todo[--n]];

		found = m->n_rules > 0 || m->flags & SCH_M_BAD;
		for (uint32_t k = 0; k < m->n_fields && !found; k++) {
			const struct sch_field *f = &set->fields[m->first + k];

			found = f->n_rules > 0;
			if ((f->type != SCH_T_MESSAGE && f->type != SCH_T_GROUP) || seen[f->sub])
				continue;
			seen[f->sub] = 1;
			todo[n++] = f->sub;
		}
	}
	free(seen);
	free(todo);
	return found;
}

uint32_t sch_method_count(const struct sch_set *set)
{
	return set->n_methods;
}

const struct sch_method *sch_method_get(const struct sch_set *set, uint32_t i)
{
	return i < set->n_methods ? &set->methods[i] : NULL;
}

int32_t sch_method_find(const struct sch_set *set, const char *name)
{
	uint32_t lo = 0, hi = set->n_methods;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = strcmp(set->methods[mid].name, name);

		if (c == 0)
			return (int32_t)mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

uint32_t sch_enum_find(const struct sch_set *s, const char *name, size_t len)
{
	uint32_t lo = 0, hi = s->n_enums;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const char *at = s->names + s->enum_names[s->enums_by_name[mid]].name;
		int c = strncmp(at, name, len);

		if (c == 0 && at[len] == '\0')
			return s->enums_by_name[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return SCH_NONE;
}

const char *sch_enum_value_name(const struct sch_set *s, uint32_t index, int32_t number)
{
	const struct sch_enum_names *e = &s->enum_names[index];

	for (uint32_t i = e->first; i < e->first + e->n; i++)
		if (s->value_names[i].number == number)
			return s->names + s->value_names[i].name;
	return NULL;
}

const struct sch_default *sch_default_find(const struct sch_set *s, uint32_t field)
{
	uint32_t lo = 0, hi = s->n_defaults;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->defaults[mid].field == field)
			return &s->defaults[mid];
		if (s->defaults[mid].field < field)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const char *sch_reason_name(enum sch_reason reason)
{
	static const char *const names[SCH_REASON_COUNT] = {
		[SCH_OK] = "ok",
#define X(sym, name) [SCH_##sym] = name,
		SCH_REASONS(X)
#undef X
	};

	return (unsigned)reason < SCH_REASON_COUNT ? names[reason] : "?";
}

int32_t sch_field_at(const struct sch_set *set, uint32_t type, const char *path)
{
	while (type < set->n_messages) {
		const struct sch_message *m = &set->messages[type];
		const struct sch_field *f = NULL;
		size_t len = strcspn(path, ".");

		for (uint32_t i = m->first; i < m->first + m->n_fields && !f; i++) {
			const char *name = set->names + set->fields[i].name;

			if (strncmp(name, path, len) == 0 && name[len] == '\0')
				f = &set->fields[i];
		}
		if (!f)
			return -1;
		if (path[len] == '\0')
			return (int32_t)(f - set->fields);
		type = f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP ? f->sub : SCH_NONE;
		path += len + 1;
	}
	return -1;
}

int sch_field_is_opaque(const struct sch_set *set, uint32_t field)
{
	const struct sch_field *f = &set->fields[field];

	return (f->type == SCH_T_STRING || f->type == SCH_T_BYTES) && !(f->flags & SCH_F_CONFINED);
}

int sch_field_is_confined(const struct sch_set *set, uint32_t field)
{
	return (set->fields[field].flags & SCH_F_CONFINED) != 0;
}

int32_t sch_field_nth(const struct sch_set *set, uint32_t type, uint32_t i)
{
	const struct sch_message *m = &set->messages[type];

	return i < m->n_fields ? (int32_t)(m->first + i) : -1;
}

const char *sch_field_name(const struct sch_set *set, uint32_t field)
{
	return field < set->n_fields ? set->names + set->fields[field].name : "?";
}
