// Decodes PNG files with libspng.
#include "png.h"

#include "error.h"

#include <fmt/format.h>
#include <memory>
#include <spng.h>

namespace cnnc::runtime {
namespace {

struct FreeContext {
  void operator()(spng_ctx *c) const { spng_ctx_free(c); }
};

void check(const std::string &path, int status) {
  if (status != 0) throw InputError(fmt::format("{}: damaged PNG: {}", path, spng_strerror(status)));
}

std::uint8_t grey(const std::uint8_t *p) { return static_cast<std::uint8_t>((299u * p[0] + 587u * p[1] + 114u * p[2] + 500u) / 1000u); }

} // namespace

Array read_png(const std::string &path, const cnnc_model &model) {
  const std::vector<std::uint64_t> shape(model.input_shape, model.input_shape + model.input_rank);
  if (shape.size() < 2 || shape.size() > 3 || (shape.size() == 3 && shape[0] != 1 && shape[0] != 3))
    throw InputError(fmt::format("{}: a picture, but the model takes {}; use a .npy file", path, shape_text(shape)));
  const std::uint64_t channels = shape.size() == 3 ? shape[0] : 1;
  const std::uint64_t height = shape[shape.size() - 2], width = shape[shape.size() - 1];

  const Bytes file = read_file(path, std::uint64_t(1) << 28);
  const std::unique_ptr<spng_ctx, FreeContext> context(spng_ctx_new(0));
  if (!context) throw SystemError(fmt::format("{}: no memory to decode it", path));
  spng_set_chunk_limits(context.get(), 1u << 26, 1u << 26);
  check(path, spng_set_png_buffer(context.get(), file.data(), file.size()));
  spng_ihdr head;
  check(path, spng_get_ihdr(context.get(), &head));
  if (head.height != height || head.width != width)
    throw InputError(fmt::format("{}: a picture of {} x {} (height x width), the model takes {} x {}", path, head.height, head.width,
                                 height, width));
  Bytes pixels(height * width * 4);
  std::size_t size = 0;
  check(path, spng_decoded_image_size(context.get(), SPNG_FMT_RGBA8, &size));
  if (size != pixels.size()) throw InputError(fmt::format("{}: {} bytes of pixels, expected {}", path, size, pixels.size()));
  check(path, spng_decode_image(context.get(), pixels.data(), size, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS));
  check(path, spng_decode_chunks(context.get())); // up to the end mark: a file cut after its pixels is damaged

  Array array;
  array.file = path;
  array.shape = shape;
  const std::uint64_t plane = height * width;
  array.bytes.resize(channels * plane);
  for (std::uint64_t i = 0; i < plane; ++i) {
    const std::uint8_t *p = &pixels[4 * i];
    if (p[3] != 255)
      throw InputError(fmt::format("{}: the pixel at row {}, column {} is not opaque; flatten the picture first", path, i / width, i % width));
    if (channels == 1) array.bytes[i] = grey(p);
    else
      for (std::uint64_t c = 0; c < 3; ++c) array.bytes[c * plane + i] = p[c];
  }
  return array;
}

} // namespace cnnc::runtime
