#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace gannet::data {

// The one table of what the names in a folder or archive say: which files are images of the data
// set, and which look as if they were meant to be and are passed over.

// Whether a file of this name is read as an image (its path does not matter, nor do capitals).
bool HasImageEnding(absl::string_view name);

// The endings of HasImageEnding for a sentence: ".jpg, .jpeg, .jpe, .jfif or .png".
std::string ImageEndingsText();

// What somebody may take for a part of the data set and is none of it.
struct PassedOverKind {
  std::string what;  // as it is counted: ".gif", "hidden", "thumbnails"; empty: not passed over
  std::string why;   // and what to do about it, if anything
};

// Why a folder is not entered, or a file is not read, by its own name (without folders before it).
// Files that nobody takes for images (lists, texts) and the images themselves are not passed over.
PassedOverKind WhyFolderIsPassedOver(absl::string_view name);
PassedOverKind WhyFileIsPassedOver(absl::string_view name);

// The name in Unicode's normalisation form C, so that one that was written on a Mac (ë as e and a
// diaeresis) and one from elsewhere are the same. A name that is not UTF-8 stays as it is.
std::string NormalizedName(absl::string_view name);

}  // namespace gannet::data
