# LibTorch: Debian's by default, an official one (CUDA) by CMAKE_PREFIX_PATH. Gives the target gannet_torch, whose headers
# count as system headers. Only libs/gan may link it (see GannetTargets.cmake).
find_package(Torch REQUIRED)
add_library(gannet_torch INTERFACE)
target_include_directories(gannet_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(gannet_torch INTERFACE ${TORCH_LIBRARIES})
if(TORCH_CXX_FLAGS)
  separate_arguments(_torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
  target_compile_options(gannet_torch INTERFACE ${_torch_flags})
endif()
