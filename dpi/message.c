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

void dpi_frame_text(const struct dpi_frame *f, char out[DPI_NAME_MAX])
{
	static const char *const name[DPI_FRAME_WHATS] = {
		[DPI_FRAME_ARP] = "ARP",
		[DPI_FRAME_IPV6] = "IPv6",
		[DPI_FRAME_FRAGMENT] = "IPv4 fragment",
		[DPI_FRAME_802_3] = "802.3",
		[DPI_FRAME_BROKEN_ETHERNET] = "broken Ethernet",
		[DPI_FRAME_BROKEN_IPV4] = "broken IPv4",
		[DPI_FRAME_BROKEN_IPV6] = "broken IPv6",
		[DPI_FRAME_BROKEN_TCP] = "broken TCP",
		[DPI_FRAME_BROKEN_UDP] = "broken UDP",
		[DPI_FRAME_UNSEEN] = "not looked at",
	};

	if (f->what == DPI_FRAME_PROTOCOL)
		dpi_name_render(f->master, f->app, out, DPI_NAME_MAX);
	else if (f->what == DPI_FRAME_ETHERTYPE)
		snprintf(out, DPI_NAME_MAX, "EtherType 0x%04x", f->ethertype);
	else if (f->what == DPI_FRAME_IP && (f->l4 == 6 || f->l4 == 17))
		snprintf(out, DPI_NAME_MAX, "%s", f->l4 == 6 ? "TCP" : "UDP");
	else if (f->what < DPI_FRAME_WHATS && name[f->what])
		snprintf(out, DPI_NAME_MAX, "%s", name[f->what]);
	else
		snprintf(out, DPI_NAME_MAX, "IP protocol %u", f->l4);
}
