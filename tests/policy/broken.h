/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder of files that must be refused. The first line of each says where and with which words:
 * `# expect: LINE: text`. Static functions. */
#ifndef TESTS_POLICY_BROKEN_H
#define TESTS_POLICY_BROKEN_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

/* Runs refuse() over each file: it returns the compiler's or reader's result and fills err. Prints each file that was
 * accepted or refused in another way. Returns how many were right, *wrong the others; -1: no such folder. */
static int broken_run(const char *folder, int (*refuse)(const char *text, size_t len, struct pol_err *err), int *wrong)
{
	DIR *d = opendir(folder);
	int right = 0;
	*wrong = 0;
	if (d == NULL)
		return -1;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		static char text[1 << 16];
		char path[512], line[400], got[400];
		if (strlen(e->d_name) < 5 || strcmp(e->d_name + strlen(e->d_name) - 5, ".yaml") != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		FILE *f = fopen(path, "rb");
		size_t len = f != NULL ? fread(text, 1, sizeof text - 1, f) : 0;
		if (f != NULL)
			fclose(f);
		text[len] = '\0';
		struct pol_err err = {0};
		if (sscanf(text, "# expect: %399[^\n]", line) != 1)
			snprintf(line, sizeof line, "(no expectation in the first line)");
		int rc = refuse(text, len, &err);
		snprintf(got, sizeof got, "%u: %s", err.line, err.text);
		if (rc < 0 && strcmp(got, line) == 0) {
			right++;
			continue;
		}
		++*wrong;
		fprintf(stderr, "# %s\n#   expected %s\n#   got      %s\n", path, line, rc < 0 ? got : "accepted");
	}
	closedir(d);
	return right;
}

#endif
