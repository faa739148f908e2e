/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands, code, templates and inner addresses in a request's values: see inject.h. The rule behind all of it is that what is
 * injected stands behind one word or none, because the value was meant to be a word: an address, a file's name, a number. People
 * write "dogs; cats -x too" and whole programs into forms, but they begin with other words, and then this file looks no further. */
#include "inject.h"

#include <arpa/inet.h>

#include "ndpi.h"

#define BRACES_MAX 64u    /* template braces tried in one value, */
#define BRACE_MAX 256u    /* bytes between them */
#define CALLS_MAX 256u    /* brackets tried in one value */
#define HOST_MAX 256u     /* longer names are none */
#define HEAD_MAX 1024u    /* bytes of a part's head */

#define RCE DPI_RISK_BIT(NDPI_URL_POSSIBLE_RCE_INJECTION)
#define URL DPI_RISK_BIT(NDPI_HTTP_SUSPICIOUS_URL)

/* --- commands ------------------------------------------------------------------------------------------------------------ */

enum { NUMBER = 1, HOST = 2, NO_SLASH = 4, NEVER_ALONE = 8, ALWAYS = 16, NUMBERED = 32 };

struct command {
	const char *name;
	unsigned how; /* NUMBER, HOST: such an argument is one; NO_SLASH: "/x" is none; NEVER_ALONE: a usual word; ALWAYS: none;
		       * NUMBERED: a number may follow, "python3.11" */
};

static const struct command commands[] = {
	{ "base64", 0 },      { "bash", 0 },       { "busybox", 0 },       { "cat", 0 },
	{ "certutil", 0 },    { "chmod", NUMBER }, { "chown", 0 },         { "cmd", 0 },
	{ "cp", 0 },          { "curl", HOST },    { "dash", 0 },          { "dig", HOST },
	{ "dir", 0 },         { "echo", NEVER_ALONE }, { "env", 0 },       { "grep", 0 },
	{ "hostname", NEVER_ALONE }, { "id", 0 },  { "ifconfig", 0 },      { "ipconfig", 0 },
	{ "ksh", 0 },         { "ls", 0 },         { "mkfifo", 0 },        { "mv", 0 },
	{ "nc", HOST },       { "ncat", HOST },    { "net", NEVER_ALONE }, { "netcat", HOST },
	{ "netstat", 0 },     { "node", NEVER_ALONE }, { "nslookup", HOST }, { "perl", NUMBERED },
	{ "php", NUMBERED },         { "ping", HOST }, { "powershell", 0 }, { "printenv", 0 },
	{ "printf", NEVER_ALONE }, { "ps", 0 },    { "pwd", 0 },           { "python", NUMBERED },
	{ "rm", 0 },          { "ruby", NUMBERED },       { "sh", 0 },            { "sleep", NUMBER | NEVER_ALONE },
	{ "socat", HOST },    { "sudo", 0 },       { "systeminfo", ALWAYS }, { "tail", NEVER_ALONE },
	{ "telnet", HOST },   { "timeout", NUMBER | NEVER_ALONE }, { "touch", NEVER_ALONE }, { "type", NO_SLASH | NEVER_ALONE },
	{ "uname", 0 },       { "wget", HOST },    { "whoami", ALWAYS },   { "zsh", 0 },
};

static int separator(uint8_t c)
{
	return c == ';' || c == '|' || c == '&' || c == '\n';
}

static int quote(uint8_t c)
{
	return c == '\'' || c == '"';
}

static int closes(uint8_t c)
{
	return separator(c) || quote(c) || c == ')' || c == '`' || c == '#';
}

static int word_end(uint8_t c)
{
	return blank(c) || closes(c) || c == '<' || c == '>' || c == '$';
}

static int alnum(uint8_t c)
{
	return digit(c) || letter(lower(c));
}

static size_t blanks(struct text t)
{
	size_t i = 0;

	while (i < t.len && blank(t.p[i]) && t.p[i] != '\n')
		i++;
	return i;
}

/* The command that t begins with, NULL: none; *len: its bytes, "python3.11" and "cmd.exe" included. */
static const struct command *command_at(struct text t, size_t *len)
{
	size_t n = 0;

	while (n < t.len && n < 12 && letter(lower(t.p[n])))
		n++;
	if (begins(t, "base64"))
		n = 6;
	const struct command *found = NULL;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]) && !found; i++)
		if (strlen(commands[i].name) == n && begins(t, commands[i].name))
			found = &commands[i];
	if (!found || (n == 2 && memcmp(t.p, found->name, 2) != 0)) /* "Nc" is chance, "Whoami" is Windows */
		return NULL;
	while ((found->how & NUMBERED) && n + 1 < t.len && n < 20 && (digit(t.p[n]) || (t.p[n] == '.' && digit(t.p[n + 1]))))
		n++;
	if ((found->how & NUMBERED) && n + 1 == t.len && digit(t.p[n]))
		n++;
	if (begins(behind(t, n), ".exe"))
		n += 4;
	*len = n;
	return n >= t.len || word_end(t.p[n]) ? found : NULL;
}

/* 1 when a command line goes on like this, and prose does not. */
static int is_argument(struct text t, unsigned how)
{
	size_t n = 0;

	if (t.len && quote(t.p[0]))
		t = behind(t, 1);
	if (t.len < 1)
		return 0;
	uint8_t c = t.p[0], next = t.len > 1 ? t.p[1] : 0;
	if ((c == '/' && !(how & NO_SLASH) && alnum(next)) || (c == '-' && alnum(next)))
		return 1;
	if (c == '$' && (next == '(' || next == '{'))
		return 1;
	if (begins(t, "~/") || begins(t, "./") || begins(t, "../") || begins(t, "\\\\"))
		return 1;
	if (c == '<' || c == '>') {
		struct text file = behind(t, 1);
		file = behind(file, blanks(file));
		return begins(file, "/") || begins(file, "&") || begins(file, "./") || begins(file, "../");
	}
	if (letter(lower(c)) && next == ':' && t.len > 2 && t.p[2] == '\\')
		return 1;
	while (n < t.len && !blank(t.p[n]) && !closes(t.p[n]))
		n++;
	struct text word = { t.p, n };
	if ((how & NUMBER) && n) {
		size_t i = 0;
		while (i < n && (digit(word.p[i]) || word.p[i] == '.'))
			i++;
		size_t rest = blanks(behind(t, n));
		if (i == n && (n + rest >= t.len || closes(t.p[n + rest])))
			return 1;
	}
	if (how & HOST) {
		if (find(word, "://"))
			return 1;
		for (size_t i = 0; i < n; i++)
			if (!alnum(word.p[i]) && !memchr(".-_:/@", word.p[i], 6))
				return 0;
		for (size_t i = 1; i + 1 < n; i++)
			if (word.p[i] == '.' && alnum(word.p[i - 1]) && alnum(word.p[i + 1]))
				return 1;
	}
	return 0;
}

/* What follows a separator or the beginning of a substitution: 1 when it is a command. bare: before it there was no letter. */
static int runs(struct text t, int substitutes, int bare)
{
	static const char *const folders[] = { "/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/", "/usr/local/bin/" };
	int path = 0;
	size_t n;

	t = behind(t, blanks(t));
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]) && !path; i++)
		if (begins(t, folders[i])) {
			t = behind(t, strlen(folders[i]));
			path = 1;
		}
	const struct command *c = command_at(t, &n);
	if (!c || path)
		return c != NULL;
	struct text rest = behind(t, n);
	if (begins(rest, "$IFS") || begins(rest, "${IFS"))
		return 1;
	size_t gap = blanks(rest);
	if (gap == rest.len || closes(rest.p[gap])) {
		if (!substitutes)
			return (bare && !(c->how & NEVER_ALONE)) || (c->how & ALWAYS);
		if (rest.len - gap > 1 && rest.p[gap + 1] == '.')
			return 0; /* "$(id).hide()" of jQuery */
		return gap < rest.len && (rest.p[gap] == ')' || rest.p[gap] == '`');
	}
	if (!gap && rest.p[0] != '<' && rest.p[0] != '>')
		return 0;
	return is_argument(behind(rest, gap), c->how);
}

/* Markdown puts what is code between back quotes, in the midst of words: only one that ends the value is a substitution. */
static int ends_quoted(struct text v)
{
	while (v.len && (blank(v.p[v.len - 1]) || quote(v.p[v.len - 1]) || separator(v.p[v.len - 1])))
		v.len--;
	unsigned quotes = 0;
	for (size_t i = 0; i < v.len; i++)
		quotes += v.p[i] == '`';
	return quotes && quotes <= 2 && v.p[v.len - 1] == '`';
}

static int has_command(struct text v)
{
	int bare = 1, dotted = 0, gap = 0, after = 1, quoted = ends_quoted(v);
	size_t n, first = blanks(v);
	int line = command_at(behind(v, first), &n) != NULL; /* a command line of somebody's: "curl -s a | bash" */

	if (begins(behind(v, first), "```"))
		return 0; /* Markdown's way to say that code follows */
	for (size_t i = first; i < v.len; i++) {
		uint8_t c = v.p[i], next = i + 1 < v.len ? v.p[i + 1] : 0;
		int cuts = separator(c), expands = c == '$' && next == '(', quotes = c == '`';
		if (blank(c) && c != '\n') {
			gap = 1;
			continue;
		}
		if (gap && !after && !bare && !cuts)
			return 0; /* a second word */
		gap = 0;
		after = cuts;
		if (!cuts && !expands && !quotes) {
			bare = bare && (digit(c) || c == '.' || c == ')' || quote(c));
			dotted |= c == '.';
			continue;
		}
		if (line && !bare && (c == '|' || (c == '&' && next == '&')))
			return 0;
		int alone = bare && (c != '&' || next == '&' || dotted || i == first); /* but "5 & cat" is none */
		if ((!quotes || quoted) && runs(behind(v, i + (expands ? 2 : 1)), !cuts, alone))
			return 1;
	}
	return 0;
}

/* --- code and templates ---------------------------------------------------------------------------------------------------- */

static int is_sum(struct text t)
{
	int digits = 0, times = 0, behind_it = 0;

	for (size_t i = 0; i < t.len; i++) {
		uint8_t c = t.p[i];
		if (digit(c)) {
			digits += !times;
			behind_it += times;
		} else if (c == '*' && digits && !times) {
			times = 1;
		} else if (!blank(c) && !quote(c) && c != '=') {
			return 0;
		}
	}
	return behind_it != 0;
}

static int has_any(struct text t, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (find(t, words[i]))
			return 1;
	return 0;
}

/* v: what stands before the first blank, but for what is between braces. */
static int has_template(struct text v)
{
	static const char *const opens[] = { "{{", "${", "#{", "<%", "%{", "*{" };
	static const char *const words[] = { "__class__", "__globals__", "__init__", "__subclasses__", "__builtins__",
	    "__mro__",
					     "popen(", "getRuntime", "java.lang.", "constructor(", "ognl", "|attr(" };
	unsigned tried = 0;

	for (size_t i = 0; i + 1 < v.len && tried < BRACES_MAX && !blank(v.p[i]); i++) {
		int found = 0;
		if (v.p[i + 1] != '{' && v.p[i + 1] != '%')
			continue;
		for (size_t k = 0; k < sizeof(opens) / sizeof(opens[0]) && !found; k++)
			found = memcmp(v.p + i, opens[k], 2) == 0;
		if (!found)
			continue;
		struct text in = behind(v, i + 2);
		if (in.len > BRACE_MAX)
			in.len = BRACE_MAX;
		const uint8_t *end = find(in, v.p[i] == '<' ? "%>" : "}");
		tried++;
		if (!end)
			continue;
		in.len = (size_t)(end - in.p);
		if (is_sum(in) || has_any(in, words, sizeof(words) / sizeof(words[0])))
			return 1;
	}
	return 0;
}

static int is_input(struct text t)
{
	return begins(t, "$_GET") || begins(t, "$_POST") || begins(t, "$_REQUEST") || begins(t, "$_COOKIE") ||
	       begins(t, "$_SERVER") || begins(t, "base64_decode(");
}

/* A call that runs its argument, of what a request brings or of a command's name. any: whatever its argument is. */
static int has_call(struct text t, int any)
{
	static const char *const calls[] = { "assert", "eval", "exec", "passthru", "popen", "proc_open", "shell_exec",
	    "system" };
	const uint8_t *p = t.len ? memchr(t.p, '(', t.len) : NULL;

	for (unsigned tried = 0; p && tried < CALLS_MAX; tried++) {
		struct text in = from(t, p + 1);
		for (size_t k = 0; k < sizeof(calls) / sizeof(calls[0]); k++) {
			size_t n = strlen(calls[k]), before = (size_t)(p - t.p), len;
			if (before < n || strncasecmp((const char *)p - n, calls[k], n) != 0 ||
			    (before > n && (alnum(p[-(ptrdiff_t)n - 1]) || p[-(ptrdiff_t)n - 1] == '_')))
				continue;
			if (any || is_input(in) || (in.len && quote(in.p[0]) && command_at(behind(in, 1), &len)))
				return 1;
		}
		p = in.len ? memchr(in.p, '(', in.len) : NULL;
	}
	return 0;
}

/* O:8:"Example1":1:{ as serialize() of PHP writes it. */
static int is_object(struct text v)
{
	size_t i = 2, said = 0;

	if (v.len < 10 || memcmp(v.p, "O:", 2) != 0)
		return 0;
	for (; i < v.len && i < 6 && digit(v.p[i]); i++)
		said = said * 10 + (size_t)(v.p[i] - '0');
	struct text name = behind(v, i);
	if (!said || !begins(name, ":\"") || name.len < said + 5)
		return 0;
	return begins(behind(name, said + 2), "\":") && digit(name.p[said + 4]);
}

static int has_code(struct text v)
{
	static const char *const words[] = { "__import__('", "__import__(\"", "getRuntime().exec(", "T(java.lang.",
	    "@java.lang.",
					     "@ognl.", "#_memberAccess" };
	struct text word = v;

	v = behind(v, blanks(v));
	word = v;
	for (size_t i = 0; i < word.len; i++)
		if (blank(word.p[i]))
			word.len = i;
	const uint8_t *php = find(word, "<?");
	if (php && (begins(from(word, php), "<?php") || begins(from(word, php), "<?="))) {
		struct text code = from(v, php);
		if (has_call(code, 1) || find(code, "base64_decode(") || find(code, "phpinfo(") || find(code, "$_GET") ||
		    find(code, "$_POST") || find(code, "$_REQUEST"))
			return 1;
	}
	return has_any(word, words, sizeof(words) / sizeof(words[0])) || has_call(word, 0) || is_object(v);
}

/* --- addresses ------------------------------------------------------------------------------------------------------------- */

static int one_of(struct text name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (name.len == strlen(names[i]) && begins(name, names[i]))
			return 1;
	return 0;
}

/* Parameters that say where a browser is, or goes next: no server fetches them. OAuth clients of one's own machine wait at
 * addresses of it (RFC 8252, section 7.3). */
static int sends_browser(struct text name)
{
	static const char *const exact[] = { "back", "continue", "dl", "dr", "from", "goto", "next", "origin", "ref", "referer",
					     "referrer", "relaystate", "service", "target_link_uri", "wreply" };

	return begins(name, "redirect") || begins(name, "return") || begins(name, "post_logout") || begins(name, "callback") ||
	       one_of(name, exact, sizeof(exact) / sizeof(exact[0]));
}

static int searches(struct text name)
{
	static const char *const exact[] = { "q", "query", "s", "search", "term", "text", "keyword", "keywords" };

	return one_of(name, exact, sizeof(exact) / sizeof(exact[0]));
}

enum place { ELSEWHERE = 0, NEAR, INNER }; /* NEAR: this machine, private networks; INNER: nobody's honest business in a value */

static enum place ipv4_place(uint32_t a)
{
	if (a >> 16 == 0xa9fe)
		return INNER;
	if (a >> 24 == 127 || a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a == 0)
		return NEAR;
	return ELSEWHERE;
}

static enum place host_place(const char *host)
{
	static const char *const clouds[] = { "metadata", "metadata.google.internal", "instance-data" };
	struct in_addr v4;
	struct in6_addr v6;
	size_t n = strlen(host);

	/* inet_aton takes what browsers and libraries take: one number, octal, hexadecimal, fewer parts. */
	if (n && digit((uint8_t)host[0]) && inet_aton(host, &v4)) {
		struct in_addr plain;
		enum place at = ipv4_place(ntohl(v4.s_addr));
		return at && inet_pton(AF_INET, host, &plain) != 1 ? INNER : at;
	}
	if (inet_pton(AF_INET6, host, &v6) == 1) {
		uint32_t last = (uint32_t)v6.s6_addr[12] << 24 | (uint32_t)v6.s6_addr[13] << 16 | (uint32_t)v6.s6_addr[14] << 8 |
				v6.s6_addr[15];
		if (IN6_IS_ADDR_V4MAPPED(&v6))
			return ipv4_place(last) ? INNER : ELSEWHERE;
		if (IN6_IS_ADDR_LINKLOCAL(&v6))
			return INNER;
		return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6) ||
		       (v6.s6_addr[0] & 0xfe) == 0xfc ? NEAR : ELSEWHERE;
	}
	for (size_t i = 0; i < sizeof(clouds) / sizeof(clouds[0]); i++)
		if (strcasecmp(host, clouds[i]) == 0)
			return INNER;
	if (strcasecmp(host, "localhost") == 0 || (n > 10 && strcasecmp(host + n - 10, ".localhost") == 0))
		return NEAR;
	return ELSEWHERE;
}

/* Where the authority of a URL is (RFC 3986, section 3.2). */
static enum place authority_place(struct text t)
{
	char host[HOST_MAX];
	size_t n = 0, start = 0;

	while (n < t.len && !strchr("/\\?#", t.p[n] ? t.p[n] : '/'))
		n++;
	t.len = n;
	for (size_t i = 0; i < t.len; i++)
		if (t.p[i] == '@')
			start = i + 1;
	t = behind(t, start);
	if (t.len && t.p[0] == '[') {
		const uint8_t *end = memchr(t.p, ']', t.len);
		t = behind(t, 1);
		t.len = end && t.len ? (size_t)(end - t.p) : 0;
	} else {
		const uint8_t *colon = t.len ? memchr(t.p, ':', t.len) : NULL;
		t.len = colon ? (size_t)(colon - t.p) : t.len;
	}
	while (t.len && t.p[t.len - 1] == '.')
		t.len--;
	if (t.len == 0 || t.len >= sizeof(host))
		return ELSEWHERE;
	memcpy(host, t.p, t.len);
	host[t.len] = 0;
	return host_place(host);
}

static int is_inner(struct text name, struct text v)
{
	static const char *const files[] = { "/etc/passwd", "/etc/shadow", "/proc/self/", "/proc/1/",
					     "c:\\windows\\", "c:/windows/" };
	static const char *const odd[] = { "gopher://", "dict://", "netdoc:/", "jar:http", "php://filter/", "expect://",
					   "data://text/", "phar://" };
	static const char *const fetched[] = { "http://", "https://", "ftp://", "//" };

	v = behind(v, blanks(v));
	for (size_t i = 0; i < v.len; i++)
		if (blank(v.p[i]))
			return 0; /* who writes of an address goes on about it */
	for (size_t i = 0; i < sizeof(fetched) / sizeof(fetched[0]); i++)
		if (begins(v, fetched[i])) {
			enum place at = authority_place(behind(v, strlen(fetched[i])));
			return at == INNER || (at == NEAR && !sends_browser(name));
		}
	if (searches(name))
		return 0;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (begins(v, files[i]))
			return 1;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		if (begins(v, odd[i]))
			return 1;
	return begins(v, "file:/") && !sends_browser(name);
}

uint64_t dpi_inject_value(struct text name, struct text value)
{
	uint64_t risks = 0;

	if (!value.len)
		return 0;
	if (has_command(value) || has_template(value) || has_code(value))
		risks |= RCE;
	if (is_inner(name, value))
		risks |= URL;
	return risks;
}

/* --- uploads --------------------------------------------------------------------------------------------------------------- */

int dpi_inject_source(struct text t)
{
	if (begins(t, "\xef\xbb\xbf"))
		t = behind(t, 3);
	while (t.len && blank(t.p[0]))
		t = behind(t, 1);
	if (begins(t, "#!"))
		return begins(behind(t, 2 + blanks(behind(t, 2))), "/");
	return begins(t, "<?php") || begins(t, "<?=") || begins(t, "<%");
}

int dpi_inject_source_within(struct text t)
{
	return find(t, "<?php") || find(t, "<?=") || find(t, "<%");
}

int dpi_inject_runnable(struct text head)
{
	static const char *const ends[] = { ".php", ".phtml", ".phar", ".jsp", ".jspx", ".asp", ".aspx", ".php5", ".php7" };

	if (head.len > HEAD_MAX)
		head = behind(head, head.len - HEAD_MAX);
	const uint8_t *p = find(head, "filename=\"");
	if (!p)
		return 0;
	struct text name = from(head, p + 10);
	const uint8_t *end = name.len ? memchr(name.p, '"', name.len) : NULL;
	if (!end)
		return 0;
	name.len = (size_t)(end - name.p);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (name.len >= strlen(ends[i]) && begins(behind(name, name.len - strlen(ends[i])), ends[i]))
			return 1;
	return 0;
}
