/* SPDX-License-Identifier: BSD-2-Clause */
/* Content that is cut to pieces and sent in consecutive messages. Each piece that passes is kept in its conversation's
 * window, and is then a beginning: when the next ones come, they are shown to nDPI together with it, from its first byte on.
 * How a protocol begins is begin.c's, looks are inspect.c's.
 *
 * A look costs as much as the piece's own, so one is taken only where it may come to something:
 *   open    the bytes so far may be the beginning of something that nDPI names (begin.c). Looked at when it is of 2 to 10
 *           pieces, of 16 while it is small, then of 12, 16, 20, 24, 32, 40, 48, 56 and 64
 *   fits    a length among its first bytes says that it is whole now, however many pieces it is of. Kept as a filter: bit
 *           t mod 64 for each length t
 *   named   nDPI recognised it and it was allowed (an HTTP request): a risk may show only with what follows. As if open, where
 *           what follows is not recognised by itself
 *   file    where the set forbids executables, archives or scripts, and the bytes so far may be the beginning of one: as if open,
 *           but for its kind. At most DPI_WINDOW_KINDS of these for a message, for libmagic is dear
 * Ordinary traffic is none of these, and costs the copy into the window. Thin evidence (evidence.h) does not count here: pieces
 * of honest data come to some of it sooner or later.
 *
 * A piece that is refused for what it makes with earlier ones stays out, as its bytes were not delivered, and those stay: the next
 * piece may be the same again. But it takes a place among the pieces, so that data that was mistaken gets through after
 * DPI_WINDOW_PIECES refusals at most.
 *
 * Memory: DPI_WINDOWS windows, found by a hash of their conversation. When all are in use, the sender with the most gives
 * up its oldest, so whoever opens many pushes out his own as soon as he has more than others; with k senders at work each
 * keeps at least DPI_WINDOWS / k. */
#include "window.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "begin.h"
#include "ndpi.h"

#define NONE UINT16_MAX
#define BUCKETS 4096u  /* a power of two */
#define ROOM (DPI_WINDOW_BYTES + 1024u) /* what is dropped at the front is moved away once in a while */
#define DUE_SMALL 512u   /* bytes */
#define NUMBERS_LEAST 32u /* bytes: what is shorter and all small is a message of control protocols as well */
#define TAR_MARK 257u  /* offset */
#define TAR_HEADER 512u
#define FITS_MAX 8191u /* longer ones are not waited for: two letters are a number beyond it */

_Static_assert(DPI_WINDOW_PIECES <= 63, "pieces are bits of 64, and a shift by one more must be defined");
_Static_assert(DPI_WINDOWS < NONE && DPI_WINDOW_BYTES <= UINT16_MAX, "indexes and offsets have 16 bits");

struct window {
	struct dpi_window_at at;
	uint16_t next;          /* of the same bucket */
	uint16_t newer, older;  /* of the same sender */
	uint16_t used;          /* bytes, from the first that is kept at start[0] on */
	uint32_t n;             /* pieces, the oldest first */
	uint64_t open, named;   /* of pieces as beginnings: bit i for piece i */
	uint64_t file;          /* beginnings of what may be of a kind that some sets forbid */
	uint64_t refused;       /* pieces that are none: their messages did not pass, and only take up a place */
	uint16_t start[DPI_WINDOW_PIECES];
	uint64_t fits[DPI_WINDOW_PIECES];
	uint8_t bytes[ROOM];
};

struct sender { uint16_t count, newest, oldest; };

struct saved {
	uint16_t index;
	struct window was;
};

struct dpi_windows {
	uint16_t free;          /* linked by next */
	uint16_t bucket[BUCKETS];
	struct sender sender[DPI_WINDOW_SENDERS];
	struct dpi_begin_index begins;
	struct window window[DPI_WINDOWS];
	uint32_t saving, n_saved;
	struct saved saved[DPI_SPANS_MAX];
	uint8_t joined[DPI_WINDOW_BYTES + DPI_FIELD_MAX];
};

int dpi_windows_make(struct dpi_windows **out)
{
	struct dpi_windows *w = calloc(1, sizeof(*w));

	*out = w;
	if (!w)
		return -ENOMEM;
	dpi_begin_index_make(&w->begins);
	memset(w->bucket, 0xff, sizeof(w->bucket));
	memset(w->sender, 0xff, sizeof(w->sender));
	for (uint32_t i = 0; i < DPI_WINDOW_SENDERS; i++)
		w->sender[i].count = 0;
	for (uint32_t i = 0; i < DPI_WINDOWS; i++)
		w->window[i].next = (uint16_t)(i + 1 < DPI_WINDOWS ? i + 1 : NONE);
	return 0;
}

void dpi_windows_free(struct dpi_windows *w)
{
	free(w);
}

/* --- which window ------------------------------------------------------------------------------------------------------- */

static uint16_t *bucket_of(struct dpi_windows *w, const struct dpi_window_at *at)
{
	uint64_t h = ((uint64_t)at->epoch << 32 | at->field) * 0x9e3779b97f4a7c15ull;

	h = (h ^ h >> 29 ^ ((uint64_t)at->src << 16 | at->dst)) * 0xbf58476d1ce4e5b9ull;
	return &w->bucket[h >> 52 & (BUCKETS - 1)];
}

static struct sender *sender_of(struct dpi_windows *w, const struct dpi_window_at *at)
{
	return &w->sender[at->src % DPI_WINDOW_SENDERS];
}

static int same(const struct dpi_window_at *a, const struct dpi_window_at *b)
{
	return a->epoch == b->epoch && a->field == b->field && a->src == b->src && a->dst == b->dst;
}

static void unlink_age(struct dpi_windows *w, struct sender *s, uint16_t i)
{
	struct window *x = &w->window[i];

	*(x->newer == NONE ? &s->newest : &w->window[x->newer].older) = x->older;
	*(x->older == NONE ? &s->oldest : &w->window[x->older].newer) = x->newer;
}

static void link_newest(struct dpi_windows *w, struct sender *s, uint16_t i)
{
	struct window *x = &w->window[i];

	x->newer = NONE;
	x->older = s->newest;
	*(s->newest == NONE ? &s->oldest : &w->window[s->newest].newer) = i;
	s->newest = i;
}

static uint16_t find(struct dpi_windows *w, const struct dpi_window_at *at)
{
	uint16_t i = *bucket_of(w, at);

	while (i != NONE && !same(&w->window[i].at, at)) /* at most all windows */
		i = w->window[i].next;
	return i;
}

/* The oldest of whoever has most, free for another. */
static uint16_t evict(struct dpi_windows *w)
{
	struct sender *most = &w->sender[0];

	for (uint32_t i = 1; i < DPI_WINDOW_SENDERS; i++)
		if (w->sender[i].count > most->count)
			most = &w->sender[i];
	uint16_t i = most->oldest, *link = bucket_of(w, &w->window[i].at);

	while (*link != i) /* it is there */
		link = &w->window[*link].next;
	*link = w->window[i].next;
	unlink_age(w, most, i);
	most->count--;
	return i;
}

static uint16_t find_or_make(struct dpi_windows *w, const struct dpi_window_at *at)
{
	uint16_t i = find(w, at), *bucket = bucket_of(w, at);
	struct sender *s = sender_of(w, at);

	if (i != NONE) {
		if (s->newest != i) {
			unlink_age(w, s, i);
			link_newest(w, s, i);
		}
		return i;
	}
	if (w->free != NONE) {
		i = w->free;
		w->free = w->window[i].next;
	} else {
		i = evict(w);
	}
	struct window *x = &w->window[i];

	x->at = *at;
	x->used = 0;
	x->n = 0;
	x->open = x->named = x->file = x->refused = 0;
	x->next = *bucket;
	*bucket = i;
	s->count++;
	link_newest(w, s, i);
	return i;
}

/* --- looks -------------------------------------------------------------------------------------------------------------- */

/* The first bytes of what begins at piece i, the new one included: in the window itself where there are enough. */
static const uint8_t *head_of(const struct window *x, uint32_t i, const struct dpi_piece *piece, uint8_t room[DPI_BEGIN_BYTES],
			      size_t *n)
{
	size_t kept = (size_t)x->used - x->start[i], more;

	*n = kept;
	if (kept >= DPI_BEGIN_BYTES)
		return x->bytes + x->start[i];
	more = DPI_BEGIN_BYTES - kept < piece->len ? DPI_BEGIN_BYTES - kept : piece->len;
	memcpy(room, x->bytes + x->start[i], kept);
	memcpy(room + kept, piece->bytes, more);
	*n = kept + more;
	return room;
}

static int is_due(uint32_t pieces, size_t whole)
{
	if (pieces <= 10 || (pieces <= 16 && whole <= DUE_SMALL))
		return 1;
	return pieces == 12 || pieces == 16 || pieces == 20 || pieces == 24 || (pieces <= 64 && pieces >= 32 && pieces % 8 == 0);
}

/* The filter of lengths. What is told by deeper bytes passes it. */
static uint64_t filter_of(const uint8_t *head, size_t n)
{
	uint32_t total[DPI_BEGIN_LENGTHS], c = dpi_begin_lengths(head, n, total);
	uint64_t bits = 0;

	if (n < 4 || dpi_begin_deep(head[0])) /* too few to tell, or told otherwise */
		return UINT64_MAX;
	for (uint32_t i = 0; i < c; i++)
		bits |= (uint64_t)(total[i] <= FITS_MAX) << (total[i] & 63);
	return bits;
}

static int is_settled(const struct window *x, uint32_t i)
{
	return (size_t)x->used - x->start[i] >= DPI_BEGIN_BYTES;
}

enum worth { NOTHING = 0, DUE, FITS };

static enum worth worth_of(const struct dpi_windows *w, const struct window *x, uint32_t i, const struct dpi_piece *piece)
{
	size_t whole = (size_t)x->used - x->start[i] + piece->len, n;
	uint8_t room[DPI_BEGIN_BYTES];
	const uint8_t *head;

	if (x->named >> i & 1)
		return !piece->recognised && is_due(x->n - i + 1, whole) ? DUE : NOTHING;
	head = head_of(x, i, piece, room, &n);
	if (x->open >> i & 1 && is_due(x->n - i + 1, whole) && dpi_begin_may(&w->begins, head, n))
		return DUE;
	return dpi_begin_fits(head, n, whole) ? FITS : NOTHING;
}

/* Beginnings that may be worth it: the rest costs a nanosecond each. */
static uint64_t candidates(const struct window *x, const struct dpi_piece *piece)
{
	size_t end = (size_t)x->used + piece->len;
	uint64_t bits = 0;

	for (uint32_t i = 0; i < x->n; i++)
		bits |= (x->fits[i] >> ((end - x->start[i]) & 63) & 1) << i;
	bits |= x->open | x->named;
	for (uint32_t i = x->n; i-- > 0 && !is_settled(x, i);)
		bits |= 1ull << i;
	return bits & ~x->refused;
}

/* What begins at piece i, and the new one. Returns how many bytes that is. */
static size_t join(struct dpi_windows *w, const struct window *x, uint32_t i, const struct dpi_piece *piece)
{
	size_t kept = (size_t)x->used - x->start[i], len = piece->len;

	if (x->n - i > DPI_WINDOW_WHOLE && kept + len > DPI_WINDOW_REST)
		len = DPI_WINDOW_REST - kept;
	if (kept + len > DPI_FIELD_MAX)
		len = DPI_FIELD_MAX - kept;
	memcpy(w->joined, x->bytes + x->start[i], kept);
	memcpy(w->joined + kept, piece->bytes, len);
	return kept + len;
}

/* Numbers of two or four bytes, most of them small: every other byte is next to nothing, and the rest is neither text (which would
 * be UTF-16) nor, where a header would be, nothing as well. Joined, such data comes to every length there is; a name that its
 * first bytes and its length spell is worth nothing. */
static int is_numbers(const uint8_t *p, size_t len)
{
	size_t half = len / 2, most = half / 16, large[2] = { 0, 0 }, text[2] = { 0, 0 }, zero[2] = { 0, 0 };

	if (len < NUMBERS_LEAST)
		return 0;
	for (size_t i = 0; i < 2 * half && (large[0] <= most || large[1] <= most); i++) {
		large[i & 1] += p[i] > 3;
		text[i & 1] += p[i] >= 0x20 && p[i] < 0x7f;
		zero[i & 1] += p[i] == 0 && i < NUMBERS_LEAST;
	}
	for (unsigned k = 0; k < 2; k++)
		if (large[k] <= most && text[1 - k] < half - half / 4 && zero[1 - k] <= NUMBERS_LEAST / 16 * 5)
			return 1;
	return 0;
}

/* The set may be another rule's than the one under which a recognised beginning passed: then it says nothing of the two. */
static int is_news(struct dpi *d, struct dpi_windows *w, const struct window *x, uint32_t i, const struct dpi_set *set)
{
	size_t end = i + 1 < x->n ? x->start[i + 1] : x->used;
	struct dpi_finding before;

	if (!(x->named >> i & 1))
		return 1;
	dpi_inspect_joined(d, set, w->joined, end - x->start[i], &before);
	return before.answer == DPI_CLEAN;
}

static void look_for_protocols(struct dpi *d, struct dpi_windows *w, const struct window *x, const struct dpi_set *set,
			       const struct dpi_piece *piece, struct dpi_finding *f)
{
	uint32_t fits = 0;

	for (uint64_t left = candidates(x, piece); left;) { /* nearest first: one bit less each time */
		uint32_t i = 63u - (uint32_t)__builtin_clzll(left);

		left &= ~(1ull << i);
		enum worth worth = worth_of(w, x, i, piece);
		if (worth == NOTHING)
			continue;
		size_t len = join(w, x, i, piece);
		if (is_numbers(w->joined, len))
			continue;
		fits += worth == FITS;
		f->pieces = (uint8_t)(x->n - i);
		if (fits > DPI_WINDOW_FITS) {
			f->answer = DPI_FAILED;
			f->why = DPI_WHY_AMBIGUOUS;
			return;
		}
		dpi_inspect_joined(d, set, w->joined, len, f);
		f->pieces = (uint8_t)(x->n - i);
		if (f->answer != DPI_CLEAN && is_news(d, w, x, i, set))
			return;
	}
	memset(f, 0, sizeof(*f));
}

/* A tar archive's mark is the one that stands far behind the beginning, and counts once its header is whole (POSIX ustar). */
static int completes_tar(const struct window *x, uint32_t i, const struct dpi_piece *piece)
{
	static const char mark[] = "ustar";
	size_t kept = (size_t)x->used - x->start[i];

	if (kept >= TAR_HEADER || kept + piece->len < TAR_HEADER)
		return 0;
	for (size_t k = 0; k < 5; k++) {
		size_t at = TAR_MARK + k;

		if ((at < kept ? x->bytes[x->start[i] + at] : piece->bytes[at - kept]) != (uint8_t)mark[k])
			return 0;
	}
	return 1;
}

/* What is there already may have passed under another rule, which forbids less: then it says nothing of the two. */
static void look_for_files(struct dpi *d, struct dpi_windows *w, const struct window *x, unsigned kinds,
			   const struct dpi_piece *piece, struct dpi_finding *f)
{
	uint32_t looks = 0;

	for (uint32_t i = x->n; i-- > 0;) { /* nearest first */
		uint8_t room[DPI_BEGIN_BYTES];
		size_t n, end = i + 1 < x->n ? x->start[i + 1] : x->used;
		const uint8_t *head;

		if (x->refused >> i & 1)
			continue;
		if (!completes_tar(x, i, piece)) {
			if (!(x->file >> i & 1) || !is_due(x->n - i + 1, (size_t)x->used - x->start[i] + piece->len))
				continue;
			head = head_of(x, i, piece, room, &n);
			if (!dpi_begin_kind(&w->begins, head, n))
				continue;
		}
		f->pieces = (uint8_t)(x->n - i);
		if (looks++ == DPI_WINDOW_KINDS) {
			f->answer = DPI_FAILED;
			f->why = DPI_WHY_AMBIGUOUS;
			return;
		}
		f->kinds = (uint8_t)dpi_kinds_of(d->magic, kinds, w->joined, join(w, x, i, piece));
		if (f->kinds && !dpi_kinds_of(d->magic, f->kinds, w->joined, end - x->start[i])) {
			f->answer = DPI_FORBIDDEN;
			f->why = DPI_WHY_KIND;
			return;
		}
	}
	memset(f, 0, sizeof(*f));
}

void dpi_windows_look(struct dpi *d, struct dpi_windows *w, const struct dpi_window_at *at, const struct dpi_set *set,
		      const struct dpi_piece *piece, struct dpi_finding *f)
{
	uint16_t index = find(w, at);
	unsigned kinds = set->banned_kinds & (DPI_KIND_EXECUTABLE | DPI_KIND_ARCHIVE | DPI_KIND_SCRIPT);

	memset(f, 0, sizeof(*f));
	if (index == NONE)
		return;
	const struct window *x = &w->window[index];

	look_for_protocols(d, w, x, set, piece, f);
	if (f->answer == DPI_CLEAN && kinds)
		look_for_files(d, w, x, kinds, piece, f);
}

/* --- what is kept --------------------------------------------------------------------------------------------------------- */

/* The oldest pieces go, until there is room for so many bytes and one piece more. */
static void make_room(struct window *x, size_t len)
{
	uint32_t gone = 0;

	while (gone < x->n && (x->n - gone >= DPI_WINDOW_PIECES || (size_t)x->used - x->start[gone] + len > DPI_WINDOW_BYTES))
		gone++;
	if (gone == 0)
		return;
	memmove(x->start, x->start + gone, (x->n - gone) * sizeof(x->start[0]));
	memmove(x->fits, x->fits + gone, (x->n - gone) * sizeof(x->fits[0]));
	x->n -= gone;
	x->open >>= gone; /* at most DPI_WINDOW_PIECES */
	x->named >>= gone;
	x->file >>= gone;
	x->refused >>= gone;
}

/* Room for so many bytes at the end, no more than DPI_WINDOW_BYTES with those that are kept. */
static void move_down(struct window *x, size_t len)
{
	uint16_t cut = x->n ? x->start[0] : x->used;

	if (x->used + len <= ROOM)
		return;
	memmove(x->bytes, x->bytes + cut, (size_t)x->used - cut);
	for (uint32_t i = 0; i < x->n; i++)
		x->start[i] = (uint16_t)(x->start[i] - cut);
	x->used = (uint16_t)(x->used - cut);
}

/* A whole JSON text: what follows is another one. */
static int is_closed_json(const struct dpi_piece *piece)
{
	size_t n = piece->len;

	while (n > 1 && (piece->bytes[n - 1] == '\n' || piece->bytes[n - 1] == '\r' || piece->bytes[n - 1] == ' '))
		n--;
	return piece->bytes[0] == '{' && piece->bytes[n - 1] == '}';
}

static void save(struct dpi_windows *w, uint16_t index)
{
	const struct window *x = &w->window[index];

	for (uint32_t i = 0; i < w->n_saved; i++)
		if (w->saved[i].index == index && same(&w->saved[i].was.at, &x->at))
			return;
	assert(w->n_saved < DPI_SPANS_MAX);
	struct saved *s = &w->saved[w->n_saved++];

	s->index = index;
	memcpy(&s->was, x, offsetof(struct window, bytes));
	memcpy(s->was.bytes, x->bytes, x->used);
}

/* What began with few bytes is told apart by those that came. */
static void settle(const struct dpi_windows *w, struct window *x, const struct dpi_piece *piece)
{
	for (uint32_t i = x->n; i-- > 0 && !is_settled(x, i);) {
		uint8_t room[DPI_BEGIN_BYTES];
		size_t n;
		const uint8_t *head = head_of(x, i, piece, room, &n);

		if (x->refused >> i & 1)
			continue;
		if (!dpi_begin_may(&w->begins, head, n))
			x->open &= ~(1ull << i);
		if (!dpi_begin_kind(&w->begins, head, n))
			x->file &= ~(1ull << i);
		x->fits[i] = filter_of(head, n);
	}
}

void dpi_windows_add(struct dpi_windows *w, const struct dpi_window_at *at, const struct dpi_piece *piece)
{
	uint16_t index = find_or_make(w, at);
	struct window *x = &w->window[index];

	if (w->saving)
		save(w, index);
	settle(w, x, piece);
	make_room(x, piece->len);
	if (piece->len > DPI_WINDOW_BYTES)
		return;
	move_down(x, piece->len);
	uint32_t i = x->n++;

	x->start[i] = x->used;
	memcpy(x->bytes + x->used, piece->bytes, piece->len);
	x->used = (uint16_t)(x->used + piece->len);
	if (piece->recognised)
		x->named |= 1ull << i;
	else if (dpi_begin_may(&w->begins, piece->bytes, piece->len) && !is_closed_json(piece))
		x->open |= 1ull << i;
	if (dpi_begin_kind(&w->begins, piece->bytes, piece->len))
		x->file |= 1ull << i;
	x->fits[i] = filter_of(piece->bytes, piece->len);
}

void dpi_windows_refused(struct dpi_windows *w, const struct dpi_window_at *at)
{
	uint16_t index = find(w, at);

	if (index == NONE)
		return;
	struct window *x = &w->window[index];

	make_room(x, 0);
	x->start[x->n] = x->used;
	x->fits[x->n] = 0;
	x->refused |= 1ull << x->n++;
}

void dpi_windows_begin(struct dpi_windows *w)
{
	w->saving = 1;
	w->n_saved = 0;
}

void dpi_windows_keep(struct dpi_windows *w)
{
	w->saving = 0;
}

/* A window that has been given to another conversation meanwhile stays that one's. */
void dpi_windows_undo(struct dpi_windows *w)
{
	w->saving = 0;
	for (uint32_t i = w->n_saved; i-- > 0;) {
		const struct saved *s = &w->saved[i];
		struct window *x = &w->window[s->index];

		if (!same(&x->at, &s->was.at))
			continue;
		x->used = s->was.used;
		x->n = s->was.n;
		x->open = s->was.open;
		x->named = s->was.named;
		x->file = s->was.file;
		x->refused = s->was.refused;
		memcpy(x->start, s->was.start, sizeof(x->start));
		memcpy(x->fits, s->was.fits, sizeof(x->fits));
		memcpy(x->bytes, s->was.bytes, s->was.used);
	}
}
