/* SPDX-License-Identifier: BSD-2-Clause */
/* The mappings and keys of policy files, with what the reference says of each. Sentences about no one key, and kinds of
 * values, are language_text.c's. What a text means is file.c's and compile.c's. */
#include "language.h"

#include <assert.h>

#define ALL(array) array, sizeof(array) / sizeof(array)[0]
#define NAMES (POL_KEY_VALUE | POL_KEY_LIST | POL_KEY_NAMES)

/* --- rules ------------------------------------------------------------------------------------------------------------ */

static const struct pol_sentence rule_name[] = {
    {"rule.name.what",
     "A name of the rule's own, for people, tools and `*.test.yaml`: a letter of `a-z`, then `a-z`, `0-9`, `-`; "
     "at most 40 bytes."},
    {"rule.name.unique", "No two rules of one file have the same name."},
    {"rule.name.books",
     "When policies change, a rule with a name keeps under it what its rate and quota have given away; a rule "
     "without keeps it as long as it says the same."},
};
static const struct pol_sentence rule_to[] = {
    {"send.to.what", "Whom the unikernel may send to: one or a list of peers (see *Peers*)."},
    {"send.to.required", "Every send rule has it."},
};
static const struct pol_sentence rule_from[] = {
    {"receive.from.what", "Whom the unikernel hears: one or a list of peers (see *Peers*)."},
    {"receive.from.required", "Every receive rule has it."},
};
static const struct pol_sentence rule_message[] = {
    {"rule.message.what", "One-way messages that the rule is about, by the full names of their types."},
    {"rule.message.exact",
     "Names are exact: there are no patterns, and a nested or an imported type is not meant with its outer one."},
    {"rule.message.unknown", "A name that the schemas do not have is an error."},
    {"rule.message.either", "An allow rule has either `message` or `method`, never both and never none."},
};
static const struct pol_sentence rule_method[] = {
    {"rule.method.what", "Requests that the rule is about, as `package.Service/Method`."},
    {"rule.method.reply", "The reply to an open request needs no rule, and no rule can refuse it."},
    {"rule.method.oneway", "A one-way method is named by its message type under `message`."},
    {"rule.method.unknown", "A method that the schemas do not have is an error."},
};
static const struct pol_sentence rule_where[] = {
    {"rule.where.what",
     "A condition on the content, in CEL; the rule is only for messages on which it holds. "
     "[Expressions](expressions.md) lists what it can say."},
    {"rule.where.this",
     "`this` is the message, or a request's input; its type is checked when the policy is compiled."},
    {"rule.where.many", "With several types or methods, it must make sense for each of them."},
    {"rule.where.self", "`self` is the unikernel whose file it is, with `self.name` and `self.labels`."},
    {"rule.where.peer",
     "`peer` is the other: the receiver in a send rule, the sender in a receive rule, with `peer.name` and "
     "`peer.labels`."},
    {"rule.where.now", "`now` is the time at which the message is judged."},
    {"rule.where.valid", "It is judged only on messages that their schema accepts."},
    {"rule.where.error",
     "In an allow rule, a condition that has no value (an overflow, a missing key) does not hold."},
    {"rule.where.length", "At most 4096 bytes."},
};
static const struct pol_sentence rule_max_size[] = {
    {"rule.max_size.what", "The largest payload, in bytes: `512B`, `4KiB`; from `0B` to `60KiB`."},
    {"rule.max_size.default", "Without it, `60KiB`; `limits: message:` of `fabric.yaml` holds besides."},
    {"rule.max_size.smaller",
     "Of the send and the receive rule the smaller holds, and `too_large` names the rule that set it, the "
     "sender's where both are equal."},
    {"rule.max_size.request", "Of a method's rule it is about the request, not the reply."},
};
static const struct pol_sentence rule_rate[] = {
    {"rule.rate.what",
     "Messages per second, minute or hour: `100/s`, `100/m`, `100/h`; at least 1, at most `10000000/s`."},
    {"rule.rate.default", "Without it there is no limit."},
    {"rule.rate.shared", "It counts all messages under the rule together, whatever their peer and subject."},
    {"rule.rate.both", "Each side's rate holds by itself."},
    {"rule.rate.charge",
     "A message that rules refuse, by peer, subject, `where`, size, rate or quota, is charged to no rate and no quota of "
     "either side; one that is refused for its schema, its content or a receiver that is down may be."},
    {"rule.rate.named", "`over_rate` names the rule whose rate is used up, the sender's where both are."},
    {"rule.rate.rounding",
     "It is rounded down to whole nanoseconds between messages, so never more passes than it says."},
    {"rule.rate.request", "Of a method's rule it is about requests, not replies."},
};
static const struct pol_sentence rule_burst[] = {
    {"rule.burst.what", "How many messages may come at once, from 1 to 1000000, before `rate` holds them."},
    {"rule.burst.default", "Without it, one second's worth of `rate`, at least 1."},
    {"rule.burst.needs_rate", "Without `rate` it is an error."},
};
static const struct pol_sentence rule_quota[] = {
    {"rule.quota.messages", "`5000/d`: so many messages a day; at least 1."},
    {"rule.quota.bytes",
     "`64MiB/d`: so many bytes of payload a day; a message that would pass the limit is refused whole."},
    {"rule.quota.day", "A day begins at 00:00 UTC, and the quota with it."},
    {"rule.quota.default", "Without it there is no limit."},
    {"rule.quota.shared", "It counts all messages under the rule together, whatever their peer and subject."},
    {"rule.quota.both", "Each side's quota holds by itself."},
    {"rule.quota.named", "`over_quota` names the rule whose quota is used up, the sender's where both are."},
};
static const struct pol_sentence rule_carries[] = {
    {"rule.carries.what",
     "What is in fields of `bytes` and strings, whatever the schema says of them: nDPI's protocols and categories by their names, "
     "kinds, `unknown`, `doubtful`, profiles (see *A profile*), or `none` alone; at most 16."},
    {"rule.carries.recognised",
     "What nDPI recognises is refused unless its protocol, the one that it is spoken in, or its category is listed "
     "(`content_forbidden`)."},
    {"rule.carries.kinds",
     "The kinds are of what nDPI does not recognise: `text` is UTF-8 without control characters, `json` one JSON text, "
     "`executable`, `archive` and `script` are what libmagic takes for that."},
    {"rule.carries.unrecognised", "What nDPI does not recognise passes where `unknown` is listed, or a kind that it is."},
    {"rule.carries.doubtful",
     "`doubtful`: what nDPI names on evidence too thin to be believed counts as not recognised; without it, it is refused as "
     "what nDPI names. Who carries random-looking bytes lists `[unknown, doubtful]`."},
    {"rule.carries.none", "`none`, or an empty list: the field is empty, or the message is refused."},
    {"rule.carries.default", "Without it, `unknown`."},
    {"rule.carries.profiles",
     "Several names and profiles allow what any of them allows; what one of the profiles forbids stays forbidden."},
    {"rule.carries.field",
     "It may tell fields apart, `{request: [HTTP], picture: []}`: each field that it names has its own list, and the others "
     "are as without `carries`; at most 16 fields."},
    {"rule.carries.path",
     "A field is named by its path from the message, `item.data`, or from a method's reply; it is a string or bytes whose "
     "rules in the schema do not say what may be in it, and is meant wherever a message of its type stands."},
    {"rule.carries.both", "What passes is what the send and the receive rule both let pass."},
    {"rule.carries.case", "Upper and lower case are the same, and no name is listed twice."},
    {"rule.carries.unknown", "A name that means nothing is an error."},
    {"rule.carries.risk",
     "Content that nDPI calls an attack is refused whatever is listed (`content_risk`), unless a profile's `risks` says "
     "otherwise on both sides."},
};
static const struct pol_sentence rule_log[] = {
    {"rule.log.what", "`true`: deliveries under the rule are recorded too. Refusals always are."},
    {"rule.log.default", "Without it, `false`."},
    {"rule.log.either", "One side that asks is enough."},
};
static const struct pol_sentence rule_mode[] = {
    {"rule.mode.what", "`enforce`, or `observe`: a dry run of this rule (see *Dry runs*)."},
    {"rule.mode.default", "Without it, the file's `mode`."},
    {"rule.mode.file",
     "In a file under `mode: observe`, `mode: enforce` in a rule is an error: the dry run is of the whole file."},
};
static const struct pol_sentence rule_reason[] = {
    {"rule.reason.what",
     "The team's own words, of at most 200 bytes; said wherever this rule is named for a refusal."},
};


/* The keys of an allow rule, before and after the one that differs. */
#define ALLOW_NAME {{"name", POL_KEY_VALUE}, POL_VALUE_NAME, "orders", ALL(rule_name), NULL}
#define ALLOW_REST                                                                                              \
	{{"message", NAMES}, POL_VALUE_TYPES, "[demo.Reading, demo.Alarm]", ALL(rule_message), NULL},           \
	{{"method", NAMES}, POL_VALUE_METHODS, "demo.Valve/Act", ALL(rule_method), NULL},                       \
	{{"where", POL_KEY_VALUE}, POL_VALUE_EXPRESSION, "this.amount <= 1000", ALL(rule_where), NULL},         \
	{{"max_size", POL_KEY_VALUE}, POL_VALUE_SIZE, "4KiB", ALL(rule_max_size), NULL},                        \
	{{"rate", POL_KEY_VALUE}, POL_VALUE_RATE, "100/s", ALL(rule_rate), NULL},                               \
	{{"burst", POL_KEY_VALUE}, POL_VALUE_COUNT, "20", ALL(rule_burst), NULL},                               \
	{{"quota", POL_KEY_VALUE}, POL_VALUE_QUOTA, "5000/d", ALL(rule_quota), NULL},                           \
	{{"carries", NAMES | POL_KEY_MAP | POL_KEY_EMPTY}, POL_VALUE_CARRIES, "[HTTP, json]", ALL(rule_carries), NULL},           \
	{{"log", POL_KEY_VALUE}, POL_VALUE_BOOL, "true", ALL(rule_log), NULL},                                  \
	{{"mode", POL_KEY_VALUE}, POL_VALUE_MODE, "observe", ALL(rule_mode), NULL},                             \
	{{"reason", POL_KEY_VALUE}, POL_VALUE_TEXT, "\"SEC-114: orders only\"", ALL(rule_reason), NULL}

static const struct pol_language_key send_keys[] = {
	ALLOW_NAME,
	{{"to", NAMES | POL_KEY_REQUIRED}, POL_VALUE_PEERS, "[valve, group:sensors]", ALL(rule_to), NULL},
	ALLOW_REST,
};
static const struct pol_language_key receive_keys[] = {
	ALLOW_NAME,
	{{"from", NAMES | POL_KEY_REQUIRED}, POL_VALUE_PEERS, "[meter, label:zone=plant]", ALL(rule_from), NULL},
	ALLOW_REST,
};

#define ONE_SUBJECT "\"oneOf\": [{\"required\": [\"message\"]}, {\"required\": [\"method\"]}]"
#define ALLOW_SCHEMA ONE_SUBJECT ", \"dependencies\": {\"burst\": [\"rate\"]}"

static const struct pol_sentence send_sentences[] = {
    {"send.what",
     "Allows what it covers to be sent. What no send rule allows is refused as `send_denied`, before the "
     "receiver is asked."},
    {"send.self", "It is an error to name the unikernel itself: what it tells itself does not cross the fabric."},
};
static const struct pol_sentence receive_sentences[] = {
    {"receive.what",
     "Allows what it covers to be received. What no receive rule allows is refused as `receive_denied`."},
    {"receive.self", "It is an error to name the unikernel itself."},
};
const struct pol_mapping pol_language_send = {
    "a send rule", "A send rule", ALL(send_keys), ALL(send_sentences), ALLOW_SCHEMA};
const struct pol_mapping pol_language_receive = {
    "a receive rule", "A receive rule", ALL(receive_keys), ALL(receive_sentences), ALLOW_SCHEMA};

static const struct pol_sentence deny_to[] = {
    {"deny.to.what", "Refuses what the unikernel sends to these peers."},
    {"deny.to.either", "A deny rule has either `to` or `from`, never both and never none."},
};
static const struct pol_sentence deny_from[] = {
    {"deny.from.what", "Refuses what these peers send to the unikernel."},
};
static const struct pol_sentence deny_message[] = {
    {"deny.message.what", "The types that it refuses, as in an allow rule."},
    {"deny.message.absent", "Without `message` and `method` it refuses everything, requests and one-way messages."},
    {"deny.message.either", "It has `message` or `method`, not both."},
};
static const struct pol_sentence deny_method[] = {
    {"deny.method.what", "The requests that it refuses, as in an allow rule."},
};
static const struct pol_sentence deny_where[] = {
    {"deny.where.what", "A condition, as in an allow rule: it refuses only messages on which it holds."},
    {"deny.where.error", "A condition that has no value refuses: what cannot be judged is not let through."},
    {"deny.where.subject", "It needs `message` or `method` beside it if it looks at `this`."},
};
static const struct pol_sentence deny_mode[] = {
    {"deny.mode.what", "`observe`: what it would refuse goes on to the rules after it, and is recorded as observed."},
};
static const struct pol_language_key deny_keys[] = {
    {{"name", POL_KEY_VALUE}, POL_VALUE_NAME, "no-wide-open", ALL(rule_name), NULL},
    {{"to", NAMES}, POL_VALUE_PEERS, "valve", ALL(deny_to), NULL},
    {{"from", NAMES}, POL_VALUE_PEERS, "any", ALL(deny_from), NULL},
    {{"message", NAMES}, POL_VALUE_TYPES, "demo.WebAccess", ALL(deny_message), NULL},
    {{"method", NAMES}, POL_VALUE_METHODS, "demo.Valve/Act", ALL(deny_method), NULL},
    {{"where", POL_KEY_VALUE}, POL_VALUE_EXPRESSION, "this.position > 90", ALL(deny_where), NULL},
    {{"mode", POL_KEY_VALUE}, POL_VALUE_MODE, "observe", ALL(deny_mode), NULL},
    {{"reason", POL_KEY_VALUE}, POL_VALUE_TEXT, "\"SEC-7: never fully open\"", ALL(rule_reason), NULL},
};
static const struct pol_sentence deny_sentences[] = {
    {"deny.what",
     "Refuses what it covers, as `forbidden`, whatever the send and receive rules of the same file allow."},
    {"deny.allowed",
     "It takes away from what rules allow: what no rule covers is refused by the file's default, as without it."},
    {"deny.file", "It is about its own file only; the other side's file judges for itself."},
    {"deny.order", "Where the deny rules stand in the file does not matter; the first that refuses is named."},
    {"deny.count", "A file has at most 256 deny rules."},
    {"deny.limits", "It takes no limits: no size, rate, quota, `carries` or `log`."},
};
const struct pol_mapping pol_language_deny = {
    "a deny rule", "A deny rule", ALL(deny_keys), ALL(deny_sentences),
    "\"oneOf\": [{\"required\": [\"to\"]}, {\"required\": [\"from\"]}], \"not\": {\"required\": [\"message\", \"method\"]}"};

/* --- a policy --------------------------------------------------------------------------------------------------------- */

static const struct pol_sentence quarantine_violations[] = {
    {"quarantine.violations.what", "After how many refusals, from 1 to 1000."},
};
static const struct pol_sentence quarantine_within[] = {
    {"quarantine.within.what",
     "In how much time: whole seconds, minutes or hours, `10s`, `1m`, `2h`; from `1s` to `24h`."},
};
static const struct pol_language_key quarantine_keys[] = {
    {{"violations", POL_KEY_VALUE | POL_KEY_REQUIRED}, POL_VALUE_COUNT, "20", ALL(quarantine_violations), NULL},
    {{"within", POL_KEY_VALUE | POL_KEY_REQUIRED}, POL_VALUE_DURATION, "1m", ALL(quarantine_within), NULL},
};
static const struct pol_sentence quarantine_sentences[] = {
    {"quarantine.what", "A unikernel of which so many messages are refused in so much time is cut off."},
    {"quarantine.verdict",
     "What a unikernel in quarantine sends, and what is sent to it, is refused as `quarantined`."},
    {"quarantine.blame",
     "Only refusals that are the sender's own doing count: not that a receiver is down, gone or full, nor what goes over a "
     "receiver's rate or quota, which others may have used up."},
    {"quarantine.lift", "It stays so until a person lifts it: `weft quarantine lift NAME`."},
    {"quarantine.observed", "Refusals that are only observed do not count."},
    {"quarantine.sent", "What is refused of that which others send to it does not count."},
};
const struct pol_mapping pol_language_quarantine = {
    "\"quarantine\"", "Quarantine", ALL(quarantine_keys), ALL(quarantine_sentences), NULL};

static const struct pol_sentence profile_allow[] = {
    {"profile.allow.what",
     "What may pass: protocols, categories, kinds, `unknown` and `doubtful` as in `carries`, or `none` alone; at most 64. A "
     "profile lists no other profile."},
    {"profile.allow.default", "Without it, nothing: such a profile only takes away from what is listed beside it."},
};
static const struct pol_sentence profile_forbid[] = {
    {"profile.forbid.what",
     "Protocols, categories and kinds that are refused although something allows them; at most 64. A kind is refused whatever nDPI "
     "calls the bytes: what is text and HTTP, too, is text."},
    {"profile.forbid.wins", "It wins over everything that the same `carries` lists, by itself or by other profiles."},
};
static const struct pol_sentence profile_risks[] = {
    {"profile.risks.what",
     "nDPI's risks that refuse what has them (`content_risk`), by nDPI's names, at most 64; `attacks` are those that follow from "
     "the content itself ([which](dpi.md#risks)); `none` alone, none."},
    {"profile.risks.default",
     "Of several profiles those count that any of them lists; where none of them says anything, `attacks`."},
    {"profile.risks.both", "A risk that either side's rule refuses is refused."},
};
static const struct pol_language_key profile_keys[] = {
    {{"allow", NAMES | POL_KEY_EMPTY}, POL_VALUE_CONTENT, "[HTTP, json]", ALL(profile_allow), NULL},
    {{"forbid", NAMES | POL_KEY_EMPTY}, POL_VALUE_CONTENT, "[executable, archive, script]", ALL(profile_forbid), NULL},
    {{"risks", NAMES | POL_KEY_EMPTY}, POL_VALUE_RISKS, "[attacks, \"TLS Expired Certificate\"]", ALL(profile_risks), NULL},
};
static const struct pol_sentence profile_sentences[] = {
    {"profile.what", "Content by a name of the team's own, for `carries`."},
    {"profile.name",
     "A profile's name is as a rule's: a letter of `a-z`, then `a-z`, `0-9`, `-`; at most 40 bytes; no name that means content "
     "already, such as nDPI's category `web`."},
    {"profile.scope",
     "Those of a unikernel's file are for its rules, those of `common.yaml` for all; the same name in both is an error."},
    {"profile.empty", "One without any key is an error."},
    {"profile.unused", "`weft policy check` tells of one in a unikernel's file that no rule lists."},
};
const struct pol_mapping pol_language_profile = {
    "a profile", "A profile", ALL(profile_keys), ALL(profile_sentences), "\"minProperties\": 1"};

static const struct pol_sentence policy_unikernel[] = {
    {"policy.unikernel.what",
     "Whose policy this is; the file is called `NAME.yaml`, and another name here is an error."},
    {"policy.unikernel.name",
     "A name has 1 to 32 of `a-z`, `0-9` and `-`, a letter first; `common` and `any` are taken."},
};
static const struct pol_sentence policy_mode[] = {
    {"policy.mode.what",
     "`enforce`, or `observe`: a dry run of all rules of the file and of its two defaults (see *Dry runs*)."},
    {"policy.mode.default", "Without it, `enforce`."},
};
static const struct pol_sentence policy_labels[] = {
    {"policy.labels.what",
     "What the unikernel is, in the team's words, for `label:KEY=VALUE` and `peer.labels`; at most 16."},
    {"policy.labels.key",
     "A key is a letter of `a-z`, then `a-z`, `0-9`, `_`, `-`, of at most 40 bytes; a value is a text of at "
     "most 40 bytes."},
};
static const struct pol_sentence policy_image[] = {
    {"policy.image.what",
     "The SHA-256 digest that the unikernel's image must have: `sha256:` and 64 of `0-9` and `a-f`."},
    {"policy.image.start", "A unikernel whose image has another digest is not started, and the message names both."},
    {"policy.image.default", "Without it, any image that `fabric.yaml` names."},
};
static const struct pol_sentence policy_quarantine[] = {
    {"policy.quarantine.what", "When the unikernel is cut off (see *Quarantine*)."},
    {"policy.quarantine.default", "Without it, never."},
};
static const struct pol_sentence policy_reason[] = {
    {"policy.reason.what", "The team's own words, of at most 200 bytes; said where a default of this file refuses."},
};
static const struct pol_sentence policy_profiles[] = {
    {"policy.profiles.what",
     "Profiles of content for this file's rules, at most 64: names, and what each means (see *A profile*)."},
};
static const struct pol_sentence policy_send[] = {
    {"policy.send.what", "What the unikernel may send: a list of send rules."},
    {"policy.send.default", "Without it, or empty, it may send nothing but replies."},
};
static const struct pol_sentence policy_receive[] = {
    {"policy.receive.what", "What the unikernel accepts: a list of receive rules."},
    {"policy.receive.default", "Without it, or empty, it accepts nothing but replies."},
};
static const struct pol_sentence policy_deny[] = {
    {"policy.deny.what", "What is refused although a rule allows it: a list of deny rules."},
};
static const struct pol_language_key policy_keys[] = {
    {{"unikernel", POL_KEY_VALUE | POL_KEY_REQUIRED}, POL_VALUE_UNIKERNEL, "hub", ALL(policy_unikernel), NULL},
    {{"mode", POL_KEY_VALUE}, POL_VALUE_MODE, "observe", ALL(policy_mode), NULL},
    {{"labels", POL_KEY_MAP | POL_KEY_EMPTY}, POL_VALUE_LABELS, "{zone: plant, tier: edge}", ALL(policy_labels), NULL},
    {{"image", POL_KEY_VALUE}, POL_VALUE_DIGEST, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     ALL(policy_image), NULL},
    {{"quarantine", POL_KEY_MAP}, POL_VALUE_MAP, "{violations: 20, within: 1m}", ALL(policy_quarantine),
     &pol_language_quarantine},
    {{"reason", POL_KEY_VALUE}, POL_VALUE_TEXT, "\"ask #plant-security\"", ALL(policy_reason), NULL},
    {{"profiles", POL_KEY_MAP | POL_KEY_EMPTY}, POL_VALUE_PROFILES,
     "{browsing: {allow: [HTTP, TLS], forbid: [executable]}}", ALL(policy_profiles), &pol_language_profile},
    {{"send", POL_KEY_LIST | POL_KEY_EMPTY}, POL_VALUE_RULES, "[{to: valve, method: demo.Valve/Act}]", ALL(policy_send),
     &pol_language_send},
    {{"receive", POL_KEY_LIST | POL_KEY_EMPTY}, POL_VALUE_RULES, "[{from: meter, message: demo.Reading}]",
     ALL(policy_receive), &pol_language_receive},
    {{"deny", POL_KEY_LIST | POL_KEY_EMPTY}, POL_VALUE_RULES, "[{from: any, message: demo.WebAccess}]", ALL(policy_deny),
     &pol_language_deny},
};
static const struct pol_sentence policy_sentences[] = {
    {"policy.what",
     "One file for each unikernel of the fabric, `NAME.yaml`, in the folder that `policies:` of `fabric.yaml` "
     "names."},
    {"policy.set",
     "The folder's files and the fabric's unikernels are the same set: one too many or too few is an error."},
    {"policy.closed", "A file without rules is a unikernel that says nothing and hears nothing."},
};
const struct pol_mapping pol_language_policy = {
    "a policy", "A policy: `NAME.yaml`", ALL(policy_keys), ALL(policy_sentences), NULL};

/* --- what files share --------------------------------------------------------------------------------------------------- */

static const struct pol_sentence assertion_never[] = {
    {"assertion.never.what", "What must not be possible."},
};
static const struct pol_sentence assertion_always[] = {
    {"assertion.always.what", "What must be possible, for each A with each B."},
};
static const struct pol_language_key assertion_keys[] = {
    {{"never", POL_KEY_VALUE}, POL_VALUE_ASSERTION, "camera reaches valve", ALL(assertion_never), NULL},
    {{"always", POL_KEY_VALUE}, POL_VALUE_ASSERTION, "meter talks to hub with demo.Reading", ALL(assertion_always), NULL},
};
static const struct pol_sentence assertion_sentences[] = {
    {"assertion.what",
     "A sentence about all files together, that `weft policy check` and `weft policy test` hold them against."},
    {"assertion.either", "It has either `never` or `always`."},
    {"assertion.reaches",
     "`A reaches B`: what A knows can get to B, directly or by way of others that pass something on; a reply is "
     "a way, too."},
    {"assertion.talks",
     "`A talks to B`: A can send something to B directly, of its own accord: replies do not count."},
    {"assertion.with", "`with SUBJECT` at the end: that message type or method only."},
    {"assertion.parties", "A and B are peers: a name, `group:NAME`, `label:KEY=VALUE` or `any`."},
    {"assertion.observe",
     "What passes only in a dry run counts as possible for `never`, and is not enough for `always`; so does "
     "what hangs on a condition that cannot be compared."},
};
const struct pol_mapping pol_language_assertion = {
    "an assertion", "An assertion", ALL(assertion_keys), ALL(assertion_sentences),
    "\"oneOf\": [{\"required\": [\"never\"]}, {\"required\": [\"always\"]}]"};

static const struct pol_sentence common_schemas[] = {
    {"common.schemas.what",
     "Where the message types are, for tools that work on files: one or a list, at most 16, of descriptor sets, "
     "`.proto` files, or folders of `.proto` files."},
    {"common.schemas.relative", "Relative paths begin at the folder."},
    {"common.schemas.fabric",
     "A running fabric takes its types from `schemas:` of `fabric.yaml`, and does not look here."},
    {"common.schemas.option", "`--schemas PATH` of a tool takes its place."},
};
static const struct pol_sentence common_groups[] = {
    {"common.groups.what", "Names for sets of unikernels, at most 64; a rule says `group:NAME`."},
    {"common.groups.name",
     "A group's name is as a rule's: a letter of `a-z`, then `a-z`, `0-9`, `-`; at most 40 bytes."},
    {"common.groups.members", "A member is a name, `group:NAME` or `label:KEY=VALUE`."},
    {"common.groups.cycle", "A group that is a member of itself, directly or through others, is an error."},
    {"common.groups.unknown", "A member that does not exist is an error."},
};
static const struct pol_sentence common_profiles[] = {
    {"common.profiles.what", "Profiles of content for the rules of all files, at most 64 (see *A profile*)."},
};
static const struct pol_sentence common_assert[] = {
    {"common.assert.what", "What must hold for all files together: a list of assertions."},
};
static const struct pol_language_key common_keys[] = {
    {{"schemas", NAMES}, POL_VALUE_PATHS, "../schemas/home.binpb", ALL(common_schemas), NULL},
    {{"groups", POL_KEY_MAP | POL_KEY_EMPTY}, POL_VALUE_GROUPS, "{sensors: [meter, spare-meter]}", ALL(common_groups), NULL},
    {{"profiles", POL_KEY_MAP | POL_KEY_EMPTY}, POL_VALUE_PROFILES,
     "{browsing: {allow: [HTTP, TLS], forbid: [executable]}}", ALL(common_profiles), &pol_language_profile},
    {{"assert", POL_KEY_LIST | POL_KEY_EMPTY}, POL_VALUE_ASSERTIONS, "[{never: camera reaches valve}]", ALL(common_assert),
     &pol_language_assertion},
};
static const struct pol_sentence common_sentences[] = {
    {"common.what", "What the files of a folder share. The file may be absent."},
};
const struct pol_mapping pol_language_common = {
    "the shared file", "What files share: `common.yaml`", ALL(common_keys), ALL(common_sentences), NULL};

/* --- cases -------------------------------------------------------------------------------------------------------------- */

static const struct pol_sentence case_name[] = {
    {"case.name.what", "What the case shows, in some words; once in its file."},
};
static const struct pol_sentence case_from[] = {{"case.from.what", "Who sends."}};
static const struct pol_sentence case_to[] = {{"case.to.what", "Who receives."}};
static const struct pol_sentence case_message[] = {
    {"case.message.what", "The message's type."},
    {"case.message.either", "A case has either `message` or `method`."},
};
static const struct pol_sentence case_method[] = {{"case.method.what", "The method, for a request."}};
static const struct pol_sentence case_json[] = {
    {"case.json.what", "The payload in protobuf's JSON."},
    {"case.json.either", "A case has at most one of `json`, `hex` and `file`; with none the payload is empty."},
};
static const struct pol_sentence case_hex[] = {
    {"case.hex.what", "The payload's bytes in hexadecimal; it need not be valid."},
};
static const struct pol_sentence case_file[] = {
    {"case.file.what",
     "A file with the payload: JSON where its name ends in `.json`, else bytes. Relative paths begin at the "
     "folder."},
};
static const struct pol_sentence case_expect[] = {
    {"case.expect.what", "The verdict's name, or `observed VERDICT` for what passes only in a dry run."},
};
static const struct pol_sentence case_rule[] = {
    {"case.rule.what", "The rule that decides: its name, its `FILE:LINE`, or `default` for a file's default."},
};
static const struct pol_sentence case_at[] = {
    {"case.at.what", "The present, as `2026-01-01T00:00:00Z`, for `now` and the quotas' days."},
};
static const struct pol_sentence case_times[] = {
    {"case.times.what",
     "How often it is sent at once, from 1 to 1000000; `expect` is about the last. For rates and quotas."},
};
static const struct pol_language_key case_keys[] = {
    {{"name", POL_KEY_VALUE | POL_KEY_REQUIRED}, POL_VALUE_TEXT, "a small order passes", ALL(case_name), NULL},
    {{"from", POL_KEY_VALUE | POL_KEY_REQUIRED}, POL_VALUE_UNIKERNEL, "shop", ALL(case_from), NULL},
    {{"to", POL_KEY_VALUE | POL_KEY_REQUIRED}, POL_VALUE_UNIKERNEL, "ledger", ALL(case_to), NULL},
    {{"message", POL_KEY_VALUE}, POL_VALUE_TYPE, "shop.Order", ALL(case_message), NULL},
    {{"method", POL_KEY_VALUE}, POL_VALUE_METHOD, "shop.Ledger/Book", ALL(case_method), NULL},
    {{"json", POL_KEY_VALUE}, POL_VALUE_JSON, "'{\"amount\": 5}'", ALL(case_json), NULL},
    {{"hex", POL_KEY_VALUE}, POL_VALUE_HEX, "\"0805\"", ALL(case_hex), NULL},
    {{"file", POL_KEY_VALUE}, POL_VALUE_PATH, "order.json", ALL(case_file), NULL},
    {{"expect", POL_KEY_VALUE | POL_KEY_REQUIRED}, POL_VALUE_VERDICT, "passed", ALL(case_expect), NULL},
    {{"rule", POL_KEY_VALUE}, POL_VALUE_RULE, "orders", ALL(case_rule), NULL},
    {{"at", POL_KEY_VALUE}, POL_VALUE_TIME, "2026-01-01T00:00:00Z", ALL(case_at), NULL},
    {{"times", POL_KEY_VALUE}, POL_VALUE_COUNT, "3", ALL(case_times), NULL},
};
static const struct pol_sentence case_sentences[] = {
    {"case.what",
     "One message, and what becomes of it. `weft policy test` decides it as the fabric would, content included."},
    {"case.fresh", "Each case begins with unused rates and quotas."},
};
const struct pol_mapping pol_language_case = {
    "a case", "A case", ALL(case_keys), ALL(case_sentences),
    ONE_SUBJECT ", \"allOf\": [{\"not\": {\"required\": [\"json\", \"hex\"]}}, {\"not\": {\"required\": [\"json\", \"file\"]}}, "
		"{\"not\": {\"required\": [\"hex\", \"file\"]}}]"};

static const struct pol_sentence cases_cases[] = {{"cases.cases.what", "A list of cases."}};
static const struct pol_language_key cases_keys[] = {
    {{"cases", POL_KEY_LIST | POL_KEY_REQUIRED}, POL_VALUE_CASES,
     "[{name: it passes, from: a, to: b, message: demo.Reading, expect: passed}]", ALL(cases_cases), &pol_language_case},
};
static const struct pol_sentence cases_sentences[] = {
    {"cases.what", "Cases that `weft policy test` tries, in any number of files `*.test.yaml` beside the policies."},
};
const struct pol_mapping pol_language_cases = {
    "a test file", "Cases: `*.test.yaml`", ALL(cases_keys), ALL(cases_sentences), NULL};

const struct pol_mapping *const pol_language[] = {
    &pol_language_policy, &pol_language_send, &pol_language_receive, &pol_language_deny, &pol_language_quarantine,
    &pol_language_profile, &pol_language_common, &pol_language_assertion, &pol_language_cases, &pol_language_case, NULL,
};

int pol_mapping_keys(const struct pol_mapping *m, const struct pol_yaml *y, const struct pol_node *node,
		     const struct pol_node *found[POL_MAPPING_KEYS_MAX], struct pol_err *err)
{
	struct pol_key keys[POL_MAPPING_KEYS_MAX];
	assert(m->n <= POL_MAPPING_KEYS_MAX);
	for (uint32_t i = 0; i < m->n; i++)
		keys[i] = m->keys[i].key;
	return pol_yaml_keys(y, node, m->name, keys, m->n, found, err);
}
