/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiler's pass over strings and bytes whose rules say what may be in them: a list of texts, or a format that leaves room
 * for digits and a few signs alone. Nothing in such a value is left to an inspector, so it is no opaque content. Which rules there
 * are, and that they are met, is others' work (constrain*.c, validate.c).
 *
 * A field is confined when it has, for each of its values, at least one of
 *   - const or in: the value is, to the byte, a text that stands in the schema;
 *   - uuid, tuuid, ulid: 36, 32 or 26 letters and digits, hyphens in fixed places;
 *   - ipv4, ipv4_prefix, ipv4_with_prefixlen: at most 18 digits, dots, one slash;
 *   - ipv6_prefix, ipv6_with_prefixlen and what is either version (ip_prefix, ip_with_prefixlen): at most 49 hexadecimal
 *     digits, colons, dots, one slash.
 * Not confined: whatever has room for words (hostname, uri, email, address, host_and_port, header names and values, fqn);
 * ip and ipv6, whose zone behind a % may be any text; patterns, lengths, prefixes and expressions, whatever they say; formats
 * of bytes, which are lengths. A rule that is ignored for empty values lets nothing pass but what is empty. Where a field that
 * holds a message ignores the rules in it (IGNORE_ALWAYS), nothing that this message can hold is confined, on whichever way it
 * is reached. */
#include <stdlib.h>
#include <string.h>

#include "constrain.h"
#include "formats.h"

#define TRIES 256u      /* multipliers for each size of a table */
#define TEXTS_MAX 64u   /* of a list that gets a table: more would take long to place */
#define SLOTS_MAX 512u
#define SLOT_LEN 16u    /* bytes of a slot */
#define TABLES_MAX (4u << 20) /* bytes of all tables of a set: a list without one is looked up rule by rule */

static int is_confining_format(enum sch_format format)
{
	switch (format) {
	case SCH_FMT_UUID:
	case SCH_FMT_TUUID:
	case SCH_FMT_ULID:
	case SCH_FMT_IPV4:
	case SCH_FMT_IPV4_WITH_PREFIXLEN:
	case SCH_FMT_IPV4_PREFIX:
	case SCH_FMT_IPV6_WITH_PREFIXLEN:
	case SCH_FMT_IPV6_PREFIX:
	case SCH_FMT_IP_WITH_PREFIXLEN:
	case SCH_FMT_IP_PREFIX:
		return 1;
	default:
		return 0;
	}
}

static int is_list(const struct sch_rule *r)
{
	return r->op == SCH_R_STR_EQ || r->op == SCH_R_STR_IN;
}

static int is_confined(const struct build *b, const struct b_field *f)
{
	if ((f->type != SCH_T_STRING && f->type != SCH_T_BYTES) || f->extension)
		return 0;
	for (uint32_t i = f->rules + f->n_list; i < f->rules + f->n_rules; i++) {
		const struct sch_rule *r = B_RULE(b, i);

		if (is_list(r) || (r->op == SCH_R_FORMAT && is_confining_format((enum sch_format)r->a)))
			return 1;
	}
	return 0;
}

/* --- tables of short texts ------------------------------------------------------------------------------------------ */

/* The table's key of a text; 0 where it has none: empty, too long, or not plain ASCII. */
static int key_of(const struct build *b, const struct sch_text *t, uint64_t key[2])
{
	const uint8_t *at = (const uint8_t *)b->pool.at + t->at;
	uint8_t bytes[16] = { 0 };

	if (t->len == 0 || t->len > SCH_AMONG_LEN)
		return 0;
	for (uint32_t i = 0; i < t->len; i++)
		if (at[i] == 0 || at[i] >= 0x80)
			return 0;
	memcpy(bytes, at, t->len);
	bytes[15] = (uint8_t)t->len;
	memcpy(key, bytes, sizeof bytes);
	return 1;
}

/* Puts the keys where `mult` says. 0 where two meet. */
static int table_fill(struct sch_among *t, uint64_t (*keys)[2], uint32_t n, uint32_t slots)
{
	memset(t->slot, 0, slots * SLOT_LEN);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t *slot = t->slot + sch_among_slot(t, keys[i][0], keys[i][1]);

		if (slot[1])
			return 0;
		memcpy(slot, keys[i], sizeof keys[i]);
	}
	return 1;
}

/* Looks for a multiplier that gives each text a slot of its own. Returns the table's bytes, 0 where none is small. */
static size_t table_make(struct sch_among *t, uint64_t (*keys)[2], uint32_t n)
{
	uint64_t mult = 0x9e3779b97f4a7c15u;

	for (uint32_t bits = 1; 1u << bits <= SLOTS_MAX; bits++) {
		if (1u << bits < n)
			continue;
		for (uint32_t i = 0; i < TRIES; i++) {
			mult = (mult ^ mult >> 29) * 0xbf58476d1ce4e5b9u | 1;
			t->mult = mult;
			t->shift = 63 - bits;
			if (table_fill(t, keys, n, 1u << bits))
				return sizeof *t + ((size_t)1 << bits) * SLOT_LEN;
		}
	}
	return 0;
}

/* Strings whose one rule is a list: the loop looks short ones up by itself. *used counts the bytes of all tables. */
static int table_put(struct build *b, struct b_field *f, size_t *used)
{
	const struct sch_rule *r = B_RULE(b, f->rules + f->n_list);
	struct c_at at = { .b = b, .m = B_MSG(b, f->msg), .part = f->d->name };
	uint32_t all = r->op == SCH_R_STR_EQ ? 1 : r->n, n = 0;
	uint64_t keys[TEXTS_MAX][2];
	struct sch_among *table;
	int rc = 0;

	if (f->type != SCH_T_STRING || f->n_rules - f->n_list != 1 || !is_list(r) || all > TEXTS_MAX)
		return 0;
	table = calloc(1, sizeof *table + SLOTS_MAX * SLOT_LEN);
	if (!table)
		return b_nomem(b);
	for (uint32_t i = 0; i < all; i++) {
		struct sch_text text;

		memcpy(&text, (const uint8_t *)b->pool.at + r->arg + i * sizeof text, sizeof text);
		n += (uint32_t)key_of(b, &text, keys[n]);
	}
	size_t size = n ? table_make(table, keys, n) : 0;

	if (size && *used + size <= TABLES_MAX && b->pool.n + TABLES_MAX <= C_POOL_MAX) {
		*used += size;
		rc = c_pool(&at, table, size, 8, &f->among);
	}
	free(table);
	return rc;
}

/* --- what is ignored -------------------------------------------------------------------------------------------------- */

/* Takes it back from all that a message whose rules are ignored somewhere can hold. */
static int ignored_spread(struct build *b)
{
	uint32_t *todo = calloc(b->messages.n + 1, sizeof *todo), n = 0;
	uint8_t *seen = calloc(b->messages.n + 1, 1);
	int rc = todo && seen ? 0 : b_nomem(b);

	for (uint32_t i = 0; i < b->fields.n && !rc; i++) {
		const struct b_field *f = B_FIELD(b, i);

		if (f->flags & SCH_F_IGNORED && !seen[f->sub]) {
			seen[f->sub] = 1;
			todo[n++] = f->sub;
		}
	}
	for (uint32_t t = 0; t < n && !rc; t++) {
		const struct b_message *m = B_MSG(b, todo[t]);

		for (uint32_t k = 0; k < m->n_fields; k++) {
			struct b_field *f = B_FIELD(b, m->first + k);

			f->flags &= ~(uint32_t)SCH_F_CONFINED;
			if ((f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP) && !seen[f->sub]) {
				seen[f->sub] = 1;
				todo[n++] = f->sub;
			}
		}
	}
	free(todo);
	free(seen);
	return rc;
}

int b_confine(struct build *b)
{
	size_t used = 0;
	int rc = 0;

	for (uint32_t i = 0; i < b->fields.n && !rc; i++) {
		struct b_field *f = B_FIELD(b, i);

		if (!is_confined(b, f))
			continue;
		f->flags |= SCH_F_CONFINED;
		rc = table_put(b, f, &used);
	}
	return rc ? rc : ignored_spread(b);
}
