/* SPDX-License-Identifier: BSD-2-Clause */
/* Until isolate.c is there: nothing can be isolated. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "isolate.h"

int dpi_isolate_start(struct dpi_isolate **out, const struct dpi_isolate_config *config, struct dpi_err *err)
{
	(void)config;
	*out = NULL;
	snprintf(err->text, sizeof(err->text), "isolated inspection is not built in");
	return -ENOSYS;
}
void dpi_isolate_stop(struct dpi_isolate *iso) { (void)iso; }
uint32_t dpi_isolate_lanes(const struct dpi_isolate *iso) { (void)iso; return 1; }
uint32_t dpi_isolate_room(const struct dpi_isolate *iso, uint32_t lane) { (void)iso; (void)lane; return 0; }
int dpi_isolate_submit(struct dpi_isolate *iso, uint32_t lane, const struct dpi_message *m) { (void)iso; (void)lane; (void)m; return 1; }
int dpi_isolate_submit_frame(struct dpi_isolate *iso, uint32_t lane, uint16_t port, const uint8_t *frame, uint32_t len, uint64_t now_ns)
{
	(void)iso; (void)lane; (void)port; (void)frame; (void)len; (void)now_ns;
	return 1;
}
void dpi_isolate_flush(struct dpi_isolate *iso) { (void)iso; }
int dpi_isolate_take(struct dpi_isolate *iso, uint32_t lane, struct dpi_isolate_answer *a) { (void)iso; (void)lane; (void)a; return 0; }
int dpi_isolate_fd(const struct dpi_isolate *iso) { (void)iso; return -1; }
int dpi_isolate_arm(struct dpi_isolate *iso, int want) { (void)iso; (void)want; return 0; }
void dpi_isolate_stats_get(const struct dpi_isolate *iso, uint32_t lane, struct dpi_isolate_stats *s) { (void)iso; (void)lane; memset(s, 0, sizeof(*s)); }
int32_t dpi_isolate_nursery(const struct dpi_isolate *iso) { (void)iso; return 0; }
