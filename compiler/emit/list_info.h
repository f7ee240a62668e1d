// What both back ends write of an input or output that is a sequence or an optional: the fields of its
// onnxc_value_info. Outputs may hold elements of any rank.
#pragma once

#include <onnxc/onnxc.h>

#include <vector>

#include "compiler/ir/program.h"

namespace onnxc {

struct ListInfo {
  uint32_t kind = ONNXC_SEQUENCE, flags = 0;
  int32_t rank = -1;
  std::vector<int64_t> dims;
};

inline ListInfo list_info_of(const HeldValues& held, bool is_input) {
  ListInfo info;
  if (held.optional) info.kind = ONNXC_OPTIONAL;
  if (held.optional && held.sequence) info.flags = ONNXC_OF_SEQUENCE;
  if (!is_input || !held.dims) return info;
  info.rank = static_cast<int32_t>(held.dims->size());
  for (const Dim& dim : *held.dims) info.dims.push_back(dim.constant().value_or(-1));
  return info;
}

}  // namespace onnxc
