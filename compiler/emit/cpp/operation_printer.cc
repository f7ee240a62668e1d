#include "compiler/emit/cpp/operation_printer.h"

#include <algorithm>
#include <map>
#include <optional>

#include "compiler/emit/cpp/nest_printer.h"

namespace onnxc::cpp {
namespace {

// Where a buffer's storage root lies: two of the same space with ranges apart never overlap.
struct Range {
  std::string space;
  int64_t begin = 0, end = 0;
};

Range root_range(const Plan& plan, BufferId buffer) {
  const BufferId root = storage_root(plan.program, buffer);
  const Buffer& b = plan.program.buffers[root];
  const Place& place = plan.places[root];
  switch (b.storage) {
    case Buffer::Storage::Input: return {"input " + std::to_string(b.index), 0, INT64_MAX};
    case Buffer::Storage::Output:
      if (b.alias_of != kNoBuffer) return root_range(plan, b.alias_of);
      return {"output " + std::to_string(b.index), 0, INT64_MAX};
    default: {
      const Dim start = place.offset - place.lead;
      const std::string space = place.kind == Place::Kind::Weights ? "weights" : "arena " + std::to_string(place.stage);
      // Where only a run knows the places, what an operation reaches lies apart: all of it lives then.
      if (place.kind == Place::Kind::Arena && !has_fixed_places(plan)) return {space + " at " + start.str(), 0, 1};
      return {space, start.value(), start.value() + place.bytes.value()};
    }
  }
}

bool overlap(const Range& a, const Range& b) { return a.space == b.space && a.begin < b.end && b.begin < a.end; }

struct Parameter {
  BufferId buffer;
  bool written = false;
  bool restricted = true;
  std::string pointer;  // text in the body
  std::string type;     // "float"
  std::string name;
  std::vector<BufferId> also;  // buffers that lie at the very same place
};

// Buffers in the order in which a reader expects them: outputs first.
std::vector<std::pair<BufferId, bool>> buffers_of(const Operation& op) {
  std::vector<std::pair<BufferId, bool>> list;
  const auto add = [&](BufferId b, bool written) {
    if (b == kNoBuffer) return;
    for (auto& [have, w] : list)
      if (have == b) {
        w = w || written;
        return;
      }
    list.push_back({b, written});
  };
  if (const auto* call = std::get_if<KernelCall>(&op.node)) {
    for (const auto& o : call->outs) add(o.buffer, true);
    for (const auto& o : call->inouts) add(o.buffer, true);
    for (const auto& o : call->ins) add(o.buffer, false);
    for (BufferId b : call->scratch) add(b, true);
    return list;
  }
  const Effects effects = effects_of(op);
  for (BufferId b : effects.writes) add(b, true);
  for (BufferId b : effects.reads) add(b, false);
  return list;
}

std::vector<Parameter> parameters_of(const Plan& plan, const Operation& op, Names& names) {
  std::vector<Parameter> params;
  for (const auto& [buffer, written] : buffers_of(op)) {
    const std::string pointer = pointer_text(plan, buffer);
    const auto same =
        std::find_if(params.begin(), params.end(), [&](const Parameter& p) { return p.pointer == pointer; });
    if (same != params.end()) {
      same->also.push_back(buffer);
      same->written = same->written || written;
      continue;
    }
    const Buffer& b = plan.program.buffers[buffer];
    const bool restricted = !is_joint(op);  // else other threads write it, too
    params.push_back({buffer, written, restricted, pointer, storage_type(b.elem), names.fresh(b.name), {}});
  }
  for (Parameter& p : params)
    for (const Parameter& q : params)
      if (&p != &q && (p.written || q.written) && overlap(root_range(plan, p.buffer), root_range(plan, q.buffer)))
        p.restricted = false;
  return params;
}

// "(float* __restrict y,  // f32[2, 3]\n ...) {"
std::string signature(const Plan& plan, const std::vector<Parameter>& params, const std::vector<std::string>& scalars,
                      const std::optional<NestPrinter::Share>& share, const std::string& frame, bool neutral) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const Parameter& p : params)
    rows.push_back({(p.written ? "" : "const ") + p.type + "* " + (p.restricted ? "__restrict " : "") + p.name,
                    neutral ? "" : buffer_label(plan.program.buffers[p.buffer])});
  for (const std::string& s : scalars) rows.push_back({"int64_t " + s, ""});
  if (share) {
    rows.push_back({"int64_t " + share->begin, ""});
    rows.push_back({"int64_t " + share->end, ""});
    if (!share->team.empty()) rows.push_back({"onnxc_frame* " + share->team, ""});
  }
  if (!frame.empty()) rows.push_back({"onnxc_frame* " + frame, ""});
  std::string text = "(";
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string end = i + 1 < rows.size() ? "," : ") {";
    text += "\n    " + rows[i].first + end;
    if (!rows[i].second.empty()) text += "  // " + rows[i].second;
  }
  return text + (rows.empty() ? ") {\n" : "\n");
}

struct PrintedBody {
  std::string text;
  std::vector<std::string> scalars;
  bool may_fail = false;
};

// Kernels take their share even where one thread runs all of it, so that calls of one kernel share a function.
bool takes_share(const Plan& plan, const Operation& op) {
  return plan.threads && op.partition && (is_shared(op) || std::holds_alternative<KernelCall>(op.node));
}

bool takes_frame(const Operation& op) {
  const auto* call = std::get_if<KernelCall>(&op.node);
  return call && (call->run_memory || !call->function.empty());
}

PrintedBody print_body(const Plan& plan, const Operation& op, bool neutral) {
  Names names(neutral);
  const std::vector<Parameter> params = parameters_of(plan, op, names);
  std::map<BufferId, std::string> pointers;
  Lines lines;
  for (const Parameter& p : params) {
    pointers[p.buffer] = p.name;
    for (BufferId other : p.also) {
      const Buffer& b = plan.program.buffers[other];
      const std::string type = storage_type(b.elem);
      if (type == p.type) {
        pointers[other] = p.name;
        if (!neutral) lines.add("// " + p.name + " is also " + comment_text(b.name) + ": " + buffer_label(b));
      } else {
        pointers[other] = names.fresh(b.name);
        lines.add((p.written ? "" : "const ") + type + "* const " + pointers[other] + " = reinterpret_cast<" +
                  (p.written ? "" : "const ") + type + "*>(" + p.name + ");");
      }
    }
  }
  NestPrinter printer(plan.program, names, pointers);
  std::optional<NestPrinter::Share> share;
  if (takes_share(plan, op)) share = NestPrinter::Share{names.fresh("begin"), names.fresh("end"), {}};
  if (plan.threads && is_joint(op)) share->team = names.fresh("frame");
  const std::string frame = takes_frame(op) ? names.fresh("frame") : "";
  if (const auto* call = std::get_if<KernelCall>(&op.node)) {
    std::optional<NestPrinter::Share> all;
    if (op.partition) all = NestPrinter::Share{"0", dim_text(op.partition->extent, names), {}};
    printer.kernel_call(*call, share ? &*share : all ? &*all : nullptr, lines, frame);
  } else if (share) {
    printer.share_of_nest(std::get<Nest>(op.node).body, *share, lines);
  } else {
    printer.block(std::get<Nest>(op.node).body, lines);
  }
  if (printer.may_fail()) lines.add("return 0;");
  std::vector<std::string> scalar_names;
  for (const std::string& s : names.undeclared()) scalar_names.push_back(names.of(s));
  return {signature(plan, params, scalar_names, share, frame, neutral) + lines.text() + "}\n", names.undeclared(),
          printer.may_fail()};
}

}  // namespace

std::string buffer_label(const Buffer& buffer) {
  std::string label = std::string(elem_name(buffer.elem)) + shape_str(buffer.dims);
  if (!buffer.layout.plain()) label += " " + buffer.layout.str();
  if (!buffer.strides.empty()) label += " strides " + shape_str(buffer.strides);
  return comment_text(label);
}

std::function<std::string(const std::string&)> table_entry(const Plan& plan) {
  std::map<std::string, size_t> entries;
  const TableNames table = table_names(plan);
  for (size_t i = 0; i < table.names.size(); ++i) entries[table.names[i]] = i;
  return [entries = std::move(entries)](const std::string& name) {
    return "table[" + std::to_string(entries.at(name)) + "]";
  };
}

std::string grown_name(BufferId buffer) { return "grown_" + std::to_string(buffer); }

std::string pointer_text(const Plan& plan, BufferId buffer) {
  const BufferId root = storage_root(plan.program, buffer);
  const Buffer& b = plan.program.buffers[root];
  const Place& place = plan.places[root];
  const std::string type = storage_type(plan.program.buffers[buffer].elem);
  Dim offset = view_offset_bytes(plan.program, buffer);
  std::string base;
  switch (b.storage) {
    case Buffer::Storage::Input:
    case Buffer::Storage::Output: {
      const bool input = b.storage == Buffer::Storage::Input;
      base = std::string(input ? "frame->inputs[" : "frame->outputs[") + std::to_string(b.index) + "]";
      if (offset == Dim(0)) return "static_cast<" + std::string(input ? "const " : "") + type + "*>(" + base + ")";
      base = "static_cast<" + std::string(input ? "const " : "") + "unsigned char*>(" + base + ")";
      break;
    }
    case Buffer::Storage::Dynamic: base = grown_name(root); break;
    default:
      base = place.kind == Place::Kind::Weights ? "weights"
             : place.stage == 0                 ? "arena"
                                                : "frame->arenas[" + std::to_string(place.stage) + "]";
      offset = offset + place.offset;
  }
  return "at<" + type + ">(" + base + ", " + dim_text(offset, table_entry(plan)) + ")";
}

PrintedOperation print_operation(const Plan& plan, const Operation& op) {
  const PrintedBody body = print_body(plan, op, false);
  PrintedOperation printed{print_body(plan, op, true).text,
                           body.text,
                           "",
                           body.scalars,
                           body.may_fail,
                           takes_frame(op),
                           takes_share(plan, op)};
  Names names;
  std::vector<std::string> arguments;
  for (const Parameter& p : parameters_of(plan, op, names)) arguments.push_back("/*" + p.name + "=*/" + p.pointer);
  printed.arguments = join(arguments, ",\n      ");
  return printed;
}

}  // namespace onnxc::cpp
