#include "tests/hostile/mutation.h"

#include <iterator>
#include <limits>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace gannet::hostile {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

template <typename Number>
Number ExtremeInteger(HostileRandom& random) {
  constexpr Number kMost = std::numeric_limits<Number>::max();
  constexpr Number kLeast = std::numeric_limits<Number>::min();
  const Number values[] = {0,
                           1,
                           2,
                           static_cast<Number>(-1),
                           kMost,
                           kLeast,
                           kMost / 2,
                           static_cast<Number>(kMost - 1),
                           static_cast<Number>(random())};
  return values[Below(random, std::size(values))];
}

template <typename Number>
Number ExtremeReal(HostileRandom& random) {
  using Limits = std::numeric_limits<Number>;
  const Number values[] = {Number{0},           -Number{0},          Limits::denorm_min(),
                           Limits::max(),       Limits::lowest(),    Number{1e30f},
                           -Number{1e30f},      Limits::quiet_NaN(), Limits::infinity(),
                           -Limits::infinity(), Number{1},           -Number{1}};
  return values[Below(random, std::size(values))];
}

std::string HostileBytes(HostileRandom& random) {
  constexpr size_t kLengths[] = {0, 1, 31, 32, 33, 64, 70'000};
  std::string bytes(kLengths[Below(random, std::size(kLengths))], '\0');
  for (size_t i = 0; i < bytes.size() && i < 64; ++i) bytes[i] = static_cast<char>(random());
  return bytes;
}

void SetOne(Message& message, const FieldDescriptor& field, HostileRandom& random) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(&message, &field, ExtremeInteger<int32_t>(random));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.SetInt64(&message, &field, ExtremeInteger<int64_t>(random));
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.SetUInt32(&message, &field, ExtremeInteger<uint32_t>(random));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(&message, &field, ExtremeInteger<uint64_t>(random));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(&message, &field, ExtremeReal<double>(random));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return reflection.SetFloat(&message, &field, ExtremeReal<float>(random));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(&message, &field, Percent(random, 50));
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnumValue(&message, &field, ExtremeInteger<int32_t>(random));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(
          &message, &field,
          field.type() == FieldDescriptor::TYPE_BYTES ? HostileBytes(random) : HostileText(random));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return Mutate(*reflection.MutableMessage(&message, &field), random);
  }
}

void MutateRepeated(Message& message, const FieldDescriptor& field, HostileRandom& random) {
  const Reflection& reflection = *message.GetReflection();
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return reflection.ClearField(&message, &field);
  }
  const int size = reflection.FieldSize(message, &field);
  if (size > 0 && Percent(random, 60)) {
    const int index = static_cast<int>(Below(random, static_cast<uint64_t>(size)));
    return Mutate(*reflection.MutableRepeatedMessage(&message, &field, index), random);
  }
  constexpr int kCounts[] = {1, 64, 65, 1'000};
  for (int i = kCounts[Below(random, std::size(kCounts))]; i > 0; --i) {
    Message& added = *reflection.AddMessage(&message, &field);
    if (size > 0) added.CopyFrom(reflection.GetRepeatedMessage(message, &field, 0));
  }
}

}  // namespace

uint64_t Below(HostileRandom& random, uint64_t limit) { return random() % limit; }

bool Percent(HostileRandom& random, int percent) {
  return random() % 100 < static_cast<uint64_t>(percent);
}

std::string HostileText(HostileRandom& random) {
  static const auto& texts = *new std::vector<std::string>{"",
                                                           "x",
                                                           std::string(64, 'a'),
                                                           std::string(65, 'a'),
                                                           std::string(501, 'r'),
                                                           std::string(100'000, 'l'),
                                                           std::string("nul\0inside", 10),
                                                           "two\nlines\r\n",
                                                           "\x1b[31mred\x1b[0m",
                                                           "\xe2\x80\xae"
                                                           "right to left",
                                                           "\xe2\x80\xa8"
                                                           "another line",
                                                           "\xe2\x80\x8b\xef\xbb\xbf",
                                                           "=cmd()",
                                                           "'; DROP TABLE gannet.run; --",
                                                           "%s%n%x",
                                                           std::string(32, 'g'),
                                                           std::string(32, 'A')};
  return texts[Below(random, texts.size())];
}

void Mutate(Message& message, HostileRandom& random) {
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  if (type.field_count() == 0) return;
  for (uint64_t i = 1 + Below(random, 2); i > 0; --i) {
    const FieldDescriptor& field =
        *type.field(static_cast<int>(Below(random, static_cast<uint64_t>(type.field_count()))));
    if (Percent(random, 10)) {
      message.GetReflection()->ClearField(&message, &field);
    } else if (field.is_repeated()) {
      MutateRepeated(message, field, random);
    } else {
      SetOne(message, field, random);
    }
  }
}

}  // namespace gannet::hostile
