/* SPDX-License-Identifier: BSD-2-Clause */
/* A message's opaque fields, one after the other; and what a finding says to people. One field's bytes are inspect.c's. */
#include "ndpi.h"

#include <stdio.h>
#include <string.h>

void dpi_finding_text(const struct dpi_finding *f, char out[DPI_NAME_MAX])
{
	char name[DPI_NAME_MAX - 12] = "";

	if (f->master || f->app)
		dpi_name_render(f->master, f->app, name, sizeof(name));
	if (f->why == DPI_WHY_RISK)
		snprintf(out, DPI_NAME_MAX, "%s", ndpi_risk2str((ndpi_risk_enum)f->risk));
	else if (f->why == DPI_WHY_UNKNOWN)
		snprintf(out, DPI_NAME_MAX, "not recognised");
	else
		snprintf(out, DPI_NAME_MAX, "%s", name);
}

int dpi_finding_sane(const struct dpi_finding *f, uint32_t n_spans)
{
	return f->answer < DPI_ANSWERS && f->why < DPI_WHYS && f->risk < NDPI_MAX_RISK && f->kinds < DPI_KINDS &&
	       f->master < DPI_IDS_MAX && f->app < DPI_IDS_MAX && f->span < n_spans;
}

void dpi_message_inspect(struct dpi *d, const struct dpi_message *m, struct dpi_result *r)
{
	memset(r, 0, sizeof(*r));
	for (uint32_t i = 0; i < m->n_spans; i++) {
		const struct dpi_span *s = &m->span[i];
		struct dpi_finding f;

		dpi_inspect(d, s->set, m->bytes + s->offset, s->len, &f);
		f.span = (uint16_t)i;
		if (f.answer == DPI_FORBIDDEN && s->hard) {
			if (r->observed.answer == DPI_CLEAN)
				r->observed = f;
			dpi_inspect(d, s->hard, m->bytes + s->offset, s->len, &f);
			f.span = (uint16_t)i;
		}
		if (f.answer != DPI_CLEAN) {
			r->found = f;
			return;
		}
	}
}
