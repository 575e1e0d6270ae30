// SPDX-License-Identifier: MIT
#include "bench/convolution.hpp"

#include "bench/workbench/product_case.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sparq/op/conv2d.hpp>

#include <algorithm>
#include <cstdio>
#include <span>
#include <tuple>
#include <type_traits>

namespace {

using format_list = std::tuple<sparq::dense, sparq::csr, sparq::n_m<2, 4>, sparq::block<16, 4>, sparq::tile_wise<128>,
                               sparq::tile_n_m<32, 2, 4>>;

constexpr std::uint8_t zero_point = 7;  // of X: what lies beyond its border

template <class Format>
class convolution_case final : public workbench::product_case<Format, sparq::u8, sparq::s8> {
  using base = workbench::product_case<Format, sparq::u8, sparq::s8>;

 public:
  convolution_case(const workbench::product_request& request, std::span<const float> weights, const convolution& what)
      : base(request, weights, {what.filters, what.k()}), what_(what) {
    this->x_.resize(what.height * what.width * what.channels);
    window_.kernel_height = window_.kernel_width = what.kernel;
    window_.stride_y = window_.stride_x = what.stride;
    window_.pad_top = window_.pad_left = window_.pad_bottom = window_.pad_right = what.pad();
  }

  void run(std::size_t copy) override {
    const sparq::image_view<std::uint8_t> y(this->y_.data(), 1, what_.output(what_.height), what_.output(what_.width),
                                            what_.filters);
    this->packed_[copy % this->packed_.size()].visit([&](const auto& weights) {
      sparq::conv2d(image(), weights, y, window_, zero_point, sparq::epilogue(this->stage()), sparq::serial,
                    this->scratch_);
    });
  }

  std::string verify() override {
    run(0);
    const std::size_t pixels = std::min<std::size_t>(3, what_.output(what_.width));
    std::vector<std::uint8_t> patches;
    for (std::size_t x = 0; x < pixels; ++x)
      for (std::size_t ky = 0; ky < what_.kernel; ++ky)
        for (std::size_t kx = 0; kx < what_.kernel; ++kx)
          for (std::size_t c = 0; c < what_.channels; ++c) patches.push_back(element(ky, x * what_.stride + kx, c));
    return this->compare(sparq::matrix_view<const std::uint8_t>(patches.data(), pixels, what_.k()));
  }

 private:
  sparq::image_view<const std::uint8_t> image() const {
    return {this->x_.data(), 1, what_.height, what_.width, what_.channels};
  }
  /// An element of the padded image.
  std::uint8_t element(std::size_t y, std::size_t x, std::size_t channel) const {
    const bool inside = y >= what_.pad() && y - what_.pad() < what_.height && x >= what_.pad() &&
                        x - what_.pad() < what_.width;
    return inside ? image().pixel(0, y - what_.pad(), x - what_.pad())[channel] : zero_point;
  }

  convolution what_;
  sparq::window_parameters window_;
};

}  // namespace

std::string convolution::text() const {
  return fmt::format("{}x{}x{}x{}x{}{}", height, width, channels, filters, kernel,
                     stride == 1 ? "" : fmt::format("s{}", stride));
}

convolution parse_convolution(const std::string& text) {
  convolution c;
  const int read = std::sscanf(text.c_str(), "%zux%zux%zux%zux%zus%zu", &c.height, &c.width, &c.channels, &c.filters,
                               &c.kernel, &c.stride);
  if (read < 5 || c.text() != text || c.stride == 0 || c.m() * c.filters * c.k() == 0 || c.kernel % 2 == 0)
    sparq::raise("--conv " + text +
                 " is not HxWxCxNxR or HxWxCxNxRsS with positive extents and an odd R, like 56x56x64x64x3");
  return c;
}

std::vector<std::string> convolution_formats() { return workbench::names_of<format_list>(); }

std::unique_ptr<workbench::product> make_convolution(const std::string& format, const convolution& what,
                                                     double sparsity, std::uint64_t seed) {
  const auto weights = workbench::noise_weights(what.filters, what.k(), seed);
  auto made = workbench::make_of_format<format_list>(format, [&]<class Format>(std::type_identity<Format>) {
    return std::make_unique<convolution_case<Format>>(
        workbench::product_request{format, "u8xs8", what.m(), sparsity, seed}, weights, what);
  });
  if (made == nullptr)
    sparq::raise(fmt::format("no convolution is measured with {}; there are {}", format,
                             fmt::join(convolution_formats(), ", ")));
  return made;
}
