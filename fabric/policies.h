/* SPDX-License-Identifier: BSD-2-Clause */
/* A fabric's policies as texts: a policy folder (policy/folder.h) put in the order of the configuration's unikernels, read
 * whole at one moment. Epochs share one between them; what the texts mean is the policy compiler's matter. */
#ifndef FAB_POLICIES_H
#define FAB_POLICIES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/folder.h"

#define FAB_SHA256_LEN 32u

struct fab_config;

/* One file of it, for keeping and telling. */
struct fab_policy_file {
	const char *unikernel; /* NULL: the shared file */
	const char *path;
	struct pol_text text;
	uint8_t sha256[FAB_SHA256_LEN];
};

/* Immutable but for refs. */
struct fab_policies {
	atomic_uint refs;
	struct pol_folder *folder; /* owns all texts and paths */
	struct pol_source source;  /* by port number: what pol_compile takes */
	uint32_t n_files;          /* by port number; common.yaml is the last one, where there is one */
	struct fab_policy_file *file;
	uint8_t digest[FAB_SHA256_LEN]; /* of all texts: SHA-256 over name, zero byte and SHA-256 of each file, by name */
	struct pol_unikernel *u;
	struct pol_text *texts;
};

/* Reads the folder at path. Its files and the configuration's unikernels must be the same set: each that one has and the other
 * lacks is told to `note` (may be NULL), and so is a file that is none of a policy folder's. 0 with a reference for the caller,
 * or -errno with err filled: the first that was wrong. Any thread. */
int fab_policies_read(struct fab_policies **p, const struct fab_config *c, const char *path,
		      void (*note)(void *arg, const struct pol_err *e), void *arg, struct pol_err *err);
struct fab_policies *fab_policies_get(struct fab_policies *p); /* one reference more; any thread */
void fab_policies_put(struct fab_policies *p);                 /* gives one back; any thread; may be NULL */

/* The digest of a list of files, by their paths and their own digests. 0 or -ENOMEM. */
int fab_policies_digest(const struct fab_policy_file *file, uint32_t n, uint8_t digest[FAB_SHA256_LEN]);

/* 1 when both hold the same texts under the same names. */
int fab_policies_same(const struct fab_policies *a, const struct fab_policies *b);

/* How many files of `now` differ from those of `before`, or are there in one alone. */
uint32_t fab_policies_changed(const struct fab_policies *now, const struct fab_policies *before);

#endif
