/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a file's nodes in the canonical layout: first as lines, each with the comment at its end, then as text, with those
 * comments below each other. What belongs where was decided in fmt_tree.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fmt_tree.h"
#include "yaml.h"

#define WIDTH_MAX	 100u /* of a line with a list on it */
#define EOL_COLUMN_MAX	 60u  /* lines longer than this do not move the comments of their neighbours */
#define INDENT		 2u

struct line {
	uint32_t indent;
	uint8_t blank;	 /* an empty line before it */
	uint8_t dash;	 /* "- " before the text */
	char *text;	 /* in the arena */
	size_t len;
	const struct fmt_comment *eol;
};

struct emitter {
	struct pol_arena *arena;
	struct line *lines;
	uint32_t n, cap;
	int nomem;
};

/* Whether an empty line stands before what is written next. */
enum gap { GAP_AS_IS, GAP_NONE, GAP_ONE };

static uint8_t gap_take(enum gap gap, uint8_t blank)
{
	return gap == GAP_ONE || (gap == GAP_AS_IS && blank);
}

static void put(struct emitter *e, struct line line)
{
	struct line *more = pol_array_room(e->lines, e->n, &e->cap, sizeof *e->lines);
	if (more == NULL || (line.text == NULL && line.len > 0)) {
		e->nomem = 1;
		e->lines = more != NULL ? more : e->lines;
		return;
	}
	e->lines = more;
	e->lines[e->n++] = line;
}

/* "key: value" and the like, of up to three pieces. */
static char *join(struct emitter *e, size_t *len, const struct fmt_node *key, const char *between, const char *text,
		  size_t text_len)
{
	size_t key_len = key != NULL ? key->len : 0, between_len = strlen(between);
	*len = key_len + between_len + text_len;
	char *out = pol_arena_take(e->arena, *len + 1);
	if (out == NULL) {
		e->nomem = 1;
		*len = 0;
		return NULL;
	}
	if (key_len > 0)
		memcpy(out, key->text, key_len);
	memcpy(out + key_len, between, between_len);
	if (text_len > 0)
		memcpy(out + key_len + between_len, text, text_len);
	return out;
}

/* Each comment on a line of its own; *gap becomes that of the line after them. */
static void put_comments(struct emitter *e, uint32_t indent, const struct fmt_comments *list, enum gap *gap)
{
	for (const struct fmt_comment *c = list->first; c != NULL; c = c->next) {
		struct line line = {.indent = indent, .blank = gap_take(*gap, c->blank), .len = c->len};
		line.text = join(e, &line.len, NULL, "", c->text, c->len);
		put(e, line);
		*gap = GAP_AS_IS;
	}
}

/* The comment of a place that has another one already: on a line before it. */
static void put_hoisted(struct emitter *e, uint32_t indent, const struct fmt_comment *c, enum gap *gap)
{
	if (c == NULL)
		return;
	struct line line = {.indent = indent, .blank = gap_take(*gap, 0)};
	line.text = join(e, &line.len, NULL, "", c->text, c->len);
	put(e, line);
	*gap = GAP_AS_IS;
}

/* --- what fits on one line ------------------------------------------------------------------------------------------------ */

static size_t width(const char *text, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xc0u) != 0x80u;
	return n;
}

/* May it stand between brackets as it is spelt? */
static int flow_safe(const struct fmt_node *n)
{
	if (n->kind != POL_NODE_VALUE || n->len == 0)
		return 0;
	if (n->quoted || n->in_flow)
		return 1;
	for (uint32_t i = 0; i < n->len; i++) {
		char c = n->text[i];
		int word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
		int inside = c == '.' || c == '/' || c == '=' || c == '-' ||
			     (c == ':' && i + 1 < n->len && n->text[i + 1] != ' ');
		if (!word && (i == 0 || !inside))
			return 0;
	}
	return 1;
}

static int bare(const struct fmt_node *n)
{
	return n->lead.first == NULL && n->tail.first == NULL && n->eol == NULL;
}

/* The list or mapping of values on one line, or NULL: it does not fit, or has comments inside. */
static char *on_one_line(struct emitter *e, const struct fmt_node *n, size_t room, size_t *len)
{
	int is_map = n->kind == POL_NODE_MAP;
	size_t bytes = 2, chars = 2;
	for (const struct fmt_node *p = n->first; p != NULL; p = p->next) {
		if (!bare(p) || !flow_safe(p) || (is_map && (!bare(p->value) || !flow_safe(p->value))))
			return NULL;
		bytes += p->len + 2 + (is_map ? p->value->len + 2 : 0);
		chars += width(p->text, p->len) + (p->next != NULL ? 2 : 0);
		chars += is_map ? width(p->value->text, p->value->len) + 2 : 0;
		if (chars > room)
			return NULL;
	}
	if (n->first != NULL && n->tail.first != NULL)
		return NULL;
	char *out = pol_arena_take(e->arena, bytes + 1);
	if (out == NULL) {
		e->nomem = 1;
		return NULL;
	}
	size_t o = 0;
	out[o++] = is_map ? '{' : '[';
	for (const struct fmt_node *p = n->first; p != NULL; p = p->next) {
		memcpy(out + o, p->text, p->len);
		o += p->len;
		if (is_map) {
			memcpy(out + o, ": ", 2);
			memcpy(out + o + 2, p->value->text, p->value->len);
			o += 2 + p->value->len;
		}
		if (p->next != NULL) {
			memcpy(out + o, ", ", 2);
			o += 2;
		}
	}
	out[o++] = is_map ? '}' : ']';
	*len = o;
	return out;
}

/* --- nodes ---------------------------------------------------------------------------------------------------------------- */

/* What is inside a key's value: a mapping or a list of mappings, by this table; or, by_name, a mapping of names to such. */
struct inside {
	const struct pol_mapping *m; /* NULL: nothing that has an order */
	int by_name;
};

static void emit_map(struct emitter *e, const struct fmt_node *map, const struct inside *of, uint32_t indent, int dash,
		     enum gap gap);

static uint32_t rank(const struct pol_mapping *m, const struct fmt_node *key)
{
	struct fmt_node k = *key;
	if (k.quoted && k.len >= 2) {
		k.text++;
		k.len -= 2;
	}
	for (uint32_t i = 0; i < m->n; i++)
		if (strlen(m->keys[i].key.name) == k.len && memcmp(m->keys[i].key.name, k.text, k.len) == 0)
			return i;
	return m->n; /* spelt with escapes: last */
}

/* What is below a key: items or members, each on lines of their own. */
static void emit_below(struct emitter *e, const struct fmt_node *v, const struct inside *inside, uint32_t indent)
{
	enum gap gap = GAP_NONE;
	if (v->kind == POL_NODE_MAP) {
		emit_map(e, v, inside, indent, 0, GAP_NONE);
		return;
	}
	for (const struct fmt_node *p = v->first; p != NULL; p = p->next) {
		struct line line = {.indent = indent, .dash = 1};
		put_comments(e, indent, &p->lead, &gap);
		if (p->kind == POL_NODE_MAP) {
			put_hoisted(e, indent, p->eol, &gap);
			emit_map(e, p, inside, indent, 1, gap_take(gap, p->blank) ? GAP_ONE : GAP_NONE);
		} else {
			line.blank = gap_take(gap, p->blank);
			line.text = join(e, &line.len, NULL, "", p->text, p->len);
			line.eol = p->eol;
			put(e, line);
		}
		gap = GAP_AS_IS;
	}
	put_comments(e, indent, &v->tail, &gap);
}

/* One key with its value. dash: it is the first of an item. */
static void emit_member(struct emitter *e, const struct fmt_node *key, const struct inside *inside, uint32_t indent,
			int dash, int is_root, int is_first, enum gap gap)
{
	const struct fmt_node *v = key->value;
	uint32_t at = dash ? indent - INDENT : indent; /* comments stand before the dash */
	struct line line = {.indent = at, .dash = dash != 0};
	size_t len = v->len;
	const char *text = v->text;
	int below = 0;
	if (v->kind != POL_NODE_VALUE) {
		size_t used = indent + width(key->text, key->len) + 2;
		text = on_one_line(e, v, used < WIDTH_MAX ? WIDTH_MAX - used : 0, &len);
		below = text == NULL;
	}
	if ((below || v->tail.first != NULL) && is_root && gap == GAP_AS_IS)
		gap = GAP_ONE;
	put_comments(e, at, &key->lead, &gap);
	put_comments(e, at, &v->lead, &gap);
	if (v->kind != POL_NODE_VALUE && !below)
		put_comments(e, at, &v->tail, &gap);
	/* One comment fits at the end of the line: of a list below, the key's. */
	const struct fmt_comment *eol = below ? key->eol : v->eol, *other = below ? v->eol : key->eol;
	if (eol == NULL) {
		eol = other;
		other = NULL;
	}
	put_hoisted(e, at, other, &gap);
	/* What comes first has no empty line before it when it is read again; here it may have been another that came first. */
	line.blank = gap_take(gap, is_first && !is_root ? 0 : key->blank);
	line.eol = eol;
	if (below)
		line.text = join(e, &line.len, key, ":", NULL, 0);
	else
		line.text = join(e, &line.len, key, len > 0 ? ": " : ":", text, len);
	put(e, line);
	gap = GAP_NONE;
	if (below)
		emit_below(e, v, inside, indent + INDENT);
	else if (v->kind == POL_NODE_VALUE)
		put_comments(e, indent + INDENT, &v->tail, &gap);
}

static void emit_map(struct emitter *e, const struct fmt_node *map, const struct inside *of, uint32_t indent, int dash,
		     enum gap gap)
{
	const struct pol_mapping *m = of->by_name ? NULL : of->m; /* NULL: keys that have no order of their own */
	const struct fmt_node *keys[POL_YAML_KEYS_MAX];
	uint32_t inner = dash ? indent + INDENT : indent, n = 0;
	for (const struct fmt_node *k = map->first; k != NULL && n < POL_YAML_KEYS_MAX; k = k->next) {
		uint32_t i = n++;
		for (; m != NULL && i > 0 && rank(m, keys[i - 1]) > rank(m, k); i--)
			keys[i] = keys[i - 1];
		keys[i] = k;
	}
	if (n == 0) {
		struct line line = {.indent = indent, .dash = dash != 0};
		put_comments(e, indent, &map->tail, &gap);
		/* Read again, the comments of an empty file all stand before it. */
		line.blank = map->parent == NULL ? e->n > 0 : gap == GAP_ONE;
		line.text = join(e, &line.len, NULL, "{}", NULL, 0);
		put(e, line);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t r = m != NULL ? rank(m, keys[i]) : 0;
		struct inside inside = {.m = of->by_name ? of->m : NULL};
		enum gap g = i > 0 ? GAP_AS_IS : gap;
		int is_root = map->parent == NULL;
		if (m != NULL && r < m->n)
			inside = (struct inside){m->keys[r].inside, m->keys[r].value == POL_VALUE_PROFILES};
		emit_member(e, keys[i], &inside, inner, dash && i == 0, is_root, i == 0, g);
	}
	gap = GAP_AS_IS;
	put_comments(e, inner, &map->tail, &gap);
}

/* --- text ----------------------------------------------------------------------------------------------------------------- */

static size_t line_width(const struct line *l)
{
	return l->indent + (l->dash ? 2 : 0) + width(l->text, l->len);
}

/* Where the comments of the lines from i on stand, as long as every line has one. */
static size_t eol_column(const struct emitter *e, uint32_t i, uint32_t *end)
{
	size_t most = 0;
	for (*end = i; *end < e->n && e->lines[*end].eol != NULL && (*end == i || !e->lines[*end].blank); ++*end) {
		size_t w = line_width(&e->lines[*end]);
		if (w <= EOL_COLUMN_MAX && w > most)
			most = w;
	}
	return most;
}

/* A stream into memory does not remember that there was none: each piece is asked. */
static int write_lines(const struct emitter *e, FILE *f)
{
	uint32_t end = 0;
	size_t column = 0;
	int bad = 0;
	for (uint32_t i = 0; i < e->n && !bad; i++) {
		const struct line *l = &e->lines[i];
		bad |= l->blank && fputc('\n', f) == EOF;
		bad |= fprintf(f, "%*s%s", (int)l->indent, "", l->dash ? "- " : "") < 0;
		bad |= fwrite(l->text, 1, l->len, f) != l->len;
		if (l->eol != NULL) {
			if (i >= end)
				column = eol_column(e, i, &end);
			size_t w = line_width(l);
			bad |= fprintf(f, "%*s", (int)((w < column ? column - w : 0) + 2), "") < 0;
			bad |= fwrite(l->eol->text, 1, l->eol->len, f) != l->eol->len;
		}
		bad |= fputc('\n', f) == EOF;
	}
	return bad ? -ENOMEM : 0;
}

int fmt_emit(char **out, size_t *out_len, struct fmt_tree *t, const struct pol_mapping *m)
{
	struct emitter e = {.arena = &t->arena};
	enum gap gap = GAP_NONE;
	*out = NULL;
	put_comments(&e, 0, &t->head, &gap);
	put_comments(&e, 0, &t->root->lead, &gap);
	put_hoisted(&e, 0, t->root->eol, &gap);
	emit_map(&e, t->root, &(struct inside){.m = m}, 0, 0, e.n > 0 ? GAP_ONE : GAP_NONE);
	FILE *f = e.nomem ? NULL : open_memstream(out, out_len);
	int rc = f == NULL ? -ENOMEM : write_lines(&e, f);
	/* Where memory ends in fclose() itself, it says nothing and leaves no buffer. */
	if (f != NULL && (fclose(f) != 0 || *out == NULL))
		rc = -ENOMEM;
	if (rc < 0) {
		free(*out);
		*out = NULL;
	}
	free(e.lines);
	return rc;
}
