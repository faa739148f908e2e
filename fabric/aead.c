/* SPDX-License-Identifier: BSD-2-Clause */
/* The fabric's bulk AEAD; what it promises is in aead.h.
 *
 * Opening. The guest may rewrite a record while we read it, so decryption and authentication must see the same bytes.
 * ipsec-mb does not promise that: it has five AES-GCM kernels and picks one at run time. Those of version 1.3, as
 * disassembled, load each whole block once (the AVX2 one recovers the ciphertext from a register by a second XOR),
 * but a partial last block is read with loads that overlap what was read before; and libsodium's functions run
 * over the ciphertext twice, by design. So the ciphertext is copied into `out` first, each byte once, and decrypted
 * there in place. What that costs is mostly what follows a store that is narrower than the load after it; so where the
 * kernel's loads are 64 bytes wide, the copy's stores are too, at the same places. Then it is 3 of 43 ns for a record of
 * 280 bytes, 5 of 134 for one of 1,424 (memcpy: 9 and 11).
 *
 * Sealing goes straight into guest memory. ipsec-mb's kernels do not read their output back; libsodium's do, for the
 * tag. A guest that changes it in between gives itself a record that does not open, and learns nothing: whoever owns
 * that memory holds the key of this session. */
#include "fabric/aead.h"

#include <errno.h>
#include <immintrin.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <sodium.h>

#include "guest-lib/bytes.h"

#define KEY_LEN	  32u
#define NONCE_LEN 12u
#define NONCE_SPACE 16u

_Static_assert(sizeof(struct gcm_key_data) <= FAB_AEAD_KEY_SPACE, "ipsec-mb's expanded key");
_Static_assert(sizeof(crypto_aead_aes256gcm_state) <= FAB_AEAD_KEY_SPACE, "libsodium's expanded key");
_Static_assert(sizeof(struct fab_aead_key) == 1024, "what a key is stands in the last line of it, which is always read");
_Static_assert(_Alignof(crypto_aead_aes256gcm_state) <= 64, "libsodium's expanded key");

/* Written once, under pthread_once, and read-only from then on. The manager is used as a table of functions only,
 * so threads may share it. */
static struct {
	int started;	/* libsodium is ready */
	int sodium_gcm; /* libsodium can do AES-256-GCM on this CPU */
	IMB_MGR *mb;	/* NULL: ipsec-mb cannot run here */
	int wide;	/* its kernel loads 64 bytes at once */
	char text[64];
} backend;
static pthread_once_t backend_once = PTHREAD_ONCE_INIT;

/* With four bytes more than it has, and in one store: it is loaded in one, and would have to wait for several. */
static inline void nonce_put(uint8_t nonce[NONCE_SPACE], uint8_t suite, uint64_t counter)
{
	uint64_t c = suite == WEFT_SUITE_AESGCM ? __builtin_bswap64(counter) : counter;

	_mm_storeu_si128((__m128i *)(void *)nonce, _mm_set_epi64x((long long)(c >> 32), (long long)(c << 32)));
}

/* ipsec-mb does not align what it declares; the key's space is aligned and large enough for either. */
static const struct gcm_key_data *mb_key(const struct fab_aead_key *k)
{
	return (const struct gcm_key_data *)(const void *)k->space;
}

static const crypto_aead_aes256gcm_state *sodium_key(const struct fab_aead_key *k)
{
	return (const crypto_aead_aes256gcm_state *)(const void *)k->space;
}

/* Two implementations that disagree would cut off every guest: use the second only if it says what the first does. */
static int mb_agrees(IMB_MGR *mb)
{
	static const uint8_t ad[WEFT_RECORD_HDR_LEN] = {1, 3, 1};
	uint8_t raw[KEY_LEN], text[333], want[sizeof(text)], got[sizeof(text)], want_tag[WEFT_TAG_LEN];
	uint8_t got_tag[WEFT_TAG_LEN], nonce[NONCE_SPACE];
	struct fab_aead_key k;
	struct gcm_context_data ctx;

	for (size_t i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t)(i * 7 + 1);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 13 + 5);
	nonce_put(nonce, WEFT_SUITE_AESGCM, 0x0102030405060708ull);
	if (crypto_aead_aes256gcm_encrypt_detached(want, want_tag, NULL, text, sizeof(text), ad, sizeof(ad), NULL,
						   nonce, raw))
		return 0;
	IMB_AES256_GCM_PRE(mb, raw, (struct gcm_key_data *)(void *)k.space);
	IMB_AES256_GCM_ENC(mb, mb_key(&k), &ctx, got, text, sizeof(text), nonce, ad, sizeof(ad), got_tag,
			   sizeof(got_tag));
	return memcmp(got, want, sizeof(want)) == 0 && memcmp(got_tag, want_tag, sizeof(want_tag)) == 0;
}

static void backend_make(void)
{
	static const char *const arch_names[IMB_ARCH_NUM] = {"none", "no aes", "sse", "avx", "avx2", "avx512"};
	const uint64_t need = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
	IMB_ARCH arch = IMB_ARCH_NONE;
	IMB_MGR *mb;

	snprintf(backend.text, sizeof(backend.text), "none");
	if (sodium_init() < 0)
		return;
	backend.started = 1;
	backend.sodium_gcm = crypto_aead_aes256gcm_is_available() == 1;
	if (!backend.sodium_gcm)
		return; /* no AES-NI or no PCLMUL: a table-driven AES would leak its key through the cache */
	snprintf(backend.text, sizeof(backend.text), "libsodium %s", sodium_version_string());
	mb = alloc_mb_mgr(0);
	if (!mb)
		return;
	init_mb_mgr_auto(mb, &arch);
	if ((mb->features & need) != need || arch <= IMB_ARCH_NOAESNI || arch >= IMB_ARCH_NUM || !mb_agrees(mb)) {
		free_mb_mgr(mb);
		return;
	}
	backend.mb = mb;
	backend.wide = arch == IMB_ARCH_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
	snprintf(backend.text, sizeof(backend.text), "ipsec-mb %s (%s%s)", imb_get_version_str(), arch_names[arch],
		 arch == IMB_ARCH_AVX512 && (mb->features & IMB_FEATURE_VAES) ? ", vaes" : "");
}

int fab_aead_start(void)
{
	return pthread_once(&backend_once, backend_make) == 0 && backend.started ? 0 : -ENOTSUP;
}

const char *fab_aead_backend(void)
{
	return fab_aead_start() == 0 ? backend.text : "none";
}

int fab_aead_key_set_on(struct fab_aead_key *k, uint8_t suite, const uint8_t raw[KEY_LEN],
			enum fab_aead_backend_id which)
{
	fab_aead_key_wipe(k);
	if (fab_aead_start())
		return -1;
	if (suite == WEFT_SUITE_CHACHAPOLY) {
		if (which == FAB_AEAD_IPSEC_MB)
			return -1;
		memcpy(k->space, raw, KEY_LEN);
		k->backend = FAB_AEAD_SODIUM;
	} else if (suite == WEFT_SUITE_AESGCM && backend.mb && which != FAB_AEAD_SODIUM) {
		IMB_AES256_GCM_PRE(backend.mb, raw, (struct gcm_key_data *)(void *)k->space);
		k->backend = FAB_AEAD_IPSEC_MB;
	} else if (suite == WEFT_SUITE_AESGCM && backend.sodium_gcm && which != FAB_AEAD_IPSEC_MB) {
		crypto_aead_aes256gcm_beforenm((crypto_aead_aes256gcm_state *)(void *)k->space, raw);
		k->backend = FAB_AEAD_SODIUM;
	} else {
		return -1;
	}
	k->suite = suite;
	return 0;
}

int fab_aead_key_set(struct fab_aead_key *k, uint8_t suite, const uint8_t raw[KEY_LEN])
{
	return fab_aead_key_set_on(k, suite, raw, FAB_AEAD_AUTO);
}

void fab_aead_key_wipe(struct fab_aead_key *k)
{
	sodium_memzero(k, sizeof(*k));
}

/* Guest memory into private memory, each byte read once. */
__attribute__((target("avx512f,avx512bw"))) static void copy_wide(uint8_t *out, const uint8_t *in, uint32_t len)
{
	for (; len >= 64; len -= 64, in += 64, out += 64)
		_mm512_storeu_si512(out, _mm512_loadu_si512(in));
	if (len > 0) {
		__mmask64 rest = (1ull << len) - 1u;

		_mm512_mask_storeu_epi8(out, rest, _mm512_maskz_loadu_epi8(rest, in));
	}
}

static void copy_in(uint8_t *out, const uint8_t *in, uint32_t len)
{
	if (backend.wide)
		copy_wide(out, in, len);
	else
		memcpy(out, in, len);
}

/* In one time, whatever they are. */
static int tags_differ(const uint8_t a[WEFT_TAG_LEN], const uint8_t b[WEFT_TAG_LEN])
{
	return ((get_le64(a) ^ get_le64(b)) | (get_le64(a + 8) ^ get_le64(b + 8))) != 0;
}

/* Decrypts private memory by ipsec-mb. */
static inline int mb_open(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
			  const uint8_t *ct, uint32_t len, const uint8_t tag[WEFT_TAG_LEN], uint8_t *out)
{
	uint8_t nonce[NONCE_SPACE], want[WEFT_TAG_LEN];
	struct gcm_context_data ctx;

	nonce_put(nonce, WEFT_SUITE_AESGCM, counter);
	IMB_AES256_GCM_DEC(backend.mb, mb_key(k), &ctx, out, ct, len, nonce, hdr, WEFT_RECORD_HDR_LEN, want, sizeof(want));
	if (!tags_differ(want, tag))
		return 0;
	memset(out, 0, len);
	return -1;
}

/* Decrypts private memory; the tag has been copied too. Returns 0, or -1 with out zeroed. */
static int open_private(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
			const uint8_t *ct, uint32_t len, const uint8_t tag[WEFT_TAG_LEN], uint8_t *out)
{
	uint8_t nonce[NONCE_SPACE];
	int failed = -1;

	if (k->backend == FAB_AEAD_IPSEC_MB)
		return mb_open(k, counter, hdr, ct, len, tag, out);
	nonce_put(nonce, k->suite, counter);
	if (k->suite == WEFT_SUITE_AESGCM) {
		failed = crypto_aead_aes256gcm_decrypt_detached_afternm(out, NULL, ct, len, tag, hdr,
									WEFT_RECORD_HDR_LEN, nonce, sodium_key(k));
	} else if (k->suite == WEFT_SUITE_CHACHAPOLY) {
		failed = crypto_aead_chacha20poly1305_ietf_decrypt_detached(out, NULL, ct, len, tag, hdr,
									    WEFT_RECORD_HDR_LEN, nonce, k->space);
	}
	if (failed)
		memset(out, 0, len);
	return failed ? -1 : 0;
}

/* Encrypts into ct and tag, contiguous both. 0, or -1 where the key is none. */
static int seal_private(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
			const uint8_t *in, uint32_t len, uint8_t *ct, uint8_t tag[WEFT_TAG_LEN])
{
	uint8_t nonce[NONCE_SPACE];
	struct gcm_context_data ctx;

	nonce_put(nonce, k->suite, counter);
	if (k->backend == FAB_AEAD_IPSEC_MB) {
		IMB_AES256_GCM_ENC(backend.mb, mb_key(k), &ctx, ct, in, len, nonce, hdr, WEFT_RECORD_HDR_LEN, tag,
				   WEFT_TAG_LEN);
		return 0;
	}
	if (k->suite == WEFT_SUITE_AESGCM)
		return crypto_aead_aes256gcm_encrypt_detached_afternm(ct, tag, NULL, in, len, hdr, WEFT_RECORD_HDR_LEN,
								      NULL, nonce, sodium_key(k));
	if (k->suite == WEFT_SUITE_CHACHAPOLY)
		return crypto_aead_chacha20poly1305_ietf_encrypt_detached(ct, tag, NULL, in, len, hdr,
									  WEFT_RECORD_HDR_LEN, NULL, nonce, k->space);
	return -1;
}

/* --- scattered memory -------------------------------------------------------------------------------------------- */

struct cursor {
	const struct fab_seg *seg;
	uint32_t n;  /* segments from seg on */
	uint32_t at; /* bytes of *seg already passed */
};

/* Places the cursor `offset` bytes in and returns 1 if `need` more bytes follow. */
static int cursor_place(struct cursor *c, const struct fab_seg *segs, uint32_t n_segs, uint32_t offset, uint64_t need)
{
	uint64_t have = 0;
	uint32_t i = 0;

	while (i < n_segs && offset >= segs[i].len)
		offset -= segs[i++].len;
	*c = (struct cursor){segs + i, n_segs - i, offset};
	for (; i < n_segs && have < need + offset; i++)
		have += segs[i].len;
	return have >= need + offset;
}

/* The next contiguous piece, at most max bytes. The caller knows that bytes remain. */
static uint8_t *cursor_next(struct cursor *c, uint32_t max, uint32_t *len)
{
	uint8_t *p;

	while (c->at == c->seg->len) { /* bounded by n */
		c->seg++;
		c->n--;
		c->at = 0;
	}
	p = c->seg->ptr + c->at;
	*len = c->seg->len - c->at < max ? c->seg->len - c->at : max;
	c->at += *len;
	return p;
}

static void cursor_read(struct cursor *c, uint8_t *out, uint32_t len)
{
	while (len) {
		uint32_t piece;
		const uint8_t *p = cursor_next(c, len, &piece);

		memcpy(out, p, piece);
		out += piece;
		len -= piece;
	}
}

static void cursor_write(struct cursor *c, const uint8_t *in, uint32_t len)
{
	while (len) {
		uint32_t piece;
		uint8_t *p = cursor_next(c, len, &piece);

		memcpy(p, in, piece);
		in += piece;
		len -= piece;
	}
}

int fab_aead_open(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
		  const struct fab_seg *segs, uint32_t n_segs, uint32_t offset, uint32_t len, uint8_t *out)
{
	uint8_t tag[WEFT_TAG_LEN];
	const uint8_t *flat;
	struct cursor c;

	if (len > FAB_AEAD_LEN_MAX)
		return -1;
	flat = fab_segs_flat(segs, n_segs, offset, len + WEFT_TAG_LEN);
	if (flat != NULL) { /* the usual case */
		copy_in(out, flat, len);
		memcpy(tag, flat + len, sizeof(tag));
		if (k->backend == FAB_AEAD_IPSEC_MB)
			return mb_open(k, counter, hdr, out, len, tag, out);
		return open_private(k, counter, hdr, out, len, tag, out);
	}
	if (!cursor_place(&c, segs, n_segs, offset, (uint64_t)len + WEFT_TAG_LEN)) {
		memset(out, 0, len);
		return -1;
	}
	cursor_read(&c, out, len);
	cursor_read(&c, tag, sizeof(tag));
	return open_private(k, counter, hdr, out, len, tag, out);
}

int fab_aead_open_flat(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
		       const uint8_t *ct, uint32_t len, uint8_t *out)
{
	uint8_t tag[WEFT_TAG_LEN];

	if (len > FAB_AEAD_LEN_MAX)
		return -1;
	memcpy(tag, ct + len, sizeof(tag));
	return open_private(k, counter, hdr, ct, len, tag, out);
}

int fab_aead_seal_flat(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
		       const uint8_t *in, uint32_t len, uint8_t *ct)
{
	if (len > FAB_AEAD_LEN_MAX)
		return -1;
	return seal_private(k, counter, hdr, in, len, ct, ct + len) ? -1 : 0;
}

static void mb_seal_pieces(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
			   const uint8_t *in, uint32_t len, struct cursor *c)
{
	uint8_t nonce[NONCE_SPACE], tag[WEFT_TAG_LEN];
	struct gcm_context_data ctx;

	nonce_put(nonce, k->suite, counter);
	IMB_AES256_GCM_INIT(backend.mb, mb_key(k), &ctx, nonce, hdr, WEFT_RECORD_HDR_LEN);
	while (len) {
		uint32_t piece;
		uint8_t *p = cursor_next(c, len, &piece);

		IMB_AES256_GCM_ENC_UPDATE(backend.mb, mb_key(k), &ctx, p, in, piece);
		in += piece;
		len -= piece;
	}
	IMB_AES256_GCM_ENC_FINALIZE(backend.mb, mb_key(k), &ctx, tag, sizeof(tag));
	cursor_write(c, tag, sizeof(tag));
}

/* libsodium wants contiguous output: seal beside, then scatter. Its own function, so that only this path pays for the
 * stack. */
static __attribute__((noinline)) int sodium_seal_pieces(const struct fab_aead_key *k, uint64_t counter,
							const uint8_t hdr[WEFT_RECORD_HDR_LEN], const uint8_t *in,
							uint32_t len, struct cursor *c)
{
	uint8_t ct[FAB_AEAD_LEN_MAX + WEFT_TAG_LEN];

	if (seal_private(k, counter, hdr, in, len, ct, ct + len))
		return -1;
	cursor_write(c, hdr, WEFT_RECORD_HDR_LEN);
	cursor_write(c, ct, len + WEFT_TAG_LEN);
	return 0;
}

int fab_aead_seal(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
		  const uint8_t *in, uint32_t len, const struct fab_seg *segs, uint32_t n_segs, uint32_t offset)
{
	const uint32_t total = WEFT_RECORD_HDR_LEN + len + WEFT_TAG_LEN;
	struct cursor c;

	if (k->suite == 0 || len > FAB_AEAD_LEN_MAX || !cursor_place(&c, segs, n_segs, offset, total))
		return -1;
	if (c.seg->len - c.at >= total) { /* the usual case: one piece takes the whole record */
		uint8_t *p = c.seg->ptr + c.at;

		memcpy(p, hdr, WEFT_RECORD_HDR_LEN);
		return fab_aead_seal_flat(k, counter, hdr, in, len, p + WEFT_RECORD_HDR_LEN);
	}
	if (k->backend != FAB_AEAD_IPSEC_MB)
		return sodium_seal_pieces(k, counter, hdr, in, len, &c);
	cursor_write(&c, hdr, WEFT_RECORD_HDR_LEN);
	mb_seal_pieces(k, counter, hdr, in, len, &c);
	return 0;
}
