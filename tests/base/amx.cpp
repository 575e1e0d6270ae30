// SPDX-License-Identifier: MIT
#include <sparq/base/amx.hpp>

#include "tests/support/catch.hpp"

#include <string>

using namespace sparq;

TEST_CASE("amx: no product uses tiles before the program says so") {
  CHECK_FALSE(uses_amx());
  stop_using_amx();
  CHECK_FALSE(uses_amx());
}

TEST_CASE("amx: code without tiles is told what to compile, and nothing changes") {
  const status answer = try_use_amx();
  if (SPARQ_HAS_AMX_INT8) {
    CHECK(answer.ok() == uses_amx());
    stop_using_amx();
  } else {
    CHECK(answer.message() ==
          "this code is compiled without AMX tiles; add -mamx-tile -mamx-int8 to AVX-512 with VNNI");
    CHECK_THROWS_AS(use_amx(), error);
  }
  CHECK_FALSE(uses_amx());
}

TEST_CASE("amx: the operating system gives tiles, or the answer says that it does not") {
  const status answer = detail::ask_for_amx_tiles();
  if (!answer) CHECK(answer.message().find("AMX tiles") != std::string::npos);
  CHECK(detail::ask_for_amx_tiles().ok() == answer.ok());
  CHECK_FALSE(uses_amx());
}
