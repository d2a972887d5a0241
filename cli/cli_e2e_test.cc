// Runs the real program, without any server.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/child_process.h"
#include "libs/gan/gan.h"
#include "libs/image/image_io.h"
#include "libs/tensor/safetensors.h"
#include "nlohmann/json.hpp"

namespace gannet::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

std::string LastLine(const std::string& text) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  return lines.empty() ? "" : lines.back();
}

class CliTest : public ::testing::Test {
 protected:
  CliTest() {
    // With a space, which nothing may stumble over.
    std::string name = ::testing::TempDir() + "/gannet cli_XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~CliTest() override { std::filesystem::remove_all(folder_); }

  std::string PathOf(const std::string& name) const { return folder_ + "/" + name; }

  std::string Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(PathOf(name), std::ios::binary) << bytes;
    return PathOf(name);
  }

  // Starts the program with nothing but PATH and `environment`, and waits for its end.
  Outcome Run(std::vector<std::string> arguments, std::vector<std::string> environment = {}) const {
    arguments.insert(arguments.begin(), GANNET_BINARY);
    environment.push_back("PATH=/usr/bin:/bin");
    base::ChildProcess gannet(
        {.argv = arguments, .environment = environment, .output_prefix = PathOf("gannet")});
    const int exit_code = gannet.AwaitExit();
    return {exit_code, gannet.out(), gannet.err()};
  }

  // metrics.csv of a training, but for how long rounds took.
  std::string MetricsWithoutTimes(const std::string& training) const {
    std::string text;
    for (const auto line :
         absl::StrSplit(base::FileContents(PathOf(training + "/metrics.csv")), '\n')) {
      text += absl::StrCat(line.substr(0, line.rfind(',')), "\n");
    }
    return text;
  }

  std::string WriteWeights(const std::string& name, uint64_t seed) const {
    return Write(name, tensor::EncodeSafetensors(gan::InitialWeights({32, 16, 4}, seed)));
  }

 private:
  std::string folder_;
};

TEST_F(CliTest, HelpNamesEveryCommandAndTheExitCodes) {
  const Outcome help = Run({"--help"});

  EXPECT_EQ(help.exit_code, 0);
  for (const char* command :
       {"migrate", "status", "watch", "workers", "rounds", "pause", "resume", "stop", "data",
        "config", "train-local", "sample", "evaluate", "gif", "version"}) {
    EXPECT_THAT(help.out, HasSubstr(absl::StrCat("\n  ", command, " "))) << command;
    const Outcome own = Run({command, "--help"});
    EXPECT_EQ(own.exit_code, 0) << command;
    EXPECT_THAT(own.out, HasSubstr("Usage: ")) << command;
  }
  EXPECT_THAT(help.out, HasSubstr("Exit codes: 0 ok, 1 failure, 2"));
}

TEST_F(CliTest, WithoutACommandItExplainsItself) {
  const Outcome nothing = Run({});

  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_THAT(nothing.err, HasSubstr("Usage: gannet"));
}

TEST_F(CliTest, MistypedCommandsAndFlagsAreNamedWithTheNearest) {
  const Outcome command = Run({"stauts"});
  EXPECT_EQ(command.exit_code, 2);
  EXPECT_THAT(command.err, HasSubstr("unknown command 'stauts', did you mean 'status'?"));

  const Outcome nested = Run({"data", "chek"});
  EXPECT_EQ(nested.exit_code, 2);
  EXPECT_THAT(nested.err, HasSubstr("unknown command 'chek', did you mean 'check'?"));

  const Outcome flag = Run({"status", "--jsn"});
  EXPECT_EQ(flag.exit_code, 2);
  EXPECT_THAT(flag.err, HasSubstr("unknown flag '--jsn', did you mean '--json'?"));

  const Outcome key = Run({"config", "check", "--trainning.lease", "5m"});
  EXPECT_EQ(key.exit_code, 2);
  EXPECT_THAT(key.err, HasSubstr("did you mean '--training.lease'?"));
}

TEST_F(CliTest, VersionNamesProgramProtocolAndCompute) {
  const Outcome version = Run({"version"});

  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out,
              AllOf(StartsWith("gannet "), HasSubstr("protocol 1"), HasSubstr("LibTorch")));
}

TEST_F(CliTest, AValidConfigurationIsConfirmed) {
  const std::string file = Write("c.yaml", "training:\n  lease: 5m\n");

  EXPECT_EQ(Run({"config", "check", "--config", file}).exit_code, 0);
  EXPECT_EQ(Run({"--config", file, "config", "check"}).exit_code, 0);
  EXPECT_EQ(Run({"config", "check", "--config", "deploy/native/demo.yaml"}).exit_code, 2)
      << "a file that does not exist";
}

TEST_F(CliTest, SettingsThatASlowNetworkCannotCarryAreToldOf) {
  const Outcome slow = Run({"config", "check", "--training.images_per_unit", "64"});
  EXPECT_EQ(slow.exit_code, 0);
  EXPECT_THAT(slow.err,
              HasSubstr("over a slow network a unit takes longer to transfer than to compute"));

  const Outcome wifi =
      Run({"config", "check", "--config", GANNET_SOURCE_DIR "/deploy/docker/class-wifi.yaml"});
  EXPECT_EQ(wifi.exit_code, 0);
  EXPECT_EQ(wifi.err, "");
}

TEST_F(CliTest, EveryMistakeOfAConfigurationIsReportedWithItsPlace) {
  const std::string file = Write("c.yaml", "trainning:\n  lease: 5m\nrun:\n  rounds: many\n");

  const Outcome check =
      Run({"config", "check", "--config", file, "--run.seed", "x"}, {"GANNET_LOG_LEVEL=loud"});

  EXPECT_EQ(check.exit_code, 2);
  EXPECT_THAT(check.err,
              AllOf(HasSubstr(file + ":2: unknown key 'trainning.lease', did you mean "
                                     "'training.lease'?"),
                    HasSubstr(file + ":4: run.rounds must be an integer"),
                    HasSubstr("environment GANNET_LOG_LEVEL"), HasSubstr("flag --run.seed")));
  EXPECT_THAT(LastLine(check.err), HasSubstr("gannet config keys"));
}

TEST_F(CliTest, ShowPrintsWhatIsInEffectWithoutSecrets) {
  const std::string file = Write("c.yaml", "run:\n  name: from-file\n");

  const Outcome show =
      Run({"config", "show", "--config", file, "--run.seed", "9"}, {"GANNET_RUN_ROUNDS=7"});

  EXPECT_EQ(show.exit_code, 0);
  EXPECT_THAT(show.out, AllOf(HasSubstr("name: \"from-file\""), HasSubstr("seed: 9"),
                              HasSubstr("rounds: 7")));

  const Outcome password = Run({"config", "show", "--database.url", "postgres://a:geheim@h/d"});
  EXPECT_EQ(password.exit_code, 2);
  EXPECT_THAT(password.out + password.err, Not(HasSubstr("geheim")));
}

TEST_F(CliTest, WhatShowPrintsCanBeLoaded) {
  const std::string file = Write("shown.yaml", Run({"config", "show"}).out);

  EXPECT_EQ(Run({"config", "show", "--config", file}).out, base::FileContents(file));
}

TEST_F(CliTest, KeysAreTheCommittedDocumentation) {
  EXPECT_EQ(Run({"config", "keys", "--markdown"}).out,
            base::FileContents(GANNET_SOURCE_DIR "/docs/configuration.md"));
  EXPECT_THAT(Run({"config", "keys"}).out, HasSubstr("GANNET_TRAINING_LEARNING_RATE"));
}

TEST_F(CliTest, ProceduralDataIsAlwaysFine) {
  const Outcome check = Run({"data", "check", "--data.count", "20", "--model.image_size", "32"});

  EXPECT_EQ(check.exit_code, 0) << check.err;
  EXPECT_THAT(check.out,
              AllOf(HasSubstr("20 images can be used, 0 cannot."), HasSubstr("fingerprint ")));
}

TEST_F(CliTest, UnusableImagesAreNamedAndCanBeLeftOut) {
  ASSERT_EQ(mkdir(PathOf("images").c_str(), 0700), 0);
  const std::vector<uint8_t> grey(size_t{3} * 40 * 40, 128);
  for (const char* name : {"images/a.png", "images/b.png", "images/c.png"}) {
    ASSERT_TRUE(image::WritePngRgb(PathOf(name), 40, 40, grey).ok());
  }
  // Its header is fine, so only decoding finds it.
  const std::string whole = base::FileContents(PathOf("images/b.png"));
  Write("images/b.png", whole.substr(0, whole.size() - 30));
  const std::vector<std::string> data = {"--data.kind", "folder", "--data.path", PathOf("images")};
  const auto with = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), data.begin(), data.end());
    return arguments;
  };

  const Outcome check = Run(with({"data", "check"}));
  EXPECT_EQ(check.exit_code, 1);
  EXPECT_THAT(check.out,
              AllOf(HasSubstr("unusable b.png: "), HasSubstr("2 images can be used, 1 cannot.")));
  EXPECT_THAT(LastLine(check.err), HasSubstr("--exclude"));

  const Outcome exclude = Run(with({"data", "check", "--exclude"}));
  EXPECT_EQ(exclude.exit_code, 0) << exclude.err;
  EXPECT_EQ(Run(with({"data", "check"})).exit_code, 0) << "it is left out from now on";
}

TEST_F(CliTest, ACheckCountsImagesWithoutLabelAndNamesThoseBelowTheCrop) {
  ASSERT_EQ(mkdir(PathOf("images").c_str(), 0700), 0);
  const std::vector<uint8_t> grey(size_t{3} * 40 * 40, 128);
  for (const char* name : {"images/a.png", "images/b.png", "images/c.png"}) {
    ASSERT_TRUE(image::WritePngRgb(PathOf(name), 40, 40, grey).ok());
  }
  Write("images/dataset.json", R"({"labels": [["a.png", 0], ["b.png", 4]]})");
  std::vector<std::string> arguments = {"data",   "check",       "--data.kind",
                                        "folder", "--data.path", PathOf("images")};

  const Outcome check = Run(arguments);
  EXPECT_EQ(check.exit_code, 0) << check.err;
  EXPECT_THAT(check.out, HasSubstr("2 classes; 1 of 3 images have none"));

  arguments.insert(arguments.end(), {"--data.crop", "41"});
  const Outcome crop = Run(arguments);
  EXPECT_EQ(crop.exit_code, 1);
  EXPECT_THAT(crop.out, AllOf(HasSubstr("unusable a.png: it has 40x40 pixels"),
                              HasSubstr("data.crop 41"), HasSubstr("40 or less")));
}

// Of the data set in the folder, as `gannet data check` prints it.
std::string FingerprintLine(const std::string& out) {
  for (const absl::string_view line : absl::StrSplit(out, '\n')) {
    if (absl::StartsWith(line, "fingerprint ")) return std::string(line);
  }
  return "";
}

TEST_F(CliTest, ResultsInsideADataSetAreNoPartOfIt) {
  std::filesystem::create_directory(PathOf("faces"));
  for (int i = 0; i < 32; ++i) {
    const std::vector<uint8_t> shade(size_t{3} * 32 * 32, static_cast<uint8_t>(7 * i));
    ASSERT_TRUE(image::WritePngRgb(PathOf(absl::StrCat("faces/", i, ".png")), 32, 32, shade).ok());
  }
  const std::vector<std::string> data = {"--data.kind", "folder", "--data.path", PathOf("faces")};
  const auto with_data = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), data.begin(), data.end());
    return Run(arguments);
  };
  const std::string before = FingerprintLine(with_data({"data", "check"}).out);
  ASSERT_THAT(before, Not(testing::IsEmpty()));
  const std::vector<std::string> small = {"--image-size", "32", "--model.base_width", "8",
                                          "--batch-size", "16", "--sample-every",     "1",
                                          "--threads",    "1",  "--run.rounds",       "2"};
  std::vector<std::string> train = {"train-local", "--out", PathOf("faces/training")};
  train.insert(train.end(), small.begin(), small.end());
  const Outcome trained = with_data(train);
  ASSERT_EQ(trained.exit_code, 0) << trained.out << trained.err;
  ASSERT_TRUE(std::filesystem::exists(PathOf("faces/training/samples/latest.png")));

  const Outcome resumed =
      Run({"train-local", "--resume", PathOf("faces/training"), "--run.rounds", "3"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.out << resumed.err;
  const Outcome preview = with_data({"data", "preview", "--out", PathOf("faces/preview.png")});
  EXPECT_EQ(preview.exit_code, 0) << preview.err;
  EXPECT_THAT(preview.out, HasSubstr("passed over 1 results of Gannet"));
  const std::string weights = PathOf("faces/training/weights.safetensors");
  EXPECT_EQ(Run({"sample", "--weights", weights, "--out", PathOf("faces/sample.png")}).exit_code,
            0);
  EXPECT_EQ(
      Run({"sample", "--weights", weights, "--seeds", "1-3", "--singles", PathOf("faces/drawn")})
          .exit_code,
      0);

  const Outcome check = with_data({"data", "check"});
  EXPECT_EQ(FingerprintLine(check.out), before);
  EXPECT_THAT(check.out, AllOf(HasSubstr("32 images can be used, 0 cannot"),
                               HasSubstr("passed over 2 grids of Gannet"),
                               HasSubstr("passed over 2 results of Gannet")));

  // Single images look like those of the data set.
  const Outcome among =
      Run({"sample", "--weights", weights, "--seeds", "1-3", "--singles", PathOf("faces")});
  EXPECT_EQ(among.exit_code, 1);
  EXPECT_THAT(among.err, HasSubstr("holds images that are not Gannet's"));
  EXPECT_EQ(FingerprintLine(with_data({"data", "check"}).out), before);
}

TEST_F(CliTest, ExclusionsGoWithTheFolderAndTheRestIsNamed) {
  std::filesystem::create_directories(PathOf("x/@eaDir"));
  const std::vector<uint8_t> grey(size_t{3} * 20 * 20, 100);
  ASSERT_TRUE(image::WritePngRgb(PathOf("x/a.png"), 20, 20, grey).ok());
  ASSERT_TRUE(image::WritePngRgb(PathOf("x/b.png"), 20, 20, grey).ok());
  const std::string whole = base::FileContents(PathOf("x/b.png"));
  Write("x/b.png", whole.substr(0, whole.size() / 2));
  Write("x/c.gif", "GIF89a");

  const Outcome check =
      Run({"data", "check", "--data.kind", "folder", "--data.path", PathOf("x/."), "--exclude"});

  EXPECT_EQ(check.exit_code, 0) << check.out << check.err;
  EXPECT_THAT(check.out, AllOf(HasSubstr("unusable b.png: "), HasSubstr("passed over 1 .gif ("),
                               HasSubstr("such as c.gif"), HasSubstr("passed over 1 thumbnails"),
                               HasSubstr("images      1\n"), HasSubstr("goes with the folder")));
  EXPECT_TRUE(std::filesystem::exists(PathOf("x/.gannet-exclude")));
  const Outcome again = Run({"data", "check", "--data.kind", "folder", "--data.path", PathOf("x")});
  EXPECT_EQ(FingerprintLine(again.out), FingerprintLine(check.out));
}

TEST_F(CliTest, AnAddressWithoutAFileAsksForAName) {
  const Outcome fetch = Run({"data", "fetch", "https://example.org/folder/"});
  EXPECT_EQ(fetch.exit_code, 2);
  EXPECT_THAT(fetch.err, AllOf(HasSubstr("without the name of a file"), HasSubstr("--out FILE")));
  const std::string there = Write("faces.zip", "mine");
  const Outcome exists =
      Run({"data", "fetch", "http://127.0.0.1:1/faces.zip?a=b/c#/d", "--out", PathOf(".")});
  EXPECT_EQ(exists.exit_code, 1);
  EXPECT_THAT(exists.err, HasSubstr("faces.zip already"));
  EXPECT_EQ(base::FileContents(there), "mine");
}

TEST_F(CliTest, AMissingDataSetSaysWhatToCheck) {
  const Outcome check =
      Run({"data", "check", "--data.kind", "folder", "--data.path", PathOf("none")});

  EXPECT_EQ(check.exit_code, 1);
  EXPECT_THAT(check.err, HasSubstr("none"));
  EXPECT_THAT(LastLine(check.err), HasSubstr("data.path"));
}

TEST_F(CliTest, APreviewIsAGridOfImages) {
  const Outcome preview = Run({"data", "preview", "--data.count", "8", "--model.image_size", "32",
                               "--out", PathOf("p.png"), "--columns", "4", "--scale", "1"});

  EXPECT_EQ(preview.exit_code, 0) << preview.err;
  const auto image = image::ReadPng(base::FileContents(PathOf("p.png")));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->width, 4 * 32 + 5 * 2);
  EXPECT_EQ(image->height, 2 * 32 + 3 * 2);

  const Outcome beyond = Run({"data", "preview", "--data.count", "8", "--first", "8"});
  EXPECT_EQ(beyond.exit_code, 2);
  EXPECT_THAT(beyond.err, HasSubstr("--first must be below the 8 images"));
}

TEST_F(CliTest, APackedDataSetIsTheSameDataSet) {
  const Outcome pack = Run({"data", "pack", "--data.count", "20", "--model.image_size", "32",
                            "--out", PathOf("faces.packed")});
  ASSERT_EQ(pack.exit_code, 0) << pack.err;
  EXPECT_THAT(pack.out, AllOf(HasSubstr("20 images of 32x32"), HasSubstr("--data.kind packed")));

  const auto check = [&](std::vector<std::string> data) {
    data.insert(data.begin(), {"data", "check", "--model.image_size", "32"});
    const Outcome outcome = Run(data);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  };
  const std::string packed =
      check({"--data.kind", "packed", "--data.path", PathOf("faces.packed")});
  EXPECT_EQ(packed, check({"--data.count", "20"}));
  EXPECT_THAT(packed, HasSubstr("attributes: smiling, "));

  const Outcome size =
      Run({"data", "check", "--data.kind", "packed", "--data.path", PathOf("faces.packed")});
  EXPECT_EQ(size.exit_code, 1);
  EXPECT_THAT(size.err, HasSubstr("--model.image_size 64"));
  EXPECT_NE(Run({"data", "pack", "--out", PathOf("no/such/folder")}).exit_code, 0);
}

TEST_F(CliTest, SamplesFollowFromWeightsAndSeed) {
  const std::string weights = WriteWeights("w.safetensors", 1);
  const auto sample = [&](const std::string& out, const std::string& seed) {
    const Outcome outcome = Run({"sample", "--weights", weights, "--out", PathOf(out), "--count",
                                 "4", "--columns", "2", "--seed", seed});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return base::FileContents(PathOf(out));
  };

  const std::string first = sample("a.png", "1");

  EXPECT_TRUE(image::ReadPng(first).ok());
  EXPECT_EQ(sample("b.png", "1"), first);
  EXPECT_NE(sample("c.png", "2"), first);
}

TEST_F(CliTest, SamplesComeAsSinglesAndInMotion) {
  const std::string weights = WriteWeights("w.safetensors", 1);
  const auto run = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"sample", "--weights", weights});
    return Run(more);
  };

  const Outcome singles = run(
      {"--singles", PathOf("singles"), "--seeds", "3,7-8", "--scale", "1", "--truncation", "0.7"});
  ASSERT_EQ(singles.exit_code, 0) << singles.err;
  for (const char* name : {"seed0003.png", "seed0007.png", "seed0008.png"}) {
    const absl::StatusOr<image::RgbImage> image =
        image::ReadPng(base::FileContents(PathOf(absl::StrCat("singles/", name))));
    ASSERT_TRUE(image.ok()) << name;
    EXPECT_EQ(image->width, 32);
  }
  const Outcome morph =
      run({"--morph", "--count", "4", "--keys", "2", "--steps", "3", "--out", PathOf("m.gif")});
  ASSERT_EQ(morph.exit_code, 0) << morph.err;
  EXPECT_THAT(morph.out, HasSubstr("6 frames"));
  EXPECT_THAT(base::FileContents(PathOf("m.gif")), StartsWith("GIF89a"));
  EXPECT_THAT(run({"--seeds", "9-2"}).err, HasSubstr("not a list of seeds"));
  // What would be ignored is refused.
  EXPECT_EQ(run({"--morph", "--singles", PathOf("x")}).exit_code, 2);
  EXPECT_EQ(run({"--morph", "--tensors", PathOf("x")}).exit_code, 2);
  EXPECT_EQ(run({"--seed", "3", "--seeds", "1,2"}).exit_code, 2);
}

TEST_F(CliTest, WrongWeightsAreExplained) {
  const Outcome none = Run({"sample", "--weights", PathOf("none")});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(LastLine(none.err), HasSubstr("weights.safetensors"));

  const Outcome other = Run({"sample", "--weights", Write("x", "something else, long enough")});
  EXPECT_EQ(other.exit_code, 2);

  EXPECT_EQ(Run({"sample"}).exit_code, 2) << "--weights is required";
}

TEST_F(CliTest, QualityComparesWithTheFirstWeights) {
  const std::string weights = WriteWeights("w.safetensors", 1);

  const Outcome quality =
      Run({"evaluate", "--weights", weights, "--initial", "--count", "16", "--json"});

  ASSERT_EQ(quality.exit_code, 0) << quality.err;
  const nlohmann::json json = nlohmann::json::parse(quality.out);
  EXPECT_TRUE(json["held_out"]);
  EXPECT_EQ(json["image_count"], 16);
  ASSERT_EQ(json["weights"].size(), 2U);
  // The file holds the same untrained weights.
  EXPECT_EQ(json["weights"][1]["ratio"], 1.0);
  EXPECT_GT(json["weights"][0]["distance"], json["real_distance"]);
  EXPECT_GT(json["weights"][0]["distances"]["frechet_random_features"],
            json["real_distances"]["frechet_random_features"]);
  EXPECT_GT(json["weights"][0]["modes"]["real_modes"], 50);
  EXPECT_LT(json["weights"][0]["modes"]["covered"], json["weights"][0]["modes"]["real_modes"]);
  EXPECT_TRUE(json["weights"][0]["modes"]["attributes"].contains("smiling"));
  EXPECT_FALSE(json["weights"][0]["distances"].contains("frechet_own_network"));
  const Outcome network = Run({"evaluate", "--weights", weights, "--network", PathOf("none")});
  EXPECT_EQ(network.exit_code, 1);
  EXPECT_THAT(network.err, HasSubstr("no such feature network"));
}

TEST_F(CliTest, QualityFailsWhenWhatIsAskedForIsMissed) {
  const std::string weights = WriteWeights("w.safetensors", 1);
  const std::vector<std::string> base = {"evaluate", "--weights", weights, "--count", "16"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = base;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  };

  EXPECT_EQ(with({"--initial", "--max-ratio", "1.01"}).exit_code, 0);
  const Outcome ratio = with({"--initial", "--max-ratio", "0.5"});
  EXPECT_EQ(ratio.exit_code, 1);
  EXPECT_THAT(ratio.err, HasSubstr("the distance is 1.00 of the first one's, at most 0.50"));
  EXPECT_EQ(with({"--min-spread", "0.5"}).exit_code, 1) << "untrained images are all grey";
  EXPECT_EQ(with({"--max-ratio", "0.5"}).exit_code, 2) << "nothing to compare with";
}

TEST_F(CliTest, SampleGridsBecomeAGif) {
  ASSERT_EQ(mkdir(PathOf("samples").c_str(), 0700), 0);
  for (int i = 0; i < 3; ++i) {
    const std::vector<uint8_t> shade(size_t{3} * 8 * 8, static_cast<uint8_t>(80 * i));
    ASSERT_TRUE(
        image::WritePngRgb(PathOf(absl::StrCat("samples/round_00", i, ".png")), 8, 8, shade).ok());
  }
  Write("samples/latest.png", "must not be read");

  const Outcome gif = Run({"gif", "--from", PathOf("samples"), "--out", PathOf("t.gif")});

  EXPECT_EQ(gif.exit_code, 0) << gif.err;
  EXPECT_THAT(base::FileContents(PathOf("t.gif")), StartsWith("GIF89a"));
  EXPECT_THAT(gif.out, HasSubstr("3 frames of 3"));
  EXPECT_EQ(Run({"gif", "--from", PathOf("none")}).exit_code, 1);
}

TEST_F(CliTest, WithoutACoordinatorEveryCallSaysWhereItLooked) {
  // Nothing listens at port 1.
  for (const char* command : {"status", "workers", "rounds", "pause", "resume"}) {
    const Outcome outcome = Run({command, "--address", "127.0.0.1:1"});
    EXPECT_EQ(outcome.exit_code, 1) << command;
    EXPECT_THAT(LastLine(outcome.err), HasSubstr("127.0.0.1:1 (coordinator.admin_listen"))
        << command;
  }
  const Outcome watch = Run({"watch", "--address", "127.0.0.1:1", "--patience", "0s"});
  EXPECT_EQ(watch.exit_code, 4);
}

TEST_F(CliTest, StoppingNeedsConfirmation) {
  for (const char* command : {"remove", "restore"}) {
    const Outcome outcome = Run({"workers", command, "Ben's laptop", "--address", "127.0.0.1:1"});
    EXPECT_EQ(outcome.exit_code, 1) << command;
    EXPECT_THAT(LastLine(outcome.err), HasSubstr("127.0.0.1:1 (coordinator.admin_listen"));
    const Outcome nobody = Run({"workers", command});
    EXPECT_EQ(nobody.exit_code, 2) << command;
    EXPECT_THAT(nobody.err, HasSubstr("worker"));
  }
  const Outcome stop = Run({"stop", "--address", "127.0.0.1:1"});

  EXPECT_EQ(stop.exit_code, 2);
  EXPECT_THAT(LastLine(stop.err), HasSubstr("--yes"));
}

TEST_F(CliTest, MigrateSaysThatTheDatabaseIsNotThere) {
  const Outcome migrate = Run({"migrate", "--database.url", "postgres://nobody@127.0.0.1:1/none"});

  EXPECT_EQ(migrate.exit_code, 1);
  EXPECT_THAT(LastLine(migrate.err), HasSubstr("Is PostgreSQL running"));
}

// Small enough to be over in a moment.
std::vector<std::string> TrainLocal(const std::string& out) {
  return {"train-local", "--out",          out,  "--image-size", "32", "--model.base_width",
          "8",           "--data.count",   "64", "--batch-size", "16", "--lr-d",
          "1e-4",        "--sample-every", "2",  "--threads",    "1"};
}

TEST_F(CliTest, TrainLocalEndsWithPicturesAndWeights) {
  std::vector<std::string> arguments = TrainLocal(PathOf("first"));
  arguments.insert(arguments.end(), {"--epochs", "2"});
  const Outcome first = Run(arguments);
  ASSERT_EQ(first.exit_code, 0) << first.out << first.err;
  EXPECT_THAT(first.out,
              AllOf(HasSubstr("8 updates of 16 images"), HasSubstr("\nupdate 8/8  100 %"),
                    HasSubstr("Finished after 8 of 8"), Not(HasSubstr(" workers"))));
  EXPECT_EQ(first.err, "");
  for (const char* file : {"samples/round_000000.png", "samples/round_000008.png",
                           "samples/latest.png", "progress.gif", "generator.safetensors"}) {
    EXPECT_TRUE(std::filesystem::exists(PathOf("first/") + file)) << file;
  }
  const std::vector<std::string> history =
      absl::StrSplit(base::FileContents(PathOf("first/metrics.csv")), '\n', absl::SkipEmpty());
  EXPECT_EQ(history.size(), 9U);

  // Once more, elsewhere: to the bit.
  arguments[2] = PathOf("second");
  ASSERT_EQ(Run(arguments).exit_code, 0);
  const std::string weights = base::FileContents(PathOf("first/weights.safetensors"));
  EXPECT_FALSE(weights.empty());
  EXPECT_TRUE(weights == base::FileContents(PathOf("second/weights.safetensors")));

  const Outcome averaged = Run({"train-local", "--resume", PathOf("first"), "--ema", "0.9"});
  EXPECT_EQ(averaged.exit_code, 2);
  EXPECT_THAT(averaged.err, AllOf(HasSubstr("cannot be turned on after the start"),
                                  HasSubstr("not in the checkpoint"), HasSubstr("--out DIR")));

  // What is there is not written over.
  const Outcome again = Run(arguments);
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, AllOf(HasSubstr("there is something in"), HasSubstr("--out DIR")));
}

TEST_F(CliTest, ALocalTrainingThatDivergesSaysSoAndEnds) {
  std::vector<std::string> arguments = TrainLocal(PathOf("diverged"));
  *absl::c_find(arguments, "1e-4") = "1";  // --lr-d
  arguments.insert(arguments.end(), {"--loss", "lsgan", "--lr-g", "1", "--run.rounds", "200"});

  const Outcome diverged = Run(arguments);

  EXPECT_EQ(diverged.exit_code, 1);
  EXPECT_THAT(diverged.err, AllOf(HasSubstr("diverged"), HasSubstr("learning rate")));
}

TEST_F(CliTest, TrainLocalGoesOnBitForBit) {
  std::vector<std::string> through = TrainLocal(PathOf("through"));
  through.insert(through.end(), {"--ema", "0.9", "--augment", "color,translation,cutout", "--loss",
                                 "lsgan", "--num-workers", "2", "--training.flip", "true"});
  std::vector<std::string> halves = through;
  halves[2] = PathOf("halves");
  through.insert(through.end(), {"--run.rounds", "6", "--checkpoint-every", "2"});
  halves.insert(halves.end(), {"--run.rounds", "3"});
  ASSERT_EQ(Run(through).exit_code, 0);
  ASSERT_EQ(Run(halves).exit_code, 0);

  const Outcome resumed = Run({"train-local", "--resume", PathOf("halves"), "--run.rounds", "6"});

  ASSERT_EQ(resumed.exit_code, 0) << resumed.out << resumed.err;
  EXPECT_THAT(resumed.out, AllOf(HasSubstr("round_000003.safetensors, 3 updates behind it"),
                                 HasSubstr("run.rounds 3 -> 6"), HasSubstr("Finished after 6")));
  const std::string weights = base::FileContents(PathOf("through/weights.safetensors"));
  EXPECT_FALSE(weights.empty());
  EXPECT_TRUE(weights == base::FileContents(PathOf("halves/weights.safetensors")));
  EXPECT_EQ(MetricsWithoutTimes("through"), MetricsWithoutTimes("halves"));
  EXPECT_TRUE(std::filesystem::exists(PathOf("through/checkpoints/round_000004.safetensors")));
  EXPECT_THAT(base::FileContents(PathOf("through/curves.svg")), HasSubstr("</svg>"));

  // Weights, generator and last checkpoint draw the same.
  std::vector<std::string> drawn;
  for (const char* file :
       {"weights.safetensors", "generator.safetensors", "checkpoints/round_000006.safetensors"}) {
    const Outcome sample = Run({"sample", "--count", "2", "--out", PathOf("s.png"), "--weights",
                                PathOf("through/") + file});
    EXPECT_EQ(sample.exit_code, 0) << sample.err;
    drawn.push_back(base::FileContents(PathOf("s.png")));
  }
  EXPECT_TRUE(drawn[0] == drawn[1] && drawn[1] == drawn[2]);

  const Outcome plain =
      Run({"train-local", "--resume", PathOf("halves"), "--run.rounds", "9", "--ema", "0"});
  EXPECT_EQ(plain.exit_code, 2);
  EXPECT_THAT(plain.err, HasSubstr("cannot be turned off"));

  // From a checkpoint in the middle, into another folder.
  const Outcome third =
      Run({"train-local", "--resume", PathOf("through/checkpoints/round_000004.safetensors"),
           "--out", PathOf("third")});
  ASSERT_EQ(third.exit_code, 0) << third.out << third.err;
  EXPECT_TRUE(weights == base::FileContents(PathOf("third/weights.safetensors")));
  EXPECT_EQ(MetricsWithoutTimes("third"), MetricsWithoutTimes("through"));
}

// Nobody could correct the cause and resume: it ends, and keeps what there is.
TEST_F(CliTest, TrainLocalEndsWhenAnImageCannotBeRead) {
  std::filesystem::create_directory(PathOf("images"));
  const Outcome preview = Run({"sample", "--weights", WriteWeights("w.safetensors", 1), "--count",
                               "40", "--singles", PathOf("images")});
  ASSERT_EQ(preview.exit_code, 0) << preview.err;
  const std::filesystem::path victim =
      std::filesystem::directory_iterator(PathOf("images"))->path();
  std::filesystem::resize_file(victim, std::filesystem::file_size(victim) / 2);
  std::vector<std::string> arguments = TrainLocal(PathOf("out"));
  arguments.insert(arguments.end(), {"--data.kind", "folder", "--data.path", PathOf("images"),
                                     "--run.rounds", "1000", "--evaluate-every", "0"});

  const Outcome outcome = Run(arguments);

  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr(victim.filename().string()),
                                 HasSubstr("gannet data check --exclude")));
  EXPECT_TRUE(std::filesystem::exists(PathOf("out/weights.safetensors")));

  // Met at the start already, by whoever reads the images to compare with.
  arguments = TrainLocal(PathOf("measured"));
  arguments.insert(arguments.end(), {"--data.kind", "folder", "--data.path", PathOf("images")});
  const Outcome at_once = Run(arguments);
  EXPECT_EQ(at_once.exit_code, 1);
  EXPECT_THAT(at_once.err, AllOf(HasSubstr(victim.filename().string()),
                                 HasSubstr("gannet data check --exclude")));
  EXPECT_FALSE(std::filesystem::exists(PathOf("measured/weights.safetensors")));
}

TEST_F(CliTest, TrainLocalSaysWhyItCannotGoOn) {
  std::vector<std::string> arguments = TrainLocal(PathOf("out"));
  arguments.insert(arguments.end(), {"--run.rounds", "2"});
  ASSERT_EQ(Run(arguments).exit_code, 0);
  const auto resume = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"train-local", "--resume"});
    const Outcome outcome = Run(more);
    EXPECT_NE(outcome.exit_code, 0);
    return outcome.err;
  };

  EXPECT_THAT(resume({PathOf("out")}), HasSubstr("has 2 updates behind it, ask for more"));
  EXPECT_THAT(resume({PathOf("none")}), HasSubstr("none"));
  EXPECT_THAT(resume({PathOf("out/weights.safetensors")}), HasSubstr("weights alone"));
  EXPECT_THAT(resume({PathOf("out"), "--run.rounds", "9", "--latent-dim", "7"}),
              AllOf(HasSubstr("another architecture"), HasSubstr("generator.main.0.weight")));
  EXPECT_THAT(resume({PathOf("out"), "--run.rounds", "9", "--data.seed", "7"}),
              HasSubstr("trained on other data"));
  Write("out/checkpoints/round_000009.safetensors", "cut short");
  EXPECT_THAT(resume({PathOf("out"), "--run.rounds", "9"}), HasSubstr("round_000009.safetensors"));
}

TEST_F(CliTest, TrainLocalKeepsTheResultsWhenItIsInterrupted) {
  std::vector<std::string> arguments = TrainLocal(PathOf("out"));
  arguments.insert(arguments.begin(), GANNET_BINARY);
  arguments.insert(arguments.end(), {"--run.rounds", "1000000"});
  base::ChildProcess gannet({.argv = arguments,
                             .environment = {"PATH=/usr/bin:/bin"},
                             .output_prefix = PathOf("gannet")});
  const auto updates = [&] {
    const std::string history = base::FileContents(PathOf("out/metrics.csv"));
    return std::count(history.begin(), history.end(), '\n') - 1;
  };
  ASSERT_TRUE(base::AwaitUntil([&] { return !gannet.running() || updates() >= 2; }));
  gannet.Signal(SIGINT);
  EXPECT_EQ(gannet.AwaitExit(), 3);
  EXPECT_THAT(gannet.out(), HasSubstr("Stopped after"));
  EXPECT_TRUE(std::filesystem::exists(PathOf("out/weights.safetensors")));
  EXPECT_TRUE(std::filesystem::exists(PathOf("out/progress.gif")));
}

TEST_F(CliTest, TrainLocalWithoutItsDeviceMakesNoFolder) {
  // No machine has so many GPUs.
  const Outcome outcome =
      Run({"train-local", "--worker.device", "cuda:99", "--out", PathOf("deep/down")});

  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("worker.device cpu"), HasSubstr("Nothing was started")));
  EXPECT_FALSE(std::filesystem::exists(PathOf("deep")));
}

TEST_F(CliTest, TrainLocalSaysWhatCannotBe) {
  const Outcome no_images = Run({"train-local", "--data.kind", "folder", "--data.path",
                                 PathOf("none"), "--out", PathOf("o")});
  EXPECT_NE(no_images.exit_code, 0);
  EXPECT_THAT(no_images.err, HasSubstr("none"));
  for (const char* flag : {"--model.image_size", "--image-size"}) {
    const Outcome size = Run({"train-local", flag, "48", "--out", PathOf("o")});
    EXPECT_EQ(size.exit_code, 2);
    EXPECT_THAT(size.err, HasSubstr("model.image_size"));
  }
  const Outcome rate = Run({"train-local", "--lr-g", "much", "--out", PathOf("o")});
  EXPECT_EQ(rate.exit_code, 2);
  EXPECT_THAT(rate.err, HasSubstr("training.learning_rate_generator"));
  EXPECT_FALSE(std::filesystem::exists(PathOf("o")));
}

}  // namespace
}  // namespace gannet::cli
