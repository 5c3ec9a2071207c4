/* Every call on a net with the given number of threads; writes the saved bytes to a file, if it is given one. */
#include "model.h"

int main(int count, char **arguments) {
  const cnnc_model *m = TABLE();
  int threads = count > 1 ? atoi(arguments[1]) : 1;
  examples e = make_examples(m);
  size_t bytes = bytes_for(m, trains(m), threads);
  void *memory = aligned(m, bytes);
  cnnc_net *net;
  if ((trains(m) ? m->init : m->init_inference)(&net, memory, bytes, threads, 1) != CNNC_OK) return 1;
  size_t size = m->save_size(net);
  void *saved = malloc(size);
  int failed = exercise(m, net, &e, saved, size);
  FILE *f = count > 2 ? fopen(arguments[2], "wb") : NULL;
  if (f && (fwrite(saved, 1, size, f) != size || fclose(f))) return 2;
  m->destroy(net);
  free(memory);
  free(saved);
  free(e.images);
  free(e.bytes);
  free(e.targets);
  free(e.outputs);
  return failed ? 3 : 0;
}
