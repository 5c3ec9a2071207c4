// Writes and reads checkpoints. One function lists the fields for both directions.
#include "checkpoint.h"

#include "error.h"

#include <cstring>
#include <fmt/format.h>
#include <zlib.h>

namespace cnnc::runtime {
namespace {

constexpr char magic[8] = {'C', 'N', 'N', 'C', 'C', 'K', 'P', 'T'};
constexpr std::uint32_t format_version = 1;
constexpr std::size_t head_size = sizeof magic + 4 + 8;
constexpr std::size_t crc_size = 4;

std::uint32_t crc_of(const std::uint8_t *bytes, std::size_t size) { return static_cast<std::uint32_t>(crc32_z(0, bytes, size)); }

void put(Bytes &out, std::uint64_t value, int size) {
  for (int i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::uint64_t get(const std::uint8_t *at, int size) {
  std::uint64_t value = 0;
  for (int i = 0; i < size; ++i) value |= std::uint64_t(at[i]) << (8 * i);
  return value;
}

struct Writer {
  Bytes &out;
  void operator()(const std::uint32_t &v) { put(out, v, 4); }
  void operator()(const std::uint64_t &v) { put(out, v, 8); }
  void operator()(const double &v) {
    std::uint64_t bits;
    std::memcpy(&bits, &v, 8);
    put(out, bits, 8);
  }
  template <class Text>
  void operator()(const Text &v) { // std::string or Bytes
    put(out, v.size(), 8);
    out.insert(out.end(), v.begin(), v.end());
  }
};

struct Reader {
  const std::uint8_t *at, *end;
  const std::string &file;
  const std::uint8_t *take(std::uint64_t size) {
    const auto left = static_cast<std::uint64_t>(end - at);
    if (size > left) throw InputError(fmt::format("{}: damaged checkpoint: a field of {} bytes where {} are left", file, size, left));
    at += size;
    return at - size;
  }
  void operator()(std::uint32_t &v) { v = static_cast<std::uint32_t>(get(take(4), 4)); }
  void operator()(std::uint64_t &v) { v = get(take(8), 8); }
  void operator()(double &v) {
    const std::uint64_t bits = get(take(8), 8);
    std::memcpy(&v, &bits, 8);
  }
  template <class Text>
  void operator()(Text &v) {
    const std::uint64_t size = get(take(8), 8);
    const std::uint8_t *from = take(size);
    v.assign(from, from + size);
  }
};

template <class C, class F>
void each_field(C &c, F &f) {
  f(c.model), f(c.fingerprint), f(c.net);
  f(c.epoch), f(c.step), f(c.loss_sum), f(c.correct), f(c.seen), f(c.seconds);
  f(c.best_epoch), f(c.best_loss);
  f(c.epochs), f(c.batch), f(c.seed), f(c.examples), f(c.validation), f(c.data_crc), f(c.data);
}

} // namespace

Bytes encode_checkpoint(const Checkpoint &checkpoint) {
  Bytes out;
  out.reserve(checkpoint.net.size() + 1024);
  out.insert(out.end(), magic, magic + sizeof magic);
  put(out, format_version, 4);
  put(out, 0, 8); // the size, when it is known
  Writer writer{out};
  each_field(checkpoint, writer);
  const std::uint64_t size = out.size() + crc_size;
  for (int i = 0; i < 8; ++i) out[sizeof magic + 4 + i] = static_cast<std::uint8_t>(size >> (8 * i));
  put(out, crc_of(out.data(), out.size()), 4);
  return out;
}

Checkpoint decode_checkpoint(const Bytes &bytes, const std::string &file) {
  if (bytes.size() < sizeof magic || std::memcmp(bytes.data(), magic, sizeof magic) != 0)
    throw InputError(fmt::format("{}: not a checkpoint of cnnc", file));
  if (bytes.size() < head_size + crc_size)
    throw InputError(fmt::format("{}: cut short: {} bytes, a checkpoint has at least {}", file, bytes.size(), head_size + crc_size));
  const std::uint64_t version = get(bytes.data() + sizeof magic, 4);
  if (version != format_version)
    throw InputError(fmt::format("{}: checkpoint format {}, expected {}", file, version, format_version));
  const std::uint64_t size = get(bytes.data() + sizeof magic + 4, 8);
  if (size != bytes.size())
    throw InputError(fmt::format("{}: {}: {} bytes, its header promises {}", file, bytes.size() < size ? "cut short" : "too long",
                                 bytes.size(), size));
  const std::size_t body = bytes.size() - crc_size;
  const auto stored = static_cast<std::uint32_t>(get(bytes.data() + body, 4));
  if (const std::uint32_t crc = crc_of(bytes.data(), body); crc != stored)
    throw InputError(fmt::format("{}: damaged checkpoint: check sum {:08x}, expected {:08x}", file, crc, stored));
  Checkpoint checkpoint;
  Reader reader{bytes.data() + head_size, bytes.data() + body, file};
  each_field(checkpoint, reader);
  if (reader.at != reader.end)
    throw InputError(fmt::format("{}: damaged checkpoint: {} bytes after its last field", file, reader.end - reader.at));
  return checkpoint;
}

void write_checkpoint(const std::string &path, const Checkpoint &checkpoint) {
  const Bytes bytes = encode_checkpoint(checkpoint);
  write_file(path, bytes.data(), bytes.size());
}

Checkpoint read_checkpoint(const std::string &path) { return decode_checkpoint(read_file(path), path); }

} // namespace cnnc::runtime
