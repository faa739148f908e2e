/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy graph DIR`: who can talk to whom, with what, as DOT text, as a picture that graphviz's `dot` makes of it, or as
 * JSON. The text is made in policy_dot.c. */
#include <argp.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/policy.h"
#include "fabric/cli/policy_dot.h"
#include "fabric/files.h"

#define COMMAND "policy graph"
#define PICTURE_MAX (256u << 20) /* bytes */

extern char **environ;

enum { OPT_DENIED = 0x2000, OPT_BOX, OPT_ALL };

struct options {
	struct cli_policy_options common;
	const char *dir, *out, *box;
	int denied, all;
};

static const struct argp_option option_list[] = {
	{ "output", 'o', "FILE", 0, "FILE.dot, FILE.svg or FILE.png; without it DOT text goes to standard output", 0 },
	{ "denied", OPT_DENIED, NULL, 0, "also, in red, what one side lets pass and a deny rule or the other side refuses", 0 },
	{ "box", OPT_BOX, "KEY", 0, "one box for those with the same value of this label; \"group\": of one group; \"none\"", 0 },
	{ "all", OPT_ALL, NULL, 0, "draw each by itself, also in large sets where several may tell and hear the same", 0 },
	{ 0 },
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case 'o':
		o->out = arg;
		return 0;
	case OPT_DENIED:
		o->denied = 1;
		return 0;
	case OPT_ALL:
		o->all = 1;
		return 0;
	case OPT_BOX:
		o->box = arg;
		return 0;
	case ARGP_KEY_END:
		if (o->out && o->common.json)
			argp_error(state, "-o is for pictures and DOT text; --json goes to standard output");
		break;
	default:
		break;
	}
	return cli_policy_dir_parse(key, arg, state, &o->dir);
}

static const struct argp parser = {
	.options = option_list,
	.parser = option_parse,
	.children = cli_policy_children,
	.args_doc = "DIR",
	.doc = "Draws who can talk to whom, and about what.\v"
	       "Boxes are the groups of common.yaml, or else the label that tells most unikernels apart. Pictures are made by "
	       "graphviz's `dot`.\n"
	       "Exit status: 0 drawn, 2 the question could not be answered.",
};

/* --- JSON ------------------------------------------------------------------------------------------------------------ */

static json_t *node_json(const struct cli_policy *p, uint16_t port)
{
	const struct pol_self *self = pol_self(p->set, port);
	json_t *labels = json_object();

	for (uint32_t i = 0; i < self->party->n_labels; i++)
		json_object_set_new(labels, self->party->labels[i].key, cli_json_text(self->party->labels[i].value));
	return json_pack("{s:s, s:o, s:b, s:o}", "name", self->party->name, "file", cli_json_text(self->file), "observe",
			 self->observe, "labels", labels);
}

static json_t *edge_json(const struct cli_policy *p, const struct pol_edge *e)
{
	return json_pack("{s:s, s:s, s:o, s:b, s:b, s:b, s:b, s:o, s:o, s:o}", "from", cli_policy_name(p, e->hop.from),
			 "to", cli_policy_name(p, e->hop.to), e->is_method ? "method" : "message",
			 cli_json_text(pol_subject_name(p->set, e->hop.subject)), "reply", e->is_method && !e->none,
			 "perhaps", e->hop.perhaps, "observed", e->hop.observed, "refused", e->none, "send_rule",
			 cli_policy_rule_json(p->set, e->hop.rule[POL_SEND]), "receive_rule",
			 cli_policy_rule_json(p->set, e->hop.rule[POL_RECEIVE]), "deny_rule",
			 cli_policy_rule_json(p->set, e->denied));
}

static int print_json(const struct options *o, const struct cli_policy *p, struct pol_reach *r)
{
	json_t *nodes = json_array(), *edges = json_array(), *groups = json_object();
	int rc = 0;

	for (uint32_t port = 1; port <= pol_unikernel_count(p->set); port++)
		json_array_append_new(nodes, node_json(p, (uint16_t)port));
	for (uint32_t i = 0; i < pol_group_count(p->set); i++) {
		const struct pol_group *g = pol_group_get(p->set, i);
		json_t *members = json_array();

		for (uint32_t k = 0; k < g->n; k++)
			json_array_append_new(members, json_string(cli_policy_name(p, g->ports[k])));
		json_object_set_new(groups, g->name, members);
	}
	for (uint32_t i = 0; i < pol_edge_count(r) && !rc; i++) {
		struct pol_edge e;

		rc = pol_edge_get(r, i, &e);
		if (!rc && (!e.none || o->denied))
			json_array_append_new(edges, edge_json(p, &e));
	}
	json_t *all = json_pack("{s:o, s:o, s:o}", "nodes", nodes, "groups", groups, "edges", edges);

	if (!rc)
		return cli_json_print(COMMAND, all);
	json_decref(all);
	return cli_policy_fail(&o->common, "out of memory");
}

/* --- pictures -------------------------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *text, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, text + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* Has `dot` read in and write to out. 0, or CLI_ERROR after telling why. */
static int dot_run(const struct options *o, const char *format, int in, int out)
{
	char option[16];
	const char *argv[] = { "dot", option, NULL };
	posix_spawn_file_actions_t a;
	pid_t pid;
	int status = 0, rc = posix_spawn_file_actions_init(&a);

	snprintf(option, sizeof option, "-T%s", format);
	if (rc)
		return cli_policy_fail(&o->common, "dot: %s", strerror(rc));
	rc = posix_spawn_file_actions_adddup2(&a, in, STDIN_FILENO);
	rc = rc ? rc : posix_spawn_file_actions_adddup2(&a, out, STDOUT_FILENO);
	rc = rc ? rc : posix_spawnp(&pid, argv[0], &a, NULL, (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&a);
	if (rc == ENOENT)
		return cli_policy_fail(&o->common, "there is no program \"dot\"; install graphviz, or ask for %.*s.dot",
				       (int)(strlen(o->out) - strlen(format) - 1), o->out);
	if (rc)
		return cli_policy_fail(&o->common, "dot: %s", strerror(rc));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return cli_policy_fail(&o->common, "dot: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return cli_policy_fail(&o->common, "dot was ended by signal %d", WTERMSIG(status));
	return cli_policy_fail(&o->common, "dot failed with exit status %d; what it said stands above", WEXITSTATUS(status));
}

static int file_write(const struct options *o, const char *bytes, size_t len)
{
	int rc = fab_file_write(o->out, bytes, len, 0644, 0);

	return rc ? cli_policy_fail(&o->common, "%s: cannot be written: %s", o->out, strerror(-rc)) : 0;
}

/* Has the text drawn, all in memory: the file is there whole or not at all. */
static int picture_write(const struct options *o, const char *format, const char *text, size_t len)
{
	int in = memfd_create("weft-dot", MFD_CLOEXEC), out = memfd_create("weft-picture", MFD_CLOEXEC);
	int rc = in < 0 || out < 0 ? -errno : write_all(in, text, len);
	void *bytes = MAP_FAILED;
	off_t size;

	if (rc)
		rc = cli_policy_fail(&o->common, "a file in memory: %s", strerror(-rc));
	else
		rc = dot_run(o, format, in, out);
	if (!rc) {
		size = lseek(out, 0, SEEK_END);
		if (size > 0 && size <= (off_t)PICTURE_MAX)
			bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, out, 0);
		if (bytes == MAP_FAILED) {
			rc = cli_policy_fail(&o->common, "dot made no picture of at most %u MiB", PICTURE_MAX >> 20);
		} else {
			rc = file_write(o, bytes, (size_t)size);
			munmap(bytes, (size_t)size);
		}
	}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return rc;
}

/* What the file's name asks for: "dot", "svg", "png"; NULL: something else. */
static const char *format_of(const char *path)
{
	static const char *const known[] = { "dot", "svg", "png" };
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof known / sizeof known[0]; i++)
		if (strcmp(dot + 1, known[i]) == 0)
			return known[i];
	return NULL;
}

static int draw(const struct options *o, const struct cli_policy *p, struct pol_reach *r)
{
	struct cli_dot d = { .set = p->set, .reach = r, .title = o->dir, .box = o->box, .denied = o->denied, .all = o->all };
	const char *format = o->out ? format_of(o->out) : "dot";
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int rc = f ? cli_dot_write(&d, f) : -ENOMEM;

	if (f && fclose(f) != 0 && !rc)
		rc = -ENOMEM;
	if (rc == -ENOENT)
		rc = cli_policy_fail(&o->common,
				     "--box %s: no unikernel has this label; give a label's key, \"group\" or \"none\"",
				     o->box);
	else if (rc)
		rc = cli_policy_fail(&o->common, "out of memory");
	else if (!o->out)
		rc = fwrite(text, 1, len, stdout) == len ? cli_flush(COMMAND)
							 : cli_policy_fail(&o->common, "cannot write the answer");
	else if (strcmp(format, "dot") == 0)
		rc = file_write(o, text, len);
	else
		rc = picture_write(o, format, text, len);
	free(text);
	return rc;
}

int cli_policy_graph(int argc, char **argv)
{
	struct options o = { .common = { .command = COMMAND } };
	struct cli_policy p = { .set = NULL };
	struct pol_reach *r = NULL;

	argp_err_exit_status = CLI_ERROR;
	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	if (o.out && !format_of(o.out))
		return cli_policy_fail(&o.common, "%s: what shall it be? Names end with .dot, .svg or .png", o.out);
	int status = cli_policy_load(&p, &o.common, o.dir);

	if (!status && pol_reach_make(&r, p.set))
		status = cli_policy_fail(&o.common, "out of memory");
	if (!status)
		status = (o.common.json ? print_json(&o, &p, r) : draw(&o, &p, r)) ? CLI_ERROR : CLI_YES;
	pol_reach_free(r);
	cli_policy_free(&p);
	return status;
}
