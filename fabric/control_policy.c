/* SPDX-License-Identifier: BSD-2-Clause */
/* {"cmd":"policy"}: other policies for the running fabric, or only what they would change. docs/control.md lists the keys of
 * request and reply. */
#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "fabric/config.h"
#include "fabric/control.h"
#include "fabric/control_change.h"
#include "fabric/policies.h"
#include "policy/diff.h"

enum { ERRORS, FINDINGS, CHANGES };

static void policy_error(void *arg, const struct pol_err *e)
{
	struct fab_change *ch = arg;
	fab_change_add(ch, &ch->list[ERRORS], fab_change_error(e));
}

static void finding(void *arg, const struct pol_finding *f)
{
	struct fab_change *ch = arg;
	fab_change_add(ch, &ch->list[FINDINGS],
		       json_pack("{s:s, s:o, s:I, s:o}", "kind", pol_finding_name(f->kind), "file", fab_change_text(f->file),
				 "line", (json_int_t)f->line, "text", fab_change_text(f->text)));
}

/* Conversations that `a` may let pass and `b` may not. */
static json_int_t more(const struct pol_set *a, const struct pol_set *b)
{
	json_int_t n = 0;
	for (uint32_t i = 0; i < pol_entry_count(a); i++) {
		const struct pol_entry *e = pol_entry_get(a, i);
		n += pol_entry_find(b, e->src, e->dst, e->subject) == NULL;
	}
	return n;
}

static void sentence(void *arg, const char *text)
{
	struct fab_change *ch = arg;
	fab_change_add(ch, &ch->list[CHANGES], fab_change_text(text));
}

/* On the thread that judges: with many rules it takes a moment. */
static void compare(void *arg, const struct fab_epoch *next, const struct fab_epoch *before)
{
	struct fab_change *ch = arg;
	struct pol_diff *d = NULL;
	if (pol_diff_make(&d, before->policy, next->policy) != 0 || pol_diff_sentences(d, sentence, ch) != 0)
		ch->no_memory = 1;
	pol_diff_free(d);
	ch->counts = json_pack("{s:I, s:I, s:I, s:I}", "files_changed",
			       (json_int_t)fab_policies_changed(next->policies, before->policies), "conversations",
			       (json_int_t)pol_entry_count(next->policy), "possible", more(next->policy, before->policy),
			       "impossible", more(before->policy, next->policy));
}

static json_t *begin(struct fab_change *ch, const json_t *request)
{
	const char *cmd, *path = NULL;
	int dry_run = 0;
	json_error_t je;
	/* jansson's declaration forgets that unpacking changes nothing. */
	if (json_unpack_ex((json_t *)(uintptr_t)request, &je, JSON_STRICT, "{s:s, s?s, s?b}", "cmd", &cmd, "path", &path,
			   "dry_run", &dry_run) < 0)
		return fab_change_failure("\"policy\" takes perhaps \"path\", a text, and perhaps \"dry_run\", true or false");
	if (path && path[0] != '/')
		return fab_change_failure("\"path\" must begin with /: weftd has a folder of its own");
	ch->path = strdup(path ? path : ch->view->config->policies);
	if (!ch->path)
		return fab_change_failure("no memory");
	ch->wish.policies = ch->path;
	ch->wish.trial = dry_run;
	ch->wish.policy_error = policy_error;
	ch->wish.finding = finding;
	ch->wish.compare = compare;
	return NULL;
}

static json_t *reply(struct fab_change *ch, int ret)
{
	const struct fab_epoch *now = fab_epochs_now(ch->view->epochs), *e = ch->next ? ch->next : now;
	const struct fab_list *l = ch->list;
	char digest[2 * FAB_SHA256_LEN + 1];
	/* More conversations than there is room for are asked for by policies, not by a mistake of the asker's. */
	if (ret)
		return json_pack("{s:o, s:b, s:I, s:O}", "error", fab_change_text(ch->err), "refused",
				 ret == -EPERM || ret == -ENOSPC, "n_errors", (json_int_t)l[ERRORS].n, "errors", l[ERRORS].list);
	sodium_bin2hex(digest, sizeof digest, e->policies->digest, sizeof e->policies->digest);
	json_t *o = json_pack("{s:b, s:b, s:b, s:I, s:o, s:s, s:I, s:I, s:I, s:O, s:I, s:O}", "ok", 1, "dry_run", ch->wish.trial,
			      "unchanged", !ch->next, "epoch", (json_int_t)now->number, "path",
			      fab_change_text(e->policies->folder->path), "digest", digest, "files",
			      (json_int_t)e->policies->n_files, "rules", (json_int_t)pol_rule_count(e->policy), "n_findings",
			      (json_int_t)l[FINDINGS].n, "findings", l[FINDINGS].list, "n_changes",
			      (json_int_t)l[CHANGES].n, "changes", l[CHANGES].list);
	if (o && ch->counts)
		json_object_update(o, ch->counts);
	return o;
}

const struct fab_change_kind fab_change_policy = {.cmd = "policy", .begin = begin, .reply = reply};
