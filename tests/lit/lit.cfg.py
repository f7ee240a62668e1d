# lit configuration: textual graphs and programs through the tools, checked by FileCheck. Run by `lit tests/lit` after a build;
# ONNXC_BUILD names the build folder when it is not build/.
import os
import pathlib
import shutil

import lit.formats

root = pathlib.Path(__file__).resolve().parents[2]
build = pathlib.Path(os.environ.get("ONNXC_BUILD", root / "build"))

config.name = "onnxc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".txt"]
config.excludes = ["CMakeLists.txt"]
config.test_source_root = str(root / "tests/lit")
config.test_exec_root = str(build / "lit")


def find(*names):
    for name in names:
        found = shutil.which(name) or shutil.which(name, path="/usr/lib/llvm-19/bin:/usr/lib/llvm-22/bin")
        if found:
            return found
    lit_config.fatal(f"none of {', '.join(names)} is installed")


config.substitutions.append(("%onnxc-opt", str(build / "bin/onnxc-opt")))
config.substitutions.append(("%onnxc", str(build / "bin/onnxc")))
config.substitutions.append(("%FileCheck", find("FileCheck", "FileCheck-19", "FileCheck-22")))
config.environment["ONNXC_BUILD"] = str(build)
