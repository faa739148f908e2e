/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads one policy file. Which keys there are is language.c's; here each has the function that reads its value. */
#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "index.h"
#include "language.h"
#include "units.h"

struct reader {
	struct pol_file *f;
	struct pol_err *err;
	/* For the list at hand: which of the found keys a reader reads. */
	uint8_t found_at[POL_MAPPING_KEYS_MAX];
};

int pol_name_ok(const char *text, int is_label)
{
	size_t n = 0;
	for (; text[n] != '\0'; n++) {
		char c = text[n];
		int letter = c >= 'a' && c <= 'z';
		if (!letter && (n == 0 || !((c >= '0' && c <= '9') || c == '-' || (c == '_' && is_label))))
			return 0;
	}
	return n > 0 && n <= POL_NAME_MAX;
}

static int refuse_value(const struct reader *r, const struct pol_node *key, const char *right)
{
	char quoted[POL_QUOTE_MAX];
	return pol_err_set(r->err, EINVAL, r->f->yaml.file, key->value->line, key->value->column, "\"%s\" is %s; %s",
			   key->text, pol_quote(quoted, key->value->text), right);
}

/* --- the keys of a rule ---------------------------------------------------------------------------------------------- */

static int read_peers(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	enum pol_side side = strcmp(key->text, "to") == 0 ? POL_SEND : POL_RECEIVE;
	if (rule->peers != NULL)
		return pol_err_set(r->err, EINVAL, r->f->yaml.file, key->line, key->column,
				   "a deny rule has either \"to\" or \"from\"; write two rules");
	rule->side = (uint8_t)side;
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

static int read_quota(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	int bytes;
	if (pol_quota_parse(key->value->text, &rule->quota, &bytes) < 0)
		return refuse_value(r, key, "write messages or bytes a day: 5000/d or 64MiB/d");
	if (rule->quota == 0)
		return refuse_value(r, key, "to allow nothing, remove the rule");
	rule->quota_bytes = (uint8_t)bytes;
	return 0;
}

static int read_carries(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	const struct pol_node *v = key->value;
	rule->carries = v;
	if (v->kind != POL_NODE_MAP)
		return pol_content_names_check(&r->f->yaml, key->text, v, POL_CARRIES_MAX, r->err);
	if (v->n > POL_CARRIES_FIELDS_MAX)
		return pol_err_set(r->err, EINVAL, r->f->yaml.file, v->line, v->column,
				   "\"carries\" names more than %u fields", POL_CARRIES_FIELDS_MAX);
	for (const struct pol_node *k = v->first; k != NULL; k = k->next) {
		int rc = pol_content_names_check(&r->f->yaml, key->text, k->value, POL_CARRIES_MAX, r->err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int read_log(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	rule->log = strcmp(key->value->text, "true") == 0;
	if (!rule->log && strcmp(key->value->text, "false") != 0)
		return refuse_value(r, key, "write true or false");
	return 0;
}

static int take_mode(const struct reader *r, const struct pol_node *key, uint8_t *observe)
{
	*observe = strcmp(key->value->text, "observe") == 0;
	if (!*observe && strcmp(key->value->text, "enforce") != 0)
		return refuse_value(r, key, "write enforce or observe");
	return 0;
}

static int read_mode(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	int rc = take_mode(r, key, &rule->observe);
	if (rc == 0 && !rule->observe && r->f->observe)
		return refuse_value(r, key, "the whole file is under \"mode: observe\"; give that mode to single rules instead, "
					    "or leave it out here");
	return rc;
}

static int read_where(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	(void)r;
	rule->where = key->value;
	return 0;
}

static int read_name(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	if (!pol_name_ok(key->value->text, 0))
		return refuse_value(r, key, "a name begins with a letter and has at most 40 of a-z, 0-9 and -");
	rule->name = key->value;
	return 0;
}

static int take_reason(const struct reader *r, const struct pol_node *key, const struct pol_node **reason)
{
	if (key->value->len > POL_REASON_MAX)
		return pol_err_set(r->err, EINVAL, r->f->yaml.file, key->value->line, key->value->column,
				   "\"reason\" has %u bytes; write at most %u", key->value->len, POL_REASON_MAX);
	*reason = key->value;
	return 0;
}

static int read_reason(const struct reader *r, struct pol_file_rule *rule, const struct pol_node *key)
{
	return take_reason(r, key, &rule->reason);
}

static const struct {
	const char *key;
	int (*read)(const struct reader *, struct pol_file_rule *, const struct pol_node *);
} rule_readers[] = {
	{"to", read_peers},	    {"from", read_peers},   {"message", read_message}, {"method", read_method},
	{"max_size", read_max_size}, {"rate", read_rate},    {"burst", read_burst},	{"quota", read_quota},
	{"carries", read_carries},  {"log", read_log},	    {"mode", read_mode},	{"where", read_where},
	{"name", read_name},	    {"reason", read_reason},
};
#define RULE_READERS (sizeof rule_readers / sizeof rule_readers[0])
_Static_assert(RULE_READERS <= POL_MAPPING_KEYS_MAX, "each has a place in found_at");

/* --- mappings -------------------------------------------------------------------------------------------------------- */

static const struct pol_node *found_key(const struct pol_mapping *m, const struct pol_node *const found[POL_MAPPING_KEYS_MAX],
					const char *name)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (strcmp(m->keys[i].key.name, name) == 0)
			return found[i];
	return NULL;
}

static int read_rule(const struct reader *r, const struct pol_mapping *m, const struct pol_node *node,
		     struct pol_file_rule *rule)
{
	const struct pol_node *found[POL_MAPPING_KEYS_MAX];
	int rc = pol_mapping_keys(m, &r->f->yaml, node, found, r->err);
	if (rc < 0)
		return rc;
	*rule = (struct pol_file_rule){
	    .line = node->line, .max_bytes = POL_PAYLOAD_MAX, .deny = m == &pol_language_deny};
	/* In the order of rule_readers: burst goes by rate. */
	for (size_t k = 0; k < RULE_READERS; k++) {
		const struct pol_node *key = r->found_at[k] < m->n ? found[r->found_at[k]] : NULL;
		if (key == NULL)
			continue;
		rc = rule_readers[k].read(r, rule, key);
		if (rc < 0)
			return rc;
	}
	if (rule->peers == NULL)
		return pol_err_set(r->err, EINVAL, r->f->yaml.file, node->line, node->column,
				   "%s lacks \"to\" or \"from\"", m->name);
	if (rule->subjects == NULL && !rule->deny)
		return pol_err_set(r->err, EINVAL, r->f->yaml.file, node->line, node->column,
				   "%s lacks \"message\" or \"method\"", m->name);
	return 0;
}

static void readers_place(struct reader *r, const struct pol_mapping *m)
{
	for (size_t k = 0; k < RULE_READERS; k++) {
		r->found_at[k] = POL_MAPPING_KEYS_MAX;
		for (uint32_t i = 0; i < m->n; i++)
			if (strcmp(m->keys[i].key.name, rule_readers[k].key) == 0)
				r->found_at[k] = (uint8_t)i;
	}
}

static int read_list(struct reader *r, enum pol_which which, const struct pol_node *key)
{
	static const struct pol_mapping *const mapping[POL_LIST_COUNT] = {
	    [POL_LIST_SEND] = &pol_language_send,
	    [POL_LIST_RECEIVE] = &pol_language_receive,
	    [POL_LIST_DENY] = &pol_language_deny,
	};
	struct pol_file_list *l = &r->f->list[which];
	*l = (struct pol_file_list){.line = key != NULL ? key->line : 1};
	if (key == NULL || key->value->kind != POL_NODE_LIST || key->value->n == 0)
		return 0;
	if (which == POL_LIST_DENY && key->value->n > POL_DENIES_MAX)
		return pol_err_set(r->err, E2BIG, r->f->yaml.file, key->line, key->column,
				   "more than %u deny rules; allow less instead", POL_DENIES_MAX);
	/* At most POL_YAML_NODES_MAX rules: the product cannot overflow. */
	struct pol_file_rule *rules = pol_arena_take(&r->f->yaml.arena, key->value->n * sizeof *rules);
	if (rules == NULL)
		return pol_err_memory(r->err, r->f->yaml.file);
	l->rules = rules;
	readers_place(r, mapping[which]);
	for (const struct pol_node *p = key->value->first; p != NULL; p = p->next) {
		int rc = read_rule(r, mapping[which], p, &rules[l->n]);
		if (rc < 0)
			return rc;
		l->n++;
	}
	return 0;
}

/* --- the file's own keys --------------------------------------------------------------------------------------------- */

static int read_labels(const struct reader *r, const struct pol_node *key)
{
	char quoted[POL_QUOTE_MAX];
	const struct pol_node *map = key->value;
	if (map->kind != POL_NODE_MAP)
		return 0;
	if (map->n > POL_LABELS_MAX)
		return pol_err_set(r->err, E2BIG, r->f->yaml.file, key->line, key->column, "more than %u labels",
				   POL_LABELS_MAX);
	for (const struct pol_node *k = map->first; k != NULL; k = k->next) {
		if (!pol_name_ok(k->text, 1))
			return pol_err_set(
			    r->err, EINVAL, r->f->yaml.file, k->line, k->column,
			    "%s is no label's name; it begins with a letter and has at most 40 of a-z, 0-9, - and _",
			    pol_quote(quoted, k->text));
		if (k->value->kind != POL_NODE_VALUE || k->value->len == 0 || k->value->len > POL_NAME_MAX)
			return pol_err_set(r->err, EINVAL, r->f->yaml.file, k->line, k->column,
					   "the label \"%s\" takes a text of at most %u bytes", k->text, POL_NAME_MAX);
	}
	r->f->labels = map;
	return 0;
}

static int read_image(const struct reader *r, const struct pol_node *key)
{
	static const char right[] = "write sha256: and 64 of 0-9 and a-f, as sha256sum prints them";
	const char *p = key->value->text;
	if (strncmp(p, "sha256:", 7) != 0 || strlen(p) != 7 + 64)
		return refuse_value(r, key, right);
	p += 7;
	for (uint32_t i = 0; i < 64; i++) {
		const char *at = p[i] != '\0' ? strchr("0123456789abcdef", p[i]) : NULL;
		if (at == NULL)
			return refuse_value(r, key, right);
		unsigned digit = p[i] <= '9' ? (unsigned)(p[i] - '0') : (unsigned)(p[i] - 'a' + 10);
		r->f->image[i / 2] = (uint8_t)(((unsigned)r->f->image[i / 2] << 4 | digit) & 0xffu);
	}
	r->f->has_image = 1;
	return 0;
}

static int read_quarantine(const struct reader *r, const struct pol_node *key)
{
	const struct pol_mapping *m = &pol_language_quarantine;
	const struct pol_node *found[POL_MAPPING_KEYS_MAX];
	uint64_t n;
	int rc = pol_mapping_keys(m, &r->f->yaml, key->value, found, r->err);
	if (rc < 0)
		return rc;
	const struct pol_node *violations = found_key(m, found, "violations"), *within = found_key(m, found, "within");
	if (pol_count_parse(violations->value->text, &n) < 0 || n < 1 || n > POL_VIOLATIONS_MAX)
		return refuse_value(r, violations, "write a number of refusals from 1 to 1000");
	r->f->violations = (uint32_t)n;
	if (pol_duration_parse(within->value->text, &r->f->within_ns) < 0 || r->f->within_ns == 0)
		return refuse_value(r, within, "write a time from 1s to 24h such as 10s, 1m or 2h");
	return 0;
}

static int read_self(const struct reader *r, const struct pol_node *const found[POL_MAPPING_KEYS_MAX])
{
	const struct pol_mapping *m = &pol_language_policy;
	const struct pol_node *key;
	int rc = 0;
	if ((key = found_key(m, found, "mode")) != NULL)
		rc = take_mode(r, key, &r->f->observe);
	if (rc == 0 && (key = found_key(m, found, "labels")) != NULL)
		rc = read_labels(r, key);
	if (rc == 0 && (key = found_key(m, found, "image")) != NULL)
		rc = read_image(r, key);
	if (rc == 0 && (key = found_key(m, found, "quarantine")) != NULL)
		rc = read_quarantine(r, key);
	if (rc == 0 && (key = found_key(m, found, "reason")) != NULL)
		rc = take_reason(r, key, &r->f->reason);
	if (rc == 0 && (key = found_key(m, found, "profiles")) != NULL && key->value->kind == POL_NODE_MAP) {
		r->f->profiles = key->value;
		rc = pol_profiles_check(&r->f->yaml, key->value, r->err);
	}
	return rc;
}

/* Names are unique in the whole file, so that a name is enough to say which rule is meant. */
static int names_unique(const struct reader *r)
{
	uint32_t n = 0, all = 0;
	for (uint32_t l = 0; l < POL_LIST_COUNT; l++)
		for (uint32_t i = 0; i < r->f->list[l].n; i++)
			all += r->f->list[l].rules[i].name != NULL;
	if (all < 2)
		return 0;
	struct pol_index seen = {0};
	const struct pol_file_rule **named = pol_arena_take(&r->f->yaml.arena, all * sizeof *named);
	int rc = named == NULL ? pol_err_memory(r->err, r->f->yaml.file) : 0;
	for (uint32_t l = 0; l < POL_LIST_COUNT && rc == 0; l++)
		for (uint32_t i = 0; i < r->f->list[l].n && rc == 0; i++) {
			const struct pol_file_rule *rule = &r->f->list[l].rules[i];
			char quoted[POL_QUOTE_MAX];
			if (rule->name == NULL)
				continue;
			uint64_t h = pol_hash_text(rule->name->text);
			uint32_t cursor = 0, k;
			while ((k = pol_index_next(&seen, h, &cursor)) != POL_INDEX_NONE && rc == 0)
				if (strcmp(named[k]->name->text, rule->name->text) == 0)
					rc = pol_err_set(r->err, EEXIST, r->f->yaml.file, rule->name->line,
							 rule->name->column,
							 "the rule on line %u is called %s already; choose another name",
							 named[k]->line, pol_quote(quoted, rule->name->text));
			named[n] = rule;
			if (rc == 0 && pol_index_add(&seen, h, n++) < 0)
				rc = pol_err_memory(r->err, r->f->yaml.file);
		}
	pol_index_free(&seen);
	return rc;
}

int pol_file_parse(struct pol_file *f, const char *path, const struct pol_text *text, const char *owner,
		   struct pol_err *err)
{
	static const char *const lists[POL_LIST_COUNT] = {"send", "receive", "deny"};
	*f = (struct pol_file){0};
	int rc = text != NULL ? pol_yaml_parse(&f->yaml, path, text->text, text->len, err)
			      : pol_yaml_load(&f->yaml, path, err);
	if (rc < 0)
		return rc;
	const struct pol_mapping *m = &pol_language_policy;
	const struct pol_node *found[POL_MAPPING_KEYS_MAX];
	rc = pol_mapping_keys(m, &f->yaml, f->yaml.root, found, err);
	if (rc < 0)
		goto fail;
	const struct pol_node *name = found_key(m, found, "unikernel")->value;
	if (strcmp(name->text, owner) != 0) {
		char is[POL_QUOTE_MAX], should[POL_QUOTE_MAX];
		rc = pol_err_set(err, EINVAL, path, name->line, name->column,
				 "this is the policy of %s, but it is used for unikernel %s", pol_quote(is, name->text),
				 pol_quote(should, owner));
		goto fail;
	}
	struct reader r = {.f = f, .err = err};
	rc = read_self(&r, found);
	for (uint32_t l = 0; l < POL_LIST_COUNT && rc == 0; l++)
		rc = read_list(&r, (enum pol_which)l, found_key(m, found, lists[l]));
	if (rc == 0)
		rc = names_unique(&r);
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
