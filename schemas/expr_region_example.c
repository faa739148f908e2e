/* SPDX-License-Identifier: BSD-2-Clause */
/* Is something in a region? A message of it is looked for, field by field, and each value is held against all that the region
 * and the rules of its own field ask; only what was found counts. Rules about other fields of the message are left out of
 * account. How the message is written is expr_region_show.c's. */
#include <math.h>
#include <string.h>

#include "expr_region_parts.h"
#include "pattern.h"
#include "rules.h"

#define ELEMENTS_MAX 1000u /* of a list in an example */
#define TEXT_MAX 4096u     /* bytes of a text, likewise */

static const struct sch_field *field_of(const struct reg_axis *a)
{
	return &a->set->fields[a->step[a->n - 1].field];
}

/* Do the rules of the field take the value? Rules about the present do not count as taking anything. */
static int judged(const struct reg_axis *a, const struct sch_value *v)
{
	const struct sch_field *f = field_of(a);
	struct sch_trial trial = { .now = { .known = 1 }, .work = SCH_PATTERN_WORK_MAX };

	if (a->muted || a->boxed)
		return 1; /* of wrappers with rules nothing is said at all */
	if (f->flags & SCH_F_ZERO_OK && sch_value_is_zero(a->set, f, v))
		return 1;
	for (uint32_t i = f->n_list; i < f->n_rules; i++) {
		const struct sch_rule *r = &a->set->rules[f->rules + i];

		if (r->op == SCH_R_LT_NOW || r->op == SCH_R_GT_NOW || r->op == SCH_R_WITHIN ||
		    sch_rule_judge(a->set, f, r, v, &trial) != SCH_MET)
			return 0;
	}
	return 1;
}

/* --- numbers ---------------------------------------------------------------------------------------------------------- */

static int num_fits(const struct reg_axis *a, const struct reg_cut *c, reg_num x)
{
	struct sch_value v = { .at = (const uint8_t *)"" };

	if (!reg_spans_has(&c->spans, x) || x == REG_INVALID)
		return 0;
	if (a->kind == REG_TIME || a->kind == REG_DURATION)
		return field_of(a)->n_rules == field_of(a)->n_list || a->muted;
	v.key = (uint64_t)x;
	/* strict messages do not write the zero of such a field for set */
	return judged(a, &v) && !(a->must && !a->muted && !a->step[a->n - 1].presence && x == 0);
}

/* A whole number near the lower end of an interval of doubles, where it has one. */
static reg_num num_whole(const struct reg_axis *a, const struct reg_span *s)
{
	static const double offsets[] = { 0, 1 };
	double lo = reg_double(a, s->lo);

	for (size_t i = 0; i < 2 && isfinite(lo); i++) {
		double d = ceil(lo) + offsets[i];
		reg_num x;

		if (a->kind == REG_FLOAT) {
			float f = (float)d;
			uint32_t bits;

			memcpy(&bits, &f, sizeof bits);
			x = (int64_t)sch_key_float(bits);
		} else {
			uint64_t bits;

			memcpy(&bits, &d, sizeof bits);
			x = (int64_t)sch_key_double(bits);
		}
		if (x >= s->lo && x <= s->hi)
			return x;
	}
	return s->lo;
}

/* The most ordinary number of a cut: zero, else one near it. */
static int num_find(const struct reg_axis *a, const struct reg_cut *c, reg_num *found)
{
	if (num_fits(a, c, 0)) {
		*found = 0;
		return 1;
	}
	for (int round = 0; round < 3; round++) /* what is positive first, what is no number last */
		for (uint32_t i = 0; i < c->spans.n; i++) {
			const struct reg_span *s = &c->spans.s[round == 1 ? c->spans.n - 1 - i : i];
			int real = a->about == REG_VALUE && (a->kind == REG_DOUBLE || a->kind == REG_FLOAT);
			reg_num first = real ? num_whole(a, s) : s->lo, tries[4];

			if (round < 2 && (s->hi < 0) != round)
				continue;
			tries[0] = round == 1 && !real ? s->hi : s->lo <= 1 && !real && s->hi >= 1 ? 1 : first;
			tries[1] = s->lo;
			tries[2] = s->hi;
			tries[3] = first + 1;
			for (size_t k = 0; k < 4; k++)
				if ((round == 2 || !real || isfinite(reg_double(a, tries[k]))) && num_fits(a, c, tries[k])) {
					*found = tries[k];
					return 1;
				}
		}
	return 0;
}

/* --- texts ------------------------------------------------------------------------------------------------------------ */

struct search {
	struct reg_mem *m;
	const struct reg_part *const *part;
	uint32_t n;
	struct reg_text *found;
	char at[TEXT_MAX + SCH_PAD];
	uint32_t len;
};

static int text_try(struct search *s)
{
	struct reg_text t = { s->len, s->at };
	struct sch_value v = { .at = (const uint8_t *)s->at, .len = s->len };
	const struct reg_axis *a = s->part[0]->axis;
	char *copy;

	for (uint32_t i = 0; i < s->n; i++)
		if (s->part[i]->axis->about != REG_HAS && !reg_text_fits(s->part[i]->axis, &s->part[i]->cut, &t))
			return 0;
	if (!judged(a, &v) ||
	    (!s->len && a->must && !a->muted && !a->step[a->n - 1].presence))
		return 0;
	copy = reg_alloc(s->m, (size_t)s->len + 1, 1);
	if (!copy)
		return 0;
	memcpy(copy, s->at, s->len);
	*s->found = (struct reg_text){ s->len, copy };
	return 1;
}

static void text_add(struct search *s, const char *at, uint32_t len)
{
	if (TEXT_MAX - s->len < len)
		len = TEXT_MAX - s->len;
	if (len)
		memcpy(s->at + s->len, at, len);
	s->len += len;
}

/* The i-th text of a rule. */
static struct reg_text rule_text(const struct sch_set *set, const struct sch_rule *r, uint32_t i)
{
	const struct sch_text *t = (const struct sch_text *)sch_rule_operands(set, r) + i;

	return (struct reg_text){ t->len, (const char *)set->pool + t->at };
}

/* The longest argument of the atoms of a kind that the text must meet, those of the schema's rules included. */
static struct reg_text text_wanted(const struct search *s, enum reg_about about)
{
	static const uint8_t ops[] = { SCH_R_PREFIX, SCH_R_SUFFIX, SCH_R_CONTAINS };
	const struct reg_axis *a = s->part[0]->axis;
	const struct sch_field *f = field_of(a);
	struct reg_text best = { 0, "" };

	for (uint32_t i = f->n_list; i < f->n_rules && !a->muted; i++) {
		const struct sch_rule *r = &a->set->rules[f->rules + i];

		if (r->op == ops[about - REG_PREFIX] && rule_text(a->set, r, 0).len > best.len)
			best = rule_text(a->set, r, 0);
	}

	for (uint32_t i = 0; i < s->n; i++) {
		const struct reg_part *p = s->part[i];

		if (p->axis->about == about && !reg_spans_has(&p->cut.spans, 0) && p->axis->arg.len > best.len)
			best = p->axis->arg;
	}
	return best;
}

/* Beginning, all that it shall contain, `pad` characters and the end. */
static int text_build(struct search *s, char filler, uint32_t pad, int inside)
{
	struct reg_text first = text_wanted(s, REG_PREFIX), last = text_wanted(s, REG_SUFFIX);

	s->len = 0;
	text_add(s, first.at, first.len);
	for (uint32_t i = 0; inside && i < s->n; i++)
		if (s->part[i]->axis->about == REG_CONTAINS && !reg_spans_has(&s->part[i]->cut.spans, 0))
			text_add(s, s->part[i]->axis->arg.at, s->part[i]->axis->arg.len);
	for (uint32_t i = 0; i < pad && s->len < TEXT_MAX; i++)
		text_add(s, &filler, 1);
	text_add(s, last.at, last.len);
	return text_try(s);
}

/* What the schema's rules list, and what is as long as they want. */
static int text_by_rules(struct search *s)
{
	const struct reg_axis *a = s->part[0]->axis;
	const struct sch_field *f = field_of(a);

	for (uint32_t i = f->n_list; i < f->n_rules && !a->muted; i++) {
		const struct sch_rule *r = &a->set->rules[f->rules + i];

		uint32_t listed = r->op == SCH_R_STR_IN ? r->n : r->op == SCH_R_STR_EQ;

		for (uint32_t k = 0; k < listed; k++) {
			struct reg_text t = rule_text(a->set, r, k);

			s->len = 0;
			text_add(s, t.at, t.len);
			if (text_try(s))
				return 1;
		}
		if ((r->op == SCH_R_LEN || r->op == SCH_R_BYTES) && r->a <= TEXT_MAX)
			for (int inside = 0; inside < 2; inside++) {
				text_build(s, 'a', 0, inside);
				if (s->len < r->a && text_build(s, 'a', (uint32_t)r->a - s->len, inside))
					return 1;
			}
	}
	return 0;
}

int reg_text_find(struct reg_mem *m, const struct reg_part *const *part, uint32_t n, struct reg_text *found)
{
	static const char fillers[] = "ax0-_";
	struct search *s = reg_alloc(m, 1, sizeof *s);
	uint32_t excluded = 0;

	if (!s || !n)
		return 0;
	s->m = m;
	s->part = part;
	s->n = n;
	s->found = found;
	for (uint32_t i = 0; i < n; i++) {
		const struct reg_cut *c = &part[i]->cut;

		if (part[i]->axis->about != REG_TEXT)
			continue;
		for (uint32_t k = 0; !c->neg && k < c->n; k++) {
			s->len = 0;
			text_add(s, c->text[k].at, c->text[k].len);
			if (text_try(s))
				return 1;
		}
		if (!c->neg)
			return 0;
		excluded = c->n < 16 ? c->n : 16;
	}
	for (int inside = 0; inside < 2; inside++)
		for (const char *f = fillers; *f; f++) {
			for (uint32_t pad = 0; pad <= excluded + 3; pad++)
				if (text_build(s, *f, pad, inside))
					return 1;
			for (uint32_t i = 0; i < n; i++) {
				const struct reg_part *p = part[i];

				for (uint32_t k = 0; p->axis->about == REG_SIZE && k < p->cut.spans.n; k++) {
					/* as much as the smallest size wants, beside what is there */
					struct reg_text all = { 0, s->at };
					reg_num want = p->cut.spans.s[k].lo;

					text_build(s, *f, 0, inside);
					all.len = s->len;
					want -= reg_text_size(p->axis, &all);
					if (want > 0 && want <= TEXT_MAX && text_build(s, *f, (uint32_t)want, inside))
						return 1;
				}
			}
		}
	if (text_by_rules(s))
		return 1;
	/* parts that overlap: what it must begin with may be all */
	for (enum reg_about about = REG_PREFIX; about <= REG_CONTAINS; about++) {
		struct reg_text t = text_wanted(s, about);

		s->len = 0;
		text_add(s, t.at, t.len);
		if (t.len && text_try(s))
			return 1;
	}
	return 0;
}

/* --- messages --------------------------------------------------------------------------------------------------------- */

/* What the parts from i to j (without), which are about one field, are in the example. 1: *leaf; 0: nothing; -1: not known. */
static int field_example(struct reg_mem *m, const struct reg_box *b, uint32_t i, uint32_t j, struct reg_leaf *leaf)
{
	const struct reg_axis *a = b->part[i].axis;
	const struct reg_part **part = reg_alloc(m, j - i, sizeof *part), *value = NULL, *size = NULL;
	int needed = 0, in_oneof = 0, doubt = 0;

	if (!part)
		return -1;
	*leaf = (struct reg_leaf){ .axis = a };
	for (uint32_t k = i; k < j; k++) {
		const struct reg_part *p = part[k - i] = &b->part[k];

		if (p->axis->doubt & REG_DOUBT_ALL)
			return -1;
		doubt |= p->axis->doubt;
		needed |= !reg_admits_absent(p->axis, &p->cut);
		if (p->axis->about == REG_HAS && !reg_spans_has(&p->cut.spans, 1))
			return a->must && !a->muted ? -1 : 0;
		if (p->axis->about == REG_VALUE)
			value = p;
		if (p->axis->about == REG_SIZE)
			size = p;
	}
	for (uint32_t k = 0; k < a->n; k++)
		in_oneof |= a->step[k].oneof != SCH_NONE;
	if (!needed && in_oneof)
		return a->must && !a->muted ? -1 : 0; /* another member may have to be set */
	if (!needed && doubt && a->step[a->n - 1].presence && !a->must)
		return 0; /* absent, it is not judged */
	if (a->kind == REG_LIST) {
		if (!size || size->cut.spans.s[0].lo > ELEMENTS_MAX)
			return -1;
		leaf->about = REG_SIZE;
		leaf->num = size->cut.spans.s[0].lo;
		return leaf->num > 0 && doubt ? -1 : leaf->num > 0;
	}
	if (doubt)
		return -1;
	if (a->kind >= REG_MESSAGE) {
		leaf->about = REG_HAS;
		return 1;
	}
	if (a->kind == REG_STRING || a->kind == REG_BYTES) {
		leaf->about = REG_TEXT;
		return reg_text_find(m, part, j - i, &leaf->text) ? 1 : !needed && a->step[a->n - 1].presence && !a->must ? 0 : -1;
	}
	leaf->about = REG_VALUE;
	if (!value) { /* set, whatever it reads */
		struct reg_axis *like = reg_alloc(m, 1, sizeof *like);

		if (!like)
			return -1;
		*like = *a;
		like->about = REG_VALUE;
		reg_num first = a->kind == REG_ENUM ? a->set->values[a->set->enums[field_of(a)->sub].first] : 0;
		struct reg_cut any = { .spans = reg_spans_one(m, first, a->kind == REG_ENUM ? first : 1) };

		if (!num_find(like, &any, &leaf->num))
			return -1;
		leaf->axis = like;
		return 1;
	}
	leaf->axis = value->axis;
	if (num_find(value->axis, &value->cut, &leaf->num))
		return 1;
	/* it reads its default where it is not set, whatever its rules */
	return !needed && a->step[a->n - 1].presence && !a->must ? 0 : -1;
}

int32_t reg_box_example(struct reg_mem *m, const struct reg_box *b, struct reg_leaf **leaves)
{
	int32_t n = 0;

	*leaves = reg_alloc(m, b->n ? b->n : 1, sizeof **leaves);
	if (!*leaves)
		return -1;
	for (uint32_t i = 0, j; i < b->n; i = j) {
		const struct reg_axis *a = b->part[i].axis;
		struct reg_leaf leaf;
		int rc;

		if (!a->n || strcmp(a->root, b->part[0].axis->root) != 0)
			return -1;
		for (j = i + 1; j < b->n && b->part[j].axis->n == a->n && reg_axis_common(a, b->part[j].axis) == a->n;)
			j++;
		rc = field_example(m, b, i, j, &leaf);
		if (rc < 0)
			return -1;
		if (rc)
			(*leaves)[n++] = leaf;
	}
	return m->failed ? -1 : n;
}

enum sch_region_is sch_region_is(const struct sch_region *r)
{
	if (r->boxes.vague)
		return SCH_REGION_PERHAPS;
	for (uint32_t i = 0; i < r->boxes.n; i++) {
		struct reg_mem m = { 0 };
		struct reg_leaf *leaves;
		int32_t n = reg_box_example(&m, &r->boxes.box[i], &leaves);

		reg_mem_free(&m);
		if (n >= 0)
			return SCH_REGION_SOME;
	}
	return r->boxes.n ? SCH_REGION_PERHAPS : SCH_REGION_EMPTY;
}
