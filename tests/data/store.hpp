// SPDX-License-Identifier: MIT
#pragma once
// Codes as they come, in a format and under a mask that the case prescribes.

#include <sparq/tensor/tensor.hpp>

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace cases {

/// The granularity that plain codes have: one scale, which is 1.
template <class Numeric>
using plain = std::conditional_t<Numeric::is_integer, sparq::per_tensor, sparq::unquantized>;

/// A tensor that stores what `keep` keeps, zeros included.
template <class Format, class Numeric>
sparq::expected<sparq::tensor<Format, Numeric, plain<Numeric>>> store(std::span<const typename Numeric::code> weights,
                                                                      sparq::mask_view keep) {
  auto index = Format::from_mask(keep);
  if (!index) return index.error();
  sparq::aligned_buffer values(sparq::storage_bytes<Numeric>(index->slots()));
  for (std::size_t panel = 0; panel < index->panels(); ++panel)
    index->for_each_slot(panel, [&](std::size_t slot, std::size_t n, std::size_t k) {
      sparq::store_code<Numeric>(values.data(), slot, weights[n * keep.shape.k + k]);
    });
  return sparq::tensor<Format, Numeric, plain<Numeric>>::try_make(
      *std::move(index), std::move(values), std::vector<float>(Numeric::is_integer ? 1 : 0, 1.0F));
}

}  // namespace cases
