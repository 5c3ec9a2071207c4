// `load` of a generated library, with the model written by hand for the hooks' unit tests. The first byte chooses:
// bit 0 a net for inference; bit 1 the check sum is put right.
#include "fuzz.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <vector>

template <int kind>
struct Target { typedef uint8_t type; };

namespace fake {
#define CNNC_REAL float
#define FAKE_TARGET CNNC_LABELS_U8
#define FAKE_SUM 0
#define FAKE_MACS 8
#define FAKE_TRAINS 1
#include "tests/unit/hooks_fake.h"
} // namespace fake

namespace {

using fake::cnnc_metrics, fake::cnnc_status, fake::CNNC_OK, fake::CNNC_BAD_BYTES, fake::CNNC_NOT_FINITE, fake::CNNC_F32;

struct Net {
  static constexpr size_t alignment = 64;
  size_t bytes;
  char *memory;
  fake::cnnc_net *net = nullptr;

  explicit Net(bool trains) {
    const fake::cnnc_model &model = table();
    bytes = trains ? model.train_bytes(1) : model.infer_bytes(1);
    bytes = (bytes + alignment - 1) / alignment * alignment;
    memory = static_cast<char *>(aligned_alloc(alignment, bytes));
    memset(memory, 0, bytes);
    REQUIRE((trains ? model.init : model.init_inference)(&net, memory, bytes, 1, 1) == CNNC_OK);
  }
  static const fake::cnnc_model &table() { return fake::Fake::model(); }
  std::vector<char> image() const { return std::vector<char>(memory, memory + bytes); }
  std::vector<unsigned char> saved() const {
    std::vector<unsigned char> out(table().save_size(net));
    REQUIRE(table().save(net, out.data(), out.size()) == CNNC_OK);
    return out;
  }
};

void put_check_sum(std::vector<unsigned char> &bytes) {
  if (bytes.size() < 8) return;
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; i < bytes.size() - 8; i++) hash = (hash ^ bytes[i]) * 0x100000001B3u;
  for (size_t i = 0; i < 8; i++) bytes[bytes.size() - 8 + i] = static_cast<unsigned char>(hash >> 8 * i);
}

// A loaded net can be used, whatever its numbers are.
void use(Net &net, bool trains) {
  const fake::cnnc_model &model = Net::table();
  const float images[6] = {0.5f, -1, 2, 0.25f, 1, 1};
  const uint8_t labels[2] = {0, 1};
  float outputs[4];
  cnnc_metrics metrics;
  const cnnc_status status = model.predict(net.net, images, CNNC_F32, 2, outputs);
  REQUIRE(status == CNNC_OK || status == CNNC_NOT_FINITE);
  if (!trains) return;
  const uint64_t before = model.step(net.net);
  const cnnc_status step = model.train_step(net.net, images, CNNC_F32, labels, 2, &metrics);
  REQUIRE(step == CNNC_OK || step == CNNC_NOT_FINITE);
  REQUIRE(step != CNNC_OK || model.step(net.net) == before + 1);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static Net training(true), inference(false);
  if (size < 1) return 0;
  const bool trains = !(data[0] & 1);
  Net &net = trains ? training : inference;
  std::vector<unsigned char> bytes(data + 1, data + size);
  if (data[0] & 2) put_check_sum(bytes);
  bytes.reserve(1);
  const std::vector<char> before = net.image();
  const cnnc_status status = Net::table().load(net.net, bytes.data(), bytes.size());
  REQUIRE(status == CNNC_OK || status == CNNC_BAD_BYTES || status == CNNC_NOT_FINITE);
  if (status != CNNC_OK) {
    REQUIRE(net.image() == before);
    return 0;
  }
  const std::vector<unsigned char> again = net.saved();
  REQUIRE(again.size() != bytes.size() || again == bytes);
  use(net, trains);
  return 0;
}
