// ZipMap, DictVectorizer and CastMap (ai.onnx.ml: onnx/docs/Operators-ml.md): maps that leave and enter a model. A
// compiled model has tensors of their values there, and metadata that tell the keys. Tested by
// tests/api/test_strings.py.
#include <algorithm>

#include "compiler/ops/classifiers.h"
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using ml::kDomain;
using ml::labels_of;

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    constexpr const char* kHex = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      out += std::string("\\u00") + kHex[byte >> 4] + kHex[byte & 15];
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string json_list(const Tensor& labels) {
  std::string out = "[";
  for (int64_t i = 0; i < labels.numel(); ++i) {
    const auto at = static_cast<size_t>(i);
    const std::string label =
        labels.elem() == Elem::String ? json_text(labels.as_strings()[at]) : std::to_string(labels.int_at(i));
    out += (i ? ", " : "") + label;
  }
  return out + "]";
}

// ---- ZipMap: the output is the tensor of scores itself

Status infer_zip_map(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  const Tensor labels = labels_of(c.node);
  if (labels.numel() < 1) return c.invalid("there are no class labels");
  if (c.elem(0) != Elem::F32) return c.invalid("the input must hold f32, not " + c.in(0).str());
  c.outputs[0] = Type::sequence(Type::map(labels.elem(), Type::tensor(Elem::F32, {})));
  if (!c.has_shape(0)) return ok();
  const Shape& x = c.shape(0);
  if (x.empty() || x.size() > 2) return c.invalid("the input " + shape_str(x) + " must have rank 1 or 2");
  return c.require_equal(x.back(), Dim(labels.numel()), "the scores of the input and the class labels");
}

Status decompose_zip_map(Graph& graph, Node& node) {
  if (graph.parent || !graph.is_output(node.output()) || !node.output()->users.empty())
    return Error(ErrorKind::Unsupported, "its output is not just an output of the model, which is not supported yet",
                 node.where());
  graph.metadata["zipmap." + node.output()->name] = json_list(labels_of(node));
  GraphWriter(graph, node).replace({node.input(0)});
  return ok();
}

// ---- DictVectorizer: the input is the tensor of values itself, those of keys that are missing being 0 or empty

Result<Tensor> vocabulary_of(const Node& n) {
  const bool strings = n.input(0)->type.elem == Elem::String;
  const auto texts = n.attr_strings("string_vocabulary");
  const auto numbers = n.attr_ints("int64_vocabulary");
  const auto count = static_cast<int64_t>(strings ? texts.size() : numbers.size());
  if (count == 0)
    return Error(ErrorKind::InvalidModel, "there is no vocabulary of keys as " + n.input(0)->type.str() + " has them",
                 n.where());
  return strings ? Tensor::strings({count}, texts) : Tensor::i64({count}, numbers);
}

Status infer_dict_vectorizer(InferContext& c) {
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  const Type& x = c.in(0);
  if (x.kind != Type::Kind::Map || !x.inner->is_tensor())
    return c.invalid("the input must be a map of numbers or strings, not " + x.str());
  ONNXC_ASSIGN(const Tensor keys, vocabulary_of(c.node));
  return c.set(0, x.inner->elem, {Dim(1), Dim(keys.numel())}), ok();
}

// The model's input becomes the row of values at `keys`, a JSON list (empty: at all that are fed, in ascending order).
Status feed_row(Graph& graph, const Node& node, std::string keys, const Dim& count) {
  Value* const map = node.input(0);
  if (graph.parent || std::ranges::find(graph.inputs, map) == graph.inputs.end() || map->users.size() != 1 ||
      graph.is_output(map))
    return Error(ErrorKind::Unsupported,
                 "its input is not an input of the model that only it reads, which is not supported yet", node.where());
  graph.metadata["dictvectorizer." + map->name] = std::move(keys);
  map->type = Type::tensor(map->type.inner->elem, {Dim(1), count});
  return ok();
}

Status decompose_dict_vectorizer(Graph& graph, Node& node) {
  ONNXC_ASSIGN(const Tensor keys, vocabulary_of(node));
  ONNXC_TRY(feed_row(graph, node, json_list(keys), Dim(keys.numel())));
  GraphWriter(graph, node).replace({node.input(0)});
  return ok();
}

// ---- CastMap: values of a map from integers, of a type of the node's; at the place of its key each (SPARSE), or all

bool is_sparse(const Node& n) { return n.attr_string("map_form", "DENSE") == "SPARSE"; }

std::optional<Elem> cast_of(const Node& n) {
  const std::string to = n.attr_string("cast_to", "TO_FLOAT");
  if (to == "TO_FLOAT") return Elem::F32;
  if (to == "TO_INT64") return Elem::I64;
  return to == "TO_STRING" ? std::optional(Elem::String) : std::nullopt;
}

Status infer_cast_map(InferContext& c) {
  constexpr int64_t kMostPlaces = 1 << 16;  // they stand in the metadata one by one
  if (!c.has_input(0)) return c.invalid("input 0 is missing");
  const Type& x = c.in(0);
  if (x.kind != Type::Kind::Map || x.elem != Elem::I64 || !x.inner->is_tensor())
    return c.invalid("the input must be a map from i64 to numbers or strings, not " + x.str());
  const auto to = cast_of(c.node);
  if (!to) return c.invalid("cast_to must be TO_FLOAT, TO_INT64 or TO_STRING");
  const int64_t places = c.node.attr_int("max_map", 1);
  if (is_sparse(c.node) && (places < 1 || places > kMostPlaces))
    return c.unsupported("max_map = " + std::to_string(places) + "; only 1 to 65536 places are supported");
  return c.set(0, *to, {Dim(1), is_sparse(c.node) ? Dim(places) : c.unknown("keys")}), ok();
}

Status decompose_cast_map(Graph& graph, Node& node) {
  std::vector<int64_t> places;
  if (is_sparse(node))
    for (int64_t i = 0; i < node.attr_int("max_map", 1); ++i) places.push_back(i);
  const auto count = static_cast<int64_t>(places.size());
  const Dim keys = count > 0 ? Dim(count) : Dim::symbol(node.input(0)->name + ".keys");
  ONNXC_TRY(feed_row(graph, node, json_list(Tensor::i64({count}, places)), keys));
  GraphWriter w(graph, node);
  w.replace({w.cast(node.input(0), *cast_of(node))});
  return ok();
}

}  // namespace

OP(ZipMap) = {.name = "ZipMap", .domain = kDomain, .infer = infer_zip_map, .decompose = decompose_zip_map};
OP(DictVectorizer) = {.name = "DictVectorizer",
                      .domain = kDomain,
                      .infer = infer_dict_vectorizer,
                      .decompose = decompose_dict_vectorizer};
OP(CastMap) = {.name = "CastMap", .domain = kDomain, .infer = infer_cast_map, .decompose = decompose_cast_map};

}  // namespace onnxc
