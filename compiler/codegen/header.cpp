// The header of a generated library: constants, functions, and a class for C++17.
#include <algorithm>
#include <cctype>
#include <fmt/format.h>

#include "codegen/embedded.h"
#include "codegen/model_info.h"
#include "graph/graph.h"

namespace cnnc {
namespace {

using Words = std::vector<std::pair<std::string, std::string>>;

// Replaces each @WORD@.
std::string filled(std::string text, const Words &words) {
  for (const auto &[word, value] : words)
    for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; at += value.size())
      text.replace(at, word.size(), value);
  return text;
}

// Safe inside a comment: one line that neither ends it nor opens another, nor holds a trigraph.
std::string in_comment(const std::string &text) {
  std::string safe;
  for (char c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == 127)
      c = ' ';
    char last = safe.empty() ? ' ' : safe.back();
    if ((last == '*' && c == '/') || (last == '/' && c == '*') || (last == '?' && c == '?'))
      safe += ' ';
    safe += c;
  }
  return safe;
}

std::string upper(std::string s) {
  for (char &c : s)
    c = char(std::toupper(static_cast<unsigned char>(c)));
  return s;
}

int64_t product(const std::vector<int64_t> &dims) {
  int64_t n = 1;
  for (int64_t d : dims)
    n *= d;
  return n;
}

std::string shape(const std::vector<int64_t> &dims) {
  return dims_text(dims, " x ") + (dims.size() > 1 ? ", row-major, channel first" : "");
}

// bytes[i] is for i + 1 threads. A constant expression in C and C++.
std::string bytes_of(const std::vector<uint64_t> &bytes) {
  std::string text;
  for (size_t i = 0; i + 1 < bytes.size(); i++)
    if (bytes[i] != bytes[i + 1])
      text += fmt::format("(threads) <= {} ? {}u : \\\n    ", i + 1, bytes[i]);
  return fmt::format("((size_t)({}{}u))", text, bytes.empty() ? 0 : bytes.back());
}

const char *kConstants = R"(
#define @M@_BATCH @BATCH@ /* largest count of one call */
#define @M@_INPUT_SIZE @INPUT_SIZE@ /* elements of one input: @INPUT@ */
#define @M@_OUTPUT_SIZE @OUTPUT_SIZE@ /* elements of one output: @OUTPUT@ */
@TARGET@#define @M@_PARAMETER_COUNT @PARAMETERS@
#define @M@_ALIGNMENT @ALIGNMENT@ /* bytes, of the memory that init is given */
#define @M@_MAX_THREADS @THREADS@ /* more threads than this do not help and need no more memory */
@TRAIN_BYTES@/* Bytes of memory for inference alone, with `threads` threads: a constant expression where `threads` is one. */
#define @M@_INFER_BYTES(threads) \
  @INFER_BYTES@

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cnnc_net @m@; /* a state of the model: parameters, optimizer and work space */
typedef cnnc_status @m@_status; /* CNNC_OK or what is wrong */
typedef cnnc_metrics @m@_metrics; /* loss, correct and count of one call */

/* A call returns CNNC_OK, or says what is wrong and has changed nothing: CNNC_BAD_ARGUMENT (a null pointer, a net that
   is not of this model), CNNC_BAD_COUNT (count below 1 or above @M@_BATCH), and what its comment says. Nothing is
   allocated, and nothing aborts. Calls on different nets may run at the same time, calls on one net may not.  */
)";

const char *kInit = R"(
/* Makes a net for training in `memory`: at least @M@_TRAIN_BYTES(threads) bytes, aligned to @M@_ALIGNMENT,
   the net's until it is destroyed. Parameters start as the model says, from `seed`. `threads` counts the caller:
   1 creates none. The results do not depend on it. CNNC_MEMORY_TOO_SMALL, CNNC_MISALIGNED, CNNC_NO_THREADS,
   CNNC_UNSUPPORTED_CPU (compiled for @CPU@).  */
@m@_status @m@_init(@m@ **net, void *memory, size_t bytes, int threads, uint64_t seed);
)";

const char *kInference = R"(
/* Makes a net that predicts@EVALUATES@ but does not train, in `memory`: at least @M@_INFER_BYTES(threads)
   bytes, aligned to @M@_ALIGNMENT. CNNC_MEMORY_TOO_SMALL, CNNC_MISALIGNED, CNNC_NO_THREADS, CNNC_UNSUPPORTED_CPU.  */
@m@_status @m@_init_inference(@m@ **net, void *memory, size_t bytes, int threads, uint64_t seed);

/* Ends the net's threads; the memory is then the caller's again. A null pointer is well.  */
void @m@_destroy(@m@ *net);
)";

const char *kTraining = R"(
/* One update of the parameters.
     images: count inputs of @M@_INPUT_SIZE each; the _u8 form takes bytes, scaled by 1/255
     @targets@: @TARGETS@
     metrics: what this batch gave before the update; may be null
   @BAD_LABEL@CNNC_INFERENCE_ONLY, CNNC_NOT_FINITE (an image, a parameter or the loss is NaN or infinite, and
   nothing was changed; or the update itself overflowed: then every call says so until load or set_parameters).  */
@m@_status @m@_train_step(@m@ *net, const float *images, const @LABEL@ *@targets@, int count, @m@_metrics *metrics);
@m@_status @m@_train_step_u8(@m@ *net, const uint8_t *images, const @LABEL@ *@targets@, int count, @m@_metrics *metrics);

/* The same without the update: the gradients stand in @m@_model()->gradient_values(net).  */
@m@_status @m@_gradients(@m@ *net, const float *images, const @LABEL@ *@targets@, int count, @m@_metrics *metrics);
@m@_status @m@_gradients_u8(@m@ *net, const uint8_t *images, const @LABEL@ *@targets@, int count, @m@_metrics *metrics);

/* Loss and correct answers, no gradient. @BAD_LABEL@CNNC_NOT_FINITE.  */
@m@_status @m@_evaluate(@m@ *net, const float *images, const @LABEL@ *@targets@, int count, @m@_metrics *metrics);
@m@_status @m@_evaluate_u8(@m@ *net, const uint8_t *images, const @LABEL@ *@targets@, int count, @m@_metrics *metrics);
)";

const char *kRest = R"(
/* @OUTPUTS@: count outputs of @M@_OUTPUT_SIZE each@LOGITS@.
   One image, or a few, are computed one by one and sums are taken in another order: an output may differ in the last
   bits from the same image's among many.
   CNNC_NOT_FINITE: they were written, but not all of them are finite.  */
@m@_status @m@_predict(@m@ *net, const float *images, int count, float *@OUTPUTS@);
@m@_status @m@_predict_u8(@m@ *net, const uint8_t *images, int count, float *@OUTPUTS@);

/* Parameters@STATE@ as bytes that this model's library for any machine loads.
   save: CNNC_MEMORY_TOO_SMALL where `size` is below save_size. load: CNNC_BAD_BYTES (damaged, or of another model),
   CNNC_NOT_FINITE (a value is NaN or infinite).  */
size_t @m@_save_size(const @m@ *net);
@m@_status @m@_save(const @m@ *net, void *bytes, size_t size);
@m@_status @m@_load(@m@ *net, const void *bytes, size_t size);

/* Replaces the parameters by @M@_PARAMETER_COUNT values, in the order of @m@_model()->parameters; the optimizer's
   state and the number of updates stay. @m@_model()->parameter_values(net) reads them. CNNC_NOT_FINITE.  */
@m@_status @m@_set_parameters(@m@ *net, const float *values);
)";

const char *kModel = R"(
/* The same functions and constants, with names, shapes and offsets of the parameters, as one table.  */
const cnnc_model *@m@_model(void);

#ifdef __cplusplus
} /* extern "C" */
#endif
)";

const char *kClass = R"(
#if defined(__cplusplus) && __cplusplus >= 201703L
#include <new>
#include <utility>
#if __cplusplus >= 202002L
#include <span>
#endif

namespace cnnc_models {

/* Owns a net and its memory. Nothing throws: each call returns a status, CNNC_BAD_ARGUMENT before init.  */
class @m@_net {
public:
  @m@_net() = default;
  @m@_net(@m@_net &&other) noexcept : net_(std::exchange(other.net_, nullptr)), memory_(std::exchange(other.memory_, nullptr)) {}
  @m@_net &operator=(@m@_net &&other) noexcept {
    std::swap(net_, other.net_);
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~@m@_net() { reset(); }

@INIT_METHOD@  /* For inference alone. CNNC_MEMORY_TOO_SMALL also where the system has no memory.  */
  [[nodiscard]] cnnc_status init_inference(int threads, uint64_t seed = 0) noexcept {
    return start(&::@m@_init_inference, @M@_INFER_BYTES(threads), threads, seed);
  }
  void reset() noexcept {
    if (net_)
      ::@m@_destroy(net_);
    ::operator delete(memory_, std::align_val_t(@M@_ALIGNMENT));
    net_ = nullptr;
    memory_ = nullptr;
  }
  explicit operator bool() const noexcept { return net_ != nullptr; }
  ::@m@ *get() const noexcept { return net_; } /* for the functions of C */

@METHODS@
  size_t save_size() const noexcept { return net_ ? ::@m@_save_size(net_) : 0; }
  [[nodiscard]] cnnc_status save(void *bytes, size_t size) const noexcept { return ::@m@_save(net_, bytes, size); }
  [[nodiscard]] cnnc_status load(const void *bytes, size_t size) noexcept { return ::@m@_load(net_, bytes, size); }
  [[nodiscard]] cnnc_status set_parameters(const float *values) noexcept { return ::@m@_set_parameters(net_, values); }

private:
  using starter = cnnc_status (*)(::@m@ **, void *, size_t, int, uint64_t);
  cnnc_status start(starter function, size_t bytes, int threads, uint64_t seed) noexcept {
    reset();
    memory_ = ::operator new(bytes, std::align_val_t(@M@_ALIGNMENT), std::nothrow);
    if (!memory_)
      return CNNC_MEMORY_TOO_SMALL;
    const cnnc_status status = function(&net_, memory_, bytes, threads, seed);
    if (status != CNNC_OK)
      reset();
    return status;
  }
#if __cplusplus >= 202002L
  /* -1, which the calls refuse, where the inputs are not `count` whole ones.  */
  static int checked(size_t elements, size_t each, size_t count) noexcept {
    return count <= @M@_BATCH && elements == count * each ? int(count) : -1;
  }
#endif
  ::@m@ *net_ = nullptr;
  void *memory_ = nullptr;
};

} /* namespace cnnc_models */
#endif
)";

const char *kInitMethod = R"(  /* For training. CNNC_MEMORY_TOO_SMALL also where the system has no memory.  */
  [[nodiscard]] cnnc_status init(int threads, uint64_t seed) noexcept {
    return start(&::@m@_init, @M@_TRAIN_BYTES(threads), threads, seed);
  }
)";

const char *kTrainingMethod = R"(  [[nodiscard]] cnnc_status @CALL@(const @PIXEL@ *images, const @LABEL@ *@targets@, int count, cnnc_metrics *metrics = nullptr) noexcept {
    return ::@m@_@CALL@@U8@(net_, images, @targets@, count, metrics);
  }
)";

const char *kTrainingSpan = R"(  [[nodiscard]] cnnc_status @CALL@(std::span<const @PIXEL@> images, std::span<const @LABEL@> @targets@, cnnc_metrics *metrics = nullptr) noexcept {
    const int count = checked(images.size(), @M@_INPUT_SIZE, @targets@.size()@PER_TARGET@);
    return ::@m@_@CALL@@U8@(net_, images.data(), @targets@.data(), @WHOLE@count, metrics);
  }
)";

const char *kPredictMethod = R"(  [[nodiscard]] cnnc_status predict(const @PIXEL@ *images, int count, float *@OUTPUTS@) noexcept {
    return ::@m@_predict@U8@(net_, images, count, @OUTPUTS@);
  }
)";

const char *kPredictSpan = R"(  [[nodiscard]] cnnc_status predict(std::span<const @PIXEL@> images, std::span<float> @OUTPUTS@) noexcept {
    const size_t count = images.size() / @M@_INPUT_SIZE;
    const bool whole = @OUTPUTS@.size() == count * @M@_OUTPUT_SIZE;
    return ::@m@_predict@U8@(net_, images.data(), whole ? checked(images.size(), @M@_INPUT_SIZE, count) : -1, @OUTPUTS@.data());
  }
)";

// Each call for floats and bytes, by pointers and, from C++20 on, by spans.
std::string methods(const ModelInfo &info) {
  std::string pointers, spans;
  const bool image = info.target_kind == 3;
  auto both = [&](const char *pointer, const char *span, const std::string &call) {
    for (bool bytes : {false, true}) {
      const Words words = {{"@CALL@", call},
                           {"@PIXEL@", bytes ? "uint8_t" : "float"},
                           {"@U8@", bytes ? "_u8" : ""},
                           {"@PER_TARGET@", image ? " / @M@_TARGET_SIZE" : ""},
                           {"@WHOLE@", image ? "@targets@.size() % @M@_TARGET_SIZE ? -1 : " : ""}};
      pointers += filled(pointer, words);
      spans += filled(span, words);
    }
  };
  if (info.trains)
    for (const char *call : {"train_step", "gradients", "evaluate"})
      both(kTrainingMethod, kTrainingSpan, call);
  both(kPredictMethod, kPredictSpan, "predict");
  return pointers + "#if __cplusplus >= 202002L\n" + spans + "#endif\n";
}

Words words_of(const ModelInfo &info) {
  const bool labels = info.target_kind == 1 || info.target_kind == 2, image = info.target_kind == 3;
  const std::string m = upper(info.name);
  std::string target, train_bytes, targets;
  if (labels) {
    target = fmt::format("#define {}_CLASSES {}\n", m, info.classes);
    targets = fmt::format("count labels below {}", info.classes);
  }
  if (image) {
    target = fmt::format("#define {}_TARGET_SIZE {} /* elements of one target: {} */\n", m, product(info.target_image),
                         shape(info.target_image));
    targets = fmt::format("count targets of {}_TARGET_SIZE each", m);
  }
  if (info.trains)
    train_bytes = fmt::format("/* Bytes of memory for training with `threads` threads: a constant expression where `threads` is "
                              "one. */\n#define {}_TRAIN_BYTES(threads) \\\n  {}\n",
                              m, bytes_of(info.train_bytes));
  // The first words hold others; the last is replaced last.
  return {{"@INIT_METHOD@", info.trains ? kInitMethod : ""},
          {"@METHODS@", methods(info)},
          {"@BATCH@", std::to_string(info.batch)},
          {"@INPUT_SIZE@", std::to_string(product(info.input))},
          {"@INPUT@", shape(info.input)},
          {"@OUTPUT_SIZE@", std::to_string(product(info.output))},
          {"@OUTPUT@", shape(info.output)},
          {"@TARGET@", target},
          {"@PARAMETERS@", std::to_string(info.parameter_count)},
          {"@ALIGNMENT@", std::to_string(info.alignment)},
          {"@THREADS@", std::to_string(info.partial_sums)},
          {"@TRAIN_BYTES@", train_bytes},
          {"@INFER_BYTES@", bytes_of(info.infer_bytes)},
          {"@CPU@", info.target},
          {"@EVALUATES@", info.trains ? " and evaluates" : ""},
          {"@TARGETS@", targets},
          {"@targets@", image ? "targets" : "labels"},
          {"@LABEL@", image ? "float" : info.target_kind == 2 ? "uint16_t"
                                                              : "uint8_t"},
          {"@BAD_LABEL@", labels ? "CNNC_BAD_LABEL, " : ""},
          {"@OUTPUTS@", labels ? "logits" : "outputs"},
          {"@LOGITS@", labels ? ", before the loss's softmax" : ""},
          {"@STATE@", info.trains ? ", optimizer state and number of updates" : ""},
          {"@M@", m},
          {"@m@", info.name}};
}

} // namespace

std::string header_text(const ModelInfo &info) {
  std::string text = fmt::format("/* {}: a network compiled for {}.\n"
                                 "   Made by cnnc {}: {}\n"
                                 "   The user of cnnc may use, change and pass on this generated header and the library it describes under any\n"
                                 "   terms; see the file LICENSE of cnnc.  */\n"
                                 "#ifndef CNNC_GENERATED_{}_H\n#define CNNC_GENERATED_{}_H\n\n",
                                 info.name, in_comment(info.target), in_comment(info.version), in_comment(info.command),
                                 info.name, info.name);
  text += embedded_model_header();
  std::string body;
  if (info.f64) // no C function takes doubles: only the gradient check compiles such a model, and drives the table
    body = fmt::format("\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n{}", kModel);
  else
    body = std::string(kConstants) + (info.trains ? kInit : "") + kInference + (info.trains ? kTraining : "") + kRest +
           kModel + kClass;
  return text + filled(body, words_of(info)) + "\n#endif\n";
}

} // namespace cnnc
