/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds names in the text of an expression, outside its string literals, and looks them up. What the expression means is
 * decided in schemas/; this only shows a person what it was about. */
#include "fabric/cli/policy_values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "schemas/expr.h"

#define PATH_MAX_BYTES 256u

static int is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Past the string literal that begins at p, or past what is left. */
static const char *skip_text(const char *p)
{
	char quote = *p++;

	for (; *p && *p != quote; p++)
		if (*p == '\\' && p[1])
			p++;
	return *p ? p + 1 : p;
}

static int is_single(const json_t *v)
{
	return v && !json_is_object(v) && !json_is_array(v);
}

/* p stands after "this": follows ".field.field" into the message as far as it goes. */
static void field_add(json_t *to, const char *p, const json_t *message)
{
	char path[PATH_MAX_BYTES] = "this", word[PATH_MAX_BYTES];
	const json_t *at = message;
	size_t used = 4;

	while (*p == '.' && is_word(p[1]) && json_is_object(at)) { /* ends with the text */
		size_t n = 0;

		for (p++; is_word(*p); p++)
			if (n < sizeof word - 1)
				word[n++] = *p;
		word[n] = '\0';
		if (*p == '(') /* a call, not a field */
			break;
		if (used + n + 2 > sizeof path)
			return;
		path[used++] = '.';
		memcpy(path + used, word, n + 1);
		used += n;
		at = json_object_get(at, word);
	}
	if (used > 4 && (!at || is_single(at)))
		json_object_set_new(to, path, at ? json_deep_copy(at) : json_null());
}

static void party_add(json_t *to, const char *who, const char *p, const struct sch_party *party)
{
	char key[32];

	if (!party)
		return;
	if (!strncmp(p, ".name", 5) && !is_word(p[5])) {
		snprintf(key, sizeof key, "%s.name", who);
		json_object_set_new(to, key, cli_json_text(party->name));
	} else if (!strncmp(p, ".labels", 7)) {
		json_t *labels = json_object();

		for (uint32_t i = 0; i < party->n_labels; i++)
			json_object_set_new(labels, party->labels[i].key, cli_json_text(party->labels[i].value));
		snprintf(key, sizeof key, "%s.labels", who);
		json_object_set_new(to, key, labels);
	}
}

json_t *cli_values_of(const char *where, const json_t *message, const struct sch_party *self, const struct sch_party *peer)
{
	json_t *to = json_object();

	for (const char *p = where, *word; *p;) { /* ends with the text */
		if (*p == '"' || *p == '\'') {
			p = skip_text(p);
			continue;
		}
		if (!is_word(*p)) {
			p++;
			continue;
		}
		for (word = p; is_word(*p);)
			p++;
		size_t n = word > where && word[-1] == '.' ? 0 : (size_t)(p - word); /* what follows a dot is no variable */

		if (n == 4 && !memcmp(word, "this", 4) && json_is_object(message))
			field_add(to, p, message);
		else if (n == 4 && !memcmp(word, "self", 4))
			party_add(to, "self", p, self);
		else if (n == 4 && !memcmp(word, "peer", 4))
			party_add(to, "peer", p, peer);
	}
	return to;
}

const char *cli_values_text(const json_t *values, char *out, size_t cap)
{
	size_t used = 0;
	const char *key;
	json_t *v;

	out[0] = '\0';
	json_object_foreach((json_t *)(uintptr_t)values, key, v) {
		char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
		int n = snprintf(out + used, cap - used, "%s%s is %s", used ? ", " : "", key,
				 json_is_null(v) ? "unset" : text ? text : "?");

		free(text);
		if (n < 0 || (size_t)n >= cap - used) {
			if (cap > 4)
				memcpy(out + cap - 4, "...", 4);
			break;
		}
		used += (size_t)n;
	}
	return out;
}
