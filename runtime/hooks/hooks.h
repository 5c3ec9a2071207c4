/* What the hand-written hooks and the generated code know of each other. The hooks (argument checks, threads,
   dealing chunks, save and load) are the same for every model; all arithmetic on tensors is generated. */
#ifndef CNNC_HOOKS_H
#define CNNC_HOOKS_H

#include "../cnnc_model.h"

#ifndef CNNC_REAL
#define CNNC_REAL float
#endif
typedef CNNC_REAL cnnc_real;

/* The places that generated code addresses. The compiler's enum Region has the same order. */
enum {
  REGION_PARAMETERS, /* parameter_padded elements */
  REGION_STATE,      /* optimizer state: state_slots times parameter_padded elements */
  REGION_GRADIENTS,  /* parameter_padded elements: the result of `reduce` */
  REGION_PARTIALS,   /* the first partial sum; the next ones follow at partial_bytes */
  REGION_PARTIAL,    /* the partial sum of this chunk, and what is kept for it */
  REGION_WORKSPACE,  /* this thread's arena */
  REGION_PREPARED,   /* what is made of the parameters alone: prepared_bytes */
  REGION_IMAGES,     /* `lanes` images of the user, one after another, f32 or u8 */
  REGION_TARGETS,    /* `lanes` labels or target images of the user */
  REGION_OUTPUTS,    /* `lanes` outputs, one after another; of `infer_one` one, with room for `lanes` */
  REGION_SCRATCH,    /* what one kernel needs while it runs, this thread's: scratch_bytes */
  REGION_IMAGE,      /* one image of reals, which nothing reads past */
  REGION_AHEAD,      /* what IMAGES will probably be next, to be fetched and not read */
  REGION_COUNT
};

/* What one call of a generated routine works on. */
typedef struct cnnc_frame {
  void *region[REGION_COUNT];
  int32_t valid;   /* examples in this chunk, 1..lanes: the rest are padding; train_kept: chunks that are kept */
  int32_t block;   /* reduce, update: which block of the flat parameter vector; train: where this chunk's values are kept */
  cnnc_real scale; /* what the loss's gradient is multiplied by: 1/count, or 1 for a sum */
  int32_t step;    /* of the update, from 1 */
  int32_t fresh;   /* train_kept: its gradients hold nothing yet */
  int32_t pixel;   /* bytes of a number of AHEAD */
} cnnc_frame;

/* How one parameter tensor starts. */
typedef struct cnnc_start {
  uint32_t kind;       /* enum cnnc_initialiser */
  float a, b;          /* constant: a; uniform: [a, b); normal: mean a, standard deviation b */
  const float *values; /* given: `size` values */
} cnnc_start;

/* A part of a partial sum, bytes. */
typedef struct cnnc_range {
  uint64_t offset, bytes;
} cnnc_range;

/* The numbers of the plan, emitted by the compiler as a constant. */
typedef struct cnnc_plan {
  uint64_t parameter_padded; /* elements: parameter_count rounded up to whole blocks */
  uint32_t parameter_blocks; /* of block_elements */
  uint32_t block_elements;
  uint32_t state_slots;     /* optimizer values a parameter: 0, 1 or 2 */
  uint32_t trains;          /* 0: the model has no loss */
  uint64_t partial_bytes;   /* one partial sum: flat gradient, per-lane sums, loss and correct, values of chunks that are kept */
  uint64_t partial_metrics; /* offset in a partial, bytes: `lanes` losses, then `lanes` counts of correct, as reals */
  uint64_t workspace_train_bytes, workspace_infer_bytes;
  uint64_t prepared_bytes;
  uint64_t copied_bytes; /* of these, from the first on, what infer reads and each further thread has a copy of; 0: none has */
  uint64_t scratch_bytes;
  uint64_t macs;            /* multiply-adds an image, forward: decides whether threads pay */
  const cnnc_start *starts; /* one a parameter tensor */
  uint32_t cpu_needs;       /* bits of cpu.c */
  uint32_t single_most;     /* so many images or fewer are predicted one by one */
  uint32_t kept;            /* chunks whose values are kept for train_kept, at most */
  uint32_t sum_count;
  const cnnc_range *sums; /* what train adds to in a partial sum, metrics included */
} cnnc_plan;

/* Defined by the generated code (kept inside the library). Each works on frame->region. */
extern const cnnc_plan cnnc_the_plan;
extern const cnnc_model cnnc_the_model;
void cnnc_prepare(const cnnc_frame *frame);       /* PARAMETERS -> PREPARED, of what train reads */
void cnnc_prepare_infer(const cnnc_frame *frame); /* the same of what infer alone reads */
void cnnc_pack_f32(const cnnc_frame *frame);      /* IMAGES -> lanes in WORKSPACE */
void cnnc_pack_u8(const cnnc_frame *frame);
void cnnc_pack_target(const cnnc_frame *frame);    /* TARGETS -> WORKSPACE; nothing to do for a model without one */
void cnnc_infer(const cnnc_frame *frame);          /* the packed image -> the output in lanes, in WORKSPACE */
void cnnc_unpack(const cnnc_frame *frame);         /* the output in lanes -> OUTPUTS */
void cnnc_prepare_one(const cnnc_frame *frame);    /* PARAMETERS -> PREPARED, of what infer_one reads */
void cnnc_convert_u8(const cnnc_frame *frame);     /* IMAGES, the first -> IMAGE */
void cnnc_convert_f32(const cnnc_frame *frame);    /* the same; only where reals are doubles */
void cnnc_infer_one(const cnnc_frame *frame);      /* IMAGE -> the output row by row, at the begin of OUTPUTS */
void cnnc_loss(const cnnc_frame *frame);           /* after infer: adds loss and correct to PARTIAL's metrics */
void cnnc_train(const cnnc_frame *frame);          /* forward, loss, backward: adds gradients and metrics to PARTIAL */
void cnnc_train_kept(const cnnc_frame *frame);     /* after some calls of train: adds the gradients that take all chunks at once */
void cnnc_finish_partial(const cnnc_frame *frame); /* once a partial after its last chunk: sums over the lanes */
void cnnc_reduce(const cnnc_frame *frame);         /* a block: the partials in order -> GRADIENTS */
void cnnc_update(const cnnc_frame *frame);         /* a block: the partials in order -> optimizer -> PARAMETERS, STATE */

#endif
