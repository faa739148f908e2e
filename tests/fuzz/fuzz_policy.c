/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the policy compiler and then the evaluator with what it made. The input is the text of the meter's policy;
 * after a line of `%%%` follow, where present, the hub's, the valve's and the shared file. */
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

static void check_refusal(int rc, const struct pol_err *err, const struct pol_text text[4])
{
	CHECK(rc < 0 && rc != -12); /* memory does not run out here */
	CHECK(err->text[0] != '\0' && memchr(err->text, '\0', sizeof err->text) != NULL);
	CHECK(memchr(err->file, '\0', sizeof err->file) != NULL);
	uint32_t most = 0;
	for (int i = 0; i < 3; i++)
		if (strcmp(err->file, plant_unikernel[i].policy_path) == 0)
			most = lines_of(&text[i]) + 1; /* the end of the text counts as a line */
	if (strcmp(err->file, "common.yaml") == 0)
		most = lines_of(&text[3]) + 1;
	CHECK(err->line <= most);
}

static void check_words(const char *const *names, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		CHECK(names[i][0] != '\0' && strlen(names[i]) <= POL_RISK_NAME_MAX);
		CHECK(i == 0 || strcasecmp(names[i - 1], names[i]) < 0);
	}
}

static void check_list(const struct pol_content_list *l)
{
	check_words(l->allow, l->n_allow);
	check_words(l->forbid, l->n_forbid);
	check_words(l->risks, l->n_risks);
	CHECK(l->risks_given || l->n_risks == 0);
}

static void check_content(const struct pol_set *set, uint32_t content)
{
	const struct pol_content_list *lists[2];
	uint32_t n = pol_content(set, content, lists);
	CHECK(content < pol_content_count(set) && n >= 1 && n <= 2);
	for (uint32_t i = 0; i < n; i++)
		check_list(lists[i]);
}

static void check_rule_of(const struct pol_set *set, const struct pol_decision *d, uint32_t rule, enum pol_answer answer,
			  uint16_t src, uint16_t dst)
{
	const struct pol_rule_info *r = pol_rule(set, rule);
	CHECK(r != NULL && (r->owner == src || r->owner == dst));
	CHECK((answer == POL_FORBIDDEN) == r->deny);
	CHECK((answer == POL_SEND_DENIED || answer == POL_RECEIVE_DENIED) == r->is_default ||
	      (answer == POL_ALLOW && d->observed != POL_ALLOW));
	CHECK((answer != POL_WHERE_UNMET && answer != POL_FORBIDDEN) || r->where != NULL || r->deny);
	CHECK(answer != POL_SEND_DENIED || r->owner == src);
	CHECK(answer != POL_RECEIVE_DENIED || r->owner == dst);
}

/* Asks, and where it hangs on the content judges one that is not even valid: the evaluator must stand that. */
static void check_decision(const struct pol_set *set, struct pol_book *books, uint16_t src, uint16_t dst, uint64_t subject,
			   uint32_t bytes, const struct pol_when *when)
{
	static const uint8_t content[3][64] = {{0}, {0x08, 0x09, 0x12, 0x02, 'a', 'b'}, {0xff, 0xff, 0xff, 0x12, 0xff, 0x08}};
	struct pol_decision d = pol_decide(set, books, src, dst, subject, bytes, when);
	const struct pol_entry *e = pol_entry_find(set, src, dst, subject);
	CHECK(d.entry == e);
	CHECK((pol_rule(set, d.rule) != NULL) == (d.rule != 0) || d.answer == POL_JUDGE);
	CHECK(d.rule != 0 || d.answer == POL_SUBJECT_UNKNOWN || d.answer == POL_JUDGE || src < 1 || src > 3);
	if (d.answer == POL_JUDGE) {
		CHECK(e != NULL && e->choice != 0);
		pol_judge(set, books, src, dst, content[bytes % 3], bytes % 8, when, &d);
		CHECK(d.answer != POL_JUDGE && d.answer < POL_ANSWER_COUNT);
	}
	if (d.answer == POL_SUBJECT_UNKNOWN || src < 1 || src > 3)
		return;
	check_rule_of(set, &d, d.rule, d.answer, src, dst);
	if (d.answer != POL_ALLOW)
		return;
	const struct pol_content_list *lists[2];
	CHECK(src != dst && dst >= 1 && dst <= 3 && pol_subject_name(set, subject) != NULL);
	CHECK(d.terms.max_bytes <= POL_PAYLOAD_MAX && d.terms.book[0] <= pol_book_count(set) &&
	      d.terms.book[1] <= pol_book_count(set));
	for (uint32_t i = 0; i < sch_type_count(pol_schemas(set)); i++) {
		uint32_t field = (uint32_t)sch_field_at(pol_schemas(set), i, "data");
		check_content(set, pol_content_of_field(set, d.terms.content, field));
		check_content(set, pol_content_of_field(set, d.hard_content, field));
	}
	CHECK(pol_content(set, POL_CONTENT_BY_FIELD - 1, lists) == 0);
	CHECK((d.terms.soft != 0) == (d.soft_rule != 0));
	if (d.observed != POL_ALLOW) {
		CHECK(pol_rule(set, d.observed_rule)->observe);
		check_rule_of(set, &d, d.observed_rule, d.observed, src, dst);
	}
}

static void check_candidates(const struct pol_set *set, const struct pol_entry *e)
{
	struct pol_candidate c[POL_CANDIDATES_MAX];
	uint32_t found = 0;
	for (int side = 0; side < 2; side++) {
		uint32_t n = pol_candidates(set, e->src, e->dst, e->subject, (enum pol_side)side, c);
		CHECK(n <= POL_CANDIDATES_MAX);
		for (uint32_t i = 0; i < n; i++) {
			const struct pol_rule_info *r = pol_rule(set, c[i].rule);
			CHECK(r != NULL && r->owner == (side == 0 ? e->src : e->dst) && r->side == side && r->deny == c[i].deny);
			CHECK((r->where != NULL) == (c[i].where != NULL) && (i == 0 || c[i - 1].deny >= c[i].deny));
		}
		found += n;
	}
	CHECK(found > 0);
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
	struct pol_book *books = calloc((size_t)n + 1, sizeof *books);
	CHECK(books != NULL);
	struct pol_when when = {.mono_ns = 1, .unix_s = -100000};
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
				for (uint32_t k = 0; k < 3; k++) {
					when.mono_ns += 1000;
					when.unix_s += 20000;
					check_decision(set, books, src, dst, subject, k * 40001, &when);
				}
			}
	for (uint32_t i = 1; i <= pol_rule_count(set); i++)
		CHECK(pol_rule(set, i)->line >= 1 && pol_rule(set, i)->text[0] != '\0');
	for (uint32_t i = 0; i < pol_named_count(set); i++) {
		const struct pol_named *c = pol_named_get(set, i);
		CHECK(c->name[0] != '\0' && c->owner <= 3 && c->line >= 1 && c->use < POL_NAMED_USES);
		CHECK((c->profile == NULL) == (c->use == POL_NAMED_CARRIED));
	}
	for (uint32_t i = 0; i < pol_profile_count(set); i++)
		check_list(&pol_profile_get(set, i)->list);
	for (uint32_t i = 0; i < pol_entry_count(set); i++)
		check_candidates(set, pol_entry_get(set, i));
	pol_pairs(set, check_pair, &last);
	free(books);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sch_set *schemas;
	if (schemas == NULL)
		schemas = plant_schemas(0);
	CHECK(schemas != NULL);
	struct pol_text text[4] = {{(const char *)data, size},
				   {plant_hub, sizeof plant_hub - 1},
				   {plant_valve, sizeof plant_valve - 1},
				   {"groups: {}", 10}};
	for (int i = 0; i < 3; i++) {
		const char *cut = memmem(text[i].text, text[i].len, "\n%%%\n", 5);
		if (cut == NULL)
			break;
		size_t used = (size_t)(cut - text[i].text);
		text[i + 1] = (struct pol_text){cut + 5, text[i].len - used - 5};
		text[i].len = used + 1;
	}
	struct pol_err err = {0};
	struct pol_set *set = NULL;
	const struct pol_source source = {
	    .u = plant_unikernel, .n = 3, .texts = text, .common_path = "common.yaml", .common = text[3]};
	int rc = pol_compile(&set, &source, schemas, 1, NULL, &err);
	if (rc < 0) {
		CHECK(set == NULL);
		check_refusal(rc, &err, text);
	} else {
		check_set(set, schemas);
		pol_set_free(set);
	}
	return 0;
}
