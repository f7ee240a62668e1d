"""--against BUILD: onnxc as built here beside another build of it (a commit before, say), each in a process of its own, taking turns."""

import math
import multiprocessing
import os
import pathlib
import statistics
import sys
from multiprocessing.connection import Connection

from benchmark import artefacts, engines, measure, model_set

HEADER = f"{'model':24} {'threads':>7} {'here ms':>9} {'there ms':>9} {'there / here':>12}"
HERE = pathlib.Path(__file__).resolve().parents[2] / "build"


def measure_model(model: model_set.Model, there: pathlib.Path, threads: int, rounds: int, slice_seconds: float) -> dict:
    """Median seconds of a run by each build, over rounds that take turns in who begins. Runs of one thread stay on one CPU, the next
    with each round: CPUs that others use too are not equally fast, and each process would keep to its own."""
    row = {"model": model.name, "threads": threads}
    model.provide()  # once, before two processes want it
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name, build in (("here", HERE), ("there", there.resolve())):
        pipes[name], end = context.Pipe()
        processes.append(context.Process(target=serve, args=(end, name, build, model.name, threads), daemon=True))
        processes[-1].start()
        end.close()
    try:
        for name, pipe in pipes.items():
            if problem := pipe.recv():
                return row | {"problem": f"{name}: {problem}"}
        medians = {name: [] for name in pipes}
        cpus = sorted(os.sched_getaffinity(0))
        for turn in range(rounds):
            place = {cpus[turn % len(cpus)]} if threads == 1 else set(cpus)
            for name in sorted(pipes, reverse=turn // len(cpus) % 2 == 1):
                pipes[name].send((slice_seconds, place))
                medians[name].append(pipes[name].recv())
        return row | {name: statistics.median(m) for name, m in medians.items()}
    except EOFError:
        return row | {"problem": "a process died"}
    finally:
        for process in processes:
            process.kill()
            process.join()


def serve(pipe: Connection, name: str, build: pathlib.Path, model_name: str, threads: int) -> None:
    """In a process of its own: says what is wrong (or nothing), then times a slice whenever it is told to."""
    sys.path.insert(0, str(build / "python"))
    os.environ["ONNXC"] = str(build / "bin/onnxc")
    [model] = model_set.chosen([model_name])
    path, feed = model.provide(), model.feeds()
    try:
        made = artefacts.library(f"{model.name}-{name}", path, model_set.shape_arguments(path, feed))
        run = engines.runner(engines.OURS, made.library, threads)
        run(feed)
    except Exception as error:
        pipe.send(str(error) or type(error).__name__)
        return
    pipe.send("")
    while True:
        seconds, cpus = pipe.recv()
        os.sched_setaffinity(0, cpus)
        pipe.send(statistics.median(wall for wall, _ in measure.run_slice(lambda: run(feed), seconds)))


def line_of(row: dict) -> str:
    start = f"{row['model']:24} {row['threads']:7}"
    if "problem" in row:
        return f"{start} {row['problem']}"
    return f"{start} {row['here'] * 1e3:9.3f} {row['there'] * 1e3:9.3f} {row['there'] / row['here']:12.3f}"


def summary(rows: list[dict]) -> str:
    ratios = [r["there"] / r["here"] for r in rows if "problem" not in r]
    if not ratios:
        return "nothing was measured"
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    return f"geometric mean {mean:.3f}, least {min(ratios):.3f}, of {len(ratios)} of {len(rows)} rows"
