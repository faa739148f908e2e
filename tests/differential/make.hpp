// SPDX-License-Identifier: BSD-2-Clause
// The parts of messages at random, for those who change messages.
#ifndef DIFFERENTIAL_MAKE_HPP
#define DIFFERENTIAL_MAKE_HPP

#include "tests/differential/wire.hpp"

uint64_t edge_value(Random &random); // small, next to a limit, or anything
uint64_t value_make(const google::protobuf::FieldDescriptor *f, Random &random); // as the wire holds it; fits its type
std::string text_make(Random &random); // UTF-8 without NUL
std::string blob_make(Random &random);
Kind kind_of(const google::protobuf::FieldDescriptor *f); // of one element
Node node_make(const google::protobuf::FieldDescriptor *f, Random &random, uint32_t room, uint32_t depth);
Node packed_make(const google::protobuf::FieldDescriptor *f); // without elements
Tree message_make(const google::protobuf::Descriptor *type, Random &random, uint32_t room, uint32_t depth);

#endif
