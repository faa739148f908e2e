/* SPDX-License-Identifier: BSD-2-Clause */
/* What is known to be wrong before anything starts: names that nDPI does not have, files that are no images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fabric/check.h"
#include "schemas/schema.h"

#define SET BUILD_DIR "/schemas/demo.binpb"

static struct sch_set *schemas;

static int load(void **state)
{
	struct sch_err e;
	(void)state;
	if (access(SET, R_OK) != 0)
		print_message("# SKIP: %s is not built\n", SET);
	else if (sch_set_load(&schemas, SET, &e) != 0)
		fail_msg("%s: %s", e.file, e.text);
	return 0;
}

static int unload(void **state)
{
	(void)state;
	sch_set_free(schemas);
	return 0;
}

/* The answer for the hub's policy with this line where it says what may be carried. */
static int carries(const char *line, struct pol_err *err)
{
	const struct pol_unikernel u[] = { { .name = "camera", .policy_path = "camera.yaml" },
					   { .name = "hub", .policy_path = "hub.yaml" } };
	char text[512];
	snprintf(text, sizeof text, "unikernel: hub\nreceive:\n  - from: camera\n    message: demo.Frame\n    %s\n", line);
	const struct pol_text texts[] = { { "unikernel: camera\n", 18 }, { text, strlen(text) } };
	struct pol_set *set = NULL;
	const struct pol_source source = { .u = u, .n = 2, .texts = texts };
	assert_int_equal(pol_compile(&set, &source, schemas, 1, NULL, err), 0);
	int ret = fab_check_carries(set, err);
	pol_set_free(set);
	return ret;
}

static void known_names_pass(void **state)
{
	struct pol_err err = { .file = "" };
	(void)state;
	if (!schemas)
		skip();
	assert_int_equal(carries("log: true", &err), 0);
	assert_int_equal(carries("carries: [HTTP, tls, Ssh]", &err), 0);
}

static void unknown_names_are_told_with_their_line(void **state)
{
	struct pol_err err = { .file = "" };
	(void)state;
	if (!schemas)
		skip();
	assert_int_equal(carries("carries: [HTTP, HTTPP]", &err), -22);
	assert_string_equal(err.file, "hub.yaml");
	assert_int_equal(err.line, 5);
	assert_non_null(strstr(err.text, "\"HTTPP\"; did you mean HTTP"));
	assert_int_equal(carries("carries: [zzzzzzzz-nothing-like-it]", &err), -22);
	assert_non_null(strstr(err.text, "it takes protocols (HTTP, TLS"));
}

static void images(void **state)
{
	static const unsigned char head[20] = { 0x7f, 'E', 'L', 'F', 2, 1, 1, [16] = 2, [18] = 62 };
	char path[] = "/tmp/weft-check-XXXXXX", err[256];
	int fd = mkstemp(path);
	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fab_check_image(path, err, sizeof err), -8); /* empty */
	assert_non_null(strstr(err, "not a unikernel's image"));
	for (size_t cut = 1; cut < sizeof head; cut++) {
		assert_int_equal(pwrite(fd, head + cut - 1, 1, (off_t)cut - 1), 1);
		assert_int_equal(fab_check_image(path, err, sizeof err), -8);
	}
	assert_int_equal(pwrite(fd, head, sizeof head, 0), sizeof head);
	assert_int_equal(fab_check_image(path, err, sizeof err), 0);
	for (size_t i = 0; i < sizeof head; i++) { /* magic, class and machine must be right; the rest may be anything */
		unsigned char other = head[i] ^ 1;
		int matters = i < 5 || i >= 18;
		assert_int_equal(pwrite(fd, &other, 1, (off_t)i), 1);
		assert_int_equal(fab_check_image(path, err, sizeof err), matters ? -8 : 0);
		assert_int_equal(pwrite(fd, &head[i], 1, (off_t)i), 1);
	}
	close(fd);
	unlink(path);
	assert_int_equal(fab_check_image(path, err, sizeof err), -2);
	assert_int_equal(fab_check_image("/", err, sizeof err), -21);
	assert_string_equal(err, "Is a directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_names_pass),
		cmocka_unit_test(unknown_names_are_told_with_their_line),
		cmocka_unit_test(images),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("check", tests, load, unload);
}
