/* What the programs of this folder share: a model by its table, and examples for it. TABLE is the function that gives
   the table. */
#include "cnnc_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const cnnc_model *TABLE(void);

typedef struct {
  float *images;
  uint8_t *bytes; /* the same as bytes */
  void *targets;  /* null without a target */
  float *outputs;
} examples;

static uint32_t state = 12345;
static uint32_t next(void) { return (state = state * 1664525u + 1013904223u) >> 8; }

static examples make_examples(const cnnc_model *m) {
  examples e = {0};
  size_t pixels = (size_t)m->batch * m->input_size;
  e.images = malloc(pixels * sizeof(float));
  e.bytes = malloc(pixels);
  for (size_t i = 0; i < pixels; i++) {
    e.bytes[i] = (uint8_t)next();
    e.images[i] = (float)e.bytes[i] / 255;
  }
  if (m->target_kind == CNNC_LABELS_U8) {
    uint8_t *labels = e.targets = malloc(m->batch);
    for (uint32_t i = 0; i < m->batch; i++) labels[i] = (uint8_t)(next() % m->classes);
  } else if (m->target_kind == CNNC_LABELS_U16) {
    uint16_t *labels = e.targets = malloc(2 * (size_t)m->batch);
    for (uint32_t i = 0; i < m->batch; i++) labels[i] = (uint16_t)(next() % m->classes);
  } else if (m->target_kind == CNNC_TARGET_IMAGE) {
    size_t values = (size_t)m->batch * m->target_size;
    float *images = e.targets = malloc(values * sizeof(float));
    for (size_t i = 0; i < values; i++) images[i] = (float)(next() % 100) / 100;
  }
  e.outputs = malloc((size_t)m->batch * m->output_size * sizeof(float));
  return e;
}

static int trains(const cnnc_model *m) { return m->train_bytes != NULL; }

static size_t bytes_for(const cnnc_model *m, int training, int threads) {
  return (size_t)(training ? m->train_bytes(threads) : m->infer_bytes(threads));
}

static void *aligned(const cnnc_model *m, size_t bytes) {
  return aligned_alloc(m->alignment, (bytes + m->alignment - 1) / m->alignment * m->alignment);
}

/* Every call that computes or copies, with whole and broken chunks. Returns the number of failed calls. */
__attribute__((unused)) static int exercise(const cnnc_model *m, cnnc_net *net, const examples *e, void *saved, size_t size) {
  int failed = 0, counts[] = {(int)m->batch, 1, (int)m->batch > 57 ? 57 : ((int)m->batch + 1) / 2};
  cnnc_metrics metrics;
  for (int i = 0; i < 3; i++)
    for (int pixels = CNNC_F32; pixels <= CNNC_U8; pixels++) {
      const void *images = pixels == CNNC_U8 ? (const void *)e->bytes : (const void *)e->images;
      if (trains(m)) {
        failed += m->train_step(net, images, pixels, e->targets, counts[i], &metrics) != CNNC_OK;
        failed += m->gradients(net, images, pixels, e->targets, counts[i], &metrics) != CNNC_OK;
        failed += m->evaluate(net, images, pixels, e->targets, counts[i], NULL) != CNNC_OK;
      }
      failed += m->predict(net, images, pixels, counts[i], e->outputs) != CNNC_OK;
    }
  failed += m->save(net, saved, size) != CNNC_OK;
  failed += m->load(net, saved, size) != CNNC_OK;
  failed += m->set_parameters(net, (const char *)saved + 48) != CNNC_OK;
  return failed + (m->step(net) != (trains(m) ? 6u : 0u));
}
