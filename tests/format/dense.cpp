// SPDX-License-Identifier: MIT
#include <sparq/format/dense.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"

using sparq::dense;

TEST_CASE("dense: every element has the slot n * K + k, pruned or not") {
  const auto index = dense::from_mask(sparq_test::mask_of({"x..", "..."})).value();
  CHECK(index.slots() == 6);
  CHECK(index.panels() == 1);
  CHECK(index.panel(0).first == 0);
  CHECK(index.panel(0).count == 2);
  CHECK(sparq_test::visits_of(index) ==
        std::vector<sparq_test::slot_visit>{{0, 0, 0}, {1, 0, 1}, {2, 0, 2}, {3, 1, 0}, {4, 1, 1}, {5, 1, 2}});
}

TEST_CASE("dense: a matrix without channels has no panel, one without k's no slots") {
  CHECK(dense::from_mask(sparq::mask({0, 4})).value().panels() == 0);
  CHECK(dense::from_mask(sparq::mask({4, 0})).value().panels() == 1);
  CHECK(dense::from_mask(sparq::mask({4, 0})).value().slots() == 0);
}

TEST_CASE("dense: extents whose product overflows are refused") {
  dense::index<sparq::owned> index;
  CHECK(index.validate().ok());
  index.shape = {std::size_t{1} << 32, std::size_t{1} << 32};
  CHECK_FALSE(index.validate().ok());
  CHECK_FALSE(dense::from_mask(sparq::mask_view{nullptr, index.shape}).ok());
}
