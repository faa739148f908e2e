// SPDX-License-Identifier: BSD-2-Clause
// Both ends of gRPC conversations with TLS, verified both ways: streams through the server, or unary calls to it. One thread and
// one completion queue, as in grpc_relay.cc.
//
//   grpc_client hints|plain|unary ADDRESS FOLDER     with ca.pem, client.pem, client.key in FOLDER
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>

#include "bench/peers/carry.h"
#include "bench/peers/grpc_stream.hpp"

namespace {

constexpr uint32_t STREAM_WINDOW = 512; // under way at most; the server's outbox holds them all
constexpr uint32_t UNARY_WINDOW = 64;   // calls at the same time

using Clock = std::chrono::system_clock;

// Does what is over. With wait it sleeps until something is, CARRY_WAIT_MS at most. False where the queue ended.
bool turn(grpc::CompletionQueue &queue, bool wait)
{
	auto until = wait ? Clock::now() + std::chrono::milliseconds(CARRY_WAIT_MS) : Clock::time_point();

	for (int i = 0; i < 256; i++) {
		void *tag;
		bool ok;
		auto got = queue.AsyncNext(&tag, &ok, until);

		if (got != grpc::CompletionQueue::GOT_EVENT)
			return got == grpc::CompletionQueue::TIMEOUT;
		static_cast<Event *>(tag)->done(ok);
		until = Clock::time_point(); // what else is there already
	}
	return true;
}

std::shared_ptr<grpc::Channel> channel(const std::string &address, const std::string &folder, int number)
{
	grpc::ChannelArguments args;

	channel_tuned([&](const char *name, int value) { args.SetInt(name, value); });
	args.SetInt("bench.channel", number); // channels that differ in nothing would share a connection
	args.SetSslTargetNameOverride("localhost");
	grpc::SslCredentialsOptions o;
	o.pem_root_certs = text_of(folder + "/ca.pem");
	o.pem_private_key = text_of(folder + "/client.key");
	o.pem_cert_chain = text_of(folder + "/client.pem");
	return grpc::CreateCustomChannel(address, grpc::SslCredentials(o), args);
}

// Makes the next message.
void fill(carry *c, Reading &reading)
{
	std::string *payload = reading.mutable_payload();

	payload->resize(c->size);
	carry_next(c, reinterpret_cast<uint8_t *>(&(*payload)[0]));
}

// --- streams ----------------------------------------------------------------------------------------------------------------

// One end of the conversation, with a connection of its own.
class End {
public:
	using Io = grpc::ClientAsyncReaderWriter<Reading, Reading>;

	End(bool hints, const std::string &address, const std::string &folder, int number, grpc::CompletionQueue *q)
		: stub(Peer::NewStub(channel(address, folder, number)))
	{
		context.AddMetadata("pair", "readings");
		started.done = [this](bool ok) {
			up = ok;
			if (ok)
				io->Read(&in, &taken);
		};
		taken.done = [this](bool ok) {
			up = ok;
			if (!ok || !check)
				return;
			if (carry_arrived(check, in.payload().data(), in.payload().size()))
				return;
			io->Read(&in, &taken);
		};
		io = stub->AsyncJoin(&context, q, &started);
		out = std::make_unique<Outbox<Io>>(io.get(), hints);
	}
	// Whom its messages are for; from then on they are counted.
	void expects(carry *c)
	{
		check = c;
	}
	bool is_up() const
	{
		return up;
	}
	uint32_t send(carry *c, uint32_t most)
	{
		uint32_t n;

		for (n = 0; n < most && out->room(); n++) {
			fill(c, out->next());
			out->put();
		}
		out->pump();
		return n;
	}

private:
	std::unique_ptr<Peer::Stub> stub;
	grpc::ClientContext context;
	std::unique_ptr<Io> io;
	std::unique_ptr<Outbox<Io>> out;
	Reading in;
	carry *check = nullptr;
	bool up = false;
	Event started, taken;
};

struct Streams {
	grpc::CompletionQueue queue;
	End a, b;

	Streams(bool hints, const std::string &address, const std::string &folder)
		: a(hints, address, folder, 1, &queue), b(hints, address, folder, 2, &queue)
	{
	}
};

int streams_begin(void *me, carry *c)
{
	auto *s = static_cast<Streams *>(me);

	s->a.expects(c);
	s->b.expects(c);
	return 0;
}

int streams_send(void *me, carry *c, uint32_t most)
{
	return static_cast<int>(static_cast<Streams *>(me)->a.send(c, most));
}

int streams_receive(void *me, carry *c, bool wait)
{
	auto *s = static_cast<Streams *>(me);

	if (!turn(s->queue, wait) || !s->a.is_up() || !s->b.is_up())
		return carry_fail(c, "a stream ended");
	return c->wrong ? -1 : 0;
}

int cross(Streams *s, End &from, carry *c)
{
	uint64_t until = c->arrived + 1;

	from.send(c, 1);
	while (c->arrived < until)
		if (streams_receive(s, c, false))
			return -1;
	return 0;
}

int streams_round_trip(void *me, carry *c)
{
	auto *s = static_cast<Streams *>(me);

	return cross(s, s->a, c) || cross(s, s->b, c) ? -1 : 0;
}

int streams(bool hints, const std::string &address, const std::string &folder)
{
	Streams s(hints, address, folder);
	carrier k{};

	for (int i = 0; i < 100 && !(s.a.is_up() && s.b.is_up()); i++)
		turn(s.queue, true);
	if (!s.a.is_up() || !s.b.is_up()) {
		fprintf(stderr, "grpc_client: the streams to %s do not open\n", address.c_str());
		return 2;
	}
	k.me = &s;
	k.window = STREAM_WINDOW;
	k.begin = streams_begin;
	k.send = streams_send;
	k.receive = streams_receive;
	k.round_trip = streams_round_trip;
	exit(carry_serve(&k)); // the streams are still open: no destructor could end well
}

// --- unary calls -------------------------------------------------------------------------------------------------------------

struct Unary {
	// A place for calls, used again and again.
	template <typename Reply> struct Call {
		std::unique_ptr<grpc::ClientContext> context;
		std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> reader;
		Reading request;
		Reply reply;
		grpc::Status status;
		uint64_t number = 0;
		Event over;
	};

	grpc::CompletionQueue queue;
	std::unique_ptr<Peer::Stub> stub;
	std::deque<Call<Receipt>> calls{ UNARY_WINDOW };
	std::vector<Call<Receipt> *> free;
	Call<Reading> echo;
	bool echoed = false;
	carry *c = nullptr;

	Unary(const std::string &address, const std::string &folder) : stub(Peer::NewStub(channel(address, folder, 0)))
	{
		for (auto &call : calls) {
			free.push_back(&call);
			call.over.done = [this, &call](bool ok) {
				free.push_back(&call);
				if (!ok || !call.status.ok() || call.reply.number() != call.number)
					carry_fail(c, "a call failed");
				else
					c->arrived++;
			};
		}
		echo.over.done = [this](bool ok) {
			if (!ok || !echo.status.ok())
				carry_fail(c, "a call failed");
			else
				carry_same(c, echo.number, echo.reply.payload().data(), echo.reply.payload().size());
			c->arrived++;
			echoed = true;
		};
	}
	template <typename Reply> void make(Call<Reply> &call)
	{
		call.context = std::make_unique<grpc::ClientContext>(); // good for one call only
		call.number = c->sent;
		fill(c, call.request);
	}
	template <typename Reply> static void finish(Call<Reply> &call)
	{
		call.reader->Finish(&call.reply, &call.status, &call.over);
	}
	bool count(Tally *tally)
	{
		grpc::ClientContext context;

		return stub->Count(&context, Nothing(), tally).ok();
	}
};

int unary_begin(void *me, carry *c)
{
	auto *u = static_cast<Unary *>(me);
	Tally before;

	u->c = c;
	return u->count(&before) ? 0 : carry_fail(c, "the server does not answer");
}

int unary_send(void *me, carry *c, uint32_t most)
{
	auto *u = static_cast<Unary *>(me);
	uint32_t n;

	(void)c;
	for (n = 0; n < most && !u->free.empty(); n++) {
		auto &call = *u->free.back();

		u->free.pop_back();
		u->make(call);
		call.reader = u->stub->AsyncCall(call.context.get(), call.request, &u->queue);
		Unary::finish(call);
	}
	return static_cast<int>(n);
}

int unary_receive(void *me, carry *c, bool wait)
{
	auto *u = static_cast<Unary *>(me);

	if (!turn(u->queue, wait))
		return carry_fail(c, "the queue ended");
	return c->wrong ? -1 : 0;
}

// The server counted each number once.
int unary_end(void *me, carry *c)
{
	auto *u = static_cast<Unary *>(me);
	uint64_t sum = 0, squares = 0;
	Tally seen;

	for (uint64_t i = 0; i < c->sent; i++) {
		sum += i;
		squares += i * i;
	}
	if (!u->count(&seen) || seen.count() != c->sent || seen.sum() != sum || seen.squares() != squares)
		return carry_fail(c, "the server did not see each message once");
	return 0;
}

int unary_round_trip(void *me, carry *c)
{
	auto *u = static_cast<Unary *>(me);

	u->echoed = false;
	u->make(u->echo);
	u->echo.reader = u->stub->AsyncEcho(u->echo.context.get(), u->echo.request, &u->queue);
	Unary::finish(u->echo);
	while (!u->echoed && !c->wrong)
		if (unary_receive(me, c, false))
			return -1;
	return c->wrong ? -1 : 0;
}

int unary(const std::string &address, const std::string &folder)
{
	Unary u(address, folder);
	Tally none;
	carrier k{};

	if (!u.count(&none)) {
		fprintf(stderr, "grpc_client: no calls to %s\n", address.c_str());
		return 2;
	}
	k.me = &u;
	k.window = UNARY_WINDOW;
	k.begin = unary_begin;
	k.send = unary_send;
	k.receive = unary_receive;
	k.end = unary_end;
	k.round_trip = unary_round_trip;
	exit(carry_serve(&k));
}

} // namespace

int main(int argc, char **argv)
{
	if (argc == 4 && (!strcmp(argv[1], "hints") || !strcmp(argv[1], "plain")))
		return streams(!strcmp(argv[1], "hints"), argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "unary"))
		return unary(argv[2], argv[3]);
	fprintf(stderr, "usage: grpc_client hints|plain|unary ADDRESS FOLDER\n");
	return 2;
}
