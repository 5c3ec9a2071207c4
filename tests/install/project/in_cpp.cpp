// The class of the header.
#include <cstdio>
#include <vector>

#include "lenet.h"

int main() {
  cnnc_models::lenet_net net;
  if (net.init(1, 3) != CNNC_OK)
    return 1;
  std::vector<float> images(2 * LENET_INPUT_SIZE, 0.25f), logits(2 * LENET_OUTPUT_SIZE);
  const std::vector<uint8_t> labels = {3, 3};
  for (int i = 0; i < 20; i++)
    if (net.train_step(images.data(), labels.data(), 2) != CNNC_OK)
      return 2;
  if (net.predict(images.data(), 2, logits.data()) != CNNC_OK)
    return 3;
  std::printf("%g %g\n", double(logits[3]), double(logits[4]));
  return logits[3] > logits[4] ? 0 : 4;
}
