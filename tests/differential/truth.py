#!/usr/bin/env python3
"""The float64 truth of a model: onnx's reference evaluator on a copy raised to the newest opset whose weights, constants and
Cast targets are float64, with the operators of truth_ops.py. Results are kept under build/truth/, keyed by their makings.

    tests/differential/truth.py [MODEL ...]     # ONNX Runtime's error against the truth, per model and output"""

import hashlib
import pathlib
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, version_converter
from onnx.reference import ReferenceEvaluator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from differential import truth_ops  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parents[1] / "build" / "truth"
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def truth(path, feeds):
    """Output name -> array (float64 where the model's output is a float)."""
    key = hashlib.sha256(pathlib.Path(path).read_bytes())
    for source in ("truth.py", "truth_ops.py"):
        key.update((HERE / source).read_bytes())
    for name in sorted(feeds):
        key.update(
            name.encode() + str(feeds[name].dtype).encode() + str(feeds[name].shape).encode() + feeds[name].tobytes()
        )
    kept = CACHE / f"{pathlib.Path(path).stem}-{key.hexdigest()[:16]}.npz"
    if kept.exists():
        with np.load(kept) as data:
            names = [str(n) for n in data["names"]]
            return {n: data[f"output_{k}"] for k, n in enumerate(names)}
    outputs = compute_truth(onnx.load(path), feeds)
    CACHE.mkdir(parents=True, exist_ok=True)
    np.savez(kept, names=np.array(list(outputs)), **{f"output_{k}": v for k, v in enumerate(outputs.values())})
    return outputs


def compute_truth(model, feeds):
    model = to_float64(raise_opset(model))
    evaluator = ReferenceEvaluator(model, new_ops=truth_ops.TRUTH_OPS)
    wide = {k: v.astype(np.float64) if v.dtype in (np.float32, np.float16) else v for k, v in feeds.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = evaluator.run(None, wide)
    return dict(zip(evaluator.output_names, values))


def raise_opset(model):
    """A copy at the newest opset. Old Softmax (the input flattened to two dims) becomes a chain that says so. Initializers
    that are graph inputs become mere initializers, and what the converter does not need to see is kept out of it."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    model.ir_version = max(model.ir_version, 10)
    newest = onnx.defs.onnx_opset_version()
    weights = {i.name for i in model.graph.initializer}
    inputs = [v for v in model.graph.input if v.name not in weights]
    copy = [onnx.ValueInfoProto.FromString(v.SerializeToString()) for v in inputs]
    del model.graph.input[:]
    model.graph.input.extend(copy)
    declare_rank_only(model.graph)
    other = [o for o in model.opset_import if o.domain not in ("", "ai.onnx")]
    if any(n.domain not in ("", "ai.onnx") for n in model.graph.node):
        return model
    for o in other:
        model.opset_import.remove(o)
    big = take_out_big(model.graph)
    model = version_converter.convert_version(model, newest)
    for tensor in model.graph.initializer:
        if tensor.name in big:
            tensor.CopyFrom(big[tensor.name])
    return model


def declare_rank_only(graph):
    """Exporters write negative dims and question marks; the converter wants dims that it can read."""
    for value in graph.input:
        for k, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_value < 0 or dim.dim_param == "?":
                dim.Clear()
                dim.dim_param = f"{value.name}_{k}"
    del graph.value_info[:]


def take_out_big(graph, limit=1 << 16):
    """Replaces big float weights by tensors without data, which the converter carries along; returns them by name."""
    big = {}
    for tensor in graph.initializer:
        if len(tensor.raw_data) > limit:
            big[tensor.name] = TensorProto.FromString(tensor.SerializeToString())
            tensor.ClearField("raw_data")
    return big


def to_float64(model):
    graph_to_float64(model.graph)
    return model


def graph_to_float64(graph):
    for tensor in graph.initializer:
        widen(tensor)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type in FLOATS:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    del graph.value_info[:]
    for node in graph.node:
        for attribute in node.attribute:
            attribute_to_float64(node, attribute)


def attribute_to_float64(node, attribute):
    if attribute.HasField("t"):
        widen(attribute.t)
    elif attribute.HasField("g"):
        graph_to_float64(attribute.g)
    elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
        values = attribute.f if attribute.name == "value_float" else list(attribute.floats)
        attribute.CopyFrom(
            onnx.helper.make_attribute(
                "value", numpy_helper.from_array(np.array(values, np.float32).astype(np.float64))
            )
        )
    elif attribute.name in ("to", "dtype") and attribute.i in FLOATS:
        if node.op_type in ("Cast", "EyeLike", "RandomNormal", "RandomUniform"):
            attribute.i = TensorProto.DOUBLE


def widen(tensor):
    if tensor.data_type in FLOATS:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))


def errors(actual, exact):
    """(max absolute error, RMS of the truth) over the finite values; infinite where non-finite values differ."""
    actual, exact = np.asarray(actual, np.float64), np.asarray(exact, np.float64)
    if actual.shape != exact.shape:
        return np.inf, np.inf
    if not actual.size:
        return 0.0, 0.0
    finite = np.isfinite(exact)
    if not np.array_equal(actual[~finite], exact[~finite], equal_nan=True) or not np.isfinite(actual[finite]).all():
        return np.inf, np.inf
    difference = np.abs(actual[finite] - exact[finite])
    return float(difference.max(initial=0)), float(np.sqrt(np.mean(exact[finite] ** 2))) if finite.any() else 0.0


def main():
    from differential import models

    print(f"{'model':26} {'output':36} {'shape':22} {'ORT error':>10} {'RMS':>10} {'of RMS':>9}  seconds")
    import time

    for model in models.MODELS:
        if len(sys.argv) > 1 and model.name not in sys.argv[1:]:
            continue
        feeds, start = model.feeds(), time.time()
        exact = truth(model.path(), feeds)
        spent = time.time() - start
        session = models.ort_session(model.path())
        for output, value in zip(session.get_outputs(), session.run(None, feeds)):
            error, rms = errors(value, exact[output.name])
            print(
                f"{model.name:26} {output.name:36} {str(value.shape):22} {error:10.3g} {rms:10.3g} {error / rms if rms else 0:9.2g}  {spent:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
