/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the launch module's parser. What it accepts is in range and readable; what it refuses leaves nothing behind
 * and names a line that the text has. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "guest-lib/launch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct weft_launch l;
	const char *why;
	uint32_t line, lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	line = weft_launch_parse(&l, (const char *)data, size, &why);
	if (line) {
		assert(line <= lines && why && strlen(why) > 5);
		assert(sodium_is_zero((const uint8_t *)&l, sizeof(l)));
		return 0;
	}
	assert(!why && size <= WEFT_LAUNCH_BYTES_MAX && data[size - 1] == '\n');
	assert(weft_name_ok(l.id.name) && l.id.port >= 1 && l.id.port <= WEFT_PORTS_MAX);
	assert(l.suite <= WEFT_SUITE_CHACHAPOLY && l.n_sets <= WEFT_LAUNCH_SETS_MAX);
	for (uint32_t i = 0; i < l.n_sets; i++) {
		assert(strlen(l.set[i].key) >= 1 && strlen(l.set[i].key) <= WEFT_LAUNCH_KEY_MAX);
		assert(strlen(l.set[i].value) <= WEFT_LAUNCH_VALUE_MAX);
		assert(weft_launch_get(&l, l.set[i].key) == l.set[i].value);
	}
	return 0;
}
