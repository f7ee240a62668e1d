"""All cases of onnx.backend.test: node cases (built in memory), simple, pytorch-converted, pytorch-operator, light.

The light models are taken as they are (weights by ConstantOfShape), with the input ramp and the outputs of onnx's runner."""

import dataclasses
import functools
import json
import pathlib
import warnings

import numpy as np
import onnx
import onnx.backend.test
from onnx import numpy_helper

DATA = pathlib.Path(onnx.backend.test.__file__).parent / "data"
SUITES = ["node", "node-expanded", "simple", "pytorch-converted", "pytorch-operator", "light"]

# Random operators: nothing but element type and shape can be compared.
SHAPE_ONLY = {
    "test_bernoulli",
    "test_bernoulli_double",
    "test_bernoulli_seed",
    "test_bernoulli_expanded",
    "test_bernoulli_double_expanded",
    "test_bernoulli_seed_expanded",
    "test_training_dropout",
    "test_training_dropout_default",
    "test_training_dropout_default_mask",
    "test_training_dropout_mask",
}


@dataclasses.dataclass
class Case:
    name: str
    suite: str
    model: onnx.ModelProto
    data_sets: list  # of (inputs, outputs): lists of numpy arrays, lists of these, or None
    rtol: float
    atol: float

    @property
    def shape_only(self):
        return self.name in SHAPE_ONLY

    def feeds(self, inputs):
        return {value.name: array for value, array in zip(self.model.graph.input, inputs)}

    @functools.cached_property
    def operators(self):
        return sorted({node.op_type for node in self.model.graph.node})


def collect(pattern=None):
    """All cases whose name matches the compiled `pattern`, in a fixed order."""
    cases = [
        *node_cases(),
        *disk_cases("simple"),
        *disk_cases("pytorch-converted"),
        *disk_cases("pytorch-operator"),
        *light_cases(),
    ]
    return [c for c in cases if pattern is None or pattern.search(c.name)]


def node_cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collected = collect_testcases(None)
    for c in collected:
        suite = "node-expanded" if "_expanded" in c.name else "node"
        data = [([to_numpy(i) for i in inputs], [to_numpy(o) for o in outputs]) for inputs, outputs in c.data_sets]
        yield Case(c.name, suite, c.model, data, c.rtol, c.atol)


def to_numpy(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, (list, tuple)):
        return [to_numpy(v) for v in value]
    return np.asarray(value)


def disk_cases(suite):
    for folder in sorted((DATA / suite).iterdir()):
        if not (folder / "model.onnx").exists():
            continue
        settings = json.loads((folder / "data.json").read_text()) if (folder / "data.json").exists() else {}
        model = onnx.load(folder / "model.onnx")
        data = []
        for data_set in sorted(folder.glob("test_data_set_*")):
            data.append(
                tuple(
                    [
                        read_value(data_set / f"{side}_{k}.pb", value.type)
                        for k, value in enumerate(values)
                        if (data_set / f"{side}_{k}.pb").exists()
                    ]
                    for side, values in (("input", model.graph.input), ("output", model.graph.output))
                )
            )
        yield Case(folder.name, suite, model, data, settings.get("rtol", 1e-3), settings.get("atol", 1e-7))


def read_value(path, value_type):
    kinds = {
        "sequence_type": (onnx.SequenceProto, numpy_helper.to_list),
        "optional_type": (onnx.OptionalProto, numpy_helper.to_optional),
        "map_type": (onnx.MapProto, numpy_helper.to_dict),
    }
    proto, convert = kinds.get(value_type.WhichOneof("value"), (onnx.TensorProto, numpy_helper.to_array))
    message = proto()
    message.ParseFromString(path.read_bytes())
    return convert(message)


def light_cases():
    for path in sorted((DATA / "light").glob("light_*.onnx")):
        name = path.stem.removeprefix("light_")
        settings = json.loads((DATA / "real" / f"test_{name}" / "data.json").read_text())
        model = onnx.load(path)
        weights = {i.name for i in model.graph.initializer}
        values = [v for v in model.graph.input if v.name not in weights]
        # Case.feeds pairs inputs with graph inputs by position: keep only those that are fed
        inputs = [ramp([d.dim_value or 1 for d in v.type.tensor_type.shape.dim]) for v in values]
        outputs = [
            numpy_helper.to_array(onnx.load_tensor(path.with_name(f"{path.stem}_output_{k}.pb")))
            for k in range(len(model.graph.output))
        ]
        case = Case(
            f"test_{name}", "light", model, [(inputs, outputs)], settings.get("rtol", 1e-3), settings.get("atol", 1e-7)
        )
        case.feeds = lambda arrays, names=tuple(v.name for v in values): dict(zip(names, arrays))
        yield case


def ramp(shape):
    count = int(np.prod(shape))
    return (np.arange(count).reshape(shape) / count).astype(np.float32)
