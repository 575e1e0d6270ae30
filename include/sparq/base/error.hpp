// SPDX-License-Identifier: MIT
#pragma once
// How the library says no. User data is validated where it enters; the first offending value and its position go into
// one sentence. Every entry that throws has a try_ twin that returns the same sentence as a status instead.

#include <sparq/base/config.hpp>

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
  /// @pre !failure.ok()
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
