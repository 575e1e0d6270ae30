// SPDX-License-Identifier: MIT
// XNNPACK: fully connected f32 and s8, whose outputs are s8 again, and its 1x1 convolution of planes, which multiplies
// k-major f32 by the weights that are not zero.
#include "bench/peers/peer.hpp"

#include <xnnpack.h>

#include <sparq/base/error.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace peers {

namespace {

void check(xnn_status status, const char* what) {
  if (status != xnn_status_success)
    sparq::raise(std::string("XNNPACK: ") + what + " fails, status " + std::to_string(status));
}

/// An operator of XNNPACK for a product whose operands it reads where they lie.
template <class X, class W, class Y>
class xnnpack_product : public plain_product<X, W, Y> {
 public:
  xnnpack_product(const request& asked, const char* name) : plain_product<X, W, Y>(asked) {
    check(xnn_initialize(nullptr), "initialisation");
    this->x_.resize(this->x_.size() + XNN_EXTRA_BYTES / sizeof(X) + 1);  // which its kernels may read
    this->kernel = name;
  }
  ~xnnpack_product() override { xnn_delete_operator(product_); }
  xnnpack_product(const xnnpack_product&) = delete;
  xnnpack_product& operator=(const xnnpack_product&) = delete;

  void run(std::size_t) override { check(xnn_run_operator(product_, nullptr), "the product"); }

 protected:
  xnn_operator_t product_ = nullptr;
};

constexpr float infinity = std::numeric_limits<float>::infinity();

class xnnpack_dense final : public xnnpack_product<float, float, float> {
 public:
  explicit xnnpack_dense(const request& asked) : xnnpack_product(asked, "XNNPACK fully_connected_nc_f32") {
    const auto [n, k] = shape_;
    check(xnn_create_fully_connected_nc_f32(k, n, k, n, w_.data(), nullptr, -infinity, infinity, 0, &product_),
          kernel.c_str());
    check(xnn_setup_fully_connected_nc_f32(product_, m_, x_.data(), y_.data(), nullptr), kernel.c_str());
  }
};

class xnnpack_dense_s8 final : public xnnpack_product<std::int8_t, std::int8_t, std::int8_t> {
 public:
  explicit xnnpack_dense_s8(const request& asked) : xnnpack_product(asked, "XNNPACK fully_connected_nc_qs8") {
    const auto [n, k] = shape_;
    check(xnn_create_fully_connected_nc_qs8(k, n, k, n, 0, 1.0F, 1.0F, w_.data(), nullptr, 0, scale, -128, 127, 0,
                                            &product_),
          kernel.c_str());
    check(xnn_setup_fully_connected_nc_qs8(product_, m_, x_.data(), y_.data(), nullptr), kernel.c_str());
  }
  /// Outputs are rounded by a rule of its own, so they may be off by one.
  std::string verify() override {
    run(0);
    for (std::size_t n = 0; m_ != 0 && n < shape_.n; ++n) {
      double want = 0;
      for (std::size_t k = 0; k < shape_.k; ++k) want += x_[k] * w_[n * shape_.k + k];
      want = std::clamp(want / scale, -128.0, 127.0);
      if (std::abs(y_[n] - want) > 1)
        return kernel + ": Y[0][" + std::to_string(n) + "] is " + std::to_string(y_[n]) + ", not about " +
               std::to_string(want);
    }
    return {};
  }

 private:
  static constexpr float scale = 1 << 12;  // sums of some hundred products of 7 and 8 bits fill a byte
};

class xnnpack_csr final : public xnnpack_product<float, float, float> {
 public:
  explicit xnnpack_csr(const request& asked) : xnnpack_product(asked, "XNNPACK convolution2d_nchw_f32, 1x1") {
    const auto [n, k] = shape_;
    x_columns_.resize(x_.size());
    for (std::size_t m = 0; m < m_; ++m)
      for (std::size_t i = 0; i < k; ++i) x_columns_[i * m_ + m] = x_[m * k + i];
    check(xnn_create_convolution2d_nchw_f32(0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, k, n, k, n, w_.data(), nullptr, -infinity,
                                            infinity, 0, &product_),
          kernel.c_str());
    check(xnn_setup_convolution2d_nchw_f32(product_, 1, 1, m_, x_columns_.data(), y_.data(), nullptr), kernel.c_str());
  }

 private:
  float result(std::size_t m, std::size_t n) const override { return y_[n * m_ + m]; }

  std::vector<float> x_columns_;
};

}  // namespace

std::vector<peer> xnnpack() {
  return {{"xnnpack_dense", "f32xf32", false, make<xnnpack_dense>},
          {"xnnpack_dense", "s8xs8", false, make<xnnpack_dense_s8>},
          {"xnnpack_csr", "f32xf32", true, make<xnnpack_csr>}};
}

}  // namespace peers
