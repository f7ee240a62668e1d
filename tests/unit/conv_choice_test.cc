// Direct or Winograd: the cost model's decisions where measurements are clear, and the accuracy guard's.
#include "compiler/ops/conv_choice.h"

#include <gtest/gtest.h>

#include <random>

#include "compiler/ops/winograd_error.h"

namespace onnxc {
namespace {

// Of He's initialisation, roughly: uniform, of mean 0.
Tensor random_weights(int64_t oc, int64_t ic, int64_t taps = 3) {
  std::mt19937 random(2);
  std::vector<float> values(static_cast<size_t>(oc * ic * taps * taps));
  for (float& v : values) v = static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 1000;
  return Tensor::f32({oc, ic, taps, taps}, values);
}

// All weight on one tap: the direct sum is then short and errs little.
Tensor single_tap(int64_t oc, int64_t ic) {
  const Tensor all = random_weights(oc, ic);
  std::vector<float> values(all.as<float>().begin(), all.as<float>().end());
  for (size_t i = 0; i < values.size(); ++i)
    if (i % 9 != 8 || i / 9 % static_cast<size_t>(ic) != 0) values[i] = 0;
  return Tensor::f32({oc, ic, 3, 3}, values);
}

constexpr int64_t kLargeModel = 100 << 20;

int form(int64_t channels, int64_t map, const std::string& cpu = "x86-64-v4", int64_t model_bytes = kLargeModel,
         int64_t taps = 3) {
  Options options;
  options.cpu = cpu;
  return choose_conv_form({1, channels, channels, map, map, taps, taps}, random_weights(channels, channels, taps),
                          model_bytes, *Target::from_options(options), options)
      .m;
}

TEST(ConvChoice, AsMeasured) {
  for (const char* cpu : {"x86-64-v2", "x86-64-v3", "x86-64-v4"}) {
    EXPECT_EQ(form(64, 56, cpu), 4);
    EXPECT_EQ(form(128, 28, cpu), 4);
    EXPECT_EQ(form(256, 14, cpu), 4);
    EXPECT_EQ(form(16, 1, cpu), 0) << "tiles are mostly waste";
    EXPECT_EQ(form(32, 7, cpu, 1 << 20), 4) << "the weights of a small model stay in the cache";
  }
  EXPECT_EQ(form(512, 7), 2) << "its weights for F(4,3) come too slowly";
}

TEST(ConvChoice, FourTapsGainLess) {
  EXPECT_EQ(form(256, 28, "x86-64-v4", kLargeModel, 2), 4);
  EXPECT_EQ(form(8, 56, "x86-64-v4", kLargeModel, 2), 0) << "the transforms take what the products save";
  EXPECT_NE(form(8, 56), 0);
}

TEST(ConvChoice, OptionsAndTargetsForbidIt) {
  const Tensor weights = random_weights(64, 64);
  Options options;
  options.cpu = "generic";
  EXPECT_EQ(choose_conv_form({1, 64, 64, 56, 56}, weights, kLargeModel, *Target::from_options(options), options).m, 0);
  options.cpu = "x86-64-v4";
  options.small = true;
  EXPECT_EQ(choose_conv_form({1, 64, 64, 56, 56}, weights, kLargeModel, *Target::from_options(options), options).m, 0);
  options.small = false;
  options.winograd = false;
  EXPECT_EQ(choose_conv_form({1, 64, 64, 56, 56}, weights, kLargeModel, *Target::from_options(options), options).m, 0);
}

TEST(ConvChoice, TheGuardRefusesWhatErrsTooMuch) {
  const Tensor weights = single_tap(64, 64);
  ASSERT_GT(winograd_error_ratio(weights, 4), 4);
  Options options;
  options.cpu = "x86-64-v4";
  const ConvForm chosen =
      choose_conv_form({1, 64, 64, 56, 56}, weights, kLargeModel, *Target::from_options(options), options);
  EXPECT_NE(chosen.m, 4);
  EXPECT_NE(chosen.note.find("refused"), std::string::npos) << chosen.note;
}

TEST(ConvChoice, ErrorRatiosOfRandomWeights) {
  for (const int64_t channels : {64, 256}) {
    const Tensor weights = random_weights(channels, channels);
    const double f2 = winograd_error_ratio(weights, 2), f4 = winograd_error_ratio(weights, 4);
    EXPECT_GT(f2, 0.2) << channels;
    EXPECT_LT(f2, 2) << channels;
    EXPECT_GT(f4, 1) << channels;
    EXPECT_LT(f4, 4) << channels;
  }
  EXPECT_EQ(winograd_error_ratio(Tensor::zeros(Elem::F32, {4, 4, 3, 3}), 4), 0);
}

WinogradWork work_of(const SmallConv& conv, const ConvForm& form) {
  return winograd_work(conv, form, conv.n, conv.oh, conv.ow);
}

TEST(ConvChoice, ScratchFitsTheLargestBlock) {
  // 14 x 14 tiles in blocks of at most 28: 7 blocks of 28, 2 panels.
  const WinogradWork work = work_of({1, 64, 64, 56, 56}, {4, 28, {}});
  EXPECT_EQ(work.shares, 8);
  EXPECT_EQ(work.scratch, 8 * 36 * (28 * (64 + 32) + 32));
  // 7 x 7 tiles in blocks of at most 28: 25 and 24; 3 images of one tile and one panel.
  EXPECT_EQ(work_of({1, 20, 64, 28, 28}, {4, 28, {}}).scratch, 4 * 36 * (25 * (32 + 32) + 32));
  EXPECT_EQ(work_of({3, 16, 16, 2, 2}, {2, 28, {}}).shares, 1);
}

TEST(ConvChoice, ScratchFitsWhateverARunGives) {
  const SmallConv conv{1, 20, 64, 28, 28};
  const WinogradWork any = winograd_work(conv, {4, 28, {}}, Dim::symbol("N"), Dim::symbol("H"), Dim::symbol("W"));
  for (int64_t n = 0; n < 3; ++n)
    for (int64_t h = 0; h < 70; h += 3)
      for (int64_t w = 0; w < 70; w += 5) {
        const std::map<std::string, int64_t> run{{"N", n}, {"H", h}, {"W", w}};
        const WinogradWork fixed = winograd_work(conv, {4, 28, {}}, n, h, w);
        EXPECT_EQ(any.shares.evaluate(run), fixed.shares.value());
        EXPECT_GE(any.scratch.evaluate(run), fixed.scratch.value());
        EXPECT_GE(any.shares.evaluate(run), 1);
      }
}

TEST(ConvChoice, ProductsAreThoseOfThePoints) {
  EXPECT_EQ(work_of({1, 64, 32, 56, 56}, {4, 28, {}}).products, 56 * 56 * 64 * 32 * 9 / 4);
  EXPECT_EQ(work_of({1, 64, 32, 56, 56, 2, 2}, {4, 28, {}}).products, 56 * 56 * 64 * 32 * 4 / 2);
}

}  // namespace
}  // namespace onnxc
