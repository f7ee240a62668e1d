"""What a session tells about its model: NodeArg per input and output, ModelMetadata."""

import dataclasses

from onnxc import elements


class NodeArg:
    """An input or output: name, type as ONNX Runtime spells it, shape (a named dim is a str, an unnamed free one None)."""

    __slots__ = ("_name", "_type", "dims", "elem", "dtype", "static_shape")

    def __init__(self, name: str, type: str, dims: list | None, elem: int):
        self._name, self._type = name, type
        self.dims = dims  # None: not even the rank is known
        self.elem = elem  # the number of the element type; 0 for other kinds of values
        self.dtype = elements.DTYPES.get(elem)
        self.static_shape = tuple(dims) if self.is_static() else None

    @property
    def name(self) -> str:
        return self._name

    @property
    def type(self) -> str:
        return self._type

    @property
    def shape(self) -> list:
        return list(self.dims or [])

    def is_static(self) -> bool:
        return self.dims is not None and all(isinstance(dim, int) for dim in self.dims)

    def __repr__(self) -> str:
        return f"NodeArg(name='{self.name}', type='{self.type}', shape={self.shape})"


@dataclasses.dataclass(frozen=True)
class ModelMetadata:
    producer_name: str = ""
    graph_name: str = ""
    domain: str = ""
    description: str = ""
    graph_description: str = ""
    version: int = 2**63 - 1  # what ONNX Runtime says when the model has none
    custom_metadata_map: dict[str, str] = dataclasses.field(default_factory=dict)


def tensor_arg(name: str, elem: int, dims: list | None) -> NodeArg:
    return NodeArg(name, f"tensor({elements.NAMES[elem]})", dims, elem)
