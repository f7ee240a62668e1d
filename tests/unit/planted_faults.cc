// planted_faults KIND OUT.so [debug-plan] [sanitize]: writes a model with a fault that no compiler should make, planted
// by hand into its Plan. tests/api/test_planted_faults.py runs it and says what caught it.
//   sound     y = 2 x + (x + 1), through two arena buffers
//   overlap   the same, but both buffers lie in one place while both live
//   overread  y(i) = a(i + 1) for i in 0 .. 63, of a buffer with 64 elements
#include <cstdio>
#include <cstring>
#include <string>

#include "compiler/emit/llvm/emit_llvm.h"
#include "compiler/link/link.h"
#include "compiler/plan/make_plan.h"
#include "compiler/plan/verify_plan.h"

namespace onnxc {
namespace {

constexpr int64_t kCount = 64;

BufferId add(Program& p, const char* name, Buffer::Storage storage) {
  Buffer b;
  b.name = name;
  b.dims = {Dim(kCount)};
  b.storage = storage;
  b.index = storage == Buffer::Storage::Arena ? -1 : 0;
  return p.add_buffer(b);
}

// to(i) = value(i) over all i.
void emit(Program& p, BufferId to, const std::function<Expr(Dim)>& value) {
  const std::string i = "i" + std::to_string(p.ops.size());
  const Dim at = Dim::symbol(i);
  Block inner, outer;
  inner.push_back(Stmt{Store{to, {expr::index(at)}, value(at), nullptr}});
  outer.push_back(Stmt{For{{i, Dim(kCount)}, std::move(inner)}});
  Operation op;
  op.node = Nest{std::move(outer)};
  op.origins = {p.buffers[to].name};
  p.ops.push_back(std::move(op));
}

Program make_program(bool overread) {
  using expr::operator+;
  using expr::operator*;
  Program p;
  p.name = "planted";
  const BufferId x = add(p, "x", Buffer::Storage::Input), y = add(p, "y", Buffer::Storage::Output);
  const BufferId a = add(p, "a", Buffer::Storage::Arena), b = add(p, "b", Buffer::Storage::Arena);
  p.inputs.push_back({"x", Elem::F32, {""}, {Dim(kCount)}, x});
  p.outputs.push_back({"y", Elem::F32, {""}, {Dim(kCount)}, y});
  auto at = [](BufferId buffer, Dim i) { return expr::load(buffer, Elem::F32, {expr::index(i)}); };
  auto num = [](double v) { return expr::constant(Elem::F32, v); };
  emit(p, a, [&](Dim i) { return at(x, i) * num(2); });
  emit(p, b, [&](Dim i) { return at(x, i) + num(1); });
  emit(p, y, [&](Dim i) { return overread ? at(a, i + Dim(1)) + at(b, i) : at(a, i) + at(b, i); });
  return p;
}

Status write(const std::string& kind, const std::string& path, const Options& options) {
  ONNXC_ASSIGN(Plan plan, make_plan(make_program(kind == "overread"), options));
  if (kind == "overlap") {
    plan.places[3].offset = plan.places[2].offset;
    const Status verdict = verify_plan(plan);
    std::printf("verify_plan: %s\n", verdict.ok() ? "sound" : verdict.error().str().c_str());
  }
  ONNXC_ASSIGN(const Target target, Target::from_options(options));
  ModelIdentity identity;
  identity.name = "planted";
  identity.sha256.assign(32, 0);
  ONNXC_ASSIGN(const std::string object, emit_llvm(plan, identity, target, options, LlvmOutput::Object));
  return link_shared(object, plan, identity, options, path);
}

}  // namespace
}  // namespace onnxc

int main(int argc, char** argv) {
  if (argc < 3) return std::fputs("planted_faults sound|overlap|overread OUT.so [debug-plan] [sanitize]\n", stderr), 2;
  onnxc::Options options;
  options.output = argv[2];
  for (int i = 3; i < argc; ++i) {
    options.debug_plan |= std::strcmp(argv[i], "debug-plan") == 0;
    options.sanitize_address |= std::strcmp(argv[i], "sanitize") == 0;
  }
  const onnxc::Status status = onnxc::write(argv[1], argv[2], options);
  if (!status.ok()) std::fputs(status.error().str().c_str(), stderr);
  return status.ok() ? 0 : 1;
}
