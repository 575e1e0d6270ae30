// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>

#include "tests/combinations/combinations.hpp"

TEST_CASE("combinations: csr of every type of weights by every type of X") { combinations::check_all<sparq::csr>(); }
