/* Two models and two states of each train at the same time, in threads of their own; each ends with the bits that it
   has when it trains alone. */
#include <pthread.h>

#define TABLE first_model
#include "model.h"
const cnnc_model *second_model(void);

struct job {
  const cnnc_model *m;
  int threads;
  uint64_t seed;
  const examples *e;
  unsigned char *saved;
  size_t size;
};

static void *train(void *context) {
  struct job *j = context;
  size_t bytes = bytes_for(j->m, 1, j->threads);
  void *memory = aligned(j->m, bytes);
  cnnc_net *net;
  if (j->m->init(&net, memory, bytes, j->threads, j->seed) != CNNC_OK) exit(2);
  for (int i = 0; i < 4; i++)
    if (j->m->train_step(net, j->e->images, CNNC_F32, j->e->targets, (int)j->m->batch, NULL) != CNNC_OK) exit(3);
  j->size = j->m->save_size(net);
  j->saved = malloc(j->size);
  if (j->m->save(net, j->saved, j->size) != CNNC_OK) exit(4);
  j->m->destroy(net);
  free(memory);
  return NULL;
}

int main(void) {
  const cnnc_model *models[2] = {first_model(), second_model()};
  examples e[2] = {make_examples(models[0]), make_examples(models[1])};
  struct job alone[4], together[4];
  for (int i = 0; i < 4; i++) {
    alone[i] = (struct job){models[i / 2], 1, 5 + (uint64_t)i % 2, &e[i / 2], NULL, 0};
    together[i] = alone[i];
    together[i].threads = 2;
    train(&alone[i]);
  }
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, train, &together[i]);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < 4; i++)
    if (alone[i].size != together[i].size || memcmp(alone[i].saved, together[i].saved, alone[i].size)) return 1;
  return memcmp(alone[0].saved, alone[1].saved, alone[0].size) == 0; /* another seed, other parameters */
}
