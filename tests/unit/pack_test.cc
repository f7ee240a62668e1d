// pack_constant against its definition, and the blob against what the plan says of it.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "compiler/plan/make_plan.h"
#include "compiler/plan/weights_blob.h"

namespace onnxc {
namespace {

Tensor counting(std::vector<int64_t> dims) {
  std::vector<float> values(static_cast<size_t>(*checked_numel(dims)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i + 1);
  return Tensor::f32(dims, values);
}

// The definition: for every point of the full split-and-permuted space, look up the source or take zero.
std::vector<float> pack_by_definition(const Tensor& source, const Packing& packing) {
  const size_t rank = source.dims().size();
  std::vector<int64_t> split;
  for (size_t i = 0; i < rank; ++i) {
    split.push_back((source.dims()[i] + packing.block[i] - 1) / packing.block[i]);
    split.push_back(packing.block[i]);
  }
  int64_t total = 1;
  for (int64_t dim : split) total *= dim;
  std::vector<float> out;
  for (int64_t n = 0; n < total; ++n) {
    std::vector<int64_t> at(2 * rank);
    int64_t rest = n;
    for (size_t j = packing.perm.size(); j-- > 0;) {
      const auto dim = static_cast<size_t>(packing.perm[j]);
      at[dim] = rest % split[dim];
      rest /= split[dim];
    }
    int64_t offset = 0;
    bool inside = true;
    for (size_t i = 0; i < rank; ++i) {
      const int64_t position = at[2 * i] * packing.block[i] + at[2 * i + 1];
      inside = inside && position < source.dims()[i];
      offset = offset * source.dims()[i] + position;
    }
    out.push_back(inside ? source.as<float>()[static_cast<size_t>(offset)] : 0.0f);
  }
  return out;
}

void expect_as_defined(const Tensor& source, const Packing& packing) {
  const Tensor packed = pack_constant({"w", source, packing});
  const std::vector<float> expected = pack_by_definition(source, packing);
  ASSERT_EQ(packed.numel(), static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(packed.as<float>()[i], expected[i]) << "at " << i;
}

TEST(Pack, ConvolutionWeights) {
  // OC/16, IC/16, IC16, KH, KW, OC16, with ragged OC and IC.
  const Packing packing{{16, 16, 1, 1}, {0, 2, 3, 4, 6, 1, 5, 7}};
  const Tensor source = counting({20, 18, 3, 2});
  EXPECT_EQ(packing.packed_dims(source.dims()), (std::vector<int64_t>{2, 2, 16, 3, 2, 16}));
  expect_as_defined(source, packing);
}

TEST(Pack, GemmPanels) {
  const Packing packing{{1, 16}, {2, 0, 3, 1}};  // B of K x N becomes N/16, K, 16
  EXPECT_EQ(packing.packed_dims({5, 33}), (std::vector<int64_t>{3, 5, 16}));
  expect_as_defined(counting({5, 33}), packing);
}

TEST(Pack, PermMayLeaveOutTrivialDims) {
  const Tensor source = counting({3, 40});
  const Tensor brief = pack_constant({"w", source, {{1, 16}, {2, 0, 3}}});
  const Tensor full = pack_constant({"w", source, {{1, 16}, {2, 0, 3, 1}}});
  EXPECT_TRUE(brief.equals(full));
}

TEST(Pack, RandomPackings) {
  std::mt19937 random(7);
  for (int turn = 0; turn < 200; ++turn) {
    const size_t rank = 1 + random() % 4;
    std::vector<int64_t> dims;
    Packing packing;
    for (size_t i = 0; i < rank; ++i) {
      dims.push_back(1 + static_cast<int64_t>(random() % 7));
      packing.block.push_back(1 + static_cast<int64_t>(random() % 4));
      packing.perm.push_back(static_cast<int64_t>(2 * i));
      packing.perm.push_back(static_cast<int64_t>(2 * i + 1));
    }
    std::shuffle(packing.perm.begin(), packing.perm.end(), random);
    expect_as_defined(counting(dims), packing);
    if (HasFatalFailure()) FAIL() << packing.str() << " of " << shape_str({dims.begin(), dims.end()});
  }
}

TEST(Pack, OneByteElementsAndIdentity) {
  const Tensor bytes = Tensor::of<uint8_t>(Elem::U8, {2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor transposed = pack_constant({"w", bytes, {{1, 1}, {2, 0}}});
  EXPECT_EQ(transposed.to_ints(), (std::vector<int64_t>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(pack_constant({"w", bytes, {}}).raw(), bytes.raw());  // not copied
}

// y = add(w0, ..) over constants of given sizes.
Program program_with_constants(const std::vector<Tensor>& sources) {
  Program program;
  KernelCall call;
  call.kernel = "consume";
  for (const Tensor& source : sources) {
    program.constants.push_back({"w" + std::to_string(program.constants.size()), source, {}});
    Buffer buffer;
    buffer.name = program.constants.back().name;
    buffer.dims = {source.dims().begin(), source.dims().end()};
    buffer.storage = Buffer::Storage::Constant;
    buffer.index = static_cast<int64_t>(program.constants.size()) - 1;
    call.ins.push_back({program.add_buffer(buffer), {}});
  }
  Buffer y;
  y.name = "y";
  y.dims = {4};
  call.outs.push_back({program.add_buffer(y), {}});
  program.ops.push_back({call, {}, {}, {}});
  return program;
}

std::vector<std::byte> blob_of(const Plan& plan) {
  std::vector<std::byte> out;
  const Status status = write_blob(plan, [&](std::span<const std::byte> piece) {
    out.insert(out.end(), piece.begin(), piece.end());
    return ok();
  });
  EXPECT_TRUE(status.ok());
  return out;
}

TEST(Blob, EveryConstantLiesWhereThePlanSays) {
  const std::vector<Tensor> sources = {counting({3}), counting({2000}), counting({70}), counting({40, 40})};
  const Result<Plan> plan = make_plan(program_with_constants(sources), {});
  ASSERT_TRUE(plan.ok()) << plan.error().str();
  const std::vector<std::byte> blob = blob_of(*plan);
  ASSERT_EQ(blob.size(), plan->blob_bytes);
  for (size_t i = 0; i < sources.size(); ++i) {
    const auto offset = static_cast<size_t>(plan->places[i].offset.value());
    EXPECT_EQ(offset % (sources[i].bytes() >= kBlobPage ? kBlobPage : kBlobAlignment), 0u);
    ASSERT_LE(offset + sources[i].bytes(), blob.size());
    EXPECT_EQ(std::memcmp(blob.data() + offset, sources[i].raw(), sources[i].bytes()), 0);
  }
  BlobHeader header;
  std::memcpy(&header, blob.data(), sizeof header);
  EXPECT_EQ(std::memcmp(header.magic, kBlobMagic, sizeof kBlobMagic), 0);
  EXPECT_EQ(header.bytes, blob.size());
  EXPECT_EQ(header.hash, plan->weights_hash);
  EXPECT_EQ(header.num_entries, 4u);
}

TEST(Blob, EqualConstantsShareAnEntryAndTheHashFollowsTheContents) {
  const Result<Plan> twice = make_plan(program_with_constants({counting({100}), counting({100})}), {});
  ASSERT_TRUE(twice.ok());
  EXPECT_EQ(twice->blob.size(), 1u);
  EXPECT_EQ(twice->places[0].offset, twice->places[1].offset);
  const Result<Plan> other = make_plan(program_with_constants({counting({101})}), {});
  ASSERT_TRUE(other.ok());
  EXPECT_NE(twice->weights_hash, other->weights_hash);
  EXPECT_NE(twice->weights_hash, 0u);
  const Result<Plan> none = make_plan(program_with_constants({}), {});
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->weights_hash, 0u);
  EXPECT_EQ(none->blob_bytes, 0u);
}

TEST(Blob, PlansOfOneModelShareWhatIsEqual) {
  const std::vector<std::vector<Tensor>> sources = {
      {counting({3}), counting({2000})}, {counting({2000}), counting({70}), counting({0})}, {counting({70})}};
  std::vector<Plan> plans;
  for (const std::vector<Tensor>& constants : sources) {
    Result<Plan> plan = make_plan(program_with_constants(constants), {});
    ASSERT_TRUE(plan.ok()) << plan.error().str();
    plans.push_back(std::move(*plan));
    const Status shared = plans.size() > 1 ? share_blob(plans) : ok();
    ASSERT_TRUE(shared.ok()) << shared.error().str();
  }
  const std::vector<std::byte> blob = blob_of(plans.front());
  ASSERT_EQ(blob.size(), plans.front().blob_bytes);
  EXPECT_EQ(plans.front().blob.size(), 4u);  // of 3, 2000, 70 and no elements
  for (size_t p = 0; p < plans.size(); ++p) {
    EXPECT_EQ(plans[p].weights_hash, plans.front().weights_hash);
    for (size_t i = 0; i < sources[p].size(); ++i) {
      const auto offset = static_cast<size_t>(plans[p].places[i].offset.value());
      ASSERT_LE(offset + sources[p][i].bytes(), blob.size());
      EXPECT_EQ(std::memcmp(blob.data() + offset, sources[p][i].raw(), sources[p][i].bytes()), 0);
    }
  }
}

TEST(Blob, AFailingSinkStopsTheWriting) {
  const Result<Plan> plan = make_plan(program_with_constants({counting({2000})}), {});
  ASSERT_TRUE(plan.ok());
  int pieces = 0;
  const Status status = write_blob(*plan, [&](std::span<const std::byte>) -> Status {
    return ++pieces == 2 ? Status(Error(ErrorKind::Environment, "disk full")) : ok();
  });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind(), ErrorKind::Environment);
  EXPECT_EQ(pieces, 2);
}

}  // namespace
}  // namespace onnxc
