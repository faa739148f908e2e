/* SPDX-License-Identifier: BSD-2-Clause */
/* weftd: reads a fabric's configuration, policies and schemas, starts DPDK, the control thread and the ports, and runs
 * the poll loop. `weftd FABRIC.yaml` stays in the foreground; `weft up` starts it in the background. */
#include <argp.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/eventfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_version.h>
#include <sodium.h>

#include "control.h"
#include "cores.h"
#include "epochs.h"
#include "evidence.h"
#include "keys.h"
#include "proc.h"
#include "quarantine_kept.h"
#include "rundir.h"
#include "vhost.h"

#define DECISION_RING 8192u
#define HUGETLBFS_MAGIC_NUMBER 0x958458f6

/* The signal handler's only way to the loop; set once before handlers are installed. */
static struct fab_worker *signalled;

struct options {
	const char *file;
	uint32_t n_cores;
	int core[FAB_WORKERS_MAX]; /* of each worker; none: wherever the scheduler likes */
};

/* "0,1,4-6"; 0 or -1. */
static int read_cores(struct options *o, const char *text)
{
	for (o->n_cores = 0; o->n_cores < FAB_WORKERS_MAX;) {
		char *end;
		long from = strtol(text, &end, 10), to = from;

		if (end == text || from < 0)
			return -1;
		if (*end == '-') {
			text = end + 1;
			to = strtol(text, &end, 10);
			if (end == text)
				return -1;
		}
		if (to < from || to >= CPU_SETSIZE || to - from >= (long)(FAB_WORKERS_MAX - o->n_cores))
			return -1;
		while (from <= to)
			o->core[o->n_cores++] = (int)from++;
		if (*end == '\0')
			return 0;
		if (*end != ',')
			return -1;
		text = end + 1;
	}
	return -1;
}

static int parse(int key, char *arg, struct argp_state *st)
{
	struct options *o = st->input;

	switch (key) {
	case 'c':
		if (read_cores(o, arg) != 0)
			argp_error(st, "--cores takes CPU numbers such as 1 or 2,3 or 4-7, at most %u, not '%s'", FAB_WORKERS_MAX,
				   arg);
		return 0;
	case ARGP_KEY_ARG:
		if (o->file != NULL)
			argp_error(st, "one fabric.yaml, please");
		o->file = arg;
		return 0;
	case ARGP_KEY_END:
		if (o->file == NULL)
			argp_error(st, "which fabric? give its fabric.yaml");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void on_signal(int sig)
{
	int saved = errno;

	(void)sig;
	atomic_store(&signalled->stop, 1);
	fab_worker_wake(signalled);
	errno = saved; /* of whatever was interrupted */
}

/* The first mount of a hugetlbfs that this user may write to, with free pages: then DPDK can use it. */
static int hugepages_usable(void)
{
	struct statfs fs;

	return statfs("/dev/hugepages", &fs) == 0 && (uint64_t)fs.f_type == HUGETLBFS_MAGIC_NUMBER && fs.f_bfree > 0 &&
	       access("/dev/hugepages", W_OK) == 0;
}

/* DPDK's lcore 0 is this thread, on the CPUs that it may use or on the one that was asked for. */
static int start_eal(int core, int huge, uint32_t ports)
{
	char lcores[32 + CPU_SETSIZE * 5] = "0@(";
	char program[] = "weftd", in_memory[] = "--in-memory", no_pci[] = "--no-pci", no_huge[] = "--no-huge",
	     no_shconf[] = "--no-shconf", m[] = "-m", mb[16], no_telemetry[] = "--no-telemetry",
	     opt[] = "--lcores";
	char *argv[12];
	int argc = 0;
	size_t at = strlen(lcores);
	cpu_set_t set;

	CPU_ZERO(&set);
	if (core >= 0)
		CPU_SET((size_t)core, &set);
	else if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return -errno;
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set))
			at += (size_t)snprintf(lcores + at, sizeof(lcores) - at, "%s%zu", lcores[at - 1] == '(' ? "" : ",",
					       i);
	snprintf(lcores + at, sizeof(lcores) - at, ")");
	/* Without hugepages there is no more later on; what is not used is not there either. */
	snprintf(mb, sizeof(mb), "%u", huge ? 64u : 64u + ports * FAB_VHOST_PORT_KIB / 1024u);
	argv[argc++] = program;
	argv[argc++] = no_pci;
	argv[argc++] = no_telemetry;
	argv[argc++] = opt;
	argv[argc++] = lcores;
	argv[argc++] = m;
	argv[argc++] = mb;
	/* Either way no file is shared with another process. */
	argv[argc++] = huge ? in_memory : no_shconf;
	if (!huge)
		argv[argc++] = no_huge;
	argv[argc] = NULL;
	rte_log_set_global_level(RTE_LOG_WARNING);
	return rte_eal_init(argc, argv) < 0 ? -EIO : 0;
}

static int load_keys(struct fab *f, char *err, size_t cap)
{
	uint8_t secret[FAB_KEY_LEN];
	char path[PATH_MAX];
	int r;

	if (fab_path_secret(f->config, "fabric", path, sizeof(path)) != 0)
		return -ENAMETOOLONG;
	r = fab_key_secret_read(path, secret, err, cap);
	for (uint32_t i = 1; r == 0 && i <= f->n_ports; i++) {
		struct weft_identity *id = &f->port[i].id;

		memcpy(id->secret, secret, sizeof(secret));
		if (fab_path_public(f->config, id->name, path, sizeof(path)) != 0)
			r = -ENAMETOOLONG;
		else
			r = fab_key_public_read(path, id->peer_public, err, cap);
	}
	sodium_memzero(secret, sizeof(secret));
	return r;
}

static int load(const char *file, struct fab_config **config, struct fab_epochs **epochs, char *err, size_t cap)
{
	struct pol_err pe = {.file = ""};
	int r = fab_config_load(config, file, &pe);

	if (r == 0)
		r = fab_epochs_open(epochs, *config, err, cap);
	else
		snprintf(err, cap, "%s:%u: %s", pe.file, pe.line, pe.text);
	return r;
}

/* Threads and processes inherit where they may run, and this thread's core may be the data path's alone: schemas that are compiled
 * there, or content that is inspected, would take it away from the messages. Returns whether there is a way back, to own. */
static int step_aside(const cpu_set_t *others, cpu_set_t *own)
{
	return CPU_COUNT(others) > 0 && sched_getaffinity(0, sizeof(*own), own) == 0 &&
	       sched_setaffinity(0, sizeof(*others), others) == 0;
}

static void step_back(const cpu_set_t *own)
{
	/* It was there a moment ago. */
	if (sched_setaffinity(0, sizeof(*own), own) != 0)
		fprintf(stderr, "weftd: the data path's core is lost: %s\n", strerror(errno));
}

static int start_control(struct fab_control **control, const struct fab_control_view *view, const cpu_set_t *others, char *err,
			 size_t cap)
{
	cpu_set_t own;
	int moved = step_aside(others, &own), r = fab_control_start(control, view, err, cap);

	if (moved)
		step_back(&own);
	return r;
}

static int start_inspector(struct fab_inspector *i, const struct fab_config *c, const cpu_set_t *others,
			   struct fab_evidence *evidence, char *err, size_t cap)
{
	char program[PATH_MAX];
	struct dpi_isolate_config config = {
		.program = fab_proc_beside("weft-dpi", program),
		.lanes = c->inspectors,
		.evidence = fab_evidence_put,
		.say = fab_evidence_say,
		.arg = evidence,
	};
	struct dpi_err de = {""};
	cpu_set_t own;
	int moved, r;

	if (c->inspect_inline) {
		r = dpi_open(&i->dpi, &de);
	} else {
		moved = step_aside(others, &own);
		r = dpi_isolate_start(&i->iso, &config, &de);
		if (moved)
			step_back(&own);
	}
	if (r != 0)
		snprintf(err, cap, "%s", de.text);
	return r;
}

/* The CPUs that weftd may use, but for the data path's own. */
static void other_cpus(cpu_set_t *others, const struct options *o)
{
	CPU_ZERO(others);
	if (o->n_cores == 0 || sched_getaffinity(0, sizeof(*others), others) != 0)
		return;
	for (uint32_t i = 0; i < o->n_cores; i++)
		CPU_CLR((size_t)o->core[i], others);
}

/* Secrets must not reach a core file or a swap device; both are best effort for an ordinary user. */
static void keep_secrets_in(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) != 0)
		fprintf(stderr, "weftd: core files could not be switched off: %s\n", strerror(errno));
}

/* A port needs up to sixteen descriptors, and the usual soft limit is 1,024. Where this is not enough, vhost.c says so. */
static void allow_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0)
		return;
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) != 0)
		fprintf(stderr, "weftd: the limit of descriptors cannot be raised: %s\n", strerror(errno));
}

/* Everything of the data path but the first worker, which is this thread. */
struct crew {
	struct fab_worker w[FAB_WORKERS_MAX];
	pthread_t thread[FAB_WORKERS_MAX];
	uint32_t made, running;
};

static void *work(void *arg)
{
	struct fab_worker *w = arg;
	char name[16];
	cpu_set_t own;

	snprintf(name, sizeof(name), "weft-worker-%u", w->f->core);
	pthread_setname_np(pthread_self(), name); /* for people; the first one is called as the program */
	if (w->cpu >= 0) {
		CPU_ZERO(&own);
		CPU_SET((size_t)w->cpu, &own);
		if (sched_setaffinity(0, sizeof(own), &own) != 0)
			fprintf(stderr, "weftd: worker %u cannot run on CPU %d: %s\n", w->f->core, w->cpu, strerror(errno));
	}
	fab_worker_run(w);
	return NULL;
}

static int crew_make(struct crew *c, struct fab *f, const struct options *o, char *err, size_t cap)
{
	for (; c->made < f->cores->n; c->made++) {
		int r = fab_worker_make(c->w, f->cores->core[c->made], f->config->busy);

		if (r != 0) {
			snprintf(err, cap, "eventfd or epoll: %s", strerror(-r));
			return r;
		}
		c->w[c->made].cpu = o->n_cores > 0 ? o->core[c->made] : -1;
	}
	return 0;
}

static int crew_start(struct crew *c, char *err, size_t cap)
{
	for (c->running = 1; c->running < c->made; c->running++) {
		int r = pthread_create(&c->thread[c->running], NULL, work, &c->w[c->running]);

		if (r != 0) {
			snprintf(err, cap, "a worker's thread does not start: %s", strerror(r));
			return -r;
		}
	}
	return 0;
}

/* After the first one's loop, or where it never began: then nobody else has ended them. */
static void crew_end(struct crew *c)
{
	for (uint32_t i = 0; i < c->made; i++) {
		atomic_store(&c->w[i].stop, 1);
		fab_worker_wake(&c->w[i]);
	}
	for (uint32_t i = 1; i < c->running; i++)
		pthread_join(c->thread[i], NULL);
	for (uint32_t i = 0; i < c->made; i++)
		atomic_store(&c->w[i].ended, 1); /* the vhost thread must not wait for it */
}

static void say_cores(const struct options *o, char *out, size_t cap)
{
	size_t at = (size_t)snprintf(out, cap, "core");

	if (o->n_cores == 0)
		snprintf(out, cap, "any core");
	for (uint32_t i = 0; i < o->n_cores && at < cap; i++)
		at += (size_t)snprintf(out + at, cap - at, "%s%d", i == 0 ? " " : ",", o->core[i]);
}

static int run(struct fab *f, struct fab_epochs *epochs, const struct options *o, const cpu_set_t *others, int huge, char *err,
	       size_t cap)
{
	static struct crew crew;
	struct fab_control *control = NULL;
	struct sigaction sa = {.sa_handler = on_signal};
	char settings[400], cores[100], inspect[60] = "inline";
	int r = crew_make(&crew, f, o, err, cap);

	if (r != 0)
		return r;
	say_cores(o, cores, sizeof(cores));
	if (f->iso != NULL)
		snprintf(inspect, sizeof(inspect), "isolated by %u process%s", f->lanes * f->cores->n,
			 f->lanes * f->cores->n == 1 ? "" : "es");
	snprintf(settings, sizeof(settings), "%s, nDPI %s, content inspected %s, AES-GCM by %s, %s, poll %s, %u worker%s on %s",
		 rte_version(), dpi_version(), inspect, fab_aead_backend(), huge ? "hugepages" : "no hugepages",
		 f->config->busy ? "busy" : "sleep", f->cores->n, f->cores->n == 1 ? "" : "s", cores);
	fprintf(stderr, "weftd: %s: %u ports; %s\n", f->config->name, f->n_ports, settings);
	if (f->dpi != NULL)
		fprintf(stderr, "weftd: `inspect: inline`: nDPI parses what guests send in this very process, which holds "
				"everyone's keys; that is for measuring, never for service\n");

	struct fab_control_view view = {
		.config = f->config,
		.epochs = epochs,
		.fab = f,
		.ports = f->port_counters,
		.swaps = &f->swap,
		.workers = crew.w,
		.n_rings = f->cores->n,
		.tsc_hz = rte_get_tsc_hz(),
		.boot = f->boot,
		.settings = settings,
		.stop = &crew.w[0].stop,
		.stop_fd = crew.w[0].wake_fd,
		.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
	};
	for (uint32_t i = 0; i < f->cores->n; i++) {
		view.ring[i] = f->cores->core[i]->ring;
		crew.w[i].control_fd = view.wake_fd;
	}
	signalled = &crew.w[0];
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);

	r = start_control(&control, &view, others, err, cap);
	if (r == 0)
		r = crew_start(&crew, err, cap);
	if (r == 0)
		r = fab_vhost_start(crew.w, err, cap);
	if (r == 0)
		fab_worker_run(&crew.w[0]);
	crew_end(&crew);
	fab_vhost_stop();
	if (control != NULL)
		fab_control_finish(control);
	if (view.wake_fd >= 0)
		close(view.wake_fd);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	for (uint32_t i = 0; i < crew.made; i++)
		fab_worker_close(&crew.w[i]);
	return r;
}

/* Each worker has inspectors and a ring of its own: nothing on the data path is shared that need not be. */
struct means {
	struct fab_inspector inspector[FAB_WORKERS_MAX];
	struct fab_decision_ring *ring[FAB_WORKERS_MAX];
};

static int means_make(struct means *m, const struct fab_config *c, const cpu_set_t *others, struct fab_evidence *evidence,
		      char *err, size_t cap)
{
	for (uint32_t i = 0; i < c->workers; i++) {
		int r = start_inspector(&m->inspector[i], c, others, evidence, err, cap);

		if (r != 0)
			return r;
		m->ring[i] = fab_decision_ring_make(DECISION_RING);
		if (m->ring[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static void means_free(struct means *m)
{
	for (uint32_t i = 0; i < FAB_WORKERS_MAX; i++) {
		fab_decision_ring_free(m->ring[i]);
		dpi_isolate_stop(m->inspector[i].iso);
		dpi_close(m->inspector[i].dpi);
	}
}

static int make(struct fab **f, const struct fab_config *c, struct fab_epoch *epoch, const struct means *m, uint64_t boot)
{
	int r = fab_make(f, c, epoch, m->inspector[0], m->ring[0], boot);

	for (uint32_t i = 1; r == 0 && i < c->workers; i++)
		r = fab_core_add(*f, m->inspector[i], m->ring[i]);
	return r;
}

int main(int argc, char **argv)
{
	static const struct argp_option opts[] = {
		{"cores", 'c', "CPUS", 0,
		 "run the data path on these CPUs, one for each of its workers (default: wherever the scheduler likes)", 0},
		{0},
	};
	static const struct argp argp = {opts, parse, "FABRIC.yaml", "The fabric's switch. Ends on SIGTERM or `weft down`.",
					 NULL, NULL, NULL};
	struct options o = {.n_cores = 0};
	struct fab_config *config = NULL;
	struct fab_epochs *epochs = NULL;
	struct fab_evidence evidence;
	struct means means = {.ring = {NULL}};
	struct fab *f = NULL;
	char err[1024] = "";
	uint64_t boot = 0;
	cpu_set_t others;
	int huge = hugepages_usable(), r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	keep_secrets_in();
	r = -EIO;
	if (sodium_init() < 0 || fab_aead_start() != 0) {
		snprintf(err, sizeof(err), "libsodium does not start");
		goto out;
	}
	r = load(o.file, &config, &epochs, err, sizeof(err));
	if (r != 0)
		goto out;
	while (boot == 0)
		randombytes_buf(&boot, sizeof(boot));
	if (o.n_cores != 0 && o.n_cores != config->workers) {
		snprintf(err, sizeof(err), "%s asks for %u worker%s and --cores names %u; one core for each", config->path,
			 config->workers, config->workers == 1 ? "" : "s", o.n_cores);
		r = -EINVAL;
		goto out;
	}
	r = fab_rundir_make(config, err, sizeof(err));
	if (r != 0)
		goto out;
	allow_descriptors();
	other_cpus(&others, &o);
	r = start_eal(o.n_cores > 0 ? o.core[0] : -1, huge, config->n);
	if (r != 0) {
		snprintf(err, sizeof(err), "DPDK's environment does not start: %s", rte_strerror(rte_errno));
		goto out;
	}
	fab_evidence_make(&evidence, config, boot);
	r = means_make(&means, config, &others, &evidence, err, sizeof(err));
	if (r != 0)
		goto out;
	r = make(&f, config, fab_epochs_now(epochs), &means, boot);
	if (r == 0)
		r = load_keys(f, err, sizeof(err));
	if (r == 0)
		r = fab_quarantine_recall(f, err, sizeof(err));
	if (r == 0)
		r = run(f, epochs, &o, &others, huge, err, sizeof(err));
out:
	if (r != 0 && err[0] != '\0')
		fprintf(stderr, "weftd: %s\n", err);
	else if (r == -ENOMEM)
		fprintf(stderr, "weftd: no memory\n");
	fab_free(f);
	means_free(&means);
	fab_epochs_close(epochs);
	fab_config_free(config);
	return r == 0 ? 0 : 2;
}
