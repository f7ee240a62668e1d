// RNN, GRU, LSTM (onnx/docs/Operators.md). What the kernels do not cover (recurrent.h: other element types and
// activations, weights made at run time) is, per direction, one nest for all input products, one that sets the first
// state, and one serial nest over the steps. The states of all steps are kept in one buffer [steps + 1, batch, hidden],
// so that a step reads the one before as a whole. Temporaries are in the arithmetic type. Tested by tests/conformance
// and tests/differential.
#include "compiler/ops/recurrent.h"

#include <array>

#include "compiler/ops/axes.h"

namespace onnxc {
namespace {

using expr::binary;
using expr::operator+;
using expr::operator-;
using expr::operator*;
using expr::operator/;

using Exprs = std::vector<Expr>;

// ---- activation functions of the cells

struct Activation {
  std::string name;
  double alpha = 0, beta = 0;
};

Result<Activation> make_activation(const Node& n, const std::string& name, size_t index) {
  struct Row {
    const char* name;
    double alpha, beta;
  };
  static constexpr Row kRows[] = {{"relu", 0, 0},       {"tanh", 0, 0},          {"sigmoid", 0, 0},
                                  {"affine", 1, 0},     {"leakyrelu", .01, 0},   {"thresholdedrelu", 1, 0},
                                  {"scaledtanh", 1, 1}, {"hardsigmoid", .2, .5}, {"elu", 1, 0},
                                  {"softsign", 0, 0},   {"softplus", 0, 0}};
  const auto alphas = n.attr_floats("activation_alpha"), betas = n.attr_floats("activation_beta");
  for (const Row& row : kRows)
    if (lower_case(name) == row.name)
      return Activation{row.name, index < alphas.size() ? alphas[index] : row.alpha,
                        index < betas.size() ? betas[index] : row.beta};
  return Error(ErrorKind::InvalidModel, "there is no activation \"" + name + "\"", n.where());
}

Expr activate(const Activation& f, const Expr& x) {
  auto num = [&](double v) { return expr::constant(x->type, v); };
  const Expr negative = binary(ExprOp::Lt, x, num(0));
  if (f.name == "relu") return binary(ExprOp::Max, x, num(0));
  if (f.name == "tanh") return expr::unary(ExprOp::Tanh, x);
  if (f.name == "sigmoid") return expr::unary(ExprOp::Sigmoid, x);
  if (f.name == "affine") return x * num(f.alpha) + num(f.beta);
  if (f.name == "leakyrelu") return expr::select(negative, x * num(f.alpha), x);
  if (f.name == "thresholdedrelu") return expr::select(binary(ExprOp::Ge, x, num(f.alpha)), x, num(0));
  if (f.name == "scaledtanh") return expr::unary(ExprOp::Tanh, x * num(f.beta)) * num(f.alpha);
  if (f.name == "hardsigmoid")
    return binary(ExprOp::Max, num(0), binary(ExprOp::Min, num(1), x * num(f.alpha) + num(f.beta)));
  if (f.name == "elu") return expr::select(negative, (expr::unary(ExprOp::Exp, x) - num(1)) * num(f.alpha), x);
  if (f.name == "softsign") return x / (num(1) + expr::unary(ExprOp::Abs, x));
  // log(1 + e^x) without overflow
  return binary(ExprOp::Max, x, num(0)) +
         expr::unary(ExprOp::Log1p, expr::unary(ExprOp::Exp, expr::unary(ExprOp::Neg, expr::unary(ExprOp::Abs, x))));
}

// ---- shapes

// W, R, B and P as the operator and its attributes say, in so far as all is known.
Status check_weights(const InferContext& c) {
  const std::string direction = c.node.attr_string("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    return c.invalid("there is no direction \"" + direction + "\"");
  const Dim directions(direction == "bidirectional" ? 2 : 1), inputs = c.shape(0)[2], hidden = c.shape(2)[2];
  const Dim rows = Dim(c.node.op == "LSTM" ? 4 : c.node.op == "GRU" ? 3 : 1) * hidden;
  const std::pair<size_t, Shape> expected[] = {{1, {directions, rows, inputs}},
                                               {2, {directions, rows, hidden}},
                                               {3, {directions, Dim(2) * rows}},
                                               {7, {directions, Dim(3) * hidden}}};
  for (const auto& [i, shape] : expected) {
    if (!c.has_shape(i)) continue;
    const Shape& given = c.shape(i);
    bool same = given.size() == shape.size();
    for (size_t d = 0; same && d < given.size(); ++d)
      same = !given[d].is_const() || !shape[d].is_const() || given[d] == shape[d];
    if (!same)
      return c.invalid("input " + std::to_string(i) + " must have the shape " + shape_str(shape) + ", not " +
                       shape_str(given));
    for (size_t d = 0; d < given.size(); ++d)
      ONNXC_TRY(c.require_equal(given[d], shape[d], "input " + std::to_string(i) + " has another shape"));
  }
  return ok();
}

// Lengths and initial states: one per sequence.
Status check_batch(const InferContext& c, const Dim& batch, bool batch_first) {
  for (size_t i : {4, 5, 6}) {
    if (!c.has_shape(i) || (i == 6 && c.node.op != "LSTM")) continue;
    const Shape& given = c.shape(i);
    const size_t at = i == 4 || batch_first ? 0 : 1;
    if (given.size() != (i == 4 ? 1U : 3U)) return c.invalid("input " + std::to_string(i) + " has the wrong rank");
    ONNXC_TRY(c.require_equal(given[at], batch, "input " + std::to_string(i) + " has another batch than X"));
    if (i == 4) continue;
    ONNXC_TRY(c.require_equal(given[1 - at], c.shape(2)[0], "input " + std::to_string(i) + " has other directions"));
    ONNXC_TRY(c.require_equal(given[2], c.shape(2)[2], "input " + std::to_string(i) + " is of another size than R"));
  }
  return ok();
}

Status infer_recurrent(InferContext& c) {
  for (size_t i = 0; i < 3; ++i)
    if (!c.has_input(i)) return c.invalid("input " + std::to_string(i) + " is missing");
  for (size_t o = 0; o < c.node.num_outputs(); ++o) c.set_unranked(o, c.elem(0));
  if (!c.has_shape(0) || !c.has_shape(2)) return ok();
  if (c.shape(0).size() != 3 || c.shape(2).size() != 3)
    return c.invalid("X and R must have rank 3, not " + shape_str(c.shape(0)) + " and " + shape_str(c.shape(2)));
  ONNXC_TRY(check_weights(c));
  const bool batch_first = c.node.attr_int("layout", 0) != 0;
  const Dim steps = c.shape(0)[batch_first ? 1 : 0], batch = c.shape(0)[batch_first ? 0 : 1], hidden = c.shape(2)[2];
  const Dim directions = c.shape(2)[0];
  ONNXC_TRY(check_batch(c, batch, batch_first));
  if (c.node.num_outputs() > 0)
    c.set(0, c.elem(0),
          batch_first ? Shape{batch, steps, directions, hidden} : Shape{steps, directions, batch, hidden});
  for (size_t o = 1; o < c.node.num_outputs(); ++o)
    c.set(o, c.elem(0), batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden});
  return ok();
}

// ---- lowering

class Cell {
 public:
  Cell(LowerContext& c, int64_t gates)
      : c_(c), gates_(gates), elem_(c.in_elem(0)), type_(expr::arithmetic_type(elem_)) {}
  virtual ~Cell() = default;

  Status lower() {
    ONNXC_TRY(prepare());
    const std::string direction = c_.node().attr_string("direction", "forward");
    const int64_t directions = direction == "bidirectional" ? 2 : 1;
    for (direction_ = 0; direction_ < directions; ++direction_) {
      reverse_ = direction == "reverse" || direction_ == 1;
      ONNXC_TRY(choose_activations(directions));
      project_inputs();
      start();
      Block step = make_step();
      Block steps;
      steps.push_back(Stmt{For{{step_var_, steps_}, std::move(step)}});
      Operation op;
      op.node = Nest{std::move(steps)};
      c_.emit(std::move(op));
      finish();
    }
    return ok();
  }

 protected:
  virtual size_t activations_per_direction() const = 0;
  virtual std::vector<std::string> default_activations() const = 0;
  // Whether the recurrence bias of `gate` is added to the products of the inputs.
  virtual bool merge_recurrent_bias(int64_t) const { return true; }
  // The statements of one step for batch element b_: new states by store_state().
  virtual Block cell() = 0;

  Expr num(double v) const { return expr::constant(type_, v); }
  Expr at_gate(int64_t gate, const Expr& j) const { return expr::index(Dim(gate) * hidden_ + j->dim); }
  Expr dir() const { return expr::index(Dim(direction_)); }
  Expr clip(Expr e) const {
    if (!(clip_ > 0)) return e;
    return binary(ExprOp::Max, num(-clip_), binary(ExprOp::Min, num(clip_), e));
  }
  int lanes(const Dim& extent) const { return extent.is_const() && extent.value() < 16 ? 1 : 8; }
  // Sum over k of `vector`(k) * R[direction, gate * hidden + j, k], appended to `b`.
  Expr recurrent(Block& b, int64_t gate, const Expr& j, const std::function<Expr(Expr)>& vector) {
    Reduce r{c_.fresh("r"), ReduceOp::Add, {{c_.fresh("k"), hidden_}}, lanes(hidden_), false, nullptr};
    const Expr k = expr::index(Dim::symbol(r.vars[0].name));
    r.value = vector(k) * expr::load(r_, elem_, {dir(), at_gate(gate, j), k});
    const Expr value = expr::let(r.name, type_);
    b.push_back(Stmt{std::move(r)});
    return value;
  }
  Expr previous(const Expr& j) const { return expr::load(states_, type_, {step_, b_, j}); }
  Expr projected(int64_t gate, const Expr& j) const {
    return expr::load(products_, type_, {time_, b_, at_gate(gate, j)});
  }
  Expr recurrent_bias(int64_t gate, const Expr& j) const {
    return bias_ == kNoBuffer ? num(0)
                              : expr::load(bias_, elem_, {dir(), expr::index(Dim(gates_ + gate) * hidden_ + j->dim)});
  }
  Expr named(Block& b, const Expr& e) {
    const std::string n = c_.fresh("t");
    b.push_back(Stmt{Let{n, e}});
    return expr::let(n, e->type);
  }
  // Batch elements whose sequence has ended keep their state and give 0.
  Expr live() const { return lengths_ == kNoBuffer ? nullptr : binary(ExprOp::Lt, step_, length()); }
  void store_state(Block& b, const Expr& j, const Expr& value) {
    const Expr alive = live();
    const Expr next = named(b, value);
    b.push_back(Stmt{Store{states_,
                           {expr::index(step_->dim + Dim(1)), b_, j},
                           alive ? expr::select(alive, next, previous(j)) : next,
                           nullptr}});
    if (y_ == kNoBuffer) return;
    Exprs at = batch_first_ ? Exprs{b_, time_, dir(), j} : Exprs{time_, dir(), b_, j};
    b.push_back(Stmt{Store{y_, std::move(at), alive ? expr::select(alive, next, num(0)) : next, nullptr}});
  }
  Stmt over_hidden(const std::function<Block(Expr)>& body) {
    const std::string j = c_.fresh("j");
    return Stmt{For{{j, hidden_}, body(expr::index(Dim::symbol(j)))}};
  }
  // State [direction, batch, hidden] of an input or an output.
  Exprs state_at(const Expr& b, const Expr& j) const { return batch_first_ ? Exprs{b, dir(), j} : Exprs{dir(), b, j}; }
  BufferId output(size_t i) { return c_.node().output(i) ? c_.out(i) : kNoBuffer; }
  void copy_out(BufferId to, const std::function<Expr(Expr, Expr)>& from) {
    if (to == kNoBuffer) return;
    c_.emit(make_nest(c_, {batch_, hidden_}, [&](std::span<const Expr> idx) {
      Block b;
      b.push_back(Stmt{Store{to, state_at(idx[0], idx[1]), from(idx[0], idx[1]), nullptr}});
      return b;
    }));
  }
  virtual Status prepare() {
    const Shape& x = c_.in_shape(0);
    batch_first_ = c_.node().attr_int("layout", 0) != 0;
    steps_ = x[batch_first_ ? 1 : 0], batch_ = x[batch_first_ ? 0 : 1], inputs_ = x[2], hidden_ = c_.in_shape(2)[2];
    clip_ = c_.node().attr_float("clip", 0);
    ONNXC_ASSIGN(x_, c_.in(0));
    ONNXC_ASSIGN(w_, c_.in(1));
    ONNXC_ASSIGN(r_, c_.in(2));
    ONNXC_ASSIGN(bias_, c_.in(3));
    ONNXC_ASSIGN(lengths_, c_.in(4));
    ONNXC_ASSIGN(h0_, c_.in(5));
    y_ = output(0);
    y_h_ = output(1);
    return ok();
  }
  // Called per direction; more state is set up by the derived cells.
  virtual void start() {
    states_ = c_.temporary(type_, {steps_ + Dim(1), batch_, hidden_});
    c_.emit(make_nest(c_, {batch_, hidden_}, [&](std::span<const Expr> idx) {
      Block b;
      const Expr first = h0_ == kNoBuffer ? num(0) : expr::load(h0_, elem_, state_at(idx[0], idx[1]));
      b.push_back(Stmt{Store{states_, {expr::index(Dim(0)), idx[0], idx[1]}, first, nullptr}});
      return b;
    }));
  }
  virtual void finish() {
    copy_out(y_h_, [&](Expr b, Expr j) { return expr::load(states_, type_, {expr::index(steps_), b, j}); });
  }

  LowerContext& c_;
  const int64_t gates_;
  const Elem elem_, type_;
  Dim steps_, batch_, inputs_, hidden_;
  bool batch_first_ = false, reverse_ = false;
  int64_t direction_ = 0;
  double clip_ = 0;
  BufferId x_ = kNoBuffer, w_ = kNoBuffer, r_ = kNoBuffer, bias_ = kNoBuffer, lengths_ = kNoBuffer, h0_ = kNoBuffer;
  BufferId y_ = kNoBuffer, y_h_ = kNoBuffer, states_ = kNoBuffer, products_ = kNoBuffer;
  std::vector<Activation> f_;
  std::string step_var_;
  Expr step_, time_, b_;  // the step, the index on the time axis that it works on, the batch element

 private:
  Expr length() const { return expr::cast(expr::load(lengths_, c_.in_elem(4), {b_}), Elem::I64); }

  Status choose_activations(int64_t directions) {
    auto names = c_.node().attr_strings("activations");
    const size_t per = activations_per_direction();
    const auto defaults = default_activations();
    if (names.empty())
      for (int64_t d = 0; d < directions; ++d) names.insert(names.end(), defaults.begin(), defaults.end());
    if (names.size() != per * static_cast<size_t>(directions))
      return c_.invalid(std::to_string(per * static_cast<size_t>(directions)) + " activations are needed, not " +
                        std::to_string(names.size()));
    f_.clear();
    for (size_t i = 0; i < per; ++i) {
      const size_t at = static_cast<size_t>(direction_) * per + i;
      ONNXC_ASSIGN(Activation f, make_activation(c_.node(), names[at], at));
      f_.push_back(std::move(f));
    }
    return ok();
  }

  // products[t, b, g] = sum of x[t, b, k] * W[direction, g, k], plus the biases.
  void project_inputs() {
    products_ = c_.temporary(type_, {steps_, batch_, Dim(gates_) * hidden_});
    for (int64_t gate = 0; gate < gates_; ++gate) {
      c_.emit(make_nest(c_, {steps_, batch_, hidden_}, [&](std::span<const Expr> idx) {
        Block b;
        Reduce r{c_.fresh("r"), ReduceOp::Add, {{c_.fresh("k"), inputs_}}, lanes(inputs_), false, nullptr};
        const Expr k = expr::index(Dim::symbol(r.vars[0].name)), g = at_gate(gate, idx[2]);
        r.value = expr::load(x_, elem_, batch_first_ ? Exprs{idx[1], idx[0], k} : Exprs{idx[0], idx[1], k}) *
                  expr::load(w_, elem_, {dir(), g, k});
        Expr sum = expr::let(r.name, type_);
        b.push_back(Stmt{std::move(r)});
        if (bias_ != kNoBuffer) sum = sum + expr::load(bias_, elem_, {dir(), g});
        if (merge_recurrent_bias(gate)) sum = sum + recurrent_bias(gate, idx[2]);
        b.push_back(Stmt{Store{products_, {idx[0], idx[1], g}, sum, nullptr}});
        return b;
      }));
    }
  }

  Block make_step() {
    step_var_ = c_.fresh("step");
    step_ = expr::index(Dim::symbol(step_var_));
    const std::string batch_var = c_.fresh("b");
    b_ = expr::index(Dim::symbol(batch_var));
    Block inner;
    time_ = step_;
    if (reverse_ && lengths_ == kNoBuffer) time_ = expr::index(steps_ - Dim(1) - step_->dim);
    if (reverse_ && lengths_ != kNoBuffer) {  // a sequence runs backwards from its own end
      const Expr ends = binary(ExprOp::Min, length(), expr::index(steps_));
      const Expr back = ends - expr::int_constant(Elem::I64, 1) - step_;
      time_ = named(inner, expr::select(binary(ExprOp::Ge, back, expr::int_constant(Elem::I64, 0)), back, step_));
    }
    Block body = cell();
    for (Stmt& s : body) inner.push_back(std::move(s));
    Block out;
    out.push_back(Stmt{For{{batch_var, batch_}, std::move(inner)}});
    return out;
  }
};

class RnnCell : public Cell {
 public:
  explicit RnnCell(LowerContext& c) : Cell(c, 1) {}

 private:
  size_t activations_per_direction() const override { return 1; }
  std::vector<std::string> default_activations() const override { return {"Tanh"}; }
  Block cell() override {
    Block b;
    b.push_back(over_hidden([&](Expr j) {
      Block s;
      const Expr sum = recurrent(s, 0, j, [&](Expr k) { return previous(k); });
      store_state(s, j, activate(f_[0], clip(projected(0, j) + sum)));
      return s;
    }));
    return b;
  }
};

class GruCell : public Cell {
 public:
  explicit GruCell(LowerContext& c) : Cell(c, 3), linear_first_(c.node().attr_int("linear_before_reset", 0) != 0) {}

 private:
  const bool linear_first_;
  BufferId update_ = kNoBuffer, reset_ = kNoBuffer;  // z; r * h, or r when the product comes first

  size_t activations_per_direction() const override { return 2; }
  std::vector<std::string> default_activations() const override { return {"Sigmoid", "Tanh"}; }
  bool merge_recurrent_bias(int64_t gate) const override { return gate < 2 || !linear_first_; }
  void start() override {
    Cell::start();
    update_ = c_.temporary(type_, {batch_, hidden_});
    reset_ = c_.temporary(type_, {batch_, hidden_});
  }
  Block cell() override {
    Block b;
    b.push_back(over_hidden([&](Expr j) {
      Block s;
      auto state = [&](Expr k) { return previous(k); };
      const Expr z = recurrent(s, 0, j, state), r = recurrent(s, 1, j, state);
      s.push_back(Stmt{Store{update_, {b_, j}, activate(f_[0], clip(projected(0, j) + z)), nullptr}});
      const Expr reset = activate(f_[0], clip(projected(1, j) + r));
      s.push_back(Stmt{Store{reset_, {b_, j}, linear_first_ ? reset : reset * previous(j), nullptr}});
      return s;
    }));
    b.push_back(over_hidden([&](Expr j) {
      Block s;
      const Expr z = expr::load(update_, type_, {b_, j}), r = expr::load(reset_, type_, {b_, j});
      Expr sum =
          recurrent(s, 2, j, [&](Expr k) { return linear_first_ ? previous(k) : expr::load(reset_, type_, {b_, k}); });
      if (linear_first_) sum = r * (sum + recurrent_bias(2, j));
      const Expr h = activate(f_[1], clip(projected(2, j) + sum));
      store_state(s, j, (num(1) - z) * h + z * previous(j));
      return s;
    }));
    return b;
  }
};

class LstmCell : public Cell {
 public:
  explicit LstmCell(LowerContext& c) : Cell(c, 4) {}

 private:
  BufferId c0_ = kNoBuffer, peepholes_ = kNoBuffer, y_c_ = kNoBuffer, memory_ = kNoBuffer;

  size_t activations_per_direction() const override { return 3; }
  std::vector<std::string> default_activations() const override { return {"Sigmoid", "Tanh", "Tanh"}; }
  Status prepare() override {
    ONNXC_TRY(Cell::prepare());
    if (c_.node().attr_int("input_forget", 0) != 0) return c_.unsupported("input_forget is not handled");
    ONNXC_ASSIGN(c0_, c_.in(6));
    ONNXC_ASSIGN(peepholes_, c_.in(7));
    y_c_ = output(2);
    return ok();
  }
  void start() override {
    Cell::start();
    memory_ = c_.temporary(type_, {batch_, hidden_});
    c_.emit(make_nest(c_, {batch_, hidden_}, [&](std::span<const Expr> idx) {
      Block b;
      const Expr first = c0_ == kNoBuffer ? num(0) : expr::load(c0_, elem_, state_at(idx[0], idx[1]));
      b.push_back(Stmt{Store{memory_, {idx[0], idx[1]}, first, nullptr}});
      return b;
    }));
  }
  void finish() override {
    Cell::finish();
    copy_out(y_c_, [&](Expr b, Expr j) { return expr::load(memory_, type_, {b, j}); });
  }
  Expr peephole(int64_t which, const Expr& j, const Expr& memory) const {
    return peepholes_ == kNoBuffer ? num(0) : expr::load(peepholes_, elem_, {dir(), at_gate(which, j)}) * memory;
  }
  // Gates are i, o, f, c in W and R, and i, o, f in P.
  Block cell() override {
    Block b;
    b.push_back(over_hidden([&](Expr j) {
      Block s;
      std::array<Expr, 4> sum;
      for (int64_t g = 0; g < 4; ++g) sum[g] = recurrent(s, g, j, [&](Expr k) { return previous(k); });
      for (int64_t g = 0; g < 4; ++g) sum[g] = projected(g, j) + sum[g];
      const Expr old = named(s, expr::load(memory_, type_, {b_, j}));
      const Expr i = activate(f_[0], clip(sum[0] + peephole(0, j, old))),
                 f = activate(f_[0], clip(sum[2] + peephole(2, j, old)));
      const Expr fresh = named(s, f * old + i * activate(f_[1], clip(sum[3])));
      const Expr o = activate(f_[0], clip(sum[1] + peephole(1, j, fresh)));
      store_state(s, j, o * activate(f_[2], fresh));
      const Expr alive = live();
      s.push_back(Stmt{Store{memory_, {b_, j}, alive ? expr::select(alive, fresh, old) : fresh, nullptr}});
      return s;
    }));
    return b;
  }
};

template <class CellType>
Status lower_recurrent(LowerContext& c) {
  return has_recurrent_kernel(c) ? lower_recurrent_kernel(c) : CellType(c).lower();
}

OpDef recurrent_op(std::string_view name, LowerFn lower) {
  OpDef d;
  d.name = name;
  d.infer = infer_recurrent;
  d.lower = lower;
  d.accuracy = Accuracy::Accumulating;
  return d;
}

}  // namespace

OP(RNN) = recurrent_op("RNN", lower_recurrent<RnnCell>);
OP(GRU) = recurrent_op("GRU", lower_recurrent<GruCell>);
OP(LSTM) = recurrent_op("LSTM", lower_recurrent<LstmCell>);

}  // namespace onnxc
