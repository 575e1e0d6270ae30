// SPDX-License-Identifier: MIT
// libxsmm: dense f32 from kernels that it generates for a block's extents. The loops around them are ours: weights are
// packed before in panels of 64 channels, k is cut at 512 and m at 96, as its own samples do.
#include "bench/peers/peer.hpp"

#include <libxsmm.h>

#include <sparq/base/error.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace peers {

namespace {

class libxsmm_dense final : public plain_floats {
 public:
  explicit libxsmm_dense(const request& asked) : plain_floats(asked), packed_(w_.size()) {
    const auto [n, k] = shape_;
    for (std::size_t c = 0; c < n; c += panel)
      for (std::size_t i = 0; i < k; ++i)
        for (std::size_t j = 0; j < channels(c); ++j) packed_[c * k + i * channels(c) + j] = w_[(c + j) * k + i];
    libxsmm_init();
    for_blocks([](libxsmm_smmfunction block, const float*, const float*, float*) {
      if (block == nullptr) sparq::raise("libxsmm has no kernel for a block of this product");
    });
    kernel = std::string("libxsmm smm ") + libxsmm_get_target_arch();
  }
  void run(std::size_t) override {
    for_blocks([](libxsmm_smmfunction block, const float* w, const float* x, float* y) { block(w, x, y); });
  }

 private:
  static constexpr std::size_t panel = 64, k_block = 512, m_block = 96;
  std::size_t channels(std::size_t c) const { return std::min(panel, shape_.n - c); }

  /// f(kernel, W, X, Y) for every block. Columns of libxsmm are our rows: it computes Y^T = W^T X^T.
  template <class F>
  void for_blocks(F f) {
    const auto [n, k] = shape_;
    for (std::size_t m = 0; m < m_; m += m_block)
      for (std::size_t c = 0; c < n; c += panel)
        for (std::size_t i = 0; i < k; i += k_block) {
          const auto wide = static_cast<libxsmm_blasint>(channels(c)), ldx = static_cast<libxsmm_blasint>(k),
                     ldy = static_cast<libxsmm_blasint>(n);
          const float alpha = 1, beta = i == 0 ? 0.0F : 1.0F;
          f(libxsmm_smmdispatch(wide, static_cast<libxsmm_blasint>(std::min(m_block, m_ - m)),
                                static_cast<libxsmm_blasint>(std::min(k_block, k - i)), &wide, &ldx, &ldy, &alpha,
                                &beta, nullptr, nullptr),
            packed_.data() + c * k + i * channels(c), x_.data() + m * k + i, y_.data() + m * n + c);
        }
  }

  std::vector<float> packed_;
};

}  // namespace

std::vector<peer> libxsmm() { return {{"libxsmm_dense", "f32xf32", false, make<libxsmm_dense>}}; }

}  // namespace peers
