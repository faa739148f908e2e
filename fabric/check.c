/* SPDX-License-Identifier: BSD-2-Clause */
/* Content names against nDPI's, assertions, and a look at the head of an image. */
#include "fabric/check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dpi/dpi.h"
#include "policy/err.h"
#include "policy/reach.h"

int fab_check_carries(const struct pol_set *policy, struct pol_err *err)
{
	char near[128];
	for (uint32_t i = 0; i < pol_carried_count(policy); i++) {
		const struct pol_carried *c = pol_carried_get(policy, i);
		if (dpi_name_means(c->name) & DPI_IS_PROTOCOL)
			continue;
		dpi_name_near(c->name, DPI_IS_PROTOCOL, near, sizeof near);
		snprintf(err->file, sizeof err->file, "%s", pol_rule(policy, c->rule)->file);
		err->line = c->line;
		err->column = 0;
		snprintf(err->text, sizeof err->text, "\"carries\": nDPI knows no protocol \"%s\"; %s%s%s", c->name,
			 near[0] ? "did you mean " : "it knows HTTP, TLS, SSH, DNS and some 300 more", near,
			 near[0] ? "?" : "");
		return -EINVAL;
	}
	return 0;
}

int fab_content_set(struct dpi_set *set, const struct pol_set *policy, uint32_t content, struct dpi_err *err)
{
	const char *names[POL_CARRIES_MAX + 1] = {"unknown"};
	const char *const *listed;
	struct dpi_profile p = {.allow = names, .n_allow = 1};
	const struct dpi_profile *both[] = {&p};

	for (uint32_t i = 0, n = pol_content(policy, content, &listed); i < n; i++)
		names[p.n_allow++] = listed[i];
	return dpi_set_make(set, both, 1, err);
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
