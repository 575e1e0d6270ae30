// SPDX-License-Identifier: MIT
#include "tests/data/operands.hpp"
#include "tests/data/ops.hpp"
#include "tests/data/store.hpp"

#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/io/mtx.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace cases {
namespace {

/// A format that cannot hold every mask: of every M k's, `channels` channels together keep N at most.
struct pattern_format {
  std::string name;
  std::size_t channels, n, m;

  bool holds(sparq::mask_view keep) const {
    for (std::size_t first = 0; first < keep.shape.n; first += channels)
      for (std::size_t k = 0; k < keep.shape.k; k += m) {
        std::size_t kept = 0;
        for (std::size_t i = k; i < std::min(k + m, keep.shape.k); ++i) {
          bool any = false;
          for (std::size_t c = first; c < std::min(first + channels, keep.shape.n); ++c) any = any || keep(c, i);
          kept += any;
        }
        if (kept > n) return false;
      }
    return true;
  }
};
const pattern_format pattern_formats[] = {
    {"n_m<2,4>", 1, 2, 4}, {"n_m<8,16>", 1, 8, 16}, {"tile_n_m<16,2,4>", 16, 2, 4}};

/// Whether there are sums to compare. A format refuses the masks that it cannot hold and no others.
bool has_sums(const format_sums& got, sparq::mask_view keep, verdict& v) {
  const auto pattern = std::ranges::find(pattern_formats, got.format, &pattern_format::name);
  const bool can_hold = pattern == std::end(pattern_formats) || pattern->holds(keep);
  v.require(can_hold == got.refusal.empty(), can_hold ? got.refusal : got.format + " holds what it cannot");
  return got.refusal.empty();
}

/// `exact` is the format that stores the kept weights and no others.
void compare_sums(const std::vector<format_sums>& all, sparq::mask_view keep, const std::string& exact,
                  const std::string& x_type, verdict& v) {
  std::size_t exact_formats = 0;
  for (const format_sums& got : all) {
    if (has_sums(got, keep, v)) v.compare("accumulators", got.sums, x_type + " x s8 " + got.format);
    if (got.format != exact) continue;
    ++exact_formats;
    v.require(got.slots == keep.kept(), got.format + " stores " + std::to_string(got.slots) + " weights of " +
                                            std::to_string(keep.kept()) + " kept ones");
  }
  v.require(exact_formats == 1, "there is no format " + exact);
}

/// The format that the published algorithm prunes for.
std::string format_of_pattern(const neutral_case& one) {
  const nlohmann::json& pattern = one.json().at("attrs").at("pattern");
  if (one.has_tag("pattern-tw1d") || one.has_tag("pattern-tw2d"))
    return "tile_wise<" + std::to_string(pattern.at("granularity").get<int>()) + ">";
  if (one.has_tag("pattern-bw16")) return "block<16,4>";
  if (one.has_tag("pattern-nm24")) return "n_m<2,4>";
  if (one.has_tag("pattern-vw16") && pattern.at("sparsity") == 50) return "n_m<8,16>";
  return "csr";
}

sparq::mask mask_of_bits(const std::vector<std::uint8_t>& bits, sparq::weight_shape shape) {
  sparq::mask keep(shape);
  for (std::size_t i = 0; i < shape.size(); ++i) keep.data()[i] = bits.at(i / 8) >> i % 8 & 1;
  return keep;
}

/// With X as given, and shifted to u8.
void pruned(const neutral_case& one, const product<std::int8_t, std::int8_t>& p, verdict& v) {
  const auto zero_point = static_cast<std::int32_t>(one.integer("input_zero_point"));
  const sparq::mask keep = mask_of_bits(values_of<std::uint8_t>(one, "mask_bits"), {p.n, p.k()});
  const std::string exact = format_of_pattern(one);
  compare_sums(sums_in_every_format(p, zero_point, keep), keep, exact, "s8", v);

  product<std::uint8_t, std::int8_t> shifted{p.x_shape, {}, p.weights, p.n, p.window, p.groups, {}};
  for (const std::int8_t x : p.x) shifted.x.push_back(static_cast<std::uint8_t>(x + 128));
  shifted.padding = static_cast<std::uint8_t>(p.padding + 128);
  compare_sums(sums_in_every_format(shifted, zero_point + 128, keep), keep, exact, "u8", v);
}

}  // namespace

void pruned_fully_connected(const neutral_case& one, verdict& v) {
  pruned(one, product_of<std::int8_t, std::int8_t>(one), v);
}

void pruned_conv2d(const neutral_case& one, verdict& v) {
  pruned(one, product_of<std::int8_t, std::int8_t>(one, static_cast<std::int8_t>(one.integer("input_zero_point"))), v);
}

namespace {

/// A K x N operand as rows of X.
template <class T>
product<T, T> spmm_product(const neutral_case& one) {
  const extents b_shape = one.input("b").array.shape;
  product<T, T> p;
  p.x_shape = {b_shape[1], b_shape[0]};
  p.x = transposed(values_of<T>(one, "b"), b_shape, {1, 0});
  p.weights = values_of<T>(one, "values");
  p.n = static_cast<std::size_t>(one.integer("m"));
  return p;
}

/// The dense matrix of compressed sparse rows, and where it has its values.
template <class T>
std::pair<std::vector<T>, sparq::mask> densified(const std::vector<T>& values,
                                                 const std::vector<std::uint64_t>& offsets,
                                                 const std::vector<std::uint32_t>& columns, sparq::weight_shape shape) {
  std::pair<std::vector<T>, sparq::mask> result{std::vector<T>(shape.size()), sparq::mask(shape, false)};
  for (std::size_t n = 0; n < shape.n; ++n)
    for (std::size_t i = offsets[n]; i < offsets[n + 1]; ++i) {
      result.first[n * shape.k + columns[i]] = values[i];
      result.second.set(n, columns[i], true);
    }
  return result;
}

}  // namespace

// The result is M x N, that is Y transposed.
void spmm_int8(const neutral_case& one, verdict& v) {
  auto p = spmm_product<std::int8_t>(one);
  const extents y_shape{p.x_shape[0], p.n};
  const auto offsets = values_of<std::uint64_t>(one, "indptr");
  const auto columns = values_of<std::uint32_t>(one, "indices");
  v.compare("c", transposed(sums_of_csr(p, offsets, columns), y_shape, {1, 0}), "csr as given");

  const auto [weights, keep] = densified(p.weights, offsets, columns, {p.n, p.k()});
  p.weights = weights;
  for (const auto& got : sums_in_every_format(p, 0, keep))
    if (has_sums(got, keep, v)) v.compare("c", transposed(got.sums, y_shape, {1, 0}), got.format);
}

void spmm_f32(const neutral_case& one, verdict& v) {
  auto p = spmm_product<float>(one);
  const extents y_shape{p.x_shape[0], p.n};
  const auto offsets = values_of<std::uint64_t>(one, "indptr");
  const auto columns = values_of<std::uint32_t>(one, "indices");
  v.compare("c", transposed(f32_of_csr(p, offsets, columns), y_shape, {1, 0}), "csr as given");

  p.weights = densified(p.weights, offsets, columns, {p.n, p.k()}).first;
  float_outputs out;
  out.bias.resize(p.n);
  for (const auto& got : f32_in_every_format(p, out))
    v.compare("c", transposed(got.values, y_shape, {1, 0}), got.format);
}

void spmv_f64(const neutral_case& one, verdict& v) {
  const sparq::sparse_matrix got = sparq::load_mtx(one.input_file("mtx"));
  v.require(got.n == static_cast<std::size_t>(one.integer("m")) && got.k == static_cast<std::size_t>(one.integer("k")),
            "mtx: read as " + std::to_string(got.n) + " x " + std::to_string(got.k));
  v.compare("indptr", got.row_offsets);
  v.compare("indices", got.columns);
  v.compare("values", got.values.empty() ? std::vector<double>(got.columns.size(), 1.0) : got.values);
  v.leave_out_part("products in double precision: no f64 kernels; the matrix is read and compared");
}

namespace {

/// The codes of a tensor in the order of its slots.
std::vector<std::int8_t> codes_of(const auto& tensor) {
  std::vector<std::int8_t> codes(tensor.index().slots());
  sparq::unpack_codes<sparq::s8>(tensor.values().data(), codes);
  return codes;
}
void require_level(verdict& v, const nlohmann::json& level, const char* key, const auto& got) {
  const auto want = level.at(key).get<std::vector<std::uint64_t>>();
  v.require(std::ranges::equal(want, got), std::string("levels: other ") + key);
}

}  // namespace

// The levels of a published matrix name one of our formats; its values are codes small enough for s8.
void sparse_format_convert(const neutral_case& one, verdict& v) {
  const extents shape = one.input("dense").array.shape;
  if (shape.size() != 2) return v.leave_out("sparse tensors of three extents");
  const auto order = one.integers("traversal_order"), blocks = one.integers("block_size");
  const auto& levels = one.json().at("expected").at("levels");
  const auto is_sparse = [&](std::size_t level) { return levels.at(level).contains("segments"); };
  using integers = std::vector<std::int64_t>;
  const auto values = values_of<std::int8_t>(one, "dense");
  const sparq::weight_shape by_rows{shape[0], shape[1]}, by_columns{shape[1], shape[0]};

  if (blocks.empty() && order == integers{0, 1} && !is_sparse(0) && !is_sparse(1)) {
    const auto w = store<sparq::dense, sparq::s8>(values, sparq::mask(by_rows)).value();
    v.compare("values", codes_of(w), "dense");
  } else if (blocks.empty() && order == integers{1, 0} && !is_sparse(0) && is_sparse(1)) {
    const auto transpose = transposed(values, shape, {1, 0});
    const auto w =
        store<sparq::csr, sparq::s8>(transpose, sparq::nonzero_mask(std::span(transpose), by_columns)).value();
    require_level(v, levels.at(1), "segments", w.index().row_offsets);
    require_level(v, levels.at(1), "indices", w.index().columns);
    v.compare("values", codes_of(w), "csr of the transpose");
  } else if (blocks.empty() && order == integers{1, 0} && is_sparse(0) && !is_sparse(1) && shape[0] == 3) {
    const auto w =
        store<sparq::block<3, 1>, sparq::s8>(values, sparq::nonzero_mask(std::span(values), by_rows)).value();
    require_level(v, levels.at(0), "segments", w.index().panel_offsets);
    require_level(v, levels.at(0), "indices", w.index().block_columns);
    v.compare("values", codes_of(w), "block<3,1>");
  } else if (blocks == integers{2, 2} && order == integers{0, 1, 2, 3} && !is_sparse(0) && !is_sparse(1)) {
    const auto w = store<sparq::block<2, 2>, sparq::s8>(values, sparq::mask(by_rows)).value();
    v.compare("values", codes_of(w), "block<2,2>");
  } else {
    v.leave_out("sparse levels that are none of our formats");
  }
}

}  // namespace cases
