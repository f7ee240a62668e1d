// Result<T>: a value or the diagnostics that explain why there is none. The compiler passes these up;
// no exception crosses a room. Tested in tests/unit/support_test.cc.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace onnxc {

// What went wrong, by who can mend it. The values are the exit codes of `onnxc`.
enum class ErrorKind {
  Usage = 2,         // the command line
  InvalidModel = 3,  // the file breaks the ONNX standard
  Unsupported = 4,   // valid ONNX that this compiler does not handle (yet)
  Environment = 5,   // files, memory, the linker, the disk
  Internal = 70,     // a bug in onnxc
};

const char* kind_name(ErrorKind kind);  // "invalid model", "unsupported", ...

// One problem, worded for the person who has to solve it.
struct Diagnostic {
  ErrorKind kind = ErrorKind::Internal;
  std::string where;    // file, node (name, operator, index), value with its type; may be empty
  std::string message;  // what is wrong
  std::string advice;   // what to do about it; may be empty

  std::string str() const;  // "error: invalid model: WHERE: MESSAGE\n  ADVICE"
};

// At least one diagnostic. `Unsupported` ones are collected, so that all are listed in one go.
class [[nodiscard]] Error {
 public:
  Error(ErrorKind kind, std::string message, std::string where = {}, std::string advice = {}) {
    diagnostics_.push_back({kind, std::move(where), std::move(message), std::move(advice)});
  }
  explicit Error(std::vector<Diagnostic> diagnostics) : diagnostics_(std::move(diagnostics)) {}

  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }
  ErrorKind kind() const { return diagnostics_.front().kind; }
  void append(const Error& other) {
    diagnostics_.insert(diagnostics_.end(), other.diagnostics_.begin(), other.diagnostics_.end());
  }
  // Puts `where` in front of each diagnostic that has none.
  Error&& at(const std::string& where) &&;
  std::string str() const;  // one line (or two) per diagnostic

 private:
  std::vector<Diagnostic> diagnostics_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

struct Unit {};
using Status = Result<Unit>;
inline Status ok() { return Unit{}; }

}  // namespace onnxc

// Returns the error of a Status expression, if it is one.
#define ONNXC_TRY(expression)                                         \
  do {                                                                \
    if (auto onnxc_try_status = (expression); !onnxc_try_status.ok()) \
      return ::onnxc::Error(std::move(onnxc_try_status).error());     \
  } while (false)

#define ONNXC_CONCAT_INNER(a, b) a##b
#define ONNXC_CONCAT(a, b) ONNXC_CONCAT_INNER(a, b)
// ONNXC_ASSIGN(auto x, f()): declares or assigns x from a Result, or returns its error.
#define ONNXC_ASSIGN(declaration, expression)                                        \
  auto ONNXC_CONCAT(onnxc_result_, __LINE__) = (expression);                         \
  if (!ONNXC_CONCAT(onnxc_result_, __LINE__).ok())                                   \
    return ::onnxc::Error(std::move(ONNXC_CONCAT(onnxc_result_, __LINE__)).error()); \
  declaration = /* NOLINT(bugprone-macro-parentheses): a declaration takes none */   \
      std::move(ONNXC_CONCAT(onnxc_result_, __LINE__)).value()
