/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the comparison of schema sets: two u16 (lengths), an old set, a new set, a message. Findings are whole; and where
 * there is none, a message that the old set accepts under any of its types the new set must accept. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/compat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TYPES_MAX 32u

static void printable(const char *text)
{
	for (; *text; text++)
		assert(*text >= ' ' && *text <= '~');
}

static void note(void *arg, const struct sch_change *c)
{
	uint32_t *n = arg;

	assert(c->rule > SCH_COMPAT_NONE && c->rule < SCH_COMPAT_RULE_COUNT);
	assert(c->in_old ? c->old.file != NULL : c->now.file != NULL);
	assert(c->name[0] && c->text[0] && c->keep[0]);
	printable(c->name);
	printable(c->text);
	printable(c->old.file ? c->old.file : "");
	printable(c->now.file ? c->now.file : "");
	n[c->is_strict ? 1 : 0]++;
}

static void accept_both(const uint8_t *old_bytes, size_t old_len, const uint8_t *new_bytes, size_t new_len, const uint8_t *msg,
			size_t len)
{
	const struct sch_ask ask = { .has_now = 1, .now_s = 1700000000 };
	struct sch_set *old = NULL, *now = NULL;
	uint8_t *padded = calloc(1, len + SCH_PAD);
	struct sch_result r;
	struct sch_err err;

	assert(padded);
	if (len)
		memcpy(padded, msg, len);
	if (sch_set_compile(&old, old_bytes, old_len, &err) != 0 || sch_set_compile(&now, new_bytes, new_len, &err) != 0)
		abort();
	for (uint32_t i = 0; i < sch_type_count(old) && i < TYPES_MAX; i++) {
		int32_t k = sch_type_find(now, sch_type_name(old, i));

		if (k >= 0 && sch_validate_ask(old, i, padded, len, &ask, &r) == SCH_OK)
			assert(sch_validate_ask(now, (uint32_t)k, padded, len, &ask, &r) == SCH_OK);
	}
	sch_set_free(old);
	sch_set_free(now);
	free(padded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t n[2] = { 0, 0 };
	struct sch_compat sum;
	struct sch_err err;

	if (size < 4)
		return 0;
	size_t a = (size_t)(data[0] | data[1] << 8), b = (size_t)(data[2] | data[3] << 8);

	data += 4;
	size -= 4;
	a = a < size ? a : size;
	b = b < size - a ? b : size - a;
	int rc = sch_compat_check(data, a, data + a, b, note, n, &sum, &err);

	if (rc) {
		assert(err.text[0]);
		return 0;
	}
	assert(sum.wire == n[0] && sum.strict == n[1]);
	if (n[0] + n[1] == 0)
		accept_both(data, a, data + a, b, data + a + b, size - a - b);
	return 0;
}
