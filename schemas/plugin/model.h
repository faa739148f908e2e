/* SPDX-License-Identifier: BSD-2-Clause */
/* What is generated from: the services of the files that protoc asks for, with all names worked out and everything checked.
 * model.c makes it of a request, emit.c writes it as C. */
#ifndef GEN_MODEL_H
#define GEN_MODEL_H

#include <google/protobuf/compiler/plugin.pb-c.h>

#include "text.h"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest gen_request_t;
typedef Google__Protobuf__FileDescriptorProto gen_file_proto_t;
typedef Google__Protobuf__MethodDescriptorProto gen_method_proto_t;

struct gen_method {
	const gen_method_proto_t *proto;
	const char *call;     /* demo_valve_act: the client's call, and what the method's other names begin with */
	const char *upper;    /* DEMO_VALVE_ACT */
	const char *member;   /* act: in the struct of handlers; "new_" where it would be a keyword */
	const char *subject;  /* demo.Valve/Act; of a one-way method its message, demo.Reading */
	const char *in_type;  /* Demo__ActRequest */
	const char *in_lower; /* demo__act_request */
	const char *out_type, *out_lower; /* NULL where it is one-way */
	const char *comment;  /* from the .proto, or NULL */
	uint32_t line;        /* in the .proto, 0: not known */
	int one_way;
};

struct gen_service {
	const char *full;    /* demo.Valve */
	const char *prefix;  /* demo_valve */
	const char *comment; /* from the .proto, or NULL */
	struct gen_method *method;
	uint32_t n, line;
};

struct gen_file {
	const gen_file_proto_t *proto;
	const char *base; /* the name without .proto */
	struct gen_service *service;
	uint32_t n;
};

struct gen_model {
	struct gen_pool pool;  /* all strings and arrays */
	const char *include;   /* guest-lib's header, as #include has it */
	struct gen_file *file; /* in the order of the request */
	uint32_t n;
	char error[1024];      /* what is wrong with the request, "home.proto:12: demo.Valve/Act: ..." */
};

/* Returns 0, or -1 with error set. The request must live as long as the model. gen_model_free() in both cases. */
int gen_model_make(struct gen_model *g, const gen_request_t *request);
void gen_model_free(struct gen_model *g);

/* The two files of f as C text. */
void gen_header(struct gen_text *t, const struct gen_model *g, const struct gen_file *f);
void gen_source(struct gen_text *t, const struct gen_file *f);

#endif
