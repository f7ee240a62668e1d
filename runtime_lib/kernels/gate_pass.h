// gate_pass: the products of states with the recurrent weights of G gates, [units/16][hidden][gates][16], for a step of
// a recurrent layer: the gates of a vector of units are summed side by side, so that one pass over the weights gives
// all that the cell needs. Each sum is one of chains of kChain madd, in order of k, whatever the tile. Tested in
// tests/unit/kernels/recurrent_test.cc.
#ifndef ONNXC_KERNELS_GATE_PASS_H
#define ONNXC_KERNELS_GATE_PASS_H

#include "tile.h"

namespace onnxc_kernels {

// Of G gates: rows of a tile, and vectors of units that a single row takes at once: enough chains for the bandwidth of
// the L2 cache (more are more streams, and slower).
template <int G>
inline constexpr int kGateRows = ONNXC_LEVEL == 4 ? (G == 1 ? 14 : 24 / G)
                                                  : (G == 4   ? 2
                                                     : G == 3 ? 3
                                                              : 4);
template <int G>
inline constexpr int kGateUnits = ONNXC_LEVEL == 4 ? (G == 4   ? 1
                                                      : G == 3 ? 2
                                                               : 4)
                                  : G >= 3         ? 2
                                                   : 4;

// The sums of MR states by U vectors of units by G gates.
template <int MR, int G, int U>
struct GateTile {
  using V = Wide<float>;
  static constexpr int lanes = kLanes<float>;
  V acc[MR][U][G];

  ONNXC_INLINE void clear() {
    ONNXC_UNROLL
    for (int i = 0; i < MR * U * G; ++i) acc[i / (U * G)][i / G % U][i % G] = V{};
  }
  // acc += h[r * step + k] * w[u][k][g] for k in 0 .. count - 1.
  ONNXC_INLINE void multiply(const float* h, int64_t step, const float* const* w, int64_t count) {
    ONNXC_ROLLED
    for (int64_t k = 0; k < count; ++k) {
      V v[U][G];
      ONNXC_UNROLL
      for (int i = 0; i < U * G; ++i) v[i / G][i % G] = load<V>(w[i / G] + (k * G + i % G) * kBlock);
      ONNXC_UNROLL
      for (int r = 0; r < MR; ++r) {
        const V s = splat<V>(h[r * step + k]);
        ONNXC_UNROLL
        for (int i = 0; i < U * G; ++i) acc[r][i / G][i % G] = madd(s, v[i / G][i % G], acc[r][i / G][i % G]);
      }
    }
  }
  // Adds to the sums in memory, [MR][U][G] vectors, or begins them; the tile is clear afterwards.
  ONNXC_INLINE void flush(float* sums, bool first) {
    ONNXC_UNROLL
    for (int i = 0; i < MR * U * G; ++i)
      Tile<float, 1, 1>::flush_one(sums + i * lanes, acc[i / (U * G)][i / G % U][i % G], first);
    Tile<float, 1, 1>::keep_in_memory(sums);
  }
};

// Nothing stays in vector registers: the constants of the cell's activations, which the compiler hoists out of all
// loops, would take them from the tile.
ONNXC_INLINE void empty_registers() {
#if ONNXC_LEVEL == 4
  __asm__ volatile("" ::
                       : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                         "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20",
                         "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30",
                         "xmm31");
#elif ONNXC_LEVEL > 0
  __asm__ volatile("" ::
                       : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                         "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
#endif
}

// For the states of `rows` rows, `step` apart, and the units `unit` .. `end` - 1: cell(row, unit, sums) where sums
// holds a vector per gate.
template <int G, class Cell>
struct GatePass {
  const float *state, *weights;
  int64_t step, rows, hidden, unit, end;
  Cell& cell;
  float* sums;
  int64_t row = 0;
  static constexpr int lanes = kLanes<float>;

  template <int MR, int U>
  ONNXC_INLINE void multiply() {
    empty_registers();
    GateTile<MR, G, U> tile;
    tile.clear();
    const float *h = state + row * step, *w[U];
    ONNXC_UNROLL
    for (int u = 0; u < U; ++u) {
      const int64_t at = unit + u * lanes;
      w[u] = weights + at / kBlock * hidden * G * kBlock + at % kBlock;
    }
    int64_t done = 0;
    ONNXC_ROLLED
    for (; hidden - done > kChain; done += kChain) {
      tile.multiply(h + done, step, w, kChain);
      tile.flush(sums, done == 0);
      ONNXC_UNROLL
      for (int u = 0; u < U; ++u) w[u] += kChain * G * kBlock;
    }
    tile.multiply(h + done, step, w, hidden - done);
    tile.flush(sums, done == 0);
  }
  template <int MR>
  ONNXC_INLINE void run() {
    multiply<MR, 1>();
  }
  template <int U>
  ONNXC_INLINE void one_row() {
    ONNXC_ROLLED
    for (; unit + U * lanes <= end; unit += U * lanes) {
      multiply<1, U>();
      ONNXC_ROLLED
      for (int u = 0; u < U; ++u) cell(0, unit + u * lanes, sums + u * G * lanes);
    }
  }
  ONNXC_INLINE void many_rows() {
    const Cut cut = cut_evenly(rows, kGateRows<G>);
    ONNXC_ROLLED
    for (; unit < end; unit += lanes) {
      row = 0;
      ONNXC_ROLLED
      for (int64_t t = 0; t < cut.count; ++t) {
        const int64_t height = cut.rows(t);
        with_rows<kGateRows<G>>(height, *this);
        ONNXC_ROLLED
        for (int64_t r = 0; r < height; ++r) cell(row + r, unit, sums + r * G * lanes);
        row += height;
      }
    }
  }
};
template <int G, class Cell>
ONNXC_INLINE void gate_pass(const float* state, int64_t step, int64_t rows, const float* weights, int64_t hidden,
                            int64_t begin, int64_t end, Cell cell) {
  constexpr int most = kGateRows<G> > kGateUnits<G> ? kGateRows<G> : kGateUnits<G>;
  alignas(ONNXC_VECTOR_BYTES) float sums[most * G * kLanes<float>];
  GatePass<G, Cell> pass{state, weights, step, rows, hidden, begin, end, cell, sums};
  if (rows != 1) return pass.many_rows();
  pass.template one_row<kGateUnits<G>>();
  pass.template one_row<1>();
}

}  // namespace onnxc_kernels

#endif
