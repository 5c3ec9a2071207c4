/* The public functions of a library: they choose among the variants that were compiled for different machines, and
   put the kind of pixels in. A net knows its variant by its first member, the table that made it. */
#include "../cnnc_model.h"

#include "cpu.c"

/* Emitted by the compiler: the variants, the most demanding first, and what each needs of the processor. */
extern const cnnc_model *const cnnc_variants[];
extern const uint32_t cnnc_variant_needs[];
extern const uint32_t cnnc_variant_count;

static const cnnc_model *best(void) {
  for (uint32_t i = 0; i < cnnc_variant_count; i++)
    if (cpu_has(cnnc_variant_needs[i])) return cnnc_variants[i];
  return cnnc_variants[cnnc_variant_count - 1]; /* its init says that the machine is not enough */
}

/* The net's own table; null for no net, a destroyed one, or a net of another model. */
static const cnnc_model *table_of(const cnnc_net *net) {
  if (net == NULL) return NULL;
  const cnnc_model *table = *(const cnnc_model *const *)(const void *)net;
  for (uint32_t i = 0; i < cnnc_variant_count; i++)
    if (table == cnnc_variants[i]) return table;
  return NULL;
}

const cnnc_model *cnnc_public_model(void) { return best(); }

cnnc_status cnnc_public_init(cnnc_net **net, void *memory, size_t bytes, int threads, uint64_t seed) {
  return best()->init(net, memory, bytes, threads, seed);
}
cnnc_status cnnc_public_init_inference(cnnc_net **net, void *memory, size_t bytes, int threads, uint64_t seed) {
  return best()->init_inference(net, memory, bytes, threads, seed);
}
void cnnc_public_destroy(cnnc_net *net) {
  const cnnc_model *m = table_of(net);
  if (m != NULL) m->destroy(net);
}

#define WITH_TARGETS(call)                                                                                                           \
  cnnc_status cnnc_public_##call(cnnc_net *net, const float *images, const void *targets, int count, cnnc_metrics *metrics) {        \
    const cnnc_model *m = table_of(net);                                                                                             \
    return m == NULL ? CNNC_BAD_ARGUMENT : m->call(net, images, CNNC_F32, targets, count, metrics);                                  \
  }                                                                                                                                  \
  cnnc_status cnnc_public_##call##_u8(cnnc_net *net, const uint8_t *images, const void *targets, int count, cnnc_metrics *metrics) { \
    const cnnc_model *m = table_of(net);                                                                                             \
    return m == NULL ? CNNC_BAD_ARGUMENT : m->call(net, images, CNNC_U8, targets, count, metrics);                                   \
  }
WITH_TARGETS(train_step)
WITH_TARGETS(gradients)
WITH_TARGETS(evaluate)

cnnc_status cnnc_public_predict(cnnc_net *net, const float *images, int count, void *outputs) {
  const cnnc_model *m = table_of(net);
  return m == NULL ? CNNC_BAD_ARGUMENT : m->predict(net, images, CNNC_F32, count, outputs);
}
cnnc_status cnnc_public_predict_u8(cnnc_net *net, const uint8_t *images, int count, void *outputs) {
  const cnnc_model *m = table_of(net);
  return m == NULL ? CNNC_BAD_ARGUMENT : m->predict(net, images, CNNC_U8, count, outputs);
}
size_t cnnc_public_save_size(const cnnc_net *net) {
  const cnnc_model *m = table_of(net);
  return m == NULL ? 0 : m->save_size(net);
}
cnnc_status cnnc_public_save(const cnnc_net *net, void *bytes, size_t size) {
  const cnnc_model *m = table_of(net);
  return m == NULL ? CNNC_BAD_ARGUMENT : m->save(net, bytes, size);
}
cnnc_status cnnc_public_set_parameters(cnnc_net *net, const void *values) {
  const cnnc_model *m = table_of(net);
  return m == NULL ? CNNC_BAD_ARGUMENT : m->set_parameters(net, values);
}
cnnc_status cnnc_public_load(cnnc_net *net, const void *bytes, size_t size) {
  const cnnc_model *m = table_of(net);
  return m == NULL ? CNNC_BAD_ARGUMENT : m->load(net, bytes, size);
}
