// SPDX-License-Identifier: MIT
#pragma once
// Other people's libraries on the same products, in the same run: each is a workbench::product with a format name of
// its own, <library>_<dense or csr>. CMake compiles those whose Debian packages are installed and names the others.

#include "bench/workbench/product.hpp"

#include <sparq/format/shape.hpp>
#include <sparq/numeric/integer.hpp>

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

namespace peers {

/// Operands of a product: what a library packs before anything is timed.
struct request {
  std::size_t m = 0;
  sparq::weight_shape shape;        // n x k
  std::span<const float> weights;   // row-major; pruned ones are 0
  std::uint64_t seed = 1;           // of X
};

struct peer {
  std::string format;    // as --format takes it: "onednn_dense"
  std::string numerics;  // "f32xf32", "u8xs8"
  bool is_sparse = false;
  std::unique_ptr<workbench::product> (*make)(const request&) = nullptr;
};

/// A peer's product of noise weights, which for a sparse one are pruned as for csr.
std::unique_ptr<workbench::product> make_product(const peer& of, std::size_t m, sparq::weight_shape shape,
                                                 double sparsity, std::uint64_t seed);
/// All that this program was built with.
const std::vector<peer>& all();
/// Debian packages that would bring more of them, with one space between; empty when nothing is missing.
std::string missing_packages();

/// A product with plain operands: X m x k, W n x k, Y m x n, all row-major. Codes of u8 x s8 have 7 bits in X and 8 in
/// W, because some libraries saturate beyond.
template <class X, class W, class Y>
class plain_product : public workbench::product {
 public:
  explicit plain_product(const request& asked)
      : m_(asked.m), shape_(asked.shape), x_(m_ * shape_.k), w_(shape_.size()), y_(m_ * shape_.n) {
    std::mt19937_64 random(asked.seed);
    for (auto& v : x_) v = static_cast<X>(random() & 127);
    float largest = 1e-30F;
    for (const float w : asked.weights) largest = std::max(largest, std::abs(w));
    for (std::size_t i = 0; i < w_.size(); ++i) {
      w_[i] = std::is_same_v<W, float> ? static_cast<W>(asked.weights[i])
                                       : static_cast<W>(std::lround(asked.weights[i] / largest * 127));
      non_zeros_ += asked.weights[i] != 0;
    }
    sparsity = 1 - static_cast<double>(non_zeros_) / static_cast<double>(std::max<std::size_t>(shape_.size(), 1));
    bytes = packed_bytes = w_.size() * sizeof(W);
  }

  void set_copies(std::size_t) override {}  // make_product has them
  std::string verify() override {
    run(0);
    for (std::size_t m = 0; m < std::min<std::size_t>(m_, 3); ++m)
      for (std::size_t n = 0; n < shape_.n; ++n) {
        double want = 0, magnitude = 0;
        for (std::size_t k = 0; k < shape_.k; ++k) {
          const double term = static_cast<double>(x_[m * shape_.k + k]) * static_cast<double>(w_[n * shape_.k + k]);
          want += term;
          magnitude += std::abs(term);
        }
        if (std::abs(static_cast<double>(result(m, n)) - want) > (std::is_same_v<Y, float> ? 1e-5 * magnitude : 0.0))
          return kernel + ": Y[" + std::to_string(m) + "][" + std::to_string(n) + "] is " +
                 std::to_string(result(m, n)) + ", not " + std::to_string(want);
      }
    return {};
  }
  std::vector<float> decoded() const override { return {w_.begin(), w_.end()}; }

 protected:
  /// Element of Y, however the library stores it.
  virtual Y result(std::size_t m, std::size_t n) const { return y_[m * shape_.n + n]; }

  std::size_t m_;
  sparq::weight_shape shape_;
  std::vector<X> x_;
  std::vector<W> w_;
  std::vector<Y> y_;
  std::size_t non_zeros_ = 0;
};

using plain_floats = plain_product<float, float, float>;

template <class Product>
std::unique_ptr<workbench::product> make(const request& asked) {
  return std::make_unique<Product>(asked);
}

}  // namespace peers
