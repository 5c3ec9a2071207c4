/* Says which variant of a library runs here: the status of init, the variant, the loss of a step. */
#include "lenet_sgd.h"

#include <stdio.h>
#include <stdlib.h>

int main(void) {
  size_t bytes = LENET_SGD_TRAIN_BYTES(1);
  void *memory = aligned_alloc(LENET_SGD_ALIGNMENT, (bytes + 63) / 64 * 64);
  lenet_sgd *net;
  lenet_sgd_status status = lenet_sgd_init(&net, memory, bytes, 1, 1);
  if (status != CNNC_OK) {
    printf("%d -\n", (int)status);
    return 0;
  }
  static float images[20 * 784], outputs[20 * 10];
  static uint8_t labels[20];
  for (int i = 0; i < 20 * 784; i++)
    images[i] = (float)(i % 97) / 97;
  lenet_sgd_metrics metrics;
  if (lenet_sgd_train_step(net, images, labels, 20, &metrics) != CNNC_OK || lenet_sgd_predict(net, images, 20, outputs) != CNNC_OK)
    return 1;
  printf("0 %s %.6f\n", lenet_sgd_model()->target, metrics.loss);
  lenet_sgd_destroy(net);
  return 0;
}
