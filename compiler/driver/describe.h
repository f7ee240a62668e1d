// `onnxc --describe`: what a model takes and gives, as JSON for scripts and for the Python package:
// {"inputs": [{"name", "elem", "type", "dims": [3, "batch", null]}], "outputs": [...], "metadata": {...}}.
#pragma once

#include <string>

#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

// `onnxc --help-ops`: a line per operator of ops.inc: name, accuracy class, ways down. tests/differential reads it.
std::string describe_operators();

Result<std::string> describe_model(const Options& options);

}  // namespace onnxc
