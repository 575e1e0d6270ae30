// SPDX-License-Identifier: MIT
#include "tests/data/multiply.hpp"

#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>

#include <cstring>

namespace cases {
namespace {

template <class Format>
format_floats values_in(const product<float, float>& p, const float_outputs& out) {
  const sparq::epilogue stages(sparq::bias(std::span(out.bias)), sparq::clamp(out.low, out.high));
  return {Format::name(), multiply<float>(p, pack_groups<Format, sparq::f32>(p), stages)};
}

}  // namespace

std::vector<format_floats> f32_in_every_format(const product<float, float>& p, const float_outputs& out) {
  return {values_in<sparq::dense>(p, out), values_in<sparq::csr>(p, out), values_in<sparq::tile_wise<128>>(p, out)};
}

std::vector<float> f32_of_csr(const product<float, float>& p, std::vector<std::uint64_t> row_offsets,
                              std::vector<std::uint32_t> columns) {
  sparq::aligned_buffer values(p.weights.size() * sizeof(float));
  std::memcpy(values.data(), p.weights.data(), values.size());
  const sparq::tensor<sparq::csr, sparq::f32> w({{p.n, p.k()}, std::move(row_offsets), std::move(columns)},
                                                std::move(values), {});
  std::vector<packed_weights<sparq::csr, sparq::f32>> groups;
  groups.push_back(pack(w));
  const float_outputs out;
  const std::vector<float> no_bias(p.n);
  return multiply<float>(p, groups, sparq::epilogue(sparq::bias(std::span(no_bias)), sparq::clamp(out.low, out.high)));
}

std::vector<float> f32_scaled_and_added(const product<float, float>& p, float alpha, const std::vector<float>& added) {
  const sparq::matrix_view<const float> other(added.data(), p.x_shape[0], p.n);
  return multiply<float>(p, pack_groups<sparq::dense, sparq::f32>(p),
                         sparq::epilogue(sparq::scale(alpha), sparq::add(other)));
}

}  // namespace cases
