// SPDX-License-Identifier: MIT
#pragma once
// Weights packed for the loop that a plan picked at run time, and their product.

#include <sparq/op/gemm.hpp>
#include <sparq/op/gemm_any.hpp>
#include <sparq/plan/choose_loop.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace sparq {

SPARQ_ABI_BEGIN

namespace machine {

template <class Tensor, loop_kind Loop>
inline constexpr bool packs_tensor_v =
    packs_for_v<Loop, typename Tensor::format_type, typename Tensor::numeric_type, typename Tensor::granularity>;

/// A list of one packed form, or of none if weights are not packed for that loop.
template <class Tensor, loop_kind Loop, bool Packs = packs_tensor_v<Tensor, Loop>>
struct packed_for_loop {
  using type = std::tuple<
      packed<packed_view_of<Tensor, shape_of_loop<Loop, typename Tensor::format_type, typename Tensor::numeric_type,
                                                  typename Tensor::granularity>>>>;
};
template <class Tensor, loop_kind Loop>
struct packed_for_loop<Tensor, Loop, false> {
  using type = std::tuple<>;
};

template <class Tuple>
struct variant_of;
template <class... T>
struct variant_of<std::tuple<T...>> {
  using type = std::variant<T...>;
};

}  // namespace machine

/// Packed for the rows loop, for the columns loop, as a bitmask that is expanded, or in windows: for the loops that
/// take the tensor (packs_for_v).
template <class Tensor>
class planned {
  template <loop_kind Loop>
  using list_for = typename machine::packed_for_loop<Tensor, Loop>::type;

 public:
  using tensor_type = Tensor;
  /// Those that take the tensor.
  static constexpr auto loops = [] {
    constexpr loop_kind all[] = {loop_kind::rows, loop_kind::columns, loop_kind::expand, loop_kind::window};
    constexpr bool packs[] = {
        machine::packs_tensor_v<Tensor, loop_kind::rows>, machine::packs_tensor_v<Tensor, loop_kind::columns>,
        machine::packs_tensor_v<Tensor, loop_kind::expand>, machine::packs_tensor_v<Tensor, loop_kind::window>};
    std::array<loop_kind, packs[0] + packs[1] + packs[2] + packs[3]> result{};
    for (std::size_t i = 0, next = 0; i < 4; ++i)
      if (packs[i]) result[next++] = all[i];
    return result;
  }();

  /// What one of the loops reads.
  template <class View>
  planned(packed<View> weights) : content_(std::move(weights)) {}

  loop_kind loop() const { return loops[content_.index()]; }
  /// What the plan has to say besides; explain_gemm passes it on.
  const std::string& advice() const { return advice_; }
  void set_advice(std::string text) { advice_ = std::move(text); }
  weight_shape shape() const {
    return visit([](const auto& w) { return w.shape(); });
  }
  std::size_t bytes() const {
    return visit([](const auto& w) { return w.bytes(); });
  }
  /// f(packed<View>) of the loop that was picked; f gives one type for all of them.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(std::forward<F>(f), content_);
  }

 private:
  typename machine::variant_of<typename machine::joined<
      typename machine::joined<list_for<loop_kind::rows>, list_for<loop_kind::columns>>::type,
      typename machine::joined<list_for<loop_kind::expand>, list_for<loop_kind::window>>::type>::type>::type content_;
  std::string advice_;
};

/// Packs for one loop. A tensor that this loop does not take, and windows that the plan leaves out, is packed for the
/// columns loop instead, or for the rows loop if that does not take it either. O(n k).
template <format F, numeric N, quantization_granularity G>
planned<tensor<F, N, G>> pack_for(const tensor<F, N, G>& w, loop_kind loop, for_rows rows = {}) {
  if constexpr (packs_for_v<loop_kind::expand, F, N, G>)
    if (loop == loop_kind::expand) return pack<default_bitmask_shape<N>>(w);
  if constexpr (packs_for_v<loop_kind::window, F, N, G>)
    if (loop == loop_kind::window) return pack<native_window_shape<N, G>>(w);
  if constexpr (!packs_for_v<loop_kind::columns, F, N, G>) {
    return pack<default_panel_shape<N>>(w);
  } else {
    if constexpr (packs_for_v<loop_kind::rows, F, N, G>)
      if (loop == loop_kind::rows) return pack<default_panel_shape<N>>(w);
    return pack<machine::uncut_column_shape<F, N, G>>(w, rows);
  }
}
/// Packs for the loop that suits products of about m rows on this machine and takes X as it lies. The advice of the
/// result names X of 16 bits and Y of bytes, if the plan was told of them; below break-even it is to encode the weights
/// as dense; where the plan is unsure, to time the loops (measure_loops.hpp). O(n k).
/// - `X`: of activations, which need to be named only if they have 16 bits (std::int16_t, or brain_float for weights of
///   bf16): their products take more instructions
/// - `Y`: what is stored; unless it is named, sums as they are. Bytes cost the columns loop less: it tells at a small k
template <class X = void, class Y = void, format F, numeric N, quantization_granularity G>
planned<tensor<F, N, G>> pack_for(const tensor<F, N, G>& w, std::size_t m, x_layout layout = x_layout::row_major) {
  const loop_costs costs = estimate_loops<X, Y>(w.view(), m, layout);
  planned<tensor<F, N, G>> result = pack_for(w, costs.best(), for_rows{m});
  constexpr bool is_dense =
      std::is_same_v<typename F::k_map, contiguous> && std::is_same_v<typename F::row_select, all>;
  std::string advice;
  const auto add = [&](std::string_view text) { (advice += advice.empty() ? "" : "; ") += text; };
  if constexpr (std::is_same_v<X, std::int16_t> || machine::multiplies_bf16_pairs_v<N, X>)
    add("picked for X of 16 bits");
  if constexpr (machine::stores_bytes_v<Y>) add("picked for Y of bytes");
  if (!is_dense && costs.dense_is_as_fast()) add("dense weights are as fast at this density");
  const bool fills_no_block = w.shape().n < 16 || w.shape().k < 32;  // cycles were fitted to larger ones
  if (layout == x_layout::row_major && (fills_no_block || costs.is_close()))
    add("another loop may be as fast, pack_fastest times them");
  result.set_advice(std::move(advice));
  return result;
}

/// As gemm with the weights that the plan holds. Errors: those of gemm, X or Y by columns where the plan picked
/// another loop than columns, and X of a type that no kernel multiplies by these weights.
template <class Atoms = default_atoms, machine::activations X, class Tensor, machine::activations Y, class... Stages,
          executor Executor>
status try_gemm(X x, const planned<Tensor>& w, Y y, const epilogue<Stages...>& stages, Executor&& executor,
                workspace& scratch) {
  return w.visit(
      [&](const auto& weights) { return machine::try_gemm_of_any<Atoms>(x, weights, y, stages, executor, scratch); });
}
/// Throwing twin of try_gemm.
template <class Atoms = default_atoms, machine::activations X, class Tensor, machine::activations Y, class... Stages,
          executor Executor>
void gemm(X x, const planned<Tensor>& w, Y y, const epilogue<Stages...>& stages, Executor&& executor,
          workspace& scratch) {
  try_gemm<Atoms>(x, w, y, stages, executor, scratch).value();
}
/// What gemm does with x, the weights that the plan holds, and y, whose data is not touched. Errors: types and layouts
/// that gemm refuses.
template <class Atoms = default_atoms, machine::activations X, machine::activations Y, class Tensor>
expected<explanation> try_explain_gemm(X x, const planned<Tensor>& w, Y y, std::size_t concurrency = 1) {
  return w.visit([&]<class View>(const packed<View>& weights) -> expected<explanation> {
    if constexpr (!machine::runs_v<Atoms, X, View, Y>) {
      return machine::why_not<X, View, Y>();
    } else {
      explanation result = explain_gemm<Atoms>(x, weights, y, concurrency);
      result.advice = w.advice();
      return result;
    }
  });
}
/// The same for m rows of elements X and Y by rows.
template <class X, class Y, class Atoms = default_atoms, class Tensor>
expected<explanation> try_explain_gemm(std::size_t m, const planned<Tensor>& w, std::size_t concurrency = 1) {
  const auto [n, k] = w.shape();
  return try_explain_gemm<Atoms>(matrix_view<const X>(nullptr, m, k), w, matrix_view<Y>(nullptr, m, n), concurrency);
}
/// Throwing twins.
template <class Atoms = default_atoms, machine::activations X, machine::activations Y, class Tensor>
explanation explain_gemm(X x, const planned<Tensor>& w, Y y, std::size_t concurrency = 1) {
  return try_explain_gemm<Atoms>(x, w, y, concurrency).value();
}
template <class X, class Y, class Atoms = default_atoms, class Tensor>
explanation explain_gemm(std::size_t m, const planned<Tensor>& w, std::size_t concurrency = 1) {
  return try_explain_gemm<X, Y, Atoms>(m, w, concurrency).value();
}

SPARQ_ABI_END
}  // namespace sparq
