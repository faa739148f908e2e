/* SPDX-License-Identifier: BSD-2-Clause */
/* Schema sets: a protobuf descriptor set becomes flat, immutable tables; the validator walks them over wire bytes.
 * Strict mode accepts only bytes that mean exactly one thing to every protobuf parser; conformant mode answers as a
 * conformant parser does. Source: protobuf.dev "Encoding", descriptor.proto. */
#ifndef SCH_SCHEMA_H
#define SCH_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "reason.h"

/* Limits; README.md repeats them. */
#define SCH_DEPTH_MAX 32u              /* nested messages, strict mode, unless sch_limits says less */
#define SCH_CONFORMANT_DEPTH_MAX 100u  /* what Google's parsers take by default */
#define SCH_SET_BYTES_MAX (64u << 20)  /* a descriptor set file */
#define SCH_SPANS_MAX 64u              /* opaque fields reported per message */
#define SCH_PATH_MAX 80u               /* bytes of a rendered field path */
#define SCH_SAID_MAX 256u              /* bytes of what an expression says */
#define SCH_PAD 32u                    /* bytes after a message that must be readable, whatever they hold */

struct sch_set;  /* compiled set: immutable, any number of threads may read it */

struct sch_err {
	char file[160];  /* the .proto or descriptor set that is wrong, "" where none */
	char where[160]; /* full name of the message, field, service or method; "" where none */
	char text[240];  /* what is wrong and what would be right */
};
#define SCH_ERR_MAX 576u /* bytes of its text, with a path no longer than its file */

/* "file: where: text", without what is empty; `path` stands in for a file that is not named ("": for none). Cut to fit,
 * terminated unless cap is 0. Returns out. */
const char *sch_err_text(const struct sch_err *err, const char *path, char *out, size_t cap);

/* Compiles a FileDescriptorSet (protoc --descriptor_set_out --include_imports). Returns 0 and a set to be freed with
 * sch_set_free, or -errno with err filled. Hostile bytes are refused, never trusted. */
int sch_set_compile(struct sch_set **set, const void *fdset, size_t len, struct sch_err *err);
int sch_set_load(struct sch_set **set, const char *path, struct sch_err *err); /* from a file */
void sch_set_free(struct sch_set *set);

/* As above, but a type whose buf.validate rules cannot be used does not spoil the set: sch_type_error tells of it and
 * of each type that holds it, however deep; such a type accepts nothing (SCH_RULE_ERROR). For looking at a set, never for
 * the data path. What is wrong with the descriptors themselves still fails. */
int sch_set_compile_lenient(struct sch_set **set, const void *fdset, size_t len, struct sch_err *err);
int sch_set_load_lenient(struct sch_set **set, const char *path, struct sch_err *err);
/* NULL where the type can be used; else what is wrong, "file: where: text". Valid with the set. */
const char *sch_type_error(const struct sch_set *set, uint32_t type);
/* Has the type, or a message that it holds, however deep, a buf.validate rule? 1 too where memory is short. Allocates; linear
 * in the set. */
int sch_type_has_rules(const struct sch_set *set, uint32_t type);

/* A message type's number in the set by its full name ("demo.Reading", no leading dot), or -1. */
int32_t sch_type_find(const struct sch_set *set, const char *full_name);
uint32_t sch_type_count(const struct sch_set *set);
const char *sch_type_name(const struct sch_set *set, uint32_t type); /* full name; valid with the set */

/* Service methods, "demo.Valve/Act". */
struct sch_method {
	const char *name;   /* full name with a slash before the method */
	uint32_t input;     /* type number */
	uint32_t output;
};
uint32_t sch_method_count(const struct sch_set *set);
const struct sch_method *sch_method_get(const struct sch_set *set, uint32_t i);
int32_t sch_method_find(const struct sch_set *set, const char *name);

/* Opaque content found while validating, in wire order: bytes and string fields, but for those whose rules say what may be in
 * them (sch_field_is_confined). */
struct sch_span {
	uint32_t offset; /* into the message */
	uint32_t len;    /* bytes, never 0 */
	uint32_t field;  /* table index of the field, for sch_field_name */
};

/* The outcome. Only reason is set when it is SCH_OK, and the spans. */
struct sch_result {
	enum sch_reason reason;
	uint32_t offset;      /* where in the message the offence begins */
	uint32_t rule;        /* SCH_RULE and SCH_RULE_ERROR: which rule, for sch_rule_id; else UINT32_MAX */
	uint8_t for_key;      /* the rule is about a map's key */
	uint32_t n_spans;     /* recorded; more opaque fields than SCH_SPANS_MAX set spans_cut */
	uint8_t spans_cut;
	uint8_t depth;        /* entries used in path */
	struct {              /* from the outermost field to the offending one */
		uint32_t field;   /* table index, or UINT32_MAX for a number that the schema does not have */
		uint32_t number;  /* field number on the wire */
		uint32_t element; /* index within a repeated field, UINT32_MAX where it is singular */
		uint32_t key;     /* of a map: offset of the entry's key in the message, without tag and length */
		uint32_t key_len; /* its bytes, 0 where the entry has none */
	} path[SCH_DEPTH_MAX + 1];
	struct sch_span span[SCH_SPANS_MAX];
};

/* Validates len bytes as a message of the type: strict, with the schema's rules. SCH_PAD bytes after them must be
 * readable too. Reads the set and the bytes, writes *r; no allocation, no recursion; cost linear in len, rules that sort
 * (unique, map keys) n log n. Only rules about the present time read a clock. Returns r->reason. Any thread. */
enum sch_reason sch_validate(const struct sch_set *set, uint32_t type, const uint8_t *msg, size_t len,
			     struct sch_result *r);

/* What else one may ask. Zeroed: what sch_validate does. */
struct sch_ask {
	uint8_t no_rules;   /* the wire format and the types only; spans then name confined fields, too */
	uint8_t loose;      /* accept what all parsers read alike but our readers may not expect: a number that an open enum does
			     * not have, a NUL in a string */
	uint8_t has_now;    /* take now_s and now_ns for the present time */
	int64_t now_s;      /* Unix time */
	int32_t now_ns;
	/* NULL, or room for SCH_SAID_MAX bytes: what the violated rule's expression gave as its reason, or why it cannot be judged;
	 * terminated, "" where it is no expression or gave none. With `each` the rule's that it is called for. */
	char *said;
	/* Called for each violated rule, in the order of the wire, with reason SCH_RULE or SCH_RULE_ERROR; then the walk goes
	 * on. What is wrong with the wire format or a type still ends it. NULL: the first violation ends it. */
	void (*each)(void *arg, const struct sch_result *r);
	void *arg;
};
/* Returns the reason of what ended the walk, else the first violation's; *r tells of it. */
enum sch_reason sch_validate_ask(const struct sch_set *set, uint32_t type, const uint8_t *msg, size_t len,
				 const struct sch_ask *ask, struct sch_result *r);

/* The violated rule: its id ("int32.gt_lt"), where it stands in the options ("repeated.items.int32.gt", or "" where a
 * message's or a oneof's rule has no such place), and for people, what it demands ("must be greater than 0"). */
const char *sch_rule_id(const struct sch_set *set, uint32_t rule);
const char *sch_rule_path(const struct sch_set *set, uint32_t rule);
size_t sch_rule_describe(const struct sch_set *set, uint32_t rule, char *out, size_t cap);

/* As a conformant parser would answer (protobuf 3.21 C++ behaviour): unknown fields, groups, repeats and non-canonical
 * varints pass; SCH_REQUIRED only where required_too. Spans are not recorded. */
enum sch_reason sch_validate_conformant(const struct sch_set *set, uint32_t type, const uint8_t *msg, size_t len,
					int required_too, struct sch_result *r);

const char *sch_reason_name(enum sch_reason reason);
const char *sch_field_name(const struct sch_set *set, uint32_t field); /* short name */
/* The field at "item.data" from the type on, as a table index, or -1. Linear in the fields on the way. */
int32_t sch_field_at(const struct sch_set *set, uint32_t type, const char *path);
/* Is it a string or bytes that rules do not confine, so that spans may name it? */
int sch_field_is_opaque(const struct sch_set *set, uint32_t field);
/* Is it a string or bytes whose rules say what may be in it: a list of texts, or a format such as uuid? confine.c has the whole
 * list. Spans name it only where no rules are asked for (sch_ask's no_rules). */
int sch_field_is_confined(const struct sch_set *set, uint32_t field);
/* The i-th field of a type, by number, as a table index, or -1 past the last. */
int32_t sch_field_nth(const struct sch_set *set, uint32_t type, uint32_t i);
/* Renders the path: "lines[2].note", or "lines[2].#19" for an unknown field; a oneof's own rule ends with the oneof's name.
 * With the message a map's entries are named by their keys, which are the sender's bytes, escaped: val["a\n"]; with msg
 * NULL by their index. For a rule an entry is its value, or its key: val[3]; for the wire, a message: val[3].key. Always
 * terminated. Returns its length. */
size_t sch_path_render(const struct sch_set *set, const struct sch_result *r, const uint8_t *msg, char *out, size_t cap);

#endif
