#include "libs/checkpoint/checkpoint.h"

#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/philox.h"
#include "libs/base/sha256.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/model_layout.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/tensor/safetensors.h"

namespace gannet::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

tensor::TensorBundle Noise(const tensor::BundleSpec& spec, uint64_t seed) {
  tensor::TensorBundle bundle;
  for (const tensor::TensorSpec& tensor_spec : spec) {
    tensor::Tensor tensor = tensor::Tensor::Zeros(tensor_spec);
    base::PhiloxStream stream(seed, base::RandomPurpose::kFaces, bundle.tensors().size(), 0);
    if (tensor_spec.dtype == tensor::Dtype::kF32) base::FillNormal(stream, tensor.mutable_f32());
    bundle.Add(std::move(tensor));
  }
  return bundle;
}

Checkpoint MakeCheckpoint() {
  Checkpoint checkpoint;
  checkpoint.config = exchange::TinyRunConfig("faces");
  checkpoint.config.adam.ema_decay = 0.99;
  checkpoint.version = base::WeightsVersion(17);
  checkpoint.weights = Noise(domain::WeightsSpec(checkpoint.config.model), 1);
  checkpoint.adam_state =
      Noise(domain::AdamStateSpec(checkpoint.config.model, checkpoint.config.adam), 2);
  for (const int64_t round : {3, 17}) {
    exchange::RoundSummary summary;
    summary.round = base::Round(round);
    summary.epoch = 2;
    summary.gradient_count = 3;
    summary.image_count = 96;
    summary.discriminator_loss = 0.1 + 0.2;
    summary.generator_loss = 1.0 / 3;
    summary.seconds = 1e-300;
    checkpoint.history.push_back(summary);
  }
  return checkpoint;
}

bool SameTensors(const tensor::TensorBundle& a, const tensor::TensorBundle& b) {
  if (a.tensors().size() != b.tensors().size()) return false;
  for (const tensor::Tensor& tensor : a.tensors()) {
    const tensor::Tensor* other = b.Find(tensor.spec.name);
    if (other == nullptr || other->spec != tensor.spec || other->bytes != tensor.bytes) {
      return false;
    }
  }
  return true;
}

class CheckpointFileTest : public ::testing::Test {
 protected:
  CheckpointFileTest() {
    std::string name = ::testing::TempDir() + "/gannet_checkpoint_XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~CheckpointFileTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

// A backup that is imported years later.
TEST(CheckpointTest, OneFlippedBitAnywhereIsNoticed) {
  const std::string good = EncodeCheckpoint(MakeCheckpoint());
  ASSERT_OK(DecodeCheckpoint(good));

  for (size_t at = 0; at < good.size(); at += 1 + good.size() / 97) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_THAT(DecodeCheckpoint(bad), base::StatusIs(absl::StatusCode::kInvalidArgument))
        << "byte " << at << " of " << good.size();
  }
}

TEST(CheckpointTest, ReadsBackToTheLastBit) {
  const Checkpoint checkpoint = MakeCheckpoint();

  ASSERT_OK_AND_ASSIGN(const Checkpoint back, DecodeCheckpoint(EncodeCheckpoint(checkpoint)));

  EXPECT_EQ(back.config, checkpoint.config);
  EXPECT_EQ(back.version, checkpoint.version);
  EXPECT_TRUE(SameTensors(back.weights, checkpoint.weights));
  EXPECT_TRUE(SameTensors(back.adam_state, checkpoint.adam_state));
  EXPECT_EQ(back.history, checkpoint.history);
}

// As `gannet export` writes it: a change that holds, one that does not yet, and a worker.
Checkpoint MakeArchive() {
  Checkpoint checkpoint = MakeCheckpoint();
  exchange::RunArchive& archive = checkpoint.archive.emplace();
  archive.created_config = checkpoint.config;
  archive.created_config.adam.learning_rate = 1e-3;
  archive.changes = {{base::Round(4), checkpoint.config, "it oscillates"},
                     {base::Round(19), checkpoint.config, "fewer"}};
  archive.changes[1].config.units_per_round = 2;
  exchange::WorkerRecord& record = archive.workers.emplace_back();
  record.summary.worker = exchange::TestWorker(1).id;
  record.summary.display_name = "ada";
  record.summary.accepted_unit_count = 17;
  record.summary.accepted_image_count = 1632;
  record.summary.duplicate_unit_count = 1;
  record.summary.wasted_image_count = 96;
  record.summary.last_seen = absl::FromUnixMicros(1'700'000'000'123'456);
  record.secret_sha256 = base::Sha256("secret");
  record.incarnation = base::Incarnation(3);
  archive.pause_reason = "lunch";
  return checkpoint;
}

TEST(CheckpointTest, AnArchiveReadsBackWithChangesAndWorkers) {
  const Checkpoint checkpoint = MakeArchive();

  ASSERT_OK_AND_ASSIGN(const Checkpoint back, DecodeCheckpoint(EncodeCheckpoint(checkpoint)));

  ASSERT_TRUE(back.archive.has_value());
  EXPECT_EQ(back.archive->created_config, checkpoint.archive->created_config);
  EXPECT_EQ(back.archive->changes, checkpoint.archive->changes);
  ASSERT_EQ(back.archive->workers.size(), 1u);
  EXPECT_EQ(back.archive->workers[0], checkpoint.archive->workers[0]);
  EXPECT_EQ(back.archive->pause_reason, "lunch");
}

TEST(CheckpointTest, ARunFromAnArchiveHasItsPast) {
  const Checkpoint checkpoint = MakeArchive();

  ASSERT_OK_AND_ASSIGN(const exchange::NewRun as_it_was, RunFromArchive(checkpoint, "", 0));
  EXPECT_EQ(as_it_was.config, checkpoint.archive->created_config);
  EXPECT_EQ(as_it_was.changes, checkpoint.archive->changes);
  EXPECT_EQ(as_it_was.workers, checkpoint.archive->workers);

  ASSERT_OK_AND_ASSIGN(const exchange::NewRun other, RunFromArchive(checkpoint, "tuesday", 5000));
  for (const domain::RunConfig* config :
       {&other.config, &other.changes[0].config, &other.changes[1].config}) {
    EXPECT_EQ(config->name, "tuesday");
    EXPECT_EQ(config->round_count, 5000);
  }
  EXPECT_EQ(other.changes[1].config.units_per_round, 2);
}

TEST(CheckpointTest, AnArchiveThatIsNoneIsRefused) {
  Checkpoint checkpoint = MakeArchive();
  checkpoint.archive->workers[0].secret_sha256 = "short";
  EXPECT_THAT(DecodeCheckpoint(EncodeCheckpoint(checkpoint)),
              base::StatusIs(kInvalid, HasSubstr("secret_sha256")));
  const std::string bytes =
      absl::StrReplaceAll(EncodeCheckpoint(MakeArchive()), {{"it oscillates", "it\\noscillat"}});
  EXPECT_THAT(DecodeCheckpoint(bytes), base::StatusIs(kInvalid));
}

TEST(CheckpointTest, EveryTruncationIsAnError) {
  const std::string bytes = EncodeCheckpoint(MakeCheckpoint());
  for (size_t length = 0; length < bytes.size(); length += 1 + length / 16) {
    EXPECT_THAT(DecodeCheckpoint(absl::string_view(bytes).substr(0, length)),
                base::StatusIs(kInvalid))
        << length;
  }
}

TEST(CheckpointTest, WeightsAloneAreNone) {
  const Checkpoint checkpoint = MakeCheckpoint();

  EXPECT_THAT(DecodeCheckpoint(tensor::EncodeSafetensors(checkpoint.weights)),
              base::StatusIs(kInvalid, HasSubstr("weights alone cannot be trained on")));
}

TEST(CheckpointTest, ATensorOfAnotherArchitectureIsNamed) {
  Checkpoint checkpoint = MakeCheckpoint();
  checkpoint.config.model.latent_dim += 1;

  EXPECT_THAT(DecodeCheckpoint(EncodeCheckpoint(checkpoint)),
              base::StatusIs(kInvalid, HasSubstr("generator.main.0.weight")));
}

TEST(CheckpointTest, ALaterFormatIsRefusedSayingSo) {
  const std::string bytes =
      absl::StrReplaceAll(EncodeCheckpoint(MakeCheckpoint()),
                          {{"\"gannet_checkpoint\":\"1\"", "\"gannet_checkpoint\":\"2\""}});

  EXPECT_THAT(DecodeCheckpoint(bytes), base::StatusIs(kInvalid, HasSubstr("expected 1, got 2")));
}

TEST(CheckpointTest, ImpossibleHistoryAndRoundsAreRefused) {
  Checkpoint checkpoint = MakeCheckpoint();
  checkpoint.history[0].image_count = -1;
  EXPECT_THAT(DecodeCheckpoint(EncodeCheckpoint(checkpoint)),
              base::StatusIs(kInvalid, HasSubstr("row 0")));
  checkpoint = MakeCheckpoint();
  checkpoint.version = base::WeightsVersion(checkpoint.config.round_count + 1);
  EXPECT_THAT(DecodeCheckpoint(EncodeCheckpoint(checkpoint)), base::StatusIs(kInvalid));
}

TEST_F(CheckpointFileTest, FilesAreListedByRound) {
  EXPECT_THAT(ListCheckpoints(folder_ + "/none"), IsEmpty());
  for (const int64_t round : {1'000'000, 20, 3}) {
    std::ofstream(CheckpointPath(folder_, base::WeightsVersion(round))) << "x";
  }
  std::ofstream(folder_ + "/round_7.png") << "x";

  EXPECT_THAT(ListCheckpoints(folder_), ElementsAre(folder_ + "/round_000003.safetensors",
                                                    folder_ + "/round_000020.safetensors",
                                                    folder_ + "/round_1000000.safetensors"));
}

TEST_F(CheckpointFileTest, AFullDiskLeavesTheOldFile) {
  const std::string path = CheckpointPath(folder_, base::WeightsVersion(17));
  Checkpoint checkpoint = MakeCheckpoint();
  ASSERT_OK(WriteCheckpointFile(path, checkpoint));
  checkpoint.version = base::WeightsVersion(18);
  // A limit on the size of files is what a full disk looks like to a writer.
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {.rlim_cur = 100, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);

  const absl::Status status = WriteCheckpointFile(path, checkpoint);

  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_THAT(status, base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr(path)));
  ASSERT_OK_AND_ASSIGN(const Checkpoint back, ReadCheckpointFile(path));
  EXPECT_EQ(back.version, base::WeightsVersion(17));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(CheckpointFileTest, ErrorsNameTheFile) {
  EXPECT_THAT(ReadCheckpointFile(folder_ + "/none"),
              base::StatusIs(absl::StatusCode::kNotFound, HasSubstr("/none")));
  std::ofstream(folder_ + "/text") << "hello, this is no checkpoint at all";
  EXPECT_THAT(ReadCheckpointFile(folder_ + "/text"), base::StatusIs(kInvalid, HasSubstr("/text")));
}

}  // namespace
}  // namespace gannet::checkpoint
