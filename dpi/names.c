/* SPDX-License-Identifier: BSD-2-Clause */
/* nDPI's protocol names: looked up, checked and suggested, from any thread and without an inspector. What a name may
 * carry is inspect.c's. */
#include "ndpi.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_BYTES 48u

/* nDPI tells its names only through a module, and making one takes milliseconds. So the table is filled once, at the
 * first question, and never changes afterwards. */
static pthread_mutex_t module_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;
static char table[DPI_IDS_MAX][NAME_BYTES];

struct ndpi_detection_module_struct *dpi_module_make(void)
{
	NDPI_PROTOCOL_BITMASK all;

	pthread_mutex_lock(&module_lock);
	/* The lists of Tor's addresses are of no use on made-up ones. */
	struct ndpi_detection_module_struct *m = ndpi_init_detection_module(ndpi_dont_load_tor_hosts);
	if (m) {
		NDPI_BITMASK_SET_ALL(all);
		ndpi_set_protocol_detection_bitmask2(m, &all);
		ndpi_finalize_initialization(m);
	}
	pthread_mutex_unlock(&module_lock);
	return m;
}

void dpi_module_free(struct ndpi_detection_module_struct *m)
{
	if (!m)
		return;
	pthread_mutex_lock(&module_lock);
	ndpi_exit_detection_module(m);
	pthread_mutex_unlock(&module_lock);
}

static void table_fill(void)
{
	struct ndpi_detection_module_struct *m = dpi_module_make();

	if (!m)
		return;
	unsigned n = ndpi_get_num_supported_protocols(m);
	for (unsigned id = 1; id < n && id < DPI_IDS_MAX; id++) {
		const char *name = ndpi_get_proto_name(m, (uint16_t)id);
		if (name && strcasecmp(name, "Unknown") != 0)
			snprintf(table[id], NAME_BYTES, "%s", name);
	}
	dpi_module_free(m);
}

int dpi_name_find(const char *name)
{
	pthread_once(&table_once, table_fill);
	for (unsigned id = 1; id < DPI_IDS_MAX; id++)
		if (table[id][0] && strcasecmp(table[id], name) == 0)
			return (int)id;
	return -1;
}

/* Edit distance without case, both sides cut at NAME_BYTES. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[NAME_BYTES + 1];
	size_t la = strnlen(a, NAME_BYTES), lb = strnlen(b, NAME_BYTES);

	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned up = row[j];
			int same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
			unsigned best = diagonal + (same ? 0u : 1u);
			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = up;
		}
	}
	return row[lb];
}

void dpi_name_near(const char *name, unsigned means, char *out, size_t cap)
{
	unsigned best[3] = { UINT32_MAX, UINT32_MAX, UINT32_MAX };
	unsigned id_of[3] = { 0, 0, 0 };
	size_t len = strnlen(name, NAME_BYTES), used = 0;
	unsigned limit = len < 5 ? 2 : (unsigned)(len / 2);

	(void)means;
	pthread_once(&table_once, table_fill);
	for (unsigned id = 1; id < DPI_IDS_MAX; id++) {
		if (!table[id][0])
			continue;
		unsigned score = distance(name, table[id]);
		/* "postgres" is PostgreSQL and "amqp091" AMQP, however long the rest. */
		size_t tl = strlen(table[id]);
		if (len >= 3 && tl >= 3 && strncasecmp(name, table[id], len < tl ? len : tl) == 0)
			score = score < 1 ? score : 1;
		if (score > limit)
			continue;
		for (unsigned k = 0; k < 3; k++) {
			if (score >= best[k])
				continue;
			for (unsigned m = 2; m > k; m--) {
				best[m] = best[m - 1];
				id_of[m] = id_of[m - 1];
			}
			best[k] = score;
			id_of[k] = id;
			break;
		}
	}
	if (cap)
		out[0] = 0;
	for (unsigned k = 0; k < 3 && id_of[k] && used < cap; k++) {
		int w = snprintf(out + used, cap - used, "%s%s", k ? ", " : "", table[id_of[k]]);
		used += w > 0 ? (size_t)w : 0;
	}
}

void dpi_name_render(unsigned master, unsigned app, char *out, size_t cap)
{
	pthread_once(&table_once, table_fill);
	const char *m = master < DPI_IDS_MAX ? table[master] : "", *a = app < DPI_IDS_MAX ? table[app] : "";

	if (*m && *a && master != app)
		snprintf(out, cap, "%s.%s", m, a);
	else
		snprintf(out, cap, "%s", *m ? m : *a ? a : "?");
}

const char *dpi_version(void)
{
	return ndpi_revision();
}
