/* SPDX-License-Identifier: BSD-2-Clause */
/* Holds a new schema set against the old one: files, messages, their fields, enums, methods, each with its namesake or its
 * number. Types and defaults are judged in compat_type.c, constraints in compat_rules.c. Rules of the WIRE category:
 * buf.build/docs/breaking/rules. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat_parts.h"

#define WORK_MAX (1ull << 26) /* values tried one by one; some seconds */

/* Field numbers in descriptor.proto, of which paths are made. */
enum { FILE_PACKAGE = 2, MESSAGE_RESERVED_RANGE = 9, MESSAGE_RESERVED_NAME = 10, ENUM_VALUE = 2, ENUM_RESERVED_RANGE = 4,
       ENUM_RESERVED_NAME = 5 };

/* --- reserved numbers and names: the same for messages and enums --------------------------------------------------- */

struct range {
	int64_t first, last;
};

struct reserved {
	struct range *ranges; /* sorted, none touching another */
	size_t n;
	char **names;         /* sorted, borrowed */
	size_t n_names;
};

static int range_order(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int string_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts and joins what touches. */
static size_t ranges_join(struct range *r, size_t n)
{
	size_t k = 0;

	if (n)
		qsort(r, n, sizeof *r, range_order);
	for (size_t i = 0; i < n; i++) {
		if (k > 0 && r[i].first <= r[k - 1].last + 1) {
			if (r[i].last > r[k - 1].last)
				r[k - 1].last = r[i].last;
		} else {
			r[k++] = r[i];
		}
	}
	return k;
}

static int reserved_names(struct reserved *out, char *const *names, size_t n)
{
	out->names = calloc(n + 1, sizeof *out->names);
	if (!out->names || !out->ranges)
		return -ENOMEM;
	out->n_names = n;
	for (size_t i = 0; i < n; i++)
		out->names[i] = names[i];
	qsort(out->names, n, sizeof *out->names, string_order);
	return 0;
}

static struct range message_range(const fd_message_t *d, size_t i)
{
	return (struct range){ d->reserved_range[i]->start, (int64_t)d->reserved_range[i]->end - 1 };
}

static struct range enum_range(const fd_enum_t *d, size_t i)
{
	return (struct range){ d->reserved_range[i]->start, d->reserved_range[i]->end };
}

static int message_reserved(struct reserved *out, const fd_message_t *d)
{
	size_t n = 0;

	out->ranges = calloc(d->n_reserved_range + 1, sizeof *out->ranges);
	for (size_t i = 0; out->ranges && i < d->n_reserved_range; i++)
		if (message_range(d, i).first <= message_range(d, i).last)
			out->ranges[n++] = message_range(d, i);
	out->n = out->ranges ? ranges_join(out->ranges, n) : 0;
	return reserved_names(out, d->reserved_name, d->n_reserved_name);
}

static int enum_reserved(struct reserved *out, const fd_enum_t *d)
{
	size_t n = 0;

	out->ranges = calloc(d->n_reserved_range + 1, sizeof *out->ranges);
	for (size_t i = 0; out->ranges && i < d->n_reserved_range; i++)
		if (enum_range(d, i).first <= enum_range(d, i).last)
			out->ranges[n++] = enum_range(d, i);
	out->n = out->ranges ? ranges_join(out->ranges, n) : 0;
	return reserved_names(out, d->reserved_name, d->n_reserved_name);
}

static void reserved_free(struct reserved *r)
{
	free(r->ranges);
	free(r->names);
}

/* The first number of [first, last] that is not reserved, or INT64_MAX. */
static int64_t unreserved_find(const struct reserved *r, int64_t first, int64_t last)
{
	size_t lo = 0, hi = r->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->ranges[mid].last < first)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == r->n || r->ranges[lo].first > first)
		return first;
	return r->ranges[lo].last >= last ? INT64_MAX : r->ranges[lo].last + 1;
}

static void reserved_range_check(struct cmp_check *c, struct cmp_tell *t, const struct reserved *now, struct range old)
{
	if (old.first > old.last)
		return;
	int64_t missing = unreserved_find(now, old.first, old.last);

	t->keep = "keep the numbers reserved";
	if (missing != INT64_MAX && old.first == old.last)
		cmp_tell(c, t, "the number %lld is no longer reserved", (long long)missing);
	else if (missing != INT64_MAX)
		cmp_tell(c, t, "of the reserved numbers %lld to %lld not all are reserved any more; the first is %lld",
		       (long long)old.first, (long long)old.last, (long long)missing);
}

static void reserved_name_check(struct cmp_check *c, struct cmp_tell *t, const struct reserved *now, char *old)
{
	t->keep = "keep the name reserved";
	if (!bsearch(&old, now->names, now->n_names, sizeof *now->names, string_order))
		cmp_tell(c, t, "the name \"%.200s\" is no longer reserved", old);
}

/* --- fields ------------------------------------------------------------------------------------------------------- */

static void field_name(const struct cmp_side *s, const struct cmp_field *f, char *out, size_t cap)
{
	const char *scope = f->scope != SCH_NONE ? CMP_MSG(s, f->scope)->name :
			    s->fds->file[f->file]->package ? s->fds->file[f->file]->package : "";

	snprintf(out, cap, "%s%s%s", scope, *scope ? "." : "", f->d->name);
}

/* The oneof of the language that the field is in; NULL for none, and for what stands for "optional" in proto3. */
static const char *oneof_name(const struct cmp_side *s, const struct cmp_field *f)
{
	const fd_message_t *m = CMP_MSG(s, f->msg)->d;

	if (f->extension || !f->d->has_oneof_index || (f->d->has_proto3_optional && f->d->proto3_optional))
		return NULL;
	return m->oneof_decl[f->d->oneof_index]->name;
}

static void oneof_check(struct cmp_check *c, const struct cmp_pair *p)
{
	const char *old = oneof_name(&c->old, p->old), *now = oneof_name(&c->now, p->now);
	struct cmp_tell t = { .rule = SCH_C_FIELD_SAME_ONEOF, .name = p->name, .old = cmp_spot_field(&c->old, p->old),
			    .now = cmp_spot_field(&c->now, p->now), .keep = "leave the field where it was" };

	if (old && now && strcmp(old, now) != 0)
		cmp_tell(c, &t, "was in oneof %.150s and is in oneof %.150s", old, now);
	else if (old && !now)
		cmp_tell(c, &t, "was in oneof %.150s and is in none", old);
	else if (!old && now)
		cmp_tell(c, &t, "was in no oneof and is in oneof %.150s: a message with two members of it is refused", now);
}

static const char *cardinality(const struct sch_field *f)
{
	if (f->flags & SCH_F_REPEATED)
		return f->flags & SCH_F_MAP ? "a map" : "repeated";
	return f->flags & SCH_F_REQUIRED ? "required" : "optional";
}

static int cardinality_group(const struct sch_field *f)
{
	return f->flags & SCH_F_REPEATED ? 3 : f->flags & SCH_F_REQUIRED ? 2 : 1;
}

/* Returns whether the rules of both can be compared. */
static int cardinality_check(struct cmp_check *c, const struct cmp_pair *p)
{
	struct cmp_tell t = { .rule = SCH_C_FIELD_WIRE_COMPATIBLE_CARDINALITY, .name = p->name,
			    .old = cmp_spot_field(&c->old, p->old), .now = cmp_spot_field(&c->now, p->now),
			    .keep = "leave it as it was, and add a new field instead" };

	if (cardinality_group(p->f) != cardinality_group(p->g))
		cmp_tell(c, &t, "was %s and is %s", cardinality(p->f), cardinality(p->g));
	return ((p->f->flags ^ p->g->flags) & SCH_F_REPEATED) == 0;
}

/* One of a map's two parts, which messages of their own describe. They are where the map field is, for a person. */
static void map_part_check(struct cmp_check *c, const struct cmp_pair *whole, uint32_t number)
{
	const struct sch_message *m = &c->old.set->messages[whole->f->sub], *w = &c->now.set->messages[whole->g->sub];
	uint32_t i = sch_field_find(c->old.set, m, number), k = sch_field_find(c->now.set, w, number);
	uint32_t om = cmp_message_find(&c->old, sch_type_name(c->old.set, whole->f->sub));
	uint32_t nm = cmp_message_find(&c->now, sch_type_name(c->now.set, whole->g->sub));
	struct cmp_pair p = { .old = whole->old, .now = whole->now, .part = 1 };

	if (i == SCH_NONE || k == SCH_NONE || om == SCH_NONE || nm == SCH_NONE)
		return;
	p.f = &c->old.set->fields[i];
	p.g = &c->now.set->fields[k];
	p.d = CMP_FIELD(&c->old, CMP_MSG(&c->old, om)->first + number - 1)->d; /* an entry has the fields 1 and 2 */
	p.e = CMP_FIELD(&c->now, CMP_MSG(&c->now, nm)->first + number - 1)->d;
	snprintf(p.name, sizeof p.name, "%.1080s (%s)", whole->name, number == 1 ? "key" : "value");
	if (cmp_type_check(c, &p)) {
		cmp_default_check(c, &p);
		cmp_rules_check(c, &p);
	}
}

static void field_pair_check(struct cmp_check *c, const struct cmp_field *old, const struct cmp_field *now)
{
	struct cmp_pair p = { .old = old, .now = now, .f = cmp_field_compiled(&c->old, old),
			    .g = cmp_field_compiled(&c->now, now), .d = old->d, .e = now->d };

	field_name(&c->now, now, p.name, sizeof p.name);
	int comparable = cardinality_check(c, &p);

	comparable &= cmp_type_check(c, &p);
	cmp_default_check(c, &p);
	oneof_check(c, &p);
	if (!comparable || old->extension) /* strict mode refuses extensions, in both sets */
		return;
	cmp_rules_check(c, &p);
	if (p.f->flags & p.g->flags & SCH_F_MAP) {
		map_part_check(c, &p, 1);
		map_part_check(c, &p, 2);
	}
}

static void field_deleted(struct cmp_check *c, const struct cmp_field *old, uint32_t now_msg, const struct reserved *r)
{
	char name[1100];
	struct cmp_tell t = { .in_old = 1, .name = name, .old = cmp_spot_field(&c->old, old),
			    .now = cmp_spot_message(&c->now, now_msg) };

	field_name(&c->old, old, name, sizeof name);
	if (unreserved_find(r, old->d->number, old->d->number) != INT64_MAX) {
		t.rule = SCH_C_FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED;
		t.keep = "keep the field, or reserve its number";
		cmp_tell(c, &t, "field %d is gone and its number is not reserved", old->d->number);
	}
	t.rule = SCH_C_STRICT_FIELD_DELETED;
	t.keep = "keep the field until nobody sends it";
	cmp_tell(c, &t, "field %d is gone: messages that hold it are refused as unknown_field", old->d->number);
}

static void required_check(struct cmp_check *c, uint32_t old_msg, uint32_t now_msg, const struct cmp_field *old,
			   const struct cmp_field *now)
{
	int was = old && !old->extension && cmp_field_compiled(&c->old, old)->flags & SCH_F_REQUIRED;
	int is = now && !now->extension && cmp_field_compiled(&c->now, now)->flags & SCH_F_REQUIRED;
	char name[1100];

	if (was == is)
		return;
	struct cmp_tell t = { .rule = SCH_C_MESSAGE_SAME_REQUIRED_FIELDS, .in_old = was, .name = name,
			    .old = old ? cmp_spot_field(&c->old, old) : cmp_spot_message(&c->old, old_msg),
			    .now = now ? cmp_spot_field(&c->now, now) : cmp_spot_message(&c->now, now_msg),
			    .keep = was ? "keep the field required" : "make the field optional" };

	field_name(was ? &c->old : &c->now, was ? old : now, name, sizeof name);
	if (was)
		cmp_tell(c, &t, "required field %d is required no more: old readers refuse messages without it",
		       old->d->number);
	else
		cmp_tell(c, &t, "field %d is required now: messages without it are refused", now->d->number);
}

static void fields_check(struct cmp_check *c, uint32_t old_msg, uint32_t now_msg, const struct reserved *r)
{
	const struct cmp_message *m = CMP_MSG(&c->old, old_msg), *w = CMP_MSG(&c->now, now_msg);
	uint32_t i = 0, k = 0;
	char name[1100];

	while (i < m->n || k < w->n) { /* both sorted by number */
		const struct cmp_field *old = i < m->n ? CMP_FIELD(&c->old, m->first + i) : NULL;
		const struct cmp_field *now = k < w->n ? CMP_FIELD(&c->now, w->first + k) : NULL;

		if (old && now && old->d->number != now->d->number) {
			if (old->d->number < now->d->number)
				now = NULL;
			else
				old = NULL;
		}
		i += old != NULL;
		k += now != NULL;
		c->sum->fields += old != NULL;
		required_check(c, old_msg, now_msg, old, now);
		if (old && now && old->extension == now->extension) {
			field_pair_check(c, old, now);
			continue;
		}
		if (old && !old->extension)
			field_deleted(c, old, now_msg, r);
		if (now && !now->extension) {
			field_name(&c->now, now, name, sizeof name);
			cmp_rules_new_field(c, old_msg, now, name);
		}
	}
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static void message_deleted(struct cmp_check *c, uint32_t old)
{
	uint32_t file = cmp_file_find(&c->now, c->old.fds->file[CMP_MSG(&c->old, old)->file]->name);
	struct cmp_tell t = { .rule = SCH_C_STRICT_TYPE_DELETED, .in_old = 1, .name = CMP_MSG(&c->old, old)->name,
			    .old = cmp_spot_message(&c->old, old),
			    .now = file == SCH_NONE ? cmp_spot_none() : cmp_spot_file(file, 0),
			    .keep = "keep the message type, under this full name" };

	cmp_tell(c, &t, "the message type is gone: messages of this type are refused");
}

static int message_pair_check(struct cmp_check *c, uint32_t old, uint32_t now)
{
	const fd_message_t *d = CMP_MSG(&c->old, old)->d;
	struct cmp_tell t = { .name = CMP_MSG(&c->old, old)->name, .old = cmp_spot_message(&c->old, old),
			    .now = cmp_spot_message(&c->now, now) };
	int was = c->old.set->messages[CMP_MSG(&c->old, old)->type].flags & SCH_M_MESSAGE_SET;
	int is = c->now.set->messages[CMP_MSG(&c->now, now)->type].flags & SCH_M_MESSAGE_SET;
	struct reserved r = { 0 };
	int rc = message_reserved(&r, CMP_MSG(&c->now, now)->d);

	if (rc)
		goto out;
	if (was != is) {
		t.rule = SCH_C_MESSAGE_SAME_MESSAGE_SET_WIRE_FORMAT;
		t.keep = "leave option message_set_wire_format as it was";
		cmp_tell(c, &t, "was %s MessageSet and is %s", was ? "a" : "no", is ? "one" : "none");
	}
	t.rule = SCH_C_RESERVED_MESSAGE_NO_DELETE;
	t.in_old = 1;
	for (size_t i = 0; i < d->n_reserved_range; i++) {
		t.old = cmp_spot_part(cmp_spot_message(&c->old, old), MESSAGE_RESERVED_RANGE, (uint32_t)i);
		reserved_range_check(c, &t, &r, message_range(d, i));
	}
	for (size_t i = 0; i < d->n_reserved_name; i++) {
		t.old = cmp_spot_part(cmp_spot_message(&c->old, old), MESSAGE_RESERVED_NAME, (uint32_t)i);
		reserved_name_check(c, &t, &r, d->reserved_name[i]);
	}
	fields_check(c, old, now, &r);
	cmp_rules_message(c, old, now);
out:
	reserved_free(&r);
	return rc;
}

static int is_entry(const struct cmp_side *s, uint32_t msg)
{
	return (s->set->messages[CMP_MSG(s, msg)->type].flags & SCH_M_MAP_ENTRY) != 0;
}

static int messages_check(struct cmp_check *c)
{
	int rc = 0;

	for (uint32_t i = 0; i < c->old.messages.n && !rc; i++) {
		uint32_t k = cmp_message_find(&c->now, CMP_MSG(&c->old, i)->name);

		if (is_entry(&c->old, i)) {
			/* A map's parts are compared with the map, unless the map became a list of a message of this name. */
			if (k != SCH_NONE && !is_entry(&c->now, k))
				rc = message_pair_check(c, i, k);
			continue;
		}
		c->sum->messages++;
		if (k == SCH_NONE)
			message_deleted(c, i);
		else
			rc = message_pair_check(c, i, k);
	}
	for (uint32_t k = 0; k < c->now.messages.n; k++)
		if (!is_entry(&c->now, k) && cmp_message_find(&c->old, CMP_MSG(&c->now, k)->name) == SCH_NONE)
			c->sum->new_messages++;
	return rc;
}

/* --- enums -------------------------------------------------------------------------------------------------------- */

static int value_order(const void *a, const void *b)
{
	int32_t x = (*(const fd_value_t *const *)a)->number, y = (*(const fd_value_t *const *)b)->number;

	return (x > y) - (x < y);
}

static int values_check(struct cmp_check *c, uint32_t old, uint32_t now, const struct reserved *r)
{
	const fd_enum_t *d = CMP_ENUM(&c->old, old)->d, *e = CMP_ENUM(&c->now, now)->d;
	struct cmp_spot at = cmp_spot_enum(&c->old, old);
	const fd_value_t **v = calloc(e->n_value + 1, sizeof *v);
	struct cmp_tell t = { .in_old = 1, .name = CMP_ENUM(&c->old, old)->name, .now = cmp_spot_enum(&c->now, now) };

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < e->n_value; i++)
		v[i] = e->value[i];
	qsort(v, e->n_value, sizeof *v, value_order);
	for (size_t i = 0; i < d->n_value; i++) {
		const fd_value_t *x = d->value[i];

		if (bsearch(&x, v, e->n_value, sizeof *v, value_order))
			continue;
		t.old = cmp_spot_part(at, ENUM_VALUE, (uint32_t)i);
		if (unreserved_find(r, x->number, x->number) != INT64_MAX) {
			t.rule = SCH_C_ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED;
			t.keep = "keep the value, or reserve its number";
			cmp_tell(c, &t, "value %.200s = %d is gone and its number is not reserved", x->name, x->number);
		}
		t.rule = SCH_C_STRICT_VALUE_DELETED;
		t.keep = "keep the value until nobody sends it";
		cmp_tell(c, &t, "value %.200s = %d is gone: messages that hold it are refused", x->name, x->number);
	}
	free(v);
	return 0;
}

static int enum_pair_check(struct cmp_check *c, uint32_t old, uint32_t now)
{
	const fd_enum_t *d = CMP_ENUM(&c->old, old)->d;
	struct cmp_tell t = { .rule = SCH_C_RESERVED_ENUM_NO_DELETE, .in_old = 1, .name = CMP_ENUM(&c->old, old)->name,
			    .now = cmp_spot_enum(&c->now, now) };
	struct reserved r = { 0 };
	int rc = enum_reserved(&r, CMP_ENUM(&c->now, now)->d);

	for (size_t i = 0; i < d->n_reserved_range && !rc; i++) {
		t.old = cmp_spot_part(cmp_spot_enum(&c->old, old), ENUM_RESERVED_RANGE, (uint32_t)i);
		reserved_range_check(c, &t, &r, enum_range(d, i));
	}
	for (size_t i = 0; i < d->n_reserved_name && !rc; i++) {
		t.old = cmp_spot_part(cmp_spot_enum(&c->old, old), ENUM_RESERVED_NAME, (uint32_t)i);
		reserved_name_check(c, &t, &r, d->reserved_name[i]);
	}
	if (!rc)
		rc = values_check(c, old, now, &r);
	reserved_free(&r);
	return rc;
}

static int enums_check(struct cmp_check *c)
{
	int rc = 0;

	for (uint32_t i = 0; i < c->old.enums.n && !rc; i++) {
		uint32_t k = cmp_enum_find(&c->now, CMP_ENUM(&c->old, i)->name);

		c->sum->enums++;
		if (k != SCH_NONE) /* else the fields that had its type have another, or are gone */
			rc = enum_pair_check(c, i, k);
	}
	return rc;
}

/* --- files and methods -------------------------------------------------------------------------------------------- */

static void files_check(struct cmp_check *c)
{
	for (uint32_t i = 0; i < c->old.fds->n_file; i++) {
		const fd_file_t *f = c->old.fds->file[i];
		uint32_t k = cmp_file_find(&c->now, f->name);

		if (k == SCH_NONE)
			continue;
		const char *was = f->package ? f->package : "";
		const char *is = c->now.fds->file[k]->package ? c->now.fds->file[k]->package : "";
		struct cmp_tell t = { .rule = SCH_C_FILE_SAME_PACKAGE, .name = f->name, .old = cmp_spot_file(i, FILE_PACKAGE),
				    .now = cmp_spot_file(k, FILE_PACKAGE), .keep = "leave the package as it was" };

		if (strcmp(was, is) != 0)
			cmp_tell(c, &t, "was in package \"%.200s\" and is in \"%.200s\"", was, is);
	}
}

static const char *sort_of(int streams)
{
	return streams ? "a stream" : "one message";
}

static int idempotency(const fd_method_t *d)
{
	return d->options && d->options->has_idempotency_level ? (int)d->options->idempotency_level : 0;
}

static const char *idempotency_name(int level)
{
	return level == 1 ? "NO_SIDE_EFFECTS" : level == 2 ? "IDEMPOTENT" : "IDEMPOTENCY_UNKNOWN";
}

static int is_streaming(const fd_method_t *d)
{
	return (d->has_client_streaming && d->client_streaming) || (d->has_server_streaming && d->server_streaming);
}

static void method_pair_check(struct cmp_check *c, const struct cmp_method *old, const struct cmp_method *now)
{
	const fd_method_t *d = old->d, *e = now->d;
	struct cmp_tell t = { .name = old->name, .old = cmp_spot_method(&c->old, old), .now = cmp_spot_method(&c->now, now),
			    .keep = "leave the method as it was, and add a new one instead" };

	t.rule = SCH_C_RPC_SAME_REQUEST_TYPE;
	if (strcmp(d->input_type, e->input_type) != 0)
		cmp_tell(c, &t, "its request was %.200s and is %.200s", d->input_type + 1, e->input_type + 1);
	t.rule = SCH_C_RPC_SAME_RESPONSE_TYPE;
	if (strcmp(d->output_type, e->output_type) != 0)
		cmp_tell(c, &t, "its response was %.200s and is %.200s", d->output_type + 1, e->output_type + 1);
	int was = d->has_client_streaming && d->client_streaming, is = e->has_client_streaming && e->client_streaming;

	t.rule = SCH_C_RPC_SAME_CLIENT_STREAMING;
	if (was != is)
		cmp_tell(c, &t, "its request was %s and is %s%s", sort_of(was), sort_of(is),
		       is ? ": a method that streams is no subject" : "");
	was = d->has_server_streaming && d->server_streaming;
	is = e->has_server_streaming && e->server_streaming;
	t.rule = SCH_C_RPC_SAME_SERVER_STREAMING;
	if (was != is)
		cmp_tell(c, &t, "its response was %s and is %s%s", sort_of(was), sort_of(is),
		       is ? ": a method that streams is no subject" : "");
	t.rule = SCH_C_RPC_SAME_IDEMPOTENCY_LEVEL;
	t.keep = "leave option idempotency_level as it was";
	if (idempotency(d) != idempotency(e))
		cmp_tell(c, &t, "its idempotency_level was %s and is %s", idempotency_name(idempotency(d)),
		       idempotency_name(idempotency(e)));
	t.rule = SCH_C_STRICT_METHOD_DELETED;
	if (!is_streaming(e) && sch_method_find(c->old.set, old->name) >= 0 && sch_method_find(c->now.set, old->name) < 0)
		cmp_tell(c, &t, "has no reply any more (weft.one_way) and is no subject: its requests are refused");
}

static void method_deleted(struct cmp_check *c, const struct cmp_method *m)
{
	uint32_t file = cmp_file_find(&c->now, c->old.fds->file[m->file]->name);
	struct cmp_tell t = { .rule = SCH_C_STRICT_METHOD_DELETED, .in_old = 1, .name = m->name,
			      .old = cmp_spot_method(&c->old, m),
			      .now = file == SCH_NONE ? cmp_spot_none() : cmp_spot_file(file, 0),
			      .keep = "keep the method until nobody calls it" };

	cmp_tell(c, &t, "the method is gone: its requests and responses are refused");
}

static void methods_check(struct cmp_check *c)
{
	for (uint32_t i = 0; i < c->old.methods.n; i++) {
		const struct cmp_method *m = CMP_METHOD(&c->old, i);
		uint32_t k = cmp_method_find(&c->now, m->name);

		c->sum->methods++;
		if (k != SCH_NONE)
			method_pair_check(c, m, CMP_METHOD(&c->now, k));
		else if (sch_method_find(c->old.set, m->name) >= 0) /* else it streamed and was no subject */
			method_deleted(c, m);
	}
	for (uint32_t k = 0; k < c->now.methods.n; k++)
		if (cmp_method_find(&c->old, CMP_METHOD(&c->now, k)->name) == SCH_NONE)
			c->sum->new_methods++;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

int sch_compat_check(const void *old_fdset, size_t old_len, const void *new_fdset, size_t new_len,
		     void (*each)(void *arg, const struct sch_change *c), void *arg, struct sch_compat *sum,
		     struct sch_err *err)
{
	struct cmp_check c = { .each = each, .arg = arg, .sum = sum, .err = err, .work = WORK_MAX };
	int rc;

	memset(sum, 0, sizeof *sum);
	memset(err, 0, sizeof *err);
	rc = cmp_side_make(&c.old, old_fdset, old_len, err);
	if (rc) {
		sum->failed = SCH_COMPAT_OLD;
		goto out;
	}
	rc = cmp_side_make(&c.now, new_fdset, new_len, err);
	if (rc) {
		sum->failed = SCH_COMPAT_NEW;
		goto out;
	}
	files_check(&c);
	rc = cmp_unruled_find(&c);
	if (!rc)
		rc = messages_check(&c);
	if (!rc)
		rc = enums_check(&c);
	if (!rc)
		methods_check(&c);
	if (!rc)
		rc = c.rc;
	if (rc)
		snprintf(err->text, sizeof err->text, "out of memory while comparing schema sets");
out:
	free(c.unruled);
	cmp_side_free(&c.old);
	cmp_side_free(&c.now);
	return rc;
}

const char *sch_compat_rule_name(enum sch_compat_rule rule)
{
	static const char *const names[] = {
		[SCH_COMPAT_NONE] = "none",
#define X(sym) [SCH_C_##sym] = #sym,
		SCH_COMPAT_WIRE(X)
		SCH_COMPAT_STRICT(X)
#undef X
	};

	return (unsigned)rule < SCH_COMPAT_RULE_COUNT ? names[rule] : "?";
}
