/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters and tallies as JSON. The counters' meanings are stats.h's matter. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "dpi/isolate.h"
#include "fabric/cores.h"
#include "fabric/decision_json.h"
#include "fabric/epochs.h"
#include "fabric/fabric.h"
#include "fabric/policies.h"
#include "fabric/stage.h"
#include "fabric/stats_json.h"
#include "fabric/worker.h"
#include "fabric/writer.h"

static json_int_t count(const uint64_t *word)
{
	return (json_int_t)__atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Non-zero counters by verdict name. */
static json_t *verdicts_json(const uint64_t counter[WEFT_VERDICT_MAX])
{
	json_t *o = json_object();
	for (uint32_t v = 0; o && v < WEFT_VERDICT_MAX; v++) {
		json_int_t n = count(&counter[v]);
		if (n && json_object_set_new(o, weft_verdict_name(v), json_integer(n)) < 0) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

static const char *state_name(uint64_t state)
{
	switch (state) {
	case FAB_PORT_DETACHED:
		return "detached";
	case FAB_PORT_ATTACHED:
		return "attached";
	case FAB_PORT_UP:
		return "up";
	default:
		return "?";
	}
}

json_t *fab_quarantine_json(const struct fab_control_view *view, uint16_t port)
{
	struct fab_quarantine q = { .quarantined = 0 };
	if (view->fab)
		fab_quarantine_state(view->fab, port, &q);
	if (!q.quarantined)
		return json_null();
	const struct fab_epoch *e = view->epochs ? fab_epochs_find(view->epochs, q.policy_epoch) : NULL;
	return json_pack("{s:o, s:s, s:o, s:I}", "since", fab_time_json(q.since_ns), "verdict", weft_verdict_name(q.verdict),
			 "rule", fab_rule_json(e ? e->policy : NULL, q.rule), "policy_epoch", (json_int_t)q.policy_epoch);
}

/* null, or the digest that the policy in force asks of its image. */
static json_t *image_json(const struct fab_control_view *view, uint16_t port)
{
	const struct fab_epoch *e = view->epochs ? fab_epochs_now(view->epochs) : NULL;
	const struct pol_self *self = e ? pol_self(e->policy, port) : NULL;
	char hex[65];
	return self && self->image ? json_string(sodium_bin2hex(hex, sizeof hex, self->image, 32)) : json_null();
}

static json_t *port_json(const struct fab_control_view *view, uint32_t port)
{
	const char *name = view->config->u[port - 1].name;
	const struct fab_port_counters *c = &view->ports[port];
	return json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
			 "name", name, "port", (json_int_t)port,
			 "state", state_name(__atomic_load_n(&c->state, __ATOMIC_RELAXED)),
			 "frames_taken", count(&c->frames_taken), "bytes_taken", count(&c->bytes_taken),
			 "messages_delivered", count(&c->messages_delivered),
			 "bytes_delivered", count(&c->bytes_delivered),
			 "control_delivered", count(&c->control_delivered), "handshakes", count(&c->handshakes),
			 "attaches", count(&c->attaches), "queued_bytes", count(&c->queued_bytes),
			 "decisions_merged", count(&c->decisions_merged), "observed", count(&c->observed),
			 "scans", count(&c->scans),
			 "quarantines", count(&c->quarantines), "quarantine", fab_quarantine_json(view, (uint16_t)port),
			 "image", image_json(view, (uint16_t)port), "verdicts", verdicts_json(c->verdict));
}

static json_t *ports_json(const struct fab_control_view *view)
{
	json_t *a = json_array();
	for (uint32_t i = 0; a && i < view->config->n; i++)
		if (json_array_append_new(a, port_json(view, i + 1)) < 0) {
			json_decref(a);
			return NULL;
		}
	return a;
}

static uint32_t workers_of(const struct fab_control_view *view)
{
	return view->fab ? view->fab->cores->n : 0;
}

/* Of one worker, or where it is UINT32_MAX, of all together. */
static struct fab_stage_counters stage_of(const struct fab_control_view *view, uint32_t worker, uint32_t stage)
{
	struct fab_stage_counters sum = { .bursts = 0 };
	uint32_t n = workers_of(view);
	if (view->stages) {
		sum = view->stages[stage];
		return sum;
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct fab_stage_counters *s = &view->fab->cores->core[i]->stage[stage];
		if (worker != UINT32_MAX && worker != i)
			continue;
		sum.bursts += (uint64_t)count(&s->bursts);
		sum.messages += (uint64_t)count(&s->messages);
		sum.cycles += (uint64_t)count(&s->cycles);
	}
	return sum;
}

static json_t *stages_json(const struct fab_control_view *view, uint32_t worker)
{
	json_t *a = json_array();
	for (uint32_t i = 0; a && i < FAB_STAGE_COUNT; i++) {
		struct fab_stage_counters s = stage_of(view, worker, i);
		json_t *o = json_pack("{s:s, s:I, s:I, s:I}", "name", fab_stages[i].name, "bursts", (json_int_t)s.bursts,
				      "messages", (json_int_t)s.messages, "cycles", (json_int_t)s.cycles);
		if (json_array_append_new(a, o) < 0) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

/* Where each runs, which ports it has, what it did. */
static json_t *workers_json(const struct fab_control_view *view)
{
	json_t *a = json_array();
	for (uint32_t i = 0; a && i < workers_of(view); i++) {
		int cpu = view->workers ? view->workers[i].cpu : -1;
		json_t *ports = json_array();
		for (uint32_t k = 0; ports && k < view->config->n; k++)
			if (fab_port_owner(view->fab, (uint16_t)(k + 1)) == i &&
			    json_array_append_new(ports, json_string(view->config->u[k].name)) < 0) {
				json_decref(ports);
				ports = NULL;
			}
		json_t *o = json_pack("{s:o, s:o, s:o}", "core", cpu >= 0 ? json_integer(cpu) : json_null(), "ports", ports,
				      "stages", stages_json(view, i));
		if (json_array_append_new(a, o) < 0) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

static json_t *swaps_json(const struct fab_control_view *view)
{
	static const struct fab_swap_counters none;
	const struct fab_swap_counters *c = view->swaps ? view->swaps : &none;
	return json_pack("{s:I, s:I, s:I}", "swaps", count(&c->swaps), "cycles", count(&c->cycles), "worst_cycles",
			 count(&c->worst));
}

static json_t *inspector_json(const struct dpi_isolate *iso, uint32_t lane)
{
	struct dpi_isolate_stats s;
	dpi_isolate_stats_get(iso, lane, &s);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "pid", (json_int_t)s.pid, "started",
			 (json_int_t)s.started, "items", (json_int_t)s.items, "cycles", (json_int_t)s.cycles, "died",
			 (json_int_t)s.died, "hung", (json_int_t)s.hung, "blamed", (json_int_t)s.blamed, "refused",
			 (json_int_t)s.refused, "back_ns_max", (json_int_t)s.back_ns_max);
}

static json_t *inspectors_json(const struct fab_control_view *view)
{
	json_t *a = json_array();
	for (uint32_t i = 0; a && i < workers_of(view); i++) {
		const struct fab *f = view->fab->cores->core[i];
		for (uint32_t k = 0; a && f->iso && k < dpi_isolate_lanes(f->iso); k++)
			if (json_array_append_new(a, inspector_json(f->iso, k)) < 0) {
				json_decref(a);
				a = NULL;
			}
	}
	return a;
}

static const char *port_name(const struct fab_control_view *view, uint16_t port)
{
	return port >= 1 && port <= view->config->n ? view->config->u[port - 1].name : NULL;
}

static json_t *foreign_json(const struct fab_control_view *view, const struct fab_writer *w)
{
	json_t *a = json_array();
	for (uint32_t i = 0; a && i < w->n_foreign; i++) {
		const struct fab_foreign *f = &w->foreign[i];
		json_t *o = json_pack("{s:s?, s:s?, s:s%, s:I}", "from", port_name(view, f->src), "to",
				      port_name(view, f->dst), "protocol", f->name, strnlen(f->name, sizeof f->name),
				      "count", count(&f->count));
		if (json_array_append_new(a, o) < 0) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

static json_t *schema_json(const struct fab_epoch *e)
{
	char path[1024];
	if (!e)
		return json_null();
	return json_pack("{s:s, s:s, s:I, s:I, s:b}", "path",
			 fab_text_clean(path, sizeof path, e->path ? e->path : "", SIZE_MAX), "digest", e->digest, "types",
			 (json_int_t)sch_type_count(e->schemas), "methods", (json_int_t)sch_method_count(e->schemas),
			 "forced", e->forced);
}

static json_t *policies_json(const struct fab_epoch *e)
{
	char path[1024], digest[2 * FAB_SHA256_LEN + 1];
	if (!e || !e->policies)
		return json_null();
	return json_pack("{s:s, s:s, s:I, s:I}", "path",
			 fab_text_clean(path, sizeof path, e->policies->folder->path, SIZE_MAX), "digest",
			 sodium_bin2hex(digest, sizeof digest, e->policies->digest, sizeof e->policies->digest), "files",
			 (json_int_t)e->policies->n_files, "rules", (json_int_t)pol_rule_count(e->policy));
}

json_t *fab_stats_json(const struct fab_control_view *view, const struct fab_writer *w, double uptime_s)
{
	char boot[24];
	const struct fab_epoch *e = view->epochs ? fab_epochs_now(view->epochs) : NULL;
	snprintf(boot, sizeof boot, "%016" PRIx64, view->boot);
	return json_pack("{s:s, s:s, s:s, s:I, s:f, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
			 "s:{s:I, s:o, s:o, s:I, s:I, s:I, s:s?}}",
			 "fabric", view->config->name, "config", view->config->path, "boot", boot,
			 "pid", (json_int_t)getpid(), "uptime_s", uptime_s,
			 "settings", view->settings ? view->settings : "", "tsc_hz", (json_int_t)view->tsc_hz,
			 "policy_epoch", (json_int_t)(e ? e->number : 0), "schema", schema_json(e), "policies", policies_json(e),
			 "ports", ports_json(view), "stages", stages_json(view, UINT32_MAX), "workers", workers_json(view),
			 "epochs", swaps_json(view),
			 "inspectors", inspectors_json(view),
			 "decisions", "written", (json_int_t)w->written, "by_verdict", verdicts_json(w->tally),
			 "foreign", foreign_json(view, w), "foreign_other", (json_int_t)w->foreign_other,
			 "log_bytes", (json_int_t)fab_log_bytes(w->log), "log_errors", (json_int_t)w->log_errors,
			 "log_error", w->error ? strerror(w->error) : NULL);
}
