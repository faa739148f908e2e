/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a policy folder: first the names, sorted, so that what is said does not hang on the order in which a disk keeps
 * them; then the texts. All of it is of one moment: what was changed meanwhile is read again. That a file says `unikernel: NAME`
 * as it is called, and whatever else stands in it, is the compiler's. */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "err.h"
#include "yaml.h"

#define NAME_MAX_BYTES 32u /* of a unikernel's name */
#define FILES_MAX (2u * POL_UNIKERNELS_MAX) /* that end in .yaml */
#define YAML ".yaml"
#define CASES ".test.yaml"
#define READ_TRIES 8u

/* What a name in the folder is. */
enum kind { POLICY = 1, COMMON, TESTS };

/* By what a file is known to be what it was. */
struct mark {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec written, changed;
};

struct reader {
	struct pol_folder *f;
	struct pol_err *err;
	char **names; /* that end as YAML files do, owned; sorted once all are there */
	uint32_t n, cap;
	size_t bytes;
	DIR *dir;     /* all is read through it: where its path leads to may change */
	struct mark folder, *marks; /* from before any text was read; one for each name */
	int is_other; /* a text was read of another file than had the mark */
};

static int ends_with(const char *text, size_t len, const char *end)
{
	size_t n = strlen(end);
	return len > n && strcmp(text + (len - n), end) == 0;
}

static int name_ok(const char *name, size_t len)
{
	if (len == 0 || len > NAME_MAX_BYTES || name[0] < 'a' || name[0] > 'z')
		return 0;
	for (size_t i = 1; i < len; i++)
		if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= '0' && name[i] <= '9') && name[i] != '-')
			return 0;
	return 1;
}

static int is(const char *name, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(name, word, len) == 0;
}

/* Hidden files are not looked at: editors leave some. One with another way to write .yaml was meant to count. */
static int is_ours(const char *name)
{
	const char *dot = strrchr(name, '.');
	return name[0] != '.' && dot != NULL && (strcasecmp(dot, YAML) == 0 || strcasecmp(dot, ".yml") == 0);
}

/* The kind of file that this is by its name, or -errno. */
static int kind_of(const struct reader *r, const char *name)
{
	char path[PATH_MAX];
	size_t len = strlen(name);
	snprintf(path, sizeof path, "%s/%s", r->f->path, name);
	if (!ends_with(name, len, YAML))
		return pol_err_set(r->err, EINVAL, path, 0, 0,
				   "would not be looked at because of its \"%s\"; end its name in " YAML, strrchr(name, '.'));
	if (ends_with(name, len, CASES))
		return TESTS;
	len -= strlen(YAML);
	if (is(name, len, POL_COMMON))
		return COMMON;
	if (is(name, len, "any"))
		return pol_err_set(r->err, EINVAL, path, 0, 0,
				   "\"any\" stands for every unikernel; give this one another name");
	if (!name_ok(name, len))
		return pol_err_set(r->err, EINVAL, path, 0, 0,
				   "is none of the files of a policy folder: NAME" YAML " (NAME is 1 to 32 of a-z, 0-9 and -, a "
				   "letter first), " POL_COMMON YAML " and *" CASES);
	return POLICY;
}

/* By what stands before the last dot: the policies are in the order of their unikernels' names. */
static int name_order(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	size_t nx = (size_t)(strrchr(x, '.') - x), ny = (size_t)(strrchr(y, '.') - y);
	int d = memcmp(x, y, nx < ny ? nx : ny);
	if (d == 0 && nx != ny)
		d = nx < ny ? -1 : 1;
	return d != 0 ? d : strcmp(x, y);
}

static int name_add(struct reader *r, const char *name)
{
	char **names = r->n < FILES_MAX ? pol_array_room(r->names, r->n, &r->cap, sizeof *names) : NULL;
	if (r->n == FILES_MAX)
		return pol_err_set(r->err, E2BIG, r->f->path, 0, 0, "more than %u policies and files of cases", FILES_MAX);
	if (names == NULL)
		return pol_err_memory(r->err, r->f->path);
	r->names = names;
	names[r->n] = strdup(name);
	if (names[r->n] == NULL)
		return pol_err_memory(r->err, r->f->path);
	r->n++;
	return 0;
}

/* --- one moment ------------------------------------------------------------------------------------------------------- */

static struct mark mark_of(const struct stat *st)
{
	return (struct mark){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

/* What cannot be looked at has a mark of its own: it must stay so. */
static struct mark mark_at(const struct reader *r, const char *name)
{
	struct stat st;
	return fstatat(dirfd(r->dir), name, &st, 0) == 0 ? mark_of(&st) : (struct mark){.size = -1};
}

static int same(const struct mark *a, const struct mark *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->written.tv_sec == b->written.tv_sec &&
	       a->written.tv_nsec == b->written.tv_nsec && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

static int marks_take(struct reader *r)
{
	r->marks = calloc(r->n + 1u, sizeof *r->marks);
	if (r->marks == NULL)
		return pol_err_memory(r->err, r->f->path);
	for (uint32_t i = 0; i < r->n; i++)
		r->marks[i] = mark_at(r, r->names[i]);
	return 0;
}

/* 1: the folder, or a file of it, is not what it was when its names were read. */
static int changed(const struct reader *r)
{
	if (r->marks == NULL || r->is_other)
		return r->is_other;
	struct mark now = mark_at(r, ".");
	if (!same(&now, &r->folder))
		return 1;
	for (uint32_t i = 0; i < r->n; i++) {
		now = mark_at(r, r->names[i]);
		if (!same(&now, &r->marks[i]))
			return 1;
	}
	return 0;
}

/* --- names -------------------------------------------------------------------------------------------------------------- */

static int names_read(struct reader *r)
{
	const struct dirent *e;
	int rc = 0;
	DIR *d = r->dir = opendir(r->f->path);
	if (d == NULL)
		return pol_err_set(r->err, errno, r->f->path, 0, 0, "cannot be opened as a folder of policies: %s",
				   strerror(errno));
	r->folder = mark_at(r, ".");
	while (rc == 0 && (errno = 0, e = readdir(d)) != NULL) /* ends with the folder, or where there is too much */
		if (is_ours(e->d_name))
			rc = name_add(r, e->d_name);
	if (rc == 0 && errno != 0)
		rc = pol_err_set(r->err, errno, r->f->path, 0, 0, "cannot be read: %s", strerror(errno));
	if (rc == 0 && r->n > 0)
		qsort(r->names, r->n, sizeof *r->names, name_order);
	return rc;
}

/* --- texts -------------------------------------------------------------------------------------------------------------- */

static int text_read(struct reader *r, uint32_t at, const char *path, struct pol_text *t)
{
	char *text = NULL;
	struct stat st;
	int rc = pol_text_load_at(dirfd(r->dir), r->names[at], path, &text, &t->len, &st, r->err);
	t->text = text;
	if (rc < 0)
		return rc;
	struct mark read = mark_of(&st);
	r->is_other |= !same(&read, &r->marks[at]);
	if (t->len > POL_FILE_BYTES_MAX)
		return pol_err_set(r->err, EFBIG, path, 0, 0, "longer than 1 MiB");
	r->bytes += t->len; /* at most POL_FOLDER_BYTES_MAX and a file more */
	if (r->bytes > POL_FOLDER_BYTES_MAX)
		return pol_err_set(r->err, EFBIG, r->f->path, 0, 0, "more than %u MiB in all files together",
				   POL_FOLDER_BYTES_MAX >> 20);
	return 0;
}

/* "folder/name" for the caller to free, or NULL: no memory. */
static char *path_in(const struct pol_folder *f, const char *name)
{
	size_t n = strlen(f->path), m = strlen(name);
	char *path = malloc(n + m + 2);
	if (path == NULL)
		return NULL;
	memcpy(path, f->path, n);
	path[n] = '/';
	memcpy(path + n + 1, name, m + 1);
	return path;
}

static int file_take(struct reader *r, uint32_t index)
{
	struct pol_folder *f = r->f;
	const char *name = r->names[index];
	int kind = kind_of(r, name);
	if (kind < 0)
		return kind;
	if (kind == POLICY && f->n == POL_UNIKERNELS_MAX)
		return pol_err_set(r->err, E2BIG, f->path, 0, 0, "more than %u policies", POL_UNIKERNELS_MAX);
	char *path = path_in(f, name);
	if (path == NULL)
		return pol_err_memory(r->err, f->path);
	if (kind == TESTS) {
		f->tests[f->n_tests++] = path;
		return 0;
	}
	if (kind == COMMON) {
		f->common_path = path;
		return text_read(r, index, path, &f->common);
	}
	uint32_t at = f->n++;
	f->u[at].policy_path = path;
	f->u[at].name = strndup(name, strlen(name) - strlen(YAML));
	if (f->u[at].name == NULL)
		return pol_err_memory(r->err, path);
	return text_read(r, index, path, &f->texts[at]);
}

static int files_read(struct reader *r)
{
	struct pol_folder *f = r->f;
	int rc = 0;
	f->u = calloc(r->n + 1u, sizeof *f->u);
	f->texts = calloc(r->n + 1u, sizeof *f->texts);
	f->tests = calloc(r->n + 1u, sizeof *f->tests);
	if (f->u == NULL || f->texts == NULL || f->tests == NULL)
		return pol_err_memory(r->err, f->path);
	for (uint32_t i = 0; rc == 0 && i < r->n; i++)
		rc = file_take(r, i);
	if (rc == 0 && f->n == 0)
		rc = pol_err_set(r->err, ENOENT, f->path, 0, 0, "has no policy; each unikernel has one, NAME" YAML);
	return rc;
}

static int schema_add(struct reader *r, const struct pol_node *v)
{
	struct pol_folder *f = r->f;
	char quoted[POL_QUOTE_MAX];
	if (v->kind != POL_NODE_VALUE || v->len == 0)
		return pol_err_set(r->err, EINVAL, f->common_path, v->line, v->column,
				   "\"schemas\" lists something that is not a path");
	if (f->n_schemas == POL_SCHEMAS_MAX)
		return pol_err_set(r->err, EINVAL, f->common_path, v->line, v->column,
				   "\"schemas\" lists more than %u paths; name a folder that holds them", POL_SCHEMAS_MAX);
	char *path = v->text[0] == '/' ? strdup(v->text) : path_in(f, v->text);
	if (path == NULL)
		return pol_err_memory(r->err, f->common_path);
	for (uint32_t i = 0; i < f->n_schemas; i++)
		if (strcmp(f->schemas[i], path) == 0) {
			free(path);
			return pol_err_set(r->err, EINVAL, f->common_path, v->line, v->column,
					   "\"schemas\" lists %s twice; once is enough", pol_quote(quoted, v->text));
		}
	f->schemas[f->n_schemas++] = path;
	return 0;
}

/* Only the paths of schemas; the rest of the file, and that it has no unknown keys, the compiler looks at. */
static int schemas_find(struct reader *r)
{
	struct pol_yaml y;
	int rc = pol_yaml_parse(&y, r->f->common_path, r->f->common.text, r->f->common.len, r->err);
	if (rc < 0)
		return rc;
	const struct pol_node *k = y.root->first;
	while (k != NULL && strcmp(k->text, "schemas") != 0)
		k = k->next;
	if (k != NULL) {
		r->f->schemas_line = k->line;
		if (k->value->kind == POL_NODE_MAP || (k->value->kind == POL_NODE_LIST && k->value->n == 0))
			rc = pol_err_set(r->err, EINVAL, y.file, k->line, k->column, "\"schemas\" takes a path or a list of paths");
		for (const struct pol_node *p = pol_node_each(k->value); rc == 0 && p != NULL; p = p->next)
			rc = schema_add(r, p);
	}
	pol_yaml_free(&y);
	return rc;
}

/* 0 or -errno; 1: it was changed meanwhile, and what was read is worth nothing. */
static int read_once(struct pol_folder **folder, const char *path, struct pol_err *err)
{
	struct pol_folder *f = *folder = calloc(1, sizeof *f);
	struct reader r = {.f = f, .err = err};
	size_t len = strlen(path);
	int rc;
	if (f == NULL)
		return pol_err_memory(err, path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	f->path = strndup(path, len);
	if (f->path == NULL)
		rc = pol_err_memory(err, path);
	else if (len + NAME_MAX + 2 > PATH_MAX)
		rc = pol_err_set(err, ENAMETOOLONG, path, 0, 0, "the path is too long");
	else
		rc = names_read(&r);
	if (rc == 0)
		rc = marks_take(&r);
	if (rc == 0)
		rc = files_read(&r);
	if (rc == 0 && f->common_path != NULL)
		rc = schemas_find(&r);
	if (rc != -ENOMEM && changed(&r))
		rc = 1;
	for (uint32_t i = 0; i < r.n; i++)
		free(r.names[i]);
	free(r.names);
	free(r.marks);
	if (r.dir != NULL)
		closedir(r.dir);
	return rc;
}

int pol_folder_read(struct pol_folder **folder, const char *path, struct pol_err *err)
{
	int rc = read_once(folder, path, err);
	for (unsigned i = 1; rc == 1 && i < READ_TRIES; i++) {
		pol_folder_free(*folder);
		rc = read_once(folder, path, err);
	}
	if (rc == 1)
		rc = pol_err_set(err, EAGAIN, (*folder)->path, 0, 0,
				 "is being changed while it is read; try again when nobody writes to it");
	return rc;
}

static void text_free(const char *text)
{
	free((char *)(uintptr_t)text);
}

void pol_folder_free(struct pol_folder *f)
{
	if (f == NULL)
		return;
	for (uint32_t i = 0; i < f->n; i++) {
		text_free(f->u[i].name);
		text_free(f->u[i].policy_path);
		text_free(f->texts[i].text);
	}
	for (uint32_t i = 0; i < f->n_tests; i++)
		free(f->tests[i]);
	for (uint32_t i = 0; i < f->n_schemas; i++)
		free(f->schemas[i]);
	text_free(f->common.text);
	free(f->common_path);
	free(f->tests);
	free(f->texts);
	free(f->u);
	free(f->path);
	free(f);
}

struct pol_source pol_folder_source(const struct pol_folder *f)
{
	return (struct pol_source){
		.u = f->u, .n = f->n, .texts = f->texts, .common_path = f->common_path, .common = f->common};
}

int32_t pol_folder_find(const struct pol_folder *f, const char *name)
{
	uint32_t low = 0, high = f->n;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int d = strcmp(name, f->u[mid].name);
		if (d == 0)
			return (int32_t)mid;
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -1;
}
