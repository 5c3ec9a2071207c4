// The runtime drives any model through its table.
#include <cstdio>
#include <net.h>
#include <vector>

#include "tiny.h"

int main() {
  using namespace cnnc::runtime;
  Net net(*tiny_model(), Mode::train, 1, 7);
  const std::vector<float> images(4 * TINY_INPUT_SIZE, 0.5f);
  const std::vector<uint8_t> labels = {1, 1, 1, 1};
  const double first = net.train_step(images.data(), CNNC_F32, labels.data(), 4).loss;
  double last = first;
  for (int i = 0; i < 50; i++)
    last = net.train_step(images.data(), CNNC_F32, labels.data(), 4).loss;
  std::printf("%g -> %g\n", first, last);
  return last < first && net.step() == 51 ? 0 : 1;
}
