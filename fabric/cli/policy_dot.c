/* SPDX-License-Identifier: BSD-2-Clause */
/* Drawing. An arrow stands for all that one end may tell the other in one way (allowed, only observed, refused), and names the
 * subjects. Arrows that are the same from or to all of a box become one, which keeps a picture of forty unikernels readable. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/policy_dot.h"

#define SUBJECTS_SHOWN 4u /* of one arrow, then how many more */
#define ALIKE_FROM     13u /* unikernels in a set: from so many on those that are alike are drawn as one */
#define ALIKE_SHOWN    6u  /* names of those, then how many more */
#define INK     "#2f3b4c"
#define FAINT   "#7b8794"
#define AMBER   "#b7791f"
#define RED     "#c53030"

/* How an arrow is drawn; the order in which ways are told apart. */
enum way { WAY_ALLOWED, WAY_OBSERVED, WAY_DENIED, WAY_COUNT };

/* An end of an arrow: a unikernel (its port), or a box (BOX_END + its number). */
#define BOX_END 0x10000u

struct arrow {
	uint32_t from, to;
	enum way way;
	char *label;  /* subjects, "\n" between them; owned */
	uint8_t calls; /* all are methods: a reply comes back */
	uint8_t gone;  /* part of another now */
};

struct box {
	char *name; /* owned */
	uint32_t n;       /* unikernels in it */
	uint16_t middle;  /* one of them, where the box's arrows are tied */
};

struct drawing {
	const struct cli_dot *d;
	uint32_t n_ports;
	uint32_t *box_of;  /* [port]: number, or UINT32_MAX */
	uint16_t *drawn_as; /* [port]: the first of those that are alike, or itself */
	uint32_t *alike;   /* [port]: how many are drawn as this one, 0: it is drawn as another */
	struct box *boxes;
	uint32_t n_boxes;
	struct arrow *arrows;
	uint32_t n_arrows, cap;
	const char *package; /* that all subjects have, with its dot; the texts leave it out */
	size_t package_len;
	int has_condition, has_call, has_bold, has_way[WAY_COUNT];
};

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

/* --- boxes --------------------------------------------------------------------------------------------------------------- */

static const char *label_value(const struct drawing *g, uint32_t port, const char *key)
{
	const struct sch_party *party = pol_self(g->d->set, (uint16_t)port)->party;

	for (uint32_t i = 0; i < party->n_labels; i++)
		if (strcmp(party->labels[i].key, key) == 0)
			return party->labels[i].value;
	return NULL;
}

/* The key that tells most of them apart: it has more than one value, and the most unikernels; NULL: none does. */
static const char *key_choose(const struct drawing *g)
{
	const char *best = NULL;
	uint32_t best_n = 1;

	for (uint32_t p = 1; p <= g->n_ports; p++) {
		const struct sch_party *party = pol_self(g->d->set, (uint16_t)p)->party;

		for (uint32_t i = 0; i < party->n_labels; i++) {
			const char *key = party->labels[i].key;
			uint32_t n = 0, differs = 0;

			if (best && strcmp(best, key) == 0)
				continue;
			for (uint32_t q = 1; q <= g->n_ports; q++) {
				const char *value = label_value(g, q, key);

				n += value != NULL;
				differs |= value && strcmp(value, party->labels[i].value) != 0;
			}
			if (differs && n > best_n) {
				best = key;
				best_n = n;
			}
		}
		if (p == 64) /* enough to choose by */
			break;
	}
	return best;
}

static int box_join(struct drawing *g, uint32_t port, const char *lead, const char *name)
{
	char *text;
	uint32_t b = 0;

	if (asprintf(&text, "%s%s", lead, name) < 0)
		return -ENOMEM;
	while (b < g->n_boxes && strcmp(g->boxes[b].name, text) != 0)
		b++;
	if (b == g->n_boxes && b < CLI_DOT_BOXES_MAX) {
		g->boxes[g->n_boxes++] = (struct box){ .name = text };
		text = NULL;
	}
	free(text);
	if (b == CLI_DOT_BOXES_MAX)
		return 0;
	g->box_of[port] = b;
	g->boxes[b].n++;
	return 0;
}

static int boxes_by_label(struct drawing *g, const char *key)
{
	char lead[POL_NAME_MAX + 3];
	int rc = 0;

	snprintf(lead, sizeof lead, "%s: ", key);
	for (uint32_t p = 1; p <= g->n_ports && !rc; p++) {
		const char *value = label_value(g, p, key);

		if (value)
			rc = box_join(g, p, lead, value);
	}
	return rc ? rc : g->n_boxes ? 0 : -ENOENT;
}

/* Each unikernel stands in the first group that has it. */
static int boxes_by_group(struct drawing *g)
{
	int rc = 0;

	for (uint32_t i = 0; i < pol_group_count(g->d->set); i++) {
		const struct pol_group *group = pol_group_get(g->d->set, i);

		for (uint32_t k = 0; k < group->n && !rc; k++)
			if (g->box_of[group->ports[k]] == UINT32_MAX)
				rc = box_join(g, group->ports[k], "", group->name);
	}
	return rc;
}

static int boxes_make(struct drawing *g)
{
	const char *box = g->d->box, *key;

	if (box && strcmp(box, "none") == 0)
		return 0;
	if (box && strcmp(box, "group") == 0)
		return boxes_by_group(g);
	if (box)
		return boxes_by_label(g, box);
	if (pol_group_count(g->d->set))
		return boxes_by_group(g);
	key = key_choose(g);
	return key ? boxes_by_label(g, key) : 0;
}

static void boxes_tie(struct drawing *g)
{
	uint32_t *seen = calloc(g->n_boxes + 1, sizeof *seen);

	for (uint32_t p = 1; p <= g->n_ports && seen; p++) {
		uint32_t b = g->box_of[p];

		if (b != UINT32_MAX && seen[b]++ <= (g->boxes[b].n - 1) / 2)
			g->boxes[b].middle = g->drawn_as[p];
	}
	free(seen);
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
			if (run[len].hop.from != run[0].hop.from || run[len].hop.to != run[0].hop.to)
				break;
		}
		for (int way = 0; way < WAY_COUNT && !rc; way++)
			if (way != WAY_DENIED || g->d->denied)
				rc = arrow_add(g, run, len, (enum way)way);
	}
	free(run);
	return rc;
}

/* --- those that are alike ---------------------------------------------------------------------------------------------- */

/* One arrow as one of its ends sees it. */
struct sight {
	uint32_t port, other;
	uint8_t out;
	const struct arrow *a;
};

static int sight_same(const struct sight *x, const struct sight *y)
{
	if (x->out != y->out)
		return x->out < y->out ? -1 : 1;
	if (x->other != y->other)
		return x->other < y->other ? -1 : 1;
	if (x->a->way != y->a->way)
		return (int)x->a->way - (int)y->a->way;
	return strcmp(x->a->label, y->a->label);
}

static int sight_order(const void *p, const void *q)
{
	const struct sight *x = p, *y = q;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return sight_same(x, y);
}

struct sights {
	const struct drawing *g;
	struct sight *at;
	uint32_t *first; /* [port], [n_ports + 1] is the end */
};

static int likeness(const struct sights *s, uint32_t p, uint32_t q)
{
	const struct drawing *g = s->g;
	uint32_t n = s->first[p + 1] - s->first[p], m = s->first[q + 1] - s->first[q];
	int x = pol_self(g->d->set, (uint16_t)p)->observe, y = pol_self(g->d->set, (uint16_t)q)->observe;

	if (g->box_of[p] != g->box_of[q])
		return g->box_of[p] < g->box_of[q] ? -1 : 1;
	if (x != y)
		return x - y;
	if (n != m)
		return n < m ? -1 : 1;
	for (uint32_t i = 0; i < n; i++) {
		int order = sight_same(&s->at[s->first[p] + i], &s->at[s->first[q] + i]);

		if (order)
			return order;
	}
	return 0;
}

static int port_order(const void *p, const void *q, void *arg)
{
	uint16_t a = *(const uint16_t *)p, b = *(const uint16_t *)q;
	int order = likeness(arg, a, b);

	return order ? order : (a > b) - (a < b);
}

/* Those that may tell and hear the same, from and to the same others, are drawn as one. */
static int alike_find(struct drawing *g)
{
	struct sights s = {.g = g,
			   .at = calloc(2 * (size_t)g->n_arrows + 1, sizeof *s.at),
			   .first = calloc(g->n_ports + 2, sizeof *s.first)};
	uint16_t *ports = calloc(g->n_ports + 1, sizeof *ports);
	uint32_t n = 0;
	int rc = s.at && s.first && ports ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < g->n_arrows && !rc; i++) {
		const struct arrow *a = &g->arrows[i];

		s.at[n++] = (struct sight){ .port = a->from, .other = a->to, .out = 1, .a = a };
		s.at[n++] = (struct sight){ .port = a->to, .other = a->from, .out = 0, .a = a };
		s.first[a->from + 1]++;
		s.first[a->to + 1]++;
	}
	if (!rc) {
		qsort(s.at, n, sizeof *s.at, sight_order);
		for (uint32_t p = 1; p <= g->n_ports + 1; p++)
			s.first[p] += s.first[p - 1];
		for (uint32_t p = 1; p <= g->n_ports; p++)
			ports[p - 1] = (uint16_t)p;
		qsort_r(ports, g->n_ports, sizeof *ports, port_order, &s);
		for (uint32_t i = 1; i < g->n_ports; i++) {
			uint16_t first = g->drawn_as[ports[i - 1]];

			if (likeness(&s, first, ports[i]) != 0)
				continue;
			g->drawn_as[ports[i]] = first;
			g->alike[first]++;
			g->alike[ports[i]] = 0;
		}
	}
	for (uint32_t i = 0; i < g->n_arrows && !rc; i++)
		if (!g->alike[g->arrows[i].from] || !g->alike[g->arrows[i].to])
			g->arrows[i].gone = 1;
	free(s.at);
	free(s.first);
	free(ports);
	return rc;
}

/* --- one arrow for a box ------------------------------------------------------------------------------------------------- */

static uint32_t end_of(const struct arrow *a, int which)
{
	return which ? a->to : a->from;
}

static uint32_t end_box(const struct drawing *g, uint32_t end)
{
	return end >= BOX_END ? UINT32_MAX : g->box_of[end];
}

struct order {
	const struct drawing *g;
	int which; /* the end that is joined */
};

/* Arrows that could be joined stand together: same other end, way, label, and box of this end. */
static int join_order(const void *p, const void *q, void *arg)
{
	const struct arrow *a = p, *b = q;
	const struct order *o = arg;
	uint32_t x = end_of(a, !o->which), y = end_of(b, !o->which);

	if (a->gone != b->gone)
		return a->gone - b->gone;
	if (x != y)
		return x < y ? -1 : 1;
	if (a->way != b->way)
		return (int)a->way - (int)b->way;
	x = end_box(o->g, end_of(a, o->which));
	y = end_box(o->g, end_of(b, o->which));
	if (x != y)
		return x < y ? -1 : 1;
	int order = strcmp(a->label, b->label);

	if (order)
		return order;
	x = end_of(a, o->which);
	y = end_of(b, o->which);
	return (x > y) - (x < y);
}

static int joinable(const struct arrow *a, const struct arrow *b, const struct order *o)
{
	return !a->gone && !b->gone && end_of(a, !o->which) == end_of(b, !o->which) && a->way == b->way &&
	       end_box(o->g, end_of(a, o->which)) == end_box(o->g, end_of(b, o->which)) && strcmp(a->label, b->label) == 0;
}

/* Is that end outside of the box? An arrow of a box to one of its own would be hard to read. */
static int is_outside(const struct drawing *g, uint32_t end, uint32_t box)
{
	return end >= BOX_END ? end - BOX_END != box : g->box_of[end] != box;
}

static void arrows_join(struct drawing *g, int which)
{
	struct order o = { g, which };

	qsort_r(g->arrows, g->n_arrows, sizeof *g->arrows, join_order, &o);
	for (uint32_t i = 0, end; i < g->n_arrows; i = end) {
		struct arrow *a = &g->arrows[i];
		uint32_t box = end_box(g, end_of(a, which)), n = 0;

		for (end = i; end == i || (end < g->n_arrows && joinable(a, &g->arrows[end], &o)); end++)
			n += box == UINT32_MAX ? 0 : g->alike[end_of(&g->arrows[end], which)];
		/* all of the box, and not drawn as one already */
		if (box == UINT32_MAX || end - i < 2 || n != g->boxes[box].n || !is_outside(g, end_of(a, !which), box))
			continue;
		*(which ? &a->to : &a->from) = BOX_END + box;
		g->has_bold = 1;
		for (uint32_t k = i + 1; k < end; k++)
			g->arrows[k].gone = 1;
	}
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
	rc = rc ? rc : boxes_make(&g);
	rc = rc ? rc : arrows_make(&g);
	if (!rc && g.n_ports >= ALIKE_FROM && !d->all)
		rc = alike_find(&g);
	if (!rc) {
		boxes_tie(&g);
		arrows_join(&g, 0);
		arrows_join(&g, 1);
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
