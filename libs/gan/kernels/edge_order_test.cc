#include "libs/gan/kernels/edge_order.h"

#include <set>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"

namespace gannet::gan {
namespace {

std::vector<std::tuple<int64_t, int64_t, int64_t>> PixelsOf(const EdgeOrder& order, int64_t side,
                                                            int64_t begin, int64_t count) {
  std::vector<std::tuple<int64_t, int64_t, int64_t>> pixels;
  order.ForEachSpan(begin, count, [&](const PixelSpan& span) {
    for (int64_t i = 0; i < span.count; ++i) {
      const int64_t y = span.first.y, x = span.first.x + i;
      EXPECT_EQ(span.edges.top, y == 0);
      EXPECT_EQ(span.edges.bottom, y == side - 1);
      EXPECT_EQ(span.edges.left, x == 0);
      EXPECT_EQ(span.edges.right, x == side - 1);
      pixels.emplace_back(span.first.image, y, x);
    }
  });
  return pixels;
}

TEST(EdgeOrderTest, HasEveryPixelOnceAndTheSameFromAnyPlace) {
  for (const int64_t side : {1, 2, 3, 4, 8, 16}) {
    for (const int64_t images : {1, 2, 5}) {
      const EdgeOrder order(images, side);
      ASSERT_EQ(order.size(), images * side * side);
      const auto all = PixelsOf(order, side, 0, order.size());
      ASSERT_EQ(all.size(), static_cast<size_t>(order.size()));
      EXPECT_EQ(std::set(all.begin(), all.end()).size(), all.size());
      for (int64_t begin = 0; begin < order.size(); begin += 7) {
        const int64_t count = std::min<int64_t>(5, order.size() - begin);
        const auto part = PixelsOf(order, side, begin, count);
        EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + begin))
            << side << " " << begin;
        EXPECT_EQ(part.size(), static_cast<size_t>(count));
      }
    }
  }
}

TEST(EdgeOrderTest, EdgesChangeSeldom) {
  const EdgeOrder order(10, 8);
  int changes = 0;
  Edges last;
  order.ForEachSpan(0, order.size(), [&](const PixelSpan& span) {
    const Edges& e = span.edges;
    if (std::tie(e.top, e.bottom, e.left, e.right) !=
        std::tie(last.top, last.bottom, last.left, last.right)) {
      ++changes;
    }
    last = e;
  });
  EXPECT_EQ(changes, 9);
}

}  // namespace
}  // namespace gannet::gan
