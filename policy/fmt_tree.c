/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the comments of a file belong. libyaml leaves them out of its events, but says where each value begins and ends; what
 * is a # outside of all values is a comment.
 *
 * A comment behind something belongs to what ends before it on its line. A comment on a line of its own belongs to what
 * follows; but where it is indented deeper than that, to the end of the list or mapping that it is indented as. */
#include "fmt_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <yaml.h>

#include "yaml.h"

struct maker {
	struct fmt_tree *t;
	struct fmt_node *open[POL_YAML_DEPTH_MAX];
	uint32_t depth;
	size_t at, at_char;      /* a byte of the text, and which character it is */
	size_t *lines;           /* where each line begins, and where the last ends */
	uint8_t *line_blank;
	uint32_t n_lines;
	struct fmt_node **nodes; /* in the order in which they begin */
	uint32_t n, cap;
};

void fmt_comments_add(struct fmt_comments *list, struct fmt_comment *c)
{
	c->next = NULL;
	if (list->last != NULL)
		list->last->next = c;
	else
		list->first = c;
	list->last = c;
}

/* The byte at which character `index` begins. Events come in order, so this goes over the text once. */
static size_t byte_of(struct maker *mk, size_t index)
{
	const char *p = mk->t->text;
	while (mk->at_char < index && mk->at < mk->t->len) {
		do
			mk->at++;
		while (mk->at < mk->t->len && ((unsigned char)p[mk->at] & 0xc0u) == 0x80u);
		mk->at_char++;
	}
	return mk->at;
}

static int is_blank(const char *text, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r' && text[i] != '\n')
			return 0;
	return 1;
}

/* Which line, from 0, the byte is in. */
static uint32_t line_of(const struct maker *mk, size_t at)
{
	uint32_t low = 0, high = mk->n_lines;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (mk->lines[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Is the line before the one that `at` is in empty? */
static uint8_t blank_before(const struct maker *mk, size_t at)
{
	uint32_t line = line_of(mk, at);
	return line > 0 && mk->line_blank[line - 1];
}

static int make_lines(struct maker *mk)
{
	const char *text = mk->t->text;
	uint32_t n = 1;
	for (size_t i = 0; i < mk->t->len; i++)
		n += text[i] == '\n';
	mk->lines = malloc((n + 1) * sizeof *mk->lines);
	mk->line_blank = malloc(n);
	if (mk->lines == NULL || mk->line_blank == NULL)
		return -ENOMEM;
	mk->lines[0] = 0;
	for (size_t i = 0; i < mk->t->len; i++)
		if (text[i] == '\n')
			mk->lines[++mk->n_lines] = i + 1;
	mk->lines[++mk->n_lines] = mk->t->len;
	for (uint32_t i = 0; i < n; i++)
		mk->line_blank[i] = is_blank(text, mk->lines[i], mk->lines[i + 1]) != 0;
	return 0;
}

static int attach(struct maker *mk, struct fmt_node *node)
{
	struct fmt_node **more = pol_array_room(mk->nodes, mk->n, &mk->cap, sizeof *mk->nodes);
	if (more == NULL)
		return -ENOMEM;
	mk->nodes = more;
	mk->nodes[mk->n++] = node;
	if (mk->depth == 0) {
		mk->t->root = node;
		return 0;
	}
	struct fmt_node *in = mk->open[mk->depth - 1];
	node->in_flow = in->is_flow || in->in_flow;
	if (in->kind == POL_NODE_MAP && in->last != NULL && in->last->value == NULL) {
		in->last->value = node;
		node->parent = in->last;
		return 0;
	}
	node->parent = in;
	node->is_key = in->kind == POL_NODE_MAP;
	if (in->last != NULL)
		in->last->next = node;
	else
		in->first = node;
	in->last = node;
	in->n++;
	return 0;
}

static int add(struct maker *mk, const yaml_event_t *e, enum pol_node_kind kind)
{
	struct fmt_node *node = pol_arena_take(&mk->t->arena, sizeof *node);
	if (node == NULL)
		return -ENOMEM;
	node->kind = kind;
	node->column = (uint32_t)e->start_mark.column + 1;
	node->begin = byte_of(mk, e->start_mark.index);
	node->blank = blank_before(mk, node->begin);
	if (kind == POL_NODE_VALUE) {
		node->end = byte_of(mk, e->end_mark.index);
		node->text = mk->t->text + node->begin;
		node->len = (uint32_t)(node->end - node->begin);
		node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
		if (!node->quoted && node->len == 1 && node->text[0] == '-') { /* at a line's end it would begin a list */
			node->text = "'-'";
			node->len = 3;
			node->quoted = 1;
		}
	} else {
		node->is_flow = kind == POL_NODE_LIST ? e->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
						      : e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
	}
	int rc = attach(mk, node);
	if (rc < 0 || kind == POL_NODE_VALUE)
		return rc;
	if (mk->depth == POL_YAML_DEPTH_MAX)
		return -EINVAL;
	mk->open[mk->depth++] = node;
	return 0;
}

/* 1: the stream ended; 0: go on; -errno. */
static int take(struct maker *mk, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return add(mk, e, POL_NODE_VALUE);
	case YAML_SEQUENCE_START_EVENT:
		return add(mk, e, POL_NODE_LIST);
	case YAML_MAPPING_START_EVENT:
		return add(mk, e, POL_NODE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		mk->depth--;
		if (mk->open[mk->depth]->is_flow)
			mk->open[mk->depth]->end = byte_of(mk, e->end_mark.index);
		return 0;
	case YAML_STREAM_END_EVENT:
		return 1;
	default:
		return 0;
	}
}

static int make_nodes(struct maker *mk)
{
	yaml_parser_t parser;
	int rc = 0;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)mk->t->text, mk->t->len);
	/* Ends: each event uses up some of the text. */
	while (rc == 0) {
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			rc = parser.error == YAML_MEMORY_ERROR ? -ENOMEM : -EINVAL;
			break;
		}
		rc = take(mk, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return rc < 0 ? rc : mk->t->root != NULL ? 0 : -EINVAL;
}

/* --- comments ----------------------------------------------------------------------------------------------------------- */

struct placer {
	struct maker *mk;
	uint32_t next;         /* the first node that begins after the comment */
	struct fmt_node *ended; /* what ended last before it */
	uint32_t run;          /* `next` of the comment before; */
	struct fmt_node *low;  /* what is at the end of which it went, */
	int led;               /* or: it went to what follows */
};

static struct fmt_node *container(struct fmt_node *n)
{
	struct fmt_node *p = n->parent;
	return p != NULL && p->is_key ? p->parent : p;
}

/* Where lines before n go: a value's to its key, those of a list or mapping in lines to what comes first in it. */
static struct fmt_node *led_by(struct fmt_node *n)
{
	while (n->kind != POL_NODE_VALUE && !n->is_flow && n->first != NULL && (n->parent == NULL || n->parent->is_key))
		n = n->first;
	return n->parent != NULL && n->parent->is_key ? n->parent : n;
}

/* The column from which on a comment may belong to the end of n; 0: never. */
static uint32_t tail_column(const struct fmt_node *n)
{
	if (n->kind != POL_NODE_VALUE)
		return n->is_flow ? 0 : n->column;
	return n->len == 0 && n->parent != NULL && n->parent->is_key ? n->parent->column + 1 : 0;
}

/* In lines: the innermost list or mapping that ends here, is indented deeper than what follows, and not deeper than c. */
static struct fmt_node *tail_in_lines(const struct fmt_comment *c, struct fmt_node *from, struct fmt_node *next)
{
	struct fmt_node *stop = next != NULL ? container(next) : NULL;
	uint32_t least = stop != NULL ? stop->column : 0;
	for (struct fmt_node *n = from; n != NULL && n != stop; n = n->parent) {
		uint32_t column = tail_column(n);
		if (!n->is_key && column > least && c->column >= column)
			return n;
	}
	return NULL;
}

static void place_line(struct placer *p, struct fmt_comment *c, size_t at)
{
	struct maker *mk = p->mk;
	struct fmt_node *next = p->next < mk->n ? mk->nodes[p->next] : NULL;
	struct fmt_node *before = p->next > 0 ? mk->nodes[p->next - 1] : NULL;
	struct fmt_node *flow = before;
	if (p->run != p->next) {
		p->run = p->next;
		p->low = before;
		p->led = 0;
	}
	while (flow != NULL && !(flow->is_flow && flow->begin < at && flow->end > at))
		flow = flow->parent;
	if (flow != NULL) {
		fmt_comments_add(next != NULL && next->begin < flow->end ? &led_by(next)->lead : &flow->tail, c);
		return;
	}
	/* A comment does not overtake the one before it: not further in than that went. */
	struct fmt_node *tail = p->led ? NULL : tail_in_lines(c, p->low, next);
	if (tail == NULL && next == NULL)
		tail = mk->t->root;
	if (tail != NULL) {
		p->low = tail;
		fmt_comments_add(&tail->tail, c);
	} else {
		p->led = 1;
		fmt_comments_add(&led_by(next)->lead, c);
	}
}

static int place(struct placer *p, size_t at, size_t end)
{
	const char *text = p->mk->t->text;
	struct fmt_comment *c = pol_arena_take(&p->mk->t->arena, sizeof *c);
	size_t begin = p->mk->lines[line_of(p->mk, at)];
	if (c == NULL)
		return -ENOMEM;
	while (end > at && (text[end - 1] == ' ' || text[end - 1] == '\t' || text[end - 1] == '\r'))
		end--;
	c->text = text + at;
	c->len = (uint32_t)(end - at);
	c->column = 1;
	for (size_t i = begin; i < at; i++)
		c->column += ((unsigned char)text[i] & 0xc0u) != 0x80u;
	c->blank = blank_before(p->mk, at);
	if (p->ended != NULL && p->ended->end >= begin && p->ended->end <= at && !is_blank(text, begin, at) &&
	    p->ended->eol == NULL)
		p->ended->eol = c;
	else
		place_line(p, c, at);
	return 0;
}

/* Goes over the text, from one value to the next, and looks for # between them. */
static int place_all(struct maker *mk)
{
	const char *text = mk->t->text;
	struct placer p = {.mk = mk, .run = UINT32_MAX};
	struct fmt_node *flow[POL_YAML_DEPTH_MAX]; /* those open in brackets and braces */
	uint32_t n_flow = 0;
	for (size_t i = 0; i < mk->t->len;) {
		while (n_flow > 0 && flow[n_flow - 1]->end <= i)
			p.ended = flow[--n_flow];
		struct fmt_node *node = p.next < mk->n ? mk->nodes[p.next] : NULL;
		if (node != NULL && node->begin <= i) {
			p.next++;
			if (node->is_flow)
				flow[n_flow++] = node;
			if (node->kind == POL_NODE_VALUE) {
				p.ended = node;
				i = node->end > i ? node->end : i;
			}
			continue;
		}
		if (text[i] != '#') {
			i++;
			continue;
		}
		size_t end = i;
		while (end < mk->t->len && text[end] != '\n')
			end++;
		int rc = place(&p, i, end);
		if (rc < 0)
			return rc;
		i = end;
	}
	return 0;
}

/* What stands at the beginning of the file and is apart from the first key stays there, wherever that key goes. */
static void split_head(struct fmt_tree *t)
{
	struct fmt_node *first = t->root->first;
	struct fmt_comments all, *rest;
	if (first == NULL)
		return;
	all = first->lead;
	rest = &first->lead;
	*rest = (struct fmt_comments){NULL, NULL};
	for (struct fmt_comment *c = all.first, *next; c != NULL; c = next) {
		next = c->next;
		int apart = first->blank;
		for (struct fmt_comment *o = next; o != NULL && !apart; o = o->next)
			apart = o->blank;
		fmt_comments_add(apart ? &t->head : rest, c);
	}
}

/* What comes first in a list or mapping has no empty line before it. */
static void unblank(struct maker *mk)
{
	for (uint32_t i = 0; i < mk->n; i++)
		if (mk->nodes[i]->first != NULL)
			mk->nodes[i]->first->blank = 0;
}

int fmt_tree_make(struct fmt_tree *t, const char *text, size_t len)
{
	struct maker mk = {.t = t};
	*t = (struct fmt_tree){.text = text, .len = len};
	int rc = make_lines(&mk);
	if (rc == 0)
		rc = make_nodes(&mk);
	if (rc == 0)
		rc = place_all(&mk);
	if (rc == 0) {
		split_head(t);
		unblank(&mk);
	}
	free(mk.nodes);
	free(mk.lines);
	free(mk.line_blank);
	return rc;
}

void fmt_tree_free(struct fmt_tree *t)
{
	pol_arena_free(&t->arena);
	t->root = NULL;
}
