/* SPDX-License-Identifier: BSD-2-Clause */
/* The deliver stage with whole bursts: what is sealed straight into a receiver's ring and what waits instead, whatever the ring
 * holds, comes whole and in order; and frames are to the byte what they would be one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "road.h"

#define FRAME_MAX 70000u

/* What came to a guest, beside road.h's own count. */
struct inbox {
	uint32_t last[ROAD_GUESTS + 1]; /* id of the last message, by sender */
	uint32_t n, empty, buffers;     /* messages; chains that came back empty; chains of the last frame */
	uint8_t kind[256];              /* of the first records that came */
	uint32_t records;
};

static struct inbox inbox[ROAD_GUESTS + 1];
static uint32_t next_id;

static int make(void **state)
{
	memset(inbox, 0, sizeof(inbox));
	next_id = 1;
	*state = road_make_ready(BUILD_DIR "/tests/road.binpb");
	return 0;
}

static int unmake(void **state)
{
	road_free(*state);
	return 0;
}

static uint8_t pattern(uint32_t id, uint32_t at)
{
	return (uint8_t)(id * 31u + at * 7u + (at >> 8));
}

static struct fab_pair *pair_of(struct road *r, uint16_t src, uint16_t dst)
{
	struct fab_pair *pair = fab_pair_find(r->f, src, dst);

	return pair != NULL ? pair : fab_pair_add(r->f, src, dst);
}

/* One message of a burst of alice's, as it is after decide. */
struct item {
	uint16_t dst;
	uint32_t payload; /* bytes */
	uint16_t verdict; /* 0: passed */
};

static void deliver(struct road *r, const struct item *item, uint32_t n)
{
	struct fab_burst *b = r->f->burst;

	fab_burst_begin(r->f, b, &r->f->port[ALICE], r->now_ns);
	for (uint32_t i = 0; i < n; i++) {
		struct fab_msg *m = &b->msg[b->n++];

		memset(m, 0, sizeof(*m));
		m->src = ALICE;
		m->dst = item[i].dst;
		m->verdict = item[i].verdict != 0 ? item[i].verdict : (uint16_t)WEFT_V_PASSED;
		m->opened = 1;
		m->pair = pair_of(r, m->src, m->dst);
		m->len = WEFT_MESSAGE_HDR_LEN + item[i].payload;
		m->hdr = (struct weft_message_hdr){.kind = WEFT_KIND_ONEWAY, .peer = m->dst, .id = next_id++, .subject = 42};
		m->data = fab_burst_alloc(r->f, b, m->len);
		assert_non_null(m->data);
		weft_message_hdr_put(m->data, &m->hdr);
		for (uint32_t k = 0; k < item[i].payload; k++)
			m->data[WEFT_MESSAGE_HDR_LEN + k] = pattern(m->hdr.id, k);
		if (m->verdict == WEFT_V_PASSED) {
			m->pair->accepted_total += weft_cost(item[i].payload);
			m->costed = 1;
		} else {
			m->done = 1;
		}
	}
	stage_deliver(r->f, b);
}

static void deliver_many(struct road *r, uint16_t dst, uint32_t n, uint32_t payload)
{
	struct item item[FAB_BURST_MAX];

	for (uint32_t i = 0; i < n; i++)
		item[i] = (struct item){.dst = dst, .payload = payload};
	deliver(r, item, n);
}

static void came(struct road *r, unsigned who, const uint8_t *rec, size_t len)
{
	static uint8_t plain[WEFT_RECORD_MAX];
	struct inbox *in = &inbox[who];
	struct weft_message_hdr m;
	size_t n = len - WEFT_RECORD_HDR_LEN - WEFT_TAG_LEN;

	assert_int_equal(weft_session_open(&r->g[who].s, plain, rec, len), 0);
	assert_true(weft_message_hdr_get(&m, plain, n, 0) > 0);
	assert_true(in->records < sizeof(in->kind));
	in->kind[in->records++] = m.kind;
	if (m.kind != WEFT_KIND_ONEWAY)
		return;
	assert_true(m.peer >= ALICE && m.peer <= ROAD_GUESTS);
	assert_true(m.id > in->last[m.peer]); /* in order, once */
	assert_true(m.subject == 42);
	in->last[m.peer] = m.id;
	in->n++;
	for (uint32_t k = 0; k < n - WEFT_MESSAGE_HDR_LEN; k++)
		assert_int_equal(plain[WEFT_MESSAGE_HDR_LEN + k], pattern(m.id, k));
}

/* Takes one frame, or chains that came back empty before it. 0: there is nothing more. */
static int take_frame(struct road *r, unsigned who)
{
	static uint8_t frame[FRAME_MAX];
	struct road_guest *g = &r->g[who];
	struct virtq_net_hdr vh = {0};
	uint8_t expected[WEFT_FRAME_HDR_LEN];
	uint32_t cookie, len, at = 0, chains = 0;
	size_t record_len;

	do {
		int got = virtq_get(&g->rx, &cookie, &len);

		assert_true(got >= 0);
		if (got == 0) {
			assert_int_equal(chains, 0);
			return 0;
		}
		struct virtq_buf b = {g->rx_buf + cookie * ROAD_RX_BUF, ROAD_RX_BUF};

		if (len == 0) {
			assert_int_equal(chains, 0);
			inbox[who].empty++;
			virtq_add(&g->rx, &b, 0, 1, cookie);
			continue;
		}
		memcpy(frame + at, b.va, len);
		if (at == 0)
			memcpy(&vh, frame, sizeof(vh));
		at += len;
		chains++;
		virtq_add(&g->rx, &b, 0, 1, cookie);
	} while (chains < vh.num_buffers || chains == 0);
	inbox[who].buffers = chains;
	vh.num_buffers = 0;
	assert_memory_equal(&vh, &(struct virtq_net_hdr){0}, sizeof(vh));
	assert_int_equal(weft_frame_classify(frame + sizeof(vh), at - sizeof(vh), 0, g->port, &record_len), WEFT_FRAME_RECORD);
	weft_frame_hdr_put(expected, WEFT_FABRIC_PORT, g->port, record_len);
	assert_memory_equal(frame + sizeof(vh), expected, sizeof(expected));
	assert_int_equal(at, sizeof(vh) + WEFT_FRAME_HDR_LEN + record_len);
	came(r, who, frame + sizeof(vh) + WEFT_FRAME_HDR_LEN, record_len);
	return 1;
}

static void take_all(struct road *r, unsigned who)
{
	fab_port_publish(&r->f->port[who]);
	while (take_frame(r, who))
		continue;
	virtq_publish(&r->g[who].rx);
}

/* Reads, and lets what waited come, until nothing does. */
static void drain(struct road *r, unsigned who)
{
	do {
		take_all(r, who);
	} while (fab_port_pump(r->f, &r->f->port[who]) > 0);
	take_all(r, who);
}

static uint32_t queued(struct road *r, uint16_t src, uint16_t dst)
{
	return fab_queue_n(&pair_of(r, src, dst)->queue);
}

/* The i-th receive chain from now on. */
static struct virtq_desc *chain(struct road *r, unsigned who, uint32_t i)
{
	struct road_guest *g = &r->g[who];

	return &g->rx.desc[g->rx.avail->ring[(uint16_t)(r->f->port[who].rx.next_avail + i) % ROAD_RING]];
}

static void a_burst_goes_straight_in(void **state)
{
	struct road *r = *state;
	const struct fab_port_counters *c = r->f->port[BOB].c;
	const struct fab_pair *pair = pair_of(r, ALICE, BOB);
	struct item item[FAB_BURST_MAX];
	uint64_t bytes = 0;
	uint32_t cost = 0, disposed = pair->disposed_total;

	for (uint32_t i = 0; i < FAB_BURST_MAX; i++) {
		item[i] = (struct item){.dst = BOB, .payload = i * 57u};
		bytes += item[i].payload;
		cost += weft_cost(item[i].payload);
	}
	deliver(r, item, FAB_BURST_MAX);
	assert_int_equal(queued(r, ALICE, BOB), 0);
	assert_int_equal(c->messages_delivered, FAB_BURST_MAX);
	assert_int_equal(c->bytes_delivered, bytes);
	assert_int_equal(pair->disposed_total - disposed, cost);
	take_all(r, BOB);
	assert_int_equal(inbox[BOB].n, FAB_BURST_MAX);
	assert_int_equal(inbox[BOB].last[ALICE], FAB_BURST_MAX);
}

/* Headers are made by difference: for each length they are those that the guests' library makes (take_frame). */
static void every_length_has_its_headers(void **state)
{
	struct road *r = *state;
	struct item item[FAB_BURST_MAX];
	uint32_t n = 0, all = 0;

	for (uint32_t payload = 0; payload < 1900; payload++) {
		item[n++] = (struct item){.dst = BOB, .payload = payload};
		if (n < FAB_BURST_MAX && payload + 1 < 1900)
			continue;
		deliver(r, item, n);
		take_all(r, BOB);
		inbox[BOB].records = 0;
		all += n;
		n = 0;
	}
	assert_int_equal(inbox[BOB].n, all);
	/* and the largest, in one piece: the buffers behind it are its own */
	chain(r, BOB, 0)->len = FRAME_MAX;
	chain(r, BOB, 0)->addr = (uint64_t)(uintptr_t)r->g[BOB].rx_buf - r->g[BOB].rx.base;
	deliver_many(r, BOB, 1, WEFT_PAYLOAD_MAX);
	fab_port_publish(&r->f->port[BOB]);
	assert_int_equal(r->g[BOB].rx.used->ring[(uint16_t)(r->g[BOB].rx.used->idx - 1u) % ROAD_RING].len,
			 sizeof(struct virtq_net_hdr) + WEFT_FRAME_HDR_LEN + WEFT_RECORD_MAX);
	size_t record_len;
	const uint8_t *frame = r->g[BOB].rx_buf + sizeof(struct virtq_net_hdr);

	assert_int_equal(weft_frame_classify(frame, WEFT_FRAME_MAX, 0, BOB, &record_len), WEFT_FRAME_RECORD);
	came(r, BOB, frame + WEFT_FRAME_HDR_LEN, record_len);
	assert_int_equal(inbox[BOB].n, all + 1);
}

static void fewer_buffers_than_messages(void **state)
{
	struct road *r = *state;

	for (uint32_t i = 0; i < 3; i++)
		deliver_many(r, BOB, FAB_BURST_MAX, 256);
	assert_int_equal(r->f->port[BOB].c->messages_delivered, ROAD_RING);
	assert_int_equal(queued(r, ALICE, BOB), 3 * FAB_BURST_MAX - ROAD_RING);
	drain(r, BOB);
	assert_int_equal(inbox[BOB].n, 3 * FAB_BURST_MAX);
	assert_int_equal(inbox[BOB].empty, 0);
	/* one more than there are, within a burst */
	deliver_many(r, BOB, FAB_BURST_MAX, 256);
	deliver_many(r, BOB, FAB_BURST_MAX - 1, 256);
	deliver_many(r, BOB, 2, 256);
	assert_int_equal(queued(r, ALICE, BOB), 1);
	/* and what comes behind one that waits, waits too, though there is room again */
	take_all(r, BOB);
	deliver_many(r, BOB, 5, 256);
	assert_int_equal(queued(r, ALICE, BOB), 6);
	drain(r, BOB);
	assert_int_equal(inbox[BOB].n, 5 * FAB_BURST_MAX + 6);
}

/* Makes the i-th receive chain no use. */
enum spoil { NOT_WRITABLE, NO_SUCH_ADDRESS, BEYOND_THE_END, INDIRECT, EMPTY, LOOP, TOO_SMALL, SPOILS };

static void spoil(struct road *r, unsigned who, uint32_t i, enum spoil how)
{
	struct virtq_desc *d = chain(r, who, i);

	switch (how) {
	case NOT_WRITABLE:
		d->flags = 0;
		break;
	case NO_SUCH_ADDRESS:
		d->addr = 0x10;
		break;
	case BEYOND_THE_END:
		d->addr = ROAD_BASE + r->g[who].mem_size - ROAD_RX_BUF + 1;
		break;
	case INDIRECT:
		d->flags |= VIRTQ_DESC_F_INDIRECT;
		break;
	case EMPTY:
		d->len = 0;
		break;
	case LOOP:
		d->flags |= VIRTQ_DESC_F_NEXT;
		d->next = (uint16_t)(d - r->g[who].rx.desc);
		break;
	case TOO_SMALL: /* without MRG_RXBUF */
		d->len = 100;
		break;
	default:
		fail();
	}
}

static void broken_chains_within_a_run(void **state)
{
	struct road *r = *state;
	struct fab_port *bob = &r->f->port[BOB];
	uint32_t expected = 0;

	for (enum spoil how = 0; how < SPOILS; how++) {
		uint32_t bad = bob->rx_bad_chain + bob->rx_bad_address, at = (uint32_t)how * 5u;

		bob->mrg_rxbuf = how != TOO_SMALL;
		spoil(r, BOB, at, how);
		deliver_many(r, BOB, FAB_BURST_MAX, 256);
		/* what was sealed before it is there; what comes behind waits; nothing is lost or overtaken */
		assert_int_equal(queued(r, ALICE, BOB), FAB_BURST_MAX - at);
		assert_int_equal(bob->rx_bad_chain + bob->rx_bad_address, bad + 1);
		expected += FAB_BURST_MAX;
		drain(r, BOB);
		assert_int_equal(inbox[BOB].n, expected);
		assert_int_equal(inbox[BOB].empty, how + 1);
		inbox[BOB].records = 0;
	}
	assert_int_equal(bob->rx_bad_address, 2);
}

static void a_head_beyond_the_ring(void **state)
{
	struct road *r = *state;
	struct road_guest *g = &r->g[BOB];

	g->rx.avail->ring[(uint16_t)(r->f->port[BOB].rx.next_avail + 7u) % ROAD_RING] = ROAD_RING;
	deliver_many(r, BOB, FAB_BURST_MAX, 256);
	assert_int_equal(r->f->port[BOB].rx.broken, 1);
	assert_int_equal(queued(r, ALICE, BOB), FAB_BURST_MAX - 7);
	take_all(r, BOB);
	assert_int_equal(inbox[BOB].n, 7);
	assert_int_equal(fab_port_pump(r->f, &r->f->port[BOB]), 0);
	deliver_many(r, BOB, 1, 256);
	assert_int_equal(queued(r, ALICE, BOB), FAB_BURST_MAX - 6);
}

static void an_index_that_runs_away(void **state)
{
	struct road *r = *state;

	r->f->port[BOB].rx.seen_avail = r->f->port[BOB].rx.next_avail;
	r->g[BOB].rx.avail->idx = (uint16_t)(r->f->port[BOB].rx.next_avail + ROAD_RING + 1u);
	deliver_many(r, BOB, 3, 256);
	assert_int_equal(r->f->port[BOB].rx.broken, 1);
	assert_int_equal(queued(r, ALICE, BOB), 3);
	take_all(r, BOB);
	assert_int_equal(inbox[BOB].n, 0);
}

/* It was found broken when nothing but the fabric's own records was for it: nothing waits there that would make messages wait. */
static void a_ring_that_was_broken_before(void **state)
{
	static const int32_t off[] = {ROAD_RING + 1, -1};

	for (uint32_t i = 0; i < 2; i++) {
		struct road *r = *state;
		struct fab_port *bob = &r->f->port[BOB];

		bob->rx.broken = 0;
		bob->rx.seen_avail = bob->rx.next_avail;
		r->g[BOB].rx.avail->idx = (uint16_t)(bob->rx.next_avail + off[i]);
		bob->reset_waits = 1;
		assert_int_equal(fab_port_pump(r->f, bob), 0);
		assert_int_equal(bob->rx.broken, 1);
		deliver_many(r, BOB, 3, 256);
		assert_int_equal(queued(r, ALICE, BOB), 3);
		assert_int_equal(bob->rx.next_used, bob->rx.published);
		fab_doom_waiting(r->f, bob, r->now_ns);
		assert_int_equal(queued(r, ALICE, BOB), 0);
	}
}

/* Small ones among large ones: a frame lies in as many as it needs. */
static void mergeable_buffers(void **state)
{
	struct road *r = *state;

	for (uint32_t i = 9; i < 20; i++)
		chain(r, BOB, i)->len = 100;
	deliver_many(r, BOB, 12, 600);
	assert_int_equal(queued(r, ALICE, BOB), 0);
	/* nine alone, then one in 600 + 110 bytes of 8 pieces, one in three small ones and a large one */
	assert_int_equal(r->f->port[BOB].rx.next_avail,
			 (uint16_t)(r->g[BOB].rx.avail->idx - ROAD_RING + 9 + 8 + 4 + 1));
	take_all(r, BOB);
	assert_int_equal(inbox[BOB].n, 12);
	assert_int_equal(inbox[BOB].empty, 0);
	deliver_many(r, BOB, 1, 6000);
	take_all(r, BOB);
	assert_int_equal(inbox[BOB].buffers, 3);
	assert_int_equal(inbox[BOB].n, 13);
}

/* Chains of two descriptors, and a buffer across two regions of memory. */
static void scattered_buffers(void **state)
{
	struct road *r = *state;
	struct fab_port *p = &r->f->port[BOB];
	struct road_guest *g = &r->g[BOB];
	struct virtq_desc *d = chain(r, BOB, 4), *spare = chain(r, BOB, ROAD_RING - 1);
	uint64_t cut;

	p->mrg_rxbuf = 0;
	/* the header apart, as old drivers had it, in memory that the buffer does not use */
	spare->addr = d->addr + 100;
	spare->len = d->len - 100;
	d->len = 12;
	d->flags |= VIRTQ_DESC_F_NEXT;
	d->next = (uint16_t)(spare - g->rx.desc);
	deliver_many(r, BOB, 8, 256);
	assert_int_equal(queued(r, ALICE, BOB), 0);
	fab_port_publish(p);
	for (uint32_t i = 0; i < 8; i++) {
		if (i == 4) { /* as one piece again */
			uint8_t *at = g->rx_buf + (size_t)(d - g->rx.desc) * ROAD_RX_BUF;

			assert_true(d->addr == virtq_gpa(&g->rx, at));
			memmove(at + 12, at + 100, 1000);
		}
		assert_int_equal(take_frame(r, BOB), 1);
	}
	virtq_publish(&g->rx);
	assert_int_equal(inbox[BOB].n, 8);

	take_all(r, BOB);
	d = chain(r, BOB, 3);
	cut = d->addr + 64;
	p->mem = (struct fab_mem){.n = 2,
				  .region = {{ROAD_BASE, cut - ROAD_BASE, g->mem},
					     {cut, g->mem_size - (cut - ROAD_BASE), g->mem + (cut - ROAD_BASE)}}};
	deliver_many(r, BOB, 8, 256);
	assert_int_equal(queued(r, ALICE, BOB), 0);
	take_all(r, BOB);
	assert_int_equal(inbox[BOB].n, 16);
}

static void receivers_in_turns(void **state)
{
	struct road *r = *state;
	struct item item[FAB_BURST_MAX];
	uint32_t bob = 0, carol = 0;

	for (uint32_t i = 0; i < FAB_BURST_MAX; i++) {
		item[i] = (struct item){.dst = i % 3 == 0 ? CAROL : BOB, .payload = 8 * i};
		if (i % 7 == 6)
			item[i].verdict = WEFT_V_SEND_DENIED;
		else if (item[i].dst == BOB)
			bob++;
		else
			carol++;
	}
	deliver(r, item, FAB_BURST_MAX);
	take_all(r, BOB);
	take_all(r, CAROL);
	assert_int_equal(inbox[BOB].n, bob);
	assert_int_equal(inbox[CAROL].n, carol);
	/* one that cannot take any more costs the other nothing */
	deliver_many(r, CAROL, FAB_BURST_MAX, 8);
	deliver_many(r, CAROL, FAB_BURST_MAX - 4, 8);
	deliver(r, item, FAB_BURST_MAX);
	assert_int_equal(queued(r, ALICE, BOB), 0);
	assert_int_equal(queued(r, ALICE, CAROL), carol - 4);
	take_all(r, BOB);
	assert_int_equal(inbox[BOB].n, 2 * bob);
	drain(r, CAROL);
	assert_int_equal(inbox[CAROL].n, 2 * carol + 2 * FAB_BURST_MAX - 4);
}

static void a_session_spent_within_a_run(void **state)
{
	struct road *r = *state;
	struct weft_session *s = &r->f->port[BOB].live.s;

	s->send_counter = WEFT_SPENT_RECORDS - 10;
	deliver_many(r, BOB, FAB_BURST_MAX, 256);
	assert_int_equal(s->send_counter, WEFT_SPENT_RECORDS);
	assert_int_equal(queued(r, ALICE, BOB), FAB_BURST_MAX - 10);
	take_all(r, BOB);
	assert_int_equal(inbox[BOB].n, 10);
	/* nothing more is sealed in it, however long they wait */
	assert_int_equal(fab_port_pump(r->f, &r->f->port[BOB]), 0);
	deliver_many(r, BOB, 1, 256);
	assert_int_equal(queued(r, ALICE, BOB), FAB_BURST_MAX - 9);
	assert_int_equal(s->send_counter, WEFT_SPENT_RECORDS);
}

static void what_is_owed_goes_first(void **state)
{
	struct road *r = *state;
	const struct fab_notice notice = {.peer = ALICE, .id = 77, .subject = 1, .verdict = WEFT_V_SEND_DENIED};

	fab_notice_put(&r->f->port[BOB], &notice);
	deliver_many(r, BOB, FAB_BURST_MAX, 256);
	assert_int_equal(queued(r, ALICE, BOB), FAB_BURST_MAX);
	drain(r, BOB);
	assert_int_equal(inbox[BOB].n, FAB_BURST_MAX);
	assert_int_equal(inbox[BOB].kind[0], WEFT_KIND_VERDICT);
	assert_int_equal(inbox[BOB].kind[1], WEFT_KIND_ONEWAY);
}

static void a_receiver_that_is_not_there(void **state)
{
	struct road *r = *state;
	uint64_t before = r->f->port[BOB].c->messages_delivered;

	fab_port_pause(r->f, &r->f->port[BOB]);
	deliver_many(r, BOB, 5, 256);
	assert_int_equal(queued(r, ALICE, BOB), 5);
	assert_int_equal(r->f->port[BOB].c->messages_delivered, before);
}

#define DELIVER_TEST(fn) cmocka_unit_test_setup_teardown(fn, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DELIVER_TEST(a_burst_goes_straight_in),
		DELIVER_TEST(every_length_has_its_headers),
		DELIVER_TEST(fewer_buffers_than_messages),
		DELIVER_TEST(broken_chains_within_a_run),
		DELIVER_TEST(a_head_beyond_the_ring),
		DELIVER_TEST(an_index_that_runs_away),
		DELIVER_TEST(a_ring_that_was_broken_before),
		DELIVER_TEST(mergeable_buffers),
		DELIVER_TEST(scattered_buffers),
		DELIVER_TEST(receivers_in_turns),
		DELIVER_TEST(a_session_spent_within_a_run),
		DELIVER_TEST(what_is_owed_goes_first),
		DELIVER_TEST(a_receiver_that_is_not_there),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("deliver", tests, NULL, NULL);
}
