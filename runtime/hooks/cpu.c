/* What the processor can run. A library for wider vectors than the machine has says so at init instead of dying of
   an illegal instruction. The bits of `needs` are the compiler's, in codegen/target.cpp. */
#define CPU_AVX2 1u   /* AVX2 and FMA, and the system saves their registers */
#define CPU_AVX512 2u /* AVX-512 F, BW, DQ and VL, the same */

#if defined(__x86_64__)
static void cpu_id(uint32_t leaf, uint32_t out[4]) {
  __asm__ volatile("cpuid"
                   : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                   : "a"(leaf), "c"(0));
}

static int cpu_has(uint32_t needs) {
  uint32_t r[4], low, high;
  if (needs == 0) return 1;
  cpu_id(0, r);
  if (r[0] < 7) return 0;
  cpu_id(1, r);
  if ((r[2] >> 27 & 1) == 0 || (r[2] >> 12 & 1) == 0) return 0; /* OSXSAVE, FMA */
  __asm__ volatile("xgetbv"
                   : "=a"(low), "=d"(high)
                   : "c"(0));
  if ((low & 0x6) != 0x6) return 0;
  cpu_id(7, r);
  if ((r[1] >> 5 & 1) == 0) return 0; /* AVX2 */
  if ((needs & CPU_AVX512) == 0) return 1;
  return (low & 0xE6) == 0xE6 && (r[1] >> 16 & 1) && (r[1] >> 17 & 1) && (r[1] >> 30 & 1) && (r[1] >> 31 & 1);
}
#else
static int cpu_has(uint32_t needs) { return needs == 0; }
#endif
