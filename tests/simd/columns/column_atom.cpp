// SPDX-License-Identifier: MIT
#include <sparq/kernel/select.hpp>

#include "tests/support/catch.hpp"

using namespace sparq;

namespace {

template <class Atom>
constexpr bool keeps_contract = Atom::lanes * Atom::registers % 16 == 0 && native_isa.has(Atom::needs) &&
                                (Atom::registers & (Atom::registers - 1)) == 0;

}  // namespace

TEST_CASE("column_atom: the atoms chosen for this CPU have blocks of whole sixteens and powers of two of registers") {
  STATIC_REQUIRE(keeps_contract<atom_for<u8, s8, default_column_shape<s8>>>);
  STATIC_REQUIRE(keeps_contract<atom_for<s8, u8, default_column_shape<u8>>>);
  STATIC_REQUIRE(keeps_contract<atom_for<u8, s4, default_column_shape<s4>>>);
  STATIC_REQUIRE(keeps_contract<atom_for<s8, ternary, default_column_shape<ternary>>>);
  STATIC_REQUIRE(keeps_contract<atom_for<f32, f32, default_column_shape<f32>>>);
  STATIC_REQUIRE(keeps_contract<atom_for<bf16, bf16, default_column_shape<bf16>>>);
  STATIC_REQUIRE(std::is_same_v<atom_for<f32, s8, default_column_shape<s8>>, machine::no_atom>);
}

TEST_CASE("column_atom: narrow weights have atoms of their own on AVX2, which runs and codebooks know") {
#if SPARQ_HAS_AVX2 && !SPARQ_HAS_AVX512
  CHECK(atom_for<u8, s4, column_shape<4, 4>>::name == "columns4_u8narrow_avx2");
  CHECK(atom_for<s8, u4, column_shape<4, 4, 4>>::name == "quads4_s8narrow_avx2");
  CHECK(atom_for<u8, packed_numeric_t<s7>, column_shape<4, 4>>::name == "columns4_u8pairs_avx2");
  CHECK(atom_for<u8_up_to_127, s8, column_shape<4, 4, 4>>::name == "quads4_u7pairs_avx2");
  CHECK(atom_for<u8, s8, column_shape<4, 4>>::name == "columns4_u8s8_avx2");
  CHECK(atom_for<u8, codebook<4, s8>, column_shape<4, 4>>::name == "columns4_u8s8_avx2");
#else
  CHECK_FALSE(atom_for<u8, s4, column_shape<4, 4>>::name.ends_with("narrow_avx2"));
#endif
}
