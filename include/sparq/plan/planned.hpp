// SPDX-License-Identifier: MIT
#pragma once
// Weights packed for the loop that a plan picked at run time, and their product.

#include <sparq/op/gemm.hpp>
#include <sparq/plan/choose_loop.hpp>

#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace sparq {

SPARQ_ABI_BEGIN

/// Packed for the rows loop, for the columns loop, as a bitmask that is expanded, or in windows.
template <class Tensor>
class planned {
 public:
  using rows_type = packed<packed_view_of<Tensor, default_panel_shape<typename Tensor::numeric_type>>>;
  using columns_type = packed<packed_view_of<Tensor, column_shape_for_t<typename Tensor::format_type, typename Tensor::numeric_type>>>;

  /// What one of the loops reads.
  template <class View>
  planned(packed<View> weights) : content_(std::move(weights)) {}

  loop_kind loop() const {
    if (!expands && content_.index() == 2) return loop_kind::window;
    return static_cast<loop_kind>(content_.index());
  }
  /// What the plan has to say besides; explain_gemm passes it on.
  const std::string& advice() const { return advice_; }
  void set_advice(std::string text) { advice_ = std::move(text); }
  weight_shape shape() const {
    return visit([](const auto& w) { return w.shape(); });
  }
  std::size_t bytes() const {
    return visit([](const auto& w) { return w.bytes(); });
  }
  /// f(packed<View>); both alternatives give one type.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(std::forward<F>(f), content_);
  }

 private:
  /// Scales along k are not packed as a bitmask.
  static constexpr bool expands = !scales_along_k_v<typename Tensor::granularity>;
  static auto content_type() {
    using numeric_type = typename Tensor::numeric_type;
    constexpr bool has_windows = takes_windows_v<typename Tensor::format_type, numeric_type, typename Tensor::granularity>;
    const auto with_windows = []<class... T>(std::type_identity<std::variant<T...>> others) {
      if constexpr (has_windows)
        return std::type_identity<std::variant<T..., packed<packed_view_of<Tensor, native_window_shape<numeric_type>>>>>{};
      else
        return others;
    };
    if constexpr (expands)
      return with_windows(std::type_identity<std::variant<rows_type, columns_type,
                                                          packed<packed_view_of<Tensor, default_bitmask_shape<numeric_type>>>>>{});
    else
      return with_windows(std::type_identity<std::variant<rows_type, columns_type>>{});
  }

  typename decltype(content_type())::type content_;  // in the order of loop_kind
  std::string advice_;
};

/// Packs for one loop; what cannot be packed as a bitmask, scales along k, is packed for the columns loop instead of
/// expanding, and so is what the plan does not pack in windows. O(n k).
template <format F, numeric N, quantization_granularity G>
planned<tensor<F, N, G>> pack_for(const tensor<F, N, G>& w, loop_kind loop, for_rows rows = {}) {
  if (loop == loop_kind::rows) return pack<default_panel_shape<N>>(w);
  if constexpr (!scales_along_k_v<G>)
    if (loop == loop_kind::expand) return pack<default_bitmask_shape<N>>(w);
  if constexpr (takes_windows_v<F, N, G>)
    if (loop == loop_kind::window) return pack<native_window_shape<N>>(w);
  return pack<column_shape_for_t<F, N>>(w, rows);
}
/// Packs for the loop that suits products of about m rows on this machine and takes X as it lies. Below break-even the
/// advice of the result is to encode the weights as dense. O(n k).
/// - `X`: of activations, which need to be named only if they are std::int16_t: their products take more instructions
template <class X = void, format F, numeric N, quantization_granularity G>
planned<tensor<F, N, G>> pack_for(const tensor<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  const loop_costs costs = estimate_loops<X>(w.view(), m, layout);
  planned<tensor<F, N, G>> result = pack_for(w, costs.best(), for_rows{m});
  constexpr bool is_dense = std::is_same_v<typename F::k_map, contiguous> && std::is_same_v<typename F::row_select, all>;
  if (!is_dense && costs.dense_is_as_fast()) result.set_advice("dense weights are as fast at this density");
  return result;
}

/// As gemm with the weights that the plan holds. Errors: those of gemm, X or Y by columns where the plan picked
/// another loop than columns, and X of a type that no kernel multiplies by these weights.
template <class Atoms = default_atoms, machine::activations X, class Tensor, machine::activations Y, class... Stages,
          executor Executor>
status try_gemm(X x, const planned<Tensor>& w, Y y, const epilogue<Stages...>& stages, Executor&& executor,
                workspace& scratch) {
  return w.visit([&](const auto& weights) { return machine::try_gemm_of_any<Atoms>(x, weights, y, stages, executor, scratch); });
}
/// Throwing twin of try_gemm.
template <class Atoms = default_atoms, machine::activations X, class Tensor, machine::activations Y, class... Stages,
          executor Executor>
void gemm(X x, const planned<Tensor>& w, Y y, const epilogue<Stages...>& stages, Executor&& executor,
          workspace& scratch) {
  try_gemm<Atoms>(x, w, y, stages, executor, scratch).value();
}
/// What gemm does with the weights that the plan holds. Errors: X of a type that gemm refuses.
template <class X, class Y, class Atoms = default_atoms, class Tensor>
expected<explanation> try_explain_gemm(std::size_t m, const planned<Tensor>& w, std::size_t concurrency = 1) {
  return w.visit([&]<class View>(const packed<View>& weights) -> expected<explanation> {
    if constexpr (!machine::multiplies_v<X, View, Atoms>) {
      return machine::no_kernel<X, View>();
    } else {
      explanation result = explain_gemm<X, Y, Atoms>(m, weights, concurrency);
      result.advice = w.advice();
      return result;
    }
  });
}
/// Throwing twin.
template <class X, class Y, class Atoms = default_atoms, class Tensor>
explanation explain_gemm(std::size_t m, const planned<Tensor>& w, std::size_t concurrency = 1) {
  return try_explain_gemm<X, Y, Atoms>(m, w, concurrency).value();
}

SPARQ_ABI_END
}  // namespace sparq
