// SPDX-License-Identifier: MIT
#pragma once
// All of sparq in one file, generated from include/sparq (cmake --build <directory> --target single_include).

// ==== sparq/sparq.hpp ====
// Everything in one include, except tensor/print.hpp (needs fmt), io/ (opens files), tensor/any_tensor.hpp and
// op/gemm_any.hpp (instantiate every combination, for choices at run time), the executors for threads, and testing/
// (for tests of formats of your own).

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

#if defined(__GNUC__) || defined(__clang__)
#define SPARQ_COLD __attribute__((noinline, cold))
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
#define SPARQ_INLINE __forceinline
#define SPARQ_LAMBDA_INLINE
#define SPARQ_RESTRICT __restrict
#else
#define SPARQ_COLD
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
#define SPARQ_CONCAT_(a, b, c, d, e, f, g) abi_##a##b##c##d##e##f##g
#define SPARQ_CONCAT(a, b, c, d, e, f, g) SPARQ_CONCAT_(a, b, c, d, e, f, g)
#define SPARQ_ABI_TAG                                                                                              \
  SPARQ_CONCAT(SPARQ_HAS_AVX2, SPARQ_HAS_AVX512, SPARQ_HAS_AVX512VNNI, SPARQ_HAS_AVX512VBMI, SPARQ_HAS_AVX512VBMI2, \
               SPARQ_HAS_XSIMD, SPARQ_HAS_EXCEPTIONS)
#define SPARQ_ABI_BEGIN inline namespace SPARQ_ABI_TAG {
#define SPARQ_ABI_END }

// ==== sparq/base/error.hpp ====
// How the library says no. User data is validated where it enters; the first offending value and its position go into
// one sentence. Every entry that throws has a try_ twin that returns the same sentence as a status instead.

#include <cassert>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

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
  expected(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  expected(status failure) : content_(std::in_place_index<1>, std::move(failure)) { SPARQ_ASSERT(!error().ok()); }

  bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }
  /// @pre !ok()
  const status& error() const { return *std::get_if<1>(&content_); }
  /// The value; raises the status's sentence when there is none.
  T& value() & {
    if (!ok()) raise(error().message());
    return *std::get_if<0>(&content_);
  }
  const T& value() const& {
    if (!ok()) raise(error().message());
    return *std::get_if<0>(&content_);
  }
  T&& value() && { return std::move(value()); }
  T& operator*() & { return *std::get_if<0>(&content_); }
  const T& operator*() const& { return *std::get_if<0>(&content_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&content_)); }
  T* operator->() { return std::get_if<0>(&content_); }
  const T* operator->() const { return std::get_if<0>(&content_); }

 private:
  std::variant<T, status> content_;
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

// ==== sparq/numeric/codec.hpp ====
// How codes sit in bytes: one contiguous stream, codes of fewer than 8 bits share bytes and rows are not padded.
//
//   s4             codes [1 2 3]   bytes 0x21 0x03   element 2i in the low nibble
//   s4_high_first  codes [1 2 3]   bytes 0x12 0x30   element 2i in the high nibble
//
// The bits behind the last code are zero. Codes of several bytes are little-endian.

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

/// bfloat16. Products of two of them are exact in f32, so kernels multiply as f32 does and add in the same order: the
/// result is that of f32 operands with the same values, bit for bit, on every machine.
struct bf16 {
  using code = brain_float;
  static constexpr int bits = 16;
  static constexpr bool is_integer = false;
  static constexpr bool is_signed = true;
  static constexpr std::string_view name = "bf16";
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

/// Codes of 2 or 4 bits, which share a byte; two's complement if signed.
template <int Bits, bool Signed, packing_order Order>
struct narrow_integer {
  static_assert(Bits == 2 || Bits == 4, "sparq: narrow integers have 2 or 4 bits; use s8 or u8 for more");
  using code = std::conditional_t<Signed, std::int8_t, std::uint8_t>;
  static constexpr int bits = Bits;
  static constexpr bool is_integer = true;
  static constexpr bool is_signed = Signed;
  static constexpr std::int32_t min_code = Signed ? -(1 << (Bits - 1)) : 0;
  static constexpr std::int32_t max_code = min_code + (1 << Bits) - 1;
  static constexpr packing_order order = Order;
  static constexpr std::string_view name = [] {
    constexpr bool low = Order == packing_order::low_first;
    if constexpr (Bits == 4)
      return std::string_view(Signed ? (low ? "s4" : "s4_high_first") : (low ? "u4" : "u4_high_first"));
    else
      return std::string_view(Signed ? (low ? "s2" : "s2_high_first") : (low ? "u2" : "u2_high_first"));
  }();
};

using s4 = narrow_integer<4, true, packing_order::low_first>;
using s4_high_first = narrow_integer<4, true, packing_order::high_first>;
using u4 = narrow_integer<4, false, packing_order::low_first>;
using u4_high_first = narrow_integer<4, false, packing_order::high_first>;
using s2 = narrow_integer<2, true, packing_order::low_first>;
using s2_high_first = narrow_integer<2, true, packing_order::high_first>;
using u2 = narrow_integer<2, false, packing_order::low_first>;
using u2_high_first = narrow_integer<2, false, packing_order::high_first>;

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
}  // namespace detail

/// The numeric type of plain arrays of T: int8_t -> s8, uint8_t -> u8, int32_t -> s32, float -> f32,
/// brain_float -> bf16.
template <class T>
using numeric_of_t = typename detail::numeric_of<T>::type;

}  // namespace sparq

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sparq {

static_assert(std::endian::native == std::endian::little,
              "sparq: packed codes are little-endian; big-endian machines are not supported");

namespace detail {

/// Where code i sits in its byte, and how its bits become a value.
template <numeric N>
struct bit_field {
  static_assert(N::bits == 1 || N::bits == 2 || N::bits == 4,
                "sparq: codes below 8 bits share bytes evenly; use 1, 2 or 4 bits");

  static constexpr std::size_t per_byte = 8 / N::bits;
  static constexpr unsigned mask = (1u << N::bits) - 1u;

  static constexpr unsigned shift(std::size_t i) {
    const std::size_t place = N::order == packing_order::low_first ? i % per_byte : per_byte - 1 - i % per_byte;
    return static_cast<unsigned>(place) * N::bits;
  }
  static constexpr unsigned encode(typename N::code value, std::size_t i) {
    return (static_cast<unsigned>(value) & mask) << shift(i);
  }
  static constexpr typename N::code decode(std::byte byte, std::size_t i) {
    const unsigned raw = (std::to_integer<unsigned>(byte) >> shift(i)) & mask;
    constexpr int sign = N::is_signed ? 1 << (N::bits - 1) : 0;
    return static_cast<typename N::code>((static_cast<int>(raw) ^ sign) - sign);
  }
};

template <numeric N>
inline constexpr bool shares_bytes_v = N::bits < 8;

template <numeric N>
constexpr void check_whole_bytes() {
  static_assert(sizeof(typename N::code) * 8 == N::bits,
                "sparq: a code of 8 bits or more must fill its C++ type; make bits 8 * sizeof(code)");
}

}  // namespace detail

/// Bytes that `count` codes take: ceil(count * bits / 8). @pre count * bits fits in std::size_t
template <numeric N>
constexpr std::size_t storage_bytes(std::size_t count) {
  return ceil_div(count * static_cast<std::size_t>(N::bits), 8);
}

/// Code `i` of a stream. @pre storage_bytes<N>(i + 1) bytes are readable
template <numeric N>
constexpr typename N::code load_code(const std::byte* data, std::size_t i) {
  if constexpr (detail::shares_bytes_v<N>) {
    using field = detail::bit_field<N>;
    return field::decode(data[i / field::per_byte], i);
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
    using field = detail::bit_field<N>;
    std::byte& byte = data[i / field::per_byte];
    const unsigned others = std::to_integer<unsigned>(byte) & ~(field::mask << field::shift(i));
    byte = static_cast<std::byte>(others | field::encode(value, i));
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
  if constexpr (detail::shares_bytes_v<N>) {
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
  if constexpr (detail::shares_bytes_v<N>) {
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

// ==== sparq/numeric/quantization.hpp ====
// What real number a code means. Weights are symmetric, w = scale * code, with one scale per tensor, per output channel
// or per group of k; pruned weights are real zeros because code 0 is. Activations are asymmetric,
// x = scale * (code - zero_point), with one pair per tensor.
//
// Rounding is to nearest, ties to even, and scales divide (no multiplication by a reciprocal): as ONNX QuantizeLinear.
// All arithmetic is IEEE binary32 in the default rounding mode.

// ==== sparq/numeric/rounding.hpp ====
// From real numbers and wide integers to int32. Each of these has one result, whatever the current rounding mode, and
// works in constant expressions; the hardware's own conversions promise neither.

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

namespace sparq {

namespace detail {
template <std::size_t G>
struct per_group_name;
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

/// Says how many scales W[n][k] has and which one a weight uses.
template <class T>
concept quantization_granularity = requires(std::size_t i) {
  { T::name } -> std::convertible_to<std::string_view>;
  { T::scale_count(i, i) } -> std::same_as<std::size_t>;
  { T::scale_index(i, i, i) } -> std::same_as<std::size_t>;
  { T::scale_run(i) } -> std::same_as<std::size_t>;  // consecutive k's that share a scale, of all k's
};

// ---- weights --------------------------------------------------------------------------------------------------------

/// A numeric type that symmetric weights can use: codes run from -max_code to max_code, so that -w has a code too.
template <class T>
concept weight_numeric = integer_numeric<T> && T::is_signed && T::bits <= 8 && (T::max_code > 0);

/// scale * code.
template <weight_numeric N>
constexpr float dequantize_code(typename N::code code, float scale) {
  return static_cast<float>(code) * scale;
}

/// value / scale rounded half to even and clamped to [-max_code, max_code]. @pre value is not NaN, scale > 0
template <weight_numeric N>
constexpr typename N::code quantize_code(float value, float scale) {
  constexpr auto limit = static_cast<float>(N::max_code);
  const float steps = value / scale;  // clamped first: the bounds are integers, rounding cannot cross them
  const float clamped = steps < -limit ? -limit : steps > limit ? limit : steps;
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

/// "per_group<G>" as a constant.
template <std::size_t G>
struct per_group_name {
  static constexpr std::size_t digits = [] {
    std::size_t count = 1;
    for (std::size_t rest = G; rest >= 10; rest /= 10) ++count;
    return count;
  }();
  static constexpr auto characters = [] {
    constexpr std::string_view prefix = "per_group<";
    std::array<char, prefix.size() + digits + 1> result{};
    for (std::size_t i = 0; i < prefix.size(); ++i) result[i] = prefix[i];
    std::size_t rest = G;
    for (std::size_t i = prefix.size() + digits; i > prefix.size(); --i, rest /= 10)
      result[i - 1] = static_cast<char>('0' + rest % 10);
    result.back() = '>';
    return result;
  }();
  static constexpr std::string_view text{characters.data(), characters.size()};
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
// A policy has `parameters` (aggregates; `validate()` says what is wrong with values that came from elsewhere) and
// `apply`, whose result saturates to int32. `>>` on negative numbers is arithmetic, as C++20 says.

#include <bit>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace sparq {

namespace detail {
inline status refuse(std::string_view policy, const char* field, const std::string& value, const char* needed);
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

/// TFLite's MultiplyByQuantizedMultiplier as it has always been: two roundings.
/// y = RoundingDivideByPOT(SaturatingRoundingDoublingHighMul(acc * 2^max(shift, 0), multiplier), max(-shift, 0)).
/// acc * 2^shift saturates to int32 where TFLite leaves its overflow undefined.
struct tflite_double {
  static constexpr std::string_view name = "tflite_double";

  struct parameters {
    using policy = tflite_double;
    std::int32_t multiplier = 0;  ///< [0, 2^31), real value times 2^31
    std::int32_t shift = 0;       ///< [-31, 31], positive = left

    status validate() const {
      if (multiplier < 0) return detail::refuse(name, "multiplier", std::to_string(multiplier), "0 or more");
      if (shift < -31 || shift > 31) return detail::refuse(name, "shift", std::to_string(shift), "in [-31, 31]");
      return {};
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

  /// TFLite's QuantizeMultiplier of the real factor m = input scale * weight scale / output scale.
  /// Raises unless 0 <= m < 2^31.
  static constexpr parameters from_real(double m) {
    if (!in_range(m)) refuse(m).value();
    const fixed_point_multiplier q = quantize_multiplier(m);
    return {q.multiplier, q.shift};
  }
  static expected<parameters> try_from_real(double m) {
    if (!in_range(m)) return refuse(m);
    return from_real(m);
  }

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

 private:
  static constexpr bool in_range(double m) { return m >= 0 && is_finite(m) && quantize_multiplier(m).shift <= 31; }
  static status refuse(double m) { return detail::refuse(name, "multiplier", number_text(m), "in [0, 2^31)"); }
};

/// TFLite's MultiplyByQuantizedMultiplier with one rounding.
/// y = (acc * multiplier + 2^(t-1)) >> t, t = 31 - shift.
struct tflite_single {
  static constexpr std::string_view name = "tflite_single";

  struct parameters {
    using policy = tflite_single;
    std::int32_t multiplier = 0;  ///< [0, 2^31), real value times 2^31
    std::int32_t shift = 0;       ///< [-31, 30], positive = left

    status validate() const {
      if (multiplier < 0) return detail::refuse(name, "multiplier", std::to_string(multiplier), "0 or more");
      if (shift < -31 || shift > 30) return detail::refuse(name, "shift", std::to_string(shift), "in [-31, 30]");
      return {};
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

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
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    const int total = 31 - p.shift;
    return saturate_to_int32((std::int64_t{acc} * p.multiplier + (std::int64_t{1} << (total - 1))) >> total);
  }

 private:
  static constexpr bool in_range(double m) { return m >= 0 && is_finite(m); }
  static status refuse(double m) { return detail::refuse(name, "multiplier", number_text(m), "finite and 0 or more"); }
};

/// y = rint(fl(fl(acc) * scale)): each fl() is one binary32 rounding in the default mode, so |acc| > 2^24 loses low
/// bits. XNNPACK clamps the product to [clamp_min - zero_point, clamp_max - zero_point] before it rounds; the bounds
/// are integers, so the result is the same.
struct fp32_nearest_even {
  static constexpr std::string_view name = "fp32_nearest_even";

  struct parameters {
    using policy = fp32_nearest_even;
    float scale = 0.0f;  ///< finite, 0 or more

    status validate() const {
      if (!(scale >= 0.0f && is_finite(scale)))
        return detail::refuse(name, "scale", number_text(scale), "finite and 0 or more");
      return {};
    }
    friend constexpr bool operator==(const parameters&, const parameters&) = default;
  };

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
  static constexpr std::int32_t apply(std::int32_t acc, parameters p) {
    return saturate_to_int32((std::int64_t{p.kappa} * acc + p.lambda) >> p.shift);
  }
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

inline status refuse(std::string_view policy, const char* field, const std::string& value, const char* needed) {
  return status::failure(std::string(policy) + ": " + field + " " + value + " is not " + needed);
}

}  // namespace detail
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
    to.insert(to.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(count));
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

// ==== sparq/tensor/encode.hpp ====
// From dense matrices to tensors and back. encode and decode are exact inverses on the kept elements; an element that
// the format would have to drop is an error that names its position, never dropped.

// ==== sparq/tensor/tensor.hpp ====
// A weight matrix W[n][k] in its canonical, documented form: where the slots are (format), what a code is (numeric) and
// what real number it means (quantization). Kernels run on its packed form (packed.hpp).

#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq {

/// The granularity that a numeric type has unless another is named: integers per channel, floats none.
template <numeric N>
using default_granularity = std::conditional_t<N::is_integer, per_channel, unquantized>;

/// A tensor over memory that somebody else keeps, a mapped file for example. Trivially copyable.
template <format Format, numeric Numeric, quantization_granularity Granularity = default_granularity<Numeric>>
struct tensor_view {
  using format_type = Format;
  using numeric_type = Numeric;
  using granularity = Granularity;

  typename Format::template index<viewed> index;
  std::span<const std::byte> values;  // storage_bytes<Numeric>(index.slots()) bytes, codes in the order of slots
  std::span<const float> scales;      // Granularity::scale_count(n, k)

  weight_shape shape() const { return index.shape; }
  /// Bytes of values, indices and scales.
  std::size_t bytes() const { return values.size() + index_bytes(index) + scales.size_bytes(); }
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

  tensor() = default;
  tensor(unchecked_t, index_type index, aligned_buffer values, std::vector<float> scales)
      : index_(std::move(index)), values_(std::move(values)), scales_(std::move(scales)) {}
  /// Raises the first thing that `tensor_view::validate` finds.
  tensor(index_type index, aligned_buffer values, std::vector<float> scales)
      : tensor(unchecked, std::move(index), std::move(values), std::move(scales)) {
    view().validate().value();
  }
  static expected<tensor> try_make(index_type index, aligned_buffer values, std::vector<float> scales) {
    tensor result(unchecked, std::move(index), std::move(values), std::move(scales));
    if (status s = result.view().validate(); !s.ok()) return s;
    return result;
  }

  view_type view() const { return {view_of<Format>(index_), values_.bytes(), scales_}; }
  operator view_type() const { return view(); }

  weight_shape shape() const { return index_.shape; }
  const index_type& index() const { return index_; }
  std::span<const std::byte> values() const { return values_.bytes(); }
  std::span<const float> scales() const { return scales_; }
  std::size_t bytes() const { return view().bytes(); }
  double density() const { return view().density(); }

 private:
  index_type index_;
  aligned_buffer values_;
  std::vector<float> scales_;
};

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
  if (values == shape.size()) return {};
  return status::failure("encode: " + std::to_string(values) + " values for a matrix of " + to_string(shape));
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
/// - scales: max |w| / max code for each scale of the granularity (numeric/quantization.hpp)
/// Errors: sizes that do not match, a NaN or infinite weight, a kept element that the format cannot hold.
/// Complexity O(n k).
template <format F, numeric N, quantization_granularity G = default_granularity<N>>
expected<tensor<F, N, G>> try_encode(std::span<const float> weights, weight_shape shape, mask_view keep) {
  if (status s = detail::check_extent(weights.size(), shape); !s.ok()) return s;
  if (!(keep.shape == shape))
    return status::failure("encode: the mask is " + to_string(keep.shape) + ", the weights are " + to_string(shape));
  std::vector<float> scales(G::scale_count(shape.n, shape.k));
  if constexpr (std::is_same_v<G, unquantized>) {
    if (status s = detail::check_finite<N>(weights, shape); !s.ok()) return s;
  } else {
    if (status s = choose_scales<N, G>(weights, shape.n, shape.k, scales); !s.ok()) return s;
  }
  auto index = F::from_mask(keep);
  if (!index) return index.error();

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

/// As above; keeps what is not zero.
template <format F, numeric N, quantization_granularity G = default_granularity<N>>
expected<tensor<F, N, G>> try_encode(std::span<const float> weights, weight_shape shape) {
  if (status s = detail::check_extent(weights.size(), shape); !s.ok()) return s;
  return try_encode<F, N, G>(weights, shape, nonzero_mask(weights, shape));
}

/// Stores codes that are quantized already; keeps what is not zero.
/// - `codes`: shape.n x shape.k, row-major, within N's range
/// - `scales`: G::scale_count(n, k), positive
/// Errors: sizes, a code out of range, a code that the format cannot hold, a scale that is not positive and finite.
template <format F, numeric N, quantization_granularity G = default_granularity<N>>
expected<tensor<F, N, G>> try_encode_codes(std::span<const typename N::code> codes, weight_shape shape,
                                           std::vector<float> scales) {
  if (status s = detail::check_extent(codes.size(), shape); !s.ok()) return s;
  if constexpr (N::is_integer && N::bits < 8)
    for (std::size_t i = 0; i < codes.size(); ++i)
      if (codes[i] < N::min_code || codes[i] > N::max_code)
        return status::failure("encode: code " + std::to_string(codes[i]) + " at " +
                               position_text(i / shape.k, i % shape.k) + " is outside " + std::string(N::name));
  auto index = F::from_mask(nonzero_mask(codes, shape));
  if (!index) return index.error();
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

/// The dense n x k matrix of codes, pruned elements 0. O(n k).
template <format F, numeric N, quantization_granularity G>
std::vector<typename N::code> decode_codes(const tensor_view<F, N, G>& w) {
  std::vector<typename N::code> codes(w.shape().size());
  detail::for_each_slot(w.index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    codes[n * w.shape().k + k] = load_code<N>(w.values.data(), slot);
  });
  return codes;
}

/// The dense n x k matrix of real numbers, pruned elements 0. O(n k).
template <format F, numeric N, quantization_granularity G>
std::vector<float> decode(const tensor_view<F, N, G>& w) {
  std::vector<float> values(w.shape().size());
  detail::for_each_slot(w.index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    const auto code = static_cast<float>(load_code<N>(w.values.data(), slot));
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
// Activations: a row-major matrix over memory that the caller owns.

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

  /// A kernel, stride or dilation of 0, a number beyond 2^31 - 1, or a kernel that spans more than the padded image; ok
  /// if there is none of these.
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
  if (status s = detail::check_window_span("rows", span_height(), pad_top, image_height, pad_bottom); !s.ok()) return s;
  return detail::check_window_span("columns", span_width(), pad_left, image_width, pad_right);
}

}  // namespace sparq

// ==== sparq/tensor/pack.hpp ====
// The explicit step from a tensor to what kernels read (packed.hpp). It says beforehand how many bytes it writes, and
// writes them into the caller's memory if asked. Works for every format, the user's own included: panels and slots are
// all that it asks for. The k's and channels that a panel uses follow from its slots.

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
// Groups of integers that are not full are filled up with k's of code 0.

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

inline constexpr std::size_t packed_array_count = 8;
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
  const packed_header& header() const { return *reinterpret_cast<const packed_header*>(block_); }
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

namespace sparq {

/// Geometry of a panel of the columns loop: channels that share their k's, and k's multiplied at once.
template <std::size_t Channels, std::size_t GroupK>
struct column_shape {
  static constexpr std::size_t channels = Channels;
  static constexpr std::size_t group_k = GroupK;
};

/// Integers meet four at a time, floats one by one.
template <numeric N>
using default_column_shape = column_shape<4, N::is_integer ? 4 : 1>;

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
enum class column_array : std::size_t { sections, lists, weight_sums, scales, codes };
template <std::size_t Channels>
inline constexpr packed_sizes column_element_bytes = {
    sizeof(column_section<Channels>), sizeof(std::uint16_t), sizeof(std::int32_t), sizeof(float), 1, 1, 1, 1};

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
  static_assert(!requires { Granularity::group; },
                "sparq: scales along k need all k's in order; use dense, or scales per channel");

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
  /// Sum of the codes of each output channel; empty for floats.
  std::span<const std::int32_t> weight_sums() const { return array<std::int32_t>(detail::column_array::weight_sums); }
  std::span<const float> scales() const { return array<float>(detail::column_array::scales); }

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
    for (std::size_t i = 0; i < stored; ++i) useful += load_code<Numeric>(codes().data(), i) != typename Numeric::code{};
    return stored == 0 ? 1.0 : static_cast<double>(useful) / static_cast<double>(stored);
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
           std::to_string(Shape::channels) + "x" + std::to_string(Shape::group_k);
  }

 private:
  static constexpr const detail::packed_sizes& sizes = detail::column_element_bytes<Shape::channels>;

  std::span<const section> all_sections() const { return array<section>(detail::column_array::sections); }

  status check_sections() const {
    const auto [n, k] = shape();
    if (Numeric::is_integer && weight_sums().size() != n)
      return status::failure("packed tensor: weight sums do not match the channels");
    if (scales().size() != Granularity::scale_count(n, k))
      return status::failure("packed tensor: scales do not match the channels");
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
      if (storage_bytes<Numeric>(next_code) > codes().size()) return wrong("weights out of range");
      if (!detail::fits(s.lists, list_count(s), 1, lists().size())) return wrong("lists out of range");
      for (std::size_t at = 0; at < list_count(s); ++at)
        if (s.first_k + std::size_t{lists()[s.lists + at]} >= k)
          return wrong("entry " + std::to_string(at) + " is " + std::to_string(lists()[s.lists + at]));
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

/// k's of one section. Where many k's are kept, X is better reused from the first-level cache than read in one go; lists
/// hold 16 bits in any case. Measured: bench/README.md.
inline std::size_t column_section_k(weight_shape shape, std::size_t slots) {
  constexpr std::size_t largest = 32768, cached = 768;
  const bool is_full = static_cast<double>(slots) > 0.35 * static_cast<double>(shape.size());
  const std::size_t limit = is_full && shape.k > cached + cached / 2 ? cached : largest;
  const std::size_t sections = (std::max)(ceil_div(shape.k, limit), std::size_t{1});
  return (std::max)(ceil_div(shape.k, sections), std::size_t{1});
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
 public:
  using view_type = packed_columns_view<N, G, Shape>;

  explicit column_packer(const tensor_view<F, N, G>& w)
      : w_(w), section_k_(column_section_k(w.shape(), w.index.slots())),
        sections_(ceil_div(w.shape().k, section_k_)) {
    measure();
  }

  std::size_t bytes() const { return static_cast<std::size_t>(header_.bytes); }
  const column_work& work() const { return work_; }

  /// @pre block.size() >= bytes(), aligned to 64 bytes
  void write(std::span<std::byte> block) {
    std::memset(block.data(), 0, bytes());
    std::memcpy(block.data(), &header_, sizeof header_);
    block_ = block.data();
    for (std::size_t i = 0; i < w_.scales.size(); ++i) array<float>(column_array::scales)[i] = w_.scales[i];
    section at;
    std::size_t next = 0;
    for_each_section([&](std::size_t panel, std::size_t first_k) {
      sort_by_set(panel, first_k);
      fill_groups();
      at.first_k = static_cast<index_t>(first_k);
      write_section(panel, at);
      array<section>(column_array::sections)[next++] = at;
      at.lists += view_type::list_count(at);
      at.codes += view_type::code_count(at);
    });
  }

 private:
  using code = typename N::code;
  using section = typename view_type::section;
  using steps = typename view_type::steps;
  static constexpr std::size_t channels = Shape::channels;
  static constexpr std::size_t group_k = Shape::group_k;
  static constexpr std::uint16_t filler = 0xffff;

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
    count(column_array::codes) = storage_bytes<N>(codes);
    count(column_array::weight_sums) = N::is_integer ? n : 0;
    count(column_array::scales) = w_.scales.size();
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
    sets_.assign(ceil_div(count, channels) * k_extent, 0);
    for (std::size_t p = first_panel; p < last_panel; ++p)
      w_.index.for_each_slot(p, [&](std::size_t slot, std::size_t channel, std::size_t k) {
        const code value = load_code<N>(w_.values.data(), slot);
        if (N::is_integer && value == code{}) return;
        const std::size_t c = channel - band_first_;
        codes_[c * k_extent + k] = value;
        sets_[c / channels * k_extent + k] |= static_cast<std::uint8_t>(1U << (c % channels));
      });
  }

  void sort_by_set(std::size_t panel, std::size_t first_k) {
    const std::size_t k_extent = w_.shape().k;
    const std::uint8_t* sets = sets_.data() + panel * k_extent;
    for (auto& list : lists_) list.clear();
    for (std::size_t k = first_k; k < (std::min)(first_k + section_k_, k_extent); ++k)
      if (sets[k] != 0) lists_[sets[k]].push_back(static_cast<std::uint16_t>(k - first_k));
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

  void write_section(std::size_t panel, section& s) {
    const std::size_t k_extent = w_.shape().k;
    const std::size_t first_channel = band_first_ + panel * channels;
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
              const code value = group[at] == filler ? code{} : row[group[at]];
              stream_.push_back(value);
              if constexpr (N::is_integer)
                array<std::int32_t>(column_array::weight_sums)[first_channel + c] += value;
            }
          }
        }
    }
    for (std::size_t i = 0; i < stream_.size(); ++i)
      store_code<N>(array<std::byte>(column_array::codes), s.codes + i, stream_[i]);
  }

  tensor_view<F, N, G> w_;
  std::size_t section_k_;
  std::size_t sections_;
  packed_header header_;
  column_work work_;
  std::byte* block_ = nullptr;
  std::size_t band_first_ = 0;
  std::vector<code> codes_;
  std::vector<std::uint8_t> sets_;
  std::array<std::vector<std::uint16_t>, steps::sets> lists_;
  std::vector<code> stream_;
};

}  // namespace sparq::detail

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
//   for each strip: for each load group: w = load(16 words); for each row of the block: acc += dot(broadcast(x), w)

#include <algorithm>
#include <bit>

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

/// Groups of one channel that share a 32-bit word.
template <numeric N, class Shape>
inline constexpr std::size_t groups_per_word_v =
    (std::max)(std::size_t{1}, 32 / (static_cast<std::size_t>(N::bits) * Shape::group_k));

/// The window of k's from which the groups of an N:M pattern are chosen: `groups` groups out of `window` k's. With
/// N <= GroupK a group takes whole M's (`spans` of them), otherwise an M takes several groups.
template <std::size_t N, std::size_t M, std::size_t GroupK>
struct pattern_window {
  static constexpr std::size_t spans = (std::max)(std::size_t{1}, GroupK / N);
  static constexpr std::size_t window = spans * M;
  static constexpr std::size_t groups = ceil_div(N, GroupK);
};

namespace detail {

/// The window that a pair of policies implies; no positions unless one of them is an N:M pattern.
template <class RowSelect, class KMap, std::size_t GroupK>
struct window_of {
  static constexpr std::size_t window = GroupK, groups = 1, spans = 1, kept = GroupK, positions_per_group = 0;
  static constexpr bool is_private = false;
};
template <std::size_t N, std::size_t M, std::size_t GroupK>
struct window_of<n_m_select<N, M>, contiguous, GroupK> : pattern_window<N, M, GroupK> {
  static constexpr std::size_t kept = N, positions_per_group = GroupK;
  static constexpr bool is_private = true;
};
template <std::size_t N, std::size_t M, std::size_t GroupK>
struct window_of<n_m_select<N, M>, list, GroupK> : window_of<n_m_select<N, M>, contiguous, GroupK> {};
template <std::size_t N, std::size_t M, std::size_t GroupK>
struct window_of<all, n_m_shared<N, M>, GroupK> : pattern_window<N, M, GroupK> {
  static constexpr std::size_t kept = N, positions_per_group = GroupK;
  static constexpr bool is_private = false;
};

}  // namespace detail

namespace detail {

/// Weight sums serve zero points: one for each channel, or for each scale where scales run along k.
template <class Granularity>
constexpr std::size_t sum_count(std::size_t n, std::size_t k) {
  if constexpr (requires { Granularity::group; })
    return Granularity::scale_count(n, k);
  else
    return n;
}
template <class Granularity>
constexpr std::size_t sum_index(std::size_t channel, std::size_t at, std::size_t k) {
  if constexpr (requires { Granularity::group; })
    return Granularity::scale_index(channel, at, k);
  else
    return channel;
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
};

namespace detail {

/// The arrays of a packed tensor, in the order in which they lie in the block.
enum class packed_array : std::size_t { panels, addresses, mask, selects, kept_channels, weight_sums, scales, words };
inline constexpr packed_sizes packed_element_bytes = {
    sizeof(packed_panel), sizeof(index_t),      sizeof(std::uint64_t), sizeof(std::uint8_t),
    sizeof(index_t),      sizeof(std::int32_t), sizeof(float),         sizeof(std::uint32_t)};

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
template <std::size_t N, std::size_t M>
struct policy_name<n_m_select<N, M>> {
  static std::string text() { return "n_m_select<" + std::to_string(N) + "," + std::to_string(M) + ">"; }
};

}  // namespace detail

/// A packed tensor over memory that somebody else keeps. Trivially copyable.
/// - `KMap`, `RowSelect`: how panels read X (format/policy.hpp)
template <class KMap, class RowSelect, numeric Numeric, quantization_granularity Granularity, class Shape>
class packed_view : public detail::packed_base {
 public:
  using k_map = KMap;
  using row_select = RowSelect;
  using numeric_type = Numeric;
  using granularity = Granularity;
  using panel_shape_type = Shape;

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
  /// Sum of the codes of each output channel (with scales along k: of each group of scales); empty for floats.
  std::span<const std::int32_t> weight_sums() const { return array<std::int32_t>(detail::packed_array::weight_sums); }
  std::span<const float> scales() const { return array<float>(detail::packed_array::scales); }
  std::span<const std::uint32_t> words() const { return array<std::uint32_t>(detail::packed_array::words); }

  /// Non-zero codes / stored codes: what part of the multiplications is of use. 1 for an empty matrix. O(words).
  double slot_efficiency() const {
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
  status check_panels() const {
    using window = detail::window_of<RowSelect, KMap, Shape::group_k>;
    const auto wrong = [](std::size_t p, const std::string& what) {
      return status::failure("packed tensor: panel " + std::to_string(p) + ": " + what);
    };
    const auto [n, k] = shape();
    if constexpr (Numeric::is_integer)
      if (weight_sums().size() != detail::sum_count<Granularity>(n, k)) return status::failure("packed tensor: weight sums do not match the channels");
    if (scales().size() != Granularity::scale_count(n, k))
      return status::failure("packed tensor: scales do not match the channels");
    std::size_t next_channel = 0;
    for (std::size_t p = 0; p < panels().size(); ++p) {
      const packed_panel& panel = panels()[p];
      const std::size_t strips = ceil_div(panel.kept, Shape::channels);
      const std::size_t load_groups = ceil_div(panel.groups, groups_per_word_v<Numeric, Shape>);
      if (panel.groups % groups_per_word_v<Numeric, Shape> != 0) return wrong(p, "groups do not fill their words");
      if (panel.first_channel != next_channel || panel.channels > n - next_channel || panel.kept > panel.channels)
        return wrong(p, "channels out of range");
      next_channel += panel.channels;
      if (panel.addresses > addresses().size() || panel.mask > mask().size() || panel.selects > selects().size() ||
          panel.kept_channels > kept_channels().size())
        return wrong(p, "offsets out of range");
      if (!detail::fits(panel.words, strips * Shape::channels, load_groups, words().size()))
        return wrong(p, "weights out of range");
      if constexpr (!std::is_same_v<KMap, runs> && !std::is_same_v<KMap, list>)
        if (panel.groups != whole_words(ceil_div(k, window::window) * window::groups)) return wrong(p, "groups do not match K");
      if constexpr (std::is_same_v<KMap, runs>) {
        if (!detail::fits(panel.addresses, panel.groups, 1, addresses().size())) return wrong(p, "addresses out of range");
        for (std::size_t g = 0; g < panel.groups; ++g)
          if (addresses()[panel.addresses + g] >= k || addresses()[panel.addresses + g] % Shape::group_k != 0)
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
        if (!detail::fits(panel.selects, panel.groups, per_group, selects().size())) return wrong(p, "selects out of range");
        for (std::size_t i = 0; i < panel.groups * per_group; ++i)
          if (selects()[panel.selects + i] >= window::window) return wrong(p, "position beyond its window");
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

#include <bit>
#include <cstring>
#include <vector>

namespace sparq {

namespace detail {

/// How the rows loop reads the panels of a format: lists that are private to a channel become runs of all channels.
template <format F>
using rows_k_map = std::conditional_t<std::is_same_v<typename F::k_map, scattered>, runs, typename F::k_map>;

/// Packs one tensor: `measure` finds the extents of every panel, `write` fills a block.
template <class Shape, format F, numeric N, quantization_granularity G>
class packer {
  using k_map = rows_k_map<F>;

 public:
  using view_type = packed_view<k_map, typename F::row_select, N, G, Shape>;

  explicit packer(const tensor_view<F, N, G>& w) : w_(w) { measure(); }

  std::size_t bytes() const { return static_cast<std::size_t>(header_.bytes); }
  /// Groups of a strip that the rows loop will load for one block of rows, all panels together.
  std::size_t strip_groups() const {
    std::size_t total = 0;
    for (const packed_panel& panel : panels_) total += ceil_div(panel.kept, Shape::channels) * panel.groups;
    return total;
  }

  /// @pre block.size() >= bytes(), aligned to 64 bytes
  void write(std::span<std::byte> block) {
    std::memset(block.data(), 0, bytes());
    std::memcpy(block.data(), &header_, sizeof header_);
    block_ = block.data();
    for (std::size_t p = 0; p < panels_.size(); ++p) write_panel(p);
    for (std::size_t i = 0; i < w_.scales.size(); ++i) array<float>(packed_array::scales)[i] = w_.scales[i];
  }

 private:
  using window = window_of<typename F::row_select, k_map, Shape::group_k>;
  using code = typename N::code;
  static constexpr std::size_t group_k = Shape::group_k;
  static constexpr std::size_t groups_per_word = groups_per_word_v<N, Shape>;
  static constexpr bool is_runs = std::is_same_v<k_map, runs>;
  static constexpr bool is_list = std::is_same_v<k_map, list>;
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
      if constexpr (is_runs || is_list) {
        k_used.assign(k, 0);
        channel_used.assign(range.count, 0);
        w_.index.for_each_slot(p, [&](std::size_t, std::size_t channel, std::size_t at) {
          k_used[at] = 1;
          channel_used[channel - range.first] = 1;
        });
        if constexpr (lists_k)
          for (const std::size_t at : w_.index.k_of(p)) k_used[at] = 1;
        panel.groups = whole_words(is_runs ? used_runs(k_used) : ceil_div(used(k_used), window::window) * window::groups);
        leave_out_unused(panel, channel_used);
        if constexpr (is_runs) count(packed_array::addresses) += panel.groups;
        if constexpr (is_list) count(packed_array::mask) += ceil_div(k, 64);
      } else {
        panel.groups = whole_words(ceil_div(k, window::window) * window::groups);
      }
      const std::size_t strip_channels = round_up(panel.kept, Shape::channels);
      if constexpr (window::positions_per_group != 0)
        count(packed_array::selects) += panel.groups * group_k * (window::is_private ? strip_channels : 1);
      count(packed_array::words) += strip_channels * ceil_div(panel.groups, groups_per_word);
      panels_.push_back(panel);
    }
    count(packed_array::panels) = panels_.size();
    count(packed_array::weight_sums) = N::is_integer ? sum_count<G>(n, k) : 0;
    count(packed_array::scales) = w_.scales.size();
    header_.n = n;
    header_.k = k;
    header_.slots = w_.index.slots();
    header_.place(F::name(), view_type::layout_name(), packed_element_bytes);
  }

  /// Groups come in whole words; the last ones may be padding, whose codes and addresses are 0.
  static index_t whole_words(std::size_t groups) { return static_cast<index_t>(round_up(groups, groups_per_word)); }
  static std::size_t used(const std::vector<std::uint8_t>& flags) {
    std::size_t total = 0;
    for (const std::uint8_t flag : flags) total += flag;
    return total;
  }
  static std::size_t used_runs(const std::vector<std::uint8_t>& k_used) {
    std::size_t total = 0;
    for (std::size_t k = 0; k < k_used.size(); k += group_k) total += run_used(k_used, k);
    return total;
  }
  static bool run_used(const std::vector<std::uint8_t>& k_used, std::size_t first) {
    for (std::size_t k = first; k < (std::min)(first + group_k, k_used.size()); ++k)
      if (k_used[k] != 0) return true;
    return false;
  }
  /// Channels without a slot cost nothing if that saves a whole strip.
  void leave_out_unused(packed_panel& panel, const std::vector<std::uint8_t>& channel_used) {
    const std::size_t kept = used(channel_used);
    if (ceil_div(kept, Shape::channels) == ceil_div(panel.channels, Shape::channels)) return;
    panel.kept = static_cast<index_t>(kept);
    count(packed_array::kept_channels) += kept;
  }

  // ---- contents -----------------------------------------------------------------------------------------------------
  /// Codes and positions of a panel in the order of groups: [kept channel][group][group_k].
  void write_panel(std::size_t p) {
    const packed_panel& panel = panels_[p];
    array<packed_panel>(packed_array::panels)[p] = panel;
    const std::size_t row = panel.groups * group_k;
    codes_.assign(panel.kept * row, code{});
    place_.clear();
    row_of_.assign(panel.channels, 0);
    if constexpr (is_runs || is_list) place_k(p);
    if (panel.kept == panel.channels)
      for (std::size_t c = 0; c < panel.channels; ++c) row_of_[c] = c;
    else
      place_channels(p);
    if constexpr (window::positions_per_group != 0) next_.assign(panel.kept * ceil_div(w_.shape().k, window::window) *
                                                                     window::spans, 0);
    w_.index.for_each_slot(p, [&](std::size_t slot, std::size_t channel, std::size_t k) {
      const code value = load_code<N>(w_.values.data(), slot);
      const std::size_t r = row_of_[channel - panel.first_channel];
      codes_[r * row + place(panel, r, k)] = value;
      if constexpr (N::is_integer) array<std::int32_t>(packed_array::weight_sums)[sum_index<G>(channel, k, w_.shape().k)] += value;
    });
    write_words(panel);
  }

  /// Where in a channel's groups the code of k goes.
  std::size_t place(const packed_panel& panel, std::size_t r, std::size_t k) {
    if constexpr (is_runs || is_list) k = place_[k];
    if constexpr (window::positions_per_group == 0) {
      return k;
    } else {
      const std::size_t w = k / window::window;
      const std::size_t in_window = k % window::window;
      const std::size_t span = in_window / (window::window / window::spans);
      const std::size_t spans_per_channel = next_.size() / panel.kept;
      const std::size_t nth = next_[r * spans_per_channel + w * window::spans + span]++;
      const std::size_t at = w * window::groups * group_k + span * window::kept + nth;
      const std::size_t group = at / group_k;
      const std::size_t lane = at % group_k;
      std::uint8_t* selects = array<std::uint8_t>(packed_array::selects) + panel.selects;
      if constexpr (window::is_private) {
        const std::size_t strip = r / Shape::channels;
        selects[((strip * panel.groups + group) * Shape::channels + r % Shape::channels) * group_k + lane] =
            static_cast<std::uint8_t>(in_window);
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
    place_.assign(k_extent, 0);
    std::size_t next = 0;
    if constexpr (is_runs) {
      index_t* addresses = array<index_t>(packed_array::addresses) + panels_[p].addresses;
      for (std::size_t k = 0; k < k_extent; k += group_k) {
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
    std::vector<std::uint8_t> channel_used(panel.channels, 0);
    w_.index.for_each_slot(
        p, [&](std::size_t, std::size_t channel, std::size_t) { channel_used[channel - panel.first_channel] = 1; });
    index_t* kept = array<index_t>(packed_array::kept_channels) + panel.kept_channels;
    std::size_t next = 0;
    for (std::size_t c = 0; c < panel.channels; ++c) {
      if (channel_used[c] == 0) continue;
      row_of_[c] = next;
      kept[next++] = static_cast<index_t>(c);
    }
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
            words[load_group * Shape::channels + c] =
                word(codes_.data() + (strip + c) * row, load_group, panel.groups);
      }
      words += load_groups * Shape::channels;
    }
  }
  static std::uint32_t code_bits(code value) {
    if constexpr (N::is_integer)
      return static_cast<std::uint32_t>(value);
    else
      return value.bits;
  }
  static std::uint32_t word(const code* codes, std::size_t load_group, std::size_t groups) {
    if constexpr (N::bits == 32) {
      return std::bit_cast<std::uint32_t>(codes[load_group]);
    } else {
      const std::size_t first = load_group * groups_per_word;
      std::uint32_t result = 0;
      constexpr std::uint32_t code_mask = (std::uint32_t{1} << N::bits) - 1;
      constexpr std::size_t lane_bits = 32 / group_k;
      for (std::size_t i = 0; i < (std::min)(groups_per_word, groups - first); ++i)
        for (std::size_t lane = 0; lane < group_k; ++lane)
          result |= (code_bits(codes[(first + i) * group_k + lane]) & code_mask)
                    << (lane * lane_bits + i * N::bits);
      return result;
    }
  }

  tensor_view<F, N, G> w_;
  packed_header header_;
  std::vector<packed_panel> panels_;
  std::byte* block_ = nullptr;
  std::vector<code> codes_;
  std::vector<std::size_t> place_;
  std::vector<std::size_t> row_of_;
  std::vector<std::uint8_t> next_;
};

/// The packer for a shape: panel_shape serves the rows loop, column_shape the columns loop.
template <class Shape, format F, numeric N, quantization_granularity G>
struct packer_for {
  using type = packer<Shape, F, N, G>;
};
template <std::size_t Channels, std::size_t GroupK, format F, numeric N, quantization_granularity G>
struct packer_for<column_shape<Channels, GroupK>, F, N, G> {
  using type = column_packer<column_shape<Channels, GroupK>, F, N, G>;
};
template <class Shape, format F, numeric N, quantization_granularity G>
using packer_for_t = typename packer_for<Shape, F, N, G>::type;

}  // namespace detail

/// The shape in which a format is packed unless told otherwise: scattered k's for the columns loop, all others for rows.
template <format F, numeric N>
using default_shape = std::conditional_t<std::is_same_v<typename F::k_map, scattered>, default_column_shape<N>,
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
/// Errors: a block that is too small or not aligned to 64 bytes. Complexity O(n k).
template <class Shape, format F, numeric N, quantization_granularity G>
expected<packed_view_of<tensor_view<F, N, G>, Shape>> try_pack_into(const tensor_view<F, N, G>& w,
                                                                    std::span<std::byte> block) {
  detail::packer_for_t<Shape, F, N, G> packer(w);
  if (block.size() < packer.bytes())
    return status::failure("pack: " + std::to_string(packer.bytes()) + " bytes are needed, the block has " +
                           std::to_string(block.size()));
  if (reinterpret_cast<std::uintptr_t>(block.data()) % alignment != 0)
    return status::failure("pack: the block does not start on a boundary of 64 bytes");
  packer.write(block);
  return packed_view_of<tensor_view<F, N, G>, Shape>(unchecked, block.data());
}

/// Packs into memory of its own.
/// - `Shape`: panel_shape for the rows loop, column_shape for the columns loop; the default is what suits the format
/// @pre w is valid. Complexity O(n k).
template <class Shape, format F, numeric N, quantization_granularity G>
packed<packed_view_of<tensor_view<F, N, G>, Shape>> pack(const tensor_view<F, N, G>& w) {
  detail::packer_for_t<Shape, F, N, G> packer(w);
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

// ==== sparq/simd/atom.hpp ====
// What an atom is: one multiply-add of the CPU, the way it wants its operands, and nothing about loops. A register holds
// `lanes` 32-bit lanes, one output channel each; a word of W (packed.hpp) fills one lane, a word of X is broadcast.
//
//   struct dot4_u8s8_some_isa {
//     static constexpr std::string_view name;
//     static constexpr isa needs;              // features
//     using x_code, acc_type;                  // element of X; int32_t or float
//     static constexpr std::size_t lanes;      // channels of a register
//     static constexpr std::size_t group_k;    // k's of a word of W
//     static constexpr std::size_t steps;      // words of X for one word of W (2 where W is widened on the way)
//     static constexpr std::size_t block_rows; // rows of X whose accumulators fit into the registers, 2 of W beside
//     static constexpr std::int32_t weight_sum_factor;  // true sum = accumulator + factor * (sum of the channel's codes)
//     using packed_x;                          // element of a row of X as the atom reads it
//     static constexpr bool in_place;          // ... which is X itself
//     static void pack_row(const x_code* x, std::size_t k, bool grouped, packed_x* out);
//                                              // grouped: in the order of words; otherwise in the order of k
//     template <class N> struct loader;        // register of packed words -> one register for each group and step
//     template <std::size_t Window> struct selector;  // permutes a window of X for every lane
//     acc zero(); acc dot(acc, w_word, x_word); x_word broadcast(const packed_x*); void store(acc_type*, acc);
//   };
//
// loader<N>:  groups (groups in one word); raw load(const std::uint32_t*); w_word decode<Step>(raw), where Step counts
//             group * steps + step.
// selector<W>: chunk (elements of X that one permute reaches), chunks; control make(positions, step, chunk) with
//             `lanes * group_k` positions; control make_shared(positions, step, chunk) with group_k of them;
//             x_word select(const packed_x* at_chunk, control); x_word combine(x_word, x_word).

// ==== sparq/simd/isa.hpp ====
// An instruction set is a set of feature bits, not a chain: an atom names what it needs, and serves wherever all of it
// is there.

#include <cstdint>
#include <string>

namespace sparq {

/// One feature of a CPU that an atom may need.
enum class feature : std::uint32_t {
  avx2 = 1,          // AVX2 and FMA
  avx512 = 2,        // AVX-512 F, BW, VL and DQ
  avx512vnni = 4,    // byte dot products on 512 bits
  avx512vbmi = 8,    // byte permutes across a register
  avx512vbmi2 = 16,  // byte compress and expand
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
  return set;
}();

SPARQ_ABI_END
}  // namespace sparq

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

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/simd/byte_product.hpp ====
// Products of bytes, lane by lane, added to int32 lanes: what operations need that share nothing between channels.
// |x - zero point| <= 255 and |w| <= 128, so a product of both fits into 16 bits: 255 * 128 = 32640.

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
using xsimd::max;
using xsimd::min;
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
template <class T>
SPARQ_INLINE T min(T a, T b) { return b < a ? b : a; }
template <class T>
SPARQ_INLINE T max(T a, T b) { return a < b ? b : a; }
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
  SPARQ_VEC_OPERATOR(min, machine::min(a.r[i], b.r[i]))
  SPARQ_VEC_OPERATOR(max, machine::max(a.r[i], b.r[i]))
#undef SPARQ_VEC_OPERATOR
};

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

/// f(lane value, lane) for every lane.
template <class T, class F>
SPARQ_INLINE vec<T> map_lanes(const vec<T>& v, F&& f) {
  T lanes[vec<T>::lanes];
  v.store(lanes);
  for (std::size_t i = 0; i < vec<T>::lanes; ++i) lanes[i] = f(lanes[i], i);
  return vec<T>::load(lanes);
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

/// acc[i] + (x[i] - zero_point) * w[i] for 16 lanes.
SPARQ_INLINE vec<float> multiply_add(const vec<float>& acc, const float* x, float zero_point, const float* w) {
  return acc + (vec<float>::load(x) - vec<float>(zero_point)) * vec<float>::load(w);
}

SPARQ_ABI_END
}  // namespace sparq

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

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

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

// ==== sparq/simd/copy.hpp ====
// Copies the short runs of which patches are made: tens to hundreds of bytes, where a call of memcpy costs as much as
// the copy; and rows of narrow floats, which become f32.

#include <cstddef>
#include <cstring>

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
    std::memcpy(target, source, bytes);
    return;
  }
  std::size_t i = 0;
  for (; i + step <= bytes; i += step) std::memcpy(target + i, source + i, step);
  std::memcpy(target + bytes - step, source + bytes - step, step);  // the rest, over what is there already
}

namespace machine {

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
      X::bits == 32 ? (W::bits == 32 ? "fma1_f32f32_scalar" : "fma1_f32bf16_scalar")
                    : (W::bits == 32 ? "fma1_bf16f32_scalar" : "fma1_bf16bf16_scalar");
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
        w.lane[l] = std::bit_cast<float>(N::bits == 32 ? word : Step == 0 ? word << 16 : word & 0xffff0000U);
      }
      return w;
    }
  };
};

using fma1_f32f32_scalar = fma1_scalar<f32, f32>;

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
      X::bits == 32 ? (W::bits == 32 ? "columns1_f32f32_scalar" : "columns1_f32bf16_scalar")
                    : (W::bits == 32 ? "columns1_bf16f32_scalar" : "columns1_bf16bf16_scalar");
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
      X::bits == 32 ? (W::bits == 32 ? "gather1_f32f32_scalar" : "gather1_f32bf16_scalar")
                    : (W::bits == 32 ? "gather1_bf16f32_scalar" : "gather1_bf16bf16_scalar");
};
using gather1_f32f32_scalar = gather1_scalar<f32, f32>;

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

/// One fused multiply-add. bf16 becomes f32 on the way: X when a row is packed, W when it is loaded.
template <numeric X, numeric W>
struct fma1_avx2 {
  static constexpr std::string_view name = X::bits == 32 ? (W::bits == 32 ? "fma1_f32f32_avx2" : "fma1_f32bf16_avx2")
                                                         : (W::bits == 32 ? "fma1_bf16f32_avx2" : "fma1_bf16bf16_avx2");
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
      return _mm256_castsi256_ps(Step == 0 ? _mm256_slli_epi32(r, 16)
                                           : _mm256_and_si256(r, _mm256_set1_epi32(static_cast<int>(0xffff0000U))));
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

/// One fused multiply-add. bf16 becomes f32 on the way: X when a block is packed, W when a chunk is decoded.
template <numeric X, numeric W>
struct columns1_avx2 {
  static constexpr std::string_view name =
      X::bits == 32 ? (W::bits == 32 ? "columns1_f32f32_avx2" : "columns1_f32bf16_avx2")
                    : (W::bits == 32 ? "columns1_bf16f32_avx2" : "columns1_bf16bf16_avx2");
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

/// Fused multiply-adds of floats; groups of one k. bf16 becomes f32 on the way.
template <numeric X, numeric W>
struct gather1_avx2 {
  static constexpr std::string_view name =
      X::bits == 32 ? (W::bits == 32 ? "gather1_f32f32_avx2" : "gather1_f32bf16_avx2")
                    : (W::bits == 32 ? "gather1_bf16f32_avx2" : "gather1_bf16bf16_avx2");
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

// ==== sparq/simd/x86_avx512.hpp ====
// Atoms for AVX-512: byte dot products where the CPU has VNNI, widening to 16 bits where it has not, and fused
// multiply-adds. vpdpbusd takes unsigned times signed bytes; the other three pairs of signs are made of it by swapping
// the operands or by flipping the top bit of X, which adds 128 to every x and is taken back with the sums of the weights.

#if SPARQ_HAS_AVX512

#include <immintrin.h>

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
    return W::is_signed ? _mm512_dpbusd_epi32(c, x, w) : _mm512_dpbusd_epi32(c, w, x);
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
        constexpr int sign = N::is_signed ? 1 << (N::bits - 1) : 0;
        const __m512i low = _mm512_and_si512(Step == 0 ? r : _mm512_srli_epi16(r, static_cast<unsigned>(Step) * N::bits),
                                             _mm512_set1_epi8((1 << N::bits) - 1));
        if constexpr (!N::is_signed) return low;
        return _mm512_sub_epi8(_mm512_xor_si512(low, _mm512_set1_epi8(sign)), _mm512_set1_epi8(sign));
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

/// One fused multiply-add. bf16 becomes f32 on the way: X when a row is packed, W when it is loaded.
template <numeric X, numeric W>
struct fma1_avx512 {
  static constexpr std::string_view name =
      X::bits == 32 ? (W::bits == 32 ? "fma1_f32f32_avx512" : "fma1_f32bf16_avx512")
                    : (W::bits == 32 ? "fma1_bf16f32_avx512" : "fma1_bf16bf16_avx512");
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
      return _mm512_castsi512_ps(Step == 0 ? _mm512_slli_epi32(r, 16)
                                           : _mm512_and_si512(r, _mm512_set1_epi32(static_cast<int>(0xffff0000U))));
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

/// One fused multiply-add. bf16 becomes f32 on the way: X when a block is packed, W when a chunk is decoded.
template <numeric X, numeric W>
struct columns1_avx512 {
  static constexpr std::string_view name =
      X::bits == 32 ? (W::bits == 32 ? "columns1_f32f32_avx512" : "columns1_f32bf16_avx512")
                    : (W::bits == 32 ? "columns1_bf16f32_avx512" : "columns1_bf16bf16_avx512");
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

// ==== sparq/kernel/column_chunks.hpp ====
// Weights of the columns loop in chunks: strips of 16 channels, as many as fit beside X once their codes are decoded.

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
using decoded_t = std::conditional_t<!N::is_integer, N, std::conditional_t<N::is_signed, s8, u8>>;

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
      columns4_avx512vnni<X, W>,
#endif
#if SPARQ_HAS_AVX2
      columns4_avx2<X, W>,
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
                                     Shape::channels % Atom::lanes == 0;
template <std::size_t Channels, std::size_t GroupK, class Atom>
inline constexpr bool fits_shape_v<column_shape<Channels, GroupK>, Atom> =
    native_isa.has(Atom::needs) && GroupK == Atom::group_k;

template <class Shape, class Atoms, class X, class W>
struct atoms_for_shape {
  using type = typename Atoms::template list<X, W>;
};
template <std::size_t Channels, std::size_t GroupK, class Atoms, class X, class W>
struct atoms_for_shape<column_shape<Channels, GroupK>, Atoms, X, W> {
  using type = typename Atoms::template columns<X, W>;
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
  using list = typename machine::atom_list<X, machine::decoded_t<W>>::type;
  template <numeric X, numeric W>
  using columns = typename machine::column_atom_list<X, machine::decoded_t<W>>::type;
};

/// The atom that multiplies X by W packed in `Shape`; machine::no_atom when there is none.
template <numeric X, numeric W, class Shape, class Atoms = default_atoms>
using atom_for = typename machine::first_fit<Shape, typename machine::atoms_for_shape<Shape, Atoms, X, W>::type>::type;

/// Block sizes, by atom.
template <class Atom>
struct blocking {
  /// Registers of channels beside the block's rows: 2 fill the accumulators that `block_rows` leaves.
  static constexpr std::size_t registers = 2;
  /// Bytes of packed X that stay in the second-level cache while all weights pass by.
  static constexpr std::size_t x_bytes = 128 * 1024;

  /// Rows of X that are packed together: as many as x_bytes hold, in whole blocks, at least 4 blocks.
  static constexpr std::size_t rows(std::size_t row_bytes) {
    const std::size_t fitting = x_bytes / (std::max)(row_bytes, std::size_t{1}) / Atom::block_rows;
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

  explicit column_chunks(const Packed& w) : w_(w) {
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

  /// Bytes of the buffer that decode needs.
  template <class Atom>
  std::size_t buffer_bytes() const {
    if (Atom::template in_place<numeric_type>) return 0;
    const std::size_t codes = (std::max)(largest_strip_, column_blocking::chunk_codes);
    return round_up(codes * sizeof(typename Atom::weight), alignment);
  }
  /// The weights of strips [s, end), in memory or decoded into the buffer.
  template <class Atom>
  const typename Atom::weight* decode(std::size_t s, std::size_t end, typename Atom::weight* buffer) const noexcept {
    const std::size_t first = first_code(first_panel(s));
    if constexpr (Atom::template in_place<numeric_type>) {
      return reinterpret_cast<const typename Atom::weight*>(w_.codes().data()) + first;
    } else {
      const std::size_t count = first_code(first_panel(end)) - first;
      for (std::size_t i = 0; i < count; ++i)
        buffer[i] = static_cast<typename Atom::weight>(load_code<numeric_type>(w_.codes().data(), first + i));
      return buffer;
    }
  }

 private:
  std::size_t strip_codes(std::size_t s) const { return first_code(first_panel(s + 1)) - first_code(first_panel(s)); }

  Packed w_;
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
void add_section(const column_section<Channels>& section, const typename Atom::packed_x* x,
                 const std::uint16_t* lists, const typename Atom::weight* weights, typename Atom::acc_type* tile,
                 std::size_t ldt) noexcept {
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

// ==== sparq/kernel/epilogue.hpp ====
// What happens to accumulators before they are stored: a list of stages, fixed at compile time, applied to sixteen
// neighbouring channels of one row at a time. The value starts as s32 or f32, stages may change that, and the element
// type of Y decides how it is stored: bytes saturate, and floats must be rounded by a stage before they become integers.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <tuple>
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
using f32_lanes = vec<float>;

namespace machine {

/// A stage that has one value for each output channel checks their number.
template <class T>
status check_channels(const char* stage, std::span<const T> values, std::size_t n) {
  if (values.size() == n) return {};
  return status::failure(std::string(stage) + ": " + std::to_string(values.size()) + " values for " +
                         std::to_string(n) + " output channels");
}

struct unchecked_stage {
  static status check(std::size_t, std::size_t) { return {}; }
};

}  // namespace machine

// ---- stages ---------------------------------------------------------------------------------------------------------
// A stage is a callable (lanes, lane_position) -> lanes with check(m, n), which refuses parameters that do not match Y.

/// Adds values[channel]: int32 before floats, float after.
template <class T>
struct bias {
  std::span<const T> values;

  explicit bias(std::span<const T> per_channel) : values(per_channel) {}
  status check(std::size_t, std::size_t n) const { return machine::check_channels("bias", values, n); }
  SPARQ_INLINE vec<T> operator()(const vec<T>& v, const lane_position& at) const {
    return v + vec<T>::load(values.data() + at.channel, at.count);
  }
};
template <class Range>
bias(const Range&) -> bias<std::remove_cvref_t<decltype(*std::declval<const Range&>().data())>>;

/// Takes back the zero point of X: subtracts zero_point * (sum of the channel's weight codes).
struct subtract_zero_point : machine::unchecked_stage {
  std::int32_t zero_point;

  explicit subtract_zero_point(std::int32_t x_zero_point) : zero_point(x_zero_point) {}
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    return v - s32_lanes(zero_point) * s32_lanes::load(at.weight_sums + at.channel, at.count);
  }
};

/// The nearest float, ties to even.
struct to_float : machine::unchecked_stage {
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position&) const { return to_f32(v); }
};

/// The nearest int32, ties to even, saturated.
struct round_to_integer : machine::unchecked_stage {
  SPARQ_INLINE s32_lanes operator()(const f32_lanes& v, const lane_position&) const { return round_to_s32(v); }
};

/// Multiplies by one number; integers become floats first.
struct scale : machine::unchecked_stage {
  float factor;

  explicit scale(float by) : factor(by) {}
  SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position&) const { return v * f32_lanes(factor); }
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position& at) const { return (*this)(to_f32(v), at); }
};

/// Multiplies by factors[channel]; integers become floats first.
struct scale_per_channel {
  std::span<const float> factors;

  explicit scale_per_channel(std::span<const float> per_channel) : factors(per_channel) {}
  status check(std::size_t, std::size_t n) const { return machine::check_channels("scale_per_channel", factors, n); }
  SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position& at) const {
    return v * f32_lanes::load(factors.data() + at.channel, at.count);
  }
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position& at) const { return (*this)(to_f32(v), at); }
};

/// Multiplies by factors[row], for activations quantized row by row; integers become floats first.
struct scale_per_row {
  std::span<const float> factors;

  explicit scale_per_row(std::span<const float> per_row) : factors(per_row) {}
  status check(std::size_t m, std::size_t) const {
    if (factors.size() == m) return {};
    return status::failure("scale_per_row: " + std::to_string(factors.size()) + " values for " + std::to_string(m) +
                           " rows");
  }
  SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position& at) const {
    return v * f32_lanes(factors[at.row]);
  }
  SPARQ_INLINE f32_lanes operator()(const s32_lanes& v, const lane_position& at) const { return (*this)(to_f32(v), at); }
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

namespace machine {

/// A requantization policy on sixteen lanes; the scalar oracle lane by lane unless there is something better.
template <class Policy>
struct requantize_lanes {
  template <class Load>
  static SPARQ_INLINE s32_lanes apply(const s32_lanes& v, Load&& parameters) {
    return map_lanes(v, [&](std::int32_t acc, std::size_t lane) { return Policy::apply(acc, parameters(lane)); });
  }
};

}  // namespace machine

/// clamp(zero_point + policy(v)): int32 accumulators become codes of Out (numeric/requantize.hpp).
/// One set of parameters for all channels, or one for each.
template <integer_numeric Out, requantization_parameters Parameters>
struct requantize {
  static_assert(Out::bits <= 8, "sparq: requantize yields codes of 8 bits or fewer; for int32 use scale and "
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
  SPARQ_INLINE s32_lanes operator()(const s32_lanes& v, const lane_position& at) const {
    // clamped before the zero point is added, so that the sum cannot overflow
    const s32_lanes codes = min(max(scaled(v, at), s32_lanes(low - zero_point)), s32_lanes(high - zero_point));
    return codes + s32_lanes(zero_point);
  }

 private:
  SPARQ_INLINE s32_lanes scaled(const s32_lanes& v, const lane_position& at) const {
    using policy = typename Parameters::policy;
    if constexpr (std::is_same_v<policy, fp32_nearest_even>) {
      static_assert(sizeof(Parameters) == sizeof(float), "sparq: fp32_nearest_even has one float for a channel");
      const f32_lanes factors =
          !is_per_channel ? f32_lanes(single.scale)
                          : f32_lanes::load(reinterpret_cast<const float*>(per_channel.data()) + at.channel, at.count);
      return round_to_s32(to_f32(v) * factors);
    } else {
      return machine::requantize_lanes<policy>::apply(v, [&](std::size_t lane) {
        if (!is_per_channel) return single;
        return per_channel[at.channel + (lane < at.count ? lane : 0)];
      });
    }
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

  template <class Lanes>
  SPARQ_INLINE auto operator()(const Lanes& v, const lane_position& at) const {
    return apply<0>(v, at);
  }

 private:
  template <std::size_t I, class Lanes>
  SPARQ_INLINE auto apply(const Lanes& v, const lane_position& at) const {
    if constexpr (I == sizeof...(Stages))
      return v;
    else
      return apply<I + 1>(std::get<I>(stages)(v, at), at);
  }
};
template <class... Stages>
epilogue(Stages...) -> epilogue<Stages...>;

namespace machine {

template <class Y, class Lanes>
inline constexpr bool can_store_v = (std::is_same_v<Lanes, f32_lanes> && std::is_same_v<Y, float>) ||
                                    (std::is_same_v<Lanes, s32_lanes> && !std::is_same_v<Y, float>);

template <class Y, class T>
SPARQ_INLINE void store_lanes(Y* to, const vec<T>& v, std::size_t count) {
  static_assert(can_store_v<Y, vec<T>>,
                "sparq: the epilogue's last stage does not yield what Y holds; end with requantize, round_to_integer or "
                "a scale");
  if constexpr (std::is_same_v<Y, T>)
    v.store(to, count);
  else
    store_saturated(to, v, count);
}

}  // namespace machine

/// Applies an epilogue to a tile of accumulators and stores it.
/// - `tile`: rows x channels, `ldt` elements apart
/// - `factor`: what the atom leaves to be added, times the sums of the weights
/// - `y`: where (row, channel) is stored; 16 channels lie beside each other
template <class Acc, class Out, class Epilogue>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const Out& y, lane_position at, const Epilogue& stages) noexcept {
  const std::size_t first_channel = at.channel;
  for (std::size_t r = 0; r < rows; ++r, ++at.row) {
    for (std::size_t c = 0; c < channels; c += 16) {
      at.channel = first_channel + c;
      at.count = channels - c < 16 ? channels - c : 16;
      vec<Acc> v = vec<Acc>::load(tile + r * ldt + c, at.count);
      if constexpr (std::is_same_v<Acc, std::int32_t>)
        if (factor != 0) v = v + s32_lanes(factor) * s32_lanes::load(at.weight_sums + at.channel, at.count);
      machine::store_lanes(&y(at.row, at.channel), stages(v, at), at.count);
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

/// The same for a Y stored by columns. @pre channels <= 16
template <class Acc, class Y, class Epilogue>
void store_tile(const Acc* tile, std::size_t ldt, std::size_t rows, std::size_t channels, std::int32_t factor,
                const k_major_view<Y>& y, lane_position at, const Epilogue& stages) noexcept {
  machine::square_tile<Y> square;
  square.first_channel = at.channel;
  for (std::size_t r = 0; r < rows; r += 16, at.row += 16) {
    const std::size_t height = rows - r < 16 ? rows - r : 16;
    square.first_row = at.row;
    store_tile<Acc, machine::square_tile<Y>, Epilogue>(tile + r * ldt, ldt, height, channels, factor, square, at, stages);
    machine::store_transposed(&square.elements[0][0], height, channels, y.column(at.channel) + at.row, y.stride);
  }
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/kernel/gather_loop.hpp ====
// The columns loop for few rows of X: lanes hold k's of one row. It reads the same packed weights as column_loop.

// ==== sparq/kernel/source.hpp ====
// Where loops get X from. A source hands out the rows of X one after another: `start(m)` gives a cursor, whose
// `next(buffer)` returns row m, then m + 1, ... as k consecutive elements, in memory or gathered into the buffer (at least
// k + 64 elements).

#include <cstddef>

namespace sparq {
SPARQ_ABI_BEGIN

/// Rows of X that lie in memory as they are: gemm.
template <class X>
struct strided_rows {
  using element = X;
  static constexpr bool in_memory = true;
  static constexpr bool is_k_major = false;
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
  k_major_view<const X> x;
};

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

  gather_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages)
      : w_(w), source_(source), y_(y), stages_(stages), chunks_(w) {}

  std::size_t scratch_bytes(std::size_t m) const {
    return x_bytes(m) + gathered_bytes() + chunks_.template buffer_bytes<Atom>() + tile_bytes(m);
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    const std::size_t rows = m1 - m0;
    auto* x = reinterpret_cast<packed_x*>(scratch);
    std::byte* gathered = scratch + x_bytes(rows);
    auto* buffer = reinterpret_cast<weight*>(gathered + gathered_bytes());
    auto* tile = reinterpret_cast<acc_type*>(reinterpret_cast<std::byte*>(buffer) +
                                             chunks_.template buffer_bytes<Atom>());
    pack_x(m0, rows, x, reinterpret_cast<x_code*>(gathered));
    for (std::size_t s = s0; s < s1;) {
      const std::size_t end = chunks_.end(s, s1);
      const weight* weights = chunks_.template decode<Atom>(s, end, buffer);
      const std::size_t first = chunks_.first_code(chunks_.first_panel(s));
      for (; s < end; ++s) {
        std::fill_n(tile, rows * chunks::strip_channels, acc_type{});
        for (std::size_t p = chunks_.first_panel(s); p < chunks_.first_panel(s + 1); ++p)
          for (const auto& section : w_.sections(p))
            for (std::size_t r = 0; r < rows; ++r)
              gather_section<Atom, channels>(section, x + r * row_stride() + section.first_k,
                                             w_.lists().data() + section.lists, weights + (section.codes - first),
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

  void pack_x(std::size_t m, std::size_t rows, packed_x* x, x_code* gathered) const noexcept {
    const std::size_t k = w_.shape().k;
    if constexpr (Source::is_k_major) {
      for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t i = 0; i < k; ++i) gathered[i] = source_.x(m + r, i);
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

  column_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages)
      : w_(w), source_(source), y_(y), stages_(stages), chunks_(w), gather_(w, source, y, stages) {
    gathers_ = y.rows <= column_blocking::gathered_rows;
    cached_rows_ = column_blocking::blocks(w.shape().k * block_rows * sizeof(packed_x)) * block_rows;
  }

  std::string_view loop_name() const { return gathers_ ? "columns, gathering" : "columns"; }
  std::string_view atom_name() const { return gathers_ ? gather_atom::name : Atom::name; }
  /// How rows of X reach the atom.
  std::string x_access() const {
    const std::string text = !Source::in_memory ? "gathered from patches, " : "";
    const std::size_t element_bytes = gathers_ ? sizeof(typename gather_atom::packed_x) : sizeof(packed_x);
    return text + (Source::is_k_major || gathers_ ? "copied" : "transposed") +
           (element_bytes > sizeof(x_code) ? " and widened to 16 bits" : "");
  }
  std::size_t cached_rows() const { return cached_rows_; }
  std::size_t strips() const { return chunks_.strips(); }

  /// Bytes of scratch that one part of the work needs, a multiple of 64.
  std::size_t scratch_bytes(std::size_t m) const {
    if (gathers_) return gather_.scratch_bytes(m);
    return x_bytes(m) + gathered_bytes() + chunks_.template buffer_bytes<Atom>() + tile_bytes();
  }

  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    if (gathers_) return gather_.run(m0, m1, s0, s1, scratch);
    auto* x = reinterpret_cast<packed_x*>(scratch);
    auto* gathered = reinterpret_cast<x_code*>(scratch + x_bytes(m1 - m0));
    auto* weights = reinterpret_cast<weight*>(reinterpret_cast<std::byte*>(gathered) + gathered_bytes());
    auto* tile = reinterpret_cast<acc_type*>(reinterpret_cast<std::byte*>(weights) +
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
    return round_up(blocks * w_.shape().k * block_rows * sizeof(packed_x), alignment);
  }
  std::size_t gathered_bytes() const {
    return Source::in_memory ? 0 : round_up(gathered_stride() * block_rows * sizeof(x_code), alignment);
  }
  /// 64 elements more than k: gathering touches whole registers.
  std::size_t gathered_stride() const { return w_.shape().k + 64; }
  std::size_t tile_bytes() const {
    return (column_blocking::chunk_channels + strip_channels) * block_rows * sizeof(acc_type);
  }

  /// Rows beyond the last repeat it: their sums are never stored.
  void pack_x(std::size_t m, std::size_t rows, packed_x* x, x_code* gathered) const noexcept {
    const std::size_t k = w_.shape().k;
    if constexpr (Source::is_k_major) {
      constexpr std::size_t run = 64;  // of k's: all rows of a cache line are read while it is there
      for (std::size_t first = 0; first < k; first += run)
        for (std::size_t r = 0; r < rows; r += block_rows)
          Atom::pack_columns(source_.x.column(first) + m + r, source_.x.stride, (std::min)(run, k - first),
                             (std::min)(block_rows, rows - r), x + (r / block_rows * k + first) * block_rows);
    } else {
      auto cursor = source_.start(m);
      for (std::size_t r = 0; r < rows; r += block_rows, x += k * block_rows) {
        const x_code* block[block_rows];
        for (std::size_t i = 0; i < block_rows; ++i)
          block[i] = r + i < rows ? cursor.next(gathered + (Source::in_memory ? 0 : i * gathered_stride())) : block[i - 1];
        Atom::pack_rows(block, k, x);
      }
    }
  }

  void run_chunk(std::size_t m, std::size_t rows, std::size_t s, std::size_t end, const packed_x* x, weight* buffer,
                 acc_type* tile) const noexcept {
    const std::size_t first_panel = chunks_.first_panel(s);
    const std::size_t last_panel = chunks_.first_panel(end);
    const weight* weights = chunks_.template decode<Atom>(s, end, buffer);
    const std::size_t first = chunks_.first_code(first_panel);
    acc_type* rows_of_y = tile + column_blocking::chunk_channels * block_rows;
    for (std::size_t r = 0; r < rows; r += block_rows, x += w_.shape().k * block_rows) {
      const std::size_t height = (std::min)(block_rows, rows - r);
      std::memset(tile, 0, (end - s) * strip_channels * block_rows * sizeof(acc_type));
      for (std::size_t i = 0; i < w_.sections_per_panel(); ++i)
        for (std::size_t p = first_panel; p < last_panel; ++p) {
          const auto& section = w_.sections(p)[i];
          add(height, section, x + section.first_k * block_rows, w_.lists().data() + section.lists,
              weights + (section.codes - first), tile + (p - first_panel) * channels * block_rows);
        }
      for (std::size_t strip = s; strip < end; ++strip) {
        const std::size_t channel = strip * strip_channels;
        machine::transpose_16(tile + (channel - s * strip_channels) * block_rows, block_rows, height, rows_of_y);
        store_tile(rows_of_y, strip_channels, height, (std::min)(strip_channels, w_.shape().n - channel),
                   Atom::weight_sum_factor, y_, lane_position{m + r, channel, 0, w_.weight_sums().data()}, stages_);
      }
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
};

/// One line.
inline std::string to_string(const explanation& e) {
  return e.atom + " (" + e.isa + "), loop " + e.loop + ", block " + std::to_string(e.block_rows) + " x " +
         std::to_string(e.block_channels) + ", weights " + e.weights + ", X " + e.x_access + " in blocks of " +
         std::to_string(e.cached_rows) + " rows, " + std::to_string(e.parts) + " part" + (e.parts == 1 ? "" : "s") +
         ", " + std::to_string(e.workspace_bytes) + " bytes of workspace";
}

}  // namespace sparq

// ==== sparq/kernel/panel_loop.hpp ====
// Cache blocking around the `rows` loop: blocks of rows of X are packed as the atom wants them and stay in the second
// level cache, while the panels' weights pass by once.
//
//   for each block of rows:                       x_bytes of packed X
//     for each panel:                             compact X if the panel lists its k's
//       for each block of channels:               weights of 2 registers of channels, all groups
//         for each block_rows rows:               rows_block -> tile -> epilogue -> Y

// ==== sparq/kernel/rows.hpp ====
// The `rows` loop: vector lanes are output channels, X is row-major, one word of X is broadcast. Written once, over the
// four policies; everything that differs between formats, numeric types and CPUs is an argument.
//
//   for each load group:   w[j] = decode(load(words))             // j: registers of channels, amortised over the rows
//     for each row r:      x = broadcast(X[r] + k of the group)   // or a permute of the window of X
//       for each j:        acc[r][j] = dot(acc[r][j], w[j], x)

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

  /// Element of a packed row where group g, or its window, starts.
  static SPARQ_INLINE std::size_t start(const block_weights& w, std::size_t g) {
    if constexpr (is_runs)
      return w.addresses[g];
    else if constexpr (window::positions_per_group != 0)
      return g / window::groups * window::window;
    else
      return g * Atom::group_k;
  }
};

}  // namespace machine

/// Multiplies R rows of X by V registers of channels and stores the sums.
/// - `x`: R packed rows, `ldx` elements apart (the atom's pack_row)
/// - `tile`: R x (V * lanes) accumulators, `ldt` elements apart, overwritten
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
void rows_block(const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                typename Atom::acc_type* tile, std::size_t ldt) noexcept {
  using reader = machine::x_reader<Atom, KMap, RowSelect>;
  using loader = typename Atom::template loader<N>;
  constexpr std::size_t lanes = Atom::lanes;
  constexpr std::size_t steps = Atom::steps;
  constexpr std::size_t loaded = loader::groups;
  static_assert(Shape::channels % lanes == 0,
                "sparq: a strip holds whole registers of channels; choose another panel_shape");

  // register j starts `offset(j)` words behind the block's first channel
  const auto strip_of = [](std::size_t j) { return j * lanes / Shape::channels; };
  const auto lane_of = [](std::size_t j) { return j * lanes % Shape::channels; };

  typename Atom::acc acc[R][V];                                                            // ((rows), (registers))
  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[r][j] = Atom::zero();
  }

  const std::uint32_t* words = w.words;
  SPARQ_KEEP_LOOP for (std::size_t g0 = 0; g0 < w.groups; g0 += loaded) {
    machine::for_constants(std::make_index_sequence<loaded>{}, [&](auto group) SPARQ_LAMBDA_INLINE {
      const std::size_t g = g0 + group;
      const typename Atom::packed_x* at = x + reader::start(w, g);
      machine::for_constants(std::make_index_sequence<steps>{}, [&](auto step) SPARQ_LAMBDA_INLINE {
        typename Atom::w_word word[V];
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) word[j] = loader::template decode<group * steps + step>(
            loader::load(words + strip_of(j) * w.strip_words + lane_of(j)));
        SPARQ_LOAD_AGAIN(words);
        if constexpr (reader::is_shared || reader::is_private) {
          using selector = typename Atom::template selector<reader::window::window>;
          constexpr std::size_t controls = reader::is_private ? V : 1;
          decltype(selector::make(w.selects, step, 0)) control[controls][selector::chunks];
          SPARQ_UNROLL for (std::size_t j = 0; j < controls; ++j) {
            SPARQ_UNROLL for (std::size_t c = 0; c < selector::chunks; ++c) {
              if constexpr (reader::is_private)
                control[j][c] = selector::make(w.selects + strip_of(j) * w.strip_selects +
                                                   (g * Shape::channels + lane_of(j)) * Atom::group_k,
                                               step, c);
              else
                control[j][c] = selector::make_shared(w.selects + g * Atom::group_k, step, c);
            }
          }
          SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
            const typename Atom::packed_x* row = at + r * ldx;
            SPARQ_UNROLL for (std::size_t j = 0; j < controls; ++j) {
              auto xs = selector::select(row, control[j][0]);
              SPARQ_UNROLL for (std::size_t c = 1; c < selector::chunks; ++c) {
                if constexpr (selector::chunks > 1)
                  xs = selector::combine(xs, selector::select(row + c * selector::chunk, control[j][c]));
              }
              if constexpr (reader::is_private) {
                acc[r][j] = Atom::dot(acc[r][j], word[j], xs);
              } else {
                SPARQ_UNROLL for (std::size_t i = 0; i < V; ++i) acc[r][i] = Atom::dot(acc[r][i], word[i], xs);
              }
            }
          }
        } else {
          const typename Atom::packed_x* first = at + step * (Atom::group_k / steps);
          SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
            const typename Atom::x_word xs = Atom::broadcast(first + r * ldx);
            SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[r][j] = Atom::dot(acc[r][j], word[j], xs);
          }
        }
      });
    });
    words += Shape::channels;
  }

  SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
    SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) Atom::store(tile + r * ldt + j * lanes, acc[r][j]);
  }
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

/// rows_block for a height that is known at run time. @pre rows is one of next_block_height's values
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t V>
void rows_block(std::size_t rows, const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                typename Atom::acc_type* tile, std::size_t ldt) noexcept {
  const auto run_if = [&]<std::size_t H>(std::integral_constant<std::size_t, H>) {
    if constexpr (H <= Atom::block_rows)
      if (rows == H) rows_block<Atom, N, Shape, KMap, RowSelect, H, V>(x, ldx, w, tile, ldt);
  };
  [&]<std::size_t... H>(std::index_sequence<H...>) {
    (run_if(std::integral_constant<std::size_t, H>{}), ...);
  }(machine::block_heights{});
}

SPARQ_ABI_END
}  // namespace sparq

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

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
  /// Registers of channels in one block: those of the tuning table, or fewer, so that blocks divide a strip evenly or
  /// are two strips.
  static constexpr std::size_t registers = [] {
    std::size_t count = (std::min)(blocking<Atom>::registers, 2 * strip_registers);
    while (strip_registers % count != 0 && count != 2 * strip_registers) --count;
    return count;
  }();
  static constexpr std::size_t block_rows = Atom::block_rows;
  static constexpr std::size_t block_channels = registers * Atom::lanes;
  static constexpr bool is_list = std::is_same_v<k_map, list>;
  static constexpr std::size_t groups_per_word = groups_per_word_v<numeric_type, shape_type>;
  static constexpr bool permutes = window::positions_per_group != 0;
  static constexpr bool may_have_gaps = is_list || std::is_same_v<k_map, runs>;
  using granularity = typename Packed::granularity;
  static constexpr bool is_grouped = requires { granularity::group; };
  static_assert(!is_grouped || (std::is_same_v<k_map, contiguous> && std::is_same_v<row_select, all>),
                "sparq: scales along k need all k's in order; use dense, or scales per channel");

  panel_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages)
      : w_(w), source_(source), y_(y), stages_(stages) {
    reads_in_place_ = in_place();
    const std::size_t k = w.shape().k;
    std::size_t elements = round_up(k, window::window) + (groups_per_word - 1) * window::window;
    if constexpr (is_list) {
      elements = 0;
      for (const packed_panel& panel : w.panels())
        elements = (std::max)(elements, ceil_div(panel.groups, window::groups) * window::window);
    }
    // 64 elements more than the groups: permutes and compaction touch whole registers
    row_stride_ = round_up((elements + compact_slack) * sizeof(packed_x), alignment) / sizeof(packed_x);
    block_rows_ = blocking<Atom>::rows(row_stride_ * sizeof(packed_x));
    for (const packed_panel& panel : w.panels())
      if (panel.kept < panel.channels)
        gap_channels_ = (std::max)(gap_channels_, static_cast<std::size_t>(panel.channels));
  }

  std::string_view loop_name() const { return "rows"; }
  std::string_view atom_name() const { return Atom::name; }
  /// X is used where it lies, without a copy.
  bool reads_in_place() const { return reads_in_place_; }

  /// Bytes of scratch that one part of the work needs, a multiple of 64.
  std::size_t scratch_bytes(std::size_t m) const {
    return packed_rows_bytes(m) + row_buffer_bytes() + gap_tile_bytes() * 2;
  }

  /// How rows of X reach the atom.
  std::string x_access() const {
    if (reads_in_place_) return "in place";
    std::string text = Source::in_memory ? "" : "gathered from patches, ";
    if (is_list) text += "compacted for each panel, ";
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
        using selector = typename Atom::template selector<window::window>;
        if (selector::chunk * selector::chunks != window::window) return false;
      }
      return k % window::window == 0 &&
             (std::is_same_v<k_map, runs> || k / window::window * window::groups % groups_per_word == 0);
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
    return round_up(Atom::block_rows * round_up(gap_channels_, 64) * sizeof(acc_type), alignment);
  }

  void pack_rows(std::size_t m, std::size_t rows, packed_x* x, std::byte* buffers) const noexcept {
    const std::size_t k = w_.shape().k;
    auto cursor = source_.start(m);
    for (std::size_t r = 0; r < rows; ++r, x += row_stride_) {
      if constexpr (Atom::in_place) {
        const x_code* row = cursor.next(x);
        if (row != x) Atom::pack_row(row, k, !permutes, x);
        std::memset(x + k, 0, (row_stride_ - k) * sizeof(packed_x));
      } else {
        const x_code* row = cursor.next(reinterpret_cast<x_code*>(buffers));
        std::memset(x + k, 0, (row_stride_ - k) * sizeof(packed_x));
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
      if constexpr (Atom::in_place) {
        packed_x* end = compact(row, mask, k, x);
        std::memset(end, 0, window::window * sizeof(packed_x));
      } else {
        const auto kept = static_cast<std::size_t>(compact(row, mask, k, compacted) - compacted);
        std::memset(x + kept, 0, window::window * sizeof(packed_x));
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

    alignas(alignment) acc_type tile[Atom::block_rows * block_channels_padded];
    const std::size_t kept = (std::min)(static_cast<std::size_t>(panel.kept), last_strip * shape_type::channels);
    for (std::size_t c = first_strip * shape_type::channels; c < kept;) {
      const std::size_t left = round_up(kept - c, shape_type::channels);
      const std::size_t width = (std::min)(left, block_channels);
      const block_weights block = weights_at(panel, c);
      for (std::size_t r = 0; r < rows;) {
        const std::size_t height = next_block_height<Atom>(rows - r);
        const lane_position at{m + r, panel.first_channel + c, 0, w_.weight_sums().data()};
        const std::size_t channels = (std::min)(kept - c, width);
        if constexpr (is_grouped) {
          alignas(alignment) float sums[Atom::block_rows * block_channels_padded] = {};
          multiply_by_groups(width, height, x + r * ldx, ldx, block, at.channel, channels, tile, sums);
          store_tile(sums, block_channels_padded, height, channels, 0, y_, at, stages_);
        } else {
          multiply(width, height, x + r * ldx, ldx, block, tile, block_channels_padded);
          store_tile(tile, block_channels_padded, height, channels, Atom::weight_sum_factor, y_, at, stages_);
        }
        r += height;
      }
      c += width;
    }
  }

  /// A panel some of whose channels have no weights: sums go to their places, the gaps hold epilogue(0).
  void run_panel_with_gaps(const packed_panel& panel, std::size_t m, std::size_t rows, const packed_x* x,
                           std::size_t ldx, std::byte* buffer) const noexcept {
    const std::size_t ldt = round_up(gap_channels_, 64);
    auto* tile = reinterpret_cast<acc_type*>(buffer);
    auto* spread = reinterpret_cast<acc_type*>(buffer + gap_tile_bytes());
    const index_t* kept = w_.kept_channels().data() + panel.kept_channels;
    std::memset(spread, 0, gap_tile_bytes());
    for (std::size_t r = 0; r < rows;) {
      const std::size_t height = next_block_height<Atom>(rows - r);
      for (std::size_t c = 0; c < panel.kept;) {
        const std::size_t width = (std::min)(round_up(panel.kept - c, shape_type::channels), block_channels);
        multiply(width, height, x + r * ldx, ldx, weights_at(panel, c), tile + c, ldt);
        c += width;
      }
      for (std::size_t i = 0; i < height; ++i)
        for (std::size_t c = 0; c < panel.kept; ++c) spread[i * ldt + kept[c]] = tile[i * ldt + c];
      store_tile(spread, ldt, height, panel.channels, Atom::weight_sum_factor, y_,
                 {m + r, panel.first_channel, 0, w_.weight_sums().data()}, stages_);
      r += height;
    }
  }

  /// Scales along k: the sums of one group of scales at a time, in int32, then scaled and added in float.
  void multiply_by_groups(std::size_t width, std::size_t height, const packed_x* x, std::size_t ldx,
                          block_weights block, std::size_t channel, std::size_t channels, acc_type* tile,
                          float* sums) const noexcept {
    constexpr std::size_t per_scale = granularity::group / Atom::group_k;
    const std::size_t scale_groups = ceil_div(w_.shape().k, granularity::group);
    const std::size_t all_groups = block.groups;
    for (std::size_t s = 0; s < scale_groups; ++s) {
      block.groups = (std::min)(per_scale, all_groups - s * per_scale);
      multiply(width, height, x + s * granularity::group, ldx, block, tile, block_channels_padded);
      block.words += per_scale / groups_per_word * shape_type::channels;
      for (std::size_t r = 0; r < height; ++r)
        for (std::size_t c = 0; c < channels; ++c) {
          const std::size_t i = (channel + c) * scale_groups + s;
          const std::int32_t sum =
              tile[r * block_channels_padded + c] + Atom::weight_sum_factor * w_.weight_sums()[i];
          sums[r * block_channels_padded + c] += static_cast<float>(sum) * w_.scales()[i];
        }
    }
  }

  block_weights weights_at(const packed_panel& panel, std::size_t channel) const noexcept {
    const std::size_t strip = channel / shape_type::channels;
    block_weights block;
    block.groups = panel.groups;
    block.strip_words = ceil_div(panel.groups, groups_per_word) * shape_type::channels;
    block.words = w_.words().data() + panel.words + strip * block.strip_words + channel % shape_type::channels;
    block.addresses = w_.addresses().data() + panel.addresses;
    block.strip_selects = window::is_private ? block.groups * shape_type::channels * Atom::group_k : 0;
    block.selects = w_.selects().data() + panel.selects + strip * block.strip_selects +
                    (window::is_private ? channel % shape_type::channels * Atom::group_k : 0);
    return block;
  }

  void multiply(std::size_t width, std::size_t height, const packed_x* x, std::size_t ldx, const block_weights& block,
                acc_type* tile, std::size_t ldt) const noexcept {
    if (width == block_channels)
      rows_block<Atom, numeric_type, shape_type, k_map, row_select, registers>(height, x, ldx, block, tile, ldt);
    else if constexpr (strip_registers < registers)
      rows_block<Atom, numeric_type, shape_type, k_map, row_select, strip_registers>(height, x, ldx, block, tile, ldt);
  }

  static constexpr std::size_t block_channels_padded = (block_channels + 15) / 16 * 16;

  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  bool reads_in_place_ = false;
  std::size_t row_stride_ = 0;
  std::size_t block_rows_ = 0;
  std::size_t gap_channels_ = 0;
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

/// The sums X W^T, m x n row-major: int32 for integers (exact while they fit), double for floats.
/// O(m x slots).
template <class X, format F, numeric N, quantization_granularity G>
auto reference_gemm(matrix_view<X> x, const tensor_view<F, N, G>& w) {
  using sum_type = std::conditional_t<N::is_integer, std::int32_t, double>;
  std::vector<sum_type> y(x.rows * w.shape().n);
  detail::for_each_slot(w.index, [&](std::size_t slot, std::size_t n, std::size_t k) {
    const auto weight = static_cast<sum_type>(load_code<N>(w.values.data(), slot));
    for (std::size_t m = 0; m < x.rows; ++m) y[m * w.shape().n + n] += static_cast<sum_type>(x(m, k)) * weight;
  });
  return y;
}

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
// the cache; a 1x1 kernel without padding reads X where it lies.

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

/// The loop that reads a packed type.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
struct loop_for {
  using type = panel_loop<Packed, Atom, Source, Y, Epilogue>;
};
template <class N, class G, class Shape, class Atom, class Source, class Y, class Epilogue>
struct loop_for<packed_columns_view<N, G, Shape>, Atom, Source, Y, Epilogue> {
  using type = column_loop<packed_columns_view<N, G, Shape>, Atom, Source, Y, Epilogue>;
};

/// Where X and Y lie: by rows for every loop, by columns for the columns loop alone.
template <class T>
inline constexpr bool is_k_major_v = false;
template <class T>
inline constexpr bool is_k_major_v<k_major_view<T>> = true;
template <class View>
concept activations = is_k_major_v<View> || std::is_same_v<View, matrix_view<std::remove_reference_t<decltype(*View::data)>>>;
template <class View>
using element_of = std::remove_cvref_t<decltype(*View::data)>;

template <class X>
strided_rows<std::remove_const_t<X>> source_of(const matrix_view<X>& x) { return {x}; }
template <class X>
k_major_rows<std::remove_const_t<X>> source_of(const k_major_view<X>& x) { return {x}; }

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

template <class X, class Packed, class Atoms, class... Stages>
constexpr void check_types() {
  using atom = atom_for<numeric_of_t<X>, typename Packed::numeric_type, typename Packed::panel_shape_type, Atoms>;
  static_assert(!std::is_same_v<atom, no_atom>,
                "sparq: no kernel multiplies this type of X by these weights; floats meet f32, bytes meet integer "
                "weights packed in panel_shape<16, 4> or column_shape<4, 4>");
  static_assert(!requires { Packed::granularity::group; } ||
                    !(std::is_same_v<Stages, subtract_zero_point> || ... || false),
                "sparq: scales along k leave no sum to correct; use activations with zero point 0");
  if constexpr (requires { Packed::granularity::group; })
    static_assert(Packed::granularity::group % 32 == 0,
                  "sparq: kernels take scales along k in groups of a multiple of 32; use per_group<32>");
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

/// An operation and how it is cut: what runs, what it needs, and what explain() tells.
template <class Atoms, class Source, class Packed, class Y, class Epilogue>
class operation {
 public:
  using atom = atom_for<numeric_of_t<typename Source::element>, typename Packed::numeric_type,
                        typename Packed::panel_shape_type, Atoms>;
  using loop_type = typename loop_for<Packed, atom, Source, Y, Epilogue>::type;

  operation(const Source& source, std::size_t m, const Packed& w, const Y& y, const Epilogue& stages,
            std::size_t concurrency)
      : loop_(w, source, y, stages),
        m_(m),
        grid_(work_grid::make(concurrency, m, loop_type::block_rows, loop_.strips())) {}

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

template <class XView, class YView>
status check_operands(const XView& x, weight_shape w, const YView& y) {
  if (x.columns != w.k)
    return status::failure("gemm: X is " + extent_text(x) + ", W is " + to_string(w) + "; X needs " +
                           std::to_string(w.k) + " columns");
  if (y.rows != x.rows || y.columns != w.n)
    return status::failure("gemm: Y is " + extent_text(y) + ", it needs to be " + std::to_string(x.rows) + " x " +
                           std::to_string(w.n));
  if (x.stride < (is_k_major_v<XView> ? x.rows : x.columns) || y.stride < (is_k_major_v<YView> ? y.rows : y.columns))
    return status::failure("gemm: a stride is less than the extent it steps over");
  return {};
}

}  // namespace machine

/// Y = epilogue(X W^T).
/// - `x`: m x k, u8, s8 or f32; `w`: packed n x k; `y`: m x n, s32, f32, s8 or u8, must not overlap x or w. Each is a
///   matrix_view, or a k_major_view where w is packed for the columns loop
/// - `stages`: see kernel/epilogue.hpp; empty for plain s32 or f32 sums
/// - `executor`: runs the parts of the work; `scratch`: as many bytes as explain_gemm says
/// Integer sums are exact int32 on every CPU for any input, as long as they fit; float sums add in the order of k.
/// Rows of Y whose channel is pruned hold epilogue(0). Nothing is written when an error is returned.
/// Errors: extents that do not match, epilogue parameters that do not match, a fixed workspace that is too small.
/// Complexity O(m x stored weights).
template <class Atoms = default_atoms, machine::activations X, class W, machine::activations Y, class... Stages,
          executor Executor>
status try_gemm(X x, const W& w, Y y, const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  const auto packed = machine::packed_of(w);
  using packed_type = std::remove_cvref_t<decltype(packed)>;
  machine::check_layouts<X, Y, packed_type>();
  machine::check_types<machine::element_of<X>, packed_type, Atoms, Stages...>();
  if (status s = machine::check_operands(x, packed.shape(), y); !s.ok()) return s;
  if (status s = stages.check(y.rows, y.columns); !s.ok()) return s;
  const auto source = machine::source_of(x);
  return machine::operation<Atoms, std::remove_const_t<decltype(source)>, packed_type, Y, epilogue<Stages...>>(
             source, x.rows, packed, y, stages, executor.concurrency())
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
  machine::check_types<machine::element_of<X>, packed_type, Atoms>();
  const auto source = machine::source_of(x);
  return machine::operation<Atoms, std::remove_const_t<decltype(source)>, packed_type, Y, epilogue<>>(
             source, x.rows, packed, y, {}, concurrency)
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

#include <span>
#include <string>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The patches of an image as rows of X; see strided_rows.
template <class X>
struct patch_rows {
  using element = X;
  static constexpr bool in_memory = false;
  static constexpr bool is_k_major = false;

  image_view<const X> x;
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
      const X* row = single_pixel() ? s_.x.pixel(image_, out_y_ * s_.window.stride_y, out_x_ * s_.window.stride_x) +
                                          s_.first_channel
                                    : gather(buffer);
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
    bool single_pixel() const {
      const window_parameters& w = s_.window;
      return w.kernel_height == 1 && w.kernel_width == 1 && w.pad_top == 0 && w.pad_left == 0 && w.pad_bottom == 0 &&
             w.pad_right == 0;
    }

    /// Unsigned arithmetic: a tap left of or above the image wraps to a huge coordinate and counts as outside.
    const X* gather(X* buffer) {
      const window_parameters& w = s_.window;
      X* out = buffer;
      const std::size_t row_elements = w.kernel_width * s_.channels;
      const std::size_t left = out_x_ * w.stride_x - w.pad_left;
      const bool one_run = w.dilation_x == 1 && s_.channels == s_.x.channels;
      const bool inside_x = left < s_.x.image_width && left + w.kernel_width <= s_.x.image_width;
      for (std::size_t ky = 0; ky < w.kernel_height; ++ky, out += row_elements) {
        const std::size_t in_y = out_y_ * w.stride_y + ky * w.dilation_y - w.pad_top;
        if (in_y >= s_.x.image_height) {
          fill(out, row_elements);
        } else if (one_run && inside_x) {
          copy_elements(s_.x.pixel(image_, in_y, left), row_elements, out);
        } else {
          for (std::size_t kx = 0; kx < w.kernel_width; ++kx) {
            const std::size_t in_x = left + kx * w.dilation_x;
            if (in_x < s_.x.image_width)
              copy_elements(s_.x.pixel(image_, in_y, in_x) + s_.first_channel, s_.channels, out + kx * s_.channels);
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

template <class X, class Packed, class Y>
status check_convolution(image_view<X> x, std::span<const Packed> groups, image_view<Y> y,
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
  const std::size_t height = window.output_height(x.image_height);
  const std::size_t width = window.output_width(x.image_width);
  if (y.images != x.images || y.image_height != height || y.image_width != width || y.channels != n)
    return wrong("Y is " + std::to_string(y.images) + " x " + std::to_string(y.image_height) + " x " +
                 std::to_string(y.image_width) + " x " + std::to_string(y.channels) + ", it needs to be " +
                 std::to_string(x.images) + " x " + std::to_string(height) + " x " + std::to_string(width) + " x " +
                 std::to_string(n));
  return {};
}

/// Runs f with the source of group g and its weights, m rows.
template <class X, class Packed, class F>
status for_group(image_view<const X> x, const Packed& w, std::size_t g, std::size_t group_count,
                 const window_parameters& window, X padding, F&& f) {
  const std::size_t channels = x.channels / group_count;
  const bool in_place = window.kernel_height == 1 && window.kernel_width == 1 && window.stride_y == 1 &&
                        window.stride_x == 1 && window.pad_top == 0 && window.pad_left == 0 &&
                        window.pad_bottom == 0 && window.pad_right == 0;
  const std::size_t height = window.output_height(x.image_height);
  const std::size_t width = window.output_width(x.image_width);
  const std::size_t m = x.images * height * width;
  if (in_place)
    return f(strided_rows<X>{matrix_view<const X>(x.data + g * channels, m, channels, x.channels)}, m, w);
  return f(patch_rows<X>{x, window, g * channels, channels, height, width, padding}, m, w);
}

/// The channels of one group as an epilogue sees them: positions count through all groups.
template <class Epilogue>
struct group_epilogue {
  const Epilogue* stages;
  std::size_t first_channel;
  const std::int32_t* weight_sums;

  template <class Lanes>
  SPARQ_INLINE auto operator()(const Lanes& v, lane_position at) const {
    at.channel += first_channel;
    at.weight_sums = weight_sums - first_channel;
    return (*stages)(v, at);
  }
};

}  // namespace machine

/// Grouped convolution: group g multiplies its share of X's channels by `groups[g]`.
/// - `x`: NHWC, u8, s8 or f32; `y`: NHWC, s32, f32, s8 or u8; must not overlap
/// - `groups[g]`: packed, n / groups x (kernel_height x kernel_width x channels / groups), k in that order (OHWI)
/// - `padding`: what X is beyond its border; the zero point of X, so that padded taps cancel
/// - `stages`, `executor`, `scratch`: as in gemm; channels count through all groups
/// Errors: extents that do not match, a window that does not fit, a fixed workspace that is too small.
template <class Atoms = default_atoms, class X, class Packed, class Y, class... Stages, executor Executor>
status try_conv2d(image_view<X> x, std::span<const Packed> groups, image_view<Y> y, const window_parameters& window,
                  std::remove_const_t<X> padding, const epilogue<Stages...>& stages, Executor&& executor,
                  workspace& scratch) {
  using x_type = std::remove_const_t<X>;
  using packed_type = std::remove_cvref_t<decltype(machine::packed_of(groups[0]))>;
  machine::check_types<x_type, packed_type, Atoms, Stages...>();
  if (status s = machine::check_convolution(x, groups, y, window); !s.ok()) return s;
  const std::size_t m = y.images * y.image_height * y.image_width;
  if (status s = stages.check(m, y.channels); !s.ok()) return s;
  std::size_t first_channel = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const packed_type w = machine::packed_of(groups[g]);
    const matrix_view<Y> out(y.data + first_channel, m, w.shape().n, y.channels);
    const machine::group_epilogue<epilogue<Stages...>> shifted{&stages, first_channel, w.weight_sums().data()};
    status result = machine::for_group<x_type>(
        x, w, g, groups.size(), window, padding, [&](const auto& source, std::size_t rows, const packed_type& weights) {
          using source_type = std::remove_cvref_t<decltype(source)>;
          return machine::operation<Atoms, source_type, packed_type, matrix_view<Y>, std::remove_const_t<decltype(shifted)>>(
                     source, rows, weights, out, shifted, executor.concurrency())
              .run(executor, scratch);
        });
    if (!result.ok()) return result;
    first_channel += w.shape().n;
  }
  return {};
}

/// Convolution without groups.
template <class Atoms = default_atoms, class X, class W, class Y, class... Stages, executor Executor>
status try_conv2d(image_view<X> x, const W& w, image_view<Y> y, const window_parameters& window,
                  std::remove_const_t<X> padding, const epilogue<Stages...>& stages, Executor&& executor,
                  workspace& scratch) {
  const auto packed = machine::packed_of(w);
  return try_conv2d<Atoms>(x, std::span<const std::remove_const_t<decltype(packed)>>(&packed, 1), y, window, padding,
                           stages, executor, scratch);
}

/// Throwing twin of try_conv2d, for one group or several.
template <class Atoms = default_atoms, class X, class W, class Y, class... Stages, executor Executor>
void conv2d(image_view<X> x, const W& w, image_view<Y> y, const window_parameters& window,
            std::remove_const_t<X> padding, const epilogue<Stages...>& stages, Executor&& executor,
            workspace& scratch) {
  try_conv2d<Atoms>(x, w, y, window, padding, stages, executor, scratch).value();
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

// ==== sparq/op/window.hpp ====
// What operations share that slide a window over every channel of an image by itself: their arguments' checks, and the
// cutting of their work into rows of the output.

#include <algorithm>
#include <cstddef>
#include <string>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The window fits into X, and Y has one pixel for each of its positions; channels are the operation's own business.
template <class X, class Y>
status check_window(const char* op, image_view<X> x, image_view<Y> y, const window_parameters& window) {
  if (status s = window.check(x.image_height, x.image_width); !s.ok())
    return status::failure(std::string(op) + ": " + s.message());
  const image_view<Y> wanted(nullptr, x.images, window.output_height(x.image_height),
                             window.output_width(x.image_width), y.channels);
  if (y.images == wanted.images && y.image_height == wanted.image_height && y.image_width == wanted.image_width)
    return {};
  return status::failure(std::string(op) + ": Y is " + extent_text(y) + ", it needs to be " + extent_text(wanted));
}

/// f(image, y) for every row of the output's pixels; each part of the work is a run of rows.
template <class Y, class Executor, class F>
void for_each_output_row(image_view<Y> out, Executor& executor, const F& f) {
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

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

template <class X, class W, class Y>
status check_depthwise(image_view<X> x, std::span<W> weights, image_view<Y> y, const window_parameters& window) {
  if (status s = check_window("depthwise_conv2d", x, y, window); !s.ok()) return s;
  const auto wrong = [](const std::string& what) { return status::failure("depthwise_conv2d: " + what); };
  if (x.channels == 0 ? y.channels != 0 : y.channels % x.channels != 0)
    return wrong("Y has " + std::to_string(y.channels) + " channels, that is no multiple of the " +
                 std::to_string(x.channels) + " channels of X");
  if (weights.size() != window.taps() * y.channels)
    return wrong(std::to_string(weights.size()) + " weights; kernel_height x kernel_width x channels of Y = " +
                 std::to_string(window.kernel_height) + " x " + std::to_string(window.kernel_width) + " x " +
                 std::to_string(y.channels) + " are needed");
  return {};
}

/// One row of pixels of the output.
template <class X, class W, class Y, class Epilogue>
class depthwise_row {
 public:
  depthwise_row(image_view<const X> x, const W* weights, image_view<Y> y, const window_parameters& window,
                X x_zero_point, const Epilogue& stages, std::size_t image, std::size_t out_y)
      : x_(x),
        weights_(weights),
        y_(y),
        window_(window),
        zero_point_(x_zero_point),
        stages_(stages),
        multiplier_(y.channels / x.channels),
        image_(image),
        out_y_(out_y),
        rows_(window.taps_inside_y(out_y, x.image_height)) {}

  void run() const noexcept {
    const std::size_t channels = y_.channels;
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
  using acc_type = std::conditional_t<std::is_same_v<X, float>, float, std::int32_t>;

  /// f(pixel of X, weights of the tap) for the taps of output column x that lie inside the image.
  template <class F>
  SPARQ_INLINE void for_each_tap(std::size_t out_x, const F& f) const {
    const tap_range columns = window_.taps_inside_x(out_x, x_.image_width);
    for (std::size_t ky = rows_.first; ky < rows_.end; ++ky) {
      const X* pixel = x_.pixel(image_, rows_.pixel + (ky - rows_.first) * window_.dilation_y, columns.pixel);
      const W* w = weights_ + (ky * window_.kernel_width + columns.first) * y_.channels;
      for (std::size_t i = 0; i < columns.count(); ++i)
        f(pixel + i * window_.dilation_x * x_.channels, w + i * y_.channels);
    }
  }

  /// Computes channels [first, first + 16 V) and stores those from `stored` on.
  template <std::size_t V>
  void run_block(std::size_t first, std::size_t stored) const noexcept {
    constexpr std::size_t channels = 16 * V;
    std::array<std::size_t, channels> source;  // channel of X for each channel
    for (std::size_t c = 0; c < channels; ++c) source[c] = (first + c) / multiplier_;
    for (std::size_t out_x = 0; out_x < y_.image_width; ++out_x) {
      vec<acc_type> acc[V];
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j] = vec<acc_type>(acc_type{});
      const auto add = [&](const X* x, const W* w) SPARQ_LAMBDA_INLINE {
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j] =
            multiply_add(acc[j], x + 16 * j, zero_point_, w + 16 * j);
      };
      if (multiplier_ == 1)
        for_each_tap(out_x, [&](const X* pixel, const W* w) SPARQ_LAMBDA_INLINE { add(pixel + first, w + first); });
      else
        for_each_tap(out_x, [&](const X* pixel, const W* w) SPARQ_LAMBDA_INLINE {
          std::array<X, channels> repeated;
          for (std::size_t c = 0; c < channels; ++c) repeated[c] = pixel[source[c]];
          add(repeated.data(), w + first);
        });
      alignas(alignment) std::array<acc_type, channels> tile;
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[j].store(tile.data() + 16 * j);
      store(tile.data() + (stored - first), out_x, stored, first + channels - stored);
    }
  }

  void run_few_channels() const noexcept {
    for (std::size_t out_x = 0; out_x < y_.image_width; ++out_x) {
      std::array<acc_type, 16> sums{};
      for_each_tap(out_x, [&](const X* pixel, const W* w) {
        for (std::size_t c = 0; c < y_.channels; ++c) {
          if constexpr (std::is_same_v<X, float>)
            sums[c] += (pixel[c / multiplier_] - zero_point_) * w[c];
          else
            sums[c] += byte_product(pixel[c / multiplier_], zero_point_, w[c]);
        }
      });
      store(sums.data(), out_x, 0, y_.channels);
    }
  }

  SPARQ_INLINE void store(const acc_type* tile, std::size_t out_x, std::size_t first, std::size_t channels) const {
    const std::size_t m = (image_ * y_.image_height + out_y_) * y_.image_width + out_x;
    store_tile(tile, 0, 1, channels, 0, y_.as_matrix(), {m, first, 0, nullptr}, stages_);
  }

  image_view<const X> x_;
  const W* weights_;
  image_view<Y> y_;
  window_parameters window_;
  X zero_point_;
  const Epilogue& stages_;
  std::size_t multiplier_;
  std::size_t image_;
  std::size_t out_y_;
  tap_range rows_;
};

}  // namespace machine

/// Y[o] = epilogue(sum over taps of (X[o / multiplier] - x_zero_point) * W[tap][o]), multiplier = channels of Y / of X.
/// - `x`: NHWC, u8, s8 or f32; `y`: NHWC, s32, f32, s8 or u8; must not overlap
/// - `weights`: kernel_height x kernel_width x channels of Y (HWO), codes of s8 for bytes, floats for f32
/// - `x_zero_point`: subtracted from X here, without an epilogue stage; padded taps contribute nothing
/// - `stages`: see kernel/epilogue.hpp, without subtract_zero_point; rows are pixels of Y
/// Integer sums are exact int32 for any input up to 65793 taps; float sums add in the order of taps.
/// Nothing is written when an error is returned. Uses no scratch.
/// Errors: extents that do not match, a window that does not fit, epilogue parameters that do not match.
/// Complexity O(pixels of Y x taps x channels of Y).
template <class X, class W, class Y, class... Stages, executor Executor>
status try_depthwise_conv2d(image_view<X> x, std::span<W> weights, image_view<Y> y, const window_parameters& window,
                            std::remove_const_t<X> x_zero_point, const epilogue<Stages...>& stages,
                            Executor&& executor) {
  using x_type = std::remove_const_t<X>;
  using w_type = std::remove_const_t<W>;
  static_assert(std::is_same_v<x_type, float> ? std::is_same_v<w_type, float>
                                              : sizeof(x_type) == 1 && std::is_same_v<w_type, std::int8_t>,
                "sparq: depthwise_conv2d takes std::int8_t weights for u8 or s8 activations and float weights for f32");
  static_assert(!(std::is_same_v<Stages, subtract_zero_point> || ... || false),
                "sparq: depthwise_conv2d subtracts the zero point of X itself; leave subtract_zero_point out");
  if (status s = machine::check_depthwise(x, weights, y, window); !s.ok()) return s;
  if (status s = stages.check(y.pixels(), y.channels); !s.ok()) return s;
  if (y.channels == 0) return {};
  machine::for_each_output_row(y, executor, [&](std::size_t image, std::size_t out_y) {
    machine::depthwise_row<x_type, w_type, Y, epilogue<Stages...>>(x, weights.data(), y, window, x_zero_point, stages,
                                                                   image, out_y)
        .run();
  });
  return {};
}

/// Throwing twin of try_depthwise_conv2d.
template <class X, class W, class Y, class... Stages, executor Executor>
void depthwise_conv2d(image_view<X> x, std::span<W> weights, image_view<Y> y, const window_parameters& window,
                      std::remove_const_t<X> x_zero_point, const epilogue<Stages...>& stages, Executor&& executor) {
  try_depthwise_conv2d(x, weights, y, window, x_zero_point, stages, executor).value();
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/elementwise.hpp ====
// Operations on each element by itself: sums and products of two tensors, rectified values, and the step between real
// numbers and codes. All of them take spans of one length; cut the spans to run parts on several threads. Where the
// arguments are not spans yet, name the element type: elementwise_add<std::int8_t>(a, b, y, parameters).
//
// Quantized sums and products are those of TFLite: each operand is brought to a common scale in int32, the result to
// its own (numeric/requantize.hpp, tflite_double), rounding every time.

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

  /// As TFLite prepares Add: both operands are brought to a common scale, twice the larger of theirs.
  /// Errors: a scale that is not positive and finite, a factor that tflite_double cannot hold.
  template <elementwise_code T>
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

/// TFLite's fixed-point value of a real factor.
inline status set_scale(const char* op, double factor, tflite_double::parameters& to) {
  const auto scale = tflite_double::try_from_real(factor);
  if (!scale) return status::failure(std::string(op) + ": " + scale.error().message());
  to = *scale;
  return {};
}

}  // namespace machine

template <elementwise_code T>
expected<add_parameters> add_parameters::try_from(const activation_quantization& left,
                                                  const activation_quantization& right,
                                                  const activation_quantization& output) {
  if (status s = machine::check_scales("elementwise_add", {left.scale, right.scale, output.scale}); !s.ok()) return s;
  add_parameters p;
  p.left_shift = sizeof(T) == 1 ? 20 : 15;
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

/// The sum of two quantized tensors, bit-exact with TFLite Add. Y may be one of the operands.
/// Errors: spans of different lengths, parameters out of range.
template <elementwise_code T>
status try_elementwise_add(std::span<const T> left, std::span<const T> right, std::span<T> y,
                           const add_parameters& p) {
  constexpr const char* op = "elementwise_add";
  if (status s = machine::check_sizes(op, left.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_sizes(op, right.size(), y.size()); !s.ok()) return s;
  if (status s = machine::check_number(op, "left_shift", p.left_shift, 0, 30); !s.ok()) return s;
  for (const elementwise_input* input : {&p.left, &p.right}) {
    if (status s = machine::check_offset(op, "offset", input->offset); !s.ok()) return s;
    if (status s = input->scale.validate(); !s.ok()) return status::failure(std::string(op) + ": " + s.message());
  }
  if (status s = machine::check_output<T>(op, p.output); !s.ok()) return s;
  const auto scaled = [&](T x, const elementwise_input& input) -> std::int64_t {
    const std::int64_t value = std::int64_t{x} + input.offset;
    return tflite_double::apply(saturate_to_int32(value * (std::int64_t{1} << p.left_shift)), input.scale);
  };
  for (std::size_t i = 0; i < y.size(); ++i)
    y[i] = machine::output_code<T>(saturate_to_int32(scaled(left[i], p.left) + scaled(right[i], p.right)), p.output);
  return {};
}

/// The product of two quantized tensors, bit-exact with TFLite Mul. Y may be one of the operands.
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
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::int64_t product = (std::int64_t{left[i]} + p.left_offset) * (std::int64_t{right[i]} + p.right_offset);
    y[i] = machine::output_code<T>(saturate_to_int32(product), p.output);
  }
  return {};
}

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
template <elementwise_code T>
void elementwise_add(std::span<const T> left, std::span<const T> right, std::span<T> y, const add_parameters& p) {
  try_elementwise_add<T>(left, right, y, p).value();
}
template <elementwise_code T>
void elementwise_multiply(std::span<const T> left, std::span<const T> right, std::span<T> y,
                          const multiply_parameters& p) {
  try_elementwise_multiply<T>(left, right, y, p).value();
}
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

// ==== sparq/op/gemm_sum.hpp ====
// A product with the sum of two weight tensors, added before the epilogue: W = a structured part + a remainder, for
// example tile-wise pruning that gives some of the best pruned weights back (TEW, arXiv 2008.13006).

#include <type_traits>

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

template <class Acc, class... Stages>
auto with_addend(matrix_view<Acc> addend, const epilogue<Stages...>& stages) {
  return std::apply([&](const auto&... stage) { return epilogue(add(addend), stage...); }, stages.stages);
}

}  // namespace machine

/// Y = epilogue(X (A + B)^T).
/// - `x`: m x k by rows; `a`, `b`: packed n x k of the same numeric kind, for whichever loops; the rest as in gemm
/// - `scratch`: m n sums of 4 bytes beside what explain_gemm says for the larger of both products
/// Integer sums are exact; float sums add A's part to B's. Nothing is written when an error is returned.
/// Errors: those of gemm for either tensor. Complexity O(m x stored weights of both).
template <class Atoms = default_atoms, class X, class A, class B, class Y, class... Stages, executor Executor>
status try_gemm_sum(matrix_view<X> x, const A& a, const B& b, matrix_view<Y> y, const epilogue<Stages...>& stages,
                    Executor&& executor, workspace& scratch) {
  using numeric_type = typename decltype(machine::packed_of(a))::numeric_type;
  static_assert(numeric_type::is_integer == decltype(machine::packed_of(b))::numeric_type::is_integer,
                "sparq: two tensors add up when both hold integers or both hold floats");
  using acc_type = std::conditional_t<numeric_type::is_integer, std::int32_t, float>;
  const std::size_t parts = executor.concurrency();
  if (status s = machine::check_operands(x, machine::packed_of(a).shape(), y); !s.ok()) return s;
  if (status s = machine::check_operands(x, machine::packed_of(b).shape(), y); !s.ok()) return s;
  if (status s = stages.check(y.rows, y.columns); !s.ok()) return s;
  const std::size_t sum_bytes = round_up(y.rows * y.columns * sizeof(acc_type), alignment);
  const std::size_t work_bytes =
      (std::max)(explain_gemm<std::remove_const_t<X>, acc_type, Atoms>(x.rows, a, parts).workspace_bytes,
                 explain_gemm<std::remove_const_t<X>, Y, Atoms>(x.rows, b, parts).workspace_bytes);
  const auto bytes = scratch.try_reserve(sum_bytes + work_bytes);
  if (!bytes) return bytes.error();
  const matrix_view<acc_type> sums(reinterpret_cast<acc_type*>(*bytes), y.rows, y.columns);
  workspace rest(std::span<std::byte>(*bytes + sum_bytes, work_bytes));
  if (status s = try_gemm<Atoms>(x, a, sums, machine::zero_point_stages(stages), executor, rest); !s.ok()) return s;
  return try_gemm<Atoms>(x, b, y, machine::with_addend(sums, stages), executor, rest);
}

/// Throwing twin of try_gemm_sum.
template <class Atoms = default_atoms, class X, class A, class B, class Y, class... Stages, executor Executor>
void gemm_sum(matrix_view<X> x, const A& a, const B& b, matrix_view<Y> y, const epilogue<Stages...>& stages,
              Executor&& executor, workspace& scratch) {
  try_gemm_sum<Atoms>(x, a, b, y, stages, executor, scratch).value();
}

SPARQ_ABI_END
}  // namespace sparq

// ==== sparq/op/pool.hpp ====
// Largest and average value of a window, for each channel by itself. Padding never takes part in a maximum; an average
// leaves it out or counts it as the real number 0. Integer averages round half away from zero, as TFLite.

#include <array>
#include <cstdint>
#include <limits>
#include <type_traits>

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

template <class T, class X, class Y>
constexpr void check_pool_types() {
  static_assert(std::is_same_v<std::remove_const_t<X>, T> && std::is_same_v<Y, T>,
                "sparq: a pool's X and Y hold the same type; convert one of them first");
  static_assert(std::is_same_v<T, float> || sizeof(T) == 1, "sparq: pools take float, std::int8_t or std::uint8_t");
}

/// The taps of a window as pixels, and no window that lies in the padding as a whole.
template <class T>
class pool_operation {
 public:
  static constexpr bool is_float = std::is_same_v<T, float>;
  using sum_type = std::conditional_t<is_float, float, std::int32_t>;

  pool_operation(image_view<const T> x, image_view<T> y, const window_parameters& window, value_range<T> range)
      : x_(x), y_(y), window_(window), range_(range) {}

  status check(const char* op) const {
    if (status s = check_window(op, x_, y_, window_); !s.ok()) return s;
    const auto wrong = [&](const std::string& what) { return status::failure(std::string(op) + ": " + what); };
    if (x_.channels != y_.channels)
      return wrong("X has " + std::to_string(x_.channels) + " channels, Y has " + std::to_string(y_.channels));
    if (!(range_.low <= range_.high))
      return wrong("the range from " + number_text(range_.low) + " to " + number_text(range_.high) + " is empty");
    if (y_.pixels() == 0) return {};
    for (std::size_t y = 0; y < y_.image_height; ++y)
      if (window_.taps_inside_y(y, x_.image_height).count() == 0)
        return wrong("the window of output row " + std::to_string(y) + " lies in the padding");
    for (std::size_t x = 0; x < y_.image_width; ++x)
      if (window_.taps_inside_x(x, x_.image_width).count() == 0)
        return wrong("the window of output column " + std::to_string(x) + " lies in the padding");
    return {};
  }

  template <class Executor>
  void largest(Executor& executor) const {
    for_each_output_row(y_, executor, [&](std::size_t image, std::size_t out_y) {
      for_each_block(image, out_y, [&](const window_taps& taps, T* to, std::size_t first, std::size_t channels) {
        std::array<T, block_channels> most;
        most.fill(range_.low);
        for_each_tap(taps, [&](const T* pixel) {
          for (std::size_t c = 0; c < channels; ++c) most[c] = pixel[first + c] > most[c] ? pixel[first + c] : most[c];
        });
        for (std::size_t c = 0; c < channels; ++c) to[c] = range_.clamp(most[c]);
      });
    });
  }

  template <class Executor>
  void average(average_padding<T> padding, Executor& executor) const {
    for_each_output_row(y_, executor, [&](std::size_t image, std::size_t out_y) {
      for_each_block(image, out_y, [&](const window_taps& taps, T* to, std::size_t first, std::size_t channels) {
        const std::size_t inside = taps.rows.count() * taps.columns.count();
        const std::size_t outside = padding.counts ? window_.taps() - inside : 0;
        std::array<sum_type, block_channels> sums;
        sums.fill(static_cast<sum_type>(outside) * static_cast<sum_type>(padding.zero_point));
        for_each_tap(taps, [&](const T* pixel) {
          for (std::size_t c = 0; c < channels; ++c) sums[c] += pixel[first + c];
        });
        const auto count = static_cast<sum_type>(inside + outside);
        for (std::size_t c = 0; c < channels; ++c) to[c] = range_.clamp(quotient(sums[c], count));
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

  /// Rounded half away from zero; floats are not rounded. Integers divide as doubles, because vectors can do that: the
  /// quotient is at most 256 and, if no integer, at least 2^-23 away from one, so truncation is exact.
  static T quotient(sum_type sum, sum_type count) {
    if constexpr (is_float)
      return sum / count;
    else
      return static_cast<T>(static_cast<sum_type>(static_cast<double>(sum + (sum > 0 ? count / 2 : -(count / 2))) /
                                                  static_cast<double>(count)));
  }

  /// f(taps, where the block's first channel goes, first channel, channels) for all pixels of a row.
  template <class F>
  void for_each_block(std::size_t image, std::size_t out_y, const F& f) const noexcept {
    window_taps taps{image, window_.taps_inside_y(out_y, x_.image_height), {}};
    for (std::size_t out_x = 0; out_x < y_.image_width; ++out_x) {
      taps.columns = window_.taps_inside_x(out_x, x_.image_width);
      for (std::size_t first = 0; first < y_.channels; first += block_channels)
        f(taps, y_.pixel(image, out_y, out_x) + first, first, (std::min)(block_channels, y_.channels - first));
    }
  }

  template <class F>
  void for_each_tap(const window_taps& taps, const F& f) const {
    for (std::size_t ky = 0; ky < taps.rows.count(); ++ky)
      for (std::size_t kx = 0; kx < taps.columns.count(); ++kx)
        f(x_.pixel(taps.image, taps.rows.pixel + ky * window_.dilation_y,
                   taps.columns.pixel + kx * window_.dilation_x));
  }

  image_view<const T> x_;
  image_view<T> y_;
  window_parameters window_;
  value_range<T> range_;
};

}  // namespace machine

/// Y = the largest value of the window that lies inside the image, clamped to `range`.
/// - `x`, `y`: NHWC, s8, u8 or f32, of one type; must not overlap
/// Nothing is written when an error is returned. NaN is skipped.
/// Errors: extents that do not match, a window that lies in the padding as a whole, an empty range.
template <class X, class Y, executor Executor>
status try_max_pool2d(image_view<X> x, image_view<Y> y, const window_parameters& window, value_range<Y> range,
                      Executor&& executor) {
  machine::check_pool_types<Y, X, Y>();
  const machine::pool_operation<Y> operation(x, y, window, range);
  if (status s = operation.check("max_pool2d"); !s.ok()) return s;
  operation.largest(executor);
  return {};
}

/// Y = sum / count over the window's taps inside the image, clamped to `range`. Integers are rounded half away from
/// zero, as TFLite AveragePool2D.
/// - `x`, `y`: NHWC, s8, u8 or f32, of one type and, for bytes, one scale and zero point; must not overlap
/// - `padding`: whether padded taps count, and as what
/// Nothing is written when an error is returned.
/// Errors: extents that do not match, a window that lies in the padding as a whole, an empty range, over 2^23 taps.
template <class X, class Y, executor Executor>
status try_average_pool2d(image_view<X> x, image_view<Y> y, const window_parameters& window, value_range<Y> range,
                          average_padding<Y> padding, Executor&& executor) {
  machine::check_pool_types<Y, X, Y>();
  const machine::pool_operation<Y> operation(x, y, window, range);
  if (status s = operation.check("average_pool2d"); !s.ok()) return s;
  if (window.taps() > std::size_t{1} << 23)
    return status::failure("average_pool2d: sums of " + std::to_string(window.taps()) +
                           " taps do not fit into int32; at most 2^23 do");
  operation.average(padding, executor);
  return {};
}

/// Throwing twins.
template <class X, class Y, executor Executor>
void max_pool2d(image_view<X> x, image_view<Y> y, const window_parameters& window, value_range<Y> range,
                Executor&& executor) {
  try_max_pool2d(x, y, window, range, executor).value();
}
template <class X, class Y, executor Executor>
void average_pool2d(image_view<X> x, image_view<Y> y, const window_parameters& window, value_range<Y> range,
                    average_padding<Y> padding, Executor&& executor) {
  try_average_pool2d(x, y, window, range, padding, executor).value();
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

// ==== sparq/plan/choose_loop.hpp ====
// Which loop multiplies a tensor fastest: `rows` or `columns`. The estimate counts what each loop does and weighs it with
// cycles that were measured for each instruction set (docs/performance.md says where, and how far it is off).

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>

namespace sparq {

/// A way to multiply.
enum class loop_kind { rows, columns };
inline std::string_view to_string(loop_kind loop) { return loop == loop_kind::rows ? "rows" : "columns"; }

/// How X and Y lie in memory.
enum class x_layout { row_major, k_major };

SPARQ_ABI_BEGIN

/// Estimated cycles of one product.
struct loop_costs {
  double rows = 0;
  double columns = 0;
  loop_kind best() const { return rows <= columns ? loop_kind::rows : loop_kind::columns; }
};

namespace machine {

/// Cycles of both loops. A strip group is group_k k's of 16 channels, for one row of X; the rest is for one block of
/// column_rows rows.
struct loop_cycles {
  double strip_group, private_strip_group, shared_strip_group;  // rows: plain, and with a permute of X
  double few_rows_strip_group, few_rows_private;                // at least, however few the rows
  double column_rows, group, add, step;                         // columns
  bool overlaps;                                                // loads of groups and adds use different ports
  double gathered_group, gathered_add, gathered_step;           // columns of few rows, one row
};

/// AVX2: measured on Zen 3. AVX-512: from instruction counts, not measured.
template <bool IsInteger>
constexpr loop_cycles cycles_of_this_isa() {
  if constexpr (SPARQ_HAS_AVX512VNNI && IsInteger)
    return {1.03, 1.38, 1.05, 2.5, 4, 64, 8, 4, 12, true, 5.2, 0.7, 8};
  else if constexpr (SPARQ_HAS_AVX512 && !IsInteger)
    return {1.05, 2.1, 1.1, 1, 2, 64, 0.5, 4, 12, false, 1.3, 0.7, 8};
  else if constexpr (SPARQ_HAS_AVX2)
    return IsInteger ? loop_cycles{2.45, 5.4, 3.9, 5, 13, 16, 1.25, 2.5, 20, false, 5.2, 0.7, 8}
                     : loop_cycles{1.09, 3.6, 1.9, 1, 3, 16, 0.55, 1.35, 16, false, 1, 0.5, 6};
  else
    return IsInteger ? loop_cycles{24, 60, 50, 24, 60, 16, 2, 24, 10, false, 4, 6, 4}
                     : loop_cycles{6, 14, 12, 6, 14, 16, 1, 6, 10, false, 1, 2, 4};
}

}  // namespace machine

/// Estimates both loops for m rows of X. O(n k).
template <format F, numeric N, quantization_granularity G>
loop_costs estimate_loops(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  using row_packer = sparq::detail::packer_for_t<default_panel_shape<N>, F, N, G>;
  using column_packer = sparq::detail::packer_for_t<default_column_shape<N>, F, N, G>;
  using window = sparq::detail::window_of<typename F::row_select, sparq::detail::rows_k_map<F>,
                                          default_panel_shape<N>::group_k>;
  constexpr machine::loop_cycles cycles = machine::cycles_of_this_isa<N::is_integer>();
  const auto rows_of_x = static_cast<double>(m);
  const auto k = static_cast<double>(w.shape().k);
  loop_costs costs;

  const row_packer row_form(w);
  // a window beyond what one permute reaches takes several
  constexpr double reach = SPARQ_HAS_AVX512 ? 16 : 8;
  const double permutes = 1 + 1.3 * (std::ceil(static_cast<double>(window::window) / reach) - 1);
  const double strip_group = window::positions_per_group == 0 ? cycles.strip_group
                             : window::is_private              ? cycles.private_strip_group * permutes
                                                               : cycles.shared_strip_group * std::sqrt(permutes);
  // bytes a cycle of weights that no cache of the core holds: from a shared cache, or from memory
  const auto bytes = static_cast<double>(row_form.bytes());
  const double bandwidth = bytes < 4e6 ? 14 : 5.6;
  costs.rows = (std::max)(static_cast<double>(row_form.strip_groups()) *
                              (std::max)(rows_of_x * strip_group,
                                         window::is_private ? cycles.few_rows_private : cycles.few_rows_strip_group),
                          bytes / bandwidth);
  costs.rows += rows_of_x * k * (std::is_same_v<typename F::k_map, list> ? 0.3 * static_cast<double>(w.index.panels()) : 0.1);

  const column_packer column_form(w);
  const auto groups = static_cast<double>(column_form.work().groups);
  const auto adds = static_cast<double>(column_form.work().adds);
  const auto steps = static_cast<double>(column_form.work().steps);
  if (m <= column_blocking::gathered_rows) {
    costs.columns = rows_of_x * (groups * cycles.gathered_group + adds * cycles.gathered_add + steps * cycles.gathered_step);
  } else {
    // a block that is half empty costs little less than a full one
    const double filled = rows_of_x / cycles.column_rows;
    const double whole = std::floor(filled);
    const double blocks = whole + (filled == whole ? 0.0 : filled - whole <= 0.5 ? 0.8 : 1.0);
    double work = cycles.overlaps ? (std::max)(groups * cycles.group, adds * cycles.add)
                                  : groups * cycles.group + adds * cycles.add;
    // a block of X beyond the first-level cache
    if (N::is_integer && k >= 1024 && sparq::detail::column_section_k(w.shape(), w.index.slots()) == w.shape().k) work *= 1.35;
    costs.columns = blocks * (work + steps * cycles.step) + rows_of_x * k * (layout == x_layout::k_major ? 0.05 : 0.15);
  }
  return costs;
}

/// The faster loop for m rows of X, as far as estimates go. O(n k).
template <format F, numeric N, quantization_granularity G>
loop_kind choose_loop(const tensor_view<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  if constexpr (requires { G::group; })
    return loop_kind::rows;  // scales along k
  else
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

#include <type_traits>
#include <utility>
#include <variant>

namespace sparq {

/// Packed for the rows loop or for the columns loop.
template <class Tensor>
class planned {
 public:
  using rows_type = packed<packed_view_of<Tensor, default_panel_shape<typename Tensor::numeric_type>>>;
  using columns_type = packed<packed_view_of<Tensor, default_column_shape<typename Tensor::numeric_type>>>;

  planned(rows_type weights) : content_(std::move(weights)) {}
  planned(columns_type weights) : content_(std::move(weights)) {}

  loop_kind loop() const { return content_.index() == 0 ? loop_kind::rows : loop_kind::columns; }
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
  std::variant<rows_type, columns_type> content_;
};

SPARQ_ABI_BEGIN

/// Packs for one loop. O(n k).
template <format F, numeric N, quantization_granularity G>
planned<tensor<F, N, G>> pack_for(const tensor<F, N, G>& w, loop_kind loop) {
  if (loop == loop_kind::rows) return pack<default_panel_shape<N>>(w);
  return pack<default_column_shape<N>>(w);
}
/// Packs for the loop that suits products of about m rows on this machine. O(n k).
template <format F, numeric N, quantization_granularity G>
planned<tensor<F, N, G>> pack_for(const tensor<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  return pack_for(w, choose_loop(w, m, layout));
}

/// As gemm with the weights that the plan holds. Errors: those of gemm, and X or Y by columns where the plan picked the
/// rows loop.
template <class Atoms = default_atoms, machine::activations X, class Tensor, machine::activations Y, class... Stages,
          executor Executor>
status try_gemm(X x, const planned<Tensor>& w, Y y, const epilogue<Stages...>& stages, Executor&& executor,
                workspace& scratch) {
  return w.visit([&]<class View>(const packed<View>& weights) -> status {
    if constexpr ((machine::is_k_major_v<X> || machine::is_k_major_v<Y>) && !requires { typename View::steps; })
      return status::failure("gemm: X or Y lies by columns, the weights are packed for the rows loop");
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
/// What gemm does with the weights that the plan holds.
template <class X, class Y, class Atoms = default_atoms, class Tensor>
explanation explain_gemm(std::size_t m, const planned<Tensor>& w, std::size_t concurrency = 1) {
  return w.visit([&](const auto& weights) { return explain_gemm<X, Y, Atoms>(m, weights, concurrency); });
}

SPARQ_ABI_END
}  // namespace sparq

