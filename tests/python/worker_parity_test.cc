// A worker that was written from docs/protocol.md and the proto files alone, with stock PyTorch
// (tests/python/gannet_worker), trains a class by itself; the weights must be those of a class of
// our own worker. So the page says all that an independent worker needs, and what it says is true.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/tensor/safetensors.h"
#include "tests/e2e/e2e_cluster.h"

namespace gannet {
namespace {

using ::testing::HasSubstr;

constexpr int kRounds = 5;

struct Training {
  const char* name;
  e2e::ProgramSettings settings;
  // Of the weights, as the relative L2 distance of each tensor.
  double tolerance;
};

void PrintTo(const Training& training, std::ostream* out) { *out << training.name; }

// Without these modules there is nobody to compare with.
bool HasPythonModules() {
  const image::TempFolder folder;
  base::ChildProcess python(
      {.argv = {"/usr/bin/python3", "-c", "import grpc, google.protobuf, torch"},
       .environment = {"PATH=/usr/bin:/bin"},
       .output_prefix = folder.path() + "/python"});
  return python.AwaitExit() == 0;
}

// A class that trains on packed images; they are packed before anything else is started.
class PackedClass {
 public:
  explicit PackedClass(e2e::ProgramSettings settings)
      : class_([&] {
          settings.insert({{"run.rounds", absl::StrCat(kRounds)},
                           {"run.seed", "1"},
                           {"model.base_width", "4"},
                           {"data.kind", "packed"},
                           {"data.path", PackedPath()}});
          return settings;
        }()) {
    const e2e::Outcome packed =
        class_.Gannet({"data", "pack", "--data.kind", "procedural", "--data.count", "50",
                       "--data.seed", "3", "--model.image_size", "32", "--out", PackedPath()});
    EXPECT_EQ(packed.exit_code, 0) << packed.err;
  }

  // Trains with our own worker.
  void TrainWithOurWorker() {
    base::ChildProcess& coordinator = class_.StartCoordinator();
    class_.StartGateway();
    base::ChildProcess& worker = class_.StartWorker("ada");
    class_.ExpectEnd({&coordinator, &worker});
  }

  // Trains with the worker in Python.
  void TrainWithPythonWorker() {
    base::ChildProcess& coordinator = class_.StartCoordinator();
    class_.StartGateway();
    base::ChildProcess python(
        {.argv = {"/usr/bin/python3", "-m", "gannet_worker", class_.gateway_address(),
                  PackedPath()},
         .environment = {"PATH=/usr/bin:/bin", "OMP_NUM_THREADS=1", "PYTHONDONTWRITEBYTECODE=1",
                         "PYTHONPATH=" GANNET_PYTHON_PATH},
         .output_prefix = class_.PathOf("logs/python")});
    EXPECT_EQ(python.AwaitExit(), 0) << python.err();
    EXPECT_THAT(python.out(), HasSubstr(absl::StrCat("units accepted: ", 2 * kRounds)));
    class_.ExpectEnd({&coordinator});
    EXPECT_EQ(class_.Text("SELECT display_name FROM gannet.worker"), "python");
    class_.ExpectEveryGradientCountedOnce();
  }

  tensor::TensorBundle Weights() {
    absl::StatusOr<tensor::TensorBundle> weights = tensor::DecodeSafetensors(class_.FinalWeights());
    EXPECT_OK(weights);
    return weights.ok() ? *std::move(weights) : tensor::TensorBundle();
  }

  // Of a column of all rounds.
  double SumOf(const std::string& column) {
    double sum = NAN;
    EXPECT_TRUE(absl::SimpleAtod(
        class_.Text(absl::StrCat("SELECT sum(", column, ") FROM gannet.round_summary")), &sum));
    return sum;
  }

 private:
  std::string PackedPath() const { return folder_.path() + "/faces.packed"; }

  const image::TempFolder folder_;
  e2e::E2eCluster class_;
};

double RelativeDistance(const tensor::Tensor& expected, const tensor::Tensor& got) {
  double squares = 0, difference = 0;
  for (size_t i = 0; i < expected.f32().size(); ++i) {
    const double a = expected.f32()[i], b = got.f32()[i];
    squares += a * a;
    difference += (a - b) * (a - b);
  }
  return std::sqrt(difference / squares);
}

void ExpectSameWeights(const tensor::TensorBundle& expected, const tensor::TensorBundle& got,
                       double tolerance) {
  ASSERT_FALSE(expected.tensors().empty());
  ASSERT_EQ(expected.tensors().size(), got.tensors().size());
  double most = 0;
  for (const tensor::Tensor& tensor : expected.tensors()) {
    const tensor::Tensor* const other = got.Find(tensor.spec.name);
    ASSERT_NE(other, nullptr) << tensor.spec.name;
    ASSERT_EQ(other->spec, tensor.spec);
    if (tensor.spec.dtype == tensor::Dtype::kI64) {
      EXPECT_EQ(other->bytes, tensor.bytes) << tensor.spec.name;
      continue;
    }
    const double distance = RelativeDistance(tensor, *other);
    EXPECT_LE(distance, tolerance) << tensor.spec.name;
    most = std::max(most, distance);
  }
  std::printf("largest relative distance of a tensor: %.1e\n", most);
}

class WorkerParityTest : public ::testing::TestWithParam<Training> {};

TEST_P(WorkerParityTest, AWorkerWrittenFromThePageTrainsTheSameNetworks) {
  if (!HasPythonModules()) GTEST_SKIP() << "no python3-torch, python3-grpcio or python3-protobuf";
  PackedClass ours(GetParam().settings);
  ours.TrainWithOurWorker();
  PackedClass theirs(GetParam().settings);
  theirs.TrainWithPythonWorker();
  if (HasFailure()) return;

  ExpectSameWeights(ours.Weights(), theirs.Weights(), GetParam().tolerance);
  for (const char* loss : {"discriminator_loss", "generator_loss"}) {
    EXPECT_NEAR(theirs.SumOf(loss), ours.SumOf(loss), 1e-4) << loss;
  }
  for (const char* accuracy : {"real_accuracy", "fake_accuracy"}) {
    EXPECT_NEAR(theirs.SumOf(accuracy), ours.SumOf(accuracy), 1e-6) << accuracy;
  }
}

// In five rounds of these no input of a ReLU is nearer to 0 than 1e-6 of the deviation of its
// layer's inputs, so that rounding decides no sign, whoever adds in whichever order.
INSTANTIATE_TEST_SUITE_P(
    , WorkerParityTest,
    ::testing::Values(
        Training{"Dcgan", {}, 1e-5},
        // Micro-batches of 3 and 4 images, and everything that can be done to an image.
        Training{"Variations",
                 {{"training.loss", "lsgan"},
                  {"training.real_label", "0.9"},
                  {"training.images_per_unit", "7"},
                  {"training.micro_batch", "3"},
                  {"training.flip", "true"},
                  {"training.augment", "color,translation,cutout"}},
                 1e-5},
        // Where a value lies between two of half precision, rounding decides which it becomes.
        Training{"HalfPrecision",
                 {{"training.loss", "hinge"}, {"training.gradient_codec", "fp16"}},
                 1e-4}),
    [](const auto& training) { return training.param.name; });

}  // namespace
}  // namespace gannet
