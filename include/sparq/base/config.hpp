// SPDX-License-Identifier: MIT
#pragma once
// The only place that asks the compiler about itself: version, features, ISA flags and the ABI namespace.
// Every SPARQ_HAS_* macro is 0 or 1, never undefined, so that a misspelt one is an error under -Wundef.

#define SPARQ_VERSION_MAJOR 0
#define SPARQ_VERSION_MINOR 1
#define SPARQ_VERSION_PATCH 0
#define SPARQ_VERSION (SPARQ_VERSION_MAJOR * 10000 + SPARQ_VERSION_MINOR * 100 + SPARQ_VERSION_PATCH)

#if !defined(__cplusplus) || (__cplusplus < 202002L && (!defined(_MSVC_LANG) || _MSVC_LANG < 202002L))
#error "sparq needs C++20: add -std=c++20 (or /std:c++20)"
#endif
#if defined(__FAST_MATH__) && !defined(SPARQ_ALLOW_FAST_MATH)
#error "sparq: with -ffast-math requantization is not exact and NaN is not refused; add -fno-fast-math (or -DSPARQ_ALLOW_FAST_MATH)"
#endif

// ---- what the compiler allows -------------------------------------------------------------------------------------
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define SPARQ_HAS_EXCEPTIONS 1
#else
#define SPARQ_HAS_EXCEPTIONS 0
#endif

// SPARQ_APART: a function that stays one. Inlined, its loop shares registers with what surrounds the call.
#if defined(__GNUC__) || defined(__clang__)
#define SPARQ_COLD __attribute__((noinline, cold))
#define SPARQ_APART __attribute__((noinline))
#if defined(__OPTIMIZE__)
#define SPARQ_INLINE inline __attribute__((always_inline))
#else
#define SPARQ_INLINE inline  // forced inlining makes unoptimised builds unusable
#endif
#define SPARQ_RESTRICT __restrict__
#if defined(__OPTIMIZE__)
#define SPARQ_LAMBDA_INLINE __attribute__((always_inline))
#else
#define SPARQ_LAMBDA_INLINE
#endif
#elif defined(_MSC_VER)
#define SPARQ_COLD __declspec(noinline)
#define SPARQ_APART __declspec(noinline)
#define SPARQ_INLINE __forceinline
#define SPARQ_LAMBDA_INLINE
#define SPARQ_RESTRICT __restrict
#else
#define SPARQ_COLD
#define SPARQ_APART
#define SPARQ_INLINE inline
#define SPARQ_LAMBDA_INLINE
#define SPARQ_RESTRICT
#endif

// gcc keeps arrays of registers in memory unless every loop over them is unrolled, initialisation and stores included. With
// -Og it unrolls too late for that, and makes 32 copies of loops that run once: such builds define SPARQ_NO_UNROLL.
#if (defined(__GNUC__) || defined(__clang__)) && !defined(SPARQ_NO_UNROLL)
#define SPARQ_UNROLL _Pragma("GCC unroll 32")
#else
#define SPARQ_UNROLL
#endif

// Keeps a loop over memory as it is: compilers that unroll it overlap its turns and run out of registers.
#if defined(__clang__)
#define SPARQ_KEEP_LOOP _Pragma("clang loop unroll(disable)")
#elif defined(__GNUC__)
#define SPARQ_KEEP_LOOP _Pragma("GCC unroll 1")
#else
#define SPARQ_KEEP_LOOP
#endif

// Compilers reassociate sums of products, (a + p) + q into a + (p + q): twelve more registers are alive and
// accumulators go to memory (AVX2, 6 x 2 block: 1.8 times slower).
// An empty statement that "changes" the register forbids it.
#if defined(__GNUC__) && defined(__x86_64__)
#define SPARQ_KEEP_ORDER(register) __asm__("" : "+v"(register))
#else
#define SPARQ_KEEP_ORDER(register) static_cast<void>(0)
#endif

// sum += products, 32-bit lanes of a __m256i, in this order. gcc likes to put the sum where the products were and to
// copy it back at the end of a turn, six times in a 6 x 2 block, and has no register left for one of the sums.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define SPARQ_ADD_IN_PLACE(sum, products) __asm__("vpaddd {%1, %0, %0|%0, %0, %1}" : "+x"(sum) : "x"(products))
#else
#define SPARQ_ADD_IN_PLACE(sum, products)       \
  do {                                          \
    (sum) = _mm256_add_epi32((sum), (products)); \
    SPARQ_KEEP_ORDER(sum);                      \
  } while (false)
#endif

// a += x * wa, b += x * wb: both products, then both sums. Sums may take any vector unit, products two of four (Zen 3);
// where a sum stands between them, it takes one of the two more often: 0.68 cycles a product instead of 0.63. Compilers
// order them as they like, so the four are one statement; x is where the second product goes.
#if defined(__GNUC__) && defined(__x86_64__)
#define SPARQ_ADD_PRODUCTS(a, b, wa, wb, x, multiply, add, multiply_lanes, add_lanes) \
  do {                                                                                \
    __m256i product_;                                                                 \
    __asm__(multiply " {%[v], %[x], %[p]|%[p], %[x], %[v]}\n\t"                       \
            multiply " {%[w], %[x], %[x]|%[x], %[x], %[w]}\n\t"                       \
            add " {%[p], %[s], %[s]|%[s], %[s], %[p]}\n\t"                            \
            add " {%[x], %[t], %[t]|%[t], %[t], %[x]}"                                \
            : [s] "+x"(a), [t] "+x"(b), [x] "+x"(x), [p] "=&x"(product_)              \
            : [v] "x"(wa), [w] "x"(wb));                                              \
  } while (false)
#else
#define SPARQ_ADD_PRODUCTS(a, b, wa, wb, x, multiply, add, multiply_lanes, add_lanes) \
  (static_cast<void>((a) = add_lanes((a), multiply_lanes((x), (wa)))),                \
   static_cast<void>((b) = add_lanes((b), multiply_lanes((x), (wb)))))
#endif

// Rows of a block one after the other: `later` is not used, nor is anything loaded through `pointer`, before `earlier`
// is there. Compilers that take two rows at once run out of registers where decoding needs some, too.
#if defined(__GNUC__) && defined(__x86_64__)
#define SPARQ_KEEP_TURN(earlier, later) __asm__("" : "+v"(earlier), "+v"(later))
#define SPARQ_LOAD_AFTER(earlier, pointer) __asm__("" : "+v"(earlier), "+r"(pointer))
#else
#define SPARQ_KEEP_TURN(earlier, later) static_cast<void>(0)
#define SPARQ_LOAD_AFTER(earlier, pointer) static_cast<void>(0)
#endif

// The addresses of a block's rows follow each other, pointer by pointer. clang loads words of all rows at once where it
// can address them so, and runs out of 32 registers.
#if defined(__clang__) && defined(__x86_64__)
#define SPARQ_NEXT_ROW(pointer, stride) \
  do {                                  \
    pointer += (stride);                \
    __asm__("" : "+r"(pointer));        \
  } while (false)
#else
#define SPARQ_NEXT_ROW(pointer, stride) static_cast<void>(pointer += (stride))
#endif

// clang spills registers to wherever the stack happens to lie. What crosses a cache line there is not forwarded to the
// load behind it. That fits what was seen, u8 x ternary at a third of its speed in one run of six. A variable to be
// aligned aligns the whole frame.
#if defined(__clang__) && defined(__x86_64__)
#define SPARQ_ALIGN_FRAME               \
  alignas(32) char aligned_frame_[32]; \
  __asm__ volatile("" : "=m"(aligned_frame_))
#else
#define SPARQ_ALIGN_FRAME static_cast<void>(0)
#endif

// What is loaded through `pointer` from here on is loaded again: cheaper than a register that keeps it.
#if defined(__GNUC__)
#define SPARQ_LOAD_AGAIN(pointer) __asm__("" : "+r"(pointer))
#else
#define SPARQ_LOAD_AGAIN(pointer) static_cast<void>(0)
#endif

// ---- which instructions this translation unit may use -------------------------------------------------------------
// Define SPARQ_SCALAR=1 to compile the portable code only. One flag never implies another (AVX-VNNI is not on AMD's
// AVX2 machines, AVX-512 comes in subsets), so each feature is asked for by itself. What the build defines as 0 or 1
// stays so: -DSPARQ_HAS_AVX512=0 leaves a feature out that the compiler would have.
#ifndef SPARQ_SCALAR
#define SPARQ_SCALAR 0
#endif

#ifndef SPARQ_HAS_AVX2
#if !SPARQ_SCALAR && defined(__AVX2__) && defined(__FMA__)
#define SPARQ_HAS_AVX2 1
#else
#define SPARQ_HAS_AVX2 0
#endif
#endif

#ifndef SPARQ_HAS_AVX512
#if SPARQ_HAS_AVX2 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define SPARQ_HAS_AVX512 1
#else
#define SPARQ_HAS_AVX512 0
#endif
#endif

#ifndef SPARQ_HAS_AVX512VNNI
#if SPARQ_HAS_AVX512 && defined(__AVX512VNNI__)
#define SPARQ_HAS_AVX512VNNI 1
#else
#define SPARQ_HAS_AVX512VNNI 0
#endif
#endif

#ifndef SPARQ_HAS_AVX512VBMI
#if SPARQ_HAS_AVX512 && defined(__AVX512VBMI__)
#define SPARQ_HAS_AVX512VBMI 1
#else
#define SPARQ_HAS_AVX512VBMI 0
#endif
#endif

#ifndef SPARQ_HAS_AVX512VBMI2
#if SPARQ_HAS_AVX512 && defined(__AVX512VBMI2__)
#define SPARQ_HAS_AVX512VBMI2 1
#else
#define SPARQ_HAS_AVX512VBMI2 0
#endif
#endif

#ifndef SPARQ_HAS_AVX512VPOPCNTDQ
#if SPARQ_HAS_AVX512 && defined(__AVX512VPOPCNTDQ__)
#define SPARQ_HAS_AVX512VPOPCNTDQ 1
#else
#define SPARQ_HAS_AVX512VPOPCNTDQ 0
#endif
#endif

#ifndef SPARQ_HAS_AVX512BF16
#if SPARQ_HAS_AVX512 && defined(__AVX512BF16__)
#define SPARQ_HAS_AVX512BF16 1
#else
#define SPARQ_HAS_AVX512BF16 0
#endif
#endif

#ifndef SPARQ_HAS_BMI2  // of 64 bits
#if SPARQ_HAS_AVX2 && defined(__BMI2__) && defined(__x86_64__)
#define SPARQ_HAS_BMI2 1
#else
#define SPARQ_HAS_BMI2 0
#endif
#endif

// xsimd serves simd/vec.hpp; without it (SPARQ_NO_XSIMD, or a target that xsimd does not know) the same header falls
// back on arrays that the compiler vectorises. So it does where AVX-512 is there but not used, or only in parts: xsimd
// takes the width of its registers from the compiler's flags.
#if !defined(SPARQ_NO_XSIMD) && !SPARQ_SCALAR && SPARQ_HAS_AVX2 && SPARQ_HAS_AVX512 == defined(__AVX512F__) && \
    __has_include(<xsimd/xsimd.hpp>)
#define SPARQ_HAS_XSIMD 1
#else
#define SPARQ_HAS_XSIMD 0
#endif

// What the compiler itself may use in portable code: registers and their instructions, products and sums in one, dot
// products of bytes, instructions for bits of a word.
#if defined(__AVX512F__)
#define SPARQ_COMPILER_VECTORS 6
#elif defined(__AVX2__)
#define SPARQ_COMPILER_VECTORS 5
#elif defined(__AVX__)
#define SPARQ_COMPILER_VECTORS 4
#elif defined(__SSE4_2__)
#define SPARQ_COMPILER_VECTORS 3
#elif defined(__SSE4_1__) || defined(__ARM_FEATURE_SVE)
#define SPARQ_COMPILER_VECTORS 2
#elif defined(__SSE3__) || defined(__ARM_FEATURE_DOTPROD)
#define SPARQ_COMPILER_VECTORS 1
#else
#define SPARQ_COMPILER_VECTORS 0
#endif

#if defined(__FMA__)
#define SPARQ_COMPILER_FMA 1
#else
#define SPARQ_COMPILER_FMA 0
#endif

#if defined(__AVXVNNI__) || defined(__AVX512VNNI__)
#define SPARQ_COMPILER_DOTS 1
#else
#define SPARQ_COMPILER_DOTS 0
#endif

#if defined(__BMI2__)
#define SPARQ_COMPILER_BITS 3
#elif defined(__BMI__)
#define SPARQ_COMPILER_BITS 2
#elif defined(__POPCNT__)
#define SPARQ_COMPILER_BITS 1
#else
#define SPARQ_COMPILER_BITS 0
#endif

// ---- the ABI namespace --------------------------------------------------------------------------------------------
// Code whose instructions depend on the flags lives in an inline namespace named after what sparq uses and what the
// compiler may. Translation units built with different -m flags then define different symbols, and the linker cannot
// swap one for the other.
#define SPARQ_CONCAT_(a, b, c, d, e, f, g, h, i, j, k, l, m, n) abi_##a##b##c##d##e##f##g##h##i##j##_##k##l##m##n
#define SPARQ_CONCAT(a, b, c, d, e, f, g, h, i, j, k, l, m, n) SPARQ_CONCAT_(a, b, c, d, e, f, g, h, i, j, k, l, m, n)
#define SPARQ_ABI_TAG                                                                                                \
  SPARQ_CONCAT(SPARQ_HAS_AVX2, SPARQ_HAS_AVX512, SPARQ_HAS_AVX512VNNI, SPARQ_HAS_AVX512VBMI, SPARQ_HAS_AVX512VBMI2,  \
               SPARQ_HAS_AVX512VPOPCNTDQ, SPARQ_HAS_AVX512BF16, SPARQ_HAS_BMI2, SPARQ_HAS_XSIMD, SPARQ_HAS_EXCEPTIONS, \
               SPARQ_COMPILER_VECTORS, SPARQ_COMPILER_FMA, SPARQ_COMPILER_DOTS, SPARQ_COMPILER_BITS)
#define SPARQ_ABI_BEGIN inline namespace SPARQ_ABI_TAG {
#define SPARQ_ABI_END }
