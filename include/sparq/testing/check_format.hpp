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
#include <limits>
#include <random>
#include <set>

namespace sparq {

namespace detail {

/// All that check_format asks of one format.
template <format F>
class format_checker {
 public:
  using index_type = typename F::template index<owned>;

  explicit format_checker(std::uint64_t seed) : seed_(seed), random_(seed) {}

  status run() {
    for (const weight_shape shape : shapes())
      for (const auto& [name, keep] : masks(shape)) {
        status s = check_mask(keep);
        if (s.ok() && shape.size() <= 600) s = check_damage(keep);
        if (!s.ok())
          return status::failure("check_format<" + F::name() + ">: shape " + to_string(shape) + ", mask \"" + name +
                                 "\", seed " + std::to_string(seed_) + ": " + s.message());
      }
    return {};
  }

 private:
  struct named_mask {
    std::string name;
    mask keep;
  };

  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }

  /// Channels around the multiples of a panel, k's around the sizes that groups, runs and words have.
  std::vector<weight_shape> shapes() {
    std::size_t panel = 8;
    if (const auto probe = F::from_mask(mask({67, 5})); probe.ok() && probe->panels() != 0)
      panel = probe->panel(0).count;
    std::set<std::size_t> channels = {0, 1, 2, 3, panel - 1, panel, panel + 1, 2 * panel + 1, 1 + below(70)};
    std::vector<weight_shape> result;
    for (const std::size_t n : channels)
      for (const std::size_t k :
           {0U, 1U, 2U, 3U, 4U, 5U, 7U, 8U, 9U, 15U, 16U, 17U, 31U, 32U, 33U, 63U, 64U, 65U, 130U})
        result.push_back({n, k});
    return result;
  }

  std::vector<named_mask> masks(weight_shape shape) {
    std::vector<named_mask> result;
    const auto add = [&](const std::string& name, auto&& keeps) {
      mask keep(shape, false);
      for (std::size_t n = 0; n < shape.n; ++n)
        for (std::size_t k = 0; k < shape.k; ++k) keep.set(n, k, keeps(n, k));
      result.push_back({name, std::move(keep)});
    };
    add("nothing", [](std::size_t, std::size_t) { return false; });
    if (shape.size() == 0) return result;
    add("everything", [](std::size_t, std::size_t) { return true; });
    add("the last element", [&](std::size_t n, std::size_t k) { return n + 1 == shape.n && k + 1 == shape.k; });
    add("the last channel", [&](std::size_t n, std::size_t) { return n + 1 == shape.n; });
    add("the last k", [&](std::size_t, std::size_t k) { return k + 1 == shape.k; });
    add("every other channel", [](std::size_t n, std::size_t) { return n % 2 == 1; });
    add("a diagonal", [](std::size_t n, std::size_t k) { return n % 7 == k % 7; });
    for (const std::size_t percent : {3U, 20U, 50U, 90U})
      add("random, " + std::to_string(percent) + " %", [&](std::size_t, std::size_t) { return below(100) < percent; });
    if (shape.size() <= 300) result.push_back({"as full as the format allows", fullest(shape)});
    return result;
  }

  /// Elements in random order, each of them kept if the format can hold it together with those before.
  mask fullest(weight_shape shape) {
    std::vector<std::size_t> order(shape.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
    mask keep(shape, false);
    for (const std::size_t i : order) {
      keep.data()[i] = 1;
      if (!conforms<F>(keep).ok()) keep.data()[i] = 0;
    }
    return keep;
  }

  static status wrong(const std::string& what) { return status::failure(what); }

  /// A mask gives an index that stores it, or a reason.
  static status check_mask(const mask& keep) {
    const expected<index_type> index = F::from_mask(keep);
    if (conforms<F>(keep).ok() != index.ok()) return wrong("conforms and from_mask disagree");
    if (!index.ok()) {
      if (index.error().message().empty()) return wrong("from_mask refuses without a message");
      return keep.kept() == 0 ? wrong("from_mask refuses to keep nothing: " + index.error().message()) : status{};
    }
    if (!(index->shape == keep.shape())) return wrong("the index has the shape " + to_string(index->shape));
    if (status s = index->validate(); !s.ok()) return wrong("validate refuses what from_mask made: " + s.message());
    std::vector<std::uint8_t> visited;
    if (status s = check_visits(*index, visited); !s.ok()) return s;
    for (std::size_t n = 0; n < keep.shape().n; ++n)
      for (std::size_t k = 0; k < keep.shape().k; ++k)
        if (keep(n, k) && visited[n * keep.shape().k + k] == 0)
          return wrong(position_text(n, k) + " is kept but has no slot");

    const auto view = view_of<F>(*index);
    std::vector<std::uint8_t> visited_by_view;
    if (status s = view.validate(); !s.ok()) return wrong("validate refuses a view: " + s.message());
    if (status s = check_visits(view, visited_by_view); !s.ok()) return s;
    return view.slots() == index->slots() && visited_by_view == visited ? status{}
                                                                        : wrong("a view differs from its index");
  }

  /// Panels tile the channels; slots, channels and k's are in range; no slot and no element comes twice.
  /// - `visited`: set to one byte for every element
  template <class Index>
  static status check_visits(const Index& index, std::vector<std::uint8_t>& visited) {
    const weight_shape shape = index.shape;
    const std::size_t slots = index.slots();
    visited.assign(shape.size(), 0);
    std::set<std::size_t> far_slots;  // an index may have many more slots than elements
    std::vector<std::uint8_t> used((std::min)(slots, 2 * shape.size() + 4096), 0);
    std::size_t next_channel = 0;
    status result;
    for (std::size_t p = 0; p < index.panels() && result.ok(); ++p) {
      const channel_range range = index.panel(p);
      const std::string here = "panel " + std::to_string(p);
      if (range.first != next_channel || range.count == 0 || range.count > shape.n - next_channel)
        return wrong(here + " covers " + std::to_string(range.count) + " channels from " + std::to_string(range.first) +
                     " on; channel " + std::to_string(next_channel) + " comes next, of " + std::to_string(shape.n));
      next_channel += range.count;
      index.for_each_slot(p, [&](std::size_t slot, std::size_t n, std::size_t k) {
        if (!result.ok()) return;
        const auto refuse = [&](const std::string& what) {
          result = wrong(here + ": slot " + std::to_string(slot) + what);
        };
        if (slot >= slots)
          refuse(" of " + std::to_string(slots));
        else if (n < range.first || n >= next_channel)
          refuse(" holds channel " + std::to_string(n));
        else if (k >= shape.k)
          refuse(" holds k " + std::to_string(k) + " of " + std::to_string(shape.k));
        else if (visited[n * shape.k + k] != 0)
          refuse(" holds " + position_text(n, k) + " a second time");
        else if (slot < used.size() ? used[slot] != 0 : !far_slots.insert(slot).second)
          refuse(" is visited a second time");
        else
          visited[n * shape.k + k] = 1;
        if (slot < used.size()) used[slot] = 1;
      });
    }
    if (result.ok() && next_channel != shape.n)
      return wrong("panels end at channel " + std::to_string(next_channel) + " of " + std::to_string(shape.n));
    return result;
  }

  // ---- damage -------------------------------------------------------------------------------------------------------

  /// Damaged arrays and shapes are refused, or lead nowhere out of range.
  status check_damage(const mask& keep) {
    const expected<index_type> index = F::from_mask(keep);
    if (!index.ok()) return {};
    constexpr std::size_t huge = std::numeric_limits<std::size_t>::max();
    for (const weight_shape shape : {weight_shape{huge, huge}, weight_shape{huge, 1}, weight_shape{1, huge}}) {
      index_type damaged = *index;
      damaged.shape = shape;
      if (damaged.validate().ok()) return wrong("validate accepts a matrix of " + to_string(shape));
    }
    for (const weight_shape shape :
         {weight_shape{keep.shape().n + 1, keep.shape().k}, weight_shape{keep.shape().n - 1, keep.shape().k},
          weight_shape{keep.shape().n, keep.shape().k + 1}, weight_shape{keep.shape().n, keep.shape().k - 1}}) {
      index_type damaged = *index;
      damaged.shape = shape;
      if (status s = check_damaged(damaged); !s.ok())
        return wrong("as a matrix of " + to_string(shape) + ": " + s.message());
    }
    return [&]<std::size_t... A>(std::index_sequence<A...>) {
      status result;
      static_cast<void>(((result = check_array_damage<A>(*index)).ok() && ...));
      return result;
    }
    (std::make_index_sequence<std::tuple_size_v<decltype(index->arrays())>>{});
  }

  template <std::size_t A>
  status check_array_damage(const index_type& index) {
    using value = typename std::remove_cvref_t<std::tuple_element_t<A, decltype(index.arrays())>>::value_type;
    const auto damage = [&](const std::string& what, auto&& change) {
      index_type damaged = index;
      change(std::get<A>(damaged.arrays()));
      const status s = check_damaged(damaged);
      return s.ok() ? s : wrong("index array " + std::to_string(A) + ", " + what + ": " + s.message());
    };
    const std::size_t size = std::get<A>(index.arrays()).size();
    if (status s = damage("one more", [](auto& array) { array.push_back(array.empty() ? value{} : array.back()); });
        !s.ok())
      return s;
    if (status s = damage("emptied", [](auto& array) { array.clear(); }); !s.ok()) return s;
    if (size == 0) return {};
    if (status s = damage("one less", [](auto& array) { array.pop_back(); }); !s.ok()) return s;
    for (const std::size_t at : {std::size_t{0}, size / 2, size - 1, below(size), below(size)}) {
      const value old = std::get<A>(index.arrays())[at];
      for (const value to :
           {value{}, static_cast<value>(old + 1), static_cast<value>(old - 1), std::numeric_limits<value>::max(),
            static_cast<value>(random_()), std::get<A>(index.arrays())[below(size)]})
        if (status s =
                damage("[" + std::to_string(at) + "] = " + std::to_string(to), [&](auto& array) { array[at] = to; });
            !s.ok())
          return s;
    }
    return {};
  }

  static status check_damaged(const index_type& damaged) {
    if (!damaged.validate().ok()) return {};
    std::vector<std::uint8_t> visited;
    return check_visits(damaged, visited);
  }

  std::uint64_t seed_;
  std::mt19937_64 random_;
};

}  // namespace detail

/// Whether F is what kernels and tensors rely on; the first failure with shape, mask and seed.
/// - from_mask makes a valid index that visits every kept element, or refuses with a reason; it can always keep nothing
/// - panels tile the channels in order; slots, channels and k's are in range; no slot and no element is visited twice
/// - a view visits what its index visits
/// - validate refuses a damaged index, unless it still leads nowhere out of range
/// Takes about a second at most. Another seed, other masks.
template <format F>
status check_format(std::uint64_t seed) {
  return detail::format_checker<F>(seed).run();
}

}  // namespace sparq
