// SPDX-License-Identifier: MIT
#pragma once
// A weight matrix W[n][k] in its canonical, documented form: where the slots are (format), what a code is (numeric) and
// what real number it means (quantization). Where codes are places in tables, the tables are part of it. Kernels run on
// its packed form (packed.hpp).

#include <sparq/base/error.hpp>
#include <sparq/base/memory.hpp>
#include <sparq/format/format.hpp>
#include <sparq/numeric/codebook.hpp>
#include <sparq/numeric/codec.hpp>
#include <sparq/numeric/granularity.hpp>
#include <sparq/numeric/number_text.hpp>
#include <sparq/numeric/numeric.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq {

/// The granularity that a numeric type has unless another is named: integers per channel, floats none.
template <numeric N>
using default_granularity = std::conditional_t<N::is_integer, per_channel, unquantized>;

namespace detail {

/// The tables of numeric types that have none.
struct no_tables {
  static constexpr std::size_t size_bytes() { return 0; }
};
template <class N>
struct tables_of {
  using viewed = no_tables;
  using owned = no_tables;
};
template <has_tables N>
struct tables_of<N> {
  using viewed = std::span<const typename N::entry::code>;
  using owned = std::vector<typename N::entry::code>;
};

/// The first thing that is wrong with the tables of W[n][k], or ok.
/// - `needs_zero`: W may have weights that are not stored
template <has_tables N>
status check_tables(std::span<const typename N::entry::code> tables, weight_shape shape, bool needs_zero,
                    const std::string& format_name) {
  const std::size_t count = table_entries<N>(shape.n, shape.k);
  if (tables.size() != count)
    return status::failure(format_name + ": " + std::to_string(tables.size()) + " entries of tables; " +
                           std::string(N::name) + " needs " + std::to_string(count) + " for a matrix of " +
                           to_string(shape));
  for (std::size_t t = 0; t < tables.size(); t += N::entries) {
    bool has_zero = false;
    for (std::size_t i = t; i < t + N::entries; ++i) {
      has_zero = has_zero || tables[i] == 0;
      if (!is_finite(static_cast<float>(tables[i])))
        return status::failure(format_name + ": entry " + std::to_string(i - t) + " of table " +
                               std::to_string(t / N::entries) + " is " + number_text(static_cast<float>(tables[i])));
    }
    if (needs_zero && !has_zero)
      return status::failure(format_name + ": table " + std::to_string(t / N::entries) +
                             " has no entry of 0; pruned weights are zeros, so one entry has to be");
  }
  return {};
}

/// Values and scales of a tensor are as many as they have to be, and scales are positive and finite.
inline status check_arrays(std::size_t slots, std::size_t bytes, std::size_t bytes_needed,
                           std::span<const float> scales, std::size_t scales_needed) {
  if (bytes != bytes_needed)
    return status::failure(std::to_string(bytes) + " bytes of values for " + std::to_string(slots) + " slots; " +
                           std::to_string(bytes_needed) + " are needed");
  if (scales.size() != scales_needed)
    return status::failure(std::to_string(scales.size()) + " scales; " + std::to_string(scales_needed) + " are needed");
  for (std::size_t i = 0; i < scales.size(); ++i)
    if (!(scales[i] > 0.0F && is_finite(scales[i])))
      return status::failure("scales[" + std::to_string(i) + "] is " + number_text(scales[i]) +
                             "; scales are positive and finite");
  return {};
}

}  // namespace detail

/// A tensor over memory that somebody else keeps, a mapped file for example. Trivially copyable.
template <format Format, numeric Numeric, quantization_granularity Granularity = default_granularity<Numeric>>
struct tensor_view {
  using format_type = Format;
  using numeric_type = Numeric;
  using granularity = Granularity;

  typename Format::template index<viewed> index;
  std::span<const std::byte> values;  // storage_bytes<Numeric>(index.slots()) bytes, codes in the order of slots
  std::span<const float> scales;      // Granularity::scale_count(n, k)
  /// Of a codebook: table_entries<Numeric>(n, k) entries, nothing for others.
  [[no_unique_address]] typename detail::tables_of<Numeric>::viewed tables{};

  weight_shape shape() const { return index.shape; }
  /// Bytes of values, indices, scales and tables.
  std::size_t bytes() const { return values.size() + index_bytes(index) + scales.size_bytes() + tables.size_bytes(); }
  /// slots / (n k); 0 for an empty matrix.
  double density() const {
    return shape().size() == 0 ? 0.0 : static_cast<double>(index.slots()) / static_cast<double>(shape().size());
  }

  /// The first thing that is wrong with indices, sizes or scales, or ok. O(slots).
  status validate() const {
    if (status s = index.validate(); !s.ok()) return s;
    if (status s = detail::check_arrays(index.slots(), values.size(), storage_bytes<Numeric>(index.slots()), scales,
                                        Granularity::scale_count(shape().n, shape().k));
        !s.ok())
      return status::failure(Format::name() + ": " + s.message());
    if constexpr (has_tables<Numeric>)
      return detail::check_tables<Numeric>(tables, shape(), !holds_every_weight_v<Format>, Format::name());
    return {};
  }

  static_assert(holds_every_weight_v<Format> || !requires { Numeric::table::bucket; },
                "sparq: buckets cut the matrix as it lies in memory, rows one after the other, which only dense keeps; "
                "use dense, or tables per_channel");
};

/// A tensor that owns its arrays.
template <format Format, numeric Numeric, quantization_granularity Granularity = default_granularity<Numeric>>
class tensor {
 public:
  using format_type = Format;
  using numeric_type = Numeric;
  using granularity = Granularity;
  using view_type = tensor_view<Format, Numeric, Granularity>;
  using index_type = typename Format::template index<owned>;
  /// A vector of entries for a codebook.
  using tables_type = typename detail::tables_of<Numeric>::owned;

  tensor() = default;
  tensor(unchecked_t, index_type index, aligned_buffer values, std::vector<float> scales, tables_type tables = {})
      : index_(std::move(index)), values_(std::move(values)), scales_(std::move(scales)), tables_(std::move(tables)) {}
  /// Raises the first thing that `tensor_view::validate` finds.
  tensor(index_type index, aligned_buffer values, std::vector<float> scales, tables_type tables = {})
      : tensor(unchecked, std::move(index), std::move(values), std::move(scales), std::move(tables)) {
    view().validate().value();
  }
  static expected<tensor> try_make(index_type index, aligned_buffer values, std::vector<float> scales,
                                   tables_type tables = {}) {
    tensor result(unchecked, std::move(index), std::move(values), std::move(scales), std::move(tables));
    if (status s = result.view().validate(); !s.ok()) return s;
    return result;
  }

  view_type view() const { return {view_of<Format>(index_), values_.bytes(), scales_, tables_}; }
  operator view_type() const { return view(); }

  weight_shape shape() const { return index_.shape; }
  const index_type& index() const { return index_; }
  std::span<const std::byte> values() const { return values_.bytes(); }
  std::span<const float> scales() const { return scales_; }
  const tables_type& tables() const { return tables_; }
  std::size_t bytes() const { return view().bytes(); }
  double density() const { return view().density(); }

 private:
  index_type index_;
  aligned_buffer values_;
  std::vector<float> scales_;
  [[no_unique_address]] tables_type tables_;
};

/// What a slot multiplies by: its code, or the entry that the code chooses. `n`, `k`: where the slot is.
template <format F, numeric N, quantization_granularity G>
typename entry_t<N>::code load_weight(const tensor_view<F, N, G>& w, std::size_t slot, [[maybe_unused]] std::size_t n,
                                      [[maybe_unused]] std::size_t k) {
  if constexpr (has_tables<N>)
    return w.tables[table_start<N>(n, k, w.shape().k) + load_code<N>(w.values.data(), slot)];
  else
    return load_code<N>(w.values.data(), slot);
}

namespace detail {

/// The code of an output channel whose entry is 0; N::entries if there is none. @pre tables do not change along k
template <format F, has_tables N, quantization_granularity G>
std::size_t zero_code_of(const tensor_view<F, N, G>& w, std::size_t channel) {
  return zero_code<N>(w.tables.data() + table_start<N>(channel, 0, w.shape().k));
}

}  // namespace detail

namespace detail {
template <class T>
inline constexpr bool is_tensor_v = false;
template <class F, class N, class G>
inline constexpr bool is_tensor_v<tensor<F, N, G>> = true;
template <class F, class N, class G>
inline constexpr bool is_tensor_v<tensor_view<F, N, G>> = true;
}  // namespace detail

}  // namespace sparq
