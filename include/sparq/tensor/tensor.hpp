// SPDX-License-Identifier: MIT
#pragma once
// A weight matrix W[n][k] in its canonical, documented form: where the slots are (format), what a code is (numeric) and
// what real number it means (quantization). Kernels run on its packed form (packed.hpp).

#include <sparq/base/error.hpp>
#include <sparq/base/memory.hpp>
#include <sparq/format/format.hpp>
#include <sparq/numeric/codec.hpp>
#include <sparq/numeric/numeric.hpp>
#include <sparq/numeric/quantization.hpp>

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
