/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft keygen`: key pairs for people who keep them elsewhere than `weft up` would. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fabric/cli/cli.h"
#include "fabric/keys.h"
#include "guest-lib/wire.h"

#define COMMAND "keygen"

struct options {
	const char *dir;
	int force;
	char **names;
	int n;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	switch (key) {
	case 'd':
		o->dir = arg;
		return 0;
	case 'f':
		o->force = 1;
		return 0;
	case ARGP_KEY_ARGS: /* all at once */
		o->names = state->argv + state->next;
		o->n = state->argc - state->next;
		for (int i = 0; i < o->n; i++)
			if (!weft_name_ok(o->names[i]))
				argp_error(state, "\"%s\" is not a name: 1 to %u of [a-z0-9-], a letter first", o->names[i],
					   WEFT_NAME_MAX);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a NAME is missing: a unikernel's, or \"fabric\"");
		return 0;
	case ARGP_KEY_END:
		if (!o->dir)
			argp_error(state, "--dir is missing: where to put NAME.key and NAME.pub");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int make(const struct options *o, const char *name)
{
	char sec[PATH_MAX], pub[PATH_MAX], err[512];
	int a = snprintf(sec, sizeof sec, "%s/%s.key", o->dir, name);
	int b = snprintf(pub, sizeof pub, "%s/%s.pub", o->dir, name);
	if (a < 0 || b < 0 || (size_t)a >= sizeof sec || (size_t)b >= sizeof pub)
		return cli_fail(COMMAND, "%s: the path is too long", o->dir);
	int ret = fab_key_make(sec, pub, o->force, err, sizeof err);
	if (ret == -EEXIST) {
		cli_fail(COMMAND, "%s", err);
		return CLI_NO;
	}
	if (ret)
		return cli_fail(COMMAND, "%s", err);
	printf("%s\n%s\n", sec, pub);
	return CLI_YES;
}

int cli_keygen(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "dir", 'd', "DIR", 0, "where the files go; made with mode 0700 where it is missing", 0 },
		{ "force", 'f', NULL, 0, "replace keys that exist", 0 },
		{ 0 },
	};
	static const struct argp argp = { options, parse, "NAME...",
					  "Make an X25519 key pair for each NAME: DIR/NAME.key (secret, mode 0600) and "
					  "DIR/NAME.pub.\vExit status: 0 made, 1 a key exists already, 2 error.",
					  NULL, NULL, NULL };
	struct options o = { NULL, 0, NULL, 0 };
	int status = CLI_YES;
	if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	if (mkdir(o.dir, 0700) < 0 && errno != EEXIST)
		return cli_fail(COMMAND, "%s: %s", o.dir, strerror(errno));
	for (int i = 0; i < o.n; i++) {
		int one = make(&o, o.names[i]);
		status = one > status ? one : status;
	}
	return status;
}
