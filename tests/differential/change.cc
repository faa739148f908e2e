// SPDX-License-Identifier: BSD-2-Clause
// Changes to messages: of the tree, which keeps lengths right around the change, and of bare bytes.
#include <algorithm>

#include "tests/differential/make.hpp"
#include "tests/differential/wire.hpp"

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

namespace {

// A list of nodes somewhere in the tree, and the message type whose fields they are (NULL: packed elements, or unknown).
struct Place {
	Tree *list;
	const Descriptor *type;
};

void places_find(Tree &t, const Descriptor *type, std::vector<Place> &out)
{
	out.push_back({ &t, type });
	for (Node &n : t)
		if (!n.kids.empty() || n.kind == Kind::MESSAGE || n.kind == Kind::GROUP)
			places_find(n.kids, n.kind != Kind::PACKED && n.field ? n.field->message_type() : nullptr, out);
}

template <typename T> T &any(std::vector<T> &v, Random &random)
{
	return v[random.below(v.size())];
}

void insert(Tree &t, Random &random, Node n)
{
	t.insert(t.begin() + random.below(t.size() + 1), std::move(n));
}

const FieldDescriptor *any_field(const Descriptor *type, Random &random)
{
	return type && type->field_count()
		? type->field(static_cast<int>(random.below(static_cast<size_t>(type->field_count())))) : nullptr;
}

// --- changes that a valid message most often survives ----------------------------------------------------------------

void shuffle(Tree &t, Random &random)
{
	for (size_t i = t.size(); i > 1; i--)
		std::swap(t[i - 1], t[random.below(i)]);
}

void revalue(Node &n, Random &random)
{
	if (n.kind == Kind::BYTES)
		n.bytes = n.field && n.field->type() == FieldDescriptor::TYPE_BYTES ? blob_make(random) : text_make(random);
	else if (n.kind == Kind::VARINT || n.kind == Kind::FIXED32 || n.kind == Kind::FIXED64)
		n.value = n.field ? value_make(n.field, random) : edge_value(random);
}

// Packed content becomes single elements, or two packs, or gets elements; a single element becomes packed.
void reform(Tree &t, size_t at, Random &random)
{
	Node n = std::move(t[at]);
	Node other;

	if (n.kind != Kind::PACKED) {
		other = packed_make(n.field);
		n.bare = true;
		other.kids.push_back(std::move(n));
		t[at] = std::move(other);
		return;
	}
	switch (random.below(3)) {
	case 0:
		for (Node &k : n.kids)
			k.bare = false;
		t.erase(t.begin() + static_cast<ptrdiff_t>(at));
		t.insert(t.begin() + static_cast<ptrdiff_t>(at), n.kids.begin(), n.kids.end());
		return;
	case 1: {
		size_t half = random.below(n.kids.size() + 1);

		other = packed_make(n.field);
		other.kids.assign(n.kids.begin() + static_cast<ptrdiff_t>(half), n.kids.end());
		n.kids.resize(half);
		t[at] = std::move(n);
		insert(t, random, std::move(other));
		return;
	}
	default:
		for (uint32_t k = random.below(5); k; k--) {
			n.kids.push_back(node_make(n.field, random, 0, 0));
			n.kids.back().bare = true;
		}
		t[at] = std::move(n);
	}
}

void harmless_change(Place p, Random &random)
{
	Tree &t = *p.list;
	const FieldDescriptor *f = any_field(p.type, random);
	size_t at = t.empty() ? 0 : random.below(t.size());

	switch (random.below(6)) {
	case 0:
		shuffle(t, random);
		break;
	case 1:
		if (!t.empty())
			t.erase(t.begin() + static_cast<ptrdiff_t>(at));
		break;
	case 2: // a field more, written even where it holds its default
		if (f) {
			Node n = node_make(f, random, 2, 4);

			if (random.one_in(3)) {
				n.value = 0;
				n.bytes.clear();
			}
			insert(t, random, std::move(n));
		}
		break;
	case 3:
		if (f && f->is_packable()) {
			insert(t, random, packed_make(f)); // often empty content
			if (random.one_in(2))
				break;
		}
		[[fallthrough]];
	case 4:
		if (!t.empty() && t[at].field && !t[at].bare && t[at].field->is_packable())
			reform(t, at, random);
		break;
	default:
		if (!t.empty())
			revalue(t[at], random);
	}
}

// --- changes that most often spoil it --------------------------------------------------------------------------------

void spoil_text(std::string &s, Random &random)
{
	static const char *const bad[] = {
		"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x80\x80", "\xe2\x82", "\xed\xa0\x80", "\xf0\x80\x80\x80",
		"\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff",
	};
	size_t at = random.below(s.size() + 1);

	if (random.one_in(4))
		s.insert(at, 1, '\0');
	else
		s.insert(at, bad[random.below(sizeof bad / sizeof *bad)]);
}

Node unknown_make(Random &random)
{
	static const uint32_t numbers[] = { 0,	  1,	15,   16,   99,	   100,	      101,	 102,
					    200, 1000, 2046, 2049, 18999, 536870910, 536870911, 536870912 };
	Node n;

	n.number = numbers[random.below(sizeof numbers / sizeof *numbers)];
	n.kind = static_cast<Kind>(random.below(8));
	n.value = edge_value(random);
	n.bytes = blob_make(random);
	if (n.kind == Kind::GROUP && random.one_in(2))
		n.kids.push_back(unknown_make(random));
	return n;
}

// A chain of messages inside one another, about as deep as one of the limits, where a type can hold itself.
bool deepen(Place p, Random &random)
{
	static const uint32_t depths[] = { 28, 29, 30, 31, 32, 33, 34, 40, 95, 97, 98, 99, 100, 101, 102, 103 };

	if (!p.type)
		return false;
	for (int i = 0; i < p.type->field_count(); i++) {
		const FieldDescriptor *f = p.type->field(i);

		if (f->message_type() != p.type || random.one_in(3))
			continue;
		Node inner;

		inner.kind = kind_of(f);
		inner.number = static_cast<uint32_t>(f->number());
		inner.field = f;
		inner.kids = message_make(p.type, random, 1, 9);
		for (uint32_t d = depths[random.below(sizeof depths / sizeof *depths)]; d > 1; d--) {
			Node outer;

			outer.kind = inner.kind;
			outer.number = inner.number;
			outer.field = f;
			outer.kids.push_back(std::move(inner));
			inner = std::move(outer);
		}
		p.list->push_back(std::move(inner));
		return true;
	}
	return false;
}

void rewire(Node &n, Random &random)
{
	n.kind = static_cast<Kind>(random.below(8));
	if (n.kind == Kind::BYTES && n.bytes.empty())
		n.bytes = blob_make(random);
}

void harmful_change(Place p, Random &random, const std::vector<Tree> &donors)
{
	static const uint32_t number_steps[] = { 1, 2, 8, 16, 32 };
	Tree &t = *p.list;
	uint32_t what = random.below(14);

	if (t.empty() || what == 0) {
		insert(t, random, unknown_make(random));
		return;
	}
	Node &n = any(t, random);

	switch (what) {
	case 1:
		insert(t, random, Node(n));
		break;
	case 2:
	case 3: // a node of another message, from its top or deep in it
		if (!donors.empty()) {
			const Tree *from = &donors[random.below(donors.size())];
			const Node *taken = nullptr;

			while (from && !from->empty()) {
				taken = &(*from)[random.below(from->size())];
				from = random.one_in(2) ? &taken->kids : nullptr;
			}
			if (taken)
				insert(t, random, Node(*taken));
		}
		break;
	case 4:
		n.number += random.one_in(2) ? number_steps[random.below(5)] : 0u - number_steps[random.below(5)];
		n.number &= random.one_in(16) ? 0xffffffff : 0x1fffffff;
		break;
	case 5:
		rewire(n, random);
		break;
	case 6:
		(n.bare ? n.value_extra : n.tag_extra) = static_cast<uint8_t>(1 + random.below(random.one_in(3) ? 10 : 2));
		break;
	case 7:
		n.len_extra = static_cast<uint8_t>(1 + random.below(random.one_in(3) ? 10 : 2));
		break;
	case 8:
		n.value_extra = static_cast<uint8_t>(1 + random.below(random.one_in(3) ? 10 : 2));
		break;
	case 9:
		n.len_off = static_cast<int32_t>(random.below(7)) - 3;
		break;
	case 10:
	case 11:
		n.value = edge_value(random);
		if (n.kind == Kind::BYTES)
			spoil_text(n.bytes, random);
		break;
	case 12:
		if (!deepen(p, random))
			n.bare = !n.bare;
		break;
	default:
		if (n.kind == Kind::MESSAGE || n.kind == Kind::GROUP) {
			Tree head(t.begin(), t.begin() + random.below(t.size() + 1));

			n.kids.insert(n.kids.end(), head.begin(), head.end());
		} else {
			n.len_off = -1;
		}
	}
}

} // namespace

void tree_change(Tree &tree, const Descriptor *type, Random &random, bool harmless, const std::vector<Tree> &donors)
{
	std::vector<Place> places;

	places_find(tree, type, places);
	Place p = any(places, random);

	if (harmless)
		harmless_change(p, random);
	else
		harmful_change(p, random, donors);
}

void bytes_change(std::string &s, Random &random, const std::string &donor)
{
	size_t at = s.empty() ? 0 : random.below(s.size());
	size_t n = 1 + random.below(random.one_in(4) ? 20 : 4);

	if (s.empty()) {
		s = donor.substr(0, n);
		return;
	}
	switch (random.below(10)) {
	case 0:
		s[at] = static_cast<char>(s[at] ^ 1 << random.below(8));
		break;
	case 1:
		s[at] = static_cast<char>(random.next());
		break;
	case 2:
		s.insert(at, 1, static_cast<char>(random.next()));
		break;
	case 3:
		s.erase(at, n);
		break;
	case 4:
		s.resize(at);
		break;
	case 5:
		s.insert(random.below(s.size() + 1), s.substr(at, n));
		break;
	case 6: // what was one byte of a varint goes on
		s[at] = static_cast<char>(s[at] ^ 0x80);
		break;
	case 7: {
		size_t from = donor.empty() ? 0 : random.below(donor.size());

		s.insert(at, donor.substr(from, n));
		break;
	}
	case 8: {
		size_t from = donor.empty() ? 0 : random.below(donor.size());

		s = s.substr(0, at) + donor.substr(from);
		break;
	}
	default:
		s[at] = static_cast<char>(s[at] + (random.one_in(2) ? 1 : -1));
	}
}
