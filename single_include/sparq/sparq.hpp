// SPDX-License-Identifier: MIT
#pragma once
// All of sparq in one file, generated from include/sparq (cmake --build <directory> --target single_include).

// ==== sparq/sparq.hpp ====
// Everything in one include, except tensor/print.hpp (needs fmt) and testing/ (for tests of formats of your own).

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

// ---- which instructions this translation unit may use -------------------------------------------------------------
// Define SPARQ_SCALAR=1 to compile the portable code only. One flag never implies another (AVX-VNNI is not on AMD's
// AVX2 machines, AVX-512 comes in subsets), so each feature is asked for by itself.
#ifndef SPARQ_SCALAR
#define SPARQ_SCALAR 0
#endif

#if !SPARQ_SCALAR && defined(__AVX2__) && defined(__FMA__)
#define SPARQ_HAS_AVX2 1
#else
#define SPARQ_HAS_AVX2 0
#endif

#if SPARQ_HAS_AVX2 && defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#define SPARQ_HAS_AVX512 1
#else
#define SPARQ_HAS_AVX512 0
#endif

#if SPARQ_HAS_AVX512 && defined(__AVX512VNNI__)
#define SPARQ_HAS_AVX512VNNI 1
#else
#define SPARQ_HAS_AVX512VNNI 0
#endif

#if SPARQ_HAS_AVX512 && defined(__AVX512VBMI__)
#define SPARQ_HAS_AVX512VBMI 1
#else
#define SPARQ_HAS_AVX512VBMI 0
#endif

#if SPARQ_HAS_AVX512 && defined(__AVX512VBMI2__)
#define SPARQ_HAS_AVX512VBMI2 1
#else
#define SPARQ_HAS_AVX512VBMI2 0
#endif

// xsimd serves simd/vec.hpp; without it (SPARQ_NO_XSIMD, or a target that xsimd does not know) the same header falls
// back on arrays that the compiler vectorises.
#if !defined(SPARQ_NO_XSIMD) && !SPARQ_SCALAR && SPARQ_HAS_AVX2 && __has_include(<xsimd/xsimd.hpp>)
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

