/* SPDX-License-Identifier: BSD-2-Clause */
/* The layout of policy files, common files and cases: whatever the reader takes can be laid out, the result says the same
 * (pol_fmt holds them against each other itself, and refuses without a line where they differ), keeps every comment, and laid
 * out again it stays as it is. The first byte chooses the kind of file. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/fmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Comments cannot be counted without knowing the values; but every # of the text is in a comment or in a value, and both stay. */
static size_t count(const char *text, size_t len, char c)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++)
		n += text[i] == c;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct pol_mapping *const kinds[] = {&pol_language_policy, &pol_language_common, &pol_language_cases};
	if (len < 1)
		return 0;
	const struct pol_mapping *m = kinds[data[0] % 3];
	const char *text = (const char *)data + 1;
	struct pol_err err = {.line = 0};
	char *once, *twice;
	size_t once_len, twice_len;
	len--;
	if (pol_fmt(&once, &once_len, "f.yaml", text, len, m, &err) < 0) {
		assert(strncmp(err.text, "it cannot be laid out", 21) != 0);
		return 0;
	}
	assert(count(text, len, '#') == count(once, once_len, '#'));
	assert(pol_fmt(&twice, &twice_len, "f.yaml", once, once_len, m, &err) == 0);
	assert(once_len == twice_len && memcmp(once, twice, once_len) == 0);
	free(once);
	free(twice);
	return 0;
}
