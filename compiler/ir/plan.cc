#include "compiler/ir/plan.h"

namespace onnxc {

bool has_layout(const Plan& plan) {
  return plan.stages.size() > 1 || plan.stages.front().operations.end > plan.stages.front().operations.begin;
}

bool has_fixed_places(const Plan& plan) {
  return plan.stages.size() == 1 && plan.stages.front().run_time_bytes.empty();
}

TableNames table_names(const Plan& plan) {
  TableNames table;
  table.names.resize(plan.stages.size());
  for (const PlannedStage& stage : plan.stages) {
    table.begin.push_back(table.names.size());
    for (size_t i = stage.operations.begin; i < stage.operations.end; ++i)
      if (const auto* def = std::get_if<ScalarDef>(&plan.program.ops[i].node)) table.names.push_back(def->name);
    for (const RunTimeBytes& bytes : stage.run_time_bytes) table.names.push_back(bytes.name);
  }
  return table;
}

}  // namespace onnxc
