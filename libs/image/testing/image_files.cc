#include "libs/image/testing/image_files.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

// jpeglib.h wants size_t and FILE declared before it.
#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>

#include "libs/base/check.h"

namespace gannet::image {
namespace {

void AppendPng(png_structp png, png_bytep bytes, size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))
      ->append(reinterpret_cast<const char*>(bytes), count);
}

}  // namespace

TempFolder::TempFolder() {
  const char* base = std::getenv("TMPDIR");
  path_ = std::string(base != nullptr ? base : "/tmp") + "/gannet-data-XXXXXX";
  GANNET_CHECK(mkdtemp(path_.data()) != nullptr);
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempFolder::Write(const std::string& name, absl::string_view bytes) const {
  const std::string path = path_ + "/" + name;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  GANNET_CHECK(file.good());
  return path;
}

RgbImage PlainImage(int width, int height, uint8_t red, uint8_t green, uint8_t blue) {
  RgbImage image{width, height, {}};
  for (int i = 0; i < width * height; ++i) {
    image.pixels.insert(image.pixels.end(), {red, green, blue});
  }
  return image;
}

RgbImage SoftImage(int width, int height, int variant) {
  RgbImage image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.pixels.push_back(static_cast<uint8_t>(40 + 160 * x / width));
      image.pixels.push_back(static_cast<uint8_t>(60 + 120 * y / height));
      image.pixels.push_back(static_cast<uint8_t>((30 + 37 * variant) % 200));
    }
  }
  return image;
}

std::string EncodeJpeg(const RgbImage& image, JpegKind kind) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  const bool cmyk = kind == JpegKind::kCmyk || kind == JpegKind::kAdobeCmyk;
  info.input_components = kind == JpegKind::kGrey ? 1 : cmyk ? 4 : 3;
  info.in_color_space = kind == JpegKind::kGrey ? JCS_GRAYSCALE : cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 95, TRUE);
  if (kind == JpegKind::kCmyk) info.write_Adobe_marker = FALSE;
  if (kind == JpegKind::kProgressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  const size_t components = static_cast<size_t>(info.input_components);
  std::vector<uint8_t> row(static_cast<size_t>(image.width) * components);
  for (size_t y = 0; y < static_cast<size_t>(image.height); ++y) {
    for (size_t x = 0; x < static_cast<size_t>(image.width); ++x) {
      const uint8_t* rgb = &image.pixels[(y * static_cast<size_t>(image.width) + x) * 3];
      if (kind == JpegKind::kGrey) {
        row[x] = rgb[1];
      } else if (cmyk) {
        // Ink without black; Adobe stores it inverted.
        const bool inverted = kind == JpegKind::kAdobeCmyk;
        for (size_t c = 0; c < 3; ++c) {
          row[x * 4 + c] = inverted ? rgb[c] : static_cast<uint8_t>(255 - rgb[c]);
        }
        row[x * 4 + 3] = inverted ? 255 : 0;
      } else {
        std::copy_n(rgb, 3, &row[x * 3]);
      }
    }
    JSAMPROW pointer = row.data();
    jpeg_write_scanlines(&info, &pointer, 1);
  }
  jpeg_finish_compress(&info);
  std::string bytes(reinterpret_cast<char*>(out), size);
  jpeg_destroy_compress(&info);
  std::free(out);
  return bytes;
}

std::string EncodePng(const RgbImage& image, PngKind kind, uint8_t alpha) {
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &bytes, AppendPng, [](png_structp) {});
  const size_t width = static_cast<size_t>(image.width);
  const size_t height = static_cast<size_t>(image.height);
  int colour = PNG_COLOR_TYPE_RGB;
  if (kind == PngKind::kGrey || kind == PngKind::kGrey1Bit) colour = PNG_COLOR_TYPE_GRAY;
  if (kind == PngKind::kPalette) colour = PNG_COLOR_TYPE_PALETTE;
  if (kind == PngKind::kRgba) colour = PNG_COLOR_TYPE_RGB_ALPHA;
  const int depth = kind == PngKind::kRgb16 ? 16 : kind == PngKind::kGrey1Bit ? 1 : 8;
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), depth,
               colour, kind == PngKind::kInterlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);

  std::map<std::vector<uint8_t>, uint8_t> palette;
  std::vector<png_color> colours;
  std::vector<std::vector<uint8_t>> rows(height);
  for (size_t y = 0; y < height; ++y) {
    std::vector<uint8_t>& row = rows[y];
    if (kind == PngKind::kGrey1Bit) row.assign((width + 7) / 8, 0);
    for (size_t x = 0; x < width; ++x) {
      const uint8_t* rgb = &image.pixels[(y * width + x) * 3];
      switch (kind) {
        case PngKind::kRgb:
        case PngKind::kInterlaced:
          row.insert(row.end(), rgb, rgb + 3);
          break;
        case PngKind::kGrey:
          row.push_back(rgb[1]);
          break;
        case PngKind::kGrey1Bit:
          if (rgb[1] >= 128) row[x / 8] = static_cast<uint8_t>(row[x / 8] | 0x80 >> (x % 8));
          break;
        case PngKind::kPalette: {
          const auto [it, added] =
              palette.insert({{rgb, rgb + 3}, static_cast<uint8_t>(palette.size())});
          if (added) colours.push_back({rgb[0], rgb[1], rgb[2]});
          GANNET_CHECK(colours.size() <= 256);
          row.push_back(it->second);
          break;
        }
        case PngKind::kRgba:
          row.insert(row.end(), rgb, rgb + 3);
          row.push_back(alpha);
          break;
        case PngKind::kRgb16:
          // 257 * v is exactly v when scaled back to 8 bits.
          for (size_t c = 0; c < 3; ++c) row.insert(row.end(), 2, rgb[c]);
          break;
      }
    }
  }
  if (kind == PngKind::kPalette) {
    png_set_PLTE(png, info, colours.data(), static_cast<int>(colours.size()));
  }
  std::vector<png_bytep> pointers;
  for (std::vector<uint8_t>& row : rows) pointers.push_back(row.data());
  png_write_info(png, info);
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

std::string EncodeWebp(const RgbImage& image, uint8_t alpha) {
  std::vector<uint8_t> rgba;
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    rgba.insert(rgba.end(), {image.pixels[i], image.pixels[i + 1], image.pixels[i + 2], alpha});
  }
  uint8_t* bytes = nullptr;
  const size_t count =
      WebPEncodeLosslessRGBA(rgba.data(), image.width, image.height, 4 * image.width, &bytes);
  GANNET_CHECK(count > 0);
  std::string out(reinterpret_cast<const char*>(bytes), count);
  WebPFree(bytes);
  return out;
}

std::string ExifBlock(int orientation, bool big_endian) {
  std::string block = big_endian ? "MM" : "II";
  const auto append = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      const int shift = 8 * (big_endian ? bytes - 1 - i : i);
      block.push_back(static_cast<char>(value >> shift));
    }
  };
  append(42, 2);
  append(8, 4);       // where the directory is
  append(1, 2);       // entries in it
  append(0x0112, 2);  // the orientation
  append(3, 2);       // a short
  append(1, 4);       // one of them
  append(static_cast<uint32_t>(orientation), 2);
  append(0, 2);
  append(0, 4);  // no other directory
  return block;
}

std::string WithExif(const std::string& jpeg, const std::string& block) {
  const size_t length = 2 + 6 + block.size();
  std::string segment = "\xff\xe1";
  segment.push_back(static_cast<char>(length >> 8));
  segment.push_back(static_cast<char>(length));
  return jpeg.substr(0, 2) + segment + std::string("Exif\0\0", 6) + block + jpeg.substr(2);
}

}  // namespace gannet::image
