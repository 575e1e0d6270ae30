// SPDX-License-Identifier: MIT
#include "tests/support/case.hpp"

#include <nlohmann/json.hpp>

#include <sparq/base/error.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <type_traits>
#include <utility>

namespace {

using comparison = neutral_case::comparison;

std::string position_in(const std::vector<std::size_t>& shape, std::size_t i) {
  std::string text;
  for (std::size_t axis = shape.size(); axis-- > 0; i /= shape[axis])
    text = std::to_string(i % shape[axis]) + (text.empty() ? "" : ", ") + text;
  return "[" + text + "]";
}

std::string number_text(auto value) {
  if constexpr (std::is_integral_v<decltype(value)>) return std::to_string(value);
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));
  return text;
}

// Counts the elements that `differs` and describes the first.
template <class T>
comparison count_differences(const std::vector<std::size_t>& shape, const std::vector<T>& got,
                             const std::vector<T>& want, const auto& differs) {
  std::size_t count = 0, first = 0;
  for (std::size_t i = want.size(); i-- > 0;)
    if (differs(got[i], want[i])) ++count, first = i;
  if (count == 0) return {true, "none of " + std::to_string(want.size()) + " differ"};
  return {false, std::to_string(count) + " of " + std::to_string(want.size()) + " differ, the first at " +
                     position_in(shape, first) + ": got " + number_text(got[first]) + ", want " +
                     number_text(want[first])};
}

template <class T>
comparison bit_exact_as(const sparq::npy_array& got, const sparq::npy_array& want) {
  const auto converted = got.try_to<T>();
  if (!converted)
    return {false, "want " + std::string(sparq::name(want.type)) + ", but " + converted.error().message()};
  const std::vector<T> wanted = want.to<T>();
  if (wanted.empty() || std::memcmp(converted->data(), wanted.data(), wanted.size() * sizeof(T)) == 0)
    return {true, "all bits are equal"};
  return count_differences(want.shape, *converted, wanted, [](T a, T b) { return a != b; });
}

comparison bit_exact(const sparq::npy_array& got, const sparq::npy_array& want) {
  switch (want.type) {
    case sparq::element_type::boolean:
      return bit_exact_as<std::uint8_t>(got, want);
    case sparq::element_type::s8:
      return bit_exact_as<std::int8_t>(got, want);
    case sparq::element_type::u8:
      return bit_exact_as<std::uint8_t>(got, want);
    case sparq::element_type::s16:
      return bit_exact_as<std::int16_t>(got, want);
    case sparq::element_type::u16:
      return bit_exact_as<std::uint16_t>(got, want);
    case sparq::element_type::s32:
      return bit_exact_as<std::int32_t>(got, want);
    case sparq::element_type::u32:
      return bit_exact_as<std::uint32_t>(got, want);
    case sparq::element_type::s64:
      return bit_exact_as<std::int64_t>(got, want);
    case sparq::element_type::u64:
      return bit_exact_as<std::uint64_t>(got, want);
    case sparq::element_type::f16:
      return bit_exact_as<float>(got, want);
    case sparq::element_type::f32:
      return bit_exact_as<float>(got, want);
    case sparq::element_type::f64:
      return bit_exact_as<double>(got, want);
  }
  return {};
}

// The rule of numpy.isclose.
comparison within_tolerance(const sparq::npy_array& got, const sparq::npy_array& want, double rtol, double atol) {
  return count_differences(want.shape, got.to<double>(), want.to<double>(), [&](double a, double b) {
    return std::isfinite(a) && std::isfinite(b) ? !(std::abs(a - b) <= atol + rtol * std::abs(b)) : a != b;
  });
}

std::string numpy_name(sparq::element_type type) {
  static constexpr const char* names[] = {"bool",   "int8",  "uint8",  "int16",   "uint16",  "int32",
                                          "uint32", "int64", "uint64", "float16", "float32", "float64"};
  return names[static_cast<std::size_t>(type)];
}

// A number or a list of numbers.
template <class T>
std::vector<T> one_or_more(const nlohmann::json& value) {
  return value.is_array() ? value.get<std::vector<T>>() : std::vector<T>{value.get<T>()};
}

}  // namespace

neutral_case::neutral_case(std::filesystem::path folder) : folder_(std::move(folder)) {
  std::ifstream file(folder_ / "case.json");
  if (!file) refuse("the file cannot be opened");
  auto json = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) refuse("this is not JSON");
  if (!json.is_object() || json.value("format", "") != "neutral-case/1") refuse("format is not neutral-case/1");
  for (const char* section : {"attrs", "inputs", "expected", "compare"})
    if (!json.contains(section) || !json[section].is_object()) refuse(std::string(section) + " is not an object");
  for (const char* key : {"name", "op"})
    if (!json.contains(key) || !json[key].is_string()) refuse(std::string(key) + " is not a string");
  json_ = std::make_shared<const nlohmann::json>(std::move(json));
}

void neutral_case::refuse(const std::string& problem) const {
  sparq::raise((folder_ / "case.json").string() + ": " + problem);
}

std::string neutral_case::name() const { return json_->at("name").get<std::string>(); }
std::string neutral_case::op() const { return json_->at("op").get<std::string>(); }
std::vector<std::string> neutral_case::tags() const { return json_->value("tags", std::vector<std::string>()); }
bool neutral_case::has_tag(std::string_view tag) const {
  const auto all = tags();
  return std::find(all.begin(), all.end(), tag) != all.end();
}

// ---- attributes
const nlohmann::json& neutral_case::attribute(const std::string& key) const {
  if (!has_attribute(key)) refuse("attrs." + key + " is missing");
  return json_->at("attrs").at(key);
}
bool neutral_case::has_attribute(const std::string& key) const { return json_->at("attrs").contains(key); }
std::int64_t neutral_case::integer(const std::string& key) const {
  const auto& value = attribute(key);
  if (!value.is_number_integer()) refuse("attrs." + key + " is not an integer");
  return value.get<std::int64_t>();
}
std::int64_t neutral_case::integer(const std::string& key, std::int64_t fallback) const {
  return has_attribute(key) ? integer(key) : fallback;
}
double neutral_case::real(const std::string& key) const {
  const auto& value = attribute(key);
  if (!value.is_number()) refuse("attrs." + key + " is not a number");
  return value.get<double>();
}
double neutral_case::real(const std::string& key, double fallback) const {
  return has_attribute(key) ? real(key) : fallback;
}
bool neutral_case::flag(const std::string& key) const {
  const auto& value = attribute(key);
  if (!value.is_boolean()) refuse("attrs." + key + " is not true or false");
  return value.get<bool>();
}
std::string neutral_case::text(const std::string& key) const {
  const auto& value = attribute(key);
  if (!value.is_string()) refuse("attrs." + key + " is not a string");
  return value.get<std::string>();
}
std::vector<std::int64_t> neutral_case::integers(const std::string& key) const {
  const auto& value = attribute(key);
  const auto is_integer = [](const nlohmann::json& element) { return element.is_number_integer(); };
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_integer))
    refuse("attrs." + key + " is not a list of integers");
  return value.get<std::vector<std::int64_t>>();
}

// ---- arrays
const nlohmann::json* neutral_case::find(const char* section, const std::string& role) const {
  const auto& all = json_->at(section);
  const auto found = all.find(role);
  return found != all.end() && found->is_object() && found->contains("dtype") ? &*found : nullptr;
}
std::vector<std::string> neutral_case::roles(const char* section) const {
  std::vector<std::string> result;
  for (const auto& item : json_->at(section).items())
    if (find(section, item.key()) != nullptr) result.push_back(item.key());
  return result;
}
std::vector<std::string> neutral_case::input_roles() const { return roles("inputs"); }
std::vector<std::string> neutral_case::expected_roles() const { return roles("expected"); }
bool neutral_case::has_input(const std::string& role) const { return find("inputs", role) != nullptr; }
bool neutral_case::has_expected(const std::string& role) const { return find("expected", role) != nullptr; }

neutral_case::operand neutral_case::load(const char* section, const std::string& role) const {
  const std::string field = std::string(section) + "." + role;
  const nlohmann::json* entry = find(section, role);
  if (entry == nullptr) refuse(field + " is not an array of this case");
  operand result;
  try {
    result.array = sparq::load_npy(folder_ / entry->at("file").get<std::string>());
    if (numpy_name(result.array.type) != entry->at("dtype").get<std::string>())
      refuse(field + ".dtype is " + entry->at("dtype").dump() + ", but the file holds " +
             numpy_name(result.array.type));
    const auto shape = entry->at("shape").get<std::vector<std::size_t>>();
    if (shape.empty() && result.array.shape == std::vector<std::size_t>{1})
      result.array.shape = {};  // as ONNX cases do
    if (result.array.shape != shape)
      refuse(field + ".shape is " + entry->at("shape").dump() + ", but the file has another");
    if (entry->contains("scale")) result.scale = one_or_more<double>(entry->at("scale"));
    if (entry->contains("zero_point")) result.zero_point = one_or_more<std::int64_t>(entry->at("zero_point"));
    result.logical_type = entry->value("logical_type", "");
    result.layout = entry->value("layout", "");
  } catch (const nlohmann::json::exception& problem) {
    refuse(field + ": " + problem.what());
  }
  return result;
}
neutral_case::operand neutral_case::input(const std::string& role) const { return load("inputs", role); }
neutral_case::operand neutral_case::expected(const std::string& role) const { return load("expected", role); }

std::filesystem::path neutral_case::input_file(const std::string& role) const {
  const auto& all = json_->at("inputs");
  const auto found = all.find(role);
  if (found == all.end() || !found->is_object() || !found->contains("file") || !found->at("file").is_string())
    refuse("inputs." + role + ".file is missing");
  return folder_ / found->at("file").get<std::string>();
}

comparison neutral_case::compare(const std::string& role, const sparq::npy_array& got) const {
  const sparq::npy_array want = expected(role).array;
  if (got.size() != want.size())
    return {false, "got " + std::to_string(got.size()) + " elements, want " + std::to_string(want.size())};
  const auto& rule = json_->at("compare");
  try {
    const auto kind = rule.at("kind").get<std::string>();
    if (kind == "mixed") {
      const auto own = rule.find(role);
      if (own == rule.end() || !own->is_object()) return bit_exact(got, want);
      return within_tolerance(got, want, own->value("rtol", 0.0), own->value("atol", 0.0));
    }
    if (kind == "bit-exact") return bit_exact(got, want);
    if (kind == "tolerance")
      return within_tolerance(got, want, rule.at("rtol").get<double>(), rule.at("atol").get<double>());
    if (kind == "max-abs-diff") {
      const double limit = rule.at("value").get<double>();
      return count_differences(want.shape, got.to<double>(), want.to<double>(),
                               [limit](double a, double b) { return !(std::abs(a - b) <= limit); });
    }
    refuse("compare.kind is \"" + kind + "\", not bit-exact, tolerance, max-abs-diff or mixed");
  } catch (const nlohmann::json::exception& problem) {
    refuse("compare: " + std::string(problem.what()));
  }
}

std::vector<neutral_case> neutral_cases(const std::filesystem::path& root, std::optional<std::string> op) {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root))
    if (entry.path().filename() == "case.json") folders.push_back(entry.path().parent_path().string());
  std::sort(folders.begin(), folders.end());
  std::vector<neutral_case> result;
  for (const std::string& folder : folders) {
    neutral_case one(folder);
    if (!op || one.op() == *op) result.push_back(std::move(one));
  }
  return result;
}
