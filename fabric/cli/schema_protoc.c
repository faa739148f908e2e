/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding a folder's .proto files and having protoc compile them. protoc writes into memory, so that nothing is left behind
 * by a failure; what the set is good for is left to schema_build.c. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/schema_protoc.h"
#include "fabric/files.h"
#include "schemas/schema.h"

#define FILES_MAX 20000u   /* .proto files below a folder */
#define FOLDERS_MAX 20000u
#define RULES_PROTO "buf/validate/validate.proto"
#define CHILD_FD 3         /* where protoc finds the memory to write to */

extern char **environ;

/* --- finding files ------------------------------------------------------------------------------------------------ */

struct texts {
	char **at; /* owned, each owned */
	size_t n, cap;
};

static int text_add(struct texts *t, const char *a, const char *b, const char *c)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		char **at = reallocarray(t->at, cap, sizeof *at);

		if (!at)
			return -ENOMEM;
		t->at = at;
		t->cap = cap;
	}
	if (asprintf(&t->at[t->n], "%s%s%s", a, b, c) < 0)
		return -ENOMEM;
	t->n++;
	return 0;
}

static void texts_free(struct texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->at[i]);
	free(t->at);
}

static int text_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Reads one folder: its files go to files, its folders to folders. Names are relative to dir. */
static int folder_read(const char *command, const char *dir, const char *folder, struct texts *files,
		       struct texts *folders)
{
	const char *slash = *folder ? "/" : "";
	const struct dirent *e;
	char path[PATH_MAX];
	struct stat st;
	int rc = 0, unread = 0;

	if (snprintf(path, sizeof path, "%s%s%s", dir, slash, folder) >= (int)sizeof path)
		return cli_fail(command, "%s/%s: the path is too long", dir, folder);
	DIR *d = opendir(path);

	if (!d)
		return cli_fail(command, "%s: %s", path, strerror(errno));
	while (!rc && (errno = 0, e = readdir(d)) != NULL) { /* ends with the folder, or where there is too much */
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			rc = text_add(folders, folder, slash, e->d_name);
		else if (!cli_ends_with(e->d_name, ".proto"))
			continue;
		else if (S_ISREG(st.st_mode) && faccessat(dirfd(d), e->d_name, R_OK, AT_EACCESS) != 0)
			unread = errno;
		else if (S_ISREG(st.st_mode))
			rc = text_add(files, folder, slash, e->d_name);
		else
			fprintf(stderr, "%s/%s: not a regular file; left out\n", path, e->d_name);
		if (unread) {
			cli_fail(command, "%s/%s: %s", path, e->d_name, strerror(unread));
			closedir(d);
			return CLI_ERROR;
		}
		if (!rc && (files->n > FILES_MAX || folders->n > FOLDERS_MAX))
			rc = -E2BIG;
	}
	if (!rc && errno)
		rc = -errno;
	closedir(d);
	if (rc == -E2BIG)
		return cli_fail(command, "%s holds more than %u .proto files or %u folders", dir, FILES_MAX, FOLDERS_MAX);
	return rc ? cli_fail(command, "%s: %s", path, strerror(-rc)) : 0;
}

int cli_protos_find(struct cli_protos *p)
{
	struct texts folders = { 0 }, files = { 0 };
	int rc = text_add(&folders, "", "", "") ? cli_fail(p->command, "out of memory") : 0;

	for (size_t i = 0; i < folders.n && !rc; i++)
		rc = folder_read(p->command, p->dir, folders.at[i], &files, &folders);
	texts_free(&folders);
	if (!rc && files.n == 0)
		rc = cli_fail(p->command, "%s: no .proto file there or below", p->dir);
	if (!rc)
		qsort(files.at, files.n, sizeof *files.at, text_order);
	p->file = files.at;
	p->n_file = files.n;
	return rc;
}

void cli_protos_free(struct cli_protos *p)
{
	texts_free(&(struct texts){ p->file, p->n_file, p->n_file });
	p->file = NULL;
	p->n_file = 0;
}

int cli_protos_has(const struct cli_protos *p, const char *name)
{
	size_t n = strlen(p->prefix);

	if (p->n_file == 0 || strncmp(name, p->prefix, n) != 0)
		return 0;
	name += n;
	return bsearch(&name, p->file, p->n_file, sizeof *p->file, text_order) != NULL;
}

int cli_proto_is_standard(const char *name)
{
	return strncmp(name, "google/protobuf/", 16) == 0 || !strcmp(name, RULES_PROTO) ||
	       !strcmp(name, "weft/options.proto");
}

/* --- running protoc ----------------------------------------------------------------------------------------------- */

/* protoc splits -I at ':' and gives '=' a meaning. */
static int folder_ok(const char *command, const char *path)
{
	if (!strpbrk(path, ":="))
		return 1;
	cli_fail(command, "%s: protoc cannot use a folder with ':' or '=' in its path", path);
	return 0;
}

/* The folder that has buf/validate/validate.proto: installed beside the program, or the source tree's. 0 or -ENOENT. */
static int rules_folder(char *out, size_t cap)
{
	static const char *const places[] = { "../share/weft/proto", "../../schemas", "../../../schemas" };
	char self[PATH_MAX], path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n <= 0)
		return -ENOENT;
	self[n] = '\0';
	char *slash = strrchr(self, '/');

	if (!slash || strpbrk(self, ":="))
		return -ENOENT;
	*slash = '\0';
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		snprintf(path, sizeof path, "%s/%s/" RULES_PROTO, self, places[i]);
		if (access(path, R_OK) == 0 && snprintf(out, cap, "%s/%s", self, places[i]) < (int)cap)
			return 0;
	}
	return -ENOENT;
}

/* Is dir below this folder? Then prefix is set to how it is called from there. */
static int is_above(const char *folder, const char *dir, char prefix[PATH_MAX])
{
	char *above = realpath(folder, NULL), *below = realpath(dir, NULL);
	size_t n = above ? strlen(above) : 0;
	int yes = above && below && n > 1 && strncmp(above, below, n) == 0 && below[n] == '/';

	if (yes)
		yes = snprintf(prefix, PATH_MAX, "%s/", below + n + 1) < PATH_MAX;
	free(above);
	free(below);
	return yes;
}

/* Files are given by their paths: protoc would take a bare name for a file of the current folder, if there is one. It names
 * them from the first folder that their paths begin with, so one above dir comes before dir: its owners import from there. */
static int args_make(struct cli_protos *p, struct texts *args)
{
	const char *root = p->dir;
	char rules[PATH_MAX], *path;
	int rc = text_add(args, "protoc", "", "");

	if (!rc)
		rc = text_add(args, "--include_imports", "", "");
	if (!rc)
		rc = text_add(args, "--include_source_info", "", "");
	if (!rc)
		rc = text_add(args, "--descriptor_set_out=", "/proc/self/fd/", "3");
	for (uint32_t i = 0; i < p->n_include && !rc; i++)
		if (!p->prefix[0] && is_above(p->include[i], p->dir, p->prefix)) {
			root = p->include[i];
			rc = text_add(args, "-I", root, "");
		}
	if (!rc)
		rc = text_add(args, "-I", p->dir, "");
	for (uint32_t i = 0; i < p->n_include && !rc; i++)
		rc = text_add(args, "-I", p->include[i], "");
	if (!rc && rules_folder(rules, sizeof rules) == 0)
		rc = text_add(args, "-I", rules, "");
	for (size_t i = 0; i < p->n_file && !rc; i++) {
		/* A path that begins with '-' would be an option. */
		if (asprintf(&path, "%s%s/%s", root[0] == '-' ? "./" : "", root, p->prefix) < 0)
			return -ENOMEM;
		rc = text_add(args, path, p->file[i], "");
		free(path);
	}
	return rc;
}
_Static_assert(CHILD_FD == 3, "its number is written above");

/* Runs protoc with stdout going to stderr and fd as CHILD_FD. 0, or CLI_ERROR after saying why. */
static int protoc_run(const char *command, char *const *argv, int fd)
{
	posix_spawn_file_actions_t a;
	int status, rc;
	pid_t pid;

	if (posix_spawn_file_actions_init(&a) != 0)
		return cli_fail(command, "out of memory");
	rc = posix_spawn_file_actions_addopen(&a, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(&a, STDERR_FILENO, STDOUT_FILENO);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(&a, fd, CHILD_FD); /* kept open, even where it is 3 already */
	if (!rc)
		rc = posix_spawnp(&pid, argv[0], &a, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&a);
	if (rc == ENOENT)
		return cli_fail(command, "there is no protoc; install it (Debian: apt install protobuf-compiler)");
	if (rc == E2BIG)
		return cli_fail(command, "too many .proto files for one run of protoc");
	if (rc)
		return cli_fail(command, "cannot start protoc: %s", strerror(rc));
	while (waitpid(pid, &status, 0) < 0) /* ends with protoc */
		if (errno != EINTR)
			return cli_fail(command, "cannot wait for protoc: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return cli_fail(command, "protoc was ended by signal %d", WTERMSIG(status));
	return cli_fail(command, "protoc refuses these files: see above (it looks for imports in DIR and in each -I PATH)");
}

/* Reads all that protoc wrote. NULL after saying why. */
static uint8_t *memory_read(const char *command, int fd, size_t *len)
{
	uint8_t *data = NULL;
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int rc = fab_file_load(path, SCH_SET_BYTES_MAX, &data, len);

	if (rc == -EFBIG)
		cli_fail(command, "the set would be larger than %u MiB", SCH_SET_BYTES_MAX >> 20);
	else if (rc)
		cli_fail(command, "cannot read what protoc wrote: %s", strerror(-rc));
	return data;
}

uint8_t *cli_protos_compile(struct cli_protos *p, size_t *len)
{
	struct texts args = { 0 };
	uint8_t *data = NULL;
	char **argv = NULL;

	if (!folder_ok(p->command, p->dir))
		return NULL;
	for (uint32_t i = 0; i < p->n_include; i++)
		if (!folder_ok(p->command, p->include[i]))
			return NULL;
	int fd = memfd_create("weft-schema-set", MFD_CLOEXEC);

	if (fd < 0) {
		cli_fail(p->command, "cannot get memory for the set: %s", strerror(errno));
		return NULL;
	}
	if (args_make(p, &args) != 0 || !(argv = reallocarray(NULL, args.n + 1, sizeof *argv))) {
		cli_fail(p->command, "out of memory");
		goto out;
	}
	memcpy(argv, args.at, args.n * sizeof *argv);
	argv[args.n] = NULL;
	fflush(stdout);
	if (protoc_run(p->command, argv, fd) == 0)
		data = memory_read(p->command, fd, len);
out:
	free(argv);
	texts_free(&args);
	close(fd);
	return data;
}
