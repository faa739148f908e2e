/* SPDX-License-Identifier: BSD-2-Clause */
/* The other way round of dpi_finding_text() and of the stage that puts the field's name behind it. Anybody may have written the
 * log: a name counts where the inspector knows it, a field where a schema could have it. */
#include "fabric/cli/content_detail.h"

#include <stdio.h>
#include <string.h>

#define IN " in "

static int field_ok(const char *s)
{
	static const char in[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

	return *s && strspn(s, in) == strlen(s) && strspn(s, "0123456789") == 0;
}

/* Of "TLS.Google" the one that it is spoken in; some names have a dot of their own. */
static int protocol_of(char *name)
{
	if (!(dpi_name_means(name) & DPI_IS_PROTOCOL))
		name[strcspn(name, ".")] = '\0';
	return (dpi_name_means(name) & DPI_IS_PROTOCOL) != 0;
}

static int starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

void cli_detail_read(struct cli_detail *c, const char *detail)
{
	static const char unknown[] = "not recognised", doubtful[] = ", doubtful";
	const char *in = NULL;
	char what[DPI_NAME_MAX];

	*c = (struct cli_detail){ .how = CLI_DETAIL_OTHER };
	for (const char *p = strstr(detail, IN); p; p = strstr(p + 1, IN))
		in = p;
	/* What fills the room may have been cut: a field that is half a name is none. */
	if (!in || strlen(detail) >= FAB_DETAIL_MAX - 1 || (size_t)(in - detail) >= sizeof(what) || !field_ok(in + strlen(IN)))
		return;
	snprintf(what, sizeof(what), "%.*s", (int)(in - detail), detail);
	snprintf(c->field, sizeof(c->field), "%s", in + strlen(IN));
	if (starts(what, unknown)) {
		const char *kind = what + strlen(unknown);

		kind += starts(kind, ": ") ? 2 : 0;
		snprintf(c->list, sizeof(c->list), "%.*s", (int)strcspn(kind, " ,"), kind);
		if (!(dpi_name_means(c->list) & DPI_IS_KIND))
			snprintf(c->list, sizeof(c->list), "unknown");
		c->how = CLI_DETAIL_UNKNOWN;
		return;
	}
	if (strstr(what, doubtful)) {
		snprintf(c->list, sizeof(c->list), "doubtful");
		c->how = CLI_DETAIL_DOUBTFUL;
		return;
	}
	what[strcspn(what, " ,")] = '\0'; /* "SSH over 3 messages", "text, json" */
	if (dpi_name_means(what) & DPI_IS_KIND)
		c->how = CLI_DETAIL_KIND;
	else if (protocol_of(what))
		c->how = CLI_DETAIL_PROTOCOL;
	snprintf(c->list, sizeof(c->list), "%s", what);
}

void cli_detail_advice(const char *verdict, const char *detail, char *out, size_t cap)
{
	static const char both[] = "the sender's and the receiver's rule must both let it pass";
	struct cli_detail c;
	char risk[DPI_NAME_MAX];

	out[0] = '\0';
	if (!strcmp(verdict, "content_risk")) {
		snprintf(risk, sizeof(risk), "%.*s", (int)sizeof(risk) - 1, detail);
		for (char *end = risk + strlen(risk); end > risk && !(dpi_name_means(risk) & DPI_IS_RISK);)
			*--end = '\0'; /* "SQL Injection over 2 messages in request" */
		if (risk[0])
			snprintf(out, cap, "send it without the attack; it would pass only if profiles of both rules had `risks` "
				 "without \"%s\"", risk);
		return;
	}
	if (strcmp(verdict, "content_forbidden") != 0)
		return;
	cli_detail_read(&c, detail);
	switch (c.how) {
	case CLI_DETAIL_PROTOCOL:
		snprintf(out, cap, "list %s under `carries` for the field %s, beside what is there: %s", c.list, c.field, both);
		return;
	case CLI_DETAIL_DOUBTFUL:
		snprintf(out, cap, "list unknown and doubtful under `carries` for the field %s, if its bytes look random: %s",
			 c.field, both);
		return;
	case CLI_DETAIL_UNKNOWN:
		snprintf(out, cap, "list %s%s under `carries` for the field %s: %s",
			 strcmp(c.list, "unknown") != 0 ? c.list : "unknown, or the kind that it is (text, json ...),",
			 strcmp(c.list, "unknown") != 0 ? " or unknown" : "", c.field, both);
		return;
	case CLI_DETAIL_KIND:
		snprintf(out, cap, "carry another profile for the field %s: one of the two rules' forbids \"%s\"", c.field, c.list);
		return;
	default:
		return;
	}
}
