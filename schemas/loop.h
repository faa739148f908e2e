/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict validator's loop itself. validate.c includes it once for each kind of processor, with LOOP_NAME the function's
 * name, LOOP_TARGET its attributes, and GATHER(x) which closes up the seven-bit groups of a varint's bytes.
 *
 * It expects each field after the one before it in the table, so that a tag is mostly one comparison, and each handler
 * jumps to the next by itself: a processor foresees those jumps better than one in a common place. It reads up to SCH_PAD
 * bytes ahead without asking. What lies beyond a level's end is found when the next tag is due, before it counts.
 *
 * States: reading fields of the innermost open message (a level); closing it at its end, or at its end tag where it is
 * a group. A level closes only complete. */

/* A varint and what follows it. */
struct LOOP_NAME(varint) {
	const uint8_t *next; /* NULL: longer than eight bytes, or not in its shortest form */
	uint64_t v;
};

/* Without a branch on how long it is. */
static inline __attribute__((always_inline)) LOOP_TARGET struct LOOP_NAME(varint) LOOP_NAME(varint)(const uint8_t *p)
{
	uint64_t x = load64(p), stop = ~x & TOPS;

	if (unlikely(!stop))
		return (struct LOOP_NAME(varint)){ NULL, 0 };
	unsigned last = (unsigned)__builtin_ctzll(stop) & ~7u; /* bit position of the last byte */

	x &= stop ^ (stop - 1);
	if (unlikely(!((x >> last) | (last == 0)))) /* one branch: a last byte of zero, but for a lone one */
		return (struct LOOP_NAME(varint)){ NULL, 0 };
	return (struct LOOP_NAME(varint)){ p + (last >> 3) + 1, GATHER(x) };
}

/* Decodes and judges the packed varints that start at a bit of `hard`, among those that end at a bit of `last`. */
static LOOP_TARGET enum sch_reason LOOP_NAME(packed_hard)(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag,
							  const uint8_t *start, const uint8_t *p, uint32_t hard, uint32_t last)
{
	enum sch_reason why = SCH_OK;

	hard &= (2u << (31 - __builtin_clz(last))) - 1;
	while (hard && !why) { /* its lowest bit is the first byte of one */
		uint32_t first = (uint32_t)__builtin_ctz(hard), len = (uint32_t)__builtin_ctz(last >> first) + 1;
		uint64_t v = GATHER(load64(p + first) & ~0ull >> (64 - 8 * len));

		if (f->elem == SCH_OP_ZIGZAG)
			v = zigzag(v);
		if (unlikely(v - f->lo >= f->size))
			why = sch_walk_number(w, f, tag, start, p + first, v);
		hard &= ~0u << (first + len - 1) << 1;
	}
	return why;
}

/* Varints of packed content [p, end), 32 bytes at a time: where they end is one mask, and only where a length and a last
 * byte do not vouch for all values are they decoded. Their number is added to *n. */
static LOOP_TARGET enum sch_reason LOOP_NAME(packed)(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag,
						     const uint8_t *p, const uint8_t *end, uint32_t *n)
{
	const __m128i zero = _mm_setzero_si128(), under = _mm_set1_epi8((char)(f->top - 1));
	const uint32_t easy = f->easy;
	const uint8_t *start = p;
	enum sch_reason why = SCH_OK;

	while (p < end) {
		const __m128i a = _mm_loadu_si128((const __m128i_u *)p), b = _mm_loadu_si128((const __m128i_u *)(p + 16));
		uint32_t more = tops(a, b), hard = ~0u, runs;
		uint32_t last = ~more & (uint32_t)(end - p >= 32 ? ~0ull : (1ull << (end - p)) - 1);

		runs = more & more >> 1;
		runs &= runs >> 2;
		runs &= runs >> 4; /* where eight bytes go on */
		if (unlikely(runs || !last || (tops(_mm_cmpeq_epi8(a, zero), _mm_cmpeq_epi8(b, zero)) & more << 1 & last))) {
			const uint8_t *one = p; /* long, cut off, or not the shortest somewhere in here: one by one */
			struct strict_varint x = strict_varint(p, end);

			if (!x.next)
				return sch_walk_refuse_field(w, x.why == SCH_TRUNCATED ? SCH_PACKED : x.why, f, f->number,
							     tag, start, one);
			p = x.next;
			x.v = f->elem == SCH_OP_ZIGZAG ? zigzag(x.v) : x.v;
			if (unlikely(x.v - f->lo >= f->size) && (why = sch_walk_number(w, f, tag, start, one, x.v)))
				return why;
			++*n;
			continue;
		}
		*n += (uint32_t)__builtin_popcount(last);
		for (uint32_t i = 0; i < easy; i++)
			hard &= more >> i;
		/* longer by one with a last byte that is too large, or longer still? */
		if (unlikely((last & (uint64_t)hard << easy & tops(_mm_cmpgt_epi8(a, under), _mm_cmpgt_epi8(b, under))) ||
			     (hard & (uint64_t)more >> easy)) &&
		    (why = LOOP_NAME(packed_hard)(w, f, tag, start, p, hard, last)))
			return why;
		p += 32 - __builtin_clz(last);
	}
	return SCH_OK;
}

static LOOP_TARGET enum sch_reason LOOP_NAME(walk)(struct sch_walk *w)
{
	static const void *const handlers[SCH_OP_COUNT] = {
		[SCH_OP_NONE] = &&other,         [SCH_OP_VARINT] = &&op_varint,     [SCH_OP_SMALL] = &&op_small,
		[SCH_OP_ZIGZAG] = &&op_zigzag,   [SCH_OP_FIXED64] = &&op_fixed64,   [SCH_OP_FIXED32] = &&op_fixed32,
		[SCH_OP_SFIXED32] = &&op_sfixed32, [SCH_OP_DOUBLE] = &&op_double,   [SCH_OP_FLOAT] = &&op_float,
		[SCH_OP_STRING] = &&op_string,   [SCH_OP_BYTES] = &&op_bytes,       [SCH_OP_MESSAGE] = &&op_message,
		[SCH_OP_GROUP] = &&op_group,     [SCH_OP_PACKED] = &&op_packed,     [SCH_OP_COUNTED] = &&op_counted,
		[SCH_OP_WIDE] = &&op_wide,       [SCH_OP_UNKNOWN] = &&other,        [SCH_OP_FORMAT] = &&op_format,
	};
	const struct sch_set *const s = w->set;
	struct sch_level *l = w->level;
	const struct sch_message *m = &s->messages[l->msg];
	const struct sch_field *f = &s->fields[m->first]; /* the one that is expected, then the one at hand */
	const uint8_t *p = l->start, *end = l->end, *tag = p, *at;
	struct sch_span *span = w->r->span, *const spans_end = span + SCH_SPANS_MAX;
	enum sch_reason why;
	uint64_t seen = 0, v;

/* Takes the next tag. Every turn either moves p or closes a level. */
#define NEXT()                                                                                                         \
	do {                                                                                                           \
		if (unlikely(p >= end))                                                                                \
			goto ended;                                                                                    \
		tag = p;                                                                                               \
		if (unlikely(*p++ != f->tag0))                                                                         \
			goto not_this;                                                                                 \
		goto *handlers[f->op];                                                                                 \
	} while (0)
#define STEP() (f = (const struct sch_field *)((const char *)f + f->step))
/* A field that may occur once, and its oneof that may be set once. */
#define PRESENCE()                                                                                                     \
	do {                                                                                                           \
		if (unlikely(seen & f->mask))                                                                          \
			goto again;                                                                                    \
		seen |= f->mask;                                                                                       \
	} while (0)
#define NUMBER(key)                                                                                                    \
	do {                                                                                                           \
		v = (key);                                                                                             \
		if (unlikely(v - f->lo >= f->size))                                                                    \
			goto number;                                                                                   \
		STEP();                                                                                                \
		NEXT();                                                                                                \
	} while (0)
/* The length of what follows, and what follows. */
#define LENGTH()                                                                                                       \
	do {                                                                                                           \
		v = *p;                                                                                                \
		at = p + 1;                                                                                            \
		if (unlikely(v >= 0x80)) {                                                                             \
			struct strict_varint x = strict_varint(p, end);                                                \
                                                                                                                       \
			if (unlikely(!x.next))                                                                         \
				return sch_walk_refuse_field(w, x.why, f, f->number, tag, NULL, p);                    \
			v = x.v < BYTES_MAX ? x.v : BYTES_MAX;                                                         \
			at = x.next;                                                                                   \
		}                                                                                                      \
		if (unlikely((ptrdiff_t)v > end - at))                                                                 \
			return sch_walk_overrun(w, tag);                                                               \
	} while (0)

	NEXT();

not_this: /* the one after the expected? */
	f++;
	p = tag;
	if (likely(*p == f->tag0)) {
		p++;
		goto *handlers[f->op];
	}
other: { /* any */
	struct found x = field_at(s, m, tag, end);

	p = tag;
	f = x.field;
	if (unlikely(!f)) {
		why = sch_walk_tag(w, tag);
		if (why != SCH_OK)
			return why;
		goto close; /* the end of this group */
	}
	if (unlikely(f->flags & SCH_F_FAR)) {
		l->seen = seen;
		why = sch_walk_presence(w, f, tag);
		if (why)
			return why;
		seen = l->seen;
	}
	p = x.next;
	goto *handlers[x.op];
}
again:
	l->seen = seen;
	return sch_walk_presence(w, f, tag);
op_wide:
	if (unlikely(*p != f->tag1))
		goto not_this;
	p++;
	goto *handlers[f->wide];
op_counted:
	l->counts[f->count]++;
	goto *handlers[f->elem];

op_small:
	PRESENCE();
	v = *p;
	if (unlikely(v >= 0x80))
		goto any_varint;
	p++;
	NUMBER(v);
op_varint:
	PRESENCE();
any_varint: {
	struct LOOP_NAME(varint) x = LOOP_NAME(varint)(p);

	if (unlikely(!x.next))
		goto long_varint;
	p = x.next;
	NUMBER(x.v);
}
op_zigzag: {
	PRESENCE();
	struct LOOP_NAME(varint) x = LOOP_NAME(varint)(p);

	if (unlikely(!x.next))
		goto long_varint;
	p = x.next;
	NUMBER(zigzag(x.v));
}
long_varint: {
	struct strict_varint x = strict_varint(p, end);

	if (unlikely(!x.next))
		return sch_walk_refuse_field(w, x.why, f, f->number, tag, NULL, p);
	p = x.next;
	NUMBER(f->elem == SCH_OP_ZIGZAG ? zigzag(x.v) : x.v);
}
op_fixed64:
	PRESENCE();
	p += 8;
	NUMBER(load64(p - 8));
op_double:
	PRESENCE();
	p += 8;
	NUMBER(sch_key_double(load64(p - 8)));
op_fixed32:
	PRESENCE();
	p += 4;
	NUMBER(load32(p - 4));
op_sfixed32:
	PRESENCE();
	p += 4;
	NUMBER((uint64_t)(int64_t)(int32_t)load32(p - 4));
op_float:
	PRESENCE();
	p += 4;
	NUMBER(sch_key_float(load32(p - 4)));
number: /* outside its guard */
	if (p > end)
		return sch_walk_overrun(w, tag);
	why = sch_walk_number(w, f, tag, NULL, value_of(tag), v);
	if (why)
		return why;
	STEP();
	NEXT();

op_string:
	PRESENCE();
	LENGTH();
	if (unlikely(!plain(at, v))) {
		why = sch_walk_string(w, f, tag, at, (uint32_t)v);
		if (why)
			return why;
		goto span;
	}
	goto text;
op_format:
	PRESENCE();
	LENGTH();
	if (likely(v - f->lo < f->size && sch_format_has((enum sch_format)f->format, at, v)))
		goto span;
	why = sch_walk_string(w, f, tag, at, (uint32_t)v);
	if (why)
		return why;
	goto span;
op_bytes:
	PRESENCE();
	LENGTH();
text:
	if (unlikely(v - f->lo >= f->size)) {
		why = sch_walk_text(w, f, tag, at, (uint32_t)v);
		if (why)
			return why;
	}
span:
	p = at + v;
	if (unlikely(span == spans_end))
		w->r->spans_cut |= v != 0;
	else if (likely(v))
		*span++ = (struct sch_span){ (uint32_t)(at - w->msg), (uint32_t)v, (uint32_t)(f - s->fields) };
	STEP();
	NEXT();
op_packed:
	LENGTH();
	p = at + v;
	{
		uint32_t n = 0;

		why = f->wire == SCH_W_VARINT ? LOOP_NAME(packed)(w, f, tag, at, p, &n) : packed_words(w, f, tag, at, p, &n);
		if (unlikely(why))
			return why;
		if (f->flags & SCH_F_COUNTED)
			l->counts[f->count] += n;
	}
	NEXT();

op_group:
	PRESENCE();
	if (unlikely(p > end))
		return sch_walk_overrun(w, tag);
	at = end;
	v = f->number;
	goto open;
op_message:
	PRESENCE();
	LENGTH();
	p = at;
	at += v;
	v = 0;
open:
	if (unlikely(w->depth == SCH_DEPTH_MAX))
		return sch_walk_refuse_field(w, SCH_DEPTH, f, f->number, tag, NULL, tag);
	l->seen = seen;
	w->depth++;
	l[1].muted = l->muted | f->mute;
	l++;
	l->start = p;
	l->end = end = at;
	l->msg = f->sub;
	l->field = (uint32_t)(f - s->fields);
	l->tag = (uint32_t)(tag - w->msg);
	l->group = (uint32_t)v;
	l->ends = f->ends;
	m = &s->messages[f->sub];
	if (unlikely(l->ends & SCH_E_SPACE))
		level_prepare(w, m, l);
	seen = 0;
	f = &s->fields[m->first];
	NEXT();

ended:
	if (unlikely(p > end))
		return sch_walk_overrun(w, tag);
	if (unlikely(l->group))
		return sch_walk_refuse(w, SCH_GROUP, p);
close:
	if (unlikely(l->ends || m->must0 & ~seen)) {
		if (l->ends & SCH_E_LOOK || m->must0 & ~seen || counts_odd(s, m, l)) {
			l->seen = seen;
			why = sch_walk_close(w, p);
			if (why)
				return why;
		}
		if (l->ends & SCH_E_SPACE)
			level_release(w, m);
	}
	if (unlikely(w->depth == 0))
		goto done;
	if (unlikely(l->group))
		p = strict_varint(p, end).next; /* the end tag, known to be there */
	f = &s->fields[l->field];
	STEP();
	w->depth--;
	l--;
	m = &s->messages[l->msg];
	end = l->end;
	seen = l->seen;
	NEXT();
done:
	w->r->n_spans = (uint32_t)(span - w->r->span);
	return SCH_OK;
#undef NEXT
#undef STEP
#undef PRESENCE
#undef NUMBER
#undef LENGTH
}
