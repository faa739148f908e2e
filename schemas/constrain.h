/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the rule compiler share: reading buf.validate options from the bytes that protobuf-c kept of them, and
 * putting rules, operands and guards into the build. For constrain*.c only.
 *
 * Options are read here from the wire, one level of messages at a time, by the descriptors that protoc-c made of
 * buf/validate/validate.proto; protobuf-c does not unpack them. Its parser recurses without a limit, and it keeps only the last
 * of several occurrences of a oneof's message, which is how protoc writes `int32.gt = 0, int32.lt = 9`: it would lose rules. */
#ifndef SCH_CONSTRAIN_H
#define SCH_CONSTRAIN_H

#include "build.h"

#define C_SPOILED 1           /* lenient: the error is noted in the message; go on with the next one */
#define C_OPTION 1159u        /* the extensions' field numbers */
#define C_OPTION_PREDEFINED 1160u
#define C_VALUES_MAX 65535u   /* operands of one rule; parts of one level of options */
#define C_POOL_MAX (64u << 20)
#define C_PATTERNS_MAX 10000u
#define C_STEPS_MAX (1u << 20) /* of all patterns of a set: some seconds to compile */
#define C_MESSAGE_RULES_MAX 1000u
#define C_EXPRS_MAX 10000u        /* expressions of a set, each predefined rule counted where it is used ... */
#define C_EXPRS_BYTES_MAX (64u << 20) /* ... and the memory that they take */
#define C_EXPRS_HERE_MAX 64u      /* of one field or message, or of one rule that is predefined */

/* One value of an option. */
struct c_opt {
	const ProtobufCFieldDescriptor *field;
	uint64_t key;      /* numbers: as struct sch_field's keys */
	const uint8_t *at; /* strings, bytes, messages */
	uint32_t len;
};

/* An extension of a kind's rules that is set in them. */
struct c_ext {
	uint32_t field;    /* in build.fields */
	uint64_t key;      /* what it is set to, where it is not repeated: number, */
	const uint8_t *at; /* or string, bytes, message */
	uint32_t len;
};

/* One message of options. Zeroed: none. */
struct c_opts {
	const ProtobufCMessageDescriptor *type;
	struct b_list list; /* struct c_opt, in the order of the wire */
	struct b_list exts; /* struct c_ext, each field once; only in rules of a kind (Int32Rules ...) */
	uint8_t *bytes;     /* what they point into, where it is their own */
	size_t len;
	uint64_t seen;      /* by place in type's fields: those that occur */
};

/* What is compiled, and where its errors are said to be. */
struct c_at {
	struct build *b;
	struct b_message *m; /* its errors are noted here */
	const char *part;    /* m's field or oneof, or NULL */
	struct b_field *f;   /* gets the rules: m's own, or the key or value of its map's entry */
	const char *prefix;  /* of the rules' paths: "", "repeated.items.", "map.keys.", "map.values." */
	const char *kind;    /* "int32"; NULL for what is of no kind */
	uint8_t type;        /* SCH_T_* of the value that the rules are about: the field's own, or of what its box holds */
	uint32_t first;      /* first of the rules about elements in build.rules */
};

/* Fills err, or in lenient mode the message's own error. Returns -EINVAL or C_SPOILED; -ENOMEM. */
int c_fail(const struct c_at *at, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- options ---------------------------------------------------------------------------------------------------------- */
/* Reads the extension `number` of an options message, all its occurrences as one; NULL options have none. 0 with
 * out->type NULL where it does not occur. An unknown field, one set twice, two of one oneof are errors. c_opts_free in any case. */
int c_opts_extension(const struct c_at *at, const ProtobufCMessage *options, uint32_t number,
		     const ProtobufCMessageDescriptor *type, struct c_opts *out);
/* Reads a message inside, all its occurrences as one, likewise. The type is what the descriptor says. */
int c_opts_inside(const struct c_at *at, const struct c_opts *o, const char *name, struct c_opts *out);
/* Reads one value that is a message. It points into o's bytes. */
int c_opts_value(const struct c_at *at, const struct c_opt *value, struct c_opts *out);
void c_opts_free(struct c_opts *o);
/* Does an options message have the extension? */
int c_has_extension(const ProtobufCMessage *options, uint32_t number);
/* The value of a singular option, or the first of a repeated one; NULL. */
const struct c_opt *c_opt(const struct c_opts *o, const char *name);
/* Is it there and true? */
int c_opt_true(const struct c_opts *o, const char *name);
/* The next one of that name from *i on, which moves behind it; NULL. */
const struct c_opt *c_opt_next(const struct c_opts *o, const char *name, size_t *i);
size_t c_opt_count(const struct c_opts *o, const char *name);

/* --- rules ------------------------------------------------------------------------------------------------------------ */
/* Appends a rule with its operands filled in. Its path is prefix, kind and name, its id is kind and id (NULL: name). */
int c_rule(const struct c_at *at, struct sch_rule rule, const char *name, const char *id);
/* Puts bytes into the pool, aligned to `align`, and tells where. */
int c_pool(const struct c_at *at, const void *data, size_t len, size_t align, uint32_t *where);
/* All texts of that name into the pool, as operands of `rule`; sorted by length, then bytes, each once, if asked. */
int c_texts(const struct c_at *at, const struct c_opts *o, const char *name, int sorted, struct sch_rule *rule);

/* --- guards ----------------------------------------------------------------------------------------------------------- */
/* Do the keys of at's type compare as signed? */
int c_signed(const struct c_at *at);
int c_is_float(const struct c_at *at);
/* Narrows the guard to keys or lengths lo to hi. Where nothing would be left, or the field has no guard, it is RULED instead. */
void c_guard(const struct c_at *at, uint64_t lo, uint64_t hi);
/* Narrows it to low to below, or above to high, whichever values are more likely in. */
void c_guard_either(const struct c_at *at, uint64_t low, uint64_t below, uint64_t above, uint64_t high);
/* Narrows it to the best part that holds none of the keys. */
int c_guard_without(const struct c_at *at, const uint64_t *keys, size_t n);
/* The guard does not say all that the rules do. */
void c_ruled(const struct c_at *at);

/* --- whole values ----------------------------------------------------------------------------------------------------- */
/* Does zero, or empty, break one of the rules about elements that were put so far? */
int c_zero_breaks(const struct c_at *at);
/* Refuses rules of which `const`, or each value of `in`, breaks another. */
int c_candidates(const struct c_at *at, const struct c_opts *o);

/* --- bounds ----------------------------------------------------------------------------------------------------------- */
__extension__ typedef __int128 c_wide;

/* A lower or an upper bound. */
struct c_end {
	const char *name; /* "gt"; NULL: there is none */
	c_wide value;
	c_wide key; /* the outermost that is allowed */
};

struct c_interval {
	const char *name; /* the rule that stands for it in paths: the lower bound's, where there is one */
	char id[32];      /* "gt_lte_exclusive" */
	c_wide lo, hi;
	int outside; /* lo to hi is what is not allowed, else what is */
};

/* What both bounds together allow, of the values from min to max. A contradiction is an error. */
int c_bounds(const struct c_at *at, const struct c_end *lo, const struct c_end *hi, c_wide min, c_wide max,
	     struct c_interval *out);

/* --- fields ----------------------------------------------------------------------------------------------------------- */
/* Compiles what the field's options say. picked: a message.oneof names it, so that rules do not apply to its zero unless they
 * say so. */
int c_field(struct build *b, struct b_message *m, struct b_field *f, int picked);
/* Gives the field a counter in its message. */
int c_counted(const struct c_at *at, struct b_field *f);
/* A valid message has the slot, or is looked at closer. */
void c_must(struct b_message *m, uint16_t slot);
/* Puts the expressions of FieldRules or MessageRules as rules. what: enum sch_expr_what of their `this`. */
int c_expressions(const struct c_at *at, const struct c_opts *o, int what);
/* Puts the predefined rules of a kind's rules likewise. */
int c_predefined(const struct c_at *at, const struct c_opts *o, int what);
/* Are expressions among the rules that were put since at->first? They may say anything of any value. */
int c_has_expression(const struct c_at *at);

/* --- kinds: each compiles the rules of one, o being Int32Rules, StringRules and so on ----------------------------------- */
int c_numbers(const struct c_at *at, const struct c_opts *o); /* numbers, bool, enum */
int c_text(const struct c_at *at, const struct c_opts *o);    /* string, bytes */
int c_any(const struct c_at *at, const struct c_opts *o);
int c_time(const struct c_at *at, const struct c_opts *o);    /* Duration, Timestamp */
int c_mask(const struct c_at *at, const struct c_opts *o);

#endif
