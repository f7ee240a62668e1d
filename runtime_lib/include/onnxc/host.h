/* libonnxc_rt: a ready-made host table for programs that have a heap and threads. It is part of the Python module and
 * optional in C and C++: a program may fill an onnxc_host by itself, or pass none. Tested in tests/unit/host_test.cc
 * and tests/api/. */
#ifndef ONNXC_HOST_H
#define ONNXC_HOST_H

#include <onnxc/onnxc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fills `host` (whose struct_size the caller has set) with the process's heap and its thread pool. max_threads <= 0:
 * one per CPU that this process may use. There is one pool per process; its threads are started when first needed, are
 * shared by all sessions, and are started anew in a forked child. `host` holds no resource and needs no clean-up. */
void onnxc_host_init(onnxc_host* host, int32_t max_threads);

/* CPUs that this process may use: its affinity mask, at least 1. */
int32_t onnxc_host_cpus(void);

#ifdef __cplusplus
}
#endif
#endif
