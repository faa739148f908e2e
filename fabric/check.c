/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of content against nDPI's, assertions, and a look at the head of an image. */
#include "fabric/check.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "dpi/dpi.h"
#include "policy/err.h"
#include "policy/reach.h"

/* What a list takes, in the words of an error. */
static const struct {
	unsigned means;
	const char *key, *takes;
} use_of[POL_NAMED_USES] = {
	[POL_NAMED_CARRIED] = {DPI_IS_PROTOCOL | DPI_IS_CATEGORY | DPI_IS_KIND, "carries",
			       "protocols (HTTP, TLS, SSH, DNS ...), categories, kinds (text, json ...), unknown, doubtful, none "
			       "and profiles"},
	[POL_NAMED_ALLOWED] = {DPI_IS_PROTOCOL | DPI_IS_CATEGORY | DPI_IS_KIND, "allow",
			       "protocols (HTTP, TLS, SSH, DNS ...), categories, kinds (text, json ...), unknown, doubtful and "
			       "none"},
	[POL_NAMED_FORBIDDEN] = {DPI_IS_PROTOCOL | DPI_IS_CATEGORY | DPI_IS_KIND, "forbid",
				 "protocols (HTTP, TLS, SSH, DNS ...), categories and kinds (executable, archive ...)"},
	[POL_NAMED_RISK] = {DPI_IS_RISK, "risks", "nDPI's risks, attacks and none"},
};

/* The profile of this name, or one like it, that the file may list; NULL: none. */
static const char *profile_like(const struct pol_set *policy, const struct pol_named *n, int exactly)
{
	struct pol_near near = {.word = n->name};
	for (uint32_t i = 0; i < pol_profile_count(policy); i++) {
		const struct pol_profile *p = pol_profile_get(policy, i);
		if (p->owner != 0 && p->owner != n->owner)
			continue;
		if (exactly && strcasecmp(p->name, n->name) == 0)
			return p->name;
		pol_near_try(&near, p->name);
	}
	return exactly ? NULL : near.best;
}

/* A word that stands for itself and is like this name; NULL: none is. */
static const char *word_like(const struct pol_named *n)
{
	struct pol_near near = {.word = n->name};
	if (n->use == POL_NAMED_RISK) {
		pol_near_try(&near, "attacks");
	} else if (n->use != POL_NAMED_FORBIDDEN) {
		pol_near_try(&near, "unknown");
		pol_near_try(&near, "doubtful");
	}
	return near.best;
}

static int refuse_name(const struct pol_set *policy, const struct pol_named *n, struct pol_err *err)
{
	const char *key = use_of[n->use].key, *profile = profile_like(policy, n, 1);
	char near[128];
	if (profile != NULL && n->use == POL_NAMED_ALLOWED)
		return pol_err_set(err, EINVAL, n->file, n->line, n->column,
				   "\"%s\": \"%s\" is a profile, and a profile lists no other; list both under \"carries\"", key,
				   profile);
	if (n->use != POL_NAMED_RISK && dpi_name_means(n->name) & DPI_IS_RISK)
		return pol_err_set(err, EINVAL, n->file, n->line, n->column,
				   "\"%s\": \"%s\" is a risk; a profile refuses it under \"risks\"", key, n->name);
	const char *word = word_like(n);
	if (word != NULL)
		return pol_err_set(err, EINVAL, n->file, n->line, n->column,
				   "\"%s\": nothing is called \"%s\"; did you mean %s?", key, n->name, word);
	if (n->use == POL_NAMED_CARRIED && (profile = profile_like(policy, n, 0)) != NULL)
		return pol_err_set(err, EINVAL, n->file, n->line, n->column,
				   "\"%s\": nothing is called \"%s\"; did you mean the profile %s?", key, n->name, profile);
	dpi_name_near(n->name, use_of[n->use].means, near, sizeof near);
	return pol_err_set(err, EINVAL, n->file, n->line, n->column, "\"%s\": nothing is called \"%s\"; %s%s%s", key, n->name,
			   near[0] ? "did you mean " : "it takes ", near[0] ? near : use_of[n->use].takes, near[0] ? "?" : "");
}

/* A profile with a name of content would change what all rules mean that list that. */
static int check_profile(const struct pol_profile *p, struct pol_err *err)
{
	static const struct {
		enum dpi_meaning means;
		const char *what;
	} taken[] = {
		{DPI_IS_PROTOCOL, "an nDPI protocol"},
		{DPI_IS_CATEGORY, "an nDPI category"},
		{DPI_IS_KIND, "a kind of content"},
	};
	unsigned means = dpi_name_means(p->name);
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
		if (means & taken[i].means)
			return pol_err_set(err, EINVAL, p->file, p->line, 0,
					   "the profile \"%s\" has the name of %s; choose another name", p->name, taken[i].what);
	return 0;
}

int fab_check_carries(const struct pol_set *policy, struct pol_err *err)
{
	int ret = 0;
	for (uint32_t i = 0; i < pol_profile_count(policy) && !ret; i++)
		ret = check_profile(pol_profile_get(policy, i), err);
	for (uint32_t i = 0; i < pol_named_count(policy) && !ret; i++) {
		const struct pol_named *n = pol_named_get(policy, i);
		if (!(dpi_name_means(n->name) & use_of[n->use].means))
			ret = refuse_name(policy, n, err);
	}
	return ret;
}

int fab_lists_set(struct dpi_set *set, const struct pol_content_list *const *lists, uint32_t n, struct dpi_err *err)
{
	struct dpi_profile p[2];
	const struct dpi_profile *both[] = {&p[0], &p[1]};

	assert(n >= 1 && n <= 2);
	for (uint32_t i = 0; i < n; i++)
		p[i] = (struct dpi_profile){
			.allow = lists[i]->allow,
			.forbid = lists[i]->forbid,
			.risks = lists[i]->risks,
			.n_allow = lists[i]->n_allow,
			.n_forbid = lists[i]->n_forbid,
			.n_risks = lists[i]->n_risks,
			.risks_given = lists[i]->risks_given,
		};
	return dpi_set_make(set, both, n, err);
}

int fab_content_set(struct dpi_set *set, const struct pol_set *policy, uint32_t content, struct dpi_err *err)
{
	const struct pol_content_list *lists[2];

	return fab_lists_set(set, lists, pol_content(policy, content, lists), err);
}

int fab_content_passes(const struct pol_set *policy, uint32_t content)
{
	struct dpi_set set;
	struct dpi_err err;
	uint64_t some = 0;

	if (fab_content_set(&set, policy, content, &err) != 0)
		return 1;
	for (unsigned i = 0; i < DPI_IDS_MAX / 64; i++)
		some |= set.allowed[i];
	return some != 0 || set.plain != 0;
}

int fab_check_assertions(const struct pol_set *policy, void (*note)(void *arg, const struct pol_err *e), void *arg,
			 struct pol_err *err)
{
	struct pol_reach *reach = NULL;
	uint32_t n = pol_assertion_count(policy);
	int ret = n ? pol_reach_make(&reach, policy) : 0, failed = 0;
	for (uint32_t i = 0; i < n && !ret; i++) {
		struct pol_verdict v;
		struct pol_err e;
		ret = pol_assertion_check(reach, i, &v);
		if (!ret && !v.holds) {
			pol_err_set(&e, EINVAL, pol_common_file(policy), pol_assertion_get(policy, i)->line, 0, "%s", v.text);
			if (!failed++)
				*err = e;
			if (note)
				note(arg, &e);
		}
		pol_verdict_free(&v);
	}
	pol_reach_free(reach);
	if (ret)
		return pol_err_memory(err, pol_common_file(policy));
	return failed ? -EINVAL : 0;
}

int fab_check_image(const char *path, char *err, size_t cap)
{
	unsigned char head[EI_NIDENT + 4];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);
	int e = errno;
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		snprintf(err, cap, "%s", strerror(e));
		return -e;
	}
	/* e_machine follows e_type, two bytes each, least first. */
	if ((size_t)n < sizeof head || memcmp(head, ELFMAG, SELFMAG) || head[EI_CLASS] != ELFCLASS64 ||
	    head[EI_NIDENT + 2] != EM_X86_64 || head[EI_NIDENT + 3] != 0) {
		snprintf(err, cap, "not a unikernel's image (x86-64 ELF); `make service` and `make images` build some");
		return -ENOEXEC;
	}
	return 0;
}
