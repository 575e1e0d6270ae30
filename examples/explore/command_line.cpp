// SPDX-License-Identifier: MIT
#include "command_line.hpp"

#include "bench/wrapped.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <sparq/base/error.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace explore {
namespace {

// Splits at commas outside of angle brackets: "csr,n_m<2,4>" has two names.
std::vector<std::string> names_in(const std::vector<std::string>& lists) {
  std::vector<std::string> names;
  for (const std::string& list : lists) {
    std::string name;
    int depth = 0;
    for (const char c : list) {
      if (c == '<') ++depth;
      if (c == '>') --depth;
      if (c == ',' && depth <= 0) {
        names.push_back(std::exchange(name, {}));
      } else if (c != ' ') {
        name += c;
      }
    }
    names.push_back(name);
  }
  return names;
}

// The whole text as a number of that type.
template <class T>
std::optional<T> number(const std::string& text) {
  T value{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// CLI11 takes -3 for a huge unsigned number, so whole numbers are read here.
template <class T>
void read_whole(std::string_view option, const std::optional<std::string>& text, T least, T& value) {
  if (!text) return;
  const std::optional<T> found = number<T>(*text);
  if (!found || *found < least) {
    throw usage_error(fmt::format("{} \"{}\": expected is a whole number, {} or more", option, *text, least));
  }
  value = *found;
}

// The members of `known` that were asked for, in the order of `known`; all of them if nothing was asked for.
std::vector<std::string> chosen(std::string_view option, const std::vector<std::string>& asked,
                                const std::vector<std::string>& known) {
  if (asked.empty()) return known;
  std::vector<bool> taken(known.size(), false);
  for (const std::string& name : asked) {
    bool found = false;
    for (std::size_t i = 0; i < known.size(); ++i) {
      if (known[i] != name && known[i].substr(0, known[i].find('<')) != name) continue;
      found = true;
      taken[i] = true;
    }
    if (!found) throw usage_error(fmt::format("{} \"{}\": known are {}", option, name, fmt::join(known, ", ")));
  }
  std::vector<std::string> result;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (taken[i]) result.push_back(known[i]);
  }
  return result;
}

std::vector<extents> extents_in(const std::vector<std::string>& asked) {
  std::vector<extents> result;
  for (const std::string& text : asked) {
    try {
      result.push_back(parse_extents(text));
    } catch (const sparq::error& problem) {
      throw usage_error(fmt::format("--shape {}", problem.what()));
    }
  }
  return result;
}

std::vector<double> levels(const std::vector<std::string>& asked) {
  std::vector<double> result;
  for (const std::string& text : asked) {
    const std::optional<double> level = number<double>(text);
    if (!level || !(*level >= 0 && *level < 1)) {
      throw usage_error(fmt::format("--sparsity \"{}\": a sparsity is a number from 0 to below 1, such as 0.75", text));
    }
    result.push_back(*level);
  }
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

}  // namespace

std::optional<command_line> parse(int argc, const char* const* argv, const std::vector<std::string>& formats,
                                  const std::vector<std::string>& numerics) {
  command_line line;
  std::vector<std::string> format_lists;
  std::vector<std::string> numeric_lists;
  std::vector<std::string> sparsity_lists;
  std::vector<std::string> shape_lists;
  std::optional<std::string> m;
  std::optional<std::string> seed;
  std::optional<std::string> rows;

  CLI::App app(
      "Shows what each sparse format and numeric type does with given weights on this\n"
      "machine: size, error, packing time, time per call, and the sparsity from which\n"
      "it beats dense.\n",
      "explore");
  const auto list = [&](const char* name, auto& values, const char* type, const char* meaning) {
    // Without this an input that follows "--format csr" would be taken for a format.
    app.add_option(name, values, meaning)->type_name(type)->allow_extra_args(false);
  };
  const auto option = [&](const char* name, auto& value, const char* type, const char* meaning) {
    app.add_option(name, value, meaning)->type_name(type);
  };
  app.add_option("inputs", line.inputs, ".npy files and network folders, see below")->type_name("");
  list("--csr", line.pruned, "FILE", "a pruned matrix, .smtx or .mtx; may be repeated");
  list("--shape", shape_lists, "SHAPES", "m x n x k of generated layers, by comma: 1x4096x4096");
  list("--format", format_lists, "NAMES", "formats, by comma; csr,n_m: csr and all of n_m<...>");
  list("--numeric", numeric_lists, "NAMES", "numeric types, by comma");
  list("--sparsity", sparsity_lists, "LEVELS", "zeros to prune to, by comma, from 0 to below 1");
  option("--m", m, "COUNT", "activation rows of every layer, not its own");
  option("--seed", seed, "NUMBER", "of all generated operands; 1 by default");
  app.add_flag("--quick", line.asked.quick, "fewer layers and sparsities, shorter measurements");
  app.add_flag("--amx", line.asked.amx, "bytes in the tiles of AMX; an error without them");
  option("--rows", rows, "COUNT", "sparse rows shown per sparsity, 0: all; 4 by default");
  option("--json", line.json, "FILE", "write the report as JSON");
  option("--html", line.html, "FILE", "write the report as an HTML page with plots");
  option("--csv", line.csv, "FILE", "write a line for each measurement, for other programs");
  option("--from-json", line.from_json, "FILE", "measure nothing, show a report that --json wrote");
  const auto names = [](const char* of, const std::vector<std::string>& all) {
    return wrapped(fmt::format("{:<14} {}", of, fmt::join(all, " ")), 15);
  };
  app.footer(wrapped("Inputs are .npy files with weights (n x k, or n x h x w x i of a convolution) and folders with a "
                     "network.json (docs/explore.md). Without any of these and without --shape: layers of ResNet-50, "
                     "BERT-base and MobileNet-v1, with generated weights. A pattern without values (.smtx) gets generated "
                     "values, too.",
                     0) +
             '\n' +
             wrapped("What is printed fits a terminal of 80 columns; --csv, --json and --html say how long packing takes "
                     "and how far off single weights are as well.",
                     0) +
             '\n' + names("formats:", formats) + names("numeric types:", numerics) +
             wrapped("               f32, s8 and s4 if none is asked for; \"all\" means all of them", 15));
  app.get_formatter()->column_width(24);

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return std::nullopt;
  } catch (const CLI::ParseError& problem) {
    throw usage_error(problem.what());
  }

  if (m) read_whole("--m", m, std::size_t{1}, line.asked.m.emplace());
  read_whole("--seed", seed, std::uint64_t{0}, line.asked.seed);
  read_whole("--rows", rows, std::size_t{0}, line.rows);
  for (const auto& file : line.pruned) {
    if (file.extension() != ".smtx" && file.extension() != ".mtx") {
      throw usage_error(fmt::format("--csr {}: expected is a .smtx or .mtx file", file.string()));
    }
  }
  line.asked.formats = chosen("--format", names_in(format_lists), formats);
  if (std::find(line.asked.formats.begin(), line.asked.formats.end(), "dense") == line.asked.formats.end()) {
    line.asked.formats.insert(line.asked.formats.begin(), "dense");
  }
  std::vector<std::string> numerics_asked = names_in(numeric_lists);
  if (numerics_asked.empty()) numerics_asked = {"f32", "s8", "s4"};
  if (std::find(numerics_asked.begin(), numerics_asked.end(), "all") != numerics_asked.end()) numerics_asked = numerics;
  line.asked.numerics = chosen("--numeric", numerics_asked, numerics);
  line.shapes = extents_in(names_in(shape_lists));
  line.asked.sparsities = levels(names_in(sparsity_lists));
  if (line.from_json && !(line.inputs.empty() && line.pruned.empty() && line.shapes.empty())) {
    throw usage_error("--from-json shows a report and measures nothing: leave the inputs out");
  }
  return line;
}

}  // namespace explore
