// SPDX-License-Identifier: MIT
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/loop/panel_loop.hpp>

#include "tests/support/part_of_work.hpp"

using namespace sparq;

TEST_CASE("panel_loop: a range of rows and strips leaves the rest of Y alone") {
  using shape = default_panel_shape<s8>;
  sparq_test::check_part_of_work<tile_wise<16>, shape, atom_for<u8, s8, shape>, panel_loop>(9, 20);
  sparq_test::check_part_of_work<tile_n_m<16, 4, 4>, shape, atom_for<u8, s8, shape>, panel_loop>(9, 20);
  sparq_test::check_part_of_work<tile_n_m<48, 4, 4>, shape, atom_for<u8, s8, shape>, panel_loop>(120, 20);
}
