// SPDX-License-Identifier: MIT
#pragma once
// Which elements of W are kept. A mask is a first-class input: a kept zero is stored, a pruned one is not.

#include <sparq/format/shape.hpp>

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
  /// Keeps everything, or nothing. @pre validate(shape)
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

/// The mask of all elements that are not zero. @pre validate(shape), values.size() == shape.size()
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
