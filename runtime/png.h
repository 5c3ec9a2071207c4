// PNG pictures as input of a model.
#ifndef CNNC_RUNTIME_PNG_H
#define CNNC_RUNTIME_PNG_H

#include "array.h"
#include "cnnc_model.h"

namespace cnnc::runtime {

// Reads a PNG as bytes of the model's input shape, channel first. Colours become grey (0.299, 0.587, 0.114) for
// a model of one channel, grey becomes three equal channels for a model of three. Throws InputError when the
// size differs, a pixel is not opaque, or the file is damaged; SystemError.
Array read_png(const std::string &path, const cnnc_model &model);

} // namespace cnnc::runtime
#endif
