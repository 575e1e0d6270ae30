// SPDX-License-Identifier: MIT
#pragma once
// All of sparq in one file, generated from include/sparq (cmake --build <directory> --target single_include).

// ==== sparq/sparq.hpp ====
// Everything in one include, except tensor/print.hpp (needs fmt), io/ (opens files), tensor/any_tensor.hpp (names every
// combination, for choices at run time), the executors for threads, and testing/ (for tests of formats of your own).

// ==== sparq/base/config.hpp ====
// The only place that asks the compiler about itself: version, features, ISA flags and the ABI namespace.
// Every SPARQ_HAS_* macro is 0 or 1, never undefined, so that a misspelt one is an error under -Wundef.

#define SPARQ_VERSION_MAJOR 0
#define SPARQ_VERSION_MINOR 1
#define SPARQ_VERSION_PATCH 0
#define SPARQ_VERSION (SPARQ_VERSION_MAJOR * 10000 + SPARQ_VERSION_MINOR * 100 + SPARQ_VERSION_PATCH)

#if !defined(__cplusplus) || (__cplusplus < 202002L && (!defined(_MSVC_LANG) || _MSVC_LANG < 202002L))
#error "sparq needs C++20: add -std=c++20 (or /std:c++20)"
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

// gcc keeps arrays of registers in memory unless every loop over them is unrolled, initialisation and stores included.
#if defined(__GNUC__) || defined(__clang__)
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

// Compilers reassociate sums of products, (a + p) + q into a + (p + q): twelve more registers are alive and accumulators
// go to memory (AVX2, 6 x 2 block: 1.8 times slower). An empty statement that "changes" the register forbids it.
#if defined(__GNUC__) && defined(__x86_64__)
#define SPARQ_KEEP_ORDER(register) __asm__("" : "+v"(register))
#else
#define SPARQ_KEEP_ORDER(register) static_cast<void>(0)
#endif

// Rows of a block one after the other: `later` is not used, nor is anything loaded through `pointer`, before `earlier` is
// there. Compilers that take two rows at once run out of registers where decoding needs some, too.
#if defined(__GNUC__) && defined(__x86_64__)
#define SPARQ_KEEP_TURN(earlier, later) __asm__("" : "+v"(earlier), "+v"(later))
#define SPARQ_LOAD_AFTER(earlier, pointer) __asm__("" : "+v"(earlier), "+r"(pointer))
#else
#define SPARQ_KEEP_TURN(earlier, later) static_cast<void>(0)
#define SPARQ_LOAD_AFTER(earlier, pointer) static_cast<void>(0)
#endif

// The addresses of a block's rows follow each other, pointer by pointer. clang loads words of all rows at once where it can
// address them so, and runs out of 32 registers.
#if defined(__clang__) && defined(__x86_64__)
#define SPARQ_NEXT_ROW(pointer, stride) \
  do {                                  \
    pointer += (stride);                \
    __asm__("" : "+r"(pointer));        \
  } while (false)
#else
#define SPARQ_NEXT_ROW(pointer, stride) static_cast<void>(pointer += (stride))
#endif

// clang spills registers to wherever the stack happens to lie. What crosses a cache line there is not forwarded to the load
// behind it. That fits what was seen, u8 x ternary at a third of its speed in one run of six. A variable to be aligned aligns
// the whole frame.
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
// AVX2 machines, AVX-512 comes in subsets), so each feature is asked for by itself. What the build defines as 0 or 1 stays
// so: -DSPARQ_HAS_AVX512=0 leaves a feature out that the compiler would have.
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

#ifndef SPARQ_HAS_BMI2
#if SPARQ_HAS_AVX2 && defined(__BMI2__)
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

// ---- the ABI namespace --------------------------------------------------------------------------------------------
// Code whose instructions depend on the flags lives in an inline namespace named after the feature set. Translation
// units built with different -m flags then define different symbols, and the linker cannot swap one for the other.
#define SPARQ_CONCAT_(a, b, c, d, e, f, g, h, i, j) abi_##a##b##c##d##e##f##g##h##i##j
#define SPARQ_CONCAT(a, b, c, d, e, f, g, h, i, j) SPARQ_CONCAT_(a, b, c, d, e, f, g, h, i, j)
#define SPARQ_ABI_TAG                                                                                              \
  SPARQ_CONCAT(SPARQ_HAS_AVX2, SPARQ_HAS_AVX512, SPARQ_HAS_AVX512VNNI, SPARQ_HAS_AVX512VBMI, SPARQ_HAS_AVX512VBMI2, \
               SPARQ_HAS_AVX512VPOPCNTDQ, SPARQ_HAS_AVX512BF16, SPARQ_HAS_BMI2, SPARQ_HAS_XSIMD, SPARQ_HAS_EXCEPTIONS)
#define SPARQ_ABI_BEGIN inline namespace SPARQ_ABI_TAG {
#define SPARQ_ABI_END }

// ==== sparq/base/error.hpp ====
// How the library says no. User data is validated where it enters; the first offending value and its position go into
// one sentence. Every entry that throws has a try_ twin that returns the same sentence as a status instead.

#include <cassert>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

/// An invariant of the library itself; checked in debug builds only.
#define SPARQ_ASSERT(condition) assert(condition)

namespace sparq {

/// What every throwing entry point throws.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Ends the current operation with `message`: throws `error`, or aborts when exceptions are off.
/// Callers that build without exceptions use the try_ twins, which never come here.
[[noreturn]] SPARQ_COLD inline void raise(const std::string& message) {
#if SPARQ_HAS_EXCEPTIONS
  throw error(message);
#else
  static_cast<void>(message);
  std::abort();
#endif
}

/// Skips validation where the caller vouches for the data.
struct unchecked_t {};
inline constexpr unchecked_t unchecked{};

/// Success, or the sentence that says what is wrong and where.
class [[nodiscard]] status {
 public:
  status() = default;
  static status failure(std::string message) {
    status s;
    s.message_ = std::move(message);
    s.ok_ = false;
    return s;
  }

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const std::string& message() const { return message_; }
  /// Raises `message()` unless ok.
  void value() const {
    if (!ok_) raise(message_);
  }

 private:
  std::string message_;
  bool ok_ = true;
};

/// A value, or the status that says why there is none.
template <class T>
class [[nodiscard]] expected {
 public:
  expected(T value) : value_(std::move(value)) {}
  expected(status failure) : failure_(std::move(failure)) { SPARQ_ASSERT(!failure_.ok()); }

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  /// @pre !ok()
  const status& error() const { return failure_; }
  /// The value; raises the status's sentence when there is none.
  T& value() & {
    failure_.value();
    return *value_;
  }
  const T& value() const& {
    failure_.value();
    return *value_;
  }
  T&& value() && { return std::move(value()); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  status failure_;
};

}  // namespace sparq

// ==== sparq/base/math.hpp ====
// Integer arithmetic on extents that every layer needs.

#include <cstddef>

namespace sparq {

/// ceil(a / b). @pre b > 0
constexpr std::size_t ceil_div(std::size_t a, std::size_t b) { return a / b + (a % b != 0); }

/// The smallest multiple of b that is not less than a. @pre b > 0
constexpr std::size_t round_up(std::size_t a, std::size_t b) { return ceil_div(a, b) * b; }

}  // namespace sparq

// ==== sparq/base/memory.hpp ====
// Owned memory on 64-byte boundaries. The alignment is a constant of the library, never of the compiler's flags, so
// that objects may cross translation units that were built for different machines.

#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <utility>

namespace sparq {

/// Alignment of every block that the library owns and of every array inside a packed tensor, in bytes.
inline constexpr std::size_t alignment = 64;

/// A block of bytes on a 64-byte boundary; zero-filled when made; copies deeply.
class aligned_buffer {
 public:
  aligned_buffer() = default;
  /// Throws std::bad_alloc when memory runs out. Complexity O(size).
  explicit aligned_buffer(std::size_t size) : size_(size) {
    if (size_ == 0) return;
    data_ = static_cast<std::byte*>(::operator new(round_up(size_, alignment), std::align_val_t{alignment}));
    std::memset(data_, 0, round_up(size_, alignment));
  }
  aligned_buffer(const aligned_buffer& other) : aligned_buffer(other.size_) {
    if (size_ != 0) std::memcpy(data_, other.data_, size_);
  }
  aligned_buffer(aligned_buffer&& other) noexcept { swap(other); }
  aligned_buffer& operator=(aligned_buffer other) noexcept {
    swap(other);
    return *this;
  }
  ~aligned_buffer() {
    if (data_ != nullptr) ::operator delete(data_, std::align_val_t{alignment});
  }

  void swap(aligned_buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::span<std::byte> bytes() { return {data_, size_}; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sparq

// ==== sparq/numeric/codebook.hpp ====
// Codes that are no numbers but places in a table of numbers, its entries: clustered weights, and number formats that
// have only a few values. One table serves a tensor, an output channel, or a bucket of consecutive weights.
//
//   table 0 (channel 0)  [-40  0  11  90]     codes [1 3 0]     weights [0 90 -40]
//
// Where a format leaves zeros out, every table has an entry of exactly 0: a pruned weight is a real zero.

// ==== sparq/numeric/numeric.hpp ====
// What makes a tag a numeric type. Formats, codecs and kernels ask for these concepts and never for a closed list of
// types, so a type of your own needs no registration.

// ==== sparq/numeric/floating.hpp ====
// Floating-point codes: the code is the real number itself, so they need no quantization.

#include <bit>
#include <cstdint>
#include <string_view>

namespace sparq {

/// IEEE 754 binary32.
struct f32 {
  using code = float;
  static constexpr int bits = 32;
  static constexpr bool is_integer = false;
  static constexpr bool is_signed = true;
  static constexpr std::string_view name = "f32";
};

/// The upper half of a binary32: its exponents, 8 bits of precision.
struct brain_float {
  std::uint16_t bits = 0;

  constexpr brain_float() = default;
  /// The nearest, ties to even; beyond the largest: infinity. NaN stays NaN.
  constexpr explicit brain_float(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    const bool is_nan = (word & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<std::uint16_t>(is_nan ? word >> 16 | 0x40U : (word + 0x7fffU + (word >> 16 & 1U)) >> 16);
  }
  /// Exact.
  constexpr operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

/// bfloat16. Where both operands are bf16, panels multiply pairs as vdpbf16ps does (add_bf16_product), on every machine;
/// everywhere else it is the f32 of the same value.
struct bf16 {
  using code = brain_float;
  static constexpr int bits = 16;
  static constexpr bool is_integer = false;
  static constexpr bool is_signed = true;
  static constexpr std::string_view name = "bf16";
};

/// One of the two steps of a dot product of bf16: fma(x, w, sum) to nearest, ties to even; what is below 2^-126 is 0 with
/// its sign, as an operand and as a result. Intel's definition of VDPBF16PS, which adds the second product of a pair first.
/// @pre the rounding mode is the default one
constexpr float add_bf16_product(float sum, brain_float x, brain_float w) {
  constexpr auto operand = [](float value) {
    return value < 0x1p-126F && value > -0x1p-126F ? static_cast<double>(value) * 0.0 : static_cast<double>(value);
  };
  // A product has 16 bits and is exact; rounding to 53 bits first changes no rounding to 24 that stays normal.
  const double exact = operand(sum) + operand(x) * operand(w);
  constexpr double tiny = 0x1.ffffffp-127;  // from here on the nearest number of 24 bits is 2^-126
  return static_cast<float>(exact < tiny && exact > -tiny ? exact * 0.0 : exact);
}

/// IEEE 754 binary16: 5 bits of exponent, 11 of precision, largest 65504.
struct half_float {
  std::uint16_t bits = 0;

  constexpr half_float() = default;
  /// The nearest, ties to even, denormal numbers included; beyond the largest: infinity. NaN stays NaN.
  constexpr explicit half_float(float value) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    bits = static_cast<std::uint16_t>((word >> 16 & 0x8000U) | magnitude_of(word & 0x7fffffffU));
  }
  /// Exact. No branch, so that loops vectorise.
  constexpr operator float() const {
    const std::uint32_t magnitude = (bits & 0x7fffU) << 13;  // a float 2^112 times too small
    const auto scaled = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F);
    const std::uint32_t not_finite = magnitude >= 0x0f800000U ? 0x7f800000U : 0U;
    return std::bit_cast<float>(scaled | not_finite | (bits & 0x8000U) << 16);
  }

 private:
  static constexpr std::uint32_t magnitude_of(std::uint32_t word) {
    if (word > 0x7f800000U) return 0x7e00U | (word >> 13 & 0x3ffU);
    if (word >= 0x47800000U) return 0x7c00U;                                                    // 2^16 and more
    if (word >= 0x38800000U) return (word - 0x38000000U + 0xfffU + (word >> 13 & 1U)) >> 13;  // 2^-14 and more
    const std::uint32_t shift = 126 - (word >> 23);  // steps of 2^-24
    if (shift > 24) return 0;
    const std::uint32_t fraction = (word & 0x7fffffU) | 0x800000U;
    const std::uint32_t whole = fraction >> shift, rest = fraction & ((1U << shift) - 1U), half = 1U << (shift - 1);
    return whole + (rest > half || (rest == half && (whole & 1U) != 0) ? 1U : 0U);
  }
};

/// binary16, for storage: kernels multiply as f32 does and add in the same order, as with bf16. W must be finite, as what
/// encode makes is: in registers infinity becomes 65536.
struct f16 {
  using code = half_float;
  static constexpr int bits = 16;
  static constexpr bool is_integer = false;
  static constexpr bool is_signed = true;
  static constexpr std::string_view name = "f16";
};

}  // namespace sparq

// ==== sparq/numeric/integer.hpp ====
// Integer codes. A numeric type is a tag: which C++ type holds one code outside of packed memory, how many bits the
// code takes inside it, and which codes exist. How codes share bytes is codec.hpp; what real number a code means is
// quantization.hpp.

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {

/// Where the element with the even index sits when two or more elements share a byte.
enum class packing_order {
  low_first,   ///< in the low bits: ONNX, TFLite, CMSIS-NN, oneDNN, PULP-NN
  high_first,  ///< in the high bits: PyTorch int4pack, bitsandbytes
};

/// Signed bytes.
struct s8 {
  using code = std::int8_t;
  static constexpr int bits = 8;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = -128;
  static constexpr std::int32_t max_code = 127;
  static constexpr std::string_view name = "s8";
};

/// Unsigned bytes.
struct u8 {
  using code = std::uint8_t;
  static constexpr int bits = 8;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = false;
  static constexpr std::int32_t min_code = 0;
  static constexpr std::int32_t max_code = 255;
  static constexpr std::string_view name = "u8";
};

/// Activations and outputs of 16 bits; no weights.
struct s16 {
  using code = std::int16_t;
  static constexpr int bits = 16;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = -32768;
  static constexpr std::int32_t max_code = 32767;
  static constexpr std::string_view name = "s16";
};

/// Accumulators and outputs only; no weights, no activations.
struct s32 {
  using code = std::int32_t;
  static constexpr int bits = 32;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = INT32_MIN;
  static constexpr std::int32_t max_code = INT32_MAX;
  static constexpr std::string_view name = "s32";
};

/// Bytes whose codes are -64 to 64: what kernels hold for s5, s6 and s7. The bound stays in the type, because a CPU may
/// multiply small codes faster.
struct s8_up_to_64 {
  using code = std::int8_t;
  static constexpr int bits = 8;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = -64;
  static constexpr std::int32_t max_code = 64;
  static constexpr std::string_view name = "s8_up_to_64";
};

template <int Bits, bool Signed, packing_order Order>
struct narrow_integer;

namespace detail {

/// What kernels hold instead of codes of this width (packed_numeric_t): the next wider one that divides a byte.
template <int Bits, bool Signed, packing_order Order>
struct packed_instead {
  using packed = std::conditional_t<Bits == 3, narrow_integer<4, Signed, packing_order::low_first>,
                                    std::conditional_t<Signed, s8_up_to_64, u8>>;
};
template <int Bits, bool Signed, packing_order Order>
  requires(Bits == 1 || Bits == 2 || Bits == 4)
struct packed_instead<Bits, Signed, Order> {
  using packed = narrow_integer<Bits, Signed, packing_order::low_first>;
};

constexpr std::string_view narrow_name(int bits, bool is_signed, packing_order order) {
  constexpr std::string_view low[2][7] = {{"u1", "u2", "u3", "u4", "u5", "u6", "u7"},
                                          {"s1", "s2", "s3", "s4", "s5", "s6", "s7"}};
  if (order == packing_order::low_first) return low[is_signed][bits - 1];
  if (bits == 1) return "u1_high_first";
  if (bits == 4) return is_signed ? "s4_high_first" : "u4_high_first";
  return is_signed ? "s2_high_first" : "u2_high_first";
}

}  // namespace detail

/// Codes of 1 to 7 bits, which share bytes; two's complement if signed. Those of 3, 5, 6 and 7 bits straddle bytes: they
/// are for storage, kernels hold them in 4 or 8 bits.
template <int Bits, bool Signed, packing_order Order = packing_order::low_first>
struct narrow_integer : detail::packed_instead<Bits, Signed, Order> {
  static_assert(Bits >= 1 && Bits <= 7, "sparq: narrow integers have 1 to 7 bits; use s8 or u8 for more");
  static_assert(Bits > 1 || !Signed, "sparq: one bit has no room for a sign; use u1, or binary for -1 and 1");
  static_assert(Bits == 1 || Bits == 2 || Bits == 4 || Order == packing_order::low_first,
                "sparq: codes that straddle bytes start at the low bits; use packing_order::low_first");
  using code = std::conditional_t<Signed, std::int8_t, std::uint8_t>;
  static constexpr int bits = Bits;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = Signed;
  static constexpr std::int32_t min_code = Signed ? -(1 << (Bits - 1)) : 0;
  static constexpr std::int32_t max_code = min_code + (1 << Bits) - 1;
  static constexpr packing_order order = Order;
  static constexpr std::string_view name = detail::narrow_name(Bits, Signed, Order);
};

using s2 = narrow_integer<2, true>;
using s2_high_first = narrow_integer<2, true, packing_order::high_first>;
using s3 = narrow_integer<3, true>;
using s4 = narrow_integer<4, true>;
using s4_high_first = narrow_integer<4, true, packing_order::high_first>;
using s5 = narrow_integer<5, true>;
using s6 = narrow_integer<6, true>;
using s7 = narrow_integer<7, true>;
using u2 = narrow_integer<2, false>;
using u2_high_first = narrow_integer<2, false, packing_order::high_first>;
using u1 = narrow_integer<1, false>;
using u1_high_first = narrow_integer<1, false, packing_order::high_first>;
using u3 = narrow_integer<3, false>;
using u4 = narrow_integer<4, false>;
using u4_high_first = narrow_integer<4, false, packing_order::high_first>;
using u5 = narrow_integer<5, false>;
using u6 = narrow_integer<6, false>;
using u7 = narrow_integer<7, false>;

}  // namespace sparq

// ==== sparq/numeric/power.hpp ====
// Codes that are powers of two: a sign and an exponent. Logarithmic quantization spends its codes where weights are small.
//
//   pow2<4>   bits  s eee     e = 0: 0     else: 2^(e-1), negative if s      0, +-1, +-2, ... +-64
//   pow2<3>   bits  s ee                                                     0, +-1, +-2, +-4

#include <bit>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {

/// 0 and +-2^e, e from 0 to 2^(Bits-1) - 2, as integers: products and sums are exact like those of any other integers.
/// Kernels hold pow2<3> in 4 bits, pow2<4> in 8.
template <int Bits>
struct pow2 {
  static_assert(Bits == 3 || Bits == 4, "sparq: powers of two have 3 or 4 bits; use ternary for 2, s8 for more");
  using code = std::int8_t;
  using packed = std::conditional_t<Bits == 3, s4, s8_up_to_64>;
  static constexpr int bits = Bits;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t max_code = 1 << ((1 << (Bits - 1)) - 2);
  static constexpr std::int32_t min_code = -max_code;
  static constexpr packing_order order = packing_order::low_first;
  static constexpr std::string_view name = Bits == 3 ? "pow2<3>" : "pow2<4>";

  static constexpr bool has_code(std::int32_t value) {
    const auto magnitude = static_cast<std::uint32_t>(value < 0 ? -value : value);
    return (magnitude & (magnitude - 1)) == 0 && value >= min_code && value <= max_code;
  }
  static constexpr unsigned to_bits(code value) {
    const auto exponent = static_cast<unsigned>(std::bit_width(static_cast<unsigned>(value < 0 ? -value : value)));
    return exponent | (value < 0 ? sign : 0U);
  }
  static constexpr code from_bits(unsigned stored) {
    const int magnitude = 1 << (stored & (sign - 1)) >> 1;
    return static_cast<code>((stored & sign) != 0 ? -magnitude : magnitude);
  }

  /// The nearest code, of two the one farther from 0. @pre |steps| <= max_code
  static constexpr code nearest(float steps) {
    const float magnitude = steps < 0 ? -steps : steps;
    int power = magnitude < 0.5F ? 0 : 1;
    while (power != 0 && power < max_code && magnitude >= 1.5F * static_cast<float>(power)) power *= 2;
    return static_cast<code>(steps < 0 ? -power : power);
  }

 private:
  static constexpr unsigned sign = 1U << (Bits - 1);
};

}  // namespace sparq

// ==== sparq/numeric/sign.hpp ====
// Codes that are little more than a sign: ternary {-1, 0, 1} and binary {-1, 1}.
//
//   ternary          codes [1 -1 0 1]        byte  0x4D    2 bits each, two's complement, the first in the low bits
//   ternary_dense5   codes [1 -1 0 1 -1]     byte  196     digits [1 2 0 1 2] to base 3: 1 + 2*3 + 0*9 + 1*27 + 2*81
//   binary           codes [1 -1 -1 1]       byte  0x06    the sign bit of each, the first in the low bit

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sparq {

/// -1, 0 and 1, stored as s2 stores them.
struct ternary {
  using code = std::int8_t;
  static constexpr int bits = 2;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = -1;
  static constexpr std::int32_t max_code = 1;
  static constexpr packing_order order = packing_order::low_first;
  static constexpr std::string_view name = "ternary";
};

/// -1, 0 and 1, five to a byte (1.6 bits each) for storage; kernels hold them as ternary. A byte is a number of five
/// digits to base 3, the first code the least significant; a digit is the code modulo 3: 0, 1, and 2 for -1. Digits
/// behind the last code are 0. Bytes above 242 are never written.
struct ternary_dense5 {
  using code = std::int8_t;
  using packed = ternary;
  static constexpr int bits = 2;  // rounded up
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = -1;
  static constexpr std::int32_t max_code = 1;
  static constexpr packing_order order = packing_order::low_first;
  static constexpr std::string_view name = "ternary_dense5";

  static constexpr std::size_t codes_per_byte = 5;
  /// Code number `at` of a byte. @pre at < 5
  static constexpr code load(std::uint8_t byte, std::size_t at) { return codes_of_byte[byte][at]; }
  /// The byte with another code at that place.
  static constexpr std::uint8_t store(std::uint8_t byte, std::size_t at, code value) {
    constexpr int place[] = {1, 3, 9, 27, 81};
    const int change = digit(value) - digit(load(byte, at));
    return static_cast<std::uint8_t>(byte + change * place[at]);
  }

 private:
  static constexpr int digit(int value) { return value < 0 ? 2 : value; }
  static constexpr std::array<std::array<code, 5>, 256> codes_of_byte = [] {
    std::array<std::array<code, 5>, 256> table{};
    for (int byte = 0; byte < 256; ++byte)
      for (int at = 0, rest = byte; at < 5; ++at, rest /= 3)
        table[static_cast<std::size_t>(byte)][static_cast<std::size_t>(at)] =
            static_cast<code>(rest % 3 == 2 ? -1 : rest % 3);
    return table;
  }();
};

/// -1 and 1. The bit is the sign: 0 for 1, 1 for -1 (as Larq stores it; GGUF's Q1_0 has it the other way round). There is
/// no code for 0: where the packed form needs one, it holds ternary.
struct binary {
  using code = std::int8_t;
  using packed_with_zeros = ternary;
  static constexpr int bits = 1;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = true;
  static constexpr std::int32_t min_code = -1;
  static constexpr std::int32_t max_code = 1;
  static constexpr packing_order order = packing_order::low_first;
  static constexpr std::string_view name = "binary";

  static constexpr bool has_code(std::int32_t value) { return value == -1 || value == 1; }
  static constexpr unsigned to_bits(code value) { return value < 0 ? 1U : 0U; }
  static constexpr code from_bits(unsigned stored) { return static_cast<code>(1 - 2 * static_cast<int>(stored)); }

  /// Scales are mean |w|, which is the least squares fit.
  static constexpr bool scale_is_mean = true;
  /// The sign; that of 0 is +.
  static constexpr code nearest(float steps) { return steps < 0 ? code{-1} : code{1}; }
};

}  // namespace sparq

#include <concepts>
#include <cstdint>
#include <string_view>

namespace sparq {

/// Says how codes share a byte; needed below 8 bits.
template <class T>
concept has_packing_order = requires {
  { T::order } -> std::convertible_to<packing_order>;
};

/// A tag that names the C++ type of one code and the bits that it takes in packed memory.
template <class T>
concept numeric = requires {
  typename T::code;
  { T::bits } -> std::convertible_to<int>;
  { T::is_integer } -> std::convertible_to<bool>;
  { T::is_signed } -> std::convertible_to<bool>;
  { T::name } -> std::convertible_to<std::string_view>;
  requires T::bits >= 8 || has_packing_order<T>;
};

/// A numeric type whose codes are the integers from min_code to max_code.
template <class T>
concept integer_numeric = numeric<T> && T::is_integer && std::integral<typename T::code> && requires {
  { T::min_code } -> std::convertible_to<std::int32_t>;
  { T::max_code } -> std::convertible_to<std::int32_t>;
};

/// Whether an integer is a code of N: all from min_code to max_code are, unless N has a say (`has_code`).
template <integer_numeric N>
constexpr bool is_code(std::int32_t value) {
  if constexpr (requires { N::has_code(value); })
    return N::has_code(value);
  else
    return value >= N::min_code && value <= N::max_code;
}

/// Whether N can store a pruned weight: 0 is one of its codes.
template <numeric N>
inline constexpr bool has_zero_v = [] {
  if constexpr (integer_numeric<N>)
    return is_code<N>(0);
  else
    return true;
}();

namespace detail {
template <class N, bool HoldsEveryWeight>
struct packed_numeric {
  using type = N;
};
template <class N, bool HoldsEveryWeight>
  requires requires { typename N::packed; }
struct packed_numeric<N, HoldsEveryWeight> {
  using type = typename N::packed;
};
template <class N>
  requires requires { typename N::packed_with_zeros; }
struct packed_numeric<N, false> {
  using type = typename N::packed_with_zeros;
};
}  // namespace detail

/// The numeric type whose codes the packed form holds for weights of N: N itself, or what N names, `packed` or
/// `packed_with_zeros`. So a type may be small in files and plain in kernels, and needs no kernel of its own. All codes
/// of N are codes of the other type.
/// - `HoldsEveryWeight`: the packed form has no slots that N's codes do not fill, and needs no code for 0
template <numeric N, bool HoldsEveryWeight = false>
using packed_numeric_t = typename detail::packed_numeric<N, HoldsEveryWeight>::type;

namespace detail {
template <class T>
struct numeric_of;
template <>
struct numeric_of<std::int8_t> {
  using type = s8;
};
template <>
struct numeric_of<std::uint8_t> {
  using type = u8;
};
template <>
struct numeric_of<std::int16_t> {
  using type = s16;
};
template <>
struct numeric_of<std::int32_t> {
  using type = s32;
};
template <>
struct numeric_of<float> {
  using type = f32;
};
template <>
struct numeric_of<brain_float> {
  using type = bf16;
};
template <>
struct numeric_of<half_float> {
  using type = f16;
};
}  // namespace detail

/// The numeric type of plain arrays of T: int8_t -> s8, uint8_t -> u8, int16_t -> s16, int32_t -> s32,
/// float -> f32, brain_float -> bf16, half_float -> f16.
template <class T>
using numeric_of_t = typename detail::numeric_of<T>::type;

}  // namespace sparq

// ==== sparq/numeric/quantization.hpp ====
// What real number a code means. Weights are symmetric, w = scale * code, with one scale per tensor, per output channel
// or per group of k; pruned weights are real zeros because code 0 is. Activations are asymmetric,
// x = scale * (code - zero_point), with one pair per tensor.
//
// Rounding is to nearest, ties to even, and scales divide (no multiplication by a reciprocal): as ONNX QuantizeLinear.
// All arithmetic is IEEE binary32 in the default rounding mode.

// ==== sparq/numeric/number_text.hpp ====
// How a message writes a real number: short, and the same for NaN and infinity on every platform.

#include <cfloat>
#include <cstdio>
#include <string>

namespace sparq {

/// Neither NaN nor infinite.
constexpr bool is_finite(double value) { return value >= -DBL_MAX && value <= DBL_MAX; }

/// Up to nine digits (enough to tell two floats apart), or "nan", "inf", "-inf".
inline std::string number_text(double value) {
  if (!is_finite(value)) return value > 0 ? "inf" : value < 0 ? "-inf" : "nan";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

}  // namespace sparq

// ==== sparq/numeric/rounding.hpp ====
// From real numbers and wide integers to int32. Each of these has one result, whatever the current rounding mode, and
// works in constant expressions; the hardware's own conversions promise neither.

#include <bit>
#include <cstdint>

namespace sparq {

/// The nearest int32; values beyond it become the nearest end.
constexpr std::int32_t saturate_to_int32(std::int64_t value) {
  if (value < INT32_MIN) return INT32_MIN;
  if (value > INT32_MAX) return INT32_MAX;
  return static_cast<std::int32_t>(value);
}

/// The nearest integer, ties to the even one. @pre |value| < 2^23
constexpr std::int32_t round_half_even_in_range(float value) {
  const auto whole = static_cast<std::int32_t>(value);  // towards zero
  // Compared with whole +- 0.5, which is exact in this range; nothing is added to `value` itself.
  // Where it is a product, gcc with -mfma fuses such an addition into it (2^23 and back, for instance), and half of the
  // ties come out wrong.
  const float above = static_cast<float>(whole) + 0.5f;
  const float below = static_cast<float>(whole) - 0.5f;
  const std::int32_t odd = whole & 1;
  const std::int32_t up = static_cast<std::int32_t>(value > above) | (odd & static_cast<std::int32_t>(value == above));
  const std::int32_t down = static_cast<std::int32_t>(value < below) | (odd & static_cast<std::int32_t>(value == below));
  return whole + up - down;
}

/// The nearest integer, ties to the even one. Values beyond int32 become the nearest end, NaN becomes 0.
constexpr std::int32_t round_half_even(float value) {
  if (value != value) return 0;
  if (value >= 2147483648.0f) return INT32_MAX;
  if (value <= -2147483648.0f) return INT32_MIN;
  if (value >= 8388608.0f || value <= -8388608.0f) return static_cast<std::int32_t>(value);  // has no fraction
  return round_half_even_in_range(value);
}

/// Without the fraction, saturated; NaN becomes 0.
constexpr std::int32_t round_toward_zero(float value) {
  if (value != value) return 0;
  if (value >= 2147483648.0f) return INT32_MAX;
  if (value <= -2147483648.0f) return INT32_MIN;
  return static_cast<std::int32_t>(value);
}

/// The nearest integer, ties away from zero, as C's round(); saturated, NaN becomes 0.
constexpr std::int32_t round_half_away(float value) {
  const std::int32_t whole = round_toward_zero(value);
  if (value >= 8388608.0f || value <= -8388608.0f || value != value) return whole;  // has no fraction
  const auto exact = static_cast<float>(whole);  // bounds are exact, and nothing is added to `value` itself
  return whole + static_cast<std::int32_t>(value >= exact + 0.5f) - static_cast<std::int32_t>(value <= exact - 0.5f);
}

/// The largest integer that is not above, saturated; NaN becomes 0.
constexpr std::int32_t round_down(float value) {
  const std::int32_t whole = round_toward_zero(value);
  if (value >= 8388608.0f || value <= -8388608.0f || value != value) return whole;
  return whole - static_cast<std::int32_t>(value < static_cast<float>(whole));
}

/// The smallest integer that is not below, saturated; NaN becomes 0.
constexpr std::int32_t round_up_to_integer(float value) {
  const std::int32_t whole = round_toward_zero(value);
  if (value >= 8388608.0f || value <= -8388608.0f || value != value) return whole;
  return whole + static_cast<std::int32_t>(value > static_cast<float>(whole));
}

/// The nearest integer, ties to even. @pre |value| < 2^51
constexpr std::int64_t round_half_even_in_range(double value) {
  const auto whole = static_cast<std::int64_t>(value);  // towards zero
  const double above = static_cast<double>(whole) + 0.5, below = static_cast<double>(whole) - 0.5;
  const bool is_odd = whole % 2 != 0;
  return whole + (value > above || (is_odd && value == above) ? 1 : 0) - (value < below || (is_odd && value == below) ? 1 : 0);
}

/// The nearest integer, ties away from zero. @pre |value| < 2^51
constexpr std::int64_t round_half_away_in_range(double value) {
  const auto whole = static_cast<std::int64_t>(value);
  return whole + (value >= static_cast<double>(whole) + 0.5 ? 1 : 0) - (value <= static_cast<double>(whole) - 0.5 ? 1 : 0);
}

/// 2^exponent. @pre -1022 <= exponent <= 1023
constexpr double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

/// The least e with value <= 2^e. @pre value is positive; subnormal numbers give -1022, infinity 1024
constexpr int ceil_log2(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const int exponent = static_cast<int>(bits >> 52) - 1023;
  return exponent < -1022 ? -1022 : exponent + ((bits & ((std::uint64_t{1} << 52) - 1)) != 0 ? 1 : 0);
}

/// How a float becomes an integer, as a type.
namespace rounding {
struct nearest_even {
  static constexpr std::int32_t apply(float value) { return round_half_even(value); }
};
struct nearest_away {
  static constexpr std::int32_t apply(float value) { return round_half_away(value); }
};
struct down {
  static constexpr std::int32_t apply(float value) { return round_down(value); }
};
struct up {
  static constexpr std::int32_t apply(float value) { return round_up_to_integer(value); }
};
struct toward_zero {
  static constexpr std::int32_t apply(float value) { return round_toward_zero(value); }
};
}  // namespace rounding

}  // namespace sparq

#include <array>
#include <bit>
#include <cfloat>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sparq {

namespace detail {
template <std::size_t G>
struct per_group_name;
template <std::size_t R, std::size_t G>
struct per_block_name;
constexpr float scale_for(float range, std::int32_t steps);
inline float largest_magnitude(std::span<const float> values);
}  // namespace detail

// ---- granularities: which weights share a scale ---------------------------------------------------------------------

/// Codes are the real numbers; there are no scales.
struct unquantized {
  static constexpr std::string_view name = "unquantized";
  static constexpr std::size_t scale_count(std::size_t, std::size_t) { return 0; }
  /// Never used to read a scale: scale_count is 0.
  static constexpr std::size_t scale_index(std::size_t, std::size_t, std::size_t) { return 0; }
  static constexpr std::size_t scale_run(std::size_t k) { return k; }
};

/// One scale for all weights.
struct per_tensor {
  static constexpr std::string_view name = "per_tensor";
  static constexpr std::size_t scale_count(std::size_t, std::size_t) { return 1; }
  static constexpr std::size_t scale_index(std::size_t, std::size_t, std::size_t) { return 0; }
  static constexpr std::size_t scale_run(std::size_t k) { return k; }
};

/// One scale for each output channel.
struct per_channel {
  static constexpr std::string_view name = "per_channel";
  static constexpr std::size_t scale_count(std::size_t n, std::size_t) { return n; }
  static constexpr std::size_t scale_index(std::size_t channel, std::size_t, std::size_t) { return channel; }
  static constexpr std::size_t scale_run(std::size_t k) { return k; }
};

/// One scale for every G consecutive k of a channel; the last group of a channel may be short.
/// Scales are laid out [n][ceil(k / G)].
template <std::size_t G>
struct per_group {
  static_assert(G > 0, "sparq: a group holds at least one k; use per_group<1> or more");
  static constexpr std::size_t group = G;
  static constexpr std::string_view name = detail::per_group_name<G>::text;
  static constexpr std::size_t scale_count(std::size_t n, std::size_t k) { return n * ceil_div(k, G); }
  static constexpr std::size_t scale_index(std::size_t channel, std::size_t k_index, std::size_t k_extent) {
    return channel * ceil_div(k_extent, G) + k_index / G;
  }
  static constexpr std::size_t scale_run(std::size_t) { return G; }
};

/// One scale for every R channels x G consecutive k's; the last block in each direction may be short. Blocks over the
/// whole of k are per_channel and per_tensor.
/// Scales are laid out [ceil(n / R)][ceil(k / G)].
template <std::size_t R, std::size_t G>
struct per_block {
  static_assert(R > 0 && G > 0, "sparq: a block holds at least one channel and one k; use per_block<1, 32> or more");
  static constexpr std::size_t group = G;
  static constexpr std::string_view name = detail::per_block_name<R, G>::text;
  static constexpr std::size_t scale_count(std::size_t n, std::size_t k) { return ceil_div(n, R) * ceil_div(k, G); }
  static constexpr std::size_t scale_index(std::size_t channel, std::size_t k_index, std::size_t k_extent) {
    return channel / R * ceil_div(k_extent, G) + k_index / G;
  }
  static constexpr std::size_t scale_run(std::size_t) { return G; }
};

/// Says how many scales W[n][k] has and which one a weight uses.
template <class T>
concept quantization_granularity = requires(std::size_t i) {
  { T::name } -> std::convertible_to<std::string_view>;
  { T::scale_count(i, i) } -> std::same_as<std::size_t>;
  { T::scale_index(i, i, i) } -> std::same_as<std::size_t>;
  { T::scale_run(i) } -> std::same_as<std::size_t>;  // consecutive k's that share a scale, of all k's
};

/// Scales change along k, every `group` k's: sums must be scaled group by group, inside the kernel.
template <quantization_granularity Granularity>
inline constexpr bool scales_along_k_v = requires { Granularity::group; };

// ---- weights --------------------------------------------------------------------------------------------------------

/// A numeric type that symmetric weights can use: with every code but the lowest, -w has a code too.
template <class T>
concept weight_numeric = integer_numeric<T> && T::is_signed && T::bits <= 8 && (T::max_code > 0);

/// scale * code.
template <weight_numeric N>
constexpr float dequantize_code(typename N::code code, float scale) {
  return static_cast<float>(code) * scale;
}

/// value / scale clamped to [-max_code, max_code] and rounded half to even, or to the nearest code in N's own way
/// (binary, pow2). @pre value is not NaN, scale > 0
template <weight_numeric N>
constexpr typename N::code quantize_code(float value, float scale) {
  constexpr auto limit = static_cast<float>(N::max_code);
  const float steps = value / scale;  // clamped first: the bounds are integers, rounding cannot cross them
  const float clamped = steps < -limit ? -limit : steps > limit ? limit : steps;
  if constexpr (requires { N::nearest(clamped); })
    return N::nearest(clamped);
  else
    return static_cast<typename N::code>(round_half_even_in_range(clamped));
}

/// The scales that map the largest magnitude of every group of weights to max_code: amax / max_code, or 1 where all
/// weights are zero; at least FLT_MIN, the smallest normal float.
/// `weights`: n x k, row-major; `scales`: scale_count(n, k), undefined after a failure.
/// Fails on wrong sizes and on the first NaN or infinite weight. O(n k).
template <weight_numeric N, quantization_granularity Granularity>
status choose_scales(std::span<const float> weights, std::size_t n, std::size_t k, std::span<float> scales) {
  static_assert(!std::same_as<Granularity, unquantized>,
                "sparq: an unquantized tensor has no scales to choose; use per_tensor, per_channel or per_group<G>");
  if (weights.size() != n * k)
    return status::failure("choose_scales: " + std::to_string(weights.size()) + " weights for a matrix of " +
                           std::to_string(n) + " x " + std::to_string(k));
  if (scales.size() != Granularity::scale_count(n, k))
    return status::failure("choose_scales: room for " + std::to_string(scales.size()) + " scales; " +
                           std::string(Granularity::name) + " needs " + std::to_string(Granularity::scale_count(n, k)) +
                           " for a matrix of " + std::to_string(n) + " x " + std::to_string(k));
  for (float& scale : scales) scale = 0.0f;
  const std::size_t run = Granularity::scale_run(k);
  for (std::size_t channel = 0; channel < n; ++channel)
    for (std::size_t i = 0; i < k; i += run) {
      const std::span<const float> part = weights.subspan(channel * k + i, run < k - i ? run : k - i);
      const float largest = detail::largest_magnitude(part);
      if (!is_finite(largest)) {
        std::size_t bad = 0;
        while (is_finite(part[bad])) ++bad;
        return status::failure("choose_scales: weight [n=" + std::to_string(channel) + "][k=" +
                               std::to_string(i + bad) + "] is " + number_text(part[bad]));
      }
      float& scale = scales[Granularity::scale_index(channel, i, k)];
      if (largest > scale) scale = largest;
    }
  for (float& scale : scales) scale = detail::scale_for(scale, N::max_code);
  return {};
}

/// The scales of types that have no code between 0 and their largest: mean |w| of the weights that share one and that
/// `keep` keeps (not 0); 1 where that is 0 or none are kept, at least FLT_MIN. Added up in double, in order.
/// Sizes, errors and complexity as choose_scales; `keep` is n x k.
template <quantization_granularity Granularity>
status choose_mean_scales(std::span<const float> weights, std::span<const std::uint8_t> keep, std::size_t n,
                          std::size_t k, std::span<float> scales) {
  SPARQ_ASSERT(weights.size() == n * k && keep.size() == n * k && scales.size() == Granularity::scale_count(n, k));
  std::vector<double> sums(scales.size());
  std::vector<std::size_t> counts(scales.size());
  for (std::size_t channel = 0; channel < n; ++channel)
    for (std::size_t i = 0; i < k; ++i) {
      const float weight = weights[channel * k + i];
      if (!is_finite(weight))
        return status::failure("choose_scales: weight [n=" + std::to_string(channel) + "][k=" + std::to_string(i) +
                               "] is " + number_text(weight));
      if (keep[channel * k + i] == 0) continue;
      const std::size_t scale = Granularity::scale_index(channel, i, k);
      sums[scale] += weight < 0 ? -static_cast<double>(weight) : static_cast<double>(weight);
      ++counts[scale];
    }
  for (std::size_t i = 0; i < scales.size(); ++i)
    scales[i] = detail::scale_for(counts[i] == 0 ? 0.0F : static_cast<float>(sums[i] / static_cast<double>(counts[i])), 1);
  return {};
}

/// `quantize_code` of every weight that `keep` keeps (not 0), and 0 for the others.
/// `weights`, `keep`, `codes`: n x k, row-major; `scales`: scale_count(n, k). @pre as quantize_code. O(n k).
template <weight_numeric N, quantization_granularity Granularity>
void quantize_weights(std::span<const float> weights, std::span<const std::uint8_t> keep, std::size_t n, std::size_t k,
                      std::span<const float> scales, std::span<typename N::code> codes) {
  SPARQ_ASSERT(weights.size() == n * k && keep.size() == n * k && codes.size() == n * k);
  const std::size_t run = Granularity::scale_run(k);
  for (std::size_t channel = 0; channel < n; ++channel)
    for (std::size_t i = 0; i < k; i += run) {
      const float scale = scales[Granularity::scale_index(channel, i, k)];
      const std::size_t first = channel * k + i;
      const std::size_t end = first + (run < k - i ? run : k - i);
      for (std::size_t at = first; at < end; ++at) {
        const int kept = -static_cast<int>(keep[at] != 0);  // no branch: a random mask cannot be predicted
        codes[at] = static_cast<typename N::code>(quantize_code<N>(weights[at], scale) & kept);
      }
    }
}

// ---- activations ----------------------------------------------------------------------------------------------------

/// x = scale * (code - zero_point).
struct activation_quantization {
  float scale = 1.0f;
  std::int32_t zero_point = 0;
  friend constexpr bool operator==(const activation_quantization&, const activation_quantization&) = default;
};

/// A numeric type that activations can use.
template <class T>
concept activation_numeric = integer_numeric<T> && T::bits <= 8;

/// Fails unless the scale is positive and finite and the zero point is a code of N.
template <activation_numeric N>
status validate(const activation_quantization& q) {
  if (!(q.scale > 0.0f && is_finite(q.scale)))
    return status::failure("activation_quantization: scale " + number_text(q.scale) + " is not positive and finite");
  if (q.zero_point < N::min_code || q.zero_point > N::max_code)
    return status::failure("activation_quantization: zero point " + std::to_string(q.zero_point) + " is no code of " +
                           std::string(N::name));
  return {};
}

/// The quantization that covers [min, max] and 0; 0 is exactly a code.
/// scale = (max(0, max) - min(0, min)) / (codes - 1), zero_point = round(min_code - min(0, min) / scale): ONNX
/// DynamicQuantizeLinear. An empty range gets scale 1; a scale is at least FLT_MIN.
/// Fails when min or max is NaN or infinite, when min > max, and when max - min overflows.
template <activation_numeric N>
expected<activation_quantization> choose_activation_quantization(float min, float max) {
  if (!is_finite(min)) return status::failure("choose_activation_quantization: min is " + number_text(min));
  if (!is_finite(max)) return status::failure("choose_activation_quantization: max is " + number_text(max));
  if (min > max)
    return status::failure("choose_activation_quantization: min " + number_text(min) + " exceeds max " +
                           number_text(max));
  const float low = min < 0 ? min : 0.0f;
  const float high = max > 0 ? max : 0.0f;
  if (!is_finite(high - low))
    return status::failure("choose_activation_quantization: the range from " + number_text(min) + " to " +
                           number_text(max) + " overflows a float");
  const float scale = detail::scale_for(high - low, N::max_code - N::min_code);
  // -low is at most the range, so the quotient is at most codes - 1 and a rounding error: always a code.
  return activation_quantization{scale, round_half_even(static_cast<float>(N::min_code) - low / scale)};
}

/// saturate(round(value / scale) + zero_point); NaN gives the zero point. @pre validate<N>(q)
template <activation_numeric N>
constexpr typename N::code quantize_activation(float value, activation_quantization q) {
  const std::int64_t code = std::int64_t{round_half_even(value / q.scale)} + q.zero_point;
  return static_cast<typename N::code>(code < N::min_code ? N::min_code : code > N::max_code ? N::max_code : code);
}

/// scale * (code - zero_point).
template <activation_numeric N>
constexpr float dequantize_activation(typename N::code code, activation_quantization q) {
  return static_cast<float>(code - q.zero_point) * q.scale;
}

/// `quantize_activation` of every value. @pre codes.size() == values.size()
template <activation_numeric N>
constexpr void quantize_activations(std::span<const float> values, activation_quantization q,
                                    std::span<typename N::code> codes) {
  SPARQ_ASSERT(codes.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i) codes[i] = quantize_activation<N>(values[i], q);
}

/// `dequantize_activation` of every code. @pre values.size() == codes.size()
template <activation_numeric N>
constexpr void dequantize_activations(std::span<const typename N::code> codes, activation_quantization q,
                                      std::span<float> values) {
  SPARQ_ASSERT(values.size() == codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) values[i] = dequantize_activation<N>(codes[i], q);
}

namespace detail {

/// Prefix, numbers and '>' as one constant text.
template <std::size_t... Numbers>
struct numbered_name {
  static constexpr auto make(std::string_view prefix) {
    std::array<char, 64> result{};
    std::size_t at = 0;
    for (const char c : prefix) result[at++] = c;
    const auto append = [&](std::size_t number) {
      std::size_t end = at;
      for (std::size_t rest = number; end == at || rest != 0; rest /= 10) ++end;
      for (std::size_t i = end; i > at; --i, number /= 10) result[i - 1] = static_cast<char>('0' + number % 10);
      at = end;
      result[at++] = ',';
    };
    (append(Numbers), ...);
    result[at - 1] = '>';
    return result;
  }
  static constexpr std::size_t length(const std::array<char, 64>& text) {
    std::size_t at = 0;
    while (text[at] != '\0') ++at;
    return at;
  }
};

/// "per_group<G>" as a constant.
template <std::size_t G>
struct per_group_name {
  static constexpr auto characters = numbered_name<G>::make("per_group<");
  static constexpr std::string_view text{characters.data(), numbered_name<G>::length(characters)};
};
template <std::size_t R, std::size_t G>
struct per_block_name {
  static constexpr auto characters = numbered_name<R, G>::make("per_block<");
  static constexpr std::string_view text{characters.data(), numbered_name<R, G>::length(characters)};
};

/// max |values|; infinite or NaN if any value is. Compared as integers, which order magnitudes like the floats do.
inline float largest_magnitude(std::span<const float> values) {
  std::uint32_t largest = 0;
  for (const float value : values) {
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(value) & 0x7FFFFFFFU;
    largest = magnitude > largest ? magnitude : largest;
  }
  return std::bit_cast<float>(largest);
}

/// range / steps; 1 where the range is empty, and never subnormal, so that dividing by it is safe under flush-to-zero.
constexpr float scale_for(float range, std::int32_t steps) {
  if (range == 0.0f) return 1.0f;
  const float scale = range / static_cast<float>(steps);
  return scale < FLT_MIN ? FLT_MIN : scale;
}

}  // namespace detail
}  // namespace sparq

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {

/// One table for every `B` consecutive weights of the matrix, rows one after the other: a bucket may begin in one output
/// channel and end in the next, and the last may be short (PocketFlow's bucket type "split" has B = 256). Only dense
/// tensors keep all weights in that order. Use per_channel for one table for each output channel.
template <std::size_t B>
struct per_bucket {
  static_assert(B > 0, "sparq: a bucket holds at least one weight; use per_bucket<256>");
  static constexpr std::size_t bucket = B;
  static constexpr std::size_t scale_count(std::size_t n, std::size_t k) { return ceil_div(n * k, B); }
  static constexpr std::size_t scale_index(std::size_t channel, std::size_t k_index, std::size_t k_extent) {
    return (channel * k_extent + k_index) / B;
  }
  static constexpr std::string_view name = B == 256 ? "per_bucket<256>" : "per_bucket";
};

/// Says how many tables W[n][k] has and which one a weight uses.
template <class T>
concept table_granularity = requires(std::size_t i) {
  { T::name } -> std::convertible_to<std::string_view>;
  { T::scale_count(i, i) } -> std::same_as<std::size_t>;
  { T::scale_index(i, i, i) } -> std::same_as<std::size_t>;
};

namespace detail {

/// "codebook<Bits,entry,table>" as a constant.
template <int Bits, class Entry, class Table>
struct codebook_name {
  static constexpr std::size_t size = 13 + Entry::name.size() + Table::name.size();
  static constexpr auto characters = [] {
    std::array<char, size> result{};
    std::size_t at = 0;
    const auto append = [&](std::string_view text) {
      for (const char c : text) result[at++] = c;
    };
    append("codebook<");
    result[at++] = static_cast<char>('0' + Bits);
    append(",");
    append(Entry::name);
    append(",");
    append(Table::name);
    append(">");
    return result;
  }();
  static constexpr std::string_view text{characters.data(), characters.size()};
};

}  // namespace detail

/// Codes of `Bits` bits that choose one of 2^Bits entries.
/// - `Entry`: s8 for products with bytes, exact; f32 for products with floats
/// - `Table`: which weights share a table: `per_tensor`, `per_channel` or `per_bucket<B>`
/// Tables lie one after the other, entries in the order of their codes.
template <int Bits, numeric Entry = s8, table_granularity Table = per_tensor>
struct codebook {
  static_assert(Bits >= 1 && Bits <= 8, "sparq: codes of a codebook have 1 to 8 bits; use s8 or f32 for more");
  static_assert(std::is_same_v<Entry, s8> || std::is_same_v<Entry, f32>,
                "sparq: entries of a codebook are s8 or f32; use s8 with a scale for other integers");
  using code = std::uint8_t;
  using entry = Entry;
  using table = Table;
  static constexpr int bits = Bits;
  static constexpr bool is_integer = Entry::is_integer;  // what is multiplied
  static constexpr bool is_signed = false;
  static constexpr packing_order order = packing_order::low_first;
  static constexpr std::size_t entries = std::size_t{1} << Bits;
  static constexpr std::string_view name = detail::codebook_name<Bits, Entry, Table>::text;
};

/// A numeric type whose codes are places in tables.
template <class T>
concept has_tables = numeric<T> && requires {
  typename T::entry;
  typename T::table;
  { T::entries } -> std::convertible_to<std::size_t>;
};

namespace detail {
template <class N>
struct entry_of {
  using type = N;
};
template <has_tables N>
struct entry_of<N> {
  using type = typename N::entry;
};
}  // namespace detail

/// The numeric type that is multiplied: that of the entries for a codebook, N itself for all others.
template <numeric N>
using entry_t = typename detail::entry_of<N>::type;

/// Entries of all tables together. @pre n, k < 2^32
template <has_tables N>
constexpr std::size_t table_entries(std::size_t n, std::size_t k) {
  return N::table::scale_count(n, k) * N::entries;
}
/// Where the table of a weight starts.
template <has_tables N>
constexpr std::size_t table_start(std::size_t channel, std::size_t k_index, std::size_t k_extent) {
  return N::table::scale_index(channel, k_index, k_extent) * N::entries;
}

/// The first code whose entry is 0; `N::entries` if there is none.
template <has_tables N>
constexpr std::size_t zero_code(const typename N::entry::code* table) {
  std::size_t code = 0;
  while (code < N::entries && table[code] != 0) ++code;
  return code;
}

// ---- number formats of 16 values as tables, entries in the order of their codes -------------------------------------

/// The values of float4 e2m1, doubled so that they are integers: half of the scale makes up for it. MXFP4 and NVFP4 use
/// them, with a scale for each 32 or 16 weights. Source: ggml, kvalues_mxfp4 in src/ggml-common.h; OCP Microscaling
/// Formats 1.0, 5.3.3.
inline constexpr std::array<std::int8_t, 16> e2m1_doubled = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// NormalFloat4: quantiles of a normal distribution, largest magnitude 1. Source: Dettmers et al., QLoRA (2023), appendix E.
inline constexpr std::array<float, 16> nf4 = {
    -1.0F,  -0.6961928009986877F, -0.5250730514526367F, -0.39491748809814453F, -0.28444138169288635F, -0.18477343022823334F,
    -0.09105003625154495F, 0.0F, 0.07958029955625534F, 0.16093020141124725F, 0.24611230194568634F, 0.33791524171829224F,
    0.44070982933044434F, 0.5626170039176941F, 0.7229568362236023F, 1.0F};

/// The 4-bit float of bitsandbytes (sign, then three bits), largest magnitude 1. Source: bitsandbytes, dDequantizeFP4Tree.
inline constexpr std::array<float, 16> fp4_bitsandbytes = {
    0.0F,  5.208333333e-03F,  0.66666667F,  1.0F,  0.33333333F,  0.5F,  0.16666667F,  0.25F,
    -0.0F, -5.208333333e-03F, -0.66666667F, -1.0F, -0.33333333F, -0.5F, -0.16666667F, -0.25F};

}  // namespace sparq

// ==== sparq/numeric/codec.hpp ====
// How codes sit in bytes: one contiguous stream, codes of fewer than 8 bits share bytes and rows are not padded.
//
//   s4             codes [1 2 3]   bytes 0x21 0x03   element 2i in the low nibble
//   s4_high_first  codes [1 2 3]   bytes 0x12 0x30   element 2i in the high nibble
//   s3             codes [1 2 3]   bytes 0xD1 0x00   code i at bit 3i, and so for 5, 6 and 7 bits
//
// The bits behind the last code are zero. Codes of several bytes are little-endian.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sparq {

static_assert(std::endian::native == std::endian::little,
              "sparq: packed codes are little-endian; big-endian machines are not supported");

namespace detail {

/// The low N::bits bits that stand for a code, and back.
template <numeric N>
constexpr unsigned bits_of(typename N::code value) {
  if constexpr (requires { N::to_bits(value); })
    return N::to_bits(value);
  else
    return static_cast<unsigned>(value) & ((1U << N::bits) - 1U);
}
template <numeric N>
constexpr typename N::code code_of(unsigned bits) {
  if constexpr (requires { N::from_bits(bits); }) {
    return N::from_bits(bits);
  } else {
    constexpr int sign = N::is_signed ? 1 << (N::bits - 1) : 0;
    return static_cast<typename N::code>((static_cast<int>(bits) ^ sign) - sign);
  }
}

/// Codes that share a byte evenly: 1, 2 or 4 bits.
template <numeric N>
struct bit_field {
  static constexpr std::size_t per_byte = 8 / N::bits;
  static constexpr unsigned mask = (1u << N::bits) - 1u;

  static constexpr unsigned shift(std::size_t i) {
    const std::size_t place = N::order == packing_order::low_first ? i % per_byte : per_byte - 1 - i % per_byte;
    return static_cast<unsigned>(place) * N::bits;
  }
  static constexpr unsigned encode(typename N::code value, std::size_t i) { return bits_of<N>(value) << shift(i); }
  static constexpr typename N::code decode(std::byte byte, std::size_t i) {
    return code_of<N>((std::to_integer<unsigned>(byte) >> shift(i)) & mask);
  }
  static constexpr typename N::code load(const std::byte* data, std::size_t i) { return decode(data[i / per_byte], i); }
  static constexpr void store(std::byte* data, std::size_t i, typename N::code value) {
    std::byte& byte = data[i / per_byte];
    const unsigned others = std::to_integer<unsigned>(byte) & ~(mask << shift(i));
    byte = static_cast<std::byte>(others | encode(value, i));
  }
};

/// Codes of 3, 5, 6 or 7 bits: code i starts at bit i * bits of the stream and may end in the next byte.
template <numeric N>
struct straddling_field {
  static_assert(N::order == packing_order::low_first,
                "sparq: codes share bytes evenly or start at the low bits; use 1, 2 or 4 bits, or low_first");
  static constexpr unsigned mask = (1u << N::bits) - 1u;

  static constexpr typename N::code load(const std::byte* data, std::size_t i) {
    const std::size_t bit = i * N::bits;
    unsigned word = std::to_integer<unsigned>(data[bit / 8]);
    if (bit % 8 + N::bits > 8) word |= std::to_integer<unsigned>(data[bit / 8 + 1]) << 8;
    return code_of<N>(word >> (bit % 8) & mask);
  }
  static constexpr void store(std::byte* data, std::size_t i, typename N::code value) {
    const std::size_t bit = i * N::bits;
    const unsigned bits = bits_of<N>(value) << (bit % 8), others = ~(mask << (bit % 8));
    const auto replace = [](std::byte& byte, unsigned keep, unsigned add) {
      byte = static_cast<std::byte>((std::to_integer<unsigned>(byte) & keep) | add);
    };
    replace(data[bit / 8], others, bits & 0xffU);
    if (bit % 8 + N::bits > 8) replace(data[bit / 8 + 1], others >> 8, bits >> 8);
  }
};

/// Codes that share a byte in a way of their own: N says how many, and reads and writes the byte.
template <class N>
concept byte_of_codes = requires(std::uint8_t byte, std::size_t at, typename N::code value) {
  { N::codes_per_byte } -> std::convertible_to<std::size_t>;
  { N::load(byte, at) } -> std::same_as<typename N::code>;
  { N::store(byte, at, value) } -> std::same_as<std::uint8_t>;
};
template <numeric N>
struct own_field {
  static constexpr typename N::code load(const std::byte* data, std::size_t i) {
    return N::load(std::to_integer<std::uint8_t>(data[i / N::codes_per_byte]), i % N::codes_per_byte);
  }
  static constexpr void store(std::byte* data, std::size_t i, typename N::code value) {
    std::byte& byte = data[i / N::codes_per_byte];
    byte = std::byte{N::store(std::to_integer<std::uint8_t>(byte), i % N::codes_per_byte, value)};
  }
};

/// Whether whole bytes can be made of codes without looking at their neighbours.
template <numeric N>
inline constexpr bool fills_bytes_v = 8 % N::bits == 0 && !byte_of_codes<N>;

template <numeric N>
using field_of = std::conditional_t<byte_of_codes<N>, own_field<N>,
                                    std::conditional_t<fills_bytes_v<N>, bit_field<N>, straddling_field<N>>>;

template <numeric N>
inline constexpr bool shares_bytes_v = N::bits < 8;

template <numeric N>
constexpr void check_whole_bytes() {
  static_assert(sizeof(typename N::code) * 8 == N::bits,
                "sparq: a code of 8 bits or more must fill its C++ type; make bits 8 * sizeof(code)");
}

}  // namespace detail

/// Bytes that `count` codes take: ceil(count * bits / 8), or whole bytes of N's own codes_per_byte.
/// @pre count * bits fits in std::size_t
template <numeric N>
constexpr std::size_t storage_bytes(std::size_t count) {
  if constexpr (detail::byte_of_codes<N>) return ceil_div(count, N::codes_per_byte);
  return ceil_div(count * static_cast<std::size_t>(N::bits), 8);
}

/// Code `i` of a stream. @pre storage_bytes<N>(i + 1) bytes are readable
template <numeric N>
constexpr typename N::code load_code(const std::byte* data, std::size_t i) {
  if constexpr (detail::shares_bytes_v<N>) {
    return detail::field_of<N>::load(data, i);
  } else if constexpr (N::bits == 8) {
    return static_cast<typename N::code>(data[i]);
  } else {
    detail::check_whole_bytes<N>();
    typename N::code value;
    std::memcpy(&value, data + i * sizeof value, sizeof value);
    return value;
  }
}

/// Replaces code `i` of a stream and leaves its neighbours in the same byte untouched.
/// @pre storage_bytes<N>(i + 1) bytes are writable; `value` is a code of N (only its low bits are stored)
template <numeric N>
constexpr void store_code(std::byte* data, std::size_t i, typename N::code value) {
  if constexpr (detail::shares_bytes_v<N>) {
    detail::field_of<N>::store(data, i, value);
  } else if constexpr (N::bits == 8) {
    data[i] = static_cast<std::byte>(value);
  } else {
    detail::check_whole_bytes<N>();
    std::memcpy(data + i * sizeof value, &value, sizeof value);
  }
}

/// Writes all `storage_bytes<N>(codes.size())` bytes of a stream.
/// @pre `out` does not overlap `codes`; every value is a code of N (only its low bits are stored). O(count).
template <numeric N>
void pack_codes(std::span<const typename N::code> codes, std::byte* out) {
  if (codes.empty()) return;
  if constexpr (detail::shares_bytes_v<N> && !detail::fills_bytes_v<N>) {
    std::memset(out, 0, storage_bytes<N>(codes.size()));
    for (std::size_t i = 0; i < codes.size(); ++i) detail::field_of<N>::store(out, i, codes[i]);
  } else if constexpr (detail::shares_bytes_v<N>) {
    using field = detail::bit_field<N>;
    const std::size_t whole = codes.size() / field::per_byte;
    const typename N::code* in = codes.data();
    for (std::size_t b = 0; b < whole; ++b, in += field::per_byte) {
      unsigned byte = 0;
      for (std::size_t i = 0; i < field::per_byte; ++i) byte |= field::encode(in[i], i);
      out[b] = static_cast<std::byte>(byte);
    }
    if (const std::size_t rest = codes.size() % field::per_byte; rest != 0) {
      unsigned byte = 0;
      for (std::size_t i = 0; i < rest; ++i) byte |= field::encode(in[i], i);
      out[whole] = static_cast<std::byte>(byte);
    }
  } else {
    detail::check_whole_bytes<N>();
    std::memcpy(out, codes.data(), codes.size_bytes());
  }
}

/// Reads the first `out.size()` codes of a stream. @pre `out` does not overlap `data`. O(count).
template <numeric N>
void unpack_codes(const std::byte* data, std::span<typename N::code> out) {
  if (out.empty()) return;
  if constexpr (detail::shares_bytes_v<N> && !detail::fills_bytes_v<N>) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = detail::field_of<N>::load(data, i);
  } else if constexpr (detail::shares_bytes_v<N>) {
    using field = detail::bit_field<N>;
    const std::size_t whole = out.size() / field::per_byte;
    typename N::code* to = out.data();
    for (std::size_t b = 0; b < whole; ++b, to += field::per_byte)
      for (std::size_t i = 0; i < field::per_byte; ++i) to[i] = field::decode(data[b], i);
    for (std::size_t i = 0; i < out.size() % field::per_byte; ++i) to[i] = field::decode(data[whole], i);
  } else {
    detail::check_whole_bytes<N>();
    std::memcpy(out.data(), data, out.size_bytes());
  }
}

}  // namespace sparq

// ==== sparq/numeric/dynamic_range.hpp ====
// How a row of activations becomes symmetric codes of 8 bits when it arrives: a rule, a type, which is the scalar truth
// that op/quantize_rows.hpp computes on sixteen lanes. `largest` is max |x| of the row, finite.
//
//   rule            scale           code
//   divide_to_even  largest / 127   round(x / scale), ties to even: what encode does with weights
//   tflite_dynamic  largest / 127   round(x * (127 / largest)), ties away from zero: TFLite's SymmetricQuantizeFloats

#include <concepts>
#include <cstdint>
#include <string_view>

namespace sparq {

/// Divides by the scale; ties to even. A row of zeros has scale 1.
struct divide_to_even {
  static constexpr std::string_view name = "divide_to_even";

  static constexpr float scale(float largest) { return detail::scale_for(largest, s8::max_code); }
  /// @pre |x| <= largest
  static constexpr std::int8_t code(float x, float largest) { return quantize_code<s8>(x, scale(largest)); }
};

/// Multiplies by a reciprocal; ties away from zero, as portable_tensor_utils.cc of TensorFlow Lite does.
/// A row of zeros has scale 1, and so has one whose reciprocal overflows (largest < 2^-121), which TFLite leaves
/// undefined: its codes are 0.
struct tflite_dynamic {
  static constexpr std::string_view name = "tflite_dynamic";

  static constexpr float scale(float largest) { return factor(largest) == 0.0F ? 1.0F : largest / 127.0F; }
  /// What the row is multiplied by.
  static constexpr float factor(float largest) { return largest >= 0x1p-121F ? 127.0F / largest : 0.0F; }
  /// @pre |x| <= largest
  static constexpr std::int8_t code(float x, float largest) {
    const float scaled = x * factor(largest);
    const std::int32_t code = round_half_away(scaled);
    return static_cast<std::int8_t>(code < -127 ? -127 : code > 127 ? 127 : code);
  }
};

/// A rule for symmetric rows that quantize_rows knows.
template <class T>
concept row_rule = std::same_as<T, divide_to_even> || std::same_as<T, tflite_dynamic>;

}  // namespace sparq

// ==== sparq/numeric/look_up_table.hpp ====
// Any function of a byte as 256 bytes: activation functions of quantized tensors, exact for whatever they compute.

#include <cstddef>
#include <cstdint>
#include <utility>

namespace sparq {

/// The code of Out for every code of In, s8 or u8. `entries[byte]` belongs to the code whose byte it is: 0 .. 127, then
/// -128 .. -1 for s8.
template <activation_numeric In, activation_numeric Out>
struct look_up_table {
  static_assert(In::bits == 8 && Out::bits == 8, "sparq: tables map bytes to bytes; use s8 or u8");
  using in = In;
  using out = Out;
  typename Out::code entries[256] = {};

  constexpr typename Out::code operator[](typename In::code code) const {
    return entries[static_cast<std::uint8_t>(code)];
  }
};

/// f(code) for every code; f gives codes of Out.
template <activation_numeric In, activation_numeric Out, class F>
constexpr look_up_table<In, Out> table_of_codes(F&& f) {
  look_up_table<In, Out> table;
  for (std::int32_t code = In::min_code; code <= In::max_code; ++code)
    table.entries[static_cast<std::uint8_t>(code)] = f(static_cast<typename In::code>(code));
  return table;
}

/// quantize(f(dequantize(code))) for every code; f takes and gives float. NaN becomes the zero point.
/// Errors: quantizations that do not validate.
template <activation_numeric In, activation_numeric Out, class F>
expected<look_up_table<In, Out>> try_table_of(const activation_quantization& x, const activation_quantization& y, F&& f) {
  if (status s = validate<In>(x); !s.ok()) return s;
  if (status s = validate<Out>(y); !s.ok()) return s;
  return table_of_codes<In, Out>([&](typename In::code code) {
    return quantize_activation<Out>(static_cast<float>(f(dequantize_activation<In>(code, x))), y);
  });
}
/// Throwing twin.
template <activation_numeric In, activation_numeric Out, class F>
look_up_table<In, Out> table_of(const activation_quantization& x, const activation_quantization& y, F&& f) {
  return try_table_of<In, Out>(x, y, std::forward<F>(f)).value();
}

}  // namespace sparq

// ==== sparq/numeric/nemo.hpp ====
// Integer scales as NEMO chooses them. A tensor of codes q means step * q; going from one step to another multiplies by
// m / D, D a power of two, and rounds down.

// ==== sparq/numeric/requantize.hpp ====
// From an int32 accumulator to the output's integer scale. Ecosystems disagree about the rounding, so it is a policy,
// a type; each policy here is the scalar truth that kernels have to reproduce bit by bit.
//
//   policy             acc * m is rounded                                   computed so by
//   tflite_double      to 31 bits (ties up), then shifted (ties away)       TFLite reference, TFLite Micro, CMSIS-NN
//   tflite_single      once, ties up                                        TFLITE_SINGLE_ROUNDING, ruy
//   fp32_nearest_even  in float, then to integer, ties to even              XNNPACK, FBGEMM (PyTorch on x86)
//   floor_shift        down                                                 NEMO, PULP-NN, DORY
//
// More of them: requantize_fixed.hpp (xnn_rndnu, gemmlowp_legacy, glow, floor_shift in 32 bits),
// requantize_float.hpp (ONNX, ncnn), requantize_wide.hpp (16-bit activations).
//
// A policy has `parameters` (aggregates; `validate()` says what is wrong with values that came from elsewhere) and
// `apply`, whose result saturates to int32. `>>` on negative numbers is arithmetic, as C++20 says.

#include <bit>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace sparq {

namespace detail {
inline status refuse(std::string_view policy, const char* field, const std::string& value, const std::string& needed);
}

/// A real factor as TFLite writes it: multiplier * 2^(shift - 31).
struct fixed_point_multiplier {
  std::int32_t multiplier;  ///< 0 or [2^30, 2^31)
  std::int32_t shift;       ///< positive = left
};

/// TFLite's QuantizeMultiplier: the multiplier is rounded half away from zero, factors below about 2^-32 become 0.
/// @pre m is finite and 0 or more
constexpr fixed_point_multiplier quantize_multiplier(double m) {
  const auto bits = std::bit_cast<std::uint64_t>(m);
  const auto biased_exponent = static_cast<std::int32_t>((bits >> 52) & 0x7FF);  // without the sign of -0
  if (biased_exponent == 0) return {0, 0};                                       // zero and subnormal numbers
  const std::uint64_t mantissa = (bits & ((std::uint64_t{1} << 52) - 1)) | (std::uint64_t{1} << 52);
  std::int32_t shift = biased_exponent - 1022;  // m = mantissa / 2^53 * 2^shift
  std::uint64_t q31 = (mantissa + (std::uint64_t{1} << 21)) >> 22;
  if (q31 == std::uint64_t{1} << 31) {
    q31 /= 2;
    ++shift;
  }
  if (shift < -31) return {0, 0};
  return {static_cast<std::int32_t>(q31), shift};
}

/// The parameters of TFLite's policies, which differ in the largest shift.
template <class Policy, int MostShift>
struct tflite_parameters {
  using policy = Policy;
  std::int32_t multiplier = 0;  ///< [0, 2^31), real value times 2^31
  std::int32_t shift = 0;       ///< [-31, MostShift], positive = left

  status validate() const {
    if (multiplier < 0) return detail::refuse(Policy::name, "multiplier", std::to_string(multiplier), "0 or more");
    if (shift < -31 || shift > MostShift)
      return detail::refuse(Policy::name, "shift", std::to_string(shift), "in [-31, " + std::to_string(MostShift) + "]");
    return {};
  }
  friend constexpr bool operator==(const tflite_parameters&, const tflite_parameters&) = default;

  /// TFLite's QuantizeMultiplier of the real factor m = input scale * weight scale / output scale.
  /// Raises unless 0 <= m < 2^MostShift.
  static constexpr tflite_parameters from_real(double m) {
    if (!in_range(m)) refuse(m).value();
    const fixed_point_multiplier q = quantize_multiplier(m);
    return {q.multiplier, q.shift};
  }
  static expected<tflite_parameters> try_from_real(double m) {
    if (!in_range(m)) return refuse(m);
    return from_real(m);
  }

 private:
  static constexpr bool in_range(double m) { return m >= 0 && is_finite(m) && quantize_multiplier(m).shift <= MostShift; }
  static status refuse(double m) {
    return detail::refuse(Policy::name, "multiplier", number_text(m), "in [0, 2^" + std::to_string(MostShift) + ")");
  }
};

/// The parameters of policies that multiply by a float.
template <class Policy>
struct scale_parameters {
  using policy = Policy;
  float scale = 0.0f;  ///< finite, 0 or more

  status validate() const {
    if (scale >= 0.0f && is_finite(scale)) return {};
    return detail::refuse(Policy::name, "scale", number_text(scale), "finite and 0 or more");
  }
  friend constexpr bool operator==(const scale_parameters&, const scale_parameters&) = default;
};

/// (acc * multiplier + addend) >> shift in 64 bits, saturated to int32: what most fixed-point policies come down to. A policy
/// with `as_affine(parameters)` runs in vectors.
struct affine_shift {
  std::int32_t multiplier;
  std::int64_t addend;  ///< acc * multiplier + addend fits for every acc
  std::int32_t shift;   ///< [0, 63]

  constexpr std::int32_t operator()(std::int32_t acc) const {
    return saturate_to_int32((std::int64_t{acc} * multiplier + addend) >> shift);
  }
};

/// TFLite's MultiplyByQuantizedMultiplier as it has always been: two roundings.
/// y = RoundingDivideByPOT(SaturatingRoundingDoublingHighMul(acc * 2^max(shift, 0), multiplier), max(-shift, 0)).
/// acc * 2^shift saturates to int32 where TFLite leaves its overflow undefined.
struct tflite_double {
  static constexpr std::string_view name = "tflite_double";

  using parameters = tflite_parameters<tflite_double, 31>;

  static constexpr parameters from_real(double m) { return parameters::from_real(m); }
  static expected<parameters> try_from_real(double m) { return parameters::try_from_real(m); }

  /// @pre p.validate()
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    const int left = p.shift > 0 ? p.shift : 0;
    const int right = p.shift > 0 ? 0 : -p.shift;
    const std::int64_t product = std::int64_t{saturate_to_int32(std::int64_t{acc} << left)} * p.multiplier;
    const auto high = static_cast<std::int32_t>((product + (std::int64_t{1} << 30)) >> 31);  // ties up
    const auto mask = static_cast<std::int32_t>((std::int64_t{1} << right) - 1);
    const std::int32_t threshold = (mask >> 1) + (high < 0 ? 1 : 0);  // ties away from zero
    return (high >> right) + ((high & mask) > threshold ? 1 : 0);
  }
};

/// TFLite's MultiplyByQuantizedMultiplier with one rounding.
/// y = (acc * multiplier + 2^(t-1)) >> t, t = 31 - shift.
struct tflite_single {
  static constexpr std::string_view name = "tflite_single";

  using parameters = tflite_parameters<tflite_single, 30>;

  /// TFLite's QuantizeMultiplier, which lowers m >= 2^30 to the largest factor that there is.
  /// Raises unless m is finite and 0 or more.
  static constexpr parameters from_real(double m) {
    if (!in_range(m)) refuse(m).value();
    const fixed_point_multiplier q = quantize_multiplier(m);
    if (q.shift > 30) return {INT32_MAX, 30};
    return {q.multiplier, q.shift};
  }
  static expected<parameters> try_from_real(double m) {
    if (!in_range(m)) return refuse(m);
    return from_real(m);
  }

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) {
    return {p.multiplier, std::int64_t{1} << (30 - p.shift), 31 - p.shift};
  }
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) { return as_affine(p)(acc); }

 private:
  static constexpr bool in_range(double m) { return m >= 0 && is_finite(m); }
  static status refuse(double m) { return detail::refuse(name, "multiplier", number_text(m), "finite and 0 or more"); }
};

/// y = rint(fl(fl(acc) * scale)): each fl() is one binary32 rounding in the default mode, so |acc| > 2^24 loses low
/// bits. XNNPACK clamps the product to [clamp_min - zero_point, clamp_max - zero_point] before it rounds; the bounds
/// are integers, so the result is the same.
struct fp32_nearest_even {
  static constexpr std::string_view name = "fp32_nearest_even";

  using parameters = scale_parameters<fp32_nearest_even>;

  /// fl(fl(input * weight) / output), in the order of XNNPACK.
  static constexpr parameters from_scales(float input, float weight, float output) {
    const float product = input * weight;
    return {product / output};
  }

  /// @pre p.validate()
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    return round_half_even(static_cast<float>(acc) * p.scale);
  }
};

/// XNNPACK: the default CPU delegate of TFLite and LiteRT.
using xnn_fp32 = fp32_nearest_even;
/// FBGEMM, which is PyTorch on x86: clamp(zero_point + rint(fl(acc * multiplier))).
using fbgemm = fp32_nearest_even;

/// y = (kappa * acc + lambda) >> shift: rounds down. With 2^(shift-1) added to lambda it rounds to nearest, ties up.
/// kappa and lambda carry an integer batch normalisation, or lambda is 0 and kappa / 2^shift is the scale.
struct floor_shift {
  static constexpr std::string_view name = "floor_shift";

  struct parameters {
    using policy = floor_shift;
    std::int32_t kappa = 1;
    std::int64_t lambda = 0;  ///< |lambda| < 2^62
    int shift = 0;            ///< [0, 63]

    status validate() const {
      constexpr std::int64_t limit = std::int64_t{1} << 62;
      if (lambda <= -limit || lambda >= limit)
        return detail::refuse(name, "lambda", std::to_string(lambda), "in (-2^62, 2^62)");
      if (shift < 0 || shift > 63) return detail::refuse(name, "shift", std::to_string(shift), "in [0, 63]");
      return {};
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) { return {p.kappa, p.lambda, p.shift}; }
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) { return as_affine(p)(acc); }
};

/// A rule that turns accumulators into integers of the output's scale.
template <class T>
concept requantization_policy = requires(std::int32_t acc, typename T::parameters p) {
  requires std::same_as<typename T::parameters::policy, T>;
  { T::name } -> std::convertible_to<std::string_view>;
  { T::apply(acc, p) } -> std::same_as<std::int32_t>;
  { p.validate() } -> std::same_as<status>;
};

/// The parameters of some requantization policy.
template <class T>
concept requantization_parameters = requires {
  typename T::policy;
  requires requantization_policy<typename T::policy>;
};

/// clamp(zero_point + policy(acc)), exact for every accumulator and zero point.
/// @pre p.validate(); Out::min_code <= clamp_min <= clamp_max <= Out::max_code
template <integer_numeric Out, requantization_parameters Parameters>
constexpr typename Out::code requantize_to(std::int32_t acc, const Parameters& p, std::int32_t zero_point,
                                           std::int32_t clamp_min, std::int32_t clamp_max) {
  SPARQ_ASSERT(Out::min_code <= clamp_min && clamp_min <= clamp_max && clamp_max <= Out::max_code);
  const std::int64_t code = std::int64_t{Parameters::policy::apply(acc, p)} + zero_point;
  return static_cast<typename Out::code>(code < clamp_min ? clamp_min : code > clamp_max ? clamp_max : code);
}

namespace detail {

inline status refuse(std::string_view policy, const char* field, const std::string& value, const std::string& needed) {
  return status::failure(std::string(policy) + ": " + field + " " + value + " is not " + needed);
}

}  // namespace detail
}  // namespace sparq

#include <cstdint>
#include <string>

namespace sparq {

/// log2 of NEMO's D for a ratio of steps: ceil(log2(factor * ratio)), kept in [0, most]. The factor bounds the error of
/// the multiplier: at most 1 / (2 factor), 1.6 % for 32. @pre factor * ratio is positive and finite
inline int nemo_log2_d(double ratio, double factor, int most) {
  const int log2 = ceil_log2(factor * ratio);
  return log2 < 0 ? 0 : log2 > most ? most : log2;
}

namespace detail {

inline status check_step(const char* what, double step) {
  if (step > 0 && is_finite(step)) return {};
  return status::failure(std::string(what) + ": step " + number_text(step) + " is not positive and finite");
}

}  // namespace detail

/// floor_shift that takes codes with step `in` to codes with step `out`: D = 2^ceil(log2(factor * out / in)), at most
/// 2^(32 - bits), and kappa = round(D * in / out). `bits` are those of the output.
/// Errors: a step that is not positive and finite, bits outside of [1, 8], a multiplier beyond int32.
inline expected<floor_shift::parameters> try_nemo_requantization(double in, double out, int bits, double factor = 32) {
  for (const double step : {in, out})
    if (status s = detail::check_step("nemo", step); !s.ok()) return s;
  if (bits < 1 || bits > 8) return status::failure("nemo: " + std::to_string(bits) + " bits are not in [1, 8]");
  if (!(factor >= 1 && factor <= 65536)) return status::failure("nemo: factor " + number_text(factor) + " is not in [1, 65536]");
  const int shift = nemo_log2_d(out / in, factor, 32 - bits);
  const double kappa = in / out * power_of_two(shift);
  if (!(kappa < 2147483647.0)) return status::failure("nemo: multiplier " + number_text(kappa) + " is beyond int32");
  return floor_shift::parameters{static_cast<std::int32_t>(round_half_even_in_range(kappa)), 0, shift};
}
/// Throwing twin.
inline floor_shift::parameters nemo_requantization(double in, double out, int bits, double factor = 32) {
  return try_nemo_requantization(in, out, bits, factor).value();
}

/// An integer batch normalization, kappa * acc + lambda, and the requantization behind it in one floor_shift: nothing is
/// rounded between them, so the product of the factors is exact.
/// Errors: kappa * m beyond int32, lambda * m beyond 2^62.
inline expected<floor_shift::parameters> try_fold_batch_norm(std::int32_t kappa, std::int64_t lambda,
                                                             const floor_shift::parameters& requantization) {
  const std::int64_t factor = std::int64_t{kappa} * requantization.kappa;
  const double addend = static_cast<double>(lambda) * requantization.kappa + static_cast<double>(requantization.lambda);
  if (factor < INT32_MIN || factor > INT32_MAX || !(addend < 0x1p61 && addend > -0x1p61))
    return status::failure("nemo: kappa " + std::to_string(kappa) + " and lambda " + std::to_string(lambda) +
                           " times " + std::to_string(requantization.kappa) + " do not fit");
  return floor_shift::parameters{static_cast<std::int32_t>(factor),
                                 lambda * requantization.kappa + requantization.lambda, requantization.shift};
}

}  // namespace sparq

// ==== sparq/numeric/quantization_schema.hpp ====
// Glow's four ways to choose scale and zero point (its "offset") from a range of real numbers.

#include <cfloat>
#include <cstdint>

namespace sparq {

/// In all of them 0 is exactly a code, and that code is the zero point.
enum class quantization_schema {
  asymmetric,                   ///< the codes cover the range
  symmetric,                    ///< the range is widened until the zero point is 0
  symmetric_with_unsigned,      ///< symmetric, or the zero point is the least code where nothing is negative
  symmetric_with_power2_scale,  ///< symmetric with the next greater power of two: requantization is a shift
};

/// Glow's chooseQuantizationParams, computed in double as it does. Constant 0 gets scale 0.1.
/// Errors: min or max is NaN or infinite, min > max.
template <integer_numeric N>
expected<activation_quantization> try_choose_quantization(float min, float max, quantization_schema schema) {
  static_assert(N::bits == 8 || N::bits == 16, "sparq: Glow quantizes to 8 or 16 bits; use s8 or s16");
  if (!is_finite(min)) return status::failure("choose_quantization: min is " + number_text(min));
  if (!is_finite(max)) return status::failure("choose_quantization: max is " + number_text(max));
  if (min > max)
    return status::failure("choose_quantization: min " + number_text(min) + " exceeds max " + number_text(max));
  constexpr double least = N::min_code, most = N::max_code;
  min = min < 0 ? min : 0.0f;
  max = max > 0 ? max : 0.0f;
  const bool is_symmetric = schema == quantization_schema::symmetric ||
                            schema == quantization_schema::symmetric_with_power2_scale ||
                            (schema == quantization_schema::symmetric_with_unsigned && min < 0);
  static_assert(N::is_signed, "sparq: zero point 0 in the middle needs signed codes; use s8 or s16");
  if (is_symmetric) {
    const double from_min = min / least, from_max = max / most;
    if (from_min > from_max)
      max = static_cast<float>(from_min * most < FLT_MAX ? from_min * most : FLT_MAX);
    else
      min = static_cast<float>(from_max * least > -FLT_MAX ? from_max * least : -FLT_MAX);
  }
  double scale = (double{max} - min) / (most - least);
  if (scale == 0) scale = 0.1;
  if (schema == quantization_schema::symmetric_with_power2_scale) scale = power_of_two(ceil_log2(scale));
  // The end whose terms are smaller gives the smaller error.
  const double error_of_min = -least - min / scale;  // magnitudes: min and least are 0 or less, max and most are not
  const double error_of_max = most + max / scale;
  double zero_point = error_of_min < error_of_max ? least - min / scale : most - max / scale;
  const float difference = max + min;
  if (is_symmetric || (difference <= FLT_EPSILON && difference >= -FLT_EPSILON)) zero_point = 0;
  zero_point = zero_point < least ? least : zero_point > most ? most : zero_point;
  return activation_quantization{static_cast<float>(scale),
                                 static_cast<std::int32_t>(round_half_away_in_range(zero_point))};
}
/// Throwing twin.
template <integer_numeric N>
activation_quantization choose_quantization(float min, float max, quantization_schema schema) {
  return try_choose_quantization<N>(min, max, schema).value();
}

}  // namespace sparq

// ==== sparq/numeric/requantize_fixed.hpp ====
// More fixed-point policies for int32 sums (numeric/requantize.hpp).
//
//   policy           rounds                                     computed so by
//   xnn_rndnu        once, ties up; a multiplier of 24 bits     XNNPACK on ARM
//   gemmlowp_legacy  once, ties up; the offset is added first   ARM Compute Library, old TFLite (u8)
//   glow             the sum down, then once, ties up           Glow
//   floor_shift_s32  down, in 32 bits                           PULP-NN with 32-bit parameters

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace sparq {

namespace detail {

/// "policy: field value is not in [least, most]", or ok.
inline status check_field(std::string_view policy, const char* field, std::int64_t value, std::int64_t least,
                          std::int64_t most) {
  if (least <= value && value <= most) return {};
  return status::failure(std::string(policy) + ": " + field + " " + std::to_string(value) + " is not in [" +
                         std::to_string(least) + ", " + std::to_string(most) + "]");
}

/// Half of 2^shift, the constant that rounds to nearest with ties up; 0 where nothing is shifted out.
constexpr std::int64_t half_of(int shift) { return shift == 0 ? 0 : std::int64_t{1} << (shift - 1); }

}  // namespace detail

/// y = (acc * multiplier + 2^(shift-1)) >> shift: the float scale's own mantissa multiplies.
struct xnn_rndnu {
  static constexpr std::string_view name = "xnn_rndnu";

  struct parameters {
    using policy = xnn_rndnu;
    std::int32_t multiplier = 1 << 23;  ///< [2^23, 2^24)
    std::int32_t shift = 23;            ///< [16, 55]

    status validate() const {
      if (status s = detail::check_field(name, "multiplier", multiplier, 1 << 23, (1 << 24) - 1); !s.ok()) return s;
      return detail::check_field(name, "shift", shift, 16, 55);
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// Raises unless 2^-32 <= scale < 256.
  static constexpr parameters from_scale(float scale) {
    if (!in_range(scale)) refuse(scale).value();
    const auto bits = std::bit_cast<std::uint32_t>(scale);
    return {static_cast<std::int32_t>((bits & 0x7FFFFFU) | 0x800000U), static_cast<std::int32_t>(150 - (bits >> 23))};
  }
  static expected<parameters> try_from_scale(float scale) {
    if (!in_range(scale)) return refuse(scale);
    return from_scale(scale);
  }

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) { return {p.multiplier, detail::half_of(p.shift), p.shift}; }
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) { return as_affine(p)(acc); }

 private:
  static constexpr bool in_range(float scale) { return scale >= 0x1p-32f && scale < 256.0f; }
  static status refuse(float scale) { return detail::refuse(name, "scale", number_text(scale), "in [2^-32, 256)"); }
};

/// y = ((acc + offset) * multiplier + 2^(shift-1)) >> shift, in 64 bits where gemmlowp wraps.
struct gemmlowp_legacy {
  static constexpr std::string_view name = "gemmlowp_legacy";

  struct parameters {
    using policy = gemmlowp_legacy;
    std::int32_t offset = 0;
    std::int32_t multiplier = 1;  ///< 0 or more
    std::int32_t shift = 0;       ///< [0, 31]

    status validate() const {
      if (multiplier < 0) return detail::refuse(name, "multiplier", std::to_string(multiplier), "0 or more");
      return detail::check_field(name, "shift", shift, 0, 31);
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) {
    return {p.multiplier, std::int64_t{p.offset} * p.multiplier + detail::half_of(p.shift), p.shift};
  }
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) { return as_affine(p)(acc); }
};

/// y = ((acc >> pre) * scale + 2^(post-1)) >> post, in 64 bits where Glow wraps.
struct glow {
  static constexpr std::string_view name = "glow";

  struct parameters {
    using policy = glow;
    std::int32_t pre = 0;    ///< [0, 31]
    std::int32_t scale = 1;  ///< 0 or more
    std::int32_t post = 0;   ///< [0, 62]

    status validate() const {
      if (status s = detail::check_field(name, "pre", pre, 0, 31); !s.ok()) return s;
      if (scale < 0) return detail::refuse(name, "scale", std::to_string(scale), "0 or more");
      return detail::check_field(name, "post", post, 0, 62);
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// Glow's quantizeScaleOffset32To8: the factor becomes an integer of 6 to 9 bits, powers of two become shifts alone.
  /// Factors below 1 are at most 0.8 % off (0.2 % but for those near 2^-15). Raises unless 2^-31 <= factor < 2^31.
  static constexpr parameters from_real(float factor) {
    if (!in_range(factor)) refuse(factor).value();
    const auto bits = std::bit_cast<std::uint32_t>(factor);
    if ((bits & 0x7FFFFFU) == 0) {
      const auto exponent = static_cast<std::int32_t>(bits >> 23) - 127;
      return exponent > 0 ? parameters{0, 1 << exponent, 0} : parameters{0, 1, -exponent};
    }
    parameters p{0, 0, 0};
    float scale = factor;
    for (; scale < 0.5f || (scale < 256.0f && p.post < 15); ++p.post) scale *= 2.0f;
    for (; scale < 255.0f && p.pre < p.post / 2; ++p.pre) scale *= 2.0f;
    const auto whole = static_cast<std::int32_t>(scale);  // rounded half away from zero
    p.scale = whole + (scale - static_cast<float>(whole) >= 0.5f ? 1 : 0);
    return p;
  }
  static expected<parameters> try_from_real(float factor) {
    if (!in_range(factor)) return refuse(factor);
    return from_real(factor);
  }

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) { return {p.scale, detail::half_of(p.post), p.post}; }
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) { return as_affine(p)(acc >> p.pre); }

 private:
  static constexpr bool in_range(float factor) { return factor >= 0x1p-31f && factor < 0x1p31f; }
  static status refuse(float factor) { return detail::refuse(name, "scale", number_text(factor), "in [2^-31, 2^31)"); }
};

/// floor_shift in 32 bits, less work: right where floor_shift_fits_s32 says so.
struct floor_shift_s32 {
  static constexpr std::string_view name = "floor_shift_s32";

  struct parameters {
    using policy = floor_shift_s32;
    std::int32_t kappa = 1;
    std::int32_t lambda = 0;
    std::int32_t shift = 0;  ///< [0, 31]

    status validate() const { return detail::check_field(name, "shift", shift, 0, 31); }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// @pre p.validate(), kappa * acc + lambda fits in int32
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    const std::uint32_t product = static_cast<std::uint32_t>(p.kappa) * static_cast<std::uint32_t>(acc);
    return static_cast<std::int32_t>(product + static_cast<std::uint32_t>(p.lambda)) >> p.shift;
  }
};

// ---- which of the two floor_shifts ----------------------------------------------------------------------------------

/// The largest |sum| of k products of |x| <= largest_x and |w| <= largest_w. @pre the result fits
constexpr std::int64_t largest_sum(std::size_t k, std::int64_t largest_x, std::int64_t largest_w) {
  return static_cast<std::int64_t>(k) * largest_x * largest_w;
}

/// Whether kappa * acc + lambda stays inside int32 for every |acc| <= largest_acc.
/// 255 * 127 * 4608 leaves |kappa| <= 14. @pre all three are 0 or more and below 2^31 - 1
constexpr bool floor_shift_fits_s32(std::int64_t largest_acc, std::int64_t largest_kappa,
                                    std::int64_t largest_lambda = 0) {
  return largest_acc <= INT32_MAX && largest_acc * largest_kappa + largest_lambda <= INT32_MAX;
}

/// floor_shift_s32 where sums of K products, kappa and lambda of these magnitudes fit, floor_shift where they do not.
template <std::size_t K, std::int64_t LargestKappa, std::int64_t LargestLambda = 0, std::int64_t LargestX = 255,
          std::int64_t LargestW = 127>
using floor_shift_for =
    std::conditional_t<floor_shift_fits_s32(largest_sum(K, LargestX, LargestW), LargestKappa, LargestLambda),
                       floor_shift_s32, floor_shift>;

/// The same parameters for 32 bits; says why where sums up to largest_acc do not fit.
inline expected<floor_shift_s32::parameters> try_narrow(const floor_shift::parameters& p, std::int64_t largest_acc) {
  const std::int64_t kappa = p.kappa < 0 ? -std::int64_t{p.kappa} : p.kappa;
  const std::int64_t lambda = p.lambda < 0 ? -p.lambda : p.lambda;
  if (lambda > INT32_MAX || p.shift > 31 || !floor_shift_fits_s32(largest_acc, kappa, lambda))
    return status::failure("floor_shift_s32: kappa " + std::to_string(p.kappa) + ", lambda " + std::to_string(p.lambda) +
                           " and shift " + std::to_string(p.shift) + " need 64 bits for sums up to " +
                           std::to_string(largest_acc));
  return floor_shift_s32::parameters{p.kappa, static_cast<std::int32_t>(p.lambda), p.shift};
}

}  // namespace sparq

// ==== sparq/numeric/requantize_float.hpp ====
// More policies that round products of floats (numeric/requantize.hpp). fl() is one binary32 rounding.
//
//   policy  y =                                              computed so by
//   onnx    rint(fl(fl(fl(acc) * x_scale) / y_scale))        QuantizeLinear of ONNX, after DequantizeLinear
//   ncnn    round(fl(fl(acc) * scale)) in [-127, 127]        ncnn
//
// oneDNN promises results within one code of the exact ones and no particular rounding; stages to_float,
// scale_per_channel, scale and round_to_integer do the same.

#include <cstdint>
#include <string_view>

namespace sparq {

/// ONNX QuantizeLinear of what the sum means: a true division, ties to even.
struct onnx {
  static constexpr std::string_view name = "onnx";

  struct parameters {
    using policy = onnx;
    float x_scale = 1.0f;  ///< of the sum: input scale * weight scale; positive and finite
    float y_scale = 1.0f;  ///< of the output; positive and finite

    status validate() const {
      for (const float scale : {x_scale, y_scale})
        if (!(scale > 0.0f && is_finite(scale)))
          return detail::refuse(name, "scale", number_text(scale), "positive and finite");
      return {};
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// @pre p.validate()
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    const float value = static_cast<float>(acc) * p.x_scale;
    return round_half_even(value / p.y_scale);
  }
};

/// ncnn's float2int8: ties away from zero, and -128 is no code.
struct ncnn {
  static constexpr std::string_view name = "ncnn";

  using parameters = scale_parameters<ncnn>;

  /// @pre p.validate()
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    const std::int32_t code = round_half_away(static_cast<float>(acc) * p.scale);
    return code < -127 ? -127 : code > 127 ? 127 : code;
  }
};

}  // namespace sparq

// ==== sparq/numeric/requantize_wide.hpp ====
// Requantization of int64 accumulators: activations of 16 bits times weights of 8 (TFLite's "16x8").
//
//   policy        acc * m is rounded                                              computed so by
//   tflite_16x8   the multiplier to 15 bits, then the product once, ties up       TFLite, TFLite Micro, CMSIS-NN

namespace sparq {

/// TFLite's MultiplyByQuantizedMultiplier of int64 accumulators:
/// m16 = multiplier < 0x7FFF0000 ? (multiplier + 2^15) >> 16 : 0x7FFF; y = (acc * m16 + 2^(14 - shift)) >> (15 - shift).
/// acc saturates to 48 bits, beyond which TFLite leaves it undefined.
struct tflite_16x8 {
  static constexpr std::string_view name = "tflite_16x8";

  using parameters = tflite_parameters<tflite_16x8, 7>;

  static constexpr parameters from_real(double m) { return parameters::from_real(m); }
  static expected<parameters> try_from_real(double m) { return parameters::try_from_real(m); }

  /// @pre p.validate()
  static constexpr affine_shift as_affine(parameters p) {
    const std::int32_t reduced = p.multiplier < 0x7FFF0000 ? (p.multiplier + (1 << 15)) >> 16 : 0x7FFF;
    return {reduced, std::int64_t{1} << (14 - p.shift), 15 - p.shift};
  }
  static constexpr std::int32_t apply(std::int64_t acc, parameters p) {
    constexpr std::int64_t limit = std::int64_t{1} << 47;
    const std::int64_t inside = acc < -limit ? -limit : acc > limit - 1 ? limit - 1 : acc;
    const affine_shift form = as_affine(p);
    return saturate_to_int32((inside * form.multiplier + form.addend) >> form.shift);
  }
};

/// A policy that takes int64 accumulators as they are; braces refuse one that would narrow them.
template <class T>
concept wide_requantization_policy =
    requantization_policy<T> && requires(std::int64_t acc, typename T::parameters p) { T::apply({acc}, p); };

}  // namespace sparq

// ==== sparq/numeric/scale_codes.hpp ====
// Scales stored in one byte: powers of two (e8m0, the shared exponents of the MX formats) and floats of seven bits (ue4m3,
// NVFP4). Tensors hold scales as floats, and each of these is one exactly.
//
//   e8m0     eeeeeeee    2^(e - 127); 255 is NaN
//   ue4m3    -eeeefff    (1 + f / 8) 2^(e - 7), f 2^-9 where e is 0; 0x7f is NaN
//
// A power of two is also what makes a requantization a shift: power_of_two_scale.

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sparq {

/// Powers of two from 2^-127 to 2^127. Source: OCP Microscaling Formats 1.0, 5.4.1.
struct e8m0 {
  static constexpr std::string_view name = "e8m0";
  static constexpr bool is_code(std::uint8_t code) { return code != 255; }
  /// Exact. @pre is_code(code)
  static constexpr float decode(std::uint8_t code) {
    return std::bit_cast<float>(code == 0 ? 0x00400000U : static_cast<std::uint32_t>(code) << 23);
  }
  /// The least power of two that is not less than `scale`, so that nothing saturates that did not; at most 2^127.
  /// @pre scale > 0
  static constexpr std::uint8_t encode(float scale) {
    const int exponent = ceil_log2(static_cast<double>(scale));
    return static_cast<std::uint8_t>(exponent < -127 ? 0 : exponent > 127 ? 254 : exponent + 127);
  }
};

/// Floats without sign from 2^-9 to 448, and 0. Source: OCP 8-bit Floating Point 1.0, E4M3; its sign bit is 0.
struct ue4m3 {
  static constexpr std::string_view name = "ue4m3";
  static constexpr bool is_code(std::uint8_t code) { return code < 0x7F; }
  /// Exact. @pre is_code(code)
  static constexpr float decode(std::uint8_t code) {
    const std::uint32_t magnitude = code & 0x7FU;
    if (magnitude < 8) return static_cast<float>(magnitude) * 0x1p-9F;
    return std::bit_cast<float>((magnitude << 20) + (120U << 23));
  }
  /// The nearest, ties to even, at most 448. @pre scale is not negative, not NaN
  static constexpr std::uint8_t encode(float scale) {
    if (scale >= 448.0F) return 0x7E;
    if (scale < 0x1p-6F) return static_cast<std::uint8_t>(round_half_even(scale * 512.0F));  // 8 is the code of 2^-6
    const auto bits = std::bit_cast<std::uint32_t>(scale);
    return static_cast<std::uint8_t>(((bits + 0x7FFFFU + (bits >> 20 & 1U)) >> 20) - (120U << 3));
  }
};

/// A byte that stands for a scale.
template <class T>
concept scale_code = requires(std::uint8_t code, float scale) {
  { T::name } -> std::convertible_to<std::string_view>;
  { T::is_code(code) } -> std::same_as<bool>;
  { T::decode(code) } -> std::same_as<float>;
  { T::encode(scale) } -> std::same_as<std::uint8_t>;
};

/// The least power of two that is not less than `scale`, from 2^-126 to 2^127: for the scale that choose_scales or Glow's
/// schemas would take (numeric/quantization_schema.hpp rounds up in the same way). @pre scale is positive and finite
constexpr float power_of_two_scale(float scale) {
  const std::uint8_t code = e8m0::encode(scale);
  return e8m0::decode(code == 0 ? 1 : code);
}

/// The scales of a tensor from bytes, in their order, each times `factor`: 0.5 where weights are doubled (e2m1_doubled), the
/// scale of a whole tensor where it has one beside those of its groups.
/// A scale of 0, which ue4m3 has, stays 0; tensors refuse it: a group of zeros has codes of 0 and any other scale.
/// Errors: the first byte that is NaN or no code. Allocates the result. O(bytes).
template <scale_code Code>
expected<std::vector<float>> try_decode_scales(std::span<const std::byte> bytes, float factor = 1.0F) {
  std::vector<float> scales(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto code = std::to_integer<std::uint8_t>(bytes[i]);
    if (!Code::is_code(code))
      return status::failure("decode_scales: scale " + std::to_string(i) + " is byte " + std::to_string(code) +
                             ", no number in " + std::string(Code::name));
    scales[i] = Code::decode(code) * factor;
  }
  return scales;
}

/// Bytes of scales, each rounded as Code::encode says; decode them and quantize by the result.
/// Errors: the first scale that is not positive and finite. Allocates the result. O(scales).
template <scale_code Code>
expected<std::vector<std::byte>> try_encode_scales(std::span<const float> scales) {
  std::vector<std::byte> bytes(scales.size());
  for (std::size_t i = 0; i < scales.size(); ++i) {
    if (!(scales[i] > 0.0F) || !is_finite(scales[i]))
      return status::failure("encode_scales: scale " + std::to_string(i) + " is " + number_text(scales[i]) +
                             "; scales are positive and finite");
    bytes[i] = std::byte{Code::encode(scales[i])};
  }
  return bytes;
}

/// Throwing twins.
template <scale_code Code>
std::vector<float> decode_scales(std::span<const std::byte> bytes, float factor = 1.0F) {
  return try_decode_scales<Code>(bytes, factor).value();
}
template <scale_code Code>
std::vector<std::byte> encode_scales(std::span<const float> scales) {
  return try_encode_scales<Code>(scales).value();
}

}  // namespace sparq

// ==== sparq/numeric/thresholds.hpp ====
// Outputs of a few bits by comparison: 2^bits - 1 sorted thresholds for each channel, and the code is how many of them the
// sum reaches. NEMO and PULP-NN fold a batch normalization and its requantization into them.
//
//   channel that rises    code = #{p: acc >= t[p]}
//   channel that falls    code = #{p: ~acc >= t[p]}     ~ turns the order around and cannot overflow
//
// Thresholds lie [2^bits - 1][n], so that neighbouring channels are beside each other.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sparq {

/// Thresholds of n channels. `flips[channel]` is 0 where codes rise with the sum and -1 where they fall.
struct threshold_table {
  std::size_t channels = 0;
  std::int32_t count = 0;            ///< thresholds of a channel: 2^bits - 1
  std::vector<std::int32_t> values;  ///< [count][channels]
  std::vector<std::int32_t> flips;   ///< [channels]

  /// The code of a sum: 0 to count. O(count).
  std::int32_t apply(std::int32_t acc, std::size_t channel) const {
    std::int32_t code = 0;
    for (std::size_t p = 0; p < static_cast<std::size_t>(count); ++p)
      code += (acc ^ flips[channel]) >= values[p * channels + channel] ? 1 : 0;
    return code;
  }
};

namespace detail {

/// floor(a / b). @pre b > 0
constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace detail

/// The thresholds that give clamp((kappa * acc + lambda) >> shift, 0, 2^bits - 1) for every sum but the two ends of int32.
/// kappa > 0 rises, kappa < 0 falls, kappa = 0 gives a constant.
/// Errors: bits outside of [1, 8], parameters that do not validate, a shift above 53. O(2^bits n).
inline expected<threshold_table> try_thresholds(std::span<const floor_shift::parameters> channels, int bits) {
  if (bits < 1 || bits > 8) return status::failure("thresholds: " + std::to_string(bits) + " bits are not in [1, 8]");
  threshold_table table;
  table.channels = channels.size();
  table.count = (1 << bits) - 1;
  table.values.resize(static_cast<std::size_t>(table.count) * channels.size());
  table.flips.resize(channels.size());
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const floor_shift::parameters& p = channels[c];
    if (status s = p.validate(); !s.ok())
      return status::failure("thresholds: channel " + std::to_string(c) + ": " + s.message());
    if (p.shift > 53)
      return status::failure("thresholds: channel " + std::to_string(c) + ": shift " + std::to_string(p.shift) +
                             " is not in [0, 53]");
    table.flips[c] = p.kappa < 0 ? -1 : 0;
    for (std::int32_t code = 1; code <= table.count; ++code) {
      const std::int64_t needed = (std::int64_t{code} << p.shift) - p.lambda;  // kappa * acc >= needed
      std::int32_t& t = table.values[static_cast<std::size_t>(code - 1) * channels.size() + c];
      if (p.kappa > 0)
        t = saturate_to_int32(-detail::floor_div(-needed, p.kappa));
      else if (p.kappa < 0)
        t = ~saturate_to_int32(detail::floor_div(-needed, -std::int64_t{p.kappa}));
      else
        t = needed <= 0 ? INT32_MIN : INT32_MAX;
    }
  }
  return table;
}
/// Throwing twin.
inline threshold_table thresholds_of(std::span<const floor_shift::parameters> channels, int bits) {
  return try_thresholds(channels, bits).value();
}

}  // namespace sparq

// ==== sparq/format/bitmask.hpp ====
// One bit for every weight: any zeros anywhere. From 3 % density on smaller than csr's 4 bytes for a slot. Slots run
// through the channels in order, their k's ascending.
//
//   K = 70, channel n:  bits [word 0: k 0..63] [word 1: k 64..69, the rest 0]       K / 8 bytes for a channel
//   row_offsets [0 2 2 5]   channel n owns the slots row_offsets[n] .. row_offsets[n+1]          8 bytes for a channel

// ==== sparq/format/checks.hpp ====
// What validate() of nearly every format asks of its arrays: offsets that rise from 0 to the end of a list, and lists
// that ascend below a limit. Each check names the first entry that is wrong, in the words of the format that calls it.

// ==== sparq/format/shape.hpp ====
// The extents of a weight matrix W[n][k] and positions in it. Indices are stored in 32 bits.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

namespace sparq {

/// What a stored index is: enough for 4 G channels or reduction steps.
using index_t = std::uint32_t;

/// Extents of W: n output channels, k reduction steps.
struct weight_shape {
  std::size_t n = 0;
  std::size_t k = 0;

  constexpr std::size_t size() const { return n * k; }
  friend constexpr bool operator==(weight_shape, weight_shape) = default;
};

/// "n x k" for messages.
inline std::string to_string(weight_shape shape) { return std::to_string(shape.n) + " x " + std::to_string(shape.k); }

/// Extents that index_t holds, and a number of elements that can be counted in bytes.
inline status validate(weight_shape shape) {
  constexpr std::size_t most = std::numeric_limits<index_t>::max();
  if (shape.n > most || shape.k > most)
    return status::failure("a matrix of " + to_string(shape) + " has an extent above " + std::to_string(most));
  if (shape.k != 0 && shape.n > std::numeric_limits<std::size_t>::max() / 8 / shape.k)
    return status::failure("a matrix of " + to_string(shape) + " has more elements than memory has bytes");
  return {};
}

/// The message's way to name one element: "[n=3][k=17]".
inline std::string position_text(std::size_t n, std::size_t k) {
  return "[n=" + std::to_string(n) + "][k=" + std::to_string(k) + "]";
}

}  // namespace sparq

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sparq {

/// `array` has `wanted` entries.
inline status check_size(const std::string& array, std::size_t size, std::size_t wanted) {
  if (size == wanted) return {};
  return status::failure(array + " has " + std::to_string(size) + " entries; " + std::to_string(wanted) +
                         " are needed");
}

/// offsets[0] is 0, offsets never fall, offsets[count] is `end`. O(count).
/// - `array`: how messages name the offsets, as in "csr: row_offsets"
inline status check_offsets(const std::string& array, std::span<const std::uint64_t> offsets, std::size_t count,
                            std::size_t end) {
  const auto wrong = [&](std::size_t i, const std::string& wanted) {
    return status::failure(array + "[" + std::to_string(i) + "] is " + std::to_string(offsets[i]) + "; it must " +
                           wanted);
  };
  if (status s = check_size(array, offsets.size(), count + 1); !s.ok()) return s;
  if (offsets[0] != 0) return wrong(0, "be 0");
  for (std::size_t i = 1; i <= count; ++i)
    if (offsets[i] < offsets[i - 1] || offsets[i] > end)
      return wrong(i, "lie between " + std::to_string(offsets[i - 1]) + " and " + std::to_string(end));
  if (offsets[count] != end) return wrong(count, "be " + std::to_string(end) + ", the end of the list");
  return {};
}

/// In every list [offsets[i], offsets[i + 1]) the values ascend strictly and stay below `limit`. O(values).
/// - `owner`: what owns one list, as in "channel"
/// @pre check_offsets(offsets) is ok
inline status check_lists(const std::string& array, std::span<const index_t> values,
                          std::span<const std::uint64_t> offsets, const char* owner, std::size_t limit) {
  const auto wrong = [&](std::size_t at, std::size_t list, const std::string& wanted) {
    return status::failure(array + "[" + std::to_string(at) + "] is " + std::to_string(values[at]) + " in " + owner +
                           " " + std::to_string(list) + "; it must be " + wanted);
  };
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
    for (std::size_t at = offsets[i]; at < offsets[i + 1]; ++at) {
      if (values[at] >= limit) return wrong(at, i, "below " + std::to_string(limit));
      if (at > offsets[i] && values[at] <= values[at - 1])
        return wrong(at, i, "above " + std::to_string(values[at - 1]) + ", which it follows");
    }
  return {};
}

}  // namespace sparq

// ==== sparq/format/format.hpp ====
// What a format is: index arrays, an order of slots, and a division of the output channels into panels. It knows
// nothing of values, numeric types or instructions, and adding one needs no edit here: model the concept, in your own
// code if you like (examples/custom_format.cpp).

// ==== sparq/format/mask.hpp ====
// Which elements of W are kept. A mask is a first-class input: a kept zero is stored, a pruned one is not.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace sparq {

/// Number of bytes that are not zero. O(keep.size()).
inline std::size_t count_kept(std::span<const std::uint8_t> keep) {
  std::size_t count = 0;
  for (const std::uint8_t kept : keep) count += kept != 0;
  return count;
}

/// n x k bytes, row-major, non-zero = kept. Trivially copyable; does not own.
struct mask_view {
  const std::uint8_t* keep = nullptr;
  weight_shape shape;

  bool operator()(std::size_t n, std::size_t k) const { return keep[n * shape.k + k] != 0; }
  std::span<const std::uint8_t> channel(std::size_t n) const { return {keep + n * shape.k, shape.k}; }
  /// Number of kept elements. O(n k).
  std::size_t kept() const { return count_kept({keep, shape.size()}); }
};

/// An owned mask.
class mask {
 public:
  mask() = default;
  explicit mask(weight_shape shape, bool keep = true) : keep_(shape.size(), keep ? 1 : 0), shape_(shape) {}

  weight_shape shape() const { return shape_; }
  bool operator()(std::size_t n, std::size_t k) const { return keep_[n * shape_.k + k] != 0; }
  void set(std::size_t n, std::size_t k, bool keep) { keep_[n * shape_.k + k] = keep ? 1 : 0; }
  std::uint8_t* data() { return keep_.data(); }
  operator mask_view() const { return {keep_.data(), shape_}; }

  /// Number of kept elements. O(n k).
  std::size_t kept() const { return count_kept(keep_); }
  /// 1 - kept / total; 0 for an empty matrix.
  double sparsity() const {
    return keep_.empty() ? 0.0 : 1.0 - static_cast<double>(kept()) / static_cast<double>(keep_.size());
  }

 private:
  std::vector<std::uint8_t> keep_;
  weight_shape shape_;
};

/// The mask of all elements that are not zero. @pre values.size() == shape.size()
template <class T>
mask nonzero_mask(std::span<const T> values, weight_shape shape) {
  mask result(shape);
  for (std::size_t i = 0; i < shape.size(); ++i) result.data()[i] = values[i] != T{} ? 1 : 0;
  return result;
}

/// Appends the k's that `keep` (one byte for each k) keeps, ascending. O(keep.size()).
inline void append_kept(std::span<const std::uint8_t> keep, std::vector<index_t>& to) {
  std::array<index_t, 256> chunk;
  for (std::size_t first = 0; first < keep.size(); first += chunk.size()) {
    const std::size_t end = (std::min)(first + chunk.size(), keep.size());
    std::size_t count = 0;
    for (std::size_t k = first; k < end; ++k) {  // no branch: a random mask cannot be predicted
      chunk[count] = static_cast<index_t>(k);
      count += keep[k] != 0;
    }
    if (count == 0) continue;
    to.resize(to.size() + count);
    std::memcpy(to.data() + to.size() - count, chunk.data(), count * sizeof(index_t));
  }
}

}  // namespace sparq

// ==== sparq/format/policy.hpp ====
// The vocabulary in which a format tells the kernels how its panels read X. For channel r and group g of a panel the
// weight sits at k(g, r) = shared(g) + select(g, r): a k_map says shared(g), a row_select says select(g, r).
//
//      one panel                 X row
//      r0 [g0][g1][g2]  ...      |....g0....|..g1.|....g2...   shared by every channel of the panel: k_map
//      r1 [g0][g1][g2]  ...          ^ ^           private to a channel inside the group's window: row_select

#include <cstddef>

namespace sparq {

// ---- k_map: where in X a group of the panel starts ------------------------------------------------------------------

/// Group g covers the k's from g * group_k on: nothing is skipped.
struct contiguous {};

/// Groups are aligned runs of consecutive k's, listed by address; empty runs are skipped. No data moves.
struct runs {};

/// Single k's, listed as a bitmask; X is compacted once per panel, then the panel is contiguous.
struct list {};

/// Single k's, each channel its own: vector lanes are rows of X, neighbouring channels share what they have in common.
struct scattered {};

/// Of every M consecutive k's all channels of the panel keep the same N: one permute of X serves them all.
template <std::size_t N, std::size_t M>
struct n_m_shared {};

// ---- row_select: which k's of a group a channel keeps ---------------------------------------------------------------

/// All of them.
struct all {};

/// Of every M consecutive k's each channel keeps N of its own: one permute of X per dot.
template <std::size_t N, std::size_t M>
struct n_m_select {};

/// Any of the W k's from the group's address on: one permute of X per dot. A weight need not sit in the group that its k
/// falls into; groups overlap, and a channel takes its weights in the order of k.
template <std::size_t W>
struct window_select {};

}  // namespace sparq

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

namespace sparq {

/// Index arrays come in two kinds: `owned` by a tensor, or `viewed` in memory that somebody else keeps.
template <class T>
using owned = std::vector<T>;
template <class T>
using viewed = std::span<const T>;

/// The output channels of one panel: [first, first + count).
struct channel_range {
  std::size_t first = 0;
  std::size_t count = 0;
};

namespace detail {
struct any_slot_visitor {
  void operator()(std::size_t, std::size_t, std::size_t) const {}
};
}  // namespace detail

/// An index: the shape and the arrays that say where the slots of one matrix sit.
/// - `shape`: extents of W
/// - `arrays()`: std::tie of all index arrays, for copying, viewing and counting bytes
/// - `slots()`: number of stored values
/// - `panels()`, `panel(p)`: the channels, in order and without gaps, in groups that share a k_map
/// - `for_each_slot(p, f)`: f(slot, channel, k) for the slots of panel p; slots that only pad are not visited
/// - `validate()`: the first thing that is wrong with the arrays, or ok
template <class I>
concept format_index = requires(const I index, std::size_t p, detail::any_slot_visitor f) {
  { index.shape } -> std::convertible_to<weight_shape>;
  index.arrays();
  { index.slots() } -> std::convertible_to<std::size_t>;
  { index.panels() } -> std::convertible_to<std::size_t>;
  { index.panel(p) } -> std::same_as<channel_range>;
  index.for_each_slot(p, f);
  { index.validate() } -> std::same_as<status>;
};

/// A format: a name, two policies, an index, and a way to build the index from a mask.
/// - `k_map`, `row_select`: see policy.hpp
/// - `index<Array>`: the index with its arrays `owned` or `viewed`
/// - `from_mask(mask)`: the index that stores every kept element; a status that names the first element which the
///   format would have to drop
template <class F>
concept format = requires(mask_view keep) {
  { F::name() } -> std::convertible_to<std::string>;
  typename F::k_map;
  typename F::row_select;
  { F::from_mask(keep) } -> std::same_as<expected<typename F::template index<owned>>>;
  requires format_index<typename F::template index<owned>>;
  requires format_index<typename F::template index<viewed>>;
  requires std::is_trivially_copyable_v<typename F::template index<viewed>>;
};

/// Whether every weight has a slot, as F::holds_every_weight says. Formats that do not say so may leave weights out.
template <format F>
inline constexpr bool holds_every_weight_v = [] {
  if constexpr (requires { F::holds_every_weight; })
    return F::holds_every_weight;
  else
    return false;
}();

/// A view of an owned index. O(1).
template <format F>
typename F::template index<viewed> view_of(const typename F::template index<owned>& index) {
  typename F::template index<viewed> view{};
  view.shape = index.shape;
  auto to = view.arrays();
  const auto from = index.arrays();
  [&]<std::size_t... A>(std::index_sequence<A...>) {
    ((std::get<A>(to) = std::remove_reference_t<std::tuple_element_t<A, decltype(to)>>(std::get<A>(from))), ...);
  }(std::make_index_sequence<std::tuple_size_v<decltype(from)>>{});
  return view;
}

/// Bytes of all index arrays.
template <format_index I>
std::size_t index_bytes(const I& index) {
  return std::apply(
      [](const auto&... array) {
        return (std::size_t{0} + ... + (array.size() * sizeof(typename std::remove_cvref_t<decltype(array)>::value_type)));
      },
      index.arrays());
}

/// The first kept element that the format would have to drop, or ok. O(n k).
template <format F>
status conforms(mask_view keep) {
  auto index = F::from_mask(keep);
  return index.ok() ? status{} : index.error();
}

}  // namespace sparq

#include <algorithm>
#include <bit>

namespace sparq {

/// Zeros anywhere, one bit for every weight; docs/formats/bitmask.md.
struct bitmask {
  using k_map = scattered;
  using row_select = all;

  static std::string name() { return "bitmask"; }

  /// Channels of one panel.
  static constexpr std::size_t panel_channels = 16;

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<std::uint64_t> row_offsets;  // n + 1
    Array<std::uint64_t> bits;         // n x ceil(k / 64); bit k % 64 of word k / 64

    auto arrays() const { return std::tie(row_offsets, bits); }
    auto arrays() { return std::tie(row_offsets, bits); }
    std::size_t slots() const { return row_offsets.empty() ? 0 : static_cast<std::size_t>(row_offsets[shape.n]); }
    std::size_t words() const { return ceil_div(shape.k, 64); }
    std::size_t panels() const { return ceil_div(shape.n, panel_channels); }
    channel_range panel(std::size_t p) const {
      return {p * panel_channels, (std::min)(panel_channels, shape.n - p * panel_channels)};
    }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const auto [first, count] = panel(p);
      std::size_t slot = row_offsets[first];
      for (std::size_t n = first; n < first + count; ++n)
        for (std::size_t word = 0; word < words(); ++word)
          for (std::uint64_t rest = bits[n * words() + word]; rest != 0; rest &= rest - 1)
            visit(slot++, n, word * 64 + static_cast<std::size_t>(std::countr_zero(rest)));
    }

    /// As many slots as bits in every channel, none beyond K. O(n k / 64).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      if (status s = check_size("bitmask: row_offsets", row_offsets.size(), shape.n + 1); !s.ok()) return s;
      if (status s = check_size("bitmask: bits", bits.size(), shape.n * words()); !s.ok()) return s;
      if (row_offsets[0] != 0)
        return status::failure("bitmask: row_offsets[0] is " + std::to_string(row_offsets[0]) + "; it must be 0");
      for (std::size_t n = 0; n < shape.n; ++n) {
        std::uint64_t kept = 0;
        for (std::size_t word = 0; word < words(); ++word)
          kept += static_cast<std::uint64_t>(std::popcount(bits[n * words() + word]));
        if (row_offsets[n + 1] - row_offsets[n] != kept || row_offsets[n + 1] < row_offsets[n])
          return status::failure("bitmask: row_offsets[" + std::to_string(n + 1) + "] is " +
                                 std::to_string(row_offsets[n + 1]) + "; channel " + std::to_string(n) + " keeps " +
                                 std::to_string(kept) + " k's from " + std::to_string(row_offsets[n]) + " on");
        if (shape.k % 64 != 0 && (bits[n * words() + words() - 1] >> (shape.k % 64)) != 0)
          return status::failure("bitmask: channel " + std::to_string(n) + " keeps a k beyond K = " +
                                 std::to_string(shape.k));
      }
      return {};
    }
  };

  /// Holds every mask: every kept element gets a slot.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}, {}};
    result.bits.resize(keep.shape.n * result.words());
    result.row_offsets.reserve(keep.shape.n + 1);
    result.row_offsets.push_back(0);
    for (std::size_t n = 0; n < keep.shape.n; ++n) {
      const auto channel = keep.channel(n);
      std::uint64_t kept = result.row_offsets.back();
      for (std::size_t k = 0; k < keep.shape.k; ++k) {
        const std::uint64_t bit = channel[k] != 0;
        result.bits[n * result.words() + k / 64] |= bit << (k % 64);
        kept += bit;
      }
      result.row_offsets.push_back(kept);
    }
    return result;
  }
};

}  // namespace sparq

// ==== sparq/format/block.hpp ====
// Blocks of R channels x C k's, stored whole or not at all. A panel is R neighbouring channels (the last one ragged).
//
//   block<2,4>, one panel, K = 14: k 0..3   4..7   8..11  12..13
//                             r0   [0 1 2 3]  .    [8 9 10 11]   [16 17 . .]     slots; row-major in the block
//                             r1   [4 5 6 7]  .    [12 13 14 15] [20 21 . .]     18 19 22 23 only pad
//
//   panel_offsets [0 3 ..]       panel p owns the blocks panel_offsets[p] .. panel_offsets[p+1]      8 bytes per panel
//   block_columns [0 2 3 | ..]   first k of each block / C, ascending                                4 bytes per block
//
//   for each block of the panel: for r < R: for c < C: slot++ holds W[first + r][block_column * C + c]
//
// Where the matrix ends inside a block, the block keeps all its slots; those beyond the matrix are never visited.

#include <algorithm>

namespace sparq {

/// Blocks of R channels x C k's; docs/formats/block.md.
template <std::size_t R, std::size_t C>
struct block {
  static_assert(R >= 1 && C >= 1, "sparq: a block needs at least one channel and one k; use block<R,C> with R, C >= 1");

  /// Blocks of a whole strip are runs; narrower ones would leave most of its lanes empty.
  using k_map = std::conditional_t<(R >= 16), runs, scattered>;
  /// Neighbouring k's that are stored together, from a multiple of them on.
  static constexpr std::size_t run = C;
  using row_select = all;

  static std::string name() { return "block<" + std::to_string(R) + "," + std::to_string(C) + ">"; }

  /// Channels of one panel.
  static constexpr std::size_t panel_channels = R;

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<std::uint64_t> panel_offsets;  // panels + 1
    Array<index_t> block_columns;        // stored blocks

    auto arrays() const { return std::tie(panel_offsets, block_columns); }
    auto arrays() { return std::tie(panel_offsets, block_columns); }
    std::size_t slots() const { return block_columns.size() * R * C; }
    std::size_t panels() const { return ceil_div(shape.n, R); }
    channel_range panel(std::size_t p) const { return {p * R, (std::min)(R, shape.n - p * R)}; }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const auto [first, count] = panel(p);
      for (std::size_t b = panel_offsets[p]; b < panel_offsets[p + 1]; ++b) {
        const std::size_t first_k = std::size_t{block_columns[b]} * C;
        const std::size_t count_k = (std::min)(C, shape.k - first_k);
        for (std::size_t r = 0; r < count; ++r)
          for (std::size_t c = 0; c < count_k; ++c) visit((b * R + r) * C + c, first + r, first_k + c);
      }
    }

    /// Offsets start at 0, never fall and end at the number of blocks; block columns ascend strictly inside a panel
    /// and start inside K. O(panels + blocks).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      if (status s = check_offsets(name() + ": panel_offsets", panel_offsets, panels(), block_columns.size()); !s.ok())
        return s;
      return check_lists(name() + ": block_columns", block_columns, panel_offsets, "panel", ceil_div(shape.k, C));
    }
  };

  /// Holds every mask: a block is stored when anything in it is kept.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}, {}};
    result.panel_offsets.reserve(result.panels() + 1);
    result.panel_offsets.push_back(0);
    const std::size_t whole = keep.shape.k / C;
    std::vector<std::uint8_t> stored(ceil_div(keep.shape.k, C));
    for (std::size_t p = 0; p < result.panels(); ++p) {
      std::fill(stored.begin(), stored.end(), std::uint8_t{0});
      const auto [first, count] = result.panel(p);
      for (std::size_t n = first; n < first + count; ++n) {
        const std::uint8_t* row = keep.channel(n).data();
        for (std::size_t b = 0; b < whole; ++b)
          for (std::size_t c = 0; c < C; ++c) stored[b] |= row[b * C + c];
        for (std::size_t k = whole * C; k < keep.shape.k; ++k) stored[whole] |= row[k];
      }
      append_kept(stored, result.block_columns);
      result.panel_offsets.push_back(result.block_columns.size());
    }
    return result;
  }
};

}  // namespace sparq

// ==== sparq/format/csr.hpp ====
// Compressed sparse rows: any zeros anywhere. Slots run through the channels in order, their k's ascending.
//
//   row_offsets [0 2 2 5]   channel n owns the slots row_offsets[n] .. row_offsets[n+1]
//   columns     [1 7 | | 0 3 4]   k of each slot                       8 bytes of index for a channel and 4 for a slot
//
// Kernels multiply it with rows of X in the lanes (packed_columns.hpp), four neighbouring channels at a time.

#include <algorithm>

namespace sparq {

/// Zeros anywhere; docs/formats/csr.md.
struct csr {
  using k_map = scattered;
  using row_select = all;

  static std::string name() { return "csr"; }

  /// Channels of one panel.
  static constexpr std::size_t panel_channels = 16;

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<std::uint64_t> row_offsets;  // n + 1
    Array<index_t> columns;            // slots

    auto arrays() const { return std::tie(row_offsets, columns); }
    auto arrays() { return std::tie(row_offsets, columns); }
    std::size_t slots() const { return columns.size(); }
    std::size_t panels() const { return ceil_div(shape.n, panel_channels); }
    channel_range panel(std::size_t p) const {
      return {p * panel_channels, (std::min)(panel_channels, shape.n - p * panel_channels)};
    }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const auto [first, count] = panel(p);
      for (std::size_t n = first; n < first + count; ++n)
        for (std::size_t slot = row_offsets[n]; slot < row_offsets[n + 1]; ++slot) visit(slot, n, columns[slot]);
    }

    /// Offsets start at 0, never fall and end at the number of slots; columns ascend strictly and stay below K.
    /// O(n + slots).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      if (status s = check_offsets("csr: row_offsets", row_offsets, shape.n, columns.size()); !s.ok()) return s;
      return check_lists("csr: columns", columns, row_offsets, "channel", shape.k);
    }
  };

  /// Holds every mask: every kept element gets a slot.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}, {}};
    result.row_offsets.reserve(keep.shape.n + 1);
    result.row_offsets.push_back(0);
    result.columns.reserve(keep.kept());
    for (std::size_t n = 0; n < keep.shape.n; ++n) {
      append_kept(keep.channel(n), result.columns);
      result.row_offsets.push_back(result.columns.size());
    }
    return result;
  }
};

}  // namespace sparq

// ==== sparq/format/dense.hpp ====
// The format that stores everything: slot n * K + k, no index arrays. One panel holds all channels.
//
//        k ->
//   n  [ 0  1  2  3 ]     for each channel n: for each k: slot++
//   |  [ 4  5  6  7 ]
//   v  [ 8  9 10 11 ]

namespace sparq {

/// No zeros left out; docs/formats/dense.md.
struct dense {
  using k_map = contiguous;
  using row_select = all;
  static constexpr bool holds_every_weight = true;

  static std::string name() { return "dense"; }

  template <template <class> class Array>
  struct index {
    weight_shape shape;

    auto arrays() const { return std::tie(); }
    std::size_t slots() const { return shape.size(); }
    std::size_t panels() const { return shape.n == 0 ? 0 : 1; }
    channel_range panel(std::size_t) const { return {0, shape.n}; }

    template <class Visit>
    void for_each_slot(std::size_t, Visit&& visit) const {
      for (std::size_t n = 0, slot = 0; n < shape.n; ++n)
        for (std::size_t k = 0; k < shape.k; ++k) visit(slot++, n, k);
    }

    status validate() const { return sparq::validate(shape); }
  };

  /// Holds every mask: pruned elements are stored as zeros.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    return index<owned>{keep.shape};
  }
};

}  // namespace sparq

// ==== sparq/format/n_m.hpp ====
// N kept of every M consecutive k's, chosen by each channel for itself. (N counts what is kept, not what is pruned.)
//
//   n_m<2,4>, one channel, K = 9:  k 0 . 2 .   . . 6 7   8        groups of M; the last one may be short
//                          positions [0  2]    [2  3]   [0  1]    1 byte per slot, ascending inside a group
//                              slots  0  1      2  3     4  5     slot 5 only pads: its place lies beyond K
//
//   for each channel: for each group g: for j < N: slot++ holds W[n][g * M + positions[slot]]
//
// Every group has N slots. A group that keeps fewer than N gets further positions, lowest first, whose values are 0;
// so positions stay distinct. A panel is 16 channels (the last one ragged).

#include <algorithm>
#include <bit>

namespace sparq {

namespace detail {

/// What one group keeps: bit j stands for its j-th k.
struct group_bits {
  std::uint32_t bits = 0;
  std::size_t count = 0;
};

inline group_bits read_group(const std::uint8_t* keep, std::size_t length) {
  group_bits group;
  for (std::size_t j = 0; j < length; ++j) {
    const std::uint32_t kept = keep[j] != 0;
    group.bits |= kept << j;
    group.count += kept;
  }
  return group;
}

/// N ascending positions: those of the group, and the lowest others to fill up. @pre group.count <= N
template <std::size_t N>
std::uint8_t* write_positions(group_bits group, std::uint8_t* to) {
  for (std::size_t count = group.count; count < N; ++count) group.bits |= group.bits + 1;
  for (std::size_t j = 0; j < N; ++j, group.bits &= group.bits - 1)
    *to++ = static_cast<std::uint8_t>(std::countr_zero(group.bits));
  return to;
}

/// The position after the first N.
template <std::size_t N>
std::size_t first_surplus(group_bits group) {
  for (std::size_t j = 0; j < N; ++j) group.bits &= group.bits - 1;
  return static_cast<std::size_t>(std::countr_zero(group.bits));
}

/// `rows` rows of N positions for every M of k: strictly ascending and below M; in a short group the positions are
/// those of the k's that exist, as far as there are any.
template <std::size_t N, std::size_t M>
status check_positions(const std::string& format, std::span<const std::uint8_t> positions, std::size_t rows,
                       std::size_t k, const char* owner) {
  const std::size_t groups = ceil_div(k, M);
  if (status s = check_size(format + ": positions", positions.size(), rows * groups * N); !s.ok()) return s;
  const std::uint8_t* position = positions.data();
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t g = 0; g < groups; ++g, position += N) {
      const std::size_t limit = (std::max)(N, (std::min)(M, k - g * M));
      for (std::size_t j = 0; j < N; ++j) {
        const bool ascends = j == 0 || position[j] > position[j - 1];
        if (position[j] < limit && ascends) continue;
        return status::failure(format + ": positions[" + std::to_string((row * groups + g) * N + j) + "] is " +
                               std::to_string(position[j]) + " in " + owner + " " + std::to_string(row) + ", group " +
                               std::to_string(g) + "; it must be " +
                               (ascends ? "below " + std::to_string(limit)
                                        : "above " + std::to_string(position[j - 1]) + ", which it follows"));
      }
    }
  return {};
}

}  // namespace detail

/// N of every M k's, chosen by each channel; docs/formats/n_m.md.
template <std::size_t N, std::size_t M>
struct n_m {
  static_assert(1 <= N && N <= M && M <= 32, "sparq: n_m<N,M> keeps N of every M; choose 1 <= N <= M <= 32");

  using k_map = contiguous;
  using row_select = n_m_select<N, M>;

  static std::string name() { return "n_m<" + std::to_string(N) + "," + std::to_string(M) + ">"; }

  /// Channels of one panel.
  static constexpr std::size_t panel_channels = 16;

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<std::uint8_t> positions;  // slots

    auto arrays() const { return std::tie(positions); }
    auto arrays() { return std::tie(positions); }
    std::size_t slots() const { return positions.size(); }
    std::size_t groups() const { return ceil_div(shape.k, M); }
    std::size_t panels() const { return ceil_div(shape.n, panel_channels); }
    channel_range panel(std::size_t p) const {
      return {p * panel_channels, (std::min)(panel_channels, shape.n - p * panel_channels)};
    }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const auto [first, count] = panel(p);
      const std::size_t whole = shape.k / M * M;
      std::size_t slot = first * groups() * N;
      for (std::size_t n = first; n < first + count; ++n) {
        for (std::size_t k = 0; k < whole; k += M)
          for (std::size_t j = 0; j < N; ++j, ++slot) visit(slot, n, k + positions[slot]);
        if (whole == shape.k) continue;
        for (std::size_t j = 0; j < N; ++j, ++slot)
          if (whole + positions[slot] < shape.k) visit(slot, n, whole + positions[slot]);
      }
    }

    /// N positions for every group, strictly ascending, inside the group. O(slots).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      return detail::check_positions<N, M>(name(), positions, shape.n, shape.k, "channel");
    }
  };

  /// Refuses a group that keeps more than N, naming channel, group and count.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}};
    result.positions.resize(keep.shape.n * result.groups() * N);
    std::uint8_t* to = result.positions.data();
    const std::size_t whole = keep.shape.k / M * M;
    for (std::size_t n = 0; n < keep.shape.n; ++n) {
      const std::uint8_t* row = keep.channel(n).data();
      for (std::size_t k = 0; k < whole; k += M) {
        const detail::group_bits group = detail::read_group(row + k, M);
        if (group.count > N) return refusal(n, k, group);
        to = detail::write_positions<N>(group, to);
      }
      if (whole == keep.shape.k) continue;
      const detail::group_bits group = detail::read_group(row + whole, keep.shape.k - whole);
      if (group.count > N) return refusal(n, whole, group);
      to = detail::write_positions<N>(group, to);
    }
    return result;
  }

 private:
  SPARQ_COLD static status refusal(std::size_t n, std::size_t first_k, detail::group_bits group) {
    return status::failure(name() + ": channel " + std::to_string(n) + " keeps " + std::to_string(group.count) +
                           " k's of group " + std::to_string(first_k / M) + "; the first too many is " +
                           position_text(n, first_k + detail::first_surplus<N>(group)));
  }
};

}  // namespace sparq

// ==== sparq/format/tile_n_m.hpp ====
// N kept of every M consecutive k's, the choice shared by V neighbouring channels: one panel, one set of positions.
//
//   tile_n_m<3,2,4>, one panel, K = 8:    k 0 . 2 .  . . 6 7
//                                   r0      0   1        2 3      slots
//                                   r1      4   5        6 7
//                                   r2      8   9      10 11
//                              positions   [0   2]     [2 3]      N bytes per panel and group, ascending
//
//   for each panel: for each of its channels: for each group g: for j < N: slot++
//   holds W[n][g * M + positions[(panel * groups + g) * N + j]]
//
// Groups that keep fewer than N, and a short last group, are filled up as in n_m. The last panel has slots only for
// the channels that exist.

namespace sparq {

/// N of every M k's, the choice shared by V channels; docs/formats/tile_n_m.md.
template <std::size_t V, std::size_t N, std::size_t M>
struct tile_n_m {
  static_assert(V >= 1, "sparq: a tile needs at least one channel; use tile_n_m<V,N,M> with V >= 1");
  static_assert(1 <= N && N <= M && M <= 32, "sparq: tile_n_m<V,N,M> keeps N of every M; choose 1 <= N <= M <= 32");

  using k_map = n_m_shared<N, M>;
  using row_select = all;

  static std::string name() {
    return "tile_n_m<" + std::to_string(V) + "," + std::to_string(N) + "," + std::to_string(M) + ">";
  }

  /// Channels of one panel.
  static constexpr std::size_t panel_channels = V;

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<std::uint8_t> positions;  // panels x groups x N

    auto arrays() const { return std::tie(positions); }
    auto arrays() { return std::tie(positions); }
    std::size_t groups() const { return ceil_div(shape.k, M); }
    std::size_t slots() const { return shape.n * groups() * N; }
    std::size_t panels() const { return ceil_div(shape.n, V); }
    channel_range panel(std::size_t p) const { return {p * V, (std::min)(V, shape.n - p * V)}; }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const auto [first, count] = panel(p);
      const std::size_t whole = shape.k / M * M;
      const std::size_t first_position = p * groups() * N;
      std::size_t slot = first * groups() * N;
      for (std::size_t n = first; n < first + count; ++n) {
        std::size_t at = first_position;
        for (std::size_t k = 0; k < whole; k += M)
          for (std::size_t j = 0; j < N; ++j, ++slot, ++at) visit(slot, n, k + positions[at]);
        if (whole == shape.k) continue;
        for (std::size_t j = 0; j < N; ++j, ++slot, ++at)
          if (whole + positions[at] < shape.k) visit(slot, n, whole + positions[at]);
      }
    }

    /// N positions for every panel and group, strictly ascending, inside the group. O(panels K).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      return detail::check_positions<N, M>(name(), positions, panels(), shape.k, "panel");
    }
  };

  /// Refuses a group of which the channels of a panel together keep more than N.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}};
    result.positions.resize(result.panels() * result.groups() * N);
    std::uint8_t* to = result.positions.data();
    const std::size_t whole = keep.shape.k / M * M;
    std::vector<std::uint8_t> together(keep.shape.k);
    for (std::size_t p = 0; p < result.panels(); ++p) {
      std::fill(together.begin(), together.end(), std::uint8_t{0});
      const channel_range channels = result.panel(p);
      for (std::size_t n = channels.first; n < channels.first + channels.count; ++n) {
        const std::span<const std::uint8_t> row = keep.channel(n);
        for (std::size_t k = 0; k < row.size(); ++k) together[k] |= row[k];
      }
      for (std::size_t k = 0; k < keep.shape.k; k += M) {
        const detail::group_bits group = detail::read_group(&together[k], k < whole ? M : keep.shape.k - k);
        if (group.count > N) return refusal(keep, p, channels, k, group);
        to = detail::write_positions<N>(group, to);
      }
    }
    return result;
  }

 private:
  SPARQ_COLD static status refusal(mask_view keep, std::size_t p, channel_range channels, std::size_t first_k,
                                   detail::group_bits group) {
    const std::size_t k = first_k + detail::first_surplus<N>(group);
    std::size_t n = channels.first;
    while (!keep(n, k)) ++n;
    return status::failure(name() + ": the channels of panel " + std::to_string(p) + " together keep " +
                           std::to_string(group.count) + " k's of group " + std::to_string(first_k / M) +
                           "; the first too many is " + position_text(n, k));
  }
};

}  // namespace sparq

// ==== sparq/format/tile_wise.hpp ====
// Whole channels pruned, the kept ones taken G at a time into tiles, and in every tile a list of k's that all its
// channels share: a tile is a small dense matrix (arXiv 2008.13006). The paper's matrix is K x N; its columns are the
// channels n here and its rows the k's.
//
//   tile_wise<2>, K = 6          k 0 . 2 3 . .
//                       n=0        0   1 2            tile 0: channels [0, 3), kept 0 and 2
//                       n=1        .   . .   pruned
//                       n=2        3   4 5            slots: tile, then kept channel, then kept k
//                       n=3      . 6 . . . 7          tile 1: channels [3, 5), kept 3; trailing pruned channels
//                       n=4      . . . . . . pruned           belong to the last tile
//
//   tile_ends     [3 5]        end of each tile's channels           4 bytes per tile
//   kept_channels [0 2 | 3]    G per tile, fewer in the last one     4 bytes per kept channel
//   k_offsets     [0 3 5]      tile t owns k_list[k_offsets[t]] ..   8 bytes per tile
//   k_list        [0 2 3 | 1 5]  ascending inside a tile             4 bytes per tile and kept k
//
//   for each tile t: for each kept channel n of t: for each k of t's list: slot++ holds W[n][k]
//
// A matrix without any kept channel is one tile that stores nothing.

#include <algorithm>

namespace sparq {

/// Tiles of G kept channels that share a list of k's; docs/formats/tile_wise.md.
/// - `Inside`: nothing, or the pattern inside a tile: n_m<N,M> (tile_wise_n_m.hpp)
template <std::size_t G, class... Inside>
struct tile_wise;

template <std::size_t G>
struct tile_wise<G> {
  static_assert(G >= 1, "sparq: a tile needs at least one channel; use tile_wise<G> with G >= 1");

  using k_map = list;
  using row_select = all;

  static std::string name() { return "tile_wise<" + std::to_string(G) + ">"; }

  /// Kept channels of one tile; the last one may have fewer.
  static constexpr std::size_t tile_channels = G;

  template <template <class> class Array>
  struct index {
    weight_shape shape;
    Array<index_t> tile_ends;        // tiles
    Array<index_t> kept_channels;    // kept channels
    Array<std::uint64_t> k_offsets;  // tiles + 1
    Array<index_t> k_list;           // all tiles' k's

    auto arrays() const { return std::tie(tile_ends, kept_channels, k_offsets, k_list); }
    auto arrays() { return std::tie(tile_ends, kept_channels, k_offsets, k_list); }
    std::size_t panels() const { return tile_ends.size(); }
    std::size_t slots() const {
      if (panels() == 0) return 0;
      const std::size_t last = panels() - 1;
      return first_slot(last) + kept_of(last).size() * k_of(last).size();
    }
    channel_range panel(std::size_t p) const {
      const std::size_t first = p == 0 ? 0 : tile_ends[p - 1];
      return {first, tile_ends[p] - first};
    }
    /// The channels of tile p that are not pruned.
    std::span<const index_t> kept_of(std::size_t p) const {
      return std::span<const index_t>(kept_channels).subspan(p * G, (std::min)(G, kept_channels.size() - p * G));
    }
    /// The k's that tile p keeps.
    std::span<const index_t> k_of(std::size_t p) const {
      return std::span<const index_t>(k_list).subspan(k_offsets[p], k_offsets[p + 1] - k_offsets[p]);
    }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const std::span<const index_t> kept_k = k_of(p);
      std::size_t slot = first_slot(p);
      for (const std::size_t n : kept_of(p))
        for (const std::size_t k : kept_k) visit(slot++, n, k);
    }

    /// Tile ends rise to n, kept channels ascend and lie in their tile, every k list ascends strictly below K.
    /// O(tiles + kept channels + kept k's).
    status validate() const {
      if (status s = sparq::validate(shape); !s.ok()) return s;
      const std::size_t tiles = shape.n == 0 ? 0 : (std::max)(std::size_t{1}, ceil_div(kept_channels.size(), G));
      if (status s = check_size(name() + ": tile_ends", tile_ends.size(), tiles); !s.ok()) return s;
      for (std::size_t t = 0; t < tiles; ++t) {
        const std::size_t begin = t == 0 ? 0 : tile_ends[t - 1];
        if (tile_ends[t] <= begin || tile_ends[t] > shape.n || (t + 1 == tiles && tile_ends[t] != shape.n))
          return wrong("tile_ends", t, tile_ends[t],
                       t + 1 == tiles
                           ? "be " + std::to_string(shape.n) + ", the number of channels"
                           : "lie above " + std::to_string(begin) + " and not above " + std::to_string(shape.n));
      }
      for (std::size_t i = 0; i < kept_channels.size(); ++i) {
        if (tiles == 0) return wrong("kept_channels", i, kept_channels[i], "not be there: the matrix has no channels");
        const std::size_t lowest = i % G != 0 ? std::size_t{kept_channels[i - 1]} + 1 : panel(i / G).first;
        if (kept_channels[i] < lowest || kept_channels[i] >= tile_ends[i / G])
          return wrong("kept_channels", i, kept_channels[i],
                       "lie between " + std::to_string(lowest) + " and the end of tile " + std::to_string(i / G) +
                           ", " + std::to_string(tile_ends[i / G]));
      }
      if (status s = check_offsets(name() + ": k_offsets", k_offsets, tiles, k_list.size()); !s.ok()) return s;
      return check_lists(name() + ": k_list", k_list, k_offsets, "tile", shape.k);
    }

   private:
    // All tiles before the last one have exactly G channels.
    std::size_t first_slot(std::size_t p) const { return G * k_offsets[p]; }

    static status wrong(const char* array, std::size_t i, std::size_t value, const std::string& wanted) {
      return status::failure(name() + ": " + array + "[" + std::to_string(i) + "] is " + std::to_string(value) +
                             "; it must " + wanted);
    }
  };

  /// Holds every mask: a channel is kept if it keeps anything, a k of a tile if any channel of the tile keeps it.
  static expected<index<owned>> from_mask(mask_view keep) {
    if (status s = validate(keep.shape); !s.ok()) return s;
    index<owned> result{keep.shape, {}, {}, {0}, {}};
    result.k_list.reserve(keep.kept() / G);            // all of them, if the mask is tile-wise
    std::vector<std::uint8_t> together(keep.shape.k);  // what any channel of the open tile keeps
    const auto close_tile = [&](std::size_t end) {
      append_kept(together, result.k_list);
      std::fill(together.begin(), together.end(), std::uint8_t{0});
      result.tile_ends.push_back(static_cast<index_t>(end));
      result.k_offsets.push_back(result.k_list.size());
    };
    std::size_t open = 0;  // kept channels of the open tile
    for (std::size_t n = 0; n < keep.shape.n; ++n) {
      const std::span<const std::uint8_t> row = keep.channel(n);
      if (std::all_of(row.begin(), row.end(), [](std::uint8_t kept) { return kept == 0; })) continue;
      if (open == G) {
        close_tile(result.kept_channels.back() + 1);
        open = 0;
      }
      for (std::size_t k = 0; k < row.size(); ++k) together[k] |= row[k];
      result.kept_channels.push_back(static_cast<index_t>(n));
      ++open;
    }
    if (keep.shape.n != 0) close_tile(keep.shape.n);
    return result;
  }
};

}  // namespace sparq

// ==== sparq/format/tile_wise_n_m.hpp ====
// Tile-wise outside, N:M inside (arXiv 2402.10876, there TVW): the channels of a tile share a list of k's, and of every
// M consecutive entries of that list each channel keeps N of its own.
//
//   tile_wise<2, n_m<1,2>>, one tile    k  0 . 2 3 . 5 6      list [0 2 3 5 6], groups [0 2] [3 5] [6]
//                                     n=0  0   . .   1 2      positions [0] [1] [0]   1 byte per slot
//                                     n=1  .   3 4   . .      positions [1] [0] [0]   slot 5 only pads
//
//   tile_ends, kept_channels, k_offsets, k_list     as in tile_wise
//   slot_offsets [0 6]    tile t owns the slots slot_offsets[t] .. of all its kept channels     8 bytes per tile
//
//   for each tile: for each kept channel n: for each group g of M entries: for j < N: slot++
//   holds W[n][list[g * M + positions[slot]]]
//
// Groups that keep fewer than N, and a short last group, are filled up as in n_m. The list may name k's that no channel
// keeps, so that the others fall into groups that fit.

namespace sparq {

/// Tiles of G kept channels that share a list of k's, of which every channel keeps N of M; docs/formats/tile_wise.md.
template <std::size_t G, std::size_t N, std::size_t M>
struct tile_wise<G, n_m<N, M>> {
  using k_map = list;
  using row_select = n_m_select<N, M>;

  static std::string name() { return "tile_wise<" + std::to_string(G) + "," + n_m<N, M>::name() + ">"; }

  /// Kept channels of one tile; the last one may have fewer.
  static constexpr std::size_t tile_channels = G;

  template <template <class> class Array>
  struct index : tile_wise<G>::template index<Array> {
    using tiles = typename tile_wise<G>::template index<Array>;
    Array<std::uint64_t> slot_offsets;  // tiles + 1
    Array<std::uint8_t> positions;      // slots

    auto arrays() const { return std::tuple_cat(tiles::arrays(), std::tie(slot_offsets, positions)); }
    auto arrays() { return std::tuple_cat(tiles::arrays(), std::tie(slot_offsets, positions)); }
    std::size_t slots() const { return positions.size(); }
    /// Slots of tile p.
    std::size_t slots_of(std::size_t p) const {
      return this->kept_of(p).size() * ceil_div(this->k_of(p).size(), M) * N;
    }

    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const std::span<const index_t> listed = this->k_of(p);
      std::size_t slot = slot_offsets[p];
      for (const std::size_t n : this->kept_of(p))
        for (std::size_t first = 0; first < listed.size(); first += M)
          for (std::size_t j = 0; j < N; ++j, ++slot)
            if (first + positions[slot] < listed.size()) visit(slot, n, std::size_t{listed[first + positions[slot]]});
    }

    /// What tile_wise wants, and N positions for every group, strictly ascending, inside the group. O(slots).
    status validate() const {
      if (status s = tiles::validate(); !s.ok()) return s;
      if (status s = check_offsets(name() + ": slot_offsets", slot_offsets, this->panels(), positions.size()); !s.ok())
        return s;
      for (std::size_t p = 0; p < this->panels(); ++p) {
        const std::size_t slots = slot_offsets[p + 1] - slot_offsets[p];
        const std::string tile = name() + ": tile " + std::to_string(p);
        if (status s = check_size(tile + ": positions", slots, slots_of(p)); !s.ok()) return s;
        const std::span<const std::uint8_t> own =
            std::span<const std::uint8_t>(positions).subspan(slot_offsets[p], slots);
        if (status s =
                detail::check_positions<N, M>(tile, own, this->kept_of(p).size(), this->k_of(p).size(), "kept channel");
            !s.ok())
          return s;
      }
      return {};
    }
  };

  /// Holds a mask if the k's of every tile can be listed so that no channel keeps more than N of M entries; of several
  /// such lists one with few groups. Refuses it otherwise, naming tile, channel and k. O(n k).
  static expected<index<owned>> from_mask(mask_view keep) {
    auto tiles = tile_wise<G>::from_mask(keep);
    if (!tiles.ok()) return tiles.error();
    index<owned> result{std::move(tiles).value(), {0}, {}};
    const owned<index_t> used = std::exchange(result.k_list, {});
    const owned<std::uint64_t> used_offsets = std::exchange(result.k_offsets, {0});
    for (std::size_t p = 0; p < result.panels(); ++p) {
      const std::span<const index_t> channels = result.kept_of(p);
      const std::span<const index_t> own =
          std::span(used).subspan(used_offsets[p], used_offsets[p + 1] - used_offsets[p]);
      if (!append_list(keep, channels, own, result.k_list)) return refusal(keep, p, channels, own);
      result.k_offsets.push_back(result.k_list.size());
      append_positions(keep, channels, result.k_of(p), result.positions);
      result.slot_offsets.push_back(result.positions.size());
    }
    return result;
  }

 private:
  /// Appends the tile's list. A group is a range [first, last) of k's; all used k's in it are listed, and unused ones
  /// until it has M entries, except in the last group.
  static bool append_list(mask_view keep, std::span<const index_t> channels, std::span<const index_t> used,
                          owned<index_t>& list) {
    const std::size_t extent = keep.shape.k;
    std::vector<std::uint8_t> is_used(extent, 0);
    for (const std::size_t k : used) is_used[k] = 1;
    const std::vector<std::size_t> farthest = farthest_ends(keep, channels, is_used);

    // from a boundary b the rest can be listed if it fits one group, or if such a boundary lies in [b + M, farthest]
    std::vector<std::uint8_t> possible(extent + 1, 0);
    std::size_t next = extent + 1;  // lowest possible boundary not below b + M
    std::vector<std::size_t> next_possible(extent + 2, extent + 1);
    for (std::size_t b = extent + 1; b-- > 0;) {
      next = b + M <= extent ? next_possible[b + M] : extent + 1;
      possible[b] = farthest[b] == extent || next <= farthest[b];
      next_possible[b] = possible[b] != 0 ? b : next_possible[b + 1];
    }
    if (possible[0] == 0) return false;

    for (std::size_t b = 0; b < extent;) {
      std::size_t end = farthest[b];
      const bool is_last = end == extent;
      while (!is_last && possible[end] == 0) --end;
      const auto in_use = static_cast<std::size_t>(std::count(is_used.begin() + static_cast<std::ptrdiff_t>(b),
                                                              is_used.begin() + static_cast<std::ptrdiff_t>(end), 1));
      std::size_t unused = is_last ? 0 : M - in_use;
      for (std::size_t k = b; k < end; ++k) {
        if (is_used[k] == 0 && unused == 0) continue;
        unused -= is_used[k] == 0 ? 1 : 0;
        list.push_back(static_cast<index_t>(k));
      }
      b = end;
    }
    return true;
  }

  /// For every k, the end of the longest range from it that uses at most M k's, and of them N by one channel.
  static std::vector<std::size_t> farthest_ends(mask_view keep, std::span<const index_t> channels,
                                                const std::vector<std::uint8_t>& is_used) {
    const std::size_t extent = is_used.size();
    std::vector<std::size_t> ends(extent + 1, extent);
    std::vector<std::size_t> kept(channels.size(), 0);  // of every channel, in [first, end)
    std::size_t used = 0;
    std::size_t end = 0;
    const auto fits = [&](std::size_t k) {
      if (is_used[k] == 0) return true;
      if (used == M) return false;
      for (std::size_t c = 0; c < channels.size(); ++c)
        if (kept[c] == N && keep(channels[c], k)) return false;
      return true;
    };
    const auto count = [&](std::size_t k, std::size_t by) {
      if (is_used[k] == 0) return;
      used += by;
      for (std::size_t c = 0; c < channels.size(); ++c) kept[c] += keep(channels[c], k) ? by : 0;
    };
    for (std::size_t first = 0; first < extent; ++first) {
      for (; end < extent && fits(end); ++end) count(end, 1);
      ends[first] = end;
      count(first, ~std::size_t{0});  // minus 1
    }
    return ends;
  }

  static void append_positions(mask_view keep, std::span<const index_t> channels, std::span<const index_t> list,
                               owned<std::uint8_t>& positions) {
    std::size_t at = positions.size();
    positions.resize(at + channels.size() * ceil_div(list.size(), M) * N);
    for (const std::size_t n : channels)
      for (std::size_t first = 0; first < list.size(); first += M, at += N) {
        detail::group_bits group;
        for (std::size_t j = 0; j < (std::min)(M, list.size() - first); ++j) {
          const std::uint32_t kept = keep(n, list[first + j]) ? 1 : 0;
          group.bits |= kept << j;
          group.count += kept;
        }
        detail::write_positions<N>(group, positions.data() + at);
      }
  }

  SPARQ_COLD static status refusal(mask_view keep, std::size_t p, std::span<const index_t> channels,
                                   std::span<const index_t> used) {
    for (std::size_t first = 0; first < used.size(); first += M)
      for (const std::size_t n : channels) {
        std::size_t kept = 0;
        for (std::size_t i = first; i < (std::min)(first + M, used.size()); ++i)
          if (keep(n, used[i]) && ++kept > N)
            return status::failure(name() + ": no list of k's for tile " + std::to_string(p) +
                                   " lets every channel keep at most " + std::to_string(N) + " of " +
                                   std::to_string(M) + " entries; the first too many is " + position_text(n, used[i]));
      }
    return status::failure(name() + ": tile " + std::to_string(p) + " has no list of k's");
  }
};

}  // namespace sparq

// ==== sparq/tensor/basic_any_tensor.hpp ====
// A tensor whose type is chosen at run time, by name, among those that a program lists. The set is closed; an operation
// asks once what it holds and goes on with the type that it finds. tensor/any_tensor.hpp lists the library's own types.
//
//   using csr_or_dense = basic_any_tensor<std::variant<tensor<csr, s8>, tensor<dense, s8>>>;
//   const auto w = csr_or_dense::encode(name, "s8", weights, shape);

// ==== sparq/tensor/encode.hpp ====
// From dense matrices to tensors and back. encode and decode are exact inverses on the kept elements; an element that
// the format would have to drop is an error that names its position, never dropped.

// ==== sparq/tensor/tensor.hpp ====
// A weight matrix W[n][k] in its canonical, documented form: where the slots are (format), what a code is (numeric) and
// what real number it means (quantization). Where codes are places in tables, the tables are part of it. Kernels run on
// its packed form (packed.hpp).

#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq {

/// The granularity that a numeric type has unless another is named: integers per channel, floats none.
template <numeric N>
using default_granularity = std::conditional_t<N::is_integer, per_channel, unquantized>;

namespace detail {

/// The tables of numeric types that have none.
struct no_tables {
  static constexpr std::size_t size_bytes() { return 0; }
};
template <class N>
struct tables_of {
  using viewed = no_tables;
  using owned = no_tables;
};
template <has_tables N>
struct tables_of<N> {
  using viewed = std::span<const typename N::entry::code>;
  using owned = std::vector<typename N::entry::code>;
};

/// The first thing that is wrong with the tables of W[n][k], or ok.
/// - `needs_zero`: W may have weights that are not stored
template <has_tables N>
status check_tables(std::span<const typename N::entry::code> tables, weight_shape shape, bool needs_zero,
                    const std::string& format_name) {
  const std::size_t count = table_entries<N>(shape.n, shape.k);
  if (tables.size() != count)
    return status::failure(format_name + ": " + std::to_string(tables.size()) + " entries of tables; " +
                           std::string(N::name) + " needs " + std::to_string(count) + " for a matrix of " +
                           to_string(shape));
  for (std::size_t t = 0; t < tables.size(); t += N::entries) {
    bool has_zero = false;
    for (std::size_t i = t; i < t + N::entries; ++i) {
      has_zero = has_zero || tables[i] == 0;
      if (!is_finite(static_cast<float>(tables[i])))
        return status::failure(format_name + ": entry " + std::to_string(i - t) + " of table " +
                               std::to_string(t / N::entries) + " is " + number_text(static_cast<float>(tables[i])));
    }
    if (needs_zero && !has_zero)
      return status::failure(format_name + ": table " + std::to_string(t / N::entries) +
                             " has no entry of 0; pruned weights are zeros, so one entry has to be");
  }
  return {};
}

}  // namespace detail

/// A tensor over memory that somebody else keeps, a mapped file for example. Trivially copyable.
template <format Format, numeric Numeric, quantization_granularity Granularity = default_granularity<Numeric>>
struct tensor_view {
  using format_type = Format;
  using numeric_type = Numeric;
  using granularity = Granularity;

  typename Format::template index<viewed> index;
  std::span<const std::byte> values;  // storage_bytes<Numeric>(index.slots()) bytes, codes in the order of slots
  std::span<const float> scales;      // Granularity::scale_count(n, k)
  /// Of a codebook: table_entries<Numeric>(n, k) entries, nothing for others.
  [[no_unique_address]] typename detail::tables_of<Numeric>::viewed tables{};

  static_assert(holds_every_weight_v<Format> || !requires { Numeric::table::bucket; },
                "sparq: buckets cut the matrix as it lies in memory, rows one after the other, which only dense keeps; "
                "use dense, or tables per_channel");

  weight_shape shape() const { return index.shape; }
  /// Bytes of values, indices, scales and tables.
  std::size_t bytes() const { return values.size() + index_bytes(index) + scales.size_bytes() + tables.size_bytes(); }
  /// slots / (n k); 0 for an empty matrix.
  double density() const {
    return shape().size() == 0 ? 0.0 : static_cast<double>(index.slots()) / static_cast<double>(shape().size());
  }

  /// The first thing that is wrong with indices, sizes or scales, or ok. O(slots).
  status validate() const {
    if (status s = index.validate(); !s.ok()) return s;
    if (values.size() != storage_bytes<Numeric>(index.slots()))
      return status::failure(Format::name() + ": " + std::to_string(values.size()) + " bytes of values for " +
                             std::to_string(index.slots()) + " slots; " +
                             std::to_string(storage_bytes<Numeric>(index.slots())) + " are needed");
    const std::size_t count = Granularity::scale_count(shape().n, shape().k);
    if (scales.size() != count)
      return status::failure(Format::name() + ": " + std::to_string(scales.size()) + " scales; " +
                             std::to_string(count) + " are needed");
    for (std::size_t i = 0; i < scales.size(); ++i)
      if (!(scales[i] > 0.0F) || !(scales[i] <= 3.402823466e+38F))
        return status::failure(Format::name() + ": scales[" + std::to_string(i) + "] is " + std::to_string(scales[i]) +
                               "; scales are positive and finite");
    if constexpr (has_tables<Numeric>)
      return detail::check_tables<Numeric>(tables, shape(), !holds_every_weight_v<Format>, Format::name());
    return {};
  }
};

/// A tensor that owns its arrays.
template <format Format, numeric Numeric, quantization_granularity Granularity = default_granularity<Numeric>>
class tensor {
 public:
  using format_type = Format;
  using numeric_type = Numeric;
  using granularity = Granularity;
  using view_type = tensor_view<Format, Numeric, Granularity>;
  using index_type = typename Format::template index<owned>;
  /// A vector of entries for a codebook.
  using tables_type = typename detail::tables_of<Numeric>::owned;

  tensor() = default;
  tensor(unchecked_t, index_type index, aligned_buffer values, std::vector<float> scales, tables_type tables = {})
      : index_(std::move(index)), values_(std::move(values)), scales_(std::move(scales)), tables_(std::move(tables)) {}
  /// Raises the first thing that `tensor_view::validate` finds.
  tensor(index_type index, aligned_buffer values, std::vector<float> scales, tables_type tables = {})
      : tensor(unchecked, std::move(index), std::move(values), std::move(scales), std::move(tables)) {
    view().validate().value();
  }
  static expected<tensor> try_make(index_type index, aligned_buffer values, std::vector<float> scales,
                                   tables_type tables = {}) {
    tensor result(unchecked, std::move(index), std::move(values), std::move(scales), std::move(tables));
    if (status s = result.view().validate(); !s.ok()) return s;
    return result;
  }

  view_type view() const { return {view_of<Format>(index_), values_.bytes(), scales_, tables_}; }
  operator view_type() const { return view(); }

  weight_shape shape() const { return index_.shape; }
  const index_type& index() const { return index_; }
  std::span<const std::byte> values() const { return values_.bytes(); }
  std::span<const float> scales() const { return scales_; }
  const tables_type& tables() const { return tables_; }
  std::size_t bytes() const { return view().bytes(); }
  double density() const { return view().density(); }

 private:
  index_type index_;
  aligned_buffer values_;
  std::vector<float> scales_;
  [[no_unique_address]] tables_type tables_;
};

/// What a slot multiplies by: its code, or the entry that the code chooses. `n`, `k`: where the slot is.
template <format F, numeric N, quantization_granularity G>
typename entry_t<N>::code load_weight(const tensor_view<F, N, G>& w, std::size_t slot, [[maybe_unused]] std::size_t n,
                                      [[maybe_unused]] std::size_t k) {
  if constexpr (has_tables<N>)
    return w.tables[table_start<N>(n, k, w.shape().k) + load_code<N>(w.values.data(), slot)];
  else
    return load_code<N>(w.values.data(), slot);
}

namespace detail {
template <class T>
inline constexpr bool is_tensor_v = false;
template <class F, class N, class G>
inline constexpr bool is_tensor_v<tensor<F, N, G>> = true;
template <class F, class N, class G>
inline constexpr bool is_tensor_v<tensor_view<F, N, G>> = true;
}  // namespace detail

}  // namespace sparq

#include <vector>

namespace sparq {

namespace detail {

/// Visits all slots of a tensor's index: f(slot, n, k).
template <class Index, class Visit>
void for_each_slot(const Index& index, Visit&& visit) {
  for (std::size_t p = 0; p < index.panels(); ++p) index.for_each_slot(p, visit);
}

inline status check_extent(std::size_t values, weight_shape shape) {
  if (status s = validate(shape); !s.ok()) return status::failure("encode: " + s.message());
  if (values == shape.size()) return {};
  return status::failure("encode: " + std::to_string(values) + " values for a matrix of " + to_string(shape));
}

/// The first slot whose weight is pruned although N has no code for 0.
template <numeric N, class Index, class IsPruned>
status check_slots(const std::string& format_name, const Index& index, IsPruned&& is_pruned) {
  status result;
  if constexpr (!has_zero_v<N>)
    for_each_slot(index, [&](std::size_t, std::size_t n, std::size_t k) {
      if (result.ok() && is_pruned(n * index.shape.k + k))
        result = status::failure("encode: " + position_text(n, k) + " is pruned, but " + format_name + " stores it and " +
                                 std::string(N::name) + " has no code for 0; keep it, or use ternary");
    });
  return result;
}

template <numeric N>
status check_finite(std::span<const float> weights, weight_shape shape) {
  for (std::size_t i = 0; i < weights.size(); ++i)
    if (!is_finite(static_cast<float>(static_cast<typename N::code>(weights[i]))))
      return status::failure("encode: weight " + position_text(i / shape.k, i % shape.k) + " is " +
                             number_text(weights[i]) + (is_finite(weights[i]) ? ", too large for " + std::string(N::name) : ""));
  return {};
}

}  // namespace detail

/// Quantizes and stores the elements of `weights` that `keep` keeps; the others count as pruned.
/// - `weights`: shape.n x shape.k, row-major, finite
/// - scales: max |w| / max code for each scale of the granularity, binary: mean |w| (numeric/quantization.hpp)
/// Errors: sizes that do not match, a NaN or infinite weight, a kept element that the format cannot hold, a pruned one
/// that it stores while N has no code for 0.
/// Complexity O(n k).
template <format F, numeric N, quantization_granularity G = default_granularity<N>>
expected<tensor<F, N, G>> try_encode(std::span<const float> weights, weight_shape shape, mask_view keep) {
  if (status s = detail::check_extent(weights.size(), shape); !s.ok()) return s;
  if (!(keep.shape == shape))
    return status::failure("encode: the mask is " + to_string(keep.shape) + ", the weights are " + to_string(shape));
  std::vector<float> scales(G::scale_count(shape.n, shape.k));
  if constexpr (std::is_same_v<G, unquantized>) {
    if (status s = detail::check_finite<N>(weights, shape); !s.ok()) return s;
  } else if constexpr (requires { N::scale_is_mean; }) {
    const std::span kept(keep.keep, shape.size());
    if (status s = choose_mean_scales<G>(weights, kept, shape.n, shape.k, scales); !s.ok()) return s;
  } else {
    if (status s = choose_scales<N, G>(weights, shape.n, shape.k, scales); !s.ok()) return s;
  }
  auto index = F::from_mask(keep);
  if (!index) return index.error();
  const auto is_pruned = [&](std::size_t at) { return keep.keep[at] == 0; };
  if (status s = detail::check_slots<N>(F::name(), *index, is_pruned); !s.ok()) return s;

  aligned_buffer values(storage_bytes<N>(index->slots()));
  if constexpr (std::is_same_v<G, unquantized>) {
    detail::for_each_slot(*index, [&](std::size_t slot, std::size_t n, std::size_t k) {
      const std::size_t at = n * shape.k + k;  // not kept: padding inside a block
      if (keep.keep[at] != 0) store_code<N>(values.data(), slot, static_cast<typename N::code>(weights[at]));
    });
  } else {
    std::vector<typename N::code> codes(shape.size());
    quantize_weights<N, G>(weights, std::span(keep.keep, shape.size()), shape.n, shape.k, scales, codes);
    detail::for_each_slot(*index, [&](std::size_t slot, std::size_t n, std::size_t k) {
      store_code<N>(values.data(), slot, codes[n * shape.k + k]);
    });
  }
  return tensor<F, N, G>(unchecked, *std::move(index), std::move(values), std::move(scales));
}

/// As above; keeps what is not zero, and everything where neither the format leaves anything out nor N has a code for 0.
template <format F, numeric N, quantization_granularity G = default_granularity<N>>
expected<tensor<F, N, G>> try_encode(std::span<const float> weights, weight_shape shape) {
  if (status s = detail::check_extent(weights.size(), shape); !s.ok()) return s;
  if constexpr (holds_every_weight_v<F> && !has_zero_v<N>) return try_encode<F, N, G>(weights, shape, mask(shape, true));
  return try_encode<F, N, G>(weights, shape, nonzero_mask(weights, shape));
}

/// Stores codes that are quantized already; keeps what is not zero.
/// - `codes`: shape.n x shape.k, row-major, codes of N, or 0 where the format leaves it out
/// - `scales`: G::scale_count(n, k), positive
/// Errors: sizes, a code out of range, a code that the format cannot hold, a 0 that it stores while N has no code for it,
/// a scale that is not positive and finite.
template <format F, numeric N, quantization_granularity G = default_granularity<N>>
expected<tensor<F, N, G>> try_encode_codes(std::span<const typename N::code> codes, weight_shape shape,
                                           std::vector<float> scales) {
  if (status s = detail::check_extent(codes.size(), shape); !s.ok()) return s;
  if constexpr (N::is_integer && N::bits < 8)
    for (std::size_t i = 0; i < codes.size(); ++i)
      if (!is_code<N>(codes[i]) && codes[i] != 0)
        return status::failure("encode: code " + std::to_string(codes[i]) + " at " +
                               position_text(i / shape.k, i % shape.k) + " is outside " + std::string(N::name));
  auto index = F::from_mask(nonzero_mask(codes, shape));
  if (!index) return index.error();
  const auto is_pruned = [&](std::size_t at) { return codes[at] == typename N::code{}; };
  if (status s = detail::check_slots<N>(F::name(), *index, is_pruned); !s.ok()) return s;
  aligned_buffer values(storage_bytes<N>(index->slots()));
  detail::for_each_slot(*index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    store_code<N>(values.data(), slot, codes[n * shape.k + k]);
  });
  return tensor<F, N, G>::try_make(*std::move(index), std::move(values), std::move(scales));
}

/// Throwing twins.
template <format F, numeric N, quantization_granularity G = default_granularity<N>>
tensor<F, N, G> encode(std::span<const float> weights, weight_shape shape, mask_view keep) {
  return try_encode<F, N, G>(weights, shape, keep).value();
}
template <format F, numeric N, quantization_granularity G = default_granularity<N>>
tensor<F, N, G> encode(std::span<const float> weights, weight_shape shape) {
  return try_encode<F, N, G>(weights, shape).value();
}
template <format F, numeric N, quantization_granularity G = default_granularity<N>>
tensor<F, N, G> encode_codes(std::span<const typename N::code> codes, weight_shape shape, std::vector<float> scales) {
  return try_encode_codes<F, N, G>(codes, shape, std::move(scales)).value();
}

/// The dense n x k matrix of codes, of entries for a codebook; pruned elements 0. O(n k).
template <format F, numeric N, quantization_granularity G>
std::vector<typename entry_t<N>::code> decode_codes(const tensor_view<F, N, G>& w) {
  std::vector<typename entry_t<N>::code> codes(w.shape().size());
  detail::for_each_slot(w.index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    codes[n * w.shape().k + k] = load_weight(w, slot, n, k);
  });
  return codes;
}

/// The dense n x k matrix of real numbers, pruned elements 0. O(n k).
template <format F, numeric N, quantization_granularity G>
std::vector<float> decode(const tensor_view<F, N, G>& w) {
  std::vector<float> values(w.shape().size());
  detail::for_each_slot(w.index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    const auto code = static_cast<float>(load_weight(w, slot, n, k));
    if constexpr (std::is_same_v<G, unquantized>)
      values[n * w.shape().k + k] = code;
    else
      values[n * w.shape().k + k] = code * w.scales[G::scale_index(n, k, w.shape().k)];
  });
  return values;
}

template <format F, numeric N, quantization_granularity G>
auto decode_codes(const tensor<F, N, G>& w) { return decode_codes(w.view()); }
template <format F, numeric N, quantization_granularity G>
auto decode(const tensor<F, N, G>& w) { return decode(w.view()); }

}  // namespace sparq

// ==== sparq/tensor/pack.hpp ====
// The explicit step from a tensor to what kernels read (packed.hpp, packed_columns.hpp, packed_bitmask.hpp). It says
// beforehand how many bytes it writes, and writes them into the caller's memory if asked. Works for every format, the
// user's own included.

// ==== sparq/tensor/pack_bitmask.hpp ====
// From a tensor of any format to packed_bitmask.hpp. Codes of 0 are not stored.

// ==== sparq/tensor/packed_bitmask.hpp ====
// The form that stores every weight that is not zero once, and one bit for each that could be: any zeros anywhere, for
// products of few rows, whose time is the time to read the weights. The loop expands it to words of the rows loop
// (packed.hpp), a piece at a time in the first-level cache. The bytes are the same on every machine.
//
//   strip of 16 channels, section of k's
//   masks   [64 bits] [64 bits] ...    bit i: place i of the words of 16 channels and 4 k's holds a weight
//   codes   [code] [code] ...          a stream of the weights, in the order of places; starts on a whole byte
//
//   integers: place = 4 channel + k        floats: place = 16 k + channel
//
//   for each strip: for each section:  words = expand(codes, masks);  for each row: rows loop over the words

// ==== sparq/tensor/packed_block.hpp ====
// One block of bytes that describes itself: a header, then arrays on 64-byte boundaries. What packed tensors have in
// common, whichever loop reads them.

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace sparq {

namespace detail {

inline constexpr std::size_t packed_array_count = 11;
using packed_sizes = std::array<std::size_t, packed_array_count>;

/// The first bytes of the block.
struct packed_header {
  std::array<char, 8> magic = {'s', 'p', 'a', 'r', 'q', 'p', 'k', '1'};
  std::uint64_t bytes = 0;  // of the whole block
  std::uint64_t n = 0;
  std::uint64_t k = 0;
  std::uint64_t slots = 0;  // of the canonical tensor
  std::array<std::uint64_t, packed_array_count> offset{};
  std::array<std::uint64_t, packed_array_count> count{};
  std::array<char, 64> format{};  // name of the canonical format
  std::array<char, 96> layout{};  // what loops read it: policies, numeric type, granularity and panel shape

  /// Sets the names, and the offsets of arrays whose counts are known.
  void place(const std::string& format_name, const std::string& layout_name, const packed_sizes& element_bytes) {
    format_name.copy(format.data(), format.size() - 1);
    layout_name.copy(layout.data(), layout.size() - 1);
    bytes = round_up(sizeof(packed_header), alignment);
    for (std::size_t i = 0; i < packed_array_count; ++i) {
      offset[i] = bytes;
      bytes += round_up(static_cast<std::size_t>(count[i]) * element_bytes[i], alignment);
    }
  }
};

/// Whether a block starts with the header of this layout and holds all of its arrays.
inline status check_packed_header(std::span<const std::byte> block, const std::string& layout_name,
                                  const packed_sizes& element_bytes) {
  const auto wrong = [](const std::string& what) { return status::failure("packed tensor: " + what); };
  if (block.size() < sizeof(packed_header))
    return wrong(std::to_string(block.size()) + " bytes are less than a header of " +
                 std::to_string(sizeof(packed_header)));
  if (reinterpret_cast<std::uintptr_t>(block.data()) % alignment != 0)
    return wrong("the block does not start on a boundary of 64 bytes");
  const auto& header = *reinterpret_cast<const packed_header*>(block.data());
  if (header.magic != packed_header{}.magic) return wrong("the block does not start with sparqpk1");
  const std::string layout(header.layout.data(), strnlen(header.layout.data(), header.layout.size()));
  if (layout != layout_name) return wrong("packed as \"" + layout + "\", wanted as \"" + layout_name + "\"");
  if (header.format.back() != '\0') return wrong("the format's name has no end");
  if (header.bytes > block.size())
    return wrong("needs " + std::to_string(header.bytes) + " bytes, " + std::to_string(block.size()) + " are here");
  for (std::size_t i = 0; i < packed_array_count; ++i)
    if (header.offset[i] % alignment != 0 || header.offset[i] > header.bytes ||
        header.count[i] > (header.bytes - header.offset[i]) / element_bytes[i])
      return wrong("array " + std::to_string(i) + " lies outside the block");
  return {};
}

/// What every view of a packed tensor tells from the header.
class packed_base {
 public:
  packed_base() = default;
  explicit packed_base(const std::byte* block) : block_(block) {}

  weight_shape shape() const {
    return {static_cast<std::size_t>(header().n), static_cast<std::size_t>(header().k)};
  }
  std::size_t bytes() const { return static_cast<std::size_t>(header().bytes); }
  std::span<const std::byte> block() const { return {block_, bytes()}; }
  std::string_view format_name() const { return header().format.data(); }
  /// Slots of the canonical tensor / (n k); 0 for an empty matrix.
  double density() const {
    return shape().size() == 0 ? 0.0 : static_cast<double>(header().slots) / static_cast<double>(shape().size());
  }

 protected:
  /// A view of no block is that of a 0 x 0 matrix.
  const packed_header& header() const {
    static constexpr packed_header none{};
    return block_ == nullptr ? none : *reinterpret_cast<const packed_header*>(block_);
  }
  template <class T, class Array>
  std::span<const T> array(Array which) const {
    const auto i = static_cast<std::size_t>(which);
    return {reinterpret_cast<const T*>(block_ + header().offset[i]), static_cast<std::size_t>(header().count[i])};
  }

 private:
  const std::byte* block_ = nullptr;
};

/// [offset, offset + a b) lies in [0, size).
constexpr bool fits(std::uint64_t offset, std::uint64_t a, std::uint64_t b, std::uint64_t size) {
  return offset <= size && (a == 0 || b <= (size - offset) / a);
}

}  // namespace detail

/// A packed tensor that owns its block.
template <class View>
class packed {
 public:
  using view_type = View;

  packed() = default;
  /// @pre `block` was written by pack_into for this type
  packed(unchecked_t, aligned_buffer block) : block_(std::move(block)) {}

  /// A view into this block, which must outlive it.
  View view() const& { return View(unchecked, block_.data()); }
  View view() const&& = delete;
  /// For calls: a view of a temporary lasts as long as the call.
  operator View() const { return view(); }
  weight_shape shape() const { return view().shape(); }
  std::size_t bytes() const { return block_.size(); }
  std::span<const std::byte> block() const { return block_.bytes(); }

 private:
  aligned_buffer block_;
};

}  // namespace sparq

#include <bit>
#include <span>

namespace sparq {

/// Geometry of a strip that is stored as a bitmask: channels interleaved, and consecutive k's in one group.
template <std::size_t Channels, std::size_t GroupK>
struct bitmask_shape {
  static constexpr std::size_t channels = Channels;
  static constexpr std::size_t group_k = GroupK;
  /// k's of one word of mask.
  static constexpr std::size_t mask_k = 64 / Channels;
  static_assert(64 % (Channels * GroupK) == 0, "sparq: 64 places hold whole groups of all channels; use bitmask_shape<16, 4>, "
                                               "or bitmask_shape<16, 1> for floats");
};

/// Integers meet four at a time, floats one by one.
template <numeric N>
using default_bitmask_shape = bitmask_shape<16, N::is_integer ? 4 : 1>;

namespace detail {

/// The arrays of a tensor packed as a bitmask, in the order in which they lie in the block.
enum class bitmask_array : std::size_t { sections, masks, weight_sums, scales, codes };
inline constexpr packed_sizes bitmask_element_bytes = {sizeof(std::uint64_t), sizeof(std::uint64_t), sizeof(std::int32_t),
                                                       sizeof(float), 1, 1, 1, 1, 1, 1, 1};
/// Bytes behind the codes, which expanding may read.
inline constexpr std::size_t bitmask_slack = 64;

}  // namespace detail

/// A tensor packed as a bitmask, over memory that somebody else keeps. Trivially copyable.
template <numeric Numeric, quantization_granularity Granularity, class Shape>
class packed_bitmask_view : public detail::packed_base {
 public:
  using numeric_type = Numeric;
  using granularity = Granularity;
  using panel_shape_type = Shape;
  static_assert(!requires { Granularity::group; },
                "sparq: scales along k need all k's in order; use dense, or scales per channel");
  /// k's of a section: its words take 4 KB, 8 KB for floats.
  static constexpr std::size_t section_k = Numeric::is_integer ? 256 : 128;

  packed_bitmask_view() = default;
  packed_bitmask_view(unchecked_t, const std::byte* block) : packed_base(block) {}

  /// A view of a block that pack_into wrote, here or on another machine.
  /// Errors: a block that is cut short, not aligned to 64 bytes, or packed for another loop or types; masks that do not
  /// match the codes. Complexity O(n k / 64).
  static expected<packed_bitmask_view> try_from_bytes(std::span<const std::byte> block) {
    if (status s = detail::check_packed_header(block, layout_name(), detail::bitmask_element_bytes); !s.ok()) return s;
    const packed_bitmask_view view(unchecked, block.data());
    if (status s = view.check_sections(); !s.ok()) return s;
    return view;
  }
  static packed_bitmask_view from_bytes(std::span<const std::byte> block) { return try_from_bytes(block).value(); }

  std::size_t strips() const { return ceil_div(shape().n, Shape::channels); }
  std::size_t sections_per_strip() const { return ceil_div(shape().k, section_k); }
  /// Words of mask of one strip.
  std::size_t strip_masks() const { return ceil_div(shape().k, Shape::mask_k); }
  /// The masks of one section.
  std::span<const std::uint64_t> masks(std::size_t strip, std::size_t section) const {
    constexpr std::size_t per_section = section_k / Shape::mask_k;
    const std::size_t first = section * per_section;
    const std::size_t count = strip_masks() - first < per_section ? strip_masks() - first : per_section;
    return all_masks().subspan(strip * strip_masks() + first, count);
  }
  /// Where the codes of a section start, in a stream of its own; expand_slack bytes behind them are readable.
  const std::byte* codes(std::size_t strip, std::size_t section) const {
    return array<std::byte>(detail::bitmask_array::codes).data() + sections()[strip * sections_per_strip() + section];
  }
  /// Sum of the codes of each output channel; empty for floats.
  std::span<const std::int32_t> weight_sums() const { return array<std::int32_t>(detail::bitmask_array::weight_sums); }
  std::span<const float> scales() const { return array<float>(detail::bitmask_array::scales); }

  /// Codes that are stored: those that are not zero.
  std::size_t stored_codes() const {
    std::size_t total = 0;
    for (const std::uint64_t mask : all_masks()) total += static_cast<std::size_t>(std::popcount(mask));
    return total;
  }
  /// Non-zero codes / codes that are multiplied, which are all n k of them. 1 for an empty matrix. O(n k / 64).
  double slot_efficiency() const {
    return shape().size() == 0 ? 1.0 : static_cast<double>(stored_codes()) / static_cast<double>(shape().size());
  }

  /// What a block must say it is, to be viewed as this type.
  static std::string layout_name() {
    return "bitmask " + std::string(Numeric::name) + " " + std::string(Granularity::name) + " " +
           std::to_string(Shape::channels) + "x" + std::to_string(Shape::group_k);
  }

 private:
  std::span<const std::uint64_t> sections() const { return array<std::uint64_t>(detail::bitmask_array::sections); }
  std::span<const std::uint64_t> all_masks() const { return array<std::uint64_t>(detail::bitmask_array::masks); }

  status check_sections() const {
    const auto [n, k] = shape();
    if (Numeric::is_integer && weight_sums().size() != n)
      return status::failure("packed tensor: weight sums do not match the channels");
    if (scales().size() != Granularity::scale_count(n, k))
      return status::failure("packed tensor: scales do not match the channels");
    if (!detail::fits(0, strips(), sections_per_strip(), sections().size()) ||
        !detail::fits(0, strips(), strip_masks(), all_masks().size()))
      return status::failure("packed tensor: sections or masks do not match the weights");
    const std::size_t bytes = array<std::byte>(detail::bitmask_array::codes).size();
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < strips() * sections_per_strip(); ++i) {
      const auto wrong = [&](const std::string& what) {
        return status::failure("packed tensor: section " + std::to_string(i) + ": " + what);
      };
      std::size_t kept = 0;
      for (const std::uint64_t mask : masks(i / sections_per_strip(), i % sections_per_strip()))
        kept += static_cast<std::size_t>(std::popcount(mask));
      if (sections()[i] != next) return wrong("weights do not follow those of the section before");
      next += storage_bytes<Numeric>(kept);
      if (next + detail::bitmask_slack > bytes) return wrong("weights out of range");
    }
    return {};
  }
};

}  // namespace sparq

#include <algorithm>
#include <cstring>
#include <vector>

namespace sparq::detail {

/// Packs one tensor: `measure` counts the codes of every section, `write` fills a block.
template <class Shape, format F, numeric N, quantization_granularity G>
class bitmask_packer {
  using stored = packed_numeric_t<N>;
  static_assert(!has_tables<N>, "sparq: codebooks are not packed as a bitmask; use panel_shape or column_shape");

  static_assert(!has_tables<N>,
                "sparq: the expanding loop has no codebooks; pack them as panel_shape<16, 4> or column_shape<4, 4>");

 public:
  using view_type = packed_bitmask_view<stored, G, Shape>;

  explicit bitmask_packer(const tensor_view<F, N, G>& w) : w_(w) { measure(); }

  std::size_t bytes() const { return static_cast<std::size_t>(header_.bytes); }

  /// @pre block.size() >= bytes(), aligned to 64 bytes
  void write(std::span<std::byte> block) {
    std::memset(block.data(), 0, bytes());
    std::memcpy(block.data(), &header_, sizeof header_);
    block_ = block.data();
    for (std::size_t i = 0; i < w_.scales.size(); ++i) array<float>(bitmask_array::scales)[i] = w_.scales[i];
    std::uint64_t* masks = array<std::uint64_t>(bitmask_array::masks);
    std::uint64_t* sections = array<std::uint64_t>(bitmask_array::sections);
    std::uint64_t first_byte = 0;
    for_each_section([&](std::size_t strip, const code* rows, std::size_t channels, std::size_t first_k) {
      const std::size_t end = (std::min)(first_k + view_type::section_k, w_.shape().k);
      std::byte* codes = array<std::byte>(bitmask_array::codes) + first_byte;
      std::size_t kept = 0;
      for (std::size_t k = first_k; k < end; k += Shape::mask_k, ++masks)
        for (std::size_t place = 0; place < 64; ++place) {
          const code value = at(rows, channels, place, k);
          if (value == code{}) continue;
          *masks |= std::uint64_t{1} << place;
          store_code<stored>(codes, kept++, value);
          if constexpr (N::is_integer)
            array<std::int32_t>(bitmask_array::weight_sums)[strip * Shape::channels + channel_of(place)] += value;
        }
      *sections++ = first_byte;
      first_byte += storage_bytes<stored>(kept);
    });
  }

 private:
  using code = typename stored::code;

  template <class T>
  T* array(bitmask_array which) {
    return reinterpret_cast<T*>(block_ + header_.offset[static_cast<std::size_t>(which)]);
  }
  std::uint64_t& count(bitmask_array which) { return header_.count[static_cast<std::size_t>(which)]; }

  void measure() {
    const auto [n, k] = w_.shape();
    const std::size_t strips = ceil_div(n, Shape::channels);
    std::size_t code_bytes = 0;
    for_each_section([&](std::size_t, const code* rows, std::size_t channels, std::size_t first_k) {
      const std::size_t end = (std::min)(first_k + view_type::section_k, w_.shape().k);
      std::size_t kept = 0;
      for (std::size_t c = 0; c < channels; ++c)
        for (std::size_t at = first_k; at < end; ++at) kept += rows[c * w_.shape().k + at] != code{};
      code_bytes += storage_bytes<stored>(kept);
    });
    count(bitmask_array::sections) = strips * ceil_div(k, view_type::section_k);
    count(bitmask_array::masks) = strips * ceil_div(k, Shape::mask_k);
    count(bitmask_array::weight_sums) = N::is_integer ? n : 0;
    count(bitmask_array::scales) = w_.scales.size();
    count(bitmask_array::codes) = code_bytes + bitmask_slack;
    header_.n = n;
    header_.k = k;
    header_.slots = w_.index.slots();
    header_.place(F::name(), view_type::layout_name(), bitmask_element_bytes);
  }

  /// f(strip, codes of its first channel, channels, first k) for all sections in order, after reading the band of
  /// channels they lie in: panels of the format, until their last channel ends a strip.
  template <class Visit>
  void for_each_section(Visit&& visit) {
    const std::size_t k_extent = w_.shape().k;
    for (std::size_t p = 0; p < w_.index.panels();) {
      const std::size_t first = w_.index.panel(p).first;
      std::size_t end = p;
      std::size_t band_end = first;
      do {
        const channel_range range = w_.index.panel(end++);
        band_end = range.first + range.count;
      } while (band_end % Shape::channels != 0 && end < w_.index.panels());
      codes_.assign((band_end - first) * k_extent, code{});
      for (; p < end; ++p)
        w_.index.for_each_slot(p, [&](std::size_t slot, std::size_t channel, std::size_t k) {
          codes_[(channel - first) * k_extent + k] =
              static_cast<code>(load_code<N>(w_.values.data(), slot));
        });
      for (std::size_t channel = first; channel < band_end; channel += Shape::channels)
        for (std::size_t k = 0; k < k_extent; k += view_type::section_k)
          visit(channel / Shape::channels, codes_.data() + (channel - first) * k_extent,
                (std::min)(Shape::channels, band_end - channel), k);
    }
  }

  static constexpr std::size_t channel_of(std::size_t place) { return place / Shape::group_k % Shape::channels; }
  /// The code of a place of the mask that starts at k; 0 beyond the last channel or k.
  code at(const code* rows, std::size_t channels, std::size_t place, std::size_t k) const {
    constexpr std::size_t group = Shape::channels * Shape::group_k;
    const std::size_t c = channel_of(place);
    k += place / group * Shape::group_k + place % Shape::group_k;
    return c < channels && k < w_.shape().k ? rows[c * w_.shape().k + k] : code{};
  }

  tensor_view<F, N, G> w_;
  packed_header header_;
  std::byte* block_ = nullptr;
  std::vector<code> codes_;
};

}  // namespace sparq::detail

// ==== sparq/tensor/pack_columns.hpp ====
// From a tensor of any format to packed_columns.hpp. Integer codes of 0 take no part; floats keep every slot.

// ==== sparq/tensor/packed_columns.hpp ====
// The form that the columns loop reads: any zeros anywhere, panels of a few channels, vector lanes are rows of X. The k's
// of a panel are sorted by which of its channels use them (column_steps.hpp); group_k k's of one set make a group. The
// bytes are the same on every machine.
//
//   panel of 4 channels, k range of a section
//   lists   [k k k k] [k k k k] ...      k's of one group after the other, relative to the section's first k
//   codes   [c0: 4 codes] [c2: 4 codes]  ... for every group: the codes of each channel of its set, in ascending order
//
// Groups of integers that are not full are filled up with k's of code 0, of a codebook with the code whose entry is 0.

// ==== sparq/tensor/column_steps.hpp ====
// The order in which the columns loop walks through the k's of a panel. A k is used by a set of the panel's channels; all
// groups of k's with the same set stand together, so that the loop over them has no branch. Sets without a common channel
// advance together in one step as long as all of them have groups left: their sums do not wait for each other.
//
//   4 channels, sets as bits:   {1,2,4,8}  {3,12}  {5,10}  {6,9}   then what is left of   1, 2, 3, ... 15

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sparq {

/// One step: up to four disjoint sets of channels, each with a group of k's of its own.
struct column_step {
  std::uint8_t sets[4] = {};
  std::size_t count = 0;
};

/// The steps of a panel of `Channels` channels, in order.
template <std::size_t Channels>
struct column_steps {
  static_assert(Channels == 1 || Channels == 2 || Channels == 4,
                "sparq: the columns loop has panels of 1, 2 or 4 channels; use column_shape<4, ...>");
  static constexpr std::size_t sets = std::size_t{1} << Channels;
  static constexpr std::size_t joint = Channels == 4 ? 4 : Channels == 2 ? 1 : 0;
  static constexpr std::size_t count = joint + sets - 1;

  static constexpr std::array<column_step, count> all = [] {
    std::array<column_step, count> steps{};
    if constexpr (Channels == 4) {
      steps[0] = {{1, 2, 4, 8}, 4};
      steps[1] = {{3, 12}, 2};
      steps[2] = {{5, 10}, 2};
      steps[3] = {{6, 9}, 2};
    } else if constexpr (Channels == 2) {
      steps[0] = {{1, 2}, 2};
    }
    for (std::size_t set = 1; set < sets; ++set) steps[joint + set - 1] = {{static_cast<std::uint8_t>(set)}, 1};
    return steps;
  }();

  /// Channels in all sets of a step: codes of one group for each.
  static constexpr std::size_t members(std::size_t step) {
    std::size_t total = 0;
    for (std::size_t i = 0; i < all[step].count; ++i) total += static_cast<std::size_t>(std::popcount(all[step].sets[i]));
    return total;
  }
};

}  // namespace sparq

// ==== sparq/tensor/packed_codebook.hpp ====
// How the packed form holds codes of a codebook. Their entries are looked up before they meet X: the loop that reads the
// weights looks some channels up at a time, once for many rows of X. So codes need no order that an atom likes; they stay
// channel by channel, where one table serves them all, in chunks of 32 that one shuffle of a register takes apart.
//
//   4 bits   chunk of 16 bytes   byte i = code i | code (16 + i) << 4
//   2 bits   chunk of 8 bytes    byte i = code i | code (8 + i) << 2 | code (16 + i) << 4 | code (24 + i) << 6
//   8 bits   chunk of 32 bytes   byte i = code i
//
// Codes of 1 bit take 2, of 3 bits 4, of 5 to 7 bits 8. Places that hold no weight have the code whose entry is 0.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sparq::detail {

/// Bits that a code of N takes in packed memory.
template <has_tables N>
inline constexpr int packed_code_bits_v = N::bits <= 2 ? 2 : N::bits <= 4 ? 4 : 8;

/// The row of one channel: codes of `places` consecutive places, whole chunks of them.
template <has_tables N>
struct codebook_row {
  static constexpr std::size_t chunk = 32;
  static constexpr int bits = packed_code_bits_v<N>;
  static constexpr std::size_t chunk_bytes = chunk * bits / 8;
  static constexpr std::uint8_t mask = static_cast<std::uint8_t>(N::entries - 1);

  /// 32-bit words of a row.
  static constexpr std::size_t words(std::size_t places) { return ceil_div(places, chunk) * chunk_bytes / 4; }

  static constexpr std::size_t byte_of(std::size_t place) {
    return place / chunk * chunk_bytes + place % chunk % chunk_bytes;
  }
  static constexpr int shift_of(std::size_t place) { return static_cast<int>(place % chunk / chunk_bytes) * bits; }

  /// A code of N whatever the bytes are.
  static std::uint8_t load(const std::uint8_t* row, std::size_t place) {
    return static_cast<std::uint8_t>(row[byte_of(place)] >> shift_of(place)) & mask;
  }
  /// @pre the place's bits are 0
  static void store(std::uint8_t* row, std::size_t place, std::uint8_t code) {
    row[byte_of(place)] = static_cast<std::uint8_t>(row[byte_of(place)] | code << shift_of(place));
  }
};

/// 32-bit words that the tables of an n x k matrix take, whole cache lines. @pre n, k < 2^32
template <has_tables N>
constexpr std::size_t table_words(std::size_t n, std::size_t k) {
  return round_up(table_entries<N>(n, k) * sizeof(typename N::entry::code), 64) / 4;
}

}  // namespace sparq::detail

namespace sparq {

/// Geometry of a panel of the columns loop: channels that share their k's, k's multiplied at once, and k's that stay
/// together: with Run = 4 a group is 4 neighbouring k's from a multiple of 4 on, which X in quads holds beside each other.
template <std::size_t Channels, std::size_t GroupK, std::size_t Run = 1>
struct column_shape {
  static constexpr std::size_t channels = Channels;
  static constexpr std::size_t group_k = GroupK;
  static constexpr std::size_t run = Run;
  static_assert(Run == 1 || Run == GroupK, "sparq: the k's of a group are scattered or one run; use a Run of 1 or GroupK");
};

/// Integers meet four at a time, floats one by one.
template <numeric N>
using default_column_shape = column_shape<4, N::is_integer ? 4 : 1>;

namespace detail {

/// The codes of a stream for the columns loop: N itself, or unsigned integers that choose an entry.
template <numeric N>
struct column_code {
  using type = N;
};
template <has_tables N>
struct column_code<N> {
  using type = std::conditional_t<packed_code_bits_v<N> == 2, u2, std::conditional_t<packed_code_bits_v<N> == 4, u4, u8>>;
};

}  // namespace detail

/// A range of k's of one panel; offsets count elements of the array they point into.
template <std::size_t Channels>
struct column_section {
  std::uint64_t lists = 0;
  std::uint64_t codes = 0;
  index_t first_k = 0;
  std::array<std::uint16_t, column_steps<Channels>::count> groups{};  // of every set of each step
};

namespace detail {

/// The arrays of a tensor packed for the columns loop, in the order in which they lie in the block.
enum class column_array : std::size_t { sections, lists, weight_sums, scales, codes, tables };
template <std::size_t Channels>
inline constexpr packed_sizes column_element_bytes = {
    sizeof(column_section<Channels>), sizeof(std::uint16_t), sizeof(std::int32_t), sizeof(float), 1,
    1, 1, 1, 1, 1, 1};

}  // namespace detail

/// A tensor packed for the columns loop, over memory that somebody else keeps. Trivially copyable.
template <numeric Numeric, quantization_granularity Granularity, class Shape>
class packed_columns_view : public detail::packed_base {
 public:
  using numeric_type = Numeric;
  using granularity = Granularity;
  using panel_shape_type = Shape;
  using section = column_section<Shape::channels>;
  using steps = column_steps<Shape::channels>;
  /// How the stream of codes is read.
  using code_type = typename detail::column_code<Numeric>::type;
  static_assert(!requires { Numeric::table::bucket; },
                "sparq: the columns loop sorts the k's, buckets need them in order; pack for the rows loop");

  packed_columns_view() = default;
  packed_columns_view(unchecked_t, const std::byte* block) : packed_base(block) {}

  /// A view of a block that pack_into wrote, here or on another machine.
  /// Errors: a block that is cut short, not aligned to 64 bytes, or packed for another loop or types; an array or an
  /// index that leads out of its bounds. Complexity O(bytes).
  static expected<packed_columns_view> try_from_bytes(std::span<const std::byte> block) {
    if (status s = detail::check_packed_header(block, layout_name(), sizes); !s.ok()) return s;
    const packed_columns_view view(unchecked, block.data());
    if (status s = view.check_sections(); !s.ok()) return s;
    return view;
  }
  static packed_columns_view from_bytes(std::span<const std::byte> block) { return try_from_bytes(block).value(); }

  std::size_t panels() const { return ceil_div(shape().n, Shape::channels); }
  std::size_t sections_per_panel() const { return panels() == 0 ? 0 : all_sections().size() / panels(); }
  std::span<const section> sections(std::size_t panel) const {
    return all_sections().subspan(panel * sections_per_panel(), sections_per_panel());
  }
  std::span<const std::uint16_t> lists() const { return array<std::uint16_t>(detail::column_array::lists); }
  /// A stream of codes (numeric/codec.hpp).
  std::span<const std::byte> codes() const { return array<std::byte>(detail::column_array::codes); }
  /// Sum of the codes of each output channel; empty for floats. With scales along k: of every section, in the order of
  /// `scales`.
  std::span<const std::int32_t> weight_sums() const { return array<std::int32_t>(detail::column_array::weight_sums); }
  /// As in the canonical form. Scales along k: for each panel, for each section, those of the panel's channels.
  std::span<const float> scales() const { return array<float>(detail::column_array::scales); }
  /// Entries of the table of an output channel; a channel beyond the last has the last one's. @pre n > 0
  const auto* table_of(std::size_t channel) const
    requires has_tables<Numeric>
  {
    using entry = typename Numeric::entry::code;
    return reinterpret_cast<const entry*>(array<std::byte>(detail::column_array::tables).data()) +
           table_start<Numeric>(channel < shape().n ? channel : shape().n - 1, 0, shape().k);
  }
  /// f(channel, first code) for the codes of each group and channel, group_k of them, in the order of the stream.
  template <class Visit>
  void for_each_group(std::size_t first_panel, std::size_t last_panel, Visit&& visit) const {
    for (std::size_t p = first_panel; p < last_panel; ++p)
      for (const section& s : sections(p)) {
        std::size_t code = static_cast<std::size_t>(s.codes);
        for (std::size_t i = 0; i < steps::count; ++i) {
          std::size_t channels[Shape::channels], members = 0;  // the sets of a step share no channel
          for (std::size_t j = 0; j < steps::all[i].count; ++j)
            for (std::size_t c = 0; c < Shape::channels; ++c)
              if ((steps::all[i].sets[j] >> c & 1) != 0) channels[members++] = p * Shape::channels + c;
          for (std::size_t g = 0; g < s.groups[i]; ++g)
            for (std::size_t member = 0; member < members; ++member, code += Shape::group_k) visit(channels[member], code);
        }
      }
  }

  /// Codes that all sections hold together, those that only fill groups included.
  std::size_t stored_codes() const {
    std::size_t total = 0;
    for (const section& s : all_sections()) total += code_count(s);
    return total;
  }
  /// Non-zero codes / stored codes: what part of the multiplications is of use. 1 for an empty matrix. O(codes).
  double slot_efficiency() const {
    const std::size_t stored = stored_codes();
    std::size_t useful = 0;
    if constexpr (has_tables<Numeric>) {
      for_each_group(0, panels(), [&](std::size_t channel, std::size_t first) {
        for (std::size_t i = first; i < first + Shape::group_k; ++i) useful += entry_of(channel, i) != 0;
      });
      return stored == 0 ? 1.0 : static_cast<double>(useful) / static_cast<double>(stored);
    }
    for (std::size_t i = 0; i < stored; ++i) useful += load_code<Numeric>(codes().data(), i) != typename Numeric::code{};
    return stored == 0 ? 1.0 : static_cast<double>(useful) / static_cast<double>(stored);
  }

  /// The entry that code `i` of the stream chooses for an output channel, whatever its bits are. @pre n > 0
  auto entry_of(std::size_t channel, std::size_t i) const
    requires has_tables<Numeric>
  {
    return table_of(channel)[load_code<code_type>(codes().data(), i) & (Numeric::entries - 1)];
  }

  /// Codes of one section.
  static std::size_t code_count(const section& s) {
    std::size_t total = 0;
    for (std::size_t i = 0; i < steps::count; ++i) total += s.groups[i] * steps::members(i) * Shape::group_k;
    return total;
  }
  /// List entries of one section.
  static std::size_t list_count(const section& s) {
    std::size_t total = 0;
    for (std::size_t i = 0; i < steps::count; ++i) total += s.groups[i] * steps::all[i].count * Shape::group_k;
    return total;
  }

  /// What a block must say it is, to be viewed as this type.
  static std::string layout_name() {
    return "columns " + std::string(Numeric::name) + " " + std::string(Granularity::name) + " " +
           std::to_string(Shape::channels) + "x" + std::to_string(Shape::group_k) +
           (Shape::run == 1 ? "" : " runs of " + std::to_string(Shape::run));
  }

 private:
  static constexpr const detail::packed_sizes& sizes = detail::column_element_bytes<Shape::channels>;

  std::span<const section> all_sections() const { return array<section>(detail::column_array::sections); }

  status check_sections() const {
    const auto [n, k] = shape();
    constexpr bool is_grouped = scales_along_k_v<Granularity>;
    const std::size_t section_scales = all_sections().size() * Shape::channels;
    if (Numeric::is_integer && weight_sums().size() != (is_grouped ? section_scales : n))
      return status::failure("packed tensor: weight sums do not match the channels");
    if (scales().size() != (is_grouped ? section_scales : Granularity::scale_count(n, k)))
      return status::failure("packed tensor: scales do not match the channels");
    if constexpr (has_tables<Numeric>) {
      if (status s = validate(shape()); !s.ok()) return s;
      if (array<std::byte>(detail::column_array::tables).size() <
          table_entries<Numeric>(n, k) * sizeof(typename Numeric::entry::code))
        return status::failure("packed tensor: tables out of range");
    }
    if (panels() == 0 ? !all_sections().empty() : all_sections().size() % panels() != 0)
      return status::failure("packed tensor: sections do not match the channels");
    std::size_t next_code = 0;
    for (std::size_t i = 0; i < all_sections().size(); ++i) {
      const section& s = all_sections()[i];
      const auto wrong = [&](const std::string& what) {
        return status::failure("packed tensor: section " + std::to_string(i) + ": " + what);
      };
      if (s.codes != next_code) return wrong("weights do not follow those of the section before");
      next_code += code_count(s);
      if (storage_bytes<code_type>(next_code) > codes().size()) return wrong("weights out of range");
      if (!detail::fits(s.lists, list_count(s), 1, lists().size())) return wrong("lists out of range");
      for (std::size_t at = 0; at < list_count(s); ++at)
        if (s.first_k + std::size_t{lists()[s.lists + at]} >= k)
          return wrong("entry " + std::to_string(at) + " is " + std::to_string(lists()[s.lists + at]));
      if (s.first_k % Shape::run != 0) return wrong("k's do not start with a run");
      for (std::size_t at = 0; at < list_count(s); at += Shape::group_k)
        if (lists()[s.lists + at] % Shape::run != 0) return wrong("entry " + std::to_string(at) + " does not start a run");
    }
    return {};
  }
};

}  // namespace sparq

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace sparq::detail {

/// k's of one section. X is better reused from the first-level cache than read from the second for every panel, but each
/// section starts all its loops anew, which costs more the fewer weights it holds; lists hold 16 bits in any case.
/// Measured: bench/README.md.
inline std::size_t column_section_k(weight_shape shape, std::size_t slots, bool is_integer) {
  constexpr std::size_t largest = 32768;
  const double density = static_cast<double>(slots) / static_cast<double>((std::max)(shape.size(), std::size_t{1}));
  std::size_t cached = largest;
  if (density > (is_integer ? 0.15 : 0.35))
    cached = 768;
  else if (is_integer && density > 0.07)
    cached = 1152;
  const std::size_t limit = shape.k > cached + cached / 2 ? cached : largest;
  const std::size_t sections = (std::max)(ceil_div(shape.k, limit), std::size_t{1});
  return (std::max)(ceil_div(shape.k, sections), std::size_t{1});
}

/// The same where scales run along k: a section for each group of them.
template <quantization_granularity G>
std::size_t column_section_k(weight_shape shape, std::size_t slots, bool is_integer) {
  if constexpr (scales_along_k_v<G>) {
    static_assert(G::group <= 32768, "sparq: the columns loop takes scales along k for up to 32768 k's; use smaller groups");
    return G::group;
  } else {
    return column_section_k(shape, slots, is_integer);
  }
}

/// What the columns loop will do for one block of rows, all panels together.
struct column_work {
  std::size_t groups = 0;  // loads of X
  std::size_t adds = 0;    // multiplications of a group by one channel's codes
  std::size_t steps = 0;   // loops that run
};

/// Packs one tensor: `measure` finds the groups of every section, `write` fills a block.
template <class Shape, format F, numeric N, quantization_granularity G>
class column_packer {
  using stored = packed_numeric_t<N>;

 public:
  using view_type = packed_columns_view<stored, G, Shape>;

  explicit column_packer(const tensor_view<F, N, G>& w)
      : w_(w), section_k_(round_up(column_section_k<G>(w.shape(), w.index.slots(), N::is_integer), Shape::run)),
        sections_(ceil_div(w.shape().k, section_k_)) {
    static_assert(keeps_runs(), "sparq: scales along k cut a run of k's in two; use groups of whole runs");
    measure();
  }

  std::size_t bytes() const { return static_cast<std::size_t>(header_.bytes); }
  const column_work& work() const { return work_; }

  /// Whether this form can hold the tensor: groups of integers are filled up, so every table needs a code for 0.
  status check() const {
    if constexpr (has_tables<N> && group_k > 1)
      for (std::size_t t = 0; t < w_.tables.size(); t += N::entries)
        if (zero_code<N>(w_.tables.data() + t) == N::entries)
          return status::failure("pack: table " + std::to_string(t / N::entries) +
                                 " has no entry of 0, with which the columns loop fills its groups up; pack for the rows loop");
    return {};
  }

  /// @pre block.size() >= bytes(), aligned to 64 bytes
  void write(std::span<std::byte> block) {
    std::memset(block.data(), 0, bytes());
    std::memcpy(block.data(), &header_, sizeof header_);
    block_ = block.data();
    if constexpr (has_tables<N>)
      if (!w_.tables.empty()) std::memcpy(array<std::byte>(column_array::tables), w_.tables.data(), w_.tables.size_bytes());
    if constexpr (!is_grouped)
      for (std::size_t i = 0; i < w_.scales.size(); ++i) array<float>(column_array::scales)[i] = w_.scales[i];
    section at;
    std::size_t next = 0;
    for_each_section([&](std::size_t panel, std::size_t first_k) {
      sort_by_set(panel, first_k);
      fill_groups();
      at.first_k = static_cast<index_t>(first_k);
      write_section(panel, next * channels, at);
      array<section>(column_array::sections)[next++] = at;
      at.lists += view_type::list_count(at);
      at.codes += view_type::code_count(at);
    });
  }

 private:
  using code = typename stored::code;
  using section = typename view_type::section;
  using steps = typename view_type::steps;
  using stream_code = typename view_type::code_type;
  static constexpr std::size_t channels = Shape::channels;
  static constexpr std::size_t group_k = Shape::group_k;
  static constexpr std::uint16_t filler = 0xffff;
  static constexpr bool is_grouped = scales_along_k_v<G>;
  static constexpr bool keeps_runs() {
    if constexpr (is_grouped) return G::group % Shape::run == 0;
    return true;
  }

  template <class T>
  T* array(column_array which) {
    return reinterpret_cast<T*>(block_ + header_.offset[static_cast<std::size_t>(which)]);
  }
  std::uint64_t& count(column_array which) { return header_.count[static_cast<std::size_t>(which)]; }

  void measure() {
    const auto [n, k] = w_.shape();
    std::size_t codes = 0;
    for_each_section([&](std::size_t panel, std::size_t first_k) {
      sort_by_set(panel, first_k);
      fill_groups();
      section s;
      s.groups = count_groups();
      codes += view_type::code_count(s);
      count(column_array::lists) += view_type::list_count(s);
      ++count(column_array::sections);
      for (std::size_t i = 0; i < steps::count; ++i) {
        work_.groups += s.groups[i] * steps::all[i].count;
        work_.adds += s.groups[i] * steps::members(i);
        work_.steps += s.groups[i] != 0;
      }
    });
    count(column_array::codes) = storage_bytes<stream_code>(codes);
    if constexpr (has_tables<N>) count(column_array::tables) = w_.tables.size_bytes();
    count(column_array::scales) = is_grouped ? count(column_array::sections) * channels : w_.scales.size();
    count(column_array::weight_sums) = !N::is_integer ? 0 : is_grouped ? count(column_array::scales) : n;
    header_.n = n;
    header_.k = k;
    header_.slots = w_.index.slots();
    header_.place(F::name(), view_type::layout_name(), column_element_bytes<channels>);
  }

  /// f(panel of the band, first k) for all sections in order, after reading the band of channels they lie in: panels of
  /// the format, until their last channel ends a panel of ours.
  template <class Visit>
  void for_each_section(Visit&& visit) {
    for (std::size_t p = 0; p < w_.index.panels();) {
      band_first_ = w_.index.panel(p).first;
      std::size_t end = p;
      std::size_t band_end = band_first_;
      do {
        const channel_range range = w_.index.panel(end++);
        band_end = range.first + range.count;
      } while (band_end % channels != 0 && end < w_.index.panels());
      read_band(p, end, band_end - band_first_);
      for (std::size_t panel = 0; panel < ceil_div(band_end - band_first_, channels); ++panel)
        for (std::size_t s = 0; s < sections_; ++s) visit(panel, s * section_k_);
      p = end;
    }
  }

  /// Codes of a band of channels, and for every k of its panels the set of channels that use it.
  void read_band(std::size_t first_panel, std::size_t last_panel, std::size_t count) {
    const std::size_t k_extent = w_.shape().k;
    codes_.assign(count * k_extent, code{});
    if constexpr (has_tables<N>) {
      zeros_.resize(count);
      for (std::size_t c = 0; c < count; ++c) {
        zeros_[c] = static_cast<code>(zero_code<N>(w_.tables.data() + table_start<N>(band_first_ + c, 0, k_extent)));
        std::fill_n(codes_.data() + c * k_extent, k_extent, zeros_[c]);
      }
    }
    sets_.assign(ceil_div(count, channels) * k_extent, 0);
    for (std::size_t p = first_panel; p < last_panel; ++p)
      w_.index.for_each_slot(p, [&](std::size_t slot, std::size_t channel, std::size_t k) {
        const auto value = static_cast<code>(load_code<N>(w_.values.data(), slot));
        if (N::is_integer && load_weight(w_, slot, channel, k) == 0) return;
        const std::size_t c = channel - band_first_;
        codes_[c * k_extent + k] = value;
        sets_[c / channels * k_extent + k] |= static_cast<std::uint8_t>(1U << (c % channels));
      });
  }

  void sort_by_set(std::size_t panel, std::size_t first_k) {
    const std::size_t k_extent = w_.shape().k;
    const std::uint8_t* sets = sets_.data() + panel * k_extent;
    for (auto& list : lists_) list.clear();
    const std::size_t end = (std::min)(first_k + section_k_, k_extent);
    for (std::size_t k = first_k; k < end; k += Shape::run) {
      std::uint8_t set = sets[k];
      for (std::size_t i = 1; i < (std::min)(Shape::run, end - k); ++i) set |= sets[k + i];
      for (std::size_t i = 0; set != 0 && i < Shape::run; ++i)
        lists_[set].push_back(k + i < end ? static_cast<std::uint16_t>(k + i - first_k) : filler);
    }
  }

  /// Makes every list a multiple of group_k: k's that are left over move into a set with more channels, or fillers join
  /// them, whichever adds fewer codes.
  void fill_groups() {
    if constexpr (group_k == 1) return;
    const auto members = [](std::size_t set) { return static_cast<std::size_t>(std::popcount(set)); };
    const auto fillers = [&](std::size_t set, std::size_t size) { return (group_k - size % group_k) % group_k * members(set); };
    for (std::size_t set = 1; set < steps::sets; ++set) {
      auto& list = lists_[set];
      const std::size_t rest = list.size() % group_k;
      if (rest == 0) continue;
      std::size_t least = fillers(set, list.size()), best = set;
      for (std::size_t wider = set + 1; wider < steps::sets; ++wider) {
        if ((wider & set) != set) continue;
        const std::size_t size = lists_[wider].size();
        const std::size_t added = rest * (members(wider) - members(set)) + fillers(wider, size + rest);
        if (added < least + fillers(wider, size)) {
          least = added - (std::min)(added, fillers(wider, size));
          best = wider;
        }
      }
      if (best == set) {
        list.resize(list.size() + group_k - rest, filler);
      } else {
        lists_[best].insert(lists_[best].end(), list.end() - static_cast<std::ptrdiff_t>(rest), list.end());
        list.resize(list.size() - rest);
      }
    }
  }

  decltype(section::groups) count_groups() const {
    std::array<std::size_t, steps::sets> left{};
    for (std::size_t set = 0; set < steps::sets; ++set) left[set] = lists_[set].size() / group_k;
    decltype(section::groups) groups{};
    for (std::size_t i = 0; i < steps::count; ++i) {
      const column_step& step = steps::all[i];
      std::size_t least = left[step.sets[0]];
      for (std::size_t j = 1; j < step.count; ++j) least = (std::min)(least, left[step.sets[j]]);
      for (std::size_t j = 0; j < step.count; ++j) left[step.sets[j]] -= least;
      groups[i] = static_cast<std::uint16_t>(least);
    }
    return groups;
  }

  /// - `first_scale`: where the scales of the section lie, if they run along k
  void write_section(std::size_t panel, std::size_t first_scale, section& s) {
    const auto [n, k_extent] = w_.shape();
    const std::size_t first_channel = band_first_ + panel * channels;
    const std::size_t first_sum = is_grouped ? first_scale : first_channel;
    if constexpr (is_grouped)
      for (std::size_t c = 0; c < (std::min)(channels, n - first_channel); ++c)
        array<float>(column_array::scales)[first_scale + c] =
            static_cast<float>(w_.scales[G::scale_index(first_channel + c, s.first_k, k_extent)]);
    std::uint16_t* lists = array<std::uint16_t>(column_array::lists) + s.lists;
    s.groups = count_groups();
    std::array<std::size_t, steps::sets> next{};
    stream_.clear();
    for (std::size_t i = 0; i < steps::count; ++i) {
      const column_step& step = steps::all[i];
      for (std::size_t g = 0; g < s.groups[i]; ++g)
        for (std::size_t j = 0; j < step.count; ++j) {
          const std::size_t set = step.sets[j];
          const std::uint16_t* group = lists_[set].data() + next[set];
          next[set] += group_k;
          for (std::size_t at = 0; at < group_k; ++at) *lists++ = group[at] == filler ? std::uint16_t{} : group[at];
          for (std::size_t c = 0; c < channels; ++c) {
            if ((set >> c & 1) == 0) continue;
            const code* row = codes_.data() + (panel * channels + c) * k_extent + s.first_k;
            for (std::size_t at = 0; at < group_k; ++at) {
              const code value = group[at] == filler ? zero_of(panel * channels + c) : row[group[at]];
              stream_.push_back(value);
              if constexpr (has_tables<N> && N::is_integer)
                array<std::int32_t>(column_array::weight_sums)[first_sum + c] +=
                    w_.tables[table_start<N>(first_channel + c, 0, k_extent) + value];
              else if constexpr (N::is_integer)
                array<std::int32_t>(column_array::weight_sums)[first_sum + c] += value;
            }
          }
        }
    }
    for (std::size_t i = 0; i < stream_.size(); ++i)
      store_code<stream_code>(array<std::byte>(column_array::codes), s.codes + i,
                              static_cast<typename stream_code::code>(stream_[i]));
  }

  /// The code that adds nothing, for a channel of the band.
  code zero_of([[maybe_unused]] std::size_t channel) const {
    if constexpr (has_tables<N>)
      return zeros_[channel];
    else
      return code{};
  }

  tensor_view<F, N, G> w_;
  std::size_t section_k_;
  std::size_t sections_;
  packed_header header_;
  column_work work_;
  std::byte* block_ = nullptr;
  std::size_t band_first_ = 0;
  std::vector<code> codes_;
  std::vector<code> zeros_;
  std::vector<std::uint8_t> sets_;
  std::array<std::vector<std::uint16_t>, steps::sets> lists_;
  std::vector<code> stream_;
};

}  // namespace sparq::detail

// ==== sparq/tensor/pack_panels.hpp ====
// Packing for the rows loop (packed.hpp): panels and slots are all that it asks a format for; the k's and channels that
// a panel uses follow from its slots. pack.hpp is what programs call.

// ==== sparq/tensor/packed.hpp ====
// The form that kernels read: weights interleaved in strips of channels, panel by panel, in one block of bytes that
// describes itself. The bytes are the same on every machine; a mapped file serves as well as owned memory.
//
// A strip holds `channels` channels (panel_shape), a group `group_k` consecutive places along k. One 32-bit word holds
// the group's codes of one channel; codes narrower than 32 / group_k bits share the word with the next groups (load
// group):
//
//   strip 0: load group 0: [c0][c1]..[c15]   s8:  byte j       = code(j)
//            load group 1: [c0][c1]..[c15]   s4:  byte j       = code(group 0, j) | code(group 1, j) << 4
//   strip 1: ...                             f32: the word     = code(0)
//
// Codes of a codebook lie channel by channel (packed_codebook.hpp), and their tables in front of all words.
//
//   for each strip: for each load group: w = load(16 words); for each row of the block: acc += dot(broadcast(x), w)

// ==== sparq/tensor/packed_shape.hpp ====
// How strips of the packed form are cut: channels and k's of a group, and the window of X from which channels choose
// k's of their own.

#include <algorithm>
#include <cstddef>

namespace sparq {

/// Geometry of a strip: channels interleaved, and consecutive k's in one group.
template <std::size_t Channels, std::size_t GroupK>
struct panel_shape {
  static constexpr std::size_t channels = Channels;
  static constexpr std::size_t group_k = GroupK;
};

/// Integers meet four at a time (one 32-bit word of X), floats one by one.
template <numeric N>
using default_panel_shape = panel_shape<16, N::is_integer ? 4 : 1>;

/// Geometry of strips whose channels choose their k's freely from windows of W: zeros anywhere, for few rows of X.
/// - `W`: 16, whose positions take half a byte, or up to 128, whose positions take one
template <std::size_t Channels, std::size_t GroupK, std::size_t W>
struct window_shape {
  static_assert(GroupK == 4 && W % 16 == 0 && W != 0 && W <= 128,
                "sparq: a window is 16 to 128 k's, whole sixteens, of which integers take four at a time; use "
                "window_shape<16, 4, 32>");
  static constexpr std::size_t channels = Channels;
  static constexpr std::size_t group_k = GroupK;
  static constexpr std::size_t window = W;
};

/// What activations of -1 and 1 meet: 32 k's of binary, ternary or 2-bit weights in a group, bit by bit. A word is one bit of
/// 32 codes, a plane; the strip of words of bit 0 comes first.
using bit_panel_shape = panel_shape<16, 32>;

/// The window of k's from which the groups of an N:M pattern are chosen: `groups` groups out of `window` k's. With
/// N <= GroupK a group takes whole M's (`spans` of them), otherwise an M takes several groups.
template <std::size_t N, std::size_t M, std::size_t GroupK>
struct pattern_window {
  static constexpr std::size_t spans = (std::max)(std::size_t{1}, GroupK / N);
  static constexpr std::size_t window = spans * M;
  static constexpr std::size_t groups = ceil_div(N, GroupK);
};

/// Bits of a position among M k's that a channel chooses for itself: as many as it takes, up to the next power of two, so
/// that several groups share a byte evenly. Floats, next to which positions are small, have bytes.
constexpr std::size_t position_bits(std::size_t of, std::size_t group_k) {
  return group_k == 1 ? 8 : of <= 2 ? 1 : of <= 4 ? 2 : of <= 16 ? 4 : 8;
}

namespace detail {

/// The window that a pair of policies implies; no positions unless one of them is an N:M pattern.
template <class RowSelect, class KMap, std::size_t GroupK>
struct window_of {
  static constexpr std::size_t window = GroupK, groups = 1, spans = 1, kept = GroupK, positions_per_group = 0;
  static constexpr std::size_t groups_per_byte = 1, position_reach = GroupK;
  static constexpr bool is_private = false;
};
template <std::size_t N, std::size_t M, std::size_t GroupK>
struct window_of<n_m_select<N, M>, contiguous, GroupK> : pattern_window<N, M, GroupK> {
  static constexpr std::size_t kept = N, positions_per_group = GroupK;
  static constexpr std::size_t groups_per_byte = 8 / position_bits(M, GroupK);
  /// Positions count from the first k of an M, or of the window where each has a byte to itself.
  static constexpr std::size_t position_reach = (groups_per_byte > 1) ? M : pattern_window<N, M, GroupK>::window;
  static constexpr bool is_private = true;
};
template <std::size_t N, std::size_t M, std::size_t GroupK>
struct window_of<n_m_select<N, M>, list, GroupK> : window_of<n_m_select<N, M>, contiguous, GroupK> {};
template <std::size_t W, std::size_t GroupK>
struct window_of<window_select<W>, runs, GroupK> {
  static constexpr std::size_t window = W, groups = 1, spans = 1, kept = GroupK, positions_per_group = GroupK;
  static constexpr std::size_t groups_per_byte = 8 / position_bits(W, GroupK), position_reach = W;
  static constexpr bool is_private = true;
};
template <std::size_t N, std::size_t M, std::size_t GroupK>
struct window_of<all, n_m_shared<N, M>, GroupK> : pattern_window<N, M, GroupK> {
  static constexpr std::size_t kept = N, positions_per_group = GroupK;
  static constexpr std::size_t groups_per_byte = 1, position_reach = pattern_window<N, M, GroupK>::window;
  static constexpr bool is_private = false;
};

}  // namespace detail

}  // namespace sparq

#include <algorithm>
#include <bit>
#include <cstdint>

namespace sparq {

/// 32-bit words that a group of one channel takes: one, or one for each bit of a code in bit_panel_shape.
template <numeric N, class Shape>
inline constexpr std::size_t words_per_group_v = Shape::group_k == 32 ? static_cast<std::size_t>(N::bits) : 1;

/// What a weight adds to its channel's weight sum: itself, but |weight| where bits count those that X disagrees with.
template <numeric N, class Shape>
constexpr std::int32_t weight_sum_term(std::int32_t value) {
  if constexpr (Shape::group_k == 32)
    if (N::min_code == -1 && N::max_code == 1 && value < 0) return -value;
  return value;
}

/// Groups of one channel that share a 32-bit word; of a codebook: a word of entries.
template <numeric N, class Shape>
inline constexpr std::size_t groups_per_word_v =
    (std::max)(std::size_t{1}, 32 / (static_cast<std::size_t>(entry_t<N>::bits) * Shape::group_k));

/// Words of one strip with this many groups.
template <numeric N, class Shape>
constexpr std::size_t strip_words(std::size_t groups) {
  if constexpr (has_tables<N>)
    return Shape::channels * detail::codebook_row<N>::words(groups * Shape::group_k);
  else
    return Shape::channels * ceil_div(groups, groups_per_word_v<N, Shape>) * words_per_group_v<N, Shape>;
}

namespace detail {

/// A panel is cut into segments, one for each group of scales along k; a single one without those.
template <class Granularity>
constexpr std::size_t segment_k(std::size_t k) {
  if constexpr (scales_along_k_v<Granularity>)
    return Granularity::group;
  else
    return (std::max)(k, std::size_t{1});
}

/// Whether panels of this kind can be cut so: a segment holds whole words, whole windows of an N:M pattern, and a list
/// can be filled up inside a segment.
template <class RowSelect, class KMap, class Numeric, class Granularity, class Shape>
constexpr bool can_cut() {
  using window = window_of<RowSelect, KMap, Shape::group_k>;
  if constexpr (!scales_along_k_v<Granularity>)
    return true;
  else if constexpr (std::is_same_v<KMap, list>)
    return window::positions_per_group == 0 &&
           Granularity::group % (Shape::group_k * groups_per_word_v<Numeric, Shape>) == 0;
  else
    return Granularity::group % window::window == 0 &&
           (!window::is_private || Granularity::group / window::window * window::groups %
                                           groups_per_word_v<Numeric, Shape> == 0);
}

}  // namespace detail

/// One panel of a packed tensor; offsets count elements of the array they point into.
struct packed_panel {
  index_t first_channel = 0;        // first output channel
  index_t channels = 0;             // output channels covered, pruned ones included
  index_t kept = 0;                 // channels that have weights; equal to `channels` unless some are left out
  index_t groups = 0;               // groups of every channel, whole words of them
  std::uint64_t words = 0;          // into words: strips x load groups x channels of a strip
  std::uint64_t addresses = 0;      // into addresses (runs: first k of every group)
  std::uint64_t mask = 0;           // into mask (list: one bit for every k)
  std::uint64_t selects = 0;        // into selects (n_m_shared: positions of a group; n_m_select: the same per channel)
  std::uint64_t kept_channels = 0;  // into kept_channels (offsets from first_channel), when kept < channels
  std::uint64_t scales = 0;         // into scales and weight_sums: strips x segments x channels of a strip (scales along k)
};

namespace detail {

/// The arrays of a packed tensor, in the order in which they lie in the block.
enum class packed_array : std::size_t {
  panels, addresses, mask, selects, kept_channels, segments, weight_sums, scales, words
};
inline constexpr packed_sizes packed_element_bytes = {
    sizeof(packed_panel), sizeof(index_t),      sizeof(std::uint64_t), sizeof(std::uint8_t),  sizeof(index_t),
    sizeof(index_t),      sizeof(std::int32_t), sizeof(float),         sizeof(std::uint32_t), 1, 1};

template <class P>
struct policy_name;
template <>
struct policy_name<contiguous> {
  static std::string text() { return "contiguous"; }
};
template <>
struct policy_name<runs> {
  static std::string text() { return "runs"; }
};
template <>
struct policy_name<list> {
  static std::string text() { return "list"; }
};
template <>
struct policy_name<all> {
  static std::string text() { return "all"; }
};
template <std::size_t N, std::size_t M>
struct policy_name<n_m_shared<N, M>> {
  static std::string text() { return "n_m_shared<" + std::to_string(N) + "," + std::to_string(M) + ">"; }
};
template <std::size_t W>
struct policy_name<window_select<W>> {
  static std::string text() { return "window_select<" + std::to_string(W) + ">"; }
};
template <std::size_t N, std::size_t M>
struct policy_name<n_m_select<N, M>> {
  static std::string text() { return "n_m_select<" + std::to_string(N) + "," + std::to_string(M) + ">"; }
};

}  // namespace detail

/// A packed tensor over memory that somebody else keeps. Trivially copyable.
/// - `KMap`, `RowSelect`: how panels read X (format/policy.hpp)
template <class KMap, class RowSelect, numeric Numeric, quantization_granularity Granularity, class Shape>
class packed_view : public detail::packed_base {
  static_assert(has_tables<Numeric> || Numeric::bits == 1 || Numeric::bits == 2 || Numeric::bits == 4 || Numeric::bits % 8 == 0,
                "sparq: kernels hold codes of 1, 2, 4, 8, 16 or 32 bits; name a wider type as `packed` in the numeric type");

 public:
  using k_map = KMap;
  using row_select = RowSelect;
  using numeric_type = Numeric;
  using granularity = Granularity;
  using panel_shape_type = Shape;
  static_assert(detail::can_cut<RowSelect, KMap, Numeric, Granularity, Shape>(),
                "sparq: scales along k cut a word of codes, or a group of an N:M pattern, in two; use larger groups, or "
                "pack for the columns loop with column_shape");
  static_assert(Shape::group_k != 32 || detail::window_of<RowSelect, KMap, Shape::group_k>::positions_per_group == 0,
                "sparq: bits are counted 32 k's at a time, and an N:M pattern chooses them one by one; pack in panel_shape<16, 4>");

  packed_view() = default;
  packed_view(unchecked_t, const std::byte* block) : packed_base(block) {}

  /// A view of a block that pack_into wrote, here or on another machine.
  /// Errors: a block that is cut short, not aligned to 64 bytes, or packed for other policies or types; an array or
  /// an index that leads out of its bounds. Complexity O(panels + addresses + selects).
  static expected<packed_view> try_from_bytes(std::span<const std::byte> block) {
    if (status s = detail::check_packed_header(block, layout_name(), detail::packed_element_bytes); !s.ok()) return s;
    const packed_view view(unchecked, block.data());
    if (status s = view.check_panels(); !s.ok()) return s;
    return view;
  }
  static packed_view from_bytes(std::span<const std::byte> block) { return try_from_bytes(block).value(); }

  std::span<const packed_panel> panels() const { return array<packed_panel>(detail::packed_array::panels); }
  std::span<const index_t> addresses() const { return array<index_t>(detail::packed_array::addresses); }
  std::span<const std::uint64_t> mask() const { return array<std::uint64_t>(detail::packed_array::mask); }
  std::span<const std::uint8_t> selects() const { return array<std::uint8_t>(detail::packed_array::selects); }
  std::span<const index_t> kept_channels() const { return array<index_t>(detail::packed_array::kept_channels); }
  /// Scales along k: the groups of every segment, panel by panel; the groups of a segment share a scale.
  std::span<const index_t> segments() const { return array<index_t>(detail::packed_array::segments); }
  /// Sum of the codes of each output channel, of their magnitudes for binary and ternary in bit_panel_shape; empty for
  /// floats. With scales along k: of every segment, in the order of `scales`.
  std::span<const std::int32_t> weight_sums() const { return array<std::int32_t>(detail::packed_array::weight_sums); }
  /// As in the canonical form. Scales along k: for each strip, for each segment, those of the strip's channels.
  std::span<const float> scales() const { return array<float>(detail::packed_array::scales); }
  std::span<const std::uint32_t> words() const { return array<std::uint32_t>(detail::packed_array::words); }
  /// Entries of all tables of a codebook.
  const auto* tables() const
    requires has_tables<Numeric>
  {
    return reinterpret_cast<const typename Numeric::entry::code*>(words().data());
  }
  /// The output channel of kept channel `r` of a panel.
  std::size_t channel_of(const packed_panel& panel, std::size_t r) const {
    return panel.first_channel + (panel.kept < panel.channels ? kept_channels()[panel.kept_channels + r] : r);
  }

  /// Non-zero codes / stored codes: what part of the multiplications is of use. 1 for an empty matrix and for numeric
  /// types without a code for 0. O(words).
  double slot_efficiency() const {
    if constexpr (has_tables<Numeric>) return entry_efficiency();
    if constexpr (!has_zero_v<Numeric>) return 1.0;
    if constexpr (Shape::group_k == 32) return slot_efficiency_of_planes();
    constexpr std::size_t groups = groups_per_word_v<Numeric, Shape>;
    constexpr std::uint32_t code_mask = ~std::uint32_t{0} >> (32 - Numeric::bits);
    std::size_t useful = 0;
    for (const std::uint32_t word : words())
      for (std::size_t lane = 0; lane < Shape::group_k; ++lane)
        for (std::size_t i = 0; i < groups; ++i)
          useful += ((word >> (lane * (32 / Shape::group_k) + i * Numeric::bits)) & code_mask) != 0;
    const std::size_t stored = words().size() * groups * Shape::group_k;
    return stored == 0 ? 1.0 : static_cast<double>(useful) / static_cast<double>(stored);
  }

  /// What a block must say it is, to be viewed as this type.
  static std::string layout_name() {
    return detail::policy_name<KMap>::text() + " " + detail::policy_name<RowSelect>::text() + " " +
           std::string(Numeric::name) + " " + std::string(Granularity::name) + " " + std::to_string(Shape::channels) +
           "x" + std::to_string(Shape::group_k);
  }

 private:
  double entry_efficiency() const {
    using row_type = detail::codebook_row<Numeric>;
    std::size_t useful = 0, stored = 0;
    for (const packed_panel& panel : panels())
      for (std::size_t r = 0; r < panel.kept; ++r) {
        const std::size_t places = panel.groups * Shape::group_k;
        const auto* row = reinterpret_cast<const std::uint8_t*>(words().data() + panel.words + r * row_type::words(places));
        for (std::size_t place = 0; place < places; ++place) {
          const std::size_t k = (std::min)(place, shape().k - 1);  // tables along k: places are k's
          useful += tables()[table_start<Numeric>(channel_of(panel, r), k, shape().k) + row_type::load(row, place)] != 0;
        }
        stored += places;
      }
    return stored == 0 ? 1.0 : static_cast<double>(useful) / static_cast<double>(stored);
  }
  double slot_efficiency_of_planes() const {
    constexpr std::size_t planes = words_per_group_v<Numeric, Shape>;
    std::size_t useful = 0;
    for (std::size_t i = 0; i < words().size(); ++i) {
      if (i / Shape::channels % planes != 0) continue;
      std::uint32_t any = 0;
      for (std::size_t p = 0; p < planes; ++p) any |= words()[i + p * Shape::channels];
      useful += static_cast<std::size_t>(std::popcount(any));
    }
    const std::size_t stored = words().size() / planes * Shape::group_k;
    return stored == 0 ? 1.0 : static_cast<double>(useful) / static_cast<double>(stored);
  }

  status check_panels() const {
    using window = detail::window_of<RowSelect, KMap, Shape::group_k>;
    const auto wrong = [](std::size_t p, const std::string& what) {
      return status::failure("packed tensor: panel " + std::to_string(p) + ": " + what);
    };
    const auto [n, k] = shape();
    constexpr bool is_grouped = scales_along_k_v<Granularity>;
    const std::size_t segment_count = is_grouped ? ceil_div(k, detail::segment_k<Granularity>(k)) : 0;
    if (segments().size() != panels().size() * segment_count)
      return status::failure("packed tensor: segments do not match the panels");
    if (Numeric::is_integer && weight_sums().size() != (is_grouped ? scales().size() : n))
      return status::failure("packed tensor: weight sums do not match the channels");
    if (!is_grouped && scales().size() != Granularity::scale_count(n, k))
      return status::failure("packed tensor: scales do not match the channels");
    if constexpr (has_tables<Numeric>) {
      if (status s = validate(shape()); !s.ok()) return s;
      if (words().size() < detail::table_words<Numeric>(n, k)) return status::failure("packed tensor: tables out of range");
    }
    std::size_t next_channel = 0;
    for (std::size_t p = 0; p < panels().size(); ++p) {
      const packed_panel& panel = panels()[p];
      const std::size_t strips = ceil_div(panel.kept, Shape::channels);
      if (panel.groups % groups_per_word_v<Numeric, Shape> != 0) return wrong(p, "groups do not fill their words");
      if (panel.first_channel != next_channel || panel.channels > n - next_channel || panel.kept > panel.channels)
        return wrong(p, "channels out of range");
      next_channel += panel.channels;
      if (panel.addresses > addresses().size() || panel.mask > mask().size() || panel.selects > selects().size() ||
          panel.kept_channels > kept_channels().size())
        return wrong(p, "offsets out of range");
      if (!detail::fits(panel.words, strips, strip_words<Numeric, Shape>(panel.groups), words().size()))
        return wrong(p, "weights out of range");
      if (is_grouped && !detail::fits(panel.scales, strips * Shape::channels, segment_count, scales().size()))
        return wrong(p, "scales out of range");
      constexpr bool counts_k = !std::is_same_v<KMap, runs> && !std::is_same_v<KMap, list>;
      std::size_t segment_groups = 0;
      for (std::size_t s = 0; s < segment_count; ++s) {
        const std::size_t first = s * detail::segment_k<Granularity>(k);
        const std::size_t length = (std::min)(detail::segment_k<Granularity>(k), k - first);
        const std::size_t groups = segments()[p * segment_count + s];
        if (groups % groups_per_word_v<Numeric, Shape> != 0 || groups > panel.groups - segment_groups ||
            (counts_k && groups != whole_words(ceil_div(length, window::window) * window::groups)))
          return wrong(p, "segment " + std::to_string(s) + " has " + std::to_string(groups) + " groups");
        segment_groups += groups;
      }
      if (is_grouped && segment_groups != panel.groups) return wrong(p, "segments do not add up to the groups");
      if constexpr (!is_grouped && counts_k)
        if (panel.groups != whole_words(ceil_div(k, window::window) * window::groups)) return wrong(p, "groups do not match K");
      if constexpr (std::is_same_v<KMap, runs>) {
        if (!detail::fits(panel.addresses, panel.groups, 1, addresses().size())) return wrong(p, "addresses out of range");
        // a window begins at any k, but ends with the last one, unless k is less than a window
        constexpr bool is_window = window::positions_per_group != 0;
        const std::size_t end = is_window && k != 0 ? (std::max)(k, window::window) - window::window + 1 : k;
        for (std::size_t g = 0; g < panel.groups; ++g)
          if (addresses()[panel.addresses + g] >= end || (!is_window && addresses()[panel.addresses + g] % Shape::group_k != 0))
            return wrong(p, "address " + std::to_string(g) + " is " +
                                std::to_string(addresses()[panel.addresses + g]));
      }
      if constexpr (std::is_same_v<KMap, list>) {
        if (!detail::fits(panel.mask, ceil_div(k, 64), 1, mask().size())) return wrong(p, "mask out of range");
        std::size_t kept = 0;
        for (std::size_t word = 0; word < ceil_div(k, 64); ++word) {
          const std::uint64_t bits = mask()[panel.mask + word];
          if (word == k / 64 && (bits >> (k % 64)) != 0) return wrong(p, "mask keeps a k beyond K");
          kept += static_cast<std::size_t>(std::popcount(bits));
        }
        if (whole_words(ceil_div(kept, window::window) * window::groups) != panel.groups)
          return wrong(p, "mask does not match the groups");
      }
      if constexpr (window::positions_per_group != 0) {
        const std::size_t per_group = Shape::group_k * (window::is_private ? strips * Shape::channels : 1);
        const std::size_t bytes = ceil_div(panel.groups, window::groups_per_byte);
        if (!detail::fits(panel.selects, bytes, per_group, selects().size())) return wrong(p, "selects out of range");
        constexpr std::size_t bits = 8 / window::groups_per_byte;
        for (std::size_t i = 0; i < bytes * per_group; ++i)
          for (std::size_t shift = 0; shift < 8; shift += bits)
            if ((selects()[panel.selects + i] >> shift & ((1U << bits) - 1)) >= window::position_reach) return wrong(p, "position beyond its window");
      }
      if (panel.kept < panel.channels) {
        if (!detail::fits(panel.kept_channels, panel.kept, 1, kept_channels().size()))
          return wrong(p, "kept channels out of range");
        for (std::size_t i = 0; i < panel.kept; ++i)
          if (kept_channels()[panel.kept_channels + i] >= panel.channels) return wrong(p, "kept channel out of range");
      }
    }
    if (next_channel != n) return status::failure("packed tensor: the panels do not cover all channels");
    return {};
  }

  static std::size_t whole_words(std::size_t groups) {
    return round_up(groups, groups_per_word_v<Numeric, Shape>);
  }
};

}  // namespace sparq

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace sparq {

namespace detail {

/// How the rows loop reads the panels of a format: lists that are private to a channel become runs of all channels.
template <format F>
using rows_k_map = std::conditional_t<std::is_same_v<typename F::k_map, scattered>, runs, typename F::k_map>;

/// What the rows loop holds for codes of N in panels of F: types without a code for 0 keep their bits where every place
/// of a panel is a weight; beyond the last k X is 0.
template <format F, numeric N>
using rows_numeric = packed_numeric_t<N, holds_every_weight_v<F> && std::is_same_v<typename F::k_map, contiguous> &&
                                             std::is_same_v<typename F::row_select, all>>;

/// Packs one tensor: `measure` finds the extents of every panel, `write` fills a block.
template <class Shape, format F, numeric N, quantization_granularity G>
class packer {
  using k_map = rows_k_map<F>;
  using stored = rows_numeric<F, N>;

 public:
  using view_type = packed_view<k_map, typename F::row_select, stored, G, Shape>;

  explicit packer(const tensor_view<F, N, G>& w) : w_(w) { measure(); }

  std::size_t bytes() const { return static_cast<std::size_t>(header_.bytes); }
  /// Groups of a strip that the rows loop will load for one block of rows, all panels together.
  std::size_t strip_groups() const {
    std::size_t total = 0;
    for (const packed_panel& panel : panels_) total += ceil_div(panel.kept, Shape::channels) * panel.groups;
    return total;
  }
  /// Strips of 16 channels, all panels together.
  std::size_t strips() const {
    std::size_t total = 0;
    for (const packed_panel& panel : panels_) total += ceil_div(panel.kept, Shape::channels);
    return total;
  }

  /// @pre block.size() >= bytes(), aligned to 64 bytes
  void write(std::span<std::byte> block) {
    std::memset(block.data(), 0, bytes());
    std::memcpy(block.data(), &header_, sizeof header_);
    block_ = block.data();
    if constexpr (has_tables<N>)
      if (!w_.tables.empty()) std::memcpy(array<std::uint32_t>(packed_array::words), w_.tables.data(), w_.tables.size_bytes());
    for (std::size_t p = 0; p < panels_.size(); ++p) write_panel(p);
    if constexpr (!is_grouped)
      for (std::size_t i = 0; i < w_.scales.size(); ++i) array<float>(packed_array::scales)[i] = w_.scales[i];
  }

 private:
  using window = window_of<typename F::row_select, k_map, Shape::group_k>;
  using code = typename stored::code;
  static constexpr std::size_t group_k = Shape::group_k;
  static constexpr std::size_t groups_per_word = groups_per_word_v<stored, Shape>;
  static constexpr std::size_t planes = words_per_group_v<stored, Shape>;
  static constexpr std::size_t unplaced = ~std::size_t{0};
  static constexpr bool is_runs = std::is_same_v<k_map, runs>;
  static constexpr bool is_list = std::is_same_v<k_map, list>;
  static constexpr bool is_grouped = scales_along_k_v<G>;
  /// An N:M pattern inside a panel counts the entries of its list, whether a channel keeps them or not.
  static constexpr bool lists_k = is_list && window::positions_per_group != 0;

  template <class T>
  T* array(packed_array which) {
    return reinterpret_cast<T*>(block_ + header_.offset[static_cast<std::size_t>(which)]);
  }
  std::uint64_t& count(packed_array which) { return header_.count[static_cast<std::size_t>(which)]; }

  // ---- extents ------------------------------------------------------------------------------------------------------
  void measure() {
    const auto [n, k] = w_.shape();
    if constexpr (has_tables<N>) count(packed_array::words) = table_words<N>(n, k);
    std::vector<std::uint8_t> k_used;
    std::vector<std::uint8_t> channel_used;
    for (std::size_t p = 0; p < w_.index.panels(); ++p) {
      const channel_range range = w_.index.panel(p);
      packed_panel panel;
      panel.first_channel = static_cast<index_t>(range.first);
      panel.channels = panel.kept = static_cast<index_t>(range.count);
      panel.words = count(packed_array::words);
      panel.addresses = count(packed_array::addresses);
      panel.mask = count(packed_array::mask);
      panel.selects = count(packed_array::selects);
      panel.kept_channels = count(packed_array::kept_channels);
      panel.scales = count(packed_array::scales);
      if constexpr (is_runs || is_list) {
        k_used.assign(k, 0);
        channel_used.assign(range.count, 0);
        w_.index.for_each_slot(p, [&](std::size_t, std::size_t channel, std::size_t at) {
          k_used[at] = 1;
          channel_used[channel - range.first] = 1;
        });
        if constexpr (lists_k)
          for (const std::size_t at : w_.index.k_of(p)) k_used[at] = 1;
        fill_segments(k_used);
        leave_out_unused(panel, channel_used);
      }
      const std::size_t first_segment = segments_.size();
      for (std::size_t first = 0; first < k; first += segment_k<G>(k)) {
        segments_.push_back(segment_groups(k_used, first));
        panel.groups += segments_.back();
      }
      if constexpr (is_runs) count(packed_array::addresses) += panel.groups;
      if constexpr (is_list) count(packed_array::mask) += ceil_div(k, 64);
      const std::size_t strip_channels = round_up(panel.kept, Shape::channels);
      if constexpr (window::positions_per_group != 0)
        count(packed_array::selects) +=
            ceil_div(panel.groups, window::groups_per_byte) * group_k * (window::is_private ? strip_channels : 1);
      count(packed_array::words) += strip_channels / Shape::channels * strip_words<stored, Shape>(panel.groups);
      if constexpr (is_grouped) count(packed_array::scales) += strip_channels * (segments_.size() - first_segment);
      panels_.push_back(panel);
    }
    count(packed_array::panels) = panels_.size();
    if constexpr (is_grouped)
      count(packed_array::segments) = segments_.size();
    else
      count(packed_array::scales) = w_.scales.size();
    count(packed_array::weight_sums) = !N::is_integer ? 0 : is_grouped ? count(packed_array::scales) : n;
    header_.n = n;
    header_.k = k;
    header_.slots = w_.index.slots();
    header_.place(F::name(), view_type::layout_name(), packed_element_bytes);
  }

  /// Groups come in whole words; the last ones may be padding, whose codes and addresses are 0.
  static index_t whole_words(std::size_t groups) { return static_cast<index_t>(round_up(groups, groups_per_word)); }
  static std::size_t used(const std::vector<std::uint8_t>& flags, std::size_t first, std::size_t end) {
    std::size_t total = 0;
    for (std::size_t i = first; i < end; ++i) total += flags[i];
    return total;
  }
  /// Groups of the segment that starts at k = first.
  index_t segment_groups(const std::vector<std::uint8_t>& k_used, std::size_t first) const {
    const std::size_t end = (std::min)(first + segment_k<G>(w_.shape().k), w_.shape().k);
    std::size_t groups = 0;
    if constexpr (is_runs)
      for (std::size_t k = first; k < end; k += group_k) groups += run_used(k_used, k);
    else if constexpr (is_list)
      groups = ceil_div(used(k_used, first, end), window::window) * window::groups;
    else
      groups = ceil_div(end - first, window::window) * window::groups;
    return whole_words(groups);
  }
  /// Compacted k's follow each other without gaps: a segment of a list takes unused k's of its own to fill its words.
  void fill_segments(std::vector<std::uint8_t>& k_used) const {
    if constexpr (is_list && is_grouped)
      for (std::size_t first = 0; first + G::group < k_used.size(); first += G::group) {
        std::size_t missing = used(k_used, first, first + G::group);
        missing = round_up(missing, group_k * groups_per_word) - missing;
        for (std::size_t k = first; missing != 0; ++k) {
          missing -= k_used[k] == 0;
          k_used[k] = 1;
        }
      }
  }
  static bool run_used(const std::vector<std::uint8_t>& k_used, std::size_t first) {
    for (std::size_t k = first; k < (std::min)(first + group_k, k_used.size()); ++k)
      if (k_used[k] != 0) return true;
    return false;
  }
  /// Channels without a slot cost nothing if that saves a whole strip.
  void leave_out_unused(packed_panel& panel, const std::vector<std::uint8_t>& channel_used) {
    const std::size_t kept = used(channel_used, 0, channel_used.size());
    if (ceil_div(kept, Shape::channels) == ceil_div(panel.channels, Shape::channels)) return;
    panel.kept = static_cast<index_t>(kept);
    count(packed_array::kept_channels) += kept;
  }

  // ---- contents -----------------------------------------------------------------------------------------------------
  /// Codes and positions of a panel in the order of groups: [kept channel][group][group_k].
  void write_panel(std::size_t p) {
    const packed_panel& panel = panels_[p];
    array<packed_panel>(packed_array::panels)[p] = panel;
    const std::size_t segments = ceil_div(w_.shape().k, segment_k<G>(w_.shape().k));
    first_group_.assign(segments, 0);
    for (std::size_t s = 0; s + 1 < segments; ++s)
      first_group_[s + 1] = first_group_[s] + segments_[p * segments + s];
    if constexpr (is_grouped)
      for (std::size_t s = 0; s < segments; ++s)
        array<index_t>(packed_array::segments)[p * segments + s] = segments_[p * segments + s];
    const std::size_t row = panel.groups * group_k;
    codes_.assign(panel.kept * row, code{});
    place_.clear();
    row_of_.assign(panel.channels, unplaced);
    if constexpr (is_runs || is_list) place_k(p);
    if (panel.kept == panel.channels)
      for (std::size_t c = 0; c < panel.channels; ++c) row_of_[c] = c;
    else
      place_channels(p);
    if constexpr (has_tables<N> && !holds_every_weight_v<F>) fill_with_zeros(panel, row);
    if constexpr (is_grouped) write_scales(panel);
    if constexpr (window::positions_per_group != 0) next_.assign(panel.kept * ceil_div(w_.shape().k, window::window) *
                                                                     window::spans, 0);
    w_.index.for_each_slot(p, [&](std::size_t slot, std::size_t channel, std::size_t k) {
      const auto value = static_cast<code>(load_code<N>(w_.values.data(), slot));
      const std::size_t r = row_of_[channel - panel.first_channel];
      codes_[r * row + place(panel, r, k)] = value;
      if constexpr (N::is_integer)
        array<std::int32_t>(packed_array::weight_sums)[is_grouped ? scale_place(panel, r, k / segment_k<G>(w_.shape().k))
                                                                  : channel] +=
            weight_sum_term<stored, Shape>(load_weight(w_, slot, channel, k));
    });
    if constexpr (has_tables<N>)
      write_rows(panel);
    else
      write_words(panel);
  }

  /// Places that hold no weight: the code whose entry is 0. Where every weight is held, X is 0 beyond the last.
  void fill_with_zeros(const packed_panel& panel, std::size_t row) {
    for (std::size_t c = 0; c < panel.channels; ++c) {
      const auto* table = w_.tables.data() + table_start<N>(panel.first_channel + c, 0, w_.shape().k);
      if (panel.kept == panel.channels || channel_kept_[c] != 0)
        std::fill_n(codes_.data() + row_of_[c] * row, row, static_cast<code>(zero_code<N>(table)));
    }
  }

  /// Where the kernel meets the scale of kept channel r and one segment.
  std::size_t scale_place(const packed_panel& panel, std::size_t r, std::size_t segment) const {
    const std::size_t strip = r / Shape::channels;
    return panel.scales + (strip * first_group_.size() + segment) * Shape::channels + r % Shape::channels;
  }
  void write_scales(const packed_panel& panel) {
    for (std::size_t c = 0; c < panel.channels; ++c) {
      if (panel.kept < panel.channels && row_of_[c] == unplaced) continue;
      for (std::size_t s = 0; s < first_group_.size(); ++s)
        array<float>(packed_array::scales)[scale_place(panel, row_of_[c], s)] =
            static_cast<float>(w_.scales[G::scale_index(panel.first_channel + c, s * G::group, w_.shape().k)]);
    }
  }

  /// Where in a channel's groups the code of k goes.
  std::size_t place(const packed_panel& panel, std::size_t r, std::size_t k) {
    if constexpr (is_runs || is_list) k = place_[k];
    if constexpr (window::positions_per_group == 0) {
      if constexpr (is_runs || is_list) return k;
      return first_group_[k / segment_k<G>(w_.shape().k)] * group_k + k % segment_k<G>(w_.shape().k);
    } else {
      const std::size_t segment = is_list ? 0 : k / segment_k<G>(w_.shape().k);
      const std::size_t first_k = segment * segment_k<G>(w_.shape().k);
      const std::size_t w = k / window::window;
      const std::size_t in_window = k % window::window;
      const std::size_t span = in_window / (window::window / window::spans);
      const std::size_t spans_per_channel = next_.size() / panel.kept;
      const std::size_t nth = next_[r * spans_per_channel + w * window::spans + span]++;
      const std::size_t at = (first_group_[segment] + (w - first_k / window::window) * window::groups) * group_k +
                             span * window::kept + nth;
      const std::size_t group = at / group_k;
      const std::size_t lane = at % group_k;
      std::uint8_t* selects = array<std::uint8_t>(packed_array::selects) + panel.selects;
      if constexpr (window::is_private) {
        constexpr std::size_t shared = window::groups_per_byte;
        const std::size_t row = r / Shape::channels * ceil_div(panel.groups, shared) + group / shared;
        const std::size_t in_span = in_window % window::position_reach;
        selects[(row * Shape::channels + r % Shape::channels) * group_k + lane] |=
            static_cast<std::uint8_t>(in_span << (group % shared * (8 / shared)));
      } else {
        selects[at] = static_cast<std::uint8_t>(in_window);
      }
      return at;
    }
  }

  void place_k(std::size_t p) {
    const std::size_t k_extent = w_.shape().k;
    std::vector<std::uint8_t> k_used(k_extent, 0);
    w_.index.for_each_slot(p, [&](std::size_t, std::size_t, std::size_t k) { k_used[k] = 1; });
    if constexpr (lists_k)
      for (const std::size_t k : w_.index.k_of(p)) k_used[k] = 1;
    fill_segments(k_used);
    place_.assign(k_extent, 0);
    std::size_t next = 0;
    if constexpr (is_runs) {
      index_t* addresses = array<index_t>(packed_array::addresses) + panels_[p].addresses;
      for (std::size_t k = 0; k < k_extent; k += group_k) {
        if (k % segment_k<G>(k_extent) == 0) next = first_group_[k / segment_k<G>(k_extent)];
        if (!run_used(k_used, k)) continue;
        for (std::size_t i = k; i < (std::min)(k + group_k, k_extent); ++i) place_[i] = next * group_k + (i - k);
        addresses[next++] = static_cast<index_t>(k);
      }
    } else {
      std::uint64_t* mask = array<std::uint64_t>(packed_array::mask) + panels_[p].mask;
      for (std::size_t k = 0; k < k_extent; ++k) {
        if (k_used[k] == 0) continue;
        place_[k] = next++;
        mask[k / 64] |= std::uint64_t{1} << (k % 64);
      }
    }
  }

  void place_channels(std::size_t p) {
    const packed_panel& panel = panels_[p];
    channel_kept_.assign(panel.channels, 0);
    w_.index.for_each_slot(
        p, [&](std::size_t, std::size_t channel, std::size_t) { channel_kept_[channel - panel.first_channel] = 1; });
    index_t* kept = array<index_t>(packed_array::kept_channels) + panel.kept_channels;
    std::size_t next = 0;
    for (std::size_t c = 0; c < panel.channels; ++c) {
      if (channel_kept_[c] == 0) continue;
      row_of_[c] = next;
      kept[next++] = static_cast<index_t>(c);
    }
  }

  /// Codes of a codebook: channel by channel.
  void write_rows(const packed_panel& panel) {
    const std::size_t row = panel.groups * group_k;
    std::uint32_t* words = array<std::uint32_t>(packed_array::words) + panel.words;
    for (std::size_t r = 0; r < panel.kept; ++r, words += codebook_row<N>::words(row))
      for (std::size_t place = 0; place < row; ++place)
        codebook_row<N>::store(reinterpret_cast<std::uint8_t*>(words), place, codes_[r * row + place]);
  }

  void write_words(const packed_panel& panel) {
    const std::size_t row = panel.groups * group_k;
    const std::size_t load_groups = ceil_div(panel.groups, groups_per_word);
    std::uint32_t* words = array<std::uint32_t>(packed_array::words) + panel.words;
    for (std::size_t strip = 0; strip < panel.kept; strip += Shape::channels) {
      const std::size_t channels = (std::min)(Shape::channels, panel.kept - strip);
      // In blocks of a cache line of words: rows of codes are often a power of two apart and push each other out.
      for (std::size_t first = 0; first < load_groups; first += 16) {
        const std::size_t end = (std::min)(first + 16, load_groups);
        for (std::size_t c = 0; c < channels; ++c)
          for (std::size_t load_group = first; load_group < end; ++load_group)
            for (std::size_t plane = 0; plane < planes; ++plane)
              words[(load_group * planes + plane) * Shape::channels + c] =
                  word(codes_.data() + (strip + c) * row, load_group, panel.groups, plane);
      }
      words += load_groups * planes * Shape::channels;
    }
  }
  static std::uint32_t code_bits(code value) {
    if constexpr (stored::is_integer)
      return bits_of<stored>(value);
    else
      return value.bits;
  }
  static std::uint32_t word(const code* codes, std::size_t load_group, std::size_t groups, std::size_t plane) {
    if constexpr (group_k == 32) {
      std::uint32_t result = 0;
      for (std::size_t lane = 0; lane < group_k; ++lane)
        result |= (code_bits(codes[load_group * group_k + lane]) >> plane & 1U) << lane;
      return result;
    } else if constexpr (stored::bits == 32) {
      return std::bit_cast<std::uint32_t>(codes[load_group]);
    } else {
      const std::size_t first = load_group * groups_per_word;
      std::uint32_t result = 0;
      constexpr std::size_t lane_bits = 32 / group_k;
      for (std::size_t i = 0; i < (std::min)(groups_per_word, groups - first); ++i)
        for (std::size_t lane = 0; lane < group_k; ++lane)
          result |= code_bits(codes[(first + i) * group_k + lane]) << (lane * lane_bits + i * stored::bits);
      return result;
    }
  }

  tensor_view<F, N, G> w_;
  packed_header header_;
  std::vector<packed_panel> panels_;
  std::vector<index_t> segments_;  // of all panels
  std::byte* block_ = nullptr;
  std::vector<code> codes_;
  std::vector<std::size_t> first_group_;  // of every segment of the panel
  std::vector<std::size_t> place_;
  std::vector<std::size_t> row_of_;
  std::vector<std::uint8_t> channel_kept_;
  std::vector<std::uint8_t> next_;
};

}  // namespace detail
}  // namespace sparq

// ==== sparq/tensor/pack_window.hpp ====
// From a tensor of any format to windows (packed.hpp): zeros anywhere, for the rows loop. Sixteen channels share the
// address of a group, and each takes its next four weights at most from the W k's that begin there.
//
//   W = 16      base 0              base 5              base 17
//   channel 0   0 3 9 14            16 19 .  .          ...        takes early what lies in the window
//   channel 1   1 2 3 4             5 7 11 16           17 ...     sets the next base: its next k is the lowest
//
//   base = min over the channels of the k of their next weight
//   for each channel: for j < 4: if its next k < base + W: slot = that weight, its position k - base; else a filler, 0
//
// Any later base would miss a weight, and weights taken late take slots of later groups, so no choice of bases needs fewer
// groups. Codes of 0 are not stored.

#include <algorithm>
#include <cstring>
#include <vector>

namespace sparq::detail {

/// Packs one tensor: `measure` finds the groups of every strip, `write` fills a block.
template <class Shape, format F, numeric N, quantization_granularity G>
class window_packer {
  using stored = packed_numeric_t<N>;
  static_assert(N::is_integer && !has_tables<N>,
                "sparq: windows hold integers; pack codebooks and floats as panel_shape or column_shape");
  static_assert(!scales_along_k_v<G>, "sparq: windows of k's cross groups of scales; use scales per channel, or column_shape");

 public:
  using view_type = packed_view<runs, window_select<Shape::window>, stored, G, Shape>;

  explicit window_packer(const tensor_view<F, N, G>& w) : w_(w) { measure(); }

  std::size_t bytes() const { return static_cast<std::size_t>(header_.bytes); }
  /// Groups of all strips.
  std::size_t strip_groups() const { return static_cast<std::size_t>(header_.count[static_cast<std::size_t>(packed_array::addresses)]); }
  std::size_t strips() const { return panels_.size(); }

  /// @pre block.size() >= bytes(), aligned to 64 bytes
  void write(std::span<std::byte> block) {
    std::memset(block.data(), 0, bytes());
    std::memcpy(block.data(), &header_, sizeof header_);
    block_ = block.data();
    std::copy(panels_.begin(), panels_.end(), array<packed_panel>(packed_array::panels));
    for (std::size_t i = 0; i < w_.scales.size(); ++i) array<float>(packed_array::scales)[i] = w_.scales[i];
    for_each_strip([&](std::size_t strip, const code* rows, std::size_t channels) { write_strip(panels_[strip], rows, channels); });
  }

 private:
  using code = typename stored::code;
  using window = window_of<window_select<Shape::window>, runs, Shape::group_k>;
  static constexpr std::size_t channels_of_strip = Shape::channels, group_k = Shape::group_k;
  static constexpr std::size_t groups_per_word = groups_per_word_v<stored, Shape>;

  template <class T>
  T* array(packed_array which) {
    return reinterpret_cast<T*>(block_ + header_.offset[static_cast<std::size_t>(which)]);
  }
  std::uint64_t& count(packed_array which) { return header_.count[static_cast<std::size_t>(which)]; }

  void measure() {
    const auto [n, k] = w_.shape();
    for_each_strip([&](std::size_t strip, const code* rows, std::size_t channels) {
      packed_panel panel;
      panel.first_channel = static_cast<index_t>(strip * channels_of_strip);
      panel.channels = panel.kept = static_cast<index_t>(channels);
      panel.words = count(packed_array::words);
      panel.addresses = count(packed_array::addresses);
      panel.selects = count(packed_array::selects);
      std::size_t groups = 0;
      schedule(rows, channels, [&](std::size_t) { ++groups; }, [](std::size_t, std::size_t, std::size_t) {});
      panel.groups = static_cast<index_t>(round_up(groups, groups_per_word));
      count(packed_array::words) += strip_words<stored, Shape>(panel.groups);
      count(packed_array::addresses) += panel.groups;
      count(packed_array::selects) += ceil_div(std::size_t{panel.groups}, window::groups_per_byte) * channels_of_strip * group_k;
      panels_.push_back(panel);
    });
    count(packed_array::panels) = panels_.size();
    count(packed_array::weight_sums) = n;
    count(packed_array::scales) = w_.scales.size();
    header_.n = n;
    header_.k = k;
    header_.slots = w_.index.slots();
    header_.place(F::name(), view_type::layout_name(), packed_element_bytes);
  }

  /// group(base) for every group, and then slot(channel, j, k) for every weight in it. O(channels k)
  template <class Group, class Slot>
  void schedule(const code* rows, std::size_t channels, Group&& group, Slot&& slot) {
    const std::size_t k_extent = w_.shape().k;
    const std::size_t last_base = (std::max)(k_extent, Shape::window) - Shape::window;
    const auto next_weight = [&](std::size_t c, std::size_t k) {
      while (k < k_extent && rows[c * k_extent + k] == code{}) ++k;
      return k;
    };
    std::size_t next[channels_of_strip];
    for (std::size_t c = 0; c < channels; ++c) next[c] = next_weight(c, 0);
    while (true) {
      const std::size_t lowest = *std::min_element(next, next + channels);
      if (lowest >= k_extent) return;
      const std::size_t base = (std::min)(lowest, last_base);
      group(base);
      for (std::size_t c = 0; c < channels; ++c)
        for (std::size_t j = 0; j < group_k && next[c] < (std::min)(base + Shape::window, k_extent); ++j) {
          slot(c, j, next[c]);
          next[c] = next_weight(c, next[c] + 1);
        }
    }
  }

  void write_strip(const packed_panel& panel, const code* rows, std::size_t channels) {
    index_t* addresses = array<index_t>(packed_array::addresses) + panel.addresses;
    std::uint8_t* selects = array<std::uint8_t>(packed_array::selects) + panel.selects;
    std::uint32_t* words = array<std::uint32_t>(packed_array::words) + panel.words;
    std::int32_t* sums = array<std::int32_t>(packed_array::weight_sums) + panel.first_channel;
    constexpr std::size_t shared = window::groups_per_byte;
    std::size_t groups = 0, base = 0;
    schedule(
        rows, channels,
        [&](std::size_t at) {
          base = at;
          addresses[groups++] = static_cast<index_t>(at);
        },
        [&](std::size_t c, std::size_t j, std::size_t k) {
          const std::size_t g = groups - 1;
          const code value = rows[c * w_.shape().k + k];
          words[g / groups_per_word * channels_of_strip + c] |=
              bits_of<stored>(value) << (j * (32 / group_k) + g % groups_per_word * static_cast<std::size_t>(stored::bits));
          selects[(g / shared * channels_of_strip + c) * group_k + j] |=
              static_cast<std::uint8_t>((k - base) << (g % shared * (8 / shared)));
          sums[c] += static_cast<std::int32_t>(value);
        });
  }

  /// f(strip, codes of its first channel, channels) for all strips, after reading the band of channels they lie in: panels
  /// of the format, until their last channel ends a strip.
  template <class Visit>
  void for_each_strip(Visit&& visit) {
    const std::size_t k_extent = w_.shape().k;
    for (std::size_t p = 0; p < w_.index.panels();) {
      const std::size_t first = w_.index.panel(p).first;
      std::size_t end = p, band_end = first;
      do {
        const channel_range range = w_.index.panel(end++);
        band_end = range.first + range.count;
      } while (band_end % channels_of_strip != 0 && end < w_.index.panels());
      codes_.assign((band_end - first) * k_extent, code{});
      for (; p < end; ++p)
        w_.index.for_each_slot(p, [&](std::size_t slot, std::size_t channel, std::size_t k) {
          codes_[(channel - first) * k_extent + k] = static_cast<code>(load_code<N>(w_.values.data(), slot));
        });
      for (std::size_t channel = first; channel < band_end; channel += channels_of_strip)
        visit(channel / channels_of_strip, codes_.data() + (channel - first) * k_extent,
              (std::min)(channels_of_strip, band_end - channel));
    }
  }

  tensor_view<F, N, G> w_;
  packed_header header_;
  std::vector<packed_panel> panels_;
  std::byte* block_ = nullptr;
  std::vector<code> codes_;
};

}  // namespace sparq::detail

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace sparq {

namespace detail {

/// The packer for a shape: panel_shape and window_shape serve the rows loop, bitmask_shape the expanding one, column_shape
/// the columns loop.
template <class Shape, format F, numeric N, quantization_granularity G>
struct packer_for {
  using type = packer<Shape, F, N, G>;
};
template <std::size_t Channels, std::size_t GroupK, std::size_t Run, format F, numeric N, quantization_granularity G>
struct packer_for<column_shape<Channels, GroupK, Run>, F, N, G> {
  using type = column_packer<column_shape<Channels, GroupK, Run>, F, N, G>;
};
template <std::size_t Channels, std::size_t GroupK, format F, numeric N, quantization_granularity G>
struct packer_for<bitmask_shape<Channels, GroupK>, F, N, G> {
  using type = bitmask_packer<bitmask_shape<Channels, GroupK>, F, N, G>;
};
template <std::size_t Channels, std::size_t GroupK, std::size_t W, format F, numeric N, quantization_granularity G>
struct packer_for<window_shape<Channels, GroupK, W>, F, N, G> {
  using type = window_packer<window_shape<Channels, GroupK, W>, F, N, G>;
};
template <class Shape, format F, numeric N, quantization_granularity G>
using packer_for_t = typename packer_for<Shape, F, N, G>::type;

/// Whether a form can hold its tensor; most hold every one.
template <class Packer>
status check_packable(const Packer& packer) {
  if constexpr (requires { packer.check(); })
    return packer.check();
  else
    return {};
}

}  // namespace detail

/// The shape in which a format is packed for the columns loop: integers whose format stores aligned runs of four k's keep
/// them together.
template <format F, numeric N>
struct column_shape_for {
  using type = default_column_shape<N>;
};
template <format F, numeric N>
  requires requires { F::run; } && (F::run % 4 == 0) && N::is_integer
struct column_shape_for<F, N> {
  using type = column_shape<4, 4, 4>;
};
template <format F, numeric N>
using column_shape_for_t = typename column_shape_for<F, N>::type;

/// The shape in which a format is packed unless told otherwise: scattered k's for the columns loop, all others for rows.
template <format F, numeric N>
using default_shape = std::conditional_t<std::is_same_v<typename F::k_map, scattered>, column_shape_for_t<F, N>,
                                         default_panel_shape<N>>;

/// The packed form of a tensor.
template <class Tensor, class Shape = default_shape<typename Tensor::format_type, typename Tensor::numeric_type>>
using packed_view_of = typename detail::packer_for_t<Shape, typename Tensor::format_type, typename Tensor::numeric_type,
                                                     typename Tensor::granularity>::view_type;

/// Bytes that packing `w` will write. O(slots).
template <class Shape, format F, numeric N, quantization_granularity G>
std::size_t packed_bytes(const tensor_view<F, N, G>& w) {
  return detail::packer_for_t<Shape, F, N, G>(w).bytes();
}

/// Packs into the caller's memory; nothing is written when an error is returned.
/// Errors: a block that is too small or not aligned to 64 bytes; a table without 0 for the columns loop (only dense
/// tensors have such). Complexity O(n k).
template <class Shape, format F, numeric N, quantization_granularity G>
expected<packed_view_of<tensor_view<F, N, G>, Shape>> try_pack_into(const tensor_view<F, N, G>& w,
                                                                    std::span<std::byte> block) {
  detail::packer_for_t<Shape, F, N, G> packer(w);
  if (block.size() < packer.bytes())
    return status::failure("pack: " + std::to_string(packer.bytes()) + " bytes are needed, the block has " +
                           std::to_string(block.size()));
  if (reinterpret_cast<std::uintptr_t>(block.data()) % alignment != 0)
    return status::failure("pack: the block does not start on a boundary of 64 bytes");
  if (status s = detail::check_packable(packer); !s.ok()) return s;
  packer.write(block);
  return packed_view_of<tensor_view<F, N, G>, Shape>(unchecked, block.data());
}

/// Packs into memory of its own.
/// - `Shape`: panel_shape for the rows loop, window_shape or bitmask_shape for few rows, column_shape for the columns loop;
///   the default is what suits the format
/// Raises what try_pack_into refuses. @pre w is valid. Complexity O(n k).
template <class Shape, format F, numeric N, quantization_granularity G>
packed<packed_view_of<tensor_view<F, N, G>, Shape>> pack(const tensor_view<F, N, G>& w) {
  detail::packer_for_t<Shape, F, N, G> packer(w);
  detail::check_packable(packer).value();
  aligned_buffer block(packer.bytes());
  packer.write(block.bytes());
  return {unchecked, std::move(block)};
}

template <format F, numeric N, quantization_granularity G>
auto pack(const tensor_view<F, N, G>& w) { return pack<default_shape<F, N>>(w); }
template <format F, numeric N, quantization_granularity G>
auto pack(const tensor<F, N, G>& w) { return pack<default_shape<F, N>>(w.view()); }
template <class Shape, format F, numeric N, quantization_granularity G>
auto pack(const tensor<F, N, G>& w) { return pack<Shape>(w.view()); }

template <format F, numeric N, quantization_granularity G>
std::size_t packed_bytes(const tensor<F, N, G>& w) { return packed_bytes<default_shape<F, N>>(w.view()); }
template <format F, numeric N, quantization_granularity G>
auto try_pack_into(const tensor<F, N, G>& w, std::span<std::byte> block) {
  return try_pack_into<default_shape<F, N>>(w.view(), block);
}

}  // namespace sparq

#include <algorithm>
#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace sparq {

namespace detail {

/// A variant without the alternatives that it has already: several numeric types may be packed as one.
template <class Variant, class... Rest>
struct distinct {
  using type = Variant;
};
template <class... Known, class First, class... Rest>
struct distinct<std::variant<Known...>, First, Rest...>
    : distinct<std::conditional_t<(std::same_as<First, Known> || ...), std::variant<Known...>,
                                  std::variant<Known..., First>>,
               Rest...> {};

/// The packed forms of a variant of tensors.
template <class Variant>
struct packed_variant;
template <class... T>
struct packed_variant<std::variant<T...>> : distinct<std::variant<>, packed<packed_view_of<T>>...> {};
template <class Variant>
using packed_variant_t = typename packed_variant<Variant>::type;

template <class T, class Variant>
inline constexpr bool is_alternative_v = false;
template <class T, class... Alternatives>
inline constexpr bool is_alternative_v<T, std::variant<Alternatives...>> = (std::same_as<T, Alternatives> || ...);

/// f(type_identity of an alternative) for each alternative.
template <class... Alternatives, class F>
void for_each_alternative(std::type_identity<std::variant<Alternatives...>>, F&& f) {
  (f(std::type_identity<Alternatives>{}), ...);
}

}  // namespace detail

/// What tensors and packed tensors whose types are chosen at run time have in common.
template <class Variant>
class one_of {
 public:
  using variant = Variant;

  template <class T>
    requires detail::is_alternative_v<T, variant>
  one_of(T content) : content_(std::move(content)) {}

  /// f(what it holds); all alternatives give one type.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(std::forward<F>(f), content_);
  }
  weight_shape shape() const {
    return visit([](const auto& w) { return w.shape(); });
  }
  /// Of a tensor: values, indices and scales.
  std::size_t bytes() const {
    return visit([](const auto& w) { return w.bytes(); });
  }

 private:
  variant content_;
};

/// One of the tensors of `Variant`, a std::variant of tensors. Members cost compile time only where they are called: to
/// encode and pack every alternative takes seconds.
template <class Variant>
class basic_any_tensor : public one_of<Variant> {
 public:
  using variant = Variant;
  using one_of<Variant>::one_of;
  using one_of<Variant>::visit;

  /// Encodes in the format and numeric type of these names; see try_encode in tensor/encode.hpp.
  /// Errors: a name that is not in the set, a codebook, whose tables are not chosen here, and those of try_encode.
  static expected<basic_any_tensor> try_encode(std::string_view format_name, std::string_view numeric_name,
                                               std::span<const float> weights, weight_shape shape, mask_view keep) {
    std::optional<expected<basic_any_tensor>> result;
    std::vector<std::string> formats, numerics;
    detail::for_each_alternative(std::type_identity<variant>{}, [&]<class T>(std::type_identity<T>) {
      using format_type = typename T::format_type;
      using numeric_type = typename T::numeric_type;
      formats.push_back(format_type::name());
      numerics.emplace_back(numeric_type::name);
      if (format_name != formats.back() || numeric_name != numerics.back()) return;
      if constexpr (has_tables<numeric_type>) {
        result.emplace(status::failure("any_tensor: " + numerics.back() +
                                       " needs tables; make the tensor with encode (tensor/encode_codebook.hpp) or "
                                       "cluster (compress/cluster.hpp), and the any_tensor from it"));
      } else {
        auto encoded = sparq::try_encode<format_type, numeric_type, typename T::granularity>(weights, shape, keep);
        if (encoded)
          result.emplace(basic_any_tensor(*std::move(encoded)));
        else
          result.emplace(encoded.error());
      }
    });
    if (result) return *std::move(result);
    const auto is_in = [](std::string_view name, const std::vector<std::string>& known) {
      return std::find(known.begin(), known.end(), name) != known.end();
    };
    if (!is_in(format_name, formats)) return unknown("format", format_name, formats);
    if (!is_in(numeric_name, numerics)) return unknown("numeric type", numeric_name, numerics);
    return status::failure("any_tensor: " + std::string(format_name) + " with " + std::string(numeric_name) +
                           " is not in the set");
  }
  /// As above; keeps what is not zero.
  static expected<basic_any_tensor> try_encode(std::string_view format_name, std::string_view numeric_name,
                                               std::span<const float> weights, weight_shape shape) {
    if (status s = detail::check_extent(weights.size(), shape); !s.ok()) return s;
    return try_encode(format_name, numeric_name, weights, shape, nonzero_mask(weights, shape));
  }
  /// Throwing twins.
  static basic_any_tensor encode(std::string_view format_name, std::string_view numeric_name,
                                 std::span<const float> weights, weight_shape shape, mask_view keep) {
    return try_encode(format_name, numeric_name, weights, shape, keep).value();
  }
  static basic_any_tensor encode(std::string_view format_name, std::string_view numeric_name,
                                 std::span<const float> weights, weight_shape shape) {
    return try_encode(format_name, numeric_name, weights, shape).value();
  }

  double density() const {
    return visit([](const auto& w) { return w.density(); });
  }
  std::string format_name() const {
    return visit([](const auto& w) { return std::remove_cvref_t<decltype(w)>::format_type::name(); });
  }
  std::string_view numeric_name() const {
    return visit([](const auto& w) { return std::string_view(std::remove_cvref_t<decltype(w)>::numeric_type::name); });
  }

 private:
  /// Lists every known name once.
  static status unknown(const char* what, std::string_view name, const std::vector<std::string>& known) {
    std::string list;
    for (auto at = known.begin(); at != known.end(); ++at)
      if (std::find(known.begin(), at, *at) == at) list += (list.empty() ? "" : ", ") + *at;
    return status::failure("any_tensor: no " + std::string(what) + " is called \"" + std::string(name) +
                           "\"; there are " + list);
  }
};

/// One of the packed tensors of `Variant`, a std::variant; what pack makes of a basic_any_tensor.
template <class Variant>
class basic_any_packed : public one_of<Variant> {
 public:
  using one_of<Variant>::one_of;
  using one_of<Variant>::visit;

  /// Of the tensor that was packed.
  double density() const {
    return visit([](const auto& w) { return w.view().density(); });
  }
  /// Of the tensor that was packed.
  std::string format_name() const {
    return visit([](const auto& w) { return std::string(w.view().format_name()); });
  }
  /// Of the packed form; see packed_numeric_t.
  std::string_view numeric_name() const {
    return visit([](const auto& w) {
      return std::string_view(std::remove_cvref_t<decltype(w)>::view_type::numeric_type::name);
    });
  }
};

/// Bytes that packing will write. O(slots).
template <class Variant>
std::size_t packed_bytes(const basic_any_tensor<Variant>& w) {
  return w.visit([](const auto& t) { return packed_bytes(t); });
}
/// Packs into memory of its own. @pre w is valid. Complexity O(n k).
template <class Variant>
auto pack(const basic_any_tensor<Variant>& w) {
  using packed_type = basic_any_packed<detail::packed_variant_t<Variant>>;
  return w.visit([](const auto& t) { return packed_type(pack(t)); });
}

}  // namespace sparq

// ==== sparq/tensor/encode_codebook.hpp ====
// From weights, or from codes and tables that come from elsewhere, to tensors whose codes are places in tables. What the
// tables hold is up to the caller (compress/cluster.hpp finds good ones); nothing is grouped in another way than told.

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace sparq {

/// The code of the nearest entry; of equally near ones the first. @pre value is not NaN. O(2^bits).
template <has_tables N>
typename N::code nearest_code(std::span<const typename N::entry::code> table, float value) {
  std::size_t best = 0;
  float least = std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < N::entries; ++i) {
    const float difference = static_cast<float>(table[i]) - value;
    const float distance = difference < 0 ? -difference : difference;
    if (distance < least) {
      least = distance;
      best = i;
    }
  }
  return static_cast<typename N::code>(best);
}

/// Stores codes of the elements that `keep` keeps; the others count as pruned.
/// - `codes`: shape.n x shape.k, row-major, below 2^bits; those of pruned elements are not read
/// - `tables`: table_entries<N>(n, k); one entry of each is 0 unless the format holds every weight and all are kept
/// - `scales`: G::scale_count(n, k), positive: w = scale * entry
/// Errors: sizes, a code out of range, an element that the format cannot hold, a pruned element in a table without an
/// entry of 0, an entry that is NaN or infinite, a scale that is not positive and finite. Complexity O(n k).
template <format F, has_tables N, quantization_granularity G = default_granularity<N>>
expected<tensor<F, N, G>> try_encode_codes(std::span<const std::uint8_t> codes, weight_shape shape, mask_view keep,
                                           std::vector<typename N::entry::code> tables, std::vector<float> scales) {
  if (status s = validate(shape); !s.ok()) return s;
  if (status s = detail::check_extent(codes.size(), shape); !s.ok()) return s;
  if (!(keep.shape == shape))
    return status::failure("encode: the mask is " + to_string(keep.shape) + ", the codes are " + to_string(shape));
  if (status s = detail::check_tables<N>(tables, shape, !holds_every_weight_v<F>, F::name()); !s.ok()) return s;
  auto index = F::from_mask(keep);
  if (!index) return index.error();

  aligned_buffer values(storage_bytes<N>(index->slots()));
  std::string problem;
  detail::for_each_slot(*index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    const std::size_t at = n * shape.k + k;
    std::size_t code = codes[at];
    if (keep.keep[at] == 0) code = zero_code<N>(tables.data() + table_start<N>(n, k, shape.k));
    if (code < N::entries)
      store_code<N>(values.data(), slot, static_cast<typename N::code>(code));
    else if (problem.empty())
      problem = keep.keep[at] == 0 ? "the pruned element " + position_text(n, k) + " needs an entry of 0 in its table"
                                   : "code " + std::to_string(code) + " at " + position_text(n, k) + " is outside " +
                                         std::string(N::name);
  });
  if (!problem.empty()) return status::failure("encode: " + problem);
  return tensor<F, N, G>::try_make(*std::move(index), std::move(values), std::move(scales), std::move(tables));
}

/// Stores for each kept weight the code of its nearest entry, weight / scale for integers. A weight that is kept may
/// become 0 if that is the nearest; a pruned one always is.
/// - `weights`: shape.n x shape.k, row-major, finite
/// Otherwise as above. Complexity O(n k 2^bits).
template <format F, has_tables N, quantization_granularity G = default_granularity<N>>
expected<tensor<F, N, G>> try_encode(std::span<const float> weights, weight_shape shape, mask_view keep,
                                     std::vector<typename N::entry::code> tables, std::vector<float> scales) {
  if (status s = detail::check_extent(weights.size(), shape); !s.ok()) return s;
  if (status s = detail::check_tables<N>(tables, shape, false, F::name()); !s.ok()) return s;
  if (scales.size() != G::scale_count(shape.n, shape.k))
    return status::failure("encode: " + std::to_string(scales.size()) + " scales; " +
                           std::to_string(G::scale_count(shape.n, shape.k)) + " are needed");
  std::vector<std::uint8_t> codes(shape.size());
  for (std::size_t n = 0, at = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k, ++at) {
      if (!is_finite(weights[at]))
        return status::failure("encode: weight " + position_text(n, k) + " is " + number_text(weights[at]));
      float value = weights[at];
      if constexpr (!std::is_same_v<G, unquantized>) value /= scales[G::scale_index(n, k, shape.k)];
      codes[at] = nearest_code<N>(std::span(tables).subspan(table_start<N>(n, k, shape.k), N::entries), value);
    }
  return try_encode_codes<F, N, G>(codes, shape, keep, std::move(tables), std::move(scales));
}

/// Throwing twins.
template <format F, has_tables N, quantization_granularity G = default_granularity<N>>
tensor<F, N, G> encode_codes(std::span<const std::uint8_t> codes, weight_shape shape, mask_view keep,
                             std::vector<typename N::entry::code> tables, std::vector<float> scales) {
  return try_encode_codes<F, N, G>(codes, shape, keep, std::move(tables), std::move(scales)).value();
}
template <format F, has_tables N, quantization_granularity G = default_granularity<N>>
tensor<F, N, G> encode(std::span<const float> weights, weight_shape shape, mask_view keep,
                       std::vector<typename N::entry::code> tables, std::vector<float> scales) {
  return try_encode<F, N, G>(weights, shape, keep, std::move(tables), std::move(scales)).value();
}

}  // namespace sparq

// ==== sparq/tensor/image.hpp ====
// Images: activations with two spatial extents, channels innermost (NHWC), so that a pixel is a row of X and all pixels
// together are a matrix. And the windows that convolutions and pools slide over them.
//
//   kernel_height 2, dilation_y 2, stride_y 2, pad_top 1, image_height 4, pad_bottom 1:
//
//   pad_top      x                   tap 0 of output row 0
//   image row 0  .
//   image row 1  x  y                tap 1 of output row 0, tap 0 of output row 1
//   image row 2     .
//   image row 3     y                tap 1 of output row 1
//   pad_bottom

// ==== sparq/tensor/matrix.hpp ====
// Activations: matrices over memory that the caller owns, by rows, by columns, or four columns at a time.

#include <cstddef>
#include <string>
#include <type_traits>

namespace sparq {

/// `rows` x `columns` elements, `stride` elements from one row to the next. Trivially copyable; does not own.
/// X is m x k, Y is m x n.
template <class T>
struct matrix_view {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;

  constexpr matrix_view() = default;
  constexpr matrix_view(T* first, std::size_t row_count, std::size_t column_count)
      : matrix_view(first, row_count, column_count, column_count) {}
  /// @pre stride >= column_count
  constexpr matrix_view(T* first, std::size_t row_count, std::size_t column_count, std::size_t row_stride)
      : data(first), rows(row_count), columns(column_count), stride(row_stride) {}
  /// A view that only reads.
  constexpr operator matrix_view<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, rows, columns, stride};
  }

  constexpr T* row(std::size_t i) const { return data + i * stride; }
  constexpr T& operator()(std::size_t i, std::size_t j) const { return data[i * stride + j]; }
};

/// The same extents stored column by column, `stride` elements from one column to the next: X with its k's, or Y with its
/// channels, one after the other. The columns loop reads and writes it; the Y of one layer is the X of the next.
template <class T>
struct k_major_view {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;

  constexpr k_major_view() = default;
  constexpr k_major_view(T* first, std::size_t row_count, std::size_t column_count)
      : k_major_view(first, row_count, column_count, row_count) {}
  /// @pre stride >= row_count
  constexpr k_major_view(T* first, std::size_t row_count, std::size_t column_count, std::size_t column_stride)
      : data(first), rows(row_count), columns(column_count), stride(column_stride) {}
  /// A view that only reads.
  constexpr operator k_major_view<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, rows, columns, stride};
  }

  constexpr T* column(std::size_t j) const { return data + j * stride; }
  constexpr T& operator()(std::size_t i, std::size_t j) const { return data[j * stride + i]; }
};

/// The same extents with the columns taken four at a time (NC4HW4): [column / 4][row][4], `stride` elements from one quad
/// of columns to the next. Where the last quad has fewer, Y holds zeros beyond them and X anything. Runs of four k's of
/// the columns loop read it as it is.
template <class T>
struct quad_view {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;

  constexpr quad_view() = default;
  constexpr quad_view(T* first, std::size_t row_count, std::size_t column_count)
      : quad_view(first, row_count, column_count, 4 * row_count) {}
  /// @pre quad_stride >= 4 * row_count
  constexpr quad_view(T* first, std::size_t row_count, std::size_t column_count, std::size_t quad_stride)
      : data(first), rows(row_count), columns(column_count), stride(quad_stride) {}
  /// A view that only reads.
  constexpr operator quad_view<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, rows, columns, stride};
  }

  /// Elements that a matrix without gaps takes.
  static constexpr std::size_t elements(std::size_t row_count, std::size_t column_count) {
    return (column_count + 3) / 4 * 4 * row_count;
  }
  /// Four columns from 4 j on.
  constexpr T* quad(std::size_t j) const { return data + j * stride; }
  constexpr T& operator()(std::size_t i, std::size_t j) const { return data[j / 4 * stride + 4 * i + j % 4]; }
};

/// "rows x columns" for messages.
template <template <class> class View, class T>
std::string extent_text(const View<T>& v) {
  return std::to_string(v.rows) + " x " + std::to_string(v.columns);
}

}  // namespace sparq

#include <algorithm>
#include <cstddef>
#include <string>
#include <type_traits>

namespace sparq {

/// `images` x `image_height` x `image_width` pixels of `channels` neighbouring elements, without gaps. Trivially
/// copyable; does not own.
template <class T>
struct image_view {
  T* data = nullptr;
  std::size_t images = 0;
  std::size_t image_height = 0;
  std::size_t image_width = 0;
  std::size_t channels = 0;

  constexpr image_view() = default;
  constexpr image_view(T* first, std::size_t image_count, std::size_t height_of_image, std::size_t width_of_image,
                       std::size_t channel_count)
      : data(first),
        images(image_count),
        image_height(height_of_image),
        image_width(width_of_image),
        channels(channel_count) {}
  /// A view that only reads.
  constexpr operator image_view<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, images, image_height, image_width, channels};
  }

  /// Of all images.
  constexpr std::size_t pixels() const { return images * image_height * image_width; }
  /// The first channel of a pixel.
  constexpr T* pixel(std::size_t image, std::size_t y, std::size_t x) const {
    return data + ((image * image_height + y) * image_width + x) * channels;
  }
  /// The same memory, one row for each pixel.
  constexpr matrix_view<T> as_matrix() const { return {data, pixels(), channels}; }
};

/// "images x height x width x channels" for messages.
template <class T>
std::string extent_text(image_view<T> v) {
  return std::to_string(v.images) + " x " + std::to_string(v.image_height) + " x " + std::to_string(v.image_width) +
         " x " + std::to_string(v.channels);
}

/// The taps of one output along one axis that lie inside the image.
struct tap_range {
  std::size_t first = 0;  ///< tap
  std::size_t end = 0;    ///< behind the last tap; not above `first` where all taps lie in the padding
  std::size_t pixel = 0;  ///< that tap `first` reads; the next taps follow a dilation apart

  constexpr std::size_t count() const { return first < end ? end - first : 0; }
};

/// Where a sliding window has its taps: tap (ky, kx) of output (y, x) reads the pixel
/// (y * stride_y + ky * dilation_y - pad_top, x * stride_x + kx * dilation_x - pad_left), or padding outside the image.
struct window_parameters {
  std::size_t kernel_height = 1;
  std::size_t kernel_width = 1;
  std::size_t stride_y = 1;
  std::size_t stride_x = 1;
  std::size_t dilation_y = 1;
  std::size_t dilation_x = 1;
  std::size_t pad_top = 0;
  std::size_t pad_left = 0;
  std::size_t pad_bottom = 0;
  std::size_t pad_right = 0;

  /// Rows of pixels from the first tap to the last.
  constexpr std::size_t span_height() const { return (kernel_height - 1) * dilation_y + 1; }
  /// Columns of pixels from the first tap to the last.
  constexpr std::size_t span_width() const { return (kernel_width - 1) * dilation_x + 1; }
  constexpr std::size_t taps() const { return kernel_height * kernel_width; }

  /// @pre check(image_height, image_width)
  constexpr std::size_t output_height(std::size_t image_height) const {
    return (pad_top + image_height + pad_bottom - span_height()) / stride_y + 1;
  }
  /// @pre check(image_height, image_width)
  constexpr std::size_t output_width(std::size_t image_width) const {
    return (pad_left + image_width + pad_right - span_width()) / stride_x + 1;
  }

  /// The rows of taps of output row y that lie inside the image. @pre check(image_height, image_width)
  constexpr tap_range taps_inside_y(std::size_t y, std::size_t image_height) const {
    return taps_inside(y * stride_y, pad_top, image_height, kernel_height, dilation_y);
  }
  /// The columns of taps of output column x that lie inside the image. @pre check(image_height, image_width)
  constexpr tap_range taps_inside_x(std::size_t x, std::size_t image_width) const {
    return taps_inside(x * stride_x, pad_left, image_width, kernel_width, dilation_x);
  }

  /// A kernel, stride or dilation of 0, a number beyond 2^31 - 1, more than 2^32 - 1 taps, or a kernel that spans more than
  /// the padded image; ok if there is none of these.
  status check(std::size_t image_height, std::size_t image_width) const;

  friend constexpr bool operator==(const window_parameters&, const window_parameters&) = default;

 private:
  // `start`: of the window, counted from the first padded pixel
  static constexpr tap_range taps_inside(std::size_t start, std::size_t pad, std::size_t image, std::size_t kernel,
                                         std::size_t dilation) {
    tap_range taps;
    if (start < pad) taps.first = ceil_div(pad - start, dilation);
    if (start < pad + image) taps.end = (std::min)(kernel, ceil_div(pad + image - start, dilation));
    if (taps.first < taps.end) taps.pixel = start + taps.first * dilation - pad;
    return taps;
  }
};

namespace detail {

inline status check_window_number(const char* name, std::size_t value, std::size_t least) {
  constexpr std::size_t most = 0x7FFFFFFF;
  if (value >= least && value <= most) return {};
  return status::failure("window: " + std::string(name) + " " + std::to_string(value) + " is not in [" +
                         std::to_string(least) + ", 2^31 - 1]");
}

inline status check_window_span(const char* axis, std::size_t span, std::size_t before, std::size_t image,
                                std::size_t after) {
  const std::size_t padded = before + image + after;
  if (span <= padded) return {};
  return status::failure("window: the kernel spans " + std::to_string(span) + " " + axis +
                         " of pixels, the padded image has " + std::to_string(padded) + " (" + std::to_string(before) +
                         " + " + std::to_string(image) + " + " + std::to_string(after) + ")");
}

}  // namespace detail

inline status window_parameters::check(std::size_t image_height, std::size_t image_width) const {
  const struct {
    const char* name;
    std::size_t value;
    std::size_t least;
  } numbers[] = {{"kernel_height", kernel_height, 1}, {"kernel_width", kernel_width, 1},
                 {"stride_y", stride_y, 1},           {"stride_x", stride_x, 1},
                 {"dilation_y", dilation_y, 1},       {"dilation_x", dilation_x, 1},
                 {"pad_top", pad_top, 0},             {"pad_left", pad_left, 0},
                 {"pad_bottom", pad_bottom, 0},       {"pad_right", pad_right, 0},
                 {"image_height", image_height, 0},   {"image_width", image_width, 0}};
  for (const auto& number : numbers)
    if (status s = detail::check_window_number(number.name, number.value, number.least); !s.ok()) return s;
  if (taps() > 0xFFFFFFFF)
    return status::failure("window: a kernel of " + std::to_string(kernel_height) + " x " + std::to_string(kernel_width) +
                           " taps has more than 2^32 - 1");
  if (status s = detail::check_window_span("rows", span_height(), pad_top, image_height, pad_bottom); !s.ok()) return s;
  return detail::check_window_span("columns", span_width(), pad_left, image_width, pad_right);
}

}  // namespace sparq

// ==== sparq/tensor/narrow_view.hpp ====
// Activations whose elements share bytes: u4, s4, u2, s2, u1, their high_first orders, and binary. A row of a matrix and a
// pixel of an image start on a byte; the bits behind their last element are zero where the library writes them.
//
//   narrow_matrix_view<u4>, 2 x 3, stride 2      bytes  [x00|x01<<4] [x02]  [x10|x11<<4] [x12]

#include <cstddef>
#include <string>
#include <type_traits>

namespace sparq {

namespace detail {

template <class N>
constexpr void check_narrow_element() {
  using type = std::remove_const_t<N>;
  static_assert(integer_numeric<type> && shares_bytes_v<type> && fills_bytes_v<type>,
                "sparq: narrow views are of integers of 1, 2 or 4 bits, such as u4; use matrix_view or image_view for "
                "other elements");
  static_assert(type::bits == 1 || !requires { type::to_bits(typename type::code{}); },
                "sparq: activations are plain integers or binary; requantize to s4 or s2");
}
template <class N>
using narrow_byte = std::conditional_t<std::is_const_v<N>, const std::byte, std::byte>;

}  // namespace detail

/// `rows` x `columns` codes of N, `stride` bytes from one row to the next. `narrow_matrix_view<const u4>` only reads.
/// Trivially copyable; does not own.
template <class N>
struct narrow_matrix_view {
  using numeric_type = std::remove_const_t<N>;
  using code = typename numeric_type::code;
  using byte = detail::narrow_byte<N>;

  byte* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;  ///< in bytes

  constexpr narrow_matrix_view() { detail::check_narrow_element<N>(); }
  constexpr narrow_matrix_view(byte* first, std::size_t row_count, std::size_t column_count)
      : narrow_matrix_view(first, row_count, column_count, storage_bytes<numeric_type>(column_count)) {}
  /// @pre row_stride >= storage_bytes<N>(column_count)
  constexpr narrow_matrix_view(byte* first, std::size_t row_count, std::size_t column_count, std::size_t row_stride)
      : data(first), rows(row_count), columns(column_count), stride(row_stride) {
    detail::check_narrow_element<N>();
  }
  /// A view that only reads.
  constexpr operator narrow_matrix_view<const N>() const
    requires(!std::is_const_v<N>)
  {
    return {data, rows, columns, stride};
  }

  /// Bytes of one row that hold elements.
  constexpr std::size_t row_bytes() const { return storage_bytes<numeric_type>(columns); }
  constexpr byte* row(std::size_t i) const { return data + i * stride; }
  constexpr code operator()(std::size_t i, std::size_t j) const { return load_code<numeric_type>(row(i), j); }
  /// Replaces one element and leaves its neighbours as they are.
  constexpr void set(std::size_t i, std::size_t j, code value) const
    requires(!std::is_const_v<N>)
  {
    store_code<numeric_type>(row(i), j, value);
  }
};

/// `images` x `image_height` x `image_width` pixels of `channels` codes of N; every pixel takes whole bytes, without gaps
/// between pixels. Trivially copyable; does not own.
template <class N>
struct narrow_image_view {
  using numeric_type = std::remove_const_t<N>;
  using code = typename numeric_type::code;
  using byte = detail::narrow_byte<N>;

  byte* data = nullptr;
  std::size_t images = 0;
  std::size_t image_height = 0;
  std::size_t image_width = 0;
  std::size_t channels = 0;

  constexpr narrow_image_view() { detail::check_narrow_element<N>(); }
  constexpr narrow_image_view(byte* first, std::size_t image_count, std::size_t height_of_image,
                              std::size_t width_of_image, std::size_t channel_count)
      : data(first),
        images(image_count),
        image_height(height_of_image),
        image_width(width_of_image),
        channels(channel_count) {
    detail::check_narrow_element<N>();
  }
  /// A view that only reads.
  constexpr operator narrow_image_view<const N>() const
    requires(!std::is_const_v<N>)
  {
    return {data, images, image_height, image_width, channels};
  }

  /// Of all images.
  constexpr std::size_t pixels() const { return images * image_height * image_width; }
  /// Bytes of one pixel.
  constexpr std::size_t pixel_bytes() const { return storage_bytes<numeric_type>(channels); }
  /// The byte that holds the first channel of a pixel.
  constexpr byte* pixel(std::size_t image, std::size_t y, std::size_t x) const {
    return data + ((image * image_height + y) * image_width + x) * pixel_bytes();
  }
  /// The same memory, one row for each pixel.
  constexpr narrow_matrix_view<N> as_matrix() const { return {data, pixels(), channels, pixel_bytes()}; }
};

/// "images x height x width x channels" for messages.
template <class N>
std::string extent_text(const narrow_image_view<N>& v) {
  return extent_text(image_view<const std::byte>(nullptr, v.images, v.image_height, v.image_width, v.channels));
}

}  // namespace sparq

// ==== sparq/tensor/planes.hpp ====
// Images stored channel by channel (NCHW): the twin of k_major_view. A channel of an image is a plane of neighbouring
// pixels; the columns loop reads a tap of a convolution at an offset into it.

#include <cstddef>
#include <string>
#include <type_traits>

namespace sparq {

/// The pixels of planes as rows of a matrix, channels as its columns. Trivially copyable; does not own.
template <class T>
struct plane_matrix_view {
  T* data = nullptr;
  std::size_t rows = 0;     // pixels of all images
  std::size_t columns = 0;  // channels
  std::size_t stride = 0;   // from one channel to the next
  std::size_t image_rows = 1;
  std::size_t image_stride = 0;

  constexpr T& operator()(std::size_t i, std::size_t j) const {
    return data[i / image_rows * image_stride + i % image_rows + j * stride];
  }
};

/// `images` x `channels` planes of image_height x image_width neighbouring pixels. Trivially copyable; does not own.
template <class T>
struct plane_view {
  T* data = nullptr;
  std::size_t images = 0;
  std::size_t image_height = 0;
  std::size_t image_width = 0;
  std::size_t channels = 0;
  std::size_t image_stride = 0;    // elements from one image to the next
  std::size_t channel_stride = 0;  // elements from one channel to the next

  constexpr plane_view() = default;
  /// NCHW without gaps.
  constexpr plane_view(T* first, std::size_t image_count, std::size_t height_of_image, std::size_t width_of_image,
                       std::size_t channel_count)
      : plane_view(first, image_count, height_of_image, width_of_image, channel_count,
                   channel_count * height_of_image * width_of_image, height_of_image * width_of_image) {}
  /// Planes anywhere: a range of channels of something larger, or all images of a channel together.
  /// @pre planes do not overlap
  constexpr plane_view(T* first, std::size_t image_count, std::size_t height_of_image, std::size_t width_of_image,
                       std::size_t channel_count, std::size_t stride_of_images, std::size_t stride_of_channels)
      : data(first),
        images(image_count),
        image_height(height_of_image),
        image_width(width_of_image),
        channels(channel_count),
        image_stride(stride_of_images),
        channel_stride(stride_of_channels) {}
  /// A view that only reads.
  constexpr operator plane_view<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {data, images, image_height, image_width, channels, image_stride, channel_stride};
  }

  /// Of one plane.
  constexpr std::size_t plane_pixels() const { return image_height * image_width; }
  /// Of all images.
  constexpr std::size_t pixels() const { return images * plane_pixels(); }
  /// The first pixel of a channel of an image.
  constexpr T* plane(std::size_t image, std::size_t channel) const {
    return data + image * image_stride + channel * channel_stride;
  }
  constexpr T& operator()(std::size_t image, std::size_t y, std::size_t x, std::size_t channel) const {
    return plane(image, channel)[y * image_width + x];
  }
  /// The same memory, a row for each pixel.
  constexpr plane_matrix_view<T> as_matrix() const {
    return {data, pixels(), channels, channel_stride, plane_pixels() == 0 ? 1 : plane_pixels(), image_stride};
  }
  /// `count` channels from `first` on.
  constexpr plane_view channel_range(std::size_t first, std::size_t count) const {
    return {data + first * channel_stride, images, image_height, image_width, count, image_stride, channel_stride};
  }
};

/// "images x height x width x channels" for messages, as for image_view.
template <class T>
std::string extent_text(plane_view<T> v) {
  return extent_text(image_view<T>(nullptr, v.images, v.image_height, v.image_width, v.channels));
}

}  // namespace sparq

// ==== sparq/tensor/precision.hpp ====
// Weights whose width in bits is chosen at run time, layer by layer, from a precision map as bit assignment writes it:
//
//   for (const auto& [layer, bits] : map) {                    // bits of X and of W, from 1 to 8
//     const precision p = make_precision(layer, bits.x, bits.w);
//     const auto w = pack(any_precision<dense>::encode("dense", p.weight_numeric(), weights, shape));
//     gemm(x, w, y, ...);                                      // op/gemm_any.hpp: one visit, then the kernel of that type
//   }
//
// Eight widths meet four kernels: 1 bit is binary, 3 bits are packed as 4, and 5 to 7 as 8.

#include <string>
#include <string_view>
#include <variant>

namespace sparq {

/// Bits of the activations that enter a layer, and of its weights.
struct precision {
  int x_bits = 8;
  int w_bits = 8;

  /// The numeric type of the weights: binary, s2, s3 .. s8.
  std::string_view weight_numeric() const {
    constexpr std::string_view names[] = {binary::name, s2::name, s3::name, s4::name,
                                          s5::name,     s6::name, s7::name, s8::name};
    return names[w_bits - 1];
  }
  /// Activations are codes from 0 to this, in u8, or packed where they have 1, 2 or 4 bits.
  std::int32_t x_max_code() const { return (1 << x_bits) - 1; }

  friend constexpr bool operator==(const precision&, const precision&) = default;
};

/// An entry of a precision map.
/// Errors: bits that are no whole number from 1 to 8; the message names the layer.
inline expected<precision> try_make_precision(std::string_view layer, double x_bits, double w_bits) {
  const auto is_width = [](double bits) { return bits >= 1 && bits <= 8 && bits == static_cast<int>(bits); };
  for (const auto& [what, bits] : {std::pair("activations", x_bits), std::pair("weights", w_bits)})
    if (!is_width(bits))
      return status::failure("precision: layer " + std::string(layer) + " has " + what + " of " + number_text(bits) +
                             " bits; a code has a whole number of bits, from 1 to 8");
  return precision{static_cast<int>(x_bits), static_cast<int>(w_bits)};
}
/// Throwing twin of try_make_precision.
inline precision make_precision(std::string_view layer, double x_bits, double w_bits) {
  return try_make_precision(layer, x_bits, w_bits).value();
}

/// A tensor of one format whose codes have 1 to 8 bits, chosen by name at run time; see basic_any_tensor.
template <format F>
using any_precision = basic_any_tensor<std::variant<tensor<F, binary>, tensor<F, s2>, tensor<F, s3>, tensor<F, s4>,
                                                    tensor<F, s5>, tensor<F, s6>, tensor<F, s7>, tensor<F, s8>>>;

}  // namespace sparq

// ==== sparq/kernel/bit_rows.hpp ====
// X of -1 and 1 as the popcount atoms read it: rows of bits, where they lie or gathered from the patches of an image. Which
// weights want it so says their shape, bit_panel_shape; for all others the codes are unpacked (narrow_rows.hpp).

// ==== sparq/kernel/source.hpp ====
// Where loops get X from. A source hands out the rows of X one after another: `start(m)` gives a cursor, whose
// `next(buffer)` returns row m, then m + 1, ... as k consecutive elements, in memory or gathered into the buffer (at least
// k + 64 elements). `access` says how rows come about. A k-major source packs blocks of rows itself, and copies single
// rows out.

// ==== sparq/simd/column_atom.hpp ====
// What an atom of the columns loop is: the same multiply-add as in atom.hpp, with rows of X in the lanes and one weight
// broadcast. X comes in blocks of `lanes * registers` rows, [k][row of the block], in an order of rows that makes the
// lanes of the sums ascend.
//
//   struct columns4_u8s8_some_isa {
//     static constexpr std::string_view name;
//     static constexpr isa needs;
//     using x_code, acc_type;                  // element of X; int32_t or float
//     static constexpr std::size_t lanes;      // rows of X in a register
//     static constexpr std::size_t registers;  // sums of one channel
//     static constexpr std::size_t group_k;    // k's multiplied at once
//     static constexpr std::int32_t weight_sum_factor;  // as in atom.hpp
//     using packed_x, weight;                  // element of a block; one decoded code
//     static constexpr bool in_place<N>;       // codes of N are weights as they are
//     static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block);
//                                              // all rows of a block, row-major
//     static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block);
//                                              // X k-major: row r of k at x[k * stride + r], r < count
//     struct x_group<V>;                       // group_k k's of V * lanes rows
//     x_group<V> load(const packed_x* block, const std::uint16_t* k);
//     acc zero(); void add(acc (&)[V], const weight*, const x_group<V>&);
//     acc load_sums(const acc_type*); void store_sums(acc_type*, acc);
//   };
//
// An atom for runs of k's has `run` = group_k besides: X is packed in whole runs, [run][...], `load` gets a list that
// starts with the first k of its run, and pack_quads takes X that is stored so.

// ==== sparq/simd/isa.hpp ====
// An instruction set is a set of feature bits, not a chain: an atom names what it needs, and serves wherever all of it
// is there.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sparq {

/// One feature of a CPU that an atom may need.
enum class feature : std::uint32_t {
  avx2 = 1,          // AVX2 and FMA
  avx512 = 2,        // AVX-512 F, BW, VL and DQ
  avx512vnni = 4,    // byte dot products on 512 bits
  avx512vbmi = 8,    // byte permutes across a register
  avx512vbmi2 = 16,  // byte compress and expand
  avx512vpopcntdq = 32,  // bits of 32-bit lanes counted
  avx512bf16 = 64,       // dot products of pairs of bf16
};

/// A set of features.
struct isa {
  std::uint32_t bits = 0;

  constexpr isa() = default;
  constexpr isa(feature f) : bits(static_cast<std::uint32_t>(f)) {}
  constexpr bool has(isa other) const { return (bits & other.bits) == other.bits; }
  friend constexpr isa operator|(isa a, isa b) {
    isa result;
    result.bits = a.bits | b.bits;
    return result;
  }
  friend constexpr bool operator==(isa, isa) = default;
};
constexpr isa operator|(feature a, feature b) { return isa(a) | isa(b); }

/// The features' names, "scalar" for the empty set.
inline std::string to_string(isa set) {
  std::string text;
  const auto add = [&](feature f, const char* name) {
    if (set.has(f)) text += (text.empty() ? "" : "+") + std::string(name);
  };
  add(feature::avx2, "avx2");
  add(feature::avx512, "avx512");
  add(feature::avx512vnni, "avx512vnni");
  add(feature::avx512vbmi, "avx512vbmi");
  add(feature::avx512vbmi2, "avx512vbmi2");
  add(feature::avx512vpopcntdq, "avx512vpopcntdq");
  add(feature::avx512bf16, "avx512bf16");
  return text.empty() ? "scalar" : text;
}

SPARQ_ABI_BEGIN

/// What this translation unit is compiled for.
inline constexpr isa native_isa = [] {
  isa set;
  if (SPARQ_HAS_AVX2) set = set | feature::avx2;
  if (SPARQ_HAS_AVX512) set = set | feature::avx512;
  if (SPARQ_HAS_AVX512VNNI) set = set | feature::avx512vnni;
  if (SPARQ_HAS_AVX512VBMI) set = set | feature::avx512vbmi;
  if (SPARQ_HAS_AVX512VBMI2) set = set | feature::avx512vbmi2;
  if (SPARQ_HAS_AVX512VPOPCNTDQ) set = set | feature::avx512vpopcntdq;
  if (SPARQ_HAS_AVX512BF16) set = set | feature::avx512bf16;
  return set;
}();

namespace machine {

/// The parts of a name in one constant: "fma1_", "f32", "bf16", "_avx2".
template <const std::string_view&... Parts>
struct joined_name {
  static constexpr auto characters = [] {
    std::array<char, (Parts.size() + ...)> result{};
    std::size_t next = 0;
    const auto add = [&](std::string_view part) {
      for (const char c : part) result[next++] = c;
    };
    (add(Parts), ...);
    return result;
  }();
  static constexpr std::string_view text{characters.data(), characters.size()};
};
inline constexpr std::string_view fma1_name = "fma1_", columns1_name = "columns1_", gather1_name = "gather1_";
inline constexpr std::string_view scalar_name = "_scalar", avx2_name = "_avx2", avx512_name = "_avx512";

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// k's that an atom of the columns loop wants together; 1: any.
template <class Atom>
inline constexpr std::size_t run_of_v = 1;
template <class Atom>
  requires requires { Atom::run; }
inline constexpr std::size_t run_of_v<Atom> = Atom::run;

SPARQ_ABI_END
}  // namespace sparq

#include <algorithm>
#include <cstddef>

namespace sparq {
SPARQ_ABI_BEGIN

/// Rows of X that lie in memory as they are: gemm.
template <class X>
struct strided_rows {
  using element = X;
  static constexpr bool in_memory = true;
  static constexpr bool is_k_major = false;
  static constexpr const char* access = "";
  matrix_view<const X> x;

  struct cursor {
    const X* row;
    std::size_t stride;
    const X* next(X*) {
      const X* current = row;
      row += stride;
      return current;
    }
  };
  cursor start(std::size_t m) const { return {x.row(m), x.stride}; }
};

/// X that is k-major: only the columns loop reads it.
template <class X>
struct k_major_rows {
  using element = X;
  static constexpr bool in_memory = true;
  static constexpr bool is_k_major = true;
  static constexpr const char* access = "";
  k_major_view<const X> x;

  /// Packs rows [m, m + rows) in blocks: to[block][k][row].
  template <class Atom>
  void pack(std::size_t m, std::size_t rows, std::size_t k, typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t block = Atom::lanes * Atom::registers;
    constexpr std::size_t run = 64;  // of k's: all rows of a cache line are read while it is there
    const std::size_t block_k = round_up(k, run_of_v<Atom>);
    for (std::size_t first = 0; first < k; first += run)
      for (std::size_t r = 0; r < rows; r += block)
        Atom::pack_columns(x.column(first) + m + r, x.stride, (std::min)(run, k - first), (std::min)(block, rows - r),
                           to + (r / block * block_k + first) * block);
  }
  /// Row m as consecutive k's.
  void row(std::size_t m, X* to) const noexcept {
    for (std::size_t k = 0; k < x.columns; ++k) to[k] = x(m, k);
  }
};

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/bits.hpp ====
// Rows of bits: activations of -1 and 1 as the popcount atoms read them. Bit i of a row is bit i % 8 of byte i / 8, as the
// codec of `binary` has it; the bits behind the last one are zero.

// ==== sparq/simd/copy.hpp ====
// Copies the short runs of which patches are made: tens to hundreds of bytes, where a call of memcpy costs as much as
// the copy; and rows of narrow floats, which become f32.

#include <cstddef>
#include <cstdint>
#include <cstring>

#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

namespace sparq {
SPARQ_ABI_BEGIN

/// Copies `count` elements; the ranges must not overlap and nothing beyond them is touched.
template <class T>
SPARQ_INLINE void copy_elements(const T* from, std::size_t count, T* to) {
  constexpr std::size_t step = 32;
  const auto* source = reinterpret_cast<const char*>(from);
  auto* target = reinterpret_cast<char*>(to);
  const std::size_t bytes = count * sizeof(T);
  if (bytes < step) {
    if (bytes != 0) std::memcpy(target, source, bytes);  // of nothing, pointers may be null
    return;
  }
  std::size_t i = 0;
  for (; i + step <= bytes; i += step) std::memcpy(target + i, source + i, step);
  std::memcpy(target + bytes - step, source + bytes - step, step);  // the rest, over what is there already
}

namespace machine {

/// 16 bytes of elements that lie Stride = 1 or 2 apart, of which a mask chooses. Reads 16 Stride bytes.
template <std::size_t Stride, class T>
SPARQ_INLINE void add_chosen(const T* from, const std::uint8_t (&mask)[16], std::uint8_t (&sum)[16]) {
#if SPARQ_HAS_AVX2
  const auto* at = reinterpret_cast<const __m128i*>(from);
  __m128i v = _mm_loadu_si128(at);
  if constexpr (Stride == 2) {
    const __m128i next = _mm_loadu_si128(at + 1);
    if constexpr (sizeof(T) == 1) {
      const __m128i low = _mm_set1_epi16(0xff);
      v = _mm_packus_epi16(_mm_and_si128(v, low), _mm_and_si128(next, low));
    } else if constexpr (sizeof(T) == 2) {
      const __m128i low = _mm_set1_epi32(0xffff);
      v = _mm_packus_epi32(_mm_and_si128(v, low), _mm_and_si128(next, low));
    } else {
      v = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(v), _mm_castsi128_ps(next), 0x88));
    }
  }
  auto* to = reinterpret_cast<__m128i*>(sum);
  const __m128i chosen = _mm_and_si128(v, _mm_load_si128(reinterpret_cast<const __m128i*>(mask)));
  _mm_storeu_si128(to, _mm_or_si128(_mm_loadu_si128(to), chosen));
#else
  for (std::size_t i = 0; i < 16 / sizeof(T); ++i) {
    std::uint8_t bytes[sizeof(T)];
    std::memcpy(bytes, from + i * Stride, sizeof(T));
    for (std::size_t j = 0; j < sizeof(T); ++j)
      sum[i * sizeof(T) + j] = static_cast<std::uint8_t>(sum[i * sizeof(T) + j] | (bytes[j] & mask[i * sizeof(T) + j]));
  }
#endif
}

/// Floats of any kind as f32.
template <class T>
inline void widen_floats(const T* from, std::size_t count, float* to) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (count != 0) std::memcpy(to, from, count * sizeof(float));
  } else {
    for (std::size_t i = 0; i < count; ++i) to[i] = from[i];
  }
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if SPARQ_HAS_BMI2
#include <immintrin.h>
#endif

namespace sparq {

/// An element of X that holds eight codes of binary: what sources hand to the popcount atoms.
enum class eight_bits : std::uint8_t {};

namespace detail {
template <>
struct numeric_of<eight_bits> {
  using type = binary;
};
}  // namespace detail

/// Bytes behind the last one that a bit_writer may overwrite.
inline constexpr std::size_t bit_slack = 8;

SPARQ_ABI_BEGIN

namespace machine {

/// The bits of `mask` that are set in `from`, moved together.
SPARQ_INLINE std::uint64_t compact_bits_of(std::uint64_t from, std::uint64_t mask) {
#if SPARQ_HAS_BMI2
  return _pext_u64(from, mask);
#else
  std::uint64_t result = 0;
  for (int next = 0; mask != 0; mask &= mask - 1, ++next)
    result |= (from >> std::countr_zero(mask) & 1) << next;
  return result;
#endif
}

/// Up to eight bytes as a number; the missing ones are 0.
SPARQ_INLINE std::uint64_t load_bytes(const eight_bits* from, std::size_t bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, bytes < 8 ? bytes : 8);
  return word;
}

}  // namespace machine

/// Writes a row of bits one run after another.
class bit_writer {
 public:
  /// @pre bit_slack bytes behind the row may be overwritten
  explicit bit_writer(eight_bits* row) : to_(row) {}

  /// @pre count <= 56, and the bits of `bits` above them are 0
  SPARQ_INLINE void put(std::uint64_t bits, std::size_t count) {
    pending_ |= bits << used_;
    used_ += count;
    std::memcpy(to_, &pending_, sizeof pending_);
    to_ += used_ / 8;
    pending_ >>= used_ / 8 * 8;
    used_ %= 8;
  }
  /// Bits [first, first + count) of another row; no byte is read that holds none of them.
  SPARQ_INLINE void copy(const eight_bits* row, std::size_t first, std::size_t count) {
    row += first / 8;
    first %= 8;
    if (first == 0 && used_ == 0) {
      copy_elements(row, count / 8, to_);
      to_ += count / 8;
      row += count / 8;
      count %= 8;
    }
    while (count != 0) {
      const std::size_t run = count < 56 ? count : 56;
      put(machine::load_bytes(row, (first + run + 7) / 8) >> first & ((std::uint64_t{1} << run) - 1), run);
      row += 7;  // 56 bits
      count -= run;
    }
  }
  /// `count` bits, all of them `bit`.
  SPARQ_INLINE void fill(bool bit, std::size_t count) {
    for (; count != 0; count -= count < 56 ? count : 56) {
      const std::size_t run = count < 56 ? count : 56;
      put(bit ? (std::uint64_t{1} << run) - 1 : 0, run);
    }
  }

 private:
  eight_bits* to_;
  std::uint64_t pending_ = 0;
  std::size_t used_ = 0;  // bits of pending_, fewer than 8 between calls
};

/// Copies k bits; those of the last byte behind them become 0. The ranges must not overlap.
inline void copy_bits(const eight_bits* from, std::size_t k, eight_bits* to) {
  if (k == 0) return;
  std::memcpy(to, from, (k + 7) / 8);
  if (k % 8 != 0) to[k / 8] = static_cast<eight_bits>(static_cast<unsigned>(from[k / 8]) & ((1U << k % 8) - 1U));
}

/// Writes the bits of x[0 .. k) that are set in a mask to `out`, in order, zeros behind them up to a whole word of 64, and
/// returns their number.
/// @pre `mask` has ceil(k / 64) words, no bit beyond k; `out` has room for the kept bits and 2 bit_slack bytes more
inline std::size_t compact_bits(const eight_bits* x, const std::uint64_t* mask, std::size_t k, eight_bits* out) {
  bit_writer writer(out);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < k; i += 64) {
    const auto count = static_cast<std::size_t>(std::popcount(mask[i / 64]));
    const std::uint64_t bits = machine::compact_bits_of(machine::load_bytes(x + i / 8, (k - i + 7) / 8), mask[i / 64]);
    writer.put(bits & 0xffffffffU, count < 32 ? count : 32);
    if (count > 32) writer.put(bits >> 32, count - 32);
    kept += count;
  }
  writer.fill(false, 64);
  return kept;
}

SPARQ_ABI_END
}  // namespace sparq

#include <cstddef>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

template <class View>
inline constexpr bool holds_bits_v = false;
template <class N>
inline constexpr bool holds_bits_v<narrow_matrix_view<N>> = std::is_same_v<std::remove_const_t<N>, binary>;
template <class N>
inline constexpr bool holds_bits_v<narrow_image_view<N>> = std::is_same_v<std::remove_const_t<N>, binary>;

/// X and W meet bit by bit.
template <class View, class Packed>
inline constexpr bool counts_bits_v = holds_bits_v<View> && Packed::panel_shape_type::group_k == 32;

}  // namespace machine

/// The columns [first, first + count) of a view as rows of bits. @pre first % 8 == 0
inline strided_rows<eight_bits> bit_rows_of(const narrow_matrix_view<const binary>& x, std::size_t first,
                                            std::size_t count) {
  return {matrix_view<const eight_bits>(reinterpret_cast<const eight_bits*>(x.data) + first / 8, x.rows, (count + 7) / 8,
                                        x.stride)};
}

/// The patches of an image as rows of bits; see patch_rows in op/conv2d.hpp.
struct bit_patches {
  using element = eight_bits;
  static constexpr bool in_memory = false;
  static constexpr bool is_k_major = false;
  static constexpr const char* access = "gathered from patches, ";

  narrow_image_view<const binary> x;
  window_parameters window;
  std::size_t first_channel = 0;  // of the group
  std::size_t channels = 0;       // of the group
  std::size_t output_height = 0;
  std::size_t output_width = 0;
  bool padding = false;  // the bit of the code that X is beyond its border

  class cursor {
   public:
    cursor(const bit_patches& source, std::size_t m)
        : s_(source),
          image_(m / (source.output_height * source.output_width)),
          out_y_(m / source.output_width % source.output_height),
          out_x_(m % source.output_width) {}
    const eight_bits* next(eight_bits* buffer) {
      gather(buffer);
      if (++out_x_ == s_.output_width) {
        out_x_ = 0;
        if (++out_y_ == s_.output_height) {
          out_y_ = 0;
          ++image_;
        }
      }
      return buffer;
    }

   private:
    const eight_bits* pixel(std::size_t in_y, std::size_t in_x) const {
      return reinterpret_cast<const eight_bits*>(s_.x.pixel(image_, in_y, in_x));
    }
    /// Unsigned arithmetic: a tap left of or above the image wraps to a huge coordinate and counts as outside.
    void gather(eight_bits* buffer) {
      const window_parameters& w = s_.window;
      bit_writer out(buffer);
      const std::size_t left = out_x_ * w.stride_x - w.pad_left;
      const bool one_run = w.dilation_x == 1 && s_.channels == s_.x.channels && s_.channels % 8 == 0;
      const bool inside_x = left < s_.x.image_width && left + w.kernel_width <= s_.x.image_width;
      for (std::size_t ky = 0; ky < w.kernel_height; ++ky) {
        const std::size_t in_y = out_y_ * w.stride_y + ky * w.dilation_y - w.pad_top;
        if (in_y >= s_.x.image_height) {
          out.fill(s_.padding, w.kernel_width * s_.channels);
        } else if (one_run && inside_x) {
          out.copy(pixel(in_y, left), 0, w.kernel_width * s_.channels);
        } else {
          for (std::size_t kx = 0; kx < w.kernel_width; ++kx) {
            const std::size_t in_x = left + kx * w.dilation_x;
            if (in_x < s_.x.image_width)
              out.copy(pixel(in_y, in_x), s_.first_channel, s_.channels);
            else
              out.fill(s_.padding, s_.channels);
          }
        }
      }
    }

    const bit_patches& s_;
    std::size_t image_, out_y_, out_x_;
  };
  cursor start(std::size_t m) const { return cursor(*this, m); }
};

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/code_stages.hpp ====
// Stages around codes of a few bits: thresholds instead of a multiplication, a table behind a requantization, and the sum of
// two tensors of codes.

// ==== sparq/kernel/stage.hpp ====
// What happens to accumulators before they are stored, one step at a time: sums, products, bounds, roundings. A stage is a
// callable (lanes, lane_position) -> lanes with check(m, n), which refuses parameters that do not match Y. It may have
// for_channels(lane_position), which gives a stage of its own for these sixteen channels; it is called once for a block of
// rows, so what it loads is loaded once.

// ==== sparq/simd/vec.hpp ====
// Sixteen 32-bit lanes of float or int32, whatever the registers are: what epilogues compute with. The only header that
// includes xsimd, and only its base operations; without it the same names work on arrays.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if SPARQ_HAS_XSIMD
#include <xsimd/xsimd.hpp>
#endif
#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

namespace sparq {
SPARQ_ABI_BEGIN

#if SPARQ_HAS_XSIMD
namespace machine {
template <class T>
using lane_register = xsimd::batch<T>;
template <class T>
inline constexpr std::size_t register_lanes = xsimd::batch<T>::size;
template <class T>
SPARQ_INLINE lane_register<T> load_register(const T* p) { return xsimd::batch<T>::load_unaligned(p); }
template <class T>
SPARQ_INLINE void store_register(T* p, const lane_register<T>& r) { r.store_unaligned(p); }
SPARQ_INLINE lane_register<float> convert(const lane_register<std::int32_t>& r) { return xsimd::to_float(r); }
SPARQ_INLINE lane_register<std::int32_t> round(const lane_register<float>& r) { return xsimd::nearbyint_as_int(r); }
SPARQ_INLINE lane_register<std::int32_t> ones_where_greater(const lane_register<std::int32_t>& a,
                                                            const lane_register<std::int32_t>& b) {
#if SPARQ_HAS_AVX512
  // xsimd 8's select takes macros for functions in builds that are not optimized
  return _mm512_maskz_set1_epi32(_mm512_cmpgt_epi32_mask(a.data, b.data), 1);
#else
  return xsimd::select(a > b, lane_register<std::int32_t>(1), lane_register<std::int32_t>(0));
#endif
}
using xsimd::ceil;
using xsimd::floor;
SPARQ_INLINE lane_register<float> multiply_add(const lane_register<float>& a, const lane_register<float>& b,
                                               const lane_register<float>& c) {
  return xsimd::fma(a, b, c);
}
using xsimd::max;
using xsimd::min;
using xsimd::trunc;
SPARQ_INLINE lane_register<float> half_away(const lane_register<float>& r) { return xsimd::round(r); }
SPARQ_INLINE void keep([[maybe_unused]] lane_register<float>& r) { SPARQ_KEEP_ORDER(r.data); }
}  // namespace machine
#else
namespace machine {
/// One lane that behaves like a register.
template <class T>
using lane_register = T;
template <class T>
inline constexpr std::size_t register_lanes = 1;
template <class T>
SPARQ_INLINE T load_register(const T* p) { return *p; }
template <class T>
SPARQ_INLINE void store_register(T* p, T r) { *p = r; }
SPARQ_INLINE float convert(std::int32_t r) { return static_cast<float>(r); }
SPARQ_INLINE std::int32_t round(float r) { return static_cast<std::int32_t>(std::nearbyint(r)); }
SPARQ_INLINE float multiply_add(float a, float b, float c) {
#if SPARQ_HAS_AVX2
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}
template <class T>
SPARQ_INLINE T min(T a, T b) { return b < a ? b : a; }
template <class T>
SPARQ_INLINE T max(T a, T b) { return a < b ? b : a; }
SPARQ_INLINE std::int32_t ones_where_greater(std::int32_t a, std::int32_t b) { return a > b ? 1 : 0; }
SPARQ_INLINE float ceil(float r) { return std::ceil(r); }
SPARQ_INLINE float floor(float r) { return std::floor(r); }
SPARQ_INLINE float trunc(float r) { return std::trunc(r); }
SPARQ_INLINE float half_away(float r) { return std::round(r); }
SPARQ_INLINE void keep([[maybe_unused]] float& r) { SPARQ_KEEP_ORDER(r); }
}  // namespace machine
#endif

/// Sixteen lanes of T (float or int32_t).
template <class T>
struct vec {
  static constexpr std::size_t lanes = 16;
  static constexpr std::size_t registers = lanes / machine::register_lanes<T>;
  machine::lane_register<T> r[registers];

  vec() = default;
  SPARQ_INLINE explicit vec(T value) {
    SPARQ_UNROLL for (auto& x : r) x = machine::lane_register<T>(value);
  }
  /// Reads 16 elements at p, which needs no alignment.
  static SPARQ_INLINE vec load(const T* p) {
    vec v;
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i)
      v.r[i] = machine::load_register<T>(p + i * machine::register_lanes<T>);
    return v;
  }
  SPARQ_INLINE void store(T* p) const {
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i)
      machine::store_register<T>(p + i * machine::register_lanes<T>, r[i]);
  }
  /// Reads `count` elements, the other lanes are 0. Never touches memory beyond them.
  static SPARQ_INLINE vec load(const T* p, std::size_t count) {
    if (count >= lanes) return load(p);
    T padded[lanes] = {};
    for (std::size_t i = 0; i < count; ++i) padded[i] = p[i];
    return load(padded);
  }
  SPARQ_INLINE void store(T* p, std::size_t count) const {
    if (count >= lanes) return store(p);
    T padded[lanes];
    store(padded);
    for (std::size_t i = 0; i < count; ++i) p[i] = padded[i];
  }

#define SPARQ_VEC_OPERATOR(name, expression)                                       \
  friend SPARQ_INLINE vec name(const vec& a, const vec& b) {                       \
    vec v;                                                                         \
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i) v.r[i] = expression; \
    return v;                                                                      \
  }
  SPARQ_VEC_OPERATOR(operator+, a.r[i] + b.r[i])
  SPARQ_VEC_OPERATOR(operator-, a.r[i] - b.r[i])
  SPARQ_VEC_OPERATOR(operator*, a.r[i] * b.r[i])
  SPARQ_VEC_OPERATOR(operator/, a.r[i] / b.r[i])      // floats
  SPARQ_VEC_OPERATOR(operator&, a.r[i] & b.r[i])      // integers, as the next three
  SPARQ_VEC_OPERATOR(operator^, a.r[i] ^ b.r[i])
  SPARQ_VEC_OPERATOR(operator<<, a.r[i] << b.r[i])    // counts in [0, 31]
  SPARQ_VEC_OPERATOR(operator>>, a.r[i] >> b.r[i])    // towards minus infinity
  SPARQ_VEC_OPERATOR(min, machine::min(a.r[i], b.r[i]))
  SPARQ_VEC_OPERATOR(max, machine::max(a.r[i], b.r[i]))
#undef SPARQ_VEC_OPERATOR
};

/// a b + c, rounded once where the CPU has fused multiply-adds.
SPARQ_INLINE vec<float> multiply_add(const vec<float>& a, const vec<float>& b, const vec<float>& c) {
  vec<float> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < vec<float>::registers; ++i)
    result.r[i] = machine::multiply_add(a.r[i], b.r[i], c.r[i]);
  return result;
}

/// Nearest float of each lane, ties to even.
SPARQ_INLINE vec<float> to_f32(const vec<std::int32_t>& v) {
  vec<float> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < vec<float>::registers; ++i) result.r[i] = machine::convert(v.r[i]);
  return result;
}

/// Nearest integer of each lane, ties to even, saturated to int32.
/// @pre no lane is NaN; the rounding mode is the default one
SPARQ_INLINE vec<std::int32_t> round_to_s32(const vec<float>& v) {
  const vec<float> inside = max(min(v, vec<float>(2147483520.0F)), vec<float>(-2147483648.0F));
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < vec<float>::registers; ++i) result.r[i] = machine::round(inside.r[i]);
  return result;
}

/// 1 where a > b, else 0.
SPARQ_INLINE vec<std::int32_t> ones_where_greater(const vec<std::int32_t>& a, const vec<std::int32_t>& b) {
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < vec<std::int32_t>::registers; ++i)
    result.r[i] = machine::ones_where_greater(a.r[i], b.r[i]);
  return result;
}

/// a * b, rounded by itself: compilers do not fuse it with a sum behind it, so the result is the same in every build.
SPARQ_INLINE vec<float> rounded_product(const vec<float>& a, const vec<float>& b) {
  vec<float> result = a * b;
  SPARQ_UNROLL for (auto& r : result.r) machine::keep(r);
  return result;
}

/// An integer of each lane, rounded as Mode says (numeric/rounding.hpp), saturated to int32.
/// @pre no lane is NaN; the rounding mode is the default one
template <class Mode>
SPARQ_INLINE vec<std::int32_t> round_to_s32(const vec<float>& v) {
  vec<float> whole = v;
  SPARQ_UNROLL for (auto& r : whole.r) {
    if constexpr (std::is_same_v<Mode, rounding::nearest_away>) r = machine::half_away(r);
    if constexpr (std::is_same_v<Mode, rounding::down>) r = machine::floor(r);
    if constexpr (std::is_same_v<Mode, rounding::up>) r = machine::ceil(r);
    if constexpr (std::is_same_v<Mode, rounding::toward_zero>) r = machine::trunc(r);
  }
  return round_to_s32(whole);
}

/// f(lane value, lane) for every lane.
template <class T, class F>
SPARQ_INLINE vec<T> map_lanes(const vec<T>& v, F&& f) {
  T lanes[vec<T>::lanes];
  v.store(lanes);
  for (std::size_t i = 0; i < vec<T>::lanes; ++i) lanes[i] = f(lanes[i], i);
  return vec<T>::load(lanes);
}

#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
namespace machine {
/// Sixteen bytes in 32-bit lanes.
template <class Byte>
SPARQ_INLINE vec<std::int32_t> widen_bytes(__m128i bytes) {
  vec<std::int32_t> v;
#if SPARQ_HAS_AVX512
  v.r[0] = std::is_signed_v<Byte> ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
#else
  const __m128i upper = _mm_unpackhi_epi64(bytes, bytes);
  v.r[0] = std::is_signed_v<Byte> ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
  v.r[1] = std::is_signed_v<Byte> ? _mm256_cvtepi8_epi32(upper) : _mm256_cvtepu8_epi32(upper);
#endif
  return v;
}
}  // namespace machine
#endif

/// Reads `count` integers of up to 32 bits, the other lanes are 0.
template <class T>
SPARQ_INLINE vec<std::int32_t> load_codes(const T* p, std::size_t count) {
  if constexpr (std::is_same_v<T, std::int32_t>) return vec<std::int32_t>::load(p, count);
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
  if constexpr (sizeof(T) == 1)
    if (count >= 16) return machine::widen_bytes<T>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#endif
  std::int32_t lanes[16] = {};
  for (std::size_t i = 0; i < (count < 16 ? count : 16); ++i) lanes[i] = p[i];
  return vec<std::int32_t>::load(lanes);
}

/// Writes `count` lanes to bytes, saturated to the range of Byte (int8_t or uint8_t).
template <class Byte>
SPARQ_INLINE void store_saturated(Byte* p, const vec<std::int32_t>& v, std::size_t count) {
  constexpr bool is_signed = std::is_signed_v<Byte>;
  const vec<std::int32_t> inside =
      max(min(v, vec<std::int32_t>(is_signed ? 127 : 255)), vec<std::int32_t>(is_signed ? -128 : 0));
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX512
  const __m128i bytes = _mm512_cvtepi32_epi8(inside.r[0]);
#elif SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
  const __m256i shorts = _mm256_permute4x64_epi64(_mm256_packs_epi32(inside.r[0], inside.r[1]), 0xd8);
  const __m128i low = _mm256_castsi256_si128(shorts);
  const __m128i high = _mm256_extracti128_si256(shorts, 1);
  const __m128i bytes = is_signed ? _mm_packs_epi16(low, high) : _mm_packus_epi16(low, high);
#else
  std::int32_t lanes[16];
  inside.store(lanes);
  Byte bytes[16];
  for (std::size_t i = 0; i < 16; ++i) bytes[i] = static_cast<Byte>(lanes[i]);
#endif
  if (count >= 16)
    std::memcpy(p, &bytes, 16);
  else
    std::memcpy(p, &bytes, count);
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/vec_s64.hpp ====
// Sixteen lanes of int64: the sums of 16-bit activations on their way through an epilogue. Plain loops, which compilers
// vectorise as far as the instruction set has 64-bit arithmetic.

#include <cstdint>
#include <limits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Sixteen lanes of int64.
template <>
struct vec<std::int64_t> {
  static constexpr std::size_t lanes = 16;
  std::int64_t lane[lanes];

  vec() = default;
  SPARQ_INLINE explicit vec(std::int64_t value) {
    for (std::int64_t& x : lane) x = value;
  }
  /// Reads 16 elements at p, which needs no alignment.
  static SPARQ_INLINE vec load(const std::int64_t* p) {
    vec v;
    std::memcpy(v.lane, p, sizeof v.lane);
    return v;
  }
  SPARQ_INLINE void store(std::int64_t* p) const { std::memcpy(p, lane, sizeof lane); }
  /// Reads `count` elements, the other lanes are 0. Never touches memory beyond them.
  static SPARQ_INLINE vec load(const std::int64_t* p, std::size_t count) {
    if (count >= lanes) return load(p);
    vec v(0);
    for (std::size_t i = 0; i < count; ++i) v.lane[i] = p[i];
    return v;
  }
  SPARQ_INLINE void store(std::int64_t* p, std::size_t count) const {
    for (std::size_t i = 0; i < (count < lanes ? count : lanes); ++i) p[i] = lane[i];
  }

#define SPARQ_VEC_OPERATOR(name, expression)                                        \
  friend SPARQ_INLINE vec name(const vec& a, const vec& b) {                        \
    vec v;                                                                          \
    for (std::size_t i = 0; i < lanes; ++i) v.lane[i] = expression;                 \
    return v;                                                                       \
  }
  SPARQ_VEC_OPERATOR(operator+, a.lane[i] + b.lane[i])
  SPARQ_VEC_OPERATOR(operator-, a.lane[i] - b.lane[i])
  SPARQ_VEC_OPERATOR(operator*, a.lane[i] * b.lane[i])
  SPARQ_VEC_OPERATOR(min, b.lane[i] < a.lane[i] ? b.lane[i] : a.lane[i])
  SPARQ_VEC_OPERATOR(max, a.lane[i] < b.lane[i] ? b.lane[i] : a.lane[i])
#undef SPARQ_VEC_OPERATOR
};

/// The same numbers in 64 bits.
SPARQ_INLINE vec<std::int64_t> to_s64(const vec<std::int32_t>& v) {
  std::int32_t narrow[16];
  v.store(narrow);
  vec<std::int64_t> result;
  for (std::size_t i = 0; i < 16; ++i) result.lane[i] = narrow[i];
  return result;
}

/// f(lane value, lane), an int32, for every lane.
template <class F>
SPARQ_INLINE vec<std::int32_t> map_to_s32(const vec<std::int64_t>& v, F&& f) {
  std::int32_t narrow[16];
  for (std::size_t i = 0; i < 16; ++i) narrow[i] = f(v.lane[i], i);
  return vec<std::int32_t>::load(narrow);
}

/// Every lane clamped to what int32 holds.
SPARQ_INLINE vec<std::int32_t> saturate_to_s32(const vec<std::int64_t>& v) {
  return map_to_s32(v, [](std::int64_t value, std::size_t) {
    constexpr std::int64_t low = std::numeric_limits<std::int32_t>::min(), high = std::numeric_limits<std::int32_t>::max();
    return static_cast<std::int32_t>(value < low ? low : value > high ? high : value);
  });
}

/// Nearest float of each lane, ties to even.
SPARQ_INLINE vec<float> to_f32(const vec<std::int64_t>& v) {
  float floats[16];
  for (std::size_t i = 0; i < 16; ++i) floats[i] = static_cast<float>(v.lane[i]);
  return vec<float>::load(floats);
}

/// Writes `count` lanes, saturated to the range of int16.
SPARQ_INLINE void store_saturated_s16(std::int16_t* p, const vec<std::int32_t>& v, std::size_t count) {
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX512
  const __m256i shorts = _mm512_cvtsepi32_epi16(v.r[0]);
#elif SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
  const __m256i shorts = _mm256_permute4x64_epi64(_mm256_packs_epi32(v.r[0], v.r[1]), 0xd8);
#else
  std::int32_t inside[16];
  max(min(v, vec<std::int32_t>(32767)), vec<std::int32_t>(-32768)).store(inside);
  std::int16_t shorts[16];
  for (std::size_t i = 0; i < 16; ++i) shorts[i] = static_cast<std::int16_t>(inside[i]);
#endif
  std::memcpy(p, &shorts, 2 * (count < 16 ? count : 16));
}

SPARQ_ABI_END
}  // namespace sparq

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

/// Where sixteen lanes sit in Y, and what is known of their channels.
struct lane_position {
  std::size_t row = 0;                         // of Y
  std::size_t channel = 0;                     // of lane 0
  std::size_t count = 0;                       // lanes in use, the others are never stored
  const std::int32_t* weight_sums = nullptr;   // of all channels; integers only
};

using s32_lanes = vec<std::int32_t>;
using s64_lanes = vec<std::int64_t>;
using f32_lanes = vec<float>;

namespace machine {

/// A stage that has one value for each output channel checks their number.
template <class T>
status check_channels(const char* stage, std::span<const T> values, std::size_t n) {
  if (values.size() == n) return {};
  return status::failure(std::string(stage) + ": " + std::to_string(values.size()) + " values for " +
                         std::to_string(n) + " output channels");
}

/// A stage that has one value for each row of Y checks their number.
template <class T>
status check_rows(const char* stage, std::span<const T> values, std::size_t m) {
  if (values.size() == m) return {};
  return status::failure(std::string(stage) + ": " + std::to_string(values.size()) + " values for " +
                         std::to_string(m) + " rows");
}

struct unchecked_stage {
  static status check(std::size_t, std::size_t) { return {}; }
};

/// v + lanes, v * lanes; integers become floats before they meet floats.
template <class T>
struct plus_lanes {
  vec<T> lanes;
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position&) const { return v + lanes; }
  SPARQ_INLINE vec<T> operator()(const s32_lanes& v, const lane_position&) const
    requires std::is_same_v<T, float>
  {
    return to_f32(v) + lanes;
  }
};
/// v - zero_point * sums.
struct zero_point_lanes {
  s32_lanes sums;
  s32_lanes product;
  std::int32_t zero_point;
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position&) const { return v - product; }
  SPARQ_INLINE s64_lanes operator()(const s64_lanes& v, const lane_position&) const {
    return v - s64_lanes(zero_point) * to_s64(sums);
  }
};
struct times_lanes {
  f32_lanes lanes;
  SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position&) const { return rounded_product(v, lanes); }
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position& at) const { return (*this)(to_f32(v), at); }
};

}  // namespace machine

// ---- sums and products ----------------------------------------------------------------------------------------------

/// Adds values[channel], int32 or float. A float makes floats of integers.
template <class T>
struct bias {
  std::span<const T> values;

  explicit bias(std::span<const T> per_channel) : values(per_channel) {}
  status check(std::size_t, std::size_t n) const { return machine::check_channels("bias", values, n); }
  SPARQ_INLINE machine::plus_lanes<T> for_channels(const lane_position& at) const {
    return {vec<T>::load(values.data() + at.channel, at.count)};
  }
};
template <class Range>
bias(const Range&) -> bias<std::remove_cvref_t<decltype(*std::declval<const Range&>().data())>>;

/// Adds values[row], int32 or float. A float makes floats of integers.
template <class T>
struct bias_per_row {
  std::span<const T> values;

  explicit bias_per_row(std::span<const T> per_row) : values(per_row) {}
  status check(std::size_t m, std::size_t) const { return machine::check_rows("bias_per_row", values, m); }
  template <class Lanes>
  SPARQ_INLINE vec<T> operator()(const Lanes& v, const lane_position& at) const {
    return machine::plus_lanes<T>{vec<T>(values[at.row])}(v, at);
  }
};
template <class Range>
bias_per_row(const Range&) -> bias_per_row<std::remove_cvref_t<decltype(*std::declval<const Range&>().data())>>;

/// Takes back the zero point of X: subtracts zero_point * (sum of the channel's weight codes).
struct subtract_zero_point : machine::unchecked_stage {
  std::int32_t zero_point;

  explicit subtract_zero_point(std::int32_t x_zero_point) : zero_point(x_zero_point) {}
  SPARQ_INLINE machine::zero_point_lanes for_channels(const lane_position& at) const {
    const s32_lanes sums = s32_lanes::load(at.weight_sums + at.channel, at.count);
    return {sums, s32_lanes(zero_point) * sums, zero_point};
  }
};

/// The same where every row of X has a zero point of its own: zero_points[row] * (sum of the channel's weight codes).
/// Not for weights with scales along k, whose sums are scaled in the loop.
struct subtract_zero_point_per_row {
  std::span<const std::int32_t> zero_points;

  struct bound_sums {
    s32_lanes sums;
    const std::int32_t* zero_points;
    SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
      return v - s32_lanes(zero_points[at.row]) * sums;
    }
  };
  explicit subtract_zero_point_per_row(std::span<const std::int32_t> per_row) : zero_points(per_row) {}
  status check(std::size_t m, std::size_t) const {
    return machine::check_rows("subtract_zero_point_per_row", zero_points, m);
  }
  SPARQ_INLINE bound_sums for_channels(const lane_position& at) const {
    return {s32_lanes::load(at.weight_sums + at.channel, at.count), zero_points.data()};
  }
};

namespace machine {
/// Stages that take back the zero point of X and need integer sums and the sums of the weights for it.
template <class Stage>
inline constexpr bool takes_zero_point_of_x_v =
    std::is_same_v<Stage, subtract_zero_point> || std::is_same_v<Stage, subtract_zero_point_per_row>;
}  // namespace machine

/// Multiplies by one number; integers become floats first. Products are rounded before anything is added to them.
struct scale : machine::unchecked_stage {
  float factor;

  explicit scale(float by) : factor(by) {}
  SPARQ_INLINE machine::times_lanes for_channels(const lane_position&) const { return {f32_lanes(factor)}; }
};

/// Multiplies by factors[channel]; integers become floats first.
struct scale_per_channel {
  std::span<const float> factors;

  explicit scale_per_channel(std::span<const float> per_channel) : factors(per_channel) {}
  status check(std::size_t, std::size_t n) const { return machine::check_channels("scale_per_channel", factors, n); }
  SPARQ_INLINE machine::times_lanes for_channels(const lane_position& at) const {
    return {f32_lanes::load(factors.data() + at.channel, at.count)};
  }
};

/// Multiplies by factors[row], for activations quantized row by row; integers become floats first.
struct scale_per_row {
  std::span<const float> factors;

  explicit scale_per_row(std::span<const float> per_row) : factors(per_row) {}
  status check(std::size_t m, std::size_t) const { return machine::check_rows("scale_per_row", factors, m); }
  template <class Lanes>
  SPARQ_INLINE f32_lanes operator()(const Lanes& v, const lane_position& at) const {
    return machine::times_lanes{f32_lanes(factors[at.row])}(v, at);
  }
};

/// Adds another m x n matrix, a residual for example. It may be Y itself.
template <class T>
struct add {
  matrix_view<const T> other;

  explicit add(matrix_view<const T> matrix) : other(matrix) {}
  status check(std::size_t m, std::size_t n) const {
    if (other.rows == m && other.columns == n && other.stride >= n) return {};
    return status::failure("add: the matrix is " + extent_text(other) + ", Y is " + std::to_string(m) + " x " +
                           std::to_string(n));
  }
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position& at) const {
    return v + vec<T>::load(other.row(at.row) + at.channel, at.count);
  }
};
template <class T>
add(matrix_view<T>) -> add<std::remove_const_t<T>>;

// ---- bounds ---------------------------------------------------------------------------------------------------------

/// max(v, 0).
struct relu : machine::unchecked_stage {
  template <class T>
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position&) const { return max(v, vec<T>(T{})); }
};

/// min(max(v, low), high).
template <class T>
struct clamp : machine::unchecked_stage {
  T low;
  T high;

  clamp(T lowest, T highest) : low(lowest), high(highest) {}
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position&) const {
    return min(max(v, vec<T>(low)), vec<T>(high));
  }
};

/// The nearest code of N, integers and floats alike; the type of the lanes stays.
template <integer_numeric N>
struct saturate : machine::unchecked_stage {
  static_assert(N::bits <= 16, "sparq: int32 lanes are saturated as they are; saturate to a type of 16 bits or fewer");
  template <class T>
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position&) const {
    return min(max(v, vec<T>(static_cast<T>(N::min_code))), vec<T>(static_cast<T>(N::max_code)));
  }
};

// ---- between integers and floats ------------------------------------------------------------------------------------

/// The nearest float, ties to even.
struct to_float : machine::unchecked_stage {
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position&) const { return to_f32(v); }
  SPARQ_INLINE f32_lanes operator()(const s64_lanes& v, const lane_position&) const { return to_f32(v); }
};

/// From the int64 sums of 16-bit activations to int32, saturated.
struct saturate_to_integer : machine::unchecked_stage {
  SPARQ_INLINE s32_lanes operator()(const s64_lanes& v, const lane_position&) const { return saturate_to_s32(v); }
};

/// The nearest int32, ties to even, saturated.
struct round_to_integer : machine::unchecked_stage {
  SPARQ_INLINE s32_lanes operator()(const f32_lanes& v, const lane_position&) const { return round_to_s32(v); }
};

/// An int32, rounded as Mode says (numeric/rounding.hpp: rounding::nearest_away, down, up, toward_zero), saturated.
template <class Mode>
struct round_with : machine::unchecked_stage {
  SPARQ_INLINE s32_lanes operator()(const f32_lanes& v, const lane_position&) const { return round_to_s32<Mode>(v); }
};

/// The low byte, with its sign where Byte has one: packing without saturation.
template <class Byte>
struct low_byte : machine::unchecked_stage {
  static_assert(sizeof(Byte) == 1, "sparq: a low byte is one byte; use std::int8_t or std::uint8_t");
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position&) const {
    if constexpr (std::is_signed_v<Byte>)
      return (v << s32_lanes(24)) >> s32_lanes(24);
    else
      return v & s32_lanes(255);
  }
};

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/byte_table.hpp ====
// Bytes through a table of 256 bytes. A shuffle knows 16 entries, so AVX2 asks all sixteen sixteenths of the table and
// chooses by the upper four bits of the byte, two by two; AVX-512 VBMI knows 128 entries and chooses once.

#include <cstddef>
#include <cstdint>
#include <cstring>

#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

#if SPARQ_HAS_AVX2

/// Two or one registers of 16 bytes.
struct bytes32 {
  using type = __m256i;
  static SPARQ_INLINE type load(const std::uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const type*>(p)); }
  static SPARQ_INLINE void store(std::uint8_t* p, type v) { _mm256_storeu_si256(reinterpret_cast<type*>(p), v); }
  static SPARQ_INLINE type low_nibbles(type v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
  template <int Count>
  static SPARQ_INLINE type left(type v) { return _mm256_slli_epi16(v, Count); }
  static SPARQ_INLINE type choose(type a, type b, type by) { return _mm256_blendv_epi8(a, b, by); }
  static SPARQ_INLINE type sixteenth(const std::uint8_t* table, type positions) {
    const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(part), positions);
  }
};
struct bytes16 {
  using type = __m128i;
  static SPARQ_INLINE type load(const std::uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const type*>(p)); }
  static SPARQ_INLINE void store(std::uint8_t* p, type v) { _mm_storeu_si128(reinterpret_cast<type*>(p), v); }
  static SPARQ_INLINE type low_nibbles(type v) { return _mm_and_si128(v, _mm_set1_epi8(15)); }
  template <int Count>
  static SPARQ_INLINE type left(type v) { return _mm_slli_epi16(v, Count); }
  static SPARQ_INLINE type choose(type a, type b, type by) { return _mm_blendv_epi8(a, b, by); }
  static SPARQ_INLINE type sixteenth(const std::uint8_t* table, type positions) {
    return _mm_shuffle_epi8(load(table), positions);
  }
};

/// The entries of 2^Bits sixteenths of the table; the bit that chooses at each level is brought to the top of its byte.
template <class Bytes, int Bits>
SPARQ_INLINE typename Bytes::type choose_entries(const std::uint8_t* table, typename Bytes::type codes,
                                                 typename Bytes::type positions) {
  if constexpr (Bits == 0) {
    return Bytes::sixteenth(table, positions);
  } else {
    const auto lower = choose_entries<Bytes, Bits - 1>(table, codes, positions);
    const auto upper = choose_entries<Bytes, Bits - 1>(table + (8 << Bits), codes, positions);
    return Bytes::choose(lower, upper, Bytes::template left<4 - Bits>(codes));
  }
}

template <class Bytes>
SPARQ_INLINE void look_up_block(const std::uint8_t* table, const std::uint8_t* in, std::uint8_t* out) {
  const auto codes = Bytes::load(in);
  Bytes::store(out, choose_entries<Bytes, 4>(table, codes, Bytes::low_nibbles(codes)));
}

#endif

#if SPARQ_HAS_AVX512VBMI
SPARQ_INLINE void look_up_64(const std::uint8_t* table, const std::uint8_t* in, std::uint8_t* out) {
  const __m512i codes = _mm512_loadu_si512(in);
  const __m512i lower = _mm512_permutex2var_epi8(_mm512_loadu_si512(table), codes, _mm512_loadu_si512(table + 64));
  const __m512i upper = _mm512_permutex2var_epi8(_mm512_loadu_si512(table + 128), codes, _mm512_loadu_si512(table + 192));
  const auto is_upper = _mm512_cmpgt_epi8_mask(_mm512_setzero_si512(), codes);
  _mm512_storeu_si512(out, _mm512_mask_blend_epi8(is_upper, lower, upper));
}
#endif

}  // namespace machine

/// out[i] = table[in[i]] for `count` bytes; `out` may be `in`. `table`: 256 bytes.
SPARQ_INLINE void look_up_bytes(const std::uint8_t* table, const std::uint8_t* in, std::uint8_t* out, std::size_t count) {
  std::size_t i = 0;
#if SPARQ_HAS_AVX512VBMI
  for (; i + 64 <= count; i += 64) machine::look_up_64(table, in + i, out + i);
#endif
#if SPARQ_HAS_AVX2
  for (; i + 32 <= count; i += 32) machine::look_up_block<machine::bytes32>(table, in + i, out + i);
  for (; i + 16 <= count; i += 16) machine::look_up_block<machine::bytes16>(table, in + i, out + i);
#endif
  for (; i < count; ++i) out[i] = table[in[i]];
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/split_s64.hpp ====
// Sixteen 64-bit integers between lanes of vec<int32_t>: their products, sums, shifts, and the way back. Lanes with even and
// odd numbers are in registers of their own, as vpmuldq reads and writes them; vec<int64_t> (vec_s64.hpp) has them in order.

#include <cstddef>
#include <cstdint>

#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

#if SPARQ_HAS_AVX512

using register64 = __m512i;
inline constexpr std::size_t registers64 = 1;

SPARQ_INLINE __m512i even_of(const vec<std::int32_t>& v, std::size_t) {
#if SPARQ_HAS_XSIMD
  return v.r[0];
#else
  return _mm512_loadu_si512(v.r);
#endif
}
SPARQ_INLINE __m512i odd_of(const vec<std::int32_t>& v, std::size_t) { return _mm512_srli_epi64(even_of(v, 0), 32); }
SPARQ_INLINE __m512i all64(std::int64_t value) { return _mm512_set1_epi64(value); }
SPARQ_INLINE __m512i product(__m512i a, __m512i b) { return _mm512_mul_epi32(a, b); }
SPARQ_INLINE __m512i unsigned_product(__m512i a, __m512i b) { return _mm512_mul_epu32(a, b); }
SPARQ_INLINE __m512i high_half(__m512i a) { return _mm512_srli_epi64(a, 32); }
SPARQ_INLINE __m512i to_high_half(__m512i a) { return _mm512_slli_epi64(a, 32); }
SPARQ_INLINE __m512i sum64(__m512i a, __m512i b) { return _mm512_add_epi64(a, b); }
SPARQ_INLINE __m512i shifted64(__m512i a, __m512i counts) { return _mm512_srav_epi64(a, counts); }
SPARQ_INLINE __m512i inside64(__m512i a, __m512i least, __m512i most) {
  return _mm512_max_epi64(_mm512_min_epi64(a, most), least);
}
SPARQ_INLINE void set_register(vec<std::int32_t>& v, std::size_t, __m512i both) {
#if SPARQ_HAS_XSIMD
  v.r[0] = both;
#else
  _mm512_storeu_si512(v.r, both);
#endif
}
SPARQ_INLINE void combine(vec<std::int32_t>& v, std::size_t i, __m512i even, __m512i odd) {
  set_register(v, i, _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32)));
}
template <int S>
SPARQ_INLINE void combine_halves(vec<std::int32_t>& v, std::size_t i, __m512i even, __m512i odd) {
  set_register(v, i, _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, S), _mm512_slli_epi64(odd, 32 - S)));
}
SPARQ_INLINE void split(const std::int64_t* p, __m512i& even, __m512i& odd) {
  const __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + 8);
  even = _mm512_permutex2var_epi64(a, _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0), b);
  odd = _mm512_permutex2var_epi64(a, _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1), b);
}

#elif SPARQ_HAS_AVX2

using register64 = __m256i;
inline constexpr std::size_t registers64 = 2;

SPARQ_INLINE __m256i even_of(const vec<std::int32_t>& v, std::size_t i) {
#if SPARQ_HAS_XSIMD
  return v.r[i];
#else
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(v.r + 8 * i));
#endif
}
SPARQ_INLINE __m256i odd_of(const vec<std::int32_t>& v, std::size_t i) { return _mm256_srli_epi64(even_of(v, i), 32); }
SPARQ_INLINE __m256i all64(std::int64_t value) { return _mm256_set1_epi64x(value); }
SPARQ_INLINE __m256i product(__m256i a, __m256i b) { return _mm256_mul_epi32(a, b); }
SPARQ_INLINE __m256i unsigned_product(__m256i a, __m256i b) { return _mm256_mul_epu32(a, b); }
SPARQ_INLINE __m256i high_half(__m256i a) { return _mm256_srli_epi64(a, 32); }
SPARQ_INLINE __m256i to_high_half(__m256i a) { return _mm256_slli_epi64(a, 32); }
SPARQ_INLINE __m256i sum64(__m256i a, __m256i b) { return _mm256_add_epi64(a, b); }
// AVX2 shifts 64-bit lanes without their sign: shifted as a + 2^63, which is not negative, less 2^63 shifted alike.
SPARQ_INLINE __m256i shifted64(__m256i a, __m256i counts) {
  const __m256i top = all64(INT64_MIN);
  return _mm256_sub_epi64(_mm256_srlv_epi64(_mm256_xor_si256(a, top), counts), _mm256_srlv_epi64(top, counts));
}
SPARQ_INLINE __m256i inside64(__m256i a, __m256i least, __m256i most) {
  a = _mm256_blendv_epi8(a, most, _mm256_cmpgt_epi64(a, most));
  return _mm256_blendv_epi8(a, least, _mm256_cmpgt_epi64(least, a));
}
SPARQ_INLINE void set_register(vec<std::int32_t>& v, std::size_t i, __m256i both) {
#if SPARQ_HAS_XSIMD
  v.r[i] = both;
#else
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(v.r + 8 * i), both);
#endif
}
SPARQ_INLINE void combine(vec<std::int32_t>& v, std::size_t i, __m256i even, __m256i odd) {
  set_register(v, i, _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA));
}
template <int S>
SPARQ_INLINE void combine_halves(vec<std::int32_t>& v, std::size_t i, __m256i even, __m256i odd) {
  set_register(v, i, _mm256_blend_epi32(_mm256_srli_epi64(even, S), _mm256_slli_epi64(odd, 32 - S), 0xAA));
}
SPARQ_INLINE void split(const std::int64_t* p, __m256i& even, __m256i& odd) {
  const __m256i a = _mm256_permute4x64_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), 0xD8);
  const __m256i b = _mm256_permute4x64_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 4)), 0xD8);
  even = _mm256_permute2x128_si256(a, b, 0x20);
  odd = _mm256_permute2x128_si256(a, b, 0x31);
}

#else

using register64 = std::int64_t;
inline constexpr std::size_t registers64 = 8;

SPARQ_INLINE std::int64_t even_of(const vec<std::int32_t>& v, std::size_t i) { return v.r[2 * i]; }
SPARQ_INLINE std::int64_t odd_of(const vec<std::int32_t>& v, std::size_t i) { return v.r[2 * i + 1]; }
SPARQ_INLINE std::int64_t all64(std::int64_t value) { return value; }
SPARQ_INLINE std::int64_t product(std::int64_t a, std::int64_t b) {
  return std::int64_t{static_cast<std::int32_t>(a)} * static_cast<std::int32_t>(b);
}
SPARQ_INLINE std::int64_t unsigned_product(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(std::uint64_t{static_cast<std::uint32_t>(a)} * static_cast<std::uint32_t>(b));
}
SPARQ_INLINE std::int64_t high_half(std::int64_t a) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) >> 32);
}
SPARQ_INLINE std::int64_t to_high_half(std::int64_t a) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) << 32);
}
SPARQ_INLINE std::int64_t sum64(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
SPARQ_INLINE std::int64_t shifted64(std::int64_t a, std::int64_t count) { return a >> count; }
SPARQ_INLINE std::int64_t inside64(std::int64_t a, std::int64_t least, std::int64_t most) {
  return a > most ? most : a < least ? least : a;
}
SPARQ_INLINE void combine(vec<std::int32_t>& v, std::size_t i, std::int64_t even, std::int64_t odd) {
  v.r[2 * i] = static_cast<std::int32_t>(even);
  v.r[2 * i + 1] = static_cast<std::int32_t>(odd);
}
template <int S>
SPARQ_INLINE void combine_halves(vec<std::int32_t>& v, std::size_t i, std::int64_t even, std::int64_t odd) {
  combine(v, i, even >> S, odd >> S);
}
SPARQ_INLINE void split(const std::int64_t* p, std::int64_t& even, std::int64_t& odd) {
  even = p[0];
  odd = p[1];
}

#endif

}  // namespace machine

/// Sixteen lanes of int64_t.
struct split_s64 {
  static constexpr std::size_t registers = machine::registers64;
  machine::register64 even[registers];  // lanes 0, 2, 4, ...
  machine::register64 odd[registers];   // lanes 1, 3, 5, ...

  split_s64() = default;
  SPARQ_INLINE explicit split_s64(std::int64_t value) {
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i) even[i] = odd[i] = machine::all64(value);
  }
  /// The same numbers in 64 bits.
  SPARQ_INLINE explicit split_s64(const vec<std::int32_t>& v) {
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i) {
      even[i] = machine::product(machine::even_of(v, i), machine::all64(1));
      odd[i] = machine::product(machine::odd_of(v, i), machine::all64(1));
    }
  }
  /// Reads 16 elements at p, which needs no alignment.
  static SPARQ_INLINE split_s64 load(const std::int64_t* p) {
    split_s64 v;
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i) machine::split(p + i * (16 / registers), v.even[i], v.odd[i]);
    return v;
  }
  SPARQ_INLINE explicit split_s64(const vec<std::int64_t>& v) : split_s64(load(v.lane)) {}

  friend SPARQ_INLINE split_s64 operator+(const split_s64& a, const split_s64& b) {
    split_s64 v;
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i) {
      v.even[i] = machine::sum64(a.even[i], b.even[i]);
      v.odd[i] = machine::sum64(a.odd[i], b.odd[i]);
    }
    return v;
  }
  /// Towards minus infinity. @pre every count is in [0, 63]
  friend SPARQ_INLINE split_s64 operator>>(const split_s64& a, const split_s64& counts) {
    split_s64 v;
    SPARQ_UNROLL for (std::size_t i = 0; i < registers; ++i) {
      v.even[i] = machine::shifted64(a.even[i], counts.even[i]);
      v.odd[i] = machine::shifted64(a.odd[i], counts.odd[i]);
    }
    return v;
  }
};

/// a * b, exact. The upper halves of b are not read.
SPARQ_INLINE split_s64 multiply(const vec<std::int32_t>& a, const split_s64& b) {
  split_s64 v;
  SPARQ_UNROLL for (std::size_t i = 0; i < split_s64::registers; ++i) {
    v.even[i] = machine::product(machine::even_of(a, i), b.even[i]);
    v.odd[i] = machine::product(machine::odd_of(a, i), b.odd[i]);
  }
  return v;
}

/// a * b modulo 2^64. @pre 0 <= b < 2^32
SPARQ_INLINE split_s64 multiply_by_unsigned(const split_s64& a, const split_s64& b) {
  using namespace machine;
  split_s64 v;
  SPARQ_UNROLL for (std::size_t i = 0; i < split_s64::registers; ++i) {
    v.even[i] = sum64(unsigned_product(a.even[i], b.even[i]),
                      to_high_half(unsigned_product(high_half(a.even[i]), b.even[i])));
    v.odd[i] = sum64(unsigned_product(a.odd[i], b.odd[i]), to_high_half(unsigned_product(high_half(a.odd[i]), b.odd[i])));
  }
  return v;
}

/// min(max(v, least), most).
SPARQ_INLINE split_s64 clamp_lanes(const split_s64& v, std::int64_t least, std::int64_t most) {
  split_s64 result;
  SPARQ_UNROLL for (std::size_t i = 0; i < split_s64::registers; ++i) {
    result.even[i] = machine::inside64(v.even[i], machine::all64(least), machine::all64(most));
    result.odd[i] = machine::inside64(v.odd[i], machine::all64(least), machine::all64(most));
  }
  return result;
}

/// The lower half of each lane.
SPARQ_INLINE vec<std::int32_t> low_halves(const split_s64& v) {
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < split_s64::registers; ++i) machine::combine(result, i, v.even[i], v.odd[i]);
  return result;
}

/// The nearest int32 of each lane.
SPARQ_INLINE vec<std::int32_t> saturate_to_s32(const split_s64& v) {
  return low_halves(clamp_lanes(v, INT32_MIN, INT32_MAX));
}

/// Bits S to S + 31 of each lane.
template <int S>
SPARQ_INLINE vec<std::int32_t> halves_at(const split_s64& v) {
  static_assert(0 < S && S < 32, "sparq: bits 1 to 31 are where a half may start; low_halves starts at bit 0");
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t i = 0; i < split_s64::registers; ++i)
    machine::combine_halves<S>(result, i, v.even[i], v.odd[i]);
  return result;
}

SPARQ_ABI_END
}  // namespace sparq

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

struct threshold_lanes {
  const std::int32_t* values;  // of lane 0
  std::size_t channels;
  std::size_t count;
  s32_lanes flips;

  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    const s32_lanes sums = v ^ flips;
    s32_lanes code(static_cast<std::int32_t>(count));
    for (std::size_t p = 0; p < count; ++p)
      code = code - ones_where_greater(s32_lanes::load(values + p * channels, at.count), sums);
    return code;
  }
};

}  // namespace machine

/// The code of each sum by comparison with its channel's thresholds (numeric/thresholds.hpp). The caller keeps the table.
struct thresholds {
  const threshold_table* table;

  explicit thresholds(const threshold_table& kept) : table(&kept) {}
  explicit thresholds(const threshold_table&&) = delete;
  status check(std::size_t, std::size_t n) const {
    if (table->channels == n) return {};
    return status::failure("thresholds: " + std::to_string(table->channels) + " channels for " + std::to_string(n) +
                           " output channels");
  }
  SPARQ_INLINE machine::threshold_lanes for_channels(const lane_position& at) const {
    return {table->values.data() + at.channel, table->channels, static_cast<std::size_t>(table->count),
            s32_lanes::load(table->flips.data() + at.channel, at.count)};
  }
};

/// The table's entry for each code (numeric/look_up_table.hpp), behind a requantization to In. The caller keeps the table.
template <activation_numeric In, activation_numeric Out>
struct look_up : machine::unchecked_stage {
  const look_up_table<In, Out>* table;

  explicit look_up(const look_up_table<In, Out>& kept) : table(&kept) {}
  explicit look_up(const look_up_table<In, Out>&&) = delete;
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position&) const {
    std::uint8_t bytes[16];
    store_saturated(reinterpret_cast<typename In::code*>(bytes), v, 16);
    look_up_bytes(reinterpret_cast<const std::uint8_t*>(table->entries), bytes, bytes, 16);
    return load_codes(reinterpret_cast<const typename Out::code*>(bytes), 16);
  }
};

/// (v * v_factor + other * other_factor) >> shift, in 64 bits, saturated: NEMO's and PULP-NN's sum of two tensors of codes
/// with their steps brought together. `other`: m x n codes, Y itself allowed.
template <class T>
struct add_scaled {
  matrix_view<const T> other;
  std::int32_t v_factor;
  std::int32_t other_factor;
  std::int32_t shift;  ///< [0, 63]

  add_scaled(matrix_view<const T> matrix, std::int32_t of_v, std::int32_t of_other, std::int32_t right)
      : other(matrix), v_factor(of_v), other_factor(of_other), shift(right) {}
  status check(std::size_t m, std::size_t n) const {
    if (shift < 0 || shift > 63) return status::failure("add_scaled: shift " + std::to_string(shift) + " is not in [0, 63]");
    if (other.rows == m && other.columns == n && other.stride >= n) return {};
    return status::failure("add_scaled: the matrix is " + extent_text(other) + ", Y is " + std::to_string(m) + " x " +
                           std::to_string(n));
  }
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    const s32_lanes codes = load_codes(other.row(at.row) + at.channel, at.count);
    const split_s64 sum = multiply(v, split_s64(std::int64_t{v_factor})) + multiply(codes, split_s64(std::int64_t{other_factor}));
    return saturate_to_s32(sum >> split_s64(std::int64_t{shift}));
  }
};
template <class T>
add_scaled(matrix_view<T>, std::int32_t, std::int32_t, std::int32_t) -> add_scaled<std::remove_const_t<T>>;

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/atom.hpp ====
// What an atom is: one multiply-add of the CPU, the way it wants its operands, and nothing about loops. A register holds
// `lanes` 32-bit lanes, one output channel each; a word of W (packed.hpp) fills one lane, a word of X is broadcast.
//
//   struct dot4_u8s8_some_isa {
//     static constexpr std::string_view name;
//     static constexpr isa needs;              // features
//     using x_code, acc_type;                  // element of X; int32_t, int64_t or float
//     static constexpr std::size_t lanes;      // channels of a register
//     static constexpr std::size_t group_k;    // k's of a word of W
//     static constexpr std::size_t group_x;    // optional: elements of packed X for these k's, if not one for each
//     static constexpr bool in_planes;         // optional: packed X is two planes, half a row apart; pack_row is told how
//                                              // far instead of `grouped`, and so is a selector's select
//     static constexpr std::size_t steps;      // words of X for one word of W (2 where W is widened on the way)
//     static constexpr std::size_t block_rows; // rows of X whose accumulators fit into the registers, 2 of W beside
//     static constexpr std::size_t block_registers; // optional: 1 if more registers of channels leave too few
//     static constexpr std::size_t joined_groups; // optional: 2 if dot() takes both groups of a word at once
//     static constexpr bool second_group_first; // optional: of a word's two groups
//     using while_adding;                      // optional: lives while groups are added
//     static constexpr std::size_t max_groups; // optional: that acc holds; then add() is a store() that adds to the tile
//     static constexpr std::int32_t weight_sum_factor;  // true sum = accumulator + factor * (sum of the channel's codes)
//     using packed_x;                          // element of a row of X as the atom reads it
//     static constexpr bool in_place;          // ... which is X itself
//     static void pack_row(const x_code* x, std::size_t k, bool grouped, packed_x* out);
//                                              // grouped: in the order of words; otherwise in the order of k
//     template <class N> struct loader;        // register of packed words -> one register for each group and step
//     template <std::size_t Window> struct selector;  // permutes a window of X for every lane
//     static constexpr bool rows_in_turn;      // optional: whether the compiler may not take rows of a block at once
//     static auto sums(acc);                   // optional: acc as sums of 32 bits, where it holds narrower ones
//     acc zero(); acc dot(acc, w_word, x_word); x_word broadcast(const packed_x*); void store(acc_type*, acc);
//   };
//
// loader<N>:  groups (groups in one word); raw load(const std::uint32_t*); w_word decode<Step>(raw), where Step counts
//             group * steps + step.
// Atoms that join groups are told a second_group where others are told a step, and broadcast(x, second_group) for runs.
// selector<W>: chunk (elements of X that one permute reaches), chunks; control make(positions, step, chunk) with
//             `lanes * group_k` positions; control make_shared(positions, step, chunk) with group_k of them;
//             x_word select(const packed_x* at_chunk, control); x_word combine(x_word, x_word).

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Bits of W's codes in one 16-bit half of a word: where the codes of a group's step sit, for atoms that widen.
template <int Bits, std::size_t Steps>
struct half_word_field {
  static constexpr int position(std::size_t step) {
    return static_cast<int>(step / Steps) * Bits + static_cast<int>(step % Steps) * 8;
  }
  static constexpr int left_shift(std::size_t step) { return 16 - Bits - position(step); }
};

/// Groups that an atom adds before its sums must leave the registers; 0: as many as there are.
template <class Atom>
inline constexpr std::size_t groups_at_once = [] {
  if constexpr (requires { Atom::max_groups; })
    return Atom::max_groups;
  else
    return std::size_t{0};
}();

/// Where an atom that starts with group `first` has to stop: behind the last group, or when its sums are full.
template <class Atom, std::size_t Loaded>
constexpr std::size_t end_of_part(std::size_t first, std::size_t groups) {
  constexpr std::size_t at_once = groups_at_once<Atom> / Loaded * Loaded;
  static_assert(groups_at_once<Atom> == 0 || at_once != 0,
                "sparq: an atom adds at least the groups of one word; raise its max_groups");
  return groups_at_once<Atom> == 0 || groups - first <= at_once ? groups : first + at_once;
}

/// Atoms whose blocks fill all registers: rows and words follow each other as they are written.
template <class Atom>
inline constexpr bool rows_in_turn_v = [] {
  if constexpr (requires { Atom::rows_in_turn; })
    return Atom::rows_in_turn;
  else
    return false;
}();

/// Elements of packed X that a group takes: one for each k, unless the atom says otherwise.
template <class Atom>
inline constexpr std::size_t group_elements = [] {
  if constexpr (requires { Atom::group_x; })
    return Atom::group_x;
  else
    return Atom::group_k;
}();
/// The same for a number of k's, whole groups and what is left of them.
template <class Atom>
constexpr std::size_t packed_elements(std::size_t k) {
  if constexpr (group_elements<Atom> == Atom::group_k)
    return k;
  else
    return (k * group_elements<Atom> + Atom::group_k - 1) / Atom::group_k;
}

/// Packed rows of two planes.
template <class Atom>
inline constexpr bool in_planes = requires { Atom::in_planes; };

/// Groups of a word that an atom adds with one dot().
template <class Atom>
inline constexpr std::size_t joined_groups_v = [] {
  if constexpr (requires { Atom::joined_groups; })
    return Atom::joined_groups;
  else
    return std::size_t{1};
}();

/// Where the second of two joined groups is, seen from the first.
struct second_group {
  std::ptrdiff_t distance;  // elements of X
  std::size_t positions;    // bytes of positions, where every channel has its own
};

/// Which group of its word an atom adds at a turn.
template <class Atom>
constexpr std::size_t group_of_turn(std::size_t turn, std::size_t groups) {
  if constexpr (requires { Atom::second_group_first; })
    return groups - 1 - turn;
  else
    return turn * joined_groups_v<Atom>;
}

struct nothing_while_adding {};
template <class Atom>
struct while_adding {
  using type = nothing_while_adding;
};
template <class Atom>
  requires requires { typename Atom::while_adding; }
struct while_adding<Atom> {
  using type = typename Atom::while_adding;
};
template <class Atom>
using while_adding_t = typename while_adding<Atom>::type;

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/byte_product.hpp ====
// Products of bytes, lane by lane, added to int32 lanes: what operations need that share nothing between channels.
// |x - zero point| <= 255 and |w| <= 128, so a product of both fits into 16 bits: 255 * 128 = 32640. With x of 16 bits it
// is at most 65535 * 128, and int32 holds 256 of them.

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// (x - zero_point) * w, exactly.
template <class X>
SPARQ_INLINE std::int16_t byte_product(X x, X zero_point, std::int8_t w) {
  static_assert(sizeof(X) == 1, "sparq: byte products take std::int8_t or std::uint8_t; use multiply_add for floats");
  const auto difference = static_cast<std::int16_t>(x - zero_point);
  return static_cast<std::int16_t>(difference * w);
}

/// acc[i] + (x[i] - zero_point) * w[i] for 16 lanes, exactly unless the sum itself leaves int32.
template <class X>
SPARQ_INLINE vec<std::int32_t> multiply_add(const vec<std::int32_t>& acc, const X* x, X zero_point,
                                            const std::int8_t* w) {
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2
  const __m128i x_bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
  const __m128i w_bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w));
  const __m256i xs = std::is_signed_v<X> ? _mm256_cvtepi8_epi16(x_bytes) : _mm256_cvtepu8_epi16(x_bytes);
  const __m256i differences = _mm256_sub_epi16(xs, _mm256_set1_epi16(zero_point));
  const __m256i products = _mm256_mullo_epi16(differences, _mm256_cvtepi8_epi16(w_bytes));
  vec<std::int32_t> result;
#if SPARQ_HAS_AVX512
  result.r[0] = acc.r[0] + machine::lane_register<std::int32_t>(_mm512_cvtepi16_epi32(products));
#else
  const __m256i low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(products));
  const __m256i high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(products, 1));
  result.r[0] = acc.r[0] + machine::lane_register<std::int32_t>(low);
  result.r[1] = acc.r[1] + machine::lane_register<std::int32_t>(high);
#endif
  return result;
#else
  return map_lanes(acc, [&](std::int32_t sum, std::size_t i) { return sum + byte_product(x[i], zero_point, w[i]); });
#endif
}

/// Products of 16-bit x that int32 lanes hold for any input.
inline constexpr std::size_t wide_products_at_once = INT32_MAX / (65535 * 128);

/// acc[i] + (x[i] - zero_point) * w[i] for 16 lanes, exactly unless the sum itself leaves int32.
SPARQ_INLINE vec<std::int32_t> multiply_add(const vec<std::int32_t>& acc, const std::int16_t* x, std::int16_t zero_point,
                                            const std::int8_t* w) {
#if SPARQ_HAS_XSIMD && SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
  vec<std::int32_t> result;
  SPARQ_UNROLL for (std::size_t half = 0; half < 2; ++half) {
    const __m256i xs = _mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + 8 * half)));
    const __m256i ws = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(w + 8 * half)));
    const __m256i products = _mm256_mullo_epi32(_mm256_sub_epi32(xs, _mm256_set1_epi32(zero_point)), ws);
    result.r[half] = acc.r[half] + machine::lane_register<std::int32_t>(products);
  }
  return result;
#else
  return map_lanes(acc, [&](std::int32_t sum, std::size_t i) { return sum + (x[i] - zero_point) * w[i]; });
#endif
}

/// acc[i] + (x[i] - zero_point) * w[i] for 16 lanes.
SPARQ_INLINE vec<float> multiply_add(const vec<float>& acc, const float* x, float zero_point, const float* w) {
  return acc + (vec<float>::load(x) - vec<float>(zero_point)) * vec<float>::load(w);
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/compact.hpp ====
// Gathers the elements of a row whose bits are set in a mask: how X is compacted for panels whose k's are listed.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

namespace sparq {

/// Elements behind the last one that compact may overwrite.
inline constexpr std::size_t compact_slack = 64;

SPARQ_ABI_BEGIN

namespace machine {

/// For every byte of mask, the places of its set bits in order: 256 rows of 8.
inline constexpr std::array<std::uint64_t, 256> set_bit_places = [] {
  std::array<std::uint64_t, 256> table{};
  for (std::uint64_t byte = 0; byte < 256; ++byte) {
    int next = 0;
    for (std::uint64_t bit = 0; bit < 8; ++bit)
      if ((byte >> bit & 1) != 0) table[byte] |= bit << (8 * next++);
  }
  return table;
}();

/// The elements of the last, incomplete word of mask, one by one.
template <class T>
inline T* compact_rest(const T* x, std::uint64_t bits, T* out) {
  for (; bits != 0; bits &= bits - 1) *out++ = x[std::countr_zero(bits)];
  return out;
}

template <class T>
SPARQ_INLINE T* compact_word(const T* x, std::uint64_t bits, T* out) {
#if SPARQ_HAS_AVX512VBMI2
  if constexpr (sizeof(T) == 1) {
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi8(bits, _mm512_loadu_si512(x)));
    return out + std::popcount(bits);
  }
#endif
#if SPARQ_HAS_AVX2
  for (std::size_t i = 0; i < 64; i += 8, bits >>= 8) {
    const auto byte = static_cast<std::uint8_t>(bits);
    const __m128i places = _mm_cvtsi64_si128(static_cast<long long>(set_bit_places[byte]));
    if constexpr (sizeof(T) == 1) {
      const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(x + i));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(eight, places));
    } else if constexpr (sizeof(T) == 2) {
      const __m128i control = _mm_add_epi16(_mm_mullo_epi16(_mm_cvtepu8_epi16(places), _mm_set1_epi16(0x0202)),
                                            _mm_set1_epi16(0x0100));
      const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(eight, control));
    } else {
      static_assert(sizeof(T) == 4, "sparq: compact moves elements of one, two or four bytes");
      const __m256 eight = _mm256_loadu_ps(reinterpret_cast<const float*>(x + i));
      _mm256_storeu_ps(reinterpret_cast<float*>(out), _mm256_permutevar8x32_ps(eight, _mm256_cvtepu8_epi32(places)));
    }
    out += std::popcount(byte);
  }
  return out;
#else
  return compact_rest(x, bits, out);
#endif
}

}  // namespace machine

/// Writes the elements of x[0 .. k) whose bit is set to `out`, in order, and returns the end of them.
/// @pre `mask` has ceil(k / 64) words, no bit beyond k; `out` has room for the kept elements and compact_slack more
template <class T>
T* compact(const T* x, const std::uint64_t* mask, std::size_t k, T* out) {
  std::size_t word = 0;
  for (; (word + 1) * 64 <= k; ++word) out = machine::compact_word(x + word * 64, mask[word], out);
  if (word * 64 < k) out = machine::compact_rest(x + word * 64, mask[word], out);
  return out;
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/dot2_bf16.hpp ====
// Atoms for bf16 times bf16, two products to a word: vdpbf16ps where the CPU has AVX512_BF16, and the same bits everywhere
// else. The instruction adds the product of a word's upper halves, then that of the lower ones, each by a fused
// multiply-add to nearest, with denormal numbers as 0 before and after, whatever MXCSR says. Other CPUs take the two groups
// of a word one after the other, the second first.

// ==== sparq/simd/scalar.hpp ====
// Atoms in plain C++: they run everywhere, serve every numeric type, and compilers vectorise them as they can.

#include <bit>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Four lanes of T.
template <class T>
struct lanes4 {
  T lane[4];
};

/// The permute that scalar atoms share: four lanes, GroupK elements each.
template <class Element, std::size_t GroupK, std::size_t Window>
struct scalar_selector {
  static constexpr std::size_t chunk = Window;
  static constexpr std::size_t chunks = 1;
  using control = lanes4<Element[GroupK]>;
  struct positions {
    std::uint8_t at[4][GroupK];
  };
  struct x_word {
    Element at[4][GroupK];
  };
  static SPARQ_INLINE positions make(const std::uint8_t* p, std::size_t, std::size_t) {
    positions result;
    std::memcpy(&result, p, sizeof result);
    return result;
  }
  static SPARQ_INLINE positions make_shared(const std::uint8_t* p, std::size_t, std::size_t) {
    positions result;
    for (auto& lane : result.at) std::memcpy(&lane, p, GroupK);
    return result;
  }
  static SPARQ_INLINE x_word select(const Element* x, const positions& c) {
    x_word result;
    for (std::size_t l = 0; l < 4; ++l)
      for (std::size_t i = 0; i < GroupK; ++i) result.at[l][i] = x[c.at[l][i]];
    return result;
  }
};

}  // namespace machine

/// Four products of bytes, summed into int32.
template <integer_numeric X, integer_numeric W>
struct dot4_scalar {
  static constexpr std::string_view name = X::is_signed ? (W::is_signed ? "dot4_s8s8_scalar" : "dot4_s8u8_scalar")
                                                        : (W::is_signed ? "dot4_u8s8_scalar" : "dot4_u8u8_scalar");
  static constexpr isa needs{};
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 4, group_k = 4, steps = 1, block_rows = 4;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = x_code;
  static constexpr bool in_place = true;

  using acc = machine::lanes4<std::int32_t>;
  struct w_word {
    std::int16_t at[4][4];
  };
  template <std::size_t Window>
  using selector = machine::scalar_selector<x_code, 4, Window>;
  using x_word = typename selector<4>::x_word;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) { std::memcpy(out, x, k); }
  static SPARQ_INLINE acc zero() { return {}; }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    x_word x;
    for (auto& lane : x.at) std::memcpy(&lane, p, 4);
    return x;
  }
  template <class XWord>
  static SPARQ_INLINE acc dot(acc c, const w_word& w, const XWord& x) {
    for (std::size_t l = 0; l < 4; ++l)
      for (std::size_t i = 0; i < 4; ++i) c.lane[l] += w.at[l][i] * x.at[l][i];
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, const acc& c) { std::memcpy(p, c.lane, sizeof c.lane); }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 8 / static_cast<std::size_t>(N::bits);
    struct raw {
      std::uint8_t byte[4][4];
    };
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      raw r;
      std::memcpy(&r, words, sizeof r);
      return r;
    }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(const raw& r) {
      w_word w;
      for (std::size_t l = 0; l < 4; ++l)
        for (std::size_t i = 0; i < 4; ++i) {
          const auto code = static_cast<std::uint8_t>(r.byte[l][i] << (8 - N::bits - static_cast<int>(Step) * N::bits));
          if constexpr (N::bits == 1 && N::is_signed) {
            w.at[l][i] = (code & 0x80) != 0 ? -1 : 1;
            continue;
          }
          w.at[l][i] = N::is_signed
                           ? static_cast<std::int16_t>(static_cast<std::int8_t>(code) >> (8 - N::bits))
                           : static_cast<std::int16_t>(code >> (8 - N::bits));
        }
      return w;
    }
  };
};

/// One product of floats, added in the order of k.
template <numeric X, numeric W>
struct fma1_scalar {
  static constexpr std::string_view name =
      machine::joined_name<machine::fma1_name, X::name, W::name, machine::scalar_name>::text;
  static constexpr isa needs{};
  using x_code = typename X::code;
  using acc_type = float;
  static constexpr std::size_t lanes = 4, group_k = 1, steps = 1, block_rows = 4;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = float;
  static constexpr bool in_place = X::bits == 32;

  using acc = machine::lanes4<float>;
  using w_word = machine::lanes4<float>;
  template <std::size_t Window>
  using selector = machine::scalar_selector<float, 1, Window>;
  using x_word = typename selector<1>::x_word;

  static void pack_row(const x_code* x, std::size_t k, bool, float* out) { machine::widen_floats(x, k, out); }
  static SPARQ_INLINE acc zero() { return {}; }
  static SPARQ_INLINE x_word broadcast(const float* p) {
    x_word x;
    for (auto& lane : x.at) lane[0] = *p;
    return x;
  }
  template <class XWord>
  static SPARQ_INLINE acc dot(acc c, const w_word& w, const XWord& x) {
    for (std::size_t l = 0; l < 4; ++l) c.lane[l] += w.lane[l] * x.at[l][0];
    return c;
  }
  static SPARQ_INLINE void store(float* p, const acc& c) { std::memcpy(p, c.lane, sizeof c.lane); }

  template <numeric N>
  struct loader {
    static constexpr std::size_t groups = 32 / static_cast<std::size_t>(N::bits);
    using raw = machine::lanes4<std::uint32_t>;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      raw r;
      std::memcpy(&r, words, sizeof r);
      return r;
    }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(const raw& r) {
      w_word w;
      for (std::size_t l = 0; l < 4; ++l) {
        const std::uint32_t word = r.lane[l];
        if constexpr (N::bits == 32) {
          w.lane[l] = std::bit_cast<float>(word);
        } else {
          typename N::code code;
          code.bits = static_cast<std::uint16_t>(word >> (16 * Step));
          w.lane[l] = code;
        }
      }
      return w;
    }
  };
};

using fma1_f32f32_scalar = fma1_scalar<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/x86_avx2.hpp ====
// Atoms for AVX2 with FMA. Bytes are widened to 16 bits and multiplied by vpmaddwd, exact for every input: vpmaddubsw
// would saturate for |w| > 64. A word of W serves two steps, bytes 0 and 2 first, then 1 and 3, because two shifts
// separate those without a shuffle; a packed row of X has its k's in the same order.

#if SPARQ_HAS_AVX2

#include <immintrin.h>

#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Widens k bytes of X to 16 bits, [0 2 1 3] within every four when `grouped`; writes round_up(k, 16) elements.
template <class Code>
inline void widen_row(const Code* x, std::size_t k, bool grouped, std::int16_t* out) {
  const __m256i order = grouped ? _mm256_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15, 0, 1, 4, 5, 2,
                                                   3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15)
                                : _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4,
                                                   5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const auto widen = [&](const Code* from, std::int16_t* to) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m256i wide = std::is_signed_v<Code> ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_shuffle_epi8(wide, order));
  };
  std::size_t i = 0;
  for (; i + 16 <= k; i += 16) widen(x + i, out + i);
  if (i < k) {
    Code rest[16] = {};
    std::memcpy(rest, x + i, k - i);
    widen(rest, out + i);
  }
}

}  // namespace machine

/// Four products of bytes as two vpmaddwd.
template <integer_numeric X, integer_numeric W>
struct dot4_avx2 {
  static constexpr std::string_view name = X::is_signed ? (W::is_signed ? "dot4_s8s8_avx2" : "dot4_s8u8_avx2")
                                                        : (W::is_signed ? "dot4_u8s8_avx2" : "dot4_u8u8_avx2");
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 8, group_k = 4, steps = 2, block_rows = 6;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = std::int16_t;
  static constexpr bool in_place = false;
  using acc = __m256i;
  using w_word = __m256i;
  using x_word = __m256i;

  static void pack_row(const x_code* x, std::size_t k, bool grouped, packed_x* out) {
    machine::widen_row(x, k, grouped, out);
  }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_si256(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    std::int32_t pair;
    std::memcpy(&pair, p, sizeof pair);
    return _mm256_set1_epi32(pair);
  }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    c = _mm256_add_epi32(c, _mm256_madd_epi16(x, w));
    SPARQ_KEEP_ORDER(c);
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), c); }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 8 / static_cast<std::size_t>(N::bits);
    using raw = __m256i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
    }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      constexpr int left = machine::half_word_field<N::bits, steps>::left_shift(Step);
      const __m256i top = left == 0 ? r : _mm256_slli_epi16(r, left);
      if constexpr (N::bits == 1 && N::is_signed) return _mm256_or_si256(_mm256_srai_epi16(top, 15), _mm256_set1_epi16(1));
      return N::is_signed ? _mm256_srai_epi16(top, 16 - N::bits) : _mm256_srli_epi16(top, 16 - N::bits);
    }
  };

  /// vpshufb reaches eight 16-bit elements, the same for both halves of the register.
  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 8;
    static constexpr std::size_t chunks = (Window + 7) / 8;
    using control = __m256i;
    static SPARQ_INLINE control from_bytes(__m256i positions, std::size_t step, std::size_t c) {
      const __m256i at = _mm256_and_si256(step == 0 ? positions : _mm256_srli_epi16(positions, 8),
                                          _mm256_set1_epi16(0xff));
      const __m256i in_chunk = _mm256_sub_epi16(at, _mm256_set1_epi16(static_cast<short>(8 * c)));
      const __m256i bytes = _mm256_add_epi16(_mm256_mullo_epi16(in_chunk, _mm256_set1_epi16(0x0202)),
                                             _mm256_set1_epi16(0x0100));
      if (chunks == 1) return bytes;
      const __m256i outside = _mm256_or_si256(_mm256_cmpgt_epi16(in_chunk, _mm256_set1_epi16(7)),
                                              _mm256_cmpgt_epi16(_mm256_setzero_si256(), in_chunk));
      return _mm256_or_si256(bytes, _mm256_and_si256(outside, _mm256_set1_epi16(static_cast<short>(0x8080))));
    }
    static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t step, std::size_t c) {
      return from_bytes(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), step, c);
    }
    static SPARQ_INLINE control make_shared(const std::uint8_t* p, std::size_t step, std::size_t c) {
      std::int32_t word;
      std::memcpy(&word, p, sizeof word);
      return from_bytes(_mm256_set1_epi32(word), step, c);
    }
    static SPARQ_INLINE x_word select(const packed_x* x, control c) {
      const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
      return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(part), c);
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm256_or_si256(a, b); }
  };
};

/// One fused multiply-add. Narrow floats become f32 on the way: X when a row is packed, W when it is loaded.
template <numeric X, numeric W>
struct fma1_avx2 {
  static constexpr std::string_view name =
      machine::joined_name<machine::fma1_name, X::name, W::name, machine::avx2_name>::text;
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = float;
  static constexpr std::size_t lanes = 8, group_k = 1, steps = 1, block_rows = 6;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = float;
  static constexpr bool in_place = X::bits == 32;
  using acc = __m256;
  using w_word = __m256;
  using x_word = __m256;

  static void pack_row(const x_code* x, std::size_t k, bool, float* out) { machine::widen_floats(x, k, out); }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_ps(); }
  static SPARQ_INLINE x_word broadcast(const float* p) { return _mm256_broadcast_ss(p); }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) { return _mm256_fmadd_ps(x, w, c); }
  static SPARQ_INLINE void store(float* p, acc c) { _mm256_storeu_ps(p, c); }

  template <numeric N>
  struct loader {
    static constexpr std::size_t groups = 32 / static_cast<std::size_t>(N::bits);
    using raw = __m256i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
    }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      if constexpr (N::bits == 32) return _mm256_castsi256_ps(r);
      const __m256i upper = Step == 0 ? _mm256_slli_epi32(r, 16) : r;
      if constexpr (std::is_same_v<N, f16>) {  // sign, and a magnitude that is 2^112 times too small
        const __m256i parts = _mm256_and_si256(_mm256_srai_epi32(upper, 3), _mm256_set1_epi32(static_cast<int>(0x8fffe000U)));
        return _mm256_mul_ps(_mm256_castsi256_ps(parts), _mm256_set1_ps(0x1p112F));
      }
      if constexpr (Step == 0) return _mm256_castsi256_ps(upper);
      return _mm256_castsi256_ps(_mm256_and_si256(r, _mm256_set1_epi32(static_cast<int>(0xffff0000U))));
    }
  };

  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 8;
    static constexpr std::size_t chunks = (Window + 7) / 8;
    struct control {
      __m256i index;
      __m256i inside;
    };
    static SPARQ_INLINE control from_index(__m256i at, std::size_t c) {
      const __m256i in_chunk = _mm256_sub_epi32(at, _mm256_set1_epi32(static_cast<int>(8 * c)));
      return {in_chunk, _mm256_cmpeq_epi32(_mm256_srai_epi32(in_chunk, 3), _mm256_setzero_si256())};
    }
    static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t, std::size_t c) {
      return from_index(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))), c);
    }
    static SPARQ_INLINE control make_shared(const std::uint8_t* p, std::size_t, std::size_t c) {
      return from_index(_mm256_set1_epi32(*p), c);
    }
    static SPARQ_INLINE x_word select(const float* x, const control& c) {
      const __m256 permuted = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x), c.index);
      return chunks == 1 ? permuted : _mm256_and_ps(permuted, _mm256_castsi256_ps(c.inside));
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm256_or_ps(a, b); }
  };
};

using fma1_f32f32_avx2 = fma1_avx2<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2

// ==== sparq/simd/x86_avx512.hpp ====
// Atoms for AVX-512: byte dot products where the CPU has VNNI, widening to 16 bits where it has not, and fused
// multiply-adds. vpdpbusd takes unsigned times signed bytes; the other three pairs of signs are made of it by swapping
// the operands or by flipping the top bit of X, which adds 128 to every x and is taken back with the sums of the weights.

#if SPARQ_HAS_AVX512

#include <immintrin.h>

#include <array>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// vpshufb reaches 16 bytes; a control byte of 0x80 gives 0.
template <std::size_t Chunk>
SPARQ_INLINE __m512i byte_control(__m512i positions, std::size_t c, bool one_chunk) {
  if (one_chunk) return positions;
  const __m512i at = _mm512_sub_epi8(positions, _mm512_set1_epi8(static_cast<char>(Chunk * c)));
  const __mmask64 inside = _mm512_cmplt_epu8_mask(at, _mm512_set1_epi8(static_cast<char>(Chunk)));
  return _mm512_mask_blend_epi8(inside, _mm512_set1_epi8(static_cast<char>(0x80)), at);
}

/// Permutes of bytes: 4, 8 or 16 bytes at a time by vpshufb, 64 by vpermb where the window is larger and the CPU has
/// VBMI.
template <class Code, std::size_t Window>
struct byte_selector {
  static constexpr bool wide = SPARQ_HAS_AVX512VBMI && Window > 16;
  static constexpr std::size_t chunk = wide ? 64 : Window <= 4 ? 4 : Window <= 8 ? 8 : 16;
  static constexpr std::size_t chunks = (Window + chunk - 1) / chunk;
  using control = __m512i;
  static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t, std::size_t c) {
    return byte_control<chunk>(_mm512_loadu_si512(p), c, chunks == 1);
  }
  static SPARQ_INLINE control make_shared(const std::uint8_t* p, std::size_t, std::size_t c) {
    std::int32_t word;
    std::memcpy(&word, p, sizeof word);
    return byte_control<chunk>(_mm512_set1_epi32(word), c, chunks == 1);
  }
  static SPARQ_INLINE __m512i select(const Code* x, control c) {
#if SPARQ_HAS_AVX512VBMI
    if constexpr (wide) {
      const __m512i window = _mm512_loadu_si512(x);
      if constexpr (chunks == 1) return _mm512_permutexvar_epi8(c, window);
      const __mmask64 inside = _mm512_cmpgt_epi8_mask(c, _mm512_set1_epi8(-1));
      return _mm512_maskz_permutexvar_epi8(inside, c, window);
    }
#endif
    if constexpr (chunk == 4) {
      std::int32_t window;
      std::memcpy(&window, x, sizeof window);
      return _mm512_shuffle_epi8(_mm512_set1_epi32(window), c);
    } else if constexpr (chunk == 8) {
      long long window;
      std::memcpy(&window, x, sizeof window);
      return _mm512_shuffle_epi8(_mm512_set1_epi64(window), c);
    } else {
      return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x))), c);
    }
  }
  static SPARQ_INLINE __m512i combine(__m512i a, __m512i b) { return _mm512_or_si512(a, b); }
};

}  // namespace machine

#if SPARQ_HAS_AVX512VNNI

namespace machine {

/// What field `Field` of every half byte says as a signed code; of one bit, 1 or -1.
template <integer_numeric N, std::size_t Field>
inline constexpr std::array<std::int8_t, 16> codes_of_half_bytes = [] {
  std::array<std::int8_t, 16> codes{};
  for (int half = 0; half < 16; ++half) {
    const int field = half >> (static_cast<int>(Field) * N::bits) & ((1 << N::bits) - 1);
    codes[static_cast<std::size_t>(half)] =
        static_cast<std::int8_t>(N::bits == 1 ? 1 - 2 * field : field - (field >> (N::bits - 1) << N::bits));
  }
  return codes;
}();

}  // namespace machine

/// Four products of bytes in one vpdpbusd.
template <integer_numeric X, integer_numeric W>
struct dot4_avx512vnni {
  static constexpr std::string_view name =
      X::is_signed ? (W::is_signed ? "dot4_s8s8_avx512vnni" : "dot4_s8u8_avx512vnni")
                   : (W::is_signed ? "dot4_u8s8_avx512vnni" : "dot4_u8u8_avx512vnni");
  static constexpr isa needs = feature::avx2 | feature::avx512 | isa(feature::avx512vnni);
  /// u8 x s8 and s8 x u8 are what the instruction does; the other pairs read X with its top bit flipped.
  static constexpr bool flips = X::is_signed == W::is_signed;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 16, group_k = 4, steps = 1, block_rows = 12;
  static constexpr std::int32_t weight_sum_factor = !flips ? 0 : X::is_signed ? -128 : 128;
  using packed_x = x_code;
  static constexpr bool in_place = !flips;
  using acc = __m512i;
  using w_word = __m512i;
  using x_word = __m512i;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) {
    std::size_t i = 0;
    const __m512i top = _mm512_set1_epi8(flips ? static_cast<char>(0x80) : 0);
    for (; i + 64 <= k; i += 64) _mm512_storeu_si512(out + i, _mm512_xor_si512(_mm512_loadu_si512(x + i), top));
    for (; i < k; ++i) out[i] = static_cast<x_code>(flips ? x[i] ^ 0x80 : x[i]);
  }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_si512(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    std::int32_t word;
    std::memcpy(&word, p, sizeof word);
    return _mm512_set1_epi32(word);
  }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    c = W::is_signed ? _mm512_dpbusd_epi32(c, x, w) : _mm512_dpbusd_epi32(c, w, x);
    SPARQ_KEEP_ORDER(c);  // gcc copies half of the accumulators at every turn otherwise, where their start is computed
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) { _mm512_storeu_si512(p, c); }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 8 / static_cast<std::size_t>(N::bits);
    using raw = __m512i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return _mm512_loadu_si512(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      if constexpr (N::bits == 8) {
        return r;
      } else {
        const auto field = [r](std::size_t step, int bits) SPARQ_LAMBDA_INLINE {
          return _mm512_and_si512(step == 0 ? r : _mm512_srli_epi16(r, static_cast<unsigned>(step) * static_cast<unsigned>(bits)),
                                  _mm512_set1_epi8(static_cast<char>((1 << bits) - 1)));
        };
        if constexpr (!N::is_signed) {
          return field(Step, N::bits);
        } else {  // half a byte chooses the code of one of its groups
          constexpr std::size_t in_half = 4 / static_cast<std::size_t>(N::bits);
          return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(
                                         machine::codes_of_half_bytes<N, Step % in_half>.data()))),
                                     field(Step / in_half, 4));
        }
      }
    }
  };
  template <std::size_t Window>
  using selector = machine::byte_selector<x_code, Window>;
};

#endif  // SPARQ_HAS_AVX512VNNI

/// Four products of bytes as two vpmaddwd, exact for every input; the row order and the words are those of AVX2.
template <integer_numeric X, integer_numeric W>
struct dot4_avx512 {
  static constexpr std::string_view name = X::is_signed ? (W::is_signed ? "dot4_s8s8_avx512" : "dot4_s8u8_avx512")
                                                        : (W::is_signed ? "dot4_u8s8_avx512" : "dot4_u8u8_avx512");
  static constexpr isa needs = feature::avx2 | feature::avx512;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 16, group_k = 4, steps = 2, block_rows = 12;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = std::int16_t;
  static constexpr bool in_place = false;
  using acc = __m512i;
  using w_word = __m512i;
  using x_word = __m512i;

  static void pack_row(const x_code* x, std::size_t k, bool grouped, packed_x* out) {
    machine::widen_row(x, k, grouped, out);
  }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_si512(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    std::int32_t pair;
    std::memcpy(&pair, p, sizeof pair);
    return _mm512_set1_epi32(pair);
  }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    c = _mm512_add_epi32(c, _mm512_madd_epi16(x, w));
    SPARQ_KEEP_ORDER(c);
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) { _mm512_storeu_si512(p, c); }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 8 / static_cast<std::size_t>(N::bits);
    using raw = __m512i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return _mm512_loadu_si512(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      constexpr int left = machine::half_word_field<N::bits, steps>::left_shift(Step);
      const __m512i top = left == 0 ? r : _mm512_slli_epi16(r, left);
      if constexpr (N::bits == 1 && N::is_signed) return _mm512_or_si512(_mm512_srai_epi16(top, 15), _mm512_set1_epi16(1));
      return N::is_signed ? _mm512_srai_epi16(top, 16 - N::bits) : _mm512_srli_epi16(top, 16 - N::bits);
    }
  };

  /// vpermw reaches 32 elements across the register.
  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 32;
    static constexpr std::size_t chunks = (Window + 31) / 32;
    using control = __m512i;
    static SPARQ_INLINE control from_bytes(__m512i positions, std::size_t step, std::size_t c) {
      const __m512i at =
          _mm512_and_si512(step == 0 ? positions : _mm512_srli_epi16(positions, 8), _mm512_set1_epi16(0xff));
      return _mm512_sub_epi16(at, _mm512_set1_epi16(static_cast<short>(32 * c)));
    }
    static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t step, std::size_t c) {
      return from_bytes(_mm512_loadu_si512(p), step, c);
    }
    static SPARQ_INLINE control make_shared(const std::uint8_t* p, std::size_t step, std::size_t c) {
      std::int32_t word;
      std::memcpy(&word, p, sizeof word);
      return from_bytes(_mm512_set1_epi32(word), step, c);
    }
    static SPARQ_INLINE x_word select(const packed_x* x, control c) {
      const __m512i window = _mm512_loadu_si512(x);
      if constexpr (chunks == 1) return _mm512_permutexvar_epi16(c, window);
      return _mm512_maskz_permutexvar_epi16(_mm512_cmplt_epu16_mask(c, _mm512_set1_epi16(32)), c, window);
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm512_or_si512(a, b); }
  };
};

/// One fused multiply-add. Narrow floats become f32 on the way: X when a row is packed, W when it is loaded.
template <numeric X, numeric W>
struct fma1_avx512 {
  static constexpr std::string_view name =
      machine::joined_name<machine::fma1_name, X::name, W::name, machine::avx512_name>::text;
  static constexpr isa needs = feature::avx2 | feature::avx512;
  using x_code = typename X::code;
  using acc_type = float;
  static constexpr std::size_t lanes = 16, group_k = 1, steps = 1, block_rows = 12;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = float;
  static constexpr bool in_place = X::bits == 32;
  using acc = __m512;
  using w_word = __m512;
  using x_word = __m512;

  static void pack_row(const x_code* x, std::size_t k, bool, float* out) { machine::widen_floats(x, k, out); }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_ps(); }
  static SPARQ_INLINE x_word broadcast(const float* p) { return _mm512_set1_ps(*p); }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) { return _mm512_fmadd_ps(x, w, c); }
  static SPARQ_INLINE void store(float* p, acc c) { _mm512_storeu_ps(p, c); }

  template <numeric N>
  struct loader {
    static constexpr std::size_t groups = 32 / static_cast<std::size_t>(N::bits);
    using raw = __m512i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return _mm512_loadu_si512(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      if constexpr (N::bits == 32) return _mm512_castsi512_ps(r);
      const __m512i upper = Step == 0 ? _mm512_slli_epi32(r, 16) : r;
      if constexpr (std::is_same_v<N, f16>) {  // sign, and a magnitude that is 2^112 times too small
        const __m512i parts = _mm512_and_si512(_mm512_srai_epi32(upper, 3), _mm512_set1_epi32(static_cast<int>(0x8fffe000U)));
        return _mm512_mul_ps(_mm512_castsi512_ps(parts), _mm512_set1_ps(0x1p112F));
      }
      if constexpr (Step == 0) return _mm512_castsi512_ps(upper);
      return _mm512_castsi512_ps(_mm512_and_si512(r, _mm512_set1_epi32(static_cast<int>(0xffff0000U))));
    }
  };

  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 16;
    static constexpr std::size_t chunks = (Window + 15) / 16;
    struct control {
      __m512i index;
      __mmask16 inside;
    };
    static SPARQ_INLINE control from_index(__m512i at, std::size_t c) {
      const __m512i in_chunk = _mm512_sub_epi32(at, _mm512_set1_epi32(static_cast<int>(16 * c)));
      return {in_chunk, _mm512_cmplt_epu32_mask(in_chunk, _mm512_set1_epi32(16))};
    }
    static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t, std::size_t c) {
      return from_index(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), c);
    }
    static SPARQ_INLINE control make_shared(const std::uint8_t* p, std::size_t, std::size_t c) {
      return from_index(_mm512_set1_epi32(*p), c);
    }
    static SPARQ_INLINE x_word select(const float* x, const control& c) {
      if constexpr (chunks == 1) return _mm512_permutexvar_ps(c.index, _mm512_loadu_ps(x));
      return _mm512_maskz_permutexvar_ps(c.inside, c.index, _mm512_loadu_ps(x));
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm512_or_ps(a, b); }
  };
};

using fma1_f32f32_avx512 = fma1_avx512<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX512

namespace sparq {
SPARQ_ABI_BEGIN

/// By the definition, one lane after the other.
struct dot2_bf16_scalar : fma1_scalar<bf16, bf16> {
  static constexpr std::string_view name = "dot2_bf16bf16_scalar";
  static constexpr bool second_group_first = true;
  using packed_x = brain_float;
  static constexpr bool in_place = true;
  using w_word = machine::lanes4<brain_float>;
  template <std::size_t Window>
  using selector = machine::scalar_selector<brain_float, 1, Window>;
  using x_word = typename selector<1>::x_word;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) {
    if (k != 0) std::memcpy(out, x, k * sizeof *x);
  }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    x_word x;
    for (auto& lane : x.at) lane[0] = *p;
    return x;
  }
  template <class XWord>
  static SPARQ_INLINE acc dot(acc c, const w_word& w, const XWord& x) {
    for (std::size_t l = 0; l < 4; ++l) c.lane[l] = add_bf16_product(c.lane[l], x.at[l][0], w.lane[l]);
    return c;
  }

  template <numeric N>
  struct loader : fma1_scalar<bf16, bf16>::loader<bf16> {
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(const machine::lanes4<std::uint32_t>& r) {
      w_word w;
      for (std::size_t l = 0; l < 4; ++l) w.lane[l].bits = static_cast<std::uint16_t>(r.lane[l] >> (16 * Step));
      return w;
    }
  };
};

#if SPARQ_HAS_AVX2

namespace machine {

/// While it lives, this thread rounds to nearest and takes denormal numbers for 0, as operands and as results. Then MXCSR
/// is what it was, with its exception flags. Loads and stores do not move across either end, so neither does arithmetic
/// between them.
class denormals_as_zero {
 public:
  SPARQ_INLINE denormals_as_zero() {
    constexpr unsigned masked = 0x1f80, operands = 0x0040, results = 0x8000;
#if defined(__GNUC__)
    const unsigned state = masked | operands | results;
    __asm__ volatile("vstmxcsr %0\n\tvldmxcsr %1" : "=m"(before_) : "m"(state) : "memory");
#else
    before_ = _mm_getcsr();
    _mm_setcsr(masked | operands | results);
#endif
  }
  SPARQ_INLINE ~denormals_as_zero() {
#if defined(__GNUC__)
    __asm__ volatile("vldmxcsr %0" : : "m"(before_) : "memory");
#else
    _mm_setcsr(before_);
#endif
  }
  denormals_as_zero(const denormals_as_zero&) = delete;
  denormals_as_zero& operator=(const denormals_as_zero&) = delete;

 private:
  unsigned before_;
};

}  // namespace machine

/// Two fused multiply-adds, X and W as f32.
struct dot2_bf16_avx2 : fma1_avx2<bf16, bf16> {
  static constexpr std::string_view name = "dot2_bf16bf16_avx2";
  static constexpr bool second_group_first = true;
  using while_adding = machine::denormals_as_zero;
};

#endif  // SPARQ_HAS_AVX2

#if SPARQ_HAS_AVX512

/// The same on sixteen channels.
struct dot2_bf16_avx512 : fma1_avx512<bf16, bf16> {
  static constexpr std::string_view name = "dot2_bf16bf16_avx512";
  static constexpr bool second_group_first = true;
  using while_adding = machine::denormals_as_zero;
};

#endif  // SPARQ_HAS_AVX512

#if SPARQ_HAS_AVX512BF16

/// Both groups of a word in one vdpbf16ps. X stays as it is.
struct dot2_bf16_avx512bf16 {
  static constexpr std::string_view name = "dot2_bf16bf16_avx512bf16";
  static constexpr isa needs = feature::avx2 | feature::avx512 | isa(feature::avx512bf16);
  using x_code = brain_float;
  using acc_type = float;
  static constexpr std::size_t lanes = 16, group_k = 1, steps = 1, block_rows = 12;
  static constexpr std::size_t joined_groups = 2;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = brain_float;
  static constexpr bool in_place = true;
  using acc = __m512;
  using w_word = __m512i;
  using x_word = __m512i;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) {
    if (k != 0) std::memcpy(out, x, k * sizeof *x);
  }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_ps(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    std::int32_t pair;
    std::memcpy(&pair, p, sizeof pair);
    return _mm512_set1_epi32(pair);
  }
  /// Two x's that do not lie beside each other.
  static SPARQ_INLINE x_word broadcast(const packed_x* p, const machine::second_group& second) {
    return _mm512_set1_epi32(static_cast<std::int32_t>(p->bits | std::uint32_t{p[second.distance].bits} << 16));
  }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) { return _mm512_dpbf16_ps(c, __m512bh(x), __m512bh(w)); }
  static SPARQ_INLINE void store(float* p, acc c) { _mm512_storeu_ps(p, c); }

  template <numeric N>
  struct loader {
    static constexpr std::size_t groups = 2;
    using raw = __m512i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) { return _mm512_loadu_si512(words); }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      return r;
    }
  };

  /// vpermw reaches 32 elements.
  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 32;
    static constexpr std::size_t chunks = (Window + 31) / 32;
    using control = __m512i;
    static SPARQ_INLINE control make(const std::uint8_t* p, const machine::second_group& second, std::size_t c) {
      const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
      const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + second.positions));
      const __m256i pairs = _mm256_setr_m128i(_mm_unpacklo_epi8(low, high), _mm_unpackhi_epi8(low, high));
      return _mm512_sub_epi16(_mm512_cvtepu8_epi16(pairs), _mm512_set1_epi32(pair_of(32 * c, 32 * c - offset(second))));
    }
    static SPARQ_INLINE control make_shared(const std::uint8_t* p, const machine::second_group& second, std::size_t c) {
      return _mm512_set1_epi32(pair_of(p[0] - 32 * c, p[1] - 32 * c + offset(second)));
    }
    static SPARQ_INLINE x_word select(const packed_x* x, control c) {
      if constexpr (chunks == 1) return _mm512_permutexvar_epi16(c, _mm512_loadu_si512(x));
      return _mm512_maskz_permutexvar_epi16(_mm512_cmplt_epu16_mask(c, _mm512_set1_epi16(32)), c, _mm512_loadu_si512(x));
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm512_or_si512(a, b); }

   private:
    static std::size_t offset(const machine::second_group& second) { return static_cast<std::size_t>(second.distance); }
    static std::int32_t pair_of(std::size_t low, std::size_t high) {
      return static_cast<std::int32_t>(static_cast<std::uint32_t>(low & 0xffff) | static_cast<std::uint32_t>(high << 16));
    }
  };
};

#endif  // SPARQ_HAS_AVX512BF16

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/dot4_s16.hpp ====
// Atoms for activations of 16 bits: the byte atoms that widen X to 16 bits anyway, without the widening. A sum of two
// products reaches 2^23, so int32 lanes hold 255 of them; then they are added to int64 sums in memory. Exact for every
// input.

#include <algorithm>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Groups of four products that int32 holds: two to a step, two steps.
template <integer_numeric W>
inline constexpr std::size_t s16_groups_at_once =
    static_cast<std::size_t>(INT32_MAX / (2 * 32768 * (std::max)(-W::min_code, W::max_code)) / 2);

/// Stores `count` int32 sums as int64 sums, or adds them to those.
template <bool Adds>
SPARQ_INLINE void store_wide(const std::int32_t* sums, std::size_t count, std::int64_t* wide) {
  for (std::size_t i = 0; i < count; ++i) wide[i] = Adds ? wide[i] + sums[i] : sums[i];
}

}  // namespace machine

/// Four products, summed into int64.
template <integer_numeric W>
struct dot4_s16_scalar : dot4_scalar<s16, W> {
  using base = dot4_scalar<s16, W>;
  static constexpr std::string_view name = W::is_signed ? "dot4_s16s8_scalar" : "dot4_s16u8_scalar";
  using acc_type = std::int64_t;
  using acc = machine::lanes4<std::int64_t>;
  using packed_x = std::int16_t;
  using x_word = typename base::x_word;

  static void pack_row(const std::int16_t* x, std::size_t k, bool, packed_x* out) {
    if (k != 0) std::memcpy(out, x, k * sizeof *x);
  }
  static SPARQ_INLINE acc zero() { return {}; }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    x_word x;
    for (auto& lane : x.at) std::memcpy(&lane, p, sizeof lane);
    return x;
  }
  template <class XWord>
  static SPARQ_INLINE acc dot(acc c, const typename base::w_word& w, const XWord& x) {
    for (std::size_t l = 0; l < 4; ++l)
      for (std::size_t i = 0; i < 4; ++i) c.lane[l] += w.at[l][i] * x.at[l][i];
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, const acc& c) { std::memcpy(p, c.lane, sizeof c.lane); }
};

#if SPARQ_HAS_AVX2

namespace machine {

/// Copies k elements of 16 bits, [0 2 1 3] within every four when `grouped`; writes round_up(k, 16) elements.
inline void order_row(const std::int16_t* x, std::size_t k, bool grouped, std::int16_t* out) {
  const auto order = [&](const std::int16_t* from, std::int16_t* to) {
    __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    if (grouped) v = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(v, 0xd8), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v);
  };
  std::size_t i = 0;
  for (; i + 16 <= k; i += 16) order(x + i, out + i);
  if (i < k) {
    std::int16_t rest[16] = {};
    std::memcpy(rest, x + i, (k - i) * sizeof *x);
    order(rest, out + i);
  }
}

}  // namespace machine

/// Four products as two vpmaddwd.
template <integer_numeric W>
struct dot4_s16_avx2 : dot4_avx2<s8, W> {
  static constexpr std::string_view name = W::is_signed ? "dot4_s16s8_avx2" : "dot4_s16u8_avx2";
  using x_code = std::int16_t;
  using acc_type = std::int64_t;
  static constexpr std::size_t max_groups = machine::s16_groups_at_once<W>;

  static void pack_row(const x_code* x, std::size_t k, bool grouped, std::int16_t* out) {
    machine::order_row(x, k, grouped, out);
  }
  static SPARQ_INLINE void store(acc_type* p, __m256i c) { store_or_add<false>(p, c); }
  static SPARQ_INLINE void add(acc_type* p, __m256i c) { store_or_add<true>(p, c); }

 private:
  template <bool Adds>
  static SPARQ_INLINE void store_or_add(acc_type* p, __m256i c) {
    std::int32_t sums[8];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), c);
    machine::store_wide<Adds>(sums, 8, p);
  }
};

#endif  // SPARQ_HAS_AVX2

#if SPARQ_HAS_AVX512

/// The same on sixteen channels.
template <integer_numeric W>
struct dot4_s16_avx512 : dot4_avx512<s8, W> {
  static constexpr std::string_view name = W::is_signed ? "dot4_s16s8_avx512" : "dot4_s16u8_avx512";
  using x_code = std::int16_t;
  using acc_type = std::int64_t;
  static constexpr std::size_t max_groups = machine::s16_groups_at_once<W>;

  static void pack_row(const x_code* x, std::size_t k, bool grouped, std::int16_t* out) {
    machine::order_row(x, k, grouped, out);
  }
  static SPARQ_INLINE void store(acc_type* p, __m512i c) { store_or_add<false>(p, c); }
  static SPARQ_INLINE void add(acc_type* p, __m512i c) { store_or_add<true>(p, c); }

 private:
  template <bool Adds>
  static SPARQ_INLINE void store_or_add(acc_type* p, __m512i c) {
    std::int32_t sums[16];
    _mm512_storeu_si512(sums, c);
    machine::store_wide<Adds>(sums, 16, p);
  }
};

#endif  // SPARQ_HAS_AVX512

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/expand.hpp ====
// The reverse of compact: elements that follow each other go to the places whose bits are set in a mask, zeros to all
// others. How weights that are stored without their zeros become words of the rows loop.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

namespace sparq {

/// Bytes behind the last element that expand may read.
inline constexpr std::size_t expand_slack = 64;

SPARQ_ABI_BEGIN

namespace machine {

/// For every byte of a mask, which of the following elements each of its 8 places takes: 0x80 for none. 256 rows of 8;
/// one more, because rows are read 16 bytes at a time.
alignas(64) inline constexpr std::array<std::uint64_t, 257> places_to_ranks = [] {
  std::array<std::uint64_t, 257> table{};
  for (std::uint64_t byte = 0; byte < 256; ++byte) {
    std::uint64_t next = 0;
    for (std::uint64_t place = 0; place < 8; ++place)
      table[byte] |= ((byte >> place & 1) != 0 ? next++ : 0x80) << (8 * place);
  }
  return table;
}();

#if SPARQ_HAS_AVX2

/// Eight places.
SPARQ_INLINE void expand_byte(const std::uint8_t* values, std::uint8_t mask, std::uint8_t* out) {
  const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(values));
  const __m128i ranks = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&places_to_ranks[mask]));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(eight, ranks));
}
SPARQ_INLINE void expand_byte(const float* values, std::uint8_t mask, float* out) {
  const __m256i ranks = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(&places_to_ranks[mask])));
  const __m256 taken = _mm256_permutevar8x32_ps(_mm256_loadu_ps(values), ranks);
  _mm256_storeu_ps(out, _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_srai_epi32(ranks, 31)), taken));
}

#endif

/// The 64 places of one word of mask; returns the element behind the last one taken.
template <class T>
SPARQ_INLINE const T* expand_word(const T* values, std::uint64_t mask, T* out) {
#if SPARQ_HAS_AVX512VBMI2
  if constexpr (sizeof(T) == 1) {
    _mm512_storeu_si512(out, _mm512_maskz_expand_epi8(mask, _mm512_loadu_si512(values)));
    return values + std::popcount(mask);
  }
#endif
#if SPARQ_HAS_AVX512
  if constexpr (sizeof(T) == 4) {
    SPARQ_UNROLL for (std::size_t i = 0; i < 64; i += 16) {
      const auto part = static_cast<std::uint16_t>(mask >> i);
      _mm512_storeu_ps(out + i, _mm512_maskz_expand_ps(part, _mm512_loadu_ps(values)));
      values += std::popcount(part);
    }
    return values;
  }
#endif
#if SPARQ_HAS_AVX2
  std::uint8_t bytes[8];
  std::memcpy(bytes, &mask, sizeof bytes);
  SPARQ_UNROLL for (std::size_t i = 0; i < 8; ++i) {
    expand_byte(values, bytes[i], out + 8 * i);
    values += std::popcount(bytes[i]);
  }
  return values;
#else
  for (std::size_t i = 0; i < 64; ++i, mask >>= 1) out[i] = (mask & 1) != 0 ? *values++ : T{};
  return values;
#endif
}

}  // namespace machine

/// Writes 64 elements for each of `count` words of mask: from `values`, in order, where a bit is set, and zeros.
/// - `T`: std::uint8_t or float
/// Returns the element behind the last one taken. @pre expand_slack bytes are readable from there on
template <class T>
const T* expand(const T* values, const std::uint64_t* mask, std::size_t count, T* out) {
  static_assert(sizeof(T) == 1 || sizeof(T) == 4, "sparq: expand moves bytes or floats; decode the codes first");
  for (std::size_t i = 0; i < count; ++i) values = machine::expand_word(values, mask[i], out + 64 * i);
  return values;
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/narrow_codes.hpp ====
// Codes that share bytes become bytes and the other way round, many at a time: rows of X before a loop reads them, and
// sixteen channels of Y after the epilogue. numeric/codec.hpp says the same for one code at a time.
//
//   16 bytes of u2:   nibbles   = (v & 0x0f, v >> 4 & 0x0f)  interleaved      // 32 bytes
//                     pairs     = (n & 0x03, n >> 2 & 0x03)  interleaved      // 64 bytes, one code each

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {

/// Elements behind the last one that unpack_narrow may overwrite.
inline constexpr std::size_t unpack_slack = 63;

SPARQ_ABI_BEGIN

namespace machine {

/// Codes that one step makes, and the bytes that it reads for them.
template <numeric N>
inline constexpr std::size_t unpacked_codes = N::bits == 4 ? 32 : 64;
template <numeric N>
inline constexpr std::size_t unpacked_bytes = unpacked_codes<N> * static_cast<std::size_t>(N::bits) / 8;

#if SPARQ_HAS_AVX2

/// The bytes of v, each of which holds two fields of Bits bits, as two registers of one field a byte.
template <int Bits, packing_order Order>
SPARQ_INLINE void split_fields(__m128i v, __m128i& first, __m128i& second) {
  const __m128i mask = _mm_set1_epi8((1 << Bits) - 1);
  const __m128i low = _mm_and_si128(v, mask);
  const __m128i high = _mm_and_si128(_mm_srli_epi16(v, Bits), mask);
  constexpr bool low_first = Order == packing_order::low_first;
  first = _mm_unpacklo_epi8(low_first ? low : high, low_first ? high : low);
  second = _mm_unpackhi_epi8(low_first ? low : high, low_first ? high : low);
}

/// One step: unpacked_codes<N> codes of unpacked_bytes<N> bytes.
template <numeric N>
SPARQ_INLINE void unpack_step(const std::byte* in, typename N::code* out) {
  constexpr std::size_t registers = unpacked_codes<N> / 16;
  __m128i v[registers];
  if constexpr (N::bits == 4) {
    split_fields<4, N::order>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)), v[0], v[1]);
  } else if constexpr (N::bits == 2) {
    __m128i nibbles[2];
    split_fields<4, N::order>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)), nibbles[0], nibbles[1]);
    split_fields<2, N::order>(nibbles[0], v[0], v[1]);
    split_fields<2, N::order>(nibbles[1], v[2], v[3]);
  } else {
    __m128i nibbles[2], pairs[2];
    split_fields<4, N::order>(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(in)), nibbles[0], nibbles[1]);
    split_fields<2, N::order>(nibbles[0], pairs[0], pairs[1]);
    split_fields<1, N::order>(pairs[0], v[0], v[1]);
    split_fields<1, N::order>(pairs[1], v[2], v[3]);
  }
  const __m128i sign = _mm_set1_epi8(N::is_signed ? 1 << (N::bits - 1) : 0);
  for (std::size_t i = 0; i < registers; ++i) {
    if constexpr (N::is_signed && N::bits == 1) v[i] = _mm_sub_epi8(_mm_set1_epi8(1), _mm_add_epi8(v[i], v[i]));
    else if constexpr (N::is_signed) v[i] = _mm_sub_epi8(_mm_xor_si128(v[i], sign), sign);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * i), v[i]);
  }
}

#else

template <numeric N>
SPARQ_INLINE void unpack_step(const std::byte* in, typename N::code* out) {
  using field = detail::bit_field<N>;
  for (std::size_t b = 0; b < unpacked_bytes<N>; ++b)
    for (std::size_t i = 0; i < field::per_byte; ++i) out[b * field::per_byte + i] = field::decode(in[b], i);
}

#endif

}  // namespace machine

/// Codes [first, first + count) of a row as bytes.
/// - `row`: no byte is read that holds none of them
/// - `out`: up to unpack_slack elements behind the last are overwritten with anything
template <numeric N>
void unpack_narrow(const std::byte* row, std::size_t first, std::size_t count, typename N::code* out) noexcept {
  constexpr std::size_t per_byte = detail::bit_field<N>::per_byte;
  for (; first % per_byte != 0 && count != 0; ++first, --count) *out++ = load_code<N>(row, first);
  const std::byte* in = row + first / per_byte;
  for (; count >= machine::unpacked_codes<N>; count -= machine::unpacked_codes<N>) {
    machine::unpack_step<N>(in, out);
    in += machine::unpacked_bytes<N>;
    out += machine::unpacked_codes<N>;
  }
  if (count == 0) return;
  std::byte last[machine::unpacked_bytes<N>] = {};
  std::memcpy(last, in, storage_bytes<N>(count));
  machine::unpack_step<N>(last, out);
}

namespace machine {

/// Eight codes, one in each byte of `codes`, in their packed order.
template <numeric N>
SPARQ_INLINE std::uint64_t pack_eight(std::uint64_t codes) {
  constexpr std::uint64_t fields[] = {0x00ff00ff00ff00ff, 0x0000ffff0000ffff, 0x00000000ffffffff};
  if constexpr (N::bits == 1 && N::is_signed) codes >>= 7;  // binary: the sign
  codes &= 0x0101010101010101 * ((1u << N::bits) - 1u);
  // two neighbours become one field, until a field is a byte; then the bytes move together
  int width = N::bits;
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t even = codes & fields[i];
    const std::uint64_t odd = codes >> (8 << i) & fields[i];
    const bool odd_above = N::order == packing_order::low_first || width >= 8;
    codes = odd_above ? even | odd << width : even << width | odd;
    width *= 2;
  }
  return codes;
}

}  // namespace machine

/// Sixteen lanes, saturated to the codes of N, as elements [first, first + count) of a row.
/// Elements of the first byte that lie before them stay as they are, the bits of the last byte behind them become zero:
/// a row is written from its start to its end.
template <integer_numeric N>
void store_narrow(std::byte* row, std::size_t first, const vec<std::int32_t>& v, std::size_t count) noexcept {
  constexpr std::size_t per_byte = detail::bit_field<N>::per_byte;
  using code = typename N::code;
  const auto codes = max(min(v, vec<std::int32_t>(N::max_code)), vec<std::int32_t>(N::min_code));
  code bytes[16] = {};
  store_saturated(bytes, codes, count);
  std::byte* to = row + first / per_byte;
  if (first % per_byte == 0) {
    std::uint64_t halves[2];
    std::memcpy(halves, bytes, sizeof halves);
    const std::uint64_t packed =
        machine::pack_eight<N>(halves[0]) | machine::pack_eight<N>(halves[1]) << (8 * N::bits);
    std::memcpy(to, &packed, storage_bytes<N>(count));
    return;
  }
  for (std::size_t rest = first; rest % per_byte != 0; ++rest) store_code<N>(row, rest, code{});
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = first + i;
    if (at % per_byte == 0) row[at / per_byte] = std::byte{};
    store_code<N>(row, at, bytes[i]);
  }
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/popcount.hpp ====
// Atoms for activations of -1 and 1, 32 to a word: products are counted, not multiplied. A word of W is one bit of 32
// codes, a plane; weights of 2 bits have two, one strip of words behind the other. With x = 1 - 2 b, where b is the bit of x:
//
//   binary    sum w x = K          - 2 count(p0 ^ b)                     K: the channel's k's
//   ternary   sum w x = sum |w|    - 2 count(p0 & (p1 ^ b))              p0: not zero, p1: negative
//   s2, u2    sum w x = sum w      - 2 (count(p0 & b) -+ 2 count(p1 & b))
//
// The packed form keeps the first term as the channel's weight sum (packed.hpp), so what is beyond K needs no care: there
// all bits are 0. AVX2 counts by looking up nibbles; W is split into nibbles when it is loaded, X when it is packed, and
// repeated for every channel there.

#include <bit>

#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Words of a strip of panel_shape<16, 32>.
inline constexpr std::size_t plane_words = 16;

/// -1 and 1, and 0 if there are two planes: the second plane is the sign.
template <integer_numeric W>
inline constexpr bool is_sign_v = W::min_code == -1 && W::max_code == 1;

#define SPARQ_POPCOUNT_NAME(isa)                                          \
  W::bits == 1         ? std::string_view("popcnt32_b1b1_" isa)           \
  : is_sign_v<W>       ? std::string_view("popcnt32_b1ternary_" isa)      \
  : W::is_signed       ? std::string_view("popcnt32_b1s2_" isa)           \
                       : std::string_view("popcnt32_b1u2_" isa)

}  // namespace machine

/// 32 products, counted by the CPU's scalar instruction or what stands for it.
template <integer_numeric W>
struct popcnt32_scalar {
  static constexpr std::size_t planes = static_cast<std::size_t>(W::bits);
  static constexpr std::string_view name = [] { using namespace machine; return SPARQ_POPCOUNT_NAME("scalar"); }();
  static constexpr isa needs{};
  using x_code = eight_bits;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 4, group_k = 32, group_x = 4, steps = 1, block_rows = 4;
  static constexpr std::int32_t weight_sum_factor = 1;
  using packed_x = eight_bits;
  static constexpr bool in_place = true;
  using acc = machine::lanes4<std::int32_t>;
  struct w_word {
    std::uint32_t plane[planes][4];
  };
  using x_word = std::uint32_t;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) { copy_bits(x, k, out); }
  static SPARQ_INLINE acc zero() { return {}; }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    x_word x;
    std::memcpy(&x, p, sizeof x);
    return x;
  }
  static SPARQ_INLINE acc dot(acc c, const w_word& w, x_word x) {
    for (std::size_t l = 0; l < 4; ++l) {
      if constexpr (planes == 1)
        c.lane[l] += std::popcount(w.plane[0][l] ^ x);
      else if constexpr (machine::is_sign_v<W>)
        c.lane[l] += std::popcount(w.plane[0][l] & (w.plane[1][l] ^ x));
      else
        c.lane[l] += std::popcount(w.plane[0][l] & x) + (W::is_signed ? -2 : 2) * std::popcount(w.plane[1][l] & x);
    }
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, const acc& c) {
    for (std::size_t l = 0; l < 4; ++l) p[l] = -2 * c.lane[l];
  }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 1;
    using raw = w_word;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      raw r;
      for (std::size_t i = 0; i < planes; ++i) std::memcpy(r.plane[i], words + i * machine::plane_words, sizeof r.plane[i]);
      return r;
    }
    template <std::size_t>
    static SPARQ_INLINE w_word decode(const raw& r) { return r; }
  };
};

#if SPARQ_HAS_AVX2

namespace machine {

/// One register for each plane.
template <std::size_t Planes>
struct planes_avx2 {
  __m256i p0;
};
template <>
struct planes_avx2<2> {
  __m256i p0, p1;
};

/// Nibble Part (0: low, 1: high) of every byte.
template <std::size_t Part>
SPARQ_INLINE __m256i nibbles(__m256i v) {
  return _mm256_and_si256(Part == 0 ? v : _mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
}
/// Factor * (bits of a nibble), looked up.
template <int Factor>
SPARQ_INLINE __m256i count_nibbles(__m256i v) {
  const __m128i table = _mm_setr_epi8(0, Factor, Factor, 2 * Factor, Factor, 2 * Factor, 2 * Factor, 3 * Factor, Factor,
                                      2 * Factor, 2 * Factor, 3 * Factor, 2 * Factor, 3 * Factor, 3 * Factor, 4 * Factor);
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), v);
}

/// a ^ 32 bytes in memory, in one instruction: compilers would keep the bytes in a register for the next use.
SPARQ_INLINE __m256i xor_in_memory(__m256i a, const eight_bits* p) {
  const auto* bytes = reinterpret_cast<const __m256i_u*>(p);
#if defined(__GNUC__)
  __m256i result;
  __asm__("vpxor %2, %1, %0" : "=x"(result) : "x"(a), "m"(*bytes));
  return result;
#else
  return _mm256_xor_si256(a, _mm256_loadu_si256(bytes));
#endif
}

/// Splits k bits into nibbles, for each word of 32 bits a register of its low ones and one of its high ones: the four bytes
/// eight times. Writes whole words.
inline void split_row(const eight_bits* x, std::size_t k, eight_bits* out) {
  const __m256i mask = _mm256_set1_epi8(15);
  const auto split = [&](std::uint32_t word) SPARQ_LAMBDA_INLINE {
    const __m256i bytes = _mm256_set1_epi32(static_cast<int>(word));
    auto* to = reinterpret_cast<__m256i*>(out);
    _mm256_storeu_si256(to, _mm256_and_si256(bytes, mask));
    _mm256_storeu_si256(to + 1, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask));
    out += 64;
  };
  std::size_t i = 0;
  for (; i + 32 <= k; i += 32) {
    std::uint32_t word;
    std::memcpy(&word, x + i / 8, sizeof word);
    split(word);
  }
  if (i == k) return;
  eight_bits rest[4] = {};
  copy_bits(x + i / 8, k - i, rest);
  std::uint32_t word;
  std::memcpy(&word, rest, sizeof word);
  split(word);
}

}  // namespace machine

/// 32 products in two lookups of nibbles; bytes count, and add to the tile before they overflow.
template <integer_numeric W>
struct popcnt32_avx2 {
  static constexpr std::size_t planes = static_cast<std::size_t>(W::bits);
  static constexpr bool counts_once = planes == 1 || machine::is_sign_v<W>;
  static constexpr std::string_view name = [] { using namespace machine; return SPARQ_POPCOUNT_NAME("avx2"); }();
  static constexpr isa needs = feature::avx2;
  using x_code = eight_bits;
  using acc_type = std::int32_t;
  /// The lookup, its result and the split planes leave registers for twelve sums or eight.
  static constexpr std::size_t lanes = 8, group_k = 32, group_x = 64, steps = 2, block_rows = planes == 1 ? 6 : 8,
                               block_registers = planes == 1 ? 2 : 1;
  static constexpr std::size_t max_groups = counts_once ? 31 : W::is_signed ? 8 : 10;
  static constexpr std::int32_t weight_sum_factor = 1;
  using packed_x = eight_bits;
  static constexpr bool in_place = false;
  using acc = __m256i;
  using w_word = machine::planes_avx2<planes>;
  /// Repeated when it was packed, so it is an operand in memory: a broadcast would be an instruction for each product, and a
  /// register for it is one of the sums'.
  using x_word = const packed_x*;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) { machine::split_row(x, k, out); }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_si256(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) { return p; }
  static SPARQ_INLINE acc dot(acc c, const w_word& w, x_word x) {
    if constexpr (planes == 1) {
      c = _mm256_add_epi8(c, machine::count_nibbles<1>(machine::xor_in_memory(w.p0, x)));
    } else if constexpr (counts_once) {
      c = _mm256_add_epi8(c, machine::count_nibbles<1>(_mm256_and_si256(w.p0, machine::xor_in_memory(w.p1, x))));
    } else {
      const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
      c = _mm256_add_epi8(c, machine::count_nibbles<1>(_mm256_and_si256(w.p0, bits)));
      SPARQ_KEEP_ORDER(c);
      c = _mm256_add_epi8(c, machine::count_nibbles<W::is_signed ? -2 : 2>(_mm256_and_si256(w.p1, bits)));
    }
    SPARQ_KEEP_ORDER(c);
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), sums(c));
  }
  static SPARQ_INLINE void add(acc_type* p, acc c) {
    auto* to = reinterpret_cast<__m256i*>(p);
    _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), sums(c)));
  }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 1;
    using raw = w_word;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      raw r;
      r.p0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
      if constexpr (planes == 2)
        r.p1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words + machine::plane_words));
      return r;
    }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      r.p0 = machine::nibbles<Step>(r.p0);
      if constexpr (planes == 2) r.p1 = machine::nibbles<Step>(r.p1);
      return r;
    }
  };

 private:
  /// -2 times the counts of a channel's four bytes.
  static SPARQ_INLINE __m256i sums(acc c) {
    const __m256i ones = _mm256_set1_epi8(1);
    constexpr bool is_signed = !counts_once && W::is_signed;
    const __m256i pairs = is_signed ? _mm256_maddubs_epi16(ones, c) : _mm256_maddubs_epi16(c, ones);
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(-2));
  }
};

#endif  // SPARQ_HAS_AVX2

#if SPARQ_HAS_AVX512VPOPCNTDQ

namespace machine {

template <std::size_t Planes>
struct planes_avx512 {
  __m512i p0;
};
template <>
struct planes_avx512<2> {
  __m512i p0, p1;
};

}  // namespace machine

/// 32 products in one vpopcntd.
template <integer_numeric W>
struct popcnt32_avx512vpopcntdq {
  static constexpr std::size_t planes = static_cast<std::size_t>(W::bits);
  static constexpr std::string_view name = [] { using namespace machine; return SPARQ_POPCOUNT_NAME("avx512vpopcntdq"); }();
  static constexpr isa needs = feature::avx2 | feature::avx512 | isa(feature::avx512vpopcntdq);
  using x_code = eight_bits;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 16, group_k = 32, group_x = 4, steps = 1, block_rows = 12;
  static constexpr std::int32_t weight_sum_factor = 1;
  using packed_x = eight_bits;
  static constexpr bool in_place = true;
  using acc = __m512i;
  using w_word = machine::planes_avx512<planes>;
  using x_word = __m512i;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) { copy_bits(x, k, out); }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_si512(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    std::int32_t word;
    std::memcpy(&word, p, sizeof word);
    return _mm512_set1_epi32(word);
  }
  static SPARQ_INLINE acc dot(acc c, const w_word& w, x_word x) {
    if constexpr (planes == 1) {
      c = _mm512_add_epi32(c, _mm512_popcnt_epi32(_mm512_xor_si512(w.p0, x)));
    } else if constexpr (machine::is_sign_v<W>) {
      c = _mm512_add_epi32(c, _mm512_popcnt_epi32(_mm512_and_si512(w.p0, _mm512_xor_si512(w.p1, x))));
    } else {
      c = _mm512_add_epi32(c, _mm512_popcnt_epi32(_mm512_and_si512(w.p0, x)));
      const __m512i twice = _mm512_slli_epi32(_mm512_popcnt_epi32(_mm512_and_si512(w.p1, x)), 1);
      c = W::is_signed ? _mm512_sub_epi32(c, twice) : _mm512_add_epi32(c, twice);
    }
    SPARQ_KEEP_ORDER(c);
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) {
    _mm512_storeu_si512(p, _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(c, 1)));
  }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 1;
    using raw = w_word;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      raw r;
      r.p0 = _mm512_loadu_si512(words);
      if constexpr (planes == 2) r.p1 = _mm512_loadu_si512(words + machine::plane_words);
      return r;
    }
    template <std::size_t>
    static SPARQ_INLINE w_word decode(raw r) { return r; }
  };
};

#endif  // SPARQ_HAS_AVX512VPOPCNTDQ

#undef SPARQ_POPCOUNT_NAME

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/positions.hpp ====
// Positions of an N:M pattern come in narrow fields, of several groups in one byte; selectors take bytes. A register of
// them is unpacked with one shift, one mask and one addition for each group, and stored as a whole, so that loading it
// again costs no more than loading bytes from memory would.

#include <cstddef>
#include <cstdint>
#include <cstring>

#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

namespace sparq {
SPARQ_ABI_BEGIN

/// Unpacks `Count` bytes of 8 / Bits groups: out[f][i] = field f of p[i] + byte i % 4 of `first`.
/// - `Count`: positions of one register, 4, 8, 16, 32 or 64
/// - `first`: where in its window the span of every position starts
template <std::size_t Bits, std::size_t Count>
SPARQ_INLINE void unpack_positions(const std::uint8_t* p, std::uint32_t first, std::uint8_t (&out)[8 / Bits][Count]) {
  static_assert(Bits == 1 || Bits == 2 || Bits == 4, "sparq: fields share bytes evenly; use 1, 2 or 4 bits");
  constexpr std::size_t groups = 8 / Bits;
  [[maybe_unused]] constexpr auto mask = static_cast<char>((1U << Bits) - 1);
#if SPARQ_HAS_AVX512
  if constexpr (Count == 64) {
    const __m512i raw = _mm512_loadu_si512(p);
    const __m512i minus_first = _mm512_sub_epi8(_mm512_setzero_si512(), _mm512_set1_epi32(static_cast<int>(first)));
    SPARQ_UNROLL for (unsigned f = 0; f < groups; ++f)
      _mm512_storeu_si512(out[f], _mm512_sub_epi8(_mm512_and_si512(_mm512_srli_epi16(raw, f * static_cast<unsigned>(Bits)),
                                                                   _mm512_set1_epi8(mask)),
                                                  minus_first));
    return;
  }
#endif
#if SPARQ_HAS_AVX2
  if constexpr (Count == 32) {
    const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i firsts = _mm256_set1_epi32(static_cast<int>(first));
    SPARQ_UNROLL for (int f = 0; f < static_cast<int>(groups); ++f)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out[f]),
                          _mm256_add_epi8(_mm256_and_si256(_mm256_srli_epi16(raw, f * static_cast<int>(Bits)),
                                                           _mm256_set1_epi8(mask)),
                                          firsts));
    return;
  }
  if constexpr (Count == 16 || Count == 8) {
    const __m128i raw = Count == 8 ? _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))
                                   : _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i firsts = _mm_set1_epi32(static_cast<int>(first));
    SPARQ_UNROLL for (int f = 0; f < static_cast<int>(groups); ++f) {
      const __m128i bytes = _mm_add_epi8(
          _mm_and_si128(_mm_srli_epi16(raw, f * static_cast<int>(Bits)), _mm_set1_epi8(mask)), firsts);
      if constexpr (Count == 8)
        _mm_storel_epi64(reinterpret_cast<__m128i*>(out[f]), bytes);
      else
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out[f]), bytes);
    }
    return;
  }
#endif
  for (std::size_t f = 0; f < groups; ++f)
    for (std::size_t i = 0; i < Count; ++i)
      out[f][i] = static_cast<std::uint8_t>((p[i] >> (f * Bits) & ((1U << Bits) - 1)) + (first >> (8 * (i % 4)) & 255U));
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/scalar_columns.hpp ====
// Atoms of the columns loop in plain C++.

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Sixteen rows of X beside each other; k's in groups of GroupK.
template <class X, class Weight, class Sum, std::size_t GroupK>
struct scalar_columns {
  static constexpr isa needs{};
  using x_code = X;
  using acc_type = Sum;
  static constexpr std::size_t lanes = 16, registers = 1, group_k = GroupK;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = X;
  using weight = Weight;
  template <numeric N>
  static constexpr bool in_place = std::is_same_v<typename N::code, Weight> && N::bits == 8 * sizeof(Weight);
  struct acc {
    Sum lane[lanes];
  };
  template <std::size_t V>
  struct x_group {
    const X* k[GroupK];
  };

  static void pack_rows(const X* const* rows, std::size_t k, X* block) {
    for (std::size_t r = 0; r < lanes; ++r)
      for (std::size_t i = 0; i < k; ++i) block[i * lanes + r] = rows[r][i];
  }
  static void pack_columns(const X* x, std::size_t stride, std::size_t k, std::size_t count, X* block) {
    for (std::size_t i = 0; i < k; ++i)
      for (std::size_t r = 0; r < lanes; ++r) block[i * lanes + r] = r < count ? x[i * stride + r] : X{};
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const X* block, const std::uint16_t* k) {
    x_group<V> x;
    for (std::size_t i = 0; i < GroupK; ++i) x.k[i] = block + std::size_t{k[i]} * lanes;
    return x;
  }
  static SPARQ_INLINE acc zero() { return {}; }
  template <std::size_t V>
  static SPARQ_INLINE void add(acc (&sums)[V], const Weight* w, const x_group<V>& x) {
    for (std::size_t l = 0; l < lanes; ++l)
      for (std::size_t i = 0; i < GroupK; ++i) sums[0].lane[l] += static_cast<Sum>(w[i]) * static_cast<Sum>(x.k[i][l]);
  }
  static SPARQ_INLINE acc load_sums(const Sum* p) {
    acc sums;
    for (std::size_t l = 0; l < lanes; ++l) sums.lane[l] = p[l];
    return sums;
  }
  static SPARQ_INLINE void store_sums(Sum* p, const acc& sums) {
    for (std::size_t l = 0; l < lanes; ++l) p[l] = sums.lane[l];
  }
};

}  // namespace machine

/// Four products of bytes, summed into int32.
template <integer_numeric X, integer_numeric W>
struct columns4_scalar
    : machine::scalar_columns<typename X::code, typename W::code, std::int32_t, 4> {
  static constexpr std::string_view name =
      X::is_signed ? (W::is_signed ? "columns4_s8s8_scalar" : "columns4_s8u8_scalar")
                   : (W::is_signed ? "columns4_u8s8_scalar" : "columns4_u8u8_scalar");
};

/// One product of floats, added in the order of the lists.
template <numeric X, numeric W>
struct columns1_scalar : machine::scalar_columns<typename X::code, float, float, 1> {
  static constexpr std::string_view name =
      machine::joined_name<machine::columns1_name, X::name, W::name, machine::scalar_name>::text;
};
using columns1_f32f32_scalar = columns1_scalar<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/scalar_gather.hpp ====
// Atoms of the columns loop for few rows of X: instead of rows, the lanes hold the k's of a set's groups, and X is
// gathered element by element.
//
//   struct gather4_u8s8_some_isa {
//     name, needs, x_code, acc_type, group_k, weight, in_place<N>;  // as in column_atom.hpp
//     using packed_x;                            // element of a row of X, in the order of k
//     static void pack_row(const x_code* x, std::size_t k, packed_x* out);
//     template <std::size_t Sets, std::size_t Members> class step_sums {  // Sets sets of Members channels each
//       void add(std::size_t groups, const packed_x* x, const std::uint16_t* list, const weight* w);
//                                                // of each set, in turns
//       acc_type channel(std::size_t i) const;   // the sum of the step's i-th channel, set by set
//     };
//   };

#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Plain C++: sums in the order of the lists.
template <class X, class Weight, class Sum, std::size_t GroupK>
struct scalar_gather {
  static constexpr isa needs{};
  using x_code = X;
  using acc_type = Sum;
  static constexpr std::size_t group_k = GroupK;
  using packed_x = X;
  using weight = Weight;
  template <numeric N>
  static constexpr bool in_place = std::is_same_v<typename N::code, Weight> && N::bits == 8 * sizeof(Weight);

  static void pack_row(const X* x, std::size_t k, X* out) {
    if (k != 0) std::memcpy(out, x, k * sizeof(X));
  }
  template <std::size_t Sets, std::size_t Members>
  class step_sums {
   public:
    void add(std::size_t groups, const X* x, const std::uint16_t* list, const Weight* w) {
      for (std::size_t g = 0; g < groups; ++g)
        for (std::size_t set = 0; set < Sets; ++set, list += GroupK)
          for (std::size_t c = 0; c < Members; ++c, w += GroupK)
            for (std::size_t i = 0; i < GroupK; ++i)
              sums_[set * Members + c] += static_cast<Sum>(w[i]) * static_cast<Sum>(x[list[i]]);
    }
    Sum channel(std::size_t i) const { return sums_[i]; }

   private:
    Sum sums_[Sets * Members] = {};
  };
};

}  // namespace machine

/// Four products of bytes, summed into int32.
template <integer_numeric X, integer_numeric W>
struct gather4_scalar : machine::scalar_gather<typename X::code, typename W::code, std::int32_t, 4> {
  static constexpr std::string_view name =
      X::is_signed ? (W::is_signed ? "gather4_s8s8_scalar" : "gather4_s8u8_scalar")
                   : (W::is_signed ? "gather4_u8s8_scalar" : "gather4_u8u8_scalar");
};

/// One product of floats.
template <numeric X, numeric W>
struct gather1_scalar : machine::scalar_gather<typename X::code, float, float, 1> {
  static constexpr std::string_view name =
      machine::joined_name<machine::gather1_name, X::name, W::name, machine::scalar_name>::text;
};
using gather1_f32f32_scalar = gather1_scalar<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/scaled_sums.hpp ====
// Sums of rows of codes, each with a scale and an offset of its own, in registers: what embedding bags add up.

#if SPARQ_HAS_AVX2

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Asks for the cache line that `at` lies in.
SPARQ_INLINE void prefetch(const std::byte* at) { _mm_prefetch(reinterpret_cast<const char*>(at), _MM_HINT_T0); }

/// 8 * Registers neighbouring columns: sum = fma(scale, code, sum + offset), from 0 on.
template <std::size_t Registers>
class scaled_sums {
 public:
  SPARQ_INLINE scaled_sums() {
    SPARQ_UNROLL for (std::size_t r = 0; r < Registers; ++r) sums_[r] = _mm256_setzero_ps();
  }
  /// Adds one row. `codes`: of Bits bits, the first column in the low bits
  template <int Bits, bool IsSigned>
  SPARQ_INLINE void add(const std::byte* codes, float scale, float offset) {
    const __m256 scales = _mm256_set1_ps(scale), offsets = _mm256_set1_ps(offset);
    SPARQ_UNROLL for (std::size_t r = 0; r < Registers; ++r)
      sums_[r] = _mm256_fmadd_ps(scales, codes_at<Bits, IsSigned>(codes + r * Bits), _mm256_add_ps(sums_[r], offsets));
  }
  SPARQ_INLINE void store(float* to) const {
    SPARQ_UNROLL for (std::size_t r = 0; r < Registers; ++r) _mm256_storeu_ps(to + 8 * r, sums_[r]);
  }

 private:
  /// Eight codes, Bits bytes.
  template <int Bits, bool IsSigned>
  static SPARQ_INLINE __m256 codes_at(const std::byte* codes) {
    static_assert(Bits == 8 || (Bits == 4 && !IsSigned), "sparq: rows are of s8, u8 or u4; unpack others first");
    if constexpr (Bits == 4) {
      std::int32_t word;
      std::memcpy(&word, codes, 4);
      const __m128i bytes = _mm_cvtsi32_si128(word), nibble = _mm_set1_epi8(15);
      const __m128i low = _mm_and_si128(bytes, nibble), high = _mm_and_si128(_mm_srli_epi16(bytes, 4), nibble);
      return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpacklo_epi8(low, high)));
    } else {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes));
      return _mm256_cvtepi32_ps(IsSigned ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes));
    }
  }

  __m256 sums_[Registers];
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2

// ==== sparq/simd/sum_of.hpp ====
// Sums of neighbouring elements: exact for bytes, in a fixed order for floats.

#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Sum of `count` bytes.
template <class Byte>
std::int64_t sum_of(const Byte* x, std::size_t count) noexcept {
  static_assert(sizeof(Byte) == 1, "sparq: row sums are of bytes, floats or narrow integers; convert X");
  std::int64_t sum = 0;
  std::size_t i = 0;
#if SPARQ_HAS_AVX2
  // Distances of unsigned bytes to 0, added by eights; signed bytes are moved up by 128 before and down behind.
  const __m256i up = _mm256_set1_epi8(std::is_signed_v<Byte> ? static_cast<char>(-128) : char{0});
  __m256i sums = _mm256_setzero_si256();
  for (; i + 32 <= count; i += 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i));
    sums = _mm256_add_epi64(sums, _mm256_sad_epu8(_mm256_xor_si256(bytes, up), _mm256_setzero_si256()));
  }
  std::int64_t parts[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(parts), sums);
  sum = parts[0] + parts[1] + parts[2] + parts[3] - (std::is_signed_v<Byte> ? std::int64_t{128} : 0) * static_cast<std::int64_t>(i);
#endif
  for (; i < count; ++i) sum += x[i];
  return sum;
}
/// Sum of `count` floats: x[i] goes to sum i % 16, and those are halved until one is left; the same on every CPU.
inline float sum_of(const float* x, std::size_t count) noexcept {
  vec<float> sums(0.0F);
  for (std::size_t i = 0; i < count; i += 16) sums = sums + vec<float>::load(x + i, (std::min)(count - i, std::size_t{16}));
  float lanes[16];
  sums.store(lanes);
  for (std::size_t half = 8; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/sum_scaling.hpp ====
// How accumulators of a rows block become scaled floats, where scales run along k: the atom's registers are converted,
// multiplied and added to sums in memory, once for every group of scales. The sums lie in the first-level cache: the
// registers are full of accumulators.
//
//   start_sums(acc, sums of the weights, factor);  acc = dot(...), ...;  add_scaled(tile, acc, load_scales(acc, scales))

#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// What an atom that adds in parts holds in a register, as sums of 32 bits: the atom's `sums`, or the register itself.
template <class Atom>
SPARQ_INLINE auto whole_sums(const typename Atom::acc& acc) {
  if constexpr (requires { Atom::sums(acc); })
    return Atom::sums(acc);
  else
    return acc;
}

/// a b + c, rounded once where registers are.
SPARQ_INLINE float multiply_add_once(float a, float b, float c) {
#if SPARQ_HAS_AVX2
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

// ---- registers that are arrays: any atom in plain C++ ---------------------------------------------------------------

template <class Acc>
concept lane_array = requires(Acc acc) { acc.lane[0]; };

/// acc = factor * sums, from which integer accumulators start; floats start from 0 and have no sums.
template <lane_array Acc>
SPARQ_INLINE void start_sums(Acc& acc, const std::int32_t* sums, std::int32_t factor) {
  acc = {};
  if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(acc.lane[0])>, float>)
    for (std::size_t i = 0; i < std::size(acc.lane); ++i)
      acc.lane[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(factor) * static_cast<std::uint32_t>(sums[i]));
}
template <lane_array Acc>
SPARQ_INLINE void keep_register(Acc&) {}
/// acc + sums in memory, and back.
template <lane_array Acc>
SPARQ_INLINE Acc plus_sums(Acc acc, const std::int32_t* sums) {
  for (std::size_t i = 0; i < std::size(acc.lane); ++i) acc.lane[i] += sums[i];
  return acc;
}
template <lane_array Acc>
SPARQ_INLINE void store_sums(std::int32_t* sums, const Acc& acc) {
  for (std::size_t i = 0; i < std::size(acc.lane); ++i) sums[i] = acc.lane[i];
}
/// The scales of one register, for accumulators like `acc`.
template <lane_array Acc>
SPARQ_INLINE const float* load_scales(const Acc&, const float* scales) { return scales; }
/// tile += float(acc) * scales
template <lane_array Acc>
SPARQ_INLINE void add_scaled(float* tile, const Acc& acc, const float* scales) {
  for (std::size_t i = 0; i < std::size(acc.lane); ++i) tile[i] += static_cast<float>(acc.lane[i]) * scales[i];
}

#if SPARQ_HAS_AVX2

/// Equal starts are still registers of their own: gcc lets one go to memory otherwise.
SPARQ_INLINE void keep_register([[maybe_unused]] __m256& acc) { SPARQ_KEEP_ORDER(acc); }
SPARQ_INLINE void keep_register([[maybe_unused]] __m256i& acc) { SPARQ_KEEP_ORDER(acc); }
SPARQ_INLINE void start_sums(__m256& acc, const std::int32_t*, std::int32_t) { acc = _mm256_setzero_ps(); }
SPARQ_INLINE void start_sums(__m256i& acc, const std::int32_t* sums, std::int32_t factor) {
  acc = _mm256_mullo_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums)), _mm256_set1_epi32(factor));
}
SPARQ_INLINE __m256i plus_sums(__m256i acc, const std::int32_t* sums) {
  return _mm256_add_epi32(acc, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums)));
}
SPARQ_INLINE void store_sums(std::int32_t* sums, __m256i acc) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), acc); }
SPARQ_INLINE __m256 load_scales(__m256, const float* scales) { return _mm256_loadu_ps(scales); }
SPARQ_INLINE __m256 load_scales(__m256i, const float* scales) { return _mm256_loadu_ps(scales); }
SPARQ_INLINE void add_scaled(float* tile, __m256 acc, __m256 scales) {
  _mm256_storeu_ps(tile, _mm256_fmadd_ps(acc, scales, _mm256_loadu_ps(tile)));
}
SPARQ_INLINE void add_scaled(float* tile, __m256i acc, __m256 scales) { add_scaled(tile, _mm256_cvtepi32_ps(acc), scales); }

#endif  // SPARQ_HAS_AVX2

#if SPARQ_HAS_AVX512

SPARQ_INLINE void keep_register([[maybe_unused]] __m512& acc) { SPARQ_KEEP_ORDER(acc); }
SPARQ_INLINE void keep_register([[maybe_unused]] __m512i& acc) { SPARQ_KEEP_ORDER(acc); }
SPARQ_INLINE void start_sums(__m512& acc, const std::int32_t*, std::int32_t) { acc = _mm512_setzero_ps(); }
SPARQ_INLINE void start_sums(__m512i& acc, const std::int32_t* sums, std::int32_t factor) {
  acc = _mm512_mullo_epi32(_mm512_loadu_si512(sums), _mm512_set1_epi32(factor));
}
SPARQ_INLINE __m512i plus_sums(__m512i acc, const std::int32_t* sums) {
  return _mm512_add_epi32(acc, _mm512_loadu_si512(sums));
}
SPARQ_INLINE void store_sums(std::int32_t* sums, __m512i acc) { _mm512_storeu_si512(sums, acc); }
SPARQ_INLINE __m512 load_scales(__m512, const float* scales) { return _mm512_loadu_ps(scales); }
SPARQ_INLINE __m512 load_scales(__m512i, const float* scales) { return _mm512_loadu_ps(scales); }
SPARQ_INLINE void add_scaled(float* tile, __m512 acc, __m512 scales) {
  _mm512_storeu_ps(tile, _mm512_fmadd_ps(acc, scales, _mm512_loadu_ps(tile)));
}
SPARQ_INLINE void add_scaled(float* tile, __m512i acc, __m512 scales) { add_scaled(tile, _mm512_cvtepi32_ps(acc), scales); }

#endif  // SPARQ_HAS_AVX512

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/transpose.hpp ====
// Transposes of small tiles: rows of X into lanes, and sums back into rows of Y.

#include <cstddef>
#include <cstdint>
#include <cstring>

#if SPARQ_HAS_AVX2
#include <immintrin.h>
#endif

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

#if SPARQ_HAS_AVX2

/// 8 x 8 elements of 32 bits: element (i, j) of `from` becomes (j, i) of `to`.
SPARQ_INLINE void transpose_8x8(const float* const* from, float* to, std::size_t ldt) {
  __m256 a[8], b[8];
  SPARQ_UNROLL for (int i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps(from[i]);
  SPARQ_UNROLL for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
  SPARQ_UNROLL for (int i = 0; i < 8; i += 4) {
    a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
  SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * ldt, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * ldt, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
  }
}

/// Sixteen bytes of sixteen rows: register i gets column 2i in its low half, column 2i + 1 in its high half.
SPARQ_INLINE void transpose_bytes_16x16(const std::uint8_t* const* rows, std::size_t at, __m256i (&columns)[8]) {
  __m256i a[8], b[8];
  SPARQ_UNROLL for (int i = 0; i < 8; ++i) {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i] + at));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[i + 8] + at));
    a[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  }
  SPARQ_UNROLL for (int i = 0; i < 4; ++i) {
    b[2 * i] = _mm256_unpacklo_epi8(a[2 * i], a[2 * i + 1]);      // columns 0..7 of two rows
    b[2 * i + 1] = _mm256_unpackhi_epi8(a[2 * i], a[2 * i + 1]);  // columns 8..15
  }
  SPARQ_UNROLL for (int i = 0; i < 2; ++i) {
    SPARQ_UNROLL for (int h = 0; h < 2; ++h) {
      a[4 * i + 2 * h] = _mm256_unpacklo_epi16(b[4 * i + h], b[4 * i + 2 + h]);      // columns 8h + 0..3 of four rows
      a[4 * i + 2 * h + 1] = _mm256_unpackhi_epi16(b[4 * i + h], b[4 * i + 2 + h]);  // columns 8h + 4..7
    }
  }
  SPARQ_UNROLL for (int i = 0; i < 4; ++i) {
    columns[2 * i] = _mm256_permute4x64_epi64(_mm256_unpacklo_epi32(a[i], a[i + 4]), 0xd8);
    columns[2 * i + 1] = _mm256_permute4x64_epi64(_mm256_unpackhi_epi32(a[i], a[i + 4]), 0xd8);
  }
}

/// Calls f(k, registers of columns k and k + 1) for the k's of sixteen rows, sixteen k's at a time; the last k's come
/// from copies, so that nothing is read beyond a row's end.
template <class F>
SPARQ_INLINE void for_transposed_bytes(const std::uint8_t* const* rows, std::size_t k, F&& f) {
  __m256i columns[8];
  std::size_t at = 0;
  for (; at + 16 <= k; at += 16) {
    transpose_bytes_16x16(rows, at, columns);
    SPARQ_UNROLL for (std::size_t i = 0; i < 8; ++i) f(at + 2 * i, columns[i]);
  }
  if (at == k) return;
  std::uint8_t rest[16][16] = {};
  const std::uint8_t* rest_rows[16];
  for (std::size_t r = 0; r < 16; ++r) {
    std::memcpy(rest[r], rows[r] + at, k - at);
    rest_rows[r] = rest[r];
  }
  transpose_bytes_16x16(rest_rows, 0, columns);
  for (std::size_t i = 0; at + 2 * i < k; ++i) f(at + 2 * i, columns[i]);
}

/// A block of Rows rows of floats, [k][row].
template <std::size_t Rows, class T>
void pack_float_rows(const T* const* rows, std::size_t k, float* block) {
  std::size_t at = 0;
  for (; at + 8 <= k; at += 8)
    for (std::size_t r = 0; r < Rows; r += 8) {
      const float* from[8];
      float widened[8][8];
      for (std::size_t i = 0; i < 8; ++i) {
        if constexpr (sizeof(T) == sizeof(float)) {
          from[i] = rows[r + i] + at;
        } else {
          widen_floats(rows[r + i] + at, 8, widened[i]);
          from[i] = widened[i];
        }
      }
      transpose_8x8(from, block + at * Rows + r, Rows);
    }
  for (; at < k; ++at)
    for (std::size_t r = 0; r < Rows; ++r) block[at * Rows + r] = rows[r][at];
}

/// The same from rows that are stored by columns, `count` of them.
template <std::size_t Rows, class T>
void pack_float_columns(const T* x, std::size_t stride, std::size_t k, std::size_t count, float* block) {
  for (std::size_t i = 0; i < k; ++i, x += stride, block += Rows) {
    if (count >= Rows) {
      widen_floats(x, Rows, block);
    } else {
      std::memset(block, 0, Rows * sizeof(float));
      widen_floats(x, count, block);
    }
  }
}

#endif

/// Sixteen rows of `from` become columns of `to`: to[j * 16 + i] = from[i * ldf + j], j < columns.
/// @pre to has round_up(columns, 8) * 16 elements; rows of `from` have round_up(columns, 8)
template <class T>
void transpose_16(const T* from, std::size_t ldf, std::size_t columns, T* to) {
  static_assert(sizeof(T) == 4, "sparq: sums have four bytes");
#if SPARQ_HAS_AVX2
  for (std::size_t j = 0; j < columns; j += 8)
    for (std::size_t i = 0; i < 16; i += 8) {
      const float* rows[8];
      for (std::size_t r = 0; r < 8; ++r) rows[r] = reinterpret_cast<const float*>(from + (i + r) * ldf + j);
      transpose_8x8(rows, reinterpret_cast<float*>(to + j * 16 + i), 16);
    }
#else
  for (std::size_t j = 0; j < columns; ++j)
    for (std::size_t i = 0; i < 16; ++i) to[j * 16 + i] = from[i * ldf + j];
#endif
}

/// Columns of 16 x 16 elements that lie together become rows of `to`, `ldt` elements apart: rows x columns are written.
template <class T>
void store_transposed(const T* from, std::size_t rows, std::size_t columns, T* to, std::size_t ldt) {
#if SPARQ_HAS_AVX2
  if (rows == 16 && columns == 16) {
    if constexpr (sizeof(T) == 1) {
      const std::uint8_t* bytes[16];
      for (std::size_t r = 0; r < 16; ++r) bytes[r] = reinterpret_cast<const std::uint8_t*>(from + 16 * r);
      for_transposed_bytes(bytes, 16, [&](std::size_t j, __m256i two) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + j * ldt), _mm256_castsi256_si128(two));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + (j + 1) * ldt), _mm256_extracti128_si256(two, 1));
      });
      return;
    } else if constexpr (sizeof(T) == 4) {
      for (std::size_t i = 0; i < 16; i += 8)
        for (std::size_t j = 0; j < 16; j += 8) {
          const float* tile[8];
          for (std::size_t r = 0; r < 8; ++r) tile[r] = reinterpret_cast<const float*>(from + (i + r) * 16 + j);
          transpose_8x8(tile, reinterpret_cast<float*>(to + j * ldt + i), ldt);
        }
      return;
    }
  }
#endif
  for (std::size_t j = 0; j < columns; ++j)
    for (std::size_t i = 0; i < rows; ++i) to[j * ldt + i] = from[i * 16 + j];
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/x86_avx2_bit_tables.hpp ====
// Bits counted by tables of X: for every 4 k's of two rows of X a register of sixteen bytes says what each nibble of W adds
// to the sums of both, the first row's count in the low four bits, the second row's above. One vpshufb looks up 4 k's of two
// rows and 32 channels, and one addition sums them; the two counts part when three lookups are added.
//
//   for each field:                                            // as many lookups as four bits can count
//     for each pair of rows:  v = lookup + lookup + lookup     // bytes: low + 16 high, both at most 12
//                             all += v  (64 bits)              high += v >> 4 & 15
//   row 0: all - (high << 4), where no byte borrows            row 1: high
//
// With x = 1 - 2 b, where b is the bit of x, the counts of 4 k's are
//
//   binary    count(p0 ^ b)                                                sum w x = K       - 2 counts
//   ternary   count(1 & b), count(-1 & ~b): a lookup each                  sum w x = sum |w| - 2 counts
//   s2        count(p0 & b), 8 - 2 count(p1 & b)                           sum w x = sum w   - 2 (counts - 8 each)
//   u2        count(p0 & b), 2 count(p1 & b)                               sum w x = sum w   - 2 counts

#if SPARQ_HAS_AVX2

#include <immintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// What one lookup counts, and how many of them a field of four bits holds.
template <integer_numeric W>
struct bit_counts {
  static constexpr std::size_t planes = static_cast<std::size_t>(W::bits);
  static constexpr bool is_sign = planes == 2 && is_sign_v<W>;
  static constexpr std::size_t field_lookups = planes == 1 || is_sign ? 3 : 2;
  static constexpr std::int32_t offset = planes == 2 && !is_sign && W::is_signed ? 8 : 0;  // of 4 k's
  /// Fields whose counts, of up to 12, fit into a byte.
  static constexpr std::size_t part_fields = 21;
  /// Of 32 k's.
  static constexpr std::size_t word_lookups = 8 * planes;
};

/// A table for every two nibbles of X, that of the first row in the low four bits of the index, and every plane.
template <integer_numeric W>
struct bit_tables {
  std::uint8_t entries[bit_counts<W>::planes][256][16];

  constexpr bit_tables() : entries{} {
    for (unsigned plane = 0; plane < bit_counts<W>::planes; ++plane)
      for (unsigned x = 0; x < 256; ++x)
        for (unsigned w = 0; w < 16; ++w)
          entries[plane][x][w] = static_cast<std::uint8_t>(count(plane, x & 15, w) | count(plane, x >> 4, w) << 4);
  }

 private:
  static constexpr int count(unsigned plane, unsigned x, unsigned w) {
    using counts = bit_counts<W>;
    if (counts::planes == 1) return std::popcount(w ^ x);
    if (plane == 0) return std::popcount(w & x);
    if (counts::is_sign) return std::popcount(w & ~x);
    return counts::offset + (W::is_signed ? -2 : 2) * std::popcount(w & x);
  }
};
template <integer_numeric W>
alignas(64) inline constexpr bit_tables<W> bit_tables_of{};

/// The tables of P pairs of rows, 16 bytes for each 4 k's, plane and pair, in this order.
/// - `rows`: 2 P of them, `stride` apart, `bytes` long
template <integer_numeric W, std::size_t P>
void make_bit_tables(const eight_bits* rows, std::size_t stride, std::size_t bytes, std::uint8_t* out) noexcept {
  for (std::size_t i = 0; i < bytes; ++i) {
    unsigned x[2][P];
    SPARQ_UNROLL for (std::size_t p = 0; p < P; ++p) {
      const auto a = static_cast<unsigned>(rows[2 * p * stride + i]), b = static_cast<unsigned>(rows[(2 * p + 1) * stride + i]);
      x[0][p] = (a & 15) | (b & 15) << 4;
      x[1][p] = a >> 4 | (b & 0xf0);
    }
    SPARQ_UNROLL for (std::size_t half = 0; half < 2; ++half) {
      SPARQ_UNROLL for (std::size_t plane = 0; plane < bit_counts<W>::planes; ++plane) {
        SPARQ_UNROLL for (std::size_t p = 0; p < P; ++p, out += 16)
          _mm_store_si128(reinterpret_cast<__m128i*>(out),
                          _mm_load_si128(reinterpret_cast<const __m128i*>(bit_tables_of<W>.entries[plane][x[half][p]])));
      }
    }
  }
}

/// One word of 32 channels as nibbles: 32 bytes for each 4 k's and plane. Bytes lie as split_counts takes them apart:
/// channels 0-7, 16-23, 8-15, 24-31.
/// - `low`, `high`: the words of channels 0-15 and 16-31, their planes one behind the other
template <integer_numeric W>
SPARQ_INLINE void split_bit_word(const std::uint32_t* low, const std::uint32_t* high, std::uint8_t* out) {
  constexpr std::size_t planes = bit_counts<W>::planes;
  const auto pair = [](const std::uint32_t* a, const std::uint32_t* b) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a))),
                                   _mm_loadu_si128(reinterpret_cast<const __m128i*>(b)), 1);
  };
  const __m256i by_byte = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const __m256i mask = _mm256_set1_epi8(15);
  __m256i words[planes][4];
  SPARQ_UNROLL for (std::size_t q = 0; q < planes; ++q) {
    const std::uint32_t *from = low + q * plane_words, *rest = high + q * plane_words;
    words[q][0] = pair(from, from + 8);
    words[q][1] = pair(from + 4, from + 12);
    words[q][2] = pair(rest, rest + 8);
    words[q][3] = pair(rest + 4, rest + 12);
  }
  if constexpr (bit_counts<W>::is_sign) {
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {  // "not zero", "negative" become 1 and -1
      const __m256i some = words[0][i], negative = words[1][i];
      words[0][i] = _mm256_andnot_si256(negative, some);
      words[1][i] = _mm256_and_si256(negative, some);
    }
  }
  SPARQ_UNROLL for (std::size_t q = 0; q < planes; ++q) {
    __m256i w[4];
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) w[i] = _mm256_shuffle_epi8(words[q][i], by_byte);
    const __m256i a = _mm256_unpacklo_epi32(w[0], w[1]), b = _mm256_unpackhi_epi32(w[0], w[1]);
    const __m256i c = _mm256_unpacklo_epi32(w[2], w[3]), d = _mm256_unpackhi_epi32(w[2], w[3]);
    const __m256i bytes[4] = {_mm256_unpacklo_epi64(a, c), _mm256_unpackhi_epi64(a, c), _mm256_unpacklo_epi64(b, d),
                              _mm256_unpackhi_epi64(b, d)};
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) {
      auto* to = reinterpret_cast<__m256i*>(out + (2 * i * planes + q) * 32);
      _mm256_storeu_si256(to, _mm256_and_si256(bytes[i], mask));
      _mm256_storeu_si256(to + planes, _mm256_and_si256(_mm256_srli_epi16(bytes[i], 4), mask));
    }
  }
}

/// a += b, in the register that a is in: gcc adds elsewhere and moves.
SPARQ_INLINE void add_bytes_in_place(__m256i& a, __m256i b) {
#if defined(__GNUC__)
  __asm__("vpaddb %1, %0, %0" : "+x"(a) : "x"(b));
#else
  a = _mm256_add_epi8(a, b);
#endif
}

/// Counts of 2 P rows and 32 channels, in 16 bits.
/// - `tables`: of P pairs for each lookup
/// - `fields`: at most bit_counts::part_fields
/// - `sums`: 2 P rows, `ldt` apart; set, or added to unless `first`
template <std::size_t FieldLookups, std::size_t P>
void count_by_tables(const std::uint8_t* tables, const std::uint8_t* nibbles, std::size_t fields, bool first,
                     std::uint16_t* sums, std::size_t ldt) noexcept {
  const __m256i mask = _mm256_set1_epi8(15);
  __m256i all[P], high[P];
  SPARQ_UNROLL for (std::size_t p = 0; p < P; ++p) all[p] = high[p] = _mm256_setzero_si256();
  SPARQ_KEEP_LOOP for (std::size_t f = 0; f < fields; ++f) {
    __m256i w[FieldLookups];
    SPARQ_UNROLL for (std::size_t i = 0; i < FieldLookups; ++i) {
      w[i] = _mm256_load_si256(reinterpret_cast<const __m256i*>(nibbles + 32 * i));
      SPARQ_KEEP_ORDER(w[i]);  // a register: loads are the limit
    }
    SPARQ_UNROLL for (std::size_t p = 0; p < P; ++p) {
      const auto looked_up = [&](std::size_t i) SPARQ_LAMBDA_INLINE {
        const auto* at = reinterpret_cast<const __m128i*>(tables + 16 * (i * P + p));
        return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_load_si128(at)), w[i]);
      };
      __m256i field = looked_up(0);
      SPARQ_UNROLL for (std::size_t i = 1; i < FieldLookups; ++i) field = _mm256_add_epi8(field, looked_up(i));
      all[p] = _mm256_add_epi64(all[p], field);
      add_bytes_in_place(high[p], _mm256_and_si256(_mm256_srli_epi16(field, 4), mask));
    }
    nibbles += 32 * FieldLookups;
    tables += 16 * FieldLookups * P;
  }
  const auto store = [&](std::uint16_t* row, __m256i bytes) SPARQ_LAMBDA_INLINE {
    auto* to = reinterpret_cast<__m256i*>(row);
    __m256i low = _mm256_unpacklo_epi8(bytes, _mm256_setzero_si256());
    __m256i rest = _mm256_unpackhi_epi8(bytes, _mm256_setzero_si256());
    if (!first) {
      low = _mm256_add_epi16(low, _mm256_load_si256(to));
      rest = _mm256_add_epi16(rest, _mm256_load_si256(to + 1));
    }
    _mm256_store_si256(to, low);
    _mm256_store_si256(to + 1, rest);
  };
  SPARQ_UNROLL for (std::size_t p = 0; p < P; ++p) {
    store(sums + 2 * p * ldt, _mm256_sub_epi64(all[p], _mm256_slli_epi64(high[p], 4)));
    store(sums + (2 * p + 1) * ldt, high[p]);
  }
}

/// -2 times sixteen counts, plus `offset`.
SPARQ_INLINE void sums_of_counts(const std::uint16_t* counts, std::int32_t offset, std::int32_t* sums) {
  SPARQ_UNROLL for (std::size_t i = 0; i < 16; i += 8) {
    const __m256i c = _mm256_cvtepu16_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(counts + i)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + i), _mm256_sub_epi32(_mm256_set1_epi32(offset), _mm256_slli_epi32(c, 1)));
  }
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2

// ==== sparq/simd/x86_avx2_columns.hpp ====
// Atoms of the columns loop for AVX2. Bytes of X are widened to 16 bits when a block is packed; two k's are interleaved
// and multiplied by vpmaddwd, exact for every input.

#if SPARQ_HAS_AVX2

#include <immintrin.h>

#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes as two vpmaddwd.
template <integer_numeric X, integer_numeric W>
struct columns4_avx2 {
  static constexpr std::string_view name =
      X::is_signed ? (W::is_signed ? "columns4_s8s8_avx2" : "columns4_s8u8_avx2")
                   : (W::is_signed ? "columns4_u8s8_avx2" : "columns4_u8u8_avx2");
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 8, registers = 2, group_k = 4;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = std::int16_t;
  using weight = std::int16_t;
  template <numeric N>
  static constexpr bool in_place = false;
  using acc = __m256i;
  /// Pairs of k's, interleaved: [pair][register].
  template <std::size_t V>
  struct x_group {
    __m256i pair[2][V];
  };

  /// Interleaving takes elements 0..3 and 8..11 of two k's first: there lie the rows 0..7.
  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    const std::uint8_t* order[16];
    for (std::size_t r = 0; r < 16; ++r)
      order[r] = reinterpret_cast<const std::uint8_t*>(rows[r / 4 % 2 == r / 8 ? r : r ^ 12]);
    machine::for_transposed_bytes(order, k, [&](std::size_t at, __m256i two) {
      store(block + at * 16, widen(_mm256_castsi256_si128(two)));
      if (at + 1 < k) store(block + (at + 1) * 16, widen(_mm256_extracti128_si256(two, 1)));
    });
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    for (std::size_t i = 0; i < k; ++i, x += stride, block += 16) {
      x_code rest[16] = {};
      const x_code* from = x;
      if (count < 16) {
        std::memcpy(rest, x, count);
        from = rest;
      }
      store(block, _mm256_permute4x64_epi64(widen(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))), 0xd8));
    }
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    x_group<V> x;
    SPARQ_UNROLL for (std::size_t p = 0; p < 2; ++p) {
      const __m256i a = at(block, k[2 * p]);
      const __m256i b = at(block, k[2 * p + 1]);
      x.pair[p][0] = _mm256_unpacklo_epi16(a, b);
      if constexpr (V == 2) x.pair[p][1] = _mm256_unpackhi_epi16(a, b);
    }
    return x;
  }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_si256(); }
  template <std::size_t V>
  static SPARQ_INLINE void add(acc (&sums)[V], const weight* w, const x_group<V>& x) {
    SPARQ_UNROLL for (std::size_t p = 0; p < 2; ++p) {
      std::int32_t pair;
      std::memcpy(&pair, w + 2 * p, sizeof pair);
      const __m256i broadcast = _mm256_set1_epi32(pair);
      SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) {
        sums[v] = _mm256_add_epi32(sums[v], _mm256_madd_epi16(x.pair[p][v], broadcast));
        SPARQ_KEEP_ORDER(sums[v]);
      }
    }
  }
  static SPARQ_INLINE acc load_sums(const acc_type* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static SPARQ_INLINE void store_sums(acc_type* p, acc sums) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), sums);
  }

 private:
  static SPARQ_INLINE __m256i widen(__m128i bytes) {
    return X::is_signed ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
  }
  static SPARQ_INLINE __m256i at(const packed_x* block, std::size_t k) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(block + k * 16));
  }
  static SPARQ_INLINE void store(packed_x* p, __m256i v) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }
};

/// One fused multiply-add. Narrow floats become f32 on the way: X when a block is packed, W when a chunk is decoded.
template <numeric X, numeric W>
struct columns1_avx2 {
  static constexpr std::string_view name =
      machine::joined_name<machine::columns1_name, X::name, W::name, machine::avx2_name>::text;
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = float;
  static constexpr std::size_t lanes = 8, registers = 2, group_k = 1;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = float;
  using weight = float;
  template <numeric N>
  static constexpr bool in_place = N::bits == 32;
  using acc = __m256;
  template <std::size_t V>
  struct x_group {
    __m256 rows[V];
  };

  static void pack_rows(const x_code* const* rows, std::size_t k, float* block) {
    machine::pack_float_rows<lanes * registers>(rows, k, block);
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, float* block) {
    machine::pack_float_columns<lanes * registers>(x, stride, k, count, block);
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const float* block, const std::uint16_t* k) {
    x_group<V> x;
    const float* at = block + std::size_t{*k} * (lanes * registers);
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) x.rows[v] = _mm256_load_ps(at + v * lanes);
    return x;
  }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_ps(); }
  template <std::size_t V>
  static SPARQ_INLINE void add(acc (&sums)[V], const float* w, const x_group<V>& x) {
    const __m256 broadcast = _mm256_broadcast_ss(w);
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) sums[v] = _mm256_fmadd_ps(x.rows[v], broadcast, sums[v]);
  }
  static SPARQ_INLINE acc load_sums(const float* p) { return _mm256_loadu_ps(p); }
  static SPARQ_INLINE void store_sums(float* p, acc sums) { _mm256_storeu_ps(p, sums); }
};

using columns1_f32f32_avx2 = columns1_avx2<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2

// ==== sparq/simd/x86_avx2_gather.hpp ====
// Atoms of the columns loop for few rows of X, on AVX2. A group has four k's: 64 bits of X, widened to 16 bits a k. A
// register has room for four groups of codes: of the channels of a step, or of several turns where those are fewer.
//
//   sets of one channel    x [g0 g1 g2 g3]      four groups of the list
//   sets of two            x [g0 g0 g1 g1]      two groups
//   larger sets            x [g0 g0 g0 g0]      one group; of three channels, the last quarter counts for nothing

#if SPARQ_HAS_AVX2

#include <immintrin.h>

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes as two vpmaddwd.
template <integer_numeric X, integer_numeric W>
struct gather4_avx2 {
  static constexpr std::string_view name =
      X::is_signed ? (W::is_signed ? "gather4_s8s8_avx2" : "gather4_s8u8_avx2")
                   : (W::is_signed ? "gather4_u8s8_avx2" : "gather4_u8u8_avx2");
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t group_k = 4;
  using packed_x = std::int16_t;
  using weight = typename W::code;
  template <numeric N>
  static constexpr bool in_place = N::bits == 8;

  static void pack_row(const x_code* x, std::size_t k, packed_x* out) {
    for (std::size_t i = 0; i < k; ++i) out[i] = x[i];
  }

  template <std::size_t Sets, std::size_t Members>
  class step_sums {
   public:
    SPARQ_INLINE void add(std::size_t groups, const packed_x* x, const std::uint16_t* list, const weight* w) {
      std::size_t g = 0;
      SPARQ_KEEP_LOOP for (; g + turns <= groups; g += turns, list += 4 * turns * Sets, w += 4 * turns * total) {
        if constexpr (Members == 1)
          add_products(_mm256_set_m128i(two_groups(x, list + 8), two_groups(x, list)), w);
        else if constexpr (Members == 2)
          add_products(_mm256_permute4x64_epi64(_mm256_castsi128_si256(two_groups(x, list)), 0x50), w);
        else
          add_products(_mm256_broadcastq_epi64(one_group(x, list)), w);
      }
      if constexpr (turns > 1)
        for (; g < groups; ++g, list += 4 * Sets, w += 4 * total) {
          const __m128i codes = _mm256_castsi256_si128(widen(total == 1 ? load_word(w) : load_words(w)));
          __m128i xs = Sets == 2 ? two_groups(x, list) : one_group(x, list);
          if constexpr (Members == 2) xs = _mm_unpacklo_epi64(xs, xs);
          sums_ = _mm256_add_epi32(sums_, _mm256_zextsi128_si256(_mm_madd_epi16(xs, codes)));
        }
    }
    std::int32_t channel(std::size_t i) const {
      alignas(32) std::int32_t lanes[8];
      _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sums_);
      std::int32_t sum = 0;
      for (std::size_t block = i; block < used; block += total) sum += lanes[2 * block] + lanes[2 * block + 1];
      return sum;
    }

   private:
    static constexpr std::size_t total = Sets * Members;
    static constexpr std::size_t turns = 4 / total;
    static constexpr std::size_t used = turns * total;

    SPARQ_INLINE void add_products(__m256i groups, const weight* w) {
      // twelve codes of a step of three channels may be the last ones in memory
      const __m128i codes = total == 3 ? _mm_insert_epi32(load_words(w), word_at(w + 8), 2)
                                       : _mm_loadu_si128(reinterpret_cast<const __m128i*>(w));
      sums_ = _mm256_add_epi32(sums_, _mm256_madd_epi16(groups, widen(codes)));
    }
    static SPARQ_INLINE __m256i widen(__m128i codes) {
      return W::is_signed ? _mm256_cvtepi8_epi16(codes) : _mm256_cvtepu8_epi16(codes);
    }
    static SPARQ_INLINE std::int32_t word_at(const weight* w) {
      std::int32_t word;
      std::memcpy(&word, w, sizeof word);
      return word;
    }
    static SPARQ_INLINE __m128i load_word(const weight* w) { return _mm_cvtsi32_si128(word_at(w)); }
    static SPARQ_INLINE __m128i load_words(const weight* w) {
      return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(w));
    }
    static SPARQ_INLINE __m128i one_group(const packed_x* x, const std::uint16_t* k) {
      __m128i group = _mm_cvtsi32_si128(static_cast<std::uint16_t>(x[k[0]]));
      group = _mm_insert_epi16(group, x[k[1]], 1);
      group = _mm_insert_epi16(group, x[k[2]], 2);
      return _mm_insert_epi16(group, x[k[3]], 3);
    }
    static SPARQ_INLINE __m128i two_groups(const packed_x* x, const std::uint16_t* k) {
      return _mm_unpacklo_epi64(one_group(x, k), one_group(x, k + 4));
    }

    __m256i sums_ = _mm256_setzero_si256();
  };
};

/// Fused multiply-adds of floats; groups of one k. Narrow floats become f32 on the way.
template <numeric X, numeric W>
struct gather1_avx2 {
  static constexpr std::string_view name =
      machine::joined_name<machine::gather1_name, X::name, W::name, machine::avx2_name>::text;
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = float;
  static constexpr std::size_t group_k = 1;
  using packed_x = float;
  using weight = float;
  template <numeric N>
  static constexpr bool in_place = N::bits == 32;

  static void pack_row(const x_code* x, std::size_t k, float* out) { machine::widen_floats(x, k, out); }

  template <std::size_t Sets, std::size_t Members>
  class step_sums {
   public:
    SPARQ_INLINE void add(std::size_t groups, const float* x, const std::uint16_t* k, const float* w) {
      std::size_t g = 0;
      SPARQ_KEEP_LOOP for (; g + turns <= groups; g += turns, k += turns * Sets, w += turns * total) {
        if constexpr (Members == 1)
          add_products(_mm_setr_ps(x[k[0]], x[k[1]], x[k[2]], x[k[3]]), _mm_loadu_ps(w));
        else if constexpr (Members == 2)
          add_products(_mm_setr_ps(x[k[0]], x[k[0]], x[k[1]], x[k[1]]), _mm_loadu_ps(w));
        else if constexpr (Members == 3)
          add_products(_mm_set1_ps(x[k[0]]), _mm_setr_ps(w[0], w[1], w[2], 0.0F));
        else
          add_products(_mm_set1_ps(x[k[0]]), _mm_loadu_ps(w));
      }
      if constexpr (turns > 1)
        for (; g < groups; ++g, k += Sets, w += total) {  // the other lanes add 0 * 0
          if constexpr (total == 1)
            add_products(_mm_set_ss(x[k[0]]), _mm_set_ss(w[0]));
          else
            add_products(_mm_setr_ps(x[k[0]], x[k[Sets - 1]], 0.0F, 0.0F), _mm_setr_ps(w[0], w[1], 0.0F, 0.0F));
        }
    }
    float channel(std::size_t i) const {
      alignas(16) float lanes[4];
      _mm_store_ps(lanes, sums_);
      float sum = lanes[i];
      for (std::size_t lane = i + total; lane < used; lane += total) sum += lanes[lane];
      return sum;
    }

   private:
    static constexpr std::size_t total = Sets * Members;
    static constexpr std::size_t turns = 4 / total;
    static constexpr std::size_t used = turns * total;

    SPARQ_INLINE void add_products(__m128 xs, __m128 ws) { sums_ = _mm_fmadd_ps(xs, ws, sums_); }

    __m128 sums_ = _mm_setzero_ps();
  };
};

using gather1_f32f32_avx2 = gather1_avx2<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2

// ==== sparq/simd/x86_avx2_look_up.hpp ====
// Lookups in tables of at most sixteen entries by vpshufb, for kernel/look_up.hpp: the tables of two channels lie in one
// register, and codes come sixteen for each of them.

#if SPARQ_HAS_AVX2

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The tables of two channels, one in each half of a register: byte j of every entry in plane j, for vpshufb.
template <class N>
class table_pair {
 public:
  using entry = typename N::entry::code;
  static constexpr std::size_t planes = sizeof(entry);

  table_pair(const entry* low, const entry* high) {
    __m128i of_low[planes], of_high[planes];
    split(low, of_low);
    split(high, of_high);
    for (std::size_t j = 0; j < planes; ++j) plane_[j] = _mm256_set_m128i(of_high[j], of_low[j]);
  }
  /// One channel's, in both halves.
  explicit table_pair(const entry* both) {
    __m128i of_both[planes];
    split(both, of_both);
    for (std::size_t j = 0; j < planes; ++j) plane_[j] = _mm256_broadcastsi128_si256(of_both[j]);
  }

  /// Entries of sixteen codes for each half, four bytes of them in words[0], the next in words[1], ...
  SPARQ_INLINE void look_up(__m256i codes, __m256i (&words)[planes]) const {
    if constexpr (planes == 1) {
      words[0] = _mm256_shuffle_epi8(plane_[0], codes);
    } else {
      const __m256i a = _mm256_shuffle_epi8(plane_[0], codes), b = _mm256_shuffle_epi8(plane_[1], codes);
      const __m256i c = _mm256_shuffle_epi8(plane_[2], codes), d = _mm256_shuffle_epi8(plane_[3], codes);
      const __m256i ab[2] = {_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b)};
      const __m256i cd[2] = {_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d)};
      SPARQ_UNROLL for (std::size_t i = 0; i < 2; ++i) {
        words[2 * i] = _mm256_unpacklo_epi16(ab[i], cd[i]);
        words[2 * i + 1] = _mm256_unpackhi_epi16(ab[i], cd[i]);
      }
    }
  }

 private:
  static void split(const entry* table, __m128i (&out)[planes]) {
    static_assert(planes == 1 || planes == 4, "sparq: entries of a codebook are bytes or floats");
    alignas(16) entry entries[16] = {};
    std::memcpy(entries, table, N::entries * sizeof(entry));
    const auto* from = reinterpret_cast<const __m128i*>(entries);
    if constexpr (planes == 1) {
      out[0] = _mm_load_si128(from);
    } else {
      const __m128i by_byte = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
      __m128i w[4];
      SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i) w[i] = _mm_shuffle_epi8(_mm_load_si128(from + i), by_byte);
      const __m128i a = _mm_unpacklo_epi32(w[0], w[1]), b = _mm_unpackhi_epi32(w[0], w[1]);
      const __m128i c = _mm_unpacklo_epi32(w[2], w[3]), d = _mm_unpackhi_epi32(w[2], w[3]);
      out[0] = _mm_unpacklo_epi64(a, c);
      out[1] = _mm_unpackhi_epi64(a, c);
      out[2] = _mm_unpacklo_epi64(b, d);
      out[3] = _mm_unpackhi_epi64(b, d);
    }
  }

  __m256i plane_[planes];
};

/// Sixteen codes from each of two rows; `part` 0 or 1: which half of the chunk.
/// - `Bits`: of a packed code, 2 or 4
template <class N, int Bits>
SPARQ_INLINE __m256i load_codes(const std::uint8_t* low, const std::uint8_t* high, int part) {
  __m256i both;
  if constexpr (Bits == 4) {
    both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low))),
                                   _mm_loadu_si128(reinterpret_cast<const __m128i*>(high)), 1);
    both = _mm256_srl_epi16(both, _mm_cvtsi32_si128(4 * part));
  } else {
    long long a, b;
    std::memcpy(&a, low, sizeof a);
    std::memcpy(&b, high, sizeof b);
    const __m256i shifts = part == 0 ? _mm256_setr_epi64x(0, 2, 0, 2) : _mm256_setr_epi64x(4, 6, 4, 6);
    both = _mm256_srlv_epi64(_mm256_setr_epi64x(a, a, b, b), shifts);
  }
  return _mm256_and_si256(both, _mm256_set1_epi8(static_cast<char>(N::entries - 1)));
}

/// Four words of eight channels, from registers that hold four words of channels i and i + 4.
SPARQ_INLINE void transpose_words(const __m256i (&w)[4], __m256i (&words)[4]) {
  const __m256i a = _mm256_unpacklo_epi32(w[0], w[1]), b = _mm256_unpackhi_epi32(w[0], w[1]);
  const __m256i c = _mm256_unpacklo_epi32(w[2], w[3]), d = _mm256_unpackhi_epi32(w[2], w[3]);
  words[0] = _mm256_unpacklo_epi64(a, c);
  words[1] = _mm256_unpackhi_epi64(a, c);
  words[2] = _mm256_unpacklo_epi64(b, d);
  words[3] = _mm256_unpackhi_epi64(b, d);
}

/// Eight channels of a strip, each with a table and a row of codes in chunks of 32.
/// - `Bits`: of a packed code, 2 or 4
template <class N, int Bits>
class eight_tables {
  using pair = table_pair<N>;

 public:
  /// Groups of the rows loop, four bytes of each channel, that one register of codes holds.
  static constexpr std::size_t part_groups = 4 * pair::planes;

  eight_tables(const typename N::entry::code* const (&tables)[8], const std::uint8_t* const (&rows)[8])
      : pairs_{pair(tables[0], tables[4]), pair(tables[1], tables[5]), pair(tables[2], tables[6]), pair(tables[3], tables[7])} {
    for (std::size_t i = 0; i < 8; ++i) rows_[i] = rows[i];
  }

  /// The words of groups [g, g + part_groups), as far as there are so many, to out[group * stride]. @pre g % part_groups == 0
  SPARQ_INLINE void look_up_part(std::size_t g, std::size_t groups, std::size_t stride, std::uint32_t* out) const {
    const std::size_t at = g / (2 * part_groups) * 4 * Bits;
    const int part = static_cast<int>(g / part_groups % 2);
    __m256i words[4][pair::planes];
    SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i)
      pairs_[i].look_up(load_codes<N, Bits>(rows_[i] + at, rows_[i + 4] + at, part), words[i]);
    SPARQ_UNROLL for (std::size_t j = 0; j < pair::planes; ++j) {
      const __m256i four[4] = {words[0][j], words[1][j], words[2][j], words[3][j]};
      __m256i of_eight[4];
      transpose_words(four, of_eight);
      std::uint32_t* to = out + (g + 4 * j) * stride;
      if (g + part_groups <= groups) {
        SPARQ_UNROLL for (std::size_t i = 0; i < 4; ++i, to += stride) store(to, of_eight[i]);
      } else {
        for (std::size_t i = 0; i < 4 && g + 4 * j + i < groups; ++i, to += stride) store(to, of_eight[i]);
      }
    }
  }

 private:
  SPARQ_INLINE static void store(std::uint32_t* at, __m256i words) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), words); }

  pair pairs_[4];
  const std::uint8_t* rows_[8];
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2

// ==== sparq/simd/x86_avx2_narrow.hpp ====
// Atoms for narrow weights on AVX2. vpmaddubsw adds pairs of products in 16 bits and saturates, but not where |w| <= 64:
// one instruction multiplies 32 bytes then, twice what vpmaddwd does. Sums stay in 16 bits for as many groups as cannot
// overflow, eight of s4 or sixty-four of ternary, and are widened when the part is stored. The first operand is
// unsigned: a signed X is read with its top bit flipped, which is taken back with the sums of the weights.

#if SPARQ_HAS_AVX2

#include <immintrin.h>

#include <algorithm>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The largest magnitude of a code.
template <integer_numeric N>
inline constexpr std::int32_t magnitude_of = (std::max)(-N::min_code, N::max_code);

/// Groups whose pairs of products, each at most 2 * 255 * |w|, fit into 16 bits together.
template <integer_numeric N>
inline constexpr std::size_t narrow_groups = 32767 / (2 * 255 * static_cast<std::size_t>(magnitude_of<N>));

/// The part of a selector that makes controls of vpshufb from positions in a window, `Reach` k's in a chunk of X.
template <std::size_t Window, std::size_t Reach>
struct byte_controls {
  static constexpr std::size_t chunk = 16;  // elements
  static constexpr std::size_t chunks = (Window + Reach - 1) / Reach;
  static SPARQ_INLINE __m256i from_bytes(__m256i positions, std::size_t c) {
    if constexpr (chunks == 1) return positions;
    const __m256i in_chunk = _mm256_sub_epi8(positions, _mm256_set1_epi8(static_cast<char>(Reach * c)));
    return _mm256_or_si256(in_chunk, _mm256_cmpgt_epi8(in_chunk, _mm256_set1_epi8(Reach - 1)));  // a top bit gives 0
  }
  static SPARQ_INLINE __m256i make(const std::uint8_t* p, std::size_t, std::size_t c) {
    return from_bytes(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), c);
  }
  static SPARQ_INLINE __m256i make_shared(const std::uint8_t* p, std::size_t, std::size_t c) {
    std::int32_t word;
    std::memcpy(&word, p, sizeof word);
    return from_bytes(_mm256_set1_epi32(word), c);
  }
};

/// The side of X of atoms whose weights are narrow: bytes without sign, which a permute reaches sixteen of.
template <integer_numeric X>
struct bytes_of_x_avx2 {
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 8, group_k = 4, steps = 1, block_rows = 6;
  static constexpr bool rows_in_turn = true;  // 12 sums, 2 words, an x and its product
  static constexpr std::int32_t weight_sum_factor = X::is_signed ? -128 : 0;
  using packed_x = x_code;
  static constexpr bool in_place = !X::is_signed;
  using acc = __m256i;
  using w_word = __m256i;
  using x_word = __m256i;

  static void pack_row(const x_code* x, std::size_t k, bool, packed_x* out) {
    if constexpr (X::is_signed) {
      for (std::size_t i = 0; i < k; ++i) out[i] = static_cast<x_code>(x[i] ^ 0x80);
    } else {
      copy_elements(x, k, out);
    }
  }
  static SPARQ_INLINE acc zero() { return _mm256_setzero_si256(); }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    std::int32_t word;
    std::memcpy(&word, p, sizeof word);
    return _mm256_set1_epi32(word);
  }

  /// vpshufb reaches sixteen bytes, the same for both halves of the register; positions are its control as they are.
  template <std::size_t Window>
  struct selector : byte_controls<Window, 16> {
    using control = __m256i;
    static SPARQ_INLINE x_word select(const packed_x* x, control c) {
      const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
      return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(part), c);
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) { return _mm256_or_si256(a, b); }
  };
};

}  // namespace machine

/// Four products of bytes in one vpmaddubsw, exact for weights of 4 bits and fewer.
template <integer_numeric X, integer_numeric W>
struct dot4_narrow_avx2 : machine::bytes_of_x_avx2<X> {
  static_assert(W::bits <= 4, "sparq: this atom adds in 16 bits; take dot4_avx2 for wider weights");
  static constexpr std::string_view name = X::is_signed ? "dot4_s8narrow_avx2" : "dot4_u8narrow_avx2";
  static constexpr std::size_t max_groups = machine::narrow_groups<W>;
  using base = machine::bytes_of_x_avx2<X>;
  using typename base::acc;
  using typename base::acc_type;
  using typename base::w_word;
  using typename base::x_word;

  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    c = _mm256_add_epi16(c, _mm256_maddubs_epi16(x, w));
    SPARQ_KEEP_ORDER(c);
    return c;
  }
  /// The accumulator's sums of 16 bits, widened.
  static SPARQ_INLINE __m256i sums(acc c) { return _mm256_madd_epi16(c, _mm256_set1_epi16(1)); }
  static SPARQ_INLINE void store(acc_type* p, acc c) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), sums(c));
  }
  static SPARQ_INLINE void add(acc_type* p, acc c) {
    auto* to = reinterpret_cast<__m256i*>(p);
    _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), sums(c)));
  }

  template <integer_numeric N>
  struct loader {
    static constexpr std::size_t groups = 8 / static_cast<std::size_t>(N::bits);
    using raw = __m256i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
    }
    template <std::size_t Step>
    static SPARQ_INLINE w_word decode(raw r) {
      if constexpr (N::bits == 8) {  // unpacked already
        return r;
      } else if constexpr (!N::is_signed) {
        const __m256i shifted = Step == 0 ? r : _mm256_srli_epi16(r, static_cast<int>(Step) * N::bits);
        return _mm256_and_si256(shifted, _mm256_set1_epi8((1 << N::bits) - 1));
      } else {
        constexpr std::size_t per_nibble = 4 / static_cast<std::size_t>(N::bits);
        const __m256i shifted = Step < per_nibble ? r : _mm256_srli_epi16(r, static_cast<int>(Step / per_nibble) * 4);
        const __m256i nibble = _mm256_and_si256(shifted, _mm256_set1_epi8(15));
        return _mm256_shuffle_epi8(
            _mm256_load_si256(reinterpret_cast<const __m256i*>(table<Step % per_nibble>.codes)), nibble);
      }
    }

   private:
    /// What vpshufb makes of a nibble of the word: the code of one of the groups in it.
    struct alignas(32) nibble_table {
      std::int8_t codes[32];
    };
    template <std::size_t Place>
    static constexpr nibble_table table = [] {
      nibble_table result{};
      for (unsigned i = 0; i < 32; ++i)
        result.codes[i] = sparq::detail::code_of<N>(i >> (Place * static_cast<unsigned>(N::bits)) & ((1U << N::bits) - 1U));
      return result;
    }();
  };
};

/// Four products of bytes in one vpmaddubsw, exact for weights up to 64: a pair of products is at most 2 * 255 * 64. A
/// vpmaddwd with ones adds pairs in 32 bits.
template <integer_numeric X, integer_numeric W>
struct dot4_pairs_avx2 : machine::bytes_of_x_avx2<X> {
  static_assert(machine::narrow_groups<W> != 0, "sparq: pairs of products overflow 16 bits; take dot4_avx2");
  static constexpr std::string_view name = X::is_signed ? "dot4_s8pairs_avx2" : "dot4_u8pairs_avx2";
  using base = machine::bytes_of_x_avx2<X>;
  using typename base::acc;
  using typename base::acc_type;
  using typename base::w_word;
  using typename base::x_word;

  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    c = _mm256_add_epi32(c, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1)));
    SPARQ_KEEP_ORDER(c);
    return c;
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), c); }

  template <integer_numeric N>
  struct loader {
    static_assert(N::bits == 8, "sparq: this atom takes weights that fill bytes; narrower ones have dot4_narrow_avx2");
    static constexpr std::size_t groups = 1;
    using raw = __m256i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
    }
    template <std::size_t>
    static SPARQ_INLINE w_word decode(raw r) {
      return r;
    }
  };
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2

// ==== sparq/simd/x86_avx2_one_row.hpp ====
// The atom for one row of X and weights of 8 bits, AVX2. Weights are used once, so widening them costs more than the
// products. X, which every channel shares, is cut instead: into its lower and its upper four bits. Products of those with
// W never saturate vpmaddubsw, and sums stay in 16 bits for eight groups.
//
//   32 weights:  widened   3 shifts, 2 vpmaddwd, 2 additions                         7
//                cut       2 vpmaddubsw, 2 additions, and 4 more for eight groups    4.5

#if SPARQ_HAS_AVX2

#include <immintrin.h>

#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes as two vpmaddubsw with four bits of X each; exact for every input.
template <integer_numeric X, integer_numeric W>
struct dot4_cut_avx2 {
  static constexpr std::string_view name = X::is_signed ? (W::is_signed ? "dot4_s8s8cut_avx2" : "dot4_s8u8cut_avx2")
                                                        : (W::is_signed ? "dot4_u8s8cut_avx2" : "dot4_u8u8cut_avx2");
  static constexpr isa needs = feature::avx2;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 8, group_k = 4, group_x = 8, steps = 1, block_rows = 1;
  /// Pairs of products are at most 2 * 15 * |w|.
  static constexpr std::size_t max_groups = 32767 / (2 * 15 * static_cast<std::size_t>(machine::magnitude_of<W>));
  static constexpr std::int32_t weight_sum_factor = X::is_signed ? -128 : 0;
  using packed_x = std::uint8_t;  // of every four k's the lower halves, then the upper ones; of every eight to permute
  static constexpr std::string_view x_form = "cut into halves of a byte";
  static constexpr bool in_place = false;
  struct acc {
    __m256i low, high;
  };
  using w_word = __m256i;
  struct x_word {
    __m256i low, high;
  };

  /// A signed X gets its top bit flipped, which adds 128.
  static void pack_row(const x_code* x, std::size_t k, bool grouped, packed_x* out) {
    std::size_t i = 0;
    for (; i + 16 <= k; i += 16) cut(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i)), grouped, out + 2 * i);
    if (i < k) {
      x_code rest[16] = {};
      packed_x halves[32];
      std::memcpy(rest, x + i, k - i);
      cut(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rest)), grouped, halves);
      std::memcpy(out + 2 * i, halves, grouped ? (k - i + 3) / 4 * 8 : (k - i + 7) / 8 * 16);
    }
  }
  static SPARQ_INLINE acc zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static SPARQ_INLINE x_word broadcast(const packed_x* p) {
    std::int32_t low, high;
    std::memcpy(&low, p, sizeof low);
    std::memcpy(&high, p + 4, sizeof high);
    return {_mm256_set1_epi32(low), _mm256_set1_epi32(high)};
  }
  static SPARQ_INLINE acc dot(acc c, w_word w, x_word x) {
    c.low = _mm256_add_epi16(c.low, products(x.low, w));
    SPARQ_KEEP_ORDER(c.low);
    c.high = _mm256_add_epi16(c.high, products(x.high, w));
    SPARQ_KEEP_ORDER(c.high);
    return c;
  }
  /// The accumulator's sums of 16 bits, widened and joined.
  static SPARQ_INLINE __m256i sums(acc c) {
    return _mm256_add_epi32(_mm256_madd_epi16(c.low, _mm256_set1_epi16(1)),
                            _mm256_madd_epi16(c.high, _mm256_set1_epi16(16)));
  }
  static SPARQ_INLINE void store(acc_type* p, acc c) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), sums(c));
  }
  static SPARQ_INLINE void add(acc_type* p, acc c) {
    auto* to = reinterpret_cast<__m256i*>(p);
    _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), sums(c)));
  }

  template <integer_numeric N>
  struct loader {
    static_assert(N::bits == 8, "sparq: this atom takes weights of 8 bits; narrower ones have dot4_narrow_avx2");
    static constexpr std::size_t groups = 1;
    using raw = __m256i;
    static SPARQ_INLINE raw load(const std::uint32_t* words) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
    }
    template <std::size_t>
    static SPARQ_INLINE w_word decode(raw r) {
      return r;
    }
  };

  /// vpshufb reaches the halves of eight k's, two elements for each; positions are its control as they are.
  template <std::size_t Window>
  struct selector : machine::byte_controls<Window, 8> {
    using control = __m256i;
    static SPARQ_INLINE x_word select(const packed_x* x, control c) {
      return {_mm256_shuffle_epi8(half(x), c), _mm256_shuffle_epi8(half(x + 8), c)};
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) {
      return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
    }

   private:
    static SPARQ_INLINE __m256i half(const packed_x* x) {
      std::int64_t eight;
      std::memcpy(&eight, x, sizeof eight);
      return _mm256_set1_epi64x(eight);
    }
  };

 private:
  static SPARQ_INLINE __m256i products(__m256i x, __m256i w) {
    return W::is_signed ? _mm256_maddubs_epi16(x, w) : _mm256_maddubs_epi16(w, x);
  }
  static SPARQ_INLINE void cut(__m128i bytes, bool grouped, packed_x* out) {
    if constexpr (X::is_signed) bytes = _mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(0x80)));
    const __m128i low = _mm_and_si128(bytes, _mm_set1_epi8(15));
    const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
    const __m128i first = grouped ? _mm_unpacklo_epi32(low, high) : _mm_unpacklo_epi64(low, high);
    const __m128i second = grouped ? _mm_unpackhi_epi32(low, high) : _mm_unpackhi_epi64(low, high);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), first);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16), second);
  }
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2

// ==== sparq/simd/x86_avx2_quads.hpp ====
// The atom of the columns loop for runs of four k's, AVX2: pairs of k's are interleaved once, when a block is packed, and
// not for every panel.
//
//   block: [quad of k's][pair][register][row][2 k's of 16 bits]

#if SPARQ_HAS_AVX2

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes as two vpmaddwd; sums as in columns4_avx2.
template <integer_numeric X, integer_numeric W>
struct quads4_avx2 : columns4_avx2<X, W> {
  static constexpr std::string_view name =
      X::is_signed ? (W::is_signed ? "quads4_s8s8_avx2" : "quads4_s8u8_avx2")
                   : (W::is_signed ? "quads4_u8s8_avx2" : "quads4_u8u8_avx2");
  static constexpr std::size_t run = 4;
  using x_code = typename X::code;
  using packed_x = std::int16_t;
  template <std::size_t V>
  using x_group = typename columns4_avx2<X, W>::template x_group<V>;

  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    const std::uint8_t* bytes[16];
    for (std::size_t r = 0; r < 16; ++r) bytes[r] = reinterpret_cast<const std::uint8_t*>(rows[r]);
    machine::for_transposed_bytes(bytes, k, [&](std::size_t at, __m256i two) {
      store_pair(block + at * 16, _mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
    });
    fill(block, k);
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    const auto column = [&](std::size_t i) {
      if (i >= k) return _mm_setzero_si128();
      x_code rest[16] = {};
      const x_code* from = x + i * stride;
      if (count < 16) {
        std::memcpy(rest, from, count);
        from = rest;
      }
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    };
    for (std::size_t i = 0; i < k; i += 2) store_pair(block + i * 16, column(i), column(i + 1));
    fill(block, k);
  }
  /// X in quads: 4 k's of row r at x[quad * stride + 4 r], r < count.
  static void pack_quads(const x_code* x, std::size_t stride, std::size_t quads, std::size_t count, packed_x* block) {
    for (std::size_t q = 0; q < quads; ++q, x += stride, block += 64) {
      x_code rest[64] = {};
      const x_code* from = x;
      if (count < 16) {
        std::memcpy(rest, x, 4 * count);
        from = rest;
      }
      SPARQ_UNROLL for (std::size_t v = 0; v < 2; ++v) {
        const auto* rows = reinterpret_cast<const __m128i*>(from + 32 * v);
        const __m256 a = _mm256_castsi256_ps(widen(_mm_loadu_si128(rows)));      // rows 0..3, two pairs of each
        const __m256 b = _mm256_castsi256_ps(widen(_mm_loadu_si128(rows + 1)));  // rows 4..7
        store(block + 16 * v, _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)), 0xd8));
        store(block + 32 + 16 * v, _mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd)), 0xd8));
      }
    }
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    x_group<V> x;
    const packed_x* quad = block + std::size_t{*k} * 16;
    SPARQ_UNROLL for (std::size_t p = 0; p < 2; ++p) {
      SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v)
        x.pair[p][v] = _mm256_load_si256(reinterpret_cast<const __m256i*>(quad + p * 32 + v * 16));
    }
    return x;
  }

 private:
  static SPARQ_INLINE __m256i widen(__m128i bytes) {
    return X::is_signed ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
  }
  static SPARQ_INLINE void store(packed_x* p, __m256i v) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }
  static SPARQ_INLINE void store_pair(packed_x* to, __m128i a, __m128i b) {
    store(to, widen(_mm_unpacklo_epi8(a, b)));
    store(to + 16, widen(_mm_unpackhi_epi8(a, b)));
  }
  /// The second pair of a last quad of one or two k's.
  static void fill(packed_x* block, std::size_t k) {
    if (k % 4 == 1 || k % 4 == 2) std::memset(block + k / 4 * 64 + 32, 0, 64);
  }
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2

// ==== sparq/simd/x86_avx2_window.hpp ====
// The atom for windows of unstructured k's and weights of 8 bits, AVX2. X is cut into its lower and its upper four bits,
// as for one row (x86_avx2_one_row.hpp), but into two planes, so that a window may start anywhere.
//
//   32 weights of a window of 16:  2 vpshufb, 2 vpmaddubsw, 2 additions, and 4 more for eight groups
//                   of a window of 32:  2 more vpshufb, 2 OR; a control more, which all rows share

#if SPARQ_HAS_AVX2

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes that a permute of a window brings together; exact for every input.
template <integer_numeric X, integer_numeric W>
struct dot4_window_avx2 : dot4_cut_avx2<X, W> {
  using base = dot4_cut_avx2<X, W>;
  static constexpr std::string_view name = X::is_signed ? (W::is_signed ? "dot4_s8s8window_avx2" : "dot4_s8u8window_avx2")
                                                        : (W::is_signed ? "dot4_u8s8window_avx2" : "dot4_u8u8window_avx2");
  using typename base::packed_x;
  using typename base::x_code;
  using typename base::x_word;
  static constexpr std::size_t group_x = 4, block_rows = 2;
  static constexpr bool in_planes = true;

  /// Writes round_up(k, 16) elements of each plane, the upper halves `distance` behind the lower ones.
  static void pack_row(const x_code* x, std::size_t k, std::size_t distance, packed_x* out) {
    std::size_t i = 0;
    for (; i + 16 <= k; i += 16) cut(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i)), distance, out + i);
    if (i < k) {
      x_code rest[16] = {};
      std::memcpy(rest, x + i, k - i);
      cut(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rest)), distance, out + i);
    }
  }
  static x_word broadcast(const packed_x*) = delete;

  /// vpshufb reaches sixteen k's; a control with its top bit set gives 0.
  template <std::size_t Window>
  struct selector {
    static constexpr std::size_t chunk = 16;
    static constexpr std::size_t chunks = (Window + 15) / 16;
    using control = __m256i;
    static SPARQ_INLINE control make(const std::uint8_t* p, std::size_t, std::size_t c) {
      __m256i at = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
      if (c != 0) at = _mm256_sub_epi8(at, _mm256_set1_epi8(static_cast<char>(16 * c)));
      if (c + 1 != chunks) at = _mm256_adds_epu8(at, _mm256_set1_epi8(0x70));  // beyond the chunk: a top bit
      return at;
    }
    static SPARQ_INLINE x_word select(const packed_x* x, std::size_t distance, control c) {
      return {_mm256_shuffle_epi8(plane(x), c), _mm256_shuffle_epi8(plane(x + distance), c)};
    }
    static SPARQ_INLINE x_word combine(x_word a, x_word b) {
      return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
    }

   private:
    static SPARQ_INLINE __m256i plane(const packed_x* x) {
      return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x)));
    }
  };

 private:
  static SPARQ_INLINE void cut(__m128i bytes, std::size_t distance, packed_x* out) {
    if constexpr (X::is_signed) bytes = _mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(0x80)));
    const __m128i low = _mm_and_si128(bytes, _mm_set1_epi8(15));
    const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(15));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), low);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + distance), high);
  }
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2

// ==== sparq/simd/x86_avx512_columns.hpp ====
// Atoms of the columns loop for AVX-512: four k's of 64 rows are interleaved in registers, then vpdpbusd; and fused
// multiply-adds. Without VNNI, bytes are served by AVX2's atom.

#if SPARQ_HAS_AVX512

#include <immintrin.h>

#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

#if SPARQ_HAS_AVX512VNNI

/// Four products of bytes in one vpdpbusd; signs as in dot4_avx512vnni.
template <integer_numeric X, integer_numeric W>
struct columns4_avx512vnni {
  static constexpr std::string_view name =
      X::is_signed ? (W::is_signed ? "columns4_s8s8_avx512vnni" : "columns4_s8u8_avx512vnni")
                   : (W::is_signed ? "columns4_u8s8_avx512vnni" : "columns4_u8u8_avx512vnni");
  static constexpr isa needs = feature::avx2 | feature::avx512 | isa(feature::avx512vnni);
  static constexpr bool flips = X::is_signed == W::is_signed;
  using x_code = typename X::code;
  using acc_type = std::int32_t;
  static constexpr std::size_t lanes = 16, registers = 4, group_k = 4;
  static constexpr std::int32_t weight_sum_factor = !flips ? 0 : X::is_signed ? -128 : 128;
  using packed_x = std::uint8_t;
  using weight = typename W::code;
  template <numeric N>
  static constexpr bool in_place = N::bits == 8;
  using acc = __m512i;
  /// Quads of k's, interleaved.
  template <std::size_t V>
  struct x_group {
    __m512i quad[V];
  };

  /// Interleaving makes register j of the elements 16 g + 4 j + i (g, i < 4): there lies row 16 j + 4 g + i.
  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    for (std::size_t g = 0; g < 4; ++g) {
      const std::uint8_t* order[16];
      for (std::size_t r = 0; r < 16; ++r)
        order[r] = reinterpret_cast<const std::uint8_t*>(rows[16 * (r / 4) + 4 * g + r % 4]);
      machine::for_transposed_bytes(order, k, [&](std::size_t at, __m256i two) {
        two = _mm256_xor_si256(two, _mm256_set1_epi8(flips ? static_cast<char>(0x80) : 0));
        auto* to = reinterpret_cast<__m128i*>(block + at * 64 + 16 * g);
        _mm_storeu_si128(to, _mm256_castsi256_si128(two));
        if (at + 1 < k) _mm_storeu_si128(to + 4, _mm256_extracti128_si256(two, 1));
      });
    }
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i top = _mm512_set1_epi8(flips ? static_cast<char>(0x80) : 0);
    for (std::size_t i = 0; i < k; ++i, x += stride, block += 64) {
      x_code rest[64] = {};
      const x_code* from = x;
      if (count < 64) {
        std::memcpy(rest, x, count);
        from = rest;
      }
      const __m512i row = _mm512_xor_si512(_mm512_loadu_si512(from), top);
      _mm512_storeu_si512(block, _mm512_permutexvar_epi32(order, row));
    }
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    const auto at = [&](std::size_t i) { return _mm512_loadu_si512(block + std::size_t{k[i]} * 64); };
    const __m512i a = at(0), b = at(1), c = at(2), d = at(3);
    const __m512i ab = _mm512_unpacklo_epi8(a, b);
    const __m512i cd = _mm512_unpacklo_epi8(c, d);
    x_group<V> x;
    x.quad[0] = _mm512_unpacklo_epi16(ab, cd);
    if constexpr (V > 1) x.quad[1] = _mm512_unpackhi_epi16(ab, cd);
    if constexpr (V > 2) {
      const __m512i high_ab = _mm512_unpackhi_epi8(a, b);
      const __m512i high_cd = _mm512_unpackhi_epi8(c, d);
      x.quad[2] = _mm512_unpacklo_epi16(high_ab, high_cd);
      x.quad[3] = _mm512_unpackhi_epi16(high_ab, high_cd);
    }
    return x;
  }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_si512(); }
  template <std::size_t V>
  static SPARQ_INLINE void add(acc (&sums)[V], const weight* w, const x_group<V>& x) {
    std::int32_t quad;
    std::memcpy(&quad, w, sizeof quad);
    const __m512i broadcast = _mm512_set1_epi32(quad);
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v)
      sums[v] = W::is_signed ? _mm512_dpbusd_epi32(sums[v], x.quad[v], broadcast)
                             : _mm512_dpbusd_epi32(sums[v], broadcast, x.quad[v]);
  }
  static SPARQ_INLINE acc load_sums(const acc_type* p) { return _mm512_loadu_si512(p); }
  static SPARQ_INLINE void store_sums(acc_type* p, acc sums) { _mm512_storeu_si512(p, sums); }
};

#endif  // SPARQ_HAS_AVX512VNNI

/// One fused multiply-add. Narrow floats become f32 on the way: X when a block is packed, W when a chunk is decoded.
template <numeric X, numeric W>
struct columns1_avx512 {
  static constexpr std::string_view name =
      machine::joined_name<machine::columns1_name, X::name, W::name, machine::avx512_name>::text;
  static constexpr isa needs = feature::avx2 | feature::avx512;
  using x_code = typename X::code;
  using acc_type = float;
  static constexpr std::size_t lanes = 16, registers = 4, group_k = 1;
  static constexpr std::int32_t weight_sum_factor = 0;
  using packed_x = float;
  using weight = float;
  template <numeric N>
  static constexpr bool in_place = N::bits == 32;
  using acc = __m512;
  template <std::size_t V>
  struct x_group {
    __m512 rows[V];
  };

  static void pack_rows(const x_code* const* rows, std::size_t k, float* block) {
    machine::pack_float_rows<lanes * registers>(rows, k, block);
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, float* block) {
    machine::pack_float_columns<lanes * registers>(x, stride, k, count, block);
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const float* block, const std::uint16_t* k) {
    x_group<V> x;
    const float* at = block + std::size_t{*k} * 64;
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) x.rows[v] = _mm512_loadu_ps(at + v * lanes);
    return x;
  }
  static SPARQ_INLINE acc zero() { return _mm512_setzero_ps(); }
  template <std::size_t V>
  static SPARQ_INLINE void add(acc (&sums)[V], const float* w, const x_group<V>& x) {
    const __m512 broadcast = _mm512_set1_ps(*w);
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) sums[v] = _mm512_fmadd_ps(x.rows[v], broadcast, sums[v]);
  }
  static SPARQ_INLINE acc load_sums(const float* p) { return _mm512_loadu_ps(p); }
  static SPARQ_INLINE void store_sums(float* p, acc sums) { _mm512_storeu_ps(p, sums); }
};

using columns1_f32f32_avx512 = columns1_avx512<f32, f32>;

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX512

// ==== sparq/simd/x86_avx512_quads.hpp ====
// The atom of the columns loop for runs of four k's, AVX-512 VNNI: a register of X is 4 k's of 16 rows as X in quads holds
// them, so that nothing is interleaved.
//
//   block: [quad of k's][register][row][4 k's]

#if SPARQ_HAS_AVX512VNNI

namespace sparq {
SPARQ_ABI_BEGIN

/// Four products of bytes in one vpdpbusd; sums as in columns4_avx512vnni.
template <integer_numeric X, integer_numeric W>
struct quads4_avx512vnni : columns4_avx512vnni<X, W> {
  using base = columns4_avx512vnni<X, W>;
  static constexpr std::string_view name =
      X::is_signed ? (W::is_signed ? "quads4_s8s8_avx512vnni" : "quads4_s8u8_avx512vnni")
                   : (W::is_signed ? "quads4_u8s8_avx512vnni" : "quads4_u8u8_avx512vnni");
  static constexpr std::size_t run = 4;
  using x_code = typename X::code;
  using packed_x = std::uint8_t;
  template <std::size_t V>
  using x_group = typename base::template x_group<V>;

  static void pack_rows(const x_code* const* rows, std::size_t k, packed_x* block) {
    const std::uint32_t top = base::flips ? 0x80808080U : 0;
    std::size_t at = 0;
    for (; at + 32 <= k; at += 32) {
      for (std::size_t r = 0; r < 64; r += 8) {
        const float* words[8];
        for (std::size_t i = 0; i < 8; ++i) words[i] = reinterpret_cast<const float*>(rows[r + i] + at);
        machine::transpose_8x8(words, reinterpret_cast<float*>(block + at * 64) + r, 64);
      }
      for (std::size_t i = 0; base::flips && i < 32; ++i) {
        packed_x* to = block + (at + i) * 64;
        _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_loadu_si512(to), _mm512_set1_epi32(static_cast<int>(top))));
      }
    }
    for (; at < k; at += 4)
      for (std::size_t r = 0; r < 64; ++r) {
        std::uint32_t quad = 0;
        std::memcpy(&quad, rows[r] + at, k - at < 4 ? k - at : 4);
        quad ^= top;
        std::memcpy(block + at * 64 + 4 * r, &quad, 4);
      }
  }
  static void pack_columns(const x_code* x, std::size_t stride, std::size_t k, std::size_t count, packed_x* block) {
    alignas(64) packed_x four[4 * 64];
    for (std::size_t at = 0; at < k; at += 4, block += 256) {
      const std::size_t left = k - at < 4 ? k - at : 4;
      if (left < 4) std::memset(four, 0, sizeof four);
      base::pack_columns(x + at * stride, stride, left, count, four);
      const std::uint16_t list[4] = {0, 1, 2, 3};
      const auto quads = base::template load<4>(four, list);
      for (std::size_t v = 0; v < 4; ++v) _mm512_storeu_si512(block + 64 * v, quads.quad[v]);
    }
  }
  /// X in quads: 4 k's of row r at x[quad * stride + 4 r], r < count.
  static void pack_quads(const x_code* x, std::size_t stride, std::size_t quads, std::size_t count, packed_x* block) {
    const __m512i top = _mm512_set1_epi8(base::flips ? static_cast<char>(0x80) : 0);
    for (std::size_t q = 0; q < quads; ++q, x += stride, block += 256) {
      x_code rest[256] = {};
      const x_code* from = x;
      if (count < 64) {
        std::memcpy(rest, x, 4 * count);
        from = rest;
      }
      for (std::size_t v = 0; v < 4; ++v)
        _mm512_storeu_si512(block + 64 * v, _mm512_xor_si512(_mm512_loadu_si512(from + 64 * v), top));
    }
  }
  template <std::size_t V>
  static SPARQ_INLINE x_group<V> load(const packed_x* block, const std::uint16_t* k) {
    x_group<V> x;
    const packed_x* quad = block + std::size_t{*k} * 64;
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) x.quad[v] = _mm512_loadu_si512(quad + 64 * v);
    return x;
  }
};

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX512VNNI

// ==== sparq/simd/x86_look_up_dot.hpp ====
// Few rows of X times one channel of a codebook, for kernel/look_up_loop.hpp: entries go from the lookup to the
// multiplication in registers; lanes are k's. Bytes and floats on AVX2, floats on AVX-512.

#if SPARQ_HAS_AVX2

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Bytes of X as s16, of each 32 the even ones first: as the two halves of a 16-bit lane are taken apart.
template <class Code>
void split_row(const Code* x, std::size_t k, std::int16_t* out) noexcept {
  for (std::size_t i = 0; i < k; i += 32, out += 32) {
    alignas(32) Code rest[32] = {};
    const Code* from = x + i;
    if (k - i < 32) {
      std::memcpy(rest, from, k - i);
      from = rest;
    }
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    const __m256i even = std::is_signed_v<Code> ? _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8)
                                                : _mm256_and_si256(bytes, _mm256_set1_epi16(0xff));
    const __m256i odd = std::is_signed_v<Code> ? _mm256_srai_epi16(bytes, 8) : _mm256_srli_epi16(bytes, 8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), even);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16), odd);
  }
}

/// A chunk of 32 codes in the order of k.
/// - `Bits`: of a packed code, 2 or 4
template <class N, int Bits>
SPARQ_INLINE __m256i chunk_codes(const std::uint8_t* at) {
  __m256i codes;
  if constexpr (Bits == 4) {
    codes = _mm256_srlv_epi64(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))),
                              _mm256_setr_epi64x(0, 0, 4, 4));
  } else {
    long long eight;
    std::memcpy(&eight, at, sizeof eight);
    codes = _mm256_srlv_epi64(_mm256_set1_epi64x(eight), _mm256_setr_epi64x(0, 2, 4, 6));
  }
  return _mm256_and_si256(codes, _mm256_set1_epi8(static_cast<char>(N::entries - 1)));
}

/// Sums of one channel for R rows of split X, `ldx` elements apart; row r's sum goes to sums[16 * r].
template <class N, int Bits, std::size_t R>
void look_up_dot(const std::uint8_t* codes, const std::int8_t* table, std::size_t chunks, const std::int16_t* x,
                 std::size_t ldx, std::int32_t* sums) noexcept {
  const table_pair<N> tables(table);
  __m256i acc[R][2];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_si256();
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < chunks; ++i) {
    __m256i bytes[1];
    tables.look_up(chunk_codes<N, Bits>(codes + i * 4 * Bits), bytes);
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(bytes[0], 8), 8), odd = _mm256_srai_epi16(bytes[0], 8);
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      const auto* at = reinterpret_cast<const __m256i*>(x + r * ldx + i * 32);
      acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(even, _mm256_loadu_si256(at)));
      acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(odd, _mm256_loadu_si256(at + 1)));
    }
  }
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    const __m256i both = _mm256_add_epi32(acc[r][0], acc[r][1]);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    sums[16 * r] = _mm_cvtsi128_si32(sum);
  }
}

#if SPARQ_HAS_AVX512

inline void split_row(const float* x, std::size_t k, float* out) noexcept { std::copy_n(x, k, out); }

/// The same for floats: sixteen entries are a register, which a permute looks sixteen codes up in.
template <class N, int Bits, std::size_t R>
void look_up_fma(const std::uint8_t* codes, const float* table, std::size_t chunks, const float* x, std::size_t ldx,
                 float* sums) noexcept {
  alignas(64) float entries[16] = {};
  std::memcpy(entries, table, N::entries * sizeof *table);
  const __m512 in_register = _mm512_loadu_ps(entries);
  __m512 acc[R][2];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][0] = acc[r][1] = _mm512_setzero_ps();
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < chunks; ++i) {
    const __m256i of_chunk = chunk_codes<N, Bits>(codes + i * 4 * Bits);
    const __m128i halves[2] = {_mm256_castsi256_si128(of_chunk), _mm256_extracti128_si256(of_chunk, 1)};
    SPARQ_UNROLL for (std::size_t h = 0; h < 2; ++h) {
      const __m512 found = _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(halves[h]), in_register);
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r)
        acc[r][h] = _mm512_fmadd_ps(found, _mm512_loadu_ps(x + r * ldx + i * 32 + h * 16), acc[r][h]);
    }
  }
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    float lanes[2][16];
    _mm512_storeu_ps(lanes[0], acc[r][0]);
    _mm512_storeu_ps(lanes[1], acc[r][1]);
    sums[16 * r] = sum_of(lanes[0], 16) + sum_of(lanes[1], 16);
  }
}

#else

/// Floats, of each 32 in the order in which look_up_fma takes bytes apart: 0-3, 16-19, 4-7, 20-23, ...
inline void split_row(const float* x, std::size_t k, float* out) noexcept {
  for (std::size_t i = 0; i < k; i += 4)
    std::copy_n(x + i, k - i < 4 ? k - i : 4, out + i / 32 * 32 + i / 4 % 4 * 8 + i / 16 % 2 * 4);
}

/// The same for floats: each byte of the entries is looked up, and 32 codes become four registers.
template <class N, int Bits, std::size_t R>
void look_up_fma(const std::uint8_t* codes, const float* table, std::size_t chunks, const float* x, std::size_t ldx,
                 float* sums) noexcept {
  const table_pair<N> tables(table);
  __m256 acc[R][2];
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_ps();
  SPARQ_KEEP_LOOP for (std::size_t i = 0; i < chunks; ++i) {
    __m256i words[4];
    tables.look_up(chunk_codes<N, Bits>(codes + i * 4 * Bits), words);
    SPARQ_UNROLL for (std::size_t j = 0; j < 4; ++j)
      SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) acc[r][j % 2] = _mm256_fmadd_ps(
          _mm256_castsi256_ps(words[j]), _mm256_loadu_ps(x + r * ldx + i * 32 + j * 8), acc[r][j % 2]);
  }
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    const __m256 both = _mm256_add_ps(acc[r][0], acc[r][1]);
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(both), _mm256_extractf128_ps(both, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    sum = _mm_add_ss(sum, _mm_movehdup_ps(sum));
    sums[16 * r] = _mm_cvtss_f32(sum);
  }
}

#endif  // SPARQ_HAS_AVX512

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#endif  // SPARQ_HAS_AVX2

// ==== sparq/kernel/bit_table_loop.hpp ====
// Many rows of bits times planes of bits, where the CPU counts by looking up (simd/x86_avx2_bit_tables.hpp): X becomes tables
// when it is packed, W nibbles for all rows that are packed together, and both meet in the first-level cache.
//
//   for each block of rows:                       // tables of X in the second-level cache
//     for each few strips:                        // nibbles of W
//       for each part of the k's:                 // as many as bytes count
//         for each 8 rows: for each two strips:   counts += ...
//       epilogue -> Y

// ==== sparq/kernel/epilogue.hpp ====
// What happens to accumulators before they are stored: a list of stages, fixed at compile time, applied to sixteen
// neighbouring channels of one row at a time. The value starts as s32, s64 or f32, stages may change that, and the element
// type of Y decides how it is stored: bytes saturate, and floats must be rounded by a stage before they become integers.

// ==== sparq/kernel/requantize_stage.hpp ====
// The stage that turns accumulators into codes of the output.

// ==== sparq/kernel/requantize_lanes.hpp ====
// Requantization policies (numeric/requantize.hpp) on sixteen lanes at a time. A policy without a form of its own here runs
// lane by lane on the scalar code that defines it; one with `as_affine` runs in 64-bit vectors.

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// The parameters of sixteen lanes: `count` of them beside each other, or one for all. Lanes behind `count` get those of lane
/// 0, whose results are never stored.
template <class Parameters>
struct lane_parameters {
  const Parameters* first;
  std::size_t count;
  bool is_per_channel;

  const Parameters& operator[](std::size_t lane) const { return first[is_per_channel && lane < count ? lane : 0]; }

  /// f(parameters) of each lane.
  template <class F>
  SPARQ_INLINE auto lanes(F&& f) const {
    using value = std::remove_cvref_t<decltype(f(*first))>;
    if (!is_per_channel) return vec<value>(f(*first));
    value values[16];
    for (std::size_t i = 0; i < 16; ++i) values[i] = f((*this)[i]);
    return vec<value>::load(values);
  }
  template <class F>
  SPARQ_INLINE split_s64 lanes64(F&& f) const {
    if (!is_per_channel) return split_s64(f(*first));
    std::int64_t values[16];
    for (std::size_t i = 0; i < 16; ++i) values[i] = f((*this)[i]);
    return split_s64::load(values);
  }
};

/// A policy with the parameters of sixteen lanes: constructed once for a block of rows, called for each row.
template <class Policy>
struct requantize_lanes {
  using parameters = lane_parameters<typename Policy::parameters>;
  parameters of;

  SPARQ_INLINE explicit requantize_lanes(const parameters& p) : of(p) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    return map_lanes(v, [&](std::int32_t acc, std::size_t lane) { return Policy::apply(acc, of[lane]); });
  }
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int64_t>& v) const
    requires wide_requantization_policy<Policy>
  {
    return map_to_s32(v, [&](std::int64_t acc, std::size_t lane) { return Policy::apply(acc, of[lane]); });
  }
};

/// (v * multiplier + addend) >> shift.
template <class Policy>
  requires requires(typename Policy::parameters p) { Policy::as_affine(p); }
struct requantize_lanes<Policy> {
  split_s64 multiplier, addend, shift;

  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<typename Policy::parameters>& p)
      : multiplier(p.lanes64([](const auto& one) { return std::int64_t{Policy::as_affine(one).multiplier}; })),
        addend(p.lanes64([](const auto& one) { return Policy::as_affine(one).addend; })),
        shift(p.lanes64([](const auto& one) { return std::int64_t{Policy::as_affine(one).shift}; })) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    return saturate_to_s32((multiply(v, multiplier) + addend) >> shift);
  }
  /// The same for int64 sums, which saturate to 48 bits first as the policy says.
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int64_t>& v) const
    requires std::is_same_v<Policy, tflite_16x8>
  {
    constexpr std::int64_t limit = std::int64_t{1} << 47;
    const split_s64 inside = clamp_lanes(split_s64(v), -limit, limit - 1);
    return saturate_to_s32((multiply_by_unsigned(inside, multiplier) + addend) >> shift);
  }
};

template <>
struct requantize_lanes<glow> {
  split_s64 multiplier, addend, shift;
  vec<std::int32_t> pre;

  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<glow::parameters>& p)
      : multiplier(p.lanes64([](const auto& one) { return std::int64_t{one.scale}; })),
        addend(p.lanes64([](const auto& one) { return glow::as_affine(one).addend; })),
        shift(p.lanes64([](const auto& one) { return std::int64_t{one.post}; })),
        pre(p.lanes([](const auto& one) { return one.pre; })) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    return saturate_to_s32((multiply(v >> pre, multiplier) + addend) >> shift);
  }
};

/// The 31-bit product as bits 31 to 62 of a 64-bit one, then a shift that rounds ties away from zero.
template <>
struct requantize_lanes<tflite_double> {
  split_s64 multiplier;
  vec<std::int32_t> left, right;
  bool has_left = false;

  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<tflite_double::parameters>& p)
      : multiplier(p.lanes64([](const auto& one) { return std::int64_t{one.multiplier}; })),
        left(p.lanes([](const auto& one) { return one.shift > 0 ? one.shift : 0; })),
        right(p.lanes([](const auto& one) { return one.shift < 0 ? -one.shift : 0; })) {
    if (!p.is_per_channel)
      has_left = p.first->shift > 0;
    else
      for (std::size_t i = 0; i < p.count; ++i) has_left = has_left || p.first[i].shift > 0;
  }
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    using s32 = vec<std::int32_t>;
    const s32 shifted = has_left ? saturating_shift(v) : v;
    const s32 high = halves_at<31>(multiply(shifted, multiplier) + split_s64(std::int64_t{1} << 30));
    const s32 mask = (s32(-1) << right) ^ s32(-1);
    const s32 threshold = (mask >> s32(1)) - (high >> s32(31));
    return (high >> right) + ones_where_greater(high & mask, threshold);
  }

 private:
  SPARQ_INLINE vec<std::int32_t> saturating_shift(const vec<std::int32_t>& v) const {
    using s32 = vec<std::int32_t>;
    const s32 most = s32(INT32_MAX) >> left, least = s32(INT32_MIN) >> left;
    const s32 low_bits = (s32(-1) << left) ^ s32(-1);
    return (min(max(v, least), most) << left) + (ones_where_greater(v, most) * low_bits);
  }
};

template <>
struct requantize_lanes<fp32_nearest_even> {
  vec<float> scale;
  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<fp32_nearest_even::parameters>& p)
      : scale(p.lanes([](const auto& one) { return one.scale; })) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    return round_to_s32(to_f32(v) * scale);
  }
};

template <>
struct requantize_lanes<onnx> {
  vec<float> x_scale, y_scale;
  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<onnx::parameters>& p)
      : x_scale(p.lanes([](const auto& one) { return one.x_scale; })),
        y_scale(p.lanes([](const auto& one) { return one.y_scale; })) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    return round_to_s32(to_f32(v) * x_scale / y_scale);
  }
};

template <>
struct requantize_lanes<ncnn> {
  vec<float> scale;
  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<ncnn::parameters>& p)
      : scale(p.lanes([](const auto& one) { return one.scale; })) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const {
    using s32 = vec<std::int32_t>;
    const s32 codes = round_to_s32<rounding::nearest_away>(rounded_product(to_f32(v), scale));
    return min(max(codes, s32(-127)), s32(127));
  }
};

template <>
struct requantize_lanes<floor_shift_s32> {
  vec<std::int32_t> kappa, lambda, shift;
  SPARQ_INLINE explicit requantize_lanes(const lane_parameters<floor_shift_s32::parameters>& p)
      : kappa(p.lanes([](const auto& one) { return one.kappa; })),
        lambda(p.lanes([](const auto& one) { return one.lambda; })),
        shift(p.lanes([](const auto& one) { return one.shift; })) {}
  SPARQ_INLINE vec<std::int32_t> operator()(const vec<std::int32_t>& v) const { return (v * kappa + lambda) >> shift; }
};

SPARQ_ABI_END
}  // namespace sparq

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// clamp(zero_point + policy(v)) with the parameters of sixteen channels. The bounds are those of policy(v), so that the sum
/// cannot overflow.
template <class Policy>
struct requantize_channels {
  requantize_lanes<Policy> scaled;
  s32_lanes low, high, zero_point;

  template <class Lanes>
  SPARQ_INLINE s32_lanes operator()(const Lanes& v, const lane_position&) const {
    static_assert(std::is_same_v<Lanes, s32_lanes> || wide_requantization_policy<Policy>,
                  "sparq: this policy takes int32 sums; use tflite_16x8, or the stage saturate_to_integer before it");
    return min(max(scaled(v), low), high) + zero_point;
  }
};

}  // namespace machine

/// clamp(zero_point + policy(v)): accumulators become codes of Out (numeric/requantize.hpp).
/// One set of parameters for all channels, or one for each. Outputs of fewer bits than Out has are a matter of low and high.
template <integer_numeric Out, requantization_parameters Parameters>
struct requantize {
  static_assert(Out::bits <= 16, "sparq: requantize yields codes of 16 bits or fewer; for int32 use scale and "
                                 "round_to_integer");

  bool is_per_channel = false;
  std::span<const Parameters> per_channel;  // one for each channel, or
  Parameters single{};                      // one for all
  std::int32_t zero_point = 0;
  std::int32_t low = Out::min_code;
  std::int32_t high = Out::max_code;

  status check(std::size_t, std::size_t n) const {
    if (low > high || low < Out::min_code || high > Out::max_code)
      return status::failure("requantize: clamps to [" + std::to_string(low) + ", " + std::to_string(high) + "], " +
                             std::string(Out::name) + " holds [" + std::to_string(Out::min_code) + ", " +
                             std::to_string(Out::max_code) + "]");
    if (zero_point < Out::min_code || zero_point > Out::max_code)
      return status::failure("requantize: zero point " + std::to_string(zero_point) + " is no code of " +
                             std::string(Out::name));
    if (!is_per_channel) return single.validate();
    if (status s = machine::check_channels("requantize", per_channel, n); !s.ok()) return s;
    for (std::size_t i = 0; i < n; ++i)
      if (status s = per_channel[i].validate(); !s.ok())
        return status::failure("requantize: channel " + std::to_string(i) + ": " + s.message());
    return {};
  }
  SPARQ_INLINE auto for_channels(const lane_position& at) const {
    using policy = typename Parameters::policy;
    const lane_parameters<Parameters> parameters{is_per_channel ? per_channel.data() + at.channel : &single, at.count,
                                                 is_per_channel};
    return machine::requantize_channels<policy>{requantize_lanes<policy>(parameters), s32_lanes(low - zero_point),
                                                s32_lanes(high - zero_point), s32_lanes(zero_point)};
  }
};

/// A requantize stage with one set of parameters for all channels.
template <integer_numeric Out, requantization_parameters Parameters>
requantize<Out, Parameters> requantize_to_codes(const Parameters& parameters, std::int32_t zero_point = 0,
                                                std::int32_t low = Out::min_code, std::int32_t high = Out::max_code) {
  return {false, {}, parameters, zero_point, low, high};
}
/// A requantize stage with parameters for each channel, which the caller keeps alive.
template <integer_numeric Out, requantization_parameters Parameters>
requantize<Out, Parameters> requantize_to_codes(std::span<const Parameters> per_channel, std::int32_t zero_point = 0,
                                                std::int32_t low = Out::min_code, std::int32_t high = Out::max_code) {
  return {true, per_channel, {}, zero_point, low, high};
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/row_sum_stages.hpp ====
// Stages for weights whose code 0 is no real zero: they need the sum of each row of X (op/row_sums.hpp), because what a
// code is off by is multiplied by every x.
//
//   w = scale (code - zero_point)    sum x w = scale (sum x code - zero_point * sum x)
//   w = scale code + offset          sum x w = scale sum x code + offset * sum x

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// One value for all channels, or one for each.
template <class T>
struct channel_values {
  T one = {};
  std::span<const T> each = {};
  bool is_per_channel = false;

  status check(const char* stage, std::size_t n) const {
    return is_per_channel ? check_channels(stage, each, n) : status();
  }
  SPARQ_INLINE vec<T> load(const lane_position& at) const {
    return is_per_channel ? vec<T>::load(each.data() + at.channel, at.count) : vec<T>(one);
  }
};

/// v - row_sums[row] * zero_points.
struct weight_zero_point_lanes {
  const std::int32_t* row_sums;
  s32_lanes zero_points;
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    return v - s32_lanes(row_sums[at.row]) * zero_points;
  }
};
/// v + row_sums[row] * offsets, the product rounded by itself.
template <class T>
struct weight_offset_lanes {
  const T* row_sums;
  f32_lanes offsets;
  SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position& at) const {
    return v + rounded_product(f32_lanes(static_cast<float>(row_sums[at.row])), offsets);
  }
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position& at) const { return (*this)(to_f32(v), at); }
};

}  // namespace machine

/// Takes back the zero point of W, one for all channels or one for each: v - zero_point * row_sums[row], int32.
/// `row_sums`: of the rows of X, less the zero point of X if it has one (op/row_sums.hpp); then
/// sum (x - x_zero)(w - w_zero) = acc - x_zero * (weight sum) - w_zero * sum (x - x_zero)
/// is subtract_zero_point(x_zero) and this stage, in either order, and no constant term is left.
struct subtract_weight_zero_point {
  std::span<const std::int32_t> row_sums;
  machine::channel_values<std::int32_t> zero_points;

  subtract_weight_zero_point(std::span<const std::int32_t> sums, std::int32_t zero_point)
      : row_sums(sums), zero_points{zero_point, {}, false} {}
  subtract_weight_zero_point(std::span<const std::int32_t> sums, std::span<const std::int32_t> per_channel)
      : row_sums(sums), zero_points{0, per_channel, true} {}
  status check(std::size_t m, std::size_t n) const {
    if (status s = machine::check_rows("subtract_weight_zero_point", row_sums, m); !s.ok()) return s;
    return zero_points.check("subtract_weight_zero_point", n);
  }
  SPARQ_INLINE machine::weight_zero_point_lanes for_channels(const lane_position& at) const {
    return {row_sums.data(), zero_points.load(at)};
  }
};

/// Adds the real number that a weight of code 0 stands for, one for all channels or one for each: v + offset *
/// row_sums[row], float. Scales of W come before it, the scale of X behind it.
/// `row_sums`: of the rows of X, int32 of codes less the zero point of X, or float of floats (op/row_sums.hpp)
template <class T>
struct add_weight_offset {
  static_assert(std::is_same_v<T, std::int32_t> || std::is_same_v<T, float>,
                "sparq: row sums are std::int32_t or float; use row_sums");
  std::span<const T> row_sums;
  machine::channel_values<float> offsets;

  add_weight_offset(std::span<const T> sums, float offset) : row_sums(sums), offsets{offset, {}, false} {}
  add_weight_offset(std::span<const T> sums, std::span<const float> per_channel)
      : row_sums(sums), offsets{0, per_channel, true} {}
  status check(std::size_t m, std::size_t n) const {
    if (status s = machine::check_rows("add_weight_offset", row_sums, m); !s.ok()) return s;
    return offsets.check("add_weight_offset", n);
  }
  SPARQ_INLINE machine::weight_offset_lanes<T> for_channels(const lane_position& at) const {
    return {row_sums.data(), offsets.load(at)};
  }
};
template <class Range, class Offsets>
add_weight_offset(const Range&, const Offsets&)
    -> add_weight_offset<std::remove_cvref_t<decltype(*std::declval<const Range&>().data())>>;

namespace machine {

/// Stages that say what a weight of code 0 is worth: every weight must have a code.
template <class Stage>
inline constexpr bool gives_zero_a_value_v = std::is_same_v<Stage, subtract_weight_zero_point>;
template <class T>
inline constexpr bool gives_zero_a_value_v<add_weight_offset<T>> = true;

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// A stage that depends on channels, for sixteen of them; any other stage as it is.
template <class Stage>
SPARQ_INLINE decltype(auto) for_channels(const Stage& stage, const lane_position& at) {
  if constexpr (requires { stage.for_channels(at); })
    return stage.for_channels(at);
  else
    return (stage);
}

template <class... Bound>
struct bound_epilogue {
  std::tuple<Bound...> stages;

  template <class Lanes>
  SPARQ_INLINE auto operator()(const Lanes& v, const lane_position& at) const {
    return apply<0>(v, at);
  }

 private:
  template <std::size_t I, class Lanes>
  SPARQ_INLINE auto apply(const Lanes& v, const lane_position& at) const {
    if constexpr (I == sizeof...(Bound))
      return v;
    else
      return apply<I + 1>(std::get<I>(stages)(v, at), at);
  }
};

}  // namespace machine

// ---- the list -------------------------------------------------------------------------------------------------------

/// Stages in the order of their application; empty: accumulators are stored as they are.
template <class... Stages>
struct epilogue {
  std::tuple<Stages...> stages;

  epilogue() = default;
  explicit epilogue(Stages... all_stages)
    requires(sizeof...(Stages) > 0)
      : stages(all_stages...) {}

  /// The first stage whose parameters do not match an m x n output, or ok.
  status check(std::size_t m, std::size_t n) const {
    status result;
    std::apply([&](const auto&... stage) { static_cast<void>(((result = stage.check(m, n), result.ok()) && ...)); },
               stages);
    return result;
  }

  /// The stages for sixteen channels: a callable (lanes, lane_position) that has loaded what depends on them.
  SPARQ_INLINE auto for_channels(const lane_position& at) const {
    return std::apply(
        [&](const auto&... stage) {
          return machine::bound_epilogue<decltype(machine::for_channels(stage, at))...>{
              {machine::for_channels(stage, at)...}};
        },
        stages);
  }
  template <class Lanes>
  SPARQ_INLINE auto operator()(const Lanes& v, const lane_position& at) const {
    return for_channels(at)(v, at);
  }
};
template <class... Stages>
epilogue(Stages...) -> epilogue<Stages...>;

namespace machine {

template <class Y, class Lanes>
inline constexpr bool can_store_v = (std::is_same_v<Lanes, f32_lanes> && std::is_same_v<Y, float>) ||
                                    (std::is_same_v<Lanes, s64_lanes> && std::is_same_v<Y, std::int64_t>) ||
                                    (std::is_same_v<Lanes, s32_lanes> && !std::is_same_v<Y, float> &&
                                     !std::is_same_v<Y, std::int64_t>);

template <class Y, class T>
SPARQ_INLINE void store_lanes(Y* to, const vec<T>& v, std::size_t count) {
  static_assert(can_store_v<Y, vec<T>>,
                "sparq: the epilogue's last stage does not yield what Y holds; end with requantize, round_to_integer or "
                "a scale");
  if constexpr (std::is_same_v<Y, T>)
    v.store(to, count);
  else if constexpr (sizeof(Y) == 2)
    store_saturated_s16(to, v, count);
  else
    store_saturated(to, v, count);
}

}  // namespace machine

/// Applies an epilogue to a tile of accumulators and stores it.
/// - `tile`: rows x channels, `ldt` elements apart
/// - `factor`: what the atom leaves to be added, times the sums of the weights
/// - `y`: where (row, channel) is stored, 16 channels beside each other; or what stores lanes itself
template <class Acc, class Out, class Epilogue>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const Out& y, lane_position at, const Epilogue& stages) noexcept {
  const std::size_t first_channel = at.channel, first_row = at.row;
  for (std::size_t c = 0; c < channels; c += 16) {
    at.channel = first_channel + c;
    at.count = channels - c < 16 ? channels - c : 16;
    const auto& bound = machine::for_channels(stages, at);
    [[maybe_unused]] s32_lanes left_out(0);
    if constexpr (std::is_same_v<Acc, std::int32_t>)
      if (factor != 0) left_out = s32_lanes(factor) * s32_lanes::load(at.weight_sums + at.channel, at.count);
    for (std::size_t r = 0; r < rows; ++r) {
      at.row = first_row + r;
      vec<Acc> v = vec<Acc>::load(tile + r * ldt + c, at.count);
      if constexpr (std::is_same_v<Acc, std::int32_t>) v = v + left_out;
      if constexpr (requires { y.store_lanes(at, bound(v, at)); })
        y.store_lanes(at, bound(v, at));
      else
        machine::store_lanes(&y(at.row, at.channel), bound(v, at), at.count);
    }
  }
}

namespace machine {

/// Sixteen rows of sixteen channels on their way to a Y that is stored by columns.
template <class Y>
struct square_tile {
  alignas(64) mutable Y elements[16][16];
  std::size_t first_row = 0;
  std::size_t first_channel = 0;

  Y& operator()(std::size_t row, std::size_t channel) const { return elements[row - first_row][channel - first_channel]; }
};

}  // namespace machine

/// The same for a Y stored by columns, whose row `first_row` is the row of `at`. @pre channels <= 16
template <class Acc, class Y, class Epilogue>
void store_columns(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                   const k_major_view<Y>& y, std::size_t first_row, lane_position at, const Epilogue& stages) noexcept {
  machine::square_tile<Y> square;
  square.first_channel = at.channel;
  for (std::size_t r = 0; r < rows; r += 16, at.row += 16) {
    const std::size_t height = rows - r < 16 ? rows - r : 16;
    square.first_row = at.row;
    store_tile<Acc, machine::square_tile<Y>, Epilogue>(tile + r * ldt, ldt, height, channels, factor, square, at, stages);
    machine::store_transposed(&square.elements[0][0], height, channels, y.column(at.channel) + first_row + r, y.stride);
  }
}
template <class Acc, class Y, class Epilogue>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const k_major_view<Y>& y, lane_position at, const Epilogue& stages) noexcept {
  store_columns(tile, ldt, rows, channels, factor, y, at.row, at, stages);
}

/// The same for planes. @pre channels <= 16
template <class Acc, class Y, class Epilogue>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const plane_matrix_view<Y>& y, lane_position at, const Epilogue& stages) noexcept {
  for (std::size_t r = 0; r < rows;) {
    const std::size_t image = at.row / y.image_rows;
    const std::size_t count = (std::min)(rows - r, (image + 1) * y.image_rows - at.row);
    const k_major_view<Y> of_image(y.data + image * y.image_stride, y.image_rows, y.columns, y.stride);
    store_columns(tile + r * ldt, ldt, count, channels, factor, of_image, at.row - image * y.image_rows, at, stages);
    r += count;
    at.row += count;
  }
}

SPARQ_ABI_END
}  // namespace sparq

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

/// Rows of X from which on tables of them are worth making, for each plane of W.
inline constexpr std::size_t bit_table_rows = 8;

namespace machine {

/// Whether bit_table_loop multiplies X by these weights.
template <class Packed, class X>
inline constexpr bool counts_by_tables_v = [] {
  if constexpr (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512VPOPCNTDQ && std::is_same_v<X, eight_bits> &&
                requires { typename Packed::k_map; })
    return Packed::panel_shape_type::group_k == 32 && std::is_same_v<typename Packed::k_map, contiguous> &&
           std::is_same_v<typename Packed::row_select, all>;
  else
    return false;
}();

}  // namespace machine

#if SPARQ_HAS_AVX2

/// One operation; see panel_loop, whose packed weights it reads. @pre machine::counts_by_tables_v
template <class Packed, class Source, class Y, class Epilogue>
class bit_table_loop {
 public:
  using numeric_type = typename Packed::numeric_type;
  using counts = machine::bit_counts<numeric_type>;
  static constexpr std::string_view atom_name() {
    if (counts::planes == 1) return "popcnt4_b1b1_avx2";
    return counts::is_sign ? "popcnt4_b1ternary_avx2" : numeric_type::is_signed ? "popcnt4_b1s2_avx2" : "popcnt4_b1u2_avx2";
  }
  static std::string x_access() { return std::string(Source::access) + "made into tables of two rows"; }

  bit_table_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages)
      : w_(w), source_(source), y_(y), stages_(stages) {
    const std::size_t lookups = ceil_div(w.shape().k, std::size_t{32}) * counts::word_lookups;
    fields_ = ceil_div(lookups, counts::field_lookups);
    cached_rows_ = (std::max)(x_bytes / (std::max)(table_bytes(), std::size_t{1}) / 4, std::size_t{1}) * 8;
  }

  /// Whether there are enough rows to make tables of, and 16 bits hold the counts.
  static constexpr bool suits(std::size_t rows, std::size_t k) { return rows >= bit_table_rows * counts::planes && k < 21000; }

  static constexpr std::string_view loop_name() { return "rows, counting by tables"; }
  std::size_t cached_rows() const { return cached_rows_; }

  std::size_t scratch_bytes(std::size_t m) const {
    const std::size_t rows = rows_together(m);
    return tables_bytes(m) + pairs * nibble_bytes() + rows * channels * sizeof(std::uint16_t) + 8 * row_bytes() +
           gathered_bytes();
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    auto* tables = reinterpret_cast<std::uint8_t*>(scratch);
    auto* nibbles = tables + tables_bytes(m1 - m0);
    auto* sums = reinterpret_cast<std::uint16_t*>(nibbles + pairs * nibble_bytes());
    auto* buffers = reinterpret_cast<eight_bits*>(sums + rows_together(m1 - m0) * channels);
    for (std::size_t m = m0; m < m1; m += cached_rows_) {
      const std::size_t rows = (std::min)(cached_rows_, m1 - m);
      pack_rows(m, rows, tables, buffers);
      std::size_t strip = 0;
      for (const packed_panel& panel : w_.panels()) {
        const std::size_t strips = ceil_div(panel.kept, std::size_t{16});
        for (std::size_t s = (std::max)(s0, strip); s < (std::min)(s1, strip + strips); s += 2 * pairs)
          run_strips(panel, s - strip, (std::min)({s1 - strip, strips, s - strip + 2 * pairs}), m, rows, tables, nibbles, sums);
        strip += strips;
      }
    }
  }

 private:
  /// Two strips each, that are multiplied one after the other by the same tables.
  static constexpr std::size_t pairs = 4;
  static constexpr std::size_t channels = 32 * pairs;
  static constexpr std::size_t x_bytes = 256 * 1024;

  std::size_t lookups() const { return fields_ * counts::field_lookups; }
  std::size_t table_bytes() const { return lookups() * 16; }  // of two rows
  std::size_t nibble_bytes() const { return round_up(lookups() * 32, alignment); }
  std::size_t row_bytes() const { return round_up(w_.shape().k / 8 + 4, alignment); }  // whole registers
  std::size_t gathered_bytes() const { return Source::in_memory ? 0 : round_up(w_.shape().k / 8 + 64, alignment); }
  std::size_t tables_bytes(std::size_t m) const { return round_up(rows_together(m) / 2 * table_bytes(), alignment); }
  std::size_t rows_together(std::size_t m) const { return round_up((std::min)(m, cached_rows_), std::size_t{2}); }

  void pack_rows(std::size_t m, std::size_t rows, std::uint8_t* tables, eight_bits* buffers) const noexcept {
    const std::size_t k = w_.shape().k, bytes = ceil_div(k, std::size_t{32}) * 4;
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; r += 8) {
      std::memset(buffers, 0, 8 * row_bytes());
      for (std::size_t i = 0; i < (std::min)(rows - r, std::size_t{8}); ++i)
        copy_bits(cursor.next(buffers + 8 * row_bytes()), k, buffers + i * row_bytes());
      const std::size_t row_pairs = pairs_of(rows - r);
      for_pairs(row_pairs, [&](auto together) {
        machine::make_bit_tables<numeric_type, together>(buffers, row_bytes(), bytes, tables);
      });
      const std::size_t made = bytes * 2 * counts::planes;
      std::memset(tables + made * 16 * row_pairs, 0, (lookups() - made) * 16 * row_pairs);
      tables += lookups() * 16 * row_pairs;
    }
  }
  /// Of the next block, if so many rows are left.
  static std::size_t pairs_of(std::size_t rows) { return (std::min)(ceil_div(rows, std::size_t{2}), std::size_t{4}); }
  template <class F>
  static void for_pairs(std::size_t row_pairs, F f) {
    if (row_pairs == 4) return f(std::integral_constant<std::size_t, 4>{});
    if (row_pairs == 3) return f(std::integral_constant<std::size_t, 3>{});
    if (row_pairs == 2) return f(std::integral_constant<std::size_t, 2>{});
    f(std::integral_constant<std::size_t, 1>{});
  }

  void run_strips(const packed_panel& panel, std::size_t first, std::size_t last, std::size_t m, std::size_t rows,
                  const std::uint8_t* tables, std::uint8_t* nibbles, std::uint16_t* sums) const noexcept {
    const std::size_t together = ceil_div(last - first, std::size_t{2});
    for (std::size_t j = 0; j < together; ++j) split_strips(panel, first + 2 * j, last, nibbles + j * nibble_bytes());
    const std::size_t kept = (std::min)(static_cast<std::size_t>(panel.kept), last * 16);
    std::size_t field = 0;
    do {
      const std::size_t part = (std::min)(counts::part_fields, fields_ - field);
      for (std::size_t r = 0; r < rows; r += 8, sums += 8 * channels) {
        const std::size_t height = (std::min)(rows - r, std::size_t{8}), row_pairs = pairs_of(height);
        const lane_position at{m + r, panel.first_channel + first * 16, 0, w_.weight_sums().data()};
        const bool is_last = field + part == fields_;
        if constexpr (requires { y_.prefetch(m, height, first, kept); })
          if (is_last) y_.prefetch(at.row, height, at.channel, kept - first * 16);
        const std::uint8_t* x = tables + (r / 2 * lookups() + field * counts::field_lookups * row_pairs) * 16;
        for (std::size_t j = 0; j < together; ++j)
          for_pairs(row_pairs, [&](auto of_rows) {
            machine::count_by_tables<counts::field_lookups, of_rows>(
                x, nibbles + j * nibble_bytes() + field * counts::field_lookups * 32, part, field == 0, sums + 32 * j, channels);
          });
        if (is_last) store(sums, height, kept - first * 16, at);
      }
      sums -= ceil_div(rows, std::size_t{8}) * 8 * channels;
      field += part;
    } while (field < fields_);
  }

  void store(const std::uint16_t* sums, std::size_t rows, std::size_t count, lane_position at) const noexcept {
    const auto offset = static_cast<std::int32_t>(ceil_div(w_.shape().k, std::size_t{32}) * 8) * counts::offset * 2;
    for (std::size_t c = 0; c < count; c += 16, at.channel += 16) {
      alignas(alignment) std::int32_t tile[8 * 16];
      for (std::size_t i = 0; i < rows; ++i) machine::sums_of_counts(sums + i * channels + c, offset, tile + 16 * i);
      store_tile(tile, 16, rows, (std::min)(count - c, std::size_t{16}), 1, y_, at, stages_);
    }
  }

  /// Strips `strip` and the next, if that is one before `last`.
  void split_strips(const packed_panel& panel, std::size_t strip, std::size_t last, std::uint8_t* nibbles) const noexcept {
    using shape = typename Packed::panel_shape_type;
    const std::size_t words = strip_words<numeric_type, shape>(panel.groups);
    const std::uint32_t* low = w_.words().data() + panel.words + strip * words;
    const std::uint32_t* high = strip + 1 < last ? low + words : low;
    for (std::size_t g = 0; g < panel.groups; ++g) {
      machine::split_bit_word<numeric_type>(low, high, nibbles);
      low += 16 * counts::planes;
      high += 16 * counts::planes;
      nibbles += 32 * counts::word_lookups;
    }
    std::memset(nibbles, 0, 32 * (lookups() - panel.groups * counts::word_lookups));
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  std::size_t fields_ = 0;
  std::size_t cached_rows_ = 0;
};

#else

template <class Packed, class Source, class Y, class Epilogue>
class bit_table_loop;

#endif  // SPARQ_HAS_AVX2

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/column_chunks.hpp ====
// Weights of the columns loop in chunks: strips of 16 channels, as many as fit beside X once their codes are decoded.

// ==== sparq/kernel/few_rows.hpp ====
// What the rows loop does differently for few rows of X. Weights are read once then, so memory is the limit, and one
// stream of it delivers less than memory can: 0.6 of what four do (Zen 3). One row therefore meets four strips of channels
// at once, and blocks that read one or two strips ask for those of the next block meanwhile.

#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Words of one group or two leave registers to X; of 32 registers, those of eight groups.
template <class Atom, numeric N>
inline constexpr bool few_words =
    Atom::template loader<N>::groups * Atom::steps <= (SPARQ_HAS_AVX512 && Atom::lanes == 16 ? 8 : 2);

/// Strips of channels that one row of X meets at once: four, unless words of many codes, or two sums for each channel, need
/// the registers.
template <class Atom, numeric N>
inline constexpr std::size_t one_row_strips =
    few_words<Atom, N> && sizeof(typename Atom::acc) == sizeof(typename Atom::w_word) ? 4 : 2;

/// Blocks of R rows that ask for the words and positions of the next block; many rows leave the tall ones to the caches.
template <class Atom, numeric N, std::size_t R, bool Permutes>
inline constexpr bool fetches_ahead = R <= 4 && (R > 1 || Permutes || !few_words<Atom, N>);

/// One row of X and many registers of channels: X's words stay in registers, and every word of W is loaded once.
template <class Atom, numeric N, std::size_t R, std::size_t V, bool Permutes>
inline constexpr bool holds_x = R == 1 && V > 2 && !Permutes && few_words<Atom, N>;

/// Bytes of weights that the atom for one row is for: beyond, they come from memory, and four strips at once count more
/// than instructions.
inline constexpr std::size_t one_row_bytes = std::size_t{8} << 20;

/// Bytes of words, and of positions, that windows are asked for ahead.
inline constexpr std::size_t window_ahead = 1024;

/// Asks for the line of memory that lies `words` behind p, whether or not there is one.
template <class T>
SPARQ_INLINE void fetch_ahead(const T* p, std::size_t elements) {
#if defined(__GNUC__)
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(p) + elements * sizeof *p));
#else
  static_cast<void>(p), static_cast<void>(elements);
#endif
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/select.hpp ====
// Which atom serves a combination, and how large the blocks are: the one tuning table. Atoms stand in an ordered list,
// the first that fits is taken; a list of your own may put others in front.

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

struct no_atom {};

/// The type that a code of N has once it is decoded.
template <numeric N>
using decoded_t =
    std::conditional_t<!N::is_integer, entry_t<N>, std::conditional_t<entry_t<N>::is_signed, s8, u8>>;
/// The same for atoms of X; those that count bits read W's planes as they are.
template <numeric X, numeric N>
using decoded_for_t = std::conditional_t<std::is_same_v<X, binary>, N, decoded_t<N>>;

/// The type that a code of N has in the words that a bitmask is expanded to.
template <numeric N>
using expanded_t = std::conditional_t<N::is_integer, decoded_t<N>, f32>;

template <numeric X, numeric W>
struct atom_list {
  using type = std::tuple<>;
};
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits == 8)
struct atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512VNNI
      dot4_avx512vnni<X, W>,
#endif
#if SPARQ_HAS_AVX512
      dot4_avx512<X, W>,
#endif
#if SPARQ_HAS_AVX2
      dot4_avx2<X, W>,
#endif
      dot4_scalar<X, W>>;
};
template <numeric X, numeric W>
  requires(!X::is_integer && !W::is_integer)
struct atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512
      fma1_avx512<X, W>,
#endif
#if SPARQ_HAS_AVX2
      fma1_avx2<X, W>,
#endif
      fma1_scalar<X, W>>;
};

template <>
struct atom_list<bf16, bf16> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512BF16
      dot2_bf16_avx512bf16,
#endif
#if SPARQ_HAS_AVX512
      dot2_bf16_avx512,
#endif
#if SPARQ_HAS_AVX2
      dot2_bf16_avx2,
#endif
      dot2_bf16_scalar>;
};

template <integer_numeric X, integer_numeric W>
  requires(X::bits == 16 && W::bits == 8)
struct atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512
      dot4_s16_avx512<W>,
#endif
#if SPARQ_HAS_AVX2
      dot4_s16_avx2<W>,
#endif
      dot4_s16_scalar<W>>;
};

/// Atoms that are exact for narrow weights only, and faster there.
template <numeric X, numeric W>
struct narrow_atom_list {
  using type = std::tuple<>;
};
#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits <= 4)
struct narrow_atom_list<X, W> {
  using type = std::tuple<dot4_narrow_avx2<X, W>>;
};
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits == 8 && narrow_groups<W> != 0)
struct narrow_atom_list<X, W> {
  using type = std::tuple<dot4_pairs_avx2<X, W>>;
};
#endif

/// Atoms that permute windows of bytes better than those of every format do.
template <numeric X, numeric W>
struct window_atom_list {
  using type = std::tuple<>;
};
#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits == 8 && narrow_groups<W> == 0)
struct window_atom_list<X, W> {
  using type = std::tuple<dot4_window_avx2<X, W>>;
};
#endif

template <class First, class Second>
struct joined;
template <class... First, class... Second>
struct joined<std::tuple<First...>, std::tuple<Second...>> {
  using type = std::tuple<First..., Second...>;
};

template <integer_numeric W>
  requires(std::is_same_v<W, binary> || W::bits == 2)
struct atom_list<binary, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512VPOPCNTDQ
      popcnt32_avx512vpopcntdq<W>,
#endif
#if SPARQ_HAS_AVX2
      popcnt32_avx2<W>,
#endif
      popcnt32_scalar<W>>;
};

/// The same for the columns loop.
template <numeric X, numeric W>
struct column_atom_list {
  using type = std::tuple<>;
};
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits == 8)
struct column_atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512VNNI
      quads4_avx512vnni<X, W>, columns4_avx512vnni<X, W>,
#endif
#if SPARQ_HAS_AVX2
      quads4_avx2<X, W>, columns4_avx2<X, W>,
#endif
      columns4_scalar<X, W>>;
};
template <numeric X, numeric W>
  requires(!X::is_integer && !W::is_integer)
struct column_atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX512
      columns1_avx512<X, W>,
#endif
#if SPARQ_HAS_AVX2
      columns1_avx2<X, W>,
#endif
      columns1_scalar<X, W>>;
};

template <class Shape, class Atom>
inline constexpr bool fits_shape_v = native_isa.has(Atom::needs) && Shape::group_k == Atom::group_k &&
                                     Shape::channels % Atom::lanes == 0 &&
                                     (Shape::group_k != 32 || Shape::channels == plane_words);
template <std::size_t Channels, std::size_t GroupK, std::size_t Run, class Atom>
inline constexpr bool fits_shape_v<column_shape<Channels, GroupK, Run>, Atom> =
    native_isa.has(Atom::needs) && GroupK == Atom::group_k && Run % run_of_v<Atom> == 0;

template <class Shape, class Atoms, class X, class W>
struct atoms_for_shape {
  using type = typename Atoms::template list<X, W>;
};
template <std::size_t Channels, std::size_t GroupK, std::size_t Run, class Atoms, class X, class W>
struct atoms_for_shape<column_shape<Channels, GroupK, Run>, Atoms, X, W> {
  using type = typename Atoms::template columns<X, W>;
};

/// Weights packed as a bitmask are decoded before they are expanded.
template <std::size_t Channels, std::size_t GroupK, class Atoms, class X, class W>
struct atoms_for_shape<bitmask_shape<Channels, GroupK>, Atoms, X, W> {
  using type = typename Atoms::template list<X, expanded_t<W>>;
};

/// Windows have atoms of their own, where the list has such.
template <std::size_t Channels, std::size_t GroupK, std::size_t Window, class Atoms, class X, class W>
struct atoms_for_shape<window_shape<Channels, GroupK, Window>, Atoms, X, W> {
  using type = typename Atoms::template list<X, W>;
};
template <std::size_t Channels, std::size_t GroupK, std::size_t Window, class Atoms, class X, class W>
  requires requires { typename Atoms::template windows<X, W>; }
struct atoms_for_shape<window_shape<Channels, GroupK, Window>, Atoms, X, W> {
  using type = typename Atoms::template windows<X, W>;
};

template <class Shape, class List>
struct first_fit;
template <class Shape>
struct first_fit<Shape, std::tuple<>> {
  using type = no_atom;
};
template <class Shape, class First, class... Rest>
struct first_fit<Shape, std::tuple<First, Rest...>> {
  using type = typename std::conditional_t<fits_shape_v<Shape, First>, std::type_identity<First>,
                                           first_fit<Shape, std::tuple<Rest...>>>::type;
};

}  // namespace machine

/// The atoms that come with the library, most demanding first.
struct default_atoms {
  template <numeric X, numeric W>
  using list = typename machine::joined<typename machine::narrow_atom_list<X, W>::type,
                                        typename machine::atom_list<X, machine::decoded_for_t<X, W>>::type>::type;
  template <numeric X, numeric W>
  using columns = typename machine::column_atom_list<X, machine::decoded_t<W>>::type;
  template <numeric X, numeric W>
  using windows = typename machine::joined<typename machine::window_atom_list<X, W>::type, list<X, W>>::type;
};

/// The atom that multiplies X by W packed in `Shape`; machine::no_atom when there is none.
template <numeric X, numeric W, class Shape, class Atoms = default_atoms>
using atom_for = typename machine::first_fit<Shape, typename machine::atoms_for_shape<Shape, Atoms, X, W>::type>::type;

/// Block sizes, by atom.
template <class Atom>
struct blocking {
  /// Registers of channels beside the block's rows: 2 fill the accumulators that `block_rows` leaves.
  static constexpr std::size_t registers = 2;
  /// How many of them the loop takes at once; the others follow with the same rows.
  static constexpr std::size_t registers_at_once = [] {
    if constexpr (requires { Atom::block_registers; })
      return Atom::block_registers;
    else
      return registers;
  }();
  /// Bytes of packed X that stay in the second-level cache while all weights pass by.
  static constexpr std::size_t x_bytes = 128 * 1024;

  /// The same where weights are looked up once for all rows that are packed together.
  static constexpr std::size_t looked_up_x_bytes = 256 * 1024;

  /// Rows of X that are packed together: as many as `bytes` hold, in whole blocks, at least 4 blocks.
  static constexpr std::size_t rows(std::size_t row_bytes, std::size_t bytes = x_bytes) {
    const std::size_t fitting = bytes / (std::max)(row_bytes, std::size_t{1}) / Atom::block_rows;
    return (std::max)(fitting, std::size_t{4}) * Atom::block_rows;
  }
};

namespace machine {

/// The atoms of the columns loop for few rows.
template <numeric X, numeric W>
struct gather_atom_list {
  using type = std::tuple<>;
};
template <integer_numeric X, integer_numeric W>
  requires(X::bits == 8 && W::bits == 8)
struct gather_atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX2
      gather4_avx2<X, W>,
#endif
      gather4_scalar<X, W>>;
};
template <numeric X, numeric W>
  requires(!X::is_integer && !W::is_integer)
struct gather_atom_list<X, W> {
  using type = std::tuple<
#if SPARQ_HAS_AVX2
      gather1_avx2<X, W>,
#endif
      gather1_scalar<X, W>>;
};

/// The atom that takes the place of `Atom` where X has one row.
template <class Atom>
struct one_row_atom {
  using type = Atom;
};
#if SPARQ_HAS_AVX2
template <integer_numeric X, integer_numeric W>
struct one_row_atom<dot4_avx2<X, W>> {
  using type = dot4_cut_avx2<X, W>;
};
#endif

}  // namespace machine

/// The atom that multiplies few rows of X by W packed in a column_shape.
template <numeric X, numeric W, class Shape>
using gather_atom_for =
    typename machine::first_fit<Shape, typename machine::gather_atom_list<X, machine::decoded_t<W>>::type>::type;

/// Block sizes of the columns loop.
struct column_blocking {
  /// Bytes of packed X, and decoded weights, that stay in the second-level cache together.
  static constexpr std::size_t x_bytes = 128 * 1024;
  static constexpr std::size_t chunk_codes = 48 * 1024;
  /// Blocks of X that are packed together: at least 4, for which the codes are decoded once.
  static constexpr std::size_t blocks(std::size_t block_bytes) {
    return (std::max)(x_bytes / (std::max)(block_bytes, std::size_t{1}), std::size_t{4});
  }
  /// Rows of X for which gathering beats a block whose lanes are mostly empty.
  static constexpr std::size_t gathered_rows = 2;
  /// Channels whose sums stay in the first-level cache.
  static constexpr std::size_t chunk_channels = 128;
};

SPARQ_ABI_END
}  // namespace sparq

#include <algorithm>
#include <cstddef>

namespace sparq {
SPARQ_ABI_BEGIN

/// The chunks of a packed tensor.
template <class Packed>
class column_chunks {
 public:
  using numeric_type = typename Packed::numeric_type;
  static constexpr std::size_t strip_channels = 16;
  static constexpr std::size_t strip_panels = strip_channels / Packed::panel_shape_type::channels;

  /// - `by_sections`: panels that are cut along k are decoded a section at a time
  explicit column_chunks(const Packed& w, bool by_sections = false)
      : w_(w), by_sections_(by_sections && may_go_by_sections && w.sections_per_panel() > 1) {
    for (std::size_t s = 0; s < strips(); ++s) largest_strip_ = (std::max)(largest_strip_, strip_codes(s));
  }

  std::size_t strips() const { return ceil_div(w_.shape().n, strip_channels); }
  std::size_t first_panel(std::size_t strip) const { return (std::min)(strip * strip_panels, w_.panels()); }

  /// Where in the stream of codes a panel starts.
  std::size_t first_code(std::size_t panel) const {
    if (w_.sections_per_panel() == 0) return 0;
    if (panel < w_.panels()) return static_cast<std::size_t>(w_.sections(panel).front().codes);
    const auto& last = w_.sections(w_.panels() - 1).back();
    return static_cast<std::size_t>(last.codes) + Packed::code_count(last);
  }
  /// The end of the chunk that starts with strip s and ends at s1 at the latest.
  std::size_t end(std::size_t s, std::size_t s1) const {
    std::size_t codes = strip_codes(s);
    std::size_t end = s + 1;
    while (end < s1 && (end + 1 - s) * strip_channels <= column_blocking::chunk_channels) {
      codes += strip_codes(end);
      if (codes > column_blocking::chunk_codes) break;
      ++end;
    }
    return end;
  }

  /// Whether codes are weights as they lie in memory.
  template <class Atom>
  static constexpr bool in_place = [] {
    if constexpr (has_tables<numeric_type>)
      return false;
    else
      return Atom::template in_place<numeric_type>;
  }();

  /// Whether a chunk is decoded section by section: then it has as many channels as for a short k, and X, which is long, is
  /// read no more often. Not with scales along k, whose sections are short, and not for codebooks.
  bool by_sections() const { return by_sections_; }
  static constexpr bool may_go_by_sections = !has_tables<numeric_type> && !scales_along_k_v<typename Packed::granularity>;

  /// Bytes of the buffer that decode needs.
  template <class Atom>
  std::size_t buffer_bytes() const {
    if (in_place<Atom>) return 0;
    const std::size_t codes = (std::max)(largest_strip_, column_blocking::chunk_codes);
    return round_up(codes * sizeof(typename Atom::weight), alignment);
  }
  /// Codes that share bytes, but no group begins inside one: they are unpacked many at a time, which is 15 times as fast as
  /// one by one.
  static constexpr bool groups_fill_bytes =
      numeric_type::bits < 8 && Packed::panel_shape_type::group_k * numeric_type::bits % 8 == 0;
  /// The weights of strips [s, end), in memory or decoded into the buffer. @pre !by_sections() or in_place<Atom>
  template <class Atom>
  const typename Atom::weight* decode(std::size_t s, std::size_t end, typename Atom::weight* buffer) const noexcept {
    const std::size_t first = first_code(first_panel(s));
    if constexpr (in_place<Atom>) {
      return reinterpret_cast<const typename Atom::weight*>(w_.codes().data()) + first;
    } else if constexpr (has_tables<numeric_type>) {
      using code_type = typename Packed::code_type;
      constexpr std::size_t group_k = Packed::panel_shape_type::group_k;
      const std::byte* codes = w_.codes().data();  // found once: a view reads where its arrays are
      const auto* tables = w_.table_of(0);
      const auto [n, k] = w_.shape();
      const auto look_up = [&, last = n - 1, extent = k](std::size_t channel, std::size_t code) SPARQ_LAMBDA_INLINE {
        const auto* table = tables + table_start<numeric_type>((std::min)(channel, last), 0, extent);
        typename Atom::weight* to = buffer + (code - first);
        typename code_type::code places[group_k];
        if constexpr (group_k * code_type::bits % 8 == 0)
          unpack_codes<code_type>(codes + storage_bytes<code_type>(code), places);
        else
          places[0] = load_code<code_type>(codes, code);
        SPARQ_UNROLL for (std::size_t i = 0; i < group_k; ++i)
          to[i] = static_cast<typename Atom::weight>(table[places[i] & (numeric_type::entries - 1)]);
      };
      w_.for_each_group(first_panel(s), first_panel(end), look_up);
      return buffer;
    } else {
      decode_codes<Atom>(first, first_code(first_panel(end)) - first, buffer);
      return buffer;
    }
  }
  /// The weights of section i of panels [first, last): those of panel p at to[p - first]. @pre may_go_by_sections
  template <class Atom>
  void decode_section(std::size_t first, std::size_t last, std::size_t i, typename Atom::weight* buffer,
                      const typename Atom::weight** to) const noexcept {
    for (std::size_t p = first; p < last; ++p) {
      if (!in_place<Atom> && p + 1 < last) fetch_section(p + 1, i);
      const auto begin = static_cast<std::size_t>(w_.sections(p)[i].codes);
      if constexpr (in_place<Atom>) {
        to[p - first] = reinterpret_cast<const typename Atom::weight*>(w_.codes().data()) + begin;
      } else {
        const std::size_t count = section_end(p, i) - begin;
        decode_codes<Atom>(begin, count, buffer);
        to[p - first] = buffer;
        buffer += count;
      }
    }
  }

 private:
  /// Codes [first, first + count) of the stream.
  template <class Atom>
  void decode_codes(std::size_t first, std::size_t count, typename Atom::weight* buffer) const noexcept {
    if constexpr (groups_fill_bytes) {
      typename numeric_type::code piece[512];
      for (std::size_t i = 0; i < count; i += 512) {
        const std::size_t codes = (std::min)(std::size_t{512}, count - i);
        unpack_codes<numeric_type>(w_.codes().data() + storage_bytes<numeric_type>(first + i), {piece, codes});
        for (std::size_t j = 0; j < codes; ++j) buffer[i + j] = static_cast<typename Atom::weight>(piece[j]);
      }
    } else {
      for (std::size_t i = 0; i < count; ++i)
        buffer[i] = static_cast<typename Atom::weight>(load_code<numeric_type>(w_.codes().data(), first + i));
    }
  }
  /// Asks for the codes of section i of a panel. They do not lie behind those of the panel before, so nothing else fetches
  /// them in time: 2 % of a product at k = 2304.
  void fetch_section(std::size_t panel, std::size_t i) const noexcept {
    const auto* codes = reinterpret_cast<const std::uint32_t*>(w_.codes().data());
    const std::size_t end = storage_bytes<numeric_type>(section_end(panel, i));
    for (std::size_t at = storage_bytes<numeric_type>(static_cast<std::size_t>(w_.sections(panel)[i].codes)); at < end; at += 64)
      machine::fetch_ahead(codes, at / sizeof *codes);
  }
  /// The end of the codes of section i of a panel.
  std::size_t section_end(std::size_t panel, std::size_t i) const {
    return i + 1 < w_.sections_per_panel() ? static_cast<std::size_t>(w_.sections(panel)[i + 1].codes) : first_code(panel + 1);
  }
  /// Codes of a strip that are decoded at once.
  std::size_t strip_codes(std::size_t s) const {
    if (!by_sections_) return first_code(first_panel(s + 1)) - first_code(first_panel(s));
    std::size_t most = 0;
    for (std::size_t i = 0; i < w_.sections_per_panel(); ++i) {
      std::size_t codes = 0;
      for (std::size_t p = first_panel(s); p < first_panel(s + 1); ++p)
        codes += section_end(p, i) - static_cast<std::size_t>(w_.sections(p)[i].codes);
      most = (std::max)(most, codes);
    }
    return most;
  }

  Packed w_;
  bool by_sections_;
  std::size_t largest_strip_ = 0;
};

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/column_loop.hpp ====
// What surrounds the columns loop: blocks of X that are packed k-major, weights that are decoded once for many rows, and
// sums that are turned back into rows of Y.
//
//   for each super-block of rows:                     // X fits into the second-level cache
//     pack X: [block of rows][k][row]
//     for each chunk of channels:                     // decoded weights fit beside it
//       decode the chunk's codes
//       for each block of rows:  for each section of k:  for each panel of the chunk:  add_section
//         for each 16 channels:  transpose the sums -> epilogue -> Y
//
// Panels that are cut along k for the first-level cache go by sections instead: a chunk keeps the sums of all its blocks.
//
//       for each section of k:
//         decode the section's codes
//         for each block of rows:  for each panel of the chunk:  add_section

// ==== sparq/kernel/columns.hpp ====
// The `columns` loop: vector lanes are rows of X, X is k-major, one weight is broadcast. Written once, over atoms and
// panel shapes.
//
//   for each step (column_steps.hpp):                 // one straight loop without a branch for each
//     for each group of the step: for each set of channels of the step:
//       x = load(group_k k's of the list)             // shared by the channels of the set
//       for each channel of the set:  sums[channel] += w * x

#include <cstddef>
#include <cstdint>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// One group of k's for one set of channels.
template <class Atom, std::size_t Set, std::size_t Channels, std::size_t V>
SPARQ_INLINE void add_group(typename Atom::acc (&sums)[Channels][V], const typename Atom::packed_x* x,
                            const std::uint16_t*& list, const typename Atom::weight*& w) {
  const auto group = Atom::template load<V>(x, list);
  list += Atom::group_k;
  SPARQ_UNROLL for (std::size_t c = 0; c < Channels; ++c)
    if (Set >> c & 1) {
      Atom::template add<V>(sums[c], w, group);
      w += Atom::group_k;
    }
}

/// All groups of one step.
template <class Atom, std::size_t Step, std::size_t Channels, std::size_t V>
SPARQ_INLINE void run_step(typename Atom::acc (&sums)[Channels][V], std::size_t groups,
                           const typename Atom::packed_x* x, const std::uint16_t*& list,
                           const typename Atom::weight*& w) {
  constexpr column_step step = column_steps<Channels>::all[Step];
  SPARQ_KEEP_LOOP for (std::size_t g = 0; g < groups; ++g)
    [&]<std::size_t... J>(std::index_sequence<J...>) SPARQ_LAMBDA_INLINE {
      (add_group<Atom, step.sets[J], Channels, V>(sums, x, list, w), ...);
    }(std::make_index_sequence<step.count>{});
}

}  // namespace machine

/// Adds one section of a panel to its sums.
/// - `x`: block of X at the section's first k; `lists`, `weights`: of the section, decoded
/// - `tile`: Channels rows of sums, `ldt` elements apart; the first V * lanes of each are updated
template <class Atom, std::size_t Channels, std::size_t V>
SPARQ_APART void add_section(const column_section<Channels>& section, const typename Atom::packed_x* x,
                             const std::uint16_t* lists, const typename Atom::weight* weights,
                             typename Atom::acc_type* tile, std::size_t ldt) noexcept {
  SPARQ_ALIGN_FRAME;
  typename Atom::acc sums[Channels][V];
  SPARQ_UNROLL for (std::size_t c = 0; c < Channels; ++c) {
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) sums[c][v] = Atom::load_sums(tile + c * ldt + v * Atom::lanes);
  }
  [&]<std::size_t... S>(std::index_sequence<S...>) SPARQ_LAMBDA_INLINE {
    (machine::run_step<Atom, S, Channels, V>(sums, section.groups[S], x, lists, weights), ...);
  }(std::make_index_sequence<column_steps<Channels>::count>{});
  SPARQ_UNROLL for (std::size_t c = 0; c < Channels; ++c) {
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) Atom::store_sums(tile + c * ldt + v * Atom::lanes, sums[c][v]);
  }
}

namespace machine {

template <class Atom, std::size_t Step, std::size_t Channels>
SPARQ_INLINE void gather_step(std::size_t groups, const typename Atom::packed_x* x, const std::uint16_t*& list,
                              const typename Atom::weight*& w, typename Atom::acc_type* sums) {
  constexpr column_step step = column_steps<Channels>::all[Step];
  constexpr std::size_t total = column_steps<Channels>::members(Step);
  if (groups == 0) return;
  typename Atom::template step_sums<step.count, total / step.count> step_sums;
  step_sums.add(groups, x, list, w);
  list += groups * step.count * Atom::group_k;
  w += groups * total * Atom::group_k;
  std::size_t next = 0;
  for (std::size_t set = 0; set < step.count; ++set)
    for (std::size_t c = 0; c < Channels; ++c)
      if (step.sets[set] >> c & 1) sums[c] += step_sums.channel(next++);
}

}  // namespace machine

/// Adds one section of a panel for one row of X: the lanes hold k's, X is gathered.
/// - `x`: the packed row at the section's first k; `sums`: of the panel's channels, updated
template <class Atom, std::size_t Channels>
void gather_section(const column_section<Channels>& section, const typename Atom::packed_x* x,
                    const std::uint16_t* lists, const typename Atom::weight* weights,
                    typename Atom::acc_type* sums) noexcept {
  [&]<std::size_t... S>(std::index_sequence<S...>) SPARQ_LAMBDA_INLINE {
    (machine::gather_step<Atom, S, Channels>(section.groups[S], x, lists, weights, sums), ...);
  }(std::make_index_sequence<column_steps<Channels>::count>{});
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/gather_loop.hpp ====
// The columns loop for few rows of X: lanes hold k's of one row. It reads the same packed weights as column_loop.

// ==== sparq/kernel/section_scaling.hpp ====
// Scales along k in the columns loop: a section of a panel has one scale for each channel. Its sums are converted,
// scaled and added to floats, section by section, in the order of k: what the rows loop does, with the same roundings.

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// to[i] += float(sums[i] + correction) * scale, for `count` sums of one channel.
template <class Acc>
SPARQ_INLINE void add_scaled(const Acc* sums, std::size_t count, std::int32_t correction, float scale, float* to) {
  for (std::size_t i = 0; i < count; i += 16) {
    const std::size_t lanes = (std::min)(count - i, std::size_t{16});
    const vec<float> before = vec<float>::load(to + i, lanes);
    if constexpr (std::is_same_v<Acc, float>)
      multiply_add(vec<float>::load(sums + i, lanes), vec<float>(scale), before).store(to + i, lanes);
    else
      multiply_add(to_f32(vec<std::int32_t>::load(sums + i, lanes) + vec<std::int32_t>(correction)), vec<float>(scale),
                   before)
          .store(to + i, lanes);
  }
}

/// The scales and weight sums of a tensor whose scales run along k, section by section.
template <class Packed>
struct section_scaling {
  static constexpr std::size_t channels = Packed::panel_shape_type::channels;
  const float* scales;
  const std::int32_t* sums;
  std::size_t sections;
  std::int32_t factor;  // true sum = accumulator + factor * (sum of the section's weights)

  section_scaling(const Packed& w, std::int32_t sum_factor)
      : scales(w.scales().data()), sums(w.weight_sums().data()), sections(w.sections_per_panel()), factor(sum_factor) {}

  /// Adds the sums of section s of panel p: `count` of each channel, `stride` elements apart in both.
  template <class Acc>
  void add(std::size_t p, std::size_t s, const Acc* acc, std::size_t stride, std::size_t count, float* to) const {
    const std::size_t first = (p * sections + s) * channels;
    for (std::size_t c = 0; c < channels; ++c)
      add_scaled(acc + c * stride, count, Packed::numeric_type::is_integer ? factor * sums[first + c] : 0,
                 scales[first + c], to + c * stride);
  }
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#include <algorithm>
#include <cstddef>

namespace sparq {
SPARQ_ABI_BEGIN

/// One operation of few rows; see panel_loop.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
class gather_loop {
 public:
  using x_code = typename Atom::x_code;
  using packed_x = typename Atom::packed_x;
  using weight = typename Atom::weight;
  using acc_type = typename Atom::acc_type;
  using chunks = column_chunks<Packed>;
  static constexpr std::size_t channels = Packed::panel_shape_type::channels;

  static constexpr bool is_grouped = scales_along_k_v<typename Packed::granularity>;
  using sum_type = std::conditional_t<is_grouped, float, acc_type>;

  gather_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages, std::int32_t zero_point = 0)
      : w_(w), source_(source), y_(y), stages_(stages), chunks_(w), scaling_(w, -zero_point) {}

  std::size_t scratch_bytes(std::size_t m) const {
    return x_bytes(m) + gathered_bytes() + chunks_.template buffer_bytes<Atom>() + tile_bytes(m);
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    const std::size_t rows = m1 - m0;
    auto* x = reinterpret_cast<packed_x*>(scratch);
    std::byte* gathered = scratch + x_bytes(rows);
    auto* buffer = reinterpret_cast<weight*>(gathered + gathered_bytes());
    auto* tile = reinterpret_cast<sum_type*>(reinterpret_cast<std::byte*>(buffer) +
                                             chunks_.template buffer_bytes<Atom>());
    pack_x(m0, rows, x, reinterpret_cast<x_code*>(gathered));
    for (std::size_t s = s0; s < s1;) {
      const std::size_t end = chunks_.end(s, s1);
      const weight* weights = chunks_.template decode<Atom>(s, end, buffer);
      const std::size_t first = chunks_.first_code(chunks_.first_panel(s));
      for (; s < end; ++s) {
        std::fill_n(tile, rows * chunks::strip_channels, sum_type{});
        for (std::size_t p = chunks_.first_panel(s); p < chunks_.first_panel(s + 1); ++p)
          for (std::size_t i = 0; i < w_.sections_per_panel(); ++i)
            for (std::size_t r = 0; r < rows; ++r)
              add_section(p, i, x + r * row_stride(), weights - first,
                          tile + r * chunks::strip_channels + (p - chunks_.first_panel(s)) * channels);
        const std::size_t channel = s * chunks::strip_channels;
        store_tile(tile, chunks::strip_channels, rows, (std::min)(chunks::strip_channels, w_.shape().n - channel), 0, y_,
                   lane_position{m0, channel, 0, w_.weight_sums().data()}, stages_);
      }
    }
  }

 private:
  std::size_t row_stride() const { return round_up(w_.shape().k + 64, 64); }
  std::size_t x_bytes(std::size_t m) const { return m * row_stride() * sizeof(packed_x); }
  std::size_t gathered_bytes() const {
    return Source::in_memory && !Source::is_k_major ? 0 : round_up(row_stride() * sizeof(x_code), alignment);
  }
  static std::size_t tile_bytes(std::size_t m) { return m * chunks::strip_channels * sizeof(acc_type); }

  void add_section(std::size_t panel, std::size_t i, const packed_x* x, const weight* weights,
                   sum_type* sums) const noexcept {
    const auto& section = w_.sections(panel)[i];
    const auto gather = [&](acc_type* to) {
      gather_section<Atom, channels>(section, x + section.first_k, w_.lists().data() + section.lists,
                                     weights + section.codes, to);
    };
    if constexpr (is_grouped) {
      acc_type unscaled[channels] = {};
      gather(unscaled);
      scaling_.add(panel, i, unscaled, 1, 1, sums);
    } else {
      gather(sums);
    }
  }

  void pack_x(std::size_t m, std::size_t rows, packed_x* x, x_code* gathered) const noexcept {
    const std::size_t k = w_.shape().k;
    if constexpr (Source::is_k_major) {
      for (std::size_t r = 0; r < rows; ++r) {
        source_.row(m + r, gathered);
        Atom::pack_row(gathered, k, x + r * row_stride());
      }
    } else {
      auto cursor = source_.start(m);
      for (std::size_t r = 0; r < rows; ++r) Atom::pack_row(cursor.next(gathered), k, x + r * row_stride());
    }
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  chunks chunks_;
  machine::section_scaling<Packed> scaling_;
};

SPARQ_ABI_END
}  // namespace sparq

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

namespace sparq {
SPARQ_ABI_BEGIN

/// One operation: everything the loop needs besides its range. Strips are 16 channels, the unit in which work is divided.
/// A Y of very few rows is left to gather_loop.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
class column_loop {
 public:
  using x_code = typename Atom::x_code;
  using packed_x = typename Atom::packed_x;
  using weight = typename Atom::weight;
  using acc_type = typename Atom::acc_type;
  using numeric_type = typename Packed::numeric_type;
  static constexpr std::size_t channels = Packed::panel_shape_type::channels;
  using chunks = column_chunks<Packed>;
  static constexpr std::size_t strip_channels = chunks::strip_channels;
  static constexpr std::size_t block_rows = Atom::lanes * Atom::registers;
  static constexpr std::size_t block_channels = channels;
  using gather_atom = gather_atom_for<numeric_of_t<x_code>, numeric_type, typename Packed::panel_shape_type>;

  /// Scales along k: sums are scaled section by section and end as floats.
  static constexpr bool is_grouped = scales_along_k_v<typename Packed::granularity>;
  using sum_type = std::conditional_t<is_grouped, float, acc_type>;

  /// - `zero_point`: as in panel_loop
  column_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages, std::int32_t zero_point = 0)
      : w_(w), source_(source), y_(y), stages_(stages), chunks_(w, true), gather_(w, source, y, stages, zero_point),
        scaling_(w, Atom::weight_sum_factor - zero_point) {
    gathers_ = y.rows <= column_blocking::gathered_rows;
    cached_rows_ = column_blocking::blocks(x_k() * block_rows * sizeof(packed_x)) * block_rows;
  }

  std::string_view loop_name() const { return gathers_ ? "columns, gathering" : "columns"; }
  std::string_view atom_name() const { return gathers_ ? gather_atom::name : Atom::name; }
  /// How rows of X reach the atom.
  std::string x_access() const {
    const std::string text = Source::access;
    const std::size_t element_bytes = gathers_ ? sizeof(typename gather_atom::packed_x) : sizeof(packed_x);
    return text + (Source::is_k_major || gathers_ ? "copied" : "transposed") +
           (element_bytes > sizeof(x_code) ? " and widened to 16 bits" : "");
  }
  std::size_t cached_rows() const { return cached_rows_; }
  std::size_t strips() const { return chunks_.strips(); }

  /// Bytes of scratch that one part of the work needs, a multiple of 64.
  std::size_t scratch_bytes(std::size_t m) const {
    if (gathers_) return gather_.scratch_bytes(m);
    return x_bytes(m) + gathered_bytes() + chunks_.template buffer_bytes<Atom>() + tile_bytes(m);
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    if (gathers_) return gather_.run(m0, m1, s0, s1, scratch);
    auto* x = reinterpret_cast<packed_x*>(scratch);
    auto* gathered = reinterpret_cast<x_code*>(scratch + x_bytes(m1 - m0));
    auto* weights = reinterpret_cast<weight*>(reinterpret_cast<std::byte*>(gathered) + gathered_bytes());
    auto* tile = reinterpret_cast<sum_type*>(reinterpret_cast<std::byte*>(weights) +
                                             chunks_.template buffer_bytes<Atom>());
    for (std::size_t m = m0; m < m1; m += cached_rows_) {
      const std::size_t rows = (std::min)(cached_rows_, m1 - m);
      pack_x(m, rows, x, gathered);
      for (std::size_t s = s0; s < s1;) {
        const std::size_t end = chunks_.end(s, s1);
        run_chunk(m, rows, s, end, x, weights, tile);
        s = end;
      }
    }
  }

 private:
  std::size_t x_bytes(std::size_t m) const {
    const std::size_t blocks = ceil_div((std::min)(m, cached_rows_), block_rows);
    return round_up(blocks * x_k() * block_rows * sizeof(packed_x), alignment);
  }
  /// k's of a block of X: whole runs.
  std::size_t x_k() const { return round_up(w_.shape().k, run_of_v<Atom>); }
  std::size_t gathered_bytes() const {
    return Source::in_memory ? 0 : round_up(gathered_stride() * block_rows * sizeof(x_code), alignment);
  }
  /// 64 elements more than k: gathering touches whole registers.
  std::size_t gathered_stride() const { return w_.shape().k + 64; }
  /// Sums of a chunk for one block, or for all where it goes by sections, and of 16 channels as rows of Y.
  std::size_t tile_bytes(std::size_t m) const {
    const std::size_t blocks = chunks_.by_sections() ? ceil_div((std::min)(m, cached_rows_), block_rows) : 1;
    return (blocks * column_blocking::chunk_channels + strip_channels) * block_rows * sizeof(acc_type);
  }

  /// Rows beyond the last repeat it: their sums are never stored.
  void pack_x(std::size_t m, std::size_t rows, packed_x* x, x_code* gathered) const noexcept {
    const std::size_t k = w_.shape().k;
    if constexpr (Source::is_k_major) {
      source_.template pack<Atom>(m, rows, k, x);
    } else {
      auto cursor = source_.start(m);
      for (std::size_t r = 0; r < rows; r += block_rows, x += x_k() * block_rows) {
        const x_code* block[block_rows];
        for (std::size_t i = 0; i < block_rows; ++i)
          block[i] = r + i < rows ? cursor.next(gathered + (Source::in_memory ? 0 : i * gathered_stride())) : block[i - 1];
        Atom::pack_rows(block, k, x);
      }
    }
  }

  void run_chunk(std::size_t m, std::size_t rows, std::size_t s, std::size_t end, const packed_x* x, weight* buffer,
                 sum_type* tile) const noexcept {
    if constexpr (chunks::may_go_by_sections) {
      if (chunks_.by_sections()) return run_chunk_by_sections(m, rows, s, end, x, buffer, tile);
    }
    const std::size_t first_panel = chunks_.first_panel(s);
    const std::size_t last_panel = chunks_.first_panel(end);
    const weight* weights = chunks_.template decode<Atom>(s, end, buffer);
    const std::size_t first = chunks_.first_code(first_panel);
    sum_type* rows_of_y = tile + column_blocking::chunk_channels * block_rows;
    for (std::size_t r = 0; r < rows; r += block_rows, x += x_k() * block_rows) {
      const std::size_t height = (std::min)(block_rows, rows - r);
      std::memset(tile, 0, (end - s) * strip_channels * block_rows * sizeof(acc_type));
      for (std::size_t i = 0; i < w_.sections_per_panel(); ++i)
        for (std::size_t p = first_panel; p < last_panel; ++p) {
          const auto& section = w_.sections(p)[i];
          const packed_x* at = x + section.first_k * block_rows;
          const std::uint16_t* lists = w_.lists().data() + section.lists;
          sum_type* sums = tile + (p - first_panel) * channels * block_rows;
          if constexpr (is_grouped) {
            alignas(alignment) acc_type unscaled[channels * block_rows] = {};
            add(height, section, at, lists, weights + (section.codes - first), unscaled);
            scaling_.add(p, i, unscaled, block_rows, (std::min)(block_rows, round_up(height, 16)), sums);
          } else {
            add(height, section, at, lists, weights + (section.codes - first), sums);
          }
        }
      store_chunk(m + r, height, s, end, tile, rows_of_y);
    }
  }

  void run_chunk_by_sections(std::size_t m, std::size_t rows, std::size_t s, std::size_t end, const packed_x* x,
                             weight* buffer, sum_type* tiles) const noexcept {
    const std::size_t first_panel = chunks_.first_panel(s);
    const std::size_t last_panel = chunks_.first_panel(end);
    const std::size_t tile_sums = (end - s) * strip_channels * block_rows;
    const std::size_t blocks = ceil_div(rows, block_rows);
    std::memset(tiles, 0, blocks * tile_sums * sizeof(sum_type));
    const weight* weights[column_blocking::chunk_channels / channels];
    for (std::size_t i = 0; i < w_.sections_per_panel(); ++i) {
      chunks_.template decode_section<Atom>(first_panel, last_panel, i, buffer, weights);
      for (std::size_t b = 0; b < blocks; ++b)
        for (std::size_t p = first_panel; p < last_panel; ++p) {
          const auto& section = w_.sections(p)[i];
          add((std::min)(block_rows, rows - b * block_rows), section, x + (b * x_k() + section.first_k) * block_rows,
              w_.lists().data() + section.lists, weights[p - first_panel],
              tiles + b * tile_sums + (p - first_panel) * channels * block_rows);
        }
    }
    sum_type* rows_of_y = tiles + blocks * column_blocking::chunk_channels * block_rows;
    for (std::size_t b = 0; b < blocks; ++b)
      store_chunk(m + b * block_rows, (std::min)(block_rows, rows - b * block_rows), s, end, tiles + b * tile_sums, rows_of_y);
  }

  /// Sums of the strips [s, end) of one block -> rows [m, m + height) of Y.
  void store_chunk(std::size_t m, std::size_t height, std::size_t s, std::size_t end, const sum_type* tile,
                   sum_type* rows_of_y) const noexcept {
    for (std::size_t strip = s; strip < end; ++strip) {
      const std::size_t channel = strip * strip_channels;
      machine::transpose_16(tile + (channel - s * strip_channels) * block_rows, block_rows, height, rows_of_y);
      store_tile(rows_of_y, strip_channels, height, (std::min)(strip_channels, w_.shape().n - channel),
                 is_grouped ? 0 : Atom::weight_sum_factor, y_, lane_position{m, channel, 0, w_.weight_sums().data()}, stages_);
    }
  }

  /// As many registers as the block has rows for.
  static void add(std::size_t height, const typename Packed::section& section, const packed_x* x,
                  const std::uint16_t* lists, const weight* weights, acc_type* tile) noexcept {
    if constexpr (Atom::registers >= 2) {
      if (height <= Atom::lanes)
        return add_section<Atom, channels, 1>(section, x, lists, weights, tile, block_rows);
    }
    if constexpr (Atom::registers >= 4) {
      if (height <= 2 * Atom::lanes)
        return add_section<Atom, channels, 2>(section, x, lists, weights, tile, block_rows);
    }
    add_section<Atom, channels, Atom::registers>(section, x, lists, weights, tile, block_rows);
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  chunks chunks_;
  gather_loop<Packed, gather_atom, Source, Y, Epilogue> gather_;
  machine::section_scaling<Packed> scaling_;
  bool gathers_ = false;
  std::size_t cached_rows_ = 0;
};

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/executor.hpp ====
// Who runs the parts of an operation. The library starts no threads: an executor is an argument, and no result depends
// on which one.

#include <concepts>
#include <cstddef>

namespace sparq {

/// `concurrency()`: into how many parts to cut the work, at least 1.
/// `parallel_for(parts, f)`: calls f(0) .. f(parts - 1), once each, in any order or at the same time, and returns when
/// all are done. f does not throw.
template <class E>
concept executor = requires(E& e, void (*f)(std::size_t)) {
  { e.concurrency() } -> std::convertible_to<std::size_t>;
  e.parallel_for(std::size_t{1}, f);
};

/// Runs everything in the calling thread.
struct serial_executor {
  static constexpr std::size_t concurrency() { return 1; }
  template <class F>
  static void parallel_for(std::size_t parts, F&& f) {
    for (std::size_t part = 0; part < parts; ++part) f(part);
  }
};
inline constexpr serial_executor serial{};

}  // namespace sparq

// ==== sparq/kernel/expand_loop.hpp ====
// The rows loop over weights that are packed as a bitmask: pieces of some strips are expanded to words in the first-level
// cache, where all rows of X meet them. Only bits and non-zero codes come from memory, which is what few rows wait for.
//
//   for each block of rows:                       // packed X stays in the second-level cache
//     for each few strips:  for each section:     // 16 KB of words
//       decode, if codes are no whole bytes; expand -> words
//       for each block_rows rows:  rows_block -> sums
//     epilogue -> Y

// ==== sparq/kernel/rows.hpp ====
// The `rows` loop: vector lanes are output channels, X is row-major, one word of X is broadcast. Written once, over the
// four policies; everything that differs between formats, numeric types and CPUs is an argument.
//
//   for each load group:   w[j] = decode(load(words))             // j: registers of channels, amortised over the rows
//     for each row r:      x = broadcast(X[r] + k of the group)   // or a permute of the window of X
//       for each j:        acc[r][j] = dot(acc[r][j], w[j], x)

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

/// The weights of one block: some registers of channels of one panel.
struct block_weights {
  const std::uint32_t* words = nullptr;     // first channel of the block, first load group
  std::size_t strip_words = 0;              // from one strip to the next
  const index_t* addresses = nullptr;       // runs: first k of every group
  const std::uint8_t* selects = nullptr;    // N:M patterns: positions of the first group
  std::size_t strip_selects = 0;            // from one strip to the next
  std::size_t groups = 0;
  std::size_t ahead = 0;                    // words to the next block, which is asked for in time; 0: it is not
  std::size_t selects_ahead = 0;            // positions to those of the next block
};

namespace machine {

template <std::size_t... I, class F>
SPARQ_INLINE void for_constants(std::index_sequence<I...>, F&& f) {
  (f(std::integral_constant<std::size_t, I>{}), ...);
}

/// How one instance of the loop reads X.
template <class Atom, class KMap, class RowSelect>
struct x_reader {
  using window = detail::window_of<RowSelect, KMap, Atom::group_k>;
  static constexpr bool is_runs = std::is_same_v<KMap, runs>;
  static constexpr bool is_shared = window::positions_per_group != 0 && !window::is_private;
  static constexpr bool is_private = window::positions_per_group != 0 && window::is_private;
  /// Elements of X that a permute chooses from: two windows where joined groups may lie in different ones.
  static constexpr std::size_t reach = window::window * (window::groups % joined_groups_v<Atom> == 0 ? 1 : 2);

  /// Element of a packed row where group g, or its window, starts.
  static SPARQ_INLINE std::size_t start(const block_weights& w, std::size_t g) {
    if constexpr (is_runs)
      return packed_elements<Atom>(w.addresses[g]);
    else if constexpr (window::positions_per_group != 0)
      return packed_elements<Atom>(g / window::groups * window::window);
    else
      return g * group_elements<Atom>;
  }
  /// What tells selectors and broadcasts which x's belong to group g: the step, or where the group joined to it is.
  template <std::size_t Channels>
  static SPARQ_INLINE auto place([[maybe_unused]] const block_weights& w, [[maybe_unused]] std::size_t g, std::size_t step) {
    if constexpr (joined_groups_v<Atom> == 1)
      return step;
    else
      return second_group{static_cast<std::ptrdiff_t>(start(w, g + 1) - start(w, g)), Channels};
  }
  template <class Place>
  static SPARQ_INLINE typename Atom::x_word broadcast(const typename Atom::packed_x* x, [[maybe_unused]] const Place& place) {
    if constexpr (is_runs && joined_groups_v<Atom> > 1)
      return Atom::broadcast(x, place);
    else
      return Atom::broadcast(x);
  }
};

/// A permute of one chunk of a window; atoms whose packed rows are two planes are told how far apart those are.
template <class Atom, class Selector, class Control>
SPARQ_INLINE auto select_x(const typename Atom::packed_x* x, [[maybe_unused]] std::size_t ldx, const Control& control) {
  if constexpr (in_planes<Atom>)
    return Selector::select(x, ldx / 2, control);
  else
    return Selector::select(x, control);
}

/// Where the span of each of a group's positions starts in their window, four bytes.
template <class Window>
inline constexpr std::uint32_t first_positions = [] {
  std::uint32_t result = 0;
  for (std::size_t i = 0; i < Window::positions_per_group; ++i) {
    const std::size_t span = i / Window::kept;
    if (span < Window::spans) result |= static_cast<std::uint32_t>(span * Window::position_reach) << (8 * i);
  }
  return result;
}();

}  // namespace machine

namespace machine {

/// Where register j of a block starts: its strip, and the channel in it.
template <class Atom, class Shape>
struct block_register {
  static_assert(Shape::channels % Atom::lanes == 0,
                "sparq: a strip holds whole registers of channels; choose another panel_shape");
  static constexpr std::size_t strip(std::size_t j) { return j * Atom::lanes / Shape::channels; }
  static constexpr std::size_t lane(std::size_t j) { return j * Atom::lanes % Shape::channels; }
};

/// Adds the products of groups [first, end) to R x V accumulators.
/// - `words`: those of group `first`
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_INLINE void add_groups(typename Atom::acc (&acc)[R][V], const typename Atom::packed_x* x, std::size_t ldx,
                             const block_weights& w, const std::uint32_t* words, std::size_t first_group,
                             std::size_t end) {
  using reader = x_reader<Atom, KMap, RowSelect>;
  using loader = typename Atom::template loader<N>;
  using block = block_register<Atom, Shape>;
  constexpr std::size_t steps = Atom::steps;
  constexpr std::size_t loaded = loader::groups, turns = loaded / joined_groups_v<Atom>;
  constexpr bool in_turn = rows_in_turn_v<Atom> && R * V > 4;
  [[maybe_unused]] constexpr bool row_by_row = SPARQ_HAS_AVX512 && Atom::lanes == 16 && R * V > 8;
  // positions of narrow fields, unpacked for all groups that share a byte
  constexpr std::size_t shared = reader::window::groups_per_byte;
  [[maybe_unused]] alignas(64) std::uint8_t unpacked[reader::is_private ? V : 1][shared][Atom::lanes * Atom::group_k];

  [[maybe_unused]] const while_adding_t<Atom> scope;
  SPARQ_KEEP_LOOP for (std::size_t g0 = first_group; g0 < end; g0 += loaded) {
    if constexpr (fetches_ahead<Atom, N, R, reader::is_private>) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j)
        if (block::lane(j) == 0) fetch_ahead(words + block::strip(j) * w.strip_words, w.ahead);
    }
    if constexpr (reader::is_private && shared == 1 && fetches_ahead<Atom, N, R, true>) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j)
        if (block::lane(j) == 0)
          fetch_ahead(w.selects + block::strip(j) * w.strip_selects + g0 * Shape::channels * Atom::group_k, w.selects_ahead);
    }
    if constexpr (holds_x<Atom, N, R, V, reader::is_shared || reader::is_private>) {
      typename Atom::x_word xs[turns * steps];
      SPARQ_UNROLL for (std::size_t i = 0; i < turns * steps; ++i) {
        const std::size_t g = g0 + group_of_turn<Atom>(i / steps, loaded), step = i % steps;
        xs[i] = reader::broadcast(x + reader::start(w, g) + step * (group_elements<Atom> / steps),
                                  reader::template place<Shape::channels>(w, g, step));
      }
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
        const typename loader::raw raw = loader::load(words + block::strip(j) * w.strip_words + block::lane(j));
        for_constants(std::make_index_sequence<turns * steps>{}, [&](auto i) SPARQ_LAMBDA_INLINE {
          constexpr std::size_t at = decltype(i)::value;
          acc[0][j] = Atom::dot(
              acc[0][j], loader::template decode<group_of_turn<Atom>(at / steps, loaded) * steps + at % steps>(raw), xs[at]);
        });
      }
    } else for_constants(std::make_index_sequence<turns>{}, [&](auto turn) SPARQ_LAMBDA_INLINE {
      constexpr std::size_t group = group_of_turn<Atom>(decltype(turn)::value, loaded);
      const std::size_t g = g0 + group;
      const typename Atom::packed_x* at = x + reader::start(w, g);
      if constexpr (reader::is_private && shared > 1)
        if (g % shared == 0 || g == first_group)
          SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
            const std::uint8_t* selects = w.selects + block::strip(j) * w.strip_selects +
                                          (g / shared * Shape::channels + block::lane(j)) * Atom::group_k;
            if constexpr (fetches_ahead<Atom, N, R, true>)
              if (block::lane(j) == 0) fetch_ahead(selects, w.selects_ahead);
            unpack_positions<8 / shared>(selects, first_positions<typename reader::window>, unpacked[j]);
          }
      for_constants(std::make_index_sequence<steps>{}, [&](auto step) SPARQ_LAMBDA_INLINE {
        typename Atom::w_word word[V];
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) word[j] = loader::template decode<group * steps + step>(
            loader::load(words + block::strip(j) * w.strip_words + block::lane(j)));
        if constexpr (in_turn)
          SPARQ_LOAD_AFTER(acc[R - 1][V - 1], words);
        else if constexpr (R * V > 4)  // few sums leave registers to the words
          SPARQ_LOAD_AGAIN(words);
        [[maybe_unused]] const auto place = reader::template place<Shape::channels>(w, g, step);
        if constexpr (reader::is_shared || reader::is_private) {
          using selector = typename Atom::template selector<reader::reach>;
          constexpr std::size_t controls = reader::is_private ? V : 1;
          decltype(selector::make(w.selects, place, 0)) control[controls][selector::chunks];
          SPARQ_UNROLL for (std::size_t j = 0; j < controls; ++j) {
            SPARQ_UNROLL for (std::size_t c = 0; c < selector::chunks; ++c) {
              if constexpr (reader::is_private && shared > 1)
                control[j][c] = selector::make(unpacked[j][g % shared], place, c);
              else if constexpr (reader::is_private)
                control[j][c] = selector::make(w.selects + block::strip(j) * w.strip_selects +
                                                   (g * Shape::channels + block::lane(j)) * Atom::group_k,
                                               place, c);
              else
                control[j][c] = selector::make_shared(w.selects + g * Atom::group_k, place, c);
            }
          }
          constexpr bool one_by_one = row_by_row && (joined_groups_v<Atom> == 1 || !reader::is_private);
          [[maybe_unused]] const typename Atom::packed_x* next = at;
          SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
            if constexpr (one_by_one)
              if (r != 0) SPARQ_NEXT_ROW(next, ldx);
            const typename Atom::packed_x* row = one_by_one ? next : at + r * ldx;
            SPARQ_UNROLL for (std::size_t j = 0; j < controls; ++j) {
              auto xs = select_x<Atom, selector>(row, ldx, control[j][0]);
              SPARQ_UNROLL for (std::size_t c = 1; c < selector::chunks; ++c) {
                if constexpr (selector::chunks > 1)
                  xs = selector::combine(xs, select_x<Atom, selector>(row + c * selector::chunk, ldx, control[j][c]));
              }
              if constexpr (reader::is_private) {
                acc[r][j] = Atom::dot(acc[r][j], word[j], xs);
              } else {
                SPARQ_UNROLL for (std::size_t i = 0; i < V; ++i) acc[r][i] = Atom::dot(acc[r][i], word[i], xs);
              }
            }
          }
        } else {
          const typename Atom::packed_x* first = at + step * (group_elements<Atom> / steps);
          [[maybe_unused]] const typename Atom::packed_x* next = first;
          SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
            if constexpr (row_by_row)
              if (r != 0) SPARQ_NEXT_ROW(next, ldx);
            typename Atom::x_word xs = reader::broadcast(row_by_row ? next : first + r * ldx, place);
            if constexpr (in_turn)
              if (r != 0) SPARQ_KEEP_TURN(acc[r - 1][V - 1], xs);
            SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[r][j] = Atom::dot(acc[r][j], word[j], xs);
          }
        }
      });
    });
    words += Shape::channels * words_per_group_v<N, Shape>;
  }
}

}  // namespace machine

/// Multiplies R rows of X by V registers of channels and stores the sums.
/// - `x`: R packed rows, `ldx` elements apart (the atom's pack_row)
/// - `tile`: R x (V * lanes) accumulators, `ldt` elements apart, overwritten
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_APART void rows_block(const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                            typename Atom::acc_type* tile, std::size_t ldt) noexcept {
  SPARQ_ALIGN_FRAME;
  constexpr std::size_t loaded = Atom::template loader<N>::groups;
  constexpr bool in_parts = machine::groups_at_once<Atom> != 0;
  std::size_t first = 0;
  do {  // one part of the groups after the other; most atoms take all of them at once
    const std::size_t end = machine::end_of_part<Atom, loaded>(first, w.groups);
    typename Atom::acc acc[R][V];                                                          // ((rows), (registers))
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[r][j] = Atom::zero();
    }
    const std::uint32_t* words = w.words + first / loaded * Shape::channels * words_per_group_v<N, Shape>;
    machine::add_groups<Atom, N, Shape, KMap, RowSelect, R, V>(acc, x, ldx, w, words, first, end);
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
        auto* to = tile + r * ldt + j * Atom::lanes;
        if constexpr (in_parts) {
          if (first != 0)
            Atom::add(to, acc[r][j]);
          else
            Atom::store(to, acc[r][j]);
        } else {
          Atom::store(to, acc[r][j]);
        }
      }
    }
    first = end;
  } while (in_parts && first < w.groups);
}

namespace machine {

/// Block heights that are compiled, as far as an atom has registers for them; the loop covers any m.
using block_heights = std::index_sequence<12, 8, 6, 4, 3, 2, 1>;

}  // namespace machine

/// The height of the next block when `rows` are left: the most that fits, but never so that a single row remains, which
/// would stream all weights for one row.
template <class Atom>
constexpr std::size_t next_block_height(std::size_t rows) {
  return [&]<std::size_t... H>(std::index_sequence<H...>) {
    std::size_t height = 1;
    ((height = H <= Atom::block_rows && H <= rows && rows - H != 1 && H > height ? H : height), ...);
    return height;
  }(machine::block_heights{});
}

namespace machine {

/// f(constant) for the height that is known at run time. @pre rows is one of next_block_height's values
template <class Atom, class F>
SPARQ_INLINE void for_block_height(std::size_t rows, F&& f) {
  const auto run_if = [&]<std::size_t H>(std::integral_constant<std::size_t, H> height) {
    if constexpr (H <= Atom::block_rows)
      if (rows == H) f(height);
  };
  [&]<std::size_t... H>(std::index_sequence<H...>) {
    (run_if(std::integral_constant<std::size_t, H>{}), ...);
  }(block_heights{});
}

}  // namespace machine

/// rows_block for a height that is known at run time. @pre rows is one of next_block_height's values
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t V>
void rows_block(std::size_t rows, const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                typename Atom::acc_type* tile, std::size_t ldt) noexcept {
  machine::for_block_height<Atom>(rows, [&](auto height) {
    rows_block<Atom, N, Shape, KMap, RowSelect, height, V>(x, ldx, w, tile, ldt);
  });
}

SPARQ_ABI_END
}  // namespace sparq

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <string>

namespace sparq {
SPARQ_ABI_BEGIN

/// One operation; see panel_loop.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
class expand_loop {
 public:
  using x_code = typename Atom::x_code;
  using packed_x = typename Atom::packed_x;
  using acc_type = typename Atom::acc_type;
  using numeric_type = typename Packed::numeric_type;
  using decoded = machine::expanded_t<numeric_type>;
  using shape_type = typename Packed::panel_shape_type;
  static constexpr std::size_t channels = shape_type::channels;
  static constexpr std::size_t block_rows = Atom::block_rows;
  static constexpr std::size_t strip_registers = channels / Atom::lanes;
  static constexpr std::size_t registers = (std::min)(blocking<Atom>::registers, strip_registers);
  static constexpr std::size_t block_channels = registers * Atom::lanes;

  /// There are no scales along k, so the epilogue takes zero points back.
  expand_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages, std::int32_t = 0)
      : w_(w), source_(source), y_(y), stages_(stages) {
    const std::size_t k = w.shape().k;
    reads_in_place_ = Atom::in_place && Source::in_memory && k % shape_type::group_k == 0;
    row_stride_ = round_up((round_up(k, shape_type::group_k) + 16) * sizeof(packed_x), alignment) / sizeof(packed_x);
    cached_rows_ = blocking<Atom>::rows(row_stride_ * sizeof(packed_x));
  }

  std::string_view loop_name() const { return "rows, expanding"; }
  std::string_view atom_name() const { return Atom::name; }
  /// How rows of X reach the atom.
  std::string x_access() const {
    if (reads_in_place_) return "in place";
    return std::string(Source::access) + (sizeof(packed_x) > sizeof(x_code) ? "widened" : "packed");
  }
  std::size_t cached_rows() const { return cached_rows_; }
  std::size_t strips() const { return w_.strips(); }

  /// Bytes of scratch that one part of the work needs, a multiple of 64.
  std::size_t scratch_bytes(std::size_t m) const {
    return x_bytes(m) + gathered_bytes() + sums_bytes(m) + words_bytes + decoded_bytes;
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    auto* packed = reinterpret_cast<packed_x*>(scratch);
    std::byte* gathered = scratch + x_bytes(m1 - m0);
    auto* sums = reinterpret_cast<acc_type*>(gathered + gathered_bytes());
    std::byte* words = gathered + gathered_bytes() + sums_bytes(m1 - m0);
    for (std::size_t m = m0; m < m1; m += cached_rows_) {
      const std::size_t rows = (std::min)(cached_rows_, m1 - m);
      const packed_x* x = packed;
      std::size_t ldx = row_stride_;
      if (!reads_in_place_) pack_rows(m, rows, packed, reinterpret_cast<x_code*>(gathered));
      if constexpr (Source::in_memory && Atom::in_place)
        if (reads_in_place_) {
          x = source_.x.row(m);
          ldx = source_.x.stride;
        }
      for (std::size_t s = s0; s < s1; s += strips_together) {
        const std::size_t together = (std::min)(strips_together, s1 - s);
        add_sections(s, together, rows, x, ldx, sums, words);
        const std::size_t channel = s * channels;
        store_tile(sums, sums_stride, rows, (std::min)(together * channels, w_.shape().n - channel),
                   Atom::weight_sum_factor, y_, lane_position{m, channel, 0, w_.weight_sums().data()}, stages_);
      }
    }
  }

 private:
  using element = std::conditional_t<numeric_type::is_integer, std::uint8_t, float>;
  /// Codes that need no decoding to be expanded.
  static constexpr bool in_place = numeric_type::bits == 8 * sizeof(element);
  static constexpr std::size_t section_codes = Packed::section_k * channels;
  /// As many strips as 16 KB of words hold; one row of X needs that many sums to keep the atom busy.
  static constexpr std::size_t strips_together = 16 * 1024 / (section_codes * sizeof(element));
  static constexpr std::size_t sums_stride = strips_together * channels;
  static constexpr std::size_t words_bytes = strips_together * section_codes * sizeof(element);
  static constexpr std::size_t decoded_bytes = in_place ? 0 : section_codes * sizeof(element) + expand_slack;
  static_assert(expand_slack <= sparq::detail::bitmask_slack,
                "sparq: expanding reads beyond the packed codes; raise bitmask_slack");

  std::size_t x_bytes(std::size_t m) const {
    return reads_in_place_ ? 0 : round_up((std::min)(m, cached_rows_) * row_stride_ * sizeof(packed_x), alignment);
  }
  std::size_t gathered_bytes() const {
    return Source::in_memory ? 0 : round_up((w_.shape().k + 64) * sizeof(x_code), alignment);
  }
  std::size_t sums_bytes(std::size_t m) const {
    return (std::min)(m, cached_rows_) * sums_stride * sizeof(acc_type);
  }

  void pack_rows(std::size_t m, std::size_t rows, packed_x* x, x_code* gathered) const noexcept {
    const std::size_t k = w_.shape().k;
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; ++r, x += row_stride_) {
      std::memset(x + k, 0, (row_stride_ - k) * sizeof(packed_x));
      Atom::pack_row(cursor.next(gathered), k, true, x);
    }
  }

  void add_sections(std::size_t s, std::size_t together, std::size_t rows, const packed_x* x, std::size_t ldx,
                    acc_type* sums, std::byte* buffer) const noexcept {
    auto* words = reinterpret_cast<element*>(buffer);
    if (w_.sections_per_strip() == 0) std::fill_n(sums, rows * sums_stride, acc_type{});
    for (std::size_t i = 0; i < w_.sections_per_strip(); ++i) {
      for (std::size_t j = 0; j < together; ++j) expand_section(s + j, i, words + j * section_codes, buffer + words_bytes);
      const std::size_t first_k = i * Packed::section_k;
      block_weights block;
      block.words = reinterpret_cast<const std::uint32_t*>(words);
      block.strip_words = section_codes * sizeof(element) / sizeof(std::uint32_t);
      block.groups = ceil_div((std::min)(Packed::section_k, w_.shape().k - first_k), shape_type::group_k);
      for (std::size_t r = 0; r < rows;) {
        const std::size_t height = next_block_height<Atom>(rows - r);
        multiply(height, together, x + r * ldx + first_k, ldx, block, i == 0, sums + r * sums_stride);
        r += height;
      }
    }
  }

  /// Sets or adds the sums of `height` rows of X and all expanded strips.
  void multiply(std::size_t height, std::size_t together, const packed_x* x, std::size_t ldx, block_weights block,
                bool first, acc_type* sums) const noexcept {
    alignas(alignment) acc_type tile[block_rows * sums_stride];
    acc_type* to = first ? sums : tile;
    constexpr bool adds_in_parts = machine::groups_at_once<Atom> != 0;
    if (!adds_in_parts && height == 1 && together == strips_together) {
      if constexpr (!adds_in_parts)
        rows_block<Atom, decoded, shape_type, contiguous, all, 1, strips_together * strip_registers>(x, ldx, block, to,
                                                                                                    sums_stride);
    } else {
      for (std::size_t c = 0; c < together * channels; c += block_channels) {
        block_weights part = block;
        part.words += c / channels * block.strip_words + c % channels;
        rows_block<Atom, decoded, shape_type, contiguous, all, registers>(height, x, ldx, part, to + c, sums_stride);
      }
    }
    if (first) return;
    for (std::size_t r = 0; r < height * sums_stride; r += sums_stride)
      for (std::size_t c = 0; c < together * channels; ++c) sums[r + c] += tile[r + c];
  }

  void expand_section(std::size_t strip, std::size_t section, element* words, std::byte* buffer) const noexcept {
    const auto masks = w_.masks(strip, section);
    const std::byte* codes = w_.codes(strip, section);
    if constexpr (in_place) {
      expand(reinterpret_cast<const element*>(codes), masks.data(), masks.size(), words);
    } else {
      std::size_t count = 0;
      for (const std::uint64_t mask : masks) count += static_cast<std::size_t>(std::popcount(mask));
      auto* values = reinterpret_cast<element*>(buffer);
      decode(codes, count, values);
      expand<element>(values, masks.data(), masks.size(), words);
    }
  }
  static void decode(const std::byte* codes, std::size_t count, element* values) noexcept {
    using code = typename numeric_type::code;
    if constexpr (sizeof(code) == sizeof(element))
      unpack_codes<numeric_type>(codes, {reinterpret_cast<code*>(values), count});
    else
      machine::widen_floats(reinterpret_cast<const code*>(codes), count, values);
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  bool reads_in_place_ = false;
  std::size_t row_stride_ = 0;
  std::size_t cached_rows_ = 0;
};

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/look_up.hpp ====
// From codes of a codebook to the entries that they choose, in the words that the rows loop reads: once for all rows of
// X that are packed together, so the lookups cost little however they are done.
//
//   row of channel c: [codes of 32 places] ...  ->  strip: [group 0: c0 c1 .. c15] [group 1: c0 c1 .. c15] ...

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Entries of places [first, end) of one channel, whose table is `table`, into every 16th word from `out` on.
template <class N, std::size_t Channels, std::size_t GroupK>
void look_up_places(const std::uint8_t* row, const typename N::entry::code* table, std::size_t first, std::size_t end,
                   std::uint32_t* out) noexcept {
  for (std::size_t place = first; place < end; ++place) {
    const auto entry = table[sparq::detail::codebook_row<N>::load(row, place)];
    std::memcpy(reinterpret_cast<std::byte*>(out + place / GroupK * Channels) + place % GroupK * sizeof entry, &entry,
                sizeof entry);
  }
}

/// Whether a table is a register for vpshufb, and serves whole channels.
template <class N>
inline constexpr bool tables_in_registers_v = N::entries <= 16 && !requires { N::table::bucket; };

#if SPARQ_HAS_AVX2

/// The tables and rows of channels [c, c + 8) of the strip that starts with kept channel `first`; those beyond the last
/// have entries 0.
template <class Packed>
auto eight_tables_of(const Packed& w, const packed_panel& panel, std::size_t first, std::size_t c) {
  using N = typename Packed::numeric_type;
  using shape = typename Packed::panel_shape_type;
  using entry = typename N::entry::code;
  static constexpr entry zeros[N::entries] = {};
  const std::uint32_t* words = w.words().data() + panel.words + first / shape::channels * strip_words<N, shape>(panel.groups);
  const entry* tables[8];
  const std::uint8_t* rows[8];
  for (std::size_t i = 0; i < 8; ++i) {
    const bool is_kept = first + c + i < panel.kept;
    tables[i] = is_kept ? w.tables() + table_start<N>(w.channel_of(panel, first + c + i), 0, w.shape().k) : zeros;
    rows[i] = reinterpret_cast<const std::uint8_t*>(
        words + (is_kept ? c + i : 0) * sparq::detail::codebook_row<N>::words(panel.groups * shape::group_k));
  }
  return eight_tables<N, sparq::detail::packed_code_bits_v<N>>(tables, rows);
}

#endif  // SPARQ_HAS_AVX2

}  // namespace machine

/// Looks up one strip of a panel.
/// - `out`: groups x channels of a strip, overwritten; channels beyond the last become 0
template <class Packed>
void look_up_strip(const Packed& w, const packed_panel& panel, std::size_t strip, std::uint32_t* out) noexcept {
  using numeric_type = typename Packed::numeric_type;
  using shape = typename Packed::panel_shape_type;
  const std::size_t places = panel.groups * shape::group_k;
  const std::size_t first = strip * shape::channels;
  const std::size_t channels = (std::min)(shape::channels, panel.kept - first);
  const std::uint32_t* row = w.words().data() + panel.words + strip * strip_words<numeric_type, shape>(panel.groups);
  const std::size_t k = w.shape().k;
#if SPARQ_HAS_AVX2
  if constexpr (machine::tables_in_registers_v<numeric_type> && shape::channels % 8 == 0 &&
                shape::group_k * sizeof(typename numeric_type::entry::code) == 4){
    for (std::size_t c = 0; c < shape::channels; c += 8) {
      const auto eight = machine::eight_tables_of(w, panel, first, c);
      for (std::size_t g = 0; g < panel.groups; g += eight.part_groups)
        eight.look_up_part(g, panel.groups, shape::channels, out + c);
    }
    return;
  }
#endif
  for (std::size_t c = 0; c < channels; ++c, row += sparq::detail::codebook_row<numeric_type>::words(places)) {
    const std::size_t channel = w.channel_of(panel, first + c);
    const auto* codes = reinterpret_cast<const std::uint8_t*>(row);
    const auto look_up = [&](std::size_t from, std::size_t to, std::size_t table_k) {
      machine::look_up_places<numeric_type, shape::channels, shape::group_k>(
          codes, w.tables() + table_start<numeric_type>(channel, table_k, k), from, to, out + c);
    };
    if constexpr (requires { numeric_type::table::bucket; }) {  // places are k's; beyond the last k X is 0
      constexpr std::size_t bucket = numeric_type::table::bucket;
      std::size_t from = 0;
      while (from < k) {
        const std::size_t to = (std::min)(k, from + bucket - (channel * k + from) % bucket);
        look_up(from, to, from);
        from = to;
      }
      if (k != 0) look_up(k, places, k - 1);
    } else {
      look_up(0, places, 0);
    }
  }
  for (std::size_t c = channels; c < shape::channels; ++c)
    for (std::size_t g = 0; g < panel.groups; ++g) out[g * shape::channels + c] = 0;
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/look_up_loop.hpp ====
// Few rows of X times codebooks of at most sixteen entries: entries go from the lookup to the multiplication in
// registers, and the codes are all that is read of W.
//
//   for each channel:  for each 32 codes:  entries = lookup(table, codes); sums += entries * x      lanes are k's
//
// s8 takes a vpshufb, f32 one for each byte of an entry, or vpermps of 16 lanes. Sums of floats are those of every 16th k
// (AVX-512: 32nd), added up at the end, so they round unlike those of more rows.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Rows of X up to which looking up in registers beats looking up into memory, once for all rows.
inline constexpr std::size_t looked_up_rows = 4;

namespace machine {

/// Whether look_up_loop multiplies X by these weights.
template <class Packed, class X>
inline constexpr bool looks_up_few_rows_v = [] {
  using N = typename Packed::numeric_type;
  if constexpr (SPARQ_HAS_AVX2 && has_tables<N> && requires { typename Packed::k_map; })
    return tables_in_registers_v<N> && std::is_same_v<typename Packed::k_map, contiguous> &&
           std::is_same_v<typename Packed::row_select, all> && !requires { Packed::granularity::group; } &&
           Packed::panel_shape_type::channels == 16 &&
           (N::is_integer ? std::is_integral_v<X> && sizeof(X) == 1 : std::is_same_v<X, float>);
  else
    return false;
}();

}  // namespace machine

#if SPARQ_HAS_AVX2

/// One operation of few rows; see panel_loop, whose packed weights it reads. @pre machine::looks_up_few_rows_v
template <class Packed, class Source, class Y, class Epilogue>
class look_up_loop {
 public:
  using x_code = typename Source::element;
  using numeric_type = typename Packed::numeric_type;
  using entry = typename numeric_type::entry::code;
  using packed_x = std::conditional_t<numeric_type::is_integer, std::int16_t, float>;
  using acc_type = std::conditional_t<numeric_type::is_integer, std::int32_t, float>;

  look_up_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages)
      : w_(w), source_(source), y_(y), stages_(stages) {}

  static constexpr std::string_view loop_name() { return "rows, looking up"; }
  static constexpr std::string_view atom_name() {
    return numeric_type::is_integer ? "look_up_dot_avx2" : SPARQ_HAS_AVX512 ? "look_up_fma_avx512" : "look_up_fma_avx2";
  }
  static std::string x_access() { return "copied"; }

  static constexpr std::size_t cached_rows() { return looked_up_rows; }

  std::size_t scratch_bytes(std::size_t m) const {
    return m * row_stride() * sizeof(packed_x) + round_up((w_.shape().k + 64) * sizeof(x_code), alignment);
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1).
  /// @pre scratch has scratch_bytes(m1 - m0), m1 - m0 <= looked_up_rows
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    const std::size_t rows = m1 - m0;
    auto* x = reinterpret_cast<packed_x*>(scratch);
    pack_x(m0, rows, x, reinterpret_cast<x_code*>(scratch + rows * row_stride() * sizeof(packed_x)));
    std::size_t strip = 0;
    for (const packed_panel& panel : w_.panels()) {
      const std::size_t strips = ceil_div(panel.kept, std::size_t{16});
      for (std::size_t s = (std::max)(s0, strip); s < (std::min)(s1, strip + strips); ++s) {
        const std::size_t first = (s - strip) * 16;
        alignas(alignment) acc_type tile[looked_up_rows * 16] = {};
        multiply_rows(panel, first, rows, x, tile, std::make_index_sequence<looked_up_rows>{});
        store_tile(tile, 16, rows, (std::min)(std::size_t{16}, panel.kept - first), 0, y_,
                   lane_position{m0, panel.first_channel + first, 0, w_.weight_sums().data()}, stages_);
      }
      strip += strips;
    }
  }

 private:
  std::size_t row_stride() const { return round_up(w_.shape().k, 64); }

  void pack_x(std::size_t m, std::size_t rows, packed_x* x, x_code* gathered) const noexcept {
    const std::size_t k = w_.shape().k;
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; ++r, x += row_stride()) {
      const x_code* row = cursor.next(gathered);
      std::memset(x, 0, row_stride() * sizeof(packed_x));
      machine::split_row(row, k, x);
    }
  }

  template <std::size_t... I>
  void multiply_rows(const packed_panel& panel, std::size_t first, std::size_t rows, const packed_x* x, acc_type* tile,
                     std::index_sequence<I...>) const noexcept {
    ((rows == I + 1 ? multiply<I + 1>(panel, first, x, tile) : void()), ...);
  }
  template <std::size_t R>
  void multiply(const packed_panel& panel, std::size_t first, const packed_x* x, acc_type* tile) const noexcept {
    using row_type = detail::codebook_row<numeric_type>;
    using shape = typename Packed::panel_shape_type;
    const std::size_t places = panel.groups * shape::group_k;
    const std::uint32_t* words = w_.words().data() + panel.words + first * row_type::words(places);
    for (std::size_t c = 0; c < 16 && first + c < panel.kept; ++c, words += row_type::words(places)) {
      const auto* codes = reinterpret_cast<const std::uint8_t*>(words);
      const entry* table = w_.tables() + table_start<numeric_type>(w_.channel_of(panel, first + c), 0, w_.shape().k);
      const std::size_t chunks = ceil_div(places, row_type::chunk);
      if constexpr (numeric_type::is_integer)
        machine::look_up_dot<numeric_type, row_type::bits, R>(codes, table, chunks, x, row_stride(), tile + c);
      else
        machine::look_up_fma<numeric_type, row_type::bits, R>(codes, table, chunks, x, row_stride(), tile + c);
    }
  }

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
};

#else

template <class Packed, class Source, class Y, class Epilogue>
class look_up_loop;

#endif  // SPARQ_HAS_AVX2

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/explanation.hpp ====
// What a call will do, in words: which atom, which loop, which blocks, how X and W are laid out. Nothing is chosen behind
// the caller's back.

#include <cstddef>
#include <string>

namespace sparq {

/// The kernel that a call runs.
struct explanation {
  std::string atom;                 // one multiply-add, e.g. dot4_u8s8_avx2
  std::string isa;                  // what the translation unit is compiled for
  std::string loop;                 // rows
  std::string weights;              // layout of the packed weights
  std::string x_access;             // how rows of X reach the atom
  std::size_t block_rows = 0;       // rows of X whose sums are in registers
  std::size_t block_channels = 0;   // output channels beside them
  std::size_t cached_rows = 0;      // rows of X that are packed together
  std::size_t parts = 0;            // into which the executor's work is cut
  std::size_t workspace_bytes = 0;  // of scratch, all parts together
  std::string advice = {};          // of the plan, if it has any
};

/// One line.
inline std::string to_string(const explanation& e) {
  return e.atom + " (" + e.isa + "), loop " + e.loop + ", block " + std::to_string(e.block_rows) + " x " +
         std::to_string(e.block_channels) + ", weights " + e.weights + ", X " + e.x_access + " in blocks of " +
         std::to_string(e.cached_rows) + " rows, " + std::to_string(e.parts) + " part" + (e.parts == 1 ? "" : "s") +
         ", " + std::to_string(e.workspace_bytes) + " bytes of workspace" + (e.advice.empty() ? "" : "; " + e.advice);
}

}  // namespace sparq

// ==== sparq/kernel/narrow_rows.hpp ====
// Elements that share bytes as loops see them. The type of the elements is gone: a row is unpacked into bytes by one
// function, and sixteen channels are stored by another, so that no loop is compiled once more for every such type.

#include <cstddef>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// X whose rows are unpacked; see strided_rows. Code is std::int8_t or std::uint8_t.
template <class Code>
struct narrow_rows {
  using element = Code;
  using unpack_function = void (*)(const std::byte* row, std::size_t first, std::size_t count, Code* out) noexcept;
  static constexpr bool in_memory = false;
  static constexpr bool is_k_major = false;
  static constexpr const char* access = "unpacked, ";

  const std::byte* data = nullptr;
  std::size_t stride = 0;   // in bytes
  std::size_t first = 0;    // element of each row
  std::size_t columns = 0;  // elements of a row
  unpack_function unpack = nullptr;

  struct cursor {
    const narrow_rows& source;
    const std::byte* row;
    const Code* next(Code* buffer) {
      source.unpack(row, source.first, source.columns, buffer);
      row += source.stride;
      return buffer;
    }
  };
  cursor start(std::size_t m) const { return {*this, data + m * stride}; }
};

/// The columns [first, first + count) of a view as a source.
template <class N>
narrow_rows<typename N::code> narrow_rows_of(const narrow_matrix_view<const N>& x, std::size_t first,
                                             std::size_t count) {
  static_assert(unpack_slack <= 64, "sparq: a source may write 64 elements behind a row; make the step smaller");
  return {x.data, x.stride, first, count, &unpack_narrow<N>};
}

/// Y whose channels are packed. `first_channel` shifts the columns: of a group of channels.
struct narrow_target {
  using store_function = void (*)(std::byte* row, std::size_t first, const vec<std::int32_t>& v,
                                  std::size_t count) noexcept;

  std::byte* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;  // in bytes
  std::size_t first_channel = 0;
  std::size_t per_byte = 1;
  store_function store = nullptr;

  template <class T>
  SPARQ_INLINE void store_lanes(const lane_position& at, const vec<T>& v) const {
    static_assert(std::is_same_v<T, std::int32_t>,
                  "sparq: the epilogue's last stage does not yield what Y holds; end with requantize or "
                  "round_to_integer");
    store(data + at.row * stride, first_channel + at.channel, v, at.count);
  }
  /// Codes that are there as bytes.
  template <class Code>
  void store_codes(std::size_t row, std::size_t channel, const Code* codes, std::size_t count) const {
    for (std::size_t c = 0; c < count; c += 16) {
      lane_position at{row, channel + c, count - c < 16 ? count - c : 16, nullptr};
      std::int32_t lanes[16] = {};
      for (std::size_t i = 0; i < at.count; ++i) lanes[i] = codes[c + i];
      store_lanes(at, vec<std::int32_t>::load(lanes));
    }
  }
};

template <class N>
narrow_target narrow_target_of(const narrow_matrix_view<N>& y, std::size_t first_channel, std::size_t channels) {
  return {y.data, y.rows, channels, y.stride, first_channel, detail::bit_field<N>::per_byte, &store_narrow<N>};
}

/// An image of X whose pixels are unpacked; has the extents of image_view.
template <class Code>
struct narrow_pixels {
  const std::byte* data = nullptr;
  std::size_t images = 0;
  std::size_t image_height = 0;
  std::size_t image_width = 0;
  std::size_t channels = 0;
  std::size_t pixel_bytes = 0;
  std::size_t per_byte = 1;
  typename narrow_rows<Code>::unpack_function unpack = nullptr;

  const std::byte* pixel(std::size_t image, std::size_t y, std::size_t x) const {
    return data + ((image * image_height + y) * image_width + x) * pixel_bytes;
  }
};

namespace machine {

/// The C++ type of one element of a view.
template <class View>
struct element_type {
  using type = std::remove_cvref_t<decltype(*View::data)>;
};
template <class View>
  requires requires { typename View::code; }
struct element_type<View> {
  using type = typename View::code;
};
template <class View>
using element_of = typename element_type<View>::type;

template <class View>
inline constexpr bool has_pixels_v = false;
template <class T>
inline constexpr bool has_pixels_v<image_view<T>> = true;
template <class N>
inline constexpr bool has_pixels_v<narrow_image_view<N>> = true;
/// An image whose channels lie beside each other.
template <class View>
concept pixel_image = has_pixels_v<View>;
template <class View>
inline constexpr bool is_image_v = has_pixels_v<View>;
/// Activations with two spatial extents, whatever their elements.
template <class View>
concept image = is_image_v<View>;

/// What loops over pixels read: without the type of narrow elements, which is not worth another loop.
template <class T>
image_view<const T> pixels_of(const image_view<T>& x) { return x; }
template <class N>
narrow_pixels<typename N::code> pixels_of(const narrow_image_view<N>& x) {
  using numeric_type = std::remove_const_t<N>;
  return {x.data,          x.images,   x.image_height,
          x.image_width,   x.channels, x.pixel_bytes(),
          detail::bit_field<numeric_type>::per_byte, &unpack_narrow<numeric_type>};
}

/// The elements of neighbouring pixels lie beside each other.
template <class T>
bool pixels_adjoin(const image_view<const T>&) { return true; }
template <class Code>
bool pixels_adjoin(const narrow_pixels<Code>& x) { return x.channels % x.per_byte == 0; }

/// `count` elements from channel `first` of a pixel on. Up to unpack_slack elements behind them may be overwritten.
/// @pre they lie in one pixel, or pixels_adjoin(x)
template <class T>
SPARQ_INLINE void copy_pixels(const image_view<const T>& x, std::size_t image, std::size_t in_y, std::size_t in_x,
                              std::size_t first, std::size_t count, T* out) {
  copy_elements(x.pixel(image, in_y, in_x) + first, count, out);
}
template <class Code>
SPARQ_INLINE void copy_pixels(const narrow_pixels<Code>& x, std::size_t image, std::size_t in_y, std::size_t in_x,
                              std::size_t first, std::size_t count, Code* out) {
  x.unpack(x.pixel(image, in_y, in_x), first, count, out);
}

/// From one pixel to the next, in what pixel() points to.
template <class T>
std::size_t pixel_step(const image_view<const T>& x) { return x.channels; }
template <class Code>
std::size_t pixel_step(const narrow_pixels<Code>& x) { return x.pixel_bytes; }

/// Channels [first, first + count) of a pixel where they lie, or unpacked into `buffer` of count + unpack_slack elements.
template <class T>
SPARQ_INLINE const T* channels_at(const image_view<const T>&, const T* pixel, std::size_t first, std::size_t, T*) {
  return pixel + first;
}
template <class Code>
SPARQ_INLINE const Code* channels_at(const narrow_pixels<Code>& x, const std::byte* pixel, std::size_t first,
                                     std::size_t count, Code* buffer) {
  x.unpack(pixel, first, count, buffer);
  return buffer;
}

/// Channels [first, first + channels) of every pixel of Y, as loops store them.
template <class T>
matrix_view<T> pixel_targets(const image_view<T>& y, std::size_t first, std::size_t channels) {
  return {y.data + first, y.pixels(), channels, y.channels};
}
template <class N>
narrow_target pixel_targets(const narrow_image_view<N>& y, std::size_t first, std::size_t channels) {
  return narrow_target_of(y.as_matrix(), first, channels);
}

/// Strips of channels that different threads may write: not where two of them share a byte of Y.
template <class Packed, class Y>
bool strips_stand_apart(const Packed&, const Y&) {
  return true;
}
template <class Packed>
bool strips_stand_apart(const Packed& w, const narrow_target& y) {
  if (y.first_channel % y.per_byte != 0) return false;
  if constexpr (!requires { typename Packed::steps; })
    for (const auto& panel : w.panels())
      if (panel.first_channel % y.per_byte != 0) return false;
  return true;
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/panel_loop.hpp ====
// Cache blocking around the `rows` loop: blocks of rows of X are packed as the atom wants them and stay in the second
// level cache, while the panels' weights pass by once.
//
//   for each block of rows:                       x_bytes of packed X
//     for each panel:                             compact X if the panel lists its k's
//       for each block of channels:               weights of 2 registers of channels, all groups
//         (a codebook: look the block's codes up)
//         for each block_rows rows:               rows_block -> tile -> epilogue -> Y

// ==== sparq/kernel/scaled_rows.hpp ====
// The `rows` loop where scales run along k: a block's sums of one segment are converted, scaled and added to floats in the
// first-level cache, then the next segment follows. Atoms whose sums are full before a segment ends add the parts up in
// memory; the last part goes from registers straight to the floats.
//
//   for each segment:
//     for each part of it:   acc = dot(...)                                // rows.hpp
//       not the last:        whole = sums(acc) + (whole, or factor * sums of the weights)
//       the last:            tile += float(sums(acc) + (the same)) * scale

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

/// Scales along k of one block, in the order in which the loop meets them.
struct block_scales {
  const index_t* segments = nullptr;        // groups of every segment of the panel
  std::size_t count = 0;                    // of segments
  std::size_t segment_k = 0;                // k's of a segment
  const float* scales = nullptr;            // of the first segment, first channel of the block
  const std::int32_t* sums = nullptr;       // of the weights, in the same order; integers only
  std::size_t strip = 0;                    // from one strip to the next
  std::int32_t factor = 0;                  // true sum = accumulator + factor * (sum of the segment's weights)
};

namespace machine {

/// Adds one segment of R x V registers, groups [first, w.groups), to floats, scaled.
/// - `sums`, `scales`: of the segment, first channel of the block
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_INLINE void add_segment(const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                              std::size_t first, const block_scales& all, const std::int32_t* sums,
                              const float* scales, float* tile, std::size_t ldt) {
  using block = block_register<Atom, Shape>;
  const auto place = [&](std::size_t j) { return block::strip(j) * all.strip + block::lane(j); };
  typename Atom::acc acc[R][V];
  SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
    typename Atom::acc start = Atom::zero();
    start_sums(start, sums + place(j), all.factor);
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      acc[r][j] = start;
      keep_register(acc[r][j]);
    }
  }
  add_groups<Atom, N, Shape, KMap, RowSelect, R, V>(acc, x, ldx, w, w.words, first, w.groups);
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {  // gcc copies registers inside the loop otherwise
    SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) keep_register(acc[r][j]);
  }
  SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
    const auto scale = load_scales(acc[0][j], scales + place(j));
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) add_scaled(tile + r * ldt + j * Atom::lanes, acc[r][j], scale);
  }
}

/// The same for an atom whose sums of 32 bits fill up part by part.
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_INLINE void add_segment_in_parts(const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                                       std::size_t first, const block_scales& all, const std::int32_t* sums,
                                       const float* scales, float* tile, std::size_t ldt) {
  using block = block_register<Atom, Shape>;
  using whole_type = decltype(whole_sums<Atom>(std::declval<typename Atom::acc>()));
  constexpr std::size_t channels = V * Atom::lanes;
  constexpr std::size_t loaded = Atom::template loader<N>::groups;
  const auto place = [&](std::size_t j) { return block::strip(j) * all.strip + block::lane(j); };
  alignas(64) std::int32_t start[channels], whole[R * channels];
  SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
    whole_type from_zero_points;
    start_sums(from_zero_points, sums + place(j), all.factor);
    store_sums(start + j * Atom::lanes, from_zero_points);
  }
  const std::int32_t* before = start;  // what a part's sums are added to, and from one row of it to the next
  std::size_t ldb = 0;
  const std::uint32_t* words = w.words;
  for (;;) {
    const std::size_t end = end_of_part<Atom, loaded>(first, w.groups);
    typename Atom::acc acc[R][V];
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[r][j] = Atom::zero();
    }
    add_groups<Atom, N, Shape, KMap, RowSelect, R, V>(acc, x, ldx, w, words, first, end);
    const auto sum = [&](std::size_t r, std::size_t j) SPARQ_LAMBDA_INLINE {
      return plus_sums(whole_sums<Atom>(acc[r][j]), before + r * ldb + j * Atom::lanes);
    };
    if (end == w.groups) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
        const auto scale = load_scales(whole_type{}, scales + place(j));
        SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) add_scaled(tile + r * ldt + j * Atom::lanes, sum(r, j), scale);
      }
      return;
    }
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) store_sums(whole + r * channels + j * Atom::lanes, sum(r, j));
    }
    before = whole;
    ldb = channels;
    words += (end - first) / loaded * Shape::channels * words_per_group_v<N, Shape>;
    first = end;
  }
}

/// The same for an atom whose sums are wider than its registers' and hold the parts of a long segment.
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_INLINE void add_long_segment(const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                                   std::size_t first, const block_scales& all, const std::int32_t* sums,
                                   const float* scales, float* tile, std::size_t ldt) {
  constexpr std::size_t channels = V * Atom::lanes;
  constexpr std::size_t loaded = Atom::template loader<N>::groups;
  alignas(64) typename Atom::acc_type whole[R * channels] = {};
  const std::uint32_t* words = w.words;
  for (std::size_t end = first; first < w.groups; first = end) {
    end = end_of_part<Atom, loaded>(first, w.groups);
    typename Atom::acc acc[R][V];
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[r][j] = Atom::zero();
    }
    add_groups<Atom, N, Shape, KMap, RowSelect, R, V>(acc, x, ldx, w, words, first, end);
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) Atom::add(whole + r * channels + j * Atom::lanes, acc[r][j]);
    }
    words += (end - first) / loaded * Shape::channels * words_per_group_v<N, Shape>;
  }
  for (std::size_t r = 0; r < R; ++r)
    for (std::size_t c = 0; c < channels; ++c) {
      const std::size_t at = c / Shape::channels * all.strip + c % Shape::channels;
      const auto sum = whole[r * channels + c] + all.factor * sums[at];
      tile[r * ldt + c] = multiply_add_once(static_cast<float>(sum), scales[at], tile[r * ldt + c]);
    }
}

}  // namespace machine

/// Multiplies R rows of X by V registers of channels whose scales run along k: the sums of a segment are scaled and added
/// in float, segment by segment.
/// - `tile`: R x (V * lanes) floats, `ldt` elements apart, overwritten
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_APART void scaled_rows_block(const typename Atom::packed_x* x, std::size_t ldx, block_weights w,
                                   const block_scales& scales, float* tile, std::size_t ldt) noexcept {
  using reader = machine::x_reader<Atom, KMap, RowSelect>;
  using window = typename reader::window;
  SPARQ_ALIGN_FRAME;
  for (std::size_t r = 0; r < R; ++r) std::fill_n(tile + r * ldt, V * Atom::lanes, 0.0F);
  std::size_t at = 0;     // of the segment's scales in a strip
  std::size_t first = 0;  // group; positions that each channel has for itself share bytes, so groups count through
  SPARQ_KEEP_LOOP for (std::size_t s = 0; s < scales.count; ++s, at += Shape::channels) {
    const std::size_t groups = scales.segments[s];
    if (groups == 0) continue;
    w.groups = first + groups;
    const std::int32_t* sums = scales.sums + (N::is_integer ? at : 0);
    const float* factors = scales.scales + at;
    if constexpr (machine::groups_at_once<Atom> != 0 && std::is_same_v<typename Atom::acc_type, std::int32_t>) {
      machine::add_segment_in_parts<Atom, N, Shape, KMap, RowSelect, R, V>(x, ldx, w, first, scales, sums, factors, tile, ldt);
    } else {
      if (machine::groups_at_once<Atom> == 0 || groups <= machine::groups_at_once<Atom>)
        machine::add_segment<Atom, N, Shape, KMap, RowSelect, R, V>(x, ldx, w, first, scales, sums, factors, tile, ldt);
      else if constexpr (machine::groups_at_once<Atom> != 0)
        machine::add_long_segment<Atom, N, Shape, KMap, RowSelect, R, V>(x, ldx, w, first, scales, sums, factors, tile, ldt);
    }
    w.words += groups / groups_per_word_v<N, Shape> * Shape::channels * words_per_group_v<N, Shape>;
    if constexpr (reader::is_private) {
      first += groups;
    } else {
      if constexpr (reader::is_runs) w.addresses += groups;
      if constexpr (reader::is_shared) w.selects += groups * Atom::group_k;
      if constexpr (std::is_same_v<KMap, list>)
        x += groups / window::groups * window::window;
      else if constexpr (!reader::is_runs)
        x += scales.segment_k;
    }
  }
}

/// scaled_rows_block for a height that is known at run time. @pre rows is one of next_block_height's values
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t V>
void scaled_rows_block(std::size_t rows, const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                       const block_scales& scales, float* tile, std::size_t ldt) noexcept {
  machine::for_block_height<Atom>(rows, [&](auto height) {
    scaled_rows_block<Atom, N, Shape, KMap, RowSelect, height, V>(x, ldx, w, scales, tile, ldt);
  });
}

SPARQ_ABI_END
}  // namespace sparq

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace sparq {
SPARQ_ABI_BEGIN

/// One operation: everything the loop needs besides its range.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
class panel_loop {
 public:
  using x_code = typename Atom::x_code;
  using packed_x = typename Atom::packed_x;
  using acc_type = typename Atom::acc_type;
  using numeric_type = typename Packed::numeric_type;
  using shape_type = typename Packed::panel_shape_type;
  using k_map = typename Packed::k_map;
  using row_select = typename Packed::row_select;
  using window = detail::window_of<row_select, k_map, Atom::group_k>;
  static constexpr std::size_t strip_registers = shape_type::channels / Atom::lanes;
  /// Channels with k's of their own anywhere: every strip has its own addresses.
  static constexpr bool has_windows = std::is_same_v<k_map, runs> && window::positions_per_group != 0;
  /// Registers of channels in one block: those of the tuning table, or fewer, so that blocks divide a strip evenly or
  /// are two strips.
  static constexpr std::size_t registers = [] {
    if (has_windows) return strip_registers;
    std::size_t count = (std::min)(blocking<Atom>::registers, 2 * strip_registers);
    while (strip_registers % count != 0 && count != 2 * strip_registers) --count;
    return count;
  }();
  static constexpr std::size_t block_rows = Atom::block_rows;
  static constexpr std::size_t block_channels = registers * Atom::lanes;
  static constexpr bool is_list = std::is_same_v<k_map, list>;
  static constexpr std::size_t groups_per_word = groups_per_word_v<numeric_type, shape_type>;
  /// Codes of a codebook are looked up, a block of channels at a time; the loop reads their entries.
  static constexpr bool looks_up = has_tables<numeric_type>;
  /// Registers of channels for one row of X, which reads several strips at once: one stream is 0.6 of what memory delivers.
  static constexpr std::size_t one_row_registers =
      !looks_up && !has_windows && strip_registers <= registers && blocking<Atom>::registers_at_once != 1
          ? machine::one_row_strips<Atom, entry_t<numeric_type>> * strip_registers
          : registers;
  static constexpr bool permutes = window::positions_per_group != 0;
  static constexpr bool may_have_gaps = is_list || std::is_same_v<k_map, runs>;
  using granularity = typename Packed::granularity;
  /// Scales along k: sums are scaled inside the block and arrive as floats.
  static constexpr bool is_grouped = scales_along_k_v<granularity>;
  using sum_type = std::conditional_t<is_grouped, float, acc_type>;
  static constexpr std::int32_t sum_factor = is_grouped ? 0 : Atom::weight_sum_factor;  // what store_tile adds

  /// - `zero_point`: of X, which sums that are scaled along k take back before they are scaled; 0 for all others
  panel_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages, std::int32_t zero_point = 0)
      : w_(w), source_(source), y_(y), stages_(stages), scale_factor_(Atom::weight_sum_factor - zero_point) {
    reads_in_place_ = in_place();
    const std::size_t k = w.shape().k;
    std::size_t elements = round_up(k, window::window) + (groups_per_word - 1) * window::window;
    if constexpr (is_list) {
      elements = 0;
      for (const packed_panel& panel : w.panels())
        elements = (std::max)(elements, ceil_div(panel.groups, window::groups) * window::window);
    }
    elements = machine::packed_elements<Atom>(elements);
    // 64 elements more than the groups: permutes and compaction touch whole registers
    row_stride_ = round_up((elements + compact_slack) * sizeof(packed_x), alignment) / sizeof(packed_x);
    using sizes = blocking<Atom>;
    if constexpr (machine::in_planes<Atom>) row_stride_ *= 2;
    block_rows_ = sizes::rows(row_stride_ * sizeof(packed_x), looks_up ? sizes::looked_up_x_bytes : sizes::x_bytes);
    for (const packed_panel& panel : w.panels()) {
      if (panel.kept < panel.channels)
        gap_channels_ = (std::max)(gap_channels_, static_cast<std::size_t>(panel.channels));
      if constexpr (looks_up)
        looked_up_words_ = (std::max)(looked_up_words_, round_up(panel.kept < panel.channels ? static_cast<std::size_t>(panel.kept) : looked_up_channels,
                                              shape_type::channels) * panel.groups);
    }
  }

  static constexpr std::string_view loop_name() { return has_windows ? "rows, windows" : "rows"; }
  static constexpr std::string_view atom_name() { return Atom::name; }
  /// X is used where it lies, without a copy.
  bool reads_in_place() const { return reads_in_place_; }

  /// Bytes of scratch that one part of the work needs, a multiple of 64.
  std::size_t scratch_bytes(std::size_t m) const {
    return packed_rows_bytes(m) + row_buffer_bytes() + gap_tile_bytes() * 2 + looked_up_words_ * sizeof(std::uint32_t);
  }

  /// How rows of X reach the atom.
  std::string x_access() const {
    if (reads_in_place_) return "in place";
    std::string text = Source::access;
    if (is_list) text += "compacted for each panel, ";
    if constexpr (requires { Atom::x_form; }) return text + std::string(Atom::x_form);
    return text + (sizeof(packed_x) > sizeof(x_code) ? "widened to 16 bits" : "packed");
  }
  std::size_t cached_rows() const { return block_rows_; }

  /// Strips of channels, the unit in which work is divided.
  std::size_t strips() const {
    std::size_t total = 0;
    for (const packed_panel& panel : w_.panels()) total += strips_of(panel);
    return total;
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    auto* x = reinterpret_cast<packed_x*>(scratch);
    std::byte* buffers = scratch + packed_rows_bytes(m1 - m0);
    for (std::size_t m = m0; m < m1; m += block_rows_) {
      const std::size_t rows = (std::min)(block_rows_, m1 - m);
      if constexpr (!is_list)
        if (!reads_in_place_) pack_rows(m, rows, x, buffers);
      std::size_t strip = 0;
      for (const packed_panel& panel : w_.panels()) {
        const std::size_t first = (std::max)(s0, strip);
        const std::size_t last = (std::min)(s1, strip + strips_of(panel));
        if (first < last) run_panel(panel, first - strip, last - strip, m, rows, x, buffers);
        strip += strips_of(panel);
      }
    }
  }

 private:
  static std::size_t strips_of(const packed_panel& panel) {
    if (panel.kept < panel.channels) return 1;  // computed as a whole: its gaps need all of it
    return ceil_div(panel.kept, shape_type::channels);
  }

  bool in_place() const {
    if constexpr (!Atom::in_place || !Source::in_memory || is_list) {
      return false;
    } else {
      const std::size_t k = w_.shape().k;
      if constexpr (permutes) {
        using selector = typename Atom::template selector<machine::x_reader<Atom, k_map, row_select>::reach>;
        if (selector::chunk * selector::chunks != window::window) return false;
      }
      const std::size_t segment = is_grouped ? sparq::detail::segment_k<granularity>(k) : k;
      return k % window::window == 0 &&
             (std::is_same_v<k_map, runs> || (k / window::window * window::groups % groups_per_word == 0 &&
                                              segment / window::window * window::groups % groups_per_word == 0));
    }
  }

  std::size_t packed_rows_bytes(std::size_t m) const {
    return reads_in_place_ ? 0 : round_up((std::min)(m, block_rows_) * row_stride_ * sizeof(packed_x), alignment);
  }
  std::size_t one_row_bytes() const { return round_up((w_.shape().k + compact_slack) * sizeof(x_code), alignment); }
  /// A row that the source gathers, unless it can be gathered where the packed row belongs.
  std::size_t gathered_bytes() const {
    return Source::in_memory || (Atom::in_place && !is_list) ? 0 : one_row_bytes();
  }
  std::size_t row_buffer_bytes() const {
    return gathered_bytes() + (is_list && !Atom::in_place ? one_row_bytes() : 0);
  }
  std::size_t gap_tile_bytes() const {
    return round_up(Atom::block_rows * round_up(gap_channels_, 64) * sizeof(sum_type), alignment);
  }

  void pack_rows(std::size_t m, std::size_t rows, packed_x* x, std::byte* buffers) const noexcept {
    const std::size_t k = w_.shape().k;
    const std::size_t end = machine::packed_elements<Atom>(k);
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; ++r, x += row_stride_) {
      if constexpr (Atom::in_place) {
        const x_code* row = cursor.next(x);
        if (row != x) Atom::pack_row(row, k, !permutes, x);
        std::fill_n(x + end, row_stride_ - end, packed_x{});
      } else {
        const x_code* row = cursor.next(reinterpret_cast<x_code*>(buffers));
        std::fill_n(x + end, row_stride_ - end, packed_x{});
        if constexpr (machine::in_planes<Atom>)
          Atom::pack_row(row, k, row_stride_ / 2, x);
        else
          Atom::pack_row(row, k, !permutes, x);
      }
    }
  }

  void compact_rows(const packed_panel& panel, std::size_t m, std::size_t rows, packed_x* x,
                    std::byte* buffers) const noexcept {
    const std::size_t k = w_.shape().k;
    auto* gathered = reinterpret_cast<x_code*>(buffers);
    auto* compacted = reinterpret_cast<x_code*>(buffers + gathered_bytes());
    const std::uint64_t* mask = w_.mask().data() + panel.mask;
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; ++r, x += row_stride_) {
      const x_code* row = cursor.next(gathered);
      if constexpr (std::is_same_v<x_code, eight_bits>) {
        const std::size_t kept = compact_bits(row, mask, k, Atom::in_place ? x : compacted);
        if constexpr (!Atom::in_place) Atom::pack_row(compacted, kept, true, x);
      } else if constexpr (Atom::in_place) {
        packed_x* end = compact(row, mask, k, x);
        std::fill_n(end, window::window, packed_x{});
      } else {
        const auto kept = static_cast<std::size_t>(compact(row, mask, k, compacted) - compacted);
        std::fill_n(x + kept, window::window, packed_x{});
        Atom::pack_row(compacted, kept, !permutes, x);
      }
    }
  }

  void run_panel(const packed_panel& panel, std::size_t first_strip, std::size_t last_strip, std::size_t m,
                 std::size_t rows, packed_x* packed, std::byte* buffers) const noexcept {
    if constexpr (is_list) compact_rows(panel, m, rows, packed, buffers);
    const packed_x* x = packed;
    std::size_t ldx = row_stride_;
    if constexpr (Source::in_memory && Atom::in_place)
      if (reads_in_place_) {
        x = source_.x.row(m);
        ldx = source_.x.stride;
      }
    if constexpr (may_have_gaps)
      if (panel.kept < panel.channels)
        return run_panel_with_gaps(panel, m, rows, x, ldx, buffers + row_buffer_bytes());

    alignas(alignment) sum_type tile[(std::max)(Atom::block_rows * block_channels_padded, one_row_channels)];
    const std::size_t widest = rows == 1 ? one_row_channels : block_channels;
    const std::size_t ldt = rows == 1 ? one_row_channels : block_channels_padded;
    const std::size_t kept = (std::min)(static_cast<std::size_t>(panel.kept), last_strip * shape_type::channels);
    for (std::size_t c = first_strip * shape_type::channels; c < kept;) {
      const std::size_t left = round_up(kept - c, shape_type::channels);
      const std::size_t width = left >= widest ? widest : (std::min)(left, block_channels);
      const block_weights block = weights_at(panel, c, strip_words(panel, c, width, buffers), rows);
      const block_scales scales = scales_at(panel, c);
      for (std::size_t r = 0; r < rows;) {
        const std::size_t height = next_block_height<Atom>(rows - r);
        const lane_position at{m + r, panel.first_channel + c, 0, w_.weight_sums().data()};
        const std::size_t channels = (std::min)(kept - c, width);
        if constexpr (requires { y_.prefetch(m, height, c, channels); }) y_.prefetch(at.row, height, at.channel, channels);
        multiply(width, height, x + r * ldx, ldx, block, scales, tile, ldt);
        store_tile(tile, ldt, height, channels, sum_factor, y_, at, stages_);
        r += height;
      }
      c += width;
    }
  }

  /// A panel some of whose channels have no weights: sums go to their places, the gaps hold epilogue(0).
  void run_panel_with_gaps(const packed_panel& panel, std::size_t m, std::size_t rows, const packed_x* x,
                           std::size_t ldx, std::byte* buffer) const noexcept {
    const std::size_t ldt = round_up(gap_channels_, 64);
    auto* tile = reinterpret_cast<sum_type*>(buffer);
    auto* spread = reinterpret_cast<sum_type*>(buffer + gap_tile_bytes());
    const index_t* kept = w_.kept_channels().data() + panel.kept_channels;
    std::memset(spread, 0, gap_tile_bytes());
    const std::uint32_t* words = strip_words(panel, 0, panel.kept, buffer - row_buffer_bytes());
    for (std::size_t r = 0; r < rows;) {
      const std::size_t height = next_block_height<Atom>(rows - r);
      for (std::size_t c = 0; c < panel.kept;) {
        const std::size_t width = (std::min)(round_up(panel.kept - c, shape_type::channels), block_channels);
        multiply(width, height, x + r * ldx, ldx, weights_at(panel, c, words + c / shape_type::channels * words_of_strip(panel), height),
                 scales_at(panel, c), tile + c, ldt);
        c += width;
      }
      for (std::size_t i = 0; i < height; ++i)
        for (std::size_t c = 0; c < panel.kept; ++c) spread[i * ldt + kept[c]] = tile[i * ldt + c];
      store_tile(spread, ldt, height, panel.channels, sum_factor, y_,
                 {m + r, panel.first_channel, 0, w_.weight_sums().data()}, stages_);
      r += height;
    }
  }

  /// From one strip of a panel to the next, in words as the loop reads them.
  static std::size_t words_of_strip(const packed_panel& panel) noexcept {
    return ceil_div(panel.groups, groups_per_word) * shape_type::channels * words_per_group_v<numeric_type, shape_type>;
  }
  /// Words of the strip with this channel and of those after it, `width` channels in all: where they are packed, or
  /// looked up into scratch, where those of a strip stay for its next blocks.
  const std::uint32_t* strip_words(const packed_panel& panel, std::size_t channel, [[maybe_unused]] std::size_t width,
                                   [[maybe_unused]] std::byte* buffers) const noexcept {
    const std::size_t first = channel / shape_type::channels;
    if constexpr (looks_up) {
      auto* words = reinterpret_cast<std::uint32_t*>(buffers + row_buffer_bytes() + gap_tile_bytes() * 2);
      if (channel % shape_type::channels == 0)
        for (std::size_t s = first; s * shape_type::channels < channel + width; ++s)
          look_up_strip(w_, panel, s, words + (s - first) * words_of_strip(panel));
      return words;
    } else {
      return w_.words().data() + panel.words + first * words_of_strip(panel);
    }
  }

  /// The weights from `channel` on. `words`: of its strip
  block_weights weights_at(const packed_panel& panel, std::size_t channel, const std::uint32_t* words,
                           std::size_t rows) const noexcept {
    const std::size_t strip = channel / shape_type::channels;
    block_weights block;
    block.groups = panel.groups;
    block.strip_words = words_of_strip(panel);
    block.words = words + channel % shape_type::channels;
    const std::size_t strips_at_once = rows == 1 ? one_row_registers / strip_registers : (std::max)(registers / strip_registers, std::size_t{1});
    block.ahead = strips_at_once * block.strip_words;
    block.addresses = w_.addresses().data() + panel.addresses;
    block.strip_selects = window::is_private ? ceil_div(block.groups, window::groups_per_byte) * shape_type::channels *
                                                   Atom::group_k
                                             : 0;
    block.selects_ahead = strips_at_once * block.strip_selects;
    if constexpr (has_windows) {  // strips differ in length and follow each other
      block.ahead = machine::window_ahead / sizeof(std::uint32_t);
      block.selects_ahead = machine::window_ahead;
    }
    block.selects = w_.selects().data() + panel.selects + strip * block.strip_selects +
                    (window::is_private ? channel % shape_type::channels * Atom::group_k : 0);
    return block;
  }

  block_scales scales_at(const packed_panel& panel, std::size_t channel) const noexcept {
    block_scales result;
    if constexpr (is_grouped) {
      result.segment_k = granularity::group;
      result.count = ceil_div(w_.shape().k, result.segment_k);
      result.segments = w_.segments().data() + static_cast<std::size_t>(&panel - w_.panels().data()) * result.count;
      result.strip = result.count * shape_type::channels;
      const std::size_t first = panel.scales + channel / shape_type::channels * result.strip + channel % shape_type::channels;
      result.scales = w_.scales().data() + first;
      result.sums = w_.weight_sums().data() + (numeric_type::is_integer ? first : 0);
      result.factor = scale_factor_;
    }
    return result;
  }

  void multiply(std::size_t width, std::size_t height, const packed_x* x, std::size_t ldx, const block_weights& block,
                const block_scales& scales, sum_type* tile, std::size_t ldt) const noexcept {
    const auto run = [&](auto width_registers) {
      if constexpr (is_grouped)
        scaled_rows_block<Atom, entry_t<numeric_type>, shape_type, k_map, row_select, width_registers>(height, x, ldx, block,
                                                                                           scales, tile, ldt);
      else
        rows_block<Atom, entry_t<numeric_type>, shape_type, k_map, row_select, width_registers>(height, x, ldx, block, tile, ldt);
    };
    const auto run_one_row = [&] {
      if constexpr (is_grouped)
        scaled_rows_block<Atom, entry_t<numeric_type>, shape_type, k_map, row_select, 1, one_row_registers>(x, ldx, block,
                                                                                           scales, tile, ldt);
      else
        rows_block<Atom, entry_t<numeric_type>, shape_type, k_map, row_select, 1, one_row_registers>(x, ldx, block, tile, ldt);
    };
    if constexpr (!is_grouped && blocking<Atom>::registers_at_once == 1) {
      for (std::size_t c = 0; c < width; c += Atom::lanes) {
        block_weights part = block;
        part.words += c / shape_type::channels * block.strip_words + c % shape_type::channels;
        rows_block<Atom, entry_t<numeric_type>, shape_type, k_map, row_select, 1>(height, x, ldx, part, tile + c, ldt);
      }
    } else if (one_row_registers != registers && width == one_row_channels)
      run_one_row();
    else if (width == block_channels)
      run(std::integral_constant<std::size_t, registers>{});
    else if constexpr (strip_registers < registers)
      run(std::integral_constant<std::size_t, strip_registers>{});
  }

  static constexpr std::size_t one_row_channels = one_row_registers * Atom::lanes;
  /// Channels whose entries are looked up together.
  static constexpr std::size_t looked_up_channels = (std::max)(block_channels, shape_type::channels);
  static constexpr std::size_t block_channels_padded = (block_channels + 15) / 16 * 16;

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  std::int32_t scale_factor_;
  bool reads_in_place_ = false;
  std::size_t row_stride_ = 0;
  std::size_t block_rows_ = 0;
  std::size_t gap_channels_ = 0;
  std::size_t looked_up_words_ = 0;
};

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/plane_source.hpp ====
// X of a convolution over planes, for the columns loop: pixels of Y are the rows, and a tap of a channel is an offset into
// the channel's plane. What lies together in the plane is packed from where it lies; only blocks that meet the border
// or the end of a row of pixels are put together first.
//
//   plane of 5 x 4 pixels, 3x3 taps, padding 1; a block of 8 rows of X, tap (0, 0):
//
//   pixel of Y      5  6  7  8 | 9 10 11 12        one copy at offset -6,
//   reads           p  0  1  2 | p  4  5  6        then p over the lanes that lie in the padding

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The patches of planes as columns of X. k runs through [tap row][tap column][channel], as for images.
template <class X>
class plane_patches {
 public:
  using element = X;
  static constexpr bool in_memory = true;
  static constexpr bool is_k_major = true;
  static constexpr bool packs_runs = false;  // k's of a run may belong to two taps
  static constexpr const char* access = "from planes, ";

  /// @pre window.check(x.image_height, x.image_width) is ok
  plane_patches(plane_view<const X> x, const window_parameters& window, X padding) : x_(x), w_(window), padding_(padding) {
    const window_parameters one_pixel;
    if (w_ == one_pixel) {  // rows of pixels follow each other: one long row
      x_.image_width *= x_.image_height;
      x_.image_height = x_.image_width == 0 ? 0 : 1;
    }
    out_width_ = w_.output_width(x_.image_width);
    out_height_ = w_.output_height(x_.image_height);
    if (x_.images != 0 && x_.channels != 0) end_ = x_.plane(x_.images - 1, x_.channels - 1) + x_.plane_pixels();
  }

  std::size_t k() const { return w_.taps() * x_.channels; }

  /// Packs rows [m, m + rows) in blocks: x[block][k][row].
  template <class Atom>
  void pack(std::size_t m, std::size_t rows, std::size_t, typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t block = Atom::lanes * Atom::registers;
    for (std::size_t r = 0; r < rows; r += block, to += k() * block) pack_block<Atom>(m + r, (std::min)(block, rows - r), to);
  }

  /// Row m as consecutive k's.
  void row(std::size_t m, X* to) const noexcept {
    const place at = place_of(m);
    for (std::size_t ky = 0; ky < w_.kernel_height; ++ky)
      for (std::size_t kx = 0; kx < w_.kernel_width; ++kx) {
        const std::size_t y = at.y * w_.stride_y + ky * w_.dilation_y - w_.pad_top;
        const std::size_t x = at.x * w_.stride_x + kx * w_.dilation_x - w_.pad_left;
        const bool inside = y < x_.image_height && x < x_.image_width;
        for (std::size_t c = 0; c < x_.channels; ++c) *to++ = inside ? x_(at.image, y, x, c) : padding_;
      }
  }

 private:
  /// Of a pixel of Y.
  struct place {
    std::size_t image, y, x;
  };
  place place_of(std::size_t m) const {
    return {m / (out_height_ * out_width_), m / out_width_ % out_height_, m % out_width_};
  }
  /// Lanes of a block that read neighbouring pixels, or pixels a stride apart, and some between them that are padding.
  struct run {
    std::size_t lane, count;
    std::size_t from;  // offset of the first lane's pixel, from the first plane on
  };

  /// 16 bytes of lanes: where they would begin if all of them followed the run, and the bytes that belong to it.
  struct chunk {
    alignas(16) std::uint8_t mask[16];
    std::ptrdiff_t from;  // may lie before the plane
    std::size_t lane;
  };
  static constexpr std::size_t chunk_lanes = 16 / sizeof(X);

  /// What a block of rows reads for one tap: the same in every channel.
  template <std::size_t Block>
  struct tap_plan {
    run runs[Block];
    std::size_t run_count = 0;
    std::size_t padded[Block];  // lanes
    std::size_t padded_count = 0;
    chunk chunks[Block + Block / chunk_lanes + 1];  // of all runs
    std::size_t chunk_count = 0;
    std::ptrdiff_t first_read = 0, last_read = 0;  // of all chunks, and behind them
    alignas(16) X start[Block];  // padding where it belongs, else 0
  };

  template <std::size_t Block>
  void plan_tap(place at, std::size_t count, std::size_t ky, std::size_t kx, tap_plan<Block>& plan) const {
    plan.run_count = plan.padded_count = 0;
    for (std::size_t lane = 0; lane < count;) {
      const std::size_t in_row = (std::min)(count - lane, out_width_ - at.x);
      // unsigned: what is left of or above the image wraps to a huge coordinate
      const std::size_t y = at.y * w_.stride_y + ky * w_.dilation_y - w_.pad_top;
      std::size_t first = in_row, end = in_row;  // lanes of this row of pixels that lie inside
      if (y < x_.image_height) {
        const std::size_t shift = kx * w_.dilation_x;
        const auto least = [&](std::size_t padded) {  // the first output column that reads padded column or beyond
          return padded <= shift ? 0 : ceil_div(padded - shift, w_.stride_x);
        };
        first = (std::clamp)(least(w_.pad_left), at.x, at.x + in_row) - at.x;
        end = (std::clamp)(least(w_.pad_left + x_.image_width), at.x, at.x + in_row) - at.x;
      }
      for (std::size_t i = 0; i < first; ++i) plan.padded[plan.padded_count++] = lane + i;
      if (first < end)
        add_run(plan, lane + first, end - first,
                at.image * x_.image_stride + y * x_.image_width + (at.x + first) * w_.stride_x + kx * w_.dilation_x - w_.pad_left);
      for (std::size_t i = (std::max)(first, end); i < in_row; ++i) plan.padded[plan.padded_count++] = lane + i;
      lane += in_row;
      at.x = 0;
      if (++at.y == out_height_) {
        at.y = 0;
        ++at.image;
      }
    }
  }
  template <std::size_t Block>
  void add_run(tap_plan<Block>& plan, std::size_t lane, std::size_t count, std::size_t from) const {
    if (plan.run_count != 0) {
      run& last = plan.runs[plan.run_count - 1];
      if (from == last.from + (lane - last.lane) * w_.stride_x) {  // goes on where the last one would be now
        last.count = lane + count - last.lane;
        return;
      }
    }
    plan.runs[plan.run_count++] = {lane, count, from};
  }

  template <class Atom>
  void pack_block(std::size_t m, std::size_t count, typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t block = Atom::lanes * Atom::registers;
    tap_plan<block> plan;
    const place at = place_of(m);
    for (std::size_t ky = 0; ky < w_.kernel_height; ++ky)
      for (std::size_t kx = 0; kx < w_.kernel_width; ++kx, to += x_.channels * block) {
        plan_tap(at, count, ky, kx, plan);
        if (plan.run_count == 1 && plan.padded_count == 0 && w_.stride_x == 1)
          Atom::pack_columns(x_.data + plan.runs[0].from, x_.channel_stride, x_.channels, count, to);
        else
          pack_assembled<Atom>(plan, count, to);
      }
  }

  /// Masks of all runs.
  template <std::size_t Block>
  void plan_chunks(tap_plan<Block>& plan) const {
    std::memset(static_cast<void*>(plan.start), 0, sizeof plan.start);
    std::uint8_t of_row[Block] = {};  // lanes that do not belong to a run
    for (std::size_t p = 0; p < plan.padded_count; ++p) {
      plan.start[plan.padded[p]] = padding_;
      of_row[plan.padded[p]] = 1;
    }
    plan.chunk_count = 0;
    plan.first_read = plan.last_read = 0;
    for (std::size_t r = 0; r < plan.run_count; ++r) {
      const run& at = plan.runs[r];
      for (std::size_t lane = at.lane / chunk_lanes * chunk_lanes; lane < at.lane + at.count; lane += chunk_lanes) {
        chunk& c = plan.chunks[plan.chunk_count++];
        c.lane = lane;
        c.from = static_cast<std::ptrdiff_t>(at.from + lane * w_.stride_x) - static_cast<std::ptrdiff_t>(at.lane * w_.stride_x);
        plan.first_read = (std::min)(plan.first_read, c.from);
        plan.last_read = (std::max)(plan.last_read, c.from + static_cast<std::ptrdiff_t>(chunk_lanes * w_.stride_x));
        for (std::size_t i = 0; i < 16; ++i) {
          const std::size_t l = lane + i / sizeof(X);
          c.mask[i] = l >= at.lane && l < at.lane + at.count && of_row[l] == 0 ? 0xff : 0;
        }
      }
    }
  }

  /// Channels are put together a few at a time, in rows of a block's lanes.
  template <class Atom, std::size_t Block>
  void pack_assembled(tap_plan<Block>& plan, std::size_t count, typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t some = 16;
    alignas(64) X rows[some][Block];
    if (w_.stride_x <= 2) plan_chunks(plan);
    for (std::size_t c = 0; c < x_.channels; c += some) {
      const std::size_t channels = (std::min)(some, x_.channels - c);
      for (std::size_t i = 0; i < channels; ++i) {
        const X* plane = x_.data + (c + i) * x_.channel_stride;
        if (w_.stride_x == 1)
          assemble<1>(plan, plane, rows[i]);
        else if (w_.stride_x == 2)
          assemble<2>(plan, plane, rows[i]);
        else
          assemble_lanes(plan, plane, rows[i]);
      }
      Atom::pack_columns(&rows[0][0], Block, channels, count, to + c * Block);
    }
  }
  template <std::size_t Stride, std::size_t Block>
  void assemble(const tap_plan<Block>& plan, const X* plane, X* row) const noexcept {
    if (plane - x_.data + plan.first_read < 0 || plan.last_read > end_ - plane) return assemble_lanes(plan, plane, row);
    std::memcpy(static_cast<void*>(row), plan.start, sizeof plan.start);
    for (std::size_t i = 0; i < plan.chunk_count; ++i)
      add_chosen<Stride>(plane + plan.chunks[i].from, plan.chunks[i].mask,
                         reinterpret_cast<std::uint8_t(&)[16]>(row[plan.chunks[i].lane]));
  }
  /// Lane by lane: where a chunk would read beyond the planes.
  template <std::size_t Block>
  void assemble_lanes(const tap_plan<Block>& plan, const X* plane, X* row) const noexcept {
    for (std::size_t r = 0; r < plan.run_count; ++r)
      for (std::size_t i = 0; i < plan.runs[r].count; ++i)
        row[plan.runs[r].lane + i] = plane[plan.runs[r].from + i * w_.stride_x];
    for (std::size_t p = 0; p < plan.padded_count; ++p) row[plan.padded[p]] = padding_;
  }

  plane_view<const X> x_;
  window_parameters w_;
  X padding_;
  std::size_t out_width_ = 0, out_height_ = 0;
  const X* end_ = nullptr;  // of all planes
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/quads.hpp ====
// X and Y in quads as the columns loop sees them: X is handed to atoms that take quads as they are, or turned into
// columns for others; Y is stored four channels of a row at a time.

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace sparq {
SPARQ_ABI_BEGIN

/// X in quads; see k_major_rows.
template <class X>
struct quad_rows {
  using element = X;
  static constexpr bool in_memory = true;
  static constexpr bool is_k_major = true;
  static constexpr const char* access = "from quads, ";
  quad_view<const X> x;

  /// Packs rows [m, m + rows) in blocks: to[block][k][row], or whole runs of k's.
  template <class Atom>
  void pack(std::size_t m, std::size_t rows, std::size_t k, typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t block = Atom::lanes * Atom::registers;
    const std::size_t block_k = round_up(k, run_of_v<Atom>);
    for (std::size_t first = 0; first < k; first += 64)  // as for k_major_rows
      for (std::size_t r = 0; r < rows; r += block) {
        const std::size_t count = (std::min)(block, rows - r), end = (std::min)(first + 64, k);
        auto* const target = to + (r / block * block_k + first) * block;
        if constexpr (run_of_v<Atom> == 4)
          Atom::pack_quads(x.quad(first / 4) + 4 * (m + r), x.stride, ceil_div(end - first, std::size_t{4}), count, target);
        else
          pack_columns<Atom>(first, end, m + r, count, target);
      }
  }
  /// Row m as consecutive k's.
  void row(std::size_t m, X* to) const noexcept {
    for (std::size_t k = 0; k < x.columns; ++k) to[k] = x(m, k);
  }

 private:
  template <class Atom>
  void pack_columns(std::size_t first, std::size_t end, std::size_t m, std::size_t count,
                    typename Atom::packed_x* to) const noexcept {
    constexpr std::size_t block = Atom::lanes * Atom::registers;
    X columns[4 * block];
    for (std::size_t k = first; k < end; k += 4, to += 4 * block) {
      const X* quads = x.quad(k / 4) + 4 * m;
      for (std::size_t r = 0; r < count; ++r)
        for (std::size_t i = 0; i < 4; ++i) columns[i * block + r] = quads[4 * r + i];
      Atom::pack_columns(columns, block, (std::min)(std::size_t{4}, end - k), count, to);
    }
  }
};

/// Y in quads.
template <class Y>
struct quad_target {
  Y* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;

  /// @pre at.channel % 4 == 0
  template <class T>
  SPARQ_INLINE void store_lanes(const lane_position& at, const vec<T>& v) const {
    Y lanes[16] = {};
    machine::store_lanes(lanes, v, at.count);
    for (std::size_t c = 0; c < at.count; c += 4)  // beyond the last channel: zeros
      std::memcpy(data + (at.channel + c) / 4 * stride + 4 * at.row, lanes + c, 4 * sizeof(Y));
  }
};

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/reference.hpp ====
// The oracle: slow, plain and trusted. Multiplies straight from the canonical tensor, slot by slot, without panels,
// packing or instructions; every kernel on every instruction set is compared with it.

#include <cstdint>
#include <type_traits>
#include <vector>

namespace sparq {

/// The sums X W^T, m x n row-major: int32 for integers (exact while they fit), int64 where X has 16 bits, double for
/// floats.
/// O(m x slots).
template <class X, format F, numeric N, quantization_granularity G>
auto reference_gemm(matrix_view<X> x, const tensor_view<F, N, G>& w) {
  using sum_type = std::conditional_t<!N::is_integer, double, std::conditional_t<sizeof(X) == 2, std::int64_t, std::int32_t>>;
  std::vector<sum_type> y(x.rows * w.shape().n);
  detail::for_each_slot(w.index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    const auto weight = static_cast<sum_type>(load_weight(w, slot, n, k));
    for (std::size_t m = 0; m < x.rows; ++m) y[m * w.shape().n + n] += static_cast<sum_type>(x(m, k)) * weight;
  });
  return y;
}

/// The sums X W^T of bf16 times bf16 as panels add them, m x n row-major and bit for bit: the stored weights of a channel in
/// the order of k, in pairs, of which the second product is added first; the last pair may have a half of zeros.
/// @pre every channel of a panel has the same number of slots, and they fill whole windows (dense, n_m, tile_wise)
/// O(m x slots).
template <format F>
std::vector<float> reference_gemm_in_pairs(matrix_view<const brain_float> x, const tensor_view<F, bf16, unquantized>& w) {
  const std::size_t channels = w.shape().n;
  std::vector<std::vector<std::size_t>> slots(channels), ks(channels);
  detail::for_each_slot(w.index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    slots[n].push_back(slot);
    ks[n].push_back(k);
  });
  std::vector<float> y(x.rows * channels);
  for (std::size_t m = 0; m < x.rows; ++m)
    for (std::size_t n = 0; n < channels; ++n)
      for (std::size_t pair = 0; pair < ks[n].size(); pair += 2)
        for (const std::size_t i : {pair + 1, pair}) {
          float& sum = y[m * channels + n];
          sum = i == ks[n].size() ? add_bf16_product(sum, {}, {})
                                  : add_bf16_product(sum, x(m, ks[n][i]), load_code<bf16>(w.values.data(), slots[n][i]));
        }
  return y;
}

/// The sums X W^T of real numbers, m x n row-major: every weight times its scale, every x less `zero_point`.
/// In double. O(m x slots).
template <class X, format F, numeric N, quantization_granularity G>
std::vector<double> scaled_reference_gemm(matrix_view<X> x, const tensor_view<F, N, G>& w, std::int32_t zero_point = 0) {
  static_assert(!std::is_same_v<G, unquantized>, "sparq: an unquantized tensor has no scales; use reference_gemm");
  std::vector<double> y(x.rows * w.shape().n);
  detail::for_each_slot(w.index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    const double weight = static_cast<double>(load_code<N>(w.values.data(), slot)) *
                          static_cast<double>(w.scales[G::scale_index(n, k, w.shape().k)]);
    for (std::size_t m = 0; m < x.rows; ++m)
      y[m * w.shape().n + n] += (static_cast<double>(x(m, k)) - zero_point) * weight;
  });
  return y;
}

}  // namespace sparq

// ==== sparq/kernel/rows_loop.hpp ====
// The rows loop of one product, in the form that suits its number of rows:
//
//   codebooks, few rows     look_up_loop     entries stay in registers
//   bits, many rows         bit_table_loop   where the CPU counts by looking up
//   bytes, one row          panel_loop       with an atom of its own
//   all others              panel_loop

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// One operation; see panel_loop.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
class rows_loop {
  using all_rows = panel_loop<Packed, Atom, Source, Y, Epilogue>;
  using one_row_atom = typename machine::one_row_atom<Atom>::type;
  using one_row = panel_loop<Packed, one_row_atom, Source, Y, Epilogue>;
  using few_rows = look_up_loop<Packed, Source, Y, Epilogue>;
  using bit_tables = bit_table_loop<Packed, Source, Y, Epilogue>;

  static constexpr bool has_few_rows = machine::looks_up_few_rows_v<Packed, typename Source::element>;
  static constexpr bool has_bit_tables = machine::counts_by_tables_v<Packed, typename Source::element>;
  // an X cut for one row has halves of eight k's, and windows may begin anywhere
  static constexpr bool has_one_row =
      !std::is_same_v<one_row_atom, Atom> && !all_rows::looks_up && !all_rows::is_grouped && !all_rows::is_list && !all_rows::has_windows &&
      Packed::numeric_type::bits == 8 && (!all_rows::permutes || all_rows::window::window % 8 == 0);

 public:
  static constexpr std::size_t block_rows = all_rows::block_rows;
  static constexpr std::size_t block_channels = all_rows::block_channels;

  /// - `zero_point`: as in panel_loop
  rows_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages, std::int32_t zero_point = 0)
      : loop_(w, source, y, stages, zero_point), w_(w), source_(source), y_(y), stages_(stages) {}

  std::string_view loop_name() const {
    return in_form([](const auto& loop) { return loop.loop_name(); });
  }
  std::string_view atom_name() const {
    return in_form([](const auto& loop) { return loop.atom_name(); });
  }
  std::string x_access() const {
    return in_form([](const auto& loop) { return loop.x_access(); });
  }
  std::size_t cached_rows() const {
    return in_form([](const auto& loop) { return loop.cached_rows(); });
  }
  std::size_t strips() const { return loop_.strips(); }

  /// Bytes of scratch that one part of the work needs, a multiple of 64.
  std::size_t scratch_bytes(std::size_t m) const {
    return in_form([m](const auto& loop) { return loop.scratch_bytes(m); });
  }
  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    in_form([=](const auto& loop) { loop.run(m0, m1, s0, s1, scratch); });
  }

 private:
  /// f(the loop that runs)
  template <class F>
  auto in_form(F f) const {
    if constexpr (has_few_rows)
      if (y_.rows <= looked_up_rows) return f(few_rows(w_, source_, y_, stages_));
    if constexpr (has_bit_tables)
      if (bit_tables::suits(y_.rows, w_.shape().k)) return f(bit_tables(w_, source_, y_, stages_));
    if constexpr (has_one_row)
      if (y_.rows == 1 && (all_rows::permutes || w_.words().size_bytes() <= machine::one_row_bytes))
        return f(one_row(w_, source_, y_, stages_));
    return f(loop_);
  }

  all_rows loop_;
  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
};

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/tile_target.hpp ====
// Y and the epilogue of an operation behind one function, so that loops are compiled for X and W only: each type of Y and
// each list of stages adds a store_tile and not another loop. The call is one for a tile of sums over all k's.

#include <cstddef>
#include <cstdint>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The cache line of `at`, which will be written soon.
SPARQ_INLINE void prefetch_for_writing([[maybe_unused]] const std::byte* at) {
#if defined(__GNUC__)
  __builtin_prefetch(at, 1);
#endif
}

template <class Y>
inline constexpr bool has_rows_in_memory_v = false;
template <class T>
inline constexpr bool has_rows_in_memory_v<matrix_view<T>> = true;

}  // namespace machine

/// A loop's Y. Refers to a Y and stages that outlive it.
template <class Acc>
struct tile_target {
  using store_function = void (*)(const void* y, const void* stages, const Acc* tile, std::size_t ldt, std::size_t rows,
                                  std::size_t channels, std::int32_t factor, const lane_position& at) noexcept;

  const void* y = nullptr;
  const void* stages = nullptr;
  std::size_t rows = 0;
  store_function store = nullptr;
  const std::byte* elements = nullptr;  // of a Y whose rows lie in memory, null for others
  std::size_t row_bytes = 0;            // from one row to the next
  std::size_t element_bytes = 0;

  /// Asks for the cache lines that the next tile goes to, while its sums are computed: the first and the last of each row.
  void prefetch(std::size_t row, std::size_t count, std::size_t channel, std::size_t channels) const noexcept {
    if (elements == nullptr) return;
    const std::byte* at = elements + row * row_bytes + channel * element_bytes;
    for (std::size_t r = 0; r < count; ++r, at += row_bytes) {
      machine::prefetch_for_writing(at);
      machine::prefetch_for_writing(at + channels * element_bytes - 1);
    }
  }
};

/// The stages of a tile_target are part of it.
struct stages_of_target {};

template <class Acc, class Y, class Epilogue>
tile_target<Acc> tile_target_of(const Y& y, const Epilogue& stages) {
  tile_target<Acc> result{&y, &stages, y.rows,
          [](const void* to, const void* all_stages, const Acc* tile, std::size_t ldt, std::size_t rows,
             std::size_t channels, std::int32_t factor, const lane_position& at) noexcept {
            store_tile(tile, ldt, rows, channels, factor, *static_cast<const Y*>(to), at,
                       *static_cast<const Epilogue*>(all_stages));
          }};
  if constexpr (machine::has_rows_in_memory_v<Y>) {
    result.elements = reinterpret_cast<const std::byte*>(y.data);
    result.element_bytes = sizeof *y.data;
    result.row_bytes = y.stride * sizeof *y.data;
  }
  return result;
}

/// See kernel/epilogue.hpp.
template <class Acc>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const tile_target<Acc>& y, const lane_position& at, const stages_of_target&) noexcept {
  y.store(y.y, y.stages, tile, ldt, rows, channels, factor, at);
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/workspace.hpp ====
// Scratch memory of operations. The caller owns it: either an object that grows when a call needs more and keeps what it
// has, or bytes of the caller's own, which never grow.

#include <cstdint>
#include <span>
#include <string>

namespace sparq {

/// The scratch of one call at a time; reused by the next.
class workspace {
 public:
  /// Grows on demand.
  workspace() = default;
  /// Uses the caller's bytes and nothing else. @pre bytes.data() lies on a boundary of 64 bytes
  explicit workspace(std::span<std::byte> bytes) : fixed_(bytes), is_fixed_(true) {}

  /// At least `size` bytes on a 64-byte boundary, contents undefined; valid until the next call.
  /// Errors: the caller's bytes are too few, or not aligned.
  expected<std::byte*> try_reserve(std::size_t size) {
    if (is_fixed_) {
      if (size > fixed_.size())
        return status::failure("workspace: " + std::to_string(size) + " bytes are needed, the caller's block has " +
                               std::to_string(fixed_.size()));
      if (reinterpret_cast<std::uintptr_t>(fixed_.data()) % alignment != 0)
        return status::failure("workspace: the caller's block does not start on a boundary of 64 bytes");
      return fixed_.data();
    }
    if (size > owned_.size()) {
      owned_ = aligned_buffer();  // the old block first, so that both never exist together
      owned_ = aligned_buffer(size);
    }
    return owned_.data();
  }
  std::size_t size() const { return is_fixed_ ? fixed_.size() : owned_.size(); }

 private:
  aligned_buffer owned_;
  std::span<std::byte> fixed_;
  bool is_fixed_ = false;
};

}  // namespace sparq

// ==== sparq/op/conv2d.hpp ====
// 2-D convolution with packed weights of any format: Y = epilogue(sum over taps and channels). It adds no kernel. A pixel
// of Y is a row of X whose k's run through the taps, [kernel_height][kernel_width][channels], and sparsity maps index
// those k's like any others. Rows are gathered a block at a time into the block's packed X, which is small and stays in
// the cache; a 1x1 kernel without padding reads X where it lies. Images are image_views (NHWC), or plane_views (NCHW)
// where the weights are packed for the columns loop; a tap is then an offset into a plane (kernel/plane_source.hpp).

// ==== sparq/op/gemm.hpp ====
// Y[m][n] = epilogue(sum_k X[m][k] * W[n][k]) for packed weights of any format and numeric type.

#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

template <class T>
inline constexpr bool is_packed_v = false;
template <class... T>
inline constexpr bool is_packed_v<packed_view<T...>> = true;
template <class N, class G, class Shape>
inline constexpr bool is_packed_v<packed_columns_view<N, G, Shape>> = true;
template <class N, class G, class Shape>
inline constexpr bool is_packed_v<packed_bitmask_view<N, G, Shape>> = true;

/// The loop that reads a packed type.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
struct loop_for {
  using type = rows_loop<Packed, Atom, Source, Y, Epilogue>;
};
template <class N, class G, class Shape, class Atom, class Source, class Y, class Epilogue>
struct loop_for<packed_columns_view<N, G, Shape>, Atom, Source, Y, Epilogue> {
  using type = column_loop<packed_columns_view<N, G, Shape>, Atom, Source, Y, Epilogue>;
};
template <class N, class G, class Shape, class Atom, class Source, class Y, class Epilogue>
struct loop_for<packed_bitmask_view<N, G, Shape>, Atom, Source, Y, Epilogue> {
  using type = expand_loop<packed_bitmask_view<N, G, Shape>, Atom, Source, Y, Epilogue>;
};

/// Where X and Y lie: by rows for every loop, by columns for the columns loop alone.
template <class T>
inline constexpr bool is_k_major_v = false;
template <class T>
inline constexpr bool is_k_major_v<k_major_view<T>> = true;
template <class T>
inline constexpr bool is_k_major_v<quad_view<T>> = true;
/// Elements that share bytes.
template <class T>
inline constexpr bool is_narrow_matrix_v = false;
template <class N>
inline constexpr bool is_narrow_matrix_v<narrow_matrix_view<N>> = true;
template <class View>
concept activations = is_k_major_v<View> || is_narrow_matrix_v<View> ||
                      std::is_same_v<View, matrix_view<std::remove_reference_t<decltype(*View::data)>>>;

template <class X>
strided_rows<std::remove_const_t<X>> source_of(const matrix_view<X>& x) { return {x}; }
template <class X>
k_major_rows<std::remove_const_t<X>> source_of(const k_major_view<X>& x) { return {x}; }
template <class X>
quad_rows<std::remove_const_t<X>> source_of(const quad_view<X>& x) { return {x}; }
template <class N>
auto source_of(const narrow_matrix_view<N>& x) { return narrow_rows_of<std::remove_const_t<N>>(x, 0, x.columns); }

/// What the loop of these weights reads X as.
template <class Packed, class View>
auto source_for(const View& x) {
  if constexpr (counts_bits_v<View, Packed>)
    return bit_rows_of(x, 0, x.columns);
  else
    return source_of(x);
}
template <class Packed, class View>
using x_element = std::conditional_t<counts_bits_v<View, Packed>, eight_bits, element_of<View>>;

/// What a loop stores to.
template <class Y>
const Y& target_of(const Y& y) { return y; }
template <class Y>
quad_target<Y> target_of(const quad_view<Y>& y) { return {y.data, y.rows, y.columns, y.stride}; }
template <class N>
narrow_target target_of(const narrow_matrix_view<N>& y) { return narrow_target_of(y, 0, y.columns); }

/// The view behind whatever weights were given; explains what is missing when they are not packed.
template <class W>
constexpr auto packed_of(const W& w) {
  static_assert(!sparq::detail::is_tensor_v<W>, "sparq: operations take packed weights; call sparq::pack(w) once and keep the result");
  if constexpr (is_packed_v<W>)
    return w;
  else
    return w.view();
}

template <class XView, class YView, class Packed>
constexpr void check_layouts() {
  static_assert((!is_k_major_v<XView> && !is_k_major_v<YView>) || requires { typename Packed::steps; },
                "sparq: X or Y by columns needs weights packed for the columns loop; call sparq::pack<column_shape<4, 4>>(w), "
                "or column_shape<4, 1> for floats");
}

/// Packed weights among which some may be left out, as real zeros: all but those of dense, in the rows loop.
template <class Packed>
constexpr bool may_leave_weights_out() {
  if constexpr (requires { typename Packed::k_map; })
    return !std::is_same_v<typename Packed::k_map, contiguous> || !std::is_same_v<typename Packed::row_select, all>;
  else
    return true;
}

/// Whether a kernel multiplies X by weights of this type in the shape that they are packed in.
template <class X, class Packed, class Atoms>
inline constexpr bool multiplies_v = !std::is_same_v<
    atom_for<numeric_of_t<X>, typename Packed::numeric_type, typename Packed::panel_shape_type, Atoms>, no_atom>;

template <class X, class Packed, class Atoms, class... Stages>
constexpr void check_types() {
  static_assert(multiplies_v<X, Packed, Atoms>,
                "sparq: no kernel multiplies this type of X by these weights; floats meet f32, bytes meet integer "
                "weights packed in panel_shape<16, 4> or column_shape<4, 4>, 16 bits those in panel_shape<16, 4>, binary "
                "views binary, ternary and 2-bit weights in bit_panel_shape");
  static_assert(Packed::panel_shape_type::group_k != 32 || !(takes_zero_point_of_x_v<Stages> || ... || false),
                "sparq: codes of -1 and 1 have no zero point; leave subtract_zero_point out");
  static_assert(Packed::panel_shape_type::group_k != 32 || !scales_along_k_v<typename Packed::granularity>,
                "sparq: bits are counted through all of k; use scales per channel, or panel_shape<16, 4>");
  static_assert(!may_leave_weights_out<Packed>() || !(gives_zero_a_value_v<Stages> || ... || false),
                "sparq: weights that a format leaves out are 0 and have no zero point or offset; keep such weights in dense, "
                "packed in panel_shape");
  static_assert(!scales_along_k_v<typename Packed::granularity> ||
                    !(std::is_same_v<Stages, subtract_weight_zero_point> || ... || false),
                "sparq: scales along k leave no integer sum that a zero point of W could be taken from; use group_sums, or "
                "subtract it from the codes before they are encoded");
  static_assert(!scales_along_k_v<typename Packed::granularity> ||
                    !(std::is_same_v<Stages, subtract_zero_point_per_row> || ... || false),
                "sparq: scales along k leave no integer sum that zero points of rows could be taken from; quantize the rows "
                "to std::int8_t");
}

/// Scales along k leave no integer sum behind the loop: it takes X's zero point back itself, and the stage falls away.
template <class Stage>
auto keep_unless_zero_point(const Stage& stage) {
  if constexpr (std::is_same_v<Stage, subtract_zero_point>)
    return std::tuple<>();
  else
    return std::tuple<Stage>(stage);
}
template <class Packed, class... Stages>
auto stages_behind(const epilogue<Stages...>& stages) {
  if constexpr (!scales_along_k_v<typename Packed::granularity>)
    return stages;
  else
    return std::apply(
        [](const auto&... stage) {
          return std::apply([](const auto&... kept) { return epilogue(kept...); },
                            std::tuple_cat(keep_unless_zero_point(stage)...));
        },
        stages.stages);
}
template <class Packed, class... Stages>
std::int32_t zero_point_inside(const epilogue<Stages...>& stages) {
  std::int32_t sum = 0;
  if constexpr (scales_along_k_v<typename Packed::granularity>)
    std::apply(
        [&](const auto&... stage) {
          [[maybe_unused]] const auto add = [&](const auto& one) {
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(one)>, subtract_zero_point>) sum += one.zero_point;
          };
          (add(stage), ...);
        },
        stages.stages);
  return sum;
}

/// How work is cut for an executor: a grid of rows by strips of channels.
struct work_grid {
  std::size_t row_parts = 1;
  std::size_t strip_parts = 1;

  static work_grid make(std::size_t concurrency, std::size_t rows, std::size_t block, std::size_t strips) {
    work_grid grid;
    const std::size_t parts = (std::max)(concurrency, std::size_t{1});
    grid.row_parts = (std::min)(parts, (std::max)(ceil_div(rows, block), std::size_t{1}));
    grid.strip_parts = (std::min)(parts / grid.row_parts, (std::max)(strips, std::size_t{1}));
    return grid;
  }
  std::size_t parts() const { return row_parts * strip_parts; }
  /// Rows of one part, whole blocks of them.
  std::size_t part_rows(std::size_t rows, std::size_t block) const {
    return round_up(ceil_div(rows, row_parts), block);
  }
};

/// Runs a loop over all rows and channels. @pre scratch has parts * scratch_bytes(part_rows)
template <class Loop, class Executor>
void run_parts(const Loop& loop, const work_grid& grid, std::size_t rows, std::size_t block, std::byte* scratch,
               Executor& executor) {
  const std::size_t part_rows = grid.part_rows(rows, block);
  const std::size_t strips = loop.strips();
  const std::size_t part_strips = ceil_div(strips, grid.strip_parts);
  const std::size_t bytes = loop.scratch_bytes((std::min)(part_rows, rows));
  executor.parallel_for(grid.parts(), [&](std::size_t part) {
    const std::size_t m0 = part / grid.strip_parts * part_rows;
    const std::size_t s0 = part % grid.strip_parts * part_strips;
    if (m0 < rows && s0 < strips)
      loop.run(m0, (std::min)(m0 + part_rows, rows), s0, (std::min)(s0 + part_strips, strips), scratch + part * bytes);
  });
}

/// The shape that picks the atom: sources that cannot pack runs of k's leave them to the atom of single ones, whose lists
/// are the same.
template <class Source, class Shape>
struct shape_for_source {
  using type = Shape;
};
template <class Source, std::size_t Channels, std::size_t GroupK, std::size_t Run>
  requires(requires { Source::packs_runs; })
struct shape_for_source<Source, column_shape<Channels, GroupK, Run>> {
  using type = column_shape<Channels, GroupK, Source::packs_runs ? Run : 1>;
};

/// An operation and how it is cut: what runs, what it needs, and what explain() tells.
template <class Atoms, class Source, class Packed>
class operation {
 public:
  using atom = atom_for<numeric_of_t<typename Source::element>, typename Packed::numeric_type,
                        typename shape_for_source<Source, typename Packed::panel_shape_type>::type, Atoms>;
  // scales along k leave sums that are scaled already
  static constexpr bool is_scaled = scales_along_k_v<typename Packed::granularity>;
  using sum_type = std::conditional_t<is_scaled, float, typename atom::acc_type>;
  using loop_type = typename loop_for<Packed, atom, Source, tile_target<sum_type>, stages_of_target>::type;

  /// Refers to y and stages.
  template <class Y, class Epilogue>
  operation(const Source& source, std::size_t m, const Packed& w, const Y& y, const Epilogue& stages,
            std::size_t concurrency, std::int32_t zero_point = 0)
      : operation(source, m, w, tile_target_of<sum_type>(y, stages), strips_stand_apart(w, y), concurrency, zero_point) {}
  /// For questions only: nothing is stored, so Y may hold what no stages yield.
  template <class Y>
  operation(const Source& source, std::size_t m, const Packed& w, const Y& y, std::size_t concurrency)
      : operation(source, m, w, tile_target<sum_type>{nullptr, nullptr, y.rows, nullptr}, strips_stand_apart(w, y), concurrency) {}
  operation(const Source& source, std::size_t m, const Packed& w, const tile_target<sum_type>& y, bool may_cut_strips,
            std::size_t concurrency, std::int32_t zero_point = 0)
      : loop_(w, source, y, {}, zero_point),
        m_(m),
        grid_(work_grid::make(concurrency, m, loop_type::block_rows, may_cut_strips ? loop_.strips() : 1)) {}

  std::size_t workspace_bytes() const {
    return grid_.parts() * loop_.scratch_bytes((std::min)(grid_.part_rows(m_, loop_type::block_rows), m_));
  }
  template <class Executor>
  status run(Executor& executor, workspace& scratch) const {
    auto bytes = scratch.try_reserve(workspace_bytes());
    if (!bytes) return bytes.error();
    run_parts(loop_, grid_, m_, loop_type::block_rows, *bytes, executor);
    return {};
  }
  explanation explain() const {
    return {std::string(loop_.atom_name()), to_string(native_isa),  std::string(loop_.loop_name()),
            Packed::layout_name(),   loop_.x_access(),       loop_type::block_rows,
            loop_.block_channels,    loop_.cached_rows(),    grid_.parts(),
            workspace_bytes()};
  }

 private:
  loop_type loop_;
  std::size_t m_;
  work_grid grid_;
};

/// A view without its elements: what checks look at, so that they are compiled once.
struct matrix_extents {
  std::size_t rows = 0;
  std::size_t columns = 0;
  bool strides_fit = true;  // no stride is less than the extent it steps over
};
template <class View>
matrix_extents extents_of(const View& v) {
  if constexpr (is_narrow_matrix_v<View>)
    return {v.rows, v.columns, v.stride >= v.row_bytes()};
  else if constexpr (requires { v.quad(0); })
    return {v.rows, v.columns, v.stride >= 4 * v.rows};
  else
    return {v.rows, v.columns, v.stride >= (is_k_major_v<View> ? v.rows : v.columns)};
}
inline std::string extent_text(const matrix_extents& v) {
  return std::to_string(v.rows) + " x " + std::to_string(v.columns);
}

inline status check_extents(const matrix_extents& x, weight_shape w, const matrix_extents& y) {
  if (x.columns != w.k)
    return status::failure("gemm: X is " + extent_text(x) + ", W is " + to_string(w) + "; X needs " +
                           std::to_string(w.k) + " columns");
  if (y.rows != x.rows || y.columns != w.n)
    return status::failure("gemm: Y is " + extent_text(y) + ", it needs to be " + std::to_string(x.rows) + " x " +
                           std::to_string(w.n));
  if (!x.strides_fit || !y.strides_fit)
    return status::failure("gemm: a stride is less than the extent it steps over");
  return {};
}
template <class XView, class YView>
status check_operands(const XView& x, weight_shape w, const YView& y) {
  return check_extents(extents_of(x), w, extents_of(y));
}

}  // namespace machine

/// Y = epilogue(X W^T).
/// - `x`: m x k, u8, s8, s16 or f32; `w`: packed n x k; `y`: m x n, s32, f32, s16, s8 or u8, or int64 where X is s16; must
///   not overlap x or w. Each is a matrix_view, a narrow_matrix_view of 1 to 4 bits, or a k_major_view or quad_view
///   where w is packed for the columns loop
/// - `stages`: see kernel/epilogue.hpp; empty for plain s32 or f32 sums
/// - `executor`: runs the parts of the work; `scratch`: as many bytes as explain_gemm says
/// Integer sums are exact int32 on every CPU for any input, as long as they fit, and int64 where X is s16; float sums add
/// in the order of k, for weights packed as a bitmask within sections of 128 k's, whose sums are added in their order, and
/// for few rows of X and codebooks of up to 16 f32 entries every 16th or 32nd k by itself.
/// X of binary (-1 and 1) and weights in bit_panel_shape are multiplied bit by bit; with other weights X is unpacked.
/// Rows of Y whose channel is pruned hold epilogue(0). Nothing is written when an error is returned.
/// Errors: extents that do not match, epilogue parameters that do not match, a fixed workspace that is too small.
/// Complexity O(m x stored weights).
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y, class... Stages,
          executor Executor>
status try_gemm(X x, const W& w, Y y, const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  const auto packed = machine::packed_of(w);
  using packed_type = std::remove_cvref_t<decltype(packed)>;
  machine::check_layouts<X, Y, packed_type>();
  machine::check_types<machine::x_element<packed_type, X>, packed_type, Atoms, Stages...>();
  if (status s = machine::check_operands(x, packed.shape(), y); !s.ok()) return s;
  if (status s = stages.check(y.rows, y.columns); !s.ok()) return s;
  const auto source = machine::source_for<packed_type>(x);
  const auto target = machine::target_of(y);
  const auto behind = machine::stages_behind<packed_type>(stages);
  return machine::operation<Atoms, std::remove_const_t<decltype(source)>, packed_type>(
             source, x.rows, packed, target, behind, executor.concurrency(), machine::zero_point_inside<packed_type>(stages))
      .run(executor, scratch);
}

/// Throwing twin of try_gemm.
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y, class... Stages,
          executor Executor>
void gemm(X x, const W& w, Y y, const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  try_gemm<Atoms>(x, w, y, stages, executor, scratch).value();
}

/// One thread, no epilogue.
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y>
void gemm(X x, const W& w, Y y, workspace& scratch) {
  try_gemm<Atoms>(x, w, y, epilogue<>{}, serial, scratch).value();
}

/// What gemm does with x, w and y, whose data is not touched, and this many parts.
/// `workspace_bytes` of the result is what a fixed workspace must hold.
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y>
explanation explain_gemm(X x, const W& w, Y y, std::size_t concurrency = 1) {
  const auto packed = machine::packed_of(w);
  using packed_type = std::remove_cvref_t<decltype(packed)>;
  machine::check_layouts<X, Y, packed_type>();
  machine::check_types<machine::x_element<packed_type, X>, packed_type, Atoms>();
  const auto source = machine::source_for<packed_type>(x);
  const auto target = machine::target_of(y);
  return machine::operation<Atoms, std::remove_const_t<decltype(source)>, packed_type>(source, x.rows, packed, target,
                                                                                       concurrency)
      .explain();
}

/// The same for m rows of elements X and Y by rows.
template <class X, class Y, class Atoms = default_atoms, class W>
explanation explain_gemm(std::size_t m, const W& w, std::size_t concurrency = 1) {
  const weight_shape shape = machine::packed_of(w).shape();
  return explain_gemm<Atoms>(matrix_view<const X>(nullptr, m, shape.k), w, matrix_view<Y>(nullptr, m, shape.n),
                             concurrency);
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/window.hpp ====
// What operations share that slide a window over every channel of an image by itself: their arguments' checks, and the
// cutting of their work into rows of the output.

#include <algorithm>
#include <cstddef>
#include <string>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// An image without its elements: what checks look at, so that they are compiled once.
struct image_extents {
  std::size_t images = 0;
  std::size_t image_height = 0;
  std::size_t image_width = 0;
  std::size_t channels = 0;

  image_extents() = default;
  template <class View>
    requires requires(const View& v) { v.image_height; }
  image_extents(const View& v)
      : images(v.images), image_height(v.image_height), image_width(v.image_width), channels(v.channels) {}
};
inline std::string extent_text(const image_extents& v) {
  return std::to_string(v.images) + " x " + std::to_string(v.image_height) + " x " + std::to_string(v.image_width) +
         " x " + std::to_string(v.channels);
}

/// Extents of a Y with one pixel for each position of the window. @pre window.check(x.image_height, x.image_width)
inline image_extents output_extents(const image_extents& x, const window_parameters& window, std::size_t channels) {
  image_extents y = x;
  y.image_height = window.output_height(x.image_height);
  y.image_width = window.output_width(x.image_width);
  y.channels = channels;
  return y;
}

/// The window fits into X, and Y has one pixel for each of its positions; channels are the operation's own business.
inline status check_window(const char* op, const image_extents& x, const image_extents& y,
                           const window_parameters& window) {
  if (status s = window.check(x.image_height, x.image_width); !s.ok())
    return status::failure(std::string(op) + ": " + s.message());
  const image_extents wanted = output_extents(x, window, y.channels);
  if (y.images == wanted.images && y.image_height == wanted.image_height && y.image_width == wanted.image_width)
    return {};
  return status::failure(std::string(op) + ": Y is " + extent_text(y) + ", it needs to be " + extent_text(wanted));
}

/// f(image, y) for every row of the output's pixels; each part of the work is a run of rows.
template <class Executor, class F>
void for_each_output_row(const image_extents& out, Executor& executor, const F& f) {
  const std::size_t rows = out.images * out.image_height;
  const auto concurrency = static_cast<std::size_t>(executor.concurrency());
  const std::size_t parts = (std::min)((std::max)(concurrency, std::size_t{1}), rows);
  executor.parallel_for(parts, [&](std::size_t part) {
    const std::size_t share = rows / parts;
    const std::size_t longer = rows % parts;  // parts that have one row more
    const std::size_t first = part * share + (std::min)(part, longer);
    const std::size_t end = first + share + (part < longer ? 1 : 0);
    for (std::size_t row = first; row < end; ++row) f(row / out.image_height, row % out.image_height);
  });
}

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The patches of an image as rows of X; see strided_rows. Image: image_view<const X> or narrow_pixels<X>.
template <class X, class Image>
struct patch_rows {
  using element = X;
  static constexpr bool in_memory = false;
  static constexpr bool is_k_major = false;
  static constexpr bool is_unpacked = !std::is_same_v<Image, image_view<const X>>;
  static constexpr const char* access = is_unpacked ? "unpacked from patches, " : "gathered from patches, ";

  Image x;
  window_parameters window;
  std::size_t first_channel = 0;  // of the group
  std::size_t channels = 0;       // of the group
  std::size_t output_height = 0;
  std::size_t output_width = 0;
  X padding{};

  class cursor {
   public:
    cursor(const patch_rows& source, std::size_t m) : s_(source) {
      image_ = m / (s_.output_height * s_.output_width);
      out_y_ = m / s_.output_width % s_.output_height;
      out_x_ = m % s_.output_width;
    }
    const X* next(X* buffer) {
      const X* row = take(buffer);
      if (++out_x_ == s_.output_width) {
        out_x_ = 0;
        if (++out_y_ == s_.output_height) {
          out_y_ = 0;
          ++image_;
        }
      }
      return row;
    }

   private:
    const X* take(X* buffer) {
      const window_parameters& w = s_.window;
      if constexpr (!is_unpacked)
        if (w.taps() == 1 && w.pad_top == 0 && w.pad_left == 0 && w.pad_bottom == 0 && w.pad_right == 0)
          return s_.x.pixel(image_, out_y_ * w.stride_y, out_x_ * w.stride_x) + s_.first_channel;
      return gather(buffer);
    }

    /// Unsigned arithmetic: a tap left of or above the image wraps to a huge coordinate and counts as outside.
    const X* gather(X* buffer) {
      const window_parameters& w = s_.window;
      X* out = buffer;
      const std::size_t row_elements = w.kernel_width * s_.channels;
      const std::size_t left = out_x_ * w.stride_x - w.pad_left;
      const bool one_run = w.dilation_x == 1 && s_.channels == s_.x.channels && pixels_adjoin(s_.x);
      const bool inside_x = left < s_.x.image_width && left + w.kernel_width <= s_.x.image_width;
      for (std::size_t ky = 0; ky < w.kernel_height; ++ky, out += row_elements) {
        const std::size_t in_y = out_y_ * w.stride_y + ky * w.dilation_y - w.pad_top;
        if (in_y >= s_.x.image_height) {
          fill(out, row_elements);
        } else if (one_run && inside_x) {
          copy_pixels(s_.x, image_, in_y, left, 0, row_elements, out);
        } else {
          for (std::size_t kx = 0; kx < w.kernel_width; ++kx) {
            const std::size_t in_x = left + kx * w.dilation_x;
            if (in_x < s_.x.image_width)
              copy_pixels(s_.x, image_, in_y, in_x, s_.first_channel, s_.channels, out + kx * s_.channels);
            else
              fill(out + kx * s_.channels, s_.channels);
          }
        }
      }
      return buffer;
    }
    void fill(X* out, std::size_t count) const {
      for (std::size_t i = 0; i < count; ++i) out[i] = s_.padding;
    }

    const patch_rows& s_;
    std::size_t image_, out_y_, out_x_;
  };
  cursor start(std::size_t m) const { return cursor(*this, m); }
};

template <class T>
inline constexpr bool is_k_major_v<plane_view<T>> = true;
template <class T>
inline constexpr bool is_image_v<plane_view<T>> = true;
template <class T>
plane_view<const T> pixels_of(const plane_view<T>& x) { return x; }

template <image View>
status check_strides(const char* name, const View& v) {
  if constexpr (is_k_major_v<View>)
    if ((v.channels > 1 && v.channel_stride < v.plane_pixels()) || (v.images > 1 && v.image_stride < v.plane_pixels()))
      return status::failure(std::string("conv2d: planes of ") + name + " overlap");
  return {};
}

template <class Packed>
status check_convolution(const image_extents& x, std::span<const Packed> groups, const image_extents& y,
                         const window_parameters& window) {
  const auto wrong = [](const std::string& what) { return status::failure("conv2d: " + what); };
  if (groups.empty()) return wrong("no weights; one packed tensor for each group is needed");
  if (status s = window.check(x.image_height, x.image_width); !s.ok()) return s;
  if (x.channels % groups.size() != 0)
    return wrong(std::to_string(x.channels) + " channels of X do not divide into " + std::to_string(groups.size()) +
                 " groups");
  const std::size_t k = window.kernel_height * window.kernel_width * (x.channels / groups.size());
  std::size_t n = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (groups[g].shape().k != k)
      return wrong("group " + std::to_string(g) + " has weights of " + to_string(groups[g].shape()) +
                   "; k needs to be kernel_height x kernel_width x channels of a group = " + std::to_string(k));
    n += groups[g].shape().n;
  }
  const image_extents wanted = output_extents(x, window, n);
  if (y.images != wanted.images || y.image_height != wanted.image_height || y.image_width != wanted.image_width ||
      y.channels != n)
    return wrong("Y is " + extent_text(y) + ", it needs to be " + extent_text(wanted));
  return {};
}

/// The channels [first, first + channels) of every pixel as rows.
template <class T>
strided_rows<T> pixel_rows(const image_view<const T>& x, std::size_t first, std::size_t channels) {
  return {matrix_view<const T>(x.data + first, x.pixels(), channels, x.channels)};
}
template <class Code>
narrow_rows<Code> pixel_rows(const narrow_pixels<Code>& x, std::size_t first, std::size_t channels) {
  return {x.data, x.pixel_bytes, first, channels, x.unpack};
}
template <class T>
plane_matrix_view<T> pixel_targets(const plane_view<T>& y, std::size_t first, std::size_t channels) {
  return y.channel_range(first, channels).as_matrix();
}

/// Runs f with the source of group g and its weights, m rows.
template <class X, class Image, class Packed, class F>
status for_group(const Image& x, const Packed& w, std::size_t g, std::size_t group_count,
                 const window_parameters& window, X padding, F&& f) {
  const std::size_t channels = x.channels / group_count;
  const bool in_place = window.kernel_height == 1 && window.kernel_width == 1 && window.stride_y == 1 &&
                        window.stride_x == 1 && window.pad_top == 0 && window.pad_left == 0 &&
                        window.pad_bottom == 0 && window.pad_right == 0;
  const std::size_t height = window.output_height(x.image_height);
  const std::size_t width = window.output_width(x.image_width);
  const std::size_t m = x.images * height * width;
  if (in_place) return f(pixel_rows(x, g * channels, channels), m, w);
  return f(patch_rows<X, Image>{x, window, g * channels, channels, height, width, padding}, m, w);
}

template <class X, class Packed, class F>
status for_group(plane_view<const X> x, const Packed& w, std::size_t g, std::size_t group_count,
                 const window_parameters& window, X padding, F&& f) {
  const std::size_t channels = x.channels / group_count;
  const std::size_t m = x.images * window.output_height(x.image_height) * window.output_width(x.image_width);
  return f(plane_patches<X>(x.channel_range(g * channels, channels), window, padding), m, w);
}

/// The same for bits. `padding`: a code of binary
template <class X, class Packed, class F>
status for_group(const narrow_image_view<const binary>& x, const Packed& w, std::size_t g, std::size_t group_count,
                 const window_parameters& window, int padding, F&& f) {
  const std::size_t channels = x.channels / group_count;
  const std::size_t height = window.output_height(x.image_height);
  const std::size_t width = window.output_width(x.image_width);
  const std::size_t m = x.images * height * width;
  const bool in_place = window == window_parameters() && g * channels % 8 == 0;
  if (in_place) return f(bit_rows_of(x.as_matrix(), g * channels, channels), m, w);
  return f(bit_patches{x, window, g * channels, channels, height, width, padding < 0}, m, w);
}

/// What the loop of these weights reads an image as.
template <class Packed, class View>
auto pixels_for(const View& x) {
  if constexpr (counts_bits_v<View, Packed>)
    return narrow_image_view<const binary>(x);
  else
    return pixels_of(x);
}

/// The channels of one group as an epilogue sees them: positions count through all groups.
template <class Epilogue>
struct group_epilogue {
  const Epilogue* stages;
  std::size_t first_channel;
  const std::int32_t* weight_sums;

  template <class Bound>
  struct bound_stages {
    Bound stages;
    std::size_t first_channel;

    template <class Lanes>
    SPARQ_INLINE auto operator()(const Lanes& v, lane_position at) const {
      at.channel += first_channel;
      return stages(v, at);
    }
  };
  SPARQ_INLINE auto for_channels(lane_position at) const {
    at.channel += first_channel;
    at.weight_sums = weight_sums - first_channel;
    return bound_stages<decltype(stages->for_channels(at))>{stages->for_channels(at), first_channel};
  }
};

}  // namespace machine

/// Grouped convolution: group g multiplies its share of X's channels by `groups[g]`.
/// - `x`: u8, s8 or floats; `y`: s32, f32, s8 or u8; must not overlap. Each is an image_view (NHWC), a
///   narrow_image_view of 1 to 4 bits, or a plane_view (NCHW) where the weights are packed for the columns loop
/// - `groups[g]`: packed, n / groups x (kernel_height x kernel_width x channels / groups), k in that order (OHWI)
/// - `padding`: what X is beyond its border; the zero point of X, so that padded taps cancel. Where bits are counted it is 1
///   or -1, as there is no bit for 0
/// - `stages`, `executor`, `scratch`: as in gemm; channels count through all groups. Row sums of patches, for weights with
///   a zero point, are a convolution with one channel of ones; groups cannot have them
/// Nothing is written when an error is returned.
/// Errors: extents that do not match, a window that does not fit, planes that overlap, a fixed workspace that is too
/// small.
template <class Atoms = default_atoms, machine::image X, class Packed, machine::image Y, class... Stages,
          executor Executor>
status try_conv2d(X x, std::span<const Packed> groups, Y y, const window_parameters& window,
                  machine::element_of<X> padding, const epilogue<Stages...>& stages, Executor&& executor,
                  workspace& scratch) {
  using packed_type = std::remove_cvref_t<decltype(machine::packed_of(groups[0]))>;
  machine::check_layouts<X, Y, packed_type>();
  using x_type = machine::x_element<packed_type, X>;
  machine::check_types<x_type, packed_type, Atoms, Stages...>();
  if (status s = machine::check_convolution<Packed>(x, groups, y, window); !s.ok()) return s;
  if (status s = machine::check_strides("X", x); !s.ok()) return s;
  if (status s = machine::check_strides("Y", y); !s.ok()) return s;
  if (status s = stages.check(y.pixels(), y.channels); !s.ok()) return s;
  if constexpr ((machine::gives_zero_a_value_v<Stages> || ... || false))
    if (groups.size() > 1)
      return status::failure("conv2d: row sums are of one group, there are " + std::to_string(groups.size()));
  constexpr bool counts_bits = machine::counts_bits_v<X, packed_type>;
  if (counts_bits && padding != machine::element_of<X>{1} && padding != static_cast<machine::element_of<X>>(-1))
    return status::failure("conv2d: padding " + std::to_string(padding) +
                           " is no code of binary; pad with 1 or -1, or pack the weights in panel_shape<16, 4>");
  const auto behind = machine::stages_behind<packed_type>(stages);
  const auto for_each_group = [&](const auto& f) -> status {
    std::size_t first_channel = 0;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const packed_type w = machine::packed_of(groups[g]);
      const auto out = machine::pixel_targets(y, first_channel, w.shape().n);
      const machine::group_epilogue<std::remove_const_t<decltype(behind)>> shifted{&behind, first_channel,
                                                                                   w.weight_sums().data()};
      status result = machine::for_group<x_type>(
          machine::pixels_for<packed_type>(x), w, g, groups.size(), window, padding,
          [&](const auto& source, std::size_t rows, const packed_type& weights) {
            using source_type = std::remove_cvref_t<decltype(source)>;
            return f(machine::operation<Atoms, source_type, packed_type>(
                source, rows, weights, out, shifted, executor.concurrency(), machine::zero_point_inside<packed_type>(stages)));
          });
      if (!result.ok()) return result;
      first_channel += w.shape().n;
    }
    return {};
  };
  if (groups.size() > 1) {  // the scratch of all groups, before the first one writes anything
    std::size_t most = 0;
    status counted = for_each_group([&](const auto& one) -> status {
      most = (std::max)(most, one.workspace_bytes());
      return {};
    });
    if (!counted.ok()) return counted;
    if (auto bytes = scratch.try_reserve(most); !bytes) return bytes.error();
  }
  return for_each_group([&](const auto& one) { return one.run(executor, scratch); });
}

/// Convolution without groups.
template <class Atoms = default_atoms, machine::image X, class W, machine::image Y, class... Stages, executor Executor>
status try_conv2d(X x, const W& w, Y y, const window_parameters& window, machine::element_of<X> padding,
                  const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  const auto packed = machine::packed_of(w);
  return try_conv2d<Atoms>(x, std::span<const std::remove_const_t<decltype(packed)>>(&packed, 1), y, window, padding,
                           stages, executor, scratch);
}

/// Throwing twin of try_conv2d, for one group or several.
template <class Atoms = default_atoms, machine::image X, class W, machine::image Y, class... Stages, executor Executor>
void conv2d(X x, const W& w, Y y, const window_parameters& window, machine::element_of<X> padding,
            const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  try_conv2d<Atoms>(x, w, y, window, padding, stages, executor, scratch).value();
}

/// What conv2d does with x, the groups and y, whose data is not touched, and this many parts; of the group that needs the
/// most scratch. `workspace_bytes` of the result is what a fixed workspace must hold: for each part the gathered rows of
/// X that the loop takes together (`cached_rows`), which is what fits into 128 KiB (tables of bits, looked up weights: 256),
/// or four blocks of rows if they are larger. @pre at least one group, extents as try_conv2d wants them
template <class Atoms = default_atoms, machine::image X, class Packed, machine::image Y>
explanation explain_conv2d(X x, std::span<const Packed> groups, Y y, const window_parameters& window,
                           std::size_t concurrency = 1) {
  using packed_type = std::remove_cvref_t<decltype(machine::packed_of(groups[0]))>;
  machine::check_layouts<X, Y, packed_type>();
  using x_type = machine::x_element<packed_type, X>;
  machine::check_types<x_type, packed_type, Atoms>();
  explanation most;
  std::size_t first_channel = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const packed_type w = machine::packed_of(groups[g]);
    const auto out = machine::pixel_targets(y, first_channel, w.shape().n);
    machine::for_group<x_type>(
        machine::pixels_for<packed_type>(x), w, g, groups.size(), window, machine::element_of<X>{},
        [&](const auto& source, std::size_t rows, const packed_type& weights) -> status {
          using source_type = std::remove_cvref_t<decltype(source)>;
          const auto how = machine::operation<Atoms, source_type, packed_type>(source, rows, weights, out, concurrency)
                               .explain();
          if (g == 0 || how.workspace_bytes > most.workspace_bytes) most = how;
          return {};
        })
        .value();
    first_channel += w.shape().n;
  }
  return most;
}
/// The same without groups.
template <class Atoms = default_atoms, machine::image X, class W, machine::image Y>
explanation explain_conv2d(X x, const W& w, Y y, const window_parameters& window, std::size_t concurrency = 1) {
  const auto packed = machine::packed_of(w);
  return explain_conv2d<Atoms>(x, std::span<const std::remove_const_t<decltype(packed)>>(&packed, 1), y, window,
                               concurrency);
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/depthwise.hpp ====
// Depthwise 2-D convolution: every channel of X is convolved by itself, with `multiplier` kernels. There is nothing to
// share between channels, so weights stay plain codes and the vector lanes are output channels:
//
//   for each pixel of Y: for each block of 64 channels:
//     for each tap inside the image:  acc[c] += (x[c / multiplier] - zero point) * w[tap][c]
//     acc -> epilogue -> Y
//
// Elements that share bytes are unpacked a block at a time: X for every tap, W once for a row of pixels.

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Weights of depthwise convolutions, taps x channels, whatever their elements.
template <class T>
inline constexpr bool is_tap_weights_v = false;
template <class W>
inline constexpr bool is_tap_weights_v<std::span<W>> = true;
template <class N>
inline constexpr bool is_tap_weights_v<narrow_matrix_view<N>> = true;
template <class T>
concept tap_weights = is_tap_weights_v<T>;

template <class W>
struct tap_element_of {
  using type = typename W::code;
};
template <class W>
struct tap_element_of<std::span<W>> {
  using type = std::remove_const_t<W>;
};
template <class W>
using tap_element = typename tap_element_of<W>::type;

template <class W>
std::size_t weight_count(std::span<W> w) { return w.size(); }
template <class N>
std::size_t weight_count(const narrow_matrix_view<N>& w) { return w.rows * w.columns; }
template <class W>
bool rows_fit(std::span<W>, std::size_t) { return true; }
template <class N>
bool rows_fit(const narrow_matrix_view<N>& w, std::size_t channels) {
  return w.columns == channels && w.stride >= w.row_bytes();
}

/// The weights of a block of channels, for every tap.
template <class W, std::size_t Channels>
class block_taps {
 public:
  block_taps(std::span<const W> weights, std::size_t, std::size_t stride, std::size_t first)
      : weights_(weights.data() + first), stride_(stride) {}
  SPARQ_INLINE const W* at(std::size_t tap) { return weights_ + tap * stride_; }

 private:
  const W* weights_;
  std::size_t stride_;
};
/// Unpacked all at once if there are not too many of them.
template <std::size_t Channels>
class block_taps<narrow_rows<std::int8_t>, Channels> {
 public:
  block_taps(const narrow_rows<std::int8_t>& weights, std::size_t taps, std::size_t, std::size_t first)
      : weights_(weights), first_(first), is_kept_(taps <= kept_taps) {
    if (is_kept_)
      for (std::size_t tap = 0; tap < taps; ++tap) unpack(tap, codes_ + tap * Channels);
  }
  SPARQ_INLINE const std::int8_t* at(std::size_t tap) {
    if (is_kept_) return codes_ + tap * Channels;
    unpack(tap, codes_);
    return codes_;
  }

 private:
  static constexpr std::size_t kept_taps = 49;

  void unpack(std::size_t tap, std::int8_t* to) const {
    const std::size_t count = (std::min)(Channels, weights_.columns - first_);
    weights_.unpack(weights_.data + tap * weights_.stride, first_, count, to);
  }
  const narrow_rows<std::int8_t>& weights_;
  std::size_t first_;
  bool is_kept_;
  std::int8_t codes_[kept_taps * Channels + 64];
};

template <class W>
std::span<const std::remove_const_t<W>> taps_of(std::span<W> w) { return w; }
template <class N>
narrow_rows<std::int8_t> taps_of(const narrow_matrix_view<N>& w) {
  static_assert(std::is_same_v<typename std::remove_const_t<N>::code, std::int8_t>,
                "sparq: narrow weights of depthwise_conv2d are signed; use s4, s2 or ternary");
  return narrow_rows_of<std::remove_const_t<N>>(w, 0, w.columns);
}

/// `rows_fit`: a row of narrow weights is one tap of all channels of Y
inline status check_depthwise(const image_extents& x, std::size_t weights, bool rows_fit, const image_extents& y,
                              const window_parameters& window) {
  if (status s = check_window("depthwise_conv2d", x, y, window); !s.ok()) return s;
  const auto wrong = [](const std::string& what) { return status::failure("depthwise_conv2d: " + what); };
  if (x.channels == 0 ? y.channels != 0 : y.channels % x.channels != 0)
    return wrong("Y has " + std::to_string(y.channels) + " channels, that is no multiple of the " +
                 std::to_string(x.channels) + " channels of X");
  if (weights != window.taps() * y.channels)
    return wrong(std::to_string(weights) + " weights; kernel_height x kernel_width x channels of Y = " +
                 std::to_string(window.kernel_height) + " x " + std::to_string(window.kernel_width) + " x " +
                 std::to_string(y.channels) + " are needed");
  if (!rows_fit) return wrong("a row of weights needs to be one tap of all channels of Y, not longer than its stride");
  return {};
}

/// One row of pixels of the output. Image: image_view<const X> or narrow_pixels<X>; Taps: std::span<const W> or narrow_rows.
template <class X, class Image, class Taps>
class depthwise_row {
 public:
  /// X of 16 bits: int32 lanes hold some products, then they are added to int64 sums.
  static constexpr bool is_wide = std::is_same_v<X, std::int16_t>;
  using lane_type = std::conditional_t<std::is_same_v<X, float>, float, std::int32_t>;
  using acc_type = std::conditional_t<is_wide, std::int64_t, lane_type>;

  depthwise_row(const Image& x, const Taps& weights, const tile_target<acc_type>& y, std::size_t channels,
                std::size_t row_pixels, std::size_t first_pixel, const window_parameters& window, X x_zero_point,
                std::size_t image, std::size_t out_y)
      : x_(x),
        weights_(weights),
        y_(y),
        channels_(channels),
        row_pixels_(row_pixels),
        first_pixel_(first_pixel),
        window_(window),
        zero_point_(x_zero_point),
        multiplier_(channels / x.channels),
        image_(image),
        rows_(window.taps_inside_y(out_y, x.image_height)) {}

  void run() const noexcept {
    const std::size_t channels = channels_;
    std::size_t first = 0;
    for (; first + 64 <= channels; first += 64) run_block<4>(first, first);
    for (; first + 16 <= channels; first += 16) run_block<1>(first, first);
    if (first == channels) return;
    if (channels >= 16)
      run_block<1>(channels - 16, first);
    else
      run_few_channels();
  }

 private:
  static constexpr bool is_narrow_weights = std::is_same_v<Taps, narrow_rows<std::int8_t>>;
  using w_type = std::conditional_t<std::is_same_v<X, float>, float, std::int8_t>;
  template <std::size_t Channels>
  using taps_of_block = block_taps<std::conditional_t<is_narrow_weights, narrow_rows<std::int8_t>, w_type>, Channels>;

  /// f(pixel of X, tap) for the taps of output column x that lie inside the image.
  template <class F>
  SPARQ_INLINE void for_each_tap(std::size_t out_x, const F& f) const {
    const tap_range columns = window_.taps_inside_x(out_x, x_.image_width);
    const std::size_t step = window_.dilation_x * pixel_step(x_);
    for (std::size_t ky = rows_.first; ky < rows_.end; ++ky) {
      const auto* pixel = x_.pixel(image_, rows_.pixel + (ky - rows_.first) * window_.dilation_y, columns.pixel);
      const std::size_t tap = ky * window_.kernel_width + columns.first;
      for (std::size_t i = 0; i < columns.count(); ++i) f(pixel + i * step, tap + i);
    }
  }

  /// Computes channels [first, first + 16 V) and stores those from `stored` on.
  template <std::size_t V>
  void run_block(std::size_t first, std::size_t stored) const noexcept {
    constexpr std::size_t channels = 16 * V;
    taps_of_block<channels> weights(weights_, window_.taps(), channels_, first);
    std::array<X, channels + 64> buffer;
    const std::size_t base = first / multiplier_;  // channel of X
    std::array<std::size_t, channels> source;      // for each channel, behind base
    for (std::size_t c = 0; c < channels; ++c) source[c] = (first + c) / multiplier_ - base;
    for (std::size_t out_x = 0; out_x < row_pixels_; ++out_x) {
      alignas(alignment) std::array<acc_type, channels> tile;
      if constexpr (is_wide) tile.fill(0);
      vec<lane_type> acc[V];
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j] = vec<lane_type>(lane_type{});
      [[maybe_unused]] std::size_t left = wide_products_at_once;
      const auto add = [&](const X* x, const w_type* w) SPARQ_LAMBDA_INLINE {
        if constexpr (is_wide)
          if (left-- == 0) {
            add_to_wide(acc, tile);
            left = wide_products_at_once - 1;
          }
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j] =
            multiply_add(acc[j], x + 16 * j, zero_point_, w + 16 * j);
      };
      if (multiplier_ == 1)
        for_each_tap(out_x, [&](const auto* pixel, std::size_t tap) SPARQ_LAMBDA_INLINE {
          add(channels_at(x_, pixel, first, channels, buffer.data()), weights.at(tap));
        });
      else
        for_each_tap(out_x, [&](const auto* pixel, std::size_t tap) SPARQ_LAMBDA_INLINE {
          const X* x = channels_at(x_, pixel, base, source[channels - 1] + 1, buffer.data());
          std::array<X, channels> repeated;
          for (std::size_t c = 0; c < channels; ++c) repeated[c] = x[source[c]];
          add(repeated.data(), weights.at(tap));
        });
      if constexpr (is_wide)
        add_to_wide(acc, tile);
      else
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j].store(tile.data() + 16 * j);
      store(tile.data() + (stored - first), out_x, stored, first + channels - stored);
    }
  }

  /// Adds the lanes to the sums; they are 0 then.
  template <std::size_t V>
  static void add_to_wide(vec<std::int32_t> (&acc)[V], std::array<std::int64_t, 16 * V>& sums) {
    std::array<std::int32_t, 16 * V> lanes;
    for (std::size_t j = 0; j < V; ++j) {
      acc[j].store(lanes.data() + 16 * j);
      acc[j] = vec<std::int32_t>(0);
    }
    for (std::size_t i = 0; i < 16 * V; ++i) sums[i] += lanes[i];
  }

  void run_few_channels() const noexcept {
    taps_of_block<16> weights(weights_, window_.taps(), channels_, 0);
    std::array<X, 16 + 64> buffer;
    for (std::size_t out_x = 0; out_x < row_pixels_; ++out_x) {
      std::array<acc_type, 16> sums{};
      for_each_tap(out_x, [&](const auto* pixel, std::size_t tap) {
        const X* x = channels_at(x_, pixel, 0, x_.channels, buffer.data());
        const w_type* w = weights.at(tap);
        for (std::size_t c = 0; c < channels_; ++c) {
          if constexpr (sizeof(X) > 1)
            sums[c] += (x[c / multiplier_] - zero_point_) * w[c];
          else
            sums[c] += byte_product(x[c / multiplier_], zero_point_, w[c]);
        }
      });
      store(sums.data(), out_x, 0, channels_);
    }
  }

  SPARQ_INLINE void store(const acc_type* tile, std::size_t out_x, std::size_t first, std::size_t channels) const {
    store_tile(tile, 0, 1, channels, 0, y_, lane_position{first_pixel_ + out_x, first, 0, nullptr},
               stages_of_target{});
  }

  const Image& x_;
  const Taps& weights_;
  tile_target<acc_type> y_;
  std::size_t channels_;     // of Y
  std::size_t row_pixels_;   // of Y
  std::size_t first_pixel_;  // of Y, counted through all images
  window_parameters window_;
  X zero_point_;
  std::size_t multiplier_;
  std::size_t image_;
  tap_range rows_;
};

}  // namespace machine

/// Y[o] = epilogue(sum over taps of (X[o / multiplier] - x_zero_point) * W[tap][o]), multiplier = channels of Y / of X.
/// - `x`: NHWC, u8, s8, s16 or f32; `y`: NHWC, s32, f32, s8 or u8, of s16 also s64 and s16; must not overlap. Each is an
///   image_view, or a narrow_image_view of 1 to 4 bits
/// - `weights`: kernel_height x kernel_width x channels of Y (HWO), codes of s8 for integers, floats for f32; or a
///   narrow_matrix_view of taps x channels of Y, signed
/// - `x_zero_point`: subtracted from X here, without an epilogue stage; padded taps contribute nothing
/// - `stages`: see kernel/epilogue.hpp, without subtract_zero_point; rows are pixels of Y
/// Sums of bytes are exact int32 for any input up to 65793 taps, those of s16 exact int64; float sums add in the order of
/// taps.
/// Nothing is written when an error is returned. Uses no scratch.
/// Errors: extents that do not match, a window that does not fit, epilogue parameters that do not match.
/// Complexity O(pixels of Y x taps x channels of Y).
template <machine::pixel_image X, machine::tap_weights W, machine::pixel_image Y, class... Stages, executor Executor>
status try_depthwise_conv2d(X x, W weights, Y y, const window_parameters& window, machine::element_of<X> x_zero_point,
                            const epilogue<Stages...>& stages, Executor&& executor) {
  using x_type = machine::element_of<X>;
  using w_type = machine::tap_element<W>;
  static_assert(std::is_same_v<x_type, float> ? std::is_same_v<w_type, float>
                                              : (sizeof(x_type) == 1 || std::is_same_v<x_type, std::int16_t>) &&
                                                    std::is_same_v<w_type, std::int8_t>,
                "sparq: depthwise_conv2d takes std::int8_t weights for u8, s8 or s16 activations and float weights for f32");
  static_assert(!(machine::takes_zero_point_of_x_v<Stages> || ... || false),
                "sparq: depthwise_conv2d subtracts the zero point of X itself; leave subtract_zero_point out");
  static_assert(!(machine::gives_zero_a_value_v<Stages> || ... || false),
                "sparq: depthwise_conv2d has no row sums, as each channel sees an X of its own; take the zero point from the "
                "weights before");
  if (status s = machine::check_depthwise(x, machine::weight_count(weights), machine::rows_fit(weights, y.channels), y,
                                            window); !s.ok()) return s;
  if (status s = stages.check(y.pixels(), y.channels); !s.ok()) return s;
  if (y.channels == 0) return {};
  const auto pixels = machine::pixels_of(x);
  const auto taps = machine::taps_of(weights);
  const auto target = machine::pixel_targets(y, 0, y.channels);
  using row = machine::depthwise_row<x_type, std::remove_const_t<decltype(pixels)>, std::remove_const_t<decltype(taps)>>;
  const auto tiles = tile_target_of<typename row::acc_type>(target, stages);
  machine::for_each_output_row(y, executor, [&](std::size_t image, std::size_t out_y) {
    const std::size_t first_pixel = (image * y.image_height + out_y) * y.image_width;
    row(pixels, taps, tiles, y.channels, y.image_width, first_pixel, window, x_zero_point, image, out_y).run();
  });
  return {};
}

/// Throwing twin of try_depthwise_conv2d.
template <machine::pixel_image X, machine::tap_weights W, machine::pixel_image Y, class... Stages, executor Executor>
void depthwise_conv2d(X x, W weights, Y y, const window_parameters& window, machine::element_of<X> x_zero_point,
                      const epilogue<Stages...>& stages, Executor&& executor) {
  try_depthwise_conv2d(x, weights, y, window, x_zero_point, stages, executor).value();
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/elementwise.hpp ====
// Operations on each element by itself: sums and products of two tensors, rectified values, and the step between real
// numbers and codes. All of them take spans of one length; cut the spans to run parts on several threads. Sums and products
// of codes are in op/elementwise_codes.hpp, which this header includes.

// ==== sparq/op/elementwise_codes.hpp ====
// Sums and products of two quantized tensors as TFLite has them: each operand of a sum is brought to a common scale in
// int32, the result to its own (numeric/requantize.hpp, tflite_double), rounding every time. Spans have one length; cut them
// to run parts on several threads. Where the arguments are not spans yet, name the element type:
// elementwise_add<std::int8_t>(a, b, y, parameters). op/integer_add.hpp has the sums of NEMO and PULP-NN.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Codes that quantized sums and products take and give.
template <class T>
concept elementwise_code =
    std::is_same_v<T, std::int8_t> || std::is_same_v<T, std::uint8_t> || std::is_same_v<T, std::int16_t>;

/// The same as numeric types, for elements that share bytes.
template <class T>
concept elementwise_type = elementwise_code<T> || (integer_numeric<T> && T::bits <= 16);

/// The codes of a result: clamp(value + zero_point, low, high).
struct elementwise_output {
  tflite_double::parameters scale;
  std::int32_t zero_point = 0;
  std::int32_t low = 0;
  std::int32_t high = 0;
};

/// One operand of a quantized sum.
struct elementwise_input {
  std::int32_t offset = 0;  ///< minus its zero point
  tflite_double::parameters scale;
};

/// y = clamp(scaled(scaled(left) + scaled(right)) + zero point), scaled(x) = apply((x + offset) << left_shift).
struct add_parameters {
  elementwise_input left;
  elementwise_input right;
  int left_shift = 20;  ///< [0, 30]: head room of the sum, 20 for bytes and 15 for int16 in TFLite
  elementwise_output output;

  /// As TFLite prepares Add: both operands are brought to a common scale, twice the larger of theirs. T is an element of
  /// Y: a C++ type or a numeric type.
  /// Errors: a scale that is not positive and finite, a factor that tflite_double cannot hold.
  template <elementwise_type T>
  static expected<add_parameters> try_from(const activation_quantization& left, const activation_quantization& right,
                                           const activation_quantization& output);
};

/// y = clamp(apply((left + left_offset) * (right + right_offset)) + zero point).
struct multiply_parameters {
  std::int32_t left_offset = 0;   ///< minus its zero point
  std::int32_t right_offset = 0;  ///< minus its zero point
  elementwise_output output;

  /// As TFLite Micro prepares Mul: left scale * right scale / output scale, in double.
  /// Errors: a scale that is not positive and finite, a factor that tflite_double cannot hold.
  template <elementwise_code T>
  static expected<multiply_parameters> try_from(const activation_quantization& left,
                                                const activation_quantization& right,
                                                const activation_quantization& output);
};

namespace machine {

template <class T>
inline constexpr std::int32_t lowest_code = std::numeric_limits<T>::lowest();
template <class T>
inline constexpr std::int32_t highest_code = (std::numeric_limits<T>::max)();
template <integer_numeric N>
inline constexpr std::int32_t lowest_code<N> = N::min_code;
template <integer_numeric N>
inline constexpr std::int32_t highest_code<N> = N::max_code;

inline status check_sizes(const char* op, std::size_t operand, std::size_t y) {
  if (operand == y) return {};
  return status::failure(std::string(op) + ": an operand has " + std::to_string(operand) + " elements, Y has " +
                         std::to_string(y));
}

inline status check_scales(const char* op, std::initializer_list<float> scales) {
  for (const float scale : scales)
    if (!(scale > 0.0F && is_finite(scale)))
      return status::failure(std::string(op) + ": scale " + number_text(scale) + " is not positive and finite");
  return {};
}

template <class T>
status check_number(const char* op, const char* field, T value, T least, T most) {
  if (least <= value && value <= most) return {};
  return status::failure(std::string(op) + ": " + field + " " + std::to_string(value) + " is not in [" +
                         std::to_string(least) + ", " + std::to_string(most) + "]");
}

template <class T>
status check_output(const char* op, const elementwise_output& out) {
  if (status s = out.scale.validate(); !s.ok()) return status::failure(std::string(op) + ": " + s.message());
  if (status s = check_number(op, "zero_point", out.zero_point, lowest_code<T>, highest_code<T>); !s.ok()) return s;
  if (status s = check_number(op, "high", out.high, lowest_code<T>, highest_code<T>); !s.ok()) return s;
  return check_number(op, "low", out.low, lowest_code<T>, out.high);
}

/// x + offset lies between -65535 and 65535, so that neither products nor shifted values wrap.
inline status check_offset(const char* op, const char* field, std::int32_t offset) {
  return check_number(op, field, offset, std::int32_t{-32767}, std::int32_t{32768});
}

template <class T>
T output_code(std::int32_t value, const elementwise_output& out) {
  const std::int64_t code = std::int64_t{tflite_double::apply(value, out.scale)} + out.zero_point;
  return static_cast<T>(code < out.low ? out.low : code > out.high ? out.high : code);
}

/// One set of parameters for all lanes.
inline requantize_lanes<tflite_double> lanes_of(const tflite_double::parameters& p) {
  return requantize_lanes<tflite_double>({&p, 1, false});
}

/// output_code of sixteen lanes, stored as they are computed; only types that vectors store.
template <class Y>
struct output_lanes {
  static constexpr bool exists = sizeof(Y) == 1 || std::is_same_v<Y, std::int16_t>;
  requantize_lanes<tflite_double> scaled;
  vec<std::int32_t> low, high, zero_point;  // the bounds are those of the sum before the zero point, which cannot wrap

  explicit output_lanes(const elementwise_output& out)
      : scaled(lanes_of(out.scale)), low(out.low - out.zero_point), high(out.high - out.zero_point),
        zero_point(out.zero_point) {}
  SPARQ_INLINE void store(Y* y, const vec<std::int32_t>& value, std::size_t count) const {
    const vec<std::int32_t> codes = min(max(scaled(value), low), high) + zero_point;
    if constexpr (sizeof(Y) == 1)
      store_saturated(y, codes, count);
    else
      store_saturated_s16(y, codes, count);
  }
};

/// The largest |x + offset| of codes in T.
template <class T>
constexpr std::int64_t largest_magnitude(std::int32_t offset) {
  return std::int64_t{std::is_signed_v<T> ? -std::int64_t{std::numeric_limits<T>::lowest()}
                                          : std::int64_t{(std::numeric_limits<T>::max)()}} +
         (offset < 0 ? -std::int64_t{offset} : std::int64_t{offset});
}

/// TFLite's fixed-point value of a real factor.
inline status set_scale(const char* op, double factor, tflite_double::parameters& to) {
  const auto scale = tflite_double::try_from_real(factor);
  if (!scale) return status::failure(std::string(op) + ": " + scale.error().message());
  to = *scale;
  return {};
}

}  // namespace machine

template <elementwise_type T>
expected<add_parameters> add_parameters::try_from(const activation_quantization& left,
                                                  const activation_quantization& right,
                                                  const activation_quantization& output) {
  if (status s = machine::check_scales("elementwise_add", {left.scale, right.scale, output.scale}); !s.ok()) return s;
  add_parameters p;
  p.left_shift = machine::highest_code<T> <= 255 ? 20 : 15;
  p.left.offset = -left.zero_point;
  p.right.offset = -right.zero_point;
  const double common = 2.0 * static_cast<double>(left.scale > right.scale ? left.scale : right.scale);
  const double steps = static_cast<double>(1 << p.left_shift);
  if (status s = machine::set_scale("elementwise_add", left.scale / common, p.left.scale); !s.ok()) return s;
  if (status s = machine::set_scale("elementwise_add", right.scale / common, p.right.scale); !s.ok()) return s;
  p.output = {{}, output.zero_point, machine::lowest_code<T>, machine::highest_code<T>};
  if (status s = machine::set_scale("elementwise_add", common / (steps * output.scale), p.output.scale); !s.ok())
    return s;
  return p;
}

namespace machine {

template <class T>
status check_add(const char* op, const add_parameters& p) {
  if (status s = check_number(op, "left_shift", p.left_shift, 0, 30); !s.ok()) return s;
  for (const elementwise_input* input : {&p.left, &p.right}) {
    if (status s = check_offset(op, "offset", input->offset); !s.ok()) return s;
    if (status s = input->scale.validate(); !s.ok()) return status::failure(std::string(op) + ": " + s.message());
  }
  return check_output<T>(op, p.output);
}

/// Whether the sum stays inside int32 for all codes of these types. TFLite's parameters see to that for bytes and for int16
/// without zero points.
template <class Left, class Right>
bool sum_fits_s32(const add_parameters& p) {
  const std::int64_t left = largest_magnitude<Left>(p.left.offset) << p.left_shift;
  const std::int64_t right = largest_magnitude<Right>(p.right.offset) << p.left_shift;
  if (left > INT32_MAX || right > INT32_MAX) return false;
  const auto scaled = [](std::int64_t value, const elementwise_input& input) -> std::int64_t {
    return tflite_double::apply(static_cast<std::int32_t>(value), input.scale);
  };
  return scaled(left, p.left) + scaled(right, p.right) + 2 <= INT32_MAX;  // negative ones may round up by one each
}

template <class Left, class Right, class Y>
void add_codes(const Left* left, const Right* right, std::size_t count, Y* y, const add_parameters& p) {
  if constexpr (output_lanes<Y>::exists)
    if (sum_fits_s32<Left, Right>(p)) {
      using s32 = vec<std::int32_t>;
      const s32 left_offset(p.left.offset), right_offset(p.right.offset), shift(p.left_shift);
      const auto left_scaled = lanes_of(p.left.scale), right_scaled = lanes_of(p.right.scale);
      const output_lanes<Y> output(p.output);
      for (std::size_t i = 0; i < count; i += 16) {
        const s32 a = left_scaled((load_codes(left + i, count - i) + left_offset) << shift);
        const s32 b = right_scaled((load_codes(right + i, count - i) + right_offset) << shift);
        output.store(y + i, a + b, count - i);
      }
      return;
    }
  const auto scaled = [&](std::int64_t x, const elementwise_input& input) -> std::int64_t {
    const std::int64_t value = x + input.offset;
    return tflite_double::apply(saturate_to_int32(value * (std::int64_t{1} << p.left_shift)), input.scale);
  };
  for (std::size_t i = 0; i < count; ++i)
    y[i] = output_code<Y>(saturate_to_int32(scaled(left[i], p.left) + scaled(right[i], p.right)), p.output);
}

template <class T>
void multiply_codes(const T* left, const T* right, std::size_t count, T* y, const multiply_parameters& p) {
  if (largest_magnitude<T>(p.left_offset) * largest_magnitude<T>(p.right_offset) <= INT32_MAX) {
    using s32 = vec<std::int32_t>;
    const s32 left_offset(p.left_offset), right_offset(p.right_offset);
    const output_lanes<T> output(p.output);
    for (std::size_t i = 0; i < count; i += 16) {
      const s32 a = load_codes(left + i, count - i) + left_offset, b = load_codes(right + i, count - i) + right_offset;
      output.store(y + i, a * b, count - i);
    }
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t product = (std::int64_t{left[i]} + p.left_offset) * (std::int64_t{right[i]} + p.right_offset);
    y[i] = output_code<T>(saturate_to_int32(product), p.output);
  }
}

/// Codes [first, first + count) of a row, where they lie or unpacked into `buffer`; and the way back.
template <class T>
const T* row_codes(const matrix_view<T>& m, std::size_t row, std::size_t first, std::size_t,
                   std::remove_const_t<T>*) {
  return m.row(row) + first;
}
template <class N>
const typename N::code* row_codes(const narrow_matrix_view<N>& m, std::size_t row, std::size_t first,
                                  std::size_t count, typename N::code* buffer) {
  unpack_narrow<std::remove_const_t<N>>(m.row(row), first, count, buffer);
  return buffer;
}
template <class T>
void store_row_codes(const matrix_view<T>& m, std::size_t row, std::size_t first, const T* codes, std::size_t count) {
  std::copy_n(codes, count, m.row(row) + first);
}
template <class N>
void store_row_codes(const narrow_matrix_view<N>& m, std::size_t row, std::size_t first,
                     const typename N::code* codes, std::size_t count) {
  narrow_target_of(m, 0, m.columns).store_codes(row, first, codes, count);
}

/// A matrix of integer codes: its elements as a type that the parameters' checks know.
template <class View>
struct code_type_of {};
template <class T>
  requires elementwise_code<std::remove_const_t<T>>
struct code_type_of<matrix_view<T>> {
  using type = std::remove_const_t<T>;
};
template <class N>
struct code_type_of<narrow_matrix_view<N>> {
  using type = std::remove_const_t<N>;
};
template <class View>
using code_type = typename code_type_of<View>::type;
template <class View>
concept code_matrix = requires { typename code_type_of<View>::type; };

}  // namespace machine

template <elementwise_code T>
expected<multiply_parameters> multiply_parameters::try_from(const activation_quantization& left,
                                                            const activation_quantization& right,
                                                            const activation_quantization& output) {
  if (status s = machine::check_scales("elementwise_multiply", {left.scale, right.scale, output.scale}); !s.ok())
    return s;
  multiply_parameters p{-left.zero_point, -right.zero_point, {}};
  p.output = {{}, output.zero_point, machine::lowest_code<T>, machine::highest_code<T>};
  const double factor = static_cast<double>(left.scale) * static_cast<double>(right.scale) / output.scale;
  if (status s = machine::set_scale("elementwise_multiply", factor, p.output.scale); !s.ok()) return s;
  return p;
}

/// The sum of two quantized tensors, bit-exact with TFLite Add. Y may be one of the operands. O(elements), sixteen at a time
/// where no sum can leave int32, as with TFLite's own parameters.
/// Errors: spans of different lengths, parameters out of range.
template <elementwise_code T>
status try_elementwise_add(std::span<const T> left, std::span<const T> right, std::span<T> y,
                           const add_parameters& p) {
  constexpr const char* op = "elementwise_add";
  if (status s = machine::check_sizes(op, left.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_sizes(op, right.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_add<T>(op, p); !s.ok()) return s;
  machine::add_codes(left.data(), right.data(), y.size(), y.data(), p);
  return {};
}

/// The same for matrices whose elements may share bytes: each is a matrix_view of bytes or a narrow_matrix_view, of any
/// type by itself. Images go in as_matrix().
/// Errors: extents that do not match, parameters out of range.
template <class Left, class Right, class Y>
  requires machine::code_matrix<Left> && machine::code_matrix<Right> && machine::code_matrix<Y>
status try_elementwise_add(const Left& left, const Right& right, const Y& y, const add_parameters& p) {
  constexpr const char* op = "elementwise_add";
  if (left.rows != y.rows || left.columns != y.columns || right.rows != y.rows || right.columns != y.columns)
    return status::failure("elementwise_add: the operands are " + extent_text(left) + " and " + extent_text(right) +
                           ", Y is " + extent_text(y));
  if (status s = machine::check_add<machine::code_type<Y>>(op, p); !s.ok()) return s;
  constexpr std::size_t block = 256;  // whole bytes of elements
  std::array<machine::element_of<Left>, block + 64> left_codes;
  std::array<machine::element_of<Right>, block + 64> right_codes;
  std::array<machine::element_of<Y>, block> sums;
  for (std::size_t row = 0; row < y.rows; ++row)
    for (std::size_t first = 0; first < y.columns; first += block) {
      const std::size_t count = (std::min)(block, y.columns - first);
      const auto* a = machine::row_codes(left, row, first, count, left_codes.data());
      const auto* b = machine::row_codes(right, row, first, count, right_codes.data());
      machine::add_codes(a, b, count, sums.data(), p);
      machine::store_row_codes(y, row, first, sums.data(), count);
    }
  return {};
}

/// The product of two quantized tensors, bit-exact with TFLite Mul. Y may be one of the operands. O(elements), sixteen at a
/// time where no product can leave int32.
/// Errors: spans of different lengths, parameters out of range.
template <elementwise_code T>
status try_elementwise_multiply(std::span<const T> left, std::span<const T> right, std::span<T> y,
                                const multiply_parameters& p) {
  constexpr const char* op = "elementwise_multiply";
  if (status s = machine::check_sizes(op, left.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_sizes(op, right.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_offset(op, "left_offset", p.left_offset); !s.ok()) return s;
  if (status s = machine::check_offset(op, "right_offset", p.right_offset); !s.ok()) return s;
  if (status s = machine::check_output<T>(op, p.output); !s.ok()) return s;
  machine::multiply_codes(left.data(), right.data(), y.size(), y.data(), p);
  return {};
}

/// Throwing twins.
template <elementwise_code T>
void elementwise_add(std::span<const T> left, std::span<const T> right, std::span<T> y, const add_parameters& p) {
  try_elementwise_add<T>(left, right, y, p).value();
}
template <elementwise_code T>
void elementwise_multiply(std::span<const T> left, std::span<const T> right, std::span<T> y,
                          const multiply_parameters& p) {
  try_elementwise_multiply<T>(left, right, y, p).value();
}
template <class Left, class Right, class Y>
  requires machine::code_matrix<Left> && machine::code_matrix<Right> && machine::code_matrix<Y>
void elementwise_add(const Left& left, const Right& right, const Y& y, const add_parameters& p) {
  try_elementwise_add(left, right, y, p).value();
}

SPARQ_ABI_END
}  // namespace sparq

#include <cstddef>
#include <span>

namespace sparq {
SPARQ_ABI_BEGIN

/// left + right. Y may be one of the operands. Errors: spans of different lengths.
inline status try_elementwise_add(std::span<const float> left, std::span<const float> right, std::span<float> y) {
  if (status s = machine::check_sizes("elementwise_add", left.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_sizes("elementwise_add", right.size(), y.size()); !s.ok()) return s;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = left[i] + right[i];
  return {};
}

/// left * right. Y may be one of the operands. Errors: spans of different lengths.
inline status try_elementwise_multiply(std::span<const float> left, std::span<const float> right, std::span<float> y) {
  if (status s = machine::check_sizes("elementwise_multiply", left.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_sizes("elementwise_multiply", right.size(), y.size()); !s.ok()) return s;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = left[i] * right[i];
  return {};
}

/// max(x, 0), NaN stays NaN. Y may be X. Errors: spans of different lengths.
inline status try_elementwise_relu(std::span<const float> x, std::span<float> y) {
  if (status s = machine::check_sizes("elementwise_relu", x.size(), y.size()); !s.ok()) return s;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = x[i] < 0.0F ? 0.0F : x[i];
  return {};
}

/// Codes of real numbers, saturated; NaN becomes the zero point (numeric/quantization.hpp).
/// Errors: spans of different lengths, a scale that is not positive and finite, a zero point that is no code.
template <class T>
  requires(sizeof(T) == 1)
status try_quantize(std::span<const float> values, const activation_quantization& q, std::span<T> codes) {
  if (status s = machine::check_sizes("quantize", values.size(), codes.size()); !s.ok()) return s;
  if (status s = validate<numeric_of_t<T>>(q); !s.ok()) return s;
  quantize_activations<numeric_of_t<T>>(values, q, codes);
  return {};
}

/// Real numbers of codes. Errors: as try_quantize.
template <class T>
  requires(sizeof(T) == 1)
status try_dequantize(std::span<const T> codes, const activation_quantization& q, std::span<float> values) {
  if (status s = machine::check_sizes("dequantize", codes.size(), values.size()); !s.ok()) return s;
  if (status s = validate<numeric_of_t<T>>(q); !s.ok()) return s;
  dequantize_activations<numeric_of_t<T>>(codes, q, values);
  return {};
}

/// Throwing twins.
inline void elementwise_add(std::span<const float> left, std::span<const float> right, std::span<float> y) {
  try_elementwise_add(left, right, y).value();
}
inline void elementwise_multiply(std::span<const float> left, std::span<const float> right, std::span<float> y) {
  try_elementwise_multiply(left, right, y).value();
}
inline void elementwise_relu(std::span<const float> x, std::span<float> y) { try_elementwise_relu(x, y).value(); }
template <class T>
  requires(sizeof(T) == 1)
void quantize(std::span<const float> values, const activation_quantization& q, std::span<T> codes) {
  try_quantize(values, q, codes).value();
}
template <class T>
  requires(sizeof(T) == 1)
void dequantize(std::span<const T> codes, const activation_quantization& q, std::span<float> values) {
  try_dequantize(codes, q, values).value();
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/embedding_bag.hpp ====
// Sums of rows of a quantized table, as recommendation models have them: SparseLengthsSum and SparseLengthsWeightedSum. Each
// row has a scale and an offset of its own, in arrays beside the table or behind the codes of the row:
//
//   fused_rows<8, float>        c0 c1 c2 ... | scale f32 | offset f32     Glow UInt8FusedQ, FBGEMM 8-bit
//   fused_rows<8, half_float>   c0 c1 c2 ... | f16 | f16                  Glow UInt8FusedFP16Q
//   fused_rows<4, half_float>   c1:c0 c3:c2 ... | f16 | f16               Glow UInt4FusedFP16Q, FBGEMM 4-bit
//   fused_rows<4, float>        c1:c0 c3:c2 ... | f32 | f32               Glow UInt4FusedQ
//
// A code means scale * code + offset.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// A table whose rows end with their scale and offset. `stride`: bytes from one row to the next.
template <int Bits, class Scale>
struct fused_rows {
  static_assert(Bits == 4 || Bits == 8, "sparq: fused rows hold codes of 4 or 8 bits; use fused_rows<4, half_float>");
  static_assert(std::is_same_v<Scale, float> || std::is_same_v<Scale, half_float>,
                "sparq: fused rows end with float or half_float; use fused_rows<8, float>");
  static constexpr int bits = Bits;
  static constexpr bool is_signed = false;

  const std::byte* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;

  static constexpr std::size_t code_bytes(std::size_t column_count) { return ceil_div(column_count * Bits, 8); }
  static constexpr std::size_t row_bytes(std::size_t column_count) { return code_bytes(column_count) + 2 * sizeof(Scale); }

  fused_rows(const std::byte* first, std::size_t row_count, std::size_t column_count)
      : data(first), rows(row_count), columns(column_count), stride(row_bytes(column_count)) {}

  status check() const {
    if (stride >= row_bytes(columns)) return {};
    return status::failure("embedding_bag: a row takes " + std::to_string(row_bytes(columns)) + " bytes, the stride is " +
                           std::to_string(stride));
  }
  const std::byte* codes(std::size_t row) const { return data + row * stride; }
  float scale(std::size_t row) const { return behind(row, 0); }
  float offset(std::size_t row) const { return behind(row, sizeof(Scale)); }

 private:
  float behind(std::size_t row, std::size_t at) const {
    Scale value;
    std::memcpy(&value, codes(row) + code_bytes(columns) + at, sizeof value);
    return value;
  }
};

/// A table of bytes with a scale and an offset for each row in arrays of their own (Glow RowwiseQuantized).
template <class Code>
struct rowwise_rows {
  static_assert(sizeof(Code) == 1, "sparq: row-wise tables hold bytes; use std::int8_t or std::uint8_t");
  static constexpr int bits = 8;
  static constexpr bool is_signed = std::is_signed_v<Code>;

  matrix_view<const Code> table;
  std::span<const float> scales;
  std::span<const float> offsets;
  std::size_t rows = 0;
  std::size_t columns = 0;

  rowwise_rows(matrix_view<const Code> code_table, std::span<const float> of_rows, std::span<const float> offset_of_rows)
      : table(code_table), scales(of_rows), offsets(offset_of_rows), rows(code_table.rows), columns(code_table.columns) {}

  status check() const {
    if (scales.size() == rows && offsets.size() == rows) return {};
    return status::failure("embedding_bag: " + std::to_string(scales.size()) + " scales and " +
                           std::to_string(offsets.size()) + " offsets for " + std::to_string(rows) + " rows");
  }
  const std::byte* codes(std::size_t row) const { return reinterpret_cast<const std::byte*>(table.row(row)); }
  float scale(std::size_t row) const { return scales[row]; }
  float offset(std::size_t row) const { return offsets[row]; }
};

/// Quantized rows that an embedding bag sums up.
template <class T>
concept embedding_table = requires(const T& t, std::size_t row) {
  requires T::bits == 4 || T::bits == 8;
  { T::is_signed } -> std::convertible_to<bool>;
  { t.check() } -> std::same_as<status>;
  { t.codes(row) } -> std::same_as<const std::byte*>;
  { t.scale(row) } -> std::same_as<float>;
  { t.offset(row) } -> std::same_as<float>;
  { t.rows } -> std::convertible_to<std::size_t>;
  { t.columns } -> std::convertible_to<std::size_t>;
};

namespace machine {

template <class Table>
SPARQ_INLINE float code_at(const std::byte* codes, std::size_t j) {
  if constexpr (Table::bits == 4)
    return static_cast<float>(std::to_integer<unsigned>(codes[j / 2]) >> (j % 2 * 4) & 15U);
  else if constexpr (Table::is_signed)
    return static_cast<float>(static_cast<std::int8_t>(codes[j]));
  else
    return static_cast<float>(std::to_integer<unsigned>(codes[j]));
}

/// What a row adds: its scale and offset, times its weight.
struct row_factors {
  float scale, offset;
};
template <class Table>
SPARQ_INLINE row_factors factors_of(const Table& table, std::size_t row, const float* weight) {
  if (weight == nullptr) return {table.scale(row), table.offset(row)};
  return {*weight * table.scale(row), *weight * table.offset(row)};
}

/// One bag: columns in blocks that stay in registers, and within a block all rows.
template <class Table, class Index>
void sum_rows(const Table& table, const Index* indices, const float* weights, std::size_t count, float* y) noexcept {
  std::size_t j = 0;
#if SPARQ_HAS_AVX2
  constexpr std::size_t ahead = 8;  // rows fetched before they are needed
  const auto block = [&]<std::size_t Registers>(std::integral_constant<std::size_t, Registers>) {
    scaled_sums<Registers> sums;
    for (std::size_t i = 0; i < count; ++i) {
      if (i + ahead < count)
        prefetch(table.codes(static_cast<std::size_t>(indices[i + ahead])) + j * Table::bits / 8);
      const auto row = static_cast<std::size_t>(indices[i]);
      const row_factors f = factors_of(table, row, weights == nullptr ? nullptr : weights + i);
      sums.template add<Table::bits, Table::is_signed>(table.codes(row) + j * Table::bits / 8, f.scale, f.offset);
    }
    sums.store(y + j);
    j += 8 * Registers;
  };
  while (table.columns - j >= 64) block(std::integral_constant<std::size_t, 8>{});
  if (table.columns - j >= 32) block(std::integral_constant<std::size_t, 4>{});
  while (table.columns - j >= 8) block(std::integral_constant<std::size_t, 1>{});
#endif
  const std::size_t first = j;
  for (j = first; j < table.columns; ++j) y[j] = 0.0F;
  for (std::size_t i = 0; i < count && first < table.columns; ++i) {
    const auto row = static_cast<std::size_t>(indices[i]);
    const row_factors f = factors_of(table, row, weights == nullptr ? nullptr : weights + i);
    const std::byte* codes = table.codes(row);
    for (j = first; j < table.columns; ++j) {
      const float before = y[j] + f.offset;
      y[j] = std::fma(f.scale, code_at<Table>(codes, j), before);
    }
  }
}

template <class Table, class Index>
status check_bags(const Table& table, std::span<const Index> indices, std::span<const std::int32_t> lengths,
                  std::span<const float> weights, const matrix_view<float>& y) {
  if (status s = table.check(); !s.ok()) return s;
  if (y.rows != lengths.size() || y.columns != table.columns || y.stride < y.columns)
    return status::failure("embedding_bag: Y is " + extent_text(y) + ", it needs to be " + std::to_string(lengths.size()) +
                           " x " + std::to_string(table.columns));
  if (!weights.empty() && weights.size() != indices.size())
    return status::failure("embedding_bag: " + std::to_string(weights.size()) + " weights for " +
                           std::to_string(indices.size()) + " indices");
  std::size_t total = 0;
  for (std::size_t bag = 0; bag < lengths.size(); ++bag) {
    if (lengths[bag] < 0 || static_cast<std::size_t>(lengths[bag]) > indices.size() - total)
      return status::failure("embedding_bag: length " + std::to_string(lengths[bag]) + " of bag " + std::to_string(bag) +
                             " is not in [0, " + std::to_string(indices.size() - total) + "]");
    total += static_cast<std::size_t>(lengths[bag]);
  }
  if (total != indices.size())
    return status::failure("embedding_bag: lengths add up to " + std::to_string(total) + ", there are " +
                           std::to_string(indices.size()) + " indices");
  for (std::size_t i = 0; i < indices.size(); ++i)
    if (indices[i] < 0 || static_cast<std::uint64_t>(indices[i]) >= table.rows)
      return status::failure("embedding_bag: index " + std::to_string(indices[i]) + " at position " + std::to_string(i) +
                             " is not in a table of " + std::to_string(table.rows) + " rows");
  return {};
}

}  // namespace machine

/// y[bag] = sum of weight * (scale * code + offset) over the next lengths[bag] indices; a bag without indices is 0.
/// - `indices`: rows of the table, int32 or int64; `lengths`: of each bag; `weights`: one for each index, or none for 1
/// - `y`: bags x columns; must not overlap the table
/// The order is FBGEMM's, the same bits on every CPU: from 0 on, in the order of the indices,
/// y = fma(fl(weight * scale), code, fl(y + fl(weight * offset))).
/// Errors: the first length or index out of range, and where it stands; arrays that do not match. Nothing is written then.
/// O(indices x columns).
template <embedding_table Table, std::signed_integral Index, executor Executor>
status try_embedding_bag(const Table& table, std::span<const Index> indices, std::span<const std::int32_t> lengths,
                         std::span<const float> weights, matrix_view<float> y, Executor&& executor) {
  if (status s = machine::check_bags(table, indices, lengths, weights, y); !s.ok()) return s;
  const std::size_t parts = (std::max)((std::min)(std::size_t{executor.concurrency()}, lengths.size()), std::size_t{1});
  const std::size_t part_bags = ceil_div(lengths.size(), parts);
  executor.parallel_for(parts, [&](std::size_t part) {
    const std::size_t first = (std::min)(part * part_bags, lengths.size());
    const std::size_t end = (std::min)(first + part_bags, lengths.size());
    std::size_t at = 0;
    for (std::size_t bag = 0; bag < first; ++bag) at += static_cast<std::size_t>(lengths[bag]);
    for (std::size_t bag = first; bag < end; ++bag) {
      const auto count = static_cast<std::size_t>(lengths[bag]);
      machine::sum_rows(table, indices.data() + at, weights.empty() ? nullptr : weights.data() + at, count, y.row(bag));
      at += count;
    }
  });
  return {};
}

/// Throwing twin.
template <embedding_table Table, std::signed_integral Index, executor Executor>
void embedding_bag(const Table& table, std::span<const Index> indices, std::span<const std::int32_t> lengths,
                   std::span<const float> weights, matrix_view<float> y, Executor&& executor) {
  try_embedding_bag(table, indices, lengths, weights, y, executor).value();
}

/// One row of a fused table from real numbers, as FBGEMM's N-bit quantization: the offset is the least number, the scale
/// (most - least) / (2^bits - 1), both rounded to what the row stores; codes round to nearest, ties to even.
/// `row`: fused_rows::row_bytes(numbers.size()) bytes. Errors: sizes that do not match, the first NaN or infinite number.
template <int Bits, class Scale>
status try_quantize_row(std::span<const float> numbers, std::span<std::byte> row) {
  using table = fused_rows<Bits, Scale>;
  if (row.size() != table::row_bytes(numbers.size()))
    return status::failure("quantize_row: " + std::to_string(numbers.size()) + " numbers take " +
                           std::to_string(table::row_bytes(numbers.size())) + " bytes, there are " +
                           std::to_string(row.size()));
  float least = numbers.empty() ? 0.0F : numbers[0], most = least;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!is_finite(numbers[i]))
      return status::failure("quantize_row: number " + std::to_string(i) + " is " + number_text(numbers[i]));
    least = (std::min)(least, numbers[i]);
    most = (std::max)(most, numbers[i]);
  }
  const Scale offset(least);
  const float base = offset;
  const float range = most - base;
  Scale scale(range > 0.0F ? range / static_cast<float>((1 << Bits) - 1) : 1.0F);
  float inverse = 1.0F / static_cast<float>(scale);
  if (!is_finite(inverse)) {
    scale = Scale(1.0F);
    inverse = 1.0F;
  }
  std::fill(row.begin(), row.end(), std::byte{0});
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const float steps = std::nearbyint((numbers[i] - base) * inverse);
    const auto code = static_cast<unsigned>((std::min)((std::max)(steps, 0.0F), static_cast<float>((1 << Bits) - 1)));
    row[i * Bits / 8] |= static_cast<std::byte>(code << (Bits == 4 ? i % 2 * 4 : 0));
  }
  std::memcpy(row.data() + table::code_bytes(numbers.size()), &scale, sizeof scale);
  std::memcpy(row.data() + table::code_bytes(numbers.size()) + sizeof scale, &offset, sizeof offset);
  return {};
}
/// Throwing twin.
template <int Bits, class Scale>
void quantize_row(std::span<const float> numbers, std::span<std::byte> row) {
  try_quantize_row<Bits, Scale>(numbers, row).value();
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/gemm_any.hpp ====
// gemm for weights whose type is chosen at run time (tensor/basic_any_tensor.hpp): one question before the loops, none in
// them. A call compiles the kernels of every alternative of the variant; list no more types than a program meets.

#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// As gemm with the type that `w` holds. Errors: those of gemm, and weights that X cannot meet: floats meet floats, bytes
/// meet integers.
template <class Atoms = default_atoms, class X, class Variant, class Y, class... Stages, executor Executor>
status try_gemm(matrix_view<X> x, const basic_any_packed<Variant>& w, matrix_view<Y> y, const epilogue<Stages...>& stages,
                Executor&& executor, workspace& scratch) {
  using x_numeric = numeric_of_t<std::remove_const_t<X>>;
  return w.visit([&]<class View>(const packed<View>& weights) -> status {
    if constexpr (x_numeric::is_integer == View::numeric_type::is_integer)
      return try_gemm<Atoms>(x, weights, y, stages, executor, scratch);
    else
      return status::failure("gemm: X is " + std::string(x_numeric::name) + ", the weights are " +
                             std::string(View::numeric_type::name) + "; floats meet floats, bytes meet integers");
  });
}

/// Throwing twin of try_gemm.
template <class Atoms = default_atoms, class X, class Variant, class Y, class... Stages, executor Executor>
void gemm(matrix_view<X> x, const basic_any_packed<Variant>& w, matrix_view<Y> y, const epilogue<Stages...>& stages,
          Executor&& executor, workspace& scratch) {
  try_gemm<Atoms>(x, w, y, stages, executor, scratch).value();
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/gemm_dynamic.hpp ====
// Float activations by integer weights ("dynamic range"): the rows of X are quantized at run time, multiplied as integers,
// and the sums scaled back to floats. Nothing has to be calibrated.

// ==== sparq/op/quantize_rows.hpp ====
// Float activations become codes at run time, every row with a quantization of its own ("dynamic range"). The rules are
// those of numeric/quantization.hpp, on sixteen lanes:
//   s8   scale = max |x| / 127, code = round(x / scale)                                       symmetric, zero point 0
//   u8   scale and zero point as ONNX DynamicQuantizeLinear, code = round(x / scale) + zero point        asymmetric
// Rounding is to nearest, ties to even, and scales divide. The other rule for s8 is TFLite's, `tflite_dynamic`
// (numeric/dynamic_range.hpp): its codes differ where x / scale is a tie or nearly one.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

namespace sparq {
SPARQ_ABI_BEGIN

/// Where the codes of m x k floats go; the caller's memory. Code is std::int8_t (symmetric) or std::uint8_t (asymmetric).
template <class Code>
struct quantized_rows {
  static_assert(std::same_as<Code, std::int8_t> || std::same_as<Code, std::uint8_t>,
                "sparq: rows are quantized to bytes; use std::int8_t for symmetric codes, std::uint8_t for asymmetric ones");
  static constexpr bool is_symmetric = std::same_as<Code, std::int8_t>;

  matrix_view<Code> codes;                   // m x k
  std::span<float> scales;                   // m
  std::span<std::int32_t> zero_points = {};  // m; empty for symmetric codes
};

namespace machine {

/// Least and largest of a row and 0; `poison` is NaN where the row has a NaN or an infinite number, else 0.
struct row_range {
  float low = 0;
  float high = 0;
  float poison = 0;

  float largest() const { return (std::max)(-low, high); }
};

inline row_range range_of_row(const float* x, std::size_t k) noexcept {
  vec<float> low(0), high(0), poison(0);
  for (std::size_t i = 0; i < k; i += 16) {
    const vec<float> v = vec<float>::load(x + i, k - i);
    low = min(low, v);
    high = max(high, v);
    poison = poison + (v - v);
  }
  float lows[16], highs[16], poisons[16];
  low.store(lows);
  high.store(highs);
  poison.store(poisons);
  row_range range;
  for (std::size_t i = 0; i < 16; ++i) {
    range.low = (std::min)(range.low, lows[i]);
    range.high = (std::max)(range.high, highs[i]);
    range.poison += poisons[i];
  }
  return range;
}

/// The quantization of a row; its scale is infinite where there is none.
template <class Code, class Rule>
activation_quantization quantization_of_row(const row_range& range) {
  constexpr float none = std::numeric_limits<float>::infinity();
  if (!is_finite(range.poison)) return {none, 0};
  if constexpr (quantized_rows<Code>::is_symmetric) {
    return {Rule::scale(range.largest()), 0};
  } else {
    const auto chosen = choose_activation_quantization<u8>(range.low, range.high);
    return chosen ? *chosen : activation_quantization{none, 0};
  }
}

template <class Rule, class Code>
void quantize_row(const float* x, std::size_t k, activation_quantization q, float largest, Code* codes) noexcept {
  if constexpr (std::same_as<Rule, tflite_dynamic>) {
    const vec<float> factor(Rule::factor(largest));
    const vec<std::int32_t> least(-127);  // the largest |x| times its factor may be 127 and a rounding error, never 127.5
    for (std::size_t i = 0; i < k; i += 16) {
      const vec<float> scaled = rounded_product(vec<float>::load(x + i, k - i), factor);
      store_saturated(codes + i, max(round_to_s32<rounding::nearest_away>(scaled), least), k - i);
    }
  } else {
    const vec<float> scale(q.scale);
    const vec<std::int32_t> zero_point(q.zero_point);
    for (std::size_t i = 0; i < k; i += 16)
      store_saturated(codes + i, round_to_s32(vec<float>::load(x + i, k - i) / scale) + zero_point, k - i);
  }
}

/// Why a row has no quantization.
inline status refuse_row(const float* x, std::size_t k, std::size_t row) {
  for (std::size_t i = 0; i < k; ++i)
    if (!is_finite(x[i]))
      return status::failure("quantize_rows: X [m=" + std::to_string(row) + "][k=" + std::to_string(i) + "] is " +
                             number_text(x[i]));
  return status::failure("quantize_rows: the range of X [m=" + std::to_string(row) + "] overflows a float");
}

}  // namespace machine

/// Chooses a quantization for every row of `x` and writes scales, zero points and codes.
/// - `x`: m x k; `to`: as many codes, m scales and, for std::uint8_t, m zero points. A row without a number other than
///   0, and one without any, has scale 1 and zero point 0
/// - Rule: of symmetric codes, divide_to_even or tflite_dynamic (numeric/dynamic_range.hpp)
/// - `executor`: takes rows in parts; results do not depend on it
/// |x - scale (code - zero point)| is at most scale / 2 for s8 and scale for u8 (where the last code saturates), and the
/// rounding of a float.
/// Errors: extents that do not match, the first NaN or infinite number, for u8 the first row whose max - min overflows;
/// `to` is undefined then. Nothing is allocated but the text of an error. O(m k).
template <row_rule Rule = divide_to_even, class Code, executor Executor>
status try_quantize_rows(matrix_view<const float> x, const quantized_rows<Code>& to, Executor&& executor) {
  static_assert(quantized_rows<Code>::is_symmetric || std::same_as<Rule, divide_to_even>,
                "sparq: tflite_dynamic is a rule for symmetric codes; use std::int8_t, or divide_to_even");
  const std::size_t zero_points = quantized_rows<Code>::is_symmetric ? 0 : x.rows;
  if (to.codes.rows != x.rows || to.codes.columns != x.columns)
    return status::failure("quantize_rows: X is " + extent_text(x) + ", the codes are " + extent_text(to.codes));
  if (to.scales.size() != x.rows || to.zero_points.size() != zero_points)
    return status::failure("quantize_rows: " + std::to_string(to.scales.size()) + " scales and " +
                           std::to_string(to.zero_points.size()) + " zero points; " + std::to_string(x.rows) + " and " +
                           std::to_string(zero_points) + " are needed");
  if (x.stride < x.columns || to.codes.stride < x.columns)
    return status::failure("quantize_rows: a stride is less than the extent it steps over");
  const std::size_t parts = (std::min)((std::max)(std::size_t{executor.concurrency()}, std::size_t{1}), x.rows);
  const std::size_t part_rows = parts == 0 ? 0 : ceil_div(x.rows, parts);
  executor.parallel_for(parts, [&](std::size_t part) {
    const std::size_t end = (std::min)((part + 1) * part_rows, x.rows);
    for (std::size_t m = part * part_rows; m < end; ++m) {
      const machine::row_range range = machine::range_of_row(x.row(m), x.columns);
      const activation_quantization q = machine::quantization_of_row<Code, Rule>(range);
      to.scales[m] = q.scale;
      if constexpr (!quantized_rows<Code>::is_symmetric) to.zero_points[m] = q.zero_point;
      if (is_finite(q.scale))
        machine::quantize_row<Rule>(x.row(m), x.columns, q, range.largest(), to.codes.row(m));
    }
  });
  for (std::size_t m = 0; m < x.rows; ++m)
    if (!is_finite(to.scales[m])) return machine::refuse_row(x.row(m), x.columns, m);
  return {};
}

/// Throwing twin of try_quantize_rows.
template <row_rule Rule = divide_to_even, class Code, executor Executor>
void quantize_rows(matrix_view<const float> x, const quantized_rows<Code>& to, Executor&& executor) {
  try_quantize_rows<Rule>(x, to, executor).value();
}

SPARQ_ABI_END
}  // namespace sparq

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Zero points of rows meet scales along k: the sum of each channel's scaled weights takes them back, in float.
template <class Code, class Granularity>
inline constexpr bool sums_scaled_weights_v = !quantized_rows<Code>::is_symmetric && scales_along_k_v<Granularity>;

/// v - zero point of the row * sum of the channel's weights, the product rounded by itself.
struct subtract_zero_points_of_rows {
  std::span<const std::int32_t> zero_points;
  std::span<const float> weight_sums;

  struct lanes {
    const std::int32_t* zero_points;
    f32_lanes sums;
    SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position& at) const {
      return v - rounded_product(f32_lanes(static_cast<float>(zero_points[at.row])), sums);
    }
  };
  status check(std::size_t m, std::size_t) const { return check_rows("gemm_dynamic", zero_points, m); }
  SPARQ_INLINE lanes for_channels(const lane_position& at) const {
    return {zero_points.data(), f32_lanes::load(weight_sums.data() + at.channel, at.count)};
  }
};

/// The quantized X of one call in scratch memory, each array on a boundary of 64 bytes.
template <class Code>
struct dynamic_scratch {
  std::size_t rows;
  std::size_t k;
  std::size_t n = 0;  // channels whose weights are summed, with a row of ones; none: nothing of both

  std::size_t code_bytes() const { return round_up(rows * k * sizeof(Code), alignment); }
  std::size_t scale_bytes() const { return round_up(rows * sizeof(float), alignment); }
  std::size_t quantized_bytes() const { return code_bytes() + scale_bytes() * (quantized_rows<Code>::is_symmetric ? 1 : 2); }
  std::size_t sum_bytes() const { return round_up(n * sizeof(float), alignment); }
  std::size_t bytes() const {
    return quantized_bytes() + sum_bytes() + (n == 0 ? 0 : round_up(k * sizeof(Code), alignment));
  }
  std::span<float> weight_sums(std::byte* at) const { return {reinterpret_cast<float*>(at + quantized_bytes()), n}; }
  matrix_view<Code> ones(std::byte* at) const {
    return {reinterpret_cast<Code*>(at + quantized_bytes() + sum_bytes()), 1, k};
  }
  quantized_rows<Code> place(std::byte* at) const {
    std::byte* const scales = at + code_bytes();
    auto* const zero_points = reinterpret_cast<std::int32_t*>(scales + scale_bytes());
    return {matrix_view<Code>(reinterpret_cast<Code*>(at), rows, k),
            {reinterpret_cast<float*>(scales), rows},
            quantized_rows<Code>::is_symmetric ? std::span<std::int32_t>() : std::span(zero_points, rows)};
  }
};

/// What is left to do with the scales of the weights behind the loop.
template <class Packed>
auto weight_scaling(const Packed& w) {
  using granularity = typename Packed::granularity;
  if constexpr (scales_along_k_v<granularity> || std::is_same_v<granularity, unquantized>) {
    return std::tuple<>();
  } else if constexpr (std::is_same_v<granularity, per_tensor>) {
    return std::tuple(scale(w.scales()[0]));
  } else {
    static_assert(std::is_same_v<granularity, per_channel>,
                  "sparq: scales of a granularity of your own need a stage of your own; use quantize_rows and gemm");
    return std::tuple(scale_per_channel(w.scales()));
  }
}

/// Bytes of workspace that the products need: of X, and of a row of ones before it.
template <class Code, class Atoms, class Packed>
std::size_t bytes_with_weight_sums(std::size_t bytes, [[maybe_unused]] const Packed& w, [[maybe_unused]] std::size_t concurrency) {
  if constexpr (sums_scaled_weights_v<Code, typename Packed::granularity>)
    return (std::max)(bytes, explain_gemm<Code, float, Atoms>(1, w, concurrency).workspace_bytes);
  else
    return bytes;
}

/// Sums of codes become floats, then come the caller's stages.
template <class Code, class Packed, class... Stages>
auto dynamic_stages(const Packed& w, const quantized_rows<Code>& x, [[maybe_unused]] std::span<const float> weight_sums,
                    const epilogue<Stages...>& stages) {
  const auto zero_points = [&] {
    if constexpr (quantized_rows<Code>::is_symmetric)
      return std::tuple<>();
    else if constexpr (scales_along_k_v<typename Packed::granularity>)
      return std::tuple(subtract_zero_points_of_rows{x.zero_points, weight_sums});
    else
      return std::tuple(subtract_zero_point_per_row(x.zero_points));
  };
  return std::apply([](const auto&... all) { return epilogue(all...); },
                    std::tuple_cat(zero_points(), weight_scaling(w), std::tuple(scale_per_row(x.scales)), stages.stages));
}

template <class Code, class Packed, class... Stages>
constexpr void check_dynamic() {
  static_assert(Packed::numeric_type::is_integer,
                "sparq: X is quantized to meet integer weights; call gemm, which multiplies floats by floats");
  static_assert(!(takes_zero_point_of_x_v<Stages> || ... || false),
                "sparq: gemm_dynamic chooses the zero points of X; leave subtract_zero_point out");
}

}  // namespace machine

/// Y = epilogue(X W^T) of floats X and integer weights W, where the rows of X are quantized to Code.
/// - `x`: m x k floats; `w`: packed integers, n x k, in any format, with scales of any granularity; `y`: m x n, f32, or
///   what the last stage yields; must not overlap x or w
/// - Code: std::int8_t, symmetric; std::uint8_t, asymmetric, twice as fine where a row is not negative. With scales along k
///   its zero points cost one row more, of ones, and are taken back in float, one product rounded for each sum
/// - Rule: of symmetric codes; tflite_dynamic makes the codes of TFLite, which multiplies the two scales with each other
///   before it multiplies the sum, so that a last bit of Y may differ from its
/// - `stages`: see kernel/epilogue.hpp; the first receives real numbers as f32
/// - `scratch`: as many bytes as explain_gemm_dynamic says: codes of X, their scales, and what gemm needs
/// The sums of codes are exact, so with scales per tensor or channel every CPU gives the same
/// fl(fl(float(sum) * weight scale) * row scale). With scales along k the kernel has scaled the sum already. The result is
/// off by at most (max |x| of the row) / 254 * (sum of |w|) for std::int8_t, and the rounding of floats.
/// Errors: those of gemm and of quantize_rows, with the first position in X; Y is not written then.
/// Complexity O(m k + m x stored weights).
template <class Code = std::int8_t, row_rule Rule = divide_to_even, class Atoms = default_atoms, class W,
          machine::activations Y, class... Stages, executor Executor>
status try_gemm_dynamic(matrix_view<const float> x, const W& w, Y y, const epilogue<Stages...>& stages,
                        Executor&& executor, workspace& scratch) {
  const auto packed = machine::packed_of(w);
  using packed_type = std::remove_const_t<decltype(packed)>;
  machine::check_dynamic<Code, packed_type, Stages...>();
  machine::check_layouts<matrix_view<const Code>, Y, packed_type>();
  machine::check_types<Code, packed_type, Atoms>();
  if (status s = machine::check_operands(x, packed.shape(), y); !s.ok()) return s;
  if (status s = stages.check(y.rows, y.columns); !s.ok()) return s;
  constexpr bool sums_weights = machine::sums_scaled_weights_v<Code, typename packed_type::granularity>;
  const machine::dynamic_scratch<Code> layout{x.rows, x.columns, sums_weights ? packed.shape().n : 0};
  using product = machine::operation<Atoms, strided_rows<Code>, packed_type>;
  const product unplaced({matrix_view<const Code>(nullptr, x.rows, x.columns)}, x.rows, packed,
                         tile_target<typename product::sum_type>{nullptr, nullptr, x.rows, nullptr},
                         machine::strips_stand_apart(packed, machine::target_of(y)), executor.concurrency());
  const std::size_t rest_bytes =
      machine::bytes_with_weight_sums<Code, Atoms>(unplaced.workspace_bytes(), packed, executor.concurrency());
  auto bytes = scratch.try_reserve(layout.bytes() + rest_bytes);
  if (!bytes) return bytes.error();
  const quantized_rows<Code> codes = layout.place(*bytes);
  if (status s = try_quantize_rows<Rule>(x, codes, executor); !s.ok()) return s;
  workspace rest(std::span<std::byte>(*bytes + layout.bytes(), rest_bytes));
  const std::span<float> weight_sums = layout.weight_sums(*bytes);
  if constexpr (sums_weights) {
    if (!weight_sums.empty()) {
      const matrix_view<Code> ones = layout.ones(*bytes);
      std::fill_n(ones.data, ones.columns, Code{1});
      const matrix_view<float> sums(weight_sums.data(), 1, weight_sums.size());
      if (status s = try_gemm<Atoms>(ones, packed, sums, epilogue<>(), executor, rest); !s.ok()) return s;
    }
  }
  return try_gemm<Atoms>(codes.codes, packed, y, machine::dynamic_stages(packed, codes, std::span<const float>(weight_sums), stages),
                         executor, rest);
}

/// Throwing twin of try_gemm_dynamic.
template <class Code = std::int8_t, row_rule Rule = divide_to_even, class Atoms = default_atoms, class W,
          machine::activations Y, class... Stages, executor Executor>
void gemm_dynamic(matrix_view<const float> x, const W& w, Y y, const epilogue<Stages...>& stages, Executor&& executor,
                  workspace& scratch) {
  try_gemm_dynamic<Code, Rule, Atoms>(x, w, y, stages, executor, scratch).value();
}

/// What gemm_dynamic does for m rows of X, in this many parts.
/// `workspace_bytes` of the result is what a fixed workspace must hold; a Y whose elements share bytes may need less.
template <class Code = std::int8_t, class Atoms = default_atoms, class W>
explanation explain_gemm_dynamic(std::size_t m, const W& w, std::size_t concurrency = 1) {
  const auto packed = machine::packed_of(w);
  using packed_type = std::remove_const_t<decltype(packed)>;
  machine::check_dynamic<Code, packed_type>();
  using sum_type = std::conditional_t<scales_along_k_v<typename packed_type::granularity>, float, std::int32_t>;
  explanation e = explain_gemm<Code, sum_type, Atoms>(m, packed, concurrency);
  e.x_access = "quantized row by row, then " + e.x_access;
  constexpr bool sums_weights = machine::sums_scaled_weights_v<Code, typename packed_type::granularity>;
  e.workspace_bytes = machine::bytes_with_weight_sums<Code, Atoms>(e.workspace_bytes, packed, concurrency) +
                      machine::dynamic_scratch<Code>{m, packed.shape().k, sums_weights ? packed.shape().n : 0}.bytes();
  return e;
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/gemm_sum.hpp ====
// A product with the sum of two weight tensors, added before the epilogue: W = a structured part + a remainder, for
// example tile-wise pruning that gives some of the best pruned weights back (TEW, arXiv 2008.13006).

#include <algorithm>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The part of a list of stages that concerns the sums of one tensor by itself: its share of X's zero point.
template <class Stage>
auto zero_point_stage(const Stage& stage) {
  if constexpr (std::is_same_v<Stage, subtract_zero_point>)
    return std::tuple<Stage>(stage);
  else
    return std::tuple<>();
}
template <class... Stages>
auto zero_point_stages(const epilogue<Stages...>& stages) {
  return std::apply(
      [](const auto&... stage) {
        return std::apply([](const auto&... found) { return epilogue(found...); },
                          std::tuple_cat(zero_point_stage(stage)...));
      },
      stages.stages);
}

/// The epilogue of a block of rows: adds the first product's sums; positions count from the first row of Y.
template <class Acc, class Epilogue>
struct adding_epilogue {
  matrix_view<const Acc> sums;  // of the block
  const Epilogue* stages;
  std::size_t first_row;

  template <class Bound>
  struct bound_stages {
    matrix_view<const Acc> sums;
    std::size_t first_row;
    Bound stages;

    SPARQ_INLINE auto operator()(const vec<Acc>& v, lane_position at) const {
      const vec<Acc> sum = v + vec<Acc>::load(sums.row(at.row) + at.channel, at.count);
      at.row += first_row;
      return stages(sum, at);
    }
  };
  SPARQ_INLINE auto for_channels(const lane_position& at) const {
    return bound_stages<decltype(stages->for_channels(at))>{sums, first_row, stages->for_channels(at)};
  }
};

/// What a product leaves for the stages. By itself, because gcc 12 fails on a constant of a function in a type that its
/// lambdas use.
template <class Packed>
using product_sum =
    std::conditional_t<Packed::numeric_type::is_integer && !scales_along_k_v<typename Packed::granularity>, std::int32_t,
                       float>;

/// Sums of a block of rows, 256 KiB or 64 rows for each thread, stay in the second-level cache between the two products.
inline std::size_t sum_block_rows(std::size_t rows, std::size_t columns, std::size_t concurrency) {
  constexpr std::size_t sum_bytes = 256 * 1024, block_rows = 64;
  const std::size_t fitting = sum_bytes / (4 * (std::max)(columns, std::size_t{1}));
  return (std::min)(rows, round_up((std::max)(fitting, block_rows), block_rows) * (std::max)(concurrency, std::size_t{1}));
}

}  // namespace machine

/// Y = epilogue(X (A + B)^T).
/// - `x`: m x k by rows; `a`, `b`: packed n x k of the same numeric kind, for whichever loops; the rest as in gemm
/// - `scratch`: beside what the larger of both products needs, the sums of a block of rows: 256 KiB or 64 rows for each
///   thread
/// Integer sums are exact; float sums add A's part to B's. Nothing is written when an error is returned.
/// Errors: those of gemm for either tensor. Complexity O(m x stored weights of both).
template <class Atoms = default_atoms, class X, class A, class B, class Y, class... Stages, executor Executor>
status try_gemm_sum(matrix_view<X> x, const A& a, const B& b, matrix_view<Y> y, const epilogue<Stages...>& stages,
                    Executor&& executor, workspace& scratch) {
  using numeric_type = typename decltype(machine::packed_of(a))::numeric_type;
  static_assert(numeric_type::is_integer == decltype(machine::packed_of(b))::numeric_type::is_integer,
                "sparq: two tensors add up when both hold integers or both hold floats");
  static_assert(!(std::is_same_v<Stages, subtract_zero_point_per_row> || ... || false),
                "sparq: zero points of rows cannot be shared out to two tensors; quantize the rows to std::int8_t");
  static_assert(scales_along_k_v<typename decltype(machine::packed_of(a))::granularity> ==
                    scales_along_k_v<typename decltype(machine::packed_of(b))::granularity>,
                "sparq: scaled sums and sums of codes do not add up; use scales along k for both tensors, or for none");
  using acc_type = machine::product_sum<decltype(machine::packed_of(a))>;
  const std::size_t parts = executor.concurrency();
  if (status s = machine::check_operands(x, machine::packed_of(a).shape(), y); !s.ok()) return s;
  if (status s = machine::check_operands(x, machine::packed_of(b).shape(), y); !s.ok()) return s;
  if (status s = stages.check(y.rows, y.columns); !s.ok()) return s;
  const auto first = machine::packed_of(a);
  const auto second = machine::packed_of(b);
  const auto zero_points = machine::zero_point_stages(stages);
  using first_type = std::remove_const_t<decltype(first)>;
  using second_type = std::remove_const_t<decltype(second)>;
  machine::check_types<std::remove_const_t<X>, first_type, Atoms, Stages...>();
  machine::check_types<std::remove_const_t<X>, second_type, Atoms, Stages...>();
  const std::size_t block = machine::sum_block_rows(y.rows, y.columns, parts);
  const std::size_t sum_bytes = round_up(block * y.columns * sizeof(acc_type), alignment);
  // f(both products) for the rows from `row` on
  const auto products = [&](std::size_t row, acc_type* sum_data, const auto& f) -> status {
    const std::size_t rows = (std::min)(block, y.rows - row);
    const matrix_view<acc_type> sums(sum_data, rows, y.columns);
    const strided_rows<std::remove_const_t<X>> source{{x.row(row), rows, x.columns, x.stride}};
    const matrix_view<Y> block_y(y.row(row), rows, y.columns, y.stride);
    const machine::adding_epilogue<acc_type, epilogue<Stages...>> adding{sums, &stages, row};
    return f(machine::operation<Atoms, strided_rows<std::remove_const_t<X>>, first_type>(source, rows, first, sums,
                                                                                         zero_points, parts),
             machine::operation<Atoms, strided_rows<std::remove_const_t<X>>, second_type>(source, rows, second, block_y,
                                                                                          adding, parts));
  };
  std::size_t work_bytes = 0;
  if (y.rows != 0)
    for (const std::size_t row : {std::size_t{0}, (y.rows - 1) / block * block}) {  // the last block may be smaller
      const status counted = products(row, nullptr, [&](const auto& one, const auto& other) -> status {
        work_bytes = (std::max)({work_bytes, one.workspace_bytes(), other.workspace_bytes()});
        return {};
      });
      if (!counted.ok()) return counted;
    }
  const auto bytes = scratch.try_reserve(sum_bytes + work_bytes);
  if (!bytes) return bytes.error();
  workspace rest(std::span<std::byte>(*bytes + sum_bytes, work_bytes));
  for (std::size_t row = 0; row < y.rows; row += block) {
    const status result =
        products(row, reinterpret_cast<acc_type*>(*bytes), [&](const auto& one, const auto& other) -> status {
          if (status s = one.run(executor, rest); !s.ok()) return s;
          return other.run(executor, rest);
        });
    if (!result.ok()) return result;
  }
  return {};
}

/// Throwing twin of try_gemm_sum.
template <class Atoms = default_atoms, class X, class A, class B, class Y, class... Stages, executor Executor>
void gemm_sum(matrix_view<X> x, const A& a, const B& b, matrix_view<Y> y, const epilogue<Stages...>& stages,
              Executor&& executor, workspace& scratch) {
  try_gemm_sum<Atoms>(x, a, b, y, stages, executor, scratch).value();
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/integer_add.hpp ====
// Sums of tensors of codes with nothing but integers, as NEMO and PULP-NN have them. A span of codes carries its step, the
// real number that one code is worth; spans whose steps differ do not add up without factors that bring them together.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// Codes and their step: code q means step * q.
template <class T>
struct stepped_span {
  using code = std::remove_const_t<T>;
  static_assert(std::is_same_v<code, std::int8_t> || std::is_same_v<code, std::uint8_t> ||
                    std::is_same_v<code, std::int16_t> || std::is_same_v<code, std::int32_t>,
                "sparq: codes are integers; use int8_t, uint8_t, int16_t or int32_t");
  std::span<T> codes;
  double step = 1;

  /// Reads only.
  operator stepped_span<const T>() const
    requires(!std::is_const_v<T>)
  {
    return {codes, step};
  }
};

/// y = clamp((left * left_factor + right * right_factor) >> shift, low, high).
struct integer_add_parameters {
  std::int32_t left_factor = 1;
  std::int32_t right_factor = 1;
  int shift = 0;  ///< [0, 62]
  std::int32_t low = INT32_MIN;
  std::int32_t high = INT32_MAX;

  /// As NEMO's IntegerAdd: D = 2^ceil(log2(factor * out / least step)), each factor is round(D * step / out).
  /// Errors: a step that is not positive and finite, a `factor` outside of [1, 65536], a factor of a step beyond int32.
  static expected<integer_add_parameters> try_from(double left, double right, double out, double factor = 32) {
    for (const double step : {left, right, out})
      if (status s = detail::check_step("integer_add", step); !s.ok()) return s;
    if (!(factor >= 1 && factor <= 65536))
      return status::failure("integer_add: factor " + number_text(factor) + " is not in [1, 65536]");
    integer_add_parameters p;
    p.shift = nemo_log2_d(out / (left < right ? left : right), factor, 62);
    const double of_left = left / out * power_of_two(p.shift), of_right = right / out * power_of_two(p.shift);
    for (const double value : {of_left, of_right})
      if (!(value < 2147483647.0)) return status::failure("integer_add: factor " + number_text(value) + " is beyond int32");
    p.left_factor = static_cast<std::int32_t>(round_half_even_in_range(of_left));
    p.right_factor = static_cast<std::int32_t>(round_half_even_in_range(of_right));
    return p;
  }
  /// Two addends never leave the range of y where its step is this: max(left, right) * 2.
  static double out_step(double left, double right) { return 2 * (left < right ? right : left); }
};

namespace machine {

template <class L, class R, class Y>
status check_integer_add(const stepped_span<const L>& left, const stepped_span<const R>& right, const stepped_span<Y>& y) {
  if (left.codes.size() == y.codes.size() && right.codes.size() == y.codes.size()) return {};
  return status::failure("integer_add: " + std::to_string(left.codes.size()) + " and " + std::to_string(right.codes.size()) +
                         " codes, Y has " + std::to_string(y.codes.size()));
}

/// Sixteen codes at a time, in 32 bits where every product and sum fits.
template <bool IsWide, class L, class R, class Y>
void integer_add_codes(const L* left, const R* right, Y* y, std::size_t count, const integer_add_parameters& p) {
  using s32 = vec<std::int32_t>;
  const s32 a(p.left_factor), b(p.right_factor), shift(IsWide ? 0 : p.shift), low(p.low), high(p.high);
  const split_s64 wide_a(std::int64_t{p.left_factor}), wide_b(std::int64_t{p.right_factor}), wide_shift(std::int64_t{p.shift});
  for (std::size_t i = 0; i < count; i += 16) {
    const std::size_t lanes = count - i < 16 ? count - i : 16;
    const s32 l = load_codes(left + i, lanes), r = load_codes(right + i, lanes);
    s32 sum;
    if constexpr (IsWide)
      sum = saturate_to_s32((multiply(l, wide_a) + multiply(r, wide_b)) >> wide_shift);
    else
      sum = (l * a + r * b) >> shift;
    const s32 codes = min(max(sum, low), high);
    if constexpr (sizeof(Y) == 1)
      store_saturated(y + i, codes, lanes);
    else if constexpr (sizeof(Y) == 2)
      store_saturated_s16(y + i, codes, lanes);
    else
      codes.store(y + i, lanes);
  }
}

}  // namespace machine

/// y = clamp((left * left_factor + right * right_factor) >> shift), exact: in 32 bits where the factors allow it, in 64
/// where they do not. Y may be one of the operands. `p` comes from integer_add_parameters::try_from and the steps.
/// Errors: spans of different lengths, a shift out of range, low above high.
template <class L, class R, class Y>
status try_integer_add(stepped_span<const L> left, stepped_span<const R> right, stepped_span<Y> y,
                       const integer_add_parameters& p) {
  if (status s = machine::check_integer_add(left, right, y); !s.ok()) return s;
  if (p.shift < 0 || p.shift > 62)
    return status::failure("integer_add: shift " + std::to_string(p.shift) + " is not in [0, 62]");
  if (p.low > p.high)
    return status::failure("integer_add: clamps to [" + std::to_string(p.low) + ", " + std::to_string(p.high) + "]");
  const auto magnitude = [](std::int64_t factor) { return factor < 0 ? -factor : factor; };
  constexpr auto most = [](auto zero) { return std::int64_t{1} << (8 * sizeof(zero)); };
  const std::int64_t largest = magnitude(p.left_factor) * most(L{}) + magnitude(p.right_factor) * most(R{});
  if (sizeof(L) <= 2 && sizeof(R) <= 2 && largest < INT32_MAX && p.shift < 32)
    machine::integer_add_codes<false>(left.codes.data(), right.codes.data(), y.codes.data(), y.codes.size(), p);
  else
    machine::integer_add_codes<true>(left.codes.data(), right.codes.data(), y.codes.data(), y.codes.size(), p);
  return {};
}

/// left + right as they are, saturated. Errors: steps that differ, spans of different lengths.
template <class L, class R, class Y>
status try_integer_add(stepped_span<const L> left, stepped_span<const R> right, stepped_span<Y> y) {
  if (left.step != right.step || left.step != y.step)
    return status::failure("integer_add: steps " + number_text(left.step) + ", " + number_text(right.step) + " and " +
                           number_text(y.step) + " differ; bring them together with integer_add_parameters::try_from");
  return try_integer_add<L, R, Y>(left, right, y, integer_add_parameters{});
}

/// Throwing twins.
template <class L, class R, class Y>
void integer_add(stepped_span<const L> left, stepped_span<const R> right, stepped_span<Y> y,
                 const integer_add_parameters& p) {
  try_integer_add<L, R, Y>(left, right, y, p).value();
}
template <class L, class R, class Y>
void integer_add(stepped_span<const L> left, stepped_span<const R> right, stepped_span<Y> y) {
  try_integer_add<L, R, Y>(left, right, y).value();
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/pool.hpp ====
// Largest and average value of a window, for each channel by itself. Padding never takes part in a maximum; an average
// leaves it out or counts it as the real number 0. Integer averages round half away from zero, as TFLite. With an epilogue
// X and Y may hold integers of different types.

#include <array>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

/// The values that an output may have: codes of an activation function's range, for example.
template <class T>
struct value_range {
  T low = std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
  T high = std::numeric_limits<T>::has_infinity ? std::numeric_limits<T>::infinity() : (std::numeric_limits<T>::max)();

  constexpr T clamp(T value) const { return value < low ? low : value > high ? high : value; }
};

/// What an average counts.
template <class T>
struct average_padding {
  bool counts = false;  ///< divide by the number of taps instead of the number of taps inside the image
  T zero_point{};       ///< of X and Y: what a padded tap adds, if it counts
};

namespace machine {

template <class X, class Y>
constexpr void check_pool_types() {
  if constexpr (requires { typename X::numeric_type; } && requires { typename Y::numeric_type; })
    static_assert(std::is_same_v<typename X::numeric_type, typename Y::numeric_type>,
                  "sparq: a pool's X and Y hold the same type; give it an epilogue that requantizes");
  else
    static_assert(std::is_same_v<element_of<X>, element_of<Y>> && requires { typename X::numeric_type; } ==
                                                                       requires { typename Y::numeric_type; },
                  "sparq: a pool's X and Y hold the same type; give it an epilogue that requantizes");
  static_assert(std::is_same_v<element_of<X>, float> || sizeof(element_of<X>) == 1,
                "sparq: pools take float, std::int8_t, std::uint8_t or narrow integers");
}

inline status check_pool(const char* op, const image_extents& x, const image_extents& y,
                         const window_parameters& window) {
  if (status s = check_window(op, x, y, window); !s.ok()) return s;
  if (x.channels == y.channels) return {};
  return status::failure(std::string(op) + ": X has " + std::to_string(x.channels) + " channels, Y has " +
                         std::to_string(y.channels));
}
/// A largest value needs a tap, and an average needs something to divide by.
inline status check_taps(const char* op, const image_extents& x, const image_extents& y,
                         const window_parameters& window) {
  const auto wrong = [&](const char* axis, std::size_t at) {
    return status::failure(std::string(op) + ": the window of output " + axis + " " + std::to_string(at) +
                           " lies in the padding");
  };
  if (y.images * y.image_height * y.image_width == 0) return {};
  for (std::size_t at = 0; at < y.image_height; ++at)
    if (window.taps_inside_y(at, x.image_height).count() == 0) return wrong("row", at);
  for (std::size_t at = 0; at < y.image_width; ++at)
    if (window.taps_inside_x(at, x.image_width).count() == 0) return wrong("column", at);
  return {};
}
template <class T>
status check_range(const char* op, value_range<T> range) {
  if (range.low <= range.high) return {};
  return status::failure(std::string(op) + ": the range from " + number_text(range.low) + " to " +
                         number_text(range.high) + " is empty");
}
inline status check_tap_count(const char* op, std::size_t taps) {
  if (taps <= std::size_t{1} << 23) return {};
  return status::failure(std::string(op) + ": sums of " + std::to_string(taps) +
                         " taps do not fit into int32; at most 2^23 do");
}

/// The taps of a window as pixels.
/// T: an element of X; Image: image_view<const T> or narrow_pixels<T>; Y: the view of the output.
template <class T, class Image, class Y>
class pool_operation {
 public:
  static constexpr bool is_float = std::is_same_v<T, float>;
  using sum_type = std::conditional_t<is_float, float, std::int32_t>;

  pool_operation(const Image& x, const Y& y, const window_parameters& window, value_range<T> range = {})
      : x_(x), y_(y), target_(pixel_targets(y, 0, y.channels)), window_(window), range_(range) {}

  template <class Executor>
  void largest(Executor& executor) const {
    for_each_output_row(y_, executor, [&](std::size_t image, std::size_t out_y) {
      for_each_block(image, out_y, [&](const window_taps& taps, std::size_t m, std::size_t first, std::size_t channels) {
        std::array<T, block_channels> most;
        most.fill(range_.low);
        for_each_tap(taps, first, channels, [&](const T* x) {
          for (std::size_t c = 0; c < channels; ++c) most[c] = x[c] > most[c] ? x[c] : most[c];
        });
        for (std::size_t c = 0; c < channels; ++c) most[c] = range_.clamp(most[c]);
        store(most.data(), m, first, channels);
      });
    });
  }

  template <class Executor>
  void average(average_padding<T> padding, Executor& executor) const {
    for_each_output_row(y_, executor, [&](std::size_t image, std::size_t out_y) {
      for_each_block(image, out_y, [&](const window_taps& taps, std::size_t m, std::size_t first, std::size_t channels) {
        const std::size_t inside = taps.rows.count() * taps.columns.count();
        const std::size_t outside = padding.counts ? window_.taps() - inside : 0;
        const auto sums = sums_of(taps, first, channels, outside, padding.zero_point);
        const auto count = static_cast<sum_type>(inside + outside);
        std::array<T, block_channels> averages;
        for (std::size_t c = 0; c < channels; ++c) averages[c] = range_.clamp(quotient(sums[c], count));
        store(averages.data(), m, first, channels);
      });
    });
  }

  /// Y = stages(largest value) or, if `adds`, stages(sum of all taps); padded taps are `padding`.
  template <class Epilogue, class Executor>
  void requantized(bool adds, T padding, const Epilogue& stages, Executor& executor) const {
    for_each_output_row(y_, executor, [&](std::size_t image, std::size_t out_y) {
      for_each_block(image, out_y, [&](const window_taps& taps, std::size_t m, std::size_t first, std::size_t channels) {
        std::array<std::int32_t, block_channels> values;
        if (adds) {
          values = sums_of(taps, first, channels, window_.taps() - taps.rows.count() * taps.columns.count(), padding);
        } else {
          values.fill(std::numeric_limits<T>::lowest());
          for_each_tap(taps, first, channels, [&](const T* x) {
            for (std::size_t c = 0; c < channels; ++c) values[c] = x[c] > values[c] ? x[c] : values[c];
          });
        }
        store_tile(values.data(), 0, 1, channels, 0, target_, {m, first, 0, nullptr}, stages);
      });
    });
  }

 private:
  static constexpr std::size_t block_channels = 64;

  struct window_taps {
    std::size_t image;
    tap_range rows;
    tap_range columns;
  };

  std::array<sum_type, block_channels> sums_of(const window_taps& taps, std::size_t first, std::size_t channels,
                                               std::size_t outside, T padding) const {
    std::array<sum_type, block_channels> sums;
    sums.fill(static_cast<sum_type>(outside) * static_cast<sum_type>(padding));
    for_each_tap(taps, first, channels, [&](const T* x) {
      for (std::size_t c = 0; c < channels; ++c) sums[c] += x[c];
    });
    return sums;
  }

  /// Rounded half away from zero; floats are not rounded. Integers divide as doubles, because vectors can do that: the
  /// quotient is at most 256 and, if no integer, at least 2^-23 away from one, so truncation is exact.
  static T quotient(sum_type sum, sum_type count) {
    if constexpr (is_float)
      return sum / count;
    else
      return static_cast<T>(static_cast<sum_type>(static_cast<double>(sum + (sum > 0 ? count / 2 : -(count / 2))) /
                                                  static_cast<double>(count)));
  }

  /// f(taps, pixel of Y, first channel, channels) for all blocks of channels of a row.
  template <class F>
  void for_each_block(std::size_t image, std::size_t out_y, const F& f) const noexcept {
    window_taps taps{image, window_.taps_inside_y(out_y, x_.image_height), {}};
    for (std::size_t out_x = 0; out_x < y_.image_width; ++out_x) {
      taps.columns = window_.taps_inside_x(out_x, x_.image_width);
      const std::size_t m = (image * y_.image_height + out_y) * y_.image_width + out_x;
      for (std::size_t first = 0; first < y_.channels; first += block_channels)
        f(taps, m, first, (std::min)(block_channels, y_.channels - first));
    }
  }

  /// f(channels [first, first + channels)) for every tap inside the image.
  template <class F>
  void for_each_tap(const window_taps& taps, std::size_t first, std::size_t channels, const F& f) const {
    std::array<T, block_channels + 64> buffer;
    for (std::size_t ky = 0; ky < taps.rows.count(); ++ky)
      for (std::size_t kx = 0; kx < taps.columns.count(); ++kx)
        f(channels_at(x_,
                      x_.pixel(taps.image, taps.rows.pixel + ky * window_.dilation_y,
                               taps.columns.pixel + kx * window_.dilation_x),
                      first, channels, buffer.data()));
  }

  void store(const T* values, std::size_t m, std::size_t first, std::size_t channels) const {
    if constexpr (std::is_same_v<decltype(target_), narrow_target>)
      target_.store_codes(m, first, values, channels);
    else
      copy_elements(values, channels, &target_(m, first));
  }

  const Image x_;
  Y y_;
  decltype(pixel_targets(std::declval<const Y&>(), 0, 0)) target_;
  window_parameters window_;
  value_range<T> range_;
};
template <class X, class Y>
auto pool_of(const X& x, const Y& y, const window_parameters& window, value_range<element_of<X>> range = {}) {
  const auto pixels = pixels_of(x);
  return pool_operation<element_of<X>, std::remove_const_t<decltype(pixels)>, Y>(pixels, y, window, range);
}

template <class X, class Y, class... Stages>
status check_requantizing_pool(const char* op, const X& x, const Y& y, const window_parameters& window,
                               const epilogue<Stages...>& stages) {
  static_assert(sizeof(element_of<X>) == 1, "sparq: a pool with an epilogue takes bytes or narrow integers; leave it out "
                                            "for floats");
  static_assert(!((machine::takes_zero_point_of_x_v<Stages> || machine::gives_zero_a_value_v<Stages>) || ... || false),
                "sparq: a pool has no weights whose sums take back a zero point; add a bias instead");
  if (status s = check_pool(op, x, y, window); !s.ok()) return s;
  return stages.check(y.pixels(), y.channels);
}

}  // namespace machine

/// Y = the largest value of the window that lies inside the image, clamped to `range`.
/// - `x`, `y`: NHWC, s8, u8, f32 or narrow integers, of one type; must not overlap
/// Nothing is written when an error is returned. NaN is skipped.
/// Errors: extents that do not match, a window that lies in the padding as a whole, an empty range.
template <machine::pixel_image X, machine::pixel_image Y, executor Executor>
status try_max_pool2d(X x, Y y, const window_parameters& window, value_range<machine::element_of<Y>> range,
                      Executor&& executor) {
  machine::check_pool_types<X, Y>();
  if (status s = machine::check_pool("max_pool2d", x, y, window); !s.ok()) return s;
  if (status s = machine::check_range("max_pool2d", range); !s.ok()) return s;
  if (status s = machine::check_taps("max_pool2d", x, y, window); !s.ok()) return s;
  machine::pool_of(x, y, window, range).largest(executor);
  return {};
}

/// Y = epilogue(the largest value of the window that lies inside the image); X and Y hold any integers of 1 to 8 bits.
/// - `stages`: see kernel/epilogue.hpp; the value starts as int32
/// Errors: those above, epilogue parameters that do not match.
template <machine::pixel_image X, machine::pixel_image Y, class... Stages, executor Executor>
  requires(sizeof...(Stages) > 0)
status try_max_pool2d(X x, Y y, const window_parameters& window, const epilogue<Stages...>& stages,
                      Executor&& executor) {
  if (status s = machine::check_requantizing_pool("max_pool2d", x, y, window, stages); !s.ok()) return s;
  if (status s = machine::check_taps("max_pool2d", x, y, window); !s.ok()) return s;
  machine::pool_of(x, y, window).requantized(false, {}, stages, executor);
  return {};
}

/// Y = sum / count over the window's taps inside the image, clamped to `range`. Integers are rounded half away from
/// zero, as TFLite AveragePool2D.
/// - `x`, `y`: NHWC, s8, u8, f32 or narrow integers, of one type and, for integers, one scale and zero point; must not
///   overlap
/// - `padding`: whether padded taps count, and as what
/// Nothing is written when an error is returned.
/// Errors: extents that do not match, a window that lies in the padding as a whole, an empty range, over 2^23 taps.
template <machine::pixel_image X, machine::pixel_image Y, executor Executor>
status try_average_pool2d(X x, Y y, const window_parameters& window, value_range<machine::element_of<Y>> range,
                          average_padding<machine::element_of<Y>> padding, Executor&& executor) {
  machine::check_pool_types<X, Y>();
  if (status s = machine::check_pool("average_pool2d", x, y, window); !s.ok()) return s;
  if (status s = machine::check_range("average_pool2d", range); !s.ok()) return s;
  if (status s = machine::check_taps("average_pool2d", x, y, window); !s.ok()) return s;
  if (status s = machine::check_tap_count("average_pool2d", window.taps()); !s.ok()) return s;
  machine::pool_of(x, y, window, range).average(padding, executor);
  return {};
}

/// Y = epilogue(sum over the window's taps); X and Y hold any integers of 1 to 8 bits. With a requantization by
/// 1 / (taps x scales) this is an average as PULP-NN and DORY compute it: (kappa * sum + lambda) >> shift.
/// - `padding`: what X is beyond its border; the zero point of X
/// - `stages`: see kernel/epilogue.hpp; sums are int32
/// Nothing is written when an error is returned.
/// Errors: extents that do not match, epilogue parameters that do not match, over 2^23 taps.
template <machine::pixel_image X, machine::pixel_image Y, class... Stages, executor Executor>
status try_sum_pool2d(X x, Y y, const window_parameters& window, machine::element_of<X> padding,
                      const epilogue<Stages...>& stages, Executor&& executor) {
  if (status s = machine::check_requantizing_pool("sum_pool2d", x, y, window, stages); !s.ok()) return s;
  if (status s = machine::check_tap_count("sum_pool2d", window.taps()); !s.ok()) return s;
  machine::pool_of(x, y, window).requantized(true, padding, stages, executor);
  return {};
}

/// Throwing twins.
template <machine::pixel_image X, machine::pixel_image Y, executor Executor>
void max_pool2d(X x, Y y, const window_parameters& window, value_range<machine::element_of<Y>> range,
                Executor&& executor) {
  try_max_pool2d(x, y, window, range, executor).value();
}
template <machine::pixel_image X, machine::pixel_image Y, class... Stages, executor Executor>
  requires(sizeof...(Stages) > 0)
void max_pool2d(X x, Y y, const window_parameters& window, const epilogue<Stages...>& stages, Executor&& executor) {
  try_max_pool2d(x, y, window, stages, executor).value();
}
template <machine::pixel_image X, machine::pixel_image Y, executor Executor>
void average_pool2d(X x, Y y, const window_parameters& window, value_range<machine::element_of<Y>> range,
                    average_padding<machine::element_of<Y>> padding, Executor&& executor) {
  try_average_pool2d(x, y, window, range, padding, executor).value();
}
template <machine::pixel_image X, machine::pixel_image Y, class... Stages, executor Executor>
void sum_pool2d(X x, Y y, const window_parameters& window, machine::element_of<X> padding,
                const epilogue<Stages...>& stages, Executor&& executor) {
  try_sum_pool2d(x, y, window, padding, stages, executor).value();
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/row_sums.hpp ====
// Sums of the rows of X, once for all channels: what weights with a zero point or an offset need
// (kernel/row_sum_stages.hpp).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Sum of the elements [first, first + count) of row m.
template <class N>
std::int64_t sum_of_row(const narrow_matrix_view<N>& x, std::size_t m, std::size_t first, std::size_t count) noexcept {
  using numeric_type = std::remove_const_t<N>;
  constexpr std::size_t chunk = 256;
  typename numeric_type::code codes[chunk + unpack_slack];
  std::int64_t sum = 0;
  for (const std::size_t end = first + count; first < end; first += chunk) {
    const std::size_t part = (std::min)(chunk, end - first);
    unpack_narrow<numeric_type>(x.row(m), first, part, codes);
    sum += sum_of(codes, part);
  }
  return sum;
}
template <class T>
auto sum_of_row(const matrix_view<T>& x, std::size_t m, std::size_t first, std::size_t count) noexcept {
  return sum_of(x.row(m) + first, count);
}
template <class X>
bool stride_fits(const X& x) {
  if constexpr (requires { x.row_bytes(); })
    return x.stride >= x.row_bytes();
  else
    return x.stride >= x.columns;
}

template <class X>
inline constexpr bool is_float_matrix_v = false;
template <class T>
inline constexpr bool is_float_matrix_v<matrix_view<T>> = std::is_same_v<std::remove_const_t<T>, float>;

inline status check_row_sums(std::size_t rows, bool strides_fit, std::size_t room) {
  if (room != rows)
    return status::failure("row_sums: room for " + std::to_string(room) + " sums, X has " + std::to_string(rows) + " rows");
  return strides_fit ? status() : status::failure("row_sums: a stride is less than the extent it steps over");
}
inline status check_group_sums(std::size_t rows, std::size_t columns, std::size_t group, bool strides_fit,
                               const matrix_view<float>& out) {
  if (group == 0) return status::failure("group_sums: a group holds at least one k");
  if (out.rows != rows || out.columns != ceil_div(columns, group))
    return status::failure("group_sums: room for " + extent_text(out) + " sums, X has " + std::to_string(rows) + " rows of " +
                           std::to_string(ceil_div(columns, group)) + " groups");
  return strides_fit && stride_fits(out) ? status()
                                         : status::failure("group_sums: a stride is less than the extent it steps over");
}

}  // namespace machine

/// The type of a row's sum: float of floats, int32 of codes.
template <class X>
using row_sum_t = std::conditional_t<machine::is_float_matrix_v<X>, float, std::int32_t>;

/// out[m] = sum over k of (x[m][k] - zero_point): what an epilogue needs for weights with a zero point or an offset.
/// - `x`: m x k; a matrix_view of u8, s8 or float, or a narrow_matrix_view
/// - `out`: m sums
/// - `zero_point`: of X, if its codes have one; not for floats
/// Exact for integers while the sum fits into int32 (k < 2^23); floats add in an order of their own, the same everywhere.
/// Errors: sizes that do not match, floats with a zero point. Complexity O(m k).
template <class X>
status try_row_sums(X x, std::span<row_sum_t<X>> out, std::int32_t zero_point = 0) {
  if (status s = machine::check_row_sums(x.rows, machine::stride_fits(x), out.size()); !s.ok()) return s;
  if constexpr (machine::is_float_matrix_v<X>) {
    if (zero_point != 0) return status::failure("row_sums: floats have no zero point");
    for (std::size_t m = 0; m < x.rows; ++m) out[m] = machine::sum_of_row(x, m, 0, x.columns);
  } else {
    const std::int64_t left_out = static_cast<std::int64_t>(x.columns) * zero_point;
    for (std::size_t m = 0; m < x.rows; ++m) out[m] = static_cast<std::int32_t>(machine::sum_of_row(x, m, 0, x.columns) - left_out);
  }
  return {};
}
/// Throwing twin.
template <class X>
void row_sums(X x, std::span<row_sum_t<X>> out, std::int32_t zero_point = 0) {
  try_row_sums(x, out, zero_point).value();
}

/// out[m][g] = sum over the k's of group g of (x[m][k] - zero_point), as floats: what weights need whose zero points or
/// offsets change every `group` k's, as scales do. They are a product of their own, of k / group terms:
///
///   w = scale[n][g] (code - zero[n][g])     gemm(x, codes with scales, y, ...);  group_sums(x, group, sums);
///                                           gemm(sums, W[n][g] = -scale[n][g] zero[n][g] in f32, y, epilogue(add(y)))
///
/// - `x`: as in row_sums; `out`: m x ceil(k / group); the last group may be short
/// - `zero_point`: of X, if its codes have one; not for floats
/// Sums of integers are exact for groups of up to 2^16 k's.
/// Errors: extents that do not match, a group of 0, floats with a zero point. Complexity O(m k).
template <class X>
status try_group_sums(X x, std::size_t group, matrix_view<float> out, std::int32_t zero_point = 0) {
  const status s = machine::check_group_sums(x.rows, x.columns, group, machine::stride_fits(x), out);
  if (!s.ok()) return s;
  if (machine::is_float_matrix_v<X> && zero_point != 0) return status::failure("group_sums: floats have no zero point");
  for (std::size_t m = 0; m < x.rows; ++m)
    for (std::size_t g = 0; g < out.columns; ++g) {
      const std::size_t first = g * group, count = (std::min)(group, x.columns - first);
      const auto sum = machine::sum_of_row(x, m, first, count);
      if constexpr (machine::is_float_matrix_v<X>)
        out(m, g) = sum;
      else
        out(m, g) = static_cast<float>(sum - static_cast<std::int64_t>(count) * zero_point);
    }
  return {};
}
/// Throwing twin.
template <class X>
void group_sums(X x, std::size_t group, matrix_view<float> out, std::int32_t zero_point = 0) {
  try_group_sums(x, group, out, zero_point).value();
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/softmax.hpp ====
// Softmax over the columns of a matrix: y[c] = exp(beta x[c]) / sum exp(beta x[i]). For floats as it stands, for bytes
// in the fixed-point arithmetic of TFLite and CMSIS-NN, bit by bit: every product is rounded to 32 bits where gemmlowp
// rounds it, so the result is the same on every machine.
//
// A fixed-point number with I integer bits is an int32 that counts steps of 2^(I - 31).

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// How TFLite writes beta * (scale of X): differences of codes become numbers with 5 integer bits.
struct softmax_parameters {
  std::int32_t input_multiplier = 0;  ///< [2^30, 2^31)
  std::int32_t input_left_shift = 0;  ///< [0, 31]
  std::int32_t diff_min = 0;          ///< 0 or less; a code that lies further below its row's largest counts as 0

  status validate() const {
    const auto wrong = [](const char* field, std::int32_t value, const char* needed) {
      return status::failure("softmax: " + std::string(field) + " " + std::to_string(value) + " is not " + needed);
    };
    if (input_multiplier < 1 << 30) return wrong("input_multiplier", input_multiplier, "in [2^30, 2^31)");
    if (input_left_shift < 0 || input_left_shift > 31) return wrong("input_left_shift", input_left_shift, "in [0, 31]");
    if (diff_min > 0) return wrong("diff_min", diff_min, "0 or less");
    return {};
  }

  /// TFLite's PreprocessSoftmaxScaling and CalculateInputRadius.
  /// Errors: beta * scale is not in [2^-26, infinity).
  static expected<softmax_parameters> try_from_scale(double scale, double beta = 1.0) {
    const double factor = beta * scale * (1 << 26);
    if (!(factor >= 1.0 && is_finite(factor)))
      return status::failure("softmax: beta * scale " + number_text(beta * scale) + " is not in [2^-26, infinity)");
    const double most = 2147483647.0;
    const fixed_point_multiplier m = quantize_multiplier(factor < most ? factor : most);
    const std::int64_t radius = (std::int64_t{31} << 26) >> m.shift;
    return softmax_parameters{m.multiplier, m.shift, -static_cast<std::int32_t>(radius)};
  }
  static softmax_parameters from_scale(double scale, double beta = 1.0) { return try_from_scale(scale, beta).value(); }

  friend constexpr bool operator==(const softmax_parameters&, const softmax_parameters&) = default;
};

namespace machine {

// ---- fixed point ----------------------------------------------------------------------------------------------------

/// a * b / 2^31, ties up: numbers with I and J integer bits give one with I + J.
constexpr std::int32_t fixed_product(std::int32_t a, std::int32_t b) {
  return saturate_to_int32((std::int64_t{a} * b + (std::int64_t{1} << 30)) >> 31);
}
/// a / 2^bits, ties away from zero. @pre 0 <= bits <= 62
constexpr std::int32_t fixed_shift_right(std::int32_t a, int bits) {
  const std::int64_t mask = (std::int64_t{1} << bits) - 1;
  const std::int64_t threshold = (mask >> 1) + (a < 0 ? 1 : 0);
  return static_cast<std::int32_t>((std::int64_t{a} >> bits) + ((a & mask) > threshold ? 1 : 0));
}
/// Drops integer bits.
constexpr std::int32_t fixed_shift_left(std::int32_t a, int bits) {
  return saturate_to_int32(std::int64_t{a} * (std::int64_t{1} << bits));
}

inline constexpr std::int32_t fixed_one = INT32_MAX;  // 0 integer bits: as near to 1 as there is

/// exp(a) for a in [-1/4, 0), 0 integer bits: exp(-1/8) times the Taylor polynomial of degree 4 around -1/8.
constexpr std::int32_t fixed_exp_near_zero(std::int32_t a) {
  constexpr std::int32_t exp_of_minus_eighth = 1895147668;  // exp(-1/8) * 2^31
  constexpr std::int32_t third = 715827883;                 // 1/3 * 2^31
  const std::int32_t x = a + (1 << 28);
  const std::int32_t x2 = fixed_product(x, x);
  const std::int32_t x3 = fixed_product(x2, x);
  const std::int32_t x4 = fixed_product(x2, x2);
  const std::int32_t cubic = fixed_product(fixed_shift_right(x4, 2) + x3, third);  // x^4/12 + x^3/3
  const std::int32_t tail = fixed_shift_right(cubic + x2, 1);                      // x^4/24 + x^3/6 + x^2/2
  return exp_of_minus_eighth + fixed_product(exp_of_minus_eighth, x + tail);
}

/// exp(a) with 0 integer bits, for a <= 0 with 5: a is cut into a part in [-1/4, 0) and some of -1/4, -1/2, ... -16.
constexpr std::int32_t fixed_exp(std::int32_t a) {
  constexpr std::array<std::int32_t, 7> exp_of_minus_power = {  // exp(-2^(i - 2)) * 2^31
      1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
  constexpr std::int32_t quarter = 1 << 24;
  if (a == 0) return fixed_one;
  const std::int32_t near = (a & (quarter - 1)) - quarter;
  const std::int32_t quarters = (near - a) >> 24;
  std::int32_t result = fixed_exp_near_zero(fixed_shift_left(near, 5));
  for (std::size_t i = 0; i < exp_of_minus_power.size(); ++i)
    if ((quarters >> i & 1) != 0) result = fixed_product(result, exp_of_minus_power[i]);
  return result;
}

/// 1 / (1 + a) for a in [0, 1), 0 integer bits: Newton's iteration for the reciprocal of h = (1 + a) / 2.
constexpr std::int32_t fixed_reciprocal_of_one_plus(std::int32_t a) {
  constexpr std::int32_t intercept = 1515870810;  // 48/17, 2 integer bits: the best line through 1/h on [1/2, 1]
  constexpr std::int32_t slope = -1010580540;     // -32/17
  const auto h = static_cast<std::int32_t>((std::int64_t{a} + fixed_one + 1) / 2);
  std::int32_t x = intercept + fixed_product(h, slope);  // 2 integer bits
  for (int i = 0; i < 3; ++i) {
    const std::int32_t rest = (1 << 29) - fixed_product(h, x);  // 1 - h x
    x += fixed_shift_left(fixed_product(x, rest), 2);
  }
  return fixed_shift_left(x, 1);  // x / 2, 2 integer bits -> 0
}

/// exp of a difference of codes, 0 integer bits.
constexpr std::int32_t softmax_exp(std::int32_t diff, const softmax_parameters& p) {
  return fixed_exp(tflite_double::apply(diff, {p.input_multiplier, p.input_left_shift}));
}

template <class X, class Y>
void softmax_row(const X* x, std::size_t columns, const softmax_parameters& p, Y* y) noexcept {
  constexpr int sum_integer_bits = 12;
  std::int32_t largest = std::numeric_limits<X>::lowest();
  for (std::size_t c = 0; c < columns; ++c) largest = x[c] > largest ? x[c] : largest;
  std::uint64_t sum = 0;  // the largest itself adds 1 = 2^19 steps, so it is never 0
  for (std::size_t c = 0; c < columns; ++c) {
    const std::int32_t diff = x[c] - largest;
    if (diff >= p.diff_min)
      sum += static_cast<std::uint64_t>(fixed_shift_right(softmax_exp(diff, p), sum_integer_bits));
  }
  // sum = (1 + rest) * 2^exponent
  const int width = static_cast<int>(std::bit_width(sum));
  const int exponent = width - (32 - sum_integer_bits);
  const std::uint64_t normal = width <= 32 ? sum << (32 - width) : sum >> (width - 32);
  const auto rest = static_cast<std::int32_t>(normal - (std::uint64_t{1} << 31));
  const std::int32_t reciprocal = fixed_reciprocal_of_one_plus(rest);

  constexpr std::int32_t lowest = std::numeric_limits<Y>::lowest();
  constexpr std::int32_t highest = (std::numeric_limits<Y>::max)();
  constexpr int output_bits = 8 * static_cast<int>(sizeof(Y));
  for (std::size_t c = 0; c < columns; ++c) {
    const std::int32_t diff = x[c] - largest;
    std::int32_t code = lowest;
    if (diff >= p.diff_min)
      code += fixed_shift_right(fixed_product(reciprocal, softmax_exp(diff, p)), exponent + 31 - output_bits);
    y[c] = static_cast<Y>(code < highest ? code : highest);
  }
}

inline void softmax_row(const float* x, std::size_t columns, float* y) noexcept {
  float largest = -std::numeric_limits<float>::infinity();
  for (std::size_t c = 0; c < columns; ++c) largest = x[c] > largest ? x[c] : largest;
  float sum = 0.0F;
  for (std::size_t c = 0; c < columns; ++c) {
    y[c] = std::exp(x[c] - largest);
    sum += y[c];
  }
  for (std::size_t c = 0; c < columns; ++c) y[c] /= sum;
}

template <class X, class Y>
status check_softmax(matrix_view<X> x, matrix_view<Y> y) {
  if (x.rows != y.rows || x.columns != y.columns)
    return status::failure("softmax: X is " + extent_text(x) + ", Y is " + extent_text(y));
  if (x.stride < x.columns || y.stride < y.columns)
    return status::failure("softmax: a stride is less than the columns of its matrix");
  return {};
}

}  // namespace machine

/// y[r][c] = softmax of row r, as a code of scale 1 / 2^(bits of Y) and zero point lowest code: [-128, 127] means
/// [0, 255/256]. As TFLite's reference Softmax and arm_softmax_s8, arm_softmax_s8_s16.
/// - `x`: s8 or u8; `y`: s8, u8 or std::int16_t; Y may be X itself if their types are
/// Sums do not overflow, whereas TFLite's do from 4096 equal columns on.
/// Errors: extents that do not match, parameters out of range. Complexity O(rows x columns), two exponentials each.
template <class X, class Y>
status try_softmax(matrix_view<X> x, matrix_view<Y> y, const softmax_parameters& parameters) {
  static_assert(sizeof(X) == 1 && std::is_integral_v<X>,
                "sparq: fixed-point softmax takes std::int8_t or std::uint8_t; quantize X first");
  static_assert(std::is_integral_v<Y> && sizeof(Y) <= 2 && (std::is_signed_v<Y> || sizeof(Y) == 1),
                "sparq: fixed-point softmax gives std::int8_t, std::uint8_t or std::int16_t; choose one of them for Y");
  if (status s = machine::check_softmax(x, y); !s.ok()) return s;
  if (status s = parameters.validate(); !s.ok()) return s;
  if (x.columns == 0) return {};
  for (std::size_t r = 0; r < x.rows; ++r) machine::softmax_row(x.row(r), x.columns, parameters, y.row(r));
  return {};
}

/// y[r][c] = exp(x[r][c]) / sum of exp(x[r][i]); the row's largest value is subtracted first. Y may be X itself.
/// Errors: extents that do not match. @pre no NaN, no +infinity, and not all of a row is -infinity
template <class X>
status try_softmax(matrix_view<X> x, matrix_view<float> y) {
  static_assert(std::is_same_v<std::remove_const_t<X>, float>, "sparq: codes need softmax_parameters; pass them too");
  if (status s = machine::check_softmax(x, y); !s.ok()) return s;
  for (std::size_t r = 0; r < x.rows; ++r) machine::softmax_row(x.row(r), x.columns, y.row(r));
  return {};
}

/// Throwing twins.
template <class X, class Y>
void softmax(matrix_view<X> x, matrix_view<Y> y, const softmax_parameters& parameters) {
  try_softmax(x, y, parameters).value();
}
template <class X>
void softmax(matrix_view<X> x, matrix_view<float> y) {
  try_softmax(x, y).value();
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/compress/cluster.hpp ====
// Weights that share a few values: k-means in one dimension, which needs no distances. Values are sorted once; a cluster
// is a range of them, its bounds lie half way between entries, and sums of a range come from running sums. The same
// weights, options and seed give the same tables on every machine that adds doubles as IEEE 754 says.
//
//   sorted values   -5 -4 | 0 1 1 | 8 9 9      entries -4.5  0.67  8.67, and again until no bound moves

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sparq {

/// Where the entries of a table start from.
enum class cluster_start {
  linear,   ///< evenly from the least to the largest value
  density,  ///< at evenly spaced quantiles
  spread,   ///< k-means++: at random, far ones more likely; the seed decides
};

/// How tables are found: k-means for each, from a start that depends on nothing but these.
struct cluster_options {
  cluster_start start = cluster_start::density;
  std::uint64_t seed = 0;  // of `spread`
  int iterations = 100;    // at most
  /// One entry of each table is exactly 0, does not move, and stands for pruned weights. The others are divided between
  /// negative and positive weights by their numbers, as TensorFlow's preserve_sparsity does.
  bool preserve_zero = true;
};

/// What try_cluster found; goes on to try_encode_codes.
template <has_tables N, quantization_granularity G = default_granularity<N>>
struct clusters {
  std::vector<typename N::entry::code> tables;  // table_entries<N>(n, k), ascending in each table
  std::vector<float> scales;                    // G::scale_count(n, k)
  std::vector<std::uint8_t> codes;              // n x k; of pruned weights that of 0, or 0 if no entry is
};

namespace detail {

/// splitmix64: the same numbers everywhere, unlike the distributions of <random>.
struct cluster_random {
  std::uint64_t state;
  /// In [0, 1).
  double next() {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }
};

/// `count` entries to start from. @pre values is sorted and not empty
inline void start_entries(std::span<const float> values, std::size_t count, const cluster_options& options,
                          cluster_random& random, std::vector<double>& entries) {
  const auto last = static_cast<double>(values.size() - 1);
  if (options.start == cluster_start::spread) {
    std::vector<double> distance(values.size(), 1.0);
    for (std::size_t i = 0; i < count; ++i) {
      double total = 0;
      for (const double d : distance) total += d;
      double at = random.next() * total;
      std::size_t chosen = 0;
      while (chosen + 1 < values.size() && at >= distance[chosen]) at -= distance[chosen++];
      const double entry = values[chosen];
      entries.push_back(entry);
      for (std::size_t v = 0; v < values.size(); ++v) {
        const double square = (values[v] - entry) * (values[v] - entry);
        distance[v] = i == 0 ? square : (std::min)(distance[v], square);
      }
    }
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const double part = count == 1 ? 0.5 : static_cast<double>(i) / static_cast<double>(count - 1);
    if (options.start == cluster_start::linear)
      entries.push_back(values.front() + part * (static_cast<double>(values.back()) - values.front()));
    else
      entries.push_back(values[static_cast<std::size_t>((static_cast<double>(i) + 0.5) / static_cast<double>(count) * (last + 1))]);
  }
}

/// `count` entries, ascending, for these values. An entry that no value is nearest to stays where it is.
inline std::vector<double> cluster_values(std::vector<float> values, std::size_t count, const cluster_options& options,
                                          cluster_random& random) {
  std::sort(values.begin(), values.end());
  std::vector<double> entries;
  const auto zero_first = std::lower_bound(values.begin(), values.end(), 0.0F);
  const auto zero_last = std::upper_bound(values.begin(), values.end(), 0.0F);
  if (options.preserve_zero) {
    const std::span negative(values.begin(), zero_first), positive(zero_last, values.end());
    const std::size_t movable = count - 1, both = negative.size() + positive.size();
    std::size_t below = both == 0 ? 0 : (movable * negative.size() + both / 2) / both;
    if (movable >= 2 && !negative.empty() && !positive.empty())  // each sign that there is gets one
      below = (std::min)((std::max)(below, std::size_t{1}), movable - 1);
    if (!negative.empty()) start_entries(negative, below, options, random, entries);
    if (!positive.empty()) start_entries(positive, movable - below, options, random, entries);
    entries.resize(count, 0.0);
  } else if (values.empty()) {
    entries.resize(count, 0.0);
  } else {
    start_entries(values, count, options, random, entries);
  }
  std::sort(entries.begin(), entries.end());

  std::vector<double> sums(values.size() + 1);
  for (std::size_t i = 0; i < values.size(); ++i) sums[i + 1] = sums[i] + values[i];
  std::vector<std::size_t> bounds(count + 1), before;
  for (int iteration = 0; iteration < options.iterations; ++iteration) {
    bounds.front() = 0;
    bounds.back() = values.size();
    for (std::size_t i = 1; i < count; ++i) {
      const double half_way = (entries[i - 1] + entries[i]) / 2;
      bounds[i] = static_cast<std::size_t>(
          std::partition_point(values.begin(), values.end(), [&](float v) { return v <= half_way; }) - values.begin());
    }
    if (bounds == before) break;
    before = bounds;
    for (std::size_t i = 0; i < count; ++i)
      if (bounds[i] != bounds[i + 1] && !(options.preserve_zero && entries[i] == 0))
        entries[i] = (sums[bounds[i + 1]] - sums[bounds[i]]) / static_cast<double>(bounds[i + 1] - bounds[i]);
  }
  return entries;
}

}  // namespace detail

/// Tables and codes for the weights that `keep` keeps: k-means for each table by itself.
/// - `weights`: shape.n x shape.k, row-major, finite
/// - `G`: for entries s8, the scales: max |w| / 127 as in encode; w / scale is clustered, entries are rounded
/// Errors: sizes, a NaN or infinite weight. Complexity O(n k (log(n k) + 2^bits)); `spread`: O(n k 2^bits).
template <has_tables N, quantization_granularity G = default_granularity<N>>
expected<clusters<N, G>> try_cluster(std::span<const float> weights, weight_shape shape, mask_view keep,
                                     const cluster_options& options = {}) {
  static_assert(N::is_integer != std::is_same_v<G, unquantized>,
                "sparq: entries s8 have scales, entries f32 are the weights themselves; use per_channel or unquantized");
  if (status s = validate(shape); !s.ok()) return s;
  if (status s = detail::check_extent(weights.size(), shape); !s.ok()) return s;
  if (!(keep.shape == shape))
    return status::failure("cluster: the mask is " + to_string(keep.shape) + ", the weights are " + to_string(shape));
  clusters<N, G> found;
  found.scales.resize(G::scale_count(shape.n, shape.k));
  if constexpr (N::is_integer) {
    if (status s = choose_scales<typename N::entry, G>(weights, shape.n, shape.k, found.scales); !s.ok()) return s;
  } else {
    if (status s = detail::check_finite<f32>(weights, shape); !s.ok()) return s;
  }

  std::vector<float> values(weights.begin(), weights.end());
  if constexpr (N::is_integer)
    for (std::size_t n = 0, at = 0; n < shape.n; ++n)
      for (std::size_t k = 0; k < shape.k; ++k, ++at) values[at] /= found.scales[G::scale_index(n, k, shape.k)];
  std::vector<std::vector<float>> members(N::table::scale_count(shape.n, shape.k));
  for (std::size_t n = 0, at = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k, ++at)
      if (keep.keep[at] != 0) members[N::table::scale_index(n, k, shape.k)].push_back(values[at]);

  detail::cluster_random random{options.seed};
  for (std::vector<float>& member : members)
    for (const double entry : detail::cluster_values(std::move(member), N::entries, options, random)) {
      if constexpr (N::is_integer)
        found.tables.push_back(static_cast<std::int8_t>(round_half_even(static_cast<float>(entry))));
      else
        found.tables.push_back(static_cast<float>(entry));
    }
  found.codes.resize(shape.size());
  for (std::size_t n = 0, at = 0; n < shape.n; ++n)
    for (std::size_t k = 0; k < shape.k; ++k, ++at) {
      const std::span table = std::span(found.tables).subspan(table_start<N>(n, k, shape.k), N::entries);
      if (keep.keep[at] != 0)
        found.codes[at] = nearest_code<N>(table, values[at]);
      else if (const std::size_t zero = zero_code<N>(table.data()); zero < N::entries)
        found.codes[at] = static_cast<std::uint8_t>(zero);
    }
  return found;
}

/// Throwing twin.
template <has_tables N, quantization_granularity G = default_granularity<N>>
clusters<N, G> cluster(std::span<const float> weights, weight_shape shape, mask_view keep,
                       const cluster_options& options = {}) {
  return try_cluster<N, G>(weights, shape, keep, options).value();
}

}  // namespace sparq

// ==== sparq/compress/prune.hpp ====
// Magnitude pruning to the pattern of a format: the mask that keeps the highest scores which the format can hold.
// Ranks, never thresholds: what is kept is exact and of equal scores the first ones stay. A format of your own joins by
// a specialization of pruner<F>.

// ==== sparq/compress/prune_tile_wise.hpp ====
// Tile-wise pruning (arXiv 2008.13006): first whole channels, ranked over all layers; then the kept channels are taken
// `tile_channels` at a time, and in every tile the k's that its channels share are ranked over all tiles of all layers.
//
//   s = 1 - sqrt(1 - S)      each stage removes the fraction s, because (1 - s)^2 = 1 - S
//   1. c[n]    = norm of W[n][..]                           prune channels
//   2. tiles   : close one after each G-th kept channel     (trailing pruned channels belong to the last tile)
//   3. r[t][k] = norm of W[kept channels of t][k]           prune k's of tiles
//
// The paper's matrix is K x N: its columns are the channels n here, its rows the k's.

// ==== sparq/compress/rank.hpp ====
// Which entries of a list rank highest. A threshold would not do: a percentile with `>` drops the lowest entry even at
// sparsity 0, and whole plateaus of equal scores vanish or stay at once. Here the number that is kept is exact, and of
// equal scores the first ones are kept.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sparq {

namespace detail {
/// |score| as an integer of 31 bits in the same order.
inline std::uint32_t rank_key(float score) { return std::bit_cast<std::uint32_t>(score) & 0x7fffffffU; }
}  // namespace detail

/// Decides for each entry of a list whether it is among the highest. Entries weigh something (1, or the number of
/// elements in a vector); the weight kept comes as close to `target` as it can when the entries are taken from the
/// highest |score| down, but is `at_least` so much if there is as much.
///
///     const rank_selection selection(each, target);     each(f) calls f(score, weight) for all entries, in order
///     each([&](float score, std::uint64_t weight) { keep = selection.keeps(score, weight); });
class rank_selection {
 public:
  /// Calls `each` three times. No memory, O(entries).
  template <class Each>
  rank_selection(Each&& each, std::uint64_t target, std::uint64_t at_least = 0) : target_(target), at_least_(at_least) {
    // The bits of non-negative floats are ordered like the floats: find the digits of the lowest kept score, highest
    // digit first, each by a histogram of the weights of the entries that agree with the digits so far.
    const std::uint64_t wanted = target > at_least ? target : at_least;
    for (const digit d : {digit{20, 11}, digit{10, 10}, digit{0, 10}}) {
      std::array<std::uint64_t, 2048> weight_of{};
      each([&](float score, std::uint64_t weight) {
        const std::uint32_t key = detail::rank_key(score);
        if (key >> (d.shift + d.bits) == lowest_) weight_of[(key >> d.shift) & ((1U << d.bits) - 1)] += weight;
      });
      std::uint32_t value = (1U << d.bits) - 1;
      while (value != 0 && taken_ + weight_of[value] < wanted) taken_ += weight_of[value--];
      lowest_ = lowest_ << d.bits | value;
    }
  }

  /// Whether the next entry is kept. @pre called for all entries in the order of `each`
  bool keeps(float score, std::uint64_t weight) {
    const std::uint32_t key = detail::rank_key(score);
    if (key != lowest_) return key > lowest_;
    open_ = open_ && (taken_ < at_least_ || 2 * taken_ + weight <= 2 * target_);
    if (open_) taken_ += weight;
    return open_;
  }

  /// The lowest score that is kept, or the highest that is not.
  float threshold() const { return std::bit_cast<float>(lowest_); }

 private:
  struct digit {
    unsigned shift;
    unsigned bits;
  };

  std::uint64_t target_;
  std::uint64_t at_least_;
  std::uint32_t lowest_ = 0;  // key of the lowest score of which entries may be kept
  std::uint64_t taken_ = 0;   // weight of the entries above it, then of all that were kept
  bool open_ = true;
};

}  // namespace sparq

// ==== sparq/compress/scores.hpp ====
// What pruning ranks by: one number for each element of W, whose magnitude says how much the element matters. The
// weights themselves serve (magnitude pruning), and so does anything non-negative that was accumulated in training.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

namespace sparq {

/// The scores of one layer: shape.n x shape.k, row-major, finite. Does not own.
struct score_matrix {
  std::span<const float> values;
  weight_shape shape;
};

/// Adds the first-order Taylor scores of one mini-batch: (gradient * weight)^2 of every element.
/// @pre all sizes are equal
inline void add_taylor_scores(std::span<const float> weights, std::span<const float> gradients,
                              std::span<float> scores) {
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const float change = gradients[i] * weights[i];
    scores[i] += change * change;
  }
}

/// As many scores as the shape says, none of them NaN or infinite; names the first that is. O(n k).
inline status validate(const score_matrix& scores) {
  if (status s = validate(scores.shape); !s.ok()) return s;
  if (scores.values.size() != scores.shape.size())
    return status::failure(std::to_string(scores.values.size()) + " scores for a matrix of " + to_string(scores.shape));
  constexpr std::uint32_t infinity = std::bit_cast<std::uint32_t>(std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; i < scores.values.size(); ++i)
    if ((std::bit_cast<std::uint32_t>(scores.values[i]) & infinity) == infinity)
      return status::failure("the score " + std::to_string(scores.values[i]) + " at " +
                             position_text(i / scores.shape.k, i % scores.shape.k) + " is not finite");
  return {};
}

/// A sparsity that can be asked for: in [0, 1).
inline status check_sparsity(double sparsity) {
  if (sparsity >= 0 && sparsity < 1) return {};
  return status::failure("a sparsity of " + std::to_string(sparsity) + " is outside [0, 1)");
}

/// round(total * (1 - sparsity)): what is kept of `total` elements. @pre check_sparsity(sparsity) is ok
inline std::size_t kept_count(std::size_t total, double sparsity) {
  return static_cast<std::size_t>(static_cast<double>(total) * (1 - sparsity) + 0.5);
}

}  // namespace sparq

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

namespace sparq {

/// How the scores of a vector become one number, and how the numbers become a choice.
enum class tile_norm {
  /// Root of the mean square over the kept channels. Rank selection weighted by the number of elements: a short tile
  /// counts for what it holds, and the sparsity is met.
  rms_kept,
  /// As in the artifact of the paper: L2 norm divided by K, then by the channels that the tile covers, pruned ones
  /// included; kept is what lies above a percentile (numpy's, linear) of all vectors. Always prunes the lowest vector,
  /// and drifts from the sparsity asked for when tiles cover different spans.
  repo
};

/// What is pruned. `k_only`: no channel; tiles are of neighbouring channels, and their k's carry all of the sparsity.
enum class tile_stages { channels_then_k, k_only };

/// How tile-wise pruning ranks, and what it has to leave alone.
struct tile_wise_options {
  tile_norm norm = tile_norm::rms_kept;
  tile_stages stages = tile_stages::channels_then_k;
  /// For each layer the elements that must be kept; their channels and their tiles' k's rank before all others and
  /// count towards what is kept. Empty: none in any layer.
  std::span<const mask_view> force_keep = {};
  /// For each layer the elements that count as 0 when vectors are ranked: a vector that has no others is pruned. Empty:
  /// none in any layer.
  std::span<const mask_view> force_prune = {};
};

/// The masks of all layers, and the scores between kept and pruned vectors.
struct tile_wise_pruning {
  std::vector<mask> masks;
  double channel_threshold = 0;
  double k_threshold = 0;
};

namespace detail {

class tile_wise_pruner {
 public:
  tile_wise_pruner(std::span<const score_matrix> layers, double sparsity, std::size_t tile_channels,
                   const tile_wise_options& options)
      : layers_(layers), tile_channels_(tile_channels), options_(options) {
    std::size_t total = 0;
    for (const score_matrix& layer : layers) total += layer.shape.size();
    target_ = kept_count(total, sparsity);
    if (options.stages == tile_stages::channels_then_k) {
      stage_sparsity_ = 1 - std::sqrt(1 - sparsity);
      channel_target_ = kept_count(total, stage_sparsity_);
    } else {
      stage_sparsity_ = sparsity;
    }
  }

  tile_wise_pruning run() {
    choose_channels();
    form_tiles();
    choose_k();
    for (const score_matrix& layer : layers_) result_.masks.emplace_back(layer.shape, false);
    const std::uint8_t* k_kept = k_kept_.data();
    for (const tile& t : tiles_) {
      const std::size_t k = layers_[t.layer].shape.k;
      for (const index_t n : t.channels) std::copy_n(k_kept, k, result_.masks[t.layer].data() + n * k);
      k_kept += k;
    }
    return std::move(result_);
  }

 private:
  struct tile {
    std::size_t layer;
    std::vector<index_t> channels;  // kept
    std::size_t span;               // channels covered, pruned ones included
  };
  static constexpr float forced = std::numeric_limits<float>::infinity();

  /// Calls visit(k, score) for one channel; elements that are forced out score 0.
  template <class Visit>
  void each_score(std::size_t layer, std::size_t n, Visit&& visit) const {
    const std::size_t k_extent = layers_[layer].shape.k;
    const float* scores = layers_[layer].values.data() + n * k_extent;
    if (options_.force_prune.empty()) {
      for (std::size_t k = 0; k < k_extent; ++k) visit(k, scores[k]);
    } else {
      const std::span<const std::uint8_t> out = options_.force_prune[layer].channel(n);
      for (std::size_t k = 0; k < k_extent; ++k) visit(k, out[k] != 0 ? 0.0F : scores[k]);
    }
  }
  std::span<const std::uint8_t> forced_of(std::size_t layer, std::size_t n) const {
    return options_.force_keep.empty() ? std::span<const std::uint8_t>{} : options_.force_keep[layer].channel(n);
  }

  void choose_channels() {
    if (options_.stages == tile_stages::k_only) {
      for (const score_matrix& layer : layers_) channel_kept_.insert(channel_kept_.end(), layer.shape.n, 1);
      return;
    }
    std::vector<float> scores;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      const auto k = static_cast<double>((std::max)(std::size_t{1}, layers_[l].shape.k));
      for (std::size_t n = 0; n < layers_[l].shape.n; ++n) {
        double squares = 0;
        each_score(l, n, [&](std::size_t, float score) { squares += static_cast<double>(score) * score; });
        const double norm = std::sqrt(squares) / (options_.norm == tile_norm::repo ? k : std::sqrt(k));
        scores.push_back(count_kept(forced_of(l, n)) != 0 ? forced : static_cast<float>(norm));
      }
    }
    const auto each = [&](auto&& visit) {
      std::size_t i = 0;
      for (const score_matrix& layer : layers_)
        for (std::size_t n = 0; n < layer.shape.n; ++n) visit(scores[i++], layer.shape.k);
    };
    channel_kept_.reserve(scores.size());
    // Rounding must not take more channels than the second stage can make up for.
    result_.channel_threshold = choose(scores, each, channel_target_, target_, channel_kept_);
  }

  void form_tiles() {
    const std::uint8_t* kept = channel_kept_.data();
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      std::size_t begin = 0;  // of the open tile
      std::vector<index_t> channels;
      const auto close = [&](std::size_t end) {
        if (!channels.empty()) tiles_.push_back({l, std::move(channels), end - begin});
        channels = {};
        begin = end;
      };
      for (std::size_t n = 0; n < layers_[l].shape.n; ++n) {
        if (*kept++ == 0) continue;
        if (channels.size() == tile_channels_) close(std::size_t{channels.back()} + 1);
        channels.push_back(static_cast<index_t>(n));
      }
      close(layers_[l].shape.n);
    }
  }

  void choose_k() {
    std::vector<float> scores;
    std::vector<double> squares;
    std::size_t vectors = 0;
    for (const tile& t : tiles_) vectors += layers_[t.layer].shape.k;
    scores.reserve(vectors);
    for (const tile& t : tiles_) {
      const std::size_t k_extent = layers_[t.layer].shape.k;
      squares.assign(k_extent, 0.0);
      for (const index_t n : t.channels)
        each_score(t.layer, n, [&](std::size_t k, float score) { squares[k] += static_cast<double>(score) * score; });
      const std::size_t first = scores.size();
      const double divisor = options_.norm == tile_norm::repo ? static_cast<double>(t.span)
                                                              : std::sqrt(static_cast<double>(t.channels.size()));
      for (const double sum : squares) scores.push_back(static_cast<float>(std::sqrt(sum) / divisor));
      for (const index_t n : t.channels) {
        const std::span<const std::uint8_t> keep = forced_of(t.layer, n);
        for (std::size_t k = 0; k < keep.size(); ++k)
          if (keep[k] != 0) scores[first + k] = forced;
      }
    }
    const auto each = [&](auto&& visit) {
      const float* score = scores.data();
      for (const tile& t : tiles_)
        for (std::size_t k = 0; k < layers_[t.layer].shape.k; ++k) visit(*score++, t.channels.size());
    };
    k_kept_.reserve(scores.size());
    result_.k_threshold = choose(scores, each, target_, 0, k_kept_);
  }

  /// Appends one byte for every vector to `kept` and returns the threshold. A vector of zeros is never kept.
  template <class Each>
  double choose(const std::vector<float>& scores, const Each& each, std::size_t target, std::size_t at_least,
                std::vector<std::uint8_t>& kept) const {
    if (options_.norm == tile_norm::repo) {
      const double threshold = percentile(scores, stage_sparsity_);
      for (const float score : scores) kept.push_back(score > threshold);
      return threshold;
    }
    rank_selection selection(each, target, at_least);
    each([&](float score, std::size_t weight) {
      const bool keeps = selection.keeps(score, weight);
      kept.push_back(score == forced || (keeps && score != 0));
    });
    return selection.threshold();
  }

  /// numpy.percentile(scores, 100 fraction) with linear interpolation, of those that are not forced; 0 if there are
  /// none.
  static double percentile(std::vector<float> scores, double fraction) {
    std::erase(scores, forced);
    if (scores.empty()) return 0;
    const double place = fraction * static_cast<double>(scores.size() - 1);
    const auto at = scores.begin() + static_cast<std::ptrdiff_t>(place);
    std::nth_element(scores.begin(), at, scores.end());
    const double low = *at;
    const double high = at + 1 == scores.end() ? low : *std::min_element(at + 1, scores.end());
    return low + (place - std::floor(place)) * (high - low);
  }

  std::span<const score_matrix> layers_;
  std::size_t tile_channels_;
  tile_wise_options options_;
  double stage_sparsity_ = 0;
  std::size_t target_ = 0;          // elements kept in the end
  std::size_t channel_target_ = 0;  // elements of the channels kept by the first stage
  std::vector<std::uint8_t> channel_kept_;
  std::vector<tile> tiles_;
  std::vector<std::uint8_t> k_kept_;  // K for each tile
  tile_wise_pruning result_;
};

inline status check_forced(std::span<const score_matrix> layers, const tile_wise_options& options) {
  for (const std::span<const mask_view> masks : {options.force_keep, options.force_prune}) {
    if (!masks.empty() && masks.size() != layers.size())
      return status::failure("prune: " + std::to_string(masks.size()) + " forced masks for " +
                             std::to_string(layers.size()) + " layers");
    for (std::size_t l = 0; l < masks.size(); ++l)
      if (!(masks[l].shape == layers[l].shape))
        return status::failure("prune: layer " + std::to_string(l) + " is " + to_string(layers[l].shape) +
                               ", its forced mask is " + to_string(masks[l].shape));
  }
  if (options.force_keep.empty() || options.force_prune.empty()) return {};
  for (std::size_t l = 0; l < layers.size(); ++l)
    for (std::size_t i = 0; i < layers[l].shape.size(); ++i)
      if (options.force_keep[l].keep[i] != 0 && options.force_prune[l].keep[i] != 0)
        return status::failure("prune: layer " + std::to_string(l) + " forces " +
                               position_text(i / layers[l].shape.k, i % layers[l].shape.k) + " to be kept and pruned");
  return {};
}

}  // namespace detail

/// Tile-wise masks of several layers that share one sparsity. Every mask is the product of its kept channels and its
/// tiles' kept k's, so tile_wise<tile_channels> stores it without padding.
/// Prune in steps by passing the pruned weights again: a vector of zeros is never kept, whatever the sparsity. Single
/// zeros in a vector that stays, or that a shifted tile forms anew, are covered by the mask and keep their value 0.
/// - `sparsity`: of all layers together, in [0, 1). With rms_kept the number of kept elements is off by half a vector
///   at most, unless zero vectors or force_keep stand against it.
/// Errors: a sparsity outside [0, 1), tiles of no channels, a score that is not finite, forced masks that do not fit
/// or contradict each other. Complexity O(elements).
inline expected<tile_wise_pruning> try_prune_tile_wise(std::span<const score_matrix> layers, double sparsity,
                                                       std::size_t tile_channels,
                                                       const tile_wise_options& options = {}) {
  if (status s = check_sparsity(sparsity); !s.ok()) return status::failure("prune: " + s.message());
  if (tile_channels == 0) return status::failure("prune: tiles of 0 channels");
  for (std::size_t l = 0; l < layers.size(); ++l)
    if (status s = validate(layers[l]); !s.ok())
      return status::failure("prune: layer " + std::to_string(l) + ": " + s.message());
  if (status s = detail::check_forced(layers, options); !s.ok()) return s;
  return detail::tile_wise_pruner(layers, sparsity, tile_channels, options).run();
}

/// Throwing twin.
inline tile_wise_pruning prune_tile_wise(std::span<const score_matrix> layers, double sparsity,
                                         std::size_t tile_channels, const tile_wise_options& options = {}) {
  return try_prune_tile_wise(layers, sparsity, tile_channels, options).value();
}

}  // namespace sparq

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <span>
#include <vector>

namespace sparq {

/// How to prune to format F.
/// - `keep(scores, sparsity)`: a mask that F holds; scores and sparsity are checked already
/// - `minimum_sparsity`, if what the format can hold is bounded from below
/// - or, where the pattern implies the sparsity, `implied_sparsity` and `keep(scores)`
template <format F>
struct pruner;

namespace detail {

template <class F>
concept prunes_to_any_sparsity = requires(score_matrix scores, double sparsity) {
  { pruner<F>::keep(scores, sparsity) } -> std::same_as<mask>;
};
template <class F>
concept prunes_to_one_sparsity = requires(score_matrix scores) {
  { pruner<F>::implied_sparsity } -> std::convertible_to<double>;
  { pruner<F>::keep(scores) } -> std::same_as<mask>;
};

}  // namespace detail

/// The mask of format F that keeps the highest |scores| at this sparsity.
/// - `scores`: shape.n x shape.k, row-major, finite: the weights, or what scores.hpp says
/// - `sparsity`: in [0, 1); an N:M pattern takes none but its own
/// Errors: sizes that do not match, a score that is not finite, a sparsity that cannot be had. Complexity O(n k).
template <format F>
expected<mask> try_prune(std::span<const float> scores, weight_shape shape, double sparsity) {
  static_assert(detail::prunes_to_any_sparsity<F> || detail::prunes_to_one_sparsity<F>,
                "sparq: no way to prune to this format; specialize sparq::pruner for it");
  const score_matrix matrix{scores, shape};
  if (status s = check_sparsity(sparsity); !s.ok()) return status::failure("prune: " + s.message());
  if (status s = validate(matrix); !s.ok()) return status::failure("prune: " + s.message());
  if constexpr (detail::prunes_to_any_sparsity<F>) {
    if constexpr (requires { pruner<F>::minimum_sparsity; })
      if (sparsity < pruner<F>::minimum_sparsity)
        return status::failure("prune: " + F::name() + " has a sparsity of at least " +
                               std::to_string(pruner<F>::minimum_sparsity) + ", not " + std::to_string(sparsity));
    return pruner<F>::keep(matrix, sparsity);
  } else {
    constexpr double implied = pruner<F>::implied_sparsity;
    if (sparsity > implied + 1e-6 || sparsity < implied - 1e-6)
      return status::failure("prune: " + F::name() + " has a sparsity of " + std::to_string(implied) + ", not " +
                             std::to_string(sparsity));
    return pruner<F>::keep(matrix);
  }
}

/// As above, for formats that imply their sparsity.
template <format F>
requires detail::prunes_to_one_sparsity<F> expected<mask> try_prune(std::span<const float> scores, weight_shape shape) {
  return try_prune<F>(scores, shape, pruner<F>::implied_sparsity);
}

/// Throwing twins.
template <format F>
mask prune(std::span<const float> scores, weight_shape shape, double sparsity) {
  return try_prune<F>(scores, shape, sparsity).value();
}
template <format F>
requires detail::prunes_to_one_sparsity<F> mask prune(std::span<const float> scores, weight_shape shape) {
  return try_prune<F>(scores, shape).value();
}

/// Zeros anywhere: exactly round(n k (1 - sparsity)) elements are kept.
template <>
struct pruner<csr> {
  static mask keep(const score_matrix& scores, double sparsity) {
    const auto each = [&](auto&& visit) {
      for (const float score : scores.values) visit(score, std::uint64_t{1});
    };
    rank_selection selection(each, kept_count(scores.values.size(), sparsity));
    mask result(scores.shape, false);
    std::uint8_t* to = result.data();
    each([&](float score, std::uint64_t weight) { *to++ = selection.keeps(score, weight); });
    return result;
  }
};

template <>
struct pruner<bitmask> : pruner<csr> {};

/// Zeros anywhere, stored as zeros.
template <>
struct pruner<dense> : pruner<csr> {};

/// Exactly round(blocks (1 - sparsity)) blocks are kept, ranked by L2 norm; a block that the edge of the matrix cuts
/// counts as one block, because it takes as much room.
template <std::size_t R, std::size_t C>
struct pruner<block<R, C>> {
  static mask keep(const score_matrix& scores, double sparsity) {
    const auto [n_extent, k_extent] = scores.shape;
    const std::size_t blocks_per_panel = ceil_div(k_extent, C);
    std::vector<float> norms;
    norms.reserve(ceil_div(n_extent, R) * blocks_per_panel);
    std::vector<double> squares(blocks_per_panel);
    for (std::size_t first = 0; first < n_extent; first += R) {
      std::fill(squares.begin(), squares.end(), 0.0);
      for (std::size_t n = first; n < (std::min)(first + R, n_extent); ++n) {
        const float* row = scores.values.data() + n * k_extent;
        for (std::size_t b = 0, k = 0; b < blocks_per_panel; ++b)
          for (const std::size_t end = (std::min)(k + C, k_extent); k < end; ++k)
            squares[b] += static_cast<double>(row[k]) * row[k];
      }
      for (const double sum : squares) norms.push_back(static_cast<float>(std::sqrt(sum)));
    }

    const auto each = [&](auto&& visit) {
      for (const float norm : norms) visit(norm, std::uint64_t{1});
    };
    rank_selection selection(each, kept_count(norms.size(), sparsity));
    std::vector<std::uint8_t> kept;
    kept.reserve(norms.size());
    each([&](float norm, std::uint64_t weight) { kept.push_back(selection.keeps(norm, weight)); });

    mask result(scores.shape, false);
    for (std::size_t n = 0; n < n_extent; ++n) {
      const std::uint8_t* of_panel = kept.data() + n / R * blocks_per_panel;
      std::uint8_t* row = result.data() + n * k_extent;
      for (std::size_t b = 0, k = 0; b < blocks_per_panel; ++b)
        for (const std::size_t end = (std::min)(k + C, k_extent); k < end; ++k) row[k] = of_panel[b];
    }
    return result;
  }
};

namespace detail {

/// Keeps the N highest of `length` <= M scores, or all if there are fewer.
template <std::size_t N, std::size_t M>
void keep_highest(const float* scores, std::size_t length, std::uint8_t* keep) {
  constexpr std::size_t lanes = round_up(M, 4);  // whole registers, so that compilers vectorize the double loop
  std::array<std::int32_t, lanes> keys;
  keys.fill(-1);
  for (std::size_t j = 0; j < length; ++j) keys[j] = static_cast<std::int32_t>(rank_key(scores[j]));
  std::array<std::int32_t, lanes> higher{};  // number of scores above this one
  for (std::size_t i = 0; i < M; ++i)
    for (std::size_t j = 0; j < lanes; ++j) higher[j] += keys[i] > keys[j] ? 1 : 0;
  std::size_t kept = 0;
  for (std::size_t j = 0; j < length; ++j) kept += keep[j] = higher[j] < static_cast<std::int32_t>(N);
  if (kept <= N) return;
  std::int32_t lowest = 0;  // of several equal scores at the end of the ranking the last ones go
  for (std::size_t j = 0; j < length; ++j)
    if (keep[j] != 0) lowest = (std::max)(lowest, higher[j]);
  for (std::size_t j = length; kept > N; --j)
    if (keep[j - 1] != 0 && higher[j - 1] == lowest) {
      keep[j - 1] = 0;
      --kept;
    }
}

template <std::size_t N, std::size_t M>
void keep_highest_of_groups(std::span<const float> scores, std::uint8_t* keep) {
  const std::size_t whole = scores.size() / M * M;
  for (std::size_t k = 0; k < whole; k += M) keep_highest<N, M>(scores.data() + k, M, keep + k);
  keep_highest<N, M>(scores.data() + whole, scores.size() - whole, keep + whole);
}

}  // namespace detail

/// The N highest of every group of M k's. A short last group keeps N too, if it has as many.
template <std::size_t N, std::size_t M>
struct pruner<n_m<N, M>> {
  static constexpr double implied_sparsity = 1 - static_cast<double>(N) / static_cast<double>(M);

  static mask keep(const score_matrix& scores) {
    const auto [n_extent, k_extent] = scores.shape;
    mask result(scores.shape, false);
    for (std::size_t n = 0; n < n_extent; ++n)
      detail::keep_highest_of_groups<N, M>(scores.values.subspan(n * k_extent, k_extent), result.data() + n * k_extent);
    return result;
  }
};

/// The N highest of every group of M k's by the L2 norm over the V channels of the panel.
template <std::size_t V, std::size_t N, std::size_t M>
struct pruner<tile_n_m<V, N, M>> {
  static constexpr double implied_sparsity = pruner<n_m<N, M>>::implied_sparsity;

  static mask keep(const score_matrix& scores) {
    const auto [n_extent, k_extent] = scores.shape;
    mask result(scores.shape, false);
    std::vector<double> squares(k_extent);
    std::vector<float> norms(k_extent);
    for (std::size_t first = 0; first < n_extent; first += V) {
      const std::size_t end = (std::min)(first + V, n_extent);
      std::fill(squares.begin(), squares.end(), 0.0);
      for (std::size_t n = first; n < end; ++n) {
        const float* row = scores.values.data() + n * k_extent;
        for (std::size_t k = 0; k < k_extent; ++k) squares[k] += static_cast<double>(row[k]) * row[k];
      }
      for (std::size_t k = 0; k < k_extent; ++k) norms[k] = static_cast<float>(std::sqrt(squares[k]));
      std::uint8_t* kept = result.data() + first * k_extent;
      detail::keep_highest_of_groups<N, M>(norms, kept);
      for (std::size_t n = first + 1; n < end; ++n) std::copy_n(kept, k_extent, result.data() + n * k_extent);
    }
    return result;
  }
};

/// Channels first, then the k's of every tile (prune_tile_wise.hpp).
template <std::size_t G>
struct pruner<tile_wise<G>> {
  static mask keep(const score_matrix& scores, double sparsity) {
    return std::move(detail::tile_wise_pruner({&scores, 1}, sparsity, G, {}).run().masks.front());
  }
};

/// Tile-wise first, to the sparsity that N:M inside the tiles leaves over; then the N highest of every M entries of a
/// tile's list, for each channel.
template <std::size_t G, std::size_t N, std::size_t M>
struct pruner<tile_wise<G, n_m<N, M>>> {
  static constexpr double minimum_sparsity = pruner<n_m<N, M>>::implied_sparsity;

  /// What tile-wise pruning has to reach: 1 - (1 - sparsity) M / N.
  static constexpr double outer_sparsity(double sparsity) {
    return (std::max)(0.0, 1 - (1 - sparsity) * static_cast<double>(M) / static_cast<double>(N));
  }

  static mask keep(const score_matrix& scores, double sparsity) {
    return keep_inside(scores, pruner<tile_wise<G>>::keep(scores, outer_sparsity(sparsity)));
  }

  /// Thins the tiles of a tile-wise mask.
  static mask keep_inside(const score_matrix& scores, const mask& tiles) {
    const auto index = tile_wise<G>::from_mask(tiles).value();
    mask result(scores.shape, false);
    std::vector<float> listed;
    std::vector<std::uint8_t> kept;
    for (std::size_t p = 0; p < index.panels(); ++p) {
      const std::span<const index_t> k_of = index.k_of(p);
      listed.resize(k_of.size());
      kept.resize(k_of.size());
      for (const std::size_t n : index.kept_of(p)) {
        for (std::size_t i = 0; i < k_of.size(); ++i) listed[i] = scores.values[n * scores.shape.k + k_of[i]];
        detail::keep_highest_of_groups<N, M>(listed, kept.data());
        for (std::size_t i = 0; i < k_of.size(); ++i) result.set(n, k_of[i], kept[i] != 0);
      }
    }
    return result;
  }
};

}  // namespace sparq

// ==== sparq/compress/prune_remainder.hpp ====
// Structured pruning that gives the best pruned weights back: W = a part in format F + a few single weights. With
// tile_wise this is TEW (arXiv 2008.13006), which keeps the accuracy that tiles alone would lose.
//
//   const remainder_pruning p = prune_with_remainder<tile_wise<128>>(w, shape, 0.75, 0.01);
//   const auto tiles = pack(encode<tile_wise<128>, s8>(w, shape, p.structured));
//   const auto rest = pack(encode<csr, s8>(w, shape, p.remainder));            // the same scales: encode looks at all of w
//   gemm_sum(x, tiles, rest, y, stages, executor, scratch);                    // added before the epilogue

#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace sparq {

/// What format F keeps, and what is kept besides. No element is in both masks.
struct remainder_pruning {
  mask structured;
  mask remainder;
};

/// Prunes to format F at `sparsity + remainder`, then keeps the highest |scores| among what was pruned, as many as
/// round(n k remainder) or as there are non-zero ones. Both masks together have the sparsity asked for, as closely as F
/// meets its own.
/// - `scores`: as in try_prune; `sparsity`, `remainder`: parts of all weights, in [0, 1), as is their sum
/// Errors: those of try_prune for F; a sum that is not below 1. Complexity O(n k).
template <format F>
expected<remainder_pruning> try_prune_with_remainder(std::span<const float> scores, weight_shape shape, double sparsity,
                                                     double remainder) {
  for (const double part : {sparsity, remainder})
    if (status s = check_sparsity(part); !s.ok()) return status::failure("prune: " + s.message());
  if (!(sparsity + remainder < 1))
    return status::failure("prune: sparsity " + std::to_string(sparsity) + " and a remainder of " +
                           std::to_string(remainder) + " leave nothing to " + F::name());
  auto structured = try_prune<F>(scores, shape, sparsity + remainder);
  if (!structured) return structured.error();

  // kept elements rank last, with the zeros
  const auto each = [&](auto&& visit) {
    for (std::size_t i = 0; i < scores.size(); ++i)
      visit(structured->data()[i] != 0 ? 0.0F : scores[i], std::uint64_t{1});
  };
  rank_selection selection(each, kept_count(scores.size(), 1 - remainder));
  mask rest(shape, false);
  std::uint8_t* to = rest.data();
  each([&](float score, std::uint64_t weight) { *to++ = selection.keeps(score, weight) && score != 0; });
  return remainder_pruning{*std::move(structured), std::move(rest)};
}

/// Throwing twin.
template <format F>
remainder_pruning prune_with_remainder(std::span<const float> scores, weight_shape shape, double sparsity,
                                       double remainder) {
  return try_prune_with_remainder<F>(scores, shape, sparsity, remainder).value();
}

}  // namespace sparq

// ==== sparq/plan/choose_loop.hpp ====
// Which loop multiplies a tensor fastest: `rows`, `columns`, or rows over weights packed as a bitmask (`expand`) or in
// windows of unstructured k's (`window`). The estimate counts what each loop does and weighs it with cycles that were measured for each instruction set
// (docs/plan.md says how, and how far the picks are off).

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>

namespace sparq {

/// A way to multiply.
enum class loop_kind { rows, columns, expand, window };
inline std::string_view to_string(loop_kind loop) {
  constexpr std::string_view names[] = {"rows", "columns", "expand", "window"};
  return names[static_cast<std::size_t>(loop)];
}

/// How X and Y lie in memory: by rows, or by columns and in quads, which the columns loop alone takes.
enum class x_layout { row_major, k_major };

SPARQ_ABI_BEGIN

/// Estimated cycles of one product; infinite for loops that cannot run.
struct loop_costs {
  double rows = 0;
  double columns = 0;
  double expand = 0;
  double dense = 0;  // the same weights, zeros included, in the quickest loop that takes them
  double window = std::numeric_limits<double>::infinity();
  loop_kind best() const {
    const double least = (std::min)({rows, columns, expand, window});
    if (rows == least) return loop_kind::rows;
    if (columns == least) return loop_kind::columns;
    return expand == least ? loop_kind::expand : loop_kind::window;
  }
  /// Below break-even: dense weights take no longer, because the zeros cost as much to skip as to multiply.
  bool dense_is_as_fast() const { return dense <= 1.02 * (std::min)({rows, columns, expand, window}); }
};

/// Windows as wide as one permute of this instruction set reaches, or two of AVX2.
using native_window_shape = window_shape<16, 4, SPARQ_HAS_AVX512VBMI ? 64 : 32>;

/// Whether the plan considers windows: for integers whose format lists k's that channels do not share.
template <format F, numeric N, quantization_granularity G>
inline constexpr bool takes_windows_v = std::is_same_v<typename F::k_map, scattered> && N::is_integer && !has_tables<N> &&
                                        !scales_along_k_v<G>;

namespace machine {

/// Cycles of what the loops do. A strip group is group_k k's of 16 channels, a group the same of one list.
struct loop_cycles {
  // rows, for each strip group: of a block of rows, and of each of its rows; a block has at least `least_rows`
  double block, row, least_rows;
  double private_block, private_row;  // with a permute of X for each dot
  double window_block, window_row;    // for each further register that the permute reaches into
  double shared;                      // a permute for two dots: times `row`
  double compacted;                   // a k of one row, for each panel that lists its k's
  double store;                       // 16 sums of one row
  double rows_call;
  // columns, for each block of rows: all its registers, or half of them and less
  double column_rows;
  double group, add;
  double half_group, half_add;
  bool overlaps;                    // loads of groups and additions use different ports
  double run_group;                 // a group that lies in one run
  double step;                      // a loop over groups of one kind
  double near_group, far_group;     // besides, where X leaves the first- and the second-level cache
  double packed_k;                  // of X
  double code;                      // decoded, for all blocks that the second-level cache holds
  double column_sum, columns_call;  // a sum that goes to Y
  // columns of few rows, for each row
  double gathered_group, gathered_add, gathered_step, gathered_code, gathered_sum, gather_call;
  // expand: 64 places and one code, for all rows that are packed together; a sum for each section
  double mask, expanded_code, expanded_sum, expand_call;
  // window: as rows, of a group of 16 channels
  double chosen_block, chosen_row;
};

/// - `Narrow`: codes of at most 4 bits, which have an atom of their own in the rows loop of AVX2
/// AVX2: fitted to the times of sparq_plan_sweep on Zen 3 (docs/plan.md). AVX-512 and scalar code: from counts of
/// instructions, not measured.
template <bool IsInteger, bool Narrow>
constexpr loop_cycles cycles_of_this_isa() {
  loop_cycles c{};
  c.rows_call = 200, c.columns_call = 800, c.gather_call = 500, c.expand_call = 1000;
  c.gathered_sum = 8, c.store = 20, c.column_sum = 1.6;
  if constexpr (SPARQ_HAS_AVX512) {
    c.column_rows = 64, c.step = 12, c.compacted = 0.1;
    if constexpr (IsInteger) {
      c.block = 0.5, c.row = SPARQ_HAS_AVX512VNNI ? 1.03 : 2.1, c.least_rows = 2.4, c.private_block = 2.5;
      c.private_row = SPARQ_HAS_AVX512VNNI ? 1.38 : 2.5, c.window_block = 2, c.window_row = 1, c.shared = 1.05;
      c.group = 8, c.add = SPARQ_HAS_AVX512VNNI ? 4 : 9, c.half_group = 5, c.half_add = c.add / 2, c.overlaps = true;
      c.run_group = 2, c.packed_k = 3, c.code = 0.03, c.near_group = 2;
      c.gathered_group = 3, c.gathered_add = 0.5, c.gathered_step = 7, c.gathered_code = 0.03;
      c.mask = 4, c.expanded_code = Narrow ? 0.1 : 0.02, c.expanded_sum = 0.05;
      // nearly every window of 64 bytes lies in two lines, which is two loads
      c.chosen_block = SPARQ_HAS_AVX512VBMI ? 2.5 : 5, c.chosen_row = SPARQ_HAS_AVX512VBMI && SPARQ_HAS_AVX512VNNI ? 2 : 5;
    } else {
      c.row = 1.05, c.least_rows = 2, c.private_block = 1, c.private_row = 2.1, c.window_block = 1, c.window_row = 0.5;
      c.shared = 1.1, c.group = 0.5, c.add = 4, c.half_group = 0.5, c.half_add = 2, c.packed_k = 8;
      c.gathered_group = 0.7, c.gathered_add = 0.4, c.gathered_step = 2, c.mask = 9, c.expanded_sum = 0.1;
    }
  } else if constexpr (SPARQ_HAS_AVX2) {
    c.column_rows = 16;
    if constexpr (IsInteger) {
      if constexpr (Narrow)
        c.block = 1.75, c.row = 1.28, c.private_block = 3.1, c.private_row = 2.4, c.window_block = 0.5, c.window_row = -0.4;
      else
        c.block = 2.05, c.row = 2.0, c.private_block = 9.2, c.private_row = 3.65, c.window_block = 13.9, c.window_row = 2.2;
      c.shared = 1.6, c.compacted = 0.14, c.store = 26;
      c.group = 2.9, c.add = 2.1, c.half_group = 3.3, c.half_add = 1.25, c.run_group = 1.7, c.step = Narrow ? 6 : 0.2;
      c.near_group = 1.2, c.packed_k = 2.2, c.code = 0.06, c.columns_call = 1000;
      c.gathered_group = 3.1, c.gathered_step = 7.3, c.gathered_code = 0.15, c.gathered_sum = 7.5, c.gather_call = 600;
      c.mask = Narrow ? 11 : 9.4, c.expanded_code = Narrow ? 0.1 : 0.03, c.expanded_sum = 0.05, c.expand_call = 1200;
      c.chosen_block = Narrow ? 4 : 1, c.chosen_row = Narrow ? 3.5 : 9.5;
    } else {
      c.row = 0.94, c.least_rows = 4, c.private_block = 0.9, c.private_row = 3.2, c.window_block = 0.7, c.shared = 1.75;
      c.compacted = 0.32, c.store = 12.5, c.rows_call = 0;
      c.group = 1.31, c.add = 0.63, c.half_group = 0.73, c.half_add = 0.7, c.near_group = 0.25, c.far_group = 0.67;
      c.packed_k = 4.4, c.column_sum = 1.5, c.columns_call = 0;
      c.gathered_group = 0.66, c.gathered_add = 0.32, c.gathered_sum = 11, c.gather_call = 700;
      c.mask = 19, c.expanded_code = 0.15, c.expanded_sum = 1.1, c.expand_call = 0;
    }
  } else {
    c.column_rows = 16, c.packed_k = 8, c.compacted = 1, c.run_group = 2, c.window_block = 8, c.window_row = 8, c.mask = 130;
    c.row = IsInteger ? 24 : 6, c.private_row = IsInteger ? 60 : 14, c.shared = 2;
    c.group = IsInteger ? 2 : 1, c.add = IsInteger ? 24 : 6, c.half_group = c.group, c.half_add = c.add, c.step = 10;
    c.chosen_block = 20, c.chosen_row = 60;
    c.gathered_group = IsInteger ? 4 : 1, c.gathered_add = IsInteger ? 6 : 2, c.gathered_step = 4;
  }
  return c;
}

/// Codes of 5 to 7 bits, whose bytes AVX2 multiplies in pairs.
template <numeric N>
inline constexpr bool multiplies_in_pairs = false;
#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
template <integer_numeric N>
inline constexpr bool multiplies_in_pairs<N> = packed_numeric_t<N>::bits == 8 && machine::narrow_groups<packed_numeric_t<N>> != 0;
#endif

/// Costs of codes of N.
template <numeric N>
constexpr loop_cycles cycles_of_codes() {
  constexpr bool narrow = N::is_integer && !has_tables<N> && packed_numeric_t<N>::bits <= 4;
  loop_cycles c = cycles_of_this_isa<N::is_integer, narrow>();
  if constexpr (multiplies_in_pairs<N>) {  // loops over rows read bytes like those of 4 bits, and widen every pair
    const loop_cycles bytes = cycles_of_this_isa<true, true>();
    c.block = bytes.block, c.row = 1.2 * bytes.row;
    c.private_block = bytes.private_block, c.private_row = 1.1 * bytes.private_row;
    c.window_block = bytes.window_block, c.window_row = bytes.window_row;
    c.chosen_block = bytes.chosen_block, c.chosen_row = bytes.chosen_row;
  }
  return c;
}

/// How much quicker the rows loop multiplies codes of N than those of 4 bits: codes of 2 bits and of one have quicker loaders.
template <numeric N>
constexpr double narrow_gain() {
  if constexpr (SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512 && N::is_integer && !has_tables<N>)
    return packed_numeric_t<N>::bits >= 4 ? 1 : 1.17;
  else
    return 1;
}

/// Estimates for one tensor and one number of rows; every member gives cycles.
template <format F, numeric N, quantization_granularity G>
class loop_estimate {
  using shape_type = default_panel_shape<N>;
  using column_shape_type = column_shape_for_t<F, N>;
  using row_packer = sparq::detail::packer_for_t<shape_type, F, N, G>;
  using column_packer = sparq::detail::packer_for_t<column_shape_type, F, N, G>;
  using window = sparq::detail::window_of<typename F::row_select, sparq::detail::rows_k_map<F>, shape_type::group_k>;
  using atom = atom_for<std::conditional_t<N::is_integer, u8, f32>, packed_numeric_t<N>, shape_type>;
  static constexpr loop_cycles cycles = cycles_of_codes<N>();
  static constexpr loop_cycles expanded = cycles_of_this_isa<N::is_integer, false>();  // expanded words are those of s8
  static constexpr std::size_t x_bytes = N::is_integer ? 2 : 4;  // of one packed element, at most

 public:
  loop_estimate(const tensor_view<F, N, G>& w, std::size_t m) : w_(w), m_(m), k_(static_cast<double>(w.shape().k)) {}

  double rows() const {
    const row_packer form(w_);
    // a window beyond what one permute reaches takes several
    constexpr std::size_t reach = SPARQ_HAS_AVX512 ? 16 : 8;
    constexpr double further = static_cast<double>(ceil_div(window::window, reach) - 1);
    double block = cycles.block, row = cycles.row, least = cycles.least_rows;
    if constexpr (window::positions_per_group != 0 && window::is_private) {
      block = cycles.private_block + further * cycles.window_block;
      row = cycles.private_row + further * cycles.window_row;
      least = 0;
    } else if constexpr (window::positions_per_group != 0) {
      row *= cycles.shared * (1 + 0.5 * further);
    }
    const double lists = std::is_same_v<typename F::k_map, list> ? static_cast<double>(w_.index.panels()) : 0;
    const auto bytes = static_cast<double>(form.bytes());
    return (std::max)(rows_of_blocks(static_cast<double>(form.strip_groups()), block, row / narrow_gain<N>(), least),
                      read_cycles(bytes)) + far_bytes(bytes) + rows_of_x() * k_ * lists * cycles.compacted +
           static_cast<double>(form.strips()) * rows_of_x() * cycles.store + cycles.rows_call;
  }

  /// Of the same weights in the format dense.
  double dense_rows() const {
    const double bytes = static_cast<double>(w_.shape().size()) * code_bytes;
    return (std::max)(rows_of_blocks(dense_strip_groups(), cycles.block, cycles.row / narrow_gain<N>(), cycles.least_rows),
                      read_cycles(bytes)) + far_bytes(bytes) + dense_strips() * rows_of_x() * cycles.store +
           cycles.rows_call;
  }
  double dense_columns() const {
    const auto panels = static_cast<double>(ceil_div(w_.shape().n, column_shape_type::channels));
    const double groups = panels * static_cast<double>(ceil_div(w_.shape().k, column_shape_type::group_k));
    return columns_of(groups, groups * static_cast<double>(column_shape_type::channels), panels, false, x_layout::k_major,
                      static_cast<double>(w_.shape().size()) * code_bytes, w_.shape().size());
  }

  double columns(x_layout layout) const {
    const column_packer form(w_);
    return columns_of(static_cast<double>(form.work().groups), static_cast<double>(form.work().adds),
                      static_cast<double>(form.work().steps), column_shape_type::run > 1, layout,
                      static_cast<double>(form.bytes()), w_.index.slots());
  }

  /// Weights in native_window_shape.
  double windows() const {
    using window_packer = sparq::detail::packer_for_t<native_window_shape, F, N, G>;
    using window_atom = atom_for<u8, packed_numeric_t<N>, native_window_shape>;
    const window_packer form(w_);
    const auto bytes = static_cast<double>(form.bytes());
    return (std::max)(rows_of_blocks<window_atom>(static_cast<double>(form.strip_groups()), cycles.chosen_block, cycles.chosen_row, 0),
                      read_cycles(bytes)) + far_bytes(bytes) +
           static_cast<double>(form.strips()) * rows_of_x() * cycles.store + cycles.rows_call;
  }

  double expand() const {
    const double passes = static_cast<double>(ceil_div(m_, cached_rows()));
    const double masks = static_cast<double>(w_.shape().size()) / 64 * cycles.mask;
    const auto slots = static_cast<double>(w_.index.slots());
    // sums are added to memory
    const double products = rows_of_blocks(dense_strip_groups(), expanded.block + 1, 1.08 * expanded.row, expanded.least_rows);
    const double bytes = static_cast<double>(w_.shape().size()) / 8 + slots * code_bytes;
    return (std::max)(products + passes * (masks + slots * cycles.expanded_code), read_cycles(bytes)) + far_bytes(bytes) +
           rows_of_x() * static_cast<double>(w_.shape().n) * std::ceil(k_ / 128) * cycles.expanded_sum + cycles.expand_call;
  }

 private:
  static constexpr double code_bytes = packed_numeric_t<N>::bits / 8.0;
  double rows_of_x() const { return static_cast<double>(m_); }
  double dense_strips() const { return static_cast<double>(ceil_div(w_.shape().n, shape_type::channels)); }
  double dense_strip_groups() const {
    return dense_strips() * static_cast<double>(ceil_div(w_.shape().k, shape_type::group_k));
  }
  /// Rows that are packed together.
  std::size_t cached_rows() const { return blocking<atom>::rows(w_.shape().k * x_bytes); }

  /// All blocks of rows of the rows loop.
  template <class Atom = atom>
  double rows_of_blocks(double strip_groups, double block, double row, double least_rows) const {
    double total = 0;
    const std::size_t whole = m_ > 2 * Atom::block_rows ? m_ / Atom::block_rows - 1 : 0;
    total += static_cast<double>(whole) * (block + row * (std::max)(static_cast<double>(Atom::block_rows), least_rows));
    for (std::size_t left = m_ - whole * Atom::block_rows; left > 0;) {
      const std::size_t height = next_block_height<Atom>(left);
      total += block + row * (std::max)(static_cast<double>(height), least_rows);
      left -= height;
    }
    return strip_groups * total;
  }
  /// However few the rows: what a shared cache or the memory delivers.
  static double read_cycles(double bytes) { return bytes / (bytes < 16e6 ? 18 : 5.6); }
  /// Weights that only a shared cache or the memory holds pass by once for all rows that are packed together.
  double far_bytes(double bytes) const {
    return (std::max)(bytes - 2.6e6, 0.0) * 0.08 * static_cast<double>(ceil_div(m_, cached_rows()));
  }

  /// Codes and lists that the second-level cache does not hold; short loops of bytes wait for them.
  static double far_codes(double bytes) {
    return SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512 && N::is_integer ? (std::max)(bytes - 0.6e6, 0.0) * 0.45
                                                                : (std::max)(bytes - 2.6e6, 0.0) * 0.1;
  }

  double columns_of(double groups, double adds, double steps, bool has_runs, x_layout layout, double bytes,
                    std::size_t slots) const {
    const auto n = static_cast<double>(w_.shape().n);
    const double codes = adds * static_cast<double>(column_shape_type::group_k);
    if (m_ <= column_blocking::gathered_rows)
      return rows_of_x() * (groups * cycles.gathered_group + adds * cycles.gathered_add + steps * cycles.gathered_step +
                            n * cycles.gathered_sum) +
             (N::bits < 8 ? codes * cycles.gathered_code : 0) + far_codes(bytes) + cycles.gather_call;
    const auto block_rows = static_cast<std::size_t>(cycles.column_rows);
    const std::size_t rest = m_ % block_rows;
    const bool has_half = rest != 0 && 2 * rest <= block_rows;
    const std::size_t blocks = ceil_div(m_, block_rows);
    const auto whole = static_cast<double>(blocks - has_half);
    // X that no cache of the core holds
    const std::size_t block_bytes = w_.shape().k * block_rows * x_bytes;
    const std::size_t cached = (std::min)(column_blocking::blocks(block_bytes), blocks);
    const std::size_t section = (std::min)(sparq::detail::column_section_k(w_.shape(), slots, N::is_integer), w_.shape().k);
    const double far = (section * block_rows * x_bytes > 32768 ? cycles.near_group : 0) +
                       (cached * block_bytes > 450000 ? cycles.far_group : 0);
    const auto block = [&](double group, double add) {
      const double loads = groups * ((has_runs ? cycles.run_group : group) + far);
      return cycles.overlaps ? (std::max)(loads, adds * add) : loads + adds * add;
    };
    const double passes = static_cast<double>(ceil_div(blocks, (std::max)(cached, std::size_t{1})));
    return whole * block(cycles.group, cycles.add) + (has_half ? block(cycles.half_group, cycles.half_add) : 0) +
           static_cast<double>(blocks) * (steps * cycles.step + k_ * cycles.packed_k * (layout == x_layout::k_major ? 0.4 : 1)) +
           passes * (codes * cycles.code + far_codes(bytes)) + n * rows_of_x() * cycles.column_sum +
           cycles.columns_call;
  }

  tensor_view<F, N, G> w_;
  std::size_t m_;
  double k_;
};

/// Whether the rows loop takes scales along k of this tensor.
template <format F, numeric N, quantization_granularity G>
constexpr bool rows_take_scales() {
  return sparq::detail::can_cut<typename F::row_select, sparq::detail::rows_k_map<F>, packed_numeric_t<N>, G,
                                default_panel_shape<N>>();
}

}  // namespace machine

/// Estimates the loops for m rows of X. Columns of X run in the columns loop alone; scales along k in the rows loop where
/// it takes them, because sections of the columns loop are short, and never as a bitmask. O(n k).
template <format F, numeric N, quantization_granularity G>
loop_costs estimate_loops(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  constexpr double never = std::numeric_limits<double>::infinity();
  loop_costs costs{never, never, never, never};
  if constexpr (scales_along_k_v<G>) {
    if (machine::rows_take_scales<F, N, G>() && layout == x_layout::row_major)
      costs.rows = 1;
    else
      costs.columns = 1;
    return costs;
  } else {
    const machine::loop_estimate<F, N, G> estimate(w, m);
    costs.columns = estimate.columns(layout);
    if (layout == x_layout::k_major) {
      costs.dense = estimate.dense_columns();
      return costs;
    }
    costs.rows = estimate.rows();
    costs.dense = estimate.dense_rows();
    if constexpr (!has_tables<N>) costs.expand = estimate.expand();
    if constexpr (takes_windows_v<F, N, G>) costs.window = estimate.windows();
    return costs;
  }
}

/// The faster loop for m rows of X, as far as estimates go, among those that take X as it lies. O(n k).
template <format F, numeric N, quantization_granularity G>
loop_kind choose_loop(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  return estimate_loops(w, m, layout).best();
}
template <format F, numeric N, quantization_granularity G>
loop_kind choose_loop(const tensor<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  return choose_loop(w.view(), m, layout);
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/plan/planned.hpp ====
// Weights packed for the loop that a plan picked at run time, and their product.

#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace sparq {

SPARQ_ABI_BEGIN

/// Packed for the rows loop, for the columns loop, as a bitmask that is expanded, or in windows.
template <class Tensor>
class planned {
 public:
  using rows_type = packed<packed_view_of<Tensor, default_panel_shape<typename Tensor::numeric_type>>>;
  using columns_type = packed<packed_view_of<Tensor, column_shape_for_t<typename Tensor::format_type, typename Tensor::numeric_type>>>;

  /// What one of the loops reads.
  template <class View>
  planned(packed<View> weights) : content_(std::move(weights)) {}

  loop_kind loop() const { return static_cast<loop_kind>(content_.index()); }
  /// What the plan has to say besides; explain_gemm passes it on.
  const std::string& advice() const { return advice_; }
  void set_advice(std::string text) { advice_ = std::move(text); }
  weight_shape shape() const {
    return visit([](const auto& w) { return w.shape(); });
  }
  std::size_t bytes() const {
    return visit([](const auto& w) { return w.bytes(); });
  }
  /// f(packed<View>); both alternatives give one type.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(std::forward<F>(f), content_);
  }

 private:
  /// Weights of codebooks and scales along k are not packed as a bitmask.
  static constexpr bool expands = !has_tables<typename Tensor::numeric_type> && !scales_along_k_v<typename Tensor::granularity>;
  static auto content_type() {
    if constexpr (!expands) {
      return std::type_identity<std::variant<rows_type, columns_type>>{};
    } else {
      using expanded_type = packed<packed_view_of<Tensor, default_bitmask_shape<typename Tensor::numeric_type>>>;
      if constexpr (!takes_windows_v<typename Tensor::format_type, typename Tensor::numeric_type, typename Tensor::granularity>)
        return std::type_identity<std::variant<rows_type, columns_type, expanded_type>>{};
      else
        return std::type_identity<std::variant<rows_type, columns_type, expanded_type,
                                               packed<packed_view_of<Tensor, native_window_shape>>>>{};
    }
  }

  typename decltype(content_type())::type content_;  // in the order of loop_kind
  std::string advice_;
};

/// Packs for one loop; what cannot be packed as a bitmask, codebooks and scales along k, is packed for the columns loop
/// instead of expanding, and so is what the plan does not pack in windows. O(n k).
template <format F, numeric N, quantization_granularity G>
planned<tensor<F, N, G>> pack_for(const tensor<F, N, G>& w, loop_kind loop) {
  if (loop == loop_kind::rows) return pack<default_panel_shape<N>>(w);
  if constexpr (!has_tables<N> && !scales_along_k_v<G>)
    if (loop == loop_kind::expand) return pack<default_bitmask_shape<N>>(w);
  if constexpr (takes_windows_v<F, N, G>)
    if (loop == loop_kind::window) return pack<native_window_shape>(w);
  return pack<column_shape_for_t<F, N>>(w);
}
/// Packs for the loop that suits products of about m rows on this machine and takes X as it lies. Below break-even the
/// advice of the result is to encode the weights as dense. O(n k).
/// - `X`: of activations, which need to be named only if they are std::int16_t: the rows loop alone multiplies those
template <class X = void, format F, numeric N, quantization_granularity G>
planned<tensor<F, N, G>> pack_for(const tensor<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  if constexpr (std::is_same_v<X, std::int16_t>) return pack_for(w, loop_kind::rows);
  const loop_costs costs = estimate_loops(w.view(), m, layout);
  planned<tensor<F, N, G>> result = pack_for(w, costs.best());
  constexpr bool is_dense = std::is_same_v<typename F::k_map, contiguous> && std::is_same_v<typename F::row_select, all>;
  if (!is_dense && costs.dense_is_as_fast()) result.set_advice("dense weights are as fast at this density");
  return result;
}

namespace machine {

/// Weights of a plan may be packed for a loop that has no kernel for X.
inline constexpr const char* not_for_this_x =
    "gemm: no kernel multiplies this X by weights packed for the loop of the plan; pack_for<std::int16_t> knows that X has 16 bits";

}  // namespace machine

/// As gemm with the weights that the plan holds. Errors: those of gemm, X or Y by columns where the plan picked
/// another loop than columns, and X of 16 bits where it picked another loop than rows.
template <class Atoms = default_atoms, machine::activations X, class Tensor, machine::activations Y, class... Stages,
          executor Executor>
status try_gemm(X x, const planned<Tensor>& w, Y y, const epilogue<Stages...>& stages, Executor&& executor,
                workspace& scratch) {
  return w.visit([&]<class View>(const packed<View>& weights) -> status {
    if constexpr ((machine::is_k_major_v<X> || machine::is_k_major_v<Y>) && !requires { typename View::steps; })
      return status::failure("gemm: X or Y lies by columns, the weights are packed for the rows loop");
    else if constexpr (!machine::multiplies_v<machine::x_element<View, X>, View, Atoms>)
      return status::failure(machine::not_for_this_x);
    else
      return try_gemm<Atoms>(x, weights, y, stages, executor, scratch);
  });
}
/// Throwing twin of try_gemm.
template <class Atoms = default_atoms, machine::activations X, class Tensor, machine::activations Y, class... Stages,
          executor Executor>
void gemm(X x, const planned<Tensor>& w, Y y, const epilogue<Stages...>& stages, Executor&& executor,
          workspace& scratch) {
  try_gemm<Atoms>(x, w, y, stages, executor, scratch).value();
}
/// What gemm does with the weights that the plan holds. Throws where gemm refuses X of 16 bits.
template <class X, class Y, class Atoms = default_atoms, class Tensor>
explanation explain_gemm(std::size_t m, const planned<Tensor>& w, std::size_t concurrency = 1) {
  explanation result = w.visit([&]<class View>(const packed<View>& weights) -> explanation {
    if constexpr (!machine::multiplies_v<X, View, Atoms>)
      return expected<explanation>(status::failure(machine::not_for_this_x)).value();
    else
      return explain_gemm<X, Y, Atoms>(m, weights, concurrency);
  });
  result.advice = w.advice();
  return result;
}

SPARQ_ABI_END
}  // namespace sparq

