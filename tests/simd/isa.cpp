// SPDX-License-Identifier: MIT
#include <sparq/simd/isa.hpp>

#include "tests/support/catch.hpp"

using sparq::feature;
using sparq::isa;

static_assert(isa().has(isa()), "sparq: the empty set has what the empty set needs");
static_assert((feature::avx2 | feature::avx512).has(feature::avx512), "sparq: a union has its parts");
static_assert(!isa(feature::avx2).has(feature::avx512vnni), "sparq: one feature implies no other");

TEST_CASE("isa: names are the features, in order, and scalar for none") {
  CHECK(sparq::to_string(isa()) == "scalar");
  CHECK(sparq::to_string(feature::avx512 | feature::avx2) == "avx2+avx512");
}

TEST_CASE("isa: this translation unit has what its flags say") {
  CHECK(sparq::native_isa.has(feature::avx2) == (SPARQ_HAS_AVX2 == 1));
  CHECK(sparq::native_isa.has(feature::avx512vnni) == (SPARQ_HAS_AVX512VNNI == 1));
}
