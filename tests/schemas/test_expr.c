/* SPDX-License-Identifier: BSD-2-Clause */
/* Expressions: what each comes to (expr_cases.h), what is refused when compiled and in which words, the bounds, the kinds of
 * variables, and bytes that are no message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fdset.h"
#include "expr_cases.h"
#include "expr_refusals.h"
#include "schemas/expr.h"
#include "schemas/pattern.h"
#include "schemas/set.h"

#define MESSAGE_MAX 8192u
#define VECTORS "../shared/vectors/protovalidate/"

static struct sch_set *set;

/* As protobuf's text format has them; protoc makes the bytes. */
static const struct {
	const char *type, *text;
} messages[N_EXPR_MESSAGES] = {
	[NOTHING] = { "expr.All", "" },
	[FULL] = { "expr.All",
		   "i32: -1 i64: -9223372036854775808 u32: 4294967295 u64: 18446744073709551615 s32: -2147483648 s64: -3 f32: 7 "
		   "f64: 8 sf32: -9 sf64: -10 fl: 1.5 db: -0.25 b: true s: \"caf\\303\\251\" y: \"\\000\\377\" mode: "
			   "OPEN inner: SOME "
		   "point { x: 3 y: -4 name: \"p\" } line { from { x: 1 } to { x: 2 } via { x: 5 } via { x: 6 } "
		   "tags { key: \"a\" value: 1 } } oi: 0 os: \"\" cb { x: 9 } wi { value: 5 } ws { value: \"w\" } wb "
			   "{ value: true } "
		   "wd { value: 2.5 } wu { value: 6 } wy { value: \"y\" } in: true deep { i32: 11 deep { i32: 12 } }" },
	[ZEROS] = { "expr.All", "wi { } ws { } point { } t { } ca: 0" },
	[LISTS] = { "expr.All",
		    "ri: 1 ri: 2 ri: 3 ri: -4 rs: \"a\" rs: \"bb\" rs: \"\" rd: 0.5 rd: -1 rb: true rb: false rp { x: "
			   "1 name: \"p\" } "
		    "rp { name: \"q\" } rm: OPEN rm: AJAR ry: \"\\000\" ry: \"\" ru: 1 ru: 300 rl { via { x: 5 } tags "
			   "{ key: \"t\" value: 4 } } "
		    "rl { from { x: 8 } to { x: 9 } } rw { value: 7 } rw { } ms { key: \"k\" value: \"v\" } ms { key: "
			   "\"e\" value: \"\" } "
		    "mp { key: 1 value { x: 10 } } mp { key: -2 value { x: 20 } } mb { key: true value: 5 } mb { key: "
			   "false value: 6 } "
		    "mu { key: 1 value: 1.5 } mm { key: \"o\" value: OPEN } mm { key: \"c\" value: CLOSED }" },
	[TIMES] = { "expr.All",
		    "t { seconds: 1767323045 nanos: 600000000 } d { seconds: -1 nanos: -500000000 } rt { } rt { seconds: 1 }" },
	[MIXED] = { "expr.All", "t { seconds: 253402300800 } d { seconds: 9467280000 }" },
	[OLD] = { "expr2.Old", "must: 0 list: HIGH list: LOW plain: 0" },
};
static struct {
	uint8_t at[MESSAGE_MAX + SCH_PAD];
	uint32_t len;
} wire[N_EXPR_MESSAGES];

/* The message's bytes; 0 where protoc fails. */
static int encode(uint32_t which)
{
	char path[] = "/tmp/weft-expr-XXXXXX", command[300];
	int fd = mkstemp(path), ok = 0;
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f)
		return 0;
	fputs(messages[which].text, f);
	fclose(f);
	snprintf(command, sizeof command, "protoc --encode=%s -Itests/schemas expr.proto expr2.proto < %s", messages[which].type,
		 path);
	f = popen(command, "re");
	if (f) {
		wire[which].len = (uint32_t)fread(wire[which].at, 1, MESSAGE_MAX, f);
		ok = pclose(f) == 0;
	}
	remove(path);
	return ok;
}

static int set_up(void **state)
{
	(void)state;
	set = fdset_compiled("expr.proto expr2.proto");
	for (uint32_t i = 0; set && i < N_EXPR_MESSAGES; i++) {
		struct sch_result r;

		if (!encode(i))
			return -1;
		if (sch_validate(set, (uint32_t)sch_type_find(set, messages[i].type), wire[i].at, wire[i].len, &r)) {
			print_message("message %u: %s\n", i, sch_reason_name(r.reason));
			return -1;
		}
	}
	return set ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	sch_set_free(set);
	return 0;
}

/* --- one expression over `this`, self, peer and now -------------------------------------------------------------------------- */
static const struct sch_label hub_labels[] = { { "tier", "edge" }, { "zone", "plant" } };
static const struct sch_party hub = { "hub", 2, hub_labels }, meter = { "meter", 0, NULL };

static int compile(struct sch_expr **e, const char *type, const char *text, enum sch_expr_want want, struct sch_expr_err *err)
{
	const struct sch_expr_var vars[] = {
		{ "this", SCH_EXPR_MESSAGE, (uint32_t)sch_type_find(set, type) },
		{ "self", SCH_EXPR_PARTY, 0 },
		{ "peer", SCH_EXPR_PARTY, 0 },
		{ "now", SCH_EXPR_TIME, 0 },
	};

	return sch_expr_compile(e, set, vars, 4, text, want, err);
}

static enum sch_expr_answer evaluate(const struct sch_expr *e, const uint8_t *at, uint32_t len, struct sch_expr_out *out)
{
	const struct sch_expr_value values[] = {
		{ .at = at, .len = len }, { .party = &meter }, { .party = &hub }, { .s = 1700000000, .ns = 5 },
	};

	return sch_expr_eval(e, values, out);
}

static void test_cases(void **state)
{
	static const char letters[] = "FTE";
	uint32_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct expr_case *c = &cases[i];
		struct sch_expr_err err;
		struct sch_expr_out out;
		struct sch_expr *e;

		if (compile(&e, messages[c->message].type, c->text, SCH_EXPR_BOOL, &err)) {
			print_message("%s\n    byte %u: %s\n", c->text, err.at, err.text);
			wrong++;
			continue;
		}
		char got = letters[evaluate(e, wire[c->message].at, wire[c->message].len, &out)];

		if (got != c->expect) {
			print_message("%s\n    is %c, not %c: %s\n", c->text, got, c->expect, out.why ? out.why : "");
			wrong++;
		}
		assert_true((got == 'E') == (out.why != NULL));
		assert_true(out.steps > 0 && out.steps <= SCH_EXPR_STEPS_MAX);
		assert_true(sch_expr_bytes(e) > 0);
		sch_expr_free(e);
	}
	assert_int_equal(wrong, 0);
}

/* Why there is no value. */
static void test_reasons(void **state)
{
	static const struct {
		const char *text, *why;
	} reasons[] = {
		{ "this.i64 + 9223372036854775807 + 1 > 0", "integer overflow" },
		{ "this.u64 - 1u > 0u", "unsigned integer overflow" },
		{ "1 / this.i32 > 0", "division by zero" },
		{ "1u % this.u32 > 0u", "modulus by zero" },
		{ "this.ri[0] > 0", "index out of range" },
		{ "this.ms['x'] == ''", "no such key" },
		{ "peer.labels['x'] == ''", "no such key" },
		{ "this.wi > 0", "no value: an unset wrapper is null" },
		{ "int(this.s) > 0", "no integer" },
		{ "uint(this.s) > 0u", "no unsigned integer" },
		{ "double(this.s) > 0.0", "no double" },
		{ "bool(this.s)", "no bool" },
		{ "timestamp(this.s) < now", "no timestamp" },
		{ "duration(this.s) < duration('1s')", "no duration" },
		{ "now + duration('2562047h') > timestamp(this.i64 + 300000000000)", "timestamp out of range" },
		{ "now - timestamp(-62135596800 + this.i64) > duration('1s')", "duration out of range" },
		{ "string(bytes(b'\\xff')) == ''", "bytes are not UTF-8" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
		struct sch_expr_err err;
		struct sch_expr_out out;
		struct sch_expr *e;

		if (compile(&e, "expr.All", reasons[i].text, SCH_EXPR_BOOL, &err))
			fail_msg("%s: %s", reasons[i].text, err.text);
		assert_int_equal(evaluate(e, wire[NOTHING].at, 0, &out), SCH_EXPR_ERROR);
		assert_string_equal(out.why, reasons[i].why);
		assert_int_equal(evaluate(e, wire[NOTHING].at, 0, NULL), SCH_EXPR_ERROR);
		sch_expr_free(e);
	}
}

/* --- what is refused ---------------------------------------------------------------------------------------------------------- */
static void test_refusals(void **state)
{
	uint32_t wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		const struct refusal *r = &refusals[i];
		struct sch_expr_err err = { .at = 77777 };
		struct sch_expr *e;
		int rc = compile(&e, "expr.All", r->text, SCH_EXPR_BOOL, &err);

		if (rc != -EINVAL || err.at != r->at || !strstr(err.text, r->says)) {
			print_message("{ \"%s\", %u, \"%s\" }, not %u "
				   "\"%s\"\n", r->text, err.at, rc ? err.text : "accepted", r->at, r->says);
			wrong++;
		}
		assert_true(rc == 0 || e == NULL);
		sch_expr_free(e);
	}
	assert_int_equal(wrong, 0);
}

/* --- bounds ------------------------------------------------------------------------------------------------------------------ */
static char long_text[3 * SCH_EXPR_TEXT_MAX];

static const char *repeated(const char *before, const char *piece, uint32_t n, const char *after)
{
	char *o = long_text;

	o += sprintf(o, "%s", before);
	for (uint32_t i = 0; i < n; i++)
		o += sprintf(o, "%s", piece);
	sprintf(o, "%s", after);
	return long_text;
}

static int compiles(const char *text, struct sch_expr_err *err)
{
	struct sch_expr *e;
	int rc = compile(&e, "expr.All", text, SCH_EXPR_BOOL, err);

	sch_expr_free(e);
	return rc;
}

static void test_bounds_compiled(void **state)
{
	struct sch_expr_err err;

	(void)state;
	/* The text. */
	assert_int_equal(compiles(repeated("true", " ", SCH_EXPR_TEXT_MAX - 4, ""), &err), 0);
	assert_int_equal(compiles(repeated("true", " ", SCH_EXPR_TEXT_MAX - 3, ""), &err), -EINVAL);
	assert_non_null(strstr(err.text, "4096 bytes"));
	/* Parentheses; a chain of && or || is no deeper than its logarithm, one of + is as deep as it is long. */
	assert_int_equal(compiles(repeated("", "(", 31, "true)))))))))))))))))))))))))))))))"), &err), 0);
	assert_int_equal(compiles(repeated("", "(", 32, "true))))))))))))))))))))))))))))))))"), &err), -EINVAL);
	assert_non_null(strstr(err.text, "more than 32"));
	assert_int_equal(compiles(repeated("true", " && true", 500, ""), &err), 0);
	assert_int_equal(compiles(repeated("false", " || true", 500, ""), &err), 0);
	assert_int_equal(compiles(repeated("1", " + 1", 28, " > 0"), &err), 0);
	assert_int_equal(compiles(repeated("1", " + 1", 32, " > 0"), &err), -EINVAL);
	assert_int_equal(compiles(repeated("", "!", 33, "true"), &err), -EINVAL);
	assert_int_equal(compiles(repeated("this", ".deep", 29, ".b"), &err), 0);
	assert_int_equal(compiles(repeated("this", ".deep", 33, ".b"), &err), -EINVAL);
	assert_int_equal(compiles(repeated("true", " ? true : true", 40, ""), &err), -EINVAL);
	/* Lists and macros. */
	assert_int_equal(compiles(repeated("1 in [0", ",0", 1023, "]"), &err), 0);
	assert_int_equal(compiles(repeated("1 in [0", ",0", 1024, "]"), &err), -EINVAL);
	assert_int_equal(compiles(repeated("1 in [1+1", ",2+2", 100, "]"), &err), 0);
	assert_int_equal(compiles(repeated("1 in [1+1", ",2+2", 200, "]"), &err), -EINVAL);
	assert_non_null(strstr(err.text, "too many values at once"));
	assert_int_equal(
	    compiles("[1].all(a,[1].all(b,[1].all(c,[1].all(d,[1].all(e,[1].all(f,[1].all(g,[1].all(h,h>0))))))))",
		     &err),
	    0);
	assert_int_equal(compiles("[1].all(a,[1].all(b,[1].all(c,[1].all(d,[1].all(e,[1].all(f,[1].all(g,[1].all(h,[1]."
				  "all(i,i>0)))))))))",
				  &err),
			 -EINVAL);
	assert_non_null(strstr(err.text, "more than 8 macros"));
	/* Messages that are looked into: each index is one. */
	assert_int_equal(compiles(repeated("true", "||this.rp[0].x==1", 63, ""), &err), 0);
	assert_int_equal(compiles(repeated("true", "||this.rp[0].x==1", 65, ""), &err), -EINVAL);
	assert_non_null(strstr(err.text, "more than 64 messages"));
}

static enum sch_expr_answer answer_of(const char *text, const uint8_t *at, uint32_t len, struct sch_expr_out *out)
{
	struct sch_expr_err err;
	struct sch_expr *e;
	enum sch_expr_answer a;

	if (compile(&e, "expr.All", text, SCH_EXPR_BOOL, &err))
		fail_msg("%s: %s", text, err.text);
	a = evaluate(e, at, len, out);
	sch_expr_free(e);
	return a;
}

static void test_bounds_run(void **state)
{
	static uint8_t big[61440 + SCH_PAD];
	struct sch_expr_out out;
	uint32_t n = 0;

	(void)state;
	/* ri: 1,000 elements, packed. */
	big[n++] = 0xf2;
	big[n++] = 0x01;
	big[n++] = 0xe8;
	big[n++] = 0x07;
	memset(big + n, 1, 1000);
	n += 1000;
	assert_int_equal(answer_of("this.ri.size() == 1000 && this.ri.all(x, x == 1)", big, n, &out), SCH_EXPR_TRUE);
	assert_in_range(out.steps, 1000, SCH_EXPR_STEPS_MAX);
	/* Squared is too much, and nothing absorbs it. */
	assert_int_equal(answer_of("this.ri.all(x, this.ri.all(y, x == y))", big, n, &out), SCH_EXPR_ERROR);
	assert_string_equal(out.why, "more steps than an evaluation may take");
	assert_int_equal(out.steps, SCH_EXPR_STEPS_MAX);
	assert_int_equal(answer_of("this.ri.all(x, this.ri.all(y, x == y)) || true", big, n, &out), SCH_EXPR_ERROR);
	assert_int_equal(answer_of("this.ri.exists(x, this.ri.all(y, x == y) && false) || true", big, n, &out), SCH_EXPR_ERROR);
	/* Room for what is made. */
	assert_int_equal(answer_of("this.ri.map(x, x + 1).size() == 1000", big, n, &out), SCH_EXPR_ERROR);
	assert_string_equal(out.why, "lists become too long");
	assert_int_equal(answer_of("this.ri.filter(x, x != 1).size() == 0", big, n, &out), SCH_EXPR_TRUE);
	assert_int_equal(answer_of("(this.ri + this.ri).size() == 0", big, n, &out), SCH_EXPR_ERROR);
	/* What a macro's body makes is thrown away after each element. */
	assert_int_equal(answer_of("this.ri.all(x, ('0123456789' + string(x)).size() == 11)", big, n, &out), SCH_EXPR_TRUE);
	assert_int_equal(answer_of("this.ri.all(x, [x, x + 1].size() == 2)", big, n, &out), SCH_EXPR_TRUE);
	/* s: 60,000 bytes. */
	n = 0;
	big[n++] = 0x72;
	big[n++] = 0xe0;
	big[n++] = 0xd4;
	big[n++] = 0x03;
	memset(big + n, 'a', 60000);
	n += 60000;
	assert_int_equal(answer_of("this.s.size() == 60000 && this.s.contains('b') == false", big, n, &out), SCH_EXPR_TRUE);
	assert_in_range(out.steps, 2 * 60000 / 64, 2 * 60000 / 64 + 40);
	assert_int_equal(answer_of("(this.s + 'x').size() == 60001", big, n, &out), SCH_EXPR_ERROR);
	assert_string_equal(out.why, "texts become too long");
	assert_int_equal(answer_of("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23].all(x, "
		   "this.s.contains('a'))", big, n,
				   &out), SCH_EXPR_ERROR);
	assert_int_equal(answer_of("this.s.matches('^(a{1,30}){1,30}b')", big, n, &out), SCH_EXPR_ERROR);
	assert_string_equal(out.why, "matching the pattern costs too much");
	/* Texts by which a search is slow cost what it takes. */
	assert_int_equal(answer_of("!this.s.contains('aaaaaaaab') && !this.s.contains('ba') && this.s.contains('')", big, n, &out),
			 SCH_EXPR_ERROR);
	assert_string_equal(out.why, "more steps than an evaluation may take");
	assert_int_equal(answer_of("this.s.contains('aaaaaaaab')", big, n, &out), SCH_EXPR_ERROR);
	assert_int_equal(answer_of("this.s.contains('aaaaaaaaba')", big, n, &out), SCH_EXPR_ERROR);
	assert_int_equal(answer_of("this.s.contains('baaaaaaaaa')", big, n, &out), SCH_EXPR_FALSE);
	assert_in_range(out.steps, 60000 / 64, 60000 / 64 + 40);
	/* So does reading and comparing long ones. */
	memset(big + 4, '0', 60000);
	assert_int_equal(answer_of("int(this.s) == 0", big, n, &out), SCH_EXPR_TRUE);
	assert_in_range(out.steps, 60000 / 8, 60000 / 8 + 40);
	assert_int_equal(answer_of("uint(this.s) == 0u && int(this.s) == 0 && int(this.s) == 0", big, n, &out), SCH_EXPR_ERROR);
	assert_int_equal(answer_of("[1, 2, 3, 4].all(x, timestamp(this.s) == now)", big, n, &out), SCH_EXPR_ERROR);
	assert_int_equal(answer_of("this.s.startsWith(this.s) && this.s.endsWith(this.s)", big, n, &out), SCH_EXPR_TRUE);
	assert_in_range(out.steps, 2 * 60000 / 64, 2 * 60000 / 64 + 40);
	assert_int_equal(answer_of("['a', this.s].unique()", big, n, &out), SCH_EXPR_TRUE);
	assert_in_range(out.steps, 60000 / 8, 60000 / 8 + 40);
	/* A group between two elements, 40,000 bytes: its end is looked for twice. */
	n = 0;
	memcpy(big, "\xa8\x02\x05\xa3\x06", 5);
	for (n = 5; n < 40005; n += 2)
		memcpy(big + n, "\x08\x01", 2);
	memcpy(big + n, "\xa4\x06\xa8\x02\x06", 5);
	n += 5;
	assert_int_equal(answer_of("this.ru.size() == 2", big, n, &out), SCH_EXPR_TRUE);
	assert_in_range(out.steps, 2 * 40000 / 8, 2 * 40000 / 8 + 40);
	/* 30,720 fields that nobody asks for. */
	for (n = 0; n < 61440; n += 2)
		memcpy(big + n, "\x08\x01", 2);
	assert_int_equal(answer_of("this.s == ''", big, n, &out), SCH_EXPR_ERROR);
	assert_int_equal(answer_of("this.i32 == 1", big, n, &out), SCH_EXPR_TRUE); /* found at once */
	assert_in_range(out.steps, 1, 10);
}

/* Several evaluations share a budget. */
static void test_budget(void **state)
{
	const struct sch_expr_budget all = { SCH_EXPR_STEPS_MAX, SCH_PATTERN_WORK_MAX };
	struct sch_expr_budget left = all;
	struct sch_expr_value values[1] = { { .len = 0 } };
	struct sch_expr_err err;
	struct sch_expr_out out;
	struct sch_expr *e = NULL;
	struct sch_expr_var var = { "now", SCH_EXPR_TIME, 0 };
	uint32_t steps, work, turns = 0;

	(void)state;
	assert_int_equal(sch_expr_compile(&e, set, &var, 1, "now.getHours() == 0 && string(now).matches('^1970-')", SCH_EXPR_BOOL,
					  &err), 0);
	assert_int_equal(sch_expr_eval_within(e, values, &left, &out), SCH_EXPR_TRUE);
	steps = all.steps - left.steps;
	work = all.work - left.work;
	assert_true(steps > 0 && work > 0);
	assert_int_equal(out.steps, steps);
	assert_int_equal(out.work, work);
	/* As often as it fits, then never more. */
	while (turns < 100000 && sch_expr_eval_within(e, values, &left, &out) == SCH_EXPR_TRUE)
		turns++;
	assert_int_equal(turns, (all.steps / steps < all.work / work ? all.steps / steps : all.work / work) - 1);
	left = (struct sch_expr_budget){ steps, work - 1 };
	assert_int_equal(sch_expr_eval_within(e, values, &left, &out), SCH_EXPR_ERROR);
	assert_string_equal(out.why, "matching the pattern costs too much");
	left = (struct sch_expr_budget){ 0, 0 };
	assert_int_equal(sch_expr_eval_within(e, values, &left, &out), SCH_EXPR_ERROR);
	assert_string_equal(out.why, "more steps than an evaluation may take");
	assert_int_equal(left.steps, 0);
	left = (struct sch_expr_budget){ UINT32_MAX, UINT32_MAX };
	assert_int_equal(sch_expr_eval_within(e, values, &left, &out), SCH_EXPR_TRUE);
	sch_expr_free(e);
}

/* A map's keys and values together: as many steps as it has entries, not their square. */
static void test_map_walk(void **state)
{
	static uint8_t big[8192 + SCH_PAD];
	struct sch_expr_out out;
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 600; i++) { /* ms: two-letter keys */
		uint8_t entry[] = {0xc2, 0x02, 0x07, 0x0a, 0x02, (uint8_t)('A' + i / 26), (uint8_t)('a' + i % 26),
				   0x12, 0x01, 'v'};

		memcpy(big + n, entry, sizeof entry);
		n += sizeof entry;
	}
	assert_int_equal(answer_of("this.ms.all(k, this.ms[k] == 'v')", big, n, &out), SCH_EXPR_TRUE);
	assert_int_equal(answer_of("this.ms.all(k, this.ms['Zz'] == 'v') || true", big, n, &out), SCH_EXPR_ERROR);
}

/* --- texts as results, and other variables --------------------------------------------------------------------------- */
static void test_text(void **state)
{
	struct sch_expr_err err;
	struct sch_expr_out out;
	struct sch_expr *e;

	(void)state;
	assert_int_equal(compile(&e, "expr.All", "this.b ? '' : 'b must be set'", SCH_EXPR_BOOL_OR_TEXT, &err), 0);
	assert_int_equal(evaluate(e, wire[NOTHING].at, 0, &out), SCH_EXPR_FALSE);
	assert_string_equal(out.text, "b must be set");
	assert_int_equal(evaluate(e, wire[FULL].at, wire[FULL].len, &out), SCH_EXPR_TRUE);
	assert_string_equal(out.text, "");
	assert_int_equal(evaluate(e, wire[NOTHING].at, 0, NULL), SCH_EXPR_FALSE);
	sch_expr_free(e);
	assert_int_equal(compile(&e, "expr.All", "this.b", SCH_EXPR_BOOL_OR_TEXT, &err), 0);
	assert_int_equal(evaluate(e, wire[NOTHING].at, 0, &out), SCH_EXPR_FALSE);
	assert_string_equal(out.text, "");
	sch_expr_free(e);
	/* Cut between characters. */
	assert_int_equal(compile(&e, "expr.All", repeated("'x", "\xc3\xa9", 200, "'"), SCH_EXPR_BOOL_OR_TEXT, &err), 0);
	assert_int_equal(evaluate(e, wire[NOTHING].at, 0, &out), SCH_EXPR_FALSE);
	assert_int_equal(strlen(out.text), 255);
	assert_memory_equal(out.text + 253, "\xc3\xa9", 2);
	sch_expr_free(e);
	assert_int_equal(compile(&e, "expr.All", repeated("'", "\xc3\xa9", 200, "'"), SCH_EXPR_BOOL_OR_TEXT, &err), 0);
	assert_int_equal(evaluate(e, wire[NOTHING].at, 0, &out), SCH_EXPR_FALSE);
	assert_int_equal(strlen(out.text), 254);
	sch_expr_free(e);
	assert_int_equal(compile(&e, "expr.All", "1", SCH_EXPR_BOOL_OR_TEXT, &err), -EINVAL);
	assert_non_null(strstr(err.text, "bool or string"));
}

static uint32_t field_of(const char *type, const char *name)
{
	const struct sch_message *m = &set->messages[sch_type_find(set, type)];

	for (uint32_t i = m->first; i < m->first + m->n_fields; i++)
		if (strcmp(set->names + set->fields[i].name, name) == 0)
			return i;
	fail_msg("no field %s", name);
	return 0;
}

static void var_check(struct sch_expr_var var, struct sch_expr_value value, const char *text)
{
	struct sch_expr_err err;
	struct sch_expr_out out;
	struct sch_expr *e;

	var.name = "this";
	if (sch_expr_compile(&e, set, &var, 1, text, SCH_EXPR_BOOL, &err))
		fail_msg("%s: %u: %s", text, err.at, err.text);
	if (sch_expr_eval(e, &value, &out) != SCH_EXPR_TRUE)
		fail_msg("%s: %s", text, out.why ? out.why : "false");
	sch_expr_free(e);
}

static uint64_t double_key(double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof bits);
	return sch_key_double(bits);
}

static uint64_t float_key(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof bits);
	return sch_key_float(bits);
}

#define ELEMENT(name) { NULL, SCH_EXPR_ELEMENT, field_of("expr.All", name) }
static void element_check(const char *field, struct sch_expr_value value, const char *text)
{
	var_check((struct sch_expr_var)ELEMENT(field), value, text);
}

/* One value of a field, as the validator has it. */
static void test_elements(void **state)
{
	static const uint8_t text[] = "caf\xc3\xa9", point[] = { 0x08, 0x07 }, boxed[] = { 0x08, 0x05 }, none[SCH_PAD] = { 0 };

	(void)state;
	element_check("i32", (struct sch_expr_value){ .key = (uint64_t)-5 }, "this == -5");
	element_check("s32", (struct sch_expr_value){ .key = (uint64_t)-5 }, "this == -5");
	element_check("s64", (struct sch_expr_value){ .key = (uint64_t)INT64_MIN }, "this == -9223372036854775808");
	element_check("s64", (struct sch_expr_value){ .key = INT64_MAX }, "this == 9223372036854775807");
	element_check("sf32", (struct sch_expr_value){ .key = (uint64_t)-1 }, "this + 1 == 0");
	element_check("u64", (struct sch_expr_value){ .key = UINT64_MAX }, "this == 18446744073709551615u");
	element_check("u32", (struct sch_expr_value){ .key = 3 }, "this == 3u");
	element_check("b", (struct sch_expr_value){ .key = 1 }, "this");
	element_check("db", (struct sch_expr_value){ .key = double_key(-2.5) }, "this == -2.5");
	element_check("rd", (struct sch_expr_value){ .key = double_key(2.5) }, "this == 2.5");
	element_check("fl", (struct sch_expr_value){ .key = float_key(-0.5f) }, "this == -0.5");
	element_check("fl", (struct sch_expr_value){ .key = float_key(1.5f) }, "this == 1.5");
	element_check("mode", (struct sch_expr_value){ .key = (uint64_t)-1 }, "this == Mode.AJAR && this in "
		   "[Mode.AJAR, Mode.OPEN]");
	element_check("s", (struct sch_expr_value){ .at = text, .len = 5 }, "this.size() == 4");
	element_check("rs", (struct sch_expr_value){ .at = text, .len = 3 }, "this == 'caf'");
	element_check("y", (struct sch_expr_value){ .at = NULL, .len = 0 }, "this == b''");
	element_check("rp", (struct sch_expr_value){ .at = point, .len = 2 }, "this.x == 7 && this.name == ''");
	element_check("rw", (struct sch_expr_value){ .at = boxed, .len = 2 }, "this == 5");
	element_check("rw", (struct sch_expr_value){ .at = none, .len = 0 }, "this == 0");
	element_check("t", (struct sch_expr_value){ .at = boxed, .len = 2 }, "this == timestamp(5)");
	element_check("d", (struct sch_expr_value){ .at = boxed, .len = 2 }, "this == duration('5s')");
}

static void test_variables(void **state)
{
	static const uint8_t boxed[] = { 0x08, 0x05 };
	struct sch_expr_value full = { .at = wire[FULL].at, .len = wire[FULL].len };
	struct sch_expr_value lists = { .at = wire[LISTS].at, .len = wire[LISTS].len };

	(void)state;
	var_check((struct sch_expr_var){ NULL, SCH_EXPR_FIELD, field_of("expr.All", "ri") }, lists,
		  "this == [1, 2, 3, -4] && this.all(x, x < 4) && this.unique() && this[3] == -4 && 2 in this && "
			   "size(this) == 4");
	var_check((struct sch_expr_var){ NULL, SCH_EXPR_FIELD, field_of("expr.All", "rp") }, lists, "this.all(p, p.name != '')");
	var_check((struct sch_expr_var){ NULL, SCH_EXPR_FIELD, field_of("expr.All", "ms") }, lists,
		  "this.all(k, this[k] != 'x') && this.size() == 2 && this.k == 'v' && has(this.e)");
	var_check((struct sch_expr_var){ NULL, SCH_EXPR_FIELD, field_of("expr.All", "mp") }, full, "this.size() == 0");
	var_check((struct sch_expr_var){ NULL, SCH_EXPR_FIELD, field_of("expr.All", "rm") }, lists, "this[0] == Mode.OPEN");
	var_check((struct sch_expr_var){ NULL, SCH_EXPR_MESSAGE, (uint32_t)sch_type_find(set, "google.protobuf.Int32Value") },
		  (struct sch_expr_value){ .at = boxed, .len = 2 }, "this == 5");
	var_check((struct sch_expr_var){ NULL, SCH_EXPR_MESSAGE, (uint32_t)sch_type_find(set, "google.protobuf.Duration") },
		  (struct sch_expr_value){ .at = boxed, .len = 2 }, "this == duration('5s')");
	var_check((struct sch_expr_var){ NULL, SCH_EXPR_TIME, 0 }, (struct sch_expr_value){ .s = -1 }, "int(this) == -1");
	var_check((struct sch_expr_var){ NULL, SCH_EXPR_PARTY, 0 }, (struct sch_expr_value){ .party = &hub }, "this.name == 'hub'");
	var_check((struct sch_expr_var){ NULL, SCH_EXPR_PARTY, 0 }, (struct sch_expr_value){ .party = NULL },
		  "this.name == '' && this.labels.size() == 0 && !has(this.labels.x)"); /* nobody */
}

/* --- bytes that are no message ---------------------------------------------------------------------------------------- */
/* Each beginning of a message, and each with one byte turned: there is an answer, and nothing is read beyond. (The sanitizers
 * look, and the copy ends where its memory ends.) */
static void test_broken(void **state)
{
	static const char *const texts[] = {
		"this.rl.all(l, l.via.all(v, v.x == 5) && l.tags.all(k, l.tags[k] == 4))",
		"this.ri.map(x, x + 1).size() + this.rs.size() + this.ms.size() + this.rd.size() + this.ru.size() > 0",
		"this.mp.all(k, this.mp[k].x > 0) && this.mu.all(k, this.mu[k] > 0.0) && this.mb.all(k, k || this.mb[k] > 0)",
		"this.rw.all(w, w == 7) || this.wi == 5 || this.ws == 'x' || this.ry[0] == b''",
		"this.t < now || this.d > duration('1s') || this.rt.exists(t, t > now) || has(this.cb.x) || this.deep.deep.b",
	};
	struct sch_expr_err err;
	struct sch_expr_out out;
	struct sch_expr *e;

	(void)state;
	for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
		if (compile(&e, "expr.All", texts[t], SCH_EXPR_BOOL, &err))
			fail_msg("%s: %s", texts[t], err.text);
		for (uint32_t m = 0; m < OLD; m++)
			for (uint32_t n = 0; n < wire[m].len; n++) {
				uint8_t *copy = malloc(wire[m].len);

				assert_non_null(copy);
				memcpy(copy, wire[m].at, wire[m].len);
				evaluate(e, copy + (wire[m].len - n), n, &out);
				assert_true(out.steps <= SCH_EXPR_STEPS_MAX);
				for (int bit = 0; bit < 8; bit++) {
					copy[n] = (uint8_t)(wire[m].at[n] ^ 1u << bit);
					evaluate(e, copy, wire[m].len, &out);
					assert_true(out.steps <= SCH_EXPR_STEPS_MAX);
				}
				free(copy);
			}
		sch_expr_free(e);
	}
}

/* --- names and defaults in a set ---------------------------------------------------------------------------------------------- */
static void test_names(void **state)
{
	uint32_t mode = sch_enum_find(set, "expr.Mode", 9);
	const struct sch_default *d = sch_default_find(set, field_of("expr2.Old", "i"));

	(void)state;
	assert_int_not_equal(mode, SCH_NONE);
	assert_int_equal(sch_enum_find(set, "expr.Mode and more", 9), mode);
	assert_int_equal(sch_enum_find(set, "expr.Mod", 8), SCH_NONE);
	assert_int_equal(sch_enum_find(set, "expr.Modes", 10), SCH_NONE);
	assert_int_equal(sch_enum_find(set, "", 0), SCH_NONE);
	assert_string_equal(sch_enum_value_name(set, mode, 1), "OPEN");
	assert_string_equal(sch_enum_value_name(set, mode, -1), "AJAR");
	assert_null(sch_enum_value_name(set, mode, 3));
	assert_string_equal(sch_enum_value_name(set, sch_enum_find(set, "expr.All.Inner", 14), 1), "SOME");
	assert_non_null(d);
	assert_int_equal((int64_t)d->key, -7);
	assert_null(sch_default_find(set, field_of("expr2.Old", "plain")));
	assert_null(sch_default_find(set, field_of("expr.All", "i32")));
	d = sch_default_find(set, field_of("expr2.Old", "y"));
	assert_non_null(d);
	assert_int_equal(d->len, 3);
	assert_memory_equal(set->names + d->at, "\001\xff\n", 3);
}

/* An error's text is cut between characters. */
static void test_error_text(void **state)
{
	struct sch_expr_err err;

	(void)state;
	assert_int_equal(compiles(repeated("this.s == '", "\xc3\xa9", 60, "' '\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
				  "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
				  "\xc3\xa9\xc3\xa9\xc3\xa9'"), &err), -EINVAL);
	assert_null(sch_utf8_bad((uint8_t *)err.text, (uint8_t *)strchr(err.text, 0), 0));
	assert_int_equal(compiles("this.s == '\xc3'", &err), -EINVAL);
	assert_int_equal(err.at, 11);
	assert_non_null(strstr(err.text, "UTF-8"));
}

/* --- protovalidate's own cases of its functions ----------------------------------------------------------------------- */
static const char *between(const char *line, const char *key, char *out, size_t cap)
{
	const char *at = strstr(line, key), *end;

	out[0] = '\0';
	if (at) {
		at += strlen(key);
		end = strchr(at, '"');
		snprintf(out, cap, "%.*s", (int)(end - at), at);
	}
	return out;
}

static void test_library(void **state)
{
	static const struct {
		const char *type, *text;
	} of[] = {
		{ "IsEmail", "this.val.isEmail()" },
		{ "IsHostname", "this.val.isHostname()" },
		{ "IsHostAndPort", "this.val.isHostAndPort(this.port_required)" },
		{ "IsUri", "this.val.isUri()" },
		{ "IsUriRef", "this.val.isUriRef()" },
		{ "IsIp", "has(this.version) ? this.val.isIp(this.version) : this.val.isIp()" },
		{ "IsIpPrefix", "has(this.version) ? (has(this.strict) ? this.val.isIpPrefix(this.version, this.strict) : "
				"this.val.isIpPrefix(this.version)) : has(this.strict) ? this.val.isIpPrefix(this.strict) : "
				"this.val.isIpPrefix()" },
	};
	static char line[1 << 16], hex[1 << 15], type[200], suite[100];
	static uint8_t bytes[1 << 14];
	struct sch_set *theirs;
	struct sch_err error;
	uint32_t n = 0;
	FILE *f = fopen(VECTORS "cases.jsonl", "r");

	(void)state;
	if (!f) {
		print_message("SKIP: no " VECTORS "cases.jsonl\n");
		skip();
	}
	assert_int_equal(sch_set_load_lenient(&theirs, VECTORS "fdset.binpb", &error), 0);
	while (fgets(line, sizeof line, f)) {
		if (strncmp(between(line, "\"suite\":\"", suite, sizeof suite), "library/", 8) != 0)
			continue;
		between(line, "\"type\":\"", type, sizeof type);
		between(line, "\"hex\":\"", hex, sizeof hex);
		for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
			struct sch_expr_var var = { "this", SCH_EXPR_MESSAGE, (uint32_t)sch_type_find(theirs, type) };
			struct sch_expr_value value = {.at = bytes,
						       .len = (uint32_t)hex_bytes(hex, bytes, sizeof bytes - SCH_PAD)};
			struct sch_expr_err err;
			struct sch_expr *e;

			if (strcmp(strrchr(type, '.') + 1, of[i].type) != 0)
				continue;
			if (sch_expr_compile(&e, theirs, &var, 1, of[i].text, SCH_EXPR_BOOL, &err))
				fail_msg("%s: %s", of[i].text, err.text);
			if (sch_expr_eval(e, &value, NULL) != (strstr(line, "\"success\":true") ? SCH_EXPR_TRUE : SCH_EXPR_FALSE))
				fail_msg("%s", line);
			sch_expr_free(e);
			n++;
		}
	}
	fclose(f);
	sch_set_free(theirs);
	print_message("%u cases\n", n);
	assert_in_range(n, 250, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),         cmocka_unit_test(test_reasons),    cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_bounds_compiled), cmocka_unit_test(test_bounds_run),
		cmocka_unit_test(test_budget),        cmocka_unit_test(test_map_walk),
		cmocka_unit_test(test_text),          cmocka_unit_test(test_elements),   cmocka_unit_test(test_variables),
		cmocka_unit_test(test_broken),        cmocka_unit_test(test_library),
		cmocka_unit_test(test_names),         cmocka_unit_test(test_error_text),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
