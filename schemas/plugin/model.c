/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes the model of a request: looks up types, works out names, refuses what could not be C or could not be sent. The
 * request is not trusted: each text that will stand in C is checked here. */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "schemas/bytes.h"
#include "schemas/oneway.h"

#define INCLUDE_DEFAULT "weft/method.h"
#define PB_C_FILE 1019u   /* protobuf-c's extension of FileOptions; c_package is its field 6 */
#define C_PACKAGE_TAG 50u /* field 6, length-delimited */

typedef Google__Protobuf__DescriptorProto message_t;

struct type {
	const char *full;     /* demo.ActRequest */
	const char *c_dotted; /* the same with the file's c_package in place of its package */
	const message_t *proto;
};

struct make {
	struct gen_model *g;
	const gen_request_t *request;
	struct type *type; /* sorted by full */
	size_t n_types;
	const gen_file_proto_t **file; /* those of the request, sorted by name */
	int has_one_way;
};

static int fail(struct make *m, const gen_file_proto_t *f, uint32_t line, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

static int fail(struct make *m, const gen_file_proto_t *f, uint32_t line, const char *where, const char *fmt, ...)
{
	char *out = m->g->error;
	size_t cap = sizeof(m->g->error), n = 0;
	va_list ap;

	if (f)
		n = (size_t)snprintf(out, cap, "%.300s:", f->name);
	if (line)
		n += (size_t)snprintf(out + n, cap - n, "%u:", line);
	n += (size_t)snprintf(out + n, cap - n, "%s%.400s%s", n ? " " : "", where ? where : "", where ? ": " : "");
	va_start(ap, fmt);
	vsnprintf(out + n, cap - n, fmt, ap);
	va_end(ap);
	/* What stands in it may come from the request. */
	for (; *out; out++)
		if ((unsigned char)*out < 0x20 || *out == 0x7f)
			*out = '?';
	return -1;
}

static int no_memory(struct make *m)
{
	return fail(m, NULL, 0, NULL, "no memory");
}

/* --- strings ------------------------------------------------------------------------------------------------------ */

static const char *join(struct make *m, const char *a, const char *between, const char *b)
{
	struct gen_text t = {0};

	gen_add(&t, "%s%s%s", a, *a && *b ? between : "", b);
	return gen_pool_keep(&m->g->pool, &t);
}

static const char *made(struct make *m, void (*by)(struct gen_text *t, const char *name), const char *name)
{
	struct gen_text t = {0};

	by(&t, name);
	return gen_pool_keep(&m->g->pool, &t);
}

/* The value of protobuf-c's option c_package, kept in the pool; NULL where the file has none. */
static int c_package_of(struct make *m, const gen_file_proto_t *f, const char **out)
{
	enum sch_reason why;

	*out = NULL;
	for (size_t i = 0; f->options && i < f->options->base.n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *u = &f->options->base.unknown_fields[i];
		const uint8_t *p = u->data, *end = u->data + u->len;
		uint64_t tag, v;

		if (u->tag != PB_C_FILE)
			continue;
		p = sch_varint_lenient(p, end, 5, &v, &why); /* its length */
		while (p && p < end) {
			struct gen_text t = {0};

			p = sch_varint_lenient(p, end, 5, &tag, &why);
			p = p ? sch_varint_lenient(p, end, SCH_VARINT_MAX, &v, &why) : NULL;
			if (!p || (tag & 7) > 2 || (tag & 7) == 1 || ((tag & 7) == 2 && v > (size_t)(end - p)))
				return fail(m, f, 0, NULL, "its option pb_c_file cannot be read");
			if (tag == C_PACKAGE_TAG) {
				gen_add_bytes(&t, (const char *)p, v);
				*out = gen_pool_keep(&m->g->pool, &t);
				if (!*out)
					return no_memory(m);
				if (!**out || !gen_dotted_ok(*out))
					return fail(m, f, 0, NULL, "c_package is no package name");
			}
			if ((tag & 7) == 2)
				p += v;
		}
		if (!p)
			return fail(m, f, 0, NULL, "its option pb_c_file cannot be read");
	}
	return 0;
}

/* --- types -------------------------------------------------------------------------------------------------------- */

static int type_order(const void *a, const void *b)
{
	return strcmp(((const struct type *)a)->full, ((const struct type *)b)->full);
}

static int types_add(struct make *m, size_t *cap, const gen_file_proto_t *f, const struct type *parent,
		     const message_t *proto)
{
	struct type *t;

	if (!gen_name_ok(proto->name))
		return fail(m, f, 0, parent->full, "a message has no proper name");
	if (m->n_types == *cap) {
		size_t more = *cap ? *cap * 2 : 64;

		t = reallocarray(m->type, more, sizeof(*t));
		if (!t)
			return no_memory(m);
		m->type = t;
		*cap = more;
	}
	t = &m->type[m->n_types++];
	t->proto = proto;
	t->full = join(m, parent->full, ".", proto->name);
	t->c_dotted = join(m, parent->c_dotted, ".", proto->name);
	if (!t->full || !t->c_dotted)
		return no_memory(m);
	return strlen(t->full) <= GEN_NAME_MAX ? 0 : fail(m, f, 0, NULL, "full names may have %u bytes", GEN_NAME_MAX);
}

static int file_order(const void *a, const void *b)
{
	return strcmp((*(const gen_file_proto_t *const *)a)->name, (*(const gen_file_proto_t *const *)b)->name);
}

static int types_gather(struct make *m)
{
	size_t cap = 0;

	m->file = gen_pool_take(&m->g->pool, m->request->n_proto_file * sizeof(gen_file_proto_t *));
	if (!m->file)
		return no_memory(m);

	for (size_t i = 0; i < m->request->n_proto_file; i++) {
		const gen_file_proto_t *f = m->request->proto_file[i];
		struct type top = {.full = f->package ? f->package : ""};
		size_t at = m->n_types;

		if (!gen_path_ok(f->name))
			return fail(m, NULL, 0, NULL, "a file of the request has no proper name");
		m->file[i] = f;
		if (!gen_dotted_ok(top.full))
			return fail(m, f, 0, NULL, "its package is no name");
		if (c_package_of(m, f, &top.c_dotted))
			return -1;
		if (!top.c_dotted)
			top.c_dotted = top.full;
		for (size_t k = 0; k < f->n_message_type; k++)
			if (types_add(m, &cap, f, &top, f->message_type[k]))
				return -1;
		/* The list is its own queue: each type brings those that are nested in it. */
		for (; at < m->n_types; at++) {
			const struct type parent = m->type[at];

			for (size_t k = 0; k < parent.proto->n_nested_type; k++)
				if (types_add(m, &cap, f, &parent, parent.proto->nested_type[k]))
					return -1;
		}
	}
	if (m->request->n_proto_file)
		qsort(m->file, m->request->n_proto_file, sizeof(gen_file_proto_t *), file_order);
	if (m->n_types)
		qsort(m->type, m->n_types, sizeof(*m->type), type_order);
	m->has_one_way = sch_one_way_defined(m->request->proto_file, m->request->n_proto_file);
	return 0;
}

static const struct type *type_find(const struct make *m, const char *dotted)
{
	struct type key;

	if (!dotted || dotted[0] != '.' || !m->n_types)
		return NULL;
	key.full = dotted + 1;
	return bsearch(&key, m->type, m->n_types, sizeof(*m->type), type_order);
}

/* --- services ----------------------------------------------------------------------------------------------------- */

static int method_make(struct make *m, const struct gen_file *f, const struct gen_service *s, struct gen_method *out,
		       const gen_method_proto_t *p)
{
	const struct type *in = type_find(m, p->input_type), *ret = type_find(m, p->output_type);
	const char *snake, *where;

	if (!gen_name_ok(p->name) || strlen(s->full) + strlen(p->name) >= GEN_NAME_MAX)
		return fail(m, f->proto, out->line, s->full, "a method has no proper name");
	out->proto = p;
	where = out->subject = join(m, s->full, "/", p->name);
	snake = made(m, gen_snake, p->name);
	if (!where || !snake)
		return no_memory(m);
	if (!gen_name_plain(p->name))
		return fail(m, f->proto, out->line, where,
			    "in C its name would be mistaken for one of protobuf-c's; use no '_' at its ends and no \"__\"");
	if (gen_name_c_keyword(snake))
		return fail(m, f->proto, out->line, where,
			    "%s is a keyword of C, with which protobuf-c's code for it does not compile", snake);
	if ((p->has_client_streaming && p->client_streaming) || (p->has_server_streaming && p->server_streaming))
		return fail(m, f->proto, out->line, where,
			    "it streams, which Weft has not: a method takes one message and returns one; send several");
	if (!in || !ret)
		return fail(m, f->proto, out->line, where, "its %s is no message that the request knows",
			    in ? "output" : "input");
	out->one_way = m->has_one_way && sch_one_way(p);
	if (out->one_way && strcmp(ret->full, "google.protobuf.Empty") != 0)
		return fail(m, f->proto, out->line, where,
			    "a method with weft.one_way has no reply and returns google.protobuf.Empty, not %.200s", ret->full);
	out->call = join(m, s->prefix, "_", snake);
	out->member = join(m, snake, "", gen_name_keyword(snake) ? "_" : "");
	if (!out->call || !out->member)
		return no_memory(m);
	if (gen_name_keyword(out->call))
		return fail(m, f->proto, out->line, where, "in C it would be called %s, which is a keyword", out->call);
	out->upper = made(m, gen_upper, out->call);
	out->in_type = made(m, gen_pb_type, in->c_dotted);
	out->in_lower = made(m, gen_pb_lower, in->c_dotted);
	if (!out->one_way) {
		out->out_type = made(m, gen_pb_type, ret->c_dotted);
		out->out_lower = made(m, gen_pb_lower, ret->c_dotted);
	} else {
		out->subject = in->full;
	}
	if (!out->upper || !out->in_type || !out->in_lower || (!out->one_way && (!out->out_type || !out->out_lower)))
		return no_memory(m);
	return 0;
}

static int service_make(struct make *m, const struct gen_file *f, struct gen_service *s,
			const Google__Protobuf__ServiceDescriptorProto *p, const char *package, const char *c_package)
{
	struct gen_text t = {0};

	if (!gen_name_ok(p->name) || strlen(package) + strlen(p->name) >= GEN_NAME_MAX)
		return fail(m, f->proto, s->line, package, "a service has no proper name");
	s->full = join(m, package, ".", p->name);
	if (!s->full)
		return no_memory(m);
	if (!gen_name_plain(p->name))
		return fail(m, f->proto, s->line, s->full,
			    "in C its name would be mistaken for one of protobuf-c's; use no '_' at its ends and no \"__\"");
	gen_snake(&t, c_package);
	if (*c_package)
		gen_add(&t, "_");
	gen_snake(&t, p->name);
	s->prefix = gen_pool_keep(&m->g->pool, &t);
	if (!s->prefix)
		return no_memory(m);
	if (strcmp(package, "weft") == 0 || (!*package && strncmp(s->prefix, "weft", 4) == 0))
		return fail(m, f->proto, s->line, s->full,
			    "in C its names would begin with weft_, which is guest-lib's; use another package");
	for (uint32_t i = 0; i < s->n; i++)
		if (method_make(m, f, s, &s->method[i], p->method[i]))
			return -1;
	return 0;
}

/* Lines and comments, in one pass over what protoc tells of places in the source: path 6, service, 2, method. */
static void places_take(struct gen_file *f)
{
	const Google__Protobuf__SourceCodeInfo *info = f->proto->source_code_info;

	for (size_t i = 0; info && i < info->n_location; i++) {
		const Google__Protobuf__SourceCodeInfo__Location *l = info->location[i];
		uint32_t line = l->n_span && l->span[0] >= 0 ? (uint32_t)l->span[0] + 1 : 0;
		struct gen_service *s;

		if ((l->n_path != 2 && l->n_path != 4) || l->path[0] != 6 || l->path[1] < 0 ||
		    (uint32_t)l->path[1] >= f->n)
			continue;
		s = &f->service[l->path[1]];
		if (l->n_path == 4 && (l->path[2] != 2 || l->path[3] < 0 || (uint32_t)l->path[3] >= s->n))
			continue;
		if (l->n_path == 2) {
			s->line = line;
			s->comment = l->leading_comments;
		} else {
			s->method[l->path[3]].line = line;
			s->method[l->path[3]].comment = l->leading_comments;
		}
	}
}

static int file_make(struct make *m, struct gen_file *f, const char *name)
{
	gen_file_proto_t key = {.name = (char *)(uintptr_t)name};
	const gen_file_proto_t *const key_at = &key, *p, *const *found = NULL;
	const char *package, *c_package, *dot;
	struct gen_text base = {0};

	if (m->request->n_proto_file)
		found = bsearch(&key_at, m->file, m->request->n_proto_file, sizeof(*found), file_order);
	if (!found)
		return fail(m, NULL, 0, NULL, "the request does not hold %.300s, for which it asks", name);
	f->proto = p = *found;
	dot = strrchr(name, '.');
	if (!dot || (strcmp(dot, ".proto") != 0 && strcmp(dot, ".protodevel") != 0))
		dot = name + strlen(name);
	gen_add_bytes(&base, name, (size_t)(dot - name));
	f->base = gen_pool_keep(&m->g->pool, &base);
	f->n = (uint32_t)p->n_service;
	f->service = gen_pool_take(&m->g->pool, p->n_service * sizeof(*f->service));
	if (!f->base || !f->service)
		return no_memory(m);
	for (uint32_t i = 0; i < f->n; i++) {
		struct gen_service *s = &f->service[i];

		s->n = (uint32_t)p->service[i]->n_method;
		s->method = gen_pool_take(&m->g->pool, s->n * sizeof(*s->method));
		if (!s->method)
			return no_memory(m);
	}
	places_take(f);
	if (c_package_of(m, p, &c_package))
		return -1;
	package = p->package ? p->package : "";
	for (uint32_t i = 0; i < f->n; i++)
		if (service_make(m, f, &f->service[i], p->service[i], package, c_package ? c_package : package))
			return -1;
	return 0;
}

/* --- collisions --------------------------------------------------------------------------------------------------- */

struct claim {
	const char *name; /* in C; or, for one-way methods, a message in a service's name space */
	const struct gen_file *file;
	const struct gen_service *service;
	const struct gen_method *method; /* NULL: the service's own */
	size_t at;                       /* order of the request */
};

static int claim_order(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int by_name = strcmp(x->name, y->name);

	return by_name ? by_name : (x->at > y->at) - (x->at < y->at);
}

struct claims {
	struct claim *at;
	size_t n, cap;
};

static int claim(struct make *m, struct claims *c, const char *prefix, const char *suffix, struct claim one)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct claim *at = reallocarray(c->at, cap, sizeof(*at));

		if (!at)
			return no_memory(m);
		c->at = at;
		c->cap = cap;
	}
	one.name = join(m, prefix, "", suffix);
	one.at = c->n;
	c->at[c->n++] = one;
	return one.name ? 0 : no_memory(m);
}

static int claims_take(struct make *m, struct claims *c)
{
	static const char *const of_service[] = {"_handlers", "_serve"};
	static const char *const of_request[] = {"", "_fn", "_wait", "_reply", "_subject"};
	static const char *const of_one_way[] = {"", "_subject"};

	for (uint32_t i = 0; i < m->g->n; i++) {
		const struct gen_file *f = &m->g->file[i];

		for (uint32_t k = 0; k < f->n; k++) {
			const struct gen_service *s = &f->service[k];

			for (size_t x = 0; x < 2; x++)
				if (claim(m, c, s->prefix, of_service[x], (struct claim){.file = f, .service = s}))
					return -1;
			for (uint32_t j = 0; j < s->n; j++) {
				const struct gen_method *d = &s->method[j];
				const char *const *of = d->one_way ? of_one_way : of_request;

				for (size_t x = 0; x < (d->one_way ? 2u : 5u); x++)
					if (claim(m, c, d->call, of[x],
						  (struct claim){.file = f, .service = s, .method = d}))
						return -1;
				/* '/' occurs in no C name: its own name space. */
				const char *space = d->one_way ? join(m, s->full, "/", d->subject) : NULL;

				if (d->one_way && !space)
					return no_memory(m);
				if (space && claim(m, c, space, "", (struct claim){.file = f, .service = s, .method = d}))
					return -1;
			}
		}
	}
	return 0;
}

static int claims_judge(struct make *m, struct claims *c)
{
	if (c->n)
		qsort(c->at, c->n, sizeof(*c->at), claim_order);
	for (size_t i = 1; i < c->n; i++) {
		const struct claim *a = &c->at[i - 1], *b = &c->at[i];
		const char *other;

		if (strcmp(a->name, b->name) != 0)
			continue;
		other = a->method ? a->method->proto->name : "the service itself";
		if (strchr(b->name, '/'))
			return fail(m, b->file->proto, b->method->line, b->service->full,
				    "%.100s and %.100s both take %.200s one way; on the wire they could not be told apart", other,
				    b->method->proto->name, b->method->subject);
		return fail(m, b->file->proto, b->method ? b->method->line : b->service->line, b->service->full,
			    "%.100s would be called %.200s in C, as would something of %.200s (%.100s); rename one",
			    b->method ? b->method->proto->name : "it", b->name, a->service->full, other);
	}
	return 0;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static int parameter_take(struct make *m, const char *p)
{
	m->g->include = INCLUDE_DEFAULT;
	/* What --weft_out and --weft_opt say, joined with commas. */
	while (p && *p) {
		size_t n = strcspn(p, ",");
		struct gen_text t = {0};
		const char *one;

		gen_add_bytes(&t, p, n);
		one = gen_pool_keep(&m->g->pool, &t);
		if (!one)
			return no_memory(m);
		if (strncmp(one, "include=", 8) == 0 && gen_path_ok(one + 8))
			m->g->include = one + 8;
		else if (n)
			return fail(m, NULL, 0, NULL,
				    "unknown option \"%.200s\"; there is include=PATH, where guest-lib's method.h is found", one);
		p += n + (p[n] != 0);
	}
	return 0;
}

int gen_model_make(struct gen_model *g, const gen_request_t *request)
{
	struct make m = {.g = g, .request = request};
	struct claims c = {0};
	int rc;

	memset(g, 0, sizeof(*g));
	rc = parameter_take(&m, request->parameter);
	if (!rc)
		rc = types_gather(&m);
	if (!rc) {
		g->file = gen_pool_take(&g->pool, request->n_file_to_generate * sizeof(*g->file));
		rc = g->file ? 0 : no_memory(&m);
	}
	for (size_t i = 0; i < request->n_file_to_generate && !rc; i++) {
		rc = file_make(&m, &g->file[i], request->file_to_generate[i]);
		g->n++;
	}
	if (!rc)
		rc = claims_take(&m, &c);
	if (!rc)
		rc = claims_judge(&m, &c);
	free(c.at);
	free(m.type);
	return rc;
}

void gen_model_free(struct gen_model *g)
{
	gen_pool_free(&g->pool);
}
