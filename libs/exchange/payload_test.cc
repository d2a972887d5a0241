#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "libs/base/sha256.h"
#include "libs/exchange/exchange.h"

namespace gannet::exchange {
namespace {

TEST(PayloadTest, CarriesTheChecksumOfItsBytes) {
  const Payload payload = Payload::FromBytes(tensor::Codec::kFp16, "tensors");

  EXPECT_EQ(payload.codec, tensor::Codec::kFp16);
  EXPECT_EQ(*payload.bytes, "tensors");
  EXPECT_EQ(payload.sha256, base::Sha256("tensors"));
  EXPECT_TRUE(payload.IsIntact());
}

TEST(PayloadTest, AClaimedChecksumIsComparedWithTheComputedOne) {
  Payload payload = Payload::FromHashed(tensor::Codec::kFp32, "tensors", base::Sha256("tensors"));
  EXPECT_TRUE(payload.IsIntact());

  payload.sha256 = base::Sha256("others");

  EXPECT_FALSE(payload.IsIntact());
}

TEST(PayloadTest, BytesOfUnknownOriginAreHashed) {
  Payload payload;
  payload.sha256 = base::Sha256("tensors");
  EXPECT_FALSE(payload.IsIntact()) << "without bytes";
  payload.bytes = std::make_shared<const std::string>("tensors");
  EXPECT_TRUE(payload.IsIntact());
  payload.bytes = std::make_shared<const std::string>("tensorz");
  EXPECT_FALSE(payload.IsIntact());
}

TEST(PayloadTest, ExchangedBytesAreHashedAgain) {
  Payload payload = Payload::FromBytes(tensor::Codec::kFp32, "tensors");

  payload.bytes = std::make_shared<const std::string>("tensorz");

  EXPECT_FALSE(payload.IsIntact());
}

TEST(PayloadTest, ACopySharesTheBytes) {
  const Payload payload = Payload::FromBytes(tensor::Codec::kFp32, "tensors");
  const Payload copy = payload;

  EXPECT_EQ(copy.bytes.get(), payload.bytes.get());
  EXPECT_TRUE(copy.IsIntact());
}

}  // namespace
}  // namespace gannet::exchange
