"""What decides whether a compiled model may be used again: the model's content, its external data, the CPU, the compiler."""

import functools
import hashlib
import json
import os
import pathlib

from onnxc import compiler

# TensorProto.external_data is a list of (key, value) strings; this is how key "location" looks in the file, up to the
# length of its value. Other bytes that happen to look so only name a file that is not there.
_LOCATION = b"\x0a\x08location\x12"


def content_digest(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


def external_stamp(content: bytes, folder: pathlib.Path) -> list[list]:
    """[name, size, mtime] of each file of external data that the model names."""
    names, at = set(), content.find(_LOCATION)
    while at >= 0:
        start = at + len(_LOCATION)
        length, shift = 0, 0
        while start < len(content) and shift < 28:
            byte = content[start]
            length |= (byte & 0x7F) << shift
            start, shift = start + 1, shift + 7
            if byte < 0x80:
                break
        names.add(content[start : start + length])
        at = content.find(_LOCATION, start)
    stamp = []
    for name in sorted(names):
        try:
            stat = os.stat(folder / os.fsdecode(name))
        except (OSError, ValueError):
            continue
        stamp.append([os.fsdecode(name), stat.st_size, stat.st_mtime_ns])
    return stamp


def linked_stamp(files: list[str]) -> list[list]:
    """[path, digest of the content] of files that are linked into the model; those that are not there are the compiler's to tell."""
    return [[path, content_digest(pathlib.Path(path).read_bytes())] for path in files if os.path.isfile(path)]


@functools.cache
def cpu_digest() -> str:
    """Of the CPU's model and features: code is made for this very one."""
    wanted = ("model name", "flags", "Features", "CPU part")
    lines = pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    return content_digest("\n".join(line for line in lines if line.startswith(wanted)).encode())


def key(model: str, stamp: list, arguments: list[str]) -> str:
    parts = [model, stamp, arguments, cpu_digest(), compiler.build_id()]
    return content_digest(json.dumps(parts).encode())
