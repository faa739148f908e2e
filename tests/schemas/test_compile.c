/* SPDX-License-Identifier: BSD-2-Clause */
/* The schema compiler: what protoc writes is accepted and found again; each way in which a hostile descriptor set can
 * lie is refused, with a text that names it. */
#include "schemas/set.h"
#include "tests/schemas/change.h"

static uint8_t *base;
static size_t base_len;

static int start(void **state)
{
	(void)state;
	base = fdset_make("strict.proto old.proto later.proto", &base_len);
	return base ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	free(base);
	return 0;
}

static char long_name[SCH_NAME_MAX + 2];
static char text_name[] = "text", gone_name[] = "gone.proto";
static char *one_name[] = { text_name };
static Google__Protobuf__DescriptorProto__ReservedRange reserved;
static Google__Protobuf__DescriptorProto__ReservedRange *reserved_list[] = { &reserved };

static void reserve(fds_t *s, int32_t from, int32_t to)
{
	google__protobuf__descriptor_proto__reserved_range__init(&reserved);
	reserved.has_start = reserved.has_end = 1;
	reserved.start = from;
	reserved.end = to;
	msg_of(s, "Inner")->reserved_range = reserved_list;
	msg_of(s, "Inner")->n_reserved_range = 1;
}

static void m_no_file_name(fds_t *s) { s->file[0]->name = NULL; }
static void m_file_twice(fds_t *s) { s->file[1]->name = s->file[0]->name; }
static void m_no_import(fds_t *s)
{
	static char *names[] = { gone_name };

	s->file[0]->dependency = names;
	s->file[0]->n_dependency = 1;
}
static void m_editions(fds_t *s) { s->file[0]->syntax = STR("editions"); s->file[0]->n_service = 0; }
static void m_syntax(fds_t *s) { s->file[0]->syntax = STR("proto4"); }
static void m_package(fds_t *s) { s->file[0]->package = STR("a..b"); }
static void m_package_dot(fds_t *s) { s->file[0]->package = STR("a."); }
static void m_message_name(fds_t *s) { msg_of(s, "All")->name = STR("A l"); }
static void m_message_long(fds_t *s)
{
	memset(long_name, 'x', sizeof long_name - 1);
	msg_of(s, "Inner")->name = long_name;
}
static void m_message_twice(fds_t *s) { msg_of(s, "All")->name = STR("Inner"); }
static void m_enum_name_taken(fds_t *s) { file_of(s, "strict.proto")->enum_type[0]->name = STR("Inner"); }
static void m_number_zero(fds_t *s) { field_of(s, "Inner", "a")->number = 0; }
static void m_number_negative(fds_t *s) { field_of(s, "Inner", "a")->number = -1; }
static void m_number_none(fds_t *s) { field_of(s, "Inner", "a")->has_number = 0; }
static void m_number_big(fds_t *s) { field_of(s, "Inner", "a")->number = 536870912; }
static void m_number_own(fds_t *s) { field_of(s, "Inner", "a")->number = 19500; }
static void m_number_twice(fds_t *s) { field_of(s, "Inner", "a")->number = 2; }
static void m_number_reserved(fds_t *s) { reserve(s, 1, 2); }
static void m_range_empty(fds_t *s) { reserve(s, 9, 9); }
static void m_range_overlap(fds_t *s)
{
	reserve(s, 120, 130);
	msg_of(s, "Holder")->reserved_range = reserved_list;
	msg_of(s, "Holder")->n_reserved_range = 1;
	msg_of(s, "Inner")->n_reserved_range = 0;
}
static void m_name_reserved(fds_t *s)
{
	msg_of(s, "All")->reserved_name = one_name;
	msg_of(s, "All")->n_reserved_name = 1;
}
static void m_name_twice(fds_t *s) { field_of(s, "Inner", "a")->name = STR("s"); }
static void m_name_bad(fds_t *s) { field_of(s, "Inner", "a")->name = STR("1a"); }
static void m_name_none(fds_t *s) { field_of(s, "Inner", "a")->name = NULL; }
static void m_type_none(fds_t *s) { field_of(s, "Inner", "a")->has_type = 0; }
static void m_type_big(fds_t *s) { field_of(s, "Inner", "a")->type = (Google__Protobuf__FieldDescriptorProto__Type)19; }
static void m_type_gone(fds_t *s) { field_of(s, "Inner", "next")->type_name = STR(".strict.Gone"); }
static void m_type_undotted(fds_t *s) { field_of(s, "Inner", "next")->type_name = STR("strict.Inner"); }
static void m_type_kind(fds_t *s) { field_of(s, "Inner", "next")->type_name = STR(".strict.Color"); }
static void m_type_scalar(fds_t *s) { field_of(s, "Inner", "a")->type_name = STR(".strict.Inner"); }
static void m_label_none(fds_t *s) { field_of(s, "Inner", "a")->has_label = 0; }
static void m_required3(fds_t *s) { field_of(s, "Inner", "a")->label = LABEL(REQUIRED); }
static void m_group3(fds_t *s) { field_of(s, "Inner", "next")->type = TYPE(GROUP); }
static void m_extendee(fds_t *s) { field_of(s, "Inner", "a")->extendee = STR(".strict.All"); }
static void m_oneof_index(fds_t *s) { field_of(s, "All", "number")->oneof_index = 1; }
static void m_oneof_negative(fds_t *s) { field_of(s, "All", "number")->oneof_index = -1; }
static void m_oneof_repeated(fds_t *s) { field_of(s, "All", "number")->label = LABEL(REPEATED); }
static void m_oneof_empty(fds_t *s)
{
	field_of(s, "Maybe", "maybe")->has_oneof_index = 0;
	field_of(s, "Maybe", "maybe")->has_proto3_optional = 0;
}
static void m_optional_shared(fds_t *s) { field_of(s, "Maybe", "name")->oneof_index = 0; }
static void m_optional_alone(fds_t *s) { field_of(s, "Maybe", "maybe")->has_oneof_index = 0; }
static void m_ext_gone(fds_t *s) { file_of(s, "old.proto")->extension[0]->extendee = STR(".old.Gone"); }
static void m_ext_range(fds_t *s) { file_of(s, "old.proto")->extension[0]->number = 300; }
static void m_ext_required(fds_t *s) { file_of(s, "old.proto")->extension[0]->label = LABEL(REQUIRED); }
static void m_ext_range3(fds_t *s)
{
	file_of(s, "old.proto")->syntax = STR("proto3");
	msg_of(s, "Req")->n_field = 0;
	msg_of(s, "Must")->n_field = 0;
	msg_of(s, "Holder")->n_field = 0;
	msg_of(s, "Holder")->n_oneof_decl = 0;
	file_of(s, "old.proto")->enum_type[0]->value[0]->number = 0;
	file_of(s, "old.proto")->n_extension = 0;
}
static void m_set_field(fds_t *s) { file_of(s, "old.proto")->extension[1]->label = LABEL(REPEATED); }
static void m_map_elsewhere(fds_t *s) { field_of(s, "Inner", "next")->type_name = STR(".strict.All.LabelsEntry"); }
static void m_map_singular(fds_t *s) { field_of(s, "All", "labels")->label = LABEL(OPTIONAL); }
static void m_map_key(fds_t *s) { msg_of(s, "All")->nested_type[0]->field[0]->type = TYPE(FLOAT); }
static void m_map_number(fds_t *s) { msg_of(s, "All")->nested_type[0]->field[1]->number = 3; }
static void m_map_one(fds_t *s) { msg_of(s, "All")->nested_type[0]->n_field = 1; }
static void m_map_enum(fds_t *s)
{
	field_t *f = msg_of(s, "Holder")->nested_type[2]->field[1];

	f->type = TYPE(ENUM);
	f->type_name = STR(".old.Closed");
}
static void m_closed3(fds_t *s)
{
	field_of(s, "All", "color")->type_name = STR(".old.Closed");
	file_of(s, "old.proto")->enum_type[0]->value[0]->number = 0;
}
static void m_default3(fds_t *s) { field_of(s, "Inner", "a")->default_value = STR("7"); }
static void m_map_repeated(fds_t *s) { msg_of(s, "All")->nested_type[0]->field[1]->label = LABEL(REPEATED); }
static void m_enum_empty(fds_t *s) { file_of(s, "strict.proto")->enum_type[0]->n_value = 0; }
static void m_enum_first(fds_t *s) { file_of(s, "strict.proto")->enum_type[0]->value[0]->number = 7; }
static void m_enum_number(fds_t *s) { file_of(s, "strict.proto")->enum_type[0]->value[1]->number = 2; }
static void m_enum_value(fds_t *s) { file_of(s, "strict.proto")->enum_type[0]->value[1]->name = STR("GREEN"); }
static void m_enum_unnamed(fds_t *s) { file_of(s, "strict.proto")->enum_type[0]->value[1]->name = NULL; }
static void m_method_type(fds_t *s) { file_of(s, "strict.proto")->service[0]->method[0]->input_type = STR(".strict.Color"); }
static void m_method_entry(fds_t *s)
{
	file_of(s, "strict.proto")->service[0]->method[0]->input_type = STR(".strict.All.LabelsEntry");
}
static void m_method_name(fds_t *s) { file_of(s, "strict.proto")->service[0]->method[0]->name = NULL; }
static void m_method_twice(fds_t *s)
{
	Google__Protobuf__ServiceDescriptorProto *v = file_of(s, "strict.proto")->service[0];

	v->method[1]->name = v->method[0]->name;
	v->method[1]->has_server_streaming = 0;
}
static void m_service_name(fds_t *s) { file_of(s, "strict.proto")->service[0]->name = STR("All"); }
static field_t many[SCH_SLOTS_MAX + 1], *many_list[SCH_SLOTS_MAX + 1];
static char many_names[SCH_SLOTS_MAX + 1][8];

static void m_many_fields(fds_t *s)
{
	for (uint32_t i = 0; i < SCH_SLOTS_MAX + 1; i++) {
		many[i] = *field_of(s, "Inner", "a");
		many[i].number = (int32_t)i + 1;
		snprintf(many_names[i], sizeof many_names[i], "f%u", i);
		many[i].name = many_names[i];
		many_list[i] = &many[i];
	}
	msg_of(s, "Inner")->field = many_list;
	msg_of(s, "Inner")->n_field = SCH_SLOTS_MAX + 1;
}

static msg_t twin, *twins[2] = { &twin, NULL };

static void m_hash(fds_t *s)
{
	/* two names with one FNV-1a hash, 4c4be14a6e562612, found by search */
	s->file[0] = file_of(s, "later.proto");
	s->n_file = 1;
	google__protobuf__descriptor_proto__init(&twin);
	twin.name = STR("NSULHecAEVUaWO");
	s->file[0]->package = STR("old");
	s->file[0]->message_type[0]->name = STR("NbWDTQKaHKIOAF");
	twins[1] = s->file[0]->message_type[0];
	s->file[0]->message_type = twins;
	s->file[0]->n_message_type = 2;
}

static const struct lie {
	void (*tell)(fds_t *);
	const char *text; /* part of what the error must say */
} lies[] = {
	{ m_no_file_name, "no name" }, { m_file_twice, "twice" }, { m_no_import, "gone.proto, which is not in the set" },
	{ m_editions, "names no edition" }, { m_syntax, "'proto4' is not supported" },
	{ m_package, "package" }, { m_package_dot, "package" },
	{ m_message_name, "is not a name" }, { m_message_long, "511" }, { m_message_twice, "defined twice" },
	{ m_enum_name_taken, "defined twice" }, { m_number_zero, "1 to 536870911" },
	{ m_number_negative, "1 to 536870911" }, { m_number_none, "1 to 536870911" }, { m_number_big, "1 to 536870911" },
	{ m_number_own, "19000" }, { m_number_twice, "same number" }, { m_number_reserved, "reserved" },
	{ m_range_empty, "empty" }, { m_range_overlap, "overlap" }, { m_name_reserved, "reserved name" },
	{ m_name_twice, "two fields" }, { m_name_bad, "name" }, { m_name_none, "name" }, { m_type_none, "no type" },
	{ m_type_big, "no type" }, { m_type_gone, "not in the set" }, { m_type_undotted, "not in the set" },
	{ m_type_kind, "another kind" }, { m_type_scalar, "scalar" }, { m_label_none, "no label" },
	{ m_required3, "no required" }, { m_group3, "no groups" }, { m_extendee, "extension" },
	{ m_oneof_index, "oneof" }, { m_oneof_negative, "oneof" }, { m_oneof_repeated, "neither repeated" },
	{ m_oneof_empty, "no members" }, { m_optional_shared, "shares its oneof" }, { m_optional_alone, "oneof of its own" },
	{ m_ext_gone, "not in the set" }, { m_ext_range, "no extension range" }, { m_ext_required, "cannot be required" },
	{ m_ext_range3, "no extension ranges" }, { m_set_field, "MessageSet" }, { m_map_elsewhere, "map entry" },
	{ m_map_singular, "map entry" }, { m_map_key, "map's key" }, { m_map_number, "key = 1" }, { m_map_one, "key = 1" },
	{ m_map_repeated, "key = 1" }, { m_map_enum, "in a map must be 0" }, { m_closed3, "needs field presence" },
	{ m_default3, "cannot have a default" }, { m_enum_empty, "needs a value" }, { m_enum_first, "must be 0" },
	{ m_enum_number, "allow_alias" }, { m_enum_value, "two values" }, { m_enum_unnamed, "needs a name" },
	{ m_method_type, "no message" }, { m_method_entry, "no message" }, { m_method_name, "needs a name" },
	{ m_method_twice, "defined twice" }, { m_service_name, "defined twice" },
	{ m_hash, "same subject hash" }, { m_many_fields, "the limit is 512" },
};

/* Compiles the base set after a change to it. */
static int compile_changed(void (*tell)(fds_t *), struct sch_err *err)
{
	struct sch_set *set = NULL;
	struct arena arena;
	fds_t *s = change_begin(&arena, base, base_len);

	tell(s);
	int rc = change_compile(&arena, s, 0, &set, err);

	sch_set_free(set);
	return rc;
}

static void test_lies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		struct sch_err err;
		int rc = compile_changed(lies[i].tell, &err);

		if (rc >= 0 || !strstr(err.text, lies[i].text))
			fail_msg("lie %zu: %d '%s', expected '%s'", i, rc, err.text, lies[i].text);
	}
}

static void m_nothing(fds_t *s)
{
	(void)s;
}

static void test_truth(void **state)
{
	struct sch_err err;
	struct sch_set *set;

	(void)state;
	assert_int_equal(compile_changed(m_nothing, &err), 0);
	assert_int_equal(sch_set_compile(&set, base, base_len, &err), 0);
	for (uint32_t i = 0; i < sch_type_count(set); i++)
		assert_int_equal(sch_type_find(set, sch_type_name(set, i)), i);
	assert_int_equal(sch_type_find(set, "strict.Color"), -1);
	assert_int_equal(sch_type_find(set, ".strict.All"), -1);
	assert_int_equal(sch_type_find(set, ""), -1);
	assert_string_equal(sch_type_name(set, UINT32_MAX), "?");
	assert_string_equal(sch_field_name(set, UINT32_MAX), "?");
	/* a method with a stream is no subject */
	assert_int_equal(sch_method_count(set), 1);
	assert_int_equal(sch_method_find(set, "strict.Keeper/Keep"), 0);
	assert_int_equal(sch_method_find(set, "strict.Keeper/Watch"), -1);
	assert_null(sch_method_get(set, 1));
	const struct sch_method *m = sch_method_get(set, 0);

	assert_string_equal(m->name, "strict.Keeper/Keep");
	assert_string_equal(sch_type_name(set, m->input), "strict.All");
	assert_string_equal(sch_type_name(set, m->output), "strict.Inner");
	sch_set_free(set);
	sch_set_free(NULL);
}

/* Every prefix of a set, and every set with one byte changed, is compiled or refused; neither may crash. */
static void test_damage(void **state)
{
	uint8_t *copy = malloc(base_len);
	struct sch_set *set;
	struct sch_err err;

	(void)state;
	assert_non_null(copy);
	for (size_t n = 0; n < base_len; n++)
		if (sch_set_compile(&set, base, n, &err) == 0)
			sch_set_free(set);
		else
			assert_true(err.text[0] != '\0');
	for (size_t n = 0; n < base_len; n++) {
		memcpy(copy, base, base_len);
		copy[n] ^= (uint8_t)(1u << n % 8);
		if (sch_set_compile(&set, copy, base_len, &err) == 0)
			sch_set_free(set);
		else
			assert_true(err.text[0] != '\0');
	}
	free(copy);
}

static void test_depth(void **state)
{
	static uint8_t deep[4096];
	size_t at = sizeof deep;
	struct sch_set *set;
	struct sch_err err;

	(void)state;
	for (int i = 0; i < 1000; i++) { /* DescriptorProto.nested_type = 3, in FileDescriptorProto.message_type = 4 */
		size_t len = sizeof deep - at;

		if (len >= 128) {
			deep[--at] = (uint8_t)(len >> 7);
			deep[--at] = (uint8_t)(len | 0x80);
		} else {
			deep[--at] = (uint8_t)len;
		}
		deep[--at] = i == 998 ? 0x22 : i == 999 ? 0x0a : 0x1a;
	}
	assert_true(sch_set_compile(&set, deep + at, sizeof deep - at, &err) < 0);
	assert_non_null(strstr(err.text, "too deep"));
}

static void test_limits(void **state)
{
	struct sch_set *set;
	struct sch_err err;
	uint8_t one = 0;

	(void)state;
	assert_true(sch_set_compile(&set, &one, 0, &err) < 0);
	assert_non_null(strstr(err.text, "empty"));
	/* the length alone decides: no byte is read */
	assert_true(sch_set_compile(&set, &one, (size_t)SCH_SET_BYTES_MAX + 1, &err) < 0);
	assert_non_null(strstr(err.text, "64 MiB"));
	assert_true(sch_set_load(&set, "tests/schemas/none.binpb", &err) < 0);
	assert_string_equal(err.file, "tests/schemas/none.binpb");
	assert_true(sch_set_load(&set, "tests/schemas", &err) < 0);
	assert_true(sch_set_load(&set, "tests/schemas/strict.proto", &err) < 0);
	assert_non_null(strstr(err.text, "protoc"));
}

static void test_many_parts(void **state)
{
	size_t n = (4u << 20) * 2 + 2;
	uint8_t *data = malloc(n);
	struct sch_set *set;
	struct sch_err err;

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < n; i += 2) {
		data[i] = 0x0a; /* an empty file, again and again */
		data[i + 1] = 0;
	}
	assert_true(sch_set_compile(&set, data, n, &err) < 0);
	assert_non_null(strstr(err.text, "parts"));
	free(data);
}

/* Rules that cannot be used spoil a set, or in a lenient one the types that hold them. */
static void test_lenient(void **state)
{
	static const struct {
		const char *type, *error; /* NULL: it can be used */
	} types[] = {
		{ "lenient.Good", NULL },
		{ "lenient.Bad", "lenient.proto: lenient.Bad" },
		{ "lenient.Holds", "lenient.proto: lenient.Holds: holds lenient.Bad, whose rules cannot be used: lenient.proto: " },
		{ "lenient.Deep", "lenient.proto: lenient.Deep: holds lenient.Bad, whose rules" },
		{ "lenient.Map.ValuesEntry", "lenient.proto: lenient.Map.ValuesEntry: holds lenient.Bad, whose rules" },
		{ "lenient.Map", "lenient.proto: lenient.Map: holds lenient.Bad, whose rules" },
		{ "lenient.Loop", "lenient.proto: lenient.Loop: holds lenient.Bad, whose rules" },
		{ "lenient.Loop.Inner", "lenient.proto: lenient.Loop.Inner: holds lenient.Bad, whose rules" },
		{ "lenient.Round", "lenient.proto: lenient.Round: holds lenient.Bad, whose rules" },
		{ "lenient.Trip", "lenient.proto: lenient.Trip: holds lenient.Bad, whose rules" },
		{ "google.protobuf.FileDescriptorSet", NULL },
	};
	uint8_t msg[SCH_PAD] = { 0 };
	struct sch_result r;
	struct sch_set *set;
	struct sch_err err;
	size_t len = 0;
	uint8_t *data = fdset_make("lenient.proto", &len);

	(void)state;
	assert_non_null(data);
	assert_true(sch_set_compile(&set, data, len, &err) < 0);
	assert_null(set);
	assert_string_equal(err.file, "lenient.proto");
	assert_non_null(strstr(err.where, "lenient.Bad"));
	if (sch_set_compile_lenient(&set, data, len, &err) != 0)
		fail_msg("%s: %s: %s", err.file, err.where, err.text);
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		uint32_t type = fdset_type(set, types[i].type);
		const char *error = sch_type_error(set, type);

		if (!types[i].error != !error || (error && strncmp(error, types[i].error, strlen(types[i].error)) != 0))
			fail_msg("%s: '%s'", types[i].type, error ? error : "");
		assert_int_equal(sch_validate(set, type, msg, 0, &r), error ? SCH_RULE_ERROR : SCH_OK);
	}
	assert_null(sch_type_error(set, UINT32_MAX));
	sch_set_free(set);
	/* damage is still refused */
	assert_true(sch_set_compile_lenient(&set, data, len - 1, &err) < 0);
	assert_null(set);
	assert_true(sch_set_load_lenient(&set, "tests/schemas/none.binpb", &err) < 0);
	assert_null(set);
	free(data);
	/* a set with nothing wrong is the same either way */
	assert_int_equal(sch_set_compile_lenient(&set, base, base_len, &err), 0);
	for (uint32_t i = 0; i < sch_type_count(set); i++)
		assert_null(sch_type_error(set, i));
	sch_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_truth), cmocka_unit_test(test_lies),   cmocka_unit_test(test_damage),
		cmocka_unit_test(test_depth), cmocka_unit_test(test_limits), cmocka_unit_test(test_many_parts),
		cmocka_unit_test(test_lenient),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, start, stop);
}
