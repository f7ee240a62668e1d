// The command line -> Options. Every flag of `onnxc` is declared in command_line.cc.
#pragma once

#include <string>

#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

// What the command line asks for besides one compilation.
struct CommandLine {
  Options options;
  bool describe = false;     // --describe: inputs and outputs of the model as JSON
  bool help_passes = false;  // --help-passes
  bool help_ops = false;     // --help-ops
  std::string batch;         // --batch FILE ("-": standard input)
  bool exit_now = false;     // --help, --version: text was printed
};

Result<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace onnxc
