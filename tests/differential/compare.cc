// SPDX-License-Identifier: BSD-2-Clause
// Reads protobuf-c's messages through its own descriptors and Google's through reflection: one walk serves every type.
#include "tests/differential/compare.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/unknown_field_set.h>

#include <cstring>
#include <vector>

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

namespace {

template <typename T> T load(const void *p)
{
	T v;

	memcpy(&v, p, sizeof v);
	return v;
}

const char *member(const ProtobufCMessage *m, unsigned offset)
{
	return reinterpret_cast<const char *>(m) + offset;
}

// --- one value: Google's by its field and index (-1: singular), protobuf-c's by where it is ---------------------------

template <typename T> bool same_bits(T a, T b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}

#define GET(kind) (i < 0 ? r->Get##kind(m, f) : r->GetRepeated##kind(m, f, i))

bool same_scalar(const Message &m, const Reflection *r, const FieldDescriptor *f, int i, const void *at)
{
	std::string scratch;

	switch (f->cpp_type()) {
	case FieldDescriptor::CPPTYPE_INT32:
		return GET(Int32) == load<int32_t>(at);
	case FieldDescriptor::CPPTYPE_INT64:
		return GET(Int64) == load<int64_t>(at);
	case FieldDescriptor::CPPTYPE_UINT32:
		return GET(UInt32) == load<uint32_t>(at);
	case FieldDescriptor::CPPTYPE_UINT64:
		return GET(UInt64) == load<uint64_t>(at);
	case FieldDescriptor::CPPTYPE_DOUBLE:
		return same_bits(GET(Double), load<double>(at));
	case FieldDescriptor::CPPTYPE_FLOAT:
		return same_bits(GET(Float), load<float>(at));
	case FieldDescriptor::CPPTYPE_BOOL:
		return (GET(Bool) ? 1 : 0) == load<protobuf_c_boolean>(at);
	case FieldDescriptor::CPPTYPE_ENUM:
		return GET(EnumValue) == load<int32_t>(at);
	case FieldDescriptor::CPPTYPE_STRING: {
		const std::string &s = i < 0 ? r->GetStringReference(m, f, &scratch)
			: r->GetRepeatedStringReference(m, f, i, &scratch);

		if (f->type() == FieldDescriptor::TYPE_BYTES) {
			ProtobufCBinaryData b = load<ProtobufCBinaryData>(at);

			return s.size() == b.len && (b.len == 0 || memcmp(s.data(), b.data, b.len) == 0);
		}
		const char *text = load<const char *>(at);

		return strlen(text ? text : "") == s.size() && s == (text ? text : "");
	}
	default:
		return false;
	}
}

// --- messages --------------------------------------------------------------------------------------------------------

// entry: both are a map's entry, whose fields have a value whether they stand on the wire or not.
std::string compare_messages(const Message &m, const ProtobufCMessage *c, bool entry);

bool present(const ProtobufCMessage *c, const ProtobufCFieldDescriptor *f)
{
	const char *at = member(c, f->offset), *quantifier = member(c, f->quantifier_offset);

	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return load<uint32_t>(quantifier) == f->id;
	if (f->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return load<const void *>(at) != nullptr;
	if (f->type == PROTOBUF_C_TYPE_STRING)
		return load<const void *>(at) != nullptr && load<const void *>(at) != f->default_value;
	return load<protobuf_c_boolean>(quantifier) != 0;
}

size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
		return 4;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	default:
		return 8;
	}
}

// Entries come in any order: each of one finds its like, key and value, among the other's.
std::string compare_map(const Message &m, const Reflection *r, const FieldDescriptor *f, size_t n, const char *list)
{
	std::vector<bool> taken(n);

	for (int i = 0; i < static_cast<int>(n); i++) {
		const Message &entry = r->GetRepeatedMessage(m, f, i);
		size_t k;

		for (k = 0; k < n; k++) {
			const ProtobufCMessage *other = load<const ProtobufCMessage *>(list + k * sizeof(void *));

			if (!taken[k] && compare_messages(entry, other, true).empty())
				break;
		}
		if (k == n)
			return "entry " + std::to_string(i) + " is not there";
		taken[k] = true;
	}
	return "";
}

std::string compare_field(const Message &m, const Reflection *r, const FieldDescriptor *f, const ProtobufCMessage *c,
			  const ProtobufCFieldDescriptor *cf, bool entry)
{
	const char *at = member(c, cf->offset);

	if (f->is_repeated()) {
		size_t n = load<size_t>(member(c, cf->quantifier_offset));
		const char *list = load<const char *>(at);

		if (static_cast<size_t>(r->FieldSize(m, f)) != n)
			return ": " + std::to_string(r->FieldSize(m, f)) + " elements, or " + std::to_string(n);
		if (f->is_map()) {
			std::string what = compare_map(m, r, f, n, list);

			return what.empty() ? "" : ": " + what;
		}
		for (size_t i = 0; i < n; i++) {
			const char *one = list + i * size_of(cf->type);
			std::string what;

			if (f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
				what = compare_messages(r->GetRepeatedMessage(m, f, static_cast<int>(i)),
							load<const ProtobufCMessage *>(one), false);
			else if (!same_scalar(m, r, f, static_cast<int>(i), one))
				what = ": another value";
			if (!what.empty())
				return "[" + std::to_string(i) + "]" + what;
		}
		return "";
	}
	bool has = !f->has_presence() || entry;

	if (!has) {
		has = r->HasField(m, f);
		if (has != present(c, cf))
			return has ? ": only C++ has it" : ": only protobuf-c has it";
		if (!has)
			return "";
	}
	if (f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
		const ProtobufCMessage *sub = load<const ProtobufCMessage *>(at);

		return sub ? compare_messages(r->GetMessage(m, f), sub, false) : ": protobuf-c has no message";
	}
	return same_scalar(m, r, f, -1, at) ? "" : ": another value";
}

std::string compare_messages(const Message &m, const ProtobufCMessage *c, bool entry)
{
	const Descriptor *d = m.GetDescriptor();
	const Reflection *r = m.GetReflection();

	if (c->n_unknown_fields)
		return ": protobuf-c met an unknown field";
	if (!r->GetUnknownFields(m).empty())
		return ": C++ met an unknown field";
	if (c->descriptor->n_fields != static_cast<unsigned>(d->field_count()))
		return ": not the same type";
	for (int i = 0; i < d->field_count(); i++) {
		const FieldDescriptor *f = d->field(i);
		const ProtobufCFieldDescriptor *cf =
			protobuf_c_message_descriptor_get_field(c->descriptor, static_cast<unsigned>(f->number()));

		if (!cf)
			return ": not the same type";
		std::string what = compare_field(m, r, f, c, cf, entry);

		if (!what.empty())
			return "." + f->name() + what;
	}
	return "";
}

} // namespace

std::string compare_readings(const Message &theirs, const ProtobufCMessage *other)
{
	return compare_messages(theirs, other, false);
}

std::string unknown_find(const Message &m)
{
	const Reflection *r = m.GetReflection();
	std::vector<const FieldDescriptor *> fields;

	if (!r->GetUnknownFields(m).empty())
		return ": an unknown field";
	r->ListFields(m, &fields);
	for (const FieldDescriptor *f : fields) {
		if (f->is_extension())
			return "." + f->name() + ": an extension";
		if (f->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE)
			continue;
		for (int i = 0; i < (f->is_repeated() ? r->FieldSize(m, f) : 1); i++) {
			std::string what = unknown_find(f->is_repeated() ? r->GetRepeatedMessage(m, f, i) : r->GetMessage(m, f));

			if (!what.empty())
				return "." + f->name() + what;
		}
	}
	return "";
}

void negative_zeros_drop(Message *m)
{
	const Reflection *r = m->GetReflection();
	bool entry = m->GetDescriptor()->options().map_entry();
	std::vector<const FieldDescriptor *> fields;

	r->ListFields(*m, &fields);
	for (const FieldDescriptor *f : fields) {
		if (f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
			for (int i = 0; i < (f->is_repeated() ? r->FieldSize(*m, f) : 1); i++)
				negative_zeros_drop(f->is_repeated() ? r->MutableRepeatedMessage(m, f, i)
						    : r->MutableMessage(m, f));
			continue;
		}
		if (f->is_repeated() || (f->has_presence() && !entry))
			continue;
		if (f->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE && r->GetDouble(*m, f) == 0)
			r->SetDouble(m, f, 0);
		else if (f->cpp_type() == FieldDescriptor::CPPTYPE_FLOAT && r->GetFloat(*m, f) == 0)
			r->SetFloat(m, f, 0);
	}
}

std::string canonical(const Message &m)
{
	std::string out;
	google::protobuf::io::StringOutputStream stream(&out);
	google::protobuf::io::CodedOutputStream coded(&stream);

	coded.SetSerializationDeterministic(true);
	m.SerializePartialToCodedStream(&coded);
	coded.Trim();
	return out;
}
