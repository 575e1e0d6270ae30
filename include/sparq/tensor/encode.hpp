// SPDX-License-Identifier: MIT
#pragma once
// From dense matrices to tensors and back. encode and decode are exact inverses on the kept elements; an element that
// the format would have to drop is an error that names its position, never dropped.

#include <sparq/numeric/granularity.hpp>
#include <sparq/numeric/weight_quantization.hpp>
#include <sparq/tensor/tensor.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
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
        result =
            status::failure("encode: " + position_text(n, k) + " is pruned, but " + format_name + " stores it and " +
                            std::string(N::name) + " has no code for 0; keep it, or use ternary");
    });
  return result;
}

/// What encode_codes takes: 0 where a weight may be pruned, codes of N else.
template <numeric N>
bool is_code_or_zero(typename N::code value) {
  if constexpr (integer_numeric<N>)
    return is_code<N>(value) || value == 0;
  else
    return is_finite(static_cast<float>(value));
}

template <numeric N>
status check_finite(std::span<const float> weights, weight_shape shape) {
  for (std::size_t i = 0; i < weights.size(); ++i)
    if (!is_finite(static_cast<float>(static_cast<typename N::code>(weights[i]))))
      return status::failure("encode: weight " + position_text(i / shape.k, i % shape.k) + " is " +
                             number_text(weights[i]) +
                             (is_finite(weights[i]) ? ", too large for " + std::string(N::name) : ""));
  return {};
}

}  // namespace detail

/// Quantizes and stores the elements of `weights` that `keep` keeps; the others count as pruned.
/// - `weights`: shape.n x shape.k, row-major, finite
/// - scales: max |w| / max code for each scale of the granularity, binary: mean |w| (numeric/weight_quantization.hpp)
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

/// As above without a mask: keeps what is not zero. Where N has no code for 0 and the format leaves nothing out, it
/// keeps everything.
template <format F, numeric N, quantization_granularity G = default_granularity<N>>
expected<tensor<F, N, G>> try_encode(std::span<const float> weights, weight_shape shape) {
  if (status s = detail::check_extent(weights.size(), shape); !s.ok()) return s;
  if constexpr (holds_every_weight_v<F> && !has_zero_v<N>)
    return try_encode<F, N, G>(weights, shape, mask(shape, true));
  return try_encode<F, N, G>(weights, shape, nonzero_mask(weights, shape));
}

/// Stores codes that are quantized already; keeps what is not zero.
/// - `codes`: shape.n x shape.k, row-major, codes of N, or 0 where the format leaves it out
/// - `scales`: G::scale_count(n, k), positive
/// Errors: sizes, a code out of range, a NaN or infinite float, a code that the format cannot hold, a 0 that it stores
/// while N has no code for it, a scale that is not positive and finite.
template <format F, numeric N, quantization_granularity G = default_granularity<N>>
expected<tensor<F, N, G>> try_encode_codes(std::span<const typename N::code> codes, weight_shape shape,
                                           std::vector<float> scales) {
  if (status s = detail::check_extent(codes.size(), shape); !s.ok()) return s;
  for (std::size_t i = 0; i < codes.size(); ++i)
    if (!detail::is_code_or_zero<N>(codes[i]))
      return status::failure("encode: code " + number_text(static_cast<double>(codes[i])) + " at " +
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
