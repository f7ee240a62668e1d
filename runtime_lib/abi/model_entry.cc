// model_entry.h and memory_functions.h as one bitcode module for the LLVM back end, which internalises what it links.
#define ONNXC_ENTRY __attribute__((visibility("hidden")))
#define ONNXC_MEMORY_FUNCTION __attribute__((visibility("hidden")))
#include "model_entry.h"

#include "custom_op.h"
#include "debug_plan.h"
#include "memory_functions.h"
