/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of fields: whether there must be a value, when rules do not apply, how many elements a list or a map has, and which
 * kind of rules fits which type. The rules of one kind of value are left to constrain_number.c, _text.c and _message.c. */
#include <stdio.h>
#include <string.h>

#include <buf/validate/validate.pb-c.h>

#include "constrain.h"
#include "expr.h"

#define IGNORE_IF_ZERO BUF__VALIDATE__IGNORE__IGNORE_IF_ZERO_VALUE
#define IGNORE_ALWAYS BUF__VALIDATE__IGNORE__IGNORE_ALWAYS
#define COUNTS_MAX 255u /* counted fields of one message */

typedef int (*kind_fn)(const struct c_at *, const struct c_opts *);

/* Kinds of rules, and what they are about: values of a type, or messages of a name, which box one value or are a whole. The
 * fields of such a message are known to the judge, so that a stranger of the same name is refused. */
static const struct kind {
	const char *name;
	uint8_t type;        /* SCH_T_*; 0 where only the message will do */
	const char *message; /* NULL: there is none */
	uint8_t first, second; /* types of its fields 1 and 2; 0: it has no second */
	kind_fn compile;
} kinds[] = {
	{ "float", SCH_T_FLOAT, ".google.protobuf.FloatValue", SCH_T_FLOAT, 0, c_numbers },
	{ "double", SCH_T_DOUBLE, ".google.protobuf.DoubleValue", SCH_T_DOUBLE, 0, c_numbers },
	{ "int32", SCH_T_INT32, ".google.protobuf.Int32Value", SCH_T_INT32, 0, c_numbers },
	{ "int64", SCH_T_INT64, ".google.protobuf.Int64Value", SCH_T_INT64, 0, c_numbers },
	{ "uint32", SCH_T_UINT32, ".google.protobuf.UInt32Value", SCH_T_UINT32, 0, c_numbers },
	{ "uint64", SCH_T_UINT64, ".google.protobuf.UInt64Value", SCH_T_UINT64, 0, c_numbers },
	{ "sint32", SCH_T_SINT32, NULL, 0, 0, c_numbers },
	{ "sint64", SCH_T_SINT64, NULL, 0, 0, c_numbers },
	{ "fixed32", SCH_T_FIXED32, NULL, 0, 0, c_numbers },
	{ "fixed64", SCH_T_FIXED64, NULL, 0, 0, c_numbers },
	{ "sfixed32", SCH_T_SFIXED32, NULL, 0, 0, c_numbers },
	{ "sfixed64", SCH_T_SFIXED64, NULL, 0, 0, c_numbers },
	{ "bool", SCH_T_BOOL, ".google.protobuf.BoolValue", SCH_T_BOOL, 0, c_numbers },
	{ "enum", SCH_T_ENUM, NULL, 0, 0, c_numbers },
	{ "string", SCH_T_STRING, ".google.protobuf.StringValue", SCH_T_STRING, 0, c_text },
	{ "bytes", SCH_T_BYTES, ".google.protobuf.BytesValue", SCH_T_BYTES, 0, c_text },
	{ "any", 0, ".google.protobuf.Any", SCH_T_STRING, SCH_T_BYTES, c_any },
	{ "duration", 0, ".google.protobuf.Duration", SCH_T_INT64, SCH_T_INT32, c_time },
	{ "timestamp", 0, ".google.protobuf.Timestamp", SCH_T_INT64, SCH_T_INT32, c_time },
	{ "field_mask", 0, ".google.protobuf.FieldMask", SCH_T_STRING, 0, c_mask },
};

#define N_KINDS (sizeof kinds / sizeof kinds[0])

static int is_message(const struct b_field *f)
{
	return f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP;
}

/* The kind of rules that fits one element of the field, or NULL. */
static const struct kind *kind_of(const struct c_at *at)
{
	for (size_t i = 0; i < N_KINDS; i++) {
		if (!is_message(at->f) && kinds[i].type == at->f->type)
			return &kinds[i];
		if (is_message(at->f) && kinds[i].message && strcmp(kinds[i].message + 1, B_MSG(at->b, at->f->sub)->name) == 0)
			return &kinds[i];
	}
	return NULL;
}

/* "a google.protobuf.Any", "a message": for errors. */
static const char *type_words(const struct c_at *at)
{
	static const char *const words[] = {
		[SCH_T_DOUBLE] = "double", [SCH_T_FLOAT] = "float", [SCH_T_INT64] = "int64", [SCH_T_UINT64] = "uint64",
		[SCH_T_INT32] = "int32", [SCH_T_FIXED64] = "fixed64", [SCH_T_FIXED32] = "fixed32", [SCH_T_BOOL] = "bool",
		[SCH_T_STRING] = "string", [SCH_T_BYTES] = "bytes", [SCH_T_UINT32] = "uint32", [SCH_T_ENUM] = "enum",
		[SCH_T_SFIXED32] = "sfixed32", [SCH_T_SFIXED64] = "sfixed64", [SCH_T_SINT32] = "sint32", [SCH_T_SINT64] = "sint64",
	};

	return is_message(at->f) ? B_MSG(at->b, at->f->sub)->name : words[at->f->type];
}

static int mismatch(const struct c_at *at, const char *given, const char *what, const char *right)
{
	if (!right)
		return c_fail(at, "%s%s rules do not fit %s%.80s, for which only required and ignore are", at->prefix, given, what,
			      type_words(at));
	return c_fail(at, "%s%s rules do not fit %s%.80s; %s rules do", at->prefix, given, what, type_words(at), right);
}

/* A message that the judge reads must be the one that everybody knows. */
static int shape_fits(const struct c_at *at, const struct kind *k)
{
	const struct b_message *m = B_MSG(at->b, at->f->sub);
	uint32_t want = k->second ? 2 : 1, list = k->compile == c_mask ? SCH_F_REPEATED : 0;
	int fits = m->n_fields == want;

	for (uint32_t i = 0; i < want && fits; i++) {
		const struct b_field *f = B_FIELD(at->b, m->first + i);

		fits = f->d->number == (int32_t)i + 1 && f->type == (i ? k->second : k->first) && !f->extension &&
		       (f->flags & SCH_F_REPEATED) == list;
	}
	return fits;
}

static int shape_check(const struct c_at *at, const struct kind *k)
{
	return shape_fits(at, k) ? 0 : c_fail(at, "its type %s is not the message that everybody knows by this name",
					      B_MSG(at->b, at->f->sub)->name);
}

void c_must(struct b_message *m, uint16_t slot)
{
	m->must[slot / 64] |= 1ull << slot % 64;
}

/* --- what is common to FieldRules wherever they stand -------------------------------------------------------------------- */
struct field_rules {
	struct c_opts opts, inside; /* inside: those of its kind, Int32Rules and so on */
	const char *kind;           /* NULL: none */
	int required;
	int has_ignore;
	int64_t ignore;
};

/* Reads what r->opts says. With IGNORE_ALWAYS nothing else is looked at. */
static int field_rules_read(const struct c_at *at, struct field_rules *r)
{
	const struct c_opt *ignore = c_opt(&r->opts, "ignore"), *all = r->opts.list.at;
	int rc = 0;

	r->required = c_opt_true(&r->opts, "required");
	r->has_ignore = ignore != NULL;
	r->ignore = ignore ? (int64_t)ignore->key : 0;
	if (r->ignore != 0 && r->ignore != IGNORE_IF_ZERO && r->ignore != IGNORE_ALWAYS)
		return c_fail(at, "%signore has no value %lld; it has IGNORE_UNSPECIFIED, _IF_ZERO_VALUE and _ALWAYS", at->prefix,
			      (long long)r->ignore);
	if (r->ignore == IGNORE_ALWAYS)
		return 0;
	for (size_t i = 0; i < r->opts.list.n; i++)
		if (all[i].field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
			r->kind = all[i].field->name;
	if (r->kind)
		rc = c_opts_inside(at, &r->opts, r->kind, &r->inside);
	return rc;
}

static void field_rules_free(struct field_rules *r)
{
	c_opts_free(&r->opts);
	c_opts_free(&r->inside);
}

/* --- elements --------------------------------------------------------------------------------------------------------- */
/* An enum's zero value is its first one; tables know only 0. */
static int zero_is_zero(const struct c_at *at)
{
	const struct b_field *f = at->f;

	if (f->type == SCH_T_ENUM && B_ENUM_AT(at->b, f->sub)->d->value[0]->number != 0)
		return c_fail(at, "%signore = IGNORE_IF_ZERO_VALUE is not supported for an enum whose first value is not 0",
			      at->prefix);
	return 0;
}

/* A wrapper that holds zero is zero, also where only expressions are asked of it. */
static void boxed_zero(const struct c_at *at)
{
	const struct kind *k = is_message(at->f) && at->f->flags & SCH_F_ZERO_OK ? kind_of(at) : NULL;

	if (k && k->type && shape_fits(at, k))
		at->f->flags |= SCH_F_BOXED;
}

static int kind_rules(struct c_at *at, const struct field_rules *r)
{
	const struct kind *k = kind_of(at);
	int rc = 0;

	if (!k || strcmp(k->name, r->kind) != 0)
		return mismatch(at, r->kind, is_message(at->f) ? "" : "a field of type ", k ? k->name : NULL);
	if (is_message(at->f)) {
		rc = shape_check(at, k);
		if (k->type)
			at->f->flags |= SCH_F_BOXED;
		c_ruled(at); /* a message has no guard */
	}
	at->kind = k->name;
	at->type = k->type ? k->type : SCH_T_MESSAGE;
	if (!rc)
		rc = k->compile(at, &r->inside);
	if (!rc)
		rc = c_predefined(at, &r->inside, SCH_EXPR_ELEMENT);
	at->kind = NULL;
	return rc;
}

/* Rules about each value of at->f: a singular field, a list's items, a map's keys or values. `presence`: it is known whether
 * there is one, so that its zero is a value like any other. */
static int element_rules(struct c_at *at, const struct field_rules *r, int presence)
{
	struct b_field *f = at->f;
	int rc = 0, breaks = 0;

	at->first = (uint32_t)at->b->rules.n;
	if (r->ignore == IGNORE_ALWAYS) {
		if (is_message(f))
			f->flags |= SCH_F_IGNORED;
		return 0;
	}
	if (r->ignore == IGNORE_IF_ZERO && !presence) {
		rc = zero_is_zero(at);
		f->flags |= SCH_F_ZERO_OK;
	}
	if (!rc)
		rc = c_expressions(at, &r->opts, SCH_EXPR_ELEMENT);
	if (!rc && r->kind)
		rc = kind_rules(at, r);
	if (!rc && c_has_expression(at))
		boxed_zero(at);
	if (rc || !(f->flags & SCH_F_IMPLICIT))
		return rc;
	if (!(f->flags & SCH_F_ZERO_OK))
		breaks = c_zero_breaks(at) || c_has_expression(at);
	if (!rc && breaks)
		c_must(B_MSG(at->b, f->msg), f->slot);
	return rc;
}

/* As above, for FieldRules inside others: items, keys, values. */
static int inner_rules(struct c_at *at, const struct c_opts *o, const char *name)
{
	struct field_rules r = { 0 };
	int rc = c_opts_inside(at, o, name, &r.opts);

	if (!rc && r.opts.type) {
		rc = field_rules_read(at, &r);
		if (!rc && r.kind && (strcmp(r.kind, "repeated") == 0 || strcmp(r.kind, "map") == 0))
			rc = mismatch(at, r.kind, "a single ", kind_of(at) ? kind_of(at)->name : NULL);
		if (!rc)
			rc = element_rules(at, &r, 0);
	}
	field_rules_free(&r);
	return rc;
}

/* --- lists and maps --------------------------------------------------------------------------------------------------- */
int c_counted(const struct c_at *at, struct b_field *f)
{
	struct b_message *m = B_MSG(at->b, f->msg);

	if (f->flags & SCH_F_COUNTED)
		return 0;
	if (m->n_counts == COUNTS_MAX)
		return c_fail(at, "the message has more than %u fields whose elements must be counted", COUNTS_MAX);
	f->count = (uint8_t)m->n_counts++;
	f->flags |= SCH_F_COUNTED;
	return 0;
}

static int count_rules(struct c_at *at, const struct field_rules *r, const char *least, const char *most)
{
	const struct c_opt *min = c_opt(&r->inside, least), *max = c_opt(&r->inside, most);
	int rc = 0;

	if ((min || r->required) && max && max->key < (min && min->key ? min->key : r->required ? 1 : 0))
		return min && min->key > max->key
			       ? c_fail(at, "contradiction: %s.%s is above %s.%s", at->kind, least, at->kind, most)
			       : c_fail(at, "contradiction: required, but %s.%s is 0", at->kind, most);
	if (min || max)
		rc = c_counted(at, at->f);
	if (!rc && min)
		rc = c_rule(at, (struct sch_rule){ .op = SCH_R_COUNT_MIN, .a = min->key }, least, NULL);
	if (!rc && max)
		rc = c_rule(at, (struct sch_rule){ .op = SCH_R_COUNT_MAX, .a = max->key }, most, NULL);
	return rc;
}

static int unique_rule(const struct c_at *at, const struct field_rules *r)
{
	if (!c_opt_true(&r->inside, "unique"))
		return 0;
	if (is_message(at->f))
		return c_fail(at, "repeated.unique is for lists of scalars and enums, not of messages");
	int rc = c_counted(at, at->f); /* one element is always unique */

	at->f->flags |= SCH_F_UNIQUE;
	B_MSG(at->b, at->f->msg)->flags |= SCH_M_KEYED;
	return rc ? rc : c_rule(at, (struct sch_rule){ .op = SCH_R_UNIQUE }, "unique", NULL);
}

/* What is asked of keys and values stands in the entry's own fields. */
static int entry_rules(const struct c_at *at, const struct field_rules *r)
{
	const struct b_message *entry = B_MSG(at->b, at->f->sub);
	int rc = 0;

	for (uint32_t i = 0; i < 2 && !rc; i++) {
		struct c_at inner = *at;

		inner.f = B_FIELD(at->b, entry->first + i);
		inner.prefix = i ? "map.values." : "map.keys.";
		inner.kind = NULL;
		inner.type = inner.f->type;
		inner.f->rules = (uint32_t)at->b->rules.n;
		rc = inner_rules(&inner, &r->inside, i ? "values" : "keys");
		inner.f->n_rules = (uint32_t)at->b->rules.n - inner.f->rules;
	}
	return rc;
}

/* The field's list rules are those put so far. */
static void list_end(const struct c_at *at)
{
	at->f->n_rules = (uint32_t)at->b->rules.n - at->f->rules;
	at->f->n_list = (uint8_t)at->f->n_rules;
}

static int list_rules(struct c_at *at, const struct field_rules *r)
{
	int map = (at->f->flags & SCH_F_MAP) != 0, rc = 0;
	const char *right = map ? "map" : "repeated";

	if (r->kind && strcmp(r->kind, right) != 0)
		return c_fail(at, "%s rules do not fit a %s field; %s rules do, with %s for those of its elements", r->kind, right,
			      right, map ? "keys and values" : "items");
	/* an empty list that must not be is told by `required` alone */
	if (r->ignore == IGNORE_IF_ZERO && !r->required)
		at->f->flags |= SCH_F_EMPTY_OK;
	rc = c_expressions(at, &r->opts, SCH_EXPR_FIELD);
	if (!rc && r->kind) {
		at->kind = right;
		rc = map ? count_rules(at, r, "min_pairs", "max_pairs") : count_rules(at, r, "min_items", "max_items");
		if (!rc && !map)
			rc = unique_rule(at, r);
		if (!rc)
			rc = c_predefined(at, &r->inside, SCH_EXPR_FIELD);
		at->kind = NULL;
	}
	list_end(at);
	if (rc || !r->kind)
		return rc;
	if (map)
		return entry_rules(at, r);
	at->prefix = "repeated.items.";
	rc = inner_rules(at, &r->inside, "items");
	at->prefix = "";
	return rc;
}

/* --- fields ----------------------------------------------------------------------------------------------------------- */
/* `required`, in whichever way the field can be without a value. */
static int required_rule(const struct c_at *at)
{
	struct b_field *f = at->f;
	int rc = 0;

	if (f->flags & SCH_F_REPEATED)
		rc = c_counted(at, f);
	else
		c_must(B_MSG(at->b, f->msg), f->slot);
	return rc ? rc : c_rule(at, (struct sch_rule){ .op = SCH_R_REQUIRED }, "required", NULL);
}

static int field_compile(struct c_at *at, struct field_rules *r)
{
	static const uint64_t zero = 0;
	struct b_field *f = at->f;
	int rc = 0;

	f->rules = (uint32_t)at->b->rules.n;
	if (r->ignore == IGNORE_ALWAYS) { /* `required` too */
		if (is_message(f))
			f->flags |= SCH_F_IGNORED;
		return 0;
	}
	if (r->required)
		rc = required_rule(at);
	list_end(at);
	if (!rc && f->flags & SCH_F_REPEATED)
		rc = list_rules(at, r);
	else if (!rc && r->kind && (strcmp(r->kind, "repeated") == 0 || strcmp(r->kind, "map") == 0))
		rc = mismatch(at, r->kind, "a single ", kind_of(at) ? kind_of(at)->name : NULL);
	else if (!rc)
		rc = element_rules(at, r, !(f->flags & SCH_F_IMPLICIT));
	if (!rc && r->required && f->flags & SCH_F_IMPLICIT)
		rc = c_guard_without(at, &zero, 1);
	if (!(f->flags & SCH_F_MAP)) /* what follows a map's own rules is its entry's */
		f->n_rules = (uint32_t)at->b->rules.n - f->rules;
	return rc;
}

int c_field(struct build *b, struct b_message *m, struct b_field *f, int picked)
{
	struct c_at at = { .b = b, .m = m, .part = f->d->name, .f = f, .prefix = "", .type = f->type };
	const ProtobufCMessage *options = f->d->options ? &f->d->options->base : NULL;
	struct field_rules r = { 0 };
	int rc;

	if (options && f->d->options->n_uninterpreted_option)
		return c_fail(&at, "has options that were never interpreted; make the set with protoc");
	if (f->extension)
		return c_has_extension(options, C_OPTION) ? c_fail(&at, "is an extension, which rules cannot be about") : 0;
	if (c_has_extension(options, C_OPTION_PREDEFINED) && strncmp(m->name, "buf.validate.", 13) != 0)
		return c_fail(&at, "has buf.validate.predefined, which is for extensions of rule messages");
	rc = c_opts_extension(&at, options, C_OPTION, &buf__validate__field_rules__descriptor, &r.opts);
	if (!rc && r.opts.type)
		rc = field_rules_read(&at, &r);
	if (!rc && picked && !r.has_ignore)
		r.ignore = IGNORE_IF_ZERO;
	if (!rc && (r.opts.type || picked))
		rc = field_compile(&at, &r);
	field_rules_free(&r);
	return rc;
}
