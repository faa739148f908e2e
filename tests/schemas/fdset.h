/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptor sets for tests, made by protoc from the .proto files beside this header. Run from the tree's root. */
#ifndef TEST_FDSET_H
#define TEST_FDSET_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/schema.h"

#define FDSET_BYTES_MAX (4u << 20)

/* The descriptor set of the named files ("strict.proto old.proto"; options of protoc may stand before them), to be freed;
 * NULL where protoc fails. */
static inline uint8_t *fdset_make(const char *protos, size_t *len)
{
	char command[1000];
	size_t n;
	uint8_t *data = malloc(FDSET_BYTES_MAX);

	snprintf(command, sizeof command,
		 "protoc --include_imports --descriptor_set_out=/dev/stdout -Itests/schemas -Ischemas %s", protos);
	FILE *f = data ? popen(command, "re") : NULL;

	if (!f) {
		free(data);
		return NULL;
	}
	n = fread(data, 1, FDSET_BYTES_MAX, f);
	if (pclose(f) != 0 || n == 0 || n == FDSET_BYTES_MAX) {
		free(data);
		return NULL;
	}
	*len = n;
	return data;
}

/* The same, compiled. */
static inline struct sch_set *fdset_compiled(const char *protos)
{
	struct sch_set *set = NULL;
	struct sch_err err;
	size_t len;
	uint8_t *data = fdset_make(protos, &len);

	if (data && sch_set_compile(&set, data, len, &err) != 0)
		fprintf(stderr, "%s: %s: %s\n", err.file, err.where, err.text);
	free(data);
	return set;
}

/* The number of a type that must be there: else the program ends. */
static inline uint32_t fdset_type(const struct sch_set *set, const char *name)
{
	int32_t type = sch_type_find(set, name);

	if (type < 0) {
		fprintf(stderr, "there is no type %s\n", name);
		abort();
	}
	return (uint32_t)type;
}

/* A varint. Returns how many bytes, up to ten. */
static inline size_t varint_put(uint8_t *out, uint64_t v)
{
	size_t n = 0;

	for (; v > 0x7f; v >>= 7)
		out[n++] = (uint8_t)(v | 0x80);
	out[n++] = (uint8_t)v;
	return n;
}

/* Bytes from hex; spaces are skipped. Returns how many. */
static inline size_t hex_bytes(const char *hex, uint8_t *out, size_t cap)
{
	size_t n = 0;
	unsigned byte;

	for (; *hex; hex += 2) {
		while (*hex == ' ')
			hex++;
		if (!*hex || n == cap || sscanf(hex, "%2x", &byte) != 1)
			break;
		out[n++] = (uint8_t)byte;
	}
	return n;
}

#endif
