#include "compiler/emit/cpp/layout_printer.h"

#include "compiler/emit/cpp/expr_printer.h"
#include "compiler/emit/cpp/operation_printer.h"
#include "compiler/plan/run_time_layout.h"

namespace onnxc::cpp {
namespace {

class LayoutPrinter {
 public:
  LayoutPrinter(const Plan& plan, size_t stage) : plan_(plan), stage_(stage), entry_(table_entry(plan)) {}

  std::string print() {
    const PlannedStage& stage = plan_.stages[stage_];
    lines_.add("int64_t* const table = frame->table;");
    for (size_t i = stage.operations.begin; i < stage.operations.end; ++i) {
      const Operation& op = plan_.program.ops[i];
      if (const auto* def = std::get_if<ScalarDef>(&op.node)) lines_.add(entry_(def->name) + " = " + value(*def) + ";");
      if (const auto* require = std::get_if<Require>(&op.node))
        lines_.add("if (" + text(require->value) + " < 0) return onnxc_layout_refused(frame, " +
                   quoted(require->message) + ");");
    }
    for (const RunTimeBytes& bytes : stage.run_time_bytes) {
      std::string most = "0";
      for (const Dim& least : bytes.least) most = "greatest<int64_t>(" + most + ", " + text(least) + ")";
      lines_.add(entry_(bytes.name) + " = " + most + ";");
    }
    lines_.add("table[" + std::to_string(stage_) + "] = " + text(stage.arena_bytes) + ";");
    const StageOfSymbol known = stage_of_symbol(plan_.program);
    for (size_t i = 0; i < plan_.program.outputs.size(); ++i) {
      const Shape& dims = plan_.program.outputs[i].dims;
      if (!is_static(dims) && stage_of_output(dims, known) == stage_) output(i, dims);
    }
    lines_.add("return ONNXC_OK;");
    return lines_.text();
  }

 private:
  std::string text(const Dim& dim) const { return saturating_text(dim, entry_); }

  std::string value(const ScalarDef& def) const {
    if (const auto* dim = std::get_if<Dim>(&def.value)) return text(*dim);
    if (const auto* dim_of = std::get_if<ScalarDef::DimOf>(&def.value))
      return "frame->input_values[" + std::to_string(plan_.program.buffers[dim_of->buffer].index) + "].dims[" +
             std::to_string(dim_of->axis) + "]";
    const auto& element = std::get<ScalarDef::Element>(def.value);
    return "static_cast<int64_t>(" + pointer_text(plan_, element.buffer) + "[" + text(element.index) + "])";
  }

  void output(size_t index, const Shape& dims) {
    const std::string value = "frame->output_values[" + std::to_string(index) + "]";
    lines_.add(value + ".rank = " + std::to_string(dims.size()) + ";");
    for (size_t d = 0; d < dims.size(); ++d)
      lines_.add(value + ".dims[" + std::to_string(d) + "] = " + text(dims[d]) + ";");
  }

  const Plan& plan_;
  size_t stage_;
  std::function<std::string(const std::string&)> entry_;
  Lines lines_;
};

}  // namespace

std::string print_layout(const Plan& plan, size_t stage) { return LayoutPrinter(plan, stage).print(); }

}  // namespace onnxc::cpp
