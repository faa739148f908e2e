/* SPDX-License-Identifier: BSD-2-Clause */
/* KVM or TCG, by experiment. How guests are started is guest.c's matter. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

#include "fabric/accel.h"
#include "fabric/client.h"
#include "fabric/config.h"
#include "fabric/files.h"
#include "fabric/probe.h"
#include "fabric/proc.h"

#define PROBE_NS 1500000000ull /* hardware KVM answers within 0.2 s */
#define TSC_SAMPLE_NS 50000000l

static int path_in(const struct fab_config *c, const char *name, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/%s", c->run_dir, name);
	return n < 0 || n >= PATH_MAX ? -1 : 0;
}

int fab_accel_probe(const struct fab_config *c, const char *qemu, enum fab_accel accel, char *why, size_t why_cap)
{
	static uint8_t image[FAB_PROBE_BYTES]; /* written here only, always with the same bytes */
	char elf[PATH_MAX], out[PATH_MAX];
	if (path_in(c, "probe.elf", elf) < 0 || path_in(c, "probe.log", out) < 0) {
		snprintf(why, why_cap, "%s: the path is too long", c->run_dir);
		return 0;
	}
	fab_probe_image(image);
	int ret = fab_file_write(elf, (const char *)image, sizeof image, 0600, 0);
	if (ret) {
		snprintf(why, why_cap, "%s: %s", elf, strerror(-ret));
		return 0;
	}
	const char *argv[] = { qemu, "-M", "microvm,acpi=off", "-accel", accel == FAB_ACCEL_KVM ? "kvm" : "tcg",
			       "-cpu", accel == FAB_ACCEL_KVM ? "host" : "max", "-m", "16", "-kernel", elf,
			       "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
			       "-device", "isa-debug-exit,iobase=" FAB_PROBE_PORT ",iosize=0x04", NULL };
	pid_t pid;
	char err[256];
	int ran = 0, status = 0;
	if (fab_proc_spawn((char *const *)(uintptr_t)argv, out, 0, -1, &pid, err, sizeof err) < 0) {
		snprintf(why, why_cap, "%s", err);
		goto done;
	}
	uint64_t deadline = fab_now_ns() + PROBE_NS;
	pid_t got;
	while ((got = waitpid(pid, &status, WNOHANG)) == 0 && fab_now_ns() < deadline)
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	if (got == 0) {
		kill(pid, SIGKILL); /* our own unreaped child: the pid is its */
		waitpid(pid, &status, 0);
		snprintf(why, why_cap, "a 64-bit probe guest did not answer in %.1f s", (double)PROBE_NS / 1e9);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == FAB_PROBE_STATUS) {
		ran = 1;
		snprintf(why, why_cap, "a 64-bit probe guest ran");
	} else if (WIFEXITED(status)) {
		snprintf(why, why_cap, "a 64-bit probe guest did not run (QEMU exit status %d, see %s)",
			 WEXITSTATUS(status), out);
	} else {
		snprintf(why, why_cap, "QEMU died of signal %d with a 64-bit probe guest", WTERMSIG(status));
	}
done:
	unlink(elf);
	if (ran)
		unlink(out);
	return ran;
}

enum fab_accel fab_accel_choose(const struct fab_config *c, const char *qemu, char *why, size_t why_cap)
{
	char cache[PATH_MAX], text[512], boot[64], found[300];
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		snprintf(why, why_cap, "/dev/kvm cannot be opened: %s", strerror(errno));
		return FAB_ACCEL_TCG;
	}
	close(fd);
	ssize_t n = fab_file_read("/proc/sys/kernel/random/boot_id", boot, sizeof boot, 0);
	boot[n > 0 ? strcspn(boot, "\n") : 0] = 0;
	/* "BOOT_ID kvm|tcg reason" */
	if (path_in(c, "accel", cache) < 0)
		cache[0] = 0;
	size_t key = strlen(boot);
	if (cache[0] && key && fab_file_read(cache, text, sizeof text, 0) > 0 && !strncmp(text, boot, key) &&
	    (!strncmp(text + key, " kvm ", 5) || !strncmp(text + key, " tcg ", 5))) {
		text[strcspn(text, "\n")] = 0;
		snprintf(why, why_cap, "%s", text + key + 5);
		return text[key + 1] == 'k' ? FAB_ACCEL_KVM : FAB_ACCEL_TCG;
	}
	int ran = fab_accel_probe(c, qemu, FAB_ACCEL_KVM, found, sizeof found);
	snprintf(why, why_cap, "%s under KVM", found);
	int len = snprintf(text, sizeof text, "%s %s %s under KVM\n", boot, ran ? "kvm" : "tcg", found);
	if (cache[0] && key && len > 0 && (size_t)len < sizeof text)
		fab_file_write(cache, text, (size_t)len, 0600, 0); /* without it, the next time probes again */
	return ran ? FAB_ACCEL_KVM : FAB_ACCEL_TCG;
}

#if defined(__x86_64__)
/* The counter and the clock at one moment: the closest of some tries. */
static void sample(uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;
	for (int i = 0; i < 8; i++) {
		uint64_t before = __rdtsc(), now = fab_now_ns(), after = __rdtsc();
		if (after - before < best) {
			best = after - before;
			*tsc = before + (after - before) / 2;
			*ns = now;
		}
	}
}
#endif

uint32_t fab_tsc_khz(void)
{
#if defined(__x86_64__)
	unsigned a, b, c, d = 0;
	if (!__get_cpuid(0x80000007u, &a, &b, &c, &d) || !(d & (1u << 8))) /* invariant TSC */
		return 0;
	uint64_t tsc0 = 0, ns0 = 0, tsc1 = 0, ns1 = 0;
	sample(&tsc0, &ns0);
	nanosleep(&(struct timespec){ .tv_nsec = TSC_SAMPLE_NS }, NULL);
	sample(&tsc1, &ns1);
	if (ns1 <= ns0 || tsc1 <= tsc0)
		return 0;
	double khz = (double)(tsc1 - tsc0) * 1e6 / (double)(ns1 - ns0);
	return khz > 1e5 && khz < 1e8 ? (uint32_t)(khz + 0.5) : 0;
#else
	return 0;
#endif
}
