// A gRPC server that sends back what it gets, and a client that looks at every byte.
//   echo server PORT | echo client PORT BYTES CALLS
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "echo.grpc.pb.h"

namespace {

constexpr int kMostBytes = 64 << 20;

std::string BytesOf(uint32_t seed, size_t length) {
  std::string bytes(length, '\0');
  uint32_t state = seed * 2654435761u + 1;
  for (char &byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

class Server final : public echo::Echo::Service {
  grpc::Status Once(grpc::ServerContext *, const echo::Data *in, echo::Data *out) override {
    out->set_seed(in->seed());
    out->set_data(in->data());
    return grpc::Status::OK;
  }

  grpc::Status Each(grpc::ServerContext *, grpc::ServerReaderWriter<echo::Data, echo::Data> *stream) override {
    for (echo::Data in, out; stream->Read(&in); stream->Write(out)) {
      out.set_seed(in.seed());
      *out.mutable_data() = in.data();
    }
    return grpc::Status::OK;
  }
};

int Serve(const std::string &address) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  Server service;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMostBytes);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  if (!server) return 1;
  int signal;
  sigwait(&ends, &signal);
  server->Shutdown();
  return 0;
}

struct Counts {
  int right = 0, wrong = 0;
  void Add(const grpc::Status &status, const echo::Data &answer, uint32_t seed, const std::string &sent) {
    bool good = status.ok() && answer.seed() == seed && answer.data() == sent;
    if (!good) fprintf(stderr, "call %u: %s, %zu bytes\n", seed, status.error_message().c_str(), answer.data().size());
    good ? right++ : wrong++;
  }
};

Counts CallEach(echo::Echo::Stub &stub, uint32_t first, size_t bytes, int calls) {
  Counts counts;
  for (int i = 0; i < calls; i++) {
    grpc::ClientContext context;
    echo::Data request, answer;
    request.set_seed(first + i);
    request.set_data(BytesOf(first + i, bytes + i));
    grpc::Status status = stub.Once(&context, request, &answer);
    counts.Add(status, answer, first + i, request.data());
  }
  grpc::ClientContext context;
  auto stream = stub.Each(&context);
  for (int i = 0; i < calls; i++) {
    echo::Data request, answer;
    request.set_seed(first + i);
    request.set_data(BytesOf(first + i, bytes - i));
    bool good = stream->Write(request) && stream->Read(&answer);
    counts.Add(good ? grpc::Status::OK : grpc::Status::CANCELLED, answer, first + i, request.data());
  }
  stream->WritesDone();
  if (!stream->Finish().ok()) counts.wrong++;
  return counts;
}

int Call(const std::string &address, size_t bytes, int calls) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMostBytes);
  auto channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  auto stub = echo::Echo::NewStub(channel);
  std::vector<Counts> counts(2);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < counts.size(); i++)
    threads.emplace_back([&, i] { counts[i] = CallEach(*stub, 1000 * (i + 1), bytes, calls); });
  for (auto &thread : threads) thread.join();
  int wrong = 0, right = 0;
  for (const Counts &each : counts) wrong += each.wrong, right += each.right;
  printf("%d right, %d wrong\n", right, wrong);
  return wrong != 0;
}

}  // namespace

int main(int argc, char **argv) {
  std::string what = argc > 2 ? argv[1] : "", address = argc > 2 ? std::string("127.0.0.1:") + argv[2] : "";
  if (what == "server") return Serve(address);
  if (what == "client" && argc == 5) return Call(address, std::strtoul(argv[3], nullptr, 10), std::atoi(argv[4]));
  fprintf(stderr, "usage: echo server PORT | echo client PORT BYTES CALLS\n");
  return 2;
}
