// SPDX-License-Identifier: MIT
#pragma once
// The matrix test: one kernel, that is format x numeric type of W x type of X, against kernel/reference.hpp. Sizes run
// around the blocks of every instruction set, because leftovers are where kernels break.

#include <sparq/kernel/reference.hpp>
#include <sparq/op/gemm.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"
#include "tests/support/operands.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq_test {

/// W's numeric type and X's: one column of the matrix.
template <sparq::numeric W, sparq::numeric X>
struct with {
  using weight_type = W;
  using x_type = X;
};

struct gemm_extents {
  std::size_t m = 0;
  std::size_t n = 0;
  std::size_t k = 0;
};

/// Every m meets every n twice, with some k; nothing in each direction; more rows than are packed together.
inline std::vector<gemm_extents> extents_to_try(random_source& random) {
  static constexpr std::size_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 24, 25};
  static constexpr std::size_t channels[] = {1, 4, 15, 16, 17, 31, 32, 33, 47, 64, 65};
  static constexpr std::size_t reductions[] = {1,  2,  3,  4,  5,  6,  7,  8,   9,   15,  16,  17, 31,
                                               32, 33, 63, 64, 65, 96, 127, 128, 129, 255, 256, 257};
  std::vector<gemm_extents> result = {{0, 5, 7}, {3, 0, 7},     {3, 5, 0},     {0, 0, 0},
                                      {1, 1, 1}, {1, 131, 517}, {2, 131, 300}, {150, 17, 901}};
  for (const std::size_t m : rows)
    for (const std::size_t n : channels)
      for (int time = 0; time < 2; ++time) result.push_back({m, n, random.pick(reductions)});
  return result;
}

/// The first element of Y that is not what the reference says, or "".
/// - `bound`: how far floats may be off
template <class Y, class Sum>
std::string first_difference(const std::vector<Y>& got, const std::vector<Sum>& want, std::size_t n, double bound) {
  if (got.size() != want.size()) return "sizes differ";
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool same = std::is_integral_v<Y>
                          ? got[i] == static_cast<Y>(want[i])
                          : std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i])) <= bound;
    if (!same)
      return "Y[" + std::to_string(i / n) + "][" + std::to_string(i % n) + "] is " + std::to_string(got[i]) + ", not " +
             std::to_string(want[i]);
  }
  return "";
}

/// X of any values; between its rows lies what must not count.
template <sparq::numeric X>
strided_input<typename X::code> random_x(gemm_extents e, value_style style, random_source& random) {
  return {e.m, e.k, random.chance(0.3) ? 0 : random.below(20),
          [&](std::span<typename X::code> block) { fill_codes<X>(block, style, random); }};
}

/// X as gemm takes it.
template <sparq::numeric X, class View>
auto operand(const View& x) {
  if constexpr (std::is_same_v<X, sparq::u8_up_to_127>)
    return sparq::up_to_127(x);
  else
    return x;
}

/// Cuts the work into `parts` and runs them in any order.
struct scrambled_executor {
  std::size_t parts;
  random_source* random;

  std::size_t concurrency() const { return parts; }
  template <class F>
  void parallel_for(std::size_t count, F&& f) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t left = count; left > 1; --left) std::swap(order[random->below(left)], order[left - 1]);
    for (const std::size_t part : order) f(part);
  }
};

/// What is wrong with one multiplication of random operands by the kernel that `Atoms` selects, or "".
template <class Format, class Combination, class Atoms = sparq::default_atoms,
          class Shape = sparq::default_panel_shape<typename Combination::weight_type>>
std::string multiplication_problem(gemm_extents e, random_source& random, sparq::workspace& scratch) {
  using weight_type = typename Combination::weight_type;
  using x_type = typename Combination::x_type;
  using sum_element = std::conditional_t<x_type::bits == 16, std::int64_t, std::int32_t>;
  using y_element = std::conditional_t<weight_type::is_integer, sum_element, float>;

  const value_style x_style = random_style(random);
  const value_style w_style = random_style(random);
  const auto w = random_tensor<Format, weight_type>({e.n, e.k}, w_style, random);
  const auto packed = sparq::pack<Shape>(w);
  const auto x = random_x<x_type>(e, x_style, random);
  const auto product_in_parts = [&](std::size_t parts) {
    guarded_output<y_element> y(e.m, e.n, random);
    sparq::gemm<Atoms>(operand<x_type>(x.view()), packed, y.view(), sparq::epilogue<>(),
                       scrambled_executor{parts, &random}, scratch);
    return y;
  };

  const std::size_t parts = random.chance(0.5) ? 1 : 1 + random.below(12);
  const auto y = product_in_parts(parts);
  std::string problem = first_difference(y.elements(), sparq::reference_gemm(x.view(), w.view()), e.n,
                                         float_bound(x_style, w_style, e.k));
  if (!y.surroundings_intact()) problem += " memory around Y has changed";
  if (!x.unchanged()) problem += " X has changed";
  if (!weight_type::is_integer && product_in_parts(1).elements() != y.elements())
    problem += " floats differ when the work is cut into " + std::to_string(parts) + " parts";
  return problem;
}

inline void check_all_extents(std::string (*problem)(gemm_extents, random_source&, sparq::workspace&)) {
  random_source random;
  INFO(random.text());
  sparq::workspace scratch;
  for (const gemm_extents e : extents_to_try(random)) {
    INFO("m " << e.m << ", n " << e.n << ", k " << e.k);
    REQUIRE(problem(e, random, scratch) == "");
  }
}
template <class Format, class Combination, class Atoms = sparq::default_atoms,
          class Shape = sparq::default_panel_shape<typename Combination::weight_type>>
void check_all_extents() {
  check_all_extents(&multiplication_problem<Format, Combination, Atoms, Shape>);
}

/// Blocks of packed weights with damaged bytes are refused, or a multiplication by them stays inside its memory: that
/// is for the sanitizers to say, and here for the bytes around Y.
/// - `Granularity`: of the scales, if they run along k
template <class Format, class Combination,
          class Shape = sparq::default_shape<Format, typename Combination::weight_type>,
          class Granularity = sparq::default_granularity<typename Combination::weight_type>>
void check_damaged_blocks() {
  random_source random;
  INFO(random.text());
  using weight_type = typename Combination::weight_type;
  using x_type = typename Combination::x_type;
  const auto packed = sparq::pack<Shape>(
      with_scales<Granularity>(random_tensor<Format, weight_type>({37, 77}, value_style::any, random), random));
  using view_type = typename std::remove_cvref_t<decltype(packed)>::view_type;
  // the header with its offsets and counts, the arrays behind it, and what is left: the weights
  const std::size_t index_end = (std::min)(packed.bytes(), std::size_t{2048});
  sparq::workspace scratch;
  std::size_t refused = 0, survived = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    sparq::aligned_buffer block(packed.bytes());
    std::memcpy(block.data(), packed.block().data(), packed.bytes());
    for (std::size_t faults = 1 + random.below(3); faults != 0; --faults) {
      const std::size_t at = random.below(random.chance(0.3) ? 512 : random.chance(0.7) ? index_end : packed.bytes());
      const auto old = std::to_integer<std::size_t>(block.data()[at]);
      block.data()[at] = static_cast<std::byte>(random.chance(0.4)   ? old + 1
                                                : random.chance(0.5) ? 255
                                                                     : random.below(256));
    }
    const auto view = view_type::try_from_bytes(block.bytes());
    if (!view.ok()) {
      REQUIRE(!view.error().message().empty());
      ++refused;
      continue;
    }
    const auto [n, k] = view->shape();
    if (n > 1000 || k > 1000) continue;
    const gemm_extents e{13, n, k};
    const auto x = random_x<x_type>(e, value_style::any, random);
    guarded_output<
        std::conditional_t<weight_type::is_integer && !sparq::scales_along_k_v<Granularity>, std::int32_t, float>>
        y(e.m, e.n, random);
    sparq::gemm(x.view(), *view, y.view(), scratch);
    REQUIRE(y.surroundings_intact());
    ++survived;
  }
  CHECK(refused > 100);
  CHECK(survived > 100);
}

/// A number that two blocks of packed weights share only if they are the same bytes (FNV-1a). The tensor is always the
/// same one.
template <class Format, sparq::numeric N, class Shape = sparq::default_shape<Format, N>>
std::uint64_t packed_fingerprint() {
  random_source fixed(1);
  const sparq::weight_shape shape{37, 77};
  sparq::mask keep(shape, false);
  for (std::size_t i = 0; i < shape.size(); ++i) keep.data()[i] = i * i % 11 < 4 && i / shape.k % 5 != 2;
  fit_mask<Format>::apply(keep, fixed);
  auto index = Format::from_mask(keep).value();
  sparq::aligned_buffer values(sparq::storage_bytes<N>(index.slots()));
  for (std::size_t slot = 0; slot < index.slots(); ++slot) {
    const std::int32_t code = static_cast<std::int32_t>(slot * 7 % 16) - (N::is_signed ? 8 : 0);
    if constexpr (N::is_integer)
      sparq::store_code<N>(values.data(), slot, static_cast<typename N::code>(code));
    else
      sparq::store_code<N>(values.data(), slot, static_cast<typename N::code>(static_cast<float>(code)));
  }
  std::vector<float> scales(sparq::default_granularity<N>::scale_count(shape.n, shape.k), 0.5F);
  const sparq::tensor<Format, N> w(std::move(index), std::move(values), std::move(scales));
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto packed = sparq::pack<Shape>(w);
  for (const std::byte byte : packed.block()) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3;
  return hash;
}

}  // namespace sparq_test
