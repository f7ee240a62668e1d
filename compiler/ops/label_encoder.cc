// LabelEncoder (ai.onnx.ml 4: onnx/docs/Operators-ml.md) from numbers to numbers: each element is looked up in the list
// of keys, of equal ones the first. Strings are not supported yet. Tested by tests/differential/random_ops.py.
#include "compiler/ops/indexing.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;

constexpr std::string_view kDomain = "ai.onnx.ml";

// Attribute `stem`_tensor, _int64s or _floats; nothing when it holds strings or is missing.
std::optional<Tensor> list_of(const Node& n, const std::string& stem) {
  if (const Tensor* t = n.attr_tensor(stem + "_tensor"))
    return t->elem() == Elem::String ? std::nullopt : std::optional<Tensor>(*t);
  if (n.has(stem + "_int64s")) {
    const auto v = n.attr_ints(stem + "_int64s");
    return Tensor::i64({static_cast<int64_t>(v.size())}, v);
  }
  if (n.has(stem + "_floats")) {
    const auto v = n.attr_floats(stem + "_floats");
    return Tensor::f32({static_cast<int64_t>(v.size())}, v);
  }
  return std::nullopt;
}

Status infer_label_encoder(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  const auto keys = list_of(c.node, "keys"), values = list_of(c.node, "values");
  if (!keys || !values) return c.unsupported("keys and values must be numbers; strings are not supported yet");
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

Expr default_value(const Node& n, Elem elem) {
  if (const Tensor* t = n.attr_tensor("default_tensor")) return element_constant(*t, 0);
  if (is_float(elem)) return scalar(elem, static_cast<double>(n.attr_float("default_float", -0.0f)));
  return expr::int_constant(expr::arithmetic_type(elem), n.attr_int("default_int64", -1));
}

Status lower_label_encoder(LowerContext& c) {
  const Tensor keys = *list_of(c.node(), "keys"), values = *list_of(c.node(), "values");
  const int64_t count = keys.numel();
  const BufferId key = c.constant_buffer(keys.reshaped({count})), value = c.constant_buffer(values.reshaped({count}));
  const BufferId out = c.out();
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    Block b;
    const std::string x_name = c.fresh("x");
    b.push_back(Stmt{Let{x_name, c.load(0, idx)}});
    const Expr x = expr::let(x_name, expr::arithmetic_type(c.in_elem(0)));
    const std::string k = c.fresh("k");
    const Expr own = expr::index(Dim::symbol(k)), candidate = expr::load(key, keys.elem(), {own});
    Expr same = binary(ExprOp::Eq, x, candidate);
    if (is_float(x->type)) {
      const Expr both = binary(ExprOp::And, expr::unary(ExprOp::IsNan, x), expr::unary(ExprOp::IsNan, candidate));
      same = binary(ExprOp::Or, same, both);
    }
    Reduce first{c.fresh("at"), ReduceOp::Min, {{k, Dim(count)}}, 1, false, expr::select(same, own, constant(count))};
    const Expr at = expr::let(first.name, Elem::I64);
    b.push_back(Stmt{std::move(first)});
    const Expr found = expr::load(value, values.elem(), {clamp(at, Dim(count))});
    const Expr y = expr::select(binary(ExprOp::Lt, at, constant(count)), found, default_value(c.node(), values.elem()));
    b.push_back(Stmt{Store{out, to_vector(idx), y, nullptr}});
    return b;
  }));
  return ok();
}

}  // namespace

OP(LabelEncoder) = {
    .name = "LabelEncoder", .domain = kDomain, .infer = infer_label_encoder, .lower = lower_label_encoder};

}  // namespace onnxc
