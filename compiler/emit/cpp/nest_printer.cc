#include "compiler/emit/cpp/nest_printer.h"

#include <limits>

namespace onnxc::cpp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string integer_limit(Elem type, bool greatest) {
  const int bits = elem_bits(type);
  if (!is_signed(type)) return greatest ? int_literal(type, bits == 64 ? -1 : (int64_t(1) << bits) - 1) : "0";
  const int64_t least = bits == 64 ? INT64_MIN : -(int64_t(1) << (bits - 1));
  return int_literal(type, greatest ? -(least + 1) : least);
}

std::string quotient(const Dim& extent, int by, Names& names) {
  return dim_text(Dim::floor_div(extent, Dim(by)), names);
}

}  // namespace

std::string neutral_element(ReduceOp op, Elem type) {
  switch (op) {
    case ReduceOp::Add:
    case ReduceOp::Or: return is_float(type) ? float_literal(type, 0) : int_literal(type, 0);
    case ReduceOp::Mul: return is_float(type) ? float_literal(type, 1) : int_literal(type, 1);
    case ReduceOp::And: return int_literal(type, type == Elem::Bool ? 1 : -1);
    case ReduceOp::Min:
    case ReduceOp::ArgMin:
      if (type == Elem::Bool) return "true";
      return is_float(type) ? float_literal(type, kInfinity) : integer_limit(type, true);
    default:
      if (type == Elem::Bool) return "false";
      return is_float(type) ? float_literal(type, -kInfinity) : integer_limit(type, false);
  }
}

NestPrinter::NestPrinter(const Program& program, Names& names, const std::map<BufferId, std::string>& pointers)
    : program_(program),
      names_(names),
      pointers_(pointers),
      expressions_(program, names,
                   [this](BufferId b, const std::string& offset) { return pointers_.at(b) + "[" + offset + "]"; }) {}

void NestPrinter::block(const Block& block, Lines& lines) {
  for (const Stmt& s : block) std::visit([&](const auto& node) { statement(node, lines); }, s.node);
}

void NestPrinter::open_loops(const std::vector<LoopVar>& vars, size_t count, Lines& lines) {
  for (size_t i = 0; i < count; ++i) {
    const std::string v = names_.declare(vars[i].name);
    lines.open("for (int64_t " + v + " = 0; " + v + " < " + dim_text(vars[i].extent, names_) + "; ++" + v + ") {");
  }
}

void NestPrinter::close_loops(size_t count, Lines& lines) {
  for (size_t i = 0; i < count; ++i) lines.close();
}

void NestPrinter::share_of_nest(const Block& nest, const Share& share, Lines& lines) {
  const For& loop = std::get<For>(nest.front().node);
  const std::string& v = names_.declare(loop.var.name);
  lines.open("for (int64_t " + v + " = " + share.begin + "; " + v + " < " + share.end + "; ++" + v + ") {");
  block(loop.body, lines);
  lines.close();
}

void NestPrinter::statement(const For& loop, Lines& lines) {
  open_loops({loop.var}, 1, lines);
  block(loop.body, lines);
  lines.close();
}

void NestPrinter::statement(const Let& let, Lines& lines) {
  expressions_.begin_statement({let.value});
  const std::string value = expressions_.print_whole(let.value, lines);
  lines.add("const " + value_type(let.value->type) + " " + names_.declare(let.name) + " = " + value + ";");
}

void NestPrinter::statement(const Store& store, Lines& lines) {
  std::vector<Expr> roots = store.at;
  roots.push_back(store.value);
  roots.push_back(store.when);
  expressions_.begin_statement(roots);
  if (store.when) {
    const std::string condition = expressions_.print_whole(store.when, lines);
    lines.open("if (" + condition + ") {");
  }
  const Elem stored = program_.buffers[store.buffer].elem;
  const std::string target =
      pointers_.at(store.buffer) + "[" + expressions_.offset(store.buffer, store.at, lines) + "]";
  if (store.value->type == stored) {
    lines.add(target + " = " + expressions_.print_whole(store.value, lines) + ";");
  } else {
    const std::string value = expressions_.print(store.value, lines);
    lines.add(target + " = " + expressions_.convert(store.value->type, stored, value) + ";");
  }
  if (store.when) lines.close();
}

std::string NestPrinter::combine(ReduceOp op, Elem type, const std::string& accumulator, const std::string& value) {
  const std::string suffix(elem_name(type)), t = "<" + value_type(type) + ">",
                                             both = "(" + accumulator + ", " + value + ")",
                                             newest_first = "(" + value + ", " + accumulator + ")";
  const bool boolean = type == Elem::Bool;
  const std::string assign = accumulator + " = ";
  switch (op) {
    case ReduceOp::Add: return assign + (is_float(type) ? accumulator + " + " + value : "wrap_add" + t + both) + ";";
    case ReduceOp::Mul: return assign + (is_float(type) ? accumulator + " * " + value : "wrap_mul" + t + both) + ";";
    case ReduceOp::Min:
      if (boolean) return assign + accumulator + " && " + value + ";";
      return assign + (is_float(type) ? "onnxc_min_" + suffix + newest_first : "least" + t + both) + ";";
    case ReduceOp::Max:
      if (boolean) return assign + accumulator + " || " + value + ";";
      return assign + (is_float(type) ? "onnxc_max_" + suffix + newest_first : "greatest" + t + both) + ";";
    case ReduceOp::And: return assign + accumulator + (boolean ? " && " : " & ") + value + ";";
    default: return assign + accumulator + (boolean ? " || " : " | ") + value + ";";
  }
}

void NestPrinter::statement(const Reduce& reduce, Lines& lines) {
  if (reduce.op == ReduceOp::ArgMin || reduce.op == ReduceOp::ArgMax) return reduce_extreme_index(reduce, lines);
  if (reduce.lanes > 1 && !reduce.vars.empty()) return reduce_in_lanes(reduce, lines);
  reduce_in_order(reduce, lines);
}

void NestPrinter::reduce_in_order(const Reduce& reduce, Lines& lines) {
  const Elem type = reduce.value->type;
  const std::string name = names_.declare(reduce.name);
  lines.add(value_type(type) + " " + name + " = " + neutral_element(reduce.op, type) + ";");
  open_loops(reduce.vars, reduce.vars.size(), lines);
  expressions_.begin_statement({reduce.value});
  const std::string value = expressions_.print(reduce.value, lines);
  lines.add(combine(reduce.op, type, name, value));
  close_loops(reduce.vars.size(), lines);
}

// First of equals (or last), NaN before all.
void NestPrinter::reduce_extreme_index(const Reduce& reduce, Lines& lines) {
  const Elem type = reduce.value->type;
  const bool least = reduce.op == ReduceOp::ArgMin;
  const std::string name = names_.declare(reduce.name), best = names_.fresh("best"),
                    position = names_.fresh("position");
  lines.add("int64_t " + name + " = 0, " + position + " = 0;");
  lines.add(value_type(type) + " " + best + " = " + neutral_element(reduce.op, type) + ";");
  open_loops(reduce.vars, reduce.vars.size(), lines);
  expressions_.begin_statement({reduce.value});
  const std::string value = expressions_.print_whole(reduce.value, lines), v = names_.fresh("candidate");
  lines.add("const " + value_type(type) + " " + v + " = " + value + ";");
  const std::string better = v + (least ? " <" : " >") + (reduce.last_of_equals ? "= " : " ") + best;
  std::string condition = better;
  if (is_float(type))
    condition = better + " || (" + v + " != " + v + (reduce.last_of_equals ? ")" : " && " + best + " == " + best + ")");
  if (is_float(type) && reduce.last_of_equals) condition = "(" + condition + ")";
  lines.open("if (" + condition + ") {");
  lines.add(best + " = " + v + ";");
  lines.add(name + " = " + position + ";");
  lines.close();
  lines.add("++" + position + ";");
  close_loops(reduce.vars.size(), lines);
}

// Lane l takes the elements whose position is l modulo the lanes; then the lanes are combined as a tree.
void NestPrinter::reduce_in_lanes(const Reduce& reduce, Lines& lines) {
  const Elem type = reduce.value->type;
  const std::string name = names_.declare(reduce.name), lanes = std::to_string(reduce.lanes);
  const std::string partial = names_.fresh(reduce.name + "_lanes"), lane = names_.fresh("lane");
  const std::string each_lane = "for (int " + lane + " = 0; " + lane + " < ";
  const std::string t = value_type(type);
  lines.add(t + " " + partial + "[" + lanes + "];");
  lines.add(each_lane + lanes + "; ++" + lane + ") " + partial + "[" + lane +
            "] = " + neutral_element(reduce.op, type) + ";");

  const LoopVar& inner = reduce.vars.back();
  const auto extent = inner.extent.constant();
  const bool order_matters = reduce.op == ReduceOp::Add || reduce.op == ReduceOp::Mul;
  const bool aligned = reduce.vars.size() == 1 || !order_matters || (extent && *extent % reduce.lanes == 0);
  const std::string v = names_.declare(inner.name);
  const auto element = [&](const std::string& which) {
    expressions_.begin_statement({reduce.value});
    const std::string value = expressions_.print(reduce.value, lines);
    lines.add(combine(reduce.op, type, partial + "[" + which + "]", value));
  };
  open_loops(reduce.vars, reduce.vars.size() - 1, lines);
  if (aligned) {
    const std::string start = names_.fresh(inner.name + "_0"),
                      whole = quotient(inner.extent, reduce.lanes, names_) + " * " + lanes;
    const Dim rest = Dim::mod(inner.extent, Dim(reduce.lanes));
    if (extent.value_or(reduce.lanes) >= reduce.lanes) {
      lines.open("for (int64_t " + start + " = 0; " + start + " < " + whole + "; " + start + " += " + lanes + ") {");
      lines.open(each_lane + lanes + "; ++" + lane + ") {");
      lines.add("const int64_t " + v + " = " + start + " + " + lane + ";");
      element(lane);
      lines.close();
      lines.close();
    }
    if (rest != Dim(0)) {
      lines.open(each_lane + dim_text(rest, names_) + "; ++" + lane + ") {");
      lines.add("const int64_t " + v + " = " + whole + " + " + lane + ";");
      element(lane);
      lines.close();
    }
  } else {
    Dim position = 0;
    for (const LoopVar& var : reduce.vars) position = position * var.extent + Dim::symbol(var.name);
    open_loops({inner}, 1, lines);
    element("(" + dim_text(position, names_) + ") % " + lanes);
    lines.close();
  }
  close_loops(reduce.vars.size() - 1, lines);

  for (int half = reduce.lanes / 2; half >= 1; half /= 2) {
    const std::string h = std::to_string(half);
    const std::string low = half == 1 ? partial + "[0]" : partial + "[" + lane + "]";
    const std::string high = half == 1 ? partial + "[1]" : partial + "[" + lane + " + " + h + "]";
    const std::string step = combine(reduce.op, type, low, high);
    lines.add(half == 1 ? step : each_lane + h + "; ++" + lane + ") " + step);
  }
  lines.add("const " + t + " " + name + " = " + partial + "[0];");
}

std::string NestPrinter::operand(const Operand& operand, Lines& lines) {
  if (operand.buffer == kNoBuffer) return "nullptr";
  const std::string& pointer = pointers_.at(operand.buffer);
  if (operand.at.empty()) return pointer;
  const std::string offset = expressions_.offset(operand.buffer, operand.at, lines);
  return offset == "0" ? pointer : pointer + " + " + offset;
}

// Operands and numbers go as arrays.
void NestPrinter::linked_call(const KernelCall& call, std::vector<std::string> operands, const std::string& frame,
                              Lines& lines) {
  std::vector<std::string> numbers;
  for (const Argument& a : call.arguments)
    numbers.push_back("/*" + comment_text(a.name) + "=*/" + dim_text(std::get<Dim>(a.value), names_));
  const std::string pointers = names_.fresh("operands"), values = names_.fresh("numbers");
  lines.add("const void* const " + pointers + "[] = {" + join(operands) + "};");
  lines.add("const int64_t " + values + "[] = {" + join(numbers) + "};");
  lines.add("if (int32_t code = onnxc_" + call.kernel + "(" + frame + ", &::" + call.function + ", " + pointers + ", " +
            values + ")) return code;");
  may_fail_ = true;
}

void NestPrinter::kernel_call(const KernelCall& call, const Share* share, Lines& lines, const std::string& frame) {
  std::vector<Expr> roots;
  for (const auto* list : {&call.outs, &call.inouts, &call.ins})
    for (const Operand& o : *list) roots.insert(roots.end(), o.at.begin(), o.at.end());
  expressions_.begin_statement(roots);
  std::vector<std::string> args;
  for (const auto* list : {&call.outs, &call.inouts, &call.ins})
    for (const Operand& o : *list) args.push_back(operand(o, lines));
  for (BufferId b : call.scratch) args.push_back(b == kNoBuffer ? "nullptr" : pointers_.at(b));
  if (!call.function.empty()) return linked_call(call, std::move(args), frame, lines);
  for (const Argument& a : call.arguments) {
    const Dim* dim = std::get_if<Dim>(&a.value);
    args.push_back("/*" + comment_text(a.name) + "=*/" +
                   (dim ? dim_text(*dim, names_) : float_literal(Elem::F64, std::get<double>(a.value))));
  }
  if (share) {
    args.push_back("/*begin=*/" + share->begin);
    args.push_back("/*end=*/" + share->end);
  }
  if (call.meetings) {
    const bool joint = share && !share->team.empty();
    args.push_back(joint ? "&onnxc_meet" : "/*meet=*/nullptr");
    args.push_back("/*team=*/" + (joint ? share->team : "nullptr"));
  }
  if (call.run_memory) args.insert(args.end(), {"&onnxc_run_allocate", frame});
  // Filled to lines of about 100 characters.
  std::string function = "onnxc_" + call.kernel + "(",
              line = call.may_fail ? "if (int32_t code = " + function : function;
  const std::string end = call.may_fail ? ")) return code;" : ");";
  Lines more(lines.indent() + 2);
  bool first = true;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string piece = args[i] + (i + 1 < args.size() ? "," : end);
    if (line.size() + piece.size() > 100) {
      (first ? lines : more).add(line);
      if (!first) lines.append(more), more = Lines(lines.indent() + 2);
      first = false;
      line = piece;
    } else {
      line += (i == 0 ? "" : " ") + piece;
    }
  }
  if (args.empty()) line += end;
  (first ? lines : more).add(line);
  lines.append(more);
  may_fail_ = may_fail_ || call.may_fail;
}

}  // namespace onnxc::cpp
