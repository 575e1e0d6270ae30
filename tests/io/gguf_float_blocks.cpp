// SPDX-License-Identifier: MIT
#include <sparq/io/gguf_float_blocks.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/gguf_rows.hpp"

#include <cstdint>

using namespace sparq;
using namespace sparq_test;

TEST_CASE("gguf_float_blocks: bytes of ggml's reference functions") {
  CHECK(golden<gguf::mxfp4>() == "7e6fdb257ec946fea267ec146fda357eb0");
  CHECK(golden<gguf::nvfp4>() == "303030307fcb45fea956ee0266ed1267dc347fba45ffb956ee0167dd0267dc347fca56fe");
}

TEST_CASE("gguf_float_blocks: numbers come back within the steps of their block") {
  check_round_trip<gguf::mxfp4>(0.26);
  check_round_trip<gguf::nvfp4>(0.26);
}

TEST_CASE("gguf_float_blocks: ue4m3 and e8m0") {
  CHECK(gguf::half_of_e8m0(128) == 1.0F);
  CHECK(gguf::half_of_e8m0(0) == 0x1p-128F);
  CHECK(gguf::half_of_e8m0(1) == 0x1p-127F);
  CHECK(gguf::half_of_e8m0(255) == 0x1p127F);
  CHECK(gguf::half_of_ue4m3(0x7F) == 0.0F);
  for (int code = 1; code < 0x78; ++code)  // 0x78 and above are written as 0x7e
    REQUIRE(gguf::to_ue4m3(2 * gguf::half_of_ue4m3(static_cast<std::uint8_t>(code))) == code);
  CHECK(gguf::to_ue4m3(1000.0F) == 0x7E);
  CHECK(gguf::to_ue4m3(250.0F) == 0x7E);
  CHECK(gguf::to_ue4m3(-1.0F) == 0);
  CHECK(gguf::to_ue4m3(1.0625F) == 0x39);  // a tie between 1 and 1.125 goes up
}
