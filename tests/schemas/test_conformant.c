/* SPDX-License-Identifier: BSD-2-Clause */
/* Conformant mode: public wire cases where the folder with them exists, and what those leave out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>

#include "schemas/set.h"
#include "tests/schemas/fdset.h"

#define VECTORS "../shared/vectors/protobuf-wire/"

static struct sch_set *set;

static int start(void **state)
{
	(void)state;
	set = fdset_compiled("strict.proto old.proto");
	return set ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	sch_set_free(set);
	return 0;
}

static enum sch_reason ask(const char *type_name, const char *hex, int required_too)
{
	uint8_t msg[512];
	size_t len = hex_bytes(hex, msg, sizeof msg);
	struct sch_result r;

	return sch_validate_conformant(set, fdset_type(set, type_name), msg, len, required_too, &r);
}

/* One file of cases. Also: what strict mode accepts, conformant mode must accept. */
static void cases_run(const char *name)
{
	char path[200], line[65536];
	struct sch_set *s = NULL;
	struct sch_err err;
	unsigned n = 0;

	snprintf(path, sizeof path, VECTORS "%s.jsonl", name);
	FILE *f = fopen(path, "re");

	if (!f) {
		print_message("# SKIP %s is not here\n", path);
		skip();
	}
	snprintf(path, sizeof path, VECTORS "%s_fdset.binpb", name);
	assert_int_equal(sch_set_load(&s, path, &err), 0);
	while (fgets(line, sizeof line, f)) { /* ends with the file */
		json_t *c = json_loads(line, 0, NULL);
		const char *hex = json_string_value(json_object_get(c, "hex"));
		const char *verdict = json_string_value(json_object_get(c, "verdict"));
		int32_t type = sch_type_find(s, json_string_value(json_object_get(c, "type")));
		static uint8_t msg[32768];
		struct sch_result r;

		assert_true(type >= 0 && hex && verdict);
		size_t len = hex_bytes(hex, msg, sizeof msg - SCH_PAD);

		assert_int_equal(len * 2, strlen(hex));
		enum sch_reason why = sch_validate_conformant(s, (uint32_t)type, msg, len, 1, &r);
		const char *got = why == SCH_OK ? "accept" : why == SCH_REQUIRED ? "missing_required" : "reject";

		if (strcmp(got, verdict) != 0)
			fail_msg("%s: %s (%s), expected %s", line, got, sch_reason_name(why), verdict);
		if (sch_validate(s, (uint32_t)type, msg, len, &r) == SCH_OK)
			assert_int_equal(why, SCH_OK);
		json_decref(c);
		n++;
	}
	fclose(f);
	sch_set_free(s);
	assert_true(n > 100);
}

static void test_conformance_suite(void **state)
{
	(void)state;
	cases_run("conformance");
}

static void test_hyperpb_cases(void **state)
{
	(void)state;
	cases_run("hyperpb");
}

static void test_fuzz_cases(void **state)
{
	(void)state;
	cases_run("fuzz-proto3");
}

struct wire_case {
	const char *type, *hex;
	enum sch_reason reason;
};

static void test_wire(void **state)
{
	static const struct wire_case cases[] = {
		{ "strict.All", "0801 0801", SCH_OK },                         /* the last one counts */
		{ "strict.All", "b80101 c20100", SCH_OK },                     /* so in a oneof */
		{ "strict.All", "f00101", SCH_OK },                            /* unknown */
		{ "strict.All", "0a00", SCH_OK },                              /* wrong wire type: unknown */
		{ "strict.All", "8800 8100", SCH_OK },                         /* long forms */
		{ "strict.All", "8880808000 8100", SCH_OK },
		{ "strict.All", "888080808000 01", SCH_VARINT },               /* six bytes of tag */
		{ "strict.All", "8880808070 01", SCH_OK },                     /* bits above 32 drop */
		{ "strict.All", "10 ffffffffffffffffff7f", SCH_OK },           /* bits above 64 drop */
		{ "strict.All", "10 ffffffffffffffffffff01", SCH_VARINT },
		{ "strict.All", "38 05 40 05", SCH_OK },
		{ "strict.All", "6a 8080808000", SCH_OK },
		{ "strict.All", "6a 808080808000", SCH_VARINT },
		{ "strict.All", "6a ffffffff07", SCH_VARINT },                 /* too near 2 GiB for C++ */
		{ "strict.All", "6a efffffff07", SCH_TRUNCATED },
		{ "strict.All", "6a 01 ff", SCH_UTF8 },
		{ "strict.All", "6a 09 000000000000000000", SCH_OK },
		{ "old.Req", "0801 1201 ff", SCH_OK },                         /* proto2 does not look */
		{ "strict.All", "d20103 0a01ff", SCH_UTF8 },                   /* a map's key */
		{ "strict.All", "0001", SCH_TAG },
		{ "strict.All", "0e", SCH_WIRE_TYPE },
		{ "strict.All", "f701", SCH_WIRE_TYPE },
		{ "strict.All", "f301 0801 f401", SCH_OK },                    /* unknown group */
		{ "strict.All", "f301 0001 f401", SCH_TAG },
		{ "strict.All", "f301 0c", SCH_GROUP },
		{ "strict.All", "f301", SCH_GROUP },
		{ "strict.All", "0c", SCH_GROUP },
		{ "strict.All", "8201 02 0180", SCH_PACKED },
		{ "strict.All", "8a01 03 010203", SCH_PACKED },
		{ "strict.All", "7a 02 2001", SCH_OK },
		{ "strict.All", "7a 02 1205", SCH_TRUNCATED },
		{ "strict.All", "d201050a01611001 d201050a01611002", SCH_OK }, /* the later entry counts */
		{ "old.Holder", "a20602 08", SCH_TRUNCATED },                  /* extensions are known */
		{ "old.Holder", "1063", SCH_OK },                              /* closed enum: unknown */
		{ "old.Set", "0b 10e807 1a020801 0c", SCH_REQUIRED },
		{ "old.Set", "0b 10e807 1a0108 0c", SCH_TRUNCATED },
		{ "old.Set", "0b 1a0108 10e807 0c", SCH_TRUNCATED },           /* payload first */
		{ "old.Set", "0b 1a0108 1007 0c", SCH_OK },                    /* of nothing that is known */
		{ "old.Set", "0b 1000 1a00 0c", SCH_TAG },
		{ "old.Set", "0b 1a00 1000 0c", SCH_OK },
		{ "old.Set", "0b 10e807 1a050801120161 1a01ff 2001 0c", SCH_OK },
		{ "old.Set", "c23e050801120161", SCH_OK },                     /* as a plain extension */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		enum sch_reason why = ask(cases[i].type, cases[i].hex, 1);

		if (why != cases[i].reason)
			fail_msg("%s %s: %s, expected %s", cases[i].type, cases[i].hex, sch_reason_name(why),
				 sch_reason_name(cases[i].reason));
	}
}

static void test_required(void **state)
{
	(void)state;
	assert_int_equal(ask("old.Req", "0801", 0), SCH_OK);
	assert_int_equal(ask("old.Req", "0801", 1), SCH_REQUIRED);
	/* two pieces of one message merge */
	assert_int_equal(ask("old.Holder", "22020801 2203120161", 1), SCH_OK);
	assert_int_equal(ask("old.Holder", "22020801 22020801", 1), SCH_REQUIRED);
	/* pieces of a repeated field do not */
	assert_int_equal(ask("old.Req", "0801120161 22020801 2203120161", 1), SCH_REQUIRED);
	/* a oneof's other member drops the first, and coming back starts anew */
	assert_int_equal(ask("old.Holder", "22020801 2801", 1), SCH_OK);
	assert_int_equal(ask("old.Holder", "22020801 2801 2203120161", 1), SCH_REQUIRED);
	/* map entries: the later one with a key counts; a missing value is an empty one */
	assert_int_equal(ask("old.Holder", "32040801 1200", 1), SCH_REQUIRED);
	assert_int_equal(ask("old.Holder", "3204 0801 1200 3209 0801 1205 0801 120161", 1), SCH_OK);
	assert_int_equal(ask("old.Holder", "3204 0801 1200 3209 0802 1205 0801 120161", 1), SCH_REQUIRED);
	assert_int_equal(ask("old.Holder", "3202 0801", 1), SCH_REQUIRED);
	/* a number that a closed enum does not have is an unknown field: it sets nothing, and unsets nothing */
	assert_int_equal(ask("old.Must", "0803", 0), SCH_OK);
	assert_int_equal(ask("old.Must", "0803", 1), SCH_REQUIRED);
	assert_int_equal(ask("old.Must", "0802 0803", 1), SCH_OK);
	assert_int_equal(ask("old.Must", "0802 1200", 1), SCH_REQUIRED);
	/* closed enums drop what exceeds 32 bits before they look */
	assert_int_equal(ask("old.Must", "088180808010", 1), SCH_OK);
}

/* Levels of groups with number 30, which the schema does not have, or of messages. */
static void test_depth(void **state)
{
	int32_t type = sch_type_find(set, "strict.Inner");
	uint8_t msg[1024];
	struct sch_result r;

	(void)state;
	for (uint32_t levels = 99; levels <= 102; levels++) {
		enum sch_reason want = levels <= SCH_CONFORMANT_DEPTH_MAX ? SCH_OK : SCH_DEPTH;
		size_t n = 0;

		for (uint32_t i = 0; i < levels; i++)
			n += hex_bytes("f301", msg + n, 2);
		for (uint32_t i = 0; i < levels; i++)
			n += hex_bytes("f401", msg + n, 2);
		assert_int_equal(sch_validate_conformant(set, (uint32_t)type, msg, n, 0, &r), want);
		uint8_t *p = msg + sizeof msg;

		for (uint32_t i = 0; i < levels; i++) {
			size_t inner = (size_t)(msg + sizeof msg - p);

			if (inner >= 128) {
				*--p = (uint8_t)(inner >> 7);
				*--p = (uint8_t)(inner | 0x80);
			} else {
				*--p = (uint8_t)inner;
			}
			*--p = 0x1a;
		}
		assert_int_equal(sch_validate_conformant(set, (uint32_t)type, p, (size_t)(msg + sizeof msg - p), 0, &r),
				 want);
	}
	assert_int_equal(r.depth, sizeof r.path / sizeof r.path[0]); /* the path is cut, not overrun */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conformance_suite), cmocka_unit_test(test_hyperpb_cases),
		cmocka_unit_test(test_fuzz_cases),	  cmocka_unit_test(test_wire),
		cmocka_unit_test(test_required),	  cmocka_unit_test(test_depth),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, start, stop);
}
