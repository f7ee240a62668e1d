// fuse_matmul_bias: what is added to the product with a constant matrix becomes inputs of the MatMul, whose kernel adds
// them as it stores: a constant per column the third, a tensor of the product's own shape (a residual sum) the fourth.
// Only f32, and only where nobody else reads the product. Equal up to rounding. Tested in
// tests/lit/passes/fuse_matmul_bias.txt.
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

bool takes_bias(const Node* n) {
  if (!is_op(n, "MatMul") || n->has("activation") || !is_float_tensor(n->output()) ||
      n->output()->type.elem != Elem::F32)
    return false;
  const Value* b = n->input(1);
  return b->is_constant() && b->constant->rank() == 2 && n->input(0)->type.shape &&
         n->input(0)->type.shape->size() >= 2;
}

// The constant as a vector of one number per column; null when it is none.
Value* column_bias(Value* v, const Value& product) {
  const Shape& shape = *product.type.shape;
  if (!v->is_constant() || !shape.back().is_const()) return nullptr;
  const int64_t columns = shape.back().value();
  const auto values = per_channel(v, shape.size(), shape.size() - 1, columns);
  if (!values) return nullptr;
  return v->graph->add_constant(from_doubles(Elem::F32, {columns}, *values));
}

bool fuse(Node* add) {
  if (!is_op(add, "Add") || add->input(0) == add->input(1)) return false;
  for (int side = 1; side >= 0; --side) {
    Value *product = add->input(side), *other = add->input(1 - side);
    Node* n = product->producer;
    if (!n || n->graph != add->graph || !single_use(product) || !takes_bias(n) || !same_shape(product, add->output()))
      continue;
    if (other->type.elem != Elem::F32) continue;
    Value* bias = n->input(2) ? nullptr : column_bias(other, *product);
    if (bias) {
      n->set_input(2, bias);
    } else if (!n->input(3) && same_shape(product, other)) {
      n->set_input(3, other);  // computed before by the order that sorting gives: it cannot depend on the product
    } else {
      continue;
    }
    merge_origins(n, add);
    replace_node(add, product);
    return true;
  }
  return false;
}

}  // namespace

Result<bool> fuse_matmul_bias(Graph& graph, PassContext&) {
  return each_graph(graph, [](Graph& g) {
    bool changed = false;
    for (Node* n : nodes_of(g)) changed |= fuse(n);
    return changed;
  });
}

}  // namespace onnxc
