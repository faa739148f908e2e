/* SPDX-License-Identifier: BSD-2-Clause */
/* judge: policy's last word on messages of which it hangs on what they say, now that the schema holds; and what a policy's
 * decision means for a message. Who asks first is stage_route.c, who evaluates policy/decide.c. */
#include "cores.h"
#include "stage.h"

#include <assert.h>
#include <stdio.h>

struct pol_when fab_when(const struct fab *f, uint64_t now_ns)
{
	uint64_t unix_ns = now_ns + f->realtime_offset_ns;

	return (struct pol_when){.mono_ns = now_ns,
				 .shared = f->cores->n > 1,
				 .unix_s = (int64_t)(unix_ns / 1000000000u),
				 .unix_ns = (int32_t)(unix_ns % 1000000000u)};
}

uint16_t fab_verdict_of_answer(enum pol_answer answer)
{
	static const uint16_t verdict_of[POL_ANSWER_COUNT] = {
		[POL_SUBJECT_UNKNOWN] = WEFT_V_SUBJECT_UNKNOWN,
		[POL_SEND_DENIED] = WEFT_V_SEND_DENIED,
		[POL_RECEIVE_DENIED] = WEFT_V_RECEIVE_DENIED,
		[POL_FORBIDDEN] = WEFT_V_FORBIDDEN,
		[POL_WHERE_UNMET] = WEFT_V_WHERE_UNMET,
		[POL_TOO_LARGE] = WEFT_V_TOO_LARGE,
		[POL_OVER_RATE] = WEFT_V_OVER_RATE,
		[POL_OVER_QUOTA] = WEFT_V_OVER_QUOTA,
	};

	assert(answer < POL_ANSWER_COUNT && verdict_of[answer] != 0);
	return verdict_of[answer];
}

/* "5000 bytes, the rule allows 4096" */
static void say_size(const struct fab *f, struct fab_msg *m, const struct pol_decision *d)
{
	struct pol_limits limits = {.max_bytes = POL_PAYLOAD_MAX};

	pol_rule_limits(f->now->policy, d->rule, &limits);
	snprintf(m->detail, sizeof(m->detail), "%u bytes, the rule allows %u", m->len - WEFT_MESSAGE_HDR_LEN,
		 limits.max_bytes);
}

void fab_policy_refuse(const struct fab *f, struct fab_msg *m, const struct pol_decision *d)
{
	m->rule = d->rule;
	fab_refuse(m, (enum weft_verdict)fab_verdict_of_answer(d->answer));
	if (d->answer == POL_TOO_LARGE)
		say_size(f, m, d);
	else if (d->why != NULL)
		snprintf(m->detail, sizeof(m->detail), "%s", d->why);
}

void fab_policy_terms(struct fab_msg *m, const struct pol_decision *d)
{
	m->rule = d->rule;
	m->content = d->terms.content;
	m->log = d->terms.log;
	if (d->terms.soft != 0) {
		m->soft = d->terms.soft;
		m->soft_rule = d->soft_rule;
		m->hard_content = d->hard_content;
	}
	if (d->observed != POL_ALLOW) {
		m->observed = fab_verdict_of_answer(d->observed);
		m->observed_rule = d->observed_rule;
		if (d->why != NULL)
			snprintf(m->detail, sizeof(m->detail), "%s", d->why);
	}
	if (m->request != NULL) {
		m->request->rule = m->rule;
		m->request->content = m->content;
		m->request->log = m->log;
		m->request->soft = m->soft;
		m->request->soft_rule = m->soft_rule;
		m->request->hard_content = m->hard_content;
	}
}

void stage_judge(struct fab *f, struct fab_burst *b)
{
	if (b->judges == 0)
		return;
	for (uint32_t i = 0; i < b->n; i++) {
		struct fab_msg *m = &b->msg[i];
		struct pol_decision *d = &b->decision[i];

		if (m->done || !m->judge)
			continue;
		pol_judge(f->now->policy, f->now->books, m->src, m->dst, m->data + WEFT_MESSAGE_HDR_LEN,
			  m->len - WEFT_MESSAGE_HDR_LEN, &b->when, d);
		assert(d->answer != POL_JUDGE);
		if (d->answer == POL_ALLOW)
			fab_policy_terms(m, d);
		else
			fab_policy_refuse(f, m, d);
	}
}
