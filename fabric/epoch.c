/* SPDX-License-Identifier: BSD-2-Clause */
/* Making epochs from what the two compilers gave. Nothing here runs on the data path. */
#include "epoch.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "fail.h"
#include "policies.h"

/* What both sides' rules list becomes the inspector's sets. */
static int content_make(struct fab_epoch *e, const struct pol_set *policy, char *err, size_t cap)
{
	uint32_t n = pol_content_count(policy);
	struct dpi_err de = {""};
	struct pol_err pe = {.file = ""};
	int r = fab_check_carries(policy, &pe);

	if (r != 0)
		return fab_fail(err, cap, r, "%s:%u: %s", pe.file, pe.line, pe.text);
	e->content = calloc(n + 1u, sizeof(e->content[0]));
	if (e->content == NULL)
		return fab_fail(err, cap, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < n; i++) {
		r = fab_content_set(&e->content[i], policy, i, &de);
		if (r != 0)
			return fab_fail(err, cap, r, "%s", de.text);
	}
	return 0;
}

int fab_epoch_make(struct fab_epoch **out, struct sch_set *schemas, struct pol_set *policy, char *err, size_t cap)
{
	struct fab_epoch *e = calloc(1, sizeof(*e));
	int r = -ENOMEM;

	*out = NULL;
	if (e == NULL)
		return fab_fail(err, cap, r, "no memory");
	e->number = pol_epoch(policy);
	e->n_books = pol_book_count(policy);
	e->books = calloc(e->n_books + 1u, sizeof(e->books[0]));
	if (e->books == NULL)
		fab_fail(err, cap, r, "no memory");
	else
		r = content_make(e, policy, err, cap);
	if (r != 0) {
		fab_epoch_free(e);
		return r;
	}
	e->schemas = schemas;
	e->policy = policy;
	*out = e;
	return 0;
}

void fab_epoch_free(struct fab_epoch *e)
{
	if (e == NULL)
		return;
	pol_set_free(e->policy);
	sch_set_free(e->schemas);
	free(e->content);
	free(e->books);
	free(e->book_before);
	free(e->pair_change);
	fab_policies_put(e->policies);
	free(e->path);
	free(e->fdset);
	free(e);
}

void fab_digest(char out[FAB_DIGEST_LEN + 1], const uint8_t *bytes, size_t len)
{
	unsigned char h[crypto_generichash_BYTES];

	crypto_generichash(h, sizeof(h), bytes, len, NULL, 0);
	sodium_bin2hex(out, FAB_DIGEST_LEN + 1, h, FAB_DIGEST_LEN / 2);
}

/* --- books that go on ----------------------------------------------------------------------------------------------- */

/* A book and by what its rule is known from one epoch to the next: its name in its file; or, without one, all that it says. */
struct known {
	uint64_t key;
	uint32_t book;
	uint32_t nth; /* of those with this key: rules that say the same are told apart by their order */
};

static uint64_t mix(uint64_t h, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3ull; /* FNV-1a */
	return h;
}

static uint64_t mix_text(uint64_t h, const char *text)
{
	return text != NULL ? mix(h, text, strlen(text) + 1) : mix(h, "\1", 1);
}

static uint64_t mix_word(uint64_t h, uint64_t word)
{
	return mix(h, &word, sizeof(word));
}

static uint64_t key_of(const struct pol_rule_info *r, const struct pol_limits *l)
{
	uint64_t h = mix_word(mix_word(0xcbf29ce484222325ull, r->owner), r->side);

	/* Messages are not bytes: a named rule that counts something else begins anew. */
	if (r->name != NULL)
		return mix_word(mix_text(h, r->name), l->quota_bytes);
	h = mix_text(mix_text(mix_word(h, l->max_bytes), r->text), r->where);
	h = mix_word(mix_word(mix_word(h, l->rate), l->period_ns), l->burst);
	h = mix_word(mix_word(mix_word(h, l->quota), l->quota_bytes), l->log);
	for (uint32_t i = 0; i < l->n_carries; i++)
		h = mix_text(h, l->carries[i]);
	for (uint32_t i = 0; i < l->n_fields; i++)
		for (uint32_t k = 0; k < l->fields[i].n; k++)
			h = mix_text(mix_word(h, i), l->fields[i].names[k]);
	return h;
}

static int same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static int same_rule(const struct pol_set *a, uint32_t rule_a, const struct pol_set *b, uint32_t rule_b)
{
	const struct pol_rule_info *x = pol_rule(a, rule_a), *y = pol_rule(b, rule_b);

	if (x->owner != y->owner || x->side != y->side || !same_text(x->name, y->name))
		return 0;
	return x->name != NULL || (same_text(x->text, y->text) && same_text(x->where, y->where));
}

static int by_key(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->book < y->book ? -1 : x->book > y->book;
}

/* All books in the order of their keys, then of their rules. NULL: no memory. */
static struct known *know(const struct pol_set *policy)
{
	uint32_t n = pol_book_count(policy);
	struct known *k = calloc(n + 1u, sizeof(k[0]));

	if (k == NULL)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t rule = pol_book_rule(policy, i);
		struct pol_limits limits = {.max_bytes = 0};

		pol_rule_limits(policy, rule, &limits);
		k[i] = (struct known){.key = key_of(pol_rule(policy, rule), &limits), .book = i};
	}
	qsort(k, n, sizeof(k[0]), by_key);
	for (uint32_t i = 1; i < n; i++)
		k[i].nth = k[i].key == k[i - 1].key ? k[i - 1].nth + 1u : 0;
	return k;
}

static int books_map(struct fab_epoch *e, const struct fab_epoch *before)
{
	struct known *now = know(e->policy), *then = know(before->policy);
	int r = -ENOMEM;

	e->book_before = calloc(e->n_books + 1u, sizeof(e->book_before[0]));
	if (now == NULL || then == NULL || e->book_before == NULL)
		goto out;
	for (uint32_t i = 0, k = 0; i < e->n_books && k < before->n_books;) {
		int order = now[i].key != then[k].key ? (now[i].key < then[k].key ? -1 : 1)
						      : (now[i].nth > then[k].nth) - (now[i].nth < then[k].nth);

		/* A key says who is meant; what they say decides. */
		if (order == 0 && same_rule(e->policy, pol_book_rule(e->policy, now[i].book), before->policy,
					    pol_book_rule(before->policy, then[k].book)))
			e->book_before[now[i].book] = then[k].book + 1;
		i += order <= 0;
		k += order >= 0;
	}
	r = 0;
out:
	free(now);
	free(then);
	return r;
}

int fab_epoch_follow(struct fab_epoch *e, const struct fab_epoch *before, char *err, size_t cap)
{
	int r = books_map(e, before);

	if (r != 0)
		fab_fail(err, cap, r, "no memory");
	return r;
}
