/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the reader of fabric.yaml: what it accepts must keep every limit that config.h states. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/config.h"
#include "guest-lib/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                \
	do {                                                                    \
		if (!(x)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort();                                                \
		}                                                               \
	} while (0)

static void check_unikernel(const struct fab_config *c, uint32_t i)
{
	const struct fab_unikernel_config *u = &c->u[i];
	char path[108];
	CHECK(weft_name_ok(u->name) && strcmp(u->name, "fabric") != 0 && strcmp(u->name, "weftd") != 0 &&
	      strcmp(u->name, "control") != 0);
	CHECK(u->policy != NULL && u->policy[0] != '\0' && (u->image == NULL || u->image[0] != '\0'));
	CHECK(u->memory_bytes >= FAB_MEMORY_MIN && u->memory_bytes <= FAB_MEMORY_MAX &&
	      u->memory_bytes % (1 << 20) == 0);
	CHECK(u->cpu[0] != '\0' && u->cpu[0] != '-' && strchr(u->cpu, ' ') == NULL);
	CHECK(u->line >= 1 && (i == 0 || u->line >= c->u[i - 1].line));
	CHECK(u->n_sets <= WEFT_LAUNCH_SETS_MAX);
	for (uint32_t k = 0; k < u->n_sets; k++) {
		CHECK(strlen(u->set[k].key) >= 1 && strlen(u->set[k].key) <= WEFT_LAUNCH_KEY_MAX);
		CHECK(strlen(u->set[k].value) >= 1 && strlen(u->set[k].value) <= WEFT_LAUNCH_VALUE_MAX);
		CHECK(strpbrk(u->set[k].key, " \n") == NULL && strchr(u->set[k].value, '\n') == NULL);
	}
	CHECK(fab_path_socket(c, u->name, path, sizeof path) == 0);
	for (uint32_t k = 0; k < i && i < 64; k++)
		CHECK(strcmp(c->u[k].name, u->name) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pol_err err = {0};
	struct fab_config *c = NULL;
	int rc = fab_config_parse(&c, "site/fabric.yaml", (const char *)data, size, &err);
	if (rc < 0) {
		uint32_t lines = 2;
		for (size_t i = 0; i < size; i++)
			lines += data[i] == '\n';
		CHECK(c == NULL && rc != -12 && err.text[0] != '\0' && err.line <= lines);
		CHECK(memchr(err.text, '\0', sizeof err.text) != NULL);
		CHECK(strcmp(err.file, "site/fabric.yaml") == 0);
		return 0;
	}
	char path[108];
	CHECK(weft_name_ok(c->name) && c->schemas[0] != '\0');
	CHECK(c->message_max >= 1 && c->message_max <= WEFT_PAYLOAD_MAX);
	CHECK(c->window >= FAB_WINDOW_MIN && c->window <= FAB_WINDOW_MAX && c->window >= weft_cost(c->message_max));
	CHECK(c->decisions_per_s >= 1 && c->decisions_per_s <= FAB_DECISIONS_MAX);
	CHECK(c->log_file_bytes >= FAB_LOG_FILE_MIN && c->log_file_bytes <= FAB_LOG_FILE_MAX);
	CHECK(c->log_files >= 1 && c->log_files <= FAB_LOG_FILES_MAX);
	CHECK(c->n >= 1 && c->n <= FAB_UNIKERNELS_MAX);
	CHECK(fab_path_control(c, path, sizeof path) == 0);
	for (uint32_t i = 0; i < c->n; i++)
		check_unikernel(c, i);
	fab_config_free(c);
	return 0;
}
