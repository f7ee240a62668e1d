// Attention (onnx/docs/Operators.md, opset 25): floats without past keys, soft cap or windows is a kernel that never
// holds all scores; what is left takes the function body that ONNX gives. The pass recognise_attention makes it of
// exporters' MatMul, Softmax, MatMul. The attribute `empty_rows_nan`, ours, says that a row that sees nothing gives
// NaN, as the operators it came from do; ONNX's own gives zeros. Tested by tests/conformance,
// tests/unit/kernels/attention_test.cc.
#include <cmath>

#include "compiler/ops/axes.h"

namespace onnxc {
namespace {

enum Input { kQ, kK, kV, kMask, kPastKey, kPastValue, kNonpad };

// The dims as [batch, heads, rows, depth], however the tensor is given; empty when the heads are not told.
std::optional<Shape> by_heads(const Node& n, const Shape& s, const char* heads_attr) {
  if (s.size() == 4) return s;
  const int64_t heads = n.attr_int(heads_attr, 0);
  if (s.size() != 3 || heads <= 0) return std::nullopt;
  return Shape{s[0], Dim(heads), s[1], Dim::floor_div(s[2], Dim(heads))};
}

Status infer_attention(InferContext& c) {
  for (size_t i : {kQ, kK, kV})
    if (!c.has_input(i)) return c.invalid("input " + std::to_string(i) + " is missing");
  for (size_t o = 0; o < c.node.num_outputs(); ++o) c.set_unranked(o, c.elem(o == 2 ? kV : o == 1 ? kK : kQ));
  if (!c.has_shape(kQ) || !c.has_shape(kK) || !c.has_shape(kV)) return ok();
  if (c.has_input(kPastKey) && !(c.has_shape(kPastKey) && c.shape(kPastKey).size() == 4)) return ok();
  const auto q = by_heads(c.node, c.shape(kQ), "q_num_heads"), k = by_heads(c.node, c.shape(kK), "kv_num_heads"),
             v = by_heads(c.node, c.shape(kV), "kv_num_heads");
  if (!q || !k || !v)
    return c.invalid("Q, K and V must have rank 4, or rank 3 with q_num_heads and kv_num_heads, not " +
                     shape_str(c.shape(kQ)) + ", " + shape_str(c.shape(kK)) + " and " + shape_str(c.shape(kV)));
  for (size_t i : {kQ, kK, kV}) {
    const Shape& s = c.shape(i);
    const int64_t heads = c.node.attr_int(i == kQ ? "q_num_heads" : "kv_num_heads", 0);
    if (s.size() == 3)
      ONNXC_TRY(c.require_equal(Dim::mod(s[2], heads), Dim(0), "the heads do not divide input " + std::to_string(i)));
  }
  ONNXC_TRY(c.require_equal((*q)[3], (*k)[3], "queries and keys have different sizes"));
  ONNXC_TRY(c.require_equal((*q)[0], (*k)[0], "Q and K have different batches"));
  ONNXC_TRY(c.require_equal((*k)[0], (*v)[0], "K and V have different batches"));
  ONNXC_TRY(c.require_equal((*k)[1], (*v)[1], "K and V have different heads"));
  ONNXC_TRY(c.require_equal((*k)[2], (*v)[2], "K and V have different lengths"));
  if ((*q)[1].is_const() && (*k)[1].is_const() && ((*k)[1] == Dim(0) || (*q)[1].value() % (*k)[1].value() != 0))
    return c.invalid("the " + (*q)[1].str() + " heads of Q are no multiple of the " + (*k)[1].str() + " of K");
  const Dim total = (*k)[2] + (c.has_input(kPastKey) ? c.shape(kPastKey)[2] : Dim(0));
  const Shape outputs[] = {
      c.shape(kQ).size() == 4 ? Shape{(*q)[0], (*q)[1], (*q)[2], (*v)[3]} : Shape{(*q)[0], (*q)[2], (*q)[1] * (*v)[3]},
      {(*k)[0], (*k)[1], total, (*k)[3]},
      {(*v)[0], (*v)[1], total, (*v)[3]},
      {(*q)[0], (*q)[1], (*q)[2], total}};
  for (size_t o = 0; o < c.node.num_outputs() && o < std::size(outputs); ++o) c.set(o, c.outputs[o].elem, outputs[o]);
  return ok();
}

bool is_one(const Dim& d) { return d.is_const() && d.value() == 1; }

// The mask is added as it is: float, of all columns, rows of contiguous elements.
bool is_kernel_mask(const Node& n, const Shape& q, const Shape& k) {
  const Value* mask = n.input(kMask);
  if (!mask) return true;
  if (mask->type.elem != Elem::F32 || !mask->type.shape) return false;
  const Shape& s = *mask->type.shape;
  if (s.empty() || s.size() > 4 || s.back() != k[2]) return false;
  const Dim wanted[] = {q[0], q[1], q[2]};
  for (size_t d = 0; d + 1 < s.size(); ++d) {
    const Dim& full = wanted[d + 4 - s.size()];
    if (s[d] != full && !is_one(s[d])) return false;
  }
  return true;
}

// Whether the kernel does it.
bool is_kernel_attention(const Node& n) {
  for (size_t o = 1; o < n.num_outputs(); ++o)
    if (n.output(o)) return false;
  for (size_t i : {kQ, kK, kV})
    if (n.input(i)->type.elem != Elem::F32 || !n.input(i)->type.shape) return false;
  if (n.input(kPastKey) || n.input(kPastValue) || n.input(kNonpad)) return false;
  if (n.attr_float("softcap", 0) != 0 || n.attr_int("softmax_precision", 1) != 1) return false;
  if (n.attr_int("left_window_size", -1) >= 0 || n.attr_int("right_window_size", -1) >= 0) return false;
  const auto q = by_heads(n, *n.input(kQ)->type.shape, "q_num_heads"),
             k = by_heads(n, *n.input(kK)->type.shape, "kv_num_heads");
  if (!q || !k || !(*q)[3].is_const() || (*q)[3].value() < 1 || !(*q)[1].is_const() || !(*k)[1].is_const() ||
      (*k)[1].value() < 1 || (*q)[1].value() % (*k)[1].value() != 0 || !((*q)[0] == (*k)[0]))
    return false;
  return is_kernel_mask(n, *q, *k);
}

// Elements between batches, heads and rows of a tensor of rank 4 [batch, head, row, depth] or 3 [batch, row, head *
// depth].
void distances(Call& call, const std::string& name, const Shape& by_head, size_t rank) {
  const Dim &heads = by_head[1], &rows = by_head[2], &depth = by_head[3];
  call.arg(name + "_batch", heads * rows * depth);
  call.arg(name + "_head", rank == 4 ? rows * depth : depth);
  call.arg(name + "_row", rank == 4 ? depth : heads * depth);
}

void mask_distances(Call& call, const Value* mask) {
  Dim distance[3] = {Dim(0), Dim(0), Dim(0)};  // batch, head, row
  if (mask) {
    const Shape& s = *mask->type.shape;
    Dim step = s.back();
    for (size_t d = s.size() - 1; d-- > 0;) {
      if (!is_one(s[d])) distance[d + 4 - s.size()] = step;
      step = step * s[d];
    }
  }
  call.arg("mask_batch", distance[0]).arg("mask_head", distance[1]).arg("mask_row", distance[2]);
}

// Query rows that go through together: their scores fill half of a first-level cache, but a register tile is never cut.
int64_t block_rows(const Dim& columns) {
  constexpr int64_t kLeast = 14, kMost = 56, kScores = 8192;
  const int64_t cols = columns.is_const() ? std::max<int64_t>(columns.value(), 1) : kScores / kLeast;
  return std::clamp(kScores / cols / kLeast * kLeast, kLeast, kMost);
}

Status lower_attention(LowerContext& c) {
  const Node& n = c.node();
  const size_t rank = c.in_shape(kQ).size();
  const Shape q = *by_heads(n, c.in_shape(kQ), "q_num_heads"), k = *by_heads(n, c.in_shape(kK), "kv_num_heads"),
              v = *by_heads(n, c.in_shape(kV), "kv_num_heads");
  BufferId in[4];
  for (size_t i : {kQ, kK, kV, kMask}) {
    ONNXC_ASSIGN(in[i], c.in(i));
  }
  const BufferId out = c.out(0);
  const int64_t block = block_rows(k[2]);
  const Dim lanes(16), columns = Dim::ceil_div(k[2], lanes) * lanes, values = Dim::ceil_div(v[3], lanes) * lanes;
  const Dim groups = q[0] * k[1];  // what threads share: heads with keys and values of their own
  const Dim panels = columns * k[3] + values * k[2] + Dim(block) * (q[3] + columns);
  const BufferId scratch = c.temporary(Elem::F32, {groups, panels});
  Call call("attention_f32");
  call.out(out).in(in[kQ]).in(in[kK]).in(in[kV]).in(in[kMask]).scratch(scratch);
  call.arg("batches", q[0]).arg("heads", q[1]).arg("kv_heads", k[1]).arg("rows", q[2]).arg("cols", k[2]);
  call.arg("depth", q[3]).arg("value_depth", v[3]).arg("block", block);
  distances(call, "y", {q[0], q[1], q[2], v[3]}, rank);
  distances(call, "q", q, rank);
  distances(call, "k", k, c.in_shape(kK).size());
  distances(call, "v", v, c.in_shape(kV).size());
  mask_distances(call, n.input(kMask));
  const double natural = 1 / std::sqrt(static_cast<double>(q[3].value()));
  call.arg("scale", n.has("scale") ? static_cast<double>(n.attr_float("scale", 0)) : natural);
  call.arg("causal", n.attr_int("is_causal", 0)).arg("zero_empty_rows", 1 - n.attr_int("empty_rows_nan", 0));
  const Dim scores = q[0] * q[1] * q[2] * k[2];
  c.emit(call.partition("groups", groups, scores * (k[3] + v[3] + Dim(32))).op());
  return ok();
}

}  // namespace

OP(Attention) = [] {
  OpDef d;
  d.name = "Attention";
  d.infer = infer_attention;
  d.lower = lower_attention;
  d.lower_if = is_kernel_attention;
  d.accuracy = Accuracy::Accumulating;
  return d;
}();

}  // namespace onnxc
