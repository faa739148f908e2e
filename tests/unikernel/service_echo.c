/* SPDX-License-Identifier: BSD-2-Clause */
/* The smallest service: says its name and that it runs. */
#include "unikernel/service.h"

static void tick(struct weft *w, void *arg)
{
	(void)arg;
	svc_log("tick of %s", weft_name(w));
	weft_timer(w, 100000000ull, tick, NULL);
}

int service_start(struct weft *w)
{
	svc_log("echo started as %s", weft_name(w));
	return weft_timer(w, 100000000ull, tick, NULL);
}
