/* SPDX-License-Identifier: BSD-2-Clause */
/* What a value that a request carries would do where it is run, expanded or fetched: shell commands, code, templates, addresses
 * that only the receiver's side can reach. nDPI's own patterns for commands need PCRE, which Debian's is built without. Where
 * the values stand, and their encoding, is risk.c's business. */
#ifndef DPI_INJECT_H
#define DPI_INJECT_H

#include "text.h"

/* The risks of one decoded value, and the name that it has (may be empty), as bits:
 *   RCE injection   ; | & a new line, ` or $( and then a command at a word's end, with what a command line has (a flag, a path, an
 *                   address) or behind nothing but a number or an address; sums and names of classes in template braces; calls in
 *                   PHP, Python and Java that run what they are given; a PHP object
 *   suspicious URL  a URL whose host is this machine, of a private or link-local network or a cloud's metadata, however written;
 *                   file:, gopher:, dict:, PHP's own schemes; /etc/passwd and the like
 * Prose and code in posts are let be: what stands behind several words is no injection, whatever it is. Linear in the value's
 * length. */
uint64_t dpi_inject_value(struct text name, struct text value);

/* 1 when an upload begins as the source of a program: <?php, <?=, <%, #!/. */
int dpi_inject_source(struct text content);
/* 1 when the head of an upload's part names a file that a web server would run. */
int dpi_inject_runnable(struct text part_head);
/* 1 when there is such source anywhere in it. */
int dpi_inject_source_within(struct text content);

#endif
