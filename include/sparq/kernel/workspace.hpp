// SPDX-License-Identifier: MIT
#pragma once
// Scratch memory of operations. The caller owns it: either an object that grows when a call needs more and keeps what
// it has, or bytes of the caller's own, which never grow. A product that gets fewer bytes than it wants takes fewer
// rows of X at a time.

#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/base/memory.hpp>

#include <algorithm>
#include <cstddef>
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
  /// The same where less will do: `wanted` bytes, or all of the caller's bytes if they are at least `least`.
  expected<std::span<std::byte>> try_reserve(std::size_t wanted, std::size_t least) {
    const std::size_t size = is_fixed_ ? (std::max)((std::min)(wanted, fixed_.size()), least) : wanted;
    auto bytes = try_reserve(size);
    if (!bytes) return bytes.error();
    return std::span<std::byte>(*bytes, size);
  }
  std::size_t size() const { return is_fixed_ ? fixed_.size() : owned_.size(); }

 private:
  aligned_buffer owned_;
  std::span<std::byte> fixed_;
  bool is_fixed_ = false;
};

}  // namespace sparq
