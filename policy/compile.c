/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiles policy files: names are resolved against the unikernels and the schema set, the two sides of each
 * conversation are joined, and layout.c makes the tables. Reading a file is file.c's, deciding decide.c's. No step
 * costs more than in proportion to the rules' own size. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/schema.h"

#include "content.h"
#include "err.h"
#include "file.h"
#include "set.h"

/* What a rule demands, until the two sides are joined. */
struct demand {
	uint32_t max_bytes;
	uint32_t bucket;  /* index + 1, 0: none */
	uint32_t carries; /* number of its list */
	uint8_t log;
};

struct compiler {
	struct pol_set *set;
	struct pol_err *err;
	const struct pol_unikernel *u;
	uint32_t n;
	struct pol_index names; /* unikernels by name */
	struct demand *demands; /* by rule id - 1 */
	uint32_t cap_demands, cap_rules, cap_rates;
	uint32_t n_written_rules;
	struct pol_entry *entries;
	uint32_t n_entries, cap_entries;
	struct pol_index entry_index;
	uint32_t n_grants;
	struct pol_contents contents;
	void (*missing)(void *arg, const struct pol_err *e); /* NULL: an unknown subject is an error */
	void *missing_arg;
	const struct pol_file *file; /* the one being compiled */
	uint32_t owner;		     /* its unikernel's index */
};

/* --- names -----------------------------------------------------------------------------------------------------------
 */

static int unikernels_index(struct compiler *c)
{
	char quoted[POL_QUOTE_MAX];
	for (uint32_t i = 0; i < c->n; i++) {
		uint64_t h = pol_hash_text(c->u[i].name);
		uint32_t cursor = 0, j;
		while ((j = pol_index_next(&c->names, h, &cursor)) != POL_INDEX_NONE)
			if (strcmp(c->u[j].name, c->u[i].name) == 0)
				return pol_err_set(c->err, EEXIST, c->u[i].policy_path, 0, 0,
						   "two unikernels are called %s", pol_quote(quoted, c->u[i].name));
		if (pol_index_add(&c->names, h, i) < 0)
			return pol_err_memory(c->err, "");
	}
	return 0;
}

static int peer_resolve(struct compiler *c, const struct pol_node *p, uint16_t *port)
{
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];
	uint32_t cursor = 0, i;
	while ((i = pol_index_next(&c->names, pol_hash_text(p->text), &cursor)) != POL_INDEX_NONE)
		if (strcmp(c->u[i].name, p->text) == 0)
			break;
	if (i == c->owner)
		return pol_err_set(c->err, EINVAL, c->u[c->owner].policy_path, p->line, p->column,
				   "%s is this unikernel itself; what it tells itself does not cross the fabric",
				   pol_quote(quoted, p->text));
	if (i != POL_INDEX_NONE) {
		*port = (uint16_t)(i + 1);
		return 0;
	}
	struct pol_near near = {.word = p->text};
	for (uint32_t k = 0; k < c->n; k++)
		if (k != c->owner)
			pol_near_try(&near, c->u[k].name);
	return pol_err_set(c->err, ENOENT, c->u[c->owner].policy_path, p->line, p->column,
			   "no unikernel is called %s%s", pol_quote(quoted, p->text), pol_near_or_known(&near, hint));
}

static int subject_resolve(struct compiler *c, const struct pol_node *p, int is_method,
			   const struct pol_subject **found)
{
	static const char *const kind[2] = {"message type", "method"};
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];
	const char *path = c->u[c->owner].policy_path;
	const struct pol_subject *s = pol_subject_get(c->set, pol_hash_text(p->text));
	if (s != NULL && strcmp(s->name, p->text) == 0) {
		if (s->is_method == is_method) {
			*found = s;
			return 0;
		}
		return pol_err_set(c->err, EINVAL, path, p->line, p->column, "%s is a %s; write \"%s:\"",
				   pol_quote(quoted, p->text), kind[s->is_method], s->is_method ? "method" : "message");
	}
	struct pol_near near = {.word = p->text};
	for (uint32_t i = 0; i < c->set->n_subjects; i++)
		if (c->set->subjects[i].is_method == is_method)
			pol_near_try(&near, c->set->subjects[i].name);
	return pol_err_set(c->err, ENOENT, path, p->line, p->column, "the schemas have no %s %s%s", kind[is_method],
			   pol_quote(quoted, p->text), pol_near_or_known(&near, hint));
}

/* --- rules -----------------------------------------------------------------------------------------------------------
 */

/* Adds a rule id with what stands behind it; demand NULL for a default rule. Returns the id, or 0: no memory. */
static uint32_t rule_add(struct compiler *c, uint32_t line, const char *text, const struct demand *demand)
{
	struct pol_set *set = c->set;
	struct pol_rule_info *rules = pol_array_room(set->rules, set->n_rules, &c->cap_rules, sizeof *rules);
	if (rules == NULL)
		return 0;
	set->rules = rules;
	struct demand *demands = pol_array_room(c->demands, set->n_rules, &c->cap_demands, sizeof *demands);
	if (demands == NULL)
		return 0;
	c->demands = demands;
	rules[set->n_rules] = (struct pol_rule_info){
	    .file = set->files[c->owner].path,
	    .line = line,
	    .owner = set->files[c->owner].name,
	    .text = text,
	};
	demands[set->n_rules] = demand != NULL ? *demand : (struct demand){0};
	return ++set->n_rules;
}

/* "a, b, c and 4 more" */
static void list_text(char *out, size_t cap, const struct pol_node *value)
{
	size_t used = 0;
	uint32_t i = 0;
	out[0] = '\0';
	for (const struct pol_node *p = pol_node_each(value); p != NULL; p = p->next, i++) {
		int n;
		if (i == 3 && p->next != NULL) {
			snprintf(out + used, cap - used, " and %u more", value->n - i);
			return;
		}
		n = snprintf(out + used, cap - used, "%s%.64s", i > 0 ? ", " : "", p->text);
		if (n > 0)
			used += (size_t)n < cap - used ? (size_t)n : cap - used - 1;
	}
}

static const char *rule_text(struct compiler *c, enum pol_side side, const struct pol_file_rule *r)
{
	char subjects[300], peers[300], text[640];
	list_text(subjects, sizeof subjects, r->subjects);
	list_text(peers, sizeof peers, r->peers);
	int n = snprintf(text, sizeof text, "%s %s %s %s", side == POL_SEND ? "send" : "receive", subjects,
			 side == POL_SEND ? "to" : "from", peers);
	return pol_arena_text(&c->set->texts, text, (size_t)n);
}

/* A rate becomes a bucket of its own: index + 1, 0 where the rule has none; negative: -ENOMEM. */
static int64_t rate_add(struct compiler *c, const struct pol_file_rule *r)
{
	struct pol_set *set = c->set;
	if (r->rate == 0)
		return 0;
	struct pol_rate *rates = pol_array_room(set->rates, set->n_rates, &c->cap_rates, sizeof *rates);
	if (rates == NULL)
		return -ENOMEM;
	set->rates = rates;
	/* Rounded up: a rule never lets more through than it says. */
	uint64_t interval = (r->period_ns + r->rate - 1) / r->rate;
	rates[set->n_rates] = (struct pol_rate){.interval_ns = interval, .depth_ns = interval * r->burst};
	return ++set->n_rates;
}

/* One peer and one subject of a rule. */
static int grant_add(struct compiler *c, enum pol_side side, uint32_t rule, uint16_t peer, const struct pol_subject *s,
		     const struct pol_file_rule *r)
{
	uint16_t self = (uint16_t)(c->owner + 1);
	uint16_t src = side == POL_SEND ? self : peer, dst = side == POL_SEND ? peer : self;
	const char *path = c->u[c->owner].policy_path;
	if (++c->n_grants > POL_GRANTS_MAX)
		return pol_err_set(c->err, E2BIG, path, r->line, 0,
				   "more than %u combinations of peer and subject in all policies together",
				   POL_GRANTS_MAX);
	uint64_t key = pol_entry_key(s->hash, src, dst);
	uint32_t cursor = 0, i;
	struct pol_entry *e = NULL;
	while (e == NULL && (i = pol_index_next(&c->entry_index, key, &cursor)) != POL_INDEX_NONE)
		if (c->entries[i].subject == s->hash && c->entries[i].src == src && c->entries[i].dst == dst)
			e = &c->entries[i];
	if (e == NULL) {
		struct pol_entry *v = pol_array_room(c->entries, c->n_entries, &c->cap_entries, sizeof *v);
		if (v == NULL)
			return pol_err_memory(c->err, path);
		c->entries = v;
		if (pol_index_add(&c->entry_index, key, c->n_entries) < 0)
			return pol_err_memory(c->err, path);
		e = &c->entries[c->n_entries++];
		*e = (struct pol_entry){
		    .subject = s->hash,
		    .src = src,
		    .dst = dst,
		    .type = s->type,
		    .reply_type = s->reply_type,
		    .is_method = s->is_method,
		};
	}
	uint32_t *slot = side == POL_SEND ? &e->send_rule : &e->receive_rule;
	if (*slot != 0) {
		char quoted[POL_QUOTE_MAX], quoted_peer[POL_QUOTE_MAX];
		const char *way = side == POL_SEND ? "to" : "from";
		pol_quote(quoted, s->name);
		pol_quote(quoted_peer, c->u[peer - 1].name);
		if (*slot == rule)
			return pol_err_set(c->err, EEXIST, path, r->line, 0, "this rule lists %s %s %s twice", quoted,
					   way, quoted_peer);
		return pol_err_set(c->err, EEXIST, path, r->line, 0,
				   "%s %s %s has a rule on line %u already; join the two", quoted, way, quoted_peer,
				   c->set->rules[*slot - 1].line);
	}
	*slot = rule;
	return 0;
}

static int rule_compile(struct compiler *c, enum pol_side side, const struct pol_file_rule *r)
{
	const char *path = c->u[c->owner].policy_path;
	if (++c->n_written_rules > POL_RULES_MAX)
		return pol_err_set(c->err, E2BIG, path, r->line, 0, "more than %u rules in all policies together",
				   POL_RULES_MAX);
	struct demand d = {.max_bytes = r->max_bytes, .log = r->log};
	int64_t bucket = rate_add(c, r),
		carries = pol_carries_resolve(&c->contents, c->set, r->carries, c->set->n_rules + 1);
	const char *text = rule_text(c, side, r);
	if (bucket < 0 || carries < 0 || text == NULL)
		return pol_err_memory(c->err, path);
	d.bucket = (uint32_t)bucket;
	d.carries = (uint32_t)carries;
	uint32_t rule = rule_add(c, r->line, text, &d);
	if (rule == 0)
		return pol_err_memory(c->err, path);
	/* Subjects outside: a wrong one is told once, before any peer. */
	for (const struct pol_node *s = pol_node_each(r->subjects); s != NULL; s = s->next) {
		const struct pol_subject *subject = NULL;
		int rc = subject_resolve(c, s, r->is_method, &subject);
		if (rc < 0 && c->missing != NULL) {
			c->missing(c->missing_arg, c->err);
			continue;
		}
		for (const struct pol_node *p = pol_node_each(r->peers); rc == 0 && p != NULL; p = p->next) {
			uint16_t peer = 0;
			rc = peer_resolve(c, p, &peer);
			if (rc == 0)
				rc = grant_add(c, side, rule, peer, subject, r);
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int file_compile(struct compiler *c, const struct pol_text *text)
{
	static const char *const default_text[2] = {"default: send nothing else", "default: receive nothing else"};
	struct pol_set *set = c->set;
	const struct pol_unikernel *u = &c->u[c->owner];
	struct pol_set_file *names = &set->files[c->owner];
	names->path = pol_arena_text(&set->texts, u->policy_path, strlen(u->policy_path));
	names->name = pol_arena_text(&set->texts, u->name, strlen(u->name));
	if (names->path == NULL || names->name == NULL)
		return pol_err_memory(c->err, u->policy_path);
	struct pol_file f;
	int rc = pol_file_parse(&f, u->policy_path, text, u->name, c->err);
	if (rc < 0)
		return rc;
	uint32_t defaults[2];
	for (enum pol_side side = POL_SEND; side <= POL_RECEIVE && rc == 0; side++) {
		for (uint32_t i = 0; i < f.side[side].n && rc == 0; i++)
			rc = rule_compile(c, side, &f.side[side].rules[i]);
		if (rc < 0)
			break;
		defaults[side] = rule_add(c, f.side[side].line, default_text[side], NULL);
		if (defaults[side] == 0)
			rc = pol_err_memory(c->err, u->policy_path);
	}
	if (rc == 0)
		set->defaults[c->owner + 1] = (struct pol_default){defaults[POL_SEND], defaults[POL_RECEIVE]};
	pol_file_free(&f);
	return rc;
}

/* --- both sides ------------------------------------------------------------------------------------------------------
 */

/* Each entry that both sides have a rule for gets what the two come to. */
static int entries_join(struct compiler *c)
{
	for (uint32_t i = 0; i < c->n_entries; i++) {
		struct pol_entry *e = &c->entries[i];
		if (e->send_rule == 0 || e->receive_rule == 0)
			continue;
		const struct demand *s = &c->demands[e->send_rule - 1], *r = &c->demands[e->receive_rule - 1];
		int receiver = r->max_bytes < s->max_bytes;
		e->max_bytes = receiver ? r->max_bytes : s->max_bytes;
		e->max_by = receiver ? e->receive_rule : e->send_rule;
		e->bucket[0] = s->bucket;
		e->bucket[1] = r->bucket;
		e->log = s->log | r->log;
		int64_t content = pol_carries_join(&c->contents, s->carries, r->carries, e->send_rule);
		if (content < 0)
			return pol_err_memory(c->err, "");
		e->content = (uint32_t)content;
	}
	return 0;
}

static int compile(struct pol_set **out, const struct pol_unikernel *u, uint32_t n, const struct pol_text *texts,
		   const struct sch_set *schemas, uint64_t epoch,
		   void (*missing)(void *arg, const struct pol_err *e), void *arg, struct pol_err *err)
{
	struct compiler c = {.err = err, .u = u, .n = n, .missing = missing, .missing_arg = arg};
	int rc;
	*out = NULL;
	if (n > POL_UNIKERNELS_MAX)
		return pol_err_set(err, E2BIG, "", 0, 0, "more than %u unikernels", POL_UNIKERNELS_MAX);
	struct pol_set *set = c.set = calloc(1, sizeof *set);
	if (set == NULL)
		return pol_err_memory(err, "");
	set->epoch = epoch;
	set->n_unikernels = n;
	set->defaults = calloc((size_t)n + 1, sizeof *set->defaults);
	set->files = calloc((size_t)n + 1, sizeof *set->files);
	if (set->defaults == NULL || set->files == NULL || pol_contents_start(&c.contents) < 0) {
		rc = pol_err_memory(err, "");
		goto out;
	}
	rc = unikernels_index(&c);
	if (rc == 0)
		rc = pol_subjects_build(set, schemas, err);
	for (c.owner = 0; c.owner < n && rc == 0; c.owner++)
		rc = file_compile(&c, texts != NULL ? &texts[c.owner] : NULL);
	if (rc == 0)
		rc = entries_join(&c);
	if (rc == 0 && pol_contents_build(&c.contents, set) < 0)
		rc = pol_err_memory(err, "");
	if (rc == 0)
		rc = pol_layout_build(set, c.entries, c.n_entries, err);
out:
	pol_index_free(&c.names);
	pol_index_free(&c.entry_index);
	pol_contents_free(&c.contents);
	free(c.demands);
	free(c.entries);
	if (rc < 0) {
		pol_set_free(set);
		return rc;
	}
	*out = set;
	return 0;
}

int pol_compile(struct pol_set **set, const struct pol_unikernel *u, uint32_t n, const struct sch_set *schemas,
		uint64_t epoch, struct pol_err *err)
{
	return compile(set, u, n, NULL, schemas, epoch, NULL, NULL, err);
}

int pol_compile_text(struct pol_set **set, const struct pol_unikernel *u, uint32_t n, const struct pol_text *texts,
		     const struct sch_set *schemas, uint64_t epoch, struct pol_err *err)
{
	return compile(set, u, n, texts, schemas, epoch, NULL, NULL, err);
}

int pol_compile_lenient(struct pol_set **set, const struct pol_unikernel *u, uint32_t n, const struct pol_text *texts,
			const struct sch_set *schemas, uint64_t epoch,
			void (*missing)(void *arg, const struct pol_err *e), void *arg, struct pol_err *err)
{
	return compile(set, u, n, texts, schemas, epoch, missing, arg, err);
}

void pol_set_free(struct pol_set *set)
{
	if (set == NULL)
		return;
	free(set->slots);
	free(set->rates);
	free(set->defaults);
	free(set->files);
	free(set->subjects);
	free(set->subject_slots);
	free(set->rules);
	free(set->contents);
	free(set->carried);
	free(set->complete);
	free(set->pairs);
	pol_arena_free(&set->texts);
	free(set);
}
