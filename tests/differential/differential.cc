// SPDX-License-Identifier: BSD-2-Clause
// The differential test: valid messages at random, changed at random, and four opinions on each: strict mode, conformant
// mode, Google's C++ parser and protobuf-c. What must hold:
//   - a valid message is accepted;
//   - what strict mode accepts, both parsers take and read the same: the same fields present, the same values, none unknown;
//   - what they write from it, strict mode accepts again, and C++ reads the same from protobuf-c's bytes;
//   - conformant mode accepts exactly what the C++ parser does, with and without required fields;
//   - the schema's rules change nothing else: with them strict mode accepts nothing more, and where it refuses for another
//     reason than a rule, it is the same one at the same place;
//   - no answer depends on the bytes behind the message.
// For types that protobuf-c cannot (groups, proto3's optional), C++'s reflection over the descriptor is the second parser.
// The same seed gives the same messages. Exit status: 0 all held, 1 a finding, 2 it could not run.
//
//   differential [--count N] [--seed N] [--plant]
//
// --plant shows protobuf-c another message now and then, and empties what the second C++ parser read, to see that a
// difference is found.
#include <getopt.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/stubs/logging.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "bench/order/order.pb-c.h"
#include "bench/order/order.pb.h"
#include "schemas/demo/home.pb-c.h"
#include "tests/differential/compare.hpp"
#include "tests/differential/wire.hpp"
#include "tests/schemas/differ.pb-c.h"
#include "tests/schemas/differ.pb.h"
#include "tests/schemas/differ2.pb-c.h"
#include "tests/schemas/differ2.pb.h"
#include "tests/schemas/differ_group.pb.h"
#include "tests/schemas/differ_optional.pb.h"

extern "C" {
#include "bench/order/pool.h"
#include "schemas/schema.h"
}

using google::protobuf::Descriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;

namespace {

constexpr uint32_t MUTANTS = 24; // of each message
constexpr size_t DONORS = 64;

#define DEMO_SET BUILD_DIR "/schemas/demo.binpb"
#define RULED_SET BUILD_DIR "/bench/ruled.binpb"

struct Type {
	const Message *prototype;               // C++: generated code, or reflection where there is none
	const ProtobufCMessageDescriptor *c;    // NULL: protobuf-c cannot
	const Message *second;                  // then: the prototype of the second parser
	const sch_set *set;
	uint32_t type;
	std::unique_ptr<Message> theirs, again; // parsed into
	bool has_rules;
	std::vector<std::string> samples;       // messages that meet the rules, where random ones hardly ever do
	uint64_t seen, accepted, changed_accepted, ruled, conformant;
};

struct Run {
	std::vector<std::unique_ptr<sch_set, void (*)(sch_set *)>> sets;
	std::vector<Type> types;
	uint64_t reasons[SCH_REASON_COUNT];
	uint64_t cpp_accepted, missing_required, repacked;
	uint64_t count, seed;
	bool plant;
};

[[noreturn]] void die(const std::string &why)
{
	fprintf(stderr, "differential: %s\n", why.c_str());
	exit(2);
}

void hex_print(const char *what, const std::string &bytes)
{
	printf("%s (%zu bytes): ", what, bytes.size());
	for (char c : bytes)
		printf("%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
	printf("\n");
}

// Prints all that one needs to look into it, and ends the run.
[[noreturn]] void finding(const Type &t, const std::string &msg, const sch_result &r, const std::string &what,
			  const ProtobufCMessage *c = nullptr)
{
	char path[SCH_PATH_MAX];

	sch_path_render(t.set, &r, reinterpret_cast<const uint8_t *>(msg.data()), path, sizeof path);
	printf("FINDING: %s\ntype: %s\n", what.c_str(), t.prototype->GetDescriptor()->full_name().c_str());
	hex_print("message", msg);
	printf("strict: %s at offset %u %s\n", r.reason == SCH_OK ? "accepts" : sch_reason_name(r.reason), r.offset, path);
	std::unique_ptr<Message> m(t.prototype->New());
	bool ok = m->ParsePartialFromString(msg);

	printf("C++ %s:\n%s", !ok ? "refuses" : m->IsInitialized() ? "reads" : "reads, with required fields missing",
	       m->DebugString().c_str());
	if (c) {
		std::string out(protobuf_c_message_get_packed_size(c), '\0');

		protobuf_c_message_pack(c, reinterpret_cast<uint8_t *>(&out[0]));
		hex_print("protobuf-c writes", out);
		m->ParsePartialFromString(out);
		printf("which C++ reads as:\n%s", m->DebugString().c_str());
	} else if (t.c) {
		printf("protobuf-c: no message\n");
	}
	fflush(stdout);
	exit(1);
}

// --- one message -----------------------------------------------------------------------------------------------------

// With rules, r being the answer without.
bool rules_check(const Type &t, const uint8_t *padded, const std::string &msg, const sch_result &r)
{
	static sch_result ruled;

	sch_validate(t.set, t.type, padded, msg.size(), &ruled);
	bool by_rule = ruled.reason == SCH_RULE || ruled.reason == SCH_RULE_ERROR;
	bool same = ruled.reason == r.reason && (r.reason == SCH_OK || ruled.offset == r.offset);

	if (!by_rule && !same)
		finding(t, msg, r, std::string("with rules the answer is another: ") +
			(ruled.reason == SCH_OK ? "accepts" : sch_reason_name(ruled.reason)) + " at " +
			std::to_string(ruled.offset));
	return ruled.reason == SCH_OK;
}

// *r: strict, without rules. Twice with other bytes behind the message: they must not matter. *ruled: accepted with rules.
sch_reason strict(const Type &t, const std::string &msg, Random &random, sch_result *r, bool *ruled)
{
	std::unique_ptr<uint8_t[]> padded(new uint8_t[msg.size() + SCH_PAD]); // exactly, for AddressSanitizer
	static sch_result other;
	sch_ask ask;

	memset(&ask, 0, sizeof ask);
	ask.no_rules = 1;
	memcpy(padded.get(), msg.data(), msg.size());
	for (uint32_t i = 0; i < SCH_PAD; i += 8) {
		uint64_t v = random.next();

		memcpy(padded.get() + msg.size() + i, &v, 8);
	}
	sch_validate_ask(t.set, t.type, padded.get(), msg.size(), &ask, &other);
	memset(padded.get() + msg.size(), random.one_in(2) ? 0xff : 0, SCH_PAD);
	sch_validate_ask(t.set, t.type, padded.get(), msg.size(), &ask, r);
	if (r->reason != other.reason || (r->reason != SCH_OK && r->offset != other.offset) || r->n_spans != other.n_spans)
		finding(t, msg, *r, "the answer depends on what follows the message");
	*ruled = rules_check(t, padded.get(), msg, *r);
	return r->reason;
}

void accepted_again(const Type &t, const std::string &msg, const std::string &written, const char *whose, Random &random)
{
	sch_result r;
	bool ruled;

	if (strict(t, written, random, &r, &ruled) != SCH_OK) {
		hex_print("read from", msg);
		finding(t, written, r, std::string("strict mode refuses what ") + whose + " wrote from an accepted message");
	}
}

ProtobufCMessage *unpack(const Type &t, const std::string &msg)
{
	return protobuf_c_message_unpack(t.c, nullptr, msg.size(), reinterpret_cast<const uint8_t *>(msg.data()));
}

void protobuf_c_check(Run &run, Type &t, const std::string &msg, const sch_result &r, Random &random)
{
	ProtobufCMessage *c = unpack(t, msg);

	if (run.plant && !msg.empty() && random.one_in(50)) {
		std::string other = msg;

		other[random.below(other.size())] ^= 1;
		ProtobufCMessage *planted = unpack(t, other);

		if (planted) {
			protobuf_c_message_free_unpacked(c, nullptr);
			c = planted;
		}
	}
	if (!c)
		finding(t, msg, r, "protobuf-c refuses what strict mode accepts");
	std::string what = compare_readings(*t.theirs, c);

	if (!what.empty())
		finding(t, msg, r, "C++ and protobuf-c read differently: " + what, c);
	std::string written(protobuf_c_message_get_packed_size(c), '\0');

	if (protobuf_c_message_pack(c, reinterpret_cast<uint8_t *>(&written[0])) != written.size())
		finding(t, msg, r, "protobuf-c packs another size than it said", c);
	accepted_again(t, msg, written, "protobuf-c", random);
	std::string mine = canonical(*t.theirs);

	if (!t.again->ParseFromString(written))
		finding(t, msg, r, "C++ refuses what protobuf-c wrote", c);
	std::string other = canonical(*t.again);

	if (mine != other) { // protobuf-c reads -0.0 but writes nothing for it
		t.again->CopyFrom(*t.theirs);
		negative_zeros_drop(t.again.get());
		if (canonical(*t.again) != other)
			finding(t, msg, r, "C++ reads something else from what protobuf-c wrote", c);
	}
	accepted_again(t, msg, mine, "C++", random);
	run.repacked++;
	protobuf_c_message_free_unpacked(c, nullptr);
}

void second_check(Run &run, Type &t, const std::string &msg, const sch_result &r, Random &random)
{
	std::string mine = canonical(*t.theirs);

	if (!t.again->ParseFromString(msg))
		finding(t, msg, r, "C++'s reflection refuses what strict mode accepts");
	if (run.plant && random.one_in(50))
		t.again->Clear();
	if (canonical(*t.again) != mine)
		finding(t, msg, r, "C++'s generated code and its reflection read differently");
	accepted_again(t, msg, mine, "C++", random);
}

void check(Run &run, Type &t, const std::string &msg, bool valid, bool changed, Random &random)
{
	static sch_result r, lenient;
	const uint8_t *at = reinterpret_cast<const uint8_t *>(msg.data());
	bool conformant = sch_validate_conformant(t.set, t.type, at, msg.size(), 0, &lenient) == SCH_OK;
	bool complete = sch_validate_conformant(t.set, t.type, at, msg.size(), 1, &lenient) == SCH_OK;
	bool parsed = t.theirs->ParsePartialFromString(msg);
	bool initialized = parsed && t.theirs->IsInitialized();
	bool ruled;

	strict(t, msg, random, &r, &ruled);
	t.seen++;
	t.ruled += ruled;
	t.conformant += conformant;
	run.reasons[r.reason]++;
	run.cpp_accepted += parsed;
	run.missing_required += parsed && !initialized;
	if (conformant != parsed)
		finding(t, msg, r, conformant ? "conformant mode accepts, C++ refuses" : "conformant mode refuses, C++ accepts");
	if (complete != initialized)
		finding(t, msg, r, complete ? "C++ misses a required field, conformant mode does not"
				   : "conformant mode misses a required field, C++ does not");
	if (r.reason != SCH_OK) {
		if (valid && !(r.reason == SCH_ENUM && t.has_rules)) // which numbers an open enum has its rules say
			finding(t, msg, r, "strict mode refuses a valid message");
		return;
	}
	t.accepted++;
	t.changed_accepted += changed;
	if (!initialized)
		finding(t, msg, r, "C++ refuses what strict mode accepts");
	std::string what = unknown_find(*t.theirs);

	if (!what.empty())
		finding(t, msg, r, "C++ does not know a field of an accepted message: " + what);
	if (t.c)
		protobuf_c_check(run, t, msg, r, random);
	else
		second_check(run, t, msg, r, random);
}

// --- the run ---------------------------------------------------------------------------------------------------------

void one_message(Run &run, Random &random, std::vector<Tree> &donors, std::string &last)
{
	Type &t = run.types[random.below(run.types.size())];
	const Descriptor *type = t.prototype->GetDescriptor();
	bool sample = !t.samples.empty() && !random.one_in(3);
	Tree tree = sample ? tree_read(type, t.samples[random.below(t.samples.size())])
		: tree_make(type, random, 1 + random.below(12));
	std::string base, msg;

	tree_write(tree, base);
	check(run, t, base, true, false, random);
	for (uint32_t i = 1; i < MUTANTS && run.count; i++, run.count--) {
		uint32_t style = random.below(10);
		Tree changed = tree;

		msg.clear();
		if (style < 8)
			for (uint32_t n = 1 + random.below(4); n; n--)
				tree_change(changed, type, random, style < 4 || random.one_in(3), donors);
		tree_write(changed, msg);
		if (style >= 7)
			for (uint32_t n = 1 + random.below(3); n; n--)
				bytes_change(msg, random, last);
		check(run, t, msg, false, msg != base, random);
	}
	last = base;
	if (donors.size() < DONORS)
		donors.push_back(std::move(tree));
	else
		donors[random.below(DONORS)] = std::move(tree);
}

void report(const Run &run, double seconds)
{
	uint64_t seen = 0, accepted = 0, changed = 0;

	printf("%-24s %10s %10s %10s %10s %10s\n", "type", "messages", "accepted", "of changed", "with rules", "conformant");
	for (const Type &t : run.types) {
		printf("%-24s %10llu %10llu %10llu %10llu %10llu\n", t.prototype->GetDescriptor()->full_name().c_str(),
		       static_cast<unsigned long long>(t.seen), static_cast<unsigned long long>(t.accepted),
		       static_cast<unsigned long long>(t.changed_accepted), static_cast<unsigned long long>(t.ruled),
		       static_cast<unsigned long long>(t.conformant));
		seen += t.seen;
		accepted += t.accepted;
		changed += t.changed_accepted;
	}
	printf("\nstrict mode:");
	for (int i = 0; i < SCH_REASON_COUNT; i++)
		if (run.reasons[i])
			printf(" %s %llu", i ? sch_reason_name(static_cast<sch_reason>(i)) : "accepted",
			       static_cast<unsigned long long>(run.reasons[i]));
	printf("\nC++ accepts %llu, of which %llu lack required fields; protobuf-c read and wrote %llu\n",
	       static_cast<unsigned long long>(run.cpp_accepted), static_cast<unsigned long long>(run.missing_required),
	       static_cast<unsigned long long>(run.repacked));
	printf("%llu messages, %llu accepted (%.1f%%), %llu of them changed; seed %llu; %.1f s; no finding\n",
	       static_cast<unsigned long long>(seen), static_cast<unsigned long long>(accepted),
	       100.0 * static_cast<double>(accepted) / static_cast<double>(seen), static_cast<unsigned long long>(changed),
	       static_cast<unsigned long long>(run.seed), seconds);
}

// --- schemas ---------------------------------------------------------------------------------------------------------

void files_add(const FileDescriptor *f, std::set<const FileDescriptor *> &have, google::protobuf::FileDescriptorSet &out)
{
	if (!have.insert(f).second)
		return;
	for (int i = 0; i < f->dependency_count(); i++)
		files_add(f->dependency(i), have, out);
	f->CopyTo(out.add_file());
}

const sch_set *set_compile(Run &run, const std::string &bytes)
{
	sch_set *set;
	sch_err err;

	if (sch_set_compile(&set, bytes.data(), bytes.size(), &err))
		die(std::string(err.file) + " " + err.where + ": " + err.text);
	run.sets.emplace_back(set, sch_set_free);
	return set;
}

void type_add(Run &run, const sch_set *set, const Message *prototype, const ProtobufCMessageDescriptor *c, const Message *second)
{
	Type t = {};
	int32_t type = sch_type_find(set, prototype->GetDescriptor()->full_name().c_str());

	if (type < 0)
		die("no type " + prototype->GetDescriptor()->full_name());
	t.prototype = prototype;
	t.c = c;
	t.second = c ? prototype : second;
	t.set = set;
	t.type = static_cast<uint32_t>(type);
	t.theirs.reset(prototype->New());
	t.again.reset(t.second->New());
	run.types.push_back(std::move(t));
}

template <typename T> const Message *generated()
{
	return &T::default_instance();
}

google::protobuf::FileDescriptorSet set_read(const char *path)
{
	std::ifstream in(path, std::ios::binary);
	std::stringstream bytes;
	google::protobuf::FileDescriptorSet files;

	bytes << in.rdbuf();
	if (!in || !files.ParseFromString(bytes.str()))
		die(std::string(path) + ": no descriptor set");
	return files;
}

// The demo's messages have no C++ code here: reflection over its set reads them.
void demo_add(Run &run)
{
	static const struct {
		const char *name;
		const ProtobufCMessageDescriptor *c;
	} types[] = {
		{ "demo.Reading", &demo__reading__descriptor }, { "demo.ActRequest", &demo__act_request__descriptor },
		{ "demo.ActReply", &demo__act_reply__descriptor }, { "demo.Event", &demo__event__descriptor },
		{ "demo.Frame", &demo__frame__descriptor }, { "demo.WebAccess", &demo__web_access__descriptor },
		{ "demo.Telemetry", &demo__telemetry__descriptor },
	};
	static google::protobuf::DescriptorPool pool;
	static google::protobuf::DynamicMessageFactory factory;
	google::protobuf::FileDescriptorSet files = set_read(DEMO_SET);
	const sch_set *set = set_compile(run, files.SerializeAsString());

	for (const auto &f : files.file())
		if (!pool.BuildFile(f))
			die(DEMO_SET ": cannot be used");
	for (const auto &t : types) {
		const Descriptor *d = pool.FindMessageTypeByName(t.name);

		if (!d)
			die(std::string(DEMO_SET " has no ") + t.name);
		type_add(run, set, factory.GetPrototype(d), t.c, nullptr);
		run.types.back().has_rules = true;
	}
}

// The benchmark's order, with its rules, and messages that meet them.
void order_add(Run &run)
{
	struct orders orders;

	type_add(run, set_compile(run, set_read(RULED_SET).SerializeAsString()), generated<bench::v1::Order>(),
		 &bench__v1__order__descriptor, nullptr);
	run.types.back().has_rules = true;
	if (orders_make(&orders))
		die("no memory");
	for (uint32_t i = 0; i < ORDERS; i++)
		run.types.back().samples.emplace_back(reinterpret_cast<const char *>(orders.at[i]), orders.len[i]);
	orders_free(&orders);
}

void types_add(Run &run)
{
	static google::protobuf::DynamicMessageFactory factory;
	google::protobuf::FileDescriptorSet files;
	std::set<const FileDescriptor *> have;

	files_add(differ::Maybe::descriptor()->file(), have, files);
	files_add(differ::Old::descriptor()->file(), have, files);
	files_add(differ::Grouped::descriptor()->file(), have, files);
	const sch_set *set = set_compile(run, files.SerializeAsString());

	type_add(run, set, generated<differ::Plain>(), &differ__plain__descriptor, nullptr);
	type_add(run, set, generated<differ::Lists>(), &differ__lists__descriptor, nullptr);
	type_add(run, set, generated<differ::Choice>(), &differ__choice__descriptor, nullptr);
	type_add(run, set, generated<differ::Maps>(), &differ__maps__descriptor, nullptr);
	type_add(run, set, generated<differ::Tree>(), &differ__tree__descriptor, nullptr);
	type_add(run, set, generated<differ::All>(), &differ__all__descriptor, nullptr);
	type_add(run, set, generated<differ::Old>(), &differ__old__descriptor, nullptr);
	type_add(run, set, generated<differ::Need>(), &differ__need__descriptor, nullptr);
	type_add(run, set, generated<differ::Maybe>(), nullptr, factory.GetPrototype(differ::Maybe::descriptor()));
	type_add(run, set, generated<differ::Grouped>(), nullptr, factory.GetPrototype(differ::Grouped::descriptor()));
	order_add(run);
	demo_add(run);
}

} // namespace

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, nullptr, 'c' },
		{ "seed", required_argument, nullptr, 's' },
		{ "plant", no_argument, nullptr, 'p' },
		{ nullptr, 0, nullptr, 0 },
	};
	Run run = {};
	int o;

	run.count = 200000;
	run.seed = 1;
	while ((o = getopt_long(argc, argv, "", options, nullptr)) != -1) {
		if (o == 'c')
			run.count = strtoull(optarg, nullptr, 10);
		else if (o == 's')
			run.seed = strtoull(optarg, nullptr, 10);
		else if (o == 'p')
			run.plant = true;
		else
			die("[--count N] [--seed N] [--plant]");
	}
	google::protobuf::SetLogHandler(nullptr);
	types_add(run);

	auto start = std::chrono::steady_clock::now();
	Random random(run.seed);
	std::vector<Tree> donors;
	std::string last;

	while (run.count)
		one_message(run, random, donors, last);
	report(run, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
	return 0;
}
