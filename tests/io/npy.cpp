// SPDX-License-Identifier: MIT
#include <sparq/io/npy.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/data.hpp"
#include "tests/support/random.hpp"
#include "tests/support/temporary_folder.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace {

using sparq::element_type;
using sparq_test::temporary_folder;

// A file as NumPy writes it, unless a part is replaced by something wrong.
std::string file_of(const std::string& dictionary, const std::string& data, int version = 1) {
  std::string text = std::string("\x93NUMPY") + static_cast<char>(version) + '\0';
  const std::size_t length = dictionary.size() + 1;
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) text += static_cast<char>(length >> 8 * i & 0xff);
  return text + dictionary + "\n" + data;
}

std::string header_of(const std::string& descr, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }";
}

sparq::expected<sparq::npy_array> read(const std::string& text) {
  return sparq::try_read_npy(std::as_bytes(std::span(text)));
}

std::string problem_of(const std::string& text) {
  const auto array = read(text);
  return array ? "nothing" : array.error().message();
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <class T>
void check_round_trip(const std::filesystem::path& path, element_type type, std::vector<T> values) {
  sparq::save_npy(path, values, {values.size() / 3, 3});
  const sparq::npy_array array = sparq::load_npy(path);
  INFO(sparq::name(type));
  CHECK(array.type == type);
  CHECK(array.shape == std::vector<std::size_t>{values.size() / 3, 3});
  const auto read = array.as<T>();
  CHECK(std::vector<T>(read.begin(), read.end()) == values);
}

}  // namespace

TEST_CASE("npy: every element type comes back as it was saved") {
  const temporary_folder folder;
  const auto path = folder.path() / "array.npy";
  check_round_trip<std::int8_t>(path, element_type::s8, {-128, -1, 0, 1, 127, 5});
  check_round_trip<std::uint8_t>(path, element_type::u8, {0, 1, 127, 128, 255, 5});
  check_round_trip<std::int16_t>(path, element_type::s16, {-32768, 0, 32767});
  check_round_trip<std::uint16_t>(path, element_type::u16, {0, 256, 65535});
  check_round_trip<std::int32_t>(path, element_type::s32, {INT32_MIN, 0, INT32_MAX});
  check_round_trip<std::uint32_t>(path, element_type::u32, {0, 1u << 31, UINT32_MAX});
  check_round_trip<std::int64_t>(path, element_type::s64, {INT64_MIN, 0, INT64_MAX});
  check_round_trip<std::uint64_t>(path, element_type::u64, {0, 1, UINT64_MAX});
  check_round_trip<float>(path, element_type::f32, {-1.5f, 0.0f, std::numeric_limits<float>::infinity()});
  check_round_trip<double>(path, element_type::f64, {1e-300, 0.1, -1e300});

  sparq::save_npy(path, std::array{true, false, true}, {3});
  const sparq::npy_array flags = sparq::load_npy(path);
  REQUIRE(flags.type == element_type::boolean);
  CHECK(flags.as<bool>()[0]);
  CHECK_FALSE(flags.as<bool>()[1]);
  CHECK(flags.to<std::uint8_t>() == std::vector<std::uint8_t>{1, 0, 1});
}

TEST_CASE("npy: a saved file is what NumPy writes, and its data starts on a 64-byte boundary") {
  const temporary_folder folder;
  const auto path = folder.path() / "array.npy";
  sparq::save_npy(path, std::vector<float>{1, 2}, {2});
  std::ifstream file(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  CHECK(text == file_of(dictionary + std::string(117 - dictionary.size(), ' '), bytes_of<float>({1, 2})));
}

TEST_CASE("npy: 0-d arrays have one element and zero extents none") {
  const auto scalar = read(file_of(header_of("<f8", "()"), bytes_of<double>({2.5})));
  REQUIRE(scalar.ok());
  CHECK(scalar->shape.empty());
  CHECK(scalar->size() == 1);
  CHECK(scalar->as<double>()[0] == 2.5);

  for (const bool fortran : {false, true}) {
    const auto empty = read(file_of(header_of("<i4", "(3, 0, 18446744073709551615)", fortran), ""));
    REQUIRE(empty.ok());
    CHECK(empty->shape == std::vector<std::size_t>{3, 0, SIZE_MAX});
    CHECK(empty->size() == 0);
    CHECK(empty->as<std::int32_t>().empty());
  }

  const temporary_folder folder;
  for (const sparq::npy_array& array : {*scalar, *read(file_of(header_of("|u1", "(0, 7)"), ""))}) {
    sparq::save_npy(folder.path() / "array.npy", array);
    const sparq::npy_array back = sparq::load_npy(folder.path() / "array.npy");
    CHECK(back.type == array.type);
    CHECK(back.shape == array.shape);
    CHECK(std::equal(back.data.data(), back.data.data() + back.data.size(), array.data.data()));
  }
}

TEST_CASE("npy: versions 1.0, 2.0 and 3.0 are read, in any order of keys, with any spaces and quotes") {
  const std::string data = bytes_of<std::int16_t>({1, -2, 3, -4, 5, -6});
  for (const int version : {1, 2, 3})
    for (const char* dictionary : {"{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }",
                                   "{ \"shape\" : ( 2 , 3 , ) , \"descr\":\"<i2\",\"fortran_order\":False}   \n ",
                                   "{'fortran_order': False, 'shape': (2L, 3L), 'descr': '<i2'}"}) {
      INFO("version " << version << ".0, " << dictionary);
      const auto array = read(file_of(dictionary, data, version));
      REQUIRE(array.ok());
      CHECK(array->shape == std::vector<std::size_t>{2, 3});
      CHECK(array->to<int>() == std::vector<int>{1, -2, 3, -4, 5, -6});
    }
}

TEST_CASE("npy: fortran order is transposed") {
  // a[i][j][k] = 100 i + 10 j + k, written with i fastest.
  std::vector<std::int32_t> stored, wanted;
  for (int k = 0; k < 4; ++k)
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 2; ++i) stored.push_back(100 * i + 10 * j + k);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 4; ++k) wanted.push_back(100 * i + 10 * j + k);
  CHECK(read(file_of(header_of("<i4", "(2, 3, 4)", true), bytes_of(stored)))->to<std::int32_t>() == wanted);
  CHECK(read(file_of(header_of("<i4", "(24,)", true), bytes_of(stored)))->to<std::int32_t>() == stored);
}

TEST_CASE("npy: big-endian files are byte-swapped") {
  CHECK(read(file_of(header_of(">i2", "(2,)"), std::string("\x01\x02\xff\xfe", 4)))->to<int>() ==
        std::vector<int>{258, -2});
  CHECK(read(file_of(header_of(">f4", "()"), std::string("\xbf\xc0\0\0", 4)))->to<float>() ==
        std::vector<float>{-1.5f});
  CHECK(read(file_of(header_of(">i4", "(1, 2)", true), std::string("\0\0\0\1\0\0\1\0", 8)))->to<int>() ==
        std::vector<int>{1, 256});
  CHECK(read(file_of(header_of(">i1", "(1,)"), "\x85"))->to<int>() == std::vector<int>{-123});
}

TEST_CASE("npy: half precision is read as float") {
  const std::vector<std::uint16_t> patterns{0x3c00, 0xc000, 0x3555, 0x7bff, 0x0001, 0x83ff, 0x0400, 0x8000, 0x7c00};
  const auto array = read(file_of(header_of("<f2", "(3, 3)"), bytes_of(patterns)));
  const float inf = std::numeric_limits<float>::infinity();
  const float wanted[] = {1, -2, 0.333251953125f, 65504, 0x1p-24f, -1023 * 0x1p-24f, 0x1p-14f, -0.0f, inf};
  const std::vector<float> got = array->to<float>();
  REQUIRE(got.size() == 9);
  for (std::size_t i = 0; i < 9; ++i) {
    INFO(i);
    CHECK(got[i] == wanted[i]);
    CHECK(std::signbit(got[i]) == std::signbit(wanted[i]));
  }
  CHECK(std::isnan(read(file_of(header_of("<f2", "()"), std::string("\x01\x7e", 2)))->to<double>()[0]));
}

TEST_CASE("npy: elements are only given out as what they are") {
  const auto array = read(file_of(header_of("<i4", "(1,)"), bytes_of<std::int32_t>({7})));
  CHECK(array->try_as<std::int32_t>().ok());
  CHECK(array->try_as<std::uint32_t>().error().message() == "the array holds s32, not u32");
  CHECK_THROWS_WITH(array->as<float>(), "the array holds s32, not f32");
}

TEST_CASE("npy: conversion refuses what does not fit, with its position") {
  const auto converts = []<class From, class To>(From value, To) {
    sparq::npy_array array{sparq::detail::stored_type<From>(), {}, sparq::aligned_buffer(sizeof(From))};
    std::memcpy(array.data.data(), &value, sizeof value);
    const auto result = array.try_to<To>();
    return result.ok() && result->size() == 1;
  };
  CHECK(converts(std::int32_t{127}, std::int8_t{}));
  CHECK_FALSE(converts(std::int32_t{128}, std::int8_t{}));
  CHECK_FALSE(converts(std::int32_t{-1}, std::uint64_t{}));
  CHECK(converts(UINT64_MAX, std::uint64_t{}));
  CHECK_FALSE(converts(UINT64_MAX, std::int64_t{}));
  CHECK(converts(std::int64_t{1} << 53, double{}));
  CHECK_FALSE(converts((std::int64_t{1} << 53) + 1, double{}));
  CHECK(converts(INT64_MIN, float{}));
  CHECK(converts(std::int32_t{-(1 << 24) * 3}, float{}));
  CHECK_FALSE(converts(std::int32_t{-(1 << 24) - 1}, float{}));
  CHECK_FALSE(converts(UINT64_MAX, double{}));
  CHECK(converts(-128.0f, std::int8_t{}));
  CHECK_FALSE(converts(-129.0f, std::int8_t{}));
  CHECK_FALSE(converts(128.0f, std::int8_t{}));
  CHECK_FALSE(converts(0.5, std::int32_t{}));
  CHECK_FALSE(converts(-1.0, std::uint32_t{}));
  CHECK(converts(-0.0, std::uint32_t{}));
  CHECK(converts(-0x1p63, std::int64_t{}));
  CHECK_FALSE(converts(0x1p63, std::int64_t{}));
  CHECK(converts(0x1p63, std::uint64_t{}));
  CHECK_FALSE(converts(0x1p64, std::uint64_t{}));
  CHECK_FALSE(converts(std::numeric_limits<double>::quiet_NaN(), std::int32_t{}));
  CHECK_FALSE(converts(-std::numeric_limits<float>::infinity(), std::int64_t{}));
  CHECK(converts(0.1, float{}));
  CHECK(converts(std::numeric_limits<double>::infinity(), float{}));
  CHECK_FALSE(converts(1e39, float{}));

  const auto array = read(file_of(header_of("<i2", "(2, 2)"), bytes_of<std::int16_t>({1, 255, 256, -1})));
  CHECK(array->try_to<std::uint8_t>().error().message() == "element 2 of (2, 2) is 256, which u8 cannot hold");
  const auto fractions = read(file_of(header_of("<f4", "(2,)"), bytes_of<float>({0, 1e-9F})));
  CHECK(fractions->try_to<std::int8_t>().error().message() ==
        "element 1 of (2,) is 9.99999972e-10, which s8 cannot hold");
  CHECK_THROWS_AS(array->to<std::uint8_t>(), sparq::error);
}

TEST_CASE("npy: a malformed file gets one sentence with the offset") {
  const auto with_header = [](const std::string& dictionary) { return problem_of(file_of(dictionary, "")); };
  const std::string good = file_of(header_of("<f4", "(2, 3)"), std::string(24, '\0'));
  REQUIRE(read(good).ok());

  CHECK(problem_of("") == "offset 0: the input does not start with \"\\x93NUMPY\"");
  CHECK_THROWS_WITH(sparq::read_npy({}), "offset 0: the input does not start with \"\\x93NUMPY\"");
  CHECK(sparq::read_npy(std::as_bytes(std::span(good))).to<float>() == std::vector<float>(6));
  CHECK(problem_of("PK\x03\x04 not an array") == "offset 0: the input does not start with \"\\x93NUMPY\"");
  CHECK(problem_of(good.substr(0, 7)) == "offset 6: the input ends inside the version");
  CHECK(problem_of(good.substr(0, 9)) == "offset 8: the input ends inside the header length");
  CHECK(problem_of(file_of("{}", "", 2).substr(0, 11)) == "offset 8: the input ends inside the header length");
  CHECK(problem_of(file_of("{}", "", 4)) == "offset 6: version 4.0 is not 1.0, 2.0 or 3.0");
  CHECK(problem_of(file_of("{}", "", 0)) == "offset 6: version 0.0 is not 1.0, 2.0 or 3.0");
  CHECK(problem_of(good.substr(0, 40)) == "offset 8: the header of 60 bytes ends behind the input's 40");
  CHECK(problem_of(good.substr(0, good.size() - 1)) ==
        "offset 70: shape (2, 3) of f32 needs 24 bytes of data, but 23 follow");
  CHECK(problem_of(good + "x") == "offset 70: shape (2, 3) of f32 needs 24 bytes of data, but 25 follow");

  CHECK(with_header("{'dtype': '<f4'}") == "offset 11: unknown key 'dtype' in the header");  // more: npy_header.cpp
  CHECK(with_header(header_of("<f8", "(4294967296, 4294967296)")) ==
        "offset 88: shape (4294967296, 4294967296) of f64 overflows 64 bits");
  CHECK(problem_of(file_of(header_of("|b1", "(3,)"), std::string("\0\1\2", 3))) ==
        "offset 68: element 2 of shape (3,) of bool is 2, not 0 or 1");
}

TEST_CASE("npy: files that cannot be read are named") {
  const temporary_folder folder;
  const auto problem = [](const std::filesystem::path& path) { return sparq::try_load_npy(path).error().message(); };
  const auto path = folder.path() / "array.npy";
  CHECK(problem(path) == path.string() + ": there is no such file");
  CHECK(problem(folder.path()) == folder.path().string() + ": this is not a regular file");
  std::ofstream(path) << "text";
  CHECK(problem(path) == path.string() + ": offset 0: the input does not start with \"\\x93NUMPY\"");
  CHECK_THROWS_WITH(sparq::load_npy(path), problem(path));
}

TEST_CASE("npy: a save that fails leaves nothing behind and the old file alone") {
  const temporary_folder folder;
  const auto path = folder.path() / "array.npy";
  const std::vector<float> values{1, 2, 3};
  sparq::save_npy(path, values, {3});
  REQUIRE(folder.files() == 1);

  CHECK(sparq::try_save_npy(path, values, {2}).message() == path.string() + ": shape (2,) does not fit 3 values");
  CHECK(sparq::try_save_npy(path, values, {SIZE_MAX, 2}).message() ==
        path.string() + ": shape (18446744073709551615, 2) does not fit 3 values");
  CHECK(sparq::try_save_npy(path, std::vector<float>{1}, std::vector<std::size_t>(33, 1)).message() ==
        path.string() + ": 33 extents are more than 32");
  CHECK_THROWS_AS(sparq::save_npy(folder.path() / "absent" / "array.npy", values, {3}), sparq::error);
  CHECK(folder.files() == 1);
  CHECK(sparq::load_npy(path).to<float>() == values);
}

TEST_CASE("npy: no mutation of a file reads out of bounds or gives an inconsistent array") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  const auto below = [&](std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random); };
  const std::string originals[] = {
      file_of(header_of("<f4", "(2, 3)"), std::string(24, '\x3f')),
      file_of(header_of("|b1", "(4,)"), std::string("\0\1\1\0", 4), 2),
      file_of(header_of(">u8", "()"), std::string(8, '\x7f'), 3),
      file_of(header_of("<i2", "(2, 1, 3)", true), std::string(12, '\x01')),
  };
  const std::string fragments[] = {"(",    ")",     ",", "}", "'", "0", "9", "18446744073709551615",
                                   "True", "shape", ">", " "};
  std::size_t read_well = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = originals[below(std::size(originals))];
    for (std::size_t edits = 1 + below(3); edits != 0 && !text.empty(); --edits) {
      const std::size_t at = below(text.size());
      switch (below(5)) {
        case 0:
          text[at] = static_cast<char>(below(256));
          break;
        case 1:
          text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
          break;
        case 2:
          text.resize(at);
          break;
        case 3:
          text.erase(at, 1 + below(4));
          break;
        default:
          text.insert(at, fragments[below(std::size(fragments))]);
      }
    }
    // A copy of exact size, so that an address sanitizer sees every byte beyond.
    const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(text.data()),
                                       reinterpret_cast<const std::byte*>(text.data()) + text.size());
    const auto array = sparq::try_read_npy(bytes);
    if (!array) {
      if (array.error().message().rfind("offset ", 0) != 0) FAIL(array.error().message());
      continue;
    }
    ++read_well;
    std::size_t size = 1;
    for (const std::size_t extent : array->shape) size *= extent;
    const auto converted = array->try_to<double>();
    if (array->size() != size || (converted && converted->size() != size)) FAIL("round " << round << ": a wrong size");
  }
  CHECK(read_well > 0);
  CHECK(read_well < 20000);
}

TEST_CASE("npy: every array of the test data is read") {
  const auto data = test_data();
  if (!data) return;
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*data)) {
    if (entry.path().extension() != ".npy") continue;
    const auto array = sparq::try_load_npy(entry.path());
    INFO((array ? entry.path().string() : array.error().message()));
    REQUIRE(array.ok());
    ++count;
  }
  CHECK(count > 0);
}
