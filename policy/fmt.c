/* SPDX-License-Identifier: BSD-2-Clause */
/* Lays out a file: what may be laid out, and that nothing was changed by it. Reading is fmt_tree.c's, writing fmt_emit.c's. */
#include "fmt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "fmt_tree.h"

/* What is inside a mapping without a table: names, and for each a value, or for groups also a list of values. */
static int check_names(const struct pol_yaml *y, const struct pol_node *map, int lists, struct pol_err *err)
{
	char quoted[POL_QUOTE_MAX];
	for (const struct pol_node *k = map->first; k != NULL; k = k->next) {
		if (!pol_name_ok(k->text, 1))
			return pol_err_set(err, EINVAL, y->file, k->line, k->column,
					   "%s is no name; it begins with a letter and has at most %u of a-z, 0-9, - and _",
					   pol_quote(quoted, k->text), POL_NAME_MAX);
		if (k->value->kind == POL_NODE_MAP || (k->value->kind == POL_NODE_LIST && !lists))
			return pol_err_set(err, EINVAL, y->file, k->value->line, k->value->column, "\"%s\" takes %s", k->text,
					   lists ? "a name or a list of names" : "a text");
		for (const struct pol_node *p = pol_node_each(k->value); p != NULL; p = p->next)
			if (p->kind != POL_NODE_VALUE)
				return pol_err_set(err, EINVAL, y->file, p->line, p->column,
						   "\"%s\" lists something that is not a name", k->text);
	}
	return 0;
}

/* Are its keys those of the language? Recursion: as deep as the tables, three levels. */
static int check_map(const struct pol_yaml *y, const struct pol_mapping *m, const struct pol_node *map, struct pol_err *err)
{
	const struct pol_node *found[POL_MAPPING_KEYS_MAX];
	int rc = pol_mapping_keys(m, y, map, found, err);
	for (uint32_t i = 0; i < m->n && rc == 0; i++) {
		const struct pol_node *v = found[i] != NULL ? found[i]->value : NULL;
		if (v == NULL || v->kind == POL_NODE_VALUE)
			continue;
		if (m->keys[i].inside == NULL) {
			if (v->kind == POL_NODE_MAP)
				rc = check_names(y, v, m->keys[i].value != POL_VALUE_LABELS, err);
			continue;
		}
		int by_name = m->keys[i].value == POL_VALUE_PROFILES;
		for (const struct pol_node *p = by_name ? v->first : pol_node_each(v); p != NULL && rc == 0; p = p->next)
			rc = check_map(y, m->keys[i].inside, by_name ? p->value : p, err);
	}
	return rc;
}

/* Do both say the same? The order of keys says nothing. Recursion: at most POL_YAML_DEPTH_MAX. */
static int same(const struct pol_node *a, const struct pol_node *b)
{
	if (a->kind != b->kind || a->n != b->n)
		return 0;
	if (a->kind == POL_NODE_VALUE)
		return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
	const struct pol_node *q = b->first;
	for (const struct pol_node *p = a->first; p != NULL; p = p->next) {
		if (a->kind == POL_NODE_MAP)
			for (q = b->first; q != NULL && strcmp(p->text, q->text) != 0; q = q->next)
				;
		if (q == NULL || !(a->kind == POL_NODE_MAP ? same(p->value, q->value) : same(p, q)))
			return 0;
		q = q->next;
	}
	return 1;
}

const struct pol_mapping *pol_fmt_mapping(const char *path)
{
	static const char cases[] = ".test.yaml";
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	size_t len = strlen(name);
	if (strcmp(name, POL_COMMON ".yaml") == 0)
		return &pol_language_common;
	if (len > sizeof cases - 1 && strcmp(name + len - (sizeof cases - 1), cases) == 0)
		return &pol_language_cases;
	return &pol_language_policy;
}

int pol_fmt(char **out, size_t *out_len, const char *file, const char *text, size_t len, const struct pol_mapping *m,
	    struct pol_err *err)
{
	struct pol_yaml before, after;
	struct fmt_tree tree = {.root = NULL};
	*out = NULL;
	*out_len = 0;
	int rc = pol_yaml_parse(&before, file, text, len, err);
	if (rc < 0)
		return rc;
	rc = check_map(&before, m, before.root, err);
	if (rc < 0)
		goto out;
	rc = fmt_tree_make(&tree, text, len);
	if (rc == 0)
		rc = fmt_emit(out, out_len, &tree, m);
	/* However sure we are: a file that says something else is never handed out. */
	if (rc == 0) {
		rc = pol_yaml_parse(&after, file, *out, *out_len, err);
		if (rc == 0) {
			rc = same(before.root, after.root) ? 0 : -EINVAL;
			pol_yaml_free(&after);
		}
	}
	if (rc == -ENOMEM)
		rc = pol_err_memory(err, file);
	else if (rc < 0)
		rc = pol_err_set(err, EINVAL, file, 0, 0,
				 "it cannot be laid out without a change of what it says; it was left as it is");
out:
	if (rc < 0) {
		free(*out);
		*out = NULL;
	}
	fmt_tree_free(&tree);
	pol_yaml_free(&before);
	return rc;
}
