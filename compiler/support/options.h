// Every option of the compiler, in one struct that travels as `const Options&`. The command line
// (driver/command_line.cc) fills it; nothing else holds an option.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace onnxc {

enum class Emit { Artefact, Graph, Program, Plan, Llvm, Asm, Cpp };
enum class Backend { Llvm, Cpp };

// --custom-op DOMAIN::NAME=FUNCTION[,SHAPES]
struct CustomOp {
  std::string function;  // C function that computes the operator (runtime_lib/include/onnxc/custom_op.h)
  std::string shapes;    // of its outputs, see ops/custom_op.h; empty: as the model declares them, else `same`
};

struct Options {
  // What to read and what to write.
  std::string input;   // path of the .onnx file
  std::string output;  // artefact by suffix: .so, .a (+ .h), directory/
  Emit emit = Emit::Artefact;
  Backend backend = Backend::Llvm;
  std::string
      model_name;  // C identifier that prefixes the model's symbols; empty = from the output's or input's file name

  // Shapes.
  std::map<std::string, int64_t> dims;  // --dim NAME=N
  // --dim NAME=N,M,...: a body for each combination of these beside the general one (driver/special_bodies.h).
  std::map<std::string, std::vector<int64_t>> special_dims;
  std::map<std::string, std::vector<int64_t>> shapes;  // --shape INPUT=1,3,224,224

  // Operators of the user's: by the operator's domain ("" is ai.onnx) and name.
  std::map<std::pair<std::string, std::string>, CustomOp> custom_ops;
  std::vector<std::string> link;  // --link FILE: objects, archives and shared libraries that NAME.so is linked with

  // Code.
  int opt_level = 3;            // -O0..-O3
  std::string cpu = "native";   // native | x86-64-v2 | x86-64-v3 | x86-64-v4 | generic (C++ only)
  bool single_thread = false;   // no code for threads: what firmware and constant folding run
  int64_t thread_grain = 1000;  // nanoseconds of work that a thread takes at least; 0: share whatever can be shared
  bool fold_constants = true;
  bool winograd = true;                      // --no-winograd: convolutions take the direct form
  bool small = false;                        // --small: no packing of weights that grows them
  std::vector<std::string> disabled_passes;  // --disable-pass=NAME
  int opt_bisect = -1;                       // --opt-bisect=N: run only the first N pass applications; -1 = all
  bool embed_weights = true;                 // --weights=embedded; separate: a file NAME.weights beside it

  // Looking inside, and catching what hides.
  std::vector<std::string> dump_after;  // pass names, or "all"
  bool time_passes = false;
  bool verify_each = false;  // run the verifier after each pass
  bool debug_plan = false;   // each buffer its own guarded allocation, NaN-filled at birth and death
  bool sanitize_address = false;
  std::string report;  // where to write what was made, as JSON (driver/report.h); empty: nowhere
  bool quiet = false;  // no progress, no note of sizes

  bool pass_disabled(const std::string& name) const {
    return std::ranges::find(disabled_passes, name) != disabled_passes.end();
  }
};

}  // namespace onnxc
