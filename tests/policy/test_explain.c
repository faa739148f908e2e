/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told of a decision against the decision, over random policies and messages: both sides' accounts, and the remedies. That
 * what a remedy says works is tried in tests/system/test_policy.py, with files as they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guest-lib/wire.h"
#include "policy/explain.h"
#include "policy/policy.h"
#include "schemas/schema.h"
#include "tests/policy/pairs_make.h"
#include "tests/policy/pairs_texts.h"

#define POLICIES 60u
#define PAIRS_OF_ONE_POLICY 400u

static struct pairs pairs;

/* One policy set of them, and what it was made of. */
struct made {
	struct p_source texts;
	struct pol_source source;
	struct pol_set *set;
	struct pol_book *books;
};

struct tally {
	uint64_t refused, observed, unknown, remedies[POL_REMEDY_COUNT], denials;
};

static void make(struct made *m)
{
	struct pol_err err = {.file = ""};
	p_policy(&pairs);
	m->source = p_source(&pairs, &m->texts);
	m->set = NULL;
	if (pol_compile(&m->set, &m->source, schemas, 1, NULL, &err) != 0)
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
	m->books = calloc(pol_book_count(m->set) + 1u, sizeof *m->books);
	assert_non_null(m->books);
}

static int is_sides(enum pol_answer a)
{
	return a == POL_SEND_DENIED || a == POL_RECEIVE_DENIED || a == POL_FORBIDDEN || a == POL_WHERE_UNMET;
}

static void wrong(const struct pol_question *q, const struct pol_decision *d, const struct pol_account a[2])
{
	fprintf(stderr, "%s\n%s\n%s", pairs.common, pairs.text[q->src - 1], pairs.text[q->dst - 1]);
	fail_msg("%s by %u, observed %s by %u; the sender's account: %d %d %s by %u; the receiver's: %d %d %s by %u",
		 pol_answer_name(d->answer), d->rule, pol_answer_name(d->observed), d->observed_rule, a[0].refuses, a[0].observed,
		 pol_answer_name(a[0].answer), a[0].rule, a[1].refuses, a[1].observed, pol_answer_name(a[1].answer), a[1].rule);
}

static void accounts_check(const struct pol_question *q, const struct pol_decision *d, struct tally *t)
{
	struct pol_account a[2];
	for (int side = 0; side < 2; side++) {
		pol_account_make(q, (enum pol_side)side, &a[side]);
		if (a[side].unknown)
			wrong(q, d, a);
	}
	const struct pol_account *first = a[0].refuses ? &a[0] : a[1].refuses ? &a[1] : NULL;
	/* What a side has no rule for is refused before the other's conditions are looked at. */
	if (d->answer == POL_RECEIVE_DENIED)
		first = &a[1];
	int same = first == NULL ? !is_sides(d->answer) : d->answer == first->answer && d->rule == first->rule;
	if (same && d->answer == POL_ALLOW) {
		first = a[0].observed ? &a[0] : a[1].observed ? &a[1] : NULL;
		same = first == NULL ? !is_sides(d->observed) : d->observed == first->answer && d->observed_rule == first->rule;
		t->observed += first != NULL;
	}
	t->refused += first != NULL && first->refuses;
	if (!same)
		wrong(q, d, a);
	/* Of the allow rules of a side at most one applies, and none where it refuses by default. */
	for (int side = 0; side < 2; side++) {
		uint32_t applied = 0;
		for (uint32_t i = 0; i < a[side].n; i++) {
			applied += a[side].told[i].applied && !a[side].told[i].deny;
			t->denials += a[side].told[i].deny;
			assert_non_null(pol_rule(q->set, a[side].told[i].rule));
		}
		assert_true(applied <= 1);
	}
}

/* Without the message nothing is said that the message would belie. */
static void unknown_check(const struct pol_question *q, struct tally *t)
{
	for (int side = 0; side < 2; side++) {
		struct pol_question blind = *q;
		struct pol_account with, without;
		blind.msg = NULL;
		pol_account_make(q, (enum pol_side)side, &with);
		pol_account_make(&blind, (enum pol_side)side, &without);
		if (without.unknown)
			t->unknown++;
		else
			assert_int_equal(without.refuses, with.refuses);
		assert_int_equal(without.n, with.n);
	}
}

struct remedies {
	const struct pol_set *set;
	struct tally *t;
	uint32_t n;
};

static void remedy_look(void *arg, const struct pol_remedy *r)
{
	struct remedies *all = arg;
	assert_in_range(r->kind, 0, POL_REMEDY_COUNT - 1);
	assert_true(r->text[0] != '\0');
	assert_true(r->kind != POL_REMEDY_ADD || (r->yaml != NULL && r->file != NULL));
	assert_true(r->kind != POL_REMEDY_NARROW || pol_rule(all->set, r->rule)->deny);
	assert_true(r->line == 0 || pol_rule(all->set, r->rule)->line == r->line);
	assert_true(all->n > 0 || !r->instead);
	assert_string_not_equal(pol_remedy_name(r->kind), "?");
	all->n++;
	all->t->remedies[r->kind]++;
}

static void remedies_check(const struct pol_question *q, const struct pol_decision *d, struct tally *t)
{
	struct remedies all = {q->set, t, 0};
	int observed = d->answer == POL_ALLOW && d->observed != POL_ALLOW;
	assert_int_equal(pol_remedies(q, d->answer, observed ? d->observed_rule : d->rule, observed, remedy_look, &all), 0);
	assert_true(all.n > 0 || q->src == q->dst);
}

static void one_pair(const struct made *m, uint32_t i, struct tally *t)
{
	uint8_t bytes[256 + SCH_PAD] = {0};
	const struct pol_when when = {.mono_ns = UINT64_C(1) << 40, .unix_s = 20000 * 86400 + 7};
	uint32_t n = pol_entry_count(m->set);
	int src = (int)p_draw(&pairs, R_NODES), dst = (int)p_draw(&pairs, R_NODES), subject = (int)p_draw(&pairs, R_DONE);
	const struct pol_entry *e = p_draw(&pairs, 2) != 0 && n > 0 ? pol_entry_get(m->set, p_draw(&pairs, n)) : NULL;
	for (int s = 0; e != NULL && s < R_DONE; s++)
		if (weft_subject(p_subject[s]) == e->subject) {
			src = e->src - 1;
			dst = e->dst - 1;
			subject = s;
		}
	if (src == dst)
		return;
	struct r_message message;
	struct pol_question q = {.set = m->set, .src = (uint16_t)(src + 1), .dst = (uint16_t)(dst + 1), .msg = bytes, .when = &when,
				 .source = &m->source};
	p_message(&pairs, subject, &message, bytes);
	q.len = message.bytes;
	assert_int_equal(pol_subject_find(m->set, p_subject[subject], &q.subject, &q.type, NULL), 1);
	memset(m->books, 0, pol_book_count(m->set) * sizeof *m->books);
	struct pol_decision d = pol_decide(m->set, m->books, q.src, q.dst, q.subject, q.len, &when);
	if (d.answer == POL_JUDGE)
		pol_judge(m->set, m->books, q.src, q.dst, q.msg, q.len, &when, &d);
	accounts_check(&q, &d, t);
	unknown_check(&q, t);
	if (i % 20 == 0)
		remedies_check(&q, &d, t);
}

static void test_against_the_decision(void **state)
{
	struct tally t = {.refused = 0};
	(void)state;
	pairs.random = UINT64_C(1181783497276652981);
	for (uint32_t k = 0; k < POLICIES; k++) {
		struct made m;
		make(&m);
		for (uint32_t i = 0; i < PAIRS_OF_ONE_POLICY; i++)
			one_pair(&m, i, &t);
		free(m.books);
		pol_set_free(m.set);
	}
	print_message("%" PRIu64 " refused, %" PRIu64 " only observed, %" PRIu64 " unknown without the message, %" PRIu64
		      " deny rules told\n",
		      t.refused, t.observed, t.unknown, t.denials);
	for (int i = 0; i < POL_REMEDY_COUNT; i++)
		print_message("  %-8s %" PRIu64 "\n", pol_remedy_name((enum pol_remedy_kind)i), t.remedies[i]);
	/* A comparison of nothing proves nothing. */
	assert_true(t.refused > 1000 && t.observed > 1000 && t.unknown > 1000 && t.denials > 1000);
	for (int i = 0; i < POL_REMEDY_COUNT; i++)
		assert_true(t.remedies[i] > 10);
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < POL_REMEDY_COUNT; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(pol_remedy_name((enum pol_remedy_kind)i), pol_remedy_name((enum pol_remedy_kind)k));
	assert_string_equal(pol_remedy_name(POL_REMEDY_COUNT), "?");
	assert_string_equal(pol_told_name(POL_TOLD_FAILED), "error");
	assert_string_equal(pol_told_name((enum pol_told_state)99), "?");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_against_the_decision),
	    cmocka_unit_test(test_names),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, schemas_load, schemas_free);
}
