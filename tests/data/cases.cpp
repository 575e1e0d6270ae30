// SPDX-License-Identifier: MIT
// Every case of the external test data, each by the rule that it comes with. What the library has no type or operation
// for is left out by name, and the last lines of the output say how much that is.

#include "tests/data/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/data.hpp"

#include <cstddef>
#include <exception>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// How the cases of one op run, or why none of them does.
struct row {
  std::string_view op;
  void (*run)(const neutral_case&, cases::verdict&);
  std::string_view missing;
};

constexpr row rows[] = {
    {"avg_pool2d", cases::average_pool2d, ""},
    {"avg_pool2d_nchw", cases::average_pool2d_nchw, ""},
    {"batch_matmul", cases::batch_matmul, ""},
    {"block_quantize", cases::block_quantize, ""},
    {"cast", cases::cast, ""},
    {"conv2d", cases::conv2d, ""},
    {"conv2d_codebook", cases::conv2d_codebook, ""},
    {"conv2d_int8_acc", cases::pruned_conv2d, ""},
    {"conv2d_int_scale_shift", cases::conv2d_scale_shift, ""},
    {"conv2d_nchw_f32", cases::conv2d_nchw_f32, ""},
    {"conv_integer_nchw", cases::conv_integer_nchw, ""},
    {"depthwise_conv2d", cases::depthwise_conv2d, ""},
    {"dequantize_linear", cases::dequantize_linear, ""},
    {"dynamic_quantize_linear", cases::dynamic_quantize_linear, ""},
    {"fully_connected", cases::fully_connected, ""},
    {"fully_connected_int8_acc", cases::pruned_fully_connected, ""},
    {"fully_connected_int_scale_shift", cases::fully_connected_scale_shift, ""},
    {"gemm_f32", cases::gemm_f32, ""},
    {"matmul_f32", cases::matmul_f32, ""},
    {"max_pool2d", cases::max_pool2d, ""},
    {"max_pool2d_nchw", cases::max_pool2d_nchw, ""},
    {"pad", cases::pad, ""},
    {"qlinear_matmul", cases::qlinear_matmul, ""},
    {"quantize_linear", cases::quantize_linear, ""},
    {"softmax", cases::softmax, ""},
    {"softmax_f32", cases::softmax_f32, ""},
    {"sparse_format_convert", cases::sparse_format_convert, ""},
    {"spmm_f32", cases::spmm_f32, ""},
    {"spmm_int8", cases::spmm_int8, ""},
    {"spmv_f64", cases::spmv_f64, ""},
    {"transpose_conv2d", nullptr, "transposed convolution"},
};

/// Nothing of the case may escape: the next ones have to run too.
cases::verdict run(const neutral_case& one) {
  cases::verdict v(one);
  const auto found = std::find_if(std::begin(rows), std::end(rows), [&](const row& r) { return r.op == one.op(); });
  if (found == std::end(rows)) {
    v.require(false, "there is no row for the op " + one.op());
  } else if (found->run == nullptr) {
    v.leave_out(std::string(found->missing));
  } else {
    try {
      found->run(one, v);
    } catch (const std::exception& problem) {
      v.require(false, problem.what());
    }
    if (v.left_out().empty()) v.require(v.comparisons() > 0, "the case runs, but nothing is compared");
  }
  return v;
}

}  // namespace

TEST_CASE("data: every case that the library's types allow gives what its authors published") {
  const auto folder = test_data();
  if (!folder) return;
  const std::vector<neutral_case> all = neutral_cases(*folder);
  REQUIRE_FALSE(all.empty());
  std::size_t ran = 0, comparisons = 0;
  std::map<std::string, std::vector<std::string>> left_out, left_out_in_part;
  for (const neutral_case& one : all) {
    const cases::verdict v = run(one);
    for (const std::string& problem : v.problems()) FAIL_CHECK(one.name() << ": " << problem);
    comparisons += v.comparisons();
    ran += v.left_out().empty();
    if (!v.left_out().empty()) left_out[v.left_out()].push_back(one.name());
    if (!v.part_left_out().empty()) left_out_in_part[v.part_left_out()].push_back(one.name());
  }

  std::cout << ran << " of " << all.size() << " cases ran, with " << comparisons << " comparisons\n";
  const auto print = [](const char* what, const auto& groups) {
    for (const auto& [reason, names] : groups) {
      std::cout << what << reason << " (" << names.size() << "):";
      for (const std::string& name : names) std::cout << ' ' << name;
      std::cout << '\n';
    }
  };
  print("left out: ", left_out);
  print("left out in part: ", left_out_in_part);
}

TEST_CASE("data: a single wrong element is found") {
  const auto folder = test_data();
  if (!folder) return;
  const neutral_case one(std::filesystem::path(*folder) / "cmsis-nn" / "fully_connected");
  auto codes = one.expected("output").array.to<std::int32_t>();
  cases::verdict v(one);
  v.compare("output", codes);
  REQUIRE(v.problems().empty());
  codes.back() += 1;
  v.compare("output", codes, "changed");
  REQUIRE(v.problems().size() == 1);
  REQUIRE(v.problems()[0].find("changed: output: 1 of 18 differ") != std::string::npos);
}
