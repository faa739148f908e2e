/* SPDX-License-Identifier: BSD-2-Clause */
/* Is a new schema set compatible with the old one? WIRE findings are those of the category of that name of `buf breaking`,
 * under buf's own rule names: other parsers would read old bytes otherwise. STRICT findings are Weft's: the strict
 * validator, which refuses what it does not know, would refuse messages that it accepted. Either makes a set
 * incompatible for a running fabric, which needs: every message that the old set accepts, the new set accepts, and it
 * means the same. docs/schemas.md, "Compatibility", tells of each rule. */
#ifndef SCH_COMPAT_H
#define SCH_COMPAT_H

#include <stddef.h>
#include <stdint.h>

#include "schema.h"

/* X(RULE): the findings' names */
#define SCH_COMPAT_WIRE(X)                                                                                             \
	X(ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED)                                                                 \
	X(FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED)                                                                      \
	X(FIELD_SAME_DEFAULT)                                                                                          \
	X(FIELD_SAME_ONEOF)                                                                                            \
	X(FIELD_WIRE_COMPATIBLE_CARDINALITY)                                                                           \
	X(FIELD_WIRE_COMPATIBLE_TYPE)                                                                                  \
	X(FILE_SAME_PACKAGE)                                                                                           \
	X(MESSAGE_SAME_MESSAGE_SET_WIRE_FORMAT)                                                                        \
	X(MESSAGE_SAME_REQUIRED_FIELDS)                                                                                \
	X(RESERVED_ENUM_NO_DELETE)                                                                                     \
	X(RESERVED_MESSAGE_NO_DELETE)                                                                                  \
	X(RPC_SAME_CLIENT_STREAMING)                                                                                   \
	X(RPC_SAME_IDEMPOTENCY_LEVEL)                                                                                  \
	X(RPC_SAME_REQUEST_TYPE)                                                                                       \
	X(RPC_SAME_RESPONSE_TYPE)                                                                                      \
	X(RPC_SAME_SERVER_STREAMING)
#define SCH_COMPAT_STRICT(X)                                                                                           \
	X(STRICT_TYPE_DELETED)     /* a message type is gone, and with it a subject */                                 \
	X(STRICT_METHOD_DELETED)   /* a method is gone, or is no subject any more */                                   \
	X(STRICT_FIELD_DELETED)    /* reserved or not: its number is an unknown field */                               \
	X(STRICT_VALUE_DELETED)    /* an enum's number, reserved or not */                                             \
	X(STRICT_TYPE_NARROWED)    /* a wire-compatible type that refuses or rereads some values */                    \
	X(STRICT_RULE_TIGHTENED)   /* a rule that is new, or cannot be shown to accept all that was accepted */

enum sch_compat_rule {
	SCH_COMPAT_NONE = 0,
#define X(sym) SCH_C_##sym,
	SCH_COMPAT_WIRE(X)
	SCH_COMPAT_STRICT(X)
#undef X
	SCH_COMPAT_RULE_COUNT
};

/* Where something is defined. */
struct sch_place {
	const char *file; /* the .proto; NULL: it is not defined there */
	uint32_t line;    /* from 1; 0: the set was made without --include_source_info */
};

/* One finding. The strings are printable, hostile names included, and live as long as the call of each. */
struct sch_change {
	enum sch_compat_rule rule;
	uint8_t is_strict;       /* a STRICT finding, else WIRE */
	uint8_t in_old;          /* what is meant stands in the old set (it is gone), else in the new one */
	struct sch_place old;    /* of a thing that is new: the message around it */
	struct sch_place now;    /* of a thing that is gone: what was around it, where there is such a thing */
	const char *name;        /* full name of the message, field, enum, method; of a file its own */
	const char *text;        /* what changed */
	const char *keep;        /* what would keep it compatible */
};

/* What was compared, and how it came out. */
struct sch_compat {
	uint32_t messages, fields, enums, methods; /* of the old set; map entries count as their field */
	uint32_t new_messages, new_methods;        /* subjects that the old set does not have: no finding */
	uint32_t wire, strict;                     /* findings; both 0: compatible */
	uint32_t no_lines;                         /* findings without a line */
	uint8_t failed;                            /* SCH_COMPAT_OLD or SCH_COMPAT_NEW: the set that err is about, else 0 */
};
enum { SCH_COMPAT_OLD = 1, SCH_COMPAT_NEW = 2 };

/* Compares two FileDescriptorSets, whose bytes are not trusted. Calls each (may be NULL) for every finding: files, messages
 * with their fields, enums, methods. Returns 0 and *sum, or -errno with err filled: a set does not compile, or
 * memory is short; some findings may have been given before that. Allocates; time n log n in the sizes of the sets. */
int sch_compat_check(const void *old_fdset, size_t old_len, const void *new_fdset, size_t new_len,
		     void (*each)(void *arg, const struct sch_change *c), void *arg, struct sch_compat *sum,
		     struct sch_err *err);

const char *sch_compat_rule_name(enum sch_compat_rule rule); /* "FIELD_SAME_ONEOF" */

#endif
