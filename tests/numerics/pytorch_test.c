/* Compares the generated library of models/lenet.dsl with three Adam steps that PyTorch computed (lenet_steps/, written
   by pytorch_reference.py): logits, losses, every gradient of the first step, every parameter after the third.
   Usage: pytorch_test FOLDER THREADS.  */
#include "lenet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 8 };
static int failures;

static void *read_npy(const char *folder, const char *name, size_t bytes) {
  char path[4096];
  unsigned char head[10];
  void *data = malloc(bytes);
  snprintf(path, sizeof path, "%s/%s.npy", folder, name);
  FILE *f = fopen(path, "rb");
  if (!f || !data || fread(head, 1, 10, f) != 10 || fseek(f, head[8] + 256L * head[9], SEEK_CUR) ||
      fread(data, 1, bytes, f) != bytes) {
    fprintf(stderr, "%s: cannot be read\n", path);
    exit(1);
  }
  fclose(f);
  return data;
}

/* The largest difference must be below `tolerance` of the largest element, and that is not zero. */
static void compare(const char *what, const char *name, const float *found, const float *wanted, size_t n,
                    double tolerance) {
  double largest = 0, difference = 0;
  for (size_t i = 0; i < n; i++) {
    double d = fabs((double)found[i] - wanted[i]);
    largest = fmax(largest, fabs(wanted[i]));
    difference = d <= difference ? difference : d; /* keeps a NaN */
  }
  int ok = largest > 0 && difference <= tolerance * largest;
  failures += !ok;
  printf("%s %s %s: difference %.3g of %.3g\n", ok ? "  " : "! ", what, name, difference, largest);
}

static void need(lenet_status status, const char *call) {
  if (status != CNNC_OK) {
    fprintf(stderr, "%s: status %d\n", call, (int)status);
    exit(1);
  }
}

int main(int argc, char **argv) {
  static const char *const order[] = {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias",
                                      "dense1.weight", "dense1.bias", "dense2.weight", "dense2.bias",
                                      "dense3.weight", "dense3.bias"};
  if (argc != 3)
    return 2;
  const size_t n = LENET_PARAMETER_COUNT;
  unsigned char *images = read_npy(argv[1], "images", COUNT * 784), *labels = read_npy(argv[1], "labels", COUNT);
  float *weights = read_npy(argv[1], "weights", n * 4), *gradients = read_npy(argv[1], "gradients", n * 4);
  float *updated = read_npy(argv[1], "updated", n * 4), *losses = read_npy(argv[1], "losses", 3 * 4);
  float *wanted_logits = read_npy(argv[1], "logits", COUNT * 10 * 4), logits[COUNT * 10];
  static float pixels[COUNT * 784];
  for (int i = 0; i < COUNT * 784; i++)
    pixels[i] = (float)images[i] / 255;

  const cnnc_model *model = lenet_model();
  int threads = atoi(argv[2]);
  size_t bytes = (size_t)model->train_bytes(threads);
  void *memory = aligned_alloc(LENET_ALIGNMENT, (bytes + LENET_ALIGNMENT - 1) / LENET_ALIGNMENT * LENET_ALIGNMENT);
  lenet *net;
  lenet_metrics metrics;
  need(lenet_init(&net, memory, bytes, threads, 1), "init");
  const float *values = model->parameter_values((cnnc_net *)net);

  const cnnc_parameter *place[10];
  for (int k = 0; k < 10; k++) {
    place[k] = NULL;
    for (uint32_t i = 0; i < model->parameter_tensors; i++)
      if (!strcmp(model->parameters[i].name, order[k]))
        place[k] = &model->parameters[i];
    if (!place[k]) {
      fprintf(stderr, "no parameter %s\n", order[k]);
      return 1;
    }
  }
  static float start[LENET_PARAMETER_COUNT];
  size_t at = 0;
  for (int k = 0; k < 10; at += place[k++]->size)
    memcpy(start + place[k]->offset, weights + at, place[k]->size * sizeof(float));
  need(lenet_set_parameters(net, start), "set_parameters");

  need(lenet_predict(net, pixels, COUNT, logits), "predict");
  compare("outputs", "logits", logits, wanted_logits, COUNT * 10, 1e-5);
  need(lenet_gradients(net, pixels, labels, COUNT, &metrics), "gradients");
  const float *found = model->gradient_values((cnnc_net *)net);
  at = 0;
  for (int k = 0; k < 10; at += place[k++]->size)
    compare("gradient", order[k], found + place[k]->offset, gradients + at, place[k]->size, 1e-4);
  for (int step = 0; step < 3; step++) {
    need(lenet_train_step(net, pixels, labels, COUNT, &metrics), "train_step");
    float loss = (float)metrics.loss;
    compare("loss", "of a step", &loss, losses + step, 1, 1e-5);
  }
  at = 0;
  for (int k = 0; k < 10; at += place[k++]->size)
    compare("updated", order[k], values + place[k]->offset, updated + at, place[k]->size, 2e-4);
  lenet_destroy(net);
  return failures != 0;
}
