// Sequences and optionals whose elements only a run knows: calls of runtime_lib/kernels/sequence.h on the two integers
// that describe one (runtime_lib/abi/sequence.h). The dims of a tensor that is taken out are read before it. Tested by
// tests/conformance and tests/differential/test_sequences.py.
#include <algorithm>

#include "compiler/ops/indexing.h"
#include "compiler/ops/sequence.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;

BufferId new_list(LowerContext& c) { return c.temporary(Elem::I64, {Dim(2)}); }

Expr word(BufferId list, int64_t i) { return expr::load(list, Elem::I64, {constant(i)}); }

void store_words(LowerContext& c, BufferId to, const Expr& length, const Expr& list) {
  c.emit(make_nest(c, {}, [&](std::span<const Expr>) {
    return Block{Stmt{Store{to, {constant(0)}, length, nullptr}}, Stmt{Store{to, {constant(1)}, list, nullptr}}};
  }));
}
void copy_list(LowerContext& c, BufferId to, BufferId from) { store_words(c, to, word(from, 0), word(from, 1)); }

// Input `i`, a position, as int64; absent: null.
Result<BufferId> position(LowerContext& c, size_t i) {
  if (!c.has_input(i) || c.in_elem(i) == Elem::I64) return c.in(i);
  const BufferId wide = c.temporary(Elem::I64, {});
  const std::vector<Expr> only(c.in_shape(i).size(), constant(0));
  c.emit(make_nest(
      c, {}, [&](std::span<const Expr>) { return Block{Stmt{Store{wide, {}, to_index(c.load(i, only)), nullptr}}}; }));
  return wide;
}

// Arguments: what a tensor of that type is.
Call& form_of(Call& call, Elem elem, const Shape& shape) {
  call.arg("elem", static_cast<int64_t>(elem)).arg("elem_bytes", static_cast<int64_t>(elem_size(elem)));
  call.arg("rank", static_cast<int64_t>(shape.size()));
  constexpr size_t kMostDims = 8;
  for (size_t d = 0; d < kMostDims; ++d) call.arg("d" + std::to_string(d), d < shape.size() ? shape[d] : Dim(1));
  return call;
}

Status check_rank(LowerContext& c, const Type& type) {
  constexpr size_t kMostDims = 8;
  if (!type.shape)
    return c.unsupported("the rank of the elements is not known", "declare the shape of the elements in the model");
  if (type.shape->size() > kMostDims) return c.unsupported("elements of more than 8 dims are not supported");
  return ok();
}

// Input `i` without gaps between its elements.
Result<BufferId> dense_input(LowerContext& c, size_t i) {
  ONNXC_ASSIGN(const BufferId in, c.in(i));
  const Buffer& buffer = c.program().buffers[in];
  if (buffer.effective_strides() == row_major_strides(buffer.dims)) return in;
  const BufferId dense = c.temporary(c.in_elem(i), c.in_shape(i));
  c.emit(make_nest(c, c.in_shape(i), [&](std::span<const Expr> idx) {
    return Block{Stmt{Store{dense, to_vector(idx), expr::load(in, c.in_elem(i), to_vector(idx)), nullptr}}};
  }));
  return dense;
}

// `to`: the sequence `from` (null: the empty one) with input `tensor` at the position (null: the end).
Status insert(LowerContext& c, BufferId to, BufferId from, size_t tensor, BufferId at) {
  ONNXC_TRY(check_rank(c, c.node().input(tensor)->type));
  ONNXC_ASSIGN(const BufferId x, dense_input(c, tensor));
  Call call("sequence_insert");
  call.out(to).in(from).in(x).in(at);
  c.emit(form_of(call, c.in_elem(tensor), c.in_shape(tensor)).run_memory().op());
  return ok();
}

// Dims that only the run tells are read from `dims`, where a kernel has put them.
void define_dims(LowerContext& c, BufferId dims) {
  for (size_t d = 0; d < c.out_shape().size(); ++d) {
    const auto name = c.out_shape()[d].as_symbol();
    if (name && name->starts_with("n" + std::to_string(c.node().id) + "."))
      c.define(c.out_shape()[d], dims, static_cast<int64_t>(d));
  }
}
bool has_own_dims(LowerContext& c) {
  return std::ranges::any_of(c.out_shape(), [&](const Dim& d) {
    const auto name = d.as_symbol();
    return name && name->starts_with("n" + std::to_string(c.node().id) + ".");
  });
}

// The only output is the element of `list` there.
Status take(LowerContext& c, BufferId list, BufferId at) {
  const Shape& shape = c.out_shape();
  ONNXC_TRY(check_rank(c, c.node().output()->type));
  const auto elem = static_cast<int64_t>(c.out_elem()), rank = static_cast<int64_t>(shape.size());
  if (has_own_dims(c)) {
    const BufferId dims = c.temporary(Elem::I64, {Dim(std::max<int64_t>(rank, 1))});
    c.emit(Call("sequence_at_dims").out(dims).in(list).in(at).arg("elem", elem).arg("rank", rank).may_fail().op());
    define_dims(c, dims);
  }
  Call call("sequence_at");
  call.out(c.out()).in(list).in(at);
  c.emit(form_of(call, c.out_elem(), shape).may_fail().op());
  return ok();
}

// What a loop stacked may be nothing (varying_shapes.cc): dims that nobody knows are 0 then, as in ONNX Runtime 1.32.
BufferId of_none(LowerContext& c, int64_t axis) {
  if (c.node().attr_int(kMayBeEmpty, 0) == 0) return kNoBuffer;
  std::vector<int64_t> dims;
  for (const Dim& d : c.out_shape()) dims.push_back(d.constant().value_or(0));
  dims[static_cast<size_t>(axis)] = 0;
  return c.constant_buffer(Tensor::i64({static_cast<int64_t>(dims.size())}, dims));
}

}  // namespace

Status lower_sequence_construct(LowerContext& c) {
  BufferId list = kNoBuffer;
  for (size_t i = 0; i < c.node().num_inputs(); ++i) {
    const BufferId longer = i + 1 < c.node().num_inputs() ? new_list(c) : c.out();
    ONNXC_TRY(insert(c, longer, list, i, kNoBuffer));
    list = longer;
  }
  return ok();
}

Status lower_sequence_empty(LowerContext& c) { return store_words(c, c.out(), constant(0), constant(0)), ok(); }

Status lower_sequence_insert(LowerContext& c) {
  ONNXC_ASSIGN(const BufferId list, c.in(0));
  ONNXC_ASSIGN(const BufferId at, position(c, 2));
  return insert(c, c.out(), list, 1, at);
}

Status lower_sequence_erase(LowerContext& c) {
  ONNXC_ASSIGN(const BufferId list, c.in(0));
  ONNXC_ASSIGN(const BufferId at, position(c, 1));
  c.emit(Call("sequence_erase").out(c.out()).in(list).in(at).run_memory().op());
  return ok();
}

Status lower_sequence_at(LowerContext& c) {
  ONNXC_ASSIGN(const BufferId list, c.in(0));
  ONNXC_ASSIGN(const BufferId at, position(c, 1));
  return take(c, list, at);
}

Status lower_sequence_length(LowerContext& c) {
  ONNXC_ASSIGN(const BufferId list, c.in(0));
  const BufferId length = c.out();
  c.emit(
      make_nest(c, {}, [&](std::span<const Expr>) { return Block{Stmt{Store{length, {}, word(list, 0), nullptr}}}; }));
  return ok();
}

Status lower_split_to_sequence(LowerContext& c) {
  ONNXC_TRY(check_rank(c, c.node().input(0)->type));
  const Shape& x = c.in_shape(0);
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", 0), x.size()));
  ONNXC_ASSIGN(const BufferId data, dense_input(c, 0));
  const bool given = c.has_input(1), list = given && c.in_shape(1).size() == 1;
  BufferId sizes = kNoBuffer;
  if (given) {
    sizes = c.temporary(Elem::I64, list ? c.in_shape(1) : Shape{Dim(1)});
    c.emit(make_nest(c, c.program().buffers[sizes].dims, [&](std::span<const Expr> idx) {
      const Expr size = to_index(c.load(1, list ? idx : std::span<const Expr>()));
      return Block{Stmt{Store{sizes, to_vector(idx), size, nullptr}}};
    }));
  }
  Call call(given && !list ? "sequence_split_even" : "sequence_split");
  call.out(c.out()).in(data).in(sizes);
  if (!given || list) call.arg("count", list ? c.in_shape(1)[0] : Dim(1));
  call.arg("axis", axis).arg("keepdims", given || c.node().attr_int("keepdims", 1) != 0 ? 1 : 0);
  c.emit(form_of(call, c.in_elem(0), x).run_memory().op());
  return ok();
}

Status lower_concat_from_sequence(LowerContext& c) {
  ONNXC_TRY(check_rank(c, c.node().output()->type));
  const Shape& shape = c.out_shape();
  const auto elem = static_cast<int64_t>(c.out_elem()), rank = static_cast<int64_t>(shape.size());
  const int64_t new_axis = c.node().attr_int("new_axis", 0) != 0 ? 1 : 0;
  ONNXC_ASSIGN(const int64_t axis, normal_axis(c.node(), c.node().attr_int("axis", 0), shape.size()));
  ONNXC_ASSIGN(const BufferId list, c.in(0));
  const BufferId dims = c.temporary(Elem::I64, {Dim(rank)});
  Call measure("sequence_concat_dims");
  measure.out(dims).in(list).in(of_none(c, axis));
  measure.arg("axis", axis).arg("new_axis", new_axis).arg("elem", elem).arg("rank", rank);
  c.emit(measure.may_fail().op());
  define_dims(c, dims);
  Call call("sequence_concat");
  call.out(c.out()).in(list).in(dims).arg("axis", axis).arg("new_axis", new_axis);
  c.emit(form_of(call, c.out_elem(), shape).may_fail().op());
  return ok();
}

// An optional tensor is a sequence of one; nothing is a length of -1.
Status lower_optional(LowerContext& c) {
  if (!c.has_input(0)) return store_words(c, c.out(), constant(-1), constant(0)), ok();
  if (c.node().input(0)->type.is_tensor()) return insert(c, c.out(), kNoBuffer, 0, kNoBuffer);
  return lower_list_identity(c);
}

Status lower_optional_has_element(LowerContext& c) {
  ONNXC_ASSIGN(const BufferId list, c.in(0));
  const BufferId has = c.out();
  c.emit(make_nest(c, {}, [&](std::span<const Expr>) {
    return Block{Stmt{Store{has, {}, binary(ExprOp::Ge, word(list, 0), constant(0)), nullptr}}};
  }));
  return ok();
}

Status lower_optional_get_element(LowerContext& c) {
  ONNXC_ASSIGN(const BufferId list, c.in(0));
  const bool sequence = is_sequence(c.node().output()->type);
  const BufferId held = sequence ? c.out() : new_list(c);
  c.emit(Call("optional_sequence").out(held).in(list).may_fail().op());
  return sequence ? ok() : take(c, held, kNoBuffer);
}

Status lower_list_identity(LowerContext& c) {
  ONNXC_ASSIGN(const BufferId list, c.in(0));
  return copy_list(c, c.out(), list), ok();
}

}  // namespace onnxc
