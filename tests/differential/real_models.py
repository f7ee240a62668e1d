#!/usr/bin/env python3
"""Compiles the real models, runs them, and holds them against the float64 truth and ONNX Runtime.

    tests/differential/real_models.py [MODEL ...] [--backends llvm,cpp] [--json FILE] [--runs N] [--rss MODEL]

Correct: max |onnxc - truth| <= 4 x max |ONNX Runtime - truth| + 1e-6 x RMS(truth), for every output. Times: medians of runs
that alternate between onnxc and ONNX Runtime, one thread each."""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from differential import models  # noqa: E402
from differential.truth import errors, truth  # noqa: E402
from support.c_abi import CompiledModel, Value  # noqa: E402
from support.compiler import compile_model, find_onnxc  # noqa: E402

# Outputs that jump: where they do, the value must equal ONNX Runtime's or the truth's; so few may jump.
JUMPS = {("mlsd_tiny_320", "scores"): 1e-3}


def measure(model, backend="llvm", runs=7, arguments=()):
    """A row of the table; "wrong" lists what is not right."""
    row = {"model": model.name, "backend": backend, "wrong": []}
    feeds = model.feeds()
    with tempfile.TemporaryDirectory(prefix="onnxc-real-") as folder:
        artefact = pathlib.Path(folder) / f"{model.name}.so"
        flags = ["-q", *model.shape_arguments(feeds), *(["--backend=cpp"] if backend == "cpp" else []), *arguments]
        outcome = compile_model(model.path(), artefact, flags, timeout=900)
        row["compile_s"] = round(outcome.seconds, 3)
        if not outcome.ok:
            row["wrong"].append(outcome.reason())
            return row
        row["artefact_bytes"] = artefact.stat().st_size
        run_and_judge(model, artefact, feeds, row, runs)
    return row


def run_and_judge(model, artefact, feeds, row, runs):
    session = models.ort_session(model.path())
    names = [o.name for o in session.get_outputs()]
    exact = truth(model.path(), feeds)
    reference = dict(zip(names, session.run(None, feeds)))
    with CompiledModel(artefact) as compiled:
        row["arena_bytes"], row["weights_bytes"] = compiled.info.arena_bytes, compiled.info.weights_bytes
        actual = dict(zip(compiled.output_names(), compiled.run(feeds)))
        judge(model.name, actual, reference, exact, row)
        row.update(interleaved_times(compiled, session, feeds, runs))


def judge(name, actual, reference, exact, row):
    row["outputs"] = {}
    for output, want in exact.items():
        if output not in actual:
            row["wrong"].append(f"{output}: no such output")
            continue
        got, other = np.asarray(actual[output]), np.asarray(reference[output])
        if got.shape != want.shape:
            row["wrong"].append(f"{output}: shape {got.shape} instead of {want.shape}")
            continue
        jumped = 0
        if (name, output) in JUMPS:
            got, other, want, jumped = without_jumps(got, other, want)
            if jumped > JUMPS[name, output] * got.size:
                row["wrong"].append(f"{output}: {jumped} values jump")
        ours, rms = errors(got, want)
        theirs, _ = errors(other, want)
        row["outputs"][output] = {"error": ours, "ort_error": theirs, "rms": rms, "jumped": jumped}
        if want.dtype.kind == "f" and not ours <= 4 * theirs + 1e-6 * rms or want.dtype.kind != "f" and ours != 0:
            row["wrong"].append(f"{output}: error {ours:.3g}, ONNX Runtime's {theirs:.3g}, RMS {rms:.3g}")
    row["error"] = max((o["error"] for o in row["outputs"].values()), default=float("inf"))
    row["ort_error"] = max((o["ort_error"] for o in row["outputs"].values()), default=float("inf"))


def without_jumps(got, other, want):
    """The three with the places left out where one of them is zero and another is not, and how many these are."""
    stays = ((got == 0) == (want == 0)) & ((other == 0) == (want == 0))
    return got[stays], other[stays], want[stays], int((~stays).sum())


def interleaved_times(compiled, session, feeds, runs):
    ins, keep = compiled.prepare_inputs(feeds)
    outs, buffers = compiled.prepare_outputs()
    template = bytes(outs)
    ours, theirs = [], []
    for _ in range(runs):
        outs = (Value * len(compiled.outputs)).from_buffer_copy(template)
        start = time.perf_counter()
        compiled.call(ins, outs)
        middle = time.perf_counter()
        session.run(None, feeds)
        ours.append(middle - start)
        theirs.append(time.perf_counter() - middle)
    del keep, buffers
    return {"run_ms": round(statistics.median(ours) * 1e3, 4), "ort_ms": round(statistics.median(theirs) * 1e3, 4)}


def peak_rss(command, interval=0.01):
    """(exit code, seconds, peak of the summed RSS of the process and all its descendants, in bytes)."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_rss(process.pid))
        time.sleep(interval)
    return process.returncode, time.monotonic() - start, peak


def tree_rss(pid):
    total, stack = 0, [pid]
    while stack:
        p = stack.pop()
        try:
            for line in open(f"/proc/{p}/status"):
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) * 1024
            for task in pathlib.Path(f"/proc/{p}/task").iterdir():
                stack += [int(c) for c in (task / "children").read_text().split()]
        except OSError:
            pass
    return total


def compile_memory(model):
    """Peak RSS of one compile, and how many times the weights that is."""
    weights = model.path().stat().st_size
    with tempfile.TemporaryDirectory(prefix="onnxc-rss-") as folder:
        command = [
            str(find_onnxc()),
            str(model.path()),
            "-o",
            f"{folder}/model.so",
            "-q",
            *model.shape_arguments(model.feeds()),
        ]
        code, seconds, peak = peak_rss(command)
    return {
        "model": model.name,
        "exit": code,
        "compile_s": round(seconds, 2),
        "peak_rss": peak,
        "of_weights": round(peak / weights, 2),
    }


HEADER = f"{'model':26} {'back end':8} {'max error':>10} {'ORT error':>10} {'arena bytes':>12} {'compile s':>10} {'run ms':>9} {'ORT ms':>9}  verdict"


def text_row(row):
    if "error" not in row:
        return f"{row['model']:26} {row['backend']:8} {'':10} {'':10} {'':12} {row['compile_s']:10.2f} {'':9} {'':9}  {row['wrong'][0]}"
    return (
        f"{row['model']:26} {row['backend']:8} {row['error']:10.3g} {row['ort_error']:10.3g} {row['arena_bytes']:12} {row['compile_s']:10.2f} "
        f"{row.get('run_ms', 0):9.2f} {row.get('ort_ms', 0):9.2f}  {'; '.join(row['wrong']) or 'correct'}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--backends", default="llvm")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--rss", metavar="MODEL", help="also the peak memory of compiling this model")
    parser.add_argument("--flags", default="", help="more arguments for onnxc, in one string")
    options = parser.parse_args()
    chosen = [m for m in models.MODELS if not options.models or m.name in options.models]
    rows, memory = [], None
    print(HEADER)
    for model in chosen:
        for backend in options.backends.split(","):
            try:
                rows.append(measure(model, backend, options.runs, options.flags.split()))
            except Exception as e:
                rows.append(
                    {"model": model.name, "backend": backend, "compile_s": 0, "wrong": [f"{type(e).__name__}: {e}"]}
                )
            print(text_row(rows[-1]), flush=True)
    for model in models.MODELS:
        if model.name == options.rss:
            memory = compile_memory(model)
            print(
                f"{model.name}: compiles in {memory['compile_s']} s, peak RSS {memory['peak_rss'] / 1e6:.0f} MB, {memory['of_weights']} x its weights"
            )
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"models": rows, "memory": memory}, indent=1) + "\n")
    wrong = sum(bool(r["wrong"]) for r in rows)
    print(f"{len(rows) - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
