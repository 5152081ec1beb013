/* Basis maps of the factored group convolution and their adjoint, float32, stride 1, one thread.

   equirgz.nn.cpu.compiled calls this through ctypes; equirgz.nn.cpu.slabs says in torch what it computes. Every slot's
   two maps of every field are filtered row by row, and what the plan's combinations ask for is written from the cache.
   Vectors of AVX-512 or AVX2 are chosen when the library is loaded, plain C elsewhere. */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* One row of the basis maps: sign_a * (filter row_a over part_a) + sign_b * (...); sign_b 0: one term. */
struct sum {
    int edge, index, part, row_a, part_a, sign_a, row_b, part_b, sign_b;
};

struct call {
    int slots, flips, fields, images, height, width, kernel, start, rows, columns, filters;
    const float *filter; /* (filters, kernel, kernel) */
    const int *first;    /* of the sums of every (slot, flip), and their number */
    const struct sum *sums;
};

static size_t round_up(size_t size, size_t block) { return (size + block - 1) / block * block; }

static float *place(const struct call *c, const struct sum *sum, int field, size_t pixels, float *z, float *edges) {
    if (sum->edge) return edges + ((size_t)sum->index * c->fields + field) * pixels;
    return z + (((size_t)sum->index * c->fields + field) * 2 + sum->part) * pixels;
}

#if defined(__x86_64__) && defined(__GNUC__)
#define VARIANT(name) name##_avx512
#define TARGET __attribute__((target("avx512f")))
#define LANES 16
#include "basis_maps.inc"
#undef VARIANT
#undef TARGET
#undef LANES
#define VARIANT(name) name##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#include "basis_maps.inc"
#undef VARIANT
#undef TARGET
#undef LANES
#endif
#define VARIANT(name) name##_plain
#define TARGET
#define LANES 4
#include "basis_maps.inc"

/* 0: plain C, 1: AVX2, 2: AVX-512. */
EXPORT int equirgz_best_variant(void) {
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
    return 0;
}

/* Changes whenever the arguments do. */
EXPORT int equirgz_kernels_version(void) { return 1; }

static float *make_work(const struct call *c) {
    return malloc((2 * (size_t)c->filters * (c->columns + 2 * c->kernel + 128) + 128) * sizeof(float));
}

/* Return 0, or 1 where there is no memory. */
EXPORT int equirgz_basis_maps(const struct call *c, int variant, const float *flat, float *z, float *edges) {
    float *work = make_work(c);
    if (!work) return 1;
#if defined(__x86_64__) && defined(__GNUC__)
    if (variant == 2) forward_avx512(c, flat, z, edges, work);
    if (variant == 1) forward_avx2(c, flat, z, edges, work);
#endif
    if (variant == 0) forward_plain(c, flat, z, edges, work);
    free(work);
    return 0;
}

EXPORT int equirgz_spread(const struct call *c, int variant, float *flat, const float *z, const float *edges) {
    float *work = make_work(c);
    if (!work) return 1;
#if defined(__x86_64__) && defined(__GNUC__)
    if (variant == 2) backward_avx512(c, flat, z, edges, work);
    if (variant == 1) backward_avx2(c, flat, z, edges, work);
#endif
    if (variant == 0) backward_plain(c, flat, z, edges, work);
    free(work);
    return 0;
}
