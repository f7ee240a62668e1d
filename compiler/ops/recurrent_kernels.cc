// RNN, GRU and LSTM by kernels (recurrent.h). W, R, B and P are packed here so that the gates of 16 units lie side by
// side. Tested by tests/conformance, tests/differential; the kernels by tests/unit/kernels.
#include <algorithm>

#include "compiler/ops/recurrent.h"

namespace onnxc {
namespace {

constexpr int64_t kBlock = 16;  // units per block: runtime_lib/kernels/tile.h

int64_t gates_of(const Node& n) { return n.op == "LSTM" ? 4 : n.op == "GRU" ? 3 : 1; }

bool linear_before_reset(const Node& n) { return n.attr_int("linear_before_reset", 0) != 0; }

bool has_kernel_activations(const Node& n) {
  std::vector<std::string> names = n.attr_strings("activations");
  if (names.empty()) return true;
  std::vector<std::string> cell = {"tanh"};
  if (n.op == "LSTM") cell = {"sigmoid", "tanh", "tanh"};
  if (n.op == "GRU") cell = {"sigmoid", "tanh"};
  if (n.op == "RNN" && lower_case(names[0]) == "relu") cell = {"relu"};
  if (names.size() % cell.size() != 0) return false;
  for (size_t i = 0; i < names.size(); ++i)
    if (lower_case(names[i]) != cell[i % cell.size()]) return false;
  return true;
}

class KernelCell {
 public:
  explicit KernelCell(LowerContext& c) : c_(c), gates_(gates_of(c.node())) {}

  Status lower() {
    const Node& n = c_.node();
    const bool batch_first = n.attr_int("layout", 0) != 0;
    const Shape& x = c_.in_shape(0);
    directions_ = c_.constant(2)->dims()[0], hidden_ = c_.constant(2)->dims()[2];
    units_ = (hidden_ + kBlock - 1) / kBlock * kBlock;
    steps_ = x[batch_first ? 1 : 0], batch_ = x[batch_first ? 0 : 1];
    ONNXC_ASSIGN(const BufferId projected, project_inputs());
    Call call(lower_case(n.op) + "_f32");
    for (size_t o = 0; o < (n.op == "LSTM" ? 3u : 2u); ++o) call.out(n.output(o) ? c_.out(o) : kNoBuffer);
    call.in(projected);
    recurrent_weights(call);
    ONNXC_ASSIGN(const BufferId lengths, c_.in(4));
    ONNXC_ASSIGN(const BufferId h0, c_.in(5));
    call.in(h0);
    if (n.op == "LSTM") {
      ONNXC_ASSIGN(const BufferId c0, c_.in(6));
      call.in(c0);
    }
    call.in(lengths);
    const Dim sequences = Dim(directions_) * batch_;
    const int64_t slots = n.op == "LSTM" ? 3 : n.op == "GRU" ? 4 : 2;  // kSlots of the cell
    call.scratch(c_.temporary(Elem::F32, {sequences, Dim(slots), Dim(units_)}));
    call.arg("stride", stride())
        .arg("steps", steps_)
        .arg("batch", batch_)
        .arg("hidden", hidden_)
        .arg("directions", directions_);
    call.arg("reverse", n.attr_string("direction", "forward") == "reverse" ? 1 : 0);
    call.arg("batch_first", batch_first ? 1 : 0).arg("clip", static_cast<double>(n.attr_float("clip", 0)));
    if (n.op == "GRU") call.arg("linear_before_reset", linear_before_reset(n) ? 1 : 0);
    if (n.op == "RNN") call.arg("relu", is_relu() ? 1 : 0);
    share(call, sequences);
    c_.emit(call.op());
    return ok();
  }

 private:
  bool is_relu() const {
    const auto names = c_.node().attr_strings("activations");
    return !names.empty() && lower_case(names[0]) == "relu";
  }
  bool scales_recurrent_bias(int64_t gate) const {  // the reset gate does, so the bias cannot be added beforehand
    return c_.node().op == "GRU" && gate == 2 && linear_before_reset(c_.node());
  }

  // Threads share the sequences where there are several, else the units, whose threads meet once a step, and in GRU
  // once more between the gates and the candidate that needs them all.
  void share(Call& call, const Dim& sequences) const {
    const bool by_units = sequences == Dim(1);
    const Dim work = sequences * steps_ * Dim(gates_ * hidden_ * hidden_);
    const bool twice = c_.node().op == "GRU" && !linear_before_reset(c_.node());
    call.arg("by_units", by_units ? 1 : 0);
    call.partition(by_units ? "blocks" : "sequence", by_units ? Dim(units_ / kBlock) : sequences, work);
    call.meetings(by_units ? steps_ * Dim(twice ? 2 : 1) : Dim(0));
  }

  // Of the products of the inputs: rows a whole number of pages apart would share the sets of the cache.
  int64_t stride() const { return directions_ * units_ * gates_ + kBlock; }

  // x W and what can be added to it of the biases: [steps * batch][directions][units/16][gates][16].
  Result<BufferId> project_inputs() {
    const Dim rows = steps_ * batch_, inputs = c_.in_shape(0)[2], columns(directions_ * units_ * gates_);
    const BufferId projected = c_.temporary(Elem::F32, {rows, Dim(stride())});
    const Tensor w = c_.constant(1)->reshaped({directions_, gates_, hidden_, c_.constant(1)->dims()[2]});
    const BufferId weights =
        c_.constant_buffer(w, Packing{{1, 1, kBlock, 1}, {0, 4, 2, 6, 5}}, c_.node().input(1)->name);
    ONNXC_ASSIGN(const BufferId x, c_.in(0));
    Call gemm("gemm_f32");
    gemm.out(projected).in(x).in(weights).in(input_bias()).in(kNoBuffer);
    gemm.arg("m", rows).arg("n", columns).arg("k", inputs).arg("lda", inputs).arg("ldy", stride());
    gemm.arg("activation", 0).arg("alpha", 0.0).arg("beta", 0.0);
    c_.emit(gemm.slices(rows * columns * inputs).op());
    return projected;
  }
  BufferId input_bias() {
    const Tensor* biases = c_.constant(3);  // [directions][input biases, recurrent biases][gates][hidden]
    if (!biases) return kNoBuffer;
    const auto from = biases->as<float>();
    std::vector<float> sums;
    for (int64_t d = 0; d < directions_; ++d)
      for (int64_t g = 0; g < gates_; ++g)
        for (int64_t j = 0; j < hidden_; ++j) {
          const auto at = static_cast<size_t>((d * 2 * gates_ + g) * hidden_ + j);
          const float recurrent = from[at + static_cast<size_t>(gates_ * hidden_)];
          sums.push_back(scales_recurrent_bias(g) ? from[at] : from[at] + recurrent);
        }
    return c_.constant_buffer(Tensor::f32({directions_, gates_, hidden_}, sums), Packing{{1, 1, kBlock}, {0, 4, 2, 5}},
                              c_.node().input(3)->name);
  }

  // Gates `first` .. first + count - 1 of R as [directions][units/16][hidden][count][16].
  BufferId packed_gates(int64_t first, int64_t count) {
    const Tensor& all = *c_.constant(2);
    const std::string& name = c_.node().input(2)->name;
    const Packing packing{{1, 1, kBlock, 1}, {0, 4, 6, 2, 5}};
    if (count == gates_)
      return c_.constant_buffer(all.reshaped({directions_, gates_, hidden_, hidden_}), packing, name);
    const auto from = all.as<float>();
    const int64_t gate = hidden_ * hidden_;
    std::vector<float> some;
    for (int64_t d = 0; d < directions_; ++d) {
      const auto begin = from.begin() + (d * gates_ + first) * gate;
      some.insert(some.end(), begin, begin + count * gate);
    }
    return c_.constant_buffer(Tensor::f32({directions_, count, hidden_, hidden_}, some), packing, name);
  }
  // The kernel's operands r, and p (LSTM) or r_h and rb (GRU).
  void recurrent_weights(Call& call) {
    const Node& n = c_.node();
    const bool split = n.op == "GRU" && !linear_before_reset(n);
    call.in(packed_gates(0, split ? 2 : gates_));
    if (n.op == "LSTM") {
      const Packing padded{{1, 1, kBlock}, {0, 2, 4, 5}};
      const Tensor* p = c_.constant(7);
      call.in(p ? c_.constant_buffer(p->reshaped({directions_, 3, hidden_}), padded, n.input(7)->name) : kNoBuffer);
    }
    if (n.op == "GRU") call.in(split ? packed_gates(2, 1) : kNoBuffer).in(scaled_bias());
  }
  BufferId scaled_bias() {
    const Tensor* biases = c_.constant(3);
    if (!biases || !scales_recurrent_bias(2)) return kNoBuffer;
    std::vector<float> bias;
    for (int64_t d = 0; d < directions_; ++d) {
      const auto begin = biases->as<float>().begin() + ((d * 2 + 1) * gates_ + 2) * hidden_;
      bias.insert(bias.end(), begin, begin + hidden_);
    }
    return c_.constant_buffer(Tensor::f32({directions_, hidden_}, bias), Packing{{1, kBlock}, {0, 2, 3}},
                              c_.node().input(3)->name);
  }

  LowerContext& c_;
  const int64_t gates_;
  int64_t directions_ = 1, hidden_ = 0, units_ = 0;
  Dim steps_, batch_;
};

}  // namespace

std::string lower_case(std::string s) {
  for (char& ch : s)
    if (ch >= 'A' && ch <= 'Z') ch = static_cast<char>(ch - 'A' + 'a');
  return s;
}

bool has_recurrent_kernel(const LowerContext& c) {
  const Node& n = c.node();
  const auto constant_or_absent = [&](size_t i) { return !c.has_input(i) || c.constant(i); };
  if (c.in_elem(0) != Elem::F32 || !c.constant(1) || !c.constant(2) || !constant_or_absent(3)) return false;
  if (c.has_input(4) && c.in_elem(4) != Elem::I32) return false;
  if (n.op == "LSTM" && (!constant_or_absent(7) || n.attr_int("input_forget", 0) != 0)) return false;
  return c.constant(2)->numel() > 0 && has_kernel_activations(n);
}

Status lower_recurrent_kernel(LowerContext& c) { return KernelCell(c).lower(); }

}  // namespace onnxc
