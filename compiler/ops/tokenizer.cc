// com.microsoft.Tokenizer (onnxruntime/docs/ContribOperators.md) where its expression or its separators say which
// characters tokens are made of: runs of those, as exporters of text pipelines write it. Tested by
// tests/differential/test_strings.py and test_sklearn.py.
#include <array>
#include <optional>

#include "compiler/ops/contrib.h"
#include "compiler/ops/text.h"

namespace onnxc {
namespace {

using namespace indexing;

using Bytes = std::array<uint8_t, 256>;  // 1: a token has it. Those of characters beyond ASCII are all alike.

constexpr std::string_view kSpecial = "\\.^$*+?()[]{}|";

bool in_class(char name, unsigned c) {
  const bool digit = c >= '0' && c <= '9', letter = (c | 32) >= 'a' && (c | 32) <= 'z' && c < 128;
  if (name == 'd') return digit;
  if (name == 'w') return digit || letter || c == '_';
  return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v');
}
bool names_class(char c) { return c == 'd' || c == 'w' || c == 's'; }

// Reads a bracket expression of ASCII characters, ranges and classes, or a class.
class ClassReader {
 public:
  explicit ClassReader(std::string_view text) : text_(text) {}

  // The bytes of `[...]+` or `\w+`; nothing where it is anything else.
  std::optional<Bytes> run_of_class() {
    if (!read_class() || text_ != "+") return {};
    return bytes_;
  }
  // The bytes of one character, escaped or not, or of a class; nothing where it is anything else.
  std::optional<Bytes> one() {
    const bool special = !text_.empty() && kSpecial.find(text_[0]) != std::string_view::npos;
    if (special && text_[0] != '\\' ? !read_class() : !read_item(false)) return {};
    if (!text_.empty()) return {};
    return bytes_;
  }

 private:
  bool take(char c) {
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool read_class() {
    if (!text_.empty() && text_[0] == '\\') return text_.size() > 1 && names_class(text_[1]) && read_item(false);
    if (!take('[')) return false;
    const bool negated = take('^');
    do
      if (!read_item(true)) return false;
    while (!take(']'));
    for (uint8_t& b : bytes_) b = negated ? !b : b;
    return true;
  }
  // A literal character; '\0' where there is none.
  char literal() {
    const bool escaped = take('\\');
    if (text_.empty() || (text_[0] & 0x80)) return 0;
    const char c = text_[0];
    const bool punctuation = !in_class('w', static_cast<unsigned char>(c));
    if (escaped ? !punctuation : c == '[') return 0;
    text_.remove_prefix(1);
    return c;
  }
  bool read_item(bool ranges) {
    if (text_.size() > 1 && text_[0] == '\\' && names_class(text_[1])) {
      for (unsigned c = 0; c < 256; ++c) bytes_[c] |= in_class(text_[1], c);
      text_.remove_prefix(2);
      return true;
    }
    const char first = literal();
    char last = first;
    if (ranges && text_.size() > 1 && text_[0] == '-' && text_[1] != ']') {
      text_.remove_prefix(1);
      last = literal();
    }
    for (size_t c = static_cast<unsigned char>(first); c <= static_cast<unsigned char>(last); ++c) bytes_[c] = 1;
    return first != 0 && first <= last;
  }

  std::string_view text_;
  Bytes bytes_ = {};
};

std::optional<Bytes> bytes_of_tokens(const Node& n) {
  const std::string expression = n.attr_string("tokenexp", "");
  const auto separators = n.attr_strings("separators");
  if (!expression.empty()) return separators.empty() ? ClassReader(expression).run_of_class() : std::nullopt;
  if (separators.empty()) return {};
  Bytes wanted;
  wanted.fill(1);
  for (const std::string& separator : separators) {
    const auto bytes = ClassReader(separator).one();
    if (!bytes) return {};
    for (size_t c = 0; c < wanted.size(); ++c) wanted[c] &= !(*bytes)[c];
  }
  return wanted;
}

Status infer_tokenizer(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  if (c.elem(0) != Elem::String) return c.invalid("the input must hold strings, not " + c.in(0).str());
  if (!bytes_of_tokens(c.node))
    return c.unsupported(
        "only separators that are single characters, and a tokenexp that is one class of characters "
        "and `+`, are supported yet",
        "give the exporter separators, or a token pattern such as [a-zA-Z0-9_]+");
  if (c.node.attr_int("mark", 0) != 0) return c.unsupported("attribute `mark` is not supported yet");
  if (!c.has_shape(0)) return c.set_unranked(0, Elem::String), ok();
  Shape tokens = c.shape(0);
  if (tokens.empty() || tokens.size() > 2)
    return c.invalid("the input " + shape_str(tokens) + " must have rank 1 or 2");
  tokens.push_back(c.unknown("tokens"));
  return c.set(0, Elem::String, std::move(tokens)), ok();
}

Status lower_tokenizer(LowerContext& c) {
  const Bytes wanted = *bytes_of_tokens(c.node());
  const std::string pad = c.node().attr_string("pad_value", "");
  const auto bytes = static_cast<int64_t>(pad.size());
  const BufferId table =
      c.constant_buffer(Tensor::of(Elem::U8, {256}, std::vector<uint8_t>(wanted.begin(), wanted.end())));
  const BufferId padding = c.constant_buffer(text::characters(pad));
  const int64_t least = c.node().attr_int("mincharnum", 1);
  const Dim n = numel(c.in_shape(0)), greatest = c.out_shape().back();
  ONNXC_ASSIGN(const BufferId x, c.in(0));
  const BufferId count = c.temporary(Elem::I64, {Dim(1)});
  c.emit(Call("count_tokens").out(count).in(x).in(table).arg("n", n).arg("least", least).op());
  c.define(greatest, count);
  Call finding("find_tokens");
  finding.out(c.out()).in(x).in(table).in(padding).arg("n", n).arg("greatest", greatest).arg("pad_bytes", bytes);
  c.emit(finding.arg("least", least).op());
  return ok();
}

}  // namespace

OP(MicrosoftTokenizer) = {.name = "Tokenizer",
                          .domain = contrib::kMicrosoft,
                          .infer = infer_tokenizer,
                          .lower = lower_tokenizer,
                          .defines_dims = true};

}  // namespace onnxc
