// Graph -> text. The form is described in graph_text.h. Tested in tests/unit/graph_text_test.cc.
#include <charconv>
#include <cmath>
#include <cstring>

#include "compiler/ir/graph_text.h"

namespace onnxc {
namespace {

constexpr int64_t kMostValues = 64;

bool is_plain(const std::string& name) {
  if (name.empty() || name == "_" || name.find("//") != std::string::npos) return false;
  for (char c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && !std::strchr("_.-/", c)) return false;
  }
  return true;
}

std::string quoted(const std::string& s) {
  std::string text = "\"";
  for (char c : s) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (c == '\n') {
      text += "\\n";
    } else if (u < 0x20 || u == 0x7f) {
      const char* hex = "0123456789abcdef";
      text += std::string("\\x") + hex[u >> 4] + hex[u & 15];
    } else {
      text += c;
    }
  }
  return text + '"';
}

std::string name_text(const std::string& name) { return is_plain(name) ? name : quoted(name); }
std::string value_text(const Value* v) { return v ? '%' + name_text(v->name) : "_"; }

std::string hex_text(uint64_t bits) {
  char buffer[20];
  const auto r = std::to_chars(buffer, buffer + sizeof buffer, bits, 16);
  return "0x" + std::string(buffer, r.ptr);
}

// The shortest text that reads back as the same bits.
template <class T, class Bits>
std::string float_text(T v) {
  if (std::isnan(v)) {
    Bits bits, usual;
    const T nan = std::numeric_limits<T>::quiet_NaN();
    std::memcpy(&bits, &v, sizeof v);
    std::memcpy(&usual, &nan, sizeof v);
    return bits == usual ? "nan" : "nan:" + hex_text(bits);
  }
  if (std::isinf(v)) return v < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto r = std::to_chars(buffer, buffer + sizeof buffer, v);
  std::string text(buffer, r.ptr);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string element_text(const Tensor& t, int64_t i) {
  switch (t.elem()) {
    case Elem::F32: return float_text<float, uint32_t>(t.as<float>()[i]);
    case Elem::F64: return float_text<double, uint64_t>(t.as<double>()[i]);
    case Elem::C64:
      return float_text<float, uint32_t>(t.as<float>()[2 * i]) + ", " +
             float_text<float, uint32_t>(t.as<float>()[2 * i + 1]);
    case Elem::C128:
      return float_text<double, uint64_t>(t.as<double>()[2 * i]) + ", " +
             float_text<double, uint64_t>(t.as<double>()[2 * i + 1]);
    case Elem::String: return quoted(t.as_strings()[i]);
    case Elem::U64: return std::to_string(t.as<uint64_t>()[i]);
    case Elem::F16:
    case Elem::BF16: return hex_text(t.as<uint16_t>()[i]);
    default: return is_float(t.elem()) ? hex_text(t.as<uint8_t>()[i]) : std::to_string(t.int_at(i));
  }
}

bool all_equal(const Tensor& t) {
  if (t.elem() == Elem::String || t.elem() == Elem::C64 || t.elem() == Elem::C128) return false;
  const size_t size = elem_size(t.elem());
  // Each element equals the one before it.
  return t.bytes() > size && std::memcmp(t.raw(), t.raw() + size, t.bytes() - size) == 0;
}

std::string tensor_values(const Tensor& t) {
  const int64_t n = t.numel();
  if (n > 4 && all_equal(t)) return "splat " + element_text(t, 0);
  if (n > kMostValues) return "opaque " + hex_text(t.hash());
  std::string text = "{";
  for (int64_t i = 0; i < n; ++i) text += (i ? ", " : "") + element_text(t, i);
  return text + '}';
}

std::string tensor_text(const Tensor& t) {
  return Type::tensor(t.elem(), Shape(t.dims().begin(), t.dims().end())).str() + ' ' + tensor_values(t);
}

class Printer {
 public:
  std::string text;

  void graph(const Graph& g, const std::string& indent) {
    text += "graph @" + name_text(g.name) + " {\n";
    const std::string inner = indent + "  ";
    for (const auto& [key, value] : g.metadata)
      text += inner + "metadata " + quoted(key) + " = " + quoted(value) + '\n';
    for (const Value* v : g.inputs) text += inner + "input " + declaration(*v) + '\n';
    for (const auto& v : g.values()) {
      if (v->is_constant() && !v->producer) {
        text += inner + declaration(*v) + " = constant " + tensor_values(*v->constant) + '\n';
      }
    }
    for (const auto& n : g.nodes()) {
      text += inner;
      node(*n, inner, true);
      text += '\n';
    }
    for (const Value* v : g.outputs) text += inner + "output " + value_text(v) + '\n';
    text += indent + '}';
  }

  void node(const Node& n, const std::string& indent, bool whole) {
    for (size_t i = 0; i < n.num_outputs(); ++i)
      text += (i ? ", " : "") + (n.output(i) ? declaration(*n.output(i)) : "_");
    text += " = ";
    if (!n.domain.empty()) text += name_text(n.domain) + "::";
    text += name_text(n.op);
    if (!n.name.empty()) text += " @" + name_text(n.name);
    text += '(';
    for (size_t i = 0; i < n.num_inputs(); ++i) text += (i ? ", " : "") + value_text(n.input(i));
    text += ')';
    if (!n.attrs.empty()) {
      text += " {";
      bool first = true;
      for (const auto& [name, attr] : n.attrs) {
        text += (first ? "" : ", ") + name_text(name) + " = ";
        first = false;
        attribute(attr, indent, whole);
      }
      text += '}';
    }
    for (size_t i = 0; i < n.origins.size(); ++i) text += (i ? ", " : "  // from: ") + name_text(n.origins[i]);
  }

 private:
  static std::string declaration(const Value& v) {
    std::string text = value_text(&v) + ": " + v.type.str();
    if (v.contents && !v.is_constant()) {
      text += " is {";
      for (size_t i = 0; i < v.contents->size(); ++i) text += (i ? ", " : "") + (*v.contents)[i].str();
      text += '}';
    }
    return text;
  }

  template <class T, class F>
  void list(const std::vector<T>& v, const char* empty, F one) {
    if (v.empty()) text += empty;
    text += '[';
    for (size_t i = 0; i < v.size(); ++i) {
      if (i) text += ", ";
      one(v[i]);
    }
    text += ']';
  }

  void subgraph(const Graph& g, const std::string& indent, bool whole) {
    if (whole) {
      graph(g, indent);
    } else {
      text += "graph @" + name_text(g.name);
    }
  }

  void attribute(const Attr& attr, const std::string& indent, bool whole) {
    if (const auto* i = std::get_if<int64_t>(&attr)) {
      text += std::to_string(*i);
    } else if (const auto* f = std::get_if<float>(&attr)) {
      text += float_text<float, uint32_t>(*f);
    } else if (const auto* s = std::get_if<std::string>(&attr)) {
      text += quoted(*s);
    } else if (const auto* t = std::get_if<Tensor>(&attr)) {
      text += tensor_text(*t);
    } else if (const auto* g = std::get_if<std::shared_ptr<Graph>>(&attr)) {
      subgraph(**g, indent, whole);
    } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&attr)) {
      list(*ints, "ints", [&](int64_t v) { text += std::to_string(v); });
    } else if (const auto* floats = std::get_if<std::vector<float>>(&attr)) {
      list(*floats, "floats", [&](float v) { text += float_text<float, uint32_t>(v); });
    } else if (const auto* strings = std::get_if<std::vector<std::string>>(&attr)) {
      list(*strings, "strings", [&](const std::string& v) { text += quoted(v); });
    } else if (const auto* tensors = std::get_if<std::vector<Tensor>>(&attr)) {
      text += tensors->empty() ? "" : "tensors";
      list(*tensors, "tensors", [&](const Tensor& v) { text += tensor_text(v); });
    } else if (const auto* graphs = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attr)) {
      text += graphs->empty() ? "" : "graphs";
      list(*graphs, "graphs", [&](const std::shared_ptr<Graph>& v) { subgraph(*v, indent, whole); });
    } else if (const auto* type = std::get_if<Type>(&attr)) {
      text += "type " + type->str();
    }
  }
};

}  // namespace

std::string print_graph(const Graph& graph) {
  Printer p;
  p.graph(graph, "");
  return p.text + '\n';
}

std::string print_node(const Node& node) {
  Printer p;
  p.node(node, "", false);
  return p.text;
}

}  // namespace onnxc
