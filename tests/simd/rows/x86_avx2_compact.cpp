// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/x86_avx2_compact.hpp>
#include <sparq/tensor/packed_shape.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX2
namespace {

/// Rows of two segments, the second behind the groups that the first has room for.
template <class From, class To, bool InWords, std::size_t N, std::size_t M, std::size_t GroupK>
void check_pattern(sparq_test::random_source& random) {
  using window = sparq::detail::window_of<all, n_m_shared<N, M>, GroupK>;
  using compaction = machine::compaction_avx2<From, To, window, InWords>;
  for (int trial = 0; trial < 30; ++trial) {
    struct segment {
      std::size_t k, first, groups, room;
    } segments[2];
    const std::size_t ahead = random.below(3);  // windows before the first one
    std::size_t pairs = 0, first = 0, windows = ahead, touched = 0;
    for (segment& s : segments) {
      const std::size_t count = random.below(12);
      s = {windows * window::window, first, count * window::groups, count * window::groups + random.below(3)};
      pairs += compaction::pairs(s.room);
      touched = (std::max)(touched, s.k * sizeof(From) + compaction::touched(s.room));
      windows += count;
      first += s.room;
    }
    std::vector<std::uint8_t> selects(first * GroupK);
    for (auto& at : selects) at = static_cast<std::uint8_t>(random.below(window::window));

    const std::size_t rows = 1 + random.below(9), ldx = ceil_div(touched, sizeof(From)) + random.below(5);
    const std::size_t ldo = first * GroupK + 32 / sizeof(To) + random.below(5);
    std::vector<From> x(rows * ldx);
    for (auto& v : x) v = static_cast<From>(random.between(-128, 127));
    std::vector<To> out(rows * ldo);
    std::vector<typename compaction::pair> made(pairs);
    auto* end = made.data();
    for (const segment& s : segments)
      end = compaction::make(selects.data() + s.first * GroupK, s.groups, s.room, s.k, s.first, end);
    REQUIRE(end == made.data() + made.size());
    compaction::run(x.data(), ldx, rows, made.data(), end, out.data(), ldo);

    INFO(N << ":" << M << ", groups of " << GroupK << ", elements of " << sizeof(From) << " and " << sizeof(To)
           << " bytes");
    for (std::size_t r = 0; r < rows; ++r)
      for (const segment& s : segments)
        for (std::size_t i = 0; i < s.room * GroupK; ++i) {
          const std::size_t group = i / GroupK, in_words[] = {0, 2, 1, 3};
          const std::size_t at = InWords ? i / 4 * 4 + in_words[i % 4] : i;
          const std::size_t k = s.k + group / window::groups * window::window + selects[s.first * GroupK + at];
          const To want = group < s.groups ? static_cast<To>(x[r * ldx + k]) : To{};
          REQUIRE(out[r * ldo + s.first * GroupK + i] == want);
        }
  }
}

template <class From, class To, bool InWords, std::size_t GroupK>
void check_patterns() {
  sparq_test::random_source random;
  INFO(random.text());
  check_pattern<From, To, InWords, 1, 1, GroupK>(random);
  check_pattern<From, To, InWords, 2, 4, GroupK>(random);
  check_pattern<From, To, InWords, 1, 4, GroupK>(random);
  check_pattern<From, To, InWords, 3, 5, GroupK>(random);
  check_pattern<From, To, InWords, 7, 8, GroupK>(random);
  check_pattern<From, To, InWords, 9, 16, GroupK>(random);  // three groups of four to a window
  check_pattern<From, To, InWords, 17, 32, GroupK>(random);
  check_pattern<From, To, InWords, 1, 29, GroupK>(random);
  check_pattern<From, To, InWords, 1, 32, GroupK>(random);  // a lane reaches beyond 256 bytes
  check_pattern<From, To, InWords, 32, 32, GroupK>(random);
}

}  // namespace
#endif

TEST_CASE("x86_avx2_compact: rows of every pattern and element keep what positions say") {
#if SPARQ_HAS_AVX2
  check_patterns<std::uint8_t, std::int16_t, true, 4>();
  check_patterns<std::int8_t, std::int16_t, true, 4>();
  check_patterns<std::int16_t, std::int16_t, true, 4>();
  check_patterns<std::uint8_t, std::uint8_t, false, 4>();
  check_patterns<std::int16_t, std::int16_t, false, 1>();
  check_patterns<float, float, false, 1>();
#else
  CHECK_FALSE(SPARQ_HAS_AVX2);
#endif
}
