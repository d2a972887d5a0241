#include "libs/gan/engines/architecture_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tensor.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::gan {
namespace {

using ::testing::ElementsAre;

// What no kind of networks has yet must work all the same for the first that has it.
class ArchitectureForwardTest : public ::testing::Test {
 protected:
  std::vector<float> Run(const domain::Steps& steps, const at::Tensor& x) const {
    const at::Tensor y = ArchitectureForward(&tensors_, at::kFloat, Statistics::kBatch)
                             .Run(steps, "generator.main", x)
                             .contiguous();
    return {y.data_ptr<float>(), y.data_ptr<float>() + y.numel()};
  }

  NamedTensors tensors_;
  const at::Tensor square_ = at::tensor({1.0f, -2.0f, 3.0f, -4.0f}).view({1, 1, 2, 2});
};

TEST_F(ArchitectureForwardTest, AnEmptyShortcutIsTheInputItself) {
  EXPECT_THAT(Run({domain::Residual({domain::Relu()}, {})}, square_), ElementsAre(2, -2, 6, -4));
  EXPECT_THAT(Run({domain::Residual({}, {})}, square_), ElementsAre(2, -4, 6, -8));
}

TEST_F(ArchitectureForwardTest, ModulesWithoutParametersAreThoseOfPyTorch) {
  EXPECT_THAT(Run({domain::LeakyRelu()}, square_), ElementsAre(1, -0.4f, 3, -0.8f));
  EXPECT_THAT(Run({domain::AveragePool()}, square_), ElementsAre(-0.5f));
  EXPECT_THAT(Run({domain::Upsample()}, square_),
              ElementsAre(1, 1, -2, -2, 1, 1, -2, -2, 3, 3, -4, -4, 3, 3, -4, -4));
}

TEST_F(ArchitectureForwardTest, TheObserverHearsOfEveryStepByItsName) {
  tensors_["generator.main.0.main.1.weight"] = at::tensor({2.0f}).view({1, 1, 1, 1});
  std::vector<std::string> names;
  const ArchitectureForward::Observer observer = [&](const std::string& name, const at::Tensor&) {
    names.push_back(name);
  };

  ArchitectureForward(&tensors_, at::kFloat, Statistics::kBatch)
      .Run(
          {domain::Residual({domain::Relu(), domain::Convolution(1, 1, 1, 0)}, {}), domain::Relu()},
          "generator.main", square_, nullptr, &observer);

  EXPECT_THAT(names, ElementsAre("generator.main.0.main.0", "generator.main.0.main.1",
                                 "generator.main.0", "generator.main.1"));
}

}  // namespace
}  // namespace gannet::gan
