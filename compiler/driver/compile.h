// bytes -> Graph -> Program -> Plan -> object | sources -> artefact: calls the arrows in order. Read this room first.
#pragma once

#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

Status compile(const Options& options);

}  // namespace onnxc
