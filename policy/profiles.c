/* SPDX-License-Identifier: BSD-2-Clause */
/* `profiles:` of a policy file or the shared one, and names of content wherever they are listed: their shape, and which profile
 * is whose. What the names mean, nDPI's above all, is for whoever knows the inspector to check. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "compile.h"
#include "language.h"

_Static_assert(POL_PROFILES_MAX == POL_YAML_KEYS_MAX, "the reader refuses one profile more");
_Static_assert(POL_NAME_MAX <= POL_CONTENT_NAME_MAX, "a profile can be listed");

static int listed_before(const struct pol_node *v, const struct pol_node *p)
{
	for (const struct pol_node *q = pol_node_each(v); q != p; q = q->next)
		if (strcasecmp(p->text, q->text) == 0)
			return 1;
	return 0;
}

/* Words that stand for themselves, where they make no sense. */
static int check_word(const struct pol_yaml *y, const char *key, const struct pol_node *v, const struct pol_node *p,
		      struct pol_err *err)
{
	int is_none = strcasecmp(p->text, "none") == 0, is_forbid = strcmp(key, "forbid") == 0;
	if (is_forbid && is_none)
		return pol_err_set(err, EINVAL, y->file, p->line, p->column,
				   "\"forbid\" lists \"none\"; to forbid nothing, leave the key out");
	if (is_forbid && (strcasecmp(p->text, "unknown") == 0 || strcasecmp(p->text, "doubtful") == 0))
		return pol_err_set(err, EINVAL, y->file, p->line, p->column,
				   "\"forbid\" lists \"%s\"; to forbid it, leave it out of \"allow\"", p->text);
	if (is_none && v->n > 1)
		return pol_err_set(err, EINVAL, y->file, p->line, p->column,
				   "\"%s\" lists \"none\" beside other names; it stands alone, or is left out", key);
	return 0;
}

int pol_content_names_check(const struct pol_yaml *y, const char *key, const struct pol_node *v, uint32_t max,
			    struct pol_err *err)
{
	int is_risks = strcmp(key, "risks") == 0;
	uint32_t most = is_risks ? POL_RISK_NAME_MAX : POL_CONTENT_NAME_MAX;
	if (v->kind == POL_NODE_LIST && v->n > max)
		return pol_err_set(err, EINVAL, y->file, v->line, v->column, "\"%s\" lists more than %u names", key, max);
	for (const struct pol_node *p = pol_node_each(v); p != NULL; p = p->next) {
		char quoted[POL_QUOTE_MAX];
		if (p->kind != POL_NODE_VALUE || (p->len == 0 && v->kind == POL_NODE_LIST))
			return pol_err_set(err, EINVAL, y->file, p->line, p->column,
					   "\"%s\" lists something that is not a name", key);
		int plain = p->len <= most;
		for (uint32_t i = 0; i < p->len; i++)
			plain &= (unsigned char)p->text[i] < 0x80;
		if (!plain)
			return pol_err_set(err, EINVAL, y->file, p->line, p->column,
					   "%s cannot be the name of %s: those are ASCII, at most %u bytes",
					   pol_quote(quoted, p->text), is_risks ? "a risk" : "content", most);
		if (listed_before(v, p))
			return pol_err_set(err, EINVAL, y->file, p->line, p->column, "%s is in the list twice",
					   pol_quote(quoted, p->text));
		int rc = check_word(y, key, v, p, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int check_name(const struct pol_yaml *y, const struct pol_node *key, struct pol_err *err)
{
	static const char *const taken[] = {"unknown", "doubtful", "none", "attacks"};
	char quoted[POL_QUOTE_MAX];
	if (!pol_name_ok(key->text, 0))
		return pol_err_set(err, EINVAL, y->file, key->line, key->column,
				   "%s is no profile's name; it begins with a letter and has at most 40 of a-z, 0-9 and -",
				   pol_quote(quoted, key->text));
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
		if (strcmp(key->text, taken[i]) == 0)
			return pol_err_set(err, EINVAL, y->file, key->line, key->column,
					   "a profile is called \"%s\", which means something already; choose another name",
					   key->text);
	return 0;
}

int pol_profiles_check(const struct pol_yaml *y, const struct pol_node *profiles, struct pol_err *err)
{
	const struct pol_mapping *m = &pol_language_profile;
	const struct pol_node *found[POL_MAPPING_KEYS_MAX];
	for (const struct pol_node *p = profiles->first; p != NULL; p = p->next) {
		int rc = check_name(y, p, err);
		if (rc == 0)
			rc = pol_mapping_keys(m, y, p->value, found, err);
		if (rc == 0 && p->value->n == 0)
			rc = pol_err_set(err, EINVAL, y->file, p->line, p->column,
					 "the profile \"%s\" says nothing; give it \"allow\", \"forbid\" or \"risks\"", p->text);
		for (uint32_t i = 0; i < m->n && rc == 0; i++)
			if (found[i] != NULL)
				rc = pol_content_names_check(y, m->keys[i].key.name, found[i]->value, POL_PROFILE_NAMES_MAX, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* The part of a list that a key of a profile is. */
static const struct pol_node *part_of(const struct pol_node *profile, const char *key)
{
	for (const struct pol_node *k = profile->first; k != NULL; k = k->next)
		if (strcmp(k->text, key) == 0)
			return k->value;
	return NULL;
}

int pol_profiles_read(struct compiler *c, const struct pol_node *profiles, const char *path, uint16_t owner)
{
	const struct pol_naming of = {.path = path, .owner = owner};
	for (const struct pol_node *p = profiles != NULL ? profiles->first : NULL; p != NULL; p = p->next) {
		const struct pol_node *const part[POL_PARTS] = {
		    [POL_PART_ALLOW] = part_of(p->value, "allow"),
		    [POL_PART_FORBID] = part_of(p->value, "forbid"),
		    [POL_PART_RISKS] = part_of(p->value, "risks"),
		};
		const struct pol_profile *other = NULL;
		int rc = pol_profile_add(&c->contents, c->set, p, part, &of, &other);
		if (rc == -EEXIST)
			return pol_err_set(c->err, EEXIST, path, p->line, p->column,
					   "the profile \"%s\" is in %s on line %u already; choose another name", p->text,
					   other->file, other->line);
		if (rc < 0)
			return pol_err_memory(c->err, path);
	}
	return 0;
}
