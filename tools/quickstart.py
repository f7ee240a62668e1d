"""The Python part of tools/quickstart: what kinds of files are these? Answered by the compiled model and by ONNX Runtime.

How a file becomes the model's input, as the package magika describes it: the first 4096 bytes without leading white space, of
which the first 1024, padded behind; then the last 4096 bytes without trailing white space, of which the last 1024, padded in
front. A byte is its value, the padding is 256.
"""

import argparse
import json
import pathlib
import statistics
import struct
import sys
import time
import zlib

import fetch_models
import numpy
import onnxc
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = """README.md LICENSE CMakeLists.txt pyproject.toml .gitignore tools/setup tools/quickstart.py tools/models.json
  compiler/driver/compile.cc runtime_lib/include/onnxc/onnxc.h tools/requirements.txt""".split()
RUNS = 20


def magika_config() -> dict:
    folder = fetch_models.models_folder() / "packages"
    return json.loads(fetch_models.read_member("pypi:magika", "magika/models/standard_v3_3/config.min.json", folder))


def file_to_input(content: bytes, config: dict) -> numpy.ndarray:
    """int32[1, beg_size + end_size]"""
    block, padding = config["block_size"], config["padding_token"]
    head, tail = content[:block].lstrip(), content[-block:].rstrip()
    numbers = numpy.full(config["beg_size"] + config["end_size"], padding, numpy.int32)
    head, tail = head[: config["beg_size"]], tail[-config["end_size"] :]
    numbers[: len(head)] = list(head)
    numbers[len(numbers) - len(tail) :] = list(tail)
    return numbers[None]


def make_png(path: pathlib.Path) -> pathlib.Path:
    """A small picture: a blue-green gradient of 64 x 64 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes(v for x in range(64) for v in (32, 4 * x, 4 * y)) for y in range(64))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    return path


def answer(session, x: numpy.ndarray, labels: list[str]) -> tuple[str, float, float]:
    """(kind of file, its probability, milliseconds per file)"""
    name = session.get_inputs()[0].name
    session.run(None, {name: x})
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        scores = session.run(None, {name: x})[0][0]
        times.append(1000 * (time.perf_counter() - start))
    best = int(scores.argmax())
    return labels[best], float(scores[best]), statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("onnx")
    parser.add_argument("compiled", type=pathlib.Path)
    arguments = parser.parse_args()
    config = magika_config()
    ours = onnxc.InferenceSession(str(arguments.compiled))
    theirs = onnxruntime.InferenceSession(arguments.onnx, providers=["CPUExecutionProvider"])
    files = [ROOT / name for name in FILES]
    files += [make_png(arguments.compiled.with_name("gradient.png")), arguments.compiled.resolve()]

    print(f"{'file':34} {'onnxc says':14} {'prob.':>6} {'ms':>6}   {'ONNX Runtime':14} {'prob.':>6} {'ms':>6}")
    equal = 0
    for path in files:
        x = file_to_input(path.read_bytes(), config)
        kind, probability, ms = answer(ours, x, config["target_labels_space"])
        ort_kind, ort_probability, ort_ms = answer(theirs, x, config["target_labels_space"])
        same = kind == ort_kind and abs(probability - ort_probability) < 1e-3
        equal += same
        name = str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
        print(
            f"{name:34} {kind:14} {probability:6.3f} {ms:6.2f}   {ort_kind:14} {ort_probability:6.3f} {ort_ms:6.2f}"
            f"{'' if same else '   DIFFERENT'}"
        )
    print(f"{equal} of {len(files)} answers equal ONNX Runtime's (ms: median of {RUNS} runs, default threads of each)")
    return 0 if equal == len(files) else 1


if __name__ == "__main__":
    sys.exit(main())
