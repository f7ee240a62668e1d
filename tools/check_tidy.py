#!/usr/bin/env python3
"""clang-tidy over the compiler, the hosted part of runtime_lib/ and the Python module, by the checks of .clang-tidy.

tools/check_tidy.py            a tenth of the files, chosen by hash
tools/check_tidy.py --all      all of them (about ten minutes on two cores)
tools/check_tidy.py FILE...    these

How a file is compiled is read from build/compile_commands.json, so configure and build first: generated headers must be there.
A header is checked with the files that include it. Every file counts; the last line is "N passed, N failed".
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
CHECKED = ("compiler/", "runtime_lib/", "python/src/")


def compiled_files() -> list[str]:
    """Relative names of the sources that CMake compiles and that are ours to check."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    names = {os.path.relpath(command["file"], ROOT) for command in commands}
    return sorted(name for name in names if name.startswith(CHECKED))


def in_the_tenth(name: str) -> bool:
    return zlib.crc32(name.encode()) % 10 == 0


def check(name: str) -> str:
    """What clang-tidy has to say; empty when that is nothing."""
    command = ["clang-tidy-19", "-p", str(BUILD), "--quiet", str(ROOT / name)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return done.stdout or done.stderr or f"clang-tidy ended with status {done.returncode}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Run clang-tidy; the last line counts files.")
    parser.add_argument("--all", action="store_true", help="every file, not a tenth")
    parser.add_argument("-j", type=int, default=os.cpu_count(), help="how many at a time")
    parser.add_argument("files", nargs="*", help="these files only")
    arguments = parser.parse_args()
    names = [os.path.relpath(file, ROOT) for file in arguments.files]
    names = names or [name for name in compiled_files() if arguments.all or in_the_tenth(name)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.j) as pool:
        for name, problems in zip(names, pool.map(check, names), strict=True):
            failed += bool(problems)
            print(f"{'FAILED' if problems else 'ok'}: {name}", flush=True)
            for line in problems.splitlines():
                print("    " + line.replace(f"{ROOT}/", ""))
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
