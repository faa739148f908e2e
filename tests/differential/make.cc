// SPDX-License-Identifier: BSD-2-Clause
// Valid messages at random, as trees; and trees as bytes.
#include "tests/differential/make.hpp"

#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <cstdlib>

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// --- values ----------------------------------------------------------------------------------------------------------

static const uint64_t edges[] = {
	0, 1, 2, 0x7f, 0x80, 0x3fff, 0x4000, 0x1fffff, 0x200000, 0x0fffffff, 0x10000000, 0x7fffffff, 0x80000000, 0xffffffff,
	0x100000000, 0x7ffffffff, 0x3ffffffffff, 0x1ffffffffffff, 0xffffffffffffff, 0x7fffffffffffffff, 0x8000000000000000,
	0xffffffff80000000, 0xffffffff7fffffff, 0xffffffffffffffff,
};

uint64_t edge_value(Random &random)
{
	switch (random.below(3)) {
	case 0:
		return random.below(300);
	case 1:
		return edges[random.below(sizeof edges / sizeof *edges)];
	default:
		return random.next() >> random.below(64);
	}
}

static uint64_t zigzag(int64_t v)
{
	return static_cast<uint64_t>(v) << 1 ^ static_cast<uint64_t>(v >> 63);
}

static uint64_t float_bits(Random &random)
{
	static const uint32_t odd[] = { 0, 0x80000000, 0x3f800000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7fa00001, 1, 0x007fffff };

	return random.one_in(2) ? odd[random.below(sizeof odd / sizeof *odd)] : random.next() & 0xffffffff;
}

static uint64_t double_bits(Random &random)
{
	static const uint64_t odd[] = {
		0, 0x8000000000000000, 0x3ff0000000000000, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000,
		0x7ff4000000000001, 1,
	};

	return random.one_in(2) ? odd[random.below(sizeof odd / sizeof *odd)] : random.next();
}

uint64_t value_make(const FieldDescriptor *f, Random &random)
{
	uint64_t v = edge_value(random);

	switch (f->type()) {
	case FieldDescriptor::TYPE_INT32:
	case FieldDescriptor::TYPE_SFIXED32:
		v = static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(v)));
		return f->type() == FieldDescriptor::TYPE_INT32 ? v : v & 0xffffffff;
	case FieldDescriptor::TYPE_UINT32:
	case FieldDescriptor::TYPE_FIXED32:
		return v & 0xffffffff;
	case FieldDescriptor::TYPE_SINT32:
		return zigzag(static_cast<int32_t>(v)) & 0xffffffff;
	case FieldDescriptor::TYPE_SINT64:
		return zigzag(static_cast<int64_t>(v));
	case FieldDescriptor::TYPE_BOOL:
		return v & 1;
	case FieldDescriptor::TYPE_ENUM: {
		const google::protobuf::EnumDescriptor *e = f->enum_type();

		return static_cast<uint64_t>(static_cast<int64_t>(e->value(static_cast<int>(random.below(
			static_cast<size_t>(e->value_count()))))->number()));
	}
	case FieldDescriptor::TYPE_FLOAT:
		return float_bits(random);
	case FieldDescriptor::TYPE_DOUBLE:
		return double_bits(random);
	default:
		return v;
	}
}

std::string text_make(Random &random)
{
	static const char *const parts[] = {
		"a", "valve", "0", " ", "north side", "\n", "\x7f", "\xc3\xa9", "\xdf\xbf", "\xe0\xa0\x80", "\xe2\x82\xac",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf0\x90\x80\x80", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf",
		"sixteen letters.", "thirty-two letters and a few more",
	};
	std::string s;

	for (uint32_t n = random.below(random.one_in(8) ? 12 : 4); n; n--)
		s += parts[random.below(sizeof parts / sizeof *parts)];
	return s;
}

std::string blob_make(Random &random)
{
	std::string s;

	for (uint32_t n = random.below(random.one_in(16) ? 200 : 10); n; n--)
		s += static_cast<char>(random.next());
	return s;
}

Kind kind_of(const FieldDescriptor *f)
{
	switch (f->type()) {
	case FieldDescriptor::TYPE_FIXED64:
	case FieldDescriptor::TYPE_SFIXED64:
	case FieldDescriptor::TYPE_DOUBLE:
		return Kind::FIXED64;
	case FieldDescriptor::TYPE_FIXED32:
	case FieldDescriptor::TYPE_SFIXED32:
	case FieldDescriptor::TYPE_FLOAT:
		return Kind::FIXED32;
	case FieldDescriptor::TYPE_STRING:
	case FieldDescriptor::TYPE_BYTES:
		return Kind::BYTES;
	case FieldDescriptor::TYPE_MESSAGE:
		return Kind::MESSAGE;
	case FieldDescriptor::TYPE_GROUP:
		return Kind::GROUP;
	default:
		return Kind::VARINT;
	}
}

// --- messages --------------------------------------------------------------------------------------------------------

Node node_make(const FieldDescriptor *f, Random &random, uint32_t room, uint32_t depth)
{
	Node n;

	n.kind = kind_of(f);
	n.number = static_cast<uint32_t>(f->number());
	n.field = f;
	if (n.kind == Kind::MESSAGE || n.kind == Kind::GROUP)
		n.kids = message_make(f->message_type(), random, room / 2, depth + 1);
	else if (n.kind == Kind::BYTES)
		n.bytes = f->type() == FieldDescriptor::TYPE_STRING ? text_make(random) : blob_make(random);
	else
		n.value = value_make(f, random);
	return n;
}

Node packed_make(const FieldDescriptor *f)
{
	Node n;

	n.kind = Kind::PACKED;
	n.number = static_cast<uint32_t>(f->number());
	n.field = f;
	return n;
}

static std::string key_of(const Node &entry)
{
	for (const Node &k : entry.kids)
		if (k.number == 1)
			return k.bytes + "/" + std::to_string(k.value);
	return "/0";
}

static void list_make(Tree &t, const FieldDescriptor *f, Random &random, uint32_t room, uint32_t depth)
{
	uint32_t n = 1 + random.below(random.one_in(16) ? 20 : 4);

	if (f->is_packable() && f->is_packed() && !random.one_in(4)) {
		t.push_back(packed_make(f));
		for (; n; n--) {
			t.back().kids.push_back(node_make(f, random, 0, depth));
			t.back().kids.back().bare = true;
		}
		return;
	}
	size_t first = t.size();

	for (; n; n--) {
		Node one = node_make(f, random, room / 2, depth);
		bool twice = false;

		if (f->is_map())
			for (size_t i = first; i < t.size(); i++)
				twice |= key_of(t[i]) == key_of(one);
		if (!twice)
			t.push_back(std::move(one));
	}
}

Tree message_make(const Descriptor *type, Random &random, uint32_t room, uint32_t depth)
{
	bool entry = type->options().map_entry();
	int n = type->field_count();
	Tree t;

	for (int i = 0; i < n; i++) {
		const FieldDescriptor *f = type->field(i);
		const google::protobuf::OneofDescriptor *one = f->real_containing_oneof();

		if (f->is_required() || entry) {
			t.push_back(node_make(f, random, room, depth));
			continue;
		}
		if (random.below(static_cast<size_t>(n)) >= room || (kind_of(f) == Kind::MESSAGE && depth > 6))
			continue;
		if (one && !std::none_of(t.begin(), t.end(), [one](const Node &x) { return x.field->containing_oneof() == one; }))
			continue;
		if (f->is_repeated())
			list_make(t, f, random, room, depth);
		else
			t.push_back(node_make(f, random, room, depth));
	}
	return t;
}

Tree tree_make(const Descriptor *type, Random &random, uint32_t room)
{
	return message_make(type, random, room, 0);
}

// --- from bytes ------------------------------------------------------------------------------------------------------

namespace {

// Reads valid bytes only; anything else is a broken test.
class Reader {
public:
	explicit Reader(const std::string &bytes) : bytes_(bytes) {}
	bool done() const { return at_ == bytes_.size(); }
	uint64_t varint()
	{
		uint64_t v = 0;

		for (uint32_t shift = 0;; shift += 7) { // ends at the last byte, or aborts
			uint8_t byte = static_cast<uint8_t>(take(1)[0]);

			v |= static_cast<uint64_t>(byte & 0x7f) << shift;
			if (byte < 0x80)
				return v;
		}
	}
	uint64_t fixed(size_t n)
	{
		std::string raw = take(n);
		uint64_t v = 0;

		for (size_t i = 0; i < n; i++)
			v |= static_cast<uint64_t>(static_cast<uint8_t>(raw[i])) << 8 * i;
		return v;
	}
	std::string take(size_t n)
	{
		if (n > bytes_.size() - at_)
			abort();
		at_ += n;
		return bytes_.substr(at_ - n, n);
	}

private:
	const std::string &bytes_;
	size_t at_ = 0;
};

uint64_t value_read(Reader &in, Kind kind)
{
	return kind == Kind::FIXED64 ? in.fixed(8) : kind == Kind::FIXED32 ? in.fixed(4) : in.varint();
}

Node packed_full(const FieldDescriptor *f, const std::string &content)
{
	Node whole = packed_make(f);
	Reader in(content);

	while (!in.done()) {
		Node n;

		n.kind = kind_of(f);
		n.bare = true;
		n.number = static_cast<uint32_t>(f->number());
		n.field = f;
		n.value = value_read(in, n.kind);
		whole.kids.push_back(std::move(n));
	}
	return whole;
}

} // namespace

Tree tree_read(const Descriptor *type, const std::string &bytes)
{
	Reader in(bytes);
	Tree t;

	while (!in.done()) {
		uint64_t tag = in.varint();
		Node n;

		n.number = static_cast<uint32_t>(tag >> 3);
		n.field = type->FindFieldByNumber(static_cast<int>(n.number));
		if (!n.field)
			abort();
		n.kind = kind_of(n.field);
		if ((tag & 7) != 2) {
			n.value = value_read(in, n.kind);
		} else {
			std::string content = in.take(in.varint());

			if (n.kind == Kind::MESSAGE)
				n.kids = tree_read(n.field->message_type(), content);
			else if (n.kind == Kind::BYTES)
				n.bytes = std::move(content);
			else
				n = packed_full(n.field, content);
		}
		t.push_back(std::move(n));
	}
	return t;
}

// --- bytes -----------------------------------------------------------------------------------------------------------

static void varint_write(uint64_t v, uint32_t extra, std::string &out)
{
	for (; v > 0x7f; v >>= 7)
		out += static_cast<char>(v | 0x80);
	if (extra == 0) {
		out += static_cast<char>(v);
		return;
	}
	out += static_cast<char>(v | 0x80);
	out.append(extra - 1, '\x80');
	out += '\0';
}

static void fixed_write(uint64_t v, size_t n, std::string &out)
{
	char raw[8];

	for (size_t i = 0; i < n; i++)
		raw[i] = static_cast<char>(v >> 8 * i);
	out.append(raw, n);
}

static void length_write(const Node &n, const std::string &content, std::string &out)
{
	varint_write(content.size() + static_cast<uint64_t>(static_cast<int64_t>(n.len_off)), n.len_extra, out);
	out += content;
}

static void node_write(const Node &n, std::string &out)
{
	static const uint32_t wires[] = { 0, 1, 5, 2, 2, 2, 3, 4 }; // by Kind
	std::string content;

	if (!n.bare)
		varint_write(static_cast<uint64_t>(n.number) << 3 | wires[static_cast<size_t>(n.kind)], n.tag_extra, out);
	switch (n.kind) {
	case Kind::VARINT:
		varint_write(n.value, n.value_extra, out);
		break;
	case Kind::FIXED64:
		fixed_write(n.value, 8, out);
		break;
	case Kind::FIXED32:
		fixed_write(n.value, 4, out);
		break;
	case Kind::BYTES:
		length_write(n, n.bytes, out);
		break;
	case Kind::MESSAGE:
	case Kind::PACKED:
		tree_write(n.kids, content);
		length_write(n, content, out);
		break;
	case Kind::GROUP:
		tree_write(n.kids, out);
		varint_write(static_cast<uint64_t>(n.number) << 3 | 4, n.value_extra, out);
		break;
	case Kind::END:
		break;
	}
}

void tree_write(const Tree &tree, std::string &out)
{
	for (const Node &n : tree)
		node_write(n, out);
}
