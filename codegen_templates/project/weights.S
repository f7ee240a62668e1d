/* The weights of {{{name}}}, as they are. ONNXC_WEIGHTS_FILE: {{{name}}}.weights.bin with its folder, in quotes. */
  .section .rodata.{{{name}}}_weights,"a"
  .globl {{{name}}}_weights
  .hidden {{{name}}}_weights
  .balign {{{weights_align}}}
{{{name}}}_weights:
  .incbin ONNXC_WEIGHTS_FILE
#ifdef __ELF__
  .section .note.GNU-stack,"",%progbits
#endif
