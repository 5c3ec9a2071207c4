/* The float32 FMA rate of the machine, for tools/bench: what every share of peak is divided by.

   Each thread keeps independent accumulators in registers, more than the FMA units' latency times their number, and
   touches no memory. Vectors of each width that the machine has are tried at the start, and the fastest is used, since
   some machines execute 512 bits in two halves and some slow their clock down for them. A thread's rate is by its own
   processor time: threads of the work that has just ended may still be there for a moment.  */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

typedef float v4 __attribute__((vector_size(16)));
typedef float v8 __attribute__((vector_size(32)));
typedef float v16 __attribute__((vector_size(64)));

static double processor_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { ACCUMULATORS = 12, STEPS = 20000 };

/* x = x * a + b with a < 1 stays finite and normal. The empty asm keeps each accumulator in a register of its own and
   the compiler from working the sum out.  */
#define RATE(NAME, VECTOR, CONSTRAINT)                                                                                 \
  static double NAME(double seconds) {                                                                                 \
    const VECTOR a = (VECTOR){} + 0.999f, b = (VECTOR){} + 0.001f;                                                     \
    VECTOR x0 = b, x1 = b, x2 = b, x3 = b, x4 = b, x5 = b, x6 = b, x7 = b, x8 = b, x9 = b, x10 = b, x11 = b;           \
    const double from = processor_seconds();                                                                           \
    double spent, done = 0;                                                                                            \
    do {                                                                                                               \
      for (int i = 0; i < STEPS; i++) {                                                                                \
        x0 = x0 * a + b, x1 = x1 * a + b, x2 = x2 * a + b, x3 = x3 * a + b, x4 = x4 * a + b, x5 = x5 * a + b;          \
        x6 = x6 * a + b, x7 = x7 * a + b, x8 = x8 * a + b, x9 = x9 * a + b, x10 = x10 * a + b, x11 = x11 * a + b;      \
        __asm__ volatile(""                                                                                            \
                         : "+" CONSTRAINT(x0), "+" CONSTRAINT(x1), "+" CONSTRAINT(x2), "+" CONSTRAINT(x3),             \
                           "+" CONSTRAINT(x4), "+" CONSTRAINT(x5), "+" CONSTRAINT(x6), "+" CONSTRAINT(x7),             \
                           "+" CONSTRAINT(x8), "+" CONSTRAINT(x9), "+" CONSTRAINT(x10), "+" CONSTRAINT(x11));          \
      }                                                                                                                \
      done += 2.0 * STEPS * ACCUMULATORS * (sizeof(VECTOR) / sizeof(float));                                           \
      spent = processor_seconds() - from;                                                                              \
    } while (spent < seconds);                                                                                         \
    return done / spent * 1e-9;                                                                                        \
  }
#if defined(__x86_64__)
#define REGISTER "x"
#if defined(__AVX512F__)
#undef REGISTER
#define REGISTER "v"
RATE(rate16, v16, REGISTER)
#endif
#if defined(__AVX__)
RATE(rate8, v8, REGISTER)
#endif
#elif defined(__aarch64__)
#define REGISTER "w"
#else
#error "the machine's vector registers are not known here"
#endif
RATE(rate4, v4, REGISTER)

static const struct {
  const char *name;
  double (*rate)(double);
} widths[] = {{"128", rate4},
#if defined(__AVX__)
              {"256", rate8},
#endif
#if defined(__AVX512F__)
              {"512", rate16},
#endif
};

static double (*fastest)(double);
static double asked;

static void *fma_thread(void *result) {
  *(double *)result = fastest(asked);
  return NULL;
}

/* The width that is used from now on, in bits. */
static const char *choose_fastest(void) {
  const char *name = "";
  double best = 0;
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
    for (int repeat = 0; repeat < 3; repeat++) {
      const double rate = widths[i].rate(0.02);
      if (rate > best * (name == widths[i].name ? 1 : 1.02)) /* a wider vector of the same speed says nothing new */
        best = rate, fastest = widths[i].rate, name = widths[i].name;
    }
  return name;
}

/* GFLOP/s of so many threads together, of which the caller is one, in about so many seconds. The caller does not wait for
   the others to begin, which takes less than a tenth of a millisecond: its core would rest, and then be faster.  */
static double fma_rate(int threads, double seconds) {
  enum { MOST = 64 };
  pthread_t handle[MOST];
  double rate[MOST], sum = 0;
  asked = seconds;
  if (threads < 1 || threads > MOST)
    abort();
  for (int i = 1; i < threads; i++)
    if (pthread_create(&handle[i], NULL, fma_thread, &rate[i]))
      abort();
  fma_thread(&rate[0]);
  for (int i = 0; i < threads; i++) {
    if (i)
      pthread_join(handle[i], NULL);
    sum += rate[i];
  }
  return sum;
}
