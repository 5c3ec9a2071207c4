// IDX files, plain and packed. The first byte chooses: bit 0 packed as it is; bit 1 packed here, so that the check
// sums are right, then cut or damaged as bytes 1 and 2 say.
#include "arrays.h"

#include <string>
#include <zlib.h>

using namespace cnnc::runtime;

static Bytes packed(const std::uint8_t *data, std::size_t size) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes out(deflateBound(&stream, size) + 64);
  stream.next_in = const_cast<Bytef *>(data);
  stream.avail_in = static_cast<uInt>(size);
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

static Array parse(Bytes bytes, bool gzip) {
  Array array = parse_idx(std::move(bytes), "fuzz", gzip);
  check_array(array);
  return array;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
  if (size < 3) return 0;
  const unsigned choice = data[0], cut = data[1], damage = data[2];
  data += 3, size -= 3;
  Bytes bytes(data, data + size);
  const bool pack = choice & 2;
  if (pack) {
    bytes = packed(data, size);
    if (cut > 128) bytes.resize(bytes.size() - std::min<std::size_t>(bytes.size(), cut - 128));
    if (damage && !bytes.empty()) bytes[damage * 7 % bytes.size()] ^= static_cast<std::uint8_t>(damage);
  }
  try {
    const Array array = parse(bytes, pack || (choice & 1));
    if (pack && !damage && cut <= 128) REQUIRE(array.bytes == parse(Bytes(data, data + size), false).bytes);
    use_arrays(array, array, choice >> 2);
  } catch (const InputError &) {
  }
  return 0;
}
