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
	SCH_F_REPEATED = 1,    /* may occur more than once */
	SCH_F_PACKABLE = 2,    /* repeated and numeric: packed or one by one */
	SCH_F_MAP = 4,         /* repeated message that is a map's entry */
	SCH_F_KEY = 8,         /* the key of a map's entry */
	SCH_F_EXTENSION = 16,  /* defined outside its message: strict mode does not know it */
	SCH_F_UTF8 = 32,       /* a conformant parser checks it: string of a proto3 file */
	SCH_F_REQUIRED = 64,   /* proto2 required */
	SCH_F_CLOSED = 128,    /* enum: a conformant parser takes an unknown number for an unknown field */
	SCH_F_RULED = 256,     /* its rules are not all in its guard: every value is looked at */
	SCH_F_OPEN = 512,      /* enum: its rules alone say which numbers it may have */
	SCH_F_IMPLICIT = 1024, /* singular without presence: absent means zero, and rules apply to that zero */
	SCH_F_ZERO_OK = 2048,  /* ignore = IF_ZERO_VALUE: its element rules do not apply to zero or empty */
	SCH_F_COUNTED = 4096,  /* repeated, and rules want to know how many elements: count is its counter */
	SCH_F_UNIQUE = 8192,   /* repeated: no element twice */
	SCH_F_BOXED = 16384,   /* message with one value (google.protobuf.Int32Value ...): rules are about that value */
	SCH_F_IGNORED = 32768, /* ignore = IGNORE_ALWAYS on a message: no rule applies inside it either */
	SCH_F_FAR = 131072,    /* slot or oneof are not both in presence word 0: look there, mask is 0 */
	SCH_F_CONFINED = 262144, /* string, bytes: its rules leave nothing to inspect; where they apply it is no opaque content */
	SCH_F_EMPTY_OK = 65536 /* ignore = IGNORE_IF_ZERO_VALUE on a list: its list rules do not apply while it is empty */
};

/* Message flags. */
enum {
	SCH_M_MAP_ENTRY = 1,
	SCH_M_MESSAGE_SET = 2, /* the old MessageSet wire format */
	SCH_M_REQUIRED = 4,    /* has required fields of its own */
	SCH_M_REQUIRES = 8,    /* has required fields, or holds a message that does */
	SCH_M_KEYED = 16,      /* has map fields, or fields with SCH_F_UNIQUE */
	SCH_M_CLOSES = 32,     /* more to check where it ends than must0 and bounds: map entry, keyed, rules, more words */
	SCH_M_BAD = 64         /* lenient compile: its rules, or those of a message it holds, cannot be used */
};

/* What the beginning and the end of a message take besides must0. */
enum {
	SCH_E_LOOK = 1,  /* its end needs a closer look: SCH_M_CLOSES, or rules of the field that holds it */
	SCH_E_SPACE = 2  /* counters, more presence words, or keys */
};

/* How the strict loop reads what follows a tag. */
enum sch_op {
	SCH_OP_NONE = 0, /* no element: ends each message's fields */
	SCH_OP_VARINT,   /* int32, int64, uint32, uint64 */
	SCH_OP_SMALL,    /* bool, enum: a varint that is nearly always one byte */
	SCH_OP_ZIGZAG,   /* sint32, sint64 */
	SCH_OP_FIXED64,
	SCH_OP_FIXED32,  /* fixed32 */
	SCH_OP_SFIXED32,
	SCH_OP_DOUBLE,
	SCH_OP_FLOAT,
	SCH_OP_STRING,
	SCH_OP_BYTES,
	SCH_OP_FORMAT,   /* string whose one rule beyond its guard is a format that has no characters but ASCII */
	SCH_OP_UUID,     /* such a string, the format is uuid; SCH_F_CONFINED */
	SCH_OP_AMONG,    /* string whose one rule is a list of texts, some of them short; SCH_F_CONFINED */
	SCH_OP_MESSAGE,
	SCH_OP_TIME,     /* Timestamp, Duration: seconds in the guard and usual nanoseconds meet all rules */
	SCH_OP_GROUP,
	SCH_OP_PACKED,   /* many of a number at once */
	SCH_OP_COUNTED,  /* counts, then reads an element */
	SCH_OP_WIDE,     /* a tag of two bytes, of which the first was seen */
	SCH_OP_UNKNOWN,  /* extension: as if it were not there */
	SCH_OP_COUNT
};

/* A field; one cache line. Its guard is one interval that decides nearly every value at once: of a number, its key must
 * lie in it, of a string or bytes, the length in bytes. What lies in the guard fits the type and meets all rules (but for
 * strings that are not ASCII); what lies outside is looked at again, rule by rule.
 *
 * A number's key is 64 bits wide: integers as they are, sign- or zero-extended as their type says; enums as int32; double
 * and float such that signed order of keys is the order of values (sch_key_double, sch_key_float). */
struct sch_field {
	uint64_t lo, size;  /* guard: key - lo < size, modulo 2^64. SCH_F_RULED: 0 (not FORMAT, UUID, TIME); all fits: 2^64 - 1 */
	uint64_t mask;      /* bits of presence word 0 that it takes: its own and its oneof's; 0 where repeated */
	uint16_t step;      /* bytes to where the next field is expected in the table: 0, the same, or one on */
	uint8_t tag0;       /* first byte of its usual tag; 0 where the loop shall look it up: longer, SCH_F_FAR, unknown */
	uint8_t tag1;       /* second byte, with SCH_OP_WIDE */
	uint8_t op;         /* enum sch_op after tag0 */
	uint8_t wide;       /* enum sch_op after the whole tag: COUNTED, PACKED, or elem */
	uint8_t elem;       /* enum sch_op of one element */
	uint8_t easy;       /* packed varints: every one of up to so many bytes lies in the guard */
	uint8_t type;       /* SCH_T_* */
	uint8_t wire;       /* SCH_W_* of one element */
	uint16_t slot;      /* presence bit; SCH_NO_SLOT where repeated */
	uint16_t oneof;     /* presence bit of its oneof, or SCH_NO_SLOT */
	uint16_t n_rules;   /* rules, of which the first n_list are about the field as a whole, the others about each element */
	uint32_t number;    /* on the wire */
	union {
		uint32_t sub;   /* message or enum index, or SCH_NONE */
		uint32_t among; /* SCH_OP_AMONG: how far behind this field its struct sch_among stands */
	};
	uint32_t name;      /* offset in names: the short name */
	uint32_t rules;     /* its first rule in rules */
	uint32_t flags;     /* SCH_F_* */
	uint8_t n_list;
	uint8_t count;      /* SCH_F_COUNTED: its counter in its message */
	uint8_t mute;       /* message: SCH_F_IGNORED, so that no rule applies in it */
	union {
		uint8_t ends; /* message: SCH_E_*, what its beginning and end take */
		uint8_t top;  /* packed varints: with one byte more than easy, the last one below this, they do, too */
		uint8_t format; /* SCH_OP_FORMAT, _UUID: enum sch_format */
	};
};
_Static_assert(sizeof(struct sch_field) == 64, "a field is one cache line");

struct sch_message {
	uint64_t must0;    /* must[must]: nearly all that there is */
	uint32_t name;     /* offset in names: the full name */
	uint32_t first;    /* its first field; fields are sorted by number, then come two of SCH_OP_NONE */
	uint32_t n_fields; /* without those */
	uint32_t direct;   /* where its part of the direct table begins */
	uint32_t n_direct; /* field numbers below this are looked up there */
	uint32_t must;     /* first of n_words words: presence bits that most valid messages have; without one look closer */
	uint32_t bounds;   /* first of n_counts bounds */
	uint32_t rules;    /* first of its own rules */
	uint32_t error;    /* offset in names: why it is SCH_M_BAD, else 0 */
	uint16_t n_rules;
	uint16_t n_words;  /* 64-bit words of presence bits, 1 at least */
	uint8_t n_counts;  /* its fields with SCH_F_COUNTED */
	uint8_t flags;     /* SCH_M_* */
	uint8_t ends;      /* SCH_E_* */
	uint8_t pad[9];
};
_Static_assert(sizeof(struct sch_message) == 64, "a message is one cache line");

/* How many elements a counted field may have without a closer look. */
struct sch_bound {
	uint32_t lo, span; /* count - lo <= span */
	uint32_t field;    /* table index */
};

struct sch_enum {
	uint32_t first; /* its first value in values; sorted, no number twice */
	uint32_t n;
	int32_t low;    /* the smallest */
	uint32_t run;   /* how many numbers follow it without a gap, itself included */
};

/* Names of an enum and its values, in the order of the .proto file: for expressions and for people, never for the strict loop. */
struct sch_enum_names {
	uint32_t name;  /* offset in names: the full name */
	uint32_t first; /* its first value in value_names; the first one is what an unset field holds */
	uint32_t n;     /* at least 1 */
};
struct sch_value_name {
	uint32_t name; /* offset in names: the short name */
	int32_t number;
};

/* A field's explicit default (proto2, editions). What has none is zero, empty, or its enum's first value. */
struct sch_default {
	uint32_t field; /* table index */
	uint32_t len;   /* string, bytes: of the text ... */
	uint32_t at;    /* ... at this offset in names */
	uint64_t key;   /* numbers, bool, enum: as struct sch_field says */
};

/* What a rule asks. Operands: a and b in the rule, or n of them at arg in the pool. Keys as in struct sch_field. */
enum sch_rule_op {
	/* the field as a whole */
	SCH_R_REQUIRED = 1,   /* set; without presence: not zero; a list: not empty */
	SCH_R_COUNT_MIN,      /* a: elements, or map entries */
	SCH_R_COUNT_MAX,
	SCH_R_UNIQUE,
	/* numbers, bool, enum */
	SCH_R_RANGE,          /* a <= key <= b; SCH_RF_SIGNED. NaN is never in one */
	SCH_R_OUTSIDE,        /* key < a or key > b; SCH_RF_SIGNED. NaN is never outside one */
	SCH_R_NUM_EQ,         /* key a */
	SCH_R_NUM_IN,         /* n keys (uint64_t) at arg, sorted unsigned */
	SCH_R_NUM_NOT_IN,
	SCH_R_FINITE,         /* double, float */
	SCH_R_DEFINED,        /* the enum has it */
	/* strings and bytes */
	SCH_R_LEN,            /* a <= code points <= b */
	SCH_R_BYTES,          /* a <= bytes <= b */
	SCH_R_STR_EQ,         /* one text at arg */
	SCH_R_PREFIX,
	SCH_R_SUFFIX,
	SCH_R_CONTAINS,
	SCH_R_NOT_CONTAINS,
	SCH_R_STR_IN,         /* n texts at arg, sorted by length, then bytes */
	SCH_R_STR_NOT_IN,
	SCH_R_PATTERN,        /* patterns[arg] */
	SCH_R_FORMAT,         /* a: enum sch_format; not asked of an empty string */
	SCH_R_NOT_EMPTY,      /* the other half of a format */
	/* messages that everybody knows; the value is the message's content */
	SCH_R_ANY_IN,         /* type_url among n texts, sorted as above */
	SCH_R_ANY_NOT_IN,
	SCH_R_TIME_RANGE,     /* Duration, Timestamp: two struct sch_time at arg, a <= value <= b */
	SCH_R_TIME_OUTSIDE,   /* value < first or value > second */
	SCH_R_TIME_EQ,        /* one at arg */
	SCH_R_TIME_IN,        /* n at arg, sorted */
	SCH_R_TIME_NOT_IN,
	SCH_R_LT_NOW,
	SCH_R_GT_NOW,
	SCH_R_WITHIN,         /* one struct sch_time at arg: at most so far from now */
	SCH_R_MASK_EQ,        /* FieldMask: n texts at arg, in this order */
	SCH_R_MASK_IN,        /* each path is among n texts, sorted as above, or below one */
	SCH_R_MASK_NOT_IN,    /* no path is */
	/* messages */
	SCH_R_ONEOF,          /* a oneof of the language must be set: a is its slot, its name is at arg in the pool */
	SCH_R_ONE_OF,         /* at most one of n fields (uint32_t table indices at arg) is set; a: exactly one */
	/* any of the above */
	SCH_R_EXPR,           /* exprs[arg] is true, or an empty text */
	SCH_R_OP_COUNT
};

enum {
	SCH_RF_SIGNED = 1,   /* keys compare as signed */
	SCH_RF_EXCLUSIVE = 2 /* for sch_rule_describe: a bound is not itself allowed */
};

struct sch_rule {
	uint8_t op;     /* enum sch_rule_op */
	uint8_t flags;  /* SCH_RF_* */
	uint16_t n;     /* operands at arg */
	uint32_t id;    /* offset in pool: "int32.gt_lt" */
	uint32_t path;  /* offset in pool: "repeated.items.int32.gt", "" where it has none */
	uint32_t arg;   /* offset in pool, or index in patterns or exprs */
	uint64_t a, b;
};

/* A text in the pool: its length and where it stands there. */
struct sch_text {
	uint32_t len, at;
};

/* A list of short texts as a table in which each has a slot of its own. A key is a text's bytes, zeroes up to 15, and its
 * length: two little-endian words. An empty slot is zero, which is no text's key. */
#define SCH_AMONG_LEN 15u /* bytes of the longest text that has a key */
struct sch_among {
	uint64_t mult;
	uint32_t shift;
	uint32_t pad;
	uint64_t slot[]; /* two words each */
};

static inline const struct sch_among *sch_among_of(const struct sch_field *f)
{
	return (const struct sch_among *)(const void *)((const char *)f + f->among);
}

/* The key's slot: where in t->slot. */
static inline size_t sch_among_slot(const struct sch_among *t, uint64_t low, uint64_t high)
{
	return (low ^ (high << 23 | high >> 41)) * t->mult >> t->shift & ~(size_t)1;
}

struct sch_time {
	int64_t s;
	int64_t ns; /* same sign as s, or 0: durations; timestamps: 0 to 999,999,999 */
};

/* The expression that a rule asks. Its variables are `this`, then `rules` and `rule` where the rule is a predefined one, then
 * `now` where it asks for that. What stands in the pool has SCH_PAD bytes after it. */
struct sch_asked {
	struct sch_expr *expr; /* owned; NULL in a message that is SCH_M_BAD */
	uint32_t text;         /* offset in pool: what was written */
	uint32_t says;         /* offset in pool: what it says to people, "" where it does not */
	uint8_t what;          /* enum sch_expr_what of `this`: the message, one value of the field, or the field as a whole */
	uint8_t asks_now;
	uint32_t index;        /* `this`: message or field */
	uint32_t rules_type;   /* predefined: the message type of `rules`; else SCH_NONE */
	uint32_t rule_field;   /* and the extension whose value `rule` is */
	uint32_t rules, rules_len; /* content of `rules`, offset in pool */
	uint32_t rule, rule_len;   /* of `rule` where that is text or a message; of a repeated one that of `rules` */
	uint64_t rule_key;     /* or a number */
};

struct sch_set {
	uint32_t n_messages, n_fields, n_enums, n_values, n_methods, n_direct, n_must, n_bounds;
	uint32_t n_names, n_rules, n_pool, n_patterns, n_value_names, n_defaults, n_exprs;
	const struct sch_message *messages;
	const struct sch_field *fields;   /* with the two that end each message's */
	const struct sch_enum *enums;
	const struct sch_method *methods; /* sorted by name */
	const uint64_t *must;
	const struct sch_bound *bounds;
	const int32_t *values;
	const uint32_t *by_name;          /* message indices sorted by full name */
	const uint32_t *enums_by_name;    /* likewise enums */
	const struct sch_enum_names *enum_names; /* by enum index */
	const struct sch_value_name *value_names;
	const struct sch_default *defaults; /* sorted by field */
	const uint16_t *direct;           /* position in its message + 1, or 0 */
	const char *names;
	uint64_t fast;                    /* this processor has AVX2 and BMI2, and is quick at it */
	const struct sch_rule *rules;
	const uint8_t *pool;              /* operands, aligned to 8; offset 0 is an empty string */
	struct sch_pattern *const *patterns; /* owned: freed with the set */
	struct sch_asked *exprs;          /* what they own is, likewise */
};

/* Order-preserving keys. NaNs have the highest and the lowest keys, beyond the infinities'. */
static inline uint64_t sch_key_double(uint64_t bits)
{
	return bits ^ (uint64_t)((int64_t)bits >> 63) >> 1;
}

static inline uint64_t sch_key_float(uint32_t bits)
{
	return (uint64_t)(int64_t)(int32_t)(bits ^ (uint32_t)((int32_t)bits >> 31) >> 1);
}

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

/* Does the enum have a value with this number? */
static inline int sch_enum_has(const struct sch_set *s, uint32_t index, int32_t number)
{
	const struct sch_enum *e = &s->enums[index];
	uint32_t lo = 0, hi = e->n;

	if ((uint32_t)number - (uint32_t)e->low < e->run)
		return 1;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int32_t x = s->values[e->first + mid];

		if (x == number)
			return 1;
		if (x < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

/* The enum's index by its full name of `len` bytes, or SCH_NONE. */
uint32_t sch_enum_find(const struct sch_set *s, const char *name, size_t len);
/* The first name that the enum has for a number; NULL: none. Valid with the set. */
const char *sch_enum_value_name(const struct sch_set *s, uint32_t index, int32_t number);
/* The field's explicit default, or NULL. */
const struct sch_default *sch_default_find(const struct sch_set *s, uint32_t field);

/* One open message of a validator's explicit stack. */
struct sch_level {
	const uint8_t *start;  /* first byte of its content */
	const uint8_t *end;    /* where it must end; of a group: where its surroundings end */
	uint32_t msg;          /* message index, SCH_NONE inside an unknown group */
	uint32_t field;        /* field that opened it, SCH_NONE where unknown; unused at the root */
	uint32_t number;       /* that field's number, where field is SCH_NONE */
	uint32_t tag;          /* offset of the tag that opened it */
	uint32_t group;        /* its field number where it is a group, else 0 */
	union {
		struct {               /* strict */
			uint64_t seen;         /* presence word 0 while a message in it is open */
			uint64_t *more;        /* the other words, where it has any */
			uint32_t *counts;      /* of its counted fields, where it has any */
			uint32_t first_key;    /* keyed or a map's entry: map keys recorded before it */
			uint8_t muted;         /* rules do not apply in here */
			uint8_t ends;          /* SCH_E_* */
		};
		struct {               /* conformant */
			uint32_t key, key_len; /* state of a MessageSet item, or the key of a map's entry */
			uint32_t node;         /* presence node, SCH_NONE where none is kept */
		};
	};
};

/* Where an offence stands below the innermost open message. */
struct sch_leaf {
	uint32_t field;   /* SCH_NONE where the schema has none */
	uint32_t number;  /* 0: the offence is the message's own, no field of it */
	uint32_t tag;     /* offset of its tag, SCH_NONE where it has none (a missing field, a list as a whole) */
	const uint8_t *packed; /* first byte of the packed content that holds it, else NULL */
};

/* Where elements of a list were numbered last, so that the next offence in it is not counted from the list's beginning. */
struct sch_tally {
	uint32_t from;  /* offset of the content around it that was counted from ... */
	uint32_t field; /* ... in which list; SCH_NONE: nothing yet */
	uint32_t to;    /* up to there */
	uint32_t n;     /* elements between them */
};
#define SCH_TALLIES 64u /* for each level, by the list's index */

struct sch_tallies {
	struct sch_tally list[SCH_DEPTH_MAX + 1][SCH_TALLIES];
	struct sch_tally packed;
};
void sch_tallies_start(struct sch_tallies *tallies);

/* Fills r's reason, offset and path. level[0] is the root, level[depth] the innermost. Rescans the bytes before the
 * offence to number elements of repeated fields: linear in the message, and only on refusal. With tallies (else NULL), which
 * belong to one message, many offences in the order of the wire cost hardly more than one. */
void sch_trace_fill(const struct sch_set *s, const uint8_t *msg, const struct sch_level *level, uint32_t depth,
		    const struct sch_leaf *leaf, enum sch_reason reason, uint32_t offset, struct sch_result *r,
		    struct sch_tallies *tallies);

/* One field of content that a validator has walked, or is about to: nothing is trusted. */
struct sch_item {
	const uint8_t *tag; /* where its tag begins */
	const uint8_t *at;  /* its value; of a length-delimited one, after the length; of a group, after the tag */
	uint32_t number;
	uint32_t wire;      /* SCH_W_* but SCH_W_END */
	uint32_t len;       /* bytes at `at`; of a group, up to its end tag */
};
/* Reads the field at p. Returns what follows it, or NULL at the end, at an end tag, and where it cannot go on. */
const uint8_t *sch_item_next(const uint8_t *p, const uint8_t *end, struct sch_item *item);

/* Refuses descriptor sets that protobuf-c must not be shown: too deep, too many parts, broken. 0 or -errno. */
int sch_precheck(const uint8_t *data, size_t len, const char **why);

/* The first byte at which [p, end) stops being UTF-8 (Unicode 15, table 3-7), or NULL where all of it is. A NUL
 * counts as bad unless nul_ok. */
const uint8_t *sch_utf8_bad(const uint8_t *p, const uint8_t *end, int nul_ok);

#endif
