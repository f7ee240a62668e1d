// The small functions that belong to program.h: names, packed dims, extents, effects, walks over expressions.
// Tested in tests/unit/program_test.cc.
#include "compiler/ir/program.h"

#include <algorithm>
#include <set>
#include <unordered_set>

#include "compiler/ir/winograd.h"

namespace onnxc {

std::string Layout::str() const {
  return plain() ? "plain" : "block" + std::to_string(axis) + "x" + std::to_string(block);
}

namespace {

std::string list_str(const std::vector<int64_t>& values) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) out += (i ? ", " : "") + std::to_string(values[i]);
  return out + "]";
}

}  // namespace

std::vector<int64_t> Packing::packed_dims(const std::vector<int64_t>& dims) const {
  if (identity()) return dims;
  if (winograd != 0) return {winograd_elements(dims, winograd)};
  std::vector<int64_t> order = perm;
  if (order.empty())
    for (size_t i = 0; i < 2 * dims.size(); ++i) order.push_back(static_cast<int64_t>(i));
  std::vector<int64_t> packed;
  for (int64_t split : order) {
    const auto source = static_cast<size_t>(split / 2);
    if (split % 2 == 0)
      packed.push_back((dims[source] + block[source] - 1) / block[source]);
    else if (block[source] != 1)
      packed.push_back(block[source]);
  }
  return packed;
}

std::string Packing::str() const {
  if (identity()) return "as it is";
  if (winograd != 0) return "winograd=" + std::to_string(winograd);
  return "block=" + list_str(block) + (perm.empty() ? "" : ", perm=" + list_str(perm));
}

namespace {
constexpr const char* kReduceNames[] = {"add", "mul", "min", "max", "and", "or", "argmin", "argmax"};
static_assert(std::size(kReduceNames) == static_cast<size_t>(ReduceOp::ArgMax) + 1);
}  // namespace

const char* reduce_name(ReduceOp op) { return kReduceNames[static_cast<size_t>(op)]; }

bool reduce_from_name(std::string_view name, ReduceOp* op) {
  for (size_t i = 0; i < std::size(kReduceNames); ++i)
    if (name == kReduceNames[i]) return *op = static_cast<ReduceOp>(i), true;
  return false;
}

Elem reduced_type(const Reduce& reduce) {
  return reduce.op == ReduceOp::ArgMin || reduce.op == ReduceOp::ArgMax ? Elem::I64 : reduce.value->type;
}

Shape Buffer::effective_strides() const {
  if (!strides.empty()) return strides;
  if (halo.empty()) return row_major_strides(dims);
  Shape padded = dims;
  for (size_t i = 0; i < padded.size() && i < halo.size(); ++i)
    padded[i] = padded[i] + Dim(halo[i].first) + Dim(halo[i].second);
  return row_major_strides(padded);
}

Dim Buffer::lead() const {
  const Shape steps = effective_strides();
  Dim before = 0;
  for (size_t i = 0; i < halo.size() && i < steps.size(); ++i) before = before + Dim(halo[i].first) * steps[i];
  return before;
}

bool is_shared(const Operation& op) {
  if (!op.partition || op.partition->parts == 1) return false;
  const auto extent = op.partition->extent.constant();
  return !extent || *extent > op.partition->grain;
}

std::vector<Stage> stages_of(const Program& program) {
  const auto belongs = [&](size_t i) {
    return std::holds_alternative<ScalarDef>(program.ops[i].node) ||
           std::holds_alternative<Require>(program.ops[i].node);
  };
  std::vector<Stage> stages = {{0, 0}};
  for (size_t i = 0; i < program.ops.size(); ++i) {
    if (!belongs(i)) continue;
    if (stages.back().end != i) stages.push_back({i, i});
    stages.back().end = i + 1;
  }
  return stages;
}

StageOfSymbol stage_of_symbol(const Program& program) {
  StageOfSymbol known;
  const std::vector<Stage> stages = stages_of(program);
  for (size_t s = 0; s < stages.size(); ++s)
    for (size_t i = stages[s].begin; i < stages[s].end; ++i)
      if (const auto* def = std::get_if<ScalarDef>(&program.ops[i].node)) known.emplace(def->name, s);
  return known;
}

size_t stage_of(const Dim& dim, const StageOfSymbol& known) {
  std::set<std::string> symbols;
  dim.collect_symbols(symbols);
  size_t last = 0;
  for (const std::string& symbol : symbols)
    if (const auto at = known.find(symbol); at != known.end()) last = std::max(last, at->second);
  return last;
}

int64_t likely_value(const Program& program, const Dim& dim) {
  constexpr int64_t kOtherwise = 64;
  if (dim.is_const()) return dim.value();
  std::set<std::string> symbols;
  dim.collect_symbols(symbols);
  std::map<std::string, int64_t> values;
  for (const std::string& symbol : symbols) {
    const auto known = program.likely.find(symbol);
    values[symbol] = known == program.likely.end() ? kOtherwise : known->second;
  }
  return std::max<int64_t>(dim.evaluate(values).value_or(kOtherwise), 0);
}

bool is_joint(const Operation& op) {
  const auto* call = std::get_if<KernelCall>(&op.node);
  return call && call->meetings && *call->meetings != Dim(0) && is_shared(op);
}

Dim Buffer::extent() const {
  if (strides.empty() && halo.empty()) return numel(dims);
  const Shape steps = effective_strides();
  Dim last = 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    const Dim around = halo.empty() ? Dim(0) : Dim(halo[i].first + halo[i].second);
    const Dim padded = dims[i] + around;
    if (padded.constant() == 0) return 0;
    last = last + (padded - Dim(1)) * steps[i];
  }
  return last + Dim(1);
}

void for_each_load(const Expr& e, const std::function<void(const ExprNode&)>& visit) {
  std::unordered_set<const ExprNode*> seen;
  std::vector<const ExprNode*> stack = {e.get()};
  while (!stack.empty()) {
    const ExprNode* node = stack.back();
    stack.pop_back();
    if (!node || !seen.insert(node).second) continue;
    if (node->op == ExprOp::Load) visit(*node);
    for (auto it = node->args.rbegin(); it != node->args.rend(); ++it) stack.push_back(it->get());
  }
}

namespace {

void visit_operands(const KernelCall& call, const std::function<void(const Expr&)>& visit) {
  for (const auto* operands : {&call.outs, &call.inouts, &call.ins})
    for (const Operand& operand : *operands)
      for (const Expr& index : operand.at) visit(index);
}

class EffectsCollector {
 public:
  Effects take() { return std::move(effects_); }

  void add(const Operation& op) {
    std::visit([this](const auto& node) { add_node(node); }, op.node);
  }

 private:
  void read(BufferId b) {
    if (b != kNoBuffer && read_.insert(b).second) effects_.reads.push_back(b);
  }
  void write(BufferId b) {
    if (b != kNoBuffer && written_.insert(b).second) effects_.writes.push_back(b);
  }
  void read_all(const std::vector<BufferId>& buffers) {
    for (BufferId b : buffers) read(b);
  }
  void write_all(const std::vector<BufferId>& buffers) {
    for (BufferId b : buffers) write(b);
  }
  void read_loads(const Expr& e) {
    for_each_load(e, [this](const ExprNode& load) { read(load.buffer); });
  }

  void add_node(const KernelCall& call) {
    visit_operands(call, [this](const Expr& e) { read_loads(e); });
    for (const Operand& o : call.ins) read(o.buffer);
    for (const Operand& o : call.inouts) read(o.buffer), write(o.buffer);
    for (const Operand& o : call.outs) write(o.buffer);
    for (BufferId b : call.scratch) read(b), write(b);
  }
  void add_node(const Nest& nest) {
    for_each_expr(nest.body, [this](const Expr& e) { read_loads(e); });
    add_block(nest.body);
  }
  void add_block(const Block& block) {
    for (const Stmt& stmt : block) {
      if (const auto* loop = std::get_if<For>(&stmt.node)) add_block(loop->body);
      if (const auto* store = std::get_if<Store>(&stmt.node)) write(store->buffer);
      if (const auto* call = std::get_if<KernelCall>(&stmt.node)) add_node(*call);
    }
  }
  void add_node(const Require&) {}
  void add_node(const ScalarDef& def) {
    if (const auto* dim = std::get_if<ScalarDef::DimOf>(&def.value)) read(dim->buffer);
    if (const auto* element = std::get_if<ScalarDef::Element>(&def.value)) read(element->buffer);
  }
  void add_node(const Alloc& alloc) { write(alloc.buffer); }
  void add_node(const Barrier&) {}
  void add_region(const Region& region) {
    write_all(region.args);
    for (const Operation& op : region.ops) add(op);
    read_all(region.yields);
  }
  void add_node(const If& node) {
    read(node.condition);
    add_region(node.then_region);
    add_region(node.else_region);
    write_all(node.results);
  }
  void add_node(const Loop& node) {
    read(node.condition);
    read_all(node.inits);
    add_region(node.body);
    read_all(node.body.args);  // what the last turn left in them becomes the results
    write_all(node.results);
  }

  Effects effects_;
  std::unordered_set<BufferId> read_, written_;
};

}  // namespace

void for_each_expr(const Block& block, const std::function<void(const Expr&)>& visit) {
  for (const Stmt& stmt : block) {
    if (const auto* loop = std::get_if<For>(&stmt.node)) for_each_expr(loop->body, visit);
    if (const auto* let = std::get_if<Let>(&stmt.node)) visit(let->value);
    if (const auto* reduce = std::get_if<Reduce>(&stmt.node)) visit(reduce->value);
    if (const auto* call = std::get_if<KernelCall>(&stmt.node)) visit_operands(*call, visit);
    if (const auto* store = std::get_if<Store>(&stmt.node)) {
      for (const Expr& index : store->at) visit(index);
      visit(store->value);
      if (store->when) visit(store->when);
    }
  }
}

Effects effects_of(const Operation& op) {
  EffectsCollector collector;
  collector.add(op);
  return collector.take();
}

static bool calls_in_block(const Block& block, std::string_view name) {
  return std::ranges::any_of(block, [&](const Stmt& stmt) {
    if (const auto* call = std::get_if<KernelCall>(&stmt.node)) return call->kernel.starts_with(name);
    const auto* loop = std::get_if<For>(&stmt.node);
    return loop && calls_in_block(loop->body, name);
  });
}

bool calls_kernel(const std::vector<Operation>& ops, std::string_view name) {
  return std::ranges::any_of(ops, [&](const Operation& op) {
    if (const auto* call = std::get_if<KernelCall>(&op.node)) return call->kernel.starts_with(name);
    if (const auto* nest = std::get_if<Nest>(&op.node)) return calls_in_block(nest->body, name);
    if (const auto* branch = std::get_if<If>(&op.node))
      return calls_kernel(branch->then_region.ops, name) || calls_kernel(branch->else_region.ops, name);
    const auto* loop = std::get_if<Loop>(&op.node);
    return loop && calls_kernel(loop->body.ops, name);
  });
}

std::map<std::string, std::string> linked_functions(const std::vector<Operation>& ops) {
  std::map<std::string, std::string> functions;
  const auto add_all = [&](const std::vector<Operation>& within) { functions.merge(linked_functions(within)); };
  for (const Operation& op : ops) {
    if (const auto* call = std::get_if<KernelCall>(&op.node); call && !call->function.empty())
      functions.emplace(call->function, op.note + (op.origins.empty() ? "" : " \"" + op.origins.front() + '"'));
    if (const auto* branch = std::get_if<If>(&op.node))
      add_all(branch->then_region.ops), add_all(branch->else_region.ops);
    if (const auto* loop = std::get_if<Loop>(&op.node)) add_all(loop->body.ops);
  }
  return functions;
}

const std::string& callee(const KernelCall& call) { return call.function.empty() ? call.kernel : call.function; }

BufferId storage_root(const Program& program, BufferId b) {
  // Bounded, so that the verifier may ask before it has ruled out a cycle.
  for (size_t steps = 0; steps <= program.buffers.size(); ++steps) {
    if (b >= program.buffers.size() || program.buffers[b].storage != Buffer::Storage::View) return b;
    b = program.buffers[b].base;
  }
  return kNoBuffer;
}

Dim view_offset_bytes(const Program& program, BufferId b) {
  Dim offset = 0;
  for (; program.buffers[b].storage == Buffer::Storage::View; b = program.buffers[b].base)
    offset = offset + program.buffers[b].offset * Dim(static_cast<int64_t>(elem_size(program.buffers[b].elem)));
  return offset;
}

namespace {

class SymbolCollector {
 public:
  SymbolCollector(const Program& program, std::set<std::string>& out) : program_(program), out_(out) {}

  void add(const Operation& op) {
    const Effects effects = effects_of(op);
    for (BufferId b : effects.reads) buffer(b);
    for (BufferId b : effects.writes) buffer(b);
    std::visit([this](const auto& node) { add_node(node); }, op.node);
    if (!op.partition) return;
    dim(op.partition->extent);
    dim(op.partition->work);
  }

 private:
  void dim(const Dim& d) { d.collect_symbols(out_); }
  void dims(const Shape& shape) {
    for (const Dim& d : shape) dim(d);
  }

  void buffer(BufferId b) {
    for (size_t steps = 0; b < program_.buffers.size() && steps <= program_.buffers.size(); ++steps) {
      const Buffer& own = program_.buffers[b];
      dims(own.dims);
      dims(own.strides);
      if (own.storage != Buffer::Storage::View) return;
      dim(own.offset);
      b = own.base;
    }
  }

  void expression(const Expr& e) {
    if (!seen_.insert(e.get()).second) return;
    if (e->op == ExprOp::Index) dim(e->dim);
    for (const Expr& a : e->args) expression(a);
  }

  void block(const Block& statements) {
    for_each_expr(statements, [this](const Expr& e) { expression(e); });
    for (const Stmt& stmt : statements) {
      if (const auto* loop = std::get_if<For>(&stmt.node)) {
        dim(loop->var.extent);
        block(loop->body);
      }
      if (const auto* reduce = std::get_if<Reduce>(&stmt.node))
        for (const LoopVar& var : reduce->vars) dim(var.extent);
      if (const auto* call = std::get_if<KernelCall>(&stmt.node)) add_node(*call);
    }
  }

  void add_node(const KernelCall& call) {
    for (const Argument& argument : call.arguments)
      if (const auto* value = std::get_if<Dim>(&argument.value)) dim(*value);
    if (call.meetings) dim(*call.meetings);
    for (const auto* operands : {&call.outs, &call.inouts, &call.ins})
      for (const Operand& operand : *operands)
        for (const Expr& index : operand.at) expression(index);
  }
  void add_node(const Nest& nest) { block(nest.body); }
  void add_node(const ScalarDef& def) {
    if (const auto* value = std::get_if<Dim>(&def.value)) dim(*value);
    if (const auto* element = std::get_if<ScalarDef::Element>(&def.value)) dim(element->index);
  }
  void add_node(const Alloc&) {}
  void add_node(const Barrier&) {}
  void add_node(const Require& require) { dim(require.value); }
  void add_node(const If& node) {
    for (const Region* region : {&node.then_region, &node.else_region})
      for (const Operation& op : region->ops) add(op);
  }
  void add_node(const Loop& node) {
    if (node.trip_count) dim(*node.trip_count);
    for (const Operation& op : node.body.ops) add(op);
  }

  const Program& program_;
  std::set<std::string>& out_;
  std::unordered_set<const ExprNode*> seen_;
};

}  // namespace

void collect_symbols(const Program& program, const Operation& op, std::set<std::string>& out) {
  SymbolCollector(program, out).add(op);
}

}  // namespace onnxc
