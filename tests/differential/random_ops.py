#!/usr/bin/env python3
"""Single-operator models with random shapes and values (random_rows.py and its like), compiled, run, and held against ONNX Runtime, or
onnx's reference evaluator where ONNX Runtime has no kernel.

    tests/differential/random_ops.py [--count N] [--seed S] [-k PATTERN] [--flags '--debug-plan'] [-v]

A model that onnxc does not support is reported and is no failure; a wrong value, a crash or a wrong refusal is. A failing
case is named OP:SEED:NUMBER and can be run alone: -k OP --seed SEED --only NUMBER --keep DIR."""

import argparse
import collections
import pathlib
import re
import subprocess
import sys
import tempfile
import warnings
import zlib

import numpy as np
import onnx
import onnx.reference
from onnx import helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from conformance.compare import Mismatch, compare  # noqa: E402
from differential import contrib_rows, quantized_rows, selection_rows  # noqa: E402, F401 (rows of the table)
from differential.random_rows import ROWS  # noqa: E402
from support import elements  # noqa: E402
from support.c_abi import CompiledModel  # noqa: E402
from support.compiler import BatchCompiler, find_onnxc  # noqa: E402
from support.workers import run_jobs  # noqa: E402

OPSET = 21
VERSIONS = {"com.microsoft": 1, "ai.onnx.ml": 4}
ULPS = {"rounding": 16, "accumulating": 160}  # units in the last place: of each element; of the largest one, or of 1


def accuracies():
    """Operator -> exact, rounding or accumulating, as its declaration says (compiler/ops/op.h)."""
    text = subprocess.run([str(find_onnxc()), "--help-ops"], check=True, capture_output=True, text=True).stdout
    return dict(re.findall(r"^  ([\w.:]+) +(exact|rounding|accumulating) ", text, re.M))


def tolerances(accuracy, expected):
    """(rtol, atol) for `compare`."""
    if accuracy == "step":  # of a quantised value; in floats as below
        accuracy = "accumulating"
        if expected.dtype.kind != "f":
            return 0, 1
    if accuracy == "exact" or expected.dtype.kind != "f":
        return 0, 0
    ulp = ULPS[accuracy] * float(np.finfo(expected.dtype).eps)
    if accuracy == "rounding":
        return ulp, float(np.finfo(expected.dtype).tiny)
    top = float(np.abs(expected[np.isfinite(expected)]).max(initial=0))
    return 0, ulp * max(1, min(top, float(np.finfo(expected.dtype).max) * 1e-5))


def make_case(op, seed, number):
    """(Single, model, feeds); the same for the same three arguments."""
    single = ROWS[op](np.random.default_rng([zlib.crc32(op.encode()), seed, number]))
    model, feeds = model_of(single, OPSET)
    if single.domain:
        declare_outputs(model, run_onnxruntime(model, feeds))
        return single, model, feeds
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=False, data_prop=True)
    if not all(
        out.type.tensor_type.elem_type for out in inferred.graph.output
    ):  # onnx's inference gives up: ask its evaluator
        declare_outputs(inferred, onnx.reference.ReferenceEvaluator(model).run(None, feeds))
    return single, inferred, feeds


def model_of(single, opset):
    """(model, feeds); the outputs have names only."""
    names, feeds, initializers, inputs = [], {}, [], []
    for k, array in enumerate(single.inputs):
        name = f"x{k}" if array is not None else ""
        names.append(name)
        if array is None:
            continue
        array = np.asarray(array)
        if k in single.constant:
            initializers.append(numpy_helper.from_array(array, name))
        else:
            feeds[name] = array
            inputs.append(helper.make_tensor_value_info(name, elements.elem_of(array), array.shape))
    outputs = [f"y{k}" for k in range(single.outputs)]
    node = helper.make_node(single.op, names, outputs, name="node", domain=single.domain, **single.attributes)
    graph = helper.make_graph([node], "random", inputs, [onnx.ValueInfoProto(name=o) for o in outputs], initializers)
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, VERSIONS[d]) for d in {single.domain} - {""}]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), feeds


def declare_outputs(model, values):
    for out, value in zip(model.graph.output, values):
        out.CopyFrom(helper.make_tensor_value_info(out.name, elements.elem_of(value), value.shape))


def run_onnxruntime(model, feeds):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def expected_outputs(model, feeds, accuracy):
    if accuracy == "rounding" and all(x.dtype == np.float32 for x in feeds.values()):
        # ONNX Runtime's own functions are not that exact.
        return [y.astype(np.float32) for y in evaluate(model, {k: x.astype(np.float64) for k, x in feeds.items()})]
    try:
        return run_onnxruntime(model, feeds)
    except Exception:
        return evaluate(model, feeds)


def evaluate(model, feeds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return onnx.reference.ReferenceEvaluator(model).run(None, feeds)


class Worker:
    def __init__(self, folder, flags):
        self.folder, self.flags, self.compiler = pathlib.Path(folder), flags, None
        self.accuracies = accuracies()

    def __call__(self, job):
        op, seed, number = job
        self.compiler = self.compiler or BatchCompiler()
        try:
            single, model, feeds = make_case(op, seed, number)
            # An operator without a declaration is a function of ONNX: as its parts, which may hold sums.
            accuracy = self.accuracies.get(single.op, "accumulating")
            if single.domain:  # ONNX Runtime's functions and roundings
                exact = self.accuracies.get(f"{single.domain}::{single.op}") == "exact"
                accuracy = "exact" if exact else "step" if op in contrib_rows.STEPS else "accumulating"
            expected = expected_outputs(model, feeds, accuracy)
        except Exception as e:
            return "no case", f"{type(e).__name__}: {e}".splitlines()[0][:200]
        source = self.folder / f"{op}-{seed}-{number}.onnx"
        source.write_bytes(model.SerializeToString())
        outcome = self.compiler.compile(source, source.with_suffix(".so"), ["-q", *self.flags])
        if not outcome.ok:
            return ("unsupported" if outcome.code == 4 else "failed"), outcome.reason()
        try:
            with CompiledModel(source.with_suffix(".so"), host=True) as compiled:
                actual = compiled.run(feeds)
            for k, (a, e) in enumerate(zip(actual, expected)):
                e = np.asarray(e)
                rtol, atol = tolerances(accuracy, e)
                compare(a, e, rtol, atol, where=f"y{k}")
        except Mismatch as e:
            return "failed", f"{e} {describe(single)}"
        except Exception as e:
            return "failed", f"{type(e).__name__}: {e} {describe(single)}"
        return "passed", ""


def describe(single):
    shapes = [
        None if a is None else f"{np.asarray(a).dtype}{list(np.shape(a))}{'c' if k in single.constant else ''}"
        for k, a in enumerate(single.inputs)
    ]
    return f"{shapes} {single.attributes}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=4, help="models per operator")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="just this number")
    parser.add_argument("-k", default="", metavar="PATTERN")
    parser.add_argument("--flags", default="")
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("-j", type=int, default=2)
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    numbers = range(options.count) if options.only is None else [options.only]
    jobs = [(op, options.seed, n) for op in ROWS if re.search(options.k, op) for n in numbers]
    return run(jobs, options)


def run(jobs, options):
    tally, unsupported = collections.Counter(), collections.Counter()

    def on_result(job, result):
        kind, text = result
        tally[kind] += 1
        if kind == "failed" or (options.v and kind != "passed"):
            print(f"{kind.upper()} {job[0]}:{job[1]}:{job[2]}: {text}", flush=True)
        if kind == "unsupported":
            unsupported[job[0]] += 1

    with tempfile.TemporaryDirectory(prefix="onnxc-random-") as scratch:
        folder = options.keep or scratch
        pathlib.Path(folder).mkdir(exist_ok=True, parents=True)
        run_jobs(
            jobs,
            Worker(folder, options.flags.split()),
            on_result,
            options.j,
            60,
            lambda job, text: ("failed", text.splitlines()[0]),
        )
    if unsupported:
        print("not supported:", ", ".join(f"{op} ({n})" for op, n in sorted(unsupported.items())))
    print(f"{tally['unsupported']} unsupported, {tally['no case']} without a reference")
    print(f"{tally['passed']} passed, {tally['failed']} failed")
    return 1 if tally["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
