// LinearClassifier, TreeEnsembleClassifier and ZipMap (ai.onnx.ml: onnx/docs/Operators-ml.md): scores of classes, and
// the label of the class that wins, a string or an integer. Where two classes share one score, and which of two wins,
// is as ONNX Runtime has it. Tested by tests/differential/test_classifiers.py.
#include <algorithm>
#include <map>
#include <set>

#include "compiler/ops/graph_writer.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/ml.h"

namespace onnxc {
namespace {

using namespace indexing;
using ml::has_rank;

constexpr std::string_view kDomain = "ai.onnx.ml";

Tensor labels_of(const Node& n) {
  const auto texts = n.attr_strings("classlabels_strings");
  if (!texts.empty()) return Tensor::strings({static_cast<int64_t>(texts.size())}, texts);
  const auto numbers = n.attr_ints(n.has("classlabels_ints") ? "classlabels_ints" : "classlabels_int64s");
  return Tensor::i64({static_cast<int64_t>(numbers.size())}, numbers);
}

std::string transform_of(const Node& n) { return n.attr_string("post_transform", "NONE"); }

Status infer_classifier(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  const Tensor labels = labels_of(c.node);
  if (labels.numel() < 1) return c.invalid("there are no class labels");
  if (c.node.num_outputs() > 1) c.set_unranked(1, Elem::F32);
  if (!c.has_shape(0)) return c.set_unranked(0, labels.elem()), ok();
  const Shape& x = c.shape(0);
  if (x.size() != 2) return c.unsupported("the input " + shape_str(x) + " has not rank 2, which is not supported yet");
  c.set(0, labels.elem(), {x[0]});
  if (c.node.num_outputs() > 1) c.set(1, Elem::F32, {x[0], Dim(labels.numel())});
  return ok();
}

class Classifier {
 public:
  Classifier(Graph& graph, Node& node)
      : w_(graph, node), graph_(graph), node_(node), labels_(labels_of(node)), transform_(transform_of(node)) {}

  GraphWriter& writer() { return w_; }
  int64_t classes() const { return labels_.numel(); }
  const std::string& transform() const { return transform_; }
  Value* input() { return ml::floats_of(w_, node_.input(0)); }
  Value* number(float v) { return graph_.add_constant(Tensor::f32({}, {v})); }
  Value* column(Value* scores, int64_t i) {
    return w_.add("Slice", {scores, w_.ints({i}), w_.ints({i + 1}), w_.ints({1})});
  }
  Value* side_by_side(Value* a, Value* b) { return w_.add("Concat", {a, b}, {{"axis", int64_t{1}}}); }

  // The class whose score is greatest, of equal ones the first.
  Value* best(Value* scores) { return w_.add("ArgMax", {scores}, {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}}); }
  // Class 1 where the score [N, 1] is above `limit`, else 0.
  Value* above(Value* score, float limit) {
    Value* which = w_.cast(w_.add("Greater", {score, number(limit)}), Elem::I64);
    return w_.reshape(which, {-1});
  }

  Result<Value*> transformed(Value* scores) { return ml::transformed(graph_, node_, w_, scores, transform_); }

  void finish(Value* which, Value* scores) {
    Value* label = w_.add("Gather", {graph_.add_constant(labels_), which}, {{"axis", int64_t{0}}});
    w_.replace({label, scores});
  }

 private:
  GraphWriter w_;
  Graph& graph_;
  Node& node_;
  Tensor labels_;
  std::string transform_;
};

// ---- LinearClassifier

Status decompose_linear(Graph& graph, Node& node) {
  Classifier c(graph, node);
  GraphWriter& w = c.writer();
  const auto coefficients = node.attr_floats("coefficients");
  auto intercepts = node.attr_floats("intercepts");
  const int64_t scores = intercepts.empty() ? c.classes() : static_cast<int64_t>(intercepts.size());
  const auto count = static_cast<int64_t>(coefficients.size());
  const bool one_for_two = scores == 1 && c.classes() == 2;
  if (count == 0 || count % scores != 0 || (scores != c.classes() && !one_for_two))
    return Error(ErrorKind::InvalidModel, "coefficients and intercepts do not fit the class labels", node.where());
  intercepts.resize(static_cast<size_t>(scores), 0);
  const int64_t features = count / scores;
  ONNXC_TRY(require_equal(node, (*node.input(0)->type.shape)[1], Dim(features),
                          "the input must have " + std::to_string(features) + " features"));
  Value* weights = w.transpose(graph.add_constant(Tensor::f32({scores, features}, coefficients)), {1, 0});
  Value* bias = graph.add_constant(Tensor::f32({scores}, intercepts));
  Value* raw = w.add("Add", {w.add("MatMul", {c.input(), weights}), bias});
  if (!one_for_two) {
    ONNXC_ASSIGN(Value * post, c.transformed(raw));
    c.finish(c.best(raw), post);
    return ok();
  }
  Value* second = raw;
  if (c.transform() == "LOGISTIC") second = w.add("Sigmoid", {raw});
  c.finish(c.above(raw, 0), c.side_by_side(w.add("Sub", {c.number(1), second}), second));
  return ok();
}

// ---- TreeEnsembleClassifier

struct Trees {
  std::vector<int32_t> nodes, vote_classes, roots;
  std::vector<float> splits, votes;
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
  explicit TreeReader(const Node& n) : n_(n) {}

  Result<Trees> read() {
    trees_ = n_.attr_ints("nodes_treeids"), ids_ = n_.attr_ints("nodes_nodeids");
    const auto features = n_.attr_ints("nodes_featureids"), on_true = n_.attr_ints("nodes_truenodeids"),
               on_false = n_.attr_ints("nodes_falsenodeids");
    const auto missing = n_.attr_ints("nodes_missing_value_tracks_true", std::vector<int64_t>(ids_.size(), 0));
    const auto modes = n_.attr_strings("nodes_modes");
    t_.splits = n_.attr_floats("nodes_values");
    for (size_t size : {trees_.size(), features.size(), on_true.size(), on_false.size(), modes.size(), t_.splits.size(),
                        missing.size()})
      if (size != ids_.size()) return invalid("the attributes of the nodes have different lengths");
    for (size_t i = 0; i < ids_.size(); ++i)
      if (!place_.emplace(std::pair(trees_[i], ids_[i]), static_cast<int32_t>(i)).second)
        return invalid("node " + std::to_string(ids_[i]) + " of tree " + std::to_string(trees_[i]) + " is there twice");
    ONNXC_TRY(read_votes());
    for (size_t i = 0; i < ids_.size(); ++i) {
      const int32_t mode = mode_of(modes[i]);
      if (mode < 0) return invalid("there is no mode \"" + modes[i] + "\"");
      const int32_t yes = mode ? at(trees_[i], on_true[i]) : 0, no = mode ? at(trees_[i], on_false[i]) : 0;
      if (yes < 0 || no < 0 || features[i] < 0 || features[i] >= INT32_MAX) return invalid("a node leads nowhere");
      if (mode) t_.features = std::max(t_.features, features[i] + 1);
      const auto [first, end] = votes_of_[i];
      t_.nodes.insert(t_.nodes.end(),
                      {static_cast<int32_t>(features[i]), mode + (mode && missing[i] ? 8 : 0), yes, no, first, end});
    }
    ONNXC_TRY(find_roots());
    return std::move(t_);
  }

 private:
  Error invalid(const std::string& what) const { return Error(ErrorKind::InvalidModel, what, n_.where()); }
  int32_t at(int64_t tree, int64_t id) const {
    const auto found = place_.find({tree, id});
    return found == place_.end() ? -1 : found->second;
  }

  Status read_votes() {
    const auto trees = n_.attr_ints("class_treeids"), ids = n_.attr_ints("class_nodeids"),
               classes = n_.attr_ints("class_ids");
    const auto weights = n_.attr_floats("class_weights");
    const auto count = labels_of(n_).numel();
    std::vector<std::vector<size_t>> of_node(ids_.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      if (trees.size() != ids.size() || classes.size() != ids.size() || weights.size() != ids.size())
        return invalid("the attributes of the classes have different lengths");
      const int32_t node = at(trees[i], ids[i]);
      if (node < 0 || classes[i] < 0 || classes[i] >= count) return invalid("a weight belongs to no leaf or class");
      of_node[static_cast<size_t>(node)].push_back(i);
    }
    for (const auto& list : of_node) {
      const auto first = static_cast<int32_t>(t_.votes.size());
      for (size_t i : list) {
        t_.votes.push_back(weights[i]);
        t_.vote_classes.push_back(static_cast<int32_t>(classes[i]));
      }
      votes_of_.emplace_back(first, static_cast<int32_t>(t_.votes.size()));
    }
    return t_.votes.empty() ? Status(invalid("no leaf has a weight")) : ok();
  }

  // The first node of each tree; from there every node is met once.
  Status find_roots() {
    std::set<int64_t> begun;
    std::vector<bool> met(ids_.size());
    for (size_t i = 0; i < ids_.size(); ++i) {
      if (!begun.insert(trees_[i]).second) continue;
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
  Trees t_;
  std::vector<int64_t> trees_, ids_;
  std::map<std::pair<int64_t, int64_t>, int32_t> place_;
  std::vector<std::pair<int32_t, int32_t>> votes_of_;  // per node
};

Status infer_tree_scores(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  if (!c.has_shape(0)) return c.set_unranked(0, Elem::F32), ok();
  int64_t features = 0;
  for (int64_t f : c.node.attr_ints("nodes_featureids")) features = std::max(features, f + 1);
  ONNXC_TRY(
      require_non_negative(c.node, c.shape(0)[1] - Dim(features),
                           "the trees read " + std::to_string(features) + " features of " + shape_str(c.shape(0))));
  return c.set(0, Elem::F32, {c.shape(0)[0], Dim(labels_of(c.node).numel())}), ok();
}

Status lower_tree_scores(LowerContext& c) {
  ONNXC_ASSIGN(const Trees t, TreeReader(c.node()).read());
  const auto base = c.node().attr_floats("base_values");
  const auto list = [&](Elem elem, const auto& v) {
    return c.constant_buffer(Tensor::of(elem, {static_cast<int64_t>(v.size())}, v));
  };
  const Shape& y = c.out_shape();
  const auto trees = static_cast<int64_t>(t.roots.size());
  ONNXC_ASSIGN(const BufferId x, c.in(0));
  Call call("tree_scores_f32");
  call.out(c.out()).in(x).in(list(Elem::I32, t.nodes)).in(list(Elem::F32, t.splits));
  call.in(list(Elem::I32, t.vote_classes)).in(list(Elem::F32, t.votes)).in(list(Elem::I32, t.roots));
  call.in(base.empty() ? kNoBuffer : list(Elem::F32, base));
  call.arg("features", c.in_shape(0)[1]).arg("classes", y[1]).arg("trees", trees);
  constexpr int64_t kWorkOfTree = 512;
  c.emit(call.partition("rows", y[0], y[0] * Dim(trees * kWorkOfTree)).op());
  return ok();
}

Status decompose_trees(Graph& graph, Node& node) {
  if (node.input(0)->type.elem == Elem::F64 || node.has("nodes_values_as_tensor"))
    return Error(ErrorKind::Unsupported, "trees of doubles are not supported yet", node.where());
  Classifier c(graph, node);
  GraphWriter& w = c.writer();
  const auto base = node.attr_floats("base_values");
  if (!base.empty() && (c.classes() == 2 || static_cast<int64_t>(base.size()) != c.classes()))
    return Error(ErrorKind::Unsupported,
                 "base_values of " + std::to_string(c.classes()) + " classes that are " + std::to_string(base.size()) +
                     " are not supported yet",
                 node.where());
  Node* made = w.node("TreeScores", {c.input()}, node.attrs, 1, std::string(kOwnDomain));
  Value* raw = made->output();
  if (c.classes() != 2) {
    ONNXC_ASSIGN(Value * post, c.transformed(raw));
    c.finish(c.best(raw), post);
    return ok();
  }
  const auto ids = node.attr_ints("class_ids");
  const std::set<int64_t> voted(ids.begin(), ids.end());
  const auto weights = node.attr_floats("class_weights");
  const bool positive = std::ranges::all_of(weights, [](float v) { return v >= 0; });
  const float limit = voted.size() == 1 && positive ? 0.5f : 0.0f;
  if (voted.contains(1)) {
    ONNXC_ASSIGN(Value * post, c.transformed(raw));
    c.finish(c.above(c.column(raw, 1), limit), post);
    return ok();
  }
  Value* score = c.column(raw, 0);
  Value* other = positive ? w.add("Sub", {c.number(1), score}) : w.add("Neg", {score});
  Value* both = c.side_by_side(other, score);
  if (!positive && c.transform() == "LOGISTIC") both = w.add("Sigmoid", {both});
  c.finish(c.above(score, limit), both);
  return ok();
}

// ---- TreeEnsembleRegressor: targets are what classes are to a classifier

int64_t targets_of(const Node& n) { return n.attr_int("n_targets", 1); }

Status infer_tree_regressor(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  const int64_t targets = targets_of(c.node);
  if (targets < 1) return c.invalid("attribute `n_targets` must be positive");
  if (!c.has_shape(0)) return c.set_unranked(0, Elem::F32), ok();
  const Shape& x = c.shape(0);
  if (x.size() != 2) return c.unsupported("the input " + shape_str(x) + " has not rank 2, which is not supported yet");
  return c.set(0, Elem::F32, {x[0], Dim(targets)}), ok();
}

Status decompose_tree_regressor(Graph& graph, Node& node) {
  const std::string transform = node.attr_string("post_transform", "NONE");
  const std::string aggregate = node.attr_string("aggregate_function", "SUM");
  if (node.input(0)->type.elem == Elem::F64 || node.has("nodes_values_as_tensor"))
    return Error(ErrorKind::Unsupported, "trees of doubles are not supported yet", node.where());
  if (transform != "NONE" || (aggregate != "SUM" && aggregate != "AVERAGE"))
    return Error(ErrorKind::Unsupported,
                 "post_transform " + transform + " with aggregate_function " + aggregate + " is not supported yet",
                 node.where());
  GraphWriter w(graph, node);
  const auto number = [&](const std::vector<float>& v) {
    return graph.add_constant(Tensor::f32({static_cast<int64_t>(v.size())}, v));
  };
  auto attrs = node.attrs;
  for (const char* what : {"treeids", "nodeids", "ids", "weights"})
    if (auto moved = attrs.extract("target_" + std::string(what)); !moved.empty())
      attrs["class_" + std::string(what)] = std::move(moved.mapped());
  std::vector<int64_t> labels(static_cast<size_t>(targets_of(node)));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int64_t>(i);
  attrs["classlabels_int64s"] = std::move(labels);
  attrs.erase("base_values");
  Value* y =
      w.node("TreeScores", {ml::floats_of(w, node.input(0))}, std::move(attrs), 1, std::string(kOwnDomain))->output();
  const auto ids = node.attr_ints("nodes_treeids");
  const auto trees = static_cast<float>(std::set<int64_t>(ids.begin(), ids.end()).size());
  if (aggregate == "AVERAGE") y = w.add("Div", {y, number({trees})});
  if (const auto base = node.attr_floats("base_values"); !base.empty()) {
    if (static_cast<int64_t>(base.size()) != targets_of(node))
      return Error(ErrorKind::InvalidModel, "base_values does not have one entry per target", node.where());
    y = w.add("Add", {y, number(base)});
  }
  w.replace({y});
  return ok();
}

// ---- ZipMap: the output is the tensor of scores itself; the metadata of the model tell the key of each column

Status infer_zip_map(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  const Tensor labels = labels_of(c.node);
  if (labels.numel() < 1) return c.invalid("there are no class labels");
  if (c.elem(0) != Elem::F32) return c.invalid("the input must hold f32, not " + c.in(0).str());
  c.outputs[0] = Type::sequence(Type::map(labels.elem(), Type::tensor(Elem::F32, {})));
  if (!c.has_shape(0)) return ok();
  const Shape& x = c.shape(0);
  if (x.empty() || x.size() > 2) return c.invalid("the input " + shape_str(x) + " must have rank 1 or 2");
  return c.require_equal(x.back(), Dim(labels.numel()), "the scores of the input and the class labels");
}

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    constexpr const char* kHex = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      out += std::string("\\u00") + kHex[byte >> 4] + kHex[byte & 15];
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string json_list(const Tensor& labels) {
  std::string out = "[";
  for (int64_t i = 0; i < labels.numel(); ++i) {
    const auto at = static_cast<size_t>(i);
    const std::string label =
        labels.elem() == Elem::String ? json_text(labels.as_strings()[at]) : std::to_string(labels.int_at(i));
    out += (i ? ", " : "") + label;
  }
  return out + "]";
}

Status decompose_zip_map(Graph& graph, Node& node) {
  if (graph.parent || !graph.is_output(node.output()) || !node.output()->users.empty())
    return Error(ErrorKind::Unsupported, "its output is not just an output of the model, which is not supported yet",
                 node.where());
  graph.metadata["zipmap." + node.output()->name] = json_list(labels_of(node));
  GraphWriter(graph, node).replace({node.input(0)});
  return ok();
}

}  // namespace

OP(LinearClassifier) = {.name = "LinearClassifier",
                        .domain = kDomain,
                        .infer = infer_classifier,
                        .decompose = decompose_linear,
                        .decompose_if = has_rank,
                        .accuracy = Accuracy::Accumulating};
OP(TreeEnsembleClassifier) = {.name = "TreeEnsembleClassifier",
                              .domain = kDomain,
                              .infer = infer_classifier,
                              .decompose = decompose_trees,
                              .decompose_if = has_rank,
                              .accuracy = Accuracy::Accumulating};
OP(ZipMap) = {.name = "ZipMap", .domain = kDomain, .infer = infer_zip_map, .decompose = decompose_zip_map};
OP(TreeEnsembleRegressor) = {.name = "TreeEnsembleRegressor",
                             .domain = kDomain,
                             .infer = infer_tree_regressor,
                             .decompose = decompose_tree_regressor,
                             .decompose_if = has_rank,
                             .accuracy = Accuracy::Accumulating};
OP(TreeScores) = {.name = "TreeScores",
                  .domain = kOwnDomain,
                  .infer = infer_tree_scores,
                  .lower = lower_tree_scores,
                  .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
