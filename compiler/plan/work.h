// What an operation costs at least: its arithmetic and the bytes that it has to move. Reports divide times by it.
// Tested in tests/unit/work_test.cc.
#pragma once

#include <optional>

#include "compiler/ir/program.h"

namespace onnxc {

struct Work {
  // A multiply-add is 2. Of products the defining sum is counted, whatever the kernel makes of it (Winograd needs
  // fewer). Of other kernels nothing is.
  double flops = 0;
  // Of each buffer at most its extent, once: what must pass if nothing is in a cache before.
  double bytes_read = 0, bytes_written = 0;
};

// Nothing when dims are not constant or a region decides how often it runs.
std::optional<Work> work_of(const Program& program, const Operation& op);

}  // namespace onnxc
