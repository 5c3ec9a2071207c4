// What this machine can do at most: measured, and beside every figure of `cnnc bench`.
#pragma once

namespace cnnc {

struct Peak {
  double flops = 0;                     // float32 multiply-adds of one core, two operations each, a second
  double flops_all = 0;                 // of `threads` cores together
  double near_bytes = 0, far_bytes = 0; // one core reads from its second-level cache and from memory, a second
};

// Takes about a second. threads >= 1.
Peak measure_peak(int threads);

// Multiply-adds as in Peak, of `threads` cores together at this moment: a single run of a few milliseconds, to stand beside
// what is measured before and after it on a machine that others use too.
double flops_now(int threads);

} // namespace cnnc
