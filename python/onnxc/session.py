"""InferenceSession, with ONNX Runtime's interface: see tests/api/ for what is held against the real one.

A .so is loaded as it is. A .onnx file (or its bytes) is described by the compiler, which also finds its mistakes, and compiled
into the cache: at once when all its dims are known, otherwise at the first run with each new set of input shapes.
"""

import ctypes
import json
import os
import pathlib
import threading
import warnings
from collections.abc import Sequence

import numpy

from onnxc import _runtime, cache, compiler, elements, errors, feeds, identity
from onnxc.model_info import ModelMetadata, NodeArg, list_arg
from onnxc.options import RunOptions, SessionOptions

_PROVIDERS = ["CPUExecutionProvider"]
_ELF = b"\x7fELF"
_SHARED = 3  # e_type of a shared library
_SEQUENCE, _OPTIONAL, _OF_SEQUENCE = 3, 5, 2  # onnxc_kind, onnxc_value_info.flags


def get_available_providers() -> list[str]:
    return list(_PROVIDERS)


def get_all_providers() -> list[str]:
    return list(_PROVIDERS)


def get_device() -> str:
    return "CPU"


class InferenceSession:
    def __init__(
        self,
        path_or_bytes: str | bytes | os.PathLike,
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, dict]] | None = None,
        provider_options: Sequence[dict] | None = None,
        **kwargs,
    ):
        if not isinstance(path_or_bytes, str | bytes | os.PathLike):
            raise TypeError(f"Unable to load from type '{type(path_or_bytes)}'")
        if sess_options and not isinstance(sess_options, SessionOptions):
            raise TypeError(f"sess_options must be SessionOptions, not {type(sess_options).__name__}")
        _check_providers(providers)
        self._options = sess_options or SessionOptions()
        self._lock = threading.Lock()  # guards _programs, and compiling for a new shape
        self._programs: dict[tuple, _Program] = {}
        self._load(path_or_bytes)
        self._input_index = {arg.name: i for i, arg in enumerate(self._inputs)}
        self._output_names = [arg.name for arg in self._outputs]
        self._keys = {i: self._map_keys[name] for i, name in enumerate(self._output_names) if name in self._map_keys}
        has_maps = self._keys or any(arg.keys is not None for arg in self._inputs)
        self._direct = None if has_maps else self._programs.get(())  # takes feeds that fit as they are

    # ---- what the model is

    def get_inputs(self) -> list[NodeArg]:
        return list(self._inputs)

    def get_outputs(self) -> list[NodeArg]:
        return list(self._outputs)

    def get_overridable_initializers(self) -> list[NodeArg]:
        return []  # a compiled model has its constants fixed

    def get_modelmeta(self) -> ModelMetadata:
        return self._metadata

    def get_session_options(self) -> SessionOptions:
        return self._options

    def get_providers(self) -> list[str]:
        return list(_PROVIDERS)

    def get_provider_options(self) -> dict[str, dict]:
        return {name: {} for name in _PROVIDERS}

    # ---- running it

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: dict[str, object],
        run_options: RunOptions | None = None,
    ) -> list:
        if self._direct and run_options is None and (not output_names or output_names == self._output_names):
            results = self._direct.run_fitting(input_feed)
            if results is not None:
                return results
        feeds.check_names(self._inputs, input_feed)
        wanted = feeds.wanted_outputs(output_names, self._output_names)
        if run_options is not None and not isinstance(run_options, RunOptions):
            raise TypeError(f"run(): incompatible function arguments: run_options is a {type(run_options).__name__}")
        arrays = feeds.to_arrays(self._inputs, self._input_index, input_feed)
        for name in wanted:
            if name not in self._output_names:
                raise errors.InvalidArgument.of(f"Invalid output name:{name}")
        if run_options is not None and run_options.terminate:
            raise errors.Fail.of("Exiting due to terminate flag being set to true.")
        results = self._program_for(arrays).run(arrays)
        for i, keys in self._keys.items():
            results[i] = [dict(sorted(zip(keys, row, strict=True))) for row in numpy.atleast_2d(results[i]).tolist()]
        return [results[self._output_names.index(name)] for name in wanted] if wanted else results

    # ---- loading it

    def _load(self, path_or_bytes: str | bytes | os.PathLike) -> None:
        self._source = None
        if isinstance(path_or_bytes, bytes):
            content, path, folder = path_or_bytes, None, pathlib.Path()
        else:
            path = os.fspath(path_or_bytes)
            content, folder = _read(path), pathlib.Path(path).parent
        if path is not None and content[:4] == _ELF:
            self._load_compiled(path)
            return
        self._source = compiler.Source(path or "<bytes>", path, None if path else content)
        if not content:
            raise compiler.load_failure(self._source, errors.InvalidArgument, "No graph was found in the protobuf.")
        stamp = identity.external_stamp(content, folder) + identity.linked_stamp(self._options.linked_files)
        digest = identity.content_digest(content)
        self._key_of = lambda arguments: identity.key(digest, stamp, arguments)
        self._load_description()

    def _load_compiled(self, path: str) -> None:
        program = _Program(path, self._options)
        fed = _map_keys(program.model.metadata, "dictvectorizer.")
        self._inputs = [_fed_by_map(_arg_of_info(*info), fed) for info in program.model.inputs]
        self._map_keys = _map_keys(program.model.metadata, "zipmap.")
        self._outputs = [_with_keys(_arg_of_info(*info), self._map_keys) for info in program.model.outputs]
        self._metadata = _metadata(program.model.metadata)
        self._programs[()] = program

    def _load_description(self) -> None:
        fixed = [f"--dim={name}={value}" for name, value in sorted(self._options.free_dimension_overrides.items())]
        fixed += [f"--custom-op={name}={told}" for name, told in sorted(self._options.custom_ops.items())]
        self._fixed = fixed
        name = self._key_of(["--describe", *fixed]) + ".json"
        text = cache.get_text(name, lambda: json.dumps(compiler.describe(self._source, fixed)))
        described = json.loads(text)
        fed = _map_keys(described["metadata"], "dictvectorizer.")
        self._inputs = [_fed_by_map(_arg_of_json(value), fed) for value in described["inputs"]]
        self._map_keys = _map_keys(described["metadata"], "zipmap.")
        self._outputs = [_with_keys(_arg_of_json(value), self._map_keys) for value in described["outputs"]]
        self._metadata = _metadata(described["metadata"])
        if all(arg.is_static() for arg in self._inputs):
            self._programs[()] = self._compile([])
            self._source = None  # may hold the whole model

    def _compile(self, shapes: list[str]) -> "_Program":
        linked = self._options.linked_files
        arguments = [*self._fixed, *shapes, *(f"--link={path}" for path in linked)]
        name = self._key_of(arguments) + ".so"
        path = cache.get(name, lambda output: compiler.compile_model(self._source, output, arguments))
        _load_shared_libraries(linked)
        return _Program(path, self._options)

    def _program_for(self, arrays: list[numpy.ndarray]) -> "_Program":
        program = self._programs.get(())
        if program is not None:
            return program
        key = tuple(None if arg.is_list else array.shape for arg, array in zip(self._inputs, arrays, strict=True))
        program = self._programs.get(key)
        if program is not None:
            return program
        with self._lock:
            if key not in self._programs:
                free = [
                    (arg.name, array.shape)
                    for arg, array in zip(self._inputs, arrays, strict=True)
                    if not arg.is_static()
                ]
                self._programs[key] = self._compile(
                    [f"--shape={name}={','.join(map(str, shape))}" for name, shape in free]
                )
            return self._programs[key]

    def __reduce__(self):
        raise TypeError("cannot pickle an InferenceSession: make a new one from the model")


class _Program:
    """A compiled model with its session."""

    def __init__(self, path: str, options: SessionOptions):
        try:
            self.model = _runtime.Model(path)
            types = [
                [elements.DTYPES[elem] for _, _, elem, *_ in infos] for infos in (self.model.inputs, self.model.outputs)
            ]
            self._session = _runtime.Session(self.model, options.intra_op_num_threads, *types)
        except _runtime.ModelError as error:
            raise errors.Fail.of(f"Load model from {path} failed:{error.args[1]}") from None

    def run(self, arrays: list[numpy.ndarray]) -> list[numpy.ndarray]:
        try:
            return self._session.run(arrays)
        except _runtime.ModelError as error:
            raise feeds.run_failure(*error.args) from None

    def run_fitting(self, feed: object) -> list[numpy.ndarray] | None:
        """None where the feed wants checks or conversions: nothing ran then."""
        try:
            return self._session.run_fitting(feed)
        except _runtime.ModelError as error:
            raise feeds.run_failure(*error.args) from None


def _read(path: str) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except FileNotFoundError:
        raise errors.NoSuchFile.of(
            f"Load model from {path} failed:Load model {path} failed. File doesn't exist"
        ) from None
    except IsADirectoryError:
        raise errors.InvalidProtobuf.of(f"Load model from {path} failed:Protobuf parsing failed.") from None
    except OSError as error:
        raise errors.Fail.of(f"Load model from {path} failed:{error.strerror}") from None


def _load_shared_libraries(paths: list[str]) -> None:
    """A compiled model in the cache does not find what it is linked with, unless it is loaded already."""
    for path in paths:
        with open(path, "rb") as file:
            header = file.read(17)
        if header[:4] == _ELF and header[16] == _SHARED:
            try:
                ctypes.CDLL(path)
            except OSError as error:
                raise errors.Fail.of(f"Load library {path} failed:{error}") from None


def _arg_of_info(name: str, kind: int, elem: int, dims: list | None, flags: int) -> NodeArg:
    optional = kind == _OPTIONAL
    sequence = bool(flags & _OF_SEQUENCE) if optional else kind == _SEQUENCE
    return list_arg(name, elem, dims, sequence, optional)


def _arg_of_json(value: dict) -> NodeArg:
    sequence, optional = "seq(" in value["type"], value["type"].startswith("optional(")
    return list_arg(value["name"], elements.NUMBERS[value["elem"]], value.get("dims"), sequence, optional)


def _map_keys(pairs: dict[str, str], kind: str) -> dict[str, list]:
    """The keys of outputs ("zipmap.") or inputs ("dictvectorizer.") that are maps in the file and a tensor of their values in
    the compiled model."""
    return {name.removeprefix(kind): json.loads(text) for name, text in pairs.items() if name.startswith(kind)}


def _key_type(keys: list) -> str:
    return "string" if keys and isinstance(keys[0], str) else "int64"


def _with_keys(arg: NodeArg, keys: dict[str, list]) -> NodeArg:
    if arg.name not in keys:
        return arg
    return NodeArg(arg.name, f"seq(map({_key_type(keys[arg.name])},tensor(float)))", None, 0)


def _fed_by_map(arg: NodeArg, keys: dict[str, list]) -> NodeArg:
    own = keys.get(arg.name)
    if own is None:
        return arg
    type = f"map({_key_type(own)},tensor({elements.NAMES[arg.elem]}))"
    return NodeArg(arg.name, type, [1, len(own) or None], arg.elem, keys=own)


def _metadata(pairs: dict[str, str]) -> ModelMetadata:
    """The user's own keys begin with "custom."."""
    fields = ("producer_name", "graph_name", "domain", "description", "graph_description")
    known: dict = {name: pairs[name] for name in fields if name in pairs}
    if "model_version" in pairs:
        known["version"] = int(pairs["model_version"])
    custom = {name.removeprefix("custom."): text for name, text in pairs.items() if name.startswith("custom.")}
    return ModelMetadata(**known, custom_metadata_map=custom)


def _check_providers(providers: str | Sequence | None) -> None:
    """Warns of providers that are not here, as ONNX Runtime does, and goes on with the CPU."""
    for provider in [providers] if isinstance(providers, str) else providers or []:
        name = provider[0] if isinstance(provider, tuple) else provider
        if name not in _PROVIDERS:
            warnings.warn(
                f"Specified provider '{name}' is not in available provider names."
                f"Available providers: '{', '.join(_PROVIDERS)}'",
                stacklevel=3,
            )
