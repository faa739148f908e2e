/* SPDX-License-Identifier: BSD-2-Clause */
/* Evidence on disk: pairs of files that are whole or not there, and not too many of them. */
#include "fabric/evidence.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fabric/client.h"
#include "fabric/decision_json.h"
#include "fabric/files.h"

#define NAME_LEN 27u /* "20261122T081333.123456Z-000"; what stands behind it is .json or .bin */
#define ENTRIES_MAX 4096u
#define WRITING_LEN 7u /* what fab_file_write() puts behind a name that it is writing to */

void fab_evidence_make(struct fab_evidence *e, const struct fab_config *config, uint64_t boot)
{
	memset(e, 0, sizeof *e);
	e->turn = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	e->config = config;
	e->boot = boot;
}

/* --- the folder ------------------------------------------------------------------------------------------------------- */

static int path_of(const struct fab_config *c, const char *name, const char *end, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/evidence%s%s%s", c->run_dir, *name ? "/" : "", name, end);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int folder_make(const struct fab_config *c)
{
	char path[PATH_MAX];
	struct stat st;
	int ret = path_of(c, "", "", path);
	if (ret)
		return ret;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (lstat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* A pair, or what is left of one. */
struct pair {
	char name[NAME_LEN + 1];
	uint64_t bytes;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct pair *)a)->name, ((const struct pair *)b)->name);
}

/* 1 when a file of ours has such a name, whole or not. */
static int is_ours(const char *file)
{
	static const char form[NAME_LEN + 1] = "ddddddddTdddddd.ddddddZ-ddd";
	size_t len = strlen(file);
	if (len <= NAME_LEN)
		return 0;
	for (size_t i = 0; i < NAME_LEN; i++)
		if (form[i] == 'd' ? file[i] < '0' || file[i] > '9' : file[i] != form[i])
			return 0;
	const char *end = file + NAME_LEN;
	size_t known = !strncmp(end, ".json", 5) ? 5 : !strncmp(end, ".bin", 4) ? 4 : 0;
	return known && (!end[known] || (end[known] == '.' && strlen(end + known) == WRITING_LEN));
}

/* What is there, oldest first; how many, or -errno. *pairs is the caller's to free. */
static int folder_read(const struct fab_config *c, struct pair **pairs)
{
	char path[PATH_MAX];
	int n = 0, ret = path_of(c, "", "", path);
	DIR *d = ret ? NULL : opendir(path);
	if (!d)
		return ret ? ret : -errno;
	struct pair *p = calloc(ENTRIES_MAX, sizeof *p);
	for (const struct dirent *e; p && (e = readdir(d)) && n < (int)ENTRIES_MAX;) {
		struct stat st;
		if (!is_ours(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		memcpy(p[n].name, e->d_name, NAME_LEN);
		p[n++].bytes = (uint64_t)st.st_size;
	}
	closedir(d);
	if (!p)
		return -ENOMEM;
	qsort(p, (size_t)n, sizeof *p, by_name);
	int last = 0;
	for (int i = 1; i < n; i++) {
		if (!strcmp(p[last].name, p[i].name))
			p[last].bytes += p[i].bytes;
		else
			p[++last] = p[i];
	}
	*pairs = p;
	return n ? last + 1 : 0;
}

/* All files of one name, with those that a crash left half-written. */
static void drop(const struct fab_config *c, const char *name)
{
	char path[PATH_MAX];
	DIR *d = path_of(c, "", "", path) ? NULL : opendir(path);
	if (!d)
		return;
	for (const struct dirent *e; (e = readdir(d));)
		if (is_ours(e->d_name) && !strncmp(e->d_name, name, NAME_LEN))
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

/* Room for one more pair of so many bytes. */
static int make_room(const struct fab_config *c, uint64_t bytes)
{
	struct pair *p = NULL;
	int n = folder_read(c, &p);
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++)
		bytes += p[i].bytes;
	for (int i = 0; i < n && ((uint32_t)(n - i) >= FAB_EVIDENCE_MAX || bytes > FAB_EVIDENCE_BYTES_MAX); i++) {
		drop(c, p[i].name);
		bytes -= p[i].bytes;
	}
	free(p);
	return 0;
}

/* --- one pair --------------------------------------------------------------------------------------------------------- */

static const char *why_name(enum dpi_why why)
{
	return why == DPI_WHY_HUNG ? "hung" : why == DPI_WHY_NONSENSE ? "nonsense" : "died";
}

static json_t *port_name(const struct fab_config *c, uint16_t port)
{
	return port && port <= c->n ? json_string(c->u[port - 1].name) : json_null();
}

static json_t *signal_name(int sig)
{
	const char *abbrev = sig ? sigabbrev_np(sig) : NULL;
	char name[24];
	if (!sig)
		return json_null();
	if (abbrev)
		snprintf(name, sizeof name, "SIG%s", abbrev);
	else
		snprintf(name, sizeof name, "signal %d", sig);
	return json_string(name);
}

static json_t *fields_json(const struct dpi_evidence_item *it)
{
	json_t *all = json_array();
	for (uint32_t i = 0; all && i < it->n_fields; i++) {
		json_t *one = json_pack("{s:I, s:I, s:I}", "field", (json_int_t)it->field[i].field, "offset",
					(json_int_t)it->field[i].offset, "len", (json_int_t)it->field[i].len);
		if (json_array_append_new(all, one) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

static json_t *pair_json(const struct fab_evidence *e, const struct dpi_evidence_item *it, uint64_t time_ns, const char *name)
{
	char boot[24], subject[24], bin[NAME_LEN + 8];
	int message = it->kind == DPI_ANSWER_MESSAGE;
	snprintf(boot, sizeof boot, "%016" PRIx64, e->boot);
	snprintf(subject, sizeof subject, "0x%016" PRIx64, it->subject);
	snprintf(bin, sizeof bin, "%s.bin", name);
	json_t *o = json_pack("{s:o, s:s, s:o, s:I, s:s, s:o}", "time", fab_time_json(time_ns), "why", why_name(it->why), "signal",
			      signal_name(it->signal), "strikes", (json_int_t)it->strikes, "kind", message ? "message" : "frame",
			      "from", port_name(e->config, it->src));
	json_t *of = message ? json_pack("{s:o, s:s, s:I, s:I, s:s, s:o}", "to", port_name(e->config, it->dst), "boot", boot,
					 "message_id", (json_int_t)it->id, "epoch", (json_int_t)it->epoch, "subject", subject,
					 "fields", fields_json(it))
			     : json_pack("{s:s}", "boot", boot);
	json_t *rest = json_pack("{s:I, s:s, s:s, s:I}", "lane", (json_int_t)it->lane, "ndpi", dpi_version(), "bytes", bin, "len",
				 (json_int_t)it->len);
	if (!o || json_object_update(o, of) < 0 || json_object_update(o, rest) < 0) {
		json_decref(o);
		o = NULL;
	}
	json_decref(of);
	json_decref(rest);
	return o;
}

static int pair_write(const struct fab_evidence *e, const struct dpi_evidence_item *it, const char *name, const char *text,
		      size_t len)
{
	char path[PATH_MAX];
	int ret = path_of(e->config, name, ".bin", path);
	if (!ret)
		ret = fab_file_write(path, it->len ? (const char *)it->bytes : "", it->len, 0600, 1);
	if (ret)
		return ret;
	/* Who sees this finds the bytes. */
	ret = path_of(e->config, name, ".json", path);
	if (!ret)
		ret = fab_file_write(path, text, len, 0600, 1);
	if (ret)
		drop(e->config, name);
	return ret;
}

static void name_of(char name[NAME_LEN + 1], uint64_t time_ns, unsigned n)
{
	time_t s = (time_t)(time_ns / 1000000000u);
	char when[16] = "00000000T000000";
	struct tm tm;
	if (gmtime_r(&s, &tm))
		strftime(when, sizeof when, "%Y%m%dT%H%M%S", &tm);
	snprintf(name, NAME_LEN + 1, "%.15s.%06" PRIu64 "Z-%03u", when, time_ns % 1000000000u / 1000u, n % 1000u);
}

static int put(const struct fab_evidence *e, const struct dpi_evidence_item *it, char name[NAME_LEN + 1])
{
	struct timespec t;
	int ret = folder_make(e->config);
	clock_gettime(CLOCK_REALTIME, &t);
	uint64_t time_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	/* A clock that went back may come to the same moment twice. */
	for (unsigned n = 0; !ret && n < 1000; n++) {
		name_of(name, time_ns, n);
		json_t *o = pair_json(e, it, time_ns, name);
		char *text = o ? json_dumps(o, JSON_INDENT(1)) : NULL;
		json_decref(o);
		ret = text ? make_room(e->config, (uint64_t)it->len + strlen(text)) : -ENOMEM;
		if (!ret)
			ret = pair_write(e, it, name, text, strlen(text));
		free(text);
		if (ret != -EEXIST)
			break;
		ret = 0;
	}
	return ret;
}

/* --- what the keeper calls --------------------------------------------------------------------------------------------- */

static const char *named(const struct fab_config *c, uint16_t port)
{
	return port && port <= c->n ? c->u[port - 1].name : "?";
}

/* Whoever sends what ends inspectors must not fill the disk with lines. */
static void say_what(struct fab_evidence *e, const struct dpi_evidence_item *it, const char *name)
{
	static const char *const did[] = {"died of", "hung on", "answered nonsense to"};
	const char *why = did[it->why == DPI_WHY_HUNG ? 1 : it->why == DPI_WHY_NONSENSE ? 2 : 0];
	char what[160];
	uint64_t left_out;
	if (!fab_lines_take(&e->lines, fab_now_ns(), &left_out))
		return;
	if (left_out)
		fprintf(stderr, "weftd: %" PRIu64 " lines like these were left out\n", left_out);
	if (it->kind == DPI_ANSWER_MESSAGE)
		snprintf(what, sizeof what, "message %" PRIu32 " from %s to %s", it->id, named(e->config, it->src),
			 named(e->config, it->dst));
	else
		snprintf(what, sizeof what, "a frame from %s", named(e->config, it->src));
	fprintf(stderr, "weftd: an inspector %s %s%s%s%s%s\n", why, what,
		*name ? "; it is kept as evidence/" : "; it is lost", name, *name ? ".json" : "",
		it->strikes >= DPI_STRIKES ? ", and such content is refused untried from now on" : "");
}

void fab_evidence_put(void *arg, const struct dpi_evidence_item *it)
{
	struct fab_evidence *e = arg;
	char name[NAME_LEN + 1] = "";
	pthread_mutex_lock(&e->turn);
	int ret = put(e, it, name);
	if (ret) {
		name[0] = 0;
		if (!e->broken)
			fprintf(stderr, "weftd: %s/evidence cannot be written: %s; what ends inspectors is lost until it can\n",
				e->config->run_dir, strerror(-ret));
	}
	e->broken = ret != 0;
	say_what(e, it, name);
	pthread_mutex_unlock(&e->turn);
}

void fab_evidence_say(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "weftd: %s\n", text);
}
