// See window_product.h.
#include "compiler/ops/window_product.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "compiler/ops/window.h"

namespace onnxc {
namespace {

using expr::operator+;
using expr::operator-;

// Which taps mirror each other: `first` and `sum - first`, then inwards. What is left stands alone.
struct Mirror {
  int64_t first, sum;
  int64_t pairs() const { return (sum + 1) / 2 - first; }
  int64_t left(int64_t pair) const { return first + pair; }
  int64_t right(int64_t pair) const { return sum - first - pair; }
  std::vector<int64_t> alone() const {
    std::vector<int64_t> taps;
    for (int64_t tap = 0; tap < first; ++tap) taps.push_back(tap);
    if (sum % 2 == 0) taps.push_back(sum / 2);
    return taps;
  }
  int64_t columns() const { return pairs() + static_cast<int64_t>(alone().size()); }
};
Mirror no_mirror(int64_t taps) { return {taps, 2 * taps - 1}; }
// All taps, as those of a filter; or all but the first, as those of a Fourier transform of one period.
std::vector<Mirror> mirrors(int64_t taps) { return {{0, taps - 1}, {1, taps}}; }

enum class Parity { None, Even, Odd };

bool has_parity(std::span<const float> row, const Mirror& m, double sign) {
  double most = 0;
  for (const float w : row) most = std::max(most, std::abs(static_cast<double>(w)));
  for (int64_t p = 0; p < m.pairs(); ++p) {
    const double left = row[static_cast<size_t>(m.left(p))], right = row[static_cast<size_t>(m.right(p))];
    if (!(std::abs(left - sign * right) <= most * 0x1p-34)) return false;
  }
  return true;
}

// Blocks of output channels, begin .. end - 1, with the same parity.
struct Run {
  int64_t begin, end;
  Parity parity;
};

std::vector<Run> runs_of(const Tensor& weights, int64_t taps, int64_t block, const Mirror& m) {
  const std::span<const float> all = weights.as<float>();
  const int64_t channels = weights.dims()[0];
  const auto parity_of = [&](int64_t b) {
    bool even = true, odd = true;
    for (int64_t o = b * block; o < std::min(channels, (b + 1) * block); ++o) {
      const auto row = all.subspan(static_cast<size_t>(o * taps), static_cast<size_t>(taps));
      even = even && has_parity(row, m, 1);
      odd = odd && has_parity(row, m, -1);
    }
    return even ? Parity::Even : odd ? Parity::Odd : Parity::None;
  };
  std::vector<Run> runs;
  for (int64_t b = 0; b * block < channels; ++b) {
    const Parity parity = parity_of(b);
    if (runs.empty() || runs.back().parity != parity) runs.push_back({b, b, parity});
    runs.back().end = b + 1;
  }
  return runs;
}

int64_t folded_blocks(const std::vector<Run>& runs) {
  int64_t n = 0;
  for (const Run& r : runs) n += r.parity == Parity::None ? 0 : r.end - r.begin;
  return n;
}

// The weights of a run, [channels][1][columns]: of pairs first, then of the taps that stand alone.
Tensor folded_weights(const Tensor& weights, int64_t taps, int64_t block, const Run& run, const Mirror& m) {
  const std::span<const float> all = weights.as<float>();
  const int64_t begin = run.begin * block, end = std::min(weights.dims()[0], run.end * block);
  if (m.pairs() == 0 && end - begin == weights.dims()[0]) return weights.reshaped({end, 1, taps});
  std::vector<float> to;
  for (int64_t o = begin; o < end; ++o) {
    const auto row = all.subspan(static_cast<size_t>(o * taps), static_cast<size_t>(taps));
    for (int64_t p = 0; p < m.pairs(); ++p) to.push_back(row[static_cast<size_t>(m.left(p))]);
    for (const int64_t tap : m.alone()) to.push_back(row[static_cast<size_t>(tap)]);
  }
  return Tensor::f32({end - begin, 1, m.columns()}, to);
}

// The windows of `in` [images][windows][columns], their mirrored taps added or subtracted.
BufferId folded_windows(LowerContext& c, const WindowProduct& w, BufferId in, const Mirror& m, Parity parity) {
  const Shape x = c.program().buffers[in].dims;
  const BufferId folded = c.temporary(Elem::F32, {x[0], w.windows, Dim(m.columns())});
  c.emit(make_nest(c, {x[0], w.windows}, [&](std::span<const Expr> idx) {
    const auto tap = [&](const Dim& at) {
      std::vector<Expr> from(x.size(), expr::index(Dim(0)));
      from.front() = idx[0];
      from.back() = expr::index(idx[1]->dim * Dim(w.step) + at);
      return expr::load(in, Elem::F32, from);
    };
    const std::string name = c.fresh("pair");
    const Dim pair = Dim::symbol(name);
    const Expr left = tap(Dim(m.first) + pair), right = tap(Dim(m.sum - m.first) - pair);
    Block b;
    b.push_back(Stmt{For{{name, Dim(m.pairs())},
                         {Stmt{Store{folded,
                                     {idx[0], idx[1], expr::index(pair)},
                                     parity == Parity::Even ? left + right : left - right,
                                     nullptr}}}}});
    int64_t column = m.pairs();
    for (const int64_t alone : m.alone())
      b.push_back(Stmt{Store{folded, {idx[0], idx[1], expr::index(Dim(column++))}, tap(Dim(alone)), nullptr}});
    return b;
  }));
  return folded;
}

// The windows as a matrix in memory: [images] of rows that lie `lda` apart.
struct Windows {
  BufferId buffer;
  int64_t columns, lda;
};

void emit_product(LowerContext& c, const WindowProduct& w, const Run& run, const Windows& a, BufferId weights,
                  BufferId out, BufferId bias) {
  const auto place = [&](BufferId buffer, std::vector<Expr> at) {
    at.resize(c.program().buffers[buffer].dims.size(), expr::index(Dim(0)));
    return Operand{buffer, std::move(at)};
  };
  const Shape loops{c.program().buffers[out].dims[0], Dim(run.end - run.begin)};
  Operation op = make_nest(c, loops, [&](std::span<const Expr> idx) {
    const Expr of_all = expr::index(idx[1]->dim + Dim(run.begin));
    Call gemm("gemm_f32");
    gemm.out_at(place(out, {idx[0], of_all})).in_at(place(a.buffer, {idx[0]})).in_at(place(weights, {idx[1]}));
    gemm.in_at(bias == kNoBuffer ? Operand{} : place(bias, {of_all})).in(kNoBuffer);
    gemm.arg("m", w.windows).arg("n", c.channel_block()).arg("k", a.columns).arg("lda", a.lda);
    activation_args(gemm.arg("ldy", c.channel_block()), activation_of(c.node())).all_slices();
    Block b;
    b.push_back(Stmt{std::get<KernelCall>(gemm.op().node)});
    return b;
  });
  if (op.partition) op.partition->work = numel(loops) * w.windows * Dim(a.columns * c.channel_block());
  c.emit(std::move(op));
}

}  // namespace

void lower_window_product(LowerContext& c, const WindowProduct& w, BufferId out, BufferId in, BufferId bias) {
  constexpr int64_t kWorthFolding = 16;  // taps
  const int64_t block = c.channel_block();
  const Tensor& weights = *c.constant(1);
  Mirror mirror = no_mirror(w.taps);
  std::vector<Run> runs{{0, (weights.dims()[0] + block - 1) / block, Parity::None}};
  for (const Mirror& m : mirrors(w.taps)) {
    if (w.taps < kWorthFolding) break;
    std::vector<Run> found = runs_of(weights, w.taps, block, m);
    if (folded_blocks(found) <= folded_blocks(runs)) continue;
    runs = std::move(found);
    mirror = m;
  }
  const Packing packing = weight_packing(1, block, 1);
  const std::string& name = c.node().input(1)->name;
  for (const Parity parity : {Parity::None, Parity::Even, Parity::Odd}) {
    std::optional<Windows> a;
    for (const Run& run : runs) {
      if (run.parity != parity) continue;
      const Mirror m = parity == Parity::None ? no_mirror(w.taps) : mirror;
      if (parity == Parity::None)
        a = Windows{in, w.taps, w.step};
      else if (!a)
        a = Windows{folded_windows(c, w, in, m, parity), m.columns(), m.columns()};
      emit_product(c, w, run, *a, c.constant_buffer(folded_weights(weights, w.taps, block, run, m), packing, name), out,
                   bias);
    }
  }
}

}  // namespace onnxc
