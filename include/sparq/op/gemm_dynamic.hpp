// SPDX-License-Identifier: MIT
#pragma once
// Float activations by integer weights ("dynamic range"): the rows of X are quantized at run time, multiplied as
// integers, and the sums scaled back to floats. Nothing has to be calibrated.

#include <sparq/op/gemm.hpp>
#include <sparq/op/quantize_rows.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Zero points of rows meet scales along k: the sum of each channel's scaled weights takes them back, in float.
template <class Code, class Granularity>
inline constexpr bool sums_scaled_weights_v = !quantized_rows<Code>::is_symmetric && scales_along_k_v<Granularity>;

/// v - zero point of the row * sum of the channel's weights, the product rounded by itself.
struct subtract_zero_points_of_rows {
  std::span<const std::int32_t> zero_points;
  std::span<const float> weight_sums;

  struct lanes {
    const std::int32_t* zero_points;
    f32_lanes sums;
    SPARQ_INLINE f32_lanes operator()(const f32_lanes& v, const lane_position& at) const {
      return v - rounded_product(f32_lanes(static_cast<float>(zero_points[at.row])), sums);
    }
  };
  status check(std::size_t m, std::size_t) const { return check_rows("gemm_dynamic", zero_points, m); }
  SPARQ_INLINE lanes for_channels(const lane_position& at) const {
    return {zero_points.data(), f32_lanes::load(weight_sums.data() + at.channel, at.count)};
  }
};

/// The quantized X of one call in scratch memory, each array on a boundary of 64 bytes.
template <class Code>
struct dynamic_scratch {
  std::size_t rows;
  std::size_t k;
  std::size_t n = 0;  // channels whose weights are summed, with a row of ones; none: nothing of both

  std::size_t code_bytes() const { return round_up(rows * k * sizeof(Code), alignment); }
  std::size_t scale_bytes() const { return round_up(rows * sizeof(float), alignment); }
  std::size_t quantized_bytes() const {
    return code_bytes() + scale_bytes() * (quantized_rows<Code>::is_symmetric ? 1 : 2);
  }
  std::size_t sum_bytes() const { return round_up(n * sizeof(float), alignment); }
  std::size_t bytes() const {
    return quantized_bytes() + sum_bytes() + (n == 0 ? 0 : round_up(k * sizeof(Code), alignment));
  }
  std::span<float> weight_sums(std::byte* at) const { return {reinterpret_cast<float*>(at + quantized_bytes()), n}; }
  matrix_view<Code> ones(std::byte* at) const {
    return {reinterpret_cast<Code*>(at + quantized_bytes() + sum_bytes()), 1, k};
  }
  quantized_rows<Code> place(std::byte* at) const {
    std::byte* const scales = at + code_bytes();
    auto* const zero_points = reinterpret_cast<std::int32_t*>(scales + scale_bytes());
    return {matrix_view<Code>(reinterpret_cast<Code*>(at), rows, k),
            {reinterpret_cast<float*>(scales), rows},
            quantized_rows<Code>::is_symmetric ? std::span<std::int32_t>() : std::span(zero_points, rows)};
  }
};

/// What is left to do with the scales of the weights behind the loop.
template <class Packed>
auto weight_scaling(const Packed& w) {
  using granularity = typename Packed::granularity;
  if constexpr (scales_along_k_v<granularity> || std::is_same_v<granularity, unquantized>) {
    return std::tuple<>();
  } else if constexpr (std::is_same_v<granularity, per_tensor>) {
    return std::tuple(scale(w.scales()[0]));
  } else {
    static_assert(std::is_same_v<granularity, per_channel>,
                  "sparq: scales of a granularity of your own need a stage of your own; use quantize_rows and gemm");
    return std::tuple(scale_per_channel(w.scales()));
  }
}

/// Bytes of workspace that the products need: of X, and of a row of ones before it.
template <class Code, class Atoms, class Packed>
std::size_t bytes_with_weight_sums(std::size_t bytes, [[maybe_unused]] const Packed& w,
                                   [[maybe_unused]] std::size_t concurrency) {
  if constexpr (sums_scaled_weights_v<Code, typename Packed::granularity>)
    return (std::max)(bytes, explain_gemm<Code, float, Atoms>(1, w, concurrency).workspace_bytes);
  else
    return bytes;
}

/// Sums of codes become floats, then come the caller's stages.
template <class Code, class Packed, class... Stages>
auto dynamic_stages(const Packed& w, const quantized_rows<Code>& x, [[maybe_unused]] std::span<const float> weight_sums,
                    const epilogue<Stages...>& stages) {
  const auto zero_points = [&] {
    if constexpr (quantized_rows<Code>::is_symmetric)
      return std::tuple<>();
    else if constexpr (scales_along_k_v<typename Packed::granularity>)
      return std::tuple(subtract_zero_points_of_rows{x.zero_points, weight_sums});
    else
      return std::tuple(subtract_zero_point_per_row(x.zero_points));
  };
  return std::apply(
      [](const auto&... all) { return epilogue(all...); },
      std::tuple_cat(zero_points(), weight_scaling(w), std::tuple(scale_per_row(x.scales)), stages.stages));
}

template <class Code, class Packed, class... Stages>
constexpr void check_dynamic() {
  static_assert(Packed::numeric_type::is_integer,
                "sparq: X is quantized to meet integer weights; call gemm, which multiplies floats by floats");
  static_assert(!(takes_zero_point_of_x_v<Stages> || ... || false),
                "sparq: gemm_dynamic chooses the zero points of X; leave subtract_zero_point out");
}

}  // namespace machine

/// Y = epilogue(X W^T) of floats X and integer weights W, where the rows of X are quantized to Code.
/// - `x`: m x k floats; `w`: packed integers, n x k, in any format, with scales of any granularity; `y`: m x n, f32, or
///   what the last stage yields; must not overlap x or w
/// - Code: std::int8_t, symmetric; std::uint8_t, asymmetric, twice as fine where a row is not negative. With scales
///   along k its zero points cost one row more, of ones, and are taken back in float, one product rounded for each sum
/// - Rule: of symmetric codes; tflite_dynamic makes the codes of TFLite, which multiplies the two scales with each
///   other before it multiplies the sum, so that a last bit of Y may differ from its
/// - `stages`: see kernel/epilogue/epilogue.hpp; the first receives real numbers as f32
/// - `scratch`: as many bytes as explain_gemm_dynamic says: codes of X, their scales, and what gemm needs
/// The sums of codes are exact, so with scales per tensor or channel every CPU gives the same
/// fl(fl(float(sum) * weight scale) * row scale). With scales along k the kernel has scaled the sum already. The result
/// is off by at most (max |x| of the row) / 254 * (sum of |w|) for std::int8_t, and the rounding of floats.
/// Errors: those of gemm and of quantize_rows, with the first position in X; Y is not written then.
/// Complexity O(m k + m x stored weights).
template <class Code = std::int8_t, row_rule Rule = divide_to_even, class Atoms = default_atoms, class W,
          machine::activations Y, class... Stages, executor Executor>
status try_gemm_dynamic(matrix_view<const float> x, const W& w, Y y, const epilogue<Stages...>& stages,
                        Executor&& executor, workspace& scratch) {
  const auto packed = machine::packed_of(w);
  using packed_type = std::remove_const_t<decltype(packed)>;
  machine::check_dynamic<Code, packed_type, Stages...>();
  machine::check_layouts<matrix_view<const Code>, Y, packed_type>();
  machine::check_types<Code, packed_type, Atoms>();
  if (status s = machine::check_operands(x, packed.shape(), y); !s.ok()) return s;
  if (status s = stages.check(y.rows, y.columns); !s.ok()) return s;
  constexpr bool sums_weights = machine::sums_scaled_weights_v<Code, typename packed_type::granularity>;
  const machine::dynamic_scratch<Code> layout{x.rows, x.columns, sums_weights ? packed.shape().n : 0};
  using product = machine::operation<Atoms, strided_rows<Code>, packed_type>;
  const product unplaced({matrix_view<const Code>(nullptr, x.rows, x.columns)}, x.rows, packed,
                         tile_target<typename product::sum_type>{nullptr, nullptr, x.rows, nullptr},
                         machine::strips_stand_apart(packed, machine::target_of(y)),
                         concurrency_of(executor));
  const std::size_t rest_bytes =
      machine::bytes_with_weight_sums<Code, Atoms>(unplaced.workspace_bytes(), packed, concurrency_of(executor));
  auto bytes = scratch.try_reserve(layout.bytes() + rest_bytes);
  if (!bytes) return bytes.error();
  const quantized_rows<Code> codes = layout.place(*bytes);
  if (status s = try_quantize_rows<Rule>(x, codes, executor); !s.ok()) return s;
  workspace rest(std::span<std::byte>(*bytes + layout.bytes(), rest_bytes));
  const std::span<float> weight_sums = layout.weight_sums(*bytes);
  if constexpr (sums_weights) {
    if (!weight_sums.empty()) {
      const matrix_view<Code> ones = layout.ones(*bytes);
      std::fill_n(ones.data, ones.columns, Code{1});
      const matrix_view<float> sums(weight_sums.data(), 1, weight_sums.size());
      if (status s = try_gemm<Atoms>(ones, packed, sums, epilogue<>(), executor, rest); !s.ok()) return s;
    }
  }
  return try_gemm<Atoms>(codes.codes, packed, y,
                         machine::dynamic_stages(packed, codes, std::span<const float>(weight_sums), stages), executor,
                         rest);
}

/// Throwing twin of try_gemm_dynamic.
template <class Code = std::int8_t, row_rule Rule = divide_to_even, class Atoms = default_atoms, class W,
          machine::activations Y, class... Stages, executor Executor>
void gemm_dynamic(matrix_view<const float> x, const W& w, Y y, const epilogue<Stages...>& stages, Executor&& executor,
                  workspace& scratch) {
  try_gemm_dynamic<Code, Rule, Atoms>(x, w, y, stages, executor, scratch).value();
}

/// What gemm_dynamic does for m rows of X, in this many parts.
/// `workspace_bytes` of the result is what a fixed workspace must hold; a Y whose elements share bytes may need less.
template <class Code = std::int8_t, class Atoms = default_atoms, class W>
explanation explain_gemm_dynamic(std::size_t m, const W& w, std::size_t concurrency = 1) {
  const auto packed = machine::packed_of(w);
  using packed_type = std::remove_const_t<decltype(packed)>;
  machine::check_dynamic<Code, packed_type>();
  using sum_type = std::conditional_t<scales_along_k_v<typename packed_type::granularity>, float, std::int32_t>;
  explanation e = explain_gemm<Code, sum_type, Atoms>(m, packed, concurrency);
  e.x_access = "quantized row by row, then " + e.x_access;
  constexpr bool sums_weights = machine::sums_scaled_weights_v<Code, typename packed_type::granularity>;
  e.workspace_bytes = machine::bytes_with_weight_sums<Code, Atoms>(e.workspace_bytes, packed, concurrency) +
                      machine::dynamic_scratch<Code>{m, packed.shape().k, sums_weights ? packed.shape().n : 0}.bytes();
  e.least_workspace_bytes = e.workspace_bytes;
  return e;
}

SPARQ_ABI_END
}  // namespace sparq
