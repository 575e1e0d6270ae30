// SPDX-License-Identifier: MIT
#include <sparq/format/block.hpp>
#include <sparq/format/csr.hpp>
#include <sparq/format/dense.hpp>
#include <sparq/format/tile_wise.hpp>
#include <sparq/kernel/reference.hpp>
#include <sparq/plan/planned.hpp>
#include <sparq/tensor/encode.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/operands.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

using namespace sparq;

TEST_CASE("planned: all loops give the sums of the reference") {
  sparq_test::random_source random;
  INFO(random.text());
  const auto w = sparq_test::random_tensor<csr, s8>({37, 99}, sparq_test::value_style::any, random);
  std::vector<std::uint8_t> x(13 * 99);
  sparq_test::fill_codes<u8>(x, sparq_test::value_style::any, random);
  const matrix_view<const std::uint8_t> x_view(x.data(), 13, 99);
  workspace scratch;
  for (const loop_kind loop : {loop_kind::rows, loop_kind::columns, loop_kind::expand, loop_kind::window}) {
    const auto packed = pack_for(w, loop);
    CHECK(packed.loop() == loop);
    CHECK(packed.shape() == w.shape());
    std::vector<std::int32_t> y(13 * 37);
    gemm(x_view, packed, matrix_view<std::int32_t>(y.data(), 13, 37), epilogue<>{}, serial, scratch);
    CHECK(y == reference_gemm(x_view, w.view()));
    const std::string name = explain_gemm<std::uint8_t, std::int32_t>(13, packed).loop;
    CHECK(name == (loop == loop_kind::expand   ? "rows, expanding"
                   : loop == loop_kind::window ? "rows, windows"
                                               : to_string(loop)));
  }
}

TEST_CASE("planned: floats and scales along k are packed in windows, too, scales as a bitmask") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  const auto check = [&]<class N>(const auto& w, const std::vector<typename N::code>& x) {
    std::vector<float> y(3 * 37), want(3 * 37);
    const matrix_view<const typename N::code> x_view(x.data(), 3, 256);
    const auto windows = pack_for(w, loop_kind::window);
    CHECK(windows.loop() == loop_kind::window);
    CHECK(explain_gemm<typename N::code, float>(3, windows).loop == "rows, windows");
    gemm(x_view, windows, matrix_view<float>(y.data(), 3, 37), epilogue(scale(0.5F)), serial, scratch);
    gemm(x_view, pack_for(w, loop_kind::rows), matrix_view<float>(want.data(), 3, 37), epilogue(scale(0.5F)), serial, scratch);
    CHECK(y == want);
  };
  std::vector<float> weights(37 * 256), x(3 * 256);
  for (float& w : weights) w = random.chance(0.2) ? static_cast<float>(random.between(-9, 9)) : 0.0F;
  for (float& v : x) v = static_cast<float>(random.between(-9, 9));
  check.template operator()<f32>(encode<csr, f32>(weights, {37, 256}), x);
  check.template operator()<f32>(encode<csr, bf16>(weights, {37, 256}), x);
  std::vector<std::uint8_t> codes(3 * 256);
  sparq_test::fill_codes<u8>(codes, sparq_test::value_style::any, random);
  const auto scaled = encode<csr, s8, per_group<64>>(weights, {37, 256});
  check.template operator()<u8>(scaled, codes);
  std::vector<float> y(3 * 37), want(3 * 37);
  const matrix_view<const std::uint8_t> x_view(codes.data(), 3, 256);
  gemm(x_view, pack_for(scaled, loop_kind::expand), matrix_view<float>(y.data(), 3, 37), epilogue<>(), serial, scratch);
  gemm(x_view, pack_for(scaled, loop_kind::rows), matrix_view<float>(want.data(), 3, 37), epilogue<>(), serial, scratch);
  CHECK(y == want);
}

TEST_CASE("planned: what a loop does not take is packed for another") {
  sparq_test::random_source random;
  INFO(random.text());
  const auto loops_of = [](const auto& w) {
    std::vector<loop_kind> loops;
    for (const loop_kind loop : {loop_kind::rows, loop_kind::columns, loop_kind::expand, loop_kind::window})
      loops.push_back(pack_for(w, loop).loop());
    return loops;
  };
  const std::vector<float> weights(32 * 64, 1.0F);
  using loops = std::vector<loop_kind>;
  CHECK(loops_of(encode<csr, s8, per_group<32>>(weights, {32, 64})) ==
        loops{loop_kind::rows, loop_kind::columns, loop_kind::expand, loop_kind::window});
  CHECK(loops_of(encode<dense, s8, per_group<6>>(weights, {32, 64})) ==
        loops{loop_kind::columns, loop_kind::columns, loop_kind::columns, loop_kind::columns});
  CHECK(pack_for(encode<block<1, 4>, s8, per_group<6>>(weights, {32, 64}), 3).loop() == loop_kind::columns);
  const auto buckets = sparq_test::random_tensor<dense, codebook<4, s8, per_bucket<256>>>(
      mask({32, 64}, true), sparq_test::value_style::any, random);
  CHECK(loops_of(buckets) == loops{loop_kind::rows, loop_kind::rows, loop_kind::expand, loop_kind::rows});
  CHECK(pack_for(buckets, 3).loop() == loop_kind::rows);
}

TEST_CASE("planned: X by columns is refused by weights that are packed for rows") {
  const auto w = encode_codes<csr, s8, per_tensor>(std::vector<std::int8_t>(6, 1), {2, 3}, {1.0F});
  const std::vector<std::uint8_t> x(12, 1);
  std::vector<std::int32_t> y(8, -1);
  workspace scratch;
  const k_major_view<const std::uint8_t> x_view(x.data(), 4, 3);
  const matrix_view<std::int32_t> y_view(y.data(), 4, 2);
  CHECK(try_gemm(x_view, pack_for(w, loop_kind::rows), y_view, epilogue<>{}, serial, scratch).message() ==
        "gemm: X or Y lies by columns, the weights are packed for the rows loop");
  CHECK(try_explain_gemm(x_view, pack_for(w, loop_kind::rows), y_view).error().message() ==
        "gemm: X or Y lies by columns, the weights are packed for the rows loop");
  CHECK(y == std::vector<std::int32_t>(8, -1));
  gemm(x_view, pack_for(w, loop_kind::columns), y_view, epilogue<>{}, serial, scratch);
  CHECK(y == std::vector<std::int32_t>(8, 3));
}

TEST_CASE("planned: X of 16 bits runs in every loop, X that no kernel multiplies is refused") {
  sparq_test::random_source random;
  INFO(random.text());
  const auto w = sparq_test::random_tensor<csr, s8>({37, 99}, sparq_test::value_style::any, random);
  std::vector<std::int16_t> x(13 * 99);
  for (auto& value : x) value = static_cast<std::int16_t>(random.between(-32768, 32767));
  const matrix_view<const std::int16_t> x_view(x.data(), 13, 99);
  const auto want = reference_gemm(x_view, w.view());
  workspace scratch;
  const auto check = [&](const auto& packed) {
    std::vector<std::int64_t> y(13 * 37, -1);
    gemm(x_view, packed, matrix_view<std::int64_t>(y.data(), 13, 37), epilogue<>{}, serial, scratch);
    CHECK(y == want);
    CHECK(explain_gemm<std::int16_t, std::int64_t>(13, packed).loop.find(to_string(packed.loop()).substr(0, 4)) !=
          std::string::npos);
  };
  check(pack_for(w, loop_kind::rows));
  check(pack_for(w, loop_kind::columns));
  check(pack_for(w, loop_kind::expand));
  check(pack_for<std::int16_t>(w, 13));

  const std::vector<float> floats(13 * 99);
  std::vector<std::int32_t> y(13 * 37, -1);
  const auto packed = pack_for(w, loop_kind::columns);
  CHECK(try_gemm(matrix_view<const float>(floats.data(), 13, 99), packed, matrix_view<std::int32_t>(y.data(), 13, 37),
                 epilogue<>{}, serial, scratch)
            .message() == "gemm: no kernel multiplies X of f32 by weights packed as " +
                              packed.visit([](const auto& view) { return view.view().layout_name(); }));
  CHECK(y == std::vector<std::int32_t>(13 * 37, -1));
  CHECK_THROWS(explain_gemm<float, std::int32_t>(13, packed));
  CHECK(explain_gemm<std::uint8_t, std::int32_t, default_atoms>(13, pack(w)).loop ==
        "columns");  // the plan's overloads stand aside
  CHECK_FALSE(try_explain_gemm<float, std::int32_t>(13, packed).ok());
}

TEST_CASE("planned: below break-even the advice is dense weights") {
  const auto sparse_at = [](double density) {
    sparq_test::random_source fixed(1);
    mask keep({256, 512}, false);
    for (std::size_t i = 0; i < 256 * 512; ++i) keep.data()[i] = fixed.chance(density);
    return sparq_test::random_tensor<csr, s8>(keep, sparq_test::value_style::extremes, fixed);
  };
  const auto full = pack_for(sparse_at(0.95), 128);
  CHECK(full.advice().starts_with("dense weights are as fast at this density"));
  const auto text = to_string(explain_gemm<std::uint8_t, std::int32_t>(128, full));
  CHECK(text.substr(text.size() - full.advice().size()) == full.advice());
  CHECK(pack_for(sparse_at(0.05), 128).advice().find("dense") == std::string::npos);
  const auto dense_weights = encode_codes<dense, s8, per_tensor>(std::vector<std::int8_t>(32 * 64, 1), {32, 64}, {1.0F});
  CHECK(pack_for(dense_weights, 128).advice().find("dense") == std::string::npos);
}

TEST_CASE("planned: where estimates are close, and for sizes that fill no block, the advice is to time the loops") {
  const std::string advice = "another loop may be as fast, pack_fastest times them";
  const auto ones = [](std::size_t n, std::size_t k) {
    return encode_codes<dense, s8, per_tensor>(std::vector<std::int8_t>(n * k, 1), {n, k}, {1.0F});
  };
  CHECK(pack_for(ones(15, 64), 4).advice() == advice);
  CHECK(pack_for(ones(64, 31), 4).advice() == advice);
  CHECK(pack_for(ones(15, 31), 4, x_layout::k_major).advice().empty());
  for (const std::size_t m : {1U, 4U, 128U, 512U}) {
    const auto w = ones(64, 96);
    CHECK((pack_for(w, m).advice() == advice) == estimate_loops(w.view(), m).is_close());
  }
}

TEST_CASE("planned: packed for X by columns, every format multiplies X by columns") {
  sparq_test::random_source random;
  INFO(random.text());
  workspace scratch;
  for (const std::size_t m : {1U, 2U, 5U, 17U, 40U}) {
    const auto check = [&](const auto& w) {
      const auto [n, k] = w.shape();
      std::vector<std::uint8_t> x(m * k), by_columns(m * k);
      sparq_test::fill_codes<u8>(x, sparq_test::value_style::any, random);
      for (std::size_t i = 0; i < x.size(); ++i) by_columns[i % k * m + i / k] = x[i];
      const auto packed = pack_for(w, m, x_layout::k_major);
      REQUIRE(packed.loop() == loop_kind::columns);
      std::vector<std::int32_t> y(m * n);
      const k_major_view<const std::uint8_t> from(by_columns.data(), m, k);
      const k_major_view<std::int32_t> to(y.data(), m, n);
      REQUIRE(explain_gemm(from, packed, to).loop.find("columns") != std::string::npos);
      REQUIRE(try_gemm(from, packed, to, epilogue<>{}, serial, scratch).ok());
      const auto want = reference_gemm(matrix_view<const std::uint8_t>(x.data(), m, k), w.view());
      for (std::size_t i = 0; i < want.size(); ++i) REQUIRE(y[i % n * m + i / n] == want[i]);
    };
    check(sparq_test::random_tensor<dense, s8>({37, 99}, sparq_test::value_style::any, random));
    check(sparq_test::random_tensor<csr, s8>({37, 99}, sparq_test::value_style::any, random));
    check(sparq_test::random_tensor<block<16, 4>, s4>({37, 99}, sparq_test::value_style::any, random));
    check(sparq_test::random_tensor<tile_wise<16>, s8>({37, 99}, sparq_test::value_style::any, random));
  }
}

TEST_CASE("planned: scales along k go to the loop that takes them") {
  const std::vector<float> weights(16 * 64, 0.5F);
  const auto w = encode<dense, s4, per_group<32>>(weights, {16, 64});
  CHECK(pack_for(w, 128).loop() == loop_kind::rows);
  CHECK(pack_for(w, 128, x_layout::k_major).loop() == loop_kind::columns);
}

TEST_CASE("planned: no zeros are below break-even in every format, few weights in none") {
  const weight_shape shape{256, 512};
  const std::vector<float> weights(shape.size(), 0.5F);
  mask few(shape, false);
  for (std::size_t i = 0; i < shape.size(); i += 32) few.data()[i] = true;
  const std::string advice = "dense weights are as fast at this density";
  for (const std::size_t m : {1U, 4U, 16U, 128U}) {
    CAPTURE(m);
    CHECK(pack_for(encode<csr, s8>(weights, shape), m).advice().starts_with(advice));
    CHECK(pack_for(encode<csr, f32>(weights, shape), m).advice().starts_with(advice));
    CHECK(pack_for(encode<block<16, 4>, s8>(weights, shape), m).advice().starts_with(advice));
    CHECK(pack_for(encode<csr, s8>(weights, shape, few), m).advice().find(advice) == std::string::npos);
    CHECK(pack_for(encode<csr, f32>(weights, shape, few), m).advice().find(advice) == std::string::npos);
  }
}

TEST_CASE("planned: explain names X of 16 bits and Y of bytes, where the plan was told of them") {
  mask few({64, 64}, false);
  for (std::size_t i = 0; i < 64 * 64; i += 16) few.data()[i] = true;
  sparq_test::random_source fixed(1);
  const auto w = sparq_test::random_tensor<csr, s8>(few, sparq_test::value_style::any, fixed);
  const auto bytes = pack_for<std::uint8_t, std::uint8_t>(w, 784);
  CHECK(bytes.advice().starts_with("picked for Y of bytes"));
  CHECK(to_string(explain_gemm<std::uint8_t, std::uint8_t>(784, bytes)).ends_with("; " + bytes.advice()));
  CHECK(pack_for<std::int16_t, std::int64_t>(w, 784).advice().starts_with("picked for X of 16 bits"));
  const auto of_bf16 = sparq_test::random_tensor<csr, bf16>(few, sparq_test::value_style::any, fixed);
  CHECK(pack_for<brain_float>(of_bf16, 784).advice().starts_with("picked for X of 16 bits") == SPARQ_HAS_AVX512BF16);
  CHECK(pack_for<std::int16_t, std::int8_t>(w, 784)
            .advice()
            .starts_with("picked for X of 16 bits; picked for Y of bytes"));
  const auto full = encode<csr, s8>(std::vector<float>(64 * 64, 0.5F), {64, 64});
  CHECK(pack_for<std::uint8_t, std::uint8_t>(full, 4)
            .advice()
            .starts_with("picked for Y of bytes; dense weights are as fast at this density"));
}

TEST_CASE("planned: groups of scales beyond the longest list of the columns loop are for the other loops") {
  constexpr std::size_t k = 40000;
  std::vector<float> weights(17 * k, 0.0F);
  for (std::size_t i = 0; i < weights.size(); i += 301) weights[i] = 0.5F;
  const auto check = [&](const auto& w) {
    const std::vector<std::uint8_t> x(2 * k, 3);
    const matrix_view<const std::uint8_t> x_view(x.data(), 2, k);
    const auto want = scaled_reference_gemm(x_view, w.view());
    for (const auto layout : {x_layout::row_major, x_layout::k_major}) {
      const auto packed = pack_for(w, 2, layout);
      CHECK(packed.loop() != loop_kind::columns);
      if (layout == x_layout::k_major) CHECK(packed.advice().empty());
      std::vector<float> y(2 * 17);
      workspace scratch;
      gemm(x_view, packed, matrix_view<float>(y.data(), 2, 17), epilogue<>{}, serial, scratch);
      for (std::size_t i = 0; i < want.size(); ++i) REQUIRE(std::abs(y[i] - want[i]) <= 1e-5 * std::abs(want[i]));
    }
  };
  check(encode<csr, s8, per_group<65536>>(weights, {17, k}));
  check(encode<dense, s8, per_group<32772>>(weights, {17, k}));
}
