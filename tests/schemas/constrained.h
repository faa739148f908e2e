/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the rule compiler: a schema made of declarations, one message each, and what was made of a field, as text. */
#ifndef TEST_CONSTRAINED_H
#define TEST_CONSTRAINED_H

#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "schemas/formats.h"
#include "schemas/set.h"
#include "tests/schemas/fdset.h"

/* A message's body, and what must be told of it: of its field v where it compiles, else its error. */
struct row {
	const char *body, *want;
};

/* Before the messages M0, M1 ... of the rows. */
#define CONSTRAINED_HEAD                                                                                               \
	"import \"buf/validate/validate.proto\";\n"                                                                    \
	"import \"google/protobuf/any.proto\";\nimport \"google/protobuf/duration.proto\";\n"                          \
	"import \"google/protobuf/field_mask.proto\";\nimport \"google/protobuf/timestamp.proto\";\n"                  \
	"import \"google/protobuf/wrappers.proto\";\n"                                                                 \
	"enum E { ZERO = 0; ONE = 1; TWO = 2; NINE = 9; }\n"                                                           \
	"message Sub { int32 x = 1; }\n"                                                                              \
	"message All { google.protobuf.Any a = 1; google.protobuf.Duration d = 2; google.protobuf.FieldMask m = 3;\n"  \
	"google.protobuf.Timestamp t = 4; google.protobuf.Int32Value b = 5 [(buf.validate.field).required = true]; }\n"

#define CONSTRAINED_HEAD_2                                                                                             \
	"import \"buf/validate/validate.proto\";\n"                                                                    \
	"enum E { ZERO = 0; ONE = 1; TWO = 2; NINE = 9; }\nenum F { SEVEN = 7; EIGHT = 8; }\n"                         \
	"extend buf.validate.Int32Rules { optional int32 even = 1001; }\n"                                             \
	"message Open { extensions 100 to 200; }\n"

/* Compiles the rows as messages p.M0, p.M1 ... of a file `name`. NULL where protoc or the compiler refuses the whole. */
static inline uint8_t *constrained_make(const char *name, const char *syntax, const char *head, const struct row *rows,
					size_t n, size_t *len)
{
	char path[200], options[240];
	FILE *f;

	mkdir(BUILD_DIR "/tests", 0777);
	snprintf(path, sizeof path, "%s/tests/%s.proto", BUILD_DIR, name);
	f = fopen(path, "we");
	if (!f)
		return NULL;
	fprintf(f, "syntax = \"%s\";\npackage p;\n%s", syntax, head);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "message M%zu { %s }\n", i, rows[i].body);
	if (fclose(f) != 0)
		return NULL;
	snprintf(options, sizeof options, "-I%s/tests %s.proto", BUILD_DIR, name);
	return fdset_make(options, len);
}

struct told {
	char text[2000];
	size_t n;
};

static inline void __attribute__((format(printf, 2, 3))) tell(struct told *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	t->n += (size_t)vsnprintf(t->text + t->n, sizeof t->text - t->n, fmt, ap);
	va_end(ap);
	if (t->n >= sizeof t->text)
		t->n = sizeof t->text - 1;
}

static inline void tell_key(struct told *t, const struct sch_field *f, uint64_t key)
{
	if (f->type == SCH_T_UINT64 || f->type == SCH_T_FIXED64 || f->type == SCH_T_STRING || f->type == SCH_T_BYTES)
		tell(t, key == UINT64_MAX ? "*" : "%" PRIu64, key);
	else if (key == 1ull << 63 || key == INT64_MAX)
		tell(t, key == INT64_MAX ? "max" : "min");
	else if ((f->type == SCH_T_DOUBLE || f->type == SCH_T_FLOAT) && key != 0 && key != UINT64_MAX && key != 1 &&
		 key != UINT64_MAX - 1) {
		uint64_t b64 = sch_key_double(key);
		uint32_t b32 = (uint32_t)sch_key_float((uint32_t)key);
		double d;
		float s;

		memcpy(&d, &b64, sizeof d);
		memcpy(&s, &b32, sizeof s);
		tell(t, "%.9g", f->type == SCH_T_DOUBLE ? d : (double)s);
	} else
		tell(t, "%" PRId64, (int64_t)key);
}

static inline void tell_operands(struct told *t, const struct sch_set *s, const struct sch_field *f, const struct sch_rule *r)
{
	static const char *const formats[] = {
#define X(sym) #sym,
		SCH_FORMATS(X)
#undef X
	};
	const void *at = s->pool + r->arg;

	switch (r->op) {
	case SCH_R_COUNT_MIN:
	case SCH_R_COUNT_MAX:
		tell(t, " %" PRIu64, r->a);
		break;
	case SCH_R_RANGE:
	case SCH_R_OUTSIDE:
	case SCH_R_LEN:
	case SCH_R_BYTES:
		tell(t, r->op == SCH_R_OUTSIDE ? " not " : " ");
		tell_key(t, f, r->a);
		tell(t, "..");
		tell_key(t, f, r->b);
		break;
	case SCH_R_NUM_EQ:
		tell(t, " =");
		tell_key(t, f, r->a);
		break;
	case SCH_R_NUM_IN:
	case SCH_R_NUM_NOT_IN:
		for (uint32_t i = 0; i < r->n; i++) {
			tell(t, i ? "," : r->op == SCH_R_NUM_IN ? " " : " not ");
			tell_key(t, f, ((const uint64_t *)at)[i]);
		}
		break;
	case SCH_R_STR_EQ:
	case SCH_R_PREFIX:
	case SCH_R_SUFFIX:
	case SCH_R_CONTAINS:
	case SCH_R_NOT_CONTAINS:
	case SCH_R_STR_IN:
	case SCH_R_STR_NOT_IN:
	case SCH_R_ANY_IN:
	case SCH_R_ANY_NOT_IN:
	case SCH_R_MASK_EQ:
	case SCH_R_MASK_IN:
	case SCH_R_MASK_NOT_IN:
		for (uint32_t i = 0; i < r->n; i++) {
			const struct sch_text *x = (const struct sch_text *)at + i;

			tell(t, "%s\"%.*s\"", i ? "," : " ", (int)x->len, (const char *)s->pool + x->at);
		}
		break;
	case SCH_R_FORMAT:
		tell(t, " %s", formats[r->a]);
		break;
	case SCH_R_TIME_RANGE:
	case SCH_R_TIME_OUTSIDE:
	case SCH_R_TIME_EQ:
	case SCH_R_TIME_IN:
	case SCH_R_TIME_NOT_IN:
	case SCH_R_WITHIN:
		for (uint32_t i = 0; i < r->n; i++) {
			const struct sch_time *x = (const struct sch_time *)at + i;

			tell(t, r->op == SCH_R_TIME_OUTSIDE && !i ? " not " : i ? "," : " ");
			if (x->s == INT64_MIN || x->s == INT64_MAX)
				tell(t, x->s == INT64_MAX ? "max" : "min");
			else
				tell(t, "%" PRId64 "s%" PRId64, x->s, x->ns);
		}
		break;
	default:
		break;
	}
}

/* "int32.gt_lt@int32.gt 6..8; | guard 6..8 RULED": rules about the field as a whole stand before a bar. */
static inline void tell_field(struct told *t, const struct sch_set *s, const struct sch_message *m, const struct sch_field *f)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} flags[] = { { SCH_F_RULED, "RULED" },	  { SCH_F_OPEN, "OPEN" },     { SCH_F_ZERO_OK, "ZERO_OK" },
		      { SCH_F_COUNTED, "COUNTED" }, { SCH_F_UNIQUE, "UNIQUE" }, { SCH_F_BOXED, "BOXED" },
		      { SCH_F_IGNORED, "IGNORED" }, { SCH_F_EMPTY_OK, "EMPTY_OK" } };
	struct sch_field value = *f; /* a box's content is told as what it is */

	if (f->flags & SCH_F_BOXED)
		value.type = s->fields[s->messages[f->sub].first].type;
	for (uint32_t i = 0; i < f->n_rules; i++) {
		const struct sch_rule *r = &s->rules[f->rules + i];
		const char *id = (const char *)s->pool + r->id, *path = (const char *)s->pool + r->path;

		tell(t, i == f->n_list && i ? "| " : "");
		tell(t, strcmp(id, path) ? "%s@%s" : "%s", id, path);
		tell_operands(t, s, &value, r);
		tell(t, "; ");
	}
	if (f->type != SCH_T_MESSAGE && f->type != SCH_T_GROUP && f->size && f->size != UINT64_MAX && !(f->flags & SCH_F_RULED)) {
		tell(t, "guard ");
		tell_key(t, f, f->lo);
		tell(t, "..");
		tell_key(t, f, f->lo + f->size - 1);
		tell(t, " ");
	}
	for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
		if (f->flags & flags[i].flag)
			tell(t, "%s ", flags[i].name);
	if (f->slot != SCH_NO_SLOT && s->must[m->must + f->slot / 64] >> f->slot % 64 & 1)
		tell(t, "must ");
	if (f->flags & SCH_F_MAP) {
		const struct sch_message *entry = &s->messages[f->sub];

		tell(t, "key: ");
		tell_field(t, s, entry, &s->fields[entry->first]);
		tell(t, " value: ");
		tell_field(t, s, entry, &s->fields[entry->first + 1]);
	}
	if (t->n && t->text[t->n - 1] == ' ')
		t->text[--t->n] = '\0';
}

/* The rules of the message itself, then those of its field number 1. */
static inline void tell_message(struct told *t, const struct sch_set *s, const char *name)
{
	int32_t type = sch_type_find(s, name);
	const struct sch_message *m = type < 0 ? NULL : &s->messages[type];

	*t = (struct told){ 0 };
	if (!m) {
		tell(t, "no %s", name);
		return;
	}
	for (uint32_t i = 0; i < m->n_rules; i++) {
		const struct sch_rule *r = &s->rules[m->rules + i];

		tell(t, "%s%s", (const char *)s->pool + r->id, (const char *)s->pool + r->path);
		if (r->op == SCH_R_ONEOF)
			tell(t, " of %s slot %" PRIu64 "%s", (const char *)s->pool + r->arg, r->a,
			     s->must[m->must + r->a / 64] >> r->a % 64 & 1 ? " must" : "");
		for (uint32_t k = 0; r->op == SCH_R_ONE_OF && k < r->n; k++)
			tell(t, "%s%s", k ? "," : r->a ? " exactly " : " at most ",
			     sch_field_name(s, ((const uint32_t *)(const void *)(s->pool + r->arg))[k]));
		tell(t, "; ");
	}
	tell_field(t, s, m, &s->fields[m->first]);
}

#endif
