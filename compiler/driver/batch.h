// `onnxc --batch FILE`: compiles many models in one process. Each line: MODEL<TAB>OUTPUT[<TAB>flags]. For each, one
// line of JSON on standard output: {"model", "ok", "exit", "message", "ms"}. A model that fails does not stop the
// others.
#pragma once

#include <string>

#include "compiler/support/result.h"

namespace onnxc {

Status run_batch(const std::string& file);

}  // namespace onnxc
