/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of policy on the whole road share: who sends what to whom, and what became of it. Static functions, each
 * program has its own. */
#ifndef TESTS_FABRIC_ROAD_POLICY_H
#define TESTS_FABRIC_ROAD_POLICY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "road_check.h"

#define SET   BUILD_DIR "/tests/road.binpb"
#define ITEM  "road.Item"
#define OTHER "road.Other"
#define ACT   "road.Valve/Act"
#define S     1000000000ull

static const uint8_t one[] = {0x08, 0x01};    /* seq: 1 */
static const uint8_t eleven[] = {0x08, 0x0b}; /* seq: 11 */
static const char http[] = "GET /index.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/7.88.1\r\n\r\n";
static uint8_t reached[WEFT_VERDICT_MAX];

static const char silent[] = "unikernel: carol\n";
static const char hears_all[] = "unikernel: bob\n"
				"receive:\n"
				"  - from: alice\n"
				"    message: [road.Item, road.Other]\n"
				"  - from: alice\n"
				"    method: road.Valve/Act\n";

static inline int make(void **state)
{
	*state = road_make_ready(SET);
	return 0;
}

/* Other policies come into force. */
static inline void use(struct road *r, const char *alice, const char *bob, const char *carol)
{
	const char *const policies[] = {alice, bob, carol};

	road_swap(r, road_epoch_of(road_schemas(SET), r->epoch->number + 1, policies, NULL));
	road_turn(r, 0);
}

/* What became of a message: its verdict; where it passed it came to `to` as it was. */
static inline uint16_t sent(struct road *r, unsigned who, uint16_t to, const char *type, const void *payload, size_t len)
{
	unsigned had = r->g[to].message.n, refusals = r->g[who].verdict.n;
	uint32_t id = road_send(&r->g[who], WEFT_KIND_ONEWAY, to, type, 0, 0, payload, len);

	road_turn(r, 0);
	if (r->g[who].verdict.n == refusals) {
		assert_int_equal(r->g[to].message.n, had + 1);
		assert_int_equal(r->g[to].message.hdr.peer, who);
		assert_int_equal(r->g[to].message.hdr.id, id);
		assert_memory_equal(r->g[to].message.payload, payload, len);
		return WEFT_V_PASSED;
	}
	assert_int_equal(r->g[who].verdict.n, refusals + 1);
	assert_int_equal(r->g[to].message.n, had);
	assert_int_equal(r->g[who].verdict.hdr.id, id);
	assert_int_equal(r->last.message_id, id);
	assert_int_equal(r->last.verdict, r->g[who].verdict.hdr.ref);
	assert_int_equal(r->last.rule, r->g[who].verdict.hdr.arg);
	reached[r->g[who].verdict.hdr.ref] = 1;
	return (uint16_t)r->g[who].verdict.hdr.ref;
}

static inline uint16_t item(struct road *r, const void *payload, size_t len)
{
	return sent(r, ALICE, BOB, ITEM, payload, len);
}

static inline uint32_t ask(struct road *r)
{
	uint32_t id = road_send(&r->g[ALICE], WEFT_KIND_REQUEST, BOB, ACT, 0, 60000, one, sizeof(one));

	road_turn(r, 0);
	return id;
}

static inline size_t with_http(uint8_t msg[128])
{
	const size_t n = sizeof(http) - 1;

	memcpy(msg, (const uint8_t[]){0x08, 0x01, 0x22, (uint8_t)n}, 4);
	memcpy(msg + 4, http, n);
	return 4 + n;
}

static inline const struct pol_rule_info *rule_of(const struct road *r)
{
	const struct pol_rule_info *info = pol_rule(r->policy, r->last.rule);

	assert_non_null(info);
	return info;
}

#define ROAD_TEST(fn) cmocka_unit_test_setup_teardown(fn, make, road_unmake)

#endif
