// Images and their targets, checked against a model, in memory.
#ifndef CNNC_RUNTIME_DATASET_H
#define CNNC_RUNTIME_DATASET_H

#include "array.h"
#include "cnnc_model.h"
#include "net.h"

#include <optional>
#include <string>
#include <vector>

namespace cnnc::runtime {

enum class Part { train,
                  test };
const char *part_name(Part part); // "train", "test"

struct Dataset {
  std::string file;             // of the images, for messages
  std::uint32_t count = 0;      // examples
  int pixels = CNNC_U8;         // enum cnnc_pixels
  std::size_t image_bytes = 0;  // of one image: input_size elements, channel first, row-major
  std::size_t target_bytes = 0; // of one target: a label as the model takes it, or target_size floats
  Bytes images, targets;
  std::vector<std::string> class_names; // empty where no names are known
  std::uint32_t crc = 0;                // of images and targets: a resumed run must see the same data

  const std::uint8_t *image(std::uint32_t i) const { return images.data() + i * image_bytes; }
  const std::uint8_t *target(std::uint32_t i) const { return targets.data() + i * target_bytes; }
};

// What `spec`, the data option, can be:
//   fashion-mnist        the files of Debian's package dataset-fashion-mnist
//   FOLDER               IDX files: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each also as .gz;
//                        or train_images.npy, train_labels.npy, test_images.npy, test_labels.npy
//   A.npy,B.npy          images and labels; serves as either part
//   A.npy,B.npy,C.npy,D.npy   images and labels to train with, images and labels to test with
// Images: uint8 (0..255 stands for 0..1), float32 or float64, [count, shape of the model's input] where
// dimensions of 1 may be left out. Labels: any integer type, [count]. Target images: like images, but uint8
// is scaled here. Labels are not read for a model without a target.
// Throws InputError or SystemError with the file's name and both numbers.
Dataset load_dataset(const std::string &spec, Part part, const cnnc_model &model);

// `spec` with absolute paths, so that a later command finds the same files from another folder.
std::string absolute_spec(const std::string &spec);

// Whether `spec` has a part of its own: A.npy,B.npy has no separate test part.
bool has_test_part(const std::string &spec);

// Checks arrays against the model and puts them together; `labels` may be null for a model without a target.
Dataset make_dataset(Array images, const Array *labels, const cnnc_model &model);

// Names for the classes of `spec` where they are known.
std::vector<std::string> class_names(const std::string &spec, const cnnc_model &model);

// "test:17" or "train:3": one item of a data set.
struct Item {
  Part part;
  std::uint32_t index;
};
std::optional<Item> parse_item(const std::string &text);

// Room for one batch, contiguous and aligned.
class Batch {
public:
  Batch(const Dataset &data, std::uint32_t batch, std::uint32_t alignment)
      : images(data.image_bytes * batch, alignment), targets(data.target_bytes * batch, alignment) {}
  void gather(const Dataset &data, const std::uint32_t *items, std::uint32_t count);
  AlignedBytes images, targets;
};

} // namespace cnnc::runtime
#endif
