// SPDX-License-Identifier: MIT
#include "command_line.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
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
    for (const char c : list + ',') {
      if (c == '<') ++depth;
      if (c == '>') --depth;
      if (c == ',' && depth <= 0) {
        names.push_back(std::exchange(name, {}));
      } else if (c != ' ') {
        name += c;
      }
    }
  }
  return names;
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

std::vector<double> levels(const std::vector<std::string>& asked) {
  std::vector<double> result;
  for (const std::string& text : asked) {
    double level = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), level);
    if (failure != std::errc() || end != text.data() + text.size() || !(level >= 0 && level < 1)) {
      throw usage_error(fmt::format("--sparsity \"{}\": a sparsity is a number from 0 to below 1, such as 0.75", text));
    }
    result.push_back(level);
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
  std::vector<std::string> sparsity_list;
  std::size_t m = 0;

  CLI::App app("Shows what each sparse format and numeric type does with given weights on this machine: size, error, "
               "packing time, time per call, and the sparsity from which it beats dense.", "explore");
  app.add_option("inputs", line.inputs,
                 "weights: .npy files (n x k, or n x h x w x i of a convolution), or folders with a network.json; "
                 "without any, layer shapes of ResNet-50, BERT-base and MobileNet-v1 with generated weights");
  app.add_option("--csr", line.pruned, "pruned matrices: .smtx (pattern, values are generated) or .mtx")
      ->type_name("FILE");
  app.add_option("--format", format_lists, "formats, by comma; the name alone means the whole family: csr,n_m")
      ->type_name("NAMES");
  app.add_option("--numeric", numeric_lists, "numeric types, by comma")->type_name("NAMES");
  app.add_option("--sparsity", sparsity_list, "sparsities to prune to, by comma, each from 0 to below 1")
      ->delimiter(',')
      ->type_name("LEVELS");
  CLI::Option* const m_option = app.add_option("--m", m, "activation rows of every layer, instead of its own")
                                    ->type_name("COUNT");
  app.add_option("--seed", line.asked.seed, "of all generated operands; 1 by default")->type_name("NUMBER");
  app.add_flag("--quick", line.asked.quick, "fewer layers and sparsities, shorter measurements");
  app.add_option("--rows", line.rows, "sparse rows shown per sparsity, 0 for all; 4 by default")->type_name("COUNT");
  app.add_option("--json", line.json, "write the report as JSON")->type_name("FILE");
  app.add_option("--html", line.html, "write the report as an HTML page with plots")->type_name("FILE");
  CLI::Option* const again = app.add_option("--from-json", line.from_json,
                                            "measure nothing, show a report that --json wrote")->type_name("FILE");
  app.footer(fmt::format("formats: {}\nnumeric types: {}", fmt::join(formats, ", "), fmt::join(numerics, ", ")));

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return std::nullopt;
  } catch (const CLI::ParseError& problem) {
    throw usage_error(problem.what());
  }

  if (m_option->count() > 0) {
    if (m == 0) throw usage_error("--m 0: a product has at least one activation row");
    line.asked.m = m;
  }
  line.asked.formats = chosen("--format", names_in(format_lists), formats);
  if (std::find(line.asked.formats.begin(), line.asked.formats.end(), "dense") == line.asked.formats.end()) {
    line.asked.formats.insert(line.asked.formats.begin(), "dense");
  }
  line.asked.numerics = chosen("--numeric", names_in(numeric_lists), numerics);
  line.asked.sparsities = levels(sparsity_list);
  if (again->count() > 0 && !(line.inputs.empty() && line.pruned.empty())) {
    throw usage_error("--from-json shows a report and measures nothing: leave the inputs out");
  }
  return line;
}

}  // namespace explore
