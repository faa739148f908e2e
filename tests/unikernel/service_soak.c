/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbered, checked messages of mixed sizes from one guest to another; tests/tools/soak.c is the same between processes.
 * Configuration: role send or receive; to (the other one), count, first (sender). A receiver with a `to` says when to
 * begin, by an item without a number, until the first one comes. Each line of output begins with "soak: ". */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/demo/soak.pb-c.h"
#include "tests/tools/soak_item.h"
#include "unikernel/service.h"

#define TYPE "weft.soak.Item"
#define RETRY_NS 500000ull
#define REPORT_EVERY 1000u
#define GO_NS 50000000ull

static struct {
	const char *to;
	uint64_t next, last;                  /* sender: the next number, and the last one to send */
	uint64_t refused, lost;
	uint64_t received, bytes, doubled, missing, reordered, changed; /* receiver */
	uint64_t newest;
	uint32_t window;                      /* the sender's credit when nothing is in flight */
	uint8_t body[SOAK_BODY_MAX], packed[WEFT_PAYLOAD_MAX];
} soak;

static void send_report(struct weft *w)
{
	struct weft_counters c;

	weft_counters(w, &c);
	svc_log("soak: sent last=%llu refused=%llu lost=%llu handshakes=%llu", (unsigned long long)soak.next - 1,
		(unsigned long long)soak.refused, (unsigned long long)soak.lost, (unsigned long long)c.handshakes);
}

static void push(struct weft *w, void *arg)
{
	Weft__Soak__Item item = WEFT__SOAK__ITEM__INIT;
	size_t n;
	int err = 0;

	(void)arg;
	while (soak.next <= soak.last) { /* ends when the window is full */
		item.seq = soak.next;
		item.body.len = soak_body_len(soak.next);
		item.body.data = soak.body;
		soak_body_fill(soak.body, (uint32_t)item.body.len, soak.next);
		item.check = soak_check(soak.next, soak.body, (uint32_t)item.body.len);
		n = weft__soak__item__pack(&item, soak.packed);
		err = weft_send(w, soak.to, TYPE, soak.packed, n, NULL);
		if (err)
			break;
		if (soak.next++ % REPORT_EVERY == 0)
			send_report(w);
	}
	if (err && err != -EAGAIN && err != -ENOENT) {
		svc_log("soak: cannot send: error %d", -err);
		service_exit(1);
	}
	if (soak.next > soak.last && weft_up(w) && weft_credit_left(w, soak.to) == soak.window) {
		send_report(w);
		svc_log("soak: all sent");
		return;
	}
	weft_timer(w, RETRY_NS, push, NULL);
}

static void on_state(struct weft *w, int up, void *arg)
{
	(void)arg;
	if (up && soak.to && !soak.window)
		soak.window = weft_credit_left(w, soak.to);
	svc_log("soak: session %s", up ? "up" : "down");
}

static void on_refusal(struct weft *w, const struct weft_refusal *r, void *arg)
{
	(void)w;
	(void)arg;
	if (r->verdict == WEFT_V_SESSION_LOST) {
		soak.lost++;
		return;
	}
	if (soak.refused++ == 0 && soak.last)
		svc_log("soak: first refusal: %s %s", weft_verdict_name(r->verdict), r->detail);
}

static void receive_report(void)
{
	svc_log("soak: received=%llu newest=%llu bytes=%llu doubled=%llu missing=%llu reordered=%llu changed=%llu",
		(unsigned long long)soak.received, (unsigned long long)soak.newest, (unsigned long long)soak.bytes,
		(unsigned long long)soak.doubled, (unsigned long long)soak.missing, (unsigned long long)soak.reordered,
		(unsigned long long)soak.changed);
}

static void on_item(struct weft *w, const struct weft_message *m, void *arg)
{
	Weft__Soak__Item *item = weft__soak__item__unpack(NULL, m->len, m->payload);
	uint32_t len;

	(void)w;
	(void)arg;
	soak.received++;
	soak.bytes += m->len;
	len = item ? soak_body_len(item->seq) : 0;
	if (item)
		soak_body_fill(soak.body, len, item->seq);
	if (!item || item->body.len != len || item->check != soak_check(item->seq, soak.body, len) ||
	    memcmp(soak.body, item->body.data, len) != 0) {
		soak.changed++;
	} else if (item->seq == soak.newest) {
		soak.doubled++;
	} else if (item->seq < soak.newest) {
		soak.reordered++;
	} else {
		if (soak.newest) /* this instance may be a later one than the sender's */
			soak.missing += item->seq - soak.newest - 1;
		else
			svc_log("soak: first=%llu", (unsigned long long)item->seq);
		soak.newest = item->seq;
	}
	if (item)
		weft__soak__item__free_unpacked(item, NULL);
	if (soak.received % REPORT_EVERY == 0)
		receive_report();
}

/* Receiver. Refused while the sender is not there. */
static void go(struct weft *w, void *arg)
{
	Weft__Soak__Item item = WEFT__SOAK__ITEM__INIT;

	(void)arg;
	if (soak.received)
		return;
	(void)weft_send(w, soak.to, TYPE, soak.packed, weft__soak__item__pack(&item, soak.packed), NULL);
	weft_timer(w, GO_NS, go, NULL);
}

/* Sender. Only the first one counts. */
static void on_go(struct weft *w, const struct weft_message *m, void *arg)
{
	static int going;

	(void)m;
	(void)arg;
	if (!going++)
		push(w, NULL);
}

static uint64_t number(const char *text, uint64_t otherwise)
{
	uint64_t v = 0;

	if (!text)
		return otherwise;
	for (; *text >= '0' && *text <= '9'; text++)
		v = v * 10 + (uint64_t)(*text - '0');
	return v;
}

int service_start(struct weft *w)
{
	const char *role = weft_config(w, "role");

	weft_on_state(w, on_state, NULL);
	weft_on_refusal(w, on_refusal, NULL);
	soak.to = weft_config(w, "to");
	if (!role)
		return -EINVAL;
	if (strcmp(role, "receive") == 0) {
		if (soak.to)
			weft_timer(w, GO_NS, go, NULL);
		return weft_handle(w, TYPE, on_item, NULL);
	}
	if (!soak.to)
		return -EINVAL;
	soak.next = number(weft_config(w, "first"), 1);
	soak.last = soak.next + number(weft_config(w, "count"), 1000) - 1;
	return weft_handle(w, TYPE, on_go, NULL);
}
