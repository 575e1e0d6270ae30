// SPDX-License-Identifier: MIT
#include <sparq/op/window.hpp>

#include "tests/support/backwards.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

TEST_CASE("window: every row of the output is visited once, however many parts there are") {
  for (std::size_t parts = 0; parts <= 9; ++parts)
    for (std::size_t images = 0; images <= 3; ++images)
      for (std::size_t height = 0; height <= 4; ++height) {
        INFO(parts << " parts, " << images << " images of height " << height);
        const sparq_test::backwards executor{parts};
        std::vector<std::pair<std::size_t, std::size_t>> visited, want;
        for (std::size_t i = 0; i < images; ++i)
          for (std::size_t y = 0; y < height; ++y) want.emplace_back(i, y);
        sparq::machine::for_each_output_row(
            sparq::image_view<float>(nullptr, images, height, 5, 1), executor,
            [&](std::size_t image, std::size_t y) { visited.emplace_back(image, y); });
        std::sort(visited.begin(), visited.end());
        REQUIRE(visited == want);
      }
}

TEST_CASE("window: an output of the wrong extents is refused") {
  const sparq::image_view<const float> x(nullptr, 2, 5, 6, 3);
  const auto sentence = [&](sparq::image_view<float> y, const sparq::window_parameters& window) {
    return sparq::machine::check_window("pool", x, y, window).message();
  };
  const sparq::window_parameters window{.kernel_height = 2, .kernel_width = 3};
  CHECK(sentence({nullptr, 2, 4, 4, 7}, window) == "");
  CHECK(sentence({nullptr, 1, 4, 4, 7}, window) == "pool: Y is 1 x 4 x 4 x 7, it needs to be 2 x 4 x 4 x 7");
  CHECK(sentence({nullptr, 2, 5, 4, 7}, window) == "pool: Y is 2 x 5 x 4 x 7, it needs to be 2 x 4 x 4 x 7");
  CHECK(sentence({nullptr, 2, 4, 3, 7}, window) == "pool: Y is 2 x 4 x 3 x 7, it needs to be 2 x 4 x 4 x 7");
  CHECK(sentence({nullptr, 2, 4, 4, 7}, {.kernel_height = 0}) ==
        "pool: window: kernel_height 0 is not in [1, 2^31 - 1]");
}
