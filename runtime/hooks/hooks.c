/* The hand-written half of a generated library: argument checks, memory, threads, dealing chunks, save and load.
   All arithmetic on tensors is in the routines of hooks.h. C99 and C++17; no global state, no allocation.

   A call deals its images in chunks of `lanes`: chunk c goes to partial sum c mod P. Each partial takes its chunks in
   order, one at a time, from whichever thread is free, and the partials are summed in order: so the result depends
   neither on the number of threads nor on their speed.  */
#include "hooks.h"

#ifndef CNNC_NO_SYSTEM_HEADERS
#include <math.h>
#include <pthread.h>
#include <string.h>
#else
/* For cross-compiling without the target's headers: what the 64-bit C libraries of Linux agree on. The objects are
   larger than any of them needs. */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
double log(double);
double cos(double);
double sqrt(double);
typedef union {
  char bytes[128];
  void *align;
} pthread_mutex_t;
typedef union {
  char bytes[128];
  void *align;
} pthread_cond_t;
typedef unsigned long pthread_t;
int pthread_mutex_init(pthread_mutex_t *, const void *);
int pthread_mutex_destroy(pthread_mutex_t *);
int pthread_mutex_lock(pthread_mutex_t *);
int pthread_mutex_unlock(pthread_mutex_t *);
int pthread_cond_init(pthread_cond_t *, const void *);
int pthread_cond_destroy(pthread_cond_t *);
int pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *);
int pthread_cond_signal(pthread_cond_t *);
int pthread_cond_broadcast(pthread_cond_t *);
int pthread_create(pthread_t *, const void *, void *(*)(void *), void *);
int pthread_join(pthread_t, void **);
#endif

#include "cpu.c"
#include "random.c"
#include "threads.c"

/* Below this many multiply-adds a call, waking threads costs more than they save: so it does for a single chunk, which
   one thread works on. */
#define THREADS_PAY_FROM 2000000u

enum task { TASK_TRAIN,
            TASK_GRADIENTS,
            TASK_EVALUATE,
            TASK_PREDICT };

static int infers(enum task task) { return task == TASK_EVALUATE || task == TASK_PREDICT; }

/* One call, as the threads see it. */
struct task_call {
  enum task task;
  int pixels;
  uint64_t count;
  const char *images, *targets;
  char *outputs;
  cnnc_real scale;
};

/* What is left to be dealt: of the chunks of one partial, or of the blocks of one worker. Each has two cache lines: processors
   fetch the other one of a pair as well. */
struct share {
  uint64_t next; /* atomic: the first image of the partial's next chunk, or the worker's next block */
  uint32_t busy; /* atomic: a thread is at this partial; the rest is that thread's */
  uint32_t done; /* atomic: it has had all its chunks */
  uint32_t kept;
  uint32_t summed; /* train_kept has added to it */
  char apart[128 - 24];
};

/* Inference reads all that was prepared for it with each chunk. Where two cores read the same lines, each from its own
   cache, that takes some per cent longer than where each reads its own.  */
struct copy_state {
  uint64_t changes; /* of what was prepared, when it was copied */
};

/* The start of the caller's memory; the regions follow, each aligned. */
struct cnnc_net {
  const cnnc_model *model; /* null once destroyed */
  int trains;              /* 0: made by init_inference */
  int sharing;             /* workers of the current call: all, or only the caller */
  struct share *shares;    /* one a partial; there are no more workers than that */
  uint32_t not_finite;     /* atomic: a worker met such an image or output */
  uint32_t overflowed;     /* atomic: an update made such a parameter, until `load` or `set_parameters` replace it */
  uint64_t step;
  cnnc_real *parameters, *state, *gradients;
  char *prepared;
  uint64_t prepared_changes; /* since init */
  char *copies;              /* of the first copied_bytes of `prepared`, one a further worker, each behind its struct copy_state */
  int stale;                 /* the parameters changed since `prepared` was made of them */
  int stale_infer;           /* the same of what inference alone reads */
  int stale_one;             /* and of what one image at a time reads */
  char *partials;            /* without training a partial has metrics only: see place_net */
  uint64_t partial_stride;
  char *thread_areas; /* one a worker: its staged images, targets and outputs, its workspace, its scratch memory */
  uint64_t thread_stride;
  struct task_call call;
  struct worker_pool pool;
};

static int is_net(const cnnc_net *net) { return net != NULL && net->model == &cnnc_the_model; }

/* By the bits, so that no compiler option can assume it away. */
static int is_finite(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (bits >> 52 & 0x7FF) != 0x7FF;
}

/* Not one NaN or infinity: a saturating activation would hide one from the loss, but not from the gradient. All images
   and parameters pass through here, so the compiler makes it for the target's vectors (codegen/module.cpp): it is not to
   be called, nor inlined, before the processor is known to have them. */
typedef uint32_t words __attribute__((vector_size(64)));
__attribute__((noinline)) static int floats_finite(const float *values, uint64_t count) {
  enum { WIDTH = sizeof(words) / sizeof(float) };
  words bad[2] = {{0}, {0}};
  uint64_t i = 0;
  for (; i + 2 * WIDTH <= count; i += 2 * WIDTH)
    for (int half = 0; half < 2; half++) {
      words bits;
      memcpy(&bits, values + i + half * WIDTH, sizeof bits);
      bad[half] |= (words)((bits & 0x7F800000u) == 0x7F800000u);
    }
  bad[0] |= bad[1];
  uint32_t any = 0;
  for (int lane = 0; lane < WIDTH; lane++) any |= bad[0][lane];
  for (; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, values + i, sizeof bits);
    any |= (uint32_t)((bits & 0x7F800000u) == 0x7F800000u);
  }
  return any == 0;
}

static int reals_finite(const cnnc_real *values, uint64_t count) {
  const void *place = values;
  if (sizeof(cnnc_real) == sizeof(float)) return floats_finite((const float *)place, count);
  int finite = 1;
  for (uint64_t i = 0; i < count; i++) finite &= is_finite((double)values[i]);
  return finite;
}

#include "checkpoint.c"

/* Memory ------------------------------------------------------------------------------------------------------- */

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t round_to_alignment(uint64_t bytes) {
  uint64_t alignment = cnnc_the_model.alignment;
  return (bytes + alignment - 1) / alignment * alignment;
}

static int threads_pay(uint64_t count) {
  uint64_t macs = cnnc_the_plan.macs;
  return macs != 0 && count > cnnc_the_model.lanes && count >= (THREADS_PAY_FROM + macs - 1) / macs;
}

static int worker_count(int threads) {
  if (threads < 1 || !threads_pay(cnnc_the_model.batch)) return 1;
  return (uint32_t)threads < cnnc_the_model.partial_sums ? threads : (int)cnnc_the_model.partial_sums;
}

static uint64_t image_bytes(int pixels) {
  return cnnc_the_model.input_size * (pixels == CNNC_U8 ? 1 : sizeof(float));
}

static uint64_t target_bytes(void) {
  switch (cnnc_the_model.target_kind) {
  case CNNC_LABELS_U8: return 1;
  case CNNC_LABELS_U16: return 2;
  case CNNC_TARGET_IMAGE: return cnnc_the_model.target_size * sizeof(float);
  default: return 0;
  }
}

static uint64_t output_bytes(void) { return cnnc_the_model.output_size * sizeof(cnnc_real); }
static uint64_t copy_stride(void) {
  uint64_t bytes = cnnc_the_plan.copied_bytes;
  return bytes == 0 ? 0 : round_to_alignment(sizeof(struct copy_state)) + round_to_alignment(bytes);
}

static uint64_t metrics_bytes(void) { return 2 * (uint64_t)cnnc_the_model.lanes * sizeof(cnnc_real); }

/* A worker's area: images, targets, outputs, workspace, scratch memory. */
static uint64_t staged_targets(void) { return round_to_alignment(cnnc_the_model.lanes * image_bytes(CNNC_F32)); }
static uint64_t staged_outputs(void) {
  return staged_targets() + round_to_alignment(cnnc_the_model.lanes * target_bytes());
}
static uint64_t workspace_place(void) {
  return staged_outputs() + round_to_alignment(cnnc_the_model.lanes * output_bytes());
}

/* Where everything stands, and the size of it all. With memory, fills in the net at its start as well, so that the
   size asked for and the size used cannot differ. */
static uint64_t place_net(void *memory, int trains, int workers) {
  const cnnc_plan *plan = &cnnc_the_plan;
  uint64_t tensor = plan->parameter_padded * sizeof(cnnc_real);
  uint64_t sums = plan->trains ? cnnc_the_model.partial_sums : 0;
  uint64_t partial_stride = trains ? plan->partial_bytes : round_to_alignment(metrics_bytes());
  uint64_t workspace = trains ? larger(plan->workspace_train_bytes, plan->workspace_infer_bytes)
                              : plan->workspace_infer_bytes;
  uint64_t thread_stride = workspace_place() + round_to_alignment(workspace) + round_to_alignment(plan->scratch_bytes);

  uint64_t threads = round_to_alignment(sizeof(struct cnnc_net));
  uint64_t shares = threads + round_to_alignment((uint64_t)(workers - 1) * sizeof(pthread_t));
  uint64_t parameters = shares + round_to_alignment(cnnc_the_model.partial_sums * sizeof(struct share));
  uint64_t state = parameters + round_to_alignment(tensor);
  uint64_t gradients = state + (trains ? round_to_alignment(tensor * plan->state_slots) : 0);
  uint64_t prepared = gradients + (trains ? round_to_alignment(tensor) : 0);
  uint64_t copies = prepared + round_to_alignment(plan->prepared_bytes);
  uint64_t partials = copies + (uint64_t)(workers - 1) * copy_stride();
  uint64_t thread_areas = partials + round_to_alignment(sums * partial_stride);
  uint64_t total = thread_areas + (uint64_t)workers * thread_stride;
  if (memory == NULL) return total;

  char *base = (char *)memory;
  cnnc_net *net = (cnnc_net *)memory;
  memset(base, 0, (size_t)thread_areas);
  net->model = &cnnc_the_model;
  net->trains = trains;
  net->parameters = (cnnc_real *)(void *)(base + parameters);
  net->state = trains ? (cnnc_real *)(void *)(base + state) : NULL;
  net->gradients = trains ? (cnnc_real *)(void *)(base + gradients) : NULL;
  net->prepared = base + prepared;
  net->copies = base + copies;
  net->stale = net->stale_infer = net->stale_one = 1;
  net->partials = base + partials;
  /* Generated code adds partial_metrics to a partial's address: take it off where only the metrics exist. */
  if (!trains) net->partials = (char *)((uintptr_t)net->partials - (uintptr_t)plan->partial_metrics);
  net->partial_stride = partial_stride;
  net->thread_areas = base + thread_areas;
  net->thread_stride = thread_stride;
  net->pool.threads = (pthread_t *)(void *)(base + threads);
  net->shares = (struct share *)(void *)(base + shares);
  return total;
}

uint64_t cnnc_hook_train_bytes(int threads) { return place_net(NULL, 1, worker_count(threads)); }
uint64_t cnnc_hook_infer_bytes(int threads) { return place_net(NULL, 0, worker_count(threads)); }

static cnnc_status init_net(cnnc_net **net, void *memory, size_t bytes, int threads, uint64_t seed, int trains) {
  if (net == NULL || memory == NULL || threads < 1) return CNNC_BAD_ARGUMENT;
  if (trains && !cnnc_the_plan.trains) return CNNC_INFERENCE_ONLY;
  if (!cpu_has(cnnc_the_plan.cpu_needs)) return CNNC_UNSUPPORTED_CPU;
  if ((uintptr_t)memory % cnnc_the_model.alignment != 0) return CNNC_MISALIGNED;
  int workers = worker_count(threads);
  if (bytes < place_net(NULL, trains, workers)) return CNNC_MEMORY_TOO_SMALL;
  place_net(memory, trains, workers);
  cnnc_net *made = (cnnc_net *)memory;
  start_parameters(made->parameters, seed);
  if (!pool_start(&made->pool, made->pool.threads, workers)) {
    made->model = NULL;
    return CNNC_NO_THREADS;
  }
  *net = made;
  return CNNC_OK;
}

cnnc_status cnnc_hook_init(cnnc_net **net, void *memory, size_t bytes, int threads, uint64_t seed) {
  return init_net(net, memory, bytes, threads, seed, 1);
}

cnnc_status cnnc_hook_init_inference(cnnc_net **net, void *memory, size_t bytes, int threads, uint64_t seed) {
  return init_net(net, memory, bytes, threads, seed, 0);
}

void cnnc_hook_destroy(cnnc_net *net) {
  if (!is_net(net)) return;
  pool_stop(&net->pool);
  net->model = NULL;
}

/* What one worker does -------------------------------------------------------------------------------------------- */

static cnnc_frame make_frame(cnnc_net *net, int worker) {
  cnnc_frame frame;
  memset(&frame, 0, sizeof frame);
  frame.region[REGION_PARAMETERS] = net->parameters;
  frame.region[REGION_STATE] = net->state;
  frame.region[REGION_GRADIENTS] = net->gradients;
  frame.region[REGION_PARTIALS] = net->partials;
  frame.region[REGION_PREPARED] = net->prepared;
  frame.region[REGION_WORKSPACE] =
      net->thread_areas + (uint64_t)worker * net->thread_stride + workspace_place();
  frame.region[REGION_SCRATCH] =
      net->thread_areas + (uint64_t)(worker + 1) * net->thread_stride - round_to_alignment(cnnc_the_plan.scratch_bytes);
  frame.scale = net->call.scale;
  frame.step = net->step < INT32_MAX ? (int32_t)(net->step + 1) : INT32_MAX;
  return frame;
}

/* What inference reads, as this worker reads it. */
static void *prepared_for(cnnc_net *net, int worker) {
  if (worker == 0 || cnnc_the_plan.copied_bytes == 0) return net->prepared;
  char *own = net->copies + (uint64_t)(worker - 1) * copy_stride(), *copy = own + round_to_alignment(sizeof(struct copy_state));
  struct copy_state *state = (struct copy_state *)(void *)own;
  if (state->changes != net->prepared_changes) {
    memcpy(copy, net->prepared, (size_t)cnnc_the_plan.copied_bytes);
    state->changes = net->prepared_changes;
  }
  return copy;
}

/* The user's items first..first+valid; when they do not fill the chunk, a copy that zeros complete. Generated code
   does not write what it is handed here. */
static void *whole_chunk(const char *items, uint64_t item_bytes, uint64_t first, uint64_t valid, char *staged) {
  if (items == NULL) return NULL;
  const char *from = items + first * item_bytes;
  if (valid == cnnc_the_model.lanes) return (void *)(uintptr_t)from;
  memcpy(staged, from, (size_t)(valid * item_bytes));
  memset(staged + valid * item_bytes, 0, (size_t)((cnnc_the_model.lanes - valid) * item_bytes));
  return staged;
}

static void predict_chunk(cnnc_net *net, cnnc_frame *frame, uint64_t first, uint64_t valid, char *staged) {
  char *outputs = net->call.outputs + first * output_bytes();
  frame->region[REGION_OUTPUTS] = valid == cnnc_the_model.lanes ? outputs : staged;
  cnnc_unpack(frame);
  const cnnc_real *values = (const cnnc_real *)frame->region[REGION_OUTPUTS];
  if (valid < cnnc_the_model.lanes) memcpy(outputs, staged, (size_t)(valid * output_bytes()));
  if (!reals_finite(values, valid * cnnc_the_model.output_size)) __atomic_store_n(&net->not_finite, 1u, __ATOMIC_RELAXED);
}

/* Of the partials first, first + step, ... that have chunks left and no thread the least advanced; -1: there is none. */
static int least_advanced(const cnnc_net *net, int first, int step) {
  int best = -1;
  uint64_t best_next = 0;
  for (int p = first; p < (int)cnnc_the_model.partial_sums; p += step) {
    const struct share *share = &net->shares[p];
    if (__atomic_load_n(&share->done, __ATOMIC_RELAXED) || __atomic_load_n(&share->busy, __ATOMIC_RELAXED)) continue;
    uint64_t next = __atomic_load_n(&share->next, __ATOMIC_RELAXED);
    if (best >= 0 && next >= best_next) continue;
    best = p;
    best_next = next;
  }
  return best;
}

/* The partial to go on with: one of the worker's own if there is any, so that to the end each has something for a thread
   that comes to help, and until then looks at none of what the others write. What another thread changes meanwhile makes
   the choice worse, not wrong. */
static int choose_partial(const cnnc_net *net, int worker) {
  int own = least_advanced(net, worker, net->sharing);
  return own >= 0 || net->sharing == 1 ? own : least_advanced(net, 0, 1);
}

/* The images that this worker will probably take after those from `first` on, of its own partials. Behind the last one of
   the call are those of the next call, if the caller walks over its images: an address to fetch from need not be the
   caller's. */
static void *images_ahead(const cnnc_net *net, int worker, uint64_t first) {
  uint64_t lanes = cnnc_the_model.lanes, next = first + cnnc_the_model.partial_sums * lanes;
  int p = least_advanced(net, worker, net->sharing);
  if (p >= 0) {
    uint64_t other = __atomic_load_n(&net->shares[p].next, __ATOMIC_RELAXED);
    if (other < next) next = other;
  }
  if (next >= net->call.count) next = net->call.count + (uint64_t)worker * lanes;
  return (void *)((uintptr_t)net->call.images + next * image_bytes(net->call.pixels));
}

static void run_chunk(cnnc_net *net, cnnc_frame *frame, int worker, uint64_t first) {
  const struct task_call *call = &net->call;
  char *staged = net->thread_areas + (uint64_t)worker * net->thread_stride;
  uint64_t left = call->count - first, valid = left < cnnc_the_model.lanes ? left : cnnc_the_model.lanes;
  frame->valid = (int32_t)valid;
  frame->region[REGION_IMAGES] = whole_chunk(call->images, image_bytes(call->pixels), first, valid, staged);
  frame->region[REGION_AHEAD] = images_ahead(net, worker, first);
  frame->pixel = call->pixels == CNNC_U8 ? 1 : 4;
  frame->region[REGION_TARGETS] =
      whole_chunk(call->targets, target_bytes(), first, valid, staged + staged_targets());
  if (call->pixels == CNNC_U8) cnnc_pack_u8(frame);
  else cnnc_pack_f32(frame);
  if (call->pixels == CNNC_F32 && !floats_finite((const float *)frame->region[REGION_IMAGES], valid * cnnc_the_model.input_size))
    __atomic_store_n(&net->not_finite, 1u, __ATOMIC_RELAXED);
  if (call->task == TASK_PREDICT) {
    cnnc_infer(frame);
    predict_chunk(net, frame, first, valid, staged + staged_outputs());
    return;
  }
  cnnc_pack_target(frame);
  if (call->task == TASK_EVALUATE) {
    cnnc_infer(frame);
    cnnc_loss(frame);
  } else {
    cnnc_train(frame);
  }
}

/* One chunk of a partial, and what comes before its first and after its last. */
static void work_on_partial(cnnc_net *net, cnnc_frame *frame, int worker, int p) {
  const struct task_call *call = &net->call;
  const cnnc_plan *plan = &cnnc_the_plan;
  struct share *share = &net->shares[p];
  uint64_t lanes = cnnc_the_model.lanes, begin = (uint64_t)p * lanes, first = share->next;
  int trains = call->task == TASK_TRAIN || call->task == TASK_GRADIENTS;
  if (call->task != TASK_PREDICT) {
    char *partial = net->partials + (uint64_t)p * net->partial_stride;
    frame->region[REGION_PARTIAL] = partial;
    if (first == begin) {
      if (!trains) memset(partial + plan->partial_metrics, 0, (size_t)metrics_bytes());
      else if (begin >= call->count) memset(partial, 0, (size_t)(plan->partial_metrics + metrics_bytes()));
      for (uint32_t i = 0; trains && i < plan->sum_count; i++)
        memset(partial + plan->sums[i].offset, 0, (size_t)plan->sums[i].bytes);
    }
  }
  uint64_t next = first + cnnc_the_model.partial_sums * lanes;
  if (first < call->count) {
    frame->block = (int32_t)share->kept++;
    run_chunk(net, frame, worker, first);
  }
  if (trains && share->kept != 0 && (share->kept == plan->kept || next >= call->count)) {
    frame->valid = (int32_t)share->kept;
    frame->fresh = !share->summed;
    cnnc_train_kept(frame);
    share->kept = 0;
    share->summed = 1;
  }
  if (trains && next >= call->count) {
    frame->valid = (int32_t)lanes;
    cnnc_finish_partial(frame);
  }
  __atomic_store_n(&share->next, next, __ATOMIC_RELAXED);
  if (next >= call->count) __atomic_store_n(&share->done, 1u, __ATOMIC_RELAXED);
}

/* The first half of every call. A thread that finds no partial free may go: each that has chunks left has its thread. */
static void work_on_chunks(void *context, int worker) {
  cnnc_net *net = (cnnc_net *)context;
  cnnc_frame frame = make_frame(net, worker);
  if (infers(net->call.task)) frame.region[REGION_PREPARED] = prepared_for(net, worker);
  for (int p = choose_partial(net, worker); p >= 0; p = choose_partial(net, worker)) {
    struct share *share = &net->shares[p];
    if (__atomic_exchange_n(&share->busy, 1u, __ATOMIC_ACQUIRE)) continue;
    if (!__atomic_load_n(&share->done, __ATOMIC_RELAXED)) work_on_partial(net, &frame, worker, p);
    __atomic_store_n(&share->busy, 0u, __ATOMIC_RELEASE);
  }
}

static void work_on_block(cnnc_net *net, cnnc_frame *frame, uint64_t block) {
  frame->block = (int32_t)block;
  if (net->call.task == TASK_GRADIENTS) {
    cnnc_reduce(frame);
    return;
  }
  cnnc_update(frame);
  uint64_t elements = cnnc_the_plan.block_elements, first = block * elements;
  int finite = reals_finite(net->parameters + first, elements);
  for (uint32_t slot = 0; slot < cnnc_the_plan.state_slots; slot++)
    finite &= reals_finite(net->state + slot * cnnc_the_plan.parameter_padded + first, elements);
  if (!finite) __atomic_store_n(&net->overflowed, 1u, __ATOMIC_RELAXED);
}

/* The second half of training: each worker has an equal share of the blocks of the parameters, the same in each step,
   as they are in its cache; then it helps with those of the others. */
static void work_on_blocks(void *context, int worker) {
  cnnc_net *net = (cnnc_net *)context;
  uint64_t blocks = cnnc_the_plan.parameter_blocks, sharing = (uint64_t)net->sharing;
  cnnc_frame frame = make_frame(net, worker);
  for (uint64_t i = 0; i < sharing; i++) {
    uint64_t owner = ((uint64_t)worker + i) % sharing;
    uint64_t begin = blocks * owner / sharing, end = blocks * (owner + 1) / sharing;
    for (;;) {
      uint64_t block = begin + __atomic_fetch_add(&net->shares[owner].next, 1u, __ATOMIC_RELAXED);
      if (block >= end) break;
      work_on_block(net, &frame, block);
    }
  }
}

/* The calls -------------------------------------------------------------------------------------------------------- */

static void run_job(cnnc_net *net, worker_job *job) {
  if (net->sharing > 1) pool_run(&net->pool, job, net);
  else job(net, 0);
}

static void share_chunks(cnnc_net *net) {
  memset(net->shares, 0, cnnc_the_model.partial_sums * sizeof *net->shares);
  for (uint32_t p = 0; p < cnnc_the_model.partial_sums; p++) net->shares[p].next = (uint64_t)p * cnnc_the_model.lanes;
  run_job(net, work_on_chunks);
}

static void share_blocks(cnnc_net *net) {
  for (uint32_t p = 0; p < cnnc_the_model.partial_sums; p++) net->shares[p].next = 0;
  run_job(net, work_on_blocks);
}

static cnnc_status check_images(const cnnc_net *net, const void *images, int pixels, int count) {
  if (!is_net(net) || images == NULL || (pixels != CNNC_F32 && pixels != CNNC_U8)) return CNNC_BAD_ARGUMENT;
  if (count < 1 || (uint32_t)count > cnnc_the_model.batch) return CNNC_BAD_COUNT;
  return net->overflowed ? CNNC_NOT_FINITE : CNNC_OK;
}

static cnnc_status check_labels(const void *targets, int count) {
  uint32_t classes = cnnc_the_model.classes;
  if (cnnc_the_model.target_kind == CNNC_LABELS_U8) {
    const uint8_t *labels = (const uint8_t *)targets;
    for (int i = 0; i < count; i++)
      if (labels[i] >= classes) return CNNC_BAD_LABEL;
  } else if (cnnc_the_model.target_kind == CNNC_LABELS_U16) {
    const uint16_t *labels = (const uint16_t *)targets;
    for (int i = 0; i < count; i++)
      if (labels[i] >= classes) return CNNC_BAD_LABEL;
  }
  return CNNC_OK;
}

static void begin_call(cnnc_net *net, enum task task, const void *images, int pixels, int count) {
  struct task_call *call = &net->call;
  call->task = task;
  call->images = (const char *)images;
  call->targets = NULL;
  call->outputs = NULL;
  call->pixels = pixels;
  call->count = (uint64_t)count;
  call->scale = 1;
  net->not_finite = 0;
  net->sharing = threads_pay(call->count) ? net->pool.workers : 1;
  if (net->stale || (infers(task) && net->stale_infer)) {
    cnnc_frame frame = make_frame(net, 0);
    if (net->stale) cnnc_prepare(&frame);
    if (infers(task) && net->stale_infer) cnnc_prepare_infer(&frame);
    net->stale = 0;
    net->stale_infer = net->stale_infer && !infers(task);
    net->prepared_changes++;
  }
}

/* Adds up the partials' metrics in their order. What is reported is a mean unless the model says a sum. */
static cnnc_status measure(const cnnc_net *net, double divisor, cnnc_metrics *metrics) {
  uint32_t lanes = cnnc_the_model.lanes;
  double loss = 0, correct = 0;
  for (uint64_t p = 0; p < cnnc_the_model.partial_sums; p++) {
    const void *place = net->partials + p * net->partial_stride + cnnc_the_plan.partial_metrics;
    const cnnc_real *values = (const cnnc_real *)place;
    for (uint32_t i = 0; i < lanes; i++) {
      loss += (double)values[i];
      correct += (double)values[lanes + i];
    }
  }
  loss /= divisor;
  if (metrics != NULL) {
    metrics->loss = loss;
    metrics->correct = correct >= 0 && correct <= (double)net->call.count ? (int32_t)correct : 0;
    metrics->count = (int32_t)net->call.count;
  }
  return is_finite(loss) ? CNNC_OK : CNNC_NOT_FINITE;
}

/* All that learns or measures: `metrics` may be null. */
static cnnc_status run_with_loss(cnnc_net *net, enum task task, const void *images, int pixels, const void *targets,
                                 int count, cnnc_metrics *metrics) {
  cnnc_status status = check_images(net, images, pixels, count);
  if (status != CNNC_OK) return status;
  if (task == TASK_EVALUATE ? !cnnc_the_plan.trains : !net->trains) return CNNC_INFERENCE_ONLY;
  if (cnnc_the_model.target_kind != CNNC_NO_TARGET) {
    if (targets == NULL) return CNNC_BAD_ARGUMENT;
    status = check_labels(targets, count);
    if (status != CNNC_OK) return status;
  }

  double divisor = 1;
  if (!cnnc_the_model.loss_is_sum) divisor = count;
  if (!cnnc_the_model.loss_is_sum && cnnc_the_model.target_kind == CNNC_TARGET_IMAGE)
    divisor *= (double)cnnc_the_model.target_size;
  begin_call(net, task, images, pixels, count);
  net->call.targets = cnnc_the_model.target_kind != CNNC_NO_TARGET ? (const char *)targets : NULL;
  net->call.scale = (cnnc_real)(1 / divisor);
  share_chunks(net);
  status = measure(net, divisor, metrics);
  if (__atomic_load_n(&net->not_finite, __ATOMIC_RELAXED)) status = CNNC_NOT_FINITE;
  if (status != CNNC_OK || task == TASK_EVALUATE) return status;
  share_blocks(net);
  if (task == TASK_GRADIENTS) return reals_finite(net->gradients, cnnc_the_plan.parameter_padded) ? CNNC_OK : CNNC_NOT_FINITE;
  net->step++;
  net->stale = net->stale_infer = net->stale_one = 1;
  return net->overflowed ? CNNC_NOT_FINITE : CNNC_OK;
}

cnnc_status cnnc_hook_train_step(cnnc_net *net, const void *images, int pixels, const void *targets, int count,
                                 cnnc_metrics *metrics) {
  return run_with_loss(net, TASK_TRAIN, images, pixels, targets, count, metrics);
}

cnnc_status cnnc_hook_gradients(cnnc_net *net, const void *images, int pixels, const void *targets, int count,
                                cnnc_metrics *metrics) {
  return run_with_loss(net, TASK_GRADIENTS, images, pixels, targets, count, metrics);
}

cnnc_status cnnc_hook_evaluate(cnnc_net *net, const void *images, int pixels, const void *targets, int count,
                               cnnc_metrics *metrics) {
  return run_with_loss(net, TASK_EVALUATE, images, pixels, targets, count, metrics);
}

/* A few images, one after the other in this thread: no lanes, nothing packed. The parameters are repacked by the first
   call after they changed. */
static cnnc_status predict_each(cnnc_net *net, const void *images, int pixels, uint64_t count, void *outputs) {
  uint64_t size = cnnc_the_model.input_size, results = cnnc_the_model.output_size;
  int real = pixels == CNNC_F32 && sizeof(cnnc_real) == sizeof(float), finite = 1;
  net->call.scale = 1;
  cnnc_frame frame = make_frame(net, 0);
  char *staged = net->thread_areas;
  cnnc_real *values = (cnnc_real *)(void *)(staged + staged_outputs());
  frame.valid = 1;
  frame.region[REGION_OUTPUTS] = values;
  if (net->stale_one) {
    cnnc_prepare_one(&frame);
    net->stale_one = 0;
  }
  for (uint64_t i = 0; i < count; i++) {
    const char *image = (const char *)images + i * image_bytes(pixels);
    frame.region[REGION_IMAGES] = (void *)(uintptr_t)image;
    frame.region[REGION_IMAGE] = real ? (void *)(uintptr_t)image : staged;
    if (pixels == CNNC_U8) cnnc_convert_u8(&frame);
    else if (sizeof(cnnc_real) != sizeof(float)) cnnc_convert_f32(&frame);
    if (pixels == CNNC_F32) finite &= floats_finite((const float *)(const void *)image, size);
    cnnc_infer_one(&frame);
    finite &= reals_finite(values, results);
    memcpy((char *)outputs + i * output_bytes(), values, (size_t)output_bytes());
  }
  return finite ? CNNC_OK : CNNC_NOT_FINITE;
}

cnnc_status cnnc_hook_predict(cnnc_net *net, const void *images, int pixels, int count, void *outputs) {
  if (outputs == NULL) return CNNC_BAD_ARGUMENT;
  cnnc_status status = check_images(net, images, pixels, count);
  if (status != CNNC_OK) return status;
  if ((uint32_t)count <= cnnc_the_plan.single_most) return predict_each(net, images, pixels, (uint64_t)count, outputs);
  begin_call(net, TASK_PREDICT, images, pixels, count);
  net->call.outputs = (char *)outputs;
  share_chunks(net);
  return __atomic_load_n(&net->not_finite, __ATOMIC_RELAXED) ? CNNC_NOT_FINITE : CNNC_OK;
}

cnnc_status cnnc_hook_set_parameters(cnnc_net *net, const void *values) {
  if (!is_net(net) || values == NULL) return CNNC_BAD_ARGUMENT;
  uint64_t count = cnnc_the_model.parameter_count;
  if (!reals_finite((const cnnc_real *)values, count)) return CNNC_NOT_FINITE;
  memcpy(net->parameters, values, (size_t)(count * sizeof(cnnc_real)));
  net->stale = net->stale_infer = net->stale_one = 1;
  net->overflowed = net->trains && !reals_finite(net->state, cnnc_the_plan.state_slots * cnnc_the_plan.parameter_padded);
  return CNNC_OK;
}

const void *cnnc_hook_parameter_values(const cnnc_net *net) { return is_net(net) ? net->parameters : NULL; }
const void *cnnc_hook_gradient_values(const cnnc_net *net) { return is_net(net) ? net->gradients : NULL; }
uint64_t cnnc_hook_step(const cnnc_net *net) { return is_net(net) ? net->step : 0; }
