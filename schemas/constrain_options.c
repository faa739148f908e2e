/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads buf.validate options from the unknown fields that protobuf-c keeps: one level of messages at a time, strictly, so
 * that no rule is lost or ignored. What the rules mean is left to the other files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <buf/validate/validate.pb-c.h>

#include "bytes.h"
#include "constrain.h"

#define EXTENSIONS_FROM 1000u /* in the rules of a kind */
#define FIELDS_MAX 64u /* of one message of validate.proto: the bits of c_opts.seen */

static const char damaged[] = "its buf.validate options are damaged; make the set with protoc";

static const ProtobufCType type_of[] = {
	[SCH_T_DOUBLE] = PROTOBUF_C_TYPE_DOUBLE,     [SCH_T_FLOAT] = PROTOBUF_C_TYPE_FLOAT,
	[SCH_T_INT64] = PROTOBUF_C_TYPE_INT64,       [SCH_T_UINT64] = PROTOBUF_C_TYPE_UINT64,
	[SCH_T_INT32] = PROTOBUF_C_TYPE_INT32,       [SCH_T_FIXED64] = PROTOBUF_C_TYPE_FIXED64,
	[SCH_T_FIXED32] = PROTOBUF_C_TYPE_FIXED32,   [SCH_T_BOOL] = PROTOBUF_C_TYPE_BOOL,
	[SCH_T_STRING] = PROTOBUF_C_TYPE_STRING,     [SCH_T_GROUP] = PROTOBUF_C_TYPE_MESSAGE,
	[SCH_T_MESSAGE] = PROTOBUF_C_TYPE_MESSAGE,   [SCH_T_BYTES] = PROTOBUF_C_TYPE_BYTES,
	[SCH_T_UINT32] = PROTOBUF_C_TYPE_UINT32,     [SCH_T_ENUM] = PROTOBUF_C_TYPE_ENUM,
	[SCH_T_SFIXED32] = PROTOBUF_C_TYPE_SFIXED32, [SCH_T_SFIXED64] = PROTOBUF_C_TYPE_SFIXED64,
	[SCH_T_SINT32] = PROTOBUF_C_TYPE_SINT32,     [SCH_T_SINT64] = PROTOBUF_C_TYPE_SINT64,
};

static uint32_t wire_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return SCH_W_FIXED32;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return SCH_W_FIXED64;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return SCH_W_LEN;
	default:
		return SCH_W_VARINT;
	}
}

static uint64_t sign_extend(uint64_t v)
{
	return (uint64_t)(int64_t)(int32_t)(uint32_t)v;
}

/* What the wire holds, as a key. */
static uint64_t key_of(ProtobufCType type, uint64_t v)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_SFIXED32:
		return sign_extend(v);
	case PROTOBUF_C_TYPE_SINT32:
		v = (uint32_t)v;
		return sign_extend(v >> 1 ^ (0 - (v & 1)));
	case PROTOBUF_C_TYPE_SINT64:
		return v >> 1 ^ (0 - (v & 1));
	case PROTOBUF_C_TYPE_UINT32:
		return (uint32_t)v;
	case PROTOBUF_C_TYPE_BOOL:
		return v != 0;
	case PROTOBUF_C_TYPE_FLOAT:
		return sch_key_float((uint32_t)v);
	case PROTOBUF_C_TYPE_DOUBLE:
		return sch_key_double(v);
	default:
		return v;
	}
}

/* Reads one value that is no text. NULL where it does not fit. */
static const uint8_t *number_read(const uint8_t *p, const uint8_t *end, uint32_t wire, uint64_t *v)
{
	enum sch_reason why;
	size_t n = wire == SCH_W_FIXED32 ? 4 : 8;

	if (wire == SCH_W_VARINT)
		return sch_varint_lenient(p, end, SCH_VARINT_MAX, v, &why);
	if ((size_t)(end - p) < n)
		return NULL;
	*v = 0;
	for (size_t i = 0; i < n; i++)
		*v |= (uint64_t)p[i] << (8 * i);
	return p + n;
}

static const uint8_t *text_read(const uint8_t *p, const uint8_t *end, const uint8_t **at, uint32_t *len)
{
	enum sch_reason why;
	uint64_t n;

	p = sch_varint_lenient(p, end, 5, &n, &why);
	if (!p || n > (size_t)(end - p))
		return NULL;
	*at = p;
	*len = (uint32_t)n;
	return p + n;
}

/* --- extensions ------------------------------------------------------------------------------------------------------- */
/* Are these the rules of a kind (Int32Rules ...)? What extends those is a predefined rule. */
static int is_kind(const ProtobufCMessageDescriptor *type)
{
	const ProtobufCMessageDescriptor *all = &buf__validate__field_rules__descriptor;

	for (unsigned i = 0; i < all->n_fields; i++)
		if (all->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF && all->fields[i].descriptor == type)
			return 1;
	return 0;
}

/* The extension of the type that has this number, as a place in build.fields, or SCH_NONE. */
static uint32_t extension_find(const struct c_at *at, const ProtobufCMessageDescriptor *type, uint64_t number)
{
	char dotted[SCH_NAME_MAX + 2];
	const struct b_symbol *s;

	snprintf(dotted, sizeof dotted, ".%s", type->name);
	s = is_kind(type) ? b_symbol_find(at->b, dotted, B_MESSAGE) : NULL;
	for (uint32_t k = 0; s && k < B_MSG(at->b, s->index)->n_fields; k++) {
		uint32_t i = B_MSG(at->b, s->index)->first + k;

		if (B_FIELD(at->b, i)->extension && (uint64_t)B_FIELD(at->b, i)->d->number == number)
			return i;
	}
	return SCH_NONE;
}

static struct c_ext *ext_add(const struct c_at *at, struct c_opts *o, uint32_t field, int *rc)
{
	const struct b_field *f = B_FIELD(at->b, field);
	struct c_ext *all = o->exts.at, *x;

	for (size_t i = 0; i < o->exts.n; i++) {
		if (all[i].field != field)
			continue;
		if (!(f->flags & SCH_F_REPEATED))
			*rc = c_fail(at, "sets %s of %s twice", f->d->name, o->type->name);
		return &all[i];
	}
	x = b_list_add(&o->exts, sizeof *x);
	if (!x)
		*rc = b_nomem(at->b);
	else
		x->field = field;
	return x;
}

/* The value of an extension from p on, which is what its tag announced. Of a repeated one all is only looked at. */
static const uint8_t *ext_read(const struct c_at *at, struct c_opts *o, uint32_t field, uint32_t wire, const uint8_t *p,
			       const uint8_t *end, int *rc)
{
	const struct b_field *f = B_FIELD(at->b, field);
	ProtobufCType type = type_of[f->type];
	uint32_t own = wire_of(type), len = 0;
	struct c_ext *x = ext_add(at, o, field, rc);
	const uint8_t *stop;
	uint64_t v;

	if (*rc)
		return NULL;
	if (f->type == SCH_T_GROUP) {
		*rc = c_fail(at, "sets %s of %s, a group; no rule can be one", f->d->name, o->type->name);
		return NULL;
	}
	if (own == SCH_W_LEN) {
		p = wire == SCH_W_LEN ? text_read(p, end, &x->at, &x->len) : NULL;
		if (p && f->type == SCH_T_STRING && sch_utf8_bad(x->at, x->at + x->len, 1)) {
			*rc = c_fail(at, "%s of %s is not UTF-8", f->d->name, o->type->name);
			return NULL;
		}
		return p;
	}
	if (wire == SCH_W_LEN && f->flags & SCH_F_REPEATED) { /* packed */
		stop = text_read(p, end, &p, &len);
		while (stop && p && p < stop)
			p = number_read(p, stop, own, &v);
		return stop == p ? p : NULL;
	}
	p = wire == own ? number_read(p, end, own, &v) : NULL;
	if (p)
		x->key = key_of(type, v);
	return p;
}

static int unknown(const struct c_at *at, const struct c_opts *o, uint64_t number)
{
	if (is_kind(o->type) && number >= EXTENSIONS_FROM)
		return c_fail(at, "uses rule %u of %s, which no extension in the set defines; import the file that does",
			      (unsigned)number, o->type->name);
	return c_fail(at, "has field %u of %s, which is not supported; see schemas/buf/validate/validate.proto", (unsigned)number,
		      o->type->name);
}

/* A singular value occurs once, and one member of a oneof. Messages may come in pieces. */
static int seen_note(const struct c_at *at, struct c_opts *o, const ProtobufCFieldDescriptor *f)
{
	size_t place = (size_t)(f - o->type->fields);
	uint64_t bit = 1ull << place;

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		o->seen |= bit;
		return 0;
	}
	if (o->seen & bit)
		return f->type == PROTOBUF_C_TYPE_MESSAGE ? 0 : c_fail(at, "sets %s.%s twice", o->type->name, f->name);
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		for (size_t i = 0; i < o->type->n_fields; i++) {
			const ProtobufCFieldDescriptor *other = &o->type->fields[i];

			if (o->seen & 1ull << i && other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
			    other->quantifier_offset == f->quantifier_offset)
				return c_fail(at, "sets both %s and %s of %s, of which only one can be", other->name, f->name,
					      o->type->name);
		}
	o->seen |= bit;
	return 0;
}

static struct c_opt *opt_add(const struct c_at *at, struct c_opts *o, const ProtobufCFieldDescriptor *f, int *rc)
{
	struct c_opt *opt = NULL;

	if (o->list.n >= C_VALUES_MAX) {
		*rc = c_fail(at, "has more than %u values in one %s", C_VALUES_MAX, o->type->name);
		return NULL;
	}
	opt = b_list_add(&o->list, sizeof *opt);
	if (!opt) {
		*rc = b_nomem(at->b);
		return NULL;
	}
	opt->field = f;
	return opt;
}

/* The values of one field from p on, which is what its tag announced; packed ones are many. */
static const uint8_t *field_read(const struct c_at *at, struct c_opts *o, const ProtobufCFieldDescriptor *f, uint32_t wire,
				 const uint8_t *p, const uint8_t *end, int *rc)
{
	uint32_t own = wire_of(f->type);
	const uint8_t *stop = NULL;
	struct c_opt *opt;
	uint64_t v;

	if (own == SCH_W_LEN) {
		if (wire != SCH_W_LEN || !(opt = opt_add(at, o, f, rc)))
			return NULL;
		p = text_read(p, end, &opt->at, &opt->len);
		if (p && f->type == PROTOBUF_C_TYPE_STRING && sch_utf8_bad(opt->at, opt->at + opt->len, 1)) {
			*rc = c_fail(at, "%s.%s is not UTF-8", o->type->name, f->name);
			return NULL;
		}
		return p;
	}
	if (wire == SCH_W_LEN && f->label == PROTOBUF_C_LABEL_REPEATED) {
		uint32_t len = 0;

		stop = text_read(p, end, &p, &len);
		if (!stop)
			return NULL;
		end = stop;
	} else if (wire != own) {
		return NULL;
	}
	while (!stop || p < stop) {
		p = number_read(p, end, own, &v);
		if (!p || !(opt = opt_add(at, o, f, rc)))
			return NULL;
		opt->key = key_of(f->type, v);
		if (!stop)
			return p;
	}
	return p;
}

static int level_read(const struct c_at *at, const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t len,
		      struct c_opts *o)
{
	const uint8_t *end = p + len;

	o->type = type;
	if (type->n_fields > FIELDS_MAX)
		return c_fail(at, "%s has more than %u fields", type->name, FIELDS_MAX);
	while (p < end) {
		enum sch_reason why;
		uint64_t tag;
		int rc = 0;

		p = sch_varint_lenient(p, end, 5, &tag, &why);
		if (!p || tag < 8 || tag > UINT32_MAX)
			return c_fail(at, "%s", damaged);
		const ProtobufCFieldDescriptor *f =
			protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
		uint32_t ext = f ? SCH_NONE : extension_find(at, type, tag >> 3);

		if (!f && ext == SCH_NONE)
			return unknown(at, o, tag >> 3);
		rc = f ? seen_note(at, o, f) : 0;
		if (rc)
			return rc;
		p = f ? field_read(at, o, f, tag & 7, p, end, &rc) : ext_read(at, o, ext, tag & 7, p, end, &rc);
		if (rc)
			return rc;
		if (!p)
			return c_fail(at, "%s", damaged);
	}
	return 0;
}

int c_has_extension(const ProtobufCMessage *options, uint32_t number)
{
	for (unsigned i = 0; options && i < options->n_unknown_fields; i++)
		if (options->unknown_fields[i].tag == number)
			return 1;
	return 0;
}

int c_opts_extension(const struct c_at *at, const ProtobufCMessage *options, uint32_t number,
		     const ProtobufCMessageDescriptor *type, struct c_opts *out)
{
	size_t len = 0;

	*out = (struct c_opts){ 0 };
	if (!c_has_extension(options, number))
		return 0;
	for (unsigned i = 0; i < options->n_unknown_fields; i++)
		if (options->unknown_fields[i].tag == number)
			len += options->unknown_fields[i].len;
	out->bytes = malloc(len ? len : 1);
	if (!out->bytes)
		return b_nomem(at->b);
	len = 0;
	for (unsigned i = 0; i < options->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *u = &options->unknown_fields[i];
		const uint8_t *content;
		uint32_t n;

		if (u->tag != number)
			continue;
		/* what protobuf-c keeps of it begins with its length */
		if (u->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED ||
		    text_read(u->data, u->data + u->len, &content, &n) != u->data + u->len)
			return c_fail(at, "%s", damaged);
		memcpy(out->bytes + len, content, n);
		len += n;
	}
	return level_read(at, type, out->bytes, len, out);
}

int c_opts_inside(const struct c_at *at, const struct c_opts *o, const char *name, struct c_opts *out)
{
	const struct c_opt *first = c_opt(o, name), *opt;
	size_t len = 0, i = 0;

	*out = (struct c_opts){ 0 };
	if (!first)
		return 0;
	while ((opt = c_opt_next(o, name, &i)))
		len += opt->len;
	out->bytes = malloc(len ? len : 1);
	if (!out->bytes)
		return b_nomem(at->b);
	len = 0;
	for (i = 0; (opt = c_opt_next(o, name, &i)); len += opt->len)
		memcpy(out->bytes + len, opt->at, opt->len);
	out->len = len;
	return level_read(at, first->field->descriptor, out->bytes, len, out);
}

int c_opts_value(const struct c_at *at, const struct c_opt *value, struct c_opts *out)
{
	*out = (struct c_opts){ 0 };
	return level_read(at, value->field->descriptor, value->at, value->len, out);
}

void c_opts_free(struct c_opts *o)
{
	free(o->list.at);
	free(o->exts.at);
	free(o->bytes);
	*o = (struct c_opts){ 0 };
}

const struct c_opt *c_opt_next(const struct c_opts *o, const char *name, size_t *i)
{
	const struct c_opt *all = o->list.at;

	for (; *i < o->list.n; ++*i)
		if (strcmp(all[*i].field->name, name) == 0)
			return &all[(*i)++];
	return NULL;
}

const struct c_opt *c_opt(const struct c_opts *o, const char *name)
{
	size_t i = 0;

	return c_opt_next(o, name, &i);
}

int c_opt_true(const struct c_opts *o, const char *name)
{
	const struct c_opt *opt = c_opt(o, name);

	return opt && opt->key;
}

size_t c_opt_count(const struct c_opts *o, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; c_opt_next(o, name, &i);)
		n++;
	return n;
}
