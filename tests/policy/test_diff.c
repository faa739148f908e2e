/* SPDX-License-Identifier: BSD-2-Clause */
/* What is told of a change: each kind by hand; policies that mean the same, written differently; different schemas; and random
 * pairs of policies, of which the evaluator decides random messages: its two decisions differ exactly where the diff says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "google/protobuf/descriptor.pb-c.h"

#include "guest-lib/wire.h"
#include "policy/diff.h"
#include "tests/policy/pairs_make.h"
#include "tests/policy/pairs_texts.h"

static struct pairs pairs;

static void keep(void *arg, const char *text)
{
	strcat(strcat(arg, text), "\n"); /* NOLINT: the tests' texts are short */
}

static void check_sets(const struct pol_set *old, const struct pol_set *now, const char *want)
{
	static char text[65536];
	struct pol_diff *d;
	text[0] = '\0';
	assert_int_equal(pol_diff_make(&d, old, now), 0);
	assert_int_equal(pol_diff_sentences(d, keep, text), 0);
	if (strcmp(text, want) != 0)
		fail_msg("it says\n%snot\n%s", text, want);
	assert_int_equal(pol_diff_count(d) == 0, want[0] == '\0');
	pol_diff_free(d);
}

/* Two files, a and b; what is told when one set takes the place of the other. */
static void check(const char *a, const char *b, const char *a2, const char *b2, const char *want)
{
	const struct texts_file old[] = {{"a", a}, {"b", b}, {NULL, NULL}}, now[] = {{"a", a2}, {"b", b2}, {NULL, NULL}};
	struct pol_set *x = compiled(old, NULL), *y = compiled(now, NULL);
	check_sets(x, y, want);
	pol_set_free(x);
	pol_set_free(y);
}

#define SEND_PING    "send:\n  - to: b\n    message: pairs.Ping\n"
#define RECEIVE_PING "receive:\n  - from: a\n    message: pairs.Ping\n"

static void test_possible_or_not(void **state)
{
	(void)state;
	check("", RECEIVE_PING, SEND_PING, RECEIVE_PING, "a may now send pairs.Ping to b (a.yaml:3, b.yaml:3)\n");
	check(SEND_PING, RECEIVE_PING, SEND_PING, "",
	      "a may no longer send pairs.Ping to b (a.yaml:3, b.yaml:3; now: b.yaml:1)\n");
	check("send:\n  - to: b\n    method: pairs.Shop/Buy\n", "", "send:\n  - to: b\n    method: pairs.Shop/Buy\n",
	      "receive:\n  - from: a\n    method: pairs.Shop/Buy\n", "a may now call pairs.Shop/Buy of b (a.yaml:3, b.yaml:3)\n");
	/* one side alone changes nothing */
	check("", "", SEND_PING, "", "");
	check(SEND_PING, "", "", RECEIVE_PING, "");
}

static void test_parts(void **state)
{
	(void)state;
	check(SEND_PING, RECEIVE_PING, SEND_PING "    where: this.amount > 10\n", RECEIVE_PING,
	      "a may no longer send pairs.Ping to b where this.amount at most 10 (a.yaml:3, b.yaml:3; now: a.yaml:3)\n");
	check(SEND_PING "    where: this.amount > 10\n", RECEIVE_PING, SEND_PING "    where: this.amount > 5\n", RECEIVE_PING,
	      "a may now send pairs.Ping to b where this.amount from 6 to 10 (a.yaml:3, b.yaml:3)\n");
	check(SEND_PING, RECEIVE_PING,
	      SEND_PING "deny:\n  - to: b\n    where: this.note == \"x\"\n    message: pairs.Ping\n", RECEIVE_PING,
	      "a may no longer send pairs.Ping to b where this.note is \"x\" (a.yaml:3, b.yaml:3; now: a.yaml:6)\n");
	check(SEND_PING "    where: this.amount > 10\n", RECEIVE_PING, SEND_PING "    where: this.amount < 5\n", RECEIVE_PING,
	      "a may now send pairs.Ping to b where this.amount at most 4 (a.yaml:3, b.yaml:3)\n"
	      "a may no longer send pairs.Ping to b where this.amount at least 11 (a.yaml:3, b.yaml:3; now: a.yaml:3)\n");
	check(SEND_PING, RECEIVE_PING, SEND_PING "    where: this.note.matches(\"x+\")\n", RECEIVE_PING,
	      "a may perhaps no longer send pairs.Ping to b where this.note.matches(\"x+\") is false or has no value "
	      "(a.yaml:3, b.yaml:3; now: a.yaml:3)\n");
}

static void test_terms(void **state)
{
	(void)state;
#define TERM(before, after, text)                                            \
	check(SEND_PING before, RECEIVE_PING, SEND_PING after, RECEIVE_PING, \
	      "pairs.Ping from a to b: " text " (a.yaml:3, b.yaml:3; before: a.yaml:3, b.yaml:3)\n")
	TERM("", "    max_size: 1KiB\n", "max_size now 1KiB, before 60KiB");
	TERM("    rate: 100/s\n    burst: 20\n", "", "rate of the sender's rule now none, before 100/s, burst 20");
	TERM("    rate: 90/m\n    burst: 2\n", "    rate: 60/m\n    burst: 2\n",
	     "rate of the sender's rule now 1/s, burst 2, before 90/m, burst 2");
	TERM("", "    quota: 64MiB/d\n", "quota of the sender's rule now 64MiB a day, before none");
	TERM("    quota: 64/d\n", "    quota: 65/d\n", "quota of the sender's rule now 65 a day, before 64 a day");
	TERM("", "    log: true\n", "log now deliveries are recorded, before only refusals are recorded");
	TERM("    reason: x\n", "    reason: \"y\"\n", "reason of the sender's rule now \"y\", before \"x\"");
	TERM("", "    mode: observe\n    max_size: 60KiB\n",
	     "enforced now on the receiver's side only (the sender's rule is observed), before on both sides");
#undef TERM
	check(SEND_PING "    carries: [HTTP, DNS]\n", RECEIVE_PING "    carries: [DNS]\n", SEND_PING "    carries: [http, DNS]\n",
	      RECEIVE_PING "    carries: [DNS, HTTP]\n",
	      "pairs.Ping from a to b: carries now DNS, http, before DNS (a.yaml:3, b.yaml:3; before: a.yaml:3, b.yaml:3)\n");
#define PLACES " (a.yaml:3, b.yaml:3; before: a.yaml:3, b.yaml:3)\n"
	/* without `carries` it is what is not recognised; of what two lists have in common only the certain is said */
	check(SEND_PING, RECEIVE_PING, SEND_PING "    carries: unknown\n", RECEIVE_PING "    carries: [HTTP, Unknown]\n", "");
	check(SEND_PING, RECEIVE_PING, SEND_PING "    carries: none\n", RECEIVE_PING,
	      "pairs.Ping from a to b: carries now nothing, before unknown" PLACES);
	check(SEND_PING, RECEIVE_PING, SEND_PING "    carries: [json, text]\n", RECEIVE_PING,
	      "pairs.Ping from a to b: carries now [json, text] by the sender and [unknown] by the receiver, before "
	      "unknown" PLACES);
	check(SEND_PING "    carries: HTTP\n", RECEIVE_PING "    carries: HTTP\n",
	      SEND_PING "    carries: HTTP\n    mode: observe\n", RECEIVE_PING "    carries: {note: [HTTP, TLS]}\n",
	      "pairs.Ping from a to b: enforced now on the receiver's side only (the sender's rule is observed), before on both "
	      "sides; carries now note: HTTP, TLS (observed: HTTP); others: unknown (observed: [HTTP] by the sender and "
	      "[unknown] by the receiver), before HTTP" PLACES);
#undef PLACES
	/* only for some of the messages */
	check(SEND_PING, RECEIVE_PING,
	      SEND_PING "    max_size: 1KiB\n    where: this.amount > 0\n  - to: b\n    message: pairs.Ping\n",
	      RECEIVE_PING,
	      "pairs.Ping from a to b where this.amount at least 1: max_size now 1KiB, before 60KiB (a.yaml:3, "
	      "b.yaml:3; before: "
	      "a.yaml:3, b.yaml:3)\n");
}

static void test_what_a_file_says(void **state)
{
	(void)state;
	check("mode: observe\n", "labels: {zone: x}\n", "", "quarantine: {violations: 3, within: 2m}\nlabels: {tier: y, zone: x}\n",
	      "a: mode now enforce, before observe (a.yaml; before: a.yaml)\n"
	      "b: labels now tier=y, zone=x, before zone=x (b.yaml; before: b.yaml)\n"
	      "b: quarantine now after 3 refusals within 120 s, before never (b.yaml; before: b.yaml)\n");
	check("reason: x\n", "", "reason: y\n",
	      "image: sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
	      "a: reason now y, before x (a.yaml; before: a.yaml)\n"
	      "b: image now sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff, before any (b.yaml; before: "
	      "b.yaml)\n");
}

static void test_dry_runs(void **state)
{
	(void)state;
	check("mode: observe\n", RECEIVE_PING, "", RECEIVE_PING,
	      "a: mode now enforce, before observe (a.yaml; before: a.yaml)\n"
	      "a may no longer send pairs.Ping to b, which it could only because of mode: observe (a.yaml:1, b.yaml:3; "
	      "now: a.yaml:1)\n");
	check(SEND_PING "    where: this.amount > 3\n", RECEIVE_PING,
	      SEND_PING "    where: this.amount > 3\n    mode: observe\n", RECEIVE_PING,
	      "a may now send pairs.Ping to b where this.amount at most 3, but only because of mode: observe "
	      "(a.yaml:3, b.yaml:3)\n"
	      "pairs.Ping from a to b where this.amount at least 4: enforced now on the receiver's side only (the sender's rule "
	      "is observed), before on both sides (a.yaml:3, b.yaml:3; before: a.yaml:3, b.yaml:3)\n");
	check(SEND_PING "deny:\n  - to: b\n    mode: observe\n", RECEIVE_PING, SEND_PING "deny:\n  - to: b\n",
	      RECEIVE_PING,
	      "a may no longer send pairs.Ping to b, which it could only because of mode: observe (a.yaml:6, b.yaml:3; "
	      "now: a.yaml:6)\n");
}

static void test_reasons(void **state)
{
	(void)state;
	check(SEND_PING "deny:\n  - to: b\n    message: pairs.Ping\n    where: this.amount > 3\n    reason: x\n", RECEIVE_PING,
	      SEND_PING "deny:\n  - to: b\n    message: pairs.Ping\n    where: this.amount > 3\n    reason: y\n", RECEIVE_PING,
	      "pairs.Ping from a to b where this.amount at least 4, refused as before: the reason is now \"y\", before \"x\" "
	      "(a.yaml:6; before: a.yaml:6)\n");
}

static void test_counted_together(void **state)
{
	(void)state;
	check(SEND_PING "    rate: 5/s\n", RECEIVE_PING,
	      SEND_PING
	      "    rate: 5/s\n    where: this.amount > 3\n  - to: b\n    message: pairs.Ping\n    rate: 5/s\n",
	      RECEIVE_PING,
	      "a: what was counted by one rule is now counted by several rules, each for itself (a.yaml:3, a.yaml:7; "
	      "before: a.yaml:3)\n");
	/* what is counted the same, written the other way round, is no difference */
	check(SEND_PING
	      "    rate: 5/s\n    where: this.amount > 3\n  - to: b\n    message: pairs.Ping\n    rate: 6/s\n",
	      RECEIVE_PING,
	      "send:\n  - to: b\n    message: pairs.Ping\n    rate: 6/s\n    where: this.amount <= 3\n  - to: b\n    "
	      "message: pairs.Ping\n"
	      "    rate: 300/m\n    burst: 5\n",
	      RECEIVE_PING, "");
}

static void test_the_same_in_other_words(void **state)
{
	(void)state;
	/* split in two */
	check(SEND_PING, RECEIVE_PING,
	      SEND_PING "    where: this.amount > 3\n  - to: b\n    message: pairs.Ping\n    where: this.amount < 4\n",
	      RECEIVE_PING, "");
	/* reordered, and conditions said in other words */
	check(SEND_PING
	      "    where: this.amount > 3\n    max_size: 2KiB\n  - to: b\n    message: pairs.Ping\n    max_size: 1KiB\n"
	      "    where: this.amount < -3\n",
	      RECEIVE_PING,
	      SEND_PING "    max_size: 1024B\n    where: -3 > this.amount\n  - to: b\n    message: pairs.Ping\n    "
			"max_size: 2048B\n"
			"    where: '!(this.amount <= 3)'\n",
	      RECEIVE_PING, "");
	/* what an earlier rule takes, a later one does not have to leave out; what no rule allows needs no deny rule */
	check(SEND_PING "    where: this.amount > 3\n    log: true\n  - to: b\n    message: pairs.Ping\n    where: "
			"this.amount > 0\n",
	      RECEIVE_PING,
	      SEND_PING "    where: this.amount > 0 && this.amount <= 3\n  - to: b\n    message: pairs.Ping\n    "
			"where: this.amount > 3\n"
			"    log: true\n",
	      RECEIVE_PING "deny:\n  - from: a\n    message: pairs.Ping\n    where: this.amount <= 0\n", "");
	/* the other side has said it already */
	check(SEND_PING "    where: this.amount > 3\n", RECEIVE_PING "    where: this.note == \"x\"\n",
	      SEND_PING "    where: this.note == \"x\"\n", RECEIVE_PING "    where: this.amount > 3\n", "");
	/* one list, or a rule each */
	check("send:\n  - to: b\n    message: [pairs.Ping, pairs.Order]\n",
	      "receive:\n  - from: a\n    message: [pairs.Order, pairs.Ping]\n",
	      "send:\n  - to: b\n    message: pairs.Order\n  - to: b\n    message: pairs.Ping\n",
	      "receive:\n  - from: any\n    message: pairs.Ping\n  - from: any\n    message: pairs.Order\n", "");
}

static void test_groups_and_labels(void **state)
{
	(void)state;
	static const struct texts_file old[] = {
	    {"a", "labels: {k: v}\nsend:\n  - to: [b, c]\n    message: pairs.Ping\n    rate: 5/s\n"},
	    {"b", "labels: {k: v}\n" RECEIVE_PING},
	    {"c", "labels: {k: v}\n" RECEIVE_PING},
	    {NULL, NULL}};
	static const struct texts_file groups[] = {
	    {"a", "labels: {k: v}\nsend:\n  - to: group:g\n    message: pairs.Ping\n    rate: 5/s\n"},
	    {"b", "labels: {k: v}\nreceive:\n  - from: group:h\n    message: pairs.Ping\n"},
	    {"c", "labels: {k: v}\n" RECEIVE_PING},
	    {NULL, NULL}};
	static const struct texts_file labels[] = {
	    {"a", "labels: {k: v}\nsend:\n  - to: label:k=v\n    message: pairs.Ping\n    rate: 5/s\n"},
	    {"b", "labels: {k: v}\nreceive:\n  - from: any\n    message: pairs.Ping\n"
		  "    where: 'peer.labels[\"k\"] == \"v\" && peer.name == \"a\"'\n"},
	    {"c", "labels: {k: v}\n" RECEIVE_PING},
	    {NULL, NULL}};
	struct pol_set *set[3] = {compiled(old, NULL), compiled(groups, "groups:\n  g: [c, b]\n  h: [a]\n"),
				  compiled(labels, NULL)};
	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 3; k++)
			check_sets(set[i], set[k], "");
	/* a rate of its own for each is not the rate of both */
	static const struct texts_file apart[] = {
	    {"a", "labels: {k: v}\nsend:\n  - to: b\n    message: pairs.Ping\n    rate: 5/s\n  - to: c\n    message: "
		  "pairs.Ping\n    rate: 5/s\n"},
	    {"b", "labels: {k: v}\n" RECEIVE_PING},
	    {"c", "labels: {k: v}\n" RECEIVE_PING},
	    {NULL, NULL}};
	struct pol_set *other = compiled(apart, NULL);
	check_sets(set[0], other,
		   "a: what was counted by one rule is now counted by several rules, each for itself (a.yaml:4, "
		   "a.yaml:7; before: a.yaml:4)\n");
	check_sets(other, set[0],
		   "a: what was counted by several rules is now counted by one rule (a.yaml:4; before: a.yaml:4, a.yaml:7)\n");
	pol_set_free(other);
	for (int i = 0; i < 3; i++)
		pol_set_free(set[i]);
}

static void test_many_are_one_sentence(void **state)
{
	(void)state;
	static const struct texts_file old[] = {{"a", ""}, {"b", ""}, {"c", ""},    {"d", ""},
						{"e", ""}, {"f", ""}, {"gone", ""}, {NULL, NULL}};
	static const char receive[] = "receive:\n  - from: any\n    message: [pairs.Ping, pairs.Order]\n";
	static const struct texts_file now[] = {{"a", "send:\n  - to: any\n    message: [pairs.Ping, pairs.Order]\n"},
						{"b", receive}, {"c", receive}, {"d", receive}, {"e", receive}, {"f", receive},
						{"new1", ""}, {"new2", ""}, {NULL, NULL}};
	struct pol_set *x = compiled(old, NULL), *y = compiled(now, NULL);
	check_sets(x, y,
		   "gone is gone (gone.yaml)\n"
		   "new1 and new2 are new (new1.yaml, new2.yaml)\n"
		   "a may now send pairs.Order and pairs.Ping to 5 unikernels: b, c, d and 2 more (a.yaml:3, b.yaml:3, "
		   "c.yaml:3, d.yaml:3, "
		   "e.yaml:3, f.yaml:3)\n");
	pol_set_free(x);
	pol_set_free(y);
}

/* The schemas of pairs.proto with Order's fields the other way round, all numbered anew, and without some. */
static struct sch_set *other_schemas(const char *without)
{
	FILE *f = fopen(BUILD_DIR "/tests/pairs.binpb", "rb");
	static uint8_t bytes[65536];
	struct sch_set *set = NULL;
	struct sch_err err;
	assert_non_null(f);
	size_t len = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	Google__Protobuf__FileDescriptorSet *fds = google__protobuf__file_descriptor_set__unpack(NULL, len, bytes);
	assert_non_null(fds);
	Google__Protobuf__FileDescriptorProto *file = fds->file[fds->n_file - 1];
	for (size_t i = 0; i < file->n_message_type; i++) {
		Google__Protobuf__DescriptorProto *m = file->message_type[i];
		if (strcmp(m->name, "Ping") == 0 || strcmp(m->name, "Order") == 0)
			for (size_t k = 0; k < m->n_field; k++) {
				m->field[k]->number = (int32_t)(40 - k);
				if (strcmp(m->field[k]->name, without) == 0) {
					free(m->field[k]->name);
					m->field[k]->name = strdup("renamed");
				}
			}
	}
	len = google__protobuf__file_descriptor_set__pack(fds, bytes);
	google__protobuf__file_descriptor_set__free_unpacked(fds, NULL);
	if (sch_set_compile(&set, bytes, len, &err) != 0)
		fail_msg("%s %s", err.where, err.text);
	return set;
}

static void test_other_schemas(void **state)
{
	(void)state;
	struct sch_set *moved = other_schemas("none"), *lacks = other_schemas("amount"), *lacks2 = other_schemas("note");
	static const char rules[] = SEND_PING "    where: this.amount > 3 && this.note == \"x\"\n";
	static const struct texts_file files[] = {{"a", rules}, {"b", RECEIVE_PING}, {NULL, NULL}};
	static const struct texts_file tighter[] = {
	    {"a", SEND_PING "    where: this.amount > 5 && this.note == \"x\"\n"}, {"b", RECEIVE_PING}, {NULL, NULL}};
	static const struct texts_file note[] = {
	    {"a", SEND_PING "    where: this.note == \"x\"\n"}, {"b", RECEIVE_PING}, {NULL, NULL}};
	static const struct texts_file amount[] = {
	    {"a", SEND_PING "    where: this.amount > 3\n"}, {"b", RECEIVE_PING}, {NULL, NULL}};
	struct pol_err err;
	struct pol_set *old = compiled(files, NULL), *same = texts_compile(files, NULL, moved, &err),
		       *less = texts_compile(tighter, NULL, moved, &err), *no_amount = texts_compile(note, NULL, lacks, &err),
		       *no_note = texts_compile(amount, NULL, lacks2, &err);
	assert_true(same && less && no_amount && no_note);
	check_sets(old, same, "");
	/* a type is its name, whatever its number is */
	check_sets(old, less,
		   "a may no longer send pairs.Ping to b where this.note is \"x\" and this.amount from 4 to 5 "
		   "(a.yaml:3, b.yaml:3; now: a.yaml:3)\n");
	/* the new schemas lack what the old condition names: the old ones read both */
	check_sets(old, no_amount,
		   "a may now send pairs.Ping to b where this.amount at most 3 and this.note is \"x\" (a.yaml:3, b.yaml:3)\n");
	/* neither can */
	check_sets(no_amount, no_note,
		   "pairs.Ping from a to b: the conditions are others, and cannot be compared, because neither schemas "
		   "have all the fields "
		   "that they name (a.yaml:3, b.yaml:3; before: a.yaml:3, b.yaml:3)\n");
	struct pol_set *sets[] = {old, same, less, no_amount, no_note};
	for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
		pol_set_free(sets[i]);
	sch_set_free(moved);
	sch_set_free(lacks);
	sch_set_free(lacks2);
}

/* --- random pairs ---------------------------------------------------------------------------------------------------- */

/* pairs.text and pairs.common as they stand; NULL: they do not fit each other. */
static struct pol_set *pairs_compile(void)
{
	struct p_source texts;
	const struct pol_source source = p_source(&pairs, &texts);
	struct pol_set *set = NULL;
	struct pol_err err;
	return pol_compile(&set, &source, schemas, 1, NULL, &err) == 0 ? set : NULL;
}

/* What the evaluator makes of a message, but for sizes, rates and quotas. */
struct fate {
	int passes, dry;
	struct pol_terms terms;
};

static struct fate fate_of(const struct pol_set *set, uint16_t src, uint16_t dst, int subject, const uint8_t *msg, uint32_t len)
{
	const struct pol_when when = {.mono_ns = 1, .unix_s = 7};
	struct pol_book *books = calloc(pol_book_count(set) + 1u, sizeof *books);
	assert_non_null(books);
	struct pol_decision d = pol_decide(set, books, src, dst, weft_subject(p_subject[subject]), len, &when);
	if (d.answer == POL_JUDGE)
		pol_judge(set, books, src, dst, msg, len, &when, &d);
	free(books);
	return (struct fate){
	    .passes = d.answer == POL_ALLOW || d.answer == POL_TOO_LARGE || d.answer == POL_OVER_RATE || d.answer == POL_OVER_QUOTA,
	    .dry = d.observed == POL_SEND_DENIED || d.observed == POL_RECEIVE_DENIED || d.observed == POL_FORBIDDEN ||
		   d.observed == POL_WHERE_UNMET,
	    .terms = d.terms,
	};
}

/* The message itself as a region, as far as conditions can be compared: what is in its list is not. */
static struct sch_region *point(const struct r_message *m, int subject)
{
	struct sch_expr_var vars[POL_VARS];
	struct sch_expr_value values[POL_VARS] = {{0}};
	struct sch_expr_err err;
	struct sch_region *r;
	char text[1024], level[64] = "", item[256] = "";
	uint32_t type = (uint32_t)sch_type_find(schemas, subject == R_PING ? "pairs.Ping" : "pairs.Order");
	pol_vars(type, vars);
	if (subject == R_PING) {
		snprintf(text, sizeof text,
			 "this.amount == %" PRId64 " && this.note == \"%s\" && size(this.note) == %zu", m->amount,
			 m->note, strlen(m->note));
	} else {
		snprintf(level, sizeof level, m->has_level ? "has(this.level) && this.level == %d" : "!has(this.level)", m->level);
		if (m->has_item)
			snprintf(item, sizeof item,
				 "has(this.item) && this.item.price == %d && this.item.tag == \"%s\"", m->price,
				 m->tag);
		else
			snprintf(item, sizeof item, "!has(this.item) && this.item.price == 0 && this.item.tag == \"\"");
		snprintf(text, sizeof text,
			 "this.amount == %" PRId64 " && this.count == %uu && this.note == \"%s\" && this.urgent == %s "
						   "&& this.kind == %d && %s && %s && "
			 "size(this.codes) == %d && size(this.note) == %zu",
			 m->amount, m->count, m->note, m->urgent ? "true" : "false", m->kind, item, level, m->n_codes,
			 strlen(m->note));
	}
	if (sch_region_of(&r, schemas, vars, POL_VARS, values, text, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return r;
}

/* How sure it is that the change is about the message: EMPTY: it is not. */
static enum sch_region_is concerns(const struct pol_change *c, const struct sch_region *message)
{
	struct sch_region *both = sch_region_and(c->region, message);
	assert_non_null(both);
	enum sch_region_is is = sch_region_is(both);
	sch_region_free(both);
	return is;
}

enum { GAINED, LOST, MAX, LOG, MODE, TOLD };

static int told_as(const struct pol_change *c)
{
	if (c->kind == POL_CHANGE_GAINED)
		return GAINED;
	if (c->kind == POL_CHANGE_LOST)
		return LOST;
	if (c->kind != POL_CHANGE_TERMS)
		return TOLD;
	return strcmp(c->what, "max_size") == 0 ? MAX
	       : strcmp(c->what, "log") == 0	? LOG
	       : strcmp(c->what, "enforced") == 0	? MODE
						: TOLD;
}

struct tally {
	uint32_t sure[TOLD], perhaps[TOLD], none;
};

/* What differs between the decisions must be told, and what is told must differ. */
static void one_message(const struct pol_set *const set[2], const struct pol_diff *d, struct tally *t)
{
	static const char *const names[TOLD] = {"gained", "lost", "max_size", "log", "mode"};
	uint8_t bytes[256 + SCH_PAD] = {0};
	int subject = (int)p_draw(&pairs, R_DONE), yes[TOLD] = {0}, maybe[TOLD] = {0}, file = 0;
	uint16_t src = (uint16_t)(1 + p_draw(&pairs, R_NODES)), dst = (uint16_t)(1 + p_draw(&pairs, R_NODES));
	struct r_message m;
	p_message(&pairs, subject, &m, bytes);
	if (src == dst)
		return;
	struct fate a = fate_of(set[0], src, dst, subject, bytes, m.bytes), b = fate_of(set[1], src, dst, subject, bytes, m.bytes);
	struct sch_region *message = point(&m, subject);
	for (uint32_t i = 0; i < pol_diff_count(d); i++) {
		const struct pol_change *c = pol_diff_get(d, i);
		if (c->kind == POL_CHANGE_FILE && strcmp(c->what, "mode") == 0)
			file |= strcmp(c->from, p_name[src - 1]) == 0 || strcmp(c->from, p_name[dst - 1]) == 0;
		if (!c->to || strcmp(c->from, p_name[src - 1]) != 0 || strcmp(c->to, p_name[dst - 1]) != 0 ||
		    strcmp(c->subject, p_subject[subject]) != 0 || told_as(c) == TOLD)
			continue;
		assert_non_null(c->region);
		enum sch_region_is is = concerns(c, message);
		*(is == SCH_REGION_SOME ? &yes[told_as(c)] : &maybe[told_as(c)]) += is != SCH_REGION_EMPTY;
	}
	sch_region_free(message);
	int both = a.passes && b.passes, hard = both && !a.dry && !b.dry && a.terms.soft == 0 && b.terms.soft == 0;
	const int is[TOLD] = {
	    [GAINED] = !a.passes && b.passes,
	    [LOST] = a.passes && !b.passes,
	    [MAX] = hard && a.terms.max_bytes != b.terms.max_bytes,
	    [LOG] = both && !a.terms.log != !b.terms.log,
	    [MODE] = both && (a.dry != b.dry || (!a.dry && a.terms.soft != b.terms.soft)),
	};
	for (int i = 0; i < TOLD; i++) {
		if (i == MAX && !hard)
			continue;
		/* what only files as a whole let pass, is told of the file */
		int told = yes[i] || maybe[i] ||
			   (file && ((is[GAINED] && b.dry) || (is[LOST] && a.dry) || (both && a.dry && b.dry)));
		if ((is[i] && !told) || (!is[i] && yes[i])) {
			char text[65536] = "", line[8192];
			for (uint32_t k = 0; k < pol_diff_count(d); k++) {
				const struct pol_change *c = pol_diff_get(d, k);
				if (!strcmp(c->from, p_name[src - 1]) &&
				    (!c->to ||
				     (!strcmp(c->to, p_name[dst - 1]) && !strcmp(c->subject, p_subject[subject]))))
					keep(text, pol_change_text(c, line, sizeof line));
			}
			fail_msg("%s to %s, %s: %s %s, but is %stold of\namount %" PRId64
				 " count %u note \"%s\" urgent %d kind %d item %d price "
				 "%d tag \"%s\" level %d %d\n%s",
				 p_name[src - 1], p_name[dst - 1], p_subject[subject], names[i],
				 is[i] ? "differs" : "does not differ", told ? "" : "not ", m.amount, m.count, m.note,
				 m.urgent, m.kind, m.has_item, m.price, m.tag, m.has_level, m.level, text);
		}
		t->sure[i] += is[i] && yes[i];
		t->perhaps[i] += is[i] && !yes[i];
	}
	t->none += !is[GAINED] && !is[LOST] && !is[MAX] && !is[LOG] && !is[MODE];
}

static void test_random_pairs(void **state)
{
	(void)state;
	static char text[2][R_NODES][P_TEXT];
	const char *ask = getenv("WEFT_DIFF_PAIRS");
	uint32_t rounds = ask ? (uint32_t)strtoul(ask, NULL, 10) : 48, done = 0;
	struct tally t = {.none = 0};
	pairs.random = UINT64_C(2463534242);
	while (done < rounds) {
		struct pol_set *set[2] = {NULL, NULL};
		struct pol_diff *d;
		p_policy(&pairs);
		memcpy(text[0], pairs.text, sizeof pairs.text);
		set[0] = pairs_compile();
		char common[sizeof pairs.common];
		memcpy(common, pairs.common, sizeof common);
		/* all others, or one or two of them */
		p_policy(&pairs);
		uint32_t keep_them = p_draw(&pairs, 3);
		if (keep_them) {
			memcpy(pairs.common, common, sizeof common);
			uint32_t x = p_draw(&pairs, R_NODES), y = p_draw(&pairs, R_NODES);
			for (uint32_t i = 0; i < R_NODES; i++)
				if (i != x && i != y)
					memcpy(pairs.text[i], text[0][i], P_TEXT);
		}
		set[1] = pairs_compile();
		if (set[1] != NULL) {
			assert_non_null(set[0]);
			assert_int_equal(pol_diff_make(&d, set[0], set[1]), 0);
			for (int i = 0; i < 500; i++)
				one_message((const struct pol_set *const *)set, d, &t);
			pol_diff_free(d);
			done++;
		}
		pol_set_free(set[0]);
		pol_set_free(set[1]);
	}
	print_message("%u pairs of policies; told for sure and perhaps: gained %u %u, lost %u %u, max_size %u %u, log "
		      "%u %u, mode %u %u; "
		      "no difference %u\n",
		      done, t.sure[GAINED], t.perhaps[GAINED], t.sure[LOST], t.perhaps[LOST], t.sure[MAX],
		      t.perhaps[MAX], t.sure[LOG], t.perhaps[LOG], t.sure[MODE], t.perhaps[MODE], t.none);
	for (int i = 0; i < TOLD; i++)
		assert_true(t.sure[i] >= rounds / 8);
	assert_true(t.none >= rounds * 50);
}

/* A policy against itself, with deny rules that never hold put in, so that nothing is the same word for word. */
static void test_random_equals(void **state)
{
	(void)state;
	for (int round = 0; round < 40; round++) {
		struct pol_diff *d;
		p_policy(&pairs);
		struct pol_set *a = pairs_compile();
		for (int i = 0; i < R_NODES; i++)
			strcat(pairs.text[i],
			       "  - to: any\n    where: 1 > 2\n  - from: any\n    where: 'self.name == \"x\"'\n"); /* NOLINT
														    */
		struct pol_set *b = pairs_compile();
		assert_true(a != NULL && b != NULL);
		const struct pol_set *of[2] = {a, b};
		for (int i = 0; i < 3; i++) {
			assert_int_equal(pol_diff_make(&d, of[i / 2], of[(i + 1) / 2]), 0);
			if (pol_diff_count(d)) {
				char text[8192];
				fail_msg("%s", pol_change_text(pol_diff_get(d, 0), text, sizeof text));
			}
			pol_diff_free(d);
		}
		pol_set_free(a);
		pol_set_free(b);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_possible_or_not),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_terms),
	    cmocka_unit_test(test_what_a_file_says),
	    cmocka_unit_test(test_dry_runs),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_counted_together),
	    cmocka_unit_test(test_the_same_in_other_words),
	    cmocka_unit_test(test_groups_and_labels),
	    cmocka_unit_test(test_many_are_one_sentence),
	    cmocka_unit_test(test_other_schemas),
	    cmocka_unit_test(test_random_pairs),
	    cmocka_unit_test(test_random_equals),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, schemas_load, schemas_free);
}
