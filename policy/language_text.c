/* SPDX-License-Identifier: BSD-2-Clause */
/* What the reference says besides of its keys: how rules are chosen, dry runs, who is named, what the reader takes; and what
 * each kind of value is, for people and as JSON Schema. Which keys there are is language.c's. */
#include "language.h"

#define ALL(array) array, sizeof(array) / sizeof(array)[0]

/* --- chapters --------------------------------------------------------------------------------------------------------- */

static const struct pol_sentence judge[] = {
    {"judge.default", "Nothing passes unless the sender's file and the receiver's file both let it."},
    {"judge.uncovered",
     "What no send rule covers is refused as `send_denied`, then what no receive rule covers as `receive_denied`, before "
     "anything else is looked at; the file's default is named."},
    {"judge.sides",
     "Then the sender's file judges, by its deny rules with `to` and its send rules; then the receiver's, by its "
     "deny rules with `from` and its receive rules."},
    {"judge.deny",
     "A side first looks at its deny rules that cover the peer and the subject: one whose `where` holds, or has "
     "no value, refuses (`forbidden`)."},
    {"judge.first",
     "Then at its allow rules that cover them, in the order of the file: the first whose `where` holds is the "
     "side's rule."},
    {"judge.limits",
     "The size, rate, quota, `carries` and `log` of that one rule apply; the rules after it are not looked at."},
    {"judge.where_unmet",
     "Where rules cover the message but the `where` of none holds, it is refused as `where_unmet`, and the last "
     "of them is named."},
    {"judge.covers",
     "A rule covers a message when its peers include the other side and its `message` or `method` names the "
     "subject."},
    {"judge.many", "At most 64 rules of one side may cover the same peer and subject; one more is an error."},
    {"judge.reply", "A reply is allowed by its open request: no rule is asked."},
    {"judge.schema",
     "The schema comes before the content's rules: what is not valid is refused as `schema_…`, whatever a "
     "`where` would have said."},
    {"judge.unknown",
     "A subject that the schemas do not have is refused as `subject_unknown`, and no rule is named."},
};
static const struct pol_sentence peers[] = {
    {"peers.name",
     "`NAME` is the unikernel of that name; one that does not exist is an error, and the message names what may "
     "have been meant."},
    {"peers.group",
     "`group:NAME` is every member of a group of `common.yaml`; a group that does not exist is an error."},
    {"peers.label",
     "`label:KEY=VALUE` is every unikernel whose file has that label with exactly that value; one that no file has is an "
     "error."},
    {"peers.any", "`any` is every unikernel of the fabric."},
    {"peers.self", "A group, a label or `any` that includes the unikernel itself leaves it out."},
    {"peers.list", "In a list, being meant by any item is enough."},
};
static const struct pol_sentence observe[] = {
    {"observe.delivers", "Under `mode: observe` what a rule would refuse is delivered: it is a dry run."},
    {"observe.recorded",
     "Each such delivery is recorded, with `observed:` the verdict that it would have had and the rule that "
     "would have refused it."},
    {"observe.defaults",
     "Of a file it is a dry run of its defaults, too: what no rule covers is delivered and recorded as "
     "`send_denied` or `receive_denied`."},
    {"observe.side", "It is about its own side only: the other side's file refuses what it refuses."},
    {"observe.other_rule",
     "An observed allow rule whose `where` does not hold is used only where no other rule holds."},
    {"observe.limits",
     "It overrides a rule's size, rate and quota and `content_forbidden`; the fabric's own limit on sizes holds."},
    {"observe.never", "It never overrides the schema, the session, credit, unknown subjects and `content_risk`."},
    {"observe.quarantine", "An observed refusal does not count for quarantine."},
};
static const struct pol_sentence named[] = {
    {"named.every",
     "Every rule has a number, its file and its line, and every decision names one rule, or none where no "
     "policy was asked."},
    {"named.defaults",
     "The two defaults of a file, \"send nothing else\" and \"receive nothing else\", are rules, too: their "
     "line is that of `send:` or `receive:`, or line 1 where the key is absent."},
    {"named.passed", "A delivery names the sender's rule."},
    {"named.denied", "`send_denied` and `receive_denied` name the default of the sender's or the receiver's file."},
    {"named.forbidden", "`forbidden` names the deny rule."},
    {"named.limits", "`too_large`, `over_rate` and `over_quota` name the rule whose limit it was."},
    {"named.content", "`schema_…` and `content_…` name the sender's rule, under which the message went."},
    {"named.none",
     "What never became a message, what is larger than the fabric allows, and `peer_unknown` and `subject_unknown`, name none."},
    {"named.reason", "Where the named rule, or the file of the named default, has a `reason`, it is said."},
};
static const struct pol_sentence reader[] = {
    {"yaml.part",
     "Files are the part of YAML in which a text means one thing: mappings, lists and one-line values in UTF-8, "
     "one document a file."},
    {"yaml.unknown", "Unknown and doubled keys are errors."},
    {"yaml.refused",
     "Anchors, aliases, tags, merge keys, directives, a second document and values over several lines are "
     "errors."},
    {"yaml.unseen",
     "Tabs in the indentation, control characters and characters that are not seen but change what is "
     "(direction marks, zero-width characters, line separators) are errors."},
    {"yaml.literal",
     "Values are never guessed at: `log` takes `true` or `false`, not `yes`; a size has its unit; `010B` is "
     "refused."},
    {"yaml.limits",
     "A file has at most 1 MiB, 262144 values, 8 levels, 64 keys in one mapping and 4096 bytes in one value."},
    {"yaml.error", "An error names file and line, says what is wrong, and what would be right."},
    {"yaml.whole", "All files are compiled together or not at all: one error, and there is no new policy."},
};
static const struct pol_sentence limits[] = {
    {"limits.rules", "All files together have at most 2000000 rules."},
    {"limits.grants", "All rules together have at most 8388608 combinations of peer and subject."},
    {"limits.unikernels", "There are at most 65535 unikernels for the compiler; a fabric has at most 1000."},
    {"limits.lookup", "A lookup takes at most 16 steps, for any subject that a guest may make up."},
};

const struct pol_chapter pol_chapters[] = {
    {"How a message is judged", ALL(judge)},
    {"Peers", ALL(peers)},
    {"Dry runs", ALL(observe)},
    {"Which rule is named", ALL(named)},
    {"What the reader takes", ALL(reader)},
    {"Limits", ALL(limits)},
    {NULL, NULL, 0},
};

/* --- values ----------------------------------------------------------------------------------------------------------- */

/* A label's or a name's value may look like a number or a truth to an editor; here all are texts. */
#define ANY_SCALAR "{\"type\": [\"string\", \"number\", \"boolean\"]}"
#define WORD       "[a-z][a-z0-9-]{0,39}"
#define UNIKERNEL  "[a-z][a-z0-9-]{0,31}"
#define LABEL      "label:[a-z][a-z0-9_-]{0,39}=.{1,40}"
#define MEMBER     "(?!(any|common)$)" UNIKERNEL "|group:" WORD "|" LABEL
#define FULL_NAME  "([A-Za-z_][A-Za-z0-9_]*[.])*[A-Za-z_][A-Za-z0-9_]*"
#define METHOD     FULL_NAME "/[A-Za-z_][A-Za-z0-9_]*"
#define PATTERN(p) "{\"type\": \"string\", \"pattern\": \"^(" p ")$\"}"
/* One, or a list of at least one. */
#define SOME(item) "{\"anyOf\": [" item ", {\"type\": \"array\", \"minItems\": 1, \"items\": " item "}]}"
#define COUNT_UNIT "(0|[1-9][0-9]*)"
#define CONTENT "{\"type\": \"string\", \"minLength\": 1, \"maxLength\": 40}"
#define RISK "{\"type\": \"string\", \"minLength\": 1, \"maxLength\": 63}"
/* One, or a list, or none. */
#define UP_TO(most, item) \
	"{\"type\": \"null\"}, " item ", " \
	"{\"type\": \"array\", \"maxItems\": " most ", \"uniqueItems\": true, \"items\": " item "}"
#define SIZE       COUNT_UNIT "(B|KiB|MiB|GiB)"

static const struct {
	const char *schema, *text;
} values[POL_VALUE_KIND_COUNT] = {
	[POL_VALUE_TEXT] = {"{\"type\": \"string\", \"minLength\": 1, \"maxLength\": 200}", "a text"},
	[POL_VALUE_UNIKERNEL] = {PATTERN("(?!(any|common)$)" UNIKERNEL), "a unikernel's name"},
	[POL_VALUE_PEERS] = {SOME(PATTERN("any|" MEMBER)), "`NAME`, `group:NAME`, `label:KEY=VALUE` or `any`, or a list of them"},
	[POL_VALUE_TYPES] = {SOME(PATTERN(FULL_NAME)), "a message type's full name, or a list"},
	[POL_VALUE_METHODS] = {SOME(PATTERN(METHOD)), "`package.Service/Method`, or a list"},
	[POL_VALUE_SIZE] = {PATTERN(SIZE), "a size such as `512B` or `4KiB`"},
	[POL_VALUE_RATE] = {PATTERN("[1-9][0-9]*/[smh]"), "a rate such as `100/s`, `100/m` or `100/h`"},
	[POL_VALUE_COUNT] = {"{\"type\": \"integer\", \"minimum\": 1, \"maximum\": 1000000}", "a number from 1"},
	[POL_VALUE_QUOTA] = {PATTERN("[1-9][0-9]*(|B|KiB|MiB|GiB)/d"), "messages or bytes a day, `5000/d` or `64MiB/d`"},
	[POL_VALUE_CARRIES] = {"{\"anyOf\": [" UP_TO("16", CONTENT) ", {\"type\": \"object\", \"maxProperties\": 16, "
			       "\"propertyNames\": {\"pattern\": \"^[A-Za-z_][A-Za-z0-9_.]*$\"}, "
			       "\"additionalProperties\": {\"anyOf\": [" UP_TO("16", CONTENT) "]}}]}",
			       "a name of content or of a profile, or a list, which may be empty; or a mapping of fields to such"},
	[POL_VALUE_CONTENT] = {"{\"anyOf\": [" UP_TO("64", CONTENT) "]}", "a name of content, or a list"},
	[POL_VALUE_RISKS] = {"{\"anyOf\": [" UP_TO("64", RISK) "]}", "a risk's name, or a list"},
	/* What is behind each name, the mapping says. */
	[POL_VALUE_PROFILES] = {"{\"type\": [\"object\", \"null\"], \"maxProperties\": 64, "
				"\"propertyNames\": {\"pattern\": \"^" WORD "$\"}}",
				"a mapping of names to profiles"},
	[POL_VALUE_BOOL] = {"{\"type\": \"boolean\"}", "`true` or `false`"},
	[POL_VALUE_MODE] = {"{\"enum\": [\"enforce\", \"observe\"]}", "`enforce` or `observe`"},
	[POL_VALUE_EXPRESSION] = {"{\"type\": [\"string\", \"boolean\"], \"minLength\": 1, \"maxLength\": 4096}",
				  "an expression in CEL"},
	[POL_VALUE_NAME] = {PATTERN(WORD), "a name"},
	[POL_VALUE_LABELS] = {"{\"type\": [\"object\", \"null\"], \"maxProperties\": 16, "
			      "\"propertyNames\": {\"pattern\": \"^[a-z][a-z0-9_-]{0,39}$\"}, "
			      "\"additionalProperties\": " ANY_SCALAR "}",
			      "a mapping of names to texts"},
	[POL_VALUE_DIGEST] = {PATTERN("sha256:[0-9a-f]{64}"), "`sha256:` and 64 hexadecimal digits"},
	[POL_VALUE_DURATION] = {PATTERN("[1-9][0-9]*[smh]"), "a time such as `10s`, `1m` or `2h`"},
	/* What is inside these, the mapping says. */
	[POL_VALUE_MAP] = {"{\"type\": \"object\"}", "a mapping"},
	[POL_VALUE_RULES] = {"{\"type\": [\"array\", \"null\"]}", "a list of rules"},
	[POL_VALUE_GROUPS] = {"{\"type\": [\"object\", \"null\"], \"maxProperties\": 64, "
			      "\"propertyNames\": {\"pattern\": \"^" WORD "$\"}, "
			      "\"additionalProperties\": " SOME(PATTERN(MEMBER)) "}",
			      "a mapping of names to a member or a list of members"},
	[POL_VALUE_PATHS] = {"{\"anyOf\": [{\"type\": \"string\", \"minLength\": 1}, {\"type\": \"array\", \"minItems\": 1, "
			     "\"maxItems\": 16, \"items\": {\"type\": \"string\", \"minLength\": 1}}]}",
			     "a path, or a list"},
	[POL_VALUE_ASSERTIONS] = {"{\"type\": [\"array\", \"null\"]}", "a list of assertions"},
	[POL_VALUE_CASES] = {"{\"type\": \"array\"}", "a list of cases"},
	[POL_VALUE_TYPE] = {PATTERN(FULL_NAME), "a message type's full name"},
	[POL_VALUE_METHOD] = {PATTERN(METHOD), "`package.Service/Method`"},
	[POL_VALUE_JSON] = {"{\"type\": \"string\"}", "JSON, between quotes"},
	/* All digits: an editor takes it for a number. */
	[POL_VALUE_HEX] = {"{\"type\": [\"string\", \"integer\"], \"pattern\": \"^([0-9a-fA-F]{2})+$\"}", "hexadecimal digits"},
	[POL_VALUE_PATH] = {"{\"type\": \"string\", \"minLength\": 1}", "a path"},
	[POL_VALUE_VERDICT] = {PATTERN("(observed )?[a-z][a-z0-9_]*"), "a verdict's name, or `observed` and a verdict's name"},
	[POL_VALUE_RULE] = {PATTERN(WORD "|.+:[1-9][0-9]*"), "a rule's name, `FILE:LINE` or `default`"},
	[POL_VALUE_TIME] = {PATTERN("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?Z"),
			    "a time such as `2026-01-01T00:00:00Z`"},
	[POL_VALUE_ASSERTION] = {PATTERN("[^ ]+ (reaches|talks to) [^ ]+( with [^ ]+)?"),
				 "`A reaches B` or `A talks to B`, perhaps `with SUBJECT`"},
};

const char *pol_value_schema(enum pol_value value)
{
	return (unsigned)value < POL_VALUE_KIND_COUNT ? values[value].schema : "{}";
}

const char *pol_value_text(enum pol_value value)
{
	return (unsigned)value < POL_VALUE_KIND_COUNT ? values[value].text : "a value";
}
