// AttributeProto <-> Attr (declared in graph_from_proto.h). Graph attributes are made by graph_from_proto.cc.
#include "compiler/import/graph_from_proto.h"
#include "compiler/import/tensor_from_proto.h"

namespace onnxc {
namespace {

using onnx::AttributeProto;

template <class T, class Field>
std::vector<T> list_of(const Field& field) {
  return std::vector<T>(field.begin(), field.end());
}

// Files older than IR version 2 do not say what an attribute holds.
AttributeProto::AttributeType type_of(const AttributeProto& proto) {
  if (proto.type() != AttributeProto::UNDEFINED) return proto.type();
  if (proto.has_f()) return AttributeProto::FLOAT;
  if (proto.has_i()) return AttributeProto::INT;
  if (proto.has_s()) return AttributeProto::STRING;
  if (proto.has_t()) return AttributeProto::TENSOR;
  if (proto.has_g()) return AttributeProto::GRAPH;
  if (proto.floats_size()) return AttributeProto::FLOATS;
  if (proto.ints_size()) return AttributeProto::INTS;
  if (proto.strings_size()) return AttributeProto::STRINGS;
  if (proto.tensors_size()) return AttributeProto::TENSORS;
  return AttributeProto::UNDEFINED;
}

Result<Attr> tensors_attr(AttributeProto& proto, ExternalData* external, const std::string& where) {
  std::vector<Tensor> tensors;
  for (auto& t : *proto.mutable_tensors()) {
    ONNXC_ASSIGN(Tensor tensor, tensor_from_proto(t, external, where));
    tensors.push_back(std::move(tensor));
  }
  return Attr(std::move(tensors));
}

void add_ints(const std::vector<int64_t>& values, AttributeProto* proto) {
  proto->set_type(AttributeProto::INTS);
  for (int64_t v : values) proto->add_ints(v);
}

}  // namespace

Result<Attr> attr_from_proto(AttributeProto& proto, ExternalData* external, const std::string& where) {
  switch (type_of(proto)) {
    case AttributeProto::FLOAT: return Attr(proto.f());
    case AttributeProto::INT: return Attr(proto.i());
    case AttributeProto::STRING: return Attr(proto.s());
    case AttributeProto::FLOATS: return Attr(list_of<float>(proto.floats()));
    case AttributeProto::INTS: return Attr(list_of<int64_t>(proto.ints()));
    case AttributeProto::STRINGS: return Attr(list_of<std::string>(proto.strings()));
    case AttributeProto::TENSOR: {
      ONNXC_ASSIGN(Tensor tensor, tensor_from_proto(*proto.mutable_t(), external, where));
      return Attr(std::move(tensor));
    }
    case AttributeProto::SPARSE_TENSOR: {
      ONNXC_ASSIGN(Tensor tensor, tensor_from_sparse(*proto.mutable_sparse_tensor(), external, where));
      return Attr(std::move(tensor));
    }
    case AttributeProto::TENSORS: return tensors_attr(proto, external, where);
    case AttributeProto::TYPE_PROTO: {
      ONNXC_ASSIGN(Type type, type_from_proto(proto.tp(), proto.name(), nullptr));
      return Attr(std::move(type));
    }
    default:
      return Error(ErrorKind::InvalidModel, "attribute \"" + proto.name() + "\" has no value that ONNX defines", where);
  }
}

bool attr_to_proto(const std::string& name, const Attr& attr, AttributeProto* proto) {
  proto->set_name(name);
  if (const auto* v = std::get_if<int64_t>(&attr)) {
    proto->set_type(AttributeProto::INT);
    proto->set_i(*v);
  } else if (const auto* v = std::get_if<float>(&attr)) {
    proto->set_type(AttributeProto::FLOAT);
    proto->set_f(*v);
  } else if (const auto* v = std::get_if<std::string>(&attr)) {
    proto->set_type(AttributeProto::STRING);
    proto->set_s(*v);
  } else if (const auto* v = std::get_if<Tensor>(&attr)) {
    proto->set_type(AttributeProto::TENSOR);
    tensor_to_proto(*v, proto->mutable_t());
  } else if (const auto* v = std::get_if<std::vector<int64_t>>(&attr)) {
    add_ints(*v, proto);
  } else if (const auto* v = std::get_if<std::vector<float>>(&attr)) {
    proto->set_type(AttributeProto::FLOATS);
    for (float f : *v) proto->add_floats(f);
  } else if (const auto* v = std::get_if<std::vector<std::string>>(&attr)) {
    proto->set_type(AttributeProto::STRINGS);
    for (const auto& s : *v) proto->add_strings(s);
  } else if (const auto* v = std::get_if<std::vector<Tensor>>(&attr)) {
    proto->set_type(AttributeProto::TENSORS);
    for (const auto& t : *v) tensor_to_proto(t, proto->add_tensors());
  } else if (const auto* v = std::get_if<Type>(&attr)) {
    proto->set_type(AttributeProto::TYPE_PROTO);
    type_to_proto(*v, proto->mutable_tp());
  } else {
    return false;
  }
  return true;
}

}  // namespace onnxc
