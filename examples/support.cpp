// SPDX-License-Identifier: MIT
// Prints docs/support.md: which activations meet which weights, and what a weight takes in memory. Both tables come
// from the types themselves; a test compares the page with what this program prints.
#include <sparq/sparq.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

template <class... T>
struct type_list {};

using formats = type_list<sparq::dense, sparq::block<16, 4>, sparq::tile_wise<128>, sparq::tile_n_m<32, 2, 4>,
                          sparq::n_m<2, 4>, sparq::bitmask, sparq::csr>;
using weights = type_list<sparq::f32, sparq::f16, sparq::bf16, sparq::s8, sparq::s7, sparq::s6, sparq::s5, sparq::s4,
                          sparq::s3, sparq::s2, sparq::u8, sparq::u7, sparq::u6, sparq::u5, sparq::u4, sparq::u3,
                          sparq::u2, sparq::pow2<4>, sparq::pow2<3>, sparq::ternary, sparq::ternary_dense5,
                          sparq::binary, sparq::codebook<4>, sparq::codebook<4, sparq::f32>,
                          sparq::codebook<8, sparq::s8, sparq::per_channel>>;
using activations = type_list<sparq::f32, sparq::f16, sparq::bf16, sparq::s16, sparq::u8, sparq::s8, sparq::u4,
                              sparq::s4, sparq::u2, sparq::s2, sparq::u1, sparq::binary>;

/// f(type_identity) for each type of a list.
template <class... T, class F>
void for_each(type_list<T...>, F&& f) {
  (f(std::type_identity<T>{}), ...);
}

/// What kernels see of activations: those below 8 bits become bytes on the way.
template <sparq::numeric X>
using widened = std::conditional_t<(X::bits < 8), std::conditional_t<X::is_signed, sparq::s8, sparq::u8>, X>;

template <sparq::numeric X, sparq::numeric W, class Shape>
constexpr bool multiplies =
    !std::is_same_v<sparq::atom_for<widened<X>, sparq::entry_t<sparq::packed_numeric_t<W>>, Shape>,
                    sparq::machine::no_atom>;

/// Whether the pair is multiplied bit by bit, in weights packed for it.
template <sparq::numeric X, sparq::numeric W>
constexpr bool counts_bits = std::is_same_v<X, sparq::binary> &&
                             !std::is_same_v<sparq::atom_for<X, sparq::packed_numeric_t<W>, sparq::bit_panel_shape>,
                                             sparq::machine::no_atom>;

/// A row or a column of a table: the types that it is for, and its cells.
struct line {
  std::string types;
  std::vector<std::string> cells;
};

/// Lines for the types of a list; types with the same cells share one. `cells(type_identity)`: of one type
template <class List, class F>
std::vector<line> lines_of(List types, const F& cells) {
  std::vector<line> lines;
  for_each(types, [&]<class T>(std::type_identity<T> type) {
    const std::string name = fmt::format("`{}`", T::name);
    std::vector<std::string> of_type = cells(type);
    const auto same = std::ranges::find(lines, of_type, &line::cells);
    if (same == lines.end())
      lines.push_back({name, std::move(of_type)});
    else
      same->types += ", " + name;
  });
  return lines;
}

/// A table of columns: a row for every type of W, which has a cell in each.
void print_table(const std::vector<line>& columns) {
  fmt::print("| W |");
  for (const line& column : columns) fmt::print(" {} |", column.types);
  fmt::print("\n|---|");
  for (std::size_t i = 0; i < columns.size(); ++i) fmt::print("---|");
  std::size_t at = 0;
  const std::vector<line> rows = lines_of(weights{}, [&](auto) {
    std::vector<std::string> cells;
    for (const line& column : columns) cells.push_back(column.cells[at]);
    ++at;
    return cells;
  });
  for (const line& row : rows) fmt::print("\n| {} | {} |", row.types, fmt::join(row.cells, " | "));
}

template <sparq::numeric X, sparq::numeric W>
std::string loops() {
  const bool rows = multiplies<X, W, sparq::default_panel_shape<W>>;
  const bool columns = multiplies<X, W, sparq::default_column_shape<W>>;
  if (rows && columns) return counts_bits<X, W> ? "both, bits" : "both";
  return rows ? "rows" : columns ? "columns" : "";
}

/// "yes" if a form of W for few rows meets every X that the rows loop multiplies by W.
template <sparq::numeric W, class Shape>
std::string meets_all() {
  bool all = true;
  for_each(activations{}, [&]<class X>(std::type_identity<X>) {
    if (multiplies<X, W, sparq::default_panel_shape<W>> && !multiplies<X, W, Shape>) all = false;
  });
  return all ? "yes" : "";
}
/// Bits of a tensor without scales, for each of its n k weights, as `encode` leaves it and as `pack` does.
template <sparq::format F, sparq::numeric N>
std::string bits(const sparq::mask& keep) {
  auto index = F::from_mask(keep).value();
  const sparq::weight_shape shape = index.shape;
  typename sparq::tensor<F, N>::tables_type tables{};
  if constexpr (sparq::has_tables<N>) tables.assign(sparq::table_entries<N>(shape.n, shape.k), 1);
  sparq::aligned_buffer codes(sparq::storage_bytes<N>(index.slots()));
  for (std::size_t slot = 0; slot < index.slots(); ++slot)  // not 0, which some packed forms leave out
    sparq::store_code<N>(codes.data(), slot, typename N::code{1});
  std::vector<float> scales(sparq::default_granularity<N>::scale_count(shape.n, shape.k), 1.0F);
  const sparq::tensor<F, N> w(sparq::unchecked, std::move(index), std::move(codes), std::move(scales),
                              std::move(tables));
  using shape_type = sparq::default_shape<F, N>;
  const auto per_weight = [&](std::size_t bytes) {
    return 8.0 * static_cast<double>(bytes) / static_cast<double>(shape.size());
  };
  return fmt::format("{:.2f} / {:.2f}", per_weight(w.bytes()), per_weight(sparq::packed_bytes<shape_type>(w.view())));
}

/// Weights with important and unimportant channels and k's, so that tile-wise pruning has something to find.
std::vector<float> random_weights(sparq::weight_shape shape) {
  std::mt19937 random(1);
  const auto factor = [&] { return static_cast<float>(1 + random() % 1000); };
  std::vector<float> of_k(shape.k);
  for (float& f : of_k) f = factor();
  std::vector<float> w(shape.size());
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = of_k[i % shape.k] * factor();
  return w;
}

template <sparq::format F>
sparq::mask pruned(std::span<const float> w, sparq::weight_shape shape, double sparsity) {
  if constexpr (std::is_same_v<F, sparq::dense>)
    return sparq::mask(shape);
  else if constexpr (sparq::detail::prunes_to_one_sparsity<F>)
    return sparq::prune<F>(w, shape);
  else
    return sparq::prune<F>(w, shape, sparsity);
}

}  // namespace

int main() {
  fmt::print(
      "# What meets what\n\n"
      "Written by `examples/support.cpp` from the types themselves.\n\n"
      "## Weights and activations\n\n"
      "The loops that multiply a type of W (first column) by a type of X, in `gemm` and `conv2d`. X below 8 bits is "
      "unpacked to\n"
      "bytes on the way. Every format runs in both loops. \"bits\" are counted in weights packed by "
      "`pack<bit_panel_shape>`,\n"
      "of any format, whose scales may run along k in groups of 32 k's or a multiple ([numerics](numerics.md)).\n\n");
  print_table(lines_of(activations{}, []<class X>(std::type_identity<X>) {
    std::vector<std::string> cells;
    for_each(weights{}, [&]<class W>(std::type_identity<W>) { cells.push_back(loops<X, W>()); });
    return cells;
  }));
  fmt::print(
      "\n\n## Forms for few rows\n\n"
      "Any format can be packed as a bitmask (`pack<default_bitmask_shape<W>>`), or in windows of k's that channels "
      "choose\n"
      "freely (`pack<native_window_shape<W>>`). Both take scales along k, too ([packed](formats/packed.md)). With "
      "every X that the\n"
      "rows loop multiplies:\n\n");
  line bitmask{"as a bitmask", {}}, windows{"in windows", {}};
  for_each(weights{}, [&]<class W>(std::type_identity<W>) {
    bitmask.cells.push_back(meets_all<W, sparq::default_bitmask_shape<W>>());
    windows.cells.push_back(meets_all<W, sparq::native_window_shape<W>>());
  });
  print_table({bitmask, windows});

  const sparq::weight_shape shape{768, 3072};
  constexpr double sparsity = 0.75;
  fmt::print(
      "\n\n## Bits for one weight\n\n"
      "Of the tensor as `encode` leaves it / as `pack` leaves it for kernels: codes, indices, scales per channel and "
      "tables,\n"
      "divided by all n k weights, pruned ones too. A matrix of {} x {}; `tile_n_m` and `n_m` keep half, the other "
      "sparse\n"
      "formats a quarter.\n\n",
      shape.n, shape.k);
  const std::vector<float> w = random_weights(shape);
  std::vector<line> columns;
  for_each(formats{}, [&]<class F>(std::type_identity<F>) {
    const sparq::mask keep = pruned<F>(w, shape, sparsity);
    line& column = columns.emplace_back();
    column.types = fmt::format("`{}`", F::name());
    for_each(weights{}, [&]<class W>(std::type_identity<W>) { column.cells.push_back(bits<F, W>(keep)); });
  });
  print_table(columns);
  fmt::print("\n");
}
