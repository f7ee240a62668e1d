// verify_program, second part: a walk over the operations that keeps what is defined, allocated and written.
#include "compiler/ir/verify_program.h"

#include <algorithm>
#include <unordered_set>

#include "compiler/ir/verify_program_parts.h"

namespace onnxc {
namespace {

std::string kind_of(const Operation& op) {
  static constexpr const char* kNames[] = {"call", "nest", "scalar", "alloc", "if", "loop", "barrier", "require"};
  std::string text = kNames[op.node.index()];
  if (const auto* call = std::get_if<KernelCall>(&op.node)) text += " " + call->kernel;
  return text;
}

std::string where_of(const Operation& op, int64_t number) {
  std::string text = "operation #" + std::to_string(number) + " (" + kind_of(op);
  for (size_t i = 0; i < op.origins.size(); ++i) text += (i ? ", \"" : ", from \"") + op.origins[i] + "\"";
  return text + ")";
}

// Which memory holds something, at a point of the Program; by storage root.
struct State {
  std::unordered_set<BufferId> written, allocated;
};

class OperationVerifier {
 public:
  explicit OperationVerifier(const Program& program) : program_(program), scope_{program, {}, {}, {}} {
    for (const ProgramValue& input : program.inputs)
      for (const Dim& dim : input.dims) dim.collect_symbols(scope_.symbols);
    for (BufferId b = 0; b < program.buffers.size(); ++b) {
      const Buffer& buffer = program.buffers[b];
      if (buffer.storage == Buffer::Storage::Input || buffer.storage == Buffer::Storage::Constant)
        state_.written.insert(b);
      if (buffer.alias_of != kNoBuffer) state_.written.insert(b);
    }
    for (const ProgramValue& input : program.inputs) state_.written.insert(input.buffer);
  }

  Status run() {
    ONNXC_TRY(list(program_.ops));
    for (const ProgramValue& output : program_.outputs)
      if (!state_.written.contains(storage_root(program_, output.buffer)))
        return Error(ErrorKind::Internal, "is never written", "output \"" + output.name + "\"");
    return ok();
  }

 private:
  Status list(const std::vector<Operation>& ops) {
    for (const Operation& op : ops) {
      const int64_t number = number_++;
      if (Status status = operation(op); !status.ok()) {
        Error error = std::move(status).error();
        return std::move(error).at(where_of(op, number));
      }
    }
    return ok();
  }

  Status operation(const Operation& op) {
    ONNXC_TRY(std::visit([this](const auto& node) { return check(node); }, op.node));
    if (op.partition) ONNXC_TRY(partition(op, *op.partition));
    return in_place(op);
  }

  // ---- reading and writing ----

  // The buffer's own dims must be known where it is used.
  Status known_dims(BufferId b) const {
    const std::string what = "a dim of " + scope_.name(b);
    for (const Dim& dim : program_.buffers[b].dims) ONNXC_TRY(scope_.check_dim(dim, what));
    for (const Dim& dim : program_.buffers[b].strides) ONNXC_TRY(scope_.check_dim(dim, what));
    return scope_.check_dim(program_.buffers[b].offset, "the offset of " + scope_.name(b));
  }

  Status read(BufferId b) const {
    ONNXC_TRY(scope_.check_buffer(b));
    ONNXC_TRY(known_dims(b));
    const BufferId root = storage_root(program_, b);
    return state_.written.contains(root) ? ok() : Status(scope_.bug(scope_.name(b) + " is read before it is written"));
  }

  Status write(BufferId b) {
    ONNXC_TRY(scope_.check_buffer(b));
    ONNXC_TRY(known_dims(b));
    const BufferId root = storage_root(program_, b);
    const Buffer::Storage storage = program_.buffers[root].storage;
    if (storage == Buffer::Storage::Input || storage == Buffer::Storage::Constant)
      return scope_.bug(scope_.name(b) + " is written, and is " +
                        (storage == Buffer::Storage::Input ? "an input" : "a constant"));
    if (storage == Buffer::Storage::Dynamic && !state_.allocated.contains(root))
      return scope_.bug(scope_.name(b) + " is written before it is allocated");
    state_.written.insert(root);
    return ok();
  }

  // Results and carried values of regions receive contents, and, where they own their memory, memory and dims: symbols
  // that nobody has defined are defined by them.
  Status receive(BufferId b) {
    ONNXC_TRY(scope_.check_buffer(b));
    if (owns_memory(program_.buffers[b]))
      for (const Dim& dim : program_.buffers[b].dims)
        if (const auto symbol = dim.as_symbol()) scope_.symbols.insert(*symbol);
    state_.allocated.insert(storage_root(program_, b));
    return write(b);
  }

  Status check_effects(const Operation& op) {
    const Effects effects = effects_of(op);
    std::unordered_set<BufferId> own;
    if (const auto* call = std::get_if<KernelCall>(&op.node)) own.insert(call->scratch.begin(), call->scratch.end());
    if (const auto* nest = std::get_if<Nest>(&op.node)) collect_own(nest->body, own);
    for (BufferId b : effects.reads)
      if (!own.contains(storage_root(program_, b))) ONNXC_TRY(read(b));
    for (BufferId b : effects.writes) ONNXC_TRY(write(b));
    return ok();
  }

  // What a nest may read although nobody wrote it before: its calls' scratch, and what it writes itself.
  void collect_own(const Block& block, std::unordered_set<BufferId>& own) const {
    for (const Stmt& s : block) {
      if (const auto* loop = std::get_if<For>(&s.node)) collect_own(loop->body, own);
      if (const auto* store = std::get_if<Store>(&s.node)) own.insert(storage_root(program_, store->buffer));
      if (const auto* call = std::get_if<KernelCall>(&s.node)) {
        own.insert(call->scratch.begin(), call->scratch.end());
        for (const Operand& o : call->outs) own.insert(storage_root(program_, o.buffer));
      }
    }
  }

  // ---- operations ----

  Status check(const KernelCall& call) {
    ONNXC_TRY(scope_.check_call(call, false));
    return check_effects({call, {}, {}, {}});
  }

  Status check(const Nest& nest) {
    ONNXC_TRY(verify_block(nest.body, scope_));
    return check_effects({nest, {}, {}, {}});
  }

  Status check(const ScalarDef& def) {
    if (const auto* dim = std::get_if<ScalarDef::DimOf>(&def.value)) {
      ONNXC_TRY(scope_.check_buffer(dim->buffer));
      const Shape& dims = program_.buffers[dim->buffer].dims;
      if (dim->axis < 0 || dim->axis >= static_cast<int64_t>(dims.size()))
        return scope_.bug(scope_.name(dim->buffer) + " has no dim " + std::to_string(dim->axis));
      // `scalar N = dim(%x, 0)` may say of an input x: f32[N] what its dims say already.
      if (dims[static_cast<size_t>(dim->axis)].as_symbol() == def.name) return scope_.symbols.insert(def.name), ok();
    } else if (const auto* element = std::get_if<ScalarDef::Element>(&def.value)) {
      ONNXC_TRY(read(element->buffer));
      if (!is_int(program_.buffers[element->buffer].elem))
        return scope_.bug("a scalar is read from " + scope_.name(element->buffer) + ", which holds no integers");
      ONNXC_TRY(scope_.check_dim(element->index, "the element's index"));
    } else {
      ONNXC_TRY(scope_.check_dim(std::get<Dim>(def.value), "the scalar's value"));
    }
    return define(def.name);
  }

  Status define(const std::string& name) {
    if (name.empty()) return scope_.bug("a scalar has no name");
    return scope_.symbols.insert(name).second ? ok() : Status(scope_.bug("scalar " + name + " is defined twice"));
  }

  Status check(const Alloc& alloc) {
    ONNXC_TRY(scope_.check_buffer(alloc.buffer));
    if (program_.buffers[alloc.buffer].storage != Buffer::Storage::Dynamic)
      return scope_.bug(scope_.name(alloc.buffer) + " is allocated, and is not dynamic");
    state_.allocated.insert(alloc.buffer);
    return known_dims(alloc.buffer);
  }

  Status check(const Barrier&) { return ok(); }
  Status check(const Require& require) { return scope_.check_dim(require.value, "the required value"); }

  Status check_condition(BufferId b) const {
    ONNXC_TRY(read(b));
    const Buffer& buffer = program_.buffers[b];
    if (buffer.elem != Elem::Bool || numel(buffer.dims) != Dim(1))
      return scope_.bug("condition " + scope_.name(b) + " is not one bool");
    return ok();
  }

  static bool owns_memory(const Buffer& b) {
    return b.storage == Buffer::Storage::Dynamic || b.storage == Buffer::Storage::Handle;
  }

  // `to` takes the value of `from`: by copy, which wants equal dims, or, when `to` owns its memory, by move or resized
  // copy.
  Status transfer(BufferId from, BufferId to) const {
    ONNXC_TRY(scope_.check_buffer(from));
    ONNXC_TRY(scope_.check_buffer(to));
    const Buffer &a = program_.buffers[from], &b = program_.buffers[to];
    if (a.elem != b.elem)
      return scope_.bug(scope_.name(from) + " becomes " + scope_.name(to) + ", of another element type");
    if ((a.storage == Buffer::Storage::Handle) != (b.storage == Buffer::Storage::Handle))
      return scope_.bug(scope_.name(from) + " becomes " + scope_.name(to) + ": a handle and a tensor");
    if (!owns_memory(b) && a.dims != b.dims)
      return scope_.bug(scope_.name(from) + ", " + shape_str(a.dims) + ", becomes " + scope_.name(to) + ", " +
                        shape_str(b.dims) + ", which does not own its memory");
    return ok();
  }

  // Runs a region in a scope of its own, checks its yields, and leaves the state as it was; gives the state at its end.
  Result<State> region(const Region& r) {
    const VerifyScope outer = scope_;
    const State before = state_;
    ONNXC_TRY(list(r.ops));
    for (BufferId b : r.yields) ONNXC_TRY(read(b));
    State end = std::move(state_);
    state_ = before;
    scope_.symbols = outer.symbols;
    return end;
  }

  Status check(const If& node) {
    ONNXC_TRY(check_condition(node.condition));
    State ends[2];
    const Region* regions[] = {&node.then_region, &node.else_region};
    for (int i = 0; i < 2; ++i) {
      const Region& r = *regions[i];
      if (!r.args.empty() || !r.scalar_args.empty()) return scope_.bug("a branch has arguments");
      if (r.yields.size() != node.results.size())
        return scope_.bug("a branch yields " + std::to_string(r.yields.size()) + " values for " +
                          std::to_string(node.results.size()) + " results");
      ONNXC_ASSIGN(ends[i], region(r));
      for (size_t k = 0; k < r.yields.size(); ++k) ONNXC_TRY(transfer(r.yields[k], node.results[k]));
    }
    for (BufferId b : ends[0].written)
      if (ends[1].written.contains(b)) state_.written.insert(b);
    for (BufferId b : ends[0].allocated)
      if (ends[1].allocated.contains(b)) state_.allocated.insert(b);
    for (BufferId b : node.results) ONNXC_TRY(receive(b));
    return ok();
  }

  Status check(const Loop& node) {
    if (!node.trip_count && node.condition == kNoBuffer)
      return scope_.bug("the loop has neither a trip count nor a condition");
    if (node.trip_count) ONNXC_TRY(scope_.check_dim(*node.trip_count, "the trip count"));
    if (node.condition != kNoBuffer) ONNXC_TRY(check_condition(node.condition));
    ONNXC_TRY(loop_counts(node));
    const VerifyScope outer = scope_;
    const State before = state_;
    for (const std::string& name : node.body.scalar_args) ONNXC_TRY(define(name));
    for (size_t i = 0; i < node.inits.size(); ++i) {
      ONNXC_TRY(read(node.inits[i]));
      ONNXC_TRY(transfer(node.inits[i], node.body.args[i]));
      ONNXC_TRY(receive(node.body.args[i]));
    }
    ONNXC_ASSIGN(const State end, region(node.body));
    const size_t first = node.condition != kNoBuffer;
    for (size_t i = 0; i < node.inits.size(); ++i) {
      ONNXC_TRY(transfer(node.body.yields[first + i], node.body.args[i]));
      ONNXC_TRY(transfer(node.body.args[i], node.results[i]));
    }
    for (size_t i = node.inits.size(); i < node.results.size(); ++i)
      ONNXC_TRY(scan(node.body.yields[first + i], node.results[i]));
    state_ = before;
    scope_.symbols = outer.symbols;
    for (BufferId b : node.results) ONNXC_TRY(receive(b));
    return ok();
  }

  Status loop_counts(const Loop& node) const {
    const size_t conditions = node.condition != kNoBuffer;
    if (node.body.scalar_args.size() > 1) return scope_.bug("a loop body has one scalar argument, the turn's number");
    if (node.inits.size() != node.body.args.size()) return scope_.bug("the loop has as many initial as carried values");
    if (node.results.size() < node.inits.size()) return scope_.bug("the loop has fewer results than carried values");
    if (node.body.yields.size() != conditions + node.results.size())
      return scope_.bug("the loop body yields " + std::to_string(node.body.yields.size()) + " values where " +
                        std::to_string(conditions + node.results.size()) + " are wanted");
    if (!conditions) return ok();
    const BufferId go = node.body.yields[0];
    ONNXC_TRY(scope_.check_buffer(go));
    const bool is_bool = program_.buffers[go].elem == Elem::Bool && numel(program_.buffers[go].dims) == Dim(1);
    return is_bool ? ok() : Status(scope_.bug(scope_.name(go) + ", the condition to go on, is not one bool"));
  }

  // Each turn's value is a row of the result.
  Status scan(BufferId from, BufferId to) const {
    ONNXC_TRY(scope_.check_buffer(from));
    ONNXC_TRY(scope_.check_buffer(to));
    const Buffer &a = program_.buffers[from], &b = program_.buffers[to];
    if (a.elem != b.elem || b.dims.size() != a.dims.size() + 1)
      return scope_.bug("scan value " + scope_.name(from) + " is no row of " + scope_.name(to));
    return ok();
  }

  // ---- what surrounds an operation ----

  Status partition(const Operation& op, const Partition& p) const {
    ONNXC_TRY(scope_.check_dim(p.extent, "the partition's extent"));
    if (p.grain < 1 || p.parts < 0 || p.halo_before < 0 || p.halo_after < 0)
      return scope_.bug("the partition's grain, parts or halo is out of range");
    if (const auto* nest = std::get_if<Nest>(&op.node)) return verify_nest_partition(*nest, p, scope_);
    if (std::holds_alternative<KernelCall>(op.node)) return ok();
    return scope_.bug("only kernel calls and nests are partitioned");
  }

  Status in_place(const Operation& op) const {
    const Effects effects = op.in_place.empty() ? Effects{} : effects_of(op);
    const auto has = [](const std::vector<BufferId>& list, BufferId b) {
      return std::find(list.begin(), list.end(), b) != list.end();
    };
    for (const auto& [written, read] : op.in_place) {
      ONNXC_TRY(scope_.check_buffer(written));
      ONNXC_TRY(scope_.check_buffer(read));
      if (!has(effects.writes, written)) return scope_.bug(scope_.name(written) + " is in place and not written");
      if (!has(effects.reads, read)) return scope_.bug(scope_.name(read) + " is in place and not read");
      if (elem_size(program_.buffers[written].elem) != elem_size(program_.buffers[read].elem))
        return scope_.bug(scope_.name(written) + " in place of " + scope_.name(read) +
                          ", whose elements have another size");
    }
    return ok();
  }

  const Program& program_;
  VerifyScope scope_;
  State state_;
  int64_t number_ = 0;  // in the order of LiveRange
};

}  // namespace

Status verify_program(const Program& program) {
  ONNXC_TRY(verify_buffers(program));
  return OperationVerifier(program).run();
}

}  // namespace onnxc
