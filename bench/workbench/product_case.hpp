// SPDX-License-Identifier: MIT
#pragma once
// One product for one format and one pair of numeric types.

#include "bench/workbench/product_types.hpp"

#include <sparq/compress/cluster.hpp>
#include <sparq/compress/prune.hpp>
#include <sparq/compress/prune_tile_wise.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/op/gemm.hpp>
#include <sparq/plan/planned.hpp>
#include <sparq/tensor/encode.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace workbench {

inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The mask of a format. Tile-wise pruning removes k's only: tiles of 128 neighbouring channels.
template <class Format>
sparq::mask keep_mask(std::span<const float> weights, sparq::weight_shape shape, double sparsity) {
  using nested = sparq::tile_wise<128, sparq::n_m<2, 4>>;
  if constexpr (std::is_same_v<Format, nested>) {
    const double outer = sparq::pruner<nested>::outer_sparsity(sparsity);
    return sparq::pruner<nested>::keep_inside({weights, shape},
                                              keep_mask<sparq::tile_wise<128>>(weights, shape, outer));
  } else if constexpr (std::is_same_v<Format, sparq::tile_wise<128>>) {
    sparq::tile_wise_options options;
    options.stages = sparq::tile_stages::k_only;
    const sparq::score_matrix layer{weights, shape};
    return sparq::prune_tile_wise(std::span(&layer, 1), sparsity, 128, options).masks.front();
  } else if constexpr (sparq::detail::prunes_to_one_sparsity<Format>) {
    return sparq::prune<Format>(weights, shape);
  } else {
    return sparq::prune<Format>(weights, shape, sparsity);
  }
}

/// Codes that stand for `weights`; a codebook's table is clustered first. Unsigned codes take them half a range up.
template <class Format, class W, class G = sparq::default_granularity<W>>
sparq::tensor<Format, W, G> encoded(std::span<const float> weights, sparq::weight_shape shape,
                                    const sparq::mask& keep) {
  if constexpr (sparq::has_tables<W>) {
    auto found = sparq::cluster<W, G>(weights, shape, keep);
    return sparq::encode_codes<Format, W, G>(found.codes, shape, keep, std::move(found.tables),
                                             std::move(found.scales));
  } else if constexpr (W::is_integer && !W::is_signed) {
    static_assert(std::is_same_v<Format, sparq::dense>, "sparq: these codes have no zero that a mask could leave out");
    constexpr float middle = static_cast<float>(W::max_code / 2 + 1), step = 3 / middle;
    std::vector<typename W::code> codes(weights.size());
    for (std::size_t i = 0; i < codes.size(); ++i)
      codes[i] = static_cast<typename W::code>(
          std::clamp(std::round(weights[i] / step) + middle, 0.0F, static_cast<float>(W::max_code)));
    return sparq::encode_codes<Format, W, G>(codes, shape, std::vector<float>(G::scale_count(shape.n, shape.k), step));
  } else {
    return sparq::encode<Format, W, G>(weights, shape, keep);
  }
}

template <class Format, class X, class W>
class product_case : public product {
 protected:
  using x_code = typename X::code;
  static constexpr bool has_seven_bits = std::is_same_v<X, sparq::u8_up_to_127>;
  using x_element = std::conditional_t<has_seven_bits, sparq::byte_up_to_127, x_code>;
  static constexpr bool is_integer = W::is_integer;
  using y_type = std::conditional_t<is_integer, std::uint8_t, float>;
  using tensor_type = sparq::tensor<Format, W>;
  using packed_type = sparq::planned<tensor_type>;

 public:
  product_case(const product_request& request, std::span<const float> weights, sparq::weight_shape shape)
      : m_(request.m), shape_(shape), k_major_(request.k_major) {
    // binary has no code for the zeros that are there
    constexpr bool keeps_all = sparq::holds_every_weight_v<Format> && !sparq::has_zero_v<W>;
    const sparq::mask keep = keeps_all ? sparq::mask(shape) : keep_mask<Format>(weights, shape, request.sparsity);
    sparsity = keep.sparsity();
    double start = seconds_now();
    w_ = encoded<Format, W>(weights, shape, keep);
    encode_seconds = seconds_now() - start;
    const sparq::loop_kind loop = choose(request);
    start = seconds_now();
    packed_.push_back(sparq::pack_for(w_, loop, sparq::for_rows{m_}));
    pack_seconds = seconds_now() - start;
    packed_.front().visit([&]<class View>(const sparq::packed<View>& packed) {
      slot_efficiency = packed.view().slot_efficiency();
    });
    bytes = w_.bytes();
    packed_bytes = packed_.front().bytes();

    std::mt19937_64 random(request.seed);
    x_.resize(m_ * shape.k);
    for (auto& v : x_) {
      const auto bits = static_cast<std::uint8_t>(random() & (has_seven_bits ? 127 : 255));
      v = is_integer ? static_cast<x_code>(bits) : static_cast<x_code>(static_cast<float>(bits) - 128.0F);
    }
    y_.resize(m_ * shape.n);
    parameters_.resize(shape.n);
    for (std::size_t n = 0; n < shape.n; ++n)  // about one standard deviation of the sums fills half of the codes
      parameters_[n].scale =
          1.0F / (50.0F * std::sqrt(static_cast<float>(shape.k)) * (1.0F + 0.01F * static_cast<float>(n % 7)));
    const auto explained = sparq::explain_gemm<x_element, y_type>(m_, packed_.front());
    kernel = sparq::to_string(explained);
  }

  void run(std::size_t copy) override {
    const auto& w = packed_[copy % packed_.size()];
    if (k_major_)
      multiply(sparq::k_major_view<const x_code>(x_.data(), m_, shape_.k), w,
               sparq::k_major_view<y_type>(y_.data(), m_, shape_.n));
    else
      multiply(x_by_rows(), w,
               sparq::matrix_view<y_type>(y_.data(), m_, shape_.n));
  }

  void set_copies(std::size_t copies) override { packed_.resize(copies, packed_type(packed_.front())); }

  std::string verify() override {
    run(0);
    const std::size_t rows = m_ < 3 ? m_ : 3;
    if (!k_major_) return compare(sparq::matrix_view<const x_code>(x_.data(), rows, shape_.k));
    std::vector<x_code> first_rows(rows * shape_.k);
    for (std::size_t i = 0; i < first_rows.size(); ++i) first_rows[i] = x_[i % shape_.k * m_ + i / shape_.k];
    return compare(sparq::matrix_view<const x_code>(first_rows.data(), rows, shape_.k));
  }

  std::vector<float> decoded() const override { return sparq::decode(w_); }

 protected:
  /// Compares Y with the reference product of its first rows.
  std::string compare(sparq::matrix_view<const x_code> first_rows) const {
    const std::size_t rows = first_rows.rows;
    const auto want = sparq::reference_gemm(first_rows, w_.view());
    for (std::size_t i = 0; i < rows * shape_.n; ++i) {
      bool same = false;
      const y_type got = y_[k_major_ ? i % shape_.n * m_ + i / shape_.n : i];
      if constexpr (is_integer) {
        same = got == sparq::requantize_to<sparq::u8>(want[i], parameters_[i % shape_.n], 128, 0, 255);
      } else {
        const double bound = 1e-5 * 128.0 * static_cast<double>(shape_.k);
        same = std::abs(static_cast<double>(got) - want[i]) <= bound;
      }
      if (!same)
        return "Y[" + std::to_string(i / shape_.n) + "][" + std::to_string(i % shape_.n) +
               "] differs from the reference";
    }
    return {};
  }

  auto stage() const {
    return sparq::requantize_to_codes<sparq::u8>(
        std::span<const sparq::fp32_nearest_even::parameters>(parameters_), 128);
  }

  auto x_by_rows() const {
    const sparq::matrix_view<const x_code> x(x_.data(), m_, shape_.k);
    if constexpr (has_seven_bits)
      return sparq::unchecked_up_to_127(x);
    else
      return x;
  }
  template <class XView, class YView>
  void multiply(const XView& x, const packed_type& w, const YView& y) {
    if constexpr (is_integer)
      sparq::gemm(x, w, y, sparq::epilogue(stage()), sparq::serial, scratch_);
    else
      sparq::gemm(x, w, y, sparq::epilogue<>{}, sparq::serial, scratch_);
  }
  sparq::loop_kind choose(const product_request& request) const {
    if (request.loop.empty() && !request.k_major)
      return sparq::choose_loop<void, std::conditional_t<is_integer, y_type, void>>(w_, m_);
    if (request.loop == "columns" || request.k_major) return sparq::loop_kind::columns;
    if (request.loop == "window") {
      if (!sparq::takes_windows_v<Format, W, sparq::default_granularity<W>>)
        sparq::raise(Format::name() + " of " + std::string(W::name) + " is not packed in windows; take csr");
      return sparq::loop_kind::window;
    }
    return request.loop == "expand" ? sparq::loop_kind::expand : sparq::loop_kind::rows;
  }

  std::size_t m_;
  sparq::weight_shape shape_;
  bool k_major_;
  tensor_type w_;
  std::vector<packed_type> packed_;
  std::vector<x_code> x_;
  std::vector<y_type> y_;
  std::vector<sparq::fp32_nearest_even::parameters> parameters_;
  sparq::workspace scratch_;
};

template <class X, class W, class Formats>
std::unique_ptr<product> products<X, W, Formats>::make(const product_request& request, std::span<const float> weights,
                                                       sparq::weight_shape shape) {
  return make_of_format<Formats>(request.format, [&]<class Format>(std::type_identity<Format>) {
    return std::make_unique<product_case<Format, X, W>>(request, weights, shape);
  });
}

}  // namespace workbench
