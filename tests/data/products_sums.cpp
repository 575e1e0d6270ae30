// SPDX-License-Identifier: MIT
#include "tests/data/multiply.hpp"

#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/n_m.hpp>
#include <sparq/format/tile_n_m.hpp>
#include <sparq/format/tile_wise.hpp>

#include <cstring>

namespace cases {
namespace {

template <class X, class View>
std::vector<std::int32_t> sums(const product<X, std::int8_t>& p, std::int32_t zero_point, sparq::packed<View> weights) {
  std::vector<sparq::packed<View>> groups;
  groups.push_back(std::move(weights));
  return multiply<std::int32_t>(p, groups, sparq::epilogue(sparq::subtract_zero_point(zero_point)));
}

template <class Format, class X>
format_sums sums_in(const product<X, std::int8_t>& p, std::int32_t zero_point, sparq::mask_view keep) {
  format_sums result;
  result.format = Format::name();
  const auto stored = store<Format, sparq::s8>(std::span(p.weights), keep);
  if (!stored) {
    result.refusal = stored.error().message();
  } else {
    result.slots = stored.value().index().slots();
    result.sums = sums(p, zero_point, pack(stored.value()));
  }
  return result;
}

}  // namespace

template <class X>
std::vector<format_sums> sums_in_every_format(const product<X, std::int8_t>& p, std::int32_t zero_point,
                                              sparq::mask_view keep) {
  return {sums_in<sparq::dense>(p, zero_point, keep),          sums_in<sparq::csr>(p, zero_point, keep),
          sums_in<sparq::block<16, 4>>(p, zero_point, keep),   sums_in<sparq::block<1, 16>>(p, zero_point, keep),
          sums_in<sparq::tile_wise<16>>(p, zero_point, keep),  sums_in<sparq::tile_wise<32>>(p, zero_point, keep),
          sums_in<sparq::tile_wise<128>>(p, zero_point, keep), sums_in<sparq::n_m<2, 4>>(p, zero_point, keep),
          sums_in<sparq::n_m<8, 16>>(p, zero_point, keep),     sums_in<sparq::tile_n_m<16, 2, 4>>(p, zero_point, keep)};
}
template std::vector<format_sums> sums_in_every_format(const product<std::int8_t, std::int8_t>&, std::int32_t,
                                                       sparq::mask_view);
template std::vector<format_sums> sums_in_every_format(const product<std::uint8_t, std::int8_t>&, std::int32_t,
                                                       sparq::mask_view);

std::vector<std::int32_t> sums_of_csr(const product<std::int8_t, std::int8_t>& p,
                                      std::vector<std::uint64_t> row_offsets, std::vector<std::uint32_t> columns) {
  sparq::aligned_buffer values(p.weights.size());
  std::memcpy(values.data(), p.weights.data(), p.weights.size());
  using tensor = sparq::tensor<sparq::csr, sparq::s8, sparq::per_tensor>;
  const tensor w({{p.n, p.k()}, std::move(row_offsets), std::move(columns)}, std::move(values), {1.0F});
  return sums(p, 0, pack(w));
}

}  // namespace cases
