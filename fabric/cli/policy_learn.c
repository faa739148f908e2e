/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy learn LOG... -o DIR`: reads decision logs and writes the draft of a policy folder. What the drafts say is decided
 * in policy/learn.h; here are the lines of logs, which anybody may have written, and the files. */
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
#include "fabric/files.h"
#include "guest-lib/verdict.h"
#include "policy/err.h"
#include "policy/fmt.h"
#include "policy/learn.h"
#include "schemas/expr.h"

#define LINE_BYTES_MAX (64u << 10)
#define COUNT_MAX INT64_C(1000000000000)

struct options {
	struct cli_policy_options common;
	const char *out;
	struct pol_learn_ask ask;
	char **logs;
	int n_logs;
};

struct learner {
	const struct options *o;
	struct pol_learn *l;
	struct cli_policy schemas;     /* only its schemas; NULL where none were given */
	uint64_t lines, decisions, skipped, foreign;
	char skipped_first[PATH_MAX + 160]; /* where, and why */
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

/* --- lines -------------------------------------------------------------------------------------------------------------- */

static void skip(struct learner *ln, const char *path, uint64_t line, const char *why)
{
	if (ln->skipped++ == 0)
		snprintf(ln->skipped_first, sizeof ln->skipped_first, "%s:%" PRIu64 ": %s", path, line, why);
}

/* Seconds since 1970; -1: it is no time that a decision can have. */
static int64_t time_of(const char *text)
{
	int64_t s;
	int32_t ns;

	return text && sch_time_parse(text, strlen(text), &s, &ns) == 0 && s >= 0 && s <= POL_LEARN_TIME_MAX ? s : -1;
}

/* A verdict's number, or -1. */
static int verdict_find(const char *name)
{
	for (uint32_t v = 0; name && v < WEFT_VERDICT_MAX; v++)
		if (!strcmp(weft_verdict_name(v), name) && strcmp(name, "?"))
			return (int)v;
	return -1;
}

static int lacks_rule(int verdict)
{
	return verdict == WEFT_V_SEND_DENIED || verdict == WEFT_V_RECEIVE_DENIED;
}

/* What the decision means for a draft. */
static enum pol_learned outcome(int verdict, int observed)
{
	if (verdict == WEFT_V_PASSED && observed < 0)
		return POL_LEARN_PASSED;
	if (verdict == WEFT_V_PASSED && lacks_rule(observed))
		return POL_LEARN_OBSERVED;
	return verdict != WEFT_V_PASSED && lacks_rule(verdict) ? POL_LEARN_DENIED : POL_LEARN_OTHER;
}

/* Do the schemas have the subject? Yes where there are none to ask. */
static int subject_known(const struct learner *ln, const char *subject, int is_method)
{
	const struct sch_set *set = ln->schemas.schemas;

	if (!set)
		return 1;
	return is_method ? sch_method_find(set, subject) >= 0 : sch_type_find(set, subject) >= 0;
}

/* A line that is a decision about a message. NULL: it was learned from, or is about something else; else why it was not. */
static const char *decision_learn(struct learner *ln, const json_t *d, int *rc)
{
	const char *kind = json_string_value(json_object_get(d, "kind"));
	json_int_t len = cli_int(d, "len"), count = cli_int(d, "count");
	const char *observed = json_string_value(json_object_get(d, "observed"));
	struct pol_seen s = {
		.from = json_string_value(json_object_get(d, "from")),
		.to = json_string_value(json_object_get(d, "to")),
		.subject = json_string_value(json_object_get(d, "subject")),
		.unix_s = time_of(json_string_value(json_object_get(d, "time"))),
	};
	int verdict = verdict_find(json_string_value(json_object_get(d, "verdict"))), would = verdict_find(observed);

	if (verdict < 0 || (observed && would < 0))
		return "no verdict of this weft";
	if (!s.from || s.unix_s < 0 || len < 0 || len > UINT32_MAX || count < 1 || count > COUNT_MAX)
		return "no decision: it lacks from, time, len or count, or they are out of range";
	s.what = outcome(verdict, would);
	s.len = (uint32_t)len;
	s.count = (uint64_t)count;
	if (kind && !strcmp(kind, "reply")) {
		ln->foreign++;
		return NULL;
	}
	s.is_method = s.subject && strchr(s.subject, '/') != NULL;
	if (s.subject && kind && strcmp(kind, s.is_method ? "request" : "oneway") != 0)
		return "its kind and its subject do not fit";
	if (s.what == POL_LEARN_OTHER || !strncmp(s.subject ? s.subject : "", "0x", 2))
		s.subject = NULL; /* not needed; not known by name */
	if (s.what == POL_LEARN_OTHER)
		s.to = NULL;
	if (s.subject && !subject_known(ln, s.subject, s.is_method))
		return "the schemas do not have its subject";
	*rc = pol_learn_add(ln->l, &s);
	if (*rc == -EINVAL) {
		*rc = 0;
		return "its names cannot be those of unikernels and subjects";
	}
	ln->decisions += *rc == 0;
	return NULL;
}

static int line_learn(struct learner *ln, const char *path, uint64_t number, const char *line, size_t len)
{
	const char *why = NULL;
	int rc = 0;
	json_t *d = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(d))
		why = "not a JSON object";
	else if (json_object_get(d, "event"))
		ln->foreign++;
	else
		why = decision_learn(ln, d, &rc);
	if (why)
		skip(ln, path, number, why);
	json_decref(d);
	return rc;
}

/* The next line without its end, cut at LINE_BYTES_MAX: then *cut. 0 at the end of the file. */
static int line_read(FILE *f, char *line, size_t *len, int *cut)
{
	int c, any = 0;

	*len = 0;
	*cut = 0;
	while ((c = getc_unlocked(f)) != EOF) { /* ends with the file */
		any = 1;
		if (c == '\n')
			break;
		if (*len < LINE_BYTES_MAX)
			line[(*len)++] = (char)c;
		else
			*cut = 1;
	}
	return any;
}

static int log_learn(struct learner *ln, const char *path, char *line)
{
	int is_input = !strcmp(path, "-"), cut, rc = 0;
	FILE *f = is_input ? stdin : fopen(path, "re");
	const char *called = is_input ? "standard input" : path;
	size_t len;

	if (!f)
		return cli_policy_fail(&ln->o->common, "%s cannot be read: %s", path, strerror(errno));
	for (uint64_t number = 1; !rc && line_read(f, line, &len, &cut); number++) {
		if (!len)
			continue;
		ln->lines++;
		if (cut)
			skip(ln, called, number, "a line longer than 64 KiB");
		else
			rc = line_learn(ln, called, number, line, len);
	}
	if (rc == -E2BIG)
		rc = cli_policy_fail(&ln->o->common, "%s: more than %u unikernels or conversations; learn from less", called,
				     POL_LEARN_MAX);
	else if (rc)
		rc = cli_policy_fail(&ln->o->common, "out of memory");
	else if (ferror(f))
		rc = cli_policy_fail(&ln->o->common, "%s cannot be read: %s", called, strerror(errno));
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
		const char *name = i ? pol_learn_name(ln->l, i - 1) : POL_COMMON;

		if (!name || asprintf(&at[i].path, "%s/%s.yaml", o->out, name) < 0) {
			at[i].path = NULL;
			return cli_policy_fail(&o->common, "out of memory");
		}
		int rc = !i ? common_write(o, &at[i]) : pol_learn_draft(ln->l, i - 1, &o->ask, &at[i].text, &at[i].len, &e);

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
	uint32_t n = pol_learn_count(ln->l);

	pol_learn_totals(ln->l, &rules, &suggestions);
	if (o->common.json) {
		json_t *files = json_array();

		for (uint32_t i = 0; i < n; i++)
			json_array_append_new(files, json_string(pol_learn_name(ln->l, i)));
		return cli_json_print(
			o->common.command,
			json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "dir", cli_json_text(o->out), "unikernels", files,
				  "lines", (json_int_t)ln->lines, "decisions", (json_int_t)ln->decisions, "skipped",
				  (json_int_t)ln->skipped, "rules", (json_int_t)rules, "suggestions", (json_int_t)suggestions,
				  "skipped_first", ln->skipped ? cli_json_text(ln->skipped_first) : json_null()));
	}
	printf("%s: drafts for %u unikernel%s with %" PRIu64 " rule%s and %" PRIu64 " suggestion%s, ", o->out, n, cli_plural(n),
	       rules, cli_plural((json_int_t)rules), suggestions, cli_plural((json_int_t)suggestions));
	printf("from %" PRIu64 " of %" PRIu64 " line%s\n", ln->decisions, ln->lines, cli_plural((json_int_t)ln->lines));
	if (cli_flush(o->common.command))
		return CLI_ERROR;
	if (ln->skipped)
		fprintf(stderr, "weft policy learn: %" PRIu64 " line%s not understood, first %s\n", ln->skipped,
			ln->skipped == 1 ? " was" : "s were", ln->skipped_first);
	return 0;
}

static int learn(struct learner *ln)
{
	const struct options *o = ln->o;
	char *line = malloc(LINE_BYTES_MAX);
	struct draft *drafts = NULL;
	uint32_t n = 0;
	int rc = line && !pol_learn_make(&ln->l) ? 0 : cli_policy_fail(&o->common, "out of memory");

	if (!rc && o->common.n_schemas)
		rc = cli_policy_schemas(&ln->schemas, &o->common);
	for (int i = 0; i < o->n_logs && !rc; i++)
		rc = log_learn(ln, o->logs[i], line);
	if (!rc && !pol_learn_count(ln->l)) {
		rc = cli_policy_fail(&o->common, "no decision to learn from in %" PRIu64 " line%s%s%s", ln->lines,
				     cli_plural((json_int_t)ln->lines), ln->skipped ? "; the first that was not understood: " : "",
				     ln->skipped_first);
	}
	if (!rc && mkdir(o->out, 0755) != 0 && errno != EEXIST)
		rc = cli_policy_fail(&o->common, "%s cannot be made: %s", o->out, strerror(errno));
	if (!rc) {
		n = pol_learn_count(ln->l) + 1;
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

	pol_learn_free(ln.l);
	cli_policy_free(&ln.schemas);
	return status ? CLI_ERROR : CLI_YES;
}
