#include "libs/base/url_password.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::base {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(UrlPasswordTest, AUrlWithoutAPasswordIsLeftAlone) {
  for (const char* url :
       {"postgres:///gannet", "postgres://alice@db.example.org:5432/gannet",
        "postgresql://db:5432/gannet?sslmode=require", "host=/run/postgresql dbname=gannet user=x",
        "postgres://a@h/d?passfile=/etc/pass", "127.0.0.1:50051", "",
        "postgres://a@[::1]:5432/d"}) {
    EXPECT_FALSE(CarriesPassword(url)) << url;
    EXPECT_EQ(MaskPassword(url), url);
  }
}

TEST(UrlPasswordTest, APasswordIsFoundAndMaskedWhereverItStands) {
  for (const char* url :
       {"postgres://alice:geheim@db/gannet", "postgres://:geheim@db/gannet",
        "postgresql://alice:ge@geheim@db/gannet", "postgres://alice:x/geheim@db/gannet",
        "postgres://db/gannet?password=geheim", "postgres://db/gannet?user=a&PASSWORD=geheim",
        "postgres://db/gannet?p%61ssword=geheim", "postgres://db/gannet?sslpassword=geheim",
        "host=db password=geheim dbname=x", "password = geheim host=db",
        "postgres://alice:geheim@db/g?password=geheim", "dbname='x' password='geheim'"}) {
    EXPECT_TRUE(CarriesPassword(url)) << url;
    EXPECT_THAT(MaskPassword(url), Not(HasSubstr("geheim"))) << url;
    EXPECT_THAT(MaskPassword(url), HasSubstr("***")) << url;
  }
}

TEST(UrlPasswordTest, TheRestOfTheUrlStaysReadable) {
  EXPECT_EQ(MaskPassword("postgres://alice:geheim@db:5432/gannet"),
            "postgres://alice:***@db:5432/gannet");
}

}  // namespace
}  // namespace gannet::base
