/* SPDX-License-Identifier: BSD-2-Clause */
/* Quarantines on disk. */
#include "fabric/quarantine_kept.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fabric/config.h"
#include "fabric/fabric.h"
#include "fabric/fail.h"
#include "fabric/files.h"

#define KEPT_BYTES 256u

static int path_of(const struct fab_config *c, uint16_t port, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/%s.quarantine", c->run_dir, c->u[port - 1].name);
	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int fab_quarantine_keep(const struct fab_config *c, const struct fab_decision *d)
{
	char path[PATH_MAX] = "", text[KEPT_BYTES];
	if ((d->event != FAB_EVENT_QUARANTINED && d->event != FAB_EVENT_LIFTED) || d->observed || !d->src || d->src > c->n)
		return 0;
	int ret = path_of(c, d->src, path);
	if (!ret && d->event == FAB_EVENT_LIFTED) {
		ret = unlink(path) < 0 && errno != ENOENT ? -errno : 0;
	} else if (!ret) {
		int n = snprintf(text, sizeof text, "{\"since_ns\":%" PRIu64 ",\"verdict\":\"%s\"}\n", d->time_ns,
				 weft_verdict_name(d->verdict));
		ret = fab_file_write(path, text, (size_t)n, 0600, 0);
	}
	if (ret)
		fprintf(stderr, "weftd: %s: %s; %s\n", path, strerror(-ret),
			d->event == FAB_EVENT_LIFTED ? "remove it, or the quarantine is back when weftd starts again"
						     : "the quarantine ends when weftd does");
	return ret;
}

static uint16_t verdict_of(const char *name)
{
	for (uint16_t v = 0; name && v < WEFT_VERDICT_MAX; v++)
		if (!strcmp(name, weft_verdict_name(v)))
			return v;
	return WEFT_V_UNDECIDED;
}

int fab_quarantine_recall(struct fab *f, char *err, size_t cap)
{
	for (uint16_t port = 1; port <= f->n_ports; port++) {
		char path[PATH_MAX], text[KEPT_BYTES];
		int ret = path_of(f->config, port, path);
		if (ret)
			return fab_fail(err, cap, ret, "%s: the path is too long", f->config->run_dir);
		ssize_t n = fab_file_read(path, text, sizeof text, 0);
		if (n == -ENOENT)
			continue;
		json_t *o = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
		json_int_t since = json_integer_value(json_object_get(o, "since_ns"));
		struct fab_quarantine q = {
			.quarantined = 1,
			.since_ns = since > 0 ? (uint64_t)since : 0,
			.verdict = verdict_of(json_string_value(json_object_get(o, "verdict"))),
		};
		json_decref(o);
		fab_quarantine_restore(f, port, &q);
		fprintf(stderr, "weftd: %s is quarantined still; `weft quarantine lift %s` ends it\n", f->config->u[port - 1].name,
			f->config->u[port - 1].name);
	}
	return 0;
}
