/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptor sets taken apart, changed, and put together again, for tests of what the compiler makes of them. */
#ifndef TEST_CHANGE_H
#define TEST_CHANGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <google/protobuf/descriptor.pb-c.h>

#include "tests/schemas/fdset.h"

typedef Google__Protobuf__FileDescriptorSet fds_t;
typedef Google__Protobuf__FileDescriptorProto file_t;
typedef Google__Protobuf__DescriptorProto msg_t;
typedef Google__Protobuf__FieldDescriptorProto field_t;
typedef Google__Protobuf__EnumDescriptorProto enum_t;

/* Everything that a changed set points to is freed at once, whatever the change did to it. */
struct arena {
	uint8_t *at;
	size_t used;
};
#define ARENA_BYTES (4u << 20)

static inline void *arena_alloc(void *context, size_t size)
{
	struct arena *a = context;
	void *p = a->at + a->used;

	a->used += (size + 15) & ~(size_t)15;
	assert_true(a->used <= ARENA_BYTES);
	return p;
}

static inline void arena_free(void *context, void *p)
{
	(void)context;
	(void)p;
}

/* The set, as a tree in the arena, which is to be freed. */
static inline fds_t *change_begin(struct arena *a, const uint8_t *set, size_t len)
{
	ProtobufCAllocator allocator = { arena_alloc, arena_free, a };

	a->at = calloc(1, ARENA_BYTES);
	a->used = 0;
	assert_non_null(a->at);
	fds_t *s = google__protobuf__file_descriptor_set__unpack(&allocator, len, set);

	assert_non_null(s);
	return s;
}

/* Compiles the tree; lenient or not. *out is NULL where the compiler refused it. Frees the arena. */
static inline int change_compile(struct arena *a, const fds_t *s, int lenient, struct sch_set **out, struct sch_err *err)
{
	uint8_t *packed = malloc(ARENA_BYTES);

	assert_non_null(packed);
	assert_true(google__protobuf__file_descriptor_set__get_packed_size(s) <= ARENA_BYTES);
	size_t len = google__protobuf__file_descriptor_set__pack(s, packed);
	int rc = lenient ? sch_set_compile_lenient(out, packed, len, err) : sch_set_compile(out, packed, len, err);

	assert_true((rc == 0) == (*out != NULL));
	free(packed);
	free(a->at);
	return rc;
}

static inline msg_t *msg_of(fds_t *s, const char *name)
{
	for (size_t i = 0; i < s->n_file; i++)
		for (size_t k = 0; k < s->file[i]->n_message_type; k++)
			if (strcmp(s->file[i]->message_type[k]->name, name) == 0)
				return s->file[i]->message_type[k];
	fail_msg("no message %s", name);
	return NULL;
}

static inline field_t *field_in(msg_t *m, const char *name)
{
	for (size_t i = 0; i < m->n_field; i++)
		if (strcmp(m->field[i]->name, name) == 0)
			return m->field[i];
	fail_msg("no field %s.%s", m->name, name);
	return NULL;
}

static inline field_t *field_of(fds_t *s, const char *msg, const char *name)
{
	return field_in(msg_of(s, msg), name);
}

static inline file_t *file_of(fds_t *s, const char *name)
{
	for (size_t i = 0; i < s->n_file; i++)
		if (strcmp(s->file[i]->name, name) == 0)
			return s->file[i];
	fail_msg("no file %s", name);
	return NULL;
}

/* A string that outlives the function that names it. */
#define STR(text) ({ static char kept_[] = text; kept_; })
#define TYPE(t) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##t
#define LABEL(l) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_##l

#endif
