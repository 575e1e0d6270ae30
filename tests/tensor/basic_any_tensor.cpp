// SPDX-License-Identifier: MIT
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/tensor/basic_any_tensor.hpp>
#include <sparq/tensor/encode_codebook.hpp>

#include "tests/support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

using namespace sparq;

namespace {

using few_types =
    basic_any_tensor<std::variant<tensor<csr, s8>, tensor<dense, s8, per_tensor>, tensor<dense, codebook<4, s8>>>>;
constexpr weight_shape small_shape{3, 4};
const std::vector<float> small_weights{1, 0, 0, -4, 0, 0, 0, 0, 0, 2, 0, 0};

}  // namespace

TEST_CASE("basic_any_tensor: a name makes the tensor of the first alternative that has it") {
  const few_types w = few_types::encode("csr", "s8", small_weights, small_shape);
  CHECK(w.format_name() == "csr");
  CHECK(w.density() == 0.25);
  const auto typed = encode<csr, s8>(small_weights, small_shape);
  w.visit([&](const auto& t) { CHECK(decode(t) == decode(typed)); });
  const few_types d = few_types::encode("dense", "s8", small_weights, small_shape);
  CHECK(d.bytes() == small_shape.size() + sizeof(float));  // one scale: the granularity is the alternative's
  mask keep(small_shape, false);
  keep.set(2, 1, true);
  CHECK(few_types::encode("csr", "s8", small_weights, small_shape, keep).density() == 1.0 / 12);
}

TEST_CASE("basic_any_tensor: names that are not in the set are answered with those that are") {
  CHECK(few_types::try_encode("coo", "s8", small_weights, small_shape).error().message() ==
        "any_tensor: no format is called \"coo\"; there are csr, dense");
  CHECK(few_types::try_encode("csr", "s3", small_weights, small_shape).error().message() ==
        "any_tensor: no numeric type is called \"s3\"; there are s8, codebook<4,s8,per_tensor>");
  CHECK(few_types::try_encode("csr", "codebook<4,s8,per_tensor>", small_weights, small_shape).error().message() ==
        "any_tensor: csr with codebook<4,s8,per_tensor> is not in the set");
  CHECK(few_types::try_encode("csr", "s8", std::span(small_weights).first(5), small_shape).error().message() ==
        "encode: 5 values for a matrix of 3 x 4");
}

TEST_CASE("basic_any_tensor: holds codebooks, whose tables are chosen elsewhere") {
  CHECK(few_types::try_encode("dense", "codebook<4,s8,per_tensor>", small_weights, small_shape).error().message() ==
        "any_tensor: codebook<4,s8,per_tensor> needs tables; make the tensor with encode (tensor/encode_codebook.hpp) "
        "or cluster (compress/cluster.hpp), and the any_tensor from it");
  using clustered = codebook<4, s8>;
  std::vector<std::int8_t> table(16);
  for (std::size_t i = 0; i < 16; ++i) table[i] = static_cast<std::int8_t>(i) - 8;
  const std::vector<float> scales(default_granularity<clustered>::scale_count(small_shape.n, small_shape.k), 0.5F);
  const auto typed = encode<dense, clustered>(small_weights, small_shape, mask(small_shape), table, scales);
  const few_types w = typed;
  CHECK(w.numeric_name() == "codebook<4,s8,per_tensor>");
  CHECK(w.bytes() == typed.bytes());
  const auto packed = pack(w);
  CHECK(packed.shape() == small_shape);
  CHECK(packed.bytes() == packed_bytes(w));
  CHECK(packed.numeric_name() == "codebook<4,s8,per_tensor>");
}

TEST_CASE("basic_any_tensor: takes tensors of its types and no others") {
  STATIC_REQUIRE(std::is_convertible_v<tensor<csr, s8>, few_types>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<tensor<csr, s4>, few_types>);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<tensor<dense, s8>, few_types>);
}

TEST_CASE("basic_any_tensor: without a mask it keeps what encode keeps") {
  using signs = basic_any_tensor<std::variant<tensor<dense, binary>>>;
  // zeros too: binary has no code for them
  const signs w = signs::encode("dense", "binary", small_weights, small_shape);
  w.visit([&](const auto& t) { CHECK(decode(t) == decode(encode<dense, binary>(small_weights, small_shape))); });
}

TEST_CASE("basic_any_packed: bytes are read as the type that they were packed as") {
  using few_packed = decltype(pack(std::declval<few_types>()));
  for (const char* format : {"csr", "dense"}) {
    const few_packed w = pack(few_types::encode(format, "s8", small_weights, small_shape));
    std::vector<std::byte> file(1 + w.block().size());  // at an odd address
    std::copy(w.block().begin(), w.block().end(), file.begin() + 1);
    const few_packed read = few_packed::from_bytes(std::span(file).subspan(1));
    CHECK(read.format_name() == format);
    CHECK(read.shape() == small_shape);
    CHECK(std::equal(read.block().begin(), read.block().end(), w.block().begin(), w.block().end()));

    const auto message = [](std::span<const std::byte> bytes) {
      return few_packed::try_from_bytes(bytes).error().message();
    };
    CHECK(message(std::span(file).subspan(1, 500)) ==
          "packed tensor: needs " + std::to_string(w.bytes()) + " bytes, 500 are here");
    CHECK(message(std::span(file).subspan(1, 300)) ==
          "any_packed: the bytes do not start with the header of a packed tensor");
    CHECK(message(std::span(file)) == "any_packed: the bytes do not start with the header of a packed tensor");
  }
  const auto other = pack(encode<dense, f32>(small_weights, small_shape));
  CHECK(few_packed::try_from_bytes(other.block()).error().message() ==
        "any_packed: bytes packed as \"contiguous all f32 unquantized 16x1\" are not in the set");
}
