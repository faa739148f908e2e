// SPDX-License-Identifier: BSD-2-Clause
// Messages as trees of what stands on the wire, made from a descriptor, changed, and written out. A tree can say what no
// serializer writes: long varints, wrong lengths, wrong types. Judging the bytes is others'.
#ifndef DIFFERENTIAL_WIRE_HPP
#define DIFFERENTIAL_WIRE_HPP

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <string>
#include <vector>

// A well mixed sequence (splitmix64): the same seed gives the same run on every machine.
class Random {
public:
	explicit Random(uint64_t seed) : state_(seed) {}
	uint64_t next()
	{
		uint64_t z = state_ += 0x9e3779b97f4a7c15;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		return z ^ z >> 31;
	}
	uint32_t below(size_t n) { return static_cast<uint32_t>((next() >> 32) * n >> 32); } // n: 1 to 2^32
	bool one_in(uint32_t n) { return below(n) == 0; }

private:
	uint64_t state_;
};

enum class Kind : uint8_t { VARINT, FIXED64, FIXED32, BYTES, MESSAGE, PACKED, GROUP, END };

struct Node {
	Kind kind = Kind::VARINT;
	bool bare = false;         // an element of packed content: no tag
	uint8_t tag_extra = 0;     // bytes more than a varint needs
	uint8_t len_extra = 0;
	uint8_t value_extra = 0;
	int32_t len_off = 0;       // added to the length that is right
	uint32_t number = 0;
	uint64_t value = 0;
	const google::protobuf::FieldDescriptor *field = nullptr; // NULL where the schema has none
	std::string bytes;
	std::vector<Node> kids;    // MESSAGE, GROUP: fields; PACKED: bare elements
};

using Tree = std::vector<Node>;

// A valid message of the type: what strict mode must accept. Size follows from `room`, which is how many fields it may
// have, roughly.
Tree tree_make(const google::protobuf::Descriptor *type, Random &random, uint32_t room);

// The tree of a message that is known to be valid.
Tree tree_read(const google::protobuf::Descriptor *type, const std::string &bytes);

// Changes the tree once. `harmless` keeps to changes that most often leave the message valid: another order, another form
// of a list, a field more or less, another value. `donors` are trees to take nodes from.
void tree_change(Tree &tree, const google::protobuf::Descriptor *type, Random &random, bool harmless,
		 const std::vector<Tree> &donors);

// Appends the bytes of the tree.
void tree_write(const Tree &tree, std::string &out);

// Changes the bytes once, knowing nothing of what they mean.
void bytes_change(std::string &bytes, Random &random, const std::string &donor);

#endif
