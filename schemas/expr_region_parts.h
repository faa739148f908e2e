/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of regions. A region is a union of boxes. A box is a conjunction of cuts, one for each of some axes; an axis is a
 * question that has exactly one answer for each message ("what does this.amount read as", "is this.note set", "does this.name
 * start with X", "what comes of <an expression that is not looked into>"), a cut the set of answers that are taken. Every cut
 * has a complement that is a cut, so boxes can be subtracted from each other. What holds between the answers of different axes
 * is box_settle()'s. For schemas/expr_region*.c only. */
#ifndef SCH_EXPR_REGION_PARTS_H
#define SCH_EXPR_REGION_PARTS_H

#include "expr_region.h"
#include "expr_tree.h"

#define REG_WORK_MAX (1u << 17)  /* pairs of boxes that one operation looks at; beyond it the result is vague */
#define REG_BYTES_MAX (64u << 20) /* memory that one operation may take, likewise */
#define REG_MERGE_MAX 512u       /* boxes among which those are looked for that make one */

/* --- memory: freed all at once ------------------------------------------------------------------------------------------ */

enum { REG_FAILED_MEMORY = 1, REG_FAILED_BOUND };
struct reg_mem {
	struct reg_chunk *first;
	size_t used, bytes; /* of the first chunk; of all */
	uint8_t failed;     /* an allocation did: what was made is not to be used. REG_FAILED_*: why */
};
void *reg_alloc(struct reg_mem *m, size_t n, size_t size); /* zeroed, or NULL */
void reg_mem_free(struct reg_mem *m);

/* --- cuts --------------------------------------------------------------------------------------------------------------- */

/* Numbers of all kinds in one order: integers as they are, double and float by their keys, times in ns, presence and atoms 0
 * and 1. */
typedef __int128 reg_num;

struct reg_span {
	reg_num lo, hi; /* both within */
};
struct reg_spans {
	uint32_t n;
	const struct reg_span *s; /* ascending, apart by more than one */
};
struct reg_text {
	uint32_t len;
	const char *at; /* not terminated; any bytes */
};
struct reg_cut {
	uint8_t neg;  /* texts: all but those listed */
	uint32_t n;   /* of texts */
	const struct reg_text *text; /* sorted by reg_text_order */
	struct reg_spans spans;
};

int reg_text_order(const struct reg_text *a, const struct reg_text *b); /* by length, then bytes */
int reg_spans_has(const struct reg_spans *s, reg_num x);
struct reg_spans reg_spans_one(struct reg_mem *m, reg_num lo, reg_num hi); /* lo > hi: none */
struct reg_spans reg_spans_and(struct reg_mem *m, const struct reg_spans *a, const struct reg_spans *b);
struct reg_spans reg_spans_or(struct reg_mem *m, const struct reg_spans *a, const struct reg_spans *b);
struct reg_spans reg_spans_less(struct reg_mem *m, const struct reg_spans *a, const struct reg_spans *b); /* a without b */

/* --- axes --------------------------------------------------------------------------------------------------------------- */

enum reg_about {
	REG_HAS,      /* 0, 1: a field with presence is set */
	REG_VALUE,    /* what a number, bool, enum, timestamp or duration reads as */
	REG_TEXT,     /* what a string or bytes reads as */
	REG_PREFIX, REG_SUFFIX, REG_CONTAINS, /* 0, 1: of a string or bytes and the text `arg`, which is not empty */
	REG_SIZE,     /* elements of a list or map; code points of a string, bytes of bytes */
	REG_OPAQUE    /* REG_FALSE ...: what comes of the expression `arg` */
};
enum { REG_FALSE, REG_TRUE, REG_ERROR };

enum reg_kind {
	REG_INT, REG_UINT, REG_BOOL, REG_ENUM, REG_DOUBLE, REG_FLOAT, REG_TIME, REG_DURATION, /* REG_VALUE */
	REG_STRING, REG_BYTES, /* texts */
	REG_LIST,              /* lists and maps: REG_SIZE */
	REG_MESSAGE,           /* REG_HAS only */
	REG_OTHER
};
/* A time that no such message may hold; what is asked of it is neither true nor false. */
#define REG_INVALID ((reg_num)INT64_MAX * 2000000000)

enum { REG_DOUBT_SET = 1 /* where it is set */, REG_DOUBT_ALL = 2 /* whether or not it is */ };

struct reg_step {
	uint32_t field;   /* table index */
	uint32_t oneof;   /* its oneof's slot, or SCH_NONE */
	uint8_t presence; /* has() is not a question of its value */
};
struct reg_axis {
	uint8_t about;   /* enum reg_about */
	uint8_t kind;    /* enum reg_kind of the last step */
	uint8_t boxed;   /* the last step is a wrapper (google.protobuf.Int32Value ...) */
	uint8_t doubt;   /* REG_DOUBT_*: the schema has rules about it that are not judged here */
	uint8_t muted;   /* no rule of the schema applies where it stands */
	uint8_t must;    /* the schema wants it set (without presence: not zero) where its message is */
	uint32_t n;      /* steps; 0: opaque */
	const struct reg_step *step;
	const char *root;       /* the variable's name */
	struct reg_text arg;
	const struct sch_set *set;
	struct reg_spans all;   /* answers that there are; texts: unused */
	reg_num zero;           /* how a field that is not set answers; texts: zero_text */
	struct reg_text zero_text;
};
int reg_axis_order(const struct reg_axis *a, const struct reg_axis *b);
/* How many steps both begin with; of different roots none. */
uint32_t reg_axis_common(const struct reg_axis *a, const struct reg_axis *b);
static inline int reg_is_text(const struct reg_axis *a)
{
	return a->about == REG_TEXT;
}
/* Does the question about a text, which `text` answers, fall into the cut? For REG_TEXT to REG_SIZE of texts. */
int reg_text_fits(const struct reg_axis *a, const struct reg_cut *c, const struct reg_text *text);
uint32_t reg_text_size(const struct reg_axis *a, const struct reg_text *text);
/* May the field be absent, as far as this cut goes? */
int reg_admits_absent(const struct reg_axis *a, const struct reg_cut *c);

int reg_cut_empty(const struct reg_axis *a, const struct reg_cut *c);
int reg_cut_full(const struct reg_axis *a, const struct reg_cut *c);
struct reg_cut reg_cut_and(struct reg_mem *m, const struct reg_axis *a, const struct reg_cut *x, const struct reg_cut *y);
struct reg_cut reg_cut_or(struct reg_mem *m, const struct reg_axis *a, const struct reg_cut *x, const struct reg_cut *y);
struct reg_cut reg_cut_not(struct reg_mem *m, const struct reg_axis *a, const struct reg_cut *x);
int reg_cut_within(const struct reg_axis *a, const struct reg_cut *x, const struct reg_cut *y); /* x is part of y */
int reg_cut_same(const struct reg_axis *a, const struct reg_cut *x, const struct reg_cut *y);

/* --- boxes -------------------------------------------------------------------------------------------------------------- */

struct reg_part {
	const struct reg_axis *axis;
	struct reg_cut cut;
};
struct reg_box {
	uint32_t n;
	struct reg_part *part; /* by axis, each once */
};
struct reg_boxes {
	uint8_t vague;
	uint32_t n, room;
	struct reg_box *box;
	uint32_t work;
};
struct sch_region {
	struct reg_mem mem; /* holds all that boxes need, but the set */
	struct reg_boxes boxes;
};

/* Takes what one axis says of another one into account. 0: nothing is in the box; it may have fewer parts afterwards. */
int reg_box_settle(struct reg_mem *m, struct reg_box *b);

struct reg_boxes reg_none(void);
struct reg_boxes reg_all(struct reg_mem *m);
struct reg_boxes reg_one(struct reg_mem *m, const struct reg_axis *a, struct reg_cut cut);
struct reg_boxes reg_and(struct reg_mem *m, const struct reg_boxes *a, const struct reg_boxes *b);
struct reg_boxes reg_or(struct reg_mem *m, const struct reg_boxes *a, const struct reg_boxes *b);
struct reg_boxes reg_less(struct reg_mem *m, const struct reg_boxes *a, const struct reg_boxes *b);
struct reg_boxes reg_not(struct reg_mem *m, const struct reg_boxes *a);
/* A region of its own, NULL: no memory (also where m had failed). */
struct sch_region *reg_region_make(const struct reg_mem *m, const struct reg_boxes *b);

/* --- examples ----------------------------------------------------------------------------------------------------------- */

/* What one field of the example holds. */
struct reg_leaf {
	const struct reg_axis *axis; /* of the field: any that is about it */
	uint8_t about;               /* REG_HAS: set, with nothing in it; REG_VALUE, REG_TEXT; REG_SIZE: of a list */
	reg_num num;
	struct reg_text text;
};
/* A message in the box: leaves in the order of axes. Returns how many; -1 where none is known. */
int32_t reg_box_example(struct reg_mem *m, const struct reg_box *b, struct reg_leaf **leaves);
/* A text that fits all the n parts, which are about one field. 1, or 0 where none was found. */
int reg_text_find(struct reg_mem *m, const struct reg_part *const *part, uint32_t n, struct reg_text *found);

/* ns since 1970 as RFC 3339, or ns as "1.5s". Returns out. */
#define REG_TIME_TEXT 64
const char *reg_time_text(reg_num x, int is_time, char out[REG_TIME_TEXT]);
/* The value of a number that ordered comparison and people understand. */
double reg_double(const struct reg_axis *a, reg_num x); /* REG_DOUBLE, REG_FLOAT */

#endif
