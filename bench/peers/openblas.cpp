// SPDX-License-Identifier: MIT
// OpenBLAS: dense f32; both operands are packed in every call.
#include "bench/peers/peer.hpp"

#include <cblas.h>

#include <cstddef>
#include <string>
#include <vector>

namespace peers {

namespace {

class openblas_dense final : public plain_floats {
 public:
  explicit openblas_dense(const request& asked) : plain_floats(asked) {
    openblas_set_num_threads(1);
    kernel = std::string("OpenBLAS ") + openblas_get_corename();
  }
  void run(std::size_t) override {
    const auto m = static_cast<int>(m_), n = static_cast<int>(shape_.n), k = static_cast<int>(shape_.k);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0F, x_.data(), k, w_.data(), k, 0.0F, y_.data(), n);
  }
};

}  // namespace

std::vector<peer> openblas() { return {{"openblas_dense", "f32xf32", false, make<openblas_dense>}}; }

}  // namespace peers
