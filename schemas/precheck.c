/* SPDX-License-Identifier: BSD-2-Clause */
/* A look over the raw bytes of a descriptor set before protobuf-c parses it, because protobuf-c recurses without a
 * limit and allocates for every part. Bounds depth and the number of parts; what the parts mean is the compiler's. */
#include <errno.h>

#include <google/protobuf/descriptor.pb-c.h>

#include "bytes.h"
#include "precheck.h"
#include "set.h"

#define DEPTH_MAX 48u        /* messages inside messages; protoc itself stops at 32 nested types */
#define PARTS_MAX (4u << 20) /* fields in the whole file */

struct frame {
	const ProtobufCMessageDescriptor *type;
	const uint8_t *end;
};

/* Skips one value that is no message. NULL where it does not fit. */
static const uint8_t *value_skip(const uint8_t *p, const uint8_t *end, uint32_t wire, uint64_t *len)
{
	enum sch_reason why = SCH_OK;
	uint64_t v;
	size_t left;

	switch (wire) {
	case SCH_W_VARINT:
		return sch_varint_lenient(p, end, SCH_VARINT_MAX, &v, &why);
	case SCH_W_FIXED32:
		return end - p < 4 ? NULL : p + 4;
	case SCH_W_FIXED64:
		return end - p < 8 ? NULL : p + 8;
	case SCH_W_LEN:
		p = sch_varint_lenient(p, end, 5, &v, &why);
		if (!p)
			return NULL;
		left = (size_t)(end - p);
		if (v > left)
			return NULL;
		*len = v;
		return p + v;
	default:
		return NULL; /* descriptors have no groups */
	}
}

enum sch_precheck_answer sch_precheck_as(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len)
{
	struct frame stack[DEPTH_MAX];
	uint32_t depth = 0, parts = 0;
	const uint8_t *p = data;

	stack[0] = (struct frame){ type, data + len };
	for (;;) {
		while (p == stack[depth].end) {
			if (depth == 0)
				return SCH_PRECHECK_OK;
			depth--;
		}
		const uint8_t *end = stack[depth].end;
		enum sch_reason reason;
		uint64_t tag, n = 0;

		if (++parts > PARTS_MAX)
			return SCH_PRECHECK_MANY_PARTS;
		p = sch_varint_lenient(p, end, 5, &tag, &reason);
		if (!p || tag > UINT32_MAX || tag < 8)
			return SCH_PRECHECK_BROKEN;
		p = value_skip(p, end, tag & 7, &n);
		if (!p)
			return SCH_PRECHECK_BROKEN;
		const ProtobufCFieldDescriptor *f =
			protobuf_c_message_descriptor_get_field(stack[depth].type, (unsigned)(tag >> 3));

		if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE || (tag & 7) != SCH_W_LEN)
			continue;
		if (++depth == DEPTH_MAX)
			return SCH_PRECHECK_DEEP;
		stack[depth] = (struct frame){ f->descriptor, p };
		p -= n;
	}
}

int sch_precheck(const uint8_t *data, size_t len, const char **why)
{
	if (len == 0) {
		*why = "the descriptor set is empty";
		return -EINVAL;
	}
	if (len > SCH_SET_BYTES_MAX) {
		*why = "the descriptor set is larger than 64 MiB";
		return -EFBIG;
	}
	switch (sch_precheck_as(&google__protobuf__file_descriptor_set__descriptor, data, len)) {
	case SCH_PRECHECK_OK:
		return 0;
	case SCH_PRECHECK_MANY_PARTS:
		*why = "the descriptor set has more than four million parts";
		return -EFBIG;
	case SCH_PRECHECK_DEEP:
		*why = "the descriptor set nests types too deep";
		return -E2BIG;
	case SCH_PRECHECK_BROKEN:
		break;
	}
	*why = "not a FileDescriptorSet; make one with weft schema build, or protoc --include_imports";
	return -EINVAL;
}
