/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy ...`: one file for each of its commands (policy_NAME.c), the table of them (policy.c), and what they
 * share: loading a policy folder with its schemas, telling what is wrong with it, and naming its rules (policy_load.c).
 * What a policy means is decided in policy/. */
#ifndef FAB_CLI_POLICY_H
#define FAB_CLI_POLICY_H

#include <argp.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/folder.h"
#include "policy/policy.h"
#include "schemas/schema.h"

/* argv[0] is "weft policy COMMAND", the rest are the command's own arguments. Each returns the exit status. */
int cli_policy_check(int argc, char **argv);
int cli_policy_test(int argc, char **argv);
int cli_policy_explain(int argc, char **argv);
int cli_policy_diff(int argc, char **argv);
int cli_policy_graph(int argc, char **argv);
int cli_policy_reach(int argc, char **argv);
int cli_policy_learn(int argc, char **argv);
int cli_policy_fmt(int argc, char **argv);
int cli_policy_apply(int argc, char **argv);

/* --- options that most of them have ------------------------------------------------------------------------------------ */

struct cli_policy_options {
	const char *command; /* "policy check", for messages: fill it before parsing */
	const char *schemas[POL_SCHEMAS_MAX]; /* --schemas PATH; none: those that common.yaml names */
	uint32_t n_schemas;
	int json;            /* --json */
	json_t *errors;      /* with json: not NULL: errors are added to this array instead of being printed */
};
/* The child parser for --schemas and --json; its input is the struct above: in ARGP_KEY_INIT of the parent,
 * state->child_inputs[0] = &options. */
extern const struct argp_child cli_policy_children[];
/* What is left to the parent's parser where the command takes one DIR, the policies: it goes to *dir. */
error_t cli_policy_dir_parse(int key, char *arg, struct argp_state *state, const char **dir);

/* --- a folder, loaded -------------------------------------------------------------------------------------------------- */

struct cli_policy {
	struct pol_folder *folder;
	struct sch_set *schemas;
	uint8_t *fdset;      /* the descriptor set that schemas was made of */
	size_t fdset_len;
	struct pol_set *set;
};
/* Reads the folder dir and its schemas (descriptor sets, .proto files, folders of .proto files; several become one set),
 * compiles all, and checks the names in `carries` against nDPI's. 0; or CLI_ERROR after telling every file's first error: for
 * people on stderr as "FILE:LINE:COLUMN: text", with --json as {"errors": [{file, line, column, text}]} on stdout. Port
 * numbers are the folder's index + 1. cli_policy_free in any case. */
int cli_policy_load(struct cli_policy *p, const struct cli_policy_options *o, const char *dir);
/* Only the schemas: those that the options name, else those of p->folder, which may be NULL. Fills schemas, fdset and
 * fdset_len. 0, or CLI_ERROR after telling why. */
int cli_policy_schemas(struct cli_policy *p, const struct cli_policy_options *o);
void cli_policy_free(struct cli_policy *p);

/* --- telling ----------------------------------------------------------------------------------------------------------- */

/* Tells of one error, in the form that was asked for. Returns CLI_ERROR. */
int cli_policy_tell(const struct cli_policy_options *o, const struct pol_err *e);
/* The same for an error that no file has: "text". */
int cli_policy_fail(const struct cli_policy_options *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* {file, line, column, text}; what is 0 is left out. */
json_t *cli_policy_err_json(const struct pol_err *e);

/* The port of a unikernel, or 0 after telling that there is none of this name, and which may have been meant. */
uint16_t cli_policy_port(const struct cli_policy *p, const struct cli_policy_options *o, const char *name);
const char *cli_policy_name(const struct cli_policy *p, uint16_t port); /* of a port; "?" for none */
/* A message type or a method by its full name. 0; CLI_ERROR after telling what was wrong and which may have been meant. */
int cli_policy_subject(const struct cli_policy *p, const struct cli_policy_options *o, const char *name, int want_method,
		       uint64_t *subject, uint32_t *type);

/* Judges the assertions of common.yaml. Each goes into list, a JSON array; where that is NULL, those that do not hold are printed
 * for people. *violated: how many do not hold. 0, or CLI_ERROR after telling why. (policy_check.c) */
int cli_policy_assertions(const struct cli_policy *p, const struct cli_policy_options *o, json_t *list, uint32_t *violated);

#define CLI_RULE_MAX 768u
/* "hub.yaml:12 (orders): send demo.Order to ledger"; "no rule" for 0. Returns out. */
const char *cli_policy_rule(const struct pol_set *set, uint32_t rule, char out[CLI_RULE_MAX]);
/* {id, name, file, line, text, where, reason, deny, observe, default}: what there is none of is left out; null for 0. */
json_t *cli_policy_rule_json(const struct pol_set *set, uint32_t rule);

#endif
