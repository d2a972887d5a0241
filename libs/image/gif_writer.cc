#include "libs/image/gif_writer.h"

#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/atomic_file.h"
#include "libs/base/status_macros.h"

namespace gannet::image {
namespace {

constexpr size_t kPaletteSize = 256;
constexpr int kMaxGifSide = 65'535;
constexpr int kMaxDelay = 65'535;

using Colour = std::array<int, 3>;

// Colours that share the upper six bits of each channel, taken together.
struct Bin {
  std::array<double, 3> sum{};
  double count = 0;

  double Mean(size_t channel) const { return sum[channel] / count; }
};

// A range of bins that becomes one colour of the palette.
struct BinRange {
  size_t begin;
  size_t end;
  size_t widest;     // channel of the largest squared error
  double error = 0;  // squared error that a split along `widest` can save
  double mean = 0;   // along `widest`
};

BinRange Measure(const std::vector<Bin>& bins, size_t begin, size_t end) {
  BinRange range{begin, end, 0};
  for (size_t c = 0; c < 3; ++c) {
    double count = 0;
    double sum = 0;
    double squares = 0;
    for (size_t i = begin; i < end; ++i) {
      const double v = bins[i].Mean(c);
      count += bins[i].count;
      sum += v * bins[i].count;
      squares += v * v * bins[i].count;
    }
    const double error = squares - sum * sum / count;
    if (error > range.error) {
      range.error = error;
      range.widest = c;
      range.mean = sum / count;
    }
  }
  return range;
}

std::vector<Colour> MakePalette(const RgbImage& frame) {
  constexpr size_t kBins = size_t{1} << 18;
  std::vector<Bin> all(kBins);
  for (size_t i = 0; i < frame.pixels.size(); i += 3) {
    const uint8_t* p = &frame.pixels[i];
    Bin& bin = all[static_cast<size_t>(p[0] >> 2) << 12 | static_cast<size_t>(p[1] >> 2) << 6 |
                   static_cast<size_t>(p[2] >> 2)];
    for (size_t c = 0; c < 3; ++c) bin.sum[c] += p[c];
    bin.count += 1;
  }
  std::vector<Bin> bins;
  for (const Bin& bin : all) {
    if (bin.count > 0) bins.push_back(bin);
  }
  std::vector<BinRange> ranges = {Measure(bins, 0, bins.size())};
  while (ranges.size() < kPaletteSize) {
    const auto worst =
        std::max_element(ranges.begin(), ranges.end(),
                         [](const BinRange& a, const BinRange& b) { return a.error < b.error; });
    const BinRange range = *worst;
    const auto begin = bins.begin() + static_cast<std::ptrdiff_t>(range.begin);
    const auto end = bins.begin() + static_cast<std::ptrdiff_t>(range.end);
    const auto middle = std::partition(
        begin, end, [&](const Bin& bin) { return bin.Mean(range.widest) <= range.mean; });
    // One colour is left, or rounding kept the rest together: nothing more to gain.
    if (range.error <= 0 || middle == begin || middle == end) break;
    const size_t split = static_cast<size_t>(middle - bins.begin());
    *worst = Measure(bins, range.begin, split);
    ranges.push_back(Measure(bins, split, range.end));
  }
  std::vector<Colour> palette;
  for (const BinRange& range : ranges) {
    Bin together;
    for (size_t i = range.begin; i < range.end; ++i) {
      for (size_t c = 0; c < 3; ++c) together.sum[c] += bins[i].sum[c];
      together.count += bins[i].count;
    }
    Colour colour;
    for (size_t c = 0; c < 3; ++c) colour[c] = static_cast<int>(together.Mean(c) + 0.5);
    palette.push_back(colour);
  }
  return palette;
}

// Finds the nearest palette colour, remembering answers by the upper six bits of each channel.
class NearestColour {
 public:
  explicit NearestColour(const std::vector<Colour>& palette) : palette_(palette) {}

  size_t Find(const Colour& colour) {
    int16_t& known =
        known_[static_cast<size_t>(colour[0] >> 2) << 12 |
               static_cast<size_t>(colour[1] >> 2) << 6 | static_cast<size_t>(colour[2] >> 2)];
    if (known < 0) known = static_cast<int16_t>(Search(colour));
    return static_cast<size_t>(known);
  }

 private:
  size_t Search(const Colour& colour) const {
    size_t best = 0;
    int best_distance = INT32_MAX;
    for (size_t i = 0; i < palette_.size(); ++i) {
      int distance = 0;
      for (size_t c = 0; c < 3; ++c) {
        const int d = palette_[i][c] - colour[c];
        distance += d * d;
      }
      if (distance < best_distance) {
        best_distance = distance;
        best = i;
      }
    }
    return best;
  }

  const std::vector<Colour>& palette_;
  std::vector<int16_t> known_ = std::vector<int16_t>(size_t{1} << 18, -1);
};

// Indices into the palette, errors spread to the right and to the row below.
std::vector<GifPixelType> Dither(const RgbImage& frame, const std::vector<Colour>& palette) {
  const size_t width = static_cast<size_t>(frame.width);
  const size_t height = static_cast<size_t>(frame.height);
  std::vector<GifPixelType> out(width * height);
  NearestColour nearest(palette);
  // One place of margin at both ends; in sixteenths.
  std::vector<Colour> here(width + 2, Colour{});
  std::vector<Colour> below(width + 2, Colour{});
  for (size_t y = 0; y < height; ++y) {
    for (size_t x = 0; x < width; ++x) {
      const uint8_t* p = &frame.pixels[(y * width + x) * 3];
      const Colour exact = {p[0], p[1], p[2]};
      const size_t plain = nearest.Find(exact);
      if (palette[plain] == exact) {
        out[y * width + x] = static_cast<GifPixelType>(plain);
        continue;
      }
      Colour wanted;
      for (size_t c = 0; c < 3; ++c) {
        wanted[c] = std::clamp(exact[c] + here[x + 1][c] / 16, 0, 255);
      }
      const size_t index = nearest.Find(wanted);
      out[y * width + x] = static_cast<GifPixelType>(index);
      for (size_t c = 0; c < 3; ++c) {
        const int error = wanted[c] - palette[index][c];
        here[x + 2][c] += 7 * error;
        below[x][c] += 3 * error;
        below[x + 1][c] += 5 * error;
        below[x + 2][c] += error;
      }
    }
    here.swap(below);
    std::fill(below.begin(), below.end(), Colour{});
  }
  return out;
}

int AppendBytes(GifFileType* gif, const GifByteType* bytes, int count) {
  static_cast<std::string*>(gif->UserData)
      ->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(count));
  return count;
}

struct GifClose {
  void operator()(GifFileType* gif) const {
    int ignored = 0;
    EGifCloseFile(gif, &ignored);
  }
};
struct ColourMapFree {
  void operator()(ColorMapObject* map) const { GifFreeMapObject(map); }
};

absl::Status GifFailure(const GifFileType& gif) {
  const char* reason = GifErrorString(gif.Error);
  return absl::InternalError(
      absl::StrCat("GIF cannot be encoded: ", reason == nullptr ? "unknown reason" : reason));
}

// The loop extension that Netscape introduced: repeat without end.
bool PutLoop(GifFileType* gif) {
  return EGifPutExtensionLeader(gif, APPLICATION_EXT_FUNC_CODE) == GIF_OK &&
         EGifPutExtensionBlock(gif, 11, "NETSCAPE2.0") == GIF_OK &&
         EGifPutExtensionBlock(gif, 3, "\x01\x00\x00") == GIF_OK &&
         EGifPutExtensionTrailer(gif) == GIF_OK;
}

absl::Status PutFrame(GifFileType* gif, const RgbImage& frame, int delay, int scale) {
  const std::vector<Colour> palette = MakePalette(frame);
  const std::vector<GifPixelType> indices = Dither(frame, palette);
  std::array<GifColorType, kPaletteSize> colours{};
  for (size_t i = 0; i < palette.size(); ++i) {
    colours[i] = {static_cast<GifByteType>(palette[i][0]), static_cast<GifByteType>(palette[i][1]),
                  static_cast<GifByteType>(palette[i][2])};
  }
  const std::unique_ptr<ColorMapObject, ColourMapFree> map(
      GifMakeMapObject(static_cast<int>(kPaletteSize), colours.data()));
  if (map == nullptr) return absl::ResourceExhaustedError("no memory for a GIF palette");
  const GraphicsControlBlock control = {DISPOSE_DO_NOT, false, delay, NO_TRANSPARENT_COLOR};
  std::array<GifByteType, 4> extension{};
  EGifGCBToExtension(&control, extension.data());
  if (EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, extension.data()) != GIF_OK ||
      EGifPutImageDesc(gif, 0, 0, frame.width * scale, frame.height * scale, false, map.get()) !=
          GIF_OK) {
    return GifFailure(*gif);
  }
  const size_t width = static_cast<size_t>(frame.width);
  const size_t repeat = static_cast<size_t>(scale);
  std::vector<GifPixelType> line(width * repeat);
  for (size_t y = 0; y < static_cast<size_t>(frame.height) * repeat; ++y) {
    for (size_t x = 0; x < line.size(); ++x) {
      line[x] = indices[y / repeat * width + x / repeat];
    }
    if (EGifPutLine(gif, line.data(), static_cast<int>(line.size())) != GIF_OK) {
      return GifFailure(*gif);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> EncodeGif(absl::Span<const RgbImage> frames,
                                      const GifOptions& options) {
  if (frames.empty()) return absl::InvalidArgumentError("GIF needs at least one frame");
  const auto is_delay = [](int delay) { return delay >= 0 && delay <= kMaxDelay; };
  if (options.scale < 1 || !is_delay(options.delay_centiseconds) ||
      !is_delay(options.last_delay_centiseconds)) {
    return absl::InvalidArgumentError(
        absl::StrCat("GIF needs a scale of at least 1 and delays of 0 to ", kMaxDelay,
                     ", got scale ", options.scale, ", delays ", options.delay_centiseconds,
                     " and ", options.last_delay_centiseconds));
  }
  const int width = frames[0].width;
  const int height = frames[0].height;
  if (width < 1 || height < 1 || width > kMaxGifSide / options.scale ||
      height > kMaxGifSide / options.scale) {
    return absl::InvalidArgumentError(absl::StrCat("GIF must have 1 to ", kMaxGifSide,
                                                   " pixels a side, got ", width, "x", height,
                                                   " at scale ", options.scale));
  }
  for (const RgbImage& frame : frames) {
    if (frame.width != width || frame.height != height ||
        frame.pixels.size() != static_cast<size_t>(width) * static_cast<size_t>(height) * 3) {
      return absl::InvalidArgumentError(
          absl::StrCat("GIF needs frames of one size: expected ", width, "x", height, ", got ",
                       frame.width, "x", frame.height, " with ", frame.pixels.size(), " values"));
    }
  }
  std::string bytes;
  int error = 0;
  std::unique_ptr<GifFileType, GifClose> gif(EGifOpen(&bytes, AppendBytes, &error));
  if (gif == nullptr) return absl::ResourceExhaustedError("no memory for a GIF encoder");
  EGifSetGifVersion(gif.get(), true);
  if (EGifPutScreenDesc(gif.get(), width * options.scale, height * options.scale, 8, 0, nullptr) !=
          GIF_OK ||
      !PutLoop(gif.get())) {
    return GifFailure(*gif);
  }
  for (size_t i = 0; i < frames.size(); ++i) {
    const int delay =
        i + 1 == frames.size() ? options.last_delay_centiseconds : options.delay_centiseconds;
    GANNET_RETURN_IF_ERROR(PutFrame(gif.get(), frames[i], delay, options.scale));
  }
  // Closing writes the end of the file.
  if (EGifCloseFile(gif.release(), &error) != GIF_OK) {
    return absl::InternalError("GIF cannot be encoded: its end could not be written");
  }
  return bytes;
}

absl::Status WriteGif(const std::string& path, absl::Span<const RgbImage> frames,
                      const GifOptions& options) {
  GANNET_ASSIGN_OR_RETURN(const std::string bytes, EncodeGif(frames, options));
  return base::WriteFileAtomically(path, bytes);
}

}  // namespace gannet::image
