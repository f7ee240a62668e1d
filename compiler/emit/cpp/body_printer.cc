#include "compiler/emit/cpp/body_printer.h"

#include <set>

#include "compiler/emit/cpp/operation_printer.h"

namespace onnxc::cpp {
namespace {

const char* const kAdvice = "fix free dimensions with --dim NAME=N or --shape INPUT=...";

std::string kind_of(const Operation& op) {
  if (const auto* call = std::get_if<KernelCall>(&op.node)) return callee(*call);
  static constexpr const char* kNames[] = {"", "nest", "scalar", "alloc", "if", "loop", "barrier", "require"};
  return kNames[op.node.index()];
}

std::string share_of(const Partition& p, Names& names) {
  return "share_of(frame, /*extent=*/" + dim_text(p.extent, names) + ", /*grain=*/" + std::to_string(p.grain) +
         ", /*parts=*/" + std::to_string(p.parts) + ")";
}

}  // namespace

std::string operation_label(const Operation& op) {
  std::string label = kind_of(op);
  if (!op.origins.empty()) label += " (" + join(op.origins) + ")";
  return label;
}

Status BodyPrinter::print() {
  const Program& program = plan_.program;
  for (const Buffer& b : program.buffers)
    if (b.storage == Buffer::Storage::Handle)
      return Error(ErrorKind::Unsupported,
                   "buffer '" + b.name + "' holds strings or a sequence: compiled models cannot do this yet");
  size_t stage = 0;  // the next one
  for (index_ = 0; index_ < program.ops.size(); ++index_) {
    const Operation& op = program.ops[index_];
    Lines lines;
    if (stage < plan_.stages.size() && index_ >= plan_.stages[stage].operations.begin) {
      ONNXC_TRY(stage_step(stage, lines));
      const Stage& operations = plan_.stages[stage++].operations;
      walk_ += operations.end - operations.begin;
      add_step("stage " + std::to_string(stage - 1), lines);
      if (operations.end > operations.begin) {
        index_ = operations.end - 1;
        continue;
      }
    }
    ONNXC_TRY(plan_.threads ? step_for_threads(op, lines) : step(op, lines));
    add_step(std::to_string(index_) + ": " + comment_text(operation_label(op)), lines);
  }
  return ok();
}

void BodyPrinter::add_step(const std::string& comment, Lines& lines) {
  std::string text = lines.text();
  if (text.empty()) return;
  text.pop_back();
  steps_.push_back({comment, std::move(text)});
  lines = Lines();
}

void BodyPrinter::declare_scalars(size_t stage, Lines& lines) {
  const Stage& operations = plan_.stages[stage].operations;
  const auto entry = table_entry(plan_);
  for (size_t i = operations.begin; i < operations.end; ++i)
    if (const auto* def = std::get_if<ScalarDef>(&plan_.program.ops[i].node))
      lines.add("[[maybe_unused]] const int64_t " + names_.declare(def->name) + " = " + entry(def->name) + ";");
}

Status BodyPrinter::stage_step(size_t stage, Lines& lines) {
  if (stage > 0) {
    const std::string i = std::to_string(plan_.stages[stage].operations.begin);
    const std::string begin = "onnxc_step_begin(frame, " + i + ")";
    const std::string run = "frame->begin_stage(frame, " + std::to_string(stage) + ")";
    const std::string meet = "if ((status = onnxc_barrier(frame, status)) != ONNXC_OK) return status;";
    if (plan_.threads) {
      lines.add("if (status == ONNXC_OK) status = " + begin + ";");
      lines.add(meet);
      lines.add("if (frame->thread == 0) status = " + run + ";");
      lines.add(meet);
    } else {
      lines.add("if ((status = " + begin + ") != ONNXC_OK || (status = " + run + ") != ONNXC_OK) return status;");
    }
    lines.add("onnxc_step_end(frame, " + i + ");");
  }
  declare_scalars(stage, lines);
  return ok();
}

Status BodyPrinter::step(const Operation& op, Lines& lines) {
  const std::string i = std::to_string(index_);
  lines.add("if ((status = onnxc_step_begin(frame, " + i + ")) != ONNXC_OK) return status;");
  ONNXC_TRY(operations({op}, true, lines));
  lines.add("onnxc_step_end(frame, " + i + ");");
  return ok();
}

// A thread that fails does nothing more until the next barrier, where all threads leave.
Status BodyPrinter::step_for_threads(const Operation& op, Lines& lines) {
  if (std::holds_alternative<Barrier>(op.node)) {
    ++walk_;
    lines.add("if ((status = onnxc_barrier(frame, status)) != ONNXC_OK) return status;");
    return ok();
  }
  const std::string i = std::to_string(index_);
  if (is_joint(op)) return joint_step(op, lines);
  const std::string begin = "(status = onnxc_step_begin(frame, " + i + ")) == ONNXC_OK) {";
  if (is_shared(op)) {
    lines.add("if (const Share share = " + share_of(*op.partition, names_) + ";");
    lines.open("    status == ONNXC_OK && share.begin < share.end && " + begin);
  } else {
    lines.open("if (status == ONNXC_OK && frame->thread == 0 && " + begin);
  }
  in_region_ = std::holds_alternative<If>(op.node) || std::holds_alternative<Loop>(op.node);
  if (in_region_) lines.open("status = [&]() -> int32_t {");
  ONNXC_TRY(operations({op}, true, lines));
  if (in_region_) {
    lines.add("return ONNXC_OK;");
    lines.close("}();");
  }
  in_region_ = false;
  lines.add("onnxc_step_end(frame, " + i + ");");
  lines.close();
  return ok();
}

// Every thread runs the call, so all must know of a failure before it.
Status BodyPrinter::joint_step(const Operation& op, Lines& lines) {
  const std::string i = std::to_string(index_);
  lines.add("if (status == ONNXC_OK) status = onnxc_step_begin(frame, " + i + ");");
  lines.add("if ((status = onnxc_barrier(frame, status)) != ONNXC_OK) return status;");
  lines.open("{");
  lines.add("const Share share = " + share_of(*op.partition, names_) + ";");
  ONNXC_TRY(operations({op}, true, lines));
  lines.close();
  lines.add("onnxc_step_end(frame, " + i + ");");
  return ok();
}

void BodyPrinter::begin_end(size_t number, Lines& lines) {
  if (plan_.debug) lines.add("onnxc_debug_before(frame, &kDebugPlan, " + std::to_string(number) + ");");
}

void BodyPrinter::finish_end(size_t number, const char* label, Lines& lines) {
  if (plan_.debug)
    lines.add("if ((status = onnxc_debug_after(frame, &kDebugPlan, " + std::to_string(number) + ", " + quoted(label) +
              ")) != ONNXC_OK) return status;");
}

Status BodyPrinter::operations(const std::vector<Operation>& ops, bool outermost, Lines& lines) {
  for (const Operation& op : ops) {
    const std::string number = std::to_string(walk_++);
    if (!outermost && !op.origins.empty()) lines.add("// " + comment_text(operation_label(op)));
    if (plan_.debug) lines.add("onnxc_debug_before(frame, &kDebugPlan, " + number + ");");
    ONNXC_TRY(std::visit([&](const auto& n) { return node(n, op, lines); }, op.node));
    if (plan_.debug)
      lines.add("if ((status = onnxc_debug_after(frame, &kDebugPlan, " + number + ", " + quoted(operation_label(op)) +
                ")) != ONNXC_OK) return status;");
  }
  return ok();
}

Status BodyPrinter::function(const std::string& kind, const Operation& op, Lines& lines) {
  const PrintedOperation printed = print_operation(plan_, op);
  auto found = shared_.find(printed.key);
  if (found == shared_.end()) {
    const std::string name = "op_" + std::to_string(made_++) + "_" + identifier(kind);
    found = shared_.emplace(printed.key, name).first;
    std::string text;
    if (!op.origins.empty()) text += "// from: " + comment_text(join(op.origins)) + "\n";
    text += std::string("ONNXC_OPERATION ") + (printed.may_fail ? "int32_t " : "void ") + name + printed.body;
    functions_.push_back(std::move(text));
  }
  std::string arguments = printed.arguments;
  for (const std::string& scalar : printed.scalars) arguments += (arguments.empty() ? "" : ", ") + names_.of(scalar);
  if (printed.takes_share)
    arguments += is_joint(op)    ? ", share.begin, share.end, frame"
                 : is_shared(op) ? ", share.begin, share.end"
                                 : ", /*begin=*/0, /*end=*/" + dim_text(op.partition->extent, names_);
  if (printed.takes_frame) arguments += ", frame";
  const std::string call = found->second + "(" + arguments + ")";
  if (!printed.may_fail) {
    lines.add(call + ";");
  } else if (plan_.threads && !in_region_) {
    lines.open("if (const int32_t code = " + call + ") {");
    lines.add("status = onnxc_step_failed(frame, " + quoted(operation_label(op)) + ", code);");
    lines.close();
  } else {
    lines.open("if (const int32_t code = " + call + ") {");
    lines.add("return onnxc_step_failed(frame, " + quoted(operation_label(op)) + ", code);");
    lines.close();
  }
  return ok();
}

std::string BodyPrinter::pointer(BufferId b) const { return pointer_text(plan_, b); }

Status BodyPrinter::node(const ScalarDef& def, const Operation&, Lines& lines) {
  std::string value;
  if (const auto* dim = std::get_if<Dim>(&def.value)) {
    value = dim_text(*dim, names_);
  } else if (const auto* dim_of = std::get_if<ScalarDef::DimOf>(&def.value)) {
    const Buffer& buffer = plan_.program.buffers[dim_of->buffer];
    const Dim& dim = buffer.dims[static_cast<size_t>(dim_of->axis)];
    if (dim.is_const())
      value = dim.str();
    else if (buffer.storage == Buffer::Storage::Input)
      value = "frame->input_values[" + std::to_string(buffer.index) + "].dims[" + std::to_string(dim_of->axis) + "]";
    else
      return Error(ErrorKind::Unsupported,
                   "scalar '" + def.name + "' is a dimension of '" + buffer.name + "', which is known only at run time",
                   "", kAdvice);
  } else {
    const auto& element = std::get<ScalarDef::Element>(def.value);
    value = "static_cast<int64_t>(" + pointer(element.buffer) + "[" + dim_text(element.index, names_) + "])";
  }
  lines.add("[[maybe_unused]] const int64_t " + names_.declare(def.name) + " = " + value + ";");
  return ok();
}

Status BodyPrinter::node(const Alloc& alloc, const Operation& op, Lines& lines) {
  const Buffer& buffer = plan_.program.buffers[alloc.buffer];
  const std::string name = grown_name(alloc.buffer);
  std::string bytes = std::to_string(elem_size(buffer.elem));
  for (const Dim& dim : buffer.dims) bytes = "onnxc_times(" + bytes + ", " + dim_text(dim, names_) + ")";
  lines.add("// " + comment_text(buffer.name) + ": " + buffer_label(buffer));
  lines.add("unsigned char* const " + name + " = static_cast<unsigned char*>(onnxc_run_grow(frame, &grown[" +
            std::to_string(grown_++) + "], " + bytes + "));");
  lines.add("if (!" + name + ") return onnxc_step_failed(frame, " + quoted(operation_label(op)) + ", 2);");
  return ok();
}

Status BodyPrinter::node(const Require& require, const Operation&, Lines& lines) {
  lines.add("if (" + dim_text(require.value, names_) + " < 0) return onnxc_step_refused(frame, " +
            quoted(require.message) + ");");
  return ok();
}

Status BodyPrinter::node(const Barrier&, const Operation&, Lines& lines) {
  lines.add("// Threads meet here; this body runs on one.");
  return ok();
}

Status BodyPrinter::copy(BufferId to, BufferId from, const std::string& offset, Lines& lines) {
  const Buffer &target = plan_.program.buffers[to], &source = plan_.program.buffers[from];
  const Dim bytes = numel(source.dims) * Dim(static_cast<int64_t>(elem_size(source.elem)));
  const bool dense = source.effective_strides() == row_major_strides(source.dims) &&
                     target.effective_strides() == row_major_strides(target.dims);
  if (!dense) return Error(ErrorKind::Internal, "'" + source.name + "' leaves a region with gaps between elements");
  const std::string a = pointer(to), b = pointer(from);
  if (bytes == Dim(0) || (a == b && offset.empty())) return ok();
  lines.add("__builtin_memmove(" + a + (offset.empty() ? "" : " + " + offset) + ", " + b + ", " +
            dim_text(bytes, names_) + ");");
  return ok();
}

// One after the other: right only when no copy overwrites what a later one reads.
Status BodyPrinter::copies(const std::vector<BufferId>& to, const std::vector<BufferId>& from, size_t skip,
                           size_t count, const char* what, Lines& lines) {
  std::set<BufferId> overwritten;
  for (size_t i = 0; i < count; ++i) {
    const BufferId source = storage_root(plan_.program, from[i + skip]), target = storage_root(plan_.program, to[i]);
    if (overwritten.contains(source))
      return Error(ErrorKind::Unsupported, std::string(what) + " exchanges '" +
                                               plan_.program.buffers[from[i + skip]].name +
                                               "' with another carried value, which is not supported yet");
    if (target != source) overwritten.insert(target);
    ONNXC_TRY(copy(to[i], from[i + skip], "", lines));
  }
  return ok();
}

Status BodyPrinter::node(const If& branch, const Operation&, Lines& lines) {
  lines.open("if (*" + pointer(branch.condition) + ") {");
  std::optional<size_t> first_end;  // where the results are born, in the other branch too
  for (const Region* region : {&branch.then_region, &branch.else_region}) {
    if (first_end) lines.turn("} else {");
    ONNXC_TRY(operations(region->ops, false, lines));
    const size_t end = walk_++;
    if (!first_end) first_end = end;
    begin_end(*first_end, lines);
    ONNXC_TRY(copies(branch.results, region->yields, 0, branch.results.size(), "an If", lines));
    finish_end(end, "if", lines);
  }
  lines.close();
  return ok();
}

Status BodyPrinter::node(const Loop& loop, const Operation&, Lines& lines) {
  const Region& region = loop.body;
  const bool conditional = loop.condition != kNoBuffer;
  const size_t carried = loop.inits.size(), first = conditional ? 1 : 0;
  ONNXC_TRY(copies(region.args, loop.inits, 0, carried, "a Loop", lines));
  const std::string turn = region.scalar_args.empty() ? names_.fresh("turn") : names_.declare(region.scalar_args[0]);
  const std::string go = conditional ? names_.fresh("go_on") : "";
  if (conditional) lines.add("bool " + go + " = *" + pointer(loop.condition) + ";");
  std::string condition = loop.trip_count ? turn + " < " + dim_text(*loop.trip_count, names_) : "";
  if (conditional) condition += (condition.empty() ? "" : " && ") + go;
  lines.open("for (int64_t " + turn + " = 0; " + condition + "; ++" + turn + ") {");
  ONNXC_TRY(operations(region.ops, false, lines));
  const size_t end = walk_++;
  for (size_t i = carried; i < loop.results.size(); ++i) {  // scans
    const Buffer& yield = plan_.program.buffers[region.yields[i + first]];
    ONNXC_TRY(copy(loop.results[i], region.yields[i + first], turn + " * (" + dim_text(numel(yield.dims), names_) + ")",
                   lines));
  }
  if (conditional) lines.add(go + " = *" + pointer(region.yields[0]) + ";");
  ONNXC_TRY(copies(region.args, region.yields, first, carried, "a Loop", lines));
  lines.close();
  begin_end(end, lines);
  ONNXC_TRY(copies(loop.results, region.args, 0, carried, "a Loop", lines));
  finish_end(end, "loop", lines);
  return ok();
}

}  // namespace onnxc::cpp
