/* SPDX-License-Identifier: BSD-2-Clause */
/* fabric.yaml: which unikernels a fabric has, their images and limits, and where schemas and policies are. Paths in the file are
 * relative to it.
 *
 *   fabric: home                     # name, [a-z][a-z0-9-]*
 *   schemas: ../schemas/home.binpb   # a descriptor set: protoc --descriptor_set_out --include_imports
 *   policies: policy                 # a policy folder (policy/folder.h): NAME.yaml for each unikernel, perhaps common.yaml
 *   run_dir: run                     # sockets, keys, logs, state; made with mode 0700
 *   limits:                          # all optional; sizes take KiB, MiB; the values here are the defaults
 *     message: 60KiB                 # largest payload
 *     window: 128KiB                 # in flight per (sender, receiver), 64 KiB to 64 MiB
 *     decisions: 1000/s              # decision records per port before equal ones are merged
 *     log_file: 16MiB                # size at which the decision log rotates
 *     log_files: 4                   # how many are kept, the current one included
 *     pairs: 1000                    # of unikernels that may talk, each direction one; no default: without it the data path
 *                                    # makes room for what the first policies need, and for as many more
 *   poll: sleep                      # sleep (default) or busy
 *   inspect: isolated                # content is inspected by processes apart (default); or inline, in weftd, for measuring
 *   inspectors: 1                    # how many of them for each worker, at most 16; each serves a share of its unikernels
 *   workers: 1                       # threads that carry messages, at most 16; each wants a core and serves a share of the
 *                                    # unikernels (weftd --cores 0,1 says which cores)
 *   unikernels:
 *     - name: meter
 *       image: ../images/meter.elf   # absent: a process endpoint joins by itself
 *       memory: 16MiB                # whole MiB, 2 MiB to 64 GiB; default 16 MiB
 *       cpu: max                     # QEMU CPU model under emulation, default max
 *       set: { interval_ms: 100 }    # the service's own configuration, scalars only
 *       worker: 0                    # which of the workers serves it, from 0; absent: the one with the least to do
 * Unknown keys are errors. No unikernel is called fabric, weftd or control: the run directory has files of these names; nor
 * common or any: policies mean something else by them. */
#ifndef FAB_CONFIG_H
#define FAB_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "guest-lib/launch.h"
#include "policy/policy.h"

/* Limits; README.md repeats them. */
#define FAB_UNIKERNELS_MAX 1000u /* DPDK's vhost library polls 1,024 descriptors: one a port, two its own, some to spare */
#define FAB_WINDOW_DEFAULT (128u << 10)
#define FAB_WINDOW_MIN (64u << 10) /* one largest message with its headers fits */
#define FAB_WINDOW_MAX (64u << 20)
#define FAB_DECISIONS_MAX 1000000u
#define FAB_LOG_FILE_MIN (64u << 10)
#define FAB_LOG_FILE_MAX (1u << 30)
#define FAB_LOG_FILES_MAX 1000u
#define FAB_PAIRS_MAX (FAB_UNIKERNELS_MAX * (FAB_UNIKERNELS_MAX - 1u)) /* each with each other, both ways */
#define FAB_INSPECTORS_MAX 16u
#define FAB_WORKERS_MAX 16u
#define FAB_MEMORY_DEFAULT (16u << 20)
#define FAB_MEMORY_MIN (2u << 20)
#define FAB_MEMORY_MAX (UINT64_C(64) << 30)

struct fab_unikernel_config {
	char *name;
	char *image;        /* resolved path; NULL: a process endpoint */
	char *policy;       /* path of its policy: NAME.yaml in the folder `policies` */
	uint64_t memory_bytes;
	char *cpu;
	int worker;         /* of fab_config.workers; -1: any */
	uint32_t n_sets;
	struct { char *key, *value; } set[WEFT_LAUNCH_SETS_MAX];
	uint32_t line;      /* where it stands in fabric.yaml */
};

struct fab_config {
	char *path;         /* of fabric.yaml */
	char *name;
	char *schemas;      /* resolved paths */
	char *policies;     /* of the folder */
	char *run_dir;
	uint32_t message_max;        /* bytes */
	uint32_t window;             /* bytes */
	uint32_t decisions_per_s;
	uint64_t log_file_bytes;
	uint32_t log_files;
	uint32_t pairs_max;          /* directed pairs of unikernels that the data path makes room for; 0: it decides */
	int busy;                    /* poll: busy */
	int inspect_inline;          /* inspect: inline */
	uint32_t workers;            /* threads of the data path, 1 to FAB_WORKERS_MAX */
	uint32_t inspectors;         /* processes that inspect for each of them, where not inline */
	uint32_t n;
	struct fab_unikernel_config *u; /* port number is index + 1 */
};

/* Reads fabric.yaml. Returns 0 or -errno with file, line, text in err. Does not open what it names. */
int fab_config_load(struct fab_config **c, const char *path, struct pol_err *err);
/* The same from memory; path is only for messages and for resolving. For tests and fuzzing. */
int fab_config_parse(struct fab_config **c, const char *path, const char *text, size_t len, struct pol_err *err);
void fab_config_free(struct fab_config *c);

/* Paths in the run directory, into out (PATH_MAX). All commands and weftd agree through these. 0 or -ENAMETOOLONG. */
int fab_path_socket(const struct fab_config *c, const char *unikernel, char *out, size_t cap); /* run/NAME.sock */
int fab_path_control(const struct fab_config *c, char *out, size_t cap);                       /* run/control.sock */
int fab_path_log(const struct fab_config *c, char *out, size_t cap);                           /* run/decisions.jsonl */
int fab_path_secret(const struct fab_config *c, const char *who, char *out, size_t cap);       /* run/keys/WHO.key */
int fab_path_public(const struct fab_config *c, const char *who, char *out, size_t cap);       /* run/keys/WHO.pub */
int fab_path_launch(const struct fab_config *c, const char *unikernel, char *out, size_t cap); /* run/NAME.launch */
int fab_path_pid(const struct fab_config *c, const char *who, char *out, size_t cap);          /* run/WHO.pid */
/* The fabric's own key is kept under the name "fabric". A key file
 * holds 64 hex digits and a newline; .key has mode 0600. */

#endif
