"""ONNX element types and their numpy forms, and the packed form that sub-byte types have at the C ABI.

Inside numpy every element takes at least a byte (ml_dtypes); at the boundary of a compiled model 4-bit and 2-bit
elements are packed as ONNX packs them, the first element in the low bits. Tested in tests/api/test_support.py."""

import ml_dtypes
import numpy as np

# TensorProto.DataType -> numpy type
NUMPY = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    4: np.uint16,
    5: np.int16,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float16,
    11: np.float64,
    12: np.uint32,
    13: np.uint64,
    14: np.complex64,
    15: np.complex128,
    16: ml_dtypes.bfloat16,
    17: ml_dtypes.float8_e4m3fn,
    18: ml_dtypes.float8_e4m3fnuz,
    19: ml_dtypes.float8_e5m2,
    20: ml_dtypes.float8_e5m2fnuz,
    21: ml_dtypes.uint4,
    22: ml_dtypes.int4,
    23: ml_dtypes.float4_e2m1fn,
    24: ml_dtypes.float8_e8m0fnu,
    25: ml_dtypes.uint2,
    26: ml_dtypes.int2,
}
ELEM = {np.dtype(t): e for e, t in NUMPY.items()}
BITS = {21: 4, 22: 4, 23: 4, 25: 2, 26: 2}


def elem_of(array):
    return ELEM[array.dtype]


def bits_of(elem):
    return BITS.get(elem, np.dtype(NUMPY[elem]).itemsize * 8)


def packed_bytes(elem, count):
    return (count * bits_of(elem) + 7) // 8


def pack(array):
    """The bytes of `array` as a compiled model takes them: a contiguous array, of uint8 for packed types."""
    elem = elem_of(array)
    array = np.ascontiguousarray(array)
    if elem not in BITS:
        return array
    bits = BITS[elem]
    per_byte = 8 // bits
    codes = array.reshape(-1).view(np.uint8) & ((1 << bits) - 1)
    codes = np.concatenate([codes, np.zeros(-len(codes) % per_byte, np.uint8)]).reshape(-1, per_byte)
    packed = np.zeros(len(codes), np.uint8)
    for k in range(per_byte):
        packed |= (codes[:, k] << (bits * k)).astype(np.uint8)
    return packed


def unpack(data, elem, shape):
    """The opposite of pack(): `data` is a uint8 array of packed_bytes(elem, product of shape) bytes."""
    if elem not in BITS:
        return data.view(NUMPY[elem]).reshape(shape)
    bits = BITS[elem]
    count = int(np.prod(shape, dtype=np.int64))
    codes = np.stack([(data >> (bits * k)) & ((1 << bits) - 1) for k in range(8 // bits)], 1).reshape(-1)[:count]
    if elem in (22, 26):  # signed: ml_dtypes wants the sign bit in place
        codes = codes.astype(np.int8)
        codes = np.where(codes >= 1 << (bits - 1), codes - (1 << bits), codes).astype(np.int8)
        return codes.astype(NUMPY[elem]).reshape(shape)
    if elem == 23:
        return codes.astype(np.uint8).view(NUMPY[elem]).reshape(shape)
    return codes.astype(NUMPY[elem]).reshape(shape)
