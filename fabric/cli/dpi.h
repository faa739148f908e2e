/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft dpi ...`: one file for each of its commands (dpi_NAME.c), the table of them (dpi.c), and the process in which what
 * parses hostile bytes runs (dpi_walls.c). What is found in them is decided in dpi/. */
#ifndef FAB_CLI_DPI_H
#define FAB_CLI_DPI_H

#include <stdint.h>
#include <sys/types.h>

/* argv[0] is "weft dpi COMMAND", the rest are the command's own arguments. Each returns the exit status. */
int cli_dpi_classify(int argc, char **argv);
int cli_dpi_inspect(int argc, char **argv);
int cli_dpi_names(int argc, char **argv);

#define CLI_WALLS_STILL_S 20 /* how long one step may take */

/* Shared with the process behind the walls, which may write anything into it. */
struct cli_walls_progress {
	volatile uint64_t step; /* counted up with each step; it is what an error message names */
	volatile uint32_t busy; /* 1: working on a step, which has to end; 0: waiting for input, as long as it takes */
	pid_t parent;           /* with whom it dies; set before it begins */
};

struct cli_walls {
	const char *command; /* "dpi classify" */
	const char *what;    /* of which an error speaks: the file's name */
	const char *step;    /* "packet" */
	/* Runs in the process; calls dpi_sandbox_file() before it looks at a hostile byte; prints; returns the exit status. */
	int (*work)(void *arg, struct cli_walls_progress *progress);
	void *arg;
};
/* Runs work in a process of its own, which does not outlive the calling one. Returns its exit status; CLI_ERROR after telling how
 * it died, or that it hung and was ended. Where nobody reads any more what it prints, the calling process ends as it did: by
 * SIGPIPE. */
int cli_walls_run(const struct cli_walls *w);

#endif
