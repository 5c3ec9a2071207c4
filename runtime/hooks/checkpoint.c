/* Saving and loading. Part of hooks.c. All little-endian, as every target is:
     "CNNCSAV1", u32 format, u32 element bytes, u64 fingerprint, u64 parameters, u64 optimizer values, u64 step;
     the parameters; the optimizer's values, slot by slot; u64 checksum of all bytes before it.
   A net made for inference saves no optimizer values. The tensors stand in the order of the model's table, which is
   not that of memory.  */

enum { SAVE_FORMAT = 1,
       SAVE_HEADER = 48,
       SAVE_CHECKSUM = 8 };

static void put_number(unsigned char *to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_number(const unsigned char *from, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint64_t)from[i] << (8 * i);
  return value;
}

/* FNV-1a, 64 bits: each byte's step is a bijection, so one damaged byte never passes. */
static uint64_t checksum(const unsigned char *bytes, size_t size) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 0x100000001B3u;
  return hash;
}

static uint64_t optimizer_count(void) { return cnnc_the_plan.state_slots * cnnc_the_model.parameter_count; }

static size_t saved_size(uint64_t optimizer_values) {
  return (size_t)(SAVE_HEADER + (cnnc_the_model.parameter_count + optimizer_values) * sizeof(cnnc_real) +
                  SAVE_CHECKSUM);
}

/* Copies of a flat vector's tensors, from memory's places to those of the bytes and back. Both return the bytes' end. */
static unsigned char *put_tensors(unsigned char *to, const cnnc_real *flat) {
  for (uint32_t k = 0; k < cnnc_the_model.parameter_tensors; k++) {
    const cnnc_parameter *tensor = &cnnc_the_model.parameters[k];
    size_t bytes = (size_t)tensor->size * sizeof *flat;
    memcpy(to, flat + tensor->offset, bytes);
    to += bytes;
  }
  return to;
}

static const unsigned char *get_tensors(cnnc_real *flat, const unsigned char *from) {
  for (uint32_t k = 0; k < cnnc_the_model.parameter_tensors; k++) {
    const cnnc_parameter *tensor = &cnnc_the_model.parameters[k];
    size_t bytes = (size_t)tensor->size * sizeof *flat;
    memcpy(flat + tensor->offset, from, bytes);
    from += bytes;
  }
  return from;
}

size_t cnnc_hook_save_size(const cnnc_net *net) {
  return is_net(net) ? saved_size(net->trains ? optimizer_count() : 0) : 0;
}

cnnc_status cnnc_hook_save(const cnnc_net *net, void *bytes, size_t size) {
  if (!is_net(net) || bytes == NULL) return CNNC_BAD_ARGUMENT;
  size_t needed = cnnc_hook_save_size(net);
  if (size < needed) return CNNC_MEMORY_TOO_SMALL;
  unsigned char *to = (unsigned char *)bytes;
  memcpy(to, "CNNCSAV1", 8);
  put_number(to + 8, SAVE_FORMAT, 4);
  put_number(to + 12, sizeof(cnnc_real), 4);
  put_number(to + 16, cnnc_the_model.fingerprint, 8);
  put_number(to + 24, cnnc_the_model.parameter_count, 8);
  put_number(to + 32, net->trains ? optimizer_count() : 0, 8);
  put_number(to + 40, net->step, 8);
  to = put_tensors(to + SAVE_HEADER, net->parameters);
  for (uint32_t slot = 0; net->trains && slot < cnnc_the_plan.state_slots; slot++)
    to = put_tensors(to, net->state + slot * cnnc_the_plan.parameter_padded);
  put_number(to, checksum((const unsigned char *)bytes, needed - SAVE_CHECKSUM), 8);
  return CNNC_OK;
}

cnnc_status cnnc_hook_load(cnnc_net *net, const void *bytes, size_t size) {
  if (!is_net(net) || bytes == NULL) return CNNC_BAD_ARGUMENT;
  const unsigned char *from = (const unsigned char *)bytes;
  if (size < SAVE_HEADER + SAVE_CHECKSUM || memcmp(from, "CNNCSAV1", 8) != 0 ||
      get_number(from + 8, 4) != SAVE_FORMAT || get_number(from + 12, 4) != sizeof(cnnc_real) ||
      get_number(from + 16, 8) != cnnc_the_model.fingerprint ||
      get_number(from + 24, 8) != cnnc_the_model.parameter_count)
    return CNNC_BAD_BYTES;
  uint64_t stored = get_number(from + 32, 8);
  if ((stored != 0 && stored != optimizer_count()) || size != saved_size(stored) ||
      get_number(from + size - SAVE_CHECKSUM, 8) != checksum(from, size - SAVE_CHECKSUM))
    return CNNC_BAD_BYTES;

  uint64_t step = get_number(from + 40, 8);
  from += SAVE_HEADER;
  for (uint64_t i = 0; i < cnnc_the_model.parameter_count + stored; i++) {
    cnnc_real value;
    memcpy(&value, from + i * sizeof value, sizeof value); /* the bytes may stand anywhere */
    if (!is_finite((double)value)) return CNNC_NOT_FINITE;
  }
  from = get_tensors(net->parameters, from);
  if (net->trains) {
    for (uint32_t slot = 0; slot < cnnc_the_plan.state_slots; slot++) {
      cnnc_real *state = net->state + slot * cnnc_the_plan.parameter_padded;
      if (stored != 0) from = get_tensors(state, from);
      else memset(state, 0, (size_t)cnnc_the_model.parameter_count * sizeof *state);
    }
    if (stored != optimizer_count()) step = 0; /* a fresh optimizer corrects its bias from the first step */
  }
  net->step = step;
  net->overflowed = 0;
  net->stale = net->stale_infer = net->stale_one = 1;
  return CNNC_OK;
}
