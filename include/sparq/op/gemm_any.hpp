// SPDX-License-Identifier: MIT
#pragma once
// gemm for weights whose type is chosen at run time (tensor/basic_any_tensor.hpp): one question before the loops, none
// in them. A call compiles the kernels of every alternative of the variant; list no more types than a program meets.

#include <sparq/op/gemm.hpp>
#include <sparq/tensor/basic_any_tensor.hpp>

#include <string>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// Whether the loop of weights packed as View reads and writes such layouts, and multiplies these types.
template <class X, class View, class Y>
inline constexpr bool lies_for_v = (!is_k_major_v<X> && !is_k_major_v<Y>) || requires { typename View::steps; };
template <class Atoms, class X, class View, class Y>
inline constexpr bool runs_v = lies_for_v<X, View, Y> && multiplies_v<x_element<View, X>, View, Atoms>;

/// Why it does not.
template <class X, class View, class Y>
status why_not() {
  if (!lies_for_v<X, View, Y>)
    return status::failure("gemm: X or Y lies by columns, the weights are packed for the rows loop");
  return status::failure("gemm: no kernel multiplies X of " + std::string(numeric_of_t<element_of<X>>::name) +
                         " by weights packed as " + View::layout_name());
}

/// try_gemm by weights whose type is known at run time only: what would not compile is refused.
template <class Atoms, class X, class View, class Y, class Epilogue, class Executor>
status try_gemm_of_any(X x, const packed<View>& w, Y y, const Epilogue& stages, Executor&& executor,
                       workspace& scratch) {
  if constexpr (!runs_v<Atoms, X, View, Y>)
    return why_not<X, View, Y>();
  else
    return try_gemm<Atoms>(x, w, y, stages, executor, scratch);
}

}  // namespace machine

/// As gemm with the type that `w` holds. Errors: those of gemm, and weights that X cannot meet: floats meet floats,
/// bytes meet integers, and 16 bits, or X or Y by columns, meet what is packed for a loop that takes them.
template <class Atoms = default_atoms, machine::activations X, class Variant, machine::activations Y, class... Stages,
          executor Executor>
status try_gemm(X x, const basic_any_packed<Variant>& w, Y y, const epilogue<Stages...>& stages, Executor&& executor,
                workspace& scratch) {
  using x_numeric = numeric_of_t<machine::element_of<X>>;
  return w.visit([&]<class View>(const packed<View>& weights) -> status {
    if constexpr (x_numeric::is_integer != View::numeric_type::is_integer)
      return status::failure("gemm: X is " + std::string(x_numeric::name) + ", the weights are " +
                             std::string(View::numeric_type::name) + "; floats meet floats, bytes meet integers");
    else
      return machine::try_gemm_of_any<Atoms>(x, weights, y, stages, executor, scratch);
  });
}

/// Throwing twin of try_gemm.
template <class Atoms = default_atoms, machine::activations X, class Variant, machine::activations Y, class... Stages,
          executor Executor>
void gemm(X x, const basic_any_packed<Variant>& w, Y y, const epilogue<Stages...>& stages, Executor&& executor,
          workspace& scratch) {
  try_gemm<Atoms>(x, w, y, stages, executor, scratch).value();
}

SPARQ_ABI_END
}  // namespace sparq
