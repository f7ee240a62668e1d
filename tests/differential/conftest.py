"""C++ of models goes through clang here, which takes a third of g++'s time: tests/api and tests/embedded hold g++ to it."""

import os

os.environ.setdefault("CXX", "clang++-19")
