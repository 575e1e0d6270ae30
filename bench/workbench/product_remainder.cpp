// SPDX-License-Identifier: MIT
// Tiles and one percent of single weights beside them, added up before the epilogue.
#include "bench/workbench/product_case.hpp"

#include <sparq/compress/prune_remainder.hpp>
#include <sparq/op/gemm_sum.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace workbench {

namespace {

template <class Format>
using packed_s8 =
    sparq::packed<sparq::packed_view_of<sparq::tensor<Format, sparq::s8>, sparq::default_shape<Format, sparq::s8>>>;

class remainder_product : public product {
  using tiles = sparq::tile_wise<128>;

 public:
  remainder_product(const product_request& request, std::span<const float> weights, sparq::weight_shape shape)
      : m_(request.m), shape_(shape), x_(m_ * shape.k), y_(m_ * shape.n) {
    if (!request.loop.empty() || request.k_major)
      sparq::raise(request.numerics + " has a loop for each of its two parts");
    constexpr double remainder = 0.01;
    const auto pruned = sparq::prune_with_remainder<tiles>(weights, shape, request.sparsity, remainder);
    sparsity = pruned.structured.sparsity() + pruned.remainder.sparsity() - 1;
    double start = seconds_now();
    tiles_ = sparq::encode<tiles, sparq::s8>(weights, shape, pruned.structured);
    rest_ = sparq::encode<sparq::csr, sparq::s8>(weights, shape, pruned.remainder);
    encode_seconds = seconds_now() - start;
    start = seconds_now();
    packed_tiles_.push_back(sparq::pack(tiles_));
    packed_rest_.push_back(sparq::pack(rest_));
    pack_seconds = seconds_now() - start;
    slot_efficiency = packed_tiles_.front().view().slot_efficiency();
    bytes = tiles_.bytes() + rest_.bytes();
    packed_bytes = packed_tiles_.front().bytes() + packed_rest_.front().bytes();
    std::mt19937_64 random(request.seed);
    for (auto& code : x_) code = static_cast<std::uint8_t>(random());
    kernel = sparq::to_string(sparq::explain_gemm(x(m_), packed_tiles_.front(), y()));
  }

  void run(std::size_t copy) override {
    const std::size_t at = copy % packed_tiles_.size();
    sparq::gemm_sum(x(m_), packed_tiles_[at], packed_rest_[at], y(), sparq::epilogue<>{}, sparq::serial, scratch_);
  }
  void set_copies(std::size_t copies) override {
    packed_tiles_.resize(copies, packed_s8<tiles>(packed_tiles_.front()));
    packed_rest_.resize(copies, packed_s8<sparq::csr>(packed_rest_.front()));
  }
  std::string verify() override {
    run(0);
    const auto first_rows = x(std::min<std::size_t>(m_, 3));
    const auto want = sparq::reference_gemm(first_rows, tiles_.view()),
               more = sparq::reference_gemm(first_rows, rest_.view());
    for (std::size_t i = 0; i < want.size(); ++i)
      if (y_[i] != want[i] + more[i])
        return "Y[" + std::to_string(i / shape_.n) + "][" + std::to_string(i % shape_.n) +
               "] differs from the reference";
    return {};
  }
  std::vector<float> decoded() const override {
    std::vector<float> weights = sparq::decode(tiles_);
    const std::vector<float> rest = sparq::decode(rest_);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] += rest[i];
    return weights;
  }

 private:
  sparq::matrix_view<const std::uint8_t> x(std::size_t rows) const { return {x_.data(), rows, shape_.k}; }
  sparq::matrix_view<std::int32_t> y() { return {y_.data(), m_, shape_.n}; }

  std::size_t m_;
  sparq::weight_shape shape_;
  sparq::tensor<tiles, sparq::s8> tiles_;
  sparq::tensor<sparq::csr, sparq::s8> rest_;
  std::vector<packed_s8<tiles>> packed_tiles_;
  std::vector<packed_s8<sparq::csr>> packed_rest_;
  std::vector<std::uint8_t> x_;
  std::vector<std::int32_t> y_;
  sparq::workspace scratch_;
};

}  // namespace

std::unique_ptr<product> products_with_remainder::make(const product_request& request, std::span<const float> weights,
                                                       sparq::weight_shape shape) {
  if (request.format != sparq::tile_wise<128>::name()) return nullptr;
  return std::make_unique<remainder_product>(request, weights, shape);
}

}  // namespace workbench
