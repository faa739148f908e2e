/* SPDX-License-Identifier: BSD-2-Clause */
/* From rules to drafts of entries: each peer and subject that an allow rule covers has one, and in it stand, in the order of the
 * files, all rules about it. Deny rules make no entries: they only speak about what is let through. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"

struct pol_expr_key {
	const char *text;
	uint32_t type;
};

/* In characters, as columns are. */
static uint32_t characters(const char *text, uint32_t bytes)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < bytes && text[i] != '\0'; i++)
		n += ((unsigned char)text[i] & 0xc0u) != 0x80u;
	return n;
}

/* The program of a rule's where for messages of the type: index + 1. The same text for the same type is compiled once. */
static int where_compile(struct compiler *c, uint32_t where, uint32_t subject, uint32_t *expr)
{
	const struct pol_where *w = &c->wheres[where - 1];
	uint32_t type = c->set->subjects[subject].type, cursor = 0, i;
	uint64_t h = pol_hash_mix(w->hash ^ (uint64_t)type << 20);
	while ((i = pol_index_next(&c->expr_index, h, &cursor)) != POL_INDEX_NONE)
		if (c->expr_keys[i].type == type && strcmp(c->expr_keys[i].text, w->text) == 0) {
			*expr = i + 1;
			return 0;
		}
	struct sch_expr **exprs = pol_array_room(c->set->exprs, c->set->n_exprs, &c->cap_exprs, sizeof(struct sch_expr *));
	if (exprs == NULL)
		return pol_err_memory(c->err, compiler_path(c));
	c->set->exprs = exprs;
	struct pol_expr_key *keys = pol_array_room(c->expr_keys, c->set->n_exprs, &c->cap_expr_keys, sizeof *keys);
	if (keys == NULL)
		return pol_err_memory(c->err, compiler_path(c));
	c->expr_keys = keys;
	struct sch_expr_var vars[POL_VARS];
	struct sch_expr_err e = {.at = 0};
	pol_vars(type, vars);
	int rc = sch_expr_compile(&exprs[c->set->n_exprs], c->set->schemas, vars, POL_VARS, w->text, SCH_EXPR_BOOL, &e);
	if (rc == -ENOMEM)
		return pol_err_memory(c->err, compiler_path(c));
	if (rc < 0)
		/* The column is right for plain values; in a quoted one the quotes and escapes shift it. */
		return pol_err_set(c->err, EINVAL, compiler_path(c), w->line, w->column + characters(w->text, e.at),
				   "\"where\" on %s: %s", c->set->subjects[subject].name, e.text);
	c->expr_bytes += sch_expr_bytes(exprs[c->set->n_exprs]);
	keys[c->set->n_exprs] = (struct pol_expr_key){w->text, type};
	if (pol_index_add(&c->expr_index, h, c->set->n_exprs++) < 0)
		return pol_err_memory(c->err, compiler_path(c));
	if (c->expr_bytes > POL_WHERE_BYTES_MAX)
		return pol_err_set(c->err, E2BIG, compiler_path(c), w->line, w->column,
				   "all \"where\" together, one for each type that they are about, take more than %u MiB; shorten "
				   "them or name fewer types",
				   POL_WHERE_BYTES_MAX >> 20);
	*expr = c->set->n_exprs;
	return 0;
}

/* The draft of this conversation; make: adds it where there is none. NULL: none, or no memory. */
static struct pol_draft *draft_get(struct compiler *c, uint16_t src, uint16_t dst, uint32_t subject, int make)
{
	uint64_t key = pol_entry_key(c->set->subjects[subject].hash, src, dst);
	uint32_t cursor = 0, i;
	while ((i = pol_index_next(&c->draft_index, key, &cursor)) != POL_INDEX_NONE) {
		struct pol_draft *d = &c->drafts[i];
		if (d->subject == subject && d->src == src && d->dst == dst)
			return d;
	}
	if (!make)
		return NULL;
	struct pol_draft *v = pol_array_room(c->drafts, c->n_drafts, &c->cap_drafts, sizeof *v);
	if (v == NULL)
		return NULL;
	c->drafts = v;
	if (pol_index_add(&c->draft_index, key, c->n_drafts) < 0)
		return NULL;
	v[c->n_drafts] = (struct pol_draft){.subject = subject, .src = src, .dst = dst};
	return &v[c->n_drafts++];
}

static int grant_add(struct compiler *c, const struct pol_digest *d, struct pol_draft *draft, enum pol_side side, int deny,
		     uint32_t expr)
{
	struct pol_chain *chain = deny ? &draft->deny[side] : &draft->allow[side];
	const char *path = compiler_path(c);
	char quoted[POL_QUOTE_MAX];
	if (++c->n_granted > POL_GRANTS_MAX)
		return pol_err_set(c->err, E2BIG, path, d->line, 0,
				   "more than %u combinations of peer and subject in all policies together; name fewer in one rule",
				   POL_GRANTS_MAX);
	if (draft->deny[side].n + draft->allow[side].n >= (int)POL_CANDIDATES_MAX)
		return pol_err_set(c->err, E2BIG, path, d->line, 0, "%s is the subject of more than %u rules about one peer",
				   pol_quote(quoted, c->set->subjects[draft->subject].name), POL_CANDIDATES_MAX);
	struct pol_grant *v = pol_array_room(c->grants, c->n_grants, &c->cap_grants, sizeof *v);
	if (v == NULL)
		return pol_err_memory(c->err, path);
	c->grants = v;
	v[c->n_grants++] = (struct pol_grant){.rule = d->rule, .expr = expr};
	if (chain->tail != 0)
		v[chain->tail - 1].next = c->n_grants;
	else
		chain->head = c->n_grants;
	chain->tail = c->n_grants;
	chain->n++;
	return 0;
}

/* Lenient: what does not fit the schemas is told, not refused. */
static int where_missing(struct compiler *c, int rc)
{
	if (rc != -EINVAL || !c->ask->lenient)
		return rc;
	if (c->ask->note != NULL)
		c->ask->note(c->ask->arg, POL_NOTE_MISSING, c->err);
	return 0;
}

static int allow_grant(struct compiler *c, const struct pol_digest *d)
{
	enum pol_side side = (enum pol_side)c->set->rules[d->rule - 1].side;
	uint16_t self = (uint16_t)(c->owner + 1);
	pol_ports_expand(c, &c->terms[d->terms], d->n_terms, c->owner);
	for (uint32_t s = 0; s < d->n_subjects; s++) {
		uint32_t subject = c->subjects[d->subjects + s], expr = 0;
		if (d->where != 0) {
			int rc = where_compile(c, d->where, subject, &expr);
			if (rc < 0 && (rc = where_missing(c, rc)) < 0)
				return rc;
			if (expr == 0)
				continue;
		}
		for (uint32_t p = 0; p < c->n_ports; p++) {
			uint16_t src = side == POL_SEND ? self : c->ports[p], dst = side == POL_SEND ? c->ports[p] : self;
			struct pol_draft *draft = draft_get(c, src, dst, subject, 1);
			uint32_t *touched = pol_array_room(c->touched, c->n_touched, &c->cap_touched, sizeof *touched);
			if (touched != NULL)
				c->touched = touched;
			if (draft == NULL || touched == NULL)
				return pol_err_memory(c->err, compiler_path(c));
			if (draft->allow[side].n == 0)
				touched[c->n_touched++] = (uint32_t)(draft - c->drafts) << 1 | side;
			int rc = grant_add(c, d, draft, side, 0, expr);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* A deny rule joins each draft of its side that it covers. */
static int deny_grant(struct compiler *c, const struct pol_digest *d)
{
	enum pol_side side = (enum pol_side)c->set->rules[d->rule - 1].side;
	pol_ports_expand(c, &c->terms[d->terms], d->n_terms, c->owner);
	uint32_t stamp = c->stamp; /* of ports and of subjects */
	for (uint32_t s = 0; d->n_subjects != UINT32_MAX && s < d->n_subjects; s++)
		c->subject_stamp[c->subjects[d->subjects + s]] = stamp;
	for (uint32_t s = 0; d->where != 0 && d->n_subjects != UINT32_MAX && s < d->n_subjects; s++) {
		uint32_t expr; /* wrong even where nothing is let through */
		int rc = where_compile(c, d->where, c->subjects[d->subjects + s], &expr);
		if (rc < 0 && (rc = where_missing(c, rc)) < 0)
			return rc;
	}
	for (uint32_t i = 0; i < c->n_touched; i++) {
		struct pol_draft *draft = &c->drafts[c->touched[i] >> 1];
		uint16_t peer = side == POL_SEND ? draft->dst : draft->src;
		uint32_t expr = 0;
		if ((c->touched[i] & 1) != side || c->port_stamp[peer] != stamp ||
		    (d->n_subjects != UINT32_MAX && c->subject_stamp[draft->subject] != stamp))
			continue;
		if (d->where != 0) {
			int rc = where_compile(c, d->where, draft->subject, &expr);
			if (rc < 0 && (rc = where_missing(c, rc)) < 0)
				return rc;
		}
		int rc = grant_add(c, d, draft, side, 1, expr);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int pol_file_grant(struct compiler *c)
{
	const struct pol_digests *of = &c->of_file[c->owner];
	int rc = 0;
	c->n_touched = 0;
	for (uint32_t i = 0; i < of->n_allow && rc == 0; i++)
		rc = allow_grant(c, &c->digests[of->first + i]);
	for (uint32_t i = 0; i < of->n_deny && rc == 0; i++)
		rc = deny_grant(c, &c->digests[of->first + of->n_allow + i]);
	return rc;
}

void pol_grants_free(struct compiler *c)
{
	pol_index_free(&c->draft_index);
	pol_index_free(&c->expr_index);
	free(c->expr_keys);
	free(c->grants);
	free(c->drafts);
	free(c->touched);
}
