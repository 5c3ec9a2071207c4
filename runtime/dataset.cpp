// Finds the files of a data set, checks them against the model and each other, converts what must be.
#include "dataset.h"

#include "error.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <limits>
#include <sys/stat.h>
#include <zlib.h>

namespace cnnc::runtime {
namespace {

constexpr const char *fashion_mnist = "fashion-mnist";
constexpr const char *fashion_mnist_folder = "/usr/share/datasets/fashion-mnist";
constexpr std::uint64_t largest_count = std::numeric_limits<std::int32_t>::max();

struct Files {
  std::string images, labels;
};

template <class T>
T element(const Array &a, std::uint64_t i) {
  T value;
  std::memcpy(&value, a.bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

// Calls f with a function that gives element i of a label array as a 64-bit integer.
template <class F>
void with_integers(const Array &a, F f) {
  switch (a.type) {
  case Element::u8: return f([&](std::uint64_t i) -> std::int64_t { return element<std::uint8_t>(a, i); });
  case Element::i8: return f([&](std::uint64_t i) -> std::int64_t { return element<std::int8_t>(a, i); });
  case Element::u16: return f([&](std::uint64_t i) -> std::int64_t { return element<std::uint16_t>(a, i); });
  case Element::i16: return f([&](std::uint64_t i) -> std::int64_t { return element<std::int16_t>(a, i); });
  case Element::u32: return f([&](std::uint64_t i) -> std::int64_t { return element<std::uint32_t>(a, i); });
  case Element::i32: return f([&](std::uint64_t i) -> std::int64_t { return element<std::int32_t>(a, i); });
  case Element::i64: return f([&](std::uint64_t i) -> std::int64_t { return element<std::int64_t>(a, i); });
  case Element::u64:
    return f([&](std::uint64_t i) -> std::int64_t {
      const auto v = element<std::uint64_t>(a, i);
      return v > std::uint64_t(std::numeric_limits<std::int64_t>::max()) ? std::numeric_limits<std::int64_t>::max()
                                                                         : static_cast<std::int64_t>(v);
    });
  case Element::f32:
  case Element::f64:
    throw InputError(fmt::format("{}: labels of type {}, expected an integer type", a.file, element_name(a.type)));
  }
}

std::vector<std::uint64_t> without_ones(const std::vector<std::uint64_t> &shape) {
  std::vector<std::uint64_t> result;
  for (std::uint64_t d : shape)
    if (d != 1) result.push_back(d);
  return result;
}

// The number of examples, after a check that one example has the shape that the model wants.
std::uint64_t count_of(const Array &a, const char *what, const std::uint32_t *shape, std::uint32_t rank) {
  const std::vector<std::uint64_t> expected(shape, shape + rank);
  if (a.shape.empty()) throw InputError(fmt::format("{}: a single number, expected {}s of {}", a.file, what, shape_text(expected)));
  const std::vector<std::uint64_t> found(a.shape.begin() + 1, a.shape.end());
  if (without_ones(found) != without_ones(expected))
    throw InputError(fmt::format("{}: {}s of {}, the model takes {}", a.file, what, shape_text(found), shape_text(expected)));
  const std::uint64_t count = a.shape[0];
  if (count == 0) throw InputError(fmt::format("{}: holds no {}s", a.file, what));
  if (count > largest_count) throw InputError(fmt::format("{}: {} {}s, at most {} are allowed", a.file, count, what, largest_count));
  return count;
}

// float32 or float64 to finite float32 in place.
void to_finite_floats(Array &a) {
  if (a.type == Element::f64) {
    Bytes narrow(a.bytes.size() / 2);
    for (std::uint64_t i = 0; i < narrow.size() / 4; ++i) {
      const float value = static_cast<float>(element<double>(a, i));
      std::memcpy(narrow.data() + 4 * i, &value, 4);
    }
    a.bytes = std::move(narrow);
    a.type = Element::f32;
  }
  for (std::uint64_t i = 0; i < a.bytes.size() / 4; ++i)
    if (const float value = element<float>(a, i); !std::isfinite(value))
      throw InputError(fmt::format("{}: element {} is {}, expected a finite float32", a.file, i, value));
}

Bytes make_labels(const Array &a, std::uint64_t count, const cnnc_model &model) {
  if (a.shape.empty() || !without_ones({a.shape.begin() + 1, a.shape.end()}).empty())
    throw InputError(fmt::format("{}: labels of shape {}, expected {}", a.file, shape_text(a.shape), count));
  const std::size_t size = model.target_kind == CNNC_LABELS_U8 ? 1 : 2;
  Bytes labels(count * size);
  with_integers(a, [&](auto label) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::int64_t value = label(i);
      if (value < 0 || value >= std::int64_t(model.classes))
        throw InputError(fmt::format("{}: label {} of item {} is not below {}, the model's number of classes", a.file, value, i,
                                     model.classes));
      const auto narrow = static_cast<std::uint16_t>(value);
      if (size == 1) labels[i] = static_cast<std::uint8_t>(narrow);
      else std::memcpy(&labels[2 * i], &narrow, 2);
    }
  });
  return labels;
}

Bytes make_target_images(Array a, const cnnc_model &model) {
  count_of(a, "target", model.target_shape, model.target_rank);
  if (a.type == Element::u8) {
    Bytes floats(a.bytes.size() * 4);
    for (std::size_t i = 0; i < a.bytes.size(); ++i) {
      const float value = static_cast<float>(a.bytes[i]) * (1.0f / 255.0f);
      std::memcpy(&floats[4 * i], &value, 4);
    }
    return floats;
  }
  if (a.type != Element::f32 && a.type != Element::f64)
    throw InputError(fmt::format("{}: targets of type {}, expected float32", a.file, element_name(a.type)));
  to_finite_floats(a);
  return std::move(a.bytes);
}

std::uint32_t crc_of(std::uint32_t crc, const Bytes &bytes) {
  return static_cast<std::uint32_t>(crc32_z(crc, bytes.data(), bytes.size()));
}

bool is_folder(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool ends_with(const std::string &text, const char *end) {
  const std::size_t n = std::strlen(end);
  return text.size() >= n && text.compare(text.size() - n, n, end) == 0;
}

std::vector<std::string> split_commas(const std::string &text) {
  std::vector<std::string> parts(1);
  for (char c : text)
    if (c == ',') parts.emplace_back();
    else parts.back() += c;
  return parts;
}

std::optional<std::string> plain_or_packed(const std::string &path) {
  for (const std::string &candidate : {path, path + ".gz"})
    if (file_exists(candidate)) return candidate;
  return std::nullopt;
}

Files in_folder(const std::string &folder, Part part) {
  const std::string idx = join(folder, part == Part::train ? "train" : "t10k");
  const auto images = plain_or_packed(idx + "-images-idx3-ubyte"), labels = plain_or_packed(idx + "-labels-idx1-ubyte");
  const std::string npy = join(folder, part_name(part));
  const bool has_npy = file_exists(npy + "_images.npy");
  if (images && has_npy)
    throw InputError(fmt::format("{}: both {} and {}_images.npy are there; name the files to use, separated by a comma", folder,
                                 *images, npy));
  if (has_npy) return {npy + "_images.npy", npy + "_labels.npy"};
  if (images) return {*images, labels ? *labels : idx + "-labels-idx1-ubyte"};
  throw SystemError(fmt::format("{}: no {} images: neither {}-images-idx3-ubyte (also .gz) nor {}_images.npy", folder,
                                part_name(part), idx, npy));
}

Files find_files(const std::string &spec, Part part) {
  if (spec == fashion_mnist) {
    if (!is_folder(fashion_mnist_folder))
      throw SystemError(fmt::format("fashion-mnist: {} is missing; install the package dataset-fashion-mnist", fashion_mnist_folder));
    return in_folder(fashion_mnist_folder, part);
  }
  if (is_folder(spec)) return in_folder(spec, part);
  const auto parts = split_commas(spec);
  if (parts.size() == 2) return {parts[0], parts[1]};
  if (parts.size() == 4) return part == Part::train ? Files{parts[0], parts[1]} : Files{parts[2], parts[3]};
  if (parts.size() == 1 && file_exists(spec))
    throw UsageError(fmt::format("{}: one file, expected a folder or two files separated by a comma: images.npy,labels.npy", spec));
  if (parts.size() == 1)
    throw SystemError(fmt::format("data '{}': no such folder; expected fashion-mnist, a folder, or images.npy,labels.npy", spec));
  throw UsageError(fmt::format("data '{}': {} files, expected 2 or 4", spec, parts.size()));
}

Array read_array(const std::string &path) { return ends_with(path, ".npy") ? read_npy(path) : read_idx(path); }

} // namespace

const char *part_name(Part part) { return part == Part::train ? "train" : "test"; }

Dataset make_dataset(Array images, const Array *labels, const cnnc_model &model) {
  Dataset data;
  data.file = images.file;
  const std::uint64_t count = count_of(images, "image", model.input_shape, model.input_rank);
  data.count = static_cast<std::uint32_t>(count);
  if (images.type == Element::f32 || images.type == Element::f64) to_finite_floats(images);
  else if (images.type != Element::u8)
    throw InputError(fmt::format("{}: images of type {}, expected uint8 or float32", images.file, element_name(images.type)));
  data.pixels = images.type == Element::u8 ? CNNC_U8 : CNNC_F32;
  data.image_bytes = model.input_size * element_size(images.type);
  data.images = std::move(images.bytes);
  if (model.target_kind != CNNC_NO_TARGET) {
    if (!labels) throw InputError(fmt::format("{}: labels are missing", data.file));
    const std::uint64_t targets = labels->shape.empty() ? 0 : labels->shape[0];
    const bool is_image = model.target_kind == CNNC_TARGET_IMAGE;
    if (targets != count)
      throw InputError(fmt::format("{} has {} images, {} has {} {}", data.file, count, labels->file, targets,
                                   is_image ? "targets" : "labels"));
    data.targets = is_image ? make_target_images(*labels, model) : make_labels(*labels, count, model);
    data.target_bytes = data.targets.size() / std::max<std::uint64_t>(count, 1);
  }
  data.crc = crc_of(crc_of(0, data.images), data.targets);
  return data;
}

std::vector<std::string> class_names(const std::string &spec, const cnnc_model &model) {
  if (spec != fashion_mnist || model.classes != 10) return {};
  return {"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"};
}

Dataset load_dataset(const std::string &spec, Part part, const cnnc_model &model) {
  const Files files = find_files(spec, part);
  Array images = read_array(files.images);
  Array labels;
  const bool wants_labels = model.target_kind != CNNC_NO_TARGET;
  if (wants_labels) labels = read_array(files.labels);
  Dataset data = make_dataset(std::move(images), wants_labels ? &labels : nullptr, model);
  data.class_names = class_names(spec, model);
  return data;
}

std::string absolute_spec(const std::string &spec) {
  if (spec == fashion_mnist) return spec;
  std::string result;
  for (const std::string &part : is_folder(spec) ? std::vector<std::string>{spec} : split_commas(spec))
    result += (result.empty() ? "" : ",") + std::filesystem::absolute(part).lexically_normal().string();
  return result;
}

bool has_test_part(const std::string &spec) {
  if (!is_folder(spec) && split_commas(spec).size() == 2) return false;
  try {
    return file_exists(find_files(spec, Part::test).images);
  } catch (const Error &) {
    return false;
  }
}

std::optional<Item> parse_item(const std::string &text) {
  for (Part part : {Part::train, Part::test}) {
    const std::string start = std::string(part_name(part)) + ":";
    if (text.compare(0, start.size(), start) != 0) continue;
    const std::string number = text.substr(start.size());
    const bool digits = !number.empty() && number.size() <= 9 && number.find_first_not_of("0123456789") == std::string::npos;
    if (!digits) throw UsageError(fmt::format("item '{}': expected a number after '{}'", text, start));
    return Item{part, static_cast<std::uint32_t>(std::stoul(number))};
  }
  return std::nullopt;
}

void Batch::gather(const Dataset &data, const std::uint32_t *items, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    std::memcpy(images.data() + i * data.image_bytes, data.image(items[i]), data.image_bytes);
    if (data.target_bytes) std::memcpy(targets.data() + i * data.target_bytes, data.target(items[i]), data.target_bytes);
  }
}

} // namespace cnnc::runtime
