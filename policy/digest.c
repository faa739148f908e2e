/* SPDX-License-Identifier: BSD-2-Clause */
/* From a file to rules: names become numbers, texts are kept once, and the YAML is let go, so that a million rules fit.
 * Rule ids go in the order send, the send default, receive, the receive default, deny. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/schema.h"

#include "compile.h"

int pol_subject_resolve(struct compiler *c, const char *path, const struct pol_node *p, int is_method, uint32_t *subject)
{
	static const char *const kind[2] = {"message type", "method"};
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];
	const struct pol_subject *s = pol_subject_get(c->set, pol_hash_text(p->text));
	if (s != NULL && strcmp(s->name, p->text) == 0) {
		if (s->is_method == is_method) {
			*subject = (uint32_t)(s - c->set->subjects);
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

/* --- rules ----------------------------------------------------------------------------------------------------------- */

/* As much of it as fits, no character in two. */
static size_t cut(const char *text, size_t len, size_t room)
{
	if (len <= room)
		return len;
	while (room > 0 && ((unsigned char)text[room] & 0xc0u) == 0x80u)
		room--;
	return room;
}

/* A line of text that is cut where it is full. */
struct line {
	char text[640];
	size_t n;
};

static void line_add(struct line *l, const char *text, size_t len)
{
	len = cut(text, len, sizeof l->text - 1 - l->n);
	memcpy(l->text + l->n, text, len);
	l->n += len;
}

static void line_word(struct line *l, const char *text)
{
	line_add(l, text, strlen(text));
}

/* "a, b, c and 4 more" */
static void line_list(struct line *l, const struct pol_node *value)
{
	uint32_t i = 0;
	for (const struct pol_node *p = pol_node_each(value); p != NULL; p = p->next, i++) {
		if (i == 3 && p->next != NULL) {
			char more[32];
			snprintf(more, sizeof more, " and %u more", value->n - i);
			line_word(l, more);
			return;
		}
		if (i > 0)
			line_word(l, ", ");
		line_add(l, p->text, cut(p->text, p->len, 64));
	}
}

static const char *rule_text(struct compiler *c, const struct pol_file_rule *r)
{
	static const char *const verb[2][2] = {{"send ", "receive "}, {"deny sending ", "deny receiving "}};
	struct line l = {.n = 0};
	line_word(&l, verb[r->deny][r->side]);
	if (r->subjects != NULL)
		line_list(&l, r->subjects);
	else
		line_word(&l, "anything");
	line_word(&l, r->side == POL_SEND ? " to " : " from ");
	line_list(&l, r->peers);
	return pol_arena_text(&c->set->texts, l.text, l.n);
}

static const char *keep(struct compiler *c, const struct pol_node *value, int *no_memory)
{
	const char *text = value != NULL ? pol_arena_text(&c->set->texts, value->text, value->len) : NULL;
	*no_memory |= value != NULL && text == NULL;
	return text;
}

/* Adds a rule id with what stands behind it. Returns the id, or 0: no memory. */
static uint32_t rule_add(struct compiler *c, const struct pol_rule_info *info, const struct pol_rule_terms *terms)
{
	struct pol_set *set = c->set;
	struct pol_rule_info *rules = pol_array_room(set->rules, set->n_rules, &c->cap_rules, sizeof *rules);
	if (rules == NULL)
		return 0;
	set->rules = rules;
	struct pol_rule_terms *t = pol_array_room(set->terms, set->n_rules, &c->cap_rule_terms, sizeof *t);
	if (t == NULL)
		return 0;
	set->terms = t;
	rules[set->n_rules] = *info;
	t[set->n_rules] = *terms;
	return ++set->n_rules;
}

/* A rate and a quota share a book: index + 1, 0 where the rule has neither; negative: -ENOMEM. */
static int64_t book_add(struct compiler *c, const struct pol_file_rule *r, int observe)
{
	struct pol_set *set = c->set;
	if (r->rate == 0 && r->quota == 0)
		return 0;
	struct pol_limit *limits = pol_array_room(set->limits, set->n_limits, &c->cap_limits, sizeof *limits);
	if (limits == NULL)
		return -ENOMEM;
	set->limits = limits;
	struct pol_limit *l = &limits[set->n_limits];
	*l = (struct pol_limit){
	    .quota = r->quota,
	    .quota_bytes = r->quota_bytes,
	    .rule = set->n_rules + 1,
	    .observe = (uint8_t)observe,
	    .rate = r->rate,
	    .period_ns = r->period_ns,
	    .burst = r->burst,
	};
	if (r->rate != 0) {
		/* Rounded up: a rule never lets more through than it says. */
		l->interval_ns = (r->period_ns + r->rate - 1) / r->rate;
		l->depth_ns = l->interval_ns * r->burst;
	}
	return ++set->n_limits;
}

static int digest_peers(struct compiler *c, const struct pol_file_rule *r, struct pol_digest *d)
{
	d->terms = c->n_terms;
	c->stamp++;
	for (const struct pol_node *p = pol_node_each(r->peers); p != NULL; p = p->next) {
		struct pol_term *v = pol_array_room(c->terms, c->n_terms, &c->cap_terms, sizeof *v);
		if (v == NULL)
			return pol_err_memory(c->err, compiler_path(c));
		c->terms = v;
		int rc = pol_term_read(c, p, c->owner, compiler_path(c), &v[c->n_terms]);
		if (rc == 0)
			rc = pol_term_once(c, p, compiler_path(c), &v[c->n_terms]);
		if (rc < 0)
			return rc;
		c->n_terms++;
	}
	d->n_terms = c->n_terms - d->terms;
	return 0;
}

static int digest_subjects(struct compiler *c, const struct pol_file_rule *r, struct pol_digest *d)
{
	d->subjects = c->n_subjects;
	d->n_subjects = UINT32_MAX;
	if (r->subjects == NULL)
		return 0;
	c->stamp++;
	for (const struct pol_node *s = pol_node_each(r->subjects); s != NULL; s = s->next) {
		uint32_t *v = pol_array_room(c->subjects, c->n_subjects, &c->cap_subjects, sizeof *v), subject = 0;
		if (v == NULL)
			return pol_err_memory(c->err, compiler_path(c));
		c->subjects = v;
		int rc = pol_subject_resolve(c, compiler_path(c), s, r->is_method, &subject);
		if (rc < 0 && c->ask->lenient) {
			if (c->ask->note != NULL)
				c->ask->note(c->ask->arg, POL_NOTE_MISSING, c->err);
			continue;
		}
		if (rc < 0)
			return rc;
		char quoted[POL_QUOTE_MAX];
		if (c->subject_stamp[subject] == c->stamp)
			return pol_err_set(c->err, EEXIST, compiler_path(c), s->line, s->column, "%s is in the list twice",
					   pol_quote(quoted, s->text));
		c->subject_stamp[subject] = c->stamp;
		v[c->n_subjects++] = subject;
	}
	d->n_subjects = c->n_subjects - d->subjects;
	return 0;
}

static int digest_where(struct compiler *c, const struct pol_file_rule *r, const char *text, struct pol_digest *d)
{
	if (r->where == NULL)
		return 0;
	struct pol_where *v = pol_array_room(c->wheres, c->n_wheres, &c->cap_wheres, sizeof *v);
	if (v == NULL)
		return pol_err_memory(c->err, compiler_path(c));
	c->wheres = v;
	v[c->n_wheres++] = (struct pol_where){text, r->where->line, r->where->column, pol_hash_text(text)};
	d->where = c->n_wheres;
	return 0;
}

/* A field of `carries` in one of the rule's messages, or in a method's reply. */
static int field_resolve(struct compiler *c, const struct pol_node *key, const struct pol_digest *d, uint32_t *field)
{
	const struct sch_set *schemas = c->set->schemas;
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];
	struct pol_near near = {.word = key->text};
	const char *confined = NULL;
	for (uint32_t i = 0; i < d->n_subjects; i++) {
		const struct pol_subject *s = &c->set->subjects[c->subjects[d->subjects + i]];
		const uint32_t types[2] = {s->type, s->reply_type};
		for (uint32_t k = 0; k < (s->is_method ? 2u : 1u); k++) {
			int32_t at = sch_field_at(schemas, types[k], key->text);
			if (at >= 0 && sch_field_is_confined(schemas, (uint32_t)at)) {
				confined = sch_type_name(schemas, types[k]);
				continue; /* another message may have one that is not */
			}
			if (at >= 0 && !sch_field_is_opaque(schemas, (uint32_t)at))
				return pol_err_set(c->err, EINVAL, compiler_path(c), key->line, key->column,
						   "the field %s of %s is neither string nor bytes: only those carry content",
						   pol_quote(quoted, key->text), sch_type_name(schemas, types[k]));
			if (at >= 0) {
				*field = (uint32_t)at;
				return 0;
			}
			for (uint32_t n = 0; (at = sch_field_nth(schemas, types[k], n)) >= 0; n++)
				if (sch_field_is_opaque(schemas, (uint32_t)at))
					pol_near_try(&near, sch_field_name(schemas, (uint32_t)at));
		}
	}
	if (confined != NULL)
		return pol_err_set(c->err, ENOENT, compiler_path(c), key->line, key->column,
				   "the field %s of %s carries no content: its rules in the schema say what may be in it, so "
				   "nobody inspects it; leave it out",
				   pol_quote(quoted, key->text), confined);
	return pol_err_set(c->err, ENOENT, compiler_path(c), key->line, key->column,
			   "no message of this rule has a field %s%s", pol_quote(quoted, key->text),
			   near.n > 0 ? pol_near_or_known(&near, hint) : "; none has a string or bytes");
}

/* The number of one list; negative, with err filled. */
static int64_t list_resolve(struct compiler *c, const struct pol_node *list)
{
	const struct pol_naming of = {.path = c->set->selves[c->owner + 1].file, .owner = (uint16_t)(c->owner + 1)};
	int64_t number = pol_carries_resolve(&c->contents, c->set, list, &of);
	if (number == -E2BIG)
		return pol_err_set(c->err, E2BIG, compiler_path(c), list->line, list->column,
				   "all different \"carries\" together, with their profiles, list more than %u names; list fewer",
				   POL_CONTENT_NAMES_MAX);
	return number < 0 ? pol_err_memory(c->err, compiler_path(c)) : number;
}

static int digest_by_field(struct compiler *c, const struct pol_file_rule *r, const struct pol_digest *d, int64_t *number)
{
	struct pol_by_field p = {.n = 0};
	for (const struct pol_node *k = r->carries->first; k != NULL; k = k->next) {
		const struct pol_node *v = k->value;
		uint32_t field = 0, at = p.n;
		int rc = field_resolve(c, k, d, &field);
		if (rc == -ENOENT && c->ask->lenient) { /* the schemas lack it: it carries nothing */
			if (c->ask->note != NULL)
				c->ask->note(c->ask->arg, POL_NOTE_MISSING, c->err);
			continue;
		}
		if (rc < 0)
			return rc;
		int64_t list = list_resolve(c, v);
		if (list < 0)
			return (int)list;
		for (uint32_t i = 0; i < p.n; i++)
			if (p.of[i].field == field)
				return pol_err_set(c->err, EEXIST, compiler_path(c), k->line, k->column,
						   "two paths of \"carries\" lead to the same field of the same message type; "
						   "keep one");
		for (; at > 0 && p.of[at - 1].field > field; at--)
			p.of[at] = p.of[at - 1];
		p.of[at].field = field;
		p.of[at].list = (uint32_t)list;
		p.n++;
	}
	*number = pol_carries_by_field(&c->contents, &p);
	return *number < 0 ? pol_err_memory(c->err, compiler_path(c)) : 0;
}

static int digest_carries(struct compiler *c, const struct pol_file_rule *r, const struct pol_digest *d)
{
	int64_t number = POL_CONTENT_UNKNOWN;
	int rc = 0;
	if (r->carries != NULL && r->carries->kind == POL_NODE_MAP)
		rc = digest_by_field(c, r, d, &number);
	else if (r->carries != NULL && (number = list_resolve(c, r->carries)) < 0)
		rc = (int)number;
	if (rc == 0)
		c->set->terms[d->rule - 1].carries = (uint32_t)number;
	return rc;
}

static int digest_rule(struct compiler *c, const struct pol_file_rule *r)
{
	const char *path = compiler_path(c);
	int no_memory = 0, observe = r->observe || c->file->observe;
	if (++c->n_written > POL_RULES_MAX)
		return pol_err_set(c->err, E2BIG, path, r->line, 0, "more than %u rules in all policies together",
				   POL_RULES_MAX);
	struct pol_rule_info info = {
	    .file = c->set->selves[c->owner + 1].file,
	    .line = r->line,
	    .owner = (uint16_t)(c->owner + 1),
	    .side = r->side,
	    .deny = r->deny,
	    .observe = (uint8_t)observe,
	    .text = rule_text(c, r),
	    .name = keep(c, r->name, &no_memory),
	    .where = keep(c, r->where, &no_memory),
	    .reason = keep(c, r->reason, &no_memory),
	};
	int64_t book = book_add(c, r, observe);
	if (book < 0 || no_memory || info.text == NULL)
		return pol_err_memory(c->err, path);
	struct pol_rule_terms terms = {.max_bytes = r->max_bytes, .book = (uint32_t)book, .log = r->log};
	struct pol_digest *v = pol_array_room(c->digests, c->n_digests, &c->cap_digests, sizeof *v);
	if (v == NULL)
		return pol_err_memory(c->err, path);
	c->digests = v;
	struct pol_digest d = {.rule = rule_add(c, &info, &terms), .line = r->line};
	if (d.rule == 0)
		return pol_err_memory(c->err, path);
	/* Subjects first: a wrong one is told before any peer. */
	int rc = digest_subjects(c, r, &d);
	if (rc == 0)
		rc = digest_peers(c, r, &d);
	if (rc == 0)
		rc = digest_where(c, r, info.where, &d);
	if (rc == 0)
		rc = digest_carries(c, r, &d);
	if (rc == 0)
		v[c->n_digests++] = d;
	return rc;
}

static int digest_default(struct compiler *c, enum pol_side side, uint32_t line, const char *reason)
{
	static const char *const text[2] = {"default: send nothing else", "default: receive nothing else"};
	struct pol_self *self = &c->set->selves[c->owner + 1];
	struct pol_rule_info info = {
	    .file = self->file,
	    .line = line,
	    .owner = (uint16_t)(c->owner + 1),
	    .side = (uint8_t)side,
	    .observe = self->observe,
	    .is_default = 1,
	    .text = text[side],
	    .reason = reason,
	};
	self->default_rule[side] = rule_add(c, &info, &(struct pol_rule_terms){.max_bytes = POL_PAYLOAD_MAX});
	return self->default_rule[side] != 0 ? 0 : pol_err_memory(c->err, compiler_path(c));
}

/* --- what a file says of its unikernel --------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct sch_label *)a)->key, ((const struct sch_label *)b)->key);
}

static int digest_self(struct compiler *c, const char **reason)
{
	struct pol_set *set = c->set;
	const struct pol_file *f = c->file;
	struct pol_self *self = &set->selves[c->owner + 1];
	const char *path = compiler_path(c), *name = c->source->u[c->owner].name;
	int no_memory = 0;
	uint32_t n = f->labels != NULL ? f->labels->n : 0;
	struct sch_party *party = pol_arena_take(&set->texts, sizeof *party);
	struct sch_label *labels = pol_arena_take(&set->texts, (n + 1) * sizeof *labels);
	self->file = pol_arena_text(&set->texts, path, strlen(path));
	if (party == NULL || labels == NULL || self->file == NULL)
		return pol_err_memory(c->err, path);
	party->name = pol_arena_text(&set->texts, name, strlen(name));
	party->labels = labels;
	for (const struct pol_node *k = n > 0 ? f->labels->first : NULL; k != NULL; k = k->next) {
		struct sch_label *l = &labels[party->n_labels++];
		l->key = pol_arena_text(&set->texts, k->text, k->len);
		l->value = keep(c, k->value, &no_memory);
		no_memory |= l->key == NULL;
	}
	if (party->name == NULL || no_memory)
		return pol_err_memory(c->err, path);
	qsort(labels, n, sizeof *labels, by_key);
	self->party = party;
	self->observe = f->observe;
	self->violations = f->violations;
	self->within_ns = f->within_ns;
	if (f->has_image) {
		uint8_t *image = pol_arena_take(&set->texts, sizeof f->image);
		if (image == NULL)
			return pol_err_memory(c->err, path);
		memcpy(image, f->image, sizeof f->image);
		self->image = image;
	}
	*reason = keep(c, f->reason, &no_memory);
	return no_memory ? pol_err_memory(c->err, path) : 0;
}

int pol_file_digest(struct compiler *c)
{
	struct pol_file f;
	const char *path = compiler_path(c), *reason = NULL;
	struct pol_digests *of = &c->of_file[c->owner];
	int rc = pol_file_parse(&f, path, c->source->texts != NULL ? &c->source->texts[c->owner] : NULL,
				c->source->u[c->owner].name, c->err);
	if (rc < 0)
		return rc;
	c->file = &f;
	rc = digest_self(c, &reason);
	if (rc == 0)
		rc = pol_profiles_read(c, f.profiles, c->set->selves[c->owner + 1].file, (uint16_t)(c->owner + 1));
	of->first = c->n_digests;
	for (enum pol_side side = POL_SEND; side <= POL_RECEIVE && rc == 0; side++) {
		const struct pol_file_list *l = &f.list[side == POL_SEND ? POL_LIST_SEND : POL_LIST_RECEIVE];
		for (uint32_t i = 0; i < l->n && rc == 0; i++)
			rc = digest_rule(c, &l->rules[i]);
		if (rc == 0)
			rc = digest_default(c, side, l->line, reason);
	}
	of->n_allow = c->n_digests - of->first;
	for (uint32_t i = 0; i < f.list[POL_LIST_DENY].n && rc == 0; i++)
		rc = digest_rule(c, &f.list[POL_LIST_DENY].rules[i]);
	of->n_deny = c->n_digests - of->first - of->n_allow;
	c->file = NULL;
	pol_file_free(&f);
	return rc;
}
