// The ordered table of all passes, and how they are run. Tested in tests/unit/pipeline_test.cc and tests/lit/passes/.
#include <chrono>
#include <cstdio>

#include "compiler/ir/graph_text.h"
#include "compiler/ir/verify_graph.h"
#include "compiler/ops/gradient.h"
#include "compiler/ops/op.h"
#include "compiler/passes/passes.h"
#include "compiler/passes/rewrite.h"

namespace onnxc {
namespace {

// Patterns come before what would hide them: `decompose` and `fuse_activations` wait until all others have nothing left
// to do.
constexpr Pass kPasses[] = {
    {"infer_shapes", "infer types and shapes; integer values that are known become constants", infer_shapes},
    {"widen_halves", "compute float16 and bfloat16 in float32 between the model's casts", widen_halves},
    {"fold_constants", "compute what depends on constants only", fold_constants},
    {"inline_branches", "replace an If whose condition is known by its branch", inline_branches},
    {"simplify_algebra", "x + 0, x * 1, Cast to the same type and the like, where exact", simplify_algebra},
    {"cleanup_reshapes", "one Reshape for chains of views; drop what gives back its input", cleanup_reshapes},
    {"sink_reshapes", "views without dims of 1 go behind the element-wise operators after a Conv", sink_reshapes},
    {"cleanup_transposes", "join, cancel and sink transpositions", cleanup_transposes},
    {"eliminate_common_subexpressions", "compute equal things once", eliminate_common_subexpressions},
    {"eliminate_dead_code", "remove what nobody uses", eliminate_dead_code},
    {"fuse_conv_batchnorm", "BatchNormalization and per-channel scales become part of the weights",
     fuse_conv_batchnorm},
    {"fuse_pad_conv", "zeros that a Pad puts around an image become padding of the Conv", fuse_pad_conv},
    {"recognise_layer_norm", "the operators of a layer normalisation become one", recognise_layer_norm},
    {"recognise_gelu", "the operators of a Gelu become one", recognise_gelu},
    {"recognise_attention", "scaled dot products with softmax become Attention", recognise_attention, true},
    {"recognise_hard_swish", "the operators of a HardSwish become one", recognise_hard_swish},
    {"recognise_channel_shuffle", "Reshape, Transpose, Reshape of channels in groups become ChannelShuffle",
     recognise_channel_shuffle},
    {"recognise_one_hot_product", "one-hot rows times constant rows become a Gather of the rows",
     recognise_one_hot_product},
    {"decompose", "replace operators without a kernel by simpler ones", decompose, true},
    {"fuse_matmul_bias", "bias and residual sum become inputs of the MatMul before", fuse_matmul_bias, true},
    {"fuse_activations", "activations and residual sums become part of the Conv, Gemm or MatMul before",
     fuse_activations, true},
};

constexpr int kMostRounds = 20;

Status check_names(const Options& options) {
  std::vector<std::string> names = options.disabled_passes;
  for (const std::string& n : options.dump_after) {
    if (n != "all") names.push_back(n);
  }
  for (const std::string& n : names) {
    if (find_pass(n)) continue;
    return Error(ErrorKind::Usage, "there is no pass \"" + n + "\"", {}, "onnxc --help-passes lists the passes.");
  }
  return ok();
}

class Runner {
 public:
  Runner(Graph& graph, PassContext& context) : graph_(graph), context_(context), seconds_(std::size(kPasses), 0.0) {}

  Status fixpoint() {
    for (int round = 0; round < kMostRounds; ++round) {
      bool changed = false;
      for (size_t i = 0; i < std::size(kPasses); ++i) {
        const Options& o = context_.options;
        if (o.pass_disabled(kPasses[i].name) || (kPasses[i].settled && changed)) continue;
        if (o.opt_bisect >= 0 && applications_ >= o.opt_bisect) return finish();
        ++applications_;
        ONNXC_TRY(apply(i, changed));
      }
      if (!changed) break;
    }
    return finish();
  }

  void print_times() const {
    double total = 0;
    for (double s : seconds_) total += s;
    std::fprintf(stderr, "passes: %.3f s in all, %d applications\n", total, applications_);
    for (size_t i = 0; i < std::size(kPasses); ++i)
      std::fprintf(stderr, "  %-34s %8.3f s\n", kPasses[i].name, seconds_[i]);
  }

 private:
  // What lowering relies on holds even when the passes that do it are disabled: all types are known, and
  // operators without a way down of their own are expanded.
  Status finish() {
    ONNXC_TRY(infer_graph(graph_));
    ONNXC_ASSIGN(const bool changed, decompose(graph_, context_));
    if (changed) ONNXC_TRY(infer_graph(graph_));
    return graph_.sort();
  }

  Status apply(size_t i, bool& any) {
    const Pass& pass = kPasses[i];
    const auto start = std::chrono::steady_clock::now();
    ONNXC_ASSIGN(const bool changed, pass.run(graph_, context_));
    if (changed) ONNXC_TRY(graph_.sort());
    seconds_[i] += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    any |= changed;
    if (context_.options.verify_each) {
      if (Status s = verify_graph(graph_); !s.ok())
        return std::move(s).error().at(std::string("after pass ") + pass.name);
    }
    if (changed) dump(pass.name);
    return ok();
  }

  void dump(const std::string& name) const {
    bool wanted = false;
    for (const std::string& d : context_.options.dump_after) wanted = wanted || d == name || d == "all";
    if (!wanted) return;
    std::fprintf(stderr, "// after %s (application %d)\n%s", name.c_str(), applications_, print_graph(graph_).c_str());
  }

  Graph& graph_;
  PassContext& context_;
  std::vector<double> seconds_;  // per row of the table
  int applications_ = 0;
};

// Outputs of inner graphs are values of these graphs (an invariant that files need not keep).
void own_outputs(Graph& graph) {
  each_graph(graph, [](Graph& g) {
    for (Value*& out : g.outputs) {
      if (out->graph == &g) continue;
      Node* identity = g.add_node("Identity", {out});
      identity->output()->type = out->type;
      out = identity->output();
    }
    return false;
  });
}

}  // namespace

std::span<const Pass> pass_pipeline() { return kPasses; }

const Pass* find_pass(std::string_view name) {
  for (const Pass& p : kPasses) {
    if (p.name == name) return &p;
  }
  return nullptr;
}

Status run_passes(Graph& graph, PassContext& context) {
  ONNXC_TRY(check_names(context.options));
  own_outputs(graph);
  ONNXC_TRY(expand_gradients(graph));
  Runner runner(graph, context);
  ONNXC_TRY(runner.fixpoint());
  if (context.options.time_passes) runner.print_times();
  return ok();
}

}  // namespace onnxc
