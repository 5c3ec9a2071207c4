/* The table through which a program drives any model that cnnc compiled, and the types that all generated
   headers share. C99 and C++17. Every generated header contains this text, so several of them may be
   included in one file.  */
#ifndef CNNC_MODEL_H
#define CNNC_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cnnc_status {
  CNNC_OK = 0,
  CNNC_BAD_ARGUMENT = 1,     /* a null pointer, a thread count below 1, a net of another model */
  CNNC_MEMORY_TOO_SMALL = 2, /* init: `bytes` is below what the model needs */
  CNNC_MISALIGNED = 3,       /* init: `memory` is not a multiple of the alignment */
  CNNC_BAD_COUNT = 4,        /* count is 0, negative or above the batch */
  CNNC_BAD_LABEL = 5,        /* a label is not below the number of classes */
  CNNC_BAD_BYTES = 6,        /* load: damaged bytes, or of another model or version */
  CNNC_NOT_FINITE = 7,       /* an image, a parameter, a loss or an output is NaN or infinite */
  CNNC_NO_THREADS = 8,       /* init: the system could not create a thread */
  CNNC_INFERENCE_ONLY = 9,   /* a training call on a net made by init_inference */
  CNNC_UNSUPPORTED_CPU = 10  /* init: the machine lacks instructions that the library was compiled for */
} cnnc_status;

/* What one call measured. */
typedef struct cnnc_metrics {
  double loss;     /* as the model's loss defines it: a mean over the examples, or a sum */
  int32_t correct; /* examples whose largest output is the label's; 0 with a target image */
  int32_t count;   /* examples */
} cnnc_metrics;

/* A state of a model: parameters, optimizer state and work space, in the caller's memory. */
typedef struct cnnc_net cnnc_net;

/* One named tensor of parameters. It stands at `offset` elements in the flat vector. */
typedef struct cnnc_parameter {
  const char *name; /* "conv1.weight" */
  uint64_t offset;  /* elements */
  uint64_t size;    /* elements */
  uint32_t rank;
  uint32_t shape[4];
} cnnc_parameter;

#define CNNC_ABI 2u

enum cnnc_target_kind { CNNC_NO_TARGET = 0,
                        CNNC_LABELS_U8 = 1,
                        CNNC_LABELS_U16 = 2,
                        CNNC_TARGET_IMAGE = 3 };
enum cnnc_pixels { CNNC_F32 = 0,
                   CNNC_U8 = 1 /* scaled by 1/255 */ };
enum cnnc_initialiser { CNNC_INIT_CONSTANT = 0,
                        CNNC_INIT_UNIFORM = 1,
                        CNNC_INIT_NORMAL = 2,
                        CNNC_INIT_GIVEN = 3 };

/* Shapes are of one example, channel first, unused dimensions 1; sizes count elements. */
typedef struct cnnc_model {
  uint32_t abi;           /* CNNC_ABI */
  uint32_t element_bytes; /* 4: float; 8: double (only `cnnc check` compiles such a model) */
  const char *name;
  const char *target;    /* "x86-64-linux-avx512" */
  const char *version;   /* of the compiler */
  uint64_t fingerprint;  /* of shapes, parameters and optimizer: saved bytes carry it */
  uint32_t batch;        /* largest count of one call */
  uint32_t lanes;        /* images in a chunk */
  uint32_t partial_sums; /* P: the largest number of threads that can share a step */
  uint32_t alignment;    /* bytes */
  uint32_t input_rank, input_shape[4];
  uint32_t output_rank, output_shape[4];
  uint32_t target_rank, target_shape[4]; /* rank 0 with labels */
  uint64_t input_size, output_size, target_size;
  uint32_t target_kind; /* enum cnnc_target_kind */
  uint32_t classes;     /* with labels; else 0 */
  uint32_t loss_is_sum; /* 1: `loss` is a sum over examples, 0: a mean */
  uint32_t parameter_tensors;
  uint64_t parameter_count;
  uint64_t optimizer_count; /* elements of optimizer state */
  const cnnc_parameter *parameters;
  uint64_t (*train_bytes)(int threads); /* 0 pointers where the model has no loss */
  uint64_t (*infer_bytes)(int threads);
  cnnc_status (*init)(cnnc_net **net, void *memory, size_t bytes, int threads, uint64_t seed);
  cnnc_status (*init_inference)(cnnc_net **net, void *memory, size_t bytes, int threads, uint64_t seed);
  void (*destroy)(cnnc_net *net);
  /* images: float or uint8_t by `pixels`; targets: uint8_t, uint16_t or float by target_kind. */
  cnnc_status (*train_step)(cnnc_net *net, const void *images, int pixels, const void *targets, int count,
                            cnnc_metrics *metrics);
  cnnc_status (*gradients)(cnnc_net *net, const void *images, int pixels, const void *targets, int count,
                           cnnc_metrics *metrics);
  cnnc_status (*evaluate)(cnnc_net *net, const void *images, int pixels, const void *targets, int count,
                          cnnc_metrics *metrics);
  cnnc_status (*predict)(cnnc_net *net, const void *images, int pixels, int count, void *outputs);
  size_t (*save_size)(const cnnc_net *net);
  cnnc_status (*save)(const cnnc_net *net, void *bytes, size_t size);
  cnnc_status (*load)(cnnc_net *net, const void *bytes, size_t size);
  /* parameter_count elements each, every tensor at its offset; gradient_values holds the result of the
     last call of `gradients`. set_parameters copies `values`, all of them finite, and leaves the rest as it is. */
  cnnc_status (*set_parameters)(cnnc_net *net, const void *values);
  const void *(*parameter_values)(const cnnc_net *net);
  const void *(*gradient_values)(const cnnc_net *net);
  uint64_t (*step)(const cnnc_net *net); /* updates so far */
} cnnc_model;

#ifdef __cplusplus
}
#endif
#endif
