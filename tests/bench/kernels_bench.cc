// Times kernels with constant shapes against the FMA peak of the core that runs it (a register-only probe, measured in
// the same process). Columns: GFLOP/s and share of the peak. Run alone and pinned: taskset -c 1 kernels_bench.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <vector>

#include "runtime_lib/kernels/all_kernels.h"
#include "tests/bench/peak.h"

namespace {

using onnxc_bench::Clock;
const double kPeak = onnxc_bench::measure_fma_peak(200);

struct Buffer {
  float* p;
  explicit Buffer(int64_t n) : p(static_cast<float*>(std::aligned_alloc(64, size_t((n * 4 + 127) / 64 * 64)))) {
    for (int64_t i = 0; i < n; ++i) p[i] = float(i % 13) * 0.1f - 0.6f;
    benchmark::DoNotOptimize(p);
  }
  ~Buffer() { std::free(p); }
  Buffer(const Buffer&) = delete;
};

// Weights of `count` elements. Cold ones come from a far cache or from memory, as they do in a network: copies of all
// in all 32 MB take turns.
template <bool Cold>
struct Weights {
  int64_t count, copies, turn = 0;
  Buffer all;
  explicit Weights(int64_t n) : count(n), copies(Cold ? (int64_t(8) << 20) / n + 1 : 1), all(n * copies) {}
  const float* next() {
    turn = turn + 1 == copies ? 0 : turn + 1;
    return all.p + turn * count;
  }
};

// Runs `f` for each turn and reports the best turn.
template <class F>
void report(benchmark::State& state, double flops, F f) {
  double best = 1e30;
  for (auto _ : state) {
    const auto start = Clock::now();
    f();
    benchmark::ClobberMemory();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    state.SetIterationTime(seconds);
  }
  state.counters["us"] = best * 1e6;
  state.counters["GFLOPS"] = flops / best * 1e-9;
  state.counters["peak%"] = 100 * flops / best / kPeak;
}

template <int64_t M, int64_t N, int64_t K, int64_t Act>
void gemm(benchmark::State& state) {
  Buffer y(M * N), a(M * K), b((N + 15) / 16 * 16 * K), bias(N);
  report(state, 2.0 * M * N * K,
         [&] { onnxc_gemm_f32(y.p, a.p, b.p, bias.p, nullptr, M, N, K, K, N, Act, 0, 0, 0, 240); });
}
// Against the same peak: multiply-adds of integers are as many where pairs are multiplied at once.
template <int64_t M, int64_t N, int64_t K>
void gemm_i8(benchmark::State& state) {
  std::vector<int32_t> y(M * N);
  std::vector<int16_t> a(M * K, 100);
  std::vector<int8_t> b((N + 15) / 16 * 16 * K, 7);
  for (void* p : {static_cast<void*>(y.data()), static_cast<void*>(a.data()), static_cast<void*>(b.data())})
    benchmark::DoNotOptimize(p);  // the compiler would see that nobody reads the product
  report(state, 2.0 * M * N * K,
         [&] { onnxc_gemm_i8(y.data(), a.data(), b.data(), nullptr, nullptr, M, N, K, K, N, 0, 240); });
}
template <int64_t IC, int64_t OC, int64_t H, int64_t K, int64_t S, bool Cold = false>
void conv(benchmark::State& state) {
  constexpr int64_t pad = K / 2, o = (H + 2 * pad - K) / S + 1;
  Buffer y(OC * o * o), x(IC * H * H), bias(OC);
  Weights<Cold> w(IC * OC * K * K);
  report(state, 2.0 * OC * IC * K * K * o * o, [&] {
    onnxc_conv_blocked_f32(y.p, x.p, w.next(), bias.p, nullptr, 1, IC, H, H, OC, o, o, K, K, S, S, pad, pad, 1, 1, 1, 0,
                           0, 0, 0, 240);
  });
}
// A phase of a transposed convolution of stride 2: every other pixel of every other row of a map.
template <int64_t IC, int64_t OC, int64_t H>
void spread(benchmark::State& state) {
  Buffer y(4 * OC * H * H), x(IC * H * H), w(IC * OC), bias(OC);
  report(state, 2.0 * OC * IC * H * H, [&] {
    onnxc_conv_spread_f32(y.p, x.p, w.p, bias.p, 1, IC, H, H, OC, H, H, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 2, 2, 1, 1,
                          2 * H, 2 * H, 0, 0, 240);
  });
}
// 3x3, by F(M,3) in blocks of B tiles; GFLOP/s as the direct form would need them.
template <int64_t IC, int64_t OC, int64_t H, int64_t M, int64_t B>
void winograd(benchmark::State& state) {
  constexpr int64_t points = (M + 2) * (M + 2);
  Buffer y(OC * H * H), x(IC * H * H), u(IC * OC * points), bias(OC), scratch(points * (B * (IC + 32) + 32));
  report(state, 2.0 * OC * IC * 9 * H * H, [&] {
    onnxc_conv_winograd_f32(y.p, x.p, u.p, bias.p, nullptr, scratch.p, 1, IC, H, H, OC, H, H, 3, 3, 1, 1, M, B, 1, 1, 0,
                            0, 0, 1);
  });
}
template <int64_t OC, int64_t H, int64_t K, int64_t S>
void first(benchmark::State& state) {
  constexpr int64_t pad = K / 2, o = (H + 2 * pad - K) / S + 1, lanes = (OC + 15) / 16 * 16;
  Buffer y(lanes * o * o), x(3 * H * H), w(3 * lanes * K * K), bias(lanes);
  report(state, 2.0 * OC * 3 * K * K * o * o, [&] {
    onnxc_conv_first_f32(y.p, x.p, w.p, bias.p, nullptr, 1, 3, H, H, OC, o, o, K, K, S, S, pad, pad, 1, 1, 1, 0, 0, 0,
                         0, 240);
  });
}
template <int64_t C, int64_t H, int64_t K, int64_t S>
void depthwise(benchmark::State& state) {
  constexpr int64_t pad = K / 2, o = (H + 2 * pad - K) / S + 1;
  Buffer y(C * o * o), x(C * H * H), w(C * K * K), bias(C);
  report(state, 2.0 * C * K * K * o * o, [&] {
    onnxc_conv_depthwise_f32(y.p, x.p, w.p, bias.p, nullptr, 1, C, H, H, o, o, K, K, S, S, pad, pad, 1, 1, 3, 0, 6, 0,
                             0, 240);
  });
}
template <int64_t C, int64_t H, int64_t K, int64_t G, bool Cold = false>
void plain(benchmark::State& state) {
  constexpr int64_t pad = K / 2;
  Buffer y(C * H * H), x(C * H * H), bias(C);
  Weights<Cold> w(C * C / G * K * K);
  report(state, 2.0 * C * C / G * K * K * H * H, [&] {
    onnxc_conv_plain_f32(y.p, x.p, w.next(), bias.p, nullptr, 1, C, H, H, C, H, H, K, K, 1, 1, pad, pad, 1, 1, G, 1, 0,
                         0, 0, 240);
  });
}
// One direction of a recurrent layer without its input product; 4 gates: LSTM; 3: GRU, linear before reset or
// not.
template <int64_t G, bool Linear, int64_t Steps, int64_t B, int64_t H>
void recurrent(benchmark::State& state) {
  Buffer y(Steps * B * H), x(Steps * B * G * H), r(G * H * H), scratch(B * 4 * H), y_h(B * H), bias(H);
  volatile int64_t begin = 0, end = B;  // known at run time only, as where threads share the sequences
  report(state, 2.0 * Steps * B * G * H * H, [&] {
    if (G == 4)
      onnxc_lstm_f32(y.p, y_h.p, nullptr, x.p, r.p, nullptr, nullptr, nullptr, nullptr, scratch.p, G * H, Steps, B, H,
                     1, 0, 0, 0, 0, begin, end, nullptr, nullptr);
    else
      onnxc_gru_f32(y.p, y_h.p, x.p, r.p, Linear ? nullptr : r.p, Linear ? bias.p : nullptr, nullptr, nullptr,
                    scratch.p, G * H, Steps, B, H, 1, 0, 0, 0, Linear, 0, begin, end, nullptr, nullptr);
  });
}
// The figures of rows are elements: "GFLOPS" is 1e9 elements per second.
template <int Which, int64_t Rows, int64_t Cols>
void rows(benchmark::State& state) {
  Buffer y(Rows * Cols), x(Rows * Cols), s(Cols);
  report(state, double(Rows * Cols), [&] {
    if (Which == 0) onnxc_softmax_f32(y.p, x.p, Cols, 0, Rows);
    if (Which == 1) onnxc_layer_norm_f32(y.p, x.p, s.p, s.p, Cols, 1e-5f, 0, Rows);
    if (Which == 2) onnxc_extremes_f32(y.p, x.p, Rows * Cols, Rows, 0, Rows);
    if (Which == 3) {
      constexpr float scale = 0.01f;
      constexpr uint8_t zero = 128;
      constexpr int64_t blocks = (Rows * Cols + onnxc_kernels::kQuantizeBlock - 1) / onnxc_kernels::kQuantizeBlock;
      onnxc_quantize_u8_f32(reinterpret_cast<uint8_t*>(y.p), x.p, &scale, &zero, Rows * Cols, 0, blocks);
    }
  });
}
template <bool Blocked, int64_t C, int64_t H, int64_t K, int64_t S>
void max_pool(benchmark::State& state) {
  constexpr int64_t pad = K / 2, o = (H + 2 * pad - K) / S + 1;
  Buffer y(C * o * o), x(C * H * H);
  report(state, double(C * H * H), [&] {
    (Blocked ? onnxc_max_pool_blocked_f32 : onnxc_max_pool_plain_f32)(y.p, x.p, 1, C, H, H, o, o, K, K, S, S, pad, pad,
                                                                      1, 1, 1, 0, 240);
  });
}
// Bilinear, zeros outside; the grid is uneven.
template <bool Blocked, int64_t C, int64_t H>
void grid_sample(benchmark::State& state) {
  Buffer y(C * H * H), x(C * H * H), grid(2 * H * H);
  for (int64_t i = 0; i < 2 * H * H; ++i) grid.p[i] = float(i * 37 % 241) / 100.0f - 1.2f;
  report(state, double(C * H * H), [&] {
    (Blocked ? onnxc_grid_sample_blocked_f32 : onnxc_grid_sample_f32)(y.p, x.p, grid.p, 2, C, 1, H, H, H * H, 1, 0, 0,
                                                                      0, H * H);
  });
}
template <int64_t Heads, int64_t Rows, int64_t Depth>
void attention(benchmark::State& state) {
  constexpr int64_t row = Heads * Depth, cols = (Rows + 15) / 16 * 16, block = 28;
  Buffer y(Rows * row), q(Rows * row), k(Rows * row), v(Rows * row),
      scratch(Heads * (cols * Depth + Depth * Rows + block * (Depth + cols)));
  report(state, 4.0 * Heads * Rows * Rows * Depth, [&] {
    onnxc_attention_f32(y.p, q.p, k.p, v.p, nullptr, scratch.p, 1, Heads, Heads, Rows, Rows, Depth, Depth, block, 0,
                        Depth, row, 0, Depth, row, 0, Depth, row, 0, Depth, row, 0, 0, 0, 0.125f, 0, 0, 0, Heads);
  });
}
template <int Which>
void elementwise(benchmark::State& state) {
  constexpr int64_t n = 8192;
  Buffer y(n), x(n);
  report(state, double(n), [&] {
    float *to = y.p, *from = x.p;
    for (int64_t i = 0; i < n; ++i) {
      const float v = from[i];
      to[i] = Which == 0   ? onnxc_exp_f32(v)
              : Which == 1 ? onnxc_tanh_f32(v)
              : Which == 2 ? onnxc_erf_f32(v)
              : Which == 3 ? onnxc_sigmoid_f32(v)
              : Which == 4 ? onnxc_sin_f32(v)
              : Which == 5 ? onnxc_pow_f32(v, 1.7f)
                           : onnxc_log_f32(v);
    }
  });
}

}  // namespace

#define CASE(...) BENCHMARK(__VA_ARGS__)->UseManualTime()->MinTime(0.3)
CASE(gemm_i8<1, 384, 384>);
CASE(gemm_i8<8, 384, 384>);
CASE(gemm_i8<128, 384, 384>);
CASE(gemm<128, 384, 384, 0>);
CASE(gemm<128, 1536, 384, 9>);
CASE(gemm<128, 384, 1536, 0>);
CASE(gemm<32, 384, 384, 0>);
CASE(gemm<168, 384, 64, 0>);
CASE(gemm<32, 768, 768, 0>);
CASE(gemm<32, 3072, 768, 9>);
CASE(gemm<128, 768, 768, 0>);
CASE(gemm<128, 3072, 768, 9>);
CASE(gemm<128, 768, 3072, 0>);
CASE(gemm<257, 384, 384, 0>);
CASE(gemm<257, 1536, 384, 9>);
CASE(gemm<257, 384, 1536, 0>);
CASE(gemm<1024, 1024, 1024, 0>);
CASE(gemm<1, 1000, 2048, 0>);
CASE(gemm<1, 8192, 8192, 0>);
CASE(gemm<197, 197, 64, 0>);
CASE(conv<64, 256, 56, 1, 1>);
CASE(conv<1024, 256, 14, 1, 1>);
CASE(conv<512, 2048, 7, 1, 1>);
CASE(conv<64, 64, 56, 3, 1>);
CASE(conv<128, 128, 28, 3, 1>);
CASE(conv<256, 256, 14, 3, 1>);
CASE(conv<512, 512, 7, 3, 1>);
CASE(conv<160, 960, 7, 1, 1, true>);
CASE(conv<960, 160, 7, 1, 1, true>);
CASE(conv<512, 2048, 7, 1, 1, true>);
CASE(conv<256, 256, 14, 3, 1, true>);
CASE(conv<512, 512, 7, 3, 1, true>);
CASE(conv<128, 128, 56, 3, 2>);
CASE(conv<48, 48, 40, 3, 1>);
CASE(winograd<64, 64, 56, 4, 28>);
CASE(winograd<128, 128, 28, 4, 28>);
CASE(winograd<256, 256, 14, 4, 28>);
CASE(winograd<512, 512, 7, 2, 28>);
CASE(winograd<64, 64, 56, 2, 56>);
CASE(winograd<48, 48, 40, 4, 28>);
CASE(spread<96, 32, 80>);
CASE(first<64, 224, 7, 2>);
CASE(first<32, 224, 3, 2>);
CASE(first<24, 224, 3, 2>);
CASE(depthwise<32, 112, 3, 1>);
CASE(depthwise<64, 112, 3, 2>);
CASE(depthwise<512, 14, 3, 1>);
CASE(depthwise<128, 28, 5, 1>);
CASE(plain<64, 28, 3, 1>);
CASE(plain<64, 28, 1, 4>);
CASE(plain<272, 14, 1, 4, true>);
CASE(plain<544, 7, 1, 4, true>);
CASE(recurrent<4, true, 31, 1, 128>);
CASE(recurrent<4, true, 1, 1, 128>);
CASE(recurrent<4, true, 31, 8, 128>);
CASE(recurrent<4, true, 31, 1, 256>);
CASE(recurrent<4, true, 31, 8, 256>);
CASE(recurrent<3, true, 31, 1, 256>);
CASE(recurrent<3, true, 31, 8, 256>);
CASE(recurrent<3, false, 31, 1, 256>);
CASE(recurrent<3, false, 31, 8, 256>);
CASE(rows<0, 12 * 128, 128>);
CASE(rows<1, 128, 384>);
CASE(rows<2, 128, 384>);
CASE(max_pool<false, 64, 112, 3, 2>);
CASE(max_pool<true, 64, 112, 3, 2>);
CASE(grid_sample<false, 32, 64>);
CASE(grid_sample<true, 32, 64>);
CASE(rows<3, 128, 384>);
CASE(attention<6, 257, 64>);
CASE(attention<12, 128, 32>);
CASE(elementwise<0>)->Name("exp");
CASE(elementwise<1>)->Name("tanh");
CASE(elementwise<2>)->Name("erf");
CASE(elementwise<3>)->Name("sigmoid");
CASE(elementwise<4>)->Name("sin");
CASE(elementwise<5>)->Name("pow");
CASE(elementwise<6>)->Name("log");

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  benchmark::AddCustomContext("peak GFLOP/s", std::to_string(kPeak * 1e-9));
  benchmark::RunSpecifiedBenchmarks();
}
