// SPDX-License-Identifier: MIT
#include <sparq/io/smtx.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/damaged_text.hpp"
#include "tests/support/random.hpp"
#include "tests/support/temporary_folder.hpp"

#include <cstdint>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace {

using offsets = std::vector<std::uint32_t>;

std::string smtx_problem(const std::string& text) {
  const auto matrix = sparq::try_read_smtx(text);
  return matrix ? "nothing" : matrix.error().message();
}

}  // namespace

TEST_CASE("smtx: a pattern is read as compressed sparse rows without values") {
  const sparq::sparse_matrix matrix = sparq::read_smtx("3, 4, 5\n0 2 2 5 \n1 3 0 2 3 \n");
  CHECK(matrix.n == 3);
  CHECK(matrix.k == 4);
  CHECK(matrix.row_offsets == offsets{0, 2, 2, 5});
  CHECK(matrix.columns == offsets{1, 3, 0, 2, 3});
  CHECK(matrix.values.empty());
}

TEST_CASE("smtx: commas, spaces and line ends may vary, and the last newline may be missing") {
  const sparq::sparse_matrix wanted{2, 2, {0, 1, 2}, {1, 0}, {}};
  for (const char* text : {"2, 2, 2\n0 1 2\n1 0\n", "2,2,2\r\n0 1 2\r\n1 0", "2 2 2\n0, 1, 2\n\t1  0 \n\n \n"}) {
    INFO(text);
    CHECK(sparq::read_smtx(text) == wanted);
  }
}

TEST_CASE("smtx: rows in any order of columns come out sorted") {
  const sparq::sparse_matrix matrix = sparq::read_smtx("2, 9, 5\n0 3 5\n7 0 4 8 1\n");
  CHECK(matrix.columns == offsets{0, 4, 7, 1, 8});
}

TEST_CASE("smtx: a matrix without weights or without rows is read") {
  const sparq::sparse_matrix empty{2, 5, {0, 0, 0}, {}, {}};
  CHECK(sparq::read_smtx("2, 5, 0\n0 0 0\n\n") == empty);
  CHECK(sparq::read_smtx("2, 5, 0\n0 0 0") == empty);
  CHECK(sparq::read_smtx("0, 0, 0\n0\n") == sparq::sparse_matrix{0, 0, {0}, {}, {}});
}

TEST_CASE("smtx: what is wrong is said with the line") {
  CHECK(smtx_problem("") == "line 1: the text is empty");
  CHECK(smtx_problem("\n") == "line 1: n is missing");
  CHECK(smtx_problem("2, 3\n") == "line 1: the number of stored weights is missing");
  CHECK(smtx_problem("2, x, 3\n") == "line 1: k is \"x\", not a non-negative integer");
  CHECK(smtx_problem("2, -3, 3\n") == "line 1: k is \"-3\", not a non-negative integer");
  CHECK(smtx_problem("2.0, 3, 3\n") == "line 1: n is \"2.0\", not a non-negative integer");
  CHECK(smtx_problem("268435457, 3, 3\n") == "line 1: n is 268435457; at most 268435456 is possible here");
  CHECK(smtx_problem("99999999999999999999, 3, 3\n") ==
        "line 1: n is 99999999999999999999; at most 268435456 is possible here");
  CHECK(smtx_problem("2, 3, 3, 4\n") == "line 1: \"4\" follows n, k and the stored weights");
  CHECK(smtx_problem(std::string(90, 'z')) ==
        "line 1: n is \"zzzzzzzzzzzzzzzzzzzzzzzz...\", not a non-negative integer");

  CHECK(smtx_problem("2, 3, 3\n") == "line 1: 3 row_offsets are announced, more than the rest of the text can hold");
  CHECK(smtx_problem("0, 0, 0\n") == "line 1: the text ends before the line of row_offsets");
  CHECK(smtx_problem("2, 3, 3\n0 1\n0 1 2\n") == "line 2: row_offsets[2] is missing");
  CHECK(smtx_problem("2, 3, 3\n0 1 3 3\n0 1 2\n") == "line 2: \"3\" follows the 3 row_offsets");
  CHECK(smtx_problem("2, 3, 3\n1 2 3\n0 1 2\n") == "line 2: row_offsets[0] is 1, not 0");
  CHECK(smtx_problem("3, 3, 3\n0 2 1 3\n0 1 2\n") ==
        "line 2: row_offsets[2] is 1 and follows 2; row offsets never fall");
  CHECK(smtx_problem("2, 3, 3\n0 4 3\n0 1 2\n") == "line 2: row_offsets[1] is 4; at most 3 is possible here");
  CHECK(smtx_problem("2, 3, 3\n0 1 2\n0 1 2\n") ==
        "line 2: the last of row_offsets is 2, but line 1 announces 3 stored weights");

  CHECK(smtx_problem("1, 0, 1\n0 1\n0\n") == "line 1: k is 0, but weights are stored");
  CHECK(smtx_problem("2, 3, 3\n0 1 3") == "line 2: 3 columns are announced, more than the rest of the text can hold");
  CHECK(smtx_problem("1, 3, 1\n0 1") == "line 2: the text ends before the line of columns");
  CHECK(smtx_problem("2, 3, 3\n0 1 3\n0 1 \n") == "line 3: columns[2] is missing");
  CHECK(smtx_problem("2, 3, 3\n0 1 3\n0 1 3\n") == "line 3: columns[2] is 3; at most 2 is possible here");
  CHECK(smtx_problem("2, 3, 3\n0 1 3\n0 2 2\n") == "line 3: row 1 lists column 2 twice");
  CHECK(smtx_problem("2, 3, 3\n0 1 3\n0 1 2 0\n") == "line 3: \"0\" follows the 3 columns");
  CHECK(smtx_problem("2, 3, 3\n0 1 3\n0 1 2\n\n0.5\n") == "line 5: \"0.5\" follows the columns");
  CHECK(smtx_problem("2, 3, 0\n0 0 0\n1\n") == "line 3: \"1\" follows the 0 columns");
  CHECK_THROWS_WITH(sparq::read_smtx("2"), "line 1: k is missing");
}

TEST_CASE("smtx: files are read, and named when they cannot be") {
  const sparq_test::temporary_folder folder;
  const auto path = folder.path() / "matrix.smtx";
  CHECK_THROWS_WITH(sparq::load_smtx(path), path.string() + ": there is no such file");
  std::ofstream(path) << "1, 2, 1\n0 1\n1\n";
  CHECK(sparq::load_smtx(path).columns == offsets{1});
  std::ofstream(path) << "1, 2, 1\n0 1\n2\n";
  CHECK(sparq::try_load_smtx(path).error().message() ==
        path.string() + ": line 3: columns[0] is 2; at most 1 is possible here");
}

TEST_CASE("smtx: random patterns come back from their text") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    sparq::sparse_matrix matrix{random() % 20, 1 + random() % 40, {0}, {}, {}};
    const auto kept = random() % 5;  // quarters
    for (std::size_t n = 0; n < matrix.n; ++n) {
      for (std::uint32_t k = 0; k < matrix.k; ++k)
        if (random() % 4 < kept) matrix.columns.push_back(k);
      matrix.row_offsets.push_back(static_cast<std::uint32_t>(matrix.columns.size()));
    }
    std::string text = std::to_string(matrix.n) + ", " + std::to_string(matrix.k) + ", " +
                       std::to_string(matrix.columns.size()) + "\n";
    for (const auto offset : matrix.row_offsets) text += std::to_string(offset) + " ";
    text += "\n";
    for (const auto column : matrix.columns) text += std::to_string(column) + " ";
    CHECK(sparq::read_smtx(text + "\n") == matrix);
  }
}

TEST_CASE("smtx: no mutation of a text gives an inconsistent matrix") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  const std::string original = "3, 4, 5\n0 2 2 5\n1 3 0 2 3\n";
  const std::string bytes = "0123456789 ,-\n\r\tx.";
  std::size_t read_well = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::string text = sparq_test::damaged_text(original, bytes, 0, random);
    const auto matrix = sparq::try_read_smtx(text);
    if (!matrix) {
      if (matrix.error().message().rfind("line ", 0) != 0) FAIL(matrix.error().message());
      continue;
    }
    ++read_well;
    if (!sparq_test::is_consistent(*matrix)) FAIL("inconsistent: " << text);
  }
  CHECK(read_well > 0);
  CHECK(read_well < 20000);
}
