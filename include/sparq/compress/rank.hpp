// SPDX-License-Identifier: MIT
#pragma once
// Which entries of a list rank highest. A threshold would not do: a percentile with `>` drops the lowest entry even at
// sparsity 0, and whole plateaus of equal scores vanish or stay at once. Here the number that is kept is exact, and of
// equal scores the first ones are kept.

#include <array>
#include <bit>
#include <cstdint>

namespace sparq {

namespace detail {
/// |score| as an integer of 31 bits in the same order.
inline std::uint32_t rank_key(float score) { return std::bit_cast<std::uint32_t>(score) & 0x7fffffffU; }
}  // namespace detail

/// Decides for each entry of a list whether it is among the highest. Entries weigh something (1, or the number of
/// elements in a vector); the weight kept comes as close to `target` as it can when the entries are taken from the
/// highest |score| down, but is `at_least` so much if there is as much.
///
///     const rank_selection selection(each, target);     each(f) calls f(score, weight) for all entries, in order
///     each([&](float score, std::uint64_t weight) { keep = selection.keeps(score, weight); });
class rank_selection {
 public:
  /// Calls `each` three times. No memory, O(entries).
  template <class Each>
  rank_selection(Each&& each, std::uint64_t target, std::uint64_t at_least = 0) : target_(target), at_least_(at_least) {
    // The bits of non-negative floats are ordered like the floats: find the digits of the lowest kept score, highest
    // digit first, each by a histogram of the weights of the entries that agree with the digits so far.
    const std::uint64_t wanted = target > at_least ? target : at_least;
    for (const digit d : {digit{20, 11}, digit{10, 10}, digit{0, 10}}) {
      std::array<std::uint64_t, 2048> weight_of{};
      each([&](float score, std::uint64_t weight) {
        const std::uint32_t key = detail::rank_key(score);
        if (key >> (d.shift + d.bits) == lowest_) weight_of[(key >> d.shift) & ((1U << d.bits) - 1)] += weight;
      });
      std::uint32_t value = (1U << d.bits) - 1;
      while (value != 0 && taken_ + weight_of[value] < wanted) taken_ += weight_of[value--];
      lowest_ = lowest_ << d.bits | value;
    }
  }

  /// Whether the next entry is kept. @pre called for all entries in the order of `each`
  bool keeps(float score, std::uint64_t weight) {
    const std::uint32_t key = detail::rank_key(score);
    if (key != lowest_) return key > lowest_;
    open_ = open_ && (taken_ < at_least_ || 2 * taken_ + weight <= 2 * target_);
    if (open_) taken_ += weight;
    return open_;
  }

  /// The lowest score that is kept, or the highest that is not.
  float threshold() const { return std::bit_cast<float>(lowest_); }

 private:
  struct digit {
    unsigned shift;
    unsigned bits;
  };

  std::uint64_t target_;
  std::uint64_t at_least_;
  std::uint32_t lowest_ = 0;  // key of the lowest score of which entries may be kept
  std::uint64_t taken_ = 0;   // weight of the entries above it, then of all that were kept
  bool open_ = true;
};

}  // namespace sparq
