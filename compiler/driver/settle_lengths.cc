#include "compiler/driver/settle_lengths.h"

#include <algorithm>
#include <set>

namespace onnxc {
namespace {

constexpr int64_t kMostRank = 8;  // ONNX Runtime and numpy users hardly go further

bool all_ranks_known(const Graph& graph) {
  for (const auto& node : graph.nodes()) {
    for (const Value* v : node->outputs())
      if (v && v->type.is_tensor() && !v->type.shape) return false;
    for (const Graph* inner : node->subgraphs())
      if (!all_ranks_known(*inner)) return false;
  }
  return true;
}

bool has_declared_ranks(const LoadedModel& loaded) {
  const auto& outputs = loaded.model.graph->outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto& declared = loaded.declared_ranks[i];
    if (declared && outputs[i]->type.shape && outputs[i]->type.shape->size() != *declared) return false;
  }
  return true;
}

// The symbols that are lengths of lists of integers.
std::set<std::string> free_lengths(const Graph& graph) {
  std::set<std::string> symbols;
  for (const Value* input : graph.inputs) {
    const Type& t = input->type;
    if (!t.is_tensor() || !t.shape || t.shape->size() != 1 || (t.elem != Elem::I64 && t.elem != Elem::I32)) continue;
    if (const auto symbol = t.shape->front().as_symbol()) symbols.insert(*symbol);
  }
  return symbols;
}

}  // namespace

std::optional<SettledModel> settle_a_length(const LoadedModel& loaded, const Options& options, const Load& load) {
  if (all_ranks_known(*loaded.model.graph)) return std::nullopt;
  std::optional<SettledModel> found;
  for (const std::string& symbol : free_lengths(*loaded.model.graph))
    for (int64_t length = 0; length <= kMostRank; ++length) {
      Options fixed = options;
      fixed.dims[symbol] = length;
      auto tried = load(fixed);
      if (!tried.ok() || !all_ranks_known(*tried->model.graph) || !has_declared_ranks(*tried)) continue;
      if (found) return std::nullopt;
      found = SettledModel{std::move(tried->model), symbol + "=" + std::to_string(length)};
    }
  return found;
}

}  // namespace onnxc
