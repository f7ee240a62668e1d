// Buffers of values and conversions between layouts. See graph_lowering.h.
#include "compiler/lower/graph_lowering.h"
#include "compiler/ops/text.h"

namespace onnxc {

Layout GraphLowering::layout_of(const Value* value) const {
  if (auto p = pending_.find(value); p != pending_.end()) return p->second.layout;
  if (auto m = main_layout_.find(value); m != main_layout_.end()) return m->second;
  return {};
}

Shape GraphLowering::physical_shape(const Shape& shape, Layout layout) const {
  if (layout.plain()) return shape;
  Shape out = shape;
  out[layout.axis] = Dim::ceil_div(shape[layout.axis], Dim(layout.block));
  out.push_back(Dim(layout.block));
  return out;
}

void GraphLowering::set_home(const Value* value, Layout layout, size_t rank, BufferId buffer) {
  auto& homes = homes_[value];
  if (homes.empty()) main_layout_[value] = layout;
  homes[{layout, rank}] = buffer;
}

int GraphLowering::output_index(const Value* value) const {
  for (size_t i = 0; i < graph_.outputs.size(); ++i)
    if (graph_.outputs[i] == value) return static_cast<int>(i);
  return -1;
}

BufferId GraphLowering::new_buffer(const Value* value, Layout layout) {
  Buffer b;
  b.name = value->name;
  const Type stored = value->type.stored();
  b.elem = stored.elem;
  b.dims = physical_shape(*stored.shape, layout);
  b.layout = layout;
  if (!layout.plain()) b.pad_lanes = PadLanes::Unspecified;
  if (const int index = output_index(value); index >= 0 && layout.plain()) {
    b.storage = Buffer::Storage::Output;
    b.index = index;
  }
  return program_.add_buffer(std::move(b));
}

bool GraphLowering::place_in(const Value* value, Layout layout, BufferId whole, const Dim& offset) {
  if (!around_.empty() && is_sized_within(program_.buffers[storage_root(program_, whole)])) return false;
  const auto& homes = homes_[value];
  const auto found = homes.find({layout, value->type.stored().shape->size()});
  if (found == homes.end()) return false;
  Buffer& b = program_.buffers[found->second];
  if (b.storage != Buffer::Storage::Arena || !b.strides.empty() || !b.halo.empty()) return false;
  b.storage = Buffer::Storage::View;
  b.base = whole;
  b.offset = offset;
  return true;
}

BufferId GraphLowering::constant_buffer(Tensor tensor, Packing packing, std::string name) {
  auto& same = constants_[{tensor.hash(), packing.str()}];
  for (BufferId id : same)
    if (program_.constants[static_cast<size_t>(program_.buffers[id].index)].source.equals(tensor)) return id;
  Buffer b;
  b.name = name.empty() ? fresh("const") : std::move(name);
  b.elem = tensor.elem();
  for (int64_t d : packing.identity() ? tensor.dims() : packing.packed_dims(tensor.dims())) b.dims.emplace_back(d);
  b.storage = Buffer::Storage::Constant;
  b.index = static_cast<int64_t>(program_.constants.size());
  program_.constants.push_back({b.name, std::move(tensor), std::move(packing)});
  same.push_back(program_.add_buffer(std::move(b)));
  return same.back();
}

// Strings are packed in the blob and seen through views, which the run makes where they are read.
BufferId GraphLowering::text_constant_home(const Value* value, size_t rank) {
  const BufferId packed = constant_buffer(text::pack(value->constant->as_strings()), {}, value->name + ".texts");
  Buffer b;
  b.name = value->name;
  b.elem = Elem::String;
  b.dims.assign(rank - value->constant->dims().size(), Dim(1));
  for (int64_t d : value->constant->dims()) b.dims.emplace_back(d);
  const Dim n = numel(b.dims);
  const BufferId views = program_.add_buffer(std::move(b));
  Call call("make_texts");
  emit(call.out(views).in(packed).partition("elements", n, n * Dim(8)).op(), nullptr);
  return views;
}

// A constant in a layout: reshaped to `rank`, then packed at compile time.
BufferId GraphLowering::constant_home(const Value* value, Layout layout, size_t rank) {
  std::vector<int64_t> dims = value->constant->dims();
  dims.insert(dims.begin(), rank - dims.size(), 1);
  Packing packing;
  if (!layout.plain()) {
    packing.block.assign(rank, 1);
    packing.block[layout.axis] = layout.block;
    for (size_t i = 0; i < rank; ++i) packing.perm.push_back(2 * i);
    for (size_t i = 0; i < rank; ++i) packing.perm.push_back(2 * i + 1);
  }
  const BufferId id = constant_buffer(value->constant->reshaped(dims), packing, value->name);
  if (!layout.plain()) {
    program_.buffers[id].layout = layout;
    program_.buffers[id].pad_lanes = PadLanes::Zero;
  }
  return id;
}

Result<BufferId> GraphLowering::home(const Value* value, Layout layout, size_t rank) {
  if (pending_.contains(value)) ONNXC_TRY(store_pending(value, layout));
  auto& homes = homes_[value];
  if (auto it = homes.find({layout, rank}); it != homes.end()) return it->second;
  if (value->is_constant()) {
    const bool texts = value->type.elem == Elem::String;
    const BufferId id = texts ? text_constant_home(value, rank) : constant_home(value, layout, rank);
    set_home(value, layout, rank, id);
    return id;
  }
  if (homes.empty())
    return Error(ErrorKind::Internal, "value \"" + value->name + "\" is read before it was computed",
                 value->producer ? value->producer->where() : "");
  const Shape own = *value->type.stored().shape;
  Shape shape = own;
  shape.insert(shape.begin(), rank - own.size(), Dim(1));
  if (rank != own.size()) {  // a view with leading 1s of the plain buffer
    ONNXC_ASSIGN(const BufferId base, home(value, {}, own.size()));
    Buffer b;
    b.name = value->name;
    b.elem = value->type.elem;
    b.dims = shape;
    b.storage = Buffer::Storage::View;
    b.base = base;
    if (!program_.buffers[base].strides.empty()) {
      b.strides = program_.buffers[base].strides;
      b.strides.insert(b.strides.begin(), rank - own.size(), Dim(0));
    }
    const BufferId view = program_.add_buffer(std::move(b));
    set_home(value, {}, rank, view);
    if (layout.plain()) return view;
    const BufferId to = new_buffer(value, {});
    program_.buffers[to].dims = physical_shape(shape, layout);
    program_.buffers[to].layout = layout;
    program_.buffers[to].pad_lanes = PadLanes::Unspecified;
    program_.buffers[to].storage = Buffer::Storage::Arena;
    convert_to_blocked(view, to, shape, layout, value->producer);
    set_home(value, layout, rank, to);
    return to;
  }
  const BufferId to = new_buffer(value, layout);
  if (layout.plain()) {
    const auto [key, from] = *homes.begin();
    convert_to_plain(from, to, shape, key.layout, value->producer);
  } else {
    ONNXC_ASSIGN(const BufferId from, home(value, {}, rank));
    convert_to_blocked(from, to, shape, layout, value->producer);
  }
  set_home(value, layout, rank, to);
  return to;
}

namespace {
// Channel index of block `outer`, lane `inner`.
Expr channel(const Expr& outer, const Expr& inner, int block) {
  return expr::index(outer->dim * Dim(block) + inner->dim);
}
bool divides(const Dim& c, int block) { return c.is_const() && c.value() % block == 0; }
}  // namespace

void GraphLowering::convert_to_blocked(BufferId from, BufferId to, const Shape& shape, Layout layout,
                                       const Node* origin) {
  if (has_layout_kernel(program_, from, layout)) {
    emit(to_blocked(from, to, shape, 1), origin);
    return;
  }
  const Elem elem = program_.buffers[from].elem;
  const Dim& channels = shape[layout.axis];
  emit(nest_over(
           program_.buffers[to].dims, [this] { return fresh("i"); },
           [&](std::span<const Expr> idx) {
             std::vector<Expr> at(idx.begin(), idx.end() - 1);
             const Expr c = channel(idx[layout.axis], idx.back(), layout.block);
             Expr value;
             if (divides(channels, layout.block)) {
               at[layout.axis] = c;
               value = expr::load(from, elem, at);
             } else {
               at[layout.axis] = expr::index(Dim::min(c->dim, channels - Dim(1)));
               const Expr inside = expr::binary(ExprOp::Lt, c, expr::index(channels));
               Expr x = expr::load(from, elem, at);
               const Expr zero = is_float(x->type) ? expr::constant(x->type, 0) : expr::int_constant(x->type, 0);
               value = expr::select(inside, x, zero);
             }
             Block b;
             b.push_back(Stmt{Store{to, {idx.begin(), idx.end()}, value, nullptr}});
             return b;
           }),
       origin);
}

void GraphLowering::convert_to_plain(BufferId from, BufferId to, const Shape& shape, Layout layout,
                                     const Node* origin) {
  if (has_layout_kernel(program_, to, layout) && program_.buffers[from].halo.empty()) {
    emit(to_plain(from, to, shape), origin);
    return;
  }
  const Elem elem = program_.buffers[from].elem;
  const Dim& channels = shape[layout.axis];
  // Loops over (.., channel block, lane, ..rest): the innermost one is contiguous in the result.
  Shape loops;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (static_cast<int>(d) != layout.axis)
      loops.push_back(shape[d]);
    else
      loops.insert(loops.end(), {Dim::ceil_div(channels, Dim(layout.block)), Dim(layout.block)});
  }
  emit(nest_over(
           loops, [this] { return fresh("i"); },
           [&](std::span<const Expr> idx) {
             std::vector<Expr> from_at, to_at;
             const Expr& lane = idx[layout.axis + 1];
             const Expr c = channel(idx[layout.axis], lane, layout.block);
             for (size_t k = 0; k < idx.size(); ++k) {
               if (static_cast<int>(k) == layout.axis + 1) continue;
               from_at.push_back(idx[k]);
               to_at.push_back(static_cast<int>(k) == layout.axis ? c : idx[k]);
             }
             from_at.push_back(lane);
             const Expr inside =
                 divides(channels, layout.block) ? nullptr : expr::binary(ExprOp::Lt, c, expr::index(channels));
             Block b;
             b.push_back(Stmt{Store{to, to_at, expr::load(from, elem, from_at), inside}});
             return b;
           }),
       origin);
}

void GraphLowering::copy(BufferId from, BufferId to, const Shape& shape, const Node* origin) {
  const Elem elem = program_.buffers[from].elem;
  emit(nest_over(
           shape, [this] { return fresh("i"); },
           [&](std::span<const Expr> idx) {
             std::vector<Expr> at(idx.begin(), idx.end());
             Block b;
             b.push_back(Stmt{Store{to, at, expr::load(from, elem, at), nullptr}});
             return b;
           }),
       origin);
}

}  // namespace onnxc
