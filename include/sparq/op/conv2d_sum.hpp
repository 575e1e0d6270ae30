// SPDX-License-Identifier: MIT
#pragma once
// The convolution twin of gemm_sum: two weight tensors, for example tiles and the single weights beside them, whose
// sums are added before the epilogue. Rows of X are the patches that conv2d gathers, a block of them at a time.

#include <sparq/op/conv2d.hpp>
#include <sparq/op/gemm_sum.hpp>

#include <cstddef>
#include <span>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// f(both products) with the patches of X as rows.
template <class Atoms, class X, class A, class B, class Y, class F>
status with_two_products(const X& x, const A& a, const B& b, const Y& y, const window_parameters& window,
                         element_of<X> padding, std::size_t concurrency, const F& f) {
  const auto images_a = pixels_for<A>(x);
  const auto images_b = pixels_for<B>(x);
  const auto with_sources = [&](const auto& first, const auto& second) {
    return f(two_products_of<Atoms>(codes_of<X>(first), codes_of<X>(second),
                                    output_extents(x, window, y.channels).pixels(), a, b,
                                    pixel_targets(y, 0, y.channels), concurrency));
  };
  if constexpr (!is_k_major_v<X>)
    if (window.is_pointwise())
      return with_sources(pixel_rows(images_a, 0, x.channels), pixel_rows(images_b, 0, x.channels));
  return with_sources(patches_of<x_element<A, X>>(images_a, 0, x.channels, window, padding),
                      patches_of<x_element<B, X>>(images_b, 0, x.channels, window, padding));
}

}  // namespace machine

/// Y = epilogue(conv2d of X with A + conv2d of X with B).
/// - `x`, `y`, `window`, `padding`: as in conv2d; there are no groups
/// - `a`, `b`: packed n x (kernel_height x kernel_width x channels) of the same numeric kind, each for any loop that
///   takes X and Y
/// - `stages`, `executor`: as in gemm_sum; rows are the pixels of Y
/// - `scratch`: as many bytes as explain_conv2d_sum says: what the larger of both products needs, and the sums of a
///   block of pixels, 256 KiB or 64 pixels for each part
/// Integer sums are exact; float sums add A's part to B's. Nothing is written when an error is returned.
/// Errors: those of conv2d for either tensor. Complexity O(pixels of Y x stored weights of both).
template <class Atoms = default_atoms, machine::image X, class A, class B, machine::image Y, class... Stages,
          executor Executor>
status try_conv2d_sum(X x, const A& a, const B& b, Y y, const window_parameters& window, machine::element_of<X> padding,
                      const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  const auto first = machine::packed_of(a);
  const auto second = machine::packed_of(b);
  using first_type = std::remove_const_t<decltype(first)>;
  using second_type = std::remove_const_t<decltype(second)>;
  machine::check_both<Atoms, X, first_type, second_type, Y, Stages...>();
  if (status s = machine::check_images(x, std::span<const first_type>(&first, 1), y, window, padding); !s.ok())
    return s;
  if (status s = machine::check_images(x, std::span<const second_type>(&second, 1), y, window, padding); !s.ok())
    return s;
  if (status s = stages.check(y.pixels(), y.channels); !s.ok()) return s;
  return machine::with_two_products<Atoms>(
      x, first, second, y, window, padding, concurrency_of(executor),
      [&](const auto& products) { return products.run(stages, executor, scratch); });
}

/// Throwing twin of try_conv2d_sum.
template <class Atoms = default_atoms, machine::image X, class A, class B, machine::image Y, class... Stages,
          executor Executor>
void conv2d_sum(X x, const A& a, const B& b, Y y, const window_parameters& window, machine::element_of<X> padding,
                const epilogue<Stages...>& stages, Executor&& executor, workspace& scratch) {
  try_conv2d_sum<Atoms>(x, a, b, y, window, padding, stages, executor, scratch).value();
}

/// What conv2d_sum does with x, a, b and y, whose data is not touched, and this many parts.
/// @pre extents as try_conv2d_sum wants them
template <class Atoms = default_atoms, machine::image X, class A, class B, machine::image Y>
sum_explanation explain_conv2d_sum(X x, const A& a, const B& b, Y y, const window_parameters& window,
                                   std::size_t concurrency = 1) {
  const auto first = machine::packed_of(a);
  const auto second = machine::packed_of(b);
  using first_type = std::remove_const_t<decltype(first)>;
  using second_type = std::remove_const_t<decltype(second)>;
  machine::check_both<Atoms, X, first_type, second_type, Y>();
  sum_explanation result;
  machine::with_two_products<Atoms>(x, first, second, y, window, machine::element_of<X>{}, concurrency,
                                    [&](const auto& products) -> status {
                                      result = products.explain();
                                      return {};
                                    })
      .value();
  return result;
}

SPARQ_ABI_END
}  // namespace sparq
