/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the comparison of schema sets: sets made by protoc of text. Run from the tree's root. */
#ifndef TEST_COMPAT_PAIR_H
#define TEST_COMPAT_PAIR_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct text_set {
	uint8_t *data;
	size_t len;
};

static inline char *text_folder(void)
{
	char *dir = strdup(BUILD_DIR "/tests/compat-XXXXXX");

	if (dir && !mkdtemp(dir)) {
		free(dir);
		return NULL;
	}
	return dir;
}

static inline int text_write(const char *dir, const char *name, const char *text)
{
	char path[300];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "we");
	int bad = !f || fputs(text, f) == EOF;

	if (f)
		bad |= fclose(f) != 0;
	return bad ? -1 : 0;
}

/* All .proto files of the folder as one set, and then the folder is gone. data is NULL where protoc fails. */
static inline struct text_set text_compile(char *dir, const char *options)
{
	struct text_set s = { NULL, 0 };
	size_t cap = 1u << 24;
	char command[700];

	snprintf(command, sizeof command,
		 "cd %s && { ls *.proto | xargs protoc --include_imports %s --descriptor_set_out=set -I. "
		 "-I\"$OLDPWD/schemas\" 2>err && cat set || { cat err >&2; false; }; }",
		 dir, options);
	FILE *f = popen(command, "re");

	s.data = malloc(cap);
	if (f && s.data)
		s.len = fread(s.data, 1, cap, f);
	if (!f || pclose(f) != 0 || s.len == 0 || s.len == cap) {
		free(s.data);
		s = (struct text_set){ NULL, 0 };
	}
	snprintf(command, sizeof command, "rm -rf %s", dir);
	if (system(command) != 0)
		fprintf(stderr, "cannot remove %s\n", dir);
	free(dir);
	return s;
}

#endif
