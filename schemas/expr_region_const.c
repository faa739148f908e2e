/* SPDX-License-Identifier: BSD-2-Clause */
/* What of an expression is known without a message: literals, what is computed of them, and what is asked of a unikernel
 * that is given. And an expression as text, with what is known in place of what was written: two subtrees with the same text
 * have the same value in every message. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "expr_impl.h"
#include "expr_region_of.h"

static const struct reg_const unknown = { .kind = REG_C_NONE }, wrong = { .kind = REG_C_ERROR };

static struct reg_const num_const(enum reg_const_kind kind, reg_num num)
{
	return (struct reg_const){ .kind = kind, .num = num };
}

static struct reg_const text_const(enum reg_const_kind kind, const char *at, uint32_t len)
{
	return (struct reg_const){ .kind = kind, .text = { len, at } };
}

static const struct sch_party *party_of(struct reg_of *c, const struct sch_node *n)
{
	if (n->op != SCH_N_VAR || c->vars[n->index].what != SCH_EXPR_PARTY || !c->values)
		return NULL;
	return c->values[n->index].party;
}

static const char *label_of(const struct sch_party *p, const struct reg_text *key)
{
	for (uint32_t i = 0; i < p->n_labels; i++)
		if (strlen(p->labels[i].key) == key->len && !memcmp(p->labels[i].key, key->at, key->len))
			return p->labels[i].value;
	return NULL;
}

/* labels[key], key in labels, has(labels.key) */
static struct reg_const label_const(struct reg_of *c, const struct sch_node *n, const struct sch_node *map,
				    const struct sch_node *key)
{
	const struct sch_party *p = map->op == SCH_N_LABELS ? party_of(c, map->child[0]) : NULL;
	struct reg_const k = reg_const_of(c, key);
	const char *value;

	if (!p || (k.kind != REG_C_STRING && k.kind != REG_C_ERROR))
		return unknown;
	if (k.kind == REG_C_ERROR)
		return wrong;
	value = label_of(p, &k.text);
	if (n->op != SCH_N_INDEX)
		return num_const(REG_C_BOOL, value != NULL);
	return value ? text_const(REG_C_STRING, value, (uint32_t)strlen(value)) : wrong;
}

static struct reg_const in_range(enum reg_const_kind kind, reg_num x)
{
	reg_num lo = kind == REG_C_UINT ? 0 : INT64_MIN, hi = kind == REG_C_UINT ? (reg_num)UINT64_MAX : INT64_MAX;

	return x < lo || x > hi ? wrong : num_const(kind, x);
}

static struct reg_const add_const(struct reg_of *c, const struct reg_const *a, const struct reg_const *b)
{
	char *at;

	if (a->kind != b->kind || (a->kind != REG_C_STRING && a->kind != REG_C_BYTES))
		return unknown;
	at = reg_alloc(c->m, (size_t)a->text.len + b->text.len, 1);
	if (!at)
		return unknown;
	if (a->text.len)
		memcpy(at, a->text.at, a->text.len);
	if (b->text.len)
		memcpy(at + a->text.len, b->text.at, b->text.len);
	return text_const(a->kind, at, a->text.len + b->text.len);
}

static struct reg_const arithmetic(struct reg_of *c, const struct sch_node *n)
{
	struct reg_const a = reg_const_of(c, n->child[0]), b = reg_const_of(c, n->child[1]);

	if (a.kind == REG_C_NONE || b.kind == REG_C_NONE)
		return unknown;
	if (a.kind == REG_C_ERROR || b.kind == REG_C_ERROR)
		return wrong;
	if (a.kind == b.kind && a.kind == REG_C_DOUBLE) {
		struct reg_const d = a;

		d.d = n->op == SCH_N_ADD ? a.d + b.d : n->op == SCH_N_SUB ? a.d - b.d : n->op == SCH_N_MUL ? a.d * b.d : a.d / b.d;
		return n->op == SCH_N_MOD ? unknown : d;
	}
	if (a.kind != b.kind || (a.kind != REG_C_INT && a.kind != REG_C_UINT))
		return n->op == SCH_N_ADD ? add_const(c, &a, &b) : unknown;
	if ((n->op == SCH_N_DIV || n->op == SCH_N_MOD) && b.num == 0)
		return wrong;
	switch (n->op) {
	case SCH_N_ADD:
		return in_range(a.kind, a.num + b.num);
	case SCH_N_SUB:
		return in_range(a.kind, a.num - b.num);
	case SCH_N_MUL:
		return a.num > UINT32_MAX && b.num > UINT32_MAX ? wrong : in_range(a.kind, a.num * b.num);
	case SCH_N_DIV:
		return in_range(a.kind, a.num / b.num);
	default: /* what the most negative one leaves by -1 is best left to the evaluator */
		return b.num == -1 ? unknown : in_range(a.kind, a.num % b.num);
	}
}

static struct reg_const call_const(struct reg_of *c, const struct sch_node *n)
{
	struct reg_const a = n->n == 1 ? reg_const_of(c, n->child[0]) : unknown;
	int64_t s;
	int32_t ns;

	if (a.kind == REG_C_ERROR)
		return wrong;
	if (a.kind == REG_C_NONE)
		return unknown;
	switch (n->index) {
	case SCH_FN_TIME_STRING:
		return sch_time_parse(a.text.at, a.text.len, &s, &ns) ? wrong : num_const(REG_C_TIME, (reg_num)s * SCH_NS + ns);
	case SCH_FN_DURATION_STRING:
		return sch_duration_parse(a.text.at, a.text.len, &s) ? wrong : num_const(REG_C_DURATION, s);
	case SCH_FN_TIME_TIME:
	case SCH_FN_DURATION_DURATION:
	case SCH_FN_INT_INT:
	case SCH_FN_UINT_UINT:
	case SCH_FN_DOUBLE_DOUBLE:
	case SCH_FN_STRING_STRING:
	case SCH_FN_BYTES_BYTES:
	case SCH_FN_BOOL_BOOL:
		return a;
	case SCH_FN_INT_UINT:
		return in_range(REG_C_INT, a.num);
	case SCH_FN_UINT_INT:
		return in_range(REG_C_UINT, a.num);
	case SCH_FN_SIZE_BYTES:
		return num_const(REG_C_INT, a.text.len);
	default:
		return unknown;
	}
}

struct reg_const reg_const_of(struct reg_of *c, const struct sch_node *n)
{
	struct reg_const a;
	const struct sch_party *p;

	switch (n->op) {
	case SCH_N_BOOL:
		return num_const(REG_C_BOOL, n->i != 0);
	case SCH_N_INT:
		return num_const(REG_C_INT, n->i);
	case SCH_N_UINT:
		return num_const(REG_C_UINT, (reg_num)n->u);
	case SCH_N_DOUBLE:
		return (struct reg_const){ .kind = REG_C_DOUBLE, .d = n->d };
	case SCH_N_STRING:
		return text_const(REG_C_STRING, n->text, n->len);
	case SCH_N_BYTES:
		return text_const(REG_C_BYTES, n->text, n->len);
	case SCH_N_NULL:
		return num_const(REG_C_NULL, 0);
	case SCH_N_NAME:
		p = party_of(c, n->child[0]);
		return p ? text_const(REG_C_STRING, p->name, (uint32_t)strlen(p->name)) : unknown;
	case SCH_N_INDEX:
	case SCH_N_LABEL_HAS:
		return label_const(c, n, n->child[0], n->child[1]);
	case SCH_N_IN:
		return n->child[1]->op == SCH_N_LABELS ? label_const(c, n, n->child[1], n->child[0]) : unknown;
	case SCH_N_NEG:
		a = reg_const_of(c, n->child[0]);
		if (a.kind == REG_C_DOUBLE)
			a.d = -a.d;
		else if (a.kind == REG_C_INT)
			a = in_range(REG_C_INT, -a.num);
		else if (a.kind != REG_C_ERROR)
			return unknown;
		return a;
	case SCH_N_COND:
		a = reg_const_of(c, n->child[0]);
		if (a.kind != REG_C_BOOL)
			return a.kind == REG_C_ERROR ? wrong : unknown;
		return reg_const_of(c, n->child[a.num ? 1 : 2]);
	case SCH_N_ADD:
	case SCH_N_SUB:
	case SCH_N_MUL:
	case SCH_N_DIV:
	case SCH_N_MOD:
		return arithmetic(c, n);
	case SCH_N_CALL:
		return call_const(c, n);
	default:
		return unknown;
	}
}

static int is_number(const struct reg_const *a)
{
	return a->kind == REG_C_INT || a->kind == REG_C_UINT || a->kind == REG_C_DOUBLE;
}

int reg_const_comparable(const struct reg_const *a, const struct reg_const *b)
{
	if (is_number(a))
		return is_number(b);
	return a->kind == b->kind && (a->kind == REG_C_BOOL || a->kind == REG_C_TIME || a->kind == REG_C_DURATION);
}

/* An integer of at most 64 bits beside a double, without rounding. */
static int order_mixed(reg_num i, double d)
{
	reg_num whole;

	if (isnan(d))
		return 2;
	if (d >= 0x1p65)
		return -1;
	if (d <= -0x1p65)
		return 1;
	whole = (reg_num)d;
	if (i != whole)
		return i < whole ? -1 : 1;
	d -= (double)whole;
	return d > 0 ? -1 : d < 0;
}

int reg_const_order(const struct reg_const *a, const struct reg_const *b)
{
	if (a->kind == REG_C_DOUBLE && b->kind == REG_C_DOUBLE)
		return isnan(a->d) || isnan(b->d) ? 2 : (a->d > b->d) - (a->d < b->d);
	if (b->kind == REG_C_DOUBLE)
		return order_mixed(a->num, b->d);
	if (a->kind == REG_C_DOUBLE) {
		int order = order_mixed(b->num, a->d);

		return order == 2 ? 2 : -order;
	}
	return (a->num > b->num) - (a->num < b->num);
}

/* --- as text ---------------------------------------------------------------------------------------------------------- */

struct out {
	struct reg_mem *m;
	char *at;
	uint32_t len, cap;
};

static void put(struct out *o, const char *at, size_t len)
{
	if (!len)
		return;
	if (o->cap - o->len < len) {
		uint32_t cap = 2 * (o->cap + (uint32_t)len) + 64;
		char *more = reg_alloc(o->m, cap, 1);

		if (!more)
			return;
		if (o->len)
			memcpy(more, o->at, o->len);
		o->at = more;
		o->cap = cap;
	}
	memcpy(o->at + o->len, at, len);
	o->len += (uint32_t)len;
}

static void says(struct out *o, const char *text)
{
	put(o, text, strlen(text));
}

static void put_quoted(struct out *o, const struct reg_text *t)
{
	char hex[8];

	says(o, "\"");
	for (uint32_t i = 0; i < t->len; i++) {
		uint8_t b = (uint8_t)t->at[i];

		if (b == '"' || b == '\\' || b < 0x20 || b == 0x7f) {
			snprintf(hex, sizeof hex, b == '"' || b == '\\' ? "\\%c" : "\\x%02x", b);
			says(o, hex);
		} else {
			put(o, &t->at[i], 1);
		}
	}
	says(o, "\"");
}

const char *reg_time_text(reg_num x, int is_time, char out[REG_TIME_TEXT])
{
	reg_num s = x / SCH_NS, ns = x % SCH_NS;

	if (ns < 0) {
		ns += SCH_NS;
		s--;
	}
	out[is_time ? sch_time_print((int64_t)s, (int32_t)ns, out) : sch_duration_print((int64_t)x, out)] = '\0';
	return out;
}

static void put_const(struct out *o, const struct reg_const *k)
{
	char text[64];

	switch (k->kind) {
	case REG_C_NULL:
		says(o, "null");
		break;
	case REG_C_BOOL:
		says(o, k->num ? "true" : "false");
		break;
	case REG_C_TIME:
	case REG_C_DURATION:
		reg_time_text(k->num, k->kind == REG_C_TIME, text);
		says(o, k->kind == REG_C_TIME ? "timestamp(\"" : "duration(\"");
		says(o, text);
		says(o, "\")");
		break;
	case REG_C_INT:
		snprintf(text, sizeof text, "%lld", (long long)k->num);
		says(o, text);
		break;
	case REG_C_UINT:
		snprintf(text, sizeof text, "%lluu", (unsigned long long)k->num);
		says(o, text);
		break;
	case REG_C_DOUBLE:
		snprintf(text, sizeof text, "double(%.17g)", k->d);
		says(o, text);
		break;
	case REG_C_BYTES:
		says(o, "b");
		/* fall through */
	case REG_C_STRING:
		put_quoted(o, &k->text);
		break;
	default:
		says(o, "error()");
		break;
	}
}

static void put_node(struct reg_of *c, struct out *o, const struct sch_node *n);

static void put_binary(struct reg_of *c, struct out *o, const struct sch_node *n, const char *op)
{
	says(o, "(");
	put_node(c, o, n->child[0]);
	says(o, op);
	put_node(c, o, n->child[1]);
	says(o, ")");
}

/* Children behind the first `skip`, in parentheses. */
static void put_children(struct reg_of *c, struct out *o, const struct sch_node *n, uint32_t skip, const char *open,
			 const char *close)
{
	const struct sch_node *k = n->child[0];

	says(o, open);
	for (uint32_t i = 0; i < n->n && k; i++) {
		if (i > skip)
			says(o, ", ");
		if (i >= skip)
			put_node(c, o, k);
		/* of lists and calls the first child leads to the others */
		k = n->op == SCH_N_LIST || n->op == SCH_N_CALL ? k->next : i < 2 ? n->child[i + 1] : k->next;
	}
	says(o, close);
}

static void put_call(struct reg_of *c, struct out *o, const struct sch_node *n)
{
	static const struct {
		const char *name;
		char style;
	} fns[] = {
#define X(sym, name, style, kinds, result) { name, style },
		SCH_FNS(X)
#undef X
		{ "format", 'm' },
	};
	const char *name = n->index < sizeof fns / sizeof fns[0] ? fns[n->index].name : "?";
	uint32_t skip = n->index < sizeof fns / sizeof fns[0] && (fns[n->index].style == 'm' || n->index == SCH_FN_MATCHES);

	if (skip) {
		put_node(c, o, n->child[0]);
		says(o, ".");
	}
	says(o, name);
	put_children(c, o, n, skip, "(", ")");
}

static void put_node(struct reg_of *c, struct out *o, const struct sch_node *n)
{
	static const char *const binary[] = {
		[SCH_N_AND] = " && ", [SCH_N_OR] = " || ",  [SCH_N_EQ] = " == ", [SCH_N_NE] = " != ",
		[SCH_N_LT] = " < ",   [SCH_N_LE] = " <= ",  [SCH_N_GT] = " > ",  [SCH_N_GE] = " >= ",
		[SCH_N_IN] = " in ",  [SCH_N_ADD] = " + ",  [SCH_N_SUB] = " - ", [SCH_N_MUL] = " * ",
		[SCH_N_DIV] = " / ",  [SCH_N_MOD] = " % ",
	};
	static const char *const macros[] = { ".all", ".exists", ".exists_one", ".filter", ".map" };
	struct reg_const k = reg_const_of(c, n);
	char text[32];

	if (k.kind != REG_C_NONE) {
		put_const(o, &k);
		return;
	}
	switch (n->op) {
	case SCH_N_VAR: {
		const struct sch_party *p = party_of(c, n);
		struct reg_text name = { p ? (uint32_t)strlen(p->name) : 0, p ? p->name : "" };

		says(o, p ? "unikernel " : c->vars[n->index].name);
		if (p)
			put_quoted(o, &name);
		break;
	}
	case SCH_N_BOUND:
		/* x is the innermost macro's, x1 that of the one around it: the same wherever it stands */
		snprintf(text, sizeof text, "x%u", n->index);
		text[n->index ? strlen(text) : 1] = '\0';
		says(o, text);
		break;
	case SCH_N_FIELD:
	case SCH_N_HAS:
		says(o, n->op == SCH_N_HAS ? "has(" : "");
		put_node(c, o, n->child[0]);
		says(o, ".");
		says(o, sch_field_name(c->set, n->index));
		says(o, n->op == SCH_N_HAS ? ")" : "");
		break;
	case SCH_N_NAME:
	case SCH_N_LABELS:
		put_node(c, o, n->child[0]);
		says(o, n->op == SCH_N_NAME ? ".name" : ".labels");
		break;
	case SCH_N_INDEX:
		put_node(c, o, n->child[0]);
		says(o, "[");
		put_node(c, o, n->child[1]);
		says(o, "]");
		break;
	case SCH_N_LABEL_HAS:
		put_children(c, o, n, 0, "has(", ")");
		break;
	case SCH_N_NOT:
	case SCH_N_NEG:
		says(o, n->op == SCH_N_NOT ? "!" : "-");
		put_node(c, o, n->child[0]);
		break;
	case SCH_N_COND:
		says(o, "(");
		put_node(c, o, n->child[0]);
		says(o, " ? ");
		put_node(c, o, n->child[1]);
		says(o, " : ");
		put_node(c, o, n->child[2]);
		says(o, ")");
		break;
	case SCH_N_LIST:
		put_children(c, o, n, 0, "[", "]");
		break;
	case SCH_N_CALL:
		put_call(c, o, n);
		break;
	case SCH_N_ALL:
	case SCH_N_EXISTS:
	case SCH_N_EXISTS_ONE:
	case SCH_N_FILTER:
	case SCH_N_MAPPED:
		put_node(c, o, n->child[0]);
		says(o, macros[n->op - SCH_N_ALL]);
		put_children(c, o, n, 1, "(x, ", ")");
		break;
	default:
		put_binary(c, o, n, n->op < sizeof binary / sizeof binary[0] && binary[n->op] ? binary[n->op] : " ? ");
		break;
	}
}

struct reg_text reg_node_text(struct reg_of *c, const struct sch_node *n)
{
	struct out o = { .m = c->m };

	put_node(c, &o, n);
	return (struct reg_text){ o.len, o.len ? o.at : "" };
}
