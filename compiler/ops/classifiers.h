// What classifiers of ai.onnx.ml share: labels, which class wins, scores after post_transform. Tested by
// tests/differential/test_classifiers.py and test_svm.py.
#pragma once

#include "compiler/ops/ml.h"

namespace onnxc::ml {

Tensor labels_of(const Node& n);  // of the classes: strings or integers

// A label for each row of the input, and scores [rows, columns].
Status infer_classifier(InferContext& c, int64_t columns);

class Classifier {
 public:
  Classifier(Graph& graph, Node& node) : w_(graph, node), node_(node), labels_(labels_of(node)) {}

  GraphWriter& writer() { return w_; }
  const Node& node() const { return node_; }
  int64_t classes() const { return labels_.numel(); }
  Value* input() { return floats_of(w_, node_.input(0)); }
  Value* column(Value* scores, int64_t i) {
    return w_.add("Slice", {scores, w_.ints({i}), w_.ints({i + 1}), w_.ints({1})});
  }
  Value* side_by_side(Value* a, Value* b) { return w_.add("Concat", {a, b}, {{"axis", int64_t{1}}}); }

  // The class whose score is greatest, of equal ones the first.
  Value* best(Value* scores) { return w_.add("ArgMax", {scores}, {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}}); }
  // Class 1 where the score [N, 1] is above `limit`, else 0.
  Value* above(Value* score, float limit) {
    Value* which = w_.cast(w_.add("Greater", {score, w_.number(limit, score)}), Elem::I64);
    return w_.reshape(which, {-1});
  }

  Result<Value*> transformed(Value* scores, int64_t columns) { return ml::transformed(w_, node_, scores, columns); }

  void finish(Value* which, Value* scores) {
    Value* label = w_.add("Gather", {w_.constant(labels_), which}, {{"axis", int64_t{0}}});
    w_.replace({label, scores});
  }

 private:
  GraphWriter w_;
  Node& node_;
  Tensor labels_;
};

}  // namespace onnxc::ml
