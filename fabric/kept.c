/* SPDX-License-Identifier: BSD-2-Clause */
/* Keeping the texts of policies, and finding them again. */
#include "kept.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "config.h"
#include "epoch.h"
#include "fail.h"
#include "files.h"
#include "policies.h"

#define HEX_LEN (2u * FAB_SHA256_LEN)
#define MANIFEST_BYTES_MAX (8u << 20) /* 501 files with paths of PATH_MAX bytes take less */
#define NAMES_MAX 1000000u            /* entries of the folder that are looked at */

static int path_in(const struct fab_config *c, const char *name, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/policies%s%s", c->run_dir, name[0] != '\0' ? "/" : "", name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static int text_path(const struct fab_config *c, const char *hex, char out[PATH_MAX])
{
	char name[HEX_LEN + 8];

	snprintf(name, sizeof(name), "%s.yaml", hex);
	return path_in(c, name, out);
}

static int manifest_path(const struct fab_config *c, const char *boot, uint64_t epoch, char out[PATH_MAX])
{
	char name[80];

	snprintf(name, sizeof(name), "epoch-%.32s-%" PRIu64 ".json", boot, epoch);
	return path_in(c, name, out);
}

/* --- keeping -------------------------------------------------------------------------------------------------------- */

/* 1: the file is there with just these bytes, and no link to another. */
static int has_bytes(const char *path, const char *text, size_t len)
{
	struct stat st;
	uint8_t *bytes = NULL;
	size_t n = 0;

	if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != len ||
	    fab_file_load(path, len, &bytes, &n) != 0)
		return 0;
	int same = n == len && memcmp(bytes, text, len) == 0;

	free(bytes);
	return same;
}

/* What was cut off by a crash or changed by somebody is written anew: it would answer no question any more. */
static int text_put(const struct fab_config *c, const struct fab_policy_file *f, char hex[HEX_LEN + 1])
{
	char path[PATH_MAX];
	int r;

	sodium_bin2hex(hex, HEX_LEN + 1, f->sha256, sizeof(f->sha256));
	r = text_path(c, hex, path);
	if (r != 0 || has_bytes(path, f->text.text, f->text.len))
		return r;
	return fab_file_write(path, f->text.text, f->text.len, 0600, 0);
}

static json_t *manifest_make(const char *boot, const struct fab_epoch *e)
{
	const struct fab_policies *p = e->policies;
	char digest[HEX_LEN + 1], when[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	sodium_bin2hex(digest, sizeof(digest), p->digest, sizeof(p->digest));
	/* Paths that are no UTF-8 are refused by whoever read them; if not, there is no manifest. */
	return json_pack("{s:s, s:I, s:s, s:s, s:s, s:{s:s, s:s}, s:[]}", "boot", boot, "epoch", (json_int_t)e->number, "time",
			 when, "policies", p->folder->path, "digest", digest, "schemas", "path", e->path != NULL ? e->path : "",
			 "digest", e->digest, "files");
}

static int files_put(const struct fab_config *c, const struct fab_epoch *e, json_t *manifest)
{
	json_t *files = json_object_get(manifest, "files");
	char hex[HEX_LEN + 1];
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < e->policies->n_files; i++) {
		const struct fab_policy_file *f = &e->policies->file[i];

		r = text_put(c, f, hex);
		if (r == 0 &&
		    json_array_append_new(files, json_pack("{s:s?, s:s, s:s}", "unikernel", f->unikernel, "path", f->path,
							   "sha256", hex)) < 0)
			r = -ENOMEM;
	}
	return r;
}

/* --- letting go ------------------------------------------------------------------------------------------------------ */

struct entry {
	char *name;
	struct timespec when; /* it was written */
	uint64_t bytes;
	int is_manifest;
};

struct folder {
	struct entry *at;
	size_t n, cap, manifests;
	uint64_t bytes; /* of texts */
};

static void folder_free(struct folder *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->at[i].name);
	free(f->at);
}

static int is_text(const char *name)
{
	return strspn(name, "0123456789abcdef") == HEX_LEN && strcmp(name + HEX_LEN, ".yaml") == 0;
}

static int is_manifest(const char *name)
{
	size_t n = strlen(name);

	return strncmp(name, "epoch-", 6) == 0 && n > 11 && strcmp(name + n - 5, ".json") == 0;
}

/* What a crash left of a file that was being written: fab_file_write() puts this behind the name. Nobody writes when it is
 * looked for. */
static int is_left(const char *name)
{
	char whole[NAME_MAX + 1];
	size_t n = strlen(name);

	if (n < 8 || n >= sizeof(whole) || name[n - 7] != '.')
		return 0;
	memcpy(whole, name, n - 7);
	whole[n - 7] = '\0';
	return is_text(whole) || is_manifest(whole);
}

static int entry_add(struct folder *f, const struct fab_config *c, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (path_in(c, name, path) != 0 || lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return 0;
	if (f->n == f->cap) {
		size_t cap = f->cap > 0 ? 2 * f->cap : 64;
		struct entry *more = reallocarray(f->at, cap, sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		f->at = more;
		f->cap = cap;
	}
	struct entry e = {strdup(name), st.st_mtim, (uint64_t)st.st_size, is_manifest(name)};

	if (e.name == NULL)
		return -ENOMEM;
	f->at[f->n++] = e;
	if (e.is_manifest)
		f->manifests++;
	else
		f->bytes += e.bytes;
	return 0;
}

static void drop(const struct fab_config *c, const char *name)
{
	char path[PATH_MAX];

	if (path_in(c, name, path) == 0)
		unlink(path);
}

static int folder_read(struct folder *f, const struct fab_config *c)
{
	char path[PATH_MAX];
	const struct dirent *d;
	int r = path_in(c, "", path);
	DIR *dir = r == 0 ? opendir(path) : NULL;

	if (dir == NULL)
		return r != 0 ? r : -errno;
	while (r == 0 && f->n < NAMES_MAX && (d = readdir(dir)) != NULL)
		if (is_text(d->d_name) || is_manifest(d->d_name))
			r = entry_add(f, c, d->d_name);
		else if (is_left(d->d_name))
			drop(c, d->d_name);
	closedir(dir);
	return r;
}

/* Manifests first, the newest in front. */
static int newest_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->is_manifest != y->is_manifest)
		return y->is_manifest - x->is_manifest;
	if (x->when.tv_sec != y->when.tv_sec)
		return x->when.tv_sec < y->when.tv_sec ? 1 : -1;
	if (x->when.tv_nsec != y->when.tv_nsec)
		return x->when.tv_nsec < y->when.tv_nsec ? 1 : -1;
	return strcmp(y->name, x->name);
}

static json_t *manifest_read(const char *path)
{
	uint8_t *bytes = NULL;
	size_t len = 0;
	json_t *o;

	if (fab_file_load(path, MANIFEST_BYTES_MAX, &bytes, &len) != 0)
		return NULL;
	o = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
	free(bytes);
	return o;
}

/* Notes which texts a manifest names; returns the bytes of those that none before did. */
static uint64_t mark(const struct fab_config *c, const char *name, json_t *needed)
{
	char path[PATH_MAX];
	uint64_t bytes = 0;
	json_t *o = path_in(c, name, path) == 0 ? manifest_read(path) : NULL, *files = json_object_get(o, "files");

	for (size_t i = 0; i < json_array_size(files); i++) {
		const char *hex = json_string_value(json_object_get(json_array_get(files, i), "sha256"));
		struct stat st;

		if (hex == NULL || json_object_get(needed, hex) != NULL || strlen(hex) != HEX_LEN)
			continue;
		json_object_set_new(needed, hex, json_true());
		if (text_path(c, hex, path) == 0 && lstat(path, &st) == 0)
			bytes += (uint64_t)st.st_size;
	}
	json_decref(o);
	return bytes;
}

/* Beyond a limit, a quarter goes at once, so that it is not looked through at each change. */
static void prune(const struct fab_config *c)
{
	struct folder f = {0};
	json_t *needed = json_object();
	uint64_t bytes = 0;
	size_t kept = 0;

	if (needed == NULL || folder_read(&f, c) != 0 ||
	    (f.manifests <= FAB_KEPT_EPOCHS_MAX && f.bytes <= FAB_KEPT_BYTES_MAX))
		goto out;
	qsort(f.at, f.n, sizeof(f.at[0]), newest_first);
	for (; kept < f.manifests; kept++) {
		bytes += mark(c, f.at[kept].name, needed);
		if (kept >= 2 && (kept >= FAB_KEPT_EPOCHS_MAX / 4 * 3 || bytes > FAB_KEPT_BYTES_MAX / 4 * 3))
			break;
	}
	/* The last one that was marked may be one too many; its texts go with the next. */
	for (size_t i = kept; i < f.manifests; i++)
		drop(c, f.at[i].name);
	for (size_t i = f.manifests; i < f.n; i++) {
		f.at[i].name[HEX_LEN] = '\0';
		if (json_object_get(needed, f.at[i].name) == NULL) {
			f.at[i].name[HEX_LEN] = '.';
			drop(c, f.at[i].name);
		}
	}
out:
	json_decref(needed);
	folder_free(&f);
}

int fab_kept_put(const struct fab_config *c, uint64_t boot, const struct fab_epoch *e, char *err, size_t cap)
{
	char dir[PATH_MAX], path[PATH_MAX], hex[24], *text = NULL;
	json_t *manifest = NULL;
	int r;

	snprintf(hex, sizeof(hex), "%016" PRIx64, boot);
	if (path_in(c, "", dir) != 0 || manifest_path(c, hex, e->number, path) != 0)
		return fab_fail(err, cap, -ENAMETOOLONG, "%s: the path is too long", c->run_dir);
	r = mkdir(dir, 0700) == 0 || errno == EEXIST ? 0 : -errno;
	if (r == 0 && (manifest = manifest_make(hex, e)) == NULL)
		r = -EILSEQ;
	if (r == 0)
		r = files_put(c, e, manifest);
	if (r == 0)
		r = (text = json_dumps(manifest, JSON_INDENT(1))) != NULL ? 0 : -ENOMEM;
	if (r == 0)
		r = fab_file_write(path, text, strlen(text), 0600, 0);
	free(text);
	json_decref(manifest);
	if (r != 0)
		return fab_fail(err, cap, r, "%s: the policies cannot be kept: %s", dir, strerror(-r));
	prune(c);
	return 0;
}

void fab_kept_forget(const struct fab_config *c, uint64_t boot, uint64_t epoch)
{
	char path[PATH_MAX], hex[24];

	snprintf(hex, sizeof(hex), "%016" PRIx64, boot);
	if (manifest_path(c, hex, epoch, path) == 0)
		unlink(path);
}

/* --- finding again ---------------------------------------------------------------------------------------------------- */

/* 1: it says that it is this epoch, and its digest is that of its files. */
static int is_of(const json_t *o, const char *boot, uint64_t epoch)
{
	const json_t *files = json_object_get(o, "files"), *number = json_object_get(o, "epoch");
	const char *own = json_string_value(json_object_get(o, "boot"));
	const char *said = json_string_value(json_object_get(o, "digest"));
	size_t n = json_array_size(files);
	struct fab_policy_file *file = calloc(n + 1, sizeof(*file));
	uint8_t digest[FAB_SHA256_LEN];
	char hex[HEX_LEN + 1];
	int ok = file != NULL && own != NULL && said != NULL && strcmp(own, boot) == 0 && json_is_integer(number) &&
		 (uint64_t)json_integer_value(number) == epoch && n <= POL_UNIKERNELS_MAX + 1;

	for (size_t i = 0; ok && i < n; i++) {
		const json_t *f = json_array_get(files, i);
		const char *sha256 = json_string_value(json_object_get(f, "sha256"));

		file[i].path = json_string_value(json_object_get(f, "path"));
		ok = file[i].path != NULL && sha256 != NULL && strlen(sha256) == HEX_LEN &&
		     sodium_hex2bin(file[i].sha256, FAB_SHA256_LEN, sha256, HEX_LEN, NULL, NULL, NULL) == 0;
	}
	ok = ok && fab_policies_digest(file, (uint32_t)n, digest) == 0 &&
	     strcmp(sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest)), said) == 0;
	free(file);
	return ok;
}

json_t *fab_kept_epoch(const struct fab_config *c, const char *boot, uint64_t epoch, char *err, size_t cap)
{
	char path[PATH_MAX];
	json_t *o;

	if (strspn(boot, "0123456789abcdef") != strlen(boot) || manifest_path(c, boot, epoch, path) != 0) {
		fab_fail(err, cap, -EINVAL, "%s is no boot number", boot);
		return NULL;
	}
	o = manifest_read(path);
	if (o == NULL) {
		fab_fail(err, cap, -ENOENT, "%s: %s", path,
			 access(path, F_OK) == 0 ? "cannot be read" : "the policies of that epoch are kept no more");
	} else if (!is_of(o, boot, epoch)) {
		fab_fail(err, cap, -EBADMSG, "%s was changed: it is not what its name and its digest say", path);
		json_decref(o);
		return NULL;
	}
	return o;
}

static int text_get(const struct fab_config *c, const json_t *file, struct pol_text *t, char *err, size_t cap)
{
	const char *hex = json_string_value(json_object_get(file, "sha256"));
	uint8_t *bytes = NULL, hash[FAB_SHA256_LEN];
	char path[PATH_MAX], found[HEX_LEN + 1];

	if (hex == NULL || strspn(hex, "0123456789abcdef") != HEX_LEN || hex[HEX_LEN] != '\0' || text_path(c, hex, path) != 0)
		return fab_fail(err, cap, -EBADMSG, "a kept epoch is broken");
	int r = fab_file_load(path, POL_FILE_BYTES_MAX, &bytes, &t->len);
	if (r != 0)
		return fab_fail(err, cap, r, "%s: %s", path, strerror(-r));
	t->text = realloc(bytes, t->len + 1);
	if (t->text == NULL) {
		free(bytes);
		return fab_fail(err, cap, -ENOMEM, "no memory");
	}
	((char *)(uintptr_t)t->text)[t->len] = '\0';
	crypto_hash_sha256(hash, (const uint8_t *)t->text, t->len);
	sodium_bin2hex(found, sizeof(found), hash, sizeof(hash));
	return strcmp(found, hex) == 0 ? 0 : fab_fail(err, cap, -EBADMSG, "%s was changed: it is not what its name says", path);
}

int fab_kept_texts(const struct fab_config *c, const json_t *epoch, struct fab_kept *k, char *err, size_t cap)
{
	const json_t *files = json_object_get(epoch, "files");
	size_t n = json_array_size(files);
	int r = 0;

	memset(k, 0, sizeof(*k));
	k->u = calloc(n + 1, sizeof(k->u[0]));
	k->texts = calloc(n + 1, sizeof(k->texts[0]));
	if (k->u == NULL || k->texts == NULL)
		return fab_fail(err, cap, -ENOMEM, "no memory");
	for (size_t i = 0; i < n && r == 0; i++) {
		const json_t *f = json_array_get(files, i);
		const char *name = json_string_value(json_object_get(f, "unikernel"));
		const char *path = json_string_value(json_object_get(f, "path"));

		if (path == NULL || (name == NULL && k->common_path != NULL) || k->n == POL_UNIKERNELS_MAX)
			return fab_fail(err, cap, -EBADMSG, "a kept epoch is broken");
		if (name == NULL) {
			k->common_path = path;
			r = text_get(c, f, &k->common, err, cap);
		} else {
			k->u[k->n] = (struct pol_unikernel){name, path};
			r = text_get(c, f, &k->texts[k->n++], err, cap);
		}
	}
	return r;
}

void fab_kept_free(struct fab_kept *k)
{
	for (uint32_t i = 0; i < k->n; i++)
		free((void *)(uintptr_t)k->texts[i].text);
	free((void *)(uintptr_t)k->common.text);
	free(k->texts);
	free(k->u);
}
