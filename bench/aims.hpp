// SPDX-License-Identifier: MIT
#pragma once
// The figures that the library aims at (bench/aims.txt, which explains itself), and what a measured figure says about
// one.

#include "bench/extents.hpp"

#include <sparq/base/error.hpp>
#include <sparq/simd/isa.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <istream>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace aims {

/// One row of the file.
struct aim {
  std::string numerics, format;
  double zeros = 0;  // in percent
  std::string against;
  double at_least = 0;
  std::optional<double> beyond;
};

/// Aims that share what is said about all of them.
struct section {
  std::string title;
  std::vector<extents> shapes;
  std::string mode;
  sparq::isa needs, without;
  std::vector<aim> rows;
};

/// The instruction set of these features; throws sparq::error for a name that none of them has.
inline sparq::isa features(const std::vector<std::string>& names) {
  sparq::isa set;
  for (const std::string& name : names) {
    sparq::isa one;
    for (one.bits = 1; to_string(one) != name && to_string(one) != "scalar";)
      one.bits <<= 1;  // "scalar": no feature is left
    if (to_string(one) == "scalar") sparq::raise("no feature is called " + name);
    set = set | one;
  }
  return set;
}

namespace detail {

inline double number(const std::string& text, double least) {
  double value = 0;
  int used = 0;
  if (std::sscanf(text.c_str(), "%lf%n", &value, &used) != 1 || static_cast<std::size_t>(used) != text.size() ||
      !(value >= least))
    sparq::raise(fmt::format("\"{}\" is not a number from {} on", text, least));
  return value;
}

inline aim row(const std::vector<std::string>& words) {
  if (words.size() != 6) sparq::raise(fmt::format("a row has 6 words, this one {}", words.size()));
  aim read{words[0], words[1], number(words[2], 0), words[3], number(words[4], 0), {}};
  if (read.zeros >= 100) sparq::raise("\"" + words[2] + "\" percent of zeros leave nothing");
  const bool is_limit = read.against == "peak" || read.against == "read" || read.against == "peer";
  if (!is_limit && read.against.find('/') == std::string::npos)
    sparq::raise("\"" + read.against + "\" is neither peak, read, peer nor types/format");
  if (words[5] != "-") read.beyond = number(words[5], read.at_least);
  return read;
}

/// Takes one line of a section. A row comes after everything that it depends on.
inline void take(section& into, const std::vector<std::string>& words) {
  const std::vector<std::string> values(words.begin() + 1, words.end());
  if (words[0] == "shapes") {
    for (const std::string& text : values) into.shapes.push_back(parse_extents(text));
  } else if (words[0] == "mode") {
    if (values.size() != 1 || (values[0] != "hot" && values[0] != "rotate" && values[0] != "k_major" && values[0] != "amx"))
      sparq::raise("a mode is hot, rotate, k_major or amx");
    into.mode = values[0];
  } else if (words[0] == "needs") {
    into.needs = features(values);
  } else if (words[0] == "without") {
    into.without = features(values);
  } else {
    if (into.shapes.empty() || into.mode.empty() || into.needs == sparq::isa())
      sparq::raise("\"" + into.title + "\" has no shapes, mode or needs before its first row");
    into.rows.push_back(row(words));
  }
}

}  // namespace detail

/// Reads the file; throws sparq::error with its name and the line that is wrong.
inline std::vector<section> read(std::istream& file, const std::string& name) {
  std::vector<section> sections;
  std::string line;
  for (std::size_t at = 1; std::getline(file, line); ++at) try {
      if (line.starts_with("#")) continue;
      if (line.starts_with("[") && line.ends_with("]")) {
        sections.push_back({line.substr(1, line.size() - 2), {}, {}, {}, {}, {}});
        continue;
      }
      std::istringstream stream(line);
      std::vector<std::string> words;
      for (std::string word; stream >> word;) words.push_back(word);
      if (words.empty()) continue;
      if (sections.empty()) sparq::raise("a [title] comes first");
      detail::take(sections.back(), words);
    } catch (const sparq::error& problem) {
      sparq::raise(fmt::format("{}:{}: {}", name, at, problem.what()));
    }
  return sections;
}

/// Why the figures of a section are not meant for a program with these features; empty if they are.
inline std::string waits_for(const section& of, sparq::isa here) {
  sparq::isa missing, other;
  missing.bits = of.needs.bits & ~here.bits;
  other.bits = of.without.bits & here.bits;
  if (missing != sparq::isa()) return "needs " + to_string(missing);
  return other == sparq::isa() ? "" : "is for programs without " + to_string(other);
}

enum class verdict { met, beyond, below, waits };

/// What the figures of all shapes say: the worst counts. Without any the aim waits.
inline verdict judge(const aim& what, std::span<const double> reached) {
  if (reached.empty()) return verdict::waits;
  const double worst = *std::min_element(reached.begin(), reached.end());
  if (worst < what.at_least) return verdict::below;
  return what.beyond && worst >= *what.beyond ? verdict::beyond : verdict::met;
}

}  // namespace aims
