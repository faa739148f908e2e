/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of decision logs for `weft policy learn`. Anybody may have written them: what is no decision is counted, and the first
 * such line is told. What drafts are made of is policy/learn.h's matter. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/content_detail.h"
#include "fabric/cli/policy_learn_log.h"
#include "guest-lib/verdict.h"
#include "schemas/expr.h"

#define COUNT_MAX INT64_C(1000000000000)

static void skip(struct cli_learned *ln, const char *path, uint64_t line, const char *why)
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

/* Content that a list could let pass: `c` says which, and keeps the words. */
static void content_learn(struct pol_seen *s, struct cli_detail *c, const json_t *d)
{
	cli_detail_read(c, cli_string(d, "detail", ""));
	if (c->how != CLI_DETAIL_PROTOCOL && c->how != CLI_DETAIL_DOUBTFUL && c->how != CLI_DETAIL_UNKNOWN)
		return;
	s->what = POL_LEARN_CONTENT;
	s->content = c->how == CLI_DETAIL_UNKNOWN ? "unknown" : c->list; /* a draft lists that besides */
	s->field = c->field;
}

/* Do the schemas have the subject? Yes where there are none to ask. */
static int subject_known(const struct cli_learned *ln, const char *subject, int is_method)
{
	const struct sch_set *set = ln->schemas;

	if (!set)
		return 1;
	return is_method ? sch_method_find(set, subject) >= 0 : sch_type_find(set, subject) >= 0;
}

/* A line that is a decision about a message. NULL: it was learned from, or is about something else; else why it was not. */
static const char *decision_learn(struct cli_learned *ln, const json_t *d, int *rc)
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
	struct cli_detail content;
	int verdict = verdict_find(json_string_value(json_object_get(d, "verdict"))), would = verdict_find(observed);

	if (verdict < 0 || (observed && would < 0))
		return "no verdict of this weft";
	if (!s.from || s.unix_s < 0 || len < 0 || len > UINT32_MAX || count < 1 || count > COUNT_MAX)
		return "no decision: it lacks from, time, len or count, or they are out of range";
	s.what = outcome(verdict, would);
	if (verdict == WEFT_V_CONTENT_FORBIDDEN || would == WEFT_V_CONTENT_FORBIDDEN)
		content_learn(&s, &content, d);
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

int cli_learn_line(struct cli_learned *ln, const char *path, uint64_t number, const char *line, size_t len)
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

/* The next line without its end, cut at CLI_LEARN_LINE_MAX: then *cut. 0 at the end of the file. */
static int line_read(FILE *f, char *line, size_t *len, int *cut)
{
	int c, any = 0;

	*len = 0;
	*cut = 0;
	while ((c = getc_unlocked(f)) != EOF) { /* ends with the file */
		any = 1;
		if (c == '\n')
			break;
		if (*len < CLI_LEARN_LINE_MAX)
			line[(*len)++] = (char)c;
		else
			*cut = 1;
	}
	return any;
}

int cli_learn_log(struct cli_learned *ln, FILE *f, const char *called, char line[CLI_LEARN_LINE_MAX])
{
	size_t len;
	int cut, rc = 0;

	for (uint64_t number = 1; !rc && line_read(f, line, &len, &cut); number++) {
		if (!len)
			continue;
		ln->lines++;
		if (cut)
			skip(ln, called, number, "a line longer than 64 KiB");
		else
			rc = cli_learn_line(ln, called, number, line, len);
	}
	return !rc && ferror(f) ? -EIO : rc;
}
