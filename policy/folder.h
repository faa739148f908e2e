/* SPDX-License-Identifier: BSD-2-Clause */
/* A policy folder on disk: NAME.yaml for each unikernel, common.yaml for what they share, *.test.yaml for cases. Other files
 * are not looked at, but a .yaml file of any other kind is an error, and so is one that ends in .yml or .YAML. Hidden files are
 * left out. Nothing is compiled here: that a file says `unikernel:` as it is called is pol_compile's. */
#ifndef POL_FOLDER_H
#define POL_FOLDER_H

#include "policy.h"

#define POL_FOLDER_BYTES_MAX (512u << 20) /* of all files together */
#define POL_SCHEMAS_MAX 16u

struct pol_folder {
	char *path;
	uint32_t n;
	struct pol_unikernel *u;  /* sorted by name; policy_path is path/NAME.yaml */
	struct pol_text *texts;
	char *common_path;        /* NULL: there is none */
	struct pol_text common;
	uint32_t n_tests;
	char **tests;             /* paths, sorted */
	uint32_t n_schemas;
	char *schemas[POL_SCHEMAS_MAX]; /* paths that common.yaml names, relative ones taken from the folder */
	uint32_t schemas_line;    /* in common.yaml, 0: it names none */
};
/* Reads it, all files as they were at one moment: where they are changed meanwhile it reads again, some times. 0, or -errno with
 * err filled (-EAGAIN: they are changed all the time). pol_folder_free in any case. */
int pol_folder_read(struct pol_folder **f, const char *path, struct pol_err *err);
void pol_folder_free(struct pol_folder *f); /* may be NULL */
/* For pol_compile: all of them, in the folder's order. Borrows from f. */
struct pol_source pol_folder_source(const struct pol_folder *f);
/* The index of a unikernel, or -1. */
int32_t pol_folder_find(const struct pol_folder *f, const char *name);

#endif
