// Plan: a Program in which every buffer has a place, every constant an offset in the weights blob, and the order is
// final. Immutable once made by plan/make_plan.cc. Printed by `--emit=plan` (plan_text.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/ir/program.h"

namespace onnxc {

struct Place {
  enum class Kind : uint8_t {
    None,
    Arena,
    Weights
  };  // None: caller's memory, Dynamic, Handle; views have their base's
  Kind kind = Kind::None;
  size_t stage = 0;  // whose arena, see Plan::stages
  Dim offset;        // of logical element 0, in bytes from the base pointer of the arena or of the weights
  Dim bytes;         // of the whole extent, halo included
  Dim lead;          // bytes of the extent before `offset` (halo): the extent is [offset - lead, offset - lead + bytes)
  // Operations between which the buffer lives, inclusive, numbered in the order of a walk that visits an If or Loop
  // before the operations of its regions, whose ends count, too: without regions, indices into Program::ops.
  int64_t first = 0, last = 0;
};

// A number of bytes that depends on the dims of the run: the largest of `least`, Dims over the symbols of the prologue
// and the names of entries before.
struct RunTimeBytes {
  std::string name;
  std::vector<Dim> least;
};

// An entry of the weights blob. The blob is: header (weights_blob.h), then each constant, page- or 64-byte-aligned.
struct BlobEntry {
  uint32_t constant = 0;  // index into Program::constants
  uint64_t offset = 0;    // from the blob's start
  uint64_t bytes = 0;
  uint64_t hash = 0;  // of the constant and its packing
};

// A stage of the Program, and the arena that is found at its end.
struct PlannedStage {
  Stage operations;
  Dim arena_bytes;
  // What places in the arena, and its size, are made of where dims are known only at run time; computed, in order,
  // after the operations.
  std::vector<RunTimeBytes> run_time_bytes;
};

struct Plan {
  Program program;
  std::vector<Place> places;         // one per buffer
  std::vector<PlannedStage> stages;  // at least one
  std::vector<BlobEntry> blob;
  uint64_t blob_bytes = 0;
  uint64_t weights_hash = 0;
  // Report: bytes that all arena buffers would take without sharing; the most that live at one time, below which no
  // arena of this order can be; bytes of the constants as they came.
  uint64_t unshared_bytes = 0, live_bytes = 0, source_constant_bytes = 0;
  // Code for several threads: they share what has more than one part, thread 0 runs the others, barriers
  // stand where they must meet. Else one thread runs everything, and barriers mean nothing.
  bool threads = false;
  // --debug-plan: no two buffers share a byte. Emitted code fills each extent with 0xFF (NaN in every float type)
  // before operation `first` and after `last`, and checks after each operation that the `guard_bytes` before and after
  // each extent, filled with 0xA5 at the start of the run, are untouched.
  bool debug = false;
  int64_t guard_bytes = 0;
};

// Whether some dims, and so places, are known only in a run.
bool has_layout(const Plan& plan);
// Whether stage 0 is all there is and its arena has fixed places.
bool has_fixed_places(const Plan& plan);
// What the table of the layouts holds (runtime_lib/abi/frame.h): for each stage the bytes of its arena, then the names
// of what stages define, the Scalars of each and its run_time_bytes; `begin`: of stage s, where its names begin.
struct TableNames {
  std::vector<std::string> names;
  std::vector<size_t> begin;
};
TableNames table_names(const Plan& plan);

}  // namespace onnxc
