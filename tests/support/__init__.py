"""Helpers that the Python harnesses share: element types, a loader over the C ABI, running the compiler, workers."""
