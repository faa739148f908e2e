/* SPDX-License-Identifier: BSD-2-Clause */
/* The texts of policies that are kept for later questions: what is there, what goes, and what was tampered with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "epochs_place.h"
#include "fabric/kept.h"
#include "fabric/rundir.h"

static int wish_policies(const char *folder, const char *schemas, int trial, struct fab_epoch **next, char err[512])
{
	char path[PATH_MAX];
	struct fab_wish w = {.schemas = schemas, .policies = path, .trial = trial};

	snprintf(path, sizeof(path), "%s/%s", dir, folder);
	err[0] = '\0';
	return fab_epochs_wish(epochs, &w, next, err, 512);
}

/* The names in the run directory that begin so. */
static unsigned kept(const char *prefix)
{
	char path[128];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/run/policies", dir);
	d = opendir(path);
	if (d == NULL)
		return 0;
	for (const struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.' && strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

static void texts_are_kept(void **state)
{
	static const char quiet[] = "unikernel: alice\n# says nothing\n";
	struct fab_epoch *next = NULL;
	struct fab_kept k;
	char err[512] = "", path[128], away[128];
	json_t *o;

	(void)state;
	assert_int_equal(fab_rundir_make(config, err, sizeof(err)), 0);
	assert_int_equal(fab_epochs_keep(epochs, 0xabc, err, sizeof(err)), 0);
	assert_int_equal(kept("epoch-0000000000000abc-"), 1);
	assert_int_equal(kept(""), 4);
	write_file("policy/alice.yaml", quiet, strlen(quiet));
	/* what is only tried leaves nothing */
	assert_int_equal(wish_policies("policy", NULL, 1, &next, err), 0);
	assert_non_null(next);
	fab_epochs_settle(epochs, 0);
	assert_int_equal(kept("epoch-"), 1);
	assert_int_equal(wish_policies("policy", NULL, 0, &next, err), 0);
	assert_int_equal(kept("epoch-"), 2);
	assert_int_equal(kept(""), 6); /* one text more */
	fab_epochs_settle(epochs, 0); /* the data path did not take it */
	assert_int_equal(kept("epoch-"), 1);
	assert_int_equal(wish_policies("policy", NULL, 0, &next, err), 0);
	fab_epochs_settle(epochs, 1);
	unlink(config->u[0].policy);

	o = fab_kept_epoch(config, "0000000000000abc", 2, err, sizeof(err));
	assert_non_null(o);
	assert_int_equal(fab_kept_texts(config, o, &k, err, sizeof(err)), 0);
	assert_int_equal(k.n, 3);
	assert_string_equal(k.u[0].name, "alice");
	assert_string_equal(k.u[0].policy_path, config->u[0].policy);
	assert_string_equal(k.texts[0].text, quiet);
	assert_string_equal(k.texts[1].text, road_bob);
	assert_null(k.common_path);
	fab_kept_free(&k);
	json_decref(o);
	o = fab_kept_epoch(config, "0000000000000abc", 1, err, sizeof(err));
	assert_int_equal(fab_kept_texts(config, o, &k, err, sizeof(err)), 0);
	assert_string_equal(k.texts[0].text, road_alice);
	fab_kept_free(&k);
	json_decref(o);
	assert_null(fab_kept_epoch(config, "0000000000000abc", 3, err, sizeof(err)));
	assert_non_null(strstr(err, "kept no more"));
	assert_null(fab_kept_epoch(config, "../../etc/passwd", 3, err, sizeof(err)));
	assert_non_null(strstr(err, "no boot number"));
	/* where it cannot be kept it does not come into force */
	snprintf(path, sizeof(path), "%s/run/policies", dir);
	snprintf(away, sizeof(away), "%s/away", dir);
	assert_int_equal(rename(path, away) == 0 ? 0 : -errno, 0);
	write_file("run/policies", "", 0);
	write_file("policy/alice.yaml", road_alice, strlen(road_alice));
	assert_true(wish_policies("policy", NULL, 0, &next, err) < 0);
	assert_null(next);
	assert_non_null(strstr(err, "the policies cannot be kept"));
	assert_int_equal(fab_epochs_now(epochs)->number, 2);
}

static char *text_of(const char *path)
{
	uint8_t *bytes = NULL;
	size_t len = 0;

	assert_int_equal(fab_file_load(path, 1u << 20, &bytes, &len), 0);
	char *text = strndup((const char *)bytes, len);

	assert_non_null(text);
	free(bytes);
	return text;
}

/* Where alice's text of the epoch in force is kept. */
static void alices(char path[PATH_MAX])
{
	char hex[2 * FAB_SHA256_LEN + 1];

	sodium_bin2hex(hex, sizeof(hex), fab_epochs_now(epochs)->policies->file[0].sha256, FAB_SHA256_LEN);
	snprintf(path, PATH_MAX, "%s/run/policies/%s.yaml", dir, hex);
}

/* A text that was changed answers nothing, and is mended when it is next kept, also where its length stayed. */
static void a_changed_text(void **state)
{
	char err[512] = "", path[PATH_MAX];
	struct fab_kept k;

	(void)state;
	assert_int_equal(fab_rundir_make(config, err, sizeof(err)), 0);
	assert_int_equal(fab_epochs_keep(epochs, 0xabc, err, sizeof(err)), 0);
	alices(path);
	char *whole = text_of(path), *other = strdup(whole);

	assert_non_null(other);
	other[0] ^= 1;
	assert_int_equal(fab_file_write(path, other, strlen(other), 0600, 0), 0);
	json_t *o = fab_kept_epoch(config, "0000000000000abc", 1, err, sizeof(err));

	assert_non_null(o);
	assert_int_equal(fab_kept_texts(config, o, &k, err, sizeof(err)), -EBADMSG);
	assert_non_null(strstr(err, "was changed"));
	fab_kept_free(&k);
	/* a link to another file is none of ours */
	unlink(path);
	assert_int_equal(symlink("/etc/hostname", path), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fab_epochs_keep(epochs, 0xabc, err, sizeof(err)), 0);
		assert_int_equal(fab_kept_texts(config, o, &k, err, sizeof(err)), 0);
		assert_string_equal(k.texts[0].text, road_alice);
		fab_kept_free(&k);
		assert_int_equal(fab_file_write(path, other, strlen(other), 0600, 0), 0);
	}
	json_decref(o);
	free(whole);
	free(other);
}

/* What says which texts an epoch had is held to its digest, and to the name that it has. */
static void a_changed_list(void **state)
{
	char err[512] = "", path[PATH_MAX], other[PATH_MAX];

	(void)state;
	assert_int_equal(fab_rundir_make(config, err, sizeof(err)), 0);
	assert_int_equal(fab_epochs_keep(epochs, 0xabc, err, sizeof(err)), 0);
	snprintf(path, sizeof(path), "%s/run/policies/epoch-0000000000000abc-1.json", dir);
	snprintf(other, sizeof(other), "%s/run/policies/epoch-0000000000000abc-2.json", dir);
	char *text = text_of(path);

	assert_int_equal(fab_file_write(other, text, strlen(text), 0600, 0), 0);
	assert_null(fab_kept_epoch(config, "0000000000000abc", 2, err, sizeof(err)));
	assert_non_null(strstr(err, "was changed"));
	/* alice's text for bob's */
	json_t *o = json_loads(text, 0, NULL), *files = json_object_get(o, "files");

	json_object_set(json_array_get(files, 1), "sha256", json_object_get(json_array_get(files, 0), "sha256"));
	char *swapped = json_dumps(o, 0);

	assert_int_equal(fab_file_write(path, swapped, strlen(swapped), 0600, 0), 0);
	assert_null(fab_kept_epoch(config, "0000000000000abc", 1, err, sizeof(err)));
	assert_non_null(strstr(err, "was changed"));
	assert_int_equal(fab_file_write(path, text, strlen(text), 0600, 0), 0);
	json_t *good = fab_kept_epoch(config, "0000000000000abc", 1, err, sizeof(err));

	assert_non_null(good);
	json_decref(good);
	json_decref(o);
	free(swapped);
	free(text);
}

/* A crash leaves half a file under another name; the next change takes it away, and nothing else. */
static void what_a_crash_leaves(void **state)
{
	char err[512] = "", name[128];

	(void)state;
	assert_int_equal(fab_rundir_make(config, err, sizeof(err)), 0);
	assert_int_equal(fab_epochs_keep(epochs, 0xabc, err, sizeof(err)), 0);
	snprintf(name, sizeof(name), "run/policies/%064d.yaml.a1B2c3", 7);
	write_file(name, "half", 4);
	write_file("run/policies/epoch-0000000000000abc-9.json.XyZ012", "{", 1);
	write_file("run/policies/notes.a1B2c3", "mine", 4);
	assert_int_equal(kept(""), 7);
	assert_int_equal(fab_epochs_keep(epochs, 0xabd, err, sizeof(err)), 0);
	assert_int_equal(kept(""), 6);
	assert_int_equal(kept("notes"), 1);
}

/* Beyond the limit the oldest go, and texts that nobody names any more. */
static void the_oldest_go(void **state)
{
	char err[512] = "", text[96], name[96];
	struct fab_epoch *next = NULL;
	int n = snprintf(text, sizeof(text), "{\"boot\":\"0000000000000001\",\"epoch\":1,\"files\":[]}");

	(void)state;
	assert_int_equal(fab_rundir_make(config, err, sizeof(err)), 0);
	assert_int_equal(fab_epochs_keep(epochs, 0xabc, err, sizeof(err)), 0);
	snprintf(name, sizeof(name), "run/policies/%064d.yaml", 7);
	write_file(name, "orphan", 6);
	for (unsigned i = 1; i < FAB_KEPT_EPOCHS_MAX; i++) {
		struct timespec past[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
		char path[PATH_MAX];

		snprintf(name, sizeof(name), "run/policies/epoch-0000000000000001-%u.json", i);
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		FILE *f = fopen(path, "w"); /* without the fsync of each */
		assert_non_null(f);
		assert_int_equal(fwrite(text, 1, (size_t)n, f), n);
		fclose(f);
		assert_int_equal(utimensat(AT_FDCWD, path, past, 0), 0);
	}
	assert_int_equal(kept("epoch-"), FAB_KEPT_EPOCHS_MAX);
	write_file("policy/carol.yaml", "unikernel: carol\nreason: new\n", 29);
	assert_int_equal(wish_policies("policy", NULL, 0, &next, err), 0);
	fab_epochs_settle(epochs, 1);
	assert_int_equal(kept("epoch-"), FAB_KEPT_EPOCHS_MAX / 4 * 3);
	assert_int_equal(kept("epoch-0000000000000abc-"), 2);
	assert_int_equal(kept("epoch-0000000000000001-1.json"), 0);
	assert_int_equal(kept("epoch-0000000000000001-999.json"), 1);
	assert_int_equal(kept("0000000000000000"), 0); /* the orphan */
	assert_int_equal(kept(""), FAB_KEPT_EPOCHS_MAX / 4 * 3 + 4);
}
int main(void)
{
	const struct CMUnitTest tests[] = {
		EPOCHS_TEST(texts_are_kept),
		EPOCHS_TEST(a_changed_text),
		EPOCHS_TEST(a_changed_list),
		EPOCHS_TEST(what_a_crash_leaves),
		EPOCHS_TEST(the_oldest_go),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
