/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiler's pass over buf.validate options: what messages, oneofs and fields ask for becomes rules, guards and must bits,
 * or the set is refused; nothing is ignored. Messages and oneofs are here, fields in constrain_field.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <buf/validate/validate.pb-c.h>

#include "constrain.h"
#include "expr.h"

/* A field by name, while a message is compiled. */
struct named {
	const char *name;
	uint32_t index; /* in its message */
	uint32_t picked; /* the last message.oneof that named it, from 1 */
};

/* What stands by while one message is compiled. */
struct message_pass {
	struct c_at at;
	struct c_opts opts;
	struct named *fields; /* sorted by name; NULL where no rule needs them */
	uint8_t *picked;      /* of each field: a message.oneof names it */
	uint8_t *required;    /* of each oneof: a member must be set */
};

static int named_order(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static int names_make(struct message_pass *p)
{
	struct b_message *m = p->at.m;

	p->fields = calloc(m->n_fields + 1, sizeof *p->fields);
	if (!p->fields)
		return b_nomem(p->at.b);
	for (uint32_t k = 0; k < m->n_fields; k++) {
		const struct b_field *f = B_FIELD(p->at.b, m->first + k);

		/* extensions have their names elsewhere; no field is called so */
		p->fields[k] = (struct named){ f->extension ? "" : f->d->name, k, 0 };
	}
	qsort(p->fields, m->n_fields, sizeof *p->fields, named_order);
	return 0;
}

/* The field that one value of MessageOneofRule.fields names, or NULL with an error. */
static struct named *one_of_field(struct message_pass *p, const struct c_opt *name, uint32_t which, int *rc)
{
	struct b_message *m = p->at.m;
	char *text = strndup((const char *)name->at, name->len);
	struct named key = { .name = text }, *found = NULL;

	if (!text) {
		*rc = b_nomem(p->at.b);
		return NULL;
	}
	if (*text)
		found = bsearch(&key, p->fields, m->n_fields, sizeof *p->fields, named_order);
	if (!found)
		*rc = c_fail(&p->at, "message.oneof names %.100s, which is no field of the message", *text ? text : "nothing");
	else if (found->picked == which)
		*rc = c_fail(&p->at, "message.oneof names %.100s twice", text);
	free(text);
	if (*rc)
		return NULL;
	found->picked = which;
	return found;
}

static int one_of_rule(struct message_pass *p, const struct c_opts *o, uint32_t which)
{
	struct b_message *m = p->at.m;
	size_t n = c_opt_count(o, "fields"), k = 0;
	uint32_t *list = calloc(n ? n : 1, sizeof *list);
	struct sch_rule rule = { .op = SCH_R_ONE_OF, .a = (uint64_t)c_opt_true(o, "required") };
	const struct c_opt *name;
	int rc = 0;

	if (!list)
		return b_nomem(p->at.b);
	if (n == 0)
		rc = c_fail(&p->at, "a message.oneof names no fields");
	for (size_t i = 0; !rc && (name = c_opt_next(o, "fields", &i));) {
		struct named *found = one_of_field(p, name, which, &rc);

		if (rc)
			break;
		struct b_field *f = B_FIELD(p->at.b, m->first + found->index);

		p->picked[found->index] = 1;
		list[k++] = b_field_index(p->at.b, m->first + found->index);
		if (f->flags & SCH_F_REPEATED)
			rc = c_counted(&p->at, f);
	}
	rule.n = (uint16_t)k;
	if (!rc)
		rc = c_pool(&p->at, list, k * sizeof *list, 8, &rule.arg);
	if (!rc)
		rc = c_rule(&p->at, rule, "", "message.oneof");
	free(list);
	return rc;
}

static int message_options(struct message_pass *p)
{
	const Google__Protobuf__MessageOptions *options = p->at.m->d->options;
	const struct c_opt *opt;
	uint32_t which = 0;
	int rc;

	if (options && options->n_uninterpreted_option)
		return c_fail(&p->at, "has options that were never interpreted; make the set with protoc");
	rc = c_opts_extension(&p->at, options ? &options->base : NULL, C_OPTION, &buf__validate__message_rules__descriptor,
			      &p->opts);
	if (!rc)
		rc = c_expressions(&p->at, &p->opts, SCH_EXPR_MESSAGE);
	if (rc || !c_opt(&p->opts, "oneof"))
		return rc;
	if (c_opt_count(&p->opts, "oneof") > C_MESSAGE_RULES_MAX)
		return c_fail(&p->at, "has more than %u message.oneof rules", C_MESSAGE_RULES_MAX);
	rc = names_make(p);
	for (size_t i = 0; !rc && (opt = c_opt_next(&p->opts, "oneof", &i));) {
		struct c_opts one;

		rc = c_opts_value(&p->at, opt, &one);
		if (!rc)
			rc = one_of_rule(p, &one, ++which);
		c_opts_free(&one);
	}
	return rc;
}

/* The presence bit of the message's i-th oneof, SCH_NO_SLOT where it is an optional field in disguise. */
static uint16_t oneof_slot(const struct build *b, const struct b_message *m, size_t i)
{
	for (uint32_t k = 0; k < m->n_fields; k++) {
		const struct b_field *f = B_FIELD(b, m->first + k);

		if (f->d->has_oneof_index && (size_t)f->d->oneof_index == i)
			return f->oneof;
	}
	return SCH_NO_SLOT;
}

static int oneof_rule(struct message_pass *p, size_t i)
{
	const Google__Protobuf__OneofDescriptorProto *d = p->at.m->d->oneof_decl[i];
	struct sch_rule rule = { .op = SCH_R_ONEOF };
	struct c_opts o;
	uint16_t slot;
	int rc, required;

	p->at.part = d->name;
	if (d->options && d->options->n_uninterpreted_option)
		return c_fail(&p->at, "has options that were never interpreted; make the set with protoc");
	rc = c_opts_extension(&p->at, d->options ? &d->options->base : NULL, C_OPTION,
			      &buf__validate__oneof_rules__descriptor, &o);
	required = c_opt_true(&o, "required");
	c_opts_free(&o);
	if (rc || !required)
		return rc;
	slot = oneof_slot(p->at.b, p->at.m, i);
	if (slot == SCH_NO_SLOT)
		return c_fail(&p->at, "only a oneof that the schema itself declares can be required");
	c_must(p->at.m, slot);
	rule.a = slot;
	rc = c_pool(&p->at, d->name, strlen(d->name) + 1, 1, &rule.arg);
	return rc ? rc : c_rule(&p->at, rule, "", "required");
}

/* Two members of one oneof can never both be set. */
static int oneof_member(struct message_pass *p, const struct b_field *f)
{
	int required = f->n_list && B_RULE(p->at.b, f->rules)->op == SCH_R_REQUIRED;

	if (!required || !f->d->has_oneof_index || f->extension)
		return 0;
	if (p->required[f->d->oneof_index]++) {
		p->at.part = f->d->name;
		return c_fail(&p->at, "contradiction: another member of the same oneof is required");
	}
	return 0;
}

/* A map's entry belongs to one field: its rules would be another's too. */
static int entry_claim(struct message_pass *p, const struct b_field *f, uint8_t *claimed)
{
	if (!(f->flags & SCH_F_MAP))
		return 0;
	p->at.part = f->d->name;
	if (claimed[f->sub])
		return c_fail(&p->at, "shares its map entry with another field; make the set with protoc");
	claimed[f->sub] = 1;
	return 0;
}

static int message_pass(struct build *b, struct b_message *m, uint8_t *claimed)
{
	struct message_pass p = { .at = { .b = b, .m = m, .prefix = "" } };
	int rc = 0;

	m->rules = (uint32_t)b->rules.n;
	p.picked = calloc(m->n_fields + 1, 1);
	p.required = calloc(m->d->n_oneof_decl + 1, 1);
	if (!p.picked || !p.required)
		rc = b_nomem(b);
	if (!rc)
		rc = message_options(&p);
	for (size_t i = 0; i < m->d->n_oneof_decl && !rc; i++)
		rc = oneof_rule(&p, i);
	m->n_rules = (uint32_t)b->rules.n - m->rules;
	for (uint32_t k = 0; k < m->n_fields && !rc; k++) {
		struct b_field *f = B_FIELD(b, m->first + k);

		rc = entry_claim(&p, f, claimed);
		if (!rc)
			rc = c_field(b, m, f, p.picked[k]);
		if (!rc)
			rc = oneof_member(&p, f);
	}
	c_opts_free(&p.opts);
	free(p.fields);
	free(p.picked);
	free(p.required);
	return rc;
}

int b_rules(struct build *b)
{
	static const uint8_t empty[8];
	struct c_at start = { .b = b };
	uint8_t *claimed = calloc(b->messages.n + 1, 1);
	uint32_t where;
	int rc = claimed ? c_pool(&start, empty, sizeof empty, 8, &where) : b_nomem(b);

	for (uint32_t i = 0; i < b->messages.n && rc >= 0; i++)
		if (!(B_MSG(b, i)->flags & SCH_M_MAP_ENTRY))
			rc = message_pass(b, B_MSG(b, i), claimed);
	free(claimed);
	return rc < 0 ? rc : 0;
}
