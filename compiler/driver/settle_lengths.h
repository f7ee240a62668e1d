// Lists of free length that decide a rank: the length is found by trial. Tested in tests/api/test_free_dims.py.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "compiler/import/import.h"
#include "compiler/support/options.h"
#include "compiler/support/result.h"

namespace onnxc {

// A graph through all passes, and the ranks that the file declares for its outputs.
struct LoadedModel {
  ImportedModel model;
  std::vector<std::optional<size_t>> declared_ranks;
};

using Load = std::function<Result<LoadedModel>(const Options& options)>;

struct SettledModel {
  ImportedModel model;
  std::string dim;  // "size_0=4"
};

// Where values of `loaded` have no known rank: the model with a fixed length of one of the lists of integers among its
// inputs, if for one length only (up to kMostRank) all ranks are known and outputs have the declared ones.
std::optional<SettledModel> settle_a_length(const LoadedModel& loaded, const Options& options, const Load& load);

}  // namespace onnxc
