/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of string and bytes. What a format or a pattern is, is left to formats.h and pattern.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "constrain.h"
#include "formats.h"
#include "pattern.h"

#define UTF8_BYTES_MAX 4u /* of one code point */

/* Whatever the rules about length leave: so many bytes, so many code points. */
struct room {
	uint64_t min_bytes, max_bytes, min_points, max_points;
};

/* Formats, by the rule that asks for each. */
static const struct {
	const char *name;
	enum sch_format format;
} string_formats[] = {
	{ "email", SCH_FMT_EMAIL },
	{ "hostname", SCH_FMT_HOSTNAME },
	{ "ip", SCH_FMT_IP },
	{ "ipv4", SCH_FMT_IPV4 },
	{ "ipv6", SCH_FMT_IPV6 },
	{ "uri", SCH_FMT_URI },
	{ "uri_ref", SCH_FMT_URI_REF },
	{ "address", SCH_FMT_ADDRESS },
	{ "uuid", SCH_FMT_UUID },
	{ "tuuid", SCH_FMT_TUUID },
	{ "ulid", SCH_FMT_ULID },
	{ "ip_with_prefixlen", SCH_FMT_IP_WITH_PREFIXLEN },
	{ "ipv4_with_prefixlen", SCH_FMT_IPV4_WITH_PREFIXLEN },
	{ "ipv6_with_prefixlen", SCH_FMT_IPV6_WITH_PREFIXLEN },
	{ "ip_prefix", SCH_FMT_IP_PREFIX },
	{ "ipv4_prefix", SCH_FMT_IPV4_PREFIX },
	{ "ipv6_prefix", SCH_FMT_IPV6_PREFIX },
	{ "host_and_port", SCH_FMT_HOST_AND_PORT },
	{ "protobuf_fqn", SCH_FMT_PROTOBUF_FQN },
	{ "protobuf_dot_fqn", SCH_FMT_PROTOBUF_DOT_FQN },
}, bytes_formats[] = {
	{ "ip", SCH_FMT_BYTES_IP },
	{ "ipv4", SCH_FMT_BYTES_IPV4 },
	{ "ipv6", SCH_FMT_BYTES_IPV6 },
	{ "uuid", SCH_FMT_BYTES_UUID },
};

#define N(list) (sizeof(list) / sizeof(list)[0])

/* One unit's three rules: an exact length, or a least and a greatest. */
static int length(const struct c_at *at, const struct c_opts *o, uint8_t op, const char *exact, const char *least,
		  const char *most, uint64_t *min, uint64_t *max)
{
	const struct c_opt *e = c_opt(o, exact), *l = c_opt(o, least), *m = c_opt(o, most);
	int rc = 0;

	*min = 0;
	*max = UINT64_MAX;
	if (e && (l || m))
		return c_fail(at, "contradiction: %s.%s with %s.%s", at->kind, exact, at->kind, l ? least : most);
	if (l && m && l->key > m->key)
		return c_fail(at, "contradiction: %s.%s is above %s.%s", at->kind, least, at->kind, most);
	if (e) {
		*min = *max = e->key;
		rc = c_rule(at, (struct sch_rule){ .op = op, .a = e->key, .b = e->key }, exact, NULL);
	}
	if (l && !rc) {
		*min = l->key;
		rc = c_rule(at, (struct sch_rule){ .op = op, .a = l->key, .b = UINT64_MAX }, least, NULL);
	}
	if (m && !rc) {
		*max = m->key;
		rc = c_rule(at, (struct sch_rule){ .op = op, .a = 0, .b = m->key }, most, NULL);
	}
	c_guard(at, *min, *max);
	return rc;
}

static int lengths(const struct c_at *at, const struct c_opts *o, struct room *r)
{
	int rc;

	*r = (struct room){ .max_points = UINT64_MAX };
	if (at->type == SCH_T_BYTES)
		return length(at, o, SCH_R_BYTES, "len", "min_len", "max_len", &r->min_bytes, &r->max_bytes);
	rc = length(at, o, SCH_R_LEN, "len", "min_len", "max_len", &r->min_points, &r->max_points);
	if (!rc)
		rc = length(at, o, SCH_R_BYTES, "len_bytes", "min_bytes", "max_bytes", &r->min_bytes, &r->max_bytes);
	if (!rc && (r->min_points > r->max_bytes || r->min_bytes / UTF8_BYTES_MAX > r->max_points ||
		    (r->min_bytes / UTF8_BYTES_MAX == r->max_points && r->min_bytes % UTF8_BYTES_MAX)))
		rc = c_fail(at, "contradiction: no text has a length in code points and one in bytes that the rules allow");
	return rc;
}

static uint64_t points_of(const struct c_opt *text)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < text->len; i++)
		n += (text->at[i] & 0xc0) != 0x80;
	return n;
}

static int text_rule(const struct c_at *at, const struct c_opts *o, uint8_t op, const char *name)
{
	struct sch_rule rule = { .op = op };
	int rc;

	if (!c_opt(o, name))
		return 0;
	c_ruled(at);
	rc = c_texts(at, o, name, op == SCH_R_STR_IN || op == SCH_R_STR_NOT_IN, &rule);
	return rc ? rc : c_rule(at, rule, name, NULL);
}

/* What must stand in the text must fit in, and must not hold what must not be there. */
static int parts(const struct c_at *at, const struct c_opts *o, const struct room *r)
{
	static const struct {
		const char *name;
		uint8_t op;
	} part[] = { { "prefix", SCH_R_PREFIX }, { "suffix", SCH_R_SUFFIX }, { "contains", SCH_R_CONTAINS } };
	const struct c_opt *not = c_opt(o, "not_contains");
	int rc = 0;

	if (not && not->len == 0)
		return c_fail(at, "contradiction: %s.not_contains is empty, which every text contains", at->kind);
	for (size_t i = 0; i < N(part) && !rc; i++) {
		const struct c_opt *p = c_opt(o, part[i].name);

		if (!p)
			continue;
		if (p->len > r->max_bytes || (at->type == SCH_T_STRING && points_of(p) > r->max_points))
			return c_fail(at, "contradiction: %s.%s is longer than the text may be", at->kind, part[i].name);
		if (not && memmem(p->at, p->len, not->at, not->len))
			return c_fail(at, "contradiction: %s.%s contains what %s.not_contains forbids", at->kind, part[i].name,
				      at->kind);
		rc = text_rule(at, o, part[i].op, part[i].name);
	}
	return rc ? rc : text_rule(at, o, SCH_R_NOT_CONTAINS, "not_contains");
}

static int pattern(const struct c_at *at, const struct c_opts *o)
{
	const struct c_opt *opt = c_opt(o, "pattern");
	struct sch_rule rule = { .op = SCH_R_PATTERN };
	struct sch_pattern *made = NULL, **slot;
	char why[160] = "";
	int rc;

	if (!opt)
		return 0;
	if (at->b->patterns.n >= C_PATTERNS_MAX)
		return c_fail(at, "the set has more than %u patterns", C_PATTERNS_MAX);
	if (at->b->steps >= C_STEPS_MAX)
		return c_fail(at, "the patterns of the set compile to more than %u steps together", C_STEPS_MAX);
	rc = sch_pattern_make(&made, (const char *)opt->at, opt->len, why, sizeof why);
	if (rc == -ENOMEM)
		return b_nomem(at->b);
	if (rc)
		return c_fail(at, "%s.pattern is no pattern that can be used: %s", at->kind, why);
	rule.arg = (uint32_t)at->b->patterns.n;
	slot = b_list_add(&at->b->patterns, sizeof(struct sch_pattern *));
	if (!slot) {
		sch_pattern_free(made);
		return b_nomem(at->b);
	}
	*slot = made;
	at->b->steps += sch_pattern_steps(made);
	c_ruled(at);
	return c_rule(at, rule, "pattern", NULL);
}

/* A format is two rules: one of them asks only whether the text is empty, and is named so. */
static int format_put(const struct c_at *at, const char *name, const char *id, enum sch_format format, int not_empty)
{
	char empty[64];
	int rc;

	c_ruled(at);
	rc = c_rule(at, (struct sch_rule){ .op = SCH_R_FORMAT, .a = format }, name, id);
	snprintf(empty, sizeof empty, "%s_empty", id ? id : name);
	if (!rc && not_empty)
		rc = c_rule(at, (struct sch_rule){ .op = SCH_R_NOT_EMPTY }, name, empty);
	return rc;
}

static int headers(const struct c_at *at, const struct c_opts *o)
{
	const struct c_opt *which = c_opt(o, "well_known_regex");
	int loose = c_opt(o, "strict") && !c_opt_true(o, "strict");

	if (!which || which->key == 0)
		return 0;
	if (which->key == 1)
		return format_put(at, "well_known_regex", "well_known_regex.header_name",
				  loose ? SCH_FMT_HEADER_NAME_LOOSE : SCH_FMT_HEADER_NAME, 1);
	if (which->key == 2)
		return format_put(at, "well_known_regex", "well_known_regex.header_value",
				  loose ? SCH_FMT_HEADER_VALUE_LOOSE : SCH_FMT_HEADER_VALUE, 0);
	return c_fail(at, "string.well_known_regex has no value %lld; it has 1 and 2", (long long)which->key);
}

static int formats(const struct c_at *at, const struct c_opts *o)
{
	int rc = 0;

	if (at->type == SCH_T_BYTES) {
		for (size_t i = 0; i < N(bytes_formats) && !rc; i++)
			if (c_opt_true(o, bytes_formats[i].name))
				rc = format_put(at, bytes_formats[i].name, NULL, bytes_formats[i].format, 1);
		return rc;
	}
	for (size_t i = 0; i < N(string_formats) && !rc; i++)
		if (c_opt_true(o, string_formats[i].name))
			rc = format_put(at, string_formats[i].name, NULL, string_formats[i].format,
					string_formats[i].format != SCH_FMT_URI_REF); /* a reference may be empty */
	return rc ? rc : headers(at, o);
}

int c_text(const struct c_at *at, const struct c_opts *o)
{
	struct room room;
	int rc = text_rule(at, o, SCH_R_STR_EQ, "const");

	if (!rc)
		rc = lengths(at, o, &room);
	if (!rc)
		rc = pattern(at, o);
	if (!rc)
		rc = parts(at, o, &room);
	if (!rc)
		rc = text_rule(at, o, SCH_R_STR_IN, "in");
	if (!rc)
		rc = text_rule(at, o, SCH_R_STR_NOT_IN, "not_in");
	if (!rc)
		rc = formats(at, o);
	return rc ? rc : c_candidates(at, o);
}
