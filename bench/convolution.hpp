// SPDX-License-Identifier: MIT
#pragma once
// Convolutions ready to be measured: products whose rows of X are the patches of an image.

#include "bench/workbench/product.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

/// One image, NHWC, and a square kernel with "same" padding.
struct convolution {
  std::size_t height = 0, width = 0, channels = 0, filters = 0, kernel = 0, stride = 1;

  std::size_t pad() const { return kernel / 2; }
  std::size_t output(std::size_t extent) const { return (extent + 2 * pad() - kernel) / stride + 1; }
  std::size_t m() const { return output(height) * output(width); }
  std::size_t k() const { return kernel * kernel * channels; }
  std::string text() const;  // 56x56x64x64x3, or 56x56x64x64x3s2
};

/// Reads what convolution::text writes; throws sparq::error.
convolution parse_convolution(const std::string& text);

/// The formats that can be convolved with.
std::vector<std::string> convolution_formats();

/// u8 x s8, requantized to u8; weights are noise. Throws sparq::error.
std::unique_ptr<workbench::product> make_convolution(const std::string& format, const convolution& what,
                                                     double sparsity, std::uint64_t seed);
