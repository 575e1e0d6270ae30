// SPDX-License-Identifier: MIT
#include <sparq/io/npy_header.hpp>

#include "tests/support/catch.hpp"

#include <string>
#include <vector>

using sparq::element_type;
using sparq::detail::npy_header;

namespace {

std::string header_from(const std::string& descr, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
}

std::string header_problem(const std::string& dictionary) {
  npy_header header;
  return header.parse(dictionary + "\n", 0).message();
}

}  // namespace

TEST_CASE("npy_header: keys in any order, with any spaces and quotes") {
  npy_header header;
  REQUIRE(header.parse("{ \"shape\":(4L ,\t5),'descr' : '>i2', 'fortran_order':True }  \n", 10).ok());
  CHECK(header.shape == std::vector<std::size_t>{4, 5});
  CHECK(header.type == element_type::s16);
  CHECK(header.big_endian);
  CHECK(header.fortran_order);
}

TEST_CASE("npy_header: what is written is read, and data starts on a 64-byte boundary") {
  for (std::size_t extents = 0; extents <= 32; ++extents)
    for (const auto type : {element_type::boolean, element_type::u64, element_type::f16}) {
      std::vector<std::size_t> shape(extents);
      for (std::size_t i = 0; i < extents; ++i) shape[i] = i * i * i * 1000;
      const std::string text = sparq::detail::npy_header_text(type, shape);
      CHECK(text.size() % 64 == 0);
      const auto length = static_cast<std::size_t>(static_cast<unsigned char>(text[8])) |
                          static_cast<std::size_t>(static_cast<unsigned char>(text[9])) << 8;
      REQUIRE(length == text.size() - 10);
      npy_header header;
      REQUIRE(header.parse(text.substr(10), 10).ok());
      CHECK(header.shape == shape);
      CHECK(header.type == type);
      CHECK_FALSE(header.fortran_order);
      CHECK_FALSE(header.big_endian);
    }
}

TEST_CASE("npy_header: a malformed dictionary gets one sentence with the offset") {
  CHECK(header_problem("[]") == "offset 0: the header needs \"{\" here");
  CHECK(header_problem("") == "offset 1: the header needs \"{\" here");
  CHECK(header_problem("{descr: '<f4'}") == "offset 1: the header needs a quoted string here");
  CHECK(header_problem("{'descr: <f4}") == "offset 1: this string in the header never ends");
  CHECK(header_problem("{'descr' '<f4'}") == "offset 9: the header needs \":\" here");
  CHECK(header_problem("{'dtype': '<f4'}") == "offset 1: unknown key 'dtype' in the header");
  CHECK(header_problem("{'descr': '<f4', 'descr': '<f4'}") == "offset 17: repeated key 'descr' in the header");
  CHECK(header_problem("{'descr': '<f4' 'shape': ()}") == "offset 16: the header needs \"}\" here");
  CHECK(header_problem("{'descr': '<f4', 'shape': ()}") == "offset 29: the header has no 'fortran_order'");
  CHECK(header_problem(header_from("<f4", "()") + "x") == "offset 55: the header goes on after its closing brace");
  CHECK(header_problem("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}") ==
        "offset 10: structured arrays are not supported; save each field as an array of its own");
  for (const char* descr : {"<c8", "|O", "<U4", "|S4", "<M8[ns]", "<f16", "|i4", "=f4", "f4", "", "<", "V2"})
    CHECK(header_problem(header_from(descr, "()")) ==
          "offset 10: element type '" + std::string(descr) +
              "' is not one of b1 i1 u1 i2 u2 i4 u4 i8 u8 f2 f4 f8 with byte order < > or |");
  CHECK(header_problem("{'fortran_order': 0}") == "offset 18: fortran_order must be True or False");
  CHECK(header_problem("{'shape': [2]}") == "offset 10: the header needs \"(\" here");
  CHECK(header_problem("{'shape': (2)}") == "offset 12: the shape of one extent needs a comma before \")\"");
  CHECK(header_problem("{'shape': (2, -1)}") == "offset 14: the shape needs a non-negative integer here");
  CHECK(header_problem("{'shape': (2, 3 4)}") == "offset 16: the header needs \")\" here");
  CHECK(header_problem("{'shape': (2, 18446744073709551616)}") == "offset 14: this extent does not fit in 64 bits");
  npy_header header;
  CHECK(header.parse("[]", 7).message() == "offset 7: the header needs \"{\" here");  // of the file, not of the text
}
