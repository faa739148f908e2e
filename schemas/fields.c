/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiler's pass over fields: numbers, names, types, oneofs, maps and extensions are what the protobuf language
 * allows, or the set is refused. Gives every singular field its presence bit. Layout of the tables is left to emit.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "build.h"

#define NUMBER_OWN_FIRST 19000 /* protobuf keeps 19000 to 19999 to itself */
#define NUMBER_OWN_LAST 19999

#define LABEL_REQUIRED GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REQUIRED
#define LABEL_REPEATED GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED

struct range {
	int32_t start, end; /* end is not part of it */
	int extension;
};

static int field_fail(struct build *b, const struct b_field *f, int code, const char *text)
{
	const char *msg = f->msg == SCH_NONE ? "" : B_MSG(b, f->msg)->name;
	char where[160];

	snprintf(where, sizeof where, "%.100s%s%.50s", msg, *msg ? "." : "", f->d->name ? f->d->name : "?");
	return b_fail(b, code, b_file_name(b, f->file), where, "%s", text);
}

static int range_order(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static int name_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int field_order(const void *a, const void *b)
{
	const struct b_field *x = a, *y = b;

	if (x->msg != y->msg)
		return x->msg < y->msg ? -1 : 1;
	return (x->d->number > y->d->number) - (x->d->number < y->d->number);
}

static int is_numeric(int type)
{
	return type != SCH_T_STRING && type != SCH_T_BYTES && type != SCH_T_MESSAGE && type != SCH_T_GROUP;
}

/* Finds what the field belongs to and checks its name and number. */
static int field_place(struct build *b, struct b_field *f)
{
	const fd_field_t *d = f->d;

	if (!b_name_ok(d->name))
		return field_fail(b, f, -EINVAL, "a field needs a name of letters, digits and _");
	if (strlen(d->name) > SCH_NAME_MAX)
		return field_fail(b, f, -ENAMETOOLONG, "the field's name is longer than 511 bytes");
	if (f->extension) {
		const struct b_symbol *s = b_symbol_find(b, d->extendee, B_MESSAGE);

		if (!s)
			return field_fail(b, f, -ENOENT, "extends a message that is not in the set");
		f->msg = s->index;
	} else if (d->extendee && *d->extendee) {
		return field_fail(b, f, -EINVAL, "is an extension in a message's own list of fields");
	}
	int message_set = (B_MSG(b, f->msg)->flags & SCH_M_MESSAGE_SET) != 0;

	if (!d->has_number || d->number < 1 || (!message_set && d->number > (int32_t)SCH_NUMBER_MAX))
		return field_fail(b, f, -ERANGE, "the field's number must be 1 to 536870911");
	if (!message_set && d->number >= NUMBER_OWN_FIRST && d->number <= NUMBER_OWN_LAST)
		return field_fail(b, f, -ERANGE, "numbers 19000 to 19999 are protobuf's own");
	if (message_set && !f->extension)
		return field_fail(b, f, -EINVAL, "a MessageSet has no fields of its own, only extensions");
	return 0;
}

static int field_label(struct build *b, struct b_field *f)
{
	const fd_field_t *d = f->d;
	int edition = b_edition(b, f->file);

	if (!d->has_label || (int)d->label < 1 || (int)d->label > 3)
		return field_fail(b, f, -EINVAL, "the field has no label");
	if (d->label == LABEL_REPEATED) {
		f->flags |= SCH_F_REPEATED;
		if (is_numeric(f->type))
			f->flags |= SCH_F_PACKABLE;
	}
	if (d->label == LABEL_REQUIRED) {
		if (edition == B_PROTO3)
			return field_fail(b, f, -EINVAL, "proto3 has no required fields");
		if (edition != B_PROTO2)
			return field_fail(b, f, -EINVAL,
					  "an edition has no required label; write features.field_presence = LEGACY_REQUIRED");
		if (f->extension)
			return field_fail(b, f, -EINVAL, "an extension cannot be required");
		f->flags |= SCH_F_REQUIRED;
	}
	if (d->has_proto3_optional && d->proto3_optional && (edition != B_PROTO3 || !d->has_oneof_index))
		return field_fail(b, f, -EINVAL, "proto3_optional needs proto3 and a oneof of its own");
	return 0;
}

/* The guard that the type alone gives; b_emit gives that of enums. */
static void type_guard(struct b_field *f)
{
	f->lo = 0;
	f->span = UINT64_MAX;
	switch (f->type) {
	case SCH_T_INT32:
	case SCH_T_SINT32:
	case SCH_T_SFIXED32:
		f->lo = (uint64_t)(int64_t)INT32_MIN;
		f->span = UINT32_MAX;
		break;
	case SCH_T_UINT32:
	case SCH_T_FIXED32:
		f->span = UINT32_MAX;
		break;
	case SCH_T_BOOL:
		f->span = 1;
		break;
	default:
		break;
	}
}

static int field_type(struct build *b, struct b_field *f)
{
	const fd_field_t *d = f->d;
	int type = (int)d->type, edition = b_edition(b, f->file);

	if (!d->has_type || type < SCH_T_DOUBLE || type > SCH_T_SINT64)
		return field_fail(b, f, -EINVAL, "the field has no type that protobuf knows");
	f->type = (uint8_t)type;
	type_guard(f);
	if (type == SCH_T_MESSAGE || type == SCH_T_GROUP || type == SCH_T_ENUM) {
		const struct b_symbol *s =
			b_symbol_find(b, d->type_name, type == SCH_T_ENUM ? B_ENUM : B_MESSAGE);

		if (!s)
			return field_fail(b, f, -ENOENT,
					  "its type is not in the set, or is of another kind; run protoc with "
					  "--include_imports");
		f->sub = s->index;
		if (type == SCH_T_ENUM) {
			const struct sch_enum *e = &B_ENUM_AT(b, f->sub)->table;

			f->lo = (uint64_t)(int64_t)e->low;
			f->span = e->run - 1;
		}
	} else if (d->type_name && *d->type_name) {
		return field_fail(b, f, -EINVAL, "a scalar field names a type");
	}
	if (type == SCH_T_GROUP && edition == B_PROTO3)
		return field_fail(b, f, -EINVAL, "proto3 has no groups");
	if (type == SCH_T_GROUP && edition != B_PROTO2)
		return field_fail(b, f, -EINVAL, "an edition has no groups; write features.message_encoding = DELIMITED");
	return field_label(b, f);
}

static int is_map_entry(const struct build *b, uint32_t msg)
{
	return (B_MSG(b, msg)->flags & SCH_M_MAP_ENTRY) != 0;
}

/* What the field's own options say of features must be about a field of its kind. */
static int features_fit(struct build *b, const struct b_field *f, const struct b_features *own)
{
	int is_message = f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP;
	int is_map = is_message && is_map_entry(b, f->sub);

	if (is_map_entry(b, f->msg))
		return 0; /* copied from the map field by protoc, whatever they are about */
	if (own->presence && (f->d->has_oneof_index || f->flags & SCH_F_REPEATED || f->extension))
		return field_fail(b, f, -EINVAL, "a oneof's member, a repeated field and an extension have no field_presence");
	if (own->presence == B_IMPLICIT && is_message)
		return field_fail(b, f, -EINVAL, "a message cannot have implicit field_presence");
	if (own->repeated && !(f->flags & SCH_F_REPEATED))
		return field_fail(b, f, -EINVAL, "only a repeated field has a repeated_field_encoding");
	if (own->repeated == B_PACKED && !(f->flags & SCH_F_PACKABLE))
		return field_fail(b, f, -EINVAL, "only a repeated field of numbers can be PACKED");
	if (own->utf8 && f->type != SCH_T_STRING && !is_map)
		return field_fail(b, f, -EINVAL, "only a string has a utf8_validation");
	if (own->messages && (!is_message || is_map))
		return field_fail(b, f, -EINVAL, "only a message that is no map has a message_encoding");
	return 0;
}

/* What the features around the field and its own make of it. */
static int field_features(struct build *b, struct b_field *f, struct b_features all)
{
	struct b_features own = { 0 };
	int is_message = f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP;
	int rc = b_features_apply(b, f->file, B_MSG(b, f->msg)->name, f->d->options ? &f->d->options->base : NULL,
				  B_OF_FIELD, &all, &own);

	if (!rc)
		rc = features_fit(b, f, &own);
	if (rc)
		return rc;
	if (all.presence == B_REQUIRED)
		f->flags |= SCH_F_REQUIRED;
	if (f->type == SCH_T_STRING && all.utf8 == B_VERIFY)
		f->flags |= SCH_F_UTF8;
	if (f->type == SCH_T_ENUM && B_ENUM_AT(b, f->sub)->closed)
		f->flags |= SCH_F_CLOSED;
	if (all.presence == B_IMPLICIT && f->flags & SCH_F_CLOSED)
		return field_fail(b, f, -EINVAL, "an enum that need not have 0 (proto2, CLOSED) needs field presence");
	if (all.presence == B_IMPLICIT && f->d->default_value)
		return field_fail(b, f, -EINVAL, "a field without presence cannot have a default");
	/* a map's entry means its default where key or value are missing, proto2's too */
	if (!is_message && !f->extension && !f->d->has_oneof_index && !(f->flags & SCH_F_REPEATED) &&
	    (all.presence == B_IMPLICIT || is_map_entry(b, f->msg)))
		f->flags |= SCH_F_IMPLICIT;
	/* maps stay as they are, and so do the messages in them */
	if (f->type == SCH_T_MESSAGE && all.messages == B_DELIMITED && !is_map_entry(b, f->sub) && !is_map_entry(b, f->msg))
		f->type = SCH_T_GROUP;
	return 0;
}

/* A map field is a repeated message whose type is a map entry nested in the same message; entries have no other use. */
static int field_map(struct build *b, struct b_field *f)
{
	if (f->type != SCH_T_MESSAGE && f->type != SCH_T_GROUP)
		return 0;
	const struct b_message *sub = B_MSG(b, f->sub);

	if (!(sub->flags & SCH_M_MAP_ENTRY))
		return 0;
	if (f->type == SCH_T_GROUP || f->extension || !(f->flags & SCH_F_REPEATED) || sub->parent != f->msg)
		return field_fail(b, f, -EINVAL, "a map entry may only be the type of a map field beside it");
	f->flags |= SCH_F_MAP;
	B_MSG(b, f->msg)->flags |= SCH_M_KEYED;
	return 0;
}

static int entry_check(struct build *b, const struct b_message *m)
{
	const char *file = b_file_name(b, m->file);

	if (m->n_fields != 2 || m->d->n_field != 2 || m->d->n_oneof_decl || m->d->n_extension_range)
		return b_fail(b, -EINVAL, file, m->name, "a map entry has exactly the fields key = 1 and value = 2");
	struct b_field *key = B_FIELD(b, m->first), *value = key + 1;
	int t = key->type;

	if (key->d->number != 1 || value->d->number != 2 || (key->flags | value->flags) & (SCH_F_REPEATED | SCH_F_REQUIRED))
		return b_fail(b, -EINVAL, file, m->name, "a map entry has exactly the fields key = 1 and value = 2");
	if (t == SCH_T_DOUBLE || t == SCH_T_FLOAT || t == SCH_T_BYTES || t == SCH_T_ENUM || t == SCH_T_MESSAGE ||
	    t == SCH_T_GROUP || value->type == SCH_T_GROUP)
		return b_fail(b, -EINVAL, file, m->name, "a map's key is an integer, a bool or a string");
	if (value->type == SCH_T_ENUM && B_ENUM_AT(b, value->sub)->d->value[0]->number != 0)
		return b_fail(b, -EINVAL, file, m->name, "the first value of an enum in a map must be 0");
	key->flags |= SCH_F_KEY;
	return 0;
}

/* Reserved and extension ranges of one message, sorted and without overlap; every field is held against them. */
static int ranges_check(struct build *b, const struct b_message *m)
{
	const fd_message_t *d = m->d;
	const char *file = b_file_name(b, m->file);
	size_t n = 0, cap = d->n_reserved_range + d->n_extension_range;
	struct range *r = calloc(cap ? cap : 1, sizeof *r);
	int rc = 0;

	if (!r)
		return b_nomem(b);
	for (size_t i = 0; i < d->n_reserved_range; i++)
		r[n++] = (struct range){ d->reserved_range[i]->start, d->reserved_range[i]->end, 0 };
	for (size_t i = 0; i < d->n_extension_range; i++)
		r[n++] = (struct range){ d->extension_range[i]->start, d->extension_range[i]->end, 1 };
	qsort(r, n, sizeof *r, range_order);
	for (size_t i = 0; i < n && !rc; i++) {
		if (r[i].start < 1 || r[i].end <= r[i].start)
			rc = b_fail(b, -ERANGE, file, m->name, "a reserved or extension range is empty or below 1");
		else if (i > 0 && r[i].start < r[i - 1].end)
			rc = b_fail(b, -ERANGE, file, m->name, "reserved and extension ranges overlap");
		else if (r[i].extension && b_edition(b, m->file) == B_PROTO3)
			rc = b_fail(b, -EINVAL, file, m->name, "proto3 has no extension ranges");
	}
	for (size_t i = 0; i < d->n_extension_range && !rc; i++) {
		const ProtobufCMessage *options =
			d->extension_range[i]->options ? &d->extension_range[i]->options->base : NULL;

		rc = b_features_check(b, m->file, m->name, options, B_OF_RANGE);
	}
	for (uint32_t k = 0; k < m->n_fields && !rc; k++) {
		const struct b_field *f = B_FIELD(b, m->first + k);
		size_t lo = 0, hi = n; /* the first range that ends above the number */

		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;

			if (r[mid].end <= f->d->number)
				lo = mid + 1;
			else
				hi = mid;
		}
		int inside = lo < n && r[lo].start <= f->d->number;

		if (f->extension && !(inside && r[lo].extension))
			rc = field_fail(b, f, -ERANGE, "the message has no extension range with this number");
		else if (!f->extension && inside)
			rc = field_fail(b, f, -ERANGE, "the field's number is reserved, or kept for extensions");
	}
	free(r);
	return rc;
}

/* Field names are unique and not reserved. Extensions have names elsewhere. */
static int names_check(struct build *b, const struct b_message *m)
{
	const fd_message_t *d = m->d;
	size_t n = d->n_field;
	char **names = calloc(n ? n : 1, sizeof *names);
	int rc = 0;

	if (!names)
		return b_nomem(b);
	for (size_t i = 0; i < n; i++)
		names[i] = d->field[i]->name;
	qsort(names, n, sizeof *names, name_order);
	for (size_t i = 1; i < n && !rc; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			rc = b_fail(b, -EEXIST, b_file_name(b, m->file), m->name, "has two fields named %.100s", names[i]);
	for (size_t i = 0; i < d->n_reserved_name && !rc; i++)
		if (bsearch(&d->reserved_name[i], names, n, sizeof *names, name_order))
			rc = b_fail(b, -EINVAL, b_file_name(b, m->file), m->name, "uses the reserved name %.100s",
				    d->reserved_name[i]);
	free(names);
	return rc;
}

/* Presence bits: one for each singular field and one for each oneof that is not proto3's "optional" in disguise. */
static int slots_give(struct build *b, struct b_message *m)
{
	const char *file = b_file_name(b, m->file);
	size_t n = m->d->n_oneof_decl;
	struct oneof {
		uint32_t members;
		uint32_t optional; /* members with proto3_optional */
		uint16_t slot;
	} *oneofs = calloc(n ? n : 1, sizeof *oneofs);
	uint32_t slots = 0;
	int rc = 0;

	if (!oneofs)
		return b_nomem(b);
	for (uint32_t k = 0; k < m->n_fields && !rc; k++) {
		const struct b_field *f = B_FIELD(b, m->first + k);

		if (!(f->flags & SCH_F_REPEATED))
			slots++;
		if (!f->d->has_oneof_index)
			continue;
		if (f->extension || f->d->oneof_index < 0 || (size_t)f->d->oneof_index >= n) {
			rc = field_fail(b, f, -ERANGE, "names a oneof that its message does not have");
		} else if (f->flags & (SCH_F_REPEATED | SCH_F_REQUIRED)) {
			rc = field_fail(b, f, -EINVAL, "a oneof's member is neither repeated nor required");
		} else {
			oneofs[f->d->oneof_index].members++;
			if (f->d->has_proto3_optional && f->d->proto3_optional)
				oneofs[f->d->oneof_index].optional++;
		}
	}
	for (size_t i = 0; i < n && !rc; i++) {
		if (!b_name_ok(m->d->oneof_decl[i]->name))
			rc = b_fail(b, -EINVAL, file, m->name, "a oneof needs a name");
		else if (oneofs[i].members == 0)
			rc = b_fail(b, -EINVAL, file, m->name, "a oneof has no members");
		else if (oneofs[i].optional && oneofs[i].members != 1)
			rc = b_fail(b, -EINVAL, file, m->name, "an optional field shares its oneof");
		else if (!oneofs[i].optional)
			slots++;
	}
	if (!rc && slots > SCH_SLOTS_MAX)
		rc = b_fail(b, -E2BIG, file, m->name, "has %u singular fields and oneofs; the limit is %u", slots,
			    SCH_SLOTS_MAX);
	if (rc)
		goto out;
	uint16_t next = 0;

	for (size_t i = 0; i < n; i++)
		oneofs[i].slot = oneofs[i].optional ? SCH_NO_SLOT : next++;
	for (uint32_t k = 0; k < m->n_fields; k++) {
		struct b_field *f = B_FIELD(b, m->first + k);

		if (!(f->flags & SCH_F_REPEATED))
			f->slot = next++;
		if (f->d->has_oneof_index)
			f->oneof = oneofs[f->d->oneof_index].slot;
		if (f->flags & SCH_F_REQUIRED) {
			m->flags |= SCH_M_REQUIRED | SCH_M_REQUIRES;
			m->must[f->slot / 64] |= 1ull << (f->slot % 64);
		}
	}
	m->n_slots = next;
out:
	free(oneofs);
	return rc;
}

static int message_check(struct build *b, struct b_message *m)
{
	int rc;

	if (m->n_fields > SCH_FIELDS_MAX)
		return b_fail(b, -E2BIG, b_file_name(b, m->file), m->name, "has more than %u fields", SCH_FIELDS_MAX);
	for (uint32_t k = 1; k < m->n_fields; k++)
		if (B_FIELD(b, m->first + k - 1)->d->number == B_FIELD(b, m->first + k)->d->number)
			return field_fail(b, B_FIELD(b, m->first + k), -EEXIST, "another field has the same number");
	if (m->flags & SCH_M_MESSAGE_SET)
		for (uint32_t k = 0; k < m->n_fields; k++) {
			const struct b_field *f = B_FIELD(b, m->first + k);

			if (f->type != SCH_T_MESSAGE || f->flags & SCH_F_REPEATED)
				return field_fail(b, f, -EINVAL, "extends a MessageSet, so it must be an optional message");
		}
	rc = names_check(b, m);
	if (!rc)
		rc = ranges_check(b, m);
	if (!rc)
		rc = slots_give(b, m);
	if (!rc && m->flags & SCH_M_MAP_ENTRY)
		rc = entry_check(b, m);
	return rc;
}

/* Types, labels and features of a message's fields, extensions of it included. */
static int message_fields(struct build *b, struct b_message *m)
{
	size_t n = m->d->n_oneof_decl;
	struct b_features *oneofs = calloc(n ? n : 1, sizeof *oneofs);
	int rc = 0;

	if (!oneofs)
		return b_nomem(b);
	for (size_t i = 0; i < n && !rc; i++) {
		const Google__Protobuf__OneofDescriptorProto *d = m->d->oneof_decl[i];

		oneofs[i] = m->features;
		rc = b_features_apply(b, m->file, m->name, d->options ? &d->options->base : NULL, B_OF_ONEOF, &oneofs[i],
				      NULL);
	}
	for (uint32_t k = 0; k < m->n_fields && !rc; k++) {
		struct b_field *f = B_FIELD(b, m->first + k);
		const struct b_features *around = &m->features;

		if (f->extension)
			around = f->scope == SCH_NONE ? &B_FILE(b, f->file)->features : &B_MSG(b, f->scope)->features;
		else if (f->d->has_oneof_index && f->d->oneof_index >= 0 && (size_t)f->d->oneof_index < n)
			around = &oneofs[f->d->oneof_index];
		rc = field_type(b, f);
		if (!rc)
			rc = field_features(b, f, *around);
		if (!rc)
			rc = field_map(b, f);
	}
	free(oneofs);
	return rc;
}

int b_fields(struct build *b)
{
	int rc = 0;

	for (uint32_t i = 0; i < b->fields.n && !rc; i++)
		rc = field_place(b, B_FIELD(b, i));
	if (rc)
		return rc;
	if (b->fields.n)
		qsort(b->fields.at, b->fields.n, sizeof(struct b_field), field_order);
	for (uint32_t i = 0; i < b->fields.n && !rc; i++) {
		struct b_message *m = B_MSG(b, B_FIELD(b, i)->msg);

		if (m->n_fields++ == 0)
			m->first = i;
	}
	for (uint32_t i = 0; i < b->messages.n && !rc; i++)
		rc = message_fields(b, B_MSG(b, i));
	for (uint32_t i = 0; i < b->messages.n && !rc; i++)
		rc = message_check(b, B_MSG(b, i));
	return rc;
}
