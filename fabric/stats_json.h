/* SPDX-License-Identifier: BSD-2-Clause */
/* The reply to {"cmd":"stats"}; docs/control.md lists its keys. */
#ifndef FAB_STATS_JSON_H
#define FAB_STATS_JSON_H

#include <jansson.h>
#include <stdint.h>

struct fab_control_view;
struct fab_writer;

/* A new object for the caller to release, or NULL: no memory. The writer's thread. */
json_t *fab_stats_json(const struct fab_control_view *view, const struct fab_writer *w, double uptime_s);

/* How it stands with a port: null, or why and since when it is cut off. A new value, or NULL: no memory. */
json_t *fab_quarantine_json(const struct fab_control_view *view, uint16_t port);

#endif
