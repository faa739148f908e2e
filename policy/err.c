/* SPDX-License-Identifier: BSD-2-Clause */
/* Error texts and near matches. The near match is the optimal string alignment distance (insert, delete, replace,
 * swap of neighbours) on words of bounded length; what a caller does with it is the caller's. */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 96u /* longer words have no near match */

static int continues(char c)
{
	return ((unsigned char)c & 0xc0u) == 0x80u;
}

/* Text that was cut after len bytes, perhaps within its last character, ends before that. */
static void cut_last(char *text, size_t len)
{
	size_t at = len;
	while (at > 0 && continues(text[at - 1]))
		at--;
	if (at > 0 && (unsigned char)text[at - 1] >= 0xc0u)
		text[at - 1] = '\0'; /* whole or not, it is no loss */
}

int pol_err_set(struct pol_err *err, int code, const char *file, uint32_t line, uint32_t column, const char *fmt, ...)
{
	if (err == NULL)
		return -code;
	size_t len = strlen(file);
	if (len < sizeof err->file) {
		snprintf(err->file, sizeof err->file, "%s", file);
	} else {
		const char *rest = file + (len - (sizeof err->file - 4));
		while (continues(*rest))
			rest++;
		snprintf(err->file, sizeof err->file, "...%s", rest);
	}
	err->line = line;
	err->column = column;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof err->text)
		cut_last(err->text, sizeof err->text - 1);
	return -code;
}

int pol_err_memory(struct pol_err *err, const char *file)
{
	return pol_err_set(err, ENOMEM, file, 0, 0, "out of memory");
}

const char *pol_quote(char out[POL_QUOTE_MAX], const char *text)
{
	size_t len = strlen(text);
	size_t cut = len;
	if (len > 60) {
		cut = 60;
		while (cut > 0 && continues(text[cut]))
			cut--;
	}
	snprintf(out, POL_QUOTE_MAX, "\"%.*s%s\"", (int)cut, text, cut < len ? "..." : "");
	return out;
}

static unsigned char fold(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned row[3][WORD_MAX + 1];
	for (size_t j = 0; j <= b_len; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned *now = row[i % 3], *above = row[(i + 2) % 3], *above2 = row[(i + 1) % 3];
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned change = fold(a[i - 1]) == fold(b[j - 1]) ? 0 : 1;
			unsigned d = least(above[j - 1] + change, least(above[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
				d = least(d, above2[j - 2] + 1);
			now[j] = d;
		}
	}
	return row[a_len % 3][b_len];
}

void pol_near_try(struct pol_near *near, const char *candidate)
{
	size_t w = strlen(near->word), c = strlen(candidate);
	if (near->n < sizeof near->some / sizeof near->some[0])
		near->some[near->n] = candidate;
	near->n++;
	if (w == 0 || c == 0 || w > WORD_MAX || c > WORD_MAX)
		return;
	unsigned limit = w < 4 ? 1 : w < 8 ? 2 : 3;
	if (near->best != NULL && near->distance <= limit)
		limit = near->distance - (near->distance > 0);
	unsigned d = limit + 1;
	if (c > w && strcmp(candidate + (c - w), near->word) == 0 && strchr("./", candidate[c - w - 1]) != NULL)
		d = 1; /* the end of a full name */
	else if (c > w && w >= 3 && strncmp(candidate, near->word, w) == 0)
		d = 1; /* an abbreviation */
	else if ((c > w ? c - w : w - c) <= limit)
		d = distance(near->word, w, candidate, c);
	if (d > limit || (near->best != NULL && d >= near->distance))
		return;
	near->best = candidate;
	near->distance = d;
}

const char *pol_near_hint(const struct pol_near *near, char out[POL_HINT_MAX])
{
	char quoted[POL_QUOTE_MAX];
	if (near->best == NULL)
		out[0] = '\0';
	else
		snprintf(out, POL_HINT_MAX, "; did you mean %s?", pol_quote(quoted, near->best));
	return out;
}

const char *pol_near_or_known(const struct pol_near *near, char out[POL_HINT_MAX])
{
	pol_near_hint(near, out);
	if (near->best != NULL || near->n == 0)
		return out;
	uint32_t shown = near->n < sizeof near->some / sizeof near->some[0] ? near->n : 4;
	size_t used = 0;
	/* At most four names of 36 bytes: it always fits. */
	for (uint32_t i = 0; i < shown; i++)
		used += (size_t)snprintf(out + used, POL_HINT_MAX - used, "%s%.36s", i == 0 ? "; known are " : ", ",
					 near->some[i]);
	if (near->n > shown)
		snprintf(out + used, POL_HINT_MAX - used, " and %u more", near->n - shown);
	return out;
}
