/* SPDX-License-Identifier: BSD-2-Clause */
/* The assertions of the shared file, "camera reaches valve", from text to ports. What they are held against is reach.c's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"

#define WORDS_MAX 7u

/* Splits at single spaces. Returns how many, WORDS_MAX + 1 where there are more. */
static uint32_t words(char *text, char *word[WORDS_MAX])
{
	uint32_t n = 0;
	char *save = NULL;
	for (char *w = strtok_r(text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		if (n == WORDS_MAX)
			return WORDS_MAX + 1;
		word[n++] = w;
	}
	return n;
}

static int bad(struct compiler *c, const struct pol_node *value)
{
	char quoted[POL_QUOTE_MAX];
	return pol_err_set(c->err, EINVAL, c->set->common_file, value->line, value->column,
			   "%s is no assertion; write \"camera reaches valve\" or \"meter talks to hub\", and perhaps \"with "
			   "demo.Reading\" behind it",
			   pol_quote(quoted, value->text));
}

static int subject_read(struct compiler *c, const struct pol_node *value, const char *name, uint64_t *hash)
{
	struct pol_node node = *value;
	uint32_t subject = 0;
	node.text = name;
	node.len = (uint32_t)strlen(name);
	int rc = pol_subject_resolve(c, c->set->common_file, &node, strchr(name, '/') != NULL, &subject);
	if (rc == 0)
		*hash = c->set->subjects[subject].hash;
	return rc;
}

static int party_read(struct compiler *c, const struct pol_node *value, const char *name, struct pol_term *term)
{
	struct pol_node node = *value;
	node.text = name;
	node.len = (uint32_t)strlen(name);
	int rc = pol_term_read(c, &node, UINT32_MAX, c->set->common_file, term);
	/* A group that only an assertion is about is used all the same. */
	if (rc == 0 && term->what >> 30 == POL_TERM_GROUP)
		c->set->groups[term->what & 0x3fffffffu].used = 1;
	return rc;
}

/* The terms are kept in the compiler until labels and groups are known: two for each assertion. */
static int assertion_read(struct compiler *c, const struct pol_node *a)
{
	struct pol_assertion *out = &c->set->assertions[c->set->n_assertions];
	const struct pol_node *value = a->first->value;
	char text[512], *word[WORDS_MAX];
	if (value->len >= sizeof text)
		return bad(c, value);
	memcpy(text, value->text, value->len + 1u);
	uint32_t n = words(text, word), verb = 0;
	if (n >= 3 && n <= WORDS_MAX && strcmp(word[1], "reaches") == 0)
		verb = 1;
	else if (n >= 4 && n <= WORDS_MAX && strcmp(word[1], "talks") == 0 && strcmp(word[2], "to") == 0)
		verb = 2;
	if (verb == 0 || (n != 2 + verb && (n != 4 + verb || strcmp(word[2 + verb], "with") != 0)))
		return bad(c, value);
	*out = (struct pol_assertion){.line = value->line, .directly = verb == 2};
	out->never = strcmp(a->first->text, "never") == 0;
	out->text = pol_arena_text(&c->set->texts, value->text, value->len);
	struct pol_term *v = c->terms;
	for (uint32_t i = 0; i < 2 && v != NULL; i++) {
		v = pol_array_room(c->terms, c->n_terms, &c->cap_terms, sizeof *v);
		if (v != NULL) {
			c->terms = v;
			int rc = party_read(c, value, word[i == 0 ? 0 : 1 + verb], &v[c->n_terms]);
			if (rc < 0)
				return rc;
			c->n_terms++;
		}
	}
	if (v == NULL || out->text == NULL)
		return pol_err_memory(c->err, c->set->common_file);
	c->set->n_assertions++;
	return n == 4 + verb ? subject_read(c, value, word[3 + verb], &out->subject) : 0;
}

int pol_assertions_read(struct compiler *c)
{
	const struct pol_node *list = c->common.assertions;
	if (list == NULL || list->kind != POL_NODE_LIST)
		return 0;
	c->set->assertions = calloc((size_t)list->n + 1, sizeof *c->set->assertions);
	struct pol_term *v = pol_array_room(c->terms, c->n_terms, &c->cap_terms, sizeof *v);
	if (c->set->assertions == NULL || v == NULL)
		return pol_err_memory(c->err, c->set->common_file);
	c->terms = v;
	c->assertion_terms = c->n_terms;
	for (const struct pol_node *a = list->first; a != NULL; a = a->next) {
		int rc = assertion_read(c, a);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int pol_assertions_settle(struct compiler *c)
{
	for (uint32_t i = 0; i < c->set->n_assertions; i++)
		for (uint32_t k = 0; k < 2; k++) {
			struct pol_assertion *a = &c->set->assertions[i];
			pol_ports_expand(c, &c->terms[c->assertion_terms + 2 * i + k], 1, UINT32_MAX - 1);
			uint16_t *ports = pol_arena_take(&c->set->texts, (c->n_ports + 1) * sizeof *ports);
			if (ports == NULL)
				return pol_err_memory(c->err, c->set->common_file);
			memcpy(ports, c->ports, c->n_ports * sizeof *ports);
			*(k == 0 ? &a->from : &a->to) = ports;
			*(k == 0 ? &a->n_from : &a->n_to) = c->n_ports;
		}
	return 0;
}
