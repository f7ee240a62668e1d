# onnxc_room(NAME [DEPENDS room ...] [LIBRARIES lib ...]): one static library per room of compiler/, made of the .cc files
# in the current folder. A room links only what it may include, so breaking the order of rooms fails to link.
add_library(onnxc_flags INTERFACE)
target_compile_options(onnxc_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers $<$<BOOL:${ONNXC_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(onnxc_flags INTERFACE -Wno-restrict -Wno-maybe-uninitialized)  # false alarms on std::string (GCC bug 105651) and std::optional
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(onnxc_flags INTERFACE -Wno-deprecated-declarations)  # false alarms inside libstdc++ 12's std::stable_sort
endif()
target_include_directories(onnxc_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/runtime_lib/include)
if(ONNXC_SANITIZE)
  target_compile_options(onnxc_flags INTERFACE -fsanitize=${ONNXC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  target_compile_definitions(onnxc_flags INTERFACE _GLIBCXX_ASSERTIONS)  # bounds inside a vector's capacity, empty optionals
  target_link_options(onnxc_flags INTERFACE -fsanitize=${ONNXC_SANITIZE})
endif()

function(onnxc_room name)
  cmake_parse_arguments(ROOM "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(NOT sources)
    add_library(onnxc_${name} INTERFACE)
    return()
  endif()
  add_library(onnxc_${name} STATIC ${sources})
  target_link_libraries(onnxc_${name} PUBLIC onnxc_flags)
  foreach(room IN LISTS ROOM_DEPENDS)
    target_link_libraries(onnxc_${name} PUBLIC onnxc_${room})
  endforeach()
  target_link_libraries(onnxc_${name} PRIVATE ${ROOM_LIBRARIES})
endfunction()
