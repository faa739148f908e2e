// SPDX-License-Identifier: BSD-2-Clause
// Google's C++ parser behind C functions, so that it runs in the same process and the same rounds as its peers.
#include "bench/order/peer.h"

#include <google/protobuf/stubs/common.h>

#include <string>

#include "bench/order/order.pb.h"

int peer_cpp_reuse(const uint8_t *msg, size_t len)
{
	static bench::v1::Order order;

	return order.ParseFromArray(msg, static_cast<int>(len));
}

int peer_cpp_fresh(const uint8_t *msg, size_t len)
{
	bench::v1::Order order;

	return order.ParseFromArray(msg, static_cast<int>(len));
}

const char *peer_cpp_version(void)
{
	static const std::string version = google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION);

	return version.c_str();
}
