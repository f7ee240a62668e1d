#!/usr/bin/env python3
"""Runs tests through a compiler that is itself built with the address and undefined-behaviour sanitizers.

tools/check_sanitizers.py          a tenth of the conformance cases, chosen by hash, and all of the rest
tools/check_sanitizers.py --all    every case
tools/check_sanitizers.py --build  builds build/sanitize and ends

The compiler is built in build/sanitize by clang (about three minutes on two cores when nothing is there), with the onnx library
of build/ as it is. Three suites run through it: conformance in the forms `static` (the whole way to a library), `constant`
(folding, in process) and `sources` (the C++ back end), the lit tests, and the bad and damaged models of tests/api. A case in
which a sanitizer reports is a failed case, whatever the list of expected failures says. The last line is "N passed, N failed".
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SANITIZED = BUILD / "sanitize"
# NDEBUG stays, since some of LLVM's classes have another shape without it than inside libLLVM.
CONFIGURATION = {
    "CMAKE_C_COMPILER": "clang-19",
    "CMAKE_CXX_COMPILER": "clang++-19",
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_CXX_FLAGS_RELEASE": "-O0 -DNDEBUG",
    "ONNXC_SANITIZE": "address,undefined",
    "ONNXC_ONNX_BUILD": BUILD,
    "ONNXC_PYTHON_PACKAGE": "OFF",
    "ONNXC_TESTS": "OFF",
}
CONFORMANCE = "tests/conformance/run.py"
MODELS = ["tests/api/test_bad_input.py", "tests/api/test_damaged_models.py"]


def build() -> bool:
    """Whether build/sanitize/bin/onnxc and onnxc-opt are there and new."""
    options = [f"-D{name}={value}" for name, value in CONFIGURATION.items()]
    configured = subprocess.run(
        ["cmake", "-S", str(ROOT), "-B", str(SANITIZED), "-G", "Ninja", *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if configured.returncode != 0:
        print(configured.stdout)
        return False
    print(f"building into {SANITIZED.relative_to(ROOT)} on {os.cpu_count()} cores", flush=True)
    environment = {**os.environ, "NINJA_STATUS": "[%f/%t %es] "}
    command = ["ninja", "-C", str(SANITIZED), "-j", str(os.cpu_count()), "onnxc", "onnxc-opt"]
    return subprocess.run(command, env=environment, check=False).returncode == 0


def environment() -> dict[str, str]:
    """With every harness's way of naming another compiler."""
    return {
        **os.environ,
        "ONNXC": str(SANITIZED / "bin/onnxc"),
        "ONNXC_BUILD": str(SANITIZED),
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def conformance(everything: bool) -> tuple[int, int]:
    """(passed, failed)"""
    command = [sys.executable, str(ROOT / CONFORMANCE), "--forms", "static,constant,sources"]
    command += ["--all" if everything else "--tenth"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        line = ""
        for line in process.stdout:
            print(line, end="", flush=True)
    match = re.match(r"(\d+) passed, (\d+) failed$", line)
    return (int(match[1]), int(match[2])) if match else (0, 1)


def by_junit(command: list[str], option: str) -> tuple[int, int]:
    """(passed, failed) of a command that writes a JUnit file to what `option` names."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        status = subprocess.run([*command, f"{option}={report.name}"], env=environment(), check=False).returncode
        text = pathlib.Path(report.name).read_text()
    if not text:
        return 0, 1
    cases = list(xml.etree.ElementTree.fromstring(text).iter("testcase"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    if status != 0 and failed == 0:
        failed = 1
    skipped = sum(case.find("skipped") is not None for case in cases)
    return len(cases) - skipped - failed, failed


def lit() -> tuple[int, int]:
    program = pathlib.Path(sys.executable).with_name("lit")
    return by_junit([str(program), "-q", str(ROOT / "tests/lit")], "--xunit-xml-output")


def models() -> tuple[int, int]:
    options = ["-q", "--color=no", "--tb=short", "-p", "no:cacheprovider"]
    return by_junit([sys.executable, "-m", "pytest", *options, *(str(ROOT / file) for file in MODELS)], "--junitxml")


def main() -> int:
    parser = argparse.ArgumentParser(description="Run tests through a sanitized compiler; the last line counts them.")
    parser.add_argument("--all", action="store_true", help="every conformance case, not a tenth")
    parser.add_argument("--build", action="store_true", help="only build")
    arguments = parser.parse_args()
    if not build():
        print("0 passed, 1 failed")
        return 1
    if arguments.build:
        return 0
    counts = {"lit": lit(), "bad and damaged models": models(), "conformance": conformance(arguments.all)}
    for name, (passed, failed) in counts.items():
        print(f"{name}: {passed} passed, {failed} failed")
    passed, failed = (sum(column) for column in zip(*counts.values(), strict=True))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
