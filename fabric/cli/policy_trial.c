/* SPDX-License-Identifier: BSD-2-Clause */
/* The road of one message: pol_decide, sch_validate, pol_judge, dpi_message_inspect, as stage_route.c, stage_content.c and
 * stage_judge.c call them. Sessions, credit and peers that are down belong to a running fabric and are not here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dpi/dpi.h"
#include "fabric/check.h"
#include "fabric/cli/cli.h"
#include "fabric/cli/policy_trial.h"
#include "fabric/files.h"
#include "fabric/cli/json_message.h"
#include "fabric/stage.h"

#define FILE_BYTES_MAX (16u << 20) /* of a message as JSON */
#define HEX_MAX (2u * 1024 * 1024) /* digits */

static const uint16_t verdict_of_reason[SCH_REASON_COUNT] = {
#define X(sym, name) [SCH_##sym] = WEFT_V_SCHEMA_##sym,
	SCH_REASONS(X)
#undef X
};

int cli_trials_make(struct cli_trials *t, const struct cli_policy *p, const struct cli_policy_options *o)
{
	*t = (struct cli_trials){ .p = p, .o = o };
	t->books = calloc(pol_book_count(p->set) + 1u, sizeof *t->books);
	return t->books ? 0 : cli_fail(o->command, "out of memory");
}

void cli_trials_free(struct cli_trials *t)
{
	if (t->dpi)
		dpi_close(t->dpi);
	fab_json_close(t->json);
	free(t->books);
	*t = (struct cli_trials){ 0 };
}

void cli_trials_reset(struct cli_trials *t)
{
	memset(t->books, 0, pol_book_count(t->p->set) * sizeof *t->books);
}

/* --- the road ----------------------------------------------------------------------------------------------------- */

static int refused(struct cli_trial *m, uint16_t verdict, uint32_t rule)
{
	m->verdict = verdict;
	m->observed = 0;
	m->rule = rule;
	return 0;
}

static int policy_refused(const struct cli_trials *t, struct cli_trial *m)
{
	struct pol_limits limits;

	if (m->d.answer == POL_TOO_LARGE && m->d.rule) {
		pol_rule_limits(t->p->set, m->d.rule, &limits);
		snprintf(m->detail, sizeof m->detail, "%u bytes, the rule allows %u", m->len, limits.max_bytes);
	} else if (m->d.why) {
		snprintf(m->detail, sizeof m->detail, "%s", m->d.why);
	}
	return refused(m, fab_verdict_of_answer(m->d.answer), m->d.rule);
}

/* "account: string.min_len: must be at least 2 characters" */
static void schema_explain(const struct sch_set *set, struct cli_trial *m, const struct sch_result *r)
{
	char path[128], text[160] = "";
	const char *id = "";

	sch_path_render(set, r, m->msg, path, sizeof path);
	if (r->reason == SCH_RULE || r->reason == SCH_RULE_ERROR) {
		id = sch_rule_id(set, r->rule);
		sch_rule_describe(set, r->rule, text, sizeof text);
	}
	snprintf(m->detail, sizeof m->detail, "%s%s%.32s%s%s", path, *path && *id ? ": " : "", id, *text ? ": " : "", text);
}

/* 1: the schema takes it. The present is the trial's for the schema's rules, too. */
static int schema_pass(const struct cli_trials *t, struct cli_trial *m, struct sch_result *r)
{
	const struct sch_ask ask = { .has_now = 1, .now_s = m->when.unix_s, .now_ns = m->when.unix_ns };
	enum sch_reason why = sch_validate_ask(t->p->schemas, m->type, m->msg, m->len, &ask, r);

	if (why == SCH_OK)
		return 1;
	schema_explain(t->p->schemas, m, r);
	refused(m, verdict_of_reason[why], m->d.rule);
	return 0;
}

static int inspector_open(struct cli_trials *t)
{
	struct dpi_err err = { "" };

	return dpi_open(&t->dpi, &err) ? cli_fail(t->o->command, "the inspector cannot start: %s", err.text) : 0;
}

static void found_tell(const struct cli_trials *t, struct cli_trial *m, const struct sch_result *r, const struct dpi_finding *found)
{
	char what[DPI_NAME_MAX];

	m->finding = *found;
	m->field = r->span[found->span].field;
	dpi_finding_text(found, what);
	snprintf(m->detail, sizeof m->detail, "%s in %s", what, sch_field_name(t->p->schemas, m->field));
}

/* The opaque fields of a message in a conversation of its own: no message of another trial was before it. */
static void spans_of(struct cli_trials *t, const struct cli_trial *m, const struct sch_result *r, struct dpi_message *out)
{
	*out = (struct dpi_message){ .bytes = m->msg, .epoch = ++t->conversations, .src = m->src, .dst = m->dst,
				     .n_spans = r->n_spans };
	for (uint32_t i = 0; i < r->n_spans; i++)
		out->span[i] = (struct dpi_span){ .field = r->span[i].field, .offset = r->span[i].offset, .len = r->span[i].len };
}

static int content_set(const struct cli_trials *t, uint32_t content, uint32_t field, struct dpi_set *set)
{
	struct dpi_err err = { "" };

	if (fab_content_set(set, t->p->set, pol_content_of_field(t->p->set, content, field), &err) == 0)
		return 0;
	return cli_fail(t->o->command, "%s", err.text);
}

_Static_assert(SCH_SPANS_MAX == DPI_SPANS_MAX, "all opaque fields of a message that passed the schema are inspected");

/* As stage_content.c does it. */
static int content_pass(struct cli_trials *t, struct cli_trial *m, const struct sch_result *r)
{
	static const uint16_t verdict_of[DPI_ANSWERS] = {
		[DPI_FORBIDDEN] = WEFT_V_CONTENT_FORBIDDEN,
		[DPI_RISK] = WEFT_V_CONTENT_RISK,
		[DPI_FAILED] = WEFT_V_CONTENT_UNINSPECTED,
	};
	struct dpi_set set[DPI_SPANS_MAX], hard[DPI_SPANS_MAX];
	struct dpi_message what;
	struct dpi_result said;

	if (r->spans_cut)
		return refused(m, WEFT_V_CONTENT_LIMIT, m->d.rule);
	if (r->n_spans == 0)
		return 0;
	if (!t->dpi && inspector_open(t) != 0)
		return CLI_ERROR;
	spans_of(t, m, r, &what);
	for (uint32_t i = 0; i < r->n_spans; i++) {
		uint32_t field = r->span[i].field;

		hard[i] = dpi_set_any;
		if (content_set(t, m->d.terms.content, field, &set[i]) != 0)
			return CLI_ERROR;
		if (m->d.terms.soft != 0 && m->d.terms.soft != 3 && content_set(t, m->d.hard_content, field, &hard[i]) != 0)
			return CLI_ERROR;
		what.span[i].set = &set[i];
		what.span[i].hard = m->d.terms.soft != 0 ? &hard[i] : NULL;
	}
	dpi_message_inspect(t->dpi, &what, &said);
	if (said.found.answer != DPI_CLEAN) {
		found_tell(t, m, r, &said.found);
		return refused(m, verdict_of[said.found.answer], m->d.rule);
	}
	if (said.observed.answer != DPI_CLEAN && m->observed == 0) {
		m->observed = WEFT_V_CONTENT_FORBIDDEN;
		m->rule = m->d.soft_rule;
		found_tell(t, m, r, &said.observed);
	}
	return 0;
}

int cli_trial_list_refuses(struct cli_trials *t, const struct cli_trial *m, const struct pol_content_list *list)
{
	const struct sch_ask ask = { .has_now = 1, .now_s = m->when.unix_s, .now_ns = m->when.unix_ns };
	struct dpi_err err = { "" };
	struct dpi_message what;
	struct dpi_result said;
	struct sch_result r;
	struct dpi_set set;

	if (!t->dpi || sch_validate_ask(t->p->schemas, m->type, m->msg, m->len, &ask, &r) != SCH_OK ||
	    fab_lists_set(&set, &list, 1, &err) != 0)
		return 0;
	spans_of(t, m, &r, &what);
	for (uint32_t i = 0; i < r.n_spans; i++)
		what.span[i].set = r.span[i].field == m->field ? &set : &dpi_set_any;
	dpi_message_inspect(t->dpi, &what, &said);
	return said.found.answer == DPI_FORBIDDEN;
}

int cli_trial_run(struct cli_trials *t, struct cli_trial *m)
{
	const struct pol_set *set = t->p->set;
	struct sch_result r;

	m->verdict = WEFT_V_UNDECIDED;
	m->observed = 0;
	m->rule = 0;
	m->finding = (struct dpi_finding){ .answer = DPI_CLEAN };
	m->field = UINT32_MAX;
	m->detail[0] = '\0';
	if (m->len > POL_PAYLOAD_MAX) {
		/* No record carries it: the fabric refuses it before it asks anybody's policy, observed or not. */
		m->first = m->d = (struct pol_decision){ .answer = POL_TOO_LARGE, .reply_type = UINT32_MAX };
		snprintf(m->detail, sizeof m->detail, "%u bytes, the fabric allows %u", m->len, POL_PAYLOAD_MAX);
		return refused(m, WEFT_V_TOO_LARGE, 0);
	}
	m->first = m->d = pol_decide(set, t->books, m->src, m->dst, m->subject, m->len, &m->when);
	if (m->d.answer != POL_ALLOW && m->d.answer != POL_JUDGE)
		return policy_refused(t, m);
	if (m->msg) {
		if (!schema_pass(t, m, &r))
			return 0;
		if (m->d.answer == POL_JUDGE)
			pol_judge(set, t->books, m->src, m->dst, m->msg, m->len, &m->when, &m->d);
	} else if (m->d.answer == POL_JUDGE) {
		return 0;
	}
	if (m->d.answer != POL_ALLOW)
		return policy_refused(t, m);
	m->verdict = WEFT_V_PASSED;
	m->rule = m->d.rule;
	if (m->d.observed != POL_ALLOW) {
		m->observed = fab_verdict_of_answer(m->d.observed);
		m->rule = m->d.observed_rule;
		snprintf(m->detail, sizeof m->detail, "%s", m->d.why ? m->d.why : "");
	}
	return m->msg ? content_pass(t, m, &r) : 0;
}

void cli_trial_question(const struct cli_trials *t, const struct cli_trial *m, struct pol_question *q)
{
	const struct sch_ask ask = { .has_now = 1, .now_s = m->when.unix_s, .now_ns = m->when.unix_ns };
	struct sch_result r;
	int valid = m->msg && sch_validate_ask(t->p->schemas, m->type, m->msg, m->len, &ask, &r) == SCH_OK;

	*q = (struct pol_question){ .set = t->p->set, .src = m->src, .dst = m->dst, .subject = m->subject, .type = m->type,
				    .msg = valid ? m->msg : NULL, .len = m->len, .when = &m->when };
}

/* The limit on size of the rule that this side goes by; 0: it has none, or it is only observed. */
static uint32_t limit_of(const struct pol_set *set, const struct pol_account *a, uint32_t *rule)
{
	struct pol_limits limits;

	for (uint32_t i = 0; i < a->n; i++)
		if (a->told[i].applied && !a->told[i].deny && !a->told[i].observe) {
			pol_rule_limits(set, a->told[i].rule, &limits);
			*rule = a->told[i].rule;
			return limits.max_bytes;
		}
	return 0;
}

void cli_trial_settle(const struct cli_trials *t, struct cli_trial *m)
{
	struct pol_account a[2];
	struct pol_question q;
	uint32_t rule = 0;

	if (m->verdict != WEFT_V_UNDECIDED)
		return;
	cli_trial_question(t, m, &q);
	for (unsigned side = 0; side < 2; side++) {
		pol_account_make(&q, (enum pol_side)side, &a[side]);
		if (!a[side].refuses && a[side].unknown)
			return;
		if (!a[side].refuses)
			continue;
		m->d.answer = a[side].answer;
		m->d.rule = a[side].rule;
		policy_refused(t, m);
		return;
	}
	for (unsigned side = 0; side < 2; side++) {
		uint32_t most = limit_of(t->p->set, &a[side], &rule);

		if (!most || m->len <= most)
			continue;
		m->d.answer = POL_TOO_LARGE;
		m->d.rule = rule;
		policy_refused(t, m);
		return;
	}
	const struct pol_account *soft = a[0].observed ? &a[0] : a[1].observed ? &a[1] : NULL;

	m->d.answer = POL_ALLOW;
	m->verdict = WEFT_V_PASSED;
	m->rule = soft ? soft->rule : a[0].rule;
	m->observed = soft ? fab_verdict_of_answer(soft->answer) : 0;
}

const char *cli_outcome(uint16_t verdict, uint16_t observed, char out[CLI_OUTCOME_MAX])
{
	snprintf(out, CLI_OUTCOME_MAX, "%s%s", observed ? "observed " : "", weft_verdict_name(observed ? observed : verdict));
	return out;
}

/* --- payloads ----------------------------------------------------------------------------------------------------- */

static uint8_t *hex_read(const char *hex, uint32_t *len, char *why, size_t why_cap)
{
	size_t n = strnlen(hex, HEX_MAX + 1), used = 0, bad = 0;
	uint8_t *out = n <= HEX_MAX ? cli_hex_read(hex, n, &used, &bad) : NULL;

	if (n > HEX_MAX)
		snprintf(why, why_cap, "more than %u hex digits", HEX_MAX);
	else if (!out && bad)
		snprintf(why, why_cap, "not pairs of hex digits at character %zu", bad);
	else if (!out)
		snprintf(why, why_cap, "out of memory");
	*len = (uint32_t)used;
	return out;
}

static uint8_t *json_read(struct cli_trials *t, const char *type, const char *text, size_t text_len, uint32_t *len, char *why,
			  size_t why_cap)
{
	uint8_t *msg = NULL;
	size_t n = 0;

	if (!t->json && fab_json_open(&t->json, t->p->fdset, t->p->fdset_len, why, why_cap) != 0)
		return NULL;
	if (fab_json_read(t->json, type, text, text_len, &msg, &n, why, why_cap) != 0)
		return NULL;
	*len = (uint32_t)n; /* the library's messages are below 2 GiB */
	return msg;
}

static uint8_t *file_read(struct cli_trials *t, const char *type, const char *path, uint32_t *len, char *why, size_t why_cap)
{
	uint8_t *bytes = NULL, *msg;
	size_t n = 0;
	int rc = fab_file_load(path, FILE_BYTES_MAX, &bytes, &n);

	if (rc) {
		snprintf(why, why_cap, "%s: %s", path,
			 rc == -EFBIG ? "larger than 16 MiB" : rc == -EINVAL ? "not a regular file" : strerror(-rc));
		return NULL;
	}
	if (cli_ends_with(path, ".json")) {
		msg = json_read(t, type, (const char *)bytes, n, len, why, why_cap);
		free(bytes);
		return msg;
	}
	msg = realloc(bytes, n + SCH_PAD);
	if (!msg) {
		free(bytes);
		snprintf(why, why_cap, "out of memory");
		return NULL;
	}
	memset(msg + n, 0, SCH_PAD);
	*len = (uint32_t)n;
	return msg;
}

uint8_t *cli_payload_read(struct cli_trials *t, const struct cli_payload *from, const char *type, uint32_t *len, char *why,
			  size_t why_cap)
{
	if (from->json)
		return json_read(t, type, from->json, strlen(from->json), len, why, why_cap);
	if (from->file)
		return file_read(t, type, from->file, len, why, why_cap);
	return hex_read(from->hex ? from->hex : "", len, why, why_cap);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

void cli_when(struct pol_when *w, int64_t s, int32_t ns)
{
	*w = (struct pol_when){ .mono_ns = 1ull << 40, .unix_s = s, .unix_ns = ns };
}

void cli_when_now(struct pol_when *w)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	cli_when(w, t.tv_sec, (int32_t)t.tv_nsec);
}
