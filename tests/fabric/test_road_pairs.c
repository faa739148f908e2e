/* SPDX-License-Identifier: BSD-2-Clause */
/* Pairs of unikernels that come and go with the policies, while sessions live. */
#include <errno.h>

#include "road_policy.h"

static const char carol_talks[] = "unikernel: carol\nsend:\n  - to: [alice, bob]\n    message: road.Item\n";
static const char alice_from_carol[] = "unikernel: alice\n"
				       "send:\n"
				       "  - to: bob\n"
				       "    message: road.Item\n"
				       "receive:\n"
				       "  - from: carol\n"
				       "    message: road.Item\n";
static const char bob_from_both[] = "unikernel: bob\nreceive:\n  - from: [alice, carol]\n    message: road.Item\n";

/* Whether the last WELCOME of a guest names a peer, and with which flags; -1: it does not. */
static int welcomed(const struct road_guest *g, uint16_t port)
{
	struct weft_peer_entry e;
	char name[WEFT_NAME_MAX + 1];
	size_t n;

	for (size_t at = 0; at < g->welcome.len; at += n) {
		n = weft_peer_entry_get(&e, name, g->welcome.payload + at, g->welcome.len - at);
		assert_true(n > 0);
		if (e.port == port) {
			assert_string_equal(name, road_names[port - 1]);
			return e.flags;
		}
	}
	return -1;
}

static void a_pair_is_added_live(void **state)
{
	struct road *r = *state;
	unsigned welcomes = r->g[CAROL].welcome.n;

	assert_int_equal(welcomed(&r->g[CAROL], BOB), -1);
	assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), WEFT_V_SEND_DENIED);
	use(r, alice_from_carol, bob_from_both, carol_talks);
	/* in its session, without another handshake */
	assert_int_equal(r->g[CAROL].welcome.n, welcomes + 1);
	assert_int_equal(r->g[CAROL].welcome.hdr.arg, WEFT_WELCOME_LAST);
	assert_int_equal(welcomed(&r->g[CAROL], BOB), WEFT_PEER_SEND);
	assert_int_equal(welcomed(&r->g[CAROL], ALICE), WEFT_PEER_SEND);
	assert_int_equal(welcomed(&r->g[BOB], CAROL), WEFT_PEER_RECEIVE);
	assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(sent(r, CAROL, ALICE, ITEM, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(r->f->port_counters[CAROL].handshakes, 1);
	assert_int_equal(r->f->n_pairs, 6);
	/* gone again: nothing passes, and who was named stays known until its session ends */
	use(r, alice_from_carol, bob_from_both, silent);
	assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), WEFT_V_SEND_DENIED);
	assert_int_equal(welcomed(&r->g[CAROL], BOB), 0);
	fab_port_gone(r->f, &r->f->port[CAROL], r->now_ns);
	r->g[CAROL].id.epoch++;
	memset(&r->g[CAROL].s, 0, sizeof(r->g[CAROL].s));
	road_attach(r, CAROL);
	road_shake(r, CAROL);
	assert_int_equal(r->g[CAROL].welcome.hdr.arg, WEFT_WELCOME_LAST | WEFT_WELCOME_FRESH);
	assert_int_equal(welcomed(&r->g[CAROL], BOB), -1);
	/* and back, in the same memory */
	use(r, alice_from_carol, bob_from_both, carol_talks);
	assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(r->f->n_pairs, 6);
	/* a policy that changes nothing about who may talk tells nobody anything */
	welcomes = r->g[CAROL].welcome.n;
	use(r, alice_from_carol, bob_from_both, carol_talks);
	assert_int_equal(r->g[CAROL].welcome.n, welcomes);
}

/* What waits for a receiver when its pair closes was judged: it comes. */
static void what_waits_when_a_pair_closes(void **state)
{
	static uint8_t msg[60000];
	struct road *r = *state;
	const struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);

	road_large_item(msg, sizeof(msg));
	for (unsigned i = 0; i < 3; i++) {
		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, sizeof(msg));
		road_turn(r, BOB);
	}
	assert_int_equal(fab_queue_n(&pair->queue), 1);
	road_swap(r, road_epoch_of(road_schemas(SET), 8,
				   (const char *const[]){"unikernel: alice\n", "unikernel: bob\n", silent}, NULL));
	assert_int_equal(pair->allowed, 0);
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	road_turn(r, 0);
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].message.n, 3);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_SEND_DENIED);
	assert_int_equal(pair->accepted_total, pair->disposed_total);
	assert_int_equal(r->g[ALICE].disposed, pair->disposed_total);
}

/* Without memory for them the policy does not come into force, and the text says what to write where. */
static void more_pairs_than_there_is_memory_for(void **state)
{
	const char *const more[] = {alice_from_carol, bob_from_both, carol_talks};
	struct road *r = *state;
	struct fab_epoch *e;
	struct fab *small = NULL;
	char err[512];

	r->config.pairs_max = 3; /* two are needed at the start */
	assert_int_equal(fab_make(&small, &r->config, r->epoch, r->inspector, r->ring, 1), 0);
	assert_int_equal(small->pairs_max, 3);
	e = road_epoch_of(road_schemas(SET), 8, more, NULL);
	assert_int_equal(fab_epoch_follow(e, r->epoch, err, sizeof(err)), 0);
	assert_int_equal(fab_epoch_offer(small, e, err, sizeof(err)), -ENOSPC);
	assert_non_null(strstr(err, "4 more pairs"));
	assert_non_null(strstr(err, "memory for 1 more"));
	assert_non_null(strstr(err, "`pairs: 6`"));
	assert_non_null(strstr(err, "limits"));
	assert_int_equal(fab_epoch_take(small, r->now_ns), 0);
	fab_free(small);
	/* with it, it does; never less than the start needs, never more than there can be */
	r->config.pairs_max = 5000;
	assert_int_equal(fab_make(&small, &r->config, r->epoch, r->inspector, r->ring, 1), 0);
	assert_int_equal(small->pairs_max, 6);
	assert_int_equal(fab_epoch_offer(small, e, err, sizeof(err)), 0);
	assert_int_equal(e->n_pair_changes, 5); /* the reply from bob to alice goes */
	assert_int_equal(fab_epoch_withdraw(small), 1);
	fab_free(small);
	fab_epoch_free(e);
	r->config.pairs_max = 1;
	assert_int_equal(fab_make(&small, &r->config, r->epoch, r->inspector, r->ring, 1), 0);
	assert_true(small->pairs_max >= small->n_pairs);
	fab_free(small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ROAD_TEST(a_pair_is_added_live),
	    ROAD_TEST(what_waits_when_a_pair_closes),
	    ROAD_TEST(more_pairs_than_there_is_memory_for),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("road_pairs", tests, NULL, NULL);
}
