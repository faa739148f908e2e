/* SPDX-License-Identifier: BSD-2-Clause */
/* {"cmd":"schema"}: another schema set for the running fabric; what stands against it is listed. docs/control.md lists the
 * keys of request and reply. */
#include <errno.h>
#include <string.h>

#include "fabric/control.h"
#include "fabric/control_change.h"

enum { CHANGES, VOID_RULES };

static json_t *place(const struct sch_place *p)
{
	return p->file ? json_pack("{s:o, s:I}", "file", fab_change_text(p->file), "line", (json_int_t)p->line) : json_null();
}

static void change(void *arg, const struct sch_change *c)
{
	struct fab_change *ch = arg;
	fab_change_add(ch, &ch->list[CHANGES],
		       json_pack("{s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "rule", sch_compat_rule_name(c->rule), "strict",
				 c->is_strict, "in_old", c->in_old, "old", place(&c->old), "new", place(&c->now), "name",
				 fab_change_text(c->name), "text", fab_change_text(c->text), "keep", fab_change_text(c->keep)));
}

static void void_rule(void *arg, const struct pol_err *e)
{
	struct fab_change *ch = arg;
	fab_change_add(ch, &ch->list[VOID_RULES], fab_change_error(e));
}

static json_t *begin(struct fab_change *ch, const json_t *request)
{
	const char *cmd, *path;
	int force = 0;
	json_error_t je;
	/* jansson's declaration forgets that unpacking changes nothing. */
	if (json_unpack_ex((json_t *)(uintptr_t)request, &je, JSON_STRICT, "{s:s, s:s, s?b}", "cmd", &cmd, "path", &path,
			   "force", &force) < 0)
		return fab_change_failure("\"schema\" takes \"path\", a text, and perhaps \"force\", true or false");
	if (path[0] != '/')
		return fab_change_failure("\"path\" must begin with /: weftd has a folder of its own");
	ch->path = strdup(path);
	if (!ch->path)
		return fab_change_failure("no memory");
	ch->wish.schemas = ch->path;
	ch->wish.force = force;
	ch->wish.change = change;
	ch->wish.void_rule = void_rule;
	return NULL;
}

static json_t *reply(struct fab_change *ch, int ret)
{
	const struct fab_epoch *e = fab_epochs_now(ch->view->epochs);
	const struct fab_list *l = ch->list;
	if (ret)
		return json_pack("{s:o, s:b, s:I, s:O, s:I, s:O}", "error", fab_change_text(ch->err), "refused", ret == -EPERM,
				 "n_changes", (json_int_t)l[CHANGES].n, "changes", l[CHANGES].list, "n_void_rules",
				 (json_int_t)l[VOID_RULES].n, "void_rules", l[VOID_RULES].list);
	return json_pack("{s:b, s:b, s:I, s:o, s:s, s:I, s:I, s:b, s:I, s:O, s:I, s:O}", "ok", 1, "unchanged", !ch->next, "epoch",
			 (json_int_t)e->number, "path", fab_change_text(e->path), "digest", e->digest, "types",
			 (json_int_t)sch_type_count(e->schemas), "methods", (json_int_t)sch_method_count(e->schemas), "forced",
			 ch->next && e->forced, "n_changes", (json_int_t)l[CHANGES].n, "changes", l[CHANGES].list,
			 "n_void_rules", (json_int_t)l[VOID_RULES].n, "void_rules", l[VOID_RULES].list);
}

const struct fab_change_kind fab_change_schema = {.cmd = "schema", .begin = begin, .reply = reply};
