// SPDX-License-Identifier: MIT
#include <sparq/io/mtx.hpp>
#include <sparq/io/npy.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/damaged_text.hpp"
#include "tests/support/data.hpp"
#include "tests/support/random.hpp"
#include "tests/support/temporary_folder.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace {

using sparq::sparse_matrix;

std::string mtx_problem(const std::string& text) {
  const auto matrix = sparq::try_read_mtx(text);
  return matrix ? "nothing" : matrix.error().message();
}

const std::string real_general = "%%MatrixMarket matrix coordinate real general\n";

}  // namespace

TEST_CASE("mtx: coordinates come out sorted by row and column, with their zeros") {
  const std::string text = real_general +
                           "% a comment\n%\n\n"
                           "3 4 5\n"
                           "3 4 -2.5e-3\n1 3 +1\n\n1 1 0.0\n3 1 4\n 2\t2  .5 \n";
  CHECK(sparq::read_mtx(text) == sparse_matrix{3, 4, {0, 2, 3, 5}, {0, 2, 1, 0, 3}, {0, 1, 0.5, 4, -0.0025}});
}

TEST_CASE("mtx: pattern and integer matrices, banners in any case and missing last newlines are read") {
  CHECK(sparq::read_mtx("%%MATRIXMARKET Matrix Coordinate PATTERN General\n2 2 2\n2 1\n1 2") ==
        sparse_matrix{2, 2, {0, 1, 2}, {1, 0}, {}});
  CHECK(sparq::read_mtx("%%MatrixMarket matrix coordinate integer general\r\n1 2 2\r\n1 2 -7\r\n1 1 3\r\n") ==
        sparse_matrix{1, 2, {0, 2}, {0, 1}, {3, -7}});
  CHECK(sparq::read_mtx(real_general + "2 3 0\n") == sparse_matrix{2, 3, {0, 0, 0}, {}, {}});
  CHECK(sparq::read_mtx(real_general + "0 0 0\n") == sparse_matrix{0, 0, {0}, {}, {}});
}

TEST_CASE("mtx: symmetric and skew-symmetric matrices come out with both triangles") {
  CHECK(sparq::read_mtx("%%MatrixMarket matrix coordinate real symmetric\n3 3 3\n2 1 1\n2 2 2\n3 1 3\n") ==
        sparse_matrix{3, 3, {0, 2, 4, 5}, {1, 2, 0, 1, 0}, {1, 3, 1, 2, 3}});
  CHECK(sparq::read_mtx("%%MatrixMarket matrix coordinate integer skew-symmetric\n3 3 2\n3 1 5\n3 2 -6\n") ==
        sparse_matrix{3, 3, {0, 1, 2, 4}, {2, 2, 0, 1}, {-5, 6, 5, -6}});
  CHECK(sparq::read_mtx("%%MatrixMarket matrix coordinate pattern symmetric\n2 2 2\n1 1\n2 1\n") ==
        sparse_matrix{2, 2, {0, 2, 3}, {0, 1, 0}, {}});
}

TEST_CASE("mtx: arrays are column-major, and only what is not zero is stored") {
  CHECK(sparq::read_mtx("%%MatrixMarket matrix array real general\n2 3\n1\n0\n0\n4\n5\n6\n") ==
        sparse_matrix{2, 3, {0, 2, 4}, {0, 2, 1, 2}, {1, 5, 4, 6}});
  CHECK(sparq::read_mtx("%%MatrixMarket matrix array integer symmetric\n2 2\n1\n2\n3\n") ==
        sparse_matrix{2, 2, {0, 2, 4}, {0, 1, 0, 1}, {1, 2, 2, 3}});
  CHECK(sparq::read_mtx("%%MatrixMarket matrix array real skew-symmetric\n3 3\n1\n2\n3\n") ==
        sparse_matrix{3, 3, {0, 2, 4, 6}, {1, 2, 0, 2, 0, 1}, {-1, -2, 1, -3, 2, 3}});
  CHECK(sparq::read_mtx("%%MatrixMarket matrix array real general\n3 0\n") ==
        sparse_matrix{3, 0, {0, 0, 0, 0}, {}, {}});
}

TEST_CASE("mtx: what is wrong with the banner or the extents is said with the line") {
  CHECK(mtx_problem("") == "line 1: the text is empty");
  CHECK(mtx_problem("1 1 1\n") == "line 1: the banner is \"1\", not one of %%MatrixMarket");
  CHECK(mtx_problem("%%MatrixMarket vector coordinate real general\n") ==
        "line 1: the object is \"vector\", not one of matrix");
  CHECK(mtx_problem("%%MatrixMarket matrix sparse real general\n") ==
        "line 1: the storage is \"sparse\", not one of coordinate, array");
  CHECK(mtx_problem("%%MatrixMarket matrix coordinate complex general\n") ==
        "line 1: the field is \"complex\", not one of real, integer, pattern");
  CHECK(mtx_problem("%%MatrixMarket matrix coordinate real hermitian\n") ==
        "line 1: the symmetry is \"hermitian\", not one of general, symmetric, skew-symmetric");
  CHECK(mtx_problem("%%MatrixMarket matrix coordinate real\n") ==
        "line 1: the symmetry is \"\", not one of general, symmetric, skew-symmetric");
  CHECK(mtx_problem("%%MatrixMarket matrix coordinate real general 2\n") == "line 1: \"2\" follows the symmetry");
  CHECK(mtx_problem("%%MatrixMarket matrix array pattern general\n") == "line 1: a pattern cannot be an array");
  CHECK(mtx_problem("%%MatrixMarket matrix coordinate pattern skew-symmetric\n") ==
        "line 1: a pattern cannot be skew-symmetric: it has no signs");

  CHECK(mtx_problem(real_general + "% only\n% comments\n") == "line 3: the text ends before the line of extents");
  CHECK(mtx_problem(real_general + "3 3\n") == "line 2: the number of entries is missing");
  CHECK(mtx_problem(real_general + "3 -3 1\n") == "line 2: k is \"-3\", not a non-negative integer");
  CHECK(mtx_problem(real_general + "300000000 3 1\n") == "line 2: n is 300000000; at most 1048576 is possible here");
  CHECK(mtx_problem(real_general + "3 3 1 1\n") == "line 2: \"1\" follows the extents");
  CHECK(mtx_problem(real_general + "3 3 9\n1 1 1\n") ==
        "line 2: 9 entries are announced, more than the rest of the text can hold");
  CHECK(mtx_problem("%%MatrixMarket matrix array real general\n1000000 1000000\n1\n") ==
        "line 2: 1000000000000 entries are announced, more than the rest of the text can hold");
  CHECK(mtx_problem("%%MatrixMarket matrix coordinate real symmetric\n3 4 1\n1 1 1\n") ==
        "line 2: a symmetric matrix cannot have extents 3 x 4");
}

TEST_CASE("mtx: what is wrong with an entry is said with the line") {
  const auto entries = [](const std::string& lines, const std::string& banner = real_general) {
    return mtx_problem(banner + "% comment\n3 4 2\n" + lines);
  };
  CHECK(entries("1 1 1\n") == "line 4: the text ends after 1 of 2 entries");
  CHECK(entries("1 1 1\n0 1 1\n") == "line 5: row is 0; rows and columns count from 1");
  CHECK(entries("1 0 1\n1 1 1\n") == "line 4: column is 0; rows and columns count from 1");
  CHECK(entries("1 1 1\n4 1 1\n") == "line 5: row is 4; at most 3 is possible here");
  CHECK(entries("1 5 1\n1 1 1\n") == "line 4: column is 5; at most 4 is possible here");
  CHECK(entries("1 1\n1 2 1\n") == "line 4: the value is missing");
  CHECK(entries("1\n1 2 1\n") == "line 4: column is missing");
  CHECK(entries("% late\n1 2 1\n") == "line 4: row is \"%\", not a non-negative integer");
  for (const char* word : {"x", "1.5z", "nan", "inf", "1e999", "++1", "+-1", "0x10"})
    CHECK(entries("1 1 " + std::string(word) + "\n1 2 1\n") ==
          "line 4: the value is \"" + std::string(word) + "\", not a real number that a double can hold");
  CHECK(entries("1 1 1\n1 2 1 0\n") == "line 5: \"0\" follows the entry");
  CHECK(entries("1 1 1\n1 2 1\n2 2 1\n") == "line 6: \"2\" follows the last entry");
  CHECK(entries("1 2 1\n\n1 2 3\n") == "line 6: row 1, column 2 is already given on line 4");
  const std::string integer = "%%MatrixMarket matrix coordinate integer general\n";
  for (const char* word : {"1.5", "+-1", "9007199254740993", "99999999999999999999"})
    CHECK(entries("1 1 " + std::string(word) + "\n1 2 1\n", integer) ==
          "line 4: the value is \"" + std::string(word) + "\", not an integer of at most 2^53");
  CHECK(entries("1 1 1\n1 2 1\n", "%%MatrixMarket matrix coordinate pattern general\n") ==
        "line 4: \"1\" follows the entry");

  CHECK(mtx_problem("%%MatrixMarket matrix coordinate real symmetric\n2 2 1\n1 2 1\n") ==
        "line 3: row 1, column 2 lies above the diagonal, which a symmetric file leaves out");
  CHECK(mtx_problem("%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n2 2 0\n") ==
        "line 3: row 2 has a diagonal entry, which a skew-symmetric file leaves out");
  CHECK(mtx_problem("%%MatrixMarket matrix array real general\n2 2\n1\n2\n3 4\n") == "line 5: \"4\" follows the entry");
  CHECK(mtx_problem("%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n") ==
        "line 5: the text ends after 3 of 4 entries");
  CHECK_THROWS_WITH(sparq::read_mtx(""), "line 1: the text is empty");
}

TEST_CASE("mtx: files are read, and named when they cannot be") {
  const sparq_test::temporary_folder folder;
  const auto path = folder.path() / "matrix.mtx";
  CHECK_THROWS_WITH(sparq::load_mtx(path), path.string() + ": there is no such file");
  std::ofstream(path) << real_general << "1 2 1\n1 2 3\n";
  CHECK(sparq::load_mtx(path) == sparse_matrix{1, 2, {0, 1}, {1}, {3}});
  std::ofstream(path) << real_general << "1 2 1\n2 2 3\n";
  CHECK(sparq::try_load_mtx(path).error().message() ==
        path.string() + ": line 3: row is 2; at most 1 is possible here");
}

TEST_CASE("mtx: random matrices come back from their text in any order of entries") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 50; ++round) {
    sparse_matrix matrix{random() % 15, 1 + random() % 15, {0}, {}, {}};
    std::vector<std::string> lines;
    for (std::size_t n = 0; n < matrix.n; ++n) {
      for (std::uint32_t k = 0; k < matrix.k; ++k) {
        if (random() % 3 != 0) continue;
        matrix.columns.push_back(k);
        matrix.values.push_back((static_cast<double>(random()) - 2e9) / 1024);  // exact in 17 digits
        char value[32];
        std::snprintf(value, sizeof value, "%.17g", matrix.values.back());
        lines.push_back(std::to_string(n + 1) + " " + std::to_string(k + 1) + " " + value + "\n");
      }
      matrix.row_offsets.push_back(static_cast<std::uint32_t>(matrix.columns.size()));
    }
    std::shuffle(lines.begin(), lines.end(), random);
    std::string text = real_general + std::to_string(matrix.n) + " " + std::to_string(matrix.k) + " " +
                       std::to_string(lines.size()) + "\n";
    for (const std::string& line : lines) text += line;
    CHECK(sparq::read_mtx(text) == matrix);
  }
}

TEST_CASE("mtx: no mutation of a text gives an inconsistent matrix") {
  const auto seed = sparq_test::random_seed();
  INFO("SPARQ_TEST_SEED=" << seed);
  std::mt19937 random(seed);
  const std::string originals[] = {
      real_general + "3 4 4\n1 1 1.5\n2 4 -2\n3 1 1e3\n3 2 0\n",
      "%%MatrixMarket matrix coordinate pattern symmetric\n% c\n3 3 3\n1 1\n3 1\n3 2\n",
      "%%MatrixMarket matrix array integer skew-symmetric\n3 3\n1\n-2\n3\n",
  };
  const std::string bytes = "01234 -\n\r\t%x.e";
  std::size_t read_well = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::string& original = originals[random() % std::size(originals)];
    const std::size_t body = random() % 8 == 0 ? 0 : original.find('\n');  // mostly keep the banner
    const std::string text = sparq_test::damaged_text(original, bytes, body, random);
    const auto matrix = sparq::try_read_mtx(text);
    if (!matrix) {
      if (matrix.error().message().rfind("line ", 0) != 0) FAIL(matrix.error().message());
      continue;
    }
    ++read_well;
    const bool consistent = sparq_test::is_consistent(*matrix) &&
                            (matrix->values.empty() || matrix->values.size() == matrix->columns.size());
    if (!consistent) FAIL("inconsistent: " << text);
  }
  CHECK(read_well > 0);
  CHECK(read_well < 20000);
}

TEST_CASE("mtx: published matrices have the rows, values and products that SciPy finds") {
  const auto data = test_data();
  if (!data) return;
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(*data) / "matrixmarket")) {
    INFO(entry.path());
    const auto array = [&](const char* name) { return sparq::load_npy(entry.path() / name); };
    const sparse_matrix matrix = sparq::load_mtx(entry.path() / "matrix.mtx");
    CHECK(matrix.row_offsets == array("indptr.npy").to<std::uint32_t>());
    CHECK(matrix.columns == array("indices.npy").to<std::uint32_t>());
    const auto values = array("values.npy").to<double>();
    CHECK((matrix.values.empty() ? std::vector<double>(values.size(), 1) : matrix.values) == values);

    const auto x = array("x.npy").to<double>(), y = array("y.npy").to<double>();
    REQUIRE(x.size() == matrix.k);
    REQUIRE(y.size() == matrix.n);
    for (std::size_t n = 0; n < matrix.n; ++n) {
      double sum = 0, magnitude = 0;
      for (std::size_t i = matrix.row_offsets[n]; i < matrix.row_offsets[n + 1]; ++i) {
        sum += values[i] * x[matrix.columns[i]];
        magnitude += std::abs(values[i] * x[matrix.columns[i]]);
      }
      if (std::abs(sum - y[n]) > 1e-12 * magnitude) FAIL("row " << n << ": " << sum << ", not " << y[n]);
    }
    ++count;
  }
  CHECK(count > 0);
}
