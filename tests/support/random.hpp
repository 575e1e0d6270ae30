// SPDX-License-Identifier: MIT
#pragma once
// Random numbers for tests. Every run draws a new seed; a failure prints it, and SPARQ_TEST_SEED in the environment
// brings it back.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <type_traits>

namespace sparq_test {

/// For INFO("SPARQ_TEST_SEED=" << seed) and an engine.
inline std::uint32_t random_seed() {
  const char* const fixed = std::getenv("SPARQ_TEST_SEED");
  return fixed != nullptr ? static_cast<std::uint32_t>(std::strtoul(fixed, nullptr, 10)) : std::random_device{}();
}

class random_source {
 public:
  random_source() : random_source(random_seed()) {}
  explicit random_source(std::uint32_t seed) : seed_(seed), engine_(seed) {}

  /// For INFO.
  std::string text() const { return "SPARQ_TEST_SEED=" + std::to_string(seed_); }

  /// Any number of 32 bits.
  std::size_t operator()() { return static_cast<std::size_t>(engine_()); }
  /// A number below `end`. @pre end > 0
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(engine_()) % end; }
  bool chance(double probability) { return std::bernoulli_distribution(probability)(engine_); }
  /// Any integer from `low` to `high`.
  std::int32_t between(std::int32_t low, std::int32_t high) {
    return std::uniform_int_distribution<std::int32_t>(low, high)(engine_);
  }
  float real(float low, float high) { return std::uniform_real_distribution<float>(low, high)(engine_); }
  template <class T>
  const T& pick(std::span<const T> from) {
    return from[below(from.size())];
  }
  template <class T, std::size_t Size>
  const T& pick(const T (&from)[Size]) {
    return from[below(Size)];
  }

 private:
  std::uint32_t seed_;
  std::mt19937 engine_;
};

}  // namespace sparq_test
