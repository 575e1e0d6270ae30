// SPDX-License-Identifier: MIT
#include <sparq/simd/rows/x86_avx512_compact.hpp>
#include <sparq/tensor/packed_shape.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/random.hpp"

#include <vector>

using namespace sparq;

#if SPARQ_HAS_AVX512VBMI
namespace {

/// Rows of two segments, the second behind the groups that the first has room for.
template <class Byte, std::size_t N, std::size_t M>
void check_bytes_of(sparq_test::random_source& random) {
  using window = sparq::detail::window_of<all, n_m_shared<N, M>, 4>;
  using compaction = machine::compaction_avx512<Byte, window>;
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
      touched = (std::max)(touched, s.k + compaction::touched(s.room));
      windows += count;
      first += s.room;
    }
    std::vector<std::uint8_t> selects(first * 4);
    for (auto& at : selects) at = static_cast<std::uint8_t>(random.below(window::window));

    const std::size_t rows = 1 + random.below(9), ldx = touched + random.below(5);
    const std::size_t ldo = first * 4 + 64 + random.below(5);
    std::vector<Byte> x(rows * ldx);
    for (auto& v : x) v = static_cast<Byte>(random.between(-128, 127));
    std::vector<Byte> out(rows * ldo);
    std::vector<typename compaction::pair> made(pairs);
    auto* end = made.data();
    for (const segment& s : segments)
      end = compaction::make(selects.data() + s.first * 4, s.groups, s.room, s.k, s.first, end);
    REQUIRE(end == made.data() + made.size());
    compaction::run(x.data(), ldx, rows, made.data(), end, out.data(), ldo);

    INFO(N << ":" << M);
    for (std::size_t r = 0; r < rows; ++r)
      for (const segment& s : segments)
        for (std::size_t i = 0; i < s.room * 4; ++i) {
          const std::size_t group = i / 4;
          const std::size_t k = s.k + group / window::groups * window::window + selects[s.first * 4 + i];
          const Byte want = group < s.groups ? x[r * ldx + k] : Byte{};
          REQUIRE(out[r * ldo + s.first * 4 + i] == want);
        }
  }
}

template <class Byte>
void check_bytes_of_patterns() {
  sparq_test::random_source random;
  INFO(random.text());
  check_bytes_of<Byte, 1, 1>(random);
  check_bytes_of<Byte, 2, 4>(random);
  check_bytes_of<Byte, 1, 4>(random);
  check_bytes_of<Byte, 3, 5>(random);
  check_bytes_of<Byte, 7, 8>(random);
  check_bytes_of<Byte, 9, 16>(random);  // three groups of four to a window
  check_bytes_of<Byte, 17, 32>(random);
  check_bytes_of<Byte, 1, 29>(random);
  check_bytes_of<Byte, 1, 32>(random);  // a lane reaches beyond 256 bytes
  check_bytes_of<Byte, 32, 32>(random);
}

}  // namespace
#endif

TEST_CASE("x86_avx512_compact: rows of every pattern and element keep what positions say") {
#if SPARQ_HAS_AVX512VBMI
  check_bytes_of_patterns<std::uint8_t>();
  check_bytes_of_patterns<std::int8_t>();
#else
  CHECK_FALSE(SPARQ_HAS_AVX512VBMI);
#endif
}
