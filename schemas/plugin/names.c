/* SPDX-License-Identifier: BSD-2-Clause */
/* See names.h. Locale-free: a name has the bytes that the protobuf language allows, or it was refused. */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#define PATH_LEN_MAX 1024u

/* Sorted, both. */
static const char *const c_keywords[] = {
	"asm", "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
	"float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
	"sizeof", "static", "struct", "switch", "typedef", "typeof", "union", "unsigned", "void", "volatile", "while",
};

/* Of C and C++, and macros of their headers and compilers. */
static const char *const keywords[] = {
	"alignas", "alignof", "and", "and_eq", "asm", "assert", "atomic_cancel", "atomic_commit", "atomic_noexcept",
	"auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "char16_t", "char32_t", "char8_t",
	"class", "co_await", "co_return", "co_yield", "compl", "complex", "concept", "const", "const_cast",
	"consteval", "constexpr", "constinit", "continue", "decltype", "default", "delete", "do", "double",
	"dynamic_cast", "else", "enum", "errno", "explicit", "export", "extern", "false", "float", "for", "friend",
	"goto", "if", "imaginary", "inline", "int", "linux", "long", "mutable", "namespace", "new", "noexcept",
	"noreturn", "not", "not_eq", "nullptr", "offsetof", "operator", "or", "or_eq", "private", "protected",
	"public", "reflexpr", "register", "reinterpret_cast", "requires", "restrict", "return", "short", "signed",
	"sizeof", "static", "static_assert", "static_cast", "struct", "switch", "synchronized", "template", "this",
	"thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "typeof", "typeof_unqual", "union",
	"unix", "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq",
};

static int upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static int lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static int digit(char c)
{
	return c >= '0' && c <= '9';
}

static char to_lower(char c)
{
	return upper(c) ? (char)(c - 'A' + 'a') : c;
}

static char to_upper(char c)
{
	return lower(c) ? (char)(c - 'a' + 'A') : c;
}

static void add_char(struct gen_text *t, char c)
{
	gen_add_bytes(t, &c, 1);
}

/* The length of the name at p, 0 where there is none. */
static size_t name_len(const char *p)
{
	size_t n = 0;

	if (digit(*p))
		return 0;
	while (upper(p[n]) || lower(p[n]) || digit(p[n]) || p[n] == '_')
		n++;
	return n;
}

int gen_name_ok(const char *name)
{
	size_t n = name ? name_len(name) : 0;

	return n > 0 && !name[n] && n <= GEN_NAME_MAX;
}

int gen_dotted_ok(const char *name)
{
	const char *p = name;

	if (!name || strlen(name) > GEN_NAME_MAX)
		return 0;
	while (*p) {
		size_t n = name_len(p);

		if (!n || (p[n] && (p[n] != '.' || !p[n + 1])))
			return 0;
		p += p[n] ? n + 1 : n;
	}
	return 1;
}

int gen_path_ok(const char *path)
{
	size_t n = path ? strnlen(path, PATH_LEN_MAX + 1) : 0;

	if (!n || n > PATH_LEN_MAX || path[0] == '/' || strstr(path, "*/") || strstr(path, "/*"))
		return 0;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f || strchr("\"\\<>", path[i]))
			return 0;
	/* protoc keeps files where they belong, but this program may be run by others. */
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (strncmp(p, "..", 2) == 0 && (!p[2] || p[2] == '/'))
			return 0;
	}
	return 1;
}

int gen_name_plain(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && name[0] != '_' && name[n - 1] != '_' && !strstr(name, "__");
}

static int order(const void *a, const void *b)
{
	return strcmp(a, *(const char *const *)b);
}

#define LISTED(name, list) (bsearch(name, list, sizeof(list) / sizeof((list)[0]), sizeof((list)[0]), order) != NULL)

int gen_name_keyword(const char *name)
{
	return LISTED(name, keywords);
}

int gen_name_c_keyword(const char *name)
{
	return LISTED(name, c_keywords);
}

/* '_' before a capital that follows no capital, and, in our own names, no '_' either. */
static void add_snake(struct gen_text *t, const char *p, const char *dot, int ours)
{
	int joined = 1;

	for (; *p; p++) {
		if (*p == '.') {
			gen_add(t, "%s", dot);
			joined = 1;
			continue;
		}
		if (upper(*p) && !joined)
			add_char(t, '_');
		add_char(t, to_lower(*p));
		joined = upper(*p) || (ours && *p == '_');
	}
}

void gen_snake(struct gen_text *t, const char *dotted)
{
	add_snake(t, dotted, "_", 1);
}

void gen_pb_lower(struct gen_text *t, const char *dotted)
{
	add_snake(t, dotted, "__", 0);
}

void gen_upper(struct gen_text *t, const char *snake)
{
	for (; *snake; snake++)
		add_char(t, to_upper(*snake));
}

void gen_pb_type(struct gen_text *t, const char *dotted)
{
	int capital = 1;

	for (; *dotted; dotted++) {
		if (*dotted == '.') {
			gen_add(t, "__");
			capital = 1;
		} else if (*dotted == '_') {
			capital = 1;
		} else {
			add_char(t, capital ? to_upper(*dotted) : *dotted);
			capital = 0;
		}
	}
}

void gen_guard(struct gen_text *t, const char *path)
{
	for (; *path; path++) {
		if (upper(*path) || lower(*path) || digit(*path))
			add_char(t, *path);
		else
			gen_add(t, "_%02x", (unsigned)(unsigned char)*path);
	}
}
