// The hooks of a generated library (runtime/hooks), driven through the table of models written by hand.
#include <doctest/doctest.h>

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#include "../../runtime/cnnc_model.h"

// The hooks create threads through this, so that a test can count them and make one fail.
static std::atomic<int> threads_created{0}, threads_allowed{INT_MAX};
static int counted_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*entry)(void *), void *argument) {
  if (threads_allowed-- <= 0) return EAGAIN;
  threads_created++;
  return pthread_create(thread, attributes, entry, argument);
}
#define pthread_create counted_create

template <int kind>
struct Target { typedef uint8_t type; };
template <>
struct Target<CNNC_LABELS_U16> { typedef uint16_t type; };
template <>
struct Target<CNNC_TARGET_IMAGE> { typedef float type; };

namespace labels { // the usual kind; threads pay from two images on
#define CNNC_REAL float
#define FAKE_TARGET CNNC_LABELS_U8
#define FAKE_SUM 0
#define FAKE_MACS 1000000
#define FAKE_TRAINS 1
#include "hooks_fake.h"
} // namespace labels
namespace image { // in double, with an image for its target
#define CNNC_REAL double
#define FAKE_TARGET CNNC_TARGET_IMAGE
#define FAKE_SUM 0
#define FAKE_MACS 1000000
#define FAKE_TRAINS 1
#include "hooks_fake.h"
} // namespace image
namespace small { // so small that threads never pay; the loss is a sum
#define CNNC_REAL float
#define FAKE_TARGET CNNC_LABELS_U16
#define FAKE_SUM 1
#define FAKE_MACS 8
#define FAKE_TRAINS 1
#include "hooks_fake.h"
} // namespace small
namespace lossless { // a model without a loss
#define CNNC_REAL float
#define FAKE_TARGET CNNC_NO_TARGET
#define FAKE_SUM 0
#define FAKE_MACS 1000000
#define FAKE_TRAINS 0
#include "hooks_fake.h"
} // namespace lossless

namespace {

const int BATCH = 30, INPUTS = 3, OUTPUTS = 2, COUNT = 8, SINGLES = 2, HEADER = 48;

// The tables are of one type a namespace: compare statuses as numbers.
template <class Status>
int as_int(Status status) { return static_cast<int>(status); }
#define CHECK_STATUS(call, wanted) CHECK(as_int(call) == as_int(wanted))
#define REQUIRE_OK(call) REQUIRE(as_int(call) == as_int(CNNC_OK))

// A net in exactly the memory that it asks for, so that the address sanitizer sees a byte too many.
template <class F>
struct Net {
  std::unique_ptr<char, void (*)(void *)> memory{nullptr, free};
  size_t bytes;
  typename F::Net *net = nullptr;
  explicit Net(int threads = 1, uint64_t seed = 1, bool trains = true) {
    const auto &model = F::model();
    bytes = trains ? model.train_bytes(threads) : model.infer_bytes(threads);
    REQUIRE(bytes % model.alignment == 0);
    memory.reset(static_cast<char *>(aligned_alloc(model.alignment, bytes)));
    memset(memory.get(), 0xA5, bytes);
    REQUIRE_OK((trains ? model.init : model.init_inference)(&net, memory.get(), bytes, threads, seed));
  }
  Net(const Net &) = delete;
  ~Net() { F::model().destroy(net); }
  const typename F::Real *parameters() { return static_cast<const typename F::Real *>(F::model().parameter_values(net)); }
  const typename F::Real *gradients() { return static_cast<const typename F::Real *>(F::model().gradient_values(net)); }
  std::vector<char> image() const { return std::vector<char>(memory.get(), memory.get() + bytes); }
  std::vector<unsigned char> saved() const {
    std::vector<unsigned char> result(F::model().save_size(net));
    REQUIRE_OK(F::model().save(net, result.data(), result.size()));
    return result;
  }
};

// Exact-size copies of a user's images and targets.
template <class F>
struct Data {
  std::vector<float> images;
  std::vector<uint8_t> bytes;
  std::vector<typename F::Label> targets;
  explicit Data(int count, int seed = 0) {
    uint32_t word[4];
    for (int i = 0; i < count * INPUTS; i++) {
      word[0] = static_cast<uint32_t>(i), word[1] = word[2] = word[3] = 7;
      F::philox(word, static_cast<uint64_t>(seed));
      bytes.push_back(static_cast<uint8_t>(word[0]));
      images.push_back(static_cast<float>(word[1]) * 0x1p-31f - 1);
    }
    bool is_image = F::model().target_kind == CNNC_TARGET_IMAGE;
    for (int i = 0; i < count * (is_image ? OUTPUTS : 1); i++)
      targets.push_back(static_cast<typename F::Label>(is_image ? i % 7 * 0.25 : i % 3 % 2));
  }
  double target(int item, int k) const {
    if (F::model().target_kind == CNNC_TARGET_IMAGE) return static_cast<double>(targets[static_cast<size_t>(item * OUTPUTS + k)]);
    return targets[static_cast<size_t>(item)] == k;
  }
};

// Loss and gradient in double, straight from the definition.
struct Oracle {
  double loss = 0, gradient[8] = {};
  int correct = 0;
};
template <class F>
Oracle oracle(const typename F::Real *parameters, const Data<F> &data, int count) {
  Oracle result;
  bool is_image = F::model().target_kind == CNNC_TARGET_IMAGE;
  double scale = F::model().loss_is_sum ? 1.0 : 1.0 / (count * (is_image ? OUTPUTS : 1));
  for (int n = 0; n < count; n++) {
    double y[2];
    for (int k = 0; k < OUTPUTS; k++) {
      y[k] = static_cast<double>(parameters[6 + k]);
      for (int i = 0; i < INPUTS; i++)
        y[k] += static_cast<double>(parameters[k * INPUTS + i]) * static_cast<double>(data.images[static_cast<size_t>(n * INPUTS + i)]);
      double error = y[k] - data.target(n, k);
      result.loss += scale * error * error;
      for (int i = 0; i < INPUTS; i++)
        result.gradient[k * INPUTS + i] += 2 * scale * error * static_cast<double>(data.images[static_cast<size_t>(n * INPUTS + i)]);
      result.gradient[6 + k] += 2 * scale * error;
    }
    if (!is_image) result.correct += (y[1] > y[0]) == (data.target(n, 1) > data.target(n, 0));
  }
  return result;
}

struct Silence { // no thread may be created until the counters are put back
  explicit Silence(int allowed) { threads_created = 0, threads_allowed = allowed; }
  ~Silence() { threads_allowed = INT_MAX; }
};

} // namespace

TEST_CASE("philox gives the published words") {
  uint32_t zero[4] = {0, 0, 0, 0};
  labels::Fake::philox(zero, 0);
  CHECK(zero[0] == 0x6627e8d5u);
  CHECK(zero[1] == 0xe169c58du);
  CHECK(zero[2] == 0xbc57ac4cu);
  CHECK(zero[3] == 0x9b00dbd8u);
  uint32_t pi[4] = {0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u};
  labels::Fake::philox(pi, 0x299f31d0a4093822u);
  CHECK(pi[0] == 0xd16cfe09u);
  CHECK(pi[1] == 0x94fdccebu);
  CHECK(pi[2] == 0x5001e420u);
  CHECK(pi[3] == 0x24126ea1u);
}

TEST_CASE("the distributions that parameters start with") {
  const int samples = 100000;
  double sum = 0, squares = 0, uniform = 0, low = 1, high = -1;
  for (int i = 0; i < samples; i++) {
    double normal = static_cast<double>(labels::Fake::start(CNNC_INIT_NORMAL, 1, 2, 5, static_cast<uint64_t>(i)));
    sum += normal, squares += normal * normal;
    double value = static_cast<double>(labels::Fake::start(CNNC_INIT_UNIFORM, -1, 1, 5, static_cast<uint64_t>(i)));
    uniform += value, low = std::fmin(low, value), high = std::fmax(high, value);
  }
  double mean = sum / samples;
  CHECK(mean == doctest::Approx(1).epsilon(0.03));
  CHECK(squares / samples - mean * mean == doctest::Approx(4).epsilon(0.03));
  CHECK(std::fabs(uniform / samples) < 0.01);
  CHECK(low >= -1);
  CHECK(low < -0.999);
  CHECK(high < 1);
  CHECK(high > 0.999);
  CHECK(labels::Fake::start(CNNC_INIT_CONSTANT, 3, 0, 5, 9) == 3);
  CHECK(labels::Fake::start(CNNC_INIT_UNIFORM, 3, 3, 5, 9) == 3);
  for (uint64_t i = 0; i < 1000; i++) { // an interval so narrow that rounding would reach its end
    float value = labels::Fake::start(CNNC_INIT_UNIFORM, 1, std::nextafterf(1, 2), 5, i);
    CHECK(value == 1);
  }
  CHECK(labels::Fake::start(CNNC_INIT_NORMAL, 0, 1, 5, 0) != labels::Fake::start(CNNC_INIT_NORMAL, 0, 1, 5, 1ull << 32));
}

TEST_CASE_TEMPLATE("parameters depend on the seed alone", F, labels::Fake, image::Fake, small::Fake) {
  Net<F> one(1, 7), many(7, 7), other(1, 8), inference(2, 7, false);
  CHECK(memcmp(one.parameters(), many.parameters(), COUNT * sizeof(typename F::Real)) == 0);
  CHECK(memcmp(one.parameters(), inference.parameters(), COUNT * sizeof(typename F::Real)) == 0);
  CHECK(memcmp(one.parameters(), other.parameters(), 6 * sizeof(typename F::Real)) != 0);
  CHECK(one.parameters()[6] == 0.25);
  CHECK(one.parameters()[7] == -0.5);
  Net<labels::Fake> same(1, 7);
  for (int i = 0; i < COUNT; i++) CHECK(static_cast<float>(one.parameters()[i]) == same.parameters()[i]);
  CHECK(F::model().step(one.net) == 0);
}

TEST_CASE_TEMPLATE("loss and gradient at every count", F, labels::Fake, image::Fake, small::Fake) {
  Net<F> net(2);
  double tolerance = sizeof(typename F::Real) == 8 ? 1e-12 : 1e-5;
  for (int count = 1; count <= BATCH; count++) {
    Data<F> data(count, count);
    Oracle expected = oracle<F>(net.parameters(), data, count);
    typename F::Metrics metrics = {}, evaluated = {};
    std::vector<unsigned char> before = net.saved();
    REQUIRE_OK(F::model().gradients(net.net, data.images.data(), CNNC_F32, data.targets.data(), count, &metrics));
    CHECK(metrics.loss == doctest::Approx(expected.loss).epsilon(tolerance));
    CHECK(metrics.correct == expected.correct);
    CHECK(metrics.count == count);
    double largest = 0;
    for (double value : expected.gradient) largest = std::fmax(largest, std::fabs(value));
    CHECK(largest > 0);
    for (int i = 0; i < COUNT; i++)
      CHECK(std::fabs(static_cast<double>(net.gradients()[i]) - expected.gradient[i]) <= tolerance * largest);
    REQUIRE_OK(F::model().evaluate(net.net, data.images.data(), CNNC_F32, data.targets.data(), count, &evaluated));
    CHECK(evaluated.loss == metrics.loss);
    CHECK(evaluated.correct == metrics.correct);
    CHECK(evaluated.count == count);
    CHECK(net.saved() == before);
  }
  CHECK(F::dirty() == 0);
}

TEST_CASE_TEMPLATE("the bits do not depend on the threads", F, labels::Fake, image::Fake, small::Fake) {
  for (int pixels : {CNNC_F32, CNNC_U8}) {
    std::vector<std::vector<unsigned char>> results;
    for (int threads : {1, 2, 7}) {
      Net<F> net(threads);
      std::vector<unsigned char> result;
      auto append = [&](const void *bytes, size_t size) {
        const unsigned char *from = static_cast<const unsigned char *>(bytes);
        result.insert(result.end(), from, from + size);
      };
      for (int count = 1; count <= BATCH; count++) {
        Data<F> data(count, count);
        const void *images = pixels == CNNC_U8 ? static_cast<const void *>(data.bytes.data()) : data.images.data();
        typename F::Metrics metrics[3] = {};
        std::vector<typename F::Real> outputs(static_cast<size_t>(count * OUTPUTS));
        REQUIRE_OK(F::model().train_step(net.net, images, pixels, data.targets.data(), count, &metrics[0]));
        REQUIRE_OK(F::model().gradients(net.net, images, pixels, data.targets.data(), count, &metrics[1]));
        append(net.gradients(), COUNT * sizeof(typename F::Real));
        REQUIRE_OK(F::model().evaluate(net.net, images, pixels, data.targets.data(), count, &metrics[2]));
        REQUIRE_OK(F::model().predict(net.net, images, pixels, count, outputs.data()));
        for (const auto &one : metrics) append(&one.loss, sizeof one.loss), append(&one.correct, sizeof one.correct);
        append(outputs.data(), outputs.size() * sizeof outputs[0]);
      }
      std::vector<unsigned char> saved = net.saved();
      append(saved.data(), saved.size());
      CHECK(F::model().step(net.net) == BATCH);
      results.push_back(result);
    }
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
  }
  CHECK(F::dirty() == 0);
}

// Eight chunks, at most three of one partial: while a thread is at one chunk, five others are free.
TEST_CASE("a thread that has nothing left takes chunks of a slow one, to the same bits") {
  typedef labels::Fake F;
  Data<F> data(BATCH);
  for (bool slow_caller : {true, false}) {
    Net<F> one(1), two(2);
    const std::thread::id caller = std::this_thread::get_id();
    std::atomic<int> quick{0}, slow{0};
    for (int step = 0; step < 20; step++) {
      REQUIRE_OK(F::model().train_step(one.net, data.images.data(), CNNC_F32, data.targets.data(), BATCH, nullptr));
      quick = slow = 0;
      F::at_each_chunk([&] {
        if ((std::this_thread::get_id() == caller) != slow_caller) {
          quick++;
          return;
        }
        slow++;
        const auto start = std::chrono::steady_clock::now();
        while (quick < 5 && std::chrono::steady_clock::now() - start < std::chrono::seconds(10)) std::this_thread::yield();
      });
      REQUIRE_OK(F::model().train_step(two.net, data.images.data(), CNNC_F32, data.targets.data(), BATCH, nullptr));
      F::at_each_chunk(nullptr);
      REQUIRE(quick >= 5);
      CHECK(quick + slow == 8);
    }
    CHECK(one.saved() == two.saved());
  }
}

// Seven whole chunks of four images and one of two, which is copied and not fetched.
TEST_CASE("while a chunk is computed the images of the next one are fetched") {
  typedef labels::Fake F;
  Data<F> data(BATCH);
  Net<F> net(1);
  for (int pixels : {CNNC_F32, CNNC_U8}) {
    const void *images = pixels == CNNC_U8 ? static_cast<const void *>(data.bytes.data()) : data.images.data();
    const int number = pixels == CNNC_U8 ? 1 : 4;
    std::vector<long> handed, ahead; // numbers of images
    auto place = [&](const void *p) { return (static_cast<const char *>(p) - static_cast<const char *>(images)) / (INPUTS * number); };
    F::at_each_pack([&](const void *now, const void *next, int bytes) {
      handed.push_back(place(now));
      ahead.push_back(place(next));
      CHECK(bytes == number);
    });
    std::vector<typename F::Real> outputs(BATCH * OUTPUTS);
    REQUIRE_OK(F::model().predict(net.net, images, pixels, BATCH, outputs.data()));
    F::at_each_pack(nullptr);
    handed.pop_back(); // the copy
    CHECK(handed == std::vector<long>{0, 4, 8, 12, 16, 20, 24});
    CHECK(ahead == std::vector<long>{4, 8, 12, 16, 20, 24, 28, 30}); // the last: where a caller goes on who walks over images
  }
}

TEST_CASE_TEMPLATE("training lowers the loss", F, labels::Fake, image::Fake, small::Fake) {
  Net<F> net(3);
  Data<F> data(BATCH);
  typename F::Metrics first = {}, last = {};
  REQUIRE_OK(F::model().evaluate(net.net, data.images.data(), CNNC_F32, data.targets.data(), BATCH, &first));
  for (int i = 0; i < 200; i++) // without metrics too
    REQUIRE_OK(F::model().train_step(net.net, data.images.data(), CNNC_F32, data.targets.data(), BATCH, nullptr));
  REQUIRE_OK(F::model().evaluate(net.net, data.images.data(), CNNC_F32, data.targets.data(), BATCH, &last));
  CHECK(last.loss < first.loss);
  CHECK(F::model().step(net.net) == 200);
}

TEST_CASE_TEMPLATE("a net for inference predicts and evaluates like one for training", F, labels::Fake, image::Fake,
                   small::Fake) {
  for (int threads : {1, 3}) {
    Net<F> training(threads), inference(threads, 1, false);
    CHECK(inference.bytes < training.bytes);
    CHECK(inference.gradients() == nullptr);
    for (int count : {1, 4, 5, 29, 30}) {
      Data<F> data(count);
      typename F::Metrics a = {}, b = {};
      REQUIRE_OK(F::model().evaluate(training.net, data.images.data(), CNNC_F32, data.targets.data(), count, &a));
      REQUIRE_OK(F::model().evaluate(inference.net, data.images.data(), CNNC_F32, data.targets.data(), count, &b));
      CHECK(a.loss == b.loss);
      CHECK(a.correct == b.correct);
      std::vector<typename F::Real> x(static_cast<size_t>(count * OUTPUTS)), y = x;
      REQUIRE_OK(F::model().predict(training.net, data.images.data(), CNNC_F32, count, x.data()));
      REQUIRE_OK(F::model().predict(inference.net, data.images.data(), CNNC_F32, count, y.data()));
      CHECK(x == y);
      CHECK(x[0] != 0);
    }
    Data<F> data(4);
    std::vector<char> before = inference.image();
    for (auto call : {F::model().train_step, F::model().gradients})
      CHECK_STATUS(call(inference.net, data.images.data(), CNNC_F32, data.targets.data(), 4, nullptr), CNNC_INFERENCE_ONLY);
    if (threads == 1) CHECK(inference.image() == before);
  }
}

TEST_CASE_TEMPLATE("few images go one by one, more by the chunk, to the same results; parameters are repacked", F, labels::Fake,
                   image::Fake, small::Fake) {
  for (bool trains : {true, false}) {
    Net<F> net(1, 1, trains);
    Data<F> data(4);
    std::vector<typename F::Real> all(4 * OUTPUTS), some = all;
    for (int round = 0; round < 2; round++) {
      REQUIRE_OK(F::model().predict(net.net, data.images.data(), CNNC_F32, 4, all.data()));
      for (int count : {1, SINGLES, SINGLES + 1}) {
        const int before = F::predicted_one_by_one();
        REQUIRE_OK(F::model().predict(net.net, data.images.data(), CNNC_F32, count, some.data()));
        CHECK(F::predicted_one_by_one() - before == (count <= SINGLES ? count : 0));
        for (size_t i = 0; i < size_t(count) * OUTPUTS; i++) CHECK(double(some[i]) == doctest::Approx(double(all[i])));
      }
      if (trains) {
        REQUIRE_OK(F::model().train_step(net.net, data.images.data(), CNNC_F32, data.targets.data(), 4, nullptr));
      } else {
        const std::vector<typename F::Real> values(COUNT, typename F::Real(0.75));
        REQUIRE_OK(F::model().set_parameters(net.net, values.data()));
      }
    }
    std::vector<float> bad(data.images.begin(), data.images.begin() + INPUTS);
    bad[1] = NAN;
    CHECK_STATUS(F::model().predict(net.net, bad.data(), CNNC_F32, 1, some.data()), CNNC_NOT_FINITE);
    std::vector<uint8_t> bytes(INPUTS, 51);
    std::vector<float> same(INPUTS, 0.2f);
    REQUIRE_OK(F::model().predict(net.net, bytes.data(), CNNC_U8, 1, some.data()));
    REQUIRE_OK(F::model().predict(net.net, same.data(), CNNC_F32, 1, all.data()));
    for (size_t i = 0; i < OUTPUTS; i++) CHECK(double(some[i]) == doctest::Approx(double(all[i])));
  }
}

TEST_CASE("a model without a loss only predicts") {
  typedef lossless::Fake F;
  Net<F> net(2, 1, false);
  Data<F> data(5);
  std::vector<float> outputs(5 * OUTPUTS);
  REQUIRE_OK(F::model().predict(net.net, data.images.data(), CNNC_F32, 5, outputs.data()));
  CHECK_STATUS(F::model().evaluate(net.net, data.images.data(), CNNC_F32, nullptr, 5, nullptr), CNNC_INFERENCE_ONLY);
  F::Net *other = nullptr;
  CHECK_STATUS(F::model().init(&other, net.memory.get(), 1 << 20, 1, 0), CNNC_INFERENCE_ONLY);
  CHECK(other == nullptr);
}

TEST_CASE_TEMPLATE("init refuses and changes nothing", F, labels::Fake, image::Fake, small::Fake) {
  const auto &model = F::model();
  for (bool trains : {true, false}) {
    auto init = trains ? model.init : model.init_inference;
    auto size_of = trains ? model.train_bytes : model.infer_bytes;
    size_t bytes = size_of(3);
    std::unique_ptr<char, void (*)(void *)> memory(static_cast<char *>(aligned_alloc(64, bytes + 64)), free);
    memset(memory.get(), 0x5A, bytes + 64);
    typename F::Net *net = nullptr;
    CHECK_STATUS(init(nullptr, memory.get(), bytes, 3, 1), CNNC_BAD_ARGUMENT);
    CHECK_STATUS(init(&net, nullptr, bytes, 3, 1), CNNC_BAD_ARGUMENT);
    for (int threads : {0, -1, INT_MIN}) CHECK_STATUS(init(&net, memory.get(), bytes, threads, 1), CNNC_BAD_ARGUMENT);
    for (int shift : {1, 4, 8, 32, 63}) CHECK_STATUS(init(&net, memory.get() + shift, bytes, 3, 1), CNNC_MISALIGNED);
    for (size_t less : {size_t(0), size_t(1), bytes - 64, bytes - 1})
      CHECK_STATUS(init(&net, memory.get(), less, 3, 1), CNNC_MEMORY_TOO_SMALL);
    CHECK(net == nullptr);
    for (size_t i = 0; i < bytes + 64; i++) REQUIRE(memory.get()[i] == 0x5A);

    // More threads never need less, nor more than P threads do.
    for (int threads = 1; threads < 9; threads++) CHECK(size_of(threads) <= size_of(threads + 1));
    CHECK(size_of(3) == size_of(INT_MAX));
    CHECK(size_of(1) == size_of(0));
    REQUIRE_OK(init(&net, memory.get(), bytes, INT_MAX, 1));
    for (size_t i = bytes; i < bytes + 64; i++) CHECK(memory.get()[i] == 0x5A);
    model.destroy(net);
  }
}

TEST_CASE("threads: none for one worker or a small model, all or none otherwise") {
  {
    Silence silence(0);
    Net<labels::Fake> one(1), one_inference(1, 1, false);
    Net<small::Fake> small_many(7);
    Data<labels::Fake> data(BATCH);
    REQUIRE_OK(labels::Fake::model().train_step(one.net, data.images.data(), CNNC_F32, data.targets.data(), BATCH, nullptr));
    CHECK(threads_created == 0);
    CHECK(small::Fake::model().train_bytes(7) == small::Fake::model().train_bytes(1));
  }
  {
    Silence silence(INT_MAX);
    { Net<labels::Fake> two(2); }
    CHECK(threads_created == 1);
    { Net<labels::Fake> seven(7); } // P = 3
    CHECK(threads_created == 3);
  }
  for (int allowed : {0, 1}) {
    Silence silence(allowed);
    size_t bytes = labels::Fake::model().train_bytes(3);
    std::unique_ptr<char, void (*)(void *)> memory(static_cast<char *>(aligned_alloc(64, bytes)), free);
    labels::Fake::Net *net = nullptr;
    CHECK_STATUS(labels::Fake::model().init(&net, memory.get(), bytes, 3, 1), CNNC_NO_THREADS);
    CHECK(net == nullptr);
    CHECK(threads_created == allowed);
  }
}

TEST_CASE_TEMPLATE("calls refuse bad arguments and change nothing", F, labels::Fake, image::Fake, small::Fake) {
  const auto &model = F::model();
  Net<F> net;
  Data<F> data(BATCH);
  const void *images = data.images.data(), *targets = data.targets.data();
  typename F::Metrics metrics;
  memset(&metrics, 0x77, sizeof metrics);
  typename F::Metrics untouched = metrics;
  std::vector<typename F::Real> outputs(BATCH * OUTPUTS, 9);
  std::vector<char> before = net.image();

  for (auto call : {model.train_step, model.gradients, model.evaluate}) {
    CHECK_STATUS(call(nullptr, images, CNNC_F32, targets, 4, &metrics), CNNC_BAD_ARGUMENT);
    CHECK_STATUS(call(net.net, nullptr, CNNC_F32, targets, 4, &metrics), CNNC_BAD_ARGUMENT);
    CHECK_STATUS(call(net.net, images, CNNC_F32, nullptr, 4, &metrics), CNNC_BAD_ARGUMENT);
    for (int pixels : {-1, 2, INT_MAX})
      CHECK_STATUS(call(net.net, images, pixels, targets, 4, &metrics), CNNC_BAD_ARGUMENT);
    for (int count : {0, -1, INT_MIN, BATCH + 1, INT_MAX})
      CHECK_STATUS(call(net.net, images, CNNC_F32, targets, count, &metrics), CNNC_BAD_COUNT);
    if (model.classes != 0)
      for (size_t place : {size_t(0), size_t(3), size_t(BATCH - 1)})
        for (int label : {OUTPUTS, 255}) {
          auto wrong = data.targets;
          wrong[place] = static_cast<typename F::Label>(label);
          CHECK_STATUS(call(net.net, images, CNNC_F32, wrong.data(), BATCH, &metrics), CNNC_BAD_LABEL);
        }
  }
  CHECK_STATUS(model.predict(nullptr, images, CNNC_F32, 4, outputs.data()), CNNC_BAD_ARGUMENT);
  CHECK_STATUS(model.predict(net.net, nullptr, CNNC_F32, 4, outputs.data()), CNNC_BAD_ARGUMENT);
  CHECK_STATUS(model.predict(net.net, images, CNNC_F32, 4, nullptr), CNNC_BAD_ARGUMENT);
  CHECK_STATUS(model.predict(net.net, images, 2, 4, outputs.data()), CNNC_BAD_ARGUMENT);
  for (int count : {0, -1, INT_MIN, BATCH + 1, INT_MAX})
    CHECK_STATUS(model.predict(net.net, images, CNNC_F32, count, outputs.data()), CNNC_BAD_COUNT);

  std::vector<unsigned char> bytes(model.save_size(net.net), 0x33), unchanged = bytes;
  CHECK_STATUS(model.save(nullptr, bytes.data(), bytes.size()), CNNC_BAD_ARGUMENT);
  CHECK_STATUS(model.save(net.net, nullptr, bytes.size()), CNNC_BAD_ARGUMENT);
  CHECK_STATUS(model.save(net.net, bytes.data(), bytes.size() - 1), CNNC_MEMORY_TOO_SMALL);
  CHECK(bytes == unchanged);
  CHECK_STATUS(model.load(nullptr, bytes.data(), bytes.size()), CNNC_BAD_ARGUMENT);
  CHECK_STATUS(model.load(net.net, nullptr, bytes.size()), CNNC_BAD_ARGUMENT);

  CHECK(net.image() == before);
  CHECK(memcmp(&metrics, &untouched, sizeof metrics) == 0);
  for (auto value : outputs) CHECK(value == 9);

  CHECK(model.save_size(nullptr) == 0);
  CHECK(model.parameter_values(nullptr) == nullptr);
  CHECK(model.gradient_values(nullptr) == nullptr);
  CHECK(model.step(nullptr) == 0);
  model.destroy(nullptr);
}

TEST_CASE("a net of another model, or one destroyed, is refused") {
  Net<small::Fake> other;
  Data<labels::Fake> data(4);
  const auto &model = labels::Fake::model();
  std::vector<char> before = other.image();
  // A table's functions all take a cnnc_net: only the test's namespaces tell the two apart.
  auto *mistaken = reinterpret_cast<labels::Fake::Net *>(other.net);
  float outputs[4 * OUTPUTS];
  CHECK_STATUS(model.train_step(mistaken, data.images.data(), CNNC_F32, data.targets.data(), 4, nullptr), CNNC_BAD_ARGUMENT);
  CHECK_STATUS(model.predict(mistaken, data.images.data(), CNNC_F32, 4, outputs), CNNC_BAD_ARGUMENT);
  CHECK_STATUS(model.save(mistaken, outputs, 1000), CNNC_BAD_ARGUMENT);
  CHECK_STATUS(model.load(mistaken, outputs, sizeof outputs), CNNC_BAD_ARGUMENT);
  CHECK(model.save_size(mistaken) == 0);
  CHECK(model.parameter_values(mistaken) == nullptr);
  model.destroy(mistaken);
  CHECK(other.image() == before);

  Net<labels::Fake> gone(3);
  model.destroy(gone.net);
  model.destroy(gone.net);
  CHECK_STATUS(model.train_step(gone.net, data.images.data(), CNNC_F32, data.targets.data(), 4, nullptr), CNNC_BAD_ARGUMENT);
}

TEST_CASE_TEMPLATE("a loss or an output that is not finite", F, labels::Fake, image::Fake, small::Fake) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (int threads : {1, 3})
    for (float bad : {nan, infinity, -infinity})
      for (size_t place : {size_t(0), size_t(13 * INPUTS), size_t(BATCH * INPUTS - 1)}) {
        Net<F> net(threads);
        Data<F> good(BATCH), data(BATCH);
        data.images[place] = bad;
        typename F::Metrics metrics = {};
        std::vector<typename F::Real> outputs(BATCH * OUTPUTS);
        for (int i = 0; i < 3; i++)
          REQUIRE_OK(F::model().train_step(net.net, good.images.data(), CNNC_F32, good.targets.data(), BATCH, nullptr));
        REQUIRE_OK(F::model().gradients(net.net, good.images.data(), CNNC_F32, good.targets.data(), BATCH, nullptr));
        std::vector<unsigned char> before = net.saved();
        std::vector<typename F::Real> gradients(net.gradients(), net.gradients() + COUNT);
        for (auto call : {F::model().train_step, F::model().gradients, F::model().evaluate})
          CHECK_STATUS(call(net.net, data.images.data(), CNNC_F32, data.targets.data(), BATCH, &metrics), CNNC_NOT_FINITE);
        CHECK(!std::isfinite(metrics.loss));
        CHECK_STATUS(F::model().predict(net.net, data.images.data(), CNNC_F32, BATCH, outputs.data()), CNNC_NOT_FINITE);
        CHECK(net.saved() == before);
        CHECK(std::equal(gradients.begin(), gradients.end(), net.gradients()));
        // And it is not sticky.
        REQUIRE_OK(F::model().predict(net.net, good.images.data(), CNNC_F32, BATCH, outputs.data()));
        REQUIRE_OK(F::model().train_step(net.net, good.images.data(), CNNC_F32, good.targets.data(), BATCH, nullptr));
      }
}

TEST_CASE_TEMPLATE("saving and loading carries everything", F, labels::Fake, image::Fake, small::Fake) {
  const auto &model = F::model();
  Data<F> data(BATCH);
  auto train = [&](Net<F> &net) {
    for (int i = 0; i < 5; i++)
      REQUIRE_OK(model.train_step(net.net, data.images.data(), CNNC_F32, data.targets.data(), BATCH - i, nullptr));
  };
  Net<F> first(2, 1);
  train(first);
  std::vector<unsigned char> middle = first.saved();
  CHECK(middle.size() == HEADER + 3 * COUNT * sizeof(typename F::Real) + 8);
  CHECK(memcmp(middle.data(), "CNNCSAV1", 8) == 0);
  CHECK(memcmp(middle.data() + HEADER, first.parameters(), COUNT * sizeof(typename F::Real)) == 0);
  train(first);

  Net<F> second(1, 99);
  train(second);
  std::vector<unsigned char> shifted(middle.size() + 1); // at an odd address
  memcpy(shifted.data() + 1, middle.data(), middle.size());
  REQUIRE_OK(model.load(second.net, shifted.data() + 1, middle.size()));
  CHECK(model.step(second.net) == 5);
  CHECK(second.saved() == middle);
  train(second);
  CHECK(second.saved() == first.saved());

  // Into a net for inference, and from it back: without the optimizer's values.
  Net<F> inference(1, 5, false);
  REQUIRE_OK(model.load(inference.net, middle.data(), middle.size()));
  CHECK(model.step(inference.net) == 5);
  CHECK(memcmp(inference.parameters(), middle.data() + HEADER, COUNT * sizeof(typename F::Real)) == 0);
  std::vector<unsigned char> plain = inference.saved();
  CHECK(plain.size() == HEADER + COUNT * sizeof(typename F::Real) + 8);
  REQUIRE_OK(model.load(second.net, plain.data(), plain.size()));
  CHECK(model.step(second.net) == 0);
  std::vector<unsigned char> fresh = second.saved();
  CHECK(memcmp(fresh.data() + HEADER, middle.data() + HEADER, COUNT * sizeof(typename F::Real)) == 0);
  for (size_t i = HEADER + COUNT * sizeof(typename F::Real); i < fresh.size() - 8; i++) CHECK(fresh[i] == 0);
  REQUIRE_OK(model.load(inference.net, plain.data(), plain.size()));
  CHECK(inference.saved() == plain);

  // More room than needed is well, and stays as it was.
  std::vector<unsigned char> roomy(middle.size() + 3, 0x44);
  REQUIRE_OK(model.save(first.net, roomy.data(), roomy.size()));
  for (size_t i = middle.size(); i < roomy.size(); i++) CHECK(roomy[i] == 0x44);
}

TEST_CASE_TEMPLATE("every damaged bit and every cut is found", F, labels::Fake, image::Fake) {
  const auto &model = F::model();
  Data<F> data(BATCH);
  Net<F> source(1, 1), source_plain(1, 1, false), target(1, 2), target_plain(1, 2, false);
  REQUIRE_OK(model.train_step(source.net, data.images.data(), CNNC_F32, data.targets.data(), BATCH, nullptr));
  for (const auto &bytes : {source.saved(), source_plain.saved()})
    for (Net<F> *net : {&target, &target_plain}) {
      std::vector<char> before = net->image();
      int accepted = 0;
      for (size_t i = 0; i < bytes.size(); i++)
        for (int bit = 0; bit < 8; bit++) {
          std::vector<unsigned char> damaged = bytes;
          damaged[i] = static_cast<unsigned char>(damaged[i] ^ 1 << bit);
          accepted += as_int(model.load(net->net, damaged.data(), damaged.size())) != as_int(CNNC_BAD_BYTES);
        }
      for (size_t size = 0; size < bytes.size(); size++) {
        std::vector<unsigned char> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        cut.reserve(1); // an empty vector may have no address
        accepted += as_int(model.load(net->net, cut.data(), size)) != as_int(CNNC_BAD_BYTES);
      }
      std::vector<unsigned char> longer = bytes;
      longer.push_back(0);
      accepted += as_int(model.load(net->net, longer.data(), longer.size())) != as_int(CNNC_BAD_BYTES);
      CHECK(accepted == 0);
      CHECK(net->image() == before);
      REQUIRE_OK(model.load(net->net, bytes.data(), bytes.size()));
    }
}

TEST_CASE("well-formed bytes of another kind are refused") {
  Net<labels::Fake> net;
  Net<image::Fake> other; // double: the same fingerprint, another element
  std::vector<unsigned char> bytes = net.saved(), foreign = other.saved();
  CHECK_STATUS(labels::Fake::model().load(net.net, foreign.data(), foreign.size()), CNNC_BAD_BYTES);
  // A count that would overflow the size, under a right checksum.
  for (size_t place : {size_t(24), size_t(32)})
    for (uint64_t count : {UINT64_MAX, uint64_t(1) << 62, uint64_t(COUNT)}) {
      std::vector<unsigned char> forged = bytes;
      for (size_t i = 0; i < 8; i++) forged[place + i] = static_cast<unsigned char>(count >> 8 * i);
      if (forged == bytes) continue;
      uint64_t hash = 0xCBF29CE484222325u;
      for (size_t i = 0; i < forged.size() - 8; i++) hash = (hash ^ forged[i]) * 0x100000001B3u;
      for (size_t i = 0; i < 8; i++) forged[forged.size() - 8 + i] = static_cast<unsigned char>(hash >> 8 * i);
      CHECK_STATUS(labels::Fake::model().load(net.net, forged.data(), forged.size()), CNNC_BAD_BYTES);
    }
}

TEST_CASE("two nets train side by side") {
  typedef labels::Fake F;
  Data<F> data(BATCH);
  std::vector<unsigned char> results[3];
  auto work = [&](std::vector<unsigned char> *result, int threads) {
    Net<F> net(threads, 3);
    bool good = true;
    for (int i = 0; i < 100; i++)
      good &= as_int(F::model().train_step(net.net, data.images.data(), CNNC_F32, data.targets.data(), BATCH - i % 7, nullptr)) == 0;
    std::vector<unsigned char> saved(F::model().save_size(net.net));
    good &= as_int(F::model().save(net.net, saved.data(), saved.size())) == 0;
    if (good) *result = saved;
  };
  std::thread a(work, &results[0], 2), b(work, &results[1], 3);
  a.join();
  b.join();
  work(&results[2], 1);
  CHECK(results[2].size() > 0);
  CHECK(results[0] == results[2]);
  CHECK(results[1] == results[2]);
}

TEST_CASE("workers that have gone to sleep wake up") {
  typedef labels::Fake F;
  Net<F> net(3), same(1);
  Data<F> data(BATCH);
  for (int i = 0; i < 5; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (auto *each : {&net, &same})
      REQUIRE_OK(F::model().train_step(each->net, data.images.data(), CNNC_F32, data.targets.data(), BATCH, nullptr));
  }
  CHECK(net.saved() == same.saved());
}
