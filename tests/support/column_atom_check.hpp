// SPDX-License-Identifier: MIT
#pragma once
// One atom of the columns loop by itself against plain arithmetic.

#include <sparq/simd/columns/column_atom.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sparq_test {

/// Random X of `rows` x k by rows and by columns.
template <class Code>
struct both_layouts {
  both_layouts(std::size_t rows, std::size_t k, random_source& random) : by_rows(rows * k), by_columns(rows * k) {
    fill_codes<sparq::numeric_of_t<Code>>(by_rows, value_style::exact, random);
    for (auto& v : by_rows)
      if (random.chance(0.2)) v = random_code<sparq::numeric_of_t<Code>>(value_style::extremes, random);
    for (std::size_t i = 0; i < by_rows.size(); ++i) by_columns[i % k * rows + i / k] = by_rows[i];
  }
  std::vector<Code> by_rows, by_columns;
};

/// One group of k's, added to what is there.
template <class Atom, std::size_t V>
void add_one_group(const typename Atom::packed_x* block, const std::uint16_t* list,
                   const typename Atom::weight* weights, typename Atom::acc_type* sums) {
  typename Atom::acc acc[V];
  const auto group = Atom::template load<V>(block, list);
  if constexpr (requires { Atom::max_groups; }) {
    for (auto& a : acc) a = Atom::zero();
    Atom::template add<V>(acc, weights, group);
    for (std::size_t v = 0; v < V; ++v) {
      alignas(64) typename Atom::acc carried = Atom::zero();
      if (weights[0] % 2 != 0) Atom::carry(acc[v], &carried);
      Atom::add_sums(sums + v * Atom::lanes, acc[v], &carried);
    }
  } else {
    for (std::size_t v = 0; v < V; ++v) acc[v] = Atom::load_sums(sums + v * Atom::lanes);
    Atom::template add<V>(acc, weights, group);
    for (std::size_t v = 0; v < V; ++v) Atom::store_sums(sums + v * Atom::lanes, acc[v]);
  }
}

/// Both ways to pack a block, then one group of k's for every number of registers.
template <class Atom, sparq::numeric W, std::size_t V>
void check_column_atom_registers(std::size_t k, random_source& random) {
  constexpr std::size_t all = Atom::lanes * Atom::registers;
  using sum_type = typename Atom::acc_type;
  const std::size_t count = 1 + random.below(V * Atom::lanes);
  const both_layouts<typename Atom::x_code> x(count, k, random);
  std::vector<const typename Atom::x_code*> rows(all);
  for (std::size_t r = 0; r < all; ++r) rows[r] = x.by_rows.data() + (std::min)(r, count - 1) * k;
  constexpr std::size_t run = sparq::run_of_v<Atom>;
  const std::size_t block_k = sparq::round_up(k, run);
  sparq::aligned_buffer memory(2 * all * block_k * sizeof(typename Atom::packed_x) + 8);  // which loads may read
  auto* from_rows = reinterpret_cast<typename Atom::packed_x*>(memory.data());
  auto* from_columns = from_rows + all * block_k;
  Atom::pack_rows(rows.data(), k, from_rows);
  Atom::pack_columns(x.by_columns.data(), count, k, count, from_columns);

  std::uint16_t list[Atom::group_k];
  typename Atom::weight weights[Atom::group_k] = {};
  for (std::size_t i = 0; i < Atom::group_k; ++i) {
    const std::size_t at = run == 1 ? random.below(k) : i == 0 ? random.below(k) / run * run : std::size_t{list[0]} + i;
    list[i] = static_cast<std::uint16_t>(at < k ? at : 0);
    if (at < k)
      weights[i] = static_cast<typename Atom::weight>(
          random_code<W>(random.chance(0.3) ? value_style::extremes : value_style::exact, random));
  }
  const auto start = static_cast<sum_type>(random.between(-1000, 1000));
  for (const auto* block : {from_rows, from_columns}) {
    INFO((block == from_rows ? "by rows" : "by columns")
         << ", k " << k << ", " << count << " rows, " << V << " registers");
    std::vector<sum_type> sums(V * Atom::lanes, start);
    add_one_group<Atom, V>(block, list, weights, sums.data());
    for (std::size_t r = 0; r < count; ++r) {
      sum_type want = start;
      for (std::size_t i = 0; i < Atom::group_k; ++i)
        want += (static_cast<sum_type>(x.by_rows[r * k + list[i]]) - static_cast<sum_type>(Atom::weight_sum_factor)) *
                static_cast<sum_type>(weights[i]);
      REQUIRE(sums[r] == want);
    }
  }
}

template <class Atom, sparq::numeric W>
void check_column_atom() {
  random_source random;
  INFO(std::string(Atom::name) << ", " << random.text());
  for (int trial = 0; trial < 100; ++trial) {
    const std::size_t k = 1 + random.below(70);
    check_column_atom_registers<Atom, W, 1>(k, random);
    if constexpr (Atom::registers >= 2) check_column_atom_registers<Atom, W, 2>(k, random);
    if constexpr (Atom::registers >= 4) check_column_atom_registers<Atom, W, 4>(k, random);
  }
}

/// Sets of every kind that a step has, any number of groups; the codes end where memory ends.
template <class Atom, sparq::numeric W, std::size_t Sets, std::size_t Members>
void check_gather_step(random_source& random) {
  using sum_type = typename Atom::acc_type;
  constexpr std::size_t group_k = Atom::group_k, total = Sets * Members;
  const std::size_t k = 1 + random.below(50), groups = random.below(12);
  const both_layouts<typename Atom::x_code> x(1, k, random);
  std::vector<typename Atom::packed_x> row(k);
  Atom::pack_row(x.by_rows.data(), k, row.data());
  std::vector<std::uint16_t> list(groups * Sets * group_k);
  for (auto& at : list) at = static_cast<std::uint16_t>(random.below(k));
  std::vector<typename Atom::weight> weights;
  for (std::size_t i = 0; i < groups * total * group_k; ++i)
    weights.push_back(static_cast<typename Atom::weight>(
        random_code<W>(random.chance(0.3) ? value_style::extremes : value_style::exact, random)));
  std::vector<sum_type> want(total);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const std::size_t member = i / group_k % total, group = i / group_k / total;
    want[member] += static_cast<sum_type>(weights[i]) *
                    static_cast<sum_type>(x.by_rows[list[(group * Sets + member / Members) * group_k + i % group_k]]);
  }
  typename Atom::template step_sums<Sets, Members> sums;
  sums.add(groups, row.data(), list.data(), weights.data());
  INFO(Sets << " sets of " << Members << ", " << groups << " groups");
  // the step's channels as they are, and each in another place of the panel
  sum_type in_order[4] = {1, 1, 1, 1}, turned[4] = {2, 2, 2, 2};
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    sums.template add_to<I...>(in_order);
    sums.template add_to<(I + 1) % 4 ...>(turned);
  }(std::make_index_sequence<total>{});
  want.resize(4);
  for (std::size_t i = 0; i < 4; ++i) {
    REQUIRE(in_order[i] == want[i] + 1);
    REQUIRE(turned[(i + 1) % 4] == want[i] + 2);
  }
}

template <class Atom, sparq::numeric W>
void check_gather_atom() {
  random_source random;
  INFO(std::string(Atom::name) << ", " << random.text());
  for (int trial = 0; trial < 100; ++trial) {
    check_gather_step<Atom, W, 1, 1>(random);
    check_gather_step<Atom, W, 1, 2>(random);
    check_gather_step<Atom, W, 1, 3>(random);
    check_gather_step<Atom, W, 1, 4>(random);
    check_gather_step<Atom, W, 2, 1>(random);
    check_gather_step<Atom, W, 2, 2>(random);
    check_gather_step<Atom, W, 4, 1>(random);
  }
}

}  // namespace sparq_test
