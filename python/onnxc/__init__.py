"""onnxc: an ahead-of-time compiler for ONNX models, with ONNX Runtime's Python interface.

import onnxc as rt
session = rt.InferenceSession("model.onnx")      # or a compiled model: "model.so"
results = session.run(None, {"x": x})
"""

from onnxc.errors import (
    EngineError,
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    ModelLoaded,
    NoModel,
    NoSuchFile,
    NotImplemented,
    RuntimeException,
)
from onnxc.model_info import ModelMetadata, NodeArg
from onnxc.options import ExecutionMode, ExecutionOrder, GraphOptimizationLevel, RunOptions, SessionOptions
from onnxc.session import InferenceSession, get_all_providers, get_available_providers, get_device

__version__ = "0.1.0"

__all__ = [
    "EPFail",
    "EngineError",
    "ExecutionMode",
    "ExecutionOrder",
    "Fail",
    "GraphOptimizationLevel",
    "InferenceSession",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "ModelLoaded",
    "ModelMetadata",
    "NoModel",
    "NoSuchFile",
    "NodeArg",
    "NotImplemented",
    "RunOptions",
    "RuntimeException",
    "SessionOptions",
    "get_all_providers",
    "get_available_providers",
    "get_device",
]
