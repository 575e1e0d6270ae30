// SPDX-License-Identifier: MIT
#include "bench/workbench/product_case.hpp"

#include <sparq/tensor/narrow_view.hpp>

namespace workbench {

namespace {

/// Signs times signs: bits are counted and sums are stored as they are. Formats that leave weights out hold ternary.
template <class Format>
class bit_product : public product {
  using tensor_type = sparq::tensor<Format, sparq::binary>;
  using packed_type = sparq::packed<sparq::packed_view_of<tensor_type, sparq::bit_panel_shape>>;

 public:
  bit_product(const product_request& request, std::span<const float> weights, sparq::weight_shape shape)
      : m_(request.m), shape_(shape) {
    if (request.loop == "columns" || request.k_major) sparq::raise("bits are counted in the rows loop only");
    const sparq::mask keep = std::is_same_v<Format, sparq::dense>
                                 ? sparq::mask(shape, true)
                                 : keep_mask<Format>(weights, shape, request.sparsity);
    sparsity = keep.sparsity();
    double start = seconds_now();
    w_ = sparq::encode<Format, sparq::binary>(weights, shape, keep);
    encode_seconds = seconds_now() - start;
    start = seconds_now();
    packed_.push_back(sparq::pack<sparq::bit_panel_shape>(w_));
    pack_seconds = seconds_now() - start;
    slot_efficiency = packed_.front().view().slot_efficiency();
    bytes = w_.bytes();
    packed_bytes = packed_.front().bytes();
    std::mt19937_64 random(request.seed);
    x_.resize(m_ * sparq::storage_bytes<sparq::binary>(shape.k));
    for (std::byte& byte : x_) byte = static_cast<std::byte>(random());
    y_.resize(m_ * shape.n);
    kernel = sparq::to_string(sparq::explain_gemm(x(), packed_.front(), y()));
  }

  void run(std::size_t copy) override { sparq::gemm(x(), packed_[copy % packed_.size()], y(), scratch_); }
  void set_copies(std::size_t copies) override { packed_.resize(copies, packed_type(packed_.front())); }
  std::string verify() override {
    run(0);
    const std::size_t rows = m_ < 3 ? m_ : 3;
    std::vector<std::int8_t> codes(rows * shape_.k);
    for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = x()(i / shape_.k, i % shape_.k);
    const auto want = sparq::reference_gemm(sparq::matrix_view<const std::int8_t>(codes.data(), rows, shape_.k), w_.view());
    for (std::size_t i = 0; i < want.size(); ++i)
      if (y_[i] != want[i])
        return "Y[" + std::to_string(i / shape_.n) + "][" + std::to_string(i % shape_.n) + "] differs from the reference";
    return {};
  }
  std::vector<float> decoded() const override { return sparq::decode(w_); }

 private:
  sparq::narrow_matrix_view<const sparq::binary> x() const { return {x_.data(), m_, shape_.k}; }
  sparq::matrix_view<std::int32_t> y() { return {y_.data(), m_, shape_.n}; }

  std::size_t m_;
  sparq::weight_shape shape_;
  tensor_type w_;
  std::vector<packed_type> packed_;
  std::vector<std::byte> x_;
  std::vector<std::int32_t> y_;
  sparq::workspace scratch_;
};

}  // namespace

std::unique_ptr<product> make_b1b1(const product_request& request, std::span<const float> weights,
                                   sparq::weight_shape shape) {
  if (request.format == sparq::dense::name()) return std::make_unique<bit_product<sparq::dense>>(request, weights, shape);
  using tiles = sparq::tile_wise<128>;
  if (request.format == tiles::name()) return std::make_unique<bit_product<tiles>>(request, weights, shape);
  sparq::raise("b1xb1 is measured for dense and tile_wise<128>");
}

}  // namespace workbench
