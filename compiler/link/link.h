// object + weights -> shared library or archive. Everything is written to a temporary name and renamed at the end, so
// that a failure, a signal or a full disk leaves nothing behind.
#pragma once

#include <string>

#include "compiler/emit/llvm/emit_llvm.h"
#include "compiler/ir/plan.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

// By lld in process (no linker needed on the user's machine). The blob is the last, read-only, page-aligned segment.
// With the files of --link, where the model calls functions of custom operators.
Status link_shared(const std::string& object, const Plan& plan, const ModelIdentity& identity, const Options& options,
                   const std::string& path);
// model.a: the object and the weights object, every symbol but <name>_get_model hidden.
Status write_archive(const std::string& object, const Plan& plan, const ModelIdentity& identity,
                     const std::string& path);
// The weights alone (--weights=separate), for onnxc_create_args.weights.
Status write_weights(const Plan& plan, const std::string& path);

}  // namespace onnxc
