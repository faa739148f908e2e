/* SPDX-License-Identifier: BSD-2-Clause */
/* Which strings and bytes are opaque content: a span tells of each that no rule confines, and of none that one does. And what
 * the loop decides by itself for their sake and for times and packed numbers is what the judge decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/schemas/constrained.h"

#define V "(buf.validate.field)"
#define S(rules) "string v = 1 [" V rules "];"
#define B(rules) "bytes v = 1 [" V rules "];"

static const struct confined {
	const char *body;   /* field 1 is v */
	const char *value;  /* that its rules take */
	int confined;
} cases[] = {
	{ "string v = 1;", "a", 0 },
	{ "bytes v = 1;", "a", 0 },
	/* lists */
	{ S(".string.const = 'on'"), "on", 1 },
	{ S(".string = { in: ['on', 'off'] }"), "off", 1 },
	{ S(".string = { in: ['on', 'a text that has more than fifteen bytes'] }"), "a text that has more than fifteen bytes", 1 },
	{ S(".string = { in: ['\\303\\251t\\303\\251', 'hiver'] }"), "\303\251t\303\251", 1 },
	{ S(".string = { in: ['on', 'off'], min_len: 1 }"), "on", 1 },
	{ B(".bytes.const = 'on'"), "on", 1 },
	{ B(".bytes = { in: ['on', 'off'] }"), "on", 1 },
	{ S(".string = { not_in: ['on', 'off'] }"), "x", 0 },
	{ B(".bytes = { not_in: ['on', 'off'] }"), "x", 0 },
	/* formats */
	{ S(".string.uuid = true"), "0123abcd-0123-4abc-8def-0123456789AB", 1 },
	{ S(".string.tuuid = true"), "0123abcd01234abc8def0123456789AB", 1 },
	{ S(".string.ulid = true"), "01ARZ3NDEKTSV4RRFFQ69G5FA0", 1 },
	{ S(".string.ipv4 = true"), "10.0.0.1", 1 },
	{ S(".string.ipv4_with_prefixlen = true"), "10.0.0.1/8", 1 },
	{ S(".string.ipv4_prefix = true"), "10.0.0.0/8", 1 },
	{ S(".string.ipv6_with_prefixlen = true"), "fe80::1/64", 1 },
	{ S(".string.ipv6_prefix = true"), "fe80::/64", 1 },
	{ S(".string.ip_with_prefixlen = true"), "fe80::1/64", 1 },
	{ S(".string.ip_prefix = true"), "10.0.0.0/8", 1 },
	{ S(".string = { uuid: true, not_contains: 'f' }"), "01230000-0123-4000-8000-012345678900", 1 },
	{ S(".string.ip = true"), "10.0.0.1", 0 }, /* a zone is any text */
	{ S(".string.ipv6 = true"), "fe80::1%any text", 0 },
	{ S(".string.hostname = true"), "a.example", 0 },
	{ S(".string.email = true"), "a@b.example", 0 },
	{ S(".string.uri = true"), "https://a.example/x", 0 },
	{ S(".string.uri_ref = true"), "/x", 0 },
	{ S(".string.address = true"), "10.0.0.1", 0 },
	{ S(".string.host_and_port = true"), "10.0.0.1:1", 0 },
	{ S(".string.protobuf_fqn = true"), "a.b", 0 },
	{ S(".string.protobuf_dot_fqn = true"), ".a.b", 0 },
	{ S(".string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_NAME"), "a", 0 },
	{ S(".string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_VALUE"), "a", 0 },
	{ B(".bytes.ip = true"), "abcd", 0 },
	{ B(".bytes.ipv4 = true"), "abcd", 0 },
	{ B(".bytes.ipv6 = true"), "abcdefghijklmnop", 0 },
	{ B(".bytes.uuid = true"), "abcdefghijklmnop", 0 },
	/* what says something, and not all */
	{ S(".string.len = 2"), "on", 0 },
	{ S(".string.max_bytes = 2"), "on", 0 },
	{ S(".string.prefix = 'o'"), "on", 0 },
	{ S(".string.suffix = 'n'"), "on", 0 },
	{ S(".string.contains = 'n'"), "on", 0 },
	{ S(".string.not_contains = 'x'"), "on", 0 },
	{ S(".string.pattern = '^on$'"), "on", 0 },
	{ S(".cel = { id: 'a', expression: \"this == 'on'\" }"), "on", 0 },
	{ S(".required = true"), "on", 0 },
	/* ignored rules: what they let through besides is empty, or all */
	{ S(".ignore = IGNORE_ALWAYS, " V ".string.const = 'on'"), "no", 0 },
	{ S(".ignore = IGNORE_IF_ZERO_VALUE, " V ".string.const = 'on'"), "on", 1 },
	{ S(".ignore = IGNORE_IF_ZERO_VALUE, " V ".string.uuid = true"), "0123abcd-0123-4abc-8def-0123456789AB", 1 },
	{ "optional " S(".string.const = 'on'"), "on", 1 },
	{ "oneof o { " S(".string.const = 'on'") " int32 w = 2; }", "on", 1 },
	{ "option (buf.validate.message).oneof = { fields: ['v', 'w'] }; int32 w = 2; " S(".string.const = 'on'"), "on", 1 },
	/* lists */
	{ "repeated " S(".repeated.items.string.uuid = true"), "0123abcd-0123-4abc-8def-0123456789AB", 1 },
	{ "repeated " S(".repeated.items = { string: { in: ['on', 'off'] } }"), "off", 1 },
	{ "repeated " S(".repeated.items = { ignore: IGNORE_ALWAYS, string: { in: ['on', 'off'] } }"), "no", 0 },
	{ "repeated " S(".repeated.items.string.max_len = 3"), "off", 0 },
	{ "repeated " S(".repeated.max_items = 3"), "off", 0 },
	/* boxes: their field is one for all */
	{ "google.protobuf.StringValue v = 1 [" V ".string.const = 'on'];", "\012\002on", 0 },
};
#define N_CASES (sizeof cases / sizeof cases[0])

/* What is reached over another message, the case's field 1. */
static const char inside[] =
	"message In { string id = 1 [" V ".string.uuid = true]; }\n"
	"message Near { In in = 1; }\n"
	"message Loose { Held held = 1 [" V ".ignore = IGNORE_ALWAYS]; Held ruled = 2; }\n"
	"message Held { string id = 1 [" V ".string.const = 'on']; Deep deep = 2; }\n"
	"message Deep { string id = 1 [" V ".string.const = 'on']; }\n"
	"message Maps { map<string, string> m = 1 [" V ".map = { keys: { string: { in: ['on', 'off'] } },\n"
	"values: { string: { uuid: true } } }]; map<string, string> k = 2 [" V ".map.keys.string.const = 'on'];\n"
	"map<int32, string> v = 3 [" V ".map.values.string.const = 'on']; }\n"
	"message Among { string v = 1 [" V ".string = { in: ['a', 'bc', 'north', 'north-east', 'south', 'fourteen-bytes',\n"
	"'fifteen-bytes-x', 'sixteen-bytes-xy', 'a text of some more bytes'] }]; }\n"
	"message Times { google.protobuf.Timestamp t = 1; google.protobuf.Timestamp a = 2 [" V ".timestamp.gte.seconds = 1000];\n"
	"google.protobuf.Timestamp b = 3 [" V ".timestamp = { gt: { seconds: 5, nanos: 7 }, lt: { seconds: 300, nanos: 1 } }];\n"
	"google.protobuf.Duration d = 4 [" V ".duration = { gte: { seconds: -2 }, lte: { seconds: 2, nanos: 5 } }];\n"
	"google.protobuf.Timestamp e = 5 [" V ".timestamp.const.seconds = 9];\n"
	"google.protobuf.Duration f = 6 [" V ".duration = { gt: { seconds: 9 }, lt: { seconds: 3 } }]; }\n"
	"message Packed { repeated uint32 a = 1; repeated uint64 b = 2; repeated sint32 c = 3;\n"
	"repeated uint32 d = 4 [" V ".repeated.items.uint32.lte = 65535];\n"
	"repeated sint64 e = 5 [" V ".repeated.items.sint64 = { gte: -300, lt: 900000 }];\n"
	"repeated bool f = 6; repeated uint32 g = 7 [" V ".repeated.items.uint32.gt = 0]; repeated int64 h = 8;\n"
	"repeated int32 i = 9 [" V ".repeated.items.int32.lte = 127]; }\n";

static struct sch_set *set;

static int set_make(void **state)
{
	struct row rows[N_CASES];
	struct sch_err err;
	char *head = malloc(sizeof CONSTRAINED_HEAD + sizeof inside);
	uint8_t *data;
	size_t len = 0;

	(void)state;
	assert_non_null(head);
	strcpy(head, CONSTRAINED_HEAD);
	strcat(head, inside);
	for (size_t i = 0; i < N_CASES; i++)
		rows[i].body = cases[i].body;
	data = constrained_make("confine", "proto3", head, rows, N_CASES, &len);
	free(head);
	assert_non_null(data);
	if (sch_set_compile(&set, data, len, &err))
		fail_msg("%s: %s", err.where, err.text);
	free(data);
	return 0;
}

static int set_free(void **state)
{
	(void)state;
	sch_set_free(set);
	return 0;
}

static size_t field_put(uint8_t *out, uint32_t field, const void *value, size_t len)
{
	size_t n = varint_put(out, field << 3 | 2);

	n += varint_put(out + n, len);
	memcpy(out + n, value, len);
	return n + len;
}

/* --- spans ---------------------------------------------------------------------------------------------------------- */

static void each_rule(void **state)
{
	static const struct sch_ask no_rules = { .no_rules = 1 };

	(void)state;
	for (size_t i = 0; i < N_CASES; i++) {
		const struct confined *c = &cases[i];
		size_t len = strlen(c->value), box = c->value[0] == '\012' ? 2 : 0;
		uint8_t msg[128 + SCH_PAD] = { 0 };
		struct sch_result r;
		char name[20];

		snprintf(name, sizeof name, "p.M%zu", i);
		uint32_t type = fdset_type(set, name);
		size_t n = field_put(msg, 1, c->value, len);

		if (sch_validate(set, type, msg, n, &r) != SCH_OK)
			fail_msg("%s: %s", c->body, sch_reason_name(r.reason));
		if (r.n_spans != !c->confined)
			fail_msg("%s: %u spans", c->body, r.n_spans);
		if (r.n_spans)
			assert_int_equal(r.span[0].len, len - box);
		assert_int_equal(r.spans_cut, 0);
		/* whoever asks for no rules has no rule to rely on */
		assert_int_equal(sch_validate_ask(set, type, msg, n, &no_rules, &r), SCH_OK);
		assert_int_equal(r.n_spans, 1);
		assert_int_equal(r.span[0].offset, n - len + box);
		int32_t field = sch_field_at(set, type, "v");

		assert_true(field >= 0);
		if (!box) {
			assert_int_equal(sch_field_is_confined(set, (uint32_t)field), c->confined);
			assert_int_equal(sch_field_is_opaque(set, (uint32_t)field), !c->confined);
		}
		msg[n - 1] ^= 0x15; /* one that the rules do not take */
		if (c->confined)
			assert_int_equal(sch_validate(set, type, msg, n, &r), SCH_RULE);
	}
}

static void over_messages(void **state)
{
	static const char uuid[] = "0123abcd-0123-4abc-8def-0123456789ab";
	uint8_t in[64], msg[200 + SCH_PAD] = { 0 };
	struct sch_result r;
	size_t n;

	(void)state;
	n = field_put(in, 1, uuid, 36);
	n = field_put(msg, 1, in, n);
	assert_int_equal(sch_validate(set, fdset_type(set, "p.Near"), msg, n, &r), SCH_OK);
	assert_int_equal(r.n_spans, 0);
	/* rules are ignored on one way to Held, and so its texts, and Deep's, are opaque on each */
	for (uint32_t way = 1; way <= 2; way++) {
		n = field_put(in, 1, "on", 2);
		n += field_put(in + n, 2, "\012\002on", 4);
		n = field_put(msg, way, in, n);
		assert_int_equal(sch_validate(set, fdset_type(set, "p.Loose"), msg, n, &r), SCH_OK);
		assert_int_equal(r.n_spans, 2);
	}
	assert_int_equal(sch_field_is_opaque(set, (uint32_t)sch_field_at(set, fdset_type(set, "p.Deep"), "id")), 1);
	msg[3 + 2] = 'x'; /* "on" becomes "xn" */
	assert_int_equal(sch_validate(set, fdset_type(set, "p.Loose"), msg, n, &r), SCH_RULE);
	msg[0] = 1 << 3 | 2; /* by the way on which it is ignored */
	assert_int_equal(sch_validate(set, fdset_type(set, "p.Loose"), msg, n, &r), SCH_OK);
	assert_int_equal(r.n_spans, 2);
	assert_int_equal(r.span[0].len, 2);
}

static void maps(void **state)
{
	static const char uuid[] = "0123abcd-0123-4abc-8def-0123456789ab";
	uint8_t entry[64], msg[200 + SCH_PAD] = { 0 };
	uint32_t type = fdset_type(set, "p.Maps");
	struct sch_result r;
	size_t n, m;

	(void)state;
	n = field_put(entry, 1, "on", 2);
	n += field_put(entry + n, 2, uuid, 36);
	m = field_put(msg, 1, entry, n);
	assert_int_equal(sch_validate(set, type, msg, m, &r), SCH_OK);
	assert_int_equal(r.n_spans, 0);
	n = field_put(entry, 1, "on", 2);
	n += field_put(entry + n, 2, "on", 2);
	m = field_put(msg, 2, entry, n); /* its values are free */
	assert_int_equal(sch_validate(set, type, msg, m, &r), SCH_OK);
	assert_int_equal(r.n_spans, 1);
	assert_int_equal(r.span[0].offset, m - 2);
	entry[0] = 1 << 3;
	entry[1] = 7;
	n = 2 + field_put(entry + 2, 2, "on", 2);
	m = field_put(msg, 3, entry, n);
	assert_int_equal(sch_validate(set, type, msg, m, &r), SCH_OK);
	assert_int_equal(r.n_spans, 0);
}

/* --- the loop and the judge ------------------------------------------------------------------------------------------- */

static uint64_t random_state = 1;

static uint64_t draw(uint64_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

/* Texts of the list, changed in one place, cut, with a byte more or a NUL: in it, or refused. */
static void among(void **state)
{
	static const char *const list[] = { "a", "bc", "north", "north-east", "south", "fourteen-bytes", "fifteen-bytes-x",
					    "sixteen-bytes-xy", "a text of some more bytes" };
	static const struct sch_ask loose = { .loose = 1 };
	uint32_t type = fdset_type(set, "p.Among"), taken = 0;
	struct sch_result r;

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		const char *of = list[draw(sizeof list / sizeof list[0])];
		uint8_t text[64] = { 0 }, msg[128];
		size_t len = strlen(of);
		int member = 0;

		memcpy(text, of, len);
		switch (draw(6)) {
		case 0:
			break;
		case 1:
			text[draw(len)] ^= (uint8_t)(1u << draw(8));
			break;
		case 2:
			len = draw(len + 1);
			break;
		case 3:
			text[len++] = (uint8_t)draw(3);
			break;
		case 4:
			len += draw(20); /* NULs */
			break;
		default:
			memset(text, (int)draw(256), draw(len + 1));
		}
		for (size_t k = 0; k < sizeof list / sizeof list[0]; k++)
			member |= strlen(list[k]) == len && memcmp(list[k], text, len) == 0;
		memset(msg, (int)draw(256), sizeof msg); /* what follows the message says nothing */
		size_t n = field_put(msg, 1, text, len);

		assert_int_equal(sch_validate(set, type, msg, n, &r) == SCH_OK, member);
		assert_int_equal(r.n_spans, 0);
		assert_int_equal(sch_validate_ask(set, type, msg, n, &loose, &r) == SCH_OK, member);
		taken += (uint32_t)member;
	}
	assert_true(taken > 30000);
}

/* A time whose nanoseconds stand first is not the loop's own to read: it must come to the same answer. */
static void times(void **state)
{
	static const int64_t near[] = { 0, 1, 4, 5, 6, 9, 10, 299, 300, 301, 999, 1000, 1001,
					-1, -2, -3, INT32_MAX, INT64_MAX, INT64_MIN };
	static const int64_t nanos[] = { 0, 1, 6, 7, 8, 999999999, 1000000000, INT32_MAX, -1, -999999999, 5, 4 };
	uint32_t type = fdset_type(set, "p.Times"), taken = 0;

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		uint64_t s = (uint64_t)near[draw(sizeof near / sizeof near[0])], ns = (uint64_t)nanos[draw(12)];
		uint8_t seconds[16] = { 1 << 3 }, rest[16] = { 2 << 3 }, in[40];
		uint8_t one[64 + SCH_PAD] = { 0 }, other[64 + SCH_PAD] = { 0 };
		size_t n_s = 1 + varint_put(seconds + 1, s), n_ns = draw(5) ? 1 + varint_put(rest + 1, ns) : 0;
		uint32_t field = 1 + (uint32_t)draw(6);
		struct sch_result r, q;

		if (draw(9) == 0 && n_s > 2)
			seconds[n_s - 1] |= 0x80; /* cut off, or longer than it should be */
		memcpy(in, seconds, n_s);
		memcpy(in + n_s, rest, n_ns);
		size_t n = field_put(one, field, in, n_s + n_ns);

		memcpy(in, rest, n_ns);
		memcpy(in + n_ns, seconds, n_s);
		size_t m = field_put(other, field, in, n_s + n_ns);

		assert_int_equal(n, m);
		if (seconds[n_s - 1] & 0x80) {
			assert_int_not_equal(sch_validate(set, type, one, n, &r), SCH_OK);
			continue;
		}
		sch_validate(set, type, one, n, &r);
		sch_validate(set, type, other, m, &q);
		if (n_ns == 0) { /* the judge, by an odd but correct way: nothing in between */
			assert_int_equal(r.reason, q.reason);
			continue;
		}
		if (r.reason != q.reason || r.rule != q.rule)
			fail_msg("field %u, %lld s %lld ns: %s or %s", field, (long long)s, (long long)ns,
				 sch_reason_name(r.reason), sch_reason_name(q.reason));
		taken += r.reason == SCH_OK;
	}
	assert_true(taken > 20000);
}

/* Packed numbers, and the same one by one: the same answer, about the same element. */
static void packed(void **state)
{
	uint32_t type = fdset_type(set, "p.Packed"), taken = 0;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		static uint8_t in[4000], one[4200 + SCH_PAD], other[8000 + SCH_PAD];
		uint32_t field = 1 + (uint32_t)draw(9), count = (uint32_t)(draw(8) ? draw(60) : draw(300));
		uint32_t shift = (uint32_t)draw(64);
		size_t n_in = 0, m = 0, n;
		struct sch_result r, q;

		for (uint32_t k = 0; k < count; k++) {
			uint64_t v = draw(40) ? draw(UINT64_MAX) >> 57 >> draw(7) : draw(UINT64_MAX) >> shift;

			if (field == 6)
				v &= draw(200) ? 1 : 3;
			if (draw(4))
				v |= draw(2) << (7 * draw(3));
			n_in += varint_put(in + n_in, v);
			if (draw(2000) == 0) { /* not the shortest */
				in[n_in - 1] |= 0x80;
				in[n_in++] = 0;
			}
		}
		if (draw(500) == 0 && n_in)
			in[n_in - 1] |= 0x80;
		if (draw(800) == 0) {
			size_t run = draw(130);

			memset(in + n_in, 0xff, run);
			n_in += run;
			in[n_in++] = 1;
		}
		n = field_put(one, field, in, n_in);
		for (size_t k = 0; k < n_in;) {
			other[m++] = (uint8_t)(field << 3);
			do
				other[m++] = in[k++];
			while (k < n_in && in[k - 1] >= 0x80);
		}
		sch_validate(set, type, one, n, &r);
		memset(one + n, 0xff, SCH_PAD);
		assert_int_equal(sch_validate(set, type, one, n, &q), r.reason);
		memset(one + n, 0, SCH_PAD);
		sch_validate(set, type, other, m, &q);
		if (r.reason == SCH_PACKED)
			assert_int_equal(q.reason, SCH_TRUNCATED);
		else if (r.reason != q.reason)
			fail_msg("field %u: %s or %s", field, sch_reason_name(r.reason), sch_reason_name(q.reason));
		if (r.reason != SCH_OK)
			assert_int_equal(r.path[0].element, q.path[0].element);
		taken += r.reason == SCH_OK;
	}
	assert_true(taken > 20000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule), cmocka_unit_test(over_messages), cmocka_unit_test(maps),
		cmocka_unit_test(among),     cmocka_unit_test(times),	      cmocka_unit_test(packed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_make, set_free);
}
