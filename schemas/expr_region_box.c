/* SPDX-License-Identifier: BSD-2-Clause */
/* Boxes and unions of boxes: intersection, union, difference, and what fields have to do with each other. A field in a message
 * that is absent reads its default; one that does not read its default is set, and so are the messages around it; of a oneof
 * at most one member is set; what a string is decides how it begins. All of that is exact but for texts under several
 * conditions at once, where only plain contradictions are seen: a box may be empty without being found so, and then nothing
 * here says that something is in it either. */
#include <stdlib.h>
#include <string.h>

#include "expr_region_parts.h"

/* --- one box ---------------------------------------------------------------------------------------------------------- */

static struct reg_part *part_find(const struct reg_box *b, const struct reg_axis *a)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (!reg_axis_order(b->part[i].axis, a))
			return &b->part[i];
	return NULL;
}

static void parts_drop(struct reg_box *b, const uint8_t *drop)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->n; i++)
		if (!drop[i])
			b->part[n++] = b->part[i];
	b->n = n;
}

/* Is the k-th step of the axis sure to be set in every message of the box? */
static int step_set(const struct reg_part *p, uint32_t k)
{
	return !reg_admits_absent(p->axis, &p->cut) && (k + 1 < p->axis->n || p->axis->step[k].presence);
}

/* Two members of one oneof that are both set. */
static int oneofs_clash(const struct reg_part *p, const struct reg_part *q)
{
	uint32_t k = reg_axis_common(p->axis, q->axis);

	if (!p->axis->n || !q->axis->n || strcmp(p->axis->root, q->axis->root) != 0 || k >= p->axis->n || k >= q->axis->n)
		return 0;
	return p->axis->step[k].oneof != SCH_NONE && p->axis->step[k].oneof == q->axis->step[k].oneof && step_set(p, k) &&
	       step_set(q, k);
}

/* What has() says of one field decides the others that are in it. */
static int presence_settle(struct reg_box *b, uint8_t *drop)
{
	for (uint32_t i = 0; i < b->n; i++) {
		const struct reg_part *has = &b->part[i];
		int set;

		if (has->axis->about != REG_HAS || drop[i])
			continue;
		set = !reg_spans_has(&has->cut.spans, 0);
		for (uint32_t k = 0; k < b->n; k++) {
			const struct reg_part *p = &b->part[k];
			int admits;

			if (k == i || drop[k] || reg_axis_common(has->axis, p->axis) != has->axis->n)
				continue;
			admits = reg_admits_absent(p->axis, &p->cut);
			if (!set && !admits)
				return 0;
			if (!set)
				drop[k] = 1;
			else if (!admits)
				drop[i] = 1; /* it goes without saying */
		}
	}
	for (uint32_t i = 0; i < b->n; i++)
		for (uint32_t k = i + 1; k < b->n; k++)
			if (!drop[i] && !drop[k] && oneofs_clash(&b->part[i], &b->part[k]))
				return 0;
	return 1;
}

static int wanted(const struct reg_part *p) /* of atoms: the text must, and not: must not */
{
	return !reg_spans_has(&p->cut.spans, 0);
}

/* Do two conditions on one text contradict each other for sure? */
static int atoms_clash(const struct reg_part *p, const struct reg_part *q)
{
	const struct reg_axis *a = p->axis, *b = q->axis;

	if (!wanted(p))
		return 0;
	if (wanted(q)) {
		/* the shorter of two beginnings begins the longer one; likewise ends */
		const struct reg_axis *s = a->arg.len < b->arg.len ? a : b, *l = s == a ? b : a;
		struct reg_text whole = l->arg;
		struct reg_cut yes = { .spans = p->cut.spans };

		return a->about == b->about && a->about != REG_CONTAINS && !reg_text_fits(s, &yes, &whole);
	}
	/* what any text with p's must have is what p's own argument has, at that end */
	return (b->about == a->about || b->about == REG_CONTAINS) && !reg_text_fits(b, &q->cut, &a->arg);
}

/* The parts from i to j (without) are about one text. */
static int text_settle(struct reg_mem *m, struct reg_box *b, uint32_t i, uint32_t j, uint8_t *drop)
{
	struct reg_part *text = NULL, *size = NULL;

	for (uint32_t k = i; k < j; k++) {
		if (b->part[k].axis->about == REG_TEXT)
			text = &b->part[k];
		if (b->part[k].axis->about == REG_SIZE)
			size = &b->part[k];
	}
	if (text && !text->cut.neg) { /* those listed answer all else */
		struct reg_text *left = reg_alloc(m, text->cut.n, sizeof *left);
		uint32_t n = 0;

		for (uint32_t t = 0; left && t < text->cut.n; t++) {
			int fits = 1;

			for (uint32_t k = i; k < j && fits; k++)
				if (b->part[k].axis->about > REG_TEXT)
					fits = reg_text_fits(b->part[k].axis, &b->part[k].cut, &text->cut.text[t]);
			if (fits)
				left[n++] = text->cut.text[t];
		}
		for (uint32_t k = i; k < j; k++)
			drop[k] |= b->part[k].axis->about > REG_TEXT;
		text->cut = (struct reg_cut){ .n = n, .text = left };
		return n > 0 || m->failed;
	}
	if (text && size && size->cut.spans.s[size->cut.spans.n - 1].hi == 0) { /* empty, then */
		struct reg_text *empty = reg_alloc(m, 1, sizeof *empty);
		struct reg_text nothing = { 0, "" };

		if (!empty)
			return 1;
		*empty = nothing;
		if (!reg_text_fits(text->axis, &text->cut, &nothing))
			return 0;
		text->cut = (struct reg_cut){ .n = 1, .text = empty };
		return text_settle(m, b, i, j, drop);
	}
	for (uint32_t k = i; k < j; k++) {
		const struct reg_part *p = &b->part[k];

		if (p->axis->about < REG_PREFIX || p->axis->about > REG_CONTAINS)
			continue;
		for (uint32_t l = i; l < j; l++)
			if (l != k && b->part[l].axis->about >= REG_PREFIX && b->part[l].axis->about <= REG_CONTAINS &&
			    atoms_clash(p, &b->part[l]))
				return 0;
		if (size && wanted(p) && size->cut.spans.n &&
		    size->cut.spans.s[size->cut.spans.n - 1].hi < reg_text_size(p->axis, &p->axis->arg))
			return 0;
	}
	return 1;
}

static int same_field(const struct reg_axis *a, const struct reg_axis *b)
{
	return a->n && a->n == b->n && reg_axis_common(a, b) == a->n;
}

int reg_box_settle(struct reg_mem *m, struct reg_box *b)
{
	uint8_t *drop = b->n ? reg_alloc(m, b->n, 1) : NULL;

	if (!drop)
		return 1;
	for (uint32_t i = 0; i < b->n; i++) {
		if (reg_cut_empty(b->part[i].axis, &b->part[i].cut))
			return 0;
		drop[i] = reg_cut_full(b->part[i].axis, &b->part[i].cut) != 0;
	}
	parts_drop(b, drop);
	memset(drop, 0, b->n);
	for (uint32_t i = 0, j; i < b->n; i = j) {
		for (j = i + 1; j < b->n && same_field(b->part[i].axis, b->part[j].axis);)
			j++;
		if (b->part[i].axis->kind != REG_LIST && j - i > 1 && !text_settle(m, b, i, j, drop))
			return 0;
	}
	parts_drop(b, drop);
	memset(drop, 0, b->n);
	if (!presence_settle(b, drop))
		return 0;
	parts_drop(b, drop);
	return 1;
}

static struct reg_box box_copy(struct reg_mem *m, const struct reg_box *b, uint32_t more)
{
	struct reg_box out = { b->n, reg_alloc(m, (size_t)b->n + more, sizeof *out.part) };

	if (out.part && b->n)
		memcpy(out.part, b->part, b->n * sizeof *b->part);
	return out;
}

/* Adds a cut; room for one more part is there. 0: nothing is left, as far as this axis goes. */
static int box_cut(struct reg_mem *m, struct reg_box *b, const struct reg_part *p)
{
	struct reg_part *mine = part_find(b, p->axis);
	uint32_t i;

	if (mine) {
		mine->cut = reg_cut_and(m, p->axis, &mine->cut, &p->cut);
		return !reg_cut_empty(p->axis, &mine->cut);
	}
	for (i = b->n; i > 0 && reg_axis_order(b->part[i - 1].axis, p->axis) > 0; i--)
		b->part[i] = b->part[i - 1];
	b->part[i] = *p;
	b->n++;
	return !reg_cut_empty(p->axis, &p->cut);
}

/* 0: nothing is in both. */
static int box_and(struct reg_mem *m, const struct reg_box *a, const struct reg_box *b, struct reg_box *out)
{
	*out = box_copy(m, a, b->n);
	for (uint32_t i = 0; out->part && i < b->n; i++)
		if (!box_cut(m, out, &b->part[i]))
			return 0;
	return out->part ? reg_box_settle(m, out) : 0;
}

/* Is all of a in b? 0 also where that is not seen. */
static int box_within(const struct reg_box *a, const struct reg_box *b)
{
	if (b->n > a->n)
		return 0;
	for (uint32_t i = 0, k = 0; i < b->n; i++, k++) {
		const struct reg_part *p = &b->part[i];
		int order = -1;

		for (; k < a->n && (order = reg_axis_order(a->part[k].axis, p->axis)) < 0;)
			k++;
		if (k == a->n || order != 0 || !reg_cut_within(p->axis, &a->part[k].cut, &p->cut))
			return 0;
	}
	return 1;
}

/* --- unions ----------------------------------------------------------------------------------------------------------- */

static const struct reg_boxes vague = { .vague = 1 };

struct reg_boxes reg_none(void)
{
	return (struct reg_boxes){ 0 };
}

static void boxes_add(struct reg_mem *m, struct reg_boxes *to, const struct reg_box *b)
{
	if (to->vague || m->failed)
		return;
	if (to->n == SCH_REGION_BOXES_MAX) {
		*to = vague;
		return;
	}
	if (to->n == to->room) {
		uint32_t room = to->room ? 2 * to->room : 4;
		struct reg_box *more = reg_alloc(m, room, sizeof *more);

		if (!more)
			return;
		if (to->n)
			memcpy(more, to->box, to->n * sizeof *more);
		to->box = more;
		to->room = room;
	}
	to->box[to->n++] = *b;
}

struct reg_boxes reg_all(struct reg_mem *m)
{
	struct reg_boxes all = { 0 };
	struct reg_box b = { 0 };

	boxes_add(m, &all, &b);
	return all;
}

struct reg_boxes reg_one(struct reg_mem *m, const struct reg_axis *a, struct reg_cut cut)
{
	struct reg_boxes out = { 0 };
	struct reg_box b = { 1, reg_alloc(m, 1, sizeof *b.part) };

	if (!b.part)
		return out;
	b.part[0] = (struct reg_part){ a, cut };
	if (!reg_is_text(a))
		b.part[0].cut.spans = reg_spans_and(m, &a->all, &cut.spans);
	if (reg_box_settle(m, &b))
		boxes_add(m, &out, &b);
	return out;
}

/* Where two boxes differ in one axis only, they are one. The result is in *a. */
static int box_join(struct reg_mem *m, struct reg_box *a, const struct reg_box *b)
{
	uint32_t differ = SCH_NONE;
	struct reg_box one;

	if (a->n != b->n)
		return 0;
	for (uint32_t i = 0; i < a->n; i++) {
		if (reg_axis_order(a->part[i].axis, b->part[i].axis) != 0)
			return 0;
		if (reg_cut_same(a->part[i].axis, &a->part[i].cut, &b->part[i].cut))
			continue;
		if (differ != SCH_NONE)
			return 0;
		differ = i;
	}
	if (differ == SCH_NONE)
		return 1;
	one = box_copy(m, a, 0);
	if (!one.part)
		return 0;
	one.part[differ].cut = reg_cut_or(m, a->part[differ].axis, &a->part[differ].cut, &b->part[differ].cut);
	reg_box_settle(m, &one); /* drops what is whole now */
	*a = one;
	return 1;
}

/* Fewer boxes that come to the same. Each round that changes something has a box less. */
static void boxes_merge(struct reg_mem *m, struct reg_boxes *b)
{
	int again = b->n <= REG_MERGE_MAX && !b->vague;

	while (again && !m->failed) { /* bounded by the number of boxes */
		again = 0;
		for (uint32_t i = 0; i < b->n; i++)
			for (uint32_t k = i + 1; k < b->n; k++) {
				int gone = box_within(&b->box[k], &b->box[i]);

				if (!gone && box_within(&b->box[i], &b->box[k])) {
					b->box[i] = b->box[k];
					gone = 1;
				}
				if (!gone && !box_join(m, &b->box[i], &b->box[k]))
					continue;
				memmove(&b->box[k], &b->box[k + 1], (b->n - k - 1) * sizeof *b->box);
				b->n--;
				k--;
				again = 1;
			}
	}
}

struct reg_boxes reg_and(struct reg_mem *m, const struct reg_boxes *a, const struct reg_boxes *b)
{
	struct reg_boxes out = { 0 };

	if ((!a->vague && !a->n) || (!b->vague && !b->n))
		return out;
	if (a->vague || b->vague || (uint64_t)a->n * b->n > REG_WORK_MAX)
		return vague;
	for (uint32_t i = 0; i < a->n && !out.vague; i++)
		for (uint32_t k = 0; k < b->n; k++) {
			struct reg_box both;

			if (box_and(m, &a->box[i], &b->box[k], &both))
				boxes_add(m, &out, &both);
		}
	boxes_merge(m, &out);
	return out;
}

static int is_all(const struct reg_boxes *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (!b->box[i].n)
			return 1;
	return 0;
}

struct reg_boxes reg_or(struct reg_mem *m, const struct reg_boxes *a, const struct reg_boxes *b)
{
	struct reg_boxes out = { 0 };

	if (is_all(a) || is_all(b))
		return reg_all(m);
	if (a->vague || b->vague)
		return vague;
	for (uint32_t i = 0; i < a->n + b->n; i++) {
		struct reg_box one = box_copy(m, i < a->n ? &a->box[i] : &b->box[i - a->n], 0); /* merging changes it */

		boxes_add(m, &out, &one);
	}
	boxes_merge(m, &out);
	return out;
}

/* Adds a without b: pieces that have nothing in common. */
static void box_less(struct reg_mem *m, const struct reg_box *a, const struct reg_box *b, struct reg_boxes *out)
{
	struct reg_box rest, both;

	if (!box_and(m, a, b, &both)) {
		boxes_add(m, out, a);
		return;
	}
	rest = box_copy(m, a, b->n);
	for (uint32_t i = 0; rest.part && i < b->n; i++) {
		struct reg_part outside = { b->part[i].axis, reg_cut_not(m, b->part[i].axis, &b->part[i].cut) };
		struct reg_box piece = box_copy(m, &rest, 1);

		if (piece.part && box_cut(m, &piece, &outside) && reg_box_settle(m, &piece))
			boxes_add(m, out, &piece);
		if (!box_cut(m, &rest, &b->part[i]))
			return;
	}
}

struct reg_boxes reg_less(struct reg_mem *m, const struct reg_boxes *a, const struct reg_boxes *b)
{
	struct reg_boxes rest = *a;
	uint32_t work = 0;

	if ((!a->vague && !a->n) || is_all(b))
		return reg_none();
	if (a->vague || b->vague)
		return vague;
	for (uint32_t i = 0; i < b->n && !rest.vague; i++) {
		struct reg_boxes next = { 0 };

		work += rest.n;
		if (work > REG_WORK_MAX)
			return vague;
		for (uint32_t k = 0; k < rest.n && !next.vague; k++)
			box_less(m, &rest.box[k], &b->box[i], &next);
		boxes_merge(m, &next);
		rest = next;
	}
	return rest;
}

struct reg_boxes reg_not(struct reg_mem *m, const struct reg_boxes *a)
{
	struct reg_boxes all = reg_all(m);

	return reg_less(m, &all, a);
}

/* --- regions ---------------------------------------------------------------------------------------------------------- */

static const void *bytes_copy(struct reg_mem *m, const void *at, size_t n, size_t size)
{
	void *out = n ? reg_alloc(m, n, size) : NULL;

	if (out)
		memcpy(out, at, n * size);
	return out;
}

static struct reg_text text_copy(struct reg_mem *m, const struct reg_text *t)
{
	return (struct reg_text){ t->len, t->len ? bytes_copy(m, t->at, t->len, 1) : "" };
}

static struct reg_spans spans_copy(struct reg_mem *m, const struct reg_spans *s)
{
	return (struct reg_spans){ s->n, bytes_copy(m, s->s, s->n, sizeof *s->s) };
}

static const struct reg_axis *axis_copy(struct reg_mem *m, const struct reg_axis *a)
{
	struct reg_axis *out = reg_alloc(m, 1, sizeof *out);

	if (!out)
		return NULL;
	*out = *a;
	out->step = bytes_copy(m, a->step, a->n, sizeof *a->step);
	out->root = bytes_copy(m, a->root, strlen(a->root) + 1, 1);
	out->arg = text_copy(m, &a->arg);
	out->zero_text = text_copy(m, &a->zero_text);
	out->all = spans_copy(m, &a->all);
	return out;
}

static int axis_pointers(const void *a, const void *b)
{
	return reg_axis_order(*(const struct reg_axis *const *)a, *(const struct reg_axis *const *)b);
}

static struct reg_cut cut_copy(struct reg_mem *m, const struct reg_cut *c)
{
	struct reg_cut out = { .neg = c->neg, .n = c->n };
	struct reg_text *text = c->n ? reg_alloc(m, c->n, sizeof *text) : NULL;

	for (uint32_t i = 0; text && i < c->n; i++)
		text[i] = text_copy(m, &c->text[i]);
	out.text = text;
	out.spans = spans_copy(m, &c->spans);
	return out;
}

/* Every axis once, so that a region with many boxes is not many times its size. */
static const struct reg_axis **axes_copy(struct reg_mem *m, struct reg_mem *scratch, const struct reg_boxes *b, uint32_t *n_axes)
{
	size_t n = 0, k = 0;
	const struct reg_axis **axes;

	for (uint32_t i = 0; i < b->n; i++)
		n += b->box[i].n;
	axes = reg_alloc(scratch, n, sizeof *axes);
	if (!axes)
		return NULL;
	n = 0;
	for (uint32_t i = 0; i < b->n; i++)
		for (uint32_t p = 0; p < b->box[i].n; p++)
			axes[n++] = b->box[i].part[p].axis;
	if (n)
		qsort(axes, n, sizeof *axes, axis_pointers);
	for (size_t i = 0; i < n; i++)
		if (!i || reg_axis_order(axes[i - 1], axes[i]) != 0)
			axes[k++] = axes[i];
	for (size_t i = 0; i < k; i++)
		axes[i] = axis_copy(m, axes[i]);
	*n_axes = (uint32_t)k;
	return axes;
}

struct sch_region *reg_region_make(const struct reg_mem *from, const struct reg_boxes *b)
{
	struct sch_region *r = from->failed == REG_FAILED_MEMORY ? NULL : calloc(1, sizeof *r);
	struct reg_mem scratch = { 0 };
	const struct reg_axis **axes;
	uint32_t n_axes = 0;

	if (!r)
		return NULL;
	r->boxes.vague = b->vague || from->failed;
	r->boxes.n = r->boxes.room = r->boxes.vague ? 0 : b->n;
	r->boxes.box = r->boxes.n ? reg_alloc(&r->mem, r->boxes.n, sizeof *r->boxes.box) : NULL;
	axes = r->boxes.n ? axes_copy(&r->mem, &scratch, b, &n_axes) : NULL;
	for (uint32_t i = 0; i < r->boxes.n && axes && !r->mem.failed; i++) {
		struct reg_box *box = &r->boxes.box[i];

		box->n = b->box[i].n;
		box->part = box->n ? reg_alloc(&r->mem, box->n, sizeof *box->part) : NULL;
		for (uint32_t k = 0; k < box->n && !r->mem.failed; k++) {
			const struct reg_axis *const *axis =
			    bsearch(&b->box[i].part[k].axis, axes, n_axes, sizeof *axes, axis_pointers);

			box->part[k] = (struct reg_part){ *axis, cut_copy(&r->mem, &b->box[i].part[k].cut) };
		}
	}
	if (r->mem.failed == REG_FAILED_MEMORY || scratch.failed == REG_FAILED_MEMORY) {
		sch_region_free(r);
		r = NULL;
	} else if (r->mem.failed || scratch.failed) {
		reg_mem_free(&r->mem);
		r->boxes = vague;
	}
	reg_mem_free(&scratch);
	return r;
}

void sch_region_free(struct sch_region *r)
{
	if (!r)
		return;
	reg_mem_free(&r->mem);
	free(r);
}

struct sch_region *sch_region_all(void)
{
	struct sch_region *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->boxes = reg_all(&r->mem);
	if (!r->mem.failed)
		return r;
	sch_region_free(r);
	return NULL;
}

struct sch_region *sch_region_none(void)
{
	return calloc(1, sizeof(struct sch_region));
}

struct sch_region *sch_region_and(const struct sch_region *a, const struct sch_region *b)
{
	struct reg_mem m = { 0 };
	struct reg_boxes both = reg_and(&m, &a->boxes, &b->boxes);
	struct sch_region *r = reg_region_make(&m, &both);

	reg_mem_free(&m);
	return r;
}

struct sch_region *sch_region_or(const struct sch_region *a, const struct sch_region *b)
{
	struct reg_mem m = { 0 };
	struct reg_boxes either = reg_or(&m, &a->boxes, &b->boxes);
	struct sch_region *r = reg_region_make(&m, &either);

	reg_mem_free(&m);
	return r;
}

struct sch_region *sch_region_not(const struct sch_region *a)
{
	struct reg_mem m = { 0 };
	struct reg_boxes outside = reg_not(&m, &a->boxes);
	struct sch_region *r = reg_region_make(&m, &outside);

	reg_mem_free(&m);
	return r;
}

struct sch_region *sch_region_less(const struct sch_region *a, const struct sch_region *b)
{
	struct reg_mem m = { 0 };
	struct reg_boxes rest = reg_less(&m, &a->boxes, &b->boxes);
	struct sch_region *r = reg_region_make(&m, &rest);

	reg_mem_free(&m);
	return r;
}

int sch_region_empty(const struct sch_region *r)
{
	return !r->boxes.vague && !r->boxes.n;
}
