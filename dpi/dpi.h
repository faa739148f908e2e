/* SPDX-License-Identifier: BSD-2-Clause */
/* nDPI behind one door: nothing outside this folder includes its headers. Inspects the opaque content of messages,
 * and names frames that are not fabric records. This header is the inspector itself, in the caller's process (`inspect:
 * inline`, tools, and inside the worker); isolate.h is the same behind processes that may die. */
#ifndef DPI_DPI_H
#define DPI_DPI_H

#include <stddef.h>
#include <stdint.h>

#define DPI_NAME_MAX 40u     /* bytes of a rendered finding or frame, with its NUL */
#define DPI_IDS_MAX 512u     /* nDPI's protocol ids, and room for custom ones */
#define DPI_FIELD_MAX 65495u /* bytes of one field that can be inspected: an IP packet's, less IPv4's and TCP's headers */
#define DPI_SPANS_MAX 64u    /* opaque fields of one message */

struct dpi; /* an inspector; one per thread: nDPI keeps state in it */

struct dpi_err { char text[240]; };

int dpi_open(struct dpi **d, struct dpi_err *err); /* 0 or -errno; all memory of ours is taken here */
void dpi_close(struct dpi *d);                     /* may be NULL */
const char *dpi_version(void);                     /* nDPI's own */

/* --- content sets (set.c) --------------------------------------------------------------------------------------------- */

/* What unrecognised bytes look like. Found out only as far as a set asks. */
enum dpi_kind {
	DPI_KIND_TEXT = 1,       /* UTF-8 without control characters, but for tab and line ends */
	DPI_KIND_JSON = 2,       /* one JSON text, RFC 8259 */
	DPI_KIND_EXECUTABLE = 4, /* these three as libmagic tells them */
	DPI_KIND_ARCHIVE = 8,
	DPI_KIND_SCRIPT = 16,
	DPI_KINDS = 32           /* combinations */
};

/* What an author lists, by name; case is ignored. */
struct dpi_profile {
	const char *const *allow;  /* nDPI protocols ("SSH"), nDPI categories ("Web"), kinds ("text"), "unknown": whatever nDPI does
	                            * not recognise; "doubtful": what it recognises on thin evidence; "none": nothing, alone */
	const char *const *forbid; /* protocols, categories, kinds: refused although something that is allowed includes them */
	const char *const *risks;  /* nDPI's risks by their names, "attacks": those that we count by default, "none" */
	uint32_t n_allow, n_forbid, n_risks;
	int risks_given;           /* 0: as if risks were ["attacks"] */
};

/* Compiled: plain data without pointers, valid in every process. */
struct dpi_set {
	uint64_t allowed[DPI_IDS_MAX / 64]; /* protocols */
	uint64_t banned[DPI_IDS_MAX / 64];  /* that refuse also where the other half of a name is allowed: "TLS.Google" */
	uint64_t risks;     /* nDPI's risk bits that refuse */
	uint32_t plain;     /* bit k: unrecognised content whose kinds are k (bits of enum dpi_kind) passes */
	uint8_t kinds;      /* that must be found out, bits of enum dpi_kind */
	uint8_t doubtful;   /* a name on thin evidence counts as none */
	uint8_t banned_kinds; /* that refuse content of allowed protocols too; a part of `kinds` */
	uint8_t pad;
};
_Static_assert(sizeof(struct dpi_set) == 144, "copied between processes as bytes");

/* Makes the set of what each of n profiles allows (the sender's rule and the receiver's); a risk that one forbids is
 * forbidden. 0, or -EINVAL with a text that lists near matches of the name that nobody knows. Any thread; no allocation. */
int dpi_set_make(struct dpi_set *set, const struct dpi_profile *const *profiles, uint32_t n, struct dpi_err *err);
/* A set without limits but the risks that count by default. */
extern const struct dpi_set dpi_set_any;

/* What a name may mean in a profile, bits; 0: nothing. Any thread. */
enum dpi_meaning { DPI_IS_PROTOCOL = 1, DPI_IS_CATEGORY = 2, DPI_IS_KIND = 4, DPI_IS_RISK = 8 };
unsigned dpi_name_means(const char *name);
/* Up to three names that are most like this one and mean one of `means`, "SSH, SMTP", or "": what was perhaps meant. */
void dpi_name_near(const char *name, unsigned means, char *out, size_t cap);
/* The i-th name (from 0) with such a meaning, in nDPI's order, or NULL behind the last. Static text. */
const char *dpi_name_at(enum dpi_meaning means, uint32_t i);

/* --- messages (inspect.c, message.c, window.c) ------------------------------------------------------------------------- */

enum dpi_answer { DPI_CLEAN = 0, DPI_FORBIDDEN, DPI_RISK, DPI_FAILED, DPI_ANSWERS };

/* Why, and which of a finding's fields count. */
enum dpi_why {
	DPI_WHY_NOTHING = 0, /* clean; master, app and kinds still say what it is, 0: nothing that is known */
	DPI_WHY_PROTOCOL,    /* forbidden: master, app */
	DPI_WHY_DOUBTFUL,    /* forbidden: the same on thin evidence */
	DPI_WHY_UNKNOWN,     /* forbidden: nDPI recognises nothing, and its kinds do not let it pass */
	DPI_WHY_KIND,        /* forbidden: kinds has the one that is */
	DPI_WHY_RISK,        /* risk: its number; master, app */
	DPI_WHY_LONG,        /* failed: longer than DPI_FIELD_MAX */
	DPI_WHY_AMBIGUOUS,   /* failed: thin evidence of too many protocols at once */
	DPI_WHY_MEMORY,      /* failed: the inspector had none */
	DPI_WHY_DIED,        /* failed, from here on isolate.h's: the inspector died on it, */
	DPI_WHY_HUNG,        /* took too long and was ended, */
	DPI_WHY_TWICE,       /* has died of this input twice: not tried again, */
	DPI_WHY_ABSENT,      /* could not be started, */
	DPI_WHY_NONSENSE,    /* gave an answer that is none, */
	DPI_WHY_SKIPPED,     /* was not to look at it any more: what came before it had held up too many for too long */
	DPI_WHYS
};

/* Plain data without text: it may come from a process that is not trusted. */
struct dpi_finding {
	uint8_t answer;       /* enum dpi_answer */
	uint8_t why;          /* enum dpi_why */
	uint8_t risk;         /* number of nDPI's risk */
	uint8_t kinds;        /* bits of enum dpi_kind, as far as they were looked for */
	uint16_t master, app; /* nDPI's protocol ids, 0: none */
	uint16_t span;        /* index of the field */
	uint8_t pieces;       /* how many pieces of earlier messages it took to see it; 0: it stands in this one alone */
	uint8_t pad;
};
_Static_assert(sizeof(struct dpi_finding) == 12, "copied between processes as bytes");

/* A finding for people: "SSH", "TLS.Google", "XSS attack in HTTP", "SSH over 3 messages", "executable",
 * "not recognised", "RTP, doubtful", "the inspector died on it"; "" where it is clean and nothing is known. Whatever the numbers
 * are. Any thread. */
void dpi_finding_text(const struct dpi_finding *f, char out[DPI_NAME_MAX]);
/* 1 when the numbers are such that an inspector may have said them of a message with n_spans fields. */
int dpi_finding_sane(const struct dpi_finding *f, uint32_t n_spans);

/* Inspects one field by itself, with fresh state: as the first payload of a TCP connection and as a UDP datagram. The
 * strictest of all looks counts. An empty field is clean. Keeps no pointer. */
void dpi_inspect(struct dpi *d, const struct dpi_set *set, const uint8_t *bytes, size_t len, struct dpi_finding *f);

struct dpi_span {
	const struct dpi_set *set;
	const struct dpi_set *hard; /* or NULL. Where set forbids the content but hard does not, it passes and is told as observed;
	                             * risks count in both */
	uint32_t field;             /* a number for this field of this type */
	uint32_t offset, len;       /* of bytes */
};

/* One message's opaque fields. */
struct dpi_message {
	const uint8_t *bytes;
	uint64_t subject;  /* these two only tell what it was, where it becomes evidence */
	uint32_t id;
	uint32_t epoch;    /* in which `field` has its meaning */
	uint16_t src, dst; /* the conversation: fields are joined to those of the same number in messages between the same two */
	uint32_t n_spans;  /* up to DPI_SPANS_MAX */
	struct dpi_span span[DPI_SPANS_MAX];
};

struct dpi_result {
	struct dpi_finding found;    /* of the first field that does not pass, else clean */
	struct dpi_finding observed; /* FORBIDDEN where `hard` made the difference, of the first such field; else clean */
};

/* Inspects each field by itself, and joined to what passed unrecognised before it in the same conversation (window.c says
 * how far back). */
void dpi_message_inspect(struct dpi *d, const struct dpi_message *m, struct dpi_result *r);

/* --- frames that are not fabric records (frame.c) ---------------------------------------------------------------------- */

enum dpi_frame_what {
	DPI_FRAME_PROTOCOL = 0, /* master, app: nDPI's */
	DPI_FRAME_IP,           /* nothing better than l4: "TCP", "UDP", "IP protocol 89" */
	DPI_FRAME_ARP,
	DPI_FRAME_IPV6,
	DPI_FRAME_FRAGMENT,     /* of IPv4 */
	DPI_FRAME_802_3,
	DPI_FRAME_ETHERTYPE,    /* ethertype */
	DPI_FRAME_BROKEN_ETHERNET,
	DPI_FRAME_BROKEN_IPV4,
	DPI_FRAME_BROKEN_IPV6,
	DPI_FRAME_BROKEN_TCP,
	DPI_FRAME_BROKEN_UDP,
	DPI_FRAME_UNSEEN,       /* the inspector could not look at it */
	DPI_FRAME_WHATS
};

/* Plain data without text, as a finding is. */
struct dpi_frame {
	uint8_t what;            /* enum dpi_frame_what */
	uint8_t l4;              /* IP protocol number, 0 if none */
	uint16_t ethertype;
	uint16_t master, app;    /* nDPI's protocol ids */
	uint16_t src_l4, dst_l4; /* L4 ports, 0 if none; host byte order */
	uint32_t src_ip, dst_ip; /* IPv4, 0 if none; host byte order */
	uint32_t dst_hash;       /* of an IPv6 destination; 0 if none */
};
_Static_assert(sizeof(struct dpi_frame) == 24, "copied between processes as bytes");

/* "SSH", "ARP", "EtherType 0x88cc", "broken IPv4" ... never "". Whatever the numbers are. Any thread. */
void dpi_frame_text(const struct dpi_frame *f, char out[DPI_NAME_MAX]);

/* What is a frame that came from `port`? Keeps bounded per-port flow state, so that later packets of a flow are named
 * better. The frame is hostile: every length is checked here before nDPI sees it. */
void dpi_frame_look(struct dpi *d, uint16_t port, const uint8_t *frame, size_t len, uint64_t now_ns,
		    struct dpi_frame *out);

#endif
