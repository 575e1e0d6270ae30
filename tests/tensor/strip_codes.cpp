// SPDX-License-Identifier: MIT
#include <sparq/tensor/strip_codes.hpp>

#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <vector>

using namespace sparq;

namespace {

struct panels_of {
  std::vector<std::size_t> counts;
  std::size_t panels() const { return counts.size(); }
  channel_range panel(std::size_t p) const {
    std::size_t first = 0;
    for (std::size_t i = 0; i < p; ++i) first += counts[i];
    return {first, counts[p]};
  }
};

struct band {
  std::size_t first_panel, end_panel, first, count;
  bool operator==(const band&) const = default;
};

std::vector<band> bands(const panels_of& index, std::size_t multiple) {
  std::vector<band> found;
  detail::for_each_band(index, multiple, [&](std::size_t p, std::size_t end, std::size_t first, std::size_t count) {
    found.push_back({p, end, first, count});
  });
  return found;
}

template <class Format, class N>
void check_cells(weight_shape shape) {
  sparq_test::random_source random;
  INFO(random.text() << ", " << Format::name() << ", " << to_string(shape));
  const auto w = sparq_test::random_tensor<Format, N>(shape, sparq_test::value_style::any, random);
  const auto view = w.view();
  using codes = detail::strip_codes<Format, N, typename decltype(view)::granularity>;
  std::vector<double> want(shape.size()), got(shape.size());
  for (std::size_t p = 0; p < view.index.panels(); ++p)
    view.index.for_each_slot(p, [&](std::size_t slot, std::size_t n, std::size_t k) {
      want[n * shape.k + k] = static_cast<double>(load_weight(view, slot, n, k));
    });
  codes strips(view);
  std::size_t next = 0;
  strips.template for_each_strip<16>([&](std::size_t strip, const typename codes::cell* rows, std::size_t channels) {
    REQUIRE(strip == next++);
    REQUIRE(channels == (std::min)(std::size_t{16}, shape.n - strip * 16));
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t k = 0; k < shape.k; ++k)
        if (rows[c * shape.k + k] != codes::nothing)
          got[(strip * 16 + c) * shape.k + k] = strips.weight(rows[c * shape.k + k], strip * 16 + c, k);
  });
  CHECK(next == ceil_div(shape.n, std::size_t{16}));
  CHECK(got == want);
}

}  // namespace

TEST_CASE("strip_codes: bands are as short as whole panels and a multiple of channels allow") {
  CHECK(bands({{16, 16, 5}}, 16) == std::vector<band>{{0, 1, 0, 16}, {1, 2, 16, 16}, {2, 3, 32, 5}});
  CHECK(bands({{6, 6, 6, 6, 6}}, 4) == std::vector<band>{{0, 2, 0, 12}, {2, 4, 12, 12}, {4, 5, 24, 6}});
  CHECK(bands({{128, 3}}, 16) == std::vector<band>{{0, 1, 0, 128}, {1, 2, 128, 3}});
  CHECK(bands({}, 16).empty());
}

TEST_CASE("strip_codes: every weight that is not 0 is in its place, of any format") {
  for (const weight_shape shape : {weight_shape{16, 8}, weight_shape{37, 21}, weight_shape{3, 64}}) {
    check_cells<csr, s8>(shape);
    check_cells<dense, s4>(shape);
    check_cells<block<6, 4>, ternary>(shape);
    check_cells<tile_wise<24>, s8>(shape);
    check_cells<csr, codebook<4, s8>>(shape);
  }
}
