/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be asked of a compiled set besides a decision: rules, who is who, what covers what. For messages and tools. */
#include <string.h>

#include "schemas/schema.h"

#include "set.h"

uint64_t pol_epoch(const struct pol_set *set)
{
	return set->epoch;
}

const struct sch_set *pol_schemas(const struct pol_set *set)
{
	return set->schemas;
}

const char *pol_answer_name(enum pol_answer answer)
{
	static const char *const names[POL_ANSWER_COUNT] = {
	    [POL_ALLOW] = "allow",
	    [POL_JUDGE] = "judge",
	    [POL_SUBJECT_UNKNOWN] = "subject_unknown",
	    [POL_SEND_DENIED] = "send_denied",
	    [POL_RECEIVE_DENIED] = "receive_denied",
	    [POL_FORBIDDEN] = "forbidden",
	    [POL_WHERE_UNMET] = "where_unmet",
	    [POL_TOO_LARGE] = "too_large",
	    [POL_OVER_RATE] = "over_rate",
	    [POL_OVER_QUOTA] = "over_quota",
	};
	return (unsigned)answer < POL_ANSWER_COUNT ? names[answer] : "?";
}

/* --- rules ----------------------------------------------------------------------------------------------------------- */

const struct pol_rule_info *pol_rule(const struct pol_set *set, uint32_t rule)
{
	return rule >= 1 && rule <= set->n_rules ? &set->rules[rule - 1] : NULL;
}

uint32_t pol_rule_count(const struct pol_set *set)
{
	return set->n_rules;
}

static void carries_tell(const struct pol_set *set, uint32_t carries, struct pol_limits *out)
{
	uint32_t any = carries;
	if (carries & POL_CONTENT_BY_FIELD) {
		const struct pol_by_field *p = &set->written_by_field[carries & ~POL_CONTENT_BY_FIELD];
		any = p->any;
		for (; out->n_fields < p->n && out->n_fields < POL_CARRIES_FIELDS_MAX; out->n_fields++) {
			const struct pol_wording *w = &set->wordings[p->of[out->n_fields].list];
			out->fields[out->n_fields] =
			    (struct pol_field_carries){.field = p->of[out->n_fields].field, .n = w->n, .names = w->names};
		}
	}
	out->n_carries = set->wordings[any].n;
	out->carries = set->wordings[any].names;
}

void pol_rule_limits(const struct pol_set *set, uint32_t rule, struct pol_limits *out)
{
	*out = (struct pol_limits){.max_bytes = POL_PAYLOAD_MAX};
	if (rule < 1 || rule > set->n_rules)
		return;
	const struct pol_rule_terms *t = &set->terms[rule - 1];
	out->max_bytes = t->max_bytes;
	out->log = t->log;
	carries_tell(set, t->carries, out);
	if (t->book == 0)
		return;
	const struct pol_limit *l = &set->limits[t->book - 1];
	out->rate = l->rate;
	out->period_ns = l->period_ns;
	out->burst = l->burst;
	out->quota = l->quota;
	out->quota_bytes = l->quota_bytes;
}

uint32_t pol_book_count(const struct pol_set *set)
{
	return set->n_limits;
}

uint32_t pol_book_rule(const struct pol_set *set, uint32_t book)
{
	return book < set->n_limits ? set->limits[book].rule : 0;
}

uint32_t pol_candidates(const struct pol_set *set, uint16_t src, uint16_t dst, uint64_t subject, enum pol_side side,
			struct pol_candidate scratch[POL_CANDIDATES_MAX])
{
	const struct pol_entry *e = pol_slot_find(set, src, dst, subject);
	if (e == NULL)
		return 0;
	if (e->choice == 0) {
		uint32_t rule = side == POL_SEND ? e->send_rule : e->receive_rule;
		const struct pol_rule_terms *t = &set->terms[rule - 1];
		scratch[0] = (struct pol_candidate){.rule = rule, .max_bytes = t->max_bytes, .book = t->book};
		return 1;
	}
	const struct pol_choice *choice = &set->choices[e->choice];
	const struct pol_cover *c = &set->covers[choice->first[side]];
	uint32_t n = (uint32_t)choice->n_deny[side] + choice->n_allow[side];
	for (uint32_t i = 0; i < n; i++)
		scratch[i] = (struct pol_candidate){
		    .rule = c[i].rule,
		    .where = c[i].where,
		    .deny = c[i].deny,
		    .observe = c[i].observe,
		    .max_bytes = c[i].max_bytes,
		    .book = c[i].book,
		};
	return n;
}

void pol_vars(uint32_t type, struct sch_expr_var vars[POL_VARS])
{
	vars[0] = (struct sch_expr_var){"this", SCH_EXPR_MESSAGE, type};
	vars[1] = (struct sch_expr_var){"self", SCH_EXPR_PARTY, 0};
	vars[2] = (struct sch_expr_var){"peer", SCH_EXPR_PARTY, 0};
	vars[3] = (struct sch_expr_var){"now", SCH_EXPR_TIME, 0};
}

void pol_values(const struct pol_set *set, uint16_t self, uint16_t peer, const uint8_t *msg, uint32_t len,
		const struct pol_when *when, struct sch_expr_value values[POL_VARS])
{
	memset(values, 0, POL_VARS * sizeof values[0]);
	values[0].at = msg;
	values[0].len = len;
	values[1].party = set->selves[self].party;
	values[2].party = set->selves[peer].party;
	values[3].s = when->unix_s;
	values[3].ns = when->unix_ns;
}

/* --- subjects, unikernels, entries ------------------------------------------------------------------------------------- */

const char *pol_subject_name(const struct pol_set *set, uint64_t subject)
{
	const struct pol_subject *s = pol_subject_get(set, subject);
	return s != NULL ? s->name : NULL;
}

int pol_subject_find(const struct pol_set *set, const char *name, uint64_t *subject, uint32_t *type, int *is_method)
{
	const struct pol_subject *s = pol_subject_get(set, pol_hash_text(name));
	if (s == NULL || strcmp(s->name, name) != 0)
		return 0;
	if (subject != NULL)
		*subject = s->hash;
	if (type != NULL)
		*type = s->type;
	if (is_method != NULL)
		*is_method = s->is_method;
	return 1;
}

const struct pol_self *pol_self(const struct pol_set *set, uint16_t port)
{
	return port >= 1 && port <= set->n_unikernels ? &set->selves[port] : NULL;
}

uint32_t pol_unikernel_count(const struct pol_set *set)
{
	return set->n_unikernels;
}

/* Two ascending lists at once: the pairs of entries, and each two files that both observe. */
void pol_pairs(const struct pol_set *set, void (*fn)(void *arg, uint16_t src, uint16_t dst), void *arg)
{
	uint32_t i = 0, n = set->n_observing;
	for (uint32_t a = 0; a < n; a++)
		for (uint32_t b = 0; b < n; b++) {
			uint32_t pair = (uint32_t)set->observing[a] << 16 | set->observing[b];
			if (a == b)
				continue;
			for (; i < set->n_pairs && set->pairs[i] < pair; i++)
				fn(arg, (uint16_t)(set->pairs[i] >> 16), (uint16_t)set->pairs[i]);
			i += i < set->n_pairs && set->pairs[i] == pair;
			fn(arg, set->observing[a], set->observing[b]);
		}
	for (; i < set->n_pairs; i++)
		fn(arg, (uint16_t)(set->pairs[i] >> 16), (uint16_t)set->pairs[i]);
}

uint32_t pol_entry_count(const struct pol_set *set)
{
	return set->n_usable;
}

const struct pol_entry *pol_entry_get(const struct pol_set *set, uint32_t i)
{
	return i < set->n_usable ? &set->slots[set->usable[i]] : NULL;
}

/* --- content --------------------------------------------------------------------------------------------------------- */

uint32_t pol_content(const struct pol_set *set, uint32_t content, const struct pol_content_list *lists[2])
{
	lists[0] = lists[1] = NULL;
	if (content >= set->n_contents)
		return 0;
	const struct pol_content_set *s = &set->contents[content];
	for (uint32_t i = 0; i < s->n; i++)
		lists[i] = &set->lists[s->list[i]];
	return s->n;
}

const struct pol_content_list *pol_rule_content(const struct pol_set *set, uint32_t rule, uint32_t field)
{
	uint32_t carries = rule >= 1 && rule <= set->n_rules ? set->terms[rule - 1].carries : 0;
	if (carries & POL_CONTENT_BY_FIELD) {
		const struct pol_by_field *p = &set->written_by_field[carries & ~POL_CONTENT_BY_FIELD];
		carries = p->any;
		for (uint32_t i = 0; i < p->n; i++)
			if (p->of[i].field == field)
				carries = p->of[i].list;
	}
	return &set->lists[set->wordings[carries].list];
}

uint32_t pol_content_of_field(const struct pol_set *set, uint32_t content, uint32_t field)
{
	if (!(content & POL_CONTENT_BY_FIELD))
		return content;
	const struct pol_by_field *p = &set->by_field[content & ~POL_CONTENT_BY_FIELD];
	for (uint32_t i = 0; i < p->n; i++)
		if (p->of[i].field == field)
			return p->of[i].list;
	return p->any;
}

uint32_t pol_content_count(const struct pol_set *set)
{
	return set->n_contents;
}

uint32_t pol_named_count(const struct pol_set *set)
{
	return set->n_named;
}

const struct pol_named *pol_named_get(const struct pol_set *set, uint32_t i)
{
	return i < set->n_named ? &set->named[i] : NULL;
}

uint32_t pol_profile_count(const struct pol_set *set)
{
	return set->n_profiles;
}

const struct pol_profile *pol_profile_get(const struct pol_set *set, uint32_t i)
{
	return i < set->n_profiles ? &set->profiles[i] : NULL;
}

/* --- the shared file ------------------------------------------------------------------------------------------------- */

uint32_t pol_group_count(const struct pol_set *set)
{
	return set->n_groups;
}

const struct pol_group *pol_group_get(const struct pol_set *set, uint32_t i)
{
	return i < set->n_groups ? &set->groups[i] : NULL;
}

uint32_t pol_assertion_count(const struct pol_set *set)
{
	return set->n_assertions;
}

const struct pol_assertion *pol_assertion_get(const struct pol_set *set, uint32_t i)
{
	return i < set->n_assertions ? &set->assertions[i] : NULL;
}

const char *pol_common_file(const struct pol_set *set)
{
	return set->common_file;
}
