/* SPDX-License-Identifier: BSD-2-Clause */
/* See oneway.h. protobuf-c knows no extensions: it keeps them as unknown fields of the options. */
#include "oneway.h"

#include <string.h>

#define ONE_WAY_NUMBER 57454
#define WIRE_VARINT 0

static int is(const char *text, const char *wanted)
{
	return text && strcmp(text, wanted) == 0;
}

int sch_one_way_defined(Google__Protobuf__FileDescriptorProto *const *files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; is(files[i]->package, "weft") && k < files[i]->n_extension; k++) {
			const Google__Protobuf__FieldDescriptorProto *x = files[i]->extension[k];

			if (is(x->name, "one_way") && is(x->extendee, ".google.protobuf.MethodOptions") &&
			    x->number == ONE_WAY_NUMBER)
				return 1;
		}
	return 0;
}

int sch_one_way(const Google__Protobuf__MethodDescriptorProto *m)
{
	int found = 0;

	if (!m->options)
		return 0;
	for (size_t i = 0; i < m->options->base.n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *u = &m->options->base.unknown_fields[i];

		if (u->tag != ONE_WAY_NUMBER || (int)u->wire_type != WIRE_VARINT)
			continue;
		/* The last one counts; a varint is true where any of its seven-bit groups is not zero. */
		found = 0;
		for (size_t k = 0; k < u->len; k++)
			found |= (u->data[k] & 0x7f) != 0;
	}
	return found;
}
