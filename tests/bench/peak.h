// What the core that runs this can do at most: fused multiply-adds in registers, and reads from memory.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "runtime_lib/kernels/all_kernels.h"

namespace onnxc_bench {

using Clock = std::chrono::steady_clock;
using V = onnxc_kernels::Wide<float>;

template <class T>
inline void keep(T& value) {
  asm volatile("" : "+m"(value) : : "memory");
}

// FLOP/s of one thread: the best of `runs` short runs of independent FMA chains.
inline double measure_fma_peak(int runs) {
  double best = 0;
  for (int run = 0; run < runs; ++run) {
    V acc[12];
    ONNXC_UNROLL
    for (int i = 0; i < 12; ++i) acc[i] = onnxc_kernels::splat<V>(float(i));
    V a = onnxc_kernels::splat<V>(0.5f), b = onnxc_kernels::splat<V>(0.25f);
    keep(a);
    keep(b);
    const auto start = Clock::now();
    constexpr int turns = 20000;
    for (int i = 0; i < turns; ++i) {
      ONNXC_UNROLL
      for (int j = 0; j < 12; ++j) acc[j] = onnxc_kernels::madd(acc[j], a, b);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    V sum = acc[0];
    ONNXC_UNROLL
    for (int i = 1; i < 12; ++i) sum += acc[i];
    keep(sum);
    best = std::max(best, 2.0 * 12 * turns * onnxc_kernels::kLanes<float> / seconds);
  }
  return best;
}

// Bytes per second that one thread reads from `memory`, which should be far larger than the caches.
inline double measure_read_bandwidth(const float* memory, size_t floats, int runs) {
  constexpr size_t lanes = onnxc_kernels::kLanes<float>, step = 8 * lanes;
  double best = 0;
  for (int run = 0; run < runs; ++run) {
    V acc[8] = {};
    const auto start = Clock::now();
    for (size_t i = 0; i + step <= floats; i += step) {
      ONNXC_UNROLL
      for (size_t j = 0; j < 8; ++j) acc[j] += onnxc_kernels::load<V>(memory + i + j * lanes);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    for (V& sum : acc) keep(sum);
    best = std::max(best, double(floats * sizeof(float)) / seconds);
  }
  return best;
}

}  // namespace onnxc_bench
