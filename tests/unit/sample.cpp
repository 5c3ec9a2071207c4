#include "sample.h"

#include <cmath>
#include <doctest/doctest.h>

#include "codegen/object.h"
#include "graph/build.h"
#include "layers/op.h"

namespace cnnc {

Graph build_sample(const std::string &text, int batch) {
  Source source("sample.dsl", text);
  Diagnostics diagnostics(source);
  Overrides overrides;
  if (batch)
    overrides.batch = batch;
  auto graph = build_graph(source, overrides, diagnostics);
  INFO(text << diagnostics.text());
  REQUIRE(graph.has_value());
  return *graph;
}

std::vector<std::string> registry_samples() {
  std::vector<std::string> all;
  const auto add = [&](const std::string &name, const std::vector<std::string> &samples) {
    CAPTURE(name);
    CHECK(!samples.empty());
    all.insert(all.end(), samples.begin(), samples.end());
  };
  for (const Layer &l : registry().layers)
    add(l.name, l.samples);
  for (const Loss &l : registry().losses)
    add(l.name, l.samples);
  return sampled(all);
}

const cnnc_model *load(const Graph &g, const CompileOptions &options) {
  const Compiled c = compile(g, options);
  return load_object(c.text.at("obj"), c.info.name);
}

const cnnc_model *load(const Graph &g, bool f64, const char *target) {
  CompileOptions options;
  options.f64 = f64;
  options.target = target;
  return load(g, options);
}

Memory aligned_memory(size_t bytes) { return Memory(std::aligned_alloc(64, (bytes + 63) / 64 * 64)); }

std::vector<double> as_doubles(const cnnc_model &m, const void *values, size_t count) {
  if (m.element_bytes == 8)
    return {static_cast<const double *>(values), static_cast<const double *>(values) + count};
  return {static_cast<const float *>(values), static_cast<const float *>(values) + count};
}

Inference::Inference(const cnnc_model *m) : model(m) {
  const size_t bytes = size_t(m->infer_bytes(1));
  memory = aligned_memory(bytes);
  REQUIRE(m->init_inference(&net, memory.get(), bytes, 1, 1) == CNNC_OK);
}

void Inference::set_parameters(const std::vector<double> &values) {
  REQUIRE(model->parameter_count == values.size());
  const std::vector<float> single(values.begin(), values.end());
  REQUIRE(model->set_parameters(net, model->element_bytes == 8 ? static_cast<const void *>(values.data()) : single.data()) == CNNC_OK);
}

std::vector<double> Inference::predict(const std::vector<float> &images) {
  const size_t count = images.size() / size_t(model->input_size), outputs = count * size_t(model->output_size);
  std::vector<char> out(outputs * model->element_bytes);
  REQUIRE(model->predict(net, images.data(), CNNC_F32, int(count), out.data()) == CNNC_OK);
  return as_doubles(*model, out.data(), outputs);
}

double largest(const std::vector<double> &v) {
  double l = 0;
  for (double x : v)
    l = std::max(l, std::abs(x));
  return l;
}

double difference(const std::vector<double> &a, const std::vector<double> &b) {
  REQUIRE(a.size() == b.size());
  double l = 0;
  for (size_t i = 0; i < a.size(); i++)
    l = std::abs(a[i] - b[i]) <= l ? l : std::abs(a[i] - b[i]);
  return l;
}

} // namespace cnnc
