/* SPDX-License-Identifier: BSD-2-Clause */
/* weftd: reads a fabric's configuration, policies and schemas, starts DPDK, the control thread and the ports, and runs
 * the poll loop. `weftd FABRIC.yaml` stays in the foreground; `weft up` starts it in the background. */
#include <argp.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
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
	int core; /* -1: any */
};

static int parse(int key, char *arg, struct argp_state *st)
{
	struct options *o = st->input;

	switch (key) {
	case 'c': {
		char *end;
		long n = strtol(arg, &end, 10);

		if (*arg == '\0' || *end != '\0' || n < 0 || n >= CPU_SETSIZE)
			argp_error(st, "--core takes a CPU number, not '%s'", arg);
		o->core = (int)n;
		return 0;
	}
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
static int start_eal(int core, int huge)
{
	char lcores[32 + CPU_SETSIZE * 5] = "0@(";
	char program[] = "weftd", in_memory[] = "--in-memory", no_pci[] = "--no-pci", no_huge[] = "--no-huge",
	     no_shconf[] = "--no-shconf", m[] = "-m", mb[] = "64", no_telemetry[] = "--no-telemetry",
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
static void other_cpus(cpu_set_t *others, int core)
{
	CPU_ZERO(others);
	if (core >= 0 && sched_getaffinity(0, sizeof(*others), others) == 0)
		CPU_CLR((size_t)core, others);
}

/* Secrets must not reach a core file or a swap device; both are best effort for an ordinary user. */
static void keep_secrets_in(void)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) != 0)
		fprintf(stderr, "weftd: core files could not be switched off: %s\n", strerror(errno));
}

/* A port needs about seven descriptors, and the usual soft limit is 1,024. */
static void allow_descriptors(uint32_t ports)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0)
		return;
	l.rlim_cur = l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur < 64u + 8u * (rlim_t)ports)
		fprintf(stderr, "weftd: %llu descriptors may be too few for %u ports (ulimit -Hn)\n",
			(unsigned long long)l.rlim_cur, ports);
}

static int run(struct fab *f, struct fab_epochs *epochs, const struct options *o, const cpu_set_t *others, int huge, char *err,
	       size_t cap)
{
	struct fab_worker w;
	struct fab_control *control = NULL;
	struct sigaction sa = {.sa_handler = on_signal};
	char settings[320];
	int r = fab_worker_make(&w, f, f->config->busy);

	if (r != 0) {
		snprintf(err, cap, "eventfd or epoll: %s", strerror(-r));
		return r;
	}
	char core[24] = "any core", inspect[40] = "inline";

	if (o->core >= 0)
		snprintf(core, sizeof(core), "core %d", o->core);
	if (f->iso != NULL)
		snprintf(inspect, sizeof(inspect), "isolated by %u process%s", f->lanes, f->lanes == 1 ? "" : "es");
	snprintf(settings, sizeof(settings), "%s, nDPI %s, content inspected %s, AES-GCM by %s, %s, poll %s, %s", rte_version(),
		 dpi_version(), inspect, fab_aead_backend(), huge ? "hugepages" : "no hugepages",
		 f->config->busy ? "busy" : "sleep", core);
	fprintf(stderr, "weftd: %s: %u ports; %s\n", f->config->name, f->n_ports, settings);
	if (f->dpi != NULL)
		fprintf(stderr, "weftd: `inspect: inline`: nDPI parses what guests send in this very process, which holds "
				"everyone's keys; that is for measuring, never for service\n");

	struct fab_control_view view = {
		.config = f->config,
		.epochs = epochs,
		.fab = f,
		.ports = f->port_counters,
		.stages = f->stage,
		.swaps = &f->swap,
		.iso = f->iso,
		.ring = f->ring,
		.tsc_hz = rte_get_tsc_hz(),
		.boot = f->boot,
		.settings = settings,
		.stop = &w.stop,
		.stop_fd = w.wake_fd,
		.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
	};
	w.control_fd = view.wake_fd;
	signalled = &w;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);

	r = start_control(&control, &view, others, err, cap);
	if (r == 0)
		r = fab_vhost_start(&w, err, cap);
	if (r == 0)
		fab_worker_run(&w);
	atomic_store(&w.ended, 1); /* also when the loop never began: the vhost thread must not wait for it */
	fab_vhost_stop();
	if (control != NULL)
		fab_control_finish(control);
	if (view.wake_fd >= 0)
		close(view.wake_fd);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	fab_worker_close(&w);
	return r;
}

int main(int argc, char **argv)
{
	static const struct argp_option opts[] = {
		{"core", 'c', "CPU", 0, "run the data path on this CPU (default: wherever the scheduler likes)", 0},
		{0},
	};
	static const struct argp argp = {opts, parse, "FABRIC.yaml", "The fabric's switch. Ends on SIGTERM or `weft down`.",
					 NULL, NULL, NULL};
	struct options o = {.core = -1};
	struct fab_config *config = NULL;
	struct fab_epochs *epochs = NULL;
	struct fab_inspector inspector = {.dpi = NULL};
	struct fab_evidence evidence;
	struct fab_decision_ring *ring = NULL;
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
	r = fab_rundir_make(config, err, sizeof(err));
	if (r != 0)
		goto out;
	allow_descriptors(config->n);
	other_cpus(&others, o.core);
	r = start_eal(o.core, huge);
	if (r != 0) {
		snprintf(err, sizeof(err), "DPDK's environment does not start: %s", rte_strerror(rte_errno));
		goto out;
	}
	fab_evidence_make(&evidence, config, boot);
	r = start_inspector(&inspector, config, &others, &evidence, err, sizeof(err));
	if (r != 0)
		goto out;
	ring = fab_decision_ring_make(DECISION_RING);
	r = ring == NULL ? -ENOMEM : fab_make(&f, config, fab_epochs_now(epochs), inspector, ring, boot);
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
	fab_decision_ring_free(ring);
	dpi_isolate_stop(inspector.iso);
	dpi_close(inspector.dpi);
	fab_epochs_close(epochs);
	fab_config_free(config);
	return r == 0 ? 0 : 2;
}
