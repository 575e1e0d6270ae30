// SPDX-License-Identifier: MIT
#pragma once
// Random weights and activations for kernels: masks that a format can hold, codes with the extremes, and slots that
// only pad filled with codes that would show.

#include <sparq/compress/prune.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/numeric/codebook.hpp>
#include <sparq/numeric/codec.hpp>
#include <sparq/tensor/tensor.hpp>

#include "tests/support/random.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq_test {

/// What the codes of an operand are. `exact` floats are small integers, whose sums do not round.
enum class value_style { any, exact, extremes, lowest, highest, zero };

inline value_style random_style(random_source& random) {
  static constexpr value_style styles[] = {value_style::any,      value_style::any,    value_style::any,
                                           value_style::exact,    value_style::exact,  value_style::exact,
                                           value_style::extremes, value_style::lowest, value_style::highest,
                                           value_style::zero};
  return random.pick(styles);
}

/// How far a float sum of k products may be off: 0 where every partial sum is an integer below 2^24.
inline double float_bound(value_style x, value_style w, std::size_t k) {
  const bool x_real = x == value_style::any, w_real = w == value_style::any;
  if (!x_real && !w_real) return 0;
  const auto products = static_cast<double>(k);  // k roundings of sums of at most k products
  return products * products * (x_real ? 1 : 64) * (w_real ? 1 : 64) * 0x1p-24;
}

template <sparq::numeric N>
typename N::code random_code(value_style style, random_source& random) {
  using code = typename N::code;
  if constexpr (sparq::has_tables<N>) {
    return static_cast<code>(random.below(N::entries));
  } else if constexpr (N::is_integer) {
    switch (style) {
      case value_style::any:
      case value_style::exact: {
        std::int32_t value = random.between(N::min_code, N::max_code);
        while (!sparq::is_code<N>(value)) value = random.between(N::min_code, N::max_code);
        return static_cast<code>(value);
      }
      case value_style::extremes: return static_cast<code>(random.chance(0.5) ? N::min_code : N::max_code);
      case value_style::lowest: return static_cast<code>(N::min_code);
      case value_style::highest: return static_cast<code>(N::max_code);
      case value_style::zero: return sparq::has_zero_v<N> ? 0 : 1;
    }
    return 0;
  } else {
    if (style == value_style::any) return static_cast<code>(random.real(-1.0F, 1.0F));
    return style == value_style::zero ? code{} : static_cast<code>(static_cast<float>(random.between(-64, 64)));
  }
}

template <sparq::numeric N>
void fill_codes(std::span<typename N::code> codes, value_style style, random_source& random) {
  for (auto& code : codes) code = random_code<N>(style, random);
}

/// Nothing, everything, one element, empty channels, empty k's, or anything.
inline sparq::mask random_weight_mask(sparq::weight_shape shape, random_source& random) {
  sparq::mask keep(shape, false);
  const std::size_t kind = random.below(10);
  if (shape.size() == 0 || kind == 0) return keep;
  if (kind == 1) return sparq::mask(shape, true);
  if (kind == 2) {
    keep.set(random.chance(0.5) ? shape.n - 1 : random.below(shape.n),
             random.chance(0.5) ? shape.k - 1 : random.below(shape.k), true);
    return keep;
  }
  static constexpr double densities[] = {0.02, 0.1, 0.3, 0.5, 0.8, 1.0};
  const double in_channel = kind < 6 ? random.pick(densities) : 1.0;
  const double in_k = kind >= 5 ? random.pick(densities) : 1.0;
  const double in_place = random.pick(densities);
  std::vector<std::uint8_t> k_kept(shape.k);
  for (auto& kept : k_kept) kept = random.chance(in_k);
  for (std::size_t n = 0; n < shape.n; ++n) {
    const bool channel_kept = random.chance(in_channel);
    for (std::size_t k = 0; k < shape.k; ++k)
      keep.set(n, k, channel_kept && k_kept[k] != 0 && random.chance(in_place));
  }
  return keep;
}

/// Drops what a format cannot hold; most formats hold every mask.
template <class Format>
struct fit_mask {
  static void apply(sparq::mask&, random_source&) {}
};

/// Of every M k's, drops kept ones at random until N are left that channels [first, last) use.
inline void thin_groups(sparq::mask& keep, std::size_t first, std::size_t last, std::size_t kept, std::size_t of,
                        random_source& random) {
  const std::size_t k_extent = keep.shape().k;
  for (std::size_t group = 0; group < k_extent; group += of) {
    std::vector<std::size_t> used;
    for (std::size_t k = group; k < (std::min)(group + of, k_extent); ++k)
      for (std::size_t n = first; n < last; ++n)
        if (keep(n, k)) {
          used.push_back(k);
          break;
        }
    for (; used.size() > kept; used.pop_back()) {
      std::swap(used[random.below(used.size())], used.back());
      for (std::size_t n = first; n < last; ++n) keep.set(n, used.back(), false);
    }
  }
}

template <std::size_t N, std::size_t M>
struct fit_mask<sparq::n_m<N, M>> {
  static void apply(sparq::mask& keep, random_source& random) {
    for (std::size_t n = 0; n < keep.shape().n; ++n) thin_groups(keep, n, n + 1, N, M, random);
  }
};
template <std::size_t G, std::size_t N, std::size_t M>
struct fit_mask<sparq::tile_wise<G, sparq::n_m<N, M>>> {
  static void apply(sparq::mask& keep, random_source& random) {
    std::vector<float> scores(keep.shape().n * keep.shape().k);
    for (float& score : scores) score = static_cast<float>(1 + random.below(1000));
    for (std::size_t n = 0; n < keep.shape().n; ++n)
      for (std::size_t k = 0; k < keep.shape().k; ++k)
        if (!keep(n, k)) scores[n * keep.shape().k + k] = 0.0F;
    keep = sparq::pruner<sparq::tile_wise<G, sparq::n_m<N, M>>>::keep_inside({scores, keep.shape()}, keep);
  }
};
template <std::size_t V, std::size_t N, std::size_t M>
struct fit_mask<sparq::tile_n_m<V, N, M>> {
  static void apply(sparq::mask& keep, random_source& random) {
    for (std::size_t n = 0; n < keep.shape().n; n += V)
      thin_groups(keep, n, (std::min)(n + V, keep.shape().n), N, M, random);
  }
};

/// Tables of random entries. One entry of each table is 0 if `with_zero`, or where the style has no other entries.
template <sparq::has_tables N>
std::vector<typename N::entry::code> random_tables(sparq::weight_shape shape, bool with_zero, value_style style,
                                                   random_source& random) {
  std::vector<typename N::entry::code> tables(sparq::table_entries<N>(shape.n, shape.k));
  for (std::size_t t = 0; t < tables.size(); ++t) {
    do tables[t] = random_code<typename N::entry>(style, random);
    while (!with_zero && tables[t] == 0 && style != value_style::zero);
    if (with_zero && t % N::entries == N::entries - 1)
      tables[t - random.below(N::entries)] = 0;  // any place, code 0 need not be it
  }
  return tables;
}

/// A tensor that keeps what `keep` keeps, scales 1; kept zeros are kept, and every slot holds a code of `style`.
template <sparq::format F, sparq::numeric N>
sparq::tensor<F, N> random_tensor(const sparq::mask& keep, value_style style, random_source& random) {
  auto index = F::from_mask(keep).value();
  sparq::aligned_buffer values(sparq::storage_bytes<N>(index.slots()));
  for (std::size_t slot = 0; slot < index.slots(); ++slot)
    sparq::store_code<N>(values.data(), slot, random_code<N>(style, random));
  std::vector<float> scales(sparq::default_granularity<N>::scale_count(keep.shape().n, keep.shape().k), 1.0F);
  if constexpr (sparq::has_tables<N>) {
    const bool with_zero = !sparq::holds_every_weight_v<F> || random.chance(0.5);
    return sparq::tensor<F, N>::try_make(std::move(index), std::move(values), std::move(scales),
                                         random_tables<N>(keep.shape(), with_zero, style, random))
        .value();
  } else {
    return sparq::tensor<F, N>::try_make(std::move(index), std::move(values), std::move(scales)).value();
  }
}

/// The same with a random mask.
template <sparq::format F, sparq::numeric N>
sparq::tensor<F, N> random_tensor(sparq::weight_shape shape, value_style style, random_source& random) {
  sparq::mask keep = random_weight_mask(shape, random);
  fit_mask<F>::apply(keep, random);
  return random_tensor<F, N>(keep, style, random);
}

/// A tensor with scales of one granularity, from one without; scales of types that have them anyway are new.
template <sparq::quantization_granularity G, sparq::format F, sparq::numeric N>
sparq::tensor<F, N, G> with_scales(const sparq::tensor<F, N>& w, random_source& random) {
  std::vector<float> scales(G::scale_count(w.shape().n, w.shape().k));
  for (float& scale : scales) scale = random.real(0.01F, 2.0F);
  sparq::aligned_buffer values(w.values().size());
  std::copy_n(w.values().data(), values.size(), values.data());
  return sparq::tensor<F, N, G>(w.index(), std::move(values), std::move(scales), w.tables());
}

}  // namespace sparq_test
