/* SPDX-License-Identifier: BSD-2-Clause */
/* The schema compiler: a FileDescriptorSet in, an immutable table set out. Runs the passes and holds the small ones:
 * enums, services, subject hashes. Constraints and policies are left to others. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build.h"
#include "oneway.h"
#include "pattern.h"

static int string_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int number_order(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/* Gives the enum its numbers, which are sorted. */
static void enum_table(struct b_enum *e, int32_t *numbers_take, size_t n_all)
{
	int32_t *v = numbers_take;
	uint32_t n = 1, run = 1;

	for (size_t i = 1; i < n_all; i++)
		if (v[n - 1] != v[i])
			v[n++] = v[i];
	while (run < n && v[run] - 1 == v[run - 1]) /* v[run] is above v[run - 1], so this is no overflow */
		run++;
	e->numbers = v;
	e->table = (struct sch_enum){ .n = n, .low = v[0], .run = run };
}

static int enum_check(struct build *b, struct b_enum *e)
{
	const fd_enum_t *d = e->d;
	const char *file = b_file_name(b, e->file);
	int alias = d->options && d->options->has_allow_alias && d->options->allow_alias;
	int rc = 0;

	for (size_t i = 0; i < d->n_value && !rc; i++)
		rc = b_features_check(b, e->file, e->name, d->value[i]->options ? &d->value[i]->options->base : NULL,
				      B_OF_VALUE);
	if (rc)
		return rc;
	if (d->n_value == 0)
		return b_fail(b, -EINVAL, file, e->name, "an enum needs a value");
	if (!e->closed && d->value[0]->number != 0)
		return b_fail(b, -EINVAL, file, e->name, "the first value of an open enum must be 0");
	char **names = calloc(d->n_value, sizeof *names);
	int32_t *numbers = calloc(d->n_value, sizeof *numbers);

	if (!names || !numbers) {
		rc = b_nomem(b);
		goto out;
	}
	for (size_t i = 0; i < d->n_value; i++) {
		names[i] = d->value[i]->name;
		numbers[i] = d->value[i]->number;
		if (!b_name_ok(names[i]) || !d->value[i]->has_number) {
			rc = b_fail(b, -EINVAL, file, e->name, "an enum value needs a name and a number");
			goto out;
		}
	}
	qsort(names, d->n_value, sizeof *names, string_order);
	qsort(numbers, d->n_value, sizeof *numbers, number_order);
	for (size_t i = 1; i < d->n_value && !rc; i++) {
		if (strcmp(names[i - 1], names[i]) == 0)
			rc = b_fail(b, -EEXIST, file, e->name, "has two values named %.100s", names[i]);
		else if (numbers[i - 1] == numbers[i] && !alias)
			rc = b_fail(b, -EEXIST, file, e->name, "has number %d twice without allow_alias", numbers[i]);
	}
	if (rc)
		goto out;
	enum_table(e, numbers, d->n_value);
	numbers = NULL;
out:
	free(names);
	free(numbers);
	return rc;
}

int b_enums(struct build *b)
{
	int rc = 0;

	for (uint32_t i = 0; i < b->enums.n && !rc; i++)
		rc = enum_check(b, B_ENUM_AT(b, i));
	return rc;
}

static int method_type(struct build *b, const char *file, const char *where, const char *type, uint32_t *out)
{
	const struct b_symbol *s = b_symbol_find(b, type, B_MESSAGE);

	if (!s || B_MSG(b, s->index)->flags & SCH_M_MAP_ENTRY)
		return b_fail(b, -ENOENT, file, where, "its input or output '%.120s' is no message of the set",
			      type ? type : "");
	*out = s->index;
	return 0;
}

static int service_check(struct build *b, uint32_t file, const char *service,
			 const Google__Protobuf__ServiceDescriptorProto *d, int has_one_way)
{
	const char *where = b_file_name(b, file);
	int rc = b_features_check(b, file, service, d->options ? &d->options->base : NULL, B_OF_SERVICE);

	for (size_t i = 0; i < d->n_method && !rc; i++) {
		const Google__Protobuf__MethodDescriptorProto *m = d->method[i];
		struct b_method one = { 0 };

		if (!b_name_ok(m->name))
			return b_fail(b, -EINVAL, where, service, "a method needs a name");
		if (strlen(service) + 1 + strlen(m->name) > SCH_NAME_MAX)
			return b_fail(b, -ENAMETOOLONG, where, service, "full names may have %u bytes at most",
				      SCH_NAME_MAX);
		rc = b_features_check(b, file, service, m->options ? &m->options->base : NULL, B_OF_METHOD);
		if (!rc)
			rc = method_type(b, where, service, m->input_type, &one.input);
		if (!rc)
			rc = method_type(b, where, service, m->output_type, &one.output);
		if (!rc && has_one_way && sch_one_way(m)) {
			if (strcmp(B_MSG(b, one.output)->name, "google.protobuf.Empty") == 0)
				continue; /* its message is what travels, and what policies name */
			return b_fail(b, -EINVAL, where, service,
				      "%.100s has no reply (weft.one_way), so it returns google.protobuf.Empty", m->name);
		}
		/* One request, one reply: a stream is no subject, so that no policy can name it. */
		if (rc || (m->has_client_streaming && m->client_streaming) ||
		    (m->has_server_streaming && m->server_streaming))
			continue;
		struct b_method *slot = b_list_add(&b->methods, sizeof *slot);

		if (!slot || asprintf(&one.name, "%s/%s", service, m->name) < 0)
			return b_nomem(b);
		*slot = one;
	}
	return rc;
}

static int method_order(const void *a, const void *b)
{
	return strcmp(((const struct b_method *)a)->name, ((const struct b_method *)b)->name);
}

int b_methods(struct build *b)
{
	size_t next = 0; /* services stand in the list in the order of files */
	int rc = 0, has_one_way = sch_one_way_defined(b->set->file, b->set->n_file);

	for (uint32_t i = 0; i < b->set->n_file && !rc; i++)
		for (size_t k = 0; k < b->set->file[i]->n_service && !rc; k++)
			rc = service_check(b, i, ((char **)b->services.at)[next++], b->set->file[i]->service[k],
					   has_one_way);
	if (rc)
		return rc;
	if (b->methods.n)
		qsort(b->methods.at, b->methods.n, sizeof(struct b_method), method_order);
	for (uint32_t i = 1; i < b->methods.n; i++)
		if (strcmp(B_METHOD(b, i - 1)->name, B_METHOD(b, i)->name) == 0)
			return b_fail(b, -EEXIST, NULL, B_METHOD(b, i)->name, "is defined twice");
	return 0;
}

struct subject {
	uint64_t hash;
	const char *name;
};

/* FNV-1a, 64 bits: what messages carry instead of the name. */
static uint64_t subject_hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3u;
	return h;
}

static int subject_order(const void *a, const void *b)
{
	const struct subject *x = a, *y = b;

	return (x->hash > y->hash) - (x->hash < y->hash);
}

int b_subjects(struct build *b)
{
	size_t n = b->messages.n + b->methods.n;
	struct subject *s = calloc(n ? n : 1, sizeof *s);
	int rc = 0;

	if (!s)
		return b_nomem(b);
	for (uint32_t i = 0; i < n; i++) {
		s[i].name = i < b->messages.n ? B_MSG(b, i)->name : B_METHOD(b, i - b->messages.n)->name;
		s[i].hash = subject_hash(s[i].name);
	}
	qsort(s, n, sizeof *s, subject_order);
	for (size_t i = 1; i < n && !rc; i++)
		if (s[i - 1].hash == s[i].hash)
			rc = b_fail(b, -EEXIST, NULL, s[i].name, "has the same subject hash as %.120s; rename one",
				    s[i - 1].name);
	free(s);
	return rc;
}

static void build_free(struct build *b)
{
	for (uint32_t i = 0; i < b->messages.n; i++) {
		free(B_MSG(b, i)->name);
		free(B_MSG(b, i)->error);
	}
	for (uint32_t i = 0; i < b->enums.n; i++) {
		free(B_ENUM_AT(b, i)->name);
		free(B_ENUM_AT(b, i)->numbers);
	}
	for (uint32_t i = 0; i < b->methods.n; i++)
		free(B_METHOD(b, i)->name);
	for (uint32_t i = 0; i < b->services.n; i++)
		free(((char **)b->services.at)[i]);
	for (uint32_t i = 0; i < b->patterns.n; i++) /* the set's, once it is emitted */
		sch_pattern_free(((struct sch_pattern **)b->patterns.at)[i]);
	free(b->files.at);
	free(b->messages.at);
	free(b->enums.at);
	free(b->fields.at);
	free(b->methods.at);
	free(b->symbols.at);
	free(b->services.at);
	free(b->rules.at);
	free(b->pool.at);
	free(b->patterns.at);
	free(b->exprs.at);
	if (b->set)
		google__protobuf__file_descriptor_set__free_unpacked(b->set, NULL);
}

/* Expressions are checked against the finished set. Where that spoils messages, which is for lenient sets, it is made again. */
static int set_express(struct build *b, struct sch_set **set)
{
	int rc = b_express(b, *set);

	if (rc > 0) {
		b_take_back(b, *set);
		*set = NULL;
		rc = b_spread(b);
		if (!rc)
			rc = b_emit(b, set);
		if (!rc)
			rc = b_express(b, *set);
		assert(rc <= 0); /* what was wrong is not asked again */
	}
	if (rc) {
		sch_set_free(*set);
		*set = NULL;
	}
	return rc;
}

static int set_compile(struct sch_set **set, const void *fdset, size_t len, int lenient, struct sch_err *err)
{
	static int (*const passes[])(struct build *) = {
		b_gather, b_enums, b_fields, b_rules, b_confine, b_spread, b_methods, b_subjects,
	};
	struct build b = { .err = err, .lenient = lenient };
	const char *why = NULL;
	int rc;

	*set = NULL;
	memset(err, 0, sizeof *err);
	rc = sch_precheck(fdset, len, &why);
	if (rc)
		return b_fail(&b, rc, NULL, NULL, "%s", why);
	b.set = google__protobuf__file_descriptor_set__unpack(NULL, len, fdset);
	if (!b.set)
		rc = b_fail(&b, -EINVAL, NULL, NULL,
			    "not a FileDescriptorSet; make one with weft schema build, or protoc --include_imports");
	for (size_t i = 0; i < sizeof passes / sizeof passes[0] && !rc; i++)
		rc = passes[i](&b);
	if (!rc)
		rc = b_emit(&b, set);
	if (!rc)
		rc = set_express(&b, set);
	build_free(&b);
	return rc;
}

int sch_set_compile(struct sch_set **set, const void *fdset, size_t len, struct sch_err *err)
{
	return set_compile(set, fdset, len, 0, err);
}

int sch_set_compile_lenient(struct sch_set **set, const void *fdset, size_t len, struct sch_err *err)
{
	return set_compile(set, fdset, len, 1, err);
}

static int set_load(struct sch_set **set, const char *path, int lenient, struct sch_err *err)
{
	struct build b = { .err = err };
	uint8_t *data = NULL;
	size_t len = 0, size;
	struct stat st;
	int rc;

	*set = NULL;
	memset(err, 0, sizeof *err);
	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &st) < 0) {
		rc = b_fail(&b, -errno, path, NULL, "cannot read it: %s", strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > SCH_SET_BYTES_MAX) {
		rc = b_fail(&b, -EFBIG, path, NULL, "a descriptor set is a file of at most 64 MiB");
		goto out;
	}
	size = (size_t)st.st_size;
	data = malloc(size ? size : 1);
	if (!data) {
		rc = b_nomem(&b);
		goto out;
	}
	while (len < size) {
		ssize_t n = read(fd, data + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = b_fail(&b, -errno, path, NULL, "cannot read it: %s", strerror(errno));
			goto out;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	rc = set_compile(set, data, len, lenient, err);
	if (rc && !err->file[0])
		snprintf(err->file, sizeof err->file, "%s", path);
out:
	free(data);
	if (fd >= 0)
		close(fd);
	return rc;
}

int sch_set_load(struct sch_set **set, const char *path, struct sch_err *err)
{
	return set_load(set, path, 0, err);
}

int sch_set_load_lenient(struct sch_set **set, const char *path, struct sch_err *err)
{
	return set_load(set, path, 1, err);
}
