/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the file that all policies of a folder share. Groups and assertions are only checked for their shape here. */
#include <errno.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "language.h"

_Static_assert(POL_GROUPS_MAX == POL_YAML_KEYS_MAX, "the reader refuses one group more");

static int check_groups(const struct pol_yaml *y, const struct pol_node *key, struct pol_err *err)
{
	char quoted[POL_QUOTE_MAX];
	for (const struct pol_node *g = key->value->first; g != NULL; g = g->next) {
		if (!pol_name_ok(g->text, 0))
			return pol_err_set(
			    err, EINVAL, y->file, g->line, g->column,
			    "%s is no group's name; it begins with a letter and has at most 40 of a-z, 0-9 and -",
			    pol_quote(quoted, g->text));
		if (g->value->kind == POL_NODE_MAP || (g->value->kind == POL_NODE_VALUE && g->value->len == 0) ||
		    (g->value->kind == POL_NODE_LIST && g->value->n == 0))
			return pol_err_set(err, EINVAL, y->file, g->line, g->column,
					   "the group \"%s\" takes a member or a list of members: a unikernel's name, "
					   "group:NAME or label:KEY=VALUE",
					   g->text);
		for (const struct pol_node *m = pol_node_each(g->value); m != NULL; m = m->next)
			if (m->kind != POL_NODE_VALUE || m->len == 0)
				return pol_err_set(err, EINVAL, y->file, m->line, m->column,
						   "the group \"%s\" lists something that is not a name", g->text);
	}
	return 0;
}

static int check_assertions(const struct pol_yaml *y, const struct pol_node *key, struct pol_err *err)
{
	const struct pol_node *found[POL_MAPPING_KEYS_MAX];
	for (const struct pol_node *a = key->value->first; a != NULL; a = a->next) {
		int rc = pol_mapping_keys(&pol_language_assertion, y, a, found, err);
		if (rc < 0)
			return rc;
		if (a->n != 1)
			return pol_err_set(err, EINVAL, y->file, a->line, a->column,
					   "an assertion is either \"never\" or \"always\"; write two");
	}
	return 0;
}

int pol_common_parse(struct pol_common *c, const char *path, const struct pol_text *text, struct pol_err *err)
{
	const struct pol_mapping *m = &pol_language_common;
	const struct pol_node *found[POL_MAPPING_KEYS_MAX];
	*c = (struct pol_common){0};
	int rc = text->text != NULL ? pol_yaml_parse(&c->yaml, path, text->text, text->len, err)
				    : pol_yaml_load(&c->yaml, path, err);
	if (rc < 0)
		return rc;
	rc = pol_mapping_keys(m, &c->yaml, c->yaml.root, found, err);
	for (uint32_t i = 0; i < m->n && rc == 0; i++) {
		const char *name = m->keys[i].key.name;
		if (found[i] == NULL || (found[i]->value->kind == POL_NODE_VALUE && found[i]->value->len == 0))
			continue;
		if (strcmp(name, "schemas") == 0)
			c->schemas = found[i]->value;
		else if (strcmp(name, "profiles") == 0 && (rc = pol_profiles_check(&c->yaml, found[i]->value, err)) == 0)
			c->profiles = found[i]->value;
		else if (strcmp(name, "groups") == 0 && (rc = check_groups(&c->yaml, found[i], err)) == 0)
			c->groups = found[i]->value;
		else if (strcmp(name, "assert") == 0 && (rc = check_assertions(&c->yaml, found[i], err)) == 0)
			c->assertions = found[i]->value;
	}
	if (rc < 0)
		pol_common_free(c);
	return rc;
}

void pol_common_free(struct pol_common *c)
{
	pol_yaml_free(&c->yaml);
}
