# The layer order and the shape of every target of the project.
#
#   gannet_library(NAME [OBJECT] LAYER n SRCS … DEPS <our libs> PUBLIC_LIBS <others in headers> PRIVATE_LIBS <others>)
#     OBJECT: whoever names it in DEPS gets every object of it, also those that nothing refers to
#   gannet_library(NAME_testing SRCS … DEPS … )                  # its layer follows from DEPS
#   gannet_binary(NAME SRCS … DEPS … PRIVATE_LIBS …)             # the highest layer: mains, wiring only
#   gannet_test(LIB LABELS unit [tsan] … SRCS … DEPS … )         # one executable and one CTest entry per source
#
# A library may depend on libraries of lower layers only, and a layer is a whole number. A `…_testing` library is one layer
# above the highest of what it depends on, and no library that is shipped may depend on it. Whoever breaks that, or links an
# outside library that another target owns, gets an error at configure time.

set(
  GANNET_WARNINGS
  -Wall
  -Wextra
  -Wpedantic
  -Wshadow
  -Wconversion
)
if(GANNET_WERROR)
  list(APPEND GANNET_WARNINGS -Werror)
endif()

# Mains sit above every library (docs/adr/0001-layers.md).
set(GANNET_PROGRAM_LAYER 9)

# Outside libraries that only their owners may link: one each, but for torch.
set(GANNET_OWNER_PkgConfig::libutf8proc data)
set(GANNET_OWNER_gannet_torch gan quality)
set(GANNET_OWNER_PkgConfig::libpqxx pg)
set(GANNET_OWNER_PkgConfig::libpq pg)
set(GANNET_OWNER_prometheus-cpp::core telemetry)
set(GANNET_OWNER_PkgConfig::libmicrohttpd telemetry)
set(GANNET_OWNER_spdlog::spdlog telemetry)
set(GANNET_OWNER_yaml-cpp config)

function(gannet_apply_options target)
  target_compile_options(${target} PRIVATE ${GANNET_WARNINGS})
  target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}")
  if(GANNET_SANITIZE)
    target_compile_options(
      ${target}
      PRIVATE -fsanitize=${GANNET_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
    )
    target_link_options(${target} PRIVATE -fsanitize=${GANNET_SANITIZE})
  endif()
endfunction()

# Checks DEPS and LIBS of `name` against its layer, and links them.
function(gannet_link name layer scope)
  foreach(dep IN LISTS ARGN)
    get_property(known GLOBAL PROPERTY GANNET_LAYER_${dep})
    if(known STREQUAL "" AND NOT TARGET gannet_${dep})
      message(
        FATAL_ERROR
        "${name} (layer ${layer}) names '${dep}', which does not exist yet: "
        "a target is declared after everything it depends on."
      )
    endif()
    if(dep MATCHES "_testing$" AND NOT name MATCHES "_testing$" AND layer LESS GANNET_PROGRAM_LAYER)
      message(
        FATAL_ERROR
        "${name} must not depend on ${dep}: what tests share is for tests and benches "
        "(docs/adr/0001-layers.md)."
      )
    endif()
    if(NOT known LESS layer)
      message(
        FATAL_ERROR
        "${name} (layer ${layer}) must not depend on ${dep} (layer ${known}): "
        "a target depends only on lower layers (docs/adr/0001-layers.md)."
      )
    endif()
    target_link_libraries(gannet_${name} ${scope} gannet_${dep})
  endforeach()
endfunction()

function(gannet_link_outside name scope)
  foreach(lib IN LISTS ARGN)
    if(DEFINED GANNET_OWNER_${lib} AND NOT name IN_LIST GANNET_OWNER_${lib})
      message(
        FATAL_ERROR
        "${name} links ${lib}, which only '${GANNET_OWNER_${lib}}' may use: use that library instead."
      )
    endif()
    target_link_libraries(gannet_${name} ${scope} ${lib})
  endforeach()
endfunction()

# Sets `result` to the layer above the highest of the given libraries.
function(gannet_layer_above result)
  set(highest -1)
  foreach(dep IN LISTS ARGN)
    get_property(layer GLOBAL PROPERTY GANNET_LAYER_${dep})
    if(layer GREATER highest)
      set(highest ${layer})
    endif()
  endforeach()
  math(EXPR above "${highest} + 1")
  set(${result} ${above} PARENT_SCOPE)
endfunction()

function(gannet_library name)
  cmake_parse_arguments(A "OBJECT" "LAYER" "SRCS;DEPS;PUBLIC_LIBS;PRIVATE_LIBS" ${ARGN})
  if(A_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "gannet_library(${name}): takes no '${A_UNPARSED_ARGUMENTS}'")
  endif()
  if(name MATCHES "_testing$")
    if(DEFINED A_LAYER)
      message(FATAL_ERROR "gannet_library(${name}): takes no LAYER, which follows from DEPS")
    endif()
    gannet_layer_above(A_LAYER ${A_DEPS})
  elseif(NOT A_LAYER MATCHES "^[0-9]+$" OR NOT A_LAYER LESS GANNET_PROGRAM_LAYER)
    message(
      FATAL_ERROR
      "gannet_library(${name}): needs LAYER, a whole number below ${GANNET_PROGRAM_LAYER}, got "
      "'${A_LAYER}' (docs/adr/0001-layers.md)"
    )
  endif()
  set(kind STATIC)
  if(A_OBJECT)
    set(kind OBJECT)
  endif()
  add_library(gannet_${name} ${kind} ${A_SRCS})
  add_library(gannet::${name} ALIAS gannet_${name})
  set_property(GLOBAL PROPERTY GANNET_LAYER_${name} ${A_LAYER})
  set_property(GLOBAL APPEND PROPERTY GANNET_LIBRARIES ${name})
  gannet_apply_options(gannet_${name})
  gannet_link(${name} ${A_LAYER} PUBLIC ${A_DEPS})
  gannet_link_outside(${name} PUBLIC ${A_PUBLIC_LIBS})
  gannet_link_outside(${name} PRIVATE ${A_PRIVATE_LIBS})
endfunction()

# Makes `target` part of what the build target `group` builds.
function(gannet_collect group target)
  if(NOT TARGET ${group})
    add_custom_target(${group})
  endif()
  add_dependencies(${group} ${target})
endfunction()

function(gannet_binary name)
  cmake_parse_arguments(A "" "OUTPUT" "SRCS;DEPS;PRIVATE_LIBS" ${ARGN})
  add_executable(gannet_${name} ${A_SRCS})
  set_target_properties(gannet_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
  if(A_OUTPUT)
    set_target_properties(gannet_${name} PROPERTIES OUTPUT_NAME ${A_OUTPUT})
  endif()
  gannet_collect(programs gannet_${name})
  gannet_apply_options(gannet_${name})
  gannet_link(${name} ${GANNET_PROGRAM_LAYER} PRIVATE ${A_DEPS})
  set_property(GLOBAL APPEND PROPERTY GANNET_PROGRAMS ${name})
  gannet_link_outside(${name} PRIVATE ${A_PRIVATE_LIBS})
endfunction()

# Tests may use their own library, anything below it, and any `testing` target. LABELS: unit (no socket), tsan (links neither
# gRPC nor torch), pg (real PostgreSQL), cluster (services in one process), e2e (real binaries), long, chaos
# and hostile (left out unless `ctest -C long` asks for them). Each has a time limit only so that a hang ends.
function(gannet_test lib)
  if(NOT GANNET_TESTS)
    return()
  endif()
  cmake_parse_arguments(A "" "TIMEOUT" "LABELS;SRCS;DEPS;LIBS" ${ARGN})
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  foreach(src IN LISTS A_SRCS)
    get_filename_component(stem ${src} NAME_WE)
    set(target ${lib}_${stem})
    add_executable(${target} ${src})
    gannet_apply_options(${target})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
      # With -O3 it takes comparisons of vectors for ones of negative length.
      target_compile_options(${target} PRIVATE -Wno-stringop-overread -Wno-array-bounds)
    endif()
    if(GANNET_SANITIZE)
      # A sanitizer makes optimising what gtest unfolds to expensive: this saves a third of the compilation.
      target_compile_options(${target} PRIVATE -O0)
    endif()
    if(TARGET gannet_${lib})
      target_link_libraries(${target} PRIVATE gannet_${lib})
    endif()
    foreach(dep IN LISTS A_DEPS)
      target_link_libraries(${target} PRIVATE gannet_${dep})
    endforeach()
    target_link_libraries(${target} PRIVATE ${A_LIBS} GTest::gmock GTest::gtest_main)
    foreach(label unit tsan)
      if(label IN_LIST A_LABELS)
        gannet_collect(${label}_tests ${target})
      endif()
    endforeach()
    set(configuration)
    foreach(label long chaos hostile)
      if(label IN_LIST A_LABELS)
        # Not by a label the preset excludes: CTest leaves out only what matches every -LE, so that one more, from the command
        # line, would let everything in.
        set(configuration CONFIGURATIONS ${label})
      endif()
    endforeach()
    add_test(NAME ${target} COMMAND ${target} ${configuration})
    set_tests_properties(${target} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT})
    if(GANNET_SANITIZE STREQUAL thread)
      # TZ: without one, glibc reads its zone again at each mktime() (libzip's), behind a lock that the sanitizer does not see.
      set_tests_properties(
        ${target}
        PROPERTIES ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/cmake/tsan_suppressions.txt;TZ=UTC"
      )
    endif()
  endforeach()
endfunction()

# Prints the layers, lowest first, so that a reader of the configure log sees the order that was enforced: what is shipped,
# then what tests share.
function(gannet_finish_layers)
  get_property(libs GLOBAL PROPERTY GANNET_LIBRARIES)
  get_property(programs GLOBAL PROPERTY GANNET_PROGRAMS)
  set(highest 0)
  foreach(lib IN LISTS libs)
    get_property(layer GLOBAL PROPERTY GANNET_LAYER_${lib})
    set(kind layer)
    if(lib MATCHES "_testing$")
      set(kind testing)
    endif()
    string(APPEND ${kind}_${layer} " ${lib}")
    if(layer GREATER highest)
      set(highest ${layer})
    endif()
  endforeach()
  if(programs)
    list(JOIN programs " " programs)
    set(layer_${GANNET_PROGRAM_LAYER} " ${programs}")
    if(highest LESS GANNET_PROGRAM_LAYER)
      set(highest ${GANNET_PROGRAM_LAYER})
    endif()
  endif()
  foreach(kind layer testing)
    foreach(layer RANGE ${highest})
      if(${kind}_${layer})
        string(REPLACE testing "testing layer" prefix ${kind})
        message(STATUS "${prefix} ${layer}:${${kind}_${layer}}")
      endif()
    endforeach()
  endforeach()
endfunction()
