// Goes over a data set in batches.
#include "measure.h"

#include <algorithm>
#include <numeric>

namespace cnnc::runtime {

void Totals::add(const cnnc_model &model, const cnnc_metrics &metrics) {
  loss_sum += model.loss_is_sum ? metrics.loss : metrics.loss * metrics.count;
  correct += static_cast<std::uint64_t>(metrics.correct);
  count += static_cast<std::uint64_t>(metrics.count);
}

void each_batch(const Dataset &data, const std::vector<std::uint32_t> &items, std::uint32_t batch, std::uint32_t alignment,
                const BatchBody &body) {
  Batch room(data, batch, alignment);
  for (std::size_t at = 0; at < items.size(); at += batch) {
    const auto n = static_cast<std::uint32_t>(std::min<std::size_t>(batch, items.size() - at));
    room.gather(data, items.data() + at, n);
    body(room.images.data(), room.targets.data(), static_cast<std::uint32_t>(at), n);
  }
}

Totals measure(Net &net, const Dataset &data, const std::vector<std::uint32_t> &items) {
  Totals totals;
  each_batch(data, items, net.model().batch, net.model().alignment,
             [&](const void *images, const void *targets, std::uint32_t, std::uint32_t count) {
               totals.add(net.model(), net.evaluate(images, data.pixels, targets, static_cast<int>(count)));
             });
  return totals;
}

std::vector<std::uint32_t> all_items(const Dataset &data) {
  std::vector<std::uint32_t> items(data.count);
  std::iota(items.begin(), items.end(), 0u);
  return items;
}

} // namespace cnnc::runtime
