/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the comparison share: a set's descriptors with an index over them, beside the compiled tables, and
 * how a finding is told. For compat*.c only. */
#ifndef SCH_COMPAT_PARTS_H
#define SCH_COMPAT_PARTS_H

#include "build.h"
#include "compat.h"
#include "lines.h"

#define CMP_PATH_MAX SCH_LINES_PATH_MAX

typedef Google__Protobuf__MethodDescriptorProto fd_method_t;
typedef Google__Protobuf__EnumValueDescriptorProto fd_value_t;

struct cmp_message {
	const fd_message_t *d;
	char *name;             /* full name, owned */
	uint32_t file, parent;  /* parent: SCH_NONE at the top of a file */
	uint32_t at;            /* position in its parent's or its file's list */
	uint32_t type;          /* its number in the compiled set */
	uint32_t first, n;      /* its fields in fields, extensions of it included */
};

struct cmp_enum {
	const fd_enum_t *d;
	char *name;             /* full name, owned */
	uint32_t file, parent, at;
	const fd_value_t **values; /* by number, then name; made when asked for, owned */
	uint32_t asked;         /* the enum of the other set that it was held against last, or SCH_NONE */
	uint8_t answer;
};

struct cmp_field {
	const fd_field_t *d;
	uint32_t msg;           /* the message that it is a field of; of an extension the extended one */
	uint32_t file, scope;   /* scope: the message that it is written in, or SCH_NONE */
	uint32_t at;            /* position in the list that it is written in */
	uint8_t extension;
};

struct cmp_method {
	const fd_method_t *d;
	char *name;             /* "pkg.Service/Method", owned */
	uint32_t file, service, at;
};

/* One of the two sets. */
struct cmp_side {
	fd_set_t *fds;
	struct sch_set *set;
	struct b_list messages, enums, fields, methods;
	uint32_t *message_names, *enum_names, *method_names, *file_names; /* indices sorted by name */
	struct sch_lines *lines;  /* one for each file */
};

#define CMP_MSG(s, i) (&((struct cmp_message *)(s)->messages.at)[i])
#define CMP_ENUM(s, i) (&((struct cmp_enum *)(s)->enums.at)[i])
#define CMP_FIELD(s, i) (&((struct cmp_field *)(s)->fields.at)[i])
#define CMP_METHOD(s, i) (&((struct cmp_method *)(s)->methods.at)[i])

struct cmp_check {
	struct cmp_side old, now;
	void (*each)(void *arg, const struct sch_change *c);
	void *arg;
	struct sch_compat *sum;
	struct sch_err *err;
	uint8_t *unruled; /* by message of the old set: it may be inside a field that is excused from all rules */
	uint64_t work; /* values that may still be tried one by one; without any left, nothing more is shown */
	int rc;        /* -ENOMEM once memory was short */
};

/* Parses, compiles and indexes one set. 0 or -errno with err filled; cmp_side_free either way. */
int cmp_side_make(struct cmp_side *s, const void *fdset, size_t len, struct sch_err *err);
void cmp_side_free(struct cmp_side *s);

/* By full name; SCH_NONE where the set has none. */
uint32_t cmp_message_find(const struct cmp_side *s, const char *name);
uint32_t cmp_enum_find(const struct cmp_side *s, const char *name);
uint32_t cmp_method_find(const struct cmp_side *s, const char *name);
uint32_t cmp_file_find(const struct cmp_side *s, const char *name);

/* The compiled field that the descriptor became. */
const struct sch_field *cmp_field_compiled(const struct cmp_side *s, const struct cmp_field *f);

/* Where something is defined: a path as SourceCodeInfo has it. file SCH_NONE: nowhere. */
struct cmp_spot {
	uint32_t file;
	uint32_t n;
	int32_t path[CMP_PATH_MAX];
};
struct cmp_spot cmp_spot_none(void);
struct cmp_spot cmp_spot_message(const struct cmp_side *s, uint32_t msg);
struct cmp_spot cmp_spot_enum(const struct cmp_side *s, uint32_t e);
struct cmp_spot cmp_spot_field(const struct cmp_side *s, const struct cmp_field *f);
struct cmp_spot cmp_spot_method(const struct cmp_side *s, const struct cmp_method *m);
struct cmp_spot cmp_spot_file(uint32_t file, int32_t part); /* part: field number in FileDescriptorProto, 0 none */
struct cmp_spot cmp_spot_part(struct cmp_spot spot, int32_t field, uint32_t at); /* something inside it */

struct cmp_tell {
	enum sch_compat_rule rule;
	int in_old;
	struct cmp_spot old, now;
	const char *name;
	const char *keep;
};
/* Tells one finding; fmt and what follows say what changed. */
void cmp_tell(struct cmp_check *c, const struct cmp_tell *t, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Takes n from what may be tried. 0: there is not so much left. */
int cmp_spend(struct cmp_check *c, uint64_t n);

/* --- compat_type.c --- */

/* A field of both sets, or a key or value of such a map field. */
struct cmp_pair {
	const struct cmp_field *old, *now;       /* where it is written; of a map's part the map field */
	const struct sch_field *f, *g;         /* compiled, old and new */
	const fd_field_t *d, *e;               /* descriptors, old and new */
	char name[1100];                       /* full name, for people */
	int part;                              /* it is a map's key or value */
};
/* Holds type and default of both against each other. 0: the new type reads other values, so that rules need not be compared. */
int cmp_type_check(struct cmp_check *c, const struct cmp_pair *p);
void cmp_default_check(struct cmp_check *c, const struct cmp_pair *p);
/* The numbers that a field's type can hold. 0: it is no integer (nor bool). */
int cmp_type_range(int type, __int128 *lo, __int128 *hi);

/* --- compat_values.c --- */

/* What is known of the values that a field accepts, from its type and the rules about its elements. */
struct cmp_known {
	const struct sch_set *set;
	struct sch_field f;             /* the field; of a box what is in it */
	const struct sch_rule *r;       /* n of them */
	uint32_t n;
	int zero_ok;                    /* zero is accepted, whatever the rules say */
	int no_zero;                    /* it is refused: required, and without presence */
	int is_number;                  /* then lo to hi are the keys between which it lies; NaN aside */
	__int128 lo, hi;
	int no_nan;
	uint64_t points_lo, points_hi;  /* of a string, code points */
	uint64_t bytes_lo, bytes_hi;    /* of a string or bytes */
	__int128 from, to;              /* of a Duration or Timestamp, in nanoseconds */
};
struct cmp_known cmp_known_make(const struct sch_set *set, const struct sch_field *f);
int cmp_is_integer(int type); /* or a bool */
/* Is every value that the old field accepted sure to meet this rule of the new field? 0: it cannot be shown. */
int cmp_known_meets(struct cmp_check *c, const struct cmp_known *old, const struct cmp_known *now, const struct sch_rule *r);
/* Does zero meet the rule? */
int cmp_zero_meets(const struct cmp_known *k, const struct sch_rule *r);
/* Are all numbers that the old enum field accepted surely defined in the new field's enum? Deleted ones aside. */
int cmp_numbers_defined(struct cmp_check *c, const struct cmp_known *old, const struct cmp_known *now);
/* Is zero accepted? */
int cmp_zero_accepted(const struct cmp_known *k);

/* --- compat_expr.c --- */

/* Is the new rule, an expression, the same as one among n old rules that are about the same value? 0: it cannot be shown. */
int cmp_expr_known(struct cmp_check *c, const struct sch_rule *old, uint32_t n, const struct sch_rule *r);

/* --- compat_rules.c --- */

/* Finds c->unruled. 0 or -ENOMEM. */
int cmp_unruled_find(struct cmp_check *c);
/* Tells of each rule of the new field that cannot be shown to accept all that the old field accepted. */
void cmp_rules_check(struct cmp_check *c, const struct cmp_pair *p);
/* The same for a field that the old message does not have: it is absent from all old messages. */
void cmp_rules_new_field(struct cmp_check *c, uint32_t old_msg, const struct cmp_field *now, const char *name);
/* A message's own rules. */
void cmp_rules_message(struct cmp_check *c, uint32_t old_msg, uint32_t now_msg);

#endif
