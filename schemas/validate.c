/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict validator. It accepts only bytes that mean exactly one thing to every protobuf parser and that meet the
 * schema's rules; docs/schemas.md lists both. Nothing is allocated, copied or decoded for later. The loop over the bytes is
 * in loop.inc; what is unusual is settled in settle.c. */
#include <immintrin.h>
#include <string.h>

#include "bytes.h"
#include "formats.h"
#include "pattern.h"
#include "walk.h"

#define BYTES_MAX INT32_MAX /* of one message: what protobuf itself allows */
#define TOPS 0x8080808080808080u
#define NANOS 1000000000u /* in a second */

static inline uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t zigzag(uint64_t v)
{
	return v >> 1 ^ (0 - (v & 1));
}

/* Is [p, p + len) ASCII without NUL? Reads up to 15 bytes more. */
static inline int plain(const uint8_t *p, size_t len)
{
	const __m128i zero = _mm_setzero_si128();
	unsigned good;

	for (; unlikely(len > 16); p += 16, len -= 16) {
		good = (unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(_mm_loadu_si128((const __m128i_u *)p), zero));
		if (unlikely(good != 0xffff))
			return 0;
	}
	good = (unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(_mm_loadu_si128((const __m128i_u *)p), zero));
	return !(~good & ((1u << len) - 1));
}

/* Is [p, p + len) one of the texts that have a key? Reads 16 bytes, whatever len is. */
static inline int is_among(const struct sch_among *t, const uint8_t *p, size_t len)
{
	static const uint8_t ones[32] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
	const uint8_t *mask = ones + 16;

	if (unlikely(len - 1 >= SCH_AMONG_LEN))
		return 0;
	mask -= len;
	const __m128i x = _mm_and_si128(_mm_loadu_si128((const __m128i_u *)p), _mm_loadu_si128((const __m128i_u *)mask));
	uint64_t low = (uint64_t)_mm_cvtsi128_si64(x);
	uint64_t high = (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(x, x)) | (uint64_t)len << 56;
	const uint64_t *slot = t->slot + sch_among_slot(t, low, high);

	return slot[0] == low && slot[1] == high;
}

/* Where the value of the field with this tag begins; the tag has been read. */
static inline const uint8_t *value_of(const uint8_t *tag)
{
	while (*tag++ >= 0x80)
		;
	return tag;
}

static inline uint64_t word_key(uint8_t op, const uint8_t *p)
{
	switch (op) {
	case SCH_OP_FIXED64:
		return load64(p);
	case SCH_OP_DOUBLE:
		return sch_key_double(load64(p));
	case SCH_OP_FLOAT:
		return sch_key_float(load32(p));
	case SCH_OP_SFIXED32:
		return (uint64_t)(int64_t)(int32_t)load32(p);
	default:
		return load32(p);
	}
}

/* Fixed words of packed content. Their number is added to *n. */
static enum sch_reason packed_words(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag, const uint8_t *p,
				    const uint8_t *end, uint32_t *n)
{
	size_t size = f->wire == SCH_W_FIXED64 ? 8 : 4, extra = (size_t)(end - p) % size;
	const uint8_t *start = p;

	if (unlikely(extra))
		return sch_walk_refuse_field(w, SCH_PACKED, f, f->number, tag, start, end - extra);
	*n += (uint32_t)((size_t)(end - p) / size);
	if (f->n_rules == f->n_list && f->size == UINT64_MAX) /* all that fits the type is good */
		return SCH_OK;
	for (; p < end; p += size) {
		uint64_t key = word_key(f->elem, p);

		if (unlikely(key - f->lo >= f->size)) {
			enum sch_reason why = sch_walk_number(w, f, tag, start, p, key);

			if (why)
				return why;
		}
	}
	return SCH_OK;
}

/* --- what the loop leaves to others: it puts down where it is, and takes it up again ---------------------------------- */

/* Gives a level what only some messages need. */
static inline void level_prepare(struct sch_walk *w, const struct sch_message *m, struct sch_level *l)
{
	l->first_key = w->keys.n;
	l->more = &w->more[w->n_more];
	l->counts = &w->counts[w->n_counts];
	w->n_more += m->n_words - 1u;
	w->n_counts += m->n_counts;
	for (uint32_t i = 0; i + 1 < m->n_words; i++)
		l->more[i] = 0;
	for (uint32_t i = 0; i < m->n_counts; i += COUNTS_STEP) /* zeroes what may lie behind, too */
		_mm_storeu_si128((__m128i_u *)&l->counts[i], _mm_setzero_si128());
}

static __attribute__((noinline)) void level_space(struct sch_walk *w)
{
	struct sch_level *l = &w->level[w->depth];

	level_prepare(w, &w->set->messages[l->msg], l);
}

static void level_release(struct sch_walk *w, const struct sch_message *m)
{
	w->n_more -= m->n_words - 1u;
	w->n_counts -= m->n_counts;
}

/* Are there more or fewer elements in a counted field than its guard allows? */
static int counts_odd(const struct sch_set *s, const struct sch_message *m, const struct sch_level *l)
{
	int odd = 0;

	for (uint32_t i = 0; i < m->n_counts; i++) {
		const struct sch_bound *b = &s->bounds[m->bounds + i];

		odd |= l->counts[i] - b->lo > b->span;
	}
	return odd;
}

/* A varint of any length in its shortest form. */
struct strict_varint {
	const uint8_t *next; /* NULL: none, and w->why */
	uint64_t v;
};

static __attribute__((noinline)) struct strict_varint strict_varint(struct sch_walk *w, const uint8_t *p, const uint8_t *end)
{
	struct strict_varint x = { 0 };

	x.next = sch_varint_strict(p, end, &x.v, &w->why);
	return x;
}

/* The length at w->next: to w->len, and what follows it, to w->at. */
static cold enum sch_reason long_length(struct sch_walk *w)
{
	const uint8_t *end = w->level[w->depth].end;
	struct strict_varint x = strict_varint(w, w->next, end);

	if (!x.next)
		return sch_walk_varint(w, w->why, w->field, w->tag, w->next);
	if (x.next > end || x.v > (uint64_t)(end - x.next)) /* behind the end where the tag is cut off */
		return sch_walk_overrun(w, w->tag);
	w->at = x.next;
	w->len = x.v;
	return SCH_OK;
}

/* A tag that is not the expected one, at w->tag: its field, how to take what follows, and where that is. The field is NULL at the
 * end of a group. */
static __attribute__((noinline)) enum sch_reason field_at(struct sch_walk *w)
{
	const struct sch_set *s = w->set;
	const struct sch_level *l = &w->level[w->depth];
	const struct sch_field *f;
	enum sch_reason why = SCH_OK;
	const uint8_t *p = w->tag;
	uint64_t tag = *p;

	w->field = NULL;
	w->next = p;
	if (likely(tag < 0x80))
		p++;
	else
		p = sch_varint_strict_slow(p, l->end, &tag, &why);
	if (unlikely(!p || tag > UINT32_MAX))
		return sch_walk_tag(w, w->tag);
	uint32_t i = sch_field_find(s, &s->messages[l->msg], (uint32_t)tag >> 3), wire = tag & 7;

	if (unlikely(i == SCH_NONE || s->fields[i].elem == SCH_OP_UNKNOWN))
		return sch_walk_tag(w, w->tag);
	f = &s->fields[i];
	w->op = f->wide;
	if (f->wide == SCH_OP_PACKED && wire == f->wire)
		w->op = f->flags & SCH_F_COUNTED ? SCH_OP_COUNTED : f->elem;
	else if (unlikely(wire != (f->wide == SCH_OP_PACKED ? SCH_W_LEN : f->wire)))
		return sch_walk_tag(w, w->tag);
	w->field = f;
	w->next = p;
	return unlikely(f->flags & SCH_F_FAR) ? sch_walk_presence(w, f, w->tag) : SCH_OK;
}

/* A string that ought to have a format. */
static __attribute__((noinline)) enum sch_reason format_at(struct sch_walk *w)
{
	const struct sch_field *f = w->field;

	if (likely(w->len - f->lo < f->size && sch_format_has((enum sch_format)f->format, w->at, w->len)))
		return SCH_OK;
	return sch_walk_string(w, f, w->tag, w->at, (uint32_t)w->len);
}

/* A number outside its guard: w->len. */
static __attribute__((noinline)) enum sch_reason odd_number(struct sch_walk *w)
{
	if (w->next > w->level[w->depth].end)
		return sch_walk_overrun(w, w->tag);
	return sch_walk_number(w, w->field, w->tag, NULL, value_of(w->tag), w->len);
}

/* The top bits of 32 bytes. */
static inline uint32_t tops(__m128i a, __m128i b)
{
	return (uint32_t)_mm_movemask_epi8(a) | (uint32_t)_mm_movemask_epi8(b) << 16;
}

/* Closes up the seven-bit groups of eight bytes. */
static inline uint64_t gather(uint64_t x)
{
	x = (x & 0x007f007f007f007fu) | (x & 0x7f007f007f007f00u) >> 1;
	x = (x & 0x00003fff00003fffu) | (x & 0x3fff00003fff0000u) >> 2;
	return (x & 0x000000000fffffffu) | (x & 0x0fffffff00000000u) >> 4;
}

#define LOOP_NAME(part) part##_plain
#define LOOP_TARGET
#define LOOP_WIDE 0
#define GATHER(x) gather(x)
#include "loop.inc"
#undef LOOP_NAME
#undef LOOP_TARGET
#undef LOOP_WIDE
#undef GATHER

#define LOOP_NAME(part) part##_avx2
#define LOOP_TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define LOOP_WIDE 1
#define GATHER(x) __builtin_ia32_pext_di(x, ~TOPS)
#include "loop.inc"
#undef LOOP_NAME
#undef LOOP_TARGET
#undef LOOP_WIDE
#undef GATHER

/* Everything but the loop itself. */
static inline enum sch_reason walk_start(struct sch_walk *w, uint32_t type, size_t len)
{
	const struct sch_message *m = &w->set->messages[type];
	struct sch_level *l = w->level;

	w->first_reason = SCH_OK;
	w->n_violations = 0;
	w->depth = 0;
	w->n_spans = 0;
	w->n_more = w->n_counts = 0;
	w->keys.n = 0;
	w->trial.work = SCH_PATTERN_WORK_MAX;
	w->trial.steps = SCH_EXPRS_STEPS_MAX;
	l->start = w->msg;
	l->end = w->msg + len;
	l->msg = type;
	l->field = SCH_NONE;
	l->group = 0;
	l->muted = w->ask->no_rules;
	l->ends = m->ends;
	if (m->ends & SCH_E_SPACE)
		level_prepare(w, m, l);
	if (likely(w->set->fast))
		return walk_avx2(w, m, l->start, l->end);
	return walk_plain(w, m, l->start, l->end);
}

static int result_start(const struct sch_set *set, uint32_t type, size_t len, struct sch_result *r)
{
	r->reason = SCH_OK;
	r->offset = 0;
	r->rule = SCH_NONE;
	r->for_key = 0;
	r->n_spans = 0;
	r->spans_cut = 0;
	r->depth = 0;
	if (unlikely(len > BYTES_MAX))
		r->reason = SCH_TOO_LONG;
	else if (unlikely(set->messages[type].flags & SCH_M_BAD))
		r->reason = SCH_RULE_ERROR;
	return !r->reason;
}

enum sch_reason sch_validate(const struct sch_set *set, uint32_t type, const uint8_t *msg, size_t len,
			     struct sch_result *r)
{
	static const struct sch_ask nothing;
	struct sch_walk w;

	if (unlikely(!result_start(set, type, len, r)))
		return r->reason;
	w.set = set;
	w.msg = msg;
	w.r = r;
	w.ask = &nothing;
	w.tallies = NULL;
	w.trial.now.known = 0;
	return walk_start(&w, type, len);
}

enum sch_reason sch_validate_ask(const struct sch_set *set, uint32_t type, const uint8_t *msg, size_t len,
				 const struct sch_ask *ask, struct sch_result *r)
{
	struct sch_result first;
	struct sch_tallies tallies;
	struct sch_walk w;
	enum sch_reason why;

	if (!result_start(set, type, len, r))
		return r->reason;
	w.set = set;
	w.msg = msg;
	w.r = r;
	w.ask = ask;
	w.first = &first;
	w.tallies = ask->each ? &tallies : NULL;
	if (w.tallies)
		sch_tallies_start(w.tallies);
	w.trial.now = (struct sch_now){ ask->has_now, ask->now_s, ask->now_ns };
	why = walk_start(&w, type, len);
	if (why || !w.first_reason)
		return why;
	first.n_spans = r->n_spans; /* the walk went on after the first violation */
	first.spans_cut = r->spans_cut;
	memcpy(first.span, r->span, r->n_spans * sizeof r->span[0]);
	*r = first;
	return r->reason;
}
