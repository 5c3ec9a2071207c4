// Tests of the runtime without a compiled model: file formats, random numbers, checkpoints, and the training loop
// on a small model written by hand.
#include <doctest/doctest.h>

#include "../../runtime/checkpoint.h"
#include "../../runtime/dataset.h"
#include "../../runtime/error.h"
#include "../../runtime/metrics.h"
#include "../../runtime/png.h"
#include "../../runtime/random.h"
#include "../../runtime/report.h"
#include "../../runtime/run_folder.h"
#include "../../runtime/tensor_text.h"
#include "../../runtime/trainer.h"
#include "fake_model.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <set>
#include <spng.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <zlib.h>

using namespace cnnc::runtime;
namespace fs = std::filesystem;

namespace {

struct TemporaryFolder {
  std::string path;
  TemporaryFolder() {
    char name[] = "/tmp/cnnc-runtime-XXXXXX";
    path = mkdtemp(name);
  }
  ~TemporaryFolder() { fs::remove_all(path); }
  std::string operator/(const std::string &name) const { return join(path, name); }
};

template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const Error &e) {
    return e.what();
  }
  return "no error";
}

// True when f throws InputError and nothing else.
template <class F>
bool refused(F f) {
  try {
    f();
  } catch (const InputError &) {
    return true;
  }
  return false;
}

Bytes gzip(const Bytes &in) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  Bytes out(in.size() + 1000);
  z.next_in = const_cast<Bytef *>(in.data());
  z.avail_in = static_cast<uInt>(in.size());
  z.next_out = out.data();
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

Bytes idx(const std::vector<std::uint32_t> &shape, std::uint64_t size) {
  Bytes b{0, 0, 8, static_cast<std::uint8_t>(shape.size())};
  for (std::uint32_t d : shape)
    for (int s = 24; s >= 0; s -= 8) b.push_back(static_cast<std::uint8_t>(d >> s));
  for (std::uint64_t i = 0; i < size; ++i) b.push_back(static_cast<std::uint8_t>(i * 37));
  return b;
}

Bytes npy(const std::string &descr, const std::string &shape, const Bytes &data, const char *order = "False", int version = 1) {
  std::string head = fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}", descr, order, shape);
  while ((head.size() + (version == 1 ? 11 : 13)) % 64) head += ' ';
  head += '\n';
  Bytes b{0x93, 'N', 'U', 'M', 'P', 'Y', static_cast<std::uint8_t>(version), 0, static_cast<std::uint8_t>(head.size()),
          static_cast<std::uint8_t>(head.size() >> 8)};
  if (version > 1) b.insert(b.end(), 2, 0);
  b.insert(b.end(), head.begin(), head.end());
  b.insert(b.end(), data.begin(), data.end());
  return b;
}

template <class T>
Bytes bytes_of(const std::vector<T> &values) {
  Bytes b(values.size() * sizeof(T));
  std::memcpy(b.data(), values.data(), b.size());
  return b;
}

void put(const std::string &path, const Bytes &b) { write_file(path, b.data(), b.size()); }

// 2x2 images with the class's own pixel bright; 50 to train, 20 to test.
void write_data(const TemporaryFolder &t) {
  for (const auto &[name, count] : {std::pair("train", 50u), std::pair("t10k", 20u)}) {
    Bytes images = idx({count, 2, 2}, 0), labels = idx({count}, 0);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto label = static_cast<std::uint8_t>(i * 7 % 3);
      labels.push_back(label);
      for (std::uint32_t k = 0; k < 4; ++k) images.push_back(static_cast<std::uint8_t>(k == label ? 200 : i * (k + 3) * 11 % 120));
    }
    put(t / (std::string(name) + "-images-idx3-ubyte"), images);
    put(t / (std::string(name) + "-labels-idx1-ubyte.gz"), gzip(labels));
  }
}

TrainOptions options_for(const TemporaryFolder &t, const std::string &run) {
  TrainOptions o;
  o.folder = t / run;
  o.data = t.path;
  o.epochs = 4;
  o.seed = 5;
  o.quiet = true;
  fake::calls = fake::evaluations = 0;
  fake::poison_at = fake::signal_at = fake::kill_at = fake::bad_validation_at = -1;
  return o;
}

TrainOptions resume_of(const TemporaryFolder &t, const std::string &run) {
  TrainOptions o = options_for(t, run);
  o.data.reset(), o.epochs.reset(), o.seed.reset();
  o.resume = true;
  return o;
}

std::vector<EpochMetrics> without_times(const std::string &folder, std::uint32_t epochs) {
  auto history = read_metrics(join(folder, "metrics.jsonl"), epochs);
  for (auto &m : history) m.seconds = m.images_per_second = 0;
  return history;
}

void check_same_run(const TemporaryFolder &t, const std::string &a, const std::string &b) {
  for (const char *name : {"best.ckpt", "last.ckpt"}) CHECK(read_file(join(t / a, name)) == read_file(join(t / b, name)));
  const auto x = without_times(t / a, 4), y = without_times(t / b, 4);
  for (int i = 0; i < 4; ++i) CHECK(metrics_line(x[i]) == metrics_line(y[i]));
  const std::string text = read_text(join(t / b, "metrics.jsonl"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 4);
}

} // namespace

TEST_CASE("idx: good files, plain and packed") {
  const Bytes b = idx({3, 2, 2}, 12);
  for (bool packed : {false, true}) {
    const Array a = parse_idx(packed ? gzip(b) : b, "x", packed);
    CHECK(a.shape == std::vector<std::uint64_t>{3, 2, 2});
    CHECK(a.bytes == Bytes(b.begin() + 16, b.end()));
  }
}

TEST_CASE("idx: every cut is refused") {
  const Bytes b = idx({3, 2, 2}, 12), z = gzip(b);
  for (std::size_t n = 0; n < b.size(); ++n) CHECK(refused([&] { parse_idx(Bytes(b.begin(), b.begin() + n), "x", false); }));
  for (std::size_t n = 0; n < z.size(); ++n) CHECK(refused([&] { parse_idx(Bytes(z.begin(), z.begin() + n), "x", true); }));
}

TEST_CASE("idx: damaged files") {
  Bytes b = idx({3, 2, 2}, 13);
  CHECK(message_of([&] { parse_idx(b, "x", false); }) == "x: more data than the 3x2x2 (12 bytes) that its header promises");
  CHECK(refused([&] { parse_idx(gzip(b), "x", true); }));
  b = idx({3, 2, 2}, 12);
  Bytes z = gzip(b);
  z.push_back(0);
  CHECK(refused([&] { parse_idx(z, "x", true); }));
  z = gzip(b);
  z[z.size() - 6] ^= 1; // the check sum
  CHECK(refused([&] { parse_idx(z, "x", true); }));
  b[0] = 1;
  CHECK(message_of([&] { parse_idx(b, "x", false); }) == "x: not an IDX file: it begins with 01 00, expected 00 00");
  b[0] = 0, b[2] = 0x0d;
  CHECK(message_of([&] { parse_idx(b, "x", false); }) == "x: IDX type 0x0d, expected 0x08 (unsigned byte)");
  b[2] = 8, b[3] = 0;
  CHECK(message_of([&] { parse_idx(b, "x", false); }) == "x: 0 dimensions, expected 1 to 4");
  b[3] = 255;
  CHECK(message_of([&] { parse_idx(b, "x", false); }) == "x: 255 dimensions, expected 1 to 4");
}

TEST_CASE("idx: sizes that overflow or cannot be there are refused before memory is asked for") {
  CHECK(refused([] { parse_idx(idx({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 4), "x", false); }));
  CHECK(refused([] { parse_idx(gzip(idx({0x80000000, 2, 2}, 4)), "x", true); }));
  CHECK(refused([] { parse_idx(idx({0x10000, 0x10000, 0x10000, 0x10000}, 4), "x", false); })); // 2^64
  CHECK(message_of([] { parse_idx(idx({60000, 28, 28}, 0), "x", false); }) ==
        "x: cut short: its header promises 60000x28x28 (47040016 bytes), the file has 16 bytes");
}

TEST_CASE("npy: good files of each version") {
  const Bytes data = bytes_of<float>({1, 2, 3, 4, 5, 6});
  for (int version : {1, 2, 3}) {
    const Array a = parse_npy(npy("<f4", "(2, 3)", data, "False", version), "x");
    CHECK(a.type == Element::f32);
    CHECK(a.shape == std::vector<std::uint64_t>{2, 3});
    CHECK(a.bytes == data);
  }
  CHECK(parse_npy(npy("|u1", "(3,)", {1, 2, 3}), "x").shape == std::vector<std::uint64_t>{3});
  CHECK(parse_npy(npy("|u1", "()", {1}), "x").shape.empty());
  CHECK(parse_npy(npy("|u1", "(3, 0)", {}), "x").bytes.empty());
}

TEST_CASE("npy: every cut is refused") {
  const Bytes b = npy("<f4", "(2, 3)", bytes_of<float>({1, 2, 3, 4, 5, 6}));
  for (std::size_t n = 0; n < b.size(); ++n) CHECK(refused([&] { parse_npy(Bytes(b.begin(), b.begin() + n), "x"); }));
}

TEST_CASE("npy: damaged and unwanted files") {
  const Bytes six = bytes_of<float>({1, 2, 3, 4, 5, 6});
  CHECK(message_of([&] { parse_npy(npy("<f4", "(2, 4)", six), "x"); }) ==
        "x: cut short: 24 bytes of data, its header promises 32 (2x4 of float32)");
  CHECK(message_of([&] { parse_npy(npy("<f4", "(2, 2)", six), "x"); }) ==
        "x: too long: 24 bytes of data, its header promises 16 (2x2 of float32)");
  CHECK(message_of([&] { parse_npy(npy(">f4", "(2, 3)", six), "x"); }) ==
        "x: big-endian elements '>f4', expected little-endian '<f4'");
  CHECK(message_of([&] { parse_npy(npy("<c8", "(3,)", six), "x"); }) ==
        "x: elements of type '<c8', expected uint8, an integer type, float32 or float64");
  CHECK(message_of([&] { parse_npy(npy("<f4", "(2, 3)", six, "True"), "x"); }) ==
        "x: column-major order, expected row-major: save numpy.ascontiguousarray(x)");
  for (const char *shape : {"(18446744073709551615, 2)", "(18446744073709551616,)", "(4294967296, 4294967296)", "(-1,)", "(2", "2, 3", "(,)",
                            "(2 3)", "(1,1,1,1,1,1,1,1,1)", "(1e3,)"})
    CHECK_MESSAGE(refused([&] { parse_npy(npy("<f4", shape, six), "x"); }), shape);
  Bytes b = npy("<f4", "(2, 3)", six);
  b[6] = 4;
  CHECK(message_of([&] { parse_npy(b, "x"); }) == "x: .npy version 4, expected 1 to 3");
  b[0] = 0;
  CHECK(message_of([&] { parse_npy(b, "x"); }) == "x: not a .npy file: it does not begin with \\x93NUMPY");
}

TEST_CASE("data sets: conversion and checks against the model") {
  const cnnc_model model = fake::model();
  const Bytes two(8, 7);
  const auto images = [&](const Bytes &b) { return parse_npy(b, "i"); };
  const auto dataset = [&](const Bytes &i, const Bytes &l) {
    const Array labels = parse_npy(l, "l");
    return make_dataset(images(i), &labels, model);
  };
  const Bytes good = npy("|u1", "(2, 2, 2)", two);
  for (const Bytes &l : {npy("|u1", "(2,)", {1, 2}), npy("<i8", "(2,)", bytes_of<std::int64_t>({1, 2})),
                         npy("<i4", "(2, 1)", bytes_of<std::int32_t>({1, 2}))}) {
    const Dataset d = dataset(good, l);
    CHECK(d.count == 2);
    CHECK(d.targets == Bytes{1, 2});
    CHECK(d.image_bytes == 4);
  }
  const Dataset f = dataset(npy("<f8", "(2, 1, 2, 2)", bytes_of<double>({0, 1, 2, 3, 4, 5, 6, 7.5})), npy("|u1", "(2,)", {0, 0}));
  CHECK(f.pixels == CNNC_F32);
  CHECK(f.images == bytes_of<float>({0, 1, 2, 3, 4, 5, 6, 7.5}));

  const Bytes labels = npy("|u1", "(2,)", {0, 1});
  CHECK(message_of([&] { dataset(npy("|u1", "(2, 4)", two), labels); }) == "i: images of 4, the model takes 1x2x2");
  CHECK(message_of([&] { dataset(good, npy("|u1", "(3,)", {0, 1, 2})); }) == "i has 2 images, l has 3 labels");
  CHECK(message_of([&] { dataset(good, npy("|u1", "(2,)", {0, 3})); }) ==
        "l: label 3 of item 1 is not below 3, the model's number of classes");
  CHECK(message_of([&] { dataset(good, npy("<i8", "(2,)", bytes_of<std::int64_t>({-1, 0}))); }) ==
        "l: label -1 of item 0 is not below 3, the model's number of classes");
  CHECK(refused([&] { dataset(good, npy("<u8", "(2,)", bytes_of<std::uint64_t>({~0ull, 0}))); }));
  CHECK(message_of([&] { dataset(good, npy("<f4", "(2,)", bytes_of<float>({0, 1}))); }) ==
        "l: labels of type float32, expected an integer type");
  CHECK(message_of([&] { dataset(npy("<f4", "(1, 2, 2)", bytes_of<float>({0, 1, NAN, 2})), npy("|u1", "(1,)", {0})); }) ==
        "i: element 2 is nan, expected a finite float32");
  CHECK(message_of([&] { dataset(npy("|u1", "(0, 2, 2)", {}), labels); }) == "i: holds no images");
  CHECK(message_of([&] { dataset(npy("|u1", "()", {1}), labels); }) == "i: a single number, expected images of 1x2x2");

  cnnc_model picture = model;
  picture.target_kind = CNNC_TARGET_IMAGE;
  picture.target_rank = 3;
  picture.target_shape[0] = 1, picture.target_shape[1] = picture.target_shape[2] = 2;
  picture.target_size = 4;
  const Array target = parse_npy(npy("|u1", "(2, 2, 2)", {0, 255, 0, 255, 0, 255, 0, 255}), "t");
  CHECK(make_dataset(images(good), &target, picture).targets == bytes_of<float>({0, 1, 0, 1, 0, 1, 0, 1}));
}

TEST_CASE("data sets: where the files are looked for") {
  const TemporaryFolder t;
  const cnnc_model model = fake::model();
  CHECK(message_of([&] { load_dataset(t.path, Part::test, model); }) ==
        fmt::format("{0}: no test images: neither {0}/t10k-images-idx3-ubyte (also .gz) nor {0}/test_images.npy", t.path));
  write_data(t);
  CHECK(load_dataset(t.path, Part::train, model).count == 50);
  CHECK(load_dataset(t.path, Part::test, model).count == 20);
  CHECK(has_test_part(t.path));
  put(t / "a.npy", npy("|u1", "(1, 2, 2)", {1, 2, 3, 4}));
  put(t / "b.npy", npy("|u1", "(1,)", {1}));
  const std::string pair = t / "a.npy" + "," + t / "b.npy";
  CHECK(load_dataset(pair, Part::train, model).count == 1);
  CHECK_FALSE(has_test_part(pair));
  CHECK(has_test_part(pair + "," + pair));
  CHECK(message_of([&] { load_dataset(t / "no", Part::train, model); }) ==
        "data '" + t / "no" + "': no such folder; expected fashion-mnist, a folder, or images.npy,labels.npy");
  CHECK(parse_item("test:17")->index == 17);
  CHECK_FALSE(parse_item("image.png"));
  CHECK_THROWS_AS(parse_item("test:x"), UsageError);
}

TEST_CASE("random numbers: the published answers of Philox4x32-10") {
  using B = std::array<std::uint32_t, 4>;
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == B{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == B{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        B{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("shuffling: a permutation that depends on seed and epoch, and is even") {
  const auto order = [](std::uint64_t seed, std::uint32_t epoch) {
    std::vector<std::uint32_t> v(100);
    for (std::uint32_t i = 0; i < 100; ++i) v[i] = i;
    shuffle(v, seed, Stream::shuffle, epoch);
    return v;
  };
  CHECK(order(1, 0) == order(1, 0));
  CHECK(order(1, 0) != order(1, 1));
  CHECK(order(1, 0) != order(2, 0));
  CHECK(order(1, 0) != order(1ull << 32 | 1, 0));
  auto sorted = order(1, 0);
  std::sort(sorted.begin(), sorted.end());
  for (std::uint32_t i = 0; i < 100; ++i) CHECK(sorted[i] == i);
  int counts[6] = {}; // each order of three, a thousand times each expected; sigma is 29
  for (std::uint32_t e = 0; e < 6000; ++e) {
    std::vector<std::uint32_t> v{0, 1, 2};
    shuffle(v, 9, Stream::shuffle, e);
    ++counts[v[0] * 2 + (v[1] > v[2])];
  }
  for (int c : counts) CHECK(std::abs(c - 1000) < 150);
}

TEST_CASE("split: both parts together are everything") {
  const Split s = split_items(1000, 300, 3);
  CHECK(s.train.size() == 700);
  CHECK(s.validation.size() == 300);
  std::set<std::uint32_t> all(s.train.begin(), s.train.end());
  all.insert(s.validation.begin(), s.validation.end());
  CHECK(all.size() == 1000);
  CHECK(s.validation != split_items(1000, 300, 4).validation);
  CHECK(split_items(10, 0, 3).validation.empty());
}

TEST_CASE("checkpoint: there and back, every cut and every flipped bit") {
  Checkpoint c;
  c.model = "lenet", c.fingerprint = 99, c.net = {1, 2, 3}, c.epoch = 4, c.step = 5, c.loss_sum = 0.25, c.correct = 6, c.seen = 7;
  c.best_epoch = 3, c.best_loss = 1.5, c.epochs = 10, c.batch = 8, c.seed = ~0ull, c.examples = 50, c.validation = 5, c.data = "x";
  const Bytes b = encode_checkpoint(c);
  const Checkpoint d = decode_checkpoint(b, "x");
  CHECK(encode_checkpoint(d) == b);
  CHECK(d.seed == ~0ull);
  CHECK(d.best_loss == 1.5);
  for (std::size_t n = 0; n < b.size(); ++n) CHECK(refused([&] { decode_checkpoint(Bytes(b.begin(), b.begin() + n), "x"); }));
  for (std::size_t bit = 0; bit < 8 * b.size(); ++bit) {
    Bytes e = b;
    e[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    CHECK(refused([&] { decode_checkpoint(e, "x"); }));
  }
  Bytes longer = b;
  longer.push_back(0);
  CHECK(message_of([&] { decode_checkpoint(longer, "x"); }) ==
        fmt::format("x: too long: {} bytes, its header promises {}", b.size() + 1, b.size()));
}

TEST_CASE("files: written whole or not at all") {
  const TemporaryFolder t;
  write_file(t / "a", "old");
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = {1000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = message_of([&] { write_file(t / "a", std::string(5000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK(message == t / "a" + ": cannot write: File too large");
  CHECK(read_text(t / "a") == "old");
  CHECK(std::distance(fs::directory_iterator(t.path), {}) == 1);
  CHECK(message_of([&] { read_file(t / "b"); }) == t / "b" + ": cannot open: No such file or directory");
  CHECK(message_of([&] { read_file(t.path); }) == t.path + ": cannot read: Is a directory");
  CHECK(message_of([&] { write_file(t / "no/b", "x"); }) == t / "no/b" + ": cannot write: No such file or directory");
}

TEST_CASE("training: learns, keeps the best, writes the folder") {
  const TemporaryFolder t;
  write_data(t);
  const cnnc_model model = fake::model();
  TrainOptions o = options_for(t, "run");
  const TrainResult r = train(model, "model fake\n", o);
  REQUIRE(r.history.size() == 4);
  CHECK(r.history[3].train_loss < r.history[0].train_loss);
  CHECK(fake::calls == 4 * 6); // 45 images, batch 8: five whole batches and one of five
  CHECK(read_text(t / "run/model.dsl") == "model fake\n");
  const Checkpoint best = read_checkpoint(t / "run/best.ckpt"), last = read_checkpoint(t / "run/last.ckpt");
  CHECK(best.epoch == r.best_epoch);
  CHECK(last.epoch == 4);
  CHECK(last.validation == 5);
  double lowest = 1e9;
  for (const auto &m : r.history) {
    CHECK(m.best == (*m.validation_loss < lowest));
    lowest = std::min(lowest, *m.validation_loss);
  }
  CHECK(best.best_loss == lowest);
  CHECK(read_run(t / "run").data == t.path);
  CHECK(message_of([&] { train(model, "", o); }) ==
        o.folder + ": holds a run already; go on with it by --resume, or choose another folder");
}

TEST_CASE("training: a run interrupted at any step and resumed ends with the same bits") {
  const TemporaryFolder t;
  write_data(t);
  const cnnc_model model = fake::model();
  train(model, "m", options_for(t, "whole"));
  for (long at = 0; at < 24; ++at) {
    CAPTURE(at);
    const std::string name = fmt::format("run{}", at);
    TrainOptions o = options_for(t, name);
    fake::signal_at = at;
    if (at == 23) { // the last step of all: the run is complete
      train(model, "m", o);
    } else {
      const std::string message = message_of([&] { train(model, "m", o); });
      CHECK(message.find("go on with: cnnc train --resume " + o.folder) != std::string::npos);
    }
    train(model, "", resume_of(t, name));
    check_same_run(t, "whole", name);
    CHECK(read_text(t / name + "/model.dsl") == "m");
  }
}

TEST_CASE("training: a run killed without warning and resumed ends with the same bits") {
  const TemporaryFolder t;
  write_data(t);
  const cnnc_model model = fake::model();
  train(model, "", options_for(t, "whole"));
  for (long at : {0, 1, 5, 6, 7, 13, 23}) {
    CAPTURE(at);
    const std::string name = fmt::format("run{}", at);
    TrainOptions o = options_for(t, name);
    o.checkpoint_steps = 2;
    fake::kill_at = at;
    const pid_t child = fork();
    if (child == 0) {
      train(model, "", o);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WEXITSTATUS(status) == 9);
    train(model, "", resume_of(t, name));
    check_same_run(t, "whole", name);
  }
}

TEST_CASE("training: files of an epoch that the checkpoint does not have yet") {
  const TemporaryFolder t;
  write_data(t);
  const cnnc_model model = fake::model();
  train(model, "", options_for(t, "whole"));
  TrainOptions o = options_for(t, "run");
  fake::signal_at = 7;
  CHECK_THROWS_AS(train(model, "", o), Interrupted);
  // As if it had been killed between metrics.jsonl and last.ckpt of a later epoch, half way through a file.
  write_file(t / "run/metrics.jsonl", read_text(t / "run/metrics.jsonl") + read_text(t / "run/metrics.jsonl") + "{\"epo");
  write_file(t / ("run/" + std::string(temporary_prefix) + "1-1"), "x");
  train(model, "", resume_of(t, "run"));
  check_same_run(t, "whole", "run");
  CHECK_FALSE(file_exists(t / ("run/" + std::string(temporary_prefix) + "1-1")));
}

TEST_CASE("training: a loss that is not finite stops the run") {
  const TemporaryFolder t;
  write_data(t);
  const cnnc_model model = fake::model();
  TrainOptions o = options_for(t, "run");
  fake::poison_at = 8;
  CHECK(message_of([&] { train(model, "", o); }) ==
        "the loss is not finite in epoch 2, step 3 of 6; a smaller learning rate may help; the last good state is in " + o.folder +
            "/last.ckpt");
  CHECK(read_checkpoint(t / "run/last.ckpt").epoch == 1);
  o = options_for(t, "run2");
  fake::bad_validation_at = 0;
  CHECK(message_of([&] { train(model, "", o); }).find("the validation loss is not finite after epoch 1") == 0);
}

TEST_CASE("training: options and data that do not fit") {
  const TemporaryFolder t;
  write_data(t);
  const cnnc_model model = fake::model();
  TrainOptions o = options_for(t, "run");
  o.batch = 9;
  CHECK(message_of([&] { train(model, "", o); }) == "batch 9, expected 1 to 8, which the model was compiled for");
  o = options_for(t, "run");
  for (double v : {50.0, -0.1, 2.5, 0.999}) {
    o.validation = v;
    CHECK_THROWS_AS(train(model, "", o), UsageError);
  }
  CHECK_FALSE(file_exists(t / "run"));
  o.validation = 0;
  CHECK_FALSE(train(model, "", o).history[0].validation_loss);
  {
    const RunFolder locked(t / "run", false);
    CHECK(message_of([&] { train(model, "", resume_of(t, "run")); }) == t / "run" + ": another run is writing to this folder");
  }
  o = resume_of(t, "run");
  o.seed = 6;
  CHECK(message_of([&] { train(model, "", o); }) == "seed 6: the run was started with 5, and a resumed run keeps it");
  o = resume_of(t, "run");
  o.epochs = 3;
  CHECK(message_of([&] { train(model, "", o); }) == "epochs 3: the run is in epoch 4 already");
  o.epochs = 6;
  CHECK(train(model, "", o).history.size() == 6);
  cnnc_model other = model;
  other.fingerprint = 1;
  CHECK(refused([&] { train(other, "", resume_of(t, "run")); }));
  Bytes images = read_file(t / "train-images-idx3-ubyte");
  images.back() ^= 1;
  put(t / "train-images-idx3-ubyte", images);
  CHECK(message_of([&] { train(model, "", resume_of(t, "run")); }).find("not the data that the run was started with") != std::string::npos);
  CHECK(message_of([&] { train(model, "", resume_of(t, "none")); }) == t / "none" + ": no such folder");
  CHECK(message_of([&] { train(model, "", resume_of(t, ".")); }).find("not the folder of a run: run.json is missing") != std::string::npos);
  CHECK_FALSE(file_exists(t / "lock"));
}

TEST_CASE("reports: evaluation and predictions") {
  const TemporaryFolder t;
  write_data(t);
  const cnnc_model model = fake::model();
  train(model, "", options_for(t, "run"));
  Net net(model, Mode::infer, 1, 0);
  load_parameters(net, t / "run/best.ckpt");
  const Evaluation e = evaluate(net, load_dataset(t.path, Part::test, model));
  std::uint64_t total = 0, diagonal = 0;
  for (std::size_t i = 0; i < 9; ++i) total += e.confusion[i], diagonal += i % 4 == 0 ? e.confusion[i] : 0;
  CHECK(total == 20);
  CHECK(diagonal == e.totals.correct);
  CHECK(evaluation_text(e).find("class  examples  correct  recall  precision") != std::string::npos);
  CHECK(evaluation_json(e).find("\"confusion\":[[") != std::string::npos);

  const auto p = predict(net, "test:3", t.path);
  REQUIRE(p.size() == 1);
  CHECK(p[0].top.size() == 3);
  CHECK(p[0].top[0].probability + p[0].top[1].probability + p[0].top[2].probability == doctest::Approx(1));
  CHECK(*p[0].expected == 0);
  CHECK(message_of([&] { predict(net, "test:20", t.path); }).find("item 20 of 20, the last is 19") != std::string::npos);
  put(t / "one.npy", npy("|u1", "(2, 2)", {200, 1, 2, 3}));
  put(t / "two.npy", npy("|u1", "(2, 1, 2, 2)", {200, 1, 2, 3, 1, 200, 2, 3}));
  CHECK(predict(net, t / "one.npy", "").size() == 1);
  CHECK(predict(net, t / "two.npy", "").size() == 2);
  CHECK(predict(net, "[[1, 0], [0, 0]]", "").size() == 1);
  CHECK(message_of([&] { predict(net, "nothing", ""); }) ==
        "nothing: no such file; expected a .png or .npy file, or an item of the data set such as test:17");
  const float logits[] = {1000, -1000, 1000};
  const auto g = top_guesses(logits, 3);
  CHECK(g[0].label == 0);
  CHECK(g[1].label == 2);
  CHECK(g[0].probability == 0.5);
}

TEST_CASE("pictures: colours, sizes, damage") {
  const TemporaryFolder t;
  const auto write_png = [&](const std::string &path, int type, std::uint32_t w, std::uint32_t h, const Bytes &pixels) {
    spng_ctx *c = spng_ctx_new(SPNG_CTX_ENCODER);
    spng_set_option(c, SPNG_ENCODE_TO_BUFFER, 1);
    spng_ihdr head{w, h, 8, static_cast<std::uint8_t>(type), 0, 0, 0};
    spng_set_ihdr(c, &head);
    REQUIRE(spng_encode_image(c, pixels.data(), pixels.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE) == 0);
    std::size_t size = 0;
    int error = 0;
    void *png = spng_get_png_buffer(c, &size, &error);
    write_file(path, png, size);
    std::free(png);
    spng_ctx_free(c);
  };
  cnnc_model model = fake::model();
  write_png(t / "g.png", SPNG_COLOR_TYPE_GRAYSCALE, 2, 2, {0, 100, 200, 255});
  CHECK(read_png(t / "g.png", model).bytes == Bytes{0, 100, 200, 255});
  write_png(t / "c.png", SPNG_COLOR_TYPE_TRUECOLOR, 2, 2, {255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9});
  CHECK(read_png(t / "c.png", model).bytes == Bytes{76, 150, 29, 9});
  write_png(t / "a.png", SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, 2, 2, {1, 255, 2, 255, 3, 0, 4, 255});
  CHECK(message_of([&] { read_png(t / "a.png", model); }) ==
        t / "a.png" + ": the pixel at row 1, column 0 is not opaque; flatten the picture first");
  write_png(t / "w.png", SPNG_COLOR_TYPE_GRAYSCALE, 3, 2, Bytes(6));
  CHECK(message_of([&] { read_png(t / "w.png", model); }) ==
        t / "w.png" + ": a picture of 2 x 3 (height x width), the model takes 2 x 2");
  const Bytes whole = read_file(t / "c.png");
  for (std::size_t n = 0; n + 4 < whole.size(); ++n) { // libspng does not read the end mark's own check sum
    put(t / "cut.png", Bytes(whole.begin(), whole.begin() + n));
    CHECK(refused([&] { read_png(t / "cut.png", model); }));
  }
  model.input_shape[0] = 3, model.input_size = 12;
  CHECK(read_png(t / "c.png", model).bytes == Bytes{255, 0, 0, 9, 0, 255, 0, 9, 0, 0, 255, 9});
  model.input_shape[0] = 2;
  CHECK(refused([&] { read_png(t / "c.png", model); }));
}

TEST_CASE("nested lists: printed and read") {
  const std::uint32_t shape[] = {1, 2, 2};
  const float v[] = {19, 25, 37.5f, 0.1f};
  CHECK(format_nested(v, shape, 3) == "[[[19, 25], [37.5, 0.100000001]]]");
  CHECK(parse_nested("[[[19, 25], [37.5, 1e-1]]]", shape, 3) == std::vector<float>(v, v + 4));
  CHECK(parse_nested(" [[19,25],\n[37.5,.1]] ", shape, 3) == std::vector<float>(v, v + 4));
  CHECK(message_of([&] { parse_nested("[[1, 2, 3], [4, 5, 6]]", shape, 3); }) == "input: a list of 2x3, the model takes 1x2x2");
  CHECK(message_of([&] { parse_nested("[[1, 2], [3]]", shape, 3); }) == "input: character 13: a list of 1, the ones before have 2");
  for (const char *bad : {"", "1", "[", "[]", "[1, 2", "[[1, 2], 3]", "[1, [2]]", "[1e99]", "[nan]", "[[1, 2], [3, 4]] x", "[[[[[[[[[[1]]]]]]]]]]",
                          "[1,]", "[1 2]", "[0x]"})
    CHECK_MESSAGE(refused([&] { parse_nested(bad, shape, 3); }), bad);
}
