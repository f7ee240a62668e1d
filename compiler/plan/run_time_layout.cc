#include "compiler/plan/run_time_layout.h"

#include <algorithm>
#include <numeric>

namespace onnxc {
namespace {

bool is_constant(const BlockSize& size) {
  return std::ranges::all_of(size, [](const Dim& d) { return d.is_const(); });
}

Dim aligned(const Dim& bytes, int64_t alignment) { return Dim::ceil_div(bytes, alignment) * Dim(alignment); }

class Follower {
 public:
  Follower(std::span<const ArenaBlock> blocks, std::span<const BlockSize> sizes, std::string prefix)
      : blocks_(blocks), sizes_(sizes), prefix_(std::move(prefix)) {
    layout_.offsets.resize(blocks.size());
    ends_.resize(blocks.size());
    is_support_.resize(blocks.size());
  }

  RunTimeLayout run(const ArenaLayout& likely) {
    std::vector<size_t> order(blocks_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return likely.offsets[a] < likely.offsets[b]; });
    for (size_t i = 0; i < order.size(); ++i) place({order.data(), i}, order[i]);
    std::vector<Dim> tops;
    for (size_t b : order)
      if (!is_support_[b]) tops.push_back(ends_[b]);
    layout_.bytes = largest(prefix_ + "arena", std::move(tops), kArenaAlignment);
    return std::move(layout_);
  }

 private:
  bool live_together(size_t a, size_t b) const {
    return blocks_[a].first <= blocks_[b].last && blocks_[b].first <= blocks_[a].last;
  }

  // The highest of the blocks below that live at the same time; one that lies below another of them needs no mention.
  void place(std::span<const size_t> below, size_t block) {
    std::vector<size_t> supports;
    for (size_t i = below.size(); i-- > 0;) {
      const size_t other = below[i];
      const auto covers = [&](size_t higher) { return live_together(higher, other); };
      if (live_together(other, block) && std::ranges::none_of(supports, covers)) supports.push_back(other);
    }
    std::vector<Dim> least;
    for (size_t support : supports) {
      is_support_[support] = true;
      least.push_back(ends_[support]);
    }
    const std::string number = std::to_string(block);
    const Dim offset = largest(prefix_ + number, std::move(least), blocks_[block].align);
    std::vector<Dim> ends;
    for (const Dim& size : sizes_[block]) ends.push_back(offset + aligned(size, kArenaAlignment));
    layout_.offsets[block] = offset;
    ends_[block] = largest(prefix_ + number + ".end", std::move(ends), kArenaAlignment);
  }

  // One Dim for the largest of `values`, aligned (which multiples of kArenaAlignment are already): named where it is no
  // constant.
  Dim largest(std::string name, std::vector<Dim> values, int64_t alignment) {
    if (values.empty()) return 0;
    int64_t constant = 0;
    std::vector<Dim> others;
    for (const Dim& value : values) {
      if (value.is_const())
        constant = std::max(constant, value.value());
      else if (std::find(others.begin(), others.end(), value) == others.end())
        others.push_back(value);
    }
    if (others.empty()) return align_up(constant, alignment);
    if (constant > 0) others.emplace_back(constant);
    if (alignment > kArenaAlignment)
      for (Dim& value : others) value = aligned(value, alignment);
    if (others.size() == 1 && others[0].as_symbol()) return others[0];
    layout_.named.push_back({name, std::move(others)});
    return Dim::symbol(std::move(name));
  }

  std::span<const ArenaBlock> blocks_;
  std::span<const BlockSize> sizes_;
  std::string prefix_;
  RunTimeLayout layout_;
  std::vector<Dim> ends_;
  std::vector<bool> is_support_;
};

}  // namespace

RunTimeLayout follow_layout(std::span<const ArenaBlock> blocks, const ArenaLayout& likely,
                            std::span<const BlockSize> sizes, const std::string& prefix) {
  if (!std::ranges::all_of(sizes, is_constant)) return Follower(blocks, sizes, prefix).run(likely);
  RunTimeLayout layout;
  layout.offsets.assign(likely.offsets.begin(), likely.offsets.end());
  layout.bytes = likely.bytes;
  return layout;
}

size_t stage_of_output(const Shape& dims, const StageOfSymbol& known) {
  size_t last = 0;
  for (const Dim& dim : dims) last = std::max(last, stage_of(dim, known));
  return last;
}

}  // namespace onnxc
