/* SPDX-License-Identifier: BSD-2-Clause */
/* Decisions as JSON and as sentences. The writer is control.c; the reader is `weft tail`. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "fabric/config.h"
#include "fabric/decision.h"
#include "fabric/decision_json.h"
#include "fabric/epoch.h"
#include "fabric/policies.h"
#include "guest-lib/verdict.h"
#include "guest-lib/wire.h"

#define TEXT_MAX 512u /* bytes of a rule's text, its file or a subject in a line: longer ones are cut */

/* Length of the well-formed UTF-8 character at p (Unicode 15, table 3-7), its code point in *cp; 0: not one. */
static size_t utf8_char(const unsigned char *p, size_t len, uint32_t *cp)
{
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || len < n)
		return 0;
	uint32_t c = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*cp = c;
	return n;
}

static int shows_as_itself(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c <= 0x9f) && c != 0x061c && !(c >= 0x200b && c <= 0x200f) &&
	       !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2060 && c <= 0x2069) && c != 0xfeff;
}

char *fab_text_clean(char *out, size_t cap, const char *in, size_t in_len)
{
	size_t o = 0;
	for (size_t i = 0; i < in_len && in[i];) {
		uint32_t c = 0;
		size_t n = utf8_char((const unsigned char *)in + i, in_len - i, &c);
		int keep = n && shows_as_itself(c);
		size_t put = keep ? n : 1;
		if (o + put + 1 > cap)
			break;
		if (keep)
			memcpy(out + o, in + i, n);
		else
			out[o] = '?';
		o += put;
		i += n ? n : 1;
	}
	if (cap)
		out[o] = 0;
	return out;
}

static json_t *clean_string(const char *s, size_t len)
{
	char buf[TEXT_MAX];
	return json_string(fab_text_clean(buf, sizeof buf, s, len));
}

static json_t *port_name(const struct fab_config *c, uint16_t port)
{
	if (!port || port > c->n)
		return json_null();
	return json_string(c->u[port - 1].name);
}

static const char *kind_name(uint8_t kind)
{
	switch (kind) {
	case WEFT_KIND_ONEWAY:
		return "oneway";
	case WEFT_KIND_REQUEST:
		return "request";
	case WEFT_KIND_REPLY:
		return "reply";
	default:
		return NULL;
	}
}

json_t *fab_time_json(uint64_t ns)
{
	time_t s = (time_t)(ns / 1000000000u);
	struct tm tm;
	char buf[48], whole[32] = "";
	if (gmtime_r(&s, &tm))
		strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, sizeof buf, "%s.%06" PRIu64 "Z", whole, ns % 1000000000u / 1000u);
	return json_string(buf);
}

static json_t *subject_name(const struct pol_set *policy, uint64_t subject)
{
	if (!subject)
		return json_null();
	const char *name = policy ? pol_subject_name(policy, subject) : NULL;
	if (name)
		return clean_string(name, SIZE_MAX);
	char hex[24];
	snprintf(hex, sizeof hex, "0x%016" PRIx64, subject);
	return json_string(hex);
}

/* A rule's own text, name and reason are as long as their file lets them be; what a line can hold is not. */
static int text_set(json_t *o, const char *key, const char *text)
{
	return text ? json_object_set_new(o, key, clean_string(text, SIZE_MAX)) : 0;
}

json_t *fab_rule_json(const struct pol_set *policy, uint32_t rule)
{
	if (!rule)
		return json_null();
	const struct pol_rule_info *info = policy ? pol_rule(policy, rule) : NULL;
	if (!info)
		return json_pack("{s:I}", "id", (json_int_t)rule);
	json_t *o = json_pack("{s:I, s:o, s:I, s:o}", "id", (json_int_t)rule, "file", clean_string(info->file, SIZE_MAX),
			      "line", (json_int_t)info->line, "text", clean_string(info->text, SIZE_MAX));
	if (o && (text_set(o, "name", info->name) < 0 || text_set(o, "reason", info->reason) < 0)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *frame_object(const struct fab_decision *d)
{
	char ip[INET_ADDRSTRLEN] = "", l4[8];
	struct in_addr a = { .s_addr = htonl(d->dst_ip) };
	if (d->dst_ip)
		inet_ntop(AF_INET, &a, ip, sizeof ip);
	const char *name = d->l4 == IPPROTO_TCP    ? "tcp"
			   : d->l4 == IPPROTO_UDP  ? "udp"
			   : d->l4 == IPPROTO_ICMP ? "icmp"
						   : NULL;
	if (!name && d->l4) {
		snprintf(l4, sizeof l4, "%u", d->l4);
		name = l4;
	}
	return json_pack("{s:o, s:s?, s:s?, s:i, s:i}", "protocol", clean_string(d->detail, sizeof d->detail), "l4", name,
			 "dst_ip", ip[0] ? ip : NULL, "src_port", (int)d->src_l4, "dst_port", (int)d->dst_l4);
}

/* A foreign frame's receiver is whoever has its address. */
static uint16_t receiver(const struct fab_decision *d, const struct fab_config *c)
{
	if (d->dst || d->verdict != WEFT_V_FRAME_FOREIGN || !d->dst_ip)
		return d->dst;
	for (uint32_t port = 1; port <= c->n; port++)
		if (weft_ipv4((uint16_t)port) == d->dst_ip)
			return (uint16_t)port;
	return 0;
}

/* What a scan's records and its event have in common. */
static json_t *scan_object(const struct fab_decision *d)
{
	return json_pack("{s:I, s:b, s:I, s:b, s:b}", "peers", (json_int_t)d->scan_peers, "peers_about",
			 (d->scan & FAB_SCAN_PEERS_ABOUT) != 0, "ports", (json_int_t)d->scan_ports, "ports_about",
			 (d->scan & FAB_SCAN_PORTS_ABOUT) != 0, "over", (d->scan & FAB_SCAN_OVER) != 0);
}

/* Renders the object, which it takes, as one line. */
static size_t line_take(char line[FAB_LOG_LINE_MAX], json_t *o)
{
	size_t n = o ? json_dumpb(o, line, FAB_LOG_LINE_MAX - 1, JSON_COMPACT) : 0;
	json_decref(o);
	if (!n || n > FAB_LOG_LINE_MAX - 1)
		return 0;
	line[n] = '\n';
	return n + 1;
}

size_t fab_decision_line(char line[FAB_LOG_LINE_MAX], const struct fab_decision *d, const struct fab_config *c,
			 const struct pol_set *policy, uint64_t boot)
{
	char boot_hex[24];
	int scan = d->scan != 0; /* then subject and offset are something else */
	snprintf(boot_hex, sizeof boot_hex, "%016" PRIx64, boot);
	json_t *o = json_pack("{s:I, s:s, s:o, s:s, s:b, s:o, s:o, s:o, s:s?, s:I, s:o, s:I, s:I, s:I, s:o, s:I}",
			      "id", (json_int_t)d->id, "boot", boot_hex, "time", fab_time_json(d->time_ns),
			      "verdict", weft_verdict_name(d->verdict), "passed", d->verdict == WEFT_V_PASSED,
			      "from", port_name(c, d->src), "to", port_name(c, receiver(d, c)),
			      "subject", subject_name(policy, scan ? 0 : d->subject), "kind", kind_name(d->kind),
			      "message_id", (json_int_t)d->message_id, "rule", fab_rule_json(policy, d->rule),
			      "len", (json_int_t)d->len, "offset", (json_int_t)(scan ? 0 : d->offset),
			      "count", (json_int_t)d->count, "detail", clean_string(d->detail, sizeof d->detail),
			      "policy_epoch", (json_int_t)d->policy_epoch);
	if (o && d->observed &&
	    json_object_set_new(o, "observed", json_string(weft_verdict_name(d->observed))) < 0) {
		json_decref(o);
		return 0;
	}
	if (o && d->verdict == WEFT_V_FRAME_FOREIGN && json_object_set_new(o, "frame", frame_object(d)) < 0) {
		json_decref(o);
		return 0;
	}
	if (o && scan) {
		json_t *s = scan_object(d);
		if (!s || json_object_set_new(s, "event", json_integer((json_int_t)d->subject)) < 0 ||
		    json_object_set_new(s, "ms", json_integer((json_int_t)d->offset)) < 0 ||
		    json_object_set(o, "scan", s) < 0) {
			json_decref(o);
			o = NULL;
		}
		json_decref(s);
	}
	return line_take(line, o);
}

/* What all events have. */
static json_t *event_object(const struct fab_decision *d, uint64_t boot, const char *event)
{
	char boot_hex[24];
	snprintf(boot_hex, sizeof boot_hex, "%016" PRIx64, boot);
	return json_pack("{s:I, s:s, s:o, s:s, s:I}", "id", (json_int_t)d->id, "boot", boot_hex, "time",
			 fab_time_json(d->time_ns), "event", event, "policy_epoch", (json_int_t)d->policy_epoch);
}

static size_t quarantine_line(char line[FAB_LOG_LINE_MAX], const struct fab_decision *d, const struct fab_config *c,
			      const struct fab_epoch *e, uint64_t boot)
{
	json_t *o = event_object(d, boot, "quarantine"), *more;
	if (d->event == FAB_EVENT_LIFTED)
		more = json_pack("{s:o, s:b}", "unikernel", port_name(c, d->src), "quarantined", 0);
	else
		more = json_pack("{s:o, s:b, s:b, s:s, s:o, s:o, s:o}", "unikernel", port_name(c, d->src), "quarantined",
				 d->observed == 0, "observed", d->observed != 0, "verdict", weft_verdict_name(d->verdict),
				 "to", port_name(c, d->dst), "rule", fab_rule_json(e ? e->policy : NULL, d->rule), "detail",
				 clean_string(d->detail, sizeof d->detail));
	if (o && (!more || json_object_update(o, more) < 0)) {
		json_decref(o);
		o = NULL;
	}
	json_decref(more);
	return line_take(line, o);
}

static size_t scan_line(char line[FAB_LOG_LINE_MAX], const struct fab_decision *d, const struct fab_config *c, uint64_t boot)
{
	json_t *o = event_object(d, boot, "scan");
	json_t *more = json_pack("{s:o, s:o, s:o, s:o}", "unikernel", port_name(c, d->src), "to", port_name(c, receiver(d, c)),
				 "scan", scan_object(d), "frame", frame_object(d));
	if (o && (!more || json_object_update(o, more) < 0)) {
		json_decref(o);
		o = NULL;
	}
	json_decref(more);
	return line_take(line, o);
}

/* The folder that an epoch's policies came from, and the digest of all texts in it; null where a test made the epoch. */
static json_t *policies_object(const struct fab_epoch *e)
{
	char digest[2 * FAB_SHA256_LEN + 1];
	if (!e->policies)
		return json_null();
	return json_pack("{s:o, s:s}", "path", clean_string(e->policies->folder->path, SIZE_MAX), "digest",
			 sodium_bin2hex(digest, sizeof digest, e->policies->digest, sizeof e->policies->digest));
}

size_t fab_event_line(char line[FAB_LOG_LINE_MAX], const struct fab_decision *d, const struct fab_config *c,
		      const struct fab_epoch *e, uint64_t boot)
{
	if (d->event == FAB_EVENT_QUARANTINED || d->event == FAB_EVENT_LIFTED)
		return quarantine_line(line, d, c, e, boot);
	if (d->event == FAB_EVENT_SCAN)
		return scan_line(line, d, c, boot);
	json_t *o = event_object(d, boot, "epoch");
	if (o && e) {
		json_t *more = json_pack("{s:{s:o, s:s, s:I, s:I}, s:o, s:b, s:I, s:I}", "schema", "path",
					 clean_string(e->path ? e->path : "", SIZE_MAX), "digest", e->digest, "types",
					 (json_int_t)sch_type_count(e->schemas), "methods",
					 (json_int_t)sch_method_count(e->schemas), "policies", policies_object(e),
					 "forced", e->forced, "changes", (json_int_t)e->changes, "void_rules",
					 (json_int_t)e->void_rules);
		if (!more || json_object_update(o, more) < 0) {
			json_decref(o);
			o = NULL;
		}
		json_decref(more);
	}
	return line_take(line, o);
}

static const char *text_of(const json_t *o, const char *key, const char *absent)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : absent;
}

static char *epoch_text(const json_t *o, char *out, size_t cap)
{
	const json_t *schema = json_object_get(o, "schema"), *policies = json_object_get(o, "policies");
	json_int_t changes = json_integer_value(json_object_get(o, "changes"));
	json_int_t voids = json_integer_value(json_object_get(o, "void_rules"));
	char raw[1200], forced[128] = "";
	if (json_is_true(json_object_get(o, "forced")))
		snprintf(forced, sizeof forced,
			 "; forced over %" JSON_INTEGER_FORMAT " incompatible change%s and %" JSON_INTEGER_FORMAT " void rule%s",
			 changes, changes == 1 ? "" : "s", voids, voids == 1 ? "" : "s");
	int n = snprintf(raw, sizeof raw,
			 "weftd: epoch %" JSON_INTEGER_FORMAT " is in force: schemas %.400s (%s)%s; policies %.400s (%.16s)",
			 json_integer_value(json_object_get(o, "policy_epoch")), text_of(schema, "path", "?"),
			 text_of(schema, "digest", "?"), forced, text_of(policies, "path", "?"),
			 text_of(policies, "digest", "?"));
	return fab_text_clean(out, cap, raw, n < 0 ? 0 : (size_t)n < sizeof raw ? (size_t)n : sizeof raw - 1);
}

static char *quarantine_text(const json_t *o, char *out, size_t cap)
{
	const json_t *rule = json_object_get(o, "rule");
	const char *who = text_of(o, "unikernel", "?"), *file = text_of(rule, "file", NULL);
	char raw[2048], by[1400] = "";
	int n;
	if (file)
		snprintf(by, sizeof by, " [rule %lld, %s:%lld: %s]", (long long)json_integer_value(json_object_get(rule, "id")),
			 file, (long long)json_integer_value(json_object_get(rule, "line")), text_of(rule, "text", ""));
	if (!json_is_true(json_object_get(o, "quarantined")) && !json_is_true(json_object_get(o, "observed")))
		n = snprintf(raw, sizeof raw, "weftd: the quarantine of %s was lifted", who);
	else
		n = snprintf(raw, sizeof raw, "weftd: %s %s: %s, the last %s%s", who,
			     json_is_true(json_object_get(o, "observed")) ? "would be quarantined (dry run)" : "is quarantined",
			     text_of(o, "detail", "?"), text_of(o, "verdict", "?"), by);
	return fab_text_clean(out, cap, raw, n < 0 ? 0 : (size_t)n < sizeof raw ? (size_t)n : sizeof raw - 1);
}

/* "17 ports of hub", "about 3000 ports of 20 peers", "port 22 of 200 peers", "12 peers" ... */
static const char *scanned_put(const json_t *o, char *out, size_t cap)
{
	const json_t *scan = json_object_get(o, "scan"), *frame = json_object_get(o, "frame");
	json_int_t peers = json_integer_value(json_object_get(scan, "peers"));
	json_int_t ports = json_integer_value(json_object_get(scan, "ports"));
	json_int_t port = json_integer_value(json_object_get(frame, "dst_port"));
	const char *to = text_of(o, "to", text_of(frame, "dst_ip", "1 peer"));
	const char *peers_about = json_is_true(json_object_get(scan, "peers_about")) ? "about " : "";
	const char *ports_about = json_is_true(json_object_get(scan, "ports_about")) ? "about " : "";
	char whom[300], what[64] = "";
	if (peers == 1)
		snprintf(whom, sizeof whom, "%.256s", to);
	else
		snprintf(whom, sizeof whom, "%s%lld peers", peers_about, (long long)peers);
	if (ports > 1)
		snprintf(what, sizeof what, "%s%lld ports of ", ports_about, (long long)ports);
	else if (ports == 1 && port)
		snprintf(what, sizeof what, "port %lld of ", (long long)port);
	if (peers == 0)
		snprintf(out, cap, "%s%lld kinds of frames that are not IP", ports_about, (long long)ports);
	else
		snprintf(out, cap, "%s%s", what, whom);
	return out;
}

static char *scan_text(const json_t *o, char *out, size_t cap)
{
	char raw[1024], scanned[400];
	const char *found = text_of(json_object_get(o, "frame"), "protocol", "");
	int n = snprintf(raw, sizeof raw, "weftd: %.256s scans %s%s%.256s", text_of(o, "unikernel", "?"),
			 scanned_put(o, scanned, sizeof scanned), found[0] ? ": " : "", found);
	return fab_text_clean(out, cap, raw, n < 0 ? 0 : (size_t)n < sizeof raw ? (size_t)n : sizeof raw - 1);
}

/* The frames of one, a part of them or the last. */
static char *scan_total_text(const json_t *o, char *out, size_t cap)
{
	const json_t *scan = json_object_get(o, "scan");
	char raw[1024], scanned[400];
	const char *found = text_of(json_object_get(o, "frame"), "protocol", "");
	int over = json_is_true(json_object_get(scan, "over"));
	int n = snprintf(raw, sizeof raw, "%.256s %s %s, %s %.1f s: refused (%.64s)%s%.256s x%lld", text_of(o, "from", "?"),
			 over ? "scanned" : "is scanning", scanned_put(o, scanned, sizeof scanned), over ? "in" : "for",
			 (double)json_integer_value(json_object_get(scan, "ms")) / 1000, text_of(o, "verdict", "?"),
			 found[0] ? ": " : "", found, (long long)json_integer_value(json_object_get(o, "count")));
	return fab_text_clean(out, cap, raw, n < 0 ? 0 : (size_t)n < sizeof raw ? (size_t)n : sizeof raw - 1);
}

char *fab_decision_text(const json_t *o, char *out, size_t cap)
{
	if (!strcmp(text_of(o, "event", ""), "epoch"))
		return epoch_text(o, out, cap);
	if (!strcmp(text_of(o, "event", ""), "quarantine"))
		return quarantine_text(o, out, cap);
	if (!strcmp(text_of(o, "event", ""), "scan"))
		return scan_text(o, out, cap);
	if (json_is_object(json_object_get(o, "scan")))
		return scan_total_text(o, out, cap);
	const char *from = text_of(o, "from", "?"), *to = text_of(o, "to", NULL);
	const char *observed = text_of(o, "observed", NULL);
	const char *verdict = text_of(o, "verdict", "?"), *detail = text_of(o, "detail", "");
	const json_t *frame = json_object_get(o, "frame"), *rule = json_object_get(o, "rule");
	const char *what = text_of(o, "subject", NULL);
	int passed = json_is_true(json_object_get(o, "passed"));
	char raw[2048];
	size_t n = 0;
	if (frame) {
		what = text_of(frame, "protocol", "?");
		if (!to)
			to = text_of(frame, "dst_ip", NULL);
		detail = ""; /* it is the protocol again */
	}
	if (!what)
		what = !strcmp(verdict, "message_malformed") ? "a message with a broken header" : "a record that did not open";
#define ADD(...)                                                                                                       \
	do {                                                                                                           \
		int w = snprintf(raw + n, sizeof raw - n, __VA_ARGS__);                                                \
		n = w < 0 || (size_t)w >= sizeof raw - n ? sizeof raw - 1 : n + (size_t)w;                            \
	} while (0)
	const char *kind = text_of(o, "kind", "oneway");
	ADD("%s %s %s%s%s", from, passed ? "sent" : "tried", strcmp(kind, "oneway") ? kind : "",
	    strcmp(kind, "oneway") ? " " : "", what);
	if (to)
		ADD(" to %s", to);
	if (passed && observed)
		ADD(": delivered (dry run: %s)", observed);
	else if (passed)
		ADD(": passed");
	else if (!strncmp(verdict, "schema_", 7))
		ADD(": refused (%s at byte %lld)", verdict, (long long)json_integer_value(json_object_get(o, "offset")));
	else
		ADD(": refused (%s)", verdict);
	if (detail[0])
		ADD(": %s", detail);
	const char *file = text_of(rule, "file", NULL);
	if (file)
		ADD(" [rule %lld, %s:%lld: %s%s%s]", (long long)json_integer_value(json_object_get(rule, "id")), file,
		    (long long)json_integer_value(json_object_get(rule, "line")), text_of(rule, "text", ""),
		    text_of(rule, "reason", NULL) ? "; " : "", text_of(rule, "reason", ""));
	json_int_t count = json_integer_value(json_object_get(o, "count"));
	if (count > 1)
		ADD(" x%lld", (long long)count);
#undef ADD
	return fab_text_clean(out, cap, raw, n);
}
