/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers, which are JSON: asked of a weftd that runs, read, and printed. What a command asks and what it makes of the answer is
 * its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fabric/cli/cli.h"
#include "fabric/client.h"
#include "fabric/proc.h"

json_t *cli_ask(const char *command, const struct fab_config *c, json_t *request, uint64_t timeout_ns)
{
	char err[512];
	int why = 0;
	char *line = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	if (!line) {
		cli_fail(command, "a name or a path that is not UTF-8 cannot be told to weftd");
		return NULL;
	}
	json_t *answer = fab_client_answer(c, line, timeout_ns, &why, err, sizeof err);
	free(line);
	if (!answer && why == -EMSGSIZE)
		cli_fail(command, "the name or the path is too long to be told to weftd");
	else if (!answer)
		cli_fail(command, "%s", err);
	return answer;
}

int cli_answer_status(const json_t *answer)
{
	if (!json_object_get(answer, "error"))
		return CLI_YES;
	return json_is_true(json_object_get(answer, "refused")) ? CLI_NO : CLI_ERROR;
}

json_t *cli_stats_ask(const struct fab_config *c, int *why, char *err, size_t err_cap)
{
	uint64_t deadline = fab_now_ns() + CLI_ASK_NS;
	json_t *stats;
	do {
		stats = fab_client_ask(c, "{\"cmd\":\"stats\"}", CLI_ASK_NS, why, err, err_cap);
		if (stats || (*why != -ECONNRESET && *why != -EPIPE))
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	} while (fab_now_ns() < deadline);
	return stats;
}

const json_t *cli_port(const json_t *stats, const char *name)
{
	const json_t *ports = json_object_get(stats, "ports");
	for (size_t i = 0; i < json_array_size(ports); i++) {
		const json_t *p = json_array_get(ports, i);
		const char *n = json_string_value(json_object_get(p, "name"));
		if (n && !strcmp(n, name))
			return p;
	}
	return NULL;
}

json_int_t cli_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

const char *cli_plural(json_int_t n)
{
	return n == 1 ? "" : "s";
}

const char *cli_string(const json_t *o, const char *key, const char *absent)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : absent;
}

json_t *cli_json_text(const char *text)
{
	json_t *j = json_string(text);

	if (j)
		return j;
	char *copy = strdup(text);

	for (char *p = copy; p && *p; p++)
		if (*p & ~0x7f)
			*p = '?';
	j = copy ? json_string(copy) : NULL;
	free(copy);
	return j;
}

int cli_flush(const char *command)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail(command, "cannot write the answer: %s", strerror(errno));
	return 0;
}

int cli_json_print(const char *command, json_t *o)
{
	int rc = json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);

	json_decref(o);
	if (rc != 0 || putchar('\n') == EOF || ferror(stdout))
		return cli_fail(command, "cannot write the answer: %s", strerror(errno));
	return 0;
}
