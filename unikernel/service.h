/* SPDX-License-Identifier: BSD-2-Clause */
/* What a service is: one C file that defines service_start(). The same file builds as a unikernel image
 * ($(BUILD)/images/NAME.elf, main in unikernel/main.c) and as a Linux process ($(BUILD)/services/NAME, main in
 * unikernel/process_main.c). Messages, handlers, timers and configuration are guest-lib/weft.h's.
 *
 * A service may use <string.h>, <stdint.h>, <stddef.h>, <errno.h>, malloc() and free(), libsodium, libprotobuf-c and
 * the code generated from schemas/demo. Nothing else of libc is there in the unikernel. One thread, no signals. */
#ifndef UK_SERVICE_H
#define UK_SERVICE_H

#include <stdarg.h>

#include "guest-lib/virtio.h"
#include "guest-lib/weft.h"

#define SVC_LOG_MAX 512u /* bytes of one line; longer ones are cut */

/* Defined by the service. Called once after weft_open(), before the first weft_step(): registers handlers and timers.
 * Returns 0, or a negative errno, which ends the instance with a message. Afterwards weft_run(w) has control; when
 * the service calls weft_stop(w), the instance ends with status 0. */
int service_start(struct weft *w);

/* Prints one line (a newline is added) on the console or stdout. Conversions: %d %i %u %x %X %o %c %s %p %% with flags
 * "-0+ #", width and precision (also *), and the lengths hh h l ll z j t. No floating point. Control characters are
 * shown as '?', so that a peer's text cannot forge lines. */
void svc_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void svc_vlog(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* The port below the endpoint, for hostile test guests that send frames of their own making (send_buffer, send,
 * flush). It is the one weft_open() was given. */
struct weft_port *service_port(void);

/* For hostile test guests: puts a chain of n descriptors (at most 64) on the transmit ring exactly as given, made visible
 * by the port's flush(). Only a `next` below n is translated: it becomes the number of the descriptor at that place.
 * Addresses are guest-physical, which in the unikernel is what pointers are. Returns 0, -EINVAL, -ENOSPC while the ring is
 * full, -ENOSYS in a process. */
int service_raw_chain(const struct virtq_desc *d, uint16_t n);

/* Ends the instance now: status 0 is success. Does not return. */
void service_exit(int status) __attribute__((noreturn));

#endif
