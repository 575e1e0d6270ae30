// SPDX-License-Identifier: MIT
#include <sparq/format/mask.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"

#include <limits>

using sparq::mask;
using sparq::mask_view;

TEST_CASE("mask: everything is kept unless said otherwise") {
  CHECK(mask({3, 4}).kept() == 12);
  CHECK(mask({3, 4}, false).kept() == 0);
  CHECK(mask().kept() == 0);
}

TEST_CASE("mask: an element is set by channel and k, row-major") {
  mask keep({2, 3}, false);
  keep.set(1, 0, true);
  CHECK(keep(1, 0));
  CHECK_FALSE(keep(0, 1));
  CHECK(keep.data()[3] == 1);
  keep.set(1, 0, false);
  CHECK(keep.kept() == 0);
}

TEST_CASE("mask: sparsity is the share of what is not kept, 0 if there is nothing") {
  CHECK(sparq_test::mask_of({"x..x", "...."}).sparsity() == 0.75);
  CHECK(mask({0, 5}).sparsity() == 0.0);
  CHECK(mask({5, 0}).sparsity() == 0.0);
}

TEST_CASE("mask: a view sees the mask, and takes any byte but 0 as kept") {
  mask keep = sparq_test::mask_of({"x..", ".xx"});
  keep.data()[0] = 255;
  const mask_view view = keep;
  CHECK(view(0, 0));
  CHECK_FALSE(view(0, 1));
  CHECK(view.kept() == 3);
  REQUIRE(view.channel(1).size() == 3);
  CHECK(view.channel(1)[0] == 0);
  CHECK(view.channel(1)[2] == 1);
}

TEST_CASE("mask: nonzero_mask keeps what is not zero, and NaN") {
  const std::vector<float> values = {0.0F, -0.0F, 1e-45F, -2.0F, std::numeric_limits<float>::quiet_NaN(), 0.0F};
  CHECK(sparq_test::picture_of(sparq::nonzero_mask(std::span<const float>(values), {2, 3})) ==
        std::vector<std::string>{"..x", "xx."});
}

TEST_CASE("mask: append_kept appends the kept k's in order, for every length") {
  sparq_test::random_source random;
  INFO(random.text());
  for (std::size_t length = 0; length < 600; length += length < 20 ? 1 : 1 + random.below(40)) {
    const mask keep = sparq_test::random_mask({1, length}, 0.4, random);
    std::vector<sparq::index_t> wanted = {7, 3};
    for (std::size_t k = 0; k < length; ++k)
      if (keep(0, k)) wanted.push_back(static_cast<sparq::index_t>(k));
    std::vector<sparq::index_t> appended = {7, 3};
    sparq::append_kept(mask_view(keep).channel(0), appended);
    CAPTURE(length);
    CHECK(appended == wanted);
    CHECK(sparq::count_kept(mask_view(keep).channel(0)) == wanted.size() - 2);
  }
}
