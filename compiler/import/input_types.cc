#include "compiler/import/input_types.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "compiler/ops/sequence.h"

namespace onnxc {
namespace {

// A name that the text forms of Graph and Program can hold.
std::string identifier(const std::string& text) {
  std::string out;
  for (char c : text) out += std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' ? c : '_';
  if (out.empty() || std::isdigit(static_cast<unsigned char>(out[0])) || out[0] == '.') out.insert(out.begin(), '_');
  return out;
}

bool symbol_taken(const DimNames& names, const std::string& symbol) {
  for (const auto& [raw, dim] : names)
    if (dim.as_symbol() == symbol) return true;
  return false;
}

Dim fresh_symbol(const DimNames& names, const std::string& text) {
  std::string name = identifier(text);
  while (symbol_taken(names, name)) name += '_';
  return Dim::symbol(name);
}

Dim named_dim(const std::string& raw, DimNames& names) {
  if (auto it = names.find(raw); it != names.end()) return it->second;
  const bool plain = identifier(raw) == raw;
  Dim dim = fresh_symbol(names, raw);
  if (!plain) {
    // "past + 1" says more than a name does.
    if (auto parsed = Dim::parse(raw); parsed.ok() && !parsed->is_const() && !parsed->is_overflow()) dim = *parsed;
  }
  names.emplace(raw, dim);
  return dim;
}

// Some exporters write "?" for every dim that they do not know: that names nothing.
bool names_something(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

Result<Shape> shape_from_proto(const onnx::TensorShapeProto& proto, const std::string& value, DimNames& names) {
  Shape shape;
  std::vector<int64_t> known;
  for (int axis = 0; axis < proto.dim_size(); ++axis) {
    const auto& dim = proto.dim(axis);
    if (dim.has_dim_value() && dim.dim_value() >= 0) {
      known.push_back(dim.dim_value());
      shape.emplace_back(dim.dim_value());
    } else if (dim.has_dim_param() && names_something(dim.dim_param())) {
      shape.push_back(named_dim(dim.dim_param(), names));
    } else {
      const std::string raw = value + "." + std::to_string(axis);
      const Dim fresh = fresh_symbol(names, raw);
      names.emplace(raw, fresh);
      shape.push_back(fresh);
    }
  }
  if (!checked_numel(known))
    return Error(ErrorKind::InvalidModel, "its declared dims overflow: " + shape_str(shape), "input \"" + value + "\"");
  return shape;
}

Result<Elem> elem_from_proto(int type, const std::string& value) {
  if (type <= 0 || type >= kElemCount)
    return Error(ErrorKind::InvalidModel, "unknown element type " + std::to_string(type), "input \"" + value + "\"");
  return static_cast<Elem>(type);
}

// Of the elements of a sequence or an optional: each may have dims of its own where these are not numbers.
Result<Type> element_type(const onnx::TypeProto::Tensor& proto, const std::string& value) {
  ONNXC_ASSIGN(const Elem elem, elem_from_proto(proto.elem_type(), value));
  if (!proto.has_shape()) return Type::unranked(elem);
  DimNames names;
  ONNXC_ASSIGN(Shape shape, shape_from_proto(proto.shape(), value, names));
  for (Dim& dim : shape)
    if (!dim.is_const()) dim = varying_dim();
  return Type::tensor(elem, std::move(shape));
}

Result<Type> nested_type(const onnx::TypeProto& proto, const std::string& value, DimNames* names, int depth) {
  if (depth > 16) return Error(ErrorKind::InvalidModel, "its type is nested too deeply", "input \"" + value + "\"");
  switch (proto.value_case()) {
    case onnx::TypeProto::kTensorType: {
      ONNXC_ASSIGN(const Elem elem, elem_from_proto(proto.tensor_type().elem_type(), value));
      if (depth > 0) return element_type(proto.tensor_type(), value);
      if (names == nullptr || !proto.tensor_type().has_shape()) return Type::unranked(elem);
      ONNXC_ASSIGN(Shape shape, shape_from_proto(proto.tensor_type().shape(), value, *names));
      return Type::tensor(elem, std::move(shape));
    }
    case onnx::TypeProto::kSequenceType: {
      ONNXC_ASSIGN(Type inner, nested_type(proto.sequence_type().elem_type(), value, nullptr, depth + 1));
      return Type::sequence(std::move(inner));
    }
    case onnx::TypeProto::kOptionalType: {
      ONNXC_ASSIGN(Type inner, nested_type(proto.optional_type().elem_type(), value, nullptr, depth + 1));
      return Type::optional(std::move(inner));
    }
    case onnx::TypeProto::kMapType: {
      ONNXC_ASSIGN(const Elem key, elem_from_proto(proto.map_type().key_type(), value));
      ONNXC_ASSIGN(Type inner, nested_type(proto.map_type().value_type(), value, nullptr, depth + 1));
      return Type::map(key, std::move(inner));
    }
    case onnx::TypeProto::VALUE_NOT_SET:
      if (names == nullptr) return Type{};  // of a subgraph: inferred
      return Error(ErrorKind::InvalidModel, "it has no declared type", "input \"" + value + "\"");
    default:
      return Error(ErrorKind::Unsupported, "sparse tensors and opaque types are not supported",
                   "input \"" + value + "\"");
  }
}

std::string list_of(const std::set<std::string>& names) {
  if (names.empty()) return "The model has none.";
  std::string out = "The model has: ";
  for (const auto& n : names) out += (n == *names.begin() ? "" : ", ") + n;
  return out + ".";
}

// The numbers that the options give to symbols.
using Bindings = std::map<std::string, Dim>;

Status assign_dim(Bindings& bindings, const std::string& symbol, int64_t number, const std::string& option) {
  auto [it, added] = bindings.emplace(symbol, Dim(number));
  if (!added && it->second != Dim(number))
    return Error(ErrorKind::Usage,
                 "dim " + symbol + " is given two values, " + it->second.str() + " and " + std::to_string(number),
                 option);
  return ok();
}

// The symbol that an option calls `name`.
Result<std::string> find_symbol(const std::string& name, const DimNames& names, const std::set<std::string>& symbols,
                                const std::string& option) {
  std::string symbol = name;
  if (auto it = names.find(name); it != names.end() && it->second.as_symbol()) symbol = *it->second.as_symbol();
  if (!symbols.contains(symbol))
    return Error(ErrorKind::Usage, "no input has a dim of that name", option, list_of(symbols));
  return symbol;
}

Status bind_dims(const Graph& graph, const DimNames& names, const Options& options, Bindings& bindings) {
  std::set<std::string> symbols;
  for (const Value* input : graph.inputs)
    if (input->type.shape)
      for (const Dim& dim : *input->type.shape) dim.collect_symbols(symbols);
  for (const auto& [name, number] : options.dims) {
    const std::string option = "--dim " + name + "=" + std::to_string(number);
    if (number < 0) return Error(ErrorKind::Usage, "a dim cannot be negative", option);
    ONNXC_ASSIGN(const std::string symbol, find_symbol(name, names, symbols, option));
    ONNXC_TRY(assign_dim(bindings, symbol, number, option));
  }
  for (const auto& [name, numbers] : options.special_dims)
    ONNXC_TRY(find_symbol(name, names, symbols, "--dim " + name + "=" + std::to_string(numbers.front()) + ",..."));
  return ok();
}

std::string shape_option(const std::string& input, const std::vector<int64_t>& dims) {
  std::string option = "--shape " + input + "=";
  for (size_t i = 0; i < dims.size(); ++i) option += (i ? "," : "") + std::to_string(dims[i]);
  return option;
}

Status bind_shape(Value& input, const std::vector<int64_t>& dims, Bindings& bindings) {
  const std::string option = shape_option(input.name, dims);
  if (!input.type.is_tensor()) return Error(ErrorKind::Usage, "the input is no tensor but " + input.type.str(), option);
  for (int64_t d : dims)
    if (d < 0) return Error(ErrorKind::Usage, "a dim cannot be negative", option);
  if (!input.type.shape) {
    input.type.shape = Shape(dims.begin(), dims.end());
    return ok();
  }
  const Shape& declared = *input.type.shape;
  const auto clash = [&] {
    return Error(ErrorKind::Usage, "the model declares this input as " + input.type.str(), option);
  };
  if (declared.size() != dims.size()) return clash();
  for (size_t i = 0; i < dims.size(); ++i) {
    if (declared[i].is_const() && declared[i].value() != dims[i]) return clash();
    if (auto symbol = declared[i].as_symbol()) ONNXC_TRY(assign_dim(bindings, *symbol, dims[i], option));
  }
  return ok();
}

// After substitution every expression dim must agree with what --shape says.
Status check_shape(const Value& input, const std::vector<int64_t>& dims) {
  for (size_t i = 0; i < dims.size(); ++i)
    if ((*input.type.shape)[i].is_const() && (*input.type.shape)[i].value() != dims[i])
      return Error(
          ErrorKind::Usage,
          "dim " + std::to_string(i) + " comes out as " + (*input.type.shape)[i].str() + " from the other dims given",
          shape_option(input.name, dims));
  return ok();
}

}  // namespace

Result<Type> type_from_proto(const onnx::TypeProto& proto, const std::string& value, DimNames* names) {
  return nested_type(proto, value, names, 0);
}

void type_to_proto(const Type& type, onnx::TypeProto* proto) {
  switch (type.kind) {
    case Type::Kind::Tensor: {
      auto* tensor = proto->mutable_tensor_type();
      tensor->set_elem_type(static_cast<int>(type.elem));
      if (!type.shape) break;
      auto* shape = tensor->mutable_shape();
      for (const Dim& dim : *type.shape) {
        auto* d = shape->add_dim();
        if (dim.is_const())
          d->set_dim_value(dim.value());
        else
          d->set_dim_param(dim.str());
      }
      break;
    }
    case Type::Kind::Sequence: type_to_proto(*type.inner, proto->mutable_sequence_type()->mutable_elem_type()); break;
    case Type::Kind::Optional: type_to_proto(*type.inner, proto->mutable_optional_type()->mutable_elem_type()); break;
    case Type::Kind::Map:
      proto->mutable_map_type()->set_key_type(static_cast<int>(type.elem));
      type_to_proto(*type.inner, proto->mutable_map_type()->mutable_value_type());
      break;
    case Type::Kind::None: break;
  }
}

Status apply_shape_options(Graph& graph, const DimNames& names, const Options& options) {
  Bindings bindings;
  ONNXC_TRY(bind_dims(graph, names, options, bindings));
  std::map<std::string, Value*> inputs;
  std::set<std::string> input_names;
  for (Value* input : graph.inputs) {
    inputs[input->name] = input;
    input_names.insert(input->name);
  }
  for (const auto& [name, dims] : options.shapes) {
    auto it = inputs.find(name);
    if (it == inputs.end())
      return Error(ErrorKind::Usage, "the model has no such input", shape_option(name, dims), list_of(input_names));
    ONNXC_TRY(bind_shape(*it->second, dims, bindings));
  }
  graph.substitute(bindings);
  for (const Value* input : graph.inputs)
    if (input->type.shape)
      for (const Dim& dim : *input->type.shape) {
        if (dim.is_overflow() || (dim.is_const() && dim.value() < 0))
          return Error(ErrorKind::Usage, "a dim comes out negative or too large", "input \"" + input->name + "\"");
      }
  for (const auto& [name, dims] : options.shapes) ONNXC_TRY(check_shape(*inputs[name], dims));
  return ok();
}

}  // namespace onnxc
