"""The cache of compiled models: what makes an entry, who shares it, what happens to one that is broken."""

import multiprocessing
import os
import pathlib
import stat
import subprocess
import sys

import numpy
import onnx
import onnxc
import pytest
import small_models
from onnxc import cache, compiler, identity

X = numpy.linspace(-1, 1, 8, dtype=numpy.float32).reshape(2, 4)


def relu_bytes(**changes):
    return small_models.relu(**changes).SerializeToString()


def check(session):
    assert (session.run(None, {"x": X})[0] == numpy.maximum(X, 0)).all()


def entries(folder):
    return sorted(folder.glob("*.so"))


def compile_in_child(content, results):
    check(onnxc.InferenceSession(content))
    results.put(os.getpid())


def test_compiles_once(own_cache, monkeypatch):
    check(onnxc.InferenceSession(relu_bytes()))
    (entry,) = entries(own_cache)
    build = compiler.build_id()
    monkeypatch.setattr(compiler, "build_id", lambda: build)
    monkeypatch.setattr(compiler, "compiler_path", lambda: "/nonexistent/onnxc")
    check(onnxc.InferenceSession(relu_bytes()))
    assert entries(own_cache) == [entry]
    with pytest.raises(FileNotFoundError):
        onnxc.InferenceSession(relu_bytes(colour="other"))


def test_the_key_holds_all_that_matters(monkeypatch):
    base = identity.key("model", [], [])
    assert identity.key("model", [], []) == base
    others = [
        identity.key("other", [], []),
        identity.key("model", [["w", 1, 2]], []),
        identity.key("model", [], ["-O1"]),
    ]
    monkeypatch.setattr(compiler, "build_id", lambda: "another build")
    others.append(identity.key("model", [], []))
    monkeypatch.setattr(identity, "cpu_digest", lambda: "another CPU")
    others.append(identity.key("model", [], []))
    assert len({base, *others}) == 6


def test_concurrent_processes_compile_once(own_cache):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    children = [context.Process(target=compile_in_child, args=(relu_bytes(), results)) for _ in range(4)]
    for child in children:
        child.start()
    pids = {results.get(timeout=120) for _ in children}
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert len(pids) == 4
    assert len(entries(own_cache)) == 1
    assert not list(own_cache.glob("new-*"))


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text"])
def test_a_corrupt_entry_is_made_again(own_cache, damage):
    check(onnxc.InferenceSession(relu_bytes()))
    (entry,) = entries(own_cache)
    good = entry.read_bytes()
    middle = len(good) // 2
    bad = {
        "empty": b"",
        "cut": good[:middle],
        "flipped": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
        "text": b"not a library",
    }[damage]
    entry.unlink()  # the old one is in use
    entry.write_bytes(bad)
    for description in own_cache.glob("*.json"):
        description.write_bytes(b"{" + bad[:20])
    check(onnxc.InferenceSession(relu_bytes()))
    assert entries(own_cache) == [entry]
    assert cache._is_sound(entry)


@pytest.mark.parametrize("place", ["/proc/onnxc", "/dev/null/onnxc"])
def test_a_folder_that_cannot_be_written(place, tmp_path, monkeypatch):
    monkeypatch.setenv("ONNXC_CACHE_DIR", place)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    check(onnxc.InferenceSession(relu_bytes()))
    folder = tmp_path / f"onnxc-cache-{os.geteuid()}"
    assert len(entries(folder)) == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_temporary_folder_of_somebody_else_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("ONNXC_CACHE_DIR", "/proc/onnxc")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"onnxc-cache-{os.geteuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    check(onnxc.InferenceSession(relu_bytes()))
    assert not list(folder.iterdir())


def test_the_default_folder_is_in_the_home(tmp_path, monkeypatch):
    monkeypatch.delenv("ONNXC_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    check(onnxc.InferenceSession(relu_bytes()))
    assert len(entries(tmp_path / ".cache/onnxc")) == 1


def test_a_failed_compilation_leaves_nothing(own_cache):
    broken = small_models.model(
        [onnx.helper.make_node("Foo", ["x"], ["y"])], [small_models.value("x", (2,))], [small_models.value("y", (2,))]
    )
    with pytest.raises(onnxc.InvalidGraph):
        onnxc.InferenceSession(broken.SerializeToString())
    assert [path.suffix for path in own_cache.iterdir()] == [".lock"]


def test_changed_external_data_is_noticed(tmp_path, own_cache):
    path = tmp_path / "model.onnx"
    x = numpy.ones((1, 8), numpy.float32)
    for factor in (1, 2):
        model = small_models.matmul_relu(rows=1)
        for tensor in model.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor) * numpy.float32(factor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
        (tmp_path / "weights.bin").unlink(missing_ok=True)
        onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
        os.utime(tmp_path / "weights.bin", (factor, factor))
        y = onnxc.InferenceSession(str(path)).run(None, {"x": x})[0]
        if factor == 1:
            first = y
    numpy.testing.assert_allclose(y, 2 * first, rtol=1e-6)


def test_the_command_is_the_packages_own():
    done = subprocess.run([sys.executable, "-m", "onnxc", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.split()[:2] == ["onnxc", onnxc.__version__]
    assert pathlib.Path(compiler.compiler_path()).exists()
