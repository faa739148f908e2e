/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of `weft`, one file each (NAME.c), and what they share (common.c, answer.c, command.c). weft.c finds the command
 * and calls it. Every command returns the process's exit status: CLI_YES, CLI_NO or CLI_ERROR. */
#ifndef FAB_CLI_H
#define FAB_CLI_H

#include <argp.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "fabric/accel.h"

struct fab_config;

#define CLI_YES 0   /* done; all up; accepted */
#define CLI_NO 1    /* a clear no: not all up, refused */
#define CLI_ERROR 2 /* the question could not be answered */

/* argv[0] is "weft COMMAND", the rest are the command's own arguments. */
int cli_up(int argc, char **argv);
int cli_restart(int argc, char **argv);
int cli_down(int argc, char **argv);
int cli_ps(int argc, char **argv);
int cli_stats(int argc, char **argv);
int cli_tail(int argc, char **argv);
int cli_keygen(int argc, char **argv);
int cli_schema(int argc, char **argv);
int cli_policy(int argc, char **argv);
int cli_quarantine(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_dpi(int argc, char **argv);

/* --- commands that have commands of their own (command.c) ------------------------------------------------------ */

struct cli_command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};
struct cli_family {
	const char *name; /* "schema" */
	const struct cli_command *commands;
	size_t n;
	const char *note; /* a sentence of its --help, with a blank at its end; "": none */
};
/* Calls the command that argv[1] names, as "weft FAMILY COMMAND"; or prints which there are. Returns the exit status. */
int cli_family_run(const struct cli_family *f, int argc, char **argv);
/* A line for each command. */
void cli_commands_list(FILE *to, const struct cli_command *commands, size_t n);

#define CLI_ASK_NS 5000000000ull  /* how long weftd may take to answer */
#define CLI_GRACE_NS 2000000000ull /* how long a process may take to end when asked to */

/* Loads the fabric.yaml that a command means: the argument, else $WEFT_FABRIC, else "fabric.yaml". On failure prints
 * "weft COMMAND: FILE:LINE: text" and returns NULL. */
struct fab_config *cli_config_load(const char *command, const char *argument);

/* What is left to an argp parser whose command takes one [FILE] at most: the FILE goes to *file. */
error_t cli_file_parse(int key, char *arg, struct argp_state *state, const char **file);

/* A command that works with a fabric.yaml. */
struct cli_work {
	const char *command;
	const struct argp *argp; /* its input is options */
	int (*run)(const struct fab_config *c, const void *options); /* returns the exit status */
};
/* Parses the arguments, loads the fabric.yaml that is meant (*file, which is one of options, once they are parsed), runs. Returns
 * the exit status. */
int cli_work_run(const struct cli_work *w, int argc, char **argv, void *options, const char *const *file);

int cli_ends_with(const char *name, const char *end); /* and has more before it */
/* The bytes of hex digits in pairs, between which blanks may stand, with SCH_PAD zeroes after them; the caller frees. NULL: *bad is
 * the character, from 1, that begins no pair, or 0 for no memory. */
uint8_t *cli_hex_read(const char *hex, size_t len, size_t *bytes, size_t *bad);

/* Prints "weft COMMAND: ..." on stderr and returns CLI_ERROR. */
int cli_fail(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- answers: asked of weftd, read, printed (answer.c) --------------------------------------------------------- */

/* Sends weftd a request, which it releases, and returns what it answers, also where that is an error: a new object; or NULL after
 * telling why there is none. request may be NULL: it was to hold a text that JSON cannot. */
json_t *cli_ask(const char *command, const struct fab_config *c, json_t *request, uint64_t timeout_ns);
/* The exit status of an answer: without an error CLI_YES; CLI_NO where weftd refused; else CLI_ERROR. */
int cli_answer_status(const json_t *answer);

/* weftd's answer to "stats", a new object, or NULL and *why (-ENOENT and -ECONNREFUSED: none runs) and err. A weftd that is
 * just dying resets the connection; a moment later nobody listens, and that is the answer then. */
json_t *cli_stats_ask(const struct fab_config *c, int *why, char *err, size_t err_cap);

/* The member of stats' "ports" with this name, or NULL (stats may be NULL). */
const json_t *cli_port(const json_t *stats, const char *name);
json_int_t cli_int(const json_t *o, const char *key); /* 0 where there is none */
const char *cli_plural(json_int_t n); /* "" for 1, else "s" */
const char *cli_string(const json_t *o, const char *key, const char *absent); /* valid with o; absent where there is none */

/* A JSON string of text that may hold any bytes: what is not UTF-8 (a name that was cut) becomes '?'. */
json_t *cli_json_text(const char *text);
/* Prints o on one line and releases it. 0, or CLI_ERROR after saying that the output cannot be written. */
int cli_json_print(const char *command, json_t *o);
/* Sees to it that all output was written. 0, or CLI_ERROR after saying that it was not. */
int cli_flush(const char *command);

/* --- the table of unikernels (common.c) ------------------------------------------------------------------------ */

/* The table that `up` and `ps` print: every unikernel, its state, its process. Returns how many are not up. Process
 * endpoints that nobody started yet are counted in *absent instead, unless that is NULL. stats may be NULL: weftd does
 * not run. */
uint32_t cli_table_print(const struct fab_config *c, const json_t *stats, uint32_t *absent);
/* The same as JSON, a new object. */
json_t *cli_table_json(const struct fab_config *c, const json_t *stats);

/* --- starting guests (guest.c) ------------------------------------------------------------------------------- */

struct cli_guest_start {
	const char *command;
	const struct fab_config *config;
	const char *qemu;      /* program name or path */
	enum fab_accel accel;
	uint32_t tsc_khz;
};

struct cli_guest {
	uint32_t index;            /* in config->u */
	int pidfd;                 /* -1: none */
	uint64_t handshakes_before; /* a session counts once there are more */
	int started;               /* by this command */
	int up;
	int dead;                  /* ended while we waited; was said */
};

/* Writes the launch module and starts QEMU; stats: counters from before. 0, or -1 after saying why. */
int cli_guest_run(const struct cli_guest_start *s, struct cli_guest *g, const json_t *stats);
/* Waits until all n are up or dead, or the deadline; then removes the launch modules of those started here, because
 * they hold secrets and QEMU has read them. Returns how many are up. */
uint32_t cli_guest_wait(const struct cli_guest_start *s, struct cli_guest *g, uint32_t n, uint64_t deadline_ns);

/* What ps and stats say of stats' decisions.log_error. */
#define CLI_LOG_ERROR "the decision log cannot be written: %s; traffic stops when the memory for it is full\n"

/* Reads a guest's image and holds it against the digest that the policy in force asks for, as stats tells it. 0, or -errno
 * with a text. */
struct fab_image;
int cli_guest_image(struct fab_image *image, const struct fab_config *c, uint32_t index, const json_t *stats, char *err,
		    size_t cap);
/* Image, its digest, the digest that is asked for. */
#define CLI_IMAGE_WRONG "image %s is sha256:%s, and its policy asks for sha256:%s; it is not started"

/* $WEFT_QEMU or qemu-system-x86_64. */
const char *cli_qemu(void);

#endif
