"""ONNX Runtime's exceptions, by its names, codes and texts, so that `except` clauses written for it go on working.

All derive directly from Exception, as there. Tested against the real ones in tests/api/test_mistakes.py.
"""


class _Error(Exception):
    code = 0
    label = ""

    @classmethod
    def of(cls, message: str) -> "_Error":
        """The exception with ONNX Runtime's prefix before `message`."""
        return cls(f"[ONNXRuntimeError] : {cls.code} : {cls.label} : {message}")


def _error(name: str, code: int, label: str) -> type[_Error]:
    return type(name, (_Error,), {"code": code, "label": label, "__module__": __name__})


Fail = _error("Fail", 1, "FAIL")
InvalidArgument = _error("InvalidArgument", 2, "INVALID_ARGUMENT")
NoSuchFile = _error("NoSuchFile", 3, "NO_SUCHFILE")
NoModel = _error("NoModel", 4, "NO_MODEL")
EngineError = _error("EngineError", 5, "ENGINE_ERROR")
RuntimeException = _error("RuntimeException", 6, "RUNTIME_EXCEPTION")
InvalidProtobuf = _error("InvalidProtobuf", 7, "INVALID_PROTOBUF")
ModelLoaded = _error("ModelLoaded", 8, "MODEL_LOADED")
NotImplemented = _error("NotImplemented", 9, "NOT_IMPLEMENTED")  # noqa: A001 (ONNX Runtime's name)
InvalidGraph = _error("InvalidGraph", 10, "INVALID_GRAPH")
EPFail = _error("EPFail", 11, "EP_FAIL")
