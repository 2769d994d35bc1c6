// A gRPC server that sends back what it gets, and the client that measures it. Knows nothing of zIO.
//   echo server | echo client PORT BYTES OPERATIONS WARM-UP SERVER-PID all|sample|none SEED
// The server prints `port N` when it listens, the client one line of JSON; status 1 when a byte was wrong.
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "echo.grpc.pb.h"

namespace {

constexpr int kMostBytes = 64 << 20;
constexpr size_t kPage = 4096;

class Server final : public zio_bench::Echo::Service {
  grpc::Status Once(grpc::ServerContext *, const zio_bench::Data *in, zio_bench::Data *out) override {
    out->set_data(in->data());
    return grpc::Status::OK;
  }
};

int Serve() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  Server service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.SetMaxReceiveMessageSize(kMostBytes);
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  if (!server) return 1;
  printf("port %d\n", port);
  fflush(stdout);
  int signal;
  sigwait(&ends, &signal);
  server->Shutdown();
  return 0;
}

uint64_t ClockNs(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec);
}

struct Load {
  size_t bytes;
  long operations, warmup;
  clockid_t server;
  std::string verify;
  uint32_t seed;
};

// One changing byte in each page, or every byte.
void Fill(std::string &data, const Load &load, uint32_t number) {
  size_t step = load.verify == "all" ? 1 : kPage;
  uint32_t state = (load.seed * 1000003u + number) * 2654435761u + 1;
  for (size_t at = step == 1 ? 0 : number * 31 % kPage; at < data.size(); at += step) {
    state = state * 1664525u + 1013904223u;
    data[at] = static_cast<char>(state >> 24);
  }
}

int Call(const std::string &address, const Load &load) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMostBytes);
  auto stub = zio_bench::Echo::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  zio_bench::Data request;
  request.mutable_data()->assign(load.bytes, '\0');
  std::vector<uint64_t> latencies;
  uint64_t server_ns = 0, wall_ns = 0, client_ns = 0;
  for (long i = 0; i < load.warmup + load.operations; i++) {
    if (i == load.warmup) {
      server_ns = ClockNs(load.server);
      client_ns = ClockNs(CLOCK_PROCESS_CPUTIME_ID);
      wall_ns = ClockNs(CLOCK_MONOTONIC);
    }
    Fill(*request.mutable_data(), load, uint32_t(i));
    grpc::ClientContext context;
    zio_bench::Data answer;
    uint64_t from = ClockNs(CLOCK_MONOTONIC);
    grpc::Status status = stub->Once(&context, request, &answer);
    if (i >= load.warmup) latencies.push_back(ClockNs(CLOCK_MONOTONIC) - from);
    bool right = status.ok() && answer.data().size() == load.bytes &&
                 (load.verify == "none" || answer.data() == request.data());
    if (!right) {
      fprintf(stderr, "call %ld: %s\n", i, status.ok() ? "wrong data" : status.error_message().c_str());
      return 1;
    }
  }
  wall_ns = ClockNs(CLOCK_MONOTONIC) - wall_ns;
  server_ns = ClockNs(load.server) - server_ns;
  client_ns = ClockNs(CLOCK_PROCESS_CPUTIME_ID) - client_ns;
  std::sort(latencies.begin(), latencies.end());
  auto at = [&](size_t part) { return (unsigned long)latencies[(latencies.size() - 1) * part / 1000]; };
  printf("{\"version\":1,\"operations\":%ld,\"preparedOperations\":%ld,\"wallNs\":%lu,\"serverCpuNs\":%lu,"
         "\"clientCpuNs\":%lu,\"latencyNs\":{\"p50\":%lu,\"p90\":%lu,\"p99\":%lu,\"p999\":%lu,\"max\":%lu}}\n",
         load.operations, load.warmup, (unsigned long)wall_ns, (unsigned long)server_ns, (unsigned long)client_ns,
         at(500), at(900), at(990), at(999), at(1000));
  return 0;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "server") == 0) return Serve();
  if (argc == 9 && strcmp(argv[1], "client") == 0) {
    Load load{strtoul(argv[3], nullptr, 10), atol(argv[4]), atol(argv[5]), 0, argv[7], uint32_t(atol(argv[8]))};
    if (load.operations > 0 && clock_getcpuclockid(atoi(argv[6]), &load.server) == 0)
      return Call(std::string("127.0.0.1:") + argv[2], load);
  }
  fprintf(stderr, "usage: echo server | echo client PORT BYTES OPERATIONS WARM-UP SERVER-PID VERIFY SEED\n");
  return 2;
}
