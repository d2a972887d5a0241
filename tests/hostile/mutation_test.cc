#include "tests/hostile/mutation.h"

#include <algorithm>
#include <string>

#include "gannet/v1/exchange_service.pb.h"
#include "gtest/gtest.h"

namespace gannet::hostile {
namespace {

v1::SubmitHeader GoodHeader() {
  v1::SubmitHeader header;
  header.mutable_worker()->set_worker_id(std::string(32, 'a'));
  header.set_unit_id(7);
  header.mutable_stats()->set_discriminator_loss(1.5);
  header.mutable_payload()->set_total_bytes(100);
  return header;
}

TEST(MutationTest, ReachesEveryFieldAndWhatItMakesCanBeSent) {
  HostileRandom random(1);
  const v1::SubmitHeader good = GoodHeader();
  bool unit = false;
  bool loss = false;
  bool bytes = false;
  bool id = false;
  for (int i = 0; i < 2'000; ++i) {
    v1::SubmitHeader header = good;
    Mutate(header, random);
    unit |= header.unit_id() != 7;
    loss |= header.stats().discriminator_loss() != 1.5;
    bytes |= header.payload().total_bytes() != 100;
    id |= header.worker().worker_id() != good.worker().worker_id();
    v1::SubmitHeader read;
    ASSERT_TRUE(read.ParseFromString(header.SerializeAsString()));
  }
  EXPECT_TRUE(unit && loss && bytes && id);
}

TEST(MutationTest, AListGrowsBeyondItsLimit) {
  HostileRandom random(1);
  int longest = 0;
  for (int i = 0; i < 500; ++i) {
    v1::HeartbeatRequest request;
    request.add_progress()->set_unit_id(7);
    Mutate(request, random);
    longest = std::max(longest, request.progress_size());
  }
  EXPECT_GT(longest, 64);
}

TEST(MutationTest, IsTheSameFromTheSameSeed) {
  HostileRandom first(5);
  HostileRandom second(5);
  for (int i = 0; i < 100; ++i) {
    v1::SubmitHeader one = GoodHeader();
    v1::SubmitHeader other = GoodHeader();
    Mutate(one, first);
    Mutate(other, second);
    ASSERT_EQ(one.SerializeAsString(), other.SerializeAsString());
  }
}

}  // namespace
}  // namespace gannet::hostile
