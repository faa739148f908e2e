/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of content, from a command line and from the profiles of a policy folder, united as a rule's `carries` unites them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/dpi_profile.h"
#include "policy/err.h"

struct reading {
	struct cli_content *c;
	const char *command;
	const struct pol_set *set; /* NULL: no folder */
};

static int add(const struct reading *r, const char **list, uint32_t *n, const char *name)
{
	for (uint32_t i = 0; i < *n; i++)
		if (strcasecmp(list[i], name) == 0)
			return 0;
	if (*n == CLI_CONTENT_MAX)
		return cli_fail(r->command, "more than %u names in one list", CLI_CONTENT_MAX);
	list[(*n)++] = name;
	return 0;
}

static int add_all(const struct reading *r, const char **list, uint32_t *n, const char *const *names, uint32_t n_names)
{
	int rc = 0;

	for (uint32_t i = 0; i < n_names && rc == 0; i++)
		rc = add(r, list, n, names[i]);
	return rc;
}

static int profile_add(const struct reading *r, const struct pol_profile *p)
{
	struct dpi_profile *to = &r->c->profile;
	const struct pol_content_list *l = &p->list;
	static const char *const attacks[] = { "attacks" };
	int rc = add_all(r, r->c->allow, &to->n_allow, l->allow, l->n_allow);

	if (rc == 0)
		rc = add_all(r, r->c->forbid, &to->n_forbid, l->forbid, l->n_forbid);
	/* One that says nothing of risks means the default. */
	if (rc == 0)
		rc = l->risks_given ? add_all(r, r->c->risks, &to->n_risks, l->risks, l->n_risks)
				    : add_all(r, r->c->risks, &to->n_risks, attacks, 1);
	to->risks_given = 1;
	return rc;
}

/* "files", or "hub:files" of the unikernel hub's own. *several: more than one unikernel has one of this name, and it is none of
 * the shared file's, which are each unikernel's. */
static const struct pol_profile *profile_find(const struct reading *r, const char *name, int *several)
{
	const struct cli_policy *policy = &r->c->policy;
	const struct pol_profile *found = NULL;
	const char *colon = strchr(name, ':');

	for (uint32_t i = 0; r->set && i < pol_profile_count(r->set); i++) {
		const struct pol_profile *p = pol_profile_get(r->set, i);

		if (!colon) {
			if (strcasecmp(p->name, name) != 0)
				continue;
			*several = found != NULL;
			if (found)
				return found;
			found = p;
			continue;
		}
		const char *owner = cli_policy_name(policy, p->owner);
		if (p->owner && strlen(owner) == (size_t)(colon - name) && strncmp(owner, name, strlen(owner)) == 0 &&
		    strcasecmp(p->name, colon + 1) == 0)
			return p;
	}
	return found;
}

static int is_word(const char *name)
{
	return strcasecmp(name, "unknown") == 0 || strcasecmp(name, "doubtful") == 0 || strcasecmp(name, "none") == 0;
}

static int name_add(const struct reading *r, const char *name)
{
	struct dpi_profile *to = &r->c->profile;
	char quoted[POL_QUOTE_MAX], near[160];
	int forbids = name[0] == '!', several = 0;
	const struct pol_profile *p = profile_find(r, name, &several);
	const char *colon = strchr(name, ':');

	if (p && several)
		return cli_fail(r->command, "profiles of several unikernels are called %s; say whose: %s:%s, or another's",
				pol_quote(quoted, name), cli_policy_name(&r->c->policy, p->owner), p->name);
	if (p)
		return profile_add(r, p);
	if (colon && r->set && (p = profile_find(r, colon + 1, &several)) != NULL && !p->owner)
		return cli_fail(r->command, "%s: the profile %s is in common.yaml, for all; it stands without \"%.*s\"",
				pol_quote(quoted, name), p->name, (int)(colon - name) + 1, name);
	if (dpi_name_means(name + forbids) & (DPI_IS_PROTOCOL | DPI_IS_CATEGORY | DPI_IS_KIND))
		return forbids ? add(r, r->c->forbid, &to->n_forbid, name + 1) : add(r, r->c->allow, &to->n_allow, name);
	if (!forbids && is_word(name))
		return add(r, r->c->allow, &to->n_allow, name);
	struct pol_near known = { .word = name };
	char hint[POL_HINT_MAX];

	for (uint32_t i = 0; r->set && i < pol_profile_count(r->set); i++)
		pol_near_try(&known, pol_profile_get(r->set, i)->name);
	dpi_name_near(name + forbids, DPI_IS_PROTOCOL | DPI_IS_CATEGORY | DPI_IS_KIND, near, sizeof near);
	pol_quote(quoted, name + forbids);
	if (known.best)
		return cli_fail(r->command, "%s is no profile and no content%s", quoted, pol_near_hint(&known, hint));
	if (near[0])
		return cli_fail(r->command, "%s is no content that nDPI knows, no kind and no profile; did you mean %s?", quoted,
				near);
	return cli_fail(r->command, "%s is no content that nDPI knows, no kind and no profile%s; `weft dpi names` lists what "
			"there is", quoted, r->set ? " of these policies" : " (--policies names a folder that has some)");
}

/* Calls take for each name of text, which is cut at its commas. */
static int names_each(const struct reading *r, char *text, int (*take)(const struct reading *r, const char *name))
{
	char *rest = text, *name;
	int rc = 0;

	while (rc == 0 && (name = strsep(&rest, ",")) != NULL) {
		while (*name == ' ')
			name++;
		size_t len = strlen(name);
		while (len && name[len - 1] == ' ')
			name[--len] = 0;
		rc = len ? take(r, name)
			 : cli_fail(r->command, "there is a name missing between two commas, or before or after one");
	}
	return rc;
}

static int risk_add(const struct reading *r, const char *name)
{
	return add(r, r->c->risks, &r->c->profile.n_risks, name);
}

int cli_content_read(struct cli_content *c, struct dpi_set *set, const char *command, const char *names, const char *risks,
		     const char *folder)
{
	struct cli_policy_options o = { .command = command };
	struct reading r = { c, command, NULL };
	const struct dpi_profile *profile = &c->profile;
	struct dpi_err err;
	int rc;

	memset(c, 0, sizeof *c);
	c->profile.allow = c->allow;
	c->profile.forbid = c->forbid;
	c->profile.risks = c->risks;
	if (folder && cli_policy_load(&c->policy, &o, folder) != 0)
		return CLI_ERROR;
	r.set = c->policy.set;
	size_t len = strlen(names) + 1, more = risks ? strlen(risks) + 1 : 0;
	c->words = malloc(len + more);
	if (!c->words)
		return cli_fail(command, "out of memory");
	memcpy(c->words, names, len);
	rc = names_each(&r, c->words, name_add);
	if (rc == 0 && risks) {
		c->profile.n_risks = 0;
		c->profile.risks_given = 1;
		memcpy(c->words + len, risks, more);
		rc = names_each(&r, c->words + len, risk_add);
	}
	if (rc == 0 && dpi_set_make(set, &profile, 1, &err) != 0)
		rc = cli_fail(command, "%s", err.text);
	return rc;
}

void cli_content_free(struct cli_content *c)
{
	cli_policy_free(&c->policy);
	free(c->words);
}
