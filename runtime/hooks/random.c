/* Random numbers and the start of the parameters. Part of hooks.c.
   Philox4x32-10 (Salmon et al., 2011) turns a counter and a key into four random words, so a value depends on the
   seed and its position alone: on no order, no thread and no other tensor.  */

/* The counter's third word. Other users of the same seed must take another stream. */
enum { STREAM_PARAMETERS = 0 };

static void philox4x32(uint32_t word[4], uint64_t seed) {
  uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t left = (uint64_t)word[0] * 0xD2511F53u, right = (uint64_t)word[2] * 0xCD9E8D57u;
    uint32_t word1 = word[1], word3 = word[3];
    word[0] = (uint32_t)(right >> 32) ^ word1 ^ key0;
    word[1] = (uint32_t)right;
    word[2] = (uint32_t)(left >> 32) ^ word3 ^ key1;
    word[3] = (uint32_t)left;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

/* `position` counts elements of the flat parameter vector. Rounded to float even in a double model, so that both
   builds of a model start alike. */
static float start_value(const cnnc_start *start, uint64_t seed, uint64_t position) {
  if (start->kind == CNNC_INIT_CONSTANT) return start->a;
  uint32_t word[4] = {(uint32_t)position, (uint32_t)(position >> 32), STREAM_PARAMETERS, 0};
  philox4x32(word, seed);
  if (start->kind == CNNC_INIT_UNIFORM) {
    double unit = (word[0] >> 8) * (1.0 / 16777216); /* 24 bits: [0, 1) */
    float value = (float)(start->a + ((double)start->b - start->a) * unit);
    return value < start->b ? value : start->a; /* rounding can reach b, which is excluded */
  }
  /* Box-Muller; the first uniform is in (0, 1], so that its logarithm is finite. */
  double first = (double)((((uint64_t)word[0] << 21) | (word[1] >> 11)) + 1) * (1.0 / 9007199254740992.0);
  double angle = word[2] * (6.283185307179586476925 / 4294967296.0);
  return (float)(start->a + start->b * (sqrt(-2.0 * log(first)) * cos(angle)));
}

/* A value depends on its number in the order of the table and not on its place. */
static void start_parameters(cnnc_real *parameters, uint64_t seed) {
  uint64_t number = 0;
  for (uint32_t k = 0; k < cnnc_the_model.parameter_tensors; k++) {
    const cnnc_parameter *tensor = &cnnc_the_model.parameters[k];
    const cnnc_start *start = &cnnc_the_plan.starts[k];
    cnnc_real *to = parameters + tensor->offset;
    for (uint64_t i = 0; i < tensor->size; i++, number++)
      to[i] = (cnnc_real)(start->kind == CNNC_INIT_GIVEN ? start->values[i] : start_value(start, seed, number));
  }
}
