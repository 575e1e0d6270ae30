// SPDX-License-Identifier: MIT
#include "bench/aims.hpp"

#include "tests/support/catch.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using sparq::feature;

namespace {

std::vector<aims::section> read(const std::string& text) {
  std::istringstream file(text);
  return aims::read(file, "aims");
}
std::string refusal(const std::string& text) {
  try {
    read(text);
  } catch (const sparq::error& problem) {
    return problem.what();
  }
  return "";
}
/// A row below all that it depends on: the fifth line.
std::string refusal_of_row(const std::string& row) {
  return refusal("[few]\nshapes 1x2x3\nmode hot\nneeds avx2\n" + row);
}

}  // namespace

TEST_CASE("aims: rows share what their section says") {
  const auto found = read(
      "# figures\n\n[many rows]\nshapes 128x768x767 1x2x3\nmode k_major\nneeds avx512 avx512vnni\n"
      "u8xs8  csr  87.5  u8xs8/dense  4.3  6\nu8xs8 dense 0 peak 0.94 -\n[few]\nshapes 1x8x8\nmode rotate\nneeds avx2\n"
      "without avx512vnni\nu8xs4:32 dense 0 read 0.9 0.9\n");
  REQUIRE(found.size() == 2);
  CHECK(found[0].title == "many rows");
  REQUIRE(found[0].shapes.size() == 2);
  CHECK(found[0].shapes[0].m == 128);
  CHECK(found[0].shapes[0].n == 768);
  CHECK(found[0].shapes[0].k == 767);
  CHECK(found[0].mode == "k_major");
  CHECK(found[0].needs == (feature::avx512 | feature::avx512vnni));
  CHECK(found[0].without == sparq::isa());
  REQUIRE(found[0].rows.size() == 2);
  const aims::aim& first = found[0].rows[0];
  CHECK(first.numerics == "u8xs8");
  CHECK(first.format == "csr");
  CHECK(first.zeros == 87.5);
  CHECK(first.against == "u8xs8/dense");
  CHECK(first.at_least == 4.3);
  CHECK(first.beyond == 6.0);
  CHECK_FALSE(found[0].rows[1].beyond.has_value());
  REQUIRE(found[1].rows.size() == 1);
  CHECK(found[1].without == sparq::isa(feature::avx512vnni));
  CHECK(found[1].rows[0].beyond == 0.9);
}

TEST_CASE("aims: a wrong row is refused with its line") {
  CHECK(refusal_of_row("u8xs8 csr 75 u8xs8/dense 1.6 -").empty());
  CHECK(refusal_of_row("u8xs8 csr 75 u8xs8/dense 1.6") == "aims:5: a row has 6 words, this one 5");
  CHECK(refusal_of_row("\n# more\nu8xs8 csr 75 u8xs8/dense 1.6 - -") == "aims:7: a row has 6 words, this one 7");
  CHECK(refusal_of_row("u8xs8 csr 75% u8xs8/dense 1.6 -") == "aims:5: \"75%\" is not a number from 0 on");
  CHECK(refusal_of_row("u8xs8 csr nan u8xs8/dense 1.6 -") == "aims:5: \"nan\" is not a number from 0 on");
  CHECK(refusal_of_row("u8xs8 csr 100 u8xs8/dense 1.6 -") == "aims:5: \"100\" percent of zeros leave nothing");
  CHECK(refusal_of_row("u8xs8 csr 75 dense 1.6 -") == "aims:5: \"dense\" is neither peak, read, peer nor types/format");
  CHECK(refusal_of_row("u8xs8 csr 75 u8xs8/dense 1.6 1.5") == "aims:5: \"1.5\" is not a number from 1.6 on");
}

TEST_CASE("aims: a wrong section is refused with its line") {
  CHECK(refusal("u8xs8 csr 75 u8xs8/dense 1.6 -") == "aims:1: a [title] comes first");
  for (const std::string shape : {"1x0x3", "1x2", "1x2x3x4", "1x-2x3", "1x2x1073741825", "99999999999999999999x2x3"})
    CHECK(refusal("[few]\nshapes " + shape) ==
          "aims:2: " + shape + " is not MxNxK with three extents from 1 to 2^30, like 512x1024x1024");
  CHECK(refusal("[few]\nmode cold") == "aims:2: a mode is hot, rotate, k_major or amx");
  CHECK(refusal("[few]\nneeds avx2 avx1024") == "aims:2: no feature is called avx1024");
  CHECK(refusal("[few]\nneeds scalar") == "aims:2: no feature is called scalar");
  for (const char* rest : {"mode hot\nneeds avx2\n", "shapes 1x2x3\nneeds avx2\n", "shapes 1x2x3\nmode hot\n"})
    CHECK(refusal(std::string("[few]\n") + rest + "u8xs8 csr 75 u8xs8/dense 1.6 -") ==
          "aims:4: \"few\" has no shapes, mode or needs before its first row");
}

TEST_CASE("aims: figures wait for the features that they are meant for") {
  aims::section wide;
  wide.needs = feature::avx512 | feature::avx512vnni;
  CHECK(aims::waits_for(wide, feature::avx2) == "needs avx512+avx512vnni");
  CHECK(aims::waits_for(wide, feature::avx2 | feature::avx512) == "needs avx512vnni");
  CHECK(aims::waits_for(wide, feature::avx512 | feature::avx512vnni).empty());
  CHECK(aims::waits_for(wide, wide.needs | feature::avx2 | feature::avx512vbmi).empty());
  aims::section narrow;
  narrow.needs = feature::avx2;
  narrow.without = feature::avx512vnni;
  CHECK(aims::waits_for(narrow, {}) == "needs avx2");
  CHECK(aims::waits_for(narrow, feature::avx2 | feature::avx512).empty());
  CHECK(aims::waits_for(narrow, feature::avx2 | feature::avx512vnni) == "is for programs without avx512vnni");
}

TEST_CASE("aims: the worst shape counts") {
  const auto verdict_of = [](std::vector<double> reached, std::optional<double> beyond = {}) {
    return aims::judge({"u8xs8", "csr", 75, "u8xs8/dense", 1.6, beyond}, reached);
  };
  CHECK(verdict_of({1.7, 1.59, 3}) == aims::verdict::below);
  CHECK(verdict_of({1.7, 1.6, 3}) == aims::verdict::met);
  CHECK(verdict_of({1.7, 2.4}, 2.4) == aims::verdict::met);
  CHECK(verdict_of({2.5, 2.4}, 2.4) == aims::verdict::beyond);
  CHECK(verdict_of({}) == aims::verdict::waits);
}

TEST_CASE("aims: the file is read, and all of its sections have rows") {
  const std::filesystem::path path = std::filesystem::path(__FILE__).parent_path() / "../../bench/aims.txt";
  std::ifstream file(path);
  REQUIRE(file);
  const auto sections = aims::read(file, path.string());
  bool some_are_for_avx2 = false;
  for (const auto& section : sections) {
    CAPTURE(section.title);
    CHECK_FALSE(section.rows.empty());
    some_are_for_avx2 |= aims::waits_for(section, feature::avx2).empty();
  }
  CHECK(some_are_for_avx2);
}
