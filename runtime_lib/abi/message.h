// Text of onnxc_message, without libc. Tested in tests/unit/abi_test.cc.
#ifndef ONNXC_ABI_MESSAGE_H
#define ONNXC_ABI_MESSAGE_H

#include <onnxc/onnxc.h>

// Functions that every model has for itself. The bitcode for the LLVM back end defines it otherwise (model_entry.cc).
#ifndef ONNXC_ENTRY
#define ONNXC_ENTRY [[maybe_unused]] static
#endif

namespace onnxc_entry {
namespace {  // no symbol may be shared by units compiled for different levels

// Appends to the message of a caller, who may have given none. Longer texts are cut; the text is always terminated.
class Message {
 public:
  explicit Message(onnxc_message* out) {
    if (!out || out->struct_size <= sizeof(uint32_t)) return;
    text_ = out->text;
    const uint32_t room = out->struct_size - static_cast<uint32_t>(sizeof(uint32_t));
    room_ = room < ONNXC_MESSAGE_BYTES ? room : ONNXC_MESSAGE_BYTES;
    text_[0] = 0;
  }
  Message& operator<<(const char* s) {
    for (; s && *s; ++s) put(*s);
    return *this;
  }
  Message& operator<<(int64_t value) {
    char digits[20];
    int count = 0;
    uint64_t rest = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    do {
      digits[count++] = static_cast<char>('0' + rest % 10);
      rest /= 10;
    } while (rest);
    if (value < 0) put('-');
    while (count) put(digits[--count]);
    return *this;
  }

 private:
  void put(char c) {
    if (used_ + 1 >= room_) return;
    text_[used_++] = c;
    text_[used_] = 0;
  }
  char* text_ = nullptr;
  uint32_t room_ = 0, used_ = 0;
};

// "[2, 3]"
inline Message& put_dims(Message& m, const int64_t* dims, int64_t rank) {
  m << "[";
  for (int64_t i = 0; i < rank; ++i) {
    if (i) m << ", ";
    if (dims[i] < 0)
      m << "?";
    else
      m << dims[i];
  }
  return m << "]";
}

}  // namespace
}  // namespace onnxc_entry

#endif
