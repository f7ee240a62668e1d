// TreeEnsembleClassifier (ai.onnx.ml: onnx/docs/Operators-ml.md) and TreeScores, what all ensembles of trees of
// versions 1 to 4 become: sums of what leaves vote for. Which class wins, and what two classes get of one score, is as
// ONNX Runtime has it. Tested by tests/differential/test_classifiers.py.
#include "compiler/ops/trees.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "compiler/ops/classifiers.h"
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using ml::Aggregate;
using ml::Classifier;
using ml::kDomain;
using ml::number;

// As the kernel reads them (runtime_lib/kernels/trees.h).
struct Trees {
  std::vector<int32_t> nodes, vote_columns, roots;
  int64_t features = 0;  // that must be there
};

int32_t mode_of(const std::string& name) {
  constexpr const char* kNames[] = {"LEAF",      "BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                    "BRANCH_GT", "BRANCH_EQ",  "BRANCH_NEQ"};
  for (int32_t i = 0; i < 7; ++i)
    if (name == kNames[i]) return i;
  return -1;
}

class TreeReader {
 public:
  TreeReader(const Node& n, std::string votes, int64_t columns) : n_(n), votes_(std::move(votes)), columns_(columns) {}

  // `splits` and `weights` are as many as the table of nodes and that of votes hold.
  Result<Trees> read(int64_t splits, const Tensor& weights) {
    trees_ = n_.attr_ints("nodes_treeids"), ids_ = n_.attr_ints("nodes_nodeids");
    const auto features = n_.attr_ints("nodes_featureids"), on_true = n_.attr_ints("nodes_truenodeids"),
               on_false = n_.attr_ints("nodes_falsenodeids");
    const auto missing = n_.attr_ints("nodes_missing_value_tracks_true", std::vector<int64_t>(ids_.size(), 0));
    const auto modes = n_.attr_strings("nodes_modes");
    for (size_t size : {trees_.size(), features.size(), on_true.size(), on_false.size(), modes.size(),
                        static_cast<size_t>(splits), missing.size()})
      if (size != ids_.size()) return invalid("the attributes of the nodes have different lengths");
    if (ids_.size() > kMost) return Error(ErrorKind::Unsupported, "the trees have too many nodes", n_.where());
    ONNXC_TRY(sort_places());
    ONNXC_TRY(read_votes(weights));
    for (size_t i = 0; i < ids_.size(); ++i) {
      const int32_t mode = mode_of(modes[i]);
      if (mode < 0) return invalid("there is no mode \"" + modes[i] + "\"");
      const int64_t yes = mode ? at(trees_[i], on_true[i]) : 0, no = mode ? at(trees_[i], on_false[i]) : 0;
      if (yes < 0 || no < 0 || features[i] < 0 || features[i] >= INT32_MAX) return invalid("a node leads nowhere");
      if (mode) t_.features = std::max(t_.features, features[i] + 1);
      t_.nodes.insert(t_.nodes.end(),
                      {static_cast<int32_t>(features[i]), mode + (mode && missing[i] ? 8 : 0),
                       static_cast<int32_t>(yes), static_cast<int32_t>(no), first_vote_[i], first_vote_[i + 1]});
    }
    ONNXC_TRY(find_roots());
    return std::move(t_);
  }

  // The place in the table of votes of each vote of the attributes.
  const std::vector<size_t>& vote_order() const { return vote_order_; }

 private:
  static constexpr size_t kMost = INT32_MAX / 8;

  Error invalid(const std::string& what) const { return Error(ErrorKind::InvalidModel, what, n_.where()); }
  std::pair<int64_t, int64_t> key(size_t i) const { return {trees_[i], ids_[i]}; }

  Status sort_places() {
    places_.resize(ids_.size());
    std::iota(places_.begin(), places_.end(), size_t{0});
    const auto before = [&](size_t a, size_t b) { return key(a) < key(b); };
    if (!std::ranges::is_sorted(places_, before)) std::ranges::sort(places_, before);
    for (size_t i = 1; i < places_.size(); ++i)
      if (key(places_[i - 1]) == key(places_[i]))
        return invalid("node " + std::to_string(ids_[places_[i]]) + " of tree " + std::to_string(trees_[places_[i]]) +
                       " is there twice");
    return ok();
  }
  // The node's place in the table; -1 where there is none.
  int64_t at(int64_t tree, int64_t id) const {
    const std::pair wanted(tree, id);
    const auto found = std::ranges::lower_bound(places_, wanted, {}, [&](size_t i) { return key(i); });
    return found == places_.end() || key(*found) != wanted ? -1 : static_cast<int64_t>(*found);
  }

  Status read_votes(const Tensor& weights) {
    const auto trees = n_.attr_ints(votes_ + "_treeids"), ids = n_.attr_ints(votes_ + "_nodeids"),
               columns = n_.attr_ints(votes_ + "_ids");
    if (trees.size() != ids.size() || columns.size() != ids.size() || weights.numel() != std::ssize(ids))
      return invalid("the attributes " + votes_ + "_* have different lengths");
    if (ids.empty()) return invalid("no leaf has a weight");
    if (ids.size() > kMost) return Error(ErrorKind::Unsupported, "the trees have too many weights", n_.where());
    first_vote_.assign(ids_.size() + 1, 0);
    std::vector<size_t> node_of;
    for (size_t i = 0; i < ids.size(); ++i) {
      const int64_t node = at(trees[i], ids[i]);
      if (node < 0 || columns[i] < 0 || columns[i] >= columns_)
        return invalid("a weight belongs to no leaf, or to no " + votes_);
      node_of.push_back(static_cast<size_t>(node));
      ++first_vote_[node_of.back() + 1];
    }
    std::partial_sum(first_vote_.begin(), first_vote_.end(), first_vote_.begin());
    std::vector<int32_t> next(first_vote_);
    t_.vote_columns.resize(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto place = static_cast<size_t>(next[node_of[i]]++);
      vote_order_.push_back(place);
      t_.vote_columns[place] = static_cast<int32_t>(columns[i]);
    }
    return ok();
  }

  // The first node of each tree; from there every node is met once.
  Status find_roots() {
    std::set<int64_t> begun;
    std::vector<bool> met(ids_.size());
    for (size_t i = 0; i < ids_.size(); ++i) {
      if ((i > 0 && trees_[i] == trees_[i - 1]) || !begun.insert(trees_[i]).second) continue;
      t_.roots.push_back(static_cast<int32_t>(i));
      std::vector<size_t> waiting = {i};
      while (!waiting.empty()) {
        const size_t node = waiting.back();
        waiting.pop_back();
        if (met[node]) return invalid("the nodes of tree " + std::to_string(trees_[i]) + " are no tree");
        met[node] = true;
        if (t_.nodes[6 * node + 1] == 0) continue;
        for (size_t next : {2, 3}) waiting.push_back(static_cast<size_t>(t_.nodes[6 * node + next]));
      }
    }
    return t_.roots.empty() ? Status(invalid("there are no trees")) : ok();
  }

  const Node& n_;
  const std::string votes_;
  const int64_t columns_;
  Trees t_;
  std::vector<int64_t> trees_, ids_;
  std::vector<size_t> places_, vote_order_;  // nodes by tree and id; see vote_order()
  std::vector<int32_t> first_vote_;          // per node, and the end
};

// ---- TreeScores (x, nodes, splits, vote columns, votes, roots)

Status infer_tree_scores(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 6));
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  return c.set(0, c.elem(0), {c.shape(0)[0], Dim(c.node.attr_int("columns", 1))}), ok();
}

Status lower_tree_scores(LowerContext& c) {
  const Shape& y = c.out_shape();
  const int64_t trees = c.in_shape(5)[0].value();
  Call call(c.out_elem() == Elem::F64 ? "tree_scores_f64" : "tree_scores_f32");
  std::vector<BufferId> in;
  for (size_t i = 0; i < 6; ++i) {
    ONNXC_ASSIGN(const BufferId buffer, c.in(i));
    in.push_back(buffer);
  }
  call.out(c.out());
  for (BufferId buffer : in) call.in(buffer);
  call.arg("features", c.in_shape(0)[1]).arg("columns", y[1]).arg("trees", trees);
  call.arg("aggregate", c.node().attr_int("aggregate", 0));
  constexpr int64_t kWorkOfTree = 512;
  c.emit(call.partition("rows", y[0], y[0] * Dim(trees * kWorkOfTree)).op());
  return ok();
}

// ---- TreeEnsembleClassifier

Status infer_tree_classifier(InferContext& c) { return ml::infer_classifier(c, ml::labels_of(c.node).numel()); }

// One score stands for two classes.
Status finish_single(Classifier& c, Value* score, bool positive) {
  GraphWriter& w = c.writer();
  const std::string transform = ml::transform_of(c.node());
  if (transform == "PROBIT")
    return Error(ErrorKind::Unsupported, "post_transform PROBIT of one score for two classes is not supported",
                 c.node().where());
  Value* const which = c.above(score, positive ? 0.5f : 0.0f);
  score = w.cast(score, Elem::F32);
  Value* const other = positive ? w.add("Sub", {number(w, 1), score}) : w.add("Neg", {score});
  Value* both = c.side_by_side(other, score);
  if (!positive && transform == "LOGISTIC") both = w.add("Sigmoid", {both});
  c.finish(which, both);
  return ok();
}

// The two columns after base_values, by ONNX Runtime's rules; `second`: leaves vote for class 1.
Value* with_base(Classifier& c, Value* scores, const std::optional<Tensor>& base, bool second) {
  if (!base) return scores;
  GraphWriter& w = c.writer();
  const auto at = [&](int64_t i) { return w.number(base->float_at(i), scores); };
  Value *first = c.column(scores, 0), *other = c.column(scores, 1);
  if (base->numel() == 1 || !second) return c.side_by_side(w.add("Add", {first, at(0)}), other);
  Value* const sum = w.add("Add", {first, at(1)});
  return c.side_by_side(w.add("Neg", {sum}), sum);
}

Status decompose_two_classes(Classifier& c, Value* scores, const std::optional<Tensor>& base) {
  GraphWriter& w = c.writer();
  const auto ids = c.node().attr_ints("class_ids");
  const std::set<int64_t> voted(ids.begin(), ids.end());
  const auto weights = ml::tree_numbers(c.node(), "class_weights");
  bool positive = true;
  for (int64_t i = 0; i < weights->numel(); ++i) positive = positive && weights->float_at(i) >= 0;
  const bool second = voted.contains(1);
  scores = with_base(c, scores, base, second);
  if (!second && (!base || base->numel() == 1)) return finish_single(c, c.column(scores, 0), positive);
  ONNXC_ASSIGN(Value * post, c.transformed(w.cast(scores, Elem::F32), 2));
  const float limit = voted.size() == 1 && positive ? 0.5f : 0.0f;
  c.finish(c.above(c.column(scores, second ? 1 : 0), limit), post);
  return ok();
}

Status decompose_tree_classifier(Graph& graph, Node& node) {
  Classifier c(graph, node);
  GraphWriter& w = c.writer();
  const auto base = ml::tree_numbers(node, "base_values");
  if (base && base->numel() > c.classes())
    return Error(
        ErrorKind::InvalidModel,
        "base_values has " + std::to_string(base->numel()) + " entries for " + std::to_string(c.classes()) + " classes",
        node.where());
  ONNXC_ASSIGN(const ml::TreeScores trees, ml::tree_scores(w, node, "class", c.classes(), Aggregate::Sum));
  Value* scores = trees.scores;
  if (c.classes() == 2) return decompose_two_classes(c, scores, base);
  if (base) {
    std::vector<double> padded(static_cast<size_t>(c.classes()), 0);
    for (int64_t i = 0; i < base->numel(); ++i) padded[static_cast<size_t>(i)] = base->float_at(i);
    Value* all = w.constant(Tensor::of<double>(Elem::F64, {c.classes()}, padded));
    scores = w.add("Add", {scores, w.add("CastLike", {all, scores})});
  }
  ONNXC_ASSIGN(Value * post, c.transformed(w.cast(scores, Elem::F32), c.classes()));
  c.finish(c.best(scores), post);
  return ok();
}

}  // namespace

std::optional<Tensor> ml::tree_numbers(const Node& n, const std::string& attribute) {
  if (const Tensor* t = n.attr_tensor(attribute + "_as_tensor"); t && t->numel() > 0) return *t;
  const auto floats = n.attr_floats(attribute);
  if (floats.empty()) return {};
  return Tensor::f32({static_cast<int64_t>(floats.size())}, floats);
}

Result<ml::TreeScores> ml::tree_scores(GraphWriter& w, const Node& node, const std::string& votes, int64_t columns,
                                       Aggregate aggregate) {
  const auto splits = tree_numbers(node, "nodes_values"), weights = tree_numbers(node, votes + "_weights");
  if (!splits || !weights)
    return Error(ErrorKind::InvalidModel, "nodes_values or " + votes + "_weights is missing", node.where());
  TreeReader reader(node, votes, columns);
  ONNXC_ASSIGN(const Trees t, reader.read(splits->numel(), *weights));
  const Shape& x = *node.input(0)->type.shape;
  ONNXC_TRY(require_non_negative(node, x[1] - Dim(t.features),
                                 "the trees read " + std::to_string(t.features) + " features of " + shape_str(x)));
  const Elem input = node.input(0)->type.elem;
  const bool wide = input == Elem::F64 || splits->elem() == Elem::F64 || weights->elem() == Elem::F64;
  const Elem elem = wide ? Elem::F64 : Elem::F32;
  const auto numbers = [&](const std::vector<double>& v) {
    const std::vector<int64_t> dims{std::ssize(v)};
    return w.constant(wide ? Tensor::of<double>(elem, dims, v) : Tensor::f32(dims, {v.begin(), v.end()}));
  };
  const auto integers = [&](const std::vector<int32_t>& v) {
    return w.constant(Tensor::of<int32_t>(Elem::I32, {std::ssize(v)}, v));
  };
  std::vector<double> split_of(static_cast<size_t>(splits->numel())), votes_of(reader.vote_order().size());
  for (size_t i = 0; i < split_of.size(); ++i) split_of[i] = splits->float_at(static_cast<int64_t>(i));
  for (size_t i = 0; i < votes_of.size(); ++i)
    votes_of[reader.vote_order()[i]] = weights->float_at(static_cast<int64_t>(i));
  Value* const rows = input == elem ? node.input(0) : w.cast(node.input(0), elem);
  Node* made = w.node(
      "TreeScores",
      {rows, integers(t.nodes), numbers(split_of), integers(t.vote_columns), numbers(votes_of), integers(t.roots)},
      {{"columns", columns}, {"aggregate", static_cast<int64_t>(aggregate)}}, 1, std::string(kOwnDomain));
  return TreeScores{made->output(), std::ssize(t.roots)};
}

OP(TreeEnsembleClassifier) = {.name = "TreeEnsembleClassifier",
                              .domain = kDomain,
                              .infer = infer_tree_classifier,
                              .decompose = decompose_tree_classifier,
                              .decompose_if = ml::has_rank,
                              .accuracy = Accuracy::Accumulating};
OP(TreeScores) = {.name = "TreeScores",
                  .domain = kOwnDomain,
                  .infer = infer_tree_scores,
                  .lower = lower_tree_scores,
                  .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
