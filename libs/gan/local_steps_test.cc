#include "libs/gan/local_steps.h"

#include <atomic>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/model_layout.h"
#include "libs/gan/gan.h"
#include "libs/gan/testing/reference_training.h"
#include "libs/gan/testing/unit_checks.h"

namespace gannet::gan {
namespace {

using ::testing::HasSubstr;

const domain::ModelConfig kModel{.image_size = 32, .latent_dim = 20, .base_width = 8};

// Three steps of two micro-batches of four images.
class LocalStepsTest : public ::testing::Test {
 protected:
  LocalStepsTest() : start_(InitialWeights(kModel, 11)) {
    task_.round = 7;
    task_.slot = 2;
    task_.seed = 5;
    task_.micro_batch = 4;
    task_.objective.real_label = 0.9;
    task_.image_count = 24;
    task_.read_image = ReadNoiseImage;
    task_.local_steps = 3;
    task_.local_adam = {.learning_rate = 2e-4, .learning_rate_discriminator = 4e-4};
    task_.start = &start_;
  }

  std::unique_ptr<GradientComputer> MakeComputer(const ComputeDevice& device = {}) {
    std::unique_ptr<GradientComputer> computer = *MakeGradientComputerOn(device, kModel);
    EXPECT_OK(computer->SetWeights(start_));
    return computer;
  }

  const tensor::TensorBundle start_;
  UnitTask task_;
};

TEST_F(LocalStepsTest, EqualStockModulesWithAdamAfterEveryStep) {
  const ReferenceUnit expected = ReferenceLocalSteps(kModel, start_, task_);
  ASSERT_GE(expected.kink_distance, kKinkDistanceMin) << "choose another seed";

  for (const ComputeEngine engine :
       {ComputeEngine::kFastest, ComputeEngine::kOperations, ComputeEngine::kAutograd}) {
    SCOPED_TRACE(testing::Message() << "engine " << static_cast<int>(engine));
    ASSERT_OK_AND_ASSIGN(const UnitGradient got, MakeComputer({.engine = engine})->Compute(task_));

    EXPECT_OK(got.gradient.CheckSpec(domain::GradientSpec(kModel)));
    for (const tensor::TensorSpec& spec : domain::ParameterSpec(kModel)) {
      // Where it ends, in what the networks are made of; and by how far it moved. Adam's first step
      // has the size of the learning rate however small a gradient is, so that a rounding error in
      // one that is nearly 0 weighs more there.
      EXPECT_LE(RelativeDistance(*got.gradient.Find(spec.name), *expected.gradient.Find(spec.name)),
                1e-3)
          << spec.name;
      tensor::Tensor end = *start_.Find(spec.name), expected_end = end;
      for (size_t i = 0; i < end.f32().size(); ++i) {
        end.mutable_f32()[i] -= got.gradient.Find(spec.name)->f32()[i];
        expected_end.mutable_f32()[i] -= expected.gradient.Find(spec.name)->f32()[i];
      }
      EXPECT_LE(RelativeDistance(end, expected_end), 1e-5) << spec.name;
    }
    EXPECT_EQ(got.micro_batch_count, 6);
    EXPECT_NEAR(got.discriminator_loss, expected.discriminator_loss, 1e-5);
    EXPECT_NEAR(got.generator_loss, expected.generator_loss, 1e-5);
    EXPECT_DOUBLE_EQ(got.real_accuracy, expected.real_accuracy);
    EXPECT_DOUBLE_EQ(got.fake_accuracy, expected.fake_accuracy);
  }
}

TEST_F(LocalStepsTest, AreAPureFunctionOfTheirTask) {
  const std::unique_ptr<GradientComputer> computer = MakeComputer();
  UnitTask plain = task_;
  plain.local_steps = 1;
  ASSERT_OK_AND_ASSIGN(const UnitGradient before, computer->Compute(plain));
  ASSERT_OK_AND_ASSIGN(const UnitGradient first, computer->Compute(task_));
  UnitTask other = task_;
  other.slot = 3;
  ASSERT_OK_AND_ASSIGN(const UnitGradient elsewhere, computer->Compute(other));
  ASSERT_OK_AND_ASSIGN(const UnitGradient again, computer->Compute(task_));
  ASSERT_OK_AND_ASSIGN(const UnitGradient by_another, MakeComputer()->Compute(task_));
  ASSERT_OK_AND_ASSIGN(const UnitGradient after, computer->Compute(plain));

  EXPECT_TRUE(SameBytes(again.gradient, first.gradient));
  EXPECT_TRUE(SameBytes(by_another.gradient, first.gradient));
  EXPECT_TRUE(SameBytes(after.gradient, before.gradient));
  const std::string name = domain::ParameterSpec(kModel).front().name;
  EXPECT_NE(elsewhere.gradient.Find(name)->bytes, first.gradient.Find(name)->bytes);
}

// The statistics are means over all micro-batches, as those of a plain unit are, although each step
// sees other weights.
TEST_F(LocalStepsTest, StatisticsAreMeansOverTheSteps) {
  LocalSteps steps(kModel, task_.local_adam, start_);
  tensor::TensorBundle gradient;
  for (const tensor::TensorSpec& spec : domain::GradientSpec(kModel)) {
    gradient.Add(tensor::Tensor::Zeros(spec));
  }
  for (const float value : {1.0F, 2.0F, 6.0F}) {
    for (tensor::Tensor& tensor : gradient.mutable_tensors()) {
      for (float& element : tensor.mutable_f32()) element = value;
    }
    steps.Step(gradient);
  }

  const tensor::TensorBundle result = steps.PseudoGradient();
  for (const tensor::Tensor& tensor : result.tensors()) {
    const bool is_parameter = start_.Find(tensor.spec.name) != nullptr;
    for (const float value : tensor.f32()) {
      if (is_parameter) {
        // Down against a positive gradient, about one learning rate a step.
        EXPECT_GT(value, 0) << tensor.spec.name;
        EXPECT_LT(value, 3.5 * 4e-4) << tensor.spec.name;
      } else {
        EXPECT_EQ(value, 3) << tensor.spec.name;
      }
    }
  }
}

TEST_F(LocalStepsTest, WhatCannotBeIsRefused) {
  const std::unique_ptr<GradientComputer> computer = MakeComputer();
  const auto refused = [&](const UnitTask& task, const char* why) {
    EXPECT_THAT(computer->Compute(task),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  UnitTask task = task_;
  task.local_steps = 0;
  refused(task, "local steps must be at least 1");
  task = task_;
  task.local_steps = 4;
  refused(task, "a multiple of local_steps x micro_batch: got 24, 4 and 4");
  task = task_;
  task.start = nullptr;
  refused(task, "need their start");
  EXPECT_OK(computer->Compute(task_));
}

TEST_F(LocalStepsTest, ACancelledUnitLeavesTheWeightsAsTheyWere) {
  const std::unique_ptr<GradientComputer> computer = MakeComputer();
  ASSERT_OK_AND_ASSIGN(const UnitGradient whole, computer->Compute(task_));
  std::atomic<bool> cancelled = false;
  UnitTask task = task_;
  task.cancelled = &cancelled;
  task.on_progress = [&](int done) { cancelled = done == 5; };

  EXPECT_THAT(computer->Compute(task), base::StatusIs(absl::StatusCode::kCancelled));
  ASSERT_OK_AND_ASSIGN(const UnitGradient again, computer->Compute(task_));
  EXPECT_TRUE(SameBytes(again.gradient, whole.gradient));
}

TEST_F(LocalStepsTest, DivergenceNamesTheStep) {
  task_.local_adam.learning_rate_discriminator = 1e30;

  EXPECT_THAT(MakeComputer()->Compute(task_),
              base::StatusIs(absl::StatusCode::kInternal,
                             HasSubstr("the run has diverged: round 7, slot 2, local step 2")));
}

}  // namespace
}  // namespace gannet::gan
