/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest below the message API: sends each frame back with its addresses swapped, and answers a few commands, which are
 * frames of their own type. It tests the driver, the clock and the sleep without a fabric. */
#include <string.h>

#include "guest-lib/port.h"
#include "guest-lib/wire.h"
#include "unikernel/apic.h"
#include "unikernel/boot.h"
#include "unikernel/clock.h"
#include "unikernel/console.h"
#include "unikernel/entropy.h"
#include "unikernel/net.h"

#define HEADER 14u
#define COMMAND_TYPE 0x88b5u /* for local experiments: IEEE 802 */

static void reply(struct weft_port *p, const uint8_t *frame, size_t len, const void *body, size_t body_len)
{
	uint8_t *out;

	while (!(out = p->send_buffer(p->ctx, len)))
		if (p->wait(p->ctx, p->now_ns(p->ctx) + 100000000ull) != 0)
			uk_die("the device is gone");
	memcpy(out, frame + 6, 6);
	memcpy(out + 6, frame, 6);
	memcpy(out + 12, frame + 12, len - 12);
	memcpy(out + HEADER, body, body_len);
	p->send(p->ctx, len);
}

/* A chain that points at itself, which no device can take. */
static void break_ring(struct weft_port *p)
{
	static const struct virtq_desc loop = { .addr = 0x1000, .len = 16, .flags = VIRTQ_DESC_F_NEXT, .next = 0 };

	uk_printf("chain: %d\n", uk_net_chain(&loop, 1));
	p->flush(p->ctx);
}

static void command(struct weft_port *p, const uint8_t *frame, size_t len)
{
	struct uk_net_counters c;
	uint64_t word[4] = { 0, 0, 0, 0 };

	switch (frame[HEADER]) {
	case 'c': /* counters and time */
		uk_net_counters(&c);
		word[0] = uk_clock_now_ns();
		word[1] = c.sleeps;
		word[2] = c.frames_received;
		word[3] = c.kicks;
		reply(p, frame, len, word, sizeof(word));
		break;
	case 'r': /* random bytes */
		uk_random(word, sizeof(word));
		reply(p, frame, len, word, sizeof(word));
		break;
	case 'b':
		break_ring(p);
		break;
	case 'q':
		p->close(p->ctx);
		uk_printf("net: ended\n");
		uk_exit(0);
	default:
		uk_die("unknown command");
	}
}

void uk_main(struct uk_boot *b)
{
	static const uint8_t no_seed[UK_SEED_LEN];
	struct weft_port *p;
	const uint8_t *frame;
	size_t len;

	uk_apic_start();
	uk_printf("net: clock from %s\n", uk_clock_start(0));
	uk_printf("net: entropy from %s\n", uk_entropy_start(no_seed));
	p = uk_net_start(b);
	uk_printf("net: ready, %u kHz\n", uk_clock_khz());
	for (;;) { /* until the command to end */
		while ((frame = p->recv(p->ctx, &len)) != NULL) {
			if (len < WEFT_FRAME_MIN)
				continue;
			if ((frame[12] << 8 | frame[13]) == COMMAND_TYPE)
				command(p, frame, len);
			else
				reply(p, frame, len, frame + HEADER, len - HEADER);
		}
		if (p->wait(p->ctx, UINT64_MAX) != 0)
			uk_die("the device is gone");
	}
}
