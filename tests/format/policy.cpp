// SPDX-License-Identifier: MIT
#include <sparq/format/policy.hpp>

#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise_n_m.hpp>

#include "../support/catch.hpp"

#include <type_traits>

namespace {

template <class F, class KMap, class RowSelect>
constexpr bool reads_by = std::is_same_v<typename F::k_map, KMap>&& std::is_same_v<typename F::row_select, RowSelect>;

}  // namespace

TEST_CASE("policy: every format says how its panels read X") {
  STATIC_REQUIRE(reads_by<sparq::dense, sparq::contiguous, sparq::all>);
  STATIC_REQUIRE(reads_by<sparq::csr, sparq::scattered, sparq::all>);
  STATIC_REQUIRE(reads_by<sparq::block<16, 4>, sparq::runs, sparq::all>);
  STATIC_REQUIRE(reads_by<sparq::block<4, 1>, sparq::scattered, sparq::all>);
  STATIC_REQUIRE(reads_by<sparq::tile_wise<128>, sparq::list, sparq::all>);
  STATIC_REQUIRE(reads_by<sparq::tile_wise<128, sparq::n_m<2, 4>>, sparq::list, sparq::n_m_select<2, 4>>);
  STATIC_REQUIRE(reads_by<sparq::n_m<2, 4>, sparq::contiguous, sparq::n_m_select<2, 4>>);
  STATIC_REQUIRE(reads_by<sparq::tile_n_m<16, 2, 4>, sparq::n_m_shared<2, 4>, sparq::all>);
}

TEST_CASE("policy: policies are empty types, told apart by their pattern") {
  STATIC_REQUIRE(std::is_empty_v<sparq::n_m_select<2, 4>>);
  STATIC_REQUIRE_FALSE(std::is_same_v<sparq::n_m_select<2, 4>, sparq::n_m_select<4, 8>>);
  STATIC_REQUIRE_FALSE(std::is_same_v<sparq::n_m_shared<2, 4>, sparq::n_m_shared<2, 8>>);
}
