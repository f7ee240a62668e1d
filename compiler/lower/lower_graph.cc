// Graph -> Program, the walk over the nodes. See graph_lowering.h.
#include <algorithm>

#include "compiler/lower/graph_lowering.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/op_context.h"

namespace onnxc {

namespace {

constexpr int64_t kLikelyDim = 128;  // of an input, not its first

// Whether some values of the symbols make it negative, as far as can be told.
bool may_be_negative(const Dim& dim) {
  if (dim.is_overflow()) return false;
  Dim::Folder<bool> folder;
  folder.constant = [](int64_t v) { return v < 0; };
  folder.symbol = [](const std::string& name) { return name.front() == '~'; };
  folder.binary = [](char op, bool a, bool b) { return op == '%' ? false : op == 'M' ? a && b : a || b; };
  return dim.fold(folder);
}

}  // namespace

std::string GraphLowering::fresh(const std::string& stem) {
  for (;;) {
    std::string name = stem + std::to_string(next_name_++);
    if (!symbols_.contains(name)) return name;
  }
}

void GraphLowering::require_non_negative(const Dim& value, const std::string& message) {
  if (!may_be_negative(value) || !requirements_.insert(value.str()).second) return;
  Operation op;
  op.node = Require{value, message};
  prologue_.push_back(std::move(op));
}

void GraphLowering::require_equal(const Dim& a, const Dim& b, const std::string& message) {
  if (a != b) require_non_negative(Dim::min(a - b, b - a), message);
}

void GraphLowering::add_inputs() {
  std::set<std::string> defined;
  const auto define = [&](const std::string& name, BufferId input, size_t axis) {
    Operation op;
    op.node = ScalarDef{name, ScalarDef::DimOf{input, static_cast<int64_t>(axis)}};
    program_.ops.push_back(std::move(op));
    // The first dim is a batch, most often of one.
    program_.likely[name] = axis == 0 && program_.buffers[input].dims.size() > 1 ? 1 : kLikelyDim;
  };
  for (const Value* v : graph_.inputs)
    for (const Dim& dim : *v->type.shape) dim.collect_symbols(symbols_);
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const Value* v = graph_.inputs[i];
    Buffer b;
    b.name = v->name;
    b.elem = v->type.elem;
    b.dims = *v->type.shape;
    b.storage = Buffer::Storage::Input;
    b.index = static_cast<int64_t>(i);
    const BufferId id = program_.add_buffer(b);
    set_home(v, {}, b.dims.size(), id);
    ProgramValue pv{v->name, b.elem, {}, b.dims, id};
    for (size_t d = 0; d < b.dims.size(); ++d) {
      const auto symbol = b.dims[d].as_symbol();
      pv.dim_names.push_back(symbol.value_or(""));
      if (b.dims[d].is_const()) continue;
      if (symbol && defined.insert(*symbol).second) {
        define(*symbol, id, d);
        continue;
      }
      const std::string own = fresh(v->name + ".");
      define(own, id, d);
      require_equal(Dim::symbol(own), b.dims[d],
                    "dim " + std::to_string(d) + " of input '" + v->name + "' is not what other inputs make of \"" +
                        b.dims[d].str() + "\"");
    }
    program_.inputs.push_back(std::move(pv));
  }
}

Operation& GraphLowering::emit(Operation op, const Node* origin) {
  if (origin) {
    if (!origin->origins.empty())
      op.origins = origin->origins;
    else
      op.origins = {origin->name.empty() ? origin->op : origin->name};
  }
  if (auto* nest = std::get_if<Nest>(&op.node)) {
    name_shared_subexpressions(nest->body, [this] { return fresh("t"); });
    auto pairs = in_place_candidates(program_, nest->body);
    op.in_place.insert(op.in_place.end(), pairs.begin(), pairs.end());
  }
  program_.ops.push_back(std::move(op));
  return program_.ops.back();
}

namespace {

// What a Program can compute today: tensors of numbers whose shapes follow from those of the inputs.
Status check_output(const Graph& graph, const Node& node, const Value& out) {
  const std::string what = "output \"" + out.name + "\" has the type " + out.type.str();
  if (!out.type.is_tensor() || !out.type.shape)
    return Error(ErrorKind::Unsupported, what + "; only tensors of known rank are supported yet", node.where());
  if (out.type.elem == Elem::String || out.type.elem == Elem::C64 || out.type.elem == Elem::C128)
    return Error(ErrorKind::Unsupported, what + "; strings and complex numbers are not supported yet", node.where());
  if (is_static(*out.type.shape)) return ok();
  std::set<std::string> used, given;
  for (const Dim& d : *out.type.shape) d.collect_symbols(used);
  for (const Value* input : graph.inputs)
    if (input->type.shape)
      for (const Dim& d : *input->type.shape) d.collect_symbols(given);
  for (const std::string& symbol : used)
    if (!given.contains(symbol))
      return Error(ErrorKind::Unsupported, what + ", which depends on values that are known only at run time",
                   node.where(), "make the inputs that its shape is computed from constant");
  return ok();
}

}  // namespace

Status GraphLowering::lower_node(const Node& node) {
  const OpDef* def = find_op(node.domain, node.op);
  const std::string full = (node.domain.empty() ? "" : node.domain + ".") + node.op;
  if (!def || (!def->compute && !def->lower))
    return Error(ErrorKind::Unsupported, "operator " + full + " is not supported yet", node.where());
  for (const Value* out : node.outputs())
    if (out) ONNXC_TRY(check_output(graph_, node, *out));
  if (def->view) {
    OpContext context(*this, node);
    ONNXC_ASSIGN(const bool done, def->view(context));
    if (done) return ok();
  }
  // Whatever decomposes has done so, if the pass was not disabled.
  if (def->compute && (!def->compute_if || def->compute_if(node))) return lower_compute(node, *def);
  if (!def->lower || (def->lower_if && !def->lower_if(node)))
    return Error(ErrorKind::Unsupported, "operator " + full + " is not supported with these types or attributes yet",
                 node.where());
  OpContext context(*this, node);
  ONNXC_TRY(def->lower(context));
  return context.status();
}

Status GraphLowering::finish_outputs() {
  for (size_t i = 0; i < graph_.outputs.size(); ++i) {
    const Value* v = graph_.outputs[i];
    ONNXC_ASSIGN(BufferId b, home(v, {}));
    const Buffer& have = program_.buffers[b];
    if (have.storage != Buffer::Storage::Output || have.index != static_cast<int64_t>(i)) {
      Buffer out;
      out.name = v->name;
      out.elem = v->type.elem;
      out.dims = *v->type.shape;
      out.storage = Buffer::Storage::Output;
      out.index = static_cast<int64_t>(i);
      const BufferId id = program_.add_buffer(std::move(out));
      copy(b, id, *v->type.shape, v->producer);
      b = id;
    }
    ProgramValue pv{v->name, v->type.elem, {}, *v->type.shape, b};
    for (const Dim& d : pv.dims) pv.dim_names.push_back(d.as_symbol().value_or(""));
    program_.outputs.push_back(std::move(pv));
  }
  return ok();
}

Result<Program> GraphLowering::run() {
  program_.name = graph_.name;
  program_.metadata = graph_.metadata;
  for (const auto& value : graph_.values())
    if (value->is_constant()) model_bytes_ += static_cast<int64_t>(value->constant->bytes());
  std::vector<Diagnostic> problems;
  for (const Value* v : graph_.inputs)
    if (v->type.is_tensor() &&
        (v->type.elem == Elem::String || v->type.elem == Elem::C64 || v->type.elem == Elem::C128))
      problems.push_back({ErrorKind::Unsupported, "input \"" + v->name + "\"",
                          "its type is " + v->type.str() + "; strings and complex numbers are not supported yet", ""});
    else if (!v->type.is_tensor() || !v->type.shape)
      problems.push_back({ErrorKind::Unsupported, "input \"" + v->name + "\"",
                          "its type is " + v->type.str() + "; only tensors of known rank are supported yet",
                          "give its shape: --shape " + v->name + "=..."});
  if (!problems.empty()) return Error(std::move(problems));
  add_inputs();
  for (const auto& node : graph_.nodes()) {
    if (Status s = lower_node(*node); !s.ok()) {
      // Later nodes are still looked at for operators without any lowering, so that all are listed in one go.
      for (const Diagnostic& d : s.error().diagnostics()) problems.push_back(d);
      if (s.error().kind() != ErrorKind::Unsupported) return Error(std::move(problems));
      break;
    }
  }
  if (!problems.empty()) {
    std::set<std::string> seen;
    for (const Diagnostic& d : problems) seen.insert(d.where);
    for (const auto& node : graph_.nodes()) {
      const OpDef* def = find_op(node->domain, node->op);
      if (def && (def->compute || def->lower)) continue;
      if (seen.insert(node->where()).second)
        problems.push_back(
            {ErrorKind::Unsupported, node->where(), "operator " + node->op + " is not supported yet", ""});
    }
    return Error(std::move(problems));
  }
  ONNXC_TRY(finish_outputs());
  for (const auto& [value, message] : graph_.requirements) {
    std::set<std::string> used;
    value.collect_symbols(used);
    // A symbol that shapes no longer use was the name of a value before it became known.
    if (std::ranges::includes(symbols_, used)) require_non_negative(value, message);
  }
  for (const Buffer& b : program_.buffers)
    for (const Dim& dim : b.dims)
      require_non_negative(dim, "these inputs are too small: \"" + b.name + "\" would have a dim of " + dim.str());
  program_.ops.insert(program_.ops.begin() + static_cast<std::ptrdiff_t>(prologue_size(program_)),
                      std::make_move_iterator(prologue_.begin()), std::make_move_iterator(prologue_.end()));
  return std::move(program_);
}

Result<Program> lower(const Graph& graph, const Target& target, const Options& options) {
  return GraphLowering(graph, target, options).run();
}

}  // namespace onnxc
