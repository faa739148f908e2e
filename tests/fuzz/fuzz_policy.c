/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the policy compiler and then the evaluator with what it made. The input is the text of the meter's policy;
 * after a line of `%%%` follow, where present, the hub's and the valve's. */
#include <stdint.h>
#include <string.h>

#include "tests/policy/plant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                \
	do {                                                                    \
		if (!(x)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort();                                                \
		}                                                               \
	} while (0)

static uint32_t lines_of(const struct pol_text *t)
{
	uint32_t n = 1;
	for (size_t i = 0; i < t->len; i++)
		n += t->text[i] == '\n';
	return n;
}

static void check_refusal(int rc, const struct pol_err *err, const struct pol_text text[3])
{
	CHECK(rc < 0 && rc != -12); /* memory does not run out here */
	CHECK(err->text[0] != '\0' && memchr(err->text, '\0', sizeof err->text) != NULL);
	CHECK(memchr(err->file, '\0', sizeof err->file) != NULL);
	uint32_t most = 0;
	for (int i = 0; i < 3; i++)
		if (strcmp(err->file, plant_unikernel[i].policy_path) == 0)
			most = lines_of(&text[i]) + 1; /* the end of the text counts as a line */
	CHECK(err->line <= most);
}

static void check_decision(const struct pol_set *set, struct pol_book *buckets, uint16_t src, uint16_t dst,
			   uint64_t subject, uint32_t bytes, uint64_t now_ns)
{
	struct pol_decision d = plant_decide(set, buckets, src, dst, subject, bytes, now_ns);
	int complete = d.answer == POL_ALLOW || d.answer == POL_TOO_LARGE || d.answer == POL_OVER_RATE;
	CHECK((d.entry != NULL) == complete);
	CHECK((pol_rule(set, d.rule) != NULL) == (d.rule != 0));
	CHECK(d.rule != 0 || d.answer == POL_SUBJECT_UNKNOWN || src < 1 || src > 3);
	if (!complete)
		return;
	const struct pol_entry *e = d.entry;
	const char *const *names;
	CHECK(e->src == src && e->dst == dst && e->subject == subject && src != dst);
	CHECK(e->terms.max_bytes <= POL_PAYLOAD_MAX && (d.answer == POL_TOO_LARGE) == (bytes > e->terms.max_bytes));
	const struct pol_rule_info *s = pol_rule(set, e->send_rule), *r = pol_rule(set, e->receive_rule);
	CHECK(s != NULL && s->owner == src && strncmp(s->text, "send ", 5) == 0);
	CHECK(r != NULL && r->owner == dst &&
	      strncmp(r->text, "receive ", 8) == 0);
	CHECK(e->terms.max_by == e->send_rule || e->terms.max_by == e->receive_rule);
	CHECK(e->terms.book[0] <= pol_book_count(set) && e->terms.book[1] <= pol_book_count(set));
	CHECK(e->terms.content < pol_content_count(set));
	CHECK((pol_content(set, e->terms.content, &names) == 0) == (e->terms.content == 0));
	CHECK(pol_subject_name(set, subject) != NULL);
}

static void check_pair(void *arg, uint16_t src, uint16_t dst)
{
	uint32_t *last = arg;
	CHECK(src >= 1 && src <= 3 && dst >= 1 && dst <= 3 && src != dst);
	CHECK(((uint32_t)src << 16 | dst) > *last);
	*last = (uint32_t)src << 16 | dst;
}

static void check_set(const struct pol_set *set, const struct sch_set *schemas)
{
	uint32_t n = pol_book_count(set), last = 0;
	struct pol_book *buckets = calloc((size_t)n + 1, sizeof *buckets);
	CHECK(buckets != NULL);
	uint64_t now_ns = 1;
	for (uint16_t src = 0; src <= 4; src++)
		for (uint16_t dst = 0; dst <= 4; dst++)
			for (uint32_t i = 0; i <= sch_type_count(schemas) + sch_method_count(schemas); i++) {
				uint32_t types = sch_type_count(schemas);
				uint64_t subject = 12345;
				const char *name = i < types ? sch_type_name(schemas, i)
						   : i < types + sch_method_count(schemas)
						       ? sch_method_get(schemas, i - types)->name
						       : NULL;
				if (name != NULL) {
					subject = UINT64_C(0xcbf29ce484222325);
					for (const char *p = name; *p != '\0'; p++)
						subject = (subject ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
				}
				for (int k = 0; k < 3; k++)
					check_decision(set, buckets, src, dst, subject, (uint32_t)k * 40000,
						       now_ns += 1000);
			}
	for (uint32_t i = 1; i <= pol_rule_count(set); i++)
		CHECK(pol_rule(set, i)->line >= 1 && pol_rule(set, i)->text[0] != '\0');
	for (uint32_t i = 0; i < pol_carried_count(set); i++) {
		const struct pol_carried *c = pol_carried_get(set, i);
		CHECK(c->name[0] != '\0' && strlen(c->name) <= POL_CONTENT_NAME_MAX && pol_rule(set, c->rule) != NULL);
	}
	for (uint32_t i = 0; i < pol_entry_count(set); i++)
		CHECK(pol_entry_get(set, i)->send_rule != 0 && pol_entry_get(set, i)->receive_rule != 0);
	pol_pairs(set, check_pair, &last);
	free(buckets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sch_set *schemas;
	if (schemas == NULL)
		schemas = plant_schemas(0);
	CHECK(schemas != NULL);
	struct pol_text text[3] = {
	    {(const char *)data, size}, {plant_hub, sizeof plant_hub - 1}, {plant_valve, sizeof plant_valve - 1}};
	for (int i = 0; i < 2; i++) {
		const char *cut = memmem(text[i].text, text[i].len, "\n%%%\n", 5);
		if (cut == NULL)
			break;
		size_t used = (size_t)(cut - text[i].text);
		text[i + 1] = (struct pol_text){cut + 5, text[i].len - used - 5};
		text[i].len = used + 1;
	}
	struct pol_err err = {0};
	struct pol_set *set = NULL;
	int rc = plant_compile(&set, plant_unikernel, 3, text, schemas, 1, &err);
	if (rc < 0) {
		CHECK(set == NULL);
		check_refusal(rc, &err, text);
	} else {
		check_set(set, schemas);
		pol_set_free(set);
	}
	return 0;
}
