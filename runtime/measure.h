// Loss and correct answers over many examples, batch by batch in a fixed order.
#ifndef CNNC_RUNTIME_MEASURE_H
#define CNNC_RUNTIME_MEASURE_H

#include "dataset.h"
#include "net.h"

#include <functional>

namespace cnnc::runtime {

// Sums over examples, whatever the model's loss is over a batch.
struct Totals {
  double loss_sum = 0;
  std::uint64_t correct = 0, count = 0;

  void add(const cnnc_model &model, const cnnc_metrics &metrics);
  double loss() const { return count ? loss_sum / static_cast<double>(count) : 0; } // mean over the examples
  double accuracy() const { return count ? static_cast<double>(correct) / static_cast<double>(count) : 0; }
};

// Calls body(images, targets, first, count) for `items` of the data in pieces of at most `batch`.
using BatchBody = std::function<void(const void *images, const void *targets, std::uint32_t first, std::uint32_t count)>;
void each_batch(const Dataset &data, const std::vector<std::uint32_t> &items, std::uint32_t batch, std::uint32_t alignment,
                const BatchBody &body);

Totals measure(Net &net, const Dataset &data, const std::vector<std::uint32_t> &items); // throws StatusError

std::vector<std::uint32_t> all_items(const Dataset &data);

} // namespace cnnc::runtime
#endif
