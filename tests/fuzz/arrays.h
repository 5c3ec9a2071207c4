// For the targets of array files: what a parsed array must be, and the way from it into a data set.
#ifndef CNNC_FUZZ_ARRAYS_H
#define CNNC_FUZZ_ARRAYS_H

#include "fuzz.h"
#include "runtime/array.h"
#include "runtime/dataset.h"
#include "runtime/error.h"

inline void check_array(const cnnc::runtime::Array &a) {
  std::uint64_t elements = 1;
  for (std::uint64_t d : a.shape) elements *= d;
  REQUIRE(a.bytes.size() == elements * cnnc::runtime::element_size(a.type));
}

// A model of 2x3 images: 3 classes, 300 classes, a target image, or nothing that it is compared with.
inline cnnc_model model_of(unsigned kind) {
  cnnc_model model{};
  model.name = "fuzz";
  model.input_rank = 3;
  model.input_shape[0] = 1, model.input_shape[1] = 2, model.input_shape[2] = 3;
  model.input_size = 6;
  model.target_rank = 1;
  model.target_shape[0] = 2;
  model.target_size = 2;
  const int kinds[] = {CNNC_LABELS_U8, CNNC_LABELS_U16, CNNC_TARGET_IMAGE, CNNC_NO_TARGET};
  model.target_kind = kinds[kind % 4];
  model.classes = model.target_kind == CNNC_LABELS_U8 ? 3 : model.target_kind == CNNC_LABELS_U16 ? 300
                                                                                                 : 0;
  return model;
}

inline void use_arrays(cnnc::runtime::Array images, const cnnc::runtime::Array &labels, unsigned kind) {
  try {
    const auto data = cnnc::runtime::make_dataset(std::move(images), &labels, model_of(kind));
    REQUIRE(data.count > 0);
    REQUIRE(data.images.size() == data.count * data.image_bytes);
    REQUIRE(data.targets.size() == data.count * data.target_bytes);
  } catch (const cnnc::runtime::InputError &) {
  }
}

#endif
