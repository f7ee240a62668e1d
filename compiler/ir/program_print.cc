// Program -> text. The form is described in program_text.h.
#include <set>

#include "compiler/ir/expr_text.h"
#include "compiler/ir/number_text.h"
#include "compiler/ir/program_text.h"

namespace onnxc {
namespace {

std::string marked(char mark, const std::string& name) { return mark + name_or_quoted(name); }

// Unique names, the given ones where they are.
template <class T>
std::vector<std::string> unique_names(const std::vector<T>& things, const char* stem) {
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (size_t i = 0; i < things.size(); ++i) {
    std::string name = things[i].name;
    if (name.empty() || taken.contains(name)) name = (name.empty() ? stem : name) + "_" + std::to_string(i);
    while (!taken.insert(name).second) name += "_";
    names.push_back(name);
  }
  return names;
}

class Printer {
 public:
  explicit Printer(const Program& program)
      : program_(program),
        buffers_(unique_names(program.buffers, "b")),
        constants_(unique_names(program.constants, "c")) {
    name_of_ = [this](BufferId b) { return buffer(b); };
  }

  std::string run() {
    out_ = "program " + marked('@', program_.name) + " {\n";
    indent_ = 1;
    for (const auto& [key, value] : program_.metadata) line("metadata " + quoted(key) + " = " + quoted(value));
    for (size_t i = 0; i < program_.constants.size(); ++i) constant_line(i);
    for (size_t i = 0; i < program_.buffers.size(); ++i) buffer_line(i);
    for (const ProgramValue& value : program_.inputs) value_line("input ", value);
    for (const ProgramValue& value : program_.outputs) value_line("output ", value);
    operations(program_.ops);
    return std::move(out_) + "}\n";
  }

  std::string run(const Operation& op) {
    operation(op);
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_ += std::string(2 * static_cast<size_t>(indent_), ' ') + text + "\n"; }
  void open(const std::string& text) { line(text + " {"), ++indent_; }
  void close(const std::string& text = "}") { --indent_, line(text); }

  std::string buffer(BufferId b) const {
    if (b == kNoBuffer) return "null";
    return b < buffers_.size() ? marked('%', buffers_[b]) : "%\"(no buffer " + std::to_string(b) + ")\"";
  }
  std::string buffer_list(const std::vector<BufferId>& list) const {
    std::string text = "(";
    for (size_t i = 0; i < list.size(); ++i) text += (i ? ", " : "") + buffer(list[i]);
    return text + ")";
  }
  static std::string named(const std::string& shown, const std::string& real) {
    return shown == real ? "" : " named(" + quoted(real) + ")";
  }
  static std::string typed(Elem elem, const Shape& dims) {
    return ": " + std::string(elem_name(elem)) + shape_str(dims);
  }

  static std::string integers(const std::vector<int64_t>& values) {
    std::string text = "[";
    for (size_t i = 0; i < values.size(); ++i) text += (i ? ", " : "") + std::to_string(values[i]);
    return text + "]";
  }

  void constant_line(size_t index) {
    const Constant& c = program_.constants[index];
    std::string text = "constant " + marked('@', constants_[index]) + named(constants_[index], c.name);
    text += typed(c.source.elem(), Shape(c.source.dims().begin(), c.source.dims().end()));
    if (c.packing.winograd != 0) {
      text += " packing(winograd = " + std::to_string(c.packing.winograd) + ")";
    } else if (!c.packing.identity()) {
      text += " packing(block = " + integers(c.packing.block);
      text += (c.packing.perm.empty() ? "" : ", perm = " + integers(c.packing.perm)) + ")";
    }
    line(text + " = " + (c.opaque.empty() ? tensor_values_text(c.source) : "opaque " + c.opaque));
  }

  std::string storage(const Buffer& b) const {
    const std::string index = "(" + std::to_string(b.index) + ")";
    switch (b.storage) {
      case Buffer::Storage::Input: return "input" + index;
      case Buffer::Storage::Output: return "output" + index;
      case Buffer::Storage::Arena: return "arena";
      case Buffer::Storage::Constant: {
        const bool known = b.index >= 0 && b.index < static_cast<int64_t>(constants_.size());
        return known ? "constant(" + marked('@', constants_[static_cast<size_t>(b.index)]) + ")" : "constant" + index;
      }
      case Buffer::Storage::View: return "view(" + buffer(b.base) + ", " + b.offset.str() + ")";
      case Buffer::Storage::Dynamic: return "dynamic";
      case Buffer::Storage::Handle: return "handle(" + quoted(b.handle) + ")";
    }
    return "?";
  }

  void buffer_line(size_t index) {
    const Buffer& b = program_.buffers[index];
    std::string text =
        "buffer " + marked('%', buffers_[index]) + named(buffers_[index], b.name) + typed(b.elem, b.dims);
    if (!b.strides.empty()) text += " strides" + shape_str(b.strides);
    if (b.layout != Layout{})
      text += " layout(" + std::to_string(b.layout.axis) + ", " + std::to_string(b.layout.block) + ")";
    if (b.pad_lanes != PadLanes::None) text += b.pad_lanes == PadLanes::Zero ? " lanes(zero)" : " lanes(unspecified)";
    for (size_t i = 0; i < b.halo.size(); ++i)
      text += (i ? ", (" : " halo((") + std::to_string(b.halo[i].first) + ", " + std::to_string(b.halo[i].second) + ")";
    if (!b.halo.empty()) text += ")";
    if (b.align != 64) text += " align(" + std::to_string(b.align) + ")";
    text += " = " + storage(b);
    if (b.alias_of != kNoBuffer) text += " alias(" + buffer(b.alias_of) + ")";
    line(text);
  }

  static std::string held_text(const HeldValues& held) {
    std::string text = " holds";
    if (held.optional) text += " optional";
    if (held.sequence) text += " seq";
    if (!held.dims) text += " unranked";
    return text + typed(held.elem, held.dims.value_or(Shape{}));
  }

  void value_line(const char* what, const ProgramValue& v) {
    std::string text = what + quoted(v.name) + typed(v.elem, v.dims);
    if (!v.dim_names.empty()) {
      text += " names(";
      for (size_t i = 0; i < v.dim_names.size(); ++i) text += (i ? ", " : "") + quoted(v.dim_names[i]);
      text += ")";
    }
    if (v.held) text += held_text(*v.held);
    line(text + " at " + buffer(v.buffer));
  }

  std::string operand(const Operand& o) const {
    return buffer(o.buffer) + (o.at.empty() ? "" : index_list_text(o.at, name_of_));
  }

  static std::string argument(const Argument& a) {
    const std::string name = name_or_quoted(a.name) + " = ";
    if (const Dim* dim = std::get_if<Dim>(&a.value)) return name + dim->str();
    const std::string number = float_text(std::get<double>(a.value));
    return name + (number.find('n') == std::string::npos ? number : "float(" + number + ")");  // inf, nan
  }

  std::string call(const KernelCall& c) const {
    std::string text = "call " + name_or_quoted(c.kernel) + "(", comma;
    const auto add = [&](const std::string& item) { text += comma + item, comma = ", "; };
    for (const Operand& o : c.outs) add("out " + operand(o));
    for (const Operand& o : c.inouts) add("inout " + operand(o));
    for (const Operand& o : c.ins) add("in " + operand(o));
    for (BufferId b : c.scratch) add("scratch " + buffer(b));
    text += ")", comma = "";
    if (!c.arguments.empty()) {
      text += " {";
      for (const Argument& a : c.arguments) add(argument(a));
      text += "}";
    }
    if (c.meetings) text += " meetings(" + c.meetings->str() + ")";
    if (c.run_memory) text += " run_memory";
    if (!c.function.empty()) text += " function(" + name_or_quoted(c.function) + ")";
    return text + (c.may_fail ? " may_fail" : "");
  }

  // What follows the head of any operation.
  std::string tail(const Operation& op) const {
    std::string text;
    if (op.partition) {
      const Partition& p = *op.partition;
      text += " partition(" + name_or_quoted(p.axis) + ", " + p.extent.str();
      if (p.grain != 1) text += ", grain = " + std::to_string(p.grain);
      if (p.parts != 0) text += ", parts = " + std::to_string(p.parts);
      if (p.halo_before || p.halo_after)
        text += ", halo = (" + std::to_string(p.halo_before) + ", " + std::to_string(p.halo_after) + ")";
      if (p.work != Dim(0)) text += ", work = " + p.work.str();
      text += ")";
    }
    for (size_t i = 0; i < op.in_place.size(); ++i)
      text += (i ? ", " : " in_place(") + buffer(op.in_place[i].first) + " <- " + buffer(op.in_place[i].second);
    if (!op.in_place.empty()) text += ")";
    for (size_t i = 0; i < op.origins.size(); ++i) text += (i ? ", " : " from(") + quoted(op.origins[i]);
    if (!op.origins.empty()) text += ")";
    return text + (op.note.empty() ? "" : " note(" + quoted(op.note) + ")");
  }

  void statement(const For& s) {
    open("for " + name_or_quoted(s.var.name) + " in " + s.var.extent.str());
    statements(s.body);
    close();
  }
  void statement(const Let& s) { line("let " + name_or_quoted(s.name) + " = " + expr_text(s.value, name_of_)); }
  void statement(const Reduce& s) {
    std::string text = "reduce " + name_or_quoted(s.name) + " = " + reduce_name(s.op);
    if (s.lanes != 1) text += " lanes(" + std::to_string(s.lanes) + ")";
    if (s.last_of_equals) text += " last";
    text += " over (";
    for (size_t i = 0; i < s.vars.size(); ++i)
      text += (i ? ", " : "") + name_or_quoted(s.vars[i].name) + " in " + s.vars[i].extent.str();
    line(text + ") : " + expr_text(s.value, name_of_));
  }
  void statement(const Store& s) {
    std::string text =
        "store " + buffer(s.buffer) + index_list_text(s.at, name_of_) + " = " + expr_text(s.value, name_of_);
    line(text + (s.when ? " when " + expr_text(s.when, name_of_) : ""));
  }
  void statement(const KernelCall& s) { line(call(s)); }
  void statements(const Block& block) {
    for (const Stmt& s : block) std::visit([this](const auto& node) { statement(node); }, s.node);
  }

  void operations(const std::vector<Operation>& ops) {
    for (const Operation& op : ops) operation(op);
  }
  void operation(const Operation& op) {
    std::visit([&](const auto& node) { print(node, tail(op)); }, op.node);
  }

  void print(const KernelCall& node, const std::string& tail) { line(call(node) + tail); }
  void print(const Nest& node, const std::string& tail) {
    open("nest" + tail);
    statements(node.body);
    close();
  }
  void print(const ScalarDef& node, const std::string& tail) {
    std::string text = "scalar " + name_or_quoted(node.name) + " = ";
    if (const Dim* dim = std::get_if<Dim>(&node.value)) text += dim->str();
    if (const auto* dim = std::get_if<ScalarDef::DimOf>(&node.value))
      text += "dim(" + buffer(dim->buffer) + ", " + std::to_string(dim->axis) + ")";
    if (const auto* element = std::get_if<ScalarDef::Element>(&node.value))
      text += "element(" + buffer(element->buffer) + ", " + element->index.str() + ")";
    line(text + tail);
  }
  void print(const Alloc& node, const std::string& tail) { line("alloc " + buffer(node.buffer) + tail); }
  void print(const Require& node, const std::string& tail) {
    line("require " + node.value.str() + ", " + quoted(node.message) + tail);
  }
  void print(const Barrier&, const std::string& tail) { line("barrier" + tail); }

  void region(const Region& r) {
    operations(r.ops);
    line("yield" + buffer_list(r.yields));
  }
  void print(const If& node, const std::string& tail) {
    open("if " + buffer(node.condition) + " -> " + buffer_list(node.results) + tail);
    region(node.then_region);
    close("} else {");
    ++indent_;
    region(node.else_region);
    close();
  }
  void print(const Loop& node, const std::string& tail) {
    std::string text = "loop (";
    for (size_t i = 0; i < node.body.scalar_args.size(); ++i)
      text += (i ? ", " : "") + name_or_quoted(node.body.scalar_args[i]);
    text += ")";
    if (node.trip_count) text += " trip(" + node.trip_count->str() + ")";
    if (node.condition != kNoBuffer) text += " while(" + buffer(node.condition) + ")";
    text += " carried(";
    for (size_t i = 0; i < node.inits.size() || i < node.body.args.size(); ++i) {
      text += i ? ", " : "";
      text += buffer(i < node.body.args.size() ? node.body.args[i] : kNoBuffer) + " = ";
      text += buffer(i < node.inits.size() ? node.inits[i] : kNoBuffer);
    }
    open(text + ") -> " + buffer_list(node.results) + tail);
    region(node.body);
    close();
  }

  const Program& program_;
  std::vector<std::string> buffers_, constants_;
  BufferNamer name_of_;
  std::string out_;
  int indent_ = 0;
};

}  // namespace

std::vector<std::string> printed_buffer_names(const Program& program) {
  std::vector<std::string> names = unique_names(program.buffers, "b");
  for (std::string& name : names) name = marked('%', name);
  return names;
}

std::string print_program(const Program& program) { return Printer(program).run(); }
std::string print_operation(const Program& program, const Operation& op) { return Printer(program).run(op); }

}  // namespace onnxc
