// Normalisations, position embeddings and attention of com.microsoft. See contrib.h. Tested by
// tests/differential/contrib_rows.py.
#include "compiler/ops/contrib.h"

namespace onnxc {
namespace {

using namespace contrib;

// ---- normalisations of a sum

Value* sum_of(GraphWriter& w, std::initializer_list<Value*> terms) {
  Value* sum = nullptr;
  for (Value* term : terms)
    if (term) sum = sum ? w.add("Add", {sum, term}) : term;
  return sum;
}

GraphWriter::Attrs norm_attributes(const Node& n) {
  return {{"axis", int64_t{-1}}, {"epsilon", n.attr_float("epsilon", 1e-12f)}};
}

// input, skip, gamma, beta, bias -> the norm, mean, inverse deviation, the sum.
Status decompose_skip_layer_norm(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1, 2}));
  GraphWriter w(g, n);
  Value* sum = sum_of(w, {n.input(0), n.input(1), n.input(4)});
  Node* norm = w.node("LayerNormalization", {sum, n.input(2), n.input(3)}, norm_attributes(n), 3);
  w.replace({norm->output(0), norm->output(1), norm->output(2), sum});
  return ok();
}

// input, skip, gamma, bias -> the norm, and the sum as the fourth.
Status decompose_skip_rms_norm(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1, 2}));
  for (size_t o : {1, 2})
    if (n.output(o)) return unsupported(n, "output " + std::to_string(o) + " is not supported yet");
  GraphWriter w(g, n);
  Value* sum = sum_of(w, {n.input(0), n.input(1), n.input(3)});
  w.replace({w.add("RMSNormalization", {sum, n.input(2)}, norm_attributes(n)), nullptr, nullptr, sum});
  return ok();
}

// input_ids, segment_ids, word, position and segment embeddings, gamma, beta, mask, position_ids -> the norm of the
// sum of embeddings, how many of each row the mask keeps, the sum.
Status decompose_embed_layer_norm(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 2, 3, 5, 6}));
  if (n.input(1)) ONNXC_TRY(require_inputs(n, {4}));
  GraphWriter w(g, n);
  const auto rows = [&](Value* table, Value* ids) { return w.add("Gather", {table, ids}); };
  Value* ids = n.input(0);
  Value* positions = nullptr;
  if (n.input(8)) {
    positions = rows(n.input(3), n.input(8));
  } else {
    Value* length = w.add("Shape", {ids}, {{"start", int64_t{1}}, {"end", int64_t{2}}});
    positions = w.add("Slice", {n.input(3), w.ints({0}), length});
  }
  Value* sum = sum_of(w, {rows(n.input(2), ids), positions, n.input(1) ? rows(n.input(4), n.input(1)) : nullptr});
  Value* norm = w.add("LayerNormalization", {sum, n.input(5), n.input(6)}, norm_attributes(n));
  Value* kept = nullptr;
  if (n.output(1)) {
    Value* mask = n.input(7) ? n.input(7) : w.add("Mul", {ids, w.number(0, ids)});
    kept = w.add("ReduceSum", {w.cast(mask, Elem::I32), w.ints({1})}, {{"keepdims", int64_t{0}}});
  }
  w.replace({norm, kept, sum});
  return ok();
}

// ---- RotaryEmbedding: input, position_ids (of each token, or of the first one), cos_cache, sin_cache

Status decompose_rotary(Graph& g, Node& n) {
  ONNXC_ASSIGN(const Shape x, shape_of(n, 0));
  ONNXC_ASSIGN(const Shape ids, shape_of(n, 1));
  ONNXC_ASSIGN(const Shape cache, shape_of(n, 2, 2));
  ONNXC_TRY(require_inputs(n, {3}));
  if (x.size() != 3 && x.size() != 4) return invalid(n, "the input " + shape_str(x) + " must have three or four axes");
  if (n.attr_int("is_packed_batching", 0) != 0) return unsupported(n, "is_packed_batching is not supported");
  GraphWriter w(g, n);
  const int64_t rotary = n.attr_int("rotary_embedding_dim", 0);
  GraphWriter::Attrs attrs{{"interleaved", n.attr_int("interleaved", 0)}, {"rotary_embedding_dim", rotary}};
  if (x.size() == 3) {
    int64_t heads = n.attr_int("num_heads", 0);
    if (heads == 0) {
      ONNXC_ASSIGN(const int64_t hidden, known(n, x[2], "the size of the rows"));
      ONNXC_ASSIGN(const int64_t half, known(n, cache[1], "the extent of cos_cache"));
      if (rotary != 0 || half < 1 || hidden % (2 * half) != 0) return invalid(n, "num_heads is missing");
      heads = hidden / (2 * half);
    }
    attrs["num_heads"] = heads;
  }
  Value* positions = n.input(1);
  if (ids.size() == 1) {
    const int64_t axis = x.size() == 3 ? 1 : 2;
    Value* length = w.add("Shape", {n.input(0)}, {{"start", axis}, {"end", axis + 1}});
    Value* batch = w.add("Shape", {n.input(0)}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
    Value* zero = g.add_constant(Tensor::i64({}, {0}));
    Value* one = g.add_constant(Tensor::i64({}, {1}));
    Value* steps = w.add("Range", {zero, w.add("Squeeze", {length, w.ints({0})}), one});
    positions = w.add("Expand", {w.add("Add", {w.cast(positions, Elem::I64), steps}),
                                 w.add("Concat", {batch, length}, {{"axis", int64_t{0}}})});
  }
  w.replace({w.add("RotaryEmbedding", {n.input(0), n.input(2), n.input(3), positions}, std::move(attrs))});
  return ok();
}

// ---- attention

class AttentionWriter {
 public:
  AttentionWriter(Graph& g, Node& n) : g_(g), n_(n), w_(g, n), heads_(n.attr_int("num_heads", 0)) {}

  // Queries, keys and values: [batch, heads, rows, depth].
  Value *q = nullptr, *k = nullptr, *v = nullptr;
  Value* bias = nullptr;  // added to the scores
  GraphWriter& writer() { return w_; }

  Status check_heads() const { return heads_ > 0 ? ok() : Status(invalid(n_, "num_heads must be given")); }
  // [batch, rows, heads * depth] -> [batch, heads, rows, depth]
  Value* by_heads(Value* x) { return w_.transpose(w_.reshape(x, {0, 0, heads_, -1}), {0, 2, 1, 3}); }
  // Part `i` of [batch, rows, heads, parts, depth].
  Value* part(Value* packed, int64_t i) {
    Value* x = w_.add("Gather", {packed, g_.add_constant(Tensor::i64({}, {i}))}, {{"axis", int64_t{3}}});
    return w_.transpose(x, {0, 2, 1, 3});
  }
  Value* after(Value* past, Value* x) { return past ? w_.add("Concat", {past, x}, {{"axis", int64_t{2}}}) : x; }

  // Keys that the mask (of integers) does not keep count less: lengths [batch], kept ones [batch, keys] or [batch,
  // rows, keys].
  Status add_mask(size_t input) {
    if (!n_.input(input)) return ok();
    ONNXC_ASSIGN(const Shape mask, shape_of(n_, input));
    ONNXC_ASSIGN(const Shape first, shape_of(n_, 0));
    Value* m = n_.input(input);
    if (mask.size() == 1 && mask[0] == first[0]) {
      Value* kept = w_.add("Less", {key_numbers(), w_.cast(w_.add("Unsqueeze", {m, w_.ints({1})}), Elem::I64)});
      m = w_.cast(kept, Elem::I32);
    } else if (mask.size() != 2 && mask.size() != 3) {
      return unsupported(n_, "a mask of the shape " + shape_str(mask) + " is not supported");
    }
    m = w_.add("Unsqueeze", {m, mask.size() == 3 ? w_.ints({1}) : w_.ints({1, 2})});
    add_where(w_.add("Equal", {m, w_.number(0, m)}), static_cast<double>(n_.attr_float("mask_filter_value", -10000)));
    return ok();
  }
  void add_bias(size_t input) {
    if (n_.input(input)) bias = bias ? w_.add("Add", {bias, n_.input(input)}) : n_.input(input);
  }
  // Query row i sees no more than as many keys as there are up to its own.
  void hide_later_keys() {
    Value* rows = dim(q, 2);
    Value* numbers = w_.add("Range", {integer(0), rows, integer(1)});
    Value* own = w_.add("Add", {numbers, w_.add("Sub", {dim(k, 2), rows})});
    own = w_.add("Unsqueeze", {own, w_.ints({1})});
    add_where(w_.add("Greater", {key_numbers(), own}), -std::numeric_limits<double>::infinity());
  }
  // The result as [batch, rows, heads * depth].
  Value* result() {
    GraphWriter::Attrs attrs;
    if (const float scale = n_.attr_float("scale", 0); scale != 0) attrs["scale"] = scale;
    Value* y = w_.add("Attention", {q, k, v, bias}, std::move(attrs));
    return w_.reshape(w_.transpose(y, {0, 2, 1, 3}), {0, 0, -1});
  }

 private:
  Value* integer(int64_t i) { return g_.add_constant(Tensor::i64({}, {i})); }
  Value* dim(Value* x, int64_t axis) {
    return w_.add("Squeeze", {w_.add("Shape", {x}, {{"start", axis}, {"end", axis + 1}}), w_.ints({0})});
  }
  Value* key_numbers() { return w_.add("Range", {integer(0), dim(k, 2), integer(1)}); }
  void add_where(Value* hidden, double value) {
    Value* more = w_.add("Where", {hidden, w_.number(value, n_.input(0)), w_.number(0, n_.input(0))});
    bias = bias ? w_.add("Add", {bias, more}) : more;
  }

  Graph& g_;
  Node& n_;
  GraphWriter w_;
  const int64_t heads_;
};

// query, key, value, bias, key_padding_mask, attention_bias, past_key, past_value -> result, present_key, present_value
Status decompose_multi_head_attention(Graph& g, Node& n) {
  ONNXC_TRY(require_outputs(n, 3));
  for (size_t i : {8, 9})
    if (n.input(i)) return unsupported(n, "input " + std::to_string(i) + " is not supported yet");
  AttentionWriter a(g, n);
  GraphWriter& w = a.writer();
  ONNXC_TRY(a.check_heads());
  ONNXC_ASSIGN(const Shape query, shape_of(n, 0));
  if (query.size() == 5) {
    if (n.input(3)) return unsupported(n, "a bias of packed queries, keys and values is not supported");
    a.q = a.part(n.input(0), 0), a.k = a.part(n.input(0), 1), a.v = a.part(n.input(0), 2);
  } else {
    ONNXC_ASSIGN(const Shape key, shape_of(n, 1));
    if (query.size() != 3) return invalid(n, "the query " + shape_str(query) + " must have three or five axes");
    Value *q = n.input(0), *k = n.input(1), *v = n.input(2);
    if (n.input(3)) {
      if (key.size() != 3) return unsupported(n, "a bias is supported where key and value have three axes");
      ONNXC_ASSIGN(const Shape value, shape_of(n, 2, 3));
      const auto slice = [&](const Dim& begin, const Dim& extent) -> Result<Value*> {
        ONNXC_ASSIGN(const int64_t from, known(n, begin, "the size of the rows"));
        ONNXC_ASSIGN(const int64_t count, known(n, extent, "the size of the rows"));
        return w.add("Slice", {n.input(3), w.ints({from}), w.ints({from + count})});
      };
      ONNXC_ASSIGN(Value* const q_bias, slice(Dim(0), query[2]));
      ONNXC_ASSIGN(Value* const k_bias, slice(query[2], key[2]));
      ONNXC_ASSIGN(Value* const v_bias, slice(query[2] + key[2], value[2]));
      q = w.add("Add", {q, q_bias}), k = w.add("Add", {k, k_bias}), v = w.add("Add", {v, v_bias});
    }
    a.q = a.by_heads(q);
    if (key.size() == 5) {
      a.k = a.part(k, 0), a.v = a.part(k, 1);
    } else {
      ONNXC_TRY(require_inputs(n, {2}));
      a.k = key.size() == 4 ? k : a.by_heads(k);
      a.v = key.size() == 4 ? v : a.by_heads(v);
    }
  }
  a.k = a.after(n.input(6), a.k), a.v = a.after(n.input(7), a.v);
  a.add_bias(5);
  ONNXC_TRY(a.add_mask(4));
  if (n.attr_int("unidirectional", 0) != 0) a.hide_later_keys();
  w.replace({a.result(), a.k, a.v});
  return ok();
}

// input, weights, bias, mask_index, past, attention_bias -> result, present
Status decompose_attention(Graph& g, Node& n) {
  ONNXC_TRY(require_inputs(n, {0, 1}));
  if (n.input(6)) return unsupported(n, "input 6 is not supported yet");
  if (n.attr_int("do_rotary", 0) != 0) return unsupported(n, "do_rotary is not supported");
  AttentionWriter a(g, n);
  GraphWriter& w = a.writer();
  ONNXC_TRY(a.check_heads());
  ONNXC_ASSIGN(const Shape weights, shape_of(n, 1, 2));
  std::vector<int64_t> sizes = n.attr_ints("qkv_hidden_sizes");
  if (sizes.empty()) {
    ONNXC_ASSIGN(const int64_t all, known(n, weights[1], "the extent of the weights"));
    sizes.assign(3, all / 3);
  }
  if (sizes.size() != 3) return invalid(n, "qkv_hidden_sizes must have three entries");
  Value* x = sum_of(w, {w.add("MatMul", {n.input(0), n.input(1)}), n.input(2)});
  Node* parts = w.node("Split", {x, w.ints(sizes)}, {{"axis", int64_t{2}}}, 3);
  a.q = a.by_heads(parts->output(0)), a.k = a.by_heads(parts->output(1)), a.v = a.by_heads(parts->output(2));
  if (n.input(4)) {
    const auto past = [&](int64_t i) { return w.add("Gather", {n.input(4), g.add_constant(Tensor::i64({}, {i}))}); };
    a.k = a.after(past(0), a.k), a.v = a.after(past(1), a.v);
  }
  a.add_bias(5);
  ONNXC_TRY(a.add_mask(3));
  if (n.attr_int("unidirectional", 0) != 0) a.hide_later_keys();
  Value* present = nullptr;
  if (n.output(1)) {
    const auto row = [&](Value* v) { return w.add("Unsqueeze", {v, w.ints({0})}); };
    present = w.add("Concat", {row(a.k), row(a.v)}, {{"axis", int64_t{0}}});
  }
  w.replace({a.result(), present});
  return ok();
}

}  // namespace

OP(MicrosoftSkipLayerNormalization) = {.name = "SkipLayerNormalization",
                                       .domain = kMicrosoft,
                                       .decompose = decompose_skip_layer_norm,
                                       .accuracy = Accuracy::Accumulating};
OP(MicrosoftSkipSimplifiedLayerNormalization) = {.name = "SkipSimplifiedLayerNormalization",
                                                 .domain = kMicrosoft,
                                                 .decompose = decompose_skip_rms_norm,
                                                 .accuracy = Accuracy::Accumulating};
OP(MicrosoftEmbedLayerNormalization) = {.name = "EmbedLayerNormalization",
                                        .domain = kMicrosoft,
                                        .decompose = decompose_embed_layer_norm,
                                        .accuracy = Accuracy::Accumulating};
OP(MicrosoftRotaryEmbedding) = {
    .name = "RotaryEmbedding", .domain = kMicrosoft, .decompose = decompose_rotary, .accuracy = Accuracy::Accumulating};
OP(MicrosoftMultiHeadAttention) = {.name = "MultiHeadAttention",
                                   .domain = kMicrosoft,
                                   .decompose = decompose_multi_head_attention,
                                   .accuracy = Accuracy::Accumulating};
OP(MicrosoftAttention) = {
    .name = "Attention", .domain = kMicrosoft, .decompose = decompose_attention, .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
