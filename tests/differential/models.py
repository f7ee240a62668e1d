"""The real models that the tests run: where their files are, what is fed, which options fix their free dims.

Files come from tools/fetch_models.py, into ONNXC_MODELS or build/models."""

import dataclasses
import os
import pathlib
import sys

import onnx

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))


@dataclasses.dataclass
class RealModel:
    name: str  # as in tables
    file: str  # stem of the file
    feed: str = ""  # id in feeds.py; empty: the name
    small: bool = True  # seconds through the C++ back end, so by default too
    note: str = ""  # why a comparison is special

    def path(self):
        return folder() / f"{self.file}.onnx"

    def feeds(self, seed=0):
        import feeds

        return feeds.feed(self.feed or self.name, seed)

    def shape_arguments(self, feed):
        """--shape for each input with a free dim."""
        model = onnx.load(self.path(), load_external_data=False)
        arguments = []
        for value in model.graph.input:
            dims = value.type.tensor_type.shape.dim
            if value.name in feed and any(d.dim_value <= 0 for d in dims):
                arguments += ["--shape", f"{value.name}={','.join(map(str, feed[value.name].shape))}"]
        return arguments


def folder():
    """Where the model files are."""
    return pathlib.Path(os.environ.get("ONNXC_MODELS", ROOT / "build" / "models"))


MODELS = [
    RealModel("magika_v3_3", "magika_v3_3"),
    RealModel("resnet50thin_opennsfw", "resnet50thin_opennsfw", small=False),
    RealModel("light_resnet50", "resnet50", small=False),
    RealModel("light_densenet121", "densenet121", small=False),
    RealModel("light_shufflenet", "shufflenet", small=False),
    RealModel("light_squeezenet", "squeezenet", small=False),
    RealModel("light_inception_v2", "inception_v2", small=False),
    RealModel("yolov8n_nudenet", "yolov8n_nudenet", small=False),
    RealModel("blazeface_front128", "blazeface_front128", small=False),
    RealModel("mlsd_tiny_320", "mlsd_tiny_320", small=False),
    RealModel("vit_s_focus", "vit_s_focus", small=False),
    RealModel("ppocrv2_cls", "ppocrv2_cls", small=False),
    RealModel("minilm_l6_w8", "minilm_l6_w8"),
    RealModel("silero_vad_openvino_16k", "silero_vad_openvino_16k"),
    RealModel("oww_embedding", "oww_embedding", small=False),
    RealModel("oww_melspectrogram", "oww_melspectrogram"),
    RealModel("basic_pitch", "basic_pitch", small=False),
    RealModel("atspm_lgbm_function229", "atspm_lgbm_function229"),
]


def ort_session(path, threads=1):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
