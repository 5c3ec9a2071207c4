/* Runs a library that cnnc wrote, for tools/bench. Compiled with -DMODEL=lenet -DMODEL_HEADER='"lenet.h"'.

     driver describe                                             the parameters, as JSON
     driver train|infer THREADS IMAGES LABELS PARAMETERS COUNT   files of raw floats, bytes and floats, COUNT examples

   The second form reads commands, a line each, and answers each with one line of JSON; with the seconds of what is timed
   comes the FMA rate of as many threads, "gflops", measured again and again between slices of the time, since a core's
   clock depends on what it does:
     train BATCH STEPS        starts from the given parameters; warm-up steps, then STEPS timed ones
     predict BATCH CALLS POOL CALLS timed calls that walk over the first POOL examples
     outputs BATCH FILE       the outputs of the first BATCH examples
     parameters FILE          the parameters as they are now  */
#include "peak.h"
#include MODEL_HEADER
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
enum { WARM_UP = 5 };
#define SLICE_SECONDS 0.05
#define PEAK_SECONDS 0.002

static const cnnc_model *model;
static cnnc_net *net;
static void *memory;
static size_t bytes;
static int threads, training;
static float *images, *parameters;
static unsigned char *labels;
static long count;

static double now(void) {
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

static void *read_file(const char *path, size_t size) {
  void *data = aligned_alloc(64, (size + 63) / 64 * 64);
  FILE *f = fopen(path, "rb");
  if (!data || !f || fread(data, 1, size, f) != size) {
    fprintf(stderr, "%s: %zu bytes cannot be read\n", path, size);
    exit(1);
  }
  fclose(f);
  return data;
}

static void write_file(const char *path, const void *data, size_t size) {
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(data, 1, size, f) != size || fclose(f)) {
    fprintf(stderr, "%s: cannot be written\n", path);
    exit(1);
  }
}

static void describe(void) {
  printf("{\"batch\": %u, \"lanes\": %u, \"target\": \"%s\", \"parameter_count\": %llu, \"parameters\": [", model->batch,
         model->lanes, model->target, (unsigned long long)model->parameter_count);
  for (uint32_t i = 0; i < model->parameter_tensors; i++) {
    const cnnc_parameter *p = &model->parameters[i];
    printf("%s{\"name\": \"%s\", \"offset\": %llu, \"shape\": [", i ? ", " : "", p->name, (unsigned long long)p->offset);
    for (uint32_t k = 0; k < p->rank; k++)
      printf("%s%u", k ? ", " : "", p->shape[k]);
    printf("]}");
  }
  printf("]}\n");
}

/* A new net, so that the optimizer begins again too. */
static void start(void) {
  if (net)
    model->destroy(net);
  need((training ? model->init : model->init_inference)(&net, memory, bytes, threads, 1), "init");
  need(model->set_parameters(net, parameters), "set_parameters");
}

/* Batch `step` of the walk over the first `pool` examples. */
static long first_of(long step, int batch, long pool) { return step % (pool / batch) * batch; }

static cnnc_metrics one_step(long step, int batch) {
  const long at = first_of(step, batch, count);
  cnnc_metrics m;
  need(model->train_step(net, images + (size_t)at * model->input_size, CNNC_F32, labels + at, batch, &m), "train_step");
  return m;
}

/* The time of slices of the work, and the FMA rate around each. */
static struct {
  double from, seconds, weighted, before;
} timer;

static void begin_slices(void) {
  timer.seconds = timer.weighted = 0;
  timer.before = fma_rate(threads, PEAK_SECONDS);
  timer.from = now();
}

/* After each piece of work; `last`: there is no more. */
static void end_piece(int last) {
  const double spent = now() - timer.from;
  if (spent < SLICE_SECONDS && !last)
    return;
  const double after = fma_rate(threads, PEAK_SECONDS);
  timer.seconds += spent;
  timer.weighted += spent * (timer.before + after) / 2;
  timer.before = after;
  timer.from = now();
}

static void print_timer(void) {
  printf("\"seconds\": %.9g, \"threads\": %d, \"gflops\": %.6g}\n", timer.seconds, threads, timer.weighted / timer.seconds);
}

static void train(int batch, long steps) {
  start();
  printf("{\"losses\": [");
  for (int i = 0; i < WARM_UP; i++)
    printf("%s%.9g", i ? ", " : "", one_step(i, batch).loss);
  begin_slices();
  double loss = 0;
  for (long i = 0; i < steps; i++) {
    loss = one_step(WARM_UP + i, batch).loss;
    end_piece(i + 1 == steps);
  }
  printf("], \"last_loss\": %.9g, ", loss);
  print_timer();
}

static void predict(int batch, long calls, long pool) {
  float *outputs = malloc((size_t)batch * model->output_size * sizeof(float));
  for (long i = -WARM_UP; i < calls; i++) {
    if (i == 0)
      begin_slices();
    const long at = first_of(i + WARM_UP, batch, pool);
    need(model->predict(net, images + (size_t)at * model->input_size, CNNC_F32, batch, outputs), "predict");
    if (i >= 0)
      end_piece(i + 1 == calls);
  }
  printf("{");
  print_timer();
  free(outputs);
}

static void write_outputs(int batch, const char *path) {
  const size_t size = (size_t)batch * model->output_size * sizeof(float);
  float *outputs = malloc(size);
  need(model->predict(net, images, CNNC_F32, batch, outputs), "predict");
  write_file(path, outputs, size);
  free(outputs);
  printf("{}\n");
}

int main(int argc, char **argv) {
  model = JOIN(MODEL, _model)();
  if (argc == 2 && !strcmp(argv[1], "describe"))
    return describe(), 0;
  if (argc != 7)
    return 2;
  training = !strcmp(argv[1], "train");
  threads = atoi(argv[2]);
  count = atol(argv[6]);
  images = read_file(argv[3], (size_t)count * model->input_size * sizeof(float));
  labels = read_file(argv[4], (size_t)count);
  parameters = read_file(argv[5], model->parameter_count * sizeof(float));
  bytes = training ? model->train_bytes(threads) : model->infer_bytes(threads);
  memory = aligned_alloc(model->alignment, (bytes + model->alignment - 1) / model->alignment * model->alignment);
  if (!memory)
    return 3;
  start();
  printf("{\"version\": \"%s\", \"vector_bits\": %s}\n", model->version, choose_fastest());
  fflush(stdout);
  char line[4200], path[4096];
  int batch;
  long n, pool;
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "train %d %ld", &batch, &n) == 2)
      train(batch, n);
    else if (sscanf(line, "predict %d %ld %ld", &batch, &n, &pool) == 3)
      predict(batch, n, pool);
    else if (sscanf(line, "outputs %d %4095[^\n]", &batch, path) == 2)
      write_outputs(batch, path);
    else if (sscanf(line, "parameters %4095[^\n]", path) == 1)
      write_file(path, model->parameter_values(net), model->parameter_count * sizeof(float)), printf("{}\n");
    else
      return 2;
    fflush(stdout);
  }
  model->destroy(net);
  return 0;
}
