#!/usr/bin/env python3
"""Finds vector stack traffic in the hot loops of x86-64 assembly (AT&T, as clang, llc, g++ and `onnxc --emit=asm` print it).

A hot loop is an innermost loop with at least --min-fma fused or plain vector multiplications, or those of pairs of integers,
that are one in 20 of its instructions or more. A register tile that does not fit
shows there as vector loads or stores on the stack and costs half the speed without any other sign.
Prints the hot loops that spill; the exit code is 1 if any has more than one reference in ten multiplications.
Use: tools/check_spills.py file.s [--min-fma 4]
     tools/check_spills.py --kernels    compiles the cases of tests/bench/kernels_bench.cc at v2, v3, v4 and checks them
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LABEL = re.compile(r"^(\.?[A-Za-z_$][\w.$]*):")
JUMP = re.compile(r"^\s+j[a-z]+\s+(\.L[\w.$]+)")
INSTRUCTION = re.compile(r"^\s+[a-z]")
MULTIPLY = re.compile(r"^\s+v?(fn?m(add|sub)\w*p[sd]|mulp[sd]|pmaddwd)\b")
# Spills are at fixed places; an index register means an array, which a kernel may well have.
STACK = re.compile(r"\(%rsp\).*%[xyz]mm|%[xyz]mm.*\(%rsp\)")
FRAME = re.compile(r"\(%rbp\).*%[xyz]mm|%[xyz]mm.*\(%rbp\)")
FRAME_SET = re.compile(r"^\s+movq?\s+%rsp, %rbp")
BROADCAST = re.compile(
    r"^\s+v?(broadcasts[sd]|movs[sd])\b|\{1to\d+\}"
)  # scalars, read from an array that may be on the stack


def innermost_loops(lines):
    """(first, last) line pairs of loops that hold no other loop."""
    at = {}
    loops = []
    for i, line in enumerate(lines):
        if m := LABEL.match(line):
            if not m.group(1).startswith(".L"):
                at = {}  # a new function
            at[m.group(1)] = i
        elif (m := JUMP.match(line)) and m.group(1) in at:
            loops.append((at[m.group(1)], i))
    return [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]


def function_of(lines, i):
    """Name, and whether %rbp is its frame pointer."""
    framed = False
    for j in range(i, -1, -1):
        framed = framed or bool(FRAME_SET.match(lines[j]))
        if (m := LABEL.match(lines[j])) and not m.group(1).startswith(".L"):
            return m.group(1), framed
    return "?", framed


def check(name, text, min_fma):
    """Prints the hot loops of one assembly text; the number of those that spill."""
    lines = text.splitlines()
    spilling = hot = 0
    for first, last in innermost_loops(lines):
        body = lines[first : last + 1]
        fma = sum(1 for l in body if MULTIPLY.match(l))
        if fma < min_fma or fma * 20 < sum(1 for l in body if INSTRUCTION.match(l)):
            continue
        hot += 1
        function, framed = function_of(lines, first)
        on_stack = [l for l in body if STACK.search(l) or (framed and FRAME.search(l))]
        stack = [l.strip() for l in on_stack if not BROADCAST.search(l)]
        if len(stack) * 10 > fma:  # a constant or two of a long loop cost nothing
            spilling += 1
            print(f"{name}:{first + 1}: {function}: {fma} multiplications, {len(stack)} on the stack: {stack[0]}")
    print(f"{name}: {hot} hot loops, {spilling} with vector stack traffic")
    return spilling


def check_kernels(compiler, min_fma):
    spilling = 0
    for level, extra in ((2, []), (3, []), (4, ["-mprefer-vector-width=512"])):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "bench.s"
            flags = [
                "-std=c++20",
                "-O3",
                f"-march=x86-64-v{level}",
                *extra,
                "-ffp-contract=off",
                "-fno-math-errno",
                "-fno-trapping-math",
            ]
            subprocess.run(
                [
                    compiler,
                    *flags,
                    f"-I{ROOT}",
                    f"-I{ROOT}/runtime_lib/include",
                    "-S",
                    str(ROOT / "tests/bench/kernels_bench.cc"),
                    "-o",
                    str(out),
                ],
                check=True,
            )
            spilling += check(f"v{level}", out.read_text(), min_fma)
    return spilling


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--kernels", action="store_true")
    parser.add_argument("--compiler", default="clang++-19")
    parser.add_argument("--min-fma", type=int, default=4)
    args = parser.parse_args()
    spilling = sum(check(f, pathlib.Path(f).read_text(), args.min_fma) for f in args.files)
    if args.kernels:
        spilling += check_kernels(args.compiler, args.min_fma)
    sys.exit(1 if spilling else 0)


main()
