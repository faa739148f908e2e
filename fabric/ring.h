/* SPDX-License-Identifier: BSD-2-Clause */
/* The device side of a split virtqueue (VIRTIO 1.1, clause 2.6): our own walk over memory that the guest owns.
 *
 * Trust: desc, avail and everything they point to may change at any moment and hold anything. Each guest-owned word is
 * read once into a local (fab_ring_fetch() looks before that, and believes nothing); a chain that breaks a rule is named
 * and returned as an error, and the ring goes on with the next. Nothing here needs DPDK. One thread per ring.
 *
 * What is accepted: chains of up to FAB_CHAIN_MAX descriptors; a next index below the size; no INDIRECT; transmit
 * chains device-readable only, receive chains device-writable only; each descriptor wholly inside one or several
 * adjoining regions of the memory table; no descriptor of length zero counts towards data. */
#ifndef FAB_RING_H
#define FAB_RING_H

#include <stddef.h>
#include <stdint.h>

#include "guest-lib/virtio.h"

#define FAB_RING_SIZE_MAX 32768u
#define FAB_CHAIN_MAX 64u   /* descriptors in one chain */
#define FAB_SEGS_MAX 96u    /* contiguous host pieces of one chain: descriptors may cross regions */
#define FAB_REGIONS_MAX 32u
#define FAB_TAKE_MAX 32u    /* chains that are taken at once */

struct fab_mem_region {
	uint64_t gpa;  /* guest-physical start */
	uint64_t size; /* bytes */
	uint8_t *hva;  /* where it is mapped here */
};

struct fab_mem {
	uint32_t n;
	struct fab_mem_region region[FAB_REGIONS_MAX];
};

struct fab_ring {
	struct virtq_desc *desc;   /* guest-owned */
	struct virtq_avail *avail; /* guest-owned */
	struct virtq_used *used;   /* ours to write, guest-readable */
	const struct fab_mem *mem;
	uint16_t size;             /* power of two */
	uint16_t next_avail;       /* next entry of avail to take */
	uint16_t seen_avail;       /* avail->idx as last read */
	uint16_t fetched;          /* entries of avail before this one were fab_ring_fetch()ed */
	uint16_t next_used;        /* next entry of used to write, not yet published */
	uint16_t published;        /* used->idx as the guest sees it */
	uint16_t signalled;        /* used index at the last interrupt decision */
	uint8_t event_idx;         /* VIRTIO_RING_F_EVENT_IDX was negotiated */
	uint8_t signalled_valid;
	uint8_t broken;            /* avail index ran away by more than size: the ring is dead until re-attached */
	uint8_t region;            /* of mem, in which the last chain lay: the next one is looked for there first */
};

/* One piece of host memory of a chain. */
struct fab_seg {
	uint8_t *ptr;
	uint32_t len; /* bytes, not 0 */
};

/* The first line of memory has all of a chain of up to three pieces. */
struct fab_chain {
	_Alignas(64) uint16_t head; /* what goes into the used ring */
	uint8_t n;          /* pieces in seg */
	uint8_t status;     /* enum fab_chain_status; of fab_ring_take_burst() */
	uint32_t len;       /* their sum */
	struct fab_seg seg[FAB_SEGS_MAX];
};

enum fab_chain_status {
	FAB_CHAIN_OK = 0,
	FAB_CHAIN_NONE,    /* the ring has no more */
	FAB_CHAIN_BAD,     /* loop, bad index, indirect, wrong direction, too many; head is set, give it back as used */
	FAB_CHAIN_ADDRESS, /* points outside the guest's memory; likewise */
	FAB_CHAIN_DEAD     /* the ring itself is broken (head index beyond size, avail ran away); said once, then NONE */
};

/* How many chains wait now (one read of avail->idx). Sets broken when the index is more than size ahead. */
uint16_t fab_ring_pending(struct fab_ring *r);

/* Takes the next chain; `writable` says which direction its descriptors must have. Advances next_avail except for
 * NONE and DEAD. */
enum fab_chain_status fab_ring_take(struct fab_ring *r, int writable, struct fab_chain *c);
/* The same for up to max chains (at most FAB_TAKE_MAX), c[0] and on, each with its status: OK, BAD or ADDRESS. Returns how
 * many; fewer than wait where the ring is found broken. One read of avail->idx, and none where max are known to wait. The
 * first bytes of what they hold are on their way into the cache: fab_ring_fetch() did that for some. */
uint32_t fab_ring_take_burst(struct fab_ring *r, int writable, struct fab_chain *c, uint32_t max);
/* Has the first bytes of a chain brought into the cache, that which comes `ahead` chains after the next one to take; nothing
 * where it is not known to wait. For who has other work until then: that costs 3 ns, and the memory nothing. What is read for it
 * is not kept, only how far it went. */
void fab_ring_fetch(struct fab_ring *r, uint32_t ahead);
/* Puts the last n taken chains back (they were not given as used). */
void fab_ring_untake(struct fab_ring *r, uint16_t n);

/* Marks a chain used with len bytes written; visible to the guest after fab_ring_publish(). */
void fab_ring_use(struct fab_ring *r, uint16_t head, uint32_t len);
/* The same for n chains into which nothing was written. */
void fab_ring_use_burst(struct fab_ring *r, const struct fab_chain *c, uint32_t n);
/* Publishes used entries. Returns 1 when the guest wants an interrupt for them. */
int fab_ring_publish(struct fab_ring *r);
/* The same in two steps, for who publishes several rings: show each, then one sequentially consistent fence, for the guest reads
 * and writes in the opposite order, then ask of each that had something to show. show: 1 when there was something. */
int fab_ring_show(struct fab_ring *r);
int fab_ring_wants(struct fab_ring *r);

/* Asks the guest to notify (1) or not (0) when it adds chains. After asking, look again: a chain may have come. */
void fab_ring_want_kick(struct fab_ring *r, int want);

/* Where len bytes from `offset` on lie in one piece, if that is the first or the second: that is how frames come. Else NULL. */
static inline uint8_t *fab_segs_flat(const struct fab_seg *seg, uint32_t n, uint32_t offset, uint32_t len)
{
	if (n > 1 && offset >= seg->len) {
		offset -= seg->len;
		seg++;
	}
	return n > 0 && offset < seg->len && seg->len - offset >= len ? seg->ptr + offset : NULL;
}
/* Copies the chain's bytes from `offset` into out, at most len. Returns how many. Reads each byte once. */
uint32_t fab_chain_read(const struct fab_chain *c, uint32_t offset, uint8_t *out, uint32_t len);
/* Copies len bytes into the n pieces at offset. Returns how many fitted. */
uint32_t fab_segs_write(const struct fab_seg *seg, uint32_t n, uint32_t offset, const uint8_t *in, uint32_t len);

/* Finds the host address of guest-physical range [gpa, gpa+len): appends pieces to c. FAB_CHAIN_OK, _ADDRESS, or
 * _BAD where c has no piece left. */
enum fab_chain_status fab_mem_append(const struct fab_mem *mem, uint64_t gpa, uint32_t len, struct fab_chain *c);

#endif
