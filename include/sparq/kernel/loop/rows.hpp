// SPDX-License-Identifier: MIT
#pragma once
// The `rows` loop: vector lanes are output channels, X is row-major, one word of X is broadcast. Written once, over the
// four policies; everything that differs between formats, numeric types and CPUs is an argument.
//
//   for each load group:   w[j] = decode(load(words))             // j: registers of channels, amortised over the rows
//     for each row r:      x = broadcast(X[r] + k of the group)   // or a permute of the window of X
//       for each j:        acc[r][j] = dot(acc[r][j], w[j], x)

#include <sparq/base/config.hpp>
#include <sparq/base/schedule.hpp>
#include <sparq/kernel/loop/few_rows.hpp>
#include <sparq/simd/rows/atom.hpp>
#include <sparq/simd/rows/positions.hpp>
#include <sparq/tensor/packed.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace sparq {
SPARQ_ABI_BEGIN

/// The weights of one block: some registers of channels of one panel.
struct block_weights {
  const std::uint32_t* words = nullptr;     // first channel of the block, first load group
  const std::uint32_t* widened = nullptr;   // the same, widened for blocks of many rows; null: they are not
  std::size_t strip_words = 0;              // from one strip to the next
  const index_t* addresses = nullptr;       // runs: first k of every group
  const std::uint8_t* selects = nullptr;    // N:M patterns: positions of the first group
  std::size_t strip_selects = 0;            // from one strip to the next
  std::size_t groups = 0;
  std::size_t ahead = 0;                    // words to the next block, which is asked for in time; 0: it is not
  std::size_t selects_ahead = 0;            // positions to those of the next block
  bool is_decoded = false;                  // narrow words are bytes by now
  machine::asked asks = {};                 // what tall blocks ask for

  /// The words from another channel of the block on, in strips of `channels`.
  block_weights from(std::size_t channel, std::size_t channels) const {
    block_weights part = *this;
    part.words += channel / channels * strip_words + channel % channels;
    return part;
  }
};

namespace machine {

template <std::size_t... I, class F>
SPARQ_INLINE void for_constants(std::index_sequence<I...>, F&& f) {
  (f(std::integral_constant<std::size_t, I>{}), ...);
}

/// How one instance of the loop reads X.
template <class Atom, class KMap, class RowSelect>
struct x_reader {
  using window = detail::window_of<RowSelect, KMap, Atom::group_k>;
  static constexpr bool is_runs = std::is_same_v<KMap, runs>;
  static constexpr bool is_shared = window::positions_per_group != 0 && !window::is_private;
  static constexpr bool is_private = window::positions_per_group != 0 && window::is_private;
  static_assert(!is_runs || !is_private || joined_groups_v<Atom> == 1,
                "sparq: windows that begin anywhere are not joined; name another atom for them in `windows` of the "
                "list of atoms");
  /// Elements of X that a permute chooses from: two windows where joined groups may lie in different ones.
  static constexpr std::size_t reach = window::window * (window::groups % joined_groups_v<Atom> == 0 ? 1 : 2);

  /// Element of a packed row where group g, or its window, starts.
  static SPARQ_INLINE std::size_t start(const block_weights& w, std::size_t g) {
    if constexpr (is_runs)
      return packed_elements<Atom>(w.addresses[g]);
    else if constexpr (window::positions_per_group != 0)
      return packed_elements<Atom>(g / window::groups * window::window);
    else
      return g * group_elements<Atom>;
  }
  /// What tells selectors and broadcasts which x's belong to group g: the step, or where the group joined to it is.
  template <std::size_t Channels>
  static SPARQ_INLINE auto place([[maybe_unused]] const block_weights& w, [[maybe_unused]] std::size_t g,
                                 std::size_t step) {
    if constexpr (joined_groups_v<Atom> == 1)
      return step;
    else
      return second_group{static_cast<std::ptrdiff_t>(start(w, g + 1) - start(w, g)), Channels};
  }
  template <class Place>
  static SPARQ_INLINE typename Atom::x_word broadcast(const typename Atom::packed_x* x,
                                                      [[maybe_unused]] const Place& place) {
    if constexpr (is_runs && joined_groups_v<Atom> > 1)
      return Atom::broadcast(x, place);
    else
      return Atom::broadcast(x);
  }
};

/// A permute of one chunk of a window; atoms whose packed rows are two planes are told how far apart those are.
template <class Atom, class Selector, class Control>
SPARQ_INLINE auto select_x(const typename Atom::packed_x* x, [[maybe_unused]] std::size_t ldx, const Control& control) {
  if constexpr (in_planes<Atom>)
    return Selector::select(x, ldx / 2, control);
  else
    return Selector::select(x, control);
}

/// Where the span of each of a group's positions starts in their window, four bytes.
template <class Window>
inline constexpr std::uint32_t first_positions = [] {
  std::uint32_t result = 0;
  for (std::size_t i = 0; i < Window::positions_per_group; ++i) {
    const std::size_t span = i / Window::kept;
    if (span < Window::spans) result |= static_cast<std::uint32_t>(span * Window::position_reach) << (8 * i);
  }
  return result;
}();

/// Where register j of a block starts: its strip, and the channel in it.
template <class Atom, class Shape>
struct block_register {
  static_assert(Shape::channels % Atom::lanes == 0,
                "sparq: a strip holds whole registers of channels; choose another panel_shape");
  static constexpr std::size_t strip(std::size_t j) { return j * Atom::lanes / Shape::channels; }
  static constexpr std::size_t lane(std::size_t j) { return j * Atom::lanes % Shape::channels; }
};

/// Words from one turn of the loop to the next: of one load group of a strip, as the atom reads it.
template <class Atom, numeric N, class Shape>
inline constexpr std::size_t turn_words = Shape::channels * words_per_group_v<N, Shape> * words_of_word_v<Atom>;

/// Adds the products of one x and V registers of channels, two at a time where the atom has an order for them.
/// - `Starts`: sums are the products
template <class Atom, bool Starts, std::size_t V, class X>
SPARQ_INLINE void add_row(typename Atom::acc (&sums)[V], const typename Atom::w_word (&words)[V], const X& x) {
  if constexpr (Starts) {
    SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
      sums[j] = Atom::product(words[j], x);
    }
  } else if constexpr (V % 2 == 0 && requires { &Atom::dot_both; }) {
    SPARQ_UNROLL for (std::size_t j = 0; j < V; j += 2) Atom::dot_both(sums[j], sums[j + 1], words[j], words[j + 1], x);
  } else {
    SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) sums[j] = Atom::dot(sums[j], words[j], x);
  }
}

/// Row r of a block, after those before it; `next` is row 0 in the beginning, and a multiple of four later, so that the
/// others need no addition of their own.
template <class X>
SPARQ_INLINE const X* row_in_turn(const X*& next, std::size_t ldx, std::size_t r) {
  if (r != 0 && r % 4 == 0) next += 4 * ldx;
  SPARQ_ROW_IN_TURN(next);
  return next + r % 4 * ldx;
}

/// The body of the loop: R rows of X by V registers of channels.
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
struct block_products {
  using reader = x_reader<Atom, KMap, RowSelect>;
  using loader = typename Atom::template loader<N>;
  using block = block_register<Atom, Shape>;
  using packed_x = typename Atom::packed_x;
  using sums = typename Atom::acc[R][V];
  using registers = typename Atom::w_word[V];
  static constexpr bool permutes = reader::is_shared || reader::is_private;
  static constexpr std::size_t steps = Atom::steps, step_elements = group_elements<Atom> / steps;
  /// Groups that share a word, and turns in which they are added.
  static constexpr std::size_t loaded = loader::groups, turns = loaded / joined_groups_v<Atom>;
  static constexpr bool in_turn = rows_in_turn_v<Atom> && R * V > 4;
  /// The first products of a part are its sums. Rows of tall blocks then find each other by an addition: x's that come
  /// one after the other take 3 % less time.
  static constexpr bool starts_with_products = in_turn && !permutes && starts_with_products_v<Atom>;
  static constexpr bool adds_distances = starts_with_products && R * V > 8;
  static constexpr bool row_by_row = SPARQ_HAS_AVX512 && Atom::lanes == 16 && R * V > 8;
  /// Groups whose positions share bytes.
  static constexpr std::size_t shared = reader::window::groups_per_byte;
  /// Lines of words, and of positions that share bytes, are asked for in their own strips, and at the ends of strips
  /// for the next ones: of four strips, or where blocks are so tall that two suffice.
  static constexpr std::size_t strips = (std::max)(V * Atom::lanes / Shape::channels, std::size_t{1});
  static constexpr bool asks_in_strip =
      SPARQ_HAS_AVX512 && Atom::lanes == 16 && Shape::channels == 16 && words_per_group_v<N, Shape> == 1 &&
      words_of_word_v<Atom> == 1 && !reader::is_runs && (reader::is_private ? shared > 1 : strips >= 4 || R > 5) &&
      !requires { Atom::asks_ahead; };
  using positions = shared_positions<8 / shared, Atom::lanes * Atom::group_k,
                                     first_positions<typename reader::window>>[reader::is_private ? V : 1];

  static SPARQ_INLINE const std::uint32_t* words_of(const block_weights& w, const std::uint32_t* words, std::size_t j) {
    return words + block::strip(j) * w.strip_words + block::lane(j);
  }
  /// Positions of group g, or of the groups that share bytes with it.
  static SPARQ_INLINE const std::uint8_t* selects_of(const block_weights& w, std::size_t g, std::size_t j) {
    return w.selects + block::strip(j) * w.strip_selects +
           (g / shared * Shape::channels + block::lane(j)) * Atom::group_k;
  }

  /// Asks for what the next block reads at the turn that starts with group g, or this one later.
  static SPARQ_INLINE void ask_ahead(const block_weights& w, const std::uint32_t* words, std::size_t g) {
    if constexpr (fetches_ahead<Atom, N, R, reader::is_private>) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j)
        if (block::lane(j) == 0)
          for (std::size_t line = 0; line < words_per_group_v<N, Shape>; ++line) {
            if constexpr (asks_in_strip)
              fetch_ahead(words + block::strip(j) * w.strip_words,
                          16 * strip_lines_ahead(strips, g / loaded, w.strip_words / 16));
            else if constexpr (requires { Atom::strip_ahead; })
              fetch_ahead(words + block::strip(j) * w.strip_words + line * Shape::channels,
                          Atom::strip_ahead / sizeof *words);
            else if constexpr (reader::is_private)
              fetch_ahead(words + block::strip(j) * w.strip_words + line * Shape::channels, w.ahead);
            else
              fetch_ahead(
                  w.words + block::strip(j) * w.strip_words + line * Shape::channels,
                  w.ahead + spread_turn(g / loaded, w.groups / loaded) * Shape::channels * words_per_group_v<N, Shape>);
          }
    }
    if constexpr (reader::is_private && shared == 1 && fetches_ahead<Atom, N, R, true>) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j)
        if (block::lane(j) == 0) fetch_ahead(selects_of(w, g, j), w.selects_ahead);
    }
  }

  /// One row: all x's of the groups from g on stay in registers, and every word is loaded once.
  static SPARQ_INLINE void add_held(sums& acc, const packed_x* x, const block_weights& w, const std::uint32_t* words,
                                    std::size_t g) {
    typename Atom::x_word xs[turns * steps];
    SPARQ_UNROLL for (std::size_t i = 0; i < turns * steps; ++i) {
      const std::size_t group = g + group_of_turn<Atom>(i / steps, loaded), step = i % steps;
      xs[i] = reader::broadcast(x + reader::start(w, group) + step * step_elements,
                                reader::template place<Shape::channels>(w, group, step));
    }
    SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
      const typename loader::raw raw = loader::load(words_of(w, words, j));
      for_constants(std::make_index_sequence<turns * steps>{}, [&](auto i) SPARQ_LAMBDA_INLINE {
        constexpr std::size_t at = decltype(i)::value;
        constexpr std::size_t step = group_of_turn<Atom>(at / steps, loaded) * steps + at % steps;
        acc[0][j] = Atom::dot(acc[0][j], loader::template decode<step>(raw), xs[at]);
      });
    }
  }

  /// Narrow positions of group g and those that share bytes with it.
  static SPARQ_INLINE void read_positions(const block_weights& w, std::size_t g, positions& read) {
    SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
      const std::uint8_t* selects = selects_of(w, g, j);
      if constexpr (fetches_ahead<Atom, N, R, true>)
        if (block::lane(j) == 0)
          fetch_ahead(selects, asks_in_strip ? 64 * strip_lines_ahead(strips, g / shared, w.strip_selects / 64)
                                             : w.selects_ahead);
      read[j].read(selects, g % shared);
    }
  }

  /// The registers of channels of a row permute one window, which is loaded once.
  template <class Selector>
  static constexpr bool shares_window =
      reader::is_private && V > 1 && Selector::chunks == 1 && requires { &Selector::permute; };

  /// One step of group g, whose x's are permuted. - `x`: of the first row, where the group's window starts
  template <class Place>
  static SPARQ_INLINE void add_permuted(sums& acc, const packed_x* x, std::size_t ldx, const block_weights& w,
                                        std::size_t g, const Place& place, [[maybe_unused]] positions& read,
                                        const registers& word) {
    using selector = typename Atom::template selector<reader::reach>;
    constexpr std::size_t controls = reader::is_private ? V : 1;
    decltype(selector::make(w.selects, place, 0)) control[controls][selector::chunks];
    SPARQ_UNROLL for (std::size_t j = 0; j < controls; ++j) {
      SPARQ_UNROLL for (std::size_t c = 0; c < selector::chunks; ++c) {
        if constexpr (reader::is_private && shared > 1)
          control[j][c] = read[j].template control<selector>(g % shared, place, c);
        else if constexpr (reader::is_private)
          control[j][c] = selector::make(selects_of(w, g, j), place, c);
        else
          control[j][c] = selector::make_shared(w.selects + g * Atom::group_k, place, c);
      }
    }
    constexpr bool one_by_one = row_by_row && (joined_groups_v<Atom> == 1 || !reader::is_private);
    [[maybe_unused]] const packed_x* next = x;
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      const packed_x* row = one_by_one ? row_in_turn(next, ldx, r) : x + r * ldx;
      if constexpr (shares_window<selector>) {
        auto window = selector::load(row);
        SPARQ_KEEP_ORDER(window);  // else it is an operand of every permute, and loads across lines are slow
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j)
          acc[r][j] = Atom::dot(acc[r][j], word[j], selector::permute(window, control[j][0]));
      } else SPARQ_UNROLL for (std::size_t j = 0; j < controls; ++j) {
        auto xs = select_x<Atom, selector>(row, ldx, control[j][0]);
        SPARQ_UNROLL for (std::size_t c = 1; c < selector::chunks; ++c) {
          if constexpr (selector::chunks > 1)
            xs = selector::combine(xs, select_x<Atom, selector>(row + c * selector::chunk, ldx, control[j][c]));
        }
        if constexpr (reader::is_private) {
          acc[r][j] = Atom::dot(acc[r][j], word[j], xs);
        } else {
          SPARQ_UNROLL for (std::size_t i = 0; i < V; ++i) acc[r][i] = Atom::dot(acc[r][i], word[i], xs);
        }
      }
    }
  }

  /// Step Step of a group, whose x's are broadcast. - `x`: of the first row, at the step
  template <std::size_t Step, bool Starts, class Place>
  static SPARQ_INLINE void add_broadcast(sums& acc, const packed_x* x, std::size_t ldx, const block_weights& w,
                                         const Place& place, [[maybe_unused]] const std::uint32_t*& words,
                                         const registers& word) {
    [[maybe_unused]] const packed_x* next = x;
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      if constexpr (adds_distances) {
        if (r != 0) next += ldx;
        SPARQ_LOAD_AGAIN(next);
      }
      const packed_x* row = row_by_row ? row_in_turn(next, ldx, r) : adds_distances ? next : x + r * ldx;
      typename Atom::x_word xs = reader::broadcast(row, place);
      if constexpr (in_turn)
        if (r != 0) SPARQ_KEEP_TURN(acc[r - 1][V - 1], xs);
      if constexpr (in_turn && reloads_words_v<Atom>) {
        SPARQ_LOAD_AGAIN(words);
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j)
          acc[r][j] = Atom::dot(acc[r][j], loader::template decode<Step>(loader::load(words_of(w, words, j))), xs);
      } else {
        add_row<Atom, Starts>(acc[r], word, xs);
      }
    }
  }
};

/// Adds the products of groups [first, end) to R x V accumulators.
/// - `words`: those of group `first`
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_INLINE void add_groups(typename Atom::acc (&acc)[R][V], const typename Atom::packed_x* x, std::size_t ldx,
                             const block_weights& w, const std::uint32_t* words, std::size_t first_group,
                             std::size_t end) {
  using products = block_products<Atom, N, Shape, KMap, RowSelect, R, V>;
  using reader = typename products::reader;
  using loader = typename products::loader;
  constexpr std::size_t steps = products::steps;
  [[maybe_unused]] typename products::positions read;
  [[maybe_unused]] const while_adding_t<Atom> scope;
  const auto add_word = [&](std::size_t g0, auto starts) SPARQ_LAMBDA_INLINE {
    products::ask_ahead(w, words, g0);
    if constexpr (holds_x<Atom, N, R, V, products::permutes>) {
      products::add_held(acc, x, w, words, g0);
    } else for_constants(std::make_index_sequence<products::turns>{}, [&](auto turn) SPARQ_LAMBDA_INLINE {
      constexpr std::size_t group = group_of_turn<Atom>(decltype(turn)::value, products::loaded);
      const std::size_t g = g0 + group;
      const typename Atom::packed_x* at = x + reader::start(w, g);
      if constexpr (reader::is_private && products::shared > 1)
        if (g % products::shared == 0 || g == first_group) products::read_positions(w, g, read);
      for_constants(std::make_index_sequence<steps>{}, [&](auto step) SPARQ_LAMBDA_INLINE {
        typename Atom::w_word word[V];
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j)
          word[j] = loader::template decode<group * steps + step>(loader::load(products::words_of(w, words, j)));
        constexpr bool is_first = decltype(starts)::value && turn == 0 && step == 0;
        if constexpr (products::in_turn) {  // by itself: where it is false, sums are no registers that clang takes
          if constexpr (is_first)
            SPARQ_LOAD_AGAIN(words);
          else
            SPARQ_LOAD_AFTER(acc[R - 1][V - 1], words);
        } else if constexpr (R * V > 4) {  // few sums leave registers to the words
          SPARQ_LOAD_AGAIN(words);
        }
        const auto place = reader::template place<Shape::channels>(w, g, step);
        if constexpr (products::permutes)
          products::add_permuted(acc, at, ldx, w, g, place, read, word);
        else
          products::template add_broadcast<group * steps + step, is_first>(acc, at + step * products::step_elements,
                                                                           ldx, w, place, words, word);
      });
      if constexpr (reader::is_private && products::shared > 1)
        SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) read[j].next();
    });
    words += turn_words<Atom, N, Shape>;
  };
  if constexpr (products::starts_with_products) {
    add_word(first_group, std::true_type{});
    first_group += products::loaded;
  }
  SPARQ_KEEP_LOOP for (std::size_t g0 = first_group; g0 < end; g0 += products::loaded) add_word(g0, std::false_type{});
}

}  // namespace machine

/// Multiplies R rows of X by V registers of channels and stores the sums.
/// - `x`: R packed rows, `ldx` elements apart (the atom's pack_row)
/// - `tile`: R x (V * lanes) accumulators, `ldt` elements apart, overwritten
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t R, std::size_t V>
SPARQ_APART void rows_block(const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                            typename Atom::acc_type* tile, std::size_t ldt) noexcept {
  SPARQ_ALIGN_FRAME;
  constexpr std::size_t loaded = Atom::template loader<N>::groups;
  constexpr bool in_parts = machine::groups_at_once<Atom> != 0;
  if constexpr (machine::block_products<Atom, N, Shape, KMap, RowSelect, R, V>::starts_with_products)
    if (w.groups == 0) {
      for (std::size_t r = 0; r < R; ++r) std::fill_n(tile + r * ldt, V * Atom::lanes, typename Atom::acc_type{});
      return;
    }
  std::size_t first = 0;
  do {  // one part of the groups after the other; most atoms take all of them at once
    const std::size_t end = machine::end_of_part<Atom, loaded>(first, w.groups);
    typename Atom::acc acc[R][V];                                                          // ((rows), (registers))
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) acc[r][j] = Atom::zero();
    }
    const std::uint32_t* words = w.words + first / loaded * machine::turn_words<Atom, N, Shape>;
    machine::add_groups<Atom, N, Shape, KMap, RowSelect, R, V>(acc, x, ldx, w, words, first, end);
    SPARQ_UNROLL for (std::size_t r = 0; r < R; ++r) {
      SPARQ_UNROLL for (std::size_t j = 0; j < V; ++j) {
        auto* to = tile + r * ldt + j * Atom::lanes;
        if constexpr (in_parts) {
          if (first != 0)
            Atom::add(to, acc[r][j]);
          else
            Atom::store(to, acc[r][j]);
        } else {
          Atom::store(to, acc[r][j]);
        }
      }
    }
    first = end;
  } while (in_parts && first < w.groups);
}

namespace machine {

/// Block heights that are compiled, as far as an atom has registers for them; the loop covers any m.
using block_heights = std::index_sequence<12, 8, 6, 5, 4, 3, 2, 1>;

}  // namespace machine

/// The height of the next block when `rows` are left: the most that fits, but never so that a single row remains, which
/// would stream all weights for one row, nor two behind a tall block: 8 rows are 4 and 4, which beats 5 and 3, too.
template <class Atom>
constexpr std::size_t next_block_height(std::size_t rows) {
  return [&]<std::size_t... H>(std::index_sequence<H...>) {
    constexpr std::size_t tallest = (std::max)({(H <= Atom::block_rows ? H : std::size_t{1})...});
    if (rows >= tallest + 4) return tallest;  // all but the last two blocks
    std::size_t height = 1;
    const auto leaves_few = [rows](std::size_t h) {
      return rows - h == 1 || (h > 4 && rows - h == 2) || (h == 5 && rows - h == 3);
    };
    ((height = H <= Atom::block_rows && H <= rows && !leaves_few(H) && H > height ? H : height), ...);
    return height;
  }(machine::block_heights{});
}

namespace machine {

/// f(constant) for the height that is known at run time. @pre rows is one of next_block_height's values
template <class Atom, class F>
SPARQ_INLINE void for_block_height(std::size_t rows, F&& f) {
  const auto runs = [&, rows](auto height) SPARQ_LAMBDA_INLINE {
    if constexpr (height <= Atom::block_rows) {
      if (rows != height) return false;
      f(height);
      return true;
    } else {
      return false;
    }
  };
  [&]<std::size_t... H>(std::index_sequence<H...>) SPARQ_LAMBDA_INLINE {
    static_cast<void>((runs(std::integral_constant<std::size_t, H>{}) || ...));
  }(block_heights{});
}

}  // namespace machine

/// rows_block for a height that is known at run time. @pre rows is one of next_block_height's values
template <class Atom, numeric N, class Shape, class KMap, class RowSelect, std::size_t V>
void rows_block(std::size_t rows, const typename Atom::packed_x* x, std::size_t ldx, const block_weights& w,
                typename Atom::acc_type* tile, std::size_t ldt) noexcept {
  machine::for_block_height<Atom>(rows, [&](auto height) SPARQ_LAMBDA_INLINE {
    rows_block<Atom, N, Shape, KMap, RowSelect, height, V>(x, ldx, w, tile, ldt);
  });
}

SPARQ_ABI_END
}  // namespace sparq
