/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP where nDPI does not look: see risk.h. Parses no more than it needs: the first line, where the headers end, the values of
 * a form. Nothing here depends on where a message was cut; what is not there is not found. */
#include "risk.h"

#include "inject.h"

#define DECODES_MAX 3u    /* layers of percent-encoding in a target */
#define LOOKUP_MAX 256u   /* bytes of a Log4j lookup that are resolved */
#define LOOKUPS_MAX 64u   /* tried in one payload */
#define PROGRAM_BYTES 4096u /* shown to libmagic, */
#define PROGRAMS_MAX 4u   /* so often for one payload: what looks more often like the start of one was made to */
#define AGENT_MAX 256u      /* bytes of a user agent; longer ones are suspicious to nDPI */
#define TUNNEL_NAME_BYTES 120u /* a name that carries data: longer than this, */
#define TUNNEL_LABEL_BYTES 50u /* with labels of so many bytes */
#define ENTITIES_MAX 64u  /* declarations, */
#define ENTITY_MAX 512u   /* and bytes of each up to its system identifier */

static int hex(uint8_t c)
{
	return digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* Takes one layer of percent-encoding away, in place or not; what is no code stays as it is. Bytes written. */
static size_t decode(const uint8_t *in, size_t len, uint8_t *out, int form)
{
	size_t n = 0;

	for (size_t i = 0; i < len; n++) {
		if (in[i] == '%' && len - i > 2 && hex(in[i + 1]) >= 0 && hex(in[i + 2]) >= 0) {
			out[n] = (uint8_t)(hex(in[i + 1]) << 4 | hex(in[i + 2]));
			i += 3;
		} else {
			out[n] = form && in[i] == '+' ? ' ' : in[i];
			i++;
		}
	}
	return n;
}

/* --- Log4j ------------------------------------------------------------------------------------------------------------- */

/* "${lower:j}" is "j", "${env:X:-j}" is "j", "${::-j}" too: resolves the innermost of what begins at "${" until nothing is left,
 * and says whether one of them was a JNDI lookup. */
static int is_jndi(struct text at)
{
	uint8_t t[LOOKUP_MAX];
	size_t n = at.len < sizeof(t) ? at.len : sizeof(t);

	for (size_t i = 0; i < n; i++)
		t[i] = lower(at.p[i]);
	for (;;) { /* each round takes at least the three bytes of a lookup away */
		struct text all = { t, n };
		if (find(all, "${jndi:"))
			return 1;
		const uint8_t *close = memchr(t, '}', n), *open = NULL;
		if (!close)
			return 0;
		for (const uint8_t *p = t; p + 1 < close; p++)
			if (p[0] == '$' && p[1] == '{')
				open = p;
		if (!open) { /* a brace that closes nothing */
			size_t skip = (size_t)(close - t) + 1;
			memmove(t, t + skip, n -= skip);
			continue;
		}
		struct text inner = { open + 2, (size_t)(close - open) - 2 }, value = { close, 0 };
		const uint8_t *other = find(inner, ":-");
		if (other)
			value = from(inner, other + 2);
		else if (begins(inner, "lower:") || begins(inner, "upper:"))
			value = from(inner, inner.p + 6);
		size_t to = (size_t)(open - t), rest = n - (size_t)(close + 1 - t);
		memmove(t + to, value.p, value.len);
		memmove(t + to + value.len, close + 1, rest);
		n = to + value.len + rest;
	}
}

static int has_jndi(struct text t)
{
	const uint8_t *p = t.len ? memchr(t.p, '$', t.len) : NULL;

	for (unsigned tried = 0; p && tried < LOOKUPS_MAX;) {
		t = from(t, p);
		if (t.len > 1 && t.p[1] == '{') {
			if (is_jndi(t))
				return 1;
			tried++;
		}
		p = t.len > 1 ? memchr(t.p + 1, '$', t.len - 1) : NULL;
	}
	return 0;
}

/* --- targets and forms --------------------------------------------------------------------------------------------------- */

/* One parameter of a URL or a form: what its value would do where it is run or fetched. */
static uint64_t parameter_risks(struct text name, struct text v)
{
	uint8_t t[DPI_RISK_VALUE_MAX];
	size_t n = v.len < sizeof(t) ? v.len : sizeof(t), was, odd = 0;

	while (odd < n && (digit(v.p[odd]) || letter(lower(v.p[odd])) || v.p[odd] == '-' || v.p[odd] == '_' || v.p[odd] == '+'))
		odd++;
	if (odd == n)
		return 0;
	n = decode(v.p, n, t, 1);
	for (unsigned i = 1; i < DECODES_MAX && memchr(t, '%', n); i++) {
		was = n;
		n = decode(t, n, t, 0);
		if (n == was)
			break;
	}
	return dpi_inject_value(name, (struct text){ t, n });
}

/* The parameters of a URL. A form's are told apart in the same way, but nDPI has seen a URL's already. */
static uint64_t query_risks(struct text query, uint64_t (*more)(struct text v))
{
	uint64_t risks = 0;

	for (unsigned i = 0; i < DPI_RISK_VALUES_MAX && query.len; i++) {
		const uint8_t *end = memchr(query.p, '&', query.len);
		struct text one = { query.p, end ? (size_t)(end - query.p) : query.len }, name = { query.p, 0 }, value = one;
		const uint8_t *equals = one.len ? memchr(one.p, '=', one.len) : NULL;
		if (equals) {
			name.len = (size_t)(equals - one.p);
			value = from(one, equals + 1);
		}
		if (value.len)
			risks |= parameter_risks(name, value);
		if (more && equals && value.len)
			risks |= more(value);
		if (!end)
			break;
		query = from(query, end + 1);
	}
	return risks;
}

static int separates(uint8_t c)
{
	return c == '/' || c == '\\' || c == '=' || c == '?' || c == '&' || c == ';';
}

/* Decoded: ".." where a path has a step. The overlong forms of "." and "/" count as these. */
static int climbs(uint8_t *t, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; n++) {
		int over = t[i] == 0xc0 && len - i > 1 && (t[i + 1] == 0xae || t[i + 1] == 0xaf);
		t[n] = over ? (t[i + 1] == 0xae ? '.' : '/') : t[i];
		i += over ? 2 : 1;
	}
	for (size_t i = 0; i + 2 < n; i++)
		if (t[i] == '.' && t[i + 1] == '.' && (i == 0 || separates(t[i - 1])) && separates(t[i + 2]))
			return 1;
	return 0;
}

static uint64_t target_risks(struct text target)
{
	uint8_t t[DPI_RISK_VALUE_MAX];
	size_t n = target.len < sizeof(t) ? target.len : sizeof(t), was;
	uint64_t risks = 0;

	const uint8_t *query = target.len ? memchr(target.p, '?', target.len) : NULL;
	if (query)
		risks |= query_risks(from(target, query + 1), NULL);
	if (!memchr(target.p, '%', target.len))
		return risks; /* nDPI has seen all of the rest */
	memcpy(t, target.p, n);
	for (unsigned i = 0; i < DECODES_MAX; i++) {
		was = n;
		n = decode(t, n, t, 0);
		if (n == was)
			break;
	}
	if (has_jndi((struct text){ t, n }))
		risks |= DPI_RISK_BIT(NDPI_POSSIBLE_EXPLOIT);
	if (climbs(t, n))
		risks |= DPI_RISK_BIT(NDPI_HTTP_SUSPICIOUS_URL);
	return risks;
}

/* One value of a form, as if it stood in a URL: there nDPI looks. Of its answers those count that are about the value. */
static uint64_t value_risks(struct text v)
{
	char url[3 + 3 * DPI_RISK_VALUE_MAX + 1];
	uint8_t t[DPI_RISK_VALUE_MAX];
	static const char digit[] = "0123456789abcdef";
	size_t at = 3, n = decode(v.p, v.len < sizeof(t) ? v.len : sizeof(t), t, 1);
	int plain = 1;

	if (has_jndi((struct text){ t, n }))
		return DPI_RISK_BIT(NDPI_POSSIBLE_EXPLOIT);
	memcpy(url, "?x=", 3);
	for (size_t i = 0; i < n; i++) {
		uint8_t c = t[i] ? t[i] : ' '; /* it would end the text for nDPI */
		plain = plain && ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == ' ' || c == '-');
		url[at++] = '%';
		url[at++] = digit[c >> 4];
		url[at++] = digit[c & 15];
	}
	if (plain)
		return 0;
	url[at] = 0;
	return DPI_RISK_BIT(ndpi_validate_url(url)) &
	       (DPI_RISK_BIT(NDPI_URL_POSSIBLE_XSS) | DPI_RISK_BIT(NDPI_URL_POSSIBLE_SQL_INJECTION));
}

/* --- headers and bodies ---------------------------------------------------------------------------------------------------- */

/* A value "() { ..." of a header or a cookie: what Bash took for a function of the environment. */
static int has_shell_function(struct text head)
{
	for (const uint8_t *p = find(head, "() {"); p; p = find(from(head, p + 4), "() {")) {
		const uint8_t *before = p;
		while (before > head.p && before[-1] == ' ')
			before--;
		if (before > head.p && (before[-1] == ':' || before[-1] == '='))
			return 1;
	}
	return 0;
}

/* Programs that look for holes, by the names that they give themselves; who hides it is not found here. `low` is a head without
 * capitals. */
static int is_scanner(struct text low)
{
	static const char *const scanners[] = {
		"acunetix", "arachni", "commix", "dirbuster", "feroxbuster", "fuzz faster u fool", "gobuster",
		"havij", "masscan", "nessus", "nikto", "nmap scripting engine", "nuclei", "openvas",
		"sqlmap", "w3af", "wapiti", "wfuzz", "whatweb", "wpscan", "zgrab",
	};
	const uint8_t *at = find(low, "\nuser-agent:");
	uint32_t initials = 0;

	if (!at)
		return 0;
	for (size_t i = 0; i < sizeof(scanners) / sizeof(scanners[0]); i++)
		initials |= 1u << (scanners[i][0] - 'a');
	struct text agent = from(low, at + 12);
	const uint8_t *end = agent.len ? memchr(agent.p, '\n', agent.len) : NULL;
	if (end)
		agent.len = (size_t)(end - agent.p);
	if (agent.len > AGENT_MAX)
		agent.len = AGENT_MAX;
	for (size_t at_word = 0; at_word < agent.len; at_word++) {
		uint8_t c = agent.p[at_word];
		if (!letter(c) || !(initials >> (c - 'a') & 1) || (at_word && letter(agent.p[at_word - 1])))
			continue;
		for (size_t i = 0; i < sizeof(scanners) / sizeof(scanners[0]); i++)
			if (c == (uint8_t)scanners[i][0] && begins(from(agent, agent.p + at_word), scanners[i]))
				return 1;
	}
	return 0;
}

/* XML 1.0, section 4.2: '<!ENTITY' S ('%' S)? Name S ('SYSTEM' | 'PUBLIC'). */
static int has_external_entity(struct text body)
{
	const uint8_t *p = find(body, "<!ENTITY");

	for (unsigned tried = 0; p && tried < ENTITIES_MAX; tried++) {
		struct text t = from(body, p + 8);
		p = find(t, "<!ENTITY");
		size_t i = 0;
		if (t.len > ENTITY_MAX)
			t.len = ENTITY_MAX;
		while (i < t.len && (blank(t.p[i]) || t.p[i] == '%'))
			i++;
		while (i < t.len && !blank(t.p[i]) && t.p[i] != '>')
			i++;
		while (i < t.len && blank(t.p[i]))
			i++;
		t = from(t, t.p + i);
		if (begins(t, "SYSTEM") || begins(t, "PUBLIC"))
			return 1;
	}
	return 0;
}

static int starts_as_program(struct text t)
{
	static const char *const starts[] = {
		"\177ELF", "MZ", "\xca\xfe\xba\xbe", "\xfe\xed\xfa", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe",
	};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (t.len > 8 && memcmp(t.p, starts[i], strlen(starts[i])) == 0)
			return 1;
	return 0;
}

static int is_program(struct magic_set *magic, struct text t, unsigned *tried)
{
	if (!starts_as_program(t))
		return 0;
	if (++*tried > PROGRAMS_MAX)
		return 1;
	size_t len = t.len < PROGRAM_BYTES ? t.len : PROGRAM_BYTES;

	return (dpi_kinds_of(magic, DPI_KIND_EXECUTABLE, t.p, len) & DPI_KIND_EXECUTABLE) != 0;
}

/* Programs, and in what a client sends the source of one. */
static int has_program(struct magic_set *magic, struct text low, struct text body, int upload)
{
	unsigned tried = 0;

	if (!body.len)
		return 0;
	if (is_program(magic, body, &tried) || (upload && dpi_inject_source(body)))
		return 1;
	if (find(low, "chunked")) { /* behind the first chunk's size */
		const uint8_t *end = find((struct text){ body.p, body.len < 16 ? body.len : 16 }, "\r\n");
		struct text chunk = end ? from(body, end + 2) : (struct text){ body.p, 0 };
		return is_program(magic, chunk, &tried) || (upload && dpi_inject_source(chunk));
	}
	if (!find(low, "multipart/"))
		return 0;
	const uint8_t *p = find(body, "\r\n\r\n"), *next;
	struct text head = body;
	for (unsigned i = 0; p && i < DPI_RISK_VALUES_MAX; i++, p = next) {
		struct text part = from(body, p + 4);
		next = find(part, "\r\n\r\n");
		head.len = (size_t)(p - head.p);
		if (is_program(magic, part, &tried) || (upload && dpi_inject_source(part)))
			return 1;
		struct text content = { part.p, next ? (size_t)(next - part.p) : part.len };
		if (upload && dpi_inject_runnable(head) && dpi_inject_source_within(content))
			return 1;
		head = part;
	}
	return 0;
}

uint64_t dpi_risks_http(struct magic_set *magic, const uint8_t *p, size_t len)
{
	struct text all = { p, len }, head = all, body = { p, 0 };
	const uint8_t *end = find(all, "\r\n\r\n");
	uint8_t small[DPI_RISK_VALUE_MAX];
	uint64_t risks = 0;

	if (end) {
		head.len = (size_t)(end - p) + 2;
		body = from(all, end + 4);
	}
	struct text low = { small, head.len < sizeof(small) ? head.len : sizeof(small) };
	for (size_t i = 0; i < low.len; i++)
		small[i] = lower(head.p[i]);
	if (has_jndi(all) || has_shell_function(head) || has_external_entity(body))
		risks |= DPI_RISK_BIT(NDPI_POSSIBLE_EXPLOIT);
	int answers = begins(all, "HTTP/");
	if (has_program(magic, low, body, !answers))
		risks |= DPI_RISK_BIT(NDPI_BINARY_APPLICATION_TRANSFER);
	if (answers)
		return risks;
	if (is_scanner(low))
		risks |= DPI_RISK_BIT(NDPI_HTTP_SUSPICIOUS_USER_AGENT);
	const uint8_t *space = memchr(p, ' ', len), *eol = memchr(p, '\n', len);
	if (space && (!eol || space < eol)) {
		struct text target = from(all, space + 1);
		for (size_t i = 0; i < target.len; i++)
			if (blank(target.p[i]))
				target.len = i;
		risks |= target_risks(target);
	}
	if (body.len && find(low, "application/x-www-form-urlencoded"))
		risks |= query_risks(body, value_risks);
	return risks;
}

/* RFC 1035, sections 4.1.1 and 3.1: the first question's name. A host's name is made of words, also where it is long; what is sent
 * out in names fills labels, and two of them. */
uint64_t dpi_risks_dns(const uint8_t *p, size_t len)
{
	struct text t = { p, len };
	size_t name = 0, full = 0;

	if (len > 2 && ((size_t)p[0] << 8 | p[1]) == len - 2)
		t = behind(t, 2); /* over TCP */
	if (t.len < 12 || (t.p[4] == 0 && t.p[5] == 0))
		return 0;
	t = behind(t, 12);
	while (t.len && t.p[0] && t.p[0] < 64 && t.p[0] < t.len && name < 255) {
		size_t n = t.p[0], i = 1;
		/* Base32, base64, hexadecimal: no hyphens, which names of such a length have. */
		while (i <= n && t.p[i] != '-' && t.p[i] != '_' && t.p[i] != '.')
			i++;
		full += n >= TUNNEL_LABEL_BYTES && i > n;
		name += n + 1;
		t = behind(t, n + 1);
	}
	return full >= 2 && name > TUNNEL_NAME_BYTES ? DPI_RISK_BIT(NDPI_DNS_SUSPICIOUS_TRAFFIC) : 0;
}
