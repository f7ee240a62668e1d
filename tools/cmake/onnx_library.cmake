# onnx::onnx, the onnx C++ library (parser, checker, schemas, inliner, version converter), as a static library made from
# the sources that the PyPI package of onnx carries: the same version as the oracle of the Python tests, by construction.
#
# The sources are looked for in this order: ONNXC_ONNX_SRC (a folder that holds onnx/checker.cc), the .venv of this
# repository, the onnx package of python3, and at last a wheel that pip downloads into the build folder. Whatever
# is found must have the pinned content (one sha256 over all files that are compiled).
#
# With ONNXC_ONNX_BUILD, a build folder of this repository, the library that was built there is linked as it is: the sanitized
# build takes it so, whose question is the compiler and not the library.
set(ONNXC_ONNX_VERSION 1.23.2)
set(ONNXC_ONNX_SHA256 761177491b37fad80822da16b879968421c8a89a5af0b89cbdc9d0106d4a1bc6)
set(ONNXC_ONNX_SRC "" CACHE PATH "Folder that holds onnx/checker.cc of onnx ${ONNXC_ONNX_VERSION} (site-packages, unpacked wheel or sdist)")

find_package(Threads REQUIRED)
set(Protobuf_USE_STATIC_LIBS ON)
find_package(Protobuf REQUIRED)
set(ONNXC_ONNX_BUILD "" CACHE PATH "Build folder whose onnx library is linked instead of being built here")
if(ONNXC_ONNX_BUILD)
  include(${ONNXC_ONNX_BUILD}/_onnx/built.cmake)
  add_library(onnx::onnx ALIAS built::onnxc_onnx)
  return()
endif()

find_program(ONNXC_PYTHON NAMES python3 DOC "Python that is asked for its onnx package")
mark_as_advanced(ONNXC_PYTHON)

set(onnxc_onnx_dir ${PROJECT_BINARY_DIR}/_onnx)

# All files of the library below `root`, sorted, relative to it.
function(onnxc_onnx_files root out)
  file(GLOB_RECURSE files RELATIVE ${root} LIST_DIRECTORIES false
    ${root}/onnx/common/*.cc ${root}/onnx/common/*.h ${root}/onnx/common/version.h.in
    ${root}/onnx/defs/*.cc ${root}/onnx/defs/*.h
    ${root}/onnx/inliner/*.cc ${root}/onnx/inliner/*.h
    ${root}/onnx/shape_inference/*.cc ${root}/onnx/shape_inference/*.h
    ${root}/onnx/version_converter/*.cc ${root}/onnx/version_converter/*.h)
  file(GLOB top RELATIVE ${root} ${root}/onnx/*.h ${root}/onnx/checker.cc)
  list(APPEND files ${top} onnx/onnx-ml.proto onnx/onnx-operators-ml.proto onnx/onnx-data.proto)
  list(SORT files)
  set(${out} ${files} PARENT_SCOPE)
endfunction()

# One hash over names and contents of these files; empty when they are not there.
function(onnxc_onnx_hash root out)
  set(${out} "" PARENT_SCOPE)
  if(NOT EXISTS ${root}/onnx/checker.cc OR NOT EXISTS ${root}/onnx/onnx-data.proto)
    return()
  endif()
  onnxc_onnx_files(${root} files)
  set(all "")
  foreach(f IN LISTS files)
    file(SHA256 ${root}/${f} one)
    string(APPEND all "${f} ${one}\n")
  endforeach()
  string(SHA256 all "${all}")
  set(${out} ${all} PARENT_SCOPE)
endfunction()

# Sets `out` to the folder with the pinned sources, or to "".
function(onnxc_find_onnx out)
  set(candidates)
  file(GLOB venv ${PROJECT_SOURCE_DIR}/.venv/lib/python*/site-packages)
  list(APPEND candidates ${venv})
  if(ONNXC_PYTHON)
    execute_process(COMMAND ${ONNXC_PYTHON} -c
        "import importlib.util, pathlib; s = importlib.util.find_spec('onnx'); print(pathlib.Path(s.origin).parent.parent if s and s.origin else '')"
      OUTPUT_VARIABLE installed OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    list(APPEND candidates ${installed})
  endif()
  list(APPEND candidates ${onnxc_onnx_dir}/src)
  set(${out} "" PARENT_SCOPE)
  foreach(dir IN LISTS candidates)
    onnxc_onnx_hash(${dir} hash)
    if(hash STREQUAL ONNXC_ONNX_SHA256)
      set(${out} ${dir} PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

if(ONNXC_ONNX_SRC)
  set(onnxc_onnx_src ${ONNXC_ONNX_SRC})
else()
  onnxc_find_onnx(onnxc_onnx_src)
endif()
if(NOT onnxc_onnx_src)
  message(STATUS "onnx ${ONNXC_ONNX_VERSION}: not installed, downloading its wheel")
  execute_process(COMMAND ${ONNXC_PYTHON} -m pip download -q --no-deps --only-binary=:all: -d ${onnxc_onnx_dir}
      onnx==${ONNXC_ONNX_VERSION} COMMAND_ERROR_IS_FATAL ANY)
  file(GLOB wheel ${onnxc_onnx_dir}/onnx-${ONNXC_ONNX_VERSION}-*.whl)
  list(GET wheel 0 wheel)
  file(ARCHIVE_EXTRACT INPUT ${wheel} DESTINATION ${onnxc_onnx_dir}/src PATTERNS "onnx/*.cc" "onnx/*.h" "onnx/*.proto" "onnx/*.h.in")
  set(onnxc_onnx_src ${onnxc_onnx_dir}/src)
endif()
onnxc_onnx_hash(${onnxc_onnx_src} onnxc_onnx_found)
if(NOT onnxc_onnx_found STREQUAL ONNXC_ONNX_SHA256)
  message(FATAL_ERROR "${onnxc_onnx_src} does not hold the sources of onnx ${ONNXC_ONNX_VERSION} as pinned: sha256 "
    "'${onnxc_onnx_found}', wanted ${ONNXC_ONNX_SHA256}. Install onnx==${ONNXC_ONNX_VERSION} or set ONNXC_ONNX_SRC.")
endif()
message(STATUS "onnx ${ONNXC_ONNX_VERSION}: ${onnxc_onnx_src}")

# The .proto files ask for protobuf's lite runtime; onnx's own build drops that line, and so do we.
set(onnxc_onnx_gen ${onnxc_onnx_dir}/gen)
set(onnxc_onnx_pb)
foreach(p onnx-ml onnx-operators-ml onnx-data)
  file(READ ${onnxc_onnx_src}/onnx/${p}.proto text)
  string(REPLACE "option optimize_for = LITE_RUNTIME;" "" text "${text}")
  file(CONFIGURE OUTPUT ${onnxc_onnx_gen}/onnx/${p}.proto CONTENT "${text}" @ONLY)
  add_custom_command(OUTPUT ${onnxc_onnx_gen}/onnx/${p}.pb.cc ${onnxc_onnx_gen}/onnx/${p}.pb.h
    DEPENDS ${onnxc_onnx_gen}/onnx/${p}.proto
    COMMAND protobuf::protoc -I ${onnxc_onnx_gen} --cpp_out ${onnxc_onnx_gen} ${onnxc_onnx_gen}/onnx/${p}.proto
    COMMENT "protoc ${p}.proto")
  list(APPEND onnxc_onnx_pb ${onnxc_onnx_gen}/onnx/${p}.pb.cc)
endforeach()

string(REPLACE "." ";" onnxc_onnx_numbers ${ONNXC_ONNX_VERSION})
list(GET onnxc_onnx_numbers 0 ONNX_VERSION_MAJOR)
list(GET onnxc_onnx_numbers 1 ONNX_VERSION_MINOR)
list(GET onnxc_onnx_numbers 2 ONNX_VERSION_PATCH)
set(ONNX_VERSION ${ONNXC_ONNX_VERSION})
configure_file(${onnxc_onnx_src}/onnx/common/version.h.in ${onnxc_onnx_gen}/onnx/common/version.h @ONLY)

onnxc_onnx_files(${onnxc_onnx_src} onnxc_onnx_cc)
list(FILTER onnxc_onnx_cc INCLUDE REGEX "\\.cc$")
list(TRANSFORM onnxc_onnx_cc PREPEND ${onnxc_onnx_src}/)
add_library(onnxc_onnx STATIC ${onnxc_onnx_cc} ${onnxc_onnx_pb})
target_include_directories(onnxc_onnx SYSTEM PUBLIC ${onnxc_onnx_src} ${onnxc_onnx_gen})
target_compile_definitions(onnxc_onnx PUBLIC ONNX_ML=1 ONNX_NAMESPACE=onnx)
# It runs once per compilation of a model: -O1 costs it nothing that shows.
target_compile_options(onnxc_onnx PRIVATE -w $<$<CONFIG:Release>:-O1>)
target_link_libraries(onnxc_onnx PUBLIC protobuf::libprotobuf Threads::Threads)
add_library(onnx::onnx ALIAS onnxc_onnx)
export(TARGETS onnxc_onnx NAMESPACE built:: FILE ${onnxc_onnx_dir}/built.cmake)
