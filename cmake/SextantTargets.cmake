# How targets are declared: one library per folder, and the rule that keeps the core pure.
#
#   sextant_core_library(name SOURCES ... DEPS ...)   pure: no I/O, threads, clocks, gRPC, RocksDB, SQLite
#   sextant_library(name SOURCES ... DEPS ...)        a shell: may link anything
#   sextant_test(name SOURCES ... DEPS ...)           a GoogleTest binary, registered with CTest
#   sextant_binary(name SOURCES ... DEPS ...)         an executable in build/bin
#
# A core library may link only other core libraries and the few Abseil targets listed here; anything
# else stops the configure step with a message that names the offending arrow.

add_library(sextant_options INTERFACE)
target_include_directories(sextant_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(sextant_options INTERFACE -Wall -Wextra -Wno-unused-parameter -Werror=return-type
                                                 -Werror=switch -Wno-missing-field-initializers)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  target_compile_options(sextant_options INTERFACE -msse4.2)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
  target_compile_options(sextant_options INTERFACE -march=armv8-a+crc)
endif()
if(SEXTANT_SANITIZER STREQUAL "address")
  target_compile_options(sextant_options INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer)
  target_link_options(sextant_options INTERFACE -fsanitize=address,undefined)
  target_compile_definitions(sextant_options INTERFACE GRPC_ASAN_SUPPRESSED)
elseif(SEXTANT_SANITIZER STREQUAL "fuzz") # tests/fuzz: clang only; libFuzzer's main is linked there
  set(SEXTANT_FUZZ_FLAGS -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all)
  target_compile_options(sextant_options INTERFACE ${SEXTANT_FUZZ_FLAGS} -fno-omit-frame-pointer)
  target_link_options(sextant_options INTERFACE ${SEXTANT_FUZZ_FLAGS})
  target_compile_definitions(sextant_options INTERFACE GRPC_ASAN_SUPPRESSED)
elseif(SEXTANT_SANITIZER STREQUAL "thread")
  target_compile_options(sextant_options INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(sextant_options INTERFACE -fsanitize=thread)
  target_compile_definitions(sextant_options INTERFACE GRPC_TSAN_SUPPRESSED)
endif()

find_program(SEXTANT_MOLD mold)
if(SEXTANT_MOLD AND NOT SEXTANT_SANITIZER)
  add_link_options(-fuse-ld=mold)
endif()
find_program(SEXTANT_CCACHE ccache)
if(SEXTANT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${SEXTANT_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${SEXTANT_CCACHE})
endif()

set(SEXTANT_CORE_EXTERNALS
    absl::status absl::statusor absl::strings absl::str_format absl::span absl::time absl::btree
    absl::flat_hash_map absl::flat_hash_set absl::inlined_vector absl::optional)

function(sextant_core_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  foreach(dep IN LISTS ARG_DEPS)
    if(dep IN_LIST SEXTANT_CORE_EXTERNALS)
      continue()
    endif()
    get_property(is_core TARGET ${dep} PROPERTY SEXTANT_CORE)
    if(NOT is_core)
      message(FATAL_ERROR "core library ${name} may not link ${dep}: only core libraries and Abseil's "
                          "value types are allowed (docs/ARCHITECTURE.md, 'Pure core, thin shell')")
    endif()
  endforeach()
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC sextant_options ${ARG_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE sextant_options ${ARG_DEPS})
  endif()
  set_property(TARGET ${name} PROPERTY SEXTANT_CORE TRUE)
endfunction()

function(sextant_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC sextant_options ${ARG_DEPS})
endfunction()

function(sextant_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE sextant_options ${ARG_DEPS})
endfunction()

# One binary per call; every TEST in it is its own CTest case, so that they run in parallel.
function(sextant_test name)
  cmake_parse_arguments(ARG "WHOLE" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT SEXTANT_BUILD_TESTS)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE sextant_options ${ARG_DEPS} GTest::gmock GTest::gtest
                                        GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test-bin)
  if(ARG_WHOLE) # fast unit tests: one process for the whole binary
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  else()
    gtest_discover_tests(${name} TEST_PREFIX "${name}:" DISCOVERY_MODE PRE_TEST NO_PRETTY_VALUES
                         PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  endif()
endfunction()
