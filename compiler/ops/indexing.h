// Helpers for operators that move elements: index expressions that are always in bounds, attributes that became inputs.
#pragma once

#include <optional>
#include <vector>

#include "compiler/ops/axes.h"

namespace onnxc::indexing {

// What is known of an input's elements at compile time.
std::optional<Contents> contents_of(const Value* v);
std::optional<std::vector<int64_t>> ints_of(const Value* v);

// Axes counted from the front, sorted; InvalidModel when one is outside -rank .. rank - 1 or named twice.
Result<std::vector<int64_t>> normal_axes(const Node& node, std::vector<int64_t> axes, size_t rank);
// For each of `rank` dims 1 where `axes` names it, else 0. Constants are checked.
Result<std::vector<Dim>> chosen_axes(const Node& node, const Contents& axes, size_t rank);
// For each dim that stays (where `drop` has 0) how many stay before it.
std::vector<Dim> places_without(const std::vector<Dim>& drop);
// The `rank` dims that stay.
Shape shape_without(const Shape& shape, const std::vector<Dim>& drop, size_t rank);
// For each of `rank` dims and each entry of `axes` 1 where it names the dim, else 0.
Result<std::vector<std::vector<Dim>>> named_by(const Node& node, const Contents& axes, size_t rank);

inline Expr constant(int64_t i) { return expr::index(Dim(i)); }
inline Expr extent(const Dim& d) { return expr::index(d); }
// An element of an index tensor as I64.
inline Expr to_index(const Expr& e) { return expr::cast(e, Elem::I64); }
// Into 0 .. extent - 1, whatever the index is.
Expr clamp(const Expr& index, const Dim& extent);
// ONNX's negative indices count from the end; the result is clamped.
Expr wrap(const Expr& index, const Dim& extent);

// The index into a dim `own` that is broadcast to `all`, whether it is 1 or not.
Expr broadcast_index(const Expr& index, const Dim& own, const Dim& all);

inline bool is_one(const Dim& d) { return d.is_const() && d.value() == 1; }
// A tensor operand with known shape, or an error that says which is missing.
Status require_inputs(InferContext& c, size_t n);
// What is required of the run where only it can tell (op.h): `own` is 1 or `all`;
Status require_one_or(const Node& node, const Dim& own, const Dim& all, const std::string& what);
// an axis that `count` elements are read from has some;
Status require_some(const Node& node, const Dim& extent, const Dim& count, const std::string& what);
// the shapes are equal; axis `but` may be left out;
Status require_same_shape(const Node& node, const Shape& a, const Shape& b, const std::string& what,
                          std::optional<size_t> but = std::nullopt);
// input i, if it is there, has one element.
Status require_scalar(InferContext& c, size_t i);
std::vector<Expr> to_vector(std::span<const Expr> idx);

// For upgrades: moves an integer-list (or integer) attribute to input `i`.
void attribute_to_input(Graph& graph, Node& node, const char* attribute, size_t i);

// Work of kernels that need memory for each thread is cut into at most as many shares.
inline constexpr int64_t kShares = 16;

// A scalar of the element type: zero, or `v`.
Expr scalar(Elem elem, double v);
// The least and the greatest value of a type, infinities for floats.
Expr lowest(Elem elem);
Expr highest(Elem elem);
// An integer (of I32, or I64 where it needs to be) in the order of the numbers of type `x->type`: both zeros are one,
// all NaN are one and the last.
Expr order_key(const Expr& x);
// Element i of a tensor in arithmetic_type.
Expr element_constant(const Tensor& t, int64_t i);

}  // namespace onnxc::indexing
