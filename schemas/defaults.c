/* SPDX-License-Identifier: BSD-2-Clause */
/* Explicit defaults of fields ([default = 5] of proto2 and editions): from a descriptor's text to what expressions read.
 * Source: descriptor.proto, FieldDescriptorProto.default_value. Where the tables go is emit.c's. */
#include <stdlib.h>
#include <string.h>

#include "build.h"

int b_default_has(const struct b_field *f)
{
	return f->d->default_value && !f->extension && !(f->flags & SCH_F_REPEATED) && f->type != SCH_T_MESSAGE &&
	       f->type != SCH_T_GROUP;
}

static uint64_t enum_key(const struct build *b, const struct b_field *f)
{
	const fd_enum_t *d = B_ENUM_AT(b, f->sub)->d;

	for (size_t i = 0; i < d->n_value; i++)
		if (strcmp(d->value[i]->name, f->d->default_value) == 0)
			return (uint64_t)(int64_t)d->value[i]->number;
	return (uint64_t)(int64_t)d->value[0]->number;
}

static uint64_t number_key(const struct b_field *f)
{
	const char *text = f->d->default_value;
	uint64_t bits = 0;
	uint32_t half;
	double wide;
	float narrow;

	switch (f->type) {
	case SCH_T_DOUBLE:
		wide = strtod(text, NULL);
		memcpy(&bits, &wide, sizeof bits);
		return sch_key_double(bits);
	case SCH_T_FLOAT:
		narrow = strtof(text, NULL);
		memcpy(&half, &narrow, sizeof half);
		return sch_key_float(half);
	case SCH_T_BOOL:
		return strcmp(text, "true") == 0;
	case SCH_T_UINT32:
	case SCH_T_FIXED32:
		return (uint32_t)strtoull(text, NULL, 10);
	case SCH_T_UINT64:
	case SCH_T_FIXED64:
		return strtoull(text, NULL, 10);
	case SCH_T_INT32:
	case SCH_T_SINT32:
	case SCH_T_SFIXED32:
		return (uint64_t)(int64_t)(int32_t)strtoll(text, NULL, 10);
	default:
		return (uint64_t)strtoll(text, NULL, 10);
	}
}

static int octal(char c)
{
	return c >= '0' && c <= '7';
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One escape after its backslash, as C has them. Returns how many bytes it took. */
static size_t escape_read(const char *p, char *out)
{
	static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
	const char *at = *p ? strchr(from, *p) : NULL;
	size_t n = 0;
	int v = 0;

	if (at) {
		*out = to[at - from];
		return 1;
	}
	if ((*p == 'x' || *p == 'X') && hex(p[1]) >= 0) {
		for (n = 1; n < 3 && hex(p[n]) >= 0; n++)
			v = v * 16 + hex(p[n]);
		*out = (char)v;
		return n;
	}
	for (; n < 3 && octal(p[n]); n++)
		v = v * 8 + (p[n] - '0');
	*out = n ? (char)v : *p;
	return n ? n : *p != '\0';
}

/* Bytes are written with C's escapes. */
static uint32_t bytes_put(const char *p, char *out)
{
	char *o = out;

	while (*p)
		if (*p == '\\')
			p += 1 + escape_read(p + 1, o++);
		else
			*o++ = *p++;
	return (uint32_t)(o - out);
}

void b_default_put(const struct build *b, const struct b_field *f, char *out, struct sch_default *d)
{
	d->key = d->len = 0;
	if (f->type == SCH_T_STRING) {
		d->len = (uint32_t)strlen(f->d->default_value);
		memcpy(out, f->d->default_value, d->len);
	} else if (f->type == SCH_T_BYTES) {
		d->len = bytes_put(f->d->default_value, out);
	} else {
		d->key = f->type == SCH_T_ENUM ? enum_key(b, f) : number_key(f);
	}
}
