/* Two models in one program: both learn. */
#include <stdio.h>
#include <stdlib.h>

#include "lenet.h"
#include "tiny.h"

int main(void) {
  static float images[LENET_BATCH * LENET_INPUT_SIZE], small[TINY_BATCH * TINY_INPUT_SIZE];
  uint8_t labels[LENET_BATCH];
  for (int i = 0; i < LENET_BATCH; i++) labels[i] = (uint8_t)(i % 2);
  for (int i = 0; i < LENET_BATCH * LENET_INPUT_SIZE; i++) images[i] = i / LENET_INPUT_SIZE % 2 ? (float)(i % 28) / 28 : 0;
  for (int i = 0; i < TINY_BATCH * TINY_INPUT_SIZE; i++) small[i] = i / TINY_INPUT_SIZE % 2 ? (float)(i % 8) / 8 : 0;
  void *memory = aligned_alloc(LENET_ALIGNMENT, LENET_TRAIN_BYTES(2)), *other = aligned_alloc(TINY_ALIGNMENT, TINY_TRAIN_BYTES(1));
  lenet *net;
  tiny *second;
  lenet_metrics first, last, little;
  if (lenet_init(&net, memory, LENET_TRAIN_BYTES(2), 2, 1) || tiny_init(&second, other, TINY_TRAIN_BYTES(1), 1, 1)) return 1;
  if (lenet_train_step(net, images, labels, LENET_BATCH, &first)) return 2;
  for (int i = 0; i < 200; i++)
    if (lenet_train_step(net, images, labels, LENET_BATCH, &last) || tiny_train_step(second, small, labels, TINY_BATCH, &little)) return 3;
  printf("%d images a step: %g -> %g, %g\n", LENET_BATCH, first.loss, last.loss, little.loss);
  lenet_destroy(net);
  tiny_destroy(second);
  free(memory);
  free(other);
  return LENET_BATCH == 64 && last.loss < 0.5 * first.loss && little.loss < 0.5 ? 0 : 4;
}
