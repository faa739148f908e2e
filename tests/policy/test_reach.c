/* SPDX-License-Identifier: BSD-2-Clause */
/* Who reaches whom: conditions that cannot hold, deny rules, replies, dry runs, what is missing, and what assertions come to;
 * then random graphs against a transitive closure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/reach.h"
#include "tests/policy/pairs_texts.h"


/* The path as text; "" where there is none. */
static const char *way(const struct pol_set *set, uint16_t from, uint16_t to, struct pol_reach_ask ask)
{
	static char text[1024];
	struct pol_reach *r;
	struct pol_path path;
	assert_int_equal(pol_reach_make(&r, set), 0);
	int rc = pol_reach_path(r, from, to, &ask, &path);
	assert_in_range(rc, 0, 1);
	text[0] = '\0';
	if (rc == 1)
		pol_path_text(set, &path, text, sizeof text);
	pol_path_free(&path);
	pol_reach_free(r);
	return text;
}

static const char *gap_of(const struct pol_set *set, uint16_t from, uint16_t to, struct pol_reach_ask ask)
{
	static char text[1024];
	struct pol_reach *r;
	struct pol_gap gap;
	assert_int_equal(pol_reach_make(&r, set), 0);
	assert_int_equal(pol_reach_gap(r, from, to, &ask, &gap), 0);
	pol_gap_text(set, &gap, text, sizeof text);
	pol_reach_free(r);
	return text;
}

#define ANY      ((struct pol_reach_ask){.subject = 0})
#define DIRECTLY ((struct pol_reach_ask){.directly = 1})
#define SURE     ((struct pol_reach_ask){.sure = 1})

/* a tells b, b tells c; nobody tells anybody else. */
static const struct texts_file chain[] = {
    {"a", "send:\n  - to: b\n    message: pairs.Ping\n"},
    {"b", "send:\n  - to: c\n    message: pairs.Order\nreceive:\n  - from: a\n    message: pairs.Ping\n"},
    {"c", "receive:\n  - from: b\n    message: pairs.Order\n"},
    {NULL, NULL},
};

static void test_through_others(void **state)
{
	(void)state;
	struct pol_set *set = compiled(chain, NULL);
	assert_string_equal(way(set, 1, 3, ANY),
			    "a -> b (pairs.Ping; a.yaml:3, b.yaml:6) -> c (pairs.Order; b.yaml:3, c.yaml:3)");
	assert_string_equal(way(set, 1, 2, DIRECTLY), "a -> b (pairs.Ping; a.yaml:3, b.yaml:6)");
	assert_string_equal(way(set, 1, 3, DIRECTLY), "");
	assert_string_equal(way(set, 3, 1, ANY), "");
	assert_string_equal(way(set, 2, 1, ANY), "");
	uint64_t ping;
	assert_true(pol_subject_find(set, "pairs.Ping", &ping, NULL, NULL));
	assert_string_equal(way(set, 1, 3, (struct pol_reach_ask){.subject = ping}), "");
	assert_string_not_equal(way(set, 1, 2, (struct pol_reach_ask){.subject = ping}), "");
	pol_set_free(set);
}

static void test_a_reply_flows_back(void **state)
{
	(void)state;
	static const struct texts_file files[] = {
	    {"a", "send:\n  - to: b\n    method: pairs.Shop/Buy\n"},
	    {"b", "receive:\n  - from: a\n    method: pairs.Shop/Buy\n"},
	    {NULL, NULL},
	};
	struct pol_set *set = compiled(files, NULL);
	assert_string_equal(way(set, 2, 1, ANY), "b -> a (the reply to pairs.Shop/Buy; a.yaml:3, b.yaml:3)");
	assert_string_equal(way(set, 2, 1, DIRECTLY), "");
	pol_set_free(set);
}

static void test_conditions(void **state)
{
	(void)state;
	static const struct {
		const char *send, *receive, *deny;
		const char *way; /* what is between the subject and the rules; NULL: there is none */
	} cases[] = {
	    {"this.amount > 5", "this.amount < 9", "false", ""},
	    {"this.amount > 5", "this.amount < 5", "false", NULL},
	    {"this.amount > 5 && this.amount < 5", "true", "false", NULL},
	    {"this.amount > 5", "true", "this.amount > 4", NULL},
	    {"this.amount > 5", "true", "this.amount > 7", ""},
	    {"this.amount > 5", "true", "true", NULL},
	    {"peer.name == \"b\"", "peer.name == \"a\"", "false", ""},
	    {"peer.name == \"c\"", "true", "false", NULL},
	    {"this.note.matches(\"x+\")", "true", "false", ", perhaps"},
	    {"this.note.matches(\"x+\") && this.amount > 3", "this.amount < 3", "false", NULL},
	    {"this.amount > 5", "true", "this.note.matches(\"x+\")", ", perhaps"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char a[256], b[512], want[256] = "";
		snprintf(a, sizeof a, "send:\n  - to: b\n    message: pairs.Ping\n    where: '%s'\n", cases[i].send);
		snprintf(b, sizeof b,
			 "receive:\n  - from: a\n    message: pairs.Ping\n    where: '%s'\ndeny:\n  - from: a\n    "
			 "message: pairs.Ping\n"
			 "    where: '%s'\n",
			 cases[i].receive, cases[i].deny);
		const struct texts_file files[] = {{"a", a}, {"b", b}, {NULL, NULL}};
		struct pol_set *set = compiled(files, NULL);
		if (cases[i].way != NULL)
			snprintf(want, sizeof want, "a -> b (pairs.Ping%s; a.yaml:3, b.yaml:3)", cases[i].way);
		const char *is = way(set, 1, 2, ANY);
		if (strcmp(is, want) != 0)
			fail_msg("%s / %s / %s: \"%s\", not \"%s\"", cases[i].send, cases[i].receive, cases[i].deny, is, want);
		int sure = cases[i].way != NULL && cases[i].way[0] == '\0';
		assert_int_equal(way(set, 1, 2, SURE)[0] != '\0', sure);
		pol_set_free(set);
	}
}

static void test_dry_runs(void **state)
{
	(void)state;
	static const struct texts_file files[] = {
	    {"a", "mode: observe\n"},
	    {"b", "mode: observe\nreceive:\n  - from: c\n    message: pairs.Ping\n"},
	    {"c", "send:\n  - to: [b, d]\n    message: pairs.Ping\n"},
	    {"d", "receive:\n  - from: c\n    message: pairs.Ping\n    mode: observe\n    where: 'this.amount < 0 && "
		  "this.amount > 0'\n"},
	    {NULL, NULL},
	};
	struct pol_set *set = compiled(files, NULL);
	/* both files as a whole: anything */
	assert_string_equal(way(set, 1, 2, ANY), "a -> b (anything, only observed; a.yaml:1, b.yaml:3)");
	assert_string_equal(way(set, 1, 2, SURE), "");
	assert_string_equal(way(set, 2, 1, ANY), "b -> a (anything, only observed; b.yaml:1, a.yaml:1)");
	/* allowed, and only observed because the condition never holds */
	assert_string_equal(way(set, 3, 2, SURE), "c -> b (pairs.Ping; c.yaml:3, b.yaml:4)");
	assert_string_equal(way(set, 3, 4, ANY), "c -> d (pairs.Ping, only observed; c.yaml:3, d.yaml:3)");
	assert_string_equal(way(set, 3, 4, SURE), "");
	/* c's file is enforced, so nothing comes from a to it, nor from it to a of its own accord but through b */
	assert_string_equal(way(set, 1, 3, ANY), "");
	assert_string_equal(way(set, 3, 1, ANY),
			    "c -> b (pairs.Ping; c.yaml:3, b.yaml:4) -> a (anything, only observed; b.yaml:1, a.yaml:1)");
	pol_set_free(set);
}

static void test_what_is_missing(void **state)
{
	(void)state;
	static const struct texts_file files[] = {
	    {"a", "send:\n  - to: b\n    message: pairs.Ping\n"},
	    {"b", "send:\n  - to: c\n    message: pairs.Order\n    where: this.amount > 3\nreceive:\n  - from: a\n    "
		  "message: pairs.Ping\n"},
	    {"c", "receive:\n  - from: b\n    message: pairs.Ping\n"},
	    {"d", "receive:\n  - from: c\n    message: pairs.Order\n"},
	    {NULL, NULL},
	};
	struct pol_set *set = compiled(files, NULL);
	assert_string_equal(gap_of(set, 1, 3, ANY),
			    "nothing lets b talk to c with pairs.Order; b.yaml:3 has \"send pairs.Order to c\", but c.yaml:2 has "
			    "\"default: receive nothing else\"");
	assert_string_equal(gap_of(set, 1, 3, DIRECTLY), "nothing lets a talk to c; a.yaml:2 has \"default: send nothing else\"");
	assert_string_equal(
	    gap_of(set, 3, 4, ANY),
	    "nothing lets c talk to d with pairs.Order; d.yaml:3 has \"receive pairs.Order from c\", but c.yaml:1 has "
	    "\"default: send nothing else\"");
	pol_set_free(set);
}

static void check_assertion(const char *assertion, int holds, const char *text)
{
	static const struct texts_file files[] = {
	    {"a", "send:\n  - to: b\n    message: pairs.Ping\nlabels: {zone: x}\n"},
	    {"b", "send:\n  - to: c\n    method: pairs.Shop/Buy\nreceive:\n  - from: [a, d]\n    message: pairs.Ping\n"},
	    {"c", "receive:\n  - from: b\n    method: pairs.Shop/Buy\nlabels: {zone: y}\n"},
	    {"d", "send:\n  - to: b\n    message: pairs.Ping\n    where: this.note.matches('x+')\nlabels: {zone: x}\n"},
	    {"e", "mode: observe\nreceive:\n  - from: any\n    message: pairs.Order\n"},
	    {"f", "mode: observe\n"},
	    {NULL, NULL},
	};
	char common[256];
	snprintf(common, sizeof common, "groups:\n  g: [a, c]\nassert:\n  - %s\n", assertion);
	struct pol_set *set = compiled(files, common);
	struct pol_reach *r;
	struct pol_verdict v;
	assert_int_equal(pol_reach_make(&r, set), 0);
	assert_int_equal(pol_assertion_count(set), 1);
	assert_int_equal(pol_assertion_check(r, 0, &v), 0);
	if (v.holds != holds || strcmp(v.text, text) != 0)
		fail_msg("%s: %s, \"%s\"; not %s, \"%s\"", assertion, v.holds ? "holds" : "does not hold", v.text,
			 holds ? "holds" : "does not hold", text);
	assert_false(v.undecided);
	assert_int_equal(v.from == 0, holds);
	pol_verdict_free(&v);
	pol_reach_free(r);
	pol_set_free(set);
}

static void test_assertions(void **state)
{
	(void)state;
	check_assertion("never: a talks to c", 1, "");
	check_assertion("never: a reaches c", 0,
			"a -> b (pairs.Ping; a.yaml:3, b.yaml:6) -> c (pairs.Shop/Buy; b.yaml:3, c.yaml:3)");
	check_assertion("never: c talks to b", 1, "");
	check_assertion("never: c reaches b", 0, "c -> b (the reply to pairs.Shop/Buy; b.yaml:3, c.yaml:3)");
	check_assertion("never: any reaches a", 1, "");
	check_assertion("never: a reaches any", 0, "a -> b (pairs.Ping; a.yaml:3, b.yaml:6)");
	/* a perhaps is a way */
	check_assertion("never: d talks to b", 0, "d -> b (pairs.Ping, perhaps; d.yaml:3, b.yaml:6)");
	check_assertion("always: a talks to b", 1, "");
	check_assertion("always: a talks to b with pairs.Ping", 1, "");
	check_assertion("always: a talks to b with pairs.Order", 0,
			"nothing lets a talk to b with pairs.Order; a.yaml:2 has \"default: send nothing else\"");
	/* but not one to rely on */
	check_assertion("always: label:zone=x talks to b", 0,
			"only where it is not sure: d -> b (pairs.Ping, perhaps; d.yaml:3, b.yaml:6)");
	check_assertion("always: f talks to e", 0,
			"only where it is not sure: f -> e (pairs.Order, only observed; f.yaml:1, e.yaml:4)");
	check_assertion("never: f talks to e", 0, "f -> e (pairs.Order, only observed; f.yaml:1, e.yaml:4)");
	check_assertion("never: f talks to e with pairs.Ping", 0, "f -> e (pairs.Ping, only observed; f.yaml:1, e.yaml:3)");
	/* a member of both sides is not asked about itself */
	check_assertion("always: group:g reaches group:g", 0,
			"nothing lets c talk to a; c.yaml:1 has \"default: send nothing else\"");
	check_assertion("never: group:g reaches group:g", 0,
			"a -> b (pairs.Ping; a.yaml:3, b.yaml:6) -> c (pairs.Shop/Buy; b.yaml:3, c.yaml:3)");
	check_assertion("always: group:g reaches c", 1, "");
}

static void test_edges(void **state)
{
	(void)state;
	static const struct texts_file files[] = {
	    {"a", "send:\n  - to: b\n    message: [pairs.Ping, pairs.Order]\n"},
	    {"b", "receive:\n  - from: a\n    message: pairs.Ping\n  - from: a\n    message: pairs.Done\ndeny:\n  - from: a\n"
		  "    message: pairs.Ping\n    where: this.amount > 3\n"},
	    {NULL, NULL},
	};
	struct pol_set *set = compiled(files, NULL);
	struct pol_reach *r;
	struct pol_edge e;
	assert_int_equal(pol_reach_make(&r, set), 0);
	assert_int_equal(pol_edge_count(r), 3); /* by name: Done, Order, Ping */
	assert_int_equal(pol_edge_get(r, 0, &e), 0);
	assert_string_equal(pol_subject_name(set, e.hop.subject), "pairs.Done");
	assert_true(e.none && !e.denied && pol_rule(set, e.hop.rule[POL_SEND])->is_default);
	assert_int_equal(pol_rule(set, e.hop.rule[POL_RECEIVE])->line, 5);
	assert_int_equal(pol_edge_get(r, 2, &e), 0);
	assert_string_equal(pol_subject_name(set, e.hop.subject), "pairs.Ping");
	assert_true(!e.none && e.denied && !e.hop.perhaps && !e.hop.observed && !e.is_method);
	assert_int_equal(pol_rule(set, e.denied)->line, 8);
	pol_reach_free(r);
	pol_set_free(set);
}

#define NODES 8u

/* Random graphs of plain rules: what is reached must be the transitive closure, and no path longer than the shortest. */
static void test_against_a_closure(void **state)
{
	(void)state;
	uint64_t random = 88172645463325252u;
	uint32_t reached = 0, not_reached = 0;
	for (int round = 0; round < 300; round++) {
		unsigned hops[NODES][NODES];
		char rules[NODES][2048], name[NODES][8];
		struct texts_file files[NODES + 1] = {{NULL, NULL}};
		uint8_t talks[NODES][NODES] = {{0}}, calls[NODES][NODES] = {{0}};
		for (unsigned i = 0; i < NODES; i++)
			for (unsigned k = 0; k < NODES; k++) {
				random ^= random << 13;
				random ^= random >> 7;
				random ^= random << 17;
				talks[i][k] = i != k && (random >> 40) % 9 == 0;
				calls[i][k] = i != k && (random >> 20) % 17 == 0;
			}
		for (unsigned i = 0; i < NODES; i++) {
			size_t n = 0;
			for (int side = 0; side < 2; side++) {
				n += (size_t)snprintf(rules[i] + n, sizeof rules[i] - n, "%s:\n", side ? "receive" : "send");
				for (unsigned k = 0; k < NODES; k++)
					for (int call = 0; call < 2; call++) {
						const uint8_t(*edges)[NODES] = call ? calls : talks;
						if (side ? edges[k][i] : edges[i][k])
							n += (size_t)snprintf(
							    rules[i] + n, sizeof rules[i] - n, "  - %s: n%u\n    %s\n",
							    side ? "from" : "to", k,
							    call ? "method: pairs.Shop/Buy" : "message: pairs.Ping");
					}
			}
			snprintf(name[i], sizeof name[i], "n%u", i);
			files[i] = (struct texts_file){name[i], rules[i]};
			for (unsigned k = 0; k < NODES; k++)
				hops[i][k] = i == k ? 0 : talks[i][k] || calls[i][k] || calls[k][i] ? 1 : 1000;
		}
		for (unsigned via = 0; via < NODES; via++) /* Floyd and Warshall */
			for (unsigned i = 0; i < NODES; i++)
				for (unsigned k = 0; k < NODES; k++)
					if (hops[i][via] + hops[via][k] < hops[i][k])
						hops[i][k] = hops[i][via] + hops[via][k];
		struct pol_set *set = compiled(files, NULL);
		struct pol_reach *r;
		assert_int_equal(pol_reach_make(&r, set), 0);
		for (unsigned i = 0; i < NODES; i++)
			for (unsigned k = 0; k < NODES; k++) {
				struct pol_path path;
				struct pol_gap gap;
				if (i == k)
					continue;
				int rc = pol_reach_path(r, (uint16_t)(i + 1), (uint16_t)(k + 1), &ANY, &path);
				assert_int_equal(rc, hops[i][k] < 1000);
				assert_int_equal(path.n, rc ? hops[i][k] : 0);
				for (uint32_t h = 0; h < path.n; h++) {
					const struct pol_hop *x = &path.hops[h];
					assert_true(x->reply ? calls[x->to - 1][x->from - 1]
							     : talks[x->from - 1][x->to - 1] || calls[x->from - 1][x->to - 1]);
					assert_int_equal(x->from, h ? path.hops[h - 1].to : i + 1);
				}
				pol_path_free(&path);
				if (!rc) {
					assert_int_equal(pol_reach_gap(r, (uint16_t)(i + 1), (uint16_t)(k + 1), &ANY, &gap), 0);
					assert_true(pol_rule(set, gap.rule) != NULL);
				}
				*(rc ? &reached : &not_reached) += 1;
			}
		pol_reach_free(r);
		pol_set_free(set);
	}
	assert_true(reached > 2000 && not_reached > 2000);
}

/* The first member of a that has no way to, or (never) one to, some member of b; asked pair by pair. */
static int by_pairs(struct pol_reach *r, const struct pol_assertion *a)
{
	struct pol_reach_ask ask = {.subject = a->subject, .directly = a->directly, .sure = !a->never};
	for (uint32_t i = 0; i < a->n_from; i++)
		for (uint32_t k = 0; k < a->n_to; k++) {
			struct pol_path path;
			if (a->from[i] == a->to[k])
				continue;
			int rc = pol_reach_path(r, a->from[i], a->to[k], &ask, &path);
			pol_path_free(&path);
			if (rc == a->never)
				return 0;
		}
	return 1;
}

static void test_assertions_by_pairs(void **state)
{
	(void)state;
	static const char *const side[] = {"any", "group:g", "group:h", "a", "label:z=1"};
	uint64_t random = 362436069u;
	uint32_t count[2][2] = {{0}};
	for (int round = 0; round < 120; round++) {
		char rules[6][1024], common[4096];
		static const char *const name[] = {"a", "b", "c", "d", "e", "f"};
		struct texts_file files[7] = {{NULL, NULL}};
		uint64_t edges[2];
		for (int i = 0; i < 2; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			edges[i] = random | (round % 3 == 0 ? random << 9 : 0);
		}
		for (unsigned i = 0; i < 6; i++) {
			size_t n = (size_t)snprintf(rules[i], sizeof rules[i], "mode: %s\nlabels: {z: %u}\n",
						    (edges[1] >> i & 7) == 7 ? "observe" : "enforce", i % 2);
			for (int s = 0; s < 2; s++) {
				n += (size_t)snprintf(rules[i] + n, sizeof rules[i] - n, "%s:\n", s ? "receive" : "send");
				for (unsigned k = 0; k < 6; k++)
					if (i != k && edges[0] >> (s ? k * 6 + i : i * 6 + k) & 1)
						n += (size_t)snprintf(rules[i] + n, sizeof rules[i] - n,
								      "  - %s: %s\n    message: pairs.Ping\n",
								      s ? "from" : "to", name[k]);
			}
			files[i] = (struct texts_file){name[i], rules[i]};
		}
		size_t n = (size_t)snprintf(common, sizeof common, "groups:\n  g: [b, c]\n  h: [c, d, e]\nassert:\n");
		for (unsigned i = 0; i < 5; i++)
			for (unsigned k = 0; k < 5; k++)
				n += (size_t)snprintf(common + n, sizeof common - n, "  - %s: %s %s %s\n",
						      (i + k) % 2 ? "never" : "always", side[i],
						      round % 2 ? "reaches" : "talks to", side[k]);
		struct pol_err err;
		struct pol_set *set = texts_compile(files, common, schemas, &err);
		struct pol_reach *r;
		if (set == NULL)
			fail_msg("%s:%u: %s", err.file, err.line, err.text);
		assert_int_equal(pol_reach_make(&r, set), 0);
		for (uint32_t i = 0; i < pol_assertion_count(set); i++) {
			const struct pol_assertion *a = pol_assertion_get(set, i);
			struct pol_verdict v;
			assert_int_equal(pol_assertion_check(r, i, &v), 0);
			if (v.holds != by_pairs(r, a))
				fail_msg("%s: %s %s", a->never ? "never" : "always", a->text, v.text);
			assert_int_equal(v.text[0] == '\0', v.holds);
			count[a->never][v.holds]++;
			pol_verdict_free(&v);
		}
		pol_reach_free(r);
		pol_set_free(set);
	}
	print_message("never: %u broken, %u hold; always: %u broken, %u hold\n", count[1][0], count[1][1], count[0][0],
		      count[0][1]);
	for (int i = 0; i < 4; i++)
		assert_true(count[i / 2][i % 2] > 40);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_through_others),
	    cmocka_unit_test(test_a_reply_flows_back),
	    cmocka_unit_test(test_conditions),
	    cmocka_unit_test(test_dry_runs),
	    cmocka_unit_test(test_what_is_missing),
	    cmocka_unit_test(test_assertions),
	    cmocka_unit_test(test_edges),
	    cmocka_unit_test(test_against_a_closure),
	    cmocka_unit_test(test_assertions_by_pairs),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, schemas_load, schemas_free);
}
