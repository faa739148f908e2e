/* SPDX-License-Identifier: BSD-2-Clause */
/* Walls around code that parses hostile bytes: a process gives up what it will not need, for good. A system call that is
 * not on the list ends the process with SIGSYS. Who starts such processes is nursery's and the command line's business. */
#ifndef DPI_SANDBOX_H
#define DPI_SANDBOX_H

#include <stdint.h>
#include <sys/types.h>

#include "dpi.h"

/* For a worker. From here on the calling process, which has one thread, can compute, take memory (DPI_WORKER_MEMORY more than it
 * has), sleep on a futex, write to event_fd and end. All descriptors but 2, event_fd and ready_fd are closed; none can be
 * opened, made or inherited. It dies when `parent` does, and leaves no core.
 * Once all of that is so, one byte is written to ready_fd, and ready_fd is closed. It may be -1.
 * 0, or -errno with a text: then the process is half in and must end. */
int dpi_sandbox_worker(pid_t parent, int event_fd, int ready_fd, struct dpi_err *err);

#define DPI_TOOL_MEMORY (1ull << 30) /* bytes of address space that a tool may add to what it has */

/* For a tool that reads one open file and prints. From here on the calling process, which has one thread, can compute, take
 * DPI_TOOL_MEMORY more memory than it has, read fd and move in it (fstat, close too), write to 1 and 2, and end by exit(). All
 * other descriptors are closed; fd may be 0, and -1: none. What it needs besides (dpi_open, names, locales) is opened before.
 * It dies when `parent` does, and leaves no core.
 * 0, or -errno with a text: then the process is half in and must end. */
int dpi_sandbox_file(pid_t parent, int fd, struct dpi_err *err);

#endif
