#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

// The pixels of images x side x side in an order in which those next to the same edges of their
// image lie side by side. A convolution with kernel 4, stride 2 and padding 1 reaches into the
// padding from the first and the last row and column only: of the 4 x 4 taps one row and one column
// each. At 4 x 4 pixels that is a quarter of all products, and in this order whole tiles can leave
// them out. Nothing here includes torch.

namespace gannet::gan {

struct Pixel {
  int64_t image = 0;
  int64_t y = 0;
  int64_t x = 0;
};

// Whether a pixel is in the first or last row and column.
struct Edges {
  bool top = false;
  bool bottom = false;
  bool left = false;
  bool right = false;
};

// Pixels side by side in a row of an image, with the same edges.
struct PixelSpan {
  Pixel first;
  int64_t count = 0;
  Edges edges;
};

class EdgeOrder {
 public:
  EdgeOrder(int64_t images, int64_t side) : images_(images) {
    const std::array<Range, 3> ranges = RangesOf(side);
    for (const Range& rows : ranges) {
      for (const Range& columns : ranges) {
        if (rows.count == 0 || columns.count == 0) continue;
        groups_[static_cast<size_t>(group_count_++)] = {
            .y = rows.begin,
            .rows = rows.count,
            .x = columns.begin,
            .columns = columns.count,
            .begin = size_,
            .edges = {rows.is_first, rows.is_last, columns.is_first, columns.is_last}};
        size_ += images * rows.count * columns.count;
      }
    }
  }

  // Images x side x side.
  int64_t size() const { return size_; }

  // Calls body(span) for the pixels begin .. begin + count of this order, which are whole spans or
  // parts of them, in order.
  template <typename Body>
  void ForEachSpan(int64_t begin, int64_t count, const Body& body) const {
    int g = 0;
    while (g + 1 < group_count_ && groups_[static_cast<size_t>(g) + 1].begin <= begin) ++g;
    while (count > 0) {
      const Group& group = groups_[static_cast<size_t>(g)];
      const int64_t place = begin - group.begin, per_image = group.rows * group.columns;
      Pixel p = {place / per_image, place % per_image / group.columns, place % group.columns};
      while (count > 0 && p.image < images_) {
        const int64_t pixels = std::min(count, group.columns - p.x);
        body(PixelSpan{{p.image, group.y + p.y, group.x + p.x}, pixels, group.edges});
        begin += pixels;
        count -= pixels;
        p.x = 0;
        if (++p.y == group.rows) p = {p.image + 1, 0, 0};
      }
      ++g;
    }
  }

 private:
  struct Range {
    int64_t begin = 0, count = 0;
    bool is_first = false, is_last = false;
  };
  struct Group {
    int64_t y = 0, rows = 0, x = 0, columns = 0;
    int64_t begin = 0;  // in the order
    Edges edges;
  };

  static std::array<Range, 3> RangesOf(int64_t side) {
    if (side == 1) return {Range{0, 1, true, true}, Range{}, Range{}};
    return {Range{0, 1, true, false}, Range{1, side - 2, false, false},
            Range{side - 1, 1, false, true}};
  }

  const int64_t images_;
  std::array<Group, 9> groups_;
  int group_count_ = 0;
  int64_t size_ = 0;
};

}  // namespace gannet::gan
