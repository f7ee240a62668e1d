// Prints what this machine can do with 1 and with N threads at once, as JSON: the FMA peak (FLOP/s) and the bandwidth
// of reads from memory (bytes/s), each the best of many runs, summed over the threads. tools/bench divides by them.
//   peak_probe [N]
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "tests/bench/peak.h"

namespace {

double on_threads(int threads, const std::function<double()>& measure) {
  std::vector<double> results(static_cast<size_t>(threads));
  std::vector<std::thread> others;
  for (size_t i = 0; i < results.size(); ++i) others.emplace_back([&, i] { results[i] = measure(); });
  double sum = 0;
  for (size_t i = 0; i < results.size(); ++i) others[i].join(), sum += results[i];
  return sum;
}

double read_bandwidth() {
  const std::vector<float> memory(64u << 20, 1.0f);
  return onnxc_bench::measure_read_bandwidth(memory.data(), memory.size(), 8);
}

}  // namespace

int main(int argc, char** argv) {
  const int most = argc > 1 ? std::atoi(argv[1]) : 1;
  std::printf("[\n");
  for (int threads = 1; threads <= most; ++threads) {
    const double flops = on_threads(threads, [] { return onnxc_bench::measure_fma_peak(2000); });
    const double bytes = on_threads(threads, read_bandwidth);
    std::printf("{\"threads\": %d, \"flops\": %.6g, \"bytes\": %.6g}%s\n", threads, flops, bytes,
                threads < most ? "," : "");
  }
  std::printf("]\n");
}
