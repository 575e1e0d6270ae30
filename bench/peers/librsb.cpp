// SPDX-License-Identifier: MIT
// librsb: f32 matrices in recursive sparse blocks, times k-major X.
#include "bench/peers/peer.hpp"

#include <rsb.h>

#include <sparq/base/error.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace peers {

namespace {

class librsb_csr final : public plain_floats {
 public:
  explicit librsb_csr(const request& asked) : plain_floats(asked) {
    static const rsb_err_t initialised = rsb_lib_init(RSB_NULL_INIT_OPTIONS);
    kernel = "librsb";
    std::vector<float> values;
    std::vector<rsb_coo_idx_t> rows, columns;
    for (std::size_t n = 0; n < shape_.n; ++n)
      for (std::size_t k = 0; k < shape_.k; ++k)
        if (const float w = w_[n * shape_.k + k]; w != 0) {
          values.push_back(w);
          rows.push_back(static_cast<rsb_coo_idx_t>(n));
          columns.push_back(static_cast<rsb_coo_idx_t>(k));
        }
    rsb_err_t error = initialised;
    if (error == RSB_ERR_NO_ERROR)
      matrix_ = rsb_mtx_alloc_from_coo_const(values.data(), rows.data(), columns.data(),
                                             static_cast<rsb_nnz_idx_t>(values.size()), RSB_NUMERICAL_TYPE_FLOAT,
                                             static_cast<rsb_coo_idx_t>(shape_.n), static_cast<rsb_coo_idx_t>(shape_.k),
                                             1, 1, RSB_FLAG_NOFLAGS, &error);
    if (matrix_ == nullptr) sparq::raise("librsb refuses the matrix, error " + std::to_string(error));
    x_columns_.resize(x_.size());
    for (std::size_t m = 0; m < m_; ++m)
      for (std::size_t k = 0; k < shape_.k; ++k) x_columns_[k * m_ + m] = x_[m * shape_.k + k];
  }
  ~librsb_csr() override { rsb_mtx_free(matrix_); }
  librsb_csr(const librsb_csr&) = delete;
  librsb_csr& operator=(const librsb_csr&) = delete;

  void run(std::size_t) override {
    const float one = 1, zero = 0;
    const auto m = static_cast<rsb_nnz_idx_t>(m_);
    rsb_spmm(RSB_TRANSPOSITION_N, &one, matrix_, static_cast<rsb_coo_idx_t>(m_), RSB_FLAG_WANT_ROW_MAJOR_ORDER,
             x_columns_.data(), m, &zero, y_.data(), m);
  }

 private:
  float result(std::size_t m, std::size_t n) const override { return y_[n * m_ + m]; }

  rsb_mtx_t* matrix_ = nullptr;
  std::vector<float> x_columns_;
};

}  // namespace

std::vector<peer> librsb() { return {{"librsb_csr", "f32xf32", true, make<librsb_csr>}}; }

}  // namespace peers
