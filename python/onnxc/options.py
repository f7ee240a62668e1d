"""SessionOptions, RunOptions and their enums, with ONNX Runtime's names, defaults and refusals.

What has no meaning for a compiled model (its memory patterns, say) is kept and given back, since programs set it and go on;
`intra_op_num_threads` decides how many threads a run uses.
"""

import enum
import os


class GraphOptimizationLevel(enum.IntEnum):
    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(enum.IntEnum):
    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


class ExecutionOrder(enum.IntEnum):
    DEFAULT = 0
    PRIORITY_BASED = 1
    MEMORY_EFFICIENT = 2


class _Checked:
    """Attributes with fixed names and types: others are refused, as by a C++ object."""

    _defaults: dict[str, object] = {}

    def __init__(self):
        for name, value in self._defaults.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_entries", {})

    def __setattr__(self, name: str, value: object) -> None:
        if name not in self._defaults:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        wanted = type(self._defaults[name])
        if wanted is int and isinstance(value, bool | int) and not isinstance(value, enum.Enum):
            value = int(value)
        elif not isinstance(value, wanted):
            raise TypeError(f"{name} must be {wanted.__name__}, not {type(value).__name__}")
        object.__setattr__(self, name, value)


class SessionOptions(_Checked):
    _defaults = {
        "enable_cpu_mem_arena": True,
        "enable_mem_pattern": True,
        "enable_mem_reuse": True,
        "enable_profiling": False,
        "execution_mode": ExecutionMode.ORT_SEQUENTIAL,
        "execution_order": ExecutionOrder.DEFAULT,
        "graph_optimization_level": GraphOptimizationLevel.ORT_ENABLE_ALL,
        "inter_op_num_threads": 0,
        "intra_op_num_threads": 0,
        "log_severity_level": -1,
        "log_verbosity_level": 0,
        "logid": "",
        "optimized_model_filepath": "",
        "profile_file_prefix": "onnxruntime_profile_",
        "use_deterministic_compute": False,
        "use_per_session_threads": True,
    }

    def __init__(self):
        super().__init__()
        object.__setattr__(self, "_free_dims", {})
        object.__setattr__(self, "_custom_ops", {})
        object.__setattr__(self, "_linked_files", [])

    def add_session_config_entry(self, key: str, value: str) -> None:
        self._entries[key] = value

    def get_session_config_entry(self, key: str) -> str:
        if key not in self._entries:
            raise RuntimeError(f"SessionOptions does not have configuration with key: {key}")
        return self._entries[key]

    def add_free_dimension_override_by_name(self, name: str, value: int) -> None:
        """Fixes a named dimension, as onnxc's --dim does."""
        self._free_dims[name] = int(value)

    def add_custom_op(self, operator: str, function: str, file: str | os.PathLike, shapes: str = "") -> None:
        """Lets a C function compute the operator "DOMAIN::NAME", as onnxc's --custom-op and --link do. `file`: the object, archive
        or shared library (with a SONAME) that has it; `shapes`: what the outputs are, see `onnxc --help`."""
        self._custom_ops[operator] = f"{function},{shapes}" if shapes else function
        path = os.path.abspath(file)
        if path not in self._linked_files:
            self._linked_files.append(path)

    @property
    def custom_ops(self) -> dict[str, str]:
        return dict(self._custom_ops)

    @property
    def linked_files(self) -> list[str]:
        return list(self._linked_files)

    @property
    def free_dimension_overrides(self) -> dict[str, int]:
        return dict(self._free_dims)


class RunOptions(_Checked):
    _defaults = {
        "log_severity_level": -1,
        "log_verbosity_level": 0,
        "logid": "",
        "only_execute_path_to_fetches": False,
        "terminate": False,
    }

    def add_run_config_entry(self, key: str, value: str) -> None:
        self._entries[key] = value

    def get_run_config_entry(self, key: str) -> str:
        if key not in self._entries:
            raise RuntimeError(f"RunOptions does not have configuration with key: {key}")
        return self._entries[key]
