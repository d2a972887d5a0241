#include "libs/domain/run_settings.h"

#include <algorithm>
#include <set>
#include <type_traits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status_macros.h"
#include "libs/base/training_choices.h"
#include "libs/tensor/codec.h"

namespace gannet::domain {
namespace {

constexpr double kDay = 24 * 3600;

base::SettingRange Between(double low, double high) { return {.low = low, .high = high}; }
base::SettingRange AboveUpTo(double low, double high) {
  return {.low = low, .high = high, .low_open = true};
}
base::SettingRange FromBelow(double low, double high) {
  return {.low = low, .high = high, .high_open = true};
}
base::SettingRange ZeroOrBetween(double low, double high) {
  return {.low = low, .high = high, .or_zero = true};
}

std::string CheckRunName(absl::string_view text) {
  const bool is_name = std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
  return is_name ? "" : "must have letters, digits, dots, dashes and underscores only";
}

// The choices of a text.
template <typename List>
std::vector<base::SettingChoice> Named(const List& names) {
  std::vector<base::SettingChoice> choices;
  for (const absl::string_view name : names) choices.push_back({.name = std::string(name)});
  return choices;
}

// The choices of an integer that is written as it is.
template <typename List>
std::vector<base::SettingChoice> Numbered(const List& numbers) {
  std::vector<base::SettingChoice> choices;
  for (const int number : numbers) choices.push_back({absl::StrCat(number), number});
  return choices;
}

std::vector<base::SettingChoice> CodecChoices() {
  std::vector<base::SettingChoice> choices;
  for (const int number : base::kCodecNumbers) choices.push_back({base::CodecName(number), number});
  return choices;
}

// Where a setting is kept: both ways of one member, whose type is the setting's.
#define GANNET_MEMBER(member)                                                    \
  [](const RunConfig& c) -> base::SettingValue { return c.member; },             \
      [](RunConfig& c, const base::SettingValue& value) {                        \
        c.member = std::get<std::remove_reference_t<decltype(c.member)>>(value); \
      }

// NOLINTNEXTLINE(readability-function-size): a table, one row per setting.
std::vector<RunSetting> MakeRunSettings() {
  using enum SettingChange;
  return {
      {{.name = "run.name",
        .range = Between(1, 64),
        .description =
            "Name of the training; a coordinator continues the run of this name or creates it.",
        .check = &CheckRunName},
       GANNET_MEMBER(name)},
      {{.name = "run.seed", .description = "Decides initial weights, order of the data and noise."},
       GANNET_MEMBER(seed)},
      {{.name = "run.rounds",
        .range = Between(1, 1e9),
        .description = "Optimizer updates after which the run is finished."},
       GANNET_MEMBER(round_count),
       kNextRound},

      {{.name = "model.kind",
        .description = "The networks (docs/models.md).",
        .choices = Named(base::kModelNames)},
       GANNET_MEMBER(model.kind)},
      {{.name = "model.image_size",
        .description = "Side of the images in pixels.",
        .choices = Numbered(base::kModelImageSizes)},
       GANNET_MEMBER(model.image_size)},
      {{.name = "model.latent_dim",
        .range = Between(1, 1024),
        .description = "Length of the noise vector a picture is made from."},
       GANNET_MEMBER(model.latent_dim)},
      {{.name = "model.base_width",
        .range = Between(1, 512),
        .description = "Channels at half the image's resolution; doubled at each further halving."},
       GANNET_MEMBER(model.base_width)},

      {{.name = "training.learning_rate",
        .range = AboveUpTo(0, 1),
        .description = "Adam's step size, for a network that has none of its own."},
       GANNET_MEMBER(adam.learning_rate),
       kNextRound},
      {{.name = "training.learning_rate_generator",
        .range = Between(0, 1),
        .description = "Adam's step size for the generator; 0 means training.learning_rate."},
       GANNET_MEMBER(adam.learning_rate_generator),
       kNextRound},
      {{.name = "training.learning_rate_discriminator",
        .range = Between(0, 1),
        .description = "Adam's step size for the discriminator; 0 means training.learning_rate."},
       GANNET_MEMBER(adam.learning_rate_discriminator),
       kNextRound},
      {{.name = "training.beta1",
        .range = FromBelow(0, 1),
        .description = "Adam's decay of the first moment."},
       GANNET_MEMBER(adam.beta1)},
      {{.name = "training.beta2",
        .range = FromBelow(0, 1),
        .description = "Adam's decay of the second moment."},
       GANNET_MEMBER(adam.beta2)},
      {{.name = "training.epsilon",
        .range = AboveUpTo(0, 1),
        .description = "Added to Adam's denominator."},
       GANNET_MEMBER(adam.epsilon)},
      {{.name = "training.real_label",
        .range = AboveUpTo(0, 1),
        .description = "Target of real images; below 1 smooths labels on one side, which slows the "
                       "discriminator. Not with hinge."},
       GANNET_MEMBER(objective.real_label)},
      {{.name = "training.loss",
        .description =
            "Adversarial loss: bce is binary cross entropy, the generator's not saturating.",
        .choices = Named(base::kLossNames)},
       GANNET_MEMBER(objective.loss)},
      {{.name = "training.augment",
        .range = Between(0, 4096),
        .description = "DiffAugment, for few images: a list of color, translation and cutout; "
                       "empty: none.",
        .check = &base::CheckAugmentList},
       GANNET_MEMBER(objective.augment)},
      {{.name = "training.flip",
        .description = "Whether half of the real images are mirrored, left to right."},
       GANNET_MEMBER(objective.flip)},
      {{.name = "training.ema_decay",
        .range = FromBelow(0, 1),
        .description = "Of the moving average of the generator's weights, per update, from which "
                       "samples are drawn; 0: no average. Usual: 0.999."},
       GANNET_MEMBER(adam.ema_decay)},
      // Streams of noise are named by a slot below 2^12 and a position of the image below 2^20, so
      // the limits of this one and the next cannot grow beyond those.
      {{.name = "training.images_per_unit",
        .range = Between(1, 65'536),
        .description = "Images in one work unit."},
       GANNET_MEMBER(images_per_unit),
       kNextRound},
      {{.name = "training.units_per_round",
        .range = Between(1, 4096),
        .description = "Work units whose gradients make one optimizer update."},
       GANNET_MEMBER(units_per_round),
       kNextRound},
      {{.name = "training.micro_batch",
        .range = Between(1, 4096),
        .description = "Images in one forward pass; decides BatchNorm's statistics, so it is the "
                       "same everywhere."},
       GANNET_MEMBER(micro_batch)},
      {{.name = "training.lease",
        .range = Between(1, kDay),
        .description = "Time a worker may hold a unit without a heartbeat."},
       GANNET_MEMBER(lease),
       kAtOnce},
      {{.name = "training.gradient_codec",
        .description = "How gradients travel; fp16 halves the bytes.",
        .choices = CodecChoices()},
       GANNET_MEMBER(gradient_codec)},
      {{.name = "training.quorum",
        .range = Between(0, 4096),
        .description = "Gradients with which a round may end without the others; 0: all units, "
                       "which alone makes two trainings equal bit for bit."},
       GANNET_MEMBER(policy.quorum),
       kNextRound},
      {{.name = "training.round_deadline",
        .range = Between(0, kDay),
        .description = "How long a round that has its quorum waits for the other units, from its "
                       "beginning."},
       GANNET_MEMBER(policy.round_deadline),
       kNextRound},
      {{.name = "training.stale_weight",
        .range = Between(0, 1),
        .description =
            "With a quorum: the weight of a gradient that is one round stale, against one "
            "that is not (0.5: half; two rounds stale: a quarter); 0: it is refused."},
       GANNET_MEMBER(policy.stale_weight),
       kNextRound},
      {{.name = "training.speculation_multiplier",
        .range = ZeroOrBetween(1, 1000),
        .description =
            "Speculative execution: when no unit is free, one that takes this many times the "
            "median "
            "(and 5 s) is also given to a second worker, and the first result counts; 0: "
            "never, otherwise at least 1.",
        .former_name = "training.spare_after"},
       GANNET_MEMBER(policy.speculation_multiplier),
       kAtOnce},
  };
}

#undef GANNET_MEMBER

// Rules over several settings.
std::vector<base::SettingMistake> FindContradictions(const RunConfig& config) {
  std::vector<base::SettingMistake> mistakes;
  const RoundPolicy& policy = config.policy;
  if (policy.quorum > config.units_per_round) {
    mistakes.push_back(
        {"training.quorum",
         {"training.units_per_round"},
         absl::StrCat("training.quorum must be between 0 and ", config.units_per_round,
                      " (training.units_per_round), got ", policy.quorum)});
  }
  if (policy.round_deadline > absl::ZeroDuration() && policy.quorum == 0) {
    mistakes.push_back({"training.round_deadline",
                        {"training.quorum"},
                        "training.round_deadline needs a training.quorum: without one a round "
                        "waits for every unit"});
  }
  if (policy.stale_weight > 0 && policy.quorum == 0) {
    mistakes.push_back({"training.stale_weight",
                        {"training.quorum"},
                        "training.stale_weight needs a training.quorum: without one no gradient "
                        "is stale"});
  }
  const ObjectiveConfig& objective = config.objective;
  if (base::LossIgnoresTarget(objective.loss) && objective.real_label != 1) {
    mistakes.push_back(
        {"training.real_label",
         {"training.loss"},
         absl::StrCat("training.real_label must be 1 when training.loss is ", objective.loss,
                      ", which knows no target, got ", base::NumberText(objective.real_label))});
  }
  return mistakes;
}

}  // namespace

const std::vector<RunSetting>& RunSettings() {
  static const auto& settings = *[] {
    auto* rows = new std::vector<RunSetting>(MakeRunSettings());
    for (RunSetting& row : *rows) row.default_value = row.get(RunConfig());
    return rows;
  }();
  return settings;
}

const RunSetting* FindRunSetting(absl::string_view name) {
  for (const RunSetting& row : RunSettings()) {
    if (base::IsNameOf(row, name)) return &row;
  }
  return nullptr;
}

std::vector<base::SettingMistake> FindMistakes(const RunConfig& config) {
  std::vector<base::SettingMistake> mistakes;
  std::set<std::string> wrong;
  for (const RunSetting& row : RunSettings()) {
    const absl::Status status = base::CheckSetting(row, row.get(config));
    if (status.ok()) continue;
    mistakes.push_back({row.name, {}, std::string(status.message())});
    wrong.insert(row.name);
  }
  // A value that is out of range is blamed once.
  for (base::SettingMistake& mistake : FindContradictions(config)) {
    bool known = wrong.count(mistake.name) == 0;
    for (const std::string& name : mistake.also) known = known && wrong.count(name) == 0;
    if (known) mistakes.push_back(std::move(mistake));
  }
  return mistakes;
}

std::string ChangeableSettings() {
  std::vector<std::string> names;
  for (const RunSetting& row : RunSettings()) {
    if (row.change != SettingChange::kNever) names.push_back(row.name);
  }
  return absl::StrJoin(names, ", ");
}

absl::Status ChangeSetting(absl::string_view setting, RunConfig& config) {
  const size_t equals = setting.find('=');
  const absl::string_view name = setting.substr(0, equals);
  const RunSetting* row = FindRunSetting(name);
  if (row == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("unknown setting of a run ", base::Shown(name),
                                                   "; what can change: ", ChangeableSettings()));
  }
  if (row->change == SettingChange::kNever) {
    return absl::InvalidArgumentError(
        absl::StrCat(base::Shown(name),
                     " cannot change while a run is under way; what can: ", ChangeableSettings()));
  }
  if (equals == absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(name, " needs a value: ", name, "=VALUE"));
  }
  GANNET_ASSIGN_OR_RETURN(const base::SettingValue value,
                          base::ParseSetting(*row, setting.substr(equals + 1)));
  row->set(config, value);
  return absl::OkStatus();
}

}  // namespace gannet::domain
