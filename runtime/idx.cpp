// The IDX format: two zero bytes, type, rank, each dimension as 4 bytes big-endian, then the data.
#include "array.h"
#include "error.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <zlib.h>

namespace cnnc::runtime {
namespace {

constexpr std::uint8_t unsigned_byte = 0x08;
constexpr std::size_t largest_rank = 4;

// Gives the data piece by piece, from plain bytes or from a gzip stream, and never more than is asked for.
class Source {
public:
  Source(const Bytes &bytes, const std::string &file, bool gzip) : bytes_(bytes), file_(file), gzip_(gzip) {
    if (!gzip_) return;
    std::memset(&stream_, 0, sizeof stream_);
    if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) throw SystemError(fmt::format("{}: no memory to unpack it", file_));
  }
  Source(const Source &) = delete;
  Source &operator=(const Source &) = delete;
  ~Source() {
    if (gzip_) inflateEnd(&stream_);
  }

  // Reads up to `size` bytes; returns how many there were.
  std::uint64_t read(std::uint8_t *to, std::uint64_t size) {
    if (!gzip_) {
      const std::uint64_t n = std::min<std::uint64_t>(size, bytes_.size() - at_);
      if (n) std::memcpy(to, bytes_.data() + at_, n);
      at_ += n;
      return n;
    }
    std::uint64_t done = 0;
    while (done < size && !ended_) done += inflate_some(to + done, size - done);
    return done;
  }

  // After the data: nothing may follow, and gzip's own check sum must have been reached and be right.
  bool at_end() {
    std::uint8_t extra;
    return read(&extra, 1) == 0 && (!gzip_ || (ended_ && at_ == bytes_.size()));
  }

  // The most that the bytes can hold: deflate packs at best 1032 to 1.
  std::uint64_t most() const { return gzip_ ? bytes_.size() * 1040 : bytes_.size(); }

private:
  std::uint64_t inflate_some(std::uint8_t *to, std::uint64_t size) {
    constexpr std::uint64_t piece = 1u << 30;
    const auto in = static_cast<uInt>(std::min<std::uint64_t>(bytes_.size() - at_, piece));
    const auto out = static_cast<uInt>(std::min(size, piece));
    stream_.next_in = const_cast<Bytef *>(bytes_.data() + at_);
    stream_.avail_in = in;
    stream_.next_out = to;
    stream_.avail_out = out;
    const int status = inflate(&stream_, Z_NO_FLUSH);
    at_ += in - stream_.avail_in;
    if (status == Z_STREAM_END) ended_ = true;
    else if (status == Z_BUF_ERROR || (status == Z_OK && in == stream_.avail_in && out == stream_.avail_out))
      throw InputError(fmt::format("{}: cut short: the gzip stream ends after {} bytes", file_, bytes_.size()));
    else if (status != Z_OK)
      throw InputError(fmt::format("{}: damaged gzip stream at byte {}: {}", file_, at_, stream_.msg ? stream_.msg : "bad data"));
    return out - stream_.avail_out;
  }

  const Bytes &bytes_;
  const std::string &file_;
  bool gzip_;
  bool ended_ = false;
  std::uint64_t at_ = 0;
  z_stream stream_;
};

} // namespace

Array parse_idx(Bytes bytes, const std::string &file, bool gzip) {
  Source source(bytes, file, gzip);
  std::uint8_t head[4 + 4 * largest_rank];
  std::uint64_t n = source.read(head, 4);
  if (n < 4) throw InputError(fmt::format("{}: cut short: {} bytes, an IDX header has at least 4", file, n));
  if (head[0] != 0 || head[1] != 0)
    throw InputError(fmt::format("{}: not an IDX file: it begins with {:02x} {:02x}, expected 00 00", file, head[0], head[1]));
  if (head[2] != unsigned_byte)
    throw InputError(fmt::format("{}: IDX type {:#04x}, expected {:#04x} (unsigned byte)", file, head[2], unsigned_byte));
  const std::size_t rank = head[3];
  if (rank < 1 || rank > largest_rank)
    throw InputError(fmt::format("{}: {} dimensions, expected 1 to {}", file, rank, largest_rank));
  n = source.read(head + 4, 4 * rank);
  if (n < 4 * rank)
    throw InputError(fmt::format("{}: cut short: {} bytes, its header has {}", file, 4 + n, 4 + 4 * rank));

  Array array;
  array.file = file;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::uint8_t *d = head + 4 + 4 * i;
    array.shape.push_back(std::uint64_t(d[0]) << 24 | std::uint64_t(d[1]) << 16 | std::uint64_t(d[2]) << 8 | d[3]);
  }
  const std::uint64_t size = checked_bytes(file, array.shape, array.type);
  const std::uint64_t header = 4 + 4 * rank;
  if (size + header > source.most())
    throw InputError(fmt::format("{}: cut short: its header promises {} ({} bytes), the file has {} bytes", file,
                                 shape_text(array.shape), size + header, bytes.size()));
  array.bytes.resize(size);
  n = source.read(array.bytes.data(), size);
  if (n < size)
    throw InputError(fmt::format("{}: cut short: {} bytes of data, its header promises {} ({} bytes)", file, n,
                                 shape_text(array.shape), size));
  if (!source.at_end())
    throw InputError(fmt::format("{}: more data than the {} ({} bytes) that its header promises", file,
                                 shape_text(array.shape), size));
  return array;
}

Array read_idx(const std::string &path) {
  const bool gzip = path.size() > 3 && path.compare(path.size() - 3, 3, ".gz") == 0;
  return parse_idx(read_file(path), path, gzip);
}

} // namespace cnnc::runtime
