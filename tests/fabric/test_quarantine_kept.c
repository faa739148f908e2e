/* SPDX-License-Identifier: BSD-2-Clause */
/* Quarantines that outlive weftd: the file that says so comes and goes with the events, and whatever stands in it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/quarantine_kept.h"
#include "road.h"

struct place {
	struct road *r;
	char dir[64];
	char path[128]; /* of alice's file */
};

static int make(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	snprintf(p->dir, sizeof(p->dir), "/tmp/weft-quarantine-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/alice.quarantine", p->dir);
	p->r = road_make_ready(BUILD_DIR "/tests/road.binpb");
	p->r->config.run_dir = p->dir;
	*state = p;
	return 0;
}

static int unmake(void **state)
{
	struct place *p = *state;

	unlink(p->path);
	rmdir(p->dir);
	road_free(p->r);
	free(p);
	return 0;
}

/* What a weftd that starts now makes of it. */
static struct fab_quarantine after_a_restart(struct place *p, uint16_t port)
{
	struct fab_quarantine q;
	struct fab *f = NULL;
	char err[256];

	assert_int_equal(fab_make(&f, &p->r->config, p->r->epoch, p->r->inspector, p->r->ring, 2), 0);
	assert_int_equal(fab_quarantine_recall(f, err, sizeof(err)), 0);
	fab_quarantine_state(f, port, &q);
	assert_int_equal(q.quarantined, f->port[port].quarantined);
	fab_free(f);
	return q;
}

static void it_is_there_until_it_is_lifted(void **state)
{
	struct place *p = *state;
	struct fab_decision d = {.time_ns = 1767323045678901234u,
				 .src = ALICE,
				 .verdict = WEFT_V_OVER_QUOTA,
				 .rule = 7,
				 .policy_epoch = 9,
				 .event = FAB_EVENT_QUARANTINED};
	struct fab_quarantine q = after_a_restart(p, ALICE);
	struct stat st;

	assert_int_equal(q.quarantined, 0);
	assert_int_equal(fab_quarantine_keep(&p->r->config, &d), 0);
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	q = after_a_restart(p, ALICE);
	assert_int_equal(q.quarantined, 1);
	assert_int_equal(q.since_ns, d.time_ns);
	assert_int_equal(q.verdict, WEFT_V_OVER_QUOTA);
	assert_int_equal(q.rule, 0); /* of another weftd: its number means nothing now */
	assert_int_equal(q.policy_epoch, 0);
	assert_int_equal(after_a_restart(p, BOB).quarantined, 0);
	d.event = FAB_EVENT_LIFTED;
	assert_int_equal(fab_quarantine_keep(&p->r->config, &d), 0);
	assert_int_equal(access(p->path, F_OK), -1);
	assert_int_equal(after_a_restart(p, ALICE).quarantined, 0);
	assert_int_equal(fab_quarantine_keep(&p->r->config, &d), 0); /* again: nothing to do */
}

static void other_events_are_not_its_matter(void **state)
{
	struct place *p = *state;
	struct fab_decision d = {.policy_epoch = 2, .event = FAB_EVENT_EPOCH};

	assert_int_equal(fab_quarantine_keep(&p->r->config, &d), 0);
	d = (struct fab_decision){
	    .src = ALICE, .verdict = WEFT_V_SEND_DENIED, .observed = WEFT_V_QUARANTINED, .event = FAB_EVENT_QUARANTINED};
	assert_int_equal(fab_quarantine_keep(&p->r->config, &d), 0); /* a dry run cuts nobody off */
	d.observed = 0;
	d.src = ROAD_GUESTS + 1;
	assert_int_equal(fab_quarantine_keep(&p->r->config, &d), 0);
	assert_int_equal(rmdir(p->dir), 0); /* empty */
	/* and what cannot be kept is said */
	d.src = ALICE;
	assert_int_equal(fab_quarantine_keep(&p->r->config, &d), -ENOENT);
	assert_int_equal(mkdir(p->dir, 0700), 0);
}

static void anything_in_the_file_counts(void **state)
{
	static const char *const texts[] = {"", "x", "{}", "{\"since_ns\":-5,\"verdict\":3}", "{\"verdict\":\"nonsense\"}", NULL};
	struct place *p = *state;

	for (unsigned i = 0; texts[i] != NULL; i++) {
		struct fab_quarantine q;
		FILE *f = fopen(p->path, "w");

		assert_non_null(f);
		fputs(texts[i], f);
		fclose(f);
		q = after_a_restart(p, ALICE);
		assert_int_equal(q.quarantined, 1);
		assert_int_equal(q.since_ns, 0);
		assert_int_equal(q.verdict, WEFT_V_UNDECIDED);
	}
	unlink(p->path);
	assert_int_equal(mkdir(p->path, 0700), 0);
	assert_int_equal(after_a_restart(p, ALICE).quarantined, 1);
	assert_int_equal(rmdir(p->path), 0);
}

/* Who was cut off by an earlier weftd is let in as anybody. */
static void lifted_by_the_next(void **state)
{
	struct place *p = *state;
	struct road *r = p->r;
	const struct fab_quarantine q = {.quarantined = 1, .verdict = WEFT_V_SEND_DENIED};
	static const uint8_t one[] = {0x08, 0x01};

	fab_quarantine_restore(r->f, ALICE, &q);
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, "road.Item", 0, 0, one, sizeof(one));
	road_turn(r, 0);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_QUARANTINED);
	assert_int_equal(fab_quarantine_lift(r->f, ALICE), 0);
	assert_int_equal(fab_quarantine_take(r->f, r->now_ns), 1);
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, "road.Item", 0, 0, one, sizeof(one));
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].message.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_there_until_it_is_lifted, make, unmake),
		cmocka_unit_test_setup_teardown(other_events_are_not_its_matter, make, unmake),
		cmocka_unit_test_setup_teardown(anything_in_the_file_counts, make, unmake),
		cmocka_unit_test_setup_teardown(lifted_by_the_next, make, unmake),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("quarantine_kept", tests, NULL, NULL);
}
