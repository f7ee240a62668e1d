"""--together: two sessions of one model at once, a thread each, beside one alone. Each should keep its speed where there are two cores.
Each has a CPU of its own, and is held against itself alone on that CPU: CPUs that others use too are not equally fast."""

import os
import statistics
import threading
import time

from benchmark import artefacts, engines, measure, model_set

HEADER = f"{'model':24} {'alone ms':>19} {'together ms':>19} {'kept':>6}"


def measure_pair(model: model_set.Model, rounds: int, slice_seconds: float) -> dict:
    """Median seconds of a run of each of the two: "alone" and "together"."""
    path, feed = model.provide(), model.feeds()
    row = {"model": model.name}
    try:
        library = artefacts.library(model.name, path, model_set.shape_arguments(path, feed)).library
    except artefacts.CompileError as error:
        return row | {"problem": str(error)}
    runners = [engines.runner(engines.OURS, library, 1) for _ in range(2)]
    all_cpus = os.sched_getaffinity(0)
    cpus = sorted(all_cpus)[:2]
    if len(cpus) < 2:
        return row | {"problem": "two sessions at once want two CPUs"}
    alone: list[list[float]] = [[], []]
    pair: list[list[float]] = [[], []]
    for _ in range(rounds):
        for cpu, run, times in zip(cpus, runners, alone, strict=True):
            os.sched_setaffinity(0, {cpu})
            times.append(median_of(measure.run_slice(lambda run=run: run(feed), slice_seconds)))
        os.sched_setaffinity(0, all_cpus)
        for times, value in zip(pair, run_both(runners, feed, slice_seconds, cpus), strict=True):
            times.append(value)
    return row | {"alone": [*map(statistics.median, alone)], "together": [*map(statistics.median, pair)]}


def run_both(runners: list[engines.Runner], feed: dict, seconds: float, cpus: list[int]) -> list[float]:
    """Both run from a common start until a common end; what either does beyond the other's end does not count."""
    results = [0.0, 0.0]
    start = threading.Barrier(2)

    def work(k: int) -> None:
        os.sched_setaffinity(0, {cpus[k]})  # of this thread alone
        runners[k](feed)
        start.wait()
        end, times = time.perf_counter() + seconds, []
        while not times or time.perf_counter() < end:
            began = time.perf_counter()
            runners[k](feed)
            times.append(time.perf_counter() - began)
        results[k] = statistics.median(times[:-1] or times)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def median_of(runs: list[measure.Run]) -> float:
    return statistics.median(wall for wall, _ in runs)


def line_of(row: dict) -> str:
    if "problem" in row:
        return f"{row['model']:24} {row['problem']}"
    cells = [f"{v * 1e3:9.3f}" for v in (*row["alone"], *row["together"])]
    kept = min(alone / both for alone, both in zip(row["alone"], row["together"], strict=True))
    return f"{row['model']:24} {' '.join(cells)} {kept:6.2f}"
