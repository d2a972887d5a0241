#include "libs/exchange/validation.h"

#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"

namespace gannet::exchange {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(ValidationTest, TextCountsCodePoints) {
  for (const char* character : {"x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    EXPECT_OK(ValidateText("name", Repeat(character, 64), 64)) << character;
    EXPECT_THAT(ValidateText("name", Repeat(character, 65), 64),
                base::StatusIs(kInvalid, HasSubstr("got 65")))
        << character;
  }
  EXPECT_OK(ValidateText("name", "", 64));
}

TEST(ValidationTest, TextIsWellFormedUtf8) {
  const std::string bad[] = {
      "\x80",              // continues nothing
      "\xC3",              // cut off
      "\xE2\x82",          // cut off
      "\xC0\xAF",          // overlong
      "\xE0\x80\xAF",      // overlong
      "\xF0\x80\x80\xAF",  // overlong
      "\xED\xA0\x80",      // surrogate
      "\xF4\x90\x80\x80",  // beyond U+10FFFF
      "\xF8\x88\x80\x80",  // no such lead
      "\xFF",              // no such lead
      "\xC3x",             // no continuation
  };
  for (const std::string& text : bad) {
    EXPECT_THAT(ValidateText("name", text, 64), base::StatusIs(kInvalid, HasSubstr("name")));
  }
  EXPECT_OK(ValidateText("name", "\xED\x9F\xBB \xEF\xA4\x80 \xF0\x9F\xAB\xBF", 64));
}

TEST(ValidationTest, TextShowsAllItHolds) {
  for (const char* text : {"Ada\u202Eexe.txt", "Ada\u200B", "a\u2028b", "\uFEFFAda", "\u0301a"}) {
    EXPECT_THAT(ValidateText("display_name", text, 64),
                base::StatusIs(kInvalid, HasSubstr("display_name")));
  }
}

TEST(ValidationTest, TextHasNoControlCharacters) {
  for (const std::string& text : {std::string("a\nb"), std::string("\t"), std::string("\0", 1),
                                  std::string("\x7F"), std::string("\xC2\x85")}) {
    EXPECT_THAT(ValidateText("reason", text, 64), base::StatusIs(kInvalid));
  }
  EXPECT_OK(ValidateText("reason", " ~\xC2\xA0", 64));
}

TEST(ValidationTest, NoMessageEverNamesASecret) {
  WorkerIdentity worker = TestWorker(1);
  worker.secret = "hunter2";

  const absl::Status status = ValidateIdentity(worker);

  EXPECT_THAT(status, base::StatusIs(kInvalid, HasSubstr("secret")));
  EXPECT_THAT(status, base::StatusIs(kInvalid, Not(HasSubstr("hunter2"))));
}

TEST(ValidationTest, TheWaitOfAClaimHasLimits) {
  ClaimRequest request{TestWorker(1), base::RunId(1), std::string(32, 'a'), absl::ZeroDuration()};
  EXPECT_OK(ValidateClaim(request));
  request.wait = kMaxClaimWait;
  EXPECT_OK(ValidateClaim(request));
  for (const absl::Duration wait : {kMaxClaimWait + absl::Nanoseconds(1), absl::Nanoseconds(-1),
                                    absl::InfiniteDuration(), -absl::InfiniteDuration()}) {
    request.wait = wait;
    EXPECT_THAT(ValidateClaim(request), base::StatusIs(kInvalid, HasSubstr("wait")));
  }
}

TEST(ValidationTest, EveryStatisticMustBeANumberWithinItsLimits) {
  const GradientStats good = TestStats(TinyRunConfig());
  EXPECT_OK(ValidateStats(good));
  double GradientStats::*const numbers[] = {
      &GradientStats::discriminator_loss, &GradientStats::generator_loss,
      &GradientStats::real_accuracy, &GradientStats::fake_accuracy,
      &GradientStats::compute_seconds};
  for (double GradientStats::*const number : numbers) {
    for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
      GradientStats bad = good;
      bad.*number = value;
      EXPECT_THAT(ValidateStats(bad), base::StatusIs(kInvalid, HasSubstr("must be between")));
    }
  }
}

TEST(ValidationTest, PayloadsNameTheFieldThatIsWrong) {
  Payload payload = Payload::FromBytes(tensor::Codec::kFp32, "tensors");
  EXPECT_OK(ValidatePayload("weights", payload));
  payload.sha256[0] = static_cast<char>(payload.sha256[0] ^ 1);
  EXPECT_THAT(ValidatePayload("weights", payload),
              base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("weights")));
  payload.sha256 = "";
  EXPECT_THAT(ValidatePayload("weights", payload),
              base::StatusIs(kInvalid, HasSubstr("weights.sha256")));
  payload.codec = static_cast<tensor::Codec>(77);
  EXPECT_THAT(ValidatePayload("weights", payload),
              base::StatusIs(kInvalid, HasSubstr("weights.codec")));
}

TEST(ValidationTest, CountsAreThoseOfTheUnit) {
  GradientStats stats;
  stats.image_count = 7;
  stats.micro_batch_count = 3;  // 2, 2 and the remainder with the last: 3
  EXPECT_OK(CheckUnitCounts(stats, 7, 2));
  EXPECT_THAT(CheckUnitCounts(stats, 6, 2),
              base::StatusIs(kInvalid, HasSubstr("expected 6, got 7")));
  EXPECT_THAT(CheckUnitCounts(stats, 7, 4),
              base::StatusIs(kInvalid, HasSubstr("expected 1, got 3")));
}

TEST(ValidationTest, ARemovedWorkerIsToldApartFromOneThatWasTakenOver) {
  EXPECT_TRUE(IsRemovedWorkerStatus(RemovedWorkerStatus("plays with the loss")));
  EXPECT_TRUE(IsRemovedWorkerStatus(absl::FailedPreconditionError(
      absl::StrCat("join: ", RemovedWorkerStatus("plays with the loss").message()))));
  EXPECT_FALSE(IsRemovedWorkerStatus(absl::FailedPreconditionError(
      "a newer start of this worker has taken over, end this one: current 2, got 1")));
  EXPECT_FALSE(IsRemovedWorkerStatus(
      absl::UnavailableError(RemovedWorkerStatus("plays with the loss").message())));
  EXPECT_FALSE(IsRemovedWorkerStatus(absl::OkStatus()));
}

TEST(ValidationTest, RoundsArePreparedOneOrTwoAhead) {
  for (const int64_t round : {6, 7}) {
    EXPECT_OK(CheckReclaimOldBlobs(base::WeightsVersion(5), base::Round(round)));
  }
  for (const int64_t round : {-1, 0, 5, 8}) {
    EXPECT_THAT(CheckReclaimOldBlobs(base::WeightsVersion(5), base::Round(round)),
                base::StatusIs(kInvalid));
  }
}

}  // namespace
}  // namespace gannet::exchange
