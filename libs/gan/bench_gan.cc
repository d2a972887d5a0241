// Compares the gradient computation in the same run with stock LibTorch modules and with what this
// machine could do at best (libs/gan/testing/compute_bound.h): images a second and their ratios.
//
//   gannet-bench-gan [--repeats N] [--json | --profile]
//   gannet-bench-gan [--repeats N] --device cuda [--precision fp32|tf32|bf16]
//
// Each figure is the best of N; ours and stock take turns, so that a noisy machine disturbs both.
// Stock modules run in a process of their own (libs/gan/testing/stock_process.h).

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/gan/compute.h"
#include "libs/gan/gan.h"
#include "libs/gan/kernels/profile.h"
#include "libs/gan/testing/compute_bound.h"
#include "libs/gan/testing/reference_training.h"
#include "libs/gan/testing/stock_process.h"

namespace gannet::gan {
namespace {

struct Case {
  const char* name;
  domain::ModelConfig model;
  int micro_batch;
  int micro_batches;  // in a unit; the demo's have one, and so pay for the export of the gradient
                      // each time
  int threads;
};

struct Rates {
  double ours = 0;
  double stock = 0;
  double bound = 0;
  ComputeRate fastest;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const int micro_batch : {32, 64}) {
    cases.push_back({"default", domain::ModelConfig{}, micro_batch, 4, 2});
  }
  cases.push_back({"default", domain::ModelConfig{}, 32, 4, 1});
  for (const int threads : {1, 2}) {
    for (const int width : {32, 40, 48}) {
      for (const int micro_batch : {16, 32}) {
        cases.push_back({"demo",
                         {.image_size = 32, .latent_dim = 100, .base_width = width},
                         micro_batch,
                         1,
                         threads});
      }
    }
  }
  return cases;
}

// Seconds of our computation of one unit; infinite when it fails, which ends the comparison
// visibly.
double OurSeconds(GradientComputer& computer, const Case& c) {
  UnitTask task;
  task.micro_batch = c.micro_batch;
  task.image_count = c.micro_batch * c.micro_batches;
  task.read_image = [](int position, absl::Span<float> out) {
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] =
          static_cast<float>((i * 37 + static_cast<size_t>(position) * 101) % 255) / 127.5f - 1;
    }
    return absl::OkStatus();
  };
  const absl::StatusOr<UnitGradient> unit = computer.Compute(task);
  if (!unit.ok()) {
    std::fprintf(stderr, "%s\n", unit.status().ToString().c_str());
    std::exit(1);
  }
  return unit->compute_seconds;
}

int64_t PageFaults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// Idle threads of OpenBLAS spin for some 25 ms before they sleep: those of the one process would
// take a core from the other.
void Rest() { std::this_thread::sleep_for(std::chrono::milliseconds(100)); }

double StockSeconds(StockTrainingStep& step) {
  const auto start = std::chrono::steady_clock::now();
  step.Run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Rates Measure(const Case& c, int repeats) {
  ConfigureCompute(c.threads);
  const tensor::TensorBundle weights = InitialWeights(c.model, 1);
  const std::unique_ptr<GradientComputer> computer = MakeGradientComputer(c.model).value();
  if (const absl::Status status = computer->SetWeights(weights); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    std::exit(1);
  }
  // Of 64 images for the default networks, which suits stock modules better than smaller batches.
  const int stock_batch = c.model.image_size == 64 ? 64 : c.micro_batch;
  StockProcess stock(c.model, stock_batch, c.threads);
  // The first step of each arranges weights and builds oneDNN's kernels.
  OurSeconds(*computer, c);
  stock.Step();
  double ours = std::numeric_limits<double>::infinity(), theirs = ours;
  for (int i = 0; i < repeats; ++i) {
    Rest();
    ours = std::min(ours, OurSeconds(*computer, c) / c.micro_batches);
    Rest();
    theirs = std::min(theirs, stock.Step());
  }
  Rest();
  // The bound may use all threads of BLAS, too.
  ConfigureThreads(c.threads);
  // After them: a machine that became faster meanwhile makes the ratio worse, not better.
  const ComputeRate fastest = FastestComputation(c.model, c.micro_batch, repeats, ours);
  return {.ours = c.micro_batch / ours,
          .stock = stock_batch / theirs,
          .bound = fastest.flops_per_second / StepFlopsPerImage(c.model),
          .fastest = fastest};
}

// On a GPU: images a second against the PyTorch example's loop on the same card.
void MeasureOnDevice(const ComputeDevice& device, int repeats) {
  for (const int image_size : {64, 128}) {
    for (const int micro_batch : {64, 128, 256}) {
      Case c{"device", domain::ModelConfig{.image_size = image_size}, micro_batch, 8, 1};
      const tensor::TensorBundle weights = InitialWeights(c.model, 1);
      absl::StatusOr<std::unique_ptr<GradientComputer>> computer =
          MakeGradientComputerOn(device, c.model);
      absl::Status status = computer.status();
      if (status.ok()) status = (*computer)->SetWeights(weights);
      if (!status.ok()) {
        std::fprintf(stderr, "%s\n", status.ToString().c_str());
        std::exit(1);
      }
      StockTrainingStep stock(c.model, weights, micro_batch, device.name);
      OurSeconds(**computer, c);
      StockSeconds(stock);
      double ours = std::numeric_limits<double>::infinity(), theirs = ours;
      for (int i = 0; i < repeats; ++i) {
        ours = std::min(ours, OurSeconds(**computer, c) / c.micro_batches);
        double sum = 0;
        for (int step = 0; step < c.micro_batches; ++step) sum += StockSeconds(stock);
        theirs = std::min(theirs, sum / c.micro_batches);
      }
      std::printf(
          "%s %s %dx%d  micro-batch %3d  ours %8.1f img/s  PyTorch's loop in fp32 %8.1f "
          "img/s  ratio %.2f (goal 1.3)\n",
          device.name.c_str(), device.precision.c_str(), image_size, image_size, micro_batch,
          micro_batch / ours, micro_batch / theirs, theirs / ours);
      std::fflush(stdout);
    }
  }
}

void PrintText(const Case& c, const Rates& rates) {
  std::printf(
      "%-8s %dx%d width %2d  micro-batch %2d  %d threads  ours %7.1f img/s  stock %7.1f img/s  "
      "ratio %.2f  bound %7.1f img/s (%s, %.0f GFLOP/s)  ratio %.2f\n",
      c.name, c.model.image_size, c.model.image_size, c.model.base_width, c.micro_batch, c.threads,
      rates.ours, rates.stock, rates.ours / rates.stock, rates.bound, rates.fastest.name,
      rates.fastest.flops_per_second / 1e9, rates.ours / rates.bound);
  std::fflush(stdout);
}

void PrintJson(const Case& c, const Rates& rates, bool first) {
  std::printf(
      "%s\n  {\"name\": \"%s\", \"image_size\": %d, \"base_width\": %d, \"micro_batch\": %d, "
      "\"threads\": %d, "
      "\"images_per_second\": %.1f, \"stock_images_per_second\": %.1f, "
      "\"bound_images_per_second\": %.1f, \"fastest\": \"%s\", \"fastest_gflops\": %.1f, "
      "\"stock_ratio\": %.3f, \"bound_ratio\": %.3f}",
      first ? "" : ",", c.name, c.model.image_size, c.model.base_width, c.micro_batch, c.threads,
      rates.ours, rates.stock, rates.bound, rates.fastest.name,
      rates.fastest.flops_per_second / 1e9, rates.ours / rates.stock, rates.ours / rates.bound);
}

// Where the time of a unit goes, the largest part first; not only whole convolutions of the
// networks but all that is not in them too.
void PrintProfile(const Case& c, int repeats) {
  ConfigureCompute(c.threads);
  const std::unique_ptr<GradientComputer> computer = MakeGradientComputer(c.model).value();
  if (const absl::Status status = computer->SetWeights(InitialWeights(c.model, 1)); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    std::exit(1);
  }
  OurSeconds(*computer, c);
  double seconds = 0;
  const Profile profile;
  const double faults_before = static_cast<double>(PageFaults());
  for (int i = 0; i < repeats; ++i) seconds += OurSeconds(*computer, c);
  const double steps = static_cast<double>(repeats) * c.micro_batches;
  std::printf("%s %dx%d, micro-batch %d, %d threads: %.2f ms a step, %.0f page faults a step\n",
              c.name, c.model.image_size, c.model.image_size, c.micro_batch, c.threads,
              1e3 * seconds / steps, (static_cast<double>(PageFaults()) - faults_before) / steps);
  std::vector<std::pair<std::string, ProfileEntry>> entries(profile.entries().begin(),
                                                            profile.entries().end());
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  double rest = seconds;
  for (const auto& [name, entry] : entries) {
    rest -= entry.seconds;
    std::printf("  %-44s %7.3f ms %5.1f %%", name.c_str(), 1e3 * entry.seconds / steps,
                100 * entry.seconds / seconds);
    if (entry.flops > 0) std::printf(" %6.0f GFLOP/s", entry.flops / entry.seconds / 1e9);
    std::printf("\n");
  }
  std::printf("  %-44s %7.3f ms %5.1f %%\n", "all the rest", 1e3 * rest / steps,
              100 * rest / seconds);
}

int Main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], kStockArgument) == 0) {
    return RunStockProcess(argc - 2, argv + 2);
  }
  bool json = false;
  bool profile = false;
  int repeats = 5;
  ComputeDevice device;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (std::strcmp(argv[i], "--profile") == 0) {
      profile = true;
    } else if (std::strcmp(argv[i], "--device") == 0 && i + 1 < argc) {
      device.name = argv[++i];
      device.engine = ComputeEngine::kOperations;
    } else if (std::strcmp(argv[i], "--precision") == 0 && i + 1 < argc) {
      device.precision = argv[++i];
    } else if (std::strcmp(argv[i], "--repeats") == 0 && i + 1 < argc &&
               std::atoi(argv[i + 1]) > 0) {
      repeats = std::atoi(argv[++i]);
    } else {
      std::fprintf(stderr,
                   "usage: gannet-bench-gan [--repeats N] [--json | --profile | --device NAME "
                   "[--precision fp32|tf32|bf16]]\n");
      return 2;
    }
  }
  if (device.engine != ComputeEngine::kFastest) {
    ConfigureCompute(2);
    MeasureOnDevice(device, repeats);
    return 0;
  }
  if (profile) {
    for (const Case& c : Cases()) {
      // One of the demo's is enough.
      if (c.model.image_size == 64 || (c.model.base_width == 32 && c.micro_batch == 32)) {
        PrintProfile(c, repeats);
      }
    }
    return 0;
  }
  ConfigureCompute(2);
  const std::string compute = DescribeCompute().text;
  std::printf(json ? "{\"compute\": \"%s\", \"results\": [" : "%s\n", compute.c_str());
  bool first = true;
  for (const Case& c : Cases()) {
    const Rates rates = Measure(c, repeats);
    if (json) {
      PrintJson(c, rates, first);
    } else {
      PrintText(c, rates);
    }
    first = false;
  }
  if (json) std::printf("\n]}\n");
  return 0;
}

}  // namespace
}  // namespace gannet::gan

int main(int argc, char** argv) { return gannet::gan::Main(argc, argv); }
