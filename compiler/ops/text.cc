// Operators of strings: StringConcat, StringSplit, StringNormalizer, casts (onnx/docs/Operators.md); and what others
// share with them. Tested by tests/differential/test_strings.py and tests/conformance.
#include "compiler/ops/text.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "compiler/ops/elementwise.h"
#include "runtime_lib/kernels/text_case.h"

namespace onnxc {
namespace text {

using namespace indexing;
using expr::binary;

Tensor pack(const std::vector<std::string>& texts) {
  std::vector<std::byte> bytes(texts.size() * 2 * sizeof(uint64_t));
  uint64_t offset = bytes.size();
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::array<uint64_t, 2> row = {offset, texts[i].size()};
    std::memcpy(bytes.data() + i * sizeof row, row.data(), sizeof row);
    offset += texts[i].size();
  }
  bytes.reserve(offset);
  for (const std::string& t : texts)
    for (char c : t) bytes.push_back(static_cast<std::byte>(c));
  return Tensor::of(Elem::U8, {static_cast<int64_t>(bytes.size())}, bytes);
}

Tensor characters(const std::string& text) {
  if (text.empty()) return Tensor::zeros(Elem::U8, {1});
  return Tensor::of(Elem::U8, {static_cast<int64_t>(text.size())}, std::vector<char>(text.begin(), text.end()));
}

namespace {

template <class Key, class Hash>
HashTable table_of(const std::vector<Key>& keys, Tensor packed, Hash hash) {
  const size_t size = std::bit_ceil(2 * keys.size() + 1);
  std::vector<int32_t> slots(size, -1);
  for (size_t i = 0; i < keys.size(); ++i) {
    uint64_t at = hash(keys[i]) & (size - 1);
    while (slots[at] >= 0 && keys[static_cast<size_t>(slots[at])] != keys[i]) at = (at + 1) & (size - 1);
    if (slots[at] < 0) slots[at] = static_cast<int32_t>(i);
  }
  return {Tensor::of(Elem::I32, {static_cast<int64_t>(size)}, slots), std::move(packed),
          static_cast<int64_t>(size) - 1};
}

}  // namespace

HashTable hash_table(const std::vector<std::string>& keys) {
  return table_of(keys, pack(keys), [](const std::string& t) { return onnxc_kernels::hash_bytes(t.data(), t.size()); });
}

HashTable hash_table(const std::vector<int64_t>& keys) {
  return table_of(keys, Tensor::i64({static_cast<int64_t>(keys.size())}, keys), onnxc_kernels::hash_key);
}

Expr number_key(const Expr& x) {
  if (!is_float(x->type)) return expr::cast(x, Elem::I64);
  const Elem bits = x->type == Elem::F64 ? Elem::I64 : Elem::I32;
  const Expr zero = expr::int_constant(Elem::I64, 0), nan = expr::int_constant(Elem::I64, INT64_MIN + 1);
  const Expr number = expr::select(binary(ExprOp::Eq, x, expr::constant(x->type, 0)), zero,
                                   expr::cast(expr::bit_cast(x, bits), Elem::I64));
  return expr::select(expr::unary(ExprOp::IsNan, x), nan, number);
}

int64_t number_key(const Tensor& numbers, int64_t i) {
  if (!is_float(numbers.elem())) return numbers.int_at(i);
  const double v = numbers.float_at(i);
  if (v != v) return INT64_MIN + 1;
  if (v == 0) return 0;
  return numbers.elem() == Elem::F64 ? std::bit_cast<int64_t>(v) : std::bit_cast<int32_t>(static_cast<float>(v));
}

Result<BufferId> find(LowerContext& c, size_t i, const HashTable& table) {
  const Shape& shape = c.in_shape(i);
  const bool texts = c.in_elem(i) == Elem::String;
  const BufferId at = c.temporary(Elem::I64, shape);
  const BufferId slots = c.constant_buffer(table.slots), keys = c.constant_buffer(table.keys);
  BufferId x = kNoBuffer;
  if (texts) {
    ONNXC_ASSIGN(x, c.in(i));
  } else {
    x = c.temporary(Elem::I64, shape);
    c.emit(make_nest(c, shape, [&](std::span<const Expr> idx) {
      return Block{Stmt{Store{x, to_vector(idx), number_key(c.load(i, idx)), nullptr}}};
    }));
  }
  Call call(texts ? "find_texts" : "find_keys");
  call.out(at).in(x).in(slots).in(keys).arg("mask", table.mask);
  c.emit(call.partition("elements", numel(shape), numel(shape) * Dim(64)).op());
  return at;
}

void take(LowerContext& c, size_t i, BufferId numbers, std::vector<std::string> texts, const std::string& otherwise) {
  const Dim n = numel(c.out_shape(i));
  const auto count = static_cast<int64_t>(texts.size());
  texts.push_back(otherwise);
  const BufferId packed = c.constant_buffer(pack(texts));
  Call call("take_texts");
  call.out(c.out(i)).in(numbers).in(packed).arg("otherwise", count);
  c.emit(call.partition("elements", n, n * Dim(8)).op());
}

// ---- casts: numbers of one width go through text, the others are changed from or to it

namespace {

// The type that has kernels, and holds every number of `elem`.
Elem wide_type(Elem elem) {
  if (is_float(elem)) return elem == Elem::F64 ? Elem::F64 : Elem::F32;
  return elem == Elem::U64 ? Elem::U64 : Elem::I64;
}

Status cast_from_text(LowerContext& c) {
  const Elem to = c.out_elem(), wide = wide_type(to);
  ONNXC_ASSIGN(const BufferId x, c.in(0));
  const BufferId y = c.out(), numbers = to == wide ? y : c.temporary(wide, c.out_shape());
  Call call("parse_texts_" + std::string(elem_name(wide)));
  c.emit(call.out(numbers).in(x).arg("n", numel(c.out_shape())).may_fail().op());
  if (to == wide) return ok();
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    const Expr value = expr::cast(expr::load(numbers, wide, to_vector(idx)), to);
    return Block{Stmt{Store{y, to_vector(idx), expr::cast(value, expr::arithmetic_type(to)), nullptr}}};
  }));
  return ok();
}

Status cast_to_text(LowerContext& c) {
  const Elem from = c.in_elem(0), wide = wide_type(from);
  BufferId numbers = kNoBuffer;
  if (from == wide) {
    ONNXC_ASSIGN(numbers, c.in(0));
  } else {
    numbers = c.temporary(wide, c.out_shape());
    c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
      return Block{Stmt{Store{numbers, to_vector(idx), expr::cast(c.load(0, idx), wide), nullptr}}};
    }));
  }
  Call call("format_texts_" + std::string(elem_name(wide)));
  c.emit(call.out(c.out()).in(numbers).arg("n", numel(c.out_shape())).run_memory().op());
  return ok();
}

Status copy_texts(LowerContext& c) {
  const BufferId y = c.out();
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    return Block{Stmt{Store{y, to_vector(idx), c.load(0, idx), nullptr}}};
  }));
  return ok();
}

}  // namespace

Status lower_cast(LowerContext& c) {
  const Elem from = c.in_elem(0), to = c.out_elem();
  for (Elem e : {from, to})
    if (e == Elem::C64 || e == Elem::C128) return c.unsupported("complex numbers are not supported yet");
  if (from == to) return copy_texts(c);
  return from == Elem::String ? cast_from_text(c) : cast_to_text(c);
}

}  // namespace text

namespace {

using namespace indexing;

Status require_strings(InferContext& c, size_t n) {
  ONNXC_TRY(require_inputs(c, n));
  for (size_t i = 0; i < n; ++i)
    if (c.elem(i) != Elem::String)
      return c.invalid("input " + std::to_string(i) + " must hold strings, not " + c.in(i).str());
  return ok();
}

// ---- StringConcat

Status infer_string_concat(InferContext& c) {
  ONNXC_TRY(require_strings(c, 2));
  return elementwise::set_broadcast(c, Elem::String);
}

// Input i, repeated to the shape of the output.
Result<BufferId> broadcast_input(LowerContext& c, size_t i) {
  const Shape &own = c.in_shape(i), &all = c.out_shape();
  if (own == all) return c.in(i);
  const BufferId wide = c.temporary(Elem::String, all);
  c.emit(make_nest(c, all, [&](std::span<const Expr> idx) {
    const size_t skip = all.size() - own.size();
    std::vector<Expr> at;
    for (size_t d = 0; d < own.size(); ++d) at.push_back(broadcast_index(idx[d + skip], own[d], all[d + skip]));
    return Block{Stmt{Store{wide, to_vector(idx), c.load(i, at), nullptr}}};
  }));
  return wide;
}

Status lower_string_concat(LowerContext& c) {
  ONNXC_ASSIGN(const BufferId a, broadcast_input(c, 0));
  ONNXC_ASSIGN(const BufferId b, broadcast_input(c, 1));
  Call call("concat_texts");
  c.emit(call.out(c.out()).in(a).in(b).arg("n", numel(c.out_shape())).run_memory().op());
  return ok();
}

// ---- StringSplit

Status infer_string_split(InferContext& c) {
  ONNXC_TRY(require_strings(c, 1));
  if (c.node.num_outputs() > 1) c.set_unranked(1, Elem::I64);
  if (!c.has_shape(0)) return c.set_unranked(0, Elem::String), ok();
  Shape parts = c.shape(0);
  parts.push_back(c.unknown("parts"));
  c.set(0, Elem::String, std::move(parts));
  if (c.node.num_outputs() > 1) c.set(1, Elem::I64, c.shape(0));
  return ok();
}

Status lower_string_split(LowerContext& c) {
  const std::string delimiter = c.node().attr_string("delimiter", "");
  const auto bytes = static_cast<int64_t>(delimiter.size());
  const BufferId packed = c.constant_buffer(text::characters(delimiter));
  const int64_t most = c.node().attr_int("maxsplit", -1);
  const Dim n = numel(c.in_shape(0)), greatest = c.node().output(0) ? c.out_shape().back() : Dim(0);
  ONNXC_ASSIGN(const BufferId x, c.in(0));
  const BufferId count = c.temporary(Elem::I64, {Dim(1)});
  const BufferId counts = c.node().output(1) ? c.out(1) : c.temporary(Elem::I64, c.in_shape(0));
  Call counting("count_parts");
  counting.out(counts).out(count).in(x).in(packed).arg("n", n).arg("delimiter_bytes", bytes).arg("most", most);
  c.emit(counting.op());
  if (!c.node().output(0)) return ok();
  c.define(greatest, count);
  Call splitting("split_texts");
  splitting.out(c.out()).in(x).in(packed).arg("n", n).arg("greatest", greatest).arg("delimiter_bytes", bytes);
  c.emit(splitting.arg("most", most).op());
  return ok();
}

// ---- StringNormalizer

#include "compiler/ops/case_rows.inc"

Status infer_string_normalizer(InferContext& c) {
  ONNXC_TRY(require_strings(c, 1));
  const std::string action = c.node.attr_string("case_change_action", "NONE");
  if (action != "NONE" && action != "LOWER" && action != "UPPER")
    return c.invalid("there is no case_change_action \"" + action + "\"");
  if (!c.has_shape(0)) return c.set_unranked(0, Elem::String), ok();
  Shape out = c.shape(0);
  if (out.empty() || out.size() > 2) return c.invalid("the input " + shape_str(out) + " must have rank 1 or 2");
  if (out.size() == 2)
    ONNXC_TRY(c.require_equal(out[0], Dim(1), "the first dim of the input " + shape_str(out) + " must be 1"));
  if (!c.node.attr_strings("stopwords").empty())
    out.back() = c.unknown("kept");
  else
    out.back() = Dim::max(out.back(), Dim(1));
  return c.set(0, Elem::String, std::move(out)), ok();
}

BufferId case_buffer(LowerContext& c, std::span<const CaseRow> rows) {
  std::vector<int32_t> flat;
  for (const CaseRow& r : rows) flat.insert(flat.end(), {r.first, r.last, r.step, r.difference});
  return c.constant_buffer(Tensor::of(Elem::I32, {static_cast<int64_t>(rows.size()), 4}, flat));
}

int32_t mapped(std::span<const CaseRow> rows, int32_t code) {
  const auto row = std::ranges::find_if(rows, [&](const CaseRow& r) { return code <= r.last; });
  const bool within = row != rows.end() && code >= row->first && (code - row->first) % row->step == 0;
  return within ? code + row->difference : code;
}
int32_t lower_case(int32_t code) { return mapped(kToLower, code); }

// Nothing where it is no UTF-8.
std::optional<std::string> in_lower_case(const std::string& text) {
  std::string lower;
  for (uint64_t i = 0; i < text.size();) {
    const int32_t code = onnxc_kernels::next_code_point({text.data(), text.size()}, i);
    if (code < 0) return std::nullopt;
    char bytes[4];
    lower.append(bytes, onnxc_kernels::put_code_point(bytes, lower_case(code)));
  }
  return lower;
}

Status lower_string_normalizer(LowerContext& c) {
  const Node& node = c.node();
  const std::string action = node.attr_string("case_change_action", "NONE");
  const bool folds = node.attr_int("is_case_sensitive", 0) == 0;
  std::vector<std::string> stop_words = node.attr_strings("stopwords");
  for (std::string& word : stop_words) {
    if (!folds) break;
    const auto lower = in_lower_case(word);
    if (!lower) return c.invalid("a stop word is not valid UTF-8");
    word = *lower;
  }
  const text::HashTable table = text::hash_table(stop_words);
  const bool filters = !stop_words.empty();
  ONNXC_ASSIGN(const BufferId x, c.in(0));
  const Dim n = numel(c.in_shape(0));
  const BufferId all = c.temporary(Elem::String, {Dim::max(n, Dim(1))}), count = c.temporary(Elem::I64, {Dim(1)});
  Call call("normalise_texts");
  call.out(all).out(count).in(x);
  call.in(filters ? c.constant_buffer(table.slots) : kNoBuffer);
  call.in(filters ? c.constant_buffer(table.keys) : kNoBuffer);
  const std::span<const CaseRow> rows = action == "LOWER"   ? std::span<const CaseRow>(kToLower)
                                        : action == "UPPER" ? std::span<const CaseRow>(kToUpper)
                                                            : std::span<const CaseRow>();
  const std::span<const CaseRow> fold_rows = filters && folds ? std::span<const CaseRow>(kToLower) : rows.first(0);
  for (const auto& list : {rows, fold_rows}) call.in(list.empty() ? kNoBuffer : case_buffer(c, list));
  call.arg("n", n).arg("mask", table.mask).arg("rows", static_cast<int64_t>(rows.size()));
  c.emit(call.arg("fold_rows", static_cast<int64_t>(fold_rows.size())).run_memory().op());
  const Dim kept = c.out_shape().back();
  if (filters) c.define(kept, count);
  const BufferId y = c.out();
  c.emit(make_nest(c, c.out_shape(), [&](std::span<const Expr> idx) {
    return Block{Stmt{Store{y, to_vector(idx), expr::load(all, Elem::String, {idx.back()}), nullptr}}};
  }));
  return ok();
}

}  // namespace

namespace text {

const std::vector<std::vector<uint32_t>>& case_orbits() {
  static const std::vector<std::vector<uint32_t>> kOrbits = [] {
    std::map<int32_t, std::set<uint32_t>> orbits;
    for (const std::span<const CaseRow> rows : {std::span<const CaseRow>(kToLower), std::span<const CaseRow>(kToUpper)})
      for (const CaseRow& r : rows)
        for (int32_t code = r.first; code <= r.last; code += r.step) {
          const int32_t upper = mapped(kToUpper, code), lower = lower_case(code);
          for (int32_t c : {code, upper, lower}) orbits[lower_case(upper)].insert(static_cast<uint32_t>(c));
        }
    std::vector<std::vector<uint32_t>> all;
    for (const auto& [least, members] : orbits) all.emplace_back(members.begin(), members.end());
    return all;
  }();
  return kOrbits;
}

}  // namespace text

OP(StringConcat) = {.name = "StringConcat", .infer = infer_string_concat, .lower = lower_string_concat};
OP(StringSplit) = {
    .name = "StringSplit", .infer = infer_string_split, .lower = lower_string_split, .defines_dims = true};
OP(StringNormalizer) = {.name = "StringNormalizer",
                        .infer = infer_string_normalizer,
                        .lower = lower_string_normalizer,
                        .defines_dims = true};

}  // namespace onnxc
