/* SPDX-License-Identifier: BSD-2-Clause */
/* What ended inspectors, on disk: the pair of files says what it was, there are never too many, and what cannot be written stops
 * nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/evidence.h"
#include "fabric/files.h"

static char run_dir[64], folder[96];
static struct fab_unikernel_config unikernels[2] = {{.name = (char *)(uintptr_t) "hub"}, {.name = (char *)(uintptr_t) "archive"}};
static struct fab_config config = {.name = (char *)(uintptr_t) "test", .n = 2, .u = unikernels};
static struct fab_evidence evidence;

static int make(void **state)
{
	(void)state;
	snprintf(run_dir, sizeof(run_dir), "/tmp/weft-evidence-XXXXXX");
	assert_non_null(mkdtemp(run_dir));
	snprintf(folder, sizeof(folder), "%s/evidence", run_dir);
	config.run_dir = run_dir;
	fab_evidence_make(&evidence, &config, 0xabcdef);
	return 0;
}

static void path_of(const char *name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%.255s", folder, name);
}

static int unmake(void **state)
{
	DIR *d = opendir(folder);
	char path[PATH_MAX];

	(void)state;
	for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		path_of(e->d_name, path);
		unlink(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(folder);
	unlink(folder);
	rmdir(run_dir);
	return 0;
}

/* Counts files whose names end so; the first in order of names into *first (PATH_MAX), if it is given. */
static unsigned files(const char *end, char *first)
{
	DIR *d = opendir(folder);
	unsigned n = 0;

	if (first != NULL)
		first[0] = '\0';
	for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		size_t len = strlen(e->d_name);

		if (e->d_name[0] == '.' || len < strlen(end) || strcmp(e->d_name + len - strlen(end), end) != 0)
			continue;
		n++;
		if (first != NULL && (first[0] == '\0' || strcmp(e->d_name, first) < 0))
			snprintf(first, NAME_MAX, "%.200s", e->d_name);
	}
	if (d != NULL)
		closedir(d);
	return n;
}

static struct dpi_evidence_item message(const uint8_t *bytes, uint32_t len)
{
	struct dpi_evidence_item it = {
		.why = DPI_WHY_DIED,
		.kind = DPI_ANSWER_MESSAGE,
		.signal = SIGSEGV,
		.lane = 3,
		.strikes = 1,
		.epoch = 5,
		.id = 17,
		.subject = 0x12ab,
		.src = 1,
		.dst = 2,
		.n_fields = 2,
		.bytes = bytes,
		.len = len,
	};

	it.field[0].field = 4;
	it.field[0].len = 3;
	it.field[1].field = 9;
	it.field[1].offset = 3;
	it.field[1].len = len - 3;
	return it;
}

static json_t *load(const char *name)
{
	char path[PATH_MAX];
	json_error_t err;

	path_of(name, path);
	json_t *o = json_load_file(path, 0, &err);

	if (o == NULL)
		fail_msg("%s: %s", path, err.text);
	return o;
}

static void assert_string_at(const json_t *o, const char *key, const char *want)
{
	const char *s = json_string_value(json_object_get(o, key));

	assert_non_null(s);
	assert_string_equal(s, want);
}

static json_int_t int_at(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static void a_message_is_kept(void **state)
{
	static const uint8_t bytes[] = "abc\0\xff that it died of";
	struct dpi_evidence_item it = message(bytes, sizeof(bytes));
	char json[PATH_MAX], path[PATH_MAX];
	uint8_t *back = NULL;
	size_t len = 0;
	struct stat st;

	(void)state;
	fab_evidence_put(&evidence, &it);
	assert_int_equal(files(".json", json), 1);
	assert_int_equal(files("", NULL), 2);
	json_t *o = load(json);

	assert_string_at(o, "why", "died");
	assert_string_at(o, "signal", "SIGSEGV");
	assert_string_at(o, "kind", "message");
	assert_string_at(o, "from", "hub");
	assert_string_at(o, "to", "archive");
	assert_string_at(o, "boot", "0000000000abcdef");
	assert_string_at(o, "subject", "0x00000000000012ab");
	assert_string_at(o, "ndpi", dpi_version());
	assert_int_equal(int_at(o, "strikes"), 1);
	assert_int_equal(int_at(o, "message_id"), 17);
	assert_int_equal(int_at(o, "epoch"), 5);
	assert_int_equal(int_at(o, "lane"), 3);
	assert_int_equal(int_at(o, "len"), sizeof(bytes));
	const json_t *fields = json_object_get(o, "fields"), *second = json_array_get(fields, 1);

	assert_int_equal(json_array_size(fields), 2);
	assert_int_equal(int_at(second, "field"), 9);
	assert_int_equal(int_at(second, "offset"), 3);
	assert_int_equal(int_at(second, "len"), sizeof(bytes) - 3);
	/* The time is in both. */
	const char *time = json_string_value(json_object_get(o, "time"));

	assert_int_equal(strlen(time), 27);
	assert_memory_equal(time, json, 4);
	assert_memory_equal(time + 20, json + 16, 6);
	path_of(json_string_value(json_object_get(o, "bytes")), path);
	assert_int_equal(fab_file_load(path, 1 << 20, &back, &len), 0);
	assert_int_equal(len, sizeof(bytes));
	assert_memory_equal(back, bytes, len);
	free(back);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	json_decref(o);
}

static void others_are_kept(void **state)
{
	static const uint8_t bytes[] = "frame";
	struct dpi_evidence_item it = message(bytes, 5);
	char json[PATH_MAX];

	(void)state;
	/* A frame, from a port that has no name. */
	it.kind = DPI_ANSWER_FRAME;
	it.why = DPI_WHY_HUNG;
	it.signal = SIGKILL;
	it.src = 9;
	it.n_fields = 0;
	fab_evidence_put(&evidence, &it);
	assert_int_equal(files(".json", json), 1);
	json_t *o = load(json);

	assert_string_at(o, "why", "hung");
	assert_string_at(o, "kind", "frame");
	assert_true(json_is_null(json_object_get(o, "from")));
	assert_null(json_object_get(o, "to"));
	assert_null(json_object_get(o, "fields"));
	json_decref(o);
	unmake(NULL);
	make(NULL);
	/* No bytes at all, and no signal. */
	it = message(bytes, 3);
	it.why = DPI_WHY_NONSENSE;
	it.signal = 0;
	it.n_fields = 0;
	it.len = 0;
	fab_evidence_put(&evidence, &it);
	assert_int_equal(files(".json", json), 1);
	o = load(json);
	assert_string_at(o, "why", "nonsense");
	assert_true(json_is_null(json_object_get(o, "signal")));
	assert_int_equal(json_array_size(json_object_get(o, "fields")), 0);
	json_decref(o);
	assert_int_equal(files(".bin", NULL), 1);
}

static void plant(const char *name, off_t len)
{
	char path[PATH_MAX];
	int fd;

	path_of(name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, len), 0);
	close(fd);
}

static int is_there(const char *name)
{
	char path[PATH_MAX];

	path_of(name, path);
	return access(path, F_OK) == 0;
}

static void there_are_never_too_many(void **state)
{
	static uint8_t bytes[DPI_LANE_CONTENT_MAX];
	struct dpi_evidence_item it = message(bytes, sizeof(bytes));
	char first[PATH_MAX], second[PATH_MAX];

	(void)state;
	for (unsigned i = 0; i < FAB_EVIDENCE_MAX; i++)
		fab_evidence_put(&evidence, &it);
	assert_int_equal(files(".json", first), FAB_EVIDENCE_MAX);
	assert_int_equal(files(".bin", NULL), FAB_EVIDENCE_MAX);
	fab_evidence_put(&evidence, &it);
	assert_int_equal(files(".json", second), FAB_EVIDENCE_MAX);
	assert_int_equal(files(".bin", NULL), FAB_EVIDENCE_MAX);
	assert_true(strcmp(first, second) < 0);
	assert_false(is_there(first));
	/* What a crash left goes with its pair, the oldest first; what others put there stays. */
	plant("20200101T000000.000000Z-000.bin", 5);
	plant("20200101T000000.000000Z-000.json.aBcDeF", 5);
	plant("20200101T000000.000001Z-000.bin.aBcDeF", 5);
	plant("20200101T000000.000000Z-000.txt", 5);
	plant("notes.json", 5);
	fab_evidence_put(&evidence, &it);
	assert_false(is_there("20200101T000000.000000Z-000.bin"));
	assert_false(is_there("20200101T000000.000000Z-000.json.aBcDeF"));
	assert_false(is_there("20200101T000000.000001Z-000.bin.aBcDeF"));
	assert_true(is_there("20200101T000000.000000Z-000.txt"));
	assert_true(is_there("notes.json"));
	assert_int_equal(files("Z-000.json", NULL), FAB_EVIDENCE_MAX);
	/* Bytes are bounded too: this one is much newer, but there is no room beside it. */
	plant("29990101T000000.000000Z-000.bin", FAB_EVIDENCE_BYTES_MAX - (off_t)(10 * sizeof(bytes)));
	fab_evidence_put(&evidence, &it);
	assert_true(is_there("29990101T000000.000000Z-000.bin"));
	assert_true(files("Z-000.json", NULL) >= 7 && files("Z-000.json", NULL) <= 10);
	plant("29990101T000000.000000Z-000.bin", FAB_EVIDENCE_BYTES_MAX + 1);
	fab_evidence_put(&evidence, &it);
	assert_false(is_there("29990101T000000.000000Z-000.bin"));
	assert_int_equal(files("Z-000.json", NULL), 1);
}

static void what_cannot_be_written_stops_nobody(void **state)
{
	static const uint8_t bytes[] = "abcdef";
	struct dpi_evidence_item it = message(bytes, 6);

	(void)state;
	/* A file stands in the folder's place. */
	int fd = open(folder, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	fab_evidence_put(&evidence, &it);
	assert_int_equal(evidence.broken, 1);
	/* Nor do we write where a link leads. */
	assert_int_equal(unlink(folder), 0);
	assert_int_equal(symlink("/tmp", folder), 0);
	fab_evidence_put(&evidence, &it);
	assert_int_equal(evidence.broken, 1);
	assert_int_equal(unlink(folder), 0);
	fab_evidence_put(&evidence, &it);
	assert_int_equal(evidence.broken, 0);
	assert_int_equal(files(".json", NULL), 1);
	fab_evidence_say(&evidence, "this is what a test says");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_message_is_kept, make, unmake),
		cmocka_unit_test_setup_teardown(others_are_kept, make, unmake),
		cmocka_unit_test_setup_teardown(there_are_never_too_many, make, unmake),
		cmocka_unit_test_setup_teardown(what_cannot_be_written_stops_nobody, make, unmake),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
