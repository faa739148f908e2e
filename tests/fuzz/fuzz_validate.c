/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes both validators on the same bytes. The first byte chooses the type. What must hold: strict mode accepts nothing
 * that conformant mode refuses; what it reports lies inside the message; protobuf-c can parse what it accepts, and what
 * protobuf-c then writes is accepted again; a field that the schema does not have is always found. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <google/protobuf/descriptor.pb-c.h>
#include <tests/schemas/strict.pb-c.h>

#include "schemas/set.h"
#include "tests/schemas/fdset.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sch_set *set;

static const struct {
	const char *name;
	const ProtobufCMessageDescriptor *known; /* NULL: protobuf-c has no code for it */
} types[] = {
	{ "strict.All", &strict__all__descriptor },
	{ "strict.Inner", &strict__inner__descriptor },
	{ "google.protobuf.FileDescriptorSet", &google__protobuf__file_descriptor_set__descriptor },
	{ "old.Holder", NULL },
	{ "old.Req", NULL },
	{ "old.Set", NULL },
	{ "later.Maybe", NULL },
};
#define TYPES (sizeof types / sizeof types[0])

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	set = fdset_compiled("strict.proto old.proto later.proto google/protobuf/descriptor.proto");
	if (!set) {
		fprintf(stderr, "fuzz_validate: protoc could not compile tests/schemas; run from the tree's root\n");
		abort();
	}
	return 0;
}

static void result_check(const struct sch_result *r, size_t len)
{
	char path[SCH_PATH_MAX];

	assert(r->offset <= len);
	assert(r->depth <= sizeof r->path / sizeof r->path[0]);
	for (uint32_t i = 0; i < r->depth; i++)
		assert(r->path[i].field == UINT32_MAX || r->path[i].field < set->n_fields);
	assert(sch_path_render(set, r, path, sizeof path) < sizeof path);
	assert(strlen(path) < sizeof path);
}

static void spans_check(const struct sch_result *r, size_t len)
{
	uint32_t end = 0;

	assert(r->n_spans <= SCH_SPANS_MAX);
	for (uint32_t i = 0; i < r->n_spans; i++) {
		assert(r->span[i].len > 0 && r->span[i].offset >= end);
		assert(r->span[i].offset + r->span[i].len <= len);
		assert(r->span[i].field < set->n_fields);
		end = r->span[i].offset + r->span[i].len;
	}
}

/* What strict mode accepts, protobuf-c takes; what it writes from that, strict mode takes. */
static void known_check(uint32_t type, const ProtobufCMessageDescriptor *known, const uint8_t *msg, size_t len)
{
	struct sch_result r;
	ProtobufCMessage *m = protobuf_c_message_unpack(known, NULL, len, msg);

	assert(m);
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *again = malloc(n ? n : 1);

	assert(again);
	assert(protobuf_c_message_pack(m, again) == n);
	assert(sch_validate(set, type, again, n, &r) == SCH_OK);
	free(again);
	protobuf_c_message_free_unpacked(m, NULL);
}

/* Puts field 18999, which no type here has, at the end. */
static void unknown_check(uint32_t type, const uint8_t *msg, size_t len)
{
	static const uint8_t field[] = { 0xb8, 0xa3, 0x09, 0x01 };
	uint8_t *more = malloc(len + sizeof field);
	struct sch_result r;

	assert(more);
	memcpy(more, msg, len);
	memcpy(more + len, field, sizeof field);
	assert(sch_validate(set, type, more, len + sizeof field, &r) == SCH_UNKNOWN_FIELD);
	assert(r.offset == len && r.depth == 1 && r.path[0].number == 18999);
	free(more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sch_result strict, lenient;

	if (size == 0)
		return 0;
	size_t choice = data[0] % TYPES, len = size - 1;
	uint32_t type = (uint32_t)sch_type_find(set, types[choice].name);
	const uint8_t *msg = data + 1;
	enum sch_reason why = sch_validate(set, type, msg, len, &strict);
	enum sch_reason other = sch_validate_conformant(set, type, msg, len, 1, &lenient);

	assert(why == strict.reason && other == lenient.reason);
	result_check(&strict, len);
	result_check(&lenient, len);
	if (other == SCH_REQUIRED) {
		assert(sch_validate_conformant(set, type, msg, len, 0, &lenient) == SCH_OK);
	} else if (other == SCH_OK) {
		assert(lenient.n_spans == 0);
	}
	if (why != SCH_OK)
		return 0;
	assert(other == SCH_OK);
	spans_check(&strict, len);
	unknown_check(type, msg, len);
	if (types[choice].known)
		known_check(type, types[choice].known, msg, len);
	return 0;
}
