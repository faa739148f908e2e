/* SPDX-License-Identifier: BSD-2-Clause */
/* A schema set as people read it: what the tables say, with the names that only the descriptors have. And the lint: what
 * in a set cannot be used, or will surprise. Not for the data path. */
#ifndef SCH_SHOW_H
#define SCH_SHOW_H

#include <stddef.h>
#include <stdint.h>

#include "schema.h"

struct sch_show; /* a set, compiled leniently, and its descriptors; any number of threads may read it */

#define SCH_SHOW_NONE UINT32_MAX    /* no such type, enum, field */
#define SCH_SHOW_ENDLESS UINT32_MAX /* a message that can hold itself */

/* Compiles a FileDescriptorSet and keeps what it says. 0 and *show for sch_show_close, or -errno with err filled. */
int sch_show_open(struct sch_show **show, const void *fdset, size_t len, struct sch_err *err);
void sch_show_close(struct sch_show *show); /* NULL is fine */
const struct sch_set *sch_show_set(const struct sch_show *show); /* valid until it is closed */

/* The files of the set, in its order. */
uint32_t sch_show_file_count(const struct sch_show *show);
const char *sch_show_file_name(const struct sch_show *show, uint32_t file);

struct sch_show_type {
	const char *name;    /* full */
	const char *file;
	const char *syntax;  /* "proto2", "proto3" ... */
	const char *error;   /* why it cannot be used, else NULL */
	uint32_t n_fields;   /* extensions of it included */
	uint32_t rules;      /* the first of its own rules ... */
	uint32_t n_rules;    /* ... of which there are so many */
	uint32_t n_all_rules; /* its own and those of its fields */
	uint32_t n_oneofs;   /* without those that stand for `optional` */
	uint32_t n_presence; /* presence bits: singular fields and oneofs */
	uint32_t nesting;    /* messages within it, at most; SCH_SHOW_ENDLESS */
	uint8_t map_entry;
	uint8_t message_set;
};
int sch_show_type(const struct sch_show *show, uint32_t type, struct sch_show_type *out); /* 0 or -ENOENT */
const char *sch_show_oneof(const struct sch_show *show, uint32_t type, uint32_t i);       /* its name, or NULL */

struct sch_show_field {
	const char *name;
	const char *presence; /* "required", "optional", "implicit", "oneof", "repeated", "map", "extension" */
	const char *oneof;    /* the oneof that it is a member of, else NULL */
	uint32_t number;
	uint32_t n_rules;     /* of it, its elements, its keys and values */
	uint32_t sub;         /* message type of it or of its map's values, else SCH_SHOW_NONE */
	uint32_t enumeration; /* enum of it or of its map's values, for sch_show_enum, else SCH_SHOW_NONE */
	uint8_t opaque;       /* string or bytes that no rule confines (of a map: key and value, counted): content for inspection */
	uint8_t zero_ok;      /* its rules (of a list: those of each element) do not apply to zero or empty */
	uint8_t empty_ok;     /* its list rules do not apply while it is empty */
	char type[1100];      /* "repeated demo.Line", "map<string, demo.Line>", "int32" */
};
/* The i-th field of the type in the order of numbers. 0 or -ENOENT. */
int sch_show_field(const struct sch_show *show, uint32_t type, uint32_t i, struct sch_show_field *out);

enum sch_about { SCH_ABOUT_FIELD, SCH_ABOUT_ELEMENT, SCH_ABOUT_KEY, SCH_ABOUT_VALUE };
/* The k-th rule of the i-th field, for sch_rule_id and so on, and what of the field it is about. SCH_SHOW_NONE: none. */
uint32_t sch_show_rule(const struct sch_show *show, uint32_t type, uint32_t i, uint32_t k, enum sch_about *about);

struct sch_show_enum {
	const char *name; /* full */
	const char *file;
	uint32_t n_values;
};
uint32_t sch_show_enum_count(const struct sch_show *show);
int sch_show_enum(const struct sch_show *show, uint32_t enumeration, struct sch_show_enum *out);
/* The name of the i-th value in the order of the file, and its number. NULL where there is none. */
const char *sch_show_value(const struct sch_show *show, uint32_t enumeration, uint32_t i, int32_t *number);

/* Methods in the order of the files, those that stream included: they are no subjects. */
struct sch_show_method {
	const char *name; /* "demo.Valve/Act" */
	const char *file;
	uint32_t input, output;
	uint8_t client_streams, server_streams;
};
uint32_t sch_show_method_count(const struct sch_show *show);
const struct sch_show_method *sch_show_method(const struct sch_show *show, uint32_t i);

enum sch_lint_level {
	SCH_LINT_INFO,    /* worth to know: content for inspection */
	SCH_LINT_WARNING, /* refused at run time, or a surprise */
	SCH_LINT_ERROR    /* cannot be used */
};
struct sch_finding {
	enum sch_lint_level level;
	const char *file;  /* "" where none */
	const char *where; /* full name; "" where none */
	const char *text;
	uint32_t line;     /* 0 where it is not known: the set was made without positions */
};
/* Calls each for every finding; the strings live as long as the call. Errors come first, at most one for a type, and not
 * again for the types that hold it. */
void sch_lint(const struct sch_show *show, void (*each)(void *arg, const struct sch_finding *f), void *arg);

#endif
