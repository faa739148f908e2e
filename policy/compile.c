/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiles policies: the shared file, each unikernel's file, then all of them together. What each step does is in the file
 * that compile.h names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"

static int room_make(struct compiler *c)
{
	struct pol_set *set = c->set;
	size_t n = (size_t)c->source->n + 1;
	set->selves = calloc(n, sizeof *set->selves);
	c->of_file = calloc(n, sizeof *c->of_file);
	c->ports = calloc(n, sizeof *c->ports);
	c->port_stamp = calloc(n, sizeof *c->port_stamp);
	c->subject_stamp = calloc((size_t)set->n_subjects + 1, sizeof *c->subject_stamp);
	if (set->selves == NULL || c->of_file == NULL || c->ports == NULL || c->port_stamp == NULL ||
	    c->subject_stamp == NULL || pol_contents_start(&c->contents, set) < 0)
		return pol_err_memory(c->err, "");
	return 0;
}

static int common_read(struct compiler *c)
{
	const struct pol_source *s = c->source;
	if (s->common_path == NULL)
		return 0;
	c->set->common_file = pol_arena_text(&c->set->texts, s->common_path, strlen(s->common_path));
	if (c->set->common_file == NULL)
		return pol_err_memory(c->err, s->common_path);
	int rc = pol_common_parse(&c->common, c->set->common_file, &s->common, c->err);
	if (rc == 0)
		rc = pol_groups_read(c);
	return rc == 0 ? pol_profiles_read(c, c->common.profiles, c->set->common_file, 0) : rc;
}

/* Runs step for each file. With someone to tell, each file's first error is told and the next file is looked at. */
static int each_file(struct compiler *c, int (*step)(struct compiler *c))
{
	struct pol_err first = {.file = ""};
	int rc = 0;
	for (c->owner = 0; c->owner < c->source->n; c->owner++) {
		int r = step(c);
		if (r == 0)
			continue;
		if (rc == 0 && c->err != NULL)
			first = *c->err;
		rc = rc == 0 ? r : rc;
		if (c->ask->note == NULL || r == -ENOMEM || c->err == NULL)
			break;
		c->ask->note(c->ask->arg, POL_NOTE_ERROR, c->err);
		if (c->n_granted > POL_GRANTS_MAX) /* a limit that all files share is told once */
			break;
	}
	if (rc < 0 && c->err != NULL)
		*c->err = first;
	return rc;
}

static int told(struct compiler *c, int rc)
{
	if (rc < 0 && rc != -ENOMEM && c->ask->note != NULL && c->err != NULL)
		c->ask->note(c->ask->arg, POL_NOTE_ERROR, c->err);
	return rc;
}

/* Ports under mode: observe, ascending. */
static int observing_list(struct pol_set *set)
{
	set->observing = calloc((size_t)set->n_unikernels + 1, sizeof *set->observing);
	if (set->observing == NULL)
		return -ENOMEM;
	for (uint32_t p = 1; p <= set->n_unikernels; p++)
		if (set->selves[p].observe)
			set->observing[set->n_observing++] = (uint16_t)p;
	return 0;
}

static int compile(struct compiler *c)
{
	int rc = pol_subjects_build(c->set, c->set->schemas, c->err);
	if (rc == 0)
		rc = room_make(c);
	if (rc == 0)
		rc = told(c, pol_names_index(c));
	if (rc == 0)
		rc = told(c, common_read(c));
	if (rc == 0)
		rc = each_file(c, pol_file_digest);
	if (rc == 0)
		rc = told(c, pol_peers_settle(c));
	if (rc == 0)
		rc = each_file(c, pol_file_grant);
	if (rc < 0)
		return rc;
	rc = pol_drafts_join(c);
	if (rc < 0)
		return rc;
	pol_contents_build(&c->contents, c->set);
	return observing_list(c->set) < 0 ? pol_err_memory(c->err, "") : 0;
}

int pol_compile(struct pol_set **out, const struct pol_source *source, const struct sch_set *schemas, uint64_t epoch,
		const struct pol_ask *ask, struct pol_err *err)
{
	static const struct pol_ask nothing;
	struct pol_err unwanted;
	struct compiler c = {
	    .err = err != NULL ? err : &unwanted, .source = source, .ask = ask != NULL ? ask : &nothing};
	*out = NULL;
	if (source->n > POL_UNIKERNELS_MAX)
		return pol_err_set(err, E2BIG, "", 0, 0, "more than %u unikernels", POL_UNIKERNELS_MAX);
	c.set = calloc(1, sizeof *c.set);
	if (c.set == NULL)
		return pol_err_memory(err, "");
	c.set->epoch = epoch;
	c.set->schemas = schemas;
	c.set->n_unikernels = source->n;
	int rc = compile(&c);
	pol_grants_free(&c);
	pol_common_free(&c.common);
	pol_index_free(&c.names);
	pol_index_free(&c.group_names);
	pol_index_free(&c.label_texts);
	pol_contents_free(&c.contents);
	free(c.labels);
	free(c.members);
	free(c.port_stamp);
	free(c.subject_stamp);
	free(c.ports);
	free(c.digests);
	free(c.of_file);
	free(c.terms);
	free(c.subjects);
	free(c.wheres);
	if (rc < 0) {
		pol_set_free(c.set);
		return rc;
	}
	*out = c.set;
	return 0;
}

void pol_set_free(struct pol_set *set)
{
	if (set == NULL)
		return;
	for (uint32_t i = 0; i < set->n_exprs; i++)
		sch_expr_free(set->exprs[i]);
	free(set->exprs);
	free(set->slots);
	free(set->choices);
	free(set->covers);
	free(set->choice_content);
	free(set->limits);
	free(set->selves);
	free(set->subjects);
	free(set->subject_slots);
	free(set->rules);
	free(set->terms);
	free(set->lists);
	free(set->wordings);
	free(set->contents);
	free(set->by_field);
	free(set->written_by_field);
	free(set->named);
	free(set->profiles);
	free(set->usable);
	free(set->pairs);
	free(set->observing);
	free(set->groups);
	free(set->assertions);
	pol_arena_free(&set->texts);
	free(set);
}
