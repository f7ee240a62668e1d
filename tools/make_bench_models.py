#!/usr/bin/env python3
"""Makes the models of tools/bench that no package ships: common architectures with random, well-scaled weights, the same bytes
at each run. The shapes are the published ones; the weights of Conv are as after Conv + BatchNormalization was folded.

    tools/make_bench_models.py [--out FOLDER] [ID ...]
"""

import argparse
import math
import os
import pathlib
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent
OPSET, IR_VERSION = 17, 8


class Builder:
    """A graph under construction. Layers take and give the name of a value; weights have variance gain / fan-in."""

    def __init__(self, name: str):
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(zlib.crc32(name.encode()))

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes) -> str | list[str]:
        stem = f"{operator.lower()}_{len(self.nodes)}"
        names = [stem] if outputs == 1 else [f"{stem}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=stem, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, value, dtype=np.float32) -> str:
        array = np.asarray(value, dtype)
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def normal(self, *shape: int, fan_in: int, gain: float = 1.0) -> str:
        return self.constant(self.random.standard_normal(shape) * math.sqrt(gain / fan_in))

    def bias(self, *shape: int) -> str:
        return self.constant(self.random.standard_normal(shape) * 0.1)

    def conv(
        self, x: str, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, group: int = 1, gain=1.0
    ) -> str:
        fan_in = inputs // group * kernel * kernel
        weights = self.normal(outputs, inputs // group, kernel, kernel, fan_in=fan_in, gain=gain)
        pads = [(kernel - 1) // 2] * 4
        return self.add("Conv", x, weights, self.bias(outputs), kernel_shape=[kernel] * 2, strides=[stride] * 2,
                        pads=pads, group=group)  # fmt: skip

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        return self.add("Add", self.add("MatMul", x, self.normal(inputs, outputs, fan_in=inputs)), self.bias(outputs))

    def classifier(self, x: str, inputs: int) -> str:
        pooled = self.add("Flatten", self.add("GlobalAveragePool", x))
        return self.add("Gemm", pooled, self.normal(inputs, 1000, fan_in=inputs), self.bias(1000))

    def model(self, inputs: dict[str, tuple], outputs: dict[str, tuple[str, tuple]]) -> onnx.ModelProto:
        """inputs: name -> dims, floats; outputs: name -> (value, dims)."""
        for name, (value, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [name], name=f"output_{name}"))
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, d) for n, d in inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, d) for n, (_, d) in outputs.items()],
            self.weights,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="onnxc"
        )
        onnx.checker.check_model(model)
        return model


def mobilenet_v2() -> onnx.ModelProto:
    """MobileNetV2 1.0 at 224 x 224 (Sandler et al., 2018, table 2)."""
    b = Builder("mobilenet_v2")
    low, high = b.constant(0), b.constant(6)

    def relu6(x):
        return b.add("Clip", x, low, high)

    x, channels = relu6(b.conv("x", 3, 32, 3, 2, gain=2)), 32
    for expansion, outputs, repeats, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                                                (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:  # fmt: skip
        for turn in range(repeats):
            step, wide, y = stride if turn == 0 else 1, channels * expansion, x
            if expansion > 1:
                y = relu6(b.conv(y, channels, wide, gain=2))
            y = relu6(b.conv(y, wide, wide, 3, step, group=wide, gain=2))
            y = b.conv(y, wide, outputs)
            x, channels = (b.add("Add", x, y) if step == 1 and channels == outputs else y), outputs
    x = relu6(b.conv(x, channels, 1280, gain=2))
    return b.model({"x": (1, 3, 224, 224)}, {"y": (b.classifier(x, 1280), (1, 1000))})


def efficientnet_b0() -> onnx.ModelProto:
    """EfficientNet-B0 at 224 x 224 (Tan and Le, 2019, table 1), with squeeze-and-excitation of a quarter."""
    b = Builder("efficientnet_b0")

    def swish(x):
        return b.add("Mul", x, b.add("Sigmoid", x))

    def excite(x, wide, squeezed):
        y = swish(b.conv(b.add("GlobalAveragePool", x), wide, squeezed))
        return b.add("Mul", x, b.add("Sigmoid", b.conv(y, squeezed, wide)))

    x, channels = swish(b.conv("x", 3, 32, 3, 2, gain=2)), 32
    for expansion, outputs, repeats, stride, kernel in [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5),
                                                        (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
                                                        (6, 320, 1, 1, 3)]:  # fmt: skip
        for turn in range(repeats):
            step, wide, y = stride if turn == 0 else 1, channels * expansion, x
            if expansion > 1:
                y = swish(b.conv(y, channels, wide, gain=2))
            y = swish(b.conv(y, wide, wide, kernel, step, group=wide, gain=2))
            y = b.conv(excite(y, wide, max(1, channels // 4)), wide, outputs)
            x, channels = (b.add("Add", x, y) if step == 1 and channels == outputs else y), outputs
    x = swish(b.conv(x, channels, 1280, gain=2))
    return b.model({"x": (1, 3, 224, 224)}, {"y": (b.classifier(x, 1280), (1, 1000))})


def bert_base() -> onnx.ModelProto:
    """The 12 layers of BERT-base (Devlin et al., 2018) without the embeddings, written as exporters write them: `mask` is 1
    for a token and 0 for padding."""
    layers, width, heads = 12, 768, 12
    b = Builder("bert_base")
    split, merge = b.constant([0, 0, heads, width // heads], np.int64), b.constant([0, 0, width], np.int64)
    scale, half, one, root = (b.constant(v) for v in (math.sqrt(width // heads), 0.5, 1, math.sqrt(2)))
    masked = b.add("Mul", b.add("Sub", one, b.add("Unsqueeze", "mask", b.constant([1, 2], np.int64))), b.constant(-1e4))

    def heads_of(x, order):
        return b.add("Transpose", b.add("Reshape", x, split), perm=order)

    def norm(x):
        gain = b.constant(1 + 0.1 * b.random.standard_normal(width))
        return b.add("LayerNormalization", x, gain, b.bias(width), axis=-1, epsilon=1e-12)

    def attention(x):
        query, key = (
            heads_of(b.linear(x, width, width), [0, 2, 1, 3]),
            heads_of(b.linear(x, width, width), [0, 2, 3, 1]),
        )
        value = heads_of(b.linear(x, width, width), [0, 2, 1, 3])
        scores = b.add("Add", b.add("Div", b.add("MatMul", query, key), scale), masked)
        mixed = b.add("MatMul", b.add("Softmax", scores, axis=-1), value)
        return b.linear(b.add("Reshape", b.add("Transpose", mixed, perm=[0, 2, 1, 3]), merge), width, width)

    def gelu(x):
        return b.add("Mul", b.add("Mul", x, b.add("Add", b.add("Erf", b.add("Div", x, root)), one)), half)

    x = "x"
    for _ in range(layers):
        x = norm(b.add("Add", x, attention(x)))
        x = norm(b.add("Add", x, b.linear(gelu(b.linear(x, width, 4 * width)), 4 * width, width)))
    dims = ("batch", "tokens", width)
    return b.model({"x": dims, "mask": ("batch", "tokens")}, {"y": (x, dims)})


def recurrent(name: str, operator: str, gates: int) -> onnx.ModelProto:
    """Two layers of 256 over a sequence of 128 features, as PyTorch exports them."""
    b = Builder(name)
    x, inputs, hidden = "x", 128, 256
    attributes = {"linear_before_reset": 1} if operator == "GRU" else {}
    for _ in range(2):
        w = b.normal(1, gates * hidden, inputs, fan_in=inputs)
        r = b.normal(1, gates * hidden, hidden, fan_in=hidden)
        y = b.add(operator, x, w, r, b.bias(1, 2 * gates * hidden), outputs=2, hidden_size=hidden, **attributes)[0]
        x, inputs = b.add("Squeeze", y, b.constant([1], np.int64)), hidden
    return b.model({"x": ("steps", "batch", 128)}, {"y": (x, ("steps", "batch", hidden))})


MAKERS = {
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_b0": efficientnet_b0,
    "bert_base": bert_base,
    "lstm_2": lambda: recurrent("lstm_2", "LSTM", 4),
    "gru_2": lambda: recurrent("gru_2", "GRU", 3),
}


def make(identifier: str, folder: pathlib.Path) -> pathlib.Path:
    """Makes sure that FOLDER/IDENTIFIER.onnx is there."""
    path = folder / f"{identifier}.onnx"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(MAKERS[identifier]().SerializeToString(deterministic=True))
        part.replace(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the models with random weights of tools/bench.")
    folder = pathlib.Path(os.environ.get("ONNXC_MODELS") or ROOT / "build/models")
    parser.add_argument("--out", type=pathlib.Path, default=folder)
    parser.add_argument("ids", nargs="*", metavar="ID", help=f"of {', '.join(MAKERS)}; without: all")
    arguments = parser.parse_args()
    if unknown := set(arguments.ids) - set(MAKERS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    for identifier in arguments.ids or MAKERS:
        print(make(identifier, arguments.out))


if __name__ == "__main__":
    main()
