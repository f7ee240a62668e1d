"""ONNX's element types: their numbers, ONNX Runtime's names for them, and numpy's (or ml_dtypes') types."""

import ml_dtypes
import numpy

# number: (ONNX Runtime's name, numpy type)
_TABLE = {
    1: ("float", numpy.float32),
    2: ("uint8", numpy.uint8),
    3: ("int8", numpy.int8),
    4: ("uint16", numpy.uint16),
    5: ("int16", numpy.int16),
    6: ("int32", numpy.int32),
    7: ("int64", numpy.int64),
    8: ("string", numpy.object_),
    9: ("bool", numpy.bool_),
    10: ("float16", numpy.float16),
    11: ("double", numpy.float64),
    12: ("uint32", numpy.uint32),
    13: ("uint64", numpy.uint64),
    14: ("complex64", numpy.complex64),
    15: ("complex128", numpy.complex128),
    16: ("bfloat16", ml_dtypes.bfloat16),
    17: ("float8e4m3fn", ml_dtypes.float8_e4m3fn),
    18: ("float8e4m3fnuz", ml_dtypes.float8_e4m3fnuz),
    19: ("float8e5m2", ml_dtypes.float8_e5m2),
    20: ("float8e5m2fnuz", ml_dtypes.float8_e5m2fnuz),
    21: ("uint4", ml_dtypes.uint4),
    22: ("int4", ml_dtypes.int4),
    23: ("float4e2m1", ml_dtypes.float4_e2m1fn),
    24: ("float8e8m0", ml_dtypes.float8_e8m0fnu),
    25: ("uint2", ml_dtypes.uint2),
    26: ("int2", ml_dtypes.int2),
}

DTYPES = {number: numpy.dtype(dtype) for number, (_, dtype) in _TABLE.items()}
NAMES = {number: name for number, (name, _) in _TABLE.items()}
NUMBERS = {name: number for number, name in NAMES.items()}
_BY_DTYPE = {dtype: name for (name, _), dtype in zip(_TABLE.values(), DTYPES.values(), strict=True)}
# ONNX Runtime turns these away before it looks at the model, by numpy's type number.
_NEVER = (numpy.dtype(numpy.complex64), numpy.dtype(numpy.complex128))


def name_of_dtype(dtype: numpy.dtype) -> str | None:
    """ONNX Runtime's name for an array's type; None for types that no tensor can have there."""
    if dtype.kind in "USO":
        return "string"
    if dtype in _NEVER:
        return None
    return _BY_DTYPE.get(dtype.newbyteorder("=") if dtype.kind in "iufb" else dtype)
