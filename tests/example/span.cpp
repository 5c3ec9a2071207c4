// The class of the header: a net that is moved, trained and asked, with spans and with pointers.
#include "lenet.h"
#include <cstdio>
#include <utility>
#include <vector>

#define NEED(condition) \
  if (!(condition))     \
  return std::printf("%s\n", #condition), 1

int main() {
  constexpr int count = 5;
  std::vector<uint8_t> bytes(count * LENET_INPUT_SIZE), labels = {0, 1, 2, 3, 4};
  std::vector<float> images(bytes.size()), a(count * LENET_OUTPUT_SIZE), b(a), c(a);
  for (size_t i = 0; i < bytes.size(); i++)
    bytes[i] = uint8_t(i * 2654435761u >> 8), images[i] = float(bytes[i]) / 255;

  cnnc_models::lenet_net first, net;
  NEED(!net && net.predict(images, a) == CNNC_BAD_ARGUMENT);
  NEED(first.init(1, 7) == CNNC_OK && first);
  net = std::move(first);
  cnnc_metrics metrics;
  NEED(net.train_step(images, labels, &metrics) == CNNC_OK && metrics.count == count && metrics.loss > 0);
  NEED(net.predict(images, a) == CNNC_OK);
  NEED(net.predict(bytes, b) == CNNC_OK);
  NEED(net.predict(images.data(), count, c.data()) == CNNC_OK && a == c);
  for (size_t i = 0; i < a.size(); i++)
    NEED(a[i] - b[i] < 1e-4f && b[i] - a[i] < 1e-4f);
  NEED(net.evaluate(bytes.data(), labels.data(), count, &metrics) == CNNC_OK);

  std::vector<unsigned char> saved(net.save_size());
  NEED(net.save(saved.data(), saved.size()) == CNNC_OK);
  cnnc_models::lenet_net other;
  NEED(other.init_inference(2) == CNNC_OK && other.load(saved.data(), saved.size()) == CNNC_OK);
  NEED(other.predict(images, c) == CNNC_OK && a == c);
  NEED(other.train_step(images, labels) == CNNC_INFERENCE_ONLY);

  labels.pop_back(); // fewer labels than images
  NEED(net.train_step(images, labels) == CNNC_BAD_COUNT);
  a.pop_back();
  NEED(net.predict(images, a) == CNNC_BAD_COUNT);
}
