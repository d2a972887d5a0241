#include "libs/gan/compute.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <torch/version.h>

#include <cstdlib>
#include <exception>
#include <new>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/malloc_tuning.h"
#include "libs/gan/gan.h"

namespace gannet::gan {
namespace {

// The library that serves LibTorch's matrix products, with symbolic links resolved; empty when it
// is not a library of its own.
std::string BlasPath() {
  void* const symbol = dlsym(RTLD_DEFAULT, "sgemm_");
  Dl_info info;
  if (symbol == nullptr || dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return "";
  char* const resolved = realpath(info.dli_fname, nullptr);
  std::string path = resolved == nullptr ? info.dli_fname : resolved;
  free(resolved);
  return path;
}

// Netlib's reference BLAS is libblas.so below a plain "blas" directory; every fast one names itself
// in its path.
bool IsReferenceBlas(const std::string& path) {
  if (!absl::StrContains(path, "libblas.so")) return false;
  for (const char* fast : {"openblas", "blis", "mkl", "atlas"}) {
    if (absl::StrContains(path, fast)) return false;
  }
  return true;
}

}  // namespace

namespace {

void SetBlasThreads(int threads) {
  using SetThreads = void (*)(int);
  const auto set = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set != nullptr) set(threads);
}

}  // namespace

void ConfigureThreads(int threads) {
  GANNET_CHECK(threads >= 1);
  at::set_num_threads(threads);
  SetBlasThreads(threads);
}

void ConfigureCompute(int threads) {
  ConfigureThreads(threads);
  // A step has two small products by BLAS only, whose threads would spin for 25 ms after each and
  // take the cores from those of OpenMP.
  SetBlasThreads(1);
  // Activations are megabytes, allocated and freed at each step.
  base::TuneMalloc();
}

ComputeDescription DescribeCompute() {
  const std::string path = BlasPath();
  ComputeDescription description;
  description.reference_blas = IsReferenceBlas(path);
  std::string blas = "its own BLAS";
  if (description.reference_blas) {
    blas = absl::StrCat("reference BLAS (", path,
                        "; install libopenblas0-pthread: it is several times faster)");
  } else if (absl::StrContains(path, "openblas")) {
    blas = "OpenBLAS";
  } else if (!path.empty() && !absl::StrContains(path, "libtorch")) {
    blas = path;
  }
  const int threads = at::get_num_threads();
  description.text = absl::StrCat("LibTorch ", TORCH_VERSION, ", ", blas, ", ", threads,
                                  threads == 1 ? " thread" : " threads");
  return description;
}

void PrepareComputeThread() { at::init_num_threads(); }

absl::Status StatusFromException(const char* what) {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat("not enough memory while ", what));
  } catch (const c10::Error& error) {
    // Its what() holds a stack trace.
    return absl::InternalError(
        absl::StrCat("LibTorch failed while ", what, ": ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("failed while ", what, ": ", error.what()));
  }
}

}  // namespace gannet::gan
