// A model written by hand, for hooks_test.cpp, which includes this once in each of several namespaces, with FAKE_*
// and CNNC_REAL defined: the hooks keep all their names inside. No guard, on purpose.
// y[2] = W[2][3] x[3] + b[2], squared error; 4 lanes, P = 3, blocks of 3 in a vector of 8 parameters (9 padded).
struct cnnc_net; // or the global one would be meant
#undef CNNC_MODEL_H
#undef CNNC_HOOKS_H
#include "../../runtime/hooks/hooks.h"

#include "../../runtime/hooks/hooks.c"

enum { LANES = 4,
       SUMS = 3,
       INPUTS = 3,
       OUTPUTS = 2,
       COUNT = 8,
       PADDED = 9,
       BLOCK = 3,
       BATCH = 30,
       SINGLES = 2,
       KEPT = 2 };
enum { LANE_SUMS = 128,
       METRICS = 448,
       KEPT_VALUES = 512,
       PARTIAL = 832 }; // bytes in a partial sum; the flat gradient is at 0

static std::atomic<int> dirty_padding{0};                            // lanes that should have been zero
static std::atomic<int> singles{0};                                  // images that were predicted one by one
static std::function<void()> at_chunk;                               // called by each chunk of training, in its thread
static std::function<void(const void *, const void *, int)> at_pack; // called by each chunk, in its thread

static cnnc_real *place(const cnnc_frame *frame, int region, size_t byte = 0) {
  return reinterpret_cast<cnnc_real *>(static_cast<char *>(frame->region[region]) + byte);
}
// Workspace: x[3], target[2], y[2], each by lane. With the partial sum, slope[2] and x[3] of each chunk that is kept.
static cnnc_real *packed(const cnnc_frame *frame, int row) { return place(frame, REGION_WORKSPACE) + row * LANES; }
static cnnc_real *kept(const cnnc_frame *frame, int chunk, int row) { return place(frame, REGION_PARTIAL, KEPT_VALUES) + (chunk * (OUTPUTS + INPUTS) + row) * LANES; }

template <class Pixel>
static void pack_images(const cnnc_frame *frame, cnnc_real scale) {
  if (at_pack) at_pack(frame->region[REGION_IMAGES], frame->region[REGION_AHEAD], frame->pixel);
  const Pixel *images = static_cast<const Pixel *>(frame->region[REGION_IMAGES]);
  for (int lane = 0; lane < LANES; lane++)
    for (int i = 0; i < INPUTS; i++) {
      packed(frame, i)[lane] = static_cast<cnnc_real>(images[lane * INPUTS + i]) * scale;
      if (lane >= frame->valid && images[lane * INPUTS + i] != 0) dirty_padding++;
    }
}
void cnnc_pack_f32(const cnnc_frame *frame) { pack_images<float>(frame, 1); }
void cnnc_pack_u8(const cnnc_frame *frame) { pack_images<uint8_t>(frame, cnnc_real(1) / 255); }

void cnnc_pack_target(const cnnc_frame *frame) {
  const void *targets = frame->region[REGION_TARGETS];
  for (int lane = 0; lane < LANES; lane++)
    for (int k = 0; k < OUTPUTS; k++) {
      double value = 0;
      if (FAKE_TARGET == CNNC_LABELS_U8) value = static_cast<const uint8_t *>(targets)[lane] == k;
      if (FAKE_TARGET == CNNC_LABELS_U16) value = static_cast<const uint16_t *>(targets)[lane] == k;
      if (FAKE_TARGET == CNNC_TARGET_IMAGE) value = static_cast<const float *>(targets)[lane * OUTPUTS + k];
      packed(frame, INPUTS + k)[lane] = static_cast<cnnc_real>(value);
    }
}

// Of what is prepared: the bias that training and inference read, the weights that inference reads, and both as one image
// reads them. They are read from here alone: a stale one would show.
enum { PREPARED_WEIGHTS = OUTPUTS,
       PREPARED_ONE = PREPARED_WEIGHTS + OUTPUTS * INPUTS };
void cnnc_prepare(const cnnc_frame *frame) {
  for (int k = 0; k < OUTPUTS; k++) place(frame, REGION_PREPARED)[k] = place(frame, REGION_PARAMETERS)[OUTPUTS * INPUTS + k];
}
void cnnc_prepare_infer(const cnnc_frame *frame) {
  for (int i = 0; i < OUTPUTS * INPUTS; i++) place(frame, REGION_PREPARED)[PREPARED_WEIGHTS + i] = place(frame, REGION_PARAMETERS)[i];
}

static void forward(const cnnc_frame *frame, const cnnc_real *weight) {
  const cnnc_real *bias = place(frame, REGION_PREPARED);
  for (int k = 0; k < OUTPUTS; k++)
    for (int lane = 0; lane < LANES; lane++) {
      cnnc_real sum = bias[k];
      for (int i = 0; i < INPUTS; i++) sum += weight[k * INPUTS + i] * packed(frame, i)[lane];
      packed(frame, INPUTS + OUTPUTS + k)[lane] = sum;
    }
}

void cnnc_infer(const cnnc_frame *frame) { forward(frame, place(frame, REGION_PREPARED) + PREPARED_WEIGHTS); }

// Also writes the padding's outputs, as generated code does.
void cnnc_unpack(const cnnc_frame *frame) {
  for (int lane = 0; lane < LANES; lane++)
    for (int k = 0; k < OUTPUTS; k++)
      place(frame, REGION_OUTPUTS)[lane * OUTPUTS + k] = packed(frame, INPUTS + OUTPUTS + k)[lane];
}

// One image: weights and bias from the copy that prepare_one makes.
void cnnc_prepare_one(const cnnc_frame *frame) {
  for (int i = 0; i < COUNT; i++) place(frame, REGION_PREPARED)[PREPARED_ONE + i] = place(frame, REGION_PARAMETERS)[i];
}
void cnnc_convert_u8(const cnnc_frame *frame) {
  for (int i = 0; i < INPUTS; i++)
    place(frame, REGION_IMAGE)[i] = static_cast<const uint8_t *>(frame->region[REGION_IMAGES])[i] * (cnnc_real(1) / 255);
}
void cnnc_convert_f32(const cnnc_frame *frame) {
  for (int i = 0; i < INPUTS; i++) place(frame, REGION_IMAGE)[i] = static_cast<const float *>(frame->region[REGION_IMAGES])[i];
}
void cnnc_infer_one(const cnnc_frame *frame) {
  const cnnc_real *weight = place(frame, REGION_PREPARED) + PREPARED_ONE, *bias = weight + OUTPUTS * INPUTS;
  for (int k = 0; k < OUTPUTS; k++) {
    cnnc_real sum = bias[k];
    for (int i = 0; i < INPUTS; i++) sum += weight[k * INPUTS + i] * place(frame, REGION_IMAGE)[i];
    place(frame, REGION_OUTPUTS)[k] = sum;
  }
  singles++;
}

void cnnc_loss(const cnnc_frame *frame) {
  cnnc_real *losses = place(frame, REGION_PARTIAL, METRICS), *correct = losses + LANES;
  const cnnc_real *target = packed(frame, INPUTS), *output = packed(frame, INPUTS + OUTPUTS);
  for (int lane = 0; lane < frame->valid; lane++) {
    for (int k = 0; k < OUTPUTS; k++) {
      cnnc_real error = output[k * LANES + lane] - target[k * LANES + lane];
      losses[lane] += error * error;
    }
    bool second = output[LANES + lane] > output[lane], wanted = target[LANES + lane] > target[lane];
    if (FAKE_TARGET != CNNC_TARGET_IMAGE) correct[lane] += second == wanted;
  }
}

void cnnc_train(const cnnc_frame *frame) {
  if (at_chunk) at_chunk();
  forward(frame, place(frame, REGION_PARAMETERS));
  cnnc_loss(frame);
  cnnc_real *sums = place(frame, REGION_PARTIAL, LANE_SUMS);
  for (int k = 0; k < OUTPUTS; k++)
    for (int lane = 0; lane < frame->valid; lane++) {
      cnnc_real error = packed(frame, INPUTS + OUTPUTS + k)[lane] - packed(frame, INPUTS + k)[lane];
      cnnc_real slope = 2 * frame->scale * error;
      kept(frame, frame->block, k)[lane] = slope;
      sums[(OUTPUTS * INPUTS + k) * LANES + lane] += slope;
    }
  for (int lane = 0; lane < LANES; lane++) {
    for (int k = 0; k < OUTPUTS && lane >= frame->valid; k++) kept(frame, frame->block, k)[lane] = 0;
    for (int i = 0; i < INPUTS; i++) kept(frame, frame->block, OUTPUTS + i)[lane] = packed(frame, i)[lane];
  }
}

void cnnc_train_kept(const cnnc_frame *frame) {
  cnnc_real *sums = place(frame, REGION_PARTIAL, LANE_SUMS);
  for (int i = 0; i < OUTPUTS * INPUTS * LANES && frame->fresh; i++) sums[i] = 0;
  for (int chunk = 0; chunk < frame->valid; chunk++)
    for (int k = 0; k < OUTPUTS; k++)
      for (int lane = 0; lane < LANES; lane++)
        for (int i = 0; i < INPUTS; i++) sums[(k * INPUTS + i) * LANES + lane] += kept(frame, chunk, k)[lane] * kept(frame, chunk, OUTPUTS + i)[lane];
}

void cnnc_finish_partial(const cnnc_frame *frame) {
  const cnnc_real *sums = place(frame, REGION_PARTIAL, LANE_SUMS);
  for (int i = 0; i < COUNT; i++) {
    place(frame, REGION_PARTIAL)[i] = 0;
    for (int lane = 0; lane < LANES; lane++) place(frame, REGION_PARTIAL)[i] += sums[i * LANES + lane];
  }
}

static cnnc_real summed(const cnnc_frame *frame, int i) {
  cnnc_real sum = 0;
  for (size_t p = 0; p < SUMS; p++) sum += place(frame, REGION_PARTIALS, p * PARTIAL)[i];
  return sum;
}
void cnnc_reduce(const cnnc_frame *frame) {
  for (int i = frame->block * BLOCK; i < (frame->block + 1) * BLOCK; i++)
    place(frame, REGION_GRADIENTS)[i] = summed(frame, i);
}
void cnnc_update(const cnnc_frame *frame) {
  for (int i = frame->block * BLOCK; i < (frame->block + 1) * BLOCK; i++) {
    cnnc_real gradient = summed(frame, i);
    cnnc_real &mean = place(frame, REGION_STATE)[i], &square = place(frame, REGION_STATE)[PADDED + i];
    mean += (gradient - mean) / cnnc_real(4);
    square += gradient * gradient;
    place(frame, REGION_PARAMETERS)[i] -=
        mean / ((cnnc_real(1) + square) * (cnnc_real(4) + cnnc_real(1) / cnnc_real(frame->step)));
  }
}

static const float given_bias[OUTPUTS] = {0.25f, -0.5f};
static const cnnc_start starts[] = {{CNNC_INIT_UNIFORM, -0.5f, 0.5f, nullptr}, {CNNC_INIT_GIVEN, 0, 0, given_bias}};
static const cnnc_parameter tensors[] = {{"dense1.weight", 0, OUTPUTS *INPUTS, 2, {OUTPUTS, INPUTS, 1, 1}},
                                         {"dense1.bias", OUTPUTS *INPUTS, OUTPUTS, 1, {OUTPUTS, 1, 1, 1}}};
// Of the lanes' sums only those of the bias, which train adds to, and the metrics.
static const cnnc_range sums[] = {{LANE_SUMS + OUTPUTS * INPUTS * LANES * sizeof(cnnc_real), OUTPUTS *LANES * sizeof(cnnc_real)}, {METRICS, 2 * LANES * sizeof(cnnc_real)}};
const cnnc_plan cnnc_the_plan = {PADDED, PADDED / BLOCK, BLOCK, 2, FAKE_TRAINS, PARTIAL,
                                 METRICS, 256, 256, (PREPARED_ONE + COUNT) * sizeof(cnnc_real), PREPARED_ONE * sizeof(cnnc_real), 0, FAKE_MACS, starts, 0, SINGLES, KEPT, 2, sums};
const cnnc_model cnnc_the_model = {
    CNNC_ABI, sizeof(cnnc_real), "fake", "host", "test", 0x1234567890ABCDEFu, BATCH, LANES, SUMS, 64, 1, {INPUTS, 1, 1, 1}, 1, {OUTPUTS, 1, 1, 1}, FAKE_TARGET == CNNC_TARGET_IMAGE ? 1u : 0u, {OUTPUTS, 1, 1, 1}, INPUTS, OUTPUTS, FAKE_TARGET == CNNC_TARGET_IMAGE ? OUTPUTS : 0, FAKE_TARGET, FAKE_TARGET == CNNC_TARGET_IMAGE || FAKE_TARGET == CNNC_NO_TARGET ? 0 : OUTPUTS, FAKE_SUM, 2, COUNT, 2 * COUNT, tensors, cnnc_hook_train_bytes, cnnc_hook_infer_bytes, cnnc_hook_init, cnnc_hook_init_inference, cnnc_hook_destroy, cnnc_hook_train_step, cnnc_hook_gradients, cnnc_hook_evaluate, cnnc_hook_predict, cnnc_hook_save_size, cnnc_hook_save, cnnc_hook_load, cnnc_hook_set_parameters, cnnc_hook_parameter_values, cnnc_hook_gradient_values, cnnc_hook_step};

// What the templates of hooks_test.cpp need of one model.
struct Fake {
  typedef cnnc_real Real;
  typedef ::Target<FAKE_TARGET>::type Label;
  typedef cnnc_net Net;
  typedef cnnc_metrics Metrics;
  static const cnnc_model &model() { return cnnc_the_model; }
  static int predicted_one_by_one() { return singles; }
  static int dirty() { return dirty_padding; }
  static void at_each_chunk(std::function<void()> f) { at_chunk = f; }
  // `f`: of the images that a chunk is handed, of those to be fetched meanwhile, and the bytes of one of their numbers.
  static void at_each_pack(std::function<void(const void *, const void *, int)> f) { at_pack = f; }
  static void philox(uint32_t word[4], uint64_t seed) { philox4x32(word, seed); }
  static float start(uint32_t kind, float a, float b, uint64_t seed, uint64_t position) {
    cnnc_start one = {kind, a, b, nullptr};
    return start_value(&one, seed, position);
  }
};

#undef CNNC_REAL
#undef FAKE_TARGET
#undef FAKE_SUM
#undef FAKE_MACS
#undef FAKE_TRAINS
