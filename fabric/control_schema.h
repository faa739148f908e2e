/* SPDX-License-Identifier: BSD-2-Clause */
/* {"cmd":"schema"}: another schema set for the running fabric. docs/control.md lists the keys of request and reply. */
#ifndef FAB_CONTROL_SCHEMA_H
#define FAB_CONTROL_SCHEMA_H

#include <jansson.h>

struct fab_control_view;

/* Does what the request asks and returns the reply, a new object, or NULL: no memory. Control thread; it may take as long
 * as compiling the set does. While the data path has to take the epoch, pump is called again and again: the decision log
 * must not stand still then. */
json_t *fab_schema_change_json(const struct fab_control_view *view, const json_t *request, void (*pump)(void *arg),
			       void *arg);

#endif
