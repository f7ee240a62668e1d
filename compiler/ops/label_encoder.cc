// LabelEncoder, CategoryMapper and OneHotEncoder (ai.onnx.ml: onnx/docs/Operators-ml.md): each element is looked up in
// a hash table of the keys, of equal ones the first. Tested by tests/differential/test_strings.py and random_ops.py.
#include "compiler/ops/graph_writer.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/text.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;

constexpr std::string_view kDomain = "ai.onnx.ml";

// Attribute `stem`_tensor, _int64s, _floats or _strings.
std::optional<Tensor> list_of(const Node& n, const std::string& stem) {
  if (const Tensor* t = n.attr_tensor(stem + "_tensor")) return *t;
  if (n.has(stem + "_int64s")) {
    const auto v = n.attr_ints(stem + "_int64s");
    return Tensor::i64({static_cast<int64_t>(v.size())}, v);
  }
  if (n.has(stem + "_floats")) {
    const auto v = n.attr_floats(stem + "_floats");
    return Tensor::f32({static_cast<int64_t>(v.size())}, v);
  }
  if (n.has(stem + "_strings")) {
    const auto v = n.attr_strings(stem + "_strings");
    return Tensor::strings({static_cast<int64_t>(v.size())}, v);
  }
  return std::nullopt;
}

Status infer_label_encoder(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  const auto keys = list_of(c.node, "keys"), values = list_of(c.node, "values");
  if (!keys || !values) return c.invalid("keys and values are needed");
  if (keys->numel() != values->numel() || keys->numel() == 0)
    return c.invalid("there are " + std::to_string(keys->numel()) + " keys and " + std::to_string(values->numel()) +
                     " values");
  if (keys->elem() != c.elem(0))
    return c.invalid("the keys are " + std::string(elem_name(keys->elem())) + ", the input is " + c.in(0).str());
  if (const Tensor* t = c.node.attr_tensor("default_tensor"); t && (t->numel() != 1 || t->elem() != values->elem()))
    return c.invalid("default_tensor is not one " + std::string(elem_name(values->elem())));
  if (!c.has_shape(0)) return c.set_unranked(0, values->elem()), ok();
  return c.set(0, values->elem(), c.shape(0)), ok();
}

std::string default_text(const Node& n) {
  if (const Tensor* t = n.attr_tensor("default_tensor")) return t->as_strings()[0];
  return n.attr_string("default_string", "_Unused");
}

Expr default_value(const Node& n, Elem elem) {
  if (const Tensor* t = n.attr_tensor("default_tensor")) return element_constant(*t, 0);
  if (is_float(elem)) return scalar(elem, static_cast<double>(n.attr_float("default_float", -0.0f)));
  return expr::int_constant(expr::arithmetic_type(elem), n.attr_int("default_int64", -1));
}

text::HashTable table_of(const Tensor& keys) {
  if (keys.elem() == Elem::String) return text::hash_table(keys.as_strings());
  std::vector<int64_t> numbers;
  for (int64_t i = 0; i < keys.numel(); ++i) numbers.push_back(text::number_key(keys, i));
  return text::hash_table(numbers);
}

Status lower_label_encoder(LowerContext& c) {
  const Tensor keys = *list_of(c.node(), "keys"), values = *list_of(c.node(), "values");
  const int64_t count = keys.numel();
  ONNXC_ASSIGN(const BufferId at, text::find(c, 0, table_of(keys)));
  if (values.elem() == Elem::String) {
    text::take(c, 0, at, values.as_strings(), default_text(c.node()));
    return ok();
  }
  const BufferId value = c.constant_buffer(values.reshaped({count})), out = c.out();
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    const Expr number = expr::load(at, Elem::I64, to_vector(idx));
    const Expr found = expr::load(value, values.elem(), {clamp(number, Dim(count))});
    const Expr none = binary(ExprOp::Lt, number, constant(0));
    const Expr y = expr::select(none, default_value(c.node(), values.elem()), found);
    return Block{Stmt{Store{out, to_vector(idx), y, nullptr}}};
  }));
  return ok();
}

// Version 1: the classes' numbers are their places in a list of strings.
Status upgrade_label_encoder_1(Graph&, Node& n) {
  const auto classes = n.attr_strings("classes_strings");
  std::vector<int64_t> places;
  for (size_t i = 0; i < classes.size(); ++i) places.push_back(static_cast<int64_t>(i));
  n.attrs.erase("classes_strings");
  const bool texts = n.input(0) && n.input(0)->type.elem == Elem::String;
  n.attrs[texts ? "keys_strings" : "values_strings"] = classes;
  n.attrs[texts ? "values_int64s" : "keys_int64s"] = places;
  return ok();
}

// ---- CategoryMapper: a LabelEncoder whose direction its input tells

Status infer_category_mapper(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  if (c.elem(0) != Elem::String && c.elem(0) != Elem::I64)
    return c.invalid("the input must hold strings or i64, not " + c.in(0).str());
  const Elem to = c.elem(0) == Elem::String ? Elem::I64 : Elem::String;
  if (!c.has_shape(0)) return c.set_unranked(0, to), ok();
  return c.set(0, to, c.shape(0)), ok();
}

Status decompose_category_mapper(Graph& graph, Node& node) {
  const bool texts = node.input(0)->type.elem == Elem::String;
  GraphWriter::Attrs attrs = {
      {texts ? "keys_strings" : "values_strings", node.attr_strings("cats_strings")},
      {texts ? "values_int64s" : "keys_int64s", node.attr_ints("cats_int64s")},
      {"default_string", node.attr_string("default_string", "_Unused")},
      {"default_int64", node.attr_int("default_int64", -1)},
  };
  GraphWriter w(graph, node);
  Node* made = w.node("LabelEncoder", {node.input(0)}, std::move(attrs), 1, std::string(kDomain));
  w.replace({made->output()});
  return ok();
}

// ---- OneHotEncoder

Status infer_one_hot_encoder(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  const bool texts = c.elem(0) == Elem::String;
  const auto count =
      static_cast<int64_t>(texts ? c.node.attr_strings("cats_strings").size() : c.node.attr_ints("cats_int64s").size());
  if (count == 0) return c.invalid("there are no categories of the type of the input, " + c.in(0).str());
  if (c.node.attr_int("zeros", 1) == 0)
    return c.unsupported("zeros = 0, which refuses unknown categories, is not supported yet");
  if (!c.has_shape(0)) return c.set_unranked(0, Elem::F32), ok();
  Shape out = c.shape(0);
  out.emplace_back(count);
  return c.set(0, Elem::F32, std::move(out)), ok();
}

Status lower_one_hot_encoder(LowerContext& c) {
  const Elem elem = c.in_elem(0);
  if (is_float(elem)) return c.unsupported("categories of floats are not supported yet", "cast the input to int64");
  const bool texts = elem == Elem::String;
  const auto table = texts ? text::hash_table(c.node().attr_strings("cats_strings"))
                           : text::hash_table(c.node().attr_ints("cats_int64s"));
  ONNXC_ASSIGN(const BufferId at, text::find(c, 0, table));
  const BufferId out = c.out();
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    const Expr own = expr::load(at, Elem::I64, {idx.begin(), idx.end() - 1});
    const Expr y = expr::cast(binary(ExprOp::Eq, own, idx.back()), Elem::F32);
    return Block{Stmt{Store{out, to_vector(idx), y, nullptr}}};
  }));
  return ok();
}

}  // namespace

OP(LabelEncoder) = {.name = "LabelEncoder",
                    .domain = kDomain,
                    .infer = infer_label_encoder,
                    .lower = lower_label_encoder,
                    .upgrades = {{1, upgrade_label_encoder_1}}};
OP(CategoryMapper) = {.name = "CategoryMapper",
                      .domain = kDomain,
                      .infer = infer_category_mapper,
                      .decompose = decompose_category_mapper};
OP(OneHotEncoder) = {
    .name = "OneHotEncoder", .domain = kDomain, .infer = infer_one_hot_encoder, .lower = lower_one_hot_encoder};

}  // namespace onnxc
