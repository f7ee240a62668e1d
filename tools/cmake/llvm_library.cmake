# LLVM and lld from the distribution (Debian: llvm-19-dev liblld-19-dev zlib1g-dev libzstd-dev). Gives two targets:
#   onnxc_llvm  LLVM's headers (as system headers) and the shared libLLVM;
#   onnxc_lld   lld's ELF linker, static, on top of it. lldELF's own exported target is not used: it names
#               packages that Debian does not install with it.
# and the programs ONNXC_CLANG, ONNXC_LLVM_LINK (build time only: the kernels' bitcode) of the same version.
# find_package(LLVM 19) is refused by LLVM's version file; 19.1 is the version that means "19".
find_package(LLVM 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19)
find_package(ZLIB REQUIRED)
message(STATUS "LLVM ${LLVM_PACKAGE_VERSION} in ${LLVM_INSTALL_PREFIX}")

add_library(onnxc_llvm INTERFACE)
target_include_directories(onnxc_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
separate_arguments(onnxc_llvm_definitions NATIVE_COMMAND "${LLVM_DEFINITIONS}")
target_compile_options(onnxc_llvm INTERFACE ${onnxc_llvm_definitions})
target_link_libraries(onnxc_llvm INTERFACE LLVM)

find_library(ONNXC_LLD_ELF NAMES liblldELF.a PATHS ${LLVM_LIBRARY_DIRS} NO_DEFAULT_PATH REQUIRED)
find_library(ONNXC_LLD_COMMON NAMES liblldCommon.a PATHS ${LLVM_LIBRARY_DIRS} NO_DEFAULT_PATH REQUIRED)
find_library(ONNXC_ZSTD NAMES zstd REQUIRED)
add_library(onnxc_lld INTERFACE)
target_link_libraries(onnxc_lld INTERFACE ${ONNXC_LLD_ELF} ${ONNXC_LLD_COMMON} onnxc_llvm ZLIB::ZLIB ${ONNXC_ZSTD})

find_program(ONNXC_CLANG NAMES clang++-19 PATHS ${LLVM_TOOLS_BINARY_DIR} REQUIRED)
find_program(ONNXC_LLVM_LINK NAMES llvm-link-19 llvm-link PATHS ${LLVM_TOOLS_BINARY_DIR} REQUIRED)
