// SPDX-License-Identifier: MIT
#include <sparq/base/config.hpp>

#include "tests/support/catch.hpp"

#include <string>

#define SPARQ_TEST_TEXT_(...) #__VA_ARGS__
#define SPARQ_TEST_TEXT(...) SPARQ_TEST_TEXT_(__VA_ARGS__)

namespace sparq {
SPARQ_ABI_BEGIN
inline int tagged() { return 1; }
SPARQ_ABI_END
}  // namespace sparq

TEST_CASE("config: the version is one number that grows with each part") {
  CHECK(SPARQ_VERSION == SPARQ_VERSION_MAJOR * 10000 + SPARQ_VERSION_MINOR * 100 + SPARQ_VERSION_PATCH);
  CHECK(SPARQ_VERSION_MINOR < 100);
  CHECK(SPARQ_VERSION_PATCH < 100);
}

TEST_CASE("config: a feature never stands without the one it builds on") {
  CHECK(SPARQ_HAS_AVX512 <= SPARQ_HAS_AVX2);
  CHECK(SPARQ_HAS_AVX512VNNI <= SPARQ_HAS_AVX512);
  CHECK(SPARQ_HAS_AVX512VBMI <= SPARQ_HAS_AVX512);
  CHECK(SPARQ_HAS_AVX512VBMI2 <= SPARQ_HAS_AVX512);
  CHECK(SPARQ_HAS_AVX512VPOPCNTDQ <= SPARQ_HAS_AVX512);
  CHECK(SPARQ_HAS_AVX512BF16 <= SPARQ_HAS_AVX512);
  CHECK(SPARQ_HAS_AMX_INT8 <= SPARQ_HAS_AVX512VNNI);
  CHECK(SPARQ_HAS_BMI2 <= SPARQ_HAS_AVX2);
  CHECK(SPARQ_HAS_XSIMD <= SPARQ_HAS_AVX2);
  CHECK(SPARQ_SCALAR + SPARQ_HAS_AVX2 <= 1);
}

TEST_CASE("config: the ABI namespace is named after the features and needs no qualification") {
  const std::string tag = SPARQ_TEST_TEXT(SPARQ_ABI_TAG);
  CHECK(tag.starts_with("abi_" SPARQ_TEST_TEXT(SPARQ_HAS_AVX2) SPARQ_TEST_TEXT(SPARQ_HAS_AVX512)));
  CHECK(&sparq::tagged == &sparq::SPARQ_ABI_TAG::tagged);
}
