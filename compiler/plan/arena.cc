// Greedy best fit; after Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference" (2020), in
// several orders. Tested in tests/unit/plan_test.cc.
#include "compiler/plan/arena.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

namespace onnxc {

int64_t align_up(int64_t value, int64_t alignment) { return (value + alignment - 1) / alignment * alignment; }

namespace {

bool overlap(const ArenaBlock& a, const ArenaBlock& b) { return a.first <= b.last && b.first <= a.last; }

// The arena while it fills: blocks placed so far, sorted by offset.
class Filler {
 public:
  explicit Filler(std::span<const ArenaBlock> blocks) : blocks_(blocks) { layout_.offsets.resize(blocks.size(), 0); }

  void place(size_t index) {
    const int64_t offset = best_fit(blocks_[index]);
    layout_.offsets[index] = offset;
    layout_.bytes = std::max(layout_.bytes, align_up(offset + blocks_[index].bytes, kArenaAlignment));
    const auto at = std::upper_bound(placed_.begin(), placed_.end(), offset,
                                     [this](int64_t value, size_t other) { return value < layout_.offsets[other]; });
    placed_.insert(at, index);
  }

  ArenaLayout take() { return std::move(layout_); }

 private:
  // The start of the smallest gap between blocks that live at the same time; the end of them when none is large enough.
  int64_t best_fit(const ArenaBlock& block) const {
    int64_t best = -1, best_gap = std::numeric_limits<int64_t>::max(), end = 0;
    for (size_t other : placed_) {
      if (!overlap(block, blocks_[other])) continue;
      const int64_t start = align_up(end, block.align), gap = layout_.offsets[other] - start;
      if (gap >= block.bytes && gap < best_gap) best = start, best_gap = gap;
      end = std::max(end, layout_.offsets[other] + blocks_[other].bytes);
    }
    return best >= 0 ? best : align_up(end, block.align);
  }

  std::span<const ArenaBlock> blocks_;
  std::vector<size_t> placed_;
  ArenaLayout layout_;
};

using Key = std::function<int64_t(const ArenaBlock&)>;  // larger goes first

int64_t duration(const ArenaBlock& b) { return b.last - b.first + 1; }

ArenaLayout place_in_order(std::span<const ArenaBlock> blocks, const Key& key, const Key& then) {
  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int64_t ka = key(blocks[a]), kb = key(blocks[b]);
    return ka != kb ? ka > kb : then(blocks[a]) > then(blocks[b]);
  });
  Filler filler(blocks);
  for (size_t index : order)
    if (blocks[index].bytes > 0) filler.place(index);
  return filler.take();
}

}  // namespace

int64_t peak_of_live_bytes(std::span<const ArenaBlock> blocks) {
  std::map<int64_t, int64_t> change;  // by position
  for (const ArenaBlock& b : blocks) {
    change[b.first] += align_up(b.bytes, kArenaAlignment);
    change[b.last + 1] -= align_up(b.bytes, kArenaAlignment);
  }
  int64_t live = 0, peak = 0;
  for (const auto& [at, delta] : change) peak = std::max(peak, live += delta);
  return peak;
}

ArenaLayout place_blocks(std::span<const ArenaBlock> blocks) {
  const Key by_size = [](const ArenaBlock& b) { return b.bytes; };
  const Key by_duration = [](const ArenaBlock& b) { return duration(b); };
  const Key by_area = [](const ArenaBlock& b) { return b.bytes / kArenaAlignment * duration(b); };
  const Key by_birth = [](const ArenaBlock& b) { return -b.first; };
  const Key by_death = [](const ArenaBlock& b) { return b.last; };
  const std::pair<Key, Key> orders[] = {
      {by_size, by_duration}, {by_area, by_size}, {by_duration, by_size}, {by_birth, by_size}, {by_death, by_size}};
  const int64_t bound = peak_of_live_bytes(blocks);
  ArenaLayout best;
  for (const auto& [key, then] : orders) {
    ArenaLayout layout = place_in_order(blocks, key, then);
    if (best.offsets.empty() || layout.bytes < best.bytes) best = std::move(layout);
    if (best.bytes <= bound) break;
  }
  return best;
}

ArenaLayout place_apart(std::span<const ArenaBlock> blocks, int64_t guard) {
  ArenaLayout layout;
  layout.offsets.resize(blocks.size());
  int64_t end = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    layout.offsets[i] = align_up(end + guard, std::max(blocks[i].align, kArenaAlignment));
    end = layout.offsets[i] + blocks[i].bytes;
  }
  layout.bytes = blocks.empty() ? 0 : align_up(end + guard, kArenaAlignment);
  return layout;
}

}  // namespace onnxc
