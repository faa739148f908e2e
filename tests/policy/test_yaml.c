/* SPDX-License-Identifier: BSD-2-Clause */
/* The YAML reader below the language: positions, limits, and what it makes of valid text. What it refuses in files is
 * in tests/policy/broken. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/yaml.h"

static void assert_node(const struct pol_node *n, enum pol_node_kind kind, uint32_t line, uint32_t column,
			const char *text)
{
	assert_non_null(n);
	assert_int_equal(n->kind, kind);
	assert_int_equal(n->line, line);
	assert_int_equal(n->column, column);
	if (text != NULL) {
		assert_string_equal(n->text, text);
		assert_int_equal(n->len, strlen(text));
	}
}

static void test_positions(void **state)
{
	(void)state;
	static const char text[] = "# a comment\n"
				   "name: meter # another\n"
				   "\n"
				   "list:\n"
				   "  - one\n"
				   "  - 'two # three'\n"
				   "  - {k: v, \"\xc3\xa9\": [\"a\\tb\" ]}\n";
	struct pol_yaml y;
	struct pol_err err;
	/* An escaped tab is a control character: the whole file is refused there. */
	assert_int_equal(pol_yaml_parse(&y, "f", text, sizeof text - 1, &err), -EINVAL);
	assert_int_equal(err.line, 7);
	assert_int_equal(err.column, 18);

	static const char good[] = "# a comment\n"
				   "name: meter # another\n"
				   "\n"
				   "list:\r\n"
				   "  - one\n"
				   "  - 'two # three'\n"
				   "  - {k: v, \"\xc3\xa9\": [\"a b\" ]}\n"
				   "empty:\n";
	assert_int_equal(pol_yaml_parse(&y, "f", good, sizeof good - 1, &err), 0);
	assert_node(y.root, POL_NODE_MAP, 2, 1, NULL);
	assert_int_equal(y.root->n, 3);
	const struct pol_node *k = y.root->first;
	assert_node(k, POL_NODE_VALUE, 2, 1, "name");
	assert_node(k->value, POL_NODE_VALUE, 2, 7, "meter");
	k = k->next;
	assert_node(k, POL_NODE_VALUE, 4, 1, "list");
	assert_node(k->value, POL_NODE_LIST, 5, 3, NULL);
	assert_int_equal(k->value->n, 3);
	const struct pol_node *p = pol_node_each(k->value);
	assert_node(p, POL_NODE_VALUE, 5, 5, "one");
	p = p->next;
	assert_node(p, POL_NODE_VALUE, 6, 5, "two # three");
	p = p->next;
	assert_node(p, POL_NODE_MAP, 7, 5, NULL);
	assert_null(p->next);
	assert_node(p->first, POL_NODE_VALUE, 7, 6, "k");
	assert_node(p->first->next, POL_NODE_VALUE, 7, 12, "\xc3\xa9"); /* columns count characters */
	assert_node(p->first->next->value, POL_NODE_LIST, 7, 17, NULL);
	k = k->next;
	assert_node(k, POL_NODE_VALUE, 8, 1, "empty");
	assert_int_equal(k->value->len, 0);
	assert_null(k->next);
	assert_ptr_equal(pol_node_each(y.root->first->value), y.root->first->value);
	assert_null(pol_node_each(y.root->first->value)->next);
	pol_yaml_free(&y);
	assert_null(y.root);
}

static void refused(const char *text, size_t len, uint32_t line, const char *why)
{
	struct pol_yaml y;
	struct pol_err err = {0};
	assert_int_equal(pol_yaml_parse(&y, "f", text, len, &err), -EINVAL);
	assert_null(y.root);
	assert_string_equal(err.text, why);
	assert_int_equal(err.line, line);
}

static void accepted(const char *text, size_t len)
{
	struct pol_yaml y;
	struct pol_err err = {0};
	if (pol_yaml_parse(&y, "f", text, len, &err) < 0)
		fail_msg("%u: %s", err.line, err.text);
	pol_yaml_free(&y);
}

static void test_size_limit(void **state)
{
	(void)state;
	char *text = malloc(POL_FILE_BYTES_MAX + 1);
	assert_non_null(text);
	memset(text, '\n', POL_FILE_BYTES_MAX + 1);
	memcpy(text, "a: b", 4);
	accepted(text, POL_FILE_BYTES_MAX);
	refused(text, POL_FILE_BYTES_MAX + 1, 0, "longer than 1 MiB");
	free(text);
}

static void test_node_limit(void **state)
{
	(void)state;
	/* {a: [x,x,...]}: the mapping, the key, the list, then the items. */
	size_t fit = POL_YAML_NODES_MAX - 3, len = 4 + fit * 2;
	char *text = malloc(len + 8);
	assert_non_null(text);
	memcpy(text, "a: [", 4);
	for (size_t i = 0; i < fit; i++)
		memcpy(text + 4 + i * 2, "x,", 2);
	text[len] = ']';
	accepted(text, len + 1);
	memcpy(text + len, "y]", 2);
	refused(text, len + 2, 1, "more values than a file may hold (262144)");
	free(text);
}

static void test_depth_limit(void **state)
{
	(void)state;
	for (uint32_t lists = 1; lists < 200000; lists = lists < 12 ? lists + 1 : lists * 7) {
		char *text = malloc(lists * 2 + 4);
		assert_non_null(text);
		memcpy(text, "a: ", 3);
		memset(text + 3, '[', lists);
		memset(text + 3 + lists, ']', lists);
		if (lists + 1 <= POL_YAML_DEPTH_MAX)
			accepted(text, 3 + lists * 2);
		else
			refused(text, 3 + lists * 2, 1, "nested deeper than 8 levels");
		free(text);
	}
}

static void test_key_limit(void **state)
{
	(void)state;
	char text[4096], *p = text;
	for (uint32_t i = 0; i < POL_YAML_KEYS_MAX; i++)
		p += sprintf(p, "k%u: v\n", i);
	accepted(text, (size_t)(p - text));
	p += sprintf(p, "more: v\n");
	refused(text, (size_t)(p - text), 65, "more than 64 keys in one mapping");
}

static void test_truncated_everywhere(void **state)
{
	(void)state;
	static const char text[] = "unikernel: \"caf\xc3\xa9\"\nsend:\n  - {to: [a, 'b'], rate: 1/s}\n";
	/* Each prefix in memory of exactly its size, so that a sanitizer sees a read past the end. */
	for (size_t len = 0; len < sizeof text; len++) {
		struct pol_yaml y;
		char *copy = malloc(len + (len == 0));
		assert_non_null(copy);
		memcpy(copy, text, len);
		if (pol_yaml_parse(&y, "f", copy, len, NULL) == 0)
			pol_yaml_free(&y);
		free(copy);
	}
}

static void test_bytes_of_utf8(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		int ok;
	} cases[] = {
	    {"\x7e", 1},
	    {"\xc2\xa0", 1},
	    {"\xdf\xbf", 1},
	    {"\xe0\xa0\x80", 1},
	    {"\xed\x9f\xbf", 1},
	    {"\xee\x80\x80", 1},
	    {"\xf0\x90\x80\x80", 1},
	    {"\xf4\x8f\xbf\xbd", 1},
	    {"\x80", 0},
	    {"\xc1\xbf", 0},
	    {"\xc2", 0},
	    {"\xe0\x9f\xbf", 0},
	    {"\xed\xa0\x80", 0},
	    {"\xf0\x8f\xbf\xbf", 0},
	    {"\xf4\x90\x80\x80", 0},
	    {"\xf8\x88\x80\x80\x80", 0},
	    {"\xff", 0},
	    {"\xe2\x82", 0},
	    {"\xc2\x41", 0},
	    {"\xef\xbf\xbe", 0},
	    {"\xc2\x80", 0},
	    {"\xef\xbb\xbf", 0},
	    {"\xe2\x80\x8d", 0},
	    {"\xe2\x81\xa6", 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[32];
		struct pol_yaml y;
		int n = snprintf(text, sizeof text, "a: x # %s\n", cases[i].bytes);
		int rc = pol_yaml_parse(&y, "f", text, (size_t)n, NULL);
		assert_int_equal(rc == 0, cases[i].ok);
		if (rc == 0)
			pol_yaml_free(&y);
	}
}

static void test_special_files(void **state)
{
	(void)state;
	struct pol_yaml y;
	struct pol_err err;
	assert_int_equal(pol_yaml_load(&y, "/dev/zero", &err), -EINVAL);
	assert_string_equal(err.text, "not a regular file");
	char fifo[] = "/tmp/weft-yaml-XXXXXX";
	assert_non_null(mkdtemp(fifo));
	char path[64];
	snprintf(path, sizeof path, "%s/fifo", fifo);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(pol_yaml_load(&y, path, &err), -EINVAL); /* and does not wait for a writer */
	assert_string_equal(err.text, "not a regular file");
	unlink(path);
	rmdir(fifo);
}

static void test_long_path_keeps_its_end(void **state)
{
	(void)state;
	char path[400];
	struct pol_yaml y;
	struct pol_err err;
	memset(path, 'd', sizeof path);
	strcpy(path + sizeof path - 12, "/meter.yaml");
	assert_int_equal(pol_yaml_parse(&y, path, "", 0, &err), -EINVAL);
	assert_int_equal(strlen(err.file), sizeof err.file - 1);
	assert_memory_equal(err.file, "...d", 4);
	assert_string_equal(err.file + sizeof err.file - 12, "/meter.yaml");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_positions),
	    cmocka_unit_test(test_size_limit),
	    cmocka_unit_test(test_node_limit),
	    cmocka_unit_test(test_depth_limit),
	    cmocka_unit_test(test_key_limit),
	    cmocka_unit_test(test_truncated_everywhere),
	    cmocka_unit_test(test_bytes_of_utf8),
	    cmocka_unit_test(test_special_files),
	    cmocka_unit_test(test_long_path_keeps_its_end),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
