#include "libs/image/image_io.h"

#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

// jpeglib.h wants size_t and FILE declared before it.
#include <jerror.h>
#include <jpeglib.h>
#include <png.h>

#include "absl/strings/str_cat.h"
#include "libs/base/atomic_file.h"
#include "libs/base/status_macros.h"
#include "libs/image/exif.h"
#include "libs/image/image_limits.h"
#include "libs/image/webp_reader.h"

namespace gannet::image {
namespace {

constexpr absl::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);

// More scans than any encoder writes; each scan of a progressive JPEG costs a pass over the whole
// picture, however few bytes it has.
constexpr int kMaxJpegScans = 200;

bool LooksLikePng(absl::string_view bytes) {
  return bytes.substr(0, kPngSignature.size()) == kPngSignature;
}

bool LooksLikeJpeg(absl::string_view bytes) { return bytes.substr(0, 3) == "\xff\xd8\xff"; }

// What is none of the formats that are read.
absl::Status NoImage(absl::string_view bytes) {
  if (bytes.empty()) return absl::DataLossError("empty file");
  for (const auto& [begin, what] : {std::pair<absl::string_view, absl::string_view>{"GIF8", "GIF"},
                                    {"BM", "BMP"},
                                    {absl::string_view("II*\0", 4), "TIFF"},
                                    {absl::string_view("MM\0*", 4), "TIFF"},
                                    {"<", "web page or drawing"}}) {
    if (bytes.substr(0, begin.size()) == begin) {
      return absl::DataLossError(
          absl::StrCat("neither a JPEG nor a PNG or WebP, it begins like a ", what));
    }
  }
  return absl::DataLossError("neither a JPEG nor a PNG or WebP");
}

uint32_t BigEndian32(absl::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

// --- PNG. libpng reports errors by longjmp: the functions between setjmp and the jump hold no
// objects with destructors.

struct PngReadState {
  absl::string_view bytes;
  size_t position = 0;
  char message[160] = "";
};

void PngRead(png_structp png, png_bytep out, size_t count) {
  auto* state = static_cast<PngReadState*>(png_get_io_ptr(png));
  if (count > state->bytes.size() - state->position) png_error(png, "file is cut short");
  std::memcpy(out, state->bytes.data() + state->position, count);
  state->position += count;
}

void PngReadError(png_structp png, png_const_charp message) {
  auto* state = static_cast<PngReadState*>(png_get_error_ptr(png));
  std::snprintf(state->message, sizeof(state->message), "%s", message);
  png_longjmp(png, 1);
}

void PngWarning(png_structp, png_const_charp) {}

// Reads up to the point where rows are 8-bit RGBA. Returns false on error.
bool PngStart(png_structp png, png_infop info) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_user_limits(png, kMaxImageSide, kMaxImageSide);
  png_set_chunk_malloc_max(png, 8 << 20);
  png_read_info(png, info);
  png_set_expand(png);
  png_set_scale_16(png);
  png_set_gray_to_rgb(png);
  png_set_add_alpha(png, 0xff, PNG_FILLER_AFTER);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  return true;
}

bool PngReadRows(png_structp png, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_read_image(png, rows);
  png_read_end(png, nullptr);
  return true;
}

struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

struct PngWriter {
  png_structp png = nullptr;
  png_infop info = nullptr;
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
};

struct PngWriteState {
  std::string* out;
  char message[160] = "";
};

void PngWrite(png_structp png, png_bytep bytes, size_t count) {
  static_cast<PngWriteState*>(png_get_io_ptr(png))
      ->out->append(reinterpret_cast<const char*>(bytes), count);
}

void PngFlush(png_structp) {}

void PngWriteError(png_structp png, png_const_charp message) {
  auto* state = static_cast<PngWriteState*>(png_get_error_ptr(png));
  std::snprintf(state->message, sizeof(state->message), "%s", message);
  png_longjmp(png, 1);
}

bool PngWriteRows(png_structp png, png_infop info, png_uint_32 width, png_uint_32 height,
                  const uint8_t* rgb) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (png_uint_32 y = 0; y < height; ++y) {
    png_write_row(png, rgb + size_t{y} * width * 3);
  }
  png_write_end(png, nullptr);
  return true;
}

// --- JPEG, the same way.

struct JpegError {
  jpeg_error_mgr manager;  // first: libjpeg hands back a pointer to it
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
};

[[noreturn]] void JpegFail(j_common_ptr info) {
  auto* error = reinterpret_cast<JpegError*>(info->err);
  (*info->err->format_message)(info, error->message);
  std::longjmp(error->jump, 1);
}

// libjpeg only warns about damaged data and invents the rest. Warnings that mean "these pixels are
// not the ones that were stored" are errors here; harmless ones, such as stray bytes between
// markers, are common in real collections and are let pass.
void JpegMessage(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_TOO_MUCH_DATA:
      JpegFail(info);
    default:
      return;
  }
}

void JpegSilent(j_common_ptr) {}

void JpegProgress(j_common_ptr info) {
  auto* decompress = reinterpret_cast<j_decompress_ptr>(info);
  if (decompress->input_scan_number > kMaxJpegScans) {
    auto* error = reinterpret_cast<JpegError*>(info->err);
    std::snprintf(error->message, sizeof(error->message), "more than %d scans", kMaxJpegScans);
    std::longjmp(error->jump, 1);
  }
}

struct JpegReader {
  jpeg_decompress_struct info{};
  JpegError error{};
  jpeg_progress_mgr progress{};
  bool created = false;
  ~JpegReader() {
    if (created) jpeg_destroy_decompress(&info);
  }
};

bool JpegStart(JpegReader& reader, absl::string_view bytes) {
  jpeg_decompress_struct& info = reader.info;
  info.err = jpeg_std_error(&reader.error.manager);
  info.err->error_exit = JpegFail;
  info.err->emit_message = JpegMessage;
  info.err->output_message = JpegSilent;
  if (setjmp(reader.error.jump)) return false;
  jpeg_create_decompress(&info);
  reader.created = true;
  info.mem->max_memory_to_use = kMaxJpegDecoderBytes;
  reader.progress.progress_monitor = JpegProgress;
  info.progress = &reader.progress;
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()),
               static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&info, TRUE);
  return true;
}

bool JpegReadRows(JpegReader& reader, uint8_t* out) {
  jpeg_decompress_struct& info = reader.info;
  if (setjmp(reader.error.jump)) return false;
  info.dct_method = JDCT_ISLOW;
  info.do_fancy_upsampling = TRUE;
  info.do_block_smoothing = TRUE;
  const bool cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&info);
  const size_t row_bytes = size_t{info.output_width} * static_cast<size_t>(info.output_components);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = out + row_bytes * info.output_scanline;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  return true;
}

// A JPEG by the sides in its header. What is too large is made smaller by the decoder, which skips
// the fine parts of every block then.
absl::Status ChooseReduction(uint64_t width, uint64_t height, jpeg_decompress_struct& info) {
  if (width * height > static_cast<uint64_t>(kMaxJpegPixels)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("JPEG larger than the limit of ", kMaxJpegPixels / 1'000'000,
                     " million pixels, make it smaller: ", width, "x", height));
  }
  absl::Status fits = CheckImageSides(width, height);
  for (unsigned divisor = 2; absl::IsResourceExhausted(fits) && divisor <= 8; divisor *= 2) {
    info.scale_num = 1;
    info.scale_denom = divisor;
    fits = CheckImageSides((width + divisor - 1) / divisor, (height + divisor - 1) / divisor);
  }
  return fits;
}

// Turns a picture as EXIF's orientation says (exif.h).
RgbImage Upright(RgbImage image, int orientation) {
  if (orientation == 1) return image;
  const auto width = static_cast<size_t>(image.width);
  const auto height = static_cast<size_t>(image.height);
  const bool swaps = orientation >= 5;
  RgbImage turned{.width = swaps ? image.height : image.width,
                  .height = swaps ? image.width : image.height,
                  .pixels = std::vector<uint8_t>(image.pixels.size()),
                  .reduced_by = image.reduced_by};
  uint8_t* out = turned.pixels.data();
  for (size_t y = 0; y < static_cast<size_t>(turned.height); ++y) {
    for (size_t x = 0; x < static_cast<size_t>(turned.width); ++x, out += 3) {
      // Where the pixel is stored.
      size_t column = swaps ? y : x;
      size_t row = swaps ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) {
        column = width - 1 - column;
      }
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) {
        row = height - 1 - row;
      }
      std::memcpy(out, image.pixels.data() + 3 * (row * width + column), 3);
    }
  }
  return turned;
}

}  // namespace

absl::Status CheckImageSides(uint64_t width, uint64_t height) {
  if (width == 0 || height == 0) return absl::DataLossError("picture without pixels");
  const auto [shorter, longer] = std::minmax(width, height);
  if (longer > kMaxImageAspect * shorter) {
    return absl::DataLossError(absl::StrCat("a line rather than a picture, one side more than ",
                                            kMaxImageAspect, " times the other: ", width, "x",
                                            height));
  }
  if (longer > kMaxImageSide || width * height > static_cast<uint64_t>(kMaxImagePixels)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "picture larger than the limit of ", kMaxImageSide, " pixels a side and ",
        kMaxImagePixels / 1'000'000, " million in all, make it smaller: ", width, "x", height));
  }
  return absl::OkStatus();
}

std::vector<uint8_t> OverWhite(absl::Span<const uint8_t> rgba) {
  std::vector<uint8_t> rgb(rgba.size() / 4 * 3);
  for (size_t i = 0; i < rgba.size() / 4; ++i) {
    const int alpha = rgba[i * 4 + 3];
    for (size_t c = 0; c < 3; ++c) {
      rgb[i * 3 + c] = DivideBy255(rgba[i * 4 + c] * alpha + 255 * (255 - alpha));
    }
  }
  return rgb;
}

absl::StatusOr<RgbImage> ReadPng(absl::string_view bytes) {
  if (!LooksLikePng(bytes)) return absl::DataLossError("not a PNG");
  PngReadState state{bytes};
  PngReader reader;
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, PngReadError, PngWarning);
  if (reader.png == nullptr) return absl::ResourceExhaustedError("no memory for a PNG decoder");
  reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) return absl::ResourceExhaustedError("no memory for a PNG decoder");
  png_set_read_fn(reader.png, &state, PngRead);
  // Before libpng, whose own limit does not say which picture was too large.
  GANNET_RETURN_IF_ERROR(CheckImageHead(bytes.substr(0, kImageHeadBytes)));
  if (!PngStart(reader.png, reader.info)) {
    return absl::DataLossError(absl::StrCat("damaged PNG: ", state.message));
  }
  const png_uint_32 width = png_get_image_width(reader.png, reader.info);
  const png_uint_32 height = png_get_image_height(reader.png, reader.info);
  GANNET_RETURN_IF_ERROR(CheckImageSides(width, height));
  if (png_get_rowbytes(reader.png, reader.info) != size_t{width} * 4) {
    return absl::DataLossError("damaged PNG: rows of an unexpected size");
  }
  std::vector<uint8_t> rgba(size_t{width} * height * 4);
  std::vector<png_bytep> rows(height);
  for (size_t y = 0; y < height; ++y) rows[y] = rgba.data() + y * width * 4;
  if (!PngReadRows(reader.png, rows.data())) {
    return absl::DataLossError(absl::StrCat("damaged PNG: ", state.message));
  }
  RgbImage image;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  image.pixels = OverWhite(rgba);
  return image;
}

absl::StatusOr<RgbImage> ReadJpeg(absl::string_view bytes) {
  if (!LooksLikeJpeg(bytes)) return absl::DataLossError("not a JPEG");
  auto reader = std::make_unique<JpegReader>();
  if (!JpegStart(*reader, bytes)) {
    return absl::DataLossError(absl::StrCat("damaged JPEG: ", reader->error.message));
  }
  jpeg_decompress_struct& info = reader->info;
  GANNET_RETURN_IF_ERROR(ChooseReduction(info.image_width, info.image_height, info));
  jpeg_calc_output_dimensions(&info);
  const size_t width = info.output_width;
  const size_t height = info.output_height;
  const bool cmyk = info.num_components == 4;
  const size_t components = cmyk ? 4 : 3;
  std::vector<uint8_t> pixels(width * height * components);
  if (!JpegReadRows(*reader, pixels.data())) {
    // The decoder has no other way to say that it would need more than it may have.
    if (reader->error.manager.msg_code == JERR_NO_BACKING_STORE ||
        reader->error.manager.msg_code == JERR_OUT_OF_MEMORY) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "progressive JPEG that needs more than ", kMaxJpegDecoderBytes >> 20,
          " MiB to be decoded, save it without progression or smaller: ", info.image_width, "x",
          info.image_height));
    }
    return absl::DataLossError(absl::StrCat("damaged JPEG: ", reader->error.message));
  }
  RgbImage image;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  image.reduced_by = static_cast<int>(info.scale_denom / info.scale_num);
  if (!cmyk) {
    image.pixels = std::move(pixels);
    return image;
  }
  // Adobe stores ink inverted: 255 is no ink.
  const bool inverted = info.saw_Adobe_marker != FALSE;
  image.pixels.resize(width * height * 3);
  for (size_t i = 0; i < width * height; ++i) {
    const int black = inverted ? pixels[i * 4 + 3] : 255 - pixels[i * 4 + 3];
    for (size_t c = 0; c < 3; ++c) {
      const int ink = inverted ? pixels[i * 4 + c] : 255 - pixels[i * 4 + c];
      image.pixels[i * 3 + c] = DivideBy255(ink * black);
    }
  }
  return image;
}

absl::StatusOr<RgbImage> DecodeImage(absl::string_view bytes) {
  const auto upright = [](absl::StatusOr<RgbImage> image,
                          int orientation) -> absl::StatusOr<RgbImage> {
    if (!image.ok()) return image;
    return Upright(*std::move(image), orientation);
  };
  if (LooksLikePng(bytes)) return upright(ReadPng(bytes), PngOrientation(bytes));
  if (LooksLikeJpeg(bytes)) return upright(ReadJpeg(bytes), JpegOrientation(bytes));
  if (LooksLikeWebp(bytes)) return upright(ReadWebp(bytes), WebpOrientation(bytes));
  return NoImage(bytes);
}

absl::Status CheckImageHead(absl::string_view head) {
  if (LooksLikeJpeg(head) || LooksLikeWebp(head)) return absl::OkStatus();
  if (!LooksLikePng(head)) return NoImage(head);
  // Signature, length of the first chunk, its name, then width and height.
  if (head.size() < 24 || head.substr(12, 4) != "IHDR") {
    return absl::DataLossError("damaged PNG: no header");
  }
  return CheckImageSides(BigEndian32(head.substr(16)), BigEndian32(head.substr(20)));
}

absl::StatusOr<std::string> EncodePngRgb(int width, int height, absl::Span<const uint8_t> rgb) {
  if (width <= 0 || height <= 0 ||
      rgb.size() != static_cast<size_t>(width) * static_cast<size_t>(height) * 3) {
    return absl::InvalidArgumentError(absl::StrCat(
        "picture of ", width, "x", height, " needs three values a pixel, got ", rgb.size()));
  }
  std::string out;
  PngWriteState state{&out};
  PngWriter writer;
  writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &state, PngWriteError, PngWarning);
  if (writer.png == nullptr) return absl::ResourceExhaustedError("no memory for a PNG encoder");
  writer.info = png_create_info_struct(writer.png);
  if (writer.info == nullptr) return absl::ResourceExhaustedError("no memory for a PNG encoder");
  png_set_write_fn(writer.png, &state, PngWrite, PngFlush);
  if (!PngWriteRows(writer.png, writer.info, static_cast<png_uint_32>(width),
                    static_cast<png_uint_32>(height), rgb.data())) {
    return absl::InternalError(absl::StrCat("PNG cannot be encoded: ", state.message));
  }
  return out;
}

absl::Status WritePngRgb(const std::string& path, int width, int height,
                         absl::Span<const uint8_t> rgb) {
  GANNET_ASSIGN_OR_RETURN(const std::string bytes, EncodePngRgb(width, height, rgb));
  return base::WriteFileAtomically(path, bytes);
}

absl::Status WritePngRgb(const std::string& path, const RgbImage& image) {
  return WritePngRgb(path, image.width, image.height, image.pixels);
}

}  // namespace gannet::image
