// SPDX-License-Identifier: MIT
#pragma once
// What became of one case: results that differ from the expected ones, or the reason why it does not run.

#include "tests/support/case.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace cases {

class verdict {
 public:
  explicit verdict(const neutral_case& one) : case_(one) {}

  /// Compares by the rule of the case. `how` says which of several ways to compute it was taken, or nothing.
  template <class Values>
  void compare(const std::string& role, const Values& got, const std::string& how = {}) {
    const auto result = case_.compare(role, got);
    require(result.ok, (how.empty() ? "" : how + ": ") + role + ": " + result.message);
  }
  /// A comparison of another kind; `problem` says what is wrong if it fails.
  void require(bool ok, const std::string& problem) {
    ++comparisons_;
    if (!ok) problems_.push_back(problem);
  }

  /// The case does not run. The reason is for a group of cases: it names the missing thing, not the case.
  void leave_out(const std::string& reason) { left_out_ = reason; }
  /// The case runs, but something that it expects is not compared.
  void leave_out_part(const std::string& reason) { part_left_out_ = reason; }

  std::size_t comparisons() const { return comparisons_; }
  const std::vector<std::string>& problems() const { return problems_; }
  const std::string& left_out() const { return left_out_; }
  const std::string& part_left_out() const { return part_left_out_; }

 private:
  const neutral_case& case_;
  std::size_t comparisons_ = 0;
  std::vector<std::string> problems_;
  std::string left_out_;
  std::string part_left_out_;
};

}  // namespace cases
