#include "compiler/ops/conv_choice.h"

#include <algorithm>
#include <cstdio>

#include "compiler/ir/winograd.h"
#include "compiler/ops/winograd_error.h"

namespace onnxc {
namespace {

// ---- The model, in units: the time of one fused multiplication and addition of 16 lanes. Fitted on a Zen 4 (3.7 units
// per ns) to 23 layers from 8 to 512 channels and 3 to 112 pixels; the predicted order of the three forms was right for
// all but those whose costs differ by less than a tenth.
struct TransformCost {
  double input, output;  // per tile and 16 channels
};
constexpr TransformCost kF2{60, 50}, kF4{170, 120};
constexpr double kPerProduct = 1.1;        // to clear and store 16 products
constexpr double kWorth = 0.9;             // of the direct form's time: above it, larger weights are not worth it
constexpr double kF4Worth = 0.95;          // of F(2,3)'s
constexpr double kUncovered = 0.5;         // of the time that weights take to come, how much multiplications don't hide
constexpr int64_t kCachedModel = 8 << 20;  // bytes of a model whose weights stay in the last cache
constexpr int64_t kSecondCache = 1 << 20;  // bytes that a block's data should fit in
constexpr int64_t kStreamed = 4 << 20;     // bytes of weights that come from memory for each block anew

// Bytes of weights per unit: from memory, from the last cache.
struct Bandwidth {
  double memory, cache;
};
Bandwidth bandwidth(Level level) {
  if (level == Level::X86V2) return {9, 50};  // slower units
  return {4.6, 25};
}

// Threads that can share one layer: each share has its own scratch.
constexpr int64_t kMostShares = 8;

// Above it a form loses too much against the direct sum.
constexpr double kErrorLimit = 4;

int64_t blocks_of(int64_t channels) { return (channels + 15) / 16; }
int64_t tiles_of(const SmallConv& c, int m) { return c.n * ((c.oh + m - 1) / m) * ((c.ow + m - 1) / m); }
int64_t points_of(const SmallConv& c, int m) { return winograd_points(c.kh, m) * winograd_points(c.kw, m); }
int64_t weight_bytes(const SmallConv& c, int64_t points) { return points * c.ic * blocks_of(c.oc) * 16 * 4; }

// Weights that arrive faster than they are multiplied are hidden in part, others set the pace.
double with_weights(double compute, double arrival) { return std::max(compute + kUncovered * arrival, arrival); }

double direct_cost(const SmallConv& c, double bytes_per_unit) {
  const double pixels = static_cast<double>(c.n * c.oh * c.ow);
  return with_weights(pixels * static_cast<double>(c.kh * c.kw * c.ic * blocks_of(c.oc)),
                      static_cast<double>(weight_bytes(c, c.kh * c.kw)) / bytes_per_unit);
}

double winograd_cost(const SmallConv& c, int m, double bytes_per_unit) {
  const int64_t points = points_of(c, m);
  const TransformCost transform = m == 4 ? kF4 : kF2;
  const double tiles = static_cast<double>(tiles_of(c, m)), inputs = static_cast<double>(blocks_of(c.ic)),
               outputs = static_cast<double>(blocks_of(c.oc));
  // One row of products alone waits for itself.
  const double products =
      std::max(tiles, 2.0) * static_cast<double>(points) * outputs * (static_cast<double>(c.ic) + kPerProduct);
  return with_weights(products + tiles * (inputs * transform.input + outputs * transform.output),
                      static_cast<double>(weight_bytes(c, points)) / bytes_per_unit);
}

// Multiples of 14, the tallest register tile.
int64_t block_of(const SmallConv& c, int m) {
  const int64_t points = int64_t{m + 2} * (m + 2), per_tile = points * (blocks_of(c.ic) * 16 + 32) * 4;
  const int64_t weights = weight_bytes(c, points_of(c, m));
  if (weights > kStreamed) return 56;
  return std::clamp<int64_t>((kSecondCache - weights) / per_tile / 14 * 14, 28, 56);
}

}  // namespace

WinogradWork winograd_work(const SmallConv& conv, const ConvForm& form, const Dim& n, const Dim& oh, const Dim& ow) {
  const Dim tiles = n * Dim::ceil_div(oh, form.m) * Dim::ceil_div(ow, form.m),
            blocks = Dim::ceil_div(tiles, form.block);
  const Dim most = tiles.is_const() ? Dim::ceil_div(tiles, Dim::max(blocks, 1)) : Dim::min(tiles, form.block);
  const Dim shares = Dim::max(Dim::min(kMostShares, blocks * Dim((conv.oc + 31) / 32)), 1);
  const int64_t points = int64_t{form.m + 2} * (form.m + 2);
  // A tile of m x m outputs takes as many as it has points; directly it would take the taps for each output.
  const Dim direct = n * oh * ow * Dim(conv.oc * conv.ic * conv.kh * conv.kw);
  const int64_t saved = conv.kh * conv.kw * form.m * form.m / points_of(conv, form.m);
  return {shares, shares * Dim(points) * (most * Dim(blocks_of(conv.ic) * 16 + 32) + Dim(32)),
          Dim::floor_div(direct, saved)};
}

ConvForm choose_conv_form(const SmallConv& conv, const Tensor& weights, int64_t model_bytes, const Target& target,
                          const Options& options) {
  // Both forms' weights are larger than the model's, which targets that keep them in ROM can't have.
  if (!options.winograd || options.small || target.level == Level::Generic) return {};
  const Bandwidth speed = bandwidth(target.level);
  const double bytes = model_bytes > kCachedModel ? speed.memory : speed.cache;
  const double direct = direct_cost(conv, bytes), f2 = winograd_cost(conv, 2, bytes),
               f4 = winograd_cost(conv, 4, bytes);
  std::string note;
  for (const int m : {4, 2}) {
    if ((m == 4 ? f4 : f2) > kWorth * direct || (m == 4 && f4 > kF4Worth * f2)) continue;
    const double error = winograd_error_ratio(weights, m);
    char text[80];
    std::snprintf(text, sizeof text, "F(%d,3) errs %.2g times as much as the direct sum", m, error);
    note += (note.empty() ? "" : ", ") + std::string(text);
    if (error <= kErrorLimit) return {m, block_of(conv, m), note};
    note += ": refused";
  }
  return {0, 0, note};
}

}  // namespace onnxc
