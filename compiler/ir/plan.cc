#include "compiler/ir/plan.h"

namespace onnxc {

bool has_layout(const Plan& plan) { return prologue_size(plan.program) > 0; }

std::vector<std::string> table_names(const Plan& plan) {
  std::vector<std::string> names = {""};
  for (size_t i = 0; i < prologue_size(plan.program); ++i)
    if (const auto* def = std::get_if<ScalarDef>(&plan.program.ops[i].node)) names.push_back(def->name);
  for (const RunTimeBytes& bytes : plan.run_time_bytes) names.push_back(bytes.name);
  return names;
}

}  // namespace onnxc
