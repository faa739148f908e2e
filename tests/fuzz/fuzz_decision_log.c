/* SPDX-License-Identifier: BSD-2-Clause */
/* Decision logs that anybody may have written, as `weft policy learn`, `weft explain` and `weft tail` read them: each line is
 * learned from or skipped, every draft of what was learned is a policy that the reader takes as it stands, a decision that is
 * found is the one that was asked for, and what is printed of a line leads a terminal nowhere. The first byte is the number that
 * is looked for. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/cli/explain_find.h"
#include "fabric/cli/policy_learn_log.h"
#include "fabric/config.h"
#include "fabric/decision_json.h"
#include "policy/fmt.h"
#include "policy/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void text_look(const char *line, size_t len)
{
	char text[512], again[512];
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(o)) {
		fab_decision_text(o, text, sizeof text);
		assert(strlen(text) < sizeof text);
		assert(strcmp(fab_text_clean(again, sizeof again, text, SIZE_MAX), text) == 0);
	}
	json_decref(o);
}

static void lines_learn(struct cli_learned *ln, const char *text, size_t len)
{
	uint64_t number = 0;
	for (size_t at = 0; at < len;) {
		const char *line = text + at, *nl = memchr(line, '\n', len - at);
		size_t n = nl != NULL ? (size_t)(nl - line) : len - at;
		if (n <= CLI_LEARN_LINE_MAX) {
			int rc = cli_learn_line(ln, "log", ++number, line, n);
			assert(rc == 0 || rc == -E2BIG);
			text_look(line, n);
		}
		at += n + 1;
	}
	assert(ln->decisions + ln->skipped + ln->foreign <= number);
}

static void drafts_look(const struct cli_learned *ln)
{
	for (uint32_t i = 0; i < pol_learn_count(ln->l); i++)
		for (int observed_too = 0; observed_too < 2; observed_too++) {
			struct pol_learn_ask ask = {.observed_too = observed_too};
			struct pol_err err = {.line = 0};
			struct pol_yaml y;
			char *text = NULL, *again = NULL;
			size_t len = 0, again_len = 0;
			assert(pol_learn_draft(ln->l, i, &ask, &text, &len, &err) == 0);
			assert(pol_yaml_parse(&y, "draft", text, len, &err) == 0);
			pol_yaml_free(&y);
			assert(pol_fmt(&again, &again_len, "draft", text, len, &pol_language_policy, &err) == 0);
			assert(again_len == len && memcmp(again, text, len) == 0);
			free(text);
			free(again);
		}
}

static char dir[64];

static void dir_remove(void)
{
	rmdir(dir);
}

static void decision_find(const uint8_t *log, size_t len, uint64_t id)
{
	static char path[96];
	struct cli_found found;
	char err[512];
	if (dir[0] == '\0') {
		strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/weft-fuzz-XXXXXX" : "/tmp/weft-fuzz-XXXXXX");
		assert(mkdtemp(dir) != NULL && atexit(dir_remove) == 0);
		snprintf(path, sizeof path, "%s/decisions.jsonl", dir);
	}
	struct fab_config c = {.run_dir = dir};
	FILE *f = fopen(path, "w");
	assert(f != NULL && fwrite(log, 1, len, f) == len && fclose(f) == 0);
	assert(cli_decision_find(&c, id, "", &found, err, sizeof err) == 0);
	assert(found.n_boots <= CLI_BOOTS_MAX);
	assert(found.decision == NULL || (uint64_t)json_integer_value(json_object_get(found.decision, "id")) == id);
	json_decref(found.decision);
	unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cli_learned ln = {.lines = 0};
	if (len < 1)
		return 0;
	if (pol_learn_make(&ln.l) != 0)
		return 0;
	lines_learn(&ln, (const char *)data + 1, len - 1);
	drafts_look(&ln);
	pol_learn_free(ln.l);
	decision_find(data + 1, len - 1, data[0]);
	return 0;
}
