// What `cnnc eval`, `cnnc predict` and `cnnc run` find out about a model, as values and as text.
#ifndef CNNC_RUNTIME_REPORT_H
#define CNNC_RUNTIME_REPORT_H

#include "dataset.h"
#include "measure.h"
#include "net.h"

namespace cnnc::runtime {

// Loads a run's parameters into `net`. Throws InputError when the checkpoint is damaged or of another model.
void load_parameters(Net &net, const std::string &checkpoint);

struct Evaluation {
  Totals totals;
  std::uint32_t classes = 0;            // 0 with target images: no accuracy, no table
  std::vector<std::uint64_t> confusion; // [true class][predicted class]
  std::vector<std::string> class_names;
};

// Loss over the whole data set and, with labels, the confusion matrix.
Evaluation evaluate(Net &net, const Dataset &data);
std::string evaluation_text(const Evaluation &evaluation); // loss, accuracy, table by class, confusion matrix
std::string evaluation_json(const Evaluation &evaluation); // one object on one line

struct Guess {
  std::uint32_t label;
  double probability;
};

struct Prediction {
  std::vector<float> output;             // output_size values
  std::vector<Guess> top;                // the three likeliest classes, likeliest first; empty without labels
  std::optional<std::uint32_t> expected; // the label of a data set's item
};

// Softmax over the outputs in double; equal ones in the order of the classes.
std::vector<Guess> top_guesses(const float *logits, std::uint32_t classes, std::size_t most = 3);

// Predicts each input of `what`: a .png file; a .npy file with one input or several; or an item of the data
// set `spec` ("test:17"). Throws InputError, UsageError, SystemError.
std::vector<Prediction> predict(Net &net, const std::string &what, const std::string &spec);
std::vector<Prediction> predict_inputs(Net &net, const Dataset &data);

// A line each for class and probabilities; a nested list for a model without classes.
std::string predictions_text(const cnnc_model &model, const std::vector<Prediction> &predictions,
                             const std::vector<std::string> &class_names);

// The input of `cnnc run` and `cnnc predict` as a data set without targets: nested lists, .npy or .png.
Dataset load_inputs(const std::string &what, const cnnc_model &model);

} // namespace cnnc::runtime
#endif
