#!/usr/bin/env python3
"""Every optimisation on against off: each pass of --help-passes left out in turn, all left out, and -O0, on small models that
give each pass something to do and on some real ones. The outputs must stay within rounding of those of the full pipeline.

    tests/differential/optimisations.py [--real] [-k PATTERN]"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from differential import models  # noqa: E402
from support.c_abi import CompiledModel  # noqa: E402
from support.compiler import BatchCompiler, find_onnxc  # noqa: E402

F = TensorProto.FLOAT


def passes():
    """Names of all passes, from --help-passes: the first word of each indented or plain line that names one."""
    text = subprocess.run([str(find_onnxc()), "--help-passes"], check=True, capture_output=True, text=True).stdout
    names = re.findall(r"^\s*(?:\d+[.)]?\s+)?([a-z][a-z0-9]*(?:_[a-z0-9]+)+)\b", text, re.M)
    return list(dict.fromkeys(names))


def weights(rng, **shapes):
    return [numpy_helper.from_array((rng.standard_normal(s) * 0.5).astype(np.float32), n) for n, s in shapes.items()]


def integer(name, values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def model(nodes, inputs, outputs, initializers):
    graph = helper.make_graph(
        [helper.make_node(op, i.split(), o.split(), name=f"{op}_{k}", **a) for k, (op, i, o, a) in enumerate(nodes)],
        "small",
        [helper.make_tensor_value_info(n, F, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, F, s) for n, s in outputs.items()],
        initializers,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    return made


def small_models():
    """name -> (model, feeds)."""
    rng = np.random.default_rng(7)
    made = {}

    def add(name, nodes, inputs, outputs, initializers):
        feeds = {n: rng.standard_normal(s).astype(np.float32) for n, s in inputs.items()}
        made[name] = (model(nodes, inputs, outputs, initializers), feeds)

    conv = dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    norm = [
        numpy_helper.from_array(np.abs(rng.standard_normal(20)).astype(np.float32) + np.float32(0.2), n)
        for n in ("s", "v")
    ] + weights(rng, c=[20], m=[20])
    add(
        "conv_batchnorm_relu",
        [("Conv", "x w b", "a", conv), ("BatchNormalization", "a s c m v", "n", {}), ("Relu", "n", "y", {})],
        {"x": [1, 5, 9, 7]},
        {"y": [1, 20, 9, 7]},
        weights(rng, w=[20, 5, 3, 3], b=[20]) + norm,
    )
    add(
        "residual",
        [
            ("Conv", "x w b", "a", conv),
            ("Relu", "a", "r", {}),
            ("Conv", "r w2 b", "d", conv),
            ("Add", "d x", "e", {}),
            ("Sigmoid", "e", "g", {}),
            ("Mul", "e g", "y", {}),
        ],
        {"x": [1, 16, 8, 8]},
        {"y": [1, 16, 8, 8]},
        weights(rng, w=[16, 16, 3, 3], w2=[16, 16, 3, 3], b=[16]),
    )
    add(
        "transposes",
        [
            ("Transpose", "x", "a", dict(perm=[0, 3, 1, 2])),
            ("Conv", "a w b", "c", conv),
            ("Relu", "c", "d", {}),
            ("Transpose", "d", "e", dict(perm=[0, 2, 3, 1])),
            ("Transpose", "e", "f", dict(perm=[0, 3, 1, 2])),
            ("Reshape", "f shape", "g", {}),
            ("Reshape", "g shape2", "y", {}),
        ],
        {"x": [1, 6, 5, 3]},
        {"y": [2, 120]},
        weights(rng, w=[8, 3, 3, 3], b=[8]) + [integer("shape", [1, 8, 30]), integer("shape2", [2, -1])],
    )
    add(
        "shape_values",
        [
            ("Shape", "x", "s", {}),
            ("Gather", "s zero", "n", {}),
            ("Unsqueeze", "n ax", "n1", {}),
            ("Concat", "n1 minus", "t", dict(axis=0)),
            ("Reshape", "x t", "r", {}),
            ("MatMul", "r w", "y", {}),
        ],
        {"x": [3, 4, 5]},
        {"y": [3, 7]},
        weights(rng, w=[20, 7])
        + [numpy_helper.from_array(np.array(0, np.int64), "zero"), integer("ax", [0]), integer("minus", [-1])],
    )
    add(
        "constants_and_twins",
        [
            ("Add", "p q", "pq", {}),
            ("Mul", "x pq", "a", {}),
            ("Mul", "x pq", "b", {}),
            ("Exp", "a", "ea", {}),
            ("Exp", "b", "eb", {}),
            ("Sub", "ea p", "u", {}),
            ("Tanh", "u", "unused", {}),
            ("Add", "ea eb", "c", {}),
            ("Mul", "c one", "d", {}),
            ("Add", "d zero", "y", {}),
        ],
        {"x": [3, 8]},
        {"y": [3, 8]},
        weights(rng, p=[8], q=[8])
        + [numpy_helper.from_array(np.array(v, np.float32), n) for n, v in (("one", 1), ("zero", 0))],
    )
    add(
        "gemm_batchnorm",
        [
            ("Gemm", "x w b", "a", {}),
            ("BatchNormalization", "a s c m v", "n", {}),
            ("LeakyRelu", "n", "y", dict(alpha=0.1)),
        ],
        {"x": [4, 12]},
        {"y": [4, 20]},
        weights(rng, w=[12, 20], b=[20]) + norm,
    )
    add(
        "attention",
        [
            ("MatMul", "x wq", "q", {}),
            ("MatMul", "x wk", "k", {}),
            ("Transpose", "k", "kt", dict(perm=[0, 2, 1])),
            ("MatMul", "q kt", "s", {}),
            ("Softmax", "s", "p", dict(axis=-1)),
            ("MatMul", "p x", "o", {}),
            ("LayerNormalization", "o g h", "y", {}),
        ],
        {"x": [2, 7, 18]},
        {"y": [2, 7, 18]},
        weights(rng, wq=[18, 10], wk=[18, 10], g=[18], h=[18]),
    )
    add(
        "split_concat",
        [
            ("Split", "x", "a b", dict(axis=1, num_outputs=2)),
            ("Relu", "a", "c", {}),
            ("Concat", "b c a", "y", dict(axis=1)),
        ],
        {"x": [2, 6, 5]},
        {"y": [2, 9, 5]},
        [],
    )
    return made


def variants(names):
    """name -> flags."""
    table = {f"without {n}": [f"--disable-pass={n}"] for n in names}
    table["without any pass"] = [f"--disable-pass={n}" for n in names]
    table["-O0"] = ["-O0"]
    table["--opt-bisect=0"] = ["--opt-bisect=0"]
    return table


def run_once(compiler, source, artefact, flags, feeds):
    """Outputs, or the text of the error."""
    outcome = compiler.compile(source, artefact, ["-q", *flags], timeout=300)
    if not outcome.ok:
        return outcome.reason()
    with CompiledModel(artefact) as compiled:
        return compiled.run(feeds)


def differences(base, other):
    """None, or what differs by more than rounding."""
    for k, (a, b) in enumerate(zip(base, other)):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"output {k}: {b.dtype}{list(b.shape)} instead of {a.dtype}{list(a.shape)}"
        wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
        scale = np.abs(wide_a[np.isfinite(wide_a)]).max(initial=0)
        bad = np.abs(wide_a - wide_b) > 1e-4 * scale + 1e-7
        if bad.any() and bad.mean() > 1e-4:  # mlsd's scores jump in a few places
            return f"output {k}: differs by {np.abs(wide_a - wide_b).max():.3g} of {scale:.3g}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="store_true", help="on some real models too")
    parser.add_argument("-k", default="", metavar="PATTERN")
    options = parser.parse_args()
    work = {name: (made, feeds, []) for name, (made, feeds) in small_models().items()}
    if options.real:
        for m in models.MODELS:
            if m.name in ("magika_v3_3", "silero_vad_openvino_16k", "ppocrv2_cls", "blazeface_front128", "basic_pitch"):
                feeds = m.feeds()
                work[m.name] = (onnx.load(m.path()), feeds, m.shape_arguments(feeds))
    passed = failed = 0
    compiler, table = BatchCompiler(), variants(passes())
    with tempfile.TemporaryDirectory(prefix="onnxc-passes-") as folder:
        for name, (made, feeds, shapes) in work.items():
            if not re.search(options.k, name):
                continue
            source = pathlib.Path(folder) / f"{name}.onnx"
            source.write_bytes(made.SerializeToString())
            base = run_once(compiler, source, source.with_suffix(".so"), shapes, feeds)
            problems = [f"full pipeline: {base}"] if isinstance(base, str) else []
            for variant, flags in table.items() if not problems else ():
                other = run_once(compiler, source, source.with_suffix(".so"), [*shapes, *flags], feeds)
                why = other if isinstance(other, str) else differences(base, other)
                passed += why is None
                if why:
                    problems.append(f"{variant}: {why}")
            failed += len(problems)
            for p in problems:
                print(f"FAILED {name} {p}", flush=True)
    compiler.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
