// SPDX-License-Identifier: BSD-2-Clause
// A gRPC server with TLS, both sides verified: hands on what one stream of a pair writes to the other, and answers unary calls.
// It runs the asynchronous interface on one thread and one completion queue, the form that gRPC's own benchmarks are fastest in
// on one core: no thread is woken for another.
//
//   grpc_relay hints|plain ADDRESS FOLDER     with ca.pem, server.pem, server.key in FOLDER
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>

#include "bench/peers/carry.h"
#include "bench/peers/grpc_stream.hpp"

namespace {

constexpr int CALLS_WAITING = 128; // unary calls that the server has asked for beforehand, each with its memory

using Service = Peer::AsyncService;
using Queue = grpc::ServerCompletionQueue;

// One of the two streams of a conversation. It lives as long as the server.
class Stream {
public:
	Stream(Service *s, Queue *q, std::map<std::string, Stream *> *all, bool hints)
		: io(&context), out(&io, hints), waiting(all)
	{
		joined.done = [this, s, q, all, hints](bool ok) {
			if (!ok)
				return;
			new Stream(s, q, all, hints);
			join();
		};
		taken.done = [this](bool ok) {
			if (ok)
				hand_on();
			else
				leave();
		};
		left.done = [](bool) {};
		s->RequestJoin(&context, &io, q, q, &joined);
	}

private:
	void join()
	{
		auto key = context.client_metadata().find("pair");
		std::string pair;

		if (key != context.client_metadata().end())
			pair.assign(key->second.data(), key->second.size());
		auto other_end = waiting->find(pair);

		if (other_end == waiting->end()) {
			(*waiting)[pair] = this;
			return;
		}
		other = other_end->second;
		other->other = this;
		waiting->erase(other_end);
		io.Read(&in, &taken);
		other->io.Read(&other->in, &other->taken);
	}
	// The client never has more under way than there is room.
	void hand_on()
	{
		if (other->out.room() == 0) {
			leave();
			return;
		}
		other->out.next().Swap(&in); // the bytes stay where they are
		other->out.put();
		other->out.pump();
		io.Read(&in, &taken);
	}
	void leave()
	{
		io.Finish(grpc::Status::OK, &left);
	}

	grpc::ServerContext context;
	grpc::ServerAsyncReaderWriter<Reading, Reading> io;
	Outbox<grpc::ServerAsyncReaderWriter<Reading, Reading>> out;
	std::map<std::string, Stream *> *waiting;
	Stream *other = nullptr;
	Reading in;
	Event joined, taken, left;
};

// A place for unary calls of one method, used again and again. The answer is made by answer(request, reply).
template <typename Request, typename Reply> class Call {
public:
	using Start = std::function<void(grpc::ServerContext *, Request *, grpc::ServerAsyncResponseWriter<Reply> *, Event *)>;
	using Answer = std::function<grpc::Status(Request &, Reply &)>;

	Call(Start s, Answer a) : start(std::move(s)), answer(std::move(a))
	{
		came.done = [this](bool ok) {
			if (ok) {
				grpc::Status status = answer(request, reply);

				writer->Finish(reply, status, &over);
			}
		};
		over.done = [this](bool) { again(); };
		again();
	}

private:
	void again()
	{
		writer.reset();
		context = std::make_unique<grpc::ServerContext>(); // good for one call only
		writer = std::make_unique<grpc::ServerAsyncResponseWriter<Reply>>(context.get());
		start(context.get(), &request, writer.get(), &came);
	}

	Start start;
	Answer answer;
	std::unique_ptr<grpc::ServerContext> context;
	std::unique_ptr<grpc::ServerAsyncResponseWriter<Reply>> writer;
	Request request;
	Reply reply;
	Event came, over;
};

// What arrived by unary calls, in any sequence.
struct Arrived {
	carry check{};
	Tally tally;

	grpc::Status take(const std::string &payload, uint64_t *number)
	{
		if (payload.size() < CARRY_SIZE_MIN || payload.size() > CARRY_SIZE_MAX)
			return { grpc::StatusCode::INVALID_ARGUMENT, "a message has another length" };
		memcpy(number, payload.data(), sizeof *number);
		check.size = payload.size();
		if (carry_same(&check, *number, payload.data(), payload.size()))
			return { grpc::StatusCode::DATA_LOSS, check.wrong };
		tally.set_count(tally.count() + 1);
		tally.set_sum(tally.sum() + *number);
		tally.set_squares(tally.squares() + *number * *number);
		return grpc::Status::OK;
	}
};

std::shared_ptr<grpc::ServerCredentials> credentials(const std::string &folder)
{
	grpc::SslServerCredentialsOptions o(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);

	o.pem_root_certs = text_of(folder + "/ca.pem");
	o.pem_key_cert_pairs.push_back({ text_of(folder + "/server.key"), text_of(folder + "/server.pem") });
	return grpc::SslServerCredentials(o);
}

int serve(bool hints, const std::string &address, const std::string &folder)
{
	Service service;
	grpc::ServerBuilder builder;
	std::map<std::string, Stream *> waiting;
	Arrived arrived;

	arrived.check.fill = carry_fill();
	builder.AddListeningPort(address, credentials(folder));
	builder.RegisterService(&service);
	channel_tuned([&](const char *name, int value) { builder.AddChannelArgument(name, value); });
	std::unique_ptr<Queue> queue = builder.AddCompletionQueue();
	std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
	if (!server) {
		fprintf(stderr, "grpc_relay: cannot listen on %s with the keys in %s\n", address.c_str(), folder.c_str());
		return 2;
	}
	Queue *q = queue.get();
	new Stream(&service, q, &waiting, hints);
	for (int i = 0; i < CALLS_WAITING; i++)
		new Call<Reading, Receipt>(
			[&](auto *c, auto *r, auto *w, Event *e) { service.RequestCall(c, r, w, q, q, e); },
			[&](Reading &r, Receipt &reply) {
				uint64_t number = 0;
				grpc::Status status = arrived.take(r.payload(), &number);

				reply.set_number(number);
				return status;
			});
	new Call<Reading, Reading>([&](auto *c, auto *r, auto *w, Event *e) { service.RequestEcho(c, r, w, q, q, e); },
				   [&](Reading &r, Reading &reply) {
					   reply.Swap(&r);
					   return grpc::Status::OK;
				   });
	new Call<Nothing, Tally>([&](auto *c, auto *r, auto *w, Event *e) { service.RequestCount(c, r, w, q, q, e); },
				 [&](Nothing &, Tally &reply) {
					 reply = arrived.tally;
					 arrived.tally.Clear();
					 return grpc::Status::OK;
				 });
	void *tag;
	bool ok;
	while (queue->Next(&tag, &ok)) // forever: until the process is ended
		static_cast<Event *>(tag)->done(ok);
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	if (argc == 4 && (!strcmp(argv[1], "hints") || !strcmp(argv[1], "plain")))
		return serve(!strcmp(argv[1], "hints"), argv[2], argv[3]);
	fprintf(stderr, "usage: grpc_relay hints|plain ADDRESS FOLDER\n");
	return 2;
}
