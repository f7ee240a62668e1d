"""Measures one model in a process of its own (a crash loses one row, memory is given back): compiles, checks, times."""

import concurrent.futures
import dataclasses
import multiprocessing

import numpy as np

from benchmark import artefacts, engines, flops, measure, memory, model_set
from benchmark.check import Checker


@dataclasses.dataclass(frozen=True)
class Plan:
    threads: tuple[int, ...] = (1, 2)
    rounds: int = 9
    slice_seconds: float = 0.06
    time: bool = True  # False: only compile and check
    memory: bool = True


def measure_apart(model: model_set.Model, plan: Plan) -> dict:
    """A row of the table and of the JSON. Engines that cannot run the model stand in "problems", those that run it wrongly in
    "wrong", each with the reason."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(measure_here, model, plan).result()
        except Exception as error:
            return empty_row(model) | {"problems": {engines.OURS: f"not measured: {one_line(error)}"}}


def empty_row(model: model_set.Model) -> dict:
    return {"model": model.name, "goal": model.goal, "flops": 0, "problems": {}, "wrong": {}, "threads": {}}


def measure_here(model: model_set.Model, plan: Plan) -> dict:
    row = empty_row(model)
    path, feed = model.provide(), model.feeds()
    proto = model_set.with_fixed_dims(path, feed)
    names, content = [o.name for o in proto.graph.output], proto.SerializeToString()
    row["flops"] = flops.count(proto, feed)
    checker = Checker(
        model.feed or model.name, path, feed, dict(zip(names, engines.ort_runner(content, 1, False)(feed)))
    )
    files = {engine: content for engine in engines.PEERS}
    try:
        artefact = artefacts.library(model.name, path, model_set.shape_arguments(path, feed))
        row["arena"] = artefact.report["arena_bytes"]
        files[engines.OURS] = artefact.library
    except artefacts.CompileError as error:
        row["problems"][engines.OURS] = str(error)
    if checker.note:
        row["note"] = checker.note
    for threads in plan.threads:
        running = {e: r for e, file in files.items() if (r := start(row, e, file, threads, names, feed, checker))}
        if plan.time:
            calls = {e: lambda r=r: r(feed) for e, r in running.items()}
            times = measure.interleave(calls, plan.rounds, plan.slice_seconds)
            row["threads"][str(threads)] = {e: dataclasses.asdict(t) for e, t in times.items()}
    if plan.memory and engines.OURS in files:
        row["rss"] = {engines.OURS: memory.rss_of(engines.OURS, files[engines.OURS], feed)["rss"]}
    return row


def start(row: dict, engine: str, file, threads: int, names: list[str], feed: dict[str, np.ndarray],
          checker: Checker) -> engines.Runner | None:  # fmt: skip
    """A checked runner. One whose results are wrong is timed and shown too."""
    try:
        runner = engines.runner(engine, file, threads)
        outputs = dict(zip(names, runner(feed), strict=True))
        problems = checker.problems_of_ort(outputs) if engine == engines.ORT else checker.problems(outputs)
    except Exception as error:
        row["problems"][engine] = one_line(error)
        return None
    if problems:
        row["wrong"][engine] = problems[0]
    return runner


def one_line(error: Exception) -> str:
    """OpenVINO's messages begin with places in its source and end with what is wrong."""
    text = " ".join(line.strip() for line in str(error).splitlines() if "Exception from src" not in line)
    return f"{type(error).__name__}: {text}"[:240]
