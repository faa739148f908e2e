/* SPDX-License-Identifier: BSD-2-Clause */
/* The isolated inspector says of every payload of the captures what the inline one says, to the last byte of its answer: each by
 * itself, and all in a row as messages of conversations, where what came before counts. The captures lie outside the tree;
 * where they are absent this says so and skips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "capture.h"
#include "dpi/isolate.h"

#define SETS 3u
#define AHEAD 256u /* messages that wait for their answers at once */

struct run {
	struct dpi *d;
	struct dpi_isolate *iso;
	struct dpi_set set[SETS];
	struct dpi_result expected[AHEAD];
	uint32_t sent, answered;
	uint32_t field;
	int in_row;
	unsigned long payloads, refused, differ;
};

static void answers_take(struct run *r, uint32_t leave)
{
	struct dpi_isolate_answer a;
	struct timespec nap = { .tv_nsec = 50000 };

	dpi_isolate_flush(r->iso);
	for (unsigned waited = 0; r->sent - r->answered > leave;) {
		if (!dpi_isolate_take(r->iso, 0, &a)) {
			assert_true(++waited < 200000); /* ten seconds */
			nanosleep(&nap, NULL);
			continue;
		}
		waited = 0;
		const struct dpi_result *e = &r->expected[r->answered++ % AHEAD];
		if (memcmp(&a.result, e, sizeof(*e)) == 0)
			continue;
		char inside[DPI_NAME_MAX], apart[DPI_NAME_MAX];
		dpi_finding_text(&e->found, inside);
		dpi_finding_text(&a.result.found, apart);
		if (r->differ++ < 10)
			print_error("payload %u: inline %d \"%s\", isolated %d \"%s\"\n", r->answered - 1, e->found.answer, inside,
				    a.result.found.answer, apart);
	}
}

static void send(void *arg, unsigned l4, const uint8_t *payload, size_t len)
{
	struct run *r = arg;
	struct dpi_message m = { .bytes = payload, .id = 1, .epoch = 1, .src = 1, .dst = 2, .n_spans = 1 };

	(void)l4;
	if (len > DPI_LANE_CONTENT_MAX)
		return;
	if (!r->in_row)
		r->field++;
	else if (r->payloads % 16 == 0) /* some in one conversation, and others beside it */
		r->field = (uint32_t)(r->payloads / 16 % 7);
	m.span[0] = (struct dpi_span){ .set = &r->set[r->payloads % SETS], .field = r->field, .len = (uint32_t)len };
	if (r->payloads % 5 == 0)
		m.span[0].hard = &r->set[(r->payloads + 1) % SETS];
	if (r->sent - r->answered == AHEAD || dpi_isolate_room(r->iso, 0) < DPI_LANE_ITEM_BOUND(len))
		answers_take(r, AHEAD / 2 < r->sent - r->answered ? AHEAD / 2 : 0);
	dpi_message_inspect(r->d, &m, &r->expected[r->sent % AHEAD]);
	r->refused += r->expected[r->sent % AHEAD].found.answer != DPI_CLEAN;
	assert_int_equal(dpi_isolate_submit(r->iso, 0, &m), 0);
	r->sent++;
	r->payloads++;
}

static void compare_all(int in_row)
{
	static const char *const allow[SETS][4] = { { "unknown" }, { "HTTP", "TLS", "DNS", "unknown" }, { "unknown", "doubtful" } };
	static const uint32_t n_allow[SETS] = { 1, 4, 2 };
	struct run *r = calloc(1, sizeof(*r));
	struct dpi_isolate_config config = { .program = BUILD_DIR "/bin/weft-dpi", .lanes = 1 };
	struct dpi_isolate_stats stats;
	struct dpi_err err;

	assert_non_null(r);
	if (!captures_there()) {
		free(r);
		skip();
	}
	r->in_row = in_row;
	for (uint32_t i = 0; i < SETS; i++) {
		const struct dpi_profile p = { .allow = allow[i], .n_allow = n_allow[i] }, *one = &p;
		assert_int_equal(dpi_set_make(&r->set[i], &one, 1, &err), 0);
	}
	assert_int_equal(dpi_open(&r->d, &err), 0);
	if (dpi_isolate_start(&r->iso, &config, &err)) {
		print_error("%s\n", err.text);
		fail();
	}
	assert_true(captures_read(send, r, NULL) > 0);
	answers_take(r, 0);
	dpi_isolate_stats_get(r->iso, 0, &stats);
	print_message("%lu payloads %s, refused %lu, answers that differ %lu\n", r->payloads,
		      in_row ? "in a row" : "each by itself", r->refused, r->differ);
	assert_true(r->payloads > 1000 && r->refused > 100 && r->refused < r->payloads);
	assert_int_equal(r->differ, 0);
	/* Nothing was answered for a worker that died. */
	assert_int_equal(stats.died + stats.hung, 0);
	dpi_isolate_stop(r->iso);
	dpi_close(r->d);
	free(r);
}

static void each_by_itself(void **state)
{
	(void)state;
	compare_all(0);
}

static void in_a_row(void **state)
{
	(void)state;
	compare_all(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_by_itself), cmocka_unit_test(in_a_row) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
