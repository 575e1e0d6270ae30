// SPDX-License-Identifier: MIT
#pragma once
// Products in the tiles of AMX, real or emulated, while an object lives.

#include <sparq/base/amx.hpp>

#include "tests/support/catch.hpp"

namespace sparq_test {

class amx_in_use {
 public:
  amx_in_use() {
#ifdef SPARQ_TEST_EMULATES_TILES
    sparq::detail::amx_is_used = true;
#elif SPARQ_HAS_AMX_INT8
    sparq::use_amx();
#endif
    REQUIRE(sparq::uses_amx() == bool{SPARQ_HAS_AMX_INT8});
  }
  ~amx_in_use() { sparq::stop_using_amx(); }
  amx_in_use(const amx_in_use&) = delete;
  amx_in_use& operator=(const amx_in_use&) = delete;
};

}  // namespace sparq_test
