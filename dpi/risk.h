/* SPDX-License-Identifier: BSD-2-Clause */
/* Risks of HTTP, and one of DNS, that stand where nDPI does not look. It looks at a request's URL as it was written, at the user
 * agent, at some headers; not into what a form carries, an encoded path, other headers, a body. Here its own look at a URL's
 * parameters is given a form's, and a few attacks are recognised whose form is exact. Each is told as the risk of nDPI's that
 * stands for it. */
#ifndef DPI_RISK_H
#define DPI_RISK_H

#include "ndpi.h"

#define DPI_RISK_VALUE_MAX 8192u /* bytes of a target or of one value of a form that are looked at, decoded */
#define DPI_RISK_VALUES_MAX 1024u /* values of a form, parts of an upload */

/* The risks that dpi_risks_http can tell of. */
#define DPI_RISKS_HTTP \
	(DPI_RISK_BIT(NDPI_URL_POSSIBLE_XSS) | DPI_RISK_BIT(NDPI_URL_POSSIBLE_SQL_INJECTION) | \
	 DPI_RISK_BIT(NDPI_HTTP_SUSPICIOUS_URL) | DPI_RISK_BIT(NDPI_HTTP_SUSPICIOUS_USER_AGENT) | \
	 DPI_RISK_BIT(NDPI_POSSIBLE_EXPLOIT) | DPI_RISK_BIT(NDPI_BINARY_APPLICATION_TRANSFER) | \
	 DPI_RISK_BIT(NDPI_URL_POSSIBLE_RCE_INJECTION))

/* Risk bits of a payload that is HTTP, a request or a response, from its beginning:
 *   SQL injection, XSS     what nDPI finds in a URL's parameters, in the values of a form (application/x-www-form-urlencoded)
 *   RCE injection          what inject.h says of the parameters of a URL and of a form, under up to three layers of encoding;
 *   suspicious URL         so too, and ".." between separators in the target, under as many
 *   suspicious user agent  a scanner that gives its name
 *   possible exploit       a JNDI lookup (Log4j) in the target, headers or body, nested lookups resolved; a header's value that
 *                          is a shell function; XML that declares an external entity
 *   binary transfer        a program, as libmagic tells it, that is the body or a part of an upload; of what is sent
 *                          to a server the source of one, too
 * Bounded as above; magic is kind.c's. Cost: some passes of memmem over the payload; a form's values as nDPI's for a URL;
 * libmagic only where the first bytes may be a program's. */
uint64_t dpi_risks_http(struct magic_set *magic, const uint8_t *p, size_t len);

/* Suspicious DNS, or nothing: of a payload that is DNS, over UDP or TCP, whose first question's name is longer than 120 bytes and
 * has at least two labels of 50 bytes and more without hyphens, as data in base32 or hexadecimal makes them. */
uint64_t dpi_risks_dns(const uint8_t *p, size_t len);

#endif
