/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages as people write them: protobuf's JSON to the bytes of a message, and back, for any type of a descriptor set. Needs
 * libprotobuf; for `weft` only, never for the data path. */
#ifndef FAB_JSON_MESSAGE_H
#define FAB_JSON_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fab_json; /* the types of a descriptor set; one thread at a time */

/* fdset: a FileDescriptorSet with its imports; not needed afterwards. 0, or -EINVAL or -ENOMEM with why filled. */
int fab_json_open(struct fab_json **j, const uint8_t *fdset, size_t len, char *why, size_t why_cap);
void fab_json_close(struct fab_json *j); /* may be NULL */

/* The JSON of a message (protobuf.dev, "ProtoJSON") becomes its bytes: fields by number, maps by key, defaults left out, so that
 * the same text always gives the same bytes. Fields go by their names in the schema or by their JSON names. Unknown fields, keys
 * that stand twice and values of another type are errors; rules (buf.validate, required) are the validator's. *msg is the
 * caller's to free, with SCH_PAD zero bytes after its *msg_len. 0, or -EINVAL or -ENOMEM with why filled. */
int fab_json_read(struct fab_json *j, const char *type, const char *text, size_t len, uint8_t **msg, size_t *msg_len,
		  char *why, size_t why_cap);
/* The bytes of a message as JSON on one line, for people: fields by their names in the schema, those without presence that hold
 * their default only where all is set. *text is the caller's to free. Errors as above. */
int fab_json_print(struct fab_json *j, const char *type, const uint8_t *msg, size_t msg_len, int all, char **text, char *why,
		   size_t why_cap);

/* A field's value as a literal of an expression: 1001, 7u, 2.5, true, "text", an enum's number. path: names with dots between
 * them, "zone.row"; value: as JSON gives it, a string's content without quotes. Returns what it is ('i', 'u', 'd', 'b', 's', 'e'),
 * or 0 where there is no such field, it is none of these, or the value is none of its. */
int fab_json_literal(struct fab_json *j, const char *type, const char *path, const char *value, char *out, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
