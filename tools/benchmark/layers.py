"""--layers: where the time of one model goes, operation by operation, by the C ABI's `profile` and the compiler's --report."""

import ctypes
import pathlib
import time

import numpy as np
from support.c_abi import CompiledModel, make_host

from benchmark import artefacts, measure, model_set

CLOCK = pathlib.Path(__file__).resolve().parents[2] / "build/bin/profile_clock.so"


class ProfileClock(ctypes.Structure):  # of tests/bench/profile_clock.cc
    _fields_ = [("nanoseconds", ctypes.c_void_p), ("started", ctypes.c_int64)]


def run(model: model_set.Model, runs: int) -> dict:
    """{"seconds": best of whole runs without profile, "operations": rows of the report with "seconds", their best}."""
    path, feed = model.provide(), model.feeds()
    artefact = artefacts.library(model.name, path, model_set.shape_arguments(path, feed))
    rows = [dict(row) for row in artefact.report["operations"]]
    times, clock, host = np.zeros((runs, max(len(rows), 1)), np.int64), ProfileClock(), make_host()
    host.user = ctypes.addressof(clock)
    host.profile = ctypes.cast(ctypes.CDLL(str(CLOCK)).onnxc_bench_profile, ctypes.c_void_p)
    with CompiledModel(artefact.library, host=True) as plain, CompiledModel(artefact.library, host=host) as profiled:
        whole = min(timed_runs(plain, feed, runs, lambda turn: None))

        def aim(turn):
            clock.nanoseconds = times[turn].ctypes.data

        timed_runs(profiled, feed, runs, aim)
    for row, values in zip(rows, times.min(axis=0), strict=False):
        row["seconds"] = float(values) * 1e-9
    return {"model": model.name, "seconds": whole, "operations": rows}


def timed_runs(compiled: CompiledModel, feed: dict, runs: int, prepare) -> list[float]:
    """Seconds of each of `runs` runs after one that does not count; prepare(number of the run) goes before each."""
    ins, keep = compiled.prepare_inputs(feed)
    times = []
    time.sleep(measure.PAUSE_SECONDS)
    for turn in (0, *range(runs)):
        outs, buffers = compiled.prepare_outputs()
        prepare(turn)
        start = time.perf_counter()
        compiled.call(ins, outs)
        times.append(time.perf_counter() - start)
        del buffers
    del keep
    return times[1:]


def lines_of(result: dict, peak: dict) -> list[str]:
    """Costliest first; then sums by kernel."""
    operations = result["operations"]
    spent = sum(o["seconds"] for o in operations)
    lines = [f"{result['model']}: {result['seconds'] * 1e3:.3f} ms a run at best, its {len(operations)} operations at "
             f"best together {spent * 1e3:.3f} ms", HEADER]  # fmt: skip
    for index, row in sorted(enumerate(operations), key=lambda pair: -pair[1]["seconds"]):
        lines.append(f"{index:5} " + work_cells(row, spent, peak) + f"  {row['kernel']} ({', '.join(row['origins'])})")
    lines += ["", f"{'calls':>5}" + HEADER[5:]]
    for kernel, group in by_kernel(operations).items():
        lines.append(f"{group['calls']:5} " + work_cells(group, spent, peak) + f"  {kernel}")
    return lines


HEADER = f"{'#':>5} {'us':>10} {'share':>6} {'GFLOP/s':>8} {'peak':>6} {'GB/s':>7}  kernel (ONNX nodes)"


def work_cells(row: dict, spent: float, peak: dict) -> str:
    seconds = row["seconds"] or 1e-9
    cells = f"{row['seconds'] * 1e6:10.1f} {100 * row['seconds'] / spent if spent else 0:5.1f}%"
    if not row["flops"]:
        cells += f" {'-':>8} {'-':>6}"
    else:
        cells += f" {row['flops'] / seconds * 1e-9:8.1f} {100 * row['flops'] / seconds / peak['flops']:5.1f}%"
    if row["bytes_read"] is None:
        return cells + f" {'-':>7}"
    return cells + f" {(row['bytes_read'] + row['bytes_written']) / seconds * 1e-9:7.1f}"


def by_kernel(operations: list[dict]) -> dict[str, dict]:
    """Sums; costliest first. What is not known of an operation counts as nothing."""
    groups: dict[str, dict] = {}
    for row in operations:
        group = groups.setdefault(
            row["kernel"], {"calls": 0, "seconds": 0, "flops": 0, "bytes_read": 0, "bytes_written": 0}
        )
        group["calls"] += 1
        for key in ("seconds", "flops", "bytes_read", "bytes_written"):
            group[key] += row[key] or 0
    return dict(sorted(groups.items(), key=lambda pair: -pair[1]["seconds"]))
