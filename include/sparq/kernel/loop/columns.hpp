// SPDX-License-Identifier: MIT
#pragma once
// The `columns` loop: vector lanes are rows of X, X is k-major, one weight is broadcast. Written once, over atoms and
// panel shapes.
//
//   for each step (column_steps.hpp):                 // one straight loop without a branch for each
//     for each group of the step: for each set of channels of the step:
//       x = load(group_k k's of the list)             // shared by the channels of the set
//       for each channel of the set:  sums[channel] += w * x

#include <sparq/base/config.hpp>
#include <sparq/base/schedule.hpp>
#include <sparq/simd/columns/column_atom.hpp>
#include <sparq/simd/wrapping.hpp>
#include <sparq/tensor/packed_columns.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// One group of k's for one set of channels.
template <class Atom, std::size_t Set, std::size_t Channels, std::size_t V>
SPARQ_INLINE void add_group(typename Atom::acc (&sums)[Channels][V], const typename Atom::packed_x* x,
                            const std::uint16_t*& list, const typename Atom::weight*& w) {
  const auto group = Atom::template load<V>(x, list);
  list += Atom::group_k;
  SPARQ_UNROLL for (std::size_t c = 0; c < Channels; ++c)
    if (Set >> c & 1) {
      Atom::template add<V>(sums[c], w, group);
      w += Atom::group_k;
    }
}

/// Whether sums are narrower than acc_type and carried, see column_atom.hpp.
template <class Atom>
inline constexpr bool carries_v = requires { Atom::max_groups; };

/// Sums in memory, to which those in registers are carried, and groups until then. Every group of a step counts for all
/// channels: the branch is as regular as max_groups.
template <class Atom, std::size_t V>
struct carried_sums {
  typename Atom::acc (*high)[V];
  std::size_t left = Atom::max_groups;
};
struct no_carried_sums {};

/// Whether an atom takes the k's of a step by one load.
template <class Atom, std::size_t Count>
inline constexpr bool loads_list_v = requires { typename Atom::template list<Count>; };

/// The channel of a member of a step: a constant, or clang++ keeps the sums in memory.
template <std::size_t Channels, std::size_t Step, std::size_t Member>
inline constexpr std::size_t channel_of_v = column_steps<Channels>::all[Step].channel(Member);

/// Whether add_four takes a step.
template <class Atom, std::size_t Step, std::size_t Channels>
inline constexpr bool takes_four_v = [] {
  constexpr std::size_t count = column_steps<Channels>::all[Step].count;
  if constexpr (requires(const typename Atom::weight* w) { Atom::four_weights(w); })
    return column_steps<Channels>::members(Step) == 4 && (count == 4 || (count == 2 && loads_list_v<Atom, count>));
  else
    return false;
}();

/// One group of k's for each set of a step that has four channels in all: atoms that wait for loads take four weights
/// by one, and so they may take the k's of groups of one.
template <class Atom, std::size_t Step, std::size_t Channels, std::size_t V>
SPARQ_INLINE void add_four(typename Atom::acc (&sums)[Channels][V], const typename Atom::packed_x* x,
                           const std::uint16_t*& list, const typename Atom::weight*& w) {
  constexpr column_step step = column_steps<Channels>::all[Step];
  const auto weights = Atom::four_weights(w);
  const auto k = [&] {
    if constexpr (loads_list_v<Atom, step.count>)
      return typename Atom::template list<step.count>(list);
    else
      return list;
  }();
  const auto load = [&](std::size_t set) SPARQ_LAMBDA_INLINE {
    if constexpr (loads_list_v<Atom, step.count>)
      return Atom::template load_k<V>(x, k[set]);
    else
      return Atom::template load<V>(x, k + set * Atom::group_k);
  };
  [&]<std::size_t... I>(std::index_sequence<I...>) SPARQ_LAMBDA_INLINE {
    (Atom::template add_one_of<I, V>(sums[channel_of_v<Channels, Step, I>], weights, load(I * step.count / 4)), ...);
  }(std::make_index_sequence<4>{});
  list += step.count * Atom::group_k;
  w += 4 * Atom::group_k;
}

/// All groups of one step.
template <class Atom, std::size_t Step, std::size_t Channels, std::size_t V, class Carried>
SPARQ_INLINE void run_step(typename Atom::acc (&sums)[Channels][V], std::size_t groups,
                           const typename Atom::packed_x* x, const std::uint16_t*& list,
                           const typename Atom::weight*& w, Carried& carried) {
  constexpr column_step step = column_steps<Channels>::all[Step];
  SPARQ_KEEP_LOOP for (std::size_t g = 0; g < groups; ++g) {
    if constexpr (takes_four_v<Atom, Step, Channels>) {
      add_four<Atom, Step, Channels, V>(sums, x, list, w);
    } else {
      [&]<std::size_t... J>(std::index_sequence<J...>) SPARQ_LAMBDA_INLINE {
        (add_group<Atom, step.sets[J], Channels, V>(sums, x, list, w), ...);
      }(std::make_index_sequence<step.count>{});
    }
    if constexpr (carries_v<Atom>)
      if (--carried.left == 0) {
        SPARQ_UNROLL for (std::size_t c = 0; c < Channels; ++c) {
          SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) Atom::carry(sums[c][v], &carried.high[c][v]);
        }
        carried.left = Atom::max_groups;
      }
  }
}

/// add_section for sums that are carried. @pre at most max_groups * max_carries groups
template <class Atom, std::size_t Channels, std::size_t V>
SPARQ_APART void add_carried(const std::array<std::uint16_t, column_steps<Channels>::count>& groups,
                             const typename Atom::packed_x* x, const std::uint16_t* lists,
                             const typename Atom::weight* weights, typename Atom::acc_type* tile,
                             std::size_t ldt) noexcept {
  SPARQ_ALIGN_FRAME;
  alignas(64) typename Atom::acc high[Channels][V];
  carried_sums<Atom, V> carried{high};
  SPARQ_LOAD_AGAIN(carried.high);  // else gcc carries in registers, and those of the sums go to memory
  typename Atom::acc sums[Channels][V];
  SPARQ_UNROLL for (std::size_t c = 0; c < Channels; ++c) {
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) sums[c][v] = carried.high[c][v] = Atom::zero();
  }
  [&]<std::size_t... S>(std::index_sequence<S...>) SPARQ_LAMBDA_INLINE {
    (run_step<Atom, S, Channels, V>(sums, groups[S], x, lists, weights, carried), ...);
  }(std::make_index_sequence<column_steps<Channels>::count>{});
  SPARQ_UNROLL for (std::size_t c = 0; c < Channels; ++c) {
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v)
        Atom::add_sums(tile + c * ldt + v * Atom::lanes, sums[c][v], &carried.high[c][v]);
  }
}

/// A section of any length as parts that add_carried takes.
template <class Atom, std::size_t Channels, std::size_t V>
void add_in_parts(const column_section<Channels>& section, const typename Atom::packed_x* x, const std::uint16_t* lists,
                  const typename Atom::weight* weights, typename Atom::acc_type* tile, std::size_t ldt) noexcept {
  using steps = column_steps<Channels>;
  constexpr std::size_t most = Atom::max_groups * Atom::max_carries;
  std::size_t groups = 0;
  for (const std::uint16_t of_step : section.groups) groups += of_step;
  if (groups <= most) return add_carried<Atom, Channels, V>(section.groups, x, lists, weights, tile, ldt);
  for (std::size_t step = 0, done = 0; step < steps::count;) {
    std::array<std::uint16_t, steps::count> part{};
    std::size_t taken = 0, list = 0, codes = 0;
    while (step < steps::count) {
      const std::size_t now = (std::min)(section.groups[step] - done, most - taken);
      part[step] = static_cast<std::uint16_t>(now);
      taken += now, done += now;
      list += now * steps::all[step].count * Atom::group_k;
      codes += now * steps::members(step) * Atom::group_k;
      if (done < section.groups[step]) break;
      ++step, done = 0;
    }
    add_carried<Atom, Channels, V>(part, x, lists, weights, tile, ldt);
    lists += list, weights += codes;
  }
}

}  // namespace machine

/// Adds one section of a panel to its sums.
/// - `x`: block of X at the section's first k; `lists`, `weights`: of the section, decoded
/// - `tile`: Channels rows of sums, `ldt` elements apart; the first V * lanes of each are updated
/// - `is_first`: there are no sums yet, the tile is overwritten. A tile of zeros would be written and read for nothing.
template <class Atom, std::size_t Channels, std::size_t V>
  requires(machine::carries_v<Atom>)
void add_section(const column_section<Channels>& section, const typename Atom::packed_x* x, const std::uint16_t* lists,
                 const typename Atom::weight* weights, typename Atom::acc_type* tile, std::size_t ldt,
                 bool is_first = false) noexcept {
  if (is_first)
    for (std::size_t c = 0; c < Channels; ++c) std::fill_n(tile + c * ldt, V * Atom::lanes, typename Atom::acc_type{});
  machine::add_in_parts<Atom, Channels, V>(section, x, lists, weights, tile, ldt);
}
template <class Atom, std::size_t Channels, std::size_t V>
  requires(!machine::carries_v<Atom>)
SPARQ_APART void add_section(const column_section<Channels>& section, const typename Atom::packed_x* x,
                             const std::uint16_t* lists, const typename Atom::weight* weights,
                             typename Atom::acc_type* tile, std::size_t ldt, bool is_first = false) noexcept {
  SPARQ_ALIGN_FRAME;
  alignas(64) static constexpr typename Atom::acc_type zeros[V * Atom::lanes] = {};
  const typename Atom::acc_type* before = is_first ? zeros : tile;
  const std::size_t ldb = is_first ? 0 : ldt;
  typename Atom::acc sums[Channels][V];
  SPARQ_UNROLL for (std::size_t c = 0; c < Channels; ++c) {
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) sums[c][v] = Atom::load_sums(before + c * ldb + v * Atom::lanes);
  }
  machine::no_carried_sums carried;
  [&]<std::size_t... S>(std::index_sequence<S...>) SPARQ_LAMBDA_INLINE {
    (machine::run_step<Atom, S, Channels, V>(sums, section.groups[S], x, lists, weights, carried), ...);
  }(std::make_index_sequence<column_steps<Channels>::count>{});
  SPARQ_UNROLL for (std::size_t c = 0; c < Channels; ++c) {
    SPARQ_UNROLL for (std::size_t v = 0; v < V; ++v) Atom::store_sums(tile + c * ldt + v * Atom::lanes, sums[c][v]);
  }
}

namespace machine {

template <class Atom, std::size_t Step, std::size_t Channels>
SPARQ_INLINE void gather_step(std::size_t groups, const typename Atom::packed_x* x, const std::uint16_t*& list,
                              const typename Atom::weight*& w, typename Atom::acc_type (&sums)[4]) {
  constexpr column_step step = column_steps<Channels>::all[Step];
  constexpr std::size_t total = column_steps<Channels>::members(Step);
  if (groups == 0) SPARQ_SELDOM return;
  typename Atom::template step_sums<step.count, total / step.count> step_sums;
  step_sums.add(groups, x, list, w);
  list += groups * step.count * Atom::group_k;
  w += groups * total * Atom::group_k;
  [&]<std::size_t... I>(std::index_sequence<I...>) SPARQ_LAMBDA_INLINE {
    step_sums.template add_to<channel_of_v<Channels, Step, I>...>(sums);
  }(std::make_index_sequence<total>{});
}

}  // namespace machine

/// Adds one section of a panel for one row of X: the lanes hold k's, X is gathered.
/// - `x`: the packed row at the section's first k; `sums`: of the panel's channels, updated
template <class Atom, std::size_t Channels>
void gather_section(const column_section<Channels>& section, const typename Atom::packed_x* x,
                    const std::uint16_t* lists, const typename Atom::weight* weights,
                    typename Atom::acc_type* sums) noexcept {
  alignas(16) typename Atom::acc_type added[4] = {};
  [&]<std::size_t... S>(std::index_sequence<S...>) SPARQ_LAMBDA_INLINE {
    (machine::gather_step<Atom, S, Channels>(section.groups[S], x, lists, weights, added), ...);
  }(std::make_index_sequence<column_steps<Channels>::count>{});
  for (std::size_t c = 0; c < Channels; ++c) sums[c] = machine::plus(sums[c], added[c]);
}

SPARQ_ABI_END
}  // namespace sparq
