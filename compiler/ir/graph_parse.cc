// Text -> Graph. The form is described in graph_text.h. Tested in tests/unit/graph_text_test.cc.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "compiler/ir/graph_text.h"

namespace onnxc {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::unique_ptr<Graph>> whole() {
    auto g = std::make_unique<Graph>();
    ONNXC_TRY(graph(*g));
    skip();
    if (at_ < text_.size()) return bad("the end of the text");
    return g;
  }

 private:
  // ---- characters ----
  Error bad(const std::string& expected) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + at_, '\n');
    const std::string found(text_.substr(at_, std::min<size_t>(text_.substr(at_).find('\n'), 30)));
    return Error(ErrorKind::Usage, "expected " + expected + ", found \"" + found + '"', "line " + std::to_string(line));
  }
  Error wrong(const std::string& message) const {
    const auto line = 1 + std::count(text_.begin(), text_.begin() + at_, '\n');
    return Error(ErrorKind::Usage, message, "line " + std::to_string(line));
  }
  void skip() {
    while (at_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(text_[at_]))) {
        ++at_;
      } else if (text_.substr(at_, 2) == "//") {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        return;
      }
    }
  }
  bool take(std::string_view s) {
    skip();
    if (text_.substr(at_, s.size()) != s) return false;
    at_ += s.size();
    return true;
  }
  Status expect(std::string_view s) { return take(s) ? ok() : Status(bad('"' + std::string(s) + '"')); }
  static bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("_.-/", c); }
  // A keyword: not followed by more of a name.
  bool take_word(std::string_view s) {
    skip();
    if (text_.substr(at_, s.size()) != s) return false;
    if (at_ + s.size() < text_.size() && is_name_char(text_[at_ + s.size()])) return false;
    at_ += s.size();
    return true;
  }
  bool next_is(std::string_view s) {
    skip();
    return text_.substr(at_, s.size()) == s;
  }

  Result<std::string> quoted() {
    ONNXC_TRY(expect("\""));
    std::string s;
    while (at_ < text_.size() && text_[at_] != '"') {
      char c = text_[at_++];
      if (c == '\\' && at_ < text_.size()) {
        c = text_[at_++];
        if (c == 'n') c = '\n';
        if (c == 'x') {
          int v = 0;
          const auto r = std::from_chars(text_.data() + at_, text_.data() + std::min(at_ + 2, text_.size()), v, 16);
          at_ = r.ptr - text_.data();
          c = static_cast<char>(v);
        }
      }
      s += c;
    }
    if (at_ >= text_.size()) return bad("a closing quote");
    ++at_;
    return s;
  }

  Result<std::string> name() {
    skip();
    if (next_is("\"")) return quoted();
    const size_t begin = at_;
    while (at_ < text_.size() && is_name_char(text_[at_]) && text_.substr(at_, 2) != "//") ++at_;
    if (at_ == begin) return bad("a name");
    return std::string(text_.substr(begin, at_ - begin));
  }

  // What stands before the next of `ends` at this level of brackets, outside quotes.
  std::string_view until(std::string_view ends) {
    skip();
    const size_t begin = at_;
    int depth = 0;
    bool in_quotes = false;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\\' && in_quotes) {
        ++at_;
        continue;
      }
      if (c == '"') in_quotes = !in_quotes;
      if (in_quotes) continue;
      if (depth == 0 && ends.find(c) != std::string::npos) break;
      if (c == '(') ++depth;
      if (c == ')') --depth;
    }
    at_ = std::min(at_, text_.size());
    return text_.substr(begin, at_ - begin);
  }

  // ---- types ----
  Result<std::vector<Dim>> dims(std::string_view close) {
    std::vector<Dim> list;
    if (take(close)) return list;
    for (;;) {
      const std::string ends = std::string(",") + std::string(close);
      auto d = Dim::parse(until(ends));
      if (!d) return wrong(d.error().diagnostics()[0].message);
      list.push_back(*d);
      if (take(close)) return list;
      ONNXC_TRY(expect(","));
    }
  }

  Result<Elem> elem() {
    ONNXC_ASSIGN(const std::string n, name());
    const auto e = elem_from_name(n);
    if (!e) return wrong("\"" + n + "\" is no element type");
    return *e;
  }

  Result<Type> type() {
    if (take("?")) return Type{};
    if (take("seq(") || take("optional(")) {
      const bool sequence = text_[at_ - 2] == 'q';
      ONNXC_ASSIGN(Type inner, type());
      ONNXC_TRY(expect(")"));
      return sequence ? Type::sequence(std::move(inner)) : Type::optional(std::move(inner));
    }
    if (take("map(")) {
      ONNXC_ASSIGN(const Elem key, elem());
      ONNXC_TRY(expect(","));
      ONNXC_ASSIGN(Type inner, type());
      ONNXC_TRY(expect(")"));
      return Type::map(key, std::move(inner));
    }
    ONNXC_ASSIGN(const Elem e, elem());
    ONNXC_TRY(expect("["));
    if (take("*")) {
      ONNXC_TRY(expect("]"));
      return Type::unranked(e);
    }
    ONNXC_ASSIGN(Shape shape, dims("]"));
    return Type::tensor(e, std::move(shape));
  }

  // ---- numbers and tensors ----
  Result<std::string> number() {
    skip();
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || std::strchr("+-.:", text_[at_])))
      ++at_;
    if (at_ == begin) return bad("a number");
    return std::string(text_.substr(begin, at_ - begin));
  }

  static bool looks_float(const std::string& s) {
    return s.find_first_of(".n") != std::string::npos || (s.find('e') != std::string::npos && !s.starts_with("0x"));
  }

  template <class T, class Bits>
  Result<T> to_float(const std::string& s) {
    if (s.starts_with("nan:0x")) {
      Bits bits = 0;
      std::from_chars(s.data() + 6, s.data() + s.size(), bits, 16);
      T v;
      std::memcpy(&v, &bits, sizeof v);
      return v;
    }
    T v = 0;
    const auto r = std::from_chars(s.data(), s.data() + s.size(), v);
    if (r.ec != std::errc() || r.ptr != s.data() + s.size()) return wrong("\"" + s + "\" is no number");
    return v;
  }

  template <class T>
  Result<T> to_int(const std::string& s) {
    T v = 0;
    const bool hex = s.starts_with("0x");
    const auto r = std::from_chars(s.data() + (hex ? 2 : 0), s.data() + s.size(), v, hex ? 16 : 10);
    if (r.ec != std::errc() || r.ptr != s.data() + s.size()) return wrong("\"" + s + "\" is no integer");
    return v;
  }

  // The bytes of one element (half of one, for complex numbers).
  Status element(Elem e, std::vector<std::byte>& bytes) {
    ONNXC_ASSIGN(const std::string s, number());
    const auto put = [&](const auto& v, size_t size) {
      const auto* p = reinterpret_cast<const std::byte*>(&v);
      bytes.insert(bytes.end(), p, p + size);
    };
    if (e == Elem::F32 || e == Elem::C64) {
      ONNXC_ASSIGN(const float v, (to_float<float, uint32_t>(s)));
      put(v, 4);
    } else if (e == Elem::F64 || e == Elem::C128) {
      ONNXC_ASSIGN(const double v, (to_float<double, uint64_t>(s)));
      put(v, 8);
    } else if (e == Elem::U64) {
      ONNXC_ASSIGN(const uint64_t v, to_int<uint64_t>(s));
      put(v, 8);
    } else {
      ONNXC_ASSIGN(const int64_t v, to_int<int64_t>(s));
      put(v, elem_size(e));
    }
    return ok();
  }

  static Tensor from_bytes(Elem e, std::vector<int64_t> shape, const std::vector<std::byte>& bytes) {
    return Tensor::of<std::byte>(e, std::move(shape), bytes);
  }

  Result<Tensor> tensor(const Type& t) {
    if (!t.is_static_tensor()) return wrong("a constant needs a tensor type with constant dims");
    const std::vector<int64_t> shape = static_dims(*t.shape);
    const auto n = checked_numel(shape);
    if (!n || *n > (int64_t(1) << 32)) return wrong("a constant cannot have the shape " + shape_str(*t.shape));
    if (take_word("opaque")) {
      ONNXC_TRY(number());
      return Tensor::zeros(t.elem, shape);
    }
    std::vector<std::byte> bytes;
    if (take_word("splat")) {
      if (t.elem == Elem::String) return wrong("strings cannot be splat");
      std::vector<std::byte> one;
      ONNXC_TRY(element(t.elem, one));
      if (t.elem == Elem::C64 || t.elem == Elem::C128) return wrong("complex numbers cannot be splat");
      for (int64_t i = 0; i < *n; ++i) bytes.insert(bytes.end(), one.begin(), one.end());
      return from_bytes(t.elem, shape, bytes);
    }
    ONNXC_TRY(expect("{"));
    std::vector<std::string> strings;
    while (!next_is("}")) {
      if (t.elem == Elem::String) {
        ONNXC_ASSIGN(std::string s, quoted());
        strings.push_back(std::move(s));
      } else {
        ONNXC_TRY(element(t.elem, bytes));
      }
      if (!next_is("}")) ONNXC_TRY(expect(","));
    }
    ONNXC_TRY(expect("}"));
    const bool is_string = t.elem == Elem::String;
    const size_t got = is_string ? strings.size() : bytes.size() / elem_size(t.elem);
    if (got != static_cast<size_t>(*n)) {
      return wrong(t.str() + " needs " + std::to_string(*n) + " values, not " + std::to_string(got));
    }
    return is_string ? Tensor::strings(shape, std::move(strings)) : from_bytes(t.elem, shape, bytes);
  }

  // ---- attributes ----
  Result<std::shared_ptr<Graph>> subgraph(Graph& outer) {
    auto g = std::make_shared<Graph>();
    g->parent = &outer;
    ONNXC_TRY(graph(*g));
    return g;
  }

  // `one` parses an item; the opening bracket is taken already.
  template <class T, class F>
  Result<Attr> list(F one) {
    std::vector<T> items;
    while (!take("]")) {
      ONNXC_ASSIGN(T item, one());
      items.push_back(std::move(item));
      if (!next_is("]")) ONNXC_TRY(expect(","));
    }
    return Attr(std::move(items));
  }

  Result<Attr> number_list() {
    std::vector<int64_t> ints;
    std::vector<float> floats;
    while (!take("]")) {
      ONNXC_ASSIGN(const std::string s, number());
      if (looks_float(s)) {
        ONNXC_ASSIGN(const float f, (to_float<float, uint32_t>(s)));
        floats.push_back(f);
      } else {
        ONNXC_ASSIGN(const int64_t i, to_int<int64_t>(s));
        ints.push_back(i);
      }
      if (!next_is("]")) ONNXC_TRY(expect(","));
    }
    if (!ints.empty() && !floats.empty()) return wrong("a list of integers and floats");
    return floats.empty() ? Attr(std::move(ints)) : Attr(std::move(floats));
  }

  Result<Tensor> typed_tensor() {
    ONNXC_ASSIGN(const Type t, type());
    return tensor(t);
  }

  Result<Attr> attribute(Graph& g) {
    if (take("ints[")) return list<int64_t>([&]() -> Result<int64_t> { return bad("\"]\""); });
    if (take("floats[")) return list<float>([&]() -> Result<float> { return bad("\"]\""); });
    if (take("strings[")) return list<std::string>([&] { return quoted(); });
    if (take("tensors[")) return list<Tensor>([&] { return typed_tensor(); });
    if (take("graphs[")) return list<std::shared_ptr<Graph>>([&] { return subgraph(g); });
    if (take("[")) {
      if (next_is("\"")) return list<std::string>([&] { return quoted(); });
      return number_list();
    }
    if (next_is("\"")) {
      ONNXC_ASSIGN(std::string s, quoted());
      return Attr(std::move(s));
    }
    if (next_is("graph ")) {
      ONNXC_ASSIGN(auto s, subgraph(g));
      return Attr(std::move(s));
    }
    if (take_word("type")) {
      ONNXC_ASSIGN(Type t, type());
      return Attr(std::move(t));
    }
    const size_t begin = at_;
    ONNXC_ASSIGN(const std::string s, number());
    if (next_is("[")) {  // an element type: a tensor
      at_ = begin;
      ONNXC_ASSIGN(Tensor t, typed_tensor());
      return Attr(std::move(t));
    }
    if (looks_float(s)) {
      ONNXC_ASSIGN(const float f, (to_float<float, uint32_t>(s)));
      return Attr(f);
    }
    ONNXC_ASSIGN(const int64_t i, to_int<int64_t>(s));
    return Attr(i);
  }

  // ---- graphs ----
  Result<Value*> use(Graph& g) {
    if (take_word("_")) return static_cast<Value*>(nullptr);
    ONNXC_TRY(expect("%"));
    ONNXC_ASSIGN(const std::string n, name());
    for (const Graph* scope = &g; scope; scope = scope->parent) {
      if (Value* v = scope->find_value(n)) return v;
    }
    return wrong("%" + n + " is not defined here");
  }

  struct Declaration {
    bool absent = false;
    std::string name;
    Type type;
    std::optional<Contents> contents;
  };

  Result<Declaration> declaration(const Graph& g) {
    Declaration d;
    if (take_word("_")) return d.absent = true, d;
    ONNXC_TRY(expect("%"));
    ONNXC_ASSIGN(d.name, name());
    if (g.find_value(d.name)) return wrong("%" + d.name + " is defined twice");
    if (take(":")) {
      ONNXC_ASSIGN(d.type, type());
    }
    if (take_word("is")) {
      ONNXC_TRY(expect("{"));
      ONNXC_ASSIGN(d.contents, dims("}"));
    }
    return d;
  }

  static Value* define(Graph& g, Declaration d) {
    Value* v = g.add_value(std::move(d.name), std::move(d.type));
    v->contents = std::move(d.contents);
    return v;
  }

  Status origins(Node& n) {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    constexpr std::string_view kFrom = "// from: ";
    if (text_.substr(at_, kFrom.size()) != kFrom) return ok();
    at_ += kFrom.size();
    do {
      ONNXC_ASSIGN(std::string origin, name());
      n.origins.push_back(std::move(origin));
    } while (take(","));
    return ok();
  }

  Status node(Graph& g, std::vector<Declaration> results) {
    ONNXC_ASSIGN(std::string op, name());
    std::string domain;
    if (take("::")) {
      domain = std::move(op);
      ONNXC_ASSIGN(op, name());
    }
    std::string node_name;
    if (take("@")) {
      ONNXC_ASSIGN(node_name, name());
    }
    ONNXC_TRY(expect("("));
    std::vector<Value*> inputs;
    while (!take(")")) {
      ONNXC_ASSIGN(Value * v, use(g));
      inputs.push_back(v);
      if (!next_is(")")) ONNXC_TRY(expect(","));
    }
    std::map<std::string, Attr> attrs;
    const size_t after_inputs = at_;
    if (take("{")) {
      while (!take("}")) {
        ONNXC_ASSIGN(std::string key, name());
        ONNXC_TRY(expect("="));
        ONNXC_ASSIGN(Attr attr, attribute(g));
        attrs.emplace(std::move(key), std::move(attr));
        if (!next_is("}")) ONNXC_TRY(expect(","));
      }
    } else {
      at_ = after_inputs;
    }
    std::vector<Value*> outputs;
    for (Declaration& d : results) outputs.push_back(d.absent ? nullptr : define(g, std::move(d)));
    Node* n = g.add_node_to(std::move(op), std::move(inputs), std::move(outputs), nullptr, std::move(domain));
    n->name = std::move(node_name);
    n->attrs = std::move(attrs);
    return origins(*n);
  }

  Status line(Graph& g) {
    if (take_word("metadata")) {
      ONNXC_ASSIGN(const std::string key, quoted());
      ONNXC_TRY(expect("="));
      ONNXC_ASSIGN(g.metadata[key], quoted());
      return ok();
    }
    if (take_word("input")) {
      ONNXC_ASSIGN(Declaration d, declaration(g));
      g.inputs.push_back(define(g, std::move(d)));
      return ok();
    }
    if (take_word("output")) {
      ONNXC_ASSIGN(Value * v, use(g));
      g.outputs.push_back(v);
      return ok();
    }
    std::vector<Declaration> results;
    do {
      ONNXC_ASSIGN(Declaration d, declaration(g));
      results.push_back(std::move(d));
    } while (take(","));
    ONNXC_TRY(expect("="));
    if (take_word("constant")) {
      if (results.size() != 1 || results[0].absent) return wrong("a constant has one name");
      ONNXC_ASSIGN(Tensor t, tensor(results[0].type));
      g.add_constant(std::move(t), results[0].name);
      return ok();
    }
    return node(g, std::move(results));
  }

  Status graph(Graph& g) {
    if (++depth_ > 100) return wrong("graphs nest too deeply");
    ONNXC_TRY(expect("graph"));
    ONNXC_TRY(expect("@"));
    ONNXC_ASSIGN(g.name, name());
    ONNXC_TRY(expect("{"));
    while (!take("}")) {
      skip();
      if (at_ >= text_.size()) return bad("\"}\"");
      ONNXC_TRY(line(g));
    }
    --depth_;
    return ok();
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<std::unique_ptr<Graph>> parse_graph(std::string_view text) { return Parser(text).whole(); }

}  // namespace onnxc
