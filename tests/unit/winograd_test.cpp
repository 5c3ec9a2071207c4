// The two-dimensional fast convolution: gradients of every shape against finite differences, and its rounding errors.
#include <doctest/doctest.h>

#include <fmt/format.h>
#include <map>
#include <random>

#include "check.h"
#include "sample.h"

using namespace cnnc;

namespace {
using Tuned = std::map<std::string, std::map<std::string, std::string>>;

// What makes every convolution take tiles of this size in each direction where it can.
Tuned tiles_of(const Graph &g, const std::string &tile) {
  Tuned tuned;
  CompileOptions options;
  options.conv = "fast";
  options.stop_at = "fused";
  for (int round = 0; round < 2; round++) { // the first shows which convolutions there are to decide on
    options.tuned = tuned;
    const Compiled c = compile(g, options);
    for (const Decision &d : c.decisions)
      for (const Candidate &candidate : d.candidates)
        if (candidate.label == "each direction by itself" || candidate.label == "tiles of " + tile)
          for (const std::string &target : target_names())
            tuned[target][d.key] = candidate.label;
  }
  return tuned;
}
} // namespace

TEST_CASE("gradients: kernels, strides, paddings, turned kernels, tiles past the edge, few and many channels") {
  int ran = 0, used = 0;
  struct Case {
    const char *conv, *tile;
    int inputs = 17;
  };
  for (const Case &c : sampled<Case>({
           {"conv(3, kernel=3, padding=1)", "4x4"},
           {"conv(18, kernel=(5, 3), padding=(2, 0, 1, 3), flip=true)", "4x2"},
           {"conv(4, kernel=3, stride=2, padding=(2, 1, 0, 2))", "3x4"},
           {"conv(5, kernel=(4, 5), stride=(3, 2), padding=(1, 4, 2, 0), bias=false)", "2x3"},
           {"conv(2, kernel=(1, 4), stride=(2, 1), padding=(0, 0, 3, 3), flip=true)", "1x4"},
           {"conv(7, kernel=2, stride=3)", "6x6"},
           {"conv(20, kernel=3, padding=1)\nrelu\navg_pool(2)", "2x4"},
           {"conv(4, kernel=3, padding=1)\ntanh\nmax_pool(2)", "3x4"}, // a tile's edge would cut windows
           {"conv(4, kernel=3, padding=1)\ntanh\navg_pool(2, stride=3)", "3x6"},
           // Points that leave the second-level cache: rows of tiles together, channels in one pass and in several.
           {"conv(20, kernel=3, padding=1)", "4x4", 330},
           {"conv(330, kernel=3, stride=(2, 1), padding=1)\navg_pool(2)", "3x3", 19},
           {"conv(90, kernel=(3, 2), padding=(2, 0, 1, 1))", "5x4", 210},
       })) {
    ran++;
    const std::string text = fmt::format("model m\ninput x: f32[2, 13, 10]\nconv({}, kernel=2)\ntanh\n{}\ntanh\nflatten\ndense(3)\n"
                                         "loss softmax_cross_entropy\noptimizer sgd(lr=0.1)\nbatch 19\n",
                                         c.inputs, c.conv);
    CAPTURE(text);
    const Graph g = build_sample(text);
    CheckOptions options;
    options.conv = "fast";
    options.count = 19; // two chunks in any build, the second one not full
    options.samples = 4;
    options.tuned = tiles_of(g, c.tile);
    const CheckReport report = check_gradients(g, options);
    INFO(check_text(report));
    CHECK(report.ok);
    CompileOptions stop;
    stop.conv = "fast";
    stop.stop_at = "fused";
    stop.tuned = options.tuned;
    const std::string fused = compile(g, stop).text.at("fused");
    const std::string tile = fmt::format("tile=[{}, {}]", c.tile[0], c.tile[2]);
    for (const char *op : {"winograd_conv(", "winograd_data_gradient(", "winograd_weight_gradient("}) {
      const size_t at = fused.rfind(op);
      used += at != std::string::npos && fused.compare(fused.find("tile=", at), tile.size(), tile) == 0;
    }
  }
  CHECK(used == 3 * ran);
}

// Rounding grows with the number of points: each bound is about twice what was measured over layers of up to 512 channels.
TEST_CASE("the error in float32 beside the direct method in double") {
  struct Case {
    int kernel;
    const char *tile;
    double bound; // of the largest output
  };
  for (const Case &c : sampled<Case>({{3, "2x2", 2e-6}, {3, "4x4", 1e-5}, {3, "5x5", 1.5e-5}, {3, "6x6", 2e-5}, {5, "4x4", 2e-5}})) {
    const Graph g = build_sample(fmt::format("model m\ninput x: f32[64, 12, 12]\nconv(8, kernel={}, padding=1)\nbatch 16\n", c.kernel));
    CompileOptions fast, direct;
    fast.conv = "fast";
    fast.tuned = tiles_of(g, c.tile);
    direct.conv = "direct";
    direct.f64 = true;
    std::mt19937 random(7);
    std::uniform_real_distribution<double> uniform(-1, 1);
    std::vector<float> images(16 * 64 * 12 * 12);
    for (float &x : images)
      x = float(uniform(random));
    std::vector<double> parameters(size_t(8 * 64 * c.kernel * c.kernel + 8));
    for (double &p : parameters)
      p = double(float(uniform(random) / c.kernel / 8));
    std::vector<std::vector<double>> outputs;
    for (const CompileOptions &options : {fast, direct}) {
      Inference run(load(g, options));
      run.set_parameters(parameters);
      outputs.push_back(run.predict(images));
    }
    const double size = largest(outputs[1]), error = difference(outputs[0], outputs[1]);
    CAPTURE(c.kernel);
    CAPTURE(c.tile);
    CHECK(size > 0.1);
    CHECK(error < c.bound * size);
    CHECK(error > 1e-9 * size);
    MESSAGE(fmt::format("kernel {} tile {}: {:.2g}", c.kernel, c.tile, error / size));
  }
}
