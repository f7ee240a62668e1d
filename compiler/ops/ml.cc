// Operators of ai.onnx.ml: ArrayFeatureExtractor, Binarizer, TreeEnsemble (onnx/docs/Operators-ml.md), tested by
// tests/conformance; what the others share, tested with them.
#include "compiler/ops/ml.h"

#include <cmath>
#include <set>

#include "compiler/ops/elementwise.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/trees.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::select;
using expr::operator+;
using expr::operator-;
using expr::operator*;
using expr::operator/;

using ml::kDomain;

// ---- ArrayFeatureExtractor: elements of the last axis

Status infer_extractor(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 2));
  if (!c.has_shape(0) || !c.has_shape(1)) return c.set_unranked(0, c.elem(0)), ok();
  Shape out = c.shape(0);
  if (out.empty()) return c.invalid("the input is a scalar");
  if (out.size() == 1) out.insert(out.begin(), Dim(1));
  out.back() = numel(c.shape(1));
  ONNXC_TRY(require_some(c.node, c.shape(0).back(), numel(out), "the axis has no element that an index names"));
  return c.set(0, c.elem(0), std::move(out)), ok();
}

Result<Expr> compute_extractor(ComputeContext& c, std::span<const Expr> idx) {
  const Shape &x = c.in_shape(0), &indices = c.in_shape(1);
  std::vector<Expr> place(indices.size());
  Expr rest = idx.back();
  for (size_t d = indices.size(); d-- > 0;) {
    place[d] = d == 0 ? rest : binary(ExprOp::Rem, rest, extent(indices[d]));
    rest = binary(ExprOp::Div, rest, extent(indices[d]));
  }
  std::vector<Expr> at(idx.end() - static_cast<int64_t>(x.size()), idx.end());
  at.back() = wrap(to_index(c.load(1, place)), x.back());
  return c.load(0, at);
}

// ---- Binarizer

Result<Expr> compute_binarizer(ComputeContext& c, std::span<const Expr> idx) {
  const Expr x = elementwise::a(c, idx);
  const Expr threshold = expr::constant(is_float(x->type) ? x->type : Elem::F64, c.node().attr_float("threshold", 0));
  const Expr above = binary(ExprOp::Gt, is_float(x->type) ? x : expr::cast(x, Elem::F64), threshold);
  return select(above, elementwise::number(x, 1), elementwise::number(x, 0));
}

// ---- TreeEnsemble (since version 5)

enum Mode : int64_t { kLessOrEqual, kLess, kGreaterOrEqual, kGreater, kEqual, kNotEqual, kMember };
enum Aggregate : int64_t { kAverage, kSum, kMin, kMax };
enum Transform : int64_t { kNone, kSoftmax, kLogistic };

// All trees in one table: first the nodes, then the leaves, which lead to themselves.
struct Forest {
  std::vector<int64_t> feature, mode, on_true, on_false, target, first_member, member_count, missing_is_true, roots;
  std::vector<double> split, weight, members;
  int64_t nodes = 0, depth = 0, largest_set = 0;
};

Status fill_members(const Node& n, Forest& f) {
  const Tensor* values = n.attr_tensor("membership_values");
  int64_t next = 0;
  for (size_t i = 0; i < static_cast<size_t>(f.nodes); ++i) {
    f.first_member[i] = static_cast<int64_t>(f.members.size());
    if (f.mode[i] != kMember) continue;
    for (; values && next < values->numel() && !std::isnan(values->float_at(next)); ++next)
      f.members.push_back(values->float_at(next));
    if (!values || next++ >= values->numel())
      return Error(ErrorKind::InvalidModel, "membership_values has too few sets", n.where());
    f.member_count[i] = static_cast<int64_t>(f.members.size()) - f.first_member[i];
    f.largest_set = std::max(f.largest_set, f.member_count[i]);
  }
  if (f.members.empty()) f.members.push_back(0);
  return ok();
}

Result<Forest> forest_of(const Node& n) {
  const auto invalid = [&](const std::string& what) { return Error(ErrorKind::InvalidModel, what, n.where()); };
  const Tensor *splits = n.attr_tensor("nodes_splits"), *modes = n.attr_tensor("nodes_modes"),
               *weights = n.attr_tensor("leaf_weights");
  if (!splits || !modes || !weights) return invalid("nodes_splits, nodes_modes and leaf_weights are needed");
  Forest f;
  f.nodes = splits->numel();
  f.feature = n.attr_ints("nodes_featureids");
  f.on_true = n.attr_ints("nodes_truenodeids");
  f.on_false = n.attr_ints("nodes_falsenodeids");
  f.roots = n.attr_ints("tree_roots");
  f.missing_is_true = n.attr_ints("nodes_missing_value_tracks_true", std::vector<int64_t>(f.feature.size(), 0));
  const auto targets = n.attr_ints("leaf_targetids"), true_leaf = n.attr_ints("nodes_trueleafs"),
             false_leaf = n.attr_ints("nodes_falseleafs");
  const size_t nodes = static_cast<size_t>(f.nodes), leaves = targets.size(), all = nodes + leaves;
  for (size_t size : {f.feature.size(), f.on_true.size(), f.on_false.size(), f.missing_is_true.size(), true_leaf.size(),
                      false_leaf.size(), static_cast<size_t>(modes->numel())})
    if (size != nodes) return invalid("the attributes of the nodes have different lengths");
  if (static_cast<size_t>(weights->numel()) != leaves)
    return invalid("the leaves have different numbers of attributes");
  if (n.attr_int("n_targets", 1) < 1) return invalid("n_targets must be positive");
  f.target.assign(all, 0), f.weight.assign(all, 0), f.first_member.assign(all, 0), f.member_count.assign(all, 0);
  for (size_t i = 0; i < nodes; ++i) {
    f.mode.push_back(modes->int_at(static_cast<int64_t>(i)));
    f.split.push_back(splits->float_at(static_cast<int64_t>(i)));
    if (f.mode[i] < kLessOrEqual || f.mode[i] > kMember) return invalid("nodes_modes names no comparison");
    for (auto [next, leaf] : {std::pair(&f.on_true[i], true_leaf[i]), std::pair(&f.on_false[i], false_leaf[i])}) {
      if (*next < 0 || static_cast<size_t>(*next) >= (leaf ? leaves : nodes)) return invalid("a node leads nowhere");
      if (leaf) *next += f.nodes;
    }
  }
  for (size_t i = 0; i < leaves; ++i) {
    const int64_t self = static_cast<int64_t>(nodes + i);
    if (targets[i] < 0 || targets[i] >= n.attr_int("n_targets", 1)) return invalid("a leaf has no target");
    f.on_true.push_back(self), f.on_false.push_back(self);
    f.feature.push_back(0), f.mode.push_back(kLessOrEqual), f.split.push_back(0), f.missing_is_true.push_back(0);
    f.target[nodes + i] = targets[i];
    f.weight[nodes + i] = weights->float_at(static_cast<int64_t>(i));
  }
  std::set<int64_t> level;
  for (int64_t root : f.roots) {
    if (root < 0 || root >= f.nodes) return invalid("a root is no node");
    level.insert(root);
  }
  for (; !level.empty(); ++f.depth) {
    if (f.depth > f.nodes) return invalid("the trees have a cycle");
    std::set<int64_t> next;
    for (int64_t i : level)
      for (int64_t child : {f.on_true[static_cast<size_t>(i)], f.on_false[static_cast<size_t>(i)]})
        if (child < f.nodes) next.insert(child);
    level = std::move(next);
  }
  ONNXC_TRY(fill_members(n, f));
  return f;
}

Status infer_trees(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  if (!is_float(c.elem(0))) return c.invalid("the input must hold floats");
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  const Shape& x = c.shape(0);
  if (x.size() != 2) return c.invalid("the input " + shape_str(x) + " must have rank 2");
  for (int64_t feature : c.node.attr_ints("nodes_featureids"))
    ONNXC_TRY(require_non_negative(c.node, feature < 0 ? Dim(feature) : x[1] - Dim(feature + 1),
                                   "there is no feature " + std::to_string(feature) + " in " + shape_str(x)));
  return c.set(0, c.elem(0), {x[0], Dim(c.node.attr_int("n_targets", 1))}), ok();
}

class Trees {
 public:
  explicit Trees(LowerContext& c) : c_(c), type_(expr::arithmetic_type(c.in_elem(0))) {}

  Status lower() {
    ONNXC_ASSIGN(f_, forest_of(c_.node()));
    aggregate_ = c_.node().attr_int("aggregate_function", kSum);
    transform_ = c_.node().attr_int("post_transform", kNone);
    if (aggregate_ < kAverage || aggregate_ > kMax) return c_.invalid("there is no such aggregate_function");
    if (transform_ < kNone || transform_ > kLogistic)
      return c_.unsupported("post_transform " + std::to_string(transform_) + " is not supported yet");
    const auto ints = [&](const std::vector<int64_t>& v) {
      return c_.constant_buffer(Tensor::i64({static_cast<int64_t>(v.size())}, v));
    };
    feature_ = ints(f_.feature), mode_ = ints(f_.mode), on_true_ = ints(f_.on_true), on_false_ = ints(f_.on_false);
    target_ = ints(f_.target), first_ = ints(f_.first_member), count_ = ints(f_.member_count);
    missing_ = ints(f_.missing_is_true), roots_ = ints(f_.roots);
    split_ = numbers(f_.split), weight_ = numbers(f_.weight), members_ = numbers(f_.members);
    const Shape& out_shape = c_.out_shape();
    out_ = c_.out(0);
    place_ = c_.temporary(Elem::I64, {out_shape[0]});
    total_ = c_.temporary(type_, out_shape);
    c_.emit(make_nest(c_, {out_shape[0]}, [&](std::span<const Expr> idx) { return row(idx[0]); }));
    return ok();
  }

 private:
  Expr num(double v) const { return expr::constant(type_, v); }
  Expr entry(BufferId table, const Expr& i) const { return expr::load(table, Elem::I64, {i}); }
  BufferId numbers(const std::vector<double>& v) {
    const std::vector<int64_t> dims{static_cast<int64_t>(v.size())};
    if (type_ == Elem::F64) return c_.constant_buffer(Tensor::of(type_, dims, v));
    return c_.constant_buffer(Tensor::f32(dims, {v.begin(), v.end()}));
  }
  Expr named(Block& b, const Expr& e) {
    const std::string name = c_.fresh("t");
    b.push_back(Stmt{Let{name, e}});
    return expr::let(name, e->type);
  }
  Stmt over(const Dim& extent, const std::function<Block(const Expr&)>& body) {
    const std::string i = c_.fresh("i");
    return Stmt{For{{i, extent}, body(expr::index(Dim::symbol(i)))}};
  }

  // Where the place of the row goes on.
  Block step(const Expr& row) {
    Block b;
    const Expr at = named(b, clamp(expr::load(place_, Elem::I64, {row}), Dim(static_cast<int64_t>(f_.mode.size()))));
    const std::vector<Expr> where{row, clamp(entry(feature_, at), c_.in_shape(0)[1])};
    const Expr x = named(b, c_.load(0, where)), split = expr::load(split_, type_, {at}), mode = entry(mode_, at);
    constexpr ExprOp kOps[] = {ExprOp::Le, ExprOp::Lt, ExprOp::Ge, ExprOp::Gt, ExprOp::Eq, ExprOp::Ne};
    Expr holds = binary(kOps[0], x, split);
    for (int64_t m = kLess; m <= kNotEqual; ++m)
      if (uses(m)) holds = select(binary(ExprOp::Eq, mode, constant(m)), binary(kOps[m], x, split), holds);
    if (uses(kMember)) {
      Reduce any{c_.fresh("any"), ReduceOp::Or, {{c_.fresh("m"), Dim(f_.largest_set)}}, 1, false, nullptr};
      const Expr m = expr::index(Dim::symbol(any.vars[0].name));
      const Expr member = clamp(entry(first_, at) + m, Dim(static_cast<int64_t>(f_.members.size())));
      any.value = binary(ExprOp::And, binary(ExprOp::Lt, m, entry(count_, at)),
                         binary(ExprOp::Eq, x, expr::load(members_, type_, {member})));
      holds = select(binary(ExprOp::Eq, mode, constant(kMember)), expr::let(any.name, Elem::Bool), holds);
      b.push_back(Stmt{std::move(any)});
    }
    const Expr tracked =
        binary(ExprOp::And, expr::unary(ExprOp::IsNan, x), binary(ExprOp::Ne, entry(missing_, at), constant(0)));
    holds = binary(ExprOp::Or, holds, tracked);
    b.push_back(Stmt{Store{place_, {row}, select(holds, entry(on_true_, at), entry(on_false_, at)), nullptr}});
    return b;
  }
  bool uses(int64_t mode) const { return std::find(f_.mode.begin(), f_.mode.end(), mode) != f_.mode.end(); }

  Block tree(const Expr& row, const Expr& number) {
    Block b;
    b.push_back(Stmt{Store{place_, {row}, entry(roots_, number), nullptr}});
    b.push_back(over(Dim(f_.depth), [&](const Expr&) { return step(row); }));
    const Expr leaf = named(b, clamp(expr::load(place_, Elem::I64, {row}), Dim(static_cast<int64_t>(f_.mode.size()))));
    const std::vector<Expr> at{row, clamp(entry(target_, leaf), c_.out_shape()[1])};
    const Expr old = expr::load(total_, type_, at), weight = expr::load(weight_, type_, {leaf});
    Expr value = aggregate_ == kMin   ? binary(ExprOp::Min, old, weight)
                 : aggregate_ == kMax ? binary(ExprOp::Max, old, weight)
                 : aggregate_ == kSum ? old + weight
                                      : old + weight / num(static_cast<double>(f_.roots.size()));
    b.push_back(Stmt{Store{total_, at, value, nullptr}});
    return b;
  }

  Block row(const Expr& row) {
    const Dim& targets = c_.out_shape()[1];
    // What no leaf reaches keeps the type's extreme.
    const double top = type_ == Elem::F64           ? std::numeric_limits<double>::max()
                       : c_.in_elem(0) == Elem::F16 ? 65504
                                                    : std::numeric_limits<float>::max();
    const Expr start = num(aggregate_ == kMin ? top : aggregate_ == kMax ? -top : 0);
    Block b;
    b.push_back(over(targets, [&](const Expr& j) {
      Block clear;
      clear.push_back(Stmt{Store{total_, {row, j}, start, nullptr}});
      return clear;
    }));
    b.push_back(over(Dim(static_cast<int64_t>(f_.roots.size())), [&](const Expr& t) { return tree(row, t); }));
    const auto reduce = [&](ReduceOp op, const std::function<Expr(Expr)>& map) {
      Reduce r{c_.fresh("r"), op, {{c_.fresh("j"), targets}}, 1, false, nullptr};
      r.value = map(expr::load(total_, type_, {row, expr::index(Dim::symbol(r.vars[0].name))}));
      const Expr value = expr::let(r.name, type_);
      b.push_back(Stmt{std::move(r)});
      return value;
    };
    std::function<Expr(Expr)> post = [](const Expr& e) { return e; };
    if (transform_ == kLogistic) post = [](const Expr& e) { return expr::unary(ExprOp::Sigmoid, e); };
    if (transform_ == kSoftmax) {
      const Expr largest = reduce(ReduceOp::Max, post);
      const auto power = [largest](const Expr& e) { return expr::unary(ExprOp::Exp, e - largest); };
      const Expr sum = reduce(ReduceOp::Add, power);
      post = [power, sum](const Expr& e) { return power(e) / sum; };
    }
    b.push_back(over(targets, [&](const Expr& j) {
      Block write;
      write.push_back(Stmt{Store{out_, {row, j}, post(expr::load(total_, type_, {row, j})), nullptr}});
      return write;
    }));
    return b;
  }

  LowerContext& c_;
  const Elem type_;
  Forest f_;
  int64_t aggregate_ = kSum, transform_ = kNone;
  BufferId feature_ = kNoBuffer, mode_ = kNoBuffer, on_true_ = kNoBuffer, on_false_ = kNoBuffer, target_ = kNoBuffer,
           first_ = kNoBuffer, count_ = kNoBuffer, missing_ = kNoBuffer, roots_ = kNoBuffer, split_ = kNoBuffer,
           weight_ = kNoBuffer, members_ = kNoBuffer, out_ = kNoBuffer, place_ = kNoBuffer, total_ = kNoBuffer;
};

Status lower_trees(LowerContext& c) { return Trees(c).lower(); }

// For the kernel of trees; nothing where a node asks for a member of a set, or many lead to the same one.
std::optional<ml::TreeTables> tables_of(const Forest& f) {
  ml::TreeTables t;
  std::vector<int64_t> order;
  const size_t most = 2 * f.mode.size() + f.roots.size();
  for (int64_t root : f.roots) {
    t.roots.push_back(static_cast<int32_t>(order.size()));
    order.push_back(root);
    for (auto i = static_cast<size_t>(t.roots.back()); i < order.size(); ++i) {
      if (order.size() > most || order.size() > INT32_MAX / 8) return {};
      const auto node = static_cast<size_t>(order[i]);
      const bool leaf = order[i] >= f.nodes;
      if (!leaf && (f.mode[node] == kMember || f.feature[node] >= INT32_MAX / 16)) return {};
      const int64_t what = f.mode[node] + 1 + (f.missing_is_true[node] ? 8 : 0) + 16 * f.feature[node];
      t.what.push_back(leaf ? 0 : static_cast<int32_t>(what));
      t.next.push_back(static_cast<int32_t>(leaf ? f.target[node] : static_cast<int64_t>(order.size())));
      t.splits.push_back(leaf ? f.weight[node] : f.split[node]);
      if (!leaf) order.insert(order.end(), {f.on_true[node], f.on_false[node]});
    }
  }
  t.vote_columns = {0}, t.votes = {0};
  return t;
}

bool are_tables(const Node& n) {
  const auto forest = ml::has_rank(n) ? forest_of(n) : Result<Forest>(Forest{});
  return forest.ok() && !forest.value().roots.empty() && tables_of(forest.value());
}

Status decompose_trees(Graph& graph, Node& n) {
  ONNXC_ASSIGN(Forest f, forest_of(n));
  const int64_t aggregate = n.attr_int("aggregate_function", kSum), transform = n.attr_int("post_transform", kNone);
  if (aggregate < kAverage || aggregate > kMax)
    return Error(ErrorKind::InvalidModel, "there is no such aggregate_function", n.where());
  if (transform < kNone || transform > kLogistic)
    return Error(ErrorKind::Unsupported, "post_transform " + std::to_string(transform) + " is not supported yet",
                 n.where());
  const Elem given = n.input(0)->type.elem;
  const bool wide = given == Elem::F64;
  const auto trees = static_cast<double>(f.roots.size());
  for (double& v : f.weight)
    if (aggregate == kAverage) v = wide ? v / trees : static_cast<float>(v) / static_cast<float>(trees);
  GraphWriter w(graph, n);
  Value* const rows = wide ? n.input(0) : ml::floats_of(w, n.input(0));
  const auto joined = aggregate == kMin   ? ml::Aggregate::Min
                      : aggregate == kMax ? ml::Aggregate::Max
                                          : ml::Aggregate::Sum;
  Value* y = ml::scores_of(w, rows, *tables_of(f), n.attr_int("n_targets", 1), joined, wide);
  if (joined != ml::Aggregate::Sum) {  // what no leaf reaches keeps the type's extreme
    const double top = wide                 ? std::numeric_limits<double>::max()
                       : given == Elem::F16 ? 65504
                                            : std::numeric_limits<float>::max();
    y = w.add("Where", {w.add("IsInf", {y}), w.number(aggregate == kMin ? top : -top, y), y});
  }
  if (transform == kLogistic) y = w.add("Sigmoid", {y});
  if (transform == kSoftmax) y = w.add("Softmax", {y}, {{"axis", int64_t{1}}});
  w.replace({given == Elem::F64 || given == Elem::F32 ? y : w.cast(y, given)});
  return ok();
}

}  // namespace

namespace ml {
namespace {

// exp of the scores that are not about 0, over their sum; those about 0 stay so.
Value* softmax_zero(GraphWriter& w, Value* scores) {
  Value *all = w.ints({1}), *zero = number(w, 0);
  Value* greatest = w.add("ReduceMax", {scores, all});
  Value* counts = w.add("Greater", {w.add("Abs", {scores}), number(w, 1e-7f)});
  Value* power = w.add("Exp", {w.add("Sub", {scores, greatest})});
  Value* small = w.add("Mul", {scores, w.add("Exp", {w.add("Neg", {greatest})})});
  Value* sum = w.add("ReduceSum", {w.add("Where", {counts, power, zero}), all});
  return w.add("Div", {w.add("Where", {counts, power, small}), sum});
}

// The inverse of the normal distribution, by Winitzki's approximation of the inverse error function.
Value* probit(GraphWriter& w, Value* scores) {
  constexpr float kA = 0.147f, kPi = 3.14159265f;
  Value* x = w.add("Sub", {w.add("Mul", {scores, number(w, 2)}), number(w, 1)});
  Value* one = number(w, 1);
  Value* log = w.add("Log", {w.add("Mul", {w.add("Sub", {one, x}), w.add("Add", {one, x})})});
  Value* half = w.add("Add", {w.add("Mul", {log, number(w, 0.5f)}), number(w, 2 / (kPi * kA))});
  Value* square = w.add("Sub", {w.add("Mul", {half, half}), w.add("Mul", {log, number(w, 1 / kA)})});
  Value* size = w.add("Sqrt", {w.add("Sub", {w.add("Sqrt", {square}), half})});
  Value* negative = w.add("Less", {x, number(w, 0)});
  return w.add("Mul", {w.add("Where", {negative, w.add("Neg", {size}), size}), number(w, 1.41421356f)});
}

}  // namespace

std::string transform_of(const Node& n) { return n.attr_string("post_transform", "NONE"); }

Result<Value*> transformed(GraphWriter& w, const Node& node, Value* scores, int64_t columns) {
  const std::string transform = transform_of(node);
  if (transform == "PROBIT") return probit(w, scores);
  const bool known = transform == "LOGISTIC" || transform == "SOFTMAX" || transform == "SOFTMAX_ZERO";
  if (!known && transform != "NONE")
    return Error(ErrorKind::InvalidModel, "there is no post_transform \"" + transform + "\"", node.where());
  if (!known || columns == 1) return scores;
  if (transform == "LOGISTIC") return w.add("Sigmoid", {scores});
  if (transform == "SOFTMAX") return w.add("Softmax", {scores}, {{"axis", int64_t{1}}});
  return softmax_zero(w, scores);
}

Status infer_regressor(InferContext& c, int64_t targets) {
  ONNXC_TRY(require_inputs(c, 1));
  if (targets < 1) return c.invalid("the number of targets must be positive");
  if (!c.has_shape(0)) return c.set_unranked(0, Elem::F32), ok();
  const Shape& x = c.shape(0);
  if (x.size() != 2) return c.unsupported("the input " + shape_str(x) + " has not rank 2, which is not supported yet");
  return c.set(0, Elem::F32, {x[0], Dim(targets)}), ok();
}

}  // namespace ml

OP(ArrayFeatureExtractor) = {
    .name = "ArrayFeatureExtractor", .domain = kDomain, .infer = infer_extractor, .compute = compute_extractor};
OP(Binarizer) = [] {
  OpDef d = elementwise::make("Binarizer", elementwise::infer_same, compute_binarizer);
  d.domain = kDomain;
  return d;
}();
OP(TreeEnsemble) = {.name = "TreeEnsemble",
                    .domain = kDomain,
                    .infer = infer_trees,
                    .decompose = decompose_trees,
                    .decompose_if = are_tables,
                    .lower = lower_trees,
                    .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
