// SPDX-License-Identifier: MIT
#pragma once
// The properties that every format has to have, for a test of your own format, in any test framework:
//
//     const sparq::status s = sparq::check_format<my_format>(seed);
//     if (!s.ok()) std::puts(s.message().c_str());
//
// Many shapes (nothing, one, ragged ends) meet many masks (none, all, one element, stripes, random, as full as the
// format allows) and, where the matrix is small, many damaged index arrays. Run it under a sanitizer too: it cannot see
// reads beyond an array that a damaged index causes.

#include <sparq/format/format.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace sparq {

namespace detail {
template <format F>
class format_checker;
}

/// Whether F is what kernels and tensors rely on; the first failure with shape, mask and seed.
/// - from_mask makes a valid index that visits every kept element, or refuses with a reason; it can always keep nothing
/// - panels tile the channels in order; slots, channels and k's are in range; no slot and no element is visited twice
/// - what is visited keeps the N:M pattern that the policies promise; pack refuses what does not
/// - a view visits what its index visits
/// - validate refuses a damaged index, unless it still leads nowhere out of range
/// Another seed, other masks.
template <format F>
status check_format(std::uint64_t seed) {
  return detail::format_checker<F>(seed).run();
}

namespace detail {

/// The matrices that a format is tried on.
class format_cases {
 public:
  explicit format_cases(std::uint64_t seed) : random_(seed) {}

  struct named_mask {
    std::string name;
    mask keep;
  };

  std::uint64_t number() { return random_(); }
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }

  /// Channels around the multiples of a panel, k's around the sizes that groups, runs and words have.
  std::vector<weight_shape> shapes(std::size_t panel_channels) {
    const std::size_t panel = (std::max)(std::size_t{1}, panel_channels);
    std::vector<weight_shape> result;
    for (const std::size_t n :
         std::set<std::size_t>{0, 1, 2, 3, panel - 1, panel, panel + 1, 2 * panel + 1, 1 + below(70)})
      for (const std::size_t k :
           {0U, 1U, 2U, 3U, 4U, 5U, 7U, 8U, 9U, 15U, 16U, 17U, 31U, 32U, 33U, 63U, 64U, 65U, 130U})
        result.push_back({n, k});
    return result;
  }

  std::vector<named_mask> masks(weight_shape shape) {
    enum kind { nothing, everything, last_element, last_channel, last_k, odd_channels, diagonal, random };
    std::vector<named_mask> result;
    const auto add = [&](const std::string& name, kind keeps, std::size_t percent) {
      mask keep(shape, false);
      for (std::size_t n = 0; n < shape.n; ++n)
        for (std::size_t k = 0; k < shape.k; ++k) {
          const bool in_last_channel = n + 1 == shape.n;
          const bool in_last_k = k + 1 == shape.k;
          keep.set(n, k,
                   keeps == everything || (keeps == last_element && in_last_channel && in_last_k) ||
                       (keeps == last_channel && in_last_channel) || (keeps == last_k && in_last_k) ||
                       (keeps == odd_channels && n % 2 == 1) || (keeps == diagonal && n % 7 == k % 7) ||
                       (keeps == random && below(100) < percent));
        }
      result.push_back({name, std::move(keep)});
    };
    add("nothing", nothing, 0);
    if (shape.size() == 0) return result;
    add("everything", everything, 0);
    add("the last element", last_element, 0);
    add("the last channel", last_channel, 0);
    add("the last k", last_k, 0);
    add("every other channel", odd_channels, 0);
    add("a diagonal", diagonal, 0);
    for (const std::size_t percent : {3U, 20U, 50U, 90U})
      add("random, " + std::to_string(percent) + " %", random, percent);
    return result;
  }

  /// All elements of a matrix in random order.
  std::vector<std::size_t> shuffled(std::size_t size) {
    std::vector<std::size_t> order(size);
    for (std::size_t i = 0; i < size; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
    return order;
  }

 private:
  std::mt19937_64 random_;
};

/// What an index visits, and the first visit that is wrong.
class visit_record {
 public:
  visit_record(weight_shape shape, std::size_t slots)
      : shape_(shape), slots_(slots), visited_(shape.size(), 0), used_((std::min)(slots, 2 * shape.size() + 4096), 0) {}

  bool ok() const { return result_.ok(); }

  void begin_panel(std::size_t p, channel_range range) {
    panel_ = p;
    range_ = range;
    if (range.first != next_channel_ || range.count == 0 || range.count > shape_.n - next_channel_)
      result_ = status::failure("panel " + std::to_string(p) + " covers " + std::to_string(range.count) +
                                " channels from " + std::to_string(range.first) + " on; channel " +
                                std::to_string(next_channel_) + " comes next, of " + std::to_string(shape_.n));
    next_channel_ += range.count;
  }

  void visit(std::size_t slot, std::size_t n, std::size_t k) {
    if (!ok()) return;
    if (slot >= slots_) return refuse(slot, " of " + std::to_string(slots_));
    if (n < range_.first || n >= next_channel_) return refuse(slot, " holds channel " + std::to_string(n));
    if (k >= shape_.k) return refuse(slot, " holds k " + std::to_string(k) + " of " + std::to_string(shape_.k));
    std::uint8_t& visited = visited_[n * shape_.k + k];
    if (visited != 0) return refuse(slot, " holds " + position_text(n, k) + " a second time");
    visited = 1;
    if (slot < used_.size() ? used_[slot]++ != 0 : !far_used_.insert(slot).second)
      refuse(slot, " is visited a second time");
  }

  status end() const {
    if (ok() && next_channel_ != shape_.n)
      return status::failure("panels end at channel " + std::to_string(next_channel_) + " of " +
                             std::to_string(shape_.n));
    return result_;
  }

  /// One byte for every element. @pre end() is ok
  const std::vector<std::uint8_t>& visited() const { return visited_; }

 private:
  void refuse(std::size_t slot, const std::string& what) {
    result_ = status::failure("panel " + std::to_string(panel_) + ": slot " + std::to_string(slot) + what);
  }

  weight_shape shape_;
  std::size_t slots_;
  std::vector<std::uint8_t> visited_;
  std::vector<std::uint8_t> used_;
  std::set<std::size_t> far_used_;  // an index may have many more slots than elements
  std::size_t panel_ = 0;
  channel_range range_;
  std::size_t next_channel_ = 0;
  status result_;
};

template <class Index>
visit_record record_visits(const Index& index) {
  visit_record record(index.shape, index.slots());
  const std::size_t panels = index.panels();
  for (std::size_t p = 0; p < panels && record.ok(); ++p) {
    record.begin_panel(p, index.panel(p));
    if (!record.ok()) break;
    index.for_each_slot(p, [&](std::size_t slot, std::size_t n, std::size_t k) { record.visit(slot, n, k); });
  }
  return record;
}

/// The N:M pattern that a policy promises; of 0 k's: none.
template <class Policy>
struct promised_pattern {
  static constexpr std::size_t kept = 0, of = 0;
};
template <std::size_t N, std::size_t M>
struct promised_pattern<n_m_select<N, M>> {
  static constexpr std::size_t kept = N, of = M;
};
template <std::size_t N, std::size_t M>
struct promised_pattern<n_m_shared<N, M>> : promised_pattern<n_m_select<N, M>> {};

/// Whether every channel of a panel (n_m_select), or all of them together (n_m_shared), use at most N of every M k's.
/// Where a panel lists its k's, the pattern counts along the list. @pre the visits are in range
template <format F, class Index>
status check_pattern(const Index& index) {
  constexpr bool is_private = promised_pattern<typename F::row_select>::of != 0;
  using pattern = promised_pattern<std::conditional_t<is_private, typename F::row_select, typename F::k_map>>;
  status result;
  if constexpr (pattern::of != 0)
    for (std::size_t p = 0; p < index.panels() && result.ok(); ++p) {
      std::vector<std::size_t> place(index.shape.k);
      for (std::size_t k = 0; k < place.size(); ++k) place[k] = k;
      if constexpr (requires { index.k_of(p); }) {
        std::size_t next = 0;
        for (const std::size_t k : index.k_of(p)) {
          if (k >= place.size())
            return status::failure("panel " + std::to_string(p) + " lists k " + std::to_string(k) + " of " +
                                   std::to_string(place.size()));
          place[k] = next++;
        }
      }
      std::set<std::pair<std::size_t, std::size_t>> used;
      std::map<std::pair<std::size_t, std::size_t>, std::size_t> used_of_group;
      index.for_each_slot(p, [&](std::size_t, std::size_t n, std::size_t k) {
        const std::size_t channel = is_private ? n : 0;
        if (!result.ok() || !used.insert({channel, k}).second) return;
        if (++used_of_group[{channel, place[k] / pattern::of}] > pattern::kept)
          result = status::failure("panel " + std::to_string(p) + ": " + position_text(n, k) + " is more than " +
                                   std::to_string(pattern::kept) + " of " + std::to_string(pattern::of) +
                                   " k's, which " + (is_private ? "row_select promises for each channel"
                                                                : "k_map promises for all channels of a panel"));
      });
    }
  return result;
}

template <format F>
class format_checker {
 public:
  using index_type = typename F::template index<owned>;

  explicit format_checker(std::uint64_t seed) : seed_(seed), cases_(seed) {}

  status run() {
    const expected<index_type> probe = F::from_mask(mask({130, 5}));
    for (const weight_shape shape : cases_.shapes(probe.ok() && probe->panels() != 0 ? probe->panel(0).count : 8)) {
      auto masks = cases_.masks(shape);
      if (shape.size() <= 300) masks.push_back({"as full as the format allows", fullest(shape)});
      for (const auto& [name, keep] : masks)
        if (status s = check(keep); !s.ok())
          return wrong("check_format<" + F::name() + ">: shape " + to_string(shape) + ", mask \"" + name + "\", seed " +
                       std::to_string(seed_) + ": " + s.message());
    }
    return {};
  }

 private:
  static status wrong(const std::string& what) { return status::failure(what); }

  /// Elements in random order, each of them kept if the format can hold it together with those before.
  mask fullest(weight_shape shape) {
    mask keep(shape, false);
    for (const std::size_t i : cases_.shuffled(shape.size())) {
      keep.data()[i] = 1;
      if (!conforms<F>(keep).ok()) keep.data()[i] = 0;
    }
    return keep;
  }

  status check(const mask& keep) {
    const expected<index_type> index = F::from_mask(keep);
    if (!index.ok()) {
      if (index.error().message().empty()) return wrong("from_mask refuses without a message");
      return keep.kept() == 0 ? wrong("from_mask refuses to keep nothing: " + index.error().message()) : status{};
    }
    if (!(index->shape == keep.shape())) return wrong("the index has the shape " + to_string(index->shape));
    if (status s = index->validate(); !s.ok()) return wrong("validate refuses what from_mask made: " + s.message());
    const visit_record record = record_visits(*index);
    if (status s = record.end(); !s.ok()) return s;
    for (std::size_t n = 0; n < keep.shape().n; ++n)
      for (std::size_t k = 0; k < keep.shape().k; ++k)
        if (keep(n, k) && record.visited()[n * keep.shape().k + k] == 0)
          return wrong(position_text(n, k) + " is kept but has no slot");

    if (status s = check_pattern<F>(*index); !s.ok()) return s;

    const auto view = view_of<F>(*index);
    if (status s = view.validate(); !s.ok()) return wrong("validate refuses a view: " + s.message());
    const visit_record record_of_view = record_visits(view);
    if (!record_of_view.end().ok() || view.slots() != index->slots() || record_of_view.visited() != record.visited())
      return wrong("a view differs from its index");
    return keep.shape().size() <= 600 ? check_damage(*index) : status{};
  }

  // ---- damage: refused, or it leads nowhere out of range -----------------------------------------------------------

  status check_damage(const index_type& index) {
    const auto [n, k] = index.shape;
    constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();
    index_type damaged = index;
    for (const weight_shape shape : {weight_shape{huge, huge}, weight_shape{huge, 1}, weight_shape{1, huge}}) {
      damaged.shape = shape;
      if (damaged.validate().ok()) return wrong("validate accepts a matrix of " + to_string(shape));
    }
    for (const weight_shape shape :
         {weight_shape{n + 1, k}, weight_shape{n - 1, k}, weight_shape{n, k + 1}, weight_shape{n, k - 1}}) {
      damaged.shape = shape;
      if (status s = check_damaged(damaged); !s.ok())
        return wrong("as a matrix of " + to_string(shape) + ": " + s.message());
    }
    return check_arrays(index, std::make_index_sequence<std::tuple_size_v<decltype(index.arrays())>>{});
  }

  template <std::size_t... A>
  status check_arrays(const index_type& index, std::index_sequence<A...>) {
    status result;
    static_cast<void>(((result = check_array<A>(index)).ok() && ...));
    return result;
  }

  template <std::size_t A>
  status check_array(const index_type& index) {
    const auto& array = std::get<A>(index.arrays());
    using array_type = std::remove_cvref_t<decltype(array)>;
    using value = typename array_type::value_type;
    const auto check_with = [&](array_type damaged_array, const std::string& what) {
      index_type damaged = index;
      std::get<A>(damaged.arrays()) = std::move(damaged_array);
      const status s = check_damaged(damaged);
      return s.ok() ? s : wrong("index array " + std::to_string(A) + ", " + what + ": " + s.message());
    };

    array_type longer = array;
    longer.push_back(array.empty() ? value{} : array.back());
    if (status s = check_with(longer, "one more"); !s.ok()) return s;
    if (status s = check_with({}, "emptied"); !s.ok() || array.empty()) return s;
    if (status s = check_with({array.begin(), array.end() - 1}, "one less"); !s.ok()) return s;
    const std::size_t size = array.size();
    for (const std::size_t at : {std::size_t{0}, size / 2, size - 1, cases_.below(size), cases_.below(size)})
      for (const value to :
           {value{}, static_cast<value>(array[at] + 1), static_cast<value>(array[at] - 1),
            (std::numeric_limits<value>::max)(), static_cast<value>(cases_.number()), array[cases_.below(size)]}) {
        array_type changed = array;
        changed[at] = to;
        if (status s = check_with(changed, "[" + std::to_string(at) + "] = " + std::to_string(to)); !s.ok()) return s;
      }
    return {};
  }

  static status check_damaged(const index_type& damaged) {
    if (!damaged.validate().ok()) return {};
    const status s = record_visits(damaged).end();
    return s.ok() ? check_pattern<F>(damaged) : s;
  }

  std::uint64_t seed_;
  format_cases cases_;
};

}  // namespace detail

}  // namespace sparq
