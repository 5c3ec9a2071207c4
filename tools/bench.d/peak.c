/* The float32 FMA rate of the machine, in a process of its own.
   Usage: peak, with lines "THREADS SECONDS" on the input; answers each with GFLOP/s of all threads together.  */
#include "peak.h"
#include <stdio.h>

int main(void) {
  printf("{\"vector_bits\": %s}\n", choose_fastest());
  fflush(stdout);
  int threads;
  double seconds;
  while (scanf("%d %lf", &threads, &seconds) == 2) {
    printf("{\"gflops\": %.6g}\n", fma_rate(threads, seconds));
    fflush(stdout);
  }
  return 0;
}
