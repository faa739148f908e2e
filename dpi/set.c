/* SPDX-License-Identifier: BSD-2-Clause */
/* Content sets: what authors list by name becomes bits that an inspector goes by. A set is made of profiles, the sender's
 * rule's and the receiver's: what each of them allows passes, what one forbids or calls a risk does not. */
#include "ndpi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KIND_BITS 5u

_Static_assert(DPI_KINDS == 1 << KIND_BITS, "plain has one bit for each combination");

const struct dpi_set dpi_set_any = {
	.allowed = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX },
	.risks = DPI_RISKS_ATTACKS,
	.plain = UINT32_MAX,
	.doubtful = 1,
};

/* What one of a profile's two lists comes to. */
struct listed {
	uint64_t ids[DPI_IDS_MAX / 64];
	unsigned kinds;
	int unknown, doubtful;
};

static int nobody_knows(struct dpi_err *err, const char *what, const char *name, unsigned means, const char *words)
{
	char near[120];
	int c = dpi_name_category(name);

	dpi_name_near(name, means, near, sizeof(near));
	if ((means & DPI_IS_CATEGORY) && c >= 0)
		snprintf(err->text, sizeof(err->text), "nDPI %s puts no protocol into its category \"%.40s"
			"\", so it says nothing here",
			 ndpi_revision(), name);
	else
		snprintf(err->text, sizeof(err->text), "nDPI %s knows no %s \"%.40s\"%s%s%s", ndpi_revision(), what, name,
			 near[0] ? "; did you mean " : "; ", near[0] ? near : words, near[0] ? "?" : "");
	return -EINVAL;
}

static int names_add(struct listed *l, const char *const *names, uint32_t n, int forbids, struct dpi_err *err)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *name = names[i];
		unsigned means = dpi_name_means(name) & ~(unsigned)DPI_IS_RISK;

		if (!forbids && strcasecmp(name, "unknown") == 0) {
			l->unknown = 1;
		} else if (!forbids && strcasecmp(name, "doubtful") == 0) {
			l->doubtful = 1;
		} else if (!forbids && strcasecmp(name, "none") == 0) {
			if (n == 1)
				continue;
			snprintf(err->text, sizeof(err->text), "\"none\" allows nothing, and stands alone or not at all");
			return -EINVAL;
		} else if (!means) {
			return nobody_knows(err, "protocol or category", name, DPI_IS_PROTOCOL | DPI_IS_CATEGORY | DPI_IS_KIND,
					    forbids ? "protocols, categories and kinds (text, json, executable, archive, script) "
						      "can be forbidden"
						    : "besides: text, json, executable, archive, script, unknown, doubtful, none");
		}
		if (means & DPI_IS_PROTOCOL) {
			unsigned id = (unsigned)dpi_name_find(name);
			l->ids[id / 64] |= 1ull << (id % 64);
		}
		if (means & DPI_IS_CATEGORY) /* of two meanings both count: such a category holds the protocol of its name */
			dpi_category_add(l->ids, (unsigned)dpi_name_category(name));
		if (means & DPI_IS_KIND)
			l->kinds |= 1u << (unsigned)dpi_name_kind(name);
	}
	return 0;
}

static int risks_add(uint64_t *risks, const struct dpi_profile *p, struct dpi_err *err)
{
	if (!p->risks_given)
		*risks |= DPI_RISKS_ATTACKS;
	for (uint32_t i = 0; p->risks_given && i < p->n_risks; i++) {
		int r = dpi_name_risk(p->risks[i]);

		if (r > 0) {
			*risks |= DPI_RISK_BIT(r);
		} else if (strcasecmp(p->risks[i], "attacks") == 0) {
			*risks |= DPI_RISKS_ATTACKS;
		} else if (strcasecmp(p->risks[i], "none") != 0) {
			return nobody_knows(err, "risk", p->risks[i], DPI_IS_RISK, "besides: attacks, none");
		} else if (p->n_risks != 1) {
			snprintf(err->text, sizeof(err->text), "risks: \"none\" stands alone or not at all");
			return -EINVAL;
		}
	}
	return 0;
}

/* Bit k: content of the kinds k is of no forbidden one, and either of an allowed one or allowed whatever it is. */
static uint32_t plain_of(int unknown, unsigned allow, unsigned forbid)
{
	uint32_t plain = 0;

	for (unsigned k = 0; k < DPI_KINDS; k++)
		if (!(k & forbid) && (unknown || (k & allow)))
			plain |= 1u << k;
	return plain;
}

/* Kinds that make a difference to some other combination. */
static unsigned kinds_that_matter(uint32_t plain)
{
	unsigned kinds = 0;

	for (unsigned bit = 0; bit < KIND_BITS; bit++)
		for (unsigned k = 0; k < DPI_KINDS; k++)
			if ((plain >> k & 1) != (plain >> (k ^ 1u << bit) & 1))
				kinds |= 1u << bit;
	return kinds;
}

int dpi_set_make(struct dpi_set *set, const struct dpi_profile *const *profiles, uint32_t n, struct dpi_err *err)
{
	struct dpi_set made = dpi_set_any;
	uint64_t any = 0;

	made.risks = n ? 0 : DPI_RISKS_ATTACKS;
	for (uint32_t i = 0; i < n; i++) {
		const struct dpi_profile *p = profiles[i];
		struct listed allow = { .kinds = 0 }, forbid = { .kinds = 0 };

		if (names_add(&allow, p->allow, p->n_allow, 0, err) || names_add(&forbid, p->forbid, p->n_forbid, 1, err) ||
		    risks_add(&made.risks, p, err))
			return -EINVAL;
		for (unsigned k = 0; k < DPI_IDS_MAX / 64; k++) {
			made.allowed[k] &= allow.ids[k] & ~forbid.ids[k];
			made.banned[k] |= forbid.ids[k];
		}
		made.plain &= plain_of(allow.unknown, allow.kinds, forbid.kinds);
		made.doubtful &= (uint8_t)allow.doubtful;
		made.banned_kinds |= (uint8_t)forbid.kinds;
	}
	for (unsigned k = 0; k < DPI_IDS_MAX / 64; k++)
		any |= made.allowed[k];
	if (!any)
		made.banned_kinds &= (uint8_t)kinds_that_matter(made.plain);
	made.kinds = (uint8_t)(kinds_that_matter(made.plain) | made.banned_kinds);
	*set = made;
	return 0;
}
