/* SPDX-License-Identifier: BSD-2-Clause */
/* Joining descriptor sets by the names of their files. Whether the result is a set that can be used is the schema compiler's to
 * say. No exception and no C++ type leaves this file. */
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <unordered_map>

#include <google/protobuf/descriptor.pb.h>

#include "fabric/cli/set_merge.h"

using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;

namespace
{
struct place {
	std::string bytes; /* without positions: what the file says */
	uint32_t part;
};

std::string meaning_of(const FileDescriptorProto &file)
{
	FileDescriptorProto bare = file;

	bare.clear_source_code_info();
	return bare.SerializeAsString();
}

/* "" where all is well, else what is wrong. */
std::string merge(const struct fab_set_part *parts, uint32_t n, FileDescriptorSet &all)
{
	std::unordered_map<std::string, place> seen;

	for (uint32_t i = 0; i < n; i++) {
		FileDescriptorSet set;

		if (parts[i].len > INT32_MAX || !set.ParsePartialFromArray(parts[i].bytes, static_cast<int>(parts[i].len)))
			return std::string(parts[i].path) + ": not a descriptor set; protoc --descriptor_set_out or weft schema "
							    "build makes one";
		for (FileDescriptorProto &file : *set.mutable_file()) {
			std::string bytes = meaning_of(file);
			auto [at, fresh] = seen.try_emplace(file.name(), place{ bytes, i });

			if (fresh)
				all.add_file()->Swap(&file);
			else if (at->second.bytes != bytes)
				return std::string(parts[i].path) + ": its \"" + file.name() + "\" is not that of " +
				       parts[at->second.part].path + "; build both from the same files";
		}
	}
	return "";
}
} // namespace

extern "C" uint8_t *fab_set_merge(const struct fab_set_part *parts, uint32_t n, size_t *len, char *why, size_t why_cap)
{
	uint8_t *out = nullptr;

	try {
		FileDescriptorSet all;
		std::string wrong = merge(parts, n, all);

		if (!wrong.empty()) {
			snprintf(why, why_cap, "%s", wrong.c_str());
			return nullptr;
		}
		*len = all.ByteSizeLong();
		if (*len <= INT32_MAX)
			out = static_cast<uint8_t *>(malloc(*len + 1));
		if (out != nullptr && all.SerializePartialToArray(out, static_cast<int>(*len)))
			return out;
	} catch (...) {
		/* What the library throws is about memory. */
	}
	free(out);
	snprintf(why, why_cap, "out of memory");
	return nullptr;
}
