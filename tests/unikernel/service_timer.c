/* SPDX-License-Identifier: BSD-2-Clause */
/* A service that needs no peers: it checks what a service may rely on, ticks ten times and ends. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "unikernel/service.h"

#define TICKS 10u
#define PERIOD_NS 20000000ull

static uint32_t ticks;
static uint64_t started_ns;

static void tick(struct weft *w, void *arg)
{
	uint64_t now = weft_now(w), next;

	(void)arg;
	ticks++;
	if (now < started_ns + ticks * PERIOD_NS)
		svc_log("tick %u came too early", ticks);
	next = started_ns + (ticks + 1) * PERIOD_NS;
	if (ticks < TICKS) {
		weft_timer(w, next > now ? next - now : 0, tick, NULL);
		return;
	}
	svc_log("ticked %u times", ticks);
	weft_stop(w);
}

/* libsodium runs with the vector registers that it picked, and takes its random bytes from the unikernel. */
static int sodium_works(void)
{
	uint8_t key[32] = { 1 }, nonce[12] = { 2 }, text[64] = { 3 }, sealed[64 + 16], opened[64];
	unsigned long long n;

	if (strcmp(randombytes_implementation_name(), "weft-unikernel") != 0)
		svc_log("random bytes come from %s", randombytes_implementation_name());
	if (crypto_aead_aes256gcm_is_available()) {
		crypto_aead_aes256gcm_encrypt(sealed, &n, text, sizeof(text), NULL, 0, NULL, nonce, key);
		if (crypto_aead_aes256gcm_decrypt(opened, &n, NULL, sealed, sizeof(sealed), NULL, 0, nonce, key) != 0)
			return 0;
	}
	crypto_aead_chacha20poly1305_ietf_encrypt(sealed, &n, text, sizeof(text), NULL, 0, NULL, nonce, key);
	return crypto_aead_chacha20poly1305_ietf_decrypt(opened, &n, NULL, sealed, sizeof(sealed), NULL, 0, nonce, key) ==
		       0 &&
	       memcmp(opened, text, sizeof(text)) == 0;
}

int service_start(struct weft *w)
{
	void *p = malloc(100000);
	const char *word = weft_config(w, "word");

	if (!p || !sodium_works())
		return -1;
	memset(p, 1, 100000);
	free(p);
	svc_log("timer: started as %s, word %s, AES %s", weft_name(w), word ? word : "(none)",
		crypto_aead_aes256gcm_is_available() ? "in hardware" : "missing");
	svc_log("a line that\nforges another\x1b[2J");
	started_ns = weft_now(w);
	return weft_timer(w, PERIOD_NS, tick, NULL);
}
