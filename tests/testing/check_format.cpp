// SPDX-License-Identifier: MIT
#include <sparq/testing/check_format.hpp>

#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise_n_m.hpp>

#include "../support/catch.hpp"
#include "../support/random.hpp"

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

namespace {

enum class bug {
  none,
  forgets_an_element,
  stores_an_element_twice,
  shares_a_slot,
  slot_out_of_range,
  channel_of_another_panel,
  k_out_of_range,
  panels_overlap,
  panels_end_early,
  empty_panel,
  wrong_shape,
  refuses_its_own_index,
  refuses_nothing_kept,
  refuses_without_reason,
  accepts_bad_k,
  accepts_huge_shapes
};

bug present = bug::none;

/// A user's format: a list of positions, two channels in a panel. With the bug that is present.
struct coordinates {
  using k_map = sparq::runs;
  using row_select = sparq::all;
  static std::string name() { return "coordinates"; }

  template <template <class> class Array>
  struct index {
    sparq::weight_shape shape;
    Array<sparq::index_t> channels;
    Array<sparq::index_t> ks;

    auto arrays() const { return std::tie(channels, ks); }
    auto arrays() { return std::tie(channels, ks); }
    std::size_t slots() const { return ks.size() - (present == bug::slot_out_of_range && ks.size() > 5 ? 1 : 0); }
    std::size_t panels() const {
      return sparq::ceil_div(shape.n, 2) - (present == bug::panels_end_early && shape.n > 4 ? 1 : 0) +
             (present == bug::empty_panel && shape.n % 2 == 0 ? 1 : 0);
    }
    sparq::channel_range panel(std::size_t p) const {
      const std::size_t first = (std::min)(2 * p, shape.n);
      return {first - (present == bug::panels_overlap && p == 3 ? 1 : 0), (std::min)(std::size_t{2}, shape.n - first)};
    }
    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      for (std::size_t i = 0; i < ks.size(); ++i) {
        if (channels[i] / 2 != p) continue;
        const std::size_t k = present == bug::k_out_of_range && i == 7 ? shape.k : ks[i];
        const std::size_t n = present == bug::channel_of_another_panel && i == 7 ? channels[i] ^ 2U : channels[i];
        visit(present == bug::shares_a_slot && i == 7 ? i - 1 : i, n, k);
        if (present == bug::stores_an_element_twice && i == 7) visit(i, n, k);
      }
    }
    sparq::status validate() const {
      if (present != bug::accepts_huge_shapes)
        if (sparq::status s = sparq::validate(shape); !s.ok()) return s;
      if (channels.size() != ks.size() || (present == bug::refuses_its_own_index && ks.size() > 20))
        return sparq::status::failure("coordinates: sizes");
      for (std::size_t i = 0; i < ks.size(); ++i)
        if (channels[i] >= shape.n || (present != bug::accepts_bad_k && ks[i] >= shape.k) ||
            (i > 0 && (channels[i - 1] > channels[i] || (channels[i - 1] == channels[i] && ks[i - 1] >= ks[i]))))
          return sparq::status::failure("coordinates: entry " + std::to_string(i));
      return {};
    }
  };

  static sparq::expected<index<sparq::owned>> from_mask(sparq::mask_view keep) {
    if (present == bug::refuses_without_reason && keep.kept() > 20) return sparq::status::failure("");
    if (present == bug::refuses_nothing_kept && keep.kept() == 0) return sparq::status::failure("nothing is kept");
    index<sparq::owned> result{keep.shape, {}, {}};
    if (present == bug::wrong_shape && keep.shape.n > 4) ++result.shape.n;
    for (std::size_t n = 0; n < keep.shape.n; ++n)
      for (std::size_t k = 0; k < keep.shape.k; ++k) {
        if (!keep(n, k) || (present == bug::forgets_an_element && n == 4 && k == 2)) continue;
        result.channels.push_back(static_cast<sparq::index_t>(n));
        result.ks.push_back(static_cast<sparq::index_t>(k));
      }
    return result;
  }
};

/// A format that stores every weight, and says of its k's what is not so.
template <class KMap, class RowSelect>
struct dense_as : sparq::dense {
  using k_map = KMap;
  using row_select = RowSelect;
};

/// Lists one k more than there are, which no slot holds.
struct lists_beyond : dense_as<sparq::list, sparq::n_m_select<4, 4>> {
  template <template <class> class Array>
  struct index : sparq::dense::index<Array> {
    std::vector<sparq::index_t> k_of(std::size_t) const {
      std::vector<sparq::index_t> listed(this->shape.k + 1);
      std::iota(listed.begin(), listed.end(), sparq::index_t{0});
      return listed;
    }
  };
  static sparq::expected<index<sparq::owned>> from_mask(sparq::mask_view keep) {
    index<sparq::owned> result;
    result.shape = keep.shape;
    return result;
  }
};

/// What check_format says of a bug, without the part that names shape, mask and seed.
std::string finding(bug one) {
  present = one;
  const std::string message = sparq::check_format<coordinates>(1).message();
  present = bug::none;
  const std::size_t at = message.find("seed 1: ");
  return at == std::string::npos ? message : message.substr(at + 8);
}

}  // namespace

TEMPLATE_TEST_CASE("check_format: every format of the library has the properties of a format", "", sparq::dense,
                   sparq::csr, (sparq::block<1, 4>), (sparq::block<4, 1>), (sparq::block<3, 5>), (sparq::n_m<1, 1>),
                   (sparq::n_m<2, 4>), (sparq::n_m<5, 7>), (sparq::n_m<16, 32>), (sparq::n_m<32, 32>),
                   (sparq::tile_n_m<1, 2, 4>), (sparq::tile_n_m<3, 2, 4>), (sparq::tile_n_m<16, 7, 32>),
                   sparq::tile_wise<1>, sparq::tile_wise<8>, sparq::tile_wise<128>,
                   (sparq::tile_wise<8, sparq::n_m<2, 4>>)) {
  const std::uint64_t seed = sparq_test::random_source().below(1U << 31);
  CHECK(sparq::check_format<TestType>(seed).message() == "");
}

TEST_CASE("check_format: a failure names format, shape, mask and seed") {
  CHECK(sparq::check_format<coordinates>(42).message() == "");
  present = bug::forgets_an_element;
  const std::string message = sparq::check_format<coordinates>(42).message();
  present = bug::none;
  CHECK(message.starts_with("check_format<coordinates>: shape "));
  CHECK(message.find("mask \"everything\", seed 42: [n=4][k=2] is kept but has no slot") != std::string::npos);
}

TEST_CASE("check_format: every kind of bug is found") {
  CHECK(finding(bug::forgets_an_element) == "[n=4][k=2] is kept but has no slot");
  CHECK(finding(bug::stores_an_element_twice).ends_with(" a second time"));
  CHECK(finding(bug::shares_a_slot).ends_with(": slot 6 is visited a second time"));
  CHECK(finding(bug::slot_out_of_range).find(": slot 6 of 6") != std::string::npos);
  CHECK(finding(bug::channel_of_another_panel).find(": slot 7 holds channel ") != std::string::npos);
  CHECK(finding(bug::k_out_of_range).find(": slot 7 holds k ") != std::string::npos);
  CHECK(finding(bug::panels_overlap).starts_with("panel 3 covers "));
  CHECK(finding(bug::panels_end_early).starts_with("panels end at channel "));
  CHECK(finding(bug::empty_panel).find(" covers 0 channels ") != std::string::npos);
  CHECK(finding(bug::wrong_shape).starts_with("the index has the shape "));
  CHECK(finding(bug::refuses_its_own_index) == "validate refuses what from_mask made: coordinates: sizes");
  CHECK(finding(bug::refuses_nothing_kept) == "from_mask refuses to keep nothing: nothing is kept");
  CHECK(finding(bug::refuses_without_reason) == "from_mask refuses without a message");
  CHECK(finding(bug::accepts_bad_k).find(" holds k ") != std::string::npos);
  CHECK(finding(bug::accepts_huge_shapes).starts_with("validate accepts a matrix of 18446744073709551615 x "));
}

TEST_CASE("check_format: policies that promise an N:M pattern are held to it") {
  using private_pattern = dense_as<sparq::contiguous, sparq::n_m_select<2, 4>>;
  using shared_pattern = dense_as<sparq::n_m_shared<2, 4>, sparq::all>;
  CHECK(sparq::check_format<private_pattern>(1).message().ends_with(
      "panel 0: [n=0][k=2] is more than 2 of 4 k's, which row_select promises for each channel"));
  CHECK(sparq::check_format<shared_pattern>(1).message().ends_with(
      "panel 0: [n=0][k=2] is more than 2 of 4 k's, which k_map promises for all channels of a panel"));
  CHECK(sparq::check_format<dense_as<sparq::contiguous, sparq::n_m_select<4, 4>>>(1).message() == "");
  CHECK(sparq::check_format<lists_beyond>(1).message().find("panel 0 lists k 0 of 0") != std::string::npos);
  CHECK(sparq::check_format<dense_as<sparq::list, sparq::all>>(1).message() == "");
}
