// SPDX-License-Identifier: MIT
#pragma once
// A product as it runs: the loop that reads the packed weights, cut into parts. One class for gemm, conv2d and whatever
// else has rows of X, so that questions (how much scratch, which kernel) and runs never disagree.

#include <sparq/kernel/epilogue/epilogue.hpp>
#include <sparq/kernel/epilogue/tile_target.hpp>
#include <sparq/kernel/executor.hpp>
#include <sparq/kernel/explanation.hpp>
#include <sparq/kernel/loop/column_loop.hpp>
#include <sparq/kernel/loop/expand_loop.hpp>
#include <sparq/kernel/loop/rows_loop.hpp>
#include <sparq/kernel/select.hpp>
#include <sparq/kernel/source/narrow_rows.hpp>
#include <sparq/kernel/source/source.hpp>
#include <sparq/kernel/work_grid.hpp>
#include <sparq/kernel/workspace.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace sparq {
SPARQ_ABI_BEGIN

namespace machine {

/// The loop that reads a packed type.
template <class Packed, class Atom, class Source, class Y, class Epilogue>
struct loop_for {
  using type = rows_loop<Packed, Atom, Source, Y, Epilogue>;
};
template <class N, class G, class Shape, class Atom, class Source, class Y, class Epilogue>
struct loop_for<packed_columns_view<N, G, Shape>, Atom, Source, Y, Epilogue> {
  using type = column_loop<packed_columns_view<N, G, Shape>, Atom, Source, Y, Epilogue>;
};
template <class N, class G, class Shape, class Atom, class Source, class Y, class Epilogue>
struct loop_for<packed_bitmask_view<N, G, Shape>, Atom, Source, Y, Epilogue> {
  using type = expand_loop<packed_bitmask_view<N, G, Shape>, Atom, Source, Y, Epilogue>;
};

/// The shape that picks the atom: sources that cannot pack runs of k's leave them to the atom of single ones, whose
/// lists are the same.
template <class Source, class Shape>
struct shape_for_source {
  using type = Shape;
};
template <class Source, std::size_t Channels, std::size_t GroupK, std::size_t Run>
  requires(requires { Source::packs_runs; })
struct shape_for_source<Source, column_shape<Channels, GroupK, Run>> {
  using type = column_shape<Channels, GroupK, Source::packs_runs ? Run : 1>;
};

/// An operation and how it is cut: what runs, what it needs, and what explain() tells.
template <class Atoms, class Source, class Packed>
class operation {
 public:
  using atom = atom_for<typename numeric_of_source<Source>::type, typename Packed::numeric_type,
                        typename shape_for_source<Source, typename Packed::shape_type>::type, Atoms>;
  // scales along k leave sums that are scaled already
  static constexpr bool is_scaled = scales_along_k_v<typename Packed::granularity>;
  using sum_type = std::conditional_t<is_scaled, float, typename atom::acc_type>;
  using loop_type = typename loop_for<Packed, atom, Source, tile_target<sum_type>, stages_of_target>::type;

  /// - `m`: how many rows of X and Y it multiplies at a time, which may have more of them
  /// Refers to y and stages.
  template <class Y, class Epilogue>
  operation(const Source& source, std::size_t m, const Packed& w, const Y& y, const Epilogue& stages,
            std::size_t concurrency, std::int32_t zero_point = 0)
      : operation(source, m, w, tile_target_of<sum_type>(y, stages), strips_stand_apart(w, y), concurrency,
                  zero_point) {}
  /// For questions only: nothing is stored, so Y may hold what no stages yield.
  template <class Y>
  operation(const Source& source, std::size_t m, const Packed& w, const Y& y, std::size_t concurrency)
      : operation(source, m, w, tile_target<sum_type>{}, strips_stand_apart(w, y), concurrency) {}
  operation(const Source& source, std::size_t m, const Packed& w, const tile_target<sum_type>& y, bool may_cut_strips,
            std::size_t concurrency, std::int32_t zero_point = 0)
      : loop_(w, source, of_rows(y, m), {}, zero_point),
        m_(m),
        grid_(work_grid::make(concurrency, m, block_rows(), may_cut_strips ? loop_.strips() : 1)) {}

  std::size_t workspace_bytes() const {
    return grid_.parts() * loop_.scratch_bytes((std::min)(grid_.part_rows(m_, block_rows()), m_));
  }
  /// The least that a run needs: the rows of every part are taken one by one then, in the columns loop block by block.
  std::size_t least_workspace_bytes() const { return grid_.parts() * loop_.scratch_bytes((std::min)(least_rows, m_)); }
  /// Rows [first_row, first_row + m) of X and Y.
  template <class Executor>
  status run(Executor& executor, workspace& scratch, std::size_t first_row = 0) const {
    auto bytes = scratch.try_reserve(workspace_bytes(), least_workspace_bytes());
    if (!bytes) return bytes.error();
    run_parts(loop_, grid_, m_, block_rows(), least_rows, *bytes, executor, first_row);
    return {};
  }
  explanation explain() const {
    return {std::string(loop_.atom_name()), to_string(native_isa),  std::string(loop_.loop_name()),
            Packed::layout_name(),   loop_.x_access(),       block_rows(),
            loop_.block_channels,    loop_.cached_rows(),    grid_.parts(),
            workspace_bytes(),       least_workspace_bytes()};
  }

 private:
  static constexpr std::size_t least_rows = requires { typename Packed::steps; } ? loop_type::block_rows : 1;
  std::size_t block_rows() const {
    if constexpr (requires { loop_.tall_rows(); })
      return loop_.tall_rows();
    else
      return loop_type::block_rows;
  }
  static tile_target<sum_type> of_rows(tile_target<sum_type> y, std::size_t m) {
    y.rows = m;
    return y;
  }
  loop_type loop_;
  std::size_t m_;
  work_grid grid_;
};

/// Whether the loop of these weights reads such a source: only the columns loop reads X by columns.
template <class Source, class Packed>
inline constexpr bool reads_rows_v =
    requires(const Source& x) { x.start(std::size_t{}); } || requires { typename Packed::steps; };

/// Where nothing multiplies these types, or reads X as it lies, the checks at the door have said so (op/operands.hpp),
/// and that is all that the compiler says.
template <class Atoms, class Source, class Packed>
  requires(!reads_rows_v<Source, Packed> ||
           std::is_same_v<atom_for<typename numeric_of_source<Source>::type, typename Packed::numeric_type,
                                   typename shape_for_source<Source, typename Packed::shape_type>::type, Atoms>,
                          no_atom>)
class operation<Atoms, Source, Packed> {
 public:
  template <class... Operands>
  explicit operation(const Operands&...) {}
  std::size_t workspace_bytes() const { return 0; }
  std::size_t least_workspace_bytes() const { return 0; }
  template <class Executor>
  status run(Executor&, workspace&, std::size_t = 0) const {
    return {};
  }
  explanation explain() const { return {}; }
};

}  // namespace machine

SPARQ_ABI_END
}  // namespace sparq
