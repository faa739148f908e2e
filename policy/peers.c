/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is meant: names, groups, labels, and the assertions about them. Labels are settled once all files are read, because
 * each file says its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"

#define GROUP_DEPTH_MAX 16u

static int index_text(const struct pol_index *ix, const char *text, size_t len, const char *(*name)(const void *, uint32_t),
		      const void *of, uint32_t *item, uint64_t *hash)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	uint32_t cursor = 0, i;
	*hash = h;
	while ((i = pol_index_next(ix, h, &cursor)) != POL_INDEX_NONE) {
		const char *n = name(of, i);
		if (strncmp(n, text, len) == 0 && n[len] == '\0') {
			*item = i;
			return 1;
		}
	}
	return 0;
}

static const char *unikernel_name(const void *of, uint32_t i)
{
	return ((const struct pol_source *)of)->u[i].name;
}

static const char *group_name(const void *of, uint32_t i)
{
	return ((const struct pol_set *)of)->groups[i].name;
}

static const char *label_name(const void *of, uint32_t i)
{
	return ((const struct compiler *)of)->labels[i].text;
}

int pol_names_index(struct compiler *c)
{
	char quoted[POL_QUOTE_MAX];
	for (uint32_t i = 0; i < c->source->n; i++) {
		const struct pol_unikernel *u = &c->source->u[i];
		uint32_t other;
		uint64_t h;
		if (strcmp(u->name, "any") == 0 || strcmp(u->name, POL_COMMON) == 0)
			return pol_err_set(c->err, EINVAL, u->policy_path, 0, 0,
					   "no unikernel can be called %s: policies mean something else by it; rename it",
					   pol_quote(quoted, u->name));
		if (index_text(&c->names, u->name, strlen(u->name), unikernel_name, c->source, &other, &h))
			return pol_err_set(c->err, EEXIST, u->policy_path, 0, 0, "two unikernels are called %s",
					   pol_quote(quoted, u->name));
		if (pol_index_add(&c->names, h, i) < 0)
			return pol_err_memory(c->err, "");
	}
	return 0;
}

int pol_groups_read(struct compiler *c)
{
	struct pol_set *set = c->set;
	const struct pol_node *groups = c->common.groups;
	if (groups == NULL || groups->kind != POL_NODE_MAP)
		return 0;
	set->groups = calloc((size_t)groups->n + 1, sizeof *set->groups);
	if (set->groups == NULL)
		return pol_err_memory(c->err, set->common_file);
	for (const struct pol_node *g = groups->first; g != NULL; g = g->next) {
		struct pol_group *out = &set->groups[set->n_groups];
		out->name = pol_arena_text(&set->texts, g->text, g->len);
		out->line = g->line;
		if (out->name == NULL || pol_index_add(&c->group_names, pol_hash_text(out->name), set->n_groups) < 0)
			return pol_err_memory(c->err, set->common_file);
		set->n_groups++;
	}
	return 0;
}

/* --- one peer as written --------------------------------------------------------------------------------------------- */

static int no_such(struct compiler *c, const struct pol_node *node, uint32_t owner, const char *path)
{
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];
	struct pol_near near = {.word = node->text};
	for (uint32_t k = 0; k < c->source->n; k++)
		if (k != owner)
			pol_near_try(&near, c->source->u[k].name);
	for (uint32_t k = 0; k < c->set->n_groups; k++)
		if (strcmp(c->set->groups[k].name, node->text) == 0)
			return pol_err_set(c->err, ENOENT, path, node->line, node->column,
					   "no unikernel is called %s, but a group is; write group:%s",
					   pol_quote(quoted, node->text), node->text);
	return pol_err_set(c->err, ENOENT, path, node->line, node->column, "no unikernel is called %s%s",
			   pol_quote(quoted, node->text), pol_near_or_known(&near, hint));
}

static int group_term(struct compiler *c, const struct pol_node *node, const char *path, uint32_t *group)
{
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];
	const char *name = node->text + 6;
	uint64_t h;
	if (index_text(&c->group_names, name, strlen(name), group_name, c->set, group, &h))
		return 0;
	struct pol_near near = {.word = name};
	for (uint32_t k = 0; k < c->set->n_groups; k++)
		pol_near_try(&near, c->set->groups[k].name);
	return pol_err_set(c->err, ENOENT, path, node->line, node->column, "there is no group %s in common.yaml%s",
			   pol_quote(quoted, name),
			   c->set->n_groups > 0 ? pol_near_or_known(&near, hint) : "; it has no groups");
}

static int label_term(struct compiler *c, const struct pol_node *node, const char *path, uint32_t *label)
{
	char quoted[POL_QUOTE_MAX];
	const char *text = node->text + 6, *eq = strchr(text, '=');
	uint64_t h;
	if (eq == NULL || eq == text || eq[1] == '\0')
		return pol_err_set(c->err, EINVAL, path, node->line, node->column,
				   "%s is no label; write label:KEY=VALUE, label:zone=plant", pol_quote(quoted, node->text));
	if (index_text(&c->label_texts, text, strlen(text), label_name, c, label, &h))
		return 0;
	struct pol_label_term *v = pol_array_room(c->labels, c->n_labels, &c->cap_labels, sizeof *v);
	if (v == NULL)
		return pol_err_memory(c->err, path);
	c->labels = v;
	const char *copy = pol_arena_text(&c->set->texts, text, strlen(text));
	if (copy == NULL || pol_index_add(&c->label_texts, h, c->n_labels) < 0)
		return pol_err_memory(c->err, path);
	v[c->n_labels] = (struct pol_label_term){
	    .text = copy, .len = (uint32_t)strlen(text), .line = node->line, .file = path};
	*label = c->n_labels++;
	return 0;
}

int pol_term_read(struct compiler *c, const struct pol_node *node, uint32_t owner, const char *path, struct pol_term *term)
{
	char quoted[POL_QUOTE_MAX];
	uint32_t value = 0, kind = POL_TERM_PORT;
	uint64_t h;
	int rc = 0;
	if (strcmp(node->text, "any") == 0) {
		kind = POL_TERM_ANY;
	} else if (strncmp(node->text, "group:", 6) == 0) {
		kind = POL_TERM_GROUP;
		rc = group_term(c, node, path, &value);
		if (rc == 0 && owner != UINT32_MAX)
			c->set->groups[value].used = 1;
	} else if (strncmp(node->text, "label:", 6) == 0) {
		kind = POL_TERM_LABEL;
		rc = label_term(c, node, path, &value);
	} else if (!index_text(&c->names, node->text, node->len, unikernel_name, c->source, &value, &h)) {
		rc = no_such(c, node, owner, path);
	} else if (value == owner) {
		rc = pol_err_set(c->err, EINVAL, path, node->line, node->column,
				 "%s is this unikernel itself; what it tells itself does not cross the fabric",
				 pol_quote(quoted, node->text));
	} else {
		value++; /* the port */
	}
	if (rc == 0)
		*term = (struct pol_term){kind << 30 | value, node->line};
	return rc;
}

/* Listed a thousand times, a group would cost a thousand times as much. */
int pol_term_once(struct compiler *c, const struct pol_node *node, const char *path, const struct pol_term *term)
{
	char quoted[POL_QUOTE_MAX];
	uint32_t kind = term->what >> 30, value = term->what & 0x3fffffffu;
	uint32_t *seen = kind == POL_TERM_PORT	  ? &c->port_stamp[value]
			 : kind == POL_TERM_GROUP ? &c->group_stamp[value]
			 : kind == POL_TERM_LABEL ? &c->labels[value].stamp
						  : &c->any_stamp;
	if (*seen == c->stamp)
		return pol_err_set(c->err, EEXIST, path, node->line, node->column, "%s is in the list twice",
				   pol_quote(quoted, node->text));
	*seen = c->stamp;
	return 0;
}

/* --- labels and groups ----------------------------------------------------------------------------------------------- */

static int no_label(struct compiler *c, const struct pol_label_term *l)
{
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX], text[2 * POL_NAME_MAX + 2];
	struct pol_near near = {.word = l->text};
	const char *keep = NULL;
	for (uint32_t p = 1; p <= c->set->n_unikernels; p++) {
		const struct sch_party *party = c->set->selves[p].party;
		for (uint32_t k = 0; party != NULL && k < party->n_labels; k++) {
			snprintf(text, sizeof text, "%s=%s", party->labels[k].key, party->labels[k].value);
			const char *best = near.best;
			pol_near_try(&near, text);
			if (near.best != best && near.best == text) { /* it points into text, which changes */
				keep = pol_arena_text(&c->set->texts, text, strlen(text));
				near.best = keep;
			}
			for (uint32_t s = 0; s < sizeof near.some / sizeof near.some[0]; s++)
				if (near.some[s] == text)
					near.some[s] = "";
		}
	}
	return pol_err_set(c->err, ENOENT, l->file, l->line, 0, "no unikernel has the label %s%s", pol_quote(quoted, l->text),
			   keep != NULL ? pol_near_hint(&near, hint) : "; labels stand in each unikernel's own file");
}

/* Two passes over all unikernels' labels: count, then fill. */
static int labels_settle(struct compiler *c)
{
	char text[2 * POL_NAME_MAX + 2];
	uint32_t total = 0, label;
	uint64_t h;
	if (c->n_labels == 0)
		return 0;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (uint32_t p = 1; p <= c->set->n_unikernels; p++) {
			const struct sch_party *party = c->set->selves[p].party;
			for (uint32_t k = 0; party != NULL && k < party->n_labels; k++) {
				int n = snprintf(text, sizeof text, "%s=%s", party->labels[k].key, party->labels[k].value);
				if (n <= 0 || !index_text(&c->label_texts, text, (size_t)n, label_name, c, &label, &h))
					continue;
				struct pol_ports *ports = &c->labels[label].ports;
				if (pass == 1)
					c->members[ports->first + ports->n] = (uint16_t)p;
				ports->n++;
			}
		}
		for (uint32_t i = 0; i < c->n_labels && pass == 0; i++) {
			if (c->labels[i].ports.n == 0)
				return no_label(c, &c->labels[i]);
			c->labels[i].ports.first = total;
			total += c->labels[i].ports.n;
			c->labels[i].ports.n = 0;
		}
		if (pass == 0 && (c->members = calloc((size_t)total + 1, sizeof *c->members)) == NULL)
			return pol_err_memory(c->err, "");
	}
	return 0;
}

/* A group on its way to ports. */
struct group {
	const struct pol_node *node;
	enum { GROUP_UNSEEN, GROUP_OPEN, GROUP_SETTLED } state;
	uint32_t height; /* groups below it */
};

static int group_too_deep(struct compiler *c, const struct group *g)
{
	return pol_err_set(c->err, ELOOP, c->set->common_file, g->node->line, g->node->column,
			   "the group \"%s\" holds itself, or groups are more than %u deep within each other", g->node->text,
			   GROUP_DEPTH_MAX);
}

/* The ports of what a group lists, whose own groups are settled. */
static int group_ports(struct compiler *c, const struct group *groups, uint32_t at)
{
	struct pol_set *set = c->set;
	struct pol_group *out = &set->groups[at];
	uint32_t n = 0;
	c->stamp++;
	for (const struct pol_node *m = pol_node_each(groups[at].node->value); m != NULL; m = m->next) {
		struct pol_term t = {0, 0};
		int rc = pol_term_read(c, m, UINT32_MAX, set->common_file, &t);
		if (rc < 0)
			return rc;
		uint32_t kind = t.what >> 30, value = t.what & 0x3fffffffu;
		const uint16_t own = (uint16_t)value, *ports = &own;
		uint32_t k = 1;
		if (kind == POL_TERM_GROUP) {
			ports = set->groups[value].ports;
			k = set->groups[value].n;
		} else if (kind == POL_TERM_LABEL) {
			ports = &c->members[c->labels[value].ports.first];
			k = c->labels[value].ports.n;
		}
		for (uint32_t i = 0; i < k; i++) {
			n += c->port_stamp[ports[i]] != c->stamp;
			c->port_stamp[ports[i]] = c->stamp;
		}
	}
	uint16_t *ports = pol_arena_take(&set->texts, (n + 1) * sizeof *ports);
	if (ports == NULL)
		return pol_err_memory(c->err, set->common_file);
	out->ports = ports;
	for (uint32_t p = 1; p <= set->n_unikernels; p++)
		if (c->port_stamp[p] == c->stamp)
			ports[out->n++] = (uint16_t)p;
	return 0;
}

/* Each group once, after those that it lists: their number of ways to each other may grow with the power of their depth. Recursion
 * is bounded by GROUP_DEPTH_MAX. */
static int group_settle(struct compiler *c, struct group *groups, uint32_t at, uint32_t depth)
{
	struct group *g = &groups[at];
	if (g->state == GROUP_SETTLED)
		return 0;
	if (g->state == GROUP_OPEN || depth > GROUP_DEPTH_MAX)
		return group_too_deep(c, g);
	g->state = GROUP_OPEN;
	for (const struct pol_node *m = pol_node_each(g->node->value); m != NULL; m = m->next) {
		struct pol_term t = {0, 0};
		int rc = pol_term_read(c, m, UINT32_MAX, c->set->common_file, &t);
		uint32_t value = t.what & 0x3fffffffu;
		if (rc == 0 && t.what >> 30 == POL_TERM_GROUP) {
			c->set->groups[value].used = 1;
			rc = group_settle(c, groups, value, depth + 1);
			if (rc == 0 && groups[value].height >= g->height)
				g->height = groups[value].height + 1;
		}
		if (rc < 0)
			return rc;
	}
	if (g->height > GROUP_DEPTH_MAX)
		return group_too_deep(c, g);
	g->state = GROUP_SETTLED;
	return group_ports(c, groups, at);
}

static int groups_settle(struct compiler *c)
{
	struct group *groups = calloc(c->set->n_groups, sizeof *groups);
	const struct pol_node *node = c->common.groups->first;
	int rc = groups == NULL ? pol_err_memory(c->err, c->set->common_file) : 0;
	for (uint32_t i = 0; rc == 0 && i < c->set->n_groups; i++, node = node->next)
		groups[i].node = node;
	for (uint32_t i = 0; rc == 0 && i < c->set->n_groups; i++)
		rc = group_settle(c, groups, i, 0);
	free(groups);
	return rc;
}

/* Labels that only groups name must be known before labels are settled. */
static int groups_name_labels(struct compiler *c)
{
	const struct pol_node *groups = c->common.groups;
	for (const struct pol_node *g = groups != NULL && groups->kind == POL_NODE_MAP ? groups->first : NULL; g != NULL;
	     g = g->next) {
		c->stamp++;
		for (const struct pol_node *m = pol_node_each(g->value); m != NULL; m = m->next) {
			struct pol_term t;
			int rc = pol_term_read(c, m, UINT32_MAX, c->set->common_file, &t);
			if (rc == 0 && t.what >> 30 == POL_TERM_ANY)
				rc = pol_err_set(c->err, EINVAL, c->set->common_file, m->line, m->column,
						 "\"any\" is no member of a group; write \"any\" where the group would stand");
			if (rc == 0)
				rc = pol_term_once(c, m, c->set->common_file, &t);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

int pol_peers_settle(struct compiler *c)
{
	int rc = groups_name_labels(c);
	if (rc == 0)
		rc = pol_assertions_read(c);
	if (rc == 0)
		rc = labels_settle(c);
	if (rc == 0 && c->set->n_groups > 0)
		rc = groups_settle(c);
	if (rc == 0)
		rc = pol_assertions_settle(c);
	return rc;
}

static void port_take(struct compiler *c, uint32_t port, uint32_t owner)
{
	if (port == owner + 1u || c->port_stamp[port] == c->stamp)
		return;
	c->port_stamp[port] = c->stamp;
	c->ports[c->n_ports++] = (uint16_t)port;
}

void pol_ports_expand(struct compiler *c, const struct pol_term *terms, uint32_t n, uint32_t owner)
{
	c->stamp++;
	c->n_ports = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t kind = terms[i].what >> 30, value = terms[i].what & 0x3fffffffu;
		const struct pol_group *g = kind == POL_TERM_GROUP ? &c->set->groups[value] : NULL;
		switch (kind) {
		case POL_TERM_PORT:
			port_take(c, value, owner);
			break;
		case POL_TERM_GROUP:
			for (uint32_t k = 0; k < g->n; k++)
				port_take(c, g->ports[k], owner);
			break;
		case POL_TERM_LABEL:
			for (uint32_t k = 0; k < c->labels[value].ports.n; k++)
				port_take(c, c->members[c->labels[value].ports.first + k], owner);
			break;
		default:
			for (uint32_t p = 1; p <= c->set->n_unikernels; p++)
				port_take(c, p, owner);
		}
	}
}
