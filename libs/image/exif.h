#pragma once

#include "absl/strings/string_view.h"

namespace gannet::image {

// How a picture has to be turned before it is looked at, as EXIF numbers it (tag 0x0112), 1 to 8:
// where the first row and the first column of what is stored belong.
//
//   1 top, left       as it is               5 left, top       mirrored at the diagonal
//   2 top, right      mirrored               6 right, top      a quarter turn clockwise
//   3 bottom, right   half a turn            7 right, bottom   mirrored at the other diagonal
//   4 bottom, left    upside down mirrored   8 left, bottom    a quarter turn counter-clockwise
//
// Everything that is not there, damaged or out of range is 1: a camera's note is no reason to do
// without a picture. Nothing is read beyond `bytes`, whatever they say.

// Of an EXIF block, which is a TIFF header and the directory that it points at.
int TiffOrientation(absl::string_view tiff);

// Of the first EXIF block of a whole file: before the picture of a JPEG, in a chunk of a PNG or of
// a WebP.
int JpegOrientation(absl::string_view bytes);
int PngOrientation(absl::string_view bytes);
int WebpOrientation(absl::string_view bytes);

}  // namespace gannet::image
