"""Operators that a C function of the user's computes (--custom-op): both back ends, all artefacts, all mistakes."""

import re
import subprocess

import numpy as np
import onnx
import onnx.parser
import onnxc
import pytest
from support.c_abi import CompiledModel, ModelError
from support.compiler import ROOT, compile_model

INCLUDE = ROOT / "runtime_lib" / "include"
SOURCE = ROOT / "tests" / "api" / "custom_ops.c"
SCALE = "--custom-op=acme::Scale=acme_scale"
X = np.linspace(-2, 3, 12, dtype=np.float32).reshape(3, 4)


def run(*command):
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions")
    run("cc", "-O2", "-fPIC", "-Wall", "-Werror", f"-I{INCLUDE}", "-c", SOURCE, "-o", folder / "functions.o")
    run("ar", "rcs", folder / "libfunctions.a", folder / "functions.o")
    run("cc", "-shared", folder / "functions.o", "-lm", "-o", folder / "libfunctions.so")
    return folder


def parse(text, inputs="float[N, 4] x", outputs="float[N, 4] y"):
    return onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 20, "acme": 1]>\nagraph ({inputs}) => ({outputs}) {{ {text} }}'
    )


@pytest.fixture
def compiled(functions, tmp_path):
    """Compiles the model to a shared library with the functions in it."""

    def compile_it(model, *flags, link="functions.o", name="model.so"):
        onnx.save(model, tmp_path / "model.onnx")
        links = [f"--link={functions / link}"] if link else []
        return tmp_path / name, compile_model(tmp_path / "model.onnx", tmp_path / name, [*flags, *links, "--quiet"])

    return compile_it


@pytest.fixture
def runs(compiled):
    def run_it(model, *flags, feeds, host=False, **options):
        path, outcome = compiled(model, *flags, **options)
        assert outcome.ok, outcome.text
        return CompiledModel(path, host=host).run(feeds)

    return run_it


BACKENDS = ("llvm", "cpp")
backends = pytest.mark.parametrize("backend", BACKENDS)
AROUND = "a = Add(x, x)  b = acme.Scale <alpha = 3.0, beta = 2> (a)  y = Relu(b)"


@backends
@pytest.mark.parametrize("form", ["fixed", "free", "special"])
def test_between_other_operators(backend, form, runs):
    flags = {"fixed": ["--dim=N=3"], "free": [], "special": ["--dim=N=2,3"]}[form]
    if form == "special" and backend == "cpp":
        flags = []  # bodies for some dims are of the other back end
    model = parse(AROUND)
    results = runs(model, SCALE, f"--backend={backend}", *flags, feeds={"x": X}, host=form != "fixed")
    np.testing.assert_array_equal(results[0], np.maximum(3 * (2 * X) + 2, 0))


@backends
@pytest.mark.parametrize("link", ["functions.o", "libfunctions.a", "libfunctions.so"])
def test_what_is_linked(backend, link, functions, compiled):
    path, outcome = compiled(parse(AROUND), SCALE, "--dim=N=3", f"--backend={backend}", link=link)
    assert outcome.ok, outcome.text
    if link.endswith(".so"):
        assert "[libfunctions.so]" in run("readelf", "-d", path)
        (path.parent / link).symlink_to(functions / link)
    exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", path).splitlines()}
    assert exported == {"onnxc_get_model", "model_get_model"}
    session = onnxc.InferenceSession(str(path))
    np.testing.assert_array_equal(session.run(None, {"x": X})[0], np.maximum(3 * (2 * X) + 2, 0))


@backends
def test_two_outputs(backend, runs):
    model = parse("s, c = acme.Angles(x)  y = Sub(s, c)", outputs="float[N, 4] y, float[N, 4] c")
    y, c = runs(model, "--custom-op=acme::Angles=acme_angles", f"--backend={backend}", feeds={"x": X}, host=True)
    np.testing.assert_allclose(c, np.cos(X), rtol=1e-6)
    np.testing.assert_allclose(y, np.sin(X) - np.cos(X), rtol=1e-5, atol=1e-6)


def test_output_left_out(runs):
    model = parse('"", y = acme.Angles(x)')
    (y,) = runs(model, "--custom-op=acme::Angles=acme_angles", feeds={"x": X}, host=True)
    np.testing.assert_allclose(y, np.cos(X), rtol=1e-6)


@backends
@pytest.mark.parametrize("dims", ["N, 4", "3, 4"])
@pytest.mark.parametrize("shapes", ["", ",i64[d0.0]"])
def test_shape_declared_or_told(backend, dims, shapes, runs):
    """By the model's outputs, or by --custom-op; then by the graph around."""
    model = parse("y = acme.Best(x)  z = Add(y, y)", f"float[{dims}] x", "int64[N] y, int64 z")
    if not shapes:
        del model.graph.output[1:]
    else:
        model.graph.output[1].type.tensor_type.ClearField("shape")
    if dims == "3, 4":
        model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 3
    flags = [f"--custom-op=acme::Best=acme_best{shapes}", f"--backend={backend}"]
    results = runs(model, *flags, feeds={"x": X}, host=True)
    np.testing.assert_array_equal(results[0], [3, 3, 3])
    if shapes:
        np.testing.assert_array_equal(results[1], [6, 6, 6])


@backends
def test_dims_that_the_function_tells(backend, runs):
    model = parse("p = acme.Positive(x)  y = Neg(p)", outputs="float[M] y")
    flags = ["--custom-op=acme::Positive=acme_positive,[?]", f"--backend={backend}"]
    (y,) = runs(model, *flags, feeds={"x": X}, host=True)
    np.testing.assert_array_equal(y, -X[X > 0])


def test_negative_dim_is_refused(runs):
    model = parse("y = acme.Positive <lie = -2> (x)", outputs="float[M] y")
    with pytest.raises(
        ModelError, match=r"failed: .*acme::Positive.*acme_positive_dims gave dim 0 of output 0 the value -2"
    ):
        runs(model, "--custom-op=acme::Positive=acme_positive,[?]", feeds={"x": X}, host=True)


@backends
@pytest.mark.parametrize("flags", [[], ["--dim=N=3"], ["--dim=N=3", "--single-thread"]])
def test_failure_names_the_node(backend, flags, runs):
    model = parse("[refuse_1] y = acme.Refuse(x)")
    model.graph.node[0].name = "refuse_1"
    with pytest.raises(ModelError) as caught:
        runs(model, "--custom-op=acme::Refuse=acme_refuse", f"--backend={backend}", *flags, feeds={"x": X}, host=True)
    assert str(caught.value) == (
        "failed: custom operator acme::Refuse (refuse_1): acme_refuse gave the code 7: no wish to see -2"
    )


@backends
def test_what_the_function_is_told(backend, runs):
    model = parse("y = acme.Tell(x, , i)", "float[2, 3] x, int8[5] i", "uint8[400] y")
    model.graph.node[0].name = "tell"
    attributes = {
        "f": 1.5,
        "fs": [1.0, 2.0, 3.0],
        "i": -5,
        "is_": [1, 2],
        "text": "naïve",
        "texts": ["a", "", "ccc"],
        "t": onnx.numpy_helper.from_array(np.array([1.25, 2.5])),
    }
    model.graph.node[0].attribute.extend(onnx.helper.make_attribute(k, v) for k, v in attributes.items())
    feeds = {"x": np.zeros((2, 3), np.float32), "i": np.zeros(5, np.int8)}
    (y,) = runs(model, "--custom-op=acme::Tell=acme_tell", f"--backend={backend}", feeds=feeds)
    assert bytes(y).rstrip(b"\0").decode() == (
        "acme::Tell tell in 1:1:24x2x3 0:0:0 1:3:5x5"
        " f:1.5 fs:1:2:3 i:-5 is_:1:2 t:11[2]2.5 text:naïve/6 texts:a/1:/0:ccc/3 naïve"
    )


@backends
def test_strings(backend, runs):
    model = parse("y = acme.Twice(x)", "string[N] x", "string[N] y")
    (y,) = runs(
        model,
        "--custom-op=acme::Twice=acme_twice",
        f"--backend={backend}",
        feeds={"x": np.array(["a", "", "bcd"], object)},
        host=True,
    )
    assert list(y) == ["aa", "", "bcdbcd"]


@backends
def test_in_a_loop_and_a_branch(backend, runs):
    model = parse(
        """
        trips = Constant <value_int = 3> ()
        y = Loop (trips, , x) <body = body (int64 i, bool c, float[3, 4] v) => (bool d, float[3, 4] w) {
          d = Identity(c)
          zero = Constant <value_int = 0> ()
          first = Equal(i, zero)
          w = If (first) <
            then_branch = t () => (float[3, 4] p) { p = acme.Scale <alpha = 10.0> (v) },
            else_branch = e () => (float[3, 4] q) { q = acme.Scale <alpha = 2.0, beta = 1> (v) }>
        }>""",
        "float[3, 4] x",
        "float[3, 4] y",
    )
    (y,) = runs(model, SCALE, f"--backend={backend}", feeds={"x": X}, host=True)
    np.testing.assert_allclose(y, ((10 * X) * 2 + 1) * 2 + 1, rtol=1e-6)


POSITIVE = "--custom-op=acme::Positive=acme_positive,[?]"


@backends
def test_values_that_grow_and_shrink_in_a_loop(backend, runs):
    model = parse(
        """
        trips = Constant <value_int = 3> ()
        y = Loop (trips, , x) <body = body (int64 i, bool c, float[L] v) => (bool d, float[M] w) {
          d = Identity(c)
          one = Constant <value_float = 1.0> ()
          p = acme.Positive(v)
          w = Sub(p, one)
        }>""",
        "float[L] x",
        "float[M] y",
    )
    expected = X.ravel()
    for _ in range(3):
        expected = expected[expected > 0] - 1
    (y,) = runs(model, POSITIVE, f"--backend={backend}", feeds={"x": X.ravel()}, host=True)
    np.testing.assert_array_equal(y, expected)


@backends
def test_inputs_that_lie_within_others(backend, runs):
    model = parse(
        "a, b = Split <axis = 1, num_outputs = 2> (x)  c = acme.Scale <alpha = 2.0> (b)  y = Concat <axis = 1> (c, a)"
    )
    (y,) = runs(model, SCALE, f"--backend={backend}", feeds={"x": X}, host=True)
    np.testing.assert_array_equal(y, np.concatenate([2 * X[:, 2:], X[:, :2]], 1))


def test_result_that_is_an_index(runs):
    model = parse(
        """
        zero = Constant <value_ints = [0]> ()  one = Constant <value_ints = [1]> ()  two = Constant <value_ints = [2]> ()
        b = acme.Best(x)  end = Slice(b, one, two, zero)  y = Slice(x, zero, end, one)""",
        "float[3, 4] x",
        "float[3, M] y",
    )
    (y,) = runs(model, "--custom-op=acme::Best=acme_best,i64[d0.0]", feeds={"x": X}, host=True)
    np.testing.assert_array_equal(y, X[:, :3])


def test_function_of_the_model_is_replaced(runs):
    model = parse(AROUND)
    model.functions.append(
        onnx.helper.make_function(
            "acme",
            "Scale",
            ["x"],
            ["y"],
            [onnx.helper.make_node("Neg", ["x"], ["y"])],
            [onnx.helper.make_opsetid("", 20)],
            attributes=["alpha", "beta"],
        )  # fmt: skip
    )
    (y,) = runs(model, SCALE, feeds={"x": X}, host=True)
    np.testing.assert_array_equal(y, np.maximum(3 * (2 * X) + 2, 0))
    (y,) = runs(model, feeds={"x": X}, host=True, name="own.so")
    np.testing.assert_array_equal(y, np.maximum(-2 * X, 0))


def test_constants_are_not_folded_and_the_unused_is_removed(runs):
    model = parse(
        "k = Constant <value_floats = [1.0, 2.0]> ()  y = acme.Scale <alpha = 5.0> (k)  z = acme.Refuse(k)",
        outputs="float[2] y",
    )
    (y,) = runs(model, SCALE, "--custom-op=acme::Refuse=acme_missing", feeds={"x": X}, host=True)
    np.testing.assert_array_equal(y, [5, 10])


def test_debug_plan(runs):
    (y,) = runs(parse(AROUND), SCALE, "--dim=N=3", "--debug-plan", feeds={"x": X}, host=True)
    np.testing.assert_array_equal(y, np.maximum(3 * (2 * X) + 2, 0))


MAIN = """
#include <stdio.h>
#include "model.h"
int main(void) {
  const onnxc_model* model = model_get_model();
  static unsigned char session_memory[4096], arena[65536];
  float x[12], y[12];
  for (int i = 0; i < 12; ++i) x[i] = i;
  onnxc_session* session;
  onnxc_create_args create = {sizeof create, ONNXC_ABI_VERSION, 0, session_memory, sizeof session_memory, 0, 0, 1};
  onnxc_value in = {sizeof in, ONNXC_TENSOR, 1, 2, {3, 4}, x, sizeof x, 0};
  onnxc_value out = {sizeof out, ONNXC_TENSOR, 1, 2, {3, 4}, y, sizeof y, 0};
  onnxc_run_args run = {sizeof run, 1, 1, &in, &out, (void*)(((size_t)arena + 63) / 64 * 64), 60000};
  if (model->create(&create, &session, 0) || model->run(session, &run, 0)) return 1;
  printf("%g %g\\n", y[0], y[11]);
  return 0;
}
"""


@backends
@pytest.mark.parametrize("dim", ["--dim=N=3", None])
def test_archive_without_a_heap(backend, dim, functions, compiled, tmp_path):
    flags = [SCALE, f"--backend={backend}", *filter(None, [dim])]
    archive, outcome = compiled(parse(AROUND), *flags, link=None, name="model.a")
    assert outcome.ok, outcome.text
    assert " U acme_scale" in run("nm", archive)
    (tmp_path / "main.c").write_text(MAIN)
    run("cc", f"-I{INCLUDE}", f"-I{tmp_path}", tmp_path / "main.c", archive, functions / "functions.o", "-lm",
        "-o", tmp_path / "main")  # fmt: skip
    assert run(tmp_path / "main").split() == ["2", "68"]


def test_sources(functions, compiled, tmp_path):
    project, outcome = compiled(parse(AROUND), SCALE, "--dim=N=3", link=None, name="model/")
    assert outcome.ok, outcome.text
    units = [project / "model.cc", project / "model_model.cc", *project.glob("*_weights.S")]
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-march=x86-64-v2", "-ffp-contract=off"]
    objects = []
    for unit in units:
        objects.append(tmp_path / f"{unit.name}.o")
        weights = f'-DONNXC_WEIGHTS_FILE="{project}/model.weights.bin"'
        run("c++", *flags, weights, f"-I{project}", f"-I{project}/runtime", f"-I{project}/runtime/include", "-c", unit,
            "-o", objects[-1])  # fmt: skip
    (tmp_path / "main.c").write_text(MAIN)
    run("cc", f"-I{project}/runtime/include", f"-I{project}", "-c", tmp_path / "main.c", "-o", tmp_path / "main.o")
    run("c++", tmp_path / "main.o", *objects, functions / "functions.o", "-lm", "-o", tmp_path / "main")
    assert run(tmp_path / "main").split() == ["2", "68"]


MISTAKES = {
    "unknown": (AROUND, [], 4, r"acme::Scale is not one of ONNX's.*--custom-op acme::Scale=FUNCTION"),
    "unknown in ONNX's domain": ("y = Scale(x)", [], 3, "--custom-op ai.onnx::Scale=FUNCTION"),
    "no colons": (AROUND, ["--custom-op=Scale=f"], 2, "has no DOMAIN::NAME=FUNCTION form"),
    "no function": (AROUND, ["--custom-op=acme::Scale="], 2, "names a function that C cannot have"),
    "no identifier": (AROUND, ["--custom-op=acme::Scale=a-b"], 2, "names a function that C cannot have, .a-b."),
    "our prefix": (AROUND, ["--custom-op=acme::Scale=onnxc_run_allocate"], 2, "the prefix onnxc_ is not free"),
    "the model's prefix": (
        AROUND,
        ["--custom-op=acme::Scale=model_create"],
        2,
        "model_create.*is one of the model's own",
    ),
    "the C library's": (AROUND, ["--custom-op=acme::Scale=memcpy"], 2, "memcpy.*is one of the model's own"),
    "twice": (AROUND, [SCALE, SCALE], 2, "a function for the second time"),
    "no rule": (AROUND, [SCALE + ",as before"], 2, "neither `same` nor dims in"),
    "no type": (AROUND, [SCALE + ",float[2]"], 2, 'there is no element type "float"'),
    "no end": (AROUND, [SCALE + ",[2"], 2, r"the dims end with \]"),
    "no dim": (AROUND, [SCALE + ",[2 +]"], 2, "expected a number or a name"),
    "empty": (AROUND, [SCALE + ","], 2, "neither `same` nor dims in"),
    "no such axis": (AROUND, [SCALE + ",[d0.2]"], 2, r"there is no d0.2: input 0 is f32\[N, 4\]"),
    "no such input": (AROUND, [SCALE + ",same1"], 2, "the node has no input 1"),
    "no attribute": (AROUND, [SCALE + ",[units]"], 2, '"units" is neither a dim of an input'),
    "no integer": (AROUND, [SCALE + ",[alpha]"], 2, '"alpha" is neither a dim of an input'),
    "division": (AROUND, [SCALE + ",[4/d0.0]"], 2, "divides by what may be 0"),
    "negative": (AROUND, [SCALE + ",[beta - 3, 4]"], 3, r"dim 0 of output 0 of acme::Scale, beta - 3, is negative"),
    "too many rules": (AROUND, [SCALE + ",same;same"], 2, "gives 2 shapes, the node has 1 outputs"),
    "overflow": ("y = acme.Scale(x)", [SCALE + ",[d0.0*4000000000, 4000000000]"], 3, "this size fits no machine"),
    "sequence": ("s = SequenceConstruct(x)  y = acme.Scale(s)", [SCALE], 4, r"of acme::Scale is seq\(.*take tensors"),
    "undeclared dim": ("y = acme.Scale(x)", [SCALE], 4, "no input of the model has the dim M"),
    "graph": ("y = acme.Scale <g = g () => (float[1] z) { z = Identity(z0) }> (x)", [SCALE], 4, "is a graph"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, compiled):
    text, flags, code, words = MISTAKES[name]
    outputs = "float[M, 4] y" if name == "undeclared dim" else "float[N, 4] y"
    if name == "graph":
        text = "z0 = Constant <value_floats = [1.0]> ()  " + text
    _, outcome = compiled(parse(text, outputs=outputs), *flags)
    assert outcome.code == code, outcome.text
    assert re.search(words, outcome.text.replace("\n", " ")), outcome.text


@backends
def test_missing_functions(backend, compiled, functions, tmp_path):
    model = parse(AROUND)
    flags = [f"--backend={backend}", "--custom-op=acme::Scale=acme_nowhere"]
    for link, where in ((None, "no file that was given"), ("functions.o", "none of the linked files")):
        path, outcome = compiled(model, *flags, link=link)
        assert outcome.code == 5
        assert (
            f'the function acme_nowhere, which the custom operator acme::Scale "Scale:b" calls, is in {where}'
            in outcome.text
        )
        assert "--link FILE" in outcome.text
        assert not path.exists()
    _, outcome = compiled(model, SCALE, f"--backend={backend}", link="nothing.o")
    assert outcome.code == 5 and "nothing.o: cannot be read: No such file" in outcome.text
    _, outcome = compiled(model, SCALE, f"--backend={backend}", f"--link={SOURCE}", link=None)
    assert outcome.code == 5 and "neither an object, an archive nor a shared library" in outcome.text
    (tmp_path / "calls.c").write_text("int other(void);\nint acme_scale(const void* op) { return other(); }\n")
    run("cc", "-fPIC", "-c", tmp_path / "calls.c", "-o", tmp_path / "calls.o")
    _, outcome = compiled(model, SCALE, f"--backend={backend}", f"--link={tmp_path / 'calls.o'}", link=None)
    assert outcome.code == 5 and "other" in outcome.text and "must be linked too" in outcome.text
    _, outcome = compiled(model, SCALE, f"--backend={backend}", name="model.a")
    assert outcome.code == 2 and "only a shared library" in outcome.text


def test_same_bytes_each_time(compiled):
    path, _ = compiled(parse(AROUND), SCALE)
    first = path.read_bytes()
    path, _ = compiled(parse(AROUND), SCALE)
    assert path.read_bytes() == first


@pytest.mark.parametrize("link", ["functions.o", "libfunctions.a", "libnamed.so"])
@pytest.mark.parametrize("dims", ["N, 4", "3, 4"])
def test_session_of_a_model_file(link, dims, functions):
    if link == "libnamed.so":
        run("cc", "-shared", functions / "functions.o", "-lm", f"-Wl,-soname,{link}", "-o", functions / link)
    model = parse("a = acme.Scale <alpha = 3.0> (x)  y = acme.Best(a)", f"float[{dims}] x", "int64[M] y")
    options = onnxc.SessionOptions()
    options.add_custom_op("acme::Scale", "acme_scale", functions / link)
    options.add_custom_op("acme::Best", "acme_best", functions / link, "i64[d0.0]")
    session = onnxc.InferenceSession(model.SerializeToString(), options)
    np.testing.assert_array_equal(session.run(None, {"x": X})[0], [3, 3, 3])


def test_session_compiles_anew_when_a_file_changes(functions, tmp_path):
    model = parse("y = acme.Scale(x)", "float[1] x", "float[1] y").SerializeToString()
    results = []
    for factor in (2, 5):
        (tmp_path / "scale.c").write_text(
            "#include <onnxc/custom_op.h>\nint32_t acme_scale(const onnxc_custom_op* op) {\n"
            f"((float*)op->outputs[0].data)[0] = {factor} * ((const float*)op->inputs[0].data)[0]; return 0; }}\n"
        )
        run("cc", "-fPIC", f"-I{INCLUDE}", "-c", tmp_path / "scale.c", "-o", tmp_path / "scale.o")
        options = onnxc.SessionOptions()
        options.add_custom_op("acme::Scale", "acme_scale", tmp_path / "scale.o")
        results += onnxc.InferenceSession(model, options).run(None, {"x": np.ones(1, np.float32)})
    assert results == [2, 5]


def test_session_with_a_file_that_is_not_there():
    options = onnxc.SessionOptions()
    options.add_custom_op("acme::Scale", "acme_scale", "nowhere.o")
    model = parse("y = acme.Scale(x)", "float[1] x", "float[1] y").SerializeToString()
    with pytest.raises(onnxc.Fail, match="nowhere.o: cannot be read"):
        onnxc.InferenceSession(model, options)
