/* SPDX-License-Identifier: BSD-2-Clause */
/* A file for laying it out: its nodes as they are spelt, and each comment where it belongs. Between fmt_tree.c, which makes it,
 * and fmt_emit.c, which writes it. */
#ifndef POL_FMT_TREE_H
#define POL_FMT_TREE_H

#include "arena.h"
#include "language.h"

struct fmt_comment {
	const char *text; /* from # to the end of the line, without blanks there */
	uint32_t len;
	uint32_t column;  /* from 1 */
	uint8_t blank;    /* an empty line stands before it */
	struct fmt_comment *next;
};
struct fmt_comments {
	struct fmt_comment *first, *last;
};

struct fmt_node {
	enum pol_node_kind kind;
	uint8_t is_key;
	uint8_t in_flow;            /* it stands between brackets or braces */
	uint8_t is_flow;            /* a list or mapping in brackets or braces */
	uint8_t blank;              /* an empty line stands before it */
	uint8_t quoted;
	const char *text;           /* of a value or key, as spelt; not terminated */
	uint32_t len;
	size_t begin, end;          /* bytes in the file; end of a list or mapping only where it is flow */
	uint32_t column;            /* from 1 */
	struct fmt_node *parent;    /* of a value its key; of a key or an item its mapping or list */
	struct fmt_node *first, *last, *next, *value;
	uint32_t n;
	struct fmt_comments lead;   /* lines before it */
	struct fmt_comments tail;   /* lines at the end of a list or mapping, or below a key without a value */
	struct fmt_comment *eol;    /* at the end of its line */
};

struct fmt_tree {
	const char *text;
	size_t len;
	struct pol_arena arena;
	struct fmt_node *root;
	struct fmt_comments head; /* at the beginning of the file, apart from what follows */
};

/* Makes it of a text that pol_yaml_parse has accepted. text must outlive it. 0, -ENOMEM, or -EINVAL where libyaml thinks otherwise
 * the second time. fmt_tree_free in any case. */
int fmt_tree_make(struct fmt_tree *t, const char *text, size_t len);
void fmt_tree_free(struct fmt_tree *t);
void fmt_comments_add(struct fmt_comments *list, struct fmt_comment *c);

/* Writes it, by the keys of m. 0 or -ENOMEM; *out is the caller's. */
int fmt_emit(char **out, size_t *out_len, struct fmt_tree *t, const struct pol_mapping *m);

#endif
