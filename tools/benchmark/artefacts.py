"""Compiled models for the benchmark, kept under build/bench/ and keyed by what went into them; what compiling cost."""

import dataclasses
import hashlib
import json
import pathlib

from differential.real_models import peak_rss
from support.compiler import compile_model, find_onnxc

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "build/bench"


@dataclasses.dataclass(frozen=True)
class Artefact:
    library: pathlib.Path
    report: dict  # of onnxc --report
    seconds: float
    peak_rss: int  # of the compiler and its children together


class CompileError(Exception):
    """One line that says why there is no library."""


def library(name: str, model: pathlib.Path, arguments: list[str], fresh: bool = False) -> Artefact:
    """Compiles unless the same compiler has made the same before; `fresh` compiles anyway, for its cost."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256("\0".join([digest(find_onnxc()), digest(model), *arguments]).encode()).hexdigest()[:16]
    path, note = FOLDER / f"{name}-{key}.so", FOLDER / f"{name}-{key}.json"
    if fresh or not (path.exists() and note.exists()):
        part, report = FOLDER / f"new-{name}.so", FOLDER / f"new-{name}.json"
        flags = ["-q", *arguments, "--report", str(report)]
        code, seconds, peak = peak_rss([str(find_onnxc()), str(model), "-o", str(part), *flags])
        if code != 0:
            raise CompileError(compile_model(model, part, flags).reason())
        for old in FOLDER.glob(f"{name}-{'?' * len(key)}.*"):
            old.unlink()
        part.replace(path)
        note.write_text(json.dumps({"seconds": seconds, "peak_rss": peak, "report": json.loads(report.read_text())}))
        report.unlink()
    made = json.loads(note.read_text())
    return Artefact(path, made["report"], made["seconds"], made["peak_rss"])


def digest(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
