/* SPDX-License-Identifier: BSD-2-Clause */
/* The control thread as it runs in weftd: a real socket, a real ring, a real log, and a disk that is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fabric/client.h"
#include "fabric/config.h"
#include "fabric/control.h"
#include "fabric/files.h"
#include "fabric/writer.h"
#include "guest-lib/verdict.h"

#define RING 256u
#define SECOND 1000000000ull

static char dir[64];
static struct fab_config *config;
static struct fab_port_counters ports[4];
static struct fab_stage_counters stages[FAB_STAGE_COUNT];
static struct fab_decision_ring *ring;
static struct fab_control *control;
static atomic_int stop;
static int wake_fd, stop_fd;
static uint64_t next_id;

static void control_open(uint64_t boot)
{
	struct fab_control_view view = { .config = config, .ports = ports, .stages = stages, .ring = {ring}, .n_rings = 1,
					 .tsc_hz = 2000000000, .boot = boot, .settings = "a test", .stop = &stop,
					 .stop_fd = stop_fd, .wake_fd = wake_fd };
	char err[512] = "";
	int ret = fab_control_start(&control, &view, err, sizeof err);
	if (ret)
		print_error("%s\n", err);
	assert_int_equal(ret, 0);
}

static int set_up(void **state)
{
	(void)state;
	char yaml[512];
	struct pol_err e;
	signal(SIGXFSZ, SIG_IGN);
	strcpy(dir, "/tmp/weft-control-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(yaml, sizeof yaml,
		 "fabric: home\nschemas: none.binpb\npolicies: policy\nrun_dir: %s/run\nlimits: { log_file: 64KiB, log_files: 3 }\n"
		 "unikernels:\n  - { name: meter }\n  - { name: hub }\n"
		 "  - { name: camera }\n",
		 dir);
	if (fab_config_parse(&config, "fabric.yaml", yaml, strlen(yaml), &e) != 0) {
		print_error("fabric.yaml:%u: %s\n", e.line, e.text);
		return -1;
	}
	memset(ports, 0, sizeof ports);
	memset(stages, 0, sizeof stages);
	next_id = 1;
	atomic_store(&stop, 0);
	wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ring = fab_decision_ring_make(RING);
	control_open(0x1234);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	if (control)
		fab_control_finish(control);
	control = NULL;
	fab_decision_ring_free(ring);
	fab_config_free(config);
	close(wake_fd);
	close(stop_fd);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static void wake(void)
{
	uint64_t one = 1;
	assert_int_equal(write(wake_fd, &one, sizeof one), sizeof one);
}

/* Puts n decisions, waiting for room at most some seconds. Returns how many found room. */
static uint32_t decide(uint32_t n, uint16_t verdict, uint32_t count)
{
	uint64_t deadline = fab_now_ns() + 5 * SECOND;
	uint32_t put = 0;
	while (put < n && fab_now_ns() < deadline) {
		uint32_t room = fab_decision_ring_room(ring);
		for (; room && put < n; room--, put++) {
			struct timespec t;
			clock_gettime(CLOCK_REALTIME, &t);
			struct fab_decision d = { .id = next_id++, .count = count, .src = 3, .dst = 2, .verdict = verdict,
						  .time_ns = (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec,
						  .subject = 99, .detail = "what was found" };
			fab_decision_ring_put(ring, &d);
		}
		if (put < n)
			usleep(500);
	}
	wake();
	return put;
}

static json_t *ask(const char *request)
{
	char err[512] = "";
	json_t *o = fab_client_ask(config, request, 5 * SECOND, NULL, err, sizeof err);
	if (!o)
		print_error("%s: %s\n", request, err);
	assert_non_null(o);
	return o;
}

static json_int_t num(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static json_int_t written(void)
{
	json_t *o = ask("{\"cmd\":\"stats\"}");
	json_int_t n = num(json_object_get(o, "decisions"), "written");
	json_decref(o);
	return n;
}

static void wait_written(json_int_t n)
{
	for (int i = 0; i < 1000 && written() < n; i++)
		usleep(5000);
	assert_int_equal(written(), n);
}

static uint64_t lines_in(const char *name, uint64_t expect_first)
{
	char path[PATH_MAX], *line = NULL;
	size_t cap = 0;
	uint64_t n = 0;
	snprintf(path, sizeof path, "%s/run/%s", dir, name);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	for (ssize_t len; (len = getline(&line, &cap, f)) > 0; n++) {
		json_t *o = json_loadb(line, (size_t)len, 0, NULL);
		assert_non_null(o);
		if (expect_first)
			assert_int_equal(num(o, "id"), expect_first + n);
		json_decref(o);
	}
	free(line);
	fclose(f);
	return n;
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

static void ping(void **state)
{
	(void)state;
	json_t *o = ask("{\"cmd\":\"ping\"}");
	assert_true(json_is_true(json_object_get(o, "ok")));
	assert_int_equal(num(o, "pid"), getpid());
	assert_string_equal(json_string_value(json_object_get(o, "boot")), "0000000000001234");
	json_decref(o);
	struct stat st;
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/run/control.sock", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	snprintf(path, sizeof path, "%s/run", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void stats(void **state)
{
	(void)state;
	ports[3].verdict[WEFT_V_OVER_RATE] = 5;
	ports[3].frames_taken = 1ull << 40;
	ports[2].state = FAB_PORT_UP;
	ports[2].messages_delivered = 77;
	stages[FAB_STAGE_INSPECT] = (struct fab_stage_counters){ 3, 4, 5 };
	assert_int_equal(decide(2, WEFT_V_OVER_RATE, 3), 2);
	assert_int_equal(decide(1, WEFT_V_PASSED, 1), 1);
	wait_written(3);
	json_t *o = ask("{\"cmd\":\"stats\"}"), *list = json_object_get(o, "ports"), *p;
	assert_string_equal(json_string_value(json_object_get(o, "fabric")), "home");
	assert_string_equal(json_string_value(json_object_get(o, "settings")), "a test");
	assert_int_equal(num(o, "tsc_hz"), 2000000000);
	assert_true(json_real_value(json_object_get(o, "uptime_s")) >= 0);
	assert_int_equal(json_array_size(list), 3);
	p = json_array_get(list, 2);
	assert_string_equal(json_string_value(json_object_get(p, "name")), "camera");
	assert_int_equal(num(p, "port"), 3);
	assert_string_equal(json_string_value(json_object_get(p, "state")), "detached");
	assert_int_equal(num(p, "frames_taken"), 1ll << 40);
	assert_int_equal(json_object_size(json_object_get(p, "verdicts")), 1);
	assert_int_equal(num(json_object_get(p, "verdicts"), "over_rate"), 5);
	p = json_array_get(list, 1);
	assert_string_equal(json_string_value(json_object_get(p, "state")), "up");
	assert_int_equal(num(p, "messages_delivered"), 77);
	list = json_object_get(o, "stages");
	assert_int_equal(json_array_size(list), FAB_STAGE_COUNT);
	p = json_array_get(list, FAB_STAGE_INSPECT);
	assert_string_equal(json_string_value(json_object_get(p, "name")), "inspect");
	assert_int_equal(num(p, "cycles"), 5);
	p = json_object_get(o, "decisions");
	assert_int_equal(num(p, "written"), 3);
	assert_int_equal(num(json_object_get(p, "by_verdict"), "over_rate"), 6); /* counts of merged ones included */
	assert_int_equal(num(json_object_get(p, "by_verdict"), "passed"), 1);
	assert_int_equal(num(p, "log_errors"), 0);
	assert_true(json_is_null(json_object_get(p, "log_error")));
	assert_true(num(p, "log_bytes") > 300);
	json_decref(o);
	assert_int_equal(lines_in("decisions.jsonl", 1), 3);
}

/* "camera tried SSH to hub", counted; a guest that invents kinds without end gets no more than the table holds. */
static void foreign_frames_are_counted_by_name(void **state)
{
	(void)state;
	json_t *o, *d, *list, *f;
	uint64_t all = 0;
	for (uint32_t i = 0; i < FAB_FOREIGN_KINDS_MAX + 10; i++) {
		struct fab_decision k = { .id = next_id++, .count = 2, .src = 3, .dst = i == 0 ? 2 : 0,
					  .verdict = WEFT_V_FRAME_FOREIGN };
		snprintf(k.detail, sizeof k.detail, i == 0 ? "SSH" : "EtherType %u", i);
		fab_decision_ring_put(ring, &k);
		all += k.count;
	}
	wake();
	wait_written(FAB_FOREIGN_KINDS_MAX + 10);
	o = ask("{\"cmd\":\"stats\"}");
	d = json_object_get(o, "decisions");
	list = json_object_get(d, "foreign");
	assert_int_equal(json_array_size(list), FAB_FOREIGN_KINDS_MAX);
	f = json_array_get(list, 0);
	assert_string_equal(json_string_value(json_object_get(f, "from")), "camera");
	assert_string_equal(json_string_value(json_object_get(f, "to")), "hub");
	assert_string_equal(json_string_value(json_object_get(f, "protocol")), "SSH");
	assert_int_equal(num(f, "count"), 2);
	assert_true(json_is_null(json_object_get(json_array_get(list, 1), "to")));
	assert_int_equal(num(d, "foreign_other"), 20);
	assert_int_equal(num(json_object_get(d, "by_verdict"), "frame_foreign"), all);
	json_decref(o);
}

static void wrong_requests(void **state)
{
	(void)state;
	static const struct { const char *request, *answer; } cases[] = {
		{ "", "not JSON" },
		{ "stats", "not JSON" },
		{ "{\"cmd\":\"stats\",\"cmd\":\"stop\"}", "not JSON" },
		{ "[1]", "no \"cmd\"" },
		{ "{\"cmd\":7}", "no \"cmd\"" },
		{ "{\"cmd\":\"reboot\"}", "unknown \"cmd\"" },
		{ "{\"cmd\":\"tail\",\"tail\":-1}", "from 0 to 1000" },
		{ "{\"cmd\":\"tail\",\"tail\":1001}", "from 0 to 1000" },
		{ "{\"cmd\":\"tail\",\"tail\":\"1\"}", "from 0 to 1000" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char err[512] = "";
		int why = 0;
		assert_null(fab_client_ask(config, cases[i].request, 5 * SECOND, &why, err, sizeof err));
		assert_int_equal(why, -EPROTO);
		if (!strstr(err, cases[i].answer))
			fail_msg("%s: %s", cases[i].request, err);
	}
	/* A line that is too long ends the connection, and only that one. */
	struct fab_client c;
	char err[512], big[5000];
	int why = 0;
	memset(big, 'x', sizeof big);
	assert_int_equal(fab_client_open(&c, config, err, sizeof err), 0);
	assert_true(send(c.fd, big, sizeof big, MSG_NOSIGNAL) > 0);
	char *line = fab_client_line(&c, fab_now_ns() + 5 * SECOND, &why);
	assert_non_null(line);
	assert_non_null(strstr(line, "longer than 4096"));
	assert_null(fab_client_line(&c, fab_now_ns() + 5 * SECOND, &why));
	assert_int_equal(why, -ECONNRESET);
	fab_client_close(&c);
	json_decref(ask("{\"cmd\":\"ping\"}"));
}

static void several_requests_at_once(void **state)
{
	(void)state;
	struct fab_client c;
	char err[512];
	int why = 0;
	static const char two[] = "{\"cmd\":\"stats\"}\n{\"cmd\":\"ping\"}\n{\"cmd\":\"pi";
	assert_int_equal(fab_client_open(&c, config, err, sizeof err), 0);
	assert_int_equal(send(c.fd, two, sizeof two - 1, 0), sizeof two - 1);
	char *line = fab_client_line(&c, fab_now_ns() + 5 * SECOND, &why);
	assert_non_null(line);
	assert_non_null(strstr(line, "\"stages\""));
	line = fab_client_line(&c, fab_now_ns() + 5 * SECOND, &why);
	assert_non_null(line);
	assert_non_null(strstr(line, "\"ok\""));
	assert_int_equal(send(c.fd, "ng\"}\n", 5, 0), 5); /* the rest of the third */
	line = fab_client_line(&c, fab_now_ns() + 5 * SECOND, &why);
	assert_non_null(line);
	assert_non_null(strstr(line, "\"ok\""));
	fab_client_close(&c);
}

static void too_many_clients(void **state)
{
	(void)state;
	struct fab_client c[17];
	char err[512];
	int why = 0;
	for (int i = 0; i < 16; i++) {
		assert_int_equal(fab_client_open(&c[i], config, err, sizeof err), 0);
		assert_int_equal(fab_client_send(&c[i], "{\"cmd\":\"ping\"}"), 0);
		assert_non_null(fab_client_line(&c[i], fab_now_ns() + 5 * SECOND, &why));
	}
	assert_int_equal(fab_client_open(&c[16], config, err, sizeof err), 0);
	char *line = fab_client_line(&c[16], fab_now_ns() + 5 * SECOND, &why);
	assert_non_null(line);
	assert_non_null(strstr(line, "too many clients"));
	for (int i = 0; i < 17; i++)
		fab_client_close(&c[i]);
	/* Their places are free again, if not at once. */
	json_t *o = NULL;
	for (int i = 0; i < 100 && !o; i++) {
		usleep(5000);
		o = fab_client_ask(config, "{\"cmd\":\"ping\"}", 5 * SECOND, NULL, err, sizeof err);
	}
	assert_non_null(o);
	json_decref(o);
}

static void stop_request(void **state)
{
	(void)state;
	json_t *o = ask("{\"cmd\":\"stop\"}");
	assert_true(json_is_true(json_object_get(o, "ok")));
	json_decref(o);
	assert_int_equal(atomic_load(&stop), 1);
	uint64_t told = 0;
	assert_int_equal(read(stop_fd, &told, sizeof told), sizeof told); /* a worker that sleeps wakes up */
}

static void one_per_run_directory(void **state)
{
	(void)state;
	struct fab_control *other = NULL;
	struct fab_control_view view = { .config = config, .ports = ports, .stages = stages, .ring = {ring}, .n_rings = 1,
					 .stop = &stop,
					 .stop_fd = -1, .wake_fd = -1 };
	char err[512] = "";
	assert_int_equal(fab_control_start(&other, &view, err, sizeof err), -EWOULDBLOCK);
	assert_non_null(strstr(err, "another weftd"));
	json_decref(ask("{\"cmd\":\"ping\"}")); /* and the first is unharmed */
}

/* --- tail -------------------------------------------------------------------------------------------------------- */

static json_int_t next_tail(struct fab_client *c)
{
	int why = 0;
	char *line = fab_client_line(c, fab_now_ns() + 5 * SECOND, &why);
	assert_non_null(line);
	json_t *o = json_loads(line, 0, NULL);
	assert_non_null(o);
	json_int_t id = json_object_get(o, "missed") ? -num(o, "missed") : num(o, "id");
	json_decref(o);
	return id;
}

static void tail_replays_and_follows(void **state)
{
	(void)state;
	struct fab_client c, fresh;
	char err[512];
	int why = 0;
	assert_int_equal(decide(20, WEFT_V_OVER_RATE, 1), 20);
	wait_written(20);
	assert_int_equal(fab_client_open(&c, config, err, sizeof err), 0);
	assert_int_equal(fab_client_send(&c, "{\"cmd\":\"tail\",\"tail\":5}"), 0);
	for (int i = 16; i <= 20; i++)
		assert_int_equal(next_tail(&c), i);
	assert_int_equal(fab_client_open(&fresh, config, err, sizeof err), 0);
	assert_int_equal(fab_client_send(&fresh, "{\"cmd\":\"tail\"}"), 0);
	assert_null(fab_client_line(&fresh, fab_now_ns() + SECOND / 5, &why)); /* no replay asked for, none given */
	assert_int_equal(why, -ETIMEDOUT);
	assert_int_equal(decide(3, WEFT_V_OVER_RATE, 1), 3);
	for (int i = 21; i <= 23; i++) {
		assert_int_equal(next_tail(&c), i);
		assert_int_equal(next_tail(&fresh), i);
	}
	fab_client_close(&c);
	fab_client_close(&fresh);
}

/* A reader that stands still costs nobody anything, is told how much it missed, and sees everything else in order. */
static void a_slow_reader(void **state)
{
	(void)state;
	struct fab_client c;
	char err[512];
	const json_int_t n = 12000;
	assert_int_equal(fab_client_open(&c, config, err, sizeof err), 0);
	assert_int_equal(fab_client_send(&c, "{\"cmd\":\"tail\"}"), 0);
	usleep(50000);
	assert_int_equal(decide((uint32_t)n, WEFT_V_OVER_RATE, 1), n);
	wait_written(n);
	json_int_t seen = 0, missed = 0, last = 0;
	while (seen + missed < n) {
		json_int_t id = next_tail(&c);
		if (id < 0) {
			missed -= id;
			last -= id;
			continue;
		}
		assert_int_equal(id, last + 1);
		last = id;
		seen++;
	}
	assert_true(missed > 0);
	assert_true(seen > 100);
	fab_client_close(&c);
}

/* --- the log ----------------------------------------------------------------------------------------------------- */

static void log_is_bounded(void **state)
{
	(void)state;
	char path[PATH_MAX];
	struct stat st;
	assert_int_equal(decide(3000, WEFT_V_SEND_DENIED, 1), 3000);
	wait_written(3000);
	uint64_t n = lines_in("decisions.jsonl", 0), n1 = lines_in("decisions.jsonl.1", 0),
		 n2 = lines_in("decisions.jsonl.2", 0);
	/* The newest, without a gap over the files. */
	assert_int_equal(lines_in("decisions.jsonl", 3000 - n + 1), n);
	assert_int_equal(lines_in("decisions.jsonl.1", 3000 - n - n1 + 1), n1);
	assert_int_equal(lines_in("decisions.jsonl.2", 3000 - n - n1 - n2 + 1), n2);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s/run/decisions.jsonl%s", dir, i == 0 ? "" : i == 1 ? ".1" : ".2");
		assert_int_equal(stat(path, &st), 0);
		assert_true(st.st_size <= 65536);
	}
	snprintf(path, sizeof path, "%s/run/decisions.jsonl.3", dir);
	assert_int_equal(access(path, F_OK), -1);
}

static void limit_files(rlim_t bytes)
{
	struct rlimit r;
	getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

/* While the log cannot be written, the ring fills up and stays full, `stats` says why, and nothing is lost. */
static void a_full_disk_holds_the_data_path_back(void **state)
{
	(void)state;
	assert_int_equal(decide(10, WEFT_V_OVER_RATE, 1), 10);
	wait_written(10);
	limit_files(4096); /* in the middle of a line */
	uint64_t deadline = fab_now_ns() + SECOND;
	uint32_t put = 0;
	while (fab_now_ns() < deadline) {
		while (fab_decision_ring_room(ring) && put < 2000) {
			struct fab_decision d = { .id = next_id++, .count = 1, .src = 3, .verdict = WEFT_V_OVER_RATE };
			fab_decision_ring_put(ring, &d);
			put++;
		}
		usleep(1000);
	}
	assert_int_equal(fab_decision_ring_room(ring), 0);
	assert_true(put >= RING && put <= RING + 200);
	json_t *o = ask("{\"cmd\":\"stats\"}"), *d = json_object_get(o, "decisions");
	assert_true(num(d, "log_errors") > 0);
	assert_non_null(json_string_value(json_object_get(d, "log_error")));
	assert_true(num(d, "written") < put);
	json_decref(o);
	uint64_t whole = lines_in("decisions.jsonl", 1);
	assert_true(whole >= 10);
	limit_files(RLIM_INFINITY);
	wait_written(10 + (json_int_t)put);
	o = ask("{\"cmd\":\"stats\"}");
	assert_true(json_is_null(json_object_get(json_object_get(o, "decisions"), "log_error")));
	json_decref(o);
	assert_int_equal(lines_in("decisions.jsonl.1", 1) + lines_in("decisions.jsonl", 0), 10 + put);
}

static void the_end_drains_the_ring(void **state)
{
	(void)state;
	assert_int_equal(decide(100, WEFT_V_OVER_RATE, 1), 100);
	fab_control_finish(control);
	control = NULL;
	assert_int_equal(lines_in("decisions.jsonl", 1), 100);
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/run/control.sock", dir);
	assert_int_equal(access(path, F_OK), -1);
	/* The next boot goes on in the same log; a replay reaches back over the boots. */
	control_open(0x5678);
	next_id = 1;
	assert_int_equal(decide(2, WEFT_V_OVER_RATE, 1), 2);
	wait_written(2);
	assert_int_equal(lines_in("decisions.jsonl", 0), 102);
	struct fab_client c;
	char err[512];
	assert_int_equal(fab_client_open(&c, config, err, sizeof err), 0);
	assert_int_equal(fab_client_send(&c, "{\"cmd\":\"tail\",\"tail\":3}"), 0);
	assert_int_equal(next_tail(&c), 100);
	assert_int_equal(next_tail(&c), 1);
	assert_int_equal(next_tail(&c), 2);
	fab_client_close(&c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(ping),
		T(stats),
		T(foreign_frames_are_counted_by_name),
		T(wrong_requests),
		T(several_requests_at_once),
		T(too_many_clients),
		T(stop_request),
		T(one_per_run_directory),
		T(tail_replays_and_follows),
		T(a_slow_reader),
		T(log_is_bounded),
		T(a_full_disk_holds_the_data_path_back),
		T(the_end_drains_the_ring),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
