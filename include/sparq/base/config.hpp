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
// Unoptimised builds force nothing: it would make them unusable.
#if defined(__GNUC__) || defined(__clang__)
#define SPARQ_COLD __attribute__((noinline, cold))
#define SPARQ_APART __attribute__((noinline))
#if defined(__OPTIMIZE__)
#define SPARQ_INLINE inline __attribute__((always_inline))
#define SPARQ_LAMBDA_INLINE __attribute__((always_inline))
#else
#define SPARQ_INLINE inline
#define SPARQ_LAMBDA_INLINE
#endif
#elif defined(_MSC_VER)
#define SPARQ_COLD __declspec(noinline)
#define SPARQ_APART __declspec(noinline)
#define SPARQ_INLINE __forceinline
#define SPARQ_LAMBDA_INLINE
#else
#define SPARQ_COLD
#define SPARQ_APART
#define SPARQ_INLINE inline
#define SPARQ_LAMBDA_INLINE
#endif

// gcc keeps arrays of registers in memory unless every loop over them is unrolled, initialisation and stores included.
// With -Og it unrolls too late for that, and makes 32 copies of loops that run once: such builds define
// SPARQ_NO_UNROLL.
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

#ifndef SPARQ_HAS_AMX_INT8  // tiles of bytes; clang++ 14 has names of its own
#if SPARQ_HAS_AVX512VNNI && ((defined(__AMX_TILE__) && defined(__AMX_INT8__)) || \
                             (defined(__AMXTILE__) && defined(__AMXINT8__)))
#define SPARQ_HAS_AMX_INT8 1
#else
#define SPARQ_HAS_AMX_INT8 0
#endif
#endif

#ifndef SPARQ_HAS_BMI2  // of 64 bits
#if SPARQ_HAS_AVX2 && defined(__BMI2__) && defined(__x86_64__)
#define SPARQ_HAS_BMI2 1
#else
#define SPARQ_HAS_BMI2 0
#endif
#endif

// xsimd serves simd/vec.hpp. Without it (SPARQ_NO_XSIMD, or a target that xsimd does not know) the same header uses
// arrays that the compiler vectorises. It also does so where the compiler may use AVX-512, but sparq uses none or only
// a part of it: xsimd takes the width of its registers from the compiler's flags.
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
#define SPARQ_CONCAT_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o) \
  abi_##a##b##c##d##e##f##g##h##i##j##k##_##l##m##n##o
#define SPARQ_CONCAT(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o) SPARQ_CONCAT_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
#define SPARQ_ABI_TAG                                                                                                \
  SPARQ_CONCAT(SPARQ_HAS_AVX2, SPARQ_HAS_AVX512, SPARQ_HAS_AVX512VNNI, SPARQ_HAS_AVX512VBMI, SPARQ_HAS_AVX512VBMI2,  \
               SPARQ_HAS_AVX512VPOPCNTDQ, SPARQ_HAS_AVX512BF16, SPARQ_HAS_AMX_INT8, SPARQ_HAS_BMI2, SPARQ_HAS_XSIMD,     \
               SPARQ_HAS_EXCEPTIONS, SPARQ_COMPILER_VECTORS, SPARQ_COMPILER_FMA, SPARQ_COMPILER_DOTS, SPARQ_COMPILER_BITS)
#define SPARQ_ABI_BEGIN inline namespace SPARQ_ABI_TAG {
#define SPARQ_ABI_END }
