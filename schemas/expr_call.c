/* SPDX-License-Identifier: BSD-2-Clause */
/* Which functions there are, and which of a name's overloads a call means. What they do is expr_funcs.c's; the list is
 * SCH_FNS in expr_impl.h. Sources: cel-spec's language definition, "List of Standard Definitions"; the functions that
 * protovalidate adds (buf.build/docs/protovalidate/reference/cel-extensions). */
#include <stdio.h>
#include <string.h>

#include "expr_impl.h"

static const struct {
	const char *name;
	char style;
	const char *kinds;
	char result;
} functions[] = {
#define X(sym, name, style, kinds, result) { name, style, kinds, result },
	SCH_FNS(X)
#undef X
};
#define N_FUNCTIONS (sizeof functions / sizeof functions[0])

static uint8_t kind_of(char letter)
{
	static const char letters[] = "biudsytDlmL";
	static const uint8_t kinds[] = { SCH_K_BOOL, SCH_K_INT, SCH_K_UINT, SCH_K_DOUBLE, SCH_K_STRING, SCH_K_BYTES, SCH_K_TIME,
					 SCH_K_DURATION, SCH_K_LIST, SCH_K_MAP, SCH_K_LABELS };
	const char *at = strchr(letters, letter);

	return kinds[at - letters];
}

static const char *word_of(uint8_t kind)
{
	static const char *const words[] = {
		[SCH_K_BOOL] = "bool", [SCH_K_INT] = "int", [SCH_K_UINT] = "uint", [SCH_K_DOUBLE] = "double",
		[SCH_K_STRING] = "string", [SCH_K_BYTES] = "bytes", [SCH_K_TIME] = "timestamp", [SCH_K_DURATION] = "duration",
		[SCH_K_LIST] = "list", [SCH_K_MAP] = "map", [SCH_K_LABELS] = "labels",
	};

	return words[kind];
}

/* "string.isIp(int)", "int(double)". */
static void signature(size_t i, char *out, size_t cap)
{
	const char *k = functions[i].kinds;
	int n, method = functions[i].style == 'm';

	n = method ? snprintf(out, cap, "%s.%s(", word_of(kind_of(k[0])), functions[i].name) :
		     snprintf(out, cap, "%s(", functions[i].name);
	for (size_t a = (size_t)method; k[a] && (size_t)n < cap; a++)
		n += snprintf(out + n, cap - (size_t)n, "%s%s", a > (size_t)method ? ", " : "", word_of(kind_of(k[a])));
	if ((size_t)n < cap)
		snprintf(out + n, cap - (size_t)n, ")");
}

/* What other implementations have, and this one does not: say so by name. */
static const char *lacking(const char *name, uint32_t len)
{
	static const char *const types[] = { "dyn", "type" };
	static const char *const texts[] = { "lowerAscii", "upperAscii", "trim", "split", "join", "replace", "substring", "indexOf",
					     "lastIndexOf", "charAt", "reverse" };

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		if (sch_is_word(types[i], name, len))
			return "is not supported: every type is known when an expression is compiled";
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (sch_is_word(texts[i], name, len))
			return "is not supported; matches(), startsWith(), endsWith() and contains() look at texts";
	if (sch_is_word("cel", name, len) || sch_is_word("optional", name, len) || sch_is_word("optMap", name, len) ||
	    sch_is_word("orValue", name, len))
		return "is not supported; ask has() first";
	return NULL;
}

int sch_call_unknown(struct sch_parser *p, uint32_t at, const char *name, uint32_t len)
{
	struct sch_near near = { .want = name, .len = len };
	const char *why = lacking(name, len);

	for (size_t i = 0; i < N_FUNCTIONS; i++)
		if (sch_is_word(functions[i].name, name, len))
			return 0;
	if (why) {
		sch_parser_fail(p, at, "%.*s() %s", (int)len, name, why);
		return p->rc;
	}
	for (size_t i = 0; i < N_FUNCTIONS; i++)
		sch_near_try(&near, functions[i].name);
	sch_near_try(&near, "exists");
	sch_near_try(&near, "exists_one");
	sch_near_try(&near, "filter");
	sch_near_try(&near, "has");
	sch_near_try(&near, "all");
	sch_parser_fail(p, at, "there is no function \"%.*s\"%s%s%s", (int)(len < 60 ? len : 60), name,
			near.best[0] ? "; did you mean " : "; docs/expressions.md lists those that there are", near.best,
			near.best[0] ? "()?" : "");
	return p->rc;
}

static struct sch_node *no_overload(struct sch_parser *p, uint32_t at, const char *name, uint32_t len,
				    const struct sch_node *receiver, const struct sch_node *args)
{
	char known[150], given[90], one[80], text[SCH_TYPE_TEXT];
	int n = 0, k = 0;

	for (size_t i = 0; i < N_FUNCTIONS; i++) {
		if (!sch_is_word(functions[i].name, name, len))
			continue;
		signature(i, one, sizeof one);
		if ((size_t)n + strlen(one) + 3 < sizeof known)
			n += snprintf(known + n, sizeof known - (size_t)n, "%s%s", n ? ", " : "", one);
	}
	given[0] = '\0';
	if (receiver)
		k = snprintf(given, sizeof given, "%.40s.", sch_type_text(p->set, &receiver->type, text));
	k += snprintf(given + k, sizeof given - (size_t)k, "%.*s(", (int)(len < 20 ? len : 20), name);
	for (const struct sch_node *a = args; a && (size_t)k + 1 < sizeof given; a = a->next)
		k += snprintf(given + k, sizeof given - (size_t)k, "%.30s%s", sch_type_text(p->set, &a->type, text),
			      a->next ? ", " : "");
	return sch_parser_fail(p, at, "there is no %s); there are %s", given, known);
}

static int fits(size_t i, const struct sch_node *first)
{
	const char *k = functions[i].kinds;

	for (; *k && first; k++, first = first->next)
		if (first->type.kind != kind_of(*k))
			return 0;
	return !*k && !first;
}

/* --- arguments that must be known when an expression is compiled ------------------------------------------------------------ */
static struct sch_node *pattern_check(struct sch_parser *p, const struct sch_node *arg, struct sch_node *call)
{
	struct sch_kept *kept;
	char why[160] = "";
	int rc;

	if (arg->op != SCH_N_STRING)
		return sch_parser_fail(p, arg->at, "matches() takes a literal pattern: it is compiled with the expression");
	if (sch_kept_find(p->patterns, arg->text, arg->len))
		return call;
	kept = sch_parser_get(p, sizeof *kept);
	if (!kept)
		return NULL;
	*kept = (struct sch_kept){ .next = p->patterns, .text = arg->text, .len = arg->len, .index = SCH_NONE };
	rc = sch_pattern_make(&kept->pattern, arg->text, arg->len, why, sizeof why);
	if (!rc) {
		p->patterns = kept;
	} else if (rc == -ENOMEM) {
		p->rc = rc;
		snprintf(p->err->text, sizeof p->err->text, "out of memory");
		return NULL;
	}
	return rc ? sch_parser_fail(p, arg->at, "the pattern is no regular expression of RE2: %s", why) : call;
}

static struct sch_node *zone_check(struct sch_parser *p, const struct sch_node *arg, struct sch_node *call)
{
	int32_t seconds;
	int rc = arg->op == SCH_N_STRING ? sch_zone_parse(arg->text, arg->len, &seconds) : -EINVAL;

	if (arg->op != SCH_N_STRING)
		return sch_parser_fail(p, arg->at, "the time zone must be a literal: \"+01:00\"");
	if (rc == -ENOENT)
		return sch_parser_fail(p, arg->at, "names of time zones are not supported; write the offset: \"+01:00\"");
	return rc ? sch_parser_fail(p, arg->at, "this is no time zone; write \"UTC\" or an offset: \"+01:00\"") : call;
}

static struct sch_node *time_check(struct sch_parser *p, const struct sch_node *arg, struct sch_node *call)
{
	int64_t s;
	int32_t ns;
	int rc = arg->op == SCH_N_STRING ? sch_time_parse(arg->text, arg->len, &s, &ns) : 0;

	if (rc == -ERANGE)
		return sch_parser_fail(p, arg->at, "timestamps reach from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z");
	return rc ? sch_parser_fail(p, arg->at, "this is no timestamp; write it as \"2026-01-31T12:00:00Z\" (RFC 3339)") : call;
}

static struct sch_node *duration_check(struct sch_parser *p, const struct sch_node *arg, struct sch_node *call)
{
	int64_t ns;
	int rc = arg->op == SCH_N_STRING ? sch_duration_parse(arg->text, arg->len, &ns) : 0;

	if (rc == -ERANGE)
		return sch_parser_fail(p, arg->at, "durations have at most 292 years (64 bits of nanoseconds)");
	return rc ? sch_parser_fail(
			p, arg->at,
			"this is no duration; write it as \"1h30m\", \"1.5s\" or \"10ms\" (h, m, s, ms, us, ns)")
		  : call;
}

static struct sch_node *constants_check(struct sch_parser *p, struct sch_node *call)
{
	const struct sch_node *first = call->child[0];

	switch (call->index) {
	case SCH_FN_MATCHES:
		return pattern_check(p, first->next, call);
	case SCH_FN_TIME_STRING:
		return time_check(p, first, call);
	case SCH_FN_DURATION_STRING:
		return duration_check(p, first, call);
	case SCH_FN_FULL_YEAR_AT:
	case SCH_FN_MONTH_AT:
	case SCH_FN_DATE_AT:
	case SCH_FN_DAY_OF_MONTH_AT:
	case SCH_FN_DAY_OF_WEEK_AT:
	case SCH_FN_DAY_OF_YEAR_AT:
	case SCH_FN_HOURS_AT:
	case SCH_FN_MINUTES_AT:
	case SCH_FN_SECONDS_AT:
	case SCH_FN_MILLIS_AT:
		return zone_check(p, first->next, call);
	default:
		return call;
	}
}

static struct sch_node *call_node(struct sch_parser *p, uint32_t at, uint32_t fn, struct sch_node *first, uint8_t result)
{
	struct sch_node *n = sch_node_new(p, SCH_N_CALL, at, (enum sch_type_kind)result);

	if (!n)
		return NULL;
	n->index = fn;
	n->child[0] = first;
	for (; first; first = first->next)
		n->n++;
	return sch_node_close(p, n);
}

/* unique() is for values that can be compared. */
static struct sch_node *unique_check(struct sch_parser *p, struct sch_node *call)
{
	const struct sch_type *t = &call->child[0]->type;

	return t->of == SCH_K_MESSAGE
		   ? sch_parser_fail(p, call->at, "unique() is for lists of single values, not of messages")
		   : call;
}

struct sch_node *sch_node_call(struct sch_parser *p, uint32_t at, const char *name, uint32_t len, struct sch_node *receiver,
			       struct sch_node *args, uint32_t n_args)
{
	struct sch_node *first = receiver ? receiver : args, *call;
	int other_style = 0;

	(void)n_args;
	if (receiver)
		receiver->next = args;
	for (size_t i = 0; i < N_FUNCTIONS; i++) {
		if (!sch_is_word(functions[i].name, name, len))
			continue;
		if (!fits(i, first))
			continue;
		if (functions[i].style != 'b' && functions[i].style != (receiver ? 'm' : 'g')) {
			other_style = 1;
			continue;
		}
		call = call_node(p, at, (uint32_t)i, first, kind_of(functions[i].result));
		if (call && i == SCH_FN_UNIQUE)
			call = unique_check(p, call);
		return call ? constants_check(p, call) : NULL;
	}
	if (other_style)
		return sch_parser_fail(p, at, receiver ? "%.*s is written before its value: %.*s(...)" :
							 "%.*s is written after its value: text.%.*s(...)",
				       (int)len, name, (int)len, name);
	return no_overload(p, at, name, len, receiver, args);
}

/* --- format --------------------------------------------------------------------------------------------------------------- */
int sch_verb_next(const char *format, uint32_t len, uint32_t *pos, struct sch_verb *v, const char **why)
{
	uint32_t i = *pos;

	*v = (struct sch_verb){ .precision = 6, .text = *pos };
	while (i < len && format[i] != '%')
		i++;
	v->text_len = i - *pos;
	*pos = i;
	if (i == len)
		return 0;
	i++;
	if (i < len && format[i] == '.') {
		uint32_t n = 0, digits = 0;

		for (i++; i < len && format[i] >= '0' && format[i] <= '9' && digits < 3; i++, digits++)
			n = n * 10 + (uint32_t)(format[i] - '0');
		if (!digits || n > 30) {
			*why = "a precision has the form %.2f, 30 at most";
			return -EINVAL;
		}
		v->precision = (uint8_t)n;
		if (i == len || (format[i] != 'f' && format[i] != 'e')) {
			*why = "only %f and %e have a precision";
			return -EINVAL;
		}
	}
	if (i == len || !strchr("sdfeboxX%", format[i]) || !format[i]) {
		*why = "after % there is one of s d f e b o x X, or another %";
		return -EINVAL;
	}
	v->verb = format[i];
	*pos = i + 1;
	return 0;
}

static int verb_fits(char verb, const struct sch_type *t)
{
	uint8_t k = t->kind;

	switch (verb) {
	case 's':
		return k != SCH_K_MESSAGE && k != SCH_K_MAP && k != SCH_K_PARTY && k != SCH_K_LABELS &&
		       !(k == SCH_K_LIST && t->of == SCH_K_MESSAGE);
	case 'd':
		return k == SCH_K_INT || k == SCH_K_UINT || k == SCH_K_DOUBLE;
	case 'f':
	case 'e':
		return k == SCH_K_DOUBLE || k == SCH_K_INT || k == SCH_K_UINT;
	case 'b':
		return k == SCH_K_INT || k == SCH_K_UINT || k == SCH_K_BOOL;
	case 'o':
		return k == SCH_K_INT || k == SCH_K_UINT;
	default:
		return k == SCH_K_INT || k == SCH_K_UINT || k == SCH_K_STRING || k == SCH_K_BYTES;
	}
}

struct sch_node *sch_node_format(struct sch_parser *p, uint32_t at, struct sch_node *text, struct sch_node *args, uint32_t n)
{
	const struct sch_node *a = args;
	uint32_t pos = 0, used = 0;
	const char *why = NULL;
	char type[SCH_TYPE_TEXT];
	struct sch_verb v;

	if (text->op != SCH_N_STRING)
		return sch_parser_fail(p, text->at, "format() is for literal texts: \"%%s\".format([x])");
	do { /* each turn moves on in the text */
		if (sch_verb_next(text->text, text->len, &pos, &v, &why))
			return sch_parser_fail(p, text->at, "%s", why);
		if (!v.verb || v.verb == '%')
			continue;
		used++;
		if (!a)
			return sch_parser_fail(p, at, "the text names more values than the list has, %u", n);
		if (!verb_fits(v.verb, &a->type))
			return sch_parser_fail(p, a->at, "%%%c does not print %s", v.verb, sch_type_text(p->set, &a->type, type));
		a = a->next;
	} while (v.verb);
	if (used < n)
		return sch_parser_fail(p, at, "the list has %u values and the text names %u", n, used);
	text->next = args;
	return call_node(p, at, SCH_FN_FORMAT, text, SCH_K_STRING);
}
