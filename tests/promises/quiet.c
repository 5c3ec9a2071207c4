/* Between init and destroy one thread allocates nothing, takes no lock and makes no system call. The linker puts these
   functions in the place of the library's (--wrap); after init the kernel allows read, write and exit alone, and kills
   the process at anything else. FAULT=1 allocates, FAULT=2 makes a system call: both have to be noticed. */
#define _GNU_SOURCE
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "model.h"

static int armed, counted;
#define COUNTED(type, name, parameters, arguments) \
  type __real_##name parameters;                   \
  type __wrap_##name parameters;                   \
  type __wrap_##name parameters {                  \
    counted += armed;                              \
    return __real_##name arguments;                \
  }
COUNTED(void *, malloc, (size_t n), (n))
COUNTED(void *, calloc, (size_t n, size_t m), (n, m))
COUNTED(void *, realloc, (void *p, size_t n), (p, n))
COUNTED(void, free, (void *p), (p))
COUNTED(void *, aligned_alloc, (size_t a, size_t n), (a, n))
COUNTED(int, posix_memalign, (void **p, size_t a, size_t n), (p, a, n))
COUNTED(int, pthread_mutex_lock, (pthread_mutex_t * m), (m))
COUNTED(int, pthread_mutex_unlock, (pthread_mutex_t * m), (m))
COUNTED(int, pthread_cond_wait, (pthread_cond_t * c, pthread_mutex_t *m), (c, m))
COUNTED(int, pthread_cond_signal, (pthread_cond_t * c), (c))
COUNTED(int, pthread_cond_broadcast, (pthread_cond_t * c), (c))

int main(void) {
  const cnnc_model *m = TABLE();
  examples e = make_examples(m);
  size_t bytes = bytes_for(m, trains(m), 1);
  void *memory = aligned(m, bytes);
  cnnc_net *net;
  if ((trains(m) ? m->init : m->init_inference)(&net, memory, bytes, 1, 1) != CNNC_OK) return 1;
  size_t size = m->save_size(net);
  void *saved = malloc(size);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) return 77;
  armed = 1;
#if FAULT == 1
  void *volatile kept = malloc(10);
  free(kept);
#elif FAULT == 2
  syscall(SYS_getpid);
#endif
  int failed = exercise(m, net, &e, saved, size);
  armed = 0;
  if (counted) (void)!write(2, "allocated or locked\n", 20);
  if (failed) (void)!write(2, "a call failed\n", 14);
  syscall(SYS_exit, counted ? 3 : failed ? 4
                                         : 0); /* exit_group, which exit makes, is not allowed */
  return 5;
}
