// SPDX-License-Identifier: MIT
#include <sparq/compress/prune.hpp>
#include <sparq/format/tile_wise_n_m.hpp>

#include "../support/catch.hpp"
#include "../support/masks.hpp"
#include "../support/random.hpp"

#include <vector>

using sparq::n_m;
using sparq::tile_wise;
using sparq_test::mask_of;

namespace {

using nested = tile_wise<2, n_m<1, 2>>;

nested::index<sparq::owned> tile_wise_n_m_example() {
  return nested::from_mask(mask_of({"x....x",  //
                                    "......",  //
                                    "..xx.."}))
      .value();
}

}  // namespace

TEST_CASE("tile_wise holding n_m: every channel keeps its own entries of the tile's list") {
  const auto index = tile_wise_n_m_example();
  CHECK(index.tile_ends == std::vector<sparq::index_t>{3});
  CHECK(index.kept_channels == std::vector<sparq::index_t>{0, 2});
  CHECK(index.k_list == std::vector<sparq::index_t>{0, 2, 3, 5});
  CHECK(index.slot_offsets == std::vector<std::uint64_t>{0, 4});
  CHECK(index.positions == std::vector<std::uint8_t>{0, 1, 1, 0});
  CHECK(sparq_test::visits_of(index) ==
        std::vector<sparq_test::slot_visit>{{0, 0, 0}, {1, 0, 5}, {2, 2, 2}, {3, 2, 3}});
}

TEST_CASE("tile_wise holding n_m: a short last group is filled up, its missing entries are not visited") {
  const auto index = tile_wise<1, n_m<2, 4>>::from_mask(mask_of({"x"})).value();
  CHECK(index.k_list == std::vector<sparq::index_t>{0});
  CHECK(index.positions == std::vector<std::uint8_t>{0, 1});
  CHECK(sparq_test::visits_of(index) == std::vector<sparq_test::slot_visit>{{0, 0, 0}});
  CHECK(index.validate().ok());
}

TEST_CASE("tile_wise holding n_m: k's that nobody keeps are listed where groups would not fit otherwise") {
  // both channels keep the neighbours 2 and 3; 1 and 4 keep them apart
  const auto index = nested::from_mask(mask_of({"..xx.", "..xx."})).value();
  CHECK(index.k_list == std::vector<sparq::index_t>{0, 2, 3});
  CHECK(index.validate().ok());
}

TEST_CASE("tile_wise holding n_m: a mask that no list can hold is refused, with the place") {
  const auto refused = tile_wise<2, n_m<1, 3>>::from_mask(mask_of({"x....", "..xx."}));
  CHECK(refused.ok());  // [0 1 2] [3]
  const auto other = tile_wise<2, n_m<1, 2>>::from_mask(mask_of({"xx.", "xx.", "..x"}));
  CHECK(other.ok() == false);
  CHECK(other.error().message() ==
        "tile_wise<2,n_m<1,2>>: no list of k's for tile 0 lets every channel keep at most 1 of 2 entries; the first "
        "too many is [n=0][k=1]");
}

TEST_CASE("tile_wise holding n_m: an index that is wrong is named") {
  auto index = tile_wise_n_m_example();
  index.positions[1] = 2;
  CHECK(index.validate().message() ==
        "tile_wise<2,n_m<1,2>>: tile 0: positions[1] is 2 in kept channel 0, group 1; it must be below 2");
  index = tile_wise_n_m_example();
  index.slot_offsets[1] = 3;
  CHECK_FALSE(index.validate().ok());
  index = tile_wise_n_m_example();
  index.positions.push_back(0);
  index.slot_offsets[1] = 5;
  CHECK(index.validate().message().find("tile 0: positions") != std::string::npos);
}

TEST_CASE("tile_wise holding n_m: what pruning makes is held, in few slots") {
  sparq_test::random_source random;
  for (const sparq::weight_shape shape : {sparq::weight_shape{1, 1}, sparq::weight_shape{40, 33},
                                          sparq::weight_shape{19, 130}, sparq::weight_shape{7, 257}}) {
    std::vector<float> scores(shape.n * shape.k);
    for (float& score : scores) score = static_cast<float>(random.below(10000));
    const auto check = [&]<class F>(F) {
      for (const double sparsity : {sparq::pruner<F>::minimum_sparsity, 0.8, 0.9}) {
        INFO(random.text() << " " << F::name() << " " << shape.n << "x" << shape.k << " " << sparsity);
        const sparq::mask keep = sparq::prune<F>(scores, shape, sparsity);
        const auto index = F::from_mask(keep).value();
        CHECK(index.validate().ok());
        std::size_t kept = 0;
        for (const auto& [slot, n, k] : sparq_test::visits_of(index)) kept += keep(n, k) ? 1 : 0;
        CHECK(kept == sparq::mask_view(keep).kept());
      }
    };
    check(tile_wise<1, n_m<2, 4>>{});
    check(tile_wise<2, n_m<1, 4>>{});
    check(tile_wise<8, n_m<2, 4>>{});
    check(tile_wise<128, n_m<3, 7>>{});
  }
}
