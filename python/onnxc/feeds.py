"""From what the user passes to run() to arrays that the model takes, with ONNX Runtime's checks in its order:
missing inputs, conversion, then per feed its name, type, rank and dims, and at last the names of the outputs."""

from collections.abc import Sequence

import numpy

from onnxc import elements, errors
from onnxc.model_info import NodeArg

_INVALID_ARGUMENT, _CANCELLED = 1, 5  # onnxc_status
_ADVICE = " Please fix either the inputs/outputs or the model."


def check_names(args: list[NodeArg], feed: dict[str, object]) -> None:
    given = list(feed.keys())
    missing = [arg.name for arg in args if arg.name not in feed and not arg.is_optional]
    if missing:
        raise ValueError(f"Required inputs ({missing}) are missing from input feed ({given}).")
    if not all(isinstance(name, str) for name in given):
        raise TypeError("run(): incompatible function arguments: the keys of the input feed must be str")


def wanted_outputs(names: Sequence[str] | None, known: list[str]) -> list[str]:
    """The outputs to return, in this order; all of them for None and for an empty list."""
    if not names:
        return known
    if isinstance(names, str | bytes) or not all(isinstance(name, str) for name in names):
        raise TypeError("run(): incompatible function arguments: output_names must be a list of str")
    return list(names)


def to_arrays(args: list[NodeArg], index: dict[str, int], feed: dict[str, object]) -> list[numpy.ndarray]:
    """In the model's order, C-contiguous and aligned; an array that is so already is passed as it is."""
    given = {name: _as_value(name, value, args[index[name]] if name in index else None) for name, value in feed.items()}
    values: list = [None] * len(args)
    for name, value in given.items():
        if name not in index:
            raise errors.InvalidArgument.of(f"Invalid input name: {name}")
        values[index[name]] = _ready(args[index[name]], value)
    return values


def _as_value(name: str, value: object, arg: NodeArg | None) -> numpy.ndarray | list[numpy.ndarray] | None:
    """An array; of a sequence a list of arrays; None where an optional holds nothing."""
    if arg is not None and arg.is_optional and value is None:
        return None
    if arg is not None and arg.keys is not None:
        return _row_of_map(value, arg)
    if arg is None or not arg.is_sequence:
        return _as_array(name, value, arg)
    if not isinstance(value, list):
        raise RuntimeError(
            f"Unable to handle object of type {type(value)}: input '{name}' is a sequence, fed as a list"
        )
    return [_as_array(name, element, arg) for element in value]


def _row_of_map(value: object, arg: NodeArg) -> numpy.ndarray:
    """The values of the keys that the model knows; those of missing keys are 0 or empty."""
    if isinstance(value, numpy.ndarray):
        raise errors.InvalidArgument.of(
            f"input with name: '{arg.name}' expected to be of type: 1 but received a tensor"
        )
    if not isinstance(value, dict):
        raise RuntimeError(f"Unable to handle object of type {type(value)}: input '{arg.name}' is a map, fed as a dict")
    if not value:
        raise RuntimeError("Size of dictionary is empty, unable to run the prediction.")
    first = next(iter(value))
    if not isinstance(first, str | int | numpy.integer):
        raise RuntimeError(
            f"Unexpected key type  {type(first)}, it cannot be linked to C type int64_t for input '{arg.name}'."
        )
    if isinstance(first, str) != arg.type.startswith("map(string"):
        actual = "string" if isinstance(first, str) else "int64"
        raise errors.InvalidArgument.of(
            f"Unexpected input data type. Actual: ((map({actual},tensor(float)))) , expected: (({arg.type}))"
        )
    keys = arg.keys or sorted(value)
    row = numpy.full((1, len(keys)), "" if arg.dtype == object else 0, arg.dtype)
    with numpy.errstate(over="ignore"):
        for place, key in enumerate(keys):
            if key in value:
                row[0, place] = _value_of_map(value[key], arg)
    return row


def _value_of_map(value: object, arg: NodeArg) -> object:
    if isinstance(value, str) == (arg.dtype == object):
        return value
    raise RuntimeError(
        f"Unexpected value type  {type(value)}, it cannot be linked to C type string for input '{arg.name}'."
    )


def _ready(arg: NodeArg, value: numpy.ndarray | list[numpy.ndarray] | None):
    if value is None:
        return None
    if isinstance(value, list):
        return [_ready(arg, element) for element in value]
    _check(arg, value)
    return numpy.require(value, elements.DTYPES[arg.elem], ("C", "A"))


def _as_array(name: str, value: object, arg: NodeArg | None) -> numpy.ndarray:
    if isinstance(value, numpy.ndarray):
        if elements.name_of_dtype(value.dtype) is None:
            raise RuntimeError(f"Numpy_type {value.dtype.num} can't be converted to MLDataType.")
        return value
    if isinstance(value, list) and arg is not None and arg.elem:
        try:
            return numpy.array(value, elements.DTYPES[arg.elem])
        except (ValueError, TypeError):
            raise RuntimeError("Could not create tensor from given input list") from None
    if isinstance(value, list | tuple | dict | str | bytes):
        raise RuntimeError(f"Input must be a list of dictionaries or a single numpy array for input '{name}'.")
    raise RuntimeError(f"Unable to handle object of type {type(value)}")


def _check(arg: NodeArg, array: numpy.ndarray) -> None:
    actual = elements.name_of_dtype(array.dtype)
    if arg.elem != elements.NUMBERS.get(actual):
        raise errors.InvalidArgument.of(
            f"Unexpected input data type. Actual: (tensor({actual})) , expected: ({arg.type})"
        )
    wanted = arg.dims
    if wanted is None:
        return
    if array.ndim != len(wanted):
        raise errors.InvalidArgument.of(
            f"Invalid rank for input: {arg.name} Got: {array.ndim} Expected: {len(wanted)}{_ADVICE}"
        )
    wrong = [
        f" index: {i} Got: {got} Expected: {dim}"
        for i, (got, dim) in enumerate(zip(array.shape, wanted, strict=True))
        if isinstance(dim, int) and got != dim
    ]
    if wrong:
        lines = "\n".join(wrong)
        raise errors.InvalidArgument.of(
            f"Got invalid dimensions for input: {arg.name} for the following indices\n{lines}\n{_ADVICE}"
        )


def run_failure(status: int, text: str) -> Exception:
    """The exception for a status of the C ABI."""
    if status == _INVALID_ARGUMENT:
        return errors.InvalidArgument.of(text)
    if status == _CANCELLED:
        return errors.Fail.of("Exiting due to terminate flag being set to true.")
    return errors.Fail.of(text)
