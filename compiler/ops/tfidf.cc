// TfIdfVectorizer (onnx/docs/Operators.md): how often each n-gram of a pool occurs in a row of integers or strings, its
// parts up to max_skip_count elements apart; weighted. Tested by tests/conformance and tests/differential.
#include <algorithm>
#include <map>
#include <set>

#include "compiler/ops/indexing.h"
#include "compiler/ops/text.h"

namespace onnxc {
namespace {

using namespace indexing;
using expr::binary;
using expr::operator+;
using expr::operator*;

int64_t output_size(const Node& n) {
  const auto indexes = n.attr_ints("ngram_indexes");
  return indexes.empty() ? 0 : *std::max_element(indexes.begin(), indexes.end()) + 1;
}

Status infer_tfidf(InferContext& c) {
  ONNXC_TRY(require_inputs(c, 1));
  for (int64_t i : c.node.attr_ints("ngram_indexes"))
    if (i < 0) return c.invalid("ngram_indexes holds " + std::to_string(i));
  if (c.elem(0) == Elem::String ? !c.node.has("pool_strings") : c.node.has("pool_strings"))
    return c.invalid("the input " + c.in(0).str() + " and the pool are of different types");
  const auto weights = c.node.attr_floats("weights");
  if (!weights.empty() && weights.size() != c.node.attr_ints("ngram_indexes").size())
    return c.invalid("weights and ngram_indexes have different lengths");
  if (!c.has_shape(0)) return c.set_unranked(0, Elem::F32), ok();
  Shape out = c.shape(0);
  if (out.empty() || out.size() > 2) return c.invalid("the input " + shape_str(out) + " must have rank 1 or 2");
  out.back() = Dim(output_size(c.node));
  return c.set(0, Elem::F32, std::move(out)), ok();
}

// Words are known by their numbers in the list of different ones.
std::vector<std::string> words_of(const Node& n) {
  const auto pool = n.attr_strings("pool_strings");
  const std::set<std::string> different(pool.begin(), pool.end());
  return {different.begin(), different.end()};
}

std::vector<int64_t> pool_of(const Node& n) {
  if (!n.has("pool_strings")) return n.attr_ints("pool_int64s");
  const auto words = words_of(n);
  std::vector<int64_t> numbers;
  for (const std::string& word : n.attr_strings("pool_strings"))
    numbers.push_back(std::lower_bound(words.begin(), words.end(), word) - words.begin());
  return numbers;
}

// The n-grams of one size, row by row, the outputs that they go to and what they weigh.
struct Grams {
  int64_t size = 0;
  std::vector<int64_t> values, outputs;
  std::vector<float> weights;
};

Result<std::vector<Grams>> grams_of(const Node& n) {
  const auto pool = pool_of(n), starts = n.attr_ints("ngram_counts"), indexes = n.attr_ints("ngram_indexes");
  const auto weights = n.attr_floats("weights");
  const int64_t least = n.attr_int("min_gram_length", 1), most = n.attr_int("max_gram_length", 1);
  const auto invalid = [&](const char* what) { return Error(ErrorKind::InvalidModel, what, n.where()); };
  std::vector<Grams> all;
  size_t number = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t begin = starts[i], end = i + 1 < starts.size() ? starts[i + 1] : static_cast<int64_t>(pool.size());
    if (begin < 0 || end < begin || end > static_cast<int64_t>(pool.size()))
      return invalid("ngram_counts does not divide the pool");
    const int64_t size = static_cast<int64_t>(i) + 1, count = (end - begin) / size;
    std::map<std::vector<int64_t>, size_t> number_of;  // of equal n-grams the last one counts
    for (int64_t g = 0; g < count; ++g, ++number) {
      if (number >= indexes.size()) return invalid("the pool holds more n-grams than ngram_indexes");
      const auto first = pool.begin() + begin + g * size;
      number_of[{first, first + size}] = number;
    }
    if (size < least || size > most || number_of.empty()) continue;
    Grams grams{size, {}, {}, {}};
    for (const auto& [values, i] : number_of) {
      grams.values.insert(grams.values.end(), values.begin(), values.end());
      grams.outputs.push_back(indexes[i]);
      grams.weights.push_back(weights.empty() ? 1 : weights[i]);
    }
    all.push_back(std::move(grams));
  }
  return all;
}

// Adds what the occurrences of `grams` weigh to the outputs of the row at `row`.
Stmt count_grams(LowerContext& c, const Grams& grams, BufferId out, BufferId numbers, std::span<const Expr> row) {
  const std::string mode = c.node().attr_string("mode", "TF");
  const int64_t number = static_cast<int64_t>(grams.outputs.size());
  const BufferId weights = c.constant_buffer(Tensor::f32({number}, grams.weights));
  const BufferId values = c.constant_buffer(Tensor::i64({number, grams.size}, grams.values)),
                 outputs = c.constant_buffer(Tensor::i64({number}, grams.outputs));
  const Dim& length = c.in_shape(0).back();
  const std::string g = c.fresh("g"), s = c.fresh("s"), p = c.fresh("p");
  const Expr gram = expr::index(Dim::symbol(g));
  const int64_t skips = grams.size == 1 ? 1 : c.node().attr_int("max_skip_count", 0) + 1;
  const auto number_at = [&](const std::vector<Expr>& at) {
    return numbers == kNoBuffer ? to_index(c.load(0, at)) : expr::load(numbers, Elem::I64, at);
  };
  Expr found;
  for (int64_t k = 0; k < grams.size; ++k) {
    const Dim position = Dim::symbol(p) + Dim(k) * (Dim::symbol(s) + Dim(1));
    std::vector<Expr> at = to_vector(row);
    at.push_back(expr::index(Dim::min(position, length - Dim(1))));
    Expr same = binary(ExprOp::Eq, number_at(at), expr::load(values, Elem::I64, {gram, constant(k)}));
    if (k + 1 == grams.size)
      same = binary(ExprOp::And, same, binary(ExprOp::Lt, expr::index(position), expr::index(length)));
    found = found ? binary(ExprOp::And, found, same) : same;
  }
  Reduce sum{c.fresh("sum"), ReduceOp::Add, {{s, Dim(skips)}, {p, length}}, 1, false, expr::cast(found, Elem::I64)};
  const Expr count = expr::let(sum.name, Elem::I64), occurrences = expr::cast(count, Elem::F32),
             weight = expr::load(weights, Elem::F32, {gram});
  std::vector<Expr> at = to_vector(row);
  at.push_back(clamp(expr::load(outputs, Elem::I64, {gram}), c.out_shape().back()));
  const Expr old = expr::load(out, Elem::F32, at);
  Block body;
  body.push_back(Stmt{std::move(sum)});
  if (mode == "IDF")
    body.push_back(Stmt{Store{out, at, weight, binary(ExprOp::Gt, count, constant(0))}});
  else
    body.push_back(Stmt{Store{out, at, old + (mode == "TF" ? occurrences : occurrences * weight), nullptr}});
  return Stmt{For{{g, Dim(number)}, std::move(body)}};
}

Status lower_tfidf(LowerContext& c) {
  const std::string mode = c.node().attr_string("mode", "TF");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") return c.invalid("there is no mode \"" + mode + "\"");
  ONNXC_ASSIGN(const std::vector<Grams> all, grams_of(c.node()));
  const Shape& shape = c.out_shape();
  BufferId numbers = kNoBuffer;
  if (c.in_elem(0) == Elem::String) {
    ONNXC_ASSIGN(numbers, text::find(c, 0, text::hash_table(words_of(c.node()))));
  }
  const BufferId out = c.out(0);
  c.emit(make_nest(c, {shape.begin(), shape.end() - 1}, [&](std::span<const Expr> row) {
    const std::string j = c.fresh("j");
    std::vector<Expr> at = to_vector(row);
    at.push_back(expr::index(Dim::symbol(j)));
    Block b, clear;
    clear.push_back(Stmt{Store{out, std::move(at), expr::constant(Elem::F32, 0), nullptr}});
    b.push_back(Stmt{For{{j, shape.back()}, std::move(clear)}});
    for (const Grams& grams : all) b.push_back(count_grams(c, grams, out, numbers, row));
    return b;
  }));
  return ok();
}

}  // namespace

OP(TfIdfVectorizer) = {.name = "TfIdfVectorizer", .infer = infer_tfidf, .lower = lower_tfidf};

}  // namespace onnxc
