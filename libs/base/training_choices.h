#pragma once

#include <string>

#include "absl/strings/string_view.h"

// What may be chosen by name for a training. One list each, because configuration, the domain's
// checks and the libraries that implement it all need it, and none of them may know the others.

namespace gannet::base {

// Kinds of networks: name of the file in libs/domain/models and of the function in it
// (domain/network_architecture.h). All of a kind but its file is its line here.
#define GANNET_MODELS(MODEL) \
  MODEL(dcgan)               \
  MODEL(resnet)

#define GANNET_MODEL_NAME(name) #name,
inline constexpr absl::string_view kModelNames[] = {GANNET_MODELS(GANNET_MODEL_NAME)};
#undef GANNET_MODEL_NAME

// Sides of the images that the networks are built for, in pixels.
inline constexpr int kModelImageSizes[] = {32, 64, 128};

// Adversarial losses: name of the file in libs/gan/losses and of the object in it (gan/losses.h),
// and whether it knows a target for real images, so that a label below 1 can smooth it. All of a
// loss but its file is its line here.
#define GANNET_LOSSES(LOSS) \
  LOSS(bce, true)           \
  LOSS(hinge, false)        \
  LOSS(lsgan, true)

#define GANNET_LOSS_NAME(name, knows_target) #name,
inline constexpr absl::string_view kLossNames[] = {GANNET_LOSSES(GANNET_LOSS_NAME)};
#undef GANNET_LOSS_NAME

// Aggregation rules: name of the file in libs/aggregate/rules and of the function in it
// (aggregate/aggregator.h). All of a rule but its file is its line here.
#define GANNET_AGGREGATORS(AGGREGATOR) AGGREGATOR(weighted_mean)

#define GANNET_AGGREGATOR_NAME(name) #name,
inline constexpr absl::string_view kAggregatorNames[] = {
    GANNET_AGGREGATORS(GANNET_AGGREGATOR_NAME)};
#undef GANNET_AGGREGATOR_NAME

// Codecs of gradients: name of the file in libs/tensor/codecs and of the object in it
// (tensor/codec.h), the enumerator of gannet::tensor::Codec, and the number, which is that of
// gannet.v1.Codec and is stored: none is ever used again for another. All of a codec but its file
// and its value in the proto is its line here.
#define GANNET_CODECS(CODEC) \
  CODEC(fp32, kFp32, 1)      \
  CODEC(fp16, kFp16, 2)

#define GANNET_CODEC_NAME(name, enumerator, number) #name,
inline constexpr absl::string_view kCodecNames[] = {GANNET_CODECS(GANNET_CODEC_NAME)};
#undef GANNET_CODEC_NAME

#define GANNET_CODEC_NUMBER(name, enumerator, number) number,
inline constexpr int kCodecNumbers[] = {GANNET_CODECS(GANNET_CODEC_NUMBER)};
#undef GANNET_CODEC_NUMBER

// Kinds of data sets: name of the file in libs/data/datasets and of the object in it
// (data/dataset_kind.h); whether its images are drawn, data.count of them, so that it has no path;
// and where they come from, to follow "data.path must name" where there is one. All of a kind but
// its file is its line here.
#define GANNET_DATASETS(DATASET)                                           \
  DATASET(procedural, true, "drawn faces")                                 \
  DATASET(folder, false, "a folder of JPEG, PNG and WebP files")           \
  DATASET(zip, false, "a zip of JPEG, PNG and WebP files")                 \
  DATASET(idx, false, "a file in MNIST's format, or the folder around it") \
  DATASET(cifar10, false, "the folder of CIFAR-10's binary files, or one") \
  DATASET(packed, false, "a file that gannet data pack made")

#define GANNET_DATASET_NAME(name, is_drawn, source) #name,
inline constexpr absl::string_view kDatasetNames[] = {GANNET_DATASETS(GANNET_DATASET_NAME)};
#undef GANNET_DATASET_NAME

// Parts of DiffAugment (libs/gan/augment.h).
inline constexpr absl::string_view kAugmentNames[] = {"color", "translation", "cutout"};

bool IsModelName(absl::string_view name);
bool IsModelImageSize(int image_size);
// Whether there is such a loss and it knows no target.
bool LossIgnoresTarget(absl::string_view name);

// The name of a codec, "fp16"; for a number that is no codec's, the number.
std::string CodecName(int number);

// Whether there is such a kind of data set and its images are drawn.
bool IsDrawnDataset(absl::string_view name);
// Where the images of a kind of data set come from; empty: there is no such kind.
absl::string_view DatasetSource(absl::string_view name);

// What is wrong with a list of augmentations, such as "color,translation", to follow its name;
// empty: nothing. An empty list is none.
std::string CheckAugmentList(absl::string_view list);

// "dcgan, resnet", for messages.
std::string JoinModelNames();
std::string JoinModelImageSizes();
std::string JoinAugmentNames();
std::string JoinDatasetNames();
// "procedural: drawn faces; folder: a folder of JPEG, ...".
std::string DescribeDatasets();
// "1 (fp32), 2 (fp16)".
std::string JoinCodecNumbers();

}  // namespace gannet::base
