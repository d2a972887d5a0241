#include "libs/data/testing/archive_files.h"

#include <zlib.h>

#include <cstddef>

#include "libs/base/check.h"

namespace gannet::data {
namespace {

void Append16(std::string& out, size_t value) {
  out.push_back(static_cast<char>(value));
  out.push_back(static_cast<char>(value >> 8));
}

void Append32(std::string& out, size_t value) {
  Append16(out, value & 0xffff);
  Append16(out, value >> 16 & 0xffff);
}

std::string Deflate(absl::string_view bytes, int window_bits) {
  z_stream stream{};
  GANNET_CHECK(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  GANNET_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

std::string EncodeZip(const std::vector<ZipEntry>& entries) {
  // Written by hand, so that archives can be made that no tool would write.
  std::string out;
  std::string directory;
  for (const ZipEntry& entry : entries) {
    const std::string data = entry.deflated ? Deflate(entry.bytes, -15) : entry.bytes;
    const size_t crc = crc32(0, reinterpret_cast<const Bytef*>(entry.bytes.data()),
                             static_cast<uInt>(entry.bytes.size()));
    std::string common;
    Append16(common, 20);                      // version needed
    Append16(common, 0);                       // flags
    Append16(common, entry.deflated ? 8 : 0);  // method
    Append16(common, 0);                       // time
    Append16(common, 0x21);                    // date: 1 January 1980
    Append32(common, crc);
    Append32(common, data.size());
    Append32(common, entry.bytes.size());
    Append16(common, entry.name.size());
    Append16(common, 0);  // extra field
    directory += "PK\x01\x02";
    Append16(directory, 20);  // made by
    directory += common;
    Append16(directory, 0);  // comment
    Append16(directory, 0);  // disk
    Append16(directory, 0);  // internal attributes
    Append32(directory, 0);  // external attributes
    Append32(directory, out.size());
    directory += entry.name;
    out += "PK\x03\x04" + common + entry.name + data;
  }
  const size_t start = out.size();
  out += directory;
  out += "PK\x05\x06";
  Append16(out, 0);
  Append16(out, 0);
  Append16(out, entries.size());
  Append16(out, entries.size());
  Append32(out, directory.size());
  Append32(out, start);
  Append16(out, 0);
  return out;
}

std::string Gzip(absl::string_view bytes) { return Deflate(bytes, 15 + 16); }

}  // namespace gannet::data
