"""A model on Cortex-M: the emitted sources, cross-compiled without any C library, run under QEMU."""

import shutil

import pytest
from conftest import HERE, onnxc, run

PREFIX = "arm-none-eabi-"
pytestmark = pytest.mark.skipif(
    not shutil.which(PREFIX + "g++") or not shutil.which("qemu-system-arm"),
    reason="needs gcc-arm-none-eabi and qemu-system-arm",
)

BOARDS = {
    "cortex-m7": ("mps2-an500", ["-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"]),
    "cortex-m4": ("mps2-an386", ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]),
}
FLAGS = [
    "-mthumb",
    "-std=c++17",
    "-O2",
    "-ffp-contract=off",
    "-ffreestanding",
    "-fno-exceptions",
    "-fno-rtti",
    "-fno-threadsafe-statics",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wall",
    "-Wextra",
    "-Werror",
]

# Undefined symbols that the model's own objects may have: its parts, and arithmetic of the target's run-time library (libgcc).
PARTS = {"tiny_body", "tiny_weights"}
HELPERS = ("__aeabi_",)
NOT_ALLOWED = (
    "malloc",
    "free",
    "_Znwj",
    "_ZdlPv",
    "__cxa_",
    "__gxx_personality",
    "_Unwind",
    "__aeabi_unwind",
    "abort",
    "exit",
    "printf",
)


@pytest.fixture(scope="module")
def sources(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("firmware") / "tiny"
    onnxc(tiny, "--mcpu=generic", "--emit=cpp", "-o", folder)
    return folder


def compile_all(sources, out, machine):
    out.mkdir(exist_ok=True)
    include = [f"-I{sources}", f"-I{sources}/runtime", f"-I{sources}/runtime/include"]
    objects = {}
    for source in [*sorted(sources.glob("tiny*.cc")), HERE / "classify.cc", HERE / "firmware/startup.cc"]:
        objects[source.name] = out / (source.name + ".o")
        run(PREFIX + "g++", *machine, *FLAGS, *include, "-c", source, "-o", objects[source.name])
    weights = sources / "tiny_weights.S"
    objects[weights.name] = out / "weights.o"
    run(
        PREFIX + "gcc",
        "-mthumb",
        *machine,
        f'-DONNXC_WEIGHTS_FILE="{sources}/tiny.weights.bin"',
        "-c",
        weights,
        "-o",
        objects[weights.name],
    )
    return objects


@pytest.mark.parametrize("core", BOARDS)
def test_prints_the_same_numbers(sources, tmp_path, check, core, record_property):
    board, machine = BOARDS[core]
    objects = compile_all(sources, tmp_path / "objects", machine)
    program = tmp_path / "program.elf"
    run(
        PREFIX + "g++",
        "-mthumb",
        *machine,
        "-nostdlib",
        "-nostartfiles",
        "-Wl,--gc-sections",
        "-T",
        HERE / "firmware/mps2.ld",
        *objects.values(),
        "-lgcc",
        "-o",
        program,
    )
    sizes = run(PREFIX + "size", program).splitlines()[1].split()[:3]
    record_property("text_data_bss", "/".join(sizes))
    print(f"{core} on {board}: text/data/bss {'/'.join(sizes)}")
    text = run(
        "qemu-system-arm",
        "-M",
        board,
        "-nographic",
        "-semihosting-config",
        "enable=on,target=native",
        "-kernel",
        program,
        both=True,
    )
    print(text)
    check(text)


def test_no_heap_no_exceptions(sources, tmp_path):
    objects = compile_all(sources, tmp_path / "objects", BOARDS["cortex-m7"][1])
    for name in ("tiny.cc", "tiny_model.cc", "tiny_weights.S"):
        symbols = run(PREFIX + "nm", objects[name])
        undefined = {line.split()[-1] for line in symbols.splitlines() if " U " in line}
        unknown = {s for s in undefined if s not in PARTS and not s.startswith(HELPERS)}
        assert unknown == set(), name
        named = {line.split()[-1] for line in symbols.splitlines() if line}
        assert not [s for s in named if any(bad in s for bad in NOT_ALLOWED)], name
        assert ".ARM.extab" not in run(PREFIX + "readelf", "-SW", objects[name]), name
