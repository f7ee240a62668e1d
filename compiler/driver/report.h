// --report: what was made of a model, as JSON for tools.
#pragma once

#include <span>
#include <string>

#include "compiler/ir/plan.h"
#include "compiler/support/result.h"

namespace onnxc {

// Of the general body and, behind its operations, of the special ones:
// {"arena_bytes", "constant_bytes", "source_constant_bytes",
//  "operations": [{"kernel", "origins": [...], "flops", "bytes_read", "bytes_written"}, ...]}
// One row per operation of the Plans, in the order of onnxc_model_info.operations and of the host's `profile`. The last
// three are those of plan/work.h, null where that knows nothing.
std::string report_of(std::span<const Plan> plans);
Status write_report(std::span<const Plan> plans, const std::string& path);

}  // namespace onnxc
