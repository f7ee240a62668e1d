// gemm_i8, gemm_u8: y[m][n] = a[m][k] * b[k][n] - row_sums[m] * zeros[n], in 32 bits that wrap. y is row-major with
// rows ldy apart. a is of i16 with rows lda apart (even, not below k); a row's element after an odd k may be anything.
// b is packed in pairs of k, [ceil(N/16)][ceil(K/2)][16][2], padded with zeros. row_sums and zeros (both or neither may
// be null) take off zero points of b; zeros has whole blocks, padded with anything. pack_b_i8, pack_b_u8: that packing,
// of a b of any strides. a is within -255 .. 255, so that a pair's products are exact in 32 bits (vpmaddwd). Tested in
// tests/unit/kernels/gemm_integer_test.cc.
#ifndef ONNXC_KERNELS_GEMM_INTEGER_H
#define ONNXC_KERNELS_GEMM_INTEGER_H

#include "tile.h"

namespace onnxc_kernels {

// a[2 l] * b[2 l] + a[2 l + 1] * b[2 l + 1] in lane l.
template <int Lanes>
ONNXC_INLINE Vec<uint32_t, Lanes> multiply_pairs(Vec<int16_t, 2 * Lanes> a, Vec<int16_t, 2 * Lanes> b) {
  using V = Vec<uint32_t, Lanes>;
#if defined(__AVX512BW__) && defined(__clang__)
  if constexpr (Lanes == 16) return (V)__builtin_ia32_pmaddwd512(a, b);
#elif defined(__AVX512BW__)
  if constexpr (Lanes == 16) return (V)__builtin_ia32_pmaddwd512_mask(a, b, Vec<int32_t, 16>{}, 0xffff);
#endif
#if defined(__AVX2__)
  if constexpr (Lanes == 8) return (V)__builtin_ia32_pmaddwd256(a, b);
#endif
#if defined(__SSE2__)
  if constexpr (Lanes == 4) return (V)__builtin_ia32_pmaddwd128(a, b);
#else
  using S = Vec<int32_t, Lanes>;
  const V x = bits_as<V>(a), y = bits_as<V>(b);
  return V(S(x << 16) >> 16) * V(S(y << 16) >> 16) + V(S(x) >> 16) * V(S(y) >> 16);
#endif
}

// The highest tile of NV vectors: next to it, registers hold NV vectors of b, a pair of a, and a product.
template <int NV>
inline constexpr int kMaxIntegerRows = ONNXC_LEVEL == 4   ? 12
                                       : ONNXC_LEVEL == 3 ? (NV == 1 ? 10 : 5)
                                       : NV == 1          ? 8
                                                          : 4;

template <class B>
struct IntegerGemmArgs {
  int32_t* y;
  const int16_t* a;
  const B* b;
  const int32_t *row_sums, *zeros;
  int64_t m, n, k, lda, ldy;
  ONNXC_INLINE int64_t pairs() const { return (k + 1) / 2; }
};

// One tile: rows from `row`, NV vectors of columns from `column`.
template <class B, int NV>
struct IntegerGemmTile {
  static constexpr int lanes = kLanes<int32_t>;
  using V = Wide<uint32_t>;
  const IntegerGemmArgs<B>& g;
  int64_t row, column;

  template <int MR>
  ONNXC_INLINE void multiply(V (&acc)[MR][NV]) const {
    const int64_t pairs = g.pairs();
    const int16_t* a = g.a + row * g.lda;
    ONNXC_ROLLED
    for (int64_t p = 0; p < pairs; ++p) {
      Vec<int16_t, 2 * lanes> b[NV];
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) {
        const B* at = g.b + 2 * (p * kBlock + column_offset(column + n * lanes, pairs * kBlock));
        b[n] = __builtin_convertvector(load<Vec<B, 2 * lanes>>(at), Vec<int16_t, 2 * lanes>);
      }
      ONNXC_UNROLL
      for (int r = 0; r < MR; ++r) {
        uint32_t pair;
        __builtin_memcpy(&pair, a + r * g.lda + 2 * p, sizeof(pair));
        const auto both = bits_as<Vec<int16_t, 2 * lanes>>(splat<V>(pair));
        ONNXC_UNROLL
        for (int n = 0; n < NV; ++n) acc[r][n] += multiply_pairs<lanes>(both, b[n]);
      }
    }
  }
  template <int MR>
  ONNXC_INLINE void run() {
    V acc[MR][NV];
    ONNXC_UNROLL
    for (int r = 0; r < MR; ++r) {
      ONNXC_UNROLL
      for (int n = 0; n < NV; ++n) acc[r][n] = V{};
    }
    multiply<MR>(acc);
    ONNXC_UNROLL
    for (int n = 0; n < NV; ++n) {
      const int64_t c = column + n * lanes, valid = g.n - c < lanes ? g.n - c : lanes;
      if (valid <= 0) return;
      V zeros{};
      if (g.zeros) zeros = bits_as<V>(load<Wide<int32_t>>(g.zeros + c));
      ONNXC_UNROLL
      for (int r = 0; r < MR; ++r) {
        V v = acc[r][n];
        if (g.row_sums) v = v - splat<V>(uint32_t(g.row_sums[row + r])) * zeros;
        write(g.y + (row + r) * g.ldy + c, v, valid);
      }
    }
  }
  static ONNXC_INLINE void write(int32_t* y, V v, int64_t valid) {
    if (valid == lanes) {
      __builtin_memcpy(y, &v, sizeof(v));
    } else {
      uint32_t each[lanes];
      store<V>(each, v);
      ONNXC_ROLLED
      for (int64_t i = 0; i < valid; ++i) y[i] = int32_t(each[i]);
    }
  }
};

template <class B, int NV>
ONNXC_INLINE void integer_gemm_columns(const IntegerGemmArgs<B>& g, int64_t column, const Share& share) {
  const Cut cut = cut_evenly(g.m, kMaxIntegerRows<NV>);
  constexpr int64_t lanes = kLanes<int32_t>;
  const Range mine = share.of(column / lanes, (g.n + lanes - 1) / lanes, cut.count, NV);
  ONNXC_ROLLED
  for (int64_t t = mine.begin; t < mine.end; ++t) {
    IntegerGemmTile<B, NV> tile{g, cut.start(t), column};
    with_rows<kMaxIntegerRows<NV>>(cut.rows(t), tile);
  }
}

template <class B>
ONNXC_INLINE void integer_gemm(const IntegerGemmArgs<B>& g, const Share& share) {
  constexpr int64_t lanes = kLanes<int32_t>;
  if (g.m <= 0 || g.n <= 0) return;
  int64_t column = 0;
  ONNXC_ROLLED
  for (; column + lanes < g.n; column += 2 * lanes) integer_gemm_columns<B, 2>(g, column, share);
  if (column < g.n) integer_gemm_columns<B, 1>(g, column, share);
}

// The pairs of a block of columns of two rows; `second` may be null.
template <class B>
ONNXC_INLINE void pack_row_pair(B* to, const B* first, const B* second, int64_t col_stride, int64_t valid) {
  if (valid == kBlock && col_stride == 1 && second) {
    constexpr int half = kBlock / 2;
    ONNXC_ROLLED
    for (int64_t j = 0; j < kBlock; j += half) {
      const auto a = load<Vec<B, half>>(first + j), b = load<Vec<B, half>>(second + j);
      const auto pairs = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
      store<Vec<B, kBlock>>(to + 2 * j, pairs);
    }
    return;
  }
  ONNXC_ROLLED
  for (int64_t j = 0; j < kBlock; ++j) {
    to[2 * j] = j < valid ? first[j * col_stride] : B(0);
    to[2 * j + 1] = j < valid && second ? second[j * col_stride] : B(0);
  }
}

template <class B>
ONNXC_INLINE void pack_pairs(B* packed, const B* b, int64_t k, int64_t n, int64_t row_stride, int64_t col_stride) {
  const int64_t pairs = (k + 1) / 2;
  ONNXC_ROLLED
  for (int64_t c = 0; c < n; c += kBlock) {
    ONNXC_ROLLED
    for (int64_t p = 0; p < pairs; ++p) {
      const B* from = b + 2 * p * row_stride + c * col_stride;
      const B* second = 2 * p + 1 < k ? from + row_stride : nullptr;
      pack_row_pair(packed + 2 * (c * pairs + p * kBlock), from, second, col_stride, n - c < kBlock ? n - c : kBlock);
    }
  }
}

}  // namespace onnxc_kernels

#define ONNXC_INTEGER_GEMM(elem, B)                                                                                    \
  ONNXC_KERNEL void onnxc_gemm_##elem(int32_t* y, const int16_t* a, const B* b, const int32_t* row_sums,               \
                                      const int32_t* zeros, int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldy, \
                                      int64_t begin, int64_t end) {                                                    \
    onnxc_kernels::integer_gemm<B>({y, a, b, row_sums, zeros, m, n, k, lda, ldy}, {0, begin, end});                    \
  }                                                                                                                    \
  ONNXC_KERNEL void onnxc_pack_b_##elem(B* packed, const B* b, int64_t k, int64_t n, int64_t row_stride,               \
                                        int64_t col_stride) {                                                          \
    onnxc_kernels::pack_pairs<B>(packed, b, k, n, row_stride, col_stride);                                             \
  }
ONNXC_INTEGER_GEMM(i8, int8_t)
ONNXC_INTEGER_GEMM(u8, uint8_t)
#undef ONNXC_INTEGER_GEMM

#endif
