// SPDX-License-Identifier: MIT
#include "tests/data/multiply.hpp"

#include <sparq/format/dense.hpp>
#include <sparq/tensor/narrow_view.hpp>

#include <stdexcept>

namespace cases {

namespace {

/// f.operator()<N>() for the integers of X and Y in the published cases.
template <class Code, class F>
void for_type(const std::string& name, F&& f) {
  using namespace sparq;
  constexpr bool is_signed = std::is_signed_v<Code>;
  if (name == (is_signed ? "int4" : "uint4")) return f.template operator()<std::conditional_t<is_signed, s4, u4>>();
  if (name == (is_signed ? "int2" : "uint2")) return f.template operator()<std::conditional_t<is_signed, s2, u2>>();
  throw std::runtime_error("no narrow type is called " + name);
}

/// The codes of rows, each of which starts on a byte.
template <class N>
struct narrow_rows_of_codes {
  std::size_t columns;
  std::vector<std::byte> bytes;

  narrow_rows_of_codes(std::size_t rows, std::size_t column_count)
      : columns(column_count), bytes(rows * sparq::storage_bytes<N>(column_count)) {}
  sparq::narrow_matrix_view<N> view() {
    return {bytes.data(), columns == 0 ? 0 : bytes.size() / sparq::storage_bytes<N>(columns), columns};
  }
};

}  // namespace

template <class X, class W>
std::vector<X> floor_shift_narrow(const product<X, std::int8_t>& p, const std::string& x_type,
                                  const std::string& y_type, const floor_shift_codes& out) {
  const auto groups = pack_groups<sparq::dense, W>(p);
  std::vector<X> codes;
  const auto run = [&](const auto& x_image, const auto& x_matrix) {
    for_type<X>(y_type, [&]<class N>() {
      const std::size_t rows = p.outputs() / p.n;
      narrow_rows_of_codes<N> y(rows, p.n);
      const sparq::epilogue stages(
          sparq::requantize_to_codes<N>(std::span(out.per_channel), out.zero_point, out.low, out.high));
      sparq::workspace scratch;
      if (p.is_convolution())
        sparq::conv2d(x_image, groups[0],
                      sparq::narrow_image_view<N>(y.bytes.data(), p.x_shape[0], p.window.output_height(p.x_shape[1]),
                                                  p.window.output_width(p.x_shape[2]), p.n),
                      p.window, p.padding, stages, sparq::serial, scratch);
      else
        sparq::gemm(x_matrix, groups[0], y.view(), stages, sparq::serial, scratch);
      for (std::size_t i = 0; i < rows * p.n; ++i) codes.push_back(y.view()(i / p.n, i % p.n));
    });
  };
  const std::size_t columns = p.x_shape.back();
  const auto image = [&](auto make) {
    return p.is_convolution() ? make(p.x_shape[0], p.x_shape[1], p.x_shape[2], columns) : make(0, 0, 0, columns);
  };
  if (x_type.empty()) {
    run(image([&](auto... extents) {
          return sparq::image_view<const X>(p.x.data(), static_cast<std::size_t>(extents)...);
        }),
        sparq::matrix_view<const X>(p.x.data(), p.x.size() / columns, columns));
  } else {
    for_type<X>(x_type, [&]<class N>() {
      narrow_rows_of_codes<N> x(p.x.size() / columns, columns);
      for (std::size_t i = 0; i < p.x.size(); ++i) x.view().set(i / columns, i % columns, p.x[i]);
      run(image([&](auto... extents) {
            return sparq::narrow_image_view<const N>(x.bytes.data(), static_cast<std::size_t>(extents)...);
          }),
          sparq::narrow_matrix_view<const N>(x.view()));
    });
  }
  return codes;
}

template <class X>
std::vector<X> floor_shift_narrow(const product<X, std::int8_t>& p, const std::string& x_type,
                                  const std::string& w_type, const std::string& y_type,
                                  const floor_shift_codes& out) {
  if (w_type == "int4") return floor_shift_narrow<X, sparq::s4>(p, x_type, y_type, out);
  return floor_shift_narrow<X, sparq::s2>(p, x_type, y_type, out);
}
template std::vector<std::int8_t> floor_shift_narrow(const product<std::int8_t, std::int8_t>&, const std::string&,
                                                     const std::string&, const std::string&, const floor_shift_codes&);
template std::vector<std::uint8_t> floor_shift_narrow(const product<std::uint8_t, std::int8_t>&, const std::string&,
                                                      const std::string&, const std::string&,
                                                      const floor_shift_codes&);

}  // namespace cases
