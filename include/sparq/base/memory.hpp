// SPDX-License-Identifier: MIT
#pragma once
// Owned memory on 64-byte boundaries. The alignment is a constant of the library, never of the compiler's flags, so
// that objects may cross translation units that were built for different machines.

#include <sparq/base/math.hpp>

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
    const std::size_t rounded = round_up(size_, alignment);
    // Where rounding up overflows: ask for more than there is, instead of for 0 bytes.
    const std::size_t taken = rounded < size_ ? size_ : rounded;
    data_ = static_cast<std::byte*>(::operator new(taken, std::align_val_t{alignment}));
    std::memset(data_, 0, taken);
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
