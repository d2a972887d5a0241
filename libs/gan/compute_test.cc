#include "libs/gan/compute.h"

#include <omp.h>

#include <new>
#include <stdexcept>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/gan/gan.h"

namespace gannet::gan {
namespace {

using ::testing::HasSubstr;

TEST(ConfigureComputeTest, SetsTheThreadsOfEveryThreadThatComputes) {
  ConfigureCompute(3);

  int here = 0, there = 0;
  PrepareComputeThread();
  here = omp_get_max_threads();
  std::thread([&] {
    PrepareComputeThread();
    there = omp_get_max_threads();
  }).join();

  EXPECT_EQ(here, 3);
  EXPECT_EQ(there, 3);
}

TEST(DescribeComputeTest, NamesLibraryBlasAndThreads) {
  ConfigureCompute(1);

  const ComputeDescription description = DescribeCompute();

  EXPECT_THAT(description.text, HasSubstr("LibTorch "));
  EXPECT_THAT(description.text, HasSubstr(", 1 thread"));
  EXPECT_EQ(description.reference_blas,
            description.text.find("reference BLAS") != std::string::npos);
}

absl::Status Convert(void (*thrower)()) {
  try {
    thrower();
  } catch (...) {
    return StatusFromException("testing");
  }
  return absl::OkStatus();
}

TEST(StatusFromExceptionTest, KeepsTheKindAndTheMessage) {
  EXPECT_THAT(Convert([] { throw std::bad_alloc(); }),
              base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("testing")));
  EXPECT_THAT(Convert([] { throw std::runtime_error("bad shape"); }),
              base::StatusIs(absl::StatusCode::kInternal, HasSubstr("bad shape")));
}

}  // namespace
}  // namespace gannet::gan
