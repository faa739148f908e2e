/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiled tables against the reference, over random policies and messages. WEFT_PAIRS says how many pairs; `make
 * policy-pairs` runs ten million. WEFT_PAIRS_SEED starts at another place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guest-lib/wire.h"
#include "policy/policy.h"
#include "schemas/schema.h"
#include "tests/policy/pairs_make.h"
#include "tests/policy/pairs_texts.h"

#define PAIRS_OF_ONE_POLICY 2000u
#define START UINT64_C(100000000000)

static const enum pol_answer as_ours[] = {
    [R_ALLOW] = POL_ALLOW,
    [R_UNKNOWN] = POL_SUBJECT_UNKNOWN,
    [R_SEND_DENIED] = POL_SEND_DENIED,
    [R_RECEIVE_DENIED] = POL_RECEIVE_DENIED,
    [R_FORBIDDEN] = POL_FORBIDDEN,
    [R_UNMET] = POL_WHERE_UNMET,
    [R_TOO_LARGE] = POL_TOO_LARGE,
    [R_OVER_RATE] = POL_OVER_RATE,
    [R_OVER_QUOTA] = POL_OVER_QUOTA,
};

struct tally {
	uint64_t answer[POL_ANSWER_COUNT], observed[POL_ANSWER_COUNT], judged;
};

static struct pairs pairs;

static struct pol_set *random_set(void)
{
	struct p_source texts;
	const struct pol_source source = p_source(&pairs, &texts);
	struct pol_set *set = NULL;
	struct pol_err err = {.file = ""};
	if (pol_compile(&set, &source, schemas, 1, NULL, &err) != 0) {
		for (int i = 0; i < R_NODES; i++)
			if (strcmp(err.file, p_name[i]) == 0)
				fprintf(stderr, "%s", pairs.text[i]);
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
	}
	return set;
}

static void differ(const struct pol_set *set, int src, int dst, int subject, const struct r_message *m,
		   const struct pol_decision *is, const struct r_decision *want)
{
	const struct pol_rule_info *a = pol_rule(set, is->rule), *b = pol_rule(set, want->rule);
	fprintf(stderr, "%s\n%s\n%s", pairs.common, pairs.text[src], pairs.text[dst]);
	fprintf(stderr,
		"amount %" PRId64 " count %u note \"%s\" urgent %d kind %d item %d price %d tag \"%s\" codes %d [%d %d %d %d] "
		"level %d %d, %u bytes\n",
		m->amount, m->count, m->note, m->urgent, m->kind, m->has_item, m->price, m->tag, m->n_codes, m->codes[0],
		m->codes[1], m->codes[2], m->codes[3], m->has_level, m->level, m->bytes);
	fail_msg("%s to %s, %s: %s by rule %u (line %u, %s), observed %s by %u; the reference: %s by rule %u (line %u), observed "
		 "%s by %u",
		 p_name[src], p_name[dst], p_subject[subject], pol_answer_name(is->answer), is->rule, a != NULL ? a->line : 0,
		 is->why != NULL ? is->why : "-", pol_answer_name(is->observed), is->observed_rule,
		 pol_answer_name(as_ours[want->answer]), want->rule, b != NULL ? b->line : 0,
		 pol_answer_name(as_ours[want->observed]), want->observed_rule);
}

static void one_pair(const struct pol_set *set, struct pol_book *books, const struct r_now *now, struct tally *t)
{
	uint8_t bytes[256 + SCH_PAD] = {0};
	int src = (int)p_draw(&pairs, R_NODES), dst = (int)p_draw(&pairs, R_NODES);
	int subject = p_draw(&pairs, 8) == 0 ? (int)p_draw(&pairs, R_SUBJECTS) : (int)p_draw(&pairs, R_DONE);
	/* Most random pairs are covered by nothing; every other one is of a conversation that has an entry. */
	const struct pol_entry *e = p_draw(&pairs, 2) != 0 && pol_entry_count(set) > 0
					? pol_entry_get(set, p_draw(&pairs, pol_entry_count(set)))
					: NULL;
	for (int s = 0; e != NULL && s < R_SUBJECTS; s++)
		if (weft_subject(p_subject[s]) == e->subject) {
			src = e->src - 1;
			dst = e->dst - 1;
			subject = s;
		}
	const struct pol_when when = {.mono_ns = now->mono_ns, .unix_s = (int64_t)now->day * 86400 + 7};
	struct r_message m;
	p_message(&pairs, subject, &m, bytes);
	uint16_t from = (uint16_t)(src + 1), to = (uint16_t)(dst + 1);
	struct pol_decision d = pol_decide(set, books, from, to, weft_subject(p_subject[subject]), m.bytes, &when);
	if (d.answer == POL_JUDGE) {
		struct sch_result r;
		if (sch_validate(schemas, d.type, bytes, m.bytes, &r) != SCH_OK)
			fail_msg("a message of the test is no %s: %s", p_subject[subject], sch_reason_name(r.reason));
		pol_judge(set, books, from, to, bytes, m.bytes, &when, &d);
		t->judged++;
	}
	struct r_decision want = r_decide(pairs.file, src, dst, subject, &m, now);
	int same = d.answer == as_ours[want.answer] && d.rule == want.rule;
	if (d.answer == POL_ALLOW)
		same = same && d.observed == as_ours[want.observed] && d.terms.log == want.log &&
		       (d.observed == POL_ALLOW || d.observed_rule == want.observed_rule);
	if (!same)
		differ(set, src, dst, subject, &m, &d, &want);
	t->answer[d.answer]++;
	if (d.answer == POL_ALLOW)
		t->observed[d.observed]++;
}

static void test_against_the_reference(void **state)
{
	(void)state;
	const char *ask = getenv("WEFT_PAIRS"), *seed = getenv("WEFT_PAIRS_SEED");
	uint64_t n = ask != NULL ? strtoull(ask, NULL, 10) : 400000, policies = 0;
	struct tally t = {.judged = 0};
	pairs.random = UINT64_C(88172645463325252) + (seed != NULL ? strtoull(seed, NULL, 10) : 0);
	for (uint64_t done = 0; done < n; policies++) {
		p_policy(&pairs);
		struct pol_set *set = random_set();
		struct pol_book *books = calloc(pol_book_count(set) + 1u, sizeof *books);
		struct r_now now = {START, 20000};
		assert_non_null(books);
		for (uint32_t i = 0; i < PAIRS_OF_ONE_POLICY; i++, done++) {
			now.mono_ns += p_draw(&pairs, 1000000);
			now.day += p_draw(&pairs, 700) == 0;
			one_pair(set, books, &now, &t);
		}
		free(books);
		pol_set_free(set);
	}
	print_message("%" PRIu64 " pairs under %" PRIu64 " policies agree, %" PRIu64 " judged by their content:\n", n, policies,
		      t.judged);
	for (int i = 0; i < POL_ANSWER_COUNT; i++)
		if (i != POL_JUDGE)
			print_message("  %-16s %10" PRIu64 "   only observed %10" PRIu64 "\n",
				      pol_answer_name((enum pol_answer)i), t.answer[i], i == POL_ALLOW ? 0 : t.observed[i]);
	/* A comparison of nothing proves nothing. */
	for (int i = 0; i < POL_ANSWER_COUNT; i++)
		if (i != POL_JUDGE && n >= 400000) {
			assert_true(t.answer[i] >= n / 20000);
			assert_true(i == POL_SUBJECT_UNKNOWN || t.observed[i] >= n / 20000);
		}
	assert_true(t.judged >= n / 20);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_against_the_reference),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, schemas_load, schemas_free);
}
