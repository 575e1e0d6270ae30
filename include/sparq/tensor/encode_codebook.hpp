// SPDX-License-Identifier: MIT
#pragma once
// From weights, or from codes and tables that come from elsewhere, to tensors whose codes are places in tables. The
// caller says what the tables hold (compress/cluster.hpp finds good ones) and which weights share one.

#include <sparq/numeric/codebook.hpp>
#include <sparq/tensor/encode.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
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
