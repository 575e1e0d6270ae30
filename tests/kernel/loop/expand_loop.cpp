// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/kernel/loop/expand_loop.hpp>

#include "tests/support/part_of_work.hpp"

using namespace sparq;

TEST_CASE("expand_loop: a range of rows and strips leaves the rest of Y alone") {
  using shape = bitmask_shape<16, 4>;
  sparq_test::check_part_of_work<csr, shape, atom_for<u8, s8, shape>, expand_loop>(4, 300);
}
