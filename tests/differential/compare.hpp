// SPDX-License-Identifier: BSD-2-Clause
// Do two parsers read the same from one message? Walks Google's and protobuf-c's parsed messages side by side.
#ifndef DIFFERENTIAL_COMPARE_HPP
#define DIFFERENTIAL_COMPARE_HPP

#include <google/protobuf/message.h>
#include <protobuf-c/protobuf-c.h>

#include <string>

// "" where both hold the same fields, present in both or absent in both, with the same values bit by bit, and neither
// met a field that it does not know; else the path of the first difference and what it is.
std::string compare_readings(const google::protobuf::Message &theirs, const ProtobufCMessage *other);

// "" where the message and all it holds have no field that the parser does not know; else where one is.
std::string unknown_find(const google::protobuf::Message &m);

// Makes each -0.0 a 0.0 where nothing but its value says that a field was there: fields without presence, map values.
void negative_zeros_drop(google::protobuf::Message *m);

// The bytes of a message such that equal messages have equal bytes.
std::string canonical(const google::protobuf::Message &m);

#endif
