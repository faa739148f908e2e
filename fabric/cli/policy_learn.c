/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy learn LOG... -o DIR`: reads decision logs and writes the draft of a policy folder. What the drafts say is decided
 * in policy/learn.h, what a log says is read in policy_learn_log.c; here are the files. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/policy.h"
#include "fabric/cli/policy_learn_log.h"
#include "fabric/files.h"
#include "policy/err.h"
#include "policy/fmt.h"
#include "policy/learn.h"

struct options {
	struct cli_policy_options common;
	const char *out;
	struct pol_learn_ask ask;
	char **logs;
	int n_logs;
};

struct learner {
	const struct options *o;
	struct cli_policy schemas;     /* only its schemas; NULL where none were given */
	struct cli_learned learned;
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case 'o':
		o->out = arg;
		return 0;
	case 'd':
		o->ask.observed_too = 1;
		return 0;
	case ARGP_KEY_ARGS:
		o->logs = state->argv + state->next;
		o->n_logs = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "name a decision log (RUN_DIR/decisions.jsonl), or - for standard input");
		return 0;
	case ARGP_KEY_END:
		if (!o->out)
			argp_error(state, "give -o DIR, the folder that the drafts go to");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- logs --------------------------------------------------------------------------------------------------------------- */

static int log_learn(struct learner *ln, const char *path, char *line)
{
	int is_input = !strcmp(path, "-");
	FILE *f = is_input ? stdin : fopen(path, "re");
	const char *called = is_input ? "standard input" : path;

	if (!f)
		return cli_policy_fail(&ln->o->common, "%s cannot be read: %s", path, strerror(errno));
	int rc = cli_learn_log(&ln->learned, f, called, line);

	if (rc == -E2BIG)
		rc = cli_policy_fail(&ln->o->common, "%s: more than %u unikernels or conversations; learn from less", called,
				     POL_LEARN_MAX);
	else if (rc == -EIO)
		rc = cli_policy_fail(&ln->o->common, "%s cannot be read: %s", called, strerror(errno));
	else if (rc)
		rc = cli_policy_fail(&ln->o->common, "out of memory");
	if (!is_input)
		fclose(f);
	return rc;
}

/* --- files -------------------------------------------------------------------------------------------------------------- */

struct draft {
	char *path, *text;
	size_t len;
};

/* The path as it is written into common.yaml, from the folder on. NULL: no memory, or it cannot be told. */
static char *path_from(const char *dir, const char *path)
{
	char *from = realpath(dir, NULL), *to = realpath(path, NULL), *out = NULL;
	size_t same = 0, ups = 0;

	if (from && to && strcmp(from, "/") != 0) {
		for (size_t i = 0;; i++) {
			int from_ends = from[i] == '\0' || from[i] == '/', to_ends = to[i] == '\0' || to[i] == '/';
			if (from_ends && to_ends)
				same = i;
			if (from[i] == '\0' || from[i] != to[i])
				break;
		}
		for (size_t i = same; from[i]; i++)
			ups += from[i] == '/';
		const char *rest = to[same] == '/' ? to + same + 1 : to + same;
		size_t len = ups * 3 + strlen(rest) + 2;
		out = calloc(1, len);
		for (size_t i = 0; out && i < ups; i++)
			memcpy(out + i * 3, "../", 3);
		if (out)
			memcpy(out + ups * 3, rest, strlen(rest) + 1);
		if (out && !out[0])
			out[0] = '.';
	} else if (from && to) {
		out = strdup(to);
	}
	free(from);
	free(to);
	return out;
}

/* What common.yaml says. 0, or CLI_ERROR after telling. */
static int common_write(const struct options *o, struct draft *d)
{
	FILE *f = open_memstream(&d->text, &d->len);
	int rc = 0;

	if (!f)
		return cli_policy_fail(&o->common, "out of memory");
	fputs("# A draft of weft policy learn: what the files of this folder share.\n\n", f);
	if (!o->common.n_schemas)
		fputs("# Tools need to know where the message types are; write it here, or give them --schemas PATH:\n"
		      "# schemas: ../schemas/NAME.binpb\ngroups: {}\n", f);
	else
		fputs("schemas:\n", f);
	for (uint32_t i = 0; i < o->common.n_schemas && !rc; i++) {
		char *path = path_from(o->out, o->common.schemas[i]);

		if (!path)
			rc = cli_policy_fail(&o->common, "%s: its path from %s cannot be told", o->common.schemas[i], o->out);
		for (const char *p = path; p && *p && !rc; p++)
			if (*p < ' ' || *p > '~')
				rc = cli_policy_fail(&o->common, "--schemas: a path with characters that are not printable ASCII "
						     "cannot be written into a policy file; rename it");
		if (!rc) {
			fputs("  - '", f);
			for (const char *p = path; *p; p++)
				fprintf(f, "%s%c", *p == '\'' ? "'" : "", *p);
			fputs("'\n", f);
		}
		free(path);
	}
	if ((fclose(f) != 0 || !d->text) && !rc)
		rc = cli_policy_fail(&o->common, "out of memory");
	return rc;
}

/* Drafts of policies come laid out. */
static int draft_lay_out(const struct options *o, struct draft *d, struct pol_err *e)
{
	char *text;
	size_t len;

	if (pol_fmt(&text, &len, d->path, d->text, d->len, &pol_language_common, e) != 0)
		return cli_policy_tell(&o->common, e);
	free(d->text);
	d->text = text;
	d->len = len;
	return 0;
}

static int drafts_make(struct learner *ln, struct draft *at, uint32_t n)
{
	const struct options *o = ln->o;
	struct pol_err e = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		const char *name = i ? pol_learn_name(ln->learned.l, i - 1) : POL_COMMON;

		if (!name || asprintf(&at[i].path, "%s/%s.yaml", o->out, name) < 0) {
			at[i].path = NULL;
			return cli_policy_fail(&o->common, "out of memory");
		}
		int rc = !i ? common_write(o, &at[i]) : pol_learn_draft(ln->learned.l, i - 1, &o->ask, &at[i].text, &at[i].len, &e);

		if (rc)
			return i ? cli_policy_tell(&o->common, &e) : rc;
		if (!i && draft_lay_out(o, &at[i], &e))
			return CLI_ERROR;
	}
	return 0;
}

/* Nothing is written where one of them is there already, and nothing stays where one cannot be written. */
static int drafts_write(const struct options *o, const struct draft *at, uint32_t n)
{
	struct stat st;

	for (uint32_t i = 0; i < n; i++)
		if (lstat(at[i].path, &st) == 0)
			return cli_policy_fail(&o->common, "%s is there already, and nothing was written; name a new folder",
					       at[i].path);
	for (uint32_t i = 0; i < n; i++) {
		int rc = fab_file_write(at[i].path, at[i].text, at[i].len, 0644, 1);

		if (!rc)
			continue;
		for (uint32_t k = 0; k < i; k++)
			unlink(at[k].path);
		return cli_policy_fail(&o->common, "%s cannot be written, and nothing was: %s", at[i].path, strerror(-rc));
	}
	return 0;
}

static int tell(const struct learner *ln)
{
	const struct options *o = ln->o;
	uint64_t rules, suggestions;
	uint32_t n = pol_learn_count(ln->learned.l);

	pol_learn_totals(ln->learned.l, &rules, &suggestions);
	if (o->common.json) {
		json_t *files = json_array();

		for (uint32_t i = 0; i < n; i++)
			json_array_append_new(files, json_string(pol_learn_name(ln->learned.l, i)));
		return cli_json_print(
			o->common.command,
			json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "dir", cli_json_text(o->out), "unikernels", files,
				  "lines", (json_int_t)ln->learned.lines, "decisions", (json_int_t)ln->learned.decisions, "skipped",
				  (json_int_t)ln->learned.skipped, "rules", (json_int_t)rules, "suggestions",
				  (json_int_t)suggestions, "skipped_first",
				  ln->learned.skipped ? cli_json_text(ln->learned.skipped_first) : json_null()));
	}
	printf("%s: drafts for %u unikernel%s with %" PRIu64 " rule%s and %" PRIu64 " suggestion%s, ", o->out, n, cli_plural(n),
	       rules, cli_plural((json_int_t)rules), suggestions, cli_plural((json_int_t)suggestions));
	printf("from %" PRIu64 " of %" PRIu64 " line%s\n", ln->learned.decisions, ln->learned.lines,
	       cli_plural((json_int_t)ln->learned.lines));
	if (cli_flush(o->common.command))
		return CLI_ERROR;
	if (ln->learned.skipped)
		fprintf(stderr, "weft policy learn: %" PRIu64 " line%s not understood, first %s\n", ln->learned.skipped,
			ln->learned.skipped == 1 ? " was" : "s were", ln->learned.skipped_first);
	return 0;
}

static int learn(struct learner *ln)
{
	const struct options *o = ln->o;
	char *line = malloc(CLI_LEARN_LINE_MAX);
	struct draft *drafts = NULL;
	uint32_t n = 0;
	int rc = line && !pol_learn_make(&ln->learned.l) ? 0 : cli_policy_fail(&o->common, "out of memory");

	if (!rc && o->common.n_schemas)
		rc = cli_policy_schemas(&ln->schemas, &o->common);
	ln->learned.schemas = ln->schemas.schemas;
	for (int i = 0; i < o->n_logs && !rc; i++)
		rc = log_learn(ln, o->logs[i], line);
	if (!rc && !pol_learn_count(ln->learned.l)) {
		rc = cli_policy_fail(&o->common, "no decision to learn from in %" PRIu64 " line%s%s%s", ln->learned.lines,
				     cli_plural((json_int_t)ln->learned.lines),
				     ln->learned.skipped ? "; the first that was not understood: " : "",
				     ln->learned.skipped_first);
	}
	if (!rc && mkdir(o->out, 0755) != 0 && errno != EEXIST)
		rc = cli_policy_fail(&o->common, "%s cannot be made: %s", o->out, strerror(errno));
	if (!rc) {
		n = pol_learn_count(ln->learned.l) + 1;
		drafts = calloc(n, sizeof *drafts);
		rc = drafts ? drafts_make(ln, drafts, n) : cli_policy_fail(&o->common, "out of memory");
	}
	if (!rc)
		rc = drafts_write(o, drafts, n);
	if (!rc)
		rc = tell(ln);
	for (uint32_t i = 0; drafts && i < n; i++) {
		free(drafts[i].path);
		free(drafts[i].text);
	}
	free(drafts);
	free(line);
	return rc;
}

int cli_policy_learn(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "output", 'o', "DIR", 0, "the folder of the drafts; a file that is there is never replaced", 0 },
		{ "observed", 'd', NULL, 0, "make rules, too, of what only a dry run let pass; else it becomes suggestions", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = option_parse,
		.args_doc = "LOG...",
		.doc = "Draft a policy for every unikernel that decision logs (RUN_DIR/decisions.jsonl*, the oldest first; - is "
		       "standard input) speak of. What passed becomes rules, with the evidence as comments; what was refused for "
		       "lack of a rule becomes suggestions that are commented out.\v"
		       "Exit status: 0 written, 2 not.",
		.children = cli_policy_children,
	};
	struct options o = { .common = { .command = "policy learn" } };

	argp_err_exit_status = CLI_ERROR;
	if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	struct learner ln = { .o = &o };
	int status = learn(&ln);

	pol_learn_free(ln.learned.l);
	cli_policy_free(&ln.schemas);
	return status ? CLI_ERROR : CLI_YES;
}
