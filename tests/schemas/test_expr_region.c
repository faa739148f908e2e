/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions: for each expression whether something is in it, how it is told, and the example; and for pairs, whether one holds
 * the other or both have nothing in common. Whether the evaluator agrees is test_expr_region_random.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/expr_region.h"
#include "tests/allocator.h"
#include "tests/schemas/fdset.h"

static struct sch_set *set;
static int order, ruled, old;

static int set_up(void **state)
{
	(void)state;
	set = fdset_compiled("region.proto region2.proto");
	if (!set)
		return -1;
	order = sch_type_find(set, "region.Order");
	ruled = sch_type_find(set, "region.Ruled");
	old = sch_type_find(set, "region.Old");
	return order < 0 || ruled < 0 || old < 0;
}

static int tear_down(void **state)
{
	(void)state;
	sch_set_free(set);
	return 0;
}

static const struct sch_label peer_labels[] = { { "tier", "edge" }, { "zone", "plant" } };
static const struct sch_party self_party = { "shop", 0, NULL }, peer_party = { "ledger", 2, peer_labels };

static struct sch_region *region_of(int type, const char *text, int parties)
{
	const struct sch_expr_var vars[] = { { "this", SCH_EXPR_MESSAGE, (uint32_t)type },
					     { "self", SCH_EXPR_PARTY, 0 },
					     { "peer", SCH_EXPR_PARTY, 0 },
					     { "now", SCH_EXPR_TIME, 0 } };
	const struct sch_expr_value values[4] = { [1] = { .party = &self_party }, [2] = { .party = &peer_party } };
	struct sch_region *r;
	struct sch_expr_err err;
	int rc = sch_region_of(&r, set, vars, 4, parties ? values : NULL, text, &err);

	if (rc)
		print_error("%s: %s\n", text, err.text);
	return rc ? NULL : r;
}

static const char *const is_names[] = { "empty", "some", "perhaps" };

struct row {
	const char *text;
	enum sch_region_is is;
	const char *words; /* NULL: not asked */
	const char *json;
};
#define EMPTY SCH_REGION_EMPTY
#define SOME SCH_REGION_SOME
#define PERHAPS SCH_REGION_PERHAPS

static int rows_bad(int type, const struct row *rows, size_t n)
{
	int bad = 0;

	for (size_t i = 0; i < n; i++) {
		struct sch_region *r = region_of(type, rows[i].text, 1);
		char words[600], json[600];
		int found;

		assert_non_null(r);
		sch_region_describe(r, set, words, sizeof words);
		found = sch_region_example(r, set, json, sizeof json);
		if (sch_region_is(r) != rows[i].is || (rows[i].words && strcmp(words, rows[i].words) != 0) ||
		    (rows[i].json && strcmp(json, rows[i].json) != 0) || found != (sch_region_is(r) == SCH_REGION_SOME)) {
			print_error("%s\n  is %s, should be %s\n  words %s\n  not   %s\n  json %s\n  not  %s\n", rows[i].text,
				    is_names[sch_region_is(r)], is_names[rows[i].is], words, rows[i].words ? rows[i].words : "",
				    json, rows[i].json ? rows[i].json : "");
			bad++;
		}
		sch_region_free(r);
	}
	return bad;
}

static void numbers(void **state)
{
	static const struct row rows[] = {
		{ "true", SOME, "everything", "{}" },
		{ "false", EMPTY, "nothing", "" },
		{ "this.amount >= 100 && this.amount < 1000 && this.currency == Currency.EUR", SOME,
		  "this.amount from 100 to 999 and this.currency is EUR", "{\"amount\": 100, \"currency\": \"EUR\"}" },
		{ "this.amount < 0 && this.amount > 0", EMPTY, "nothing", "" },
		{ "this.amount <= 1000", SOME, "this.amount at most 1000", "{\"amount\": 0}" },
		{ "this.amount != 5", SOME, "this.amount is not 5", "{\"amount\": 0}" },
		{ "this.amount in [3, 1, 2, 9]", SOME, "this.amount from 1 to 3 or 9", "{\"amount\": 1}" },
		{ "!(this.amount in [3, 1])", SOME, "this.amount is neither 1 nor 3", "{\"amount\": 0}" },
		{ "this.amount < -2147483648", EMPTY, NULL, "" },
		{ "this.amount <= 2147483647", SOME, "everything", "{}" },
		{ "this.amount < -5", SOME, "this.amount at most -6", "{\"amount\": -6}" },
		{ "this.count < 0u", EMPTY, NULL, "" },
		{ "this.count >= 0u", SOME, "everything", "{}" },
		{ "this.count < 4294967296u", SOME, "everything", "{}" },
		{ "this.count > 4294967295u", EMPTY, NULL, "" },
		{ "this.huge >= 18446744073709551615u", SOME, "this.huge is 18446744073709551615",
		  "{\"huge\": \"18446744073709551615\"}" },
		{ "this.big < -9007199254740993", SOME, "this.big at most -9007199254740994", "{\"big\": \"-9007199254740994\"}" },
		{ "this.urgent", SOME, "this.urgent is true", "{\"urgent\": true}" },
		{ "!this.urgent", SOME, "this.urgent is false", "{\"urgent\": false}" },
		{ "this.urgent == false && this.urgent", EMPTY, NULL, "" },
		{ "this.currency != Currency.EUR && this.currency != Currency.USD", SOME,
		  "this.currency is NONE or CHF", "{\"currency\": \"NONE\"}" },
		{ "this.currency == 3", EMPTY, NULL, "" }, /* the enum has no such number, and no rule opens it */
		{ "int(this.count) == 3", PERHAPS, NULL, "" },
		{ "this.amount + 1 > 5", PERHAPS, "(5 < (this.amount + 1)) is true", "" },
		{ "this.amount > 2 + 3 * 4", SOME, "this.amount at least 15", "{\"amount\": 15}" },
		{ "this.amount > 9223372036854775807 + 1", EMPTY, NULL, "" },
		{ "this.amount > 1 / 0 || this.urgent", SOME, "this.urgent is true", NULL },
	};

	(void)state;
	assert_int_equal(rows_bad(order, rows, sizeof rows / sizeof rows[0]), 0);
}

static void doubles(void **state)
{
	static const struct row rows[] = {
		{ "has(this.price)", SOME, "this.price is not 0", "{\"price\": 1}" },
		{ "has(this.price) && this.price == 0.0", SOME, "this.price is -0.0", "{\"price\": -0.0}" },
		{ "this.price < 5.0", SOME, "this.price below 5", "{\"price\": 0}" },
		{ "this.price >= 5.0", SOME, "this.price at least 5", "{\"price\": 5}" },
		{ "!(this.price < 5.0)", SOME, "this.price at least 5 or not a number", "{\"price\": 5}" },
		{ "this.price > 0.25 && this.price < 0.5", SOME, "this.price above 0.25 and below 0.5", NULL },
		{ "this.price == 0.0", SOME, "this.price is 0", "{\"price\": 0}" },
		{ "this.price != 0.0", SOME, NULL, "{\"price\": 1}" },
		{ "!(this.price < 5.0) && !(this.price >= 5.0)", SOME, "this.price is not a number", "{\"price\": \"NaN\"}" },
		{ "this.price < 0.0 && this.price > -1e-323 && this.price != -4.94065645841246544e-324", EMPTY, NULL, "" },
		{ "this.rate > 1.0 && this.rate < 1.0000000001", EMPTY, NULL, "" }, /* no float lies between */
		{ "this.price > 1.0 && this.price < 1.0000000001", SOME, NULL, NULL },
		{ "this.rate == 0.1", EMPTY, NULL, "" },
		{ "this.rate == 0.5", SOME, "this.rate is 0.5", "{\"rate\": 0.5}" },
	};

	(void)state;
	assert_int_equal(rows_bad(order, rows, sizeof rows / sizeof rows[0]), 0);
}

static void texts(void **state)
{
	static const struct row rows[] = {
		{ "this.note == 'abc'", SOME, "this.note is \"abc\"", "{\"note\": \"abc\"}" },
		{ "this.note == 'abc' && this.note.startsWith('ab')", SOME, "this.note is \"abc\"", "{\"note\": \"abc\"}" },
		{ "this.note == 'abc' && !this.note.startsWith('ab')", EMPTY, NULL, "" },
		{ "this.note in ['a', 'b', 'cc'] && size(this.note) == 2", SOME, "this.note is \"cc\"", NULL },
		{ "this.note in ['a', 'b'] && this.note.contains('c')", EMPTY, NULL, "" },
		{ "this.note != 'a' && this.note != ''", SOME, "this.note is neither \"\" nor \"a\"", "{\"note\": \"aa\"}" },
		{ "this.note.startsWith('ab') && this.note.startsWith('ac')", EMPTY, NULL, "" },
		{ "this.note.startsWith('ab') && this.note.startsWith('abc')", SOME, NULL, "{\"note\": \"abc\"}" },
		{ "this.note.startsWith('ab') && !this.note.startsWith('a')", EMPTY, NULL, "" },
		{ "this.note.startsWith('abc') && !this.note.contains('b')", EMPTY, NULL, "" },
		{ "this.note.endsWith('bc') && !this.note.endsWith('abc')", SOME, NULL, "{\"note\": \"bc\"}" },
		{ "this.note.endsWith('x') && this.note.endsWith('y')", EMPTY, NULL, "" },
		{ "this.note.contains('xay') && !this.note.contains('a')", EMPTY, NULL, "" },
		{ "this.note.startsWith('')", SOME, "everything", "{}" },
		{ "!this.note.contains('')", EMPTY, NULL, "" },
		{ "this.note.startsWith('ab') && size(this.note) < 2", EMPTY, NULL, "" },
		{ "size(this.note) == 0 && this.note != ''", EMPTY, NULL, "" },
		{ "size(this.note) > 3 && size(this.note) <= 5", SOME, "this.note has from 4 to 5 characters",
		  "{\"note\": \"aaaa\"}" },
		{ "this.note.startsWith('ab') && this.note.endsWith('bc') && size(this.note) == 3", PERHAPS, NULL, NULL },
		{ "this.note.startsWith('\\u00e9') && size(this.note) == 1", SOME, NULL, "{\"note\": \"\xc3\xa9\"}" },
		{ "this.note.matches('^a')", PERHAPS, "this.note.matches(\"^a\") is true", "" },
		{ "this.note.matches('^a') && !this.note.matches('^a')", EMPTY, NULL, "" },
		{ "this.note < 'b'", PERHAPS, NULL, "" },
		{ "this.data == b'ab'", SOME, "this.data is \"ab\"", "{\"data\": \"YWI=\"}" },
		{ "this.data.startsWith(b'\\xff') && size(this.data) == 1", SOME, NULL, "{\"data\": \"/w==\"}" },
		{ "this.note == self.name", SOME, "this.note is \"shop\"", NULL },
	};

	(void)state;
	assert_int_equal(rows_bad(order, rows, sizeof rows / sizeof rows[0]), 0);
}

static void presence(void **state)
{
	static const struct row rows[] = {
		{ "has(this.level)", SOME, "this.level is set", "{\"level\": 0}" },
		{ "!has(this.level)", SOME, "this.level is not set", "{}" },
		{ "!has(this.level) && this.level == 1", EMPTY, NULL, "" },
		{ "!has(this.level) && this.level == 0", SOME, "this.level is not set", "{}" },
		{ "has(this.level) && this.level == 0", SOME, "this.level is set and this.level is 0", "{\"level\": 0}" },
		{ "has(this.amount)", SOME, "this.amount is not 0", "{\"amount\": 1}" },
		{ "!has(this.amount) && this.amount > 0", EMPTY, NULL, "" },
		{ "has(this.note)", SOME, "this.note is not \"\"", "{\"note\": \"a\"}" },
		{ "has(this.parts)", SOME, "this.parts has at least 1 element", "{\"parts\": [0]}" },
		{ "!has(this.parts) && size(this.parts) > 0", EMPTY, NULL, "" },
		{ "size(this.parts) >= 2 && size(this.parts) < 4", SOME, "this.parts has from 2 to 3 elements",
		  "{\"parts\": [0, 0]}" },
		{ "this.parts.size() < 0", EMPTY, NULL, "" },
		{ "size(this.marks) == 2", SOME, NULL, "{\"marks\": {\"key0\": \"\", \"key1\": \"\"}}" },
		{ "has(this.place)", SOME, "this.place is set", "{\"place\": {}}" },
		{ "!has(this.place) && this.place.x == 0", SOME, "this.place is not set", "{}" },
		{ "!has(this.place) && this.place.x != 0", EMPTY, NULL, "" },
		{ "!has(this.place) && has(this.place.name)", EMPTY, NULL, "" },
		{ "has(this.place) && !has(this.place.inner) && this.place.inner.x == 3", EMPTY, NULL, "" },
		{ "this.place.inner.x == 3 && this.place.x > 2", SOME, NULL, "{\"place\": {\"x\": 3, \"inner\": {\"x\": 3}}}" },
		{ "has(this.place) && this.place.x < 4 && this.amount == 2", SOME, NULL,
		  "{\"amount\": 2, \"place\": {\"x\": 0}}" },
		{ "this.cash > 0 && this.card != ''", EMPTY, NULL, "" },
		{ "has(this.cash) && has(this.card)", EMPTY, NULL, "" },
		{ "has(this.cash) && this.shop.x == 1", EMPTY, NULL, "" },
		{ "this.cash < 5 && this.card == 'a'", SOME, NULL, "{\"card\": \"a\"}" },
		{ "has(this.cash) && !has(this.card)", SOME, NULL, "{\"cash\": 0}" },
		{ "this.boxed == null", SOME, "this.boxed is not set", "{}" },
		{ "this.boxed == 5", SOME, NULL, "{\"boxed\": 5}" },
		{ "this.boxed != 5 && this.boxed == null", SOME, "this.boxed is not set", "{}" },
		{ "this.boxed == 0 && !has(this.boxed)", EMPTY, NULL, "" },
		{ "!(this.boxed < 5) && this.boxed == null", EMPTY, NULL, "" }, /* it is an error */
		{ "this.maybe == true", SOME, NULL, "{\"maybe\": true}" },
		{ "this.word != 'x' && has(this.word)", SOME, NULL, "{\"word\": \"\"}" },
		{ "this.word.startsWith('x')", SOME, NULL, "{\"word\": \"x\"}" },
		{ "this.boxed in [1, 2] && this.boxed > 1", SOME, NULL, "{\"boxed\": 2}" },
	};

	(void)state;
	assert_int_equal(rows_bad(order, rows, sizeof rows / sizeof rows[0]), 0);
}

static void times(void **state)
{
	static const struct row rows[] = {
		{ "this.at < timestamp('2026-01-01T00:00:00Z')", SOME, "this.at at most 2025-12-31T23:59:59.999999999Z",
		  "{\"at\": \"1970-01-01T00:00:00Z\"}" },
		{ "this.at >= timestamp('2026-01-01T00:00:00Z')", SOME, "this.at at least 2026-01-01T00:00:00Z",
		  "{\"at\": \"2026-01-01T00:00:00Z\"}" },
		{ "this.at > timestamp('2026-01-01T00:00:00Z') && this.at < timestamp('2025-01-01T00:00:00Z')", EMPTY, NULL, "" },
		{ "!has(this.at) && this.at > timestamp('2026-01-01T00:00:00Z')", EMPTY, NULL, "" },
		{ "this.wait > duration('1h') && this.wait <= duration('90m')", SOME, NULL,
		  "{\"wait\": \"3600.000000001s\"}" },
		{ "this.wait == duration('1.5s')", SOME, "this.wait is 1.5s", "{\"wait\": \"1.5s\"}" },
		{ "this.wait < duration('0s') && this.wait > duration('0s')", EMPTY, NULL, "" },
		{ "this.at < now", PERHAPS, NULL, "" },
		{ "this.at < now && !(this.at < now)", EMPTY, NULL, "" },
	};

	(void)state;
	assert_int_equal(rows_bad(order, rows, sizeof rows / sizeof rows[0]), 0);
}

static void parties(void **state)
{
	static const struct row rows[] = {
		{ "peer.name == 'ledger' && this.amount > 1", SOME, "this.amount at least 2", NULL },
		{ "peer.name == 'valve'", EMPTY, NULL, "" },
		{ "peer.labels['zone'] == 'plant'", SOME, "everything", "{}" },
		{ "peer.labels['no'] == 'plant'", EMPTY, NULL, "" }, /* no such key */
		{ "!(peer.labels['no'] == 'plant')", EMPTY, NULL, "" },
		{ "peer.labels['no'] == 'plant' || this.urgent", SOME, "this.urgent is true", NULL },
		{ "has(peer.labels.zone) && !has(peer.labels.no)", SOME, "everything", NULL },
		{ "'tier' in peer.labels", SOME, "everything", NULL },
		{ "'tier' in self.labels", EMPTY, NULL, NULL },
		{ "peer.name.startsWith('led') && self.name in ['shop', 'x']", SOME, "everything", NULL },
		{ "peer.name + '!' == this.note", SOME, "this.note is \"ledger!\"", NULL },
		{ "this.note == peer.labels.zone", SOME, "this.note is \"plant\"", NULL },
		{ "peer.name == self.name ? this.urgent : !this.urgent", SOME, "this.urgent is false", NULL },
	};
	struct sch_region *r = region_of(order, "peer.name == 'x' && peer.name != 'x'", 0);

	(void)state;
	assert_int_equal(rows_bad(order, rows, sizeof rows / sizeof rows[0]), 0);
	/* without them they are the same unknown wherever they are asked for */
	assert_non_null(r);
	assert_int_equal(sch_region_is(r), EMPTY);
	sch_region_free(r);
	r = region_of(order, "peer.name == 'x'", 0);
	assert_int_equal(sch_region_is(r), PERHAPS);
	sch_region_free(r);
}

static void rules(void **state)
{
	static const struct row rows[] = {
		{ "this.amount < 10", EMPTY, NULL, "" },
		{ "this.amount <= 10", SOME, "this.amount is 10", "{\"amount\": 10}" },
		{ "this.amount >= 10 && this.amount <= 20", SOME, "everything", NULL },
		{ "this.level < 10", SOME, "this.level is 0", "{}" }, /* only where it is absent */
		{ "this.level < 10 && has(this.level)", PERHAPS, NULL, "" },
		{ "this.level == 3", EMPTY, NULL, "" },
		{ "this.currency == Currency.CHF", EMPTY, NULL, "" },
		{ "this.code == 'ABC'", SOME, NULL, "{\"code\": \"ABC\"}" },
		{ "this.code == 'B'", PERHAPS, NULL, "" },
		{ "this.code.endsWith('z')", SOME, NULL, NULL },
		{ "!has(this.place)", EMPTY, NULL, "" },
		{ "this.boxed < 3", PERHAPS, NULL, "" },
	};

	(void)state;
	assert_int_equal(rows_bad(ruled, rows, sizeof rows / sizeof rows[0]), 0);
}

static void defaults(void **state)
{
	static const struct row rows[] = {
		{ "!has(this.size) && this.size == 7", SOME, "this.size is not set", "{}" },
		{ "!has(this.size) && this.size != 7", EMPTY, NULL, "" },
		{ "has(this.size) && this.size == 0", SOME, NULL, "{\"size\": 0}" },
		{ "this.size == 0 && !has(this.inner)", SOME, NULL, "{\"size\": 0}" },
		{ "!has(this.name) && this.name.startsWith('ab') && size(this.name) == 3", SOME, "this.name is not set", "{}" },
		{ "!has(this.name) && this.name == ''", EMPTY, NULL, "" },
		{ "!has(this.shape) && this.shape == Shape.ROUND", SOME, NULL, "{}" },
		{ "this.shape == 0", EMPTY, NULL, "" },
		{ "!has(this.other) && this.other == Shape.ROUND", EMPTY, NULL, "" },
		{ "!has(this.id)", EMPTY, NULL, "" },
		{ "!has(this.weight) && this.weight < 1.5", EMPTY, NULL, "" },
		{ "!has(this.open) && !this.open", EMPTY, NULL, "" },
		{ "!has(this.inner) && this.inner.size != 7", EMPTY, NULL, "" },
		{ "!has(this.inner) && this.inner.inner.open", SOME, "this.inner is not set", "{}" },
		{ "!has(this.data) && this.data == b'\\xff'", SOME, NULL, "{}" },
		{ "has(this.inner) && !has(this.inner.id)", PERHAPS, NULL, "" }, /* required, which is not looked at down there */
	};

	(void)state;
	assert_int_equal(rows_bad(old, rows, sizeof rows / sizeof rows[0]), 0);
}

/* a and not b: what of it? */
static const struct pair {
	const char *a, *b;
	enum sch_region_is less, both;
} pairs[] = {
	{ "this.amount > 5", "this.amount > 3", EMPTY, SOME },
	{ "this.amount > 3", "this.amount > 5", SOME, SOME },
	{ "true", "this.amount < 5 || this.amount >= 5", EMPTY, SOME },
	{ "true", "this.price < 5.0 || this.price >= 5.0", SOME, SOME },
	{ "true", "has(this.level) || !has(this.level)", EMPTY, SOME },
	{ "this.note == 'abc'", "this.note.startsWith('a')", EMPTY, SOME },
	{ "this.note in ['a', 'b']", "this.note != 'c'", EMPTY, SOME },
	{ "this.note != 'c'", "this.note in ['a', 'b']", SOME, SOME },
	{ "this.place.x == 5", "has(this.place)", EMPTY, SOME },
	{ "this.place.x == 5", "!has(this.place)", SOME, EMPTY },
	{ "this.currency in [1, 2]", "this.currency != Currency.NONE", EMPTY, SOME },
	{ "this.currency != Currency.NONE", "this.currency in [1, 2]", SOME, SOME },
	{ "this.amount > 3 && this.urgent", "this.urgent || this.amount > 100", EMPTY, SOME },
	{ "this.amount < this.big", "this.big > this.amount", EMPTY, PERHAPS },
	{ "this.note.matches('a') && this.amount > 2", "this.note.matches('a')", EMPTY, PERHAPS },
	{ "true", "this.note.matches('a') || !this.note.matches('a')", PERHAPS, PERHAPS }, /* it may be an error */
	{ "true", "this.amount == this.level || this.amount != this.level", EMPTY, SOME },
	{ "this.boxed != 5", "this.boxed == null || this.boxed < 5 || this.boxed > 5", EMPTY, SOME },
	{ "this.cash == 3", "!has(this.card)", EMPTY, SOME },
	{ "true", "size(this.parts) >= 0", EMPTY, SOME },
	{ "peer.name == 'ledger'", "true", EMPTY, SOME },
	{ "this.parts.all(p, p > 1)", "this.parts.all(q, q > 1)", EMPTY, PERHAPS },
	{ "this.parts.all(p, p > 1)", "this.parts.all(q, q > 2)", PERHAPS, PERHAPS },
};

static void relations(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct sch_region *a = region_of(order, pairs[i].a, 1), *b = region_of(order, pairs[i].b, 1);

		assert_true(a && b);
		struct sch_region *no = sch_region_not(b), *less = sch_region_and(a, no), *both = sch_region_and(a, b);
		struct sch_region *direct = sch_region_less(a, b);

		assert_true(no && less && both && direct);
		assert_int_equal(sch_region_is(direct), pairs[i].less);
		assert_int_equal(sch_region_empty(direct), pairs[i].less == EMPTY);
		sch_region_free(direct);
		if (sch_region_is(less) != pairs[i].less || sch_region_is(both) != pairs[i].both) {
			char words[300];

			print_error("%s | %s: less %s, both %s\n", pairs[i].a, pairs[i].b, is_names[sch_region_is(less)],
				    is_names[sch_region_is(both)]);
			print_error("  less: %s\n", sch_region_describe(less, set, words, sizeof words));
			bad++;
		}
		sch_region_free(a);
		sch_region_free(b);
		sch_region_free(no);
		sch_region_free(less);
		sch_region_free(both);
	}
	assert_int_equal(bad, 0);
}

/* Laws that hold whatever the expressions are. */
static void laws(void **state)
{
	struct sch_region *all = sch_region_all(), *none = sch_region_none();

	(void)state;
	assert_true(all && none);
	assert_int_equal(sch_region_is(all), SOME);
	assert_int_equal(sch_region_is(none), EMPTY);
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct sch_region *a = region_of(order, pairs[i].a, 1);
		struct sch_region *no = sch_region_not(a), *again = sch_region_not(no), *back = sch_region_not(again);
		struct sch_region *x[] = { sch_region_and(a, no), sch_region_or(a, no), sch_region_and(a, none),
					   sch_region_and(again, no), sch_region_and(a, back) };
		struct sch_region *rest = sch_region_not(x[1]);

		assert_int_equal(sch_region_is(x[0]), EMPTY);
		assert_int_equal(sch_region_is(rest), EMPTY);
		assert_int_equal(sch_region_is(x[2]), EMPTY);
		assert_int_equal(sch_region_is(x[3]), EMPTY); /* the complement of the complement is inside */
		assert_int_equal(sch_region_is(x[4]), EMPTY);
		for (size_t k = 0; k < 5; k++)
			sch_region_free(x[k]);
		sch_region_free(rest);
		sch_region_free(a);
		sch_region_free(no);
		sch_region_free(again);
		sch_region_free(back);
	}
	sch_region_free(all);
	sch_region_free(none);
}

/* What grows beyond all bounds is vague, quickly, and says so. */
static void bounds(void **state)
{
	char text[4096] = "";
	size_t n = 0;
	struct sch_region *r, *no;
	char words[20];

	(void)state;
	for (int i = 0; i < 14; i++) /* 2^14 parts */
		n += (size_t)snprintf(text + n, sizeof text - n, "%s(this.note.contains('%c%c') || this.amount %% %d == 1)",
				      i ? " && " : "", 'a' + i, 'k' + i, i + 2);
	r = region_of(order, text, 1);
	assert_non_null(r);
	assert_int_equal(sch_region_is(r), PERHAPS);
	no = sch_region_not(r);
	assert_int_equal(sch_region_is(no), PERHAPS);
	assert_string_equal(sch_region_describe(no, set, words, sizeof words), "more than can be...");
	assert_int_equal(sch_region_example(no, set, text, sizeof text), 0);
	sch_region_free(no);
	sch_region_free(r);
	r = region_of(order, "this.note == '\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9'", 1);
	for (size_t cap = 0; cap < sizeof words; cap++) { /* cut anywhere, it stays text */
		sch_region_describe(r, set, words, cap);
		if (cap)
			assert_true(strlen(words) < cap);
		assert_int_equal(sch_region_example(r, set, words, cap), 0);
	}
	sch_region_free(r);
}

/* Each allocation fails once: no region, or the same one, and nothing is lost. */
static void memory(void **state)
{
	const struct sch_expr_var vars[] = { { "this", SCH_EXPR_MESSAGE, (uint32_t)order } };
	static const char text[] = "this.amount in [1, 2, 9] && "
				   "(this.note.startsWith('ab') || this.place.x > 3 || has(this.level)) && "
				   "this.note != 'abc' && this.amount + 1 > 2 && this.at < timestamp('2026-01-01T00:00:00Z')";
	char want[1500], words[1500];
	uint64_t k = 1;

	(void)state;
	if (!OWN_ALLOCATOR) {
		print_message("a sanitizer brings its own allocator\n");
		skip();
	}
	for (*want = '\0';; k++) { /* until none is left to fail */
		struct sch_region *r = NULL, *no = NULL, *both = NULL, *any = NULL, *all, *none;
		struct sch_expr_err err;
		int rc;

		arm(*want ? k : 0);
		all = sch_region_all();
		none = sch_region_none();
		rc = sch_region_of(&r, set, vars, 1, NULL, text, &err);
		no = r ? sch_region_not(r) : NULL;
		both = no && all ? sch_region_and(no, all) : NULL;
		any = both && none ? sch_region_or(both, none) : NULL;
		if (any)
			sch_region_describe(any, set, words, sizeof words);
		assert_true(rc == 0 ? r != NULL : rc == -ENOMEM && !r);
		sch_region_free(r);
		sch_region_free(no);
		sch_region_free(both);
		sch_region_free(any);
		sch_region_free(all);
		sch_region_free(none);
		armed = 0;
		assert_int_equal(live, 0);
		if (!*want) {
			assert_non_null(any);
			memcpy(want, words, sizeof want);
			continue;
		}
		if (any) /* what words need may be had in another way */
			assert_true(strlen(words) > 50);
		if (!failed) {
			assert_string_equal(words, want);
			break;
		}
	}
	assert_true(k > 8); /* regions take memory in large pieces */
}

static void errors(void **state)
{
	const struct sch_expr_var vars[] = { { "this", SCH_EXPR_MESSAGE, (uint32_t)order } };
	struct sch_region *r = NULL;
	struct sch_expr_err err = { 0 };

	(void)state;
	assert_int_equal(sch_region_of(&r, set, vars, 1, NULL, "this.nothing == 1", &err), -22);
	assert_null(r);
	assert_non_null(strstr(err.text, "nothing"));
	assert_int_equal(sch_region_of(&r, set, vars, 1, NULL, "this.amount", &err), -22);
	assert_null(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),  cmocka_unit_test(doubles),	 cmocka_unit_test(texts),
		cmocka_unit_test(presence), cmocka_unit_test(times),	 cmocka_unit_test(parties),
		cmocka_unit_test(rules),    cmocka_unit_test(defaults),	 cmocka_unit_test(relations),
		cmocka_unit_test(laws),	    cmocka_unit_test(bounds),	 cmocka_unit_test(errors),
		cmocka_unit_test(memory),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
