#include "compiler/lower/op_context.h"

namespace onnxc {

Result<BufferId> OpContext::in(size_t i, Layout layout) {
  if (!node_ptr->input(i)) return kNoBuffer;
  return lowering_.home(node_ptr->input(i), layout);
}
Layout OpContext::layout_of(size_t i) const { return lowering_.layout_of(node_ptr->input(i)); }
const Target& OpContext::target() const { return lowering_.target_; }
const Options& OpContext::options() const { return lowering_.options_; }
int64_t OpContext::model_bytes() const { return lowering_.model_bytes_; }

BufferId OpContext::out(size_t i, Layout layout) {
  const Value* v = node_ptr->output(i);
  const BufferId b = lowering_.new_buffer(v, layout);
  lowering_.set_home(v, layout, v->type.stored().shape->size(), b);
  return b;
}

BufferId OpContext::out_view(size_t i, BufferId base, Dim offset, Shape strides, Layout layout) {
  const Value* v = node_ptr->output(i);
  Buffer b;
  b.name = v->name;
  b.elem = v->type.elem;
  b.dims = lowering_.physical_shape(*v->type.shape, layout);
  b.layout = layout;
  if (!layout.plain()) b.pad_lanes = PadLanes::Unspecified;
  b.strides = std::move(strides);
  b.storage = Buffer::Storage::View;
  b.base = base;
  b.offset = std::move(offset);
  const BufferId id = lowering_.program_.add_buffer(std::move(b));
  lowering_.set_home(v, layout, v->type.shape->size(), id);
  return id;
}

bool OpContext::is_stored(size_t i) const {
  const Value* v = node_ptr->input(i);
  return !v->is_constant() && !lowering_.pending_.contains(v);
}

bool OpContext::place_in(size_t i, Layout layout, BufferId whole, const Dim& offset) {
  if (node_ptr->input(i)->graph != node_ptr->graph) return false;  // of a graph around: lives on
  return is_stored(i) && lowering_.place_in(node_ptr->input(i), layout, whole, offset);
}

BufferId OpContext::temporary(Elem elem, Shape dims) {
  Buffer b;
  b.name = lowering_.fresh("tmp");
  b.elem = elem;
  b.dims = std::move(dims);
  return lowering_.program_.add_buffer(std::move(b));
}

BufferId OpContext::constant_buffer(Tensor tensor, Packing packing, std::string name) {
  return lowering_.constant_buffer(std::move(tensor), std::move(packing), std::move(name));
}
BufferId OpContext::packed(size_t i, Packing packing) {
  return lowering_.constant_buffer(*node_ptr->input(i)->constant, std::move(packing), node_ptr->input(i)->name);
}
void OpContext::define(const Dim& dim, BufferId buffer, int64_t element) {
  lowering_.define(*dim.as_symbol(), buffer, element, node_ptr);
}

Operation& OpContext::emit(Operation op) { return lowering_.emit(std::move(op), node_ptr); }
Status OpContext::begin_region(const Graph& body) { return lowering_.begin_region(body); }
std::vector<Operation> OpContext::end_region() { return lowering_.end_region(); }
Result<std::vector<BufferId>> OpContext::lower_graph(const Graph& body, const std::vector<BufferId>& inputs) {
  return lowering_.lower_body(body, inputs);
}
std::string OpContext::fresh(const std::string& stem) { return lowering_.fresh(stem); }
const Program& OpContext::program() const { return lowering_.program_; }

Expr OpContext::load(size_t i, std::span<const Expr> idx) {
  auto e = lowering_.element(node_ptr->input(i), idx);
  if (!e.ok()) {
    if (status_.ok()) status_ = e.error();
    return expr::constant(expr::arithmetic_type(in_elem(i)), 0);
  }
  return e.value();
}

}  // namespace onnxc
