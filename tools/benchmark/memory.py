"""What loading a model and running it adds to a process's resident memory, in a process of its own per engine."""

import concurrent.futures
import multiprocessing
import pathlib

from benchmark import engines

RUNS = 3


def rss_of(engine: str, file: pathlib.Path, feed: dict) -> dict[str, int]:
    """{"rss": bytes added after a few runs, "peak": bytes added at most}. file: .so for onnxc, .onnx for the others."""
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(load_and_run, engine, file, feed).result()


def load_and_run(engine: str, file: pathlib.Path, feed: dict) -> dict[str, int]:
    engines.import_engine(engine)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    before = status("VmRSS")
    runner = engines.runner(engine, file, 1)
    for _ in range(RUNS):
        runner(feed)
    return {"rss": status("VmRSS") - before, "peak": status("VmHWM") - before}


def status(field: str) -> int:
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise KeyError(field)
