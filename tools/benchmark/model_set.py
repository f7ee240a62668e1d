"""The models of tools/bench: where each file comes from, what it is fed, and the goal that it is held against.

Left out of the real models of tools/models.json: quantised and weight-only ones, strings, ai.onnx.ml, If and Loop, and piper_vits_joe,
whose output's length is random."""

import dataclasses
import fnmatch
import pathlib

import feeds
import fetch_models
import make_bench_models
import numpy as np
import onnx


@dataclasses.dataclass(frozen=True)
class Model:
    name: str
    stem: str = ""  # of the file; empty: the name
    feed: str = ""  # id in feeds.py; empty: the name
    goal: float | None = None  # faster peer's time / ours, at one thread
    made: bool = False  # by make_bench_models.py, with random weights

    def path(self) -> pathlib.Path:
        return fetch_models.models_folder() / f"{self.stem or self.name}.onnx"

    def provide(self) -> pathlib.Path:
        """Fetches or makes the file where it is not there."""
        if not self.path().exists():
            if self.made:
                make_bench_models.make(self.stem or self.name, fetch_models.models_folder())
            else:
                fetch_models.provide(self.feed or self.name, fetch_models.models_folder())
        return self.path()

    def feeds(self) -> dict[str, np.ndarray]:
        return feeds.feed(self.feed or self.name)


def light(name: str, goal: float | None = None) -> Model:
    """A model of onnx's `light` suite, whose constant weights tools/materialise.py replaces."""
    return Model(name, feed=f"light_{name}", goal=goal)


MODELS = [
    light("resnet50", 1.2),
    Model("resnet50thin_opennsfw", goal=1.2),
    light("vgg19", 2.3),
    light("squeezenet", 1.2),
    light("shufflenet", 1.6),
    light("densenet121", 1.2),
    light("inception_v2"),
    Model("mobilenet_v2", made=True),
    Model("efficientnet_b0", made=True),
    Model("yolov8n_nudenet", goal=1.3),
    Model("blazeface_front128"),
    Model("mlsd_tiny_320", goal=1.4),
    Model("vit_s_focus", goal=1.1),
    Model("ppocrv4_det", goal=1.5),
    Model("ppocrv4_rec"),
    Model("ppocrv2_cls"),
    Model("crnn_ddddocr"),
    Model("bert_base_32", "bert_base", made=True),
    Model("bert_base_128", "bert_base", made=True),
    Model("lac_bigru"),
    Model("deepcut_thai"),
    Model("magika_v3_3"),
    Model("minimol_gnn"),
    Model("silero_vad_16k_sequence", goal=1.4),
    Model("silero_vad_openvino_16k"),
    Model("oww_melspectrogram", goal=2.0),
    Model("oww_embedding"),
    Model("basic_pitch", goal=2.0),
    Model("lstm_2", made=True),
    Model("gru_2", made=True),
]
SHORT_SECONDS, SHORT_GOAL = 1e-4, 2.0  # a model without a goal of its own that the faster peer runs in less than that


def fits(name: str, patterns: list[str]) -> bool:
    """Whether a pattern (shell wildcards) fits, or there is none."""
    return not patterns or any(fnmatch.fnmatchcase(name, p) for p in patterns)


def chosen(patterns: list[str]) -> list[Model]:
    return [m for m in MODELS if fits(m.name, patterns)]


def free_inputs(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> list[onnx.ValueInfoProto]:
    """Inputs that are fed and have a free dim."""
    return [v for v in model.graph.input if v.name in feed and any(d.dim_value <= 0 for d in dims_of(v))]


def dims_of(value: onnx.ValueInfoProto):
    return value.type.tensor_type.shape.dim


def with_fixed_dims(path: pathlib.Path, feed: dict[str, np.ndarray]) -> onnx.ModelProto:
    """The model with its inputs' dims as they are fed, and without what the file says of the shapes that follow from them."""
    model = onnx.load(path)
    free = free_inputs(model, feed)
    for value in free:
        for dim, extent in zip(dims_of(value), feed[value.name].shape, strict=True):
            dim.dim_value = extent
    if free:
        del model.graph.value_info[:]
        for value in model.graph.output:
            for dim in dims_of(value):
                if dim.dim_value <= 0:
                    dim.Clear()
    return model


def shape_arguments(path: pathlib.Path, feed: dict[str, np.ndarray]) -> list[str]:
    """--shape for each input with a free dim."""
    model = onnx.load(path, load_external_data=False)
    return [
        word
        for v in free_inputs(model, feed)
        for word in ("--shape", f"{v.name}={','.join(map(str, feed[v.name].shape))}")
    ]
