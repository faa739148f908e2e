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

/* The answer for a hub with these profiles in its file, one of which its rule lists, beside what the shared file has. */
static int profiles(const char *own, const char *listed, struct pol_err *err)
{
	const struct pol_unikernel u[] = { { .name = "camera", .policy_path = "camera.yaml" },
					   { .name = "hub", .policy_path = "hub.yaml" } };
	static const char common[] = "profiles:\n  papers: {allow: [text, json]}\n";
	char text[512];
	snprintf(text, sizeof text, "unikernel: hub\nprofiles:\n%sreceive:\n  - from: camera\n    message: demo.Frame\n"
		 "    carries: %s\n", own, listed);
	const struct pol_text texts[] = { { "unikernel: camera\n", 18 }, { text, strlen(text) } };
	struct pol_set *set = NULL;
	const struct pol_source source = { .u = u, .n = 2, .texts = texts, .common_path = "common.yaml",
					   .common = { common, sizeof common - 1 } };
	*err = (struct pol_err){ .file = "" };
	if (pol_compile(&set, &source, schemas, 1, NULL, err) != 0)
		fail_msg("%s:%u: %s", err->file, err->line, err->text);
	int ret = fab_check_carries(set, err);
	pol_set_free(set);
	return ret;
}

static void profiles_are_checked(void **state)
{
	static const struct {
		const char *own, *listed, *text; /* text NULL: they pass */
		uint32_t line;
	} rows[] = {
		{ "  p: {allow: [http, WEB, json, unknown, doubtful], forbid: [Script, ssh], risks: [Attacks, \"xss attack\"]}\n",
		  "[p, papers]", NULL, 0 },
		{ "  p: {allow: none, risks: none}\n", "p", NULL, 0 },
		{ "  p: {allow: [HTTP,\n      Htttp]}\n", "p", "\"allow\": nothing is called \"Htttp\"; did you mean HTTP", 4 },
		{ "  p: {forbid: executables}\n", "p",
		  "\"forbid\": nothing is called \"executables\"; did you mean executable", 3 },
		{ "  p: {risks: [SQL]}\n", "p", "\"risks\": nothing is called \"SQL\"; did you mean SQL Injection", 3 },
		{ "  p: {risks: [zzzzzzzz-nothing-like-it]}\n", "p",
		  "\"risks\": nothing is called \"zzzzzzzz-nothing-like-it\"; it takes nDPI's risks, attacks and none", 3 },
		{ "  p: {risks: [atacks]}\n", "p", "\"risks\": nothing is called \"atacks\"; did you mean attacks?", 3 },
		{ "  p: {allow: [HTTP, unknwon]}\n", "p", "\"allow\": nothing is called \"unknwon\"; did you mean unknown?", 3 },
		{ "  p: {allow: text}\n", "[p, doubtfull]",
		  "\"carries\": nothing is called \"doubtfull\"; did you mean doubtful?", 7 },
		{ "  p: {allow: \"XSS Attack\"}\n", "p",
		  "\"allow\": \"XSS Attack\" is a risk; a profile refuses it under \"risks\"", 3 },
		{ "  p: {allow: papers}\n", "p",
		  "\"allow\": \"papers\" is a profile, and a profile lists no other; list both under \"carries\"", 3 },
		{ "  p: {allow: text}\n", "[p, paper]",
		  "\"carries\": nothing is called \"paper\"; did you mean the profile papers?", 7 },
		{ "  web: {allow: text}\n", "web", "the profile \"web\" has the name of an nDPI category; choose another name", 3 },
		{ "  ssh: {allow: text}\n", "ssh", "the profile \"ssh\" has the name of an nDPI protocol; choose another name", 3 },
		{ "  script: {forbid: script}\n", "script",
		  "the profile \"script\" has the name of a kind of content; choose another name", 3 },
	};
	struct pol_err err;
	(void)state;
	if (!schemas)
		skip();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int ret = profiles(rows[i].own, rows[i].listed, &err);
		assert_int_equal(ret, rows[i].text ? -22 : 0);
		if (!rows[i].text)
			continue;
		if (strncmp(err.text, rows[i].text, strlen(rows[i].text)) != 0)
			fail_msg("it says %s, not %s", err.text, rows[i].text);
		assert_string_equal(err.file, "hub.yaml");
		assert_int_equal(err.line, rows[i].line);
	}
}

/* Two rules come to what both let pass, as nDPI knows it. */
static void sets_are_made_of_both_sides(void **state)
{
	static const struct {
		const char *send, *receive;
		int passes;
	} rows[] = {
		{ "HTTP", "Web", 1 }, { "HTTP", "RemoteAccess", 0 }, { "HTTP", "unknown", 0 }, { "text", "unknown", 1 },
		{ "none", "HTTP", 0 },
		{ "json", "text", 1 }, { "[unknown, HTTP]", "[SSH, archive]", 1 }, { "[SSH, HTTP]", "[TLS, DNS]", 0 },
	};
	const struct pol_unikernel u[] = { { .name = "camera", .policy_path = "camera.yaml" },
					   { .name = "hub", .policy_path = "hub.yaml" } };
	(void)state;
	if (!schemas)
		skip();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char send[256], receive[256];
		snprintf(send, sizeof send, "unikernel: camera\nsend:\n  - to: hub\n    message: demo.Frame\n    carries: %s\n",
			 rows[i].send);
		snprintf(receive, sizeof receive, "unikernel: hub\nreceive:\n  - from: camera\n    message: demo.Frame\n"
			 "    carries: %s\n", rows[i].receive);
		const struct pol_text texts[] = { { send, strlen(send) }, { receive, strlen(receive) } };
		const struct pol_source source = { .u = u, .n = 2, .texts = texts };
		struct pol_set *set = NULL;
		struct pol_err err;
		struct dpi_err de;
		struct dpi_set made;
		assert_int_equal(pol_compile(&set, &source, schemas, 1, NULL, &err), 0);
		uint32_t content = pol_entry_get(set, 0)->terms.content;
		assert_int_equal(fab_content_set(&made, set, content, &de), 0);
		assert_int_equal(fab_content_passes(set, content), rows[i].passes);
		/* without `carries`, and with none */
		assert_int_equal(fab_content_set(&made, set, 0, &de), 0);
		assert_int_equal(made.plain, UINT32_MAX);
		assert_int_equal(made.allowed[0], 0);
		assert_int_equal(fab_content_passes(set, 1), 0);
		pol_set_free(set);
	}
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
		cmocka_unit_test(profiles_are_checked),
		cmocka_unit_test(sets_are_made_of_both_sides),
		cmocka_unit_test(images),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("check", tests, load, unload);
}
