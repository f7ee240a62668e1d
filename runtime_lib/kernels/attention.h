// attention_f32: y = softmax(scale * q * k' + mask) * v for every batch and head, without the whole matrix of scores:
// k and v of a head are packed once, then blocks of `block` query rows go through both products and the softmax while
// their scores stay in the cache. q, k, v, y, mask are rows of contiguous elements at any distances (Rows), so heads
// may lie side by side in a row or apart. Several query heads may share one of k and v. A row whose scores are all -inf
// gives NaN, or zeros with `zero_empty_rows`. Sums: those of gemm.h and rows.h.
// scratch: attention_scratch() floats. Tested in tests/unit/kernels/attention_test.cc.
#ifndef ONNXC_KERNELS_ATTENTION_H
#define ONNXC_KERNELS_ATTENTION_H

#include "gemm.h"
#include "rows.h"

namespace onnxc_kernels {

struct AttentionRows {  // elements between batches, heads and rows
  int64_t batch, head, row;
};

struct AttentionArgs {
  float* y;
  const float *q, *k, *v, *mask;  // mask may be null; a distance of 0 repeats it
  float* scratch;
  int64_t batches, heads, kv_heads, rows, cols, depth, value_depth, block;
  AttentionRows y_rows, q_rows, k_rows, v_rows, mask_rows;
  float scale;
  bool causal;  // row i sees columns 0 .. i
  bool zero_empty_rows;
  Range groups;  // of batches x kv_heads
};

ONNXC_INLINE int64_t whole_blocks(int64_t n) { return (n + kBlock - 1) / kBlock * kBlock; }

struct AddRow {
  const float* other;
  template <class V>
  ONNXC_INLINE V operator()(V x, int64_t i) const {
    return x + load<V>(other + i);
  }
};

class AttentionHead {
 public:
  ONNXC_INLINE AttentionHead(const AttentionArgs& args, int64_t batch, int64_t head)
      : a_(args),
        head_(head),
        batch_(batch),
        keys_(args.scratch + args.groups.begin * scratch_size(args)),
        values_(keys_ + whole_blocks(args.cols) * args.depth),
        queries_(values_ + whole_blocks(args.value_depth) * args.cols),
        scores_(queries_ + args.block * args.depth) {}

  ONNXC_INLINE void pack() const {
    const int64_t kv = head_ / (a_.heads / a_.kv_heads);
    pack_b(keys_, a_.k + batch_ * a_.k_rows.batch + kv * a_.k_rows.head, a_.depth, a_.cols, 1, a_.k_rows.row);
    pack_b(values_, a_.v + batch_ * a_.v_rows.batch + kv * a_.v_rows.head, a_.cols, a_.value_depth, a_.v_rows.row, 1);
  }

  // Query rows first .. first + count - 1, count <= block.
  ONNXC_INLINE void rows(int64_t first, int64_t count) const {
    const int64_t step = whole_blocks(a_.cols);
    const float* q = at(a_.q, a_.q_rows, first);
    ONNXC_ROLLED
    for (int64_t r = 0; r < count; ++r)
      map_row<float>(queries_ + r * a_.depth, q + r * a_.q_rows.row, a_.depth, ScaleBy<float>{a_.scale});
    gemm<float>({scores_, queries_, keys_, nullptr, nullptr, count, step, a_.depth, a_.depth, step, {0, 0, 0}});
    float* y = a_.y + offset(a_.y_rows, first);
    // The products take the exponentials as they are; a row is divided by its sum at last, when it is shortest.
    float* inverse = queries_;  // not needed any more
    ONNXC_ROLLED
    for (int64_t r = 0; r < count; ++r) inverse[r] = exponentials(scores_ + r * step, first + r);
    gemm<float>(
        {y, scores_, values_, nullptr, nullptr, count, a_.value_depth, a_.cols, step, a_.y_rows.row, {0, 0, 0}});
    ONNXC_ROLLED
    for (int64_t r = 0; r < count; ++r) {
      float* row = y + r * a_.y_rows.row;
      map_row<float>(row, row, a_.value_depth, ScaleBy<float>{inverse[r]});
    }
  }

 private:
  static ONNXC_INLINE int64_t scratch_size(const AttentionArgs& a) {
    return whole_blocks(a.cols) * a.depth + whole_blocks(a.value_depth) * a.cols +
           a.block * (a.depth + whole_blocks(a.cols));
  }
  ONNXC_INLINE int64_t offset(const AttentionRows& rows, int64_t row) const {
    return batch_ * rows.batch + head_ * rows.head + row * rows.row;
  }
  ONNXC_INLINE const float* at(const float* p, const AttentionRows& rows, int64_t row) const {
    return p + offset(rows, row);
  }
  // Turns the scores of query row `row` into e^(score - greatest) and gives 1 / their sum. Lanes up to a whole block
  // are made -inf, of which neither the greatest nor the sum takes notice.
  ONNXC_INLINE float exponentials(float* s, int64_t row) const {
    const int64_t seen = a_.causal && row + 1 < a_.cols ? row + 1 : a_.cols, whole = whole_blocks(seen);
    if (a_.mask) map_row<float>(s, s, seen, AddRow{at(a_.mask, a_.mask_rows, row)});
    fill(s, seen, whole, -kInfinity<float>);
    const float top = greatest(s, whole);
    if (top == -kInfinity<float> && a_.zero_empty_rows && !holds_nan(s, seen)) {
      fill(s, 0, a_.cols, 0);
      return 0;
    }
    auto sums = Sixteen<float>::fill(0);
    sums.take_mapped(s, s, whole, ExpOf<float>{top}, Plus{});
    fill(s, seen, a_.cols, 0);
    return 1 / sums.tree(Plus{});
  }
  static ONNXC_INLINE bool holds_nan(const float* s, int64_t end) {
    bool any = false;
    ONNXC_ROLLED
    for (int64_t c = 0; c < end; ++c) any |= s[c] != s[c];
    return any;
  }
  static ONNXC_INLINE void fill(float* s, int64_t from, int64_t end, float value) {
    ONNXC_ROLLED
    for (int64_t c = from; c < end; ++c) s[c] = value;
  }

  const AttentionArgs& a_;
  int64_t head_, batch_;
  float *keys_, *values_, *queries_, *scores_;
};

ONNXC_INLINE void attention(const AttentionArgs& a) {
  ONNXC_ROLLED
  for (int64_t group = a.groups.begin; group < a.groups.end; ++group) {
    const int64_t batch = group / a.kv_heads, first = group % a.kv_heads * (a.heads / a.kv_heads);
    ONNXC_ROLLED
    for (int64_t head = first; head < first + a.heads / a.kv_heads; ++head) {
      const AttentionHead one(a, batch, head);
      if (head == first) one.pack();
      ONNXC_ROLLED
      for (int64_t row = 0; row < a.rows; row += a.block)
        one.rows(row, a.rows - row < a.block ? a.rows - row : a.block);
    }
  }
}

}  // namespace onnxc_kernels

// [begin, end) of the batches x kv_heads groups of heads. scratch: for each group, of which a call uses the first's,
// [whole_blocks(cols) * depth + whole_blocks(value_depth) * cols + block * (depth + whole_blocks(cols))], and
// depth >= 1.
ONNXC_KERNEL void onnxc_attention_f32(float* y, const float* q, const float* k, const float* v, const float* mask,
                                      float* scratch, int64_t batches, int64_t heads, int64_t kv_heads, int64_t rows,
                                      int64_t cols, int64_t depth, int64_t value_depth, int64_t block, int64_t y_batch,
                                      int64_t y_head, int64_t y_row, int64_t q_batch, int64_t q_head, int64_t q_row,
                                      int64_t k_batch, int64_t k_head, int64_t k_row, int64_t v_batch, int64_t v_head,
                                      int64_t v_row, int64_t mask_batch, int64_t mask_head, int64_t mask_row,
                                      float scale, int64_t causal, int64_t zero_empty_rows, int64_t begin,
                                      int64_t end) {
  onnxc_kernels::attention({y,
                            q,
                            k,
                            v,
                            mask,
                            scratch,
                            batches,
                            heads,
                            kv_heads,
                            rows,
                            cols,
                            depth,
                            value_depth,
                            block,
                            {y_batch, y_head, y_row},
                            {q_batch, q_head, q_row},
                            {k_batch, k_head, k_row},
                            {v_batch, v_head, v_row},
                            {mask_batch, mask_head, mask_row},
                            scale,
                            causal != 0,
                            zero_empty_rows != 0,
                            {begin, end}});
}

#endif
