/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy fmt DIR|FILE...`: brings policy files, common.yaml and *.test.yaml into their one layout, or tells which are not
 * in it. What the layout is, and that it changes nothing, is decided in policy/fmt.h. */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/policy.h"
#include "fabric/files.h"
#include "policy/err.h"
#include "policy/fmt.h"

struct options {
	struct cli_policy_options common;
	int check;
	char **paths;
	int n_paths;
};

struct outcome {
	const struct options *o;
	json_t *changed; /* or to be changed */
	unsigned n_changed, n_looked, n_failed;
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'c':
		o->check = 1;
		return 0;
	case 'j':
		o->common.json = 1;
		return 0;
	case ARGP_KEY_ARGS:
		o->paths = state->argv + state->next;
		o->n_paths = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "name a policy folder or files");
		return 0;
	default:
		(void)arg;
		return ARGP_ERR_UNKNOWN;
	}
}

static void failed(struct outcome *out, const struct pol_err *e)
{
	out->n_failed++;
	cli_policy_tell(&out->o->common, e);
}

static void system_failed(struct outcome *out, const char *path, const char *what, int code)
{
	struct pol_err e;

	pol_err_set(&e, code, path, 0, 0, "%s: %s", what, strerror(code));
	failed(out, &e);
}

/* Writes the file itself where path is a link to it, with the mode and the owner that it has. A new file takes its place, so
 * that one that may not be written must be asked about. */
static int file_replace(struct outcome *out, const char *path, const char *text, size_t len)
{
	struct stat st;
	char *real = realpath(path, NULL);
	int rc = !real || stat(real, &st) != 0 || access(real, W_OK) != 0 ? -errno : 0;

	if (!rc && !(st.st_mode & 0222))
		rc = -EACCES; /* root may write it all the same; whoever took the right away meant something */
	if (!rc)
		rc = fab_file_write(real, text, len, st.st_mode & 07777, 0);
	if (!rc && (st.st_uid != geteuid() || st.st_gid != getegid()) && chown(real, st.st_uid, st.st_gid) != 0)
		rc = -errno;
	free(real);
	if (rc)
		system_failed(out, path, "cannot be written", -rc);
	return rc;
}

static void file_lay_out(struct outcome *out, const char *path)
{
	uint8_t *bytes = NULL;
	char *text;
	size_t len = 0, text_len;
	struct pol_err e = { 0 };
	int rc = fab_file_load(path, POL_FILE_BYTES_MAX, &bytes, &len);

	if (rc) {
		system_failed(out, path, rc == -EINVAL ? "not a regular file" : "cannot be read", -rc);
		return;
	}
	out->n_looked++;
	if (pol_fmt(&text, &text_len, path, (const char *)bytes, len, pol_fmt_mapping(path), &e) != 0) {
		failed(out, &e);
	} else {
		if ((text_len != len || memcmp(text, bytes, len) != 0) &&
		    (out->o->check || file_replace(out, path, text, text_len) == 0)) {
			out->n_changed++;
			if (out->o->common.json)
				json_array_append_new(out->changed, cli_json_text(path));
			else
				puts(path);
		}
		free(text);
	}
	free(bytes);
}

static int is_yaml(const struct dirent *d)
{
	return d->d_name[0] != '.' && cli_ends_with(d->d_name, ".yaml");
}

static void folder_lay_out(struct outcome *out, const char *dir)
{
	struct dirent **names = NULL;
	int n = scandir(dir, &names, is_yaml, alphasort);

	if (n < 0)
		system_failed(out, dir, "cannot be read", errno);
	if (n == 0) {
		struct pol_err e;

		pol_err_set(&e, ENOENT, dir, 0, 0, "the folder holds no .yaml file; name a policy folder");
		failed(out, &e);
	}
	for (int i = 0; i < n; i++) {
		char *path;

		if (asprintf(&path, "%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", names[i]->d_name) < 0) {
			system_failed(out, dir, "cannot be read", ENOMEM);
		} else {
			file_lay_out(out, path);
			free(path);
		}
		free(names[i]);
	}
	free(names);
}

static int finish(const struct options *o, struct outcome *out)
{
	if (o->common.json) {
		json_t *line = json_pack("{s:b, s:i, s:o, s:O}", "check", o->check, "files", (int)out->n_looked, "changed",
					 out->changed, "errors", o->common.errors);
		if (cli_json_print(o->common.command, line))
			return CLI_ERROR;
	}
	if (cli_flush(o->common.command) || out->n_failed)
		return CLI_ERROR;
	if (o->check && out->n_changed && !o->common.json)
		fprintf(stderr, "weft %s: %u of %u file%s would be laid out differently; run it without --check\n",
			o->common.command, out->n_changed, out->n_looked, cli_plural(out->n_looked));
	return o->check && out->n_changed ? CLI_NO : CLI_YES;
}

int cli_policy_fmt(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "check", 'c', NULL, 0, "write nothing; exit with 1 where a file is not in its layout", 0 },
		{ "json", 'j', NULL, 0, "print JSON", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = option_parse,
		.args_doc = "DIR|FILE...",
		.doc = "Bring policies, common.yaml and *.test.yaml into their one layout, and print the names of those that "
		       "changed. Comments stay, meaning never changes.\v"
		       "Exit status: 0 done (with --check: nothing to do), 1 with --check: not so, 2 a file could not be read or "
		       "written.",
	};
	struct options o = { .common = { .command = "policy fmt" } };

	argp_err_exit_status = CLI_ERROR;
	if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	o.common.errors = json_array();
	struct outcome out = { .o = &o, .changed = json_array() };

	for (int i = 0; i < o.n_paths; i++) {
		struct stat st;

		if (stat(o.paths[i], &st) == 0 && S_ISDIR(st.st_mode))
			folder_lay_out(&out, o.paths[i]);
		else
			file_lay_out(&out, o.paths[i]);
	}
	int status = finish(&o, &out);

	if (!o.common.json)
		json_decref(out.changed);
	json_decref(o.common.errors);
	return status;
}
