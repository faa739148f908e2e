/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of a compiled schema set: flat tables in one allocation, addressed by index. For this folder only; the
 * compiler writes them, the validators and the names read them. Everything is immutable once compiled. */
#ifndef SCH_SET_H
#define SCH_SET_H

#include "schema.h"

#define SCH_NONE UINT32_MAX          /* no such index */
#define SCH_NO_SLOT UINT16_MAX       /* no presence bit */
#define SCH_SLOTS_MAX 512u           /* singular fields and oneofs of one message type: presence bits */
#define SCH_WORDS_MAX (SCH_SLOTS_MAX / 64)
#define SCH_FIELDS_MAX 16384u        /* fields of one message type */
#define SCH_NAME_MAX 511u            /* bytes of a full name */
#define SCH_MAP_KEYS_MAX 4096u       /* map entries of one message and what it holds, strict mode */
#define SCH_NUMBER_MAX 536870911u    /* field numbers; a MessageSet's type ids go to INT32_MAX */

/* Wire types. */
enum { SCH_W_VARINT = 0, SCH_W_FIXED64 = 1, SCH_W_LEN = 2, SCH_W_START = 3, SCH_W_END = 4, SCH_W_FIXED32 = 5 };

/* Field types: the numbers of FieldDescriptorProto.Type. */
enum {
	SCH_T_DOUBLE = 1, SCH_T_FLOAT, SCH_T_INT64, SCH_T_UINT64, SCH_T_INT32, SCH_T_FIXED64, SCH_T_FIXED32, SCH_T_BOOL,
	SCH_T_STRING, SCH_T_GROUP, SCH_T_MESSAGE, SCH_T_BYTES, SCH_T_UINT32, SCH_T_ENUM, SCH_T_SFIXED32, SCH_T_SFIXED64,
	SCH_T_SINT32, SCH_T_SINT64
};

/* Field flags. */
enum {
	SCH_F_REPEATED = 1,   /* may occur more than once */
	SCH_F_PACKABLE = 2,   /* repeated and numeric: packed or one by one */
	SCH_F_MAP = 4,        /* repeated message that is a map's entry */
	SCH_F_KEY = 8,        /* the key of a map's entry */
	SCH_F_EXTENSION = 16, /* defined outside its message: strict mode does not know it */
	SCH_F_UTF8 = 32,      /* a conformant parser checks it: string of a proto3 file */
	SCH_F_REQUIRED = 64   /* proto2 required */
};

/* Message flags. */
enum {
	SCH_M_MAP_ENTRY = 1,
	SCH_M_MESSAGE_SET = 2, /* the old MessageSet wire format */
	SCH_M_REQUIRED = 4,    /* has required fields of its own */
	SCH_M_REQUIRES = 8,    /* has required fields, or holds a message that does */
	SCH_M_MAPS = 16        /* has map fields */
};

struct sch_field {
	uint32_t number; /* on the wire */
	uint32_t sub;    /* message or enum index, or SCH_NONE */
	uint32_t name;   /* offset in names: the short name */
	uint16_t slot;   /* presence bit; SCH_NO_SLOT where repeated */
	uint16_t oneof;  /* presence bit of its oneof, or SCH_NO_SLOT */
	uint8_t type;    /* SCH_T_* */
	uint8_t wire;    /* SCH_W_* of one element */
	uint8_t flags;   /* SCH_F_* */
	uint8_t pad;
};

struct sch_message {
	uint32_t name;     /* offset in names: the full name */
	uint32_t first;    /* its first field; fields are sorted by number */
	uint32_t n_fields;
	uint32_t direct;   /* where its part of the direct table begins */
	uint32_t n_direct; /* field numbers below this are looked up there */
	uint32_t required; /* first of n_words words: presence bits that must be set */
	uint16_t n_words;  /* 64-bit words of presence bits */
	uint8_t flags;     /* SCH_M_* */
	uint8_t pad;
};

struct sch_enum {
	uint32_t first; /* its first value in values; sorted, no number twice */
	uint32_t n;
	int32_t low;    /* the smallest */
	uint32_t run;   /* how many numbers follow it without a gap, itself included */
};

struct sch_set {
	uint32_t n_messages, n_fields, n_enums, n_values, n_methods, n_direct, n_required, n_names;
	const struct sch_message *messages;
	const struct sch_field *fields;
	const struct sch_enum *enums;
	const struct sch_method *methods; /* sorted by name */
	const uint64_t *required;
	const int32_t *values;
	const uint32_t *by_name;          /* message indices sorted by full name */
	const uint16_t *direct;           /* position in its message + 1, or 0 */
	const char *names;
};

/* The field's table index, or SCH_NONE. Constant time for usual numbers, else a binary search. */
static inline uint32_t sch_field_find(const struct sch_set *s, const struct sch_message *m, uint32_t number)
{
	if (number < m->n_direct) {
		uint32_t k = s->direct[m->direct + number];

		return k ? m->first + k - 1 : SCH_NONE;
	}
	uint32_t lo = m->first, hi = m->first + m->n_fields;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->fields[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->first + m->n_fields && s->fields[lo].number == number ? lo : SCH_NONE;
}

/* One open message of a validator's explicit stack. */
struct sch_level {
	const uint8_t *start;  /* first byte of its content */
	const uint8_t *end;    /* where it must end; of a group: where its surroundings end */
	uint64_t *seen;        /* presence bits; strict mode only */
	uint32_t msg;          /* message index, SCH_NONE inside an unknown group */
	uint32_t field;        /* field that opened it, SCH_NONE where unknown; unused at the root */
	uint32_t number;       /* that field's number */
	uint32_t tag;          /* offset of the tag that opened it */
	uint32_t group;        /* its field number where it is a group, else 0 */
	uint32_t first_key;    /* strict: map keys recorded before it */
	uint32_t key, key_len; /* strict, in a map entry: where its key's bytes are; conformant: state of a MessageSet item */
	uint32_t node;         /* conformant: presence node, SCH_NONE where none is kept */
};

/* Where an offence stands below the innermost open message. */
struct sch_leaf {
	uint32_t field;   /* SCH_NONE where the schema has none */
	uint32_t number;  /* 0: the offence is the message's own, no field of it */
	uint32_t tag;     /* offset of its tag, SCH_NONE where it has none (a missing field) */
	const uint8_t *packed; /* first byte of the packed content that holds it, else NULL */
};

/* Fills r's reason, offset and path. level[0] is the root, level[depth] the innermost. Rescans the bytes before the
 * offence to number elements of repeated fields: linear in the message, and only on refusal. */
void sch_trace_fill(const struct sch_set *s, const uint8_t *msg, const struct sch_level *level, uint32_t depth,
		    const struct sch_leaf *leaf, enum sch_reason reason, uint32_t offset, struct sch_result *r);

/* Refuses descriptor sets that protobuf-c must not be shown: too deep, too many parts, broken. 0 or -errno. */
int sch_precheck(const uint8_t *data, size_t len, const char **why);

/* The first byte at which [p, end) stops being UTF-8 (Unicode 15, table 3-7), or NULL where all of it is. A NUL
 * counts as bad unless nul_ok. */
const uint8_t *sch_utf8_bad(const uint8_t *p, const uint8_t *end, int nul_ok);

#endif
