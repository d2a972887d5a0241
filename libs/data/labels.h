#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gannet::data {

// Labels of the images of a folder or archive, from a file beside them.
struct ImageLabels {
  std::vector<int64_t> values;    // by index of the image; kNoLabel: of this one none is known
  std::vector<std::string> bits;  // what each bit means; empty: values are numbers of classes
};

// dataset.json of StyleGAN's tools: {"labels": [["00000/img00000000.png", 6], …]}, a class number
// each, names relative to the file. "labels": null is no labels: then `values` is empty.
//
// An image has the label of its own name, or else of the same name with another ending, for those
// who turn a collection into PNG keep the list of the JPEGs; else kNoLabel.
// Returns: FAILED_PRECONDITION - not such a file, or it names none of the images; the message is to
// stand behind the name of the file.
absl::StatusOr<ImageLabels> ParseDatasetJson(absl::string_view text,
                                             const std::vector<std::string>& names);

// CelebA's list_attr_celeba: as published (a number of images, the names of the attributes, then
// "000001.jpg -1 1 …" a line), as Kaggle's CSV (image_id and the names, then lines of the same), or
// as a spreadsheet saves that (delimited_text.h). Bit k of a label is attribute k; names are
// compared without folders, and as above.
// Returns: as ParseDatasetJson, naming the line.
absl::StatusOr<ImageLabels> ParseCelebaAttributes(absl::string_view text,
                                                  const std::vector<std::string>& names);

}  // namespace gannet::data
