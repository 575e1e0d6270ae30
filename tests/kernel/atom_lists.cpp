// SPDX-License-Identifier: MIT
#include <sparq/kernel/atom_lists.hpp>

#include "tests/support/catch.hpp"

#include <array>
#include <string>
#include <tuple>
#include <type_traits>

using namespace sparq;

namespace {

/// The last atom needs nothing, and no atom stands behind one that needs less: it would never be taken.
template <class List>
void check_order() {
  []<class... Atoms>(std::tuple<Atoms...>*) {
    static_assert(sizeof...(Atoms) > 0, "sparq: nothing multiplies these types");
    const std::array<isa, sizeof...(Atoms)> needs = {Atoms::needs...};
    const std::array<std::string, sizeof...(Atoms)> names = {std::string(Atoms::name)...};
    INFO(names.front() << " to " << names.back());
    CHECK(needs.back() == isa());
    for (std::size_t i = 0; i + 1 < needs.size(); ++i) {
      INFO(names[i] << " before " << names[i + 1]);
      CHECK(needs[i].has(needs[i + 1]));
    }
  }(static_cast<List*>(nullptr));
}

template <class X, class W>
void check_all() {
  check_order<typename machine::atom_list<X, W>::type>();
  check_order<typename machine::column_atom_list<X, W>::type>();
  check_order<typename machine::gather_atom_list<X, W>::type>();
}

}  // namespace

TEST_CASE("atom_lists: the most demanding atom goes first, plain C++ serves everywhere") {
  check_all<u8, s8>();
  check_all<s8, s8>();
  check_all<s16, s8>();
  check_all<f32, f32>();
  check_all<f32, bf16>();
  check_all<bf16, bf16>();
  check_all<f16, f32>();
  check_order<typename machine::atom_list<binary, binary>::type>();
  check_order<typename machine::atom_list<binary, ternary>::type>();
}

TEST_CASE("atom_lists: types that nothing multiplies have an empty list") {
  STATIC_REQUIRE(std::is_same_v<typename machine::atom_list<f32, s8>::type, std::tuple<>>);
  STATIC_REQUIRE(std::is_same_v<typename machine::column_atom_list<u8, f32>::type, std::tuple<>>);
}
