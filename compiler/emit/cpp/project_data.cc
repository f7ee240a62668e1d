#include "compiler/emit/cpp/project_data.h"

#include <algorithm>
#include <kainjow/mustache.hpp>

#include "codegen_templates/embedded_files.h"
#include "compiler/emit/cpp/body_printer.h"
#include "compiler/emit/cpp/compiler_flags.h"
#include "compiler/emit/cpp/layout_printer.h"
#include "compiler/emit/cpp/operation_printer.h"
#include "compiler/emit/list_info.h"
#include "runtime_lib/abi/model_entry.h"

namespace onnxc::cpp {
namespace {

using kainjow::mustache::data;

const char* const kCompiler = "onnxc " ONNXC_VERSION;

std::string render(const std::string& name, const data& values) {
  kainjow::mustache::mustache engine(embedded_template(name));
  engine.set_custom_escape([](const std::string& s) { return s; });
  return engine.render(values);
}

data flag(bool on) { return data(on ? data::type::bool_true : data::type::bool_false); }

std::string number(uint64_t v) { return std::to_string(v); }

uint64_t elements(const ProgramValue& value) { return static_cast<uint64_t>(numel(value.dims).constant().value_or(0)); }

uint64_t packed_bytes(const ProgramValue& value) {
  return (elements(value) * static_cast<uint64_t>(elem_bits(value.elem)) + 7) / 8;
}

std::string type_note(Elem e) {
  if (is_sub_byte(e)) return "  // " + std::string(elem_name(e)) + ", packed as ONNX packs them";
  if (is_float(e) && e != Elem::F32 && e != Elem::F64) return "  // the bits of " + std::string(elem_name(e));
  return "";
}

// What differs where the value is a sequence or an optional.
void set_list(data& row, const ProgramValue& value, bool is_input) {
  const ListInfo info = list_info_of(*value.held, is_input);
  std::vector<std::string> dims, names;
  for (int64_t dim : info.dims) dims.push_back(std::to_string(dim)), names.emplace_back("\"\"");
  if (dims.empty()) dims = {"0"}, names = {"\"\""};  // C++ has no arrays of no elements
  const std::string element(elem_name(value.held->elem));
  std::string type = value.held->sequence ? "sequence of " + element : element;
  if (value.held->optional) type = "optional " + type;
  row.set("label", comment_text(value.name + ": " + type));
  row.set("kind", number(info.kind));
  row.set("elem", number(static_cast<uint64_t>(value.held->elem)));
  row.set("rank", std::to_string(info.rank));
  row.set("info_dims", join(dims));
  row.set("dim_names", join(names));
  row.set("flags", number(info.flags));
}

// Rows of one input or output; `struct_names` and `parameters` are distinct within the header.
data value_row(const Program& program, const ProgramValue& value, size_t index, const char* group, Names& struct_names,
               Names& parameters) {
  std::vector<std::string> dims, info_dims, names;
  for (size_t i = 0; i < value.dims.size(); ++i) {
    dims.push_back(value.dims[i].is_const() ? value.dims[i].str() : "-1");
    names.push_back(quoted(i < value.dim_names.size() ? value.dim_names[i] : ""));
  }
  info_dims = dims;
  if (dims.empty()) dims = info_dims = {"0"}, names = {"\"\""};  // C++ has no arrays of no elements
  const std::string kind = std::string(group) == "input" ? "input" : "output";
  const Buffer& buffer = program.buffers[value.buffer];
  const bool aliased = buffer.storage == Buffer::Storage::Output && buffer.alias_of != kNoBuffer;
  const std::string stem = identifier(value.name);
  data row;
  row.set("group", kind);
  row.set("index", number(index));
  row.set("label", comment_text(value.name + ": " + std::string(elem_name(value.elem)) + shape_str(value.dims)));
  row.set("quoted_name", quoted(value.name));
  row.set("kind", "ONNXC_TENSOR");
  row.set("type_name", struct_names.fresh(kind + "_" + stem));
  row.set("id", parameters.fresh(stem));
  row.set("type", is_sub_byte(value.elem) ? "uint8_t" : value_type(value.elem));
  row.set("type_note", type_note(value.elem));
  row.set("elem", number(static_cast<uint64_t>(value.elem)));
  row.set("kind", value.elem == Elem::String ? "ONNXC_STRING_TENSOR" : "ONNXC_TENSOR");
  row.set("rank", number(value.dims.size()));
  row.set("dims", join(dims));
  row.set("info_dims", join(info_dims));
  row.set("dim_names", join(names));
  row.set("flags", is_static(value.dims) ? "ONNXC_STATIC" : "0");
  row.set("size", number(elements(value)));
  row.set("bytes", number(packed_bytes(value)));
  row.set("alias_of", aliased ? std::to_string(program.buffers[buffer.alias_of].index) : "-1");
  if (value.held) set_list(row, value, kind == "input");
  return row;
}

void add_values(const Program& program, data& values) {
  Names struct_names, parameters;
  data inputs(data::type::list), outputs(data::type::list), both(data::type::list);
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const data row = value_row(program, program.inputs[i], i, "input", struct_names, parameters);
    inputs << row;
    both << row;
  }
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const data row = value_row(program, program.outputs[i], i, "output", struct_names, parameters);
    outputs << row;
    both << row;
  }
  values.set("inputs", inputs);
  values.set("outputs", outputs);
  values.set("values", both);
  values.set("num_inputs", number(program.inputs.size()));
  values.set("num_outputs", number(program.outputs.size()));
}

bool has_lists(const Program& program) {
  const auto is_list = [](const ProgramValue& v) { return v.held.has_value(); };
  return std::ranges::any_of(program.inputs, is_list) || std::ranges::any_of(program.outputs, is_list);
}

// Their memory is found by the run, which a caller who knows the sizes has no part in.
bool gives_strings(const Program& program) {
  return std::ranges::any_of(program.outputs, [](const ProgramValue& v) { return v.elem == Elem::String; });
}

bool has_strings(const Program& program) {
  return std::ranges::any_of(program.buffers, [](const Buffer& b) { return b.elem == Elem::String; });
}

data common(const Plan& plan, const ModelIdentity& identity) {
  data values;
  values.set("name", identity.name);
  values.set("compiler", kCompiler);
  values.set("arena_bytes", number(run_arena_bytes(plan)));
  values.set("session_bytes", number(ONNXC_SESSION_BYTES));
  values.set("has_weights", flag(plan.blob_bytes > 0));
  values.set("fixed", flag(!has_layout(plan) && !has_lists(plan.program) && !gives_strings(plan.program)));
  data layouts(data::type::list);
  for (size_t s = 0; has_layout(plan) && s < plan.stages.size(); ++s) {
    data row;
    row.set("stage", number(s));
    row.set("text", print_layout(plan, s));
    layouts << row;
  }
  values.set("layouts", layouts);
  values.set("num_layouts", number(has_layout(plan) ? plan.stages.size() : 0));
  values.set("table_length", number(has_layout(plan) ? table_names(plan).names.size() : 0));
  values.set("own_weights", flag(plan.blob_bytes > 0 && identity.embed_weights));
  return values;
}

std::string hash_bytes(const std::vector<uint8_t>& sha256) {
  std::vector<std::string> bytes;
  for (size_t i = 0; i < 32; ++i) bytes.push_back(std::to_string(i < sha256.size() ? sha256[i] : 0));
  return join(bytes);
}

data flags_list(const std::vector<std::string>& flags) {
  data list(data::type::list);
  for (const std::string& f : flags) list << data("flag", f);
  return list;
}

void add_debug_plan(const Plan& plan, data& values) {
  data rows(data::type::list);
  uint64_t count = 0;
  for (BufferId b = 0; b < plan.program.buffers.size(); ++b) {
    const Place& place = plan.places[b];
    const Buffer& buffer = plan.program.buffers[b];
    if (place.kind != Place::Kind::Arena || buffer.storage == Buffer::Storage::View) continue;
    const std::string label = quoted(buffer.name);
    data row;
    row.set("label", label.substr(1, label.size() - 2));
    row.set("offset", (place.offset - place.lead).str());
    row.set("bytes", place.bytes.str());
    row.set("first", std::to_string(place.first));
    row.set("last", std::to_string(place.last));
    rows << row;
    ++count;
  }
  values.set("debug", flag(plan.debug));
  values.set("debug_buffers", rows);
  values.set("num_debug_buffers", number(count));
  values.set("guard_bytes", number(static_cast<uint64_t>(plan.guard_bytes)));
}

}  // namespace

bool decodes_images(const Program& program) { return calls_kernel(program.ops, "image_dims"); }

uint64_t run_arena_bytes(const Plan& plan) {
  if (has_layout(plan)) return 0;
  uint64_t bytes = static_cast<uint64_t>(plan.stages.front().arena_bytes.constant().value_or(0));
  for (const auto* list : {&plan.program.inputs, &plan.program.outputs})
    for (const ProgramValue& value : *list)
      bytes +=
          onnxc_entry::staging_bytes(static_cast<int32_t>(value.elem), elements(value), list == &plan.program.outputs);
  return bytes;
}

std::string render_header(const Plan& plan, const ModelIdentity& identity) {
  data values = common(plan, identity);
  add_values(plan.program, values);
  return render("model.h", values);
}

Result<std::string> render_entry(const Plan& plan, const ModelIdentity& identity, const Target& target) {
  data values = common(plan, identity);
  add_values(plan.program, values);
  values.set("target", target.name());
  values.set("required_features", number(target.required_features) + "u");
  values.set("model_hash", hash_bytes(identity.sha256));
  values.set("weights_hash", number(plan.weights_hash) + "u");
  values.set("weights_bytes", number(plan.blob_bytes) + "u");
  values.set("shared", flag(identity.shared));
  values.set("flags", plan.threads ? "ONNXC_BODY_PARALLEL" : "0");
  data metadata(data::type::list), operations(data::type::list);
  for (const auto& [key, value] : plan.program.metadata) {
    data row;
    row.set("key", quoted(key));
    row.set("value", quoted(value));
    metadata << row;
  }
  for (const Operation& op : plan.program.ops) operations << data("label", quoted(operation_label(op)));
  values.set("metadata", metadata);
  values.set("num_metadata", number(plan.program.metadata.size()));
  values.set("operations", operations);
  values.set("num_operations", number(plan.program.ops.size()));
  return render("model_entry.cc", values);
}

Result<std::string> render_operations(const Plan& plan, const ModelIdentity& identity, const Target& target) {
  BodyPrinter body(plan);
  ONNXC_TRY(body.print());
  data values = common(plan, identity);
  values.set("target", target.name());
  data headers(data::type::list), functions(data::type::list), steps(data::type::list);
  headers << data("header", "all_kernels.h");
  if (calls_kernel(plan.program.ops, "tree_scores")) headers << data("header", "trees.h");
  if (has_strings(plan.program)) headers << data("header", "text_kernels.h");
  if (decodes_images(plan.program)) headers << data("header", "image.h");
  data linked(data::type::list);
  for (const auto& [function, node] : linked_functions(plan.program.ops)) {
    data row;
    row.set("function", function);
    row.set("node", comment_text(node));
    linked << row;
  }
  values.set("linked", linked);
  values.set("links", flag(linked.is_non_empty_list()));
  for (const std::string& f : body.functions()) functions << data("text", f);
  for (const BodyPrinter::Step& s : body.steps()) {
    data row;
    row.set("comment", s.comment);
    row.set("text", s.text);
    steps << row;
  }
  values.set("kernel_headers", headers);
  values.set("functions", functions);
  values.set("steps", steps);
  values.set("grows", flag(body.allocs() > 0));
  values.set("num_grown", number(body.allocs()));
  values.set("threads", flag(plan.threads));
  add_debug_plan(plan, values);
  return render("model.cc", values);
}

std::string render_weights(const ModelIdentity& identity, const Target& target) {
  data values("name", identity.name);
  values.set("weights_align", target.level == Level::Generic ? "64" : "4096");  // pages, or what flash can spare
  return render("weights.S", values);
}

std::string render_cmake(const Plan& plan, const ModelIdentity& identity, const Target& target,
                         const Options& options) {
  data values = common(plan, identity);
  values.set("target", target.name());
  values.set("common_flags", flags_list(common_flags(options)));
  values.set("code_flags", flags_list(code_flags(target)));
  values.set("sanitize", flag(options.sanitize_address));
  values.set("images", flag(decodes_images(plan.program)));
  return render("CMakeLists.txt", values);
}

}  // namespace onnxc::cpp
