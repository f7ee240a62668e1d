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
    """In seconds. `rounds` has the median of each slice."""

    best: float
    median: float
    rounds: list[float]


def interleave(calls: dict[str, Callable[[], object]], rounds: int, slice_seconds: float) -> dict[str, Times]:
    """Calls each engine for `slice_seconds` (twice at least) in each round. The engine that begins changes from round to round."""
    slices: dict[str, list[list[float]]] = {name: [] for name in calls}
    names = list(calls)
    cpus = os.sched_getaffinity(0)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            slices[name].append(run_slice(calls[name], slice_seconds))
            os.sched_setaffinity(0, cpus)  # an engine that pinned this thread must not slow the others
    return {name: summarise(runs) for name, runs in slices.items()}


def run_slice(call: Callable[[], object], seconds: float) -> list[float]:
    time.sleep(PAUSE_SECONDS)
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 2 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def summarise(slices: list[list[float]]) -> Times:
    medians = [statistics.median(s) for s in slices]
    return Times(min(min(s) for s in slices), statistics.median(medians), medians)
