/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounds what protobuf-c is shown of descriptors from outside, whatever message they come in. sch_precheck() in set.h is the
 * same for a descriptor set. */
#ifndef SCH_PRECHECK_H
#define SCH_PRECHECK_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

enum sch_precheck_answer {
	SCH_PRECHECK_OK,
	SCH_PRECHECK_BROKEN,    /* no sequence of fields, or a value that leaves its message */
	SCH_PRECHECK_DEEP,      /* more than 47 messages inside messages */
	SCH_PRECHECK_MANY_PARTS /* more than four million fields */
};

/* Walks the bytes as a message of this type and the messages that it holds. Reads only; linear; no recursion. */
enum sch_precheck_answer sch_precheck_as(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len);

#endif
