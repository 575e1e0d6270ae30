// SPDX-License-Identifier: MIT
#include <sparq/tensor/column_steps.hpp>

#include "tests/support/catch.hpp"

#include <bit>

using sparq::column_steps;

namespace {

template <std::size_t Channels>
void check_steps() {
  using steps = column_steps<Channels>;
  std::vector<int> single(steps::sets);
  for (std::size_t i = 0; i < steps::count; ++i) {
    std::size_t joined = 0, members = 0;
    for (std::size_t j = 0; j < steps::all[i].count; ++j) {
      const std::size_t set = steps::all[i].sets[j];
      CHECK(set != 0);
      CHECK((joined & set) == 0);  // sets of a step have no channel in common
      CHECK(std::popcount(set) == std::popcount(static_cast<std::size_t>(steps::all[i].sets[0])));
      joined |= set;
      for (std::size_t c = 0, i_of_set = members; c < Channels; ++c)
        if ((set >> c & 1) != 0) CHECK(steps::all[i].channel(i_of_set++) == c);
      members += static_cast<std::size_t>(std::popcount(set));
    }
    CHECK(joined < steps::sets);
    CHECK(steps::members(i) == members);
    if (steps::all[i].count == 1) ++single[joined];
  }
  for (std::size_t set = 1; set < steps::sets; ++set) CHECK(single[set] == 1);  // whatever is left finds its step
}

}  // namespace

TEST_CASE("column_steps: every set has a step of its own, joint steps have sets of one size") {
  check_steps<1>();
  check_steps<2>();
  check_steps<4>();
}
