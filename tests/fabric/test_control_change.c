/* SPDX-License-Identifier: BSD-2-Clause */
/* {"cmd":"schema"} and {"cmd":"policy"} over a real control socket with a real worker that takes what it is handed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "tests/schemas/compat_pair.h"
/* behind what calls its own folders dir */
#include "epochs_place.h"
#include "fabric/client.h"
#include "fabric/control.h"
#include "fabric/decision_json.h"
#include "fabric/worker.h"

struct running {
	struct fab *f;
	struct dpi *dpi;
	struct fab_decision_ring *ring;
	struct fab_worker w;
	struct fab_control *control;
	pthread_t worker;
	int works;
};

static void *run_worker(void *arg)
{
	struct running *r = arg;

	fab_worker_run(&r->w);
	return NULL;
}

static void start(struct running *r, int works)
{
	struct fab_control_view view = {.config = config, .epochs = epochs, .tsc_hz = 1, .boot = 0x1234, .settings = ""};
	char err[512] = "";

	memset(r, 0, sizeof(*r));
	r->works = works;
	assert_int_equal(fab_aead_start(), 0);
	struct dpi_err de;

	assert_int_equal(dpi_open(&r->dpi, &de), 0);
	r->ring = fab_decision_ring_make(64);
	assert_non_null(r->ring);
	const struct fab_inspector inspector = { .dpi = r->dpi };
	assert_int_equal(fab_make(&r->f, config, fab_epochs_now(epochs), inspector, r->ring, 0x1234), 0);
	assert_int_equal(fab_worker_make(&r->w, r->f, 0), 0);
	view.fab = r->f;
	view.ports = r->f->port_counters;
	view.workers = &r->w;
	view.ring[0] = r->ring;
	view.n_rings = 1;
	view.stop = &r->w.stop;
	view.stop_fd = r->w.wake_fd;
	view.wake_fd = r->w.control_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(fab_control_start(&r->control, &view, err, sizeof(err)), 0);
	if (works)
		assert_int_equal(pthread_create(&r->worker, NULL, run_worker, r), 0);
}

static void finish(struct running *r)
{
	atomic_store(&r->w.stop, 1);
	fab_worker_wake(&r->w);
	if (r->works)
		pthread_join(r->worker, NULL);
	fab_control_finish(r->control);
	close(r->w.control_fd);
	fab_worker_close(&r->w);
	fab_free(r->f);
	fab_decision_ring_free(r->ring);
	dpi_close(r->dpi);
}

static json_t *ask(const char *request)
{
	char err[512] = "";
	json_t *o = fab_client_answer(config, request, 10000000000ull, NULL, err, sizeof(err));

	if (o == NULL)
		print_error("%s: %s\n", request, err);
	assert_non_null(o);
	return o;
}

static json_t *ask_for(const char *set, const char *more)
{
	char request[PATH_MAX + 64];

	snprintf(request, sizeof(request), "{\"cmd\":\"schema\",\"path\":\"%s\"%s}", built(set), more);
	return ask(request);
}

static json_int_t num(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static int is(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static void a_change_is_asked_for(void **state)
{
	struct running r;
	json_t *o, *stats;
	char path[PATH_MAX], text[512], *line = NULL;
	const char *expect[] = {"epoch 2", "epoch 3", "epoch 4"};
	size_t cap = 0;
	FILE *log;

	(void)state;
	start(&r, 1);
	o = ask_for(MORE, "");
	assert_true(is(o, "ok"));
	assert_false(is(o, "unchanged"));
	assert_int_equal(num(o, "epoch"), 2);
	assert_int_equal(json_array_size(json_object_get(o, "changes")), 0);
	stats = ask("{\"cmd\":\"stats\"}");
	assert_int_equal(num(stats, "policy_epoch"), 2);
	assert_string_equal(json_string_value(json_object_get(json_object_get(stats, "schema"), "digest")),
			    json_string_value(json_object_get(o, "digest")));
	assert_string_equal(json_string_value(json_object_get(json_object_get(stats, "schema"), "path")), built(MORE));
	json_decref(stats);
	json_decref(o);

	o = ask_for(MORE, ",\"force\":true");
	assert_true(is(o, "ok") && is(o, "unchanged") && !is(o, "forced"));
	assert_int_equal(num(o, "epoch"), 2);
	json_decref(o);

	o = ask_for(LESS, ",\"force\":false");
	assert_true(is(o, "refused"));
	assert_non_null(json_object_get(o, "error"));
	assert_true(num(o, "n_changes") > 0);
	assert_int_equal(json_array_size(json_object_get(o, "changes")), num(o, "n_changes"));
	assert_int_equal(json_array_size(json_object_get(o, "void_rules")), 4);
	json_decref(o);
	assert_ptr_equal(fab_epoch_in_force(r.f), fab_epochs_now(epochs));

	o = ask_for(LESS, ",\"force\":true");
	assert_true(is(o, "ok") && is(o, "forced"));
	assert_int_equal(num(o, "epoch"), 3);
	json_decref(o);
	o = ask_for(BASE, "");
	assert_true(is(o, "ok") && !is(o, "forced"));
	json_decref(o);
	/* many, so that epochs must be freed on the way */
	for (unsigned i = 0; i < 3 * FAB_EPOCHS_MAX; i++) {
		o = ask_for(i % 2 ? BASE : MORE, ",\"force\":true");
		assert_true(is(o, "ok"));
		json_decref(o);
	}
	finish(&r);

	snprintf(path, sizeof(path), "%s/run/decisions.jsonl", dir);
	log = fopen(path, "r");
	assert_non_null(log);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(getline(&line, &cap, log) > 0);
		o = json_loads(line, 0, NULL);
		assert_string_equal(json_string_value(json_object_get(o, "event")), "epoch");
		assert_int_equal(num(o, "id"), i + 1);
		assert_int_equal(num(o, "policy_epoch"), i + 2);
		assert_int_equal(is(o, "forced"), i == 1);
		fab_decision_text(o, text, sizeof(text));
		assert_non_null(strstr(text, expect[i]));
		assert_int_equal(strstr(text, "forced over") != NULL, i == 1);
		json_decref(o);
	}
	free(line);
	fclose(log);
}

static void bad_requests(void **state)
{
	static const char *const rows[] = {
		"{\"cmd\":\"schema\"}",
		"{\"cmd\":\"schema\",\"path\":7}",
		"{\"cmd\":\"schema\",\"path\":\"relative.binpb\"}",
		"{\"cmd\":\"schema\",\"path\":\"\"}",
		"{\"cmd\":\"schema\",\"path\":\"/nowhere\"}",
		"{\"cmd\":\"schema\",\"path\":\"/dev/zero\"}",
		"{\"cmd\":\"schema\",\"path\":\"/dev/zero\",\"force\":1}",
		"{\"cmd\":\"schema\",\"path\":\"/dev/zero\",\"frce\":true}",
		"{\"cmd\":\"policy\",\"path\":7}",
		"{\"cmd\":\"policy\",\"path\":\"relative\"}",
		"{\"cmd\":\"policy\",\"path\":\"/nowhere\"}",
		"{\"cmd\":\"policy\",\"path\":\"/dev/zero\"}",
		"{\"cmd\":\"policy\",\"dry_run\":1}",
		"{\"cmd\":\"policy\",\"force\":true}",
		"{\"cmd\":\"quarantine\",\"lift\":7}",
		"{\"cmd\":\"quarantine\",\"lift\":\"nobody\"}",
		"{\"cmd\":\"quarantine\",\"name\":\"alice\"}",
	};
	struct running r;

	(void)state;
	start(&r, 1);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *o = ask(rows[i]);

		assert_true(json_is_string(json_object_get(o, "error")));
		assert_true(json_is_false(json_object_get(o, "refused")));
		json_decref(o);
	}
	assert_int_equal(fab_epoch_in_force(r.f)->number, 1);
	finish(&r);
}

/* A set that takes long to judge; its path. */
static const char *large_set(void)
{
	static char path[PATH_MAX];
	char *folder = text_folder(), *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_true(folder != NULL && f != NULL);
	fprintf(f, "syntax = \"proto3\"; package large; import \"buf/validate/validate.proto\";\n");
	for (unsigned i = 0; i < 2000; i++) {
		fprintf(f, "message M%u {\n", i);
		for (unsigned k = 1; k <= 10; k++)
			fprintf(f, "string f%u = %u [(buf.validate.field).string = {min_len: %u, max_len: 99}];\n", k, k, k);
		fprintf(f, "}\n");
	}
	assert_int_equal(fclose(f), 0);
	assert_int_equal(text_write(folder, "large.proto", text), 0);
	free(text);
	struct text_set set = text_compile(folder, "");

	assert_non_null(set.data);
	write_file("large.binpb", set.data, set.len);
	free(set.data);
	snprintf(path, sizeof(path), "%s/large.binpb", dir);
	return path;
}

static void connect_and_send(struct fab_client *c, const char *request)
{
	char err[512] = "";

	assert_int_equal(fab_client_open(c, config, err, sizeof(err)), 0);
	assert_int_equal(fab_client_send(c, request), 0);
}

static json_t *answer_of(struct fab_client *c)
{
	int why = 0;
	const char *line = fab_client_line(c, fab_now_ns() + 60000000000ull, &why);

	assert_non_null(line);
	json_t *o = json_loads(line, 0, NULL);

	assert_non_null(o);
	return o;
}

/* While a set is judged the control thread does its work: it answers others, and the log is written. */
static void others_are_served_meanwhile(void **state)
{
	char judge_it[PATH_MAX + 64], force_it[PATH_MAX + 64], more[PATH_MAX + 64];
	const char *large = large_set();
	struct fab_client asker, also[3];
	struct running r;
	json_t *o;

	(void)state;
	snprintf(judge_it, sizeof(judge_it), "{\"cmd\":\"schema\",\"path\":\"%s\"}\n{\"cmd\":\"ping\"}", large);
	snprintf(force_it, sizeof(force_it), "{\"cmd\":\"schema\",\"path\":\"%s\",\"force\":true}", large);
	start(&r, 1);
	connect_and_send(&asker, judge_it);
	o = ask("{\"cmd\":\"ping\"}");
	assert_true(is(o, "ok"));
	json_decref(o);
	snprintf(more, sizeof(more), "{\"cmd\":\"schema\",\"path\":\"%s\"}", built(MORE));
	for (unsigned i = 0; i < 3; i++)
		connect_and_send(&also[i], more);
	json_decref(ask("{\"cmd\":\"ping\"}"));
	fab_client_close(&also[2]); /* and does not wait for its turn */
	assert_int_equal(poll(&(struct pollfd){.fd = asker.fd, .events = POLLIN}, 1, 0), 0);
	o = answer_of(&asker);
	assert_true(is(o, "refused"));
	assert_true(num(o, "n_void_rules") > 0);
	json_decref(o);
	o = answer_of(&asker); /* of the request that came with it */
	assert_true(is(o, "ok"));
	json_decref(o);
	fab_client_close(&asker);
	for (unsigned i = 0; i < 2; i++) { /* one after another */
		o = answer_of(&also[i]);
		assert_true(is(o, "ok"));
		assert_int_equal(num(o, "epoch"), 2);
		assert_int_equal(is(o, "unchanged"), i == 1);
		json_decref(o);
		fab_client_close(&also[i]);
	}

	/* who asks may hang up; what was asked for is done */
	connect_and_send(&asker, force_it);
	json_decref(ask("{\"cmd\":\"ping\"}")); /* so it was read */
	fab_client_close(&asker);
	json_int_t epoch = 2;

	for (unsigned i = 0; i < 6000 && epoch == 2; i++) {
		usleep(10000);
		o = ask("{\"cmd\":\"stats\"}");
		epoch = num(o, "policy_epoch");
		json_decref(o);
	}
	assert_int_equal(epoch, 3);
	o = ask_for(BASE, ",\"force\":true");
	assert_true(is(o, "ok"));
	assert_int_equal(num(o, "epoch"), 4);
	json_decref(o);

	/* and weftd may end meanwhile */
	connect_and_send(&asker, force_it);
	json_decref(ask("{\"cmd\":\"ping\"}"));
	connect_and_send(&also[0], force_it); /* it waits for the first */
	json_decref(ask("{\"cmd\":\"ping\"}"));
	finish(&r);
	o = answer_of(&also[0]);
	assert_string_equal(json_string_value(json_object_get(o, "error")), "weftd is ending");
	json_decref(o);
	fab_client_close(&also[0]);
	o = answer_of(&asker);
	assert_non_null(strstr(json_string_value(json_object_get(o, "error")), "weftd is ending"));
	json_decref(o);
	fab_client_close(&asker);
	assert_int_equal(fab_epochs_now(epochs)->number, 4);
}

/* Nobody takes it: after three seconds it is called off, and everything is as it was. */
static void a_data_path_that_is_stuck(void **state)
{
	struct running r;
	json_t *o;

	(void)state;
	start(&r, 0);
	o = ask_for(MORE, "");
	assert_non_null(strstr(json_string_value(json_object_get(o, "error")), "did not take it"));
	assert_true(json_is_false(json_object_get(o, "refused")));
	json_decref(o);
	assert_int_equal(fab_epoch_take(r.f, 1), 0);
	assert_int_equal(fab_epochs_now(epochs)->number, 1);
	assert_null(fab_epochs_find(epochs, 2));
	finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EPOCHS_TEST(a_change_is_asked_for),
		EPOCHS_TEST(bad_requests),
		EPOCHS_TEST(others_are_served_meanwhile),
		EPOCHS_TEST(a_data_path_that_is_stuck),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("control_change", tests, NULL, NULL);
}
