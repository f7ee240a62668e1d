// Start of a Cortex-M program under QEMU: vectors, FPU, .data and .bss, text and exit through semihosting (Arm's
// "Semihosting for AArch32 and AArch64", operations 0x04 and 0x20).
#include <stddef.h>
#include <stdint.h>

extern "C" {

extern uint32_t flash_data[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];
int classify();

static int semihost(int operation, const void* argument) {
  register int r0 __asm__("r0") = operation;
  register const void* r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void put_text(const char* text) { semihost(0x04, text); }

static void leave(int code) {
  const struct {
    uint32_t reason;
    int code;
  } arguments = {0x20026, code};  // ADP_Stopped_ApplicationExit
  semihost(0x20, &arguments);
  for (;;) {
  }
}

void reset() {
#ifdef __ARM_FP
  *reinterpret_cast<volatile uint32_t*>(0xE000ED88) |= 0xFu << 20;  // CPACR: CP10 and CP11
  __asm__ volatile("dsb\n isb");
#endif
  const uint32_t* from = flash_data;
  for (uint32_t* to = data_start; to < data_end; ++to, ++from) *to = *from;
  for (uint32_t* to = bss_start; to < bss_end; ++to) *to = 0;
  leave(classify());
}

void fault() {
  put_text("fault\n");
  leave(2);
}

// For the program around the model; the model has its own.
void* memcpy(void* to, const void* from, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) static_cast<volatile char*>(to)[i] = static_cast<const char*>(from)[i];
  return to;
}
void* memset(void* to, int value, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) static_cast<volatile char*>(to)[i] = static_cast<char>(value);
  return to;
}

using Vector = void (*)();
__attribute__((section(".vectors"), used)) const struct {
  const void* stack;
  Vector handlers[6];
} vectors = {stack_top, {reset, fault, fault, fault, fault, fault}};

}  // extern "C"
