/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft explain ID`: a decision that was really made: what, by which rule, as the rule stood then, and what would have made it
 * another. From files alone: the decision log and the kept policies. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/content_detail.h"
#include "fabric/cli/explain_find.h"
#include "fabric/cli/policy_answer.h"
#include "fabric/config.h"
#include "fabric/decision_json.h"
#include "fabric/log.h"
#include "guest-lib/verdict.h"
#include "policy/explain.h"

#define COMMAND "explain"

struct options {
	const char *file, *boot;
	uint64_t id;
	int has_id, json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char *end;
	switch (key) {
	case 'j':
		o->json = 1;
		return 0;
	case 'b':
		if (strspn(arg, "0123456789abcdef") != strlen(arg) || !*arg || strlen(arg) > 16)
			argp_error(state, "--boot takes the first digits of a boot number, not \"%s\"", arg);
		o->boot = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (o->has_id && o->file)
			argp_error(state, "one ID and one FILE at most");
		if (o->has_id) {
			o->file = arg;
			return 0;
		}
		errno = 0;
		o->id = strtoull(arg, &end, 10);
		if (arg[0] < '0' || arg[0] > '9' || *end || errno || !o->id)
			argp_error(state, "ID is a decision's number, as `weft tail` shows it, not \"%s\"", arg);
		o->has_id = 1;
		return 0;
	case ARGP_KEY_END:
		if (!o->has_id)
			argp_error(state, "the ID of a decision is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- what is known ---------------------------------------------------------------------------------------------------- */

struct answer {
	const struct fab_config *config;
	const json_t *d;        /* the decision */
	const char *verdict, *observed; /* observed NULL: no dry run */
	uint32_t rule;
	struct cli_epoch epoch;
	char missing[512];      /* why its policies cannot be quoted; "" */
	json_t *changes;        /* what would have made it another */
};

static enum pol_answer answer_of(const char *verdict)
{
	for (int a = POL_SEND_DENIED; a < POL_ANSWER_COUNT; a++)
		if (!strcmp(pol_answer_name((enum pol_answer)a), verdict))
			return (enum pol_answer)a;
	return POL_ALLOW;
}

static uint16_t port_of(const struct fab_kept *k, const char *name)
{
	for (uint32_t i = 0; i < k->n; i++)
		if (!strcmp(k->u[i].name, name))
			return (uint16_t)(i + 1);
	return 0;
}

static void remedy(void *arg, const struct pol_remedy *r)
{
	struct answer *a = arg;
	json_t *o = json_pack("{s:s, s:s, s:b, s:s*, s:s*, s:s*}", "kind", pol_remedy_name(r->kind), "text", r->text, "instead",
			      r->instead, "file", r->file, "yaml", r->yaml, "message", r->json);
	if (o && r->line)
		json_object_set_new(o, "line", json_integer(r->line));
	json_array_append_new(a->changes, o);
}

/* What was found is in the record, but not what was looked at: what either rule lacks the inspector could say, had it the
 * message. */
static int content_change_find(struct answer *a)
{
	char text[320];

	cli_detail_advice(a->observed ? a->observed : a->verdict, cli_string(a->d, "detail", ""), text, sizeof text);
	return text[0] ? json_array_append_new(a->changes, json_pack("{s:s, s:s, s:b}", "kind", pol_remedy_name(POL_REMEDY_LOOSEN),
								     "text", text, "instead", 0)) : 0;
}

/* Only what policy refused can be turned by policy, and only with the schemas of that time can it be told how. What the message
 * said is not in the log. */
static int changes_find(struct answer *a)
{
	enum pol_answer answer = answer_of(a->observed ? a->observed : a->verdict);
	const struct fab_kept *k = &a->epoch.kept;
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	struct pol_when when = { .unix_s = t.tv_sec, .unix_ns = (int32_t)t.tv_nsec };
	struct pol_question q = { .set = a->epoch.p.set, .len = (uint32_t)cli_int(a->d, "len"), .when = &when };
	int is_method;
	if (answer == POL_ALLOW)
		return content_change_find(a);
	if (!q.set || !a->epoch.exact || cli_int(a->d, "count") != 1)
		return 0;
	q.src = port_of(k, cli_string(a->d, "from", ""));
	q.dst = port_of(k, cli_string(a->d, "to", ""));
	if (!q.src || !q.dst ||
	    pol_subject_find(q.set, cli_string(a->d, "subject", ""), &q.subject, &q.type, &is_method) < 0)
		return 0;
	return pol_remedies(&q, answer, a->rule, a->observed != NULL, remedy, a);
}

static uint32_t verdict_number(const char *name)
{
	uint32_t v = 0;
	while (v < WEFT_VERDICT_MAX && strcmp(weft_verdict_name(v), name) != 0)
		v++;
	return v;
}

/* --- for people ------------------------------------------------------------------------------------------------------- */

static void what_print(const struct answer *a)
{
	const json_t *d = a->d, *frame = json_object_get(d, "frame");
	const char *subject = json_string_value(json_object_get(d, "subject")), *kind = cli_string(d, "kind", "");
	json_int_t len = cli_int(d, "len"), count = cli_int(d, "count"), message = cli_int(d, "message_id");
	const json_t *scan = json_object_get(d, "scan");
	if (json_is_object(scan)) {
		char text[1024];
		printf("what      %s\n", fab_decision_text(d, text, sizeof text));
		printf("          %" JSON_INTEGER_FORMAT " frame%s of the scan that decision %" JSON_INTEGER_FORMAT
		       " told of; each was dropped\n",
		       count, cli_plural(count), cli_int(scan, "event"));
		return;
	}
	if (frame)
		printf("what      a frame that is no message: %s%s%s", cli_string(frame, "protocol", "?"),
		       json_is_string(json_object_get(frame, "dst_ip")) ? " to " : "", cli_string(frame, "dst_ip", ""));
	else if (subject)
		printf("what      %s%s%s", subject, kind[0] ? ", " : "",
		       !strcmp(kind, "oneway") ? "a one-way message" : !strcmp(kind, "request") ? "a request" :
		       !strcmp(kind, "reply")  ? "a reply" : "");
	else
		printf("what      %s", !strcmp(a->verdict, "message_malformed") ? "a message with a broken header" :
				       "a record that did not open");
	if (message)
		printf(", the sender's number %" JSON_INTEGER_FORMAT, message);
	printf(", %" JSON_INTEGER_FORMAT " byte%s\n", len, cli_plural(len));
	if (count > 1)
		printf("          it stands for %" JSON_INTEGER_FORMAT " alike, merged; what they differ in is not told\n", count);
}

static void verdict_print(const struct answer *a)
{
	const char *detail = cli_string(a->d, "detail", "");
	const char *name = a->observed ? a->observed : a->verdict;
	int passed = json_is_true(json_object_get(a->d, "passed"));
	if (a->observed)
		printf("verdict   delivered in a dry run; but for `mode: observe` it would have been refused: %s\n", a->observed);
	else
		printf("verdict   %s%s\n", passed ? "" : "refused: ", a->verdict);
	uint32_t v = verdict_number(name);
	if (v < WEFT_VERDICT_MAX)
		printf("          %s\n", weft_verdict_help(v));
	if (detail[0] && !json_object_get(a->d, "frame"))
		printf("because   %s\n", detail);
	if (!strncmp(a->verdict, "schema_", 7))
		printf("          at byte %" JSON_INTEGER_FORMAT " of the payload\n", cli_int(a->d, "offset"));
}

static void quote_print(const struct answer *a)
{
	struct cli_quote q;
	char clean[512];
	if (!a->epoch.p.set)
		return;
	for (cli_quote_begin(&q, &a->epoch.p, a->rule); cli_quote_next(&q);)
		printf("          %5u | %s\n", q.line, fab_text_clean(clean, sizeof clean, q.text, q.len));
}

static void rule_print(const struct answer *a)
{
	const json_t *rule = json_object_get(a->d, "rule");
	const struct pol_rule_info *r = a->epoch.p.set ? pol_rule(a->epoch.p.set, a->rule) : NULL;
	const char *name = r ? r->name : json_string_value(json_object_get(rule, "name"));
	const char *reason = r ? r->reason : json_string_value(json_object_get(rule, "reason"));
	const char *file = r ? r->file : json_string_value(json_object_get(rule, "file"));
	if (!a->rule) {
		printf("rule      none: no policy was asked\n");
		return;
	}
	printf("rule      %u", a->rule);
	if (file)
		printf(", %s:%" JSON_INTEGER_FORMAT "%s%s%s: %s", file, r ? (json_int_t)r->line : cli_int(rule, "line"),
		       name ? " (" : "", name ? name : "", name ? ")" : "", r ? r->text : cli_string(rule, "text", "?"));
	putchar('\n');
	quote_print(a);
	if (r && r->where)
		printf("where     %s\n", r->where);
	if (reason)
		printf("reason    %s\n", reason);
	if (a->missing[0])
		printf("          (the file cannot be quoted: %s)\n", a->missing);
	else if (!a->epoch.p.set)
		printf("          (the file cannot be quoted: there are no schemas to read it with)\n");
}

static void changes_print(const struct answer *a)
{
	size_t i;
	json_t *c;
	json_array_foreach(a->changes, i, c) {
		const char *file = json_string_value(json_object_get(c, "file")), *yaml = cli_string(c, "yaml", "");
		json_int_t line = cli_int(c, "line");
		printf("%s%s%s", i ? "          " : "to change ", json_is_true(json_object_get(c, "instead")) ? "or: " : "",
		       cli_string(c, "text", ""));
		if (file && line && !strstr(cli_string(c, "text", ""), file))
			printf(" (%s:%" JSON_INTEGER_FORMAT ")", file, line);
		putchar('\n');
		while (*yaml) { /* ends with the text */
			size_t len = strcspn(yaml, "\n");
			printf("                | %.*s\n", (int)len, yaml);
			yaml += len + (yaml[len] == '\n');
		}
		if (json_object_get(c, "message"))
			printf("          %s\n", cli_string(c, "message", ""));
	}
}

static void people(const struct answer *a, const struct cli_found *found)
{
	const json_t *d = a->d, *m = a->epoch.manifest;
	printf("decision  %" JSON_INTEGER_FORMAT " of boot %s\n", cli_int(d, "id"), cli_string(d, "boot", "?"));
	if (found->others)
		printf("          %u other%s of the log %s this id: --boot BOOT\n", found->others, cli_plural(found->others),
		       found->others == 1 ? "has" : "have");
	printf("when      %s\n", cli_string(d, "time", "?"));
	printf("who       %s to %s\n", cli_string(d, "from", "somebody"), cli_string(d, "to", "nobody in particular"));
	what_print(a);
	verdict_print(a);
	printf("epoch     %" JSON_INTEGER_FORMAT, cli_int(d, "policy_epoch"));
	if (m)
		printf(": policies %s (%.16s) with schemas %s (%s)", cli_string(m, "policies", "?"), cli_string(m, "digest", "?"),
		       cli_string(json_object_get(m, "schemas"), "path", "?"),
		       cli_string(json_object_get(m, "schemas"), "digest", "?"));
	putchar('\n');
	rule_print(a);
	changes_print(a);
}

/* --- as JSON ----------------------------------------------------------------------------------------------------------- */

static json_t *rule_json(const struct answer *a)
{
	struct cli_quote q;
	const json_t *rule = json_object_get(a->d, "rule");
	if (!a->rule || !a->epoch.p.set)
		return rule ? json_deep_copy(rule) : json_null();
	json_t *o = cli_policy_rule_json(a->epoch.p.set, a->rule), *lines = json_array();
	for (cli_quote_begin(&q, &a->epoch.p, a->rule); cli_quote_next(&q);)
		json_array_append_new(lines, json_pack("{s:I, s:o}", "line", (json_int_t)q.line, "text",
						       json_stringn(q.text, q.len)));
	json_object_set_new(o, "lines", lines);
	return o;
}

static int json_print(const struct answer *a, const struct cli_found *found)
{
	const json_t *m = a->epoch.manifest;
	json_t *o = json_pack("{s:O, s:o, s:O, s:I, s:o}", "decision", a->d, "rule", rule_json(a), "changes", a->changes, "others",
			      (json_int_t)found->others, "epoch",
			      m ? json_pack("{s:O*, s:O*, s:O*, s:O*}", "number", json_object_get(m, "epoch"), "policies",
					    json_object_get(m, "policies"), "digest", json_object_get(m, "digest"), "schemas",
					    json_object_get(m, "schemas"))
				: json_null());
	if (o && a->missing[0])
		json_object_set_new(o, "missing", cli_json_text(a->missing));
	return cli_json_print(COMMAND, o);
}

/* --- the command ------------------------------------------------------------------------------------------------------- */

static int unknown(const struct options *o, const struct cli_found *found)
{
	cli_fail(COMMAND, "the decision log has no decision %" PRIu64 "%s%s", o->id, o->boot ? " of boot " : "",
		 o->boot ? o->boot : "");
	for (uint32_t i = 0; i < found->n_boots; i++)
		fprintf(stderr, "it has %" PRIu64 " to %" PRIu64 " of boot %s%s\n", found->boot[i].first, found->boot[i].last,
			found->boot[i].boot, i ? "" : ", the newest");
	if (!found->n_boots)
		fprintf(stderr, "it is empty\n");
	return CLI_NO;
}

/* A change of epoch, a quarantine: it says itself what it is. */
static int event(const struct options *o, const struct cli_found *found)
{
	char text[2048];
	if (o->json)
		return cli_json_print(COMMAND, json_pack("{s:O}", "decision", found->decision));
	printf("%s  %s\n", cli_string(found->decision, "time", "?"), fab_decision_text(found->decision, text, sizeof text));
	return CLI_YES;
}

/* Anybody may have written the log: what a person gets to see of it leads the terminal nowhere. Two levels are all that is
 * shown. */
static void texts_clean(json_t *o, int levels)
{
	char text[FAB_LOG_LINE_MAX];
	const char *key;
	json_t *v;
	json_object_foreach(o, key, v) {
		if (json_is_string(v))
			json_string_set(v, fab_text_clean(text, sizeof text, json_string_value(v), SIZE_MAX));
		else if (levels > 1)
			texts_clean(v, levels - 1);
	}
}

static int explain(const struct fab_config *c, const void *options)
{
	const struct options *o = options;
	struct cli_found found;
	struct answer a = { .config = c };
	char err[512];
	if (sodium_init() < 0)
		return cli_fail(COMMAND, "libsodium does not start");
	int ret = cli_decision_find(c, o->id, o->boot ? o->boot : "", &found, err, sizeof err), status;
	if (ret)
		return cli_fail(COMMAND, "%s", err);
	if (!found.decision)
		return unknown(o, &found);
	if (json_object_get(found.decision, "event")) {
		status = event(o, &found);
		json_decref(found.decision);
		return status;
	}
	if (!o->json)
		texts_clean(found.decision, 2);
	a.d = found.decision;
	a.verdict = cli_string(a.d, "verdict", "?");
	a.observed = json_string_value(json_object_get(a.d, "observed"));
	a.rule = (uint32_t)cli_int(json_object_get(a.d, "rule"), "id");
	a.changes = json_array();
	if (cli_epoch_load(&a.epoch, c, cli_string(a.d, "boot", ""), (uint64_t)cli_int(a.d, "policy_epoch"), a.missing,
			   sizeof a.missing) == 0)
		a.missing[0] = 0;
	if (!a.changes || changes_find(&a) != 0) {
		status = cli_fail(COMMAND, "no memory");
	} else if (o->json) {
		status = json_print(&a, &found);
	} else {
		people(&a, &found);
		status = CLI_YES;
	}
	cli_epoch_free(&a.epoch);
	json_decref(a.changes);
	json_decref(found.decision);
	return status;
}

int cli_explain(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "boot", 'b', "BOOT", 0, "of which weftd: its boot number's first digits (default: the newest with the ID)", 0 },
		{ "json", 'j', NULL, 0, "print JSON", 0 },
		{ 0 },
	};
	static const struct argp argp = { options, parse, "ID [FILE]",
					  "Explains a decision of the decision log: who, what, the verdict, the rule as it was "
					  "when the decision was made. weftd need not run.\vIDs are in `weft tail` and "
					  "run/decisions.jsonl. Exit status: 0 explained, 1 the log has no such decision, 2 error.",
					  NULL, NULL, NULL };
	static const struct cli_work work = { COMMAND, &argp, explain };
	struct options o = { .id = 0 };

	return cli_work_run(&work, argc, argv, &o, &o.file);
}
