"""A compiled model in a C or C++ program on this machine: dlopen, static archive and header, emitted sources, and alone with libc."""

import os
import shutil
import subprocess

import pytest
from conftest import HERE, ROOT, onnxc, run

INCLUDE = f"-I{ROOT}/runtime_lib/include"
BACKENDS = ["llvm", "cpp"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_dlopen(tiny, tmp_path, check, backend):
    onnxc(tiny, f"--backend={backend}", "-o", tmp_path / "tiny.so")
    run("cc", "-Wall", "-Wextra", "-Werror", INCLUDE, HERE / "open.c", "-o", tmp_path / "open", "-ldl")
    check(run(tmp_path / "open", tmp_path / "tiny.so"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_apart(tiny, tmp_path, check, backend):
    onnxc(tiny, f"--backend={backend}", "--weights=separate", "-o", tmp_path / "tiny.so")
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("tiny.")) == ["tiny.so", "tiny.weights"]
    run("cc", "-Wall", "-Wextra", "-Werror", INCLUDE, HERE / "open.c", "-o", tmp_path / "open", "-ldl")
    check(run(tmp_path / "open", tmp_path / "tiny.so", tmp_path / "tiny.weights"))
    alone = subprocess.run([tmp_path / "open", tmp_path / "tiny.so"], capture_output=True, text=True)
    assert alone.returncode == 1 and "kept apart" in alone.stderr


@pytest.mark.parametrize("backend", BACKENDS)
def test_archive_and_header(tiny, tmp_path, check, backend):
    onnxc(tiny, f"--backend={backend}", "-o", tmp_path / "tiny.a")
    run(
        "c++",
        "-std=c++17",
        "-Wall",
        "-Wextra",
        "-Werror",
        INCLUDE,
        f"-I{tmp_path}",
        HERE / "classify.cc",
        HERE / "host.cc",
        tmp_path / "tiny.a",
        "-o",
        tmp_path / "program",
    )
    check(run(tmp_path / "program"))


def compilers():
    return [c for c in ("g++", "clang++", "clang++-19") if shutil.which(c)][:2]


@pytest.mark.parametrize("compiler", compilers())
def test_emitted_project(tiny, tmp_path, check, compiler):
    """The emitted CMake project as a subfolder of a larger one."""
    onnxc(tiny, "--emit=cpp", "-o", tmp_path / "tiny")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(program CXX)\nadd_subdirectory(tiny)\n"
        f"add_executable(program {HERE}/classify.cc {HERE}/host.cc)\ntarget_link_libraries(program tiny)\n"
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={compiler}")
    run("cmake", "--build", tmp_path / "build")
    check(run(tmp_path / "build/program"))


def test_generic_sources_need_no_vectors(tiny, tmp_path, check):
    """--mcpu=generic: what firmware gets, here for the host's baseline."""
    onnxc(tiny, "--mcpu=generic", "--emit=cpp", "-o", tmp_path / "tiny")
    sources = sorted((tmp_path / "tiny").glob("*.cc"))
    run(
        "c++",
        "-std=c++17",
        "-O2",
        "-ffp-contract=off",
        f"-I{tmp_path}/tiny",
        f"-I{tmp_path}/tiny/runtime",
        f"-I{tmp_path}/tiny/runtime/include",
        f'-DONNXC_WEIGHTS_FILE="{tmp_path}/tiny/tiny.weights.bin"',
        *sources,
        tmp_path / "tiny/tiny_weights.S",
        HERE / "classify.cc",
        HERE / "host.cc",
        "-o",
        tmp_path / "program",
    )
    check(run(tmp_path / "program"))


def libraries_of(program):
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [word for word in listed.split() if word.startswith("/")]


@pytest.mark.parametrize("backend", BACKENDS)
def test_root_with_only_libc(tiny, tmp_path, check, backend):
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    root = tmp_path / "root"
    run("cc", INCLUDE, HERE / "open.c", "-o", tmp_path / "open", "-ldl")
    for library in libraries_of(tmp_path / "open"):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    assert sorted(p.name for p in root.rglob("*.so*")) == ["ld-linux-x86-64.so.2", "libc.so.6"]
    shutil.copy(tmp_path / "open", root)
    onnxc(tiny, f"--backend={backend}", "-o", root / "tiny.so")
    check(run("chroot", root, "/open", "/tiny.so"))


@pytest.mark.skipif(not shutil.which("qemu-x86_64"), reason="needs qemu-user")
@pytest.mark.parametrize("backend", BACKENDS)
def test_old_processor_is_refused_with_a_message(tiny, tmp_path, backend):
    """A Nehalem (x86-64-v2), as QEMU plays it: never SIGILL."""
    onnxc(tiny, "--mcpu=x86-64-v4", f"--backend={backend}", "-o", tmp_path / "tiny.so")
    run("cc", INCLUDE, HERE / "open.c", "-o", tmp_path / "open", "-ldl")
    done = subprocess.run(
        ["qemu-x86_64", "-cpu", "Nehalem", tmp_path / "open", tmp_path / "tiny.so"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "compiled for x86-64-v4; this machine lacks" in done.stderr, (
        done.returncode,
        done.stderr,
    )
    assert "AVX2" in done.stderr and "AVX512F" in done.stderr and "POPCNT" not in done.stderr
