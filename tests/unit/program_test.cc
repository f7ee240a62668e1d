// The small functions of the Program: packings, extents, effects.
#include "compiler/ir/program.h"

#include <gtest/gtest.h>

namespace onnxc {
namespace {

TEST(Packing, SaysItsDimsAndItself) {
  const Packing packing{{16, 1}, {0, 2, 1}};
  EXPECT_EQ(packing.packed_dims({20, 3}), (std::vector<int64_t>{2, 3, 16}));
  EXPECT_EQ(packing.str(), "block=[16, 1], perm=[0, 2, 1]");
  EXPECT_EQ(Packing{}.packed_dims({20, 3}), (std::vector<int64_t>{20, 3}));
}

TEST(Layout, SaysItself) {
  EXPECT_EQ(Layout{}.str(), "plain");
  EXPECT_EQ(Layout::channels(16).str(), "block1x16");
}

TEST(Buffer, ExtentCountsHaloAndStrides) {
  Buffer b;
  b.dims = {2, Dim::symbol("H"), 8};
  EXPECT_EQ(b.extent(), Dim(16) * Dim::symbol("H"));
  b.halo = {{0, 0}, {1, 1}, {0, 0}};
  EXPECT_EQ(b.effective_strides()[0], Dim(8) * Dim::symbol("H") + Dim(16));
  EXPECT_EQ(b.lead(), Dim(8));
  EXPECT_EQ(b.extent(), Dim(16) * Dim::symbol("H") + Dim(32));
  Buffer strided;
  strided.dims = {3, 4};
  strided.strides = {10, 2};
  EXPECT_EQ(strided.extent(), Dim(27));
  strided.dims = {0, 4};
  EXPECT_EQ(strided.extent(), Dim(0));
}

BufferId add(Program& p, const char* name, Buffer::Storage storage = Buffer::Storage::Arena) {
  Buffer b;
  b.name = name;
  b.dims = {8};
  b.storage = storage;
  return p.add_buffer(b);
}

TEST(Program, ViewsHaveARootAndAnOffset) {
  Program p;
  const BufferId a = add(p, "a"), v = add(p, "v", Buffer::Storage::View), w = add(p, "w", Buffer::Storage::View);
  p.buffers[v].base = a;
  p.buffers[v].offset = 2;
  p.buffers[w].base = v;
  p.buffers[w].offset = 3;
  EXPECT_EQ(storage_root(p, w), a);
  EXPECT_EQ(view_offset_bytes(p, w), Dim(20));
  p.buffers[v].base = w;  // a cycle has no root
  EXPECT_EQ(storage_root(p, w), kNoBuffer);
}

TEST(Effects, OfACall) {
  KernelCall call;
  call.outs = {{1, {}}};
  call.inouts = {{2, {}}};
  call.ins = {{3, {}}, {kNoBuffer, {}}, {3, {}}};
  call.scratch = {4};
  const Effects effects = effects_of({call, {}, {}, {}});
  EXPECT_EQ(effects.reads, (std::vector<BufferId>{3, 2, 4}));
  EXPECT_EQ(effects.writes, (std::vector<BufferId>{2, 1, 4}));
}

TEST(Effects, OfANestAreItsLoadsStoresAndCalls) {
  const Expr i = expr::index(Dim::symbol("i"));
  const Expr shared = expr::load(5, Elem::F32, {expr::load(6, Elem::I64, {i})});
  KernelCall call;
  call.outs = {{8, {i}}};
  call.ins = {{9, {i}}};
  Nest nest{{Stmt{For{{"i", 8},
                      {Stmt{Let{"t", expr::binary(ExprOp::Add, shared, shared)}},
                       Stmt{Reduce{"r", ReduceOp::Add, {{"k", 4}}, 1, false, expr::load(7, Elem::F32, {i})}},
                       Stmt{Store{4, {i}, expr::let("t", Elem::F32), nullptr}}, Stmt{call}}}}}};
  const Effects effects = effects_of({nest, {}, {}, {}});
  EXPECT_EQ(effects.reads, (std::vector<BufferId>{5, 6, 7, 9}));
  EXPECT_EQ(effects.writes, (std::vector<BufferId>{4, 8}));
}

TEST(Effects, OfRegionsAreThoseOfAllTheirOperations) {
  KernelCall call;
  call.outs = {{3, {}}};
  call.ins = {{2, {}}};
  Loop loop;
  loop.inits = {0};
  loop.results = {1};
  loop.body.args = {2};
  loop.body.ops = {{call, {}, {}, {}}};
  loop.body.yields = {3};
  const Effects effects = effects_of({loop, {}, {}, {}});
  EXPECT_EQ(effects.reads, (std::vector<BufferId>{0, 2, 3}));
  EXPECT_EQ(effects.writes, (std::vector<BufferId>{2, 3, 1}));
}

}  // namespace
}  // namespace onnxc
