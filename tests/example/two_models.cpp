// Two models in one program, and one model that says the same with any number of threads.
#include "lenet.h"
#include "softmax_regression.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

static std::vector<unsigned char> train(const cnnc_model &m, int threads) {
  std::vector<float> x(m.batch * m.input_size);
  std::vector<uint8_t> y(m.batch);
  for (size_t i = 0; i < x.size(); i++)
    x[i] = float(i * 2654435761u >> 8 & 255) / 255;
  for (size_t i = 0; i < y.size(); i++)
    y[i] = uint8_t(i * 7 % 10);
  size_t bytes = m.train_bytes(threads);
  void *memory = std::aligned_alloc(m.alignment, (bytes + 4095) / 4096 * 4096);
  cnnc_net *net;
  cnnc_metrics metrics;
  if (m.init(&net, memory, bytes, threads, 7) != CNNC_OK)
    std::abort();
  int counts[] = {int(m.batch), 1, int(m.batch) - 1, 17};
  for (int count : counts)
    if (m.train_step(net, x.data(), CNNC_F32, y.data(), count, &metrics) != CNNC_OK)
      std::abort();
  std::vector<unsigned char> saved(m.save_size(net));
  if (m.save(net, saved.data(), saved.size()) != CNNC_OK)
    std::abort();
  m.destroy(net);
  std::free(memory);
  return saved;
}

int main() {
  for (const cnnc_model *m : {lenet_model(), softmax_regression_model()}) {
    auto one = train(*m, 1);
    for (int threads : {2, 3, 8})
      if (train(*m, threads) != one)
        return std::printf("%s: %d threads do not give what one gives\n", m->name, threads), 1;
    std::printf("%s: %zu bytes, the same with 1, 2, 3 and 8 threads\n", m->name, one.size());
  }
}
