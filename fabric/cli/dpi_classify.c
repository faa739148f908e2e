/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft dpi classify`: what nDPI makes of a capture, as a table and as JSON. Files are read by libpcap; counting is
 * dpi/classify.c's, and both happen behind walls (dpi_walls.c). */
#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "dpi/classify.h"
#include "dpi/sandbox.h"
#include "fabric/cli/cli.h"
#include "fabric/cli/dpi.h"

#define COMMAND "dpi classify"
#define NAME_MAX_BYTES 96u

struct options {
	const char *file;
	const char *protos; /* NULL: nDPI's own where there is one; "none" */
	int json, all;
	int fd, is_file;    /* a regular one: reading it takes no patience */
};

/* --- reading --------------------------------------------------------------------------------------------------------- */

/* All packets into c. Returns the exit status; *cut: why libpcap stopped before the file's end, or "". */
static int packets_read(const struct options *o, struct dpi_capture *c, pcap_t *in, struct cli_walls_progress *progress,
			char cut[PCAP_ERRBUF_SIZE])
{
	struct pcap_pkthdr *h;
	const u_char *bytes;
	int got;

	cut[0] = 0;
	for (;;) { /* ends with the file */
		progress->busy = (uint32_t)o->is_file;
		got = pcap_next_ex(in, &h, &bytes);
		if (got != 1)
			break;
		progress->step++;
		progress->busy = 1;
		struct dpi_captured p = { bytes, h->caplen, h->ts.tv_sec, (int32_t)h->ts.tv_usec };
		if (dpi_capture_packet(c, &p) != 0)
			return cli_fail(COMMAND, "%s: the flows up to packet %llu take more than %u MiB: cut the capture in pieces "
					"(editcap -c 1000000) and classify each", o->file, (unsigned long long)progress->step,
					DPI_CAPTURE_MEMORY >> 20);
	}
	progress->busy = 1;
	if (got == PCAP_ERROR)
		snprintf(cut, PCAP_ERRBUF_SIZE, "%s", pcap_geterr(in));
	if (dpi_capture_end(c, &progress->step) != 0)
		return cli_fail(COMMAND, "%s: out of memory", o->file);
	return CLI_YES;
}

/* --- telling --------------------------------------------------------------------------------------------------------- */

static const char *address(const uint8_t a[16], uint8_t version, char out[INET6_ADDRSTRLEN])
{
	return inet_ntop(version == 6 ? AF_INET6 : AF_INET, a, out, INET6_ADDRSTRLEN);
}

static const char *l4_name(uint8_t l4, char out[16])
{
	switch (l4) {
	case 1:
		return "ICMP";
	case 2:
		return "IGMP";
	case 6:
		return "TCP";
	case 17:
		return "UDP";
	case 58:
		return "ICMPv6";
	case 112:
		return "VRRP";
	default:
		snprintf(out, 16, "IP %u", l4);
		return out;
	}
}

static json_t *risks_json(uint64_t risks)
{
	json_t *list = json_array();

	for (unsigned r = 0; r < 64; r++)
		if ((risks >> r & 1) && dpi_risk_name(r))
			json_array_append_new(list, cli_json_text(dpi_risk_name(r)));
	return list;
}

static json_t *flow_json(const struct dpi_capture *c, const struct dpi_capture_flow *f)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN], l4[16], name[NAME_MAX_BYTES];
	json_t *o = json_object();

	dpi_capture_name(c, f->master, f->app, name, sizeof name);
	json_object_set_new(o, "protocol", cli_json_text(name));
	json_object_set_new(o, "category", cli_json_text(f->category ? f->category : ""));
	json_object_set_new(o, "l4", json_string(l4_name(f->l4, l4)));
	json_object_set_new(o, "source", json_string(address(f->src, f->version, src)));
	json_object_set_new(o, "source_port", json_integer(f->src_port));
	json_object_set_new(o, "destination", json_string(address(f->dst, f->version, dst)));
	json_object_set_new(o, "destination_port", json_integer(f->dst_port));
	if (f->vlan)
		json_object_set_new(o, "vlan", json_integer(f->vlan));
	json_object_set_new(o, "packets", json_integer((json_int_t)f->packets));
	json_object_set_new(o, "bytes", json_integer((json_int_t)f->bytes));
	json_object_set_new(o, "risks", risks_json(f->risks));
	return o;
}

/* One value of JSON that is printed as it comes: there may be a million. */
static int element_print(json_t *o, int *first)
{
	size_t how = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY;
	int rc = (*first || putchar(',') != EOF) && o && json_dumpf(o, stdout, how) == 0;

	*first = 0;
	json_decref(o);
	return rc;
}

/* A member behind the first two: why the answer is not of the whole capture. */
static int reason_print(const char *key, const char *reason)
{
	int first = 1;

	return !reason[0] || (printf(",\"%s\":", key) > 0 && element_print(cli_json_text(reason), &first));
}

static int json_print(const struct options *o, const struct dpi_capture *c, uint32_t n_flows, const char *cut, const char *unread)
{
	struct dpi_capture_row row;
	struct dpi_capture_flow f;
	int first = 1, ok = fputs("{\"protocols\":[", stdout) != EOF;

	for (uint32_t id = 0; id < DPI_IDS_MAX && ok; id++)
		if (dpi_capture_row(c, id, &row))
			ok = element_print(json_pack("{s:s, s:I, s:I, s:I}", "protocol", row.protocol, "packets",
						     (json_int_t)row.packets, "bytes", (json_int_t)row.bytes, "flows",
						     (json_int_t)row.flows), &first);
	first = 1;
	ok = ok && fputs("],\"flows\":[", stdout) != EOF;
	for (uint32_t i = 0; i < n_flows && ok; i++) {
		dpi_capture_flow(c, i, &f);
		if (f.risks || o->all)
			ok = element_print(flow_json(c, &f), &first);
	}
	ok = ok && putchar(']') != EOF && reason_print("cut_short", cut) && reason_print("not_read", unread);
	return ok && puts("}") != EOF ? 0 : cli_fail(COMMAND, "cannot write the answer: %s", strerror(errno));
}

static void flow_print(const struct dpi_capture *c, const struct dpi_capture_flow *f)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN], l4[16], name[NAME_MAX_BYTES], vlan[16] = "";
	const char *open = f->version == 6 ? "[" : "", *close = f->version == 6 ? "]" : "", *between = "  ";

	dpi_capture_name(c, f->master, f->app, name, sizeof name);
	if (f->vlan)
		snprintf(vlan, sizeof vlan, "VLAN %u, ", f->vlan);
	printf("%s %s%s%s:%u > %s%s%s:%u: %s%s, %llu packet%s, %llu bytes\n", l4_name(f->l4, l4), open,
	       address(f->src, f->version, src), close, f->src_port, open, address(f->dst, f->version, dst), close, f->dst_port,
	       vlan, name, (unsigned long long)f->packets, cli_plural((json_int_t)f->packets), (unsigned long long)f->bytes);
	for (unsigned r = 0; r < 64; r++) {
		if (!(f->risks >> r & 1) || !dpi_risk_name(r))
			continue;
		printf("%s%s", between, dpi_risk_name(r));
		between = "; ";
	}
	if (f->risks)
		printf("\n");
}

static int people_print(const struct options *o, const struct dpi_capture *c, const struct dpi_capture_counts *counts)
{
	struct dpi_capture_row row;
	struct dpi_capture_flow f;
	uint32_t told = 0;
	int width = 8;

	for (uint32_t id = 0; id < DPI_IDS_MAX; id++)
		if (dpi_capture_row(c, id, &row) && (int)strlen(row.protocol) > width)
			width = (int)strlen(row.protocol);
	printf("%-*s %12s %15s %10s\n", width, "protocol", "packets", "bytes", "flows");
	for (uint32_t id = 0; id < DPI_IDS_MAX; id++)
		if (dpi_capture_row(c, id, &row))
			printf("%-*s %12llu %15llu %10u\n", width, row.protocol, (unsigned long long)row.packets,
			       (unsigned long long)row.bytes, row.flows);
	if (counts->ignored)
		printf("\n%llu of %llu packets are in no flow: not IP, cut, or later fragments\n",
		       (unsigned long long)counts->ignored, (unsigned long long)counts->packets);
	for (uint32_t i = 0; i < counts->flows; i++) {
		dpi_capture_flow(c, i, &f);
		if (!f.risks && !o->all)
			continue;
		if (!told++)
			printf("\n%s\n", o->all ? "flows" : "flows with risks");
		flow_print(c, &f);
	}
	return 0;
}

/* --- behind the walls ------------------------------------------------------------------------------------------------ */

static int classify(const struct options *o, struct dpi_capture *c, pcap_t *in, struct cli_walls_progress *progress)
{
	char cut[PCAP_ERRBUF_SIZE] = "";
	struct dpi_capture_counts counts;
	struct dpi_err unread;
	int link = pcap_datalink(in);

	/* ndpiReader's answer to a link type that it does not know is an empty table, and a script may compare the two. */
	int known = dpi_capture_link(c, link, &unread) == 0;
	int rc = known ? packets_read(o, c, in, progress, cut) : CLI_NO;
	if (rc == CLI_ERROR)
		return rc;
	dpi_capture_counts(c, &counts);
	progress->busy = 0; /* who reads what is printed may take his time */
	if (cut[0])
		cli_fail(COMMAND, "%s is cut short after packet %llu (%s): this is of what is there", o->file,
			 (unsigned long long)counts.packets, cut);
	if (!known) {
		const char *name = pcap_datalink_val_to_description(link);

		cli_fail(COMMAND, "%s: not read: %s. This one is %s", o->file, unread.text, name ? name : "none that has a name");
	}
	int failed = o->json ? json_print(o, c, counts.flows, cut, unread.text) : people_print(o, c, &counts);
	return failed ? CLI_ERROR : rc;
}

static int work(void *arg, struct cli_walls_progress *progress)
{
	const struct options *o = arg;
	char why[PCAP_ERRBUF_SIZE] = "";
	struct dpi_capture *c;
	struct dpi_err err;

	progress->busy = 1;
	if (dpi_capture_open(&c, o->protos, &err) != 0)
		return cli_fail(COMMAND, "%s", err.text);
	json_object_seed(0); /* from a file */
	FILE *f = fdopen(o->fd, "rb");
	if (!f || dpi_sandbox_file(progress->parent, o->fd, &err) != 0)
		return cli_fail(COMMAND, "%s", f ? err.text : strerror(errno));
	progress->busy = (uint32_t)o->is_file;
	pcap_t *in = pcap_fopen_offline(f, why);
	if (!in)
		return cli_fail(COMMAND, "%s is no capture that libpcap reads: %s", o->file, why);
	int rc = classify(o, c, in, progress);

	pcap_close(in);
	dpi_capture_close(c);
	return rc;
}

/* --- the command ----------------------------------------------------------------------------------------------------- */

enum { OPT_PROTOS = 256 };

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'j':
		o->json = 1;
		return 0;
	case 'a':
		o->all = 1;
		return 0;
	case OPT_PROTOS:
		o->protos = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->file)
			argp_error(state, "which capture? FILE is missing (- for standard input)");
		return 0;
	default:
		return cli_file_parse(key, arg, state, &o->file);
	}
}

int cli_dpi_classify(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "json", 'j', NULL, 0, "print JSON: {\"protocols\": [...], \"flows\": [...]}", 0 },
		{ "all", 'a', NULL, 0, "tell of every flow, not only of those with risks", 0 },
		{ "protos", OPT_PROTOS, "FILE", 0,
		  "more protocols, by port, host or address, in nDPI's format; none: only those that nDPI has built in. "
		  "Without this option, nDPI's own file is taken where it is installed: " DPI_CAPTURE_PROTOS, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = option_parse,
		.args_doc = "FILE",
		.doc = "What nDPI makes of a capture (pcap or pcapng): packets, bytes and flows of each protocol, and the flows in "
		       "which it sees a risk. Counts as nDPI's own ndpiReader does with -t (tunnels are opened) and -p (more "
		       "protocols).\v"
		       "Exit status: 0, also where the capture is cut short, which is said; 1 nDPI's reader does not know the "
		       "capture's link type: the table is empty; 2 the question could not be answered.",
	};
	struct options o = { .fd = STDIN_FILENO };

	if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	if (!o.protos)
		o.protos = access(DPI_CAPTURE_PROTOS, R_OK) == 0 ? DPI_CAPTURE_PROTOS : NULL;
	else if (strcmp(o.protos, "none") == 0)
		o.protos = NULL;
	if (strcmp(o.file, "-") == 0)
		o.file = "standard input";
	else
		o.fd = open(o.file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (o.fd < 0)
		return cli_fail(COMMAND, "%s: %s", o.file, strerror(errno));
	struct stat st;
	o.is_file = fstat(o.fd, &st) == 0 && S_ISREG(st.st_mode);
	struct cli_walls w = { COMMAND, o.file, "packet", work, &o };
	int status = cli_walls_run(&w);

	if (o.fd != STDIN_FILENO)
		close(o.fd);
	return status;
}
