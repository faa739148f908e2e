/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft schema build`: finds the .proto files of a folder, has protoc compile them, looks for what cannot be used or will
 * surprise, and only then writes the set. protoc writes into memory, so that nothing is left behind by a failure. */
#include <argp.h>
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

#include "fabric/cli.h"
#include "fabric/cli_schema.h"
#include "fabric/files.h"
#include "schemas/schema.h"
#include "schemas/show.h"

#define COMMAND "schema build"
#define FILES_MAX 20000u        /* .proto files in a folder */
#define FOLDERS_MAX 20000u
#define INCLUDES_MAX 64u        /* -I */
#define RULES_PROTO "buf/validate/validate.proto"
#define CHILD_FD 3              /* where protoc finds the memory to write to */

extern char **environ;

struct options {
	const char *dir, *out;
	char prefix[PATH_MAX]; /* of the names of the folder's files: DIR below the -I that it lies in, "demo/", or "" */
	const char *include[INCLUDES_MAX];
	uint32_t n_include;
	int verbose, json;
};

static const struct argp_option option_list[] = {
	{ "output", 'o', "SET", 0, "the descriptor set to write", 0 },
	{ "include", 'I', "PATH", 0, "also look there for what is imported; may be repeated", 0 },
	{ "verbose", 'v', NULL, 0, "tell what is content for inspection, too", 0 },
	{ "json", 'j', NULL, 0, "print JSON", 0 },
	{ 0 },
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'o':
		o->out = arg;
		break;
	case 'I':
		if (o->n_include == INCLUDES_MAX)
			argp_error(state, "more than %u -I", INCLUDES_MAX);
		o->include[o->n_include++] = arg;
		break;
	case 'v':
		o->verbose = 1;
		break;
	case 'j':
		o->json = 1;
		break;
	case ARGP_KEY_ARG:
		if (o->dir)
			argp_error(state, "one DIR only");
		o->dir = arg;
		break;
	case ARGP_KEY_END:
		if (!o->dir || !o->out)
			argp_error(state, "give a DIR of .proto files and -o SET");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp parser = {
	.options = option_list,
	.parser = option_parse,
	.args_doc = "DIR -o SET",
	.doc = "Makes a descriptor set of all .proto files in DIR and below, if a fabric can use it. Imports are looked for in DIR "
	       "and in each PATH; " RULES_PROTO " is found without one.\v"
	       "Exit status: 0 written, 1 the schemas have errors, 2 it could not be done. SET stays as it was unless it is 0.",
};

/* --- finding files ----------------------------------------------------------------------------------------------------- */

struct paths {
	char **at; /* owned, each owned; relative to the folder */
	size_t n, cap;
};

static int path_add(struct paths *p, const char *folder, const char *name)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 64;
		char **at = reallocarray(p->at, cap, sizeof *at);

		if (!at)
			return -ENOMEM;
		p->at = at;
		p->cap = cap;
	}
	if (asprintf(&p->at[p->n], "%s%s%s", folder, *folder ? "/" : "", name) < 0)
		return -ENOMEM;
	p->n++;
	return 0;
}

static void paths_free(struct paths *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->at[i]);
	free(p->at);
}

static int path_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int is_proto(const char *name)
{
	size_t n = strlen(name);

	return n > 6 && strcmp(name + n - 6, ".proto") == 0;
}

/* Reads one folder: its files go to files, its folders to folders. */
static int folder_read(const char *dir, const char *folder, struct paths *files, struct paths *folders)
{
	char path[PATH_MAX];
	const struct dirent *e;
	struct stat st;
	int rc = 0;

	if (snprintf(path, sizeof path, "%s/%s", dir, folder) >= (int)sizeof path)
		return cli_fail(COMMAND, "%s/%s: the path is too long", dir, folder);
	DIR *d = opendir(path);

	if (!d)
		return cli_fail(COMMAND, "%s: %s", *folder ? path : dir, strerror(errno));
	while (!rc && (errno = 0, e = readdir(d)) != NULL) { /* ends with the folder, or where there is too much */
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			rc = path_add(folders, folder, e->d_name);
		else if (!is_proto(e->d_name))
			continue;
		else if (S_ISREG(st.st_mode))
			rc = path_add(files, folder, e->d_name);
		else
			fprintf(stderr, "%s%s%s: not a regular file; left out\n", path, *folder ? "/" : "", e->d_name);
		if (!rc && (files->n > FILES_MAX || folders->n > FOLDERS_MAX))
			rc = -E2BIG;
	}
	if (!rc && errno)
		rc = -errno;
	closedir(d);
	if (rc == -E2BIG)
		return cli_fail(COMMAND, "%s holds more than %u .proto files or %u folders", dir, FILES_MAX, FOLDERS_MAX);
	return rc ? cli_fail(COMMAND, "%s: %s", path, strerror(-rc)) : 0;
}

static int files_find(const char *dir, struct paths *files)
{
	struct paths folders = { 0 };
	int rc = path_add(&folders, "", "") ? cli_fail(COMMAND, "out of memory") : 0;

	for (size_t i = 0; i < folders.n && !rc; i++)
		rc = folder_read(dir, folders.at[i], files, &folders);
	paths_free(&folders);
	if (rc)
		return rc;
	if (files->n == 0)
		return cli_fail(COMMAND, "%s: no .proto file there or below", dir);
	qsort(files->at, files->n, sizeof *files->at, path_order);
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

	if (!slash)
		return -ENOENT;
	*slash = '\0';
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		snprintf(path, sizeof path, "%s/%s/" RULES_PROTO, self, places[i]);
		if (access(path, R_OK) == 0 && snprintf(out, cap, "%s/%s", self, places[i]) < (int)cap)
			return 0;
	}
	return -ENOENT;
}

/* --- running protoc ------------------------------------------------------------------------------------------------------ */

/* protoc splits -I at ':' and gives '=' a meaning. */
static int include_ok(const char *path)
{
	if (!strpbrk(path, ":="))
		return 1;
	cli_fail(COMMAND, "%s: protoc cannot use a folder with ':' or '=' in its path", path);
	return 0;
}

static int arg_add(struct paths *args, const char *option, const char *path)
{
	/* A path that begins with '-' would be an option. */
	const char *here = option[0] == '\0' && path[0] == '-' ? "./" : "";
	char *text;

	if (asprintf(&text, "%s%s%s", option, here, path) < 0)
		return -ENOMEM;
	int rc = path_add(args, "", text);

	free(text);
	return rc;
}

/* Is DIR below this folder? Then *prefix is set to how it is called from there. */
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

/* Paths below DIR: protoc takes a name that also exists in the current folder for that file. It names a file from the first
 * folder that it is below, so a PATH above DIR comes before DIR: its owners import from there. */
static int args_make(struct options *o, const struct paths *files, struct paths *args)
{
	char rules[PATH_MAX], *path;
	int rc = arg_add(args, "", "protoc");

	if (!rc)
		rc = arg_add(args, "--include_imports", "");
	if (!rc)
		rc = arg_add(args, "--include_source_info", "");
	if (!rc)
		rc = arg_add(args, "--descriptor_set_out=/proc/self/fd/", "3");
	for (uint32_t i = 0; i < o->n_include && !rc; i++)
		if (!o->prefix[0] && is_above(o->include[i], o->dir, o->prefix))
			rc = arg_add(args, "-I", o->include[i]);
	if (!rc)
		rc = arg_add(args, "-I", o->dir);
	for (uint32_t i = 0; i < o->n_include && !rc; i++)
		rc = arg_add(args, "-I", o->include[i]);
	if (!rc && rules_folder(rules, sizeof rules) == 0)
		rc = arg_add(args, "-I", rules);
	for (size_t i = 0; i < files->n && !rc; i++) {
		if (asprintf(&path, "%s/%s", o->dir, files->at[i]) < 0)
			return -ENOMEM;
		rc = arg_add(args, "", path);
		free(path);
	}
	return rc;
}
_Static_assert(CHILD_FD == 3, "its number is written above");

/* Runs protoc with stdout going to stderr and fd as CHILD_FD. 0, or CLI_ERROR after saying why. */
static int protoc_run(char *const *argv, int fd)
{
	posix_spawn_file_actions_t a;
	int status, rc;
	pid_t pid;

	if (posix_spawn_file_actions_init(&a) != 0)
		return cli_fail(COMMAND, "out of memory");
	rc = posix_spawn_file_actions_addopen(&a, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(&a, STDERR_FILENO, STDOUT_FILENO);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(&a, fd, CHILD_FD); /* not closed on exec, even where it is 3 already */
	if (!rc)
		rc = posix_spawnp(&pid, argv[0], &a, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&a);
	if (rc == ENOENT)
		return cli_fail(COMMAND, "there is no protoc; install it (Debian: apt install protobuf-compiler)");
	if (rc == E2BIG)
		return cli_fail(COMMAND, "too many .proto files for one run of protoc");
	if (rc)
		return cli_fail(COMMAND, "cannot start protoc: %s", strerror(rc));
	while (waitpid(pid, &status, 0) < 0) /* ends with protoc */
		if (errno != EINTR)
			return cli_fail(COMMAND, "cannot wait for protoc: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return cli_fail(COMMAND, "protoc was ended by signal %d", WTERMSIG(status));
	return cli_fail(COMMAND, "protoc refuses these files; what it says stands above (imports are looked for in DIR and each -I PATH)");
}

/* Reads all that protoc wrote. NULL after saying why. */
static uint8_t *memory_read(int fd, size_t *len)
{
	struct stat st;
	size_t n = 0;

	if (fstat(fd, &st) != 0 || st.st_size < 0) {
		cli_fail(COMMAND, "cannot read what protoc wrote: %s", strerror(errno));
		return NULL;
	}
	if ((uint64_t)st.st_size > SCH_SET_BYTES_MAX) {
		cli_fail(COMMAND, "the set would be larger than %u MiB", SCH_SET_BYTES_MAX >> 20);
		return NULL;
	}
	uint8_t *data = malloc((size_t)st.st_size + 1);

	while (data && n < (size_t)st.st_size) { /* ends with the file */
		ssize_t got = pread(fd, data + n, (size_t)st.st_size - n, (off_t)n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			free(data);
			data = NULL;
			break;
		}
		n += (size_t)got;
	}
	if (!data)
		cli_fail(COMMAND, "cannot read what protoc wrote");
	*len = n;
	return data;
}

static uint8_t *protoc_compile(struct options *o, const struct paths *files, size_t *len)
{
	struct paths args = { 0 };
	uint8_t *data = NULL;
	int fd = memfd_create("weft-schema-set", MFD_CLOEXEC);

	if (fd < 0) {
		cli_fail(COMMAND, "cannot get memory for the set: %s", strerror(errno));
		return NULL;
	}
	if (args_make(o, files, &args) != 0) {
		cli_fail(COMMAND, "out of memory");
		goto out;
	}
	char **argv = reallocarray(args.at, args.n + 1, sizeof *argv);

	if (!argv) {
		cli_fail(COMMAND, "out of memory");
		goto out;
	}
	args.at = argv;
	argv[args.n] = NULL;
	fflush(stdout);
	if (protoc_run(argv, fd) == 0)
		data = memory_read(fd, len);
out:
	paths_free(&args);
	close(fd);
	return data;
}

/* --- looking at the set ------------------------------------------------------------------------------------------------- */

struct report {
	const struct options *o;
	json_t *problems;
	uint32_t errors, warnings;
};

/* What is protobuf's and buf.validate's own is no news to anybody. */
static int is_standard(const char *file)
{
	return strncmp(file, "google/protobuf/", 16) == 0 || strcmp(file, RULES_PROTO) == 0;
}

static void finding_tell(void *arg, const struct sch_finding *f)
{
	static const char *const levels[] = { [SCH_LINT_INFO] = "info", [SCH_LINT_WARNING] = "warning",
					      [SCH_LINT_ERROR] = "error" };
	struct report *r = arg;

	if (f->level != SCH_LINT_ERROR && (is_standard(f->file) || (f->level == SCH_LINT_INFO && !r->o->verbose)))
		return;
	r->errors += f->level == SCH_LINT_ERROR;
	r->warnings += f->level == SCH_LINT_WARNING;
	if (!r->o->json) {
		fprintf(stderr, "%s%s%s%s%s: %s\n", f->file, *f->file ? ": " : "", f->where, *f->where ? ": " : "",
			levels[f->level], f->text);
		return;
	}
	json_t *p = json_object();

	json_object_set_new(p, "level", json_string(levels[f->level]));
	json_object_set_new(p, "file", cli_schema_text(f->file));
	json_object_set_new(p, "where", cli_schema_text(f->where));
	json_object_set_new(p, "text", cli_schema_text(f->text));
	json_array_append_new(r->problems, p);
}

static void error_tell(struct report *r, const struct sch_err *e)
{
	finding_tell(r, &(struct sch_finding){ SCH_LINT_ERROR, e->file, e->where, e->text });
}

struct sums {
	uint32_t files, imports, messages, methods, rules;
};

static int is_own(const struct options *o, const struct paths *files, const char *name)
{
	size_t n = strlen(o->prefix);

	if (strncmp(name, o->prefix, n) != 0)
		return 0;
	name += n;
	return bsearch(&name, files->at, files->n, sizeof *files->at, path_order) != NULL;
}

/* Counts what stands in the folder's own files. */
static void sums_make(const struct options *o, const struct sch_show *show, const struct paths *files, struct sums *s)
{
	struct sch_show_type t;

	for (uint32_t i = 0; i < sch_show_file_count(show); i++)
		s->imports += (uint32_t)!is_own(o, files, sch_show_file_name(show, i));
	s->files = sch_show_file_count(show) - s->imports;
	for (uint32_t i = 0; sch_show_type(show, i, &t) == 0; i++) {
		if (!is_own(o, files, t.file) || t.map_entry)
			continue;
		s->messages++;
		s->rules += t.n_all_rules;
	}
	for (uint32_t i = 0; i < sch_show_method_count(show); i++)
		s->methods += (uint32_t)is_own(o, files, sch_show_method(show, i)->file);
}

/* Tells all that is wrong. CLI_YES where the set compiles strictly, CLI_NO where not, CLI_ERROR. */
static int set_check(struct report *r, const struct paths *files, const uint8_t *data, size_t len, struct sums *sums)
{
	struct sch_show *show = NULL;
	struct sch_set *set = NULL;
	struct sch_err err;
	int rc = sch_show_open(&show, data, len, &err);

	if (rc == 0) {
		rc = sch_lint(show, finding_tell, r);
		sums_make(r->o, show, files, sums);
		sch_show_close(show);
	} else if (rc != -ENOMEM) {
		error_tell(r, &err);
		return CLI_NO;
	}
	if (rc == 0) {
		/* The last word is that of the function that weftd asks. */
		rc = sch_set_compile(&set, data, len, &err);
		sch_set_free(set);
		if (rc && rc != -ENOMEM && r->errors == 0)
			error_tell(r, &err);
	}
	if (rc == -ENOMEM)
		return cli_fail(COMMAND, "out of memory");
	return rc || r->errors ? CLI_NO : CLI_YES;
}

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

static int report_print(struct report *r, const struct sums *s, int status)
{
	const char *out = r->o->out;

	if (r->o->json) {
		json_t *line = json_pack("{s:o, s:b, s:i, s:i, s:i, s:i, s:i, s:O}", "set", cli_schema_text(out), "written",
					 status == CLI_YES, "files", (int)s->files, "imports", (int)s->imports, "messages",
					 (int)s->messages, "methods", (int)s->methods, "rules", (int)s->rules, "problems",
					 r->problems);

		if (cli_schema_print(COMMAND, line))
			return CLI_ERROR;
	} else if (status == CLI_YES) {
		printf("%s: %u file%s, %u message%s, %u method%s, %u rule%s\n", out, s->files, plural(s->files), s->messages,
		       plural(s->messages), s->methods, plural(s->methods), s->rules, plural(s->rules));
	} else {
		fprintf(stderr, "weft " COMMAND ": %u error%s; %s is not written\n", r->errors, plural(r->errors), out);
	}
	return cli_schema_flush(COMMAND) ? CLI_ERROR : status;
}

int cli_schema_build(int argc, char **argv)
{
	struct options o = { 0 };
	struct paths files = { 0 };
	struct sums sums = { 0 };
	uint8_t *data = NULL;
	size_t len = 0;
	int rc = CLI_ERROR;

	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	struct report r = { .o = &o, .problems = json_array() };

	if (!include_ok(o.dir))
		goto out;
	for (uint32_t i = 0; i < o.n_include; i++)
		if (!include_ok(o.include[i]))
			goto out;
	if (files_find(o.dir, &files) != 0)
		goto out;
	data = protoc_compile(&o, &files, &len);
	if (!data)
		goto out;
	rc = set_check(&r, &files, data, len, &sums);
	if (rc == CLI_YES) {
		int bad = fab_file_write(o.out, (const char *)data, len, 0644, 0);

		if (bad) {
			rc = cli_fail(COMMAND, "cannot write %s: %s", o.out, strerror(-bad));
			goto out;
		}
	}
	if (rc != CLI_ERROR)
		rc = report_print(&r, &sums, rc);
out:
	json_decref(r.problems);
	free(data);
	paths_free(&files);
	return rc;
}
