// The LowerContext that operators' `lower` functions see.
#pragma once

#include "compiler/lower/graph_lowering.h"

namespace onnxc {

class OpContext final : public LowerContext {
 public:
  OpContext(GraphLowering& lowering, const Node& node) : lowering_(lowering) { node_ptr = &node; }
  Result<BufferId> in(size_t i, Layout layout) override;
  Layout layout_of(size_t i) const override;
  const Target& target() const override;
  const Options& options() const override;
  int64_t model_bytes() const override;
  BufferId out(size_t i, Layout layout) override;
  BufferId out_view(size_t i, BufferId base, Dim offset, Shape strides, Layout layout) override;
  bool is_stored(size_t i) const override;
  bool place_in(size_t i, Layout layout, BufferId whole, const Dim& offset) override;
  BufferId temporary(Elem elem, Shape dims) override;
  void define(const Dim& dim, BufferId buffer, int64_t element) override;
  BufferId constant_buffer(Tensor tensor, Packing packing, std::string name) override;
  BufferId packed(size_t i, Packing packing) override;
  Operation& emit(Operation op) override;
  bool knows(const Dim& dim) const override { return lowering_.knows(dim); }
  Status begin_region(const Graph& body) override;
  std::vector<Operation> end_region() override;
  Result<std::vector<BufferId>> lower_graph(const Graph& body, const std::vector<BufferId>& inputs) override;
  std::string fresh(const std::string& stem) override;
  const Program& program() const override;
  Expr load(size_t i, std::span<const Expr> idx) override;
  // The first error of a load, which itself can only return an expression.
  Status status() const { return status_; }

 private:
  GraphLowering& lowering_;
  Status status_ = ok();
};

}  // namespace onnxc
