// SPDX-License-Identifier: MIT
#include <sparq/format/dense.hpp>
#include <sparq/kernel/column_chunks.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"

#include <vector>

using namespace sparq;

TEST_CASE("column_chunks: chunks cover all strips, and their codes fit the buffer") {
  const weight_shape shape{300, 1000};
  const auto w = pack<default_column_shape<s4>>(
      encode_codes<dense, s4, per_tensor>(std::vector<std::int8_t>(shape.size(), 3), shape, {1.0F}));
  using packed_type = decltype(w.view());
  using atom = atom_for<u8, s4, default_column_shape<s4>>;
  const column_chunks<packed_type> chunks(w.view());
  REQUIRE(chunks.strips() == 19);
  aligned_buffer buffer(chunks.buffer_bytes<atom>());
  std::size_t s = 0;
  while (s < chunks.strips()) {
    const std::size_t end = chunks.end(s, chunks.strips());
    REQUIRE(end > s);
    const std::size_t count = chunks.first_code(chunks.first_panel(end)) - chunks.first_code(chunks.first_panel(s));
    REQUIRE(count * sizeof(atom::weight) <= buffer.size());
    const auto* weights = chunks.decode<atom>(s, end, reinterpret_cast<atom::weight*>(buffer.data()));
    for (std::size_t i = 0; i < count; ++i) REQUIRE(weights[i] == 3);
    s = end;
  }
  CHECK(s == chunks.strips());
  CHECK(chunks.end(3, 4) == 4);
}
