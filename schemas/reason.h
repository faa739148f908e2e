/* SPDX-License-Identifier: BSD-2-Clause */
/* Why the validator refuses a message: the one list. The fabric has a verdict WEFT_V_SCHEMA_<SYMBOL> for each. */
#ifndef SCH_REASON_H
#define SCH_REASON_H

/* X(SYMBOL, "name") */
#define SCH_REASONS(X)                                                                                                 \
	X(TRUNCATED, "truncated")                                                                                      \
	X(VARINT, "varint")                                                                                            \
	X(OVERLONG, "overlong")                                                                                        \
	X(TAG, "tag")                                                                                                  \
	X(WIRE_TYPE, "wire_type")                                                                                      \
	X(UNKNOWN_FIELD, "unknown_field")                                                                              \
	X(DUPLICATE, "duplicate")                                                                                      \
	X(ONEOF, "oneof")                                                                                              \
	X(UTF8, "utf8")                                                                                                \
	X(ENUM, "enum")                                                                                                \
	X(RANGE, "range")                                                                                              \
	X(GROUP, "group")                                                                                              \
	X(DEPTH, "depth")                                                                                              \
	X(REQUIRED, "required")                                                                                        \
	X(PACKED, "packed")                                                                                            \
	X(MAP, "map")                                                                                                  \
	X(TOO_LONG, "too_long")                                                                                        \
	X(RULE, "rule")                                                                                                \
	X(RULE_ERROR, "rule_error")

enum sch_reason {
	SCH_OK = 0,
#define X(sym, name) SCH_##sym,
	SCH_REASONS(X)
#undef X
	SCH_REASON_COUNT
};

#endif
