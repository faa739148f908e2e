/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict YAML reader. First every byte is checked (so that lines here are the lines that an editor shows), then
 * libyaml's events become nodes in an arena, without recursion. */
#include "yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "err.h"

/* The length of the UTF-8 sequence at p and its code point; 0 when it is none (RFC 3629, section 4). */
static size_t utf8_take(const unsigned char *p, size_t len, uint32_t *code)
{
	unsigned char c = p[0];
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0u) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
	if (n == 0 || n > len)
		return 0;
	uint32_t v = n == 1 ? c : c & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0u) != 0x80u)
			return 0;
		v = v << 6 | (p[i] & 0x3fu);
	}
	if ((n == 3 && v < 0x800) || (n == 4 && (v < 0x10000 || v > 0x10ffff)) || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*code = v;
	return n;
}

/* Marks that change how text looks or where lines end without being seen: NEL, LS, PS, zero width, direction, BOM. */
static int invisible(uint32_t c)
{
	return (c >= 0x80 && c <= 0x9f) || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xffff) || c == 0xad;
}

static int check_bytes(const char *file, const char *text, size_t len, struct pol_err *err)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t line = 1, column = 1;
	int indent = 1;
	for (size_t i = 0; i < len;) {
		if (p[i] > 0x20 && p[i] < 0x7f) { /* nearly all of a file */
			i++;
			column++;
			indent = 0;
			continue;
		}
		uint32_t c;
		size_t n = utf8_take(p + i, len - i, &c);
		if (n == 0)
			return pol_err_set(err, EINVAL, file, line, column, "byte 0x%02x is not UTF-8 text here", p[i]);
		if (c == '\r' && (i + 1 == len || p[i + 1] != '\n'))
			return pol_err_set(err, EINVAL, file, line, column,
					   "a carriage return without a line feed; end lines with a line feed");
		if (c == '\t' && indent)
			return pol_err_set(err, EINVAL, file, line, column, "a tab in the indentation; use spaces");
		if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f)
			return pol_err_set(err, EINVAL, file, line, column, "control character 0x%02x; remove it", c);
		if (invisible(c))
			return pol_err_set(err, EINVAL, file, line, column, "invisible character U+%04X; remove it", c);
		i += n;
		column++;
		if (c != ' ')
			indent = 0;
		if (c == '\n') {
			line++;
			column = 1;
			indent = 1;
		}
	}
	return 0;
}

/* A double-quoted value can spell with escapes what the bytes may not hold. */
static int value_ok(const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint32_t c = p[i];
		size_t n = c >= 0x20 && c < 0x7f ? 1 : utf8_take(p + i, len - i, &c);
		if (n == 0 || c < 0x20 || c == 0x7f || invisible(c))
			return 0;
		i += n;
	}
	return 1;
}

static uint32_t mark_line(const yaml_mark_t *m)
{
	return m->line < UINT32_MAX ? (uint32_t)m->line + 1 : UINT32_MAX;
}

static uint32_t mark_column(const yaml_mark_t *m)
{
	return m->column < UINT32_MAX ? (uint32_t)m->column + 1 : UINT32_MAX;
}

struct builder {
	struct pol_yaml *y;
	struct pol_err *err;
	uint32_t nodes, depth;
	struct pol_node *open[POL_YAML_DEPTH_MAX]; /* the mappings and lists that we are in */
	struct pol_node *last[POL_YAML_DEPTH_MAX]; /* the newest item or key of each */
	int want_value[POL_YAML_DEPTH_MAX];	   /* a mapping's key waits for its value */
};

static int refuse(struct builder *b, const yaml_event_t *e, const char *text)
{
	return pol_err_set(b->err, EINVAL, b->y->file, mark_line(&e->start_mark), mark_column(&e->start_mark), "%s",
			   text);
}

/* What would be right, for what people do: libyaml only says what it did not find. */
static const char *syntax_hint(const char *problem)
{
	static const struct {
		const char *problem, *hint;
	} hints[] = {
	    {"mapping values are not allowed", "; put a text that holds \": \" between '...', or mend the indentation"},
	    {"did not find expected key", "; indent as the lines before, and put a text that holds quotes between '...'"},
	    {"did not find expected '-'", "; indent as the item before"},
	    {"did not find expected ',' or ']'", "; close the list with ], or put a text with brackets between '...'"},
	    {"did not find expected ',' or '}'", "; close the mapping with }, or put a text with braces between '...'"},
	    {"could not find expected ':'", "; a colon and a blank follow a key"},
	    {"found unexpected end of stream", "; close the quote"},
	    {"found character that cannot start", "; put the text between '...'"},
	    {"found unknown escape", "; put the text between '...', where a backslash is itself"},
	};
	for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
		if (strncmp(problem, hints[i].problem, strlen(hints[i].problem)) == 0)
			return hints[i].hint;
	return "";
}

static int syntax_error(struct builder *b, const yaml_parser_t *p)
{
	if (p->error == YAML_MEMORY_ERROR)
		return pol_err_memory(b->err, b->y->file);
	const char *problem = p->problem != NULL ? p->problem : "cannot be read";
	if (p->context != NULL && p->context_mark.line != p->problem_mark.line)
		return pol_err_set(b->err, EINVAL, b->y->file, mark_line(&p->problem_mark),
				   mark_column(&p->problem_mark), "not YAML: %s (%s that began on line %u)%s", problem,
				   p->context, mark_line(&p->context_mark), syntax_hint(problem));
	return pol_err_set(b->err, EINVAL, b->y->file, mark_line(&p->problem_mark), mark_column(&p->problem_mark),
			   "not YAML: %s%s", problem, syntax_hint(problem));
}

static const char *lines_text(yaml_scalar_style_t style)
{
	if (style == YAML_PLAIN_SCALAR_STYLE)
		return "a value that runs over several lines; keep it on one, indent what follows less, close its bracket";
	if (style == YAML_SINGLE_QUOTED_SCALAR_STYLE || style == YAML_DOUBLE_QUOTED_SCALAR_STYLE)
		return "a value that runs over several lines; keep it on one, or close its quote";
	return "a value that runs over several lines; keep it on one";
}

/* Hangs a new node into the innermost open mapping or list. */
static int attach(struct builder *b, struct pol_node *node)
{
	if (b->depth == 0) {
		if (node->kind != POL_NODE_MAP)
			return pol_err_set(b->err, EINVAL, b->y->file, node->line, node->column,
					   "the file must be a mapping: lines of \"key: value\"");
		b->y->root = node;
		return 0;
	}
	uint32_t d = b->depth - 1;
	struct pol_node *in = b->open[d];
	if (in->kind == POL_NODE_MAP && b->want_value[d]) {
		b->last[d]->value = node;
		b->want_value[d] = 0;
		return 0;
	}
	if (in->kind == POL_NODE_MAP) {
		char quoted[POL_QUOTE_MAX];
		if (node->kind != POL_NODE_VALUE || node->len == 0)
			return pol_err_set(b->err, EINVAL, b->y->file, node->line, node->column,
					   "a key must be a word");
		if (strcmp(node->text, "<<") == 0)
			return pol_err_set(b->err, EINVAL, b->y->file, node->line, node->column,
					   "a merge key (<<); write the keys out");
		for (const struct pol_node *k = in->first; k != NULL; k = k->next)
			if (strcmp(k->text, node->text) == 0)
				return pol_err_set(b->err, EINVAL, b->y->file, node->line, node->column,
						   "%s is already set on line %u", pol_quote(quoted, node->text),
						   k->line);
		if (in->n == POL_YAML_KEYS_MAX)
			return pol_err_set(b->err, EINVAL, b->y->file, node->line, node->column,
					   "more than %u keys in one mapping", POL_YAML_KEYS_MAX);
		b->want_value[d] = 1;
	}
	if (b->last[d] != NULL)
		b->last[d]->next = node;
	else
		in->first = node;
	b->last[d] = node;
	in->n++;
	return 0;
}

static int add_node(struct builder *b, const yaml_event_t *e, enum pol_node_kind kind)
{
	if (++b->nodes > POL_YAML_NODES_MAX)
		return refuse(b, e, "more values than a file may hold (262144)");
	struct pol_node *node = pol_arena_take(&b->y->arena, sizeof *node);
	if (node == NULL)
		return pol_err_memory(b->err, b->y->file);
	node->kind = kind;
	node->line = mark_line(&e->start_mark);
	node->column = mark_column(&e->start_mark);
	if (kind == POL_NODE_VALUE) {
		size_t len = e->data.scalar.length;
		yaml_scalar_style_t style = e->data.scalar.style;
		/* | and > at the very end of a file begin and end on one line. */
		if (e->start_mark.line != e->end_mark.line || style == YAML_LITERAL_SCALAR_STYLE ||
		    style == YAML_FOLDED_SCALAR_STYLE)
			return refuse(b, e, lines_text(style));
		if (len > POL_YAML_VALUE_MAX)
			return refuse(b, e, "a value longer than 4096 bytes");
		if (!value_ok(e->data.scalar.value, len))
			return refuse(b, e, "a value with control or invisible characters; remove them");
		node->text = pol_arena_text(&b->y->arena, (const char *)e->data.scalar.value, len);
		if (node->text == NULL)
			return pol_err_memory(b->err, b->y->file);
		node->len = (uint32_t)len;
	}
	int rc = attach(b, node);
	if (rc < 0 || kind == POL_NODE_VALUE)
		return rc;
	if (b->depth == POL_YAML_DEPTH_MAX)
		return refuse(b, e, "nested deeper than 8 levels");
	b->open[b->depth] = node;
	b->last[b->depth] = NULL;
	b->want_value[b->depth] = 0;
	b->depth++;
	return 0;
}

static int refuse_decorated(struct builder *b, const yaml_event_t *e, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor != NULL)
		return refuse(b, e, "an anchor (&); write the value where it is used");
	if (tag != NULL)
		return refuse(b, e, "a tag (!); values have none; a text that begins with ! goes between '...'");
	return 0;
}

/* 1: the stream ended; 0: go on; -errno. */
static int take_event(struct builder *b, const yaml_event_t *e)
{
	int rc;
	switch (e->type) {
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 0;
	case YAML_DOCUMENT_START_EVENT:
		if (b->y->root != NULL)
			return refuse(b, e, "a second document (---); a file holds one");
		if (e->data.document_start.version_directive != NULL ||
		    e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
			return refuse(b, e, "a directive (%); remove it");
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(b, e, "an alias (*); write the value out");
	case YAML_SCALAR_EVENT:
		rc = refuse_decorated(b, e, e->data.scalar.anchor, e->data.scalar.tag);
		return rc < 0 ? rc : add_node(b, e, POL_NODE_VALUE);
	case YAML_SEQUENCE_START_EVENT:
		rc = refuse_decorated(b, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
		return rc < 0 ? rc : add_node(b, e, POL_NODE_LIST);
	case YAML_MAPPING_START_EVENT:
		rc = refuse_decorated(b, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
		return rc < 0 ? rc : add_node(b, e, POL_NODE_MAP);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
	case YAML_STREAM_END_EVENT:
	case YAML_NO_EVENT:
		return 1;
	}
	return refuse(b, e, "not YAML");
}

int pol_yaml_parse(struct pol_yaml *y, const char *file, const char *text, size_t len, struct pol_err *err)
{
	*y = (struct pol_yaml){.file = file};
	if (len > POL_FILE_BYTES_MAX)
		return pol_err_set(err, EINVAL, file, 0, 0, "longer than 1 MiB");
	int rc = check_bytes(file, text, len, err);
	if (rc < 0)
		return rc;

	yaml_parser_t parser;
	if (!yaml_parser_initialize(&parser))
		return pol_err_memory(err, file);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	struct builder b = {.y = y, .err = err};
	/* Ends: each event uses up some of the text, and the nodes are bounded. */
	while (rc == 0) {
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			rc = syntax_error(&b, &parser);
			break;
		}
		rc = take_event(&b, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	if (rc > 0)
		rc = y->root != NULL ? 0 : pol_err_set(err, EINVAL, file, 1, 1, "the file is empty");
	if (rc < 0)
		pol_yaml_free(y);
	return rc;
}

int pol_text_load(const char *path, char **text, size_t *len, struct pol_err *err)
{
	struct stat st;
	return pol_text_load_at(AT_FDCWD, path, path, text, len, &st, err);
}

int pol_text_load_at(int dir, const char *name, const char *path, char **text, size_t *len, struct stat *st, struct pol_err *err)
{
	char *buf = NULL;
	int rc;
	/* O_NONBLOCK: a FIFO in place of the file must not hold us up. */
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, st) < 0) {
		rc = pol_err_set(err, errno, path, 0, 0, "cannot be opened: %s", strerror(errno));
		goto out;
	}
	if (!S_ISREG(st->st_mode)) {
		rc = pol_err_set(err, EINVAL, path, 0, 0, "not a regular file");
		goto out;
	}
	/* One byte more than allowed, so that a file that is too long is seen, however it grows. */
	size_t cap = POL_FILE_BYTES_MAX + 1;
	buf = malloc(cap);
	if (buf == NULL) {
		rc = pol_err_memory(err, path);
		goto out;
	}
	size_t got = 0;
	while (got < cap) {
		ssize_t n = read(fd, buf + got, cap - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = pol_err_set(err, errno, path, 0, 0, "cannot be read: %s", strerror(errno));
			goto out;
		}
		if (n == 0)
			break;
		got += (size_t)n;
	}
	char *fit = realloc(buf, got + 1);
	if (fit == NULL) {
		rc = pol_err_memory(err, path);
		goto out;
	}
	fit[got] = '\0';
	*text = fit;
	*len = got;
	buf = NULL;
	rc = 0;
out:
	free(buf);
	if (fd >= 0)
		close(fd);
	return rc;
}

int pol_yaml_load(struct pol_yaml *y, const char *path, struct pol_err *err)
{
	char *text = NULL;
	size_t len = 0;
	*y = (struct pol_yaml){.file = path};
	int rc = pol_text_load(path, &text, &len, err);
	if (rc < 0)
		return rc;
	rc = pol_yaml_parse(y, path, text, len, err);
	free(text);
	return rc;
}

void pol_yaml_free(struct pol_yaml *y)
{
	pol_arena_free(&y->arena);
	y->root = NULL;
}

const struct pol_node *pol_node_each(const struct pol_node *value)
{
	return value->kind == POL_NODE_LIST ? value->first : value;
}

static int refuse_key(const struct pol_yaml *y, const struct pol_node *k, const char *what, const struct pol_key *keys,
		      uint32_t n_keys, struct pol_err *err)
{
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX], known[160];
	struct pol_near near = {.word = k->text};
	size_t used = 0;
	known[0] = '\0';
	for (uint32_t i = 0; i < n_keys; i++) {
		pol_near_try(&near, keys[i].name);
		int n = snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "", keys[i].name);
		if (n > 0 && (size_t)n < sizeof known - used)
			used += (size_t)n;
	}
	return pol_err_set(err, EINVAL, y->file, k->line, k->column, "unknown key %s in %s%s%s known are %s",
			   pol_quote(quoted, k->text), what, pol_near_hint(&near, hint), near.best != NULL ? "" : ";",
			   known);
}

static int check_value(const struct pol_yaml *y, const struct pol_node *k, const struct pol_key *key,
		       struct pol_err *err)
{
	static const char *const takes_text[8] = {"nothing",
						  "a value",
						  "a list",
						  "a value or a list",
						  "a mapping",
						  "a value or a mapping",
						  "a list or a mapping",
						  "anything"};
	const struct pol_node *v = k->value;
	if (v->kind == POL_NODE_VALUE && v->len == 0) {
		if (key->takes & POL_KEY_EMPTY)
			return 0;
		return pol_err_set(err, EINVAL, y->file, k->line, k->column, "\"%s\" has no value; it takes %s",
				   key->name, takes_text[key->takes & 7u]);
	}
	uint32_t is = v->kind == POL_NODE_VALUE ? POL_KEY_VALUE : v->kind == POL_NODE_LIST ? POL_KEY_LIST : POL_KEY_MAP;
	if (!(key->takes & is))
		return pol_err_set(err, EINVAL, y->file, v->line, v->column, "\"%s\" takes %s, not %s", key->name,
				   takes_text[key->takes & 7u], takes_text[is]);
	if ((key->takes & POL_KEY_NAMES) && is == POL_KEY_LIST) {
		if (v->n == 0 && !(key->takes & POL_KEY_EMPTY))
			return pol_err_set(err, EINVAL, y->file, v->line, v->column,
					   "\"%s\" is an empty list; name at least one", key->name);
		for (const struct pol_node *p = v->first; p != NULL; p = p->next)
			if (p->kind != POL_NODE_VALUE || p->len == 0)
				return pol_err_set(err, EINVAL, y->file, p->line, p->column,
						   "\"%s\" lists something that is not a name", key->name);
	}
	return 0;
}

int pol_yaml_keys(const struct pol_yaml *y, const struct pol_node *map, const char *what, const struct pol_key *keys,
		  uint32_t n_keys, const struct pol_node **found, struct pol_err *err)
{
	if (map->kind != POL_NODE_MAP)
		return pol_err_set(err, EINVAL, y->file, map->line, map->column,
				   "%s must be a mapping: lines of \"key: value\"", what);
	for (uint32_t i = 0; i < n_keys; i++)
		found[i] = NULL;
	for (const struct pol_node *k = map->first; k != NULL; k = k->next) {
		uint32_t i = 0;
		while (i < n_keys && strcmp(keys[i].name, k->text) != 0)
			i++;
		if (i == n_keys)
			return refuse_key(y, k, what, keys, n_keys, err);
		int rc = check_value(y, k, &keys[i], err);
		if (rc < 0)
			return rc;
		found[i] = k;
	}
	for (uint32_t i = 0; i < n_keys; i++)
		if (found[i] == NULL && (keys[i].takes & POL_KEY_REQUIRED))
			return pol_err_set(err, EINVAL, y->file, map->line, map->column, "%s lacks \"%s\"", what,
					   keys[i].name);
	return 0;
}
