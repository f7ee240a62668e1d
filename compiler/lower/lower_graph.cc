// Graph -> Program, the walk over the nodes. See graph_lowering.h.
#include <algorithm>

#include "compiler/lower/graph_lowering.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/op_context.h"

namespace onnxc {

namespace {

constexpr int64_t kLikelyDim = 128;  // of an input, not its first

// What a run most likely makes of a dim of an input: the first is a batch, most often of one; the last two after the
// few channels of a picture are pixels.
int64_t likely_input_dim(const Shape& dims, size_t axis) {
  constexpr int64_t kLikelyPixels = 320, kMostColours = 4;
  if (axis == 0 && dims.size() > 1) return 1;
  const bool picture = dims.size() == 4 && dims[1].is_const() && dims[1].value() <= kMostColours;
  return picture ? kLikelyPixels : kLikelyDim;
}

std::optional<HeldValues> held_by(const Type& type) {
  if (type.is_tensor()) return std::nullopt;
  HeldValues held;
  held.optional = type.kind == Type::Kind::Optional;
  const Type& inner = held.optional ? *type.inner : type;
  held.sequence = inner.kind == Type::Kind::Sequence;
  const Type& element = held.sequence ? *inner.inner : inner;
  held.elem = element.elem;
  held.dims = element.shape;
  return held;
}

// Why a value of this type cannot be in a Program yet; empty: it can.
std::string unsupported_type(const Type& type) {
  const bool list = type.kind == Type::Kind::Sequence || type.kind == Type::Kind::Optional;
  const Type* element = &type;
  while (element->inner) element = element->inner.get();
  if (!element->is_tensor() || type.kind == Type::Kind::Map)
    return "only tensors, sequences and optionals are supported";
  if (!list && !type.shape) return "only tensors of known rank are supported yet";
  if (list && (is_sub_byte(element->elem) || element->elem == Elem::String))
    return "strings and elements below one byte are not supported yet in a sequence or optional";
  if (element->elem == Elem::C64 || element->elem == Elem::C128) return "complex numbers are not supported yet";
  return {};
}

}  // namespace

std::string GraphLowering::fresh(const std::string& stem) {
  for (;;) {
    std::string name = stem + std::to_string(next_name_++);
    if (!symbols_.contains(name)) return name;
  }
}

void GraphLowering::require_non_negative(const Dim& value, const std::string& message) {
  if (value.is_overflow() || value.known_non_negative()) return;
  if (is_told_within(value)) {
    if (!around_.empty()) require_here(value, message);
    return;
  }
  if (!requirements_.insert(value.str()).second) return;
  Operation op;
  op.node = Require{value, message};
  required_.push_back(std::move(op));
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
    defined_.insert(name);
    program_.likely[name] = likely_input_dim(program_.buffers[input].dims, axis);
  };
  for (const Value* v : graph_.inputs) {
    const Type stored = v->type.stored();
    for (const Dim& dim : *stored.shape) dim.collect_symbols(symbols_);
  }
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const Value* v = graph_.inputs[i];
    Buffer b;
    b.name = v->name;
    const Type stored = v->type.stored();
    b.elem = stored.elem;
    b.dims = *stored.shape;
    b.storage = Buffer::Storage::Input;
    b.index = static_cast<int64_t>(i);
    const BufferId id = program_.add_buffer(b);
    set_home(v, {}, b.dims.size(), id);
    ProgramValue pv{v->name, b.elem, {}, b.dims, id, held_by(v->type)};
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
  for (const Value* v : graph_.inputs) (void)define_elements(*v);  // they lie in memory already
}

namespace {

// Symbols that values of `graph` can tell: elements that they are known to hold, and dims that their operators define.
void add_told(const Graph& graph, std::set<std::string>& names) {
  const auto add = [&](const Value* v) {
    if (!v || !v->contents || v->type.shape->size() > 1) return;
    for (const Dim& element : *v->contents)
      if (const auto name = element.as_symbol(); name && name->front() == '~') names.insert(*name);
  };
  for (const Value* v : graph.inputs) add(v);
  for (const auto& node : graph.nodes()) {
    for (const Value* v : node->outputs()) add(v);
    const OpDef* def = find_op(node->domain, node->op);
    if (!def || !(def->dims || def->defines_dims)) continue;
    for (const Value* v : node->outputs())
      if (v && v->type.shape)
        for (const Dim& d : *v->type.shape)
          if (const auto name = d.as_symbol()) names.insert(*name);
  }
}

void add_told_within(const Graph& graph, std::set<std::string>& names) {
  for (const auto& node : graph.nodes())
    for (const Graph* inner : node->subgraphs()) {
      add_told(*inner, names);
      add_told_within(*inner, names);
    }
}

}  // namespace

void GraphLowering::find_element_names() {
  add_told(graph_, element_names_);
  for (const auto& [dim, name] : graph_.named_dims) {
    element_names_.insert(name);
    defined_.insert(name);
  }
  add_told_within(graph_, inner_names_);
  for (const std::string& name : element_names_) inner_names_.erase(name);
}

void GraphLowering::define(const std::string& name, BufferId buffer, int64_t element, const Node* origin) {
  if (!defined_.insert(name).second) return;
  const Dim stride = program_.buffers[buffer].dims.empty() ? Dim(0) : program_.buffers[buffer].effective_strides()[0];
  Operation op;
  op.node = ScalarDef{name, ScalarDef::Element{buffer, Dim(element) * stride}};
  emit(std::move(op), origin);
  if (around_.empty()) return;
  told_within_.insert(name);
  require_within();
}

Status GraphLowering::define_elements(const Value& value) {
  if (!value.contents || !value.type.shape || value.type.shape->size() > 1) return ok();
  for (size_t i = 0; i < value.contents->size(); ++i) {
    const auto name = (*value.contents)[i].as_symbol();
    if (!name || !needed_.contains(*name) || defined_.contains(*name)) continue;
    ONNXC_ASSIGN(const BufferId buffer, home(&value, {}));
    define(*name, buffer, static_cast<int64_t>(i), value.producer);
  }
  return ok();
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
  if (!around_.empty()) allocate_within(op);
  program_.ops.push_back(std::move(op));
  return program_.ops.back();
}

// What a Program can compute today: tensors of numbers whose shapes follow from those of the inputs and from elements.
bool GraphLowering::knows(const Dim& dim) const {
  std::set<std::string> used;
  dim.collect_symbols(used);
  return std::ranges::all_of(used, [this](const std::string& s) {
    return symbols_.contains(s) || element_names_.contains(s) || (!around_.empty() && inner_names_.contains(s));
  });
}

Status GraphLowering::check_output(const Node& node, const Value& out) const {
  const std::string what = "output \"" + out.name + "\" has the type " + out.type.str();
  if (const std::string why = unsupported_type(out.type); !why.empty())
    return Error(ErrorKind::Unsupported, what + "; " + why, node.where());
  const Type stored = out.type.stored();
  for (const Dim& d : *stored.shape)
    if (!knows(d))
      return Error(ErrorKind::Unsupported, what + ", which depends on values that are known only at run time",
                   node.where(), "make the inputs that its shape is computed from constant");
  return ok();
}

Status GraphLowering::lower_node(const Node& node) {
  const OpDef* def = find_op(node.domain, node.op);
  const std::string full = (node.domain.empty() ? "" : node.domain + ".") + node.op;
  if (!def || (!def->compute && !def->lower))
    return Error(ErrorKind::Unsupported, "operator " + full + " is not supported yet", node.where());
  for (const Value* out : node.outputs())
    if (out) ONNXC_TRY(check_output(node, *out));
  if (def->dims) ONNXC_TRY(define_dims(node, *def));
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
    const Type stored = v->type.stored();
    const Buffer& have = program_.buffers[b];
    if (have.storage != Buffer::Storage::Output || have.index != static_cast<int64_t>(i)) {
      Buffer out;
      out.name = v->name;
      out.elem = stored.elem;
      out.dims = *stored.shape;
      out.storage = Buffer::Storage::Output;
      out.index = static_cast<int64_t>(i);
      const BufferId id = program_.add_buffer(std::move(out));
      copy(b, id, *stored.shape, v->producer);
      b = id;
    }
    ProgramValue pv{v->name, stored.elem, {}, *stored.shape, b, held_by(v->type)};
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
    if (const std::string why = unsupported_type(v->type); !why.empty())
      problems.push_back({ErrorKind::Unsupported, "input \"" + v->name + "\"",
                          "its type is " + v->type.str() + "; " + why,
                          v->type.is_tensor() && !v->type.shape ? "give its shape: --shape " + v->name + "=..." : ""});
  if (!problems.empty()) return Error(std::move(problems));
  find_element_names();
  add_inputs();
  for (const auto& node : graph_.nodes()) {
    Status s = lower_node(*node);
    for (size_t o = 0; s.ok() && o < node->num_outputs(); ++o)
      if (node->output(o)) s = define_elements(*node->output(o));
    if (!s.ok()) {
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
  ONNXC_TRY(arrange_stages());
  return std::move(program_);
}

Result<Program> lower(const Graph& graph, const Target& target, const Options& options) {
  std::set<std::string> needed;
  for (;;) {
    GraphLowering lowering(graph, target, options, needed);
    ONNXC_ASSIGN(Program program, lowering.run());
    if (lowering.missing().empty()) return program;
    needed.insert(lowering.missing().begin(), lowering.missing().end());
  }
}

}  // namespace onnxc
