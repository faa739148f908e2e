/* SPDX-License-Identifier: BSD-2-Clause */
/* The reference: policies as written, judged one rule after another, in the plainest way that can be. It shares nothing with the
 * compiler or the evaluator: it works on rules, conditions and messages as structs, not on text, tables or bytes. What it says
 * follows policy/policy.h's head and CEL's definition, line by line. Static functions. */
#ifndef TESTS_POLICY_REFERENCE_H
#define TESTS_POLICY_REFERENCE_H

#include <stdint.h>
#include <string.h>

#define R_NODES 6
#define R_RULES 7
#define R_DENIES 4
#define R_NO_LABEL ""
#define R_PAYLOAD 61440u

enum { R_ORDER, R_PING, R_BUY, R_DONE, R_NOTHING, R_SUBJECTS }; /* R_BUY is a method on an Order, R_NOTHING is in no schema */

/* --- messages -------------------------------------------------------------------------------------------------------- */
struct r_message {
	int64_t amount;
	uint32_t count;
	const char *note;
	int urgent;
	int kind;
	int has_item;
	int32_t price;
	const char *tag;
	int n_codes;
	int32_t codes[4];
	int has_level;
	int32_t level;
	uint32_t bytes; /* on the wire */
};

/* --- conditions: CEL's values are false, true or an error -------------------------------------------------------------- */
enum r_truth { R_ERROR = -1, R_FALSE, R_TRUE };
enum r_op {
	R_AMOUNT, R_COUNT, R_LEVEL, R_PRICE,		/* number compared with k */
	R_SUM,						/* amount + k compared with k2 */
	R_QUOTIENT, R_REST,				/* amount / level, amount % level compared with k */
	R_NOTE_IS, R_NOTE_STARTS, R_NOTE_ENDS, R_NOTE_HAS, R_NOTE_IN, R_NOTE_SIZE, R_TAG_IS,
	R_URGENT, R_KIND, R_HAS_LEVEL, R_HAS_ITEM,
	R_CODE_IN, R_CODES_SIZE, R_CODES_ALL, R_CODES_EXISTS, R_CODES_ONE, /* code compared with k */
	R_CODES_DIVIDE,					/* some code such that 10 / code compares with k */
	R_CODE_AT,					/* codes[0] compared with k */
	R_PEER_IS, R_SELF_IS, R_PEER_ZONE, R_SELF_TIER, R_PEER_HAS_ZONE, R_SAME_ZONE,
	R_LEAVES,
	R_NOT = R_LEAVES, R_AND, R_OR, R_COND, R_OPS
};
enum r_compare { R_EQ, R_NE, R_LT, R_LE, R_GT, R_GE };
struct r_where {
	int op;
	int compare; /* enum r_compare */
	int64_t k, k2;
	const char *text, *text2;
	struct r_where *child[3];
};

/* A unikernel as conditions see it. */
struct r_party {
	const char *name, *zone, *tier; /* R_NO_LABEL: it has no such label */
};

static int r_compares(int compare, int64_t a, int64_t b)
{
	switch (compare) {
	case R_EQ: return a == b;
	case R_NE: return a != b;
	case R_LT: return a < b;
	case R_LE: return a <= b;
	case R_GT: return a > b;
	default: return a >= b;
	}
}

static int r_ends(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && strcmp(s + n - k, end) == 0;
}

static int r_count_codes(const struct r_message *m, const struct r_where *w)
{
	int n = 0;
	for (int i = 0; i < m->n_codes; i++)
		n += r_compares(w->compare, m->codes[i], w->k);
	return n;
}

/* One division by zero is absorbed where another code decides: exists() is a chain of ||. */
static enum r_truth r_codes_divide(const struct r_message *m, const struct r_where *w)
{
	enum r_truth t = R_FALSE;
	for (int i = 0; i < m->n_codes; i++) {
		if (m->codes[i] == 0)
			t = t == R_TRUE ? R_TRUE : R_ERROR;
		else if (r_compares(w->compare, 10 / m->codes[i], w->k))
			t = R_TRUE;
	}
	return t;
}

static enum r_truth r_holds(const struct r_where *w, const struct r_message *m, const struct r_party *self,
			    const struct r_party *peer)
{
	int64_t level = m->has_level ? m->level : 0, price = m->has_item ? m->price : 0, sum;
	const char *tag = m->has_item ? m->tag : "";
	enum r_truth a, b;
	switch (w->op) {
	case R_AMOUNT: return r_compares(w->compare, m->amount, w->k);
	case R_COUNT: return r_compares(w->compare, m->count, w->k);
	case R_LEVEL: return r_compares(w->compare, level, w->k);
	case R_PRICE: return r_compares(w->compare, price, w->k);
	case R_SUM:
		if (__builtin_add_overflow(m->amount, w->k, &sum))
			return R_ERROR;
		return r_compares(w->compare, sum, w->k2);
	case R_QUOTIENT:
		if (level == 0 || (m->amount == INT64_MIN && level == -1))
			return R_ERROR;
		return r_compares(w->compare, m->amount / level, w->k);
	case R_REST:
		if (level == 0 || (m->amount == INT64_MIN && level == -1))
			return R_ERROR;
		return r_compares(w->compare, m->amount % level, w->k);
	case R_NOTE_IS: return strcmp(m->note, w->text) == 0;
	case R_NOTE_STARTS: return strncmp(m->note, w->text, strlen(w->text)) == 0;
	case R_NOTE_ENDS: return r_ends(m->note, w->text);
	case R_NOTE_HAS: return strstr(m->note, w->text) != NULL;
	case R_NOTE_IN: return strcmp(m->note, w->text) == 0 || strcmp(m->note, w->text2) == 0;
	case R_NOTE_SIZE: return r_compares(w->compare, (int64_t)strlen(m->note), w->k); /* all notes are ASCII */
	case R_TAG_IS: return strcmp(tag, w->text) == 0;
	case R_URGENT: return m->urgent ? R_TRUE : R_FALSE;
	case R_KIND: return r_compares(w->compare, m->kind, w->k);
	case R_HAS_LEVEL: return m->has_level ? R_TRUE : R_FALSE;
	case R_HAS_ITEM: return m->has_item ? R_TRUE : R_FALSE;
	case R_CODE_IN:
		for (int i = 0; i < m->n_codes; i++)
			if (m->codes[i] == w->k)
				return R_TRUE;
		return R_FALSE;
	case R_CODES_SIZE: return r_compares(w->compare, m->n_codes, w->k);
	case R_CODES_ALL: return r_count_codes(m, w) == m->n_codes;
	case R_CODES_EXISTS: return r_count_codes(m, w) > 0;
	case R_CODES_ONE: return r_count_codes(m, w) == 1;
	case R_CODES_DIVIDE: return r_codes_divide(m, w);
	case R_CODE_AT: return m->n_codes == 0 ? R_ERROR : (enum r_truth)r_compares(w->compare, m->codes[0], w->k);
	case R_PEER_IS: return strcmp(peer->name, w->text) == 0;
	case R_SELF_IS: return strcmp(self->name, w->text) == 0;
	case R_PEER_ZONE: return peer->zone[0] == '\0' ? R_ERROR : (enum r_truth)(strcmp(peer->zone, w->text) == 0);
	case R_SELF_TIER: return self->tier[0] == '\0' ? R_ERROR : (enum r_truth)(strcmp(self->tier, w->text) == 0);
	case R_PEER_HAS_ZONE: return peer->zone[0] != '\0';
	case R_SAME_ZONE:
		return peer->zone[0] == '\0' || self->zone[0] == '\0' ? R_ERROR
								      : (enum r_truth)(strcmp(peer->zone, self->zone) == 0);
	case R_NOT:
		a = r_holds(w->child[0], m, self, peer);
		return a == R_ERROR ? R_ERROR : a == R_TRUE ? R_FALSE : R_TRUE;
	case R_AND:
		a = r_holds(w->child[0], m, self, peer);
		b = r_holds(w->child[1], m, self, peer);
		return a == R_FALSE || b == R_FALSE ? R_FALSE : a == R_ERROR || b == R_ERROR ? R_ERROR : R_TRUE;
	case R_OR:
		a = r_holds(w->child[0], m, self, peer);
		b = r_holds(w->child[1], m, self, peer);
		return a == R_TRUE || b == R_TRUE ? R_TRUE : a == R_ERROR || b == R_ERROR ? R_ERROR : R_FALSE;
	default: /* R_COND */
		a = r_holds(w->child[0], m, self, peer);
		return a == R_ERROR ? R_ERROR : r_holds(w->child[a == R_TRUE ? 1 : 2], m, self, peer);
	}
}

/* --- policies -------------------------------------------------------------------------------------------------------- */
struct r_rule {
	uint32_t peers, subjects; /* bit sets: which it covers once groups and labels are told apart */
	int observe;
	struct r_where *where;	  /* NULL: none */
	uint32_t max_bytes;
	uint32_t per_s, burst; /* 0: no rate */
	uint64_t quota;	       /* a day; 0: none */
	int quota_bytes;
	int log;
	uint32_t id;
	/* what it has given away */
	uint64_t room_ns, last_ns; /* the rate's bucket, as time */
	uint64_t used, day;
};
struct r_file {
	struct r_party party;
	int observe;
	int n[2], n_deny[2];
	struct r_rule rule[2][R_RULES], deny[2][R_DENIES]; /* [0] send, [1] receive */
	uint32_t default_rule[2];
};

enum r_answer { R_ALLOW, R_UNKNOWN, R_SEND_DENIED, R_RECEIVE_DENIED, R_FORBIDDEN, R_UNMET, R_TOO_LARGE, R_OVER_RATE, R_OVER_QUOTA };
struct r_decision {
	enum r_answer answer;
	uint32_t rule;
	enum r_answer observed;
	uint32_t observed_rule;
	int log;
};
struct r_now {
	uint64_t mono_ns, day;
};

/* What would be refused: it is, unless that is only observed. 1: the judging is over. */
static int r_refuse(struct r_decision *d, enum r_answer answer, uint32_t rule, int observe)
{
	if (!observe) {
		d->answer = answer;
		d->rule = rule;
		return 1;
	}
	if (d->observed == R_ALLOW) {
		d->observed = answer;
		d->observed_rule = rule;
	}
	return 0;
}

static int r_covers(const struct r_rule *r, int peer, int subject)
{
	return (r->peers >> peer & 1) && (r->subjects >> subject & 1);
}

/* One side. 1: refused; else *chosen is its rule, NULL where the file only observes and has none. */
static int r_side(struct r_file *files, int side, int self, int peer, int subject, const struct r_message *m,
		  struct r_decision *d, struct r_rule **chosen)
{
	struct r_file *f = &files[self];
	const struct r_party *other = &files[peer].party;
	struct r_rule *last = NULL, *soft = NULL;
	*chosen = NULL;
	for (int i = 0; i < f->n[side]; i++)
		if (r_covers(&f->rule[side][i], peer, subject))
			last = &f->rule[side][i];
	for (int i = 0; i < f->n_deny[side] && last != NULL; i++) { /* deny rules speak about what is let through */
		struct r_rule *r = &f->deny[side][i];
		if (r_covers(r, peer, subject) && (r->where == NULL || r_holds(r->where, m, &f->party, other) != R_FALSE) &&
		    r_refuse(d, R_FORBIDDEN, r->id, r->observe || f->observe))
			return 1;
	}
	for (int i = 0; i < f->n[side]; i++) {
		struct r_rule *r = &f->rule[side][i];
		if (!r_covers(r, peer, subject))
			continue;
		if (r->where == NULL || r_holds(r->where, m, &f->party, other) == R_TRUE) {
			*chosen = r;
			return 0;
		}
		if (soft == NULL && (r->observe || f->observe))
			soft = r;
	}
	if (soft != NULL) {
		*chosen = soft;
		return r_refuse(d, R_UNMET, soft->id, 1);
	}
	if (last != NULL)
		return r_refuse(d, R_UNMET, last->id, 0);
	return r_refuse(d, side == 0 ? R_SEND_DENIED : R_RECEIVE_DENIED, f->default_rule[side], f->observe);
}

static int r_side_covers(const struct r_file *f, int side, int peer, int subject)
{
	for (int i = 0; i < f->n[side]; i++)
		if (r_covers(&f->rule[side][i], peer, subject))
			return 1;
	return 0;
}

static uint64_t r_cost_ns(const struct r_rule *r)
{
	return (1000000000u + r->per_s - 1) / r->per_s;
}

/* Is there room for the message under the rule's rate and quota? */
static enum r_answer r_room(struct r_rule *r, uint32_t bytes, const struct r_now *now)
{
	if (r->per_s != 0) {
		uint64_t full = r_cost_ns(r) * (r->burst != 0 ? r->burst : r->per_s), passed = now->mono_ns - r->last_ns;
		r->room_ns = r->room_ns >= full || full - r->room_ns <= passed ? full : r->room_ns + passed;
		r->last_ns = now->mono_ns;
		if (r->room_ns < r_cost_ns(r))
			return R_OVER_RATE;
	}
	if (r->quota != 0) {
		if (now->day > r->day) {
			r->day = now->day;
			r->used = 0;
		}
		if (r->used + (r->quota_bytes ? bytes : 1) > r->quota)
			return R_OVER_QUOTA;
	}
	return R_ALLOW;
}

static void r_charge(struct r_rule *r, uint32_t bytes)
{
	if (r->per_s != 0)
		r->room_ns -= r_cost_ns(r);
	if (r->quota != 0)
		r->used += r->quota_bytes ? bytes : 1;
}

static inline struct r_decision r_decide(struct r_file files[R_NODES], int src, int dst, int subject,
					 const struct r_message *m, const struct r_now *now)
{
	struct r_decision d = {.answer = R_ALLOW};
	struct r_rule *rule[2] = {NULL, NULL};
	if (subject == R_NOTHING) {
		d.answer = R_UNKNOWN;
		return d;
	}
	/* coverage */
	if (src == dst || (!r_side_covers(&files[src], 0, dst, subject) && !files[src].observe)) {
		d.answer = R_SEND_DENIED;
		d.rule = files[src].default_rule[0];
		return d;
	}
	if (!r_side_covers(&files[dst], 1, src, subject) && !files[dst].observe) {
		d.answer = R_RECEIVE_DENIED;
		d.rule = files[dst].default_rule[1];
		return d;
	}
	/* denials and conditions */
	if (r_side(files, 0, src, dst, subject, m, &d, &rule[0]) || r_side(files, 1, dst, src, subject, m, &d, &rule[1]))
		return d;
	/* size: the smaller of the limits that are broken is named, the sender's where they are equal */
	struct r_rule *large = NULL;
	for (int side = 0; side < 2; side++) {
		struct r_rule *r = rule[side];
		int soft = r != NULL && (r->observe || files[side == 0 ? src : dst].observe);
		if (r == NULL || m->bytes <= r->max_bytes)
			continue;
		if (soft)
			r_refuse(&d, R_TOO_LARGE, r->id, 1);
		else if (large == NULL || r->max_bytes < large->max_bytes)
			large = r;
	}
	if (large != NULL) {
		r_refuse(&d, R_TOO_LARGE, large->id, 0);
		return d;
	}
	/* rates and quotas: both or neither is charged */
	int charge[2] = {0, 0};
	for (int side = 0; side < 2; side++) {
		struct r_rule *r = rule[side];
		if (r == NULL)
			continue;
		enum r_answer room = r_room(r, m->bytes, now);
		charge[side] = room == R_ALLOW;
		if (room != R_ALLOW && r_refuse(&d, room, r->id, r->observe || files[side == 0 ? src : dst].observe))
			return d;
	}
	for (int side = 0; side < 2; side++)
		if (charge[side])
			r_charge(rule[side], m->bytes);
	d.rule = rule[0] != NULL ? rule[0]->id : files[src].default_rule[0];
	d.log = (rule[0] != NULL ? rule[0]->log : 1) || (rule[1] != NULL ? rule[1]->log : 1);
	return d;
}

#endif
