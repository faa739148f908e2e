/* SPDX-License-Identifier: BSD-2-Clause */
/* Drawing. An arrow stands for all that one end may tell the other in one way (allowed, only observed, refused), and names the
 * subjects. Boxes are policy_dot_box.c's matter; how fewer arrows say the same, which keeps a picture of forty unikernels
 * readable, policy_dot_join.c's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/policy_dot_drawing.h"

#define SUBJECTS_SHOWN 4u /* of one arrow, then how many more */
#define ALIKE_FROM     13u /* unikernels in a set: from so many on those that are alike are drawn as one */
#define ALIKE_SHOWN    6u  /* names of those, then how many more */
#define INK     "#2f3b4c"
#define FAINT   "#7b8794"
#define AMBER   "#b7791f"
#define RED     "#c53030"

/* --- texts ------------------------------------------------------------------------------------------------------------- */

/* In double quotes of DOT: a quote and a backslash are escaped, "\n" of a label's own is the only escape that is kept. */
static void put_text(FILE *out, const char *text, int is_label)
{
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"')
			fputs("\\\"", out);
		else if (c == '\n' && is_label)
			fputs("\\n", out);
		else if (c == '\\')
			fputs("\\\\", out);
		else if (c < 0x20 || c == 0x7f)
			fputc('?', out);
		else
			fputc(c, out);
	}
}

static const char *name_of(const struct drawing *g, uint32_t port)
{
	return pol_self(g->d->set, (uint16_t)port)->party->name;
}

/* What all subjects begin with: "demo." */
static void package_find(struct drawing *g)
{
	const struct cli_dot *d = g->d;
	const char *first = NULL;
	size_t len = 0;

	for (uint32_t i = 0; i < pol_edge_count(d->reach); i++) {
		struct pol_edge e;

		if (pol_edge_get(d->reach, i, &e))
			return;
		const char *name = pol_subject_name(d->set, e.hop.subject);

		if (!first) {
			const char *slash = strchr(name, '/');

			first = name;
			for (const char *p = name; *p && p != slash; p++)
				if (*p == '.')
					len = (size_t)(p - name) + 1;
		}
		while (len && strncmp(first, name, len) != 0) { /* one dot further to the left, down to none */
			len--;
			while (len && first[len - 1] != '.')
				len--;
		}
	}
	g->package = first;
	g->package_len = len;
}

/* --- arrows ---------------------------------------------------------------------------------------------------------------- */

static int arrow_way(const struct pol_edge *e)
{
	return e->none ? WAY_DENIED : e->hop.observed ? WAY_OBSERVED : WAY_ALLOWED;
}

/* Has it a condition, on either side? */
static int is_conditional(const struct drawing *g, const struct pol_edge *e)
{
	struct pol_candidate at[POL_CANDIDATES_MAX];

	for (int side = 0; side < 2; side++) {
		uint32_t n = pol_candidates(g->d->set, e->hop.from, e->hop.to, e->hop.subject, (enum pol_side)side, at);

		for (uint32_t i = 0; i < n; i++)
			if (at[i].where)
				return 1;
	}
	return 0;
}

static int arrow_add(struct drawing *g, const struct pol_edge *edges, uint32_t n, enum way way)
{
	struct arrow *a;
	char *label = NULL;
	size_t len;
	uint32_t shown = 0, calls = 0;
	FILE *text;

	if (g->n_arrows == g->cap) {
		uint32_t cap = g->cap ? g->cap * 2 : 64;

		a = reallocarray(g->arrows, cap, sizeof *a);
		if (!a)
			return -ENOMEM;
		g->arrows = a;
		g->cap = cap;
	}
	text = open_memstream(&label, &len);
	if (!text)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		if (arrow_way(&edges[i]) != (int)way)
			continue;
		calls += edges[i].is_method;
		if (++shown > SUBJECTS_SHOWN)
			continue;
		int conditional = way != WAY_DENIED && is_conditional(g, &edges[i]);

		g->has_condition |= conditional;
		fprintf(text, "%s%s%s", shown > 1 ? "\n" : "", pol_subject_name(g->d->set, edges[i].hop.subject) + g->package_len,
			conditional ? " *" : "");
	}
	if (shown > SUBJECTS_SHOWN)
		fprintf(text, "\nand %u more", shown - SUBJECTS_SHOWN);
	if (fclose(text) != 0) {
		free(label);
		return -ENOMEM;
	}
	if (!shown) {
		free(label);
		return 0;
	}
	g->has_way[way] = 1;
	g->has_call |= calls == shown && way != WAY_DENIED;
	g->arrows[g->n_arrows++] = (struct arrow){ .from = edges[0].hop.from, .to = edges[0].hop.to, .way = way, .label = label,
						   .calls = calls == shown };
	return 0;
}

static int arrows_make(struct drawing *g)
{
	uint32_t n = pol_edge_count(g->d->reach), cap = 0;
	struct pol_edge *run = NULL;
	int rc = 0;

	for (uint32_t i = 0, len; i < n && !rc; i += len) {
		/* edges between the same two stand one after another */
		for (len = 0; i + len < n && !rc; len++) {
			if (len == cap) {
				struct pol_edge *more = reallocarray(run, cap ? cap * 2 : 16, sizeof *run);

				if (!more) {
					rc = -ENOMEM;
					break;
				}
				run = more;
				cap = cap ? cap * 2 : 16;
			}
			rc = pol_edge_get(g->d->reach, i + len, &run[len]);
			if (rc || run[len].hop.from != run[0].hop.from || run[len].hop.to != run[0].hop.to)
				break;
		}
		for (int way = 0; way < WAY_COUNT && !rc; way++)
			if (way != WAY_DENIED || g->d->denied)
				rc = arrow_add(g, run, len, (enum way)way);
	}
	free(run);
	return rc;
}

/* --- writing --------------------------------------------------------------------------------------------------------------- */

static void node_write(const struct drawing *g, FILE *out, uint32_t port, const char *indent)
{
	const struct pol_self *self = pol_self(g->d->set, (uint16_t)port);
	uint32_t shown = 0;

	if (!g->alike[port])
		return;
	fprintf(out, "%sn%u [label=\"", indent, port);
	for (uint32_t p = port; p <= g->n_ports && shown < ALIKE_SHOWN; p++)
		if (g->drawn_as[p] == port) {
			fputs(shown++ ? "\\n" : "", out);
			put_text(out, name_of(g, p), 0);
		}
	if (g->alike[port] > shown)
		fprintf(out, "\\nand %u more", g->alike[port] - shown);
	fputs(self->observe ? "\\n(observed)\", style=\"rounded,filled,dashed\", color=\"" AMBER "\"" : "\"", out);
	if (g->alike[port] > 1)
		fputs(", peripheries=2", out);
	if (self->party->n_labels && g->alike[port] == 1) {
		fputs(", tooltip=\"", out);
		for (uint32_t i = 0; i < self->party->n_labels; i++) {
			fputs(i ? ", " : "", out);
			put_text(out, self->party->labels[i].key, 0);
			fputc('=', out);
			put_text(out, self->party->labels[i].value, 0);
		}
		fputc('"', out);
	}
	fputs("];\n", out);
}

static void nodes_write(const struct drawing *g, FILE *out)
{
	/* one tint for each box, so that neighbours differ */
	static const char *const tint[] = {"#eef4fb", "#f1f8ee", "#fdf5e8", "#f6f0fa",
					   "#eaf6f6", "#fbeff0", "#f4f4ea", "#eef0f3"};

	for (uint32_t b = 0; b < g->n_boxes; b++) {
		fprintf(out, "\tsubgraph cluster_%u {\n\t\tlabel=\"", b);
		put_text(out, g->boxes[b].name, 0);
		fprintf(out, "\"; labelloc=t; bgcolor=\"%s\"; color=\"" FAINT "\"; style=rounded; tooltip=\"\";\n",
			tint[b % (sizeof tint / sizeof tint[0])]);
		for (uint32_t p = 1; p <= g->n_ports; p++)
			if (g->box_of[p] == b)
				node_write(g, out, p, "\t\t");
		fputs("\t}\n", out);
	}
	for (uint32_t p = 1; p <= g->n_ports; p++)
		if (g->box_of[p] == UINT32_MAX)
			node_write(g, out, p, "\t");
}

static uint32_t tie(const struct drawing *g, uint32_t end)
{
	return end >= BOX_END ? g->boxes[end - BOX_END].middle : end;
}

static void end_name(const struct drawing *g, FILE *out, uint32_t end)
{
	put_text(out, end >= BOX_END ? g->boxes[end - BOX_END].name : name_of(g, end), 0);
}

static void arrow_write(const struct drawing *g, FILE *out, const struct arrow *a)
{
	static const char *const look[WAY_COUNT] = {
		[WAY_ALLOWED] = "",
		[WAY_OBSERVED] = ", style=dashed, color=\"" AMBER "\", fontcolor=\"" AMBER "\"",
		[WAY_DENIED] = ", style=dotted, color=\"" RED "\", fontcolor=\"" RED "\", arrowhead=tee, constraint=false",
	};

	fprintf(out, "\tn%u -> n%u [label=\"", tie(g, a->from), tie(g, a->to));
	put_text(out, a->label, 1);
	fprintf(out, "\"%s", look[a->way]);
	if (a->from >= BOX_END)
		fprintf(out, ", ltail=cluster_%u", a->from - BOX_END);
	if (a->to >= BOX_END)
		fprintf(out, ", lhead=cluster_%u", a->to - BOX_END);
	if (a->from >= BOX_END || a->to >= BOX_END)
		fputs(", penwidth=1.8", out);
	if (a->calls && a->way != WAY_DENIED)
		fputs(", dir=both, arrowtail=odot", out);
	fputs(", edgetooltip=\"", out);
	end_name(g, out, a->from);
	fputs(" to ", out);
	end_name(g, out, a->to);
	fputs("\"];\n", out);
}

static int has_alike(const struct drawing *g)
{
	for (uint32_t p = 1; p <= g->n_ports; p++)
		if (g->alike[p] > 1)
			return 1;
	return 0;
}

static void head_write(const struct drawing *g, FILE *out)
{
	fputs("digraph policy {\n\tgraph [rankdir=LR, compound=true, fontname=\"Helvetica\", fontsize=11, fontcolor=\"" INK "\", "
	      "nodesep=0.28, ranksep=1.1, splines=true, pad=0.2, labelloc=b, labeljust=l, tooltip=\"\",\n\t\tlabel=\"", out);
	put_text(out, g->d->title, 0);
	if (g->package_len) {
		fputs(": names are of package ", out);
		fwrite(g->package, 1, g->package_len - 1, out);
	}
	if (g->has_bold)
		fputs("\\lbold arrow: all of the box", out);
	if (has_alike(g))
		fputs("\\ldouble frame: these may tell and hear the same", out);
	if (g->has_call)
		fputs("\\lopen circle: a request, its reply comes back", out);
	if (g->has_condition)
		fputs("\\l* under conditions", out);
	if (g->has_way[WAY_OBSERVED])
		fputs("\\ldashed: only observed, delivered for now", out);
	if (g->has_way[WAY_DENIED])
		fputs("\\lred: one side lets it pass, but it is refused", out);
	fputs("\\l\"];\n\tnode [shape=box, style=\"rounded,filled\", fillcolor=white, color=\"" INK "\", fontname=\"Helvetica\", "
	      "fontsize=12, fontcolor=\"" INK "\", margin=\"0.14,0.07\", height=0.36];\n"
	      "\tedge [color=\"" INK "\", fontname=\"Helvetica\", fontsize=9, fontcolor=\"" INK "\", arrowsize=0.7];\n", out);
}

int cli_dot_write(const struct cli_dot *d, FILE *out)
{
	struct drawing g = { .d = d, .n_ports = pol_unikernel_count(d->set) };
	int rc = 0;

	g.box_of = malloc((g.n_ports + 1) * sizeof *g.box_of);
	g.boxes = calloc(CLI_DOT_BOXES_MAX, sizeof *g.boxes);
	g.drawn_as = calloc(g.n_ports + 1, sizeof *g.drawn_as);
	g.alike = calloc(g.n_ports + 1, sizeof *g.alike);
	if (!g.box_of || !g.boxes || !g.drawn_as || !g.alike)
		rc = -ENOMEM;
	for (uint32_t p = 0; p <= g.n_ports && !rc; p++) {
		g.box_of[p] = UINT32_MAX;
		g.drawn_as[p] = (uint16_t)p;
		g.alike[p] = 1;
	}
	package_find(&g);
	rc = rc ? rc : cli_dot_boxes_make(&g);
	rc = rc ? rc : arrows_make(&g);
	if (!rc && g.n_ports >= ALIKE_FROM && !d->all)
		rc = cli_dot_alike_find(&g);
	rc = rc ? rc : cli_dot_boxes_tie(&g);
	if (!rc) {
		cli_dot_arrows_join(&g, 0);
		cli_dot_arrows_join(&g, 1);
		head_write(&g, out);
		nodes_write(&g, out);
		for (uint32_t i = 0; i < g.n_arrows; i++)
			if (!g.arrows[i].gone)
				arrow_write(&g, out, &g.arrows[i]);
		fputs("}\n", out);
	}
	for (uint32_t i = 0; i < g.n_arrows; i++)
		free(g.arrows[i].label);
	for (uint32_t b = 0; b < g.n_boxes; b++)
		free(g.boxes[b].name);
	free(g.arrows);
	free(g.boxes);
	free(g.box_of);
	free(g.drawn_as);
	free(g.alike);
	return rc;
}
