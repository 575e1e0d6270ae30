// SPDX-License-Identifier: MIT
#include <sparq/kernel/operation.hpp>

#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/tensor/encode.hpp>
#include <sparq/tensor/pack.hpp>

#include "tests/support/backwards.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace sparq;

namespace {

template <class Shape, class Format>
void check_operation(std::string_view loop) {
  sparq_test::random_source random;
  INFO(random.text() << ", " << Format::name());
  const weight_shape shape{70, 90};
  const std::size_t m = 45;
  const auto w = sparq_test::random_tensor<Format, s8>(shape, sparq_test::value_style::any, random);
  const auto packed = pack<Shape>(w);
  std::vector<std::uint8_t> x(m * shape.k);
  for (auto& element : x) element = static_cast<std::uint8_t>(random.below(256));
  const matrix_view<const std::uint8_t> rows(x.data(), m, shape.k);
  const auto want = reference_gemm(rows, w.view());

  using view = std::remove_cvref_t<decltype(packed.view())>;
  using operation = machine::operation<default_atoms, strided_rows<std::uint8_t>, view>;
  std::vector<std::int32_t> y(m * shape.n);
  const matrix_view<std::int32_t> target(y.data(), m, shape.n);
  const epilogue<> none;
  for (const std::size_t parts : {1u, 4u}) {
    INFO(parts << " parts");
    const operation product({rows}, m, packed.view(), target, none, parts);
    const operation question({rows}, m, packed.view(), target, parts);
    const explanation how = question.explain();
    CHECK(how.loop == loop);
    CHECK(how.workspace_bytes == product.workspace_bytes());
    CHECK(how.least_workspace_bytes == product.least_workspace_bytes());
    CHECK(how.least_workspace_bytes <= how.workspace_bytes);
    for (const std::size_t bytes : {how.workspace_bytes, how.least_workspace_bytes}) {
      aligned_buffer memory(bytes);
      workspace scratch(memory.bytes());
      y.assign(y.size(), 0x7dcdcdcd);
      sparq_test::backwards executor{parts};
      REQUIRE(product.run(executor, scratch).ok());
      REQUIRE(y == want);
    }
    if (parts == 1) {  // the same rows as several operations of a few
      y.assign(y.size(), 0x7dcdcdcd);
      workspace scratch;
      for (const std::size_t first : {0u, 15u, 30u}) {
        const operation some({rows}, 15, packed.view(), target, none, parts);
        REQUIRE(some.run(serial, scratch, first).ok());
      }
      REQUIRE(y == want);
    }
    if (how.least_workspace_bytes == 0) continue;
    aligned_buffer memory(how.least_workspace_bytes);
    workspace scratch(memory.bytes().first(how.least_workspace_bytes - 1));
    y.assign(y.size(), 1);
    sparq_test::backwards executor{parts};
    CHECK_FALSE(product.run(executor, scratch).ok());
    CHECK(y == std::vector<std::int32_t>(y.size(), 1));
  }
}

}  // namespace

TEST_CASE("operation: questions and runs agree, for the loop of each packed form") {
  check_operation<panel_shape<16, 4>, dense>("rows");
  check_operation<window_shape<16, 4, 32>, csr>("rows, windows");
  check_operation<bitmask_shape<16, 4>, csr>("rows, expanding");
  check_operation<column_shape<4, 4>, csr>("columns");
}
