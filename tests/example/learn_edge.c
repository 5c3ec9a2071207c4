/* Learns the kernel [1, -1] from one image and its edge map; fails if it does not.  */
#include "learn_edge.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  float x[6 * 8], y[6 * 7];
  for (int i = 0; i < 48; i++)
    x[i] = i % 8 < 2 || i % 8 > 5;
  for (int i = 0; i < 42; i++)
    y[i] = (float)((i % 7 == 1) - (i % 7 == 5));
  size_t bytes = LEARN_EDGE_TRAIN_BYTES(1);
  for (uint64_t seed = 1; seed <= 5; seed++) {
    void *memory = aligned_alloc(LEARN_EDGE_ALIGNMENT, (bytes + 4095) / 4096 * 4096);
    learn_edge *net;
    learn_edge_metrics m;
    if (learn_edge_init(&net, memory, bytes, 1, seed) != CNNC_OK)
      return 1;
    const float *k = learn_edge_model()->parameter_values((cnnc_net *)net);
    if (fabsf(k[0]) > 0.707f || fabsf(k[1]) > 0.707f || k[0] == k[1])
      return printf("seed %d starts at [%g, %g]\n", (int)seed, k[0], k[1]), 1;
    for (int step = 1; step <= 60; step++) {
      if (learn_edge_train_step(net, x, y, 1, &m) != CNNC_OK)
        return 1;
      if (step == 10 && (learn_edge_evaluate(net, x, y, 1, &m) != CNNC_OK || !(m.loss < 0.5)))
        return printf("seed %d: loss %g after 10 updates\n", (int)seed, m.loss), 1;
    }
    printf("seed %d: [%.6f, %.6f]\n", (int)seed, k[0], k[1]);
    if (!(fabsf(k[0] - 1) < 1e-3f && fabsf(k[1] + 1) < 1e-3f))
      return 1;
    learn_edge_destroy(net);
    free(memory);
  }
  return 0;
}
