// Names and texts of errors. Tested in tests/unit/support_test.cc.
#include "compiler/support/result.h"

namespace onnxc {

const char* kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Usage: return "usage";
    case ErrorKind::InvalidModel: return "invalid model";
    case ErrorKind::Unsupported: return "unsupported";
    case ErrorKind::Environment: return "environment";
    case ErrorKind::Internal: return "internal error";
  }
  return "internal error";
}

std::string Diagnostic::str() const {
  std::string text = std::string("error: ") + kind_name(kind) + ": ";
  if (!where.empty()) text += where + ": ";
  text += message;
  if (!advice.empty()) text += "\n  " + advice;
  if (kind == ErrorKind::Internal && advice.empty()) {
    text += "\n  This is a bug in onnxc. Please report it, with the model and the command line.";
  }
  return text;
}

Error&& Error::at(const std::string& where) && {
  for (Diagnostic& d : diagnostics_) {
    if (d.where.empty()) d.where = where;
  }
  return std::move(*this);
}

std::string Error::str() const {
  std::string text;
  for (const Diagnostic& d : diagnostics_) {
    if (!text.empty()) text += '\n';
    text += d.str();
  }
  return text;
}

}  // namespace onnxc
