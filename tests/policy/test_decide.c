/* SPDX-License-Identifier: BSD-2-Clause */
/* The evaluator: each answer by hand, then against a slow and obvious model over random policies and times, and the
 * bound on a lookup. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest-lib/wire.h"
#include "policy/index.h"
#include "policy/table.h"
#include "tests/policy/plant.h"

#define SECOND UINT64_C(1000000000)
#define START  (100 * SECOND)

enum { METER = 1, HUB = 2, VALVE = 3 };

static struct sch_set *schemas;

static int setup(void **state)
{
	(void)state;
	schemas = plant_schemas(8);
	return schemas != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	sch_set_free(schemas);
	return 0;
}

static struct pol_set *compiled(const char *meter, const char *hub, const char *valve)
{
	const struct pol_text text[3] = {{meter, strlen(meter)}, {hub, strlen(hub)}, {valve, strlen(valve)}};
	struct pol_err err = {0};
	struct pol_set *set = NULL;
	if (plant_compile(&set, plant_unikernel, 3, text, schemas, 1, &err) < 0)
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
	return set;
}

static void assert_answer(const struct pol_set *set, struct pol_book *buckets, uint16_t src, uint16_t dst,
			  const char *subject, uint32_t bytes, uint64_t now_ns, enum pol_answer answer, uint32_t rule)
{
	struct pol_decision d = plant_decide(set, buckets, src, dst, weft_subject(subject), bytes, now_ns);
	assert_int_equal(d.answer, answer);
	assert_int_equal(d.rule, rule);
	int denied = answer == POL_SEND_DENIED || answer == POL_RECEIVE_DENIED || answer == POL_SUBJECT_UNKNOWN;
	assert_int_equal(d.entry == NULL, denied);
}

static void test_each_answer(void **state)
{
	(void)state;
	/* Rules: meter 1 send, 2 and 3 defaults; hub 4 default, 5 and 6 receive, 7 default; valve 8 and 9 defaults. */
	struct pol_set *set = compiled("unikernel: meter\nsend:\n  - to: [hub, valve]\n    message: plant.Reading\n"
				       "    max_size: 100B\n    rate: 2/s\n",
				       "unikernel: hub\nreceive:\n  - from: meter\n    message: plant.Reading\n"
				       "  - from: meter\n    message: plant.Alarm\n",
				       "unikernel: valve\n");
	struct pol_book b[1] = {{0}};
	assert_int_equal(pol_book_count(set), 1);
	assert_answer(set, b, METER, HUB, "plant.Reading", 100, START, POL_ALLOW, 1);
	assert_answer(set, b, METER, HUB, "plant.Reading", 101, START, POL_TOO_LARGE, 1);
	assert_answer(set, b, METER, HUB, "plant.Reading", 0, START, POL_ALLOW, 1);
	assert_answer(set, b, METER, HUB, "plant.Reading", 0, START, POL_OVER_RATE, 1);
	assert_answer(set, b, METER, HUB, "plant.Alarm", 0, START, POL_SEND_DENIED, 2);
	assert_answer(set, b, METER, VALVE, "plant.Reading", 0, START, POL_RECEIVE_DENIED, 9);
	assert_answer(set, b, METER, VALVE, "plant.Alarm", 0, START, POL_SEND_DENIED, 2);
	assert_answer(set, b, METER, HUB, "plant.Nothing", 0, START, POL_SUBJECT_UNKNOWN, 0);
	assert_answer(set, b, HUB, METER, "plant.Reading", 0, START, POL_SEND_DENIED, 4);
	assert_answer(set, b, VALVE, HUB, "plant.Valve/Act", 0, START, POL_SEND_DENIED, 8);
	assert_answer(set, b, METER, METER, "plant.Reading", 0, START, POL_SEND_DENIED, 2);
	/* Nobody. */
	assert_answer(set, b, METER, 0, "plant.Reading", 0, START, POL_SEND_DENIED, 2);
	assert_answer(set, b, METER, 4, "plant.Reading", 0, START, POL_SEND_DENIED, 2);
	assert_answer(set, b, METER, UINT16_MAX, "plant.Reading", 0, START, POL_SEND_DENIED, 2);
	assert_answer(set, b, 0, HUB, "plant.Reading", 0, START, POL_SEND_DENIED, 0);
	assert_answer(set, b, 4, HUB, "plant.Reading", 0, START, POL_SEND_DENIED, 0);
	struct pol_decision d = plant_decide(set, b, 0, 0, 0, 0, START);
	assert_int_equal(d.answer, POL_SUBJECT_UNKNOWN);
	assert_null(d.entry);
	assert_string_equal(pol_rule(set, 9)->text, "default: receive nothing else");
	pol_set_free(set);
}

static void test_receiver_limits_are_named(void **state)
{
	(void)state;
	struct pol_set *set = compiled("unikernel: meter\nsend:\n  - to: hub\n    message: plant.Reading\n",
				       "unikernel: hub\nreceive:\n  - from: meter\n    message: plant.Reading\n"
				       "    max_size: 10B\n    rate: 1/m\n",
				       "unikernel: valve\n");
	struct pol_book b[1] = {{0}};
	assert_answer(set, b, METER, HUB, "plant.Reading", 11, START, POL_TOO_LARGE, 5);
	assert_answer(set, b, METER, HUB, "plant.Reading", 10, START, POL_ALLOW, 1);
	assert_answer(set, b, METER, HUB, "plant.Reading", 10, START + 60 * SECOND - 1, POL_OVER_RATE, 5);
	assert_answer(set, b, METER, HUB, "plant.Reading", 10, START + 60 * SECOND, POL_ALLOW, 1);
	pol_set_free(set);
}

static void test_buckets_over_time(void **state)
{
	(void)state;
	static const struct {
		const char *rate;
		uint64_t step_ns; /* between attempts */
		uint32_t attempts;
		uint32_t least, most; /* allowed of them */
	} cases[] = {
	    {"    rate: 100/s\n", SECOND / 1000, 10000, 1099, 1099}, /* 9.999 s at 100/s, and the burst */
	    {"    rate: 100/s\n    burst: 1\n", SECOND / 1000, 10000, 1000, 1001},
	    {"    rate: 100/s\n    burst: 20\n", SECOND / 100, 1000, 1000, 1000}, /* exactly at the rate */
	    {"    rate: 100/s\n    burst: 20\n", SECOND / 99, 1000, 1000, 1000},
	    {"    rate: 60/m\n", SECOND / 2, 1200, 600, 601}, /* one per second: half of them */
	    {"    rate: 1/h\n", SECOND * 60, 600, 10, 11},
	    {"    rate: 3600/h\n    burst: 10\n", SECOND / 10, 1000, 109, 110},
	    {"    rate: 3/s\n", SECOND / 30, 3000, 300, 303}, /* 1/3 s does not divide */
	    {"    rate: 10000000/s\n    burst: 1\n", 10, 100000, 9999, 10001},
	    {"    rate: 7000000/s\n    burst: 1\n", 1, 1000000, 6993, 6994}, /* rounded down, never up */
	    {"    rate: 1/s\n    burst: 1000000\n", 1, 1000001, 1000000, 1000000},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char meter[256];
		snprintf(meter, sizeof meter, "unikernel: meter\nsend:\n  - to: hub\n    message: plant.Reading\n%s",
			 cases[i].rate);
		struct pol_set *set = compiled(meter, plant_hub, plant_valve);
		struct pol_book b[2] = {{0}, {0}};
		assert_int_equal(pol_book_count(set), 2);
		uint32_t allowed = 0;
		uint64_t subject = weft_subject("plant.Reading");
		for (uint32_t k = 0; k < cases[i].attempts; k++)
			allowed += plant_decide(set, b, METER, HUB, subject, 1, START + k * cases[i].step_ns).answer ==
				   POL_ALLOW;
		if (allowed < cases[i].least || allowed > cases[i].most)
			fail_msg("case %zu: %u allowed, expected %u to %u", i, allowed, cases[i].least, cases[i].most);
		pol_set_free(set);
	}
}

static void test_a_refused_message_costs_nothing(void **state)
{
	(void)state;
	struct pol_set *set = compiled("unikernel: meter\nsend:\n  - to: hub\n    message: plant.Reading\n"
				       "    rate: 10/s\n    burst: 2\n    max_size: 8B\n",
				       "unikernel: hub\nreceive:\n  - from: meter\n    message: plant.Reading\n"
				       "    rate: 1/h\n    burst: 1\n",
				       plant_valve);
	struct pol_book b[3] = {{0}};
	uint64_t r = weft_subject("plant.Reading");
	assert_int_equal(plant_decide(set, b, METER, HUB, r, 1, START).answer, POL_ALLOW);
	struct pol_book before[2] = {b[0], b[1]};
	for (int i = 0; i < 100; i++) {
		struct pol_decision d = plant_decide(set, b, METER, HUB, r, 1, START);
		assert_int_equal(d.answer, POL_OVER_RATE);
		assert_int_equal(d.rule, 5); /* the receiver's: the sender's own bucket still has room */
		assert_int_equal(plant_decide(set, b, METER, HUB, r, 9, START).answer, POL_TOO_LARGE);
	}
	assert_memory_equal(before, b, sizeof before);
	pol_set_free(set);
}

static void test_one_bucket_for_all_of_a_rule(void **state)
{
	(void)state;
	struct pol_set *set =
	    compiled("unikernel: meter\nsend:\n  - to: [hub, valve]\n"
		     "    message: [plant.Reading, plant.Alarm]\n    rate: 4/h\n    burst: 4\n",
		     "unikernel: hub\nreceive:\n  - from: meter\n    message: [plant.Reading, plant.Alarm]\n",
		     "unikernel: valve\nreceive:\n  - from: meter\n    message: [plant.Reading, plant.Alarm]\n");
	struct pol_book b[1] = {{0}};
	assert_int_equal(pol_book_count(set), 1);
	assert_answer(set, b, METER, HUB, "plant.Reading", 0, START, POL_ALLOW, 1);
	assert_answer(set, b, METER, HUB, "plant.Alarm", 0, START, POL_ALLOW, 1);
	assert_answer(set, b, METER, VALVE, "plant.Reading", 0, START, POL_ALLOW, 1);
	assert_answer(set, b, METER, VALVE, "plant.Alarm", 0, START, POL_ALLOW, 1);
	assert_answer(set, b, METER, HUB, "plant.Reading", 0, START, POL_OVER_RATE, 1);
	assert_answer(set, b, METER, VALVE, "plant.Alarm", 0, START, POL_OVER_RATE, 1);
	pol_set_free(set);
}

/* A clock that stands still or starts at zero must not let more through. */
static void test_odd_clocks(void **state)
{
	(void)state;
	struct pol_set *set =
	    compiled("unikernel: meter\nsend:\n  - to: hub\n    message: plant.Reading\n    rate: 5/s\n", plant_hub,
		     plant_valve);
	static const uint64_t at[] = {0, 1, START, UINT64_C(1) << 61};
	uint64_t r = weft_subject("plant.Reading");
	for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
		struct pol_book b[2] = {{0}, {0}};
		int allowed = 0;
		for (int k = 0; k < 50; k++)
			allowed += plant_decide(set, b, METER, HUB, r, 0, at[i]).answer == POL_ALLOW;
		assert_int_equal(allowed, 5);
		/* Going back: refused, and recovers. */
		assert_int_equal(plant_decide(set, b, METER, HUB, r, 0, at[i] / 2).answer, POL_OVER_RATE);
		assert_int_equal(plant_decide(set, b, METER, HUB, r, 0, at[i] + SECOND).answer, POL_ALLOW);
	}
	pol_set_free(set);
}

/* --- the model: rules as they are written, searched one by one
 * --------------------------------------------------------- */

enum { NODES = 9, SUBJECTS = 14, MODEL_RULES = 6 };
#define MODEL_UNKNOWN 32u /* beside the bits of protocols */

struct model_rule {
	uint32_t peers, subjects; /* bit sets */
	int methods;
	uint32_t max_bytes;    /* 0: not said */
	uint32_t per_s, burst; /* 0: not said */
	uint32_t carries;      /* bit set of protocols; 0: not said */
	int log;
	uint32_t id;
	uint64_t room_ns; /* what the bucket holds now, as time */
	uint64_t last_ns;
};

struct model {
	struct model_rule rule[NODES][2][MODEL_RULES];
	int n[NODES][2];
	uint32_t default_rule[NODES][2];
	int doubled; /* two rules of one file cover the same: the first one counts */
};

static const char *const subject_name[SUBJECTS] = {"plant.Valve/Act", "plant.Valve/Ask", "plant.Reading", "plant.Alarm",
						   "plant.Order",     "plant.Receipt",	 "plant.T0",	  "plant.T1",
						   "plant.T2",	      "plant.T3",	 "plant.T4",	  "plant.T5",
						   "plant.T6",	      "plant.Nothing"};
static const char *const protocol_name[5] = {"HTTP", "TLS", "SSH", "DNS", "MQTT"};
static const char *const protocol_name_lower[5] = {"http", "tls", "ssh", "dns", "mqtt"};

static uint64_t random_state = 88172645463325252u;

static uint32_t draw(uint32_t n) /* Marsaglia's xorshift64: the same policies in every run */
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 33) % n;
}

static char *put_names(char *p, const char *key, uint32_t bits, const char *const *names, int node)
{
	char one[16];
	p += sprintf(p, "    %s:%s", key, draw(2) ? " [" : "\n      [");
	for (uint32_t i = 0, first = 1; i < 32; i++)
		if (bits >> i & 1) {
			snprintf(one, sizeof one, "n%u", i);
			p += sprintf(p, "%s%s", first ? "" : ", ", node ? one : names[i]);
			first = 0;
		}
	return p + sprintf(p, "]\n");
}

static void model_make(struct model *m, char text[NODES][8192])
{
	memset(m, 0, sizeof *m);
	uint32_t id = 0;
	for (int u = 0; u < NODES; u++) {
		char *p = text[u];
		p += sprintf(p, "unikernel: n%d\n", u);
		for (int side = 0; side < 2; side++) {
			uint32_t covered[NODES] = {0};
			p += sprintf(p, "%s:\n", side == 0 ? "send" : "receive");
			int tries = (int)draw(MODEL_RULES + 1);
			for (int k = 0; k < tries; k++) {
				struct model_rule r = {0};
				r.methods = draw(4) == 0;
				r.peers = (draw(1u << NODES) | draw(1u << NODES)) & ~(1u << u);
				r.subjects = r.methods ? draw(4)
						       : (draw(1u << (SUBJECTS - 1)) &
							  (k == 0 ? ~3u : draw(1u << (SUBJECTS - 1)) & ~3u));
				int clash = 0;
				for (int v = 0; v < NODES; v++)
					clash |= (r.peers >> v & 1) && (covered[v] & r.subjects) != 0;
				if (r.peers == 0 || r.subjects == 0 || (clash && draw(4) != 0))
					continue;
				m->doubled |= clash;
				for (int v = 0; v < NODES; v++)
					if (r.peers >> v & 1)
						covered[v] |= r.subjects;
				r.max_bytes = draw(2) ? draw(2000) + 1 : 0;
				r.per_s = draw(2) ? draw(20) + 1 : 0;
				r.burst = r.per_s != 0 && draw(2) ? draw(10) + 1 : 0;
				r.carries = draw(3) == 0 ? draw(32) : 0;
				r.log = draw(4) == 0;
				p += sprintf(p, "  -\n");
				p = put_names(p, side == 0 ? "to" : "from", r.peers, NULL, 1);
				p = put_names(p, r.methods ? "method" : "message", r.subjects, subject_name, 0);
				if (r.max_bytes != 0)
					p += sprintf(p, "    max_size: %uB\n", r.max_bytes);
				if (r.per_s != 0)
					p += sprintf(p, "    rate: %u/s\n", r.per_s);
				if (r.burst != 0)
					p += sprintf(p, "    burst: %u\n", r.burst);
				if (r.carries != 0)
					p = put_names(p, "carries", r.carries,
						      draw(2) ? protocol_name : protocol_name_lower, 0);
				if (r.log)
					p += sprintf(p, "    log: true\n");
				r.id = ++id;
				r.room_ns = UINT64_MAX; /* full: clipped at first use */
				m->rule[u][side][m->n[u][side]++] = r;
			}
			m->default_rule[u][side] = ++id;
		}
	}
}

static struct model_rule *model_find(struct model *m, int u, int side, int peer, int subject)
{
	for (int k = 0; k < m->n[u][side]; k++) {
		struct model_rule *r = &m->rule[u][side][k];
		if ((r->peers >> peer & 1) && (r->subjects >> subject & 1))
			return r;
	}
	return NULL;
}

/* Fills the bucket by the time that has passed and says whether it holds one message's worth. */
static int model_room(struct model_rule *r, uint64_t now_ns)
{
	if (r->per_s == 0)
		return 1;
	uint64_t cost = (SECOND + r->per_s - 1) / r->per_s, full = cost * (r->burst != 0 ? r->burst : r->per_s);
	uint64_t passed = now_ns - r->last_ns;
	r->room_ns = r->room_ns >= full || full - r->room_ns <= passed ? full : r->room_ns + passed;
	r->last_ns = now_ns;
	return r->room_ns >= cost;
}

static void model_take(struct model_rule *r)
{
	if (r->per_s != 0)
		r->room_ns -= (SECOND + r->per_s - 1) / r->per_s;
}

static enum pol_answer model_decide(struct model *m, int src, int dst, int subject, uint32_t bytes, uint64_t now_ns,
				    uint32_t *rule, uint32_t *carries, int *log)
{
	struct model_rule *s = model_find(m, src, 0, dst, subject), *r = model_find(m, dst, 1, src, subject);
	*rule = 0;
	if (subject == SUBJECTS - 1)
		return POL_SUBJECT_UNKNOWN;
	*rule = m->default_rule[src][0];
	if (s == NULL)
		return POL_SEND_DENIED;
	*rule = m->default_rule[dst][1];
	if (r == NULL)
		return POL_RECEIVE_DENIED;
	uint32_t s_max = s->max_bytes != 0 ? s->max_bytes : POL_PAYLOAD_MAX;
	uint32_t r_max = r->max_bytes != 0 ? r->max_bytes : POL_PAYLOAD_MAX;
	*rule = r_max < s_max ? r->id : s->id;
	if (bytes > s_max || bytes > r_max)
		return POL_TOO_LARGE;
	int s_room = model_room(s, now_ns), r_room = model_room(r, now_ns);
	*rule = !s_room ? s->id : !r_room ? r->id : s->id;
	if (!s_room || !r_room)
		return POL_OVER_RATE;
	model_take(s);
	model_take(r);
	*carries = (s->carries != 0 ? s->carries : MODEL_UNKNOWN) & (r->carries != 0 ? r->carries : MODEL_UNKNOWN);
	*log = s->log || r->log;
	return POL_ALLOW;
}

/* Here names have nothing to do with each other: what all lists have. */
static uint32_t content_bits(const struct pol_set *set, uint32_t content)
{
	const struct pol_content_list *lists[2];
	uint32_t n = pol_content(set, content, lists), all = MODEL_UNKNOWN << 1;
	assert_true(n >= 1);
	for (all--; n > 0; n--) {
		uint32_t bits = 0;
		for (uint32_t i = 0; i < lists[n - 1]->n_allow; i++) {
			const char *name = lists[n - 1]->allow[i];
			bits |= strcmp(name, "unknown") == 0 ? MODEL_UNKNOWN : 0;
			for (uint32_t k = 0; k < 5; k++)
				bits |= strcasecmp(name, protocol_name[k]) == 0 ? 1u << k : 0;
		}
		all &= bits;
	}
	return all;
}

static void compare(struct model *m, const struct pol_set *set, uint64_t *decisions, uint64_t by_answer[POL_ANSWER_COUNT])
{
	static struct pol_book buckets[256];
	assert_true(pol_book_count(set) <= 256);
	memset(buckets, 0, sizeof buckets);
	uint64_t now = START;
	for (int round = 0; round < 4; round++)
		for (int src = 0; src < NODES; src++)
			for (int dst = 0; dst < NODES; dst++)
				for (int subject = 0; subject < SUBJECTS; subject++) {
					uint32_t bytes = draw(4) ? draw(1000) : draw(3000), rule, carries = 0;
					int log = 0;
					now += draw(2000000);
					struct pol_decision d =
					    plant_decide(set, buckets, (uint16_t)(src + 1), (uint16_t)(dst + 1),
						       weft_subject(subject_name[subject]), bytes, now);
					enum pol_answer want =
					    model_decide(m, src, dst, subject, bytes, now, &rule, &carries, &log);
					assert_int_equal(d.answer, want);
					assert_int_equal(d.rule, rule);
					if (want == POL_ALLOW) {
						assert_int_equal(content_bits(set, d.terms.content), carries);
						assert_int_equal(d.terms.log, log);
					}
					++*decisions;
					by_answer[want]++;
				}
}

/* The names that a content set's lists allow, "a,b&c". */
static const char *content_names(const struct pol_set *set, uint32_t content, char out[128])
{
	const struct pol_content_list *lists[2];
	uint32_t n = pol_content(set, content, lists);
	size_t len = 0;
	out[0] = '\0';
	for (uint32_t k = 0; k < n; k++)
		for (uint32_t i = 0; i < lists[k]->n_allow || (i == 0 && k > 0); i++)
			len += (size_t)snprintf(out + len, 128 - len, "%s%s", i > 0 ? "," : k > 0 ? "&" : "",
						i < lists[k]->n_allow ? lists[k]->allow[i] : "");
	return out;
}

/* What content passes: under the rules that are chosen, by the rule that is in force where the other is only observed, and for
 * sure before anything is chosen. */
static void test_content_of_choices(void **state)
{
	(void)state;
#define SENDS "  - to: hub\n    message: plant.Reading\n"
#define TAKES "  - from: meter\n    message: plant.Reading\n"
#define SEND "send:\n" SENDS
#define RECEIVE "receive:\n" TAKES
#define IF_LARGE "    where: this.seq > 5u\n"
#define HTTP "    carries: HTTP\n"
#define SSH "    carries: SSH\n"
#define NONE "    carries: none\n"
#define OBSERVE "    mode: observe\n"
	static const struct {
		const char *meter, *hub;
		const char *small, *large; /* of a message whose number is up to 5, or more; NULL: refused */
		const char *hard;          /* NULL: no side is only observed */
		const char *sure;          /* NULL: nothing hangs on the message */
	} cases[] = {
	    {SEND IF_LARGE HTTP SENDS, RECEIVE "    carries: [HTTP, unknown]\n", "unknown", "HTTP", NULL, ""},
	    {SEND IF_LARGE HTTP, RECEIVE HTTP, NULL, "HTTP", NULL, "HTTP"},
	    {SEND IF_LARGE SENDS, RECEIVE, "unknown", "unknown", NULL, "unknown"},
	    {SEND IF_LARGE SENDS, RECEIVE "    carries: text\n", "unknown&text", "unknown&text", NULL, "unknown&text"},
	    {SEND OBSERVE, RECEIVE SSH, "unknown&SSH", "unknown&SSH", "SSH", NULL},
	    {SEND NONE, RECEIVE SSH OBSERVE, "", "", "", NULL},
	    /* a side without a rule says nothing of content */
	    {"mode: observe\n", RECEIVE SSH, "SSH", "SSH", "SSH", NULL},
	    {SEND "    carries: [text, json]\n", "mode: observe\n", "json,text", "json,text", "json,text", NULL},
	    {"mode: observe\n", RECEIVE IF_LARGE SSH TAKES NONE, "", "SSH", "*", ""},
	    {"mode: observe\n", RECEIVE IF_LARGE SSH, NULL, "SSH", "*", "SSH"},
	};
#undef SENDS
#undef TAKES
#undef SEND
#undef RECEIVE
#undef IF_LARGE
#undef HTTP
#undef SSH
#undef NONE
#undef OBSERVE
	const struct pol_when when = {.mono_ns = START};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char meter[512], hub[512], names[128];
		snprintf(meter, sizeof meter, "unikernel: meter\n%s", cases[i].meter);
		snprintf(hub, sizeof hub, "unikernel: hub\n%s", cases[i].hub);
		struct pol_set *set = compiled(meter, hub, "unikernel: valve\n");
		for (uint8_t large = 0; large < 2; large++) {
			uint8_t msg[2 + 32] = {0x08, large ? 9 : 3}; /* what the schema's reader may look at behind it, too */
			struct pol_decision d = plant_decide(set, NULL, METER, HUB, weft_subject("plant.Reading"), 2, START);
			assert_int_equal(d.answer == POL_JUDGE, cases[i].sure != NULL);
			if (d.answer == POL_JUDGE) {
				assert_string_equal(content_names(set, d.terms.content, names), cases[i].sure);
				pol_judge(set, NULL, METER, HUB, msg, 2, &when, &d);
			}
			const char *want = large ? cases[i].large : cases[i].small;
			assert_int_equal(d.answer == POL_ALLOW, want != NULL);
			if (want == NULL)
				continue;
			assert_string_equal(content_names(set, d.terms.content, names), want);
			assert_int_equal(d.terms.soft != 0, cases[i].hard != NULL);
			if (cases[i].hard != NULL)
				assert_string_equal(content_names(set, d.hard_content, names),
						    cases[i].hard[0] == '*' ? want : cases[i].hard);
		}
		pol_set_free(set);
	}
}

/* meter may send readings to the hub under these limits; the hub hears all. */
static struct pol_set *limited(const char *limits)
{
	char text[256];
	snprintf(text, sizeof text, "unikernel: meter\nsend:\n  - name: r\n    to: hub\n    message: plant.Reading\n%s", limits);
	return compiled(text, "unikernel: hub\nreceive:\n  - from: meter\n    message: plant.Reading\n", "unikernel: valve\n");
}

/* What was given away under one set's limits, under another's. */
static void test_books_that_follow(void **state)
{
	static const struct {
		const char *before, *after;
		uint32_t sent, left;    /* of the set after, at once */
		uint64_t again_ns;      /* then one more passes after so long; 0: not looked at */
	} cases[] = {
	    {"    quota: 9/d\n", "    quota: 5/d\n", 7, 0, 0}, /* more is used than there is */
	    {"    quota: 9/d\n", "    quota: 7/d\n", 7, 0, 0},
	    {"    quota: 9/d\n", "    quota: 8/d\n", 7, 1, 0},
	    {"    quota: 90B/d\n", "    quota: 9/d\n", 7, 9, 0}, /* bytes are no messages */
	    {"", "    quota: 9/d\n", 7, 9, 0},
	    {"    rate: 1/h\n    burst: 1000000\n", "    rate: 100/s\n", 1000000, 0, SECOND / 100},
	    {"    rate: 1/h\n    burst: 1000000\n", "    rate: 100/s\n", 30, 70, SECOND / 100},
	    {"    rate: 100/s\n", "    rate: 1/h\n    burst: 1000000\n", 100, 999900, 3600 * SECOND},
	    {"    rate: 100/s\n", "    rate: 1/h\n    burst: 10\n", 100, 0, 3600 * SECOND},
	    {"    rate: 100/s\n", "    rate: 100/s\n", 99, 1, SECOND / 100},
	    {"    rate: 100/s\n    quota: 9/d\n", "    quota: 9/d\n", 9, 0, 0},
	    {"    quota: 9/d\n", "    rate: 1/h\n", 7, 1, 3600 * SECOND},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct pol_set *before = limited(cases[i].before), *after = limited(cases[i].after);
		struct pol_book from = {0}, to = {.used = 12345};
		uint64_t subject = weft_subject("plant.Reading");
		for (uint32_t k = 0; k < cases[i].sent; k++)
			assert_int_equal(plant_decide(before, &from, METER, HUB, subject, 1, START).answer, POL_ALLOW);
		assert_int_equal(pol_book_count(after), 1);
		if (pol_book_count(before) > 0)
			pol_book_follow(after, 0, &to, before, 0, &from, START);
		else
			to = (struct pol_book){0};
		uint32_t left = 0;
		while (left < 2000000 && plant_decide(after, &to, METER, HUB, subject, 1, START).answer == POL_ALLOW)
			left++;
		assert_int_equal(left, cases[i].left);
		if (cases[i].again_ns != 0) {
			uint64_t at = START + cases[i].again_ns;
			assert_int_equal(plant_decide(after, &to, METER, HUB, subject, 1, at - 1).answer, POL_OVER_RATE);
			assert_int_equal(plant_decide(after, &to, METER, HUB, subject, 1, at).answer, POL_ALLOW);
		}
		pol_set_free(before);
		pol_set_free(after);
	}
}

/* What is told of a refusal is about it, not about what was only observed before. */
static void test_why_is_of_the_answer(void **state)
{
	static const char *const limits[] = {"    max_size: 1B\n", "    rate: 1/h\n", "    quota: 1/d\n"};
	static const enum pol_answer answers[] = {POL_TOO_LARGE, POL_OVER_RATE, POL_OVER_QUOTA};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char hub[256];
		snprintf(hub, sizeof hub, "unikernel: hub\nreceive:\n  - from: meter\n    message: plant.Reading\n%s", limits[i]);
		struct pol_set *set = compiled("unikernel: meter\nsend:\n  - to: hub\n    message: plant.Reading\n"
					       "    mode: observe\n    where: 1u / this.seq == 1u\n",
					       hub, "unikernel: valve\n");
		struct pol_book b[1] = {{0}};
		const struct pol_when when = {.mono_ns = START};
		uint8_t none[2 + SCH_PAD] = {0x08, 0x00};
		for (unsigned k = i > 0; k < 2; k++) {
			uint32_t len = i == 0 ? 2 : 0;
			struct pol_decision d = pol_decide(set, b, METER, HUB, weft_subject("plant.Reading"), len, &when);
			assert_int_equal(d.answer, POL_JUDGE);
			pol_judge(set, b, METER, HUB, none, len, &when, &d);
			if (i > 0 && d.answer == POL_ALLOW) {
				assert_int_equal(d.observed, POL_WHERE_UNMET);
				assert_string_equal(d.why, "division by zero");
				k = 0;
				continue;
			}
			assert_int_equal(d.answer, answers[i]);
			assert_null(d.why);
		}
		pol_set_free(set);
	}
}

static void test_quotas_and_clocks_that_are_set(void **state)
{
	static const struct {
		int64_t unix_s;
		uint32_t left;
	} at[] = {
	    {1700000000, 3},             /* a day */
	    {1700000000 + 86400, 3},     /* the next */
	    {1700000000, 0},             /* an hour or a day back: the same quota */
	    {1700000000 + 86400, 0},
	    {1700000000 + 300000000, 3}, /* far ahead by mistake ... */
	    {1700000000 + 90000, 3},     /* ... and right again */
	    {1700000000 + 90001, 0},
	    {-1, 3},                     /* before 1970 */
	    {-2, 0},
	};
	(void)state;
	struct pol_set *set = limited("    quota: 3/d\n");
	struct pol_book b = {0};
	for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
		const struct pol_when when = {.mono_ns = START, .unix_s = at[i].unix_s};
		uint32_t left = 0;
		while (left < 9 &&
		       pol_decide(set, &b, METER, HUB, weft_subject("plant.Reading"), 1, &when).answer == POL_ALLOW)
			left++;
		assert_int_equal(left, at[i].left);
	}
	pol_set_free(set);
}

/* What all conditions of a message cost is bounded, however many there are: then they cannot be judged, which lets nothing
 * through. */
static void test_conditions_share_a_budget(void **state)
{
	static const char heavy[] = "[1,2,3,4,5,6,7,8].all(x, [1,2,3,4,5,6,7,8].all(y, [1,2,3,4,5,6,7,8].all(z, x + y > 0)))";
	static char meter[64 << 10];
	(void)state;
	for (unsigned deny = 0; deny < 2; deny++)
		for (unsigned rules = 1; rules <= 62; rules += 61) {
			size_t n = (size_t)sprintf(meter, "unikernel: meter\n");
			for (unsigned i = 0; deny && i < rules; i++)
				n += (size_t)sprintf(meter + n, "%s  - to: hub\n    where: '!%s || this.seq == %uu'\n",
						     i == 0 ? "deny:\n" : "", heavy, i + 1);
			n += (size_t)sprintf(meter + n, "send:\n");
			for (unsigned i = 0; !deny && i < rules; i++)
				n += (size_t)sprintf(meter + n,
						     "  - to: hub\n    message: plant.Reading\n"
						     "    where: '!%s || this.seq == %uu'\n", heavy, i + 1);
			sprintf(meter + n, "  - to: hub\n    message: plant.Reading\n");
			struct pol_set *set = compiled(meter, "unikernel: hub\nreceive:\n  - from: meter\n"
							      "    message: plant.Reading\n    where: this.seq == 0u\n",
						       "unikernel: valve\n");
			const struct pol_when when = {.mono_ns = START};
			struct pol_decision d =
			    pol_decide(set, NULL, METER, HUB, weft_subject("plant.Reading"), 0, &when);
			assert_int_equal(d.answer, POL_JUDGE);
			uint8_t none[SCH_PAD] = {0};
			pol_judge(set, NULL, METER, HUB, none, 0, &when, &d);
			if (rules == 1) {
				assert_int_equal(d.answer, POL_ALLOW);
			} else {
				assert_int_equal(d.answer, deny ? POL_FORBIDDEN : POL_WHERE_UNMET);
				assert_string_equal(d.why, "more steps than an evaluation may take");
			}
			pol_set_free(set);
		}
}

static void test_against_the_model(void **state)
{
	(void)state;
	static struct model m;
	static char text[NODES][8192];
	struct pol_unikernel u[NODES];
	struct pol_text t[NODES];
	char name[NODES][16];
	uint64_t decisions = 0, by_answer[POL_ANSWER_COUNT] = {0}, doubled = 0;
	for (int policy = 0; policy < 80; policy++) {
		model_make(&m, text);
		for (int i = 0; i < NODES; i++) {
			snprintf(name[i], sizeof name[i], "n%d", i);
			u[i] = (struct pol_unikernel){name[i], name[i]};
			t[i] = (struct pol_text){text[i], strlen(text[i])};
		}
		struct pol_err err = {0};
		struct pol_set *set = NULL;
		int rc = plant_compile(&set, u, NODES, t, schemas, 1, &err);
		doubled += (uint64_t)m.doubled;
		if (rc < 0)
			fail_msg("%s:%u: %s\n%s", err.file, err.line, err.text, text[atoi(err.file + 1)]);
		compare(&m, set, &decisions, by_answer);
		pol_set_free(set);
	}
	print_message(
	    "%llu decisions as the model has them: %llu allowed, %llu send, %llu receive, %llu size, %llu rate, "
	    "%llu unknown; %llu policies with doubled rules\n",
	    (unsigned long long)decisions, (unsigned long long)by_answer[POL_ALLOW],
	    (unsigned long long)by_answer[POL_SEND_DENIED], (unsigned long long)by_answer[POL_RECEIVE_DENIED],
	    (unsigned long long)by_answer[POL_TOO_LARGE], (unsigned long long)by_answer[POL_OVER_RATE],
	    (unsigned long long)by_answer[POL_SUBJECT_UNKNOWN], (unsigned long long)doubled);
	assert_true(decisions >= 100000);
	static const enum pol_answer reached[] = {POL_ALLOW,	   POL_SEND_DENIED, POL_RECEIVE_DENIED,
						  POL_TOO_LARGE, POL_OVER_RATE,	    POL_SUBJECT_UNKNOWN};
	for (size_t i = 0; i < sizeof reached / sizeof reached[0]; i++)
		assert_true(by_answer[reached[i]] >= 100);
	assert_true(doubled >= 1);
}

/* --- the tables
 * -------------------------------------------------------------------------------------------------------- */

static void check_layout(const uint64_t *keys, uint32_t n)
{
	struct pol_table t;
	uint32_t *slots, found = 0;
	assert_int_equal(pol_table_lay(&t, keys, n, &slots), 0);
	assert_true(t.probes >= 1 && t.probes <= POL_PROBE_MAX);
	for (uint32_t k = 0; k < n; k++) {
		uint32_t home = pol_table_home(&t, keys[k]);
		assert_true(home <= t.mask);
		for (uint32_t p = 0; p < t.probes && slots[(home + p) & t.mask] != 0; p++)
			if (slots[(home + p) & t.mask] == k + 1) {
				found++;
				break;
			}
	}
	assert_int_equal(found, n);
	free(slots);
}

static void test_tables_are_bounded(void **state)
{
	(void)state;
	enum { N = 1 << 20 };
	static uint64_t keys[N];
	for (uint32_t i = 0; i < N; i++)
		keys[i] = pol_hash_mix(i + 1);
	check_layout(keys, 0);
	check_layout(keys, 1);
	for (uint32_t n = 2; n <= N; n *= 4)
		check_layout(keys, n);
	check_layout(keys, N);
	check_layout(keys, N / 2 + 1);
}

static void test_table_with_equal_keys_is_refused(void **state)
{
	(void)state;
	uint64_t keys[POL_PROBE_MAX + 1];
	struct pol_table t;
	uint32_t *slots;
	for (uint32_t i = 0; i <= POL_PROBE_MAX; i++)
		keys[i] = 42;
	check_layout(keys, POL_PROBE_MAX);
	assert_int_equal(pol_table_lay(&t, keys, POL_PROBE_MAX + 1, &slots), -ENOSPC);
}

static void test_hash_is_the_wires(void **state)
{
	(void)state;
	for (int i = 0; i < SUBJECTS; i++)
		assert_int_equal(pol_hash_text(subject_name[i]), weft_subject(subject_name[i]));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_answer),
	    cmocka_unit_test(test_receiver_limits_are_named),
	    cmocka_unit_test(test_buckets_over_time),
	    cmocka_unit_test(test_a_refused_message_costs_nothing),
	    cmocka_unit_test(test_one_bucket_for_all_of_a_rule),
	    cmocka_unit_test(test_odd_clocks),
	    cmocka_unit_test(test_books_that_follow),
	    cmocka_unit_test(test_why_is_of_the_answer),
	    cmocka_unit_test(test_quotas_and_clocks_that_are_set),
	    cmocka_unit_test(test_conditions_share_a_budget),
	    cmocka_unit_test(test_against_the_model),
	    cmocka_unit_test(test_content_of_choices),
	    cmocka_unit_test(test_tables_are_bounded),
	    cmocka_unit_test(test_table_with_equal_keys_is_refused),
	    cmocka_unit_test(test_hash_is_the_wires),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
