"""Every operator of several inputs, compiled with free dims and run with dims that do not fit each other: refused, or,
where ONNX Runtime takes them, right. One artefact per operator; each dim of each input is changed by itself."""

import dataclasses
import os
import subprocess
import sys

import numpy
import onnx
import onnxc
import onnxruntime
import pytest
import small_models
from conformance.expectations import sanitizer_runtime
from onnx import helper
from support.compiler import ROOT, find_onnxc

F32, I64, I32, U8, I8, BOOL = (
    numpy.float32,
    numpy.int64,
    numpy.int32,
    numpy.uint8,
    numpy.int8,
    numpy.bool_,
)


@dataclasses.dataclass
class Case:
    """Inputs are (dims, type, value): the value of all elements, or None for random ones."""

    op: str
    inputs: list
    attributes: dict = dataclasses.field(default_factory=dict)
    outputs: int = 1
    opset: int = 22
    domain: str = ""
    # Dims that we refuse and ONNX Runtime does not, as (input, axis): it ignores them, or reads what is not there.
    ours: tuple = ()
    # Those that it refuses and we do not: lengths beyond an axis count as all of it, one zero point serves all scales;
    # or that it gives another shape for (SAME_LOWER with a kernel shorter than the stride).
    theirs: tuple = ()
    fixed: tuple = ()  # inputs that are constants, by number
    known: tuple = ()  # axes whose dims are given at compile time, of all inputs


def case(op, *inputs, **options) -> Case:
    names = {field.name for field in dataclasses.fields(Case)}
    attributes = {key: value for key, value in options.items() if key not in names}
    inputs = [
        entry if isinstance(entry, tuple) and len(entry) == 3 and not isinstance(entry[1], int) else (entry, F32, None)
        for entry in inputs
    ]
    return Case(op, inputs, attributes, **{key: value for key, value in options.items() if key in names})


def zeros(*dims, of=I64):
    return (dims, of, 0)


def ones(*dims, of=F32):
    return (dims, of, 1)


PIXELS, TREES = [1, 1, 1, 1], "ai.onnx.ml"
CASES = {
    "add": case("Add", (2, 3), (2, 3)),
    "where": case("Where", ((2, 3), BOOL, 1), (2, 3), (2, 3)),
    "prelu": case("PRelu", (2, 3), (2, 3)),
    "clip": case("Clip", (2, 3), ((), F32, -1), ((), F32, 1)),
    "max": case("Max", (2, 3), (2, 3), (2, 3)),
    "pow": case("Pow", (2, 3), (2, 3)),
    "conv": case("Conv", (1, 2, 5, 5), (3, 2, 3, 3), (3,), pads=PIXELS),
    "conv_same": case("Conv", (1, 2, 5, 5), (3, 2, 3, 2), auto_pad="SAME_UPPER", strides=[2, 1]),
    "conv_3d": case("Conv", (1, 2, 4, 4, 4), (3, 2, 3, 3, 3), (3,)),
    "conv_groups": case("Conv", (1, 4, 5, 5), (4, 2, 3, 3), (4,), group=2),
    "conv_transpose": case("ConvTranspose", (1, 2, 4, 4), (2, 3, 3, 3), (3,), strides=[2, 2]),
    "conv_transpose_same": case("ConvTranspose", (1, 2, 4, 4), (2, 3, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER",
                                theirs=((1, 2), (1, 3))),
    "conv_integer": case("ConvInteger", ((1, 2, 5, 5), U8, 3), ((3, 2, 3, 3), U8, 2), zeros(of=U8), zeros(1, of=U8)),
    "qlinear_conv": case("QLinearConv", ((1, 2, 5, 5), U8, 3), ones(), zeros(of=U8), ((3, 2, 3, 3), U8, 2),
                         ones(3), zeros(3, of=U8), ones(), zeros(of=U8), zeros(3, of=I32)),
    "matmul": case("MatMul", (2, 3, 4), (2, 4, 5)),
    "matmul_integer": case("MatMulInteger", ((3, 4), U8, 3), ((4, 5), U8, 2), zeros(of=U8), zeros(5, of=U8)),
    "qlinear_matmul": case("QLinearMatMul", ((3, 4), U8, 3), ones(), zeros(of=U8), ((4, 5), U8, 2), ones(5),
                           zeros(5, of=U8), ones(), zeros(of=U8)),
    "gemm": case("Gemm", (3, 4), (4, 5), (3, 5)),
    "einsum": case("Einsum", (2, 3), (3, 4), equation="ij,jk->ik", ours=((0, 1), (1, 0))),
    "attention": case("Attention", (1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4), opset=23, known=(1, 3)),
    "attention_rank_3": case("Attention", (1, 3, 8), (1, 5, 8), (1, 5, 8), opset=23, q_num_heads=2, kv_num_heads=2),
    "batch_norm": case("BatchNormalization", (2, 3, 4), (3,), (3,), (3,), ones(3)),
    "instance_norm": case("InstanceNormalization", (2, 3, 4), (3,), (3,)),
    "layer_norm": case("LayerNormalization", (2, 3, 4), (4,), (4,)),
    "layer_norm_2": case("LayerNormalization", (2, 3, 4), (3, 4), (3, 4), axis=1),
    "rms_norm": case("RMSNormalization", (2, 3, 4), (4,), opset=23),
    "group_norm": case("GroupNormalization", (2, 4, 3), (4,), (4,), num_groups=2),
    "concat": case("Concat", (2, 3), (2, 3), axis=0),
    "gather": case("Gather", (3, 4), zeros(2, 2)),
    "gather_known": case("Gather", (3, 4), ((2,), I64, 2), fixed=(1,)),
    "gather_elements": case("GatherElements", (3, 4), zeros(2, 4), axis=0),
    "gather_nd": case("GatherND", (2, 3, 4), ((2, 1), I64, 0), fixed=(1,)),
    "gather_nd_batch": case("GatherND", (2, 3, 4), ((2, 1), I64, 0), batch_dims=1, fixed=(1,), ours=((0, 0),)),
    "scatter_elements": case("ScatterElements", (3, 4), zeros(2, 4), (2, 4), axis=0),
    "scatter_nd": case("ScatterND", (3, 4), zeros(2, 1), (2, 4)),
    "tensor_scatter": case("TensorScatter", (2, 5, 3), (2, 2, 3), zeros(2), opset=24, axis=1),
    "one_hot": case("OneHot", zeros(2, 3), ((), I64, 4), (2,), fixed=(1,)),
    "reverse_sequence": case("ReverseSequence", (4, 3, 2), ((3,), I64, 2), theirs=((0, 0),)),
    "trilu": case("Trilu", (3, 4), zeros()),
    "quantize": case("QuantizeLinear", (2, 3, 4), ones(3), zeros(3, of=U8), theirs=((2, 0),)),
    "quantize_blocks": case("QuantizeLinear", (2, 4, 3), ones(2, 2, 3), zeros(2, 2, 3, of=U8), axis=1, block_size=2),
    "dequantize": case("DequantizeLinear", ((2, 3, 4), U8, 2), ones(3), zeros(3, of=U8), theirs=((2, 0),)),
    "grid_sample": case("GridSample", (1, 2, 4, 4), (1, 3, 3, 2)),
    "roi_align": case("RoiAlign", (1, 2, 6, 6), ((2, 4), F32, 1), zeros(2), output_height=2, output_width=2,
                      sampling_ratio=2),
    "max_unpool": case("MaxUnpool", (1, 1, 2, 2), zeros(1, 1, 2, 2), kernel_shape=[2, 2], strides=[2, 2]),
    "col2im": case("Col2Im", (1, 8, 9), ((2,), I64, 4), ((2,), I64, 2), fixed=(1, 2)),
    "deform_conv": case("DeformConv", (1, 2, 5, 5), (3, 2, 3, 3), (1, 18, 3, 3), (3,), (1, 9, 3, 3),
                        kernel_shape=[3, 3]),
    "rnn": case("RNN", (3, 2, 4), (1, 5, 4), (1, 5, 5), (1, 10), ((2,), I32, 3), (1, 2, 5), hidden_size=5, outputs=2,
                theirs=((0, 0),)),
    "gru": case("GRU", (3, 2, 4), (1, 15, 4), (1, 15, 5), (1, 30), ((2,), I32, 3), (1, 2, 5), hidden_size=5,
                outputs=2, theirs=((0, 0),)),
    "lstm": case("LSTM", (3, 2, 4), (1, 20, 4), (1, 20, 5), (1, 40), ((2,), I32, 3), (1, 2, 5), (1, 2, 5), (1, 15),
                 hidden_size=5, outputs=3, theirs=((0, 0),)),
    "cumsum": case("CumSum", (3, 4), zeros()),
    "dft": case("DFT", (2, 5, 1)),
    "stft": case("STFT", (1, 16, 1), ((), I64, 4), (8,), opset=17, fixed=(1,)),
    "adam": case("Adam", ((), F32, 0.1), zeros(), (3,), (3,), (3,), ones(3), outputs=3, domain="ai.onnx.preview.training"),
    "extractor": case("ArrayFeatureExtractor", (2, 4), zeros(2), domain=TREES),
    "det": case("Det", (2, 3, 3)),
}  # fmt: skip


def array(dims, elem, value):
    if value is None:
        return numpy.random.default_rng(3).standard_normal(dims).astype(elem) * elem(0.5)
    return numpy.full(dims, value, elem)


def build(case: Case) -> onnx.ModelProto:
    names = [f"in{i}" for i in range(len(case.inputs))]
    outputs = [f"out{i}" for i in range(case.outputs)]
    constants, inputs = [], []
    for i, (name, (dims, elem, value)) in enumerate(zip(names, case.inputs, strict=True)):
        onnx_type = helper.np_dtype_to_tensor_dtype(numpy.dtype(elem))
        if i in case.fixed:
            constants.append(onnx.numpy_helper.from_array(array(dims, elem, value), name))
        else:
            inputs.append(
                small_models.value(
                    name, [dims[axis] if axis in case.known else f"d{i}_{axis}" for axis in range(len(dims))], onnx_type
                )
            )
    node = helper.make_node(case.op, names, outputs, case.op, domain=case.domain, **case.attributes)
    made = [onnx.ValueInfoProto(name=name) for name in outputs]
    domains = [case.domain] if case.domain else []
    model = small_models.model([node], inputs, made, constants, case.opset, domains)
    model.ir_version = 10
    return model


def changed(case: Case):
    """The feeds: the dims that fit, then each dim of each input changed by itself."""
    good = {f"in{i}": array(*entry) for i, entry in enumerate(case.inputs) if i not in case.fixed}
    yield None, good
    for i, (dims, elem, value) in enumerate(case.inputs):
        if i in case.fixed:
            continue
        for axis, extent in enumerate(dims):
            if axis in case.known:
                continue
            for other in {0, 1, extent - 1, extent + 1, 2 * extent} - {extent}:
                changed_dims = [*dims[:axis], other, *dims[axis + 1 :]]
                yield (i, axis, other), {**good, f"in{i}": array(changed_dims, elem, value)}


def outcome(session, feed):
    try:
        return session.run(None, feed)
    except Exception as error:
        return error


def compiled(case: Case, folder, *flags) -> str:
    onnx.save(build(case), folder / "model.onnx")
    command = [find_onnxc(), folder / "model.onnx", "-o", folder / "model.so", *flags]
    environment = {key: text for key, text in os.environ.items() if key != "LD_PRELOAD"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return str(folder / "model.so")


def theirs(case: Case):
    try:
        return onnxruntime.InferenceSession(build(case).SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception:  # it has no such operator
        return None


@pytest.mark.parametrize("name", CASES)
def test_dims_that_do_not_fit(name, tmp_path):
    case = CASES[name]
    ours, reference = onnxc.InferenceSession(compiled(case, tmp_path)), theirs(case)
    for what, feed in changed(case):
        got = outcome(ours, feed)
        if what and what[:2] in case.theirs and not isinstance(got, Exception):
            continue
        if what is None:
            assert not isinstance(got, Exception), got
        if isinstance(got, Exception):
            assert "INVALID_ARGUMENT" in str(got), (what, got)
        # Of empty tensors ONNX Runtime makes anything: with some it never returns.
        if reference is None or any(part.size == 0 for part in feed.values()):
            continue
        wanted = outcome(reference, feed)
        if isinstance(got, Exception):
            assert isinstance(wanted, Exception) or what[:2] in case.ours, (what, got)
            continue
        if isinstance(wanted, Exception):
            raise AssertionError((what, "should be refused", wanted))
        for mine, other in zip(got, wanted, strict=True):
            assert mine.shape == other.shape, what
            numpy.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5, err_msg=str(what))


def run_all_with_sanitizer(folder):
    """In a process that the sanitizer's runtime is loaded into: it ends at the first wild read or write."""
    import pathlib

    for name, case in CASES.items():
        print(name, flush=True)
        own = pathlib.Path(folder) / name
        own.mkdir()
        session = onnxc.InferenceSession(compiled(case, own, "--sanitize=address"))
        for what, feed in changed(case):
            print("  ", what, flush=True)
            outcome(session, feed)
    print("all done", flush=True)


def test_nothing_is_read_or_written_beyond_its_end(tmp_path):
    script = f"import test_hostile_dims; test_hostile_dims.run_all_with_sanitizer({str(tmp_path)!r})"
    path = os.pathsep.join([os.path.dirname(__file__), str(ROOT / "tests"), *sys.path])
    environment = {
        **os.environ,
        "LD_PRELOAD": sanitizer_runtime(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": path,
    }
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout.endswith("all done\n"), done.stdout[-300:] + done.stderr[:3000]
