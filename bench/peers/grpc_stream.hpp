// SPDX-License-Identifier: BSD-2-Clause
// What gRPC's server and client share here: events of a completion queue, and a stream's messages that wait to be written. What is
// done with a message is left to them.
#ifndef BENCH_PEERS_GRPC_STREAM_HPP
#define BENCH_PEERS_GRPC_STREAM_HPP

#include <cstdint>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "bench/peers/grpc_tls.grpc.pb.h"

using bench::peers::Nothing;
using bench::peers::Peer;
using bench::peers::Reading;
using bench::peers::Receipt;
using bench::peers::Tally;

// A tag: what to do when the operation is over. ok is gRPC's: false where the stream ended.
struct Event {
	std::function<void(bool ok)> done;
};

// gRPC writes one message of a stream at a time. The others wait here, and with hints, every one but the last tells gRPC that more
// is coming, so that several go out in one piece of TLS and one system call.
template <typename Stream> class Outbox {
public:
	static constexpr size_t ROOM = 1024;

	Outbox(Stream *to, bool with_hints) : stream(to), hints(with_hints), ring(ROOM)
	{
		written.done = [this](bool ok) {
			writing = false;
			if (ok)
				pump();
			else
				broken = true;
		};
	}
	size_t room() const
	{
		return ROOM - (last - first);
	}
	bool idle() const
	{
		return !writing && first == last;
	}
	bool is_broken() const
	{
		return broken;
	}
	// Where the next message is made; put() then sends it. There must be room.
	Reading &next()
	{
		return ring[last % ROOM];
	}
	void put()
	{
		last++;
	}
	void pump()
	{
		if (writing || first == last || broken)
			return;
		writing = true;
		grpc::WriteOptions how;
		if (hints && last - first > 1)
			how.set_buffer_hint();
		stream->Write(ring[first++ % ROOM], how, &written); // serializes at once: the place is free again
	}

private:
	Stream *stream;
	bool hints;
	std::vector<Reading> ring;
	size_t first = 0, last = 0;
	bool writing = false, broken = false;
	Event written;
};

// Settings of a connection, the same on both sides. Windows large enough that nobody waits for one, and no probing for their size,
// which costs a round trip now and then; larger reads from the socket.
template <typename Set> void channel_tuned(Set set)
{
	set(GRPC_ARG_HTTP2_BDP_PROBE, 0);
	set(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 << 20);
	set(GRPC_ARG_HTTP2_WRITE_BUFFER_SIZE, 1 << 20);
	set(GRPC_ARG_TCP_READ_CHUNK_SIZE, 256 << 10);
}

inline std::string text_of(const std::string &path)
{
	std::ifstream f(path);
	std::stringstream s;

	s << f.rdbuf();
	return s.str();
}

#endif
