/* SPDX-License-Identifier: BSD-2-Clause */
/* The tokens of CEL: names, numbers, strings and bytes with all their escapes, operators. Source: cel-spec's language
 * definition, "Syntax" and "String and Bytes Values". What tokens mean together is expr_parse.c's. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr_impl.h"

#define CHUNK_BYTES 8000u

struct sch_chunk {
	struct sch_chunk *next;
	size_t used, size;
	_Alignas(16) uint8_t at[];
};

static size_t rounded(size_t bytes)
{
	return (bytes + 15) & ~(size_t)15;
}

void *sch_chunk_get(struct sch_chunk **chunks, size_t bytes)
{
	struct sch_chunk *c = *chunks;

	bytes = rounded(bytes);
	if (!c || c->size - c->used < bytes) {
		size_t size = bytes > CHUNK_BYTES / 2 ? bytes + CHUNK_BYTES : CHUNK_BYTES;

		c = malloc(sizeof *c + size);
		if (!c)
			return NULL;
		*c = (struct sch_chunk){ .next = *chunks, .size = size };
		*chunks = c;
	}
	c->used += bytes;
	return memset(c->at + c->used - bytes, 0, bytes);
}

void *sch_parser_get(struct sch_parser *p, size_t bytes)
{
	void *at = sch_chunk_get(&p->chunks, bytes);

	if (!at) {
		if (!p->rc)
			snprintf(p->err->text, sizeof p->err->text, "out of memory");
		p->rc = -ENOMEM;
	}
	return at;
}

struct sch_kept *sch_kept_find(struct sch_kept *list, const char *text, uint32_t len)
{
	while (list && !(list->len == len && memcmp(list->text, text, len) == 0))
		list = list->next;
	return list;
}

void sch_tree_free(struct sch_tree *t)
{
	struct sch_chunk *c = t->memory;

	for (struct sch_kept *k = t->patterns; k; k = k->next)
		sch_pattern_free(k->pattern);
	while (c) {
		struct sch_chunk *next = c->next;

		free(c);
		c = next;
	}
	*t = (struct sch_tree){ 0 };
}

void *sch_parser_fail(struct sch_parser *p, uint32_t at, const char *fmt, ...)
{
	va_list ap;

	if (p->rc)
		return NULL;
	p->rc = -EINVAL;
	p->err->at = at < p->len ? at : p->len;
	va_start(ap, fmt);
	vsnprintf(p->err->text, sizeof p->err->text, fmt, ap);
	va_end(ap);
	for (char *c = p->err->text; *c; c++)
		if ((uint8_t)*c < ' ' || *c == 0x7f)
			*c = '?';
	uint8_t *start = (uint8_t *)p->err->text, *end = start + strlen(p->err->text);
	const uint8_t *bad;

	while ((bad = sch_utf8_bad(start, end, 0))) /* names may have been cut within a character; each turn mends one byte */
		start[bad - start] = '?';
	return NULL;
}

static int fail(struct sch_parser *p, uint32_t at, const char *text)
{
	sch_parser_fail(p, at, "%s", text);
	return p->rc;
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int hex_of(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int is_name(char c, int first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && is_digit(c));
}

static char at(const struct sch_parser *p, uint32_t i)
{
	return i < p->len ? p->text[i] : '\0';
}

/* --- numbers ---------------------------------------------------------------------------------------------------------- */
static int integer(struct sch_parser *p, uint32_t base)
{
	struct sch_token *t = &p->tok;
	uint32_t i = p->pos + (base == 16 ? 2 : 0), first = i;
	uint64_t v = 0;

	for (; base == 16 ? hex_of(at(p, i)) >= 0 : is_digit(at(p, i)); i++)
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) || __builtin_add_overflow(v, (uint64_t)hex_of(at(p, i)), &v))
			return fail(p, t->at, "this number does not fit 64 bits");
	if (i == first)
		return fail(p, t->at, "hexadecimal digits must follow 0x");
	t->kind = SCH_TK_INT;
	t->u = v;
	if (at(p, i) == 'u' || at(p, i) == 'U') {
		t->kind = SCH_TK_UINT;
		i++;
	}
	p->pos = i;
	return 0;
}

/* Is what starts at i an exponent? Returns how many bytes it has. */
static uint32_t exponent(const struct sch_parser *p, uint32_t i)
{
	uint32_t k = i + 1;

	if (at(p, i) != 'e' && at(p, i) != 'E')
		return 0;
	if (at(p, k) == '+' || at(p, k) == '-')
		k++;
	if (!is_digit(at(p, k)))
		return 0;
	while (is_digit(at(p, k)))
		k++;
	return k - i;
}

static int number(struct sch_parser *p)
{
	struct sch_token *t = &p->tok;
	uint32_t i = p->pos, e;
	int real = 0, rc = 0;

	if (at(p, i) == '0' && (at(p, i + 1) == 'x' || at(p, i + 1) == 'X')) {
		rc = integer(p, 16);
	} else {
		while (is_digit(at(p, i)))
			i++;
		if (at(p, i) == '.' && is_digit(at(p, i + 1))) {
			real = 1;
			for (i++; is_digit(at(p, i));)
				i++;
		}
		e = exponent(p, i);
		if (real || e) {
			if (sch_double_parse(p->text + p->pos, i + e - p->pos, &t->d))
				return fail(p, t->at, "this number does not fit a double");
			t->kind = SCH_TK_DOUBLE;
			p->pos = i + e;
		} else {
			rc = integer(p, 10);
		}
	}
	if (!rc && is_name(at(p, p->pos), 0))
		return fail(p, p->pos, "a number ends here, and a letter follows; leave a space or an operator between them");
	return rc;
}

/* --- strings ---------------------------------------------------------------------------------------------------------- */
struct quoted {
	uint32_t from;  /* first byte of its content */
	char quote;
	uint8_t triple, raw, bytes;
};

static size_t utf8_put(uint32_t c, char *o)
{
	if (c < 0x80) {
		o[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		o[0] = (char)(0xc0 | c >> 6);
		o[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		o[0] = (char)(0xe0 | c >> 12);
		o[1] = (char)(0x80 | (c >> 6 & 0x3f));
		o[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	o[0] = (char)(0xf0 | c >> 18);
	o[1] = (char)(0x80 | (c >> 12 & 0x3f));
	o[2] = (char)(0x80 | (c >> 6 & 0x3f));
	o[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* n hexadecimal digits at *i. */
static int hex_read(struct sch_parser *p, uint32_t *i, uint32_t n, uint32_t *out)
{
	*out = 0;
	for (uint32_t k = 0; k < n; k++, ++*i) {
		int h = hex_of(at(p, *i));

		if (h < 0) {
			sch_parser_fail(p, *i, "%u hexadecimal digits must follow this escape", n);
			return p->rc;
		}
		*out = *out << 4 | (uint32_t)h;
	}
	return 0;
}

/* The escape whose backslash is at *i. Puts what it means at o, and moves both on. */
static int escape(struct sch_parser *p, const struct quoted *q, uint32_t *i, char **o)
{
	static const char plain[] = "abfnrtv\\?\"'`", means[] = "\a\b\f\n\r\t\v\\?\"'`";
	uint32_t start = *i, code = 0;
	char c = at(p, *i + 1);
	const char *known = c ? strchr(plain, c) : NULL;

	*i += 2;
	if (known) {
		*(*o)++ = means[known - plain];
		return 0;
	}
	if (c == 'x' || c == 'X') {
		if (hex_read(p, i, 2, &code))
			return p->rc;
	} else if ((c == 'u' || c == 'U') && !q->bytes) {
		uint32_t low;

		if (hex_read(p, i, c == 'u' ? 4 : 8, &code))
			return p->rc;
		if (c == 'u' && code >= 0xd800 && code <= 0xdbff && at(p, *i) == '\\' && at(p, *i + 1) == 'u') {
			*i += 2; /* the second half of a pair */
			if (hex_read(p, i, 4, &low))
				return p->rc;
			code = low >= 0xdc00 && low <= 0xdfff ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : code;
		}
		if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return fail(
			    p, start,
			    "this escape is no Unicode character: \\u0000 to \\ud7ff, \\ue000 to \\U0010ffff are");
	} else if (c >= '0' && c <= '3') {
		for (uint32_t k = 0; k < 3; k++, ++*i) {
			char digit = at(p, start + 1 + k);

			if (digit < '0' || digit > '7')
				return fail(p, start, "three octal digits make an escape, \\000 to \\377");
			code = code << 3 | (uint32_t)(digit - '0');
		}
		*i = start + 4;
	} else {
		return fail(
		    p, start,
		    q->bytes
			? "bytes have the escapes \\a \\b \\f \\n \\r \\t \\v \\\\ \\? \\\" \\' \\` \\xHH and \\ooo"
			: "strings have the escapes \\a \\b \\f \\n \\r \\t \\v \\\\ \\? \\\" \\' \\` \\xHH \\uHHHH "
			  "\\UHHHHHHHH and \\ooo; write \\\\ for a backslash, or r\"...\"");
	}
	if (q->bytes)
		*(*o)++ = (char)code;
	else
		*o += utf8_put(code, *o);
	return 0;
}

static int at_end(const struct sch_parser *p, const struct quoted *q, uint32_t i)
{
	return at(p, i) == q->quote && (!q->triple || (at(p, i + 1) == q->quote && at(p, i + 2) == q->quote));
}

/* Bytes up to the closing quote, or to the end: no escape becomes longer. */
static uint32_t quoted_room(const struct sch_parser *p, const struct quoted *q)
{
	uint32_t i = q->from;

	while (i < p->len && !at_end(p, q, i))
		i += p->text[i] == '\\' && !q->raw ? 2 : 1;
	return i - q->from + 4;
}

static int quoted_read(struct sch_parser *p, const struct quoted *q)
{
	struct sch_token *t = &p->tok;
	uint32_t i = q->from;
	char *out = sch_parser_get(p, quoted_room(p, q)), *o = out;

	if (!out)
		return p->rc;
	while (!at_end(p, q, i)) {
		if (i >= p->len || (!q->triple && (p->text[i] == '\n' || p->text[i] == '\r'))) {
			sch_parser_fail(p, t->at, "this text has no end; close it with %c%s", q->quote,
					q->triple ? " three times" : "");
			return p->rc;
		}
		if (p->text[i] == '\\' && !q->raw) {
			if (escape(p, q, &i, &o))
				return p->rc;
		} else {
			*o++ = p->text[i++];
		}
	}
	p->pos = i + (q->triple ? 3 : 1);
	t->kind = q->bytes ? SCH_TK_BYTES : SCH_TK_STRING;
	t->text = out;
	t->len = (uint32_t)(o - out);
	return 0;
}

/* A string or bytes with its prefix; 1: it is none. */
static int quoted(struct sch_parser *p)
{
	struct quoted q = { .from = p->pos };

	for (; q.from < p->pos + 2; q.from++) {
		char c = at(p, q.from);

		if ((c == 'r' || c == 'R') && !q.raw)
			q.raw = 1;
		else if ((c == 'b' || c == 'B') && !q.bytes)
			q.bytes = 1;
		else
			break;
	}
	q.quote = at(p, q.from);
	if (q.quote != '"' && q.quote != '\'')
		return 1;
	q.triple = at(p, q.from + 1) == q.quote && at(p, q.from + 2) == q.quote;
	q.from += q.triple ? 3 : 1;
	return quoted_read(p, &q);
}

/* --- all -------------------------------------------------------------------------------------------------------------- */
/* Some readers of CEL let a carriage return alone end a comment, and some do not. */
static int skip(struct sch_parser *p)
{
	while (p->pos < p->len) {
		char c = p->text[p->pos];

		if (c == '/' && at(p, p->pos + 1) == '/') {
			for (; p->pos < p->len && p->text[p->pos] != '\n'; p->pos++)
				if (p->text[p->pos] == '\r' && p->pos + 1 < p->len && at(p, p->pos + 1) != '\n')
					return fail(p, p->pos, "a line ends with a line feed; this is a carriage return alone");
		} else if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
			p->pos++;
		} else {
			return 0;
		}
	}
	return 0;
}

static int operator(struct sch_parser *p)
{
	static const struct {
		char text[3];
		uint8_t kind;
	} pairs[] = { { "==", SCH_TK_EQ }, { "!=", SCH_TK_NE }, { "<=", SCH_TK_LE },
		      { ">=", SCH_TK_GE }, { "&&", SCH_TK_AND }, { "||", SCH_TK_OR } };
	char c = at(p, p->pos), d = at(p, p->pos + 1);

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		if (c == pairs[i].text[0] && d == pairs[i].text[1]) {
			p->tok.kind = pairs[i].kind;
			p->pos += 2;
			return 0;
		}
	if (c == '=')
		return fail(p, p->pos, "a single = is no operator; == compares");
	if (c == '&' || c == '|') {
		sch_parser_fail(p, p->pos, "a single %c is no operator; %c%c is", c, c, c);
		return p->rc;
	}
	if (!c || !strchr("+-*/%<>!?:.,()[]{}", c)) {
		sch_parser_fail(p, p->pos, c >= ' ' && c <= '~' ? "'%c' means nothing here" :
				"a byte that is no printable ASCII may stand only in a text or a comment", c);
		return p->rc;
	}
	p->tok.kind = SCH_TK_CHAR;
	p->tok.c = c;
	p->pos++;
	return 0;
}

int sch_token_next(struct sch_parser *p)
{
	struct sch_token *t = &p->tok;
	int rc;

	if (p->rc)
		return p->rc;
	memset(t, 0, sizeof *t);
	if (skip(p))
		return p->rc;
	t->at = t->end = p->pos;
	if (p->pos >= p->len)
		return 0; /* SCH_TK_END */
	char c = p->text[p->pos];

	rc = quoted(p);
	if (rc <= 0) {
		/* done, or refused */
	} else if (is_name(c, 1)) {
		while (is_name(at(p, p->pos), 0))
			p->pos++;
		t->kind = SCH_TK_NAME;
		rc = 0;
	} else if (is_digit(c) || (c == '.' && is_digit(at(p, p->pos + 1)))) {
		rc = number(p);
	} else {
		rc = operator(p);
	}
	t->end = p->pos;
	return rc;
}
