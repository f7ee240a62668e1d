#include "compiler/ops/custom_op_shapes.h"

#include <algorithm>
#include <charconv>

namespace onnxc {
namespace {

const char* const kForms =
    "a rule is `same`, `same1`, `i64 same`, `[d0.0, 2*d1.1, 4]` or `f32[d0.0, ?]`; `;` separates outputs";

Error bad(const std::string& rule, const std::string& why) {
  return Error(ErrorKind::Usage, "cannot read the shape rule \"" + rule + "\": " + why, "--custom-op", kForms);
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// Parts between separators that stand in no parentheses.
std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == separator && depth == 0)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  for (std::string& part : parts) part = trimmed(part);
  return parts;
}

Status parse_elem(const std::string& rule, const std::string& text, OutputRule& out) {
  if (text.empty()) return ok();
  out.elem = elem_from_name(text);
  return out.elem ? ok() : Status(bad(rule, "there is no element type \"" + text + "\" (f32, f16, i64, bool ...)"));
}

Result<OutputRule> parse_same(const std::string& rule) {
  OutputRule out;
  const size_t at = rule.find("same");
  if (at == std::string::npos) return bad(rule, "it is neither `same` nor dims in []");
  ONNXC_TRY(parse_elem(rule, trimmed(rule.substr(0, at)), out));
  const std::string input = rule.substr(at + 4);
  const auto read = std::from_chars(input.data(), input.data() + input.size(), out.same);
  if (!input.empty() && (read.ec != std::errc() || read.ptr != input.data() + input.size()))
    return bad(rule, "\"" + input + "\" is no number of an input");
  return out;
}

Result<OutputRule> parse_rule(const std::string& rule) {
  const size_t open = rule.find('[');
  if (open == std::string::npos) return parse_same(rule);
  OutputRule out;
  ONNXC_TRY(parse_elem(rule, trimmed(rule.substr(0, open)), out));
  if (rule.back() != ']') return bad(rule, "the dims end with ]");
  const std::string dims = trimmed(rule.substr(open + 1, rule.size() - open - 2));
  out.dims.emplace();
  if (dims.empty()) return out;
  for (const std::string& text : split(dims, ',')) {
    if (text == "?") {
      out.dims->emplace_back();
      continue;
    }
    const Result<Dim> dim = Dim::parse(text);
    if (!dim.ok()) return bad(rule, dim.error().diagnostics().front().message);
    if (dim->is_overflow()) return bad(rule, "\"" + text + "\" is no number of elements");
    out.dims->emplace_back(*dim);
  }
  return out;
}

}  // namespace

Result<std::vector<OutputRule>> parse_output_rules(const std::string& text) {
  std::vector<OutputRule> rules;
  for (const std::string& rule : split(text, ';')) {
    ONNXC_ASSIGN(OutputRule parsed, parse_rule(rule));
    rules.push_back(std::move(parsed));
  }
  return rules;
}

}  // namespace onnxc
