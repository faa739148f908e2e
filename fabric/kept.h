/* SPDX-License-Identifier: BSD-2-Clause */
/* The policies of every epoch, kept on disk, so that a later question about a decision quotes the rule as it was then.
 *
 *   run/policies/SHA256.yaml          a policy's text, named by the digest of its bytes, kept once
 *   run/policies/epoch-BOOT-N.json    which texts epoch N of the weftd with this boot number had:
 *     {"boot":"5b79b5f1f695b683","epoch":2,"time":"2026-01-02T03:04:05Z","policies":"/srv/home/policy","digest":"9c1e...",
 *      "schemas":{"path":"/srv/home/schemas.binpb","digest":"b6a1f0c28e7d9034"},
 *      "files":[{"unikernel":"hub","path":"policy/hub.yaml","sha256":"64 hex digits"}]}
 *
 * The files stand in the order of the port numbers; the shared one, the last, has no unikernel.
 * Both with mode 0600, whole or not at all. The texts are written before what names them. Beyond the limits below, the oldest
 * epochs go, and the texts that only they had. */
#ifndef FAB_KEPT_H
#define FAB_KEPT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

struct fab_config;
struct fab_epoch;

#define FAB_KEPT_EPOCHS_MAX 1000u
#define FAB_KEPT_BYTES_MAX (256u << 20) /* of texts; the two newest epochs are kept however large they are */

/* Keeps an epoch's policies (e->policies must be there). 0, or -errno with a text: then what was kept before still is. One
 * thread at a time. */
int fab_kept_put(const struct fab_config *c, uint64_t boot, const struct fab_epoch *e, char *err, size_t cap);
/* The epoch was never in force after all. */
void fab_kept_forget(const struct fab_config *c, uint64_t boot, uint64_t epoch);

/* What is known of an epoch, a new object, or NULL and a text: it is not kept, or was changed and is not what its name and its
 * digest say. boot: as decisions have it. */
json_t *fab_kept_epoch(const struct fab_config *c, const char *boot, uint64_t epoch, char *err, size_t cap);
/* Its policies as they were: u and texts by port number. Each text's digest was checked. 0, or -errno with a text where one is
 * not kept or not what it was. fab_kept_free in any case. */
struct fab_kept {
	uint32_t n;
	struct pol_unikernel *u; /* names borrowed from the object */
	struct pol_text *texts;  /* terminated */
	const char *common_path; /* NULL: there was none */
	struct pol_text common;
};
int fab_kept_texts(const struct fab_config *c, const json_t *epoch, struct fab_kept *k, char *err, size_t cap);
void fab_kept_free(struct fab_kept *k);

#endif
