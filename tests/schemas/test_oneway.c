/* SPDX-License-Identifier: BSD-2-Clause */
/* The option weft.one_way in the schema compiler: such a method is no subject of its own, so that a policy that names it is
 * told so; and one that promises a reply all the same is refused. Run from the tree's root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/oneway.h"
#include "schemas/schema.h"

#define SET BUILD_DIR "/tests/plugin.binpb"

typedef Google__Protobuf__FileDescriptorSet fds_t;
typedef Google__Protobuf__ServiceDescriptorProto service_t;

static fds_t *set_read(void)
{
	static uint8_t bytes[1u << 18];
	FILE *f = fopen(SET, "rb");
	fds_t *s;
	size_t n;

	assert_non_null(f);
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	s = google__protobuf__file_descriptor_set__unpack(NULL, n, bytes);
	assert_non_null(s);
	return s;
}

static service_t *store_of(fds_t *s)
{
	const Google__Protobuf__FileDescriptorProto *f = s->file[s->n_file - 1];

	assert_string_equal(f->service[1]->name, "Store");
	return f->service[1];
}

static int compile(const fds_t *s, struct sch_set **out, struct sch_err *err)
{
	size_t n = google__protobuf__file_descriptor_set__get_packed_size(s);
	uint8_t *bytes = malloc(n);
	int rc;

	assert_non_null(bytes);
	google__protobuf__file_descriptor_set__pack(s, bytes);
	rc = sch_set_compile(out, bytes, n, err);
	free(bytes);
	return rc;
}

static void no_subject_of_its_own(void **state)
{
	struct sch_set *set = NULL;
	struct sch_err err;
	fds_t *s = set_read();

	(void)state;
	assert_true(sch_one_way_defined(s->file, s->n_file));
	assert_true(sch_one_way(store_of(s)->method[0]));
	assert_false(sch_one_way(store_of(s)->method[2]));
	assert_int_equal(compile(s, &set, &err), 0);
	assert_true(sch_method_find(set, "road.Valve/Act") >= 0);
	assert_true(sch_method_find(set, "road.Store/New") >= 0);
	assert_true(sch_method_find(set, "road.Store/Put") < 0);
	assert_true(sch_method_find(set, "road.Store/PutOther") < 0);
	sch_set_free(set);
	google__protobuf__file_descriptor_set__free_unpacked(s, NULL);
}

static void a_reply_all_the_same(void **state)
{
	struct sch_set *set = NULL;
	struct sch_err err;
	fds_t *s = set_read();
	char *was = store_of(s)->method[0]->output_type, item[] = ".road.Item";

	(void)state;
	store_of(s)->method[0]->output_type = item;
	assert_true(compile(s, &set, &err) < 0);
	assert_null(set);
	assert_non_null(strstr(err.text, "Put has no reply (weft.one_way)"));
	store_of(s)->method[0]->output_type = was;
	google__protobuf__file_descriptor_set__free_unpacked(s, NULL);
}

/* Where the set does not define the option, its number is somebody else's. */
static void undefined_it_means_nothing(void **state)
{
	struct sch_set *set = NULL;
	struct sch_err err;
	fds_t *s = set_read();

	(void)state;
	for (size_t i = 0; i < s->n_file; i++)
		for (size_t k = 0; k < s->file[i]->n_extension; k++)
			if (strcmp(s->file[i]->extension[k]->name, "one_way") == 0)
				memcpy(s->file[i]->extension[k]->name, "two_way", 8);
	assert_false(sch_one_way_defined(s->file, s->n_file));
	assert_int_equal(compile(s, &set, &err), 0);
	assert_true(sch_method_find(set, "road.Store/Put") >= 0);
	sch_set_free(set);
	google__protobuf__file_descriptor_set__free_unpacked(s, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_subject_of_its_own),
		cmocka_unit_test(a_reply_all_the_same),
		cmocka_unit_test(undefined_it_means_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
