/* SPDX-License-Identifier: BSD-2-Clause */
/* Quarantine as the control socket's clients see it. Who is cut off and when is the data path's matter. */
#include "fabric/control_quarantine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fabric/client.h"
#include "fabric/config.h"
#include "fabric/control.h"
#include "fabric/decision_json.h"
#include "fabric/fabric.h"
#include "fabric/stats_json.h"

#define TAKE_NS 3000000000ull

static json_t *list(const struct fab_control_view *v)
{
	json_t *a = json_array();
	for (uint32_t i = 0; a && i < v->config->n; i++) {
		json_t *q = fab_quarantine_json(v, (uint16_t)(i + 1));
		if (json_is_null(q))
			continue;
		if (!q || json_object_set_new(q, "name", json_string(v->config->u[i].name)) < 0 ||
		    json_array_append_new(a, q) < 0) {
			json_decref(a);
			return NULL;
		}
	}
	char boot[24];
	snprintf(boot, sizeof boot, "%016" PRIx64, v->boot);
	return a ? json_pack("{s:b, s:s, s:o}", "ok", 1, "boot", boot, "quarantined", a) : NULL;
}

static json_t *error(const char *name, const char *text, int no)
{
	char buf[256], clean[64];
	snprintf(buf, sizeof buf, "%s %s", fab_text_clean(clean, sizeof clean, name, SIZE_MAX), text);
	return json_pack("{s:s, s:b}", "error", buf, "refused", no);
}

static json_t *lift(const struct fab_control_view *v, const char *name, void (*pump)(void *arg), void *arg)
{
	uint64_t one = 1, deadline = fab_now_ns() + TAKE_NS;
	struct fab_quarantine q = {.quarantined = 1};
	uint32_t i = 0;
	while (i < v->config->n && strcmp(v->config->u[i].name, name) != 0)
		i++;
	if (i == v->config->n)
		return error(name, "is no unikernel of this fabric", 0);
	int ret = v->fab ? fab_quarantine_lift(v->fab, (uint16_t)(i + 1)) : -ENODEV;
	if (ret)
		return error(name, ret == -EALREADY ? "is not quarantined" : "cannot be lifted: this weftd has no data path",
			     ret == -EALREADY);
	/* EAGAIN: the counter is full, so the worker was told. */
	if (v->stop_fd >= 0 && write(v->stop_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		fprintf(stderr, "weftd: the worker could not be woken: %s\n", strerror(errno));
	while (q.quarantined && fab_now_ns() < deadline) {
		fab_quarantine_state(v->fab, (uint16_t)(i + 1), &q);
		if (!q.quarantined)
			break;
		pump(arg);
		usleep(100);
	}
	if (q.quarantined)
		return error(name, "is not let in yet: the data path is stuck, or the decision log cannot be written", 0);
	fprintf(stderr, "weftd: the quarantine of %s was lifted\n", name);
	return json_pack("{s:b, s:s}", "ok", 1, "lifted", name);
}

json_t *fab_control_quarantine(const struct fab_control_view *v, const json_t *request, void (*pump)(void *arg), void *arg)
{
	const char *cmd, *name = NULL;
	json_error_t je;
	/* jansson's declaration forgets that unpacking changes nothing. */
	if (json_unpack_ex((json_t *)(uintptr_t)request, &je, JSON_STRICT, "{s:s, s?s}", "cmd", &cmd, "lift", &name) < 0)
		return json_pack("{s:s, s:b}", "error", "\"quarantine\" takes perhaps \"lift\", a unikernel's name", "refused", 0);
	return name ? lift(v, name, pump, arg) : list(v);
}
