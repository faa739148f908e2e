/* SPDX-License-Identifier: BSD-2-Clause */
/* CEL's grammar: from tokens to a tree that is checked while it is built. Source: cel-spec's language definition, "Syntax"
 * and "Macros". Recursion is bounded by SCH_EXPR_DEPTH_MAX; chains of && and || become flat trees. Types are expr_check.c's. */
#include <stdio.h>
#include <string.h>

#include "expr_impl.h"

static struct sch_node *expression(struct sch_parser *p);

static int is_char(const struct sch_parser *p, char c)
{
	return !p->rc && p->tok.kind == SCH_TK_CHAR && p->tok.c == c;
}

static int token_is(const struct sch_parser *p, const char *word)
{
	return !p->rc && p->tok.kind == SCH_TK_NAME && sch_is_word(word, p->text + p->tok.at, p->tok.end - p->tok.at);
}

/* What stands at the token, for errors. */
static const char *found(const struct sch_parser *p, char out[48])
{
	if (p->tok.kind == SCH_TK_END)
		snprintf(out, 48, "the end");
	else
		snprintf(out, 48, "\"%.*s\"", (int)(p->tok.end - p->tok.at < 40 ? p->tok.end - p->tok.at : 40),
			 p->text + p->tok.at);
	return out;
}

/* Takes the character. 0 or p->rc. */
static int expect(struct sch_parser *p, char c, const char *what)
{
	char text[48];

	if (p->rc)
		return p->rc;
	if (!is_char(p, c)) {
		sch_parser_fail(p, p->tok.at, "'%c' is expected %s, and here is %s", c, what, found(p, text));
		return p->rc;
	}
	return sch_token_next(p);
}

static int deeper(struct sch_parser *p)
{
	if (p->nest == SCH_EXPR_DEPTH_MAX)
		sch_parser_fail(p, p->tok.at, "more than %u parentheses, operators and calls within each other",
				SCH_EXPR_DEPTH_MAX);
	p->nest++;
	return p->rc;
}

/* --- names ------------------------------------------------------------------------------------------------------------ */
static const char *const reserved[] = {
	"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace",
	"return", "var", "void", "while",
};

static int is_reserved(const char *name, uint32_t len)
{
	for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
		if (sch_is_word(reserved[i], name, len))
			return 1;
	return 0;
}

/* A bound variable by its name, innermost first; SCH_NONE. */
static uint32_t scope_find(const struct sch_parser *p, const char *name, uint32_t len)
{
	for (uint32_t i = p->n_scopes; i-- > 0;)
		if (p->scope[i].len == len && memcmp(p->text + p->scope[i].at, name, len) == 0)
			return p->n_scopes - 1 - i;
	return SCH_NONE;
}

static uint32_t var_find(const struct sch_parser *p, const char *name, uint32_t len)
{
	for (uint32_t i = 0; i < p->n_vars; i++)
		if (sch_is_word(p->vars[i].name, name, len))
			return i;
	return SCH_NONE;
}

/* The enum value that "Mode.OPEN" names, as seen from the scope around `this` outwards. */
static int enum_find(const struct sch_parser *p, const char *path, uint32_t len, uint32_t *which, int64_t *number)
{
	char full[2 * SCH_NAME_MAX + 2];
	size_t around = path[0] == '.' ? 0 : strlen(p->around);
	const char *dot = memrchr(path, '.', len);

	if (path[0] == '.')
		path++, len--;
	if (!dot || dot < path || len > SCH_NAME_MAX)
		return 0;
	uint32_t type_len = (uint32_t)(dot - path), value_len = len - type_len - 1;

	for (;;) { /* each turn is one scope further out */
		memcpy(full, p->around, around);
		if (around)
			full[around] = '.';
		memcpy(full + around + !!around, path, type_len);
		*which = sch_enum_find(p->set, full, around + !!around + type_len);
		if (*which != SCH_NONE) {
			const struct sch_enum_names *e = &p->set->enum_names[*which];

			for (uint32_t i = e->first; i < e->first + e->n; i++)
				if (sch_is_word(p->set->names + p->set->value_names[i].name, dot + 1, value_len)) {
					*number = p->set->value_names[i].number;
					return 1;
				}
			return -1; /* the enum, but no such value */
		}
		if (!around)
			return 0;
		while (around && p->around[around - 1] != '.')
			around--;
		around -= around != 0;
	}
}

static struct sch_node *enum_node(struct sch_parser *p, uint32_t at, uint32_t which, int64_t number)
{
	struct sch_node *n = sch_node_new(p, SCH_N_INT, at, SCH_K_INT);

	if (!n)
		return NULL;
	n->i = number;
	n->type.enum_index = which;
	return n;
}

static struct sch_node *unknown_value(struct sch_parser *p, uint32_t at, uint32_t which, const char *path, uint32_t len)
{
	const struct sch_enum_names *e = &p->set->enum_names[which];
	const char *dot = memrchr(path, '.', len);
	struct sch_near near = { .want = dot + 1, .len = (uint32_t)(path + len - dot - 1) };

	for (uint32_t i = e->first; i < e->first + e->n; i++)
		sch_near_try(&near, p->set->names + p->set->value_names[i].name);
	return sch_parser_fail(p, at, "the enum %.120s has no value \"%.*s\"%s%s%s", p->set->names + e->name,
			       (int)(near.len < 60 ? near.len : 60), near.want, near.best[0] ? "; did you mean " : "", near.best,
			       near.best[0] ? "?" : "");
}

static struct sch_node *unknown_name(struct sch_parser *p, uint32_t at, const char *name, uint32_t len)
{
	struct sch_near near = { .want = name, .len = len };
	char known[160];
	int n = 0;

	known[0] = '\0';
	for (uint32_t i = p->n_scopes; i-- > 0;) {
		char one[64];

		snprintf(one, sizeof one, "%.*s", (int)(p->scope[i].len < 60 ? p->scope[i].len : 60), p->text + p->scope[i].at);
		sch_near_try(&near, one);
	}
	for (uint32_t i = 0; i < p->n_vars; i++) {
		sch_near_try(&near, p->vars[i].name);
		if ((size_t)n < sizeof known)
			n += snprintf(known + n, sizeof known - (size_t)n, "%s%s", i ? ", " : "", p->vars[i].name);
	}
	if (near.best[0])
		return sch_parser_fail(p, at, "\"%.*s\" is not known; did you mean %s?", (int)(len < 60 ? len : 60),
				       name, near.best);
	for (uint32_t i = 0; i < p->n_vars; i++) { /* a field's bare name is the likeliest of all mistakes */
		struct sch_type t = p->vars[i].what == SCH_EXPR_MESSAGE ? sch_type_of_message(p->set, p->vars[i].index) :
									     (struct sch_type){ 0 };
		const struct sch_message *m = t.kind == SCH_K_MESSAGE ? &p->set->messages[t.index] : NULL;

		for (uint32_t k = 0; m && k < m->n_fields; k++)
			if (sch_is_word(p->set->names + p->set->fields[m->first + k].name, name, len))
				return sch_parser_fail(p, at, "\"%.*s\" is not known; did you mean %s.%.*s?",
						       (int)(len < 60 ? len : 60), name, p->vars[i].name,
						       (int)(len < 60 ? len : 60), name);
	}
	return sch_parser_fail(p, at, "\"%.*s\" is not known; known are %s, and enum values as demo.Mode.OPEN",
			       (int)(len < 60 ? len : 60), name, n ? known : "no variables");
}

/* "demo.Mod.OPEN", where there is a demo.Mode; or, inner, "Mod.OPEN". */
static int near_enum(struct sch_parser *p, uint32_t at, const char *path, uint32_t len, int inner)
{
	const char *dot = memrchr(path, '.', len);
	struct sch_near near = { .want = path, .len = (uint32_t)(dot - path) };

	for (uint32_t i = 0; i < p->set->n_enums; i++) {
		const char *name = p->set->names + p->set->enum_names[i].name, *last = strrchr(name, '.');

		sch_near_try(&near, inner && last ? last + 1 : name);
	}
	if (near.best[0])
		sch_parser_fail(p, at, "there is no enum %.*s; did you mean %s%.*s?", (int)(near.len < 90 ? near.len : 90), path,
				near.best, (int)(len - near.len < 60 ? len - near.len : 60), dot);
	return p->rc;
}

/* Reads ahead over ".name" as long as they come, for the longest that is an enum's value. p->tok is the first name. */
static struct sch_node *qualified(struct sch_parser *p, uint32_t start, int rooted)
{
	struct sch_token first = p->tok;
	uint32_t pos = p->pos, end = 0, which = SCH_NONE, bad = SCH_NONE, bad_end = 0, n = 0;
	char path[SCH_NAME_MAX + 1];
	uint32_t len = 0;
	int64_t number = 0;

	if (rooted)
		path[len++] = '.';
	for (;;) { /* each turn reads a name */
		uint32_t more = p->tok.end - p->tok.at, one;
		int64_t value;
		int is;

		if (len + more + 1 >= sizeof path)
			break;
		memcpy(path + len, p->text + p->tok.at, more);
		len += more;
		n++;
		is = n > 1 ? enum_find(p, path, len, &one, &value) : 0;
		if (is > 0) {
			which = one;
			number = value;
			end = p->tok.end;
		} else if (is < 0) {
			bad = one;
			bad_end = len;
		}
		if (sch_token_next(p) || !is_char(p, '.') || sch_token_next(p) || p->tok.kind != SCH_TK_NAME)
			break;
		path[len++] = '.';
	}
	if (p->rc)
		return NULL;
	if (which == SCH_NONE && is_char(p, '{'))
		return sch_parser_fail(p, start, "making messages is not supported; compare their fields one by one");
	if (which != SCH_NONE) {
		p->pos = end;
		if (sch_token_next(p))
			return NULL;
		return enum_node(p, start, which, number);
	}
	if (bad != SCH_NONE)
		return unknown_value(p, start, bad, path, bad_end);
	if (n > 1 && near_enum(p, start, path, len, n == 2))
		return NULL;
	p->tok = first;
	p->pos = pos;
	return unknown_name(p, start, p->text + first.at, first.end - first.at);
}

/* --- calls and macros --------------------------------------------------------------------------------------------------- */
/* Arguments up to the closing parenthesis, which is taken; the opening one was. */
static struct sch_node *arguments(struct sch_parser *p, char close, uint32_t most, uint32_t *n)
{
	struct sch_node *first = NULL, **last = &first;

	*n = 0;
	while (!p->rc && !is_char(p, close)) {
		uint32_t at = p->tok.at;
		struct sch_node *a = expression(p);

		if (!a)
			return NULL;
		if (++*n > most)
			return sch_parser_fail(p, at, close == ')' ? "more arguments than any function takes" :
								     "a list may have %u elements at most", most);
		*last = a;
		last = &a->next;
		if (!is_char(p, ','))
			break;
		if (sch_token_next(p)) /* CEL lets a list end with a comma; its calls do not */
			return NULL;
		if (close == ')' && is_char(p, ')'))
			return sch_parser_fail(p, p->tok.at, "an argument is expected after ','");
	}
	expect(p, close, close == ')' ? "at the end of the arguments" : "at the end of the list");
	return p->rc ? NULL : first;
}

static struct sch_node *has_macro(struct sch_parser *p, uint32_t at)
{
	uint32_t inner = p->tok.at;
	struct sch_node *a = expression(p);

	if (!a || expect(p, ')', "after what has() asks for"))
		return NULL;
	(void)at;
	return sch_node_has(p, inner, a);
}

static const struct {
	const char *name;
	enum sch_node_op op;
} macros[] = {
	{ "all", SCH_N_ALL }, { "exists", SCH_N_EXISTS }, { "exists_one", SCH_N_EXISTS_ONE }, { "existsOne", SCH_N_EXISTS_ONE },
	{ "filter", SCH_N_FILTER }, { "map", SCH_N_MAPPED },
};

/* range.all(x, body); the opening parenthesis was taken. */
static struct sch_node *macro(struct sch_parser *p, enum sch_node_op op, uint32_t at, struct sch_node *range)
{
	struct sch_node *body, *when = NULL;
	struct sch_scope *s;

	if (p->tok.kind != SCH_TK_NAME)
		return sch_parser_fail(p, p->tok.at, "a variable's name is expected first, as in all(x, x > 0)");
	if (p->n_scopes == SCH_LOOPS_MAX)
		return sch_parser_fail(p, at, "more than %u macros within each other", SCH_LOOPS_MAX);
	s = &p->scope[p->n_scopes];
	*s = (struct sch_scope){ .at = p->tok.at, .len = p->tok.end - p->tok.at };
	if (is_reserved(p->text + s->at, s->len) || token_is(p, "true") || token_is(p, "false") || token_is(p, "null") ||
	    token_is(p, "in"))
		return sch_parser_fail(p, s->at, "\"%.*s\" is a word of the language; name the variable otherwise", (int)s->len,
				       p->text + s->at);
	if (var_find(p, p->text + s->at, s->len) != SCH_NONE)
		return sch_parser_fail(p, s->at, "\"%.*s\" is a variable already; name this one otherwise", (int)s->len,
				       p->text + s->at);
	if (sch_macro_element(p, op, at, range, &s->type) || sch_token_next(p) || expect(p, ',', "after the variable's name"))
		return NULL;
	p->n_scopes++;
	body = expression(p);
	if (body && op == SCH_N_MAPPED && is_char(p, ',')) {
		when = body;
		body = sch_token_next(p) ? NULL : expression(p);
	}
	p->n_scopes--;
	if (!body || expect(p, ')', "at the end of the macro"))
		return NULL;
	return sch_node_macro(p, op, at, range, when, body);
}

/* "...".format([a, b]); the opening parenthesis was taken. */
static struct sch_node *format_call(struct sch_parser *p, uint32_t at, struct sch_node *text)
{
	struct sch_node *args;
	uint32_t n = 0;

	if (!is_char(p, '['))
		return sch_parser_fail(p, p->tok.at, "format() takes a literal list: \"%%s\".format([x])");
	if (sch_token_next(p))
		return NULL;
	args = arguments(p, ']', 32, &n);
	if (p->rc || expect(p, ')', "after format()'s list"))
		return NULL;
	return sch_node_format(p, at, text, args, n);
}

/* What follows a dot. */
static struct sch_node *member(struct sch_parser *p, struct sch_node *a)
{
	struct sch_node *args;
	uint32_t at = p->tok.at, len = p->tok.end - p->tok.at, n;
	const char *name = p->text + at;
	char text[48];

	if (is_char(p, '?'))
		return sch_parser_fail(p, p->tok.at, "optional values (\".?\") are not supported; ask has() first");
	if (p->tok.kind != SCH_TK_NAME)
		return sch_parser_fail(p, at, "a field's or function's name is expected after '.', and here is %s", found(p, text));
	if (token_is(p, "in") || token_is(p, "true") || token_is(p, "false") || token_is(p, "null"))
		return sch_parser_fail(p, at, "\"%.*s\" is a word of the language; write getField(message, \"%.*s\")",
				       (int)len, name, (int)len, name);
	if (sch_token_next(p))
		return NULL;
	if (!is_char(p, '('))
		return sch_node_select(p, at, a, name, len);
	if (sch_token_next(p))
		return NULL;
	for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++)
		if (sch_is_word(macros[i].name, name, len))
			return macro(p, macros[i].op, at, a);
	if (sch_is_word("format", name, len))
		return format_call(p, at, a);
	if (sch_call_unknown(p, at, name, len))
		return NULL;
	args = arguments(p, ')', 8, &n);
	return p->rc ? NULL : sch_node_call(p, at, name, len, a, args, n);
}

/* getField(message, "name"): a field whose name is a word of the language. */
static struct sch_node *get_field(struct sch_parser *p, uint32_t at)
{
	struct sch_node *args, *name;
	uint32_t n;

	args = arguments(p, ')', 8, &n);
	if (p->rc)
		return NULL;
	name = n == 2 ? args->next : NULL;
	if (!name || name->op != SCH_N_STRING)
		return sch_parser_fail(p, at, "getField takes a message and a literal name: getField(this, \"in\")");
	args->next = NULL;
	return sch_node_select(p, name->at, args, name->text, name->len);
}

/* --- primary expressions ---------------------------------------------------------------------------------------------- */
static struct sch_node *literal(struct sch_parser *p, int negative)
{
	static const struct {
		uint8_t op, kind;
	} of[] = {
		[SCH_TK_INT] = { SCH_N_INT, SCH_K_INT }, [SCH_TK_UINT] = { SCH_N_UINT, SCH_K_UINT },
		[SCH_TK_DOUBLE] = { SCH_N_DOUBLE, SCH_K_DOUBLE }, [SCH_TK_STRING] = { SCH_N_STRING, SCH_K_STRING },
		[SCH_TK_BYTES] = { SCH_N_BYTES, SCH_K_BYTES },
	};
	const struct sch_token *t = &p->tok;
	struct sch_node *n = sch_node_new(p, of[t->kind].op, t->at, of[t->kind].kind);

	if (!n)
		return NULL;
	switch (t->kind) {
	case SCH_TK_INT:
		if (t->u > (uint64_t)INT64_MAX + (negative != 0))
			return sch_parser_fail(p, t->at, "this number does not fit an int; as a uint it has a u behind it");
		n->i = negative ? (int64_t)(0 - t->u) : (int64_t)t->u;
		break;
	case SCH_TK_UINT:
		n->u = t->u;
		break;
	case SCH_TK_DOUBLE:
		n->d = negative ? -t->d : t->d;
		break;
	default:
		n->text = t->text;
		n->len = t->len;
	}
	return sch_token_next(p) ? NULL : n;
}

static struct sch_node *constant(struct sch_parser *p, enum sch_node_op op, enum sch_type_kind kind, int64_t value)
{
	struct sch_node *n = sch_node_new(p, op, p->tok.at, kind);

	if (!n || sch_token_next(p))
		return NULL;
	n->i = value;
	return n;
}

static struct sch_node *name_expression(struct sch_parser *p)
{
	struct sch_token t = p->tok;
	const char *name = p->text + t.at;
	uint32_t len = t.end - t.at, pos = p->pos, n, i;
	struct sch_node *node, *args;

	if (token_is(p, "true") || token_is(p, "false"))
		return constant(p, SCH_N_BOOL, SCH_K_BOOL, name[0] == 't');
	if (token_is(p, "null"))
		return constant(p, SCH_N_NULL, SCH_K_NULL, 0);
	if (token_is(p, "in"))
		return sch_parser_fail(p, t.at, "\"in\" needs a value before it, as in this.unit in [\"C\", \"K\"]");
	if (is_reserved(name, len))
		return sch_parser_fail(p, t.at, "\"%.*s\" is a reserved word", (int)len, name);
	i = scope_find(p, name, len);
	if (i != SCH_NONE) {
		node = sch_node_new(p, SCH_N_BOUND, t.at, SCH_K_NONE);
		if (!node || sch_token_next(p))
			return NULL;
		node->index = i;
		node->type = p->scope[p->n_scopes - 1 - i].type;
		return node;
	}
	if (sch_token_next(p))
		return NULL;
	if (is_char(p, '(')) {
		if (sch_token_next(p))
			return NULL;
		if (sch_is_word("has", name, len))
			return has_macro(p, t.at);
		if (sch_is_word("getField", name, len))
			return get_field(p, t.at);
		if (sch_call_unknown(p, t.at, name, len))
			return NULL;
		args = arguments(p, ')', 8, &n);
		return p->rc ? NULL : sch_node_call(p, t.at, name, len, NULL, args, n);
	}
	if (is_char(p, '{'))
		return sch_parser_fail(p, t.at, "making messages is not supported; compare their fields one by one");
	i = var_find(p, name, len);
	if (i != SCH_NONE)
		return sch_node_var(p, i, t.at);
	p->tok = t;
	p->pos = pos;
	return qualified(p, t.at, 0);
}

static struct sch_node *primary(struct sch_parser *p)
{
	uint32_t at = p->tok.at, n;
	struct sch_node *a;
	char text[48];

	switch (p->tok.kind) {
	case SCH_TK_NAME:
		return name_expression(p);
	case SCH_TK_INT:
	case SCH_TK_UINT:
	case SCH_TK_DOUBLE:
	case SCH_TK_STRING:
	case SCH_TK_BYTES:
		return literal(p, 0);
	case SCH_TK_END:
		return sch_parser_fail(p, at, at ? "the expression ends where a value is expected" :
						   "an expression is expected, such as this.amount <= 1000");
	default:
		break;
	}
	if (is_char(p, '(')) {
		if (sch_token_next(p))
			return NULL;
		a = expression(p);
		return a && !expect(p, ')', "to close the parenthesis") ? a : NULL;
	}
	if (is_char(p, '[')) {
		if (sch_token_next(p))
			return NULL;
		a = arguments(p, ']', SCH_ITEMS_MAX, &n);
		return p->rc ? NULL : sch_node_list(p, at, a, n);
	}
	if (is_char(p, '.')) {
		if (sch_token_next(p))
			return NULL;
		if (p->tok.kind == SCH_TK_NAME)
			return qualified(p, at, 1);
	}
	if (is_char(p, '{'))
		return sch_parser_fail(p, at, "literal maps are not supported; a chain of ? : or || does the same");
	return sch_parser_fail(p, p->tok.at, "a value is expected, and here is %s", found(p, text));
}

static struct sch_node *postfix(struct sch_parser *p, struct sch_node *a)
{
	while (a && !p->rc) {
		uint32_t at = p->tok.at;

		if (is_char(p, '.')) {
			a = sch_token_next(p) ? NULL : member(p, a);
		} else if (is_char(p, '[')) {
			struct sch_node *key;

			if (sch_token_next(p))
				return NULL;
			if (is_char(p, '?'))
				return sch_parser_fail(p, p->tok.at, "optional values (\"[?\") are not supported; ask `in` first");
			key = expression(p);
			if (!key || expect(p, ']', "after the index"))
				return NULL;
			a = sch_node_index(p, at, a, key);
		} else if (is_char(p, '{')) {
			return sch_parser_fail(p, at, "making messages is not supported; compare their fields one by one");
		} else {
			return a;
		}
	}
	return NULL;
}

/* --- operators ---------------------------------------------------------------------------------------------------------- */
static struct sch_node *unary(struct sch_parser *p)
{
	uint32_t at = p->tok.at;
	struct sch_node *a = NULL;

	if (!is_char(p, '!') && !is_char(p, '-')) {
		a = primary(p);
		return a ? postfix(p, a) : NULL;
	}
	enum sch_node_op op = is_char(p, '!') ? SCH_N_NOT : SCH_N_NEG;

	if (deeper(p) || sch_token_next(p))
		return NULL;
	if (op == SCH_N_NEG && (p->tok.kind == SCH_TK_INT || p->tok.kind == SCH_TK_DOUBLE)) {
		a = literal(p, 1);
		a = a ? postfix(p, a) : NULL;
	} else {
		a = unary(p);
		a = a ? sch_node_unary(p, op, at, a) : NULL;
	}
	p->nest--;
	return a;
}

/* How tight a binary operator binds: 1 || 2 && 3 comparisons 4 + - 5 * / %. 0: none stands here. */
static int binding(const struct sch_parser *p, enum sch_node_op *op)
{
	static const struct {
		uint8_t kind;
		char c;
		uint8_t op, tight;
	} table[] = {
		{ SCH_TK_OR, 0, SCH_N_OR, 1 },      { SCH_TK_AND, 0, SCH_N_AND, 2 },    { SCH_TK_EQ, 0, SCH_N_EQ, 3 },
		{ SCH_TK_NE, 0, SCH_N_NE, 3 },      { SCH_TK_LE, 0, SCH_N_LE, 3 },      { SCH_TK_GE, 0, SCH_N_GE, 3 },
		{ SCH_TK_CHAR, '<', SCH_N_LT, 3 },  { SCH_TK_CHAR, '>', SCH_N_GT, 3 },  { SCH_TK_CHAR, '+', SCH_N_ADD, 4 },
		{ SCH_TK_CHAR, '-', SCH_N_SUB, 4 }, { SCH_TK_CHAR, '*', SCH_N_MUL, 5 }, { SCH_TK_CHAR, '/', SCH_N_DIV, 5 },
		{ SCH_TK_CHAR, '%', SCH_N_MOD, 5 },
	};

	if (p->rc)
		return 0;
	if (token_is(p, "in")) {
		*op = SCH_N_IN;
		return 3;
	}
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (p->tok.kind == table[i].kind && (table[i].kind != SCH_TK_CHAR || p->tok.c == table[i].c)) {
			*op = table[i].op;
			return table[i].tight;
		}
	return 0;
}

/* A balanced tree of n operands that next links: a chain of any length is no deeper than its logarithm. `at` of each but the
 * first is that of the operator before it, kept in index meanwhile. */
static struct sch_node *balanced(struct sch_parser *p, enum sch_node_op op, struct sch_node **list, const uint32_t *ats, uint32_t n)
{
	if (n == 1)
		return list[0];
	uint32_t half = n / 2;
	struct sch_node *a = balanced(p, op, list, ats, half);
	struct sch_node *b = a ? balanced(p, op, list + half, ats + half, n - half) : NULL;

	return a && b ? sch_node_binary(p, op, ats[half], a, b) : NULL;
}

static struct sch_node *binary(struct sch_parser *p, int least);

/* The rest of a chain of one logical operator, whose first operand is a. */
static struct sch_node *chain(struct sch_parser *p, enum sch_node_op op, int tight, struct sch_node *a)
{
	enum { STEP = 16 };
	struct sch_node **list = sch_parser_get(p, STEP * sizeof(struct sch_node *));
	uint32_t *ats = sch_parser_get(p, STEP * sizeof *ats), n = 1, cap = STEP;
	enum sch_node_op next = op;

	if (!list || !ats)
		return NULL;
	list[0] = a;
	ats[0] = 0;
	while (binding(p, &next) == tight && next == op) {
		if (n == cap) {
			struct sch_node **wider = sch_parser_get(p, 2 * cap * sizeof(struct sch_node *));
			uint32_t *more = sch_parser_get(p, 2 * cap * sizeof *more);

			if (!wider || !more)
				return NULL;
			memcpy(wider, list, n * sizeof(struct sch_node *));
			memcpy(more, ats, n * sizeof *more);
			list = wider;
			ats = more;
			cap *= 2;
		}
		ats[n] = p->tok.at;
		if (sch_token_next(p) || !(list[n] = binary(p, tight + 1)))
			return NULL;
		n++;
	}
	return balanced(p, op, list, ats, n);
}

static struct sch_node *binary(struct sch_parser *p, int least)
{
	struct sch_node *a = unary(p), *b;
	enum sch_node_op op;
	int tight;

	while (a && (tight = binding(p, &op)) >= least && tight) {
		uint32_t at = p->tok.at;

		if (tight <= 2) {
			a = chain(p, op, tight, a);
			continue;
		}
		if (sch_token_next(p))
			return NULL;
		b = binary(p, tight + 1);
		a = b ? sch_node_binary(p, op, at, a, b) : NULL;
	}
	return p->rc ? NULL : a;
}

static struct sch_node *expression(struct sch_parser *p)
{
	struct sch_node *a, *b, *c;

	if (deeper(p))
		return NULL;
	a = binary(p, 1);
	if (a && is_char(p, '?')) {
		uint32_t at = p->tok.at;

		if (sch_token_next(p))
			return NULL;
		b = binary(p, 1);
		if (!b || expect(p, ':', "between the two values of a ?"))
			return NULL;
		c = expression(p);
		a = c ? sch_node_cond(p, at, a, b, c) : NULL;
	}
	p->nest--;
	return a;
}

/* --- entry ------------------------------------------------------------------------------------------------------------ */
/* Where names are looked for: the message that `this` is, or that holds it. */
static void around_set(struct sch_parser *p)
{
	const struct sch_expr_var *v = NULL;
	uint32_t m = 0;

	for (uint32_t i = p->n_vars; i-- > 0;)
		if (p->vars[i].what <= SCH_EXPR_FIELD && (!v || strcmp(p->vars[i].name, "this") == 0))
			v = &p->vars[i];
	if (!v)
		return;
	if (v->what == SCH_EXPR_MESSAGE) {
		m = v->index;
	} else { /* the message whose field it is: the last one that begins before it */
		while (m < p->set->n_messages && !(v->index >= p->set->messages[m].first &&
						   v->index < p->set->messages[m].first + p->set->messages[m].n_fields))
			m++;
	}
	if (m < p->set->n_messages)
		snprintf(p->around, sizeof p->around, "%s", p->set->names + p->set->messages[m].name);
}

static struct sch_node *whole(struct sch_parser *p, enum sch_expr_want want)
{
	const uint8_t *bad = sch_utf8_bad((const uint8_t *)p->text, (const uint8_t *)p->text + p->len, 1);
	struct sch_node *root;
	char text[SCH_TYPE_TEXT];

	if (bad)
		return sch_parser_fail(p, (uint32_t)(bad - (const uint8_t *)p->text), "the text is not UTF-8 from here on");
	if (sch_token_next(p) || !(root = expression(p)))
		return NULL;
	if (p->tok.kind != SCH_TK_END)
		return sch_parser_fail(
		    p, p->tok.at,
		    is_char(p, '?')
			? "a value of a ? that is itself a ? stands in parentheses"
			: "the expression ends here, and %s follows; an operator is missing, or this is too much",
		    found(p, text));
	if (root->type.kind == SCH_K_BOOL || (want == SCH_EXPR_BOOL_OR_TEXT && root->type.kind == SCH_K_STRING))
		return root;
	return sch_parser_fail(p, root->at,
			       want == SCH_EXPR_BOOL ? "the expression must be true or false (bool); this one is %s%s"
						     : "the expression must be bool or string; this one is %s%s",
			       sch_type_text(p->set, &root->type, text),
			       root->type.kind == SCH_K_INT || root->type.kind == SCH_K_UINT
				   ? "; compare it with something, != 0 perhaps"
				   : "");
}

int sch_tree_make(struct sch_tree *t, const struct sch_set *set, const struct sch_expr_var *vars, uint32_t n_vars,
		  const char *text, enum sch_expr_want want, struct sch_expr_err *err)
{
	struct sch_parser p = { .set = set, .vars = vars, .n_vars = n_vars, .text = text, .err = err };
	size_t len = strlen(text);

	memset(t, 0, sizeof *t);
	memset(err, 0, sizeof *err);
	p.len = len < SCH_EXPR_TEXT_MAX ? (uint32_t)len : SCH_EXPR_TEXT_MAX;
	if (len > SCH_EXPR_TEXT_MAX)
		sch_parser_fail(&p, SCH_EXPR_TEXT_MAX, "an expression may have %u bytes at most", SCH_EXPR_TEXT_MAX);
	else if (n_vars > SCH_EXPR_VARS_MAX)
		sch_parser_fail(&p, 0, "%u variables at most", SCH_EXPR_VARS_MAX);
	if (!p.rc) {
		around_set(&p);
		t->root = whole(&p, want);
	}
	t->memory = p.chunks;
	t->patterns = p.patterns;
	return p.rc;
}
