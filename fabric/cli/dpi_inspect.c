/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft dpi inspect`: the verdict for payloads as a field's content, by the fabric's own inspector, and why. What a profile
 * means is dpi_profile.c's; the inspector runs behind walls (dpi_walls.c). */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dpi/sandbox.h"
#include "fabric/cli/cli.h"
#include "fabric/cli/dpi.h"
#include "fabric/cli/dpi_profile.h"

#define COMMAND "dpi inspect"
#define FILES_MAX 256u
#define PIECES_MAX 4096u
#define ALLOWS_MAX 200u /* bytes of a profile's names in a line for people */

struct payload {
	const char *name;
	uint8_t *bytes;
	size_t len;
};

struct options {
	const char *profile, *risks, *policies;
	const char *file[FILES_MAX];
	uint32_t n_files, pieces;
	int json, in_a_row;
	struct cli_content content;
	struct dpi_set set;
	struct payload payload[FILES_MAX];
};

enum { OPT_RISKS = 256, OPT_POLICIES, OPT_PIECES, OPT_ROW };

/* --- telling --------------------------------------------------------------------------------------------------------- */

/* One message that was looked at: a file, or a piece of one. */
struct told {
	const struct payload *p;
	uint32_t piece; /* from 1; 0: whole */
	size_t len;
	struct dpi_finding f;
};

static const char *const why_names[DPI_WHYS] = {
	[DPI_WHY_NOTHING] = "nothing",   [DPI_WHY_PROTOCOL] = "protocol", [DPI_WHY_DOUBTFUL] = "doubtful",
	[DPI_WHY_UNKNOWN] = "unknown",   [DPI_WHY_KIND] = "kind",         [DPI_WHY_RISK] = "risk",
	[DPI_WHY_LONG] = "long",         [DPI_WHY_AMBIGUOUS] = "ambiguous", [DPI_WHY_MEMORY] = "memory",
	[DPI_WHY_DIED] = "died",         [DPI_WHY_HUNG] = "hung",         [DPI_WHY_TWICE] = "twice",
	[DPI_WHY_ABSENT] = "absent",     [DPI_WHY_NONSENSE] = "nonsense",
};

/* Unrecognised content is told with what is known of it: "not recognised, text". */
static void finding_text(const struct dpi_finding *f, char *out, size_t cap)
{
	char text[DPI_NAME_MAX];
	size_t used = 0;

	dpi_finding_text(f, text);
	int unrecognised = !f->master && !f->app && (f->why == DPI_WHY_NOTHING || f->why == DPI_WHY_UNKNOWN);
	used += (size_t)snprintf(out, cap, "%s", unrecognised ? "not recognised" : text);
	for (uint32_t bit = 0; bit < 5 && unrecognised && used < cap; bit++) {
		const char *name = dpi_name_at(DPI_IS_KIND, bit);

		if (name && (f->kinds >> bit & 1))
			used += (size_t)snprintf(out + used, cap - used, ", %s", name);
	}
}

/* "HTTP, unknown" of a profile, cut where it is long. */
static void allows_text(const struct dpi_profile *p, char out[ALLOWS_MAX])
{
	size_t used = 0;

	snprintf(out, ALLOWS_MAX, "nothing");
	for (uint32_t i = 0; i < p->n_allow; i++) {
		if (used + strlen(p->allow[i]) + 8 > ALLOWS_MAX) {
			snprintf(out + used, ALLOWS_MAX - used, " ...");
			return;
		}
		used += (size_t)snprintf(out + used, ALLOWS_MAX - used, "%s%s", i ? ", " : "", p->allow[i]);
	}
}

static const char *reason(const struct options *o, const struct dpi_finding *f, char out[ALLOWS_MAX + 64])
{
	char allows[ALLOWS_MAX];

	allows_text(&o->content.profile, allows);
	switch (f->why) {
	case DPI_WHY_PROTOCOL:
	case DPI_WHY_UNKNOWN:
		snprintf(out, ALLOWS_MAX + 64, "the profile allows %s", allows);
		break;
	case DPI_WHY_DOUBTFUL:
		snprintf(out, ALLOWS_MAX + 64, "the profile allows %s, and not \"doubtful\"", allows);
		break;
	case DPI_WHY_KIND:
		snprintf(out, ALLOWS_MAX + 64, "the profile forbids it");
		break;
	case DPI_WHY_RISK:
		snprintf(out, ALLOWS_MAX + 64, "the profile counts this risk");
		break;
	case DPI_WHY_LONG:
		snprintf(out, ALLOWS_MAX + 64, "a field of more than %u bytes is not inspected", DPI_FIELD_MAX);
		break;
	default:
		snprintf(out, ALLOWS_MAX + 64, "it could not be inspected");
	}
	return out;
}

static json_t *told_json(const struct options *o, const struct told *t)
{
	char found[DPI_NAME_MAX + 64], why[ALLOWS_MAX + 64];
	json_t *kinds = json_array(), *line = json_object();

	finding_text(&t->f, found, sizeof found);
	for (uint32_t bit = 0; bit < 5; bit++) {
		const char *name = dpi_name_at(DPI_IS_KIND, bit);

		if (name && (t->f.kinds >> bit & 1))
			json_array_append_new(kinds, json_string(name));
	}
	json_object_set_new(line, "file", cli_json_text(t->p->name));
	if (t->piece)
		json_object_set_new(line, "piece", json_integer(t->piece));
	json_object_set_new(line, "bytes", json_integer((json_int_t)t->len));
	json_object_set_new(line, "verdict", json_string(t->f.answer == DPI_CLEAN ? "passes" : "refused"));
	json_object_set_new(line, "found", cli_json_text(found));
	json_object_set_new(line, "kinds", kinds);
	if (t->f.answer != DPI_CLEAN) {
		json_object_set_new(line, "why", json_string(t->f.why < DPI_WHYS ? why_names[t->f.why] : "nonsense"));
		json_object_set_new(line, "reason", cli_json_text(reason(o, &t->f, why)));
	}
	if (t->f.pieces)
		json_object_set_new(line, "earlier_pieces", json_integer(t->f.pieces));
	return line;
}

static int tell(const struct options *o, const struct told *t)
{
	char found[DPI_NAME_MAX + 64], why[ALLOWS_MAX + 64], piece[48] = "";

	if (o->json)
		return cli_json_print(COMMAND, told_json(o, t));
	finding_text(&t->f, found, sizeof found);
	if (t->piece)
		snprintf(piece, sizeof piece, ", piece %u of %u", t->piece, o->pieces);
	if (t->f.answer == DPI_CLEAN)
		printf("%s%s: passes: %s\n", t->p->name, piece, found);
	else
		printf("%s%s: refused: %s: %s\n", t->p->name, piece, found, reason(o, &t->f, why));
	return 0;
}

/* --- behind the walls ------------------------------------------------------------------------------------------------ */

/* One message of the conversation, whose one field these bytes are; 0, 1: refused; or CLI_ERROR. */
static int look(const struct options *o, struct dpi *d, const struct payload *p, size_t at, size_t len, uint32_t piece,
		uint16_t peer)
{
	struct told t = { .p = p, .piece = piece, .len = len };

	if (len > DPI_FIELD_MAX) {
		t.f.answer = DPI_FAILED;
		t.f.why = DPI_WHY_LONG;
	} else {
		struct dpi_result r;
		struct dpi_message m = { .bytes = p->bytes + at, .src = 1, .dst = peer, .n_spans = 1 };

		m.span[0] = (struct dpi_span){ .set = &o->set, .len = (uint32_t)len };
		dpi_message_inspect(d, &m, &r);
		t.f = r.found;
		if (t.f.answer == DPI_CLEAN) /* it passes: what is it? */
			dpi_inspect(d, &o->set, p->bytes + at, len, &t.f);
	}
	if (tell(o, &t))
		return CLI_ERROR;
	return t.f.answer == DPI_CLEAN ? CLI_YES : CLI_NO;
}

static int work(void *arg, struct cli_walls_progress *progress)
{
	const struct options *o = arg;
	struct dpi_err err;
	struct dpi *d;
	int status = CLI_YES, rc = CLI_YES;

	progress->busy = 1;
	if (dpi_open(&d, &err) != 0)
		return cli_fail(COMMAND, "%s", err.text);
	/* What is read from files when it is first needed. */
	dpi_name_means("HTTP");
	json_object_seed(0);
	if (dpi_sandbox_file(progress->parent, -1, &err) != 0)
		return cli_fail(COMMAND, "%s", err.text);
	for (uint32_t i = 0; i < o->n_files && rc != CLI_ERROR; i++) {
		const struct payload *p = &o->payload[i];
		uint16_t peer = (uint16_t)(o->in_a_row ? 2 : i + 2); /* each file is a conversation of its own, or all are one */

		for (uint32_t k = 0; k < o->pieces && rc != CLI_ERROR; k++) {
			size_t from = p->len * k / o->pieces, to = p->len * (k + 1) / o->pieces;

			progress->step++;
			rc = look(o, d, p, from, to - from, o->pieces > 1 ? k + 1 : 0, peer);
			if (rc != CLI_YES)
				status = rc;
		}
	}
	dpi_close(d);
	return status;
}

/* --- the command ----------------------------------------------------------------------------------------------------- */

/* No stdio: at its exit it would move in standard input, which nobody may behind the walls. */
static int payload_read(struct payload *p, const char *path)
{
	int is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t got = 1;

	p->name = is_stdin ? "standard input" : path;
	if (fd < 0)
		return cli_fail(COMMAND, "%s: %s", path, strerror(errno));
	p->bytes = malloc(DPI_FIELD_MAX + 1);
	errno = ENOMEM;
	while (p->bytes && p->len <= DPI_FIELD_MAX && got != 0) { /* ends with the file, or when it is too long */
		got = read(fd, p->bytes + p->len, DPI_FIELD_MAX + 1 - p->len);
		if (got < 0 && errno != EINTR)
			break;
		p->len += got > 0 ? (size_t)got : 0;
	}
	int why = !p->bytes || got < 0 ? errno : 0;
	if (!is_stdin)
		close(fd);
	return why ? cli_fail(COMMAND, "%s: %s", p->name, strerror(why)) : 0;
}

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char *end;
	long n;

	switch (key) {
	case 'p':
		o->profile = arg;
		return 0;
	case OPT_RISKS:
		o->risks = arg;
		return 0;
	case OPT_POLICIES:
		o->policies = arg;
		return 0;
	case OPT_PIECES:
		n = strtol(arg, &end, 10);
		if (*end || end == arg || n < 1 || n > (long)PIECES_MAX)
			argp_error(state, "--pieces takes a number from 1 to %u", PIECES_MAX);
		o->pieces = (uint32_t)n;
		return 0;
	case OPT_ROW:
		o->in_a_row = 1;
		return 0;
	case 'j':
		o->json = 1;
		return 0;
	case ARGP_KEY_ARG:
		if (o->n_files == FILES_MAX)
			argp_error(state, "more than %u files", FILES_MAX);
		else
			o->file[o->n_files++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->profile)
			argp_error(state, "--profile is needed: what may the payload be?");
		if (!o->n_files)
			argp_error(state, "which payload? FILE is missing (- for standard input)");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option option_list[] = {
	{ "profile", 'p', "NAMES", 0,
	  "what is allowed, with commas between: protocols, categories, kinds, unknown, doubtful, none; !NAME forbids; with "
	  "--policies also profiles (UNIKERNEL:NAME for a unikernel's own)", 0 },
	{ "risks", OPT_RISKS, "NAMES", 0, "which of nDPI's risks refuse, instead of the profile's: names, attacks, none", 0 },
	{ "policies", OPT_POLICIES, "DIR", 0, "a policy folder whose profiles can be named", 0 },
	{ "pieces", OPT_PIECES, "N", 0, "send each file in N messages of one conversation", 0 },
	{ "in-a-row", OPT_ROW, NULL, 0, "all files are messages of one conversation", 0 },
	{ "json", 'j', NULL, 0, "print JSON, a line for each message", 0 },
	{ 0 },
};

int cli_dpi_inspect(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_list,
		.parser = option_parse,
		.args_doc = "--profile NAMES FILE...",
		.doc = "May a message's opaque field have these bytes in it? Says what the inspector finds in each FILE (- is "
		       "standard input), and why that passes or not. `weft dpi names` lists what can be named.\v"
		       "Exit status: 0 all pass, 1 something is refused, 2 the question could not be answered.",
	};
	struct options *o = calloc(1, sizeof *o);
	int status = CLI_ERROR, rc = 0;

	if (!o)
		return cli_fail(COMMAND, "out of memory");
	o->pieces = 1;
	if (argp_parse(&argp, argc, argv, 0, NULL, o) == 0 &&
	    cli_content_read(&o->content, &o->set, COMMAND, o->profile, o->risks, o->policies) == 0) {
		for (uint32_t i = 0; i < o->n_files && rc == 0; i++)
			rc = payload_read(&o->payload[i], o->file[i]);
		struct cli_walls w = { COMMAND, "the payload", "message", work, o };
		if (rc == 0)
			status = cli_walls_run(&w);
	}
	for (uint32_t i = 0; i < o->n_files; i++)
		free(o->payload[i].bytes);
	cli_content_free(&o->content);
	free(o);
	return status;
}
