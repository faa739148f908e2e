/* SPDX-License-Identifier: BSD-2-Clause */
/* A decision as one JSON line, and that line as one sentence for a person. docs/control.md lists the keys. */
#ifndef FAB_DECISION_JSON_H
#define FAB_DECISION_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "fabric/log.h"

struct fab_config;
struct fab_decision;
struct fab_epoch;
struct pol_set;

/* Renders a decision with its newline into line (FAB_LOG_LINE_MAX bytes; always enough). Names come from the
 * configuration and the policy set; numbers that they do not know stay numbers. Text from guests is cleaned.
 * policy may be NULL. Returns the length, or 0 when there is no memory. */
size_t fab_decision_line(char line[FAB_LOG_LINE_MAX], const struct fab_decision *d, const struct fab_config *c,
			 const struct pol_set *policy, uint64_t boot);

/* The same for an event (its count is 0); e is the epoch that it names, or NULL where nobody knows it. */
size_t fab_event_line(char line[FAB_LOG_LINE_MAX], const struct fab_decision *d, const struct fab_config *c,
		      const struct fab_epoch *e, uint64_t boot);

/* Parts of them, for other answers. A new reference, or NULL: no memory. A time is CLOCK_REALTIME; a rule is null, or its number
 * with what the policy set, which may be NULL, says of it. */
json_t *fab_time_json(uint64_t ns);
json_t *fab_rule_json(const struct pol_set *policy, uint32_t rule);

/* One sentence without a newline: "camera tried SSH to db: refused (frame_foreign)". o is a parsed line; keys that are
 * missing or of another type are shown as "?". Always terminated. Returns out. */
char *fab_decision_text(const json_t *o, char *out, size_t cap);

/* Copies text that may hold anything: stops at in_len or a zero byte; whatever is not valid UTF-8, controls the
 * terminal or reorders text becomes '?'. Always terminated, never cut inside a character. Returns out. */
char *fab_text_clean(char *out, size_t cap, const char *in, size_t in_len);

#endif
