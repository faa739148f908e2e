/* SPDX-License-Identifier: BSD-2-Clause */
/* JSON and messages, by Google's own library over the descriptor set's types. What it is too kind to refuse (a key that stands
 * twice) jansson refuses before it. No exception, no C++ type and no line on stderr leaves this file. */
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver_util.h>
#include <jansson.h>

#include "fabric/cli/json_message.h"

extern "C" {
#include "schemas/schema.h"
}

namespace pb = google::protobuf;

static const char url_prefix[] = "type.googleapis.com";

namespace
{
/* What the library says of a schema that it cannot use. */
class Complaints : public pb::DescriptorPool::ErrorCollector
{
public:
	std::string first;

	void AddError(const std::string &file, const std::string &element, const pb::Message *, ErrorLocation,
		      const std::string &message) override
	{
		if (first.empty())
			first = file + ": " + element + ": " + message;
	}
};
} // namespace

struct fab_json {
	pb::SimpleDescriptorDatabase files;
	Complaints complaints;
	std::unique_ptr<pb::DescriptorPool> pool;
	std::unique_ptr<pb::DynamicMessageFactory> factory;
	std::unique_ptr<pb::util::TypeResolver> resolver;
};

static int refuse(int code, char *why, size_t why_cap, const std::string &text)
{
	if (why_cap)
		snprintf(why, why_cap, "%s", text.c_str());
	return code;
}

static int out_of_memory(char *why, size_t why_cap)
{
	if (why_cap)
		snprintf(why, why_cap, "out of memory");
	return -ENOMEM;
}

static int open_set(struct fab_json **out, const uint8_t *fdset, size_t len, char *why, size_t why_cap)
{
	std::unique_ptr<fab_json> j(new fab_json);
	pb::FileDescriptorSet set;

	if (len > INT32_MAX || !set.ParsePartialFromArray(fdset, static_cast<int>(len)))
		return refuse(-EINVAL, why, why_cap, "not a descriptor set");
	for (const pb::FileDescriptorProto &file : set.file())
		if (!j->files.Add(file))
			return refuse(-EINVAL, why, why_cap, "the set has what is in " + file.name() + " twice");
	j->pool.reset(new pb::DescriptorPool(&j->files, &j->complaints));
	j->factory.reset(new pb::DynamicMessageFactory(j->pool.get()));
	j->resolver.reset(pb::util::NewTypeResolverForDescriptorPool(url_prefix, j->pool.get()));
	*out = j.release();
	return 0;
}

extern "C" int fab_json_open(struct fab_json **j, const uint8_t *fdset, size_t len, char *why, size_t why_cap)
{
	*j = nullptr;
	pb::SetLogHandler(nullptr);
	try {
		return open_set(j, fdset, len, why, why_cap);
	} catch (...) {
		return out_of_memory(why, why_cap);
	}
}

extern "C" void fab_json_close(struct fab_json *j)
{
	delete j;
}

/* The type, or NULL with why filled. */
static const pb::Descriptor *type_find(struct fab_json *j, const char *type, char *why, size_t why_cap)
{
	j->complaints.first.clear();
	const pb::Descriptor *d = j->pool->FindMessageTypeByName(type);

	if (d == nullptr && !j->complaints.first.empty())
		refuse(0, why, why_cap, "JSON of " + std::string(type) + " is beyond this program's libprotobuf (" +
		       j->complaints.first + "); give the message's bytes instead");
	else if (d == nullptr)
		refuse(0, why, why_cap, "the schemas have no message type \"" + std::string(type) + "\"");
	return d;
}

/* Is it JSON with each key once? Numbers are not judged here: a uint64 may be larger than jansson's. */
static int text_check(const char *text, size_t len, char *why, size_t why_cap)
{
	json_error_t e;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &e);

	if (o == nullptr) {
		if (why_cap)
			snprintf(why, why_cap, "not JSON: %s (line %d, column %d)", e.text, e.line, e.column);
		return json_error_code(&e) == json_error_out_of_memory ? -ENOMEM : -EINVAL;
	}
	json_decref(o);
	return 0;
}

/* Bytes that are the same for the same message, and room to read past them. */
static int bytes_give(const pb::Message &m, uint8_t **msg, size_t *msg_len, char *why, size_t why_cap)
{
	size_t n = m.ByteSizeLong();
	uint8_t *out = n <= INT32_MAX - SCH_PAD ? static_cast<uint8_t *>(calloc(1, n + SCH_PAD)) : nullptr;

	if (out == nullptr)
		return out_of_memory(why, why_cap);
	pb::io::ArrayOutputStream array(out, static_cast<int>(n));
	pb::io::CodedOutputStream coded(&array);

	coded.SetSerializationDeterministic(true);
	m.SerializePartialToCodedStream(&coded);
	coded.Trim();
	if (coded.HadError() || static_cast<size_t>(coded.ByteCount()) != n) {
		free(out);
		return refuse(-EINVAL, why, why_cap, "the message cannot be written");
	}
	*msg = out;
	*msg_len = n;
	return 0;
}

static std::string fields_of(const pb::Descriptor *d)
{
	std::string known;

	for (int i = 0; i < d->field_count() && i < 8; i++)
		known += (i ? ", " : "; its fields are ") + d->field(i)->name();
	return known + (d->field_count() > 8 ? " ..." : "");
}

/* The library's sentence without what only it understands. */
static std::string plainly(const pb::Descriptor *d, const pb::util::Status &s)
{
	static const std::string no_field = ": Cannot find field.";
	std::string text(s.message());
	size_t at = text.find(url_prefix), n = text.size();

	if (at != std::string::npos)
		text.erase(at, sizeof url_prefix); /* and the slash after it */
	if (n > no_field.size() && text.compare(n - no_field.size(), std::string::npos, no_field) == 0) {
		text.erase(n - no_field.size());
		size_t end = text[0] == '(' ? text.find(") ") : std::string::npos; /* "(zone) row" */

		if (end != std::string::npos)
			return text.substr(1, end - 1) + " has no field \"" + text.substr(end + 2) + "\"";
		return "it has no field \"" + text + "\"" + fields_of(d);
	}
	if (text.compare(0, 2, ": ") == 0)
		text.erase(0, 2);
	return text == "Root element must be a message." ? "a message is a JSON object, {...}" : text;
}

static int read_text(struct fab_json *j, const char *type, const char *text, size_t len, uint8_t **msg, size_t *msg_len,
		     char *why, size_t why_cap)
{
	const pb::Descriptor *d = type_find(j, type, why, why_cap);
	std::string binary;

	if (d == nullptr)
		return -EINVAL;
	pb::util::Status s = pb::util::JsonToBinaryString(j->resolver.get(), std::string(url_prefix) + "/" + type,
							  pb::StringPiece(text, len), &binary);
	if (!s.ok())
		return refuse(-EINVAL, why, why_cap, "not a " + std::string(type) + ": " + plainly(d, s));
	std::unique_ptr<pb::Message> m(j->factory->GetPrototype(d)->New());

	if (!m->ParsePartialFromString(binary))
		return refuse(-EINVAL, why, why_cap, "not a " + std::string(type) + ": nested too deep");
	return bytes_give(*m, msg, msg_len, why, why_cap);
}

extern "C" int fab_json_read(struct fab_json *j, const char *type, const char *text, size_t len, uint8_t **msg,
			     size_t *msg_len, char *why, size_t why_cap)
{
	*msg = nullptr;
	*msg_len = 0;
	int rc = text_check(text, len, why, why_cap);

	if (rc < 0)
		return rc;
	try {
		return read_text(j, type, text, len, msg, msg_len, why, why_cap);
	} catch (...) {
		return out_of_memory(why, why_cap);
	}
}

static int print_bytes(struct fab_json *j, const char *type, const uint8_t *msg, size_t msg_len, int all, char **text,
		       char *why, size_t why_cap)
{
	pb::util::JsonPrintOptions options;
	std::string out;

	if (type_find(j, type, why, why_cap) == nullptr)
		return -EINVAL;
	options.preserve_proto_field_names = true;
	options.always_print_primitive_fields = all != 0;
	pb::util::Status s =
		pb::util::BinaryToJsonString(j->resolver.get(), std::string(url_prefix) + "/" + type,
					     std::string(reinterpret_cast<const char *>(msg), msg_len), &out, options);
	if (!s.ok())
		return refuse(-EINVAL, why, why_cap, "has no JSON as a " + std::string(type) + ": " + std::string(s.message()));
	*text = strdup(out.c_str());
	return *text != nullptr ? 0 : out_of_memory(why, why_cap);
}

extern "C" int fab_json_print(struct fab_json *j, const char *type, const uint8_t *msg, size_t msg_len, int all, char **text,
			      char *why, size_t why_cap)
{
	*text = nullptr;
	try {
		return print_bytes(j, type, msg, msg_len, all, text, why, why_cap);
	} catch (...) {
		return out_of_memory(why, why_cap);
	}
}

/* --- literals ----------------------------------------------------------------------------------------------------- */

static const pb::FieldDescriptor *field_find(const pb::Descriptor *d, const std::string &path)
{
	const pb::FieldDescriptor *f = nullptr;

	for (size_t from = 0; d != nullptr && from <= path.size();) { /* ends with the path */
		size_t dot = path.find('.', from);
		size_t end = dot == std::string::npos ? path.size() : dot;

		f = d->FindFieldByName(path.substr(from, end - from));
		if (f == nullptr || f->is_repeated())
			return nullptr;
		d = f->message_type();
		from = end + 1;
	}
	return d == nullptr ? f : nullptr; /* a message is no value */
}

static bool is_whole(const std::string &text, bool negative_too)
{
	size_t at = negative_too && !text.empty() && text[0] == '-' ? 1 : 0;

	return at < text.size() && text.find_first_not_of("0123456789", at) == std::string::npos;
}

static std::string quoted(const std::string &text)
{
	json_t *v = json_stringn(text.data(), text.size());
	char *out = v != nullptr ? json_dumps(v, JSON_ENCODE_ANY) : nullptr;
	std::string result = out != nullptr ? out : "";

	free(out);
	json_decref(v);
	return result;
}

static int literal_of(const pb::FieldDescriptor *f, const std::string &value, std::string &out)
{
	out = value;
	switch (f->cpp_type()) {
	case pb::FieldDescriptor::CPPTYPE_INT32:
	case pb::FieldDescriptor::CPPTYPE_INT64:
		return is_whole(value, true) ? 'i' : 0;
	case pb::FieldDescriptor::CPPTYPE_UINT32:
	case pb::FieldDescriptor::CPPTYPE_UINT64:
		out += 'u';
		return is_whole(value, false) ? 'u' : 0;
	case pb::FieldDescriptor::CPPTYPE_BOOL:
		return value == "true" || value == "false" ? 'b' : 0;
	case pb::FieldDescriptor::CPPTYPE_DOUBLE:
	case pb::FieldDescriptor::CPPTYPE_FLOAT:
		if (is_whole(value, true))
			out += ".0";
		return value.find_first_not_of("0123456789.eE+-") == std::string::npos ? 'd' : 0; /* not NaN, not Infinity */
	case pb::FieldDescriptor::CPPTYPE_STRING:
		out = quoted(value);
		return f->type() == pb::FieldDescriptor::TYPE_STRING && !out.empty() ? 's' : 0;
	case pb::FieldDescriptor::CPPTYPE_ENUM: {
		const pb::EnumValueDescriptor *e = f->enum_type()->FindValueByName(value);

		if (e != nullptr)
			out = std::to_string(e->number());
		return e != nullptr || is_whole(value, true) ? 'e' : 0;
	}
	case pb::FieldDescriptor::CPPTYPE_MESSAGE:
		break;
	}
	return 0;
}

extern "C" int fab_json_literal(struct fab_json *j, const char *type, const char *path, const char *value, char *out, size_t cap)
{
	try {
		const pb::Descriptor *d = j->pool->FindMessageTypeByName(type);
		const pb::FieldDescriptor *f = d != nullptr ? field_find(d, path) : nullptr;
		std::string text;
		int kind = f != nullptr ? literal_of(f, value, text) : 0;

		if (kind == 0 || text.size() >= cap)
			return 0;
		memcpy(out, text.c_str(), text.size() + 1);
		return kind;
	} catch (...) {
		return 0;
	}
}
