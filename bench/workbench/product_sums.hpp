// SPDX-License-Identifier: MIT
#pragma once
// Products whose sums stay as they are, for weights packed in the one way that their format asks for: bits that are
// counted (int32), scales along k and tables of floats (float).

#include "bench/workbench/product_case.hpp"

#include <sparq/tensor/narrow_view.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace workbench {

template <class Format, class X, class W, class G, class Shape>
class sums_product : public product {
  static constexpr bool is_narrow = X::bits < 8;
  static constexpr bool is_integer = W::is_integer && !sparq::scales_along_k_v<G>;
  using x_code = std::conditional_t<is_narrow, std::byte, typename X::code>;
  using y_type = std::conditional_t<is_integer, std::int32_t, float>;
  using tensor_type = sparq::tensor<Format, W, G>;
  using packed_type = sparq::packed<sparq::packed_view_of<tensor_type, Shape>>;

 public:
  sums_product(const product_request& request, std::span<const float> weights, sparq::weight_shape shape)
      : m_(request.m), shape_(shape) {
    if (!request.loop.empty() && request.loop != "rows")
      sparq::raise(request.numerics + " is measured in the rows loop only");
    const sparq::mask keep = std::is_same_v<Format, sparq::dense>
                                 ? sparq::mask(shape, true)
                                 : keep_mask<Format>(weights, shape, request.sparsity);
    sparsity = keep.sparsity();
    double start = seconds_now();
    w_ = encoded<Format, W, G>(weights, shape, keep);
    encode_seconds = seconds_now() - start;
    start = seconds_now();
    packed_.push_back(sparq::pack<Shape>(w_));
    pack_seconds = seconds_now() - start;
    slot_efficiency = packed_.front().view().slot_efficiency();
    bytes = w_.bytes();
    packed_bytes = packed_.front().bytes();
    std::mt19937_64 random(request.seed);
    x_.resize(m_ * sparq::storage_bytes<X>(shape.k) / sizeof(x_code));
    for (x_code& code : x_) {
      if constexpr (X::is_integer)
        code = static_cast<x_code>(random());
      else
        code = static_cast<x_code>(static_cast<float>(random() % 256) - 128.0F);
    }
    y_.resize(m_ * shape.n);
    kernel = sparq::to_string(sparq::explain_gemm(x(m_), packed_.front(), y()));
  }

  void run(std::size_t copy) override { sparq::gemm(x(m_), packed_[copy % packed_.size()], y(), scratch_); }
  void set_copies(std::size_t copies) override { packed_.resize(copies, packed_type(packed_.front())); }

  std::string verify() override {
    run(0);
    const std::size_t rows = std::min<std::size_t>(m_, 3);
    const std::vector<float> weights = decoded();
    for (std::size_t i = 0; i < rows * shape_.n; ++i) {
      double want = 0, magnitude = 0;
      for (std::size_t k = 0; k < shape_.k; ++k) {
        const double term = static_cast<double>(x(m_)(i / shape_.n, k)) * factor(weights, i % shape_.n, k);
        want += term;
        magnitude += std::abs(term);
      }
      if (std::abs(static_cast<double>(y_[i]) - want) > (is_integer ? 0.0 : 1e-5 * magnitude))
        return "Y[" + std::to_string(i / shape_.n) + "][" + std::to_string(i % shape_.n) +
               "] differs from the reference";
    }
    return {};
  }
  std::vector<float> decoded() const override { return sparq::decode(w_); }

 private:
  /// The weight that the sums are of: its code where sums are integers.
  double factor(const std::vector<float>& weights, std::size_t n, std::size_t k) const {
    const double weight = weights[n * shape_.k + k];
    if constexpr (is_integer) return std::round(weight / w_.scales()[G::scale_index(n, k, shape_.k)]);
    return weight;
  }
  auto x(std::size_t rows) const {
    if constexpr (is_narrow)
      return sparq::narrow_matrix_view<const X>(x_.data(), rows, shape_.k);
    else
      return sparq::matrix_view<const x_code>(x_.data(), rows, shape_.k);
  }
  sparq::matrix_view<y_type> y() { return {y_.data(), m_, shape_.n}; }

  std::size_t m_;
  sparq::weight_shape shape_;
  tensor_type w_;
  std::vector<packed_type> packed_;
  std::vector<x_code> x_;
  std::vector<y_type> y_;
  sparq::workspace scratch_;
};

template <class X, class W, class G, class Shape, class Formats>
std::unique_ptr<product> sums<X, W, G, Shape, Formats>::make(const product_request& request,
                                                             std::span<const float> weights,
                                                             sparq::weight_shape shape) {
  return make_of_format<Formats>(request.format, [&]<class Format>(std::type_identity<Format>) {
    return std::make_unique<sums_product<Format, X, W, G, Shape>>(request, weights, shape);
  });
}

}  // namespace workbench
