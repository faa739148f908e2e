/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads fabric.yaml: tables of keys, each with its limits, over the strict YAML reader. Opens nothing that the file
 * names; whoever uses a path says what is wrong with it. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "guest-lib/wire.h"
#include "policy/err.h"
#include "policy/units.h"
#include "policy/yaml.h"

_Static_assert(POL_PAYLOAD_MAX == WEFT_PAYLOAD_MAX, "a rule may allow exactly what a record can carry");

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)

struct reader {
	struct pol_yaml yaml;
	struct fab_config *c;
	struct pol_err *err;
};

static int refuse(const struct reader *r, const struct pol_node *value, const char *key, const char *right)
{
	char quoted[POL_QUOTE_MAX];
	return pol_err_set(r->err, EINVAL, r->yaml.file, value->line, value->column, "\"%s\" is %s; %s", key,
			   pol_quote(quoted, value->text), right);
}

static int copy_text(const struct reader *r, char **out, const char *text)
{
	*out = strdup(text);
	return *out != NULL ? 0 : pol_err_memory(r->err, r->yaml.file);
}

/* A path of the file, relative to the file's own folder. */
static int copy_path(const struct reader *r, char **out, const char *path)
{
	const char *slash = path[0] == '/' ? NULL : strrchr(r->yaml.file, '/');
	size_t dir_len = slash != NULL ? (size_t)(slash - r->yaml.file) + 1 : 0;
	size_t path_len = strlen(path);
	*out = malloc(dir_len + path_len + 1);
	if (*out == NULL)
		return pol_err_memory(r->err, r->yaml.file);
	memcpy(*out, r->yaml.file, dir_len);
	memcpy(*out + dir_len, path, path_len + 1);
	return 0;
}

static int policy_path(const struct reader *r, struct fab_unikernel_config *u)
{
	size_t cap = strlen(r->c->policies) + strlen(u->name) + sizeof "/.yaml";
	u->policy = malloc(cap);
	if (u->policy == NULL)
		return pol_err_memory(r->err, r->yaml.file);
	snprintf(u->policy, cap, "%s/%s.yaml", r->c->policies, u->name);
	return 0;
}

static int read_size(const struct reader *r, const struct pol_node *key, uint64_t least, uint64_t most, uint64_t *bytes)
{
	char low[24], high[24], right[96];
	if (key == NULL)
		return 0;
	if (pol_size_parse(key->value->text, bytes) < 0)
		return refuse(r, key->value, key->text, "write a size such as 512B, 64KiB or 16MiB");
	if (*bytes >= least && *bytes <= most)
		return 0;
	snprintf(right, sizeof right, "it must be from %s to %s", pol_size_text(low, least), pol_size_text(high, most));
	return refuse(r, key->value, key->text, right);
}

static int read_count(const struct reader *r, const struct pol_node *key, uint32_t most, uint32_t *count)
{
	char right[64];
	uint64_t n;
	if (key == NULL)
		return 0;
	snprintf(right, sizeof right, "write a number from 1 to %" PRIu32, most);
	if (pol_count_parse(key->value->text, &n) < 0 || n < 1 || n > most)
		return refuse(r, key->value, key->text, right);
	*count = (uint32_t)n;
	return 0;
}

static int read_limits(const struct reader *r, const struct pol_node *limits)
{
	enum { MESSAGE, WINDOW, DECISIONS, LOG_FILE, LOG_FILES, PAIRS, KEYS };
	static const struct pol_key keys[KEYS] = {
	    [MESSAGE] = {"message", POL_KEY_VALUE},	[WINDOW] = {"window", POL_KEY_VALUE},
	    [DECISIONS] = {"decisions", POL_KEY_VALUE}, [LOG_FILE] = {"log_file", POL_KEY_VALUE},
	    [LOG_FILES] = {"log_files", POL_KEY_VALUE},	[PAIRS] = {"pairs", POL_KEY_VALUE},
	};
	const struct pol_node *found[KEYS];
	struct fab_config *c = r->c;
	uint64_t message = c->message_max, window = c->window, n, period;
	int rc = pol_yaml_keys(&r->yaml, limits, "\"limits\"", keys, KEYS, found, r->err);
	if (rc == 0)
		rc = read_size(r, found[MESSAGE], 1, WEFT_PAYLOAD_MAX, &message);
	if (rc == 0)
		rc = read_size(r, found[WINDOW], FAB_WINDOW_MIN, FAB_WINDOW_MAX, &window);
	if (rc == 0)
		rc = read_size(r, found[LOG_FILE], FAB_LOG_FILE_MIN, FAB_LOG_FILE_MAX, &c->log_file_bytes);
	if (rc < 0)
		return rc;
	c->message_max = (uint32_t)message;
	c->window = (uint32_t)window;
	if (found[DECISIONS] != NULL) {
		const struct pol_node *v = found[DECISIONS]->value;
		if (pol_rate_parse(v->text, &n, &period) < 0 || period != UINT64_C(1000000000) || n < 1 ||
		    n > FAB_DECISIONS_MAX)
			return refuse(r, v, "decisions", "write a rate from 1/s to 1000000/s");
		c->decisions_per_s = (uint32_t)n;
	}
	rc = read_count(r, found[LOG_FILES], FAB_LOG_FILES_MAX, &c->log_files);
	return rc < 0 ? rc : read_count(r, found[PAIRS], FAB_PAIRS_MAX, &c->pairs_max);
}

/* What the launch module can hold: see guest-lib/launch.h. */
static int printable(const char *text, size_t len_max, int blank)
{
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++)
		if (text[i] < (blank ? ' ' : '!') || text[i] > '~')
			return 0;
	return len >= 1 && len <= len_max;
}

static int read_set(const struct reader *r, const struct pol_node *set, struct fab_unikernel_config *u)
{
	char quoted[POL_QUOTE_MAX];
	for (const struct pol_node *k = set->first; k != NULL; k = k->next) {
		const struct pol_node *v = k->value;
		if (u->n_sets == WEFT_LAUNCH_SETS_MAX)
			return pol_err_set(r->err, EINVAL, r->yaml.file, k->line, k->column,
					   "\"set\" has more than %u keys", WEFT_LAUNCH_SETS_MAX);
		if (!printable(k->text, WEFT_LAUNCH_KEY_MAX, 0))
			return pol_err_set(
			    r->err, EINVAL, r->yaml.file, k->line, k->column,
			    "%s cannot be a key of \"set\": printable ASCII without blanks, at most %u bytes",
			    pol_quote(quoted, k->text), WEFT_LAUNCH_KEY_MAX);
		if (v->kind != POL_NODE_VALUE)
			return pol_err_set(r->err, EINVAL, r->yaml.file, v->line, v->column,
					   "%s must be a one-line value", pol_quote(quoted, k->text));
		if (!printable(v->text, WEFT_LAUNCH_VALUE_MAX, 1))
			return pol_err_set(r->err, EINVAL, r->yaml.file, v->line, v->column,
					   "the value of %s must be printable ASCII, from 1 to %u bytes",
					   pol_quote(quoted, k->text), WEFT_LAUNCH_VALUE_MAX);
		int rc = copy_text(r, &u->set[u->n_sets].key, k->text);
		if (rc == 0)
			rc = copy_text(r, &u->set[u->n_sets].value, v->text);
		u->n_sets++;
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* QEMU takes the model as one argument: letters, digits and what features need. */
static int cpu_ok(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.,+=";
	return text[0] != '-' && strlen(text) <= 256 && text[strspn(text, allowed)] == '\0';
}

/* A socket's path must fit its address. */
static int check_socket(const struct reader *r, const struct pol_node *at, const char *name)
{
	struct sockaddr_un address;
	size_t room = sizeof address.sun_path - 1; /* one byte for the terminating zero */
	size_t need = strlen(r->c->run_dir) + 1 + strlen(name) + strlen(".sock");
	if (need <= room)
		return 0;
	return pol_err_set(r->err, ENAMETOOLONG, r->yaml.file, at->line, at->column,
			   "the path of the socket RUN_DIR/%s.sock has %zu bytes and may have %zu; shorten \"run_dir\"",
			   name, need, room);
}

static int read_name(const struct reader *r, const struct pol_node *v, struct fab_unikernel_config *u)
{
	/* The first three would share a file of the run directory with the fabric's own. */
	static const struct { const char *name, *right; } reserved[] = {
	    {"fabric", "the fabric uses this name itself; choose another"},
	    {"weftd", "the fabric uses this name itself; choose another"},
	    {"control", "the fabric uses this name itself; choose another"},
	    {POL_COMMON, "the policies' shared file is " POL_COMMON ".yaml; choose another"},
	    {"any", "in policies that is every unikernel; choose another"},
	};
	if (!weft_name_ok(v->text))
		return refuse(r, v, "name", "write 1 to 32 of a-z, 0-9 and -, a letter first");
	for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		if (strcmp(v->text, reserved[i].name) == 0)
			return refuse(r, v, "name", reserved[i].right);
	int rc = check_socket(r, v, v->text);
	if (rc < 0)
		return rc;
	return copy_text(r, &u->name, v->text);
}

static int read_worker(const struct reader *r, const struct pol_node *key, int *worker)
{
	char right[64];
	uint64_t n;

	*worker = -1;
	if (key == NULL)
		return 0;
	snprintf(right, sizeof right, "write a number from 0 to %" PRIu32 "; `workers` says how many there are", r->c->workers - 1);
	if (pol_count_parse(key->value->text, &n) < 0 || n >= r->c->workers)
		return refuse(r, key->value, "worker", right);
	*worker = (int)n;
	return 0;
}

static int read_unikernel(const struct reader *r, const struct pol_node *node, struct fab_unikernel_config *u)
{
	enum { NAME, IMAGE, MEMORY, CPU, SET, WORKER, KEYS };
	static const struct pol_key keys[KEYS] = {
	    [NAME] = {"name", POL_KEY_VALUE | POL_KEY_REQUIRED},
	    [IMAGE] = {"image", POL_KEY_VALUE},
	    [MEMORY] = {"memory", POL_KEY_VALUE},
	    [CPU] = {"cpu", POL_KEY_VALUE},
	    [SET] = {"set", POL_KEY_MAP | POL_KEY_EMPTY},
	    [WORKER] = {"worker", POL_KEY_VALUE},
	};
	const struct pol_node *found[KEYS];
	int rc = pol_yaml_keys(&r->yaml, node, "a unikernel", keys, KEYS, found, r->err);
	if (rc < 0)
		return rc;
	u->line = node->line;
	u->memory_bytes = FAB_MEMORY_DEFAULT;
	rc = read_name(r, found[NAME]->value, u);
	if (rc == 0 && found[IMAGE] != NULL)
		rc = copy_path(r, &u->image, found[IMAGE]->value->text);
	if (rc == 0)
		rc = policy_path(r, u);
	if (rc == 0)
		rc = read_size(r, found[MEMORY], FAB_MEMORY_MIN, FAB_MEMORY_MAX, &u->memory_bytes);
	if (rc == 0 && u->memory_bytes % MIB != 0)
		rc = refuse(r, found[MEMORY]->value, "memory", "write whole MiB");
	if (rc == 0 && found[CPU] != NULL && !cpu_ok(found[CPU]->value->text))
		rc = refuse(r, found[CPU]->value, "cpu", "write a QEMU CPU model such as max or max,-avx2");
	if (rc == 0)
		rc = copy_text(r, &u->cpu, found[CPU] != NULL ? found[CPU]->value->text : "max");
	if (rc == 0 && found[SET] != NULL)
		rc = read_set(r, found[SET]->value, u);
	return rc == 0 ? read_worker(r, found[WORKER], &u->worker) : rc;
}

static int by_name_then_line(const void *a, const void *b)
{
	const struct fab_unikernel_config *x = *(const struct fab_unikernel_config *const *)a;
	const struct fab_unikernel_config *y = *(const struct fab_unikernel_config *const *)b;
	int d = strcmp(x->name, y->name);
	return d != 0 ? d : (x > y) - (x < y);
}

/* Of several doubled names, the one that comes first in the file is told. */
static int check_doubles(const struct reader *r)
{
	struct fab_config *c = r->c;
	const struct fab_unikernel_config **sorted = calloc(c->n, sizeof *sorted), *first = NULL, *second = NULL;
	if (sorted == NULL)
		return pol_err_memory(r->err, r->yaml.file);
	for (uint32_t i = 0; i < c->n; i++)
		sorted[i] = &c->u[i];
	qsort(sorted, c->n, sizeof *sorted, by_name_then_line);
	for (uint32_t i = 1; i < c->n; i++)
		if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0 && (second == NULL || sorted[i] < second)) {
			first = sorted[i - 1];
			second = sorted[i];
		}
	free(sorted);
	if (second == NULL)
		return 0;
	return pol_err_set(r->err, EEXIST, r->yaml.file, second->line, 0,
			   "unikernel \"%s\" is on line %u already; each name once", second->name, first->line);
}

static int read_unikernels(const struct reader *r, const struct pol_node *list)
{
	struct fab_config *c = r->c;
	if (list->n == 0)
		return pol_err_set(r->err, EINVAL, r->yaml.file, list->line, list->column,
				   "\"unikernels\" is an empty list; a fabric has at least one");
	if (list->n > FAB_UNIKERNELS_MAX)
		return pol_err_set(r->err, E2BIG, r->yaml.file, list->line, list->column,
				   "%u unikernels; a fabric has at most %u", list->n, FAB_UNIKERNELS_MAX);
	c->u = calloc(list->n, sizeof *c->u);
	if (c->u == NULL)
		return pol_err_memory(r->err, r->yaml.file);
	for (const struct pol_node *p = list->first; p != NULL; p = p->next) {
		/* Counted first, so that freeing finds what a failed one had. */
		int rc = read_unikernel(r, p, &c->u[c->n++]);
		if (rc < 0)
			return rc;
	}
	return check_doubles(r);
}

static const struct pol_node *key_of(const struct pol_node *map, const char *name)
{
	const struct pol_node *k = map->kind == POL_NODE_MAP ? map->first : NULL;
	while (k != NULL && strcmp(k->text, name) != 0)
		k = k->next;
	return k;
}

/* Until there were policy folders, each unikernel named its file. Whoever still does learns what to write instead, before
 * other keys are found missing. */
static int refuse_old_policy(const struct reader *r)
{
	const struct pol_node *list = key_of(r->yaml.root, "unikernels"), *k = NULL;
	char quoted[POL_QUOTE_MAX];
	if (list == NULL || list->value->kind != POL_NODE_LIST)
		return 0;
	for (const struct pol_node *p = list->value->first; p != NULL && k == NULL; p = p->next)
		k = key_of(p, "policy");
	if (k == NULL)
		return 0;
	return pol_err_set(r->err, EINVAL, r->yaml.file, k->line, k->column,
			   "\"policy\" is no key of a unikernel any more; put its file into one folder with the others', as "
			   "NAME.yaml, and write \"policies: FOLDER\" at the top%s%s",
			   k->value->kind == POL_NODE_VALUE ? ", here instead of " : "",
			   k->value->kind == POL_NODE_VALUE ? pol_quote(quoted, k->value->text) : "");
}

/* One of two words; *second is whether it is the second, 0 where the key is absent. */
static int read_choice(const struct reader *r, const struct pol_node *key, const char *name, const char *a, const char *b,
		       int *second)
{
	char right[64];
	if (key == NULL)
		return 0;
	*second = strcmp(key->value->text, b) == 0;
	if (*second || strcmp(key->value->text, a) == 0)
		return 0;
	snprintf(right, sizeof right, "write %s or %s", a, b);
	return refuse(r, key->value, name, right);
}

static int read_root(const struct reader *r)
{
	enum { FABRIC, SCHEMAS, POLICIES, RUN_DIR, LIMITS, POLL, INSPECT, INSPECTORS, WORKERS, UNIKERNELS, KEYS };
	static const struct pol_key keys[KEYS] = {
	    [FABRIC] = {"fabric", POL_KEY_VALUE | POL_KEY_REQUIRED},
	    [SCHEMAS] = {"schemas", POL_KEY_VALUE | POL_KEY_REQUIRED},
	    [POLICIES] = {"policies", POL_KEY_VALUE | POL_KEY_REQUIRED},
	    [RUN_DIR] = {"run_dir", POL_KEY_VALUE},
	    [LIMITS] = {"limits", POL_KEY_MAP | POL_KEY_EMPTY},
	    [POLL] = {"poll", POL_KEY_VALUE},
	    [INSPECT] = {"inspect", POL_KEY_VALUE},
	    [INSPECTORS] = {"inspectors", POL_KEY_VALUE},
	    [WORKERS] = {"workers", POL_KEY_VALUE},
	    [UNIKERNELS] = {"unikernels", POL_KEY_LIST | POL_KEY_REQUIRED},
	};
	const struct pol_node *found[KEYS];
	struct fab_config *c = r->c;
	int rc = refuse_old_policy(r);
	if (rc == 0)
		rc = pol_yaml_keys(&r->yaml, r->yaml.root, "a fabric", keys, KEYS, found, r->err);
	if (rc < 0)
		return rc;
	if (!weft_name_ok(found[FABRIC]->value->text))
		return refuse(r, found[FABRIC]->value, "fabric", "write 1 to 32 of a-z, 0-9 and -, a letter first");
	rc = copy_text(r, &c->path, r->yaml.file);
	if (rc == 0)
		rc = copy_text(r, &c->name, found[FABRIC]->value->text);
	if (rc == 0)
		rc = copy_path(r, &c->schemas, found[SCHEMAS]->value->text);
	if (rc == 0)
		rc = copy_path(r, &c->policies, found[POLICIES]->value->text);
	/* A last slash would be doubled in every message. */
	for (size_t len = rc == 0 ? strlen(c->policies) : 0; len > 1 && c->policies[len - 1] == '/'; len--)
		c->policies[len - 1] = '\0';
	if (rc == 0)
		rc = copy_path(r, &c->run_dir, found[RUN_DIR] != NULL ? found[RUN_DIR]->value->text : "run");
	if (rc == 0)
		rc = check_socket(r, found[RUN_DIR] != NULL ? found[RUN_DIR] : found[FABRIC], "control");
	if (rc == 0 && found[LIMITS] != NULL && found[LIMITS]->value->kind == POL_NODE_MAP)
		rc = read_limits(r, found[LIMITS]->value);
	if (rc < 0)
		return rc;
	rc = read_choice(r, found[POLL], "poll", "sleep", "busy", &c->busy);
	if (rc == 0)
		rc = read_choice(r, found[INSPECT], "inspect", "isolated", "inline", &c->inspect_inline);
	if (rc == 0)
		rc = read_count(r, found[INSPECTORS], FAB_INSPECTORS_MAX, &c->inspectors);
	if (rc == 0)
		rc = read_count(r, found[WORKERS], FAB_WORKERS_MAX, &c->workers);
	if (rc == 0 && found[INSPECTORS] != NULL && c->inspect_inline)
		rc = refuse(r, found[INSPECTORS]->value, "inspectors", "`inspect: inline` has none; leave one of both out");
	if (rc < 0)
		return rc;
	return read_unikernels(r, found[UNIKERNELS]->value);
}

/* Reads from the already parsed YAML; gives the result or frees it. */
static int finish(struct fab_config **out, struct reader *r)
{
	r->c = calloc(1, sizeof *r->c);
	int rc = r->c != NULL ? 0 : pol_err_memory(r->err, r->yaml.file);
	if (rc == 0) {
		r->c->message_max = WEFT_PAYLOAD_MAX;
		r->c->window = FAB_WINDOW_DEFAULT;
		r->c->decisions_per_s = 1000;
		r->c->log_file_bytes = 16 * MIB;
		r->c->log_files = 4;
		r->c->inspectors = 1;
		r->c->workers = 1;
		rc = read_root(r);
	}
	if (rc < 0)
		fab_config_free(r->c);
	else
		*out = r->c;
	pol_yaml_free(&r->yaml);
	return rc;
}

int fab_config_load(struct fab_config **c, const char *path, struct pol_err *err)
{
	struct reader r = {.err = err};
	*c = NULL;
	int rc = pol_yaml_load(&r.yaml, path, err);
	return rc < 0 ? rc : finish(c, &r);
}

int fab_config_parse(struct fab_config **c, const char *path, const char *text, size_t len, struct pol_err *err)
{
	struct reader r = {.err = err};
	*c = NULL;
	int rc = pol_yaml_parse(&r.yaml, path, text, len, err);
	return rc < 0 ? rc : finish(c, &r);
}

void fab_config_free(struct fab_config *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->n; i++) {
		struct fab_unikernel_config *u = &c->u[i];
		free(u->name);
		free(u->image);
		free(u->policy);
		free(u->cpu);
		for (uint32_t k = 0; k < u->n_sets; k++) {
			free(u->set[k].key);
			free(u->set[k].value);
		}
	}
	free(c->u);
	free(c->path);
	free(c->name);
	free(c->schemas);
	free(c->policies);
	free(c->run_dir);
	free(c);
}

/* --- the run directory -----------------------------------------------------------------------------------------------
 */

static int run_path(const struct fab_config *c, char *out, size_t cap, const char *folder, const char *name,
		    const char *suffix)
{
	int n = snprintf(out, cap, "%s/%s%s%s", c->run_dir, folder, name, suffix);
	return n >= 0 && (size_t)n < cap ? 0 : -ENAMETOOLONG;
}

int fab_path_socket(const struct fab_config *c, const char *unikernel, char *out, size_t cap)
{
	return run_path(c, out, cap, "", unikernel, ".sock");
}

int fab_path_control(const struct fab_config *c, char *out, size_t cap)
{
	return run_path(c, out, cap, "", "control", ".sock");
}

int fab_path_log(const struct fab_config *c, char *out, size_t cap)
{
	return run_path(c, out, cap, "", "decisions", ".jsonl");
}

int fab_path_secret(const struct fab_config *c, const char *who, char *out, size_t cap)
{
	return run_path(c, out, cap, "keys/", who, ".key");
}

int fab_path_public(const struct fab_config *c, const char *who, char *out, size_t cap)
{
	return run_path(c, out, cap, "keys/", who, ".pub");
}

int fab_path_launch(const struct fab_config *c, const char *unikernel, char *out, size_t cap)
{
	return run_path(c, out, cap, "", unikernel, ".launch");
}

int fab_path_pid(const struct fab_config *c, const char *who, char *out, size_t cap)
{
	return run_path(c, out, cap, "", who, ".pid");
}
