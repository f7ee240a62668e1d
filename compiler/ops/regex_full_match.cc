// RegexFullMatch (onnx/docs/Operators.md): whether the pattern matches the whole of each text. The pattern is an
// automaton by then, a table that the run follows (regex.h). Tested by tests/differential/test_strings.py and
// tests/conformance.
#include "compiler/ops/indexing.h"
#include "compiler/ops/regex.h"

namespace onnxc {
namespace {

Status infer_regex_full_match(InferContext& c) {
  if (!c.has_input(0) || !c.in(0).is_tensor() || c.elem(0) != Elem::String)
    return c.invalid("the input must be a tensor of strings");
  c.outputs[0] = c.in(0);
  c.outputs[0].elem = Elem::Bool;
  return ok();
}

Status lower_regex_full_match(LowerContext& c) {
  auto compiled = regex::compile(c.node().attr_string("pattern", ""));
  if (!compiled.ok()) return std::move(compiled).error().at(c.node().where());
  const regex::Automaton& a = compiled.value();
  const std::vector<uint8_t> classes(a.classes.begin(), a.classes.end());
  ONNXC_ASSIGN(const BufferId x, c.in(0));
  Call call("match_texts");
  call.out(c.out()).in(x).in(c.constant_buffer(Tensor::of(Elem::U8, {256}, classes)));
  call.in(c.constant_buffer(Tensor::of(Elem::I32, {a.states(), a.class_count}, a.next)));
  call.in(c.constant_buffer(Tensor::of(Elem::U8, {a.states()}, a.accepts)));
  c.emit(call.arg("n", numel(c.in_shape(0))).arg("classes", a.class_count).arg("start", a.start).op());
  return ok();
}

}  // namespace

OP(RegexFullMatch) = {.name = "RegexFullMatch", .infer = infer_regex_full_match, .lower = lower_regex_full_match};

}  // namespace onnxc
