/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft dpi names`: every name that a profile may list. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "dpi/dpi.h"
#include "fabric/cli/cli.h"
#include "fabric/cli/dpi.h"

#define COMMAND "dpi names"
#define NAMES_MAX 4096u
#define LINE_MAX_CHARS 100

static const struct section {
	const char *name;
	enum dpi_meaning means;
	const char *note;
	const char *words; /* that mean something besides; for the last section that has any */
} sections[] = {
	{ "protocols", DPI_IS_PROTOCOL, "nDPI's protocols: allow, forbid", NULL },
	{ "categories", DPI_IS_CATEGORY, "nDPI's categories of protocols: allow, forbid", NULL },
	{ "kinds", DPI_IS_KIND, "what nDPI has no name for: allow, forbid", "unknown, doubtful, none: allow only" },
	{ "risks", DPI_IS_RISK, "nDPI's risks: risks", "attacks (those that count where a profile says nothing), none" },
};
#define N_SECTIONS (sizeof sections / sizeof sections[0])

struct options {
	const struct section *only; /* NULL: all */
	int json;
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'j':
		o->json = 1;
		return 0;
	case ARGP_KEY_ARG:
		if (o->only)
			argp_error(state, "one of them only, or none for all");
		for (size_t i = 0; i < N_SECTIONS; i++)
			if (strcmp(arg, sections[i].name) == 0)
				o->only = &sections[i];
		if (!o->only)
			argp_error(state, "\"%s\" is none of: protocols, categories, kinds, risks", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static json_t *section_json(const struct section *s)
{
	json_t *list = json_array();
	const char *name;

	for (uint32_t i = 0; i < NAMES_MAX && (name = dpi_name_at(s->means, i)); i++)
		json_array_append_new(list, cli_json_text(name));
	return list;
}

static void section_print(const struct section *s)
{
	const char *name;
	int column = 0;

	printf("%s (%s)\n", s->name, s->note);
	for (uint32_t i = 0; i < NAMES_MAX && (name = dpi_name_at(s->means, i)); i++) {
		int len = (int)strlen(name) + 2;

		if (column && column + len > LINE_MAX_CHARS) {
			printf(",\n");
			column = 0;
		}
		printf("%s%s", column ? ", " : "  ", name);
		column += len;
	}
	printf("\n");
	if (s->words)
		printf("  besides: %s\n", s->words);
}

int cli_dpi_names(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "json", 'j', NULL, 0, "print JSON: {\"protocols\": [...], ...}", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = option_parse,
		.args_doc = "[protocols|categories|kinds|risks]",
		.doc = "What `carries`, and a profile's allow, forbid and risks, may list. Case is ignored.\v"
		       "Exit status: 0; 2 error.",
	};
	struct options o = { NULL, 0 };
	json_t *all;

	if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	all = o.json ? json_object() : NULL;
	for (size_t i = 0; i < N_SECTIONS; i++) {
		if (o.only && o.only != &sections[i])
			continue;
		if (o.json)
			json_object_set_new(all, sections[i].name, section_json(&sections[i]));
		else
			section_print(&sections[i]);
	}
	if (o.json && cli_json_print(COMMAND, all))
		return CLI_ERROR;
	return cli_flush(COMMAND) ? CLI_ERROR : CLI_YES;
}
