// TreeEnsembleClassifier (ai.onnx.ml: onnx/docs/Operators-ml.md) and TreeScores, what all ensembles of trees of
// versions 1 to 4 become: sums of what leaves vote for. Which class wins, and what two classes get of one score, is as
// ONNX Runtime has it. Tested by tests/differential/test_classifiers.py.
#include "compiler/ops/trees.h"

#include <algorithm>
#include <array>
#include <bit>
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

using ml::TreeTables;

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

  Result<TreeTables> read(const Tensor& splits, const Tensor& weights) {
    trees_ = n_.attr_ints("nodes_treeids"), ids_ = n_.attr_ints("nodes_nodeids");
    const auto features = n_.attr_ints("nodes_featureids"), on_true = n_.attr_ints("nodes_truenodeids"),
               on_false = n_.attr_ints("nodes_falsenodeids");
    const auto missing = n_.attr_ints("nodes_missing_value_tracks_true", std::vector<int64_t>(ids_.size(), 0));
    const auto modes = n_.attr_strings("nodes_modes");
    for (size_t size : {trees_.size(), features.size(), on_true.size(), on_false.size(), modes.size(),
                        static_cast<size_t>(splits.numel()), missing.size()})
      if (size != ids_.size()) return invalid("the attributes of the nodes have different lengths");
    if (ids_.size() > kMost) return Error(ErrorKind::Unsupported, "the trees have too many nodes", n_.where());
    ONNXC_TRY(sort_places());
    ONNXC_TRY(read_votes(weights));
    for (size_t i = 0; i < ids_.size(); ++i) {
      const int32_t mode = mode_of(modes[i]);
      if (mode < 0) return invalid("there is no mode \"" + modes[i] + "\"");
      const int64_t yes = mode ? at(trees_[i], on_true[i]) : 0, no = mode ? at(trees_[i], on_false[i]) : 0;
      if (yes < 0 || no < 0 || features[i] < 0 || features[i] > kMostFeatures) return invalid("a node leads nowhere");
      if (mode) features_ = std::max(features_, features[i] + 1);
      what_.push_back(mode ? mode + (missing[i] ? 8 : 0) + 16 * static_cast<int32_t>(features[i]) : 0);
      yes_.push_back(static_cast<size_t>(yes)), no_.push_back(static_cast<size_t>(no));
    }
    ONNXC_TRY(lay_out());
    fill(splits);
    return std::move(t_);
  }

  // That must be there.
  int64_t features() const { return features_; }

 private:
  static constexpr size_t kMost = INT32_MAX / 8;
  static constexpr int64_t kMostFeatures = INT32_MAX / 16 - 1;

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
    t_.vote_columns.resize(ids.size()), t_.votes.resize(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto place = static_cast<size_t>(next[node_of[i]]++);
      t_.votes[place] = weights.float_at(static_cast<int64_t>(i));
      t_.vote_columns[place] = static_cast<int32_t>(columns[i]);
    }
    return ok();
  }

  // A tree begins with its first node; from there every node is met once.
  Status lay_out() {
    std::set<int64_t> begun;
    std::vector<bool> met(ids_.size());
    for (size_t i = 0; i < ids_.size(); ++i) {
      if ((i > 0 && trees_[i] == trees_[i - 1]) || !begun.insert(trees_[i]).second) continue;
      t_.roots.push_back(static_cast<int32_t>(order_.size()));
      size_t next = order_.size();
      order_.push_back(i);
      for (; next < order_.size(); ++next) {
        const size_t node = order_[next];
        if (met[node]) return invalid("the nodes of tree " + std::to_string(trees_[i]) + " are no tree");
        met[node] = true;
        t_.what.push_back(what_[node]);
        t_.next.push_back(static_cast<int32_t>(order_.size()));
        if (what_[node] != 0) order_.insert(order_.end(), {yes_[node], no_[node]});
        t_.single = t_.single && (what_[node] != 0 || first_vote_[node + 1] - first_vote_[node] == 1);
      }
    }
    return t_.roots.empty() ? Status(invalid("there are no trees")) : ok();
  }

  // What branches compare with, and the votes of leaves.
  void fill(const Tensor& splits) {
    for (size_t i = 0; i < order_.size(); ++i) {
      t_.splits.push_back(splits.float_at(static_cast<int64_t>(order_[i])));
      if (t_.what[i] != 0) continue;
      const auto first = static_cast<size_t>(first_vote_[order_[i]]),
                 end = static_cast<size_t>(first_vote_[order_[i] + 1]);
      t_.next[i] = first == end ? -1 : t_.single ? t_.vote_columns[first] : static_cast<int32_t>(first);
      if (t_.single) t_.splits.back() = t_.votes[first];
    }
    for (size_t node = 0; node < ids_.size(); ++node)
      if (first_vote_[node] < first_vote_[node + 1])
        t_.vote_columns[static_cast<size_t>(first_vote_[node + 1]) - 1] ^= -1;
  }

  const Node& n_;
  const std::string votes_;
  const int64_t columns_;
  TreeTables t_;
  int64_t features_ = 0;
  std::vector<int64_t> trees_, ids_;
  std::vector<size_t> places_, yes_, no_,
      order_;                               // nodes by tree and id; what follows a node; nodes as they are laid out
  std::vector<int32_t> what_, first_vote_;  // per node, first_vote_ also at the end
};

// ---- TreeScores (x, nodes, vote columns, votes, roots)

Status infer_tree_scores(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 5));
  if (!c.has_shape(0)) return c.set_unranked(0, c.elem(0)), ok();
  return c.set(0, c.elem(0), {c.shape(0)[0], Dim(c.node.attr_int("columns", 1))}), ok();
}

Status lower_tree_scores(LowerContext& c) {
  const Shape& y = c.out_shape();
  const int64_t trees = c.in_shape(4)[0].value();
  Call call(c.out_elem() == Elem::F64 ? "tree_scores_f64" : "tree_scores_f32");
  for (size_t i = 0; i < 5; ++i) {
    ONNXC_ASSIGN(const BufferId buffer, c.in(i));
    call.in(buffer);
  }
  call.out(c.out()).arg("features", c.in_shape(0)[1]).arg("columns", y[1]).arg("trees", trees);
  for (const char* name : {"aggregate", "mode", "single"}) call.arg(name, c.node().attr_int(name, 0));
  constexpr int64_t kWorkOfTree = 512;
  c.emit(call.partition("rows", y[0], y[0] * Dim(trees * kWorkOfTree)).op());
  return ok();
}

// The mode of all branches, 0 where they differ or NaN goes on.
int64_t common_mode(const TreeTables& t) {
  int32_t mode = 0;
  for (int32_t what : t.what) {
    if (what == 0) continue;
    if (what & 8 || (mode && mode != (what & 7))) return 0;
    mode = what & 7;
  }
  return mode;
}

// The nodes as the kernel reads them, numbers being f32 or f64.
std::vector<int32_t> node_words(const TreeTables& t, bool wide) {
  std::vector<int32_t> words;
  words.reserve(t.what.size() * (wide ? 4 : 3));
  for (size_t i = 0; i < t.what.size(); ++i) {
    words.insert(words.end(), {t.what[i], t.next[i]});
    if (!wide) {
      words.push_back(std::bit_cast<int32_t>(static_cast<float>(t.splits[i])));
      continue;
    }
    const auto parts = std::bit_cast<std::array<int32_t, 2>>(t.splits[i]);
    words.insert(words.end(), parts.begin(), parts.end());
  }
  return words;
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
  ONNXC_ASSIGN(const TreeTables tables, reader.read(*splits, *weights));
  const Shape& x = *node.input(0)->type.shape;
  ONNXC_TRY(
      require_non_negative(node, x[1] - Dim(reader.features()),
                           "the trees read " + std::to_string(reader.features()) + " features of " + shape_str(x)));
  const Elem input = node.input(0)->type.elem;
  const bool wide = input == Elem::F64 || splits->elem() == Elem::F64 || weights->elem() == Elem::F64;
  const Elem elem = wide ? Elem::F64 : Elem::F32;
  Value* const rows = input == elem ? node.input(0) : w.cast(node.input(0), elem);
  return TreeScores{scores_of(w, rows, tables, columns, aggregate, wide), std::ssize(tables.roots)};
}

Value* ml::scores_of(GraphWriter& w, Value* rows, const TreeTables& tables, int64_t columns, Aggregate aggregate,
                     bool wide) {
  const auto integers = [&](const std::vector<int32_t>& v) {
    return w.constant(Tensor::of<int32_t>(Elem::I32, {std::ssize(v)}, v));
  };
  const std::vector<int64_t> votes{std::ssize(tables.votes)};
  Value* const numbers = w.constant(wide ? Tensor::of<double>(Elem::F64, votes, tables.votes)
                                         : Tensor::f32(votes, {tables.votes.begin(), tables.votes.end()}));
  GraphWriter::Attrs attrs = {{"columns", columns},
                              {"aggregate", static_cast<int64_t>(aggregate)},
                              {"mode", common_mode(tables)},
                              {"single", int64_t{tables.single}}};
  std::vector<Value*> inputs = {rows, integers(node_words(tables, wide)), integers(tables.vote_columns), numbers,
                                integers(tables.roots)};
  return w.node("TreeScores", std::move(inputs), std::move(attrs), 1, std::string(kOwnDomain))->output();
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
