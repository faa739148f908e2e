/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads one policy file. The language is a table: a key, what it takes, and the function that reads its value. */
#include "file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "units.h"

struct reader {
	struct pol_file *f;
	struct pol_err *err;
};

static int refuse_value(const struct reader *r, const struct pol_node *key, const char *right)
{
	char quoted[POL_QUOTE_MAX];
	return pol_err_set(r->err, EINVAL, r->f->yaml.file, key->value->line, key->value->column, "\"%s\" is %s; %s",
			   key->text, pol_quote(quoted, key->value->text), right);
}

static int read_peers(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	(void)r;
	rule->peers = key->value;
	return 0;
}

static int read_message(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	(void)r;
	rule->subjects = key->value;
	return 0;
}

static int read_method(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	if (rule->subjects != NULL)
		return pol_err_set(r->err, EINVAL, r->f->yaml.file, key->line, key->column,
				   "a rule has either \"message\" or \"method\"; write two rules");
	rule->subjects = key->value;
	rule->is_method = 1;
	return 0;
}

static int read_max_size(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	uint64_t bytes;
	if (pol_size_parse(key->value->text, &bytes) < 0)
		return refuse_value(r, key, "write a size such as 512B or 4KiB");
	if (bytes > POL_PAYLOAD_MAX)
		return refuse_value(r, key, "a message has at most 60KiB");
	rule->max_bytes = (uint32_t)bytes;
	return 0;
}

static int read_rate(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	if (pol_rate_parse(key->value->text, &rule->rate, &rule->period_ns) < 0)
		return refuse_value(r, key, "write messages per second, minute or hour: 100/s, 100/m or 100/h");
	uint64_t seconds = rule->period_ns / UINT64_C(1000000000);
	if (rule->rate == 0)
		return refuse_value(r, key, "to allow nothing, remove the rule");
	if (rule->rate > seconds * POL_RATE_MAX)
		return refuse_value(r, key, "the most is 10000000/s; without \"rate\" there is no limit");
	rule->burst = rule->rate / seconds;
	if (rule->burst < 1)
		rule->burst = 1;
	if (rule->burst > POL_BURST_MAX)
		rule->burst = POL_BURST_MAX;
	return 0;
}

static int read_burst(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	uint64_t n;
	if (rule->rate == 0)
		return pol_err_set(r->err, EINVAL, r->f->yaml.file, key->line, key->column,
				   "\"burst\" needs a \"rate\" beside it");
	if (pol_count_parse(key->value->text, &n) < 0 || n < 1 || n > POL_BURST_MAX)
		return refuse_value(r, key, "write a number of messages from 1 to 1000000");
	rule->burst = n;
	return 0;
}

static int read_carries(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	const struct pol_node *v = key->value;
	if (v->kind == POL_NODE_LIST && v->n > POL_CARRIES_MAX)
		return pol_err_set(r->err, EINVAL, r->f->yaml.file, v->line, v->column,
				   "\"carries\" lists more than %u protocols", POL_CARRIES_MAX);
	for (const struct pol_node *p = pol_node_each(v); p != NULL; p = p->next) {
		char quoted[POL_QUOTE_MAX];
		int plain = p->len <= POL_CONTENT_NAME_MAX;
		for (uint32_t i = 0; i < p->len; i++)
			plain &= (unsigned char)p->text[i] < 0x80;
		if (!plain)
			return pol_err_set(r->err, EINVAL, r->f->yaml.file, p->line, p->column,
					   "%s cannot be a protocol's name: those are ASCII, at most %u bytes",
					   pol_quote(quoted, p->text), POL_CONTENT_NAME_MAX);
		for (const struct pol_node *q = pol_node_each(v); q != p; q = q->next)
			if (strcasecmp(p->text, q->text) == 0)
				return pol_err_set(r->err, EINVAL, r->f->yaml.file, p->line, p->column,
						   "%s is in the list twice", pol_quote(quoted, p->text));
	}
	rule->carries = v;
	return 0;
}

static int read_log(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	rule->log = strcmp(key->value->text, "true") == 0;
	if (!rule->log && strcmp(key->value->text, "false") != 0)
		return refuse_value(r, key, "write true or false");
	return 0;
}

#define NAMES	  (POL_KEY_VALUE | POL_KEY_LIST | POL_KEY_NAMES)
#define RULE_KEYS 8u

/* The keys of a rule, in the order in which they are read. to and from differ, the rest does not. */
static const struct pol_key rule_keys[2][RULE_KEYS] = {
#define COMMON                                                                                       \
	{"message", NAMES}, {"method", NAMES}, {"max_size", POL_KEY_VALUE}, {"rate", POL_KEY_VALUE}, \
	    {"burst", POL_KEY_VALUE}, {"carries", NAMES | POL_KEY_EMPTY},                            \
	{                                                                                            \
		"log", POL_KEY_VALUE                                                                 \
	}
    [POL_SEND] = {{"to", NAMES | POL_KEY_REQUIRED}, COMMON},
    [POL_RECEIVE] = {{"from", NAMES | POL_KEY_REQUIRED}, COMMON},
#undef COMMON
};
static int (*const rule_readers[RULE_KEYS])(const struct reader *, struct pol_file_rule *, const struct pol_node *) = {
    read_peers, read_message, read_method, read_max_size, read_rate, read_burst, read_carries, read_log,
};

static int read_rule(const struct reader *r, enum pol_side side, const struct pol_node *node,
		     struct pol_file_rule *rule)
{
	const struct pol_node *found[RULE_KEYS];
	const char *what = side == POL_SEND ? "a send rule" : "a receive rule";
	int rc = pol_yaml_keys(&r->f->yaml, node, what, rule_keys[side], RULE_KEYS, found, r->err);
	if (rc < 0)
		return rc;
	*rule = (struct pol_file_rule){.line = node->line, .max_bytes = POL_PAYLOAD_MAX};
	for (uint32_t i = 0; i < RULE_KEYS; i++) {
		if (found[i] == NULL)
			continue;
		/* `carries:` with nothing behind it is an empty list. */
		if (found[i]->value->kind == POL_NODE_VALUE && found[i]->value->len == 0)
			continue;
		rc = rule_readers[i](r, rule, found[i]);
		if (rc < 0)
			return rc;
	}
	if (rule->subjects == NULL)
		return pol_err_set(r->err, EINVAL, r->f->yaml.file, node->line, node->column,
				   "%s lacks \"message\" or \"method\"", what);
	return 0;
}

static int read_side(const struct reader *r, enum pol_side side, const struct pol_node *key)
{
	struct pol_file_side *s = &r->f->side[side];
	*s = (struct pol_file_side){.line = key != NULL ? key->line : 1};
	if (key == NULL || key->value->kind != POL_NODE_LIST || key->value->n == 0)
		return 0;
	/* At most POL_YAML_NODES_MAX rules: the product cannot overflow. */
	struct pol_file_rule *rules = pol_arena_take(&r->f->yaml.arena, key->value->n * sizeof *rules);
	if (rules == NULL)
		return pol_err_memory(r->err, r->f->yaml.file);
	for (const struct pol_node *p = key->value->first; p != NULL; p = p->next) {
		int rc = read_rule(r, side, p, &rules[s->n]);
		if (rc < 0)
			return rc;
		s->n++;
	}
	s->rules = rules;
	return 0;
}

int pol_file_parse(struct pol_file *f, const char *path, const struct pol_text *text, const char *owner,
		   struct pol_err *err)
{
	enum { UNIKERNEL, SEND, RECEIVE, KEYS };
	static const struct pol_key keys[KEYS] = {
	    [UNIKERNEL] = {"unikernel", POL_KEY_VALUE | POL_KEY_REQUIRED},
	    [SEND] = {"send", POL_KEY_LIST | POL_KEY_EMPTY},
	    [RECEIVE] = {"receive", POL_KEY_LIST | POL_KEY_EMPTY},
	};
	*f = (struct pol_file){0};
	int rc = text != NULL ? pol_yaml_parse(&f->yaml, path, text->text, text->len, err)
			      : pol_yaml_load(&f->yaml, path, err);
	if (rc < 0)
		return rc;
	const struct pol_node *found[KEYS];
	rc = pol_yaml_keys(&f->yaml, f->yaml.root, "a policy", keys, KEYS, found, err);
	if (rc < 0)
		goto fail;
	const struct pol_node *name = found[UNIKERNEL]->value;
	if (strcmp(name->text, owner) != 0) {
		char is[POL_QUOTE_MAX], should[POL_QUOTE_MAX];
		rc = pol_err_set(err, EINVAL, path, name->line, name->column,
				 "this is the policy of %s, but it is used for unikernel %s", pol_quote(is, name->text),
				 pol_quote(should, owner));
		goto fail;
	}
	const struct reader r = {f, err};
	rc = read_side(&r, POL_SEND, found[SEND]);
	if (rc == 0)
		rc = read_side(&r, POL_RECEIVE, found[RECEIVE]);
	if (rc < 0)
		goto fail;
	return 0;
fail:
	pol_yaml_free(&f->yaml);
	return rc;
}

void pol_file_free(struct pol_file *f)
{
	pol_yaml_free(&f->yaml);
}
