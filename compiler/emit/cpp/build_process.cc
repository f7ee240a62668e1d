#include "compiler/emit/cpp/build_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace onnxc::cpp {
namespace {

// The one thing that a signal handler can reach.
volatile std::sig_atomic_t signal_that_came = 0;
constexpr int kSignals[3] = {SIGINT, SIGTERM, SIGHUP};

std::string beginning_of(const std::string& file) {
  std::ifstream in(file);
  std::string text, line;
  for (int i = 0; i < 20 && std::getline(in, line); ++i) text += line + "\n";
  return text;
}

bool runs(const std::string& program) {
  auto child = Child::start({program, "--version"}, "/dev/null");
  return child.ok() && child->wait().ok();
}

}  // namespace

HeldSignals::HeldSignals() {
  signal_that_came = 0;
  struct sigaction action{};
  action.sa_handler = [](int number) { signal_that_came = number; };
  for (int i = 0; i < 3; ++i) {
    sigaction(kSignals[i], &action, &before_[i]);
    if (before_[i].sa_handler == SIG_IGN) sigaction(kSignals[i], &before_[i], nullptr);
  }
}

HeldSignals::~HeldSignals() {
  for (int i = 0; i < 3; ++i) sigaction(kSignals[i], &before_[i], nullptr);
  if (const int number = signal_that_came) {
    signal_that_came = 0;
    raise(number);
  }
}

bool HeldSignals::came() { return signal_that_came != 0; }

Result<TemporaryFolder> TemporaryFolder::create(const std::string& prefix) {
  std::string path = prefix + ".XXXXXX";
  if (!mkdtemp(path.data()))
    return Error(ErrorKind::Environment, std::string("cannot create a folder here: ") + std::strerror(errno), path,
                 "check that the folder above exists and may be written");
  return TemporaryFolder(path);
}

TemporaryFolder::~TemporaryFolder() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Result<std::string> find_cxx_compiler() {
  std::vector<std::string> candidates;
  if (const char* chosen = std::getenv("CXX")) candidates.push_back(chosen);
  candidates.insert(candidates.end(), {"c++", "g++", "clang++"});
  for (const std::string& c : candidates)
    if (!c.empty() && runs(c)) return c;
  return Error(ErrorKind::Environment, "no C++ compiler was found", "--backend=cpp",
               "install g++ or clang++, or set CXX, or use --backend=llvm, which needs none");
}

Result<Child> Child::start(const std::vector<std::string>& command, const std::string& log) {
  Child child;
  child.program_ = command[0];
  child.log_ = log;
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  const int code = posix_spawnp(&child.pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (code != 0)
    return Error(ErrorKind::Environment, std::string("cannot be started: ") + std::strerror(code), command[0]);
  return child;
}

Status Child::wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0)
    if (errno != EINTR)
      return Error(ErrorKind::Environment, std::strerror(errno), program_);
    else if (HeldSignals::came())
      kill(pid_, SIGTERM);
  if (HeldSignals::came()) return Error(ErrorKind::Environment, "interrupted", program_);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return ok();
  const std::string said = beginning_of(log_);
  if (said.find("No space left on device") != std::string::npos)
    return Error(ErrorKind::Environment, "no space left on device", program_, "make room on that disk, or set TMPDIR");
  return Error(ErrorKind::Internal, "failed on the sources that onnxc made:\n" + said, program_,
               "this is a bug in onnxc, unless the compiler is older than g++ 12 or clang 15: please report it");
}

Status run_program(const std::vector<std::string>& command, const std::string& log) {
  ONNXC_ASSIGN(Child child, Child::start(command, log));
  return child.wait();
}

}  // namespace onnxc::cpp
