/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the decision logs and the kept policies; weftd need not run. */
#include "fabric/cli/explain_find.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/config.h"
#include "fabric/epoch.h"
#include "fabric/fail.h"
#include "fabric/files.h"
#include "fabric/log.h"

/* --- a decision ------------------------------------------------------------------------------------------------------- */

struct search {
	uint64_t id;
	const char *boot;
	struct cli_found *found;
};

/* The boot's place, made where there is room. The log goes back in time, so a new one is older than those before it. */
static struct cli_boot *boot_of(struct cli_found *f, const char *boot)
{
	for (uint32_t i = f->n_boots; i > 0; i--)
		if (!strcmp(f->boot[i - 1].boot, boot))
			return &f->boot[i - 1];
	return NULL;
}

static void line_look(struct search *s, struct cli_boot *of_file, uint32_t *n_of_file, const char *line, json_t **last)
{
	struct cli_found *f = s->found;
	char boot[20];
	uint64_t id;
	/* Each line begins so: decision_json.c. */
	if (sscanf(line, "{\"id\":%" SCNu64 ",\"boot\":\"%16[0-9a-f]\"", &id, boot) != 2)
		return;
	struct cli_boot *b = *n_of_file && !strcmp(of_file[*n_of_file - 1].boot, boot) ? &of_file[*n_of_file - 1] : NULL;
	if (!b) {
		/* Where there are too many, the oldest are not told of. */
		if (*n_of_file == CLI_BOOTS_MAX)
			memmove(of_file, of_file + 1, --*n_of_file * sizeof *of_file);
		b = &of_file[(*n_of_file)++];
		memcpy(b->boot, boot, sizeof boot);
		b->first = id;
	}
	b->last = id;
	if (id != s->id || strncmp(boot, s->boot, strlen(s->boot)) != 0)
		return;
	json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	if (!o)
		return;
	f->others += *last != NULL;
	json_decref(*last);
	*last = o;
}

/* Takes what one file holds; files come newest first, lines oldest first. */
static int file_look(struct search *s, const char *path)
{
	struct cli_boot of_file[CLI_BOOTS_MAX];
	uint32_t n = 0;
	char line[FAB_LOG_LINE_MAX + 1];
	json_t *last = NULL;
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof line, f)) /* ends with the file */
		line_look(s, of_file, &n, line, &last);
	int ret = ferror(f) ? -EIO : 0;
	fclose(f);
	for (uint32_t i = n; i > 0; i--) {
		struct cli_boot *b = boot_of(s->found, of_file[i - 1].boot);
		if (b && of_file[i - 1].first < b->first)
			b->first = of_file[i - 1].first;
		else if (!b && s->found->n_boots < CLI_BOOTS_MAX)
			s->found->boot[s->found->n_boots++] = of_file[i - 1];
	}
	if (last && s->found->decision) {
		/* A file that was renamed while we read is seen twice. */
		s->found->others += !json_equal(json_object_get(last, "boot"), json_object_get(s->found->decision, "boot"));
		json_decref(last);
	} else if (last) {
		s->found->decision = last;
	}
	return ret;
}

int cli_decision_find(const struct fab_config *c, uint64_t id, const char *boot, struct cli_found *found, char *err, size_t cap)
{
	struct search s = { .id = id, .boot = boot, .found = found };
	char path[PATH_MAX], older[PATH_MAX + 16];
	memset(found, 0, sizeof *found);
	if (fab_path_log(c, path, sizeof path) < 0)
		return fab_fail(err, cap, -ENAMETOOLONG, "%s: the path is too long", c->run_dir);
	int ret = file_look(&s, path), any = ret == 0;
	const char *at = path;
	/* While a log is put aside there is none under its name for a moment. */
	for (uint32_t k = 1; (!ret || (ret == -ENOENT && k == 1)) && k <= FAB_LOG_FILES_MAX; k++) {
		snprintf(older, sizeof older, "%s.%u", path, k);
		int got = file_look(&s, older);
		any |= !got;
		if (got == -ENOENT)
			break;
		ret = got;
		at = got ? older : path;
	}
	if (!ret || (ret == -ENOENT && any))
		return 0;
	/* What cannot be read may hold what is asked for, or another of that number. */
	json_decref(found->decision);
	found->decision = NULL;
	return fab_fail(err, cap, ret, "%s: %s", at, strerror(-ret));
}

/* --- its epoch ---------------------------------------------------------------------------------------------------------- */

/* The schemas of that time if they are still there; else those of today, with which rules at least have their names. */
static void schemas_find(struct cli_epoch *e, const struct fab_config *c)
{
	const json_t *was = json_object_get(e->manifest, "schemas");
	const char *path[2] = { json_string_value(json_object_get(was, "path")), c->schemas };
	const char *digest = json_string_value(json_object_get(was, "digest"));
	struct sch_set *other = NULL;
	for (int i = 0; i < 2 && !e->exact; i++) {
		char found[FAB_DIGEST_LEN + 1];
		uint8_t *bytes = NULL;
		size_t len = 0;
		struct sch_set *set = NULL;
		struct sch_err se;
		if (!path[i] || fab_file_load(path[i], SCH_SET_BYTES_MAX, &bytes, &len) != 0)
			continue;
		fab_digest(found, bytes, len);
		e->exact = digest && !strcmp(found, digest);
		if (sch_set_compile(&set, bytes, len, &se) != 0)
			e->exact = 0;
		if (e->exact) {
			e->p.schemas = set;
			e->p.fdset = bytes;
			e->p.fdset_len = len;
			continue;
		}
		free(bytes);
		if (other)
			sch_set_free(set);
		else
			other = set;
	}
	if (e->exact)
		sch_set_free(other);
	else
		e->p.schemas = other;
}

int cli_epoch_load(struct cli_epoch *e, const struct fab_config *c, const char *boot, uint64_t epoch, char *err, size_t cap)
{
	struct pol_err pe;
	memset(e, 0, sizeof *e);
	e->manifest = fab_kept_epoch(c, boot, epoch, err, cap);
	if (!e->manifest)
		return -ENOENT;
	int ret = fab_kept_texts(c, e->manifest, &e->kept, err, cap);
	if (ret)
		return ret;
	schemas_find(e, c);
	e->folder = (struct pol_folder){ .n = e->kept.n, .u = e->kept.u, .texts = e->kept.texts };
	e->p.folder = &e->folder;
	if (!e->p.schemas)
		return 0;
	struct pol_source source = { .u = e->kept.u, .n = e->kept.n, .texts = e->kept.texts, .common_path = e->kept.common_path,
				     .common = e->kept.common };
	struct pol_ask ask = { .lenient = 1 }; /* what was in force compiled, but a forced schema set may have left names out */
	if (pol_compile(&e->p.set, &source, e->p.schemas, epoch, &ask, &pe) != 0)
		e->p.set = NULL;
	return 0;
}

void cli_epoch_free(struct cli_epoch *e)
{
	pol_set_free(e->p.set);
	sch_set_free(e->p.schemas);
	free(e->p.fdset);
	fab_kept_free(&e->kept);
	json_decref(e->manifest);
}
