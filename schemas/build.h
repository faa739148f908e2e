/* SPDX-License-Identifier: BSD-2-Clause */
/* What the compiler's passes share while a set is built: the parsed descriptors, flat lists of everything in them,
 * and the sorted table of names. For the compiler's own files only. Nothing in it outlives sch_set_compile. */
#ifndef SCH_BUILD_H
#define SCH_BUILD_H

#include <google/protobuf/descriptor.pb-c.h>

#include "features.h"
#include "set.h"

typedef Google__Protobuf__FileDescriptorSet fd_set_t;
typedef Google__Protobuf__FileDescriptorProto fd_file_t;
typedef Google__Protobuf__DescriptorProto fd_message_t;
typedef Google__Protobuf__FieldDescriptorProto fd_field_t;
typedef Google__Protobuf__EnumDescriptorProto fd_enum_t;

struct b_file {
	int edition;                /* B_PROTO2 ... */
	struct b_features features; /* what its messages, enums and extensions start from */
};

struct b_message {
	const fd_message_t *d;
	struct b_features features; /* what stands in it starts from these */
	char *name;       /* full name, owned */
	uint32_t file;
	uint32_t parent;  /* message that it is nested in, or SCH_NONE */
	uint32_t first;   /* its first field in fields once they are sorted */
	uint32_t n_fields;
	uint32_t n_slots;
	uint8_t flags;    /* SCH_M_* */
	uint64_t must[SCH_WORDS_MAX];  /* slots that a valid message has; by b_fields for proto2, by b_rules for rules */
	uint32_t rules, n_rules;       /* its own rules in build.rules */
	uint32_t n_counts;
	char *error;      /* lenient: why its rules cannot be used, owned; NULL */
};

struct b_enum {
	const fd_enum_t *d;
	char *name; /* full name, owned */
	uint32_t file;
	uint8_t closed; /* it has no numbers but its own: proto2, or a feature */
	int32_t *numbers;      /* sorted, each once; owned, from b_enums on */
	struct sch_enum table; /* of these numbers; first is 0 */
};

struct b_field {
	const fd_field_t *d;
	uint32_t msg;     /* the message that it belongs to; of an extension, the extended one */
	uint32_t file;    /* where it is defined */
	uint32_t scope;   /* the message that an extension is defined in, or SCH_NONE */
	uint32_t sub;
	uint16_t slot, oneof;
	uint8_t extension;
	uint32_t flags;   /* SCH_F_* */
	uint8_t type;     /* SCH_T_*, a delimited message being a SCH_T_GROUP */
	uint8_t n_list;
	uint8_t count;
	uint32_t rules, n_rules; /* in build.rules */
	uint32_t among;          /* offset in pool of a struct sch_among, or 0 */
	uint64_t lo, span;       /* guard; b_fields sets that of the type, b_rules narrows it */
};

struct b_method {
	char *name; /* full name, owned */
	uint32_t input, output;
};

enum b_kind { B_MESSAGE = 1, B_ENUM, B_SERVICE };

struct b_symbol {
	const char *name; /* borrowed from what it names, or owned by services */
	uint32_t index;
	enum b_kind kind;
};

/* An expression that waits for the set to be finished: it is checked against that. */
struct b_expr {
	struct sch_asked asked; /* without expr; indices of fields are those of build.fields */
	uint32_t msg;           /* where it is an error */
	const char *part;       /* that message's field, or NULL */
	char place[96];         /* "repeated.items.cel[0]" */
};

/* A growable list. */
struct b_list {
	void *at;
	size_t n, cap;
};

struct build {
	fd_set_t *set;
	struct sch_err *err;
	int lenient;
	struct b_list files;    /* struct b_file, as set->file */
	struct b_list messages, enums, fields, methods, symbols, services; /* services: char * */
	struct b_list rules;    /* struct sch_rule */
	struct b_list pool;     /* bytes; the first is 0 */
	struct b_list patterns; /* struct sch_pattern *, given to the set by b_emit */
	struct b_list exprs;    /* struct b_expr */
	uint32_t steps;         /* of all of them */
	uint64_t judged;        /* what patterns cost so far while rules were held against each other */
};

#define B_FILE(b, i) (&((struct b_file *)(b)->files.at)[i])
#define B_MSG(b, i) (&((struct b_message *)(b)->messages.at)[i])
#define B_ENUM_AT(b, i) (&((struct b_enum *)(b)->enums.at)[i])
#define B_FIELD(b, i) (&((struct b_field *)(b)->fields.at)[i])
#define B_METHOD(b, i) (&((struct b_method *)(b)->methods.at)[i])
#define B_SYMBOL(b, i) (&((struct b_symbol *)(b)->symbols.at)[i])
#define B_RULE(b, i) (&((struct sch_rule *)(b)->rules.at)[i])
#define B_EXPR(b, i) (&((struct b_expr *)(b)->exprs.at)[i])

/* The index in the finished table of the i-th field: two that end it follow each message's fields. */
static inline uint32_t b_field_index(const struct build *b, uint32_t i)
{
	return i + 2 * B_FIELD(b, i)->msg;
}

/* Makes room for one more of `size` bytes, zeroed, and returns it; NULL without memory. */
void *b_list_add(struct b_list *l, size_t size);

/* Fills err and returns code. file and where may be NULL; what they hold is made printable. */
int b_fail(struct build *b, int code, const char *file, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
int b_nomem(struct build *b);

const char *b_file_name(const struct build *b, uint32_t file);
int b_edition(const struct build *b, uint32_t file); /* B_PROTO2 ... */
/* Is it a name as the protobuf language defines one (letters, digits, _)? */
int b_name_ok(const char *name);
/* Finds ".pkg.Name"; NULL where the set has no such thing or it is of another kind. */
const struct b_symbol *b_symbol_find(const struct build *b, const char *dotted, enum b_kind kind);

/* Has the field an explicit default that expressions need? */
int b_default_has(const struct b_field *f);
/* Fills d's key and len, and the text at out, which has room for the descriptor's. */
void b_default_put(const struct build *b, const struct b_field *f, char *out, struct sch_default *d);

/* The passes, in order. Each returns 0, or -errno with err filled. */
int b_gather(struct build *b);   /* files, names, symbols */
int b_enums(struct build *b);    /* checks enums, sorts their numbers */
int b_fields(struct build *b);   /* fields of messages and extensions: checks, slots, oneofs, maps, guards of types */
int b_rules(struct build *b);    /* buf.validate: options become rules, guards and must bits */
int b_confine(struct build *b);  /* which strings and bytes are no opaque content */
int b_spread(struct build *b);   /* what a message has because of those that it holds: SCH_M_REQUIRES, errors */
int b_methods(struct build *b);  /* services */
int b_subjects(struct build *b); /* no two subjects may share a hash */
int b_emit(struct build *b, struct sch_set **out);
/* Compiles the expressions of the finished set. 0, or -errno with err filled; in lenient mode 1 where messages have errors
 * now that they did not have, so that the set has to be made again: b_take_back, b_spread, b_emit. */
int b_express(struct build *b, struct sch_set *set);
void b_take_back(struct build *b, struct sch_set *set); /* undoes b_emit; the set is gone */

#endif
