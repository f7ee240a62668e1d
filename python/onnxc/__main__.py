"""`onnxc` and `python -m onnxc`: become the package's own compiler."""

import os
import sys

from onnxc.compiler import compiler_path


def main() -> int:
    compiler = compiler_path()
    os.execv(compiler, ["onnxc", *sys.argv[1:]])
    return 0  # never reached: execv does not return


if __name__ == "__main__":
    sys.exit(main())
