/* Wrong arguments give their status and change nothing: neither the net's memory, nor what would be written. */
#include <limits.h>

#include "model.h"

static int wrong;
static unsigned char *memory, *before;
static size_t bytes;
static float *outputs, *outputs_before;
static size_t output_bytes;
static cnnc_metrics metrics, metrics_before;

static void remember(void) {
  memcpy(before, memory, bytes);
  memcpy(outputs_before, outputs, output_bytes);
  metrics_before = metrics;
}

static void expect(int line, cnnc_status found, cnnc_status wanted) {
  int changed = memcmp(before, memory, bytes) || memcmp(outputs_before, outputs, output_bytes) ||
                memcmp(&metrics_before, &metrics, sizeof metrics);
  if (found == wanted && !changed) return;
  if (wrong++ < 20) printf("line %d: status %d, expected %d%s\n", line, found, wanted, changed ? "; something changed" : "");
}
#define EXPECT(call, status) expect(__LINE__, call, status)

static void check_init(const cnnc_model *m, int training) {
  cnnc_status (*init)(cnnc_net **, void *, size_t, int, uint64_t) = training ? m->init : m->init_inference;
  size_t size = bytes_for(m, training, 1);
  cnnc_net *net = (cnnc_net *)&wrong;
  EXPECT(init(NULL, memory, size, 1, 1), CNNC_BAD_ARGUMENT);
  EXPECT(init(&net, NULL, size, 1, 1), CNNC_BAD_ARGUMENT);
  EXPECT(init(&net, memory, size, 0, 1), CNNC_BAD_ARGUMENT);
  EXPECT(init(&net, memory, size, -3, 1), CNNC_BAD_ARGUMENT);
  EXPECT(init(&net, memory, size - 1, 1, 1), CNNC_MEMORY_TOO_SMALL);
  EXPECT(init(&net, memory, 0, 1, 1), CNNC_MEMORY_TOO_SMALL);
  for (size_t i = 1; i < m->alignment; i *= 2) EXPECT(init(&net, memory + i, size, 1, 1), CNNC_MISALIGNED);
  if (net != (cnnc_net *)&wrong && wrong++ < 20) printf("init wrote its result\n");
}

static void check_calls(const cnnc_model *m, cnnc_net *net, const examples *e, int training) {
  const int counts[] = {0, -1, INT_MIN, (int)m->batch + 1, INT_MAX};
  for (int pixels = CNNC_F32; pixels <= CNNC_U8; pixels++) {
    const void *images = pixels ? (const void *)e->bytes : (const void *)e->images;
    typedef cnnc_status (*learns)(cnnc_net *, const void *, int, const void *, int, cnnc_metrics *);
    const learns calls[] = {m->train_step, m->gradients, m->evaluate};
    for (int c = 0; c < 3 && trains(m); c++) {
      if (!training && c < 2) {
        EXPECT(calls[c](net, images, pixels, e->targets, 1, &metrics), CNNC_INFERENCE_ONLY);
        continue;
      }
      EXPECT(calls[c](NULL, images, pixels, e->targets, 1, &metrics), CNNC_BAD_ARGUMENT);
      EXPECT(calls[c](net, NULL, pixels, e->targets, 1, &metrics), CNNC_BAD_ARGUMENT);
      EXPECT(calls[c](net, images, 2, e->targets, 1, &metrics), CNNC_BAD_ARGUMENT);
      if (e->targets) EXPECT(calls[c](net, images, pixels, NULL, 1, &metrics), CNNC_BAD_ARGUMENT);
      for (int i = 0; i < 5; i++) EXPECT(calls[c](net, images, pixels, e->targets, counts[i], &metrics), CNNC_BAD_COUNT);
      if (m->target_kind == CNNC_LABELS_U8 && m->classes < 256)
        for (uint32_t i = 0; i < m->batch; i++) {
          uint8_t *label = (uint8_t *)e->targets + i, keep = *label;
          *label = (uint8_t)(i % 2 ? m->classes : 255);
          EXPECT(calls[c](net, images, pixels, e->targets, (int)m->batch, &metrics), CNNC_BAD_LABEL);
          *label = keep;
        }
    }
    EXPECT(m->predict(NULL, images, pixels, 1, outputs), CNNC_BAD_ARGUMENT);
    EXPECT(m->predict(net, NULL, pixels, 1, outputs), CNNC_BAD_ARGUMENT);
    EXPECT(m->predict(net, images, 7, 1, outputs), CNNC_BAD_ARGUMENT);
    EXPECT(m->predict(net, images, pixels, 1, NULL), CNNC_BAD_ARGUMENT);
    for (int i = 0; i < 5; i++) EXPECT(m->predict(net, images, pixels, counts[i], outputs), CNNC_BAD_COUNT);
  }
}

/* Every bit of the saved bytes, and every length, where there are few enough; else a sample. */
static void check_bytes(const cnnc_model *m, cnnc_net *net, const unsigned char *other, size_t other_size) {
  size_t size = m->save_size(net), step = size > 20000 ? 9973 : 1;
  unsigned char *saved = malloc(size + 1);
  EXPECT(m->save(net, NULL, size), CNNC_BAD_ARGUMENT);
  EXPECT(m->save(NULL, saved, size), CNNC_BAD_ARGUMENT);
  EXPECT(m->save(net, saved, size - 1), CNNC_MEMORY_TOO_SMALL);
  EXPECT(m->save(net, saved, size), CNNC_OK);
  EXPECT(m->load(net, NULL, size), CNNC_BAD_ARGUMENT);
  EXPECT(m->load(NULL, saved, size), CNNC_BAD_ARGUMENT);
  EXPECT(m->load(net, other, other_size), CNNC_BAD_BYTES);
  EXPECT(m->load(net, saved, size + 1), CNNC_BAD_BYTES);
  for (size_t length = 0; length < size; length += step) EXPECT(m->load(net, saved, length), CNNC_BAD_BYTES);
  for (size_t bit = 0; bit < 8 * size; bit += step) {
    saved[bit / 8] ^= (unsigned char)(1 << bit % 8);
    EXPECT(m->load(net, saved, size), CNNC_BAD_BYTES);
    saved[bit / 8] ^= (unsigned char)(1 << bit % 8);
  }
  EXPECT(m->set_parameters(net, NULL), CNNC_BAD_ARGUMENT);
  EXPECT(m->set_parameters(NULL, saved), CNNC_BAD_ARGUMENT);
  free(saved);
}

int main(int count, char **arguments) {
  const cnnc_model *m = TABLE();
  examples e = make_examples(m);
  unsigned char *other = malloc(1 << 20);
  FILE *f = count > 1 ? fopen(arguments[1], "rb") : NULL; /* saved bytes of another model */
  size_t other_size = f ? fread(other, 1, 1 << 20, f) : 0;
  if (f) fclose(f);
  outputs = e.outputs;
  output_bytes = (size_t)m->batch * m->output_size * sizeof(float);
  memset(outputs, 0x5A, output_bytes);
  outputs_before = malloc(output_bytes);
  memset(&metrics, 0x5A, sizeof metrics);
  for (int training = trains(m); training >= 0; training--) {
    bytes = bytes_for(m, training, 1);
    memory = aligned(m, bytes);
    before = malloc(bytes);
    memset(memory, 0x11, bytes);
    remember();
    check_init(m, training);
    cnnc_net *net;
    if ((training ? m->init : m->init_inference)(&net, memory, bytes, 1, 1) != CNNC_OK) return 2;
    remember();
    check_calls(m, net, &e, training);
    check_bytes(m, net, other, other_size);
    m->destroy(net);
    remember();
    EXPECT(m->predict(net, e.images, CNNC_F32, 1, outputs), CNNC_BAD_ARGUMENT);
    if (m->save_size(net) != 0 || m->parameter_values(net) != NULL) wrong++;
  }
  printf("%d wrong\n", wrong);
  return wrong != 0;
}
