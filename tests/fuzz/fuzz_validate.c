/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes both validators on the same bytes. The first byte chooses the type. What must hold: strict mode accepts nothing
 * that conformant mode refuses; what it reports lies inside the message and does not depend on the bytes behind it;
 * protobuf-c can parse what it accepts, and what protobuf-c then writes is accepted again; a field that the schema does not
 * have is always found. Guards, must bits and what else makes the strict loop fast change no answer: a second set in which
 * nothing is settled at a glance gives the same one, and so does a third, read by the plain loop that any processor can run.
 * Asked for all violations, the first is the one told otherwise. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <google/protobuf/descriptor.pb-c.h>
#include <tests/schemas/strict.pb-c.h>

#include "schemas/bytes.h"
#include "schemas/set.h"
#include "tests/schemas/fdset.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sch_set *set, *slow, *plain;

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
	{ "ruled.Numbers", NULL },
	{ "ruled.Texts", NULL },
	{ "ruled.Lists", NULL },
	{ "ruled.Groups", NULL },
	{ "ruled.Known", NULL },
	{ "corner.Wide", NULL },
	{ "corner.Two", NULL },
	{ "corner.Formats", NULL },
	{ "corner.Counts", NULL },
	{ "corner2.Old", NULL },
	{ "corner.Reals", NULL },
	{ "asked.All", NULL },
	{ "asked.Line", NULL },
	{ "corner.Long", NULL },
};
#define TYPES (sizeof types / sizeof types[0])

/* Takes every short cut out of a set: no guard holds anything, every end of a message is looked at. */
static void slow_make(struct sch_set *s)
{
	for (uint32_t i = 0; i < s->n_fields; i++) {
		struct sch_field *f = (struct sch_field *)(uintptr_t)&s->fields[i];

		if (f->elem == SCH_OP_UUID || f->elem == SCH_OP_AMONG) { /* neither asks its guard */
			f->wide = f->wide == f->elem ? SCH_OP_STRING : f->wide;
			f->elem = SCH_OP_STRING;
		}
		f->size = 0;
		f->easy = 0;
		if (f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP)
			f->ends |= SCH_E_LOOK;
		else if (f->wire == SCH_W_VARINT)
			f->top = 0;
		f->tag0 = 0; /* no field is expected: each is looked up */
		f->op = SCH_OP_NONE;
	}
	for (uint32_t i = 0; i < s->n_messages; i++) {
		struct sch_message *m = (struct sch_message *)(uintptr_t)&s->messages[i];

		m->must0 = ~0ull;
		m->ends |= SCH_E_LOOK;
	}
	for (uint32_t i = 0; i < s->n_must; i++)
		((uint64_t *)(uintptr_t)s->must)[i] = ~0ull;
	for (uint32_t i = 0; i < s->n_bounds; i++) {
		struct sch_bound *b = (struct sch_bound *)(uintptr_t)&s->bounds[i];

		b->lo = UINT32_MAX; /* nobody counts so far */
		b->span = 0;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char protos[] = "strict.proto old.proto later.proto ruled.proto corner.proto corner2.proto asked.proto "
				     "google/protobuf/descriptor.proto";

	(void)argc;
	(void)argv;
	set = fdset_compiled(protos);
	slow = fdset_compiled(protos);
	plain = fdset_compiled(protos);
	if (!set || !slow || !plain) {
		fprintf(stderr, "fuzz_validate: protoc could not compile tests/schemas; run from the tree's root\n");
		abort();
	}
	slow_make(slow);
	plain->fast = 0;
	return 0;
}

static void result_check(const struct sch_result *r, const uint8_t *msg, size_t len)
{
	char path[SCH_PATH_MAX];

	assert(r->offset <= len);
	assert(r->depth <= sizeof r->path / sizeof r->path[0]);
	for (uint32_t i = 0; i < r->depth; i++)
		assert(r->path[i].field == UINT32_MAX || r->path[i].field < set->n_fields);
	assert(sch_path_render(set, r, NULL, path, sizeof path) < sizeof path);
	assert(strlen(path) < sizeof path);
	assert(sch_path_render(set, r, msg, path, sizeof path) < sizeof path);
	assert(strlen(path) < sizeof path);
	assert((r->reason == SCH_RULE) == (r->rule != SCH_NONE) || r->reason == SCH_RULE_ERROR);
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
	uint8_t *again = malloc(n + SCH_PAD);

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
	uint8_t *more = malloc(len + sizeof field + SCH_PAD);
	struct sch_result r;

	assert(more);
	memcpy(more, msg, len);
	memcpy(more + len, field, sizeof field);
	const struct sch_ask ask = { .has_now = 1, .now_s = 1000 };

	assert(sch_validate_ask(set, type, more, len + sizeof field, &ask, &r) == SCH_UNKNOWN_FIELD);
	assert(r.offset == len && r.depth == 1 && r.path[0].number == 18999);
	free(more);
}

/* Same answer, same place, same rule? */
static void same_check(const struct sch_result *a, const struct sch_result *b)
{
	assert(a->reason == b->reason && a->offset == b->offset && a->rule == b->rule && a->for_key == b->for_key);
	assert(a->depth == b->depth);
	for (uint32_t i = 0; i < a->depth; i++)
		assert(memcmp(&a->path[i], &b->path[i], sizeof a->path[i]) == 0);
	if (a->reason == SCH_OK) {
		assert(a->n_spans == b->n_spans && a->spans_cut == b->spans_cut);
		assert(memcmp(a->span, b->span, a->n_spans * sizeof a->span[0]) == 0);
	}
}

struct told {
	uint32_t n;
	struct sch_result first;
};

static void violation_told(void *arg, const struct sch_result *r)
{
	struct told *t = arg;

	assert(r->reason == SCH_RULE || r->reason == SCH_RULE_ERROR);
	if (t->n++ == 0)
		t->first = *r;
}

/* The same question in other ways. */
static void others_check(uint32_t type, const uint8_t *msg, size_t len, const struct sch_result *r)
{
	static struct told told; /* large */
	const struct sch_ask usual = { .has_now = 1, .now_s = 1000 }, bare = { .no_rules = 1 };
	const struct sch_ask all = { .has_now = 1, .now_s = 1000, .each = violation_told, .arg = &told };
	static struct sch_result other;

	told.n = 0;
	sch_validate_ask(slow, type, msg, len, &usual, &other);
	same_check(r, &other);
	sch_validate_ask(plain, type, msg, len, &usual, &other);
	same_check(r, &other);
	sch_validate_ask(set, type, msg, len, &all, &other);
	if (told.n) {
		assert(r->reason == told.first.reason && r->rule == told.first.rule && r->offset == told.first.offset);
		assert(other.reason != SCH_OK);
	} else {
		same_check(r, &other);
	}
	int broken = r->reason != SCH_OK && r->reason != SCH_RULE && r->reason != SCH_RULE_ERROR;

	sch_validate_ask(set, type, msg, len, &bare, &other);
	if (broken && r->reason != SCH_UTF8) /* a rule may be told before a NUL is */
		assert(other.reason == r->reason && other.offset == r->offset);
	else if (r->reason == SCH_OK)
		assert(other.reason == SCH_OK);
}

static void one_check(const char *name, const ProtobufCMessageDescriptor *known, const uint8_t *msg, size_t len)
{
	static struct sch_result strict, lenient; /* large */
	const struct sch_ask ask = { .has_now = 1, .now_s = 1000 };
	uint32_t type = (uint32_t)sch_type_find(set, name);
	enum sch_reason why = sch_validate_ask(set, type, msg, len, &ask, &strict);
	enum sch_reason other = sch_validate_conformant(set, type, msg, len, 1, &lenient);

	assert(why == strict.reason && other == lenient.reason);
	result_check(&strict, msg, len);
	result_check(&lenient, msg, len);
	others_check(type, msg, len, &strict);
	if (other == SCH_REQUIRED) {
		assert(sch_validate_conformant(set, type, msg, len, 0, &lenient) == SCH_OK);
	} else if (other == SCH_OK) {
		assert(lenient.n_spans == 0);
	}
	if (why != SCH_OK)
		return;
	assert(other == SCH_OK);
	spans_check(&strict, len);
	unknown_check(type, msg, len);
	if (known)
		known_check(type, known, msg, len);
}

/* What may stand behind a message: all ones; varints without end, also behind a tag's second byte; small numbers; more of the
 * same; behind such a byte, a length that leads back to the message's end. */
static void pad_make(uint8_t *msg, size_t len, uint32_t kind)
{
	memset(msg + len, kind == 0 ? 0xff : kind == 1 && !(len & 1) ? 0x01 : 0x80, SCH_PAD);
	if (kind == 2)
		msg[len] = 1 + (len & 1);
	if (kind == 3)
		memcpy(msg + len, msg, len < SCH_PAD ? len : SCH_PAD);
	if (kind == 4) {
		msg[len] = 1;
		varint_put(msg + len + 1, 0 - (uint64_t)(1 + SCH_VARINT_MAX));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sch_result first, second;

	if (size == 0)
		return 0;
	size_t choice = data[0] % TYPES, len = size - 1;
	const struct sch_ask ask = { .has_now = 1, .now_s = 1000 };
	uint32_t type = (uint32_t)sch_type_find(set, types[choice].name);
	uint8_t *msg = malloc(len + SCH_PAD);

	assert(msg);
	if (len)
		memcpy(msg, data + 1, len);
	memset(msg + len, 0, SCH_PAD);
	one_check(types[choice].name, types[choice].known, msg, len);
	sch_validate_ask(set, type, msg, len, &ask, &first);
	for (uint32_t kind = 0; kind < 5; kind++) {
		pad_make(msg, len, kind);
		sch_validate_ask(set, type, msg, len, &ask, &second);
		result_check(&second, msg, len);
		same_check(&first, &second);
	}
	if (len > 0) { /* the message ends earlier, and the rest of these bytes stands behind it */
		uint32_t behind = 1 + msg[len - 1] % SCH_PAD;

		len -= behind < len ? behind : len;
		sch_validate_ask(set, type, msg, len, &ask, &second);
		result_check(&second, msg, len);
		memset(msg + len, 0, SCH_PAD);
		sch_validate_ask(set, type, msg, len, &ask, &first);
		same_check(&first, &second);
	}
	free(msg);
	return 0;
}
