/* Trains a model for a step on made-up data and writes the loss, gradients, parameters and outputs, or measures
   its speed. Built once with the object and once with the C++ output.
   Usage: step FILE, or step --time */
#include "cnnc_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const cnnc_model *MODEL(void);

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void need(cnnc_status status, const char *call) {
  if (status != CNNC_OK) {
    fprintf(stderr, "%s: status %d\n", call, (int)status);
    exit(1);
  }
}

int main(int argc, char **argv) {
  const cnnc_model *m = MODEL();
  if (argc != 2)
    return 2;
  int trains = m->train_step != NULL, count = (int)(m->batch < 57 ? m->batch : 57);
  size_t bytes = (size_t)(trains ? m->train_bytes(1) : m->infer_bytes(1));
  void *memory = aligned_alloc(m->alignment, (bytes + 63) / 64 * 64);
  cnnc_net *net;
  need((trains ? m->init : m->init_inference)(&net, memory, bytes, 1, 9), "init");
  size_t inputs = (size_t)m->input_size * (size_t)count;
  float *images = malloc(inputs * sizeof(float)), *outputs = malloc((size_t)m->output_size * (size_t)count * sizeof(float));
  size_t target_size = m->target_kind == CNNC_TARGET_IMAGE ? (size_t)m->target_size * sizeof(float) : 2;
  unsigned char *targets = calloc((size_t)count, target_size);
  unsigned state = 1;
  for (size_t i = 0; i < inputs; i++)
    images[i] = (float)((state = state * 1664525u + 1013904223u) >> 8) / (float)(1 << 24);
  for (int i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    if (m->target_kind == CNNC_LABELS_U8)
      targets[i] = (unsigned char)((state >> 16) % m->classes);
    else if (m->target_kind == CNNC_TARGET_IMAGE)
      for (size_t k = 0; k < m->target_size; k++)
        ((float *)(void *)targets)[(size_t)i * m->target_size + k] = (float)((state = state * 1664525u + 1013904223u) >> 8) / (float)(1 << 24);
  }
  cnnc_metrics metrics;
  if (!strcmp(argv[1], "--time")) {
    double best = 1e9;
    for (int k = 0; k < 8; k++) {
      double start = seconds();
      for (int i = 0; i < 20; i++)
        if (trains)
          need(m->train_step(net, images, CNNC_F32, targets, count, &metrics), "train_step");
        else
          need(m->predict(net, images, CNNC_F32, count, outputs), "predict");
      double t = seconds() - start;
      best = t < best ? t : best;
    }
    printf("%.1f images/s\n", 20.0 * count / best);
    return 0;
  }
  FILE *f = fopen(argv[1], "wb");
  if (!f)
    return 3;
  for (int step = 0; trains && step < 1; step++) {
    need(m->gradients(net, images, CNNC_F32, targets, count, &metrics), "gradients");
    fwrite(m->gradient_values(net), sizeof(float), (size_t)m->parameter_count, f);
    need(m->train_step(net, images, CNNC_F32, targets, count, &metrics), "train_step");
    float loss = (float)metrics.loss;
    fwrite(&loss, sizeof loss, 1, f);
  }
  need(m->predict(net, images, CNNC_F32, count, outputs), "predict");
  fwrite(m->parameter_values(net), sizeof(float), (size_t)m->parameter_count, f);
  fwrite(outputs, sizeof(float), (size_t)m->output_size * (size_t)count, f);
  m->destroy(net);
  return fclose(f) == 0 ? 0 : 3;
}
