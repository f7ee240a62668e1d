"""Plausible inputs for each real model of tools/models.json: feed(id) -> {input name: array}, the same at each call.

Free dims and value ranges are the usual ones of each model's family; WHY[id] gives the reason for the shape.
"""

import zlib
from collections.abc import Callable

import numpy as np

Feed = dict[str, np.ndarray]
MAKERS: dict[str, Callable[[np.random.Generator], Feed]] = {}
WHY: dict[str, str] = {}


def feed(identifier: str, seed: int = 0) -> Feed:
    return MAKERS[identifier](np.random.default_rng([zlib.crc32(identifier.encode()), seed]))


def model(identifiers: str, why: str) -> Callable:
    def register(maker: Callable[[np.random.Generator], Feed]) -> Callable:
        for identifier in identifiers.split():
            MAKERS[identifier], WHY[identifier] = maker, why
        return maker

    return register


def normal(r, *shape, scale=1.0):
    return (r.standard_normal(shape) * scale).astype(np.float32)


def uniform(r, low, high, *shape):
    return r.uniform(low, high, shape).astype(np.float32)


def ids(r, high, *shape, lo=0):
    return r.integers(lo, high, shape).astype(np.int64)


def pixels(r, *shape):
    return r.integers(0, 256, shape).astype(np.float32)


# ---- images
@model("resnet50thin_opennsfw", "NHWC 224x224 fixed by the model, batch 1; VGG-mean-subtracted 0..255 pixels")
def _(r):
    return {"input:0": pixels(r, 1, 224, 224, 3) - np.array([104, 117, 123], np.float32)}


@model("yolov8n_nudenet", '320x320: the size the package feeds ("320n"); height, width are dynamic')
def _(r):
    return {"images": uniform(r, 0, 1, 1, 3, 320, 320)}


@model("blazeface_front128", "static NHWC 128x128, -1..1")
def _(r):
    return {"input:0": uniform(r, -1, 1, 1, 128, 128, 3)}


@model("mlsd_tiny_320", "static NHWC 320x320x4 (RGB + alpha 1), 0..255")
def _(r):
    x = pixels(r, 1, 320, 320, 4)
    x[..., 3] = 1
    return {"input_image_with_alpha:0": x}


@model("vit_s_focus", "224x224 fixed, batch 1")
def _(r):
    return {"input_image": normal(r, 1, 3, 224, 224)}


@model("light_densenet121 light_inception_v2 light_squeezenet light_vgg19", "static 1x3x224x224")
def _(r):
    return {"data_0": normal(r, 1, 3, 224, 224)}


@model("light_resnet50 light_shufflenet", "static 1x3x224x224")
def _(r):
    return {"gpu_0/data_0": normal(r, 1, 3, 224, 224)}


# ---- OCR
@model("ppocrv4_det", "640x640: H, W are dynamic multiples of 32 (PP-OCR training size; pages are resized to 640..960)")
def _(r):
    return {"x": normal(r, 1, 3, 640, 640)}


@model("ppocrv4_rec", "48x320: PP-OCR rec_img_shape 3x48x320; width grows with the text line")
def _(r):
    return {"x": uniform(r, -1, 1, 1, 3, 48, 320)}


@model("ppocrv2_cls", "48x192: PP-OCR cls_image_shape")
def _(r):
    return {"x": uniform(r, -1, 1, 1, 3, 48, 192)}


@model(
    "crnn_ddddocr crnn_ddddocr_dynint8", "height 64 fixed, width scaled with the picture: 160 for a usual 150x60 image"
)
def _(r):
    return {"input1": uniform(r, -1, 1, 1, 1, 64, 160)}


@model("minilm_l6_w8", "batch 1, 128 tokens (sentence-transformers max is 256), last 16 padding")
def _(r):
    m = np.ones((1, 128), np.int64)
    m[:, 112:] = 0
    return {
        "input_ids": ids(r, 30522, 1, 128, lo=1000) * m,
        "attention_mask": m,
        "token_type_ids": np.zeros((1, 128), np.int64),
    }


@model("t5small_enc_dynint8", "batch 1, 64 tokens, vocabulary 32128")
def _(r):
    return {"input_ids": ids(r, 32000, 1, 64, lo=3), "attention_mask": np.ones((1, 64), np.int64)}


@model("lac_bigru", "one sentence of 32 characters (the package feeds batch 1, no padding)")
def _(r):
    return {"token_ids": ids(r, 58224, 1, 32), "length": np.array([32], np.int64)}


@model("deepcut_thai", "64 characters, each with its 21-character window; tables 178 / 12")
def _(r):
    return {"input_1": ids(r, 178, 64, 21).astype(np.float32), "input_2": ids(r, 12, 64, 21).astype(np.float32)}


@model("magika_v3_3", "2048 bytes fixed (256 = padding), batch 1")
def _(r):
    x = r.integers(0, 256, (1, 2048)).astype(np.int32)
    x[0, 1000:1024] = 256
    return {"bytes": x}


# ---- audio
@model("silero_vad", "576 samples = 512 (32 ms at 16 kHz) + 64 of context, zero state: what the package feeds per step")
def _(r):
    return {
        "input": normal(r, 1, 576, scale=0.1),
        "state": np.zeros((2, 1, 128), np.float32),
        "sr": np.array(16000, np.int64),
    }


@model("silero_vad_openvino_16k", "static 1x576")
def _(r):
    return {"input": normal(r, 1, 576, scale=0.1), "state": np.zeros((2, 1, 128), np.float32)}


@model("silero_vad_16k_sequence", "31 frames of 576 samples = about 1 s of audio in one call")
def _(r):
    return {
        "input": normal(r, 31, 576, scale=0.1),
        "h": np.zeros((1, 1, 128), np.float32),
        "c": np.zeros((1, 1, 128), np.float32),
    }


@model("oww_melspectrogram", "1760 samples = 80 ms hop + context, the streaming step (int16-range floats)")
def _(r):
    return {"input": normal(r, 1, 1760, scale=1000.0)}


@model("oww_embedding", "76x32 mel frames fixed, batch 1")
def _(r):
    return {"input_1": normal(r, 1, 76, 32, 1)}


@model("oww_hey_jarvis_if", "static 1x16x96")
def _(r):
    return {"x.1": normal(r, 1, 16, 96)}


@model("basic_pitch", "43844 samples fixed (2 s at 22050 Hz), batch 1")
def _(r):
    return {"serving_default_input_2:0": normal(r, 1, 43844, 1, scale=0.1)}


@model("smart_turn_qdq", "80 mel x 800 frames (8 s of Whisper features), batch 1")
def _(r):
    return {"input_features": normal(r, 1, 80, 800)}


@model(
    "piper_vits_joe",
    "64 phoneme ids; scales noise 0, length 1, noise_w 0 so that the two RandomNormalLike do not matter (package default 0.667, 1, 0.8: random output length)",
)
def _(r):
    return {
        "input": ids(r, 130, 1, 64, lo=1),
        "input_lengths": np.array([64], np.int64),
        "scales": np.array([0.0, 1.0, 0.0], np.float32),
    }


@model("minimol_gnn", "2 molecules, 24 + 16 atoms, 52 + 34 directed edges")
def _(r):
    N = 40
    src = np.concatenate([r.integers(0, 24, 26), r.integers(24, 40, 17)])
    dst = np.concatenate([r.integers(0, 24, 26), r.integers(24, 40, 17)])
    e = np.stack([np.concatenate([src, dst]), np.concatenate([dst, src])]).astype(np.int64)
    E = e.shape[1]
    return {
        "feat": (r.random((N, 85)) < 0.15).astype(np.float32),
        "edge_feat": (r.random((E, 13)) < 0.3).astype(np.float32),
        "edge_index": e,
        "laplacian_eigvec": normal(r, N, 8, scale=0.3),
        "laplacian_eigval": uniform(r, 0, 2, N, 8),
        "rw_return_probs": uniform(r, 0, 1, N, 16),
        "batch": np.repeat([0, 1], [24, 16]).astype(np.int64),
        "graph_slots": np.zeros(2, np.float32),
    }


@model("atspm_lgbm_function229", "16 rows x 229 features, float64, some NaN (missing)")
def _(r):
    x = r.standard_normal((16, 229)) * 2
    x[r.random(x.shape) < 0.05] = np.nan
    return {"X": x}


@model("surfaces_gbr_mlp", "8 rows x 4 features")
def _(r):
    return {"input": uniform(r, 0, 10, 8, 4)}


@model("ort_logreg_iris", "static 3x2")
def _(r):
    return {"float_input": uniform(r, 0, 6, 3, 2)}


# ---- made by make_bench_models.py
@model("mobilenet_v2 efficientnet_b0", "static 1x3x224x224")
def _(r):
    return {"x": normal(r, 1, 3, 224, 224)}


def bert(tokens):
    mask = np.ones((1, tokens), np.float32)
    mask[:, tokens - tokens // 8 :] = 0

    def maker(r):
        return {"x": normal(r, 1, tokens, 768), "mask": mask}

    return maker


for tokens in (32, 128):
    model(f"bert_base_{tokens}", f"batch 1, {tokens} tokens, the last eighth padding")(bert(tokens))


@model("lstm_2 gru_2", "a sequence of 100 steps, batch 1")
def _(r):
    return {"x": normal(r, 100, 1, 128)}
