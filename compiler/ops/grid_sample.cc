// GridSample (onnx/docs/Operators.md): samples at computed coordinates; any number of spatial axes. A kernel where all
// is f32 and there are up to three axes, which works out each point once for all channels; else an expression.
// Coordinates and weights are computed in f32 (f64 where the grid is). Tested by tests/conformance and
// tests/differential; the kernel by tests/unit/kernels/selection_test.cc.
#include "compiler/ops/indexing.h"
#include "compiler/ops/window.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::select;
using expr::operator+;
using expr::operator-;
using expr::operator*;
using expr::operator/;

enum class Padding { Zeros, Border, Reflection };

struct Sampler {
  Padding padding = Padding::Zeros;
  bool align = false;
  Elem type = Elem::F32;  // of coordinates
  Expr num(double v) const { return expr::constant(type, v); }

  // From -1 .. 1 to pixels.
  Expr pixels(const Expr& x, const Dim& extent) const {
    const Expr n = expr::cast(expr::index(extent), type);
    if (align) return (x + num(1)) / num(2) * (n - num(1));
    return ((x + num(1)) * n - num(1)) / num(2);
  }
  Expr low(const Dim&) const { return num(align ? 0 : -0.5); }
  Expr high(const Dim& extent) const { return expr::cast(expr::index(extent), type) - num(align ? 1 : 0.5); }

  // Mirrored at both ends as often as needed.
  Expr reflect(const Expr& x, const Dim& extent) const {
    const Expr lo = low(extent), hi = high(extent), range = hi - lo;
    const Expr below = binary(ExprOp::Lt, x, lo), above = binary(ExprOp::Gt, x, hi);
    const Expr distance = select(below, lo - x, x - hi);
    const Expr turns = expr::unary(ExprOp::Trunc, distance / range), rest = distance - turns * range;
    const Expr odd = binary(ExprOp::Ne, turns, num(2) * expr::unary(ExprOp::Floor, turns * num(0.5)));
    const Expr from_low = select(odd, hi - rest, lo + rest), from_high = select(odd, lo + rest, hi - rest);
    return select(below, from_low, select(above, from_high, x));
  }
  // The coordinate after padding.
  Expr settle(const Expr& x, const Dim& extent) const {
    if (padding == Padding::Border) {
      const Expr last = expr::cast(expr::index(extent - Dim(1)), type);
      return binary(ExprOp::Max, num(0), binary(ExprOp::Min, x, last));
    }
    return padding == Padding::Reflection ? reflect(x, extent) : x;
  }
  // A whole-numbered coordinate as an index in bounds; `inside` says whether zeros padding keeps it.
  Expr tap(const Expr& x, const Dim& extent, Expr& inside) const {
    const Expr settled = padding == Padding::Reflection ? reflect(x, extent) : x;
    const Expr i = expr::cast(settled, Elem::I64);
    if (padding == Padding::Zeros) {
      const Expr good =
          binary(ExprOp::And, binary(ExprOp::Ge, i, constant(0)), binary(ExprOp::Lt, i, expr::index(extent)));
      inside = inside ? binary(ExprOp::And, inside, good) : good;
    }
    return clamp(i, extent);
  }
};

Status infer_grid_sample(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape &x = c.shape(0), &grid = c.shape(1);
  if (x.size() < 3 || grid.size() != x.size())
    return c.invalid("input " + shape_str(x) + " and grid " + shape_str(grid) + " do not fit");
  ONNXC_TRY(c.require_equal(
      grid.back(), Dim(static_cast<int64_t>(x.size()) - 2),
      "the grid " + shape_str(grid) + " must hold " + std::to_string(x.size() - 2) + " coordinates per point"));
  ONNXC_TRY(c.require_equal(grid[0], x[0], "input and grid have different batches"));
  Shape out{x[0], x[1]};
  out.insert(out.end(), grid.begin() + 1, grid.end() - 1);
  for (size_t a = 2; a < x.size(); ++a)
    ONNXC_TRY(require_some(c.node, x[a], numel(out), "the input " + shape_str(x) + " has no element to sample"));
  return c.set(0, c.elem(0), std::move(out)), ok();
}

// Positions (whole numbers) and weights of the taps along one axis.
struct Taps {
  std::vector<Expr> at, weight;
};

Taps taps_of(const Sampler& s, const std::string& mode, const Expr& x) {
  if (mode == "nearest") return {{x}, {nullptr}};
  const Expr base = expr::unary(ExprOp::Floor, x), t = x - base;
  if (mode == "linear") return {{base, base + s.num(1)}, {s.num(1) - t, t}};
  // Cubic convolution with a = -0.75 (Keys, 1981).
  const double a = -0.75;
  const auto near = [&](const Expr& d) { return ((s.num(a + 2) * d - s.num(a + 3)) * d) * d + s.num(1); };
  const auto far = [&](const Expr& d) { return ((s.num(a) * d - s.num(5 * a)) * d + s.num(8 * a)) * d - s.num(4 * a); };
  const Expr u = s.num(1) - t;
  return {{base - s.num(1), base, base + s.num(1), base + s.num(2)},
          {far(t + s.num(1)), near(t), near(u), far(u + s.num(1))}};
}

// Sums over the taps of axis `a` and of those behind it.
Expr gather_taps(ComputeContext& c, const Sampler& s, const std::vector<Taps>& taps, size_t a, std::vector<Expr>& at,
                 const Expr& inside) {
  const Shape& x = c.in_shape(0);
  if (a == taps.size()) {
    const Expr value = c.load(0, at);
    return inside ? select(inside, value, scalar(c.in_elem(0), 0)) : value;
  }
  Expr sum;
  for (size_t k = 0; k < taps[a].at.size(); ++k) {
    Expr here = inside;
    at[2 + a] = s.tap(taps[a].at[k], x[2 + a], here);
    Expr term = gather_taps(c, s, taps, a + 1, at, here);
    if (taps[a].weight[k]) term = term * expr::cast(taps[a].weight[k], term->type);
    sum = sum ? sum + term : term;
  }
  return sum;
}

Result<Expr> compute_grid_sample(ComputeContext& c, std::span<const Expr> idx) {
  const Shape& x = c.in_shape(0);
  const size_t axes = x.size() - 2;
  Sampler s;
  s.align = c.node().attr_int("align_corners", 0) != 0;
  const std::string padding = c.node().attr_string("padding_mode", "zeros"),
                    mode = c.node().attr_string("mode", "linear");
  if (padding == "border") s.padding = Padding::Border;
  if (padding == "reflection") s.padding = Padding::Reflection;
  s.type = c.in_elem(1) == Elem::F64 ? Elem::F64 : Elem::F32;
  std::vector<Taps> taps;
  std::vector<Expr> place{idx[0]};
  place.insert(place.end(), idx.begin() + 2, idx.end());
  place.push_back(nullptr);
  for (size_t a = 0; a < axes; ++a) {
    place.back() = constant(static_cast<int64_t>(axes - 1 - a));  // the grid names the innermost axis first
    Expr coordinate = s.pixels(expr::cast(c.load(1, place), s.type), x[2 + a]);
    if (mode == "nearest") coordinate = expr::unary(ExprOp::Round, coordinate);
    taps.push_back(taps_of(s, mode, s.settle(coordinate, x[2 + a])));
  }
  std::vector<Expr> at(2 + axes);
  at[0] = idx[0];
  at[1] = idx[1];
  return gather_taps(c, s, taps, 0, at, nullptr);
}

bool has_no_kernel(const Node& node) {
  const auto is_f32 = [&](size_t i) { return node.input(i)->type.elem == Elem::F32; };
  const size_t axes = node.input(0)->type.shape->size() - 2;
  return !is_f32(0) || !is_f32(1) || axes > 3 || (axes == 3 && node.attr_string("mode", "linear") == "cubic");
}

Status lower_grid_sample(LowerContext& c) {
  const Shape &x = c.in_shape(0), &grid = c.in_shape(1);
  const size_t axes = x.size() - 2;
  const std::string padding = c.node().attr_string("padding_mode", "zeros"),
                    mode = c.node().attr_string("mode", "linear");
  const auto extent = [&](size_t from_behind) { return from_behind <= axes ? x[x.size() - from_behind] : Dim(1); };
  // With many channels a point is a few vectors of them; changing the layout on the way in and out costs less than to
  // gather each element.
  const Layout layout = fills_channel_blocks(c) ? Layout::channels(c.channel_block()) : Layout{};
  ONNXC_ASSIGN(const BufferId in, c.in(0, layout));
  ONNXC_ASSIGN(const BufferId points, c.in(1));
  const Dim count = product(grid, 1, grid.size() - 1);
  Call call(layout.plain() ? "grid_sample_f32" : "grid_sample_blocked_f32");
  call.out(c.out(0, layout)).in(in).in(points).arg("axes", static_cast<int64_t>(axes)).arg("channels", x[1]);
  call.arg("depth", extent(3)).arg("height", extent(2)).arg("width", extent(1)).arg("points", count);
  call.arg("mode", mode == "nearest" ? 0 : mode == "linear" ? 1 : 2);
  call.arg("padding", padding == "border" ? 1 : padding == "reflection" ? 2 : 0);
  call.arg("align", c.node().attr_int("align_corners", 0) != 0 ? 1 : 0);
  c.emit(call.partition("points", x[0] * count, numel(c.out_shape()) * Dim(64)).op());
  return ok();
}

// Opset 20 renamed the modes.
Status rename_modes_19(Graph&, Node& node) {
  const std::string mode = node.attr_string("mode", "bilinear");
  node.attrs["mode"] = mode == "bilinear" ? std::string("linear") : mode == "bicubic" ? std::string("cubic") : mode;
  return ok();
}

OpDef make_grid_sample() {
  OpDef d;
  d.name = "GridSample";
  d.infer = infer_grid_sample;
  d.compute = compute_grid_sample;
  d.compute_if = has_no_kernel;
  d.lower = lower_grid_sample;
  d.upgrades = {{19, rename_modes_19}};
  d.layout = LayoutBehaviour::Mapped;
  d.accuracy = Accuracy::Accumulating;
  d.expensive = true;
  return d;
}

}  // namespace

OP(GridSample) = make_grid_sample();

}  // namespace onnxc
