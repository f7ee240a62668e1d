// Program -> Plan: liveness, arena, weights blob.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "compiler/ir/plan.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

// Unsupported, naming each value whose size does not follow from the dims of the inputs. make_plan asks too; asked
// before verify_program, it tells users what they can do.
Status require_known_dims(const Program& program);

Result<Plan> make_plan(Program program, const Options& options);

// Plans of one model, for different dims of its inputs, use one blob: the last of `plans` joins that of the first,
// which the others before it use already. The first one then holds the constants of all, each once, and its blob is the
// one that is written; the last one's own is empty.
Status share_blob(std::span<Plan> plans);

// Streams the blob (header, table, packed constants) to `sink` in order, piece by piece: peak memory is one constant.
Status write_blob(const Plan& plan, const std::function<Status(std::span<const std::byte>)>& sink);

// Packs one constant (Packing in program.h); used by write_blob and tests.
Tensor pack_constant(const Constant& constant);

}  // namespace onnxc
