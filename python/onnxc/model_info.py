"""What a session tells about its model: NodeArg per input and output, ModelMetadata."""

import dataclasses

from onnxc import elements


class NodeArg:
    """An input or output: name, type as ONNX Runtime spells it, shape (a named dim is a str, an unnamed free one None)."""

    __slots__ = ("_name", "_type", "dims", "elem", "dtype", "is_sequence", "is_optional", "keys")

    def __init__(
        self,
        name: str,
        type: str,
        dims: list | None,
        elem: int,
        is_sequence: bool = False,
        is_optional: bool = False,
        keys: list | None = None,
    ):
        self._name, self._type = name, type
        self.is_sequence, self.is_optional = is_sequence, is_optional
        self.keys = (
            keys  # of a map, whose values the model takes as a row in this order; empty: all, in ascending order
        )
        self.dims = dims  # None: not even the rank is known; of a sequence or optional: of its elements
        self.elem = elem  # the number of the element type
        self.dtype = elements.DTYPES.get(elem)

    @property
    def name(self) -> str:
        return self._name

    @property
    def type(self) -> str:
        return self._type

    @property
    def shape(self) -> list:
        return [] if self.is_sequence or self.keys is not None else list(self.dims or [])

    @property
    def is_list(self) -> bool:
        """Whether it is a sequence or an optional."""
        return self.is_sequence or self.is_optional

    def is_static(self) -> bool:
        """Whether the model can be compiled without seeing it."""
        if self.is_list or self.keys is not None:
            return True
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


def list_arg(name: str, elem: int, dims: list | None, is_sequence: bool, is_optional: bool) -> NodeArg:
    type = f"tensor({elements.NAMES[elem]})"
    if is_sequence:
        type = f"seq({type})"
    if is_optional:
        type = f"optional({type})"
    return NodeArg(name, type, dims, elem, is_sequence, is_optional)
