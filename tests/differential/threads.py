#!/usr/bin/env python3
"""Runs on 1, 2, 3 and 4 threads against code without threads: every output must have the same bits. Random single operators
(random_rows.py) with everything shared that can be, and real models as they are compiled by default and with everything shared.

    tests/differential/threads.py [--count N] [--seed S] [-k PATTERN] [--real] [--runs N]"""

import argparse
import pathlib
import re
import sys
import tempfile

import onnxc

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from differential import models  # noqa: E402
from differential.random_ops import make_case  # noqa: E402
from differential.random_rows import ROWS  # noqa: E402
from support.compiler import BatchCompiler  # noqa: E402

ALL_SHARED = "--thread-grain=0"


def session(path, threads):
    options = onnxc.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxc.InferenceSession(str(path), options)


def differences(compiler, source, folder, feeds, flags, variants, runs):
    """What is wrong, as lines; None when the model is not supported."""
    one = folder / "one.so"
    outcome = compiler.compile(source, one, ["-q", "--single-thread", *flags], timeout=900)
    if not outcome.ok:
        return None if outcome.code == 4 else [outcome.reason()]
    expected = [a.tobytes() for a in session(one, 1).run(None, feeds)]
    wrong = []
    for variant in variants:
        path = folder / "several.so"
        outcome = compiler.compile(source, path, ["-q", *variant, *flags], timeout=900)
        if not outcome.ok:
            return [outcome.reason()]
        for threads in (1, 2, 3, 4):
            several = session(path, threads)
            for _ in range(runs):
                if [a.tobytes() for a in several.run(None, feeds)] != expected:
                    wrong.append(f"{threads} threads {' '.join(variant)}: other bits")
                    break
        path.unlink()
    return wrong


def cases(options):
    """(name, path of the model, feeds, flags, ways to compile it)"""
    if options.real:
        for model in models.MODELS:
            if re.search(options.k, model.name) and model.path().exists():
                feeds = model.feeds()
                yield model.name, model.path(), feeds, model.shape_arguments(feeds), [[], [ALL_SHARED]]
        return
    for op in ROWS:
        for number in range(options.count if re.search(options.k, op) else 0):
            try:
                _, model, feeds = make_case(op, options.seed, number)
            except Exception:  # onnx's own inference gives up
                continue
            yield f"{op}:{options.seed}:{number}", model, feeds, [], [[ALL_SHARED]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2, help="models per operator")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-k", default="", metavar="PATTERN")
    parser.add_argument("--real", action="store_true", help="the real models instead")
    parser.add_argument("--runs", type=int, default=5, help="per number of threads")
    options = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="onnxc-threads-") as folder:
        folder = pathlib.Path(folder)
        compiler = BatchCompiler()
        for name, source, feeds, flags, variants in cases(options):
            if not isinstance(source, pathlib.Path):
                (folder / "model.onnx").write_bytes(source.SerializeToString())
                source = folder / "model.onnx"
            wrong = differences(compiler, source, folder, feeds, flags, variants, options.runs)
            passed += wrong == []
            failed += bool(wrong)
            for line in wrong or []:
                print(f"{name}: {line}", flush=True)
        compiler.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
