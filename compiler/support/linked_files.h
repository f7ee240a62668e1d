// Files that --link gives for NAME.so: they have the functions of custom operators. Tested in
// tests/api/test_custom_ops.py.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/support/result.h"

namespace onnxc {

// The functions that a model calls, and for each a node that does.
using LinkedFunctions = std::map<std::string, std::string>;

struct LinkedFiles {
  std::vector<std::string> arguments;  // of a linker or a compiler: files, -L, -l
  bool found_at_run_time = false;      // some are shared libraries
};

// The files, and the C library's, which they may call. Environment errors for what is no such file, or where none is
// given and functions are needed.
Result<LinkedFiles> find_linked_files(const std::vector<std::string>& files, const LinkedFunctions& functions);
// What a linker said, for people: which function is missing.
Error link_failure(const std::string& said, const LinkedFunctions& functions);
// A version script that shows nothing but these names.
std::string export_only(const std::vector<std::string>& names);

}  // namespace onnxc
