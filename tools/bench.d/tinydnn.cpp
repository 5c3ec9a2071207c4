// LeNet in tiny-dnn, for tools/bench: the command `train` of driver.c, with the same data and parameters.
// Usage: tinydnn OPTIMIZER IMAGES LABELS PARAMETERS COUNT OFFSET...   the ten tensors' offsets, in the order of the layers.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <tiny_dnn/tiny_dnn.h>

using namespace tiny_dnn;
using activation::identity;
using activation::sigmoid;
using activation::softmax;

namespace {

constexpr int warm_up = 5; // as in driver.c

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

template <typename T>
std::vector<T> read_file(const char *path, size_t n) {
  std::vector<T> data(n);
  std::ifstream f(path, std::ios::binary);
  if (!f.read(reinterpret_cast<char *>(data.data()), std::streamsize(n * sizeof(T)))) {
    std::fprintf(stderr, "%s: cannot be read\n", path);
    std::exit(1);
  }
  return data;
}

// tiny-dnn's own Adam advances its bias correction once for each tensor and not once for each step, and forgets its state at each
// call of fit(). This one takes the published steps.
struct published_adam : stateful_optimizer<3> {
  explicit published_adam(float_t rate) : rate_(rate) {}
  void reset() override {}
  void update(const vec_t &gradient, vec_t &weights, bool parallelize) override {
    vec_t &m = get<0>(weights), &v = get<1>(weights), &powers = get<2>(weights);
    if (powers[0] == 0)
      powers[0] = powers[1] = 1;
    powers[0] *= 0.9f, powers[1] *= 0.999f;
    const float_t step = rate_ / (1 - powers[0]), scale = 1 / (1 - powers[1]);
    for_i(parallelize, int(weights.size()), [&](int i) {
      m[i] = 0.9f * m[i] + 0.1f * gradient[i];
      v[i] = 0.999f * v[i] + 0.001f * gradient[i] * gradient[i];
      weights[i] -= step * m[i] / (std::sqrt(v[i] * scale) + 1e-8f);
    });
  }

private:
  float_t rate_;
};

struct plain_descent : gradient_descent {
  explicit plain_descent(float_t rate) { alpha = rate; }
};

class Net {
public:
  Net(const std::vector<float> &parameters, const std::vector<size_t> &offsets) {
    net_ << convolutional_layer<sigmoid>(28, 28, 5, 1, 6, padding::same) << average_pooling_layer<identity>(28, 28, 6, 2)
         << convolutional_layer<sigmoid>(14, 14, 5, 6, 16) << average_pooling_layer<identity>(10, 10, 16, 2)
         << fully_connected_layer<sigmoid>(400, 120) << fully_connected_layer<sigmoid>(120, 84)
         << fully_connected_layer<softmax>(84, 10);
    net_.init_weight();
    size_t tensor = 0;
    for (size_t i = 0; i < net_.layer_size(); i++) {
      const std::vector<vec_t *> weights = net_[i]->weights();
      vec_t &w = *weights[0], &b = *weights[1];
      if (net_[i]->layer_type() == "ave-pool") { // has a factor and a bias for each channel, which LeNet here has not
        std::fill(w.begin(), w.end(), 1.f);
        std::fill(b.begin(), b.end(), 0.f);
        net_[i]->set_trainable(false);
        continue;
      }
      const float *from = parameters.data() + offsets[tensor++];
      const size_t out = b.size(), in = w.size() / out;
      if (net_[i]->layer_type() == "fully-connected") // its weights stand with the inputs outside
        for (size_t o = 0; o < out; o++)
          for (size_t k = 0; k < in; k++)
            w[k * out + o] = from[o * in + k];
      else
        std::copy_n(from, w.size(), w.begin());
      std::copy_n(parameters.data() + offsets[tensor++], out, b.begin());
    }
  }

  template <typename Optimizer>
  void train(Optimizer optimizer, const std::vector<vec_t> &images, const std::vector<label_t> &labels, size_t batch, size_t steps) {
    const size_t batches = images.size() / batch;
    std::printf("{\"losses\": [");
    for (size_t i = 0; i < warm_up; i++) {
      const size_t at = i % batches * batch;
      const std::vector<vec_t> x(images.begin() + at, images.begin() + at + batch);
      const std::vector<label_t> y(labels.begin() + at, labels.begin() + at + batch);
      std::printf("%s%.9g", i ? ", " : "", loss(x, y));
      net_.template train<cross_entropy_multiclass>(optimizer, x, y, batch, 1);
    }
    // One step more than is timed: the clock starts behind the first, when fit() has copied its arguments.
    std::vector<vec_t> x;
    std::vector<label_t> y;
    for (size_t i = warm_up; i <= warm_up + steps; i++) {
      const size_t at = i % batches * batch;
      x.insert(x.end(), images.begin() + at, images.begin() + at + batch);
      y.insert(y.end(), labels.begin() + at, labels.begin() + at + batch);
    }
    double first = 0, last = 0;
    net_.template train<cross_entropy_multiclass>(
        optimizer, x, y, batch, 1, [&] { first == 0 ? first = now() : last = now(); }, [] {});
    std::printf("], \"seconds\": %.9g}\n", last - first);
    std::fflush(stdout);
  }

private:
  double loss(const std::vector<vec_t> &images, const std::vector<label_t> &labels) {
    net_.set_netphase(net_phase::test);
    double sum = 0;
    for (size_t i = 0; i < images.size(); i++)
      sum -= std::log(double(net_.predict(images[i])[labels[i]]));
    return sum / double(images.size());
  }

  network<sequential> net_;
};

} // namespace

int main(int argc, char **argv) {
  if (argc != 16)
    return 2;
  const std::string optimizer = argv[1];
  const float rate = std::stof(optimizer.substr(optimizer.find(':') + 1));
  const size_t count = std::stoul(argv[5]);
  const std::vector<float> pixels = read_file<float>(argv[2], count * 784);
  const std::vector<unsigned char> bytes = read_file<unsigned char>(argv[3], count);
  std::vector<size_t> offsets;
  for (int i = 6; i < argc; i++)
    offsets.push_back(std::stoul(argv[i]));
  const std::vector<float> parameters = read_file<float>(argv[4], 61706);
  std::vector<vec_t> images;
  for (size_t i = 0; i < count; i++)
    images.emplace_back(pixels.begin() + long(i * 784), pixels.begin() + long(i * 784 + 784));
  const std::vector<label_t> labels(bytes.begin(), bytes.end());

  std::printf("{\"version\": \"1.0.0a3\"}\n");
  std::fflush(stdout);
  std::string command;
  size_t batch, steps;
  while (std::cin >> command >> batch >> steps) {
    if (command != "train")
      return 2;
    Net net(parameters, offsets);
    if (optimizer[0] == 'a')
      net.train(published_adam(rate), images, labels, batch, steps);
    else
      net.train(plain_descent(rate), images, labels, batch, steps);
  }
}
