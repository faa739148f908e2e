/* SPDX-License-Identifier: BSD-2-Clause */
/* noise_vectors FILE [--json]: runs the vectors of our two suites in a file of the cacophony format.
 * Exit status: 0 when none failed and at least one passed, 1 otherwise, 2 for a file or command line that is no use. */
#include "tests/tools/noise_cases.h"

int main(int argc, char **argv)
{
	static const char *const words[] = {[NOISE_PASS] = "pass", [NOISE_FAIL] = "fail", [NOISE_SKIP] = "skip"};
	unsigned count[3] = {0, 0, 0};
	const char *path = NULL;
	const json_t *vectors;
	json_t *root, *list = NULL;
	char err[256];
	int as_json = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			as_json = 1;
		else if (!path && argv[i][0] != '-')
			path = argv[i];
		else
			path = "";
	}
	if (!path || !*path) {
		fprintf(stderr, "usage: noise_vectors FILE [--json]\n");
		return 2;
	}
	if (sodium_init() < 0) {
		fprintf(stderr, "noise_vectors: libsodium does not start\n");
		return 2;
	}
	vectors = noise_case_load(path, &root, err, sizeof(err));
	if (!vectors) {
		fprintf(stderr, "noise_vectors: %s\n", err);
		return 2;
	}
	if (as_json)
		list = json_array();
	for (size_t i = 0; i < json_array_size(vectors); i++) {
		const char *name;
		char why[160];
		enum noise_result r = noise_case_run(json_array_get(vectors, i), &name, why, sizeof(why));

		count[r]++;
		if (as_json)
			json_array_append_new(
			    list, json_pack("{s:s, s:s, s:s}", "name", name, "result", words[r], "why", why));
		else
			printf("%s %s%s%s\n", words[r], name, why[0] ? ": " : "", why);
	}
	if (as_json) {
		json_t *all = json_pack("{s:o, s:i, s:i, s:i}", "vectors", list, "passed", (int)count[NOISE_PASS],
					"failed", (int)count[NOISE_FAIL], "skipped", (int)count[NOISE_SKIP]);

		json_dumpf(all, stdout, JSON_INDENT(2));
		printf("\n");
		json_decref(all);
	} else {
		printf("%u passed, %u failed, %u skipped\n", count[NOISE_PASS], count[NOISE_FAIL], count[NOISE_SKIP]);
	}
	json_decref(root);
	return count[NOISE_FAIL] == 0 && count[NOISE_PASS] > 0 ? 0 : 1;
}
