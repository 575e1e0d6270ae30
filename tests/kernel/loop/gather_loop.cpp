// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/kernel/loop/gather_loop.hpp>

#include "tests/support/part_of_work.hpp"

using namespace sparq;

TEST_CASE("gather_loop: a range of rows and strips leaves the rest of Y alone") {
  using shape = default_column_shape<s8>;
  sparq_test::check_part_of_work<csr, shape, gather_atom_for<u8, s8, shape>, gather_loop>(4, 20);
}
