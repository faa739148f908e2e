/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads editions and their features out of a descriptor set. Debian's descriptor.proto is older than editions, so that
 * protobuf-c keeps both as unknown fields; they are read here by hand. What a feature means for a field is in fields.c.
 *
 * FileDescriptorProto.edition is a varint in field 14; it counts where field 12, syntax, says "editions". Features are a
 * message FeatureSet among each thing's options; fields 1 to 5 of it are about the wire, 6 to 8 about JSON and names,
 * 1000 to 9999 about the code of one language. Edition 2024 has the defaults of 2023 for all that is about the wire. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "build.h"
#include "bytes.h"

#define FILE_EDITION 14u
#define LANGUAGE_FIRST 1000u
#define LANGUAGE_LAST 9999u

/* The features by number: their values, and where they are kept. */
static const struct feature {
	const char *name;
	uint8_t values;    /* bit v: v is a value of it */
	uint8_t wire;      /* kept in struct b_features, at `at` */
	uint8_t at;
	uint16_t since;    /* edition */
} feature_table[] = {
	[1] = { "field_presence", 1 << 1 | 1 << 2 | 1 << 3, 1, offsetof(struct b_features, presence), B_EDITION_2023 },
	[2] = { "enum_type", 1 << 1 | 1 << 2, 1, offsetof(struct b_features, enums), B_EDITION_2023 },
	[3] = { "repeated_field_encoding", 1 << 1 | 1 << 2, 1, offsetof(struct b_features, repeated), B_EDITION_2023 },
	[4] = { "utf8_validation", 1 << 2 | 1 << 3, 1, offsetof(struct b_features, utf8), B_EDITION_2023 },
	[5] = { "message_encoding", 1 << 1 | 1 << 2, 1, offsetof(struct b_features, messages), B_EDITION_2023 },
	[6] = { "json_format", 1 << 1 | 1 << 2, 0, 0, B_EDITION_2023 },
	[7] = { "enforce_naming_style", 1 << 1 | 1 << 2, 0, 0, B_EDITION_2024 },
	[8] = { "default_symbol_visibility", 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4, 0, 0, B_EDITION_2024 },
};
#define FEATURES (sizeof feature_table / sizeof feature_table[0])

static int syntax_edition(const fd_file_t *f)
{
	if (!f->syntax || !*f->syntax || strcmp(f->syntax, "proto2") == 0)
		return B_PROTO2;
	if (strcmp(f->syntax, "proto3") == 0)
		return B_PROTO3;
	return strcmp(f->syntax, "editions") == 0 ? 0 : -1;
}

static const char *edition_name(uint64_t edition)
{
	switch (edition) {
	case B_EDITION_2023:
		return "2023";
	case B_EDITION_2024:
		return "2024";
	case 1002:
		return "2026";
	case 9999:
		return "UNSTABLE";
	default:
		return "of an unknown name";
	}
}

static int file_edition(struct build *b, const fd_file_t *f, int *out)
{
	int edition = syntax_edition(f);
	uint64_t said = 0;

	if (edition < 0)
		return b_fail(b, -ENOTSUP, f->name, NULL,
			      "syntax '%.40s' is not supported; write edition = \"2023\", or syntax = \"proto3\" or \"proto2\"",
			      f->syntax);
	/* else the edition would not be among the unknown fields */
	assert(!protobuf_c_message_descriptor_get_field(f->base.descriptor, FILE_EDITION));
	for (size_t i = 0; i < f->base.n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *u = &f->base.unknown_fields[i];
		enum sch_reason why;

		if (u->tag == FILE_EDITION && ((int)u->wire_type != SCH_W_VARINT ||
					       !sch_varint_lenient(u->data, u->data + u->len, SCH_VARINT_MAX, &said, &why)))
			return b_fail(b, -EINVAL, f->name, NULL, "the file's edition is damaged");
	}
	if (edition == 0 && said == 0)
		return b_fail(b, -EINVAL, f->name, NULL, "its syntax is \"editions\", but it names no edition");
	if (edition != 0 && said != 0 && said != (uint64_t)edition)
		return b_fail(b, -EINVAL, f->name, NULL, "its syntax and its edition contradict each other");
	if (edition == 0 && said != B_EDITION_2023 && said != B_EDITION_2024)
		return b_fail(b, -ENOTSUP, f->name, NULL,
			      "edition %s (%llu) is not supported; write edition = \"2023\" or \"2024\"", edition_name(said),
			      (unsigned long long)said);
	*out = edition ? edition : (int)said;
	return 0;
}

/* One FeatureSet, over *f. */
static int set_read(struct build *b, uint32_t file, const char *where, const uint8_t *p, const uint8_t *end,
		    struct b_features *f, struct b_features *own)
{
	const char *name = b_file_name(b, file);
	int edition = b_edition(b, file);

	while (p < end) {
		enum sch_reason why;
		uint64_t tag, v;

		p = sch_varint_lenient(p, end, 5, &tag, &why);
		if (!p || tag >> 3 == 0 || tag > UINT32_MAX)
			goto damaged;
		uint32_t number = (uint32_t)tag >> 3, wire = tag & 7;

		if (number >= LANGUAGE_FIRST && number <= LANGUAGE_LAST && wire == SCH_W_LEN) {
			p = sch_varint_lenient(p, end, 5, &v, &why);
			if (!p || v > (size_t)(end - p))
				goto damaged;
			p += v;
			continue;
		}
		const struct feature *known = number < FEATURES ? &feature_table[number] : NULL;

		if (!known || known->since > edition)
			return b_fail(b, -ENOTSUP, name, where, "edition %s has no feature with number %u that is known here",
				      edition_name((uint64_t)edition), number);
		if (wire != SCH_W_VARINT)
			goto damaged;
		p = sch_varint_lenient(p, end, SCH_VARINT_MAX, &v, &why);
		if (!p)
			goto damaged;
		if (v > 7 || !(known->values >> v & 1))
			return b_fail(b, -ENOTSUP, name, where, "feature %s has the value %llu, which is not known here",
				      known->name, (unsigned long long)v);
		if (!known->wire)
			continue;
		((uint8_t *)f)[known->at] = (uint8_t)v;
		if (own)
			((uint8_t *)own)[known->at] = (uint8_t)v;
	}
	return 0;
damaged:
	return b_fail(b, -EINVAL, name, where, "its features are damaged");
}

int b_features_apply(struct build *b, uint32_t file, const char *where, const ProtobufCMessage *options, uint32_t field,
		     struct b_features *f, struct b_features *own)
{
	if (!options)
		return 0;
	/* else the features would not be among the unknown fields */
	assert(!protobuf_c_message_descriptor_get_field(options->descriptor, field));
	for (size_t i = 0; i < options->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *u = &options->unknown_fields[i];
		const uint8_t *p = u->data, *end = p + u->len;
		enum sch_reason why;
		uint64_t len;
		int rc;

		if (u->tag != field)
			continue;
		if (b_edition(b, file) < B_EDITION_2023)
			return b_fail(b, -EINVAL, b_file_name(b, file), where,
				      "sets features, which only a file with an edition can");
		if ((int)u->wire_type != SCH_W_LEN)
			return b_fail(b, -EINVAL, b_file_name(b, file), where, "its features are damaged");
		p = sch_varint_lenient(p, end, 5, &len, &why); /* protobuf-c keeps the length, and has checked it */
		if (!p || len != (size_t)(end - p))
			return b_fail(b, -EINVAL, b_file_name(b, file), where, "its features are damaged");
		rc = set_read(b, file, where, p, end, f, own);
		if (rc)
			return rc;
	}
	if (field != B_OF_FIELD && f->presence == B_REQUIRED)
		return b_fail(b, -EINVAL, b_file_name(b, file), where,
			      "makes all its fields required; say it of each field that is");
	return 0;
}

int b_features_check(struct build *b, uint32_t file, const char *where, const ProtobufCMessage *options, uint32_t field)
{
	struct b_features none = { 0 };

	return b_features_apply(b, file, where, options, field, &none, NULL);
}

int b_features_file(struct build *b, uint32_t file)
{
	static const struct b_features defaults[] = {
		[B_PROTO2 - B_PROTO2] = { B_EXPLICIT, B_CLOSED, B_EXPANDED, B_NO_CHECK, B_LENGTH_PREFIXED },
		[B_PROTO3 - B_PROTO2] = { B_IMPLICIT, B_OPEN, B_PACKED, B_VERIFY, B_LENGTH_PREFIXED },
		[B_EDITION_2023 - B_PROTO2] = { B_EXPLICIT, B_OPEN, B_PACKED, B_VERIFY, B_LENGTH_PREFIXED },
		[B_EDITION_2024 - B_PROTO2] = { B_EXPLICIT, B_OPEN, B_PACKED, B_VERIFY, B_LENGTH_PREFIXED },
	};
	const fd_file_t *d = b->set->file[file];
	struct b_file *f = b_list_add(&b->files, sizeof *f);
	int rc;

	if (!f)
		return b_nomem(b);
	assert(b->files.n == file + 1u);
	rc = file_edition(b, d, &f->edition);
	if (rc)
		return rc;
	f->features = defaults[f->edition - B_PROTO2];
	return b_features_apply(b, file, NULL, d->options ? &d->options->base : NULL, B_OF_FILE, &f->features, NULL);
}
