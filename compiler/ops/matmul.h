// The dims of a product of matrices by numpy.matmul's rules, which MatMul and the products of integers share.
#pragma once

#include "compiler/ops/op.h"

namespace onnxc {

// A as [batch.., M, K], B as [batch.., K, N]; vectors are given a 1 that the output lacks.
struct Product {
  Shape a_batch, b_batch, batch;
  Dim m, n, k;
  bool a_vector = false, b_vector = false;
  Shape out() const;
};

// Invalid where the operands do not fit; what only a run can tell is required of it.
Result<Product> product_of(const Node& node, Shape a, Shape b);
// Indices of an operand's batch dims at the output's batch indices.
std::vector<Expr> batch_at(const Shape& own, const Shape& batch, std::span<const Expr> idx);

}  // namespace onnxc
