/* SPDX-License-Identifier: BSD-2-Clause */
/* The one evaluator, and what can be asked of a compiled set. The command line, the tests, the fuzzers and the data
 * path all decide here. Nothing in this file allocates. */

#include "set.h"

/* Also one of which only one side has a rule. */
static const struct pol_entry *slot_find(const struct pol_set *set, uint16_t src, uint16_t dst, uint64_t subject)
{
	const struct pol_table *t = &set->table;
	uint32_t i = pol_table_home(t, pol_entry_key(subject, src, dst));
	for (uint32_t p = 0; p < t->probes; p++) {
		const struct pol_entry *e = &set->slots[(i + p) & t->mask];
		if (e->subject == subject && e->src == src && e->dst == dst)
			return e;
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

/* At least one side has no rule: which? */
static __attribute__((cold, noinline)) struct pol_decision deny(const struct pol_set *set, const struct pol_entry *e,
								uint16_t src, uint16_t dst, uint64_t subject)
{
	struct pol_decision d = {.entry = NULL, .answer = POL_SEND_DENIED};
	if (src >= 1 && src <= set->n_unikernels)
		d.rule = set->defaults[src].send;
	if (e != NULL && e->send_rule != 0) {
		d.answer = POL_RECEIVE_DENIED;
		d.rule = set->defaults[dst].receive;
	} else if (e == NULL && pol_subject_get(set, subject) == NULL) {
		d.answer = POL_SUBJECT_UNKNOWN;
		d.rule = 0;
	}
	return d;
}

/* The generic cell rate algorithm (ITU-T I.371, Annex A) told by the time at which the bucket is full again: a message
 * moves it on by its cost, and may not move it further ahead than the bucket is deep. */
static int bucket_after(const struct pol_rate *rate, const struct pol_bucket *bucket, uint64_t now_ns,
			uint64_t *full_at_ns)
{
	uint64_t from = bucket->full_at_ns > now_ns ? bucket->full_at_ns : now_ns;
	*full_at_ns = from + rate->interval_ns;
	return *full_at_ns - now_ns <= rate->depth_ns;
}

static int rates_take(const struct pol_set *set, const struct pol_entry *e, struct pol_bucket *buckets, uint64_t now_ns,
		      uint32_t *rule)
{
	uint64_t after[2];
	/* Both must have room before either is charged, or a refusal by one would eat the other's tokens. */
	for (unsigned side = 0; side < 2; side++)
		if (e->bucket[side] != 0 && !bucket_after(&set->rates[e->bucket[side] - 1],
							  &buckets[e->bucket[side] - 1], now_ns, &after[side])) {
			*rule = side == 0 ? e->send_rule : e->receive_rule;
			return 0;
		}
	for (unsigned side = 0; side < 2; side++)
		if (e->bucket[side] != 0)
			buckets[e->bucket[side] - 1].full_at_ns = after[side];
	return 1;
}

/* A free slot's src is 0: port 0 is the fabric, which is no unikernel and never an entry. */
static int both_sides(const struct pol_entry *e)
{
	return e != NULL && e->src != 0 && e->send_rule != 0 && e->receive_rule != 0;
}

const struct pol_entry *pol_entry_find(const struct pol_set *set, uint16_t src, uint16_t dst, uint64_t subject)
{
	const struct pol_entry *e = slot_find(set, src, dst, subject);
	return both_sides(e) ? e : NULL;
}

struct pol_decision pol_decide(const struct pol_set *set, struct pol_bucket *buckets, uint16_t src, uint16_t dst,
			       uint64_t subject, uint32_t payload_bytes, uint64_t now_ns)
{
	const struct pol_entry *e = slot_find(set, src, dst, subject);
	if (!both_sides(e))
		return deny(set, e != NULL && e->src != 0 ? e : NULL, src, dst, subject);
	struct pol_decision d = {.entry = e, .answer = POL_ALLOW, .rule = e->send_rule};
	if (payload_bytes > e->max_bytes) {
		d.answer = POL_TOO_LARGE;
		d.rule = e->max_by;
	} else if ((e->bucket[0] | e->bucket[1]) != 0 && !rates_take(set, e, buckets, now_ns, &d.rule)) {
		d.answer = POL_OVER_RATE;
	}
	return d;
}

uint64_t pol_epoch(const struct pol_set *set)
{
	return set->epoch;
}

uint32_t pol_bucket_count(const struct pol_set *set)
{
	return set->n_rates;
}

const struct pol_rule_info *pol_rule(const struct pol_set *set, uint32_t rule)
{
	return rule >= 1 && rule <= set->n_rules ? &set->rules[rule - 1] : NULL;
}

uint32_t pol_rule_count(const struct pol_set *set)
{
	return set->n_rules;
}

const char *pol_subject_name(const struct pol_set *set, uint64_t subject)
{
	const struct pol_subject *s = pol_subject_get(set, subject);
	return s != NULL ? s->name : NULL;
}

uint32_t pol_content(const struct pol_set *set, uint32_t content, const char *const **names)
{
	if (content >= set->n_contents) {
		*names = NULL;
		return 0;
	}
	*names = set->contents[content].names;
	return set->contents[content].n;
}

uint32_t pol_content_count(const struct pol_set *set)
{
	return set->n_contents;
}

uint32_t pol_content_rule(const struct pol_set *set, uint32_t content)
{
	return content < set->n_contents ? set->contents[content].rule : 0;
}

uint32_t pol_carried_count(const struct pol_set *set)
{
	return set->n_carried;
}

const struct pol_carried *pol_carried_get(const struct pol_set *set, uint32_t i)
{
	return i < set->n_carried ? &set->carried[i] : NULL;
}

void pol_pairs(const struct pol_set *set, void (*fn)(void *arg, uint16_t src, uint16_t dst), void *arg)
{
	for (uint32_t i = 0; i < set->n_pairs; i++)
		fn(arg, (uint16_t)(set->pairs[i] >> 16), (uint16_t)set->pairs[i]);
}

uint32_t pol_entry_count(const struct pol_set *set)
{
	return set->n_complete;
}

const struct pol_entry *pol_entry_get(const struct pol_set *set, uint32_t i)
{
	return i < set->n_complete ? &set->slots[set->complete[i]] : NULL;
}
