// lstm_f32, gru_f32, rnn_f32: a layer of recurrent cells (onnx/docs/Operators.md) whose activations are the default
// ones, over all steps. Threads share the sequences, of which none depends on another: [begin, end), where sequence
// d * batch + b is batch element b in direction d. Or, `by_units`, the blocks of 16 units, of all sequences; then they
// meet, by meet(team), wherever a step needs what others did before. The products of the inputs are made beforehand by
// a gemm; per step, one pass over the recurrent weights gives all gates of a few units, whose activations follow at
// once. `hidden` is padded to whole blocks of 16 units in all that is packed, with zeros, so that a padded unit's state
// stays 0:
//   projected [steps, batch][directions][units/16][gates][16] ([batch, steps] if batch_first), rows `stride` apart: x W
//   and
//     the biases
//   r [directions][units/16][hidden][gates][16], p [directions][3][units], rb [directions][units]
//   scratch [directions * batch][kSlots of the cell][units]
// y, y_h, y_c, h0, c0 have ONNX's layout; they, p, rb and lengths may be null. clip: 0 is none. Each sum is one of
// chains of kChain madd, in order of k. Tested in tests/unit/kernels/recurrent_test.cc.
#ifndef ONNXC_KERNELS_RECURRENT_H
#define ONNXC_KERNELS_RECURRENT_H

#include "gate_pass.h"

namespace onnxc_kernels {

// ---- gates

// The sigmoid, to a few ULP where |x| < 87, and to 1e-38 beyond.
template <class V>
ONNXC_INLINE V sigmoid_gate(V x) {
  IntVec<V> n;
  const V p = exp_reduced<Format<float>::bias>(V{} - clamp_keep_nan<V>(x, -87.0f, 87.0f), &n);
  return 1.0f / madd<V>(p, power_of_two<V>(n), splat<V>(1.0f));
}
template <class V>
ONNXC_INLINE V clip_gate(V x, float limit) {
  return limit > 0 ? Activation<float>::clip<V>(x, -limit, limit) : x;
}

// ---- the layer

// The threads that share the units; `team` is null where one has all.
struct Team {
  void (*meet_all)(void*);
  void* team;
  ONNXC_INLINE void meet() const {
    if (team) meet_all(team);
  }
};

struct RecurrentLayer {
  float *y, *y_h;
  const float *projected, *h0;
  const int32_t* lengths;
  float* scratch;
  int64_t stride, steps, batch, hidden, directions;
  bool reverse, batch_first;
  float clip;
  bool by_units;
  int64_t begin, end;
  Team team;

  ONNXC_INLINE int64_t units() const { return (hidden + kBlock - 1) / kBlock * kBlock; }
  ONNXC_INLINE int64_t first_unit() const { return by_units ? begin * kBlock : 0; }
  ONNXC_INLINE int64_t end_unit() const { return by_units ? end * kBlock : units(); }
  ONNXC_INLINE int64_t length(int64_t b) const {
    const int64_t n = lengths ? int64_t(lengths[b]) : steps;
    return n < 0 ? 0 : n > steps ? steps : n;
  }
  // A sequence runs backwards from its own end.
  ONNXC_INLINE int64_t time(int64_t direction, int64_t b, int64_t step) const {
    if (!reverse && direction == 0) return step;
    const int64_t n = length(b);
    return step < n ? n - 1 - step : step;
  }
  ONNXC_INLINE int64_t in_state(int64_t direction, int64_t b) const {
    return (batch_first ? b * directions + direction : direction * batch + b) * hidden;
  }
  ONNXC_INLINE int64_t in_y(int64_t direction, int64_t b, int64_t t) const {
    return (batch_first ? (b * steps + t) * directions + direction : (t * directions + direction) * batch + b) * hidden;
  }
  ONNXC_INLINE const float* input_product(int64_t gates, int64_t direction, int64_t b, int64_t step,
                                          int64_t unit) const {
    const int64_t t = time(direction, b, step), row = batch_first ? b * steps + t : t * batch + b;
    return projected + row * stride + (direction * units() + unit / kBlock * kBlock) * gates + unit % kBlock;
  }

  // This thread's units. Null is zeros.
  ONNXC_INLINE void copy_state(float* to, const float* from) const {
    using V = Wide<float>;
    constexpr int lanes = kLanes<float>;
    const int64_t stop = end_unit() < hidden ? end_unit() : hidden;
    int64_t j = first_unit();
    ONNXC_ROLLED
    for (; j + lanes <= stop; j += lanes) store<V>(to + j, from ? load<V>(from + j) : V{});
    ONNXC_ROLLED
    for (; j < stop; ++j) to[j] = from ? from[j] : 0.0f;
  }
  ONNXC_INLINE void start_state(float* to, const float* initial, int64_t direction, int64_t b) const {
    copy_state(to, initial ? initial + in_state(direction, b) : nullptr);
    ONNXC_ROLLED
    for (int64_t j = hidden > first_unit() ? hidden : first_unit(); j < end_unit(); ++j) to[j] = 0;
  }
};

// The sequences first .. last - 1 of one direction. Slots 0 and 1 of each hold the state before and after a step by
// turns, the others are the cell's.
template <class Cell>
struct RecurrentDirection {
  const RecurrentLayer& layer;
  const Cell cell;  // with the constants of the direction
  int64_t direction, first, last;
  int64_t step = 0;
  using V = Wide<float>;

  ONNXC_INLINE float* slot(int64_t b, int64_t which) const {
    return layer.scratch + ((direction * layer.batch + b) * Cell::kSlots + which) * layer.units();
  }
  ONNXC_INLINE float* before(int64_t b) const { return slot(b, step % 2); }
  ONNXC_INLINE float* after(int64_t b) const { return slot(b, (step + 1) % 2); }
  ONNXC_INLINE bool ended(int64_t b) const { return layer.lengths && step >= layer.length(b); }
  // A vector of the products of the inputs.
  ONNXC_INLINE V input(int64_t b, int64_t unit, int gate) const {
    return load<V>(layer.input_product(Cell::kGates, direction, b, step, unit) + gate * kBlock);
  }
  // Calls f(row, unit, sums) after the products of slot `which` with the weights of G gates.
  template <int G, class F>
  ONNXC_INLINE void pass(int64_t which, const float* weights, F f) const {
    gate_pass<G>(slot(first, which), Cell::kSlots * layer.units(), last - first, weights, layer.hidden,
                 layer.first_unit(), layer.end_unit(), f);
  }

  // Batch elements whose sequence has ended keep their state and give 0.
  ONNXC_INLINE void finish_step(int64_t b) const {
    if (ended(b)) layer.copy_state(after(b), before(b));
    if (layer.y == nullptr) return;
    float* y = layer.y + layer.in_y(direction, b, layer.time(direction, b, step));
    layer.copy_state(y, ended(b) ? nullptr : after(b));
  }
  ONNXC_INLINE void run() {
    ONNXC_ROLLED
    for (int64_t b = first; b < last; ++b) {
      layer.start_state(slot(b, 0), layer.h0, direction, b);
      cell.start(*this, b);
    }
    ONNXC_ROLLED
    for (; step < layer.steps; ++step) {
      layer.team.meet();
      cell.step(*this);
      ONNXC_ROLLED
      for (int64_t b = first; b < last; ++b) finish_step(b);
    }
    ONNXC_ROLLED
    for (int64_t b = first; b < last; ++b) {
      if (layer.y_h) layer.copy_state(layer.y_h + layer.in_state(direction, b), before(b));
      cell.finish(*this, b);
    }
  }
};

template <class Cell>
ONNXC_INLINE void run_layer(const RecurrentLayer& layer, const Cell& cell) {
  const int64_t begin = layer.by_units ? 0 : layer.begin;
  const int64_t end = layer.by_units ? layer.directions * layer.batch : layer.end;
  ONNXC_ROLLED
  for (int64_t d = 0; d < layer.directions; ++d) {
    const int64_t from = begin - d * layer.batch, to = end - d * layer.batch;
    const int64_t first = from < 0 ? 0 : from, last = to > layer.batch ? layer.batch : to;
    if (first < last) RecurrentDirection<Cell>{layer, cell.of_direction(layer, d), d, first, last}.run();
  }
}

// ---- cells: what a step does once the sums of a vector of units are known

// Peepholes: of the first three gates.
struct LstmCell {
  enum Gate { kInput, kOutput, kForget, kCandidate };
  static constexpr int kGates = 4, kSlots = 3, kMemory = 2;
  const float *r, *p, *c0;
  float* y_c;
  using Direction = RecurrentDirection<LstmCell>;
  using V = Wide<float>;

  ONNXC_INLINE LstmCell of_direction(const RecurrentLayer& l, int64_t d) const {
    return {r + d * l.units() * l.hidden * kGates, p ? p + d * l.units() * 3 : nullptr, c0, y_c};
  }
  ONNXC_INLINE void start(const Direction& d, int64_t b) const {
    d.layer.start_state(d.slot(b, kMemory), c0, d.direction, b);
  }
  ONNXC_INLINE void finish(const Direction& d, int64_t b) const {
    if (y_c) d.layer.copy_state(y_c + d.layer.in_state(d.direction, b), d.slot(b, kMemory));
  }
  struct Update {
    const Direction& d;
    ONNXC_INLINE void operator()(int64_t row, int64_t unit, float* sums) const {
      if (!d.ended(d.first + row)) d.cell.update(d, d.first + row, unit, sums);
    }
  };
  ONNXC_INLINE void step(const Direction& d) const { d.pass<kGates>(d.step % 2, r, Update{d}); }

  ONNXC_INLINE V peephole(int gate, const float* at, int64_t units, V memory, V v) const {
    return p ? madd(load<V>(at + gate * units), memory, v) : v;
  }
  ONNXC_INLINE void update(const Direction& d, int64_t b, int64_t unit, float* sums) const {
    constexpr int64_t lanes = kLanes<float>;
    const int64_t units = d.layer.units();
    const float clip = d.layer.clip;
    const float* at = p ? p + unit : nullptr;
    float* memory = d.slot(b, kMemory) + unit;
    const V old = load<V>(memory);
    ONNXC_ROLLED
    for (int g = 0; g < 3; ++g) {
      V v = d.input(b, unit, g) + load<V>(sums + g * lanes);
      if (g != kOutput || !p) v = sigmoid_gate<V>(clip_gate<V>(peephole(g, at, units, old, v), clip));
      store<V>(sums + g * lanes, v);
    }
    const V fresh = tanh<V>(clip_gate<V>(d.input(b, unit, kCandidate) + load<V>(sums + kCandidate * lanes), clip));
    const V next = madd<V>(load<V>(sums + kForget * lanes), old, load<V>(sums + kInput * lanes) * fresh);
    V output = load<V>(sums + kOutput * lanes);
    if (p) output = sigmoid_gate<V>(clip_gate<V>(peephole(kOutput, at, units, next, output), clip));
    store<V>(memory, next);
    store<V>(d.after(b) + unit, output * tanh<V>(next));
  }
};

// Gates z, r, h. Linear before reset: r holds all three and rb the bias that the reset gate scales too. Else r holds z
// and r, r_h the third.
struct GruCell {
  static constexpr int kGates = 3, kSlots = 4;
  static constexpr int kUpdate = 2, kReset = 3;  // slots: z; reset gate times state
  const float *r, *r_h, *rb;
  bool linear_before_reset;
  using Direction = RecurrentDirection<GruCell>;
  using V = Wide<float>;

  ONNXC_INLINE GruCell of_direction(const RecurrentLayer& l, int64_t d) const {
    const int64_t size = l.units() * l.hidden;
    return {r + d * size * (linear_before_reset ? 3 : 2), linear_before_reset ? nullptr : r_h + d * size,
            rb ? rb + d * l.units() : nullptr, linear_before_reset};
  }
  ONNXC_INLINE void start(const Direction&, int64_t) const {}
  ONNXC_INLINE void finish(const Direction&, int64_t) const {}

  static ONNXC_INLINE V gate(const Direction& d, int64_t b, int64_t unit, int g, V sum) {
    return clip_gate<V>(d.input(b, unit, g) + sum, d.layer.clip);
  }
  static ONNXC_INLINE void mix(const Direction& d, int64_t b, int64_t unit, V z, V h) {
    store<V>(d.after(b) + unit, madd<V>(z, load<V>(d.before(b) + unit), (1.0f - z) * h));
  }
  // The gates z and r, in place.
  static ONNXC_INLINE void sigmoids(const Direction& d, int64_t b, int64_t unit, float* sums) {
    ONNXC_ROLLED
    for (int g = 0; g < 2; ++g) {
      float* at = sums + g * kLanes<float>;
      store<V>(at, sigmoid_gate<V>(gate(d, b, unit, g, load<V>(at))));
    }
  }
  struct Linear {
    const Direction& d;
    ONNXC_INLINE void operator()(int64_t row, int64_t unit, float* sums) const {
      const int64_t b = d.first + row;
      if (d.ended(b)) return;
      sigmoids(d, b, unit, sums);
      V sum = load<V>(sums + 2 * kLanes<float>);
      if (d.cell.rb) sum = sum + load<V>(d.cell.rb + unit);
      const V h = tanh<V>(gate(d, b, unit, 2, load<V>(sums + kLanes<float>) * sum));
      mix(d, b, unit, load<V>(sums), h);
    }
  };
  struct Gates {
    const Direction& d;
    ONNXC_INLINE void operator()(int64_t row, int64_t unit, float* sums) const {
      const int64_t b = d.first + row;
      sigmoids(d, b, unit, sums);
      store<V>(d.slot(b, kUpdate) + unit, load<V>(sums));
      store<V>(d.slot(b, kReset) + unit, load<V>(sums + kLanes<float>) * load<V>(d.before(b) + unit));
    }
  };
  struct Candidate {
    const Direction& d;
    ONNXC_INLINE void operator()(int64_t row, int64_t unit, float* sums) const {
      const int64_t b = d.first + row;
      if (d.ended(b)) return;
      mix(d, b, unit, load<V>(d.slot(b, kUpdate) + unit), tanh<V>(gate(d, b, unit, 2, load<V>(sums))));
    }
  };
  ONNXC_INLINE void step(const Direction& d) const {
    if (linear_before_reset) return d.pass<3>(d.step % 2, r, Linear{d});
    d.pass<2>(d.step % 2, r, Gates{d});
    d.layer.team.meet();
    d.pass<1>(kReset, r_h, Candidate{d});
  }
};

// One gate; tanh, or relu.
struct RnnCell {
  static constexpr int kGates = 1, kSlots = 2;
  const float* r;
  bool relu;
  using Direction = RecurrentDirection<RnnCell>;
  using V = Wide<float>;

  ONNXC_INLINE RnnCell of_direction(const RecurrentLayer& l, int64_t d) const {
    return {r + d * l.units() * l.hidden, relu};
  }
  ONNXC_INLINE void start(const Direction&, int64_t) const {}
  ONNXC_INLINE void finish(const Direction&, int64_t) const {}
  struct Update {
    const Direction& d;
    ONNXC_INLINE void operator()(int64_t row, int64_t unit, float* sums) const {
      const int64_t b = d.first + row;
      if (d.ended(b)) return;
      const V v = clip_gate<V>(d.input(b, unit, 0) + load<V>(sums), d.layer.clip);
      store<V>(d.after(b) + unit, d.cell.relu ? select(v < 0.0f, 0.0f, v) : tanh<V>(v));
    }
  };
  ONNXC_INLINE void step(const Direction& d) const { d.pass<1>(d.step % 2, r, Update{d}); }
};

}  // namespace onnxc_kernels

ONNXC_KERNEL void onnxc_lstm_f32(float* y, float* y_h, float* y_c, const float* projected, const float* r,
                                 const float* p, const float* h0, const float* c0, const int32_t* lengths,
                                 float* scratch, int64_t stride, int64_t steps, int64_t batch, int64_t hidden,
                                 int64_t directions, int64_t reverse, int64_t batch_first, float clip, int64_t by_units,
                                 int64_t begin, int64_t end, void (*meet)(void*), void* team) {
  const onnxc_kernels::RecurrentLayer layer{
      y,          y_h,          projected,        h0,   lengths,       scratch, stride, steps,       batch, hidden,
      directions, reverse != 0, batch_first != 0, clip, by_units != 0, begin,   end,    {meet, team}};
  onnxc_kernels::run_layer(layer, onnxc_kernels::LstmCell{r, p, c0, y_c});
}
ONNXC_KERNEL void onnxc_gru_f32(float* y, float* y_h, const float* projected, const float* r, const float* r_h,
                                const float* rb, const float* h0, const int32_t* lengths, float* scratch,
                                int64_t stride, int64_t steps, int64_t batch, int64_t hidden, int64_t directions,
                                int64_t reverse, int64_t batch_first, float clip, int64_t linear_before_reset,
                                int64_t by_units, int64_t begin, int64_t end, void (*meet)(void*), void* team) {
  const onnxc_kernels::RecurrentLayer layer{
      y,          y_h,          projected,        h0,   lengths,       scratch, stride, steps,       batch, hidden,
      directions, reverse != 0, batch_first != 0, clip, by_units != 0, begin,   end,    {meet, team}};
  onnxc_kernels::run_layer(layer, onnxc_kernels::GruCell{r, r_h, rb, linear_before_reset != 0});
}
ONNXC_KERNEL void onnxc_rnn_f32(float* y, float* y_h, const float* projected, const float* r, const float* h0,
                                const int32_t* lengths, float* scratch, int64_t stride, int64_t steps, int64_t batch,
                                int64_t hidden, int64_t directions, int64_t reverse, int64_t batch_first, float clip,
                                int64_t relu, int64_t by_units, int64_t begin, int64_t end, void (*meet)(void*),
                                void* team) {
  const onnxc_kernels::RecurrentLayer layer{
      y,          y_h,          projected,        h0,   lengths,       scratch, stride, steps,       batch, hidden,
      directions, reverse != 0, batch_first != 0, clip, by_units != 0, begin,   end,    {meet, team}};
  onnxc_kernels::run_layer(layer, onnxc_kernels::RnnCell{r, relu != 0});
}

#endif
