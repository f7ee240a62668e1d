"""Interleaved timing: rounds of slices, one slice per engine and round. A slice begins with a pause and an uncounted run: the pool of
the engine before spins on for tens of milliseconds, which would falsify this one's time with two threads by up to a factor of two."""

import dataclasses
import os
import statistics
import time
from collections.abc import Callable

PAUSE_SECONDS = 0.040


@dataclasses.dataclass
class Times:
    """Of one run, in seconds. `rounds` has the median of each slice. `cpu`, of all threads of this process, is less than `median` when
    somebody else had the core, and more when threads wait by spinning."""

    best: float
    median: float
    rounds: list[float]
    cpu: float


Run = tuple[float, float]  # seconds by the clock, seconds of CPU


def interleave(calls: dict[str, Callable[[], object]], rounds: int, slice_seconds: float) -> dict[str, Times]:
    """Calls each engine for `slice_seconds` (twice at least) in each round. The engine that begins changes from round to round."""
    slices: dict[str, list[list[Run]]] = {name: [] for name in calls}
    names = list(calls)
    cpus = os.sched_getaffinity(0)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            slices[name].append(run_slice(calls[name], slice_seconds))
            os.sched_setaffinity(0, cpus)  # an engine that pinned this thread must not slow the others
    return {name: summarise(runs) for name, runs in slices.items()}


def run_slice(call: Callable[[], object], seconds: float) -> list[Run]:
    time.sleep(PAUSE_SECONDS)
    call()
    runs: list[Run] = []
    end = time.perf_counter() + seconds
    while len(runs) < 2 or time.perf_counter() < end:
        cpu = time.process_time()
        start = time.perf_counter()
        call()
        stop = time.perf_counter()
        runs.append((stop - start, time.process_time() - cpu))
    return runs


def summarise(slices: list[list[Run]]) -> Times:
    medians = [statistics.median(wall for wall, _ in s) for s in slices]
    cpu = statistics.median(statistics.median(used for _, used in s) for s in slices)
    return Times(min(wall for s in slices for wall, _ in s), statistics.median(medians), medians, cpu)
