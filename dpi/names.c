/* SPDX-License-Identifier: BSD-2-Clause */
/* Names that a profile may list: nDPI's protocols, categories and risks, and our kinds. Looked up, checked and suggested,
 * from any thread and without an inspector. What a name may carry is set.c's and inspect.c's. */
#include "ndpi.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_BYTES 64u
#define RISKS_MAX 64u
#define CATEGORIES_MAX 128u

_Static_assert(NDPI_MAX_RISK <= RISKS_MAX, "risks fit a set's bits");
_Static_assert(NDPI_PROTOCOL_NUM_CATEGORIES <= CATEGORIES_MAX, "the table has room for every category");

/* nDPI tells its names only through a module, and making one takes milliseconds. So the tables are filled once, at the
 * first question, and never change afterwards. */
static pthread_mutex_t module_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;
static char protocol[DPI_IDS_MAX][NAME_BYTES];
static uint8_t category_of[DPI_IDS_MAX]; /* of a protocol */
static char category[CATEGORIES_MAX][NAME_BYTES];
static uint16_t category_size[CATEGORIES_MAX]; /* protocols in it */
static char risk[RISKS_MAX][NAME_BYTES];
static char kind[][NAME_BYTES] = { "text", "json", "executable", "archive", "script" };

/* One list of names each; an empty entry is none. */
static const struct list {
	enum dpi_meaning means;
	char (*names)[NAME_BYTES];
	uint32_t n;
} lists[] = {
	{ DPI_IS_PROTOCOL, protocol, DPI_IDS_MAX },
	{ DPI_IS_CATEGORY, category, CATEGORIES_MAX },
	{ DPI_IS_KIND, kind, sizeof(kind) / sizeof(kind[0]) },
	{ DPI_IS_RISK, risk, RISKS_MAX },
};
#define LISTS (sizeof(lists) / sizeof(lists[0]))

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
		unsigned c = m->proto_defaults[id].protoCategory;
		if (!name || strcasecmp(name, "Unknown") == 0)
			continue;
		snprintf(protocol[id], NAME_BYTES, "%s", name);
		if (c >= CATEGORIES_MAX)
			continue;
		category_of[id] = (uint8_t)c;
		category_size[c]++;
	}
	for (unsigned c = 0; c < NDPI_PROTOCOL_NUM_CATEGORIES; c++)
		snprintf(category[c], NAME_BYTES, "%s", ndpi_category_get_name(m, (ndpi_protocol_category_t)c));
	for (unsigned r = NDPI_NO_RISK + 1; r < NDPI_MAX_RISK; r++)
		snprintf(risk[r], NAME_BYTES, "%s", ndpi_risk2str((ndpi_risk_enum)r));
	dpi_module_free(m);
}

static int find(const struct list *l, const char *name)
{
	pthread_once(&table_once, table_fill);
	for (uint32_t i = 0; i < l->n; i++)
		if (l->names[i][0] && strcasecmp(l->names[i], name) == 0)
			return (int)i;
	return -1;
}

int dpi_name_find(const char *name)
{
	return find(&lists[0], name);
}

int dpi_name_category(const char *name)
{
	return find(&lists[1], name);
}

int dpi_name_kind(const char *name)
{
	return find(&lists[2], name);
}

int dpi_name_risk(const char *name)
{
	return find(&lists[3], name);
}

uint32_t dpi_category_add(uint64_t ids[DPI_IDS_MAX / 64], unsigned c)
{
	uint32_t n = 0;

	pthread_once(&table_once, table_fill);
	for (unsigned id = 1; id < DPI_IDS_MAX; id++) {
		if (!protocol[id][0] || category_of[id] != c)
			continue;
		ids[id / 64] |= 1ull << (id % 64);
		n++;
	}
	return n;
}

/* A category without protocols lists nothing, so it is no name. */
static int listable(const struct list *l, uint32_t i)
{
	return l->names[i][0] && (l->means != DPI_IS_CATEGORY || category_size[i] > 0);
}

unsigned dpi_name_means(const char *name)
{
	unsigned means = 0;

	for (size_t k = 0; name && k < LISTS; k++) {
		int i = find(&lists[k], name);
		if (i >= 0 && listable(&lists[k], (uint32_t)i))
			means |= lists[k].means;
	}
	return means;
}

const char *dpi_name_at(enum dpi_meaning means, uint32_t i)
{
	pthread_once(&table_once, table_fill);
	for (size_t k = 0; k < LISTS; k++) {
		if (lists[k].means != means)
			continue;
		for (uint32_t at = 0; at < lists[k].n; at++)
			if (listable(&lists[k], at) && i-- == 0)
				return lists[k].names[at];
	}
	return NULL;
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

/* Words of a name that no word of the other begins with, "TLS Cert Expired" against "TLS Expired Certificate": none.
 * UINT32_MAX: the name is one word, or most are missing. */
static unsigned words_missing(const char *name, const char *known)
{
	unsigned words = 0, missing = 0;

	for (size_t at = 0; name[at] && at < NAME_BYTES; words++) {
		size_t n = strcspn(name + at, " "), k = 0;
		while (known[k] && strncasecmp(known + k, name + at, n) != 0) {
			k += strcspn(known + k, " ");
			k += strspn(known + k, " ");
		}
		missing += !known[k];
		at += n;
		at += strspn(name + at, " ");
	}
	return words < 2 || missing * 2 >= words ? UINT32_MAX : missing;
}

struct nearest {
	unsigned score[3];
	const char *name[3];
};

static void consider(struct nearest *best, const char *name, const char *known)
{
	size_t len = strnlen(name, NAME_BYTES), kl = strlen(known);
	unsigned score = distance(name, known), limit = len < 5 ? 2 : (unsigned)(len / 2);

	/* "postgres" is PostgreSQL and "amqp091" AMQP, however long the rest. */
	if (len >= 3 && kl >= 3 && strncasecmp(name, known, len < kl ? len : kl) == 0 && score > 1)
		score = 1;
	unsigned missing = words_missing(name, known);
	if (missing != UINT32_MAX && 1 + 2 * missing < score)
		score = 1 + 2 * missing;
	if (score > limit)
		return;
	for (unsigned k = 0; k < 3; k++)
		if (best->name[k] && strcasecmp(best->name[k], known) == 0) /* a protocol and a category of one name */
			return;
	for (unsigned k = 0; k < 3; k++) {
		if (score >= best->score[k])
			continue;
		for (unsigned m = 2; m > k; m--) {
			best->score[m] = best->score[m - 1];
			best->name[m] = best->name[m - 1];
		}
		best->score[k] = score;
		best->name[k] = known;
		return;
	}
}

void dpi_name_near(const char *name, unsigned means, char *out, size_t cap)
{
	struct nearest best = { { UINT32_MAX, UINT32_MAX, UINT32_MAX }, { NULL, NULL, NULL } };
	size_t used = 0;

	pthread_once(&table_once, table_fill);
	for (size_t k = 0; k < LISTS; k++)
		for (uint32_t i = 0; (lists[k].means & means) && i < lists[k].n; i++)
			if (listable(&lists[k], i))
				consider(&best, name, lists[k].names[i]);
	if (cap)
		out[0] = 0;
	for (unsigned k = 0; k < 3 && best.name[k] && used < cap; k++) {
		int w = snprintf(out + used, cap - used, "%s%s", k ? ", " : "", best.name[k]);
		used += w > 0 ? (size_t)w : 0;
	}
}

void dpi_name_render(unsigned master, unsigned app, char *out, size_t cap)
{
	pthread_once(&table_once, table_fill);
	const char *m = master < DPI_IDS_MAX ? protocol[master] : "", *a = app < DPI_IDS_MAX ? protocol[app] : "";

	if (*m && *a && master != app)
		snprintf(out, cap, "%s.%s", m, a);
	else
		snprintf(out, cap, "%s", *m ? m : *a ? a : "?");
}

const char *dpi_version(void)
{
	return ndpi_revision();
}
