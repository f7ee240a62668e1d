// What building emitted sources needs of the operating system: a folder that disappears again, programs run as
// children, signals held back until the folder is gone. Tested in tests/unit/emit_cpp_test.cc and tests/api/.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <string>
#include <vector>

#include "compiler/support/result.h"

namespace onnxc::cpp {

// While one lives, SIGINT, SIGTERM and SIGHUP only set a flag, unless they are ignored; the last thing that its
// destructor does is to deliver the signal.
class HeldSignals {
 public:
  HeldSignals();
  ~HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  static bool came();

 private:
  struct sigaction before_[3];
};

// A new folder, removed with all that it holds unless `release`d.
class TemporaryFolder {
 public:
  // `prefix`: path to which a dot and six characters are added.
  static Result<TemporaryFolder> create(const std::string& prefix);
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// The host's C++ compiler: $CXX, c++, g++, clang++; the first that runs.
Result<std::string> find_cxx_compiler();

// A program that runs with its output in a file.
class Child {
 public:
  static Result<Child> start(const std::vector<std::string>& command, const std::string& log);
  // Waits; an error holds the beginning of what the program said.
  Status wait();

 private:
  pid_t pid_ = -1;
  std::string program_, log_;
};

Status run_program(const std::vector<std::string>& command, const std::string& log);

}  // namespace onnxc::cpp
