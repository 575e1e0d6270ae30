// SPDX-License-Identifier: MIT
#include <sparq/format/format.hpp>

#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise_n_m.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"

#include <type_traits>

namespace {

using sparq_test::mask_of;
using sparq_test::visits_of;

struct without_panels {
  using k_map = sparq::contiguous;
  using row_select = sparq::all;
  static std::string name() { return "without_panels"; }
  template <template <class> class Array>
  struct index {
    sparq::weight_shape shape;
    auto arrays() const { return std::tie(); }
    std::size_t slots() const { return 0; }
    sparq::status validate() const { return {}; }
  };
  static sparq::expected<index<sparq::owned>> from_mask(sparq::mask_view keep) {
    return index<sparq::owned>{keep.shape};
  }
};

}  // namespace

TEST_CASE("format: the concept knows formats from other things") {
  STATIC_REQUIRE(sparq::format<sparq::dense>);
  STATIC_REQUIRE(sparq::format<sparq::csr>);
  STATIC_REQUIRE(sparq::format<sparq::block<3, 5>>);
  STATIC_REQUIRE(sparq::format<sparq::n_m<2, 4>>);
  STATIC_REQUIRE(sparq::format<sparq::tile_n_m<16, 2, 4>>);
  STATIC_REQUIRE(sparq::format<sparq::tile_wise<128>>);
  STATIC_REQUIRE(sparq::format<sparq::tile_wise<128, sparq::n_m<2, 4>>>);
  STATIC_REQUIRE_FALSE(sparq::format<int>);
  STATIC_REQUIRE_FALSE(sparq::format<without_panels>);
}

TEMPLATE_TEST_CASE("format: a view of an index sees its shape and its slots and is trivially copyable", "",
                   sparq::dense, sparq::csr, (sparq::block<2, 3>), (sparq::n_m<2, 4>), (sparq::tile_n_m<2, 2, 4>),
                   sparq::tile_wise<2>) {
  const auto index = TestType::from_mask(mask_of({"x..x.", "x..x.", "....x"})).value();
  const auto view = sparq::view_of<TestType>(index);
  STATIC_REQUIRE(std::is_trivially_copyable_v<decltype(sparq::view_of<TestType>(index))>);
  CHECK(view.shape == index.shape);
  CHECK(view.slots() == index.slots());
  CHECK(visits_of(view) == visits_of(index));
  CHECK(sparq::index_bytes(view) == sparq::index_bytes(index));
}

TEST_CASE("format: equal panels tile the channels, the last one has what is left") {
  for (std::size_t n = 0; n < 40; ++n)
    for (std::size_t channels = 1; channels < 20; ++channels) {
      std::size_t next = 0;
      for (std::size_t p = 0; p < sparq::ceil_div(n, channels); ++p) {
        const auto [first, count] = sparq::panel_of(p, channels, n);
        REQUIRE(first == next);
        REQUIRE(count <= channels);
        REQUIRE((count == channels || first + count == n));
        next += count;
      }
      REQUIRE(next == n);
    }
}

TEST_CASE("format: index_bytes counts all arrays") {
  const sparq::mask keep = mask_of({"x..x.", "x..x.", "....x"});
  CHECK(sparq::index_bytes(sparq::dense::from_mask(keep).value()) == 0);
  CHECK(sparq::index_bytes(sparq::csr::from_mask(keep).value()) == 4 * 8 + 5 * 4);
  CHECK(sparq::index_bytes(sparq::block<2, 3>::from_mask(keep).value()) == 3 * 8 + 3 * 4);
  CHECK(sparq::index_bytes(sparq::n_m<2, 4>::from_mask(keep).value()) == 3 * 2 * 2);
  CHECK(sparq::index_bytes(sparq::tile_n_m<2, 2, 4>::from_mask(keep).value()) == 2 * 2 * 2);
  CHECK(sparq::index_bytes(sparq::tile_wise<2>::from_mask(keep).value()) == 2 * 4 + 3 * 4 + 3 * 8 + 3 * 4);
}

TEST_CASE("format: conforms names what the format cannot hold") {
  const sparq::mask keep = mask_of({"x..x.", "xx.x."});
  CHECK(sparq::conforms<sparq::csr>(keep).ok());
  CHECK(sparq::conforms<sparq::n_m<2, 4>>(keep).message() ==
        "n_m<2,4>: channel 1 keeps 3 k's of group 0; the first too many is [n=1][k=3]");
}
