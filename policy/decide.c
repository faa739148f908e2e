/* SPDX-License-Identifier: BSD-2-Clause */
/* The one evaluator. The command line, the tests, the fuzzers and the data path all decide here. Nothing in this file
 * allocates. The order of judging stands at the head of policy.h. */
#include <assert.h>
#include <sched.h>

#include "set.h"

#define HOLD_SPINS 1000u /* for a book that another thread has, before others may run: it has it for some nanoseconds */

const struct pol_entry *pol_slot_find(const struct pol_set *set, uint16_t src, uint16_t dst, uint64_t subject)
{
	const struct pol_table *t = &set->table;
	uint32_t i = pol_table_home(t, pol_entry_key(subject, src, dst));
	for (uint32_t p = 0; p < t->probes; p++) {
		const struct pol_entry *e = &set->slots[(i + p) & t->mask];
		if (e->subject == subject && e->src == src && e->dst == dst)
			return e->src != 0 ? e : NULL; /* a free slot's src is 0: port 0 is the fabric, never an entry */
		if (e->src == 0)
			return NULL;
	}
	return NULL;
}

const struct pol_subject *pol_subject_get(const struct pol_set *set, uint64_t hash)
{
	const struct pol_table *t = &set->subject_table;
	uint32_t i = pol_table_home(t, pol_hash_mix(hash));
	for (uint32_t p = 0; p < t->probes; p++) {
		uint32_t slot = set->subject_slots[(i + p) & t->mask];
		if (slot == 0)
			return NULL;
		if (set->subjects[slot - 1].hash == hash)
			return &set->subjects[slot - 1];
	}
	return NULL;
}

const struct pol_entry *pol_entry_find(const struct pol_set *set, uint16_t src, uint16_t dst, uint64_t subject)
{
	const struct pol_entry *e = pol_slot_find(set, src, dst, subject);
	return e != NULL && e->usable ? e : NULL;
}

/* --- rates and quotas ------------------------------------------------------------------------------------------------ */

/* What a book would say after this message. A rate is the generic cell rate algorithm (ITU-T I.371, Annex A) told by the
 * time at which the bucket is full again: a message moves it on by its cost, and may not move it further ahead than the
 * bucket is deep. */
static enum pol_answer book_after(const struct pol_limit *l, const struct pol_book *book, uint32_t bytes,
				  const struct pol_when *when, struct pol_book *after)
{
	after->full_at_ns = book->full_at_ns;
	after->used = book->used;
	after->day = book->day;
	if (l->interval_ns != 0) {
		uint64_t from = book->full_at_ns > when->mono_ns ? book->full_at_ns : when->mono_ns;
		after->full_at_ns = from + l->interval_ns;
		if (after->full_at_ns - when->mono_ns > l->depth_ns)
			return POL_OVER_RATE;
	}
	if (l->quota != 0) {
		int64_t day = when->unix_s / 86400 - (when->unix_s % 86400 < 0);
		/* A clock that was set back does not open a new day; but one that had been far ahead ends no quota for years. */
		if (day > book->day || book->day - day > 1) {
			after->day = day;
			after->used = 0;
		}
		uint64_t cost = l->quota_bytes ? bytes : 1;
		/* More may be used than there is now: another policy had a larger quota this morning. */
		if (after->used > l->quota || cost > l->quota - after->used)
			return POL_OVER_QUOTA;
		after->used += cost;
	}
	return POL_ALLOW;
}

void pol_book_follow(const struct pol_set *set, uint32_t book, struct pol_book *to, const struct pol_set *before,
		     uint32_t book_before, const struct pol_book *from, uint64_t mono_ns)
{
	const struct pol_limit *l = &set->limits[book], *m = &before->limits[book_before];
	*to = (struct pol_book){.used = 0};
	if (l->interval_ns != 0 && m->interval_ns != 0 && from->full_at_ns > mono_ns) {
		/* The same number of messages, each at its new price; a bucket is empty at the most. */
		unsigned __int128 ahead = (unsigned __int128)(from->full_at_ns - mono_ns) * l->interval_ns;
		ahead = (ahead + m->interval_ns - 1) / m->interval_ns;
		to->full_at_ns = mono_ns + (ahead < l->depth_ns ? (uint64_t)ahead : l->depth_ns);
	}
	if (l->quota != 0 && m->quota != 0 && l->quota_bytes == m->quota_bytes) {
		to->used = from->used;
		to->day = from->day;
	}
}

static void observe(struct pol_decision *d, enum pol_answer answer, uint32_t rule)
{
	if (d->observed != POL_ALLOW)
		return;
	d->observed = answer;
	d->observed_rule = rule;
}

/* A rule's limit holds over all that it allows, whichever threads decide: so its book, and no other, is one thread's at a time, for
 * some nanoseconds. In the order of their numbers, or two threads could wait for each other. */
static void books_hold(struct pol_book *books, const uint32_t book[2])
{
	unsigned first = book[0] <= book[1] ? 0 : 1;
	for (unsigned k = 0; k < 2; k++) {
		uint32_t b = book[first ^ k];
		if (b == 0 || (k == 1 && b == book[first]))
			continue;
		/* Who has it may wait for a processor, perhaps for ours. */
		for (uint32_t spins = 0; __atomic_exchange_n(&books[b - 1].taken, 1, __ATOMIC_ACQUIRE) != 0;)
			while (__atomic_load_n(&books[b - 1].taken, __ATOMIC_RELAXED) != 0)
				if (++spins % HOLD_SPINS == 0)
					sched_yield();
	}
}

static void books_release(struct pol_book *books, const uint32_t book[2])
{
	for (unsigned side = 0; side < 2; side++)
		if (book[side] != 0)
			__atomic_store_n(&books[book[side] - 1].taken, 0, __ATOMIC_RELEASE);
}

/* Both must have room before either is charged, or a refusal by one would eat the other's. */
static void books_charge(const struct pol_set *set, struct pol_book *books, uint32_t bytes, const struct pol_when *when,
		       struct pol_decision *d)
{
	struct pol_book after[2];
	unsigned charge = 0;
	for (unsigned side = 0; side < 2; side++) {
		uint32_t book = d->terms.book[side];
		if (book == 0)
			continue;
		const struct pol_limit *l = &set->limits[book - 1];
		enum pol_answer answer = book_after(l, &books[book - 1], bytes, when, &after[side]);
		if (answer == POL_ALLOW) {
			charge |= 1u << side;
		} else if (l->observe) {
			observe(d, answer, l->rule);
		} else {
			d->answer = answer;
			d->rule = l->rule;
			d->why = NULL; /* it was of what was only observed */
			return;
		}
	}
	for (unsigned side = 0; side < 2; side++)
		if (charge >> side & 1) {
			struct pol_book *book = &books[d->terms.book[side] - 1];
			book->full_at_ns = after[side].full_at_ns;
			book->used = after[side].used;
			book->day = after[side].day;
		}
}

static void books_take(const struct pol_set *set, struct pol_book *books, uint32_t bytes, const struct pol_when *when,
		       struct pol_decision *d)
{
	uint32_t book[2] = {d->terms.book[0], d->terms.book[1]};
	if (books == NULL)
		return;
	if (!when->shared || (book[0] | book[1]) == 0) {
		books_charge(set, books, bytes, when, d);
		return;
	}
	books_hold(books, book);
	books_charge(set, books, bytes, when, d);
	books_release(books, book);
}

/* --- without conditions ---------------------------------------------------------------------------------------------- */

/* No entry, or one that is not usable: who refuses? Under mode: observe perhaps nobody. */
static __attribute__((cold, noinline)) struct pol_decision refuse(const struct pol_set *set, const struct pol_entry *e,
								  uint16_t src, uint16_t dst, uint64_t subject)
{
	struct pol_decision d = {.answer = POL_SEND_DENIED, .reply_type = UINT32_MAX};
	const struct pol_subject *s = pol_subject_get(set, subject);
	if (s == NULL) {
		d.answer = POL_SUBJECT_UNKNOWN;
		return d;
	}
	if (src < 1 || src > set->n_unikernels)
		return d;
	const struct pol_self *from = &set->selves[src];
	d.rule = from->default_rule[POL_SEND];
	int covered = e != NULL && e->send_rule != 0, known = dst >= 1 && dst <= set->n_unikernels && dst != src;
	if (!known || (!covered && !from->observe))
		return d;
	const struct pol_self *to = &set->selves[dst];
	d.answer = POL_RECEIVE_DENIED;
	d.rule = to->default_rule[POL_RECEIVE];
	if (!to->observe)
		return d;
	/* Both files only observe: an entry would be usable, so there is none. */
	d.answer = POL_ALLOW;
	d.rule = from->default_rule[POL_SEND];
	observe(&d, POL_SEND_DENIED, d.rule);
	d.terms = (struct pol_terms){.max_bytes = POL_PAYLOAD_MAX, .max_by = d.rule, .log = 1, .soft = 3};
	d.soft_rule = d.rule;
	d.type = s->type;
	d.reply_type = s->reply_type;
	d.is_method = s->is_method;
	return d;
}

/* --- a choice -------------------------------------------------------------------------------------------------------- */

struct judge {
	const struct pol_set *set;
	const struct pol_choice *choice;
	uint16_t port[2]; /* the side's own and its peer's: src and dst */
	const uint8_t *msg;
	uint32_t len;
	const struct pol_when *when;
	struct pol_decision *d;
	struct sch_expr_budget left;
	const struct pol_cover *chosen[2]; /* NULL: only the file's mode: observe lets it pass */
	uint32_t index[2];		   /* of it among the side's allow rules */
};

static enum sch_expr_answer holds(struct judge *j, enum pol_side side, const struct pol_cover *c, const char **why)
{
	struct sch_expr_value values[POL_VARS];
	struct sch_expr_out out;
	*why = NULL;
	if (c->where == NULL)
		return SCH_EXPR_TRUE;
	pol_values(j->set, j->port[side], j->port[!side], j->msg, j->len, j->when, values);
	enum sch_expr_answer answer = sch_expr_eval_within(c->where, values, &j->left, &out);
	if (answer == SCH_EXPR_ERROR)
		*why = out.why;
	return answer;
}

static int side_refuses(struct judge *j, enum pol_answer answer, uint32_t rule, int softly, const char *why)
{
	if (softly) {
		if (j->d->observed == POL_ALLOW)
			j->d->why = why;
		observe(j->d, answer, rule);
		return 0;
	}
	j->d->answer = answer;
	j->d->rule = rule;
	j->d->why = why;
	return 1;
}

/* Chooses the side's rule. 1: it refuses. */
static int side_judge(struct judge *j, enum pol_side side)
{
	const struct pol_choice *choice = j->choice;
	const struct pol_self *self = &j->set->selves[j->port[side]];
	const struct pol_cover *c = &j->set->covers[choice->first[side]], *softest = NULL, *last = NULL;
	const char *why, *last_why = NULL, *softest_why = NULL;
	uint32_t i = 0;
	j->chosen[side] = NULL;
	for (; i < choice->n_deny[side]; i++)
		if (holds(j, side, &c[i], &why) != SCH_EXPR_FALSE &&
		    side_refuses(j, POL_FORBIDDEN, c[i].rule, c[i].observe, why))
			return 1;
	c += i;
	for (i = 0; i < choice->n_allow[side]; i++) {
		if (holds(j, side, &c[i], &why) == SCH_EXPR_TRUE) {
			j->chosen[side] = &c[i];
			j->index[side] = i;
			return 0;
		}
		last = &c[i];
		last_why = why;
		if (c[i].observe && softest == NULL) {
			softest = &c[i];
			softest_why = why;
			j->index[side] = i;
		}
	}
	if (softest != NULL) {
		j->chosen[side] = softest;
		return side_refuses(j, POL_WHERE_UNMET, softest->rule, 1, softest_why);
	}
	if (last != NULL)
		return side_refuses(j, POL_WHERE_UNMET, last->rule, 0, last_why);
	/* Not covered: only a file that observes gets here. */
	return side_refuses(j, side == POL_SEND ? POL_SEND_DENIED : POL_RECEIVE_DENIED, self->default_rule[side],
			    self->observe, NULL);
}

/* What the two chosen rules come to. */
static void chosen_terms(const struct judge *j, struct pol_decision *d)
{
	struct pol_terms *t = &d->terms;
	const struct pol_cover *s = j->chosen[POL_SEND], *r = j->chosen[POL_RECEIVE];
	const struct pol_choice *choice = j->choice;
	uint32_t send_rule = s != NULL ? s->rule : j->set->selves[j->port[0]].default_rule[POL_SEND],
		 receive_rule = r != NULL ? r->rule : j->set->selves[j->port[1]].default_rule[POL_RECEIVE];
	uint32_t send_max = s != NULL ? s->max_bytes : POL_PAYLOAD_MAX, receive_max = r != NULL ? r->max_bytes : POL_PAYLOAD_MAX;
	int receiver = receive_max < send_max;
	*t = (struct pol_terms){
	    .max_bytes = receiver ? receive_max : send_max,
	    .max_by = receiver ? receive_rule : send_rule,
	    .book = {s != NULL ? s->book : 0, r != NULL ? r->book : 0},
	    .log = (uint8_t)((s != NULL ? s->log : 1) | (r != NULL ? r->log : 1)),
	    .soft = (uint8_t)((s == NULL || s->observe) | (r == NULL || r->observe) << 1),
	};
	d->soft_rule = t->soft & 1u ? send_rule : t->soft & 2u ? receive_rule : 0;
	d->hard_content = t->soft == 1u ? r->content : t->soft == 2u ? s->content : 0;
	/* A side without a rule, which only a file that observes has, says nothing of content: the other's list stands. */
	if (s == NULL || r == NULL)
		t->content = d->hard_content;
	else if (choice->content != UINT32_MAX)
		t->content = j->set->choice_content[choice->content + j->index[0] * choice->n_allow[1] + j->index[1]];
}

static void choose(struct judge *j, struct pol_book *books)
{
	struct pol_decision *d = j->d;
	d->answer = POL_ALLOW;
	if (side_judge(j, POL_SEND) || side_judge(j, POL_RECEIVE))
		return;
	chosen_terms(j, d);
	d->rule = j->chosen[POL_SEND] != NULL ? j->chosen[POL_SEND]->rule
					      : j->set->selves[j->port[POL_SEND]].default_rule[POL_SEND];
	/* Of two sides' limits on size both are held against the message: the smaller may only be observed. */
	const struct pol_cover *s = j->chosen[POL_SEND], *r = j->chosen[POL_RECEIVE];
	for (unsigned k = 0; k < 2; k++) {
		const struct pol_cover *c = k == 0 ? s : r;
		if (c == NULL || j->len <= c->max_bytes)
			continue;
		if (c->observe) {
			observe(d, POL_TOO_LARGE, c->rule);
			continue;
		}
		d->answer = POL_TOO_LARGE;
		d->rule = c->rule;
		d->why = NULL;
		/* The smaller limit is the one that is named, the sender's where they are equal. */
		if (k == 0 && r != NULL && !r->observe && r->max_bytes < c->max_bytes)
			d->rule = r->rule;
		return;
	}
	if ((d->terms.book[0] | d->terms.book[1]) != 0)
		books_take(j->set, books, j->len, j->when, d);
}

void pol_judge(const struct pol_set *set, struct pol_book *books, uint16_t src, uint16_t dst, const uint8_t *msg, uint32_t len,
	       const struct pol_when *when, struct pol_decision *d)
{
	assert(d->answer == POL_JUDGE && d->entry != NULL && d->entry->choice != 0);
	struct judge j = {.set = set,
			  .choice = &set->choices[d->entry->choice],
			  .port = {src, dst},
			  .msg = msg,
			  .len = len,
			  .when = when,
			  .d = d,
			  .left = {POL_STEPS_MAX, SCH_EXPR_WORK_MAX}};
	choose(&j, books);
}

/* A choice among rules without conditions; apart from pol_decide(), whose usual case is to stay short. */
static __attribute__((noinline)) void choose_now(const struct pol_set *set, struct pol_book *books, uint16_t src, uint16_t dst,
						 uint32_t payload_bytes, const struct pol_when *when, struct pol_decision *d)
{
	struct judge j = {.set = set,
			  .choice = &set->choices[d->entry->choice],
			  .port = {src, dst},
			  .len = payload_bytes,
			  .when = when,
			  .d = d};
	choose(&j, books);
}

/* --- all ------------------------------------------------------------------------------------------------------------- */

void pol_decide_into(struct pol_decision *d, const struct pol_set *set, struct pol_book *books, uint16_t src, uint16_t dst,
		     uint64_t subject, uint32_t payload_bytes, const struct pol_when *when)
{
	const struct pol_entry *e = pol_slot_find(set, src, dst, subject);
	if (e == NULL || !e->usable) {
		*d = refuse(set, e, src, dst, subject);
		return;
	}
	*d = (struct pol_decision){
	    .rule = e->send_rule,
	    .terms = e->terms,
	    .type = e->type,
	    .reply_type = e->reply_type,
	    .is_method = e->is_method,
	    .entry = e,
	};
	if (e->choice == 0) {
		if (payload_bytes > e->terms.max_bytes) {
			d->answer = POL_TOO_LARGE;
			d->rule = e->terms.max_by;
		} else if ((e->terms.book[0] | e->terms.book[1]) != 0) {
			books_take(set, books, payload_bytes, when, d);
		}
	} else if (set->choices[e->choice].asks) {
		d->answer = POL_JUDGE;
		d->terms = (struct pol_terms){
		    .max_bytes = POL_PAYLOAD_MAX, .max_by = d->rule, .content = set->choices[e->choice].sure};
	} else {
		choose_now(set, books, src, dst, payload_bytes, when, d);
	}
}

struct pol_decision pol_decide(const struct pol_set *set, struct pol_book *books, uint16_t src, uint16_t dst, uint64_t subject,
			       uint32_t payload_bytes, const struct pol_when *when)
{
	struct pol_decision d;
	pol_decide_into(&d, set, books, src, dst, subject, payload_bytes, when);
	return d;
}
