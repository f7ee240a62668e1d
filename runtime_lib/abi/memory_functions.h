// memcpy, memmove, memset and memcmp as local functions of a model: compilers turn loops and struct copies into calls
// to them, and a model must not need a libc. The assembler names make those calls find these functions, which no other
// object can see. Included once by each emitted translation unit; left out under AddressSanitizer, which has its own.
// Tested in tests/unit/abi_test.cc and tests/embedded/ (no undefined symbols).
#ifndef ONNXC_ABI_MEMORY_FUNCTIONS_H
#define ONNXC_ABI_MEMORY_FUNCTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "sanitizer.h"

#ifndef ONNXC_ADDRESS_SANITIZER
namespace onnxc_memory {

// `name`: what the linker sees.
#ifndef ONNXC_MEMORY_FUNCTION
#define ONNXC_MEMORY_FUNCTION static __attribute__((used))
#endif

// The empty asm keeps compilers from recognising the loops as the very functions that they are.
#define ONNXC_NOT_AN_IDIOM __asm__ volatile("" ::: "memory")

typedef uint64_t Word __attribute__((may_alias, aligned(1)));

ONNXC_MEMORY_FUNCTION void* copy(void* to, const void* from, size_t bytes) __asm__("memcpy");
ONNXC_MEMORY_FUNCTION void* move(void* to, const void* from, size_t bytes) __asm__("memmove");
ONNXC_MEMORY_FUNCTION void* set(void* to, int value, size_t bytes) __asm__("memset");
ONNXC_MEMORY_FUNCTION int compare(const void* a, const void* b, size_t bytes) __asm__("memcmp");

ONNXC_MEMORY_FUNCTION void* copy(void* to, const void* from, size_t bytes) {
  unsigned char* t = static_cast<unsigned char*>(to);
  const unsigned char* f = static_cast<const unsigned char*>(from);
#if defined(__x86_64__)
  if (bytes >= 512) {
    void* destination = to;
    __asm__ volatile("rep movsb" : "+D"(destination), "+S"(from), "+c"(bytes)::"memory");
    return to;
  }
#endif
  for (; bytes >= 8; bytes -= 8, t += 8, f += 8) {
    *reinterpret_cast<Word*>(t) = *reinterpret_cast<const Word*>(f);
    ONNXC_NOT_AN_IDIOM;
  }
  for (; bytes; --bytes) {
    *t++ = *f++;
    ONNXC_NOT_AN_IDIOM;
  }
  return to;
}

ONNXC_MEMORY_FUNCTION void* move(void* to, const void* from, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(to) - reinterpret_cast<uintptr_t>(from) >= bytes) return copy(to, from, bytes);
  unsigned char* t = static_cast<unsigned char*>(to) + bytes;
  const unsigned char* f = static_cast<const unsigned char*>(from) + bytes;
  for (; bytes >= 8; bytes -= 8) {
    t -= 8;
    f -= 8;
    *reinterpret_cast<Word*>(t) = *reinterpret_cast<const Word*>(f);
    ONNXC_NOT_AN_IDIOM;
  }
  for (; bytes; --bytes) {
    *--t = *--f;
    ONNXC_NOT_AN_IDIOM;
  }
  return to;
}

ONNXC_MEMORY_FUNCTION void* set(void* to, int value, size_t bytes) {
  unsigned char* t = static_cast<unsigned char*>(to);
  const unsigned char byte = static_cast<unsigned char>(value);
#if defined(__x86_64__)
  if (bytes >= 512) {
    void* destination = to;
    __asm__ volatile("rep stosb" : "+D"(destination), "+c"(bytes) : "a"(byte) : "memory");
    return to;
  }
#endif
  const uint64_t word = byte * 0x0101010101010101ull;
  for (; bytes >= 8; bytes -= 8, t += 8) {
    *reinterpret_cast<Word*>(t) = word;
    ONNXC_NOT_AN_IDIOM;
  }
  for (; bytes; --bytes) {
    *t++ = byte;
    ONNXC_NOT_AN_IDIOM;
  }
  return to;
}

ONNXC_MEMORY_FUNCTION int compare(const void* a, const void* b, size_t bytes) {
  const unsigned char* x = static_cast<const unsigned char*>(a);
  const unsigned char* y = static_cast<const unsigned char*>(b);
  for (; bytes; --bytes, ++x, ++y) {
    if (*x != *y) return *x < *y ? -1 : 1;
    ONNXC_NOT_AN_IDIOM;
  }
  return 0;
}

}  // namespace onnxc_memory
#endif
#endif
