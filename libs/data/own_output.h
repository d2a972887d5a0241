#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/data/image_names.h"
#include "libs/image/image_io.h"

namespace gannet::data {

// Pictures that Gannet draws may lie inside a data set: whoever trains with --data.path . has the
// results there. They are no part of it. A grid says in its own bytes what it is (a PNG's chunk of
// text), so that it is known wherever it is copied to; a folder of results or of single images
// holds an empty file of the name below, and is passed over as a part of a data set. As the folder
// that a data set is read from it is read: somebody who points at drawn images means them.
inline constexpr char kOutputMarker[] = ".gannet-output";

// Marks a folder that is there, unless it is marked already.
// Returns: FAILED_PRECONDITION - there are images of somebody else in it, at any depth, which would
// vanish from their data set; UNAVAILABLE - the marker cannot be written.
absl::Status MarkOutputFolder(const std::string& folder);

// The bytes of a PNG that says that it is a grid drawn by Gannet.
// Returns: INVALID_ARGUMENT - the number of pixels is not the image's.
absl::StatusOr<std::string> EncodeGridPng(const image::RgbImage& grid);

// Writes them; `path` is whole or as before.
// Returns: also UNAVAILABLE - the file cannot be written.
absl::Status WriteGridPng(const std::string& path, const image::RgbImage& grid);

// Whether a file with these first bytes (kGridHeadBytes, or the whole file if it is shorter) is
// such a grid.
inline constexpr int kGridHeadBytes = 64;
bool IsGridPng(absl::string_view head);

// What a data set passes over such a grid as, and such a folder.
PassedOverKind GridKind();
PassedOverKind OutputFolderKind();

}  // namespace gannet::data
