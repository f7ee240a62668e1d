#!/usr/bin/env python3
"""Give the `light_*` models (whose weights are all one constant) random, well-scaled weights: same graph, real numerics.

    tools/materialise.py light_X.onnx X.onnx

Weights are He-initialised from a fixed seed; the last Gemm/Conv before the softmax is rescaled so that the logits have
a standard deviation of about 2, which keeps the outputs informative instead of saturated.
"""

import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper as nh


def weight(rng, op, slot, shape):
    if op == "BatchNormalization":
        return rng.uniform(0.5, 1.5, shape) if slot in (1, 4) else rng.normal(0, 0.1, shape)
    if op in ("Conv", "Gemm", "MatMul") and len(shape) >= 2:
        fan_in = np.prod(shape[1:]) if op == "Conv" else shape[0] if op == "MatMul" else max(shape)
        return rng.normal(0, np.sqrt(2 / fan_in), shape)
    return rng.normal(0, 0.1, shape)


def materialise(model):
    rng, g = np.random.default_rng(0), model.graph
    init = {i.name: nh.to_array(i) for i in g.initializer}
    user = {}
    for node in g.node:
        for slot, name in enumerate(node.input):
            user.setdefault(name, (node.op_type, slot))
    nodes, fresh = [], []
    for node in g.node:
        if node.op_type == "ConstantOfShape" and node.input[0] in init:
            shape = tuple(int(d) for d in init[node.input[0]])
            fresh.append(
                nh.from_array(weight(rng, *user.get(node.output[0], ("", 0)), shape).astype(np.float32), node.output[0])
            )
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    inits = [i for i in g.initializer if i.name in used] + fresh
    names = {i.name for i in inits}
    inputs = [i for i in g.input if i.name in used and i.name not in names]
    for field, value in ((g.node, nodes), (g.initializer, inits), (g.input, inputs)):
        del field[:]
        field.extend(value)
    model.ir_version = max(model.ir_version, 4)
    scale_logits(model)
    onnx.checker.check_model(model)
    return model


def scale_logits(model):
    g = model.graph
    softmax = next((n for n in reversed(g.node) if n.op_type == "Softmax"), None)
    logits = softmax.input[0] if softmax else g.output[0].name
    producer = {o: n for n in g.node for o in n.output}
    head = producer[logits]
    while head.op_type not in ("Gemm", "Conv"):
        head = producer[head.input[0]]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.append(onnx.helper.make_tensor_value_info(logits, onnx.TensorProto.FLOAT, None))
    s = ort.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    i = s.get_inputs()[0]
    y = s.run(None, {i.name: np.random.default_rng(1).normal(size=i.shape).astype(np.float32)})[0]
    for t in g.initializer:
        if t.name in head.input[1:]:
            t.CopyFrom(nh.from_array((nh.to_array(t) * np.float32(2 / y.std())), t.name))


if __name__ == "__main__":
    source, target = sys.argv[1:]
    onnx.save(materialise(onnx.load(source)), target, format="protobuf")
