/* SPDX-License-Identifier: BSD-2-Clause */
/* {"cmd":"quarantine"}: who is cut off because of what it sent, and letting one in again. docs/control.md lists the keys. */
#ifndef FAB_CONTROL_QUARANTINE_H
#define FAB_CONTROL_QUARANTINE_H

#include <jansson.h>

struct fab_control_view;

/* The reply to the request, a new object, or NULL: no memory. While the data path has to do what is asked for, pump is called
 * again and again, for at most 3 seconds. Control thread. */
json_t *fab_control_quarantine(const struct fab_control_view *view, const json_t *request, void (*pump)(void *arg), void *arg);

#endif
