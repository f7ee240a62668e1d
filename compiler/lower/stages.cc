// Scalars that only a run knows, and what it requires of them. See graph_lowering.h.
#include <algorithm>

#include "compiler/lower/graph_lowering.h"

namespace onnxc {
namespace {

std::set<std::string> symbols_of(const Dim& dim) {
  std::set<std::string> symbols;
  dim.collect_symbols(symbols);
  return symbols;
}

// Threads wait at each stage, so there are as few as can be: Scalars wait for the first operation that needs one of
// them.
class Arranger {
 public:
  // `named`: symbols for expressions, to be defined where these are known.
  Arranger(Program& program, std::vector<Operation> required, std::map<std::string, Dim> named)
      : program_(program), required_(std::move(required)), named_(std::move(named)) {}

  void run() {
    std::vector<Operation> ops = std::move(program_.ops);
    size_t at = 0;
    for (; at < ops.size() && is_of_inputs(ops[at]); ++at) add_scalar(std::move(ops[at]));
    add_what_follows();
    for (; at < ops.size(); ++at) {
      if (const auto* def = std::get_if<ScalarDef>(&ops[at].node)) {
        waiting_names_.insert(def->name);
        waiting_.push_back(std::move(ops[at]));
        continue;
      }
      if (needs_waiting(ops[at])) end_wait();
      program_.ops.push_back(std::move(ops[at]));
    }
    if (!waiting_.empty()) end_wait();
  }

 private:
  bool is_of_inputs(const Operation& op) const {
    const auto* def = std::get_if<ScalarDef>(&op.node);
    if (!def) return false;
    if (const auto* dim = std::get_if<ScalarDef::DimOf>(&def->value)) return is_input(dim->buffer);
    if (const auto* element = std::get_if<ScalarDef::Element>(&def->value)) return is_input(element->buffer);
    return true;
  }
  bool is_input(BufferId b) const { return program_.buffers[b].storage == Buffer::Storage::Input; }

  bool needs_waiting(const Operation& op) const {
    if (waiting_.empty()) return false;
    std::set<std::string> used;
    collect_symbols(program_, op, used);
    return std::ranges::any_of(
        used, [this](const std::string& s) { return waiting_names_.contains(s) || named_.contains(s); });
  }

  void add_scalar(Operation op) {
    known_.insert(std::get<ScalarDef>(op.node).name);
    program_.ops.push_back(std::move(op));
  }

  void add_what_follows() {
    for (bool more = true; more;) {
      more = false;
      for (auto it = named_.begin(); it != named_.end();) {
        if (!std::ranges::includes(known_, symbols_of(it->second))) {
          ++it;
          continue;
        }
        Operation op;
        op.node = ScalarDef{it->first, it->second};
        add_scalar(std::move(op));
        it = named_.erase(it);
        more = true;
      }
    }
    for (Operation& op : required_) {
      auto* require = std::get_if<Require>(&op.node);
      if (require->message.empty() || !std::ranges::includes(known_, symbols_of(require->value))) continue;
      program_.ops.push_back(op);
      require->message.clear();  // stands
    }
  }

  void end_wait() {
    for (Operation& op : waiting_) add_scalar(std::move(op));
    waiting_.clear();
    waiting_names_.clear();
    add_what_follows();
  }

  Program& program_;
  std::vector<Operation> required_, waiting_;
  std::map<std::string, Dim> named_;  // not defined yet
  std::set<std::string> known_, waiting_names_;
};

}  // namespace

Status GraphLowering::arrange_stages() {
  for (const auto& [value, message] : graph_.requirements) {
    // A symbol that nothing tells any more was the name of a value before it became known.
    const auto told = [this](const std::string& s) { return symbols_.contains(s) || element_names_.contains(s); };
    if (std::ranges::all_of(symbols_of(value), told)) require_non_negative(value, message);
  }
  for (const Buffer& b : program_.buffers)
    for (const Dim& dim : b.dims)
      require_non_negative(dim, "these inputs are too small: \"" + b.name + "\" would have a dim of " + dim.str());
  std::set<std::string> used;
  for (const Operation& op : program_.ops) collect_symbols(program_, op, used);
  for (const Operation& op : required_) collect_symbols(program_, op, used);
  for (const ProgramValue& output : program_.outputs)
    for (const Dim& dim : output.dims) dim.collect_symbols(used);
  std::map<std::string, Dim> named;
  for (bool more = true; more;) {
    more = false;
    for (const auto& [dim, name] : graph_.named_dims) {
      if (!used.contains(name) || !named.emplace(name, dim).second) continue;
      dim.collect_symbols(used);
      if (name.front() != '~') require_non_negative(dim, "these inputs are too small: a dim would be negative");
      more = true;
    }
  }
  for (const auto* names : {&element_names_, &inner_names_})
    std::ranges::set_difference(*names, defined_, std::inserter(missing_, missing_.end()));
  std::erase_if(missing_, [&](const std::string& name) { return !used.contains(name); });
  if (std::ranges::includes(needed_, missing_)) {
    if (!missing_.empty())
      return Error(ErrorKind::Internal, "nothing defines " + *missing_.begin() + ", which is needed");
    Arranger(program_, std::move(required_), std::move(named)).run();
  }
  return ok();
}

Status GraphLowering::define_dims(const Node& node, const OpDef& def) {
  for (size_t o = 0; o < node.num_outputs(); ++o) {
    if (!node.output(o)) continue;
    ONNXC_ASSIGN(const auto dims, dims_of(node, def, o));
    for (const auto& [dim, expression] : dims) {
      const auto name = dim.as_symbol();
      if (!name || name->front() == '~' || defined_.contains(*name)) continue;
      Buffer b;
      b.name = fresh("count");
      b.elem = Elem::I64;
      b.dims = {Dim(1)};
      const BufferId buffer = program_.add_buffer(std::move(b));
      const Expr value = expr::binary(ExprOp::Max, expression, expr::index(Dim(0)));  // no extent is negative
      emit(nest_over(
               {Dim(1)}, [this] { return fresh("i"); },
               [&](std::span<const Expr> idx) {
                 return Block{Stmt{Store{buffer, {idx.begin(), idx.end()}, value, nullptr}}};
               }),
           &node);
      define(*name, buffer, 0, &node);
    }
  }
  return ok();
}

}  // namespace onnxc
