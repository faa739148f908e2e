/* SPDX-License-Identifier: BSD-2-Clause */
/* Editions: which features a file, and what stands in it, has. proto2 and proto3 are two fixed choices of the same
 * features, so the compiler knows one mechanism only. For the compiler's own files. Source: descriptor.proto, FeatureSet. */
#ifndef SCH_FEATURES_H
#define SCH_FEATURES_H

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

struct build;

/* FileDescriptorProto.edition. */
enum { B_PROTO2 = 998, B_PROTO3 = 999, B_EDITION_2023 = 1000, B_EDITION_2024 = 1001 };

/* Where each kind of options has its features: the field's number. */
enum {
	B_OF_FILE = 50, B_OF_MESSAGE = 12, B_OF_FIELD = 21, B_OF_ONEOF = 1, B_OF_RANGE = 50, B_OF_ENUM = 7, B_OF_VALUE = 2,
	B_OF_SERVICE = 34, B_OF_METHOD = 35
};

enum { B_EXPLICIT = 1, B_IMPLICIT = 2, B_REQUIRED = 3 };
enum { B_OPEN = 1, B_CLOSED = 2 };
enum { B_PACKED = 1, B_EXPANDED = 2 };
enum { B_VERIFY = 2, B_NO_CHECK = 3 };
enum { B_LENGTH_PREFIXED = 1, B_DELIMITED = 2 };

/* One value for each feature that says something of the wire; 0: not set. */
struct b_features {
	uint8_t presence;  /* B_EXPLICIT ... */
	uint8_t enums;     /* B_OPEN, B_CLOSED */
	uint8_t repeated;  /* B_PACKED, B_EXPANDED: checked, and of no consequence, as either form is accepted */
	uint8_t utf8;      /* B_VERIFY, B_NO_CHECK */
	uint8_t messages;  /* B_LENGTH_PREFIXED, B_DELIMITED */
};

/* The file's edition, which its syntax tells for proto2 and proto3, and its features. Both go to build.files, whose next
 * entry must be this file's. 0, or -errno with err filled. */
int b_features_file(struct build *b, uint32_t file);

/* Puts what options say over *f, which holds what surrounds them (feature by feature, the inner one counts). options may
 * be NULL; `field` is their B_OF_ number. own, where not NULL, gets what they say themselves. where names them in errors:
 * an unknown feature, an unknown value, damage, or any feature in a file without an edition. 0, or -errno with err. */
int b_features_apply(struct build *b, uint32_t file, const char *where, const ProtobufCMessage *options, uint32_t field,
		     struct b_features *f, struct b_features *own);

/* The same for options that no wire format depends on: they must be sound, that is all. */
int b_features_check(struct build *b, uint32_t file, const char *where, const ProtobufCMessage *options, uint32_t field);

#endif
