// SPDX-License-Identifier: MIT
// A format that the library lacks, written outside of it: every panel of 16 channels keeps one band of neighbouring
// k's, as locally connected layers and sliding windows do. It says where its slots are; the library's kernels run it.
//
//   banded<4>, two panels, K = 10     k 0 1 2 3 4 5 6 7 8 9
//                       channels 0..15    . 0 1 2 3 . . . . .     first_k[0] = 1, slots of channel 0
//                       channels 16..31   . . . . . . 0 1 2 3     first_k[1] = 6, slots of channel 16, less 64

#include <sparq/plan/best_seconds.hpp>
#include <sparq/sparq.hpp>
#include <sparq/testing/check_format.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

//! [policies]
template <std::size_t Width>
struct banded {
  using k_map = sparq::runs;      // the panel's k's are runs of X, and nothing of X moves
  using row_select = sparq::all;  // every channel of the panel uses all of them

  static std::string name() { return "banded<" + std::to_string(Width) + ">"; }
  //! [policies]

  //! [arrays]
  static constexpr std::size_t panel_channels = 16;

  template <template <class> class Array>
  struct index {
    sparq::weight_shape shape;
    Array<sparq::index_t> first_k;  // one for each panel

    auto arrays() const { return std::tie(first_k); }
    auto arrays() { return std::tie(first_k); }
    std::size_t width() const { return (std::min)(Width, shape.k); }
    std::size_t slots() const { return shape.n * width(); }
    //! [arrays]

    //! [panels]
    std::size_t panels() const { return sparq::ceil_div(shape.n, panel_channels); }
    sparq::channel_range panel(std::size_t p) const { return sparq::panel_of(p, panel_channels, shape.n); }
    //! [panels]

    //! [slots]
    template <class Visit>
    void for_each_slot(std::size_t p, Visit&& visit) const {
      const auto [first, count] = panel(p);
      for (std::size_t n = first; n < first + count; ++n)
        for (std::size_t i = 0; i < width(); ++i) visit(n * width() + i, n, first_k[p] + i);
    }
    //! [slots]

    //! [validate]
    sparq::status validate() const {
      if (sparq::status s = sparq::validate(shape); !s.ok()) return s;
      if (sparq::status s = sparq::check_size(name() + ": first_k", first_k.size(), panels()); !s.ok()) return s;
      for (std::size_t p = 0; p < panels(); ++p)
        if (first_k[p] > shape.k - width())
          return sparq::status::failure(name() + ": first_k[" + std::to_string(p) + "] is " +
                                        std::to_string(first_k[p]) + "; the band must end inside K");
      return {};
    }
  };
  //! [validate]

  //! [from_mask]
  static sparq::expected<index<sparq::owned>> from_mask(sparq::mask_view keep) {
    if (sparq::status s = sparq::validate(keep.shape); !s.ok()) return s;
    index<sparq::owned> result{keep.shape, {}};
    for (std::size_t p = 0; p < result.panels(); ++p) {
      const auto [first, count] = result.panel(p);
      std::size_t lowest = keep.shape.k - result.width();  // a band that starts later would leave K
      for (std::size_t n = first; n < first + count; ++n)
        for (std::size_t k = 0; k < lowest; ++k)
          if (keep(n, k)) lowest = k;  // which ends the loop over k
      for (std::size_t n = first; n < first + count; ++n)
        for (std::size_t k = lowest + result.width(); k < keep.shape.k; ++k)
          if (keep(n, k))
            return sparq::status::failure(name() + ": " + sparq::position_text(n, k) + " lies beyond the band [" +
                                          std::to_string(lowest) + ", " + std::to_string(lowest + Width) +
                                          ") of panel " + std::to_string(p));
      result.first_k.push_back(static_cast<sparq::index_t>(lowest));
    }
    return result;
  }
};
//! [from_mask]

namespace {

using format = banded<48>;

//! [mask]
// Panel p keeps the 48 k's from 20 p on.
sparq::mask sliding_bands(sparq::weight_shape shape) {
  sparq::mask keep(shape, false);
  for (std::size_t n = 0; n < shape.n; ++n)
    for (std::size_t k = n / 16 * 20; k < n / 16 * 20 + 48; ++k) keep.set(n, k, true);
  return keep;
}
//! [mask]

//! [run]
// Multiplies X by weights of numeric type N in the new format, and by the same weights in plain loops.
template <sparq::numeric N, class X>
bool agrees_with_reference(const std::vector<float>& weights, sparq::weight_shape shape,
                           const std::vector<X>& x_codes) {
  const auto w = sparq::encode<format, N>(weights, shape, sliding_bands(shape));
  const auto packed = sparq::pack(w);

  using sum_type = std::conditional_t<N::is_integer, std::int32_t, float>;
  const sparq::matrix_view x(x_codes.data(), x_codes.size() / shape.k, shape.k);
  std::vector<sum_type> y(x.rows * shape.n);
  sparq::workspace scratch;
  sparq::gemm(x, packed, sparq::matrix_view(y.data(), x.rows, shape.n), scratch);

  const auto expected = sparq::reference_gemm(x, w.view());
  double difference = 0;
  for (std::size_t i = 0; i < y.size(); ++i)
    difference = (std::max)(difference, std::abs(static_cast<double>(y[i]) - static_cast<double>(expected[i])));
  std::printf("%s: %.1f bits for a stored weight; %s\n", N::name.data(),
              8.0 * static_cast<double>(w.bytes()) / static_cast<double>(w.index().slots()),
              difference == 0 ? "equal to the reference" : "close to the reference");
  std::fprintf(stderr, "%s\n", to_string(sparq::explain_gemm<X, sum_type>(x.rows, packed)).c_str());
  return N::is_integer ? difference == 0 : difference < 1e-4;
}
//! [run]

//! [time]
// How many times as fast as dense weights of this shape the new format is, on this machine.
double gain_over_dense(const std::vector<float>& weights, sparq::weight_shape shape,
                       const std::vector<std::uint8_t>& x_codes) {
  const auto banded_weights = sparq::pack(sparq::encode<format, sparq::s8>(weights, shape, sliding_bands(shape)));
  const auto dense_weights = sparq::pack(sparq::encode<sparq::dense, sparq::s8>(weights, shape));
  const sparq::matrix_view x(x_codes.data(), x_codes.size() / shape.k, shape.k);
  std::vector<std::int32_t> y(x.rows * shape.n);
  sparq::workspace scratch;
  const auto multiply = [&](const auto& packed) {
    sparq::gemm(x, packed, sparq::matrix_view(y.data(), x.rows, shape.n), scratch);
  };
  const auto [seconds, dense_seconds] = sparq::best_seconds(
      0.01, [&](std::size_t) { multiply(banded_weights); }, [&](std::size_t) { multiply(dense_weights); });
  return dense_seconds / seconds;
}
//! [time]

}  // namespace

int main() {
  //! [check]
  const sparq::status checked = sparq::check_format<format>(std::random_device{}());
  if (!checked.ok()) return std::puts(checked.message().c_str()), 1;
  std::puts("check_format: ok");
  //! [check]

  constexpr sparq::weight_shape shape{160, 256};
  std::mt19937 random(1);
  std::vector<float> weights(shape.size());
  for (float& weight : weights) weight = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
  std::vector<std::uint8_t> bytes(33 * shape.k);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  std::vector<float> floats(bytes.size());
  for (std::size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<float>(bytes[i]) / 256.0F;

  //! [refusal]
  sparq::mask keep = sliding_bands(shape);
  keep.set(17, 200, true);
  std::puts(sparq::conforms<format>(keep).message().c_str());
  //! [refusal]

  const bool equal = agrees_with_reference<sparq::s8>(weights, shape, bytes) &&
                     agrees_with_reference<sparq::s4>(weights, shape, bytes) &&
                     agrees_with_reference<sparq::f32>(weights, shape, floats);
  std::fprintf(stderr, "%.1f times as fast as dense\n", gain_over_dense(weights, shape, bytes));
  return equal ? 0 : 1;
}
