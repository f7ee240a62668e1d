"""Loads a compiled model by its C ABI (runtime_lib/include/onnxc/onnxc.h) with nothing but ctypes and numpy.

The harnesses use this instead of the package `onnxc`, so that a fault is the compiler's or the model's and not the
package's. Arena and session memory are given by the caller: the model runs without a host table unless one is needed."""

import _ctypes
import ctypes as C
import pathlib

import numpy as np

from . import elements
from .compiler import find_onnxc

MAX_RANK = 8
TENSOR, STRING_TENSOR, SEQUENCE, OPTIONAL = 1, 2, 3, 5  # onnxc_kind
STATUS = {
    0: "ok",
    1: "invalid argument",
    2: "out of memory",
    3: "incompatible",
    4: "failed",
    5: "cancelled",
    6: "internal",
}


class Value(C.Structure):
    _fields_ = [
        ("struct_size", C.c_uint32),
        ("kind", C.c_uint32),
        ("elem", C.c_int32),
        ("rank", C.c_uint32),
        ("dims", C.c_int64 * MAX_RANK),
        ("data", C.c_void_p),
        ("capacity", C.c_uint64),
        ("object", C.c_void_p),
    ]


class String(C.Structure):
    _fields_ = [("data", C.c_char_p), ("bytes", C.c_uint64)]


class StringView(C.Structure):  # whose characters are not the caller's
    _fields_ = [("data", C.c_void_p), ("bytes", C.c_uint64)]


class Message(C.Structure):
    _fields_ = [("struct_size", C.c_uint32), ("text", C.c_char * 256)]


ALLOCATE = C.CFUNCTYPE(C.c_void_p, C.c_void_p, C.c_uint64, C.c_uint64)
RELEASE = C.CFUNCTYPE(None, C.c_void_p, C.c_void_p)


class Host(C.Structure):
    _fields_ = [
        ("struct_size", C.c_uint32),
        ("abi_version", C.c_uint32),
        ("user", C.c_void_p),
        ("allocate", ALLOCATE),
        ("release", RELEASE),
        ("parallel", C.c_void_p),
        ("max_threads", C.c_int32),
        ("profile", C.c_void_p),
        ("cancel", C.c_void_p),
    ]


class ValueInfo(C.Structure):
    _fields_ = [
        ("struct_size", C.c_uint32),
        ("kind", C.c_uint32),
        ("name", C.c_char_p),
        ("elem", C.c_int32),
        ("rank", C.c_int32),
        ("dims", C.POINTER(C.c_int64)),
        ("dim_names", C.POINTER(C.c_char_p)),
        ("alias_of", C.c_int32),
        ("flags", C.c_uint32),
    ]


class Metadata(C.Structure):
    _fields_ = [("key", C.c_char_p), ("value", C.c_char_p)]


class ModelInfo(C.Structure):
    _fields_ = [
        ("struct_size", C.c_uint32),
        ("abi_version", C.c_uint32),
        ("name", C.c_char_p),
        ("compiler", C.c_char_p),
        ("target", C.c_char_p),
        ("required_features", C.c_uint64),
        ("model_hash", C.c_uint8 * 32),
        ("weights_hash", C.c_uint64),
        ("weights_bytes", C.c_uint64),
        ("weights", C.c_void_p),
        ("arena_bytes", C.c_uint64),
        ("session_bytes", C.c_uint64),
        ("num_inputs", C.c_uint32),
        ("num_outputs", C.c_uint32),
        ("num_metadata", C.c_uint32),
        ("num_operations", C.c_uint32),
        ("inputs", C.POINTER(ValueInfo)),
        ("outputs", C.POINTER(ValueInfo)),
        ("metadata", C.POINTER(Metadata)),
        ("operations", C.POINTER(C.c_char_p)),
    ]


class CreateArgs(C.Structure):
    _fields_ = [
        ("struct_size", C.c_uint32),
        ("abi_version", C.c_uint32),
        ("host", C.POINTER(Host)),
        ("session_memory", C.c_void_p),
        ("session_memory_bytes", C.c_uint64),
        ("weights", C.c_void_p),
        ("weights_bytes", C.c_uint64),
        ("num_threads", C.c_int32),
    ]


class RunArgs(C.Structure):
    _fields_ = [
        ("struct_size", C.c_uint32),
        ("num_inputs", C.c_uint32),
        ("num_outputs", C.c_uint32),
        ("inputs", C.POINTER(Value)),
        ("outputs", C.POINTER(Value)),
        ("arena", C.c_void_p),
        ("arena_bytes", C.c_uint64),
    ]


CREATE = C.CFUNCTYPE(C.c_int, C.POINTER(CreateArgs), C.POINTER(C.c_void_p), C.POINTER(Message))
RUN = C.CFUNCTYPE(C.c_int, C.c_void_p, C.POINTER(RunArgs), C.POINTER(Message))
DESTROY = C.CFUNCTYPE(None, C.c_void_p)


class Model(C.Structure):
    _fields_ = [
        ("struct_size", C.c_uint32),
        ("abi_version", C.c_uint32),
        ("info", C.POINTER(ModelInfo)),
        ("create", CREATE),
        ("run", RUN),
        ("destroy", DESTROY),
    ]


class ModelError(RuntimeError):
    """A call into the model came back with a status other than ok."""


def aligned(nbytes, alignment):
    """A uint8 array of `nbytes` whose address is a multiple of `alignment`."""
    nbytes = max(int(nbytes), 1)  # numpy puts an empty slice anywhere
    raw = np.empty(nbytes + alignment, np.uint8)
    start = -raw.ctypes.data % alignment
    return raw[start : start + nbytes]


def make_host():
    """A host table that allocates numpy memory; it keeps what is allocated until released."""
    held = {}

    def allocate(_, nbytes, alignment):
        memory = aligned(max(nbytes, 1), max(alignment, 64))
        held[memory.ctypes.data] = memory
        return memory.ctypes.data

    def release(_, pointer):
        held.pop(pointer, None)

    host = Host(C.sizeof(Host), 1, None, ALLOCATE(allocate), RELEASE(release), None, 1, None, None)
    host.held = held
    return host


def load_library(path):
    """A model that decodes pictures finds libonnxc_images.so beside itself, or open already."""
    try:
        return C.CDLL(str(path))
    except OSError as e:
        if "libonnxc_images.so" not in str(e):
            raise
        C.CDLL(str(find_onnxc().parent / "libonnxc_images.so"))
        return C.CDLL(str(path))


class CompiledModel:
    """A compiled model in a shared library. `symbol` names its entry (several models may share one library). `host`: none,
    one that allocates, or one that the caller made of make_host()."""

    def __init__(self, path, symbol="onnxc_get_model", host=False):
        self.library = load_library(pathlib.Path(path).resolve())
        get = getattr(self.library, symbol)
        get.restype = C.POINTER(Model)
        self.model = get().contents
        self.info = self.model.info.contents
        self.inputs = [self.info.inputs[i] for i in range(self.info.num_inputs)]
        self.outputs = [self.info.outputs[i] for i in range(self.info.num_outputs)]
        self.host = make_host() if host is True else host or None
        self.arena = aligned(self.info.arena_bytes, 64)
        self.session_memory = aligned(self.info.session_bytes, 16)
        self.weights = None  # the model's own, unless they are kept apart (--weights=separate)
        if self.info.weights_bytes and not self.info.weights:
            self.weights = np.memmap(pathlib.Path(path).with_suffix(".weights"), np.uint8, "r")
        args = CreateArgs(
            C.sizeof(CreateArgs),
            1,
            C.pointer(self.host) if host else None,
            self.session_memory.ctypes.data or None,
            self.info.session_bytes,
            None if self.weights is None else self.weights.ctypes.data,
            0 if self.weights is None else self.weights.size,
            1,
        )
        self.session = C.c_void_p()
        self.check(self.model.create, C.byref(args), C.byref(self.session))

    @staticmethod
    def check(function, *args):
        message = Message(C.sizeof(Message))
        status = function(*args, C.byref(message))
        if status != 0:
            raise ModelError(f"{STATUS.get(status, status)}: {message.text.decode(errors='replace')}")

    def input_names(self):
        return [i.name.decode() for i in self.inputs]

    def output_names(self):
        return [o.name.decode() for o in self.outputs]

    def run(self, feeds):
        """feeds: input name -> array. Returns the outputs in the model's order."""
        ins, keep = self.prepare_inputs(feeds)
        outs, buffers = self.prepare_outputs()
        self.call(ins, outs)
        del keep
        return [self.read_output(o, b) for o, b in zip(outs, buffers)]

    def call(self, ins, outs):
        args = RunArgs(
            C.sizeof(RunArgs), len(ins), len(outs), ins, outs, self.arena.ctypes.data or None, self.info.arena_bytes
        )
        self.check(self.model.run, self.session, C.byref(args))

    def prepare_inputs(self, feeds):
        ins, keep = (Value * len(self.inputs))(), []
        for value, info in zip(ins, self.inputs):
            self.fill_value(value, feeds[info.name.decode()], keep)
        return ins, keep

    def fill_value(self, value, given, keep):
        """A tensor of an array, a sequence of a list, an empty optional of None."""
        value.struct_size = C.sizeof(Value)
        if given is None:
            value.kind = OPTIONAL
        elif isinstance(given, (list, tuple)):
            items = (Value * len(given))()
            keep.append(items)
            value.kind, value.rank, value.dims[0] = SEQUENCE, 1, len(given)
            value.data = C.addressof(items)
            for item, array in zip(items, given):
                self.fill_value(item, array, keep)
        else:
            array = np.asarray(given)
            strings = array.dtype.kind in "OUS"
            value.kind = STRING_TENSOR if strings else TENSOR
            value.elem, value.rank = 8 if strings else elements.elem_of(array), array.ndim
            value.dims[: array.ndim] = array.shape
            if strings:
                texts = [t if isinstance(t, bytes) else str(t).encode() for t in array.ravel()]
                data = (String * len(texts))(*[String(t, len(t)) for t in texts])
                keep += [texts, data]
                value.data, value.capacity = C.addressof(data), C.sizeof(data)
                return
            data = elements.pack(array)
            keep.append(data)
            value.data, value.capacity = data.ctypes.data, data.nbytes

    def prepare_outputs(self):
        outs, buffers = (Value * len(self.outputs))(), []
        for value, info in zip(outs, self.outputs):
            value.struct_size, value.kind, value.elem = C.sizeof(Value), info.kind, info.elem
            if not info.flags & 1 or info.kind != TENSOR:
                if self.host is None:
                    raise ModelError(f"output {info.name.decode()}: what it takes is not known before the run")
                buffers.append(None)
                continue
            dims = [info.dims[k] for k in range(info.rank)]
            buffer = aligned(elements.packed_bytes(info.elem, int(np.prod(dims, dtype=np.int64))), 64)
            buffer[...] = 0xA5  # what is not written shows
            buffers.append(buffer)
            value.rank = info.rank
            value.dims[: info.rank] = dims
            value.data, value.capacity = buffer.ctypes.data, buffer.nbytes
        return outs, buffers

    def read_output(self, value, buffer):
        if value.kind == OPTIONAL:
            return None
        if value.kind == SEQUENCE:
            items = C.cast(value.data, C.POINTER(Value))
            read = [self.read_tensor(items[k]) for k in range(value.dims[0])]
            self.host.release(None, value.data)
            return read
        shape = tuple(value.dims[: value.rank])
        if value.kind == STRING_TENSOR:
            return self.read_strings(value, shape)
        nbytes = elements.packed_bytes(value.elem, int(np.prod(shape, dtype=np.int64)))
        if buffer is None:
            if not value.data:  # empty
                return elements.unpack(np.empty(0, np.uint8), value.elem, shape)
            read = self.read_tensor(value)
            self.host.release(None, value.data)
            return read
        return elements.unpack(buffer[:nbytes], value.elem, shape)

    @staticmethod
    def read_tensor(value):
        """A copy of the tensor."""
        shape = tuple(value.dims[: value.rank])
        nbytes = elements.packed_bytes(value.elem, int(np.prod(shape, dtype=np.int64)))
        buffer = np.empty(0, np.uint8)
        if nbytes:
            buffer = np.ctypeslib.as_array(C.cast(value.data, C.POINTER(C.c_uint8)), (nbytes,)).copy()
        return elements.unpack(buffer, value.elem, shape)

    def read_strings(self, value, shape):
        texts = C.cast(value.data, C.POINTER(StringView))
        count = int(np.prod(shape, dtype=np.int64))
        array = np.empty(count, object)
        for i in range(count):
            array[i] = C.string_at(texts[i].data, texts[i].bytes).decode()
        if value.data:
            self.host.release(None, value.data)
        return array.reshape(shape)

    def close(self):
        if self.session:
            self.model.destroy(self.session)
            self.session = None
        if self.library is not None:
            handle, self.library = self.library._handle, None
            _ctypes.dlclose(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
