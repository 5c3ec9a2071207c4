/* The stack that a thread uses for any call: below 64 KB. The thread runs on memory that was painted. */
#define _GNU_SOURCE
#include <pthread.h>

#include "model.h"

enum { STACK = 1 << 20,
       LIMIT = 64 << 10 };

struct work {
  const cnnc_model *m;
  cnnc_net *net;
  examples e;
  void *saved;
  size_t size;
  int failed;
};

static void *run(void *context) {
  struct work *w = context;
  w->failed = exercise(w->m, w->net, &w->e, w->saved, w->size);
  return NULL;
}

static void *nothing(void *context) { return context; }

static size_t used_by(void *(*entry)(void *), void *context) {
  unsigned char *stack = aligned_alloc(4096, STACK);
  memset(stack, 0xA5, STACK);
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, STACK);
  pthread_create(&thread, &attributes, entry, context);
  pthread_join(thread, NULL);
  size_t untouched = 0;
  while (untouched < STACK && stack[untouched] == 0xA5) untouched++;
  free(stack);
  return STACK - untouched;
}

int main(void) {
  struct work w = {TABLE(), NULL, {0}, NULL, 0, 0};
  w.e = make_examples(w.m);
  size_t bytes = bytes_for(w.m, trains(w.m), 1);
  if ((trains(w.m) ? w.m->init : w.m->init_inference)(&w.net, aligned(w.m, bytes), bytes, 1, 1) != CNNC_OK) return 1;
  w.size = w.m->save_size(w.net);
  w.saved = malloc(w.size);
  size_t thread = used_by(nothing, &w), used = used_by(run, &w) - thread;
  printf("%zu bytes\n", used);
  return w.failed ? 2 : used > LIMIT ? 3
                                     : 0;
}
