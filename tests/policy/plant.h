/* SPDX-License-Identifier: BSD-2-Clause */
/* What the policy tests and fuzzers share: a small schema set, made without protoc, and lines of YAML. Static
 * functions: each program has its own. */
#ifndef TESTS_POLICY_PLANT_H
#define TESTS_POLICY_PLANT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/descriptor.pb-c.h"

#include "policy/policy.h"
#include "schemas/schema.h"

#define PLANT_EXTRA_MAX 256u

/* Package plant: messages Reading, Alarm, Order, Receipt; service Valve with Act(Order) returns Receipt and
 * Ask(Order) returns Reading; and n_extra message types T0, T1 ... NULL: it could not be made. */
static struct sch_set *plant_schemas(uint32_t n_extra)
{
	static char name[PLANT_EXTRA_MAX + 4][16];
	static Google__Protobuf__FieldDescriptorProto seq = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__INIT;
	static Google__Protobuf__FieldDescriptorProto data = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__INIT;
	static Google__Protobuf__FieldDescriptorProto *fields[] = {&seq, &data};
	static Google__Protobuf__DescriptorProto message[PLANT_EXTRA_MAX + 4], *messages[PLANT_EXTRA_MAX + 4];
	if (n_extra > PLANT_EXTRA_MAX)
		return NULL;
	seq.name = (char *)"seq";
	seq.has_number = seq.has_label = seq.has_type = 1;
	seq.number = 1;
	seq.label = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_OPTIONAL;
	seq.type = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT32;
	data = seq;
	data.name = (char *)"data";
	data.number = 2;
	data.type = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES;
	static const char *const fixed[4] = {"Reading", "Alarm", "Order", "Receipt"};
	for (uint32_t i = 0; i < n_extra + 4; i++) {
		if (i < 4)
			snprintf(name[i], sizeof name[i], "%s", fixed[i]);
		else
			snprintf(name[i], sizeof name[i], "T%u", i - 4);
		google__protobuf__descriptor_proto__init(&message[i]);
		message[i].name = name[i];
		message[i].n_field = 2;
		message[i].field = fields;
		messages[i] = &message[i];
	}
	Google__Protobuf__MethodDescriptorProto act = GOOGLE__PROTOBUF__METHOD_DESCRIPTOR_PROTO__INIT;
	act.name = (char *)"Act";
	act.input_type = (char *)".plant.Order";
	act.output_type = (char *)".plant.Receipt";
	Google__Protobuf__MethodDescriptorProto ask = act;
	ask.name = (char *)"Ask";
	ask.output_type = (char *)".plant.Reading";
	Google__Protobuf__MethodDescriptorProto *methods[] = {&act, &ask};
	Google__Protobuf__ServiceDescriptorProto valve = GOOGLE__PROTOBUF__SERVICE_DESCRIPTOR_PROTO__INIT;
	valve.name = (char *)"Valve";
	valve.n_method = 2;
	valve.method = methods;
	Google__Protobuf__ServiceDescriptorProto *services[] = {&valve};
	Google__Protobuf__FileDescriptorProto file = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_PROTO__INIT;
	file.name = (char *)"plant.proto";
	file.package = (char *)"plant";
	file.syntax = (char *)"proto3";
	file.n_message_type = n_extra + 4;
	file.message_type = messages;
	file.n_service = 1;
	file.service = services;
	Google__Protobuf__FileDescriptorProto *files[] = {&file};
	Google__Protobuf__FileDescriptorSet fds = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_SET__INIT;
	fds.n_file = 1;
	fds.file = files;

	size_t len = google__protobuf__file_descriptor_set__get_packed_size(&fds);
	uint8_t *bytes = malloc(len);
	struct sch_set *set = NULL;
	struct sch_err err;
	if (bytes == NULL)
		return NULL;
	google__protobuf__file_descriptor_set__pack(&fds, bytes);
	if (sch_set_compile(&set, bytes, len, &err) < 0) {
		fprintf(stderr, "schemas: %s %s: %s\n", err.file, err.where, err.text);
		set = NULL;
	}
	free(bytes);
	return set;
}

/* Compiles texts without a shared file. */
static inline int plant_compile(struct pol_set **set, const struct pol_unikernel *u, uint32_t n, const struct pol_text *texts,
				const struct sch_set *schemas, uint64_t epoch, struct pol_err *err)
{
	const struct pol_source source = {.u = u, .n = n, .texts = texts};
	return pol_compile(set, &source, schemas, epoch, NULL, err);
}

/* Decides at a time of the monotonic clock, on the first of January 1970. */
static inline struct pol_decision plant_decide(const struct pol_set *set, struct pol_book *books, uint16_t src, uint16_t dst,
					       uint64_t subject, uint32_t bytes, uint64_t now_ns)
{
	const struct pol_when when = {.mono_ns = now_ns};
	return pol_decide(set, books, src, dst, subject, bytes, &when);
}

/* The plant's three unikernels; the meter's policy is what a test varies. */
static const struct pol_unikernel plant_unikernel[3] = {
    {"meter", "meter.yaml"}, {"hub", "hub.yaml"}, {"valve", "valve.yaml"}};

static const char plant_hub[] = "unikernel: hub\n"
				"send:\n"
				"  - to: valve\n"
				"    method: [plant.Valve/Act, plant.Valve/Ask]\n"
				"receive:\n"
				"  - from: [meter, valve]\n"
				"    message: [plant.Reading, plant.Alarm]\n"
				"    carries: [HTTP, TLS]\n";
static const char plant_valve[] = "unikernel: valve\n"
				  "send: []\n"
				  "receive:\n"
				  "  - from: hub\n"
				  "    method: plant.Valve/Act\n"
				  "    rate: 5/s\n";

#endif
