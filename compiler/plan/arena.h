// Places blocks of memory with known lifetimes in one arena, as low as they fit. Knows nothing of Programs.
// Tested in tests/unit/plan_test.cc, with random lifetimes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace onnxc {

inline constexpr int64_t kArenaAlignment = 64;

struct ArenaBlock {
  int64_t bytes = 0;
  int64_t align = kArenaAlignment;  // a power of two
  int64_t first = 0, last = 0;      // inclusive; blocks whose ranges overlap get disjoint places
};

struct ArenaLayout {
  std::vector<int64_t> offsets;  // one per block
  int64_t bytes = 0;             // a multiple of kArenaAlignment
};

int64_t align_up(int64_t value, int64_t alignment);

// Greedy best fit: block by block into the smallest gap that holds it. Several orders are tried (by size, by lifetime,
// ...), and the smallest layout is kept. Deterministic.
ArenaLayout place_blocks(std::span<const ArenaBlock> blocks);

// Each block has its own place with `guard` bytes or more before and after it.
ArenaLayout place_apart(std::span<const ArenaBlock> blocks, int64_t guard);

// What no layout can undercut: the most bytes that live at one time.
int64_t peak_of_live_bytes(std::span<const ArenaBlock> blocks);

}  // namespace onnxc
