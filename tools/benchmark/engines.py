"""The three engines, each at its best settings for one stream of requests, float32 and a number of threads. A runner takes
{input name: array} and gives the outputs as numpy arrays, in the model's order, through the engine's own Python interface.

A model is given as its bytes, dims fixed, or as a path."""

import importlib
import pathlib
from collections.abc import Callable

import numpy as np

Runner = Callable[[dict[str, np.ndarray]], list[np.ndarray]]
OURS, ORT, OPENVINO = "onnxc", "ONNX Runtime", "OpenVINO"
PEERS = (ORT, OPENVINO)
MODULES = {OURS: "onnxc", ORT: "onnxruntime", OPENVINO: "openvino"}


def import_engine(engine: str) -> None:
    importlib.import_module(MODULES[engine])


def runner(engine: str, model: bytes | pathlib.Path, threads: int) -> Runner:
    return {OURS: onnxc_runner, ORT: ort_runner, OPENVINO: openvino_runner}[engine](model, threads)


def onnxc_runner(library: pathlib.Path, threads: int) -> Runner:
    """A shared library that onnxc made."""
    import onnxc

    options = onnxc.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxc.InferenceSession(str(library), options)
    return lambda feed: session.run(None, feed)


def ort_runner(model: bytes | pathlib.Path, threads: int, optimise: bool = True) -> Runner:
    """All graph optimisations; its pool spins, as by default. Without optimisations it is a measure for errors."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(None, feed)


def openvino_runner(model: bytes | pathlib.Path, threads: int) -> Runner:
    """One stream for latency; float32 as the model says, not the bfloat16 that it would choose where the CPU has it."""
    import openvino

    core = openvino.Core()
    read = core.read_model(model, b"") if isinstance(model, bytes) else core.read_model(model)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(threads),
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(read, "CPU", settings)
    outputs = list(compiled.outputs)
    inputs = {name for i in compiled.inputs for name in i.names}  # without those that the model does not use

    def run(feed):
        results = compiled(feed if feed.keys() <= inputs else {n: v for n, v in feed.items() if n in inputs})
        return [results[o] for o in outputs]

    return run
