/* The worker threads of a net. Part of hooks.c.
   They are created once and given one job after another: the caller is worker 0 and takes part. A step lasts about
   a millisecond, and a sleeper takes a tenth of one to wake: everybody spins first, for longer than a chunk, so that
   threads sleep between steps that are far apart but not within one. With one worker nothing here touches the system.  */

enum { SPINS = 20000 }; /* 0.1 to 1 ms, by the processor's pause */

typedef void worker_job(void *context, int worker);

struct worker_pool {
  pthread_mutex_t mutex;
  pthread_cond_t posted, finished;
  pthread_t *threads; /* workers - 1 of them, in the caller's memory */
  worker_job *job;    /* written before `generation` moves, read after: so these three need no lock */
  void *context;
  int workers;
  int started; /* threads that exist; also deals out the workers' numbers, under the mutex */
  int stop;
  char apart[64];      /* the words that are spun on have their own cache lines */
  uint32_t generation; /* atomic: counts the jobs posted */
  char apart_too[64];
  uint32_t running; /* atomic: threads that have not finished the job */
};

static void spin_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

static void *worker_main(void *argument) {
  struct worker_pool *pool = (struct worker_pool *)argument;
  pthread_mutex_lock(&pool->mutex);
  int worker = ++pool->started;
  pthread_mutex_unlock(&pool->mutex);
  for (uint32_t seen = 0;; seen++) {
    for (int i = 0; i < SPINS && __atomic_load_n(&pool->generation, __ATOMIC_ACQUIRE) == seen; i++) spin_pause();
    if (__atomic_load_n(&pool->generation, __ATOMIC_ACQUIRE) == seen) {
      pthread_mutex_lock(&pool->mutex);
      while (__atomic_load_n(&pool->generation, __ATOMIC_ACQUIRE) == seen)
        pthread_cond_wait(&pool->posted, &pool->mutex);
      pthread_mutex_unlock(&pool->mutex);
    }
    if (pool->stop) return NULL;
    pool->job(pool->context, worker);
    if (__atomic_sub_fetch(&pool->running, 1, __ATOMIC_ACQ_REL) == 0) {
      pthread_mutex_lock(&pool->mutex); /* or the signal could fall between the caller's test and its sleep */
      pthread_cond_signal(&pool->finished);
      pthread_mutex_unlock(&pool->mutex);
    }
  }
}

static void pool_post(struct worker_pool *pool, int threads) {
  __atomic_store_n(&pool->running, (uint32_t)threads, __ATOMIC_RELAXED);
  pthread_mutex_lock(&pool->mutex);
  __atomic_add_fetch(&pool->generation, 1, __ATOMIC_RELEASE);
  pthread_cond_broadcast(&pool->posted);
  pthread_mutex_unlock(&pool->mutex);
}

/* Runs job(context, w) for every worker w, and returns when all have returned. */
static void pool_run(struct worker_pool *pool, worker_job *job, void *context) {
  pool->job = job;
  pool->context = context;
  pool_post(pool, pool->workers - 1);
  job(context, 0);
  for (int i = 0; i < SPINS && __atomic_load_n(&pool->running, __ATOMIC_ACQUIRE) != 0; i++) spin_pause();
  if (__atomic_load_n(&pool->running, __ATOMIC_ACQUIRE) == 0) return;
  pthread_mutex_lock(&pool->mutex);
  while (__atomic_load_n(&pool->running, __ATOMIC_ACQUIRE) != 0) pthread_cond_wait(&pool->finished, &pool->mutex);
  pthread_mutex_unlock(&pool->mutex);
}

/* Stops and joins the first `threads` threads. */
static void pool_end(struct worker_pool *pool, int threads) {
  pool->stop = 1;
  pool_post(pool, threads);
  for (int i = 0; i < threads; i++) pthread_join(pool->threads[i], NULL);
  pthread_cond_destroy(&pool->finished);
  pthread_cond_destroy(&pool->posted);
  pthread_mutex_destroy(&pool->mutex);
}

static void pool_stop(struct worker_pool *pool) {
  if (pool->workers > 1) pool_end(pool, pool->workers - 1);
}

/* The pool is zeroed memory, `threads` has room for workers - 1. Returns whether all threads could be created; if
   not, none is left. */
static int pool_start(struct worker_pool *pool, pthread_t *threads, int workers) {
  pool->workers = workers;
  pool->threads = threads;
  if (workers == 1) return 1;
  if (pthread_mutex_init(&pool->mutex, NULL) != 0) return 0;
  if (pthread_cond_init(&pool->posted, NULL) != 0) {
    pthread_mutex_destroy(&pool->mutex);
    return 0;
  }
  if (pthread_cond_init(&pool->finished, NULL) != 0) {
    pthread_cond_destroy(&pool->posted);
    pthread_mutex_destroy(&pool->mutex);
    return 0;
  }
  for (int i = 0; i < workers - 1; i++) {
    if (pthread_create(&threads[i], NULL, worker_main, pool) != 0) {
      pool_end(pool, i);
      return 0;
    }
  }
  return 1;
}
