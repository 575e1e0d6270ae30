// SPDX-License-Identifier: MIT
// What every way of consuming the library has to be able to compile.
#include <sparq/sparq.hpp>

#include <cstddef>
#include <cstdio>

#ifdef EXPECTED_VERSION
static_assert(SPARQ_VERSION == EXPECTED_VERSION, "the package's version is not the header's");
#endif

std::size_t aligned_size(std::size_t size);

int main() {
  const sparq::aligned_buffer buffer(100);
  const bool agrees = aligned_size(buffer.size()) == sparq::round_up(buffer.size(), sparq::alignment);
  std::printf("sparq %d: %s\n", SPARQ_VERSION, agrees ? "ok" : "wrong");
  return agrees ? 0 : 1;
}
