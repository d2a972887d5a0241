#include "services/coordinator/coordinator_config.h"

#include <cstdio>
#include <fstream>

#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::coordinator {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

config::Config SmallConfig() {
  config::Config config;
  config.data.count = 100;
  config.coordinator.output_dir = ::testing::TempDir();
  return config;
}

TEST(CoordinatorConfigTest, SettingsAndDataBecomeTheRun) {
  config::Config config = SmallConfig();
  config.run.name = "class";
  config.run.policy.quorum = 2;
  const data::DatasetFingerprint data = {"folder", 12, std::string(64, 'e'), "folder of cats"};

  const domain::RunConfig run = MakeRunConfig(config, data);

  domain::RunConfig expected = config.run;
  expected.data = {"folder", 12, std::string(64, 'e'), "folder of cats"};
  EXPECT_EQ(run, expected);
  EXPECT_EQ(run.data.description, "folder of cats");
  EXPECT_OK(domain::ValidateRunConfig(run));
}

TEST(CoordinatorConfigTest, DefaultsAreValidAndNameTheDataSet) {
  ASSERT_OK_AND_ASSIGN(const CoordinatorServerOptions options,
                       MakeCoordinatorServerOptions(SmallConfig()));

  EXPECT_OK(domain::ValidateRunConfig(options.coordinator.run));
  EXPECT_EQ(options.coordinator.run.data.kind, "procedural");
  EXPECT_EQ(options.coordinator.run.data.image_count, 100);
  EXPECT_EQ(options.coordinator.run.gradient_codec, 1);
  EXPECT_EQ(options.coordinator.term.leadership_ttl, absl::Seconds(15));
  EXPECT_EQ(options.coordinator.output->sample_count, 64);
}

TEST(CoordinatorConfigTest, EveryStartDrawsAnotherLeaderId) {
  ASSERT_OK_AND_ASSIGN(const auto one, MakeCoordinatorServerOptions(SmallConfig()));
  ASSERT_OK_AND_ASSIGN(const auto two, MakeCoordinatorServerOptions(SmallConfig()));

  EXPECT_TRUE(base::IsHex(one.coordinator.leader.value(), 32));
  EXPECT_NE(one.coordinator.leader, two.coordinator.leader);
}

TEST(CoordinatorConfigTest, ADataSetThatIsNotThereIsAnError) {
  config::Config config = SmallConfig();
  config.data.kind = "folder";
  config.data.path = "/not/there";

  EXPECT_THAT(MakeCoordinatorServerOptions(config),
              base::StatusIs(absl::StatusCode::kNotFound, HasSubstr("/not/there")));
}

TEST(CoordinatorConfigTest, AnAdminServiceForOtherMachinesNeedsAToken) {
  for (const char* listen : {"0.0.0.0:50052", "[::]:50052", "192.168.1.5:1", "myhost:50052"}) {
    config::Config config = SmallConfig();
    config.coordinator.admin_listen = listen;

    EXPECT_THAT(
        MakeCoordinatorServerOptions(config),
        base::StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("coordinator.admin_token_file"), HasSubstr(listen))));
  }
}

TEST(CoordinatorConfigTest, WithATokenTheAdminServiceMayBeReachedFromElsewhere) {
  const std::string path = ::testing::TempDir() + "/admin_token";
  std::ofstream(path) << "sesame\n";
  config::Config config = SmallConfig();
  config.coordinator.admin_listen = "0.0.0.0:50052";
  config.coordinator.admin_token_file = path;

  const absl::StatusOr<CoordinatorServerOptions> options = MakeCoordinatorServerOptions(config);
  std::remove(path.c_str());

  ASSERT_OK(options);
  EXPECT_EQ(options->admin_token, "sesame");
}

}  // namespace
}  // namespace gannet::coordinator
