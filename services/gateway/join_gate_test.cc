#include "services/gateway/join_gate.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"

namespace gannet::gateway {
namespace {

using ::testing::HasSubstr;

constexpr char kSchool[] = "192.0.2.7";
constexpr char kElsewhere[] = "198.51.100.1";

class JoinGateTest : public ::testing::Test {
 protected:
  // How many of `count` new workers pass now.
  int Admitted(const std::string& address, int count) {
    int admitted = 0;
    for (int i = 0; i < count; ++i) admitted += gate_.Admit(address).ok() ? 1 : 0;
    return admitted;
  }

  telemetry::Metrics metrics_;
  base::FakeClock clock_;
  Refusals refusals_{metrics_, clock_};
  const JoinGateOptions options_;
  JoinGate gate_{clock_, refusals_, options_};
};

TEST_F(JoinGateTest, AClassOfSixtyBehindOneAddressJoinsAtOnceAndOnceMore) {
  EXPECT_EQ(Admitted(kSchool, 60), 60);
  EXPECT_EQ(Admitted(kSchool, 60), 60) << "everybody starts anew, with another name";
}

TEST_F(JoinGateTest, AFloodFromOneAddressIsSlowedToItsRateAndDisturbsNoOtherAddress) {
  EXPECT_EQ(Admitted(kSchool, 2'129), 120);
  EXPECT_THAT(gate_.Admit(kSchool),
              base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("repeat later")));
  EXPECT_THAT(refusals_.Current(), ::testing::ElementsAre(domain::RefusalReason::kJoinsOfAddress));
  EXPECT_EQ(Admitted(kElsewhere, 60), 60);

  clock_.Advance(absl::Seconds(10));

  EXPECT_EQ(Admitted(kSchool, 100), 10) << "one a second";
}

TEST_F(JoinGateTest, AFloodFromManyAddressesIsSlowedAltogether) {
  int admitted = 0;
  for (int i = 0; i < 1'000; ++i) admitted += Admitted("203.0.113." + std::to_string(i), 1);
  EXPECT_EQ(admitted, 480);
  clock_.Advance(absl::Seconds(5));

  EXPECT_EQ(Admitted(kElsewhere, 60), 20) << "four a second";
}

TEST_F(JoinGateTest, AJoinThatRegisteredNobodyCostsNothing) {
  for (int i = 0; i < 500; ++i) {
    ASSERT_OK(gate_.Admit(kSchool));
    gate_.Refund(kSchool);
  }
}

TEST_F(JoinGateTest, WhoHasJoinedHereIsKnownByItsSecret) {
  gate_.MarkJoined(exchange::TestWorker(1));

  EXPECT_TRUE(gate_.HasJoined(exchange::TestWorker(1)));
  EXPECT_TRUE(gate_.HasJoined(exchange::TestWorker(1, 2))) << "another start of it";
  EXPECT_FALSE(gate_.HasJoined(exchange::TestWorker(2)));
  exchange::WorkerIdentity thief = exchange::TestWorker(1);
  thief.secret = exchange::TestWorker(2).secret;
  EXPECT_FALSE(gate_.HasJoined(thief));
}

TEST_F(JoinGateTest, ARunTakesSoManyWorkersAndNoMore) {
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_THAT(gate_.Enter(base::RunId(1), exchange::TestWorker(i).id), base::IsOkAndHolds(true));
  }
  EXPECT_THAT(gate_.Enter(base::RunId(1), exchange::TestWorker(1'000).id),
              base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("limit 1000")));
  EXPECT_THAT(gate_.Enter(base::RunId(1), exchange::TestWorker(7).id), base::IsOkAndHolds(false))
      << "one of them";
  EXPECT_OK(gate_.Enter(base::RunId(2), exchange::TestWorker(1'000).id)) << "another run";

  gate_.Leave(base::RunId(1), exchange::TestWorker(7).id);

  EXPECT_OK(gate_.Enter(base::RunId(1), exchange::TestWorker(1'000).id));
}

TEST_F(JoinGateTest, WhoIsSilentForFiveMinutesMakesRoomWhereThereIsNone) {
  for (int i = 0; i < 1'000; ++i)
    ASSERT_OK(gate_.Enter(base::RunId(1), exchange::TestWorker(i).id));
  clock_.Advance(absl::Minutes(4));
  gate_.Touch(base::RunId(1), exchange::TestWorker(1).id);
  ASSERT_THAT(gate_.Enter(base::RunId(1), exchange::TestWorker(2).id), base::IsOkAndHolds(false))
      << "it comes again";
  gate_.Touch(base::RunId(1), exchange::TestWorker(5'000).id);
  ASSERT_FALSE(gate_.Enter(base::RunId(1), exchange::TestWorker(5'000).id).ok())
      << "it has no place";

  clock_.Advance(absl::Minutes(1));

  for (int i = 1'000; i < 1'998; ++i)
    ASSERT_OK(gate_.Enter(base::RunId(1), exchange::TestWorker(i).id)) << i;
  EXPECT_THAT(gate_.Enter(base::RunId(1), exchange::TestWorker(1'998).id),
              base::StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(gate_.Enter(base::RunId(1), exchange::TestWorker(1).id), base::IsOkAndHolds(false));
  EXPECT_THAT(gate_.Enter(base::RunId(1), exchange::TestWorker(2).id), base::IsOkAndHolds(false));
}

TEST_F(JoinGateTest, OfThoseItKnowsTheLongestUnusedIsForgotten) {
  JoinGateOptions options;
  options.max_known_workers = 2;
  JoinGate gate(clock_, refusals_, options);
  gate.MarkJoined(exchange::TestWorker(1));
  gate.MarkJoined(exchange::TestWorker(2));
  ASSERT_TRUE(gate.HasJoined(exchange::TestWorker(1))) << "which counts as a use";

  gate.MarkJoined(exchange::TestWorker(3));

  EXPECT_TRUE(gate.HasJoined(exchange::TestWorker(1)));
  EXPECT_FALSE(gate.HasJoined(exchange::TestWorker(2)));
  EXPECT_TRUE(gate.HasJoined(exchange::TestWorker(3)));
}

TEST_F(JoinGateTest, OfTheAddressesTheOneWithoutAJoinForLongestIsForgotten) {
  JoinGateOptions options;
  options.max_addresses = 2;
  options.address_per_second = 0;
  options.address_burst = 1;
  JoinGate gate(clock_, refusals_, options);
  ASSERT_OK(gate.Admit("9"));
  clock_.Advance(absl::Seconds(1));
  ASSERT_OK(gate.Admit("1"));
  clock_.Advance(absl::Seconds(1));

  ASSERT_OK(gate.Admit("5"));

  EXPECT_FALSE(gate.Admit("1").ok()) << "it was not forgotten, though it sorts first";
  EXPECT_OK(gate.Admit("9"));
}

TEST_F(JoinGateTest, AddressesAreRememberedUpToALimitAndThoseThatFloodLongest) {
  JoinGateOptions options;
  options.max_addresses = 2;
  options.address_burst = 2;
  JoinGate gate(clock_, refusals_, options);
  ASSERT_OK(gate.Admit(kSchool));
  ASSERT_OK(gate.Admit(kSchool));
  ASSERT_OK(gate.Admit(kElsewhere));
  clock_.Advance(absl::Seconds(1));  // its bucket is full again

  ASSERT_OK(gate.Admit("203.0.113.1"));

  EXPECT_OK(gate.Admit(kSchool));
  EXPECT_FALSE(gate.Admit(kSchool).ok()) << "it was not forgotten";
}

TEST(JoinAddressTest, IsTheHostOfAPeerOrItsNetwork) {
  EXPECT_EQ(JoinAddressOf("ipv4:192.0.2.7:4711"), "192.0.2.7");
  EXPECT_EQ(JoinAddressOf("ipv6:[2001:db8:1:2:3:4:5:6]:4711"), "2001:db8:1:2::/64");
  EXPECT_EQ(JoinAddressOf("ipv6:%5B2001:db8:1:2::9%5D:4711"), "2001:db8:1:2::/64");
  EXPECT_EQ(JoinAddressOf("ipv6:[::ffff:192.0.2.7]:4711"), "192.0.2.7");
  EXPECT_EQ(JoinAddressOf("ipv6:[fe80::1%25eth0]:4711"), "fe80::/64");
  EXPECT_EQ(JoinAddressOf("unix:/run/gannet"), "unix:/run/gannet");
}

}  // namespace
}  // namespace gannet::gateway
