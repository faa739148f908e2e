/* SPDX-License-Identifier: BSD-2-Clause */
/* What the compiler's passes share while a set is built: the parsed descriptors, flat lists of everything in them,
 * and the sorted table of names. For the compiler's own files only. Nothing in it outlives sch_set_compile. */
#ifndef SCH_BUILD_H
#define SCH_BUILD_H

#include <google/protobuf/descriptor.pb-c.h>

#include "set.h"

typedef Google__Protobuf__FileDescriptorSet fd_set_t;
typedef Google__Protobuf__FileDescriptorProto fd_file_t;
typedef Google__Protobuf__DescriptorProto fd_message_t;
typedef Google__Protobuf__FieldDescriptorProto fd_field_t;
typedef Google__Protobuf__EnumDescriptorProto fd_enum_t;

struct b_message {
	const fd_message_t *d;
	char *name;       /* full name, owned */
	uint32_t file;
	uint32_t parent;  /* message that it is nested in, or SCH_NONE */
	uint32_t first;   /* its first field in fields once they are sorted */
	uint32_t n_fields;
	uint32_t n_slots;
	uint8_t flags;    /* SCH_M_* */
};

struct b_enum {
	const fd_enum_t *d;
	char *name; /* full name, owned */
	uint32_t file;
};

struct b_field {
	const fd_field_t *d;
	uint32_t msg;     /* the message that it belongs to; of an extension, the extended one */
	uint32_t file;    /* where it is defined */
	uint32_t scope;   /* the message that an extension is defined in, or SCH_NONE */
	uint32_t sub;
	uint16_t slot, oneof;
	uint8_t extension;
	uint8_t flags;    /* SCH_F_* */
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

/* A growable list. */
struct b_list {
	void *at;
	size_t n, cap;
};

struct build {
	fd_set_t *set;
	struct sch_err *err;
	struct b_list messages, enums, fields, methods, symbols, services; /* services: char * */
};

#define B_MSG(b, i) (&((struct b_message *)(b)->messages.at)[i])
#define B_ENUM_AT(b, i) (&((struct b_enum *)(b)->enums.at)[i])
#define B_FIELD(b, i) (&((struct b_field *)(b)->fields.at)[i])
#define B_METHOD(b, i) (&((struct b_method *)(b)->methods.at)[i])
#define B_SYMBOL(b, i) (&((struct b_symbol *)(b)->symbols.at)[i])

/* Makes room for one more of `size` bytes, zeroed, and returns it; NULL without memory. */
void *b_list_add(struct b_list *l, size_t size);

/* Fills err and returns code. file and where may be NULL; what they hold is made printable. */
int b_fail(struct build *b, int code, const char *file, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
int b_nomem(struct build *b);

const char *b_file_name(const struct build *b, uint32_t file);
int b_is_proto3(const struct build *b, uint32_t file);
/* Is it a name as the protobuf language defines one (letters, digits, _)? */
int b_name_ok(const char *name);
/* Finds ".pkg.Name"; NULL where the set has no such thing or it is of another kind. */
const struct b_symbol *b_symbol_find(const struct build *b, const char *dotted, enum b_kind kind);

/* The passes, in order. Each returns 0, or -errno with err filled. */
int b_gather(struct build *b);   /* files, names, symbols */
int b_enums(struct build *b);    /* checks enums */
int b_fields(struct build *b);   /* fields of messages and extensions: checks, slots, oneofs, maps */
int b_methods(struct build *b);  /* services */
int b_subjects(struct build *b); /* no two subjects may share a hash */
int b_emit(struct build *b, struct sch_set **out);

#endif
