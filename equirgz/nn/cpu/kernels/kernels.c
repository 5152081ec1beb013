/* Three kernels for CPUs, float32, one thread each, called through ctypes.

   Basis maps of the factored group convolution and their adjoint, stride 1 (equirgz.nn.cpu.slabs says in torch what
   they are): every slot's two maps of every field are filtered row by row, and what the plan's combinations ask for is
   written from the cache. ReLU, sliding maximum and strided Gaussian in one pass, and back (equirgz.nn.cpu.max_blur).
   Images seen through an affine map, of bytes or floats (equirgz.geometry.sampler).
   Vectors of AVX-512 or AVX2 are chosen when the library is loaded, plain C elsewhere. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
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

struct pool {
    int planes, height, width, window, padding, half, stride, rectify;
    const float *line; /* (2 half + 1): the Gaussian along one axis */
};

struct sample {
    int images, channels, size, out_size, nearest, bytes;
    const double *affine; /* (images, 2, 3): column and row of the source from column, row and 1 of the result */
};

/* Whether b is larger than a, or NaN where a is not. */
#define beats(b, a) ((b) > (a) || ((b) != (b) && (a) == (a)))
#define larger(a, b) (beats(b, a) ? (b) : (a))

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
#include "pool.inc"
#undef VARIANT
#undef TARGET
#undef LANES
#define VARIANT(name) name##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#include "basis_maps.inc"
#include "pool.inc"
#define PIXEL uint8_t
#define NAME VARIANT(sample_bytes)
#include "sample.inc"
#undef PIXEL
#undef NAME
#define PIXEL float
#define NAME VARIANT(sample_floats)
#include "sample.inc"
#undef PIXEL
#undef NAME
#undef VARIANT
#undef TARGET
#undef LANES
#endif
#define VARIANT(name) name##_plain
#define TARGET
#define LANES 4
#include "basis_maps.inc"
#include "pool.inc"
#define PIXEL uint8_t
#define NAME VARIANT(sample_bytes)
#include "sample.inc"
#undef PIXEL
#undef NAME
#define PIXEL float
#define NAME VARIANT(sample_floats)
#include "sample.inc"
#undef PIXEL
#undef NAME

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
EXPORT int equirgz_kernels_version(void) { return 2; }

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

/* Write images (images, channels, out_size, out_size), 0 where the source ends. */
EXPORT int equirgz_sample(const struct sample *c, int variant, const void *in, float *out) {
    const size_t from = (size_t)c->channels * c->size * c->size, to = (size_t)c->channels * c->out_size * c->out_size;
    float *work = malloc((size_t)c->out_size * (2 * sizeof(float) + 3 * sizeof(int)));
    if (!work) return 1;
    int *places = (int *)(work + 2 * c->out_size);
    for (int i = 0; i < c->images; i++) {
        const uint8_t *bytes = (const uint8_t *)in + i * from;
        const float *floats = (const float *)in + i * from;
        const double *affine = c->affine + 6 * i;
#if defined(__x86_64__) && defined(__GNUC__)
        /* AVX-512 gathers more slowly than AVX2. */
        if (variant >= 1 && c->bytes) sample_bytes_avx2(c, bytes, out + i * to, affine, work, places);
        if (variant >= 1 && !c->bytes) sample_floats_avx2(c, floats, out + i * to, affine, work, places);
#endif
        if (variant == 0 && c->bytes) sample_bytes_plain(c, bytes, out + i * to, affine, work, places);
        if (variant == 0 && !c->bytes) sample_floats_plain(c, floats, out + i * to, affine, work, places);
    }
    free(work);
    return 0;
}

static size_t pooled_size(const struct pool *c) {
    const int rows = c->height + 2 * c->padding - c->window + 1, columns = c->width + 2 * c->padding - c->window + 1;
    return (size_t)((rows - 1) / c->stride + 1) * ((columns - 1) / c->stride + 1);
}

static float *make_pool_work(const struct pool *c) {
    const size_t wide = c->width + 2 * c->padding + c->half + 8, tall = c->height + 2 * c->padding + 8;
    return malloc((4 * tall * wide + 12 * wide + 256) * sizeof(float));
}

EXPORT int equirgz_max_blur(const struct pool *c, int variant, const float *in, float *out) {
    float *work = make_pool_work(c);
    if (!work) return 1;
    const size_t from = (size_t)c->height * c->width, to = pooled_size(c);
    for (int i = 0; i < c->planes; i++, in += from, out += to) {
#if defined(__x86_64__) && defined(__GNUC__)
        if (variant == 2) max_blur_avx512(c, in, out, work);
        if (variant == 1) max_blur_avx2(c, in, out, work);
#endif
        if (variant == 0) max_blur_plain(c, in, out, work);
    }
    free(work);
    return 0;
}

EXPORT int equirgz_max_blur_back(const struct pool *c, int variant, const float *in, const float *gradient, float *out) {
    float *work = make_pool_work(c);
    if (!work) return 1;
    const size_t from = (size_t)c->height * c->width, to = pooled_size(c);
    for (int i = 0; i < c->planes; i++, in += from, gradient += to, out += from) {
#if defined(__x86_64__) && defined(__GNUC__)
        if (variant == 2) max_blur_back_avx512(c, in, gradient, out, work);
        if (variant == 1) max_blur_back_avx2(c, in, gradient, out, work);
#endif
        if (variant == 0) max_blur_back_plain(c, in, gradient, out, work);
    }
    free(work);
    return 0;
}
