"""What a compiled model needs of the world: nothing. By the symbols of each emitted object."""

import pytest
from conftest import ROOT, onnxc, run

# Undefined symbols that an emitted object may have, by target. The linker itself defines _GLOBAL_OFFSET_TABLE_.
ALLOWED = {"x86_64": {"_GLOBAL_OFFSET_TABLE_"}}


def undefined(path, *flags):
    return {
        line.split()[-1]
        for line in run("nm", "-u", *flags, path).splitlines()
        if " U " in f" {line}" or " w " in f" {line}"
    }


@pytest.mark.parametrize("backend", ["llvm", "cpp"])
def test_shared_library(tiny, tmp_path, backend):
    library = tmp_path / "tiny.so"
    onnxc(tiny, f"--backend={backend}", "-o", library)
    assert undefined(library, "-D") == set()
    dynamic = run("readelf", "-d", library)
    assert "NEEDED" not in dynamic and "TEXTREL" not in dynamic
    exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines()}
    assert exported == {"onnxc_get_model", "tiny_get_model"}
    segments = run("readelf", "-lW", library)
    assert "RWE" not in segments


@pytest.mark.parametrize("backend", ["llvm", "cpp"])
def test_archive(tiny, tmp_path, backend):
    archive = tmp_path / "tiny.a"
    onnxc(tiny, f"--backend={backend}", "-o", archive)
    defined = {
        line.split()[-1] for line in run("nm", "-g", "--defined-only", archive).splitlines() if len(line.split()) == 3
    }
    assert {s for s in defined if not s.startswith("tiny_")} == set()
    assert undefined(archive) - defined <= ALLOWED["x86_64"]


def test_two_archives_in_one_program(tiny, tmp_path):
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "one.h"\n#include "two.h"\n'
        "int main(void) { puts(one_get_model()->info->name); puts(two_get_model()->info->name); return 0; }\n"
    )
    for name, backend in (("one", "llvm"), ("two", "cpp")):
        onnxc(tiny, f"--backend={backend}", "-o", tmp_path / f"{name}.a")
    include = ROOT / "runtime_lib/include"
    run(
        "cc",
        f"-I{include}",
        f"-I{tmp_path}",
        tmp_path / "main.c",
        tmp_path / "one.a",
        tmp_path / "two.a",
        "-o",
        tmp_path / "program",
    )
    assert run(tmp_path / "program").split() == ["one", "two"]
