/* Trains LeNet with the library that `cnnc compile models/lenet.dsl -o out/` wrote; nothing else is needed.
   Usage: train IMAGES LABELS EPOCHS, files of MNIST's format, unpacked.  */
#include "lenet.h"
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  FILE *images = argc == 4 ? fopen(argv[1], "rb") : NULL, *labels = argc == 4 ? fopen(argv[2], "rb") : NULL;
  static unsigned char x[LENET_BATCH * LENET_INPUT_SIZE], y[LENET_BATCH];
  size_t bytes = LENET_TRAIN_BYTES(2); /* two threads */
  void *memory = aligned_alloc(LENET_ALIGNMENT, (bytes + LENET_ALIGNMENT - 1) / LENET_ALIGNMENT * LENET_ALIGNMENT);
  lenet *net;
  if (!images || !labels || !memory || lenet_init(&net, memory, bytes, 2, 1) != CNNC_OK)
    return 1;
  for (int epoch = 1; epoch <= atoi(argv[3]); epoch++) {
    double loss = 0, correct = 0, count = 0;
    lenet_metrics m;
    fseek(images, 16, SEEK_SET), fseek(labels, 8, SEEK_SET); /* behind the files' headers */
    for (int n; (n = (int)fread(x, LENET_INPUT_SIZE, LENET_BATCH, images)) > 0; count += n) {
      if (fread(y, 1, (size_t)n, labels) != (size_t)n || lenet_train_step_u8(net, x, y, n, &m) != CNNC_OK)
        return 1;
      loss += m.loss * n, correct += m.correct;
    }
    printf("epoch %d  loss %.4f  accuracy %.4f\n", epoch, loss / count, correct / count);
  }
  lenet_destroy(net);
  return 0;
}
