/* SPDX-License-Identifier: BSD-2-Clause */
/* Parser of the launch module; the format is in launch.h. Reading the file or module, its access rights and wiping are
 * the port's business.
 *
 * Lines are taken one at a time from (text, length); nothing relies on a terminating zero. */
#include "guest-lib/launch.h"

#include <string.h>

#include <sodium.h>

struct value {
	const char *p;
	size_t len;
};

enum {
	KEY_NAME = 1u << 0,
	KEY_PORT = 1u << 1,
	KEY_EPOCH = 1u << 2,
	KEY_SECRET = 1u << 3,
	KEY_FABRIC = 1u << 4,
	KEY_SEED = 1u << 5,
	KEY_TSC = 1u << 6,
	KEY_SUITE = 1u << 7,
};

static int is(struct value v, const char *word)
{
	return v.len == strlen(word) && memcmp(v.p, word, v.len) == 0;
}

static const char *bytes_take(uint8_t out[32], struct value v)
{
	if (v.len != 64)
		return "needs 64 hex digits";
	for (size_t i = 0; i < 64; i++) {
		char c = v.p[i];
		uint32_t digit;

		if (c >= '0' && c <= '9')
			digit = (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (uint32_t)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			digit = (uint32_t)(c - 'A') + 10;
		else
			return "needs 64 hex digits";
		out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | digit : digit << 4);
	}
	return NULL;
}

/* Decimal digits without leading zeroes. */
static const char *number_take(uint64_t *out, struct value v, uint64_t least, uint64_t most)
{
	static const char why[] = "needs a decimal number in its range";
	uint64_t n = 0;

	if (v.len == 0 || v.len > 20 || (v.len > 1 && v.p[0] == '0'))
		return why;
	for (size_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return why;
		if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (uint64_t)(v.p[i] - '0'), &n))
			return why;
	}
	if (n < least || n > most)
		return why;
	*out = n;
	return NULL;
}

static const char *name_take(struct weft_launch *l, struct value v)
{
	if (v.len > WEFT_NAME_MAX)
		return "a name has at most 32 characters";
	memcpy(l->id.name, v.p, v.len);
	l->id.name[v.len] = 0;
	return weft_name_ok(l->id.name) ? NULL : "a name is [a-z][a-z0-9-]*";
}

static const char *set_take(struct weft_launch *l, struct value v)
{
	const char *space = memchr(v.p, ' ', v.len);
	size_t key_len = space ? (size_t)(space - v.p) : 0;
	size_t value_len = space ? v.len - key_len - 1 : 0;

	if (key_len == 0)
		return "set needs a key, one space and a value";
	if (key_len > WEFT_LAUNCH_KEY_MAX)
		return "a key of set has at most 32 characters";
	if (value_len > WEFT_LAUNCH_VALUE_MAX)
		return "a value of set has at most 256 characters";
	if (l->n_sets == WEFT_LAUNCH_SETS_MAX)
		return "more than 32 lines of set";
	for (uint32_t i = 0; i < l->n_sets; i++)
		if (is((struct value){v.p, key_len}, l->set[i].key))
			return "this key is set twice";
	memcpy(l->set[l->n_sets].key, v.p, key_len);
	memcpy(l->set[l->n_sets].value, space + 1, value_len);
	l->n_sets++;
	return NULL;
}

/* One line with a key. *seen collects the keys that may come once. */
static const char *key_take(struct weft_launch *l, struct value key, struct value v, uint32_t *seen)
{
	static const struct {
		const char *word;
		uint32_t bit;
	} keys[] = {
	    {"name", KEY_NAME},		{"port", KEY_PORT}, {"epoch", KEY_EPOCH}, {"secret-key", KEY_SECRET},
	    {"fabric-key", KEY_FABRIC}, {"seed", KEY_SEED}, {"tsc-khz", KEY_TSC}, {"suite", KEY_SUITE},
	};
	const char *why = NULL;
	uint64_t n = 0;
	uint32_t bit = 0;

	if (is(key, "set"))
		return set_take(l, v);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (is(key, keys[i].word))
			bit = keys[i].bit;
	if (bit == 0)
		return "no such key";
	if (*seen & bit)
		return "this key occurs twice";
	*seen |= bit;
	switch (bit) {
	case KEY_NAME:
		return name_take(l, v);
	case KEY_PORT:
		why = number_take(&n, v, 1, WEFT_PORTS_MAX);
		l->id.port = (uint16_t)n;
		return why;
	case KEY_EPOCH:
		return number_take(&l->id.epoch, v, 0, UINT64_MAX);
	case KEY_SECRET:
		return bytes_take(l->id.secret, v);
	case KEY_FABRIC:
		return bytes_take(l->id.peer_public, v);
	case KEY_SEED:
		return bytes_take(l->seed, v);
	case KEY_TSC:
		why = number_take(&n, v, 0, UINT32_MAX);
		l->tsc_khz = (uint32_t)n;
		return why;
	default:
		l->suite = is(v, "aesgcm") ? WEFT_SUITE_AESGCM : is(v, "chachapoly") ? WEFT_SUITE_CHACHAPOLY : 0;
		return l->suite ? NULL : "a suite is aesgcm or chachapoly";
	}
}

static const char *missing(uint32_t seen)
{
	if (!(seen & KEY_NAME))
		return "name is missing";
	if (!(seen & KEY_PORT))
		return "port is missing";
	if (!(seen & KEY_EPOCH))
		return "epoch is missing";
	if (!(seen & KEY_SECRET))
		return "secret-key is missing";
	if (!(seen & KEY_FABRIC))
		return "fabric-key is missing";
	if (!(seen & KEY_SEED))
		return "seed is missing";
	if (!(seen & KEY_TSC))
		return "tsc-khz is missing";
	return NULL;
}

/* The next line, without its \n, from *at. 0, or -1 where it does not end or has a character that is not printable. */
static int line_take(struct value *line, const char *text, size_t len, size_t *at)
{
	size_t i;

	for (i = *at; i < len && text[i] != '\n'; i++)
		if (text[i] < ' ' || text[i] > '~')
			return -1;
	if (i == len)
		return -1;
	*line = (struct value){text + *at, i - *at};
	*at = i + 1;
	return 0;
}

uint32_t weft_launch_parse(struct weft_launch *l, const char *text, size_t len, const char **why)
{
	uint32_t seen = 0, line_no = 0;
	size_t at = 0;

	sodium_memzero(l, sizeof(*l));
	*why = NULL;
	if (len > WEFT_LAUNCH_BYTES_MAX)
		*why = "longer than 16384 bytes";
	while (!*why) { /* bounded: each turn takes a line or ends */
		struct value line, key, v;
		const char *space;

		line_no++;
		if (line_take(&line, text, len, &at)) {
			*why =
			    at == len ? "the line `end` is missing" : "not a line of printable ASCII that ends in \\n";
			break;
		}
		if (line_no == 1) {
			*why = is(line, "weft-launch 1") ? NULL : "the first line must be `weft-launch 1`";
			continue;
		}
		if (is(line, "end")) {
			*why = at != len ? "something follows the line `end`" : missing(seen);
			if (!*why)
				return 0;
			break;
		}
		space = line.len ? memchr(line.p, ' ', line.len) : NULL;
		if (!space) {
			*why = "needs a key, one space and a value";
			break;
		}
		key = (struct value){line.p, (size_t)(space - line.p)};
		v = (struct value){space + 1, line.len - key.len - 1};
		*why = key_take(l, key, v, &seen);
	}
	sodium_memzero(l, sizeof(*l));
	return line_no ? line_no : 1;
}

const char *weft_launch_get(const struct weft_launch *l, const char *key)
{
	for (uint32_t i = 0; i < l->n_sets; i++)
		if (strcmp(l->set[i].key, key) == 0)
			return l->set[i].value;
	return NULL;
}
