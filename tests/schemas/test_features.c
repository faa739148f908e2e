/* SPDX-License-Identifier: BSD-2-Clause */
/* Editions: what a field becomes by the features of its file, of what it stands in and of itself; and what is refused.
 * protoc here is too old to write editions, so a proto2 file is made one. */
#include "schemas/set.h"
#include "tests/schemas/change.h"

#define VARINT 0u
#define FIXED32 5u
#define LEN 2u

static uint8_t *base;
static size_t base_len;
static struct arena arena;

static int start(void **state)
{
	(void)state;
	base = fdset_make("edition.proto", &base_len);
	return base ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	free(base);
	return 0;
}

/* Adds a field that protobuf-c does not know. `hex` is what follows its tag. */
static void unknown_add(ProtobufCMessage *m, uint32_t tag, uint32_t wire, const char *hex)
{
	ProtobufCMessageUnknownField *u = arena_alloc(&arena, (m->n_unknown_fields + 1) * sizeof *u);
	uint8_t *data = arena_alloc(&arena, strlen(hex) / 2 + 1);
	size_t len = hex_bytes(hex, data, strlen(hex) / 2 + 1);

	if (m->n_unknown_fields)
		memcpy(u, m->unknown_fields, m->n_unknown_fields * sizeof *u);
	u[m->n_unknown_fields++] = (ProtobufCMessageUnknownField){ tag, (ProtobufCWireType)wire, len, data };
	m->unknown_fields = u;
}

/* The options of what `of` points to, made where there are none; `kind` is their type in protobuf-c's names. */
#define OPTIONS(of, kind)                                                                                              \
	({                                                                                                             \
		if (!(of)->options) {                                                                                  \
			(of)->options = arena_alloc(&arena, sizeof *(of)->options);                                    \
			google__protobuf__##kind##_options__init((of)->options);                                       \
		}                                                                                                      \
		&(of)->options->base;                                                                                  \
	})

/* Features as hex, with their length before them. */
static void file_features(fds_t *s, const char *hex)
{
	unknown_add(OPTIONS(s->file[0], file), 50, LEN, hex);
}

static void message_features(msg_t *m, const char *hex)
{
	unknown_add(OPTIONS(m, message), 12, LEN, hex);
}

static void field_features(field_t *f, const char *hex)
{
	unknown_add(OPTIONS(f, field), 21, LEN, hex);
}

static msg_t *inner(fds_t *s)
{
	return msg_of(s, "All")->nested_type[2];
}

static void set_edition(fds_t *s, const char *hex)
{
	s->file[0]->syntax = STR("editions");
	unknown_add(&s->file[0]->base, 14, VARINT, hex);
}

static const struct sch_field *field_at(const struct sch_set *set, const char *type, uint32_t number)
{
	int32_t t = sch_type_find(set, type);

	assert_true(t >= 0);
	uint32_t i = sch_field_find(set, &set->messages[t], number);

	assert_true(i != SCH_NONE);
	return &set->fields[i];
}

#define ASKED (SCH_F_UTF8 | SCH_F_REQUIRED | SCH_F_CLOSED | SCH_F_IMPLICIT)

/* What the fields are: each differs in one way from the defaults of edition 2023. */
struct expected {
	const char *type;
	uint32_t number;
	uint32_t flags; /* among ASKED */
	uint8_t is;     /* SCH_T_*, 0: not asked */
};

static const struct expected plain[] = {
	{ "ed.All", 1, 0, SCH_T_INT32 },
	{ "ed.All", 2, SCH_F_UTF8, SCH_T_STRING },
	{ "ed.All", 3, 0, SCH_T_BYTES },
	{ "ed.All", 4, 0, SCH_T_MESSAGE },
	{ "ed.All", 5, 0, SCH_T_ENUM },
	{ "ed.All", 6, 0, SCH_T_INT32 },
	{ "ed.All", 7, SCH_F_UTF8, SCH_T_STRING },
	{ "ed.All", 8, 0, SCH_T_MESSAGE },
	{ "ed.All", 9, 0, SCH_T_MESSAGE },
	{ "ed.All", 10, 0, SCH_T_MESSAGE },
	{ "ed.All", 11, 0, SCH_T_INT32 },
	{ "ed.All", 12, SCH_F_UTF8, SCH_T_STRING },
	{ "ed.All", 13, 0, SCH_T_MESSAGE },
	{ "ed.All", 100, SCH_F_UTF8, SCH_T_STRING },
	{ "ed.All", 101, SCH_F_UTF8, SCH_T_STRING },
	{ "ed.All.Inner", 1, 0, SCH_T_INT32 },
	{ "ed.All.Inner", 2, SCH_F_UTF8, SCH_T_STRING },
	{ "ed.All.Inner", 3, 0, SCH_T_ENUM },
	{ "ed.All.NamedEntry", 1, SCH_F_UTF8 | SCH_F_IMPLICIT, SCH_T_STRING },
	{ "ed.All.NamedEntry", 2, 0, SCH_T_MESSAGE },
	{ "ed.All.KindsEntry", 1, SCH_F_IMPLICIT, SCH_T_INT32 },
	{ "ed.All.KindsEntry", 2, SCH_F_IMPLICIT, SCH_T_ENUM },
};
#define PLAIN (sizeof plain / sizeof plain[0])

struct change {
	const char *what;
	void (*make)(fds_t *);
	struct expected other[14]; /* what is not as in plain; ends with a type of NULL */
};

static void c_nothing(fds_t *s) { set_edition(s, "e807"); }
static void c_2024(fds_t *s)
{
	set_edition(s, "e907");
	file_features(s, "04 3801 4002");
}
static void c_language(fds_t *s)
{
	set_edition(s, "e807");
	file_features(s, "0a c23e020801 ca3e020802");
}
static void c_json(fds_t *s)
{
	set_edition(s, "e807");
	file_features(s, "02 3002");
	message_features(msg_of(s, "All"), "02 3001");
}
static void c_implicit(fds_t *s)
{
	set_edition(s, "e807");
	file_features(s, "02 0802");
	field_features(field_of(s, "All", "text"), "02 0801");
}
static void c_implicit_field(fds_t *s)
{
	set_edition(s, "e807");
	field_features(field_of(s, "All", "number"), "02 0802");
}
static void c_implicit_message(fds_t *s)
{
	set_edition(s, "e807");
	message_features(msg_of(s, "All"), "02 0802");
	message_features(inner(s), "02 0801");
	field_features(field_in(inner(s), "text"), "02 0802");
}
static void c_required(fds_t *s)
{
	set_edition(s, "e807");
	field_features(field_of(s, "Sub", "a"), "02 0803");
}
static void c_closed(fds_t *s)
{
	set_edition(s, "e807");
	file_features(s, "02 1002");
	unknown_add(OPTIONS(inner(s)->enum_type[0], enum), 7, LEN, "02 1001");
}
static void c_closed_nested(fds_t *s)
{
	set_edition(s, "e807");
	message_features(msg_of(s, "All"), "02 1002");
}
static void c_no_utf8(fds_t *s)
{
	set_edition(s, "e807");
	file_features(s, "02 2003");
	unknown_add(OPTIONS(msg_of(s, "All")->oneof_decl[0], oneof), 1, LEN, "02 2002");
	message_features(msg_of(s, "All")->nested_type[3], "02 2002");
	field_features(field_of(s, "All", "texts"), "02 2002");
}
static void c_no_utf8_map(fds_t *s)
{
	set_edition(s, "e807");
	/* protoc copies a map field's features to the fields of its entry, whatever they are about */
	field_features(field_of(s, "All", "named"), "02 2003");
	field_features(msg_of(s, "All")->nested_type[0]->field[0], "02 2003");
	field_features(msg_of(s, "All")->nested_type[0]->field[1], "02 2003");
}
static void c_delimited(fds_t *s)
{
	set_edition(s, "e807");
	file_features(s, "02 2802");
	field_features(field_of(s, "All", "subs"), "02 2801");
}
static void c_delimited_field(fds_t *s)
{
	set_edition(s, "e807");
	field_features(field_of(s, "All", "middle"), "02 2802");
}
static void c_expanded(fds_t *s)
{
	set_edition(s, "e807");
	file_features(s, "02 1802");
	field_features(field_of(s, "All", "list"), "02 1801");
}
static void c_twice(fds_t *s)
{
	set_edition(s, "e607");
	set_edition(s, "e807");
	field_features(field_of(s, "All", "number"), "04 0801 0802");
	field_features(field_of(s, "All", "kind"), "02 0802");
	field_features(field_of(s, "All", "kind"), "02 0801");
	field_features(field_of(s, "All", "sub"), "02 2802");
	field_features(field_of(s, "All", "sub"), "00");
}
static void c_proto2(fds_t *s)
{
	unknown_add(&s->file[0]->base, 14, VARINT, "e607");
}
static void c_proto3(fds_t *s)
{
	s->file[0]->syntax = STR("proto3");
	unknown_add(&s->file[0]->base, 14, VARINT, "e707");
	msg_of(s, "All")->n_extension_range = 0;
	s->file[0]->n_extension = 0;
	msg_of(s, "All")->nested_type[3]->n_extension = 0;
}

#define ALL_IMPLICIT                                                                                                   \
	{ "ed.All", 1, SCH_F_IMPLICIT, 0 }, { "ed.All", 3, SCH_F_IMPLICIT, 0 }, { "ed.All", 5, SCH_F_IMPLICIT, 0 }
#define INNER_IMPLICIT                                                                                                 \
	{ "ed.All.Inner", 1, SCH_F_IMPLICIT, 0 }, { "ed.All.Inner", 2, SCH_F_UTF8 | SCH_F_IMPLICIT, 0 },               \
	{ "ed.All.Inner", 3, SCH_F_IMPLICIT, 0 }

static const struct change changes[] = {
	{ "edition 2023", c_nothing, { { 0 } } },
	{ "edition 2024, and its own features", c_2024, { { 0 } } },
	{ "features of one language", c_language, { { 0 } } },
	{ "json_format", c_json, { { 0 } } },
	{ "IMPLICIT for the file", c_implicit, { ALL_IMPLICIT, INNER_IMPLICIT } },
	{ "IMPLICIT for a field", c_implicit_field, { { "ed.All", 1, SCH_F_IMPLICIT, 0 } } },
	{ "IMPLICIT for a message", c_implicit_message,
	  { ALL_IMPLICIT, { "ed.All", 2, SCH_F_UTF8 | SCH_F_IMPLICIT, 0 },
	    { "ed.All.Inner", 2, SCH_F_UTF8 | SCH_F_IMPLICIT, 0 } } },
	{ "LEGACY_REQUIRED", c_required, { { "ed.Sub", 1, SCH_F_REQUIRED, 0 } } },
	{ "CLOSED for the file", c_closed,
	  { { "ed.All", 5, SCH_F_CLOSED, 0 }, { "ed.All.KindsEntry", 2, SCH_F_CLOSED | SCH_F_IMPLICIT, 0 } } },
	{ "CLOSED for what stands in a message", c_closed_nested, { { "ed.All.Inner", 3, SCH_F_CLOSED, 0 } } },
	{ "NONE for the file, VERIFY for a oneof, a scope, a field", c_no_utf8,
	  { { "ed.All", 2, 0, 0 }, { "ed.All", 100, 0, 0 }, { "ed.All.Inner", 2, 0, 0 },
	    { "ed.All.NamedEntry", 1, SCH_F_IMPLICIT, 0 } } },
	{ "NONE for a map", c_no_utf8_map, { { "ed.All.NamedEntry", 1, SCH_F_IMPLICIT, 0 } } },
	{ "DELIMITED for the file", c_delimited,
	  { { "ed.All", 4, 0, SCH_T_GROUP }, { "ed.All", 13, 0, SCH_T_GROUP }, { "ed.Sub", 2, 0, SCH_T_GROUP } } },
	{ "DELIMITED for a oneof's member", c_delimited_field, { { "ed.All", 13, 0, SCH_T_GROUP } } },
	{ "EXPANDED and PACKED", c_expanded, { { 0 } } },
	{ "the last one counts", c_twice, { { "ed.All", 1, SCH_F_IMPLICIT, 0 }, { "ed.All", 4, 0, SCH_T_GROUP } } },
	{ "proto2", c_proto2,
	  { { "ed.All", 2, 0, 0 }, { "ed.All", 5, SCH_F_CLOSED, 0 }, { "ed.All", 7, 0, 0 }, { "ed.All", 12, 0, 0 },
	    { "ed.All", 100, 0, 0 }, { "ed.All", 101, 0, 0 }, { "ed.All.Inner", 2, 0, 0 },
	    { "ed.All.Inner", 3, SCH_F_CLOSED, 0 }, { "ed.All.NamedEntry", 1, SCH_F_IMPLICIT, 0 },
	    { "ed.All.KindsEntry", 2, SCH_F_CLOSED | SCH_F_IMPLICIT, 0 } } },
	{ "proto3", c_proto3,
	  { ALL_IMPLICIT, INNER_IMPLICIT, { "ed.All", 2, SCH_F_UTF8 | SCH_F_IMPLICIT, 0 }, { "ed.All", 100, 0, UINT8_MAX },
	    { "ed.All", 101, 0, UINT8_MAX } } },
};

static void expect(const struct sch_set *set, const char *what, const struct expected *e, uint8_t is)
{
	const struct sch_field *f = field_at(set, e->type, e->number);

	if ((f->flags & ASKED) != e->flags || f->type != is)
		fail_msg("%s: %s.%u has flags %u and type %u, expected %u and %u", what, e->type, e->number, f->flags & ASKED,
			 f->type, e->flags, is);
}

static void test_features(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
		const struct change *c = &changes[i];
		fds_t *s = change_begin(&arena, base, base_len);
		struct sch_set *set;
		struct sch_err err;

		c->make(s);
		if (change_compile(&arena, s, 0, &set, &err) != 0)
			fail_msg("%s: %s: %s: %s", c->what, err.file, err.where, err.text);
		for (size_t k = 0; k < PLAIN; k++) {
			struct expected e = plain[k];

			for (const struct expected *o = c->other; o->type; o++)
				if (strcmp(o->type, e.type) == 0 && o->number == e.number)
					e = (struct expected){ o->type, o->number, o->flags, o->is ? o->is : e.is };
			if (e.is != UINT8_MAX) /* there is no such field */
				expect(set, c->what, &e, e.is);
		}
		for (const struct expected *o = c->other; o->type; o++)
			if (o->is != UINT8_MAX)
				expect(set, c->what, o, o->is ? o->is : field_at(set, o->type, o->number)->type);
		sch_set_free(set);
	}
}

struct lie {
	void (*tell)(fds_t *);
	const char *text;
};

static void l_no_edition(fds_t *s) { s->file[0]->syntax = STR("editions"); }
static void l_2026(fds_t *s) { set_edition(s, "ea07"); }
static void l_unstable(fds_t *s) { set_edition(s, "8f4e"); }
static void l_huge(fds_t *s) { set_edition(s, "ffffffffffffffffff01"); }
static void l_proto2(fds_t *s) { set_edition(s, "e607"); }
static void l_contradicts(fds_t *s) { unknown_add(&s->file[0]->base, 14, VARINT, "e807"); }
static void l_edition_damaged(fds_t *s)
{
	s->file[0]->syntax = STR("editions");
	unknown_add(&s->file[0]->base, 14, FIXED32, "e8070000");
}
static void l_old_file(fds_t *s) { file_features(s, "02 0801"); }
static void l_old_field(fds_t *s) { field_features(field_of(s, "All", "number"), "00"); }
#define LIE(name, ...)                                                                                                 \
	static void name(fds_t *s)                                                                                     \
	{                                                                                                              \
		set_edition(s, "e807");                                                                                \
		__VA_ARGS__;                                                                                           \
	}
LIE(l_unknown, file_features(s, "02 5001"))
LIE(l_unknown_zero, file_features(s, "02 0001"))
LIE(l_too_new, file_features(s, "02 3801"))
LIE(l_value_zero, file_features(s, "02 0800"))
LIE(l_value_four, file_features(s, "02 0804"))
LIE(l_value_huge, file_features(s, "0b 08 81808080808080808001"))
LIE(l_value_reserved, file_features(s, "02 2001"))
LIE(l_wire, unknown_add(OPTIONS(s->file[0], file), 50, VARINT, "01"))
LIE(l_inner_wire, file_features(s, "05 0d01000000"))
LIE(l_cut, file_features(s, "01 08"))
LIE(l_cut_tag, file_features(s, "01 88"))
LIE(l_language_cut, file_features(s, "04 c23e0501"))
LIE(l_language_wire, file_features(s, "03 c03e01"))
LIE(l_file_required, file_features(s, "02 0803"))
LIE(l_message_required, message_features(msg_of(s, "All"), "02 0803"))
LIE(l_message_damaged, message_features(inner(s), "01 08"))
LIE(l_oneof_damaged, unknown_add(OPTIONS(msg_of(s, "All")->oneof_decl[0], oneof), 1, LEN, "01 08"))
LIE(l_enum_damaged, unknown_add(OPTIONS(s->file[0]->enum_type[0], enum), 7, LEN, "01 08"))
LIE(l_value_damaged, unknown_add(OPTIONS(s->file[0]->enum_type[0]->value[0], enum_value), 2, LEN, "01 08"))
LIE(l_range_damaged, unknown_add(OPTIONS(msg_of(s, "All")->extension_range[0], extension_range), 50, LEN, "01 08"))
LIE(l_service_damaged, unknown_add(OPTIONS(s->file[0]->service[0], service), 34, LEN, "01 08"))
LIE(l_method_damaged, unknown_add(OPTIONS(s->file[0]->service[0]->method[0], method), 35, LEN, "01 08"))
LIE(l_field_damaged, field_features(field_of(s, "All", "left"), "01 08"))
LIE(l_repeated_presence, field_features(field_of(s, "All", "list"), "02 0801"))
LIE(l_oneof_presence, field_features(field_of(s, "All", "left"), "02 0802"))
LIE(l_extension_required, field_features(s->file[0]->extension[0], "02 0803"))
LIE(l_message_implicit, field_features(field_of(s, "All", "sub"), "02 0802"))
LIE(l_singular_packed, field_features(field_of(s, "All", "number"), "02 1801"))
LIE(l_packed_strings, field_features(field_of(s, "All", "texts"), "02 1801"))
LIE(l_utf8_number, field_features(field_of(s, "All", "number"), "02 2002"))
LIE(l_delimited_number, field_features(field_of(s, "All", "number"), "02 2802"))
LIE(l_delimited_map, field_features(field_of(s, "All", "named"), "02 2802"))
LIE(l_implicit_closed, file_features(s, "04 0802 1002"))
LIE(l_implicit_default, field_of(s, "All", "number")->default_value = STR("7");
    field_features(field_of(s, "All", "number"), "02 0802"))
LIE(l_open_first, s->file[0]->enum_type[0]->value[0]->number = 9)
LIE(l_label, field_of(s, "All", "number")->label = LABEL(REQUIRED))
LIE(l_group, field_of(s, "All", "sub")->type = TYPE(GROUP))
LIE(l_required_in_entry, field_features(msg_of(s, "All")->nested_type[0]->field[0], "02 0803"))
LIE(l_set_delimited, file_features(s, "02 2802"); OPTIONS(msg_of(s, "All"), message);
    msg_of(s, "All")->options->has_message_set_wire_format = msg_of(s, "All")->options->message_set_wire_format = 1;
    msg_of(s, "All")->n_field = 0; msg_of(s, "All")->n_oneof_decl = 0; s->file[0]->extension[0]->type = TYPE(MESSAGE);
    s->file[0]->extension[0]->type_name = STR(".ed.Sub"); msg_of(s, "All")->nested_type[3]->n_extension = 0)

static const struct lie lies[] = {
	{ l_no_edition, "names no edition" }, { l_2026, "edition 2026 (1002)" }, { l_unstable, "(9999)" },
	{ l_huge, "is not supported" }, { l_proto2, "(998)" }, { l_contradicts, "contradict" },
	{ l_edition_damaged, "damaged" }, { l_old_file, "only a file with an edition" },
	{ l_old_field, "only a file with an edition" }, { l_unknown, "no feature with number 10" },
	{ l_unknown_zero, "damaged" }, { l_too_new, "2023 has no feature with number 7" },
	{ l_value_zero, "field_presence has the value 0" }, { l_value_four, "field_presence has the value 4" },
	{ l_value_huge, "field_presence has the value 9223372036854775809" }, { l_value_reserved, "utf8_validation" },
	{ l_wire, "damaged" }, { l_inner_wire, "damaged" }, { l_cut, "damaged" }, { l_cut_tag, "damaged" },
	{ l_language_cut, "damaged" }, { l_language_wire, "number 1000" }, { l_file_required, "all its fields required" },
	{ l_message_required, "all its fields required" }, { l_message_damaged, "damaged" }, { l_oneof_damaged, "damaged" },
	{ l_enum_damaged, "damaged" }, { l_value_damaged, "damaged" }, { l_range_damaged, "damaged" },
	{ l_service_damaged, "damaged" }, { l_method_damaged, "damaged" }, { l_field_damaged, "damaged" },
	{ l_repeated_presence, "no field_presence" }, { l_oneof_presence, "no field_presence" },
	{ l_extension_required, "no field_presence" }, { l_message_implicit, "implicit" },
	{ l_singular_packed, "repeated_field_encoding" }, { l_packed_strings, "PACKED" },
	{ l_utf8_number, "utf8_validation" }, { l_delimited_number, "message_encoding" },
	{ l_delimited_map, "message_encoding" }, { l_implicit_closed, "needs field presence" },
	{ l_implicit_default, "cannot have a default" }, { l_open_first, "open enum must be 0" },
	{ l_label, "LEGACY_REQUIRED" }, { l_group, "DELIMITED" }, { l_required_in_entry, "key = 1" },
	{ l_set_delimited, "MessageSet" },
};

static void test_lies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		fds_t *s = change_begin(&arena, base, base_len);
		struct sch_set *set;
		struct sch_err err;

		lies[i].tell(s);
		int rc = change_compile(&arena, s, 0, &set, &err);

		if (rc >= 0 || !strstr(err.text, lies[i].text))
			fail_msg("lie %zu: %d '%s', expected '%s'", i, rc, err.text, lies[i].text);
		assert_string_equal(err.file, "edition.proto");
	}
}

static struct sch_set *changed(void (*make)(fds_t *))
{
	fds_t *s = change_begin(&arena, base, base_len);
	struct sch_set *set;
	struct sch_err err;

	make(s);
	assert_int_equal(change_compile(&arena, s, 0, &set, &err), 0);
	return set;
}

struct wire_case {
	void (*make)(fds_t *);
	const char *hex;
	enum sch_reason strict, conformant;
};

/* Both validators follow the features. */
static void test_wire(void **state)
{
	static const struct wire_case cases[] = {
		{ c_nothing, "1201ff", SCH_UTF8, SCH_UTF8 },
		{ c_no_utf8, "1201ff", SCH_UTF8, SCH_OK },          /* one meaning only, whatever the file says */
		{ c_no_utf8, "6201ff", SCH_UTF8, SCH_UTF8 },
		{ c_nothing, "22020801", SCH_OK, SCH_OK },
		{ c_nothing, "23080124", SCH_WIRE_TYPE, SCH_OK },   /* an unknown group */
		{ c_delimited, "23080124", SCH_OK, SCH_OK },
		{ c_delimited, "23080823", SCH_UNKNOWN_FIELD, SCH_GROUP },
		{ c_delimited, "22020801", SCH_WIRE_TYPE, SCH_OK },
		{ c_delimited, "2313080114", SCH_GROUP, SCH_GROUP },
		{ c_delimited, "2313 0801 14 24", SCH_OK, SCH_OK },
		{ c_delimited, "4a07 0a0161 12020801", SCH_OK, SCH_OK }, /* maps stay length-prefixed */
		{ c_delimited, "42020801", SCH_OK, SCH_OK },
		{ c_required, "2200", SCH_REQUIRED, SCH_REQUIRED },
		{ c_required, "22020801", SCH_OK, SCH_OK },
		{ c_nothing, "2200", SCH_OK, SCH_OK },
		{ c_closed, "2807", SCH_ENUM, SCH_OK },
		{ c_nothing, "2807", SCH_ENUM, SCH_OK },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct sch_set *set = changed(cases[i].make);
		uint8_t msg[64 + SCH_PAD] = { 0 };
		size_t len = hex_bytes(cases[i].hex, msg, 64);
		uint32_t type = fdset_type(set, "ed.All");
		struct sch_result r;
		enum sch_reason strict = sch_validate(set, type, msg, len, &r);
		enum sch_reason conformant = sch_validate_conformant(set, type, msg, len, 1, &r);

		if (strict != cases[i].strict || conformant != cases[i].conformant)
			fail_msg("case %zu, %s: %s and %s", i, cases[i].hex, sch_reason_name(strict), sch_reason_name(conformant));
		sch_set_free(set);
	}
}

/* The public descriptor set with files of an edition. */
static void test_public(void **state)
{
	static const char path[] = "../shared/vectors/protovalidate/fdset.binpb";
	struct sch_set *set;
	struct sch_err err;
	FILE *f = fopen(path, "re");

	(void)state;
	if (!f) {
		print_message("# SKIP %s is not here\n", path);
		skip();
	}
	fclose(f);
	if (sch_set_load_lenient(&set, path, &err) != 0)
		fail_msg("%s: %s: %s", err.file, err.where, err.text);
	assert_int_equal(field_at(set, "buf.validate.conformance.cases.GroupDelimited", 1)->type, SCH_T_GROUP);
	sch_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_features), cmocka_unit_test(test_lies),
		cmocka_unit_test(test_wire),	 cmocka_unit_test(test_public),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, start, stop);
}
