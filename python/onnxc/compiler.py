"""Runs the package's own onnxc as a child process, so that nothing that befalls the compiler can take the caller down."""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess

from onnxc import errors

# Exit codes of onnxc (compiler/support/result.h).
USAGE, INVALID_MODEL, UNSUPPORTED, ENVIRONMENT = 2, 3, 4, 5


def compiler_path() -> str:
    return str(pathlib.Path(__file__).parent / "bin" / "onnxc")


@functools.lru_cache(maxsize=4)
def _digest(path: str, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build_id() -> str:
    """Changes when the compiler does."""
    path = compiler_path()
    stat = os.stat(path)
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@dataclasses.dataclass(frozen=True)
class Source:
    """A model to compile: a file, or bytes that the child reads from memory by a descriptor."""

    label: str  # how messages name it
    path: str | None
    content: bytes | None = None

    def run(self, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
        if self.content is None:
            return _run([self.path, *arguments])
        descriptor = os.memfd_create("model.onnx")
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(self.content)
            name = f"/proc/self/fd/{descriptor}"
            done = _run([name, *arguments], descriptor)
            done.stderr = done.stderr.replace(name, self.label)
            return done
        finally:
            os.close(descriptor)


def _run(arguments: list[str], *descriptors: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([compiler_path(), "--quiet", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          encoding="utf-8", errors="replace", pass_fds=descriptors, check=False)  # fmt: skip


def describe(source: Source, arguments: list[str]) -> dict:
    """Inputs, outputs and metadata of the model; raises what ONNX Runtime would for a broken one."""
    done = source.run(["--describe", *arguments])
    if done.returncode != 0:
        raise failure(source, done.returncode, done.stderr)
    return json.loads(done.stdout)


def compile_model(source: Source, output: str, arguments: list[str]) -> None:
    """Writes the shared library `output`."""
    done = source.run([*arguments, "-o", output])
    if done.returncode != 0:
        raise failure(source, done.returncode, done.stderr)


# What onnxc says of a broken model, ONNX Runtime's class for it, and its words, which go before onnxc's explanation.
_BROKEN = [
    (r'reads "(.*)", which nothing produces', errors.InvalidArgument,
     r"Invalid model. Node input '\1' is not a graph input, initializer, or output of a previous node."),
    (r"nodes depend on each other in a cycle", errors.Fail, "This is an invalid model. Error: the graph is not acyclic."),
    (r'value "(.*)" is defined twice', errors.Fail, r"This is an invalid model. Error: Duplicate definition of name (\1)."),
    (r"operator (.*)::(\S*) is not one of ONNX's", errors.Fail,
     r"Fatal error: \1:\2(-1) is not a registered function/op"),
    (r"there is no such operator as (\S+) in ONNX \(opset (\d+)\)", errors.InvalidGraph,
     r"This is an invalid model. No Op registered for \1 with domain_version of \2"),
    (r"with schema\(|[Aa]ttribute: ", errors.InvalidGraph, "This is an invalid model."),
]  # fmt: skip


def failure(source: Source, status: int, text: str) -> Exception:
    """The exception for what onnxc said when it gave up."""
    text = text.strip()
    if status in (INVALID_MODEL, UNSUPPORTED):
        return _broken_model(source, status, text)
    if status < 0:
        text = f"onnxc was ended by signal {-status}. {text}"
    return errors.Fail.of(text) if status in (USAGE, ENVIRONMENT) else errors.RuntimeException.of(text)


def _broken_model(source: Source, status: int, text: str) -> Exception:
    if "this is no ONNX model" in text:
        words = "Protobuf parsing failed." if source.path else "Failed to load model because protobuf parsing failed."
        return load_failure(source, errors.InvalidProtobuf, words)
    if "the model has no graph" in text:
        return load_failure(source, errors.InvalidArgument, "No graph was found in the protobuf.")
    for pattern, kind, words in _BROKEN:
        if match := re.search(pattern, text):
            return kind.of(f"{match.expand(words)}\n{text}")
    return (errors.Fail if status == INVALID_MODEL else errors.NotImplemented).of(text)


def load_failure(source: Source, kind: type, text: str) -> Exception:
    """ONNX Runtime's prefix for mistakes that it finds while it reads the file; models from memory have none."""
    return kind.of(f"Load model from {source.path} failed:{text}" if source.path else text)
