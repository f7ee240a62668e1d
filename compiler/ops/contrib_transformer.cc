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
  Value* by_heads(Value* x) { return by_heads(x, heads_); }
  Value* by_heads(Value* x, int64_t heads) { return w_.transpose(w_.reshape(x, {0, 0, heads, -1}), {0, 2, 1, 3}); }
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
    Value* own = w_.add("Add", {numbers(rows), w_.add("Sub", {dim(k, 2), rows})});
    own = w_.add("Unsqueeze", {own, w_.ints({1})});
    add_where(w_.add("Greater", {key_numbers(), own}), -std::numeric_limits<double>::infinity());
  }
  // Where `hidden`, a score counts no more than `value` says.
  void add_where(Value* hidden, double value) {
    Value* more = w_.add("Where", {hidden, w_.number(value, n_.input(0)), w_.number(0, n_.input(0))});
    bias = bias ? w_.add("Add", {bias, more}) : more;
  }
  Value* integer(int64_t i) { return g_.add_constant(Tensor::i64({}, {i})); }
  Value* dim(Value* x, int64_t axis) {
    return w_.add("Squeeze", {w_.add("Shape", {x}, {{"start", axis}, {"end", axis + 1}}), w_.ints({0})});
  }
  Value* numbers(Value* count) { return w_.add("Range", {integer(0), count, integer(1)}); }
  // The result as [batch, rows, heads * depth].
  Value* result() {
    GraphWriter::Attrs attrs;
    if (const float scale = n_.attr_float("scale", 0); scale != 0) attrs["scale"] = scale;
    if (const float cap = n_.attr_float("softcap", 0); cap != 0) attrs["softcap"] = cap;
    Value* y = w_.add("Attention", {q, k, v, bias}, std::move(attrs));
    return w_.reshape(w_.transpose(y, {0, 2, 1, 3}), {0, 0, -1});
  }

 private:
  Value* key_numbers() { return numbers(dim(k, 2)); }

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

// query, key, value, past_key, past_value, seqlens_k, total_sequence_length, cos_cache, sin_cache, position_ids,
// attention_bias -> result, present_key, present_value. The new keys of image b stand behind its seqlens_k[b] + 1 -
// rows old ones; what stands behind them is not looked at.
class GroupQuery {
 public:
  GroupQuery(Graph& g, Node& n) : n_(n), a_(g, n), w_(a_.writer()), kv_heads_(n.attr_int("kv_num_heads", 0)) {}

  Status decompose() {
    ONNXC_TRY(check());
    ONNXC_TRY(find_inputs());
    length_ =
        w_.add("Squeeze", {w_.add("Shape", {query_}, {{"start", int64_t{1}}, {"end", int64_t{2}}}), w_.ints({0})});
    Value* all = w_.add("Add", {w_.cast(w_.reshape(n_.input(5), {-1, 1}), Elem::I64), a_.integer(1)});
    past_ = w_.add("Max", {w_.add("Sub", {all, length_}), a_.integer(0)});  // [batch, 1]
    rows_ = w_.add("Add", {past_, a_.numbers(length_)});                    // positions of the queries
    if (n_.attr_int("do_rotary", 0) != 0) {
      ONNXC_TRY(require_inputs(n_, {7, 8}));
      query_ = rotated(query_, n_.attr_int("num_heads", 0));
      key_ = rotated(key_, kv_heads_);
    }
    a_.q = a_.by_heads(query_);
    total_ = w_.reshape(w_.cast(n_.input(6), Elem::I64), {});
    if (n_.input(3)) total_ = w_.add("Max", {total_, a_.dim(n_.input(3), 2)});
    a_.k = cached(a_.by_heads(key_, kv_heads_), n_.input(3));
    a_.v = cached(a_.by_heads(value_, kv_heads_), n_.input(4));
    a_.add_bias(10);
    hide_keys();
    w_.replace({a_.result(), a_.k, a_.v});
    return ok();
  }

 private:
  Status check() const {
    ONNXC_TRY(require_inputs(n_, {0, 5, 6}));
    ONNXC_TRY(require_outputs(n_, 3));
    ONNXC_TRY(a_.check_heads());
    if (kv_heads_ < 1) return invalid(n_, "kv_num_heads must be given");
    if (n_.attr_int("smooth_softmax", 0) > 0 || n_.input(11)) return unsupported(n_, "a sink of attention");
    return n_.input(3) || !n_.input(4) ? ok() : Status(invalid(n_, "past_key is missing"));
  }
  Status find_inputs() {
    query_ = n_.input(0), key_ = n_.input(1), value_ = n_.input(2);
    ONNXC_ASSIGN(const Shape query, shape_of(n_, 0, 3));
    if (key_) return require_inputs(n_, {2});
    const int64_t heads = n_.attr_int("num_heads", 0);
    ONNXC_ASSIGN(const int64_t all, known(n_, query[2], "the size of the rows"));
    const int64_t depth = all / (heads + 2 * kv_heads_), own = heads * depth, other = kv_heads_ * depth;
    Node* parts = w_.node("Split", {query_, w_.ints({own, other, other})}, {{"axis", int64_t{2}}}, 3);
    query_ = parts->output(0), key_ = parts->output(1), value_ = parts->output(2);
    return ok();
  }
  Value* rotated(Value* x, int64_t heads) {
    GraphWriter::Attrs attrs{{"num_heads", heads}, {"interleaved", n_.attr_int("rotary_interleaved", 0)}};
    Value* positions = n_.input(9) ? n_.input(9) : rows_;
    return w_.add("RotaryEmbedding", {x, n_.input(7), n_.input(8), positions}, std::move(attrs));
  }
  Value* as_row(Value* x, const std::vector<int64_t>& axes) { return w_.add("Unsqueeze", {x, w_.ints(axes)}); }
  // Row t of the cache is row t of the old one, or one of the new rows.
  Value* cached(Value* x, Value* old) {
    Value* t = a_.numbers(total_);
    Value* fresh = w_.add("Sub", {t, past_});
    Value* at = fresh;
    Value* both = x;
    if (old) {
      both = w_.add("Concat", {old, x}, {{"axis", int64_t{2}}});
      at = w_.add("Where", {w_.add("Less", {t, past_}), t, w_.add("Add", {fresh, a_.dim(old, 2)})});
    }
    Value* last = w_.add("Sub", {a_.dim(both, 2), a_.integer(1)});
    at = as_row(w_.add("Max", {w_.add("Min", {at, last}), a_.integer(0)}), {1, 3});
    Value* shape = w_.add("Shape", {both});
    Value* batch_heads = w_.add("Slice", {shape, w_.ints({0}), w_.ints({2})});
    Value* depth = w_.add("Slice", {shape, w_.ints({3}), w_.ints({4})});
    Value* wanted = w_.add("Concat", {batch_heads, w_.reshape(total_, {1}), depth}, {{"axis", int64_t{0}}});
    return w_.add("GatherElements", {both, w_.add("Expand", {at, wanted})}, {{"axis", int64_t{2}}});
  }
  void hide_keys() {
    Value* keys = a_.numbers(total_);
    Value* rows = as_row(rows_, {1, 3});
    Value* hidden = w_.add("Greater", {keys, rows});
    if (const int64_t window = n_.attr_int("local_window_size", -1); window > 0) {
      Value* first = w_.add("Sub", {rows, a_.integer(window)});
      hidden = w_.add("Or", {hidden, w_.add("LessOrEqual", {keys, first})});
    }
    a_.add_where(hidden, -std::numeric_limits<double>::infinity());
  }

  Node& n_;
  AttentionWriter a_;
  GraphWriter& w_;
  const int64_t kv_heads_;
  Value *query_ = nullptr, *key_ = nullptr, *value_ = nullptr;
  Value *length_ = nullptr, *past_ = nullptr, *rows_ = nullptr, *total_ = nullptr;
};

Status decompose_group_query(Graph& g, Node& n) { return GroupQuery(g, n).decompose(); }

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
OP(MicrosoftGroupQueryAttention) = {.name = "GroupQueryAttention",
                                    .domain = kMicrosoft,
                                    .decompose = decompose_group_query,
                                    .accuracy = Accuracy::Accumulating};
OP(MicrosoftAttention) = {
    .name = "Attention", .domain = kMicrosoft, .decompose = decompose_attention, .accuracy = Accuracy::Accumulating};

}  // namespace onnxc
