// SPDX-License-Identifier: MIT
#include <sparq/format/dense.hpp>
#include <sparq/kernel/loop/column_chunks.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

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

namespace {

template <class Numeric>
void check_decoded() {
  sparq_test::random_source random;
  INFO(Numeric::name << ", " << random.text());
  const auto w = pack<default_column_shape<Numeric>>(
      sparq_test::random_tensor<dense, Numeric>({70, 97}, sparq_test::value_style::any, random));
  using atom = atom_for<u8, Numeric, default_column_shape<Numeric>>;
  const column_chunks<decltype(w.view())> chunks(w.view());
  aligned_buffer buffer(chunks.template buffer_bytes<atom>());
  for (std::size_t s = 0; s < chunks.strips(); ++s) {
    const std::size_t first = chunks.first_code(chunks.first_panel(s));
    const auto* weights =
        chunks.template decode<atom>(s, s + 1, reinterpret_cast<typename atom::weight*>(buffer.data()));
    for (std::size_t i = first; i < chunks.first_code(chunks.first_panel(s + 1)); ++i)
      REQUIRE(weights[i - first] == load_code<typename decltype(w.view())::numeric_type>(w.view().codes().data(), i));
  }
}

}  // namespace

TEST_CASE("column_chunks: codes of every width are decoded in their order") {
  check_decoded<s8>();
  check_decoded<u4>();
  check_decoded<s4>();
  check_decoded<s2>();
  check_decoded<ternary>();
}
