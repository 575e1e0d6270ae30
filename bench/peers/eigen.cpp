// SPDX-License-Identifier: MIT
// Eigen: dense f32 (it packs both operands in every call) and f32 CSR times a dense matrix.
#include "bench/peers/peer.hpp"

#include <Eigen/Dense>
#include <Eigen/SparseCore>

#include <cstddef>
#include <vector>

namespace peers {

namespace {

using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

class eigen_dense final : public plain_floats {
 public:
  explicit eigen_dense(const request& asked) : plain_floats(asked) { kernel = "Eigen"; }
  void run(std::size_t) override {
    const Eigen::Map<const row_major> x(x_.data(), index(m_), index(shape_.k)),
        w(w_.data(), index(shape_.n), index(shape_.k));
    Eigen::Map<row_major> y(y_.data(), index(m_), index(shape_.n));
    y.noalias() = x * w.transpose();
  }

 private:
  static Eigen::Index index(std::size_t extent) { return static_cast<Eigen::Index>(extent); }
};

/// Y^T = W X^T with k-major X and Y, which is what a sparse W wants.
class eigen_csr final : public plain_floats {
 public:
  explicit eigen_csr(const request& asked) : plain_floats(asked) {
    kernel = "Eigen";
    const Eigen::Map<const row_major> x(x_.data(), index(m_), index(shape_.k)),
        w(w_.data(), index(shape_.n), index(shape_.k));
    sparse_ = w.sparseView();
    sparse_.makeCompressed();
    x_columns_ = x.transpose();
    y_columns_.resize(index(shape_.n), index(m_));
    packed_bytes = non_zeros_ * 8 + shape_.n * 4;
  }
  void run(std::size_t) override { y_columns_.noalias() = sparse_ * x_columns_; }

 private:
  static Eigen::Index index(std::size_t extent) { return static_cast<Eigen::Index>(extent); }
  float result(std::size_t m, std::size_t n) const override { return y_columns_(index(n), index(m)); }

  Eigen::SparseMatrix<float, Eigen::RowMajor> sparse_;
  row_major x_columns_, y_columns_;
};

}  // namespace

std::vector<peer> eigen() {
  return {{"eigen_dense", "f32xf32", false, make<eigen_dense>}, {"eigen_csr", "f32xf32", true, make<eigen_csr>}};
}

}  // namespace peers
