/* SPDX-License-Identifier: BSD-2-Clause */
/* Names: which ones from a request may stand in C text, how ours are made, and how protobuf-c makes its own. */
#ifndef GEN_NAMES_H
#define GEN_NAMES_H

#include "text.h"

#define GEN_NAME_MAX 511u /* bytes of a full name, as in the schema compiler */

/* A letter or '_', then letters, digits and '_'; at most GEN_NAME_MAX bytes. NULL is none. */
int gen_name_ok(const char *name);
/* Such names with dots between; "" counts. */
int gen_dotted_ok(const char *name);
/* A relative path that may stand in an #include, a comment and a message: no quotes, backslashes, control characters. */
int gen_path_ok(const char *path);
/* One that our names may be made of: not '_' at either end and no "__", which is how protobuf-c separates. */
int gen_name_plain(const char *name);
/* A keyword of C or C++, or a macro of their headers that would be one. */
int gen_name_keyword(const char *name);
/* A keyword of C: protobuf-c's code for a service with such a method does not compile. */
int gen_name_c_keyword(const char *name);

/* "acme.WebAccess" becomes acme_web_access: as protobuf-c has it, '_' before a capital that follows none, but never two. */
void gen_snake(struct gen_text *t, const char *dotted);
void gen_upper(struct gen_text *t, const char *snake);
/* protobuf-c's names of a message: its type (Demo__ActRequest) and what its functions begin with (demo__act_request). */
void gen_pb_type(struct gen_text *t, const char *dotted);
void gen_pb_lower(struct gen_text *t, const char *dotted);
/* A file name as an include guard's middle: other characters than letters and digits become '_' and their hex code. */
void gen_guard(struct gen_text *t, const char *path);

#endif
