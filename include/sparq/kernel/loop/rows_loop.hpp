// SPDX-License-Identifier: MIT
#pragma once
// The rows loop of one product, in the form that suits its number of rows:
//
//   codebooks, few rows     look_up_loop     entries stay in registers
//   bits, many rows         bit_table_loop   where the CPU counts by looking up
//   bytes or bits, one row  panel_loop       with an atom of its own
//   signs, one row          sign_table_loop  sums of X are looked up
//   narrow codes, one row   codes_in_place_loop  codes are factors as they lie in their bytes
//                           two_bit_loop     the same for pairs of bits in narrower registers
//   all others              panel_loop

#include <sparq/kernel/loop/bit_table_loop.hpp>
#include <sparq/kernel/loop/codes_in_place_loop.hpp>
#include <sparq/kernel/loop/look_up_loop.hpp>
#include <sparq/kernel/loop/panel_loop.hpp>
#include <sparq/kernel/loop/sign_table_loop.hpp>
#include <sparq/kernel/loop/two_bit_loop.hpp>
#include <sparq/kernel/select.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

/// One operation; see panel_loop.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
class rows_loop {
  using all_rows = panel_loop<Packed, Atom, Source, Y, Epilogue>;
  using few_rows_atom = typename machine::few_rows_atom<Atom>::type;
  using few_rows = panel_loop<Packed, few_rows_atom, Source, Y, Epilogue>;
  using look_ups = look_up_loop<Packed, Source, Y, Epilogue>;
  using bit_tables = bit_table_loop<Packed, Source, Y, Epilogue>;
  using sign_tables = sign_table_loop<Packed, Source, Y, Epilogue>;
  using in_place = codes_in_place_loop<Packed, Source, Y, Epilogue>;
  using two_bits = two_bit_loop<Packed, Source, Y, Epilogue>;

  static constexpr bool has_look_ups = machine::looks_up_few_rows_v<Packed, typename Source::element>;
  static constexpr bool has_bit_tables = machine::counts_by_tables_v<Packed, typename Source::element>;
  static constexpr bool has_sign_tables = machine::sums_by_tables_v<Packed, typename Source::element>;
  static constexpr bool has_in_place = machine::takes_codes_in_place_v<Packed, typename Source::element>;
  static constexpr bool has_two_bits = machine::sums_two_bits_v<Packed, typename Source::element>;
  static constexpr bool counts_bits = std::is_same_v<typename Source::element, eight_bits>;
  // an X cut for one row has halves of eight k's, and windows may begin anywhere;
  // those have an atom for one row and two
  static constexpr bool takes_panels = !all_rows::looks_up && !all_rows::is_grouped && !all_rows::is_list &&
                                       Packed::numeric_type::bits == 8 &&
                                       (!all_rows::permutes || all_rows::window::window % 8 == 0);
  static constexpr bool has_few_rows =
      !std::is_same_v<few_rows_atom, Atom> &&
      (counts_bits || (all_rows::has_windows ? machine::in_planes<few_rows_atom> : takes_panels));

 public:
  static constexpr std::size_t block_rows = all_rows::block_rows;
  static constexpr std::size_t block_channels = all_rows::block_channels;

  /// - `zero_point`: as in panel_loop
  rows_loop(const Packed& w, const Source& source, Y y, const Epilogue& stages, std::int32_t zero_point = 0)
      : loop_(w, source, y, stages, zero_point), w_(w), source_(source), y_(y), stages_(stages),
        zero_point_(zero_point) {}

  std::string_view loop_name() const {
    return in_form([](const auto& loop) { return loop.loop_name(); });
  }
  std::string_view atom_name() const {
    return in_form([](const auto& loop) { return loop.atom_name(); });
  }
  std::string x_access() const {
    return in_form([](const auto& loop) { return loop.x_access(); });
  }
  std::size_t cached_rows() const {
    return in_form([](const auto& loop) { return loop.cached_rows(); });
  }
  std::size_t strips() const { return loop_.strips(); }
  /// Rows of a block, of which the parts of the work have whole ones.
  std::size_t tall_rows() const { return loop_.tall_rows(); }

  /// Bytes of scratch that one part of the work needs, a multiple of 64.
  std::size_t scratch_bytes(std::size_t m) const {
    return in_form([m](const auto& loop) { return loop.scratch_bytes(m); });
  }
  /// Computes rows [m0, m1) of the channels in strips [s0, s1). @pre scratch has scratch_bytes(m1 - m0)
  void run(std::size_t m0, std::size_t m1, std::size_t s0, std::size_t s1, std::byte* scratch) const noexcept {
    in_form([=](const auto& loop) { loop.run(m0, m1, s0, s1, scratch); });
  }

 private:
  /// f(the loop that runs)
  template <class F>
  auto in_form(F f) const {
    if constexpr (has_look_ups)
      if (y_.rows <= looked_up_rows) return f(look_ups(w_, source_, y_, stages_));
    if constexpr (has_bit_tables)
      if (bit_tables::suits(y_.rows, w_.shape().k)) return f(bit_tables(w_, source_, y_, stages_));
    if constexpr (has_sign_tables)
      if (sign_tables::suits(y_.rows, w_.shape().n, w_.shape().k)) return f(sign_tables(w_, source_, y_, stages_));
    if constexpr (has_in_place)
      if (in_place::suits(y_.rows, w_.shape().n, w_.shape().k)) return f(in_place(w_, source_, y_, stages_));
    if constexpr (has_two_bits)
      if (two_bits::suits(y_.rows, w_.shape().n, w_.shape().k)) return f(two_bits(w_, source_, y_, stages_));
    if constexpr (has_few_rows)
      if (y_.rows <= few_rows_atom::block_rows &&
          (counts_bits || all_rows::permutes || w_.words().size_bytes() <= machine::one_row_bytes))
        return f(few_rows(w_, source_, y_, stages_, zero_point_));
    return f(loop_);
  }

  all_rows loop_;
  Packed w_;
  Source source_;
  Y y_;
  Epilogue stages_;
  std::int32_t zero_point_;
};

SPARQ_ABI_END
}  // namespace sparq
