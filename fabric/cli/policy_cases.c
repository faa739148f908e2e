/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict reader of *.test.yaml. What a case misspells is an error here, so that none can succeed by accident. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/policy_cases.h"
#include "guest-lib/verdict.h"
#include "policy/err.h"
#include "policy/units.h"
#include "schemas/expr.h"

enum { NAME, FROM, TO, MESSAGE, METHOD, JSON, HEX, FILE_, EXPECT, RULE, AT, TIMES, N_KEYS };
static const struct pol_key case_keys[N_KEYS] = {
	[NAME] = { "name", POL_KEY_VALUE | POL_KEY_REQUIRED },
	[FROM] = { "from", POL_KEY_VALUE | POL_KEY_REQUIRED },
	[TO] = { "to", POL_KEY_VALUE | POL_KEY_REQUIRED },
	[MESSAGE] = { "message", POL_KEY_VALUE },
	[METHOD] = { "method", POL_KEY_VALUE },
	[JSON] = { "json", POL_KEY_VALUE },
	[HEX] = { "hex", POL_KEY_VALUE },
	[FILE_] = { "file", POL_KEY_VALUE },
	[EXPECT] = { "expect", POL_KEY_VALUE | POL_KEY_REQUIRED },
	[RULE] = { "rule", POL_KEY_VALUE },
	[AT] = { "at", POL_KEY_VALUE },
	[TIMES] = { "times", POL_KEY_VALUE },
};

struct reader {
	struct cli_cases *cases;
	const struct cli_policy *p;
	struct pol_err *err;
};

static int refuse(const struct reader *r, const struct pol_node *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse(const struct reader *r, const struct pol_node *at, const char *fmt, ...)
{
	char text[sizeof r->err->text];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return pol_err_set(r->err, EINVAL, r->cases->path, at->line, at->column, "%s", text);
}

/* --- who and what ------------------------------------------------------------------------------------------------- */

static int read_port(const struct reader *r, const struct pol_node *v, uint16_t *port)
{
	const struct pol_folder *f = r->p->folder;
	int32_t at = pol_folder_find(f, v->text);
	struct pol_near near = { .word = v->text };
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];

	*port = (uint16_t)(at + 1);
	if (at >= 0)
		return 0;
	for (uint32_t i = 0; i < f->n; i++)
		pol_near_try(&near, f->u[i].name);
	return refuse(r, v, "there is no unikernel %s%s", pol_quote(quoted, v->text), pol_near_or_known(&near, hint));
}

static int read_subject(const struct reader *r, const struct pol_node *v, struct cli_case *c)
{
	struct pol_near near = { .word = v->text };
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];
	int is_method;

	c->subject = v->text;
	c->known = pol_subject_find(r->p->set, v->text, &c->subject_hash, &c->type, &is_method);
	if (c->known && is_method == c->is_method)
		return 0;
	if (c->known)
		return refuse(r, v, "%s is a %s; write it under \"%s\"", pol_quote(quoted, v->text),
			      is_method ? "method" : "message type", is_method ? "method" : "message");
	if (c->verdict == WEFT_V_SUBJECT_UNKNOWN)
		return 0;
	for (uint32_t i = 0; c->is_method && i < sch_method_count(r->p->schemas); i++)
		pol_near_try(&near, sch_method_get(r->p->schemas, i)->name);
	for (uint32_t i = 0; !c->is_method && i < sch_type_count(r->p->schemas); i++)
		pol_near_try(&near, sch_type_name(r->p->schemas, i));
	return refuse(r, v, "the schemas have no %s %s%s", c->is_method ? "method" : "message type",
		      pol_quote(quoted, v->text), pol_near_or_known(&near, hint));
}

/* Which verdicts a message can come to without a running fabric. */
static int can_come(uint16_t v)
{
	switch (v) {
	case WEFT_V_PASSED:
	case WEFT_V_SUBJECT_UNKNOWN:
	case WEFT_V_SEND_DENIED:
	case WEFT_V_RECEIVE_DENIED:
	case WEFT_V_FORBIDDEN:
	case WEFT_V_WHERE_UNMET:
	case WEFT_V_TOO_LARGE:
	case WEFT_V_OVER_RATE:
	case WEFT_V_OVER_QUOTA:
		return 1;
	default:
		return v >= WEFT_V_SCHEMA_TRUNCATED && v <= WEFT_V_CONTENT_UNINSPECTED;
	}
}

static int read_expect(const struct reader *r, const struct pol_node *v, struct cli_case *c)
{
	static const char prefix[] = "observed ";
	int observed = strncmp(v->text, prefix, sizeof prefix - 1) == 0;
	const char *name = v->text + (observed ? sizeof prefix - 1 : 0);
	struct pol_near near = { .word = name };
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];

	for (uint16_t i = 1; i < WEFT_VERDICT_MAX; i++) {
		const char *known = weft_verdict_name(i);

		if (!strcmp(known, "?") || (observed && i == WEFT_V_PASSED))
			continue;
		if (!can_come(i)) {
			if (strcmp(known, name) == 0)
				return refuse(r, v, "\"expect\" cannot be %s: only a running fabric gives that verdict",
					      pol_quote(quoted, v->text));
			continue;
		}
		pol_near_try(&near, known);
		if (strcmp(known, name) != 0)
			continue;
		c->verdict = observed ? WEFT_V_PASSED : i;
		c->observed = observed ? i : 0;
		return 0;
	}
	return refuse(r, v, "\"expect\" takes a verdict or \"observed VERDICT\", not %s%s", pol_quote(quoted, v->text),
		      pol_near_or_known(&near, hint));
}

/* --- which rule --------------------------------------------------------------------------------------------------- */

static int is_file(const char *path, const char *name)
{
	size_t n = strlen(path), m = strlen(name);

	return m <= n && strcmp(path + n - m, name) == 0 && (m == n || path[n - m - 1] == '/');
}

int cli_case_rule_is(const struct cli_case *c, const struct pol_set *set, uint32_t rule)
{
	const struct pol_rule_info *info = pol_rule(set, rule);

	if (!info || (info->owner != c->src && info->owner != c->dst))
		return 0;
	if (c->rule_file)
		return info->line == c->rule_line && is_file(info->file, c->rule_file);
	if (strcmp(c->rule, "default") == 0)
		return info->is_default;
	return info->name && strcmp(info->name, c->rule) == 0;
}

static int read_rule(const struct reader *r, const struct pol_node *v, struct cli_case *c)
{
	const struct pol_set *set = r->p->set;
	const char *colon = strrchr(v->text, ':');
	struct pol_near near = { .word = v->text };
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];
	uint64_t line;

	c->rule = v->text;
	if (colon) {
		if (colon == v->text || pol_count_parse(colon + 1, &line) != 0 || line < 1 || line > UINT32_MAX)
			return refuse(r, v, "\"rule\" takes a rule's name, FILE:LINE or default, not %s",
				      pol_quote(quoted, v->text));
		c->rule_line = (uint32_t)line;
		c->rule_file = strndup(v->text, (size_t)(colon - v->text));
		if (!c->rule_file)
			return pol_err_memory(r->err, r->cases->path);
	}
	for (uint32_t i = 1; i <= pol_rule_count(set); i++) {
		const struct pol_rule_info *info = pol_rule(set, i);

		if (!info || (info->owner != c->src && info->owner != c->dst))
			continue;
		if (cli_case_rule_is(c, set, i))
			return 0;
		if (info->name)
			pol_near_try(&near, info->name);
	}
	pol_quote(quoted, v->text);
	if (colon)
		return refuse(r, v, "no rule of %s or %s begins at %s", c->from, c->to, quoted);
	return refuse(r, v, "neither %s nor %s has a rule named %s%s", c->from, c->to, quoted, pol_near_or_known(&near, hint));
}

/* --- the rest of a case ------------------------------------------------------------------------------------------- */

static int read_payload(const struct reader *r, const struct pol_node *const found[N_KEYS], struct cli_case *c)
{
	const struct pol_node *k = found[JSON] ? found[JSON] : found[HEX] ? found[HEX] : found[FILE_];

	if (!k)
		return 0;
	if (!!found[JSON] + !!found[HEX] + !!found[FILE_] > 1)
		return refuse(r, found[FILE_] ? found[FILE_] : found[HEX], "a case has one of \"json\", \"hex\" and \"file\"");
	c->payload_line = k->value->line;
	c->payload_column = k->value->column;
	if (found[JSON])
		c->payload.json = k->value->text;
	if (found[HEX])
		c->payload.hex = k->value->text;
	if (!found[FILE_])
		return 0;
	const char *path = k->value->text, *slash = strrchr(r->cases->path, '/');
	int n = (int)(slash ? slash - r->cases->path + 1 : 0);

	if (asprintf(&c->file_path, "%.*s%s", path[0] == '/' ? 0 : n, r->cases->path, path) < 0) {
		c->file_path = NULL;
		return pol_err_memory(r->err, r->cases->path);
	}
	c->payload.file = c->file_path;
	return 0;
}

static int read_when(const struct reader *r, const struct pol_node *const found[N_KEYS], struct cli_case *c)
{
	char quoted[POL_QUOTE_MAX];

	c->times = 1;
	if (found[AT]) {
		c->has_at = 1;
		if (sch_time_parse(found[AT]->value->text, strlen(found[AT]->value->text), &c->at_s, &c->at_ns) != 0)
			return refuse(r, found[AT]->value, "\"at\" takes a time such as 2026-01-01T00:00:00Z, not %s",
				      pol_quote(quoted, found[AT]->value->text));
	}
	if (found[TIMES] && (pol_count_parse(found[TIMES]->value->text, &c->times) != 0 || c->times < 1 ||
			     c->times > CLI_TIMES_MAX))
		return refuse(r, found[TIMES]->value, "\"times\" takes a number from 1 to %u, not %s", CLI_TIMES_MAX,
			      pol_quote(quoted, found[TIMES]->value->text));
	return 0;
}

static int read_case(const struct reader *r, const struct pol_node *node, struct cli_case *c)
{
	const struct pol_node *found[N_KEYS];
	int rc = pol_yaml_keys(&r->cases->yaml, node, "a case", case_keys, N_KEYS, found, r->err);

	if (rc < 0)
		return rc;
	c->line = node->line;
	c->name = found[NAME]->value->text;
	c->from = found[FROM]->value->text;
	c->to = found[TO]->value->text;
	if (!found[MESSAGE] == !found[METHOD])
		return refuse(r, found[METHOD] ? found[METHOD] : node, "a case has either \"message\" or \"method\"");
	c->is_method = found[METHOD] != NULL;
	rc = read_expect(r, found[EXPECT]->value, c);
	if (!rc)
		rc = read_port(r, found[FROM]->value, &c->src);
	if (!rc)
		rc = read_port(r, found[TO]->value, &c->dst);
	if (!rc && c->src == c->dst)
		rc = refuse(r, found[TO]->value, "what \"%s\" tells itself does not cross the fabric", c->to);
	if (!rc)
		rc = read_subject(r, found[c->is_method ? METHOD : MESSAGE]->value, c);
	if (!rc && found[RULE])
		rc = read_rule(r, found[RULE]->value, c);
	if (!rc)
		rc = read_payload(r, found, c);
	return rc ? rc : read_when(r, found, c);
}

/* --- a file ------------------------------------------------------------------------------------------------------- */

static int name_order(const void *a, const void *b)
{
	const struct cli_case *x = *(const struct cli_case *const *)a, *y = *(const struct cli_case *const *)b;
	int d = strcmp(x->name, y->name);

	return d ? d : (x->line > y->line) - (x->line < y->line);
}

/* Of several names that stand twice, the one that comes first in the file is told. */
static int names_check(const struct reader *r)
{
	const struct cli_cases *cases = r->cases;
	const struct cli_case **sorted = calloc(cases->n, sizeof *sorted), *first = NULL, *second = NULL;
	char quoted[POL_QUOTE_MAX];

	if (!sorted)
		return pol_err_memory(r->err, cases->path);
	for (uint32_t i = 0; i < cases->n; i++)
		sorted[i] = &cases->at[i];
	qsort(sorted, cases->n, sizeof *sorted, name_order);
	for (uint32_t i = 1; i < cases->n; i++)
		if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0 && (!second || sorted[i]->line < second->line)) {
			first = sorted[i - 1];
			second = sorted[i];
		}
	free(sorted);
	if (!second)
		return 0;
	return pol_err_set(r->err, EINVAL, cases->path, second->line, 0, "a case named %s is on line %u already; each name once",
			   pol_quote(quoted, second->name), first->line);
}

int cli_cases_read(struct cli_cases *cases, const struct cli_policy *p, const char *path, struct pol_err *err)
{
	char *text = NULL;
	size_t len = 0;
	int rc;

	*cases = (struct cli_cases){ .path = path };
	rc = pol_text_load(path, &text, &len, err);
	if (rc == 0)
		rc = cli_cases_parse(cases, p, path, text, len, err);
	free(text);
	return rc;
}

int cli_cases_parse(struct cli_cases *cases, const struct cli_policy *p, const char *path, const char *text, size_t len,
		    struct pol_err *err)
{
	static const struct pol_key keys[] = { { "cases", POL_KEY_LIST | POL_KEY_REQUIRED } };
	struct reader r = { cases, p, err };
	const struct pol_node *found[1];
	int rc;

	*cases = (struct cli_cases){ .path = path };
	rc = pol_yaml_parse(&cases->yaml, path, text, len, err);
	if (rc < 0)
		return rc;
	rc = pol_yaml_keys(&cases->yaml, cases->yaml.root, "a file of cases", keys, 1, found, err);
	if (rc < 0)
		return rc;
	const struct pol_node *list = found[0]->value;

	if (list->n < 1 || list->n > CLI_CASES_MAX)
		return refuse(&r, list, list->n ? "more than %u cases; make two files" : "no case (at most %u)", CLI_CASES_MAX);
	cases->at = calloc(list->n, sizeof *cases->at);
	if (!cases->at)
		return pol_err_memory(err, path);
	for (const struct pol_node *node = list->first; node != NULL && rc == 0; node = node->next)
		rc = read_case(&r, node, &cases->at[cases->n++]);
	return rc ? rc : names_check(&r);
}

void cli_cases_free(struct cli_cases *cases)
{
	for (uint32_t i = 0; i < cases->n; i++) {
		free(cases->at[i].file_path);
		free((char *)(uintptr_t)cases->at[i].rule_file);
	}
	free(cases->at);
	pol_yaml_free(&cases->yaml);
	*cases = (struct cli_cases){ .n = 0 };
}
