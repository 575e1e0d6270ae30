// SPDX-License-Identifier: MIT
#pragma once
// Cases of the external test data: operands, attributes and expected results of one operation, written by other
// people's projects, in a folder with a case.json (format neutral-case/1). The JSON library stays in case.cpp, because
// it takes longer to compile than a test; the functions raise sparq::error with a sentence that names file and field.

#include <sparq/io/npy.hpp>

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

class neutral_case {
 public:
  /// One array and what the case says about it.
  struct operand {
    sparq::npy_array array;
    std::vector<double> scale;             // empty, one, or one per channel
    std::vector<std::int64_t> zero_point;  // empty, one, or one per channel
    std::string logical_type;              // "int4": one value per element; "int4x2": packed; "": the array's own type
    std::string layout;                    // "NHWC", "OHWI", ...; "" when the case does not say
  };

  struct comparison {
    bool ok = false;
    std::string message;  // how many elements differ, and the first of them
    explicit operator bool() const { return ok; }
  };

  /// The case of the folder that holds case.json.
  explicit neutral_case(std::filesystem::path folder);

  const std::filesystem::path& folder() const { return folder_; }
  std::string name() const;
  std::string op() const;
  std::vector<std::string> tags() const;
  bool has_tag(std::string_view tag) const;

  // Attributes. Those without a fallback must be there.
  bool has_attribute(const std::string& key) const;
  std::int64_t integer(const std::string& key) const;
  std::int64_t integer(const std::string& key, std::int64_t fallback) const;
  double real(const std::string& key) const;
  double real(const std::string& key, double fallback) const;
  bool flag(const std::string& key) const;
  std::string text(const std::string& key) const;
  std::vector<std::int64_t> integers(const std::string& key) const;

  // Arrays by role. Only roles that are arrays count; read the others through json() and input_file().
  std::vector<std::string> input_roles() const;
  std::vector<std::string> expected_roles() const;
  bool has_input(const std::string& role) const;
  bool has_expected(const std::string& role) const;
  operand input(const std::string& role) const;
  operand expected(const std::string& role) const;
  /// Where an input is, also one that is not an array.
  std::filesystem::path input_file(const std::string& role) const;

  /// Judges `got` against the expected array of `role` by the rule of the case:
  /// bit-exact      equal values of the expected type; floats may differ in the sign of zero, and NaNs must be the same
  ///                bits in an array that is the same throughout
  /// tolerance      |got - want| <= atol + rtol |want|, infinities equal, no NaN
  /// max-abs-diff   the largest |got - want| is at most `value`
  /// mixed          one of the first two for each role; bit-exact unless the case says otherwise
  /// `got` may have any shape of as many elements and any type; a value that the expected type cannot hold is a
  /// difference, not rounded or wrapped to fit.
  comparison compare(const std::string& role, const sparq::npy_array& got) const;
  template <class Values>
  requires requires(const Values& values) { std::span(values); }
  comparison compare(const std::string& role, const Values& values) const {
    const auto flat = std::span(values);
    sparq::npy_array got{sparq::detail::stored_type<typename decltype(flat)::value_type>(),
                         {flat.size()},
                         sparq::aligned_buffer(flat.size_bytes())};
    if (!flat.empty()) std::memcpy(got.data.data(), flat.data(), flat.size_bytes());
    return compare(role, got);
  }

  /// All of case.json; include <nlohmann/json.hpp> to look into it.
  const nlohmann::json& json() const { return *json_; }

 private:
  const nlohmann::json& attribute(const std::string& key) const;
  std::vector<std::string> roles(const char* section) const;
  const nlohmann::json* find(const char* section, const std::string& role) const;
  operand load(const char* section, const std::string& role) const;
  [[noreturn]] void refuse(const std::string& problem) const;

  std::filesystem::path folder_;
  std::shared_ptr<const nlohmann::json> json_;
};

/// The cases below `root`, in the order of their paths; only those of one op, if asked for.
std::vector<neutral_case> neutral_cases(const std::filesystem::path& root, std::optional<std::string> op = {});
