/* SPDX-License-Identifier: BSD-2-Clause */
/* From observations to drafts. Only names and subjects that the language could have written are taken, so nothing of a log can
 * become YAML of another meaning.
 *
 * Limits: max_size is the largest seen, rounded up. Let S and M be the busiest second and minute by the clock. A bucket that
 * holds 2S and fills with 2S a second lets all of it pass again, because t seconds touch at most t + 1 seconds of the clock;
 * likewise 2M and minutes, which is tighter for what is rare. */
#include "learn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "err.h"
#include "file.h"
#include "fmt.h"
#include "index.h"
#include "units.h"

#define SUBJECT_MAX	 512u
#define UNIKERNEL_MAX	 32u /* bytes of a name */
#define MINUTE_RATE_MAX	 60u /* up to so many in the busiest minute, the rate is by the minute */
#define RATE_HEADROOM	 2u

struct busiest {
	int64_t now; /* the second or minute that is being counted */
	uint64_t n, most;
};
struct tally {
	uint64_t count, merged; /* merged: of records that stand for several */
	uint32_t largest;
	int64_t first, last;
	struct busiest second, minute;
};
struct content {
	char *field, *name;
	uint64_t count;
};
struct talk {
	uint32_t from, to; /* unikernels, in the order in which they were seen */
	char *subject;
	int is_method;
	struct tally of[POL_LEARN_OTHER]; /* by enum pol_learned */
	struct content *c;  /* POL_LEARN_CONTENTS_MAX, once there is one; ordered by field and name */
	uint32_t n_c;
	uint32_t next[2];   /* talk of the same sender, of the same receiver; UINT32_MAX: none */
};
struct unikernel {
	char *name;
	uint64_t other; /* messages of its that were refused for another reason */
	uint64_t vague; /* and those of which the log does not say to whom or what */
	uint32_t first[2]; /* talk that it sends, that it receives */
};
struct pol_learn {
	struct unikernel *u;
	uint32_t n_u, cap_u;
	struct talk *t;
	uint32_t n_t, cap_t;
	struct pol_index names, talks;
	uint32_t *sorted; /* unikernels by name; NULL: not sorted since one was added */
	uint64_t rules, suggestions;
};

int pol_learn_make(struct pol_learn **l)
{
	*l = calloc(1, sizeof **l);
	return *l != NULL ? 0 : -ENOMEM;
}

void pol_learn_free(struct pol_learn *l)
{
	if (l == NULL)
		return;
	for (uint32_t i = 0; i < l->n_u; i++)
		free(l->u[i].name);
	for (uint32_t i = 0; i < l->n_t; i++) {
		free(l->t[i].subject);
		for (uint32_t k = 0; k < l->t[i].n_c; k++) {
			free(l->t[i].c[k].field);
			free(l->t[i].c[k].name);
		}
		free(l->t[i].c);
	}
	pol_index_free(&l->names);
	pol_index_free(&l->talks);
	free(l->u);
	free(l->t);
	free(l->sorted);
	free(l);
}

/* --- taking ------------------------------------------------------------------------------------------------------------- */

static int unikernel_ok(const char *name)
{
	return pol_name_ok(name, 0) && strlen(name) <= UNIKERNEL_MAX && strcmp(name, POL_COMMON) != 0 && strcmp(name, "any") != 0;
}

/* A full name; of a method with a / before its last part. */
static int subject_ok(const char *text, int is_method)
{
	int begins = 1, slashes = 0;
	size_t i = 0;
	for (; text[i] != '\0' && i <= SUBJECT_MAX; i++) {
		char c = text[i];
		int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		if ((c == '.' && slashes == 0) || c == '/') {
			if (begins)
				return 0;
			slashes += c == '/';
			begins = 1;
		} else if (letter || (c >= '0' && c <= '9' && !begins)) {
			begins = 0;
		} else {
			return 0;
		}
	}
	return i <= SUBJECT_MAX && !begins && slashes == (is_method != 0);
}

static void add_saturating(uint64_t *to, uint64_t n)
{
	if (__builtin_add_overflow(*to, n, to))
		*to = UINT64_MAX;
}

static int unikernel_find(struct pol_learn *l, const char *name, uint32_t *at)
{
	uint64_t hash = pol_hash_text(name);
	uint32_t cursor = 0;
	while ((*at = pol_index_next(&l->names, hash, &cursor)) != POL_INDEX_NONE)
		if (strcmp(l->u[*at].name, name) == 0)
			return 0;
	if (l->n_u == POL_LEARN_MAX)
		return -E2BIG;
	struct unikernel *more = pol_array_room(l->u, l->n_u, &l->cap_u, sizeof *l->u);
	if (more == NULL)
		return -ENOMEM;
	l->u = more;
	l->u[l->n_u] = (struct unikernel){.name = strdup(name), .first = {UINT32_MAX, UINT32_MAX}};
	if (l->u[l->n_u].name == NULL || pol_index_add(&l->names, hash, l->n_u) < 0) {
		free(l->u[l->n_u].name);
		return -ENOMEM;
	}
	*at = l->n_u++;
	free(l->sorted);
	l->sorted = NULL;
	return 0;
}

static int talk_find(struct pol_learn *l, uint32_t from, uint32_t to, const char *subject, int is_method, struct talk **out)
{
	uint64_t hash = pol_hash_mix(pol_hash_text(subject) ^ ((uint64_t)from << 32 | to));
	uint32_t cursor = 0, i;
	while ((i = pol_index_next(&l->talks, hash, &cursor)) != POL_INDEX_NONE) {
		*out = &l->t[i];
		if (l->t[i].from == from && l->t[i].to == to && strcmp(l->t[i].subject, subject) == 0)
			return 0;
	}
	if (l->n_t == POL_LEARN_MAX)
		return -E2BIG;
	struct talk *more = pol_array_room(l->t, l->n_t, &l->cap_t, sizeof *l->t);
	if (more == NULL)
		return -ENOMEM;
	l->t = more;
	*out = &l->t[l->n_t];
	**out = (struct talk){.from = from, .to = to, .is_method = is_method, .subject = strdup(subject)};
	if ((*out)->subject == NULL || pol_index_add(&l->talks, hash, l->n_t) < 0) {
		free((*out)->subject);
		return -ENOMEM;
	}
	(*out)->next[POL_SEND] = l->u[from].first[POL_SEND];
	(*out)->next[POL_RECEIVE] = l->u[to].first[POL_RECEIVE];
	l->u[from].first[POL_SEND] = l->u[to].first[POL_RECEIVE] = l->n_t++;
	return 0;
}

static void busiest_add(struct busiest *b, int64_t now, uint64_t n)
{
	if (b->now != now)
		*b = (struct busiest){.now = now, .most = b->most};
	add_saturating(&b->n, n);
	if (b->n > b->most)
		b->most = b->n;
}

static void tally_add(struct tally *t, const struct pol_seen *s)
{
	if (t->count == 0 || s->unix_s < t->first)
		t->first = s->unix_s;
	if (t->count == 0 || s->unix_s > t->last)
		t->last = s->unix_s;
	if (s->len > t->largest)
		t->largest = s->len;
	add_saturating(&t->count, s->count);
	if (s->count > 1)
		add_saturating(&t->merged, s->count);
	busiest_add(&t->second, s->unix_s, s->count);
	busiest_add(&t->minute, s->unix_s / 60, s->count);
}

/* A text that can stand in a list as it is, and in a comment. */
static int word_ok(const char *text)
{
	static const char in[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-.()";
	size_t len = text != NULL ? strlen(text) : 0;
	return len > 0 && len <= POL_CONTENT_NAME_MAX && strspn(text, in) == len && strspn(text, "-.()") == 0;
}

static int content_add(struct talk *t, const struct pol_seen *s)
{
	uint32_t i = 0;
	int d = 1;
	for (; i < t->n_c; i++) {
		d = strcmp(t->c[i].field, s->field);
		d = d != 0 ? d : strcasecmp(t->c[i].name, s->content);
		if (d >= 0)
			break;
	}
	if (i < t->n_c && d == 0) {
		add_saturating(&t->c[i].count, s->count);
		return 0;
	}
	if (t->n_c == POL_LEARN_CONTENTS_MAX)
		return 0; /* counted with the others; who sends so much else is no sender to learn from */
	if (t->c == NULL)
		t->c = calloc(POL_LEARN_CONTENTS_MAX, sizeof *t->c);
	struct content c = {strdup(s->field), strdup(s->content), s->count};
	if (t->c == NULL || c.field == NULL || c.name == NULL) {
		free(c.field);
		free(c.name);
		return -ENOMEM;
	}
	memmove(&t->c[i + 1], &t->c[i], (t->n_c - i) * sizeof *t->c);
	t->c[i] = c;
	t->n_c++;
	return 0;
}

int pol_learn_add(struct pol_learn *l, const struct pol_seen *s)
{
	uint32_t from, to;
	struct talk *t;
	if (!unikernel_ok(s->from) || (s->to != NULL && !unikernel_ok(s->to)) || s->count < 1 || s->unix_s < 0 ||
	    s->unix_s > POL_LEARN_TIME_MAX || (s->subject != NULL && !subject_ok(s->subject, s->is_method)) ||
	    (s->to != NULL && strcmp(s->from, s->to) == 0) ||
	    (s->what == POL_LEARN_CONTENT && (!word_ok(s->content) || !word_ok(s->field))))
		return -EINVAL;
	int rc = unikernel_find(l, s->from, &from);
	if (rc == 0 && s->to != NULL)
		rc = unikernel_find(l, s->to, &to);
	if (rc < 0)
		return rc;
	if (s->what == POL_LEARN_OTHER) {
		add_saturating(&l->u[from].other, s->count);
		return 0;
	}
	if (s->to == NULL || s->subject == NULL) {
		add_saturating(&l->u[from].vague, s->count);
		return 0;
	}
	rc = talk_find(l, from, to, s->subject, s->is_method, &t);
	if (rc == 0 && s->what == POL_LEARN_CONTENT)
		rc = content_add(t, s);
	if (rc == 0)
		tally_add(&t->of[s->what], s);
	return rc;
}

/* --- drafting ----------------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b, void *arg)
{
	const struct pol_learn *l = arg;
	return strcmp(l->u[*(const uint32_t *)a].name, l->u[*(const uint32_t *)b].name);
}

uint32_t pol_learn_count(const struct pol_learn *l)
{
	return l->n_u;
}

/* Sorts when asked for the first time. -ENOMEM, or 0. */
static int sort(struct pol_learn *l)
{
	if (l->sorted != NULL || l->n_u == 0)
		return 0;
	l->sorted = malloc(l->n_u * sizeof *l->sorted);
	if (l->sorted == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n_u; i++)
		l->sorted[i] = i;
	qsort_r(l->sorted, l->n_u, sizeof *l->sorted, by_name, l);
	return 0;
}

const char *pol_learn_name(struct pol_learn *l, uint32_t i)
{
	return sort(l) == 0 && i < l->n_u ? l->u[l->sorted[i]].name : NULL;
}

static const char *time_text(char out[32], int64_t s)
{
	time_t t = (time_t)s;
	struct tm tm;
	if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, 32, "%" PRId64, s);
	return out;
}

/* The next whole 64 bytes, above 1 KiB the next whole KiB. */
static uint64_t size_up(uint32_t largest)
{
	uint64_t step = largest <= 1024 ? 64 : 1024, n = largest > 0 ? largest : 1;
	uint64_t up = (n + step - 1) / step * step;
	return up < POL_PAYLOAD_MAX ? up : POL_PAYLOAD_MAX;
}

static uint64_t at_most(uint64_t n, uint64_t most)
{
	return n < most ? n : most;
}

/* A text that grows. */
struct text {
	char *at;
	size_t len, cap;
	int nomem; /* a piece is missing */
};

static __attribute__((format(printf, 2, 3))) void put(struct text *t, const char *fmt, ...)
{
	char piece[SUBJECT_MAX + 256];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(piece, sizeof piece, fmt, ap);
	va_end(ap);
	size_t len = n > 0 ? (size_t)n : 0;
	if (len >= sizeof piece) {
		t->nomem = 1;
		return;
	}
	if (t->cap - t->len < len) {
		size_t cap = 2 * t->cap + sizeof piece;
		char *more = realloc(t->at, cap);
		if (more == NULL) {
			t->nomem = 1;
			return;
		}
		t->at = more;
		t->cap = cap;
	}
	memcpy(t->at + t->len, piece, len);
	t->len += len;
}

static void put_evidence(struct text *f, const struct tally *t, const char *what)
{
	char first[32], last[32];
	put(f, "  # %" PRIu64 " %s between %s and %s; largest %" PRIu32 " bytes,\n  # busiest second %" PRIu64
		   ", busiest minute %" PRIu64 "\n",
		t->count, what, time_text(first, t->first), time_text(last, t->last), t->largest, t->second.most,
		t->minute.most);
	if (t->merged > 0)
		put(f, "  # %" PRIu64 " of them in merged records: one time and one size for several\n", t->merged);
}

/* One rule; with mark "# " as a suggestion. */
static void put_rule(struct text *f, const struct pol_learn *l, const struct talk *t, const struct tally *y, enum pol_side side,
		     const char *mark)
{
	char size[24];
	put(f, "  %s- %s: %s\n", mark, side == POL_SEND ? "to" : "from", l->u[side == POL_SEND ? t->to : t->from].name);
	put(f, "  %s  %s: %s\n", mark, t->is_method ? "method" : "message", t->subject);
	put(f, "  %s  max_size: %s\n", mark, pol_size_text(size, size_up(y->largest)));
	if (y->minute.most <= MINUTE_RATE_MAX) {
		put(f, "  %s  rate: %" PRIu64 "/m  # twice the busiest minute\n", mark, RATE_HEADROOM * y->minute.most);
		put(f, "  %s  burst: %" PRIu64 "\n", mark, RATE_HEADROOM * y->minute.most);
	} else {
		uint64_t second = at_most(y->second.most, POL_RATE_MAX / RATE_HEADROOM);
		put(f, "  %s  rate: %" PRIu64 "/s  # twice the busiest second\n", mark, RATE_HEADROOM * second);
	}
}

/* What was refused for its content, and the line that lists it. Drafted rules have no `carries`: `unknown` is what they let pass
 * already. */
static void put_content(struct text *f, const struct talk *t)
{
	if (t->n_c == 0)
		return;
	put(f, "  # %" PRIu64 " were refused, or passed in a dry run only, for content:", t->of[POL_LEARN_CONTENT].count);
	for (uint32_t i = 0; i < t->n_c; i++)
		put(f, "%s %s in %s (%" PRIu64 ")", i > 0 ? "," : "", t->c[i].name, t->c[i].field, t->c[i].count);
	put(f, "\n  # If that is right, this line is the rule's, too, at both ends:\n  #   carries: {");
	for (uint32_t i = 0; i < t->n_c; i++) {
		int is_first = i == 0 || strcmp(t->c[i - 1].field, t->c[i].field) != 0;
		int is_last = i + 1 == t->n_c || strcmp(t->c[i + 1].field, t->c[i].field) != 0;
		if (is_first)
			put(f, "%s%s: [unknown", i > 0 ? ", " : "", t->c[i].field);
		if (strcasecmp(t->c[i].name, "unknown") != 0)
			put(f, ", %s", t->c[i].name);
		if (is_last)
			put(f, "]");
	}
	put(f, "}\n");
	for (uint32_t i = 0; i < t->n_c; i++)
		if (strcasecmp(t->c[i].name, "unknown") == 0) {
			put(f, "  # What is unknown passes a rule without `carries`; where it should not, list kinds "
			       "(text, json ...)\n");
			break;
		}
}

static int talk_order(const void *a, const void *b, void *arg)
{
	const struct talk *x = *(const struct talk *const *)a, *y = *(const struct talk *const *)b;
	const struct pol_learn *l = arg;
	int d = strcmp(l->u[x->from].name, l->u[y->from].name);
	if (d == 0)
		d = strcmp(l->u[x->to].name, l->u[y->to].name);
	return d != 0 ? d : strcmp(x->subject, y->subject);
}

static void put_suggestion(struct text *f, struct pol_learn *l, const struct talk *t, enum pol_side side)
{
	static const char *const what[POL_LEARN_OTHER] = {
		[POL_LEARN_OBSERVED] = "that no rule allows passed in a dry run,",
		[POL_LEARN_DENIED] = "were refused for lack of a rule,",
		[POL_LEARN_CONTENT] = "were refused for their content,",
	};
	/* Where more than one happened, the one of which more is known. */
	enum pol_learned k = t->of[POL_LEARN_OBSERVED].count > 0 ? POL_LEARN_OBSERVED
			     : t->of[POL_LEARN_DENIED].count > 0 ? POL_LEARN_DENIED
								 : POL_LEARN_CONTENT;
	put_evidence(f, &t->of[k], what[k]);
	put(f, "  # If that is right, these lines are the rule:\n");
	put_rule(f, l, t, &t->of[k], side, "# ");
	l->suggestions++;
	put_content(f, t);
}

/* What of a talk becomes a rule. NULL: nothing does. */
static const struct tally *ruled(const struct talk *t, const struct pol_learn_ask *ask)
{
	if (t->of[POL_LEARN_PASSED].count > 0)
		return &t->of[POL_LEARN_PASSED];
	return ask->observed_too && t->of[POL_LEARN_OBSERVED].count > 0 ? &t->of[POL_LEARN_OBSERVED] : NULL;
}

/* Those that u sends or receives, in order. NULL: no memory. */
static struct talk **talks_of(struct pol_learn *l, uint32_t u, enum pol_side side, uint32_t *n)
{
	*n = 0;
	for (uint32_t i = l->u[u].first[side]; i != UINT32_MAX; i = l->t[i].next[side])
		++*n;
	struct talk **talks = malloc((*n + 1) * sizeof(struct talk *));
	*n = 0;
	for (uint32_t i = l->u[u].first[side]; talks != NULL && i != UINT32_MAX; i = l->t[i].next[side])
		talks[(*n)++] = &l->t[i];
	if (talks != NULL)
		qsort_r(talks, *n, sizeof(struct talk *), talk_order, l);
	return talks;
}

static int put_side(struct text *f, struct pol_learn *l, uint32_t u, enum pol_side side, const struct pol_learn_ask *ask)
{
	int any = 0;
	uint32_t n;
	struct talk **talks = talks_of(l, u, side, &n);
	if (talks == NULL)
		return -ENOMEM;
	for (int suggest = 0; suggest < 2; suggest++)
		for (uint32_t i = 0; i < n; i++) {
			const struct talk *t = talks[i];
			const struct tally *y = ruled(t, ask);
			if ((y == NULL) != suggest)
				continue;
			put(f, "%s", any ? "\n" : side == POL_SEND ? "\nsend:\n" : "\nreceive:\n");
			any = 1;
			if (suggest) {
				put_suggestion(f, l, t, side);
				continue;
			}
			put_evidence(f, y, y == &t->of[POL_LEARN_PASSED] ? "passed" : "passed in a dry run");
			if (t->of[POL_LEARN_DENIED].count > 0)
				put(f, "  # besides, %" PRIu64 " were refused for lack of a rule\n",
					t->of[POL_LEARN_DENIED].count);
			put_content(f, t);
			l->suggestions += t->n_c > 0;
			put_rule(f, l, t, y, side, "");
			l->rules++;
		}
	free(talks);
	return 0;
}

static void put_head(struct text *f, const struct unikernel *u)
{
	put(f, "# A draft of weft policy learn: what was observed, and nothing else. Read it, and remove what should not be.\n");
	if (u->other > 0)
		put(f, "# %" PRIu64 " more of its messages were refused for another reason than lack of a rule; they are not "
		       "here.\n",
			u->other);
	if (u->vague > 0)
		put(f, "# %" PRIu64 " more were merged in the log without receiver or subject; nothing can be drafted of "
		       "them.\n",
			u->vague);
	put(f, "\nunikernel: %s\n", u->name);
}

int pol_learn_draft(struct pol_learn *l, uint32_t i, const struct pol_learn_ask *ask, char **out, size_t *len,
		    struct pol_err *err)
{
	struct text t = {NULL, 0, 0, 0}, *f = &t;
	*out = NULL;
	if (sort(l) < 0 || i >= l->n_u)
		return pol_err_memory(err, "");
	uint32_t u = l->sorted[i];
	put_head(f, &l->u[u]);
	int rc = put_side(f, l, u, POL_SEND, ask);
	if (rc == 0)
		rc = put_side(f, l, u, POL_RECEIVE, ask);
	if (t.nomem || rc < 0)
		rc = pol_err_memory(err, l->u[u].name);
	else
		rc = pol_fmt(out, len, l->u[u].name, t.at, t.len, &pol_language_policy, err);
	free(t.at);
	return rc;
}

void pol_learn_totals(const struct pol_learn *l, uint64_t *rules, uint64_t *suggestions)
{
	*rules = l->rules;
	*suggestions = l->suggestions;
}
