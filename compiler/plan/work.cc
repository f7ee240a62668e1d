// See work.h.
#include "compiler/plan/work.h"

#include <algorithm>
#include <map>
#include <set>

namespace onnxc {
namespace {

// Counts over a nest. `known` turns false where an extent is no constant.
class NestCounter {
 public:
  void add(const Block& block, double times) {
    for (const Stmt& stmt : block) std::visit([&](const auto& node) { add_node(node, times); }, stmt.node);
  }
  void add_node(const KernelCall& call, double times) { flops += times * products_of(call); }

  bool known = true;
  double flops = 0;
  std::map<BufferId, double> loads, stores;  // elements

 private:
  void add_node(const For& loop, double times) { add(loop.body, times * extent(loop.var.extent)); }
  void add_node(const Let& let, double times) { add_expr(let.value, times); }
  void add_node(const Reduce& reduce, double times) {
    for (const LoopVar& v : reduce.vars) times *= extent(v.extent);
    add_expr(reduce.value, times);
    if (is_float(reduce.value->type)) flops += times;
  }
  void add_node(const Store& store, double times) {
    for (const Expr& index : store.at) add_expr(index, times);
    add_expr(store.value, times);
    if (store.when) add_expr(store.when, times);
    stores[store.buffer] += times;
  }
  void add_expr(const Expr& root, double times) {
    std::set<const ExprNode*> seen;
    add_tree(*root, times, seen);
  }
  void add_tree(const ExprNode& e, double times, std::set<const ExprNode*>& seen) {
    if (!seen.insert(&e).second) return;
    for (const Expr& a : e.args) add_tree(*a, times, seen);
    if (e.op == ExprOp::Load) loads[e.buffer] += times;
    if (is_float(e.type)) flops += times * cost(e.op);
  }
  static double cost(ExprOp op) {
    switch (op) {
      case ExprOp::Const:
      case ExprOp::Let:
      case ExprOp::Load:
      case ExprOp::Select:
      case ExprOp::Cast:
      case ExprOp::BitCast: return 0;
      case ExprOp::Fma: return 2;
      default: return 1;
    }
  }

  // The extents that a kernel's arguments tell.
  double products_of(const KernelCall& call) {
    auto arg = [&](std::string_view name, double otherwise = 1) {
      for (const Argument& a : call.arguments)
        if (a.name == name) return std::holds_alternative<Dim>(a.value) ? extent(std::get<Dim>(a.value)) : otherwise;
      return otherwise;
    };
    const std::string& name = call.kernel;
    if (name.starts_with("gemm")) return 2 * arg("m") * arg("n") * arg("k");
    if (name.starts_with("attention"))
      return 2 * arg("batches") * arg("heads") * arg("rows") * arg("cols") * (arg("depth") + arg("value_depth"));
    if (const double gates = gates_of(name); gates > 0)
      return 2 * arg("steps") * arg("batch") * arg("directions") * gates * arg("hidden") * arg("hidden");
    if (!name.starts_with("conv")) return 0;
    // `c`: one input channel for each output channel.
    const double outputs = arg("n") * arg("oc", arg("c")) * arg("oh") * arg("ow");
    return 2 * outputs * arg("ic") / arg("groups") * arg("kh") * arg("kw");
  }
  // Of a recurrent kernel, which multiplies the state; the input's products are a gemm.
  static double gates_of(std::string_view kernel) {
    return kernel.starts_with("lstm_") ? 4 : kernel.starts_with("gru_") ? 3 : kernel.starts_with("rnn_") ? 1 : 0;
  }

  double extent(const Dim& dim) {
    known = known && dim.is_const();
    return dim.is_const() ? static_cast<double>(dim.value()) : 0;
  }
};

}  // namespace

std::optional<Work> work_of(const Program& program, const Operation& op) {
  if (std::holds_alternative<If>(op.node) || std::holds_alternative<Loop>(op.node)) return {};
  NestCounter counter;
  if (const auto* nest = std::get_if<Nest>(&op.node)) counter.add(nest->body, 1);
  if (const auto* call = std::get_if<KernelCall>(&op.node)) counter.add_node(*call, 1);
  // What only kernels touch counts in full; a nest may read but a few elements of a large table.
  auto bytes = [&](BufferId b, const std::map<BufferId, double>& touched) {
    const Buffer& buffer = program.buffers[b];
    const Dim extent = buffer.extent();
    counter.known = counter.known && extent.is_const();
    double elements = extent.is_const() ? static_cast<double>(extent.value()) : 0;
    if (auto t = touched.find(b); t != touched.end()) elements = std::min(elements, t->second);
    return elements * static_cast<double>(elem_size(buffer.elem));
  };
  Work work;
  const Effects effects = effects_of(op);
  for (BufferId b : effects.reads) work.bytes_read += bytes(b, counter.loads);
  for (BufferId b : effects.writes) work.bytes_written += bytes(b, counter.stores);
  work.flops = counter.flops;
  return counter.known ? std::optional(work) : std::nullopt;
}

}  // namespace onnxc
