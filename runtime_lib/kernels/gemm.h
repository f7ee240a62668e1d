// gemm_f32, gemm_f64: y[m][n] = activation(a[m][k] * b[k][n] + bias[n] + residual[m][n]); a, y, residual are row-major
// with rows lda and ldy apart (residual as y), b is packed: [ceil(N/16)][K][16], padded with anything finite.
// pack_b_f32, pack_b_f64: that packing, of a b of any strides, zeros as padding. bias and residual may be null.
// Each element is a sum of chains of kChain madd, in order of k; chains but the last wait in y (or `stage`), so
// residual must not be y. Tested in tests/unit/kernels/gemm_test.cc.
#ifndef ONNXC_KERNELS_GEMM_H
#define ONNXC_KERNELS_GEMM_H

#include "transpose.h"

namespace onnxc_kernels {

template <class T>
struct GemmArgs {
  T* y;
  const T *a, *b, *bias, *residual;
  int64_t m, n, k, lda, ldy;
  Activation<T> activation;
};

// One tile: rows from `row`, NV vectors of columns from `column`. A whole tile goes to y from registers, where finish()
// applies the activations that are not; any other goes through `stage`, which finish() completes.
template <class T, int NV, bool Fetch>
struct GemmTile {
  static constexpr int64_t width = NV * kLanes<T>;
  const GemmArgs<T>& g;
  T* stage;  // [MR][width]
  int64_t row, column;
  const T* later;  // a block of b to fetch meanwhile: with few rows, b comes from main memory

  struct RowsOfA {
    const T* a;
    int64_t lda;
    ONNXC_INLINE T operator()(int r, int64_t i) const { return a[r * lda + i]; }
  };

  ONNXC_INLINE bool direct() const { return column + width <= g.n; }

  template <int MR>
  ONNXC_INLINE void multiply(Tile<T, MR, NV>& tile, const T* a, const T* b, int64_t from, int64_t count) const {
    tile.template multiply<0, Fetch>(RowsOfA{a, g.lda}, b + from * kBlock, kBlock, g.k * kBlock, count,
                                     later + from * kBlock);
  }
  template <int MR>
  ONNXC_INLINE void run() {
    using V = Wide<T>;
    Tile<T, MR, NV> tile;
    tile.clear();
    const T *a = g.a + row * g.lda, *b = g.b + column_offset(column, g.k * kBlock);
    T* y = direct() ? g.y + row * g.ldy + column : stage;
    const int64_t step = direct() ? g.ldy : width;
    int64_t done = 0;
    ONNXC_ROLLED
    for (; g.k - done > kChain; done += kChain) {
      multiply(tile, a + done, b, done, kChain);
      tile.flush(y, step, kBlock, done == 0);
    }
    multiply(tile, a + done, b, done, g.k - done);
    if (!direct()) return done ? tile.flush(y, step, kBlock, false) : tile.store_rows(stage, width);
    const T* residual = g.residual + row * g.ldy + column;
    ONNXC_UNROLL
    for (int n = 0; n < NV; ++n) {
      const V bias = g.bias ? load<V>(g.bias + column + n * kLanes<T>) : V{};
      ONNXC_UNROLL
      for (int r = 0; r < MR; ++r) {
        V v = tile.acc[r][n];
        if (done) v = v + load<V>(y + r * g.ldy + n * kLanes<T>);
        if (g.bias) v = v + bias;
        if (g.residual) v = v + load<V>(residual + r * g.ldy + n * kLanes<T>);
        if (g.activation.in_registers()) v = g.activation.template apply_in_registers<V>(v);
        store<V>(y + r * g.ldy + n * kLanes<T>, v);
      }
    }
  }

  // stage[0 .. count) + bias + residual, lane by lane or element by element.
  template <class V>
  ONNXC_INLINE void add_outer(T* sums, int64_t at, int64_t j) const {
    V v = load<V>(sums + j);
    if (g.bias) v = v + load<V>(g.bias + column + j);
    if (g.residual) v = v + load<V>(g.residual + at + j);
    store<V>(sums + j, v);
  }
  // To `rows` rows of the tile that are `step` apart.
  ONNXC_INLINE void activate(T* p, int64_t step, int64_t rows) const {
    ONNXC_ROLLED
    for (int64_t r = 0; r < rows; ++r) activate_in_place(g.activation, p + r * step, NV);
  }
  ONNXC_INLINE void whole(int64_t rows) {
    with_rows<kMaxRows<NV>>(rows, *this);
    finish(rows);
  }
  ONNXC_INLINE void finish(int64_t rows) {
    constexpr int64_t lanes = kLanes<T>;
    if (direct() && g.activation.in_registers()) return;
    if (direct()) return activate(g.y + row * g.ldy + column, g.ldy, rows);
    const int64_t valid = g.n - column < width ? g.n - column : width, vectors = valid / lanes * lanes;
    ONNXC_ROLLED
    for (int64_t r = 0; r < rows; ++r) {
      T* sums = stage + r * width;
      const int64_t at = (row + r) * g.ldy + column;
      ONNXC_ROLLED
      for (int64_t j = 0; j < vectors; j += lanes) add_outer<Wide<T>>(sums, at, j);
      ONNXC_ROLLED
      for (int64_t j = vectors; j < valid; ++j) add_outer<T>(sums, at, j);
    }
    activate(stage, width, rows);
    ONNXC_ROLLED
    for (int64_t r = 0; r < rows; ++r) {
      const T* sums = stage + r * width;
      T* y = g.y + (row + r) * g.ldy + column;
      ONNXC_ROLLED
      for (int64_t j = 0; j < vectors; j += lanes) store<Wide<T>>(y + j, load<Wide<T>>(sums + j));
      ONNXC_ROLLED
      for (int64_t j = vectors; j < valid; ++j) y[j] = sums[j];
    }
  }
};

// Rows of a that are a multiple of so many bytes apart fall into one set of the first cache, which has eight ways; two
// are for b. Measured on a Zen 4: 72 -> 96 % of the peak at 1024 x 1024 x 1024.
inline constexpr int64_t kCollidingBytes = 4096, kCollidingRows = 6;

// A panel of NV vectors of columns from `column`: its tiles of rows that are in the share.
template <class T, int NV>
ONNXC_INLINE void gemm_columns(const GemmArgs<T>& g, int64_t column, const Share& share) {
  const bool collide = g.lda * int64_t(sizeof(T)) % kCollidingBytes == 0;
  const Cut cut = cut_evenly(g.m, collide && kCollidingRows < kMaxRows<NV> ? kCollidingRows : kMaxRows<NV>);
  const Range mine = share.of(column / kLanes<T>, (g.n + kLanes<T> - 1) / kLanes<T>, cut.count, NV);
  T stage[kMaxRows<NV> * NV * kLanes<T>];
  const int64_t first_block = column / kBlock, blocks = (NV * kLanes<T> + kBlock - 1) / kBlock;
  ONNXC_ROLLED
  for (int64_t t = mine.begin; t < mine.end; ++t) {
    // Each of the first tiles fetches one of the next columns' blocks, which the others would leave to a single one.
    const int64_t later = cut.count > 1 && t < blocks ? first_block + blocks + t : -1;
    if (later >= 0) {
      GemmTile<T, NV, true>{g, stage, cut.start(t), column, g.b + later * g.k * kBlock}.whole(cut.rows(t));
    } else {
      GemmTile<T, NV, false>{g, stage, cut.start(t), column, nullptr}.whole(cut.rows(t));
    }
  }
}

template <class T>
ONNXC_INLINE void gemm(const GemmArgs<T>& g, const Share& share = {0, 0, kSlices}) {
  constexpr int64_t lanes = kLanes<T>;
  if (g.m <= 0 || g.n <= 0) return;
  int64_t column = 0;
  if (g.m <= kMaxRows<4>) {
    ONNXC_ROLLED
    for (; column + 4 * lanes <= g.n; column += 4 * lanes) gemm_columns<T, 4>(g, column, share);
  }
  // The packing has whole blocks, so a second vector that is partly or wholly beyond n can be read, but not a further
  // block.
  ONNXC_ROLLED
  for (; column + lanes < g.n; column += 2 * lanes) gemm_columns<T, 2>(g, column, share);
  if (column < g.n) gemm_columns<T, 1>(g, column, share);
}

// A block of columns of a transposed b, of which a tile of rows starts at `from`: element (r, j) is from[r + j * step].
ONNXC_INLINE void pack_transposed(float* to, const float* from, int64_t step) {
  ONNXC_ROLLED
  for (int64_t j = 0; j < kBlock; j += kLanes<float>) {
    SquareTile<kLanes<float>> t;
    ONNXC_UNROLL
    for (int i = 0; i < kLanes<float>; ++i) t.v[i] = load<SquareTile<kLanes<float>>::V>(from + (j + i) * step);
    t.transpose();
    t.store_rows(to + j, kBlock, kLanes<float>);
  }
}

template <class T>
ONNXC_INLINE void pack_b(T* packed, const T* b, int64_t k, int64_t n, int64_t row_stride, int64_t col_stride) {
  for (int64_t c = 0; c < n; c += kBlock) {
    const int64_t valid = n - c < kBlock ? n - c : kBlock;
    int64_t r = 0;
    if constexpr (sizeof(T) == sizeof(float)) {
      if (valid == kBlock && row_stride == 1)
        for (; r + kLanes<float> <= k; r += kLanes<float>)
          pack_transposed(packed + c * k + r * kBlock, b + r + c * col_stride, col_stride);
    }
    for (; r < k; ++r) {
      const T* from = b + r * row_stride + c * col_stride;
      T* to = packed + c * k + r * kBlock;
      if (valid == kBlock && col_stride == 1) {
        for (int64_t j = 0; j < kBlock; j += kLanes<T>) store<Wide<T>>(to + j, load<Wide<T>>(from + j));
      } else {
        for (int64_t j = 0; j < kBlock; ++j) to[j] = j < valid ? from[j * col_stride] : T(0);
      }
    }
  }
}

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_gemm_f32(float* y, const float* a, const float* b, const float* bias, const float* residual,
                                 int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldy, int64_t activation,
                                 float alpha, float beta, int64_t begin, int64_t end) {
  onnxc_kernels::gemm<float>({y, a, b, bias, residual, m, n, k, lda, ldy, {activation, alpha, beta}}, {0, begin, end});
}
ONNXC_KERNEL void onnxc_gemm_f64(double* y, const double* a, const double* b, const double* bias,
                                 const double* residual, int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldy,
                                 int64_t activation, double alpha, double beta, int64_t begin, int64_t end) {
  onnxc_kernels::gemm<double>({y, a, b, bias, residual, m, n, k, lda, ldy, {activation, alpha, beta}}, {0, begin, end});
}
ONNXC_KERNEL void onnxc_pack_b_f32(float* packed, const float* b, int64_t k, int64_t n, int64_t row_stride,
                                   int64_t col_stride) {
  onnxc_kernels::pack_b<float>(packed, b, k, n, row_stride, col_stride);
}
ONNXC_KERNEL void onnxc_pack_b_f64(double* packed, const double* b, int64_t k, int64_t n, int64_t row_stride,
                                   int64_t col_stride) {
  onnxc_kernels::pack_b<double>(packed, b, k, n, row_stride, col_stride);
}

#endif
