/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies at scale: how long a set of many unikernels takes to compile and what memory it needs at most, each in a process of its
 * own; and what a decision costs in a large set and in a small one, over equally many busy conversations, in turns. Prints one
 * JSON object a line, as micro does.
 *
 *   scale [UNIKERNELS [RULES [ROUNDS]]] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/timing.h"
#include "policy/policy.h"
#include "tests/policy/plant.h"

#define TYPES 100u
#define SMALL 10u       /* unikernels of the small set */
#define BUSY 256u       /* conversations that are asked for */
#define ASKED 200000u   /* decisions of one slice */
#define ROUNDS_MAX 64u
#define RULE_TEXT 160u  /* bytes that a rule takes at most */

static void die(const char *what)
{
	fprintf(stderr, "scale: %s\n", what);
	exit(2);
}

struct files {
	uint32_t n, rules;
	struct pol_unikernel *u;
	struct pol_text *texts;
};

/* One rule. Some have a condition, a rate, a size, as policies have. */
static size_t rule_put(char *at, size_t cap, int send, uint32_t peer, uint32_t k)
{
	static const char *const more[] = {"", "    max_size: 4KiB\n", "    rate: 100/s\n", "", "    where: this.seq > 7u\n",
					   "", "    quota: 5000/d\n", "    log: true\n", "",
					   "    where: this.seq < 1000u && size(this.data) <= 64\n"};
	int n = snprintf(at, cap, "  - %s: node-%05u\n    message: plant.T%u\n%s", send ? "to" : "from", peer, k % TYPES,
			 k % 2 ? "" : more[k / 2 % 10]);
	if (n < 0 || (size_t)n >= cap)
		die("a rule is longer than it should be");
	return (size_t)n;
}

/* Unikernel i sends to those after it what they hear from it; half of the rules each. */
static void files_make(struct files *f, uint32_t n, uint32_t rules)
{
	*f = (struct files){.n = n, .rules = rules, .u = calloc(n, sizeof *f->u), .texts = calloc(n, sizeof *f->texts)};
	if (f->u == NULL || f->texts == NULL)
		die("no memory");
	for (uint32_t i = 0; i < n; i++) {
		size_t cap = 128 + (size_t)rules * RULE_TEXT, used;
		char *text = malloc(cap), name[32], path[40];
		if (text == NULL)
			die("no memory");
		snprintf(name, sizeof name, "node-%05u", i);
		snprintf(path, sizeof path, "node-%05u.yaml", i);
		used = (size_t)snprintf(text, cap, "unikernel: %s\nlabels: {rack: r%u}\nsend:\n", name, i % 100);
		for (uint32_t k = 0; k < rules / 2; k++)
			used += rule_put(text + used, cap - used, 1, (i + 1 + k % (n - 1)) % n, k);
		used += (size_t)snprintf(text + used, cap - used, "receive:\n");
		for (uint32_t k = 0; k < rules / 2; k++)
			used += rule_put(text + used, cap - used, 0, (i + n - 1 - k % (n - 1)) % n, k);
		f->u[i] = (struct pol_unikernel){strdup(name), strdup(path)};
		f->texts[i] = (struct pol_text){realloc(text, used + 1), used};
		if (f->u[i].name == NULL || f->u[i].policy_path == NULL || f->texts[i].text == NULL)
			die("no memory");
	}
}

static struct pol_set *compiled(const struct files *f, const struct sch_set *schemas)
{
	const struct pol_source source = {.u = f->u, .n = f->n, .texts = f->texts};
	struct pol_err err = {.file = ""};
	struct pol_set *set = NULL;
	if (pol_compile(&set, &source, schemas, 1, NULL, &err) < 0) {
		fprintf(stderr, "scale: %s:%u: %s\n", err.file, err.line, err.text);
		exit(2);
	}
	return set;
}

static void put(const char *name, const char *unit, double *v, uint32_t n, const struct files *f)
{
	bench_samples_print(v, n);
	bench_sort(v, n);
	printf("\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.4g,\"min\":%.4g,\"max\":%.4g,\"n\":%u,\"params\":{\"unikernels\":%u,"
	       "\"rules_each\":%u}}\n",
	       name, unit, v[n / 2], v[0], v[n - 1], n, f->n, f->rules);
	fflush(stdout);
}

/* --- compiling ------------------------------------------------------------------------------------------------------- */

struct compiled {
	double seconds;
	double mib; /* at most resident, the texts included */
};

static struct compiled compile_apart(uint32_t n, uint32_t rules)
{
	struct compiled c = {0};
	int fd[2], status;
	if (pipe(fd) < 0)
		die("no pipe");
	pid_t pid = fork();
	if (pid < 0)
		die("no process");
	if (pid == 0) {
		struct files f;
		struct rusage use;
		struct sch_set *schemas = plant_schemas(TYPES);
		files_make(&f, n, rules);
		if (schemas == NULL)
			die("no schemas");
		uint64_t t = bench_now_ns();
		struct pol_set *set = compiled(&f, schemas);
		c.seconds = (double)(bench_now_ns() - t) * 1e-9;
		if (pol_entry_count(set) == 0 || getrusage(RUSAGE_SELF, &use) < 0)
			die("nothing was compiled");
		c.mib = (double)use.ru_maxrss / 1024;
		_exit(write(fd[1], &c, sizeof c) == sizeof c ? 0 : 2);
	}
	close(fd[1]);
	int got = read(fd[0], &c, sizeof c) == sizeof c;
	close(fd[0]);
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0 || !got)
		die("compiling failed");
	return c;
}

static void bench_compile(uint32_t n, uint32_t rules, uint32_t rounds)
{
	double seconds[ROUNDS_MAX], mib[ROUNDS_MAX];
	char name[64];
	const struct files f = {.n = n, .rules = rules};
	for (uint32_t i = 0; i < rounds; i++) {
		struct compiled c = compile_apart(n, rules);
		seconds[i] = c.seconds;
		mib[i] = c.mib;
	}
	snprintf(name, sizeof name, "policy.compile.%u.s", n);
	put(name, "s", seconds, rounds, &f);
	snprintf(name, sizeof name, "policy.compile.%u.mib", n);
	put(name, "MiB", mib, rounds, &f);
}

/* --- deciding -------------------------------------------------------------------------------------------------------- */

struct asker {
	struct files f;
	struct pol_set *set;
	struct pol_book *books;
	struct {
		uint64_t subject;
		uint16_t src, dst;
	} busy[BUSY];
	double ns[ROUNDS_MAX];
};

static void asker_make(struct asker *a, uint32_t n, uint32_t rules, const struct sch_set *schemas, uint64_t *random)
{
	files_make(&a->f, n, rules);
	a->set = compiled(&a->f, schemas);
	a->books = calloc(pol_book_count(a->set) + 1u, sizeof *a->books);
	if (a->books == NULL)
		die("no memory");
	for (uint32_t i = 0; i < BUSY;) {
		const struct pol_entry *e = pol_entry_get(a->set, (uint32_t)(bench_random(random) % pol_entry_count(a->set)));
		if (e->choice != 0 || (e->terms.book[0] | e->terms.book[1]) != 0)
			continue; /* the plain ones: the lookup is what is compared */
		a->busy[i].subject = e->subject;
		a->busy[i].src = e->src;
		a->busy[i++].dst = e->dst;
	}
}

static double ask(struct asker *a)
{
	const struct pol_when when = {.mono_ns = bench_now_ns(), .unix_s = 1700000000};
	uint32_t allowed = 0;
	uint64_t t = bench_now_ns();
	for (uint32_t i = 0; i < ASKED; i++) {
		uint32_t k = (i * 101u) % BUSY;
		allowed += pol_decide(a->set, a->books, a->busy[k].src, a->busy[k].dst, a->busy[k].subject, 64, &when).answer ==
			   POL_ALLOW;
	}
	t = bench_now_ns() - t;
	if (allowed != ASKED)
		die("something that is allowed was refused");
	return (double)t / ASKED;
}

static void bench_decide(uint32_t n, uint32_t rules, uint32_t rounds)
{
	static struct asker small, large;
	uint64_t random = 1;
	char name[64];
	struct sch_set *schemas = plant_schemas(TYPES);
	if (schemas == NULL)
		die("no schemas");
	asker_make(&small, SMALL, rules, schemas, &random);
	asker_make(&large, n, rules, schemas, &random);
	ask(&small);
	ask(&large);
	for (uint32_t i = 0; i < rounds; i++) {
		small.ns[i] = ask(&small);
		large.ns[i] = ask(&large);
	}
	double ratio = bench_least(large.ns, rounds) / bench_least(small.ns, rounds);
	snprintf(name, sizeof name, "policy.decide.%u.ns", SMALL);
	put(name, "ns", small.ns, rounds, &small.f);
	snprintf(name, sizeof name, "policy.decide.%u.ns", n);
	put(name, "ns", large.ns, rounds, &large.f);
	snprintf(name, sizeof name, "policy.decide.ratio_%u", n);
	put(name, "ratio", &ratio, 1, &large.f);
}

int main(int argc, char **argv)
{
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000, rules = argc > 2 ? strtoul(argv[2], NULL, 10) : 100,
		      rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : 15;
	if (n <= SMALL || n > POL_UNIKERNELS_MAX || rules < 2 || rules > 10000 || rounds < 1 || rounds > ROUNDS_MAX)
		die("usage: scale [UNIKERNELS [RULES [ROUNDS]]]");
	if (bench_pin() < 0)
		die("cannot stay on one core");
	bench_compile((uint32_t)n, (uint32_t)rules, rounds < 3 ? (uint32_t)rounds : 3);
	bench_decide((uint32_t)n, (uint32_t)rules, (uint32_t)rounds);
	return 0;
}
