// The program of all these tests: runs the model `tiny` on a fixed input through its typed header and prints the
// outputs in millionths. Freestanding: `put_text` comes from host.cc or from firmware/startup.cc, memory is static.
#include "tiny.h"

extern "C" void put_text(const char* text);

namespace model = onnxc::models::tiny;

namespace {

alignas(64) unsigned char arena[model::arena_bytes + 1];
model::Session session;
float image[model::input_x::size], probabilities[model::output_probabilities::size];

void put_number(long value) {
  char digits[16];
  int at = 15;
  digits[at] = 0;
  const bool negative = value < 0;
  unsigned long rest = negative ? 0ul - static_cast<unsigned long>(value) : static_cast<unsigned long>(value);
  do digits[--at] = static_cast<char>('0' + rest % 10);
  while (rest /= 10);
  if (negative) digits[--at] = '-';
  put_text(digits + at);
}

}  // namespace

extern "C" int classify() {
  onnxc_message message = {sizeof(onnxc_message), {}};
  for (uint32_t i = 0; i < model::input_x::size; ++i)
    image[i] = static_cast<float>(static_cast<int>(i * 37 % 17) - 8) / 8;
  if (session.create(&message) != ONNXC_OK || session.run(image, probabilities, arena, &message) != ONNXC_OK) {
    put_text(message.text);
    put_text("\n");
    return 1;
  }
  for (float p : probabilities) {
    put_number(static_cast<long>(p * 1e6f + 0.5f));
    put_text("\n");
  }
  return 0;
}
