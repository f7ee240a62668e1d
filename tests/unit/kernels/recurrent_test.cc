// lstm, gru and rnn against the cells' formulas in double.
#include <pthread.h>

#include <thread>

#include "reference.h"
#include "runtime_lib/kernels/all_kernels.h"

namespace kernel_test {
namespace {

struct Layer {
  int64_t gates, steps, batch, hidden;
  int64_t directions = 1;
  bool reverse = false, batch_first = false, lengths = false, initial = true, peepholes = false, linear = false;
  bool relu = false, only_last = false;
  float clip = 0;

  int64_t units() const { return (hidden + 15) / 16 * 16; }
  int64_t rows() const { return steps * batch; }
  int64_t state(int64_t d, int64_t b) const { return (batch_first ? b * directions + d : d * batch + b) * hidden; }
  int64_t row(int64_t t, int64_t b) const { return batch_first ? b * steps + t : t * batch + b; }
  int64_t y(int64_t d, int64_t b, int64_t t) const {
    return (batch_first ? row(t, b) * directions + d : (t * directions + d) * batch + b) * hidden;
  }
};

struct Data {
  std::vector<float> projected, r, p, rb, h0, c0;  // projected [rows][directions][gates][hidden], r [d][gates][h][h]
  std::vector<int32_t> lengths;
  explicit Data(const Layer& l) {
    Random random(11);
    projected = random.vector(l.rows() * l.directions * l.gates * l.hidden);
    r = random.vector(l.directions * l.gates * l.hidden * l.hidden);
    for (float& v : r) v *= 1.5f / std::sqrt(float(l.hidden));
    p = random.vector(l.directions * 3 * l.hidden);
    rb = random.vector(l.directions * l.hidden);
    h0 = random.vector(l.directions * l.batch * l.hidden);
    c0 = random.vector(l.directions * l.batch * l.hidden);
    for (int64_t b = 0; b < l.batch; ++b) lengths.push_back(int32_t(b * l.steps / (l.batch > 1 ? l.batch - 1 : 1)));
  }
};

double sigmoid(double v) { return 1 / (1 + std::exp(-v)); }

struct Result {
  std::vector<double> y, y_h, y_c;
};

// One sequence: batch element b in direction d.
class Sequence {
 public:
  Sequence(const Layer& l, const Data& data, int64_t d, int64_t b) : l_(l), data_(data), d_(d), b_(b) {
    for (int64_t j = 0; j < l.hidden; ++j) {
      h_.push_back(l.initial ? data.h0[l.state(d, b) + j] : 0);
      c_.push_back(l.initial ? data.c0[l.state(d, b) + j] : 0);
    }
  }
  void run(Result& out) {
    const int64_t length = l_.lengths ? data_.lengths[b_] : l_.steps;
    for (int64_t s = 0; s < length; ++s) {
      t_ = l_.reverse || d_ == 1 ? length - 1 - s : s;
      l_.gates == 4 ? lstm() : l_.gates == 3 ? gru() : rnn();
      std::copy(h_.begin(), h_.end(), out.y.begin() + l_.y(d_, b_, t_));
    }
    std::copy(h_.begin(), h_.end(), out.y_h.begin() + l_.state(d_, b_));
    std::copy(c_.begin(), c_.end(), out.y_c.begin() + l_.state(d_, b_));
  }

 private:
  double input(int64_t g, int64_t j) const {
    return data_.projected[((l_.row(t_, b_) * l_.directions + d_) * l_.gates + g) * l_.hidden + j];
  }
  double product(int64_t g, int64_t j, const std::vector<double>& h) const {
    double s = 0;
    for (int64_t k = 0; k < l_.hidden; ++k) s += h[k] * data_.r[((d_ * l_.gates + g) * l_.hidden + j) * l_.hidden + k];
    return s;
  }
  double clip(double v) const { return l_.clip > 0 ? std::min(std::max(v, -double(l_.clip)), double(l_.clip)) : v; }
  double peephole(int64_t g, int64_t j, double memory) const {
    return l_.peepholes ? data_.p[(d_ * 3 + g) * l_.hidden + j] * memory : 0;
  }
  void lstm() {
    std::vector<double> next = h_;
    for (int64_t j = 0; j < l_.hidden; ++j) {
      double v[4];
      for (int g = 0; g < 4; ++g) v[g] = input(g, j) + product(g, j, h_);
      const double i = sigmoid(clip(v[0] + peephole(0, j, c_[j]))), f = sigmoid(clip(v[2] + peephole(2, j, c_[j])));
      c_[j] = f * c_[j] + i * std::tanh(clip(v[3]));
      next[j] = sigmoid(clip(v[1] + peephole(1, j, c_[j]))) * std::tanh(c_[j]);
    }
    h_ = next;
  }
  void gru() {
    std::vector<double> next = h_, scaled = h_, r = h_;
    for (int64_t j = 0; j < l_.hidden; ++j) {
      r[j] = sigmoid(clip(input(1, j) + product(1, j, h_)));
      scaled[j] = r[j] * h_[j];
    }
    for (int64_t j = 0; j < l_.hidden; ++j) {
      const double z = sigmoid(clip(input(0, j) + product(0, j, h_)));
      const double sum = l_.linear ? r[j] * (product(2, j, h_) + data_.rb[d_ * l_.hidden + j]) : product(2, j, scaled);
      next[j] = (1 - z) * std::tanh(clip(input(2, j) + sum)) + z * h_[j];
    }
    h_ = next;
  }
  void rnn() {
    std::vector<double> next = h_;
    for (int64_t j = 0; j < l_.hidden; ++j) {
      const double v = clip(input(0, j) + product(0, j, h_));
      next[j] = l_.relu ? std::max(v, 0.0) : std::tanh(v);
    }
    h_ = next;
  }
  const Layer& l_;
  const Data& data_;
  int64_t d_, b_, t_ = 0;
  std::vector<double> h_, c_;
};

Result reference(const Layer& l, const Data& data) {
  const auto states = static_cast<size_t>(l.directions * l.batch * l.hidden);
  Result out{std::vector<double>(static_cast<size_t>(l.steps) * states), std::vector<double>(states),
             std::vector<double>(states)};
  for (int64_t d = 0; d < l.directions; ++d)
    for (int64_t b = 0; b < l.batch; ++b) Sequence(l, data, d, b).run(out);
  return out;
}

// [outer][gates][hidden] -> [outer][units/16][inner][gates][16] of the gates first .. first + gates - 1, zeros as
// padding; with `inner` the source is [outer][gates][hidden][inner].
std::vector<float> pack(const Layer& l, const std::vector<float>& from, int64_t outer, int64_t first, int64_t gates,
                        int64_t inner) {
  std::vector<float> to(static_cast<size_t>(outer * l.units() * gates * inner), 0.0f);
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t g = 0; g < gates; ++g)
      for (int64_t j = 0; j < l.hidden; ++j)
        for (int64_t k = 0; k < inner; ++k)
          to[(((o * l.units() / 16 + j / 16) * inner + k) * gates + g) * 16 + j % 16] =
              from[((o * l.gates + first + g) * l.hidden + j) * inner + k];
  return to;
}
std::vector<float> pad_rows(const Layer& l, const std::vector<float>& from) {
  std::vector<float> to;
  for (size_t i = 0; i < from.size(); i += static_cast<size_t>(l.hidden)) {
    to.insert(to.end(), from.begin() + int64_t(i), from.begin() + int64_t(i) + l.hidden);
    to.resize((to.size() + 15) / 16 * 16, 0.0f);
  }
  return to;
}

// NaN after each row of `width`.
std::vector<float> with_gaps(const std::vector<float>& from, int64_t width, int64_t gap) {
  std::vector<float> to;
  for (auto row = from.begin(); row != from.end(); row += width) {
    to.insert(to.end(), row, row + width);
    to.insert(to.end(), static_cast<size_t>(gap), kNan);
  }
  return to;
}

// The ranges between the numbers in `cuts`: of sequences, one after the other; or of blocks of units, on a thread each.
using Cuts = std::vector<int64_t>;
enum By { kSequences, kUnits };

template <class F>
void run_ranges(const Cuts& cuts, By by, F f) {
  if (by == kSequences) {
    for (size_t i = 0; i + 1 < cuts.size(); ++i) f(cuts[i], cuts[i + 1], nullptr, nullptr);
    return;
  }
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, nullptr, static_cast<unsigned>(cuts.size() - 1));
  const auto meet = [](void* team) { pthread_barrier_wait(static_cast<pthread_barrier_t*>(team)); };
  std::vector<std::thread> threads;
  for (size_t i = 0; i + 1 < cuts.size(); ++i) threads.emplace_back(f, cuts[i], cuts[i + 1], meet, &barrier);
  for (std::thread& thread : threads) thread.join();
  pthread_barrier_destroy(&barrier);
}

// y, y_h, y_c.
std::vector<std::vector<float>> run(const Layer& l, const Data& data, const Cuts& cuts, By by = kSequences) {
  const auto side = Guarded::Side::After;
  const int64_t width = l.directions * l.gates * l.units(), stride = width + 16;
  const std::vector<float> state(static_cast<size_t>(l.directions * l.batch * l.hidden), kNan);
  const Guarded y(std::vector<float>(state.size() * static_cast<size_t>(l.steps), kNan), side), y_h(state, side),
      y_c(state, side), h0(data.h0, side), c0(data.c0, side),
      projected(with_gaps(pack(l, data.projected, l.rows() * l.directions, 0, l.gates, 1), width, stride - width),
                side),
      p(pad_rows(l, data.p), side), rb(pad_rows(l, data.rb), side);
  const bool split = l.gates == 3 && !l.linear;
  const Guarded r(pack(l, data.r, l.directions, 0, split ? 2 : l.gates, l.hidden), side),
      r_h(split ? pack(l, data.r, l.directions, 2, 1, l.hidden) : std::vector<float>{}, side),
      scratch(std::vector<float>(static_cast<size_t>(l.directions * l.batch * 4 * l.units()), kNan), side);
  const int32_t* lengths = l.lengths ? data.lengths.data() : nullptr;
  const float *first = l.initial ? h0.data() : nullptr, *memory = l.initial ? c0.data() : nullptr;
  float* all = l.only_last ? nullptr : y.data();
  run_ranges(cuts, by, [&](int64_t begin, int64_t end, void (*meet)(void*), void* team) {
    if (l.gates == 4)
      onnxc_lstm_f32(all, y_h.data(), y_c.data(), projected.data(), r.data(), l.peepholes ? p.data() : nullptr, first,
                     memory, lengths, scratch.data(), stride, l.steps, l.batch, l.hidden, l.directions, l.reverse,
                     l.batch_first, l.clip, by, begin, end, meet, team);
    else if (l.gates == 3)
      onnxc_gru_f32(all, y_h.data(), projected.data(), r.data(), split ? r_h.data() : nullptr,
                    l.linear ? rb.data() : nullptr, first, lengths, scratch.data(), stride, l.steps, l.batch, l.hidden,
                    l.directions, l.reverse, l.batch_first, l.clip, l.linear, by, begin, end, meet, team);
    else
      onnxc_rnn_f32(all, y_h.data(), projected.data(), r.data(), first, lengths, scratch.data(), stride, l.steps,
                    l.batch, l.hidden, l.directions, l.reverse, l.batch_first, l.clip, l.relu, by, begin, end, meet,
                    team);
  });
  return {y.vector(), y_h.vector(), y_c.vector()};
}

void expect_same(const Layer& l, const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  for (size_t i = l.only_last ? 1 : 0; i < (l.gates == 4 ? 3u : 2u); ++i)
    EXPECT_TRUE(a[i].empty() || std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) == 0);
}

void check(const Layer& l, bool by_units = false) {
  SCOPED_TRACE(testing::Message() << l.gates << " gates, " << l.steps << " steps, batch " << l.batch << ", hidden "
                                  << l.hidden << ", " << l.directions << " directions");
  const Data data(l);
  const Result want = reference(l, data);
  const int64_t sequences = l.directions * l.batch;
  const auto got = run(l, data, {0, sequences});
  const double tolerance = 3e-6;
  if (!l.only_last) expect_near(got[0], want.y, tolerance);
  expect_near(got[1], want.y_h, tolerance);
  if (l.gates == 4) expect_near(got[2], want.y_c, tolerance);
  // The same bits however the sequences or the units are cut.
  if (sequences > 1) expect_same(l, got, run(l, data, {0, 1, (sequences + 1) / 2, sequences}));
  const int64_t blocks = l.units() / 16;
  expect_same(l, got, run(l, data, {0, blocks}, kUnits));
  if (by_units) expect_same(l, got, run(l, data, {0, (blocks + 1) / 3, blocks, blocks}, kUnits));
}

Layer layer(int64_t gates, int64_t steps, int64_t batch, int64_t hidden) { return Layer{gates, steps, batch, hidden}; }

template <class F>
void for_all_cells(F f) {
  for (int64_t gates : {1, 3, 4})
    for (bool linear : {false, true})
      if (gates == 3 || !linear) f(gates, linear);
}

TEST(RecurrentTest, AwkwardSizes) {
  for_all_cells([](int64_t gates, bool linear) {
    for (int64_t hidden : {1, 3, 8, 15, 16, 17, 31, 48, 64, 80, 129, 270})
      for (int64_t batch : {1, 2, 3, 7, 15}) {
        if (hidden > 100 && batch > 3) continue;
        Layer l = layer(gates, hidden > 100 ? 3 : 5, batch, hidden);
        l.linear = linear;
        check(l, batch < 3);
      }
  });
}
TEST(RecurrentTest, Forms) {
  for_all_cells([](int64_t gates, bool linear) {
    for (int bits = 0; bits < 128; ++bits) {
      Layer l = layer(gates, 4, 3, 20);
      l.linear = linear;
      l.directions = bits & 1 ? 2 : 1;
      l.reverse = bits & 2;
      l.batch_first = bits & 4;
      l.lengths = bits & 8;
      l.initial = bits & 16;
      l.peepholes = l.relu = bits & 32;
      l.clip = bits & 64 ? 0.4f : 0;
      check(l);
    }
  });
}
TEST(RecurrentTest, ThreadsOfUnits) {
  for_all_cells([](int64_t gates, bool linear) {
    for (int bits = 0; bits < 8; ++bits) {
      Layer l = layer(gates, 9, 2, 40);
      l.linear = linear;
      l.directions = bits & 1 ? 2 : 1;
      l.lengths = bits & 2;
      l.batch_first = l.peepholes = bits & 4;
      check(l, true);
    }
  });
}
TEST(RecurrentTest, OneStepOneSequence) {
  for_all_cells([](int64_t gates, bool linear) {
    Layer l = layer(gates, 1, 1, 40);
    l.linear = linear;
    check(l);
    l.only_last = true;
    check(l);
    l.steps = 0;
    check(l);
  });
}

TEST(RecurrentTest, LargeSumsSaturate) {
  Layer l = layer(4, 2, 2, 5);
  Data data(l);
  for (float& v : data.projected) v *= 1e30f;
  const auto got = run(l, data, {0, 2});
  expect_near(got[0], reference(l, data).y, 1e-6);
}

}  // namespace
}  // namespace kernel_test
